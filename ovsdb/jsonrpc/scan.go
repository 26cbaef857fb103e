package jsonrpc

import "fmt"

// maxDepth is how deep arrays and objects may nest, the outermost included.
const maxDepth = 1000

// SyntaxError says why bytes are not JSON.
type SyntaxError struct {
	// Text is the reason.
	Text string
	// Offset counts the bytes of the message before the mistake was seen.
	Offset int
}

func (e *SyntaxError) Error() string { return e.Text }

// What the scanner expects next.
const (
	atStart = iota // an opening bracket: nothing else begins a message
	atValue
	atValueOrEnd // after '['
	atKey        // after a comma in an object
	atKeyOrEnd   // after '{'
	atColon
	atComma // or a closing bracket
	atDone
)

// The token that the scanner stands in.
const (
	inNothing = iota
	inString
	inEscape
	inNumber
	inKeyword
)

// span is a piece of the message.
type span struct{ from, to int }

// The members of an envelope.
const (
	mMethod = iota
	mParams
	mResult
	mError
	mID
	nMembers
)

var memberNames = [nMembers]string{"method", "params", "result", "error", "id"}

// scanner finds the end of one JSON text that arrives in pieces, and checks
// it on the way, looking at each byte once. jsontext cannot be used for that:
// it starts over whenever an incomplete value grows. While it passes by, the
// scanner notes where the members of the outermost object are.
type scanner struct {
	// buf is the message so far, pos how much of it was scanned.
	buf []byte
	pos int

	expect, token int
	stack         []byte
	// tok is where the current token begins.
	tok int
	// escaped is set when the current string holds a backslash.
	escaped bool

	// key and value are the outermost object's member in progress.
	key, value span
	// members holds the latest value of each member that an envelope may
	// have; unexpected is the name of the first other one.
	members       [nMembers]span
	unexpected    string
	hasUnexpected bool
	isObject      bool
}

func (s *scanner) reset() { *s = scanner{stack: s.stack[:0]} }

// feed goes on with the message that buf begins with; what was scanned before
// is still there. It reports whether the message is complete: it then ends at
// s.pos.
func (s *scanner) feed(buf []byte) (bool, error) {
	s.buf = buf
	for s.pos < len(buf) {
		n, err := s.step(s.pos)
		if err != nil {
			return false, err
		}
		s.pos = n
		if s.expect == atDone {
			return true, nil
		}
	}
	return false, nil
}

// step consumes the byte at i, or more of them, and returns where to go on.
func (s *scanner) step(i int) (int, error) {
	c := s.buf[i]
	switch s.token {
	case inString:
		return s.stringBytes(i)
	case inEscape:
		s.token = inString
		return i + 1, nil
	case inNumber:
		if isNumberByte(c) {
			return i + 1, nil
		}
		if why := checkNumber(s.buf[s.tok:i]); why != "" {
			return i, syntax(i, "%s", why)
		}
		s.endValue(i)
	case inKeyword:
		if isLetter(c) {
			return i + 1, nil
		}
		switch w := s.buf[s.tok:i]; string(w) {
		case "true", "false", "null":
		default:
			return i, syntax(i, "invalid keyword '%s'", w[:min(len(w), 64)])
		}
		s.endValue(i)
	}
	return i + 1, s.between(i, c)
}

