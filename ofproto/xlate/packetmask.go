package xlate

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/tunnel"
)

const protoIGMP = 2

// MaskForPacket returns the mask of all fields that a packet with flow f has.
func MaskForPacket(f *flow.Flow) flow.Mask {
	var m flow.Mask
	maskTunnelOf(f, &m)
	m.SkbPriority, m.PktMark, m.RecircID, m.DPHash = ones32, ones32, ones32, ones32
	m.CTState, m.CTZone, m.CTMark = 0xff, ones16, ones32
	m.CTLabel = flow.U128{Hi: ^uint64(0), Lo: ^uint64(0)}
	m.InPort, m.PacketType = ones32, ones32
	if f.PacketType == flow.PacketTypeEth {
		m.DLDst, m.DLSrc, m.DLType = onesMAC, onesMAC, ones16
		for i := range f.VLANs {
			// Tags that are not there need no mask, but for the first.
			m.VLANs[i] = onesVLAN
			if f.VLANs[i].TCI == 0 {
				break
			}
		}
	}
	t := field.DLType(f)
	if t == flow.EthNSH && f.DLType != flow.EthNSH {
		return m // only the packet type says that it is NSH
	}
	switch t {
	case flow.EthIPv4:
		m.NwSrc, m.NwDst, m.CTNwSrc, m.CTNwDst = ones32, ones32, ones32, ones32
	case flow.EthIPv6:
		m.IPv6Src, m.IPv6Dst, m.IPv6Label = onesIPv6, onesIPv6, ones32
		if isND(f) {
			m.TpSrc, m.TpDst = ones16, ones16
			m.ARPSha, m.ARPTha, m.NDTarget = onesMAC, onesMAC, onesIPv6
		} else {
			m.CTIPv6Src, m.CTIPv6Dst = onesIPv6, onesIPv6
		}
	case flow.EthARP, flow.EthRARP:
		m.NwSrc, m.NwDst, m.NwProto, m.ARPSha, m.ARPTha = ones32, ones32, 0xff, onesMAC, onesMAC
		return m
	case flow.EthNSH:
		m.NSH = hdrNSH.all.NSH
	default:
		if isMPLSType(t) {
			for i := range flow.MaxMPLSLabels {
				m.MPLS[i] = ones32
				if f.MPLS[i]&mplsBOS != 0 {
					break
				}
			}
		}
		return m
	}
	m.NwFrag = flow.NwFragAny | flow.NwFragLater
	m.NwTOS, m.NwTTL, m.NwProto = 0xff, 0xff, 0xff
	m.CTNwProto, m.CTTpSrc, m.CTTpDst = 0xff, ones16, ones16
	if f.NwFrag&flow.NwFragLater == 0 {
		maskTransport(f, &m)
	}
	return m
}

func isND(f *flow.Flow) bool {
	return f.NwProto == protoICMPv6 && f.TpDst == 0 && (f.TpSrc == 135 || f.TpSrc == 136)
}

func maskTransport(f *flow.Flow, m *flow.Mask) {
	switch f.NwProto {
	case protoICMP, protoICMPv6, protoTCP, protoUDP, protoSCTP, protoIGMP:
		m.TpSrc, m.TpDst = ones16, ones16
	}
	switch f.NwProto {
	case protoTCP:
		m.TCPFlags = ones16
	case protoIGMP:
		m.IGMPGroup = ones32
	}
}

// tunFlags are the flags that packets can differ in.
const tunFlags = flow.TunFlagOAM | flow.TunFlagDF | flow.TunFlagCsum | flow.TunFlagKey

func maskTunnelOf(f *flow.Flow, m *flow.Mask) {
	t, mt := &f.Tunnel, &m.Tunnel
	if !tunnel.Received(f) {
		if t.ID != 0 {
			mt.ID = ^uint64(0)
		}
		return
	}
	*mt = flow.Tunnel{
		IPv6Dst: onesIPv6, IPv6Src: onesIPv6, IPDst: ones32, IPSrc: ones32, Flags: tunFlags, TOS: 0xff, TTL: 0xff,
		TpSrc: ones16, TpDst: ones16, GBPID: ones16, GBPFlags: 0xff, ERSPANVer: 0xff, ERSPANDir: 0xff,
		ERSPANHwID: 0xff, GTPUFlags: 0xff, GTPUMsgType: 0xff, ERSPANIdx: ones32,
	}
	if t.Flags&flow.TunFlagKey != 0 {
		mt.ID = ^uint64(0)
	}
	if rawOptions(t) {
		mt.OptsLen = ones32
		for i := range min(int(t.OptsLen), len(mt.Opts)) {
			mt.Opts[i] = 0xff
		}
	} else if t.Present != 0 {
		mt.Present = t.Present
		for i := range mt.Opts {
			mt.Opts[i] = 0xff
		}
	}
}

// FlowText appends the text of a packet's flow, as ovs-ofctl and ofproto/trace
// print it: every field that the packet has, and metadata that is not zero.  tun names
// the tunnel options; nil: they are left out.
func FlowText(b []byte, f *flow.Flow, tun *field.TunTable, ports field.PortMap) []byte {
	m := match.Match{Flow: *f, Mask: MaskForPacket(f), Tun: tun}
	w := &m.Mask
	hide := func(zero bool, p *uint32) {
		if zero {
			*p = 0
		}
	}
	hide(f.InPort == 0, &w.InPort)
	hide(f.SkbPriority == 0, &w.SkbPriority)
	hide(f.PktMark == 0, &w.PktMark)
	hide(f.RecircID == 0, &w.RecircID)
	hide(f.DPHash == 0, &w.DPHash)
	hide(f.CTMark == 0, &w.CTMark)
	if f.CTState == 0 {
		w.CTState = 0
	}
	if f.CTZone == 0 {
		w.CTZone = 0
	}
	if f.CTLabel == (flow.U128{}) {
		w.CTLabel = flow.U128{}
	}
	if f.CTNwProto == 0 || !field.PrereqsOK(f, field.CTNwProto, nil) {
		w.CTNwProto, w.CTTpSrc, w.CTTpDst = 0, 0, 0
		w.CTNwSrc, w.CTNwDst, w.CTIPv6Src, w.CTIPv6Dst = 0, 0, flow.IPv6{}, flow.IPv6{}
	}
	for i, r := range f.Regs {
		if r != 0 {
			w.Regs[i] = ones32
		}
	}
	if f.Metadata != 0 {
		w.Metadata = ^uint64(0)
	}
	return m.AppendText(b, ports, match.DefaultPriority)
}
