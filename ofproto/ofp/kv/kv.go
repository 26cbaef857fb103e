// Package kv reads the key and value syntax in which OpenFlow flows and actions are
// written: KEY, KEY=VALUE, KEY:VALUE and KEY(VALUE), separated by commas and white
// space.
//
// The match and action packages parse with it, and whoever parses messages' text.
package kv

import (
	"fmt"
	"math"
	"strings"
)

const space = ", \t\r\n"

// Next takes a key and its value ("" if it has none) from the beginning of s.  ok is
// false at the end.
func Next(s string) (key, value, rest string, ok bool) {
	s = strings.TrimLeft(s, space)
	if s == "" {
		return "", "", "", false
	}
	end := strings.IndexAny(s, ":=("+space)
	if end < 0 {
		return s, "", "", true
	}
	key, delim := s[:end], s[end]
	s = s[end+1:]
	switch delim {
	case ':', '=':
		n := valueLen(s, space)
		return key, s[:n], after(s, n), true
	case '(':
		n := valueLen(s, ")")
		// (x)->y is one value, "x)->y".
		if strings.HasPrefix(s[n:], ")->") {
			n += valueLen(s[n:], space)
		}
		return key, s[:n], after(s, n), true
	}
	return key, "", s, true
}

func after(s string, n int) string {
	if n < len(s) {
		return s[n+1:]
	}
	return ""
}

// valueLen returns where the first delimiter outside parentheses is.
func valueLen(s, delims string) int {
	n := 0
	for n < len(s) && strings.IndexByte(delims, s[n]) < 0 {
		if s[n] != '(' {
			n++
			continue
		}
		for level := 0; ; {
			if n == len(s) {
				return n
			}
			switch s[n] {
			case '(':
				level++
			case ')':
				level--
			}
			n++
			if level <= 0 {
				break
			}
		}
	}
	return n
}

// Token takes a run of bytes up to one of delims from s, skipping delims before it,
// as strtok_r does.
func Token(s, delims string) (tok, rest string, ok bool) {
	s = strings.TrimLeft(s, delims)
	if s == "" {
		return "", "", false
	}
	if i := strings.IndexAny(s, delims); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", true
}

// parse reads a whole C integer in base 0; big: it does not fit 64 bits.
func parse(s string) (n uint64, neg, ok, big bool) {
	t := strings.TrimLeft(s, " \t\r\n\v\f")
	if t != "" && (t[0] == '-' || t[0] == '+') {
		neg = t[0] == '-'
		t = t[1:]
	}
	base := uint64(10)
	if len(t) > 2 && t[0] == '0' && t[1]|0x20 == 'x' {
		base, t = 16, t[2:]
	} else if len(t) > 1 && t[0] == '0' {
		base, t = 8, t[1:]
	}
	if t == "" {
		return 0, neg, false, false
	}
	for i := range len(t) {
		d := uint64(99)
		switch c := t[i]; {
		case c >= '0' && c <= '9':
			d = uint64(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			d = uint64(c|0x20-'a') + 10
		}
		if d >= base {
			return 0, neg, false, false
		}
		if n > (math.MaxUint64-d)/base {
			big = true
		}
		n = n*base + d
	}
	return n, neg, true, big
}

// Int reads a signed 32-bit integer; decimal, 0x or octal.
func Int(s string) (int, bool) {
	n, neg, ok, big := parse(s)
	switch {
	case !ok || big || n > 1<<31 || !neg && n > math.MaxInt32:
		return 0, false
	case neg:
		return -int(n), true
	}
	return int(n), true
}

// U8 reads a number up to 255.  name tells in the error what it is.
func U8(s, name string) (uint8, error) {
	n, ok := Int(s)
	if !ok || n < 0 || n > 255 {
		return 0, fmt.Errorf("invalid %s \"%s\"", name, s)
	}
	return uint8(n), nil
}

// U16 reads a number up to 65535.  name tells in the error what it is.
func U16(s, name string) (uint16, error) {
	n, ok := Int(s)
	if !ok || n < 0 || n > 65535 {
		return 0, fmt.Errorf("invalid %s \"%s\"", name, s)
	}
	return uint16(n), nil
}

// U32 reads a number whose low 32 bits count, as stock does.
func U32(s string) (uint32, error) {
	n, err := U64(s)
	return uint32(n), err
}

// U64 reads a number; a negative one is its two's complement.
func U64(s string) (uint64, error) {
	if s == "" {
		return 0, fmt.Errorf("missing required numeric argument")
	}
	n, neg, ok, big := parse(s)
	if !ok || big {
		return 0, fmt.Errorf("invalid numeric format %s", s)
	}
	if neg {
		n = -n
	}
	return n, nil
}
