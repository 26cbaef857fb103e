package ofproto

import (
	"sluice/ofproto/connmgr"
	"sluice/ofproto/ofp"
	"sluice/ofproto/table"
)

// This file has the requests about flows.

// dumpSlice is how many flows a turn of the loop encodes for one connection: a few ms.
const dumpSlice = 2000

func (sw *Switch) handleFlowMod(r *request) error {
	fm := r.msg.(*ofp.FlowMod)
	if err := sw.Tables.Apply(fm, r.requester(), r.now); err != nil {
		return err
	}
	sw.flowsChanged()
	r.ReportFlowMod(fm.Command)
	return nil
}

// flowsChanged follows up on a change of the tables.
func (sw *Switch) flowsChanged() {
	sw.processEvents()
	sw.dp.FlowsChanged(sw)
}

// collect returns the rules that a statistics request asks for.
func (sw *Switch) collect(m *ofp.FlowStatsRequest) ([]*table.Rule, error) {
	sw.Tables.Mu.Lock()
	defer sw.Tables.Mu.Unlock()
	return sw.Tables.Collect(&table.Criteria{
		TableID: m.TableID, Cookie: m.Cookie, CookieMask: m.CookieMask, OutPort: m.OutPort, OutGroup: m.OutGroup,
	}, &m.Match)
}

func (sw *Switch) handleFlowStats(r *request) error {
	rules, err := sw.collect(r.msg.(*ofp.FlowStatsRequest))
	if err != nil {
		return err
	}
	b := ofp.NewReplyBuilder(r.h, r.Protocol())
	r.Work(func() bool {
		n := min(len(rules), dumpSlice)
		now := r.Now()
		var fs ofp.FlowStats
		for _, rule := range rules[:n] {
			sw.flowStats(&fs, rule, now)
			b.Add(&fs)
		}
		rules = rules[n:]
		if len(rules) > 0 {
			sendAll(r.Conn, b.Flush())
			return false
		}
		sendAll(r.Conn, b.Parts())
		return true
	})
	return nil
}

func sendAll(c *connmgr.Conn, msgs [][]byte) {
	for _, m := range msgs {
		c.SendReply(m)
	}
}

// flowStats fills fs with what statistics say of a rule.
func (sw *Switch) flowStats(fs *ofp.FlowStats, r *table.Rule, now int64) {
	r.Expand(&fs.Match.Flow, &fs.Match.Mask)
	fs.Match.Tun = sw.tun
	fs.Cookie, fs.TableID, fs.Priority = r.Cookie, r.TableID, uint16(r.Priority())
	fs.IdleTimeout, fs.HardTimeout = r.IdleTimeout(), r.HardTimeout()
	fs.IdleAge, fs.HardAge = ageSeconds(now-r.Used()), ageSeconds(now-r.Modified())
	fs.Actions, fs.Flags, fs.Importance = r.Actions, r.Flags, r.Importance
	fs.DurationSec, fs.DurationNsec = duration(r.Created, now)
	fs.PacketCount, fs.ByteCount = r.Stats()
}

// ageSeconds converts an age to seconds in 16 bits.
func ageSeconds(ms int64) int { return int(min(max(ms/1000, 0), 0xffff)) }

func (sw *Switch) handleAggregate(r *request) error {
	rules, err := sw.collect(r.msg.(*ofp.FlowStatsRequest))
	if err != nil {
		return err
	}
	m := &ofp.AggregateReply{FlowCount: uint32(len(rules))}
	for _, rule := range rules {
		p, b := rule.Stats()
		m.PacketCount += p
		m.ByteCount += b
	}
	r.reply(m)
	return nil
}

func (sw *Switch) handleFlowMonitor(c *connmgr.Conn, msgs [][]byte) {
	var parts []ofp.FlowMonitor
	var last ofp.Header
	for _, b := range msgs {
		h, m, err := sw.context(c).Decode(b)
		if err != nil {
			c.SendError(b, err)
			return
		}
		last = h
		parts = append(parts, m.(*ofp.FlowMonitorRequest).Monitors...)
	}
	if err := c.Monitors(parts, last); err != nil {
		c.SendError(msgs[0], err)
	}
}

func (sw *Switch) handleMonitorCancel(r *request) error {
	return r.MonitorCancel(r.msg.(*ofp.FlowMonitorCancel).ID)
}
