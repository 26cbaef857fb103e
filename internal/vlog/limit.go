package vlog

import (
	"math"
	"sync"
	"sync/atomic"
)

// msgTokens is the price of a message: a limiter earns its rate in tokens per
// millisecond, so a rate of 1 pays for one message a minute.
const msgTokens = 60 * 1000

var now atomic.Pointer[func() int64]

// SetClock installs the source of monotonic milliseconds for rate limits. It
// is the clock that time/warp moves, so that limits follow virtual time.
func SetClock(f func() int64) { now.Store(&f) }

// Limiter is a token bucket for messages of one kind.
type Limiter struct {
	rate  uint64
	burst uint64

	mu       sync.Mutex
	tokens   uint64
	lastFill int64
	// The dropped run in progress: seconds of its first and latest message.
	firstDropped, lastDropped int64
	dropped                   uint
}

// NewLimiter makes a limiter that lets rate messages a minute pass in the long
// run and burst at once.
func NewLimiter(rate, burst int) *Limiter {
	return &Limiter{
		rate:     uint64(max(rate, 0)),
		burst:    uint64(max(burst, 0)) * msgTokens,
		lastFill: math.MinInt64,
	}
}

// DefaultLimiter makes the limiter that stock uses where it names none.
func DefaultLimiter() *Limiter { return NewLimiter(1, 5) }

func (r *Limiter) withdrawLocked(ms int64) bool {
	if r.tokens < msgTokens && ms > r.lastFill {
		if r.lastFill == math.MinInt64 {
			r.tokens = r.burst
		} else {
			elapsed := uint64(ms - r.lastFill)
			if r.rate != 0 && elapsed > r.burst/r.rate {
				r.tokens = r.burst
			} else {
				r.tokens = min(r.tokens+elapsed*r.rate, r.burst)
			}
		}
		r.lastFill = ms
	}
	if r.tokens < msgTokens {
		return false
	}
	r.tokens -= msgTokens
	return true
}

// ShouldDrop says whether a message of that level must not be logged now,
// because nobody wants it or because the limiter is exhausted. Where it lets
// one pass after some were dropped, it logs how many those were.
func (m *Module) ShouldDrop(l Level, r *Limiter) bool {
	if !m.Enabled(l) {
		return true
	}
	clock := now.Load()
	if m.unlimited.Load() || clock == nil {
		return false
	}
	ms := (*clock)()
	sec := ms / 1000
	r.mu.Lock()
	if !r.withdrawLocked(ms) {
		if r.dropped == 0 {
			r.firstDropped = sec
		}
		r.lastDropped = sec
		r.dropped++
		r.mu.Unlock()
		return true
	}
	n, first, last := r.dropped, r.firstDropped, r.lastDropped
	r.dropped = 0
	r.mu.Unlock()
	if n != 0 {
		m.Log(l, "Dropped %d log messages in last %d seconds (most recently, %d seconds ago) due to excessive rate",
			n, sec-first, sec-last)
	}
	return false
}

// LogRL emits one message unless the limiter is exhausted.
func (m *Module) LogRL(r *Limiter, l Level, format string, args ...any) {
	if m.Enabled(l) && !m.ShouldDrop(l, r) {
		m.emit(l, format, args)
	}
}

// EmerRL is Emer under a limiter.
func (m *Module) EmerRL(r *Limiter, format string, args ...any) { m.LogRL(r, Emer, format, args...) }

// ErrRL is Err under a limiter.
func (m *Module) ErrRL(r *Limiter, format string, args ...any) { m.LogRL(r, Err, format, args...) }

// WarnRL is Warn under a limiter.
func (m *Module) WarnRL(r *Limiter, format string, args ...any) { m.LogRL(r, Warn, format, args...) }

// InfoRL is Info under a limiter.
func (m *Module) InfoRL(r *Limiter, format string, args ...any) { m.LogRL(r, Info, format, args...) }

// DbgRL is Dbg under a limiter.
func (m *Module) DbgRL(r *Limiter, format string, args ...any) { m.LogRL(r, Dbg, format, args...) }
