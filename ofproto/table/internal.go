package table

import (
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
)

// SetInternal adds a flow to the internal table, or replaces it there with its
// counters kept, and returns it; nil: it was refused, which is logged.
func (s *Set) SetInternal(m *match.Match, priority uint16, l action.List, now int64) *Rule {
	fm := internalFlow(m, priority)
	fm.Actions = l
	mod, err := s.NewFlowMod(fm, now)
	if err == nil {
		s.Mu.Lock()
		err = s.applyLocked(mod, Requester{})
		s.Mu.Unlock()
	}
	if err != nil {
		log.ErrRL(rl, "failed to add internal flow (%v)", err)
		return nil
	}
	return mod.new[0]
}

// DelInternal deletes a flow of the internal table.
func (s *Set) DelInternal(m *match.Match, priority uint16, now int64) {
	fm := internalFlow(m, priority)
	fm.Command = ofp.FlowDeleteStrict
	fm.OutPort, fm.OutGroup = anyPort, anyGroup
	if err := s.Apply(fm, Requester{}, now); err != nil {
		log.ErrRL(rl, "failed to delete internal flow (%v)", err)
	}
}

func internalFlow(m *match.Match, priority uint16) *ofp.FlowMod {
	return &ofp.FlowMod{Match: *m, Priority: priority, TableID: TableInternal, BufferID: ofp.NoBuffer,
		Flags: ofp.FlowHiddenFields | ofp.FlowNoReadonly}
}
