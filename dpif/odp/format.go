package odp

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"

	"sluice/dpif/flow"
)

// PortNames maps datapath ports to names and back.  A nil PortNames prints and
// parses numbers only.
type PortNames interface {
	PortName(no uint32) (string, bool)
	PortNumber(name string) (uint32, bool)
}

// FormatKey appends the text of a datapath key as dpctl/dump-flows prints it:
// items that mask leaves fully wildcarded are left out.  A nil mask stands for
// one that is exact everywhere.
func FormatKey(b []byte, key *flow.Flow, mask *flow.Mask, names PortNames) []byte {
	return formatKey(b, key, mask, names, false)
}

// FormatKeyVerbose is FormatKey that prints wildcarded items too, with their
// zero masks (dpctl/dump-flows -m).
func FormatKeyVerbose(b []byte, key *flow.Flow, mask *flow.Mask, names PortNames) []byte {
	return formatKey(b, key, mask, names, true)
}

func formatKey(b []byte, key *flow.Flow, mask *flow.Mask, names PortNames, verbose bool) []byte {
	p := keyPrinter{b: b, key: key, names: names, verbose: verbose, start: len(b)}
	if mask != nil {
		p.mask = mask.AsFlow()
	}
	p.metadata()
	p.layers()
	return p.b
}

// keyPrinter prints one key: metadata, then headers from the outside in.
type keyPrinter struct {
	b       []byte
	key     *flow.Flow
	mask    *flow.Flow // nil: exact everywhere
	names   PortNames
	verbose bool
	start   int // where the current list of items begins
}

// sep starts an item: a comma unless it is the first of its list.
func (p *keyPrinter) sep() {
	if len(p.b) > p.start {
		p.b = append(p.b, ',')
	}
}

func (p *keyPrinter) metadata() {
	k := p.key
	p.scalar(AttrSkbPriority)
	if p.tunnelSet() {
		p.tunnel()
	}
	p.scalar(AttrSkbMark)
	p.ctState()
	p.scalar(AttrCTZone)
	p.scalar(AttrCTMark)
	p.ctLabel()
	if k.CTNwProto != 0 {
		switch k.DLType {
		case flow.EthIPv4:
			p.item(&itemCTTuple4)
		case flow.EthIPv6:
			p.item(&itemCTTuple6)
		}
	}
	p.scalar(AttrRecircID)
	p.scalar(AttrDPHash)
	p.inPort()
	p.item(&itemPacketType)
}

func (p *keyPrinter) tunnelSet() bool {
	t := &p.key.Tunnel
	return t.IPDst|t.IPSrc != 0 || t.IPv6Dst != flow.IPv6{} || t.IPv6Src != flow.IPv6{}
}

func (p *keyPrinter) scalar(a Attr) {
	s := scalarOf(a)
	v, m, exact := p.member(&s.m)
	if !p.verbose && m.isZero() {
		return
	}
	p.sep()
	p.b = append(append(p.b, s.name...), '(')
	p.b = appendMasked(p.b, &s.m, v, m, exact)
	p.b = append(p.b, ')')
}

// member returns a member's value and mask, and whether the mask is exact.
func (p *keyPrinter) member(m *member) (v, mask value, exact bool) {
	v, mask = m.get(p.key), onesOf(m.bits)
	if p.mask != nil {
		mask = m.get(p.mask)
	}
	if m.kind == kindFrag && !mask.isZero() {
		return v, mask, true // an enumeration: part of a mask stands for all
	}
	return v, mask, mask == onesOf(m.bits)
}

func onesOf(bits int) value {
	if bits > 64 {
		return value{^uint64(0) >> (128 - bits), ^uint64(0)}
	}
	return value{0, ^uint64(0) >> (64 - bits)}
}

func (p *keyPrinter) ctState() {
	mask := uint32(0xff)
	if p.mask != nil {
		mask = uint32(p.mask.CTState)
	}
	if !p.verbose && mask == 0 {
		return
	}
	p.sep()
	p.b = append(p.b, "ct_state("...)
	v := uint32(p.key.CTState)
	switch {
	case p.verbose:
		p.b = appendCHex(p.b, uint64(v))
		if p.mask != nil {
			p.b = appendCHex(append(p.b, '/'), uint64(mask))
		}
	case p.mask == nil:
		p.b = ctStateNames.append(p.b, v, '|')
	default:
		// The state has 32 bits in the datapath's key, so that its eight are
		// never an exact match there.
		p.b = ctStateNames.appendMasked(p.b, v, mask, ^uint32(0))
	}
	p.b = append(p.b, ')')
}

