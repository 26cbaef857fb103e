package vhostuser

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/fatal"
)

// waitFor waits for a descriptor; false means that the device is closed, a polling
// thread met a violation, or ms passed (-1: no limit).
func (d *Device) waitFor(fd int, events int16, ms int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}, {Fd: int32(d.quit.Fd()), Events: unix.POLLIN}, {Fd: int32(d.faulty.Fd()), Events: unix.POLLIN}}
	if fd < 0 {
		fds = fds[1:2]
	}
	for {
		n, err := unix.Poll(fds, ms)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return false
		}
		for _, f := range fds {
			if f.Fd != int32(fd) && f.Revents != 0 {
				return false
			}
		}
		return true
	}
}

// retryMs is how long a client waits before it tries to connect again.
const retryMs = 500

// loop makes connections, one at a time, until the device is closed.
func (d *Device) loop() {
	defer close(d.ended)
	if !d.client {
		path := d.socket()
		defer func() {
			unix.Close(d.listener)
			fatal.Forget(path)
			os.Remove(path)
		}()
	}
	for !d.stopped() {
		fd, err := d.connect(d.socket())
		if err == nil {
			d.faulty.Reset()
			d.session(fd)
		} else if err != errStopped {
			d.note(errno.Text(err))
		}
		// A front end that errs or goes at once must not keep the switch busy.
		d.waitFor(-1, 0, d.retryMs)
	}
}

// socket is the path of the moment.
func (d *Device) socket() string { d.mu.Lock(); defer d.mu.Unlock(); return d.path }

func (d *Device) stopped() bool {
	fds := []unix.PollFd{{Fd: int32(d.quit.Fd()), Events: unix.POLLIN}}
	n, _ := unix.Poll(fds, 0)
	return n > 0
}

func (d *Device) note(s string) { d.lastError.Store(&s) }

func listen(path string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	st, err := os.Lstat(path)
	if err == nil && st.Mode()&os.ModeSocket != 0 && unix.Connect(fd, &unix.SockaddrUnix{Name: path}) == unix.ECONNREFUSED {
		os.Remove(path) // left by an earlier process
	}
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err == nil {
		fatal.Add(path)
		err = unix.Listen(fd, 1)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// connect waits for a front end, or tries to reach it.
func (d *Device) connect(path string) (int, error) {
	if !d.client {
		if !d.waitFor(d.listener, unix.POLLIN, -1) {
			d.faulty.Reset()
			return -1, errStopped
		}
		fd, _, err := unix.Accept4(d.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		return fd, err
	}
	// Not blocking: a listener whose queue is full must not hold up Close.
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// session serves one connection to its end.
func (d *Device) session(fd int) {
	s := &session{d: d, fd: fd}
	d.connected.Store(true)
	d.notify()
	log.InfoRL(rlSession, "%s: front end connected", d.Name())
	err := s.serve()
	if d.faulty.Reset() {
		err = *d.fault.Load()
	}
	d.connected.Store(false)
	s.end()
	if errors.Is(err, errProtocol) {
		cViolation.Inc()
		d.note(err.Error()) // before the counter, which says that there is something to read
		d.violations.Add(1)
		d.notify()
		log.WarnRL(rl, "%s: connection to the front end is cut: %v", d.Name(), err)
		return
	}
	log.InfoRL(rlSession, "%s: front end disconnected (%v)", d.Name(), err)
}
