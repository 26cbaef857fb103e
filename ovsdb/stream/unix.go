package stream

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/fatal"
	"sluice/internal/vlog"
)

var (
	unixLog   = vlog.New("stream_unix")
	socketLog = vlog.New("socket_util")
	longRL    = vlog.NewLimiter(1, 1)
	unnamed   atomic.Uint32
)

const (
	unixBacklog = 64
	unixMode    = 0o770
	// maxUnixPath is what fits into sun_path beside the final NUL.
	maxUnixPath = 107
)

func openUnix(target, path string) (Conn, error) {
	fd, err := unixSocket()
	if err != nil {
		return nil, err
	}
	if err := withUnixAddr(path, func(a unix.Sockaddr) error { return connectUnix(fd, a) }); err != nil {
		unix.Close(fd)
		unixLog.Dbg("%s: connection failed (%s)", path, errno.Text(err))
		return nil, err
	}
	return &fdConn{fd: fd, name: target}, nil
}

func connectUnix(fd int, a unix.Sockaddr) error {
	_, err := retry(func() (int, error) { return 0, unix.Connect(fd, a) })
	if err == unix.EAGAIN {
		// The listener's backlog is full. It is no use to wait for the
		// descriptor: the kernel does not go on connecting by itself.
		return unix.EPROTO
	}
	return err
}

func unixSocket() (int, error) {
	return unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

func listenUnix(target, path string) (Listener, error) {
	fd, err := bindUnix(path)
	if err != nil {
		unixLog.Err("%s: binding failed: %s", path, errno.Text(err))
		return nil, err
	}
	if err := unix.Listen(fd, unixBacklog); err != nil {
		unixLog.Err("%s: listen: %s", target, errno.Text(err))
		unix.Close(fd)
		unlinkNow(path)
		return nil, err
	}
	return &fdListener{fd: fd, name: target, unlink: path, wrap: wrapUnix}, nil
}

func wrapUnix(fd int, from unix.Sockaddr) (Conn, error) {
	name := ""
	if a, ok := from.(*unix.SockaddrUnix); ok && a.Name != "" && a.Name[0] != '@' {
		name = "unix:" + a.Name
	} else {
		name = fmt.Sprintf("unix#%d", unnamed.Add(1)-1)
	}
	return &fdConn{fd: fd, name: name}, nil
}

func bindUnix(path string) (int, error) {
	fd, err := unixSocket()
	if err != nil {
		return -1, err
	}
	// A socket file that is there was left behind: who still uses it has a
	// pidfile that was checked before.
	if err := unix.Unlink(path); err != nil && err != unix.ENOENT {
		socketLog.Warn("unlinking \"%s\": %s\n", path, errno.Text(err))
	}
	fatal.Add(path)
	err = withUnixAddr(path, func(a unix.Sockaddr) error {
		// The mode of the descriptor becomes the file's.
		if err := unix.Fchmod(fd, unixMode); err != nil {
			return err
		}
		return unix.Bind(fd, a)
	})
	if err != nil {
		unix.Close(fd)
		fatal.Forget(path)
		return -1, err
	}
	return fd, nil
}

// withUnixAddr calls f with the address of a socket file. A name that is too
// long for an address is reached through a descriptor of its directory.
func withUnixAddr(path string, f func(unix.Sockaddr) error) error {
	if len(path) <= maxUnixPath {
		return f(&unix.SockaddrUnix{Name: path})
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		socketLog.WarnRL(longRL, "%s: open failed (%s)", filepath.Dir(path), errno.Text(err))
		return err
	}
	defer dir.Close()
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	if len(short) > maxUnixPath {
		socketLog.WarnRL(longRL, "Unix socket name %s is longer than maximum %d bytes", path, maxUnixPath)
		return unix.ENAMETOOLONG
	}
	return f(&unix.SockaddrUnix{Name: short})
}

func unlinkNow(path string) {
	if path != "" {
		fatal.Unlink(path)
	}
}
