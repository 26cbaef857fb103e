package data

import (
	"fmt"

	"sluice/ovsdb/json"
)

// Accept is a set of JSON kinds for Parser.Member.
type Accept uint16

// What a member may be.
const (
	AcceptBool    Accept = 1<<json.True | 1<<json.False
	AcceptObject  Accept = 1 << json.Object
	AcceptArray   Accept = 1 << json.Array
	AcceptInteger Accept = 1 << json.Integer
	AcceptNumber  Accept = 1<<json.Integer | 1<<json.Real
	AcceptString  Accept = 1 << json.String
	AcceptID      Accept = 1 << 8
	AcceptAny     Accept = 0xff
	Optional      Accept = 1 << 9
)

// Parser takes the members of one object and finds the ones that nobody took.
// The first error is kept; further ones are dropped.
type Parser struct {
	v    *json.Value
	kind string // Sprintf format of the object's description
	args []any
	used uint64 // bit per member
	err  *Error
}

// NewParser starts on v, described for error messages by format and args.
func NewParser(v *json.Value, format string, args ...any) Parser {
	p := Parser{v: v, kind: format, args: args}
	if v.Kind() != json.Object {
		p.Fail("Object expected.")
	}
	return p
}

// Member takes the member called name; nil if it is missing or of a wrong
// kind (then with an error, unless it is missing and Optional).
func (p *Parser) Member(name string, accept Accept) *json.Value {
	i := p.v.Index(name)
	if i < 0 {
		if accept&Optional == 0 {
			p.Fail("Required '%s' member is missing.", name)
		}
		return nil
	}
	_, m := p.v.Member(i)
	ok := accept&(1<<m.Kind()) != 0 || accept&AcceptID != 0 && m.Kind() == json.String && IsID(m.Str())
	if !ok {
		p.Fail("Type mismatch for member '%s'.", name)
		return nil
	}
	if i < 64 {
		p.used |= 1 << i
	}
	return m
}

// Fail records an error, unless there is one already. Of what is not an object
// the error does not show the syntax, as stock's.
func (p *Parser) Fail(format string, args ...any) {
	if p.err == nil {
		v := p.v
		if v.Kind() != json.Object {
			v = nil
		}
		p.err = SyntaxErrorf(v, "", "Parsing %s failed: %s",
			fmt.Sprintf(p.kind, p.args...), fmt.Sprintf(format, args...))
	}
}

// Err is the first error so far.
func (p *Parser) Err() *Error { return p.err }

// JSON is the object being parsed.
func (p *Parser) JSON() *json.Value { return p.v }

// Finish complains about members that were not taken and returns the first error.
func (p *Parser) Finish() *Error {
	if p.err != nil {
		return p.err
	}
	unused, first := 0, ""
	for i := 0; i < p.v.Len(); i++ {
		if i >= 64 || p.used&(1<<i) == 0 {
			if unused == 0 {
				first, _ = p.v.Member(i)
			}
			unused++
		}
	}
	switch {
	case unused > 2:
		p.Fail("Member '%s' and %d other members are present but not allowed here.", first, unused-1)
	case unused == 2:
		p.Fail("Member '%s' and 1 other member are present but not allowed here.", first)
	case unused == 1:
		p.Fail("Member '%s' is present but not allowed here.", first)
	}
	return p.err
}

// IsID tells whether s is an <id> of RFC 7047.
func IsID(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}
