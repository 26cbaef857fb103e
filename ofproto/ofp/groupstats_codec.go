package ofp

import (
	"math"

	"sluice/ofproto/ofp/oferr"
)

func (m *GroupRequest) encode(e *encoder) {
	r := stdRaw(m.Kind, e.v)
	if r == RawInvalid {
		return
	}
	e.begin(r)
	if r != RawOFPST11GroupDescRequest {
		e.u32(m.GroupID)
		e.zeros(4)
	}
}

func decodeGroupRequest(d decoder) (Msg, error) {
	m := &GroupRequest{Kind: d.Type, GroupID: GroupAll}
	if d.Raw != RawOFPST11GroupDescRequest {
		m.GroupID = be32(d.body)
	}
	return m, nil
}

func (m *GroupRequest) format(p *printer) {
	p.str(" group_id=")
	switch m.GroupID {
	case GroupAll:
		p.str("ALL")
	case GroupAny:
		p.str("ANY")
	default:
		p.dec(uint64(m.GroupID))
	}
}

func (m *GroupStats) entry(e *encoder, _ Raw) {
	start := len(e.b)
	e.zeros(4)
	e.u32(m.GroupID)
	e.u32(m.RefCount)
	e.zeros(4)
	e.u64(m.PacketCount)
	e.u64(m.ByteCount)
	if e.v == OF10 || e.v >= OF13 {
		e.u32(m.DurationSec)
		e.u32(m.DurationNsec)
	}
	for _, b := range m.Buckets {
		e.u64(b.PacketCount)
		e.u64(b.ByteCount)
	}
	e.put16(start, uint16(len(e.b)-start))
}

func (m *GroupStatsReply) encode(e *encoder) {
	r := stdRaw(TypeGroupStatsReply, e.v)
	e.beginPart(r, m.More)
	for i := range m.Groups {
		m.Groups[i].entry(e, r)
	}
}

func decodeGroupStatsReply(d decoder) (Msg, error) {
	m := &GroupStatsReply{More: d.more()}
	size := 40
	if d.Raw == RawOFPST11GroupReply {
		size = 32
	}
	for b := d.body; len(b) > 0; {
		if len(b) < size {
			m.cut = true
			return m, oferr.OFPBRC_BAD_LEN
		}
		n := int(be16(b))
		if n < size || n > len(b) {
			m.cut = true
			return m, oferr.OFPBRC_BAD_LEN
		}
		s := GroupStats{
			GroupID: be32(b[4:]), RefCount: be32(b[8:]), PacketCount: be64(b[16:]), ByteCount: be64(b[24:]),
			DurationSec: math.MaxUint32, DurationNsec: math.MaxUint32,
		}
		if size == 40 {
			s.DurationSec, s.DurationNsec = be32(b[32:]), be32(b[36:])
		}
		for c := b[size:n]; len(c) >= 16; c = c[16:] {
			s.Buckets = append(s.Buckets, BucketStats{be64(c), be64(c[8:])})
		}
		m.Groups = append(m.Groups, s)
		b = b[size+16*len(s.Buckets):]
	}
	return m, nil
}

func (m *GroupStatsReply) format(p *printer) {
	for _, s := range m.Groups {
		p.f("\n group_id=%d,", s.GroupID)
		if s.DurationSec != math.MaxUint32 {
			p.str("duration=")
			p.duration(s.DurationSec, s.DurationNsec)
			p.byte(',')
		}
		p.f("ref_count=%d,packet_count=%d,byte_count=%d", s.RefCount, s.PacketCount, s.ByteCount)
		for i, b := range s.Buckets {
			if b.PacketCount != NoCounter {
				p.f(",bucket%d:packet_count=%d,byte_count=%d", i, b.PacketCount, b.ByteCount)
			}
		}
	}
	if m.cut {
		p.str(" ***parse error***")
	}
}

