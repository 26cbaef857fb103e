package data

import (
	"fmt"
	"math"

	"sluice/ovsdb/json"
)

// Unlimited is the maximum that a schema writes as "unlimited".
const Unlimited = math.MaxUint32

// BaseType is an atomic type with constraints.
type BaseType struct {
	// Type is the atomic type.
	Type AtomType
	// Weak tells that references to RefTable are weak.
	Weak bool
	// Enum is the set of allowed values, or nil.
	Enum *Datum
	// MinInt and MaxInt bound integers.
	MinInt, MaxInt int64
	// MinReal and MaxReal bound reals.
	MinReal, MaxReal float64
	// MinLen and MaxLen bound strings, in characters.
	MinLen, MaxLen uint32
	// RefTable names the table a uuid refers to, or "".
	RefTable string
}

// NewBaseType makes an unconstrained type.
func NewBaseType(t AtomType) BaseType {
	return BaseType{Type: t, MinInt: math.MinInt64, MaxInt: math.MaxInt64,
		MinReal: -math.MaxFloat64, MaxReal: math.MaxFloat64, MaxLen: Unlimited}
}

// IsWeak tells whether b is a weak reference.
func (b *BaseType) IsWeak() bool { return b.RefTable != "" && b.Weak }

// IsStrong tells whether b is a strong reference.
func (b *BaseType) IsStrong() bool { return b.RefTable != "" && !b.Weak }

// constrained tells whether the type must be written as an object.
func (b *BaseType) constrained() bool {
	u := NewBaseType(b.Type)
	return b.Enum != nil || b.RefTable != "" || b.MinInt != u.MinInt || b.MaxInt != u.MaxInt ||
		b.MinReal != u.MinReal || b.MaxReal != u.MaxReal || b.MinLen != 0 || b.MaxLen != Unlimited
}

// Type is the type of a column's values.
type Type struct {
	// Key is the type of a scalar, of a set's elements or of a map's keys.
	Key BaseType
	// Value is the type of a map's values; Void for others.
	Value BaseType
	// Min is the smallest number of elements, 0 or 1.
	Min uint32
	// Max is the largest number of elements, at least 1.
	Max uint32
}

// ScalarType makes the type of exactly one unconstrained t.
func ScalarType(t AtomType) Type {
	return Type{Key: NewBaseType(t), Value: NewBaseType(Void), Min: 1, Max: 1}
}

func enumType(t AtomType) *Type {
	ty := ScalarType(t)
	ty.Max = Unlimited
	return &ty
}

// IsMap tells whether t is a map.
func (t *Type) IsMap() bool { return t.Value.Type != Void }

// IsScalar tells whether t is exactly one atom.
func (t *Type) IsScalar() bool { return !t.IsMap() && t.Min == 1 && t.Max == 1 }

// IsOptional tells whether t is at most one atom.
func (t *Type) IsOptional() bool { return !t.IsMap() && t.Min == 0 && t.Max == 1 }

// IsComposite tells whether t may have more than one element.
func (t *Type) IsComposite() bool { return t.Max > 1 }

// IsSet tells whether t is a set of other than exactly one.
func (t *Type) IsSet() bool { return !t.IsMap() && (t.Min != 1 || t.Max != 1) }

// English describes t in words, as error messages do.
func (t *Type) English() string {
	if t.IsScalar() {
		return t.Key.Type.String()
	}
	s := "map"
	if t.IsSet() {
		s = "set"
	}
	switch {
	case t.Max == Unlimited && t.Min > 0:
		s += fmt.Sprintf(" of %d or more", t.Min)
	case t.Max == Unlimited:
		s += " of"
	case t.Min > 0:
		s += fmt.Sprintf(" of %d to %d", t.Min, t.Max)
	default:
		s += fmt.Sprintf(" of up to %d", t.Max)
	}
	if t.IsSet() {
		return s + fmt.Sprintf(" %ss", t.Key.Type)
	}
	return s + fmt.Sprintf(" (%s, %s) pairs", t.Key.Type, t.Value.Type)
}

