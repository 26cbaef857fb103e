package table

import (
	"sluice/ofproto/classifier"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/oferr"
)

const removedDelete = ofp.RemovedDelete

// FlowMod is a flow_mod that was checked as far as that needs no lock, ready for a
// transaction.
type FlowMod struct {
	command      uint8
	tableID      uint8
	modifyCookie bool
	mayAdd       bool // a modify that finds nothing adds
	keepCounts   bool
	temp         *Rule // what is added, or the pattern of what modified rules become
	conj         []classifier.Conjunction
	criteria     Criteria
	target       classifier.Rule // of criteria
	now          int64

	version  uint64
	old, new []*Rule
	few      [2]*Rule // memory for old and new of one rule
}

// NewFlowMod prepares fm.  It may run without Mu.
func (s *Set) NewFlowMod(fm *ofp.FlowMod, now int64) (*FlowMod, error) {
	m := &FlowMod{
		command: fm.Command, tableID: fm.TableID, modifyCookie: fm.ModifyCookie, now: now,
		mayAdd:     fm.NewCookie != ofp.NoCookie && fm.CookieMask == 0,
		keepCounts: fm.Flags&ofp.FlowResetCounts == 0,
	}
	var err error
	switch fm.Command {
	case ofp.FlowAdd:
		err = s.initAdd(m, fm)
	case ofp.FlowModify, ofp.FlowModifyStrict:
		m.setCriteria(fm, anyPort, anyGroup)
		err = s.initAdd(m, fm)
	case ofp.FlowDelete, ofp.FlowDeleteStrict:
		m.setCriteria(fm, fm.OutPort, fm.OutGroup)
	default:
		return nil, oferr.OFPFMFC_BAD_COMMAND
	}
	if err != nil {
		return nil, err
	}
	if fm.Command <= ofp.FlowModifyStrict && fm.BufferID != ofp.NoBuffer {
		return nil, oferr.OFPBRC_BUFFER_UNKNOWN
	}
	return m, nil
}

func (m *FlowMod) setCriteria(fm *ofp.FlowMod, port, group uint32) {
	m.criteria = Criteria{
		TableID: fm.TableID, Cookie: fm.Cookie, CookieMask: fm.CookieMask, OutPort: port, OutGroup: group,
		WritableOK: fm.Flags&ofp.FlowNoReadonly == 0, Hidden: fm.Flags&ofp.FlowNoReadonly != 0,
	}
	m.target.Init(&fm.Match.Flow, &fm.Match.Mask, int(fm.Priority))
}

// initAdd prepares the rule of an add, or the pattern of a modify.
func (s *Set) initAdd(m *FlowMod, fm *ofp.FlowMod) error {
	id := fm.TableID
	if !ValidTable(id) {
		return oferr.OFPBRC_BAD_TABLE_ID
	}
	if id == ofp.TableAll {
		id = 0
	}
	if s.tables[id].readonly && fm.Flags&ofp.FlowNoReadonly == 0 {
		return oferr.OFPBRC_EPERM
	}
	if fm.Flags&ofp.FlowHiddenFields == 0 && !fm.Match.HasDefaultHiddenFields() {
		log.WarnRL(rl, "(add_flow) only internal flows can set non-default values to hidden fields")
		return oferr.OFPBRC_EPERM
	}
	m.temp = newRule(fm, id, m.now)
	m.conj = conjunctions(fm.Actions)
	return nil
}

// conjunctions returns the conjunction actions of l, which then has only those and
// notes.
func conjunctions(l action.List) []classifier.Conjunction {
	var out []classifier.Conjunction
	for _, a := range l {
		switch a := a.(type) {
		case *action.Conjunction:
			out = append(out, classifier.Conjunction{ID: a.ID, Clause: a.Clause, NClauses: a.NClauses})
		case *action.Note:
		default:
			return out
		}
	}
	return out
}

// start makes the changes in version m.version, not yet visible.
func (m *FlowMod) start(s *Set) error {
	switch m.command {
	case ofp.FlowAdd:
		return m.startAdd(s)
	case ofp.FlowModify, ofp.FlowModifyStrict:
		return m.startModify(s)
	}
	return m.startDelete(s)
}

