package ofp

import (
	"math"

	"sluice/ofproto/ofp/match"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

var flowReasonNames = [...]string{"idle", "hard", "delete", "group_delete", "meter_delete", "eviction"}

// String is the name that prints use.
func (r FlowReason) String() string { return nameOr(flowReasonNames[:]...)(int(r)) }

func (m *FlowRemoved) encode(e *encoder) {
	reason := m.Reason
	if reason == RemovedMeterDelete && e.v < OF14 {
		reason = RemovedDelete
	}
	switch {
	case e.v >= OF15:
		e.begin(RawOFPT15FlowRemoved)
		e.u8(m.TableID)
		e.u8(uint8(reason))
		e.u16(m.Priority)
		e.u16(m.IdleTimeout)
		e.u16(m.HardTimeout)
		e.u64(m.Cookie)
		e.match(&m.Match)
		e.oxs(oxs{m.DurationSec, m.DurationNsec, math.MaxUint32, math.MaxUint32, m.PacketCount, m.ByteCount})
	case e.v >= OF11:
		e.begin(RawOFPT11FlowRemoved)
		m.encodeCommon(e, reason, m.TableID, m.HardTimeout)
		e.u64(m.PacketCount)
		e.u64(m.ByteCount)
		e.match(&m.Match)
	case e.p&ofver.OF10NXMAny != 0:
		e.begin(RawNXTFlowRemoved)
		body := len(e.b)
		m.encodeCommon(e, reason, m.TableID+1, 0)
		e.u64(m.PacketCount)
		e.u64(m.ByteCount)
		n := e.nxm(&m.Match, match.Cookie{})
		e.put16(body+22, uint16(n))
	default:
		e.begin(RawOFPT10FlowRemoved)
		e.b = m.Match.Append10(e.b)
		m.encodeCommon(e, reason, 0, 0)
		e.u64(known(m.PacketCount))
		e.u64(known(m.ByteCount))
	}
}

// encodeCommon writes what the layouts before OpenFlow 1.5 share.
func (m *FlowRemoved) encodeCommon(e *encoder, reason FlowReason, table uint8, hard uint16) {
	e.u64(m.Cookie)
	e.u16(m.Priority)
	e.u8(uint8(reason))
	e.u8(table)
	e.u32(m.DurationSec)
	e.u32(m.DurationNsec)
	e.u16(m.IdleTimeout)
	e.u16(hard)
}

// decodeCommon reads what encodeCommon writes, and the counters behind it.
func (m *FlowRemoved) decodeCommon(b []byte) {
	m.Cookie, m.Priority, m.Reason, m.TableID = be64(b), be16(b[8:]), FlowReason(b[10]), b[11]
	m.DurationSec, m.DurationNsec = be32(b[12:]), be32(b[16:])
	m.IdleTimeout, m.HardTimeout = be16(b[20:]), be16(b[22:])
	m.PacketCount, m.ByteCount = be64(b[24:]), be64(b[32:])
}

func decodeFlowRemoved(d decoder) (Msg, error) {
	m, b := &FlowRemoved{}, d.body
	var rest []byte
	var err error
	switch d.Raw {
	case RawOFPT10FlowRemoved:
		m.Match.Decode10(b[:match.Size10])
		m.decodeCommon(b[match.Size10:])
		m.TableID, m.HardTimeout = TableAll, 0
	case RawNXTFlowRemoved:
		m.decodeCommon(b)
		n := int(m.HardTimeout) // the length of the match is at its place
		m.HardTimeout = 0
		m.TableID-- // 0 is "not given", which makes TableAll
		if rest, err = d.pullNXM(&m.Match, b[40:], n, nil); err == nil && len(rest) > 0 {
			err = oferr.OFPBRC_BAD_LEN
		}
	case RawOFPT11FlowRemoved:
		m.decodeCommon(b)
		_, err = d.pullMatch(&m.Match, b[40:])
	default:
		m.TableID, m.Reason, m.Priority = b[0], FlowReason(b[1]), be16(b[2:])
		m.IdleTimeout, m.HardTimeout, m.Cookie = be16(b[4:]), be16(b[6:]), be64(b[8:])
		if rest, err = d.pullMatch(&m.Match, b[16:]); err != nil {
			return nil, err
		}
		var s oxs
		s, _, err = pullOXS(rest)
		m.DurationSec, m.DurationNsec = s.durationSec, s.durationNsec
		m.PacketCount, m.ByteCount = s.packetCount, s.byteCount
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (m *FlowRemoved) format(p *printer) {
	p.byte(' ')
	p.match(&m.Match, m.Priority)
	p.f(" reason=%v", m.Reason)
	if m.TableID != TableAll {
		p.str(" table_id=")
		p.table(m.TableID)
	}
	if m.Cookie != 0 {
		p.f(" cookie:0x%x", m.Cookie)
	}
	p.str(" duration")
	p.duration(m.DurationSec, m.DurationNsec)
	p.f(" idle%d", m.IdleTimeout)
	if m.HardTimeout != 0 {
		p.f(" hard%d", m.HardTimeout)
	}
	p.f(" pkts%d bytes%d\n", m.PacketCount, m.ByteCount)
}
