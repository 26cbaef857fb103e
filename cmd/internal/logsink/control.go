package logsink

import (
	"fmt"
	"strings"

	"sluice/internal/errno"
	"sluice/internal/vlog"
	"sluice/ovsdb/unixctl"
)

// anyDest stands for all destinations.
const anyDest = vlog.Dest(-1)

// words splits a specification at blanks, commas and colons.
type words struct{ rest string }

const separators = " ,:\t"

func (w *words) next() (string, bool) {
	s := strings.TrimLeft(w.rest, separators)
	if s == "" {
		w.rest = ""
		return "", false
	}
	end := strings.IndexAny(s, separators)
	if end < 0 {
		w.rest = ""
		return s, true
	}
	w.rest = s[end+1:]
	return s[:end], true
}

// Set obeys one specification in the language of "-v" and vlog/set:
// "[MODULE][:DESTINATION][:LEVEL]", "PATTERN:DESTINATION:PATTERN" or
// "FACILITY:NAME".
func (s *Sink) Set(spec string) error {
	w := words{spec}
	first, ok := w.next()
	switch {
	case ok && strings.EqualFold(first, "PATTERN"):
		return s.setPattern(&w)
	case ok && strings.EqualFold(first, "FACILITY"):
		f, known := facilities[strings.ToLower(w.rest)]
		if !known {
			return fmt.Errorf("invalid facility")
		}
		s.facility.Store(int32(f))
		return nil
	}
	return setLevels(words{spec})
}

func (s *Sink) setPattern(w *words) error {
	name, ok := w.next()
	if !ok {
		return fmt.Errorf("missing destination")
	}
	if strings.EqualFold(name, "ANY") {
		for d := range vlog.NDests {
			s.SetPattern(d, w.rest)
		}
		return nil
	}
	d, ok := vlog.ParseDest(name)
	if !ok {
		return fmt.Errorf("unknown destination \"%s\"", name)
	}
	s.SetPattern(d, w.rest)
	return nil
}

func setLevels(w words) error {
	var module *vlog.Module
	dest, level := anyDest, vlog.NLevels
	for word, ok := w.next(); ok; word, ok = w.next() {
		if strings.EqualFold(word, "ANY") {
			continue
		}
		if d, ok := vlog.ParseDest(word); ok {
			if dest != anyDest {
				return fmt.Errorf("cannot specify multiple destinations")
			}
			dest = d
		} else if l, ok := vlog.ParseLevel(word); ok {
			if level != vlog.NLevels {
				return fmt.Errorf("cannot specify multiple levels")
			}
			level = l
		} else if m := vlog.Lookup(word); m != nil {
			if module != nil {
				return fmt.Errorf("cannot specify multiple modules")
			}
			module = m
		} else {
			return fmt.Errorf("no destination, level, or module \"%s\"", word)
		}
	}
	if level == vlog.NLevels {
		level = vlog.Dbg
	}
	apply(module, dest, level)
	return nil
}

// apply sets a level; nil is all modules.
func apply(m *vlog.Module, dest vlog.Dest, l vlog.Level) {
	for d := range vlog.NDests {
		if dest != anyDest && dest != d {
			continue
		}
		if m == nil {
			AllLevels(d, l)
		} else {
			m.SetLevel(d, l)
		}
	}
}

// Loudest sets everything to debug, as a bare "-v" does.
func (s *Sink) Loudest() { apply(nil, anyDest, vlog.Dbg) }

// Levels returns what vlog/list prints.
func (s *Sink) Levels() string {
	var b strings.Builder
	b.WriteString("                 console    syslog    file\n")
	b.WriteString("                 -------    ------    ------\n")
	for _, m := range vlog.Modules() {
		fmt.Fprintf(&b, "%-16s  %4s       %4s       %4s", m.Name(),
			m.LevelOf(vlog.Console), m.LevelOf(vlog.Syslog), m.LevelOf(vlog.File))
		if !m.RateLimited() {
			b.WriteString("    (rate limiting disabled)")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Patterns returns what vlog/list-pattern prints.
func (s *Sink) Patterns() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.method == nil {
		s.method = defaultMethod()
	}
	var b strings.Builder
	b.WriteString("         prefix                            format\n")
	b.WriteString("         ------                            ------\n")
	for d := range vlog.NDests {
		prefix := "none"
		if d == vlog.Syslog {
			prefix = s.method.prefix()
		}
		fmt.Fprintf(&b, "%-7s  %-32s  %s\n", strings.ToUpper(d.String()), prefix, s.patterns[d])
	}
	return b.String()
}

// Register adds the vlog commands to a control socket.
func (s *Sink) Register(ctl *unixctl.Server) {
	ctl.Register("vlog/set", "{spec | PATTERN:destination:pattern}", 0, unixctl.AnyArgs, func(r *unixctl.Request) {
		if len(r.Args) == 0 {
			s.Loudest()
		}
		for _, spec := range r.Args {
			if err := s.Set(spec); err != nil {
				r.ReplyError(err.Error())
				return
			}
		}
		r.Reply("")
	})
	ctl.Register("vlog/list", "", 0, 0, func(r *unixctl.Request) { r.Reply(s.Levels()) })
	ctl.Register("vlog/list-pattern", "", 0, 0, func(r *unixctl.Request) { r.Reply(s.Patterns()) })
	ctl.Register("vlog/enable-rate-limit", "[module]...", 0, unixctl.AnyArgs, func(r *unixctl.Request) { limit(r, true) })
	ctl.Register("vlog/disable-rate-limit", "[module]...", 0, unixctl.AnyArgs, func(r *unixctl.Request) { limit(r, false) })
	ctl.Register("vlog/reopen", "", 0, 0, func(r *unixctl.Request) {
		if s.FileName() == "" {
			r.ReplyError("Logging to file not configured")
		} else if err := s.Reopen(); err != nil {
			r.ReplyError(errno.Text(err))
		} else {
			r.Reply("")
		}
	})
	ctl.Register("vlog/close", "", 0, 0, func(r *unixctl.Request) { s.CloseFile(); r.Reply("") })
}

func limit(r *unixctl.Request, on bool) {
	modules := r.Args
	if len(modules) == 0 {
		modules = []string{"ANY"}
	}
	for _, name := range modules {
		if strings.EqualFold(name, "ANY") {
			for _, m := range vlog.Modules() {
				m.SetRateLimited(on)
			}
			continue
		}
		m := vlog.Lookup(name)
		if m == nil {
			r.ReplyError("unknown module")
			return
		}
		m.SetRateLimited(on)
	}
	r.Reply("")
}
