package vswitchd

import (
	"net/netip"

	"sluice/dpif/flow"
	"sluice/netdev"
	"sluice/netdev/dummy"
	"sluice/netdev/rtnl"
	"sluice/ofproto/tunnel"
)

// host is the machine as native tunnels see it.
func (s *Switch) host() tunnel.Host {
	h := tunnel.Host{Device: new(addrCache).device, DeviceSeq: hostDeviceSeq}
	if !s.opts.DisableSystemRoute {
		h.Routes, h.RouteSeq = hostRoutes, hostRouteSeq
	}
	return h
}

// addrCache has the addresses of the kernel's devices, read all at once when they
// changed: a switch has many.
type addrCache struct {
	seq     uint64
	read    bool
	byIndex map[int][]netip.Prefix
}

func (c *addrCache) addrs(index int) []netip.Prefix {
	m, err := rtnl.Default()
	if err == nil && c.read && c.seq == m.AddrSeq() {
		return c.byIndex[index]
	}
	if err == nil {
		c.seq = m.AddrSeq()
	}
	list, err := rtnl.Addrs(0)
	if err != nil {
		log.Warn("cannot read addresses: %v", err)
		return nil
	}
	c.read, c.byIndex = true, map[int][]netip.Prefix{}
	for _, a := range list {
		c.byIndex[a.Index] = append(c.byIndex[a.Index], a.Prefix)
	}
	return c.byIndex[index]
}

// device returns the addresses of a device, one of ours or another one of the kernel.
func (c *addrCache) device(name string) (mac flow.MAC, addrs []netip.Prefix, ok bool) {
	index := 0
	if dev, open := netdev.ByName(name); open {
		mac = dev.EtherAddr()
		if d, ok := dev.(*dummy.Device); ok {
			return mac, d.Addrs(), true
		}
		index = dev.Ifindex()
	} else if l, err := rtnl.Get(name); err == nil {
		mac, index = l.MAC, l.Index
	}
	if index <= 0 {
		return mac, nil, false
	}
	return mac, c.addrs(index), true
}

// hostDeviceSeq changes with a device's addresses.
func hostDeviceSeq(name string) uint64 {
	seq := uint64(1)
	dev, open := netdev.ByName(name)
	if open {
		seq += dev.ChangeSeq() << 1
		if _, ok := dev.(*dummy.Device); ok {
			return seq
		}
	}
	if m, err := rtnl.Default(); err == nil {
		seq += m.AddrSeq() << 1
		if !open {
			seq += m.LinkSeq() << 1
		}
	}
	return seq
}

// hostRouteSeq changes with the kernel's routes, and with the addresses that they get
// their source from.
func hostRouteSeq() uint64 {
	m, err := rtnl.Default()
	if err != nil {
		return 0
	}
	return m.RouteSeq() + m.AddrSeq() + m.LinkSeq()
}

// hostRoutes reads the kernel's routes.
func hostRoutes() []tunnel.Route {
	routes, err := rtnl.Routes()
	if err != nil {
		log.Warn("cannot read routes: %v", err)
		return nil
	}
	links, err := rtnl.List()
	if err != nil {
		log.Warn("cannot list links: %v", err)
		return nil
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.Index] = l.Name
	}
	var list []tunnel.Route
	for _, r := range routes {
		name, ok := names[r.Index]
		if !ok {
			continue
		}
		t := tunnel.Route{Prefix: r.Dst.Masked(), Device: name, Gateway: r.Gateway, Source: r.PrefSrc, Local: r.Local}
		if r.Local && r.Dst.IsSingleIP() {
			t.Source = r.Dst.Addr()
		}
		list = append(list, t)
	}
	return list
}
