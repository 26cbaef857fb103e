package classifier

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"

	"sluice/dpif/flow"
)

// NotRemoved is the removal version of a rule that stays.
const NotRemoved = math.MaxUint64

// Conjunction makes a rule one clause of a conjunctive match.
type Conjunction struct {
	ID       uint32
	Clause   uint8 // from 0
	NClauses uint8
}

// Rule is a match with a priority, the part of a flow table entry that the
// classifier needs; table.Rule embeds it.  Init it, then do not change it.
type Rule struct {
	mask   *Mask
	values []uint64 // the words of mask.idx
	st     *subtable
	conj   *conjSet
	next   atomic.Pointer[Rule] // same mask and values, lower or equal priority

	older, newer *Rule // neighbours in the subtable, in order of insertion

	addVersion    uint64
	removeVersion atomic.Uint64
	hash          uint32
	priority      int32
}

// conjSet is the conjunctions of a rule.
type conjSet struct {
	rule        *Rule
	conj        []Conjunction
	minNClauses int
}

// Init makes r match the packets that agree with f in the bits of m.
func (r *Rule) Init(f *flow.Flow, m *flow.Mask, priority int) {
	mask := NewMask(m)
	r.mask, r.values, r.priority = mask, mask.values(f), int32(priority)
	r.hash = fold32(hashValues(r.values, 0))
	r.removeVersion.Store(NotRemoved)
}

// InitFrom gives r the match and priority of o.
func (r *Rule) InitFrom(o *Rule) {
	r.mask, r.values, r.priority, r.hash = o.mask, o.values, o.priority, o.hash
	r.removeVersion.Store(NotRemoved)
}

// Priority returns the rule's priority; higher wins.
func (r *Rule) Priority() int { return int(r.priority) }

// Mask returns the compressed mask.
func (r *Rule) Mask() *Mask { return r.mask }

// Match returns the rule's match in its full form.
func (r *Rule) Match() (f flow.Flow, m flow.Mask) {
	fw, mw := f.Words(), m.Words()
	for i, x := range r.mask.idx {
		fw[x], mw[x] = r.values[i], r.mask.words[i]
	}
	return f, m
}

// Expand sets f and m to the rule's match.
func (r *Rule) Expand(f *flow.Flow, m *flow.Mask) {
	fw, mw := f.Words(), m.Words()
	clear(fw[:])
	clear(mw[:])
	for i, x := range r.mask.idx {
		fw[x], mw[x] = r.values[i], r.mask.words[i]
	}
}

// IsCatchall reports whether r matches every packet.
func (r *Rule) IsCatchall() bool { return r.mask.IsCatchall() }

// InClassifier reports whether r was inserted and not removed.
func (r *Rule) InClassifier() bool { return r.st != nil }

// VisibleIn reports whether lookups at version v see r.
func (r *Rule) VisibleIn(v uint64) bool {
	return r.addVersion <= v && v < r.removeVersion.Load()
}

// RemoveIn hides r from lookups at version v and later; it stays in its
// classifier until Remove.
func (r *Rule) RemoveIn(v uint64) { r.removeVersion.Store(v) }

// Restore undoes RemoveIn.
func (r *Rule) Restore() { r.removeVersion.Store(NotRemoved) }

// ToBeRemoved reports whether RemoveIn was called.
func (r *Rule) ToBeRemoved() bool { return r.removeVersion.Load() != NotRemoved }

// SameMatch reports whether a and b have the same match, whatever their priority.
func SameMatch(a, b *Rule) bool { return a.mask.equal(b.mask) && equalWords(a.values, b.values) }

// matches reports whether the packet in w has r's values under m.
func (r *Rule) matches(m *Mask, w *flow.Words) bool {
	for i, x := range m.idx {
		if (w[x]^r.values[i])&m.words[i] != 0 {
			return false
		}
	}
	return true
}

// LooseMatch reports whether r is at least as specific as c and agrees with it:
// the rule of non-strict flow_mods and of flow statistics.  Priorities do not count.
func (r *Rule) LooseMatch(c *Rule) bool {
	return r.mask.covers(c.mask) && r.agrees(c)
}

// agrees reports whether r has c's values in all bits of c's mask, given that r's
// mask covers c's.
func (r *Rule) agrees(c *Rule) bool {
	i := 0
	for j, x := range c.mask.idx {
		for r.mask.idx[i] != x {
			i++
		}
		if (r.values[i]^c.values[j])&c.mask.words[j] != 0 {
			return false
		}
	}
	return true
}

// overlaps reports whether some packet matches both a and b.
func overlaps(a, b *Rule) bool {
	i := 0
	for j, x := range b.mask.idx {
		for i < len(a.mask.idx) && stageRank[a.mask.idx[i]] < stageRank[x] {
			i++
		}
		if i == len(a.mask.idx) {
			break
		}
		if a.mask.idx[i] == x && (a.values[i]^b.values[j])&a.mask.words[i]&b.mask.words[j] != 0 {
			return false
		}
	}
	return true
}

// nextVisible returns the first rule after r, among those with the same match, that
// is visible in version v.
func (r *Rule) nextVisible(v uint64) *Rule {
	for r = r.next.Load(); r != nil && !r.VisibleIn(v); r = r.next.Load() {
	}
	return r
}

// Compare orders rules by their matches, in some fixed way.
func (r *Rule) Compare(o *Rule) int {
	return cmp.Or(slices.Compare(r.mask.idx, o.mask.idx), slices.Compare(r.mask.words, o.mask.words), slices.Compare(r.values, o.values))
}
