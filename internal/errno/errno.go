// Package errno turns errors into the words that stock tools and logs use:
// those of the C library ("Connection refused"), where Go's begin in lower
// case, and "End of file" for a peer that went away.
package errno

import (
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Text describes err as strerror would if a system call's error is in its
// chain, and else by its own words.  An error in the chain with a method
// "UserText() string" is worded for users already. A nil error is an empty string.
func Text(err error) string {
	if err == nil {
		return ""
	}
	var worded interface{ UserText() string }
	if errors.As(err, &worded) {
		return worded.UserText()
	}
	var no unix.Errno
	if errors.As(err, &no) {
		if no == 0 {
			return "Success"
		}
		return capital(no.Error())
	}
	if errors.Is(err, io.EOF) {
		return "End of file"
	}
	return err.Error()
}

// Number returns the system's number of the error, or 0 if it has none.
func Number(err error) int {
	var no unix.Errno
	if errors.As(err, &no) {
		return int(no)
	}
	return 0
}

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return fmt.Sprintf("%c%s", unicode.ToUpper(r), s[n:])
}
