package dummy

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/internal/sockaddr"
)

// The devices open their own sockets, of the kinds that tests use ("unix:",
// "tcp:", "punix:", "ptcp:"): netdev must not depend on ovsdb/stream.

// errAgain means that the operation is not finished yet.
var errAgain = unix.EAGAIN

const socketFlags = unix.SOCK_STREAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC

// maxPath is the longest path that fits in a sockaddr_un.
const maxPath = 107

// dial starts a connection.  With errAgain the stream is valid and finish tells
// when it is connected.
func dial(target string) (*stream, error) {
	kind, rest, _ := strings.Cut(target, ":")
	var fd int
	var err error
	switch kind {
	case "unix":
		fd, err = withUnix(rest, unix.Connect)
	case "tcp":
		fd, err = withTCP(rest, unix.Connect)
	default:
		return nil, fmt.Errorf("%s: unknown stream type: %w", target, unix.EAFNOSUPPORT)
	}
	switch err {
	case nil:
		return &stream{fd: fd}, nil
	case unix.EINPROGRESS, unix.EAGAIN:
		return &stream{fd: fd}, errAgain
	}
	return nil, err
}

// finish returns nil when the connection stands, errAgain while it does not.
func (s *stream) finish() error {
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, 0)
	if n == 0 || err == unix.EINTR {
		return errAgain
	}
	no, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && no != 0 {
		err = unix.Errno(no)
	}
	return err
}

// listener accepts streams.
type listener struct {
	fd   int
	name string
	path string // to unlink at close, "" for TCP
}

func listen(target string) (*listener, error) {
	kind, rest, _ := strings.Cut(target, ":")
	l := &listener{name: target}
	var err error
	switch kind {
	case "punix":
		l.path = rest
		if err := os.Remove(rest); err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		l.fd, err = withUnix(rest, unix.Bind)
	case "ptcp":
		port, host, ok := strings.Cut(rest, ":")
		if !ok {
			host = "0.0.0.0"
		}
		l.fd, err = withTCP(net.JoinHostPort(strings.Trim(host, "[]"), port), unix.Bind)
	default:
		err = fmt.Errorf("%s: unknown stream type: %w", target, unix.EAFNOSUPPORT)
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Listen(l.fd, 64); err != nil {
		unix.Close(l.fd)
		return nil, err
	}
	return l, nil
}

func (l *listener) accept() (*stream, error) {
	for {
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			return &stream{fd: fd}, nil
		case unix.EINTR, unix.ECONNABORTED:
			continue
		}
		return nil, err
	}
}

func (l *listener) close() {
	unix.Close(l.fd)
	if l.path != "" {
		os.Remove(l.path)
	}
}

// withUnix makes a socket and binds or connects it to path, of any length: a
// long one is named through its directory's descriptor.
func withUnix(path string, op func(int, unix.Sockaddr) error) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, socketFlags, 0)
	if err != nil {
		return -1, err
	}
	if len(path) > maxPath {
		dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
		defer unix.Close(dir)
		path = "/proc/self/fd/" + strconv.Itoa(dir) + "/" + filepath.Base(path)
	}
	return settle(fd, op(fd, &unix.SockaddrUnix{Name: path}))
}

// withTCP makes a socket and binds or connects it to host:port.
func withTCP(addr string, op func(int, unix.Sockaddr) error) (int, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return -1, fmt.Errorf("%s: bad address: %w", addr, unix.EINVAL)
	}
	family, sa := sockaddr.Of(ap)
	fd, err := unix.Socket(family, socketFlags, 0)
	if err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	return settle(fd, op(fd, sa))
}

// settle closes fd unless err is nil or says that a connection is under way.
func settle(fd int, err error) (int, error) {
	switch err {
	case nil, unix.EINPROGRESS, unix.EAGAIN:
		return fd, err
	}
	unix.Close(fd)
	return -1, err
}
