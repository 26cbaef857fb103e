package field

import (
	"fmt"
	"math"
	"net/netip"
	"strings"

	"sluice/dpif/flow"
)

// scanInt reads a C integer (decimal, 0x hexadecimal, 0 octal) from the beginning of
// s and returns what follows it.  big is set if it does not fit 64 bits.
func scanInt(s string) (n uint64, rest string, ok, big bool) {
	t := strings.TrimLeft(s, " \t\r\n\v\f")
	neg := false
	if t != "" && (t[0] == '+' || t[0] == '-') {
		neg = t[0] == '-'
		t = t[1:]
	}
	base := uint64(10)
	switch {
	case len(t) > 2 && t[0] == '0' && t[1]|0x20 == 'x' && hexDigit(t[2]) >= 0:
		base, t = 16, t[2:]
	case t != "" && t[0] == '0':
		base = 8
	}
	i := 0
	for ; i < len(t); i++ {
		d := hexDigit(t[i])
		if d < 0 || uint64(d) >= base {
			break
		}
		if n > (math.MaxUint64-uint64(d))/base {
			big = true
		}
		n = n*base + uint64(d)
	}
	if i == 0 {
		return 0, s, false, false
	}
	if neg {
		n = -n
	}
	return n, t[i:], true, big
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// parseInt reads an integer of the width of dst from s and returns what follows.
func parseInt(s string, dst []byte) (rest string, ok, tooBig bool) {
	if len(s) >= 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		return parseHex(s[2:], dst)
	}
	n, rest, ok, big := scanInt(s)
	if !ok || big {
		return s, false, big
	}
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = byte(n)
		n >>= 8
	}
	return rest, true, n != 0
}

// parseHex reads any number of hexadecimal digits, white space between them allowed.
func parseHex(s string, dst []byte) (rest string, ok, tooBig bool) {
	clear(dst)
	n := 0
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" || hexDigit(s[0]) < 0 {
			return s, true, false
		}
		d := byte(hexDigit(s[0]))
		s = s[1:]
		if d == 0 && n == 0 {
			continue
		}
		if (n+2)/2 > len(dst) {
			return s, true, true
		}
		n++
		for i := range dst {
			dst[i] <<= 4
			if i+1 < len(dst) {
				dst[i] |= dst[i+1] >> 4
			}
		}
		dst[len(dst)-1] |= d
	}
}

func (f *Field) parseInteger(s string, v, mask *Value) error {
	bad := func(what string, tooBig bool) error {
		if tooBig {
			return fmt.Errorf("%s: %s too large for %d-byte field %s", s, what, f.Size, f.Name)
		}
		return fmt.Errorf("%s: bad syntax for %s %s", s, f.Name, what)
	}
	rest, ok, tooBig := parseInt(s, v[:f.Size])
	if !ok || tooBig || rest != "" && rest[0] != '/' {
		return bad("value", tooBig)
	}
	if rest == "" {
		setOnes(mask, f.Size)
		return nil
	}
	if rest, ok, tooBig = parseInt(rest[1:], mask[:f.Size]); !ok || tooBig || rest != "" {
		return bad("mask", tooBig)
	}
	return nil
}

// ParseMAC reads an Ethernet address, such as 0:1:22:3:4:5.
func ParseMAC(s string) (mac flow.MAC, ok bool) {
	parts := strings.Split(s, ":")
	if len(parts) != 6 {
		return mac, false
	}
	for i, p := range parts {
		if p == "" || len(p) > 2 {
			return mac, false
		}
		for j := range len(p) {
			d := hexDigit(p[j])
			if d < 0 {
				return mac, false
			}
			mac[i] = mac[i]<<4 | byte(d)
		}
	}
	return mac, true
}

func parseMACMasked(s string, v, mask *Value) error {
	val, m, masked := strings.Cut(s, "/")
	mac, ok := ParseMAC(val)
	copy(v[:], mac[:])
	setOnes(mask, 6)
	if ok && masked {
		mac, ok = ParseMAC(m)
		copy(mask[:], mac[:])
	}
	if !ok {
		return fmt.Errorf("%s: invalid Ethernet address", s)
	}
	return nil
}

