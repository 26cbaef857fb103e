package match

import (
	"strconv"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
)

// DefaultPriority is the priority that text leaves out.
const DefaultPriority = 0x8000

// printer appends the parts of a match's text, each with a comma behind it.
type printer struct {
	b []byte
	f *flow.Flow
	w *flow.Mask
}

func (p *printer) name(name string) {
	p.b = append(p.b, name...)
	p.b = append(p.b, '=')
}

func (p *printer) comma() { p.b = append(p.b, ',') }

func (p *printer) word(s string) {
	p.b = append(p.b, s...)
	p.comma()
}

func (p *printer) dec(name string, v uint64) {
	p.name(name)
	p.b = strconv.AppendUint(p.b, v, 10)
	p.comma()
}

// hexNum appends v in the way of C's %#x.
func hexNum(b []byte, v uint64) []byte {
	if v != 0 {
		b = append(b, "0x"...)
	}
	return strconv.AppendUint(b, v, 16)
}

// padHex appends 0x and at least n digits.
func padHex(b []byte, v uint64, n int) []byte {
	b = append(b, "0x"...)
	for d := 1; d < n; d++ {
		if v>>(4*d) == 0 {
			b = append(b, '0')
		}
	}
	return strconv.AppendUint(b, v, 16)
}

func (p *printer) hex(name string, v uint64) {
	p.name(name)
	p.b = hexNum(p.b, v)
	p.comma()
}

// hexMasked appends v in hexadecimal, with the mask unless that is all.
func (p *printer) hexMasked(name string, v, mask, all uint64) {
	if mask == 0 {
		return
	}
	p.name(name)
	p.b = hexNum(p.b, v)
	if mask != all {
		p.b = append(p.b, '/')
		p.b = hexNum(p.b, mask)
	}
	p.comma()
}

// decMasked appends v in decimal, or under a mask in hexadecimal of n digits.
func (p *printer) decMasked(name string, v, mask, all uint64, n int) {
	if mask == 0 {
		return
	}
	p.name(name)
	if mask == all {
		p.b = strconv.AppendUint(p.b, v, 10)
	} else {
		p.b = padHex(p.b, v, n)
		p.b = append(p.b, '/')
		p.b = padHex(p.b, mask, n)
	}
	p.comma()
}

// hex0Masked is hexMasked that writes zero as 0x0.
func (p *printer) hex0Masked(name string, v, mask, all uint64) {
	if mask == 0 {
		return
	}
	p.name(name)
	p.b = padHex(p.b, v, 1)
	if mask != all {
		p.b = append(p.b, '/')
		p.b = padHex(p.b, mask, 1)
	}
	p.comma()
}

func (p *printer) ip(name string, v, mask uint32) {
	if mask != 0 {
		p.name(name)
		p.b = field.AppendIPv4Masked(p.b, v, mask)
		p.comma()
	}
}

func (p *printer) ipv6(name string, v, mask *flow.IPv6) {
	if *mask != (flow.IPv6{}) {
		p.name(name)
		p.b = field.AppendIPv6Masked(p.b, v[:], mask[:])
		p.comma()
	}
}

func (p *printer) mac(name string, v, mask *flow.MAC) {
	if *mask != (flow.MAC{}) {
		p.name(name)
		p.b = field.AppendMACMasked(p.b, v[:], mask[:])
		p.comma()
	}
}

