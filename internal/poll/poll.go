// Package poll is the wait set of an event loop: what a turn of the loop wants
// to be woken by, collected anew every turn and then blocked on once.
//
//	for {
//		now := clock.Now()
//		server.Run(now)
//		server.Wait(&set)
//		set.Block(clock.Now())
//	}
//
// What the loop runs does not go by which descriptor was ready: all of it
// tries its descriptors without blocking, in a fixed order. That costs a
// system call more per idle connection and buys an order that tests can rely
// on. Only listening sockets, which are idle nearly always, ask a Watch first.
// The two daemons use it; PMD threads have waits of their own.
//
// Thread-safety: a Set belongs to one goroutine. An Event is how others wake
// it.
package poll

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// The conditions that FD waits for, as poll(2) defines them.
const (
	In  = int16(unix.POLLIN)
	Out = int16(unix.POLLOUT)
)

// Set collects descriptors and a deadline. The zero value is ready to use.
type Set struct {
	fds   []unix.PollFd
	index map[int]int
	// at is the earliest deadline, valid if timed is set.
	at    int64
	timed bool

	turn   uint64        // counts calls of Block
	polled []unix.PollFd // outcome of the last one, empty if it was interrupted
}

// FD wakes the next Block when fd meets one of the events. The same
// descriptor may be named several times.
func (s *Set) FD(fd int, events int16) {
	if s.index == nil {
		s.index = map[int]int{}
	}
	if i, ok := s.index[fd]; ok {
		s.fds[i].Events |= events
		return
	}
	s.index[fd] = len(s.fds)
	s.fds = append(s.fds, unix.PollFd{Fd: int32(fd), Events: events})
}

// Watch remembers that a Set was asked to wait for a descriptor. The zero
// value knows nothing.
type Watch struct {
	set  *Set
	i    int
	turn uint64
}

// Watch is FD, and tells afterwards whether anything happened.
func (s *Set) Watch(fd int, events int16) Watch {
	s.FD(fd, events)
	return Watch{s, s.index[fd], s.turn}
}

// Idle reports that the Block after the call of Set.Watch ended without an event
// of the descriptor. It tells that once: a turn of the loop without a Block in
// between has to look for itself.
func (w *Watch) Idle() bool {
	s := w.set
	w.set = nil
	return s != nil && s.turn == w.turn+1 && w.i < len(s.polled) && s.polled[w.i].Revents == 0
}

// Timer wakes the next Block at a time of the loop's clock, in ms.
func (s *Set) Timer(atMs int64) {
	if !s.timed || atMs < s.at {
		s.timed, s.at = true, atMs
	}
}

// Immediate makes the next Block return at once.
func (s *Set) Immediate() { s.Timer(math.MinInt64) }

// Deadline returns the earliest time named since the last Block, and whether
// any was: the clock needs it to know whether something is due.
func (s *Set) Deadline() (int64, bool) { return s.at, s.timed }

// Merge adds all that other waits for to s.
func (s *Set) Merge(other *Set) {
	for _, f := range other.fds {
		s.FD(int(f.Fd), f.Events)
	}
	if other.timed {
		s.Timer(other.at)
	}
}

// Reset forgets everything that was named.
func (s *Set) Reset() {
	s.fds = s.fds[:0]
	clear(s.index)
	s.timed = false
}

// Block waits until something that was named happens, given that it is now,
// and then forgets everything. A signal ends the wait without an error.
func (s *Set) Block(now int64) error {
	var ts *unix.Timespec
	if timeout, ok := s.timeout(now); ok {
		t := unix.NsecToTimespec(int64(timeout))
		ts = &t
	}
	_, err := unix.Ppoll(s.fds, ts, nil)
	s.turn++
	s.fds, s.polled = s.polled, s.fds
	if err != nil {
		s.polled = s.polled[:0]
	}
	s.Reset()
	return ignoreEINTR(err)
}

func (s *Set) timeout(now int64) (time.Duration, bool) {
	if !s.timed {
		return 0, false
	}
	if s.at <= now {
		return 0, true
	}
	const longest = int64(24 * time.Hour / time.Millisecond)
	ms := s.at - now
	if ms < 0 || ms > longest {
		ms = longest
	}
	return time.Duration(ms) * time.Millisecond, true
}

func ignoreEINTR(err error) error {
	if err == unix.EINTR {
		return nil
	}
	return err
}
