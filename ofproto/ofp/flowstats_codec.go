package ofp

import (
	"math"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

func (m *FlowStatsRequest) encode(e *encoder) {
	switch {
	case e.v >= OF11:
		e.begin(stdRaw(m.Type(), e.v))
		e.u8(m.TableID)
		e.zeros(3)
		e.u32(m.OutPort)
		e.u32(m.OutGroup)
		e.zeros(4)
		e.u64(m.Cookie)
		e.u64(m.CookieMask)
		e.match(&m.Match)
	case e.p&ofver.OF10NXMAny != 0 || m.NX:
		if m.Aggregate {
			e.begin(RawNXSTAggregateRequest)
		} else {
			e.begin(RawNXSTFlowRequest)
		}
		body := len(e.b)
		e.port16(m.OutPort)
		e.u16(0)
		e.u8(m.TableID)
		e.zeros(3)
		n := e.nxm(&m.Match, match.Cookie{Value: m.Cookie, Mask: m.CookieMask})
		e.put16(body+2, uint16(n))
	default:
		e.begin(stdRaw(m.Type(), e.v))
		e.b = m.Match.Append10(e.b)
		e.u8(m.TableID)
		e.u8(0)
		e.port16(m.OutPort)
	}
}

func decodeFlowStatsRequest(d decoder) (Msg, error) {
	b := d.body
	m := &FlowStatsRequest{Aggregate: d.Type == TypeAggregateStatsRequest, OutGroup: GroupAny}
	var err error
	switch d.Raw {
	case RawOFPST10FlowRequest, RawOFPST10AggregateRequest:
		m.Match.Decode10(b[:match.Size10])
		m.TableID, m.OutPort = b[40], port10(be16(b[42:]))
	case RawNXSTFlowRequest, RawNXSTAggregateRequest:
		m.NX = true
		m.OutPort, m.TableID = port10(be16(b)), b[4]
		var cookie match.Cookie
		rest, err := d.pullNXM(&m.Match, b[8:], int(be16(b[2:])), &cookie)
		if err != nil {
			return nil, err
		}
		if len(rest) > 0 {
			return nil, oferr.OFPBRC_BAD_LEN
		}
		m.Cookie, m.CookieMask = cookie.Value, cookie.Mask
	default:
		m.TableID = b[0]
		if m.OutPort, err = port11(be32(b[4:])); err != nil {
			return nil, err
		}
		m.OutGroup = be32(b[8:])
		m.Cookie, m.CookieMask = be64(b[16:]), be64(b[24:])
		if _, err = d.pullMatch(&m.Match, b[32:]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *FlowStatsRequest) format(p *printer) {
	if m.TableID != TableAll {
		p.str(" table=")
		p.table(m.TableID)
	}
	if m.OutPort != flow.OFPNone {
		p.str(" out_port=")
		p.port(m.OutPort)
	}
	p.byte(' ')
	p.match(&m.Match, match.DefaultPriority)
}

// known is a counter for versions that cannot say "not known".
func known(x uint64) uint64 {
	if x == NoCounter {
		return 0
	}
	return x
}

// age is a number of seconds as Nicira statistics carry it: 0 is "not known".
func age(sec int) uint16 { return uint16(min(max(sec, -1)+1, math.MaxUint16)) }

func (m *FlowStats) entry(e *encoder, r Raw) {
	start := len(e.b)
	e.zeros(2)
	switch r {
	case RawOFPST15FlowReply:
		e.zeros(2)
		e.u8(m.TableID)
		e.u8(0)
		e.u16(m.Priority)
		e.u16(m.IdleTimeout)
		e.u16(m.HardTimeout)
		e.u16(m.Flags.wire(e.v))
		e.u16(m.Importance)
		e.u64(m.Cookie)
		e.oxm(&m.Match)
		s := oxs{m.DurationSec, m.DurationNsec, math.MaxUint32, math.MaxUint32, m.PacketCount, m.ByteCount}
		if m.IdleAge >= 0 {
			s.idleAge = uint32(m.IdleAge)
		}
		e.oxs(s)
		e.instructions(m.Actions)
	case RawOFPST10FlowReply:
		m.entry10(e)
	case RawNXSTFlowReply:
		m.entryNX(e)
	default:
		m.entry11(e, r)
	}
	e.put16(start, uint16(len(e.b)-start))
}

func (m *FlowStats) entry10(e *encoder) {
	e.u8(m.TableID)
	e.u8(0)
	e.b = m.Match.Append10(e.b)
	e.u32(m.DurationSec)
	e.u32(m.DurationNsec)
	e.u16(m.Priority)
	e.u16(m.IdleTimeout)
	e.u16(m.HardTimeout)
	e.zeros(6)
	e.u64(m.Cookie)
	e.u64(known(m.PacketCount))
	e.u64(known(m.ByteCount))
	e.actions(m.Actions)
}

func (m *FlowStats) entryNX(e *encoder) {
	start := len(e.b)
	e.u8(m.TableID)
	e.u8(0)
	e.u32(m.DurationSec)
	e.u32(m.DurationNsec)
	e.u16(m.Priority)
	e.u16(m.IdleTimeout)
	e.u16(m.HardTimeout)
	e.u16(0)
	e.u16(age(m.IdleAge))
	e.u16(age(m.HardAge))
	e.u64(m.Cookie)
	e.u64(m.PacketCount)
	e.u64(m.ByteCount)
	n := e.nxm(&m.Match, match.Cookie{})
	e.put16(start+16, uint16(n))
	e.actions(m.Actions)
}

func (m *FlowStats) entry11(e *encoder, r Raw) {
	e.u8(m.TableID)
	e.u8(0)
	e.u32(m.DurationSec)
	e.u32(m.DurationNsec)
	e.u16(m.Priority)
	e.u16(m.IdleTimeout)
	e.u16(m.HardTimeout)
	if r == RawOFPST13FlowReply {
		e.u16(m.Flags.wire(e.v))
	} else {
		e.u16(0)
	}
	if e.v >= OF14 {
		e.u16(m.Importance)
	} else {
		e.u16(0)
	}
	e.zeros(2)
	e.u64(m.Cookie)
	e.u64(known(m.PacketCount))
	e.u64(known(m.ByteCount))
	e.oxm(&m.Match) // also in OpenFlow 1.1, as stock sends it
	e.instructions(m.Actions)
}

func (m *FlowStatsReply) encode(e *encoder) {
	r := stdRaw(TypeFlowStatsReply, e.v)
	if e.p&ofver.OF10NXMAny != 0 {
		r = RawNXSTFlowReply
	}
	e.beginPart(r, m.More)
	for i := range m.Flows {
		m.Flows[i].entry(e, r)
	}
}

func decodeFlowStatsReply(d decoder) (Msg, error) {
	m := &FlowStatsReply{More: d.more()}
	for b := d.body; len(b) > 0; {
		m.Flows = append(m.Flows, FlowStats{IdleAge: -1, HardAge: -1})
		rest, err := m.Flows[len(m.Flows)-1].decode(&d, b)
		if err != nil {
			m.Flows = m.Flows[:len(m.Flows)-1]
			return m, err
		}
		b = rest
	}
	return m, nil
}

// flowStatsSize is the size of what precedes the match, or includes it.
func flowStatsSize(r Raw) int {
	switch r {
	case RawOFPST10FlowReply:
		return 88
	case RawOFPST15FlowReply:
		return 24
	}
	return 48
}

func (m *FlowStats) decode(d *decoder, b []byte) (rest []byte, err error) {
	size := flowStatsSize(d.Raw)
	if len(b) < size {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	n := int(be16(b))
	if n < size {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	tail := b
	switch d.Raw {
	case RawOFPST10FlowReply:
		tail = m.decode10(b)
	case RawNXSTFlowReply:
		tail, err = m.decodeNX(d, b)
	case RawOFPST15FlowReply:
		tail, err = m.decode15(d, b)
	default:
		tail, err = m.decode11(d, b)
	}
	if err != nil {
		return nil, err
	}
	taken := len(b) - len(tail)
	if n < taken || n > len(b) {
		if d.Version == OF10 {
			return nil, oferr.OFPBRC_BAD_LEN
		}
		return nil, oferr.OFPBIC_BAD_LEN
	}
	m.Actions, err = d.instructions(b[taken:n])
	return b[n:], err
}

func (m *FlowStats) decode10(b []byte) (rest []byte) {
	m.TableID = b[2]
	m.Match.Decode10(b[4:44])
	m.DurationSec, m.DurationNsec = be32(b[44:]), be32(b[48:])
	m.Priority, m.IdleTimeout, m.HardTimeout = be16(b[52:]), be16(b[54:]), be16(b[56:])
	m.Cookie, m.PacketCount, m.ByteCount = be64(b[64:]), be64(b[72:]), be64(b[80:])
	return b[88:]
}

func (m *FlowStats) decodeNX(d *decoder, b []byte) (rest []byte, err error) {
	m.TableID = b[2]
	m.DurationSec, m.DurationNsec = be32(b[4:]), be32(b[8:])
	m.Priority, m.IdleTimeout, m.HardTimeout = be16(b[12:]), be16(b[14:]), be16(b[16:])
	m.IdleAge, m.HardAge = int(be16(b[20:]))-1, int(be16(b[22:]))-1
	m.Cookie, m.PacketCount, m.ByteCount = be64(b[24:]), be64(b[32:]), be64(b[40:])
	n := int(be16(b[18:]))
	if 48+(n+7)&^7 > int(be16(b)) {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	return d.pullNXM(&m.Match, b[48:], n, nil)
}

func (m *FlowStats) decode11(d *decoder, b []byte) (rest []byte, err error) {
	m.TableID = b[2]
	m.DurationSec, m.DurationNsec = be32(b[4:]), be32(b[8:])
	m.Priority, m.IdleTimeout, m.HardTimeout = be16(b[12:]), be16(b[14:]), be16(b[16:])
	if d.Raw == RawOFPST13FlowReply {
		if m.Flags, err = decodeFlowFlags(be16(b[18:]), d.Version, false); err != nil {
			return nil, err
		}
	}
	if d.Version >= OF14 {
		m.Importance = be16(b[20:])
	}
	m.Cookie, m.PacketCount, m.ByteCount = be64(b[24:]), be64(b[32:]), be64(b[40:])
	return d.pullMatch(&m.Match, b[48:])
}

func (m *FlowStats) decode15(d *decoder, b []byte) (rest []byte, err error) {
	m.TableID = b[4]
	m.Priority, m.IdleTimeout, m.HardTimeout = be16(b[6:]), be16(b[8:]), be16(b[10:])
	m.Importance, m.Cookie = be16(b[14:]), be64(b[16:])
	if m.Flags, err = decodeFlowFlags(be16(b[12:]), d.Version, false); err != nil {
		return nil, err
	}
	if rest, err = d.pullMatch(&m.Match, b[24:]); err != nil {
		return nil, err
	}
	s, rest, err := pullOXS(rest)
	m.DurationSec, m.DurationNsec = s.durationSec, s.durationNsec
	m.PacketCount, m.ByteCount = s.packetCount, s.byteCount
	if s.idleAge != math.MaxUint32 {
		m.IdleAge = int(s.idleAge)
	}
	return rest, err
}

func (m *FlowStatsReply) format(p *printer) {
	for i := range m.Flows {
		p.str("\n ")
		p.flowStats(&m.Flows[i], true)
	}
}

// AppendText appends a flow as flow dumps show it, without statistics if stats is
// false.
func (m *FlowStats) AppendText(dst []byte, names *Names, stats bool) []byte {
	p := printer{b: dst, start: len(dst), names: names}
	p.flowStats(m, stats)
	return p.b
}

func (p *printer) flowStats(m *FlowStats, stats bool) {
	if stats || m.Cookie != 0 {
		p.f("cookie=0x%x, ", m.Cookie)
	}
	if stats {
		p.str("duration=")
		p.duration(m.DurationSec, m.DurationNsec)
		p.str(", ")
	}
	if stats || m.TableID != 0 || p.tables() != nil && p.tables().TableName(m.TableID) != "" {
		p.str("table=")
		p.table(m.TableID)
		p.str(", ")
	}
	if stats {
		p.counter("n_packets=", m.PacketCount, ", ")
		p.counter("n_bytes=", m.ByteCount, ", ")
	}
	number := func(label string, x int) {
		p.str(label)
		p.dec(uint64(x))
		p.str(", ")
	}
	if m.IdleTimeout != 0 {
		number("idle_timeout=", int(m.IdleTimeout))
	}
	if m.HardTimeout != 0 {
		number("hard_timeout=", int(m.HardTimeout))
	}
	p.flowFlags(m.Flags)
	if m.Importance != 0 {
		number("importance=", int(m.Importance))
	}
	if stats && m.IdleAge >= 0 {
		number("idle_age=", m.IdleAge)
	}
	if stats && m.HardAge >= 0 && m.HardAge != int(m.DurationSec) {
		number("hard_age=", m.HardAge)
	}
	before := len(p.b)
	p.match(&m.Match, m.Priority)
	if len(p.b) != before {
		p.byte(' ')
	}
	p.str("actions=")
	p.actions(m.Actions)
}

func (m *AggregateReply) encode(e *encoder) {
	r := stdRaw(TypeAggregateStatsReply, e.v)
	if e.p&ofver.OF10NXMAny != 0 {
		r = RawNXSTAggregateReply
	}
	m.encodeAs(e, r)
}

// encodeAs writes the reply in a layout, for a ReplyBuilder.
func (m *AggregateReply) encodeAs(e *encoder, r Raw) {
	e.begin(r)
	m.entry(e, r)
}

func (m *AggregateReply) entry(e *encoder, r Raw) {
	if r == RawOFPST15AggregateReply {
		e.oxs(oxs{math.MaxUint32, math.MaxUint32, math.MaxUint32, m.FlowCount, m.PacketCount, m.ByteCount})
		return
	}
	packets, bytes := m.PacketCount, m.ByteCount
	if e.v == OF10 && r == RawOFPSTAggregateReply {
		packets, bytes = known(packets), known(bytes)
	}
	e.u64(packets)
	e.u64(bytes)
	e.u32(m.FlowCount)
	e.zeros(4)
}

func decodeAggregateReply(d decoder) (Msg, error) {
	if d.Raw == RawOFPST15AggregateReply {
		s, _, err := pullOXS(d.body)
		if err != nil {
			return nil, err
		}
		return &AggregateReply{s.packetCount, s.byteCount, s.flowCount}, nil
	}
	return &AggregateReply{be64(d.body), be64(d.body[8:]), be32(d.body[16:])}, nil
}

func (m *AggregateReply) format(p *printer) {
	p.f(" packet_count=%d byte_count=%d flow_count=%d", m.PacketCount, m.ByteCount, m.FlowCount)
}