// AppendText appends m's text, as stock prints matches.  A priority other than the default
// comes first.  ports (which may be nil) gives the names of ports.
func (m *Match) AppendText(b []byte, ports field.PortMap, priority int) []byte {
	start := len(b)
	p := &printer{b: b, f: &m.Flow, w: &m.Mask}
	if priority != DefaultPriority {
		p.name("priority")
		p.b = strconv.AppendInt(p.b, int64(priority), 10)
		p.comma()
	}
	p.metadata(ports)
	p.conntrack()
	dlType, printedType, printedProto := p.types(m)
	for i, r := range p.f.Regs {
		if p.w.Regs[i] != 0 {
			p.hexMasked(field.Get(field.Reg0+field.ID(i)).Name, uint64(r), uint64(p.w.Regs[i]), 0xffffffff)
		}
	}
	p.tunnel(m)
	p.hexMasked("metadata", p.f.Metadata, p.w.Metadata, ^uint64(0))
	if p.w.InPort != 0 {
		p.name("in_port")
		p.b = field.AppendPort(p.b, p.f.InPort, ports)
		p.comma()
	}
	p.vlans()
	p.mac("dl_src", &p.f.DLSrc, &p.w.DLSrc)
	p.mac("dl_dst", &p.f.DLDst, &p.w.DLDst)
	if !printedType && p.w.DLType != 0 {
		p.name("dl_type")
		p.b = padHex(p.b, uint64(dlType), 4)
		p.comma()
	}
	p.l3(dlType, printedProto)
	p.mpls()
	p.frag()
	p.l4(dlType)
	if len(p.b) > start && p.b[len(p.b)-1] == ',' {
		p.b = p.b[:len(p.b)-1]
	}
	return p.b
}

// String returns m's text with the default priority and port numbers.
func (m *Match) String() string { return string(m.AppendText(nil, nil, DefaultPriority)) }

func (p *printer) metadata(ports field.PortMap) {
	f, w := p.f, p.w
	p.hexMasked("pkt_mark", uint64(f.PktMark), uint64(w.PktMark), 0xffffffff)
	p.hexMasked("recirc_id", uint64(f.RecircID), uint64(w.RecircID), 0xffffffff)
	p.hexMasked("dp_hash", uint64(f.DPHash), uint64(w.DPHash), 0xffffffff)
	if w.ConjID != 0 {
		p.dec("conj_id", uint64(f.ConjID))
	}
	if w.SkbPriority != 0 {
		p.hex("skb_priority", uint64(f.SkbPriority))
	}
	if w.ActsetOutput != 0 {
		p.name("actset_output")
		p.b = field.AppendPort(p.b, f.ActsetOutput, ports)
		p.comma()
	}
}

func (p *printer) conntrack() {
	f, w := p.f, p.w
	if w.CTState != 0 {
		p.name("ct_state")
		p.b = field.AppendFlagsMasked(p.b, field.CTStateNames(), uint32(f.CTState), uint32(w.CTState), 0xff)
		p.comma()
	}
	p.decMasked("ct_zone", uint64(f.CTZone), uint64(w.CTZone), 0xffff, 1)
	p.hexMasked("ct_mark", uint64(f.CTMark), uint64(w.CTMark), 0xffffffff)
	if w.CTLabel != (flow.U128{}) {
		var v, mask field.Value
		field.Read(f, field.CTLabel, nil, &v)
		field.Read(w.AsFlow(), field.CTLabel, nil, &mask)
		p.name("ct_label")
		p.b = field.Get(field.CTLabel).AppendValue(p.b, &v, &mask, nil)
		p.comma()
	}
	p.ip("ct_nw_src", f.CTNwSrc, w.CTNwSrc)
	p.ipv6("ct_ipv6_src", &f.CTIPv6Src, &w.CTIPv6Src)
	p.ip("ct_nw_dst", f.CTNwDst, w.CTNwDst)
	p.ipv6("ct_ipv6_dst", &f.CTIPv6Dst, &w.CTIPv6Dst)
	if w.CTNwProto != 0 {
		p.dec("ct_nw_proto", uint64(f.CTNwProto))
		p.decMasked("ct_tp_src", uint64(f.CTTpSrc), uint64(w.CTTpSrc), 0xffff, 1)
		p.decMasked("ct_tp_dst", uint64(f.CTTpDst), uint64(w.CTTpDst), 0xffff, 1)
	}
}

