package odp

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"sluice/dpif/flow"
)

// FormatActions appends the text of datapath actions; an empty list is "drop".
func FormatActions(b []byte, actions []Action, names PortNames) []byte {
	if len(actions) == 0 {
		return append(b, "drop"...)
	}
	for i := range actions {
		if i > 0 {
			b = append(b, ',')
		}
		b = formatAction(b, &actions[i], names)
	}
	return b
}

func formatAction(b []byte, a *Action, names PortNames) []byte {
	switch a.Type {
	case Output:
		return appendPort(b, a.Port, names)
	case Userspace:
		return formatUserspace(b, a.Ext.User, names)
	case Set:
		return formatSet(b, a.Ext.Set)
	case SetTunnel:
		return append(appendTunnel(append(b, "set(tunnel("...), a.Ext.Tunnel, nil, true), "))"...)
	case PushVLAN:
		b = append(b, "push_vlan("...)
		if a.VLAN.TPID != flow.EthVLAN {
			b = fmt.Appendf(b, "tpid=0x%04x,", a.VLAN.TPID)
		}
		return append(appendTCI(b, a.VLAN.TCI, 0xffff, false), ')')
	case PopVLAN:
		return append(b, "pop_vlan"...)
	case PushMPLS:
		return formatPushMPLS(append(b, "push_mpls("...), a)
	case AddMPLS:
		return formatPushMPLS(append(b, "add_mpls("...), a)
	case PopMPLS:
		return fmt.Appendf(b, "pop_mpls(eth_type=0x%x)", a.EtherType)
	case Recirc:
		return append(appendCHex(append(b, "recirc("...), uint64(a.Port)), ')')
	case Hash:
		return formatHash(b, a.Ext.Hash)
	case Trunc:
		return fmt.Appendf(b, "trunc(%d)", a.Arg)
	case Sample:
		b = fmt.Appendf(b, "sample(sample=%.1f%%,actions(", 100*float64(a.Arg)/float64(^uint32(0)))
		return append(FormatActions(b, a.Nested, names), "))"...)
	case Clone:
		return append(FormatActions(append(b, "clone("...), a.Nested, names), ')')
	case CT:
		return formatCT(b, a.Ext.CT)
	case CTClear:
		return append(b, "ct_clear"...)
	case Meter:
		return fmt.Appendf(b, "meter(%d)", a.Port)
	case PushEth:
		b = appendMAC(append(b, "push_eth(src="...), a.Ext.Eth.Src)
		return append(appendMAC(append(b, ",dst="...), a.Ext.Eth.Dst), ')')
	case PopEth:
		return append(b, "pop_eth"...)
	case PushNSH:
		return formatPushNSH(b, a.Ext.NSH, a.Ext.NSHMD2)
	case PopNSH:
		return append(b, "pop_nsh()"...)
	case CheckPktLen:
		b = FormatActions(fmt.Appendf(b, "check_pkt_len(size=%d,gt(", a.Arg), a.Nested, names)
		return append(FormatActions(append(b, "),le("...), a.Else, names), "))"...)
	case Drop:
		return append(b, "drop"...)
	case LBOutput:
		return fmt.Appendf(b, "lb_output(%d)", a.Port)
	case TunnelPush:
		return formatTunnelPush(b, a.Ext.TnlPush, names)
	case TunnelPop:
		return append(appendPort(append(b, "tnl_pop("...), a.Port, names), ')')
	}
	return fmt.Appendf(b, "action%d", a.Type)
}

func formatPushMPLS(b []byte, a *Action) []byte {
	return fmt.Appendf(appendLSE(b, a.Port), ",eth_type=0x%x)", a.EtherType)
}

func formatHash(b []byte, h *HashArg) []byte {
	switch h.Alg {
	case 0:
		return fmt.Appendf(b, "hash(l4(%d))", h.Basis)
	case 1:
		return fmt.Appendf(b, "hash(sym_l4(%d))", h.Basis)
	}
	return fmt.Appendf(b, "hash(Unknown hash algorithm(%d))", h.Basis)
}

