package logsink

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/internal/sockaddr"
	"sluice/internal/vlog"
)

// syslogSeverity maps levels to RFC 5424's severities.
var syslogSeverity = [vlog.NLevels]int{vlog.Off: 0, vlog.Emer: 1, vlog.Err: 3, vlog.Warn: 4, vlog.Info: 5, vlog.Dbg: 7}

const (
	facilityDaemon = 3 << 3
	facilityLocal0 = 16 << 3
)

var facilities = map[string]int{
	"kern": 0, "user": 1 << 3, "mail": 2 << 3, "daemon": facilityDaemon, "auth": 4 << 3, "syslog": 5 << 3,
	"lpr": 6 << 3, "news": 7 << 3, "uucp": 8 << 3, "clock": 9 << 3, "ftp": 11 << 3, "ntp": 12 << 3,
	"audit": 13 << 3, "alert": 14 << 3, "clock2": 15 << 3, "local0": facilityLocal0, "local1": 17 << 3,
	"local2": 18 << 3, "local3": 19 << 3, "local4": 20 << 3, "local5": 21 << 3, "local6": 22 << 3, "local7": 23 << 3,
}

// syslogger is a way to the system log.
type syslogger interface {
	// prefix is what vlog/list-pattern shows.
	prefix() string
	// write sends one line; facility is 0 for the default one.
	write(s *Sink, facility, severity int, line string)
}

// SetSyslogMethod chooses the way to the system log: "null", "libc",
// "unix:FILE" or "udp:IP:PORT". The first choice counts.
func (s *Sink) SetSyslogMethod(method string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.method != nil {
		return nil
	}
	m, err := newMethod(method)
	if err == nil {
		s.method = m
	}
	return err
}

func newMethod(method string) (syslogger, error) {
	switch {
	case method == "null":
		return nullMethod{}, nil
	case method == "libc":
		return &libcMethod{d: datagram{network: "unixgram", address: "/dev/log"}}, nil
	case strings.HasPrefix(method, "udp:"):
		address := method[4:]
		if _, _, err := net.SplitHostPort(address); err != nil {
			address = net.JoinHostPort(strings.Trim(address, "[]"), "514")
		}
		return &directMethod{d: datagram{network: "udp", address: address}}, nil
	case strings.HasPrefix(method, "unix:"):
		return &directMethod{d: datagram{network: "unixgram", address: method[5:]}}, nil
	}
	return nil, fmt.Errorf("unsupported syslog method '%s'", method)
}

// defaultMethod is what the environment names, or else libc.
func defaultMethod() syslogger {
	if env := os.Getenv("OVS_SYSLOG_METHOD"); env != "" {
		if m, err := newMethod(env); err == nil {
			return m
		}
	}
	m, _ := newMethod("libc")
	return m
}

// SetSyslogTarget sends messages to a UDP address, too.
func (s *Sink) SetSyslogTarget(target string) {
	s.mu.Lock()
	s.target = &datagram{network: "udp", address: target}
	s.mu.Unlock()
}

type nullMethod struct{}

func (nullMethod) prefix() string                { return "" }
func (nullMethod) write(*Sink, int, int, string) {}

// directMethod sends bare lines.
type directMethod struct{ d datagram }

func (*directMethod) prefix() string { return "<%B>" }

func (m *directMethod) write(s *Sink, facility, severity int, line string) {
	if facility == 0 {
		facility = facilityDaemon
	}
	m.d.send(fmt.Appendf(nil, "<%d>%s", facility|severity, line))
}

// libcMethod sends what the C library's syslog function would.
type libcMethod struct{ d datagram }

func (*libcMethod) prefix() string { return "<%B> %D{%h %e %T} %E %A:" }

func (m *libcMethod) write(s *Sink, facility, severity int, line string) {
	if facility == 0 {
		facility = facilityDaemon
	}
	b := fmt.Appendf(nil, "<%d>", facility|severity)
	b = Strftime(b, "%h %e %T", s.wall())
	m.d.send(fmt.Appendf(b, " %s: %s", s.program, line))
}

// datagram is a socket that comes into being with the first message. It never
// waits and never fails: what cannot be sent is lost.
type datagram struct {
	network, address string
	// fd is valid once open is set.
	fd   int
	open bool
	// longest is what longer messages are cut to, 0 before one was refused.
	longest int
}

func (d *datagram) send(b []byte) {
	if !d.open && !d.connect() {
		return
	}
	if d.longest > 0 && len(b) > d.longest {
		b = b[:d.longest]
	}
	for len(b) > 0 {
		_, err := unix.SendmsgN(d.fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EMSGSIZE:
			b = b[:len(b)-max(len(b)/20, 1)]
			d.longest = len(b)
			continue
		case err != nil && d.network == "unixgram" && err != unix.EAGAIN:
			// The system log was restarted: try again with the next message.
			unix.Close(d.fd)
			d.open = false
		}
		return
	}
}

func (d *datagram) connect() bool {
	family, addr := unix.AF_UNIX, unix.Sockaddr(&unix.SockaddrUnix{Name: d.address})
	if d.network == "udp" {
		ap, err := netip.ParseAddrPort(d.address)
		if err != nil {
			return false
		}
		family, addr = sockaddr.Of(ap)
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return false
	}
	if err := unix.Connect(fd, addr); err != nil {
		unix.Close(fd)
		return false
	}
	d.fd, d.open = fd, true
	return true
}
