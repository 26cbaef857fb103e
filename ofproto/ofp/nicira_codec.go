package ofp

import (
	"net/netip"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
)

// maxTLVLen is the size of the longest tunnel option that can be mapped.
const maxTLVLen = 124

func (e *encoder) tlvMaps(maps []TLVMap) {
	for _, m := range maps {
		e.u16(m.OptionClass)
		e.u8(m.OptionType)
		e.u8(m.OptionLen)
		e.u16(m.Index)
		e.zeros(2)
	}
}

func decodeTLVMaps(b []byte, maxFields int) (maps []TLVMap, err error) {
	maps = make([]TLVMap, 0, len(b)/8)
	for ; len(b) > 0; b = b[8:] {
		m := TLVMap{OptionClass: be16(b), OptionType: b[2], OptionLen: b[3], Index: be16(b[4:])}
		if m.OptionLen%4 != 0 || m.OptionLen > maxTLVLen {
			return nil, oferr.NXTTMFC_BAD_OPT_LEN
		}
		if int(m.Index) >= maxFields {
			return nil, oferr.NXTTMFC_BAD_FIELD_IDX
		}
		maps = append(maps, m)
	}
	return maps, nil
}

func (p *printer) tlvMaps(maps []TLVMap) {
	p.str(" mapping table:\n  class  type  length  match field\n ------  ----  ------  --------------")
	for _, m := range maps {
		p.f("\n %6s  %4s  %6d  tun_metadata%d", hexAlt(m.OptionClass), hexAlt(uint16(m.OptionType)), m.OptionLen, m.Index)
	}
}

func hexAlt(x uint16) string {
	var p printer
	p.hexAlt(uint64(x))
	return string(p.b)
}

func (m *TLVTableMod) encode(e *encoder) {
	e.begin(RawNXTTlvTableMod)
	e.u16(m.Command)
	e.zeros(6)
	e.tlvMaps(m.Maps)
}

func decodeTLVTableMod(d decoder) (Msg, error) {
	m := &TLVTableMod{Command: be16(d.body)}
	if m.Command > TLVClear {
		return nil, oferr.NXTTMFC_BAD_COMMAND
	}
	var err error
	if m.Maps, err = decodeTLVMaps(d.body[8:], field.NTunMetadata); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *TLVTableMod) format(p *printer) {
	p.str("\n ")
	p.str([...]string{"ADD", "DEL", "CLEAR"}[m.Command])
	if m.Command != TLVClear {
		p.tlvMaps(m.Maps)
	}
}

func (m *TLVTableReply) encode(e *encoder) {
	e.begin(RawNXTTlvTableReply)
	e.u32(m.MaxOptionSpace)
	e.u16(m.MaxFields)
	e.zeros(10)
	e.tlvMaps(m.Maps)
}

func decodeTLVTableReply(d decoder) (Msg, error) {
	m := &TLVTableReply{MaxOptionSpace: be32(d.body), MaxFields: be16(d.body[4:])}
	var err error
	if m.Maps, err = decodeTLVMaps(d.body[16:], int(m.MaxFields)); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *TLVTableReply) format(p *printer) {
	space := 0
	for _, t := range m.Maps {
		space += int(t.OptionLen)
	}
	p.f("\n max option space=%d max fields=%d\n allocated option space=%d\n\n", m.MaxOptionSpace, m.MaxFields, space)
	p.tlvMaps(m.Maps)
}

func (m *CTFlushZone) encode(e *encoder) {
	e.begin(RawNXTCtFlushZone)
	e.zeros(6)
	e.u16(m.Zone)
}

func decodeCTFlushZone(d decoder) (Msg, error) {
	if !d.c.loose && !allZero(d.body[:6]) {
		return nil, oferr.NXBRC_MUST_BE_ZERO
	}
	return &CTFlushZone{be16(d.body[6:])}, nil
}

func (m *CTFlushZone) format(p *printer) { p.f(" zone_id=%d", m.Zone) }

