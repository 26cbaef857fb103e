//go:build !amd64

package userspace

// cycleCounter is 0 where the machine's counter is not used: statistics then show
// no cycles.
func cycleCounter() uint64 { return 0 }
