package netdev

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/internal/poll"
)

// Base is the part of a Device that all classes share: its names, the change
// counter, and answers for what a class does not have.  Every implementation
// embeds it.
type Base struct {
	name, typ string
	seq       atomic.Uint64
}

// Init sets the names; the class's Open calls it.
func (b *Base) Init(name, typ string) { b.name, b.typ = name, typ }

func (b *Base) base() *Base { return b }

// Name is the device's name.
func (b *Base) Name() string { return b.name }

// Type is the type that the device was opened with.
func (b *Base) Type() string { return b.typ }

// Changed tells readers of ChangeSeq that something changed.  Any thread.
func (b *Base) Changed() { b.seq.Add(1) }

// ChangeSeq implements Device.
func (b *Base) ChangeSeq() uint64 { return b.seq.Load() }

// Release takes the device out of the registry; the class's Close calls it.
func (b *Base) Release() { release(b.name, b) }

// SetConfig accepts and ignores all options.
func (b *Base) SetConfig(map[string]string) error { return nil }

// Config has nothing to show.
func (b *Base) Config() map[string]string { return nil }

// Status has nothing to show.
func (b *Base) Status() map[string]string { return nil }

// NeedsReconfigure is false for devices that cannot be reconfigured.
func (b *Base) NeedsReconfigure() bool { return false }

// Reconfigure has nothing to do.
func (b *Base) Reconfigure() error { return nil }

// IsPMD is false.
func (b *Base) IsPMD() bool { return false }

// NUMA is not known.
func (b *Base) NUMA() int { return -1 }

// CarrierResets is 0 where carrier is not tracked.
func (b *Base) CarrierResets() uint64 { return 0 }

// Features are unknown.
func (b *Base) Features() Features { return Features{} }

// CustomStats has none.
func (b *Base) CustomStats() []Counter { return nil }

// Run has nothing to do.
func (b *Base) Run(int64) {}

// Wait has nothing to wait for.
func (b *Base) Wait(*poll.Set) {}

// NoStats is a Stats of which nothing is counted.
func NoStats() Stats {
	const u = Unsupported
	return Stats{u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u}
}

// ConfigError is an error of SetConfig or Reconfigure whose text goes to the
// Interface error column as it is; other errors show the text of their errno.
type ConfigError struct {
	Text string
	// Err is the cause, unix.EINVAL for a wrong option.
	Err error
	// Logged says that the device has logged Text itself.
	Logged bool
}

// Error is the text alone.
func (e *ConfigError) Error() string { return e.Text }

// UserText is the text, which package errno prefers to that of the cause.
func (e *ConfigError) UserText() string { return e.Text }

// Unwrap is the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// NewConfigError makes a ConfigError for a wrong option.
func NewConfigError(format string, args ...any) error {
	return &ConfigError{Text: fmt.Sprintf(format, args...), Err: unix.EINVAL}
}
