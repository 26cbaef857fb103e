package connmgr

import (
	"slices"

	"sluice/ofproto/classifier"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/table"
)

// monitor is one flow monitor of a connection.
type monitor struct {
	id       uint32
	flags    ofp.MonitorFlags
	outPort  uint32
	outGroup uint32
	tableID  uint8
	req      *ofp.FlowMonitor
	target   classifier.Rule
}

const pauseBytes = 128 << 10 // unsent updates that pause a connection's monitors

// Monitor does one part of a flow monitor request and returns the monitor it made, if
// it did.
func (c *Conn) Monitor(r *ofp.FlowMonitor) (made *monitor, err error) {
	if r.TableID != ofp.TableAll && r.TableID >= table.NTables {
		return nil, oferr.OFPBRC_BAD_TABLE_ID
	}
	old := c.findMonitor(r.ID)
	switch r.Command {
	case ofp.MonitorModify, ofp.MonitorDelete:
		if old == nil {
			return nil, oferr.OFPMOFC_UNKNOWN_MONITOR
		}
		c.monitors = remove(c.monitors, old)
		if r.Command == ofp.MonitorDelete {
			return nil, nil
		}
	default:
		if old != nil {
			return nil, oferr.OFPMOFC_MONITOR_EXISTS
		}
	}
	m := &monitor{id: r.ID, flags: r.Flags, outPort: r.OutPort, outGroup: r.OutGroup, tableID: r.TableID, req: r}
	m.target.Init(&r.Match.Flow, &r.Match.Mask, 0)
	c.monitors = append(c.monitors, m)
	c.mgr.Tables.SetMonitored(true)
	return m, nil
}

func (c *Conn) findMonitor(id uint32) *monitor {
	for _, m := range c.monitors {
		if m.id == id {
			return m
		}
	}
	return nil
}

// MonitorCancel ends a monitor.
func (c *Conn) MonitorCancel(id uint32) error {
	m := c.findMonitor(id)
	if m == nil {
		return oferr.OFPMOFC_UNKNOWN_MONITOR
	}
	c.monitors = remove(c.monitors, m)
	return nil
}

// Monitors does a flow monitor request, all parts of it or nothing, and answers it
// with the flows that exist.  h is the header of its last part.
func (c *Conn) Monitors(parts []ofp.FlowMonitor, h ofp.Header) error {
	var made []*monitor
	for i := range parts {
		m, err := c.Monitor(&parts[i])
		if err != nil {
			for _, m := range made {
				c.monitors = remove(c.monitors, m)
			}
			return err
		}
		if m != nil {
			made = append(made, m)
		}
	}
	s := c.mgr.Tables
	s.Mu.Lock()
	var rules []*table.Rule
	for _, m := range made {
		if m.flags&ofp.MonitorInitial != 0 {
			rules = c.collect(m, 0, rules)
		}
	}
	updates := refreshUpdates(rules)
	s.Mu.Unlock()
	c.sendUpdates(ofp.NewReplyBuilder(h, c.Protocol()), updates, &c.replies)
	return nil
}

// collect appends the rules that m must tell of: all (since 0), or those that changed
// after change number since.
func (c *Conn) collect(m *monitor, since uint64, rules []*table.Rule) []*table.Rule {
	crit := table.Criteria{TableID: m.tableID, OutPort: m.outPort, OutGroup: m.outGroup}
	found, err := c.mgr.Tables.Collect(&crit, &m.req.Match)
	if err != nil {
		return rules
	}
	for _, r := range found {
		update := ofp.MonitorFlags(ofp.MonitorInitial)
		switch {
		case since == 0:
		case r.Monitor.Added > since:
			update = ofp.MonitorAdded | ofp.MonitorChanged
		case r.Monitor.Modified > since:
			update = ofp.MonitorChanged
		default:
			continue
		}
		if since != 0 && m.flags&update == 0 {
			continue
		}
		if r.Monitor.Flags == 0 {
			rules = append(rules, r)
		}
		r.Monitor.Flags |= update | m.flags&ofp.MonitorActions
	}
	return rules
}

// refreshUpdates makes the updates for collected rules.
func refreshUpdates(rules []*table.Rule) []ofp.FlowUpdate {
	updates := make([]ofp.FlowUpdate, 0, len(rules))
	for _, r := range rules {
		flags := r.Monitor.Flags
		r.Monitor.Flags = 0
		event := ofp.EventModified
		switch {
		case flags&ofp.MonitorInitial != 0:
			event = ofp.EventInitial
		case flags&ofp.MonitorAdded != 0:
			event = ofp.EventAdded
		}
		updates = append(updates, flowUpdate(r, event, 0, flags))
	}
	return updates
}

func flowUpdate(r *table.Rule, event ofp.FlowEvent, reason ofp.FlowReason, flags ofp.MonitorFlags) ofp.FlowUpdate {
	fu := ofp.FlowUpdate{
		Event: event, Reason: reason, IdleTimeout: r.IdleTimeout(), HardTimeout: r.HardTimeout(),
		TableID: r.TableID, Priority: uint16(r.Priority()), Cookie: r.Cookie, Match: r.Match(),
	}
	if flags&ofp.MonitorActions != 0 {
		fu.Actions = r.Actions
	}
	return fu
}