// ParseIPv4 reads an IPv4 address in dotted form.
func ParseIPv4(s string) (ip uint32, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return 0, false
	}
	for _, p := range parts {
		n := uint32(0)
		if p == "" || len(p) > 3 {
			return 0, false
		}
		for i := range len(p) {
			if p[i] < '0' || p[i] > '9' {
				return 0, false
			}
			n = n*10 + uint32(p[i]-'0')
		}
		if n > 255 {
			return 0, false
		}
		ip = ip<<8 | n
	}
	return ip, true
}

// ParseIPv4Masked reads an IPv4 address with an optional CIDR suffix or netmask.
func ParseIPv4Masked(s string) (ip, mask uint32, err error) {
	val, m, masked := strings.Cut(s, "/")
	ip, ok := ParseIPv4(val)
	mask = 0xffffffff
	if ok && masked {
		if strings.Contains(m, ".") {
			mask, ok = ParseIPv4(m)
		} else {
			n, rest, isInt, big := scanInt(m)
			ok = isInt && rest == ""
			if ok && (big || n > 32) {
				return 0, 0, fmt.Errorf("%s: IPv4 network prefix bits not between 0 and 32, inclusive", s)
			}
			mask = ^uint32(0) << (32 - n)
			if n == 0 {
				mask = 0
			}
		}
	}
	if !ok {
		return 0, 0, fmt.Errorf("%s: invalid IP address", s)
	}
	return ip, mask, nil
}

// ParseIPv6Masked reads an IPv6 address with an optional CIDR suffix or mask.
func ParseIPv6Masked(s string) (ip, mask flow.IPv6, err error) {
	val, m, masked := strings.Cut(strings.TrimLeft(s, " "), "/")
	a, e := netip.ParseAddr(val)
	if e != nil || !a.Is6() || a.Zone() != "" {
		return ip, mask, fmt.Errorf("%s: invalid IPv6 address", s)
	}
	ip = a.As16()
	for i := range mask {
		mask[i] = 0xff
	}
	if !masked {
		return ip, mask, nil
	}
	if n, rest, ok, big := scanInt(m); ok && rest == "" {
		if big || n > 128 {
			return ip, mask, fmt.Errorf("%s: IPv6 network prefix bits not between 0 and 128, inclusive", s)
		}
		return ip, ipv6Prefix(int(n)), nil
	}
	a, e = netip.ParseAddr(m)
	if e != nil || !a.Is6() || a.Zone() != "" {
		return ip, mask, fmt.Errorf("%s: Invalid IPv6 mask", s)
	}
	return ip, a.As16(), nil
}

func ipv6Prefix(n int) (m flow.IPv6) {
	for i := range n / 8 {
		m[i] = 0xff
	}
	if n%8 != 0 {
		m[n/8] = ^byte(0xff >> (n % 8))
	}
	return m
}

// ParseFlags reads flags: numbers or names joined by '|', number/mask, or
// +name-name...  what names the flags in errors.
func ParseFlags(s string, names []string, what string, allowed uint32) (flags, mask uint32, err error) {
	unknown := func() (uint32, uint32, error) {
		return 0, 0, fmt.Errorf("%s: unknown %s flag(s)", s, what)
	}
	if v, rest, ok, _ := scanInt(s); ok && strings.HasPrefix(rest, "/") {
		if m, _, ok, _ := scanInt(rest[1:]); ok {
			if (v|m)&^uint64(allowed) != 0 {
				return unknown()
			}
			return uint32(v), uint32(m), nil
		}
	}
	if s != "" && (s[0] == '+' || s[0] == '-') {
		return parseSignedFlags(s, names, what, allowed)
	}
	for t := s; t != ""; {
		if v, rest, ok, _ := scanInt(t); ok {
			if v&^uint64(allowed) != 0 {
				return unknown()
			}
			flags |= uint32(v)
			t = strings.TrimPrefix(rest, "|")
			continue
		}
		name, rest, _ := strings.Cut(t, "|")
		bit := flagBit(names, name)
		if bit < 0 || allowed>>bit&1 == 0 {
			return unknown()
		}
		flags |= 1 << bit
		t = rest
	}
	return flags, math.MaxUint32, nil
}

