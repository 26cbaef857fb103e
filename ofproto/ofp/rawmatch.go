package ofp

import (
	"fmt"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
)

// rawMatchVerbosity is the verbosity from which the matches of flow_mods of OpenFlow
// 1.0 are printed as they are on the wire, not as the switch understands them.
const rawMatchVerbosity = 3

// Wildcard bits of an OpenFlow 1.0 match.
const (
	wildInPort  = 1 << 0
	wildDLVLAN  = 1 << 1
	wildDLSrc   = 1 << 2
	wildDLDst   = 1 << 3
	wildDLType  = 1 << 4
	wildNwProto = 1 << 5
	wildTpSrc   = 1 << 6
	wildTpDst   = 1 << 7
	wildNwSrc   = 8  // shift of the number of wildcarded bits
	wildNwDst   = 14 // likewise
	wildDLPCP   = 1 << 20
	wildNwTOS   = 1 << 21
)

// rawMatch10 prints an OpenFlow 1.0 match; wildcarded fields are "*".
func (p *printer) rawMatch10(b []byte) {
	w := be32(b)
	dlType, proto := be16(b[22:]), b[25]
	skipType, skipProto := p.rawType10(w, dlType, proto)
	put := func(name string, wild bool, text string) {
		if wild {
			text = "*"
		}
		p.f("%s=%s,", name, text)
	}
	put("in_port", w&wildInPort != 0, string(field.AppendPort(nil, port10(be16(b[4:])), p.ports())))
	put("dl_vlan", w&wildDLVLAN != 0, fmt.Sprint(be16(b[18:])))
	put("dl_vlan_pcp", w&wildDLPCP != 0, fmt.Sprint(b[20]))
	put("dl_src", w&wildDLSrc != 0, string(field.AppendMAC(nil, b[6:12])))
	put("dl_dst", w&wildDLDst != 0, string(field.AppendMAC(nil, b[12:18])))
	if !skipType {
		put("dl_type", w&wildDLType != 0, fmt.Sprintf("0x%04x", dlType))
	}
	p.rawIP10("nw_src", be32(b[28:]), w>>wildNwSrc&0x3f)
	p.rawIP10("nw_dst", be32(b[32:]), w>>wildNwDst&0x3f)
	if !skipProto {
		name := "nw_proto"
		if dlType == flow.EthARP || dlType == flow.EthRARP {
			name = "arp_op"
		}
		put(name, w&wildNwProto != 0, fmt.Sprint(proto))
	}
	put("nw_tos", w&wildNwTOS != 0, fmt.Sprint(b[24]))
	src, dst := "tp_src", "tp_dst"
	if proto == 1 {
		src, dst = "icmp_type", "icmp_code"
	}
	put(src, w&wildTpSrc != 0, fmt.Sprint(be16(b[36:])))
	put(dst, w&wildTpDst != 0, fmt.Sprint(be16(b[38:])))
	p.chompByte(',')
}

// rawType10 prints the word for the types, and says which of them it has told.
func (p *printer) rawType10(w uint32, dlType uint16, proto uint8) (skipType, skipProto bool) {
	if w&wildDLType != 0 {
		return false, false
	}
	word := map[uint16]string{flow.EthARP: "arp,", flow.EthRARP: "rarp,", flow.EthMPLS: "mpls,", flow.EthMPLSMc: "mplsm,"}[dlType]
	if dlType == flow.EthIPv4 {
		word = map[uint8]string{1: "icmp,", 6: "tcp,", 17: "udp,", 132: "sctp,"}[proto]
		if skipProto = word != "" && w&wildNwProto == 0; !skipProto {
			word = "ip,"
		}
	}
	p.str(word)
	return word != "", skipProto
}

// rawIP10 prints an address of which the lowest bits are wildcarded.
func (p *printer) rawIP10(name string, ip, wild uint32) {
	p.str(name)
	p.byte('=')
	switch {
	case wild >= 32:
		p.byte('*')
	default:
		p.b = field.AppendIPv4(p.b, ip)
		if wild > 0 {
			p.f("/%d", 32-wild)
		}
	}
	p.byte(',')
}

// rawNXM prints the entries of a Nicira match.
func (p *printer) rawNXM(b []byte) {
	if len(b) == 0 {
		p.str("<any>")
		return
	}
	for i := 0; len(b) > 0; i++ {
		if i > 0 {
			p.str(", ")
		}
		h, n, err := field.PullHeader(b)
		if err != nil || n+h.PayloadLen() > len(b) || h.PayloadLen() < 0 {
			p.f("<%d invalid bytes>", len(b))
			return
		}
		v := b[n : n+h.PayloadLen()]
		p.rawNXMName(h)
		if h.HasMask() {
			p.f("(%x/%x)", v[:len(v)/2], v[len(v)/2:])
		} else {
			p.f("(%x)", v)
		}
		b = b[n+len(v):]
	}
}

// rawNXMName prints the name of an entry, by the header it has.
func (p *printer) rawNXMName(h field.Header) {
	suffix := ""
	if h.HasMask() {
		suffix = "_W"
	}
	const nicira1, cookie = 1, 30
	if h.Class() == nicira1 && h.Num() == cookie {
		p.str("NXM_NX_COOKIE" + suffix)
		return
	}
	if id, ok := field.ByHeader(h); ok {
		for _, w := range field.Get(id).IDs {
			if w.Header.Class() == h.Class() && w.Header.Num() == h.Num() && w.Header.Vendor() == h.Vendor() {
				p.str(w.Name + suffix)
				return
			}
		}
	}
	p.f("%d:%d", h.Class(), h.Num())
}
