package table

import (
	"reflect"

	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
)

// flatten calls fn for every action of l, those nested in others included, until it
// returns false.
func flatten(l action.List, fn func(action.Action) bool) bool {
	for _, a := range l {
		if !fn(a) {
			return false
		}
		var nested action.List
		switch a := a.(type) {
		case *action.WriteActions:
			nested = a.Actions
		case *action.Clone:
			nested = a.Actions
		case *action.CT:
			nested = a.Actions
		}
		if len(nested) > 0 && !flatten(nested, fn) {
			return false
		}
	}
	return true
}

// OutputsTo reports whether l outputs to a port by number.
func OutputsTo(l action.List, port uint32) bool {
	return !flatten(l, func(a action.Action) bool {
		switch a := a.(type) {
		case *action.Output:
			return a.Port != port
		case *action.Enqueue:
			return a.Port != port
		case *action.Controller:
			return port != 0xfffffffd
		case *action.OutputTrunc:
			return a.Port != port
		}
		return true
	})
}

// OutputsTo reports whether the rule outputs to a port by number; a flood does not
// count.
func (r *Rule) OutputsTo(port uint32) bool { return OutputsTo(r.Actions, port) }

// UsesGroup reports whether the rule's actions name a group.
func (r *Rule) UsesGroup(id uint32) bool {
	return !flatten(r.Actions, func(a action.Action) bool {
		g, ok := a.(*action.Group)
		return !ok || g.ID != id
	})
}

// eachGroup calls fn for each group that l names, once.
func eachGroup(l action.List, fn func(id uint32)) {
	flatten(l, func(a action.Action) bool {
		if g, ok := a.(*action.Group); ok {
			fn(g.ID)
		}
		return true
	})
}

// meterOf returns the meter of l's meter instruction, 0 for none.
func meterOf(l action.List) uint32 {
	for _, a := range l {
		if m, ok := a.(*action.Meter); ok {
			return m.ID
		}
	}
	return 0
}

// equalActions reports whether a and b do the same.
func equalActions(a, b action.List) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || reflect.DeepEqual(a, b))
}

// CheckActions checks that the meters and groups that l names exist, and notes the
// datapath's numbers of the meters in l, which nobody else may use yet.  Mu must be
// held.
func (s *Set) CheckActions(l action.List) error {
	var err error
	flatten(l, func(a action.Action) bool {
		switch a := a.(type) {
		case *action.Meter:
			m := s.meters[a.ID]
			if a.ID == 0 || m == nil {
				err = oferr.OFPMMFC_INVALID_METER
			} else {
				a.Provider = m.Provider
			}
		case *action.Controller:
			a.ProviderMeter = NoMeter
			if m := s.meters[a.MeterID]; m != nil {
				a.ProviderMeter = m.Provider
			} else if a.MeterID != 0 {
				log.InfoRL(rlMeter, "controller action specified an unknown meter id: %d", a.MeterID)
			}
		case *action.Group:
			if s.Group(versionMax, a.ID) == nil {
				err = oferr.OFPBAC_BAD_OUT_GROUP
			}
		}
		return err == nil
	})
	return err
}

// learnKey names the flows that a learn action with delete_learned made.
type learnKey struct {
	cookie uint64
	table  uint8
}

// countLearned adds delta to the number of learn actions in l that delete what they
// learned, and appends to dead what no action is left for.
func (s *Set) countLearned(l action.List, delta int, dead []learnKey) []learnKey {
	flatten(l, func(a action.Action) bool {
		learn, ok := a.(*action.Learn)
		if !ok || learn.Flags&action.LearnDeleteLearned == 0 {
			return true
		}
		k := learnKey{learn.Cookie, learn.Table}
		s.learned[k] += delta
		if s.learned[k] == 0 {
			delete(s.learned, k)
			dead = append(dead, k)
		}
		return true
	})
	return dead
}

// deleteLearned deletes the flows of learn actions that are gone.
func (s *Set) deleteLearned(dead []learnKey) {
	for _, k := range dead {
		if s.learned[k] != 0 {
			continue
		}
		c := Criteria{TableID: k.table, Cookie: k.cookie, CookieMask: ^uint64(0), OutPort: anyPort, OutGroup: anyGroup}
		rules, err := s.collect(&c, nil, versionMax)
		if err == nil {
			s.deleteRules(rules, removedDelete, Requester{})
		}
	}
}

// UsesTunMetadata reports whether any rule matches or changes one of the tun_metadata
// fields in the set (bit N: tun_metadataN).
func (s *Set) UsesTunMetadata(fields uint64) bool {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	for _, r := range s.All() {
		_, m := r.Rule.Match()
		if (m.Tunnel.Present|tunFields(r.Actions))&fields != 0 {
			return true
		}
	}
	return false
}

// tunFields returns the tun_metadata fields that l names.
func tunFields(l action.List) (bits uint64) {
	add := func(ids ...field.ID) {
		for _, id := range ids {
			if id.IsTunMetadata() {
				bits |= 1 << (id - field.TunMetadata0)
			}
		}
	}
	flatten(l, func(a action.Action) bool {
		switch a := a.(type) {
		case *action.SetField:
			add(a.ID)
		case *action.RegMove:
			add(a.Src.ID, a.Dst.ID)
		case *action.StackPush:
			add(a.Sub.ID)
		case *action.StackPop:
			add(a.Sub.ID)
		case *action.OutputReg:
			add(a.Src.ID)
		case *action.DeleteField:
			add(a.ID)
		case *action.Bundle:
			add(a.Dst.ID)
		case *action.Multipath:
			add(a.Dst.ID)
		case *action.CheckPktLarger:
			add(a.Dst.ID)
		case *action.CT:
			add(a.ZoneSrc.ID)
		case *action.Learn:
			add(a.ResultDst.ID)
			for i := range a.Specs {
				add(a.Specs[i].Src.ID, a.Specs[i].Dst.ID)
			}
		}
		return true
	})
	return bits
}