func (p *keyPrinter) ctLabel() {
	mask := flow.U128{Hi: ^uint64(0), Lo: ^uint64(0)}
	if p.mask != nil {
		mask = p.mask.CTLabel
	}
	if !p.verbose && mask == (flow.U128{}) {
		return
	}
	p.sep()
	p.b = append(p.b, "ct_label("...)
	p.b = appendU128(p.b, p.key.CTLabel, mask)
	p.b = append(p.b, ')')
}

func (p *keyPrinter) inPort() {
	mask := ^uint32(0)
	if p.mask != nil {
		mask = p.mask.InPort
	}
	if !p.verbose && mask == 0 || p.key.InPort == ^uint32(0) && p.mask == nil {
		return
	}
	p.sep()
	p.b = append(p.b, "in_port("...)
	if mask == ^uint32(0) {
		p.b = appendPort(p.b, p.key.InPort, p.names)
	} else {
		p.b = strconv.AppendUint(p.b, uint64(p.key.InPort), 10)
		p.b = appendCHex(append(p.b, '/'), uint64(mask))
	}
	p.b = append(p.b, ')')
}

// item prints name(member=value/mask,…) unless it is wildcarded as a whole.
func (p *keyPrinter) item(it *item) {
	if !p.verbose && p.wild(it) {
		return
	}
	p.sep()
	p.b = append(append(p.b, it.name...), '(')
	p.members(it)
	p.b = append(p.b, ')')
}

func (p *keyPrinter) wild(it *item) bool {
	if p.mask == nil {
		return false
	}
	for i := range it.members {
		if !it.members[i].get(p.mask).isZero() {
			return false
		}
	}
	return true
}

func (p *keyPrinter) members(it *item) {
	first := true
	for i := range it.members {
		m := &it.members[i]
		v, mask, exact := p.member(m)
		if mask.isZero() && (!p.verbose || m.kind == kindFrag) {
			continue
		}
		if it.attr == AttrNSH && m.name[0] == 'c' && p.key.NSH.MDType != 1 && p.mask == nil {
			continue
		}
		if !first {
			p.b = append(p.b, ',')
		}
		first = false
		p.b = append(append(p.b, m.name...), '=')
		p.b = appendMasked(p.b, m, v, mask, exact)
	}
}

// layers prints the headers: Ethernet, VLANs as nested encap(), network, transport.
func (p *keyPrinter) layers() {
	k := p.key
	if k.PacketType == flow.PacketTypeEth {
		p.ethernet()
		if p.encap(0) {
			return
		}
	}
	p.network()
}

func (p *keyPrinter) ethernet() {
	if !p.verbose && p.wild(&itemEth) && p.mask != nil && p.mask.PacketType == 0 {
		p.sep()
		p.b = append(p.b, "eth()"...)
		return
	}
	p.item(&itemEth)
}

// encap prints the VLAN headers from number n on; what is inside them is nested.
func (p *keyPrinter) encap(n int) bool {
	k := p.key
	if n >= flow.MaxVLANs || k.VLANs[n].TCI == 0 && !isVLANType(k.DLType) {
		return false
	}
	truncated := k.VLANs[n].TCI == 0
	tpid := k.VLANs[n].TPID
	if truncated {
		tpid = k.DLType // a tag cut off: its Ethernet type is all there is
	}
	p.sep()
	p.b = fmt.Appendf(p.b, "eth_type(0x%04x)", tpid)
	p.vlan(n)
	p.sep()
	p.b = append(p.b, "encap("...)
	outer := p.start
	p.start = len(p.b)
	if !truncated && !p.encap(n+1) {
		p.network()
	}
	p.start = outer
	p.b = append(p.b, ')')
	return true
}

func isVLANType(t uint16) bool { return t == flow.EthVLAN || t == flow.EthQinQ }

func (p *keyPrinter) vlan(n int) {
	mask := uint16(0xffff)
	if p.mask != nil {
		mask = p.mask.VLANs[n].TCI
	}
	if !p.verbose && mask == 0 {
		return
	}
	p.sep()
	p.b = append(p.b, "vlan("...)
	p.b = appendTCI(p.b, p.key.VLANs[n].TCI, mask, p.verbose)
	p.b = append(p.b, ')')
}

