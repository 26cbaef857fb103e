package rtnl

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/vlog"
	"sluice/netdev"
	"sluice/netdev/rtnl/tc"
)

var deviceRL = vlog.NewLimiter(1, 5)

// Device is the part of a netdev.Device that a kernel link answers; the classes
// system, tap and afxdp embed it and add queues.
//
// Getters read a copy of the link's state that events and setters refresh, so
// that they cost no system call.
//
// Thread-safety: the control thread owns it, but for Stats.
type Device struct {
	netdev.Base
	tc.Control
	policer netdev.Policer
	mon     *Monitor
	index   int
	link    atomic.Pointer[Link]
	resets  uint64
	// absent is set while the link is gone.
	absent bool
	// renewed is set when a new link of the name took the place of one that went.
	renewed bool
	// swapped is set for tap: the kernel's receive side is the switch's send
	// side.
	swapped bool

	mii         mii
	features    netdev.Features
	hasFeatures bool // features are those of the link as it is now
	driver      map[string]string
}

var (
	_ netdev.QoS     = (*Device)(nil)
	_ netdev.Policed = (*Device)(nil)
)

// Init opens the link of that name; swapped is set for tap devices.
func (d *Device) Init(name, typ string, swapped bool) error {
	// These names stand for directories of /proc/sys/net/ipv4/conf, and an
	// attempt to create such a link makes events though it fails.
	if name == "default" || name == "all" {
		return fmt.Errorf("%s: Linux forbids network device with this name: %w", name, unix.EINVAL)
	}
	link, err := Get(name)
	if err != nil {
		return err
	}
	mon, err := Default()
	if err != nil {
		return err
	}
	d.Base.Init(name, typ)
	d.mon, d.index, d.swapped = mon, link.Index, swapped
	d.link.Store(link)
	d.Control.Init(d)
	mon.devices[d.index] = d
	return nil
}

// CloseLink stops following the link and takes the device out of the registry.
func (d *Device) CloseLink() {
	if d.mon != nil && d.mon.devices[d.index] == d {
		delete(d.mon.devices, d.index)
	}
	if d.mon != nil && d.mon.orphans[d.Name()] == d {
		delete(d.mon.orphans, d.Name())
	}
	d.Release()
}

// Link is the state of the link as last seen.
func (d *Device) Link() *Link { return d.link.Load() }

// Loopback reports that the link is a loopback device.
func (d *Device) Loopback() bool { return d.Link().Flags&unix.IFF_LOOPBACK != 0 }

// refresh reads the link again and reports whether it is there.
func (d *Device) refresh() bool {
	l, err := GetByIndex(d.index)
	if err != nil {
		d.gone()
		return false
	}
	d.store(l)
	return true
}

// Renewed reports that the device has got a new link since ClearRenewed: its
// queues belong to the old one and must be opened again.
func (d *Device) Renewed() bool { return d.renewed }

// ClearRenewed notes that the queues are those of the link as it is now.
func (d *Device) ClearRenewed() { d.renewed = false }

func (d *Device) store(l *Link) {
	d.sawFlags(l.Flags)
	d.absent = false
	d.link.Store(l)
	d.hasFeatures = false
	d.Changed()
}

// sawFlags counts a change of carrier, also one that is over by the time that the
// link is read.
func (d *Device) sawFlags(flags uint32) {
	old := d.Link()
	if (old.Flags^flags)&unix.IFF_RUNNING == 0 {
		return
	}
	d.resets++
	l := *old
	l.Flags = flags
	d.link.Store(&l)
}

// gone marks the link as down and without properties: it was removed or moved to another
// namespace.
func (d *Device) gone() {
	l := *d.Link()
	l.Flags &^= unix.IFF_UP | unix.IFF_RUNNING
	l.MAC, l.MTU, d.driver = netdev.MAC{}, 0, nil
	d.store(&l)
	d.absent = true
}

// Absent reports that the device has no link now.
func (d *Device) Absent() bool { return d.absent }

