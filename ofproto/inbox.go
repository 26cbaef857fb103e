package ofproto

import (
	"sync"

	"sluice/internal/coverage"
)

// inbox is what other threads leave for the control loop, up to a limit: a loop that
// cannot keep up loses some of it, and no memory.
//
// Thread-safety: any thread puts.
type inbox[T any] struct {
	limit    int
	overflow *coverage.Counter
	wake     func() // has the loop run soon

	mu    sync.Mutex // guards what follows
	queue []T
	lost  uint32 // that found no room
}

func (in *inbox[T]) init(limit int, overflow *coverage.Counter, wake func()) {
	in.limit, in.overflow, in.wake = limit, overflow, wake
}

func (in *inbox[T]) put(v T) {
	in.mu.Lock()
	full := len(in.queue) >= in.limit
	if full {
		in.lost++
	} else {
		in.queue = append(in.queue, v)
	}
	first := len(in.queue) == 1
	in.mu.Unlock()
	if full {
		in.overflow.Inc()
	} else if first {
		in.wake()
	}
}

// take returns what waits, oldest first, and how many found no room since the
// beginning.
func (in *inbox[T]) take() (all []T, lost uint32) {
	in.mu.Lock()
	defer in.mu.Unlock()
	all, in.queue = in.queue, nil
	return all, in.lost
}
