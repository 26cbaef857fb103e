package data

import (
	"sort"
)

// chunkMax is the largest number of elements kept in one piece. A large set
// is a list of pieces; changing one element copies that piece and the list of
// pieces, not the set: adding the 100,000th port costs about as much as the
// hundredth.
const chunkMax = 512

// Datum is the value of a column: a sorted set of atoms or a sorted map. It
// is immutable and may be shared between rows, threads and snapshots. The
// type is kept outside.
type Datum struct {
	chunk      // everything, if pieces is nil
	n      int // number of elements in all pieces
	pieces []*chunk
}

type chunk struct {
	keys []Atom
	vals []Atom // nil for sets
}

// Empty is the empty set or map.
var Empty = &Datum{}

// NewScalar makes a datum of one atom in one allocation.
func NewScalar(x Atom) *Datum {
	d := &struct {
		Datum
		one [1]Atom
	}{one: [1]Atom{x}}
	d.keys = d.one[:]
	d.n = 1
	return &d.Datum
}

// newSorted makes a datum of sorted, distinct keys (and their vals); it keeps
// the slices.
func newSorted(keys, vals []Atom) *Datum {
	switch {
	case len(keys) == 0:
		return Empty
	case len(keys) == 1 && vals == nil:
		return NewScalar(keys[0])
	case len(keys) <= chunkMax:
		return &Datum{chunk: chunk{keys, vals}, n: len(keys)}
	}
	d := &Datum{n: len(keys)}
	d.pieces = split(nil, chunk{keys, vals})
	return d
}

// split appends c to list in pieces of at most chunkMax/2, so that they can grow.
func split(list []*chunk, c chunk) []*chunk {
	const size = chunkMax / 2
	for len(c.keys) > 0 {
		n := min(size, len(c.keys))
		p := &chunk{keys: c.keys[:n:n]}
		c.keys = c.keys[n:]
		if c.vals != nil {
			p.vals = c.vals[:n:n]
			c.vals = c.vals[n:]
		}
		list = append(list, p)
	}
	return list
}

// NewDatum makes a datum of keys (and vals, nil for a set) in any order. It
// fails if two keys are equal. It keeps and sorts the slices.
func NewDatum(t AtomType, keys, vals []Atom) (*Datum, *Error) {
	s := sorter{t, keys, vals}
	if !sort.IsSorted(s) {
		sort.Sort(s)
	}
	for i := 1; i < len(keys); i++ {
		if keys[i-1].Compare(t, &keys[i]) == 0 {
			if vals != nil {
				return nil, Errorf("", "map contains duplicate key")
			}
			return nil, Errorf("", "set contains duplicate")
		}
	}
	return newSorted(keys, vals), nil
}

type sorter struct {
	t          AtomType
	keys, vals []Atom
}

func (s sorter) Len() int           { return len(s.keys) }
func (s sorter) Less(i, j int) bool { return s.keys[i].Compare(s.t, &s.keys[j]) < 0 }
func (s sorter) Swap(i, j int) {
	s.keys[i], s.keys[j] = s.keys[j], s.keys[i]
	if s.vals != nil {
		s.vals[i], s.vals[j] = s.vals[j], s.vals[i]
	}
}

// NewSet makes a set, dropping duplicates.
func NewSet(t AtomType, keys ...Atom) *Datum {
	keys = append([]Atom(nil), keys...)
	sort.Sort(sorter{t, keys, nil})
	out := keys[:0]
	for i := range keys {
		if i == 0 || keys[i].Compare(t, &out[len(out)-1]) != 0 {
			out = append(out, keys[i])
		}
	}
	return newSorted(out, nil)
}

// NewStringMap makes a map of strings from pairs "key", "value", ...; of two
// equal keys the first one counts.
func NewStringMap(pairs ...string) *Datum {
	seen := map[string]bool{}
	var keys, vals []Atom
	for i := 0; i+1 < len(pairs); i += 2 {
		if !seen[pairs[i]] {
			seen[pairs[i]] = true
			keys = append(keys, StringAtom(pairs[i]))
			vals = append(vals, StringAtom(pairs[i+1]))
		}
	}
	d, _ := NewDatum(String, keys, vals)
	return d
}