func (m *FlowMod) startAdd(s *Set) error {
	r := m.temp
	t := s.tables[r.TableID]
	if err := s.CheckActions(r.Actions); err != nil {
		return err
	}
	var old *Rule
	if cr := t.cls.Exact(&r.Rule, m.version); cr != nil {
		old = fromClassifier(cr)
		m.modifyCookie = true
	} else {
		if r.Flags&ofp.FlowCheckOverlap != 0 && t.cls.Overlaps(&r.Rule, m.version) {
			return oferr.OFPFMFC_OVERLAP
		}
		if uint64(t.nFlows) >= uint64(t.maxFlows) {
			if old = t.victim(); old == nil {
				return oferr.OFPFMFC_TABLE_FULL
			}
			t.evictRemove(old)
			old.evicted = true
		}
	}
	if old != nil {
		m.old = append(m.few[:0:1], old)
	}
	m.new = append(m.few[1:1:2], r)
	m.replaceStart(s, old, r)
	return nil
}

func (m *FlowMod) startModify(s *Set) error {
	if !ValidTable(m.tableID) {
		return oferr.OFPBRC_BAD_TABLE_ID
	}
	var err error
	if m.command == ofp.FlowModify {
		m.old, err = s.collect(&m.criteria, &m.target, versionMax)
	} else {
		m.old, err = s.collectStrict(&m.criteria, &m.target)
	}
	switch {
	case err != nil:
		return err
	case len(m.old) == 0 && m.mayAdd:
		return m.startAdd(s)
	case len(m.old) == 0:
		return nil
	}
	if err := s.CheckActions(m.temp.Actions); err != nil {
		m.old = nil
		return err
	}
	for _, old := range m.old {
		r := &Rule{
			Actions: m.temp.Actions, Cookie: m.temp.Cookie, Created: m.now, TableID: old.TableID,
			Flags: m.temp.Flags, Importance: m.temp.Importance,
		}
		r.Rule.InitFrom(&old.Rule)
		r.timeouts.Store(m.temp.timeouts.Load())
		r.modified.Store(m.now)
		r.used.Store(m.now)
		m.new = append(m.new, r)
	}
	for i, old := range m.old {
		m.replaceStart(s, old, m.new[i])
	}
	return nil
}

func (m *FlowMod) startDelete(s *Set) error {
	if !ValidTable(m.tableID) {
		return oferr.OFPBRC_BAD_TABLE_ID
	}
	var err error
	if m.command == ofp.FlowDelete {
		m.old, err = s.collect(&m.criteria, &m.target, versionMax)
	} else {
		m.old, err = s.collectStrict(&m.criteria, &m.target)
	}
	if err == nil {
		s.deleteStart(m.old, m.version)
	}
	return err
}

// replaceStart puts r in the place of old (nil: adds it), from m.version on.
func (m *FlowMod) replaceStart(s *Set, old, r *Rule) {
	t := s.tables[r.TableID]
	if old == nil {
		t.count(r, +1)
	} else {
		if !old.evicted {
			if m.command != ofp.FlowAdd {
				r.timeouts.Store(old.timeouts.Load())
				r.Importance, r.Flags, r.Created = old.Importance, old.Flags, old.Created
			}
			if !m.modifyCookie || r.Cookie == ofp.NoCookie {
				r.Cookie = old.Cookie
			}
		}
		old.RemoveIn(m.version)
		s.unlink(old)
	}
	s.link(r)
	t.cls.Insert(&r.Rule, m.version, m.conj)
}

// revert takes start's changes back.
func (m *FlowMod) revert(s *Set) {
	if m.command >= ofp.FlowDelete {
		s.deleteRevert(m.old)
		return
	}
	for i := len(m.new) - 1; i >= 0; i-- {
		r := m.new[i]
		t := s.tables[r.TableID]
		t.cls.Remove(&r.Rule)
		s.unlink(r)
		if i >= len(m.old) {
			t.count(r, -1)
			continue
		}
		old := m.old[i]
		old.evicted = false
		s.link(old)
		old.Restore()
	}
	m.old, m.new = nil, nil
}

// finish follows up on changes that are visible now.
func (m *FlowMod) finish(s *Set, req Requester) {
	if m.command >= ofp.FlowDelete {
		s.deleteFinish(m.old, removedDelete, req)
		return
	}
	var dead []learnKey
	for i, r := range m.new {
		var old *Rule
		if i < len(m.old) {
			old = m.old[i]
		}
		dead = m.replaceFinish(s, old, r, req, dead)
	}
	s.deleteLearned(dead)
	s.bury(m.old...)
}

