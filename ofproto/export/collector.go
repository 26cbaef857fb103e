package export

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/sockaddr"
	"sluice/internal/vlog"
)

var (
	log       = vlog.New("collectors")
	socketLog = vlog.New("socket_util")
	rlOpen    = vlog.NewLimiter(1, 5)
	rlSend    = vlog.NewLimiter(1, 5)
)

// Collectors are the UDP sockets to which an exporter sends its datagrams.  A nil
// Collectors has none.
//
// Thread-safety: they belong to the control loop, which never waits for them.
type Collectors struct {
	fds []int
	all bool
}

// OpenCollectors opens sockets to targets of the form HOST[:PORT], HOST being an IP
// address, an IPv6 one in brackets.  Those that cannot be opened are logged and left
// out; nil: none was left.  defaultPort < 0 makes the port mandatory.
func OpenCollectors(targets []string, defaultPort int) *Collectors {
	c := &Collectors{all: true}
	for _, t := range targets {
		fd, err := dial(t, defaultPort)
		if err != nil {
			log.WarnRL(rlOpen, "couldn't open connection to collector %s (%s)", t, errno.Text(err))
			c.all = false
			continue
		}
		c.fds = append(c.fds, fd)
	}
	if len(c.fds) == 0 {
		return nil
	}
	return c
}

// N returns how many collectors there are.
func (c *Collectors) N() int {
	if c == nil {
		return 0
	}
	return len(c.fds)
}

// Complete reports that each target has a socket.
func (c *Collectors) Complete() bool { return c != nil && c.all }

// Close closes the sockets.
func (c *Collectors) Close() {
	if c == nil {
		return
	}
	for _, fd := range c.fds {
		unix.Close(fd)
	}
	c.fds = nil
}

// Send sends a datagram to each collector and returns how many it could not be sent
// to: a full socket buffer is an error like any other.
func (c *Collectors) Send(b []byte) (errors int) {
	if c == nil {
		return 0
	}
	for _, fd := range c.fds {
		if _, err := unix.Write(fd, b); err != nil {
			log.WarnRL(rlSend, "%s<->%s: sending to collector failed (%s)", name(unix.Getsockname(fd)), name(unix.Getpeername(fd)), errno.Text(err))
			errors++
		}
	}
	return errors
}

// ParseTarget splits a target HOST[:PORT].
func ParseTarget(target string, defaultPort int) (netip.AddrPort, bool) {
	host, port := target, ""
	if rest, ok := strings.CutPrefix(target, "["); ok {
		host, port, ok = strings.Cut(rest, "]")
		if !ok || port != "" && port[0] != ':' {
			return netip.AddrPort{}, false
		}
		port = strings.TrimPrefix(port, ":")
	} else {
		host, port, _ = strings.Cut(target, ":")
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		socketLog.Err("%s: bad IP address \"%s\"", target, host)
		return netip.AddrPort{}, false
	}
	n := defaultPort
	if port != "" {
		if n, err = strconv.Atoi(port); err != nil {
			n = -1
		}
	}
	if n < 0 || n > 65535 {
		socketLog.Err("%s: port must be specified", target)
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a, uint16(n)), true
}

func dial(target string, defaultPort int) (int, error) {
	ap, ok := ParseTarget(target, defaultPort)
	if !ok {
		return -1, unix.EAFNOSUPPORT
	}
	family, sa := sockaddr.Of(ap)
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, sa); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// name is the text of a socket's address.
func name(sa unix.Sockaddr, err error) string {
	if err != nil {
		return ""
	}
	return sockaddr.AddrPort(sa).String()
}
