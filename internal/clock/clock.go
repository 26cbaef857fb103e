// Package clock is the interface by which control code that cannot take "now"
// as an argument asks for it. The implementation, which time/stop and
// time/warp steer, lives in cmd/internal/daemon; tests use Fake.
package clock

// Clock tells the time.
type Clock interface {
	// Now returns monotonic milliseconds. time/stop and time/warp affect it.
	Now() int64
	// Wall returns milliseconds since the epoch, moved by warps likewise.
	Wall() int64
}

// Fake is a clock that stands still until told otherwise. The zero value
// stands at zero. It is not safe for concurrent use.
type Fake struct {
	// Ms is what Now returns.
	Ms int64
	// WallOffset is what Wall adds to it.
	WallOffset int64
}

// Now returns the set time.
func (f *Fake) Now() int64 { return f.Ms }

// Wall returns the set time as time since the epoch.
func (f *Fake) Wall() int64 { return f.Ms + f.WallOffset }

// Advance moves the clock forward.
func (f *Fake) Advance(ms int64) { f.Ms += ms }
