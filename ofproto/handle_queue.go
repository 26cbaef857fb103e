package ofproto

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/internal/errno"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
)

// This file has the requests about the queues of ports.

var rlQueue = vlog.NewLimiter(1, 5)

// eachQueuePort calls fn for the ports that a request asks for.  Among all ports, an
// error of some does not count.
func (sw *Switch) eachQueuePort(no uint32, fn func(*Port) error) error {
	if no != flow.OFPNone {
		p := sw.ports.byNumber[no]
		if p == nil {
			return oferr.OFPQOFC_BAD_PORT
		}
		return fn(p)
	}
	var err error = oferr.OFPQOFC_BAD_QUEUE
	for _, p := range sw.ports.sorted {
		if fn(p) == nil {
			err = nil
		}
	}
	return err
}

func (sw *Switch) handleQueueStats(r *request) error {
	cQueueReq.Inc()
	m := r.msg.(*ofp.QueueStatsRequest)
	b := ofp.NewReplyBuilder(r.h, r.Protocol())
	err := sw.eachQueuePort(m.PortNo, func(p *Port) error {
		return p.eachQueueStats(m.QueueID, func(id uint32, s dpif.QueueStats) { b.Add(queueStats(p, id, s, r.now)) })
	})
	if err != nil {
		return err
	}
	sendAll(r.Conn, b.Parts())
	return nil
}

// queues returns the queues of a port; nil if it has none, which is an error if a
// certain one is asked for.
func (p *Port) queues(id uint32) (dpif.Queues, error) {
	q, ok := p.Dev.(dpif.Queues)
	if !ok && id != ofp.QueueAll {
		return nil, oferr.OFPQOFC_BAD_QUEUE
	}
	return q, nil
}

// eachQueueStats calls fn for one queue, or for all.
func (p *Port) eachQueueStats(id uint32, fn func(uint32, dpif.QueueStats)) error {
	q, err := p.queues(id)
	switch {
	case q == nil:
		return err
	case id == ofp.QueueAll:
		// A port whose queues cannot be read has none to show, as in stock.
		if err := q.EachQueueStats(fn); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			logOF.WarnRL(rlQueue, "%s: reading queue statistics failed (%s)", p.Dev.Name(), errno.Text(err))
		}
		return nil
	}
	s, err := q.QueueStats(id)
	if err != nil {
		return oferr.OFPQOFC_BAD_QUEUE
	}
	fn(id, s)
	return nil
}

// queueStats converts a queue's counters.
func queueStats(p *Port, id uint32, s dpif.QueueStats, now int64) *ofp.QueueStats {
	st := &ofp.QueueStats{PortNo: p.OFPort, QueueID: id, TxBytes: s.TxBytes, TxPackets: s.TxPackets, TxErrors: s.TxErrors,
		DurationSec: math.MaxUint32, DurationNsec: math.MaxUint32}
	if s.Created != dpif.QueueAgeUnknown {
		st.DurationSec, st.DurationNsec = duration(s.Created, now)
	}
	return st
}

func (sw *Switch) handleQueueConfig(r *request) error {
	m := r.msg.(*ofp.QueueGetConfigRequest)
	b := ofp.QueueConfigBuilder(r.h, m, r.Protocol())
	err := sw.eachQueuePort(m.PortNo, func(p *Port) error {
		// No queue has rates of the kind that OpenFlow shows, parts of the link's.
		return p.eachQueue(m.QueueID, func(id uint32) {
			b.Add(&ofp.QueueConfig{PortNo: p.OFPort, QueueID: id, MinRate: ofp.RateUnset, MaxRate: ofp.RateUnset})
		})
	})
	if err != nil {
		return err
	}
	sendAll(r.Conn, b.Parts())
	return nil
}

// eachQueue calls fn for one queue, or for all.
func (p *Port) eachQueue(id uint32, fn func(uint32)) error {
	q, err := p.queues(id)
	switch {
	case q == nil:
		return err
	case id == ofp.QueueAll:
		for _, id := range q.QueueIDs() {
			fn(id)
		}
		return nil
	}
	if _, err := q.Queue(id); err != nil {
		return queueError(err)
	}
	fn(id)
	return nil
}

// queueError tells a queue that there cannot be from one that there is not.
func queueError(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return oferr.OFPQOFC_BAD_QUEUE
	}
	return oferr.NXQOFC_QUEUE_ERROR
}
