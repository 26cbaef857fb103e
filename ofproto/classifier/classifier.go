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
	"cmp"
	"math"
	"slices"
	"sync"
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

// subtable holds the rules that have one mask.
type subtable struct {
	mask *Mask
	// stage[i] is the end, in mask.idx, of stage i; the last one is len(idx).
	stage    [4]uint8
	nStages  int
	ends     [4]uint8 // the stage of a lookup where each of them ends
	indices  [3]countTable
	triePlen [MaxTries]uint8
	ports    trie // values of the transport ports
	portsLen int  // length of the shortest prefix that covers the mask of the ports
	rules    ruleTable

	// Only the writer looks at these.
	maxPriority    int
	maxCount       int
	oldest, newest *Rule
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

// newSubtable makes an empty subtable for mask.
func newSubtable(mask *Mask, tries []*trieIndex) *subtable {
	s := &subtable{mask: mask}
	start := 0
	for end := uint8(1); end < nStageMax; end++ {
		n := start
		for n < len(mask.idx) && stageOf[mask.idx[n]] < end {
			n++
		}
		if n > start && n < len(mask.idx) {
			s.stage[s.nStages], s.ends[s.nStages] = uint8(n), end
			s.nStages++
			start = n
		}
	}
	s.stage[s.nStages], s.ends[s.nStages] = uint8(len(mask.idx)), nStageMax
	full := mask.Expand()
	for i, t := range tries {
		s.triePlen[i] = uint8(t.field.get(full.AsFlow()).prefixLen())
		if int(s.triePlen[i]) > t.field.nBits {
			s.triePlen[i] = uint8(t.field.nBits)
		}
	}
	s.portsLen = portsPrefix(portsOf(full.AsFlow()))
	return s
}

// portsOf returns both transport ports as one left-justified number.
func portsOf(f *flow.Flow) bits128 {
	return bits128{hi: uint64(f.TpSrc)<<48 | uint64(f.TpDst)<<32}
}

// portsPrefix returns the length of the shortest prefix that covers mask.
func portsPrefix(mask bits128) int {
	n := 0
	for v := mask.hi; v != 0; v <<= 1 {
		n++
	}
	return n
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

// index enters r, whose match no other rule of s has, into what lookups use.
func (s *subtable) index(r *Rule, tries []*trieIndex) {
	s.withFlow(r, func(f *flow.Flow) {
		for i, t := range tries {
			if s.triePlen[i] != 0 {
				t.insert(t.field.get(f), int(s.triePlen[i]))
			}
		}
		if s.portsLen != 0 {
			s.ports.insert(portsOf(f), s.portsLen)
		}
	})
	h, start := uint64(0), 0
	for i := 0; i < s.nStages; i++ {
		h = hashValues(r.values[start:s.stage[i]], h)
		start = int(s.stage[i])
		s.indices[i].inc(fold32(h))
	}
	s.rules.insert(r)
}

// flows are zero flows for withFlow.
var flows = sync.Pool{New: func() any { return new(flow.Flow) }}

// withFlow calls fn with r's values in a Flow, if s has tries at all.
func (s *subtable) withFlow(r *Rule, fn func(*flow.Flow)) {
	if s.portsLen == 0 && s.triePlen == [MaxTries]uint8{} {
		return
	}
	f := flows.Get().(*flow.Flow)
	w := f.Words()
	for i, x := range s.mask.idx {
		w[x] = r.values[i]
	}
	fn(f)
	for _, x := range s.mask.idx {
		w[x] = 0
	}
	flows.Put(f)
}

// unindex undoes index.
func (s *subtable) unindex(r *Rule, tries []*trieIndex) {
	s.withFlow(r, func(f *flow.Flow) {
		if s.portsLen != 0 {
			s.ports.remove(portsOf(f), s.portsLen)
		}
		for i, t := range tries {
			if s.triePlen[i] != 0 {
				t.remove(t.field.get(f), int(s.triePlen[i]))
			}
		}
	})
	h, start := uint64(0), 0
	for i := 0; i < s.nStages; i++ {
		h = hashValues(r.values[start:s.stage[i]], h)
		start = int(s.stage[i])
		s.indices[i].dec(fold32(h))
	}
	s.rules.replace(r, nil)
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

// chain puts r among the rules with its match: by falling priority, and after the
// rules of its own priority that are to be removed.
func (s *subtable) chain(head, r *Rule) {
	var prev *Rule
	it := head
	for it != nil && !(r.priority > it.priority || r.priority == it.priority && !it.ToBeRemoved()) {
		prev, it = it, it.next.Load()
	}
	r.next.Store(it)
	if prev == nil {
		s.rules.replace(head, r)
	} else {
		prev.next.Store(r)
	}
}

func (s *subtable) append(r *Rule) {
	r.older, r.newer = s.newest, nil
	if s.newest == nil {
		s.oldest = r
	} else {
		s.newest.newer = r
	}
	s.newest = r
}

func (s *subtable) unlink(r *Rule) {
	if r.older == nil {
		s.oldest = r.newer
	} else {
		r.older.newer = r.newer
	}
	if r.newer == nil {
		s.newest = r.older
	} else {
		r.newer.older = r.older
	}
	r.older, r.newer = nil, nil
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

// recount finds the maximum priority after its last rule went.
func (s *subtable) recount() {
	s.maxPriority, s.maxCount = math.MinInt, 0
	for r := s.oldest; r != nil; r = r.newer {
		switch p := int(r.priority); {
		case p > s.maxPriority:
			s.maxPriority, s.maxCount = p, 1
		case p == s.maxPriority:
			s.maxCount++
		}
	}
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

// Compare orders rules by their matches, in some fixed way.
func (r *Rule) Compare(o *Rule) int {
	return cmp.Or(slices.Compare(r.mask.idx, o.mask.idx), slices.Compare(r.mask.words, o.mask.words), slices.Compare(r.values, o.values))
}
