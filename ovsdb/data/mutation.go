package data

import (
	"math"

	"sluice/ovsdb/json"
)

// Mutator is an operator of the "mutate" operation.
type Mutator uint8

// The mutators.
const (
	Add Mutator = iota
	Sub
	Mul
	Div
	Mod
	Insert
	Delete
)

var mutatorNames = [...]string{"+=", "-=", "*=", "/=", "%=", "insert", "delete"}

// String gives the mutator's name in requests.
func (m Mutator) String() string { return mutatorNames[m] }

// Mutation is one <mutation>.
type Mutation struct {
	// Column is what is changed.
	Column *Column
	// Mutator is how.
	Mutator Mutator
	// Arg is what with.
	Arg *Datum
}

// ParseMutations reads an array of mutations for table t.
func ParseMutations(v *json.Value, t *TableSchema, syms Symbols) ([]Mutation, *Error) {
	out := make([]Mutation, v.Len())
	for i := range v.List() {
		var err *Error
		if out[i], err = parseMutation(&v.List()[i], t, syms); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func parseMutation(v *json.Value, t *TableSchema, syms Symbols) (m Mutation, err *Error) {
	l := v.List()
	if len(l) != 3 || l[0].Kind() != json.String || l[1].Kind() != json.String {
		return m, SyntaxErrorf(v, "", "Parse error in mutation.")
	}
	m.Column = t.Column(l[0].Str())
	if m.Column == nil {
		return m, SyntaxErrorf(v, "unknown column", "No column %s in table %s.", l[0].Str(), t.Name)
	}
	if !m.Column.Mutable {
		return m, SyntaxErrorf(v, "constraint violation", "Cannot mutate immutable column %s in table %s.", l[0].Str(), t.Name)
	}
	for m.Mutator = Add; m.Mutator.String() != l[1].Str(); m.Mutator++ {
		if m.Mutator == Delete {
			return m, Errorf("unknown mutator", "No mutator named %s.", l[1].Str())
		}
	}
	typ := m.Column.Type
	if m.Mutator <= Mod {
		isInt := typ.Key.Type == Integer
		if typ.IsMap() || !isInt && typ.Key.Type != Real || m.Mutator == Mod && !isInt {
			return m, m.mismatch(v)
		}
		arg := ScalarType(typ.Key.Type)
		m.Arg, err = ParseDatum(&l[2], &arg, syms)
		return m, err
	}
	if typ.IsScalar() {
		return m, m.mismatch(v)
	}
	typ.Min = 0
	if m.Mutator == Delete {
		typ.Max = Unlimited
	}
	m.Arg, err = ParseDatum(&l[2], &typ, syms)
	if err != nil && typ.IsMap() && m.Mutator == Delete {
		typ.Value = NewBaseType(Void)
		m.Arg, err = ParseDatum(&l[2], &typ, syms)
	}
	return m, err
}

func (m *Mutation) mismatch(v *json.Value) *Error {
	return SyntaxErrorf(v, "", `Type mismatch: "%s" operator may not be applied to column %s of type %s.`,
		m.Mutator, m.Column.Name, m.Column.Type.English())
}

// Apply computes the column's new value from d.
func (m *Mutation) Apply(d *Datum) (*Datum, *Error) {
	t := &m.Column.Type
	switch m.Mutator {
	case Insert:
		d = Union(t, d, m.Arg)
	case Delete:
		d = Subtract(t, d, m.Arg)
	default:
		return m.arithmetic(d)
	}
	if uint64(d.n) > uint64(t.Max) || d.n < int(t.Min) {
		return nil, Errorf("constraint violation", "Attempted to store %d elements in %s.", d.n, t.English())
	}
	return d, nil
}

func (m *Mutation) arithmetic(d *Datum) (*Datum, *Error) {
	t := &m.Column.Type
	keys := make([]Atom, 0, d.n)
	for k := range d.All {
		var x Atom
		var err *Error
		if t.Key.Type == Integer {
			x, err = m.integer(k.Int(), m.Arg.Key(0).Int())
		} else {
			x, err = m.real(k.Real(), m.Arg.Key(0).Real())
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, x)
	}
	for i := range keys {
		if err := t.Key.check(&keys[i]); err != nil {
			return nil, err
		}
	}
	out, err := NewDatum(t.Key.Type, keys, nil)
	if err != nil {
		return nil, Errorf("constraint violation", `Result of "%s" operation contains duplicates.`, m.Mutator)
	}
	return out, nil
}

func (m *Mutation) rangeError() *Error {
	return Errorf("range error", `Result of "%s" operation is out of range.`, m.Mutator)
}

func (m *Mutation) integer(x, y int64) (Atom, *Error) {
	var z int64
	ok := true
	switch m.Mutator {
	case Add:
		z = x + y
		ok = (z > x) == (y > 0) || y == 0
	case Sub:
		z = x - y
		ok = (z < x) == (y > 0) || y == 0
	case Mul:
		z = x * y
		ok = x == 0 || z/x == y && !(x == -1 && y == math.MinInt64)
	case Div, Mod:
		if y == 0 {
			return Atom{}, Errorf("domain error", "Division by zero.")
		}
		if x == math.MinInt64 && y == -1 {
			ok = false
		} else if m.Mutator == Div {
			z = x / y
		} else {
			z = x % y
		}
	}
	if !ok {
		return Atom{}, m.rangeError()
	}
	return IntAtom(z), nil
}

func (m *Mutation) real(x, y float64) (Atom, *Error) {
	switch m.Mutator {
	case Add:
		x += y
	case Sub:
		x -= y
	case Mul:
		x *= y
	case Div:
		if y == 0 {
			return Atom{}, Errorf("domain error", "Division by zero.")
		}
		x /= y
	}
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return Atom{}, m.rangeError()
	}
	return RealAtom(x), nil
}