func (m *GroupDesc) entry(e *encoder, _ Raw) {
	start := len(e.b)
	e.zeros(2)
	e.u8(uint8(m.GroupType))
	e.u8(0)
	e.u32(m.GroupID)
	if has15(e.v) {
		e.zeros(8)
		for i := range m.Buckets {
			e.bucket15(&m.Buckets[i], m.Buckets[i].BucketID, m.GroupType)
		}
		e.put16(start+8, uint16(len(e.b)-start-16))
		e.groupProps(&m.Props)
	} else {
		for i := range m.Buckets {
			e.bucket11(&m.Buckets[i])
		}
	}
	e.put16(start, uint16(len(e.b)-start))
}

func (m *GroupDescReply) encode(e *encoder) {
	r := stdRaw(TypeGroupDescStatsReply, e.v)
	e.beginPart(r, m.More)
	for i := range m.Groups {
		m.Groups[i].entry(e, r)
	}
}

func decodeGroupDescReply(d decoder) (Msg, error) {
	m := &GroupDescReply{More: d.more()}
	for b := d.body; len(b) > 0; {
		g, rest, err := d.groupDesc(b)
		if err != nil {
			return m, err
		}
		m.Groups = append(m.Groups, g)
		b = rest
	}
	return m, nil
}

func (d *decoder) groupDesc(b []byte) (g GroupDesc, rest []byte, err error) {
	size := 8
	if has15(d.Version) {
		size = 16
	}
	if len(b) < size {
		return g, nil, oferr.OFPBRC_BAD_LEN
	}
	n := int(be16(b))
	if n < size || n > len(b) {
		return g, nil, oferr.OFPBRC_BAD_LEN
	}
	g.GroupType, g.GroupID = GroupType(b[2]), be32(b[4:])
	if size == 8 {
		g.Buckets, err = d.buckets11(b[size:n])
		return g, b[n:], err
	}
	buckets := int(be16(b[8:]))
	if size+buckets > n {
		return g, nil, oferr.OFPBRC_BAD_LEN
	}
	if g.Buckets, err = d.buckets15(b[size:size+buckets], g.GroupType); err == nil {
		err = g.Props.decode(b[size+buckets:n], g.GroupType, GroupCmdAdd)
	}
	return g, b[n:], err
}

func (m *GroupDescReply) format(p *printer) {
	for i := range m.Groups {
		g := &m.Groups[i]
		p.str("\n ")
		p.group(g.GroupID, g.GroupType, g.Buckets, &g.Props, true)
	}
}

func (m *GroupFeatures) encode(e *encoder) {
	e.begin(stdRaw(TypeGroupFeaturesStatsReply, e.v))
	m.entry(e, RawInvalid)
}

func (m *GroupFeatures) entry(e *encoder, _ Raw) {
	e.u32(m.Types)
	e.u32(m.Capabilities)
	for _, n := range m.MaxGroups {
		e.u32(n)
	}
	for _, a := range m.Actions {
		e.u32(a.wire(e.v))
	}
}

func decodeGroupFeatures(d decoder) (Msg, error) {
	m := &GroupFeatures{Types: be32(d.body), Capabilities: be32(d.body[4:])}
	for i := range m.MaxGroups {
		m.MaxGroups[i] = be32(d.body[8+4*i:])
		m.Actions[i] = actionSetFromWire(be32(d.body[24+4*i:]), d.Version)
	}
	return m, nil
}

func (m *GroupFeatures) format(p *printer) {
	p.f("\n Group table:\n    Types:  0x%x\n    Capabilities:  0x%x\n", m.Types, m.Capabilities)
	for i, name := range [...]string{"all", "select", "indirect", "fast failover"} {
		if m.Types&(1<<i) == 0 {
			continue
		}
		p.f("    %s group:\n       max_groups=", name)
		p.hexAlt(uint64(m.MaxGroups[i]))
		p.str("\n       actions: ")
		p.actionSet(m.Actions[i])
		p.byte('\n')
	}
}
