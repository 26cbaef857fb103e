package ofp

import (
	"cmp"
	"math"
	"slices"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/oferr"
)

// Property types of queues, in all versions.
const (
	propMinRate = 1
	propMaxRate = 2
)

func (m *QueueGetConfigRequest) encode(e *encoder) {
	e.begin(stdRaw(TypeQueueGetConfigRequest, e.v))
	switch {
	case e.v == OF10:
		e.port16(m.PortNo)
		e.zeros(2)
	case e.v < OF14:
		e.u32(m.PortNo)
		e.zeros(4)
	default:
		e.u32(m.PortNo)
		e.u32(m.QueueID)
	}
}

func decodeQueueGetConfigRequest(d decoder) (Msg, error) {
	m := &QueueGetConfigRequest{QueueID: QueueAll}
	var err error
	switch d.Raw {
	case RawOFPT10QueueGetConfigRequest:
		m.PortNo = port10(be16(d.body))
	case RawOFPT11QueueGetConfigRequest:
		m.PortNo, err = port11(be32(d.body))
		if err != nil {
			return nil, err
		}
		if m.PortNo == flow.OFPNone {
			return m, nil
		}
	default:
		m.QueueID = be32(d.body[4:])
		if m.PortNo, err = port11(be32(d.body)); err != nil {
			return nil, err
		}
		return m, nil
	}
	if m.PortNo >= 0xff00 {
		return nil, oferr.OFPQOFC_BAD_PORT
	}
	return m, nil
}

func (p *printer) queue(id uint32) {
	if id == QueueAll {
		p.str("ALL")
	} else {
		p.dec(uint64(id))
	}
}

func (m *QueueGetConfigRequest) format(p *printer) {
	p.str(" port=")
	p.port(m.PortNo)
	if m.QueueID != QueueAll {
		p.str(" queue=")
		p.queue(m.QueueID)
	}
}

func (m *QueueGetConfigReply) encode(e *encoder) {
	r := stdRaw(TypeQueueGetConfigReply, e.v)
	if e.v >= OF14 {
		e.beginPart(r, m.More)
	} else {
		e.begin(r)
		m.prefix(e)
	}
	for i := range m.Queues {
		m.Queues[i].entry(e, r)
	}
}

// prefix writes what stands before the queues, before OpenFlow 1.4.
func (m *QueueGetConfigReply) prefix(e *encoder) {
	if e.v == OF10 {
		e.port16(m.PortNo)
		e.zeros(6)
	} else {
		e.u32(m.PortNo)
		e.zeros(4)
	}
}

func (m *QueueConfig) entry(e *encoder, _ Raw) {
	start := len(e.b)
	lenAt := start + 8
	switch {
	case e.v < OF12:
		e.u32(m.QueueID)
		e.zeros(4)
		lenAt = start + 4
	case e.v < OF14:
		e.u32(m.QueueID)
		e.u32(m.PortNo)
		e.zeros(8)
	default:
		e.u32(m.PortNo)
		e.u32(m.QueueID)
		e.zeros(8)
	}
	e.queueRate(propMinRate, m.MinRate)
	e.queueRate(propMaxRate, m.MaxRate)
	e.put16(lenAt, uint16(len(e.b)-start))
}

func (e *encoder) queueRate(prop uint16, rate uint16) {
	if rate == RateUnset {
		return
	}
	e.u16(prop)
	if e.v < OF14 {
		e.u16(16)
		e.zeros(4)
		e.u16(rate)
		e.zeros(6)
	} else {
		e.u16(8)
		e.u16(rate)
		e.zeros(2)
	}
}

func decodeQueueGetConfigReply(d decoder) (Msg, error) {
	m := &QueueGetConfigReply{}
	b := d.body
	if d.Version >= OF14 {
		m.More = d.more()
	} else if d.Version == OF10 {
		m.PortNo = port10(be16(b))
		b = b[8:]
	} else {
		var err error
		if m.PortNo, err = port11(be32(b)); err != nil && len(b) > 8 {
			return m, err
		}
		b = b[8:]
	}
	for len(b) > 0 {
		q := QueueConfig{PortNo: m.PortNo, MinRate: RateUnset, MaxRate: RateUnset}
		var err error
		if d.Version >= OF14 {
			b, err = q.decode14(b)
		} else {
			b, err = q.decode10(b, d.Version)
		}
		if err != nil {
			return m, err
		}
		m.Queues = append(m.Queues, q)
	}
	return m, nil
}