func appendTCI(b []byte, tci, mask uint16, verbose bool) []byte {
	start := len(b)
	part := func(name string, v, m, full uint16) {
		if !verbose && v == 0 && m == 0 {
			return
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%s=%d", name, v)
		if m != full {
			b = fmt.Appendf(b, "/0x%x", m)
		}
	}
	part("vid", tci&flow.VLANVIDMask, mask&flow.VLANVIDMask, flow.VLANVIDMask)
	part("pcp", tci>>flow.VLANPCPShift, mask>>flow.VLANPCPShift, 7)
	if tci&flow.VLANCFI == 0 {
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(b, "cfi=0"...)
	}
	return b
}

func (p *keyPrinter) network() {
	k := p.key
	if k.DLType < 0x600 {
		if p.mask != nil {
			if len(p.b) > p.start {
				p.b = append(p.b, ',')
			}
			p.b = append(p.b, "eth_type(0/0xffff)"...)
		}
		return
	}
	p.ethType()
	switch k.DLType {
	case flow.EthIPv4:
		p.item(&itemIPv4)
	case flow.EthIPv6:
		p.item(&itemIPv6)
	case flow.EthARP, flow.EthRARP:
		p.item(&itemARP)
	case flow.EthMPLS, flow.EthMPLSMc:
		p.mpls()
	case flow.EthNSH:
		p.item(&itemNSH)
	}
	if (k.DLType == flow.EthIPv4 || k.DLType == flow.EthIPv6) && k.NwFrag&flow.NwFragLater == 0 {
		p.transport()
	}
}

func (p *keyPrinter) ethType() {
	mask := uint16(0xffff)
	if p.mask != nil {
		mask = p.mask.DLType
	}
	if mask == 0 && !p.verbose {
		return
	}
	p.sep()
	p.b = fmt.Appendf(p.b, "eth_type(0x%04x", p.key.DLType)
	if mask != 0xffff {
		p.b = fmt.Appendf(p.b, "/0x%04x", mask)
	}
	p.b = append(p.b, ')')
}

// countMPLS is the number of label stack entries, up to the bottom of the stack.
func countMPLS(f *flow.Flow) int {
	for i := range flow.MaxMPLSLabels {
		if f.MPLS[i]&(1<<8) != 0 {
			return i + 1
		}
		if f.MPLS[i] == 0 {
			return max(i, 1)
		}
	}
	return flow.MaxMPLSLabels
}

func (p *keyPrinter) mpls() {
	n := countMPLS(p.key)
	exact, wild := true, p.mask != nil
	for i := range n {
		if p.mask != nil && p.mask.MPLS[i] != ^uint32(0) {
			exact = false
		}
		if p.mask != nil && p.mask.MPLS[i] != 0 {
			wild = false
		}
	}
	if wild && !p.verbose {
		return
	}
	p.sep()
	p.b = append(p.b, "mpls("...)
	for i := range n {
		if i > 0 {
			p.b = append(p.b, ',')
		}
		if exact {
			p.b = appendLSE(p.b, p.key.MPLS[i])
			continue
		}
		k, m := p.key.MPLS[i], p.mask.MPLS[i]
		p.b = fmt.Appendf(p.b, "label=%d/0x%x,tc=%d/%x,ttl=%d/0x%x,bos=%d/%x",
			k>>12, m>>12, k>>9&7, m>>9&7, k&0xff, m&0xff, k>>8&1, m>>8&1)
	}
	p.b = append(p.b, ')')
}

// appendLSE prints an MPLS label stack entry: label(20) tc(3) bottom(1) ttl(8).
func appendLSE(b []byte, lse uint32) []byte {
	return fmt.Appendf(b, "label=%d,tc=%d,ttl=%d,bos=%d", lse>>12, lse>>9&7, lse&0xff, lse>>8&1)
}

func (p *keyPrinter) transport() {
	k := p.key
	switch {
	case k.NwProto == 6:
		p.item(&itemTCP)
		p.tcpFlags()
	case k.NwProto == 17:
		p.item(&itemUDP)
	case k.NwProto == 132:
		p.item(&itemSCTP)
	case k.NwProto == 1 && k.DLType == flow.EthIPv4:
		p.item(&itemICMP)
	case k.NwProto == 58 && k.DLType == flow.EthIPv6:
		p.item(&itemICMPv6)
		p.nd()
	}
}

func (p *keyPrinter) tcpFlags() {
	mask := uint16(0xfff)
	if p.mask != nil {
		mask = p.mask.TCPFlags & 0xfff
	}
	if p.key.TCPFlags == 0 && (p.mask == nil || mask == 0) || !p.verbose && mask == 0 {
		return
	}
	p.sep()
	p.b = append(p.b, "tcp_flags("...)
	if mask == 0xfff {
		p.b = tcpFlagNames.append(p.b, uint32(p.key.TCPFlags), '|')
	} else {
		p.b = tcpFlagNames.appendMasked(p.b, uint32(p.key.TCPFlags), uint32(mask), 0xfff)
	}
	p.b = append(p.b, ')')
}

// nd prints the neighbour discovery item, which a key has for neighbour
// solicitations and advertisements whose type and code are matched exactly.
func (p *keyPrinter) nd() {
	k := p.key
	if (k.TpSrc != 135 && k.TpSrc != 136) || k.TpDst != 0 {
		return
	}
	if p.mask != nil && (p.mask.TpSrc&0xff != 0xff || p.mask.TpDst&0xff != 0xff) {
		return
	}
	p.item(&itemND)
	if k.IGMPGroup != 0 || k.NDOptType != 0 {
		p.item(&itemNDExt)
	}
}

// append prints the names of the bits that are set.
func (n flagNames) append(b []byte, flags uint32, del byte) []byte {
	if flags == 0 {
		return append(b, '0')
	}
	start, bad := len(b), uint32(0)
	for i := range 32 {
		bit := uint32(1) << i
		if flags&bit == 0 {
			continue
		}
		if i >= len(n) {
			bad |= bit
			continue
		}
		if len(b) > start {
			b = append(b, del)
		}
		b = append(b, n[i]...)
	}
	if bad != 0 {
		if len(b) > start {
			b = append(b, del)
		}
		b = fmt.Appendf(b, "0x%x", bad)
	}
	return b
}

// appendMasked prints +name or -name for each bit in mask.
func (n flagNames) appendMasked(b []byte, flags, mask, full uint32) []byte {
	switch mask {
	case full:
		return n.append(b, flags, '|')
	case 0:
		return append(b, "0/0"...)
	}
	for i := range 32 {
		bit := uint32(1) << i
		if mask&bit == 0 {
			continue
		}
		sign := byte('-')
		if flags&bit != 0 {
			sign = '+'
		}
		b = append(b, sign)
		if i < len(n) {
			b = append(b, n[i]...)
		} else {
			b = append(b, "[Unknown]"...)
		}
	}
	return b
}

// appendMasked prints a member's value and, unless it is exact, its mask.
func appendMasked(b []byte, m *member, v, mask value, exact bool) []byte {
	b = appendValue(b, m.kind, v)
	if exact {
		return b
	}
	b = append(b, '/')
	switch m.kind {
	case kindDec, kindHex, kindHex0, kindLabel:
		return appendCHex(b, mask.lo)
	}
	return appendValue(b, m.kind, mask)
}

func appendValue(b []byte, k kind, v value) []byte {
	switch k {
	case kindDec:
		return strconv.AppendUint(b, v.lo, 10)
	case kindHex, kindLabel:
		return appendCHex(b, v.lo)
	case kindHex0:
		return strconv.AppendUint(append(b, "0x"...), v.lo, 16)
	case kindIPv4:
		return appendIPv4(b, uint32(v.lo))
	case kindIPv6:
		return netip.AddrFrom16(valueIP6(v)).AppendTo(b)
	case kindMAC:
		return appendMAC(b, valueMAC(v))
	}
	return append(b, fragName(uint8(v.lo))...)
}

func fragName(f uint8) string {
	switch {
	case f&flow.NwFragLater != 0:
		return "later"
	case f&flow.NwFragAny != 0:
		return "first"
	}
	return "no"
}

// appendCHex prints as C's %#x does: zero has no prefix.
func appendCHex(b []byte, v uint64) []byte {
	if v == 0 {
		return append(b, '0')
	}
	return strconv.AppendUint(append(b, "0x"...), v, 16)
}

func appendIPv4(b []byte, a uint32) []byte {
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}).AppendTo(b)
}

