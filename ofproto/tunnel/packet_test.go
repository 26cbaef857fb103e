package tunnel

import (
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
)

// RFC 6040, section 4.2: what an outer header with congestion does to the packet.
func TestDecapsulated(t *testing.T) {
	for _, c := range []struct {
		outer, inner uint8
		dlType       uint16
		ok           bool
		want         uint8
	}{
		{3, 3, flow.EthIPv4, true, 3}, {3, 1, flow.EthIPv4, true, 3}, {3, 0x16, flow.EthIPv6, true, 0x17},
		{3, 0, flow.EthIPv4, false, 0}, {3, 0, flow.EthARP, true, 0},
		{2, 0, flow.EthIPv4, true, 0}, {1, 2, flow.EthIPv4, true, 2}, {0, 1, flow.EthIPv4, true, 1},
	} {
		f := from("1.1.1.1", "2.2.2.2", 0, 1)
		f.Tunnel.TOS, f.NwTOS, f.DLType = c.outer, c.inner, c.dlType
		if ok := Decapsulated(f); ok != c.ok || ok && f.NwTOS != c.want {
			t.Errorf("outer %#x inner %#x: %v, %#x", c.outer, c.inner, ok, f.NwTOS)
		}
	}
	f := flow.Flow{DLType: flow.EthIPv4}
	f.Tunnel.TOS = 3
	if !Decapsulated(&f) || f.NwTOS != 0 {
		t.Error("a packet from no tunnel")
	}
}

func TestMask(t *testing.T) {
	var m flow.Mask
	Mask(&flow.Flow{}, &m)
	if m != (flow.Mask{}) {
		t.Error("a packet from no tunnel has tunnel fields in its mask")
	}
	f := from("1.1.1.1", "2.2.2.2", 0, 1)
	f.Tunnel.TOS, f.Tunnel.TTL = 3, 64
	Mask(f, &m)
	w := &m.Tunnel
	if w.IPSrc != ^uint32(0) || w.IPDst != ^uint32(0) || w.ID != ^uint64(0) || w.TOS != 0xff || w.TTL != 0 ||
		w.IPv6Dst != (flow.IPv6{}) || m.NwTOS != 3 || w.Flags != flow.TunFlagDF|flow.TunFlagCsum|flow.TunFlagKey {
		t.Errorf("mask %+v", *w)
	}
	m = flow.Mask{}
	Mask(from("fc00::1", "fc00::2", 0, 1), &m)
	if w.IPSrc != 0 || w.IPDst != 0 || w.IPv6Dst[0] != 0xff || w.IPv6Src[15] != 0xff || m.NwTOS != 0 {
		t.Errorf("IPv6 mask %+v", *w)
	}
}

func TestEncapsulate(t *testing.T) {
	base := conf("2.2.2.2", "1.1.1.1", "5")
	base.DstPort = 4789
	with := func(edit func(c *Config)) *Config {
		c := *base
		edit(&c)
		return &c
	}
	const df, key, csum = flow.TunFlagDF, flow.TunFlagKey, flow.TunFlagCsum
	for _, c := range []struct {
		name     string
		cfg      *Config
		dlType   uint16
		nwTOS    uint8
		tos, ttl uint8
		flags    uint16
		wcTOS    uint8
		wcTTL    uint8
	}{
		{"IP", base, flow.EthIPv4, 0x15, 1, 64, df | key, 3, 0},
		{"congestion is not passed on", base, flow.EthIPv4, 3, 2, 64, df | key, 3, 0},
		{"ARP", base, flow.EthARP, 0, 0, 64, df | key, 0, 0},
		{"inherit", with(func(c *Config) { c.TOSInherit, c.TTLInherit = true, true }), flow.EthIPv6, 0x15, 0x15, 7, df | key, 0xff, 0xff},
		{"inherit from ARP", with(func(c *Config) { c.TOSInherit, c.TTLInherit = true, true }), flow.EthARP, 0, 0, 64, df | key, 0, 0},
		{"tos", with(func(c *Config) { c.TOS, c.TTL = 0x40, 9 }), flow.EthIPv4, 0x15, 0x41, 9, df | key, 3, 0},
		{"flags", with(func(c *Config) { c.DontFragment, c.Csum, c.OutKey = false, true, dpif.TunnelKey{} }), flow.EthARP, 0, 0, 64, csum, 0, 0},
	} {
		f := flow.Flow{DLType: c.dlType, NwTOS: c.nwTOS, NwTTL: 7}
		f.Tunnel.Flags = df | key | csum // of the tunnel that it came by
		var m flow.Mask
		Encapsulate(c.cfg, &f, &m)
		tn := &f.Tunnel
		if tn.TOS != c.tos || tn.TTL != c.ttl || tn.Flags != c.flags || m.NwTOS != c.wcTOS || m.NwTTL != c.wcTTL {
			t.Errorf("%s: tos %#x ttl %d flags %#x, mask tos %#x ttl %#x", c.name, tn.TOS, tn.TTL, tn.Flags, m.NwTOS, m.NwTTL)
		}
		if tn.IPSrc != 0x02020202 || tn.IPDst != 0x01010101 || tn.TpDst != 4789 {
			t.Errorf("%s: %+v", c.name, tn)
		}
	}
}

func TestEncapsulateByFlow(t *testing.T) {
	f := flow.Flow{PktMark: 1}
	f.Tunnel = flow.Tunnel{IPSrc: 1, IPDst: 2, ID: 3, ERSPANVer: 2, ERSPANDir: 1, ERSPANHwID: 4, ERSPANIdx: 5, Flags: flow.TunFlagOAM}
	was := f.Tunnel
	c := conf("flow", "flow", "flow")
	c.ERSPANVerFlow, c.ERSPANIdxFlow, c.ERSPANDirFlow, c.ERSPANHwIDFlow = true, true, true, true
	var m flow.Mask
	Encapsulate(c, &f, &m)
	was.TTL, was.Flags = 64, flow.TunFlagOAM|flow.TunFlagDF|flow.TunFlagKey
	if f.Tunnel != was || f.PktMark != 1 || m != (flow.Mask{}) {
		t.Errorf("%+v, mark %d", f.Tunnel, f.PktMark)
	}
	// What the configuration says, it says also of a packet from another tunnel.
	c = conf("", "fc00::1", "")
	c.SetEgressPktMark, c.EgressPktMark = true, 77
	Encapsulate(c, &f, &m)
	if tn := &f.Tunnel; tn.IPDst != 0 || tn.IPSrc != 0 || tn.IPv6Dst[0] != 0xfc || tn.ID != 0 || tn.ERSPANVer != 0 ||
		tn.Flags&flow.TunFlagKey != 0 || f.PktMark != 77 || m.PktMark != ^uint32(0) {
		t.Errorf("%+v, mark %d", *tn, f.PktMark)
	}
}
