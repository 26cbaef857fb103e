package table

import (
	"container/heap"
	"math"

	"sluice/ofproto/ofp/field"
)

// Who wants a table to evict flows.
const (
	evictClient   = 1 << 0 // the database
	evictOpenFlow = 1 << 1 // a table_mod
)

// A full table that evicts takes a flow from its largest eviction group: the flows
// that have the same values in the fields that the database names.  Within the group
// the flow goes that is least important, then the one that expires first.  Flows
// without timeouts stay.

// evictGroup is one eviction group: a heap of rules, the first to go on top.
type evictGroup struct {
	key   string
	pos   int // in Table.groups
	rules []*evictItem
}

// evictItem is a rule in its group.
type evictItem struct {
	rule  *Rule
	group *evictGroup
	pos   int
	pri   uint64 // higher goes first
}

// Len implements heap.Interface.
func (g *evictGroup) Len() int { return len(g.rules) }

// Less implements heap.Interface.
func (g *evictGroup) Less(i, j int) bool { return g.rules[i].pri > g.rules[j].pri }

// Swap implements heap.Interface.
func (g *evictGroup) Swap(i, j int) {
	g.rules[i], g.rules[j] = g.rules[j], g.rules[i]
	g.rules[i].pos, g.rules[j].pos = i, j
}

// Push implements heap.Interface.
func (g *evictGroup) Push(x any) {
	it := x.(*evictItem)
	it.pos = len(g.rules)
	g.rules = append(g.rules, it)
}

// Pop implements heap.Interface.
func (g *evictGroup) Pop() any {
	last := len(g.rules) - 1
	it := g.rules[last]
	g.rules[last] = nil
	g.rules = g.rules[:last]
	return it
}

// bySize orders a table's groups, the largest first.
type bySize struct{ t *Table }

// Len implements heap.Interface.
func (h bySize) Len() int { return len(h.t.groups) }

// Less implements heap.Interface.
func (h bySize) Less(i, j int) bool { return len(h.t.groups[i].rules) > len(h.t.groups[j].rules) }

// Swap implements heap.Interface.
func (h bySize) Swap(i, j int) {
	g := h.t.groups
	g[i], g[j] = g[j], g[i]
	g[i].pos, g[j].pos = i, j
}

// Push implements heap.Interface.
func (h bySize) Push(x any) {
	g := x.(*evictGroup)
	g.pos = len(h.t.groups)
	h.t.groups = append(h.t.groups, g)
}

// Pop implements heap.Interface.
func (h bySize) Pop() any {
	last := len(h.t.groups) - 1
	g := h.t.groups[last]
	h.t.groups[last] = nil
	h.t.groups = h.t.groups[:last]
	return g
}

// evictAdd enters r into its group, if its table evicts and r ever expires.
func (t *Table) evictAdd(s *Set, r *Rule) {
	if t.eviction == 0 || r.timeouts.Load() == 0 || r.evict != nil {
		return
	}
	key := t.evictKey(r)
	g := t.byKey[key]
	if g == nil {
		g = &evictGroup{key: key}
		if t.byKey == nil {
			t.byKey = map[string]*evictGroup{}
		}
		t.byKey[key] = g
		heap.Push(bySize{t}, g)
	}
	r.evict = &evictItem{rule: r, group: g, pri: r.evictPriority(s.boot)}
	heap.Push(g, r.evict)
	heap.Fix(bySize{t}, g.pos)
}

// evictRemove takes r out of its group, if it is in one.
func (t *Table) evictRemove(r *Rule) {
	it := r.evict
	if it == nil {
		return
	}
	r.evict = nil
	g := it.group
	heap.Remove(g, it.pos)
	if len(g.rules) == 0 {
		heap.Remove(bySize{t}, g.pos)
		delete(t.byKey, g.key)
		return
	}
	heap.Fix(bySize{t}, g.pos)
}

// victim returns the rule to evict next, or nil.
func (t *Table) victim() *Rule {
	if t.eviction == 0 || len(t.groups) == 0 {
		return nil
	}
	return t.groups[0].rules[0].rule
}

// evictKey returns what r's group is known by: the values of the fields.
func (t *Table) evictKey(r *Rule) string {
	if len(t.evictBy) == 0 {
		return ""
	}
	f, _ := r.Rule.Match()
	var key []byte
	for _, sub := range t.evictBy {
		if !field.PrereqsOK(&f, sub.ID, nil) {
			key = append(key, 0)
			continue
		}
		n := len(key) + 1
		key = append(key, make([]byte, 1+(int(sub.Bits)+7)/8)...)
		key[n-1] = 1
		sub.Read(&f, nil, key[n:])
	}
	return string(key)
}

// evictPriority says how soon r should go: least important first, then the one that
// expires first.
func (r *Rule) evictPriority(boot int64) uint64 {
	expires := int64(math.MaxInt64)
	if hard := r.HardTimeout(); hard != 0 {
		expires = r.Modified() + int64(hard)*1000
	}
	if idle := r.IdleTimeout(); idle != 0 {
		expires = min(expires, r.Used()+int64(idle)*1000)
	}
	seconds := uint32(expires>>10 - boot>>10)
	return math.MaxUint64 - (uint64(r.Importance)<<32 + uint64(seconds))
}

// configureEviction sets who wants eviction and the fields of the groups.
func (t *Table) configureEviction(s *Set, eviction uint8, by []field.Sub) {
	same := len(by) == len(t.evictBy)
	for i := range by {
		same = same && by[i] == t.evictBy[i]
	}
	if same && (eviction != 0) == (t.eviction != 0) {
		t.eviction = eviction
		return
	}
	for _, g := range t.groups {
		for _, it := range g.rules {
			it.rule.evict = nil
		}
	}
	t.groups, t.byKey, t.evictBy, t.eviction = nil, nil, by, eviction
	for _, cr := range t.cls.Collect(nil, nil, versionMax) {
		t.evictAdd(s, fromClassifier(cr))
	}
}

// RefreshEviction computes anew which flows go first: timeouts run, and flows are
// used.  The control loop calls it now and then.
func (s *Set) RefreshEviction() {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	for _, t := range s.tables {
		if t.eviction == 0 {
			continue
		}
		for _, cr := range t.cls.Collect(nil, nil, versionMax) {
			t.evictAdd(s, fromClassifier(cr))
		}
		for _, g := range t.groups {
			for _, it := range g.rules {
				it.pri = it.rule.evictPriority(s.boot)
			}
			heap.Init(g)
		}
	}
}
