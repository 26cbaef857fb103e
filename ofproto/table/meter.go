package table

import (
	"cmp"
	"maps"
	"slices"
	"sync/atomic"

	"sluice/ofproto/ofp"
)

// NoMeter is no meter of the datapath.
const NoMeter = ^uint32(0)

// Meter is an OpenFlow meter.  It belongs to the writer.
type Meter struct {
	Config   ofp.MeterConfig
	Provider uint32 // the datapath's meter
	Created  int64  // ms

	rules map[*Rule]struct{}
}

// NFlows returns how many rules use the meter.
func (m *Meter) NFlows() int { return len(m.rules) }

// Meter returns a meter, or nil.  Mu must be held.
func (s *Set) Meter(id uint32) *Meter { return s.meters[id] }

// Meters returns all meters by id.  Mu must be held.
func (s *Set) Meters() []*Meter {
	return slices.SortedFunc(maps.Values(s.meters), func(a, b *Meter) int { return cmp.Compare(a.Config.MeterID, b.Config.MeterID) })
}

// MeterAdd enters a meter that the datapath has as provider.  Mu must be held.
func (s *Set) MeterAdd(cfg ofp.MeterConfig, provider uint32, now int64) {
	s.meters[cfg.MeterID] = &Meter{Config: cfg, Provider: provider, Created: now, rules: map[*Rule]struct{}{}}
	if p := s.special(cfg.MeterID); p != nil {
		p.Store(provider)
	}
}

// special returns where the datapath's number of a meter with a fixed meaning is kept.
func (s *Set) special(id uint32) *atomic.Uint32 {
	switch id {
	case ofp.MeterController:
		return &s.ControllerMeter
	case ofp.MeterSlowpath:
		return &s.SlowpathMeter
	}
	return nil
}

// MeterDel removes a meter and the rules that use it.  Mu must be held.
func (s *Set) MeterDel(m *Meter) {
	delete(s.meters, m.Config.MeterID)
	if p := s.special(m.Config.MeterID); p != nil {
		p.Store(NoMeter)
	}
	s.deleteRules(sortedRules(m.rules), ofp.RemovedMeterDelete, Requester{})
}

// sortedRules returns rules in a fixed order: by table, falling priority and time of
// insertion.
func sortedRules(set map[*Rule]struct{}) []*Rule {
	return slices.SortedFunc(maps.Keys(set), func(a, b *Rule) int {
		return cmp.Or(cmp.Compare(a.TableID, b.TableID), cmp.Compare(b.Priority(), a.Priority()),
			cmp.Compare(a.Created, b.Created), cmp.Compare(a.Cookie, b.Cookie), a.Rule.Compare(&b.Rule))
	})
}
