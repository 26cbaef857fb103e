package netdev

import (
	"sync"

	"golang.org/x/sys/unix"
)

// The kernel lets a grace period pass (some 15 ms) before the close of a packet
// socket or of a TAP descriptor returns, and as many of them together take no longer
// than one.

// nClosers is how many descriptors are closed at the same time.
const nClosers = 256

// together holds the descriptors that CloseFD was given inside CloseTogether.
var together struct {
	mu   sync.Mutex
	open int   // calls of CloseTogether
	fds  []int // to be closed
}

// CloseFD closes a descriptor of a device: at once, or at the end of CloseTogether.
func CloseFD(fd int) {
	t := &together
	t.mu.Lock()
	wait := t.open > 0
	if wait {
		t.fds = append(t.fds, fd)
	}
	t.mu.Unlock()
	if !wait {
		unix.Close(fd)
	}
}

// CloseTogether runs fn, which closes devices, and returns when the descriptors that
// they gave to CloseFD are closed.
func CloseTogether(fn func()) {
	t := &together
	t.mu.Lock()
	t.open++
	t.mu.Unlock()
	fn()
	t.mu.Lock()
	t.open--
	fds := t.fds
	t.fds = nil
	t.mu.Unlock()
	queue := make(chan int, len(fds))
	for _, fd := range fds {
		queue <- fd
	}
	close(queue)
	var wg sync.WaitGroup
	for range min(len(fds), nClosers) {
		wg.Go(func() {
			for fd := range queue {
				unix.Close(fd)
			}
		})
	}
	wg.Wait()
}
