package data

import "sluice/ovsdb/json"

// ParseDatum reads a <value> of type t, checking constraints and size. Named
// UUIDs are taken from syms unless it is nil.
func ParseDatum(v *json.Value, t *Type, syms Symbols) (*Datum, *Error) {
	return parseDatum(v, t, syms, true)
}

// ParseDiff reads the difference between two values of type t, whose number
// of elements is not bound by t.
func ParseDiff(v *json.Value, t *Type) (*Datum, *Error) {
	return parseDatum(v, t, nil, false)
}

func parseDatum(v *json.Value, t *Type, syms Symbols, sized bool) (*Datum, *Error) {
	l := v.List()
	isSet := len(l) > 0 && l[0].Kind() == json.String && l[0].Str() == "set"
	if !t.IsMap() && !isSet {
		x, err := atomFromJSON(v, &t.Key, syms)
		if err != nil {
			return nil, err
		}
		return NewScalar(x), nil
	}
	class := "set"
	if t.IsMap() {
		class = "map"
	}
	inner := unwrap(v, class, json.Array)
	if inner == nil {
		return nil, unwrapError(v, class, json.Array)
	}
	elems := inner.List()
	if n := uint64(len(elems)); sized && (n < uint64(t.Min) || n > uint64(t.Max)) {
		if t.Min == 1 && t.Max == 1 {
			return nil, SyntaxErrorf(v, "", "%s must have exactly one member but %d are present", class, n)
		}
		return nil, SyntaxErrorf(v, "", "%s must have %d to %d members but %d are present", class, t.Min, t.Max, n)
	}
	return parseElements(elems, t, syms)
}

func parseElements(elems []json.Value, t *Type, syms Symbols) (*Datum, *Error) {
	if len(elems) == 0 {
		return Empty, nil
	}
	keys := make([]Atom, len(elems))
	var vals []Atom
	if t.IsMap() {
		vals = make([]Atom, len(elems))
	}
	for i := range elems {
		k := &elems[i]
		if vals != nil {
			pair := elems[i].List()
			if len(pair) != 2 {
				return nil, SyntaxErrorf(&elems[i], "", "expected 2-element array")
			}
			k = &pair[0]
		}
		var err *Error
		if keys[i], err = atomFromJSON(k, &t.Key, syms); err != nil {
			return nil, err
		}
		if vals != nil {
			if vals[i], err = atomFromJSON(&elems[i].List()[1], &t.Value, syms); err != nil {
				return nil, err
			}
		}
	}
	return NewDatum(t.Key.Type, keys, vals)
}

// CheckConstraints tests every atom of d against t.
func CheckConstraints(t *Type, d *Datum) (err *Error) {
	d.All(func(k, _ *Atom) bool {
		err = t.Key.check(k)
		return err == nil
	})
	if err == nil && t.IsMap() {
		d.All(func(_, v *Atom) bool {
			err = t.Value.check(v)
			return err == nil
		})
	}
	return err
}

// AppendJSON writes d, of type t, as a <value>.
func (d *Datum) AppendJSON(dst []byte, t *Type) []byte {
	isMap := t.IsMap()
	if !isMap && d.n == 1 {
		return d.Key(0).AppendJSON(dst, t.Key.Type)
	}
	if isMap {
		dst = append(dst, `["map",[`...)
	} else {
		dst = append(dst, `["set",[`...)
	}
	first := true
	d.All(func(k, v *Atom) bool {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if isMap {
			dst = append(dst, '[')
			dst = k.AppendJSON(dst, t.Key.Type)
			dst = append(dst, ',')
			dst = v.AppendJSON(dst, t.Value.Type)
			dst = append(dst, ']')
		} else {
			dst = k.AppendJSON(dst, t.Key.Type)
		}
		return true
	})
	return append(dst, ']', ']')
}

// AppendText writes d, of type t, as ovs-vsctl prints it.
func (d *Datum) AppendText(dst []byte, t *Type) []byte {
	isMap := t.IsMap()
	brackets := t.Max > 1 || d.n == 0
	if brackets {
		dst = append(dst, "[{"[b2i(isMap)])
	}
	first := true
	d.All(func(k, v *Atom) bool {
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		dst = k.AppendText(dst, t.Key.Type)
		if isMap {
			dst = append(dst, '=')
			dst = v.AppendText(dst, t.Value.Type)
		}
		return true
	})
	if brackets {
		dst = append(dst, "]}"[b2i(isMap)])
	}
	return dst
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Convert turns d from type 'from' into type 'to', as a schema conversion
// needs it: by way of the JSON form, with all of to's constraints.
func Convert(to *Type, d *Datum, from *Type) (*Datum, *Error) {
	v, err := json.Parse(string(d.AppendJSON(nil, from)))
	if err != nil {
		return nil, Errorf("internal error", "%v", err)
	}
	return ParseDatum(&v, to, nil)
}