func flagBit(names []string, name string) int {
	for i, n := range names {
		if n == name && n != "" {
			return i
		}
	}
	return -1
}

func parseSignedFlags(s string, names []string, what string, allowed uint32) (flags, mask uint32, err error) {
	for s != "" {
		if s[0] != '+' && s[0] != '-' {
			return 0, 0, fmt.Errorf("%s: %s must be preceded by '+' (for SET) or '-' (NOT SET)", s, what)
		}
		set := s[0] == '+'
		s = s[1:]
		end := strings.IndexAny(s, "+-")
		if end < 0 {
			end = len(s)
		}
		bit := flagBit(names, s[:end])
		switch {
		case bit < 0 || allowed>>bit&1 == 0:
			return 0, 0, fmt.Errorf("%s: unknown %s flag(s)", s, what)
		case mask>>bit&1 != 0:
			return 0, 0, fmt.Errorf("%s: Each %s flag can be specified only once", s, what)
		}
		mask |= 1 << bit
		if set {
			flags |= 1 << bit
		}
		s = s[end:]
	}
	return flags, mask, nil
}

// Parse reads the text of a value, with a mask if it has one, into v and mask.
func (f *Field) Parse(s string, ports PortMap, v, mask *Value) error {
	if s == "*" {
		clear(v[:f.Size])
		clear(mask[:f.Size])
		return nil
	}
	if err := f.parse(s, ports, v, mask); err != nil {
		return err
	}
	if !f.MaskValid(mask) {
		return fmt.Errorf("%s: invalid mask for field %s", s, f.Name)
	}
	return nil
}

func (f *Field) parse(s string, ports PortMap, v, mask *Value) error {
	setOnes(mask, f.Size)
	switch f.Format {
	case CTStateBits:
		flags, m, err := ParseFlags(s, ctStateNames, "ct_state", 0xff)
		be.PutUint32(v[:], flags)
		be.PutUint32(mask[:], m)
		return err
	case Ethernet:
		return parseMACMasked(s, v, mask)
	case IPv4Addr:
		ip, m, err := ParseIPv4Masked(s)
		be.PutUint32(v[:], ip)
		be.PutUint32(mask[:], m)
		return err
	case IPv6Addr:
		ip, m, err := ParseIPv6Masked(s)
		copy(v[:], ip[:])
		copy(mask[:], m[:])
		return err
	case Port16:
		port, ok := ParsePort(s, ports)
		if !ok {
			return fmt.Errorf("%s: invalid or unknown port for %s", s, f.Name)
		}
		be.PutUint16(v[:], PortTo16(port))
		return nil
	case Port32:
		port, ok := ParsePort(s, ports)
		if !ok {
			return fmt.Errorf("%s: port value out of range for %s", s, f.Name)
		}
		be.PutUint32(v[:], port)
		return nil
	case Frag:
		return parseFrag(s, v, mask)
	case TunFlagBits:
		return parseFlags16(s, tunFlagNames, "tunnel", 1, v, mask)
	case TCPFlagBits:
		return parseFlags16(s, tcpFlagNames, "TCP", 0xfff, v, mask)
	case PacketTypePair:
		return parsePacketType(s, v)
	}
	return f.parseInteger(s, v, mask)
}

func parseFlags16(s string, names []string, what string, allowed uint32, v, mask *Value) error {
	flags, m, err := ParseFlags(s, names, what, allowed)
	be.PutUint16(v[:], uint16(flags))
	be.PutUint16(mask[:], uint16(m))
	return err
}

func parseFrag(s string, v, mask *Value) error {
	for i := range frags {
		if strings.EqualFold(s, frags[i].name) {
			// The bits that do not exist are set, so that 3 is an exact match.
			v[0], mask[0] = frags[i].value, frags[i].mask|0xfc
			return nil
		}
	}
	return fmt.Errorf("%s: unknown fragment type (valid types are \"no\", \"yes\", \"first\", \"later\", \"not_later\"", s)
}

