package odp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/dpif/flow"
)

// ParseKey parses the text of a datapath key as FormatKey writes it and as users
// type it: members left out are zero and wildcarded in mask, members given
// without a mask are exact.  in_port takes a number or a name that names knows.
// Unmentioned Ethernet types of VLAN headers follow from the encap() nesting.
func ParseKey(s string, names PortNames) (key flow.Flow, mask flow.Mask, err error) {
	return parseKey(s, names, false)
}

// ParseExactKey parses the key of one packet: there are no masks, and members that are
// left out are zero.  mask tells which items were given.
func ParseExactKey(s string, names PortNames) (key flow.Flow, mask flow.Mask, err error) {
	return parseKey(s, names, true)
}

func parseKey(s string, names PortNames, exact bool) (key flow.Flow, mask flow.Mask, err error) {
	nodes, at, err := parseNodes(s)
	if err != nil {
		return key, mask, &KeyError{s[at:], unix.EINVAL, err}
	}
	p := keyParser{key: &key, mask: mask.AsFlow(), names: names, exact: exact}
	key.InPort = ^uint32(0)
	for i := range nodes {
		// A flow's identifier may stand before its key.
		if strings.HasPrefix(nodes[i].name, "ufid:") {
			continue
		}
		if err := p.attr(&nodes[i]); err != nil {
			no := unix.EINVAL
			errors.As(err, &no)
			return key, mask, &KeyError{s[nodes[i].at:], no, err}
		}
	}
	if key.DLType == 0 {
		if t := impliedType(nodes); t != 0 {
			key.DLType, mask.DLType = t, 0xffff
		}
	}
	return key, mask, nil
}

// KeyError says where a key cannot be parsed, in stock's words; Cause is why.
type KeyError struct {
	At    string     // the rest of the text, from the attribute on
	Errno unix.Errno // EINVAL, or E2BIG for what does not fit in a Netlink message
	Cause error
}

func (e *KeyError) Error() string { return "syntax error at " + e.At }

// Unwrap is the system's error for it.
func (e *KeyError) Unwrap() error { return e.Errno }

// impliedType is the Ethernet type of a key that has ipv4() or ipv6() and does not
// say which type that is.
func impliedType(nodes []node) uint16 {
	for i := range nodes {
		switch nodes[i].name {
		case "ipv4":
			return flow.EthIPv4
		case "ipv6":
			return flow.EthIPv6
		case "encap":
			return impliedType(nodes[i].kids)
		}
	}
	return 0
}

// keyParser fills key and mask from nodes.
type keyParser struct {
	key, mask *flow.Flow
	names     PortNames
	exact     bool // see ParseExactKey
	vlans     int  // encap() levels entered
}

func (p *keyParser) attr(n *node) error {
	if !n.group {
		return fmt.Errorf("syntax error: %s is not a key attribute", n.name)
	}
	for i := range scalars {
		if scalars[i].name == n.name {
			return p.scalar(&scalars[i], n)
		}
	}
	for _, it := range memberItems {
		if it.name == n.name {
			return p.item(it, n)
		}
	}
	switch n.name {
	case "ct_state":
		return p.flags(n, ctStateNames, 0xff, func(f *flow.Flow, v uint32) { f.CTState = uint8(v) })
	case "tcp_flags":
		return p.flags(n, tcpFlagNames, 0xfff, func(f *flow.Flow, v uint32) { f.TCPFlags = uint16(v) })
	case "ct_label":
		return p.ctLabel(n)
	case "tunnel":
		return parseTunnel(n, &p.key.Tunnel, &p.mask.Tunnel)
	case "in_port":
		return p.inPort(n)
	case "eth_type":
		return p.ethType(n)
	case "vlan":
		return p.vlan(n)
	case "encap":
		return p.encap(n)
	case "mpls":
		return p.mpls(n)
	}
	return fmt.Errorf("unknown key attribute %s", n.name)
}

// only returns the text of the one kid of n.
func only(n *node) (string, error) {
	if len(n.kids) != 1 || n.kids[0].group {
		return "", fmt.Errorf("%s takes one value", n.name)
	}
	if n.kids[0].value != "" {
		return n.kids[0].name + "=" + n.kids[0].value, nil
	}
	return n.kids[0].name, nil
}

