package dummy

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// pair makes a stream and a file that is its peer.
func pair(t *testing.T) (*stream, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &stream{fd: fds[0]}, os.NewFile(uintptr(fds[1]), "peer")
}
