package odp

import "sluice/dpif/flow"

// A datapath key's text is a list of items such as ipv4(src=…,dst=…).  One table
// describes each item's members; printing and parsing of keys and of set actions
// all work from it.

// value holds one member of an item, up to 128 bits, right-justified.
type value struct{ hi, lo uint64 }

func (v value) isZero() bool { return v.hi|v.lo == 0 }

// kind is how a member is written.
type kind uint8

const (
	kindDec   kind = iota // decimal, mask in hexadecimal
	kindHex               // hexadecimal in the way of C's %#x, where zero is "0"
	kindHex0              // hexadecimal, zero is "0x0"
	kindIPv4              // dotted quad, mask too
	kindIPv6              // RFC 5952 text, mask too
	kindMAC               // colon-separated, mask too
	kindFrag              // no, first, later
	kindLabel             // IPv6 flow label: hexadecimal, 20 bits
)

// member is one member of an item; get and set work on a key and on a mask alike.
type member struct {
	name string
	kind kind
	bits int
	get  func(*flow.Flow) value
	set  func(*flow.Flow, value)
}

// item is an attribute of a key whose text is name(member=value,…).
type item struct {
	attr    Attr
	name    string
	members []member
}

func u8(name string, k kind, p func(*flow.Flow) *uint8) member {
	return member{name, k, 8,
		func(f *flow.Flow) value { return value{0, uint64(*p(f))} },
		func(f *flow.Flow, v value) { *p(f) = uint8(v.lo) }}
}

func u16(name string, k kind, p func(*flow.Flow) *uint16) member {
	return member{name, k, 16,
		func(f *flow.Flow) value { return value{0, uint64(*p(f))} },
		func(f *flow.Flow, v value) { *p(f) = uint16(v.lo) }}
}

// low8 is a member of 8 bits that a Flow keeps in 16 (ICMP type and code, ARP
// hardware: an exact mask is 0xff or 0xffff).
func low8(name string, p func(*flow.Flow) *uint16) member {
	return member{name, kindDec, 8,
		func(f *flow.Flow) value { return value{0, uint64(*p(f) & 0xff)} },
		func(f *flow.Flow, v value) { *p(f) = uint16(v.lo & 0xff) }}
}

func u32(name string, k kind, p func(*flow.Flow) *uint32) member {
	bits := 32
	if k == kindLabel {
		bits = 20
	}
	return member{name, k, bits,
		func(f *flow.Flow) value { return value{0, uint64(*p(f))} },
		func(f *flow.Flow, v value) { *p(f) = uint32(v.lo) }}
}

func mac(name string, p func(*flow.Flow) *flow.MAC) member {
	return member{name, kindMAC, 48,
		func(f *flow.Flow) value { return macValue(*p(f)) },
		func(f *flow.Flow, v value) { *p(f) = valueMAC(v) }}
}

func ip6(name string, p func(*flow.Flow) *flow.IPv6) member {
	return member{name, kindIPv6, 128,
		func(f *flow.Flow) value { return ip6Value(*p(f)) },
		func(f *flow.Flow, v value) { *p(f) = valueIP6(v) }}
}

func macValue(m flow.MAC) (v value) {
	for _, b := range m {
		v.lo = v.lo<<8 | uint64(b)
	}
	return v
}

func valueMAC(v value) (m flow.MAC) {
	for i := range m {
		m[5-i] = byte(v.lo >> (8 * i))
	}
	return m
}

func ip6Value(a flow.IPv6) (v value) {
	for i := range 8 {
		v.hi = v.hi<<8 | uint64(a[i])
		v.lo = v.lo<<8 | uint64(a[8+i])
	}
	return v
}

func valueIP6(v value) (a flow.IPv6) {
	for i := range 8 {
		a[7-i] = byte(v.hi >> (8 * i))
		a[15-i] = byte(v.lo >> (8 * i))
	}
	return a
}

// tpSrc and friends are shared by several items.
var (
	tpSrc = u16("src", kindDec, func(f *flow.Flow) *uint16 { return &f.TpSrc })
	tpDst = u16("dst", kindDec, func(f *flow.Flow) *uint16 { return &f.TpDst })
	icmpT = low8("type", func(f *flow.Flow) *uint16 { return &f.TpSrc })
	icmpC = low8("code", func(f *flow.Flow) *uint16 { return &f.TpDst })
)

var itemEth = item{AttrEth, "eth", []member{
	mac("src", func(f *flow.Flow) *flow.MAC { return &f.DLSrc }),
	mac("dst", func(f *flow.Flow) *flow.MAC { return &f.DLDst }),
}}

