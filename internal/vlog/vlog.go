// Package vlog is the handle by which every package of the switch logs.
//
// A package declares one module, named as Open vSwitch names it, and calls the
// method of the severity it wants:
//
//	var log = vlog.New("connmgr")
//	log.Warn("%s: unexpected message", name)
//
// The package keeps the levels of each module for each destination, because
// the decision whether a message is wanted at all must cost one atomic load.
// What a line looks like, where it goes and how "-v" is parsed is the
// business of cmd/internal/logsink, which installs a Sink. Without a sink
// messages are thrown away, so libraries log nothing in tests.
//
// The package never reads the clock: rate limits use the function that
// SetClock installs, and let everything through while there is none.
//
// Thread-safety: everything may be called by any goroutine.
package vlog

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
)

// Level is a severity. A module set to a level emits it and all graver ones.
type Level int32

// The severities, gravest first. Off is only a setting: it emits nothing.
const (
	Off Level = iota
	Emer
	Err
	Warn
	Info
	Dbg
	// NLevels counts the levels, Off included.
	NLevels
)

var levelNames = [NLevels]string{"OFF", "EMER", "ERR", "WARN", "INFO", "DBG"}

// String returns the upper-case name that log lines show.
func (l Level) String() string {
	if l < 0 || l >= NLevels {
		return fmt.Sprintf("Level(%d)", int32(l))
	}
	return levelNames[l]
}

// ParseLevel finds a level by its name in any case.
func ParseLevel(name string) (Level, bool) {
	for i, n := range levelNames {
		if strings.EqualFold(n, name) {
			return Level(i), true
		}
	}
	return Off, false
}

// Dest is a place that log lines go to.
type Dest int

// The destinations, in the order in which vlog/list-pattern names them.
const (
	Syslog Dest = iota
	Console
	File
	// NDests counts the destinations.
	NDests
)

var destNames = [NDests]string{"syslog", "console", "file"}

// String returns the lower-case name used in "-v" and vlog/set.
func (d Dest) String() string { return destNames[d] }

// ParseDest finds a destination by its name in any case.
func ParseDest(name string) (Dest, bool) {
	for i, n := range destNames {
		if strings.EqualFold(n, name) {
			return Dest(i), true
		}
	}
	return 0, false
}

// Sink receives every message that at least one destination wants. It decides
// for itself, by Module.LevelOf, which of them those are.
type Sink func(m *Module, l Level, text string)

// Module is one source of messages.
type Module struct {
	name string
	// most is the most talkative level of any active destination: the only
	// thing that a disabled message looks at.
	most   atomic.Int32
	levels [NDests]atomic.Int32
	// unlimited is set while rate limits are ignored for this module.
	unlimited atomic.Bool
}

var registry struct {
	sync.Mutex
	modules map[string]*Module
	active  [NDests]bool
	started bool
}

var sink atomic.Pointer[Sink]

// ThreadSink is a Sink that also gets the name of the thread, empty for the
// main loop.
type ThreadSink func(m *Module, thread string, l Level, text string)

var threadSink atomic.Pointer[ThreadSink]

// New returns the module of that name. Packages that share a module name get
// the same one.
func New(name string) *Module {
	registry.Lock()
	defer registry.Unlock()
	if registry.modules == nil {
		registry.modules = map[string]*Module{}
	}
	initActive()
	if m := registry.modules[name]; m != nil {
		return m
	}
	m := &Module{name: name}
	for d := range m.levels {
		m.levels[d].Store(int32(Info))
	}
	m.refreshLocked()
	registry.modules[name] = m
	return m
}

// initActive lets everything but the file count from the start: a file counts
// once it is open.
func initActive() {
	if !registry.started {
		registry.started = true
		registry.active = [NDests]bool{Syslog: true, Console: true}
	}
}

// Lookup returns the module of that name in any case, or nil.
func Lookup(name string) *Module {
	registry.Lock()
	defer registry.Unlock()
	if m := registry.modules[name]; m != nil {
		return m
	}
	for n, m := range registry.modules {
		if strings.EqualFold(n, name) {
			return m
		}
	}
	return nil
}

