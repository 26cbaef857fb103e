package field

import (
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

// Array is a list of fields with a value each, by ascending ID: the fields that a
// group's selection method hashes, with their masks.
type Array []ArrayEntry

// ArrayEntry is one field of an Array.
type ArrayEntry struct {
	ID    ID
	Value []byte // Size bytes
}

// PullArray reads entries without masks from the whole of b.
func PullArray(b []byte) (Array, error) {
	var a Array
	var seen Set
	for len(b) > 0 {
		var v Value
		e, n, err := PullEntry(b, nil, false, false, &v, nil)
		switch {
		case err != nil:
			return nil, err
		case seen.Has(e.ID):
			log.DbgRL(rl, "duplicate field array field '%s'", e.ID)
			return nil, oferr.OFPBMC_DUP_FIELD
		case !table[e.ID].MaskValid(&v):
			log.DbgRL(rl, "bad mask in field array field '%s'", e.ID)
			return nil, oferr.OFPBMC_BAD_MASK
		}
		seen.Add(e.ID)
		a = a.Insert(e.ID, &v)
		b = b[n:]
	}
	return a, nil
}

// Insert adds a field in its place, or replaces its value.
func (a Array) Insert(id ID, v *Value) Array {
	e := ArrayEntry{id, append([]byte(nil), v[:table[id].Size]...)}
	i := 0
	for i < len(a) && a[i].ID < id {
		i++
	}
	if i < len(a) && a[i].ID == id {
		a[i] = e
		return a
	}
	a = append(a, ArrayEntry{})
	copy(a[i+1:], a[i:])
	a[i] = e
	return a
}

// Append appends the entries' wire form.
func (a Array) Append(b []byte, ver ofver.Version) []byte {
	for _, e := range a {
		var v Value
		copy(v[:], e.Value)
		n := table[e.ID].EffectiveLen(&v, nil)
		b = AppendRaw(b, e.ID, ver, e.Value[len(e.Value)-n:], nil)
	}
	return b
}

// AppendText appends the names of the fields, with the masks that are not exact.
func (a Array) AppendText(b []byte) []byte {
	for i, e := range a {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e.ID.String()...)
		if !allOnes(e.Value) {
			var v Value
			copy(v[:], e.Value)
			b = append(b, '=')
			b = table[e.ID].AppendValue(b, &v, nil, nil)
		}
	}
	return b
}
