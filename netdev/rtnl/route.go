package rtnl

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sluice/netdev"
)

// Route is a route of the kernel's main or local table.
type Route struct {
	Dst     netip.Prefix
	Gateway netip.Addr // zero: none
	PrefSrc netip.Addr // zero: none
	Index   int        // of the output link
	Table   int        // RT_TABLE_MAIN or RT_TABLE_LOCAL
	Metric  int
	Local   bool // the address is the host's own
}

// Routes reads the IPv4 and IPv6 routes of the main and local tables.
func Routes() ([]Route, error) {
	var routes []Route
	for _, family := range [...]int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		for _, table := range [...]int{unix.RT_TABLE_LOCAL, unix.RT_TABLE_MAIN} {
			rs, err := netlink.RouteListFiltered(family, &netlink.Route{Table: table}, netlink.RT_FILTER_TABLE)
			if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
				return nil, fmt.Errorf("list routes: %w", err)
			}
			for i := range rs {
				if r, ok := convertRoute(&rs[i], family); ok {
					routes = append(routes, r)
				}
			}
		}
	}
	return routes, nil
}

func convertRoute(r *netlink.Route, family int) (Route, bool) {
	if r.Type != unix.RTN_UNICAST && r.Type != unix.RTN_LOCAL {
		return Route{}, false
	}
	out := Route{Index: r.LinkIndex, Table: r.Table, Metric: r.Priority, Local: r.Type == unix.RTN_LOCAL}
	out.Gateway, _ = addr(r.Gw)
	out.PrefSrc, _ = addr(r.Src)
	switch {
	case r.Dst != nil:
		a, ok := addr(r.Dst.IP)
		if !ok {
			return Route{}, false
		}
		bits, _ := r.Dst.Mask.Size()
		out.Dst = netip.PrefixFrom(a, bits)
	case family == netlink.FAMILY_V4:
		out.Dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	default:
		out.Dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return out, true
}

func addr(ip net.IP) (netip.Addr, bool) {
	if v4 := ip.To4(); v4 != nil {
		ip = v4
	}
	return netip.AddrFromSlice(ip)
}

// Addr is an address of a link.
type Addr struct {
	Prefix netip.Prefix
	Index  int
}

// Addrs reads the addresses of a link, of all with index 0.
func Addrs(index int) ([]Addr, error) {
	var l netlink.Link
	if index != 0 {
		l = byIndex(index)
	}
	as, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	addrs := make([]Addr, 0, len(as))
	for i := range as {
		if a, ok := addr(as[i].IP); ok {
			bits, _ := as[i].Mask.Size()
			addrs = append(addrs, Addr{netip.PrefixFrom(a, bits), as[i].LinkIndex})
		}
	}
	return addrs, nil
}

// Neigh is an entry of the ARP or neighbour table.
type Neigh struct {
	IP    netip.Addr
	MAC   netdev.MAC
	Index int
	State int // NUD_*
}

// Neighs reads the neighbour tables.
func Neighs() ([]Neigh, error) {
	ns, err := netlink.NeighList(0, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	neighs := make([]Neigh, 0, len(ns))
	for i := range ns {
		a, ok := addr(ns[i].IP)
		if !ok || len(ns[i].HardwareAddr) != 6 {
			continue
		}
		neighs = append(neighs, Neigh{a, netdev.MAC(ns[i].HardwareAddr), ns[i].LinkIndex, ns[i].State})
	}
	return neighs, nil
}

// NextHop returns the Ethernet address of the neighbour to which the host hands
// packets for an IPv4 address: the remote itself or a gateway.  It is false without a
// route, for the host's own addresses, and until ARP has found the neighbour.
func NextHop(remote netip.Addr) (netdev.MAC, bool) {
	if !remote.Is4() {
		return netdev.MAC{}, false
	}
	routes, err := netlink.RouteGet(remote.AsSlice())
	if err != nil || len(routes) == 0 || routes[0].Type != unix.RTN_UNICAST {
		return netdev.MAC{}, false
	}
	if gw, ok := addr(routes[0].Gw); ok {
		remote = gw
	}
	neighs, err := netlink.NeighList(routes[0].LinkIndex, netlink.FAMILY_V4)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return netdev.MAC{}, false
	}
	const unresolved = unix.NUD_INCOMPLETE | unix.NUD_FAILED | unix.NUD_NOARP
	for i := range neighs {
		n := &neighs[i]
		if ip, _ := addr(n.IP); ip == remote && n.State&unresolved == 0 && len(n.HardwareAddr) == 6 {
			mac := netdev.MAC(n.HardwareAddr)
			return mac, mac != netdev.MAC{}
		}
	}
	return netdev.MAC{}, false
}

// SourceOf returns the host's own address on the way to another host.
func SourceOf(remote netip.Addr) (netip.Addr, bool) {
	routes, err := netlink.RouteGet(remote.AsSlice())
	if err != nil || len(routes) == 0 {
		return netip.Addr{}, false
	}
	return addr(routes[0].Src)
}