// types prints the packet type and the short name of the protocol.
func (p *printer) types(m *Match) (dlType uint16, printedType, printedProto bool) {
	f, w := p.f, p.w
	dlType = f.DLType
	if w.PacketType != 0 && (!m.HasDefaultPacketType() || w.RecircID != 0) {
		p.b = field.AppendPacketTypeMasked(p.b, f.PacketType, w.PacketType)
		p.comma()
		if f.PacketType>>16 == 1 {
			dlType = uint16(f.PacketType)
		}
	}
	if w.DLType == 0 {
		return dlType, false, false
	}
	var name string
	switch dlType {
	case flow.EthIPv4:
		name, printedProto = p.ipName("ip", "", protoICMP, "icmp")
	case flow.EthIPv6:
		name, printedProto = p.ipName("ipv6", "6", protoICMPv6, "icmp6")
	case flow.EthARP:
		name = "arp"
	case flow.EthRARP:
		name = "rarp"
	case flow.EthMPLS:
		name = "mpls"
	case flow.EthMPLSMc:
		name = "mplsm"
	default:
		return dlType, false, false
	}
	p.word(name)
	return dlType, true, printedProto
}

func (p *printer) ipName(ip, suffix string, icmp uint8, icmpName string) (name string, proto bool) {
	if p.w.NwProto == 0 {
		return ip, false
	}
	switch p.f.NwProto {
	case icmp:
		return icmpName, true
	case protoTCP:
		return "tcp" + suffix, true
	case protoUDP:
		return "udp" + suffix, true
	case protoSCTP:
		return "sctp" + suffix, true
	}
	return ip, false
}

// Tunnel flags in the order in which text shows them.
var tunFlags = [...]struct {
	bit  uint16
	name string
}{
	{flow.TunFlagOAM, "oam"}, {flow.TunFlagDF, "df"}, {flow.TunFlagCsum, "csum"}, {flow.TunFlagKey, "key"},
}

const tunFlagsAll = flow.TunFlagOAM | flow.TunFlagDF | flow.TunFlagCsum | flow.TunFlagKey

func (p *printer) tunnel(m *Match) {
	t, w := &p.f.Tunnel, &p.w.Tunnel
	p.hexMasked("tun_id", t.ID, w.ID, ^uint64(0))
	p.ip("tun_src", t.IPSrc, w.IPSrc)
	p.ip("tun_dst", t.IPDst, w.IPDst)
	p.ipv6("tun_ipv6_src", &t.IPv6Src, &w.IPv6Src)
	p.ipv6("tun_ipv6_dst", &t.IPv6Dst, &w.IPv6Dst)
	p.decMasked("tun_gbp_id", uint64(t.GBPID), uint64(w.GBPID), 0xffff, 1)
	if w.GBPFlags != 0 {
		p.hex("tun_gbp_flags", uint64(t.GBPFlags))
	}
	if w.TOS != 0 {
		p.name("tun_tos")
		p.b = strconv.AppendUint(p.b, uint64(t.TOS), 16)
		p.comma()
	}
	if w.TTL != 0 {
		p.dec("tun_ttl", uint64(t.TTL))
	}
	if w.ERSPANVer != 0 {
		p.dec("tun_erspan_ver", uint64(t.ERSPANVer))
	}
	if w.ERSPANIdx != 0 && t.ERSPANVer == 1 {
		p.hex("tun_erspan_idx", uint64(t.ERSPANIdx))
	}
	if w.ERSPANDir != 0 && t.ERSPANVer == 2 {
		p.dec("tun_erspan_dir", uint64(t.ERSPANDir))
	}
	if w.ERSPANHwID != 0 && t.ERSPANVer == 2 {
		p.hex("tun_erspan_hwid", uint64(t.ERSPANHwID))
	}
	if w.GTPUFlags != 0 {
		p.hex("gtpu_flags", uint64(t.GTPUFlags))
	}
	if w.GTPUMsgType != 0 {
		p.dec("gtpu_msgtype", uint64(t.GTPUMsgType))
	}
	if w.Flags&tunFlagsAll != 0 {
		p.tunFlags(t.Flags, w.Flags&tunFlagsAll)
	}
	if t.Flags&flow.TunFlagUDPIF == 0 {
		m.eachTunMetadata(p.tunMetadata)
	}
}