// formatSet prints set(item(…)): the members of one item that the mask touches.
func formatSet(b []byte, s *SetArg) []byte {
	p := keyPrinter{b: append(b, "set("...), key: &s.Key, mask: s.Mask.AsFlow()}
	p.start = len(p.b)
	switch s.Attr {
	case AttrCTLabel:
		p.ctLabel()
	case AttrVLAN:
		p.vlan(0)
	case AttrMPLS:
		p.setMPLS()
	case AttrTunnel:
		p.b = append(appendTunnel(append(p.b, "tunnel("...), &s.Key.Tunnel, nil, true), ')')
	case AttrEthType:
		p.ethType()
	case AttrInPort:
		p.inPort()
	case AttrTCPFlags:
		p.tcpFlags()
	default:
		if it := memberItemOf(s.Attr); it != nil {
			p.item(it)
		} else if scalarOf(s.Attr) != nil {
			p.scalar(s.Attr)
		}
	}
	return append(p.b, ')')
}

// setMPLS prints the outermost label stack entry, the one a set action writes.
func (p *keyPrinter) setMPLS() {
	p.b = append(p.b, "mpls("...)
	k, m := p.key.MPLS[0], p.mask.MPLS[0]
	if m == ^uint32(0) {
		p.b = appendLSE(p.b, k)
	} else {
		p.b = fmt.Appendf(p.b, "label=%d/0x%x,tc=%d/%x,ttl=%d/0x%x,bos=%d/%x",
			k>>12, m>>12, k>>9&7, m>>9&7, k&0xff, m&0xff, k>>8&1, m>>8&1)
	}
	p.b = append(p.b, ')')
}

func formatPushNSH(b []byte, n *flow.NSH, md2 []byte) []byte {
	b = fmt.Appendf(b, "push_nsh(flags=%d,ttl=%d,mdtype=%d,np=%d,spi=0x%x,si=%d",
		n.Flags, n.TTL, n.MDType, n.NP, n.PathHdr>>8, n.PathHdr&0xff)
	switch n.MDType {
	case 1:
		for i, c := range n.Context {
			b = fmt.Appendf(b, ",c%d=0x%x", i+1, c)
		}
	case 2:
		b = append(b, ",md2="...)
		if len(md2) > 0 {
			b = append(append(b, "0x"...), strings.TrimLeft(hex.EncodeToString(md2), "0")...)
		}
	default:
		b = append(b, ",<error: unknown mdtype>"...)
	}
	return append(b, ')')
}

func formatUserspace(b []byte, u *UserspaceArg, names PortNames) []byte {
	b = fmt.Appendf(b, "userspace(pid=%d", u.PID)
	switch u.Kind {
	case UserUnspec:
		if u.HasUserdata {
			b = append(b, ",userdata("...)
			b = append(append(b, hex.EncodeToString(u.Unspec)...), ')')
		}
	case UserSFlow:
		b = fmt.Appendf(b, ",sFlow(vid=%d,pcp=%d,output=%d)",
			u.VLANTCI&flow.VLANVIDMask, u.VLANTCI>>flow.VLANPCPShift, u.Output)
	case UserSlowPath:
		b = append(slowPathNames.append(append(b, ",slow_path("...), u.SlowReason, ','), ')')
	case UserFlowSample:
		b = fmt.Appendf(b, ",flow_sample(probability=%d,collector_set_id=%d,obs_domain_id=%d,obs_point_id=%d,output_port=",
			u.Probability, u.CollectorSetID, u.ObsDomainID, u.ObsPointID)
		b = appendPort(b, u.OutputPort, names)
		switch u.Direction {
		case 1:
			b = append(b, ",ingress"...)
		case 2:
			b = append(b, ",egress"...)
		}
		b = append(b, ')')
	case UserIPFIX:
		b = append(appendPort(append(b, ",ipfix(output_port="...), u.OutputPort, names), ')')
	case UserController:
		b = fmt.Appendf(b, ",controller(reason=%d,dont_send=%d,continuation=%d,recirc_id=%d,rule_cookie=",
			u.Reason, b2i(u.DontSend), b2i(u.Continuation), u.RecircID)
		b = appendCHex(b, u.RuleCookie)
		b = fmt.Appendf(b, ",controller_id=%d,max_len=%d)", u.ControllerID, u.MaxLen)
	}
	if u.Actions {
		b = append(b, ",actions"...)
	}
	if u.HasTunnelOut {
		b = appendPort(append(b, ",tunnel_out_port="...), u.TunnelOutPort, names)
	}
	return append(b, ')')
}

