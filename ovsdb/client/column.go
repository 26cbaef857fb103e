package client

import "sluice/ovsdb/data"

// The functions below turn columns into plain Go values and back: scalars,
// optional scalars as pointers (nil for none), sets as sorted slices, maps as
// Go maps. Generated code calls them.

// Atomic is the Go types of atoms.
type Atomic interface {
	int64 | float64 | bool | string | UUID
}

// get reads an atom of a known type.
func get[T Atomic](a *data.Atom) T {
	var v T
	switch p := any(&v).(type) {
	case *int64:
		*p = a.Int()
	case *float64:
		*p = a.Real()
	case *bool:
		*p = a.Bool()
	case *string:
		*p = a.Str()
	case *UUID:
		*p = a.UUID()
	}
	return v
}

// atom makes an atom of a Go value.
func atom[T Atomic](v T) data.Atom {
	switch v := any(v).(type) {
	case int64:
		return data.IntAtom(v)
	case float64:
		return data.RealAtom(v)
	case bool:
		return data.BoolAtom(v)
	case string:
		return data.StringAtom(v)
	case UUID:
		return data.UUIDAtom(v)
	}
	panic("client: not an atomic type")
}

func atomType[T Atomic]() data.AtomType {
	var v T
	switch any(v).(type) {
	case int64:
		return data.Integer
	case float64:
		return data.Real
	case bool:
		return data.Boolean
	case string:
		return data.String
	}
	return data.UUIDType
}

// Scalar reads a column of exactly one atom.
func Scalar[T Atomic](d *data.Datum) T {
	if d.Len() == 0 {
		var zero T
		return zero
	}
	return get[T](d.Key(0))
}

// Optional reads a column of at most one atom.
func Optional[T Atomic](d *data.Datum) *T {
	if d.Len() == 0 {
		return nil
	}
	v := get[T](d.Key(0))
	return &v
}

// Set reads a set; an empty one is nil.
func Set[T Atomic](d *data.Datum) []T {
	if d.Len() == 0 {
		return nil
	}
	out := make([]T, 0, d.Len())
	for k := range d.All {
		out = append(out, get[T](k))
	}
	return out
}

// Map reads a map; an empty one is nil, which may be read like any other.
func Map[K, V Atomic](d *data.Datum) map[K]V {
	if d.Len() == 0 {
		return nil
	}
	out := make(map[K]V, d.Len())
	for k, v := range d.All {
		out[get[K](k)] = get[V](v)
	}
	return out
}

// ScalarDatum makes a column of exactly one atom.
func ScalarDatum[T Atomic](v T) *data.Datum { return data.NewScalar(atom(v)) }

// OptionalDatum makes a column of at most one atom.
func OptionalDatum[T Atomic](v *T) *data.Datum {
	if v == nil {
		return data.Empty
	}
	return ScalarDatum(*v)
}

// SetDatum makes a set, dropping duplicates.
func SetDatum[T Atomic](v []T) *data.Datum {
	atoms := make([]data.Atom, len(v))
	for i := range v {
		atoms[i] = atom(v[i])
	}
	return data.NewSet(atomType[T](), atoms...)
}

// MapDatum makes a map.
func MapDatum[K comparable, V Atomic](v map[K]V) *data.Datum {
	keys, vals := make([]data.Atom, 0, len(v)), make([]data.Atom, 0, len(v))
	var t data.AtomType
	for k, val := range v {
		switch k := any(k).(type) {
		case string:
			keys, t = append(keys, data.StringAtom(k)), data.String
		case int64:
			keys, t = append(keys, data.IntAtom(k)), data.Integer
		default:
			panic("client: keys are strings or integers")
		}
		vals = append(vals, atom(val))
	}
	d, err := data.NewDatum(t, keys, vals)
	if err != nil {
		panic("client: " + err.Error())
	}
	return d
}
