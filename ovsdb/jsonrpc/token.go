package jsonrpc

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// checkNumber says what is wrong with a number, or nothing.
func checkNumber(b []byte) string {
	i := 0
	digits := func() int {
		start := i
		for i < len(b) && '0' <= b[i] && b[i] <= '9' {
			i++
		}
		return i - start
	}
	if b[0] == '-' {
		i++
	}
	first := i
	switch n := digits(); {
	case n == 0:
		return "'-' must be followed by digit"
	case n > 1 && b[first] == '0':
		return "leading zeros not allowed"
	}
	if i < len(b) && b[i] == '.' {
		i++
		if digits() == 0 {
			return "decimal point must be followed by digit"
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if digits() == 0 {
			return "exponent must contain at least one digit"
		}
	}
	if i != len(b) {
		return "syntax error in number"
	}
	if len(b) < 19 && bytes.IndexByte(b, 'e') < 0 && bytes.IndexByte(b, 'E') < 0 {
		return ""
	}
	if _, err := strconv.ParseFloat(string(b), 64); err != nil {
		return "number outside valid range"
	}
	return ""
}

// unquote resolves the escapes in what stands between two quotes. Without
// escapes it returns its argument. why is what is wrong with it, or nothing.
func unquote(in []byte) (out []byte, why string) {
	at := bytes.IndexByte(in, '\\')
	if at < 0 {
		return in, ""
	}
	out = append(make([]byte, 0, len(in)), in[:at]...)
	for i := at; i < len(in); {
		c := in[i]
		if c != '\\' {
			out = append(out, c)
			i++
			continue
		}
		if i+1 >= len(in) {
			return nil, "quoted string may not end with backslash"
		}
		i += 2
		switch e := in[i-1]; e {
		case '"', '\\', '/':
			out = append(out, e)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, n, why := unicodeEscape(in[i:])
			if why != "" {
				return nil, why
			}
			out = utf8.AppendRune(out, r)
			i += n
		default:
			return nil, "bad escape \\" + string(rune(e))
		}
	}
	return out, ""
}

// unicodeEscape reads what follows "\u", a second escape included where the
// first is half of a surrogate pair.
func unicodeEscape(in []byte) (r rune, n int, why string) {
	u, why := hex4(in)
	if why != "" {
		return 0, 0, why
	}
	if !utf16.IsSurrogate(u) {
		if u == 0 {
			return 0, 0, "null bytes not supported in quoted strings"
		}
		return u, 4, ""
	}
	rest := in[4:]
	if len(rest) < 2 || rest[0] != '\\' || rest[1] != 'u' {
		return 0, 0, "malformed escaped surrogate pair"
	}
	v, why := hex4(rest[2:])
	if why != "" {
		return 0, 0, why
	}
	r = utf16.DecodeRune(u, v)
	if r == utf8.RuneError {
		return 0, 0, "second half of escaped surrogate pair is not trailing surrogate"
	}
	return r, 10, ""
}

func hex4(in []byte) (rune, string) {
	if len(in) < 4 {
		return 0, "quoted string ends within \\u escape"
	}
	u, err := strconv.ParseUint(string(in[:4]), 16, 16)
	if err != nil || in[0] == '+' || in[0] == '-' {
		return 0, "malformed \\u escape"
	}
	return rune(u), ""
}

// Quote writes s as a JSON string the way Open vSwitch does: control
// characters, quotes and backslashes escaped, everything else as it is.
func Quote(s string) []byte { return AppendQuote(nil, s) }

// AppendQuote appends s as Quote writes it.
func AppendQuote(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ':
			b = append(b, c)
		case c == '\b':
			b = append(b, '\\', 'b')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\f':
			b = append(b, '\\', 'f')
		case c == '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(b, '"')
}

// Unquote returns the text of a JSON string, and false if raw is no string.
func Unquote(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return "", false
	}
	out, why := unquote(raw[1 : len(raw)-1])
	return string(out), why == ""
}

// Compact removes the white space outside of strings from valid JSON. It
// returns its argument if there is none.
func Compact(raw []byte) []byte {
	space := func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
	quoted, first := false, -1
	for i := 0; i < len(raw) && first < 0; i++ {
		switch c := raw[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted && space(c):
			first = i
		}
	}
	if first < 0 {
		return raw
	}
	out := append(make([]byte, 0, len(raw)), raw[:first]...)
	quoted = false
	for i := first; i < len(raw); i++ {
		c := raw[i]
		if c == '"' {
			quoted = !quoted
		} else if quoted && c == '\\' && i+1 < len(raw) {
			out = append(out, c)
			i++
			c = raw[i]
		} else if !quoted && space(c) {
			continue
		}
		out = append(out, c)
	}
	return out
}

func sprintfPosition(line, column, offset int, text string) string {
	return "line " + strconv.Itoa(line) + ", column " + strconv.Itoa(column) + ", byte " + strconv.Itoa(offset) + ": " + text
}
