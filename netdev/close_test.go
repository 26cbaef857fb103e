package netdev

import (
	"testing"

	"golang.org/x/sys/unix"
)

// pipes returns n descriptors and the other ends, which read 0 bytes once all
// descriptors of the pipe are closed.
func pipes(t *testing.T, n int) (fds, ends []int) {
	for range n {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		fds, ends = append(fds, p[1]), append(ends, p[0])
		t.Cleanup(func() { unix.Close(p[0]) })
	}
	return fds, ends
}

func nClosed(ends []int) (n int) {
	for _, fd := range ends {
		if got, err := unix.Read(fd, make([]byte, 1)); got == 0 && err == nil {
			n++
		}
	}
	return n
}

func TestCloseTogether(t *testing.T) {
	fds, ends := pipes(t, 2*nClosers+1)
	CloseFD(fds[0])
	if n := nClosed(ends); n != 1 {
		t.Errorf("%d descriptors closed at once, not 1", n)
	}
	CloseTogether(func() {
		for _, fd := range fds[1:] {
			CloseFD(fd)
		}
		if n := nClosed(ends); n != 1 {
			t.Errorf("%d descriptors closed inside", n)
		}
	})
	if n := nClosed(ends); n != len(ends) {
		t.Errorf("%d descriptors of %d closed at the end", n, len(ends))
	}
	CloseTogether(func() {})
}
