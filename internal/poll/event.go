package poll

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Event is a flag that any goroutine may set and that a Set can wait for.
type Event struct{ fd int }

// NewEvent makes an event that is not set. It panics if the process is out of
// descriptors, because nothing could wake its loop then.
func NewEvent() *Event {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		panic(fmt.Sprintf("eventfd: %v", err))
	}
	return &Event{fd: fd}
}

// Fd returns the descriptor, readable while the event is set.
func (e *Event) Fd() int { return e.fd }

// Set sets the event. Setting it again changes nothing.
func (e *Event) Set() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	for {
		// EAGAIN means that it has been set very often: it is set.
		if _, err := unix.Write(e.fd, one[:]); err != unix.EINTR {
			return
		}
	}
}

// Reset unsets the event and says whether it was set.
func (e *Event) Reset() bool {
	var n [8]byte
	for {
		_, err := unix.Read(e.fd, n[:])
		if err != unix.EINTR {
			return err == nil
		}
	}
}

// Wait makes the next Block of s return once the event is set.
func (e *Event) Wait(s *Set) { s.FD(e.fd, In) }

// Close gives the descriptor back. Nobody may call Set afterwards.
func (e *Event) Close() {
	unix.Close(e.fd)
	e.fd = -1
}
