package table

import (
	"sync"
	"sync/atomic"
)

// A rule that a transaction removed is still what a reader of an older version must
// find, so it may leave its classifier only when no such reader is left.  Readers
// tell by epochs: a global number that grows with each batch of removals.

// epoch is the current epoch; it begins at 1 so that 0 can mean "not reading".
var epoch atomic.Uint64

var readers struct {
	mu   sync.Mutex
	list []*Reader
}

func init() { epoch.Store(1) }

// Reader is one thread that translates.
type Reader struct {
	since atomic.Uint64 // epoch at Enter, 0: outside
	_     [56]byte      // a cache line of its own
}

// NewReader registers a reader; a thread makes one and keeps it.
func NewReader() *Reader {
	r := &Reader{}
	readers.mu.Lock()
	readers.list = append(readers.list, r)
	readers.mu.Unlock()
	return r
}

// Close unregisters r.
func (r *Reader) Close() {
	readers.mu.Lock()
	defer readers.mu.Unlock()
	for i, x := range readers.list {
		if x == r {
			readers.list = append(readers.list[:i], readers.list[i+1:]...)
			return
		}
	}
}

// Enter begins a translation: what Set.Version returns from now on stays complete
// until Exit.
func (r *Reader) Enter() {
	for {
		e := epoch.Load()
		r.since.Store(e)
		if epoch.Load() == e {
			return
		}
	}
}

// Exit ends what Enter began.
func (r *Reader) Exit() { r.since.Store(0) }

// oldest returns the lowest epoch that a reader is in, or the current one.
func oldest() uint64 {
	low := epoch.Load()
	readers.mu.Lock()
	defer readers.mu.Unlock()
	for _, r := range readers.list {
		if e := r.since.Load(); e != 0 && e < low {
			low = e
		}
	}
	return low
}