// Default is the value of a column of type t that nobody has set.
func Default(t *Type) *Datum {
	if t.Min == 0 {
		return Empty
	}
	if t.IsMap() {
		return &Datum{chunk: chunk{make([]Atom, 1), make([]Atom, 1)}, n: 1}
	}
	return NewScalar(Atom{})
}

// Len is the number of elements or pairs.
func (d *Datum) Len() int { return d.n }

// at returns the piece that holds element i, and its index there.
func (d *Datum) at(i int) (*chunk, int) {
	if d.pieces == nil {
		return &d.chunk, i
	}
	for _, c := range d.pieces {
		if i < len(c.keys) {
			return c, i
		}
		i -= len(c.keys)
	}
	panic("data: element out of range")
}

// Key returns element or key i; use All to walk over a datum.
func (d *Datum) Key(i int) *Atom {
	c, j := d.at(i)
	return &c.keys[j]
}

// Val returns the value of pair i of a map.
func (d *Datum) Val(i int) *Atom {
	c, j := d.at(i)
	return &c.vals[j]
}

// All calls yield for each element (v is nil) or pair, in order.
func (d *Datum) All(yield func(k, v *Atom) bool) {
	if d.pieces == nil {
		d.chunk.all(yield)
		return
	}
	for _, c := range d.pieces {
		if !c.all(yield) {
			return
		}
	}
}

func (c *chunk) all(yield func(k, v *Atom) bool) bool {
	for i := range c.keys {
		var v *Atom
		if c.vals != nil {
			v = &c.vals[i]
		}
		if !yield(&c.keys[i], v) {
			return false
		}
	}
	return true
}

// find returns the index of k, or of where it belongs.
func (c *chunk) find(t AtomType, k *Atom) (int, bool) {
	lo, hi := 0, len(c.keys)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		switch r := c.keys[m].Compare(t, k); {
		case r == 0:
			return m, true
		case r < 0:
			lo = m + 1
		default:
			hi = m
		}
	}
	return lo, false
}

// piece returns the index of the piece in which k is or belongs.
func (d *Datum) piece(t AtomType, k *Atom) int {
	i := sort.Search(len(d.pieces), func(i int) bool {
		c := d.pieces[i]
		return c.keys[len(c.keys)-1].Compare(t, k) >= 0
	})
	return min(i, len(d.pieces)-1)
}

// Find returns the index of key k within its piece (only its sign means
// something for large data), or -1.
func (d *Datum) Find(t AtomType, k *Atom) int {
	c := &d.chunk
	if d.pieces != nil {
		c = d.pieces[d.piece(t, k)]
	}
	if i, ok := c.find(t, k); ok {
		return i
	}
	return -1
}

// Has tells whether k is an element or key.
func (d *Datum) Has(t AtomType, k *Atom) bool { return d.Find(t, k) >= 0 }

// Get returns the value that a map has for k, or nil.
func (d *Datum) Get(t AtomType, k *Atom) *Atom {
	c := &d.chunk
	if d.pieces != nil {
		c = d.pieces[d.piece(t, k)]
	}
	if i, ok := c.find(t, k); ok && c.vals != nil {
		return &c.vals[i]
	}
	return nil
}

// GetString looks a text up in a map of strings.
func (d *Datum) GetString(k string) (string, bool) {
	a := StringAtom(k)
	if v := d.Get(String, &a); v != nil {
		return v.s, true
	}
	return "", false
}

// Equal tells whether a and b of type t are the same.
func Equal(t *Type, a, b *Datum) bool {
	if a == b {
		return true
	}
	if a.n != b.n {
		return false
	}
	if a.pieces == nil && b.pieces == nil {
		return equalAtoms(t, &a.chunk, &b.chunk)
	}
	same := true
	diffWalk(t, a, b, func(k, old, new *Atom, inOld, inNew bool) bool {
		same = false
		return false
	})
	return same
}

func equalAtoms(t *Type, a, b *chunk) bool {
	for i := range a.keys {
		if a.keys[i].Compare(t.Key.Type, &b.keys[i]) != 0 {
			return false
		}
		if a.vals != nil && b.vals != nil && a.vals[i].Compare(t.Value.Type, &b.vals[i]) != 0 {
			return false
		}
	}
	return true
}

