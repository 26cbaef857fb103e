package action

import (
	"strconv"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
)

// printer appends the text of actions.
type printer struct {
	b      []byte
	ports  field.PortMap
	tables field.TableMap
}

// AppendText appends the text of l as stock prints it, "drop" if it is empty.  ports
// and tables, which may be nil, give the names of ports and tables.
func (l List) AppendText(b []byte, ports field.PortMap, tables field.TableMap) []byte {
	p := printer{b, ports, tables}
	p.list(l)
	return p.b
}

// String returns the text of l with numbers for ports and tables.
func (l List) String() string { return string(l.AppendText(nil, nil, nil)) }

func (p *printer) list(l List) {
	if len(l) == 0 {
		p.str("drop")
		return
	}
	for i, a := range l {
		if i > 0 {
			p.b = append(p.b, ',')
		}
		p.action(a)
	}
}

func (p *printer) str(s string)  { p.b = append(p.b, s...) }
func (p *printer) dec(x uint64)  { p.b = strconv.AppendUint(p.b, x, 10) }
func (p *printer) hex(x uint64)  { p.b = append(p.b, cHex(x)...) }
func (p *printer) port(x uint32) { p.b = field.AppendPort(p.b, x, p.ports) }
func (p *printer) table(t uint8) { p.b = field.AppendTable(p.b, t, p.tables) }

func (p *printer) sub(s field.Sub) { p.b = s.AppendText(p.b) }

// num appends name and x.
func (p *printer) num(name string, x uint64) {
	p.str(name)
	p.dec(x)
}

// hex4 appends name and x as 0x and four digits.
func (p *printer) hex4(name string, x uint16) {
	p.str(name)
	p.str("0x")
	for shift := 12; shift >= 0; shift -= 4 {
		p.b = append(p.b, "0123456789abcdef"[x>>shift&15])
	}
}

// close removes a comma at the end and adds a parenthesis.
func (p *printer) close() {
	if p.b[len(p.b)-1] == ',' {
		p.b = p.b[:len(p.b)-1]
	}
	p.b = append(p.b, ')')
}

// bytes appends data as pairs of digits with dots between them.
func (p *printer) bytes(data []byte) {
	for i, x := range data {
		if i > 0 {
			p.b = append(p.b, '.')
		}
		p.b = append(p.b, "0123456789abcdef"[x>>4], "0123456789abcdef"[x&15])
	}
}

func (p *printer) action(a Action) {
	switch a := a.(type) {
	case *Output:
		if a.Port < flow.OFPMax&0xffff {
			p.str("output:")
		}
		p.port(a.Port)
		if a.Port == flow.OFPController {
			p.num(":", uint64(a.MaxLen))
		}
	case *OutputTrunc:
		p.str("output(port=")
		p.port(a.Port)
		p.num(",max_len=", uint64(a.MaxLen))
		p.str(")")
	case *Group:
		p.num("group:", uint64(a.ID))
	case *Controller:
		p.controller(a)
	case *Enqueue:
		p.str("enqueue:")
		p.port(a.Port)
		p.num(":", uint64(a.Queue))
	case *OutputReg:
		p.str("output:")
		p.sub(a.Src)
	case *Bundle:
		p.bundle(a)
	case *SetField:
		p.setField(a)
	case *RegMove:
		p.str("move:")
		p.sub(a.Src)
		p.str("->")
		p.sub(a.Dst)
	case *StackPush:
		p.str("push:")
		p.sub(a.Sub)
	case *StackPop:
		p.str("pop:")
		p.sub(a.Sub)
	case *DecTTL:
		p.decTTL(a)
	case *DeleteField:
		p.str("delete_field:")
		p.str(a.ID.String())
	case *Encap:
		p.encap(a)
	case *Decap:
		p.str("decap(")
		if a.PacketType != DecapNext {
			p.num("packet_type(ns=", uint64(a.PacketType>>16))
			p.str(",type=")
			p.hex(uint64(a.PacketType & 0xffff))
			p.str(")")
		}
		p.str(")")
	case *Resubmit:
		p.resubmit(a)
	case *Learn:
		p.learn(a)
	case *Multipath:
		p.multipath(a)
	case *Sample:
		p.sample(a)
	case *CT:
		p.ct(a)
	case *NAT:
		p.nat(a)
	case *Clone:
		p.str("clone(")
		p.list(a.Actions)
		p.str(")")
	case *WriteActions:
		p.str("write_actions(")
		p.list(a.Actions)
		p.str(")")
	case *CheckPktLarger:
		p.num("check_pkt_larger(", uint64(a.Len))
		p.str(")->")
		p.sub(a.Dst)
	case *UnrollXlate:
		p.str("unroll_xlate(table=")
		p.table(a.Table)
		p.num(", cookie=", a.Cookie)
		p.str(")")
	default:
		p.simple(a)
	}
}

