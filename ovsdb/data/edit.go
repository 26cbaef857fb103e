package data

// edit is one change to a datum: put key (with val) or remove it.
type edit struct {
	key, val *Atom
	remove   bool
}

// apply makes a copy of d with edits, sorted by key, applied. Only the pieces
// they touch are copied.
func (d *Datum) apply(t AtomType, isMap bool, edits []edit) *Datum {
	if len(edits) == 0 {
		return d
	}
	if d.pieces == nil {
		c := d.chunk.apply(t, isMap, edits)
		return newSorted(c.keys, c.vals)
	}
	out := &Datum{}
	for i, c := range d.pieces {
		// The edits for this piece: all up to its last key (the last piece
		// takes the rest).
		n := len(edits)
		if i+1 < len(d.pieces) {
			last := &c.keys[len(c.keys)-1]
			for n = 0; n < len(edits) && edits[n].key.Compare(t, last) <= 0; n++ {
			}
		}
		if n > 0 {
			e := c.apply(t, isMap, edits[:n])
			edits = edits[n:]
			if len(e.keys) > chunkMax {
				out.pieces = split(out.pieces, e)
				out.n += len(e.keys)
				continue
			}
			c = &e
		}
		if len(c.keys) > 0 {
			out.pieces = append(out.pieces, c)
			out.n += len(c.keys)
		}
		if len(edits) == 0 {
			out.pieces = append(out.pieces, d.pieces[i+1:]...)
			for _, c := range d.pieces[i+1:] {
				out.n += len(c.keys)
			}
			break
		}
	}
	return out.normal()
}

// normal flattens a datum that has become small.
func (d *Datum) normal() *Datum {
	if d.n > chunkMax/4 {
		return d
	}
	var keys, vals []Atom
	for _, c := range d.pieces {
		keys = append(keys, c.keys...)
		vals = append(vals, c.vals...)
	}
	return newSorted(keys, vals)
}

func (c *chunk) apply(t AtomType, isMap bool, edits []edit) chunk {
	out := chunk{keys: make([]Atom, 0, len(c.keys)+len(edits))}
	if isMap {
		out.vals = make([]Atom, 0, len(c.keys)+len(edits))
	}
	i := 0
	copyTo := func(j int) {
		out.keys = append(out.keys, c.keys[i:j]...)
		if isMap {
			out.vals = append(out.vals, c.vals[i:j]...)
		}
		i = j
	}
	for _, e := range edits {
		rest := chunk{keys: c.keys[i:]}
		j, found := rest.find(t, e.key)
		copyTo(i + j)
		if found {
			i++
		}
		if !e.remove {
			out.keys = append(out.keys, *e.key)
			if isMap {
				out.vals = append(out.vals, *e.val)
			}
		}
	}
	copyTo(len(c.keys))
	return out
}

// Union is a with the elements or pairs of b whose keys a does not have.
func Union(t *Type, a, b *Datum) *Datum {
	if a.n == 0 {
		return b
	}
	var edits []edit
	b.All(func(k, v *Atom) bool {
		if !a.Has(t.Key.Type, k) {
			edits = append(edits, edit{key: k, val: v})
		}
		return true
	})
	return a.apply(t.Key.Type, t.IsMap(), edits)
}

// Subtract is a without the elements of b; of a map, without the pairs of b,
// or, if b is a set, without the pairs whose keys it holds.
func Subtract(t *Type, a, b *Datum) *Datum {
	var edits []edit
	b.All(func(k, v *Atom) bool {
		if !a.Has(t.Key.Type, k) {
			return true
		}
		if v != nil && t.IsMap() && a.Get(t.Key.Type, k).Compare(t.Value.Type, v) != 0 {
			return true
		}
		edits = append(edits, edit{key: k, remove: true})
		return true
	})
	return a.apply(t.Key.Type, t.IsMap(), edits)
}

// Diff is what ApplyDiff needs to turn a into b. For types of at most one
// element it is b itself; for sets the elements in one of both only; for maps
// the pairs removed and those added or changed.
func Diff(t *Type, a, b *Datum) *Datum {
	if !t.IsComposite() {
		return b
	}
	var keys, vals []Atom
	Changes(t, a, b, func(k, old, new *Atom, inOld, inNew bool) {
		keys = append(keys, *k)
		if t.IsMap() {
			if inNew {
				vals = append(vals, *new)
			} else {
				vals = append(vals, *old)
			}
		}
	})
	return newSorted(keys, vals)
}

// ApplyDiff is the reverse of Diff: it turns a into b.
func ApplyDiff(t *Type, a, diff *Datum) (*Datum, *Error) {
	if !t.IsComposite() {
		return diff, nil
	}
	var edits []edit
	diff.All(func(k, v *Atom) bool {
		e := edit{key: k, val: v}
		if a.Has(t.Key.Type, k) {
			e.remove = !t.IsMap() || a.Get(t.Key.Type, k).Compare(t.Value.Type, v) == 0
		}
		edits = append(edits, e)
		return true
	})
	b := a.apply(t.Key.Type, t.IsMap(), edits)
	if b.n < int(t.Min) || uint64(b.n) > uint64(t.Max) {
		return nil, Errorf("", "Datum crated by diff has size error")
	}
	return b, nil
}

// Without is d less the elements or pairs for which drop answers true.
func Without(t *Type, d *Datum, drop func(k, v *Atom) bool) *Datum {
	var edits []edit
	d.All(func(k, v *Atom) bool {
		if drop(k, v) {
			edits = append(edits, edit{key: k, remove: true})
		}
		return true
	})
	return d.apply(t.Key.Type, t.IsMap(), edits)
}

// IncludesAll tells whether a holds every element or pair of b.
func IncludesAll(t *Type, a, b *Datum) bool {
	if b.n > a.n {
		return false
	}
	ok := true
	b.All(func(k, v *Atom) bool {
		ok = contains(t, a, k, v)
		return ok
	})
	return ok
}

// ExcludesAll tells whether a holds no element or pair of b.
func ExcludesAll(t *Type, a, b *Datum) bool {
	ok := true
	b.All(func(k, v *Atom) bool {
		ok = !contains(t, a, k, v)
		return ok
	})
	return ok
}

func contains(t *Type, a *Datum, k, v *Atom) bool {
	if v == nil || !t.IsMap() {
		return a.Has(t.Key.Type, k)
	}
	w := a.Get(t.Key.Type, k)
	return w != nil && w.Compare(t.Value.Type, v) == 0
}
