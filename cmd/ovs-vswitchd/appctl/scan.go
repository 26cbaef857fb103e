package appctl

import (
	"strings"

	"sluice/dpif/flow"
)

// Some commands of stock read their arguments with scanf.  People give them sloppy
// values in good faith ("5x", "-1", "1:2:3:4:5:6"), so these are taken in the same way.

// scanUint is scanf's %u: white space and a sign may come first, anything may follow,
// and the number wraps.
func scanUint(s string) (n uint32, ok bool) {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			break
		}
		n, ok = 10*n+uint32(c-'0'), true
	}
	if negative {
		n = -n
	}
	return n, ok
}

// scanMAC reads six hexadecimal numbers between colons; anything may follow.
func scanMAC(s string) (mac flow.MAC, ok bool) {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	for i := range mac {
		if i > 0 {
			if s == "" || s[0] != ':' {
				return mac, false
			}
			s = s[1:]
		}
		digits := len(s) - len(strings.TrimLeft(s, "0123456789abcdefABCDEF"))
		if digits == 0 {
			return mac, false
		}
		for _, c := range []byte(strings.ToLower(s[:digits])) {
			mac[i] = mac[i]<<4 | byte(strings.IndexByte("0123456789abcdef", c))
		}
		s = s[digits:]
	}
	return mac, true
}
