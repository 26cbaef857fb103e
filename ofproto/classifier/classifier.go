// Package classifier finds the highest-priority OpenFlow rule that matches a
// packet, and which bits of the packet decided it.
//
// It is tuple-space search: rules with the same mask form a subtable, a subtable
// is a hash lookup, and subtables are tried by falling maximum priority until no
// later one can win.  Three additions keep megaflows wide: a subtable's lookup is
// staged (metadata, L2, L3, L4; a miss in an early stage un-wildcards that stage
// only), prefix tries skip subtables whose prefix cannot match, and conjunctive
// matches combine several rules into one.
//
// ofproto/table keeps one Classifier per flow table; ofproto/xlate looks up.  The
// package knows no actions, timeouts or OpenFlow messages.
//
// # Versions
//
// A rule is visible to a lookup at version v when it was added at or before v and
// is not removed at or before v.  A writer prepares any number of changes for
// version v+1; publishing the number v+1 makes them all visible at once.
//
// # Thread-safety
//
// One writer at a time (the caller's lock), any number of concurrent Lookup calls,
// which never wait and never allocate in the common case.  All other methods count
// as writing.  Memory that a reader may still use is left to the garbage collector.
package classifier

import (
	"slices"
	"sync/atomic"
)

// Classifier is a set of rules.  The zero value is not ready: use New.
type Classifier struct {
	subtables atomic.Pointer[[]subtableRef] // published, by falling maximum priority
	pending   []subtableRef                 // the next one, when changed
	deferred  bool
	byMask    map[uint64][]*subtable
	tries     atomic.Pointer[[]*trieIndex]
	nRules    int
}

// subtableRef is a subtable with its maximum priority, which readers can take
// from the array without touching the subtable.
type subtableRef struct {
	s           *subtable
	maxPriority int
}

// New returns an empty classifier with prefix tries for the given fields.
func New(prefixes []Prefix) *Classifier {
	c := &Classifier{byMask: map[uint64][]*subtable{}}
	c.subtables.Store(&[]subtableRef{})
	c.tries.Store(&[]*trieIndex{})
	c.SetPrefixes(prefixes)
	return c
}

// Len returns the number of rules.
func (c *Classifier) Len() int { return c.nRules }

// Defer postpones the publication of new subtables until Publish, so that many
// insertions sort them once.
func (c *Classifier) Defer() { c.deferred = true }

// Publish ends Defer.
func (c *Classifier) Publish() {
	c.deferred = false
	c.publish()
}

func (c *Classifier) publish() {
	if c.pending == nil || c.deferred {
		return
	}
	slices.SortStableFunc(c.pending, func(a, b subtableRef) int { return b.maxPriority - a.maxPriority })
	p := c.pending
	c.pending = nil
	c.subtables.Store(&p)
}

// edit returns the array of subtables to change.
func (c *Classifier) edit() []subtableRef {
	if c.pending == nil {
		c.pending = slices.Clone(*c.subtables.Load())
		if c.pending == nil {
			c.pending = []subtableRef{}
		}
	}
	return c.pending
}

// current returns the subtables as the writer sees them.
func (c *Classifier) current() []subtableRef {
	if c.pending != nil {
		return c.pending
	}
	return *c.subtables.Load()
}

// SetPrefixes sets the fields that have a prefix trie, and reports whether that
// changed anything.  Fields beyond MaxTries and duplicates are ignored.
func (c *Classifier) SetPrefixes(prefixes []Prefix) bool {
	var fields []*prefixField
	for _, p := range prefixes {
		if p == PrefixNone || len(fields) == MaxTries || slices.Contains(fields, &prefixFields[p]) {
			continue
		}
		fields = append(fields, &prefixFields[p])
	}
	old := *c.tries.Load()
	if slices.EqualFunc(old, fields, func(t *trieIndex, f *prefixField) bool { return t.field == f }) {
		return false
	}
	// Subtables hold the prefix lengths of the tries that readers use, so a new set
	// of tries comes with new subtables.
	c.tries.Store(&[]*trieIndex{})
	tries := make([]*trieIndex, len(fields))
	for i, f := range fields {
		tries[i] = &trieIndex{field: f}
	}
	c.rebuild(tries)
	return true
}

// rebuild makes all subtables anew, for a new set of tries.
func (c *Classifier) rebuild(tries []*trieIndex) {
	list := c.edit()
	c.byMask = map[uint64][]*subtable{}
	for i := range list {
		old := list[i].s
		s := newSubtable(old.mask, tries)
		s.maxPriority, s.maxCount = old.maxPriority, old.maxCount
		s.oldest, s.newest = old.oldest, old.newest
		for r := s.oldest; r != nil; r = r.newer {
			r.st = s
		}
		old.rules.each(func(r *Rule) { s.index(r, tries) })
		list[i].s = s
		c.byMask[s.mask.hash] = append(c.byMask[s.mask.hash], s)
	}
	was := c.deferred
	c.deferred = false
	c.publish()
	c.deferred = was
	c.tries.Store(&tries)
}