// Properties of a CTFlush, and of a tuple in it.
const (
	propCTOrig  = 0
	propCTReply = 1
	propCTZone  = 2

	propTupleSrc      = 0
	propTupleDst      = 1
	propTupleSrcPort  = 2
	propTupleDstPort  = 3
	propTupleICMPID   = 4
	propTupleICMPType = 5
	propTupleICMPCode = 6
)

func isICMP(proto uint8) bool { return proto == 1 || proto == 58 }

func (m *CTFlush) encode(e *encoder) {
	e.begin(RawNXTCtFlush)
	e.u8(m.IPProto)
	e.zeros(7)
	m.Original.encode(e, propCTOrig, m.IPProto)
	m.Reply.encode(e, propCTReply, m.IPProto)
	if m.HasZone {
		at := e.startProp(propCTZone)
		e.u16(m.Zone)
		e.zeros(2)
		e.endProp(at)
	}
}

func (t *CTTuple) encode(e *encoder, prop uint64, proto uint8) {
	outer := e.startProp(prop)
	e.align(outer)
	begin := len(e.b)
	bytesProp := func(typ uint64, x ...byte) {
		at := e.startProp(typ)
		e.bytes(x)
		e.endProp(at)
	}
	port := func(typ uint64, x uint16) { bytesProp(typ, byte(x>>8), byte(x), 0, 0) }
	if t.Src != (flow.IPv6{}) {
		bytesProp(propTupleSrc, t.Src[:]...)
	}
	if t.Dst != (flow.IPv6{}) {
		bytesProp(propTupleDst, t.Dst[:]...)
	}
	if isICMP(proto) {
		port(propTupleICMPID, t.SrcPort)
		bytesProp(propTupleICMPType, byte(t.DstPort>>8))
		bytesProp(propTupleICMPCode, byte(t.DstPort))
	} else {
		if t.SrcPort != 0 {
			port(propTupleSrcPort, t.SrcPort)
		}
		if t.DstPort != 0 {
			port(propTupleDstPort, t.DstPort)
		}
	}
	if len(e.b) == begin {
		e.b = e.b[:outer] // nothing to say
		return
	}
	e.endProp(outer)
}