// sendUpdates sends what was collected in b.
func (c *Conn) sendUpdates(b *ofp.ReplyBuilder, updates []ofp.FlowUpdate, count *counter) {
	for i := range updates {
		updates[i].Match.Tun = c.mgr.Tun()
		b.Add(&updates[i])
	}
	for _, msg := range b.Parts() {
		c.r.send(msg, count, c.mgr.now)
	}
}

// ReportChange tells flow monitors of a change to a rule.
func (m *Manager) ReportChange(e *table.Event) {
	r := e.Rule
	if r.IsHidden() {
		return
	}
	var update ofp.MonitorFlags
	switch e.What {
	case ofp.EventAdded:
		update = ofp.MonitorAdded
		r.Monitor.Added, r.Monitor.Modified = m.changes, m.changes
		m.changes++
	case ofp.EventRemoved:
		update = ofp.MonitorRemoved
	case ofp.EventModified:
		update = ofp.MonitorChanged
		r.Monitor.Modified = m.changes
		m.changes++
	}
	for _, c := range m.conns {
		// Paused: only of flows from before the pause, that they went.
		if c.paused != 0 && (e.What != ofp.EventRemoved || r.Monitor.Added > c.paused) {
			continue
		}
		if flags := c.monitorFlags(e, update); flags != 0 {
			c.addUpdate(e, flags)
		}
	}
}

// monitorFlags returns the flags of all monitors that want to hear of a change.
func (c *Conn) monitorFlags(e *table.Event, update ofp.MonitorFlags) (flags ofp.MonitorFlags) {
	for _, mon := range c.monitors {
		if mon.flags&update != 0 &&
			(mon.tableID == ofp.TableAll || mon.tableID == e.Rule.TableID) &&
			(mon.outPort == 0xffffffff || e.Rule.OutputsTo(mon.outPort) || e.Changed && table.OutputsTo(e.OldActions, mon.outPort)) &&
			(mon.outGroup == ofp.GroupAny || e.Rule.UsesGroup(mon.outGroup)) &&
			e.Rule.LooseMatch(&mon.target) {
			flags |= mon.flags
		}
	}
	return flags
}

func (c *Conn) addUpdate(e *table.Event, flags ofp.MonitorFlags) {
	if len(c.updates) == 0 {
		c.abbreviated = false
	}
	own, _ := e.Req.Conn.(*Conn)
	if flags&ofp.MonitorOnlyOwn != 0 || c != own || c.paused != 0 {
		reason := e.Reason
		if e.What != ofp.EventRemoved {
			reason = 0
		}
		c.updates = append(c.updates, flowUpdate(e.Rule, e.What, reason, flags))
		return
	}
	if !c.abbreviated {
		c.updates = append(c.updates, ofp.FlowUpdate{Event: ofp.EventAbbrev, XID: e.Req.XID})
		c.abbreviated = true
	}
}

// FlushChanges sends the updates of the changes so far.
func (m *Manager) FlushChanges() {
	for _, c := range m.conns {
		if len(c.updates) > 0 {
			u := c.updates
			c.updates = nil
			c.sendUpdates(ofp.NewUpdateBuilder(c.Protocol()), u, &c.monitorCount)
		}
		if c.paused == 0 && c.monitorCount.bytes > pauseBytes {
			cMonitorPause.Inc()
			c.paused = m.changes
			m.changes++
			c.sendPause(ofp.EventPaused, &c.monitorCount)
		}
	}
}

// sendPause tells that updates are paused, or resumed.
func (c *Conn) sendPause(event ofp.FlowEvent, count *counter) {
	if c.Version() >= ofp.OF14 {
		c.sendAsync(&ofp.FlowMonitorReply{Updates: []ofp.FlowUpdate{{Event: event}}}, count)
		return
	}
	kind := ofp.TypeFlowMonitorPaused
	if event == ofp.EventResumed {
		kind = ofp.TypeFlowMonitorResumed
	}
	c.sendAsync(&ofp.Empty{Kind: kind}, count)
}

func (c *Conn) mayResume() bool { return c.paused != 0 && c.monitorCount.packets == 0 }

// runMonitors resumes monitors whose controllers took what was queued.
func (m *Manager) runMonitors() {
	monitored := slices.ContainsFunc(m.conns, func(c *Conn) bool { return len(c.monitors) > 0 })
	if monitored != m.monitored {
		m.monitored = monitored
		m.Tables.SetMonitored(monitored)
	}
	for _, c := range m.conns {
		if !c.mayResume() {
			continue
		}
		cMonitorResume.Inc()
		m.Tables.Mu.Lock()
		var rules []*table.Rule
		for _, mon := range c.monitors {
			rules = c.collect(mon, c.paused, rules)
		}
		updates := refreshUpdates(rules)
		m.Tables.Mu.Unlock()
		if len(updates) > 0 {
			c.sendUpdates(ofp.NewUpdateBuilder(c.Protocol()), updates, &c.replies)
		}
		c.sendPause(ofp.EventResumed, &c.replies)
		c.paused = 0
	}
}