func (m *FlowMod) replaceFinish(s *Set, old, r *Rule, req Requester, dead []learnKey) []learnKey {
	replaced := old
	if old != nil && old.evicted {
		replaced = nil
	}
	if replaced != nil {
		m.inheritCounts(replaced, r)
	}
	s.countLearned(r.Actions, +1, nil)
	switch {
	case old == nil:
		s.changed(Event{What: ofp.EventAdded, Rule: r, Req: req})
		s.checkVacancy(r.TableID)
		return dead
	case replaced == nil:
		dead = s.countLearned(old.Actions, -1, dead)
		s.changed(Event{What: ofp.EventRemoved, Reason: ofp.RemovedEviction, Rule: old, Req: req})
		s.removed(old, ofp.RemovedEviction)
		return dead
	}
	dead = s.countLearned(old.Actions, -1, dead)
	what := ofp.FlowEvent(ofp.EventModified)
	if m.command == ofp.FlowAdd {
		what = ofp.EventAdded
	}
	changed := !equalActions(r.Actions, old.Actions)
	if what != ofp.EventModified || changed || r.Cookie != old.Cookie {
		e := Event{What: what, Rule: r, Req: req, Changed: changed}
		if changed {
			e.OldActions = old.Actions
		}
		s.changed(e)
	}
	return dead
}

// inheritCounts gives the counters of old to r, which replaces it, those that are
// credited late included.
func (m *FlowMod) inheritCounts(old, r *Rule) {
	old.keepCounts = m.keepCounts
	old.successor.Store(r)
	r.used.Store(old.Used()) // whether or not the counters are reset
	if m.keepCounts {
		p, b := old.Stats()
		r.packets.Add(p)
		r.bytes.Add(b)
	}
}

// removed tells that r went, if it asked for that.
func (s *Set) removed(r *Rule, reason ofp.FlowReason) {
	if r.Flags&ofp.FlowSendRem != 0 && !r.IsHidden() {
		s.event(Event{Kind: FlowRemoved, Rule: r, Reason: reason})
	}
}

// count adds n to the table's number of flows of r's kind.
func (t *Table) count(r *Rule, n int) {
	t.nFlows += n
	if r.IsHidden() {
		t.nHidden += n
	}
}

// deleteStart hides rules from version on.
func (s *Set) deleteStart(rules []*Rule, version uint64) {
	for _, r := range rules {
		s.tables[r.TableID].count(r, -1)
		r.RemoveIn(version)
		s.unlink(r)
	}
}

func (s *Set) deleteRevert(rules []*Rule) {
	for i := len(rules) - 1; i >= 0; i-- {
		r := rules[i]
		s.link(r)
		s.tables[r.TableID].count(r, +1)
		r.Restore()
	}
}

func (s *Set) deleteFinish(rules []*Rule, reason ofp.FlowReason, req Requester) {
	var dead []learnKey
	for _, r := range rules {
		s.changed(Event{What: ofp.EventRemoved, Reason: reason, Rule: r, Req: req})
		s.checkVacancy(r.TableID)
		s.removed(r, reason)
		dead = s.countLearned(r.Actions, -1, dead)
	}
	s.bury(rules...)
	s.deleteLearned(dead)
}

// deleteRules deletes rules in a version of their own.
func (s *Set) deleteRules(rules []*Rule, reason ofp.FlowReason, req Requester) {
	if len(rules) == 0 {
		return
	}
	s.deleteStart(rules, s.Version()+1)
	s.version.Add(1)
	s.deleteFinish(rules, reason, req)
	s.event(Event{Kind: ChangesDone})
}

// link enters r into what depends on rules beside the classifier; unlink undoes it.
func (s *Set) link(r *Rule) {
	if r.timeouts.Load() != 0 {
		s.expirable.add(r)
	}
	s.tables[r.TableID].evictAdd(s, r)
	if m := s.meters[meterOf(r.Actions)]; m != nil {
		m.rules[r] = struct{}{}
	}
	eachGroup(r.Actions, func(id uint32) {
		if g := s.Group(versionMax, id); g != nil {
			g.rules[r] = struct{}{}
		}
	})
	r.state = ruleInserted
}

func (s *Set) unlink(r *Rule) {
	s.expirable.remove(r)
	s.tables[r.TableID].evictRemove(r)
	if m := s.meters[meterOf(r.Actions)]; m != nil {
		delete(m.rules, r)
	}
	eachGroup(r.Actions, func(id uint32) {
		// A group that is going keeps its rules, which go with it.
		if g := s.Group(versionMax, id); g != nil && !g.beingDeleted {
			delete(g.rules, r)
		}
	})
	r.state = ruleRemoved
}

// bury has rules leave their classifiers when no reader can miss them any more.
func (s *Set) bury(rules ...*Rule) { s.dead = append(s.dead, rules...) }
