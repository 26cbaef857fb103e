package stream

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/sockaddr"
	"sluice/internal/vlog"
)

var (
	tcpLog = vlog.New("stream_tcp")
	bindRL = vlog.NewLimiter(1, 5)
)

const tcpBacklog = 10

func openTCP(target, rest string, o *Options) (Conn, error) {
	fd, state, err := dialTCP(rest, o)
	if err != nil {
		tcpLog.Err("%s: connect: %s", target, errno.Text(err))
		return nil, err
	}
	if state == nil {
		setNoDelay(fd)
	}
	return &fdConn{fd: fd, name: target, state: state, tcp: true}, nil
}

// dialTCP returns a socket that is connected (state nil) or connecting (state
// ErrAgain).
func dialTCP(rest string, o *Options) (fd int, state, err error) {
	host, port := splitHostPort(rest)
	if host == "" {
		socketLog.Err("%s: host must be specified", rest)
		return -1, nil, unix.EAFNOSUPPORT
	}
	if port == "" {
		socketLog.Err("%s: port must be specified", rest)
		return -1, nil, unix.EAFNOSUPPORT
	}
	ap, err := parseAddr(rest, host, port)
	if err != nil {
		return -1, nil, unix.EAFNOSUPPORT
	}
	fd, err = tcpSocket(ap)
	if err != nil {
		socketLog.Err("%s: socket: %s", rest, errno.Text(err))
		return -1, nil, err
	}
	if err := setDSCP(fd, ap, o.DSCP); err != nil {
		socketLog.Err("%s: set_dscp: %s", rest, errno.Text(err))
		unix.Close(fd)
		return -1, nil, err
	}
	_, sa := sockaddr.Of(ap)
	_, err = retry(func() (int, error) { return 0, unix.Connect(fd, sa) })
	switch err {
	case nil:
		return fd, nil, nil
	case unix.EINPROGRESS, unix.EALREADY:
		return fd, ErrAgain, nil
	}
	unix.Close(fd)
	return -1, nil, err
}

func listenTCP(kind, rest string, o *Options) (*fdListener, error) {
	port, host := splitPortHost(rest)
	if port == "" {
		socketLog.Err("%s: port must be specified", rest)
		return nil, unix.EAFNOSUPPORT
	}
	ap, err := parseAddr(rest, host, port)
	if err != nil {
		return nil, err
	}
	fd, err := tcpSocket(ap)
	if err != nil {
		socketLog.Err("%s: socket: %s", rest, errno.Text(err))
		return nil, err
	}
	bound, err := bindTCP(fd, ap, rest, o)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	if ap.Port() == 0 {
		socketLog.Info("%s: listening on port %d", rest, bound.Port())
	}
	name := fmt.Sprintf("%s:%d:%s", kind, bound.Port(), bracketed(bound.Addr()))
	return &fdListener{fd: fd, name: name, port: int(bound.Port()), wrap: wrapTCP}, nil
}

func bindTCP(fd int, ap netip.AddrPort, rest string, o *Options) (netip.AddrPort, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		socketLog.Err("%s: setsockopt(SO_REUSEADDR): %s", rest, errno.Text(err))
		return ap, err
	}
	_, own := sockaddr.Of(ap)
	if err := unix.Bind(fd, own); err != nil {
		socketLog.ErrRL(bindRL, "%s: bind: %s", rest, errno.Text(err))
		return ap, err
	}
	if err := setDSCP(fd, ap, o.DSCP); err != nil {
		socketLog.Err("%s: set_dscp: %s", rest, errno.Text(err))
		return ap, err
	}
	if err := unix.Listen(fd, tcpBacklog); err != nil {
		socketLog.Err("%s: listen: %s", rest, errno.Text(err))
		return ap, err
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		socketLog.Err("%s: getsockname: %s", rest, errno.Text(err))
		return ap, err
	}
	return sockaddr.AddrPort(sa), nil
}

func wrapTCP(fd int, from unix.Sockaddr) (Conn, error) {
	setNoDelay(fd)
	return &fdConn{fd: fd, name: "tcp:" + peerName(from), tcp: true}, nil
}

func peerName(from unix.Sockaddr) string {
	ap := sockaddr.AddrPort(from)
	return fmt.Sprintf("%s:%d", bracketed(ap.Addr()), ap.Port())
}

func tcpSocket(ap netip.AddrPort) (int, error) {
	family, _ := sockaddr.Of(ap)
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

func setDSCP(fd int, ap netip.AddrPort, dscp int) error {
	if dscp < 0 || dscp > 63 {
		return unix.EINVAL
	}
	if ap.Addr().Is6() {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, dscp<<2)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, dscp<<2)
}

// tokens splits "A:B" where A or B may be a bracketed IPv6 address. A lone
// IPv6 address needs no brackets; hostIndex says which of the two that is.
func tokens(s string, hostIndex int) [2]string {
	colons, inBrackets, at := 0, false, -1
	for i, r := range s {
		switch r {
		case '[':
			inBrackets = true
		case ']':
			inBrackets = false
		case ':':
			if !inBrackets {
				colons++
				if at < 0 {
					at = i
				}
			}
		}
	}
	var out [2]string
	switch {
	case colons > 1:
		out[hostIndex] = s
	case at >= 0:
		out[0], out[1] = s[:at], s[at+1:]
	default:
		out[0] = s
	}
	for i, t := range out {
		if strings.HasPrefix(t, "[") && strings.HasSuffix(t, "]") {
			out[i] = t[1 : len(t)-1]
		}
	}
	return out
}

func splitHostPort(s string) (host, port string) {
	t := tokens(s, 0)
	return t[0], t[1]
}

func splitPortHost(s string) (port, host string) {
	t := tokens(s, 1)
	return t[0], t[1]
}

// parseAddr makes an address of host and port; no host is any. What is no
// address is looked up in the background: the first attempts fail, as they do
// while a name server is slow.
func parseAddr(target, host, port string) (netip.AddrPort, error) {
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		socketLog.Err("%s: bad port number \"%s\"", target, port)
		return netip.AddrPort{}, unix.EAFNOSUPPORT
	}
	if host == "" {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(p)), nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(a, uint16(p)), nil
	}
	if strings.Contains(host, ":") {
		return netip.AddrPort{}, unix.EAFNOSUPPORT
	}
	a, ok := names.lookup(host)
	if !ok {
		return netip.AddrPort{}, unix.EAGAIN
	}
	return netip.AddrPortFrom(a, uint16(p)), nil
}

// resolver looks names up without making the caller wait.
type resolver struct {
	mu      sync.Mutex
	pending map[string]bool
	known   map[string]netip.Addr
}

var names resolver

// lookup returns the latest known address and starts to look it up again.
func (r *resolver) lookup(host string) (netip.Addr, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending == nil {
		r.pending, r.known = map[string]bool{}, map[string]netip.Addr{}
	}
	if !r.pending[host] {
		r.pending[host] = true
		go r.resolve(host)
	}
	a, ok := r.known[host]
	return a, ok
}

func (r *resolver) resolve(host string) {
	addrs, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pending, host)
	if err != nil || len(addrs) == 0 {
		delete(r.known, host)
		return
	}
	r.known[host] = addrs[0].Unmap()
}

// bracketed writes an IPv6 address in brackets.
func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}