// EtherAddr implements netdev.Device.
func (d *Device) EtherAddr() netdev.MAC { return d.Link().MAC }

// SetEtherAddr implements netdev.Device.
func (d *Device) SetEtherAddr(mac netdev.MAC) error {
	if d.Link().MAC == mac {
		return nil
	}
	return d.set(SetMAC(d.index, mac))
}

// MTU implements netdev.Device.
func (d *Device) MTU() int { return d.Link().MTU }

// SetMTU implements netdev.Device.
func (d *Device) SetMTU(mtu int) error {
	if d.Link().MTU == mtu {
		return nil
	}
	return d.set(SetMTU(d.index, mtu))
}

// Ifindex implements netdev.Device.
func (d *Device) Ifindex() int { return d.index }

// Carrier implements netdev.Device.
func (d *Device) Carrier() bool {
	if d.mii.everyMs != 0 {
		return d.Link().Up() && d.mii.up
	}
	return d.Link().Up() && d.Link().Running()
}

// CarrierResets implements netdev.Device.
func (d *Device) CarrierResets() uint64 { return d.resets }

// AdminUp implements netdev.Device.
func (d *Device) AdminUp() bool { return d.Link().Up() }

// SetAdminUp implements netdev.Device.
func (d *Device) SetAdminUp(up bool) error {
	if d.Link().Up() == up {
		return nil
	}
	return d.set(SetUp(d.index, up))
}

// set finishes a setter: after a success the link is read again.
func (d *Device) set(err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", d.Name(), err)
	}
	d.refresh()
	return nil
}

// NUMA implements netdev.Device: the node of the hardware, 0 where there is none
// or it is not known, as stock has it.
func (d *Device) NUMA() int {
	b, err := os.ReadFile("/sys/class/net/" + d.Name() + "/device/numa_node")
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Features implements netdev.Device.
func (d *Device) Features() netdev.Features {
	if !d.hasFeatures {
		d.features, d.hasFeatures = linkFeatures(d.Name()), true
	}
	return d.features
}

// Status implements netdev.Device: the driver, as stock names it.
func (d *Device) Status() map[string]string {
	if d.driver == nil {
		info, err := driverInfo(d.Name())
		if err != nil {
			log.DbgRL(deviceRL, "%s: ETHTOOL_GDRVINFO: %s", d.Name(), errno.Text(err))
			return nil
		}
		d.driver = info
	}
	m := make(map[string]string, len(d.driver))
	for k, v := range d.driver {
		m[k] = v
	}
	return m
}

// SetPolicing implements netdev.Policed.  The kernel's policer is set as stock sets
// it, but not on tap devices, where it would stand in the way of what the switch sends.
func (d *Device) SetPolicing(p netdev.Policing) error {
	d.policer.Set(p)
	if d.swapped {
		return nil
	}
	return d.Control.SetPolicing(p)
}

// Policer implements netdev.Policed.
func (d *Device) Policer() *netdev.Policer { return &d.policer }

// Stats implements netdev.Device: the kernel's counters, from the switch's side, and
// what policing dropped.
func (d *Device) Stats() netdev.Stats {
	l, err := GetByIndex(d.index)
	if err != nil {
		return netdev.NoStats()
	}
	s := l.Stats()
	if d.swapped {
		s = swap(s)
	}
	if s.RxDropped != netdev.Unsupported {
		s.RxDropped += d.policer.Dropped()
	}
	return s
}

func swap(s netdev.Stats) netdev.Stats {
	return netdev.Stats{
		RxPackets: s.TxPackets, TxPackets: s.RxPackets,
		RxBytes: s.TxBytes, TxBytes: s.RxBytes,
		RxErrors: s.TxErrors, TxErrors: s.RxErrors,
		RxDropped: s.TxDropped, TxDropped: s.RxDropped,
		Multicast: s.Multicast, Collisions: s.Collisions,
	}
}
