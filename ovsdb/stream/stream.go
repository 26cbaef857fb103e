// Package stream is byte streams between processes, named as Open vSwitch
// names them: "tcp:HOST:PORT", "unix:FILE" and "ssl:HOST:PORT" connect,
// "ptcp:[PORT][:HOST]", "punix:FILE" and "pssl:[PORT][:HOST]" listen. OVSDB,
// OpenFlow and control sockets use it.
//
// Nothing here ever blocks: what cannot go on returns ErrAgain, and Wait tells
// a poll.Set what to wake up for. Connections are raw descriptors read by the
// caller itself, because the daemons' event loops must see everything that was
// readable before a command in a fixed order. TLS runs in goroutines and hands
// plain bytes over through a socket pair, so that it looks the same.
//
// The package reads no clock and has no timeouts; see internal/reconnect.
//
// Thread-safety: a Conn or Listener belongs to one goroutine.
package stream

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/internal/coverage"
	"sluice/internal/poll"
)

// ErrAgain says that an operation cannot go on without blocking.
var ErrAgain = errors.New("resource temporarily unavailable")

var (
	cStreamOpen  = coverage.New("stream_open")
	cPstreamOpen = coverage.New("pstream_open")
)

// Conn is one connection. Errors are system errors (unix.Errno), io.EOF when
// the peer ended it, or TLS errors.
type Conn interface {
	// Connect returns nil once the connection is usable, ErrAgain while it is
	// being set up, and else why it failed.
	Connect() error
	// Read reads what is there; io.EOF at the end.
	Read(p []byte) (int, error)
	// Write takes as much of p as fits and returns how much that was; if
	// nothing fits, ErrAgain.
	Write(p []byte) (int, error)
	// Close ends the connection. What was written is still delivered.
	Close() error
	// Name is the target of an outgoing connection, or who connected:
	// "tcp:127.0.0.1:40000", "unix#3".
	Name() string
	// Fd is a descriptor to poll.
	Fd() int
	// Wait wakes s when what is asked for becomes possible. While the
	// connection is being set up that is all it waits for.
	Wait(s *poll.Set, connect, read, write bool)
	// PeerID is the common name in the peer's certificate, or empty.
	PeerID() string
}

// Listener accepts connections.
type Listener interface {
	// Accept returns the next connection or ErrAgain.
	Accept() (Conn, error)
	// Close stops listening and removes the socket file.
	Close() error
	// Name tells the address, for logs: "ptcp:6640:127.0.0.1".
	Name() string
	// Fd is a descriptor to poll.
	Fd() int
	// BoundPort is the TCP port in use, which matters when 0 was asked for;
	// 0 on Unix sockets.
	BoundPort() int
	// Wait wakes s when a connection can be accepted.
	Wait(s *poll.Set)
}

// Options is what Open and Listen need besides the target.
type Options struct {
	// RunDir is where relative names of Unix sockets begin.
	RunDir string
	// DSCP goes into the IP headers of TCP and TLS connections, 0 to 63.
	DSCP int
	// TLS is what ssl: and pssl: use; without it they are refused.
	TLS *TLS
}

func (o *Options) path(name string) string {
	if filepath.IsAbs(name) || o.RunDir == "" {
		return name
	}
	return o.RunDir + "/" + name
}

// Open starts to connect. An error is a failure that was seen at once; other
// failures come from Conn.Connect.
func Open(target string, opts Options) (Conn, error) {
	cStreamOpen.Inc()
	kind, rest, ok := strings.Cut(target, ":")
	if !ok {
		return nil, unix.EAFNOSUPPORT
	}
	switch kind {
	case "tcp":
		return openTCP(target, rest, &opts)
	case "unix":
		return openUnix(target, opts.path(rest))
	case "ssl":
		return openSSL(target, rest, &opts)
	}
	return nil, unix.EAFNOSUPPORT
}

// Listen starts to listen.
func Listen(target string, opts Options) (Listener, error) {
	cPstreamOpen.Inc()
	spare.keep()
	kind, rest, ok := strings.Cut(target, ":")
	if !ok {
		return nil, unix.EAFNOSUPPORT
	}
	switch kind {
	case "ptcp":
		return listenTCP("ptcp", rest, &opts)
	case "punix":
		return listenUnix(target, opts.path(rest))
	case "pssl":
		return listenSSL(rest, &opts)
	}
	return nil, unix.EAFNOSUPPORT
}

// IsActive says whether the target is of a kind that Open takes.
func IsActive(target string) bool {
	kind, _, ok := strings.Cut(target, ":")
	return ok && (kind == "tcp" || kind == "unix" || kind == "ssl")
}

// IsPassive says whether the target is of a kind that Listen takes.
func IsPassive(target string) bool {
	kind, _, ok := strings.Cut(target, ":")
	return ok && (kind == "ptcp" || kind == "punix" || kind == "pssl")
}

// NeedsProbes says whether a connection to or from target can die without
// anyone noticing, so that it needs keepalives: true for TCP and TLS.
func NeedsProbes(target string) bool {
	kind, _, _ := strings.Cut(target, ":")
	return kind == "tcp" || kind == "ssl" || kind == "ptcp" || kind == "pssl"
}

// WithDefaultPort completes an active or passive TCP or TLS target that names
// no port.
func WithDefaultPort(target string, port int) string {
	fields := len(strings.FieldsFunc(target, func(r rune) bool { return r == ':' }))
	kind, _, _ := strings.Cut(target, ":")
	switch kind {
	case "tcp", "ssl":
		if fields < 3 {
			return fmt.Sprintf("%s:%d", target, port)
		}
	case "ptcp", "pssl":
		if fields < 2 {
			return fmt.Sprintf("%s%d", target, port)
		}
	}
	return target
}
