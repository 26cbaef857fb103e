package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/poll"
)

// userTimeoutMs ends connections whose peer takes no more data: after Close
// nobody else would.
const userTimeoutMs = 60 * 1000

// handshakeTimeout is for how long a client may take for its handshake.
const handshakeTimeout = 10 * time.Second

// tlsConn is one end of a socket pair whose other end goroutines connect with
// TLS. When the handshake is over they send one byte through the pair, so that
// a poll on the descriptor sees it; everything after is the peer's data.
type tlsConn struct {
	fdConn
	cancel context.CancelFunc
	shared *tlsShared
	// up is set once the byte that ends the handshake was read.
	up bool
}

// tlsShared is what the goroutines tell.
type tlsShared struct {
	mu sync.Mutex
	// err is why there is or will be no more data, nil at a regular end.
	err    error
	peerID string
}

func (s *tlsShared) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
}

func (s *tlsShared) get() (peerID string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peerID, s.err
}

// dialer gets the TCP connection.
type dialer func(ctx context.Context) (net.Conn, error)

// newTLSConn starts the goroutines of a connection.
func newTLSConn(name string, s *session, client bool, dial dialer) (Conn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	inner, err := fileConn(fds[1])
	if err != nil {
		unix.Close(fds[0])
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &tlsConn{fdConn: fdConn{fd: fds[0], name: name}, cancel: cancel, shared: &tlsShared{}}
	go c.shared.serve(ctx, s, client, dial, inner)
	return c, nil
}

// fileConn makes a net.Conn of a socket, which it takes over.
func fileConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	return net.FileConn(f)
}

func (s *tlsShared) serve(ctx context.Context, ses *session, client bool, dial dialer, inner net.Conn) {
	defer inner.Close()
	tc, err := s.handshake(ctx, ses, client, dial)
	if err != nil {
		s.fail(err)
		inner.Write([]byte{0})
		return
	}
	defer tc.Close()
	if _, err := inner.Write([]byte{1}); err != nil {
		return
	}
	go s.receive(tc, inner.(*net.UnixConn))
	// Our end of the pair ends when the owner has closed his.
	if _, err := io.Copy(tc, inner); err != nil {
		s.fail(err)
	}
	tc.CloseWrite()
}

// receive hands on what the peer sends until it ends.
func (s *tlsShared) receive(tc *tls.Conn, inner *net.UnixConn) {
	if _, err := io.Copy(inner, tc); err != nil && !errors.Is(err, net.ErrClosed) {
		s.fail(err)
	}
	inner.CloseWrite()
}

func (s *tlsShared) handshake(ctx context.Context, ses *session, client bool, dial dialer) (*tls.Conn, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		setUserTimeout(tcp)
	}
	var tc *tls.Conn
	what := "SSL_accept"
	if client {
		what = "SSL_connect"
		tc = tls.Client(conn, ses.config)
	} else {
		// A client's attempt ends with its back-off; who connects here and says
		// nothing would stay for ever.
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, ses.patience)
		defer stop()
		tc = tls.Server(conn, ses.config)
	}
	if err := tc.HandshakeContext(ctx); err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) {
			sslLog.WarnRL(sslRL, "%s: %s", what, errno.Text(err))
		}
		tc.Close()
		return nil, unix.EPROTO
	}
	state := tc.ConnectionState()
	if ses.bootstrap != "" {
		ses.store(state.PeerCertificates)
		tc.Close()
		return nil, unix.EPROTO
	}
	if !client && state.ServerName != "" {
		sslLog.Dbg("connection indicated server name %s", state.ServerName)
	}
	if len(state.PeerCertificates) > 0 {
		s.mu.Lock()
		s.peerID = state.PeerCertificates[0].Subject.CommonName
		s.mu.Unlock()
	}
	return tc, nil
}

func setUserTimeout(c *net.TCPConn) {
	if rc, err := c.SyscallConn(); err == nil {
		rc.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, userTimeoutMs)
		})
	}
}

func (c *tlsConn) Connect() error {
	if c.up {
		return nil
	}
	if c.state != nil {
		return c.state
	}
	var mark [1]byte
	n, err := c.fdConn.Read(mark[:])
	switch {
	case err == ErrAgain:
		return ErrAgain
	case err == nil && n == 1 && mark[0] == 1:
		c.up = true
		return nil
	}
	if _, failure := c.shared.get(); failure != nil {
		err = failure
	} else if err == nil {
		err = unix.EPROTO
	}
	c.state = err
	return err
}

func (c *tlsConn) Read(p []byte) (int, error) {
	if err := c.Connect(); err != nil {
		return 0, err
	}
	n, err := c.fdConn.Read(p)
	if err == io.EOF {
		if _, failure := c.shared.get(); failure != nil {
			sslLog.WarnRL(sslRL, "SSL_read: %s", errno.Text(failure))
			return 0, asErrno(failure)
		}
	}
	return n, err
}

// asErrno keeps system errors, for callers that tell them apart, and makes
// protocol errors of all others.
func asErrno(err error) error {
	var no unix.Errno
	if errors.As(err, &no) {
		return no
	}
	return unix.EPROTO
}

func (c *tlsConn) Write(p []byte) (int, error) {
	if err := c.Connect(); err != nil {
		return 0, err
	}
	return c.fdConn.Write(p)
}

func (c *tlsConn) Close() error {
	if !c.up {
		c.cancel()
	}
	return c.fdConn.Close()
}

func (c *tlsConn) PeerID() string {
	id, _ := c.shared.get()
	return id
}

func (c *tlsConn) Wait(s *poll.Set, connect, read, write bool) {
	if !c.up && c.state == nil {
		s.FD(c.fd, poll.In)
		return
	}
	c.fdConn.Wait(s, connect, read, write)
}

func openSSL(target, rest string, o *Options) (Conn, error) {
	host, port := splitHostPort(rest)
	if host == "" || port == "" {
		sslLog.Err("%s: connect: %s", target, errno.Text(unix.EAFNOSUPPORT))
		return nil, unix.EAFNOSUPPORT
	}
	serverName := ""
	if _, err := netip.ParseAddr(host); err != nil {
		serverName = host
	}
	s, err := o.TLS.orEmpty().session(true, serverName)
	if err != nil {
		return nil, err
	}
	dscp := o.DSCP
	return newTLSConn(target, s, true, func(ctx context.Context) (net.Conn, error) {
		d := net.Dialer{Control: func(network, address string, rc syscall.RawConn) error {
			return rc.Control(func(fd uintptr) {
				ap, _ := netip.ParseAddrPort(address)
				setDSCP(int(fd), ap, dscp)
			})
		}}
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
		if err != nil {
			return nil, asErrno(err)
		}
		return conn, nil
	})
}

func (t *TLS) orEmpty() *TLS {
	if t == nil {
		return &TLS{}
	}
	return t
}

func listenSSL(rest string, o *Options) (Listener, error) {
	t := o.TLS.orEmpty()
	l, err := listenTCP("pssl", rest, o)
	if err != nil {
		return nil, err
	}
	l.wrap = func(fd int, from unix.Sockaddr) (Conn, error) {
		s, err := t.session(false, "")
		if err != nil {
			unix.Close(fd)
			return nil, err
		}
		conn, err := fileConn(fd)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("ssl:%s", peerName(from))
		c, err := newTLSConn(name, s, false, func(context.Context) (net.Conn, error) { return conn, nil })
		if err != nil {
			conn.Close()
		}
		return c, err
	}
	return l, nil
}