func (p *printer) simple(a Action) {
	switch a := a.(type) {
	case *SetVLANVID:
		if a.PushIfNeeded {
			p.num("mod_vlan_vid:", uint64(a.VID))
		} else {
			p.num("set_vlan_vid:", uint64(a.VID))
		}
	case *SetVLANPCP:
		if a.PushIfNeeded {
			p.num("mod_vlan_pcp:", uint64(a.PCP))
		} else {
			p.num("set_vlan_pcp:", uint64(a.PCP))
		}
	case *StripVLAN:
		if a.Pop {
			p.str("pop_vlan")
		} else {
			p.str("strip_vlan")
		}
	case *PushVLAN:
		p.str("push_vlan:")
		p.hex(uint64(a.EthType))
	case *SetEthSrc:
		p.str("mod_dl_src:")
		p.b = field.AppendMAC(p.b, a.MAC[:])
	case *SetEthDst:
		p.str("mod_dl_dst:")
		p.b = field.AppendMAC(p.b, a.MAC[:])
	case *SetIPv4Src:
		p.str("mod_nw_src:")
		p.b = field.AppendIPv4(p.b, a.Addr)
	case *SetIPv4Dst:
		p.str("mod_nw_dst:")
		p.b = field.AppendIPv4(p.b, a.Addr)
	case *SetIPDSCP:
		p.num("mod_nw_tos:", uint64(a.DSCP))
	case *SetIPECN:
		p.num("mod_nw_ecn:", uint64(a.ECN))
	case *SetIPTTL:
		p.num("mod_nw_ttl:", uint64(a.TTL))
	case *SetL4SrcPort:
		p.num("mod_tp_src:", uint64(a.Port))
	case *SetL4DstPort:
		p.num("mod_tp_dst:", uint64(a.Port))
	case *SetMPLSLabel:
		p.num("set_mpls_label(", uint64(a.Label))
		p.str(")")
	case *SetMPLSTC:
		p.num("set_mpls_tc(", uint64(a.TC))
		p.str(")")
	case *SetMPLSTTL:
		p.num("set_mpls_ttl(", uint64(a.TTL))
		p.str(")")
	case *PushMPLS:
		p.hex4("push_mpls:", a.EthType)
	case *PopMPLS:
		p.hex4("pop_mpls:", a.EthType)
	case *SetTunnel:
		if a.ID > 0xffffffff || a.Raw == RawNXSetTunnel64 {
			p.str("set_tunnel64:")
		} else {
			p.str("set_tunnel:")
		}
		p.hex(a.ID)
	case *SetQueue:
		p.num("set_queue:", uint64(a.Queue))
	case *FinTimeout:
		p.str("fin_timeout(")
		if a.Idle != 0 {
			p.num("idle_timeout=", uint64(a.Idle))
			p.str(",")
		}
		if a.Hard != 0 {
			p.num("hard_timeout=", uint64(a.Hard))
		}
		p.close()
	case *Conjunction:
		p.num("conjunction(", uint64(a.ID))
		p.num(",", uint64(a.Clause)+1)
		p.num("/", uint64(a.NClauses))
		p.str(")")
	case *Note:
		p.str("note:")
		p.bytes(a.Data)
	case *Meter:
		p.num("meter:", uint64(a.ID))
	case *WriteMetadata:
		p.str("write_metadata:")
		p.hex(a.Value)
		if a.Mask != ^uint64(0) {
			p.str("/")
			p.hex(a.Mask)
		}
	case *GotoTable:
		p.str("goto_table:")
		p.table(a.Table)
	default:
		p.str(a.Kind().String())
	}
}

var reasonNames = [...]string{"no_match", "action", "invalid_ttl", "action_set", "group", "packet_out",
	"", ""} // explicit and implicit miss are shown to no one

// ReasonName returns the name of a reason for a packet-in; a number if it has none.
func ReasonName(reason uint8) string {
	if int(reason) < len(reasonNames) {
		return reasonNames[reason]
	}
	return strconv.Itoa(int(reason))
}

func (p *printer) controller(a *Controller) {
	if a.Reason == reasonAction && a.ID == 0 && len(a.UserData) == 0 && !a.Pause && a.MeterID == 0 {
		p.num("CONTROLLER:", uint64(a.MaxLen))
		return
	}
	p.str("controller(")
	if a.Reason != reasonAction {
		p.str("reason=")
		p.str(ReasonName(a.Reason))
		p.str(",")
	}
	if a.MaxLen != 0xffff {
		p.num("max_len=", uint64(a.MaxLen))
		p.str(",")
	}
	if a.ID != 0 {
		p.num("id=", uint64(a.ID))
		p.str(",")
	}
	if len(a.UserData) != 0 {
		p.str("userdata=")
		p.bytes(a.UserData)
		p.str(",")
	}
	if a.Pause {
		p.str("pause,")
	}
	if a.MeterID != 0 {
		p.num("meter_id=", uint64(a.MeterID))
	}
	p.close()
}

