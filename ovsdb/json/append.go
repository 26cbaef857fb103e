package json

import (
	"math"
	"strconv"
)

// Float returns the value of a Real or an Integer as a float64.
func (v *Value) Float() float64 {
	if v.kind == Integer {
		return float64(int64(v.num))
	}
	return math.Float64frombits(v.num)
}

// NewReal makes a Real, or an Integer if f is one and small enough to be exact.
func NewReal(f float64) Value {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return NewInt(int64(f))
	}
	return Value{kind: Real, num: math.Float64bits(f)}
}

// Append writes v to dst without white space, members in order of names.
func (v *Value) Append(dst []byte) []byte {
	switch v.kind {
	case Null:
		return append(dst, "null"...)
	case False:
		return append(dst, "false"...)
	case True:
		return append(dst, "true"...)
	case Integer:
		return strconv.AppendInt(dst, int64(v.num), 10)
	case Real:
		return AppendReal(dst, v.Float())
	case String:
		return AppendString(dst, v.str)
	case Array:
		dst = append(dst, '[')
		for i := range v.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = v.list[i].Append(dst)
		}
		return append(dst, ']')
	}
	dst = append(dst, '{')
	for i := range v.list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, (*v.names)[i])
		dst = append(dst, ':')
		dst = v.list[i].Append(dst)
	}
	return append(dst, '}')
}

// Text is Append as a string.
func (v *Value) Text() string { return string(v.Append(nil)) }

// AppendReal writes f as C's %.15g does if that reads back as f, and with all
// the digits it takes otherwise (stock loses them).
func AppendReal(dst []byte, f float64) []byte {
	n := len(dst)
	for prec := 15; ; prec++ {
		dst = strconv.AppendFloat(dst[:n], f, 'g', prec, 64)
		if prec == 17 {
			return dst
		}
		if back, err := strconv.ParseFloat(string(dst[n:]), 64); err == nil && back == f {
			return dst
		}
	}
}

const hexDigits = "0123456789abcdef"

// AppendString writes s as a quoted JSON string.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
