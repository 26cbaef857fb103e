package jsonrpc

// Elems splits a valid JSON array into its elements, without copying.
// What is not an array yields nil; an invalid one, nil or any elements.
func Elems(raw []byte) [][]byte {
	raw = trim(raw)
	if len(raw) < 2 || raw[0] != '[' {
		return nil
	}
	elems := [][]byte{}
	for rest := trim(raw[1:]); len(rest) > 0 && rest[0] != ']'; {
		n := valueLen(rest)
		if n == 0 { // a bracket that closes nothing
			return nil
		}
		elems = append(elems, rest[:n:n])
		rest = trim(rest[n:])
		if len(rest) > 0 && rest[0] == ',' {
			rest = trim(rest[1:])
		}
	}
	return elems
}

// Strings returns the elements of a JSON array of strings, and false if it is
// anything else.
func Strings(raw []byte) ([]string, bool) {
	elems := Elems(raw)
	if elems == nil {
		return nil, false
	}
	out := make([]string, len(elems))
	for i, e := range elems {
		var ok bool
		if out[i], ok = Unquote(e); !ok {
			return nil, false
		}
	}
	return out, true
}

// AppendStrings appends a JSON array of the strings.
func AppendStrings(b []byte, list ...string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendQuote(b, s)
	}
	return append(b, ']')
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\n' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// valueLen returns how long the value is that b begins with.
func valueLen(b []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return i + 1
			}
		case quoted:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			return max(i, 1)
		}
	}
	return len(b)
}
