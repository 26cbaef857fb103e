package storage

import "time"

// When a flush waits for more commits.
const (
	slowFlush  = time.Millisecond // if it takes at least so long,
	gatherPart = 8                // at most for that part of its time
)

// gather waits for the commits that are likely to come in a moment.
func (w *Writer) gather() {
	if w.flush < slowFlush || len(w.queue) >= w.expect || !w.durableNext() {
		return
	}
	w.late = false
	timer := time.AfterFunc(w.flush/gatherPart, func() { // clock: how long the disk takes, not when
		w.mu.Lock()
		w.late = true
		w.wake.Signal()
		w.mu.Unlock()
	})
	for len(w.queue) < w.expect && !w.late && !w.closed {
		w.wake.Wait()
	}
	timer.Stop()
}

// durableNext tells whether the next batch will be flushed.
func (w *Writer) durableNext() bool {
	for i := range w.queue {
		if w.queue[i].kind != jobCommit || w.queue[i].durable {
			return w.queue[i].kind == jobCommit
		}
	}
	return false
}