func (m *QueueConfig) decode10(b []byte, v Version) (rest []byte, err error) {
	size, lenAt := 16, 8
	if v < OF12 {
		size, lenAt = 8, 4
	}
	if len(b) < size {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	m.QueueID = be32(b)
	n := int(be16(b[lenAt:]))
	if n < size || n > len(b) || n%8 != 0 {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	for props := b[size:n]; len(props) > 0; {
		pn := int(be16(props[2:]))
		if pn < 8 || pn > len(props) || pn%8 != 0 {
			return nil, oferr.OFPBRC_BAD_LEN
		}
		if prop := be16(props); prop == propMinRate || prop == propMaxRate {
			if pn != 16 {
				return nil, oferr.OFPBRC_BAD_LEN
			}
			m.setRate(uint64(prop), be16(props[8:]))
		}
		props = props[pn:]
	}
	return b[n:], nil
}

func (m *QueueConfig) setRate(prop uint64, rate uint16) {
	if prop == propMinRate {
		m.MinRate = rate
	} else {
		m.MaxRate = rate
	}
}

func (m *QueueConfig) decode14(b []byte) (rest []byte, err error) {
	const size = 16
	if len(b) < size {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	if m.PortNo, err = port11(be32(b)); err != nil {
		return nil, err
	}
	m.QueueID = be32(b[4:])
	n := int(be16(b[8:]))
	if n < size || n > len(b) || n%8 != 0 {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	err = eachProp(b[size:n], func(p property) error {
		if p.typ != propMinRate && p.typ != propMaxRate {
			return nil
		}
		rate, err := p.u16()
		m.setRate(p.typ, rate)
		return err
	})
	return b[n:], err
}

func (p *printer) queueRate(name string, rate uint16) {
	if rate <= 1000 {
		p.f(" %s:%d.%d%%", name, rate/10, rate%10)
	} else if rate != RateUnset {
		p.f(" %s:(disabled)", name)
	}
}

func (m *QueueGetConfigReply) format(p *printer) {
	queues := slices.Clone(m.Queues)
	slices.SortStableFunc(queues, func(a, b QueueConfig) int {
		return cmp.Or(cmp.Compare(uint16(a.PortNo), uint16(b.PortNo)), cmp.Compare(a.QueueID, b.QueueID))
	})
	p.byte(' ')
	port := uint32(0)
	for _, q := range queues {
		if q.PortNo != port {
			port = q.PortNo
			p.str("port=")
			p.port(port)
			p.byte('\n')
		}
		p.f("queue %d:", q.QueueID)
		p.queueRate("min_rate", q.MinRate)
		p.queueRate("max_rate", q.MaxRate)
		p.byte('\n')
	}
	p.chomp()
}

func (m *QueueStatsRequest) encode(e *encoder) {
	e.begin(stdRaw(TypeQueueStatsRequest, e.v))
	if e.v == OF10 {
		port := m.PortNo
		if port == flow.OFPNone {
			port = flow.OFPAll
		}
		e.port16(port)
		e.zeros(2)
	} else {
		e.u32(m.PortNo)
	}
	e.u32(m.QueueID)
}

func decodeQueueStatsRequest(d decoder) (Msg, error) {
	m := &QueueStatsRequest{QueueID: be32(d.body[4:])}
	if d.Version == OF10 {
		if m.PortNo = port10(be16(d.body)); m.PortNo == flow.OFPAll {
			m.PortNo = flow.OFPNone
		}
		return m, nil
	}
	var err error
	if m.PortNo, err = port11(be32(d.body)); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *QueueStatsRequest) format(p *printer) {
	p.str(" port=")
	p.port(m.PortNo)
	p.str(" queue=")
	p.queue(m.QueueID)
}

func (m *QueueStats) entry(e *encoder, _ Raw) {
	if e.v >= OF14 {
		e.u16(48)
		e.zeros(6)
	}
	if e.v == OF10 {
		e.port16(m.PortNo)
		e.zeros(2)
	} else {
		e.u32(m.PortNo)
	}
	e.u32(m.QueueID)
	e.u64(m.TxBytes)
	e.u64(m.TxPackets)
	e.u64(m.TxErrors)
	if e.v >= OF13 {
		e.u32(m.DurationSec)
		if m.DurationSec == math.MaxUint32 {
			e.u32(math.MaxUint32)
		} else {
			e.u32(m.DurationNsec)
		}
	}
}

func (m *QueueStatsReply) encode(e *encoder) {
	e.beginPart(stdRaw(TypeQueueStatsReply, e.v), m.More)
	for i := range m.Queues {
		m.Queues[i].entry(e, RawInvalid)
	}
}

func decodeQueueStatsReply(d decoder) (Msg, error) {
	m := &QueueStatsReply{More: d.more()}
	for b := d.body; len(b) > 0; {
		n := 32
		switch {
		case d.Version >= OF14:
			if len(b) < 48 {
				return m, oferr.OFPBRC_BAD_LEN
			}
			if n = int(be16(b)); n < 48 || n > len(b) {
				return m, oferr.OFPBRC_BAD_LEN
			}
			b, n = b[8:], n-8
		case d.Version == OF13:
			n = 40
		}
		s := QueueStats{
			QueueID: be32(b[4:]), TxBytes: be64(b[8:]), TxPackets: be64(b[16:]), TxErrors: be64(b[24:]),
			DurationSec: math.MaxUint32, DurationNsec: math.MaxUint32,
		}
		if d.Version == OF10 {
			s.PortNo = port10(be16(b))
		} else {
			var err error
			if s.PortNo, err = port11(be32(b)); err != nil {
				return m, err
			}
		}
		if d.Version >= OF13 {
			s.DurationSec, s.DurationNsec = be32(b[32:]), be32(b[36:])
		}
		m.Queues = append(m.Queues, s)
		b = b[n:]
	}
	return m, nil
}

func (m *QueueStatsReply) format(p *printer) {
	p.f(" %d queues\n", len(m.Queues))
	if p.verbosity < 1 {
		return
	}
	for _, q := range m.Queues {
		p.str("  port ")
		p.port(q.PortNo)
		p.str(" queue ")
		p.queue(q.QueueID)
		p.counter(": bytes=", q.TxBytes, ", ")
		p.counter("pkts=", q.TxPackets, ", ")
		p.counter("errors=", q.TxErrors, ", duration=")
		if q.DurationSec != math.MaxUint32 {
			p.duration(q.DurationSec, q.DurationNsec)
		} else {
			p.byte('?')
		}
		p.byte('\n')
	}
}
