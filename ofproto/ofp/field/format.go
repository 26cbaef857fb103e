package field

import (
	"math/bits"
	"net/netip"
	"strconv"

	"sluice/dpif/flow"
)

// Names of flag bits, by bit number; "" has none.
var (
	tcpFlagNames = []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"}
	ctStateNames = []string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"}
	tunFlagNames = []string{"oam"} // as the field shows it
)

// TCPFlagNames returns the names of TCP flags, CTStateNames of conntrack states, by
// bit.
func TCPFlagNames() []string { return tcpFlagNames }

// CTStateNames returns the names of the bits of a conntrack state.
func CTStateNames() []string { return ctStateNames }

// TunFlagNames returns the names of the bits of flow.Tunnel.Flags.
func TunFlagNames() []string { return []string{"df", "csum", "key", "oam"} }

func flagName(names []string, bit int) string {
	if bit < len(names) {
		return names[bit]
	}
	return ""
}

// AppendFlags appends the names of the set bits, sep between them; "0" for none.
func AppendFlags(b []byte, names []string, flags uint32, sep byte) []byte {
	if flags == 0 {
		return append(b, '0')
	}
	var bad uint32
	first := true
	for ; flags != 0; flags &= flags - 1 {
		bit := bits.TrailingZeros32(flags)
		name := flagName(names, bit)
		if name == "" {
			bad |= 1 << bit
			continue
		}
		if !first {
			b = append(b, sep)
		}
		first = false
		b = append(b, name...)
	}
	if bad != 0 {
		if !first {
			b = append(b, sep)
		}
		b = append(b, "0x"...)
		b = strconv.AppendUint(b, uint64(bad), 16)
	}
	return b
}

// AppendFlagsMasked appends flags under mask as +set-unset; an exact mask (all) gives
// the names alone.
func AppendFlagsMasked(b []byte, names []string, flags, mask, all uint32) []byte {
	if mask == all {
		return AppendFlags(b, names, flags, '|')
	}
	if mask == 0 {
		return append(b, "0/0"...)
	}
	for ; mask != 0; mask &= mask - 1 {
		bit := bits.TrailingZeros32(mask)
		sign := byte('-')
		if flags>>bit&1 != 0 {
			sign = '+'
		}
		b = append(b, sign)
		if name := flagName(names, bit); name != "" {
			b = append(b, name...)
		} else {
			b = append(b, "[Unknown]"...)
		}
	}
	return b
}

// AppendHex appends data as one hexadecimal number without leading zeros; 0 is "0".
func AppendHex(b []byte, data []byte) []byte {
	const digits = "0123456789abcdef"
	i := 0
	for i < len(data) && data[i] == 0 {
		i++
	}
	if i == len(data) {
		return append(b, '0')
	}
	b = append(b, "0x"...)
	if data[i] < 16 {
		b = append(b, digits[data[i]])
	} else {
		b = append(b, digits[data[i]>>4], digits[data[i]&15])
	}
	for _, x := range data[i+1:] {
		b = append(b, digits[x>>4], digits[x&15])
	}
	return b
}

// AppendMAC appends an Ethernet address.
func AppendMAC(b []byte, mac []byte) []byte {
	const digits = "0123456789abcdef"
	for i, x := range mac[:6] {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[x>>4], digits[x&15])
	}
	return b
}

// AppendMACMasked appends an Ethernet address, and its mask unless that is exact.
func AppendMACMasked(b []byte, mac, mask []byte) []byte {
	b = AppendMAC(b, mac)
	if mask != nil && !allOnes(mask[:6]) {
		b = append(b, '/')
		b = AppendMAC(b, mask)
	}
	return b
}

// AppendIPv4 appends an IPv4 address.
func AppendIPv4(b []byte, ip uint32) []byte {
	for shift := 24; shift >= 0; shift -= 8 {
		b = strconv.AppendUint(b, uint64(ip>>shift&0xff), 10)
		if shift > 0 {
			b = append(b, '.')
		}
	}
	return b
}

// AppendIPv4Masked appends an IPv4 address with a CIDR suffix or netmask.
func AppendIPv4Masked(b []byte, ip, mask uint32) []byte {
	b = AppendIPv4(b, ip)
	if mask == 0xffffffff {
		return b
	}
	b = append(b, '/')
	if IsCIDR(mask) {
		return strconv.AppendInt(b, int64(bits.OnesCount32(mask)), 10)
	}
	return AppendIPv4(b, mask)
}

// IsCIDR says whether mask is a run of ones from the top.
func IsCIDR(mask uint32) bool { return ^mask&(^mask+1) == 0 }

// AppendIPv6 appends an IPv6 address as inet_ntop does.
func AppendIPv6(b []byte, ip []byte) []byte {
	a := [16]byte(ip)
	// An address that looks IPv4-compatible is shown with its last part dotted.
	if allZero(a[:12]) && (a[12] != 0 || a[13] != 0) {
		b = append(b, "::"...)
		return AppendIPv4(b, be.Uint32(a[12:]))
	}
	return netip.AddrFrom16(a).AppendTo(b)
}