func (p *keyParser) scalar(s *scalar, n *node) error {
	text, err := only(n)
	if err != nil {
		return err
	}
	return p.member(&s.m, n.name, text)
}

func (p *keyParser) item(it *item, n *node) error {
	if p.exact {
		for i := range it.members {
			it.members[i].set(p.mask, onesOf(it.members[i].bits))
		}
	}
	for i := range n.kids {
		k := &n.kids[i]
		m := it.member(k.name)
		if m == nil {
			return fmt.Errorf("%s has no member %s", n.name, k.name)
		}
		if err := p.member(m, n.name+"."+k.name, k.value); err != nil {
			return err
		}
	}
	return nil
}

func (it *item) member(name string) *member {
	if it.attr == AttrCTTuple6 { // printed as src_port, read as tp_src too
		switch name {
		case "tp_src":
			name = "src_port"
		case "tp_dst":
			name = "dst_port"
		}
	}
	for i := range it.members {
		if it.members[i].name == name {
			return &it.members[i]
		}
	}
	return nil
}

func (p *keyParser) member(m *member, name, text string) error {
	v, mask, err := parseMasked(m, text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if p.exact && mask != onesOf(m.bits) {
		return fmt.Errorf("%s: no mask is possible", name)
	}
	m.set(p.key, v)
	m.set(p.mask, mask)
	return nil
}

// parseMasked parses value or value/mask of a member.
func parseMasked(m *member, text string) (v, mask value, err error) {
	text, maskText, hasMask := strings.Cut(text, "/")
	if v, err = parseValue(m, text); err != nil {
		return v, mask, err
	}
	mask = onesOf(m.bits)
	if hasMask {
		mask, err = parseValue(m, maskText)
	}
	return v, mask, err
}

func parseValue(m *member, text string) (value, error) {
	switch m.kind {
	case kindIPv4:
		a, err := netip.ParseAddr(text)
		if err != nil || !a.Is4() {
			return value{}, fmt.Errorf("bad IPv4 address %q", text)
		}
		b := a.As4()
		return value{0, uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])}, nil
	case kindIPv6:
		a, err := netip.ParseAddr(text)
		if err != nil || !a.Is6() {
			return value{}, fmt.Errorf("bad IPv6 address %q", text)
		}
		return ip6Value(a.As16()), nil
	case kindMAC:
		mac, err := parseMAC(text)
		return macValue(mac), err
	case kindFrag:
		switch text {
		case "no":
			return value{}, nil
		case "first":
			return value{0, flow.NwFragAny}, nil
		case "later":
			return value{0, flow.NwFragAny | flow.NwFragLater}, nil
		}
	}
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil || n > onesOf(m.bits).lo {
		return value{}, fmt.Errorf("bad value %q", text)
	}
	return value{0, n}, nil
}

func parseMAC(s string) (m flow.MAC, err error) {
	parts := strings.Split(s, ":")
	if len(parts) != 6 {
		return m, fmt.Errorf("bad Ethernet address %q", s)
	}
	for i, part := range parts {
		b, err := strconv.ParseUint(part, 16, 8)
		if err != nil {
			return m, fmt.Errorf("bad Ethernet address %q", s)
		}
		m[i] = byte(b)
	}
	return m, nil
}

// flags parses 0x12[/0x34], a|b, or +a-b.
func (p *keyParser) flags(n *node, names flagNames, full uint32, set func(*flow.Flow, uint32)) error {
	text, err := only(n)
	if err != nil {
		return err
	}
	v, mask, err := parseFlags(text, names, full)
	if err != nil {
		return fmt.Errorf("%s: %w", n.name, err)
	}
	set(p.key, v)
	set(p.mask, mask)
	return nil
}