func parsePacketType(s string, v *Value) error {
	bad := func(s, what string) error { return fmt.Errorf("%s: bad syntax for packet type %s", s, what) }
	if !strings.HasPrefix(s, "(") {
		return bad(s, "missing '('")
	}
	s = s[1:]
	rest, ok, big := parseInt(s, v[:2])
	if !ok || big {
		return bad(s, "ns")
	}
	if !strings.HasPrefix(rest, ",") {
		return bad(s, "missing ','")
	}
	s = rest[1:]
	if rest, ok, big = parseInt(s, v[2:4]); !ok || big {
		return bad(s, "ns_type")
	}
	if !strings.HasPrefix(rest, ")") {
		return bad(s, "missing ')'")
	}
	return nil
}

// ParseExact is Parse for places that take no mask.
func (f *Field) ParseExact(s string, ports PortMap, v *Value) error {
	var mask Value
	if err := f.Parse(s, ports, v, &mask); err != nil {
		return err
	}
	if !f.AllOnes(&mask) {
		return fmt.Errorf("%s: wildcards not allowed here", s)
	}
	return nil
}

// ParseName finds a field by any of its names.
func ParseName(s string) (ID, error) {
	if w, ok := byNXM[s]; ok {
		return w.id, nil
	}
	if id, ok := ByName(s); ok {
		return id, nil
	}
	return 0, fmt.Errorf("unknown field `%s'", s)
}

// ScanSub reads a subfield, such as NXM_NX_REG0[0..5] or reg0, from the beginning of
// s and returns what follows it.
func ScanSub(s string) (sub Sub, rest string, err error) {
	end := strings.IndexAny(s, "[-")
	if end < 0 {
		end = len(s)
	}
	name := s[:end]
	id, _, ok := ByWireName(name)
	if !ok {
		if id, ok = ByName(name); !ok {
			return sub, s, fmt.Errorf("%s: unknown field `%s'", s, name)
		}
	}
	width := int64(table[id].Bits)
	start, last := int64(0), width-1
	rest = s[end:]
	if strings.HasPrefix(rest, "[") {
		closing := strings.IndexByte(rest, ']')
		if closing < 0 || !scanRange(rest[1:closing], &start, &last) {
			return sub, s, fmt.Errorf("%s: syntax error expecting [] or [<bit>] or [<start>..<end>]", s)
		}
		rest = rest[closing+1:]
	}
	switch {
	case start > last:
		return sub, s, fmt.Errorf("%s: starting bit %d is after ending bit %d", s, start, last)
	case start >= width || start < 0:
		return sub, s, fmt.Errorf("%s: starting bit %d is not valid because field is only %d bits wide", s, start, width)
	case last >= width:
		return sub, s, fmt.Errorf("%s: ending bit %d is not valid because field is only %d bits wide", s, last, width)
	}
	return Sub{ID: id, Ofs: uint16(start), Bits: uint16(last - start + 1)}, rest, nil
}

func scanRange(s string, start, last *int64) bool {
	if s == "" {
		return true
	}
	a, b, two := strings.Cut(s, "..")
	n, ok := parseDecimal(a)
	if !ok {
		return false
	}
	*start, *last = n, n
	if two {
		n, ok = parseDecimal(b)
		*last = n
	}
	return ok
}

func parseDecimal(s string) (n int64, ok bool) {
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	if s == "" || len(s) > 9 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	if neg {
		n = -n
	}
	return n, true
}

// ParseSub reads a subfield from the whole of s.
func ParseSub(s string) (Sub, error) {
	sub, rest, err := ScanSub(s)
	if err == nil && rest != "" {
		return sub, fmt.Errorf("unexpected input following field syntax")
	}
	return sub, err
}

// ParseNumber reads a number of the field's width, whatever its text form.
func (f *Field) ParseNumber(s string) (v Value, ok bool) {
	rest, ok, big := parseInt(s, v[:f.Size])
	return v, ok && !big && rest == ""
}

// ScanNumber reads a number from the beginning of s into dst, big-endian, and returns
// what follows it.
func ScanNumber(s string, dst []byte) (rest string, ok bool) {
	rest, ok, big := parseInt(s, dst)
	return rest, ok && !big
}
