package data

import (
	"errors"
	"fmt"
	"syscall"

	"sluice/ovsdb/json"
)

// Error is an <error> object of RFC 7047 with OVSDB's extensions.
type Error struct {
	// Tag is the "error" member.
	Tag string
	// Details is the "details" member, text for people.
	Details string
	// Syntax is the JSON that was refused, or "".
	Syntax string
	// Errno is the system's error of an I/O error, or 0.
	Errno syscall.Errno
}

// Error gives the text that OVSDB tools print.
func (e *Error) Error() string {
	s := e.Tag
	if e.Syntax != "" {
		s = `syntax "` + e.Syntax + `": ` + s
	}
	if e.Details != "" {
		s += ": " + e.Details
	}
	if e.Errno != 0 {
		s += " (" + ErrnoText(e.Errno) + ")"
	}
	return s
}

// ErrnoText spells a system error as the C library does.
func ErrnoText(e syscall.Errno) string {
	s := e.Error()
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		s = string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

// AppendJSON writes the error object, members sorted.
func (e *Error) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if e.Details != "" {
		dst = append(dst, `"details":`...)
		dst = json.AppendString(dst, e.Details)
		dst = append(dst, ',')
	}
	dst = append(dst, `"error":`...)
	dst = json.AppendString(dst, e.Tag)
	if e.Errno != 0 {
		dst = append(dst, `,"io-error":`...)
		dst = json.AppendString(dst, ErrnoText(e.Errno))
	}
	if e.Syntax != "" {
		dst = append(dst, `,"syntax":`...)
		dst = json.AppendString(dst, e.Syntax)
	}
	return append(dst, '}')
}

// Wrap puts a message in front of the details and returns e.
func (e *Error) Wrap(format string, args ...any) *Error {
	msg := fmt.Sprintf(format, args...)
	if e.Details != "" {
		msg += ": " + e.Details
	}
	e.Details = msg
	return e
}

// Errorf makes an error; an empty tag stands for "ovsdb error".
func Errorf(tag, format string, args ...any) *Error {
	if tag == "" {
		tag = "ovsdb error"
	}
	return &Error{Tag: tag, Details: fmt.Sprintf(format, args...)}
}

// SyntaxErrorf makes an error about the JSON v (which may be nil); an empty
// tag stands for "syntax error".
func SyntaxErrorf(v *json.Value, tag, format string, args ...any) *Error {
	if tag == "" {
		tag = "syntax error"
	}
	e := &Error{Tag: tag, Details: fmt.Sprintf(format, args...)}
	if v != nil {
		e.Syntax = v.Text()
	}
	return e
}

// IOErrorf makes an "I/O error" that names the system's error within err.
func IOErrorf(err error, format string, args ...any) *Error {
	e := Errorf("I/O error", format, args...)
	if !errors.As(err, &e.Errno) && err != nil {
		e.Details += " (" + err.Error() + ")"
	}
	return e
}