func parseFlags(text string, names flagNames, full uint32) (v, mask uint32, err error) {
	if text != "" && (text[0] == '+' || text[0] == '-') {
		return parseSignedFlags(text, names)
	}
	valText, maskText, hasMask := strings.Cut(text, "/")
	mask = full
	if hasMask {
		m, err := strconv.ParseUint(maskText, 0, 32)
		if err != nil {
			return 0, 0, fmt.Errorf("bad mask %q", maskText)
		}
		mask = uint32(m) & full
	}
	if n, err := strconv.ParseUint(valText, 0, 32); err == nil {
		return uint32(n), mask, nil
	}
	for _, name := range strings.FieldsFunc(valText, func(r rune) bool { return r == '|' || r == ',' }) {
		bit, err := names.bit(name)
		if err != nil {
			return 0, 0, err
		}
		v |= bit
	}
	return v, mask, nil
}

func parseSignedFlags(text string, names flagNames) (v, mask uint32, err error) {
	for text != "" {
		sign := text[0]
		if sign != '+' && sign != '-' {
			return 0, 0, fmt.Errorf("bad flags %q", text)
		}
		end := strings.IndexAny(text[1:], "+-") + 1
		if end == 0 {
			end = len(text)
		}
		bit, err := names.bit(text[1:end])
		if err != nil {
			return 0, 0, err
		}
		mask |= bit
		if sign == '+' {
			v |= bit
		}
		text = text[end:]
	}
	return v, mask, nil
}

