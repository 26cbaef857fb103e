package json

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 1000

// Parser walks over one JSON text. Parse covers the common case; the Parser
// itself serves texts too large for a tree (database files), whose outer
// objects are walked with Members.
//
// Strings without escapes are substrings of the input: whoever keeps one for
// long clones it, or it keeps the whole text alive.
type Parser struct {
	text  string
	pos   int
	depth int
	stack []Value // elements of the arrays being parsed
	pairs []Pair  // members of the objects being parsed
	slab  []Value // arrays are cut from this
	left  int     // values that may still come, if limited
	bound bool
}

// ParseLimited is Parse for texts of strangers: it refuses a text of more than
// max values, which would take up many times its own size.
func ParseLimited(text string, max int) (Value, error) {
	p := Parser{text: text, left: max, bound: true}
	v, err := p.Value()
	if err == nil {
		err = p.End()
	}
	return v, err
}

// Parse reads a text that holds exactly one value.
func Parse(text string) (Value, error) {
	p := Parser{text: text}
	v, err := p.Value()
	if err == nil {
		err = p.End()
	}
	return v, err
}

// NewParser starts at the beginning of text.
func NewParser(text string) *Parser { return &Parser{text: text} }

// End checks that only white space is left.
func (p *Parser) End() error {
	p.space()
	if p.pos != len(p.text) {
		return p.fail("trailing garbage at end of input")
	}
	return nil
}

// Peek tells the first byte of the next value, 0 at the end.
func (p *Parser) Peek() byte {
	p.space()
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

// Members calls fn for every member of the object that comes next, in the
// order of the text; fn must consume the member's value with Value or Members.
func (p *Parser) Members(fn func(name string) error) error {
	if err := p.enter('{'); err != nil {
		return err
	}
	defer p.leave()
	if p.Peek() == '}' {
		p.pos++
		return nil
	}
	for {
		name, err := p.memberName()
		if err != nil {
			return err
		}
		if err := fn(name); err != nil {
			return err
		}
		more, err := p.separator('}')
		if err != nil || !more {
			return err
		}
	}
}

// Value reads the next value.
func (p *Parser) Value() (Value, error) {
	if p.bound {
		if p.left--; p.left < 0 {
			return Value{}, p.fail("too many values")
		}
	}
	switch c := p.Peek(); c {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		s, err := p.str()
		return Value{kind: String, str: s}, err
	case 't':
		return Value{kind: True}, p.word("true")
	case 'f':
		return Value{kind: False}, p.word("false")
	case 'n':
		return Value{}, p.word("null")
	case 0:
		if p.pos >= len(p.text) {
			return Value{}, p.fail("unexpected end of input")
		}
	default:
		if c == '-' || c >= '0' && c <= '9' {
			return p.number()
		}
	}
	return Value{}, p.fail(fmt.Sprintf("invalid character U+%04x", p.text[p.pos]))
}

func (p *Parser) fail(what string) error {
	return fmt.Errorf("byte %d: %s", p.pos, what)
}

func (p *Parser) space() {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *Parser) enter(c byte) error {
	if p.Peek() != c {
		return p.fail("syntax error: '" + string(rune(c)) + "' expected")
	}
	if p.depth >= MaxDepth {
		return p.fail(fmt.Sprintf("input exceeds maximum nesting depth %d", MaxDepth))
	}
	p.depth++
	p.pos++
	return nil
}

func (p *Parser) leave() { p.depth-- }

func (p *Parser) memberName() (string, error) {
	if p.Peek() != '"' {
		return "", p.fail("syntax error parsing object expecting string")
	}
	name, err := p.str()
	if err != nil {
		return "", err
	}
	if p.Peek() != ':' {
		return "", p.fail("syntax error parsing object expecting ':'")
	}
	p.pos++
	return name, nil
}

// separator consumes ',' (more follows) or the closing bracket.
func (p *Parser) separator(end byte) (bool, error) {
	switch p.Peek() {
	case ',':
		p.pos++
		return true, nil
	case end:
		p.pos++
		return false, nil
	}
	return false, p.fail("syntax error expecting '" + string(rune(end)) + "' or ','")
}

func (p *Parser) object() (Value, error) {
	base := len(p.pairs)
	err := p.Members(func(name string) error {
		v, err := p.Value()
		if err != nil {
			return err
		}
		p.pairs = append(p.pairs, Pair{name, v})
		return nil
	})
	if err != nil {
		return Value{}, err
	}
	v := objectOf(p.pairs[base:])
	clear(p.pairs[base:])
	p.pairs = p.pairs[:base]
	return v, nil
}

func (p *Parser) array() (Value, error) {
	if err := p.enter('['); err != nil {
		return Value{}, err
	}
	defer p.leave()
	base := len(p.stack)
	if p.Peek() == ']' {
		p.pos++
		return Value{kind: Array}, nil
	}
	for {
		v, err := p.Value()
		if err != nil {
			return Value{}, err
		}
		p.stack = append(p.stack, v)
		more, err := p.separator(']')
		if err != nil {
			return Value{}, err
		}
		if !more {
			break
		}
	}
	elems := p.stack[base:]
	out := p.cut(len(elems))
	copy(out, elems)
	clear(elems)
	p.stack = p.stack[:base]
	return Value{kind: Array, list: out}, nil
}

// cut takes n Values from the slab, so that small arrays share allocations.
func (p *Parser) cut(n int) []Value {
	if n > 32 {
		return make([]Value, n)
	}
	if len(p.slab) < n {
		p.slab = make([]Value, min(64, 8+len(p.text)/16))
		if len(p.slab) < n {
			return make([]Value, n)
		}
	}
	out := p.slab[:n:n]
	p.slab = p.slab[n:]
	return out
}

func (p *Parser) word(w string) error {
	if !strings.HasPrefix(p.text[p.pos:], w) {
		return p.fail("invalid keyword")
	}
	p.pos += len(w)
	return nil
}

// str reads a string; p.pos is at the opening quote.
func (p *Parser) str() (string, error) {
	start := p.pos + 1
	for i := start; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			p.pos = i + 1
			return p.text[start:i], nil
		case c == '\\':
			return p.escaped(start, i)
		case c < 0x20:
			p.pos = i
			return "", p.fail(fmt.Sprintf("U+%04X must be escaped in quoted string", c))
		}
	}
	p.pos = len(p.text)
	return "", p.fail("unexpected end of input in quoted string")
}

