package classifier

import (
	"sync/atomic"

	"sluice/dpif/flow"
)

// ruleTable maps the values of a subtable to the first of its identical rules.
// One writer at a time, any number of readers, which never wait: slots are atomic
// pointers, a removed rule leaves a tombstone (so that readers on their way to a
// later slot arrive), and growth publishes a new array.
type ruleTable struct {
	slots atomic.Pointer[[]atomic.Pointer[Rule]]
	n     int // live rules
	used  int // live rules and tombstones
}

// tombstone marks a slot whose rule was removed.
var tombstone = &Rule{}

const minSlots = 4

// first returns the rule with this hash and values under mask in w, or nil.
func (t *ruleTable) first(hash uint32, m *Mask, w *flow.Words) *Rule {
	p := t.slots.Load()
	if p == nil {
		return nil
	}
	slots := *p
	last := uint32(len(slots) - 1)
	for i := hash & last; ; i = (i + 1) & last {
		r := slots[i].Load()
		if r == nil {
			return nil
		}
		if r.hash == hash && r != tombstone && r.matches(m, w) {
			return r
		}
	}
}

// equal returns the rule with this hash and exactly these values, or nil.
func (t *ruleTable) equal(hash uint32, values []uint64) *Rule {
	if i := t.find(hash, func(r *Rule) bool { return equalWords(r.values, values) }); i >= 0 {
		return (*t.slots.Load())[i].Load()
	}
	return nil
}

// find returns the slot of the rule with this hash that satisfies ok, or -1.
func (t *ruleTable) find(hash uint32, ok func(*Rule) bool) int {
	p := t.slots.Load()
	if p == nil {
		return -1
	}
	slots := *p
	last := uint32(len(slots) - 1)
	for i := hash & last; ; i = (i + 1) & last {
		r := slots[i].Load()
		if r == nil {
			return -1
		}
		if r != tombstone && r.hash == hash && ok(r) {
			return int(i)
		}
	}
}

// insert adds r, whose values no rule of the table has.
func (t *ruleTable) insert(r *Rule) {
	p := t.slots.Load()
	if p == nil || (t.used+1)*4 > len(*p)*3 {
		p = t.grow(p)
	}
	slots := *p
	last := uint32(len(slots) - 1)
	for i := r.hash & last; ; i = (i + 1) & last {
		switch slots[i].Load() {
		case nil:
			t.used++
		case tombstone:
		default:
			continue
		}
		slots[i].Store(r)
		t.n++
		return
	}
}

// grow publishes an array with room for one more rule, without tombstones.
func (t *ruleTable) grow(old *[]atomic.Pointer[Rule]) *[]atomic.Pointer[Rule] {
	size := minSlots
	for size < (t.n+1)*2 {
		size *= 2
	}
	slots := make([]atomic.Pointer[Rule], size)
	if old != nil {
		last := uint32(size - 1)
		for i := range *old {
			r := (*old)[i].Load()
			if r == nil || r == tombstone {
				continue
			}
			j := r.hash & last
			for slots[j].Load() != nil {
				j = (j + 1) & last
			}
			slots[j].Store(r)
		}
	}
	t.used = t.n
	t.slots.Store(&slots)
	return &slots
}

// replace puts new (nil: nothing) in the place of old.
func (t *ruleTable) replace(old, new *Rule) {
	i := t.find(old.hash, func(r *Rule) bool { return r == old })
	if i < 0 {
		panic("classifier: replacing a rule that is not in its subtable")
	}
	slot := &(*t.slots.Load())[i]
	if new != nil {
		slot.Store(new)
		return
	}
	slot.Store(tombstone)
	t.n--
}

// each calls fn with the first rule of each set of identical ones.
func (t *ruleTable) each(fn func(*Rule)) {
	p := t.slots.Load()
	if p == nil {
		return
	}
	for i := range *p {
		if r := (*p)[i].Load(); r != nil && r != tombstone {
			fn(r)
		}
	}
}

// countTable counts hashes: the index of one stage of a staged lookup, which says
// whether any rule can match as far as that stage.  A slot holds hash << 32 | count.
// Same threads as ruleTable.
type countTable struct {
	slots atomic.Pointer[[]atomic.Uint64]
	used  int // slots taken, also those whose count fell to 0
}

// has reports whether hash has a count.
func (t *countTable) has(hash uint32) bool {
	p := t.slots.Load()
	if p == nil {
		return false
	}
	slots := *p
	last := uint32(len(slots) - 1)
	for i := hash & last; ; i = (i + 1) & last {
		v := slots[i].Load()
		if v == 0 {
			return false
		}
		if uint32(v>>32) == hash {
			return uint32(v) != 0
		}
	}
}

// inc counts hash once more.
func (t *countTable) inc(hash uint32) {
	p := t.slots.Load()
	if p == nil || (t.used+1)*4 > len(*p)*3 {
		p = t.grow(p)
	}
	slots := *p
	last := uint32(len(slots) - 1)
	for i := hash & last; ; i = (i + 1) & last {
		v := slots[i].Load()
		if v == 0 {
			t.used++
			slots[i].Store(uint64(hash)<<32 | 1)
			return
		}
		if uint32(v>>32) == hash {
			slots[i].Store(v + 1)
			return
		}
	}
}

// dec counts hash once less.
func (t *countTable) dec(hash uint32) {
	slots := *t.slots.Load()
	last := uint32(len(slots) - 1)
	for i := hash & last; ; i = (i + 1) & last {
		v := slots[i].Load()
		if v == 0 {
			panic("classifier: stage index lacks a rule")
		}
		if uint32(v>>32) == hash {
			slots[i].Store(v - 1)
			return
		}
	}
}

// grow publishes an array without the slots whose count is 0.
func (t *countTable) grow(old *[]atomic.Uint64) *[]atomic.Uint64 {
	live := 0
	if old != nil {
		for i := range *old {
			if uint32((*old)[i].Load()) != 0 {
				live++
			}
		}
	}
	size := minSlots
	for size < (live+1)*2 {
		size *= 2
	}
	slots := make([]atomic.Uint64, size)
	if old != nil {
		last := uint32(size - 1)
		for i := range *old {
			v := (*old)[i].Load()
			if uint32(v) == 0 {
				continue
			}
			j := uint32(v>>32) & last
			for slots[j].Load() != 0 {
				j = (j + 1) & last
			}
			slots[j].Store(v)
		}
	}
	t.used = live
	t.slots.Store(&slots)
	return &slots
}

func equalWords(a, b []uint64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
