package action

import (
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/match"
)

func (p *printer) ct(a *CT) {
	p.str("ct(")
	if a.Flags&CTCommit != 0 {
		p.str("commit,")
	}
	if a.Flags&CTForce != 0 {
		p.str("force,")
	}
	if a.RecircTable != CTNoRecirc {
		p.str("table=")
		p.table(a.RecircTable)
		p.str(",")
	}
	if a.HasZoneSrc {
		p.str("zone=")
		p.sub(a.ZoneSrc)
		p.str(",")
	} else if a.Zone != 0 {
		p.num("zone=", uint64(a.Zone))
		p.str(",")
	}
	inner := a.Actions
	if len(inner) > 0 && inner[0].Kind() == KindNAT {
		p.action(inner[0])
		p.str(",")
		inner = inner[1:]
	}
	if len(inner) > 0 {
		p.str("exec(")
		p.list(inner)
		p.str("),")
	}
	switch a.Alg {
	case 0:
	case algFTP:
		p.str("alg=ftp,")
	case algTFTP:
		p.str("alg=tftp,")
	default:
		p.num("alg=", uint64(a.Alg))
		p.str(",")
	}
	p.close()
}

func (p *printer) nat(a *NAT) {
	p.str("nat")
	if a.Flags&(NATSrc|NATDst) == 0 {
		return
	}
	if a.Flags&NATSrc != 0 {
		p.str("(src")
	} else {
		p.str("(dst")
	}
	if !a.HasAddr {
		p.str(")")
		return
	}
	p.str("=")
	p.natAddress(a, &a.AddrMin)
	if a.AddrMax != ([16]byte{}) && a.AddrMax != a.AddrMin {
		p.str("-")
		p.natAddress(a, &a.AddrMax)
	}
	if a.ProtoMin != 0 {
		p.num(":", uint64(a.ProtoMin))
		if a.ProtoMax != 0 && a.ProtoMax != a.ProtoMin {
			p.num("-", uint64(a.ProtoMax))
		}
	}
	p.str(",")
	if a.Flags&NATPersistent != 0 {
		p.str("persistent,")
	}
	if a.Flags&NATProtoHash != 0 {
		p.str("hash,")
	}
	if a.Flags&NATProtoRandom != 0 {
		p.str("random,")
	}
	p.close()
}

// natAddress appends an address, in brackets if a port would follow it.
func (p *printer) natAddress(a *NAT, addr *[16]byte) {
	switch {
	case !a.IPv6:
		p.b = field.AppendIPv4(p.b, be.Uint32(addr[:]))
	case a.ProtoMin != 0:
		p.str("[")
		p.b = field.AppendIPv6(p.b, addr[:])
		p.str("]")
	default:
		p.b = field.AppendIPv6(p.b, addr[:])
	}
}

func (p *printer) learn(a *Learn) {
	p.str("learn(table=")
	p.table(a.Table)
	opt := func(name string, x, absent uint64) {
		if x != absent {
			p.num(name, x)
		}
	}
	opt(",idle_timeout=", uint64(a.Idle), 0)
	opt(",hard_timeout=", uint64(a.Hard), 0)
	opt(",fin_idle_timeout=", uint64(a.FinIdle), 0)
	opt(",fin_hard_timeout=", uint64(a.FinHard), 0)
	opt(",priority=", uint64(a.Priority), match.DefaultPriority)
	if a.Flags&LearnSendFlowRem != 0 {
		p.str(",send_flow_rem")
	}
	if a.Flags&LearnDeleteLearned != 0 {
		p.str(",delete_learned")
	}
	if a.Cookie != 0 {
		p.str(",cookie=")
		p.hex(a.Cookie)
	}
	opt(",limit=", uint64(a.Limit), 0)
	if a.Flags&LearnWriteResult != 0 {
		p.str(",result_dst=")
		p.sub(a.ResultDst)
	}
	for i := range a.Specs {
		p.str(",")
		p.learnSpec(&a.Specs[i])
	}
	p.str(")")
}

func (p *printer) learnSpec(s *LearnSpec) {
	switch {
	case s.Kind == LearnOutput:
		p.str("output:")
		p.sub(s.Src)
	case s.Kind == LearnLoad:
		p.str("load:")
		if s.Imm != nil {
			p.b = field.AppendHex(p.b, s.Imm)
		} else {
			p.sub(s.Src)
		}
		p.str("->")
		p.sub(s.Dst)
	case s.Imm == nil:
		p.sub(s.Dst)
		if s.Src.ID != s.Dst.ID || s.Src.Ofs != s.Dst.Ofs {
			p.str("=")
			p.sub(s.Src)
		}
	case s.Dst.IsWhole():
		f := field.Get(s.Dst.ID)
		var v field.Value
		copy(v[int(f.Size)-len(s.Imm):f.Size], s.Imm)
		p.str(f.Name)
		p.str("=")
		p.b = f.AppendValue(p.b, &v, nil, p.ports)
	default:
		p.sub(s.Dst)
		p.str("=")
		p.b = field.AppendHex(p.b, s.Imm)
	}
}