func (n flagNames) bit(name string) (uint32, error) {
	for i, s := range n {
		if s == name {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("unknown flag %q", name)
}

func (p *keyParser) ctLabel(n *node) error {
	text, err := only(n)
	if err != nil {
		return err
	}
	p.key.CTLabel, p.mask.CTLabel, err = parseU128Masked(text)
	return err
}

func parseU128Masked(text string) (v, mask flow.U128, err error) {
	text, maskText, hasMask := strings.Cut(text, "/")
	if v, err = parseU128(text); err != nil {
		return v, mask, err
	}
	mask = flow.U128{Hi: ^uint64(0), Lo: ^uint64(0)}
	if hasMask {
		mask, err = parseU128(maskText)
	}
	return v, mask, err
}

func parseU128(s string) (flow.U128, error) {
	h, ok := strings.CutPrefix(s, "0x")
	if !ok {
		n, err := strconv.ParseUint(s, 10, 64)
		return flow.U128{Lo: n}, err
	}
	if len(h) == 0 || len(h) > 32 {
		return flow.U128{}, fmt.Errorf("bad 128-bit value %q", s)
	}
	b, err := hex.DecodeString(strings.Repeat("0", 32-len(h)) + h)
	if err != nil {
		return flow.U128{}, fmt.Errorf("bad 128-bit value %q", s)
	}
	v := ip6Value(flow.IPv6(b))
	return flow.U128{Hi: v.hi, Lo: v.lo}, nil
}

func (p *keyParser) inPort(n *node) error {
	text, err := only(n)
	if err != nil {
		return err
	}
	if no, err := parsePort(text, p.names); err == nil {
		p.key.InPort, p.mask.InPort = no, ^uint32(0)
		return nil
	}
	return p.member(&inPortMember, n.name, text)
}

var inPortMember = u32("", kindDec, func(f *flow.Flow) *uint32 { return &f.InPort })

// parsePort parses a datapath port's number or name.
func parsePort(s string, names PortNames) (uint32, error) {
	if names != nil {
		if no, ok := names.PortNumber(s); ok {
			return no, nil
		}
	}
	no, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		return 0, fmt.Errorf("no such port %q", s)
	}
	return uint32(no), nil
}

// ethType sets the Ethernet type; one followed by a vlan() is that tag's TPID.
func (p *keyParser) ethType(n *node) error {
	text, err := only(n)
	if err != nil {
		return err
	}
	m := u16("", kindHex, func(f *flow.Flow) *uint16 { return &f.DLType })
	return p.member(&m, n.name, text)
}

func (p *keyParser) vlan(n *node) error {
	if p.vlans >= flow.MaxVLANs {
		return fmt.Errorf("more than %d VLAN headers", flow.MaxVLANs)
	}
	tci, mask, err := parseTCI(n)
	if err != nil {
		return err
	}
	k, m := &p.key.VLANs[p.vlans], &p.mask.VLANs[p.vlans]
	k.TCI, m.TCI = tci, mask
	return nil
}

// parseTCI parses vid=, pcp= and cfi= of a tag.
func parseTCI(n *node) (tci, mask uint16, err error) {
	tci, mask = flow.VLANCFI, flow.VLANCFI
	for i := range n.kids {
		k := &n.kids[i]
		var full uint64
		shift := 0
		switch k.name {
		case "vid":
			full = flow.VLANVIDMask
		case "pcp":
			full, shift = 7, flow.VLANPCPShift
		case "cfi":
			full, shift = 1, 12
		case "tpid":
			continue
		default:
			return 0, 0, fmt.Errorf("vlan has no member %s", k.name)
		}
		v, m, err := parseMasked(&member{kind: kindDec, bits: 16}, k.value)
		if err != nil || v.lo > full {
			return 0, 0, fmt.Errorf("bad vlan %s %q", k.name, k.value)
		}
		bits := uint16(full << shift)
		tci = tci&^bits | uint16(v.lo<<shift)
		mask = mask&^bits | uint16(m.lo<<shift)&bits
	}
	return tci, mask, nil
}

// encap makes the Ethernet type seen so far the TPID of the current tag and goes
// on with the header inside it.
func (p *keyParser) encap(n *node) error {
	if p.vlans >= flow.MaxVLANs {
		return fmt.Errorf("more than %d VLAN headers", flow.MaxVLANs)
	}
	k, m := &p.key.VLANs[p.vlans], &p.mask.VLANs[p.vlans]
	k.TPID, m.TPID = p.key.DLType, p.mask.DLType
	if k.TPID == 0 {
		k.TPID, m.TPID = flow.EthVLAN, 0xffff
	}
	p.key.DLType, p.mask.DLType = 0, 0
	p.vlans++
	for i := range n.kids {
		if err := p.attr(&n.kids[i]); err != nil {
			return err
		}
	}
	return nil
}

// mpls parses label stack entries; each label= begins the next one.
func (p *keyParser) mpls(n *node) error {
	at := -1
	for i := range n.kids {
		k := &n.kids[i]
		if k.name == "label" || at < 0 {
			at++
		}
		if at >= flow.MaxMPLSLabels {
			return fmt.Errorf("more than %d MPLS labels", flow.MaxMPLSLabels)
		}
		if err := parseLSE(k, &p.key.MPLS[at], &p.mask.MPLS[at]); err != nil {
			return err
		}
	}
	return nil
}

// parseLSE parses one part of a label stack entry into lse and mask.
func parseLSE(k *node, lse, mask *uint32) error {
	var full, shift uint64
	switch k.name {
	case "label":
		full, shift = 0xfffff, 12
	case "tc":
		full, shift = 7, 9
	case "bos":
		full, shift = 1, 8
	case "ttl":
		full = 0xff
	default:
		return fmt.Errorf("mpls has no member %s", k.name)
	}
	v, maskText, hasMask := strings.Cut(k.value, "/")
	n, err := strconv.ParseUint(v, 0, 32)
	m := full
	if err == nil && hasMask {
		// The masks of tc and bos are printed in hexadecimal without a prefix.
		m, err = strconv.ParseUint(strings.TrimPrefix(maskText, "0x"), 16, 32)
	}
	if err != nil || n > full || m > full {
		return fmt.Errorf("bad mpls %s %q", k.name, k.value)
	}
	*lse |= uint32(n << shift)
	*mask |= uint32(m << shift)
	return nil
}

// ParseUFID parses ufid:UUID (the prefix may be missing).
func ParseUFID(s string) (u flow.UFID, err error) {
	h := strings.ReplaceAll(strings.TrimPrefix(s, "ufid:"), "-", "")
	if len(h) != 32 {
		return u, fmt.Errorf("bad flow identifier %q", s)
	}
	b, err := hex.DecodeString(h)
	if err != nil {
		return u, fmt.Errorf("bad flow identifier %q", s)
	}
	v := ip6Value(flow.IPv6(b))
	return flow.UFID{Hi: v.hi, Lo: v.lo}, nil
}