var itemIPv4 = item{AttrIPv4, "ipv4", []member{
	u32("src", kindIPv4, func(f *flow.Flow) *uint32 { return &f.NwSrc }),
	u32("dst", kindIPv4, func(f *flow.Flow) *uint32 { return &f.NwDst }),
	u8("proto", kindDec, func(f *flow.Flow) *uint8 { return &f.NwProto }),
	u8("tos", kindHex, func(f *flow.Flow) *uint8 { return &f.NwTOS }),
	u8("ttl", kindDec, func(f *flow.Flow) *uint8 { return &f.NwTTL }),
	u8("frag", kindFrag, func(f *flow.Flow) *uint8 { return &f.NwFrag }),
}}

var itemIPv6 = item{AttrIPv6, "ipv6", []member{
	ip6("src", func(f *flow.Flow) *flow.IPv6 { return &f.IPv6Src }),
	ip6("dst", func(f *flow.Flow) *flow.IPv6 { return &f.IPv6Dst }),
	u32("label", kindLabel, func(f *flow.Flow) *uint32 { return &f.IPv6Label }),
	u8("proto", kindDec, func(f *flow.Flow) *uint8 { return &f.NwProto }),
	u8("tclass", kindHex, func(f *flow.Flow) *uint8 { return &f.NwTOS }),
	u8("hlimit", kindDec, func(f *flow.Flow) *uint8 { return &f.NwTTL }),
	u8("frag", kindFrag, func(f *flow.Flow) *uint8 { return &f.NwFrag }),
}}

var itemARP = item{AttrARP, "arp", []member{
	u32("sip", kindIPv4, func(f *flow.Flow) *uint32 { return &f.NwSrc }),
	u32("tip", kindIPv4, func(f *flow.Flow) *uint32 { return &f.NwDst }),
	{"op", kindDec, 16,
		// A Flow keeps eight of the opcode's bits; a mask of all of them stands
		// for all of the opcode.
		func(f *flow.Flow) value {
			if f.NwProto == 0xff {
				return value{0, 0xffff}
			}
			return value{0, uint64(f.NwProto)}
		},
		func(f *flow.Flow, v value) { f.NwProto = uint8(v.lo) }},
	mac("sha", func(f *flow.Flow) *flow.MAC { return &f.ARPSha }),
	mac("tha", func(f *flow.Flow) *flow.MAC { return &f.ARPTha }),
}}

var itemTCP = item{AttrTCP, "tcp", []member{tpSrc, tpDst}}
var itemUDP = item{AttrUDP, "udp", []member{tpSrc, tpDst}}
var itemSCTP = item{AttrSCTP, "sctp", []member{tpSrc, tpDst}}
var itemICMP = item{AttrICMP, "icmp", []member{icmpT, icmpC}}
var itemICMPv6 = item{AttrICMPv6, "icmpv6", []member{icmpT, icmpC}}

var itemND = item{AttrND, "nd", []member{
	ip6("target", func(f *flow.Flow) *flow.IPv6 { return &f.NDTarget }),
	mac("sll", func(f *flow.Flow) *flow.MAC { return &f.ARPSha }),
	mac("tll", func(f *flow.Flow) *flow.MAC { return &f.ARPTha }),
}}

var itemNDExt = item{AttrNDExt, "nd_ext", []member{
	u32("nd_reserved", kindHex0, func(f *flow.Flow) *uint32 { return &f.IGMPGroup }),
	u8("nd_options_type", kindDec, func(f *flow.Flow) *uint8 { return &f.NDOptType }),
}}

var itemNSH = item{AttrNSH, "nsh", []member{
	u8("flags", kindDec, func(f *flow.Flow) *uint8 { return &f.NSH.Flags }),
	u8("ttl", kindDec, func(f *flow.Flow) *uint8 { return &f.NSH.TTL }),
	u8("mdtype", kindDec, func(f *flow.Flow) *uint8 { return &f.NSH.MDType }),
	u8("np", kindDec, func(f *flow.Flow) *uint8 { return &f.NSH.NP }),
	{"spi", kindHex0, 24,
		func(f *flow.Flow) value { return value{0, uint64(f.NSH.PathHdr >> 8)} },
		func(f *flow.Flow, v value) { f.NSH.PathHdr = f.NSH.PathHdr&0xff | uint32(v.lo)<<8 }},
	{"si", kindDec, 8,
		func(f *flow.Flow) value { return value{0, uint64(f.NSH.PathHdr & 0xff)} },
		func(f *flow.Flow, v value) { f.NSH.PathHdr = f.NSH.PathHdr&^0xff | uint32(v.lo)&0xff }},
	u32("c1", kindHex0, func(f *flow.Flow) *uint32 { return &f.NSH.Context[0] }),
	u32("c2", kindHex0, func(f *flow.Flow) *uint32 { return &f.NSH.Context[1] }),
	u32("c3", kindHex0, func(f *flow.Flow) *uint32 { return &f.NSH.Context[2] }),
	u32("c4", kindHex0, func(f *flow.Flow) *uint32 { return &f.NSH.Context[3] }),
}}