// escaped continues a string whose first backslash is at i.
func (p *Parser) escaped(start, i int) (string, error) {
	buf := append(make([]byte, 0, i-start+32), p.text[start:i]...)
	for i < len(p.text) {
		c := p.text[i]
		switch {
		case c == '"':
			p.pos = i + 1
			return string(buf), nil
		case c < 0x20:
			p.pos = i
			return "", p.fail(fmt.Sprintf("U+%04X must be escaped in quoted string", c))
		case c != '\\':
			buf = append(buf, c)
			i++
		default:
			n, err := unescape(p.text[i:], &buf)
			if err != nil {
				p.pos = i
				return "", p.fail(err.Error())
			}
			i += n
		}
	}
	p.pos = len(p.text)
	return "", p.fail("unexpected end of input in quoted string")
}

var simpleEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unescape decodes the escape at the start of s and says how long it was.
func unescape(s string, buf *[]byte) (int, error) {
	if len(s) < 2 {
		return 0, errors.New("unexpected end of input after backslash")
	}
	if s[1] != 'u' {
		if c := simpleEscapes[s[1]]; c != 0 {
			*buf = append(*buf, c)
			return 2, nil
		}
		return 0, fmt.Errorf("bad escape \\%c", s[1])
	}
	r, ok := hex4(s[2:])
	if !ok {
		return 0, errors.New("malformed \\u escape")
	}
	n := 6
	switch {
	case r == 0:
		return 0, errors.New("null bytes not supported in quoted strings")
	case r >= 0xd800 && r < 0xdc00:
		if len(s) < 12 || s[6] != '\\' || s[7] != 'u' {
			return 0, errors.New("malformed escaped surrogate pair")
		}
		lo, ok := hex4(s[8:])
		if !ok || lo < 0xdc00 || lo > 0xdfff {
			return 0, errors.New("second half of escaped surrogate pair is not trailing surrogate")
		}
		r = 0x10000 + (r-0xd800)<<10 + (lo - 0xdc00)
		n = 12
	case r >= 0xdc00 && r < 0xe000:
		return 0, errors.New("trailing surrogate without leading one")
	}
	*buf = utf8.AppendRune(*buf, r)
	return n, nil
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:4], 16, 16)
	return rune(n), err == nil
}

