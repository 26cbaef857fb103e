package rtnl

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// SetIPv4 makes p the first IPv4 address of the link, in place of the one that it has,
// and reports whether that is a change.
func (d *Device) SetIPv4(p netip.Prefix) (changed bool, err error) {
	have, err := Addrs(d.index)
	if err != nil {
		return false, err
	}
	for _, a := range have {
		if a.Prefix == p {
			return false, nil
		}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	mask := ^uint32(0) << (32 - p.Bits())
	// The address first: the kernel gives a new one the netmask of its class.
	for _, s := range []struct {
		request uint
		addr    []byte
	}{
		{unix.SIOCSIFADDR, p.Addr().AsSlice()},
		{unix.SIOCSIFNETMASK, []byte{byte(mask >> 24), byte(mask >> 16), byte(mask >> 8), byte(mask)}},
	} {
		r, err := unix.NewIfreq(d.Name())
		if err == nil {
			err = r.SetInet4Addr(s.addr)
		}
		if err == nil {
			err = unix.IoctlIfreq(fd, s.request, r)
		}
		if err != nil {
			return false, fmt.Errorf("%s: set address %s: %w", d.Name(), p, err)
		}
	}
	return true, nil
}

// AddGateway adds a default route through the link, unless there is one already, and
// reports whether that is a change.
func (d *Device) AddGateway(gw netip.Addr) (changed bool, err error) {
	err = netlink.RouteAdd(&netlink.Route{LinkIndex: d.index, Gw: gw.AsSlice()})
	if errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s: add default route: %w", d.Name(), err)
	}
	return true, nil
}