var itemCTTuple4 = item{AttrCTTuple4, "ct_tuple4", []member{
	u32("src", kindIPv4, func(f *flow.Flow) *uint32 { return &f.CTNwSrc }),
	u32("dst", kindIPv4, func(f *flow.Flow) *uint32 { return &f.CTNwDst }),
	u8("proto", kindDec, func(f *flow.Flow) *uint8 { return &f.CTNwProto }),
	u16("tp_src", kindDec, func(f *flow.Flow) *uint16 { return &f.CTTpSrc }),
	u16("tp_dst", kindDec, func(f *flow.Flow) *uint16 { return &f.CTTpDst }),
}}

var itemCTTuple6 = item{AttrCTTuple6, "ct_tuple6", []member{
	ip6("src", func(f *flow.Flow) *flow.IPv6 { return &f.CTIPv6Src }),
	ip6("dst", func(f *flow.Flow) *flow.IPv6 { return &f.CTIPv6Dst }),
	u8("proto", kindDec, func(f *flow.Flow) *uint8 { return &f.CTNwProto }),
	u16("src_port", kindDec, func(f *flow.Flow) *uint16 { return &f.CTTpSrc }),
	u16("dst_port", kindDec, func(f *flow.Flow) *uint16 { return &f.CTTpDst }),
}}

var itemPacketType = item{AttrPacketType, "packet_type", []member{
	{"ns", kindDec, 16,
		func(f *flow.Flow) value { return value{0, uint64(f.PacketType >> 16)} },
		func(f *flow.Flow, v value) { f.PacketType = f.PacketType&0xffff | uint32(v.lo)<<16 }},
	{"id", kindHex, 16,
		func(f *flow.Flow) value { return value{0, uint64(f.PacketType & 0xffff)} },
		func(f *flow.Flow, v value) { f.PacketType = f.PacketType&^0xffff | uint32(v.lo)&0xffff }},
}}

// items with members, by name, for the parser; those of one header of the key.
var memberItems = []*item{
	&itemEth, &itemIPv4, &itemIPv6, &itemARP, &itemTCP, &itemUDP, &itemSCTP, &itemICMP, &itemICMPv6,
	&itemND, &itemNDExt, &itemNSH, &itemCTTuple4, &itemCTTuple6, &itemPacketType,
}

// scalar is an attribute whose text is name(value[/mask]).
type scalar struct {
	attr Attr
	name string
	m    member
}

var scalars = []scalar{
	{AttrSkbPriority, "skb_priority", u32("", kindHex, func(f *flow.Flow) *uint32 { return &f.SkbPriority })},
	{AttrSkbMark, "skb_mark", u32("", kindHex, func(f *flow.Flow) *uint32 { return &f.PktMark })},
	{AttrCTZone, "ct_zone", u16("", kindHex, func(f *flow.Flow) *uint16 { return &f.CTZone })},
	{AttrCTMark, "ct_mark", u32("", kindHex, func(f *flow.Flow) *uint32 { return &f.CTMark })},
	{AttrRecircID, "recirc_id", u32("", kindHex, func(f *flow.Flow) *uint32 { return &f.RecircID })},
	{AttrDPHash, "dp_hash", u32("", kindHex, func(f *flow.Flow) *uint32 { return &f.DPHash })},
}

func scalarOf(a Attr) *scalar {
	for i := range scalars {
		if scalars[i].attr == a {
			return &scalars[i]
		}
	}
	return nil
}

func memberItemOf(a Attr) *item {
	for _, it := range memberItems {
		if it.attr == a {
			return it
		}
	}
	return nil
}

// flagNames are the names of bits, lowest first.
type flagNames []string

var ctStateNames = flagNames{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"}
var tcpFlagNames = flagNames{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"}
var tunFlagNames = flagNames{"oam", "df", "csum", "key"}

// slowPathNames are the reasons of slow_path(…), by bit.
var slowPathNames = flagNames{"cfm", "bfd", "lacp", "stp", "lldp", "action", "match"}

// Bits of UserspaceArg.SlowReason.
const (
	SlowCFM = 1 << iota
	SlowBFD
	SlowLACP
	SlowSTP
	SlowLLDP
	SlowAction
	SlowMatch
)
