package table

import "sluice/ofproto/ofp"

// ruleList is the rules with timeouts, oldest first.
type ruleList struct{ first, last *Rule }

func (l *ruleList) add(r *Rule) {
	if r.expirable {
		return
	}
	r.expirable = true
	r.older, r.newer = l.last, nil
	if l.last == nil {
		l.first = r
	} else {
		l.last.newer = r
	}
	l.last = r
}

func (l *ruleList) remove(r *Rule) {
	if !r.expirable {
		return
	}
	r.expirable = false
	if r.older == nil {
		l.first = r.newer
	} else {
		r.older.newer = r.newer
	}
	if r.newer == nil {
		l.last = r.older
	} else {
		r.newer.older = r.older
	}
	r.older, r.newer = nil, nil
}

// Expire deletes the rules whose timeouts passed by ms now, and returns how many.
// Rule statistics should be fresh.
func (s *Set) Expire(now int64) int {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	n := 0
	for r, next := s.expirable.first, (*Rule)(nil); r != nil; r = next {
		next = r.newer
		if reason, ok := r.expired(now); ok {
			s.deleteRules([]*Rule{r}, reason, Requester{})
			n++
		}
	}
	return n
}

func (r *Rule) expired(now int64) (ofp.FlowReason, bool) {
	if hard := int64(r.HardTimeout()); hard != 0 && now > r.Modified()+hard*1000 {
		return ofp.RemovedHardTimeout, true
	}
	if idle := int64(r.IdleTimeout()); idle != 0 && now > r.Used()+idle*1000 {
		return ofp.RemovedIdleTimeout, true
	}
	return 0, false
}

// Expirable reports whether a rule has a timeout.
func (s *Set) Expirable() bool {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.expirable.first != nil
}

// ReduceTimeouts lowers r's timeouts to at most idle and hard seconds, where these
// are not 0, as the fin_timeout action does.  Any thread may call it.
func (s *Set) ReduceTimeouts(r *Rule, idle, hard uint16) {
	if idle == 0 && hard == 0 {
		return
	}
	s.Mu.Lock()
	defer s.Mu.Unlock()
	i, h := r.IdleTimeout(), r.HardTimeout()
	if idle != 0 && (i == 0 || i > idle) {
		i = idle
	}
	if hard != 0 && (h == 0 || h > hard) {
		h = hard
	}
	r.setTimeouts(i, h)
	if r.state == ruleInserted {
		s.expirable.add(r)
	}
}

// Flush deletes all rules, but for those of the internal table, and all groups.
func (s *Set) Flush(now int64) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	var rules []*Rule
	for _, t := range s.tables {
		if !t.hidden {
			for _, cr := range t.cls.Collect(nil, nil, versionMax) {
				rules = append(rules, fromClassifier(cr))
			}
		}
	}
	s.deleteRules(rules, removedDelete, Requester{})
	x := s.Begin()
	m := s.NewGroupMod(&ofp.GroupMod{Command: ofp.GroupCmdDelete, GroupID: ofp.GroupAll}, now)
	if x.Group(m, Requester{}) == nil {
		x.Commit()
	}
}