func (p *printer) tunFlags(flags, mask uint16) {
	p.name("tun_flags")
	first := true
	for _, fl := range tunFlags {
		switch {
		case mask&fl.bit == 0:
		case mask == tunFlagsAll:
			if flags&fl.bit != 0 {
				if !first {
					p.b = append(p.b, '|')
				}
				first = false
				p.b = append(p.b, fl.name...)
			}
		default:
			sign := byte('-')
			if flags&fl.bit != 0 {
				sign = '+'
			}
			p.b = append(append(p.b, sign), fl.name...)
		}
	}
	if mask == tunFlagsAll && first {
		p.b = append(p.b, '0')
	}
	p.comma()
}

func (p *printer) tunMetadata(id field.ID, value, mask []byte, masked, present bool) {
	p.b = append(p.b, id.String()...)
	var or, and byte = 0, 0xff
	for _, x := range mask {
		or |= x
		and &= x
	}
	switch {
	case !present:
		p.b = append(p.b, "=NP"...)
	case !masked || or != 0:
		p.b = append(p.b, '=')
		p.b = field.AppendHex(p.b, value)
		if and != 0xff {
			p.b = append(p.b, '/')
			p.b = field.AppendHex(p.b, mask)
		}
	}
	p.comma()
}

func (p *printer) vlans() {
	names := [flow.MaxVLANs][3]string{{"dl_vlan", "dl_vlan_pcp", "vlan_tci"}, {"dl_vlan1", "dl_vlan_pcp1", "vlan_tci1"}}
	for i := range names {
		tci, mask := p.f.VLANs[i].TCI, p.w.VLANs[i].TCI
		if mask == 0 {
			return
		}
		vid, pcp := mask&flow.VLANVIDMask, mask&flow.VLANPCPMask
		switch {
		case mask&tci&flow.VLANCFI != 0 && (vid == 0 || vid == flow.VLANVIDMask) &&
			(pcp == 0 || pcp == flow.VLANPCPMask) && vid|pcp != 0:
			if vid != 0 {
				p.dec(names[i][0], uint64(tci&flow.VLANVIDMask))
			}
			if pcp != 0 {
				p.dec(names[i][1], uint64(tci>>flow.VLANPCPShift))
			}
		default:
			p.name(names[i][2])
			p.b = padHex(p.b, uint64(tci), 4)
			if mask != 0xffff {
				p.b = append(p.b, '/')
				p.b = padHex(p.b, uint64(mask), 4)
			}
			p.comma()
		}
	}
}

func isARP(dlType uint16) bool { return dlType == flow.EthARP || dlType == flow.EthRARP }

func (p *printer) l3(dlType uint16, printedProto bool) {
	f, w := p.f, p.w
	switch {
	case dlType == flow.EthIPv6:
		p.ipv6("ipv6_src", &f.IPv6Src, &w.IPv6Src)
		p.ipv6("ipv6_dst", &f.IPv6Dst, &w.IPv6Dst)
		if w.IPv6Label != 0 {
			p.name("ipv6_label")
			p.b = padHex(p.b, uint64(f.IPv6Label), 5)
			if w.IPv6Label != 0xffffffff {
				p.b = append(p.b, '/')
				p.b = padHex(p.b, uint64(w.IPv6Label), 5)
			}
			p.comma()
		}
	case isARP(dlType):
		p.ip("arp_spa", f.NwSrc, w.NwSrc)
		p.ip("arp_tpa", f.NwDst, w.NwDst)
	case dlType == flow.EthNSH:
		p.nsh()
	default:
		p.ip("nw_src", f.NwSrc, w.NwSrc)
		p.ip("nw_dst", f.NwDst, w.NwDst)
	}
	if !printedProto && w.NwProto != 0 {
		if isARP(dlType) {
			p.dec("arp_op", uint64(f.NwProto))
		} else {
			p.dec("nw_proto", uint64(f.NwProto))
		}
	}
	if isARP(dlType) {
		p.mac("arp_sha", &f.ARPSha, &w.ARPSha)
		p.mac("arp_tha", &f.ARPTha, &w.ARPTha)
	}
	if w.NwTOS&0xfc != 0 {
		p.dec("nw_tos", uint64(f.NwTOS&0xfc))
	}
	if w.NwTOS&3 != 0 {
		p.dec("nw_ecn", uint64(f.NwTOS&3))
	}
	if w.NwTTL != 0 {
		p.dec("nw_ttl", uint64(f.NwTTL))
	}
}