// find returns the subtable for mask, or nil.
func (c *Classifier) find(mask *Mask) *subtable {
	for _, s := range c.byMask[mask.hash] {
		if s.mask.equal(mask) {
			return s
		}
	}
	return nil
}

// Insert adds r, visible from version on.  An identical rule that is still visible
// in version must be hidden from it first (RemoveIn).  conj, when not empty, makes
// r part of conjunctive matches.
func (c *Classifier) Insert(r *Rule, version uint64, conj []Conjunction) {
	tries := *c.tries.Load()
	s := c.find(r.mask)
	fresh := s == nil
	if fresh {
		s = newSubtable(r.mask, tries)
		c.byMask[r.mask.hash] = append(c.byMask[r.mask.hash], s)
	}
	r.mask, r.st, r.addVersion = s.mask, s, version
	if len(conj) > 0 {
		r.conj = newConjSet(r, conj)
	}
	if head := s.rules.equal(r.hash, r.values); head == nil {
		s.index(r, tries)
	} else {
		s.chain(head, r)
	}
	s.append(r)
	c.nRules++
	switch p := int(r.priority); {
	case fresh:
		s.maxPriority, s.maxCount = p, 1
		c.pending = append(c.edit(), subtableRef{s, p})
	case p == s.maxPriority:
		s.maxCount++
	case p > s.maxPriority:
		s.maxPriority, s.maxCount = p, 1
		c.changePriority(s)
	}
	c.publish()
}

func (c *Classifier) changePriority(s *subtable) {
	list := c.edit()
	for i := range list {
		if list[i].s == s {
			list[i].maxPriority = s.maxPriority
			return
		}
	}
}

// Remove takes r out; r must be in c.  Readers may see it a little longer.
func (c *Classifier) Remove(r *Rule) {
	s := r.st
	r.st = nil
	s.unlink(r)
	c.nRules--
	head := s.rules.equal(r.hash, r.values)
	switch next := r.next.Load(); {
	case head != r:
		prev := head
		for prev.next.Load() != r {
			prev = prev.next.Load()
		}
		prev.next.Store(next)
	case next != nil:
		s.rules.replace(r, next)
	default:
		s.unindex(r, *c.tries.Load())
	}
	if s.rules.n == 0 {
		c.drop(s)
	} else if int(r.priority) == s.maxPriority {
		if s.maxCount--; s.maxCount == 0 {
			s.recount()
			c.changePriority(s)
		}
	}
	c.publish()
}

// drop removes an empty subtable.  The last one takes its place before sorting,
// which settles the order among equal priorities as stock has it.
func (c *Classifier) drop(s *subtable) {
	list := c.edit()
	i := slices.IndexFunc(list, func(e subtableRef) bool { return e.s == s })
	last := len(list) - 1
	list[i] = list[last]
	c.pending = list[:last]
	same := c.byMask[s.mask.hash]
	same = slices.DeleteFunc(same, func(x *subtable) bool { return x == s })
	if len(same) == 0 {
		delete(c.byMask, s.mask.hash)
	} else {
		c.byMask[s.mask.hash] = same
	}
}

// Exact returns the rule with t's match and priority that is visible in version,
// or nil.
func (c *Classifier) Exact(t *Rule, version uint64) *Rule {
	s := c.find(t.mask)
	if s == nil {
		return nil
	}
	for r := s.rules.equal(t.hash, t.values); r != nil && r.priority >= t.priority; r = r.next.Load() {
		if r.priority == t.priority && r.VisibleIn(version) {
			return r
		}
	}
	return nil
}

// Overlaps reports whether a rule visible in version has t's priority and matches
// a packet that t matches.
func (c *Classifier) Overlaps(t *Rule, version uint64) bool {
	for _, e := range c.current() {
		if e.s.maxPriority < int(t.priority) {
			continue
		}
		for r := e.s.oldest; r != nil; r = r.newer {
			if r.priority == t.priority && overlaps(t, r) && r.VisibleIn(version) {
				return true
			}
		}
	}
	return false
}

// Collect appends to dst the rules visible in version that match target loosely
// (nil: all), by subtables of falling maximum priority, in order of insertion.
func (c *Classifier) Collect(dst []*Rule, target *Rule, version uint64) []*Rule {
	if target != nil && target.IsCatchall() {
		target = nil
	}
	for _, e := range c.current() {
		if target != nil && !e.s.mask.covers(target.mask) {
			continue
		}
		for r := e.s.oldest; r != nil; r = r.newer {
			if r.VisibleIn(version) && (target == nil || r.agrees(target)) {
				dst = append(dst, r)
			}
		}
	}
	return dst
}
