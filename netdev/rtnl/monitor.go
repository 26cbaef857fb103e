package rtnl

import (
	"fmt"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/netdev"
)

// Monitor follows the kernel's change events and tells the Devices concerned.
//
// It owns a non-blocking socket that the control loop polls, so that events are
// treated at one place of a turn.  When the kernel drops events (ENOBUFS) all
// devices read their links again.
//
// Thread-safety: none; the control thread owns it.
type Monitor struct {
	fd      int
	buf     []byte
	devices map[int]*Device    // by ifindex
	orphans map[string]*Device // by name: their link is gone

	linkSeq, routeSeq, addrSeq uint64
}

// groups are the multicast groups that Monitor listens to.
// Neighbours are not among them: on a busy host their entries change all the time.
const groups = 1<<(unix.RTNLGRP_LINK-1) |
	1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1) |
	1<<(unix.RTNLGRP_IPV4_ROUTE-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1)

// eventBuffer is the receive buffer of the socket: a storm of some thousand
// links fits.
const eventBuffer = 4 << 20

var monitorRL = vlog.NewLimiter(1, 5)

// NewMonitor subscribes in the network namespace of the calling thread.
func NewMonitor() (*Monitor, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, eventBuffer); err != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, eventBuffer)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("subscribe to netlink events: %w", err)
	}
	return &Monitor{fd: fd, buf: make([]byte, 64<<10), devices: map[int]*Device{},
		orphans: map[string]*Device{}}, nil
}

// Close ends the subscription.
func (m *Monitor) Close() { unix.Close(m.fd) }

// LinkSeq changes whenever a link appeared, changed or went away: the bridge
// then retries ports that it could not open.
func (m *Monitor) LinkSeq() uint64 { return m.linkSeq }

// RouteSeq changes with routes and rules of the main table.
func (m *Monitor) RouteSeq() uint64 { return m.routeSeq }

// LinkSeq is Monitor.LinkSeq of the process's monitor, 0 when the kernel does not
// let it subscribe.
func LinkSeq() uint64 {
	m, err := Default()
	if err != nil {
		return 0
	}
	return m.linkSeq
}

// AddrSeq changes with addresses of links.
func (m *Monitor) AddrSeq() uint64 { return m.addrSeq }

// Run treats what the kernel reported.
func (m *Monitor) Run(int64) {
	for {
		n, from, err := unix.Recvfrom(m.fd, m.buf, 0)
		switch err {
		case nil:
			// Only the kernel (port id 0) is believed.
			if sa, ok := from.(*unix.SockaddrNetlink); ok && sa.Pid == 0 {
				m.parse(m.buf[:n])
			}
		case unix.EINTR:
		case unix.EAGAIN:
			return
		case unix.ENOBUFS:
			m.lost()
		default:
			log.WarnRL(monitorRL, "error reading or parsing netlink (%s)", errno.Text(err))
			return
		}
	}
}

// Wait wakes the loop when there are events.
func (m *Monitor) Wait(s *poll.Set) { s.FD(m.fd, poll.In) }

// lost treats the loss of events: anything may have changed.
func (m *Monitor) lost() {
	m.linkSeq++
	m.routeSeq++
	m.addrSeq++
	for _, d := range m.devices {
		if !d.refresh() {
			m.orphan(d)
		}
	}
	links, err := List()
	if err != nil {
		log.WarnRL(monitorRL, "cannot list links (%s)", errno.Text(err))
		return
	}
	for _, l := range links {
		if m.orphans[l.Name] != nil {
			m.adopt(l.Index)
		}
	}
}

const (
	nlHeaderSize   = unix.SizeofNlMsghdr
	ifInfoMsgSize  = unix.SizeofIfInfomsg
	ifInfoIndexOff = 4 // of ifi_index in struct ifinfomsg
	ifInfoFlagsOff = 8 // of ifi_flags
)

// parse treats the messages of one datagram.
func (m *Monitor) parse(b []byte) {
	for len(b) >= nlHeaderSize {
		size := int(native.Uint32(b))
		typ := native.Uint16(b[4:])
		if size < nlHeaderSize || size > len(b) {
			return
		}
		m.event(typ, b[nlHeaderSize:size])
		b = b[min((size+3)&^3, len(b)):]
	}
}

func (m *Monitor) event(typ uint16, body []byte) {
	switch typ {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		m.linkEvent(typ, body)
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		m.addrSeq++
		// struct ifaddrmsg ends with the index of the link.
		if len(body) >= unix.SizeofIfAddrmsg {
			if d := m.devices[int(native.Uint32(body[4:]))]; d != nil {
				d.Changed()
			}
		}
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE, unix.RTM_NEWRULE, unix.RTM_DELRULE:
		m.routeSeq++
	}
}

func (m *Monitor) linkEvent(typ uint16, body []byte) {
	if len(body) < ifInfoMsgSize {
		return
	}
	m.linkSeq++
	index := int(int32(native.Uint32(body[ifInfoIndexOff:])))
	d := m.devices[index]
	if d == nil {
		if typ == unix.RTM_NEWLINK && len(m.orphans) > 0 {
			m.adopt(index)
		}
		return
	}
	// Bridges report their members with a family of their own: such a message
	// says nothing about the link itself.
	if body[0] == unix.AF_BRIDGE {
		return
	}
	if typ == unix.RTM_DELLINK {
		d.gone()
		m.orphan(d)
		return
	}
	d.sawFlags(native.Uint32(body[ifInfoFlagsOff:]))
	d.refresh()
}

// orphan notes that a device has lost its link.
func (m *Monitor) orphan(d *Device) {
	delete(m.devices, d.index)
	m.orphans[d.Name()] = d
}

// adopt gives a new link to the device of its name, if that has lost its own: a
// container that starts again brings a new veth pair.
func (m *Monitor) adopt(index int) {
	l, err := GetByIndex(index)
	if err != nil {
		return
	}
	d := m.orphans[l.Name]
	if d == nil {
		return
	}
	delete(m.orphans, l.Name)
	d.index, d.renewed = index, true
	m.devices[index] = d
	d.driver = nil
	d.store(l)
	log.Info("%s: the device is back, with index %d", l.Name, index)
}

// defaultMonitor serves all devices of the process; the control thread owns it.
var defaultMonitor *Monitor

// Default returns the process's monitor, made at the first call (in the network
// namespace of its thread), and has netdev.Run drive it.
func Default() (*Monitor, error) {
	if defaultMonitor != nil {
		return defaultMonitor, nil
	}
	m, err := NewMonitor()
	if err != nil {
		return nil, err
	}
	defaultMonitor = m
	netdev.OnRun(m.Run, m.Wait)
	return m, nil
}