func b2i(v bool) int {
	if v {
		return 1
	}
	return 0
}

func formatCT(b []byte, c *CTArg) []byte {
	b = append(b, "ct"...)
	start := len(b)
	add := func(format string, args ...any) {
		if len(b) == start {
			b = append(b, '(')
		} else {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, format, args...)
	}
	if c.Commit && !c.Force {
		add("commit")
	}
	if c.Force {
		add("force_commit")
	}
	if c.Zone != 0 {
		add("zone=%d", c.Zone)
	}
	if c.HasMark {
		add("mark=%s/%s", appendCHex(nil, uint64(c.Mark)), appendCHex(nil, uint64(c.MarkMask)))
	}
	if c.HasLabel {
		add("label=%s", appendU128(nil, c.Label, c.LabelMask))
	}
	if c.Helper != "" {
		add("helper=%s", c.Helper)
	}
	if c.Timeout != "" {
		add("timeout=%s", c.Timeout)
	}
	if c.NAT != nil {
		add("%s", formatNAT(nil, c.NAT))
	}
	if len(b) > start {
		b = append(b, ')')
	}
	return b
}

func formatNAT(b []byte, n *NATArg) []byte {
	b = append(b, "nat"...)
	if !n.Src && !n.Dst {
		return b
	}
	if n.Src {
		b = append(b, "(src"...)
	} else {
		b = append(b, "(dst"...)
	}
	if n.HasIP {
		b = append(b, '=')
		b = appendNATAddr(b, n.IPMin, n.V6, n.PortMin != 0)
		if n.IPMax != (flow.IPv6{}) && n.IPMax != n.IPMin {
			b = appendNATAddr(append(b, '-'), n.IPMax, n.V6, n.PortMin != 0)
		}
		if n.PortMin != 0 {
			b = fmt.Appendf(b, ":%d", n.PortMin)
			if n.PortMax != 0 && n.PortMax != n.PortMin {
				b = fmt.Appendf(b, "-%d", n.PortMax)
			}
		}
	}
	for _, o := range []struct {
		on   bool
		text string
	}{{n.Persistent, ",persistent"}, {n.HashPorts, ",hash"}, {n.Random, ",random"}} {
		if o.on {
			b = append(b, o.text...)
		}
	}
	return append(b, ')')
}

func appendNATAddr(b []byte, a flow.IPv6, v6, bracket bool) []byte {
	if !v6 {
		return netip.AddrFrom4([4]byte(a[:4])).AppendTo(b)
	}
	if bracket {
		b = append(b, '[')
	}
	b = netip.AddrFrom16(a).AppendTo(b)
	if bracket {
		b = append(b, ']')
	}
	return b
}

// Types of tunnels in TunnelPushArg.Type, the numbers that tnl_push() prints.
const (
	TnlGRE       = 3
	TnlVXLAN     = 4
	TnlGeneve    = 5
	TnlERSPAN    = 107
	TnlIP6ERSPAN = 108
	TnlIP6GRE    = 109
	TnlGTPU      = 110
)

func formatTunnelPush(b []byte, t *TunnelPushArg, names PortNames) []byte {
	b = append(appendPort(append(b, "tnl_push(tnl_port("...), t.Port, names), "),"...)
	b = fmt.Appendf(b, "header(size=%d,type=%d,", len(t.Header), t.Type)
	b = formatTunnelHeader(b, t)
	return append(appendPort(append(b, "),out_port("...), t.OutPort, names), "))"...)
}

