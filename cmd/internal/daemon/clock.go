package daemon

import (
	"math"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/poll"
	"sluice/ovsdb/unixctl"
)

// Clock is the process's clock: the only one that is read. time/stop and
// time/warp move it in tests. It implements clock.Clock.
//
// Thread-safety: Now and Wall may be called by any goroutine; the rest belongs
// to the main loop.
type Clock struct {
	warpMs  atomicInt64
	stopped atomicInt64 // the moment at which it stands, minStopped if it runs
	boot    int64

	warp *warp
	// settle says, if it is set, whether all that follows from the latest step
	// has been done.
	settle func() bool
}

const (
	running = math.MinInt64
	// warpPauseMs is how much real time each step gives to other processes.
	warpPauseMs = 10
	// warpTurns bounds how many turns of the loop a step waits for.
	warpTurns = 1000
)

// warp is a time/warp in progress.
type warp struct {
	request     *unixctl.Request
	total, step int64
	turns       int
	// next is the real time before which no further step is made.
	next time.Time
}

func newClock() *Clock {
	c := &Clock{}
	c.stopped.Store(running)
	c.boot = monotonic()
	return c
}

func monotonic() int64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano() / 1e6
}

// Now returns monotonic milliseconds.
func (c *Clock) Now() int64 {
	base := c.stopped.Load()
	if base == running {
		base = monotonic()
	}
	return base + c.warpMs.Load()
}

// Wall returns milliseconds since the epoch. Warps do not move it, as they do
// not in stock.
func (c *Clock) Wall() int64 { return time.Now().UnixMilli() }

// Boot returns what Now was at the start of the process.
func (c *Clock) Boot() int64 { return c.boot }

// Warped says whether a test stopped or moved the clock.
func (c *Clock) Warped() bool { return c.stopped.Load() != running || c.warpMs.Load() != 0 }

// Stop makes the clock stand still.
func (c *Clock) Stop() {
	if c.stopped.Load() == running {
		c.stopped.Store(monotonic())
	}
}

// Advance moves the clock forward.
func (c *Clock) Advance(ms int64) { c.warpMs.Add(ms) }

// OnSettle sets the question that time/warp asks between two steps: whether
// packets, messages and transactions that the last step caused are all done.
// It is asked once a turn of the loop, after all else.
func (c *Clock) OnSettle(f func() bool) { c.settle = f }

// RegisterTimeCommands adds time/stop and time/warp, which only make sense in
// tests.
func (c *Clock) RegisterTimeCommands(ctl *unixctl.Server) {
	ctl.Register("time/stop", "", 0, 0, func(r *unixctl.Request) { c.Stop(); r.Reply("") })
	ctl.Register("time/warp", "[large_msecs] msecs", 1, 2, c.warpCommand)
}

func (c *Clock) warpCommand(r *unixctl.Request) {
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	var total int64
	step := number(r.Args[len(r.Args)-1])
	if len(r.Args) == 2 {
		total = number(r.Args[0])
	} else {
		total = step
	}
	if step <= 0 || total < 0 {
		r.ReplyError("invalid MSECS")
		return
	}
	if c.warp != nil {
		r.ReplyError("A previous warp in progress")
		return
	}
	if total == 0 {
		total = step
	}
	c.warp = &warp{request: r, total: total, step: step}
	c.stepWarp()
}

func (c *Clock) stepWarp() {
	w := c.warp
	ms := min(w.step, w.total)
	c.Advance(ms)
	w.total -= ms
	w.turns = 0
	w.next = time.Now().Add(warpPauseMs * time.Millisecond)
}

// runWarp goes on with a time/warp at the end of a turn of the loop: with the
// next step, or with the reply once the last one has had its effect. It says
// whether it did either.
func (c *Clock) runWarp() bool {
	w := c.warp
	if w == nil {
		return false
	}
	w.turns++
	if time.Now().Before(w.next) || c.settle != nil && w.turns < warpTurns && !c.settle() {
		return false
	}
	if w.total > 0 {
		c.stepWarp()
		return true
	}
	c.warp = nil
	w.request.Reply("warped")
	return true
}

// waitWarp makes the loop turn again soon while a warp is in progress.
func (c *Clock) waitWarp(s *poll.Set) {
	if c.warp == nil {
		return
	}
	left := time.Until(c.warp.next).Milliseconds() + 1
	if c.settle != nil && left <= 0 {
		s.Immediate()
		return
	}
	s.Timer(c.Now() + max(left, 1))
}
