// Package rtnl is the kernel's network configuration as the switch sees it:
// links, addresses, routes, neighbours, ethtool settings and the events that
// tell when one of them changed.
//
// The device classes system, tap and afxdp embed Device, which answers all that
// the kernel knows about a link; cmd/ovs-vswitchd reads routes, neighbours and
// the change counters for the tunnel router and for ports that appear later.  The
// package moves no packets.
//
// Everything happens in the network namespace of the calling thread.
//
// It is the only home of vishvananda/netlink and safchain/ethtool.
package rtnl

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sluice/internal/vlog"
	"sluice/netdev"
)

var log = vlog.New("netdev_linux")

// maxName is the longest name of a link.
const maxName = unix.IFNAMSIZ - 1

// Link is a link's state at one time.
type Link struct {
	Name    string
	Index   int
	MAC     netdev.MAC
	MTU     int
	Flags   uint32 // IFF_*
	Kind    string // "veth", "tun", …; "device" for hardware
	Master  int    // index of the bridge or bond that it belongs to, 0: none
	NumRxQ  int
	NumTxQ  int
	XDPMode uint32 // XDP_ATTACHED_*, 0: no program
	XDPProg uint32 // id of the attached XDP program
	stats   *netlink.LinkStatistics
}

// Up reports IFF_UP.
func (l *Link) Up() bool { return l.Flags&unix.IFF_UP != 0 }

// Running reports IFF_RUNNING: there is carrier.
func (l *Link) Running() bool { return l.Flags&unix.IFF_RUNNING != 0 }

// Stats are the kernel's counters, from the side of the link.
func (l *Link) Stats() netdev.Stats {
	s := l.stats
	if s == nil {
		return netdev.NoStats()
	}
	return netdev.Stats{
		RxPackets: s.RxPackets, TxPackets: s.TxPackets,
		RxBytes: s.RxBytes, TxBytes: s.TxBytes,
		RxErrors: s.RxErrors, TxErrors: s.TxErrors,
		RxDropped: s.RxDropped, TxDropped: s.TxDropped,
		Multicast: s.Multicast, Collisions: s.Collisions,
		RxLengthErrors: s.RxLengthErrors, RxOverErrors: s.RxOverErrors,
		RxCRCErrors: s.RxCrcErrors, RxFrameErrors: s.RxFrameErrors,
		RxFIFOErrors: s.RxFifoErrors, RxMissedErrors: s.RxMissedErrors,
		TxAbortedErrors: s.TxAbortedErrors, TxCarrierErrors: s.TxCarrierErrors,
		TxFIFOErrors: s.TxFifoErrors, TxHeartbeatErrors: s.TxHeartbeatErrors,
		TxWindowErrors: s.TxWindowErrors,
	}
}

// Get reads the link of that name.  A missing one is unix.ENODEV.
func Get(name string) (*Link, error) {
	if name == "" || len(name) > maxName {
		return nil, fmt.Errorf("link %q: %w", name, unix.ENODEV)
	}
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("link %s: %w", name, errnoOf(err))
	}
	if l.Attrs().Name != name {
		// An alternative name found it.
		return nil, fmt.Errorf("link %s: %w", name, unix.ENODEV)
	}
	return convert(l), nil
}

// GetByIndex reads the link of that index.
func GetByIndex(index int) (*Link, error) {
	l, err := netlink.LinkByIndex(index)
	if err != nil {
		return nil, fmt.Errorf("link %d: %w", index, errnoOf(err))
	}
	return convert(l), nil
}

// List reads all links.
func List() ([]*Link, error) {
	ls, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list links: %w", errnoOf(err))
	}
	links := make([]*Link, len(ls))
	for i, l := range ls {
		links[i] = convert(l)
	}
	return links, nil
}

func convert(l netlink.Link) *Link {
	a := l.Attrs()
	r := &Link{Name: a.Name, Index: a.Index, MTU: a.MTU, Flags: a.RawFlags,
		Kind: l.Type(), Master: a.MasterIndex, NumRxQ: a.NumRxQueues, NumTxQ: a.NumTxQueues,
		stats: a.Statistics}
	if len(a.HardwareAddr) == 6 {
		r.MAC = netdev.MAC(a.HardwareAddr)
	}
	if a.Xdp != nil && a.Xdp.Attached {
		r.XDPMode, r.XDPProg = a.Xdp.AttachMode, a.Xdp.ProgId
	}
	return r
}

// errnoOf makes the errors of the library wrap a unix.Errno.
func errnoOf(err error) error {
	var notFound netlink.LinkNotFoundError
	if errors.As(err, &notFound) {
		return unix.ENODEV
	}
	return err
}

func byIndex(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

// SetMTU sets the MTU of a link.
func SetMTU(index, mtu int) error {
	if err := netlink.LinkSetMTU(byIndex(index), mtu); err != nil {
		return fmt.Errorf("set MTU %d: %w", mtu, errnoOf(err))
	}
	return nil
}

// SetUp sets or clears IFF_UP.
func SetUp(index int, up bool) error {
	set, what := netlink.LinkSetDown, "down"
	if up {
		set, what = netlink.LinkSetUp, "up"
	}
	if err := set(byIndex(index)); err != nil {
		return fmt.Errorf("set link %s: %w", what, errnoOf(err))
	}
	return nil
}

// SetMAC sets the Ethernet address of a link.
func SetMAC(index int, mac netdev.MAC) error {
	if err := netlink.LinkSetHardwareAddr(byIndex(index), net.HardwareAddr(mac[:])); err != nil {
		return fmt.Errorf("set address: %w", errnoOf(err))
	}
	return nil
}

// DetachXDP removes the XDP program in the way that netlink attached it; mode is
// a flag XDP_FLAGS_*_MODE, 0 for any.  It cannot remove a program that is
// attached by a link of its owner (EBUSY).
func DetachXDP(index int, mode int) error {
	if err := netlink.LinkSetXdpFdWithFlags(byIndex(index), -1, mode); err != nil {
		return fmt.Errorf("detach XDP: %w", errnoOf(err))
	}
	return nil
}

// AttachXDP attaches the XDP program fd with flags XDP_FLAGS_*.
func AttachXDP(index, fd, flags int) error {
	if err := netlink.LinkSetXdpFdWithFlags(byIndex(index), fd, flags); err != nil {
		return fmt.Errorf("attach XDP: %w", errnoOf(err))
	}
	return nil
}