// formatTunnelHeader prints the Ethernet, IP and tunnel headers to be pushed; a
// header too short for its kind is printed in hexadecimal.
func formatTunnelHeader(b []byte, t *TunnelPushArg) []byte {
	h := t.Header
	if len(h) < 14+20+4 {
		return append(b, hex.EncodeToString(h)...)
	}
	et := binary.BigEndian.Uint16(h[12:])
	b = appendMAC(append(b, "eth(dst="...), flow.MAC(h[0:6]))
	b = appendMAC(append(b, ",src="...), flow.MAC(h[6:12]))
	b = fmt.Appendf(b, ",dl_type=0x%04x),", et)
	l3 := h[14:]
	l4 := l3[20:]
	if et == flow.EthIPv4 {
		b = appendIPv4(append(b, "ipv4(src="...), binary.BigEndian.Uint32(l3[12:]))
		b = appendIPv4(append(b, ",dst="...), binary.BigEndian.Uint32(l3[16:]))
		b = appendCHex(fmt.Appendf(b, ",proto=%d,tos=", l3[9]), uint64(l3[1]))
		b = fmt.Appendf(b, ",ttl=%d,frag=0x%x),", l3[8], binary.BigEndian.Uint16(l3[6:]))
	} else {
		if len(l3) < 44 {
			return append(b, hex.EncodeToString(l3)...)
		}
		vtf := binary.BigEndian.Uint32(l3)
		b = netip.AddrFrom16([16]byte(l3[8:24])).AppendTo(append(b, "ipv6(src="...))
		b = netip.AddrFrom16([16]byte(l3[24:40])).AppendTo(append(b, ",dst="...))
		b = fmt.Appendf(b, ",label=%d,proto=%d,tclass=0x%x,hlimit=%d),", vtf&0xfffff, l3[6], vtf>>20&0xff, l3[7])
		l4 = l3[40:]
	}
	return formatTunnelL4(b, t.Type, l4)
}

func formatTunnelL4(b []byte, typ uint32, l4 []byte) []byte {
	be := binary.BigEndian
	switch {
	case typ == TnlGRE || typ == TnlIP6GRE:
		flags := be.Uint16(l4)
		b = fmt.Appendf(b, "gre((flags=0x%x,proto=0x%x)", flags, be.Uint16(l4[2:]))
		o := l4[4:]
		for _, f := range []struct {
			bit  uint16
			text string
		}{{0x8000, ",csum=0x%x"}, {0x2000, ",key=0x%x"}, {0x1000, ",seq=0x%x"}} {
			if flags&f.bit == 0 || len(o) < 4 {
				continue
			}
			v := be.Uint32(o)
			if f.bit == 0x8000 {
				v >>= 16
			}
			b = fmt.Appendf(b, f.text, v)
			o = o[4:]
		}
		return append(b, ')')
	case (typ == TnlERSPAN || typ == TnlIP6ERSPAN) && len(l4) >= 16:
		e := l4[8:] // after the 8 bytes of GRE with a sequence number
		sid := be.Uint16(e[2:]) & 0x3ff
		if e[0]>>4 == 1 || len(l4) < 20 {
			return fmt.Appendf(b, "erspan(ver=1,sid=0x%x,idx=0x%x)", sid, be.Uint32(e[4:]))
		}
		md := be.Uint16(l4[18:])
		return fmt.Appendf(b, "erspan(ver=2,sid=0x%x,dir=%d,hwid=0x%x)", sid, md>>3&1, md>>4&0x3f)
	}
	if len(l4) < 16 {
		return append(b, hex.EncodeToString(l4)...)
	}
	b = fmt.Appendf(b, "udp(src=%d,dst=%d,csum=0x%x),", be.Uint16(l4), be.Uint16(l4[2:]), be.Uint16(l4[6:]))
	v := l4[8:]
	switch typ {
	case TnlVXLAN:
		return fmt.Appendf(b, "vxlan(flags=0x%x,vni=0x%x)", be.Uint32(v), be.Uint32(v[4:])>>8)
	case TnlGeneve:
		return formatGeneveHeader(b, v)
	case TnlGTPU:
		return fmt.Appendf(b, "gtpu(flags=0x%x,msgtype=%d,teid=0x%x)", v[0], v[1], be.Uint32(v[4:]))
	}
	return append(b, hex.EncodeToString(v)...)
}

func formatGeneveHeader(b, v []byte) []byte {
	b = append(b, "geneve("...)
	if v[1]&0x80 != 0 {
		b = append(b, "oam,"...)
	}
	if v[1]&0x40 != 0 {
		b = append(b, "crit,"...)
	}
	b = fmt.Appendf(b, "vni=0x%x", binary.BigEndian.Uint32(v[4:])>>8)
	if n := 4 * int(v[0]&0x3f); n > 0 && len(v) >= 8+n {
		b = append(appendGeneveOpts(append(b, ",options("...), v[8:8+n], nil, true), ')')
	}
	return append(b, ')')
}