// AppendIPv6Masked appends an IPv6 address with a CIDR suffix or mask; a nil mask is
// exact.
func AppendIPv6Masked(b []byte, ip, mask []byte) []byte {
	b = AppendIPv6(b, ip)
	if mask == nil || allOnes(mask[:16]) {
		return b
	}
	b = append(b, '/')
	if n, ok := prefixLen(mask[:16]); ok {
		return strconv.AppendInt(b, int64(n), 10)
	}
	return AppendIPv6(b, mask)
}

// prefixLen returns the number of ones of a mask that has no one after a zero.
func prefixLen(mask []byte) (n int, ok bool) {
	for i, x := range mask {
		if x != 0xff {
			ones := bits.LeadingZeros8(^x)
			return n + ones, x<<ones == 0 && allZero(mask[i+1:])
		}
		n += 8
	}
	return n, true
}

// AppendPacketTypeMasked appends a packet type.
func AppendPacketTypeMasked(b []byte, value, mask uint32) []byte {
	if value == flow.PacketTypeEth && mask == 0xffffffff {
		return append(b, "eth"...)
	}
	b = append(b, "packet_type=("...)
	b = appendU16Masked(b, uint16(value>>16), uint16(mask>>16))
	b = append(b, ',')
	b = appendU16Masked(b, uint16(value), uint16(mask))
	return append(b, ')')
}

func appendU16Masked(b []byte, value, mask uint16) []byte {
	if mask == 0 {
		return append(b, '*')
	}
	if value > 9 {
		b = append(b, "0x"...)
		b = strconv.AppendUint(b, uint64(value), 16)
	} else {
		b = strconv.AppendUint(b, uint64(value), 10)
	}
	if mask != 0xffff {
		b = append(b, "/0x"...)
		b = strconv.AppendUint(b, uint64(mask), 16)
	}
	return b
}

// AppendValue appends the text of a value of the field under mask; a nil mask is
// exact.  It is the text of set_field and of field lists; a match has a text of its
// own (package match).
func (f *Field) AppendValue(b []byte, v, mask *Value, ports PortMap) []byte {
	if mask != nil {
		if f.AllZero(mask) {
			return append(b, "ANY"...)
		}
		if f.AllOnes(mask) {
			mask = nil
		}
	}
	m := mask
	if m == nil {
		m = &Ones
	}
	switch f.Format {
	case Port32:
		if mask == nil {
			return AppendPort(b, be.Uint32(v[:]), ports)
		}
	case Port16:
		if mask == nil {
			return AppendPort(b, PortFrom16(be.Uint16(v[:])), ports)
		}
	case CTStateBits:
		return AppendFlagsMasked(b, ctStateNames, be.Uint32(v[:]), be.Uint32(m[:]), 0xffff)
	case Ethernet:
		return AppendMACMasked(b, v[:], m[:])
	case IPv4Addr:
		return AppendIPv4Masked(b, be.Uint32(v[:]), be.Uint32(m[:]))
	case IPv6Addr:
		return AppendIPv6Masked(b, v[:16], m[:16])
	case Frag:
		return append(b, fragName(v[0], m[0])...)
	case TunFlagBits:
		return AppendFlagsMasked(b, tunFlagNames, uint32(be.Uint16(v[:])), uint32(be.Uint16(m[:])&1), 1)
	case TCPFlagBits:
		return AppendFlagsMasked(b, tcpFlagNames, uint32(be.Uint16(v[:])), uint32(be.Uint16(m[:])&0xfff), 0xfff)
	case PacketTypePair:
		return AppendPacketTypeMasked(b, be.Uint32(v[:]), be.Uint32(m[:]))
	}
	return f.appendInteger(b, v, mask)
}

func (f *Field) appendInteger(b []byte, v, mask *Value) []byte {
	if f.Format == Hexadecimal {
		b = AppendHex(b, v[:f.Size])
	} else {
		b = strconv.AppendUint(b, v.uint(f.Size), 10)
	}
	if mask != nil {
		b = append(b, '/')
		b = AppendHex(b, mask[:f.Size])
	}
	return b
}

var frags = [...]struct {
	name        string
	mask, value uint8
}{
	{"no", 3, 0}, {"first", 3, 1}, {"later", 3, 3},
	{"no", 1, 0}, {"yes", 1, 1},
	{"not_later", 2, 0}, {"later", 2, 2},
}

func fragName(value, mask uint8) string {
	mask &= 3
	value &= mask
	for i := range frags {
		if frags[i].mask == mask && frags[i].value == value {
			return frags[i].name
		}
	}
	return "<error>"
}

// AppendText appends the text of s, such as NXM_NX_REG0[0..5].
func (s Sub) AppendText(b []byte) []byte {
	if name := WireName(s.ID); name != "" {
		b = append(b, name...)
	} else {
		b = append(b, s.ID.String()...)
	}
	switch {
	case s.IsWhole():
		return append(b, "[]"...)
	case s.Bits == 1:
		b = append(b, '[')
		b = strconv.AppendUint(b, uint64(s.Ofs), 10)
		return append(b, ']')
	}
	b = append(b, '[')
	b = strconv.AppendUint(b, uint64(s.Ofs), 10)
	b = append(b, ".."...)
	b = strconv.AppendInt(b, int64(s.Ofs)+int64(s.Bits)-1, 10)
	return append(b, ']')
}