func isNumberByte(c byte) bool {
	return '0' <= c && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '-' || c == '+'
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// stringBytes runs through a string up to its end or to the next escape.
func (s *scanner) stringBytes(i int) (int, error) {
	for buf := s.buf; i < len(buf); i++ {
		switch c := buf[i]; {
		case c == '"':
			return i + 1, s.endString(i)
		case c == '\\':
			s.escaped, s.token = true, inEscape
			return i + 1, nil
		case c < ' ':
			return i, syntax(i, "U+%04X must be escaped in quoted string", c)
		}
	}
	return i, nil
}

// between handles a byte outside of tokens.
func (s *scanner) between(i int, c byte) error {
	switch {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		return nil
	case c == '"':
		s.escaped = false
		return s.begin(i, inString)
	case c == '[' || c == '{':
		return s.open(i, c)
	case c == ']' || c == '}':
		return s.close(i, c)
	case c == ',':
		return s.comma(i)
	case c == ':':
		if s.expect != atColon {
			return s.wrong(i)
		}
		s.expect = atValue
		return nil
	case '0' <= c && c <= '9' || c == '-':
		return s.begin(i, inNumber)
	case isLetter(c):
		return s.begin(i, inKeyword)
	case ' ' < c && c < 0x7f:
		return syntax(i, "invalid character '%c'", c)
	}
	return syntax(i, "invalid character U+%04x", c)
}

// begin enters a token if one of that kind may stand here.
func (s *scanner) begin(i, token int) error {
	switch {
	case s.expect == atValue || s.expect == atValueOrEnd:
		s.beginValue(i)
	case token == inString && (s.expect == atKey || s.expect == atKeyOrEnd):
	default:
		return s.wrong(i)
	}
	s.token, s.tok = token, i
	return nil
}

func (s *scanner) beginValue(i int) {
	if len(s.stack) == 1 {
		s.value.from = i
	}
}

func (s *scanner) open(i int, c byte) error {
	if s.expect != atStart && s.expect != atValue && s.expect != atValueOrEnd {
		return s.wrong(i)
	}
	if len(s.stack) >= maxDepth {
		return syntax(i, "input exceeds maximum nesting depth %d", maxDepth)
	}
	s.beginValue(i)
	if len(s.stack) == 0 {
		s.isObject = c == '{'
	}
	s.stack = append(s.stack, c)
	s.expect = atValueOrEnd
	if c == '{' {
		s.expect = atKeyOrEnd
	}
	return nil
}

func (s *scanner) close(i int, c byte) error {
	if len(s.stack) == 0 {
		return s.wrong(i)
	}
	object := s.stack[len(s.stack)-1] == '{'
	empty := object && s.expect == atKeyOrEnd || !object && s.expect == atValueOrEnd
	if object != (c == '}') || s.expect != atComma && !empty {
		return s.wrong(i)
	}
	s.stack = s.stack[:len(s.stack)-1]
	s.endValue(i + 1)
	return nil
}

func (s *scanner) comma(i int) error {
	if s.expect != atComma {
		return s.wrong(i)
	}
	s.expect = atValue
	if s.stack[len(s.stack)-1] == '{' {
		s.expect = atKey
	}
	return nil
}

// endString ends a string whose closing quote is at i.
func (s *scanner) endString(i int) error {
	if s.escaped {
		if _, why := unquote(s.buf[s.tok+1 : i]); why != "" {
			return syntax(i, "%s", why)
		}
	}
	if s.expect == atKey || s.expect == atKeyOrEnd {
		s.token, s.expect = inNothing, atColon
		if len(s.stack) == 1 {
			s.key = span{s.tok, i + 1}
		}
		return nil
	}
	s.endValue(i + 1)
	return nil
}

// endValue ends a value, and notes which member of the envelope it was if it
// was one.
func (s *scanner) endValue(end int) {
	s.token = inNothing
	if len(s.stack) == 0 {
		s.expect = atDone
		return
	}
	s.expect = atComma
	if len(s.stack) != 1 || !s.isObject {
		return
	}
	s.value.to = end
	key, _ := unquote(s.buf[s.key.from+1 : s.key.to-1])
	for m, name := range memberNames {
		if string(key) == name {
			s.members[m] = s.value
			return
		}
	}
	if !s.hasUnexpected {
		s.hasUnexpected = true
		s.unexpected = string(key[:min(len(key), 256)])
	}
}

func (s *scanner) wrong(i int) error {
	switch s.expect {
	case atStart:
		return syntax(i, "syntax error at beginning of input")
	case atKey, atKeyOrEnd:
		return syntax(i, "syntax error parsing object expecting string")
	case atColon:
		return syntax(i, "syntax error parsing object expecting ':'")
	case atComma:
		if s.stack[len(s.stack)-1] == '{' {
			return syntax(i, "syntax error expecting '}' or ','")
		}
		return syntax(i, "syntax error expecting ']' or ','")
	}
	return syntax(i, "syntax error expecting value")
}

func syntax(at int, format string, args ...any) error {
	return &SyntaxError{Text: fmt.Sprintf(format, args...), Offset: at}
}
