package data

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"sluice/ovsdb/json"
)

// AtomType is the type of an atom.
type AtomType uint8

// The atomic types; Void stands for "no value" in the type of a set.
const (
	Void AtomType = iota
	Integer
	Real
	Boolean
	String
	UUIDType
)

var atomTypeNames = [...]string{"void", "integer", "real", "boolean", "string", "uuid"}

// String gives the type's name in schemas.
func (t AtomType) String() string { return atomTypeNames[t] }

// Atom is one value of an atomic type; the type is kept outside. The zero
// Atom is every type's default.
type Atom struct {
	a, b uint64 // integer, real's bits or boolean in a; UUID in both
	s    string
}

// IntAtom makes an integer.
func IntAtom(i int64) Atom { return Atom{a: uint64(i)} }

// RealAtom makes a real.
func RealAtom(f float64) Atom {
	if f == 0 {
		f = 0 // one zero only
	}
	return Atom{a: math.Float64bits(f)}
}

// BoolAtom makes a boolean.
func BoolAtom(b bool) Atom {
	if b {
		return Atom{a: 1}
	}
	return Atom{}
}

// StringAtom makes a string.
func StringAtom(s string) Atom { return Atom{s: s} }

// UUIDAtom makes a uuid.
func UUIDAtom(u UUID) Atom { return Atom{a: u.Hi, b: u.Lo} }

// Int is the value of an integer.
func (x *Atom) Int() int64 { return int64(x.a) }

// Real is the value of a real.
func (x *Atom) Real() float64 { return math.Float64frombits(x.a) }

// Bool is the value of a boolean.
func (x *Atom) Bool() bool { return x.a != 0 }

// Str is the value of a string.
func (x *Atom) Str() string { return x.s }

// UUID is the value of a uuid.
func (x *Atom) UUID() UUID { return UUID{x.a, x.b} }

// Compare orders two atoms of type t.
func (x *Atom) Compare(t AtomType, y *Atom) int {
	switch t {
	case Integer:
		return cmp.Compare(int64(x.a), int64(y.a))
	case Real:
		return cmp.Compare(x.Real(), y.Real())
	case Boolean:
		return cmp.Compare(x.a, y.a)
	case String:
		return strings.Compare(x.s, y.s)
	}
	if c := cmp.Compare(x.a, y.a); c != 0 {
		return c
	}
	return cmp.Compare(x.b, y.b)
}

// hash mixes the atom into h.
func (x *Atom) hash(h uint64) uint64 {
	const prime = 0x9e3779b97f4a7c15
	h = (h ^ x.a) * prime
	h ^= h >> 29
	h = (h ^ x.b) * prime
	h ^= h >> 32
	for i := 0; i < len(x.s); i++ {
		h = (h ^ uint64(x.s[i])) * 0x100000001b3
	}
	return h ^ uint64(len(x.s))<<48
}

// AppendJSON writes the atom of type t.
func (x *Atom) AppendJSON(dst []byte, t AtomType) []byte {
	switch t {
	case Integer:
		return strconv.AppendInt(dst, int64(x.a), 10)
	case Real:
		return json.AppendReal(dst, x.Real())
	case Boolean:
		return strconv.AppendBool(dst, x.a != 0)
	case String:
		return json.AppendString(dst, x.s)
	}
	dst = append(dst, `["uuid","`...)
	dst = x.UUID().Append(dst)
	return append(dst, '"', ']')
}

// AppendText writes the atom of type t as ovs-vsctl prints it.
func (x *Atom) AppendText(dst []byte, t AtomType) []byte {
	switch t {
	case UUIDType:
		return x.UUID().Append(dst)
	case Real:
		return strconv.AppendFloat(dst, x.Real(), 'g', 15, 64)
	case String:
		if !needsQuotes(x.s) {
			return append(dst, x.s...)
		}
	}
	return x.AppendJSON(dst, t)
}

func needsQuotes(s string) bool {
	if s == "" || s == "true" || s == "false" {
		return true
	}
	if !IsID(s[:1]) {
		return true
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(IsID(s[i:i+1]) || c >= '0' && c <= '9' || c == '-' || c == '.') {
			return true
		}
	}
	if len(s) >= 36 {
		_, isUUID := ParseUUID(s[:36])
		return isUUID
	}
	return false
}

// Symbols are the named UUIDs of one transaction.
type Symbols map[string]*Symbol

// Symbol is one named UUID.
type Symbol struct {
	// UUID is the row's UUID, made up at the first mention.
	UUID UUID
	// Created tells that an "insert" has used the name.
	Created bool
}

// Lookup returns the symbol called name, made if need be.
func (s Symbols) Lookup(name string) *Symbol {
	sym := s[name]
	if sym == nil {
		sym = &Symbol{UUID: NewUUID()}
		s[name] = sym
	}
	return sym
}

// atomFromJSON reads an atom and checks it against base's constraints.
func atomFromJSON(v *json.Value, base *BaseType, syms Symbols) (Atom, *Error) {
	x, err := parseAtom(v, base, syms)
	if err == nil {
		err = base.check(&x)
	}
	return x, err
}

