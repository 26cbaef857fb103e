package daemon

import (
	"fmt"
	"os"
	"strings"
)

// ArgKind says whether an option takes an argument.
type ArgKind int

// The kinds of options.
const (
	// NoArg takes none.
	NoArg ArgKind = iota
	// RequiredArg takes one, attached or as the next word.
	RequiredArg
	// OptionalArg takes one only if it is attached.
	OptionalArg
)

// Option is one command-line option.
type Option struct {
	// Long is the name behind "--".
	Long string
	// Short is the letter behind "-", 0 for none.
	Short byte
	// Arg says whether it takes an argument.
	Arg ArgKind
	// Set is called with the argument; given is false where an optional one
	// is missing.
	Set func(arg string, given bool) error
}

// usageError is a mistake in the command line, worded as the C library does.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func badUsage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// parseOptions obeys the options in args, as getopt_long does: long ones may
// be abbreviated, short ones bundled, options may follow other words, and
// "--" ends them. It returns the other words.
func parseOptions(options []Option, args []string) (rest []string, err error) {
	posix := os.Getenv("POSIXLY_CORRECT") != ""
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return append(rest, args...), nil
		case strings.HasPrefix(arg, "--"):
			args, err = parseLong(options, arg[2:], args)
		case len(arg) > 1 && arg[0] == '-':
			args, err = parseShort(options, arg[1:], args)
		case posix:
			return append(append(rest, arg), args...), nil
		default:
			rest = append(rest, arg)
		}
		if err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func parseLong(options []Option, text string, args []string) ([]string, error) {
	name, value, given := strings.Cut(text, "=")
	o, err := findLong(options, name)
	if err != nil {
		return nil, err
	}
	switch {
	case given && o.Arg == NoArg:
		return nil, badUsage("option '--%s' doesn't allow an argument", o.Long)
	case !given && o.Arg == RequiredArg:
		if len(args) == 0 {
			return nil, badUsage("option '--%s' requires an argument", o.Long)
		}
		value, given, args = args[0], true, args[1:]
	}
	return args, o.Set(value, given)
}

func findLong(options []Option, name string) (*Option, error) {
	var found []*Option
	for i := range options {
		o := &options[i]
		if o.Long == name {
			return o, nil
		}
		if o.Long != "" && strings.HasPrefix(o.Long, name) {
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		return nil, badUsage("unrecognized option '--%s'", name)
	case 1:
		return found[0], nil
	}
	var list strings.Builder
	for _, o := range found {
		fmt.Fprintf(&list, " '--%s'", o.Long)
	}
	return nil, badUsage("option '--%s' is ambiguous; possibilities:%s", name, list.String())
}

func parseShort(options []Option, letters string, args []string) ([]string, error) {
	for i := 0; i < len(letters); i++ {
		o := findShort(options, letters[i])
		if o == nil {
			return nil, badUsage("invalid option -- '%c'", letters[i])
		}
		if o.Arg == NoArg {
			if err := o.Set("", false); err != nil {
				return nil, err
			}
			continue
		}
		value, given := letters[i+1:], i+1 < len(letters)
		if !given && o.Arg == RequiredArg {
			if len(args) == 0 {
				return nil, badUsage("option requires an argument -- '%c'", letters[i])
			}
			value, given, args = args[0], true, args[1:]
		}
		return args, o.Set(value, given)
	}
	return args, nil
}

func findShort(options []Option, c byte) *Option {
	for i := range options {
		if options[i].Short == c {
			return &options[i]
		}
	}
	return nil
}