// Modules returns all modules, sorted by name.
func Modules() []*Module {
	registry.Lock()
	defer registry.Unlock()
	all := make([]*Module, 0, len(registry.modules))
	for _, m := range registry.modules {
		all = append(all, m)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all
}

// SetSink installs the receiver of all messages; nil throws them away.
func SetSink(s Sink) {
	if s == nil {
		sink.Store(nil)
		return
	}
	sink.Store(&s)
}

// SetThreadSink installs a receiver of all messages instead of a Sink; nil
// takes it away.
func SetThreadSink(s ThreadSink) {
	if s == nil {
		threadSink.Store(nil)
		return
	}
	threadSink.Store(&s)
}

// SetActive says whether a destination exists at all, whatever the levels
// say: the log file does not until it is opened.
func SetActive(d Dest, on bool) {
	registry.Lock()
	defer registry.Unlock()
	initActive()
	registry.active[d] = on
	for _, m := range registry.modules {
		m.refreshLocked()
	}
}

func (m *Module) refreshLocked() {
	most := int32(Off)
	for d := range m.levels {
		if registry.active[d] {
			most = max(most, m.levels[d].Load())
		}
	}
	m.most.Store(most)
}

// Name returns the name that log lines show.
func (m *Module) Name() string { return m.name }

// LevelOf returns the level for one destination.
func (m *Module) LevelOf(d Dest) Level { return Level(m.levels[d].Load()) }

// SetLevel changes the level for one destination.
func (m *Module) SetLevel(d Dest, l Level) {
	registry.Lock()
	defer registry.Unlock()
	m.levels[d].Store(int32(l))
	m.refreshLocked()
}

// RateLimited says whether the module honours rate limits.
func (m *Module) RateLimited() bool { return !m.unlimited.Load() }

// SetRateLimited turns the module's rate limits on or off.
func (m *Module) SetRateLimited(on bool) { m.unlimited.Store(!on) }

// Enabled says whether a message of that level goes anywhere.
func (m *Module) Enabled(l Level) bool { return int32(l) <= m.most.Load() }

// DbgEnabled says whether debug messages go anywhere; callers ask before they
// build expensive text.
func (m *Module) DbgEnabled() bool { return m.Enabled(Dbg) }

// Log emits one message.
func (m *Module) Log(l Level, format string, args ...any) {
	if m.Enabled(l) {
		m.emit(l, format, args)
	}
}

func (m *Module) emit(l Level, format string, args []any) { m.emitAs("", l, format, args) }

func (m *Module) emitAs(thread string, l Level, format string, args []any) {
	ts, s := threadSink.Load(), sink.Load()
	if ts == nil && s == nil {
		return
	}
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	} else if strings.Contains(format, "%%") {
		text = strings.ReplaceAll(format, "%%", "%")
	}
	// A Sink is what tests install, so it comes before what a program has.
	if s != nil {
		(*s)(m, l, text)
	} else {
		(*ts)(m, thread, l, text)
	}
}

// Thread is a module as a thread other than the main loop uses it: its lines
// show the thread's name in parentheses, as "dpif_netdev(pmd-c01/id:7)".
type Thread struct {
	m    *Module
	name string
}

// As returns the module for a thread of that name.
func (m *Module) As(thread string) Thread { return Thread{m, thread} }

// Log emits one message.
func (t Thread) Log(l Level, format string, args ...any) {
	if t.m.Enabled(l) {
		t.m.emitAs(t.name, l, format, args)
	}
}

// Err logs a failure.
func (t Thread) Err(format string, args ...any) { t.Log(Err, format, args...) }

// Warn logs something odd that the switch can live with.
func (t Thread) Warn(format string, args ...any) { t.Log(Warn, format, args...) }

// Info logs an event that an operator wants to see.
func (t Thread) Info(format string, args ...any) { t.Log(Info, format, args...) }

// Dbg logs what only a developer wants to see.
func (t Thread) Dbg(format string, args ...any) { t.Log(Dbg, format, args...) }

// Emer logs that the system is unusable.
func (m *Module) Emer(format string, args ...any) { m.Log(Emer, format, args...) }

// Err logs a failure.
func (m *Module) Err(format string, args ...any) { m.Log(Err, format, args...) }

// Warn logs something odd that the switch can live with.
func (m *Module) Warn(format string, args ...any) { m.Log(Warn, format, args...) }

// Info logs an event that an operator wants to see.
func (m *Module) Info(format string, args ...any) { m.Log(Info, format, args...) }

// Dbg logs what only a developer wants to see.
func (m *Module) Dbg(format string, args ...any) { m.Log(Dbg, format, args...) }
