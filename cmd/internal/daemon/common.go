package daemon

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/internal/coverage"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ovsdb/unixctl"
)

var (
	memoryLog  = vlog.New("memory")
	timeLog    = vlog.New("timeval")
	pollLog    = vlog.New("poll_loop")
	covLog     = vlog.New("coverage")
	covLimiter = vlog.NewLimiter(1, 3)
	pollRL     = vlog.NewLimiter(1, 5)
)

// memoryCheckInterval is how often, in ms, the use of memory is looked at.
const memoryCheckInterval = 10 * 1000

// longTurn is how long, in ms, a turn of the loop may take before it is worth
// a warning.
const longTurn = 1000

func (d *Daemon) registerCommon() {
	d.Ctl.Register("coverage/show", "", 0, 0, func(r *unixctl.Request) {
		r.Reply(strings.Join(coverage.Show(), "\n"))
	})
	d.Ctl.Register("coverage/read-counter", "COUNTER", 1, 1, func(r *unixctl.Request) {
		if c := coverage.Lookup(r.Args[0]); c != nil {
			r.Reply(strconv.FormatUint(c.Total(), 10))
		} else {
			r.ReplyError("No such counter")
		}
	})
	d.Ctl.Register("memory/show", "", 0, 0, func(r *unixctl.Request) {
		d.memory.requests = append(d.memory.requests, r)
	})
}

// RegisterExit adds the command "exit", which ends the main loop. before may
// be nil; it gets the arguments.
func (d *Daemon) RegisterExit(usage string, maxArgs int, before func(args []string)) {
	d.Ctl.Register("exit", usage, 0, maxArgs, func(r *unixctl.Request) {
		if before != nil {
			before(r.Args)
		}
		d.Exit()
		r.Reply("")
	})
}

// Count is one line of memory/show.
type Count struct {
	// Name is what is counted, N how many there are.
	Name string
	N    uint64
}

// OnMemory sets the function that counts what uses memory.
func (d *Daemon) OnMemory(f func() []Count) { d.memory.report = f }

// memory watches the size of the process.
type memory struct {
	report    func() []Count
	requests  []*unixctl.Request
	nextCheck int64
	lastAt    int64
	lastMax   int64
}

func (m *memory) run(d *Daemon, now int64) {
	if m.nextCheck == 0 {
		m.nextCheck = d.Clock.Boot() + memoryCheckInterval
	}
	grown := now >= m.nextCheck && m.grown(d, now)
	if !grown && len(m.requests) == 0 {
		return
	}
	text := m.text()
	if grown && text != "" {
		memoryLog.Info("%s", text)
	}
	for _, r := range m.requests {
		r.Reply(text)
	}
	m.requests = nil
}

func (m *memory) grown(d *Daemon, now int64) bool {
	m.nextCheck = now + memoryCheckInterval
	var ru unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &ru)
	switch {
	case m.lastMax == 0:
		memoryLog.Info("%d kB peak resident set size after %.1f seconds", ru.Maxrss, float64(now-d.Clock.Boot())/1000)
	case float64(ru.Maxrss) >= 1.5*float64(m.lastMax):
		memoryLog.Info("peak resident set size grew %.0f%% in last %.1f seconds, from %d kB to %d kB",
			(float64(ru.Maxrss)/float64(m.lastMax)-1)*100, float64(now-m.lastAt)/1000, m.lastMax, ru.Maxrss)
	default:
		return false
	}
	m.lastAt, m.lastMax = now, ru.Maxrss
	return true
}

func (m *memory) text() string {
	if m.report == nil {
		return ""
	}
	counts := m.report()
	sort.SliceStable(counts, func(i, j int) bool { return counts[i].Name < counts[j].Name })
	var b strings.Builder
	for _, c := range counts {
		fmt.Fprintf(&b, "%s:%d ", c.Name, c.N)
	}
	return strings.TrimRight(b.String(), " ")
}

func (m *memory) wait(s *poll.Set) {
	if len(m.requests) > 0 {
		s.Immediate()
	}
}

// loopTimer measures the turns of the main loop.
type loopTimer struct {
	woke  int64
	usage unix.Rusage
}

// Block ends a turn of the main loop: it waits for what s names. A time/warp
// in progress goes on here.
func (d *Daemon) Block(s *poll.Set) {
	if d.Clock.runWarp() {
		s.Immediate()
	}
	now := d.Clock.Now()
	coverage.Run(now)
	d.loop.check(d.Clock, now)
	if err := s.Block(now); err != nil {
		pollLog.ErrRL(pollRL, "poll: %s", err)
	}
	d.loop.woke = d.Clock.Now()
	unix.Getrusage(unix.RUSAGE_SELF, &d.loop.usage)
}

// check warns of a turn that took long, because connections of every kind
// suffer from it.
func (t *loopTimer) check(c *Clock, now int64) {
	interval := now - t.woke
	if t.woke == 0 || interval < longTurn || c.Warped() {
		return
	}
	var ru unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &ru)
	ms := func(a, b unix.Timeval) int64 { return (a.Nano() - b.Nano()) / 1e6 }
	timeLog.Warn("Unreasonably long %dms poll interval (%dms user, %dms system)", interval,
		ms(ru.Utime, t.usage.Utime), ms(ru.Stime, t.usage.Stime))
	pair := func(what, kindA, kindB string, a, b int64) {
		if a > 0 || b > 0 {
			timeLog.Warn("%s: %d %s, %d %s", what, a, kindA, b, kindB)
		}
	}
	pair("faults", "minor", "major", ru.Minflt-t.usage.Minflt, ru.Majflt-t.usage.Majflt)
	pair("disk", "reads", "writes", ru.Inblock-t.usage.Inblock, ru.Oublock-t.usage.Oublock)
	pair("context switches", "voluntary", "involuntary", ru.Nvcsw-t.usage.Nvcsw, ru.Nivcsw-t.usage.Nivcsw)
	if !covLog.ShouldDrop(vlog.Info, covLimiter) {
		for _, line := range coverage.Show() {
			covLog.Info("%s", line)
		}
	}
}