// ParseType reads a <type> of a schema.
func ParseType(v *json.Value) (Type, *Error) {
	t := Type{Value: NewBaseType(Void), Min: 1, Max: 1}
	var err *Error
	switch v.Kind() {
	case json.String:
		t.Key, err = parseBaseType(v)
		return t, err
	case json.Object:
	default:
		return t, SyntaxErrorf(v, "", "ovsdb type expected")
	}
	p := NewParser(v, "ovsdb type")
	key := p.Member("key", AcceptString|AcceptObject)
	value := p.Member("value", AcceptString|AcceptObject|Optional)
	lo := p.Member("min", AcceptInteger|Optional)
	hi := p.Member("max", AcceptInteger|AcceptString|Optional)
	if err := p.Finish(); err != nil {
		return t, err
	}
	if t.Key, err = parseBaseType(key); err != nil {
		return t, err
	}
	if value != nil {
		if t.Value, err = parseBaseType(value); err != nil {
			return t, err
		}
	}
	if err := parseCount(lo, &t.Min); err != nil {
		return t, err
	}
	if hi != nil && hi.Kind() == json.String && hi.Str() == "unlimited" {
		t.Max = Unlimited
	} else if err := parseCount(hi, &t.Max); err != nil {
		return t, err
	}
	if t.Min > 1 || t.Max < 1 {
		return t, SyntaxErrorf(v, "", "ovsdb type fails constraint checks")
	}
	return t, nil
}

func parseCount(v *json.Value, n *uint32) *Error {
	if v == nil {
		return nil
	}
	if v.Kind() != json.Integer || v.Int() < 0 || v.Int() >= math.MaxUint32 {
		return SyntaxErrorf(v, "", "bad min or max value")
	}
	*n = uint32(v.Int())
	return nil
}

func parseAtomType(v *json.Value) (AtomType, *Error) {
	if v.Kind() != json.String {
		return Void, SyntaxErrorf(v, "", "atomic-type expected")
	}
	for t := Integer; t <= UUIDType; t++ {
		if t.String() == v.Str() {
			return t, nil
		}
	}
	return Void, SyntaxErrorf(v, "", `"%s" is not an atomic-type`, v.Str())
}

func parseBaseType(v *json.Value) (BaseType, *Error) {
	if v.Kind() == json.String {
		t, err := parseAtomType(v)
		return NewBaseType(t), err
	}
	p := NewParser(v, "ovsdb type")
	name := p.Member("type", AcceptString)
	if p.Err() != nil {
		return BaseType{}, p.Err()
	}
	t, err := parseAtomType(name)
	if err != nil {
		return BaseType{}, err
	}
	b := NewBaseType(t)
	if err := b.parseConstraints(&p); err != nil {
		return b, err
	}
	return b, p.Finish()
}

// parseConstraints takes the members that go with the atomic type.
func (b *BaseType) parseConstraints(p *Parser) (err *Error) {
	if enum := p.Member("enum", AcceptAny|Optional); enum != nil {
		b.Enum, err = ParseDatum(enum, enumType(b.Type), nil)
		return err
	}
	switch b.Type {
	case Integer:
		if m := p.Member("minInteger", AcceptInteger|Optional); m != nil {
			b.MinInt = m.Int()
		}
		if m := p.Member("maxInteger", AcceptInteger|Optional); m != nil {
			b.MaxInt = m.Int()
		}
		if b.MinInt > b.MaxInt {
			return SyntaxErrorf(p.JSON(), "", "minInteger exceeds maxInteger")
		}
	case Real:
		if m := p.Member("minReal", AcceptNumber|Optional); m != nil {
			b.MinReal = m.Float()
		}
		if m := p.Member("maxReal", AcceptNumber|Optional); m != nil {
			b.MaxReal = m.Float()
		}
		if b.MinReal > b.MaxReal {
			return SyntaxErrorf(p.JSON(), "", "minReal exceeds maxReal")
		}
	case String:
		if err := parseLength(p, "minLength", &b.MinLen); err != nil {
			return err
		}
		if err := parseLength(p, "maxLength", &b.MaxLen); err != nil {
			return err
		}
		if b.MinLen > b.MaxLen {
			return SyntaxErrorf(p.JSON(), "", "minLength exceeds maxLength")
		}
	case UUIDType:
		return b.parseRef(p)
	}
	return nil
}