func (p *printer) nsh() {
	n, w := &p.f.NSH, &p.w.NSH
	p.decMasked("nsh_flags", uint64(n.Flags), uint64(w.Flags), 0xff, 2)
	p.decMasked("nsh_ttl", uint64(n.TTL), uint64(w.TTL), 0xff, 2)
	p.decMasked("nsh_mdtype", uint64(n.MDType), uint64(w.MDType), 0xff, 2)
	p.decMasked("nsh_np", uint64(n.NP), uint64(w.NP), 0xff, 2)
	p.hex0Masked("nsh_spi", uint64(n.PathHdr>>8), uint64(w.PathHdr>>8), 0xffffff)
	p.decMasked("nsh_si", uint64(n.PathHdr&0xff), uint64(w.PathHdr&0xff), 0xff, 2)
	if w.MDType != 0xff || n.MDType != 1 {
		return
	}
	for i, name := range [...]string{"nsh_c1", "nsh_c2", "nsh_c3", "nsh_c4"} {
		p.hex0Masked(name, uint64(n.Context[i]), uint64(w.Context[i]), 0xffffffff)
	}
}

func (p *printer) mpls() {
	l, w := p.f.MPLS[0], p.w.MPLS[0]
	if w&0xfffff000 != 0 {
		p.dec("mpls_label", uint64(l>>12))
	}
	if w&0xe00 != 0 {
		p.dec("mpls_tc", uint64(l>>9&7))
	}
	if w&0xff != 0 {
		p.dec("mpls_ttl", uint64(l&0xff))
	}
	if w&0x100 != 0 {
		p.dec("mpls_bos", uint64(l>>8&1))
	}
	p.decMasked("mpls_lse1", uint64(p.f.MPLS[1]), uint64(p.w.MPLS[1]), 0xffffffff, 8)
	p.decMasked("mpls_lse2", uint64(p.f.MPLS[2]), uint64(p.w.MPLS[2]), 0xffffffff, 8)
}

func (p *printer) frag() {
	if p.w.NwFrag&3 != 0 {
		v, mask := field.Value{p.f.NwFrag}, field.Value{p.w.NwFrag & 3}
		p.name("nw_frag")
		p.b = field.Get(field.IPFrag).AppendValue(p.b, &v, &mask, nil)
		p.comma()
	}
}

func (p *printer) l4(dlType uint16) {
	f, w := p.f, p.w
	src, dst := "tp_src", "tp_dst"
	nd := dlType == flow.EthIPv6 && f.NwProto == protoICMPv6
	if nd || dlType == flow.EthIPv4 && f.NwProto == protoICMP {
		src, dst = "icmp_type", "icmp_code"
	}
	p.decMasked(src, uint64(f.TpSrc), uint64(w.TpSrc), 0xffff, 1)
	p.decMasked(dst, uint64(f.TpDst), uint64(w.TpDst), 0xffff, 1)
	if nd {
		p.ipv6("nd_target", &f.NDTarget, &w.NDTarget)
		p.mac("nd_sll", &f.ARPSha, &w.ARPSha)
		p.mac("nd_tll", &f.ARPTha, &w.ARPTha)
		p.decMasked("nd_reserved", uint64(f.IGMPGroup), uint64(w.IGMPGroup), 0xffffffff, 8)
		p.decMasked("nd_options_type", uint64(f.NDOptType), uint64(w.NDOptType), 0xff, 1)
	}
	if field.IsIPAny(f) && f.NwProto == protoTCP && w.TCPFlags != 0 {
		p.name("tcp_flags")
		p.b = field.AppendFlagsMasked(p.b, field.TCPFlagNames(), uint32(f.TCPFlags), uint32(w.TCPFlags&0xfff), 0xfff)
	}
}
