package xlate

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
)

// This file changes and classifies a Flow the way pushing and popping headers
// changes a packet.  A mask argument, where not nil, gets the bits set that the
// outcome depends on.

// IP protocols and other numbers that translation looks at.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132

	arpRequest = 1
	arpReply   = 2

	dscpMask = 0xfc
	ecnMask  = 0x03

	mplsLabelMask = 0xfffff000
	mplsTCMask    = 0x00000e00
	mplsBOS       = 0x00000100
	mplsTTLMask   = 0x000000ff

	tcpFIN = 1
	tcpRST = 4
)

const (
	ones16 = ^uint16(0)
	ones32 = ^uint32(0)
)

var (
	onesMAC  = flow.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	onesIPv6 = flow.IPv6{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	onesVLAN = flow.VLAN{TPID: ones16, TCI: ones16}
)

func isVLANType(t uint16) bool { return t == flow.EthVLAN || t == flow.EthQinQ }
func isMPLSType(t uint16) bool { return t == flow.EthMPLS || t == flow.EthMPLSMc }

// isIPAny reports that f is IPv4 or IPv6.
func isIPAny(f *flow.Flow) bool { return field.IsIPAny(f) }

func isICMPv4(f *flow.Flow) bool { return field.DLType(f) == flow.EthIPv4 && f.NwProto == protoICMP }
func isICMPv6(f *flow.Flow) bool { return field.DLType(f) == flow.EthIPv6 && f.NwProto == protoICMPv6 }

// isBroadcast says whether an address is ff:ff:ff:ff:ff:ff.
func isBroadcast(m flow.MAC) bool { return m == onesMAC }

// isSTP reports that f is addressed to the spanning tree group and has an LLC
// header in place of an Ethernet type.
func isSTP(f *flow.Flow) bool {
	return f.DLType == flow.DLTypeNone && f.DLDst == flow.MAC{0x01, 0x80, 0xc2, 0, 0, 0}
}

// isReservedMAC reports that m is an address that bridges do not forward: the
// sixteen of 802.1D and those of some vendors' protocols.
func isReservedMAC(m flow.MAC) bool {
	if m[0] != 0x01 && m[0] != 0x00 {
		return false
	}
	low := uint32(m[3])<<16 | uint32(m[4])<<8 | uint32(m[5])
	switch uint32(m[0])<<16 | uint32(m[1])<<8 | uint32(m[2]) {
	case 0x0180c2: // STP, pause frames and other 802.1 protocols
		return low < 0x10
	case 0x00e02b: // Extreme: EDP, EAPS
		return low == 0 || low == 4 || low == 6
	case 0x01000c: // Cisco: ISL, CDP and its family, PVST+, STP uplink fast, CFM
		return low == 0 || low == 0xcccccc || low == 0xcccccd || low == 0xcdcdcd ||
			low >= 0xccccc0 && low <= 0xccccc7
	}
	return false
}

// clearConntrack makes f untracked.
func clearConntrack(f *flow.Flow) {
	f.CTState, f.CTZone, f.CTMark, f.CTLabel = 0, 0, 0, flow.U128{}
	f.CTNwProto, f.CTTpSrc, f.CTTpDst = 0, 0, 0
	switch f.DLType {
	case flow.EthIPv4:
		f.CTNwSrc, f.CTNwDst = 0, 0
	case flow.EthIPv6:
		f.CTIPv6Src, f.CTIPv6Dst = flow.IPv6{}, flow.IPv6{}
	}
}

// countVLANs returns how many VLAN tags f has.
func countVLANs(f *flow.Flow) int {
	for i := range f.VLANs {
		if f.VLANs[i].TCI&flow.VLANCFI == 0 {
			return i
		}
	}
	return flow.MaxVLANs
}

func popVLAN(f *flow.Flow, m *flow.Mask) {
	n := countVLANs(f)
	if n > 1 {
		for i := 1; m != nil && i < n; i++ {
			m.VLANs[i] = onesVLAN
		}
		copy(f.VLANs[:], f.VLANs[1:n])
	}
	if n > 0 {
		f.VLANs[n-1] = flow.VLAN{}
	}
}

// pushVLANRoom makes room for an outermost tag, zeroed.
func pushVLANRoom(f *flow.Flow, m *flow.Mask) {
	if m != nil {
		for i := range countVLANs(f) {
			m.VLANs[i] = onesVLAN
		}
	}
	copy(f.VLANs[1:], f.VLANs[:])
	f.VLANs[0] = flow.VLAN{}
}

// countMPLS returns how many label stack entries f has, at most MaxMPLSLabels.
func countMPLS(f *flow.Flow, m *flow.Mask) int {
	if !isMPLSType(f.DLType) {
		return 0
	}
	n := 0
	for i := range flow.MaxMPLSLabels {
		if m != nil {
			m.MPLS[i] |= mplsBOS
		}
		if f.MPLS[i]&mplsBOS != 0 {
			return i + 1
		}
		if f.MPLS[i] != 0 {
			n++
		}
	}
	return n
}

// commonMPLS returns how many entries, counted from the innermost one, are equal
// in a and b, which have an and bn of them.
func commonMPLS(a *flow.Flow, an int, b *flow.Flow, bn int) int {
	n := 0
	for n < an && n < bn && a.MPLS[an-1-n] == b.MPLS[bn-1-n] {
		n++
	}
	return n
}

// pushMPLS adds an outermost label stack entry to f, which has n < MaxMPLSLabels:
// a copy of the outermost one, or one made from the IP header, which clearL3 then
// takes away.
func pushMPLS(f *flow.Flow, n int, etherType uint16, m *flow.Mask, clearL3 bool) {
	switch {
	case n > 0:
		if m != nil {
			for i := range n {
				m.MPLS[i] = ones32
			}
		}
		copy(f.MPLS[1:n+1], f.MPLS[:n])
		f.MPLS[0] = f.MPLS[1] &^ mplsBOS
	default:
		label, tc, ttl := uint32(0), uint32(0), uint32(64)
		if f.DLType == flow.EthIPv6 {
			label = 2 // IPv6 explicit null
		}
		if isIPAny(f) {
			tc = uint32(f.NwTOS&dscpMask) >> 2
			if m != nil {
				m.NwTOS |= dscpMask
				m.NwTTL = 0xff
			}
			if f.NwTTL != 0 {
				ttl = uint32(f.NwTTL)
			}
		}
		f.MPLS[0] = label<<12 | tc<<9&mplsTCMask | mplsBOS | ttl
		if clearL3 {
			clear(f.Words()[flow.EndL2:])
			f.DPHash = 0
		}
	}
	f.DLType = etherType
}

// popMPLS removes the outermost of n label stack entries and makes etherType the
// type; false: there is none, or what would become the innermost is not known.
func popMPLS(f *flow.Flow, n int, etherType uint16, m *flow.Mask) bool {
	if n == 0 {
		return false
	}
	if n == flow.MaxMPLSLabels {
		if m != nil {
			m.MPLS[n-1] |= mplsBOS
		}
		if f.MPLS[n-1]&mplsBOS == 0 {
			return false
		}
	}
	if m != nil {
		for i := 1; i < n; i++ {
			m.MPLS[i] = ones32
		}
	}
	copy(f.MPLS[:], f.MPLS[1:n])
	f.MPLS[n-1] = 0
	f.DLType = etherType
	return true
}

// isGratuitousARP reports that f announces its sender's own address.
func isGratuitousARP(f *flow.Flow, m *flow.Mask) bool {
	if f.DLType != flow.EthARP {
		return false
	}
	m.DLDst = onesMAC
	if !isBroadcast(f.DLDst) {
		return false
	}
	m.NwProto = 0xff
	switch f.NwProto {
	case arpReply:
		return true
	case arpRequest:
		m.NwSrc, m.NwDst = ones32, ones32
		return f.NwSrc == f.NwDst
	}
	return false
}

// swapCTTuple exchanges the packet's 5-tuple and the one of its connection's
// original direction, in a flow or a mask.
func swapCTTuple(f *flow.Flow, ipv4 bool) {
	f.NwProto, f.CTNwProto = f.CTNwProto, f.NwProto
	if ipv4 {
		f.NwSrc, f.CTNwSrc = f.CTNwSrc, f.NwSrc
		f.NwDst, f.CTNwDst = f.CTNwDst, f.NwDst
	} else {
		f.IPv6Src, f.CTIPv6Src = f.CTIPv6Src, f.IPv6Src
		f.IPv6Dst, f.CTIPv6Dst = f.CTIPv6Dst, f.IPv6Dst
	}
	f.TpSrc, f.CTTpSrc = f.CTTpSrc, f.TpSrc
	f.TpDst, f.CTTpDst = f.CTTpDst, f.TpDst
}
