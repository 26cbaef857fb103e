package tunnel

import (
	"encoding/binary"
	"net/netip"

	"sluice/dpif/flow"
)

const (
	ecnMask  = 0x03
	dscpMask = 0xfc
	ectZero  = 0x02
)

// Received says that a packet came in by a tunnel, which then has a destination.
func Received(f *flow.Flow) bool {
	return f.Tunnel.IPDst != 0 || f.Tunnel.IPv6Dst != (flow.IPv6{})
}

// Mask adds to wc what every translation of a packet from a tunnel depends on.
func Mask(f *flow.Flow, wc *flow.Mask) {
	if !Received(f) {
		return
	}
	m := &wc.Tunnel
	m.ID = ^uint64(0)
	if f.Tunnel.IPDst != 0 {
		m.IPSrc, m.IPDst = ^uint32(0), ^uint32(0)
	} else {
		for i := range m.IPv6Src {
			m.IPv6Src[i], m.IPv6Dst[i] = 0xff, 0xff
		}
	}
	m.Flags = flow.TunFlagDF | flow.TunFlagCsum | flow.TunFlagKey
	m.TOS, m.TTL, m.TpSrc, m.TpDst = 0xff, 0, 0, 0
	if isIP(f) && f.Tunnel.TOS&ecnMask == ecnMask {
		wc.NwTOS |= ecnMask
	}
}

// Decapsulated brings the congestion that the outer header tells of to the packet; it
// is false for a packet that has to be dropped, because it could not carry the mark
// (RFC 6040, section 4.2).
func Decapsulated(f *flow.Flow) bool {
	if !Received(f) || !isIP(f) || f.Tunnel.TOS&ecnMask != ecnMask {
		return true
	}
	if f.NwTOS&ecnMask == 0 {
		log.WarnRL(rlPkt, "dropping tunnel packet marked ECN CE but is not ECN capable")
		return false
	}
	f.NwTOS |= ecnMask
	return true
}

func isIP(f *flow.Flow) bool { return f.DLType == flow.EthIPv4 || f.DLType == flow.EthIPv6 }

// Encapsulate sets f's tunnel fields, and others that a tunnel sets, to what they have to
// be for output to a tunnel with configuration c.  What it looks at goes to wc.
func Encapsulate(c *Config, f *flow.Flow, wc *flow.Mask) {
	t := &f.Tunnel
	if !c.LocalFlow {
		t.IPSrc, t.IPv6Src = split(c.Local)
	}
	if !c.RemoteFlow {
		t.IPDst, t.IPv6Dst = split(c.Remote)
	}
	t.TpDst = c.DstPort
	if !c.OutKey.Flow {
		t.ID = c.OutKey.Value
	}
	outerTTLAndTOS(c, f, wc)
	t.Flags &= flow.TunFlagOAM | flow.TunFlagUDPIF
	for _, b := range [...]struct {
		on   bool
		flag uint16
	}{{c.DontFragment, flow.TunFlagDF}, {c.Csum, flow.TunFlagCsum}, {c.OutKey.Present, flow.TunFlagKey}} {
		if b.on {
			t.Flags |= b.flag
		}
	}
	if c.SetEgressPktMark {
		f.PktMark, wc.PktMark = c.EgressPktMark, ^uint32(0)
	}
	if !c.ERSPANVerFlow {
		t.ERSPANVer = c.ERSPANVer
	}
	if !c.ERSPANIdxFlow {
		t.ERSPANIdx = c.ERSPANIdx
	}
	if !c.ERSPANDirFlow {
		t.ERSPANDir = c.ERSPANDir
	}
	if !c.ERSPANHwIDFlow {
		t.ERSPANHwID = c.ERSPANHwID
	}
}

// outerTTLAndTOS sets both.  The congestion bits are always the packet's, but one that
// met congestion already goes out as if it had not (the full-functionality mode of
// RFC 3168, section 9.1.1).
func outerTTLAndTOS(c *Config, f *flow.Flow, wc *flow.Mask) {
	t, ip := &f.Tunnel, isIP(f)
	t.TTL, t.TOS = c.TTL, c.TOS
	if c.TTLInherit && ip {
		wc.NwTTL = 0xff
		t.TTL = f.NwTTL
	}
	if !ip {
		return
	}
	if c.TOSInherit {
		wc.NwTOS |= dscpMask
		t.TOS = f.NwTOS & dscpMask
	}
	wc.NwTOS |= ecnMask
	if ecn := f.NwTOS & ecnMask; ecn == ecnMask {
		t.TOS |= ectZero
	} else {
		t.TOS |= ecn
	}
}

// split is an address as the fields of a flow have it.
func split(a netip.Addr) (v4 uint32, v6 flow.IPv6) {
	switch {
	case !a.IsValid():
		return 0, v6
	case a.Is4():
		b := a.As4()
		return binary.BigEndian.Uint32(b[:]), v6
	}
	return 0, a.As16()
}
