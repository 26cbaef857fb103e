package stream

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/internal/vlog"
)

var (
	fdLog = vlog.New("stream_fd")
	fdRL  = vlog.NewLimiter(10, 25)
)

// fdConn is a connection that is a descriptor and nothing else.
type fdConn struct {
	fd   int
	name string
	// state is nil when connected, ErrAgain while connecting, else the
	// failure.
	state error
	tcp   bool
}

func (c *fdConn) Name() string   { return c.name }
func (c *fdConn) Fd() int        { return c.fd }
func (c *fdConn) PeerID() string { return "" }

func (c *fdConn) Connect() error {
	if c.state == ErrAgain {
		c.state = connectResult(c.fd)
		if c.state == nil && c.tcp {
			setNoDelay(c.fd)
		}
	}
	return c.state
}

// connectResult finds out how a connect that returned EINPROGRESS went on.
func connectResult(fd int) error {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := retry(func() (int, error) { return unix.Poll(p, 0) })
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrAgain
	}
	no, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if no != 0 {
		return unix.Errno(no)
	}
	return nil
}

func setNoDelay(fd int) {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		socketLog.Err("setsockopt(TCP_NODELAY): %s", errno.Text(err))
	}
}

// retry repeats a system call that a signal interrupted.
func retry(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if err != unix.EINTR {
			return n, err
		}
	}
}

func (c *fdConn) Read(p []byte) (int, error) {
	if err := c.Connect(); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := unix.Read(c.fd, p)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, ErrAgain
		case err != nil:
			fdLog.DbgRL(fdRL, "recv: %s", errno.Text(err))
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (c *fdConn) Write(p []byte) (int, error) {
	if err := c.Connect(); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := unix.SendmsgN(c.fd, p, nil, nil, unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN, err == nil && n == 0:
			return 0, ErrAgain
		case err != nil:
			fdLog.DbgRL(fdRL, "send: %s", errno.Text(err))
			return 0, err
		default:
			return n, nil
		}
	}
}

func (c *fdConn) Close() error {
	if c.fd < 0 {
		return nil
	}
	fd := c.fd
	c.fd = -1
	c.state = os.ErrClosed
	return unix.Close(fd)
}

func (c *fdConn) Wait(s *poll.Set, connect, read, write bool) {
	switch {
	case c.state == ErrAgain:
		s.FD(c.fd, poll.Out)
	case c.state != nil:
		s.Immediate()
	default:
		var ev int16
		if read {
			ev |= poll.In
		}
		if write || connect {
			ev |= poll.Out
		}
		if ev != 0 {
			s.FD(c.fd, ev)
		}
	}
}

// fdListener is a listening socket; wrap makes a Conn of what it accepted.
type fdListener struct {
	fd   int
	name string
	port int
	// unlink is the file to remove at the end, or empty.
	unlink string
	wrap   func(fd int, from unix.Sockaddr) (Conn, error)
	// watch saves a loop most of its calls of accept.
	watch poll.Watch
}

func (l *fdListener) Name() string     { return l.name }
func (l *fdListener) Fd() int          { return l.fd }
func (l *fdListener) BoundPort() int   { return l.port }
func (l *fdListener) Wait(s *poll.Set) { l.watch = s.Watch(l.fd, poll.In) }

func (l *fdListener) Accept() (Conn, error) {
	if l.watch.Idle() {
		return nil, ErrAgain
	}
	for {
		fd, from, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == unix.EINTR || err == unix.ECONNABORTED:
		case err == unix.EAGAIN:
			return nil, ErrAgain
		case err == unix.EMFILE || err == unix.ENFILE:
			// The kernel says so even if nobody waits.
			if !spare.refuse(l.fd) {
				return nil, ErrAgain
			}
			return nil, err
		case err != nil:
			fdLog.DbgRL(fdRL, "accept: %s", errno.Text(err))
			return nil, err
		default:
			return l.wrap(fd, from)
		}
	}
}

// spareFd is a descriptor in reserve for when the process is out of them. A
// connection that waits in vain for a descriptor would keep its listener
// readable and the loop spinning; refusing it costs one that we have.
type spareFd struct {
	mu sync.Mutex
	fd int
}

var spare = &spareFd{fd: -1}

// keep makes sure that there is a descriptor in reserve.
func (s *spareFd) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		s.fd, _ = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
}

// refuse takes one connection and ends it. It says whether there was one, or
// may have been.
func (s *spareFd) refuse(listener int) bool {
	s.mu.Lock()
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err == nil {
		unix.Close(fd)
	}
	s.mu.Unlock()
	s.keep()
	return err != unix.EAGAIN
}

func (l *fdListener) Close() error {
	if l.fd < 0 {
		return nil
	}
	err := unix.Close(l.fd)
	l.fd = -1
	unlinkNow(l.unlink)
	return err
}

// FromFd makes a connection of a connected, non-blocking stream socket, which
// it takes over.
func FromFd(fd int, name string) Conn { return &fdConn{fd: fd, name: name} }

var pairs atomic.Uint64

// Pair returns two connections that are each other's peers.
func Pair() (a, b Conn) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(fmt.Sprintf("socketpair: %v", err))
	}
	n := pairs.Add(1) - 1
	return FromFd(fds[0], fmt.Sprintf("pair#%da", n)), FromFd(fds[1], fmt.Sprintf("pair#%db", n))
}