func decodeCTFlush(d decoder) (Msg, error) {
	m := &CTFlush{IPProto: d.body[0]}
	if !allZero(d.body[1:8]) {
		return nil, oferr.NXBRC_MUST_BE_ZERO
	}
	err := eachProp(d.body[8:], func(p property) (err error) {
		switch p.typ {
		case propCTOrig:
			err = m.Original.decode(p, &m.L3Type)
		case propCTReply:
			err = m.Reply.decode(p, &m.L3Type)
		case propCTZone:
			m.HasZone = true
			m.Zone, err = p.u16()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (t *CTTuple) decode(outer property, l3 *uint16) error {
	b, err := outer.nested()
	if err != nil {
		return err
	}
	return eachProp(b, func(p property) (err error) {
		var x uint8
		switch p.typ {
		case propTupleSrc:
			err = decodeCTAddr(p, &t.Src, l3)
		case propTupleDst:
			err = decodeCTAddr(p, &t.Dst, l3)
		case propTupleSrcPort, propTupleICMPID:
			t.SrcPort, err = p.u16()
		case propTupleDstPort:
			t.DstPort, err = p.u16()
		case propTupleICMPType:
			x, err = p.u8()
			t.DstPort = t.DstPort&0xff | uint16(x)<<8
		case propTupleICMPCode:
			x, err = p.u8()
			t.DstPort = t.DstPort&^0xff | uint16(x)
		}
		return err
	})
}

func isV4Mapped(a flow.IPv6) bool { return netip.AddrFrom16(a).Is4In6() }

func decodeCTAddr(p property, a *flow.IPv6, l3 *uint16) error {
	if len(p.body) < len(a) {
		return oferr.OFPBPC_BAD_LEN
	}
	copy(a[:], p.body)
	typ := uint16(0)
	switch {
	case *a == flow.IPv6{}:
	case isV4Mapped(*a):
		typ = flow.EthIPv4
	default:
		typ = flow.EthIPv6
	}
	if *l3 != 0 && typ != 0 && *l3 != typ {
		return oferr.OFPBPC_BAD_VALUE
	}
	*l3 = typ
	return nil
}

// Text describes what is flushed, the zone apart, as logs do.
func (m *CTFlush) Text() string {
	var p printer
	m.tuples(&p)
	return string(p.b)
}

func (m *CTFlush) format(p *printer) {
	p.f(" zone=%d ", m.Zone)
	m.tuples(p)
}

func (m *CTFlush) tuples(p *printer) {
	p.byte('\'')
	p.ctTuple(&m.Original, m.IPProto, m.L3Type)
	p.f(",ct_nw_proto=%d' '", m.IPProto)
	p.ctTuple(&m.Reply, m.IPProto, m.L3Type)
	p.byte('\'')
}

func (p *printer) ctTuple(t *CTTuple, proto uint8, l3 uint16) {
	name := "ipv6"
	if l3 == flow.EthIPv4 {
		name = "nw"
	}
	p.f("ct_%s_src=%s,ct_%s_dst=%s", name, mappedAddr(t.Src), name, mappedAddr(t.Dst))
	if isICMP(proto) {
		p.f(",icmp_id=%d,icmp_type=%d,icmp_code=%d", t.SrcPort, t.DstPort>>8, t.DstPort&0xff)
	} else {
		p.f(",ct_tp_src=%d,ct_tp_dst=%d", t.SrcPort, t.DstPort)
	}
}

// mappedAddr is an address, as IPv4 if it is a mapped one.
func mappedAddr(a flow.IPv6) string { return netip.AddrFrom16(a).Unmap().String() }

func (m *IPFIXStats) entry(e *encoder, _ Raw) {
	for _, x := range m.counters() {
		e.u64(*x)
	}
	e.u32(m.CollectorSetID)
	e.zeros(4)
}

func (m *IPFIXStats) counters() [10]*uint64 {
	return [10]*uint64{&m.TotalFlows, &m.CurrentFlows, &m.Pkts, &m.IPv4Pkts, &m.IPv6Pkts,
		&m.ErrorPkts, &m.IPv4ErrorPkts, &m.IPv6ErrorPkts, &m.TxPkts, &m.TxErrors}
}

func (m *IPFIXReply) encode(e *encoder) {
	e.beginPart(stdRaw(m.Kind, e.v), m.More)
	for i := range m.Stats {
		m.Stats[i].entry(e, RawInvalid)
	}
}

func decodeIPFIXReply(d decoder) (Msg, error) {
	m := &IPFIXReply{Kind: d.Type, More: d.more()}
	for b := d.body; len(b) > 0; b = b[88:] {
		var s IPFIXStats
		for i, x := range s.counters() {
			*x = be64(b[8*i:])
		}
		s.CollectorSetID = be32(b[80:])
		m.Stats = append(m.Stats, s)
	}
	return m, nil
}

func (m *IPFIXReply) format(p *printer) {
	flowBased := m.Kind == TypeIpfixFlowStatsReply
	if flowBased {
		p.f(" %d ids\n", len(m.Stats))
	}
	for i := range m.Stats {
		s := &m.Stats[i]
		indent := "                "
		if flowBased {
			p.f("  id %3d: ", s.CollectorSetID)
			indent = indent[:10]
		} else {
			p.str("\n  bridge ipfix: ")
		}
		p.counter("flows=", s.TotalFlows, ", ")
		p.counter("current flows=", s.CurrentFlows, ", ")
		p.counter("sampled pkts=", s.Pkts, ", ")
		p.counter("ipv4 ok=", s.IPv4Pkts, ", ")
		p.counter("ipv6 ok=", s.IPv6Pkts, ", ")
		p.counter("tx pkts=", s.TxPkts, "\n")
		p.str(indent)
		p.counter("pkts errs=", s.ErrorPkts, ", ")
		p.counter("ipv4 errs=", s.IPv4ErrorPkts, ", ")
		p.counter("ipv6 errs=", s.IPv6ErrorPkts, ", ")
		p.counter("tx errs=", s.TxErrors, "\n")
	}
}
