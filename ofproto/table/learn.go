package table

import (
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/ofp/oferr"
)

// Learn adds the flow that a learn action makes, or refreshes it when it exists as
// the action wants it.  Any thread may call it.  limit, when not 0, is the most flows
// with the same cookie that the table may have: above it nothing is added and below
// is false.  The rule stays valid for Refresh.
func (s *Set) Learn(fm *ofp.FlowMod, limit uint32, now int64) (r *Rule, below bool, err error) {
	if fm.Command != ofp.FlowModifyStrict || fm.TableID >= NTables || fm.Flags&ofp.FlowResetCounts != 0 || fm.BufferID != ofp.NoBuffer {
		return nil, true, oferr.OFPFMFC_UNKNOWN
	}
	m, err := s.NewFlowMod(fm, now)
	if err != nil {
		return nil, true, err
	}
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if cr := s.tables[fm.TableID].cls.Exact(&m.temp.Rule, versionMax); cr != nil {
		if r := fromClassifier(cr); r.sameAttributes(m.temp, fm) {
			r.Touch(now)
			return r, true, nil
		}
	}
	return s.learnLocked(m, limit)
}

// sameAttributes reports whether a flow_mod that gave n would leave r as it is.
func (r *Rule) sameAttributes(n *Rule, fm *ofp.FlowMod) bool {
	return r.timeouts.Load() == n.timeouts.Load() && r.Importance == n.Importance && r.Flags == n.Flags &&
		(!fm.ModifyCookie || fm.NewCookie == r.Cookie) && equalActions(r.Actions, n.Actions)
}

func (s *Set) learnLocked(m *FlowMod, limit uint32) (*Rule, bool, error) {
	if limit != 0 {
		c := Criteria{TableID: m.tableID, Cookie: m.temp.Cookie, CookieMask: ^uint64(0), OutPort: anyPort, OutGroup: anyGroup}
		rules, _ := s.collect(&c, nil, versionMax)
		if uint64(len(rules)) >= uint64(limit) {
			log.InfoRL(rlLearn, "Learn limit for flow %d reached.", m.temp.Cookie)
			return nil, false, nil
		}
	}
	x := s.Begin()
	if err := x.Flow(m, Requester{}); err != nil {
		x.Rollback()
		return nil, true, err
	}
	x.Commit()
	if s.OnEvent != nil {
		s.OnEvent()
	}
	if len(m.new) == 0 {
		return nil, true, nil
	}
	return m.new[0], true, nil
}

// Refresh does what a learn action does when packets hit it again: it restarts the
// hard timeout of r, which Learn returned, or puts the flow back if it went.  It
// returns the rule that is in the table then.
func (s *Set) Refresh(r *Rule, limit uint32, now int64) (*Rule, error) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if !r.Removed() {
		r.Touch(now)
		return r, nil
	}
	n := &Rule{Actions: r.Actions, Cookie: r.Cookie, Created: now, TableID: r.TableID, Flags: r.Flags, Importance: r.Importance}
	n.Rule.InitFrom(&r.Rule)
	n.timeouts.Store(r.timeouts.Load())
	n.modified.Store(now)
	n.used.Store(now)
	m := &FlowMod{
		command: ofp.FlowModifyStrict, tableID: r.TableID, modifyCookie: true, mayAdd: true, keepCounts: true,
		temp: n, conj: conjunctions(n.Actions), now: now,
		criteria: Criteria{TableID: r.TableID, OutPort: anyPort, OutGroup: anyGroup, WritableOK: true},
	}
	m.target.InitFrom(&r.Rule)
	got, _, err := s.learnLocked(m, limit)
	if got == nil {
		got = r
	}
	return got, err
}

// AddFlow adds a flow of the switch's own to table 0, of any priority (beyond 0xffff
// controllers do not see it).  One that is there with these actions stays.
func (s *Set) AddFlow(m *match.Match, priority int, l action.List, now int64) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	fm := ownFlow(m, priority, l, ofp.FlowAdd, now)
	if cr := s.tables[0].cls.Exact(&fm.temp.Rule, versionMax); cr != nil && equalActions(fromClassifier(cr).Actions, l) {
		return
	}
	if err := s.applyLocked(fm, Requester{}); err != nil {
		log.ErrRL(rl, "failed to add internal flow: %v", err)
	}
}

// DelFlow deletes a flow of the switch's own from table 0.
func (s *Set) DelFlow(m *match.Match, priority int) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	fm := ownFlow(m, priority, nil, ofp.FlowDeleteStrict, 0)
	fm.criteria = Criteria{TableID: 0, OutPort: anyPort, OutGroup: anyGroup, Hidden: true}
	fm.target.InitFrom(&fm.temp.Rule)
	if err := s.applyLocked(fm, Requester{}); err != nil {
		log.ErrRL(rl, "failed to delete internal flow: %v", err)
	}
}

func ownFlow(m *match.Match, priority int, l action.List, command uint8, now int64) *FlowMod {
	r := &Rule{Actions: l, Created: now}
	r.Rule.Init(&m.Flow, &m.Mask, priority)
	r.modified.Store(now)
	r.used.Store(now)
	return &FlowMod{command: command, temp: r, now: now, mayAdd: true}
}