func appendMAC(b []byte, m flow.MAC) []byte {
	return fmt.Appendf(b, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// appendU128 prints a label in hexadecimal without leading zeros.
func appendU128(b []byte, v, mask flow.U128) []byte {
	b = appendHex128(b, v)
	if mask != (flow.U128{Hi: ^uint64(0), Lo: ^uint64(0)}) {
		b = appendHex128(append(b, '/'), mask)
	}
	return b
}

func appendHex128(b []byte, v flow.U128) []byte {
	if v == (flow.U128{}) {
		return append(b, '0')
	}
	if v.Hi == 0 {
		return fmt.Appendf(b, "0x%x", v.Lo)
	}
	return fmt.Appendf(b, "0x%x%016x", v.Hi, v.Lo)
}

func appendPort(b []byte, no uint32, names PortNames) []byte {
	if names != nil {
		if name, ok := names.PortName(no); ok {
			return append(b, name...)
		}
	}
	return strconv.AppendUint(b, uint64(no), 10)
}

// AppendUFID prints a flow's identifier as ufid:UUID.
func AppendUFID(b []byte, u flow.UFID) []byte {
	b = append(b, "ufid:"...)
	return fmt.Appendf(b, "%08x-%04x-%04x-%04x-%012x",
		u.Hi>>32, u.Hi>>16&0xffff, u.Hi&0xffff, u.Lo>>48, u.Lo&(1<<48-1))
}

// appendHexBytes prints bytes as one hexadecimal number without leading zeros,
// as tunnel option bodies are printed.
func appendHexBytes(b, p []byte) []byte {
	s := hex.EncodeToString(p)
	for len(s) > 1 && s[0] == '0' {
		s = s[1:]
	}
	return append(append(b, "0x"...), s...)
}