// IsDefault tells whether d is the default of type t.
func IsDefault(t *Type, d *Datum) bool {
	if d.n != int(t.Min) {
		return false
	}
	if d.n == 0 {
		return true
	}
	var zero Atom
	k, v := d.Key(0), (*Atom)(nil)
	if t.IsMap() {
		v = d.Val(0)
	}
	return k.Compare(t.Key.Type, &zero) == 0 && (v == nil || v.Compare(t.Value.Type, &zero) == 0)
}

// Compare orders data of one type: by their keys, then their values, then
// their number of elements.
func Compare(t *Type, a, b *Datum) int {
	if a.n != b.n {
		if a.n < b.n {
			return -1
		}
		return 1
	}
	for pass := 0; pass < 2; pass++ {
		ca, cb := newCursor(a), newCursor(b)
		for ca.ok() {
			c := 0
			if pass == 0 {
				c = ca.key().Compare(t.Key.Type, cb.key())
			} else if t.IsMap() {
				c = ca.val().Compare(t.Value.Type, cb.val())
			}
			if c != 0 {
				return c
			}
			ca.next()
			cb.next()
		}
	}
	return 0
}

// Hash mixes d into h.
func (d *Datum) Hash(h uint64) uint64 {
	h ^= uint64(d.n)
	d.All(func(k, v *Atom) bool {
		h = k.hash(h)
		if v != nil {
			h = v.hash(h)
		}
		return true
	})
	return h
}

// ElementHash is a hash of element or pair i alone.
func (d *Datum) ElementHash(i int) uint64 {
	c, j := d.at(i)
	h := c.keys[j].hash(0)
	if c.vals != nil {
		h = c.vals[j].hash(h)
	}
	return h
}

// cursor walks over a datum.
type cursor struct {
	d *Datum
	c *chunk
	p int // index of c in d.pieces
	i int
}

func newCursor(d *Datum) cursor {
	cur := cursor{d: d, c: &d.chunk}
	if d.pieces != nil {
		cur.c = d.pieces[0]
	}
	return cur
}

func (c *cursor) ok() bool   { return c.i < len(c.c.keys) }
func (c *cursor) key() *Atom { return &c.c.keys[c.i] }
func (c *cursor) val() *Atom {
	if c.c.vals == nil {
		return nil
	}
	return &c.c.vals[c.i]
}

func (c *cursor) next() {
	c.i++
	if c.i == len(c.c.keys) && c.p+1 < len(c.d.pieces) {
		c.p++
		c.c, c.i = c.d.pieces[c.p], 0
	}
}

// skip leaves the current piece.
func (c *cursor) skip() {
	c.i = len(c.c.keys) - 1
	c.next()
}

// diffWalk calls fn for every key that is in one of a and b only, or whose
// values differ. Pieces that both share are not looked at.
func diffWalk(t *Type, a, b *Datum, fn func(k, old, new *Atom, inOld, inNew bool) bool) {
	ca, cb := newCursor(a), newCursor(b)
	for ca.ok() || cb.ok() {
		c := 0
		switch {
		case !ca.ok():
			c = 1
		case !cb.ok():
			c = -1
		default:
			if ca.c == cb.c && ca.i == 0 && cb.i == 0 {
				ca.skip()
				cb.skip()
				continue
			}
			c = ca.key().Compare(t.Key.Type, cb.key())
		}
		more := true
		switch {
		case c < 0:
			more = fn(ca.key(), ca.val(), nil, true, false)
			ca.next()
		case c > 0:
			more = fn(cb.key(), nil, cb.val(), false, true)
			cb.next()
		default:
			va, vb := ca.val(), cb.val()
			if va != nil && vb != nil && va.Compare(t.Value.Type, vb) != 0 {
				more = fn(ca.key(), va, vb, true, true)
			}
			ca.next()
			cb.next()
		}
		if !more {
			return
		}
	}
}

// Changes calls fn for every element or pair that differs between a and b:
// key, value in a (or nil), value in b (or nil), and where the key is.
func Changes(t *Type, a, b *Datum, fn func(k, old, new *Atom, inOld, inNew bool)) {
	if a == b {
		return
	}
	diffWalk(t, a, b, func(k, old, new *Atom, inOld, inNew bool) bool {
		fn(k, old, new, inOld, inNew)
		return true
	})
}
