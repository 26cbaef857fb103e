package table

import (
	"sluice/ofproto/ofp"
)

// Txn is a set of changes that become visible together.  Between Begin and Commit or
// Rollback the caller holds Mu.
type Txn struct {
	s       *Set
	version uint64
	steps   []step
	touched [NTables]bool
}

// step is one change of a transaction.
type step struct {
	flow  *FlowMod
	group *GroupMod
	req   Requester
}

// Begin starts a transaction.
func (s *Set) Begin() *Txn { return &Txn{s: s, version: s.Version() + 1} }

// NextVersion makes the changes that follow visible after those before, not with
// them.
func (x *Txn) NextVersion() { x.version++ }

// Flow does a flow_mod; on error nothing of it is left, and the caller rolls back.
func (x *Txn) Flow(m *FlowMod, req Requester) error {
	if ValidTable(m.tableID) {
		for _, t := range x.s.tableRange(m.tableID) {
			if !x.touched[t.ID] {
				x.touched[t.ID] = true
				t.cls.Defer()
			}
		}
		if m.tableID == ofp.TableAll && !x.touched[0] {
			x.touched[0] = true
			x.s.tables[0].cls.Defer()
		}
	}
	m.version, m.old, m.new = x.version, nil, nil
	if err := m.start(x.s); err != nil {
		return err
	}
	x.steps = append(x.steps, step{flow: m, req: req})
	return nil
}

// Group does a group_mod; as Flow.
func (x *Txn) Group(m *GroupMod, req Requester) error {
	m.version = x.version
	if err := m.start(x.s); err != nil {
		return err
	}
	x.steps = append(x.steps, step{group: m, req: req})
	return nil
}

// Sync makes what was done so far findable for lookups in version Version, for a
// packet_out in a bundle.
func (x *Txn) Sync() { x.publish() }

// Version returns the version that the changes will be visible in.
func (x *Txn) Version() uint64 { return x.version }

func (x *Txn) publish() {
	for id, touched := range x.touched {
		if touched {
			x.s.tables[id].cls.Publish()
			x.touched[id] = false
		}
	}
}

// Commit makes the changes visible.
func (x *Txn) Commit() {
	x.publish()
	for i := range x.steps {
		st := &x.steps[i]
		var v uint64
		if st.flow != nil {
			v = st.flow.version
		} else {
			v = st.group.version
		}
		if x.s.Version() < v {
			x.s.version.Store(v)
		}
		if st.flow != nil {
			st.flow.finish(x.s, st.req)
		} else {
			st.group.finish(x.s, st.req)
		}
	}
	x.s.event(Event{Kind: ChangesDone})
	x.steps = nil
}

// Rollback takes all changes back.
func (x *Txn) Rollback() {
	for i := len(x.steps) - 1; i >= 0; i-- {
		if st := &x.steps[i]; st.flow != nil {
			st.flow.revert(x.s)
		} else {
			st.group.revert(x.s)
		}
	}
	x.publish()
	x.steps = nil
}

// Apply does one flow_mod.  It takes Mu.
func (s *Set) Apply(fm *ofp.FlowMod, req Requester, now int64) error {
	m, err := s.NewFlowMod(fm, now)
	if err != nil {
		return err
	}
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.applyLocked(m, req)
}

func (s *Set) applyLocked(m *FlowMod, req Requester) error {
	x := s.Begin()
	if err := x.Flow(m, req); err != nil {
		x.Rollback()
		return err
	}
	x.Commit()
	return nil
}

// reclaimSlice is how many rules leave their classifiers in one go, some ms.
const reclaimSlice = 4096

// Reclaim lets removed rules and groups leave their tables, as far as no reader can
// still need them.  The control loop calls it once a turn.
func (s *Set) Reclaim() {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if s.deadSince == 0 {
		if len(s.dead) == 0 && len(s.deadGroups) == 0 {
			return
		}
		// Readers that come from now on see versions without these.
		s.deadSince = epoch.Add(1)
		s.waiting, s.dead = s.dead, nil
		s.waitingGroups, s.deadGroups = s.deadGroups, nil
	}
	if oldest() < s.deadSince {
		return
	}
	n := min(len(s.waiting), reclaimSlice)
	for _, r := range s.waiting[:n] {
		s.tables[r.TableID].cls.Defer()
	}
	for _, r := range s.waiting[:n] {
		s.tables[r.TableID].cls.Remove(&r.Rule)
	}
	for _, r := range s.waiting[:n] {
		s.tables[r.TableID].cls.Publish()
	}
	if s.waiting = s.waiting[n:]; len(s.waiting) > 0 {
		return
	}
	for _, g := range s.waitingGroups {
		s.dropGroup(g)
	}
	s.waiting, s.waitingGroups, s.deadSince = nil, nil, 0
}

// NeedsReclaim reports whether Reclaim has something to do.
func (s *Set) NeedsReclaim() bool {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.deadSince != 0 || len(s.dead) > 0 || len(s.deadGroups) > 0
}