var hashNames = [...]string{"eth_src", "symmetric_l4", "symmetric_l3l4", "symmetric_l3l4+udp", "nw_src", "nw_dst", "symmetric_l3"}

// String returns the name of the set of hashed fields.
func (h HashFields) String() string {
	if h.valid() {
		return hashNames[h]
	}
	return "<unknown>"
}

func (p *printer) bundle(a *Bundle) {
	p.str("bundle")
	if a.Load {
		p.str("_load")
	}
	p.str("(")
	p.str(a.Fields.String())
	p.num(",", uint64(a.Basis))
	if a.Alg == BundleHRW {
		p.str(",hrw,ofport,")
	} else {
		p.str(",active_backup,ofport,")
	}
	if a.Load {
		p.sub(a.Dst)
		p.str(",")
	}
	p.str("members:")
	for i, m := range a.Members {
		if i > 0 {
			p.str(",")
		}
		p.port(m)
	}
	p.str(")")
}

var multipathNames = [...]string{"modulo_n", "hash_threshold", "hrw", "iter_hash"}

func (p *printer) multipath(a *Multipath) {
	p.str("multipath(")
	p.str(a.Fields.String())
	p.num(",", uint64(a.Basis))
	p.str(",")
	if int(a.Alg) < len(multipathNames) {
		p.str(multipathNames[a.Alg])
	} else {
		p.str("<unknown>")
	}
	p.num(",", uint64(a.MaxLink)+1)
	p.num(",", uint64(a.Arg))
	p.str(",")
	p.sub(a.Dst)
	p.str(")")
}

func (p *printer) setField(s *SetField) {
	if s.Raw == RawNXRegLoad {
		first := true
		s.eachLoad(func(dst field.Sub, value uint64) {
			if !first {
				p.str(",")
			}
			first = false
			p.str("load:")
			p.hex(value)
			p.str("->")
			p.sub(dst)
		})
		return
	}
	var v, mask field.Value
	s.Get(&v, &mask)
	maskp := &mask
	if s.exact() {
		maskp = nil
	}
	p.str("set_field:")
	p.b = field.Get(s.ID).AppendValue(p.b, &v, maskp, p.ports)
	p.str("->")
	p.str(s.ID.String())
}

func (p *printer) decTTL(a *DecTTL) {
	p.str("dec_ttl")
	if a.Raw != RawNXDecTTLCntIDs {
		return
	}
	p.str("(")
	for i, id := range a.IDs {
		if i > 0 {
			p.str(",")
		}
		p.dec(uint64(id))
	}
	p.str(")")
}

var encapNames = map[uint32]string{
	flow.PacketTypeEth: "ethernet", flow.PacketTypeNSH: "nsh", flow.PacketTypeMPLS: "mpls", flow.PacketTypeMPLSMc: "mpls_mc",
}

func (p *printer) encap(a *Encap) {
	p.str("encap(")
	if name, ok := encapNames[a.PacketType]; ok {
		p.str(name)
	} else {
		p.str("UNKNOWN")
	}
	if len(a.Props) > 0 {
		p.str("(")
		for i := range a.Props {
			x := &a.Props[i]
			if i > 0 {
				p.str(",")
			}
			if x.Type == propNSHMDType {
				p.num("md_type=", uint64(x.MDType))
				continue
			}
			p.hex4("tlv(", x.TLVClass)
			p.num(",", uint64(x.TLVType))
			p.str(",")
			p.b = field.AppendHex(p.b, x.Data)
			p.str(")")
		}
		p.str(")")
	}
	p.str(")")
}

func (p *printer) resubmit(a *Resubmit) {
	if a.InPort != flow.OFPInPort && a.Table == 255 {
		p.str("resubmit:")
		p.port(a.InPort)
		return
	}
	p.str("resubmit(")
	if a.InPort != flow.OFPInPort {
		p.port(a.InPort)
	}
	p.str(",")
	if a.Table != 255 {
		p.table(a.Table)
	}
	if a.CT {
		p.str(",ct")
	}
	p.str(")")
}

func (p *printer) sample(a *Sample) {
	p.num("sample(probability=", uint64(a.Probability))
	p.num(",collector_set_id=", uint64(a.CollectorSet))
	p.num(",obs_domain_id=", uint64(a.ObsDomain))
	p.num(",obs_point_id=", uint64(a.ObsPoint))
	if a.Port != flow.OFPNone {
		p.str(",sampling_port=")
		p.port(a.Port)
	}
	switch a.Direction {
	case SampleIngress:
		p.str(",ingress")
	case SampleEgress:
		p.str(",egress")
	}
	p.str(")")
}