// number reads a number: whatever has an exact int64 value is an Integer.
func (p *Parser) number() (Value, error) {
	start := p.pos
	i, integral, err := scanNumber(p.text, start)
	if err != nil {
		return Value{}, p.fail(err.Error())
	}
	s := p.text[start:i]
	p.pos = i
	if integral {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return NewInt(n), nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return Value{}, p.fail("number outside valid range")
	}
	if n, ok := exactInt(s, f, integral); ok {
		return NewInt(n), nil
	}
	return Value{kind: Real, num: math.Float64bits(f)}, nil
}

// scanNumber finds the end of the number that starts at i.
func scanNumber(t string, i int) (end int, integral bool, err error) {
	digits := func() bool {
		s := i
		for i < len(t) && t[i] >= '0' && t[i] <= '9' {
			i++
		}
		return i > s
	}
	if t[i] == '-' {
		i++
	}
	if i < len(t) && t[i] == '0' {
		i++
		if i < len(t) && t[i] >= '0' && t[i] <= '9' {
			return i, false, errors.New("leading zeros not allowed")
		}
	} else if !digits() {
		return i, false, errors.New("'-' must be followed by digit")
	}
	integral = true
	if i < len(t) && t[i] == '.' {
		i++
		integral = false
		if !digits() {
			return i, false, errors.New("decimal point must be followed by digit")
		}
	}
	if i < len(t) && (t[i] == 'e' || t[i] == 'E') {
		i++
		integral = false
		if i < len(t) && (t[i] == '+' || t[i] == '-') {
			i++
		}
		if !digits() {
			return i, false, errors.New("exponent must contain at least one digit")
		}
	}
	return i, integral, nil
}

// exactInt decides whether the decimal text s, whose nearest double is f, is
// exactly an int64 ("1.0", "1e3"), without trusting f beyond 2**53.
func exactInt(s string, f float64, integral bool) (int64, bool) {
	if integral {
		return 0, false // ParseInt has refused it: out of range
	}
	if f == 0 {
		return 0, true // also what is too small for a double
	}
	// 2**63 itself may be 2**63-1 rounded.
	if math.Trunc(f) != f || math.Abs(f) > 1<<63 {
		return 0, false
	}
	mant, exp := s, 0
	if e := strings.IndexAny(s, "eE"); e >= 0 {
		mant = s[:e]
		x, err := strconv.Atoi(s[e+1:])
		if err != nil || x > 1000 || x < -1000 {
			return 0, false
		}
		exp = x
	}
	whole, frac, _ := strings.Cut(mant, ".")
	digits := whole + frac
	point := len(whole) + exp // digits before the decimal point
	for point < len(digits) {
		if digits[len(digits)-1] != '0' {
			return 0, false
		}
		digits = digits[:len(digits)-1]
	}
	if point-len(digits) > 400 {
		return 0, false
	}
	digits += strings.Repeat("0", point-len(digits))
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}

// Skip passes over the next value, checking no more than its brackets.
func (p *Parser) Skip() error {
	depth := 0
	for {
		c := p.Peek()
		switch c {
		case 0:
			return p.fail("unexpected end of input")
		case '"':
			if _, err := p.str(); err != nil {
				return err
			}
		case '{', '[':
			depth++
			p.pos++
		case '}', ']':
			depth--
			p.pos++
		default:
			p.pos++
			for p.pos < len(p.text) && p.text[p.pos] > ' ' && !isPunct(p.text[p.pos]) {
				p.pos++
			}
		}
		if depth == 0 && c != ':' && c != ',' {
			return nil
		}
		if depth < 0 {
			return p.fail("unexpected closing bracket")
		}
	}
}

func isPunct(c byte) bool {
	switch c {
	case '{', '}', '[', ']', ',', ':', '"':
		return true
	}
	return false
}

// Elements calls fn for every element of the array that comes next; fn must
// consume the element.
func (p *Parser) Elements(fn func(i int) error) error {
	if err := p.enter('['); err != nil {
		return err
	}
	defer p.leave()
	if p.Peek() == ']' {
		p.pos++
		return nil
	}
	for i := 0; ; i++ {
		if err := fn(i); err != nil {
			return err
		}
		more, err := p.separator(']')
		if err != nil || !more {
			return err
		}
	}
}

// Rest is the text from the next value on.
func (p *Parser) Rest() string {
	p.space()
	return p.text[p.pos:]
}
