// Package cache holds the two caches in front of the megaflow classifier: EMC,
// from a whole key to a flow, and SMC, from a hash to a flow that must be checked.
//
// Each polling thread (dpif/userspace) has its own and is the only one that
// touches it.  The caches name flows by slot and generation: a slot that was
// reused has a new generation, so nothing needs to be flushed when flows go.
package cache

import "sluice/dpif/flow"

// Ref names a flow: a slot of the owner's flow table, valid while the slot's
// generation is Gen.
type Ref struct{ Slot, Gen uint32 }

// Sizes of the EMC.  Keys of more words are not cached.
const (
	EMCEntries = 8192
	emcWords   = 28
)

// emcEntry is four cache lines; the key of a TCP packet ends in the second.
type emcEntry struct {
	hash uint32
	ref  Ref
	n    uint32 // words of the key; 0: never used
	bits [2]uint64
	vals [emcWords]uint64
}

// EMC is the exact-match cache: two places for each hash.
type EMC struct{ e []emcEntry }

// NewEMC makes an empty cache.  Its memory holds no pointers.
func NewEMC() *EMC { return &EMC{e: make([]emcEntry, EMCEntries)} }

// places are the two entries that a hash may have.
func (c *EMC) places(hash uint32) (a, b *emcEntry) {
	return &c.e[hash%EMCEntries], &c.e[hash>>13%EMCEntries]
}

// Lookup finds the flow of a key; gens holds the generations of the flow slots.
func (c *EMC) Lookup(k *flow.Mini, hash uint32, gens []uint32) (Ref, bool) {
	e := &c.e[hash%EMCEntries]
	if e.hash != hash || !e.holds(k) {
		e = &c.e[hash>>13%EMCEntries]
		if e.hash != hash || !e.holds(k) {
			return Ref{}, false
		}
	}
	return e.ref, e.live(gens)
}

func (e *emcEntry) live(gens []uint32) bool {
	return e.n != 0 && int(e.ref.Slot) < len(gens) && gens[e.ref.Slot] == e.ref.Gen
}

func (e *emcEntry) holds(k *flow.Mini) bool {
	if e.bits != k.Map || int(e.n) != k.N {
		return false
	}
	n := int(e.n)
	if n > emcWords {
		return false
	}
	a, b := e.vals[:n], k.Vals[:n]
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Insert stores the flow of a key in place of the same key, of a dead entry, or
// of the one with the smaller hash (so that two flows do not throw each other
// out in turns).
func (c *EMC) Insert(k *flow.Mini, hash uint32, ref Ref, gens []uint32) {
	if k.N > emcWords || k.N == 0 {
		return
	}
	a, b := c.places(hash)
	var to *emcEntry
	switch {
	case a.hash == hash && a.holds(k):
		a.ref = ref
		return
	case b.hash == hash && b.holds(k):
		b.ref = ref
		return
	case !a.live(gens):
		to = a
	case !b.live(gens) || b.hash < a.hash:
		to = b
	default:
		to = a
	}
	to.hash, to.ref, to.n, to.bits = hash, ref, uint32(k.N), k.Map
	copy(to.vals[:], k.Vals[:k.N])
}

// Clear forgets everything.
func (c *EMC) Clear() { clear(c.e) }