func parseAtom(v *json.Value, base *BaseType, syms Symbols) (Atom, *Error) {
	switch base.Type {
	case Integer:
		if v.Kind() == json.Integer {
			return IntAtom(v.Int()), nil
		}
	case Real:
		if v.Kind() == json.Integer || v.Kind() == json.Real {
			return RealAtom(v.Float()), nil
		}
	case Boolean:
		if v.IsBool() {
			return BoolAtom(v.Kind() == json.True), nil
		}
	case String:
		if v.Kind() == json.String {
			// A copy: the parsed text would else live as long as the row.
			return StringAtom(strings.Clone(v.Str())), nil
		}
	case UUIDType:
		return parseUUIDAtom(v, syms)
	}
	return Atom{}, SyntaxErrorf(v, "", "expected %s", base.Type)
}

func parseUUIDAtom(v *json.Value, syms Symbols) (Atom, *Error) {
	if s := unwrap(v, "uuid", json.String); s != nil {
		u, ok := ParseUUID(s.Str())
		if !ok {
			return Atom{}, SyntaxErrorf(v, "", `"%s" is not a valid UUID`, s.Str())
		}
		return UUIDAtom(u), nil
	}
	if syms != nil {
		if s := unwrap(v, "named-uuid", json.String); s != nil {
			if !IsID(s.Str()) {
				return Atom{}, SyntaxErrorf(v, "", "named-uuid string is not a valid <id>")
			}
			return UUIDAtom(syms.Lookup(s.Str()).UUID), nil
		}
	}
	return Atom{}, unwrapError(v, "uuid", json.String)
}

// unwrap returns the second element of [name, <kind>], or nil.
func unwrap(v *json.Value, name string, kind json.Kind) *json.Value {
	l := v.List()
	if len(l) != 2 || l[0].Kind() != json.String || l[0].Str() != name || l[1].Kind() != kind {
		return nil
	}
	return &l[1]
}

func unwrapError(v *json.Value, name string, kind json.Kind) *Error {
	return SyntaxErrorf(v, "", `expected ["%s", <%s>]`, name, kind)
}

// check tests x against the type's constraints.
func (b *BaseType) check(x *Atom) *Error {
	if b.Enum != nil {
		if b.Enum.Find(b.Type, x) < 0 {
			return Errorf("constraint violation", "%s is not one of the allowed values (%s)",
				x.AppendText(nil, b.Type), b.Enum.AppendText(nil, enumType(b.Type)))
		}
		return nil
	}
	switch b.Type {
	case Integer:
		i := x.Int()
		if i < b.MinInt || i > b.MaxInt {
			return rangeError(strconv.FormatInt(i, 10),
				strconv.FormatInt(b.MinInt, 10), strconv.FormatInt(b.MaxInt, 10),
				b.MinInt != math.MinInt64, b.MaxInt != math.MaxInt64)
		}
	case Real:
		f := x.Real()
		if !(f >= b.MinReal && f <= b.MaxReal) {
			g := func(f float64) string { return strconv.FormatFloat(f, 'g', 15, 64) }
			return rangeError(g(f), g(b.MinReal), g(b.MaxReal),
				b.MinReal != -math.MaxFloat64, b.MaxReal != math.MaxFloat64)
		}
	case String:
		return b.checkString(x.s)
	}
	return nil
}

func rangeError(x, lo, hi string, hasLo, hasHi bool) *Error {
	switch {
	case hasLo && hasHi:
		return Errorf("constraint violation", "%s is not in the valid range %s to %s (inclusive)", x, lo, hi)
	case hasLo:
		return Errorf("constraint violation", "%s is less than minimum allowed value %s", x, lo)
	}
	return Errorf("constraint violation", "%s is greater than maximum allowed value %s", x, hi)
}

func (b *BaseType) checkString(s string) *Error {
	if !utf8.ValidString(s) {
		return Errorf("constraint violation", "not a valid UTF-8 string: %s", badUTF8(s))
	}
	if b.MinLen == 0 && b.MaxLen == Unlimited {
		return nil
	}
	n := uint32(utf8.RuneCountInString(s))
	if n < b.MinLen {
		return Errorf("constraint violation", `"%s" length %d is less than minimum allowed length %d`, s, n, b.MinLen)
	} else if n > b.MaxLen {
		return Errorf("constraint violation", `"%s" length %d is greater than maximum allowed length %d`, s, n, b.MaxLen)
	}
	return nil
}

// badSequence returns the malformed sequence that s begins with, up to the byte
// that makes it so (Unicode 15, table 3-7); the end of s counts as a zero.
func badSequence(s string) []byte {
	lead := s[0]
	n, lo, hi := 0, byte(0x80), byte(0xbf) // continuation bytes; bounds of the first
	switch {
	case lead >= 0xc2 && lead <= 0xdf:
		n = 1
	case lead >= 0xe0 && lead <= 0xef:
		n = 2
	case lead >= 0xf0 && lead <= 0xf4:
		n = 3
	}
	switch lead {
	case 0xe0:
		lo = 0xa0
	case 0xed:
		hi = 0x9f
	case 0xf0:
		lo = 0x90
	case 0xf4:
		hi = 0x8f
	}
	out := []byte{lead}
	for i := 1; i <= n; i++ {
		var c byte
		if i < len(s) {
			c = s[i]
		}
		out = append(out, c)
		if c < lo || c > hi {
			break
		}
		lo, hi = 0x80, 0xbf
	}
	return out
}

// badUTF8 describes the first malformed sequence in s.
func badUTF8(s string) string {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return fmt.Sprintf("invalid UTF-8 sequence % #x", badSequence(s[i:]))
		}
		i += n
	}
	return ""
}
