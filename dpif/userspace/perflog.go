package userspace

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"

	"sluice/internal/vlog"
)

// Supervision of polling threads (pmd-perf-log-set): an iteration that takes too long,
// or finds a vhost-user queue too full, is logged together with its neighbours.  It
// looks at the samples that pmd-perf-metrics collects.

var (
	logPerf = vlog.New("pmd_perf")
	// rlPerf is generous, as the lines of a burst belong together.
	rlPerf = vlog.NewLimiter(600, 600)
)

// limits say what is suspicious, and how much is logged then.
type limits struct {
	on            bool
	extend        bool // a suspicious neighbour extends the interval
	before, after uint64
	us            uint32 // longest iteration
	backlog       uint32 // packets in a queue that are too many
}

var defaultLimits = limits{before: 5, after: 5, us: 250, backlog: 128}

// perfLimits are those of the process, nil: the default.  The command replaces them,
// threads read them after each iteration (and fall back to shorter intervals).
var perfLimits atomic.Pointer[limits]

// calmRows: whoever logs more makes iterations suspicious by logging.
const calmRows = 100

// watch is a thread's supervision.  The fields in the middle are numbers of
// iterations.
type watch struct {
	l      *limits
	cycles uint64 // limits.us in cycles

	reason           string // "": nothing is to be logged
	at, begin, until uint64
	took             uint64 // cycles of the suspicious iteration
}

// look looks at the iteration that was added to the history last.
func (w *watch) look(t *thread, m *metrics) {
	l := perfLimits.Load()
	if l == nil || !l.on {
		return
	}
	if l != w.l {
		w.l, w.cycles = l, uint64(float64(l.us)*t.dp.hz()/1e6)
	}
	s := &m.cur
	switch {
	case s.cycles > w.cycles:
		w.suspect(t, s, "Excessive total cycles")
	case s.backlog >= uint64(l.backlog):
		w.suspect(t, s, "Vhost RX queue full")
	}
	if w.reason != "" && s.at >= w.until {
		w.report(t, m)
	}
}

// suspect notes a suspicious iteration; it is logged when its neighbours are there,
// so that the log does not distort what it shows.
func (w *watch) suspect(t *thread, s *sample, reason string) {
	switch {
	case w.reason == "":
		w.begin = s.at - min(s.at, w.l.before)
	case w.l.extend:
		w.announce(t)
	default:
		return
	}
	w.reason, w.at, w.took = reason, s.at, s.cycles
	w.until = min(s.at+w.l.after, w.begin+historyLen-1)
}

func (w *watch) announce(t *thread) {
	if logPerf.ShouldDrop(vlog.Warn, rlPerf) {
		return
	}
	logPerf.As(t.name).Warn("Suspicious iteration (%s): iter=%d duration=%d us",
		w.reason, w.at, uint64(float64(w.took)*1e6/t.dp.hz()))
}

// report logs the suspicious iteration and its neighbours.
func (w *watch) report(t *thread, m *metrics) {
	w.announce(t)
	rows := int(w.until - w.begin + 1)
	if !logPerf.ShouldDrop(vlog.Warn, rlPerf) {
		var b strings.Builder
		showIterations(&b, m.iters.tail(nil, rows))
		logPerf.As(t.name).Warn("Neighborhood of suspicious iteration:\n%s", strings.TrimSuffix(b.String(), "\n"))
	}
	w.reason = ""
	if rows > calmRows {
		calm := *w.l
		calm.before, calm.after, calm.extend = defaultLimits.before, defaultLimits.after, defaultLimits.extend
		// Somebody else's change is as good.
		perfLimits.CompareAndSwap(w.l, &calm)
	}
}

var errLogUsage = errors.New("Usage: ovs-appctl dpif-netdev/pmd-perf-log-set " +
	"[on|off] [-b before] [-a after] [-e|-ne] [-us usec] [-q qlen]")

// PMDPerfLogSet is dpif-netdev/pmd-perf-log-set.
func PMDPerfLogSet(args []string) (string, error) {
	l := defaultLimits
	if now := perfLimits.Load(); now != nil {
		l = *now
	}
	for len(args) > 0 {
		n, ok := l.set(args)
		if !ok {
			return "", errLogUsage
		}
		args = args[n:]
	}
	const most = historyLen - 2 // beside the iteration itself and the one that runs
	l.before = min(l.before, most)
	l.after = min(l.after, most-l.before)
	state := "off"
	if l.on {
		state = "on"
	}
	logPerf.Info("pmd-perf-log-set: %s, before=%d, after=%d, extend=%t, us_thr=%d, q_thr=%d",
		state, l.before, l.after, l.extend, l.us, l.backlog)
	perfLimits.Store(&l)
	return "", nil
}

// set takes the next option from args and says how many words it had.
func (l *limits) set(args []string) (n int, ok bool) {
	switch args[0] {
	case "on", "off":
		l.on = args[0] == "on"
		return 1, true
	case "-e", "-ne":
		l.extend = args[0] == "-e"
		return 1, true
	}
	if len(args) < 2 {
		return 0, false
	}
	v, ok := number(args[1])
	switch args[0] {
	case "-b":
		l.before = uint64(v)
	case "-a":
		l.after = uint64(v)
	case "-us":
		l.us = v
	case "-q":
		l.backlog = v
	default:
		return 0, false
	}
	return 2, ok
}

// number reads a decimal number as C does, white space before it and a sign included.
func number(s string) (uint32, bool) {
	s = strings.TrimPrefix(strings.TrimLeft(s, " \t\n\v\f\r"), "+")
	v, err := strconv.ParseUint(s, 10, 32)
	return uint32(v), err == nil
}