func parseLength(p *Parser, name string, n *uint32) *Error {
	m := p.Member(name, AcceptInteger|Optional)
	if m == nil {
		return nil
	}
	if m.Int() < 0 || m.Int() > math.MaxUint32 {
		return SyntaxErrorf(m, "", "%s out of valid range 0 to %d", name, uint32(math.MaxUint32))
	}
	*n = uint32(m.Int())
	return nil
}

func (b *BaseType) parseRef(p *Parser) *Error {
	table := p.Member("refTable", AcceptID|Optional)
	if table == nil {
		return nil
	}
	b.RefTable = table.Str()
	if kind := p.Member("refType", AcceptID|Optional); kind != nil {
		switch kind.Str() {
		case "strong":
		case "weak":
			b.Weak = true
		default:
			return SyntaxErrorf(p.JSON(), "", `refType must be "strong" or "weak" (not "%s")`, kind.Str())
		}
	}
	return nil
}

// JSON gives the <base-type> for a schema.
func (b *BaseType) JSON() json.Value {
	if !b.constrained() {
		return json.NewString(b.Type.String())
	}
	ms := []json.Pair{{Name: "type", Value: json.NewString(b.Type.String())}}
	add := func(name string, v json.Value) { ms = append(ms, json.Pair{Name: name, Value: v}) }
	if b.Enum != nil {
		v, _ := json.Parse(string(b.Enum.AppendJSON(nil, enumType(b.Type))))
		add("enum", v)
	}
	u := NewBaseType(b.Type)
	if b.MinInt != u.MinInt {
		add("minInteger", json.NewInt(b.MinInt))
	}
	if b.MaxInt != u.MaxInt {
		add("maxInteger", json.NewInt(b.MaxInt))
	}
	if b.MinReal != u.MinReal {
		add("minReal", json.NewReal(b.MinReal))
	}
	if b.MaxReal != u.MaxReal {
		add("maxReal", json.NewReal(b.MaxReal))
	}
	if b.MinLen != 0 {
		add("minLength", json.NewInt(int64(b.MinLen)))
	}
	if b.MaxLen != Unlimited {
		add("maxLength", json.NewInt(int64(b.MaxLen)))
	}
	if b.RefTable != "" {
		add("refTable", json.NewString(b.RefTable))
		if b.Weak {
			add("refType", json.NewString("weak"))
		}
	}
	return json.NewObject(ms...)
}

// JSON gives the <type> for a schema.
func (t *Type) JSON() json.Value {
	if t.IsScalar() && !t.Key.constrained() {
		return t.Key.JSON()
	}
	ms := []json.Pair{{Name: "key", Value: t.Key.JSON()}}
	if t.IsMap() {
		ms = append(ms, json.Pair{Name: "value", Value: t.Value.JSON()})
	}
	if t.Min != 1 {
		ms = append(ms, json.Pair{Name: "min", Value: json.NewInt(int64(t.Min))})
	}
	if t.Max == Unlimited {
		ms = append(ms, json.Pair{Name: "max", Value: json.NewString("unlimited")})
	} else if t.Max != 1 {
		ms = append(ms, json.Pair{Name: "max", Value: json.NewInt(int64(t.Max))})
	}
	return json.NewObject(ms...)
}
