package stream

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/internal/poll"
)

// until waits for f to stop answering ErrAgain.
func until(t *testing.T, wait func(*poll.Set), f func() error) error {
	t.Helper()
	for {
		err := f()
		if err != ErrAgain {
			return err
		}
		var s poll.Set
		wait(&s)
		if err := s.Block(0); err != nil {
			t.Fatal(err)
		}
	}
}

func accept(t *testing.T, l Listener) Conn {
	t.Helper()
	var c Conn
	if err := until(t, l.Wait, func() (err error) { c, err = l.Accept(); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func write(t *testing.T, c Conn, text string) {
	t.Helper()
	p := []byte(text)
	for len(p) > 0 {
		n := 0
		err := until(t, func(s *poll.Set) { c.Wait(s, false, false, true) }, func() (err error) { n, err = c.Write(p); return err })
		if err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
}

func readN(t *testing.T, c Conn, n int) string {
	t.Helper()
	var got []byte
	buf := make([]byte, 65536)
	for len(got) < n {
		m := 0
		err := until(t, func(s *poll.Set) { c.Wait(s, false, true, false) }, func() (err error) { m, err = c.Read(buf); return err })
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(got), err)
		}
		got = append(got, buf[:m]...)
	}
	return string(got)
}

func exchange(t *testing.T, l Listener, target string, o Options) (client, server Conn) {
	t.Helper()
	c, err := Open(target, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s := accept(t, l)
	if err := until(t, func(p *poll.Set) { c.Wait(p, true, false, false); s.Wait(p, true, false, false) }, c.Connect); err != nil {
		t.Fatal(err)
	}
	write(t, c, "ping")
	if got := readN(t, s, 4); got != "ping" {
		t.Errorf("server read %q", got)
	}
	write(t, s, "pong")
	if got := readN(t, c, 4); got != "pong" {
		t.Errorf("client read %q", got)
	}
	return c, s
}

func eof(t *testing.T, c Conn) {
	t.Helper()
	var b [1]byte
	err := until(t, func(s *poll.Set) { c.Wait(s, false, true, false) }, func() error { _, err := c.Read(b[:]); return err })
	if err != io.EOF {
		t.Errorf("want EOF, not %v", err)
	}
}

func TestTCP(t *testing.T) {
	for _, tc := range []struct{ passive, active, accepted string }{
		{"ptcp:0:127.0.0.1", "tcp:127.0.0.1:", "tcp:127.0.0.1:"},
		{"ptcp:0:[::1]", "tcp:[::1]:", "tcp:[::1]:"},
	} {
		l, err := Listen(tc.passive, Options{})
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			t.Logf("no IPv6 here: %v", err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		port := l.BoundPort()
		c, s := exchange(t, l, tc.active+itoa(port), Options{DSCP: 48})
		if !strings.HasPrefix(s.Name(), tc.accepted) || c.Name() != tc.active+itoa(port) {
			t.Errorf("names %q %q", s.Name(), c.Name())
		}
		s.Close()
		eof(t, c)
		l.Close()
		if c, err := Open(tc.active+itoa(port), Options{}); err == nil {
			err = until(t, func(p *poll.Set) { c.Wait(p, true, false, false) }, c.Connect)
			if !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("closed port: %v", err)
			}
		}
	}
}

func itoa(n int) string {
	var b [8]byte
	i := len(b)
	for ; n > 0; n /= 10 {
		i--
		b[i] = byte('0' + n%10)
	}
	return string(b[i:])
}

func TestUnix(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, strings.Repeat("d", 100))
	if err := os.Mkdir(long, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{RunDir: dir}, {RunDir: long}} {
		for range 2 { // the second time over a stale file
			l, err := Listen("punix:sock", o)
			if err != nil {
				t.Fatal(err)
			}
			_, s := exchange(t, l, "unix:sock", o)
			if !strings.HasPrefix(s.Name(), "unix#") {
				t.Errorf("name %q", s.Name())
			}
			fi, err := os.Stat(o.RunDir + "/sock")
			if err != nil || fi.Mode().Perm()&^unixMode != 0 {
				t.Errorf("socket file: %v %v", fi, err)
			}
			l.(*fdListener).unlink = ""
			l.Close()
		}
	}
	if _, err := Open("unix:nothing", Options{RunDir: dir}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("missing socket: %v", err)
	}
}

func TestBadTargets(t *testing.T) {
	for _, target := range []string{"", "tcp", "foo:bar", "tcp:", "tcp:127.0.0.1", "tcp:127.0.0.1:99999", "tcp:[::1", "tcp:a:b:c:1"} {
		if c, err := Open(target, Options{}); err == nil {
			t.Errorf("%q opened %v", target, c.Name())
		}
	}
	for _, target := range []string{"ptcp:x", "pfoo:", "ptcp:1:1.2.3.4.5x"} {
		if l, err := Listen(target, Options{}); err == nil {
			t.Errorf("%q listens at %v", target, l.Name())
		}
	}
}

func TestDefaultPort(t *testing.T) {
	for in, want := range map[string]string{
		"tcp:1.2.3.4": "tcp:1.2.3.4:6640", "tcp:1.2.3.4:5": "tcp:1.2.3.4:5",
		"ptcp:": "ptcp:6640", "unix:x": "unix:x", "pssl:": "pssl:6640", "ssl:h": "ssl:h:6640",
	} {
		if got := WithDefaultPort(in, 6640); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func FuzzTokens(f *testing.F) {
	for _, s := range []string{"1.2.3.4:5", "[::1]:6", "::1", "7:[::]", ":", "[", "]:["} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, port := splitHostPort(s)
		if strings.Contains(host, ":") && port == "" {
			return
		}
		parseAddr("x", "", port)
		splitPortHost(s)
	})
}

// Out of descriptors, a waiting connection is refused, not left to keep the
// listener readable.
//
// The test runs in a process of its own: goroutines of others (name lookups, TLS)
// would take the descriptors that it counts on.
func TestNoDescriptors(t *testing.T) {
	const alone = "STREAM_TEST_ALONE"
	if os.Getenv(alone) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoDescriptors$")
		cmd.Env = append(os.Environ(), alone+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	o := Options{RunDir: t.TempDir()}
	l, err := Listen("punix:s", o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var before unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &before)
	c, err := Open("unix:s", o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: before.Max})
	var used []int
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		used = append(used, fd)
	}
	_, first := l.Accept()
	_, second := l.Accept()
	unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	for _, fd := range used {
		unix.Close(fd)
	}
	if !errors.Is(first, unix.EMFILE) || second != ErrAgain {
		t.Errorf("accept: %v, then %v", first, second)
	}
	eof(t, c)
}
