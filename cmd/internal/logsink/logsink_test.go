package logsink

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"sluice/internal/vlog"
	"sluice/ovsdb/unixctl"
)

// newSink makes a sink whose console is a file, at a fixed time.
func newSink(t *testing.T) (*Sink, func() string) {
	t.Helper()
	dir := t.TempDir()
	at := time.Date(2024, 3, 7, 8, 9, 10, 45e6, time.UTC)
	s := New("prog", dir, func() time.Time { return at })
	s.method = nullMethod{}
	console, err := os.Create(filepath.Join(dir, "console"))
	if err != nil {
		t.Fatal(err)
	}
	s.console = console
	s.Install()
	t.Cleanup(func() {
		s.CloseFile()
		vlog.SetThreadSink(nil)
		console.Close()
		for d := range vlog.NDests {
			AllLevels(d, vlog.Info)
		}
	})
	return s, func() string {
		b, _ := os.ReadFile(console.Name())
		os.Truncate(console.Name(), 0)
		console.Seek(0, 0)
		return string(b)
	}
}

var testLog = vlog.New("test_module")

func TestPatterns(t *testing.T) {
	s, console := newSink(t)
	host := hostname()
	for _, tc := range []struct{ pattern, want string }{
		{"", "2024-03-07T08:09:10Z|00001|test_module|WARN|hello"},
		{"%m", "hello"}, {"%A", "prog"}, {"%c/%p", "test_module/WARN"}, {"%E", host},
		{"%8p|%-8p|%08p|", "    WARN|WARN    |0000WARN|"}, {"%2p", "WARN"},
		{"%5N%%%q", "    1%q"}, {"%B", "132"}, {"a%nb", "a\nb"}, {"%t%T", "main"}, {"%r", "0"},
		{"%D{%H-%M-%S.###}", "08-09-10.045"}, {"%D", "2024-03-07 08:09:10.045"},
		{"%D{%a %b %e %j %y %h %T %F %s %k %u %C %%}", "Thu Mar  7 067 24 Mar 08:09:10 2024-03-07 1709798950  8 4 20 %"},
		{"%D{unclosed", "unclosed"}, {"%", ""}, {"%-05", ""},
	} {
		if tc.pattern != "" {
			s.SetPattern(vlog.Console, tc.pattern)
		}
		s.seq.Store(0)
		testLog.Warn("hello\n\n")
		if got := console(); got != tc.want+"\n" {
			t.Errorf("%q: %q, want %q", tc.pattern, got, tc.want)
		}
	}
}

func TestThreadName(t *testing.T) {
	s, console := newSink(t)
	s.SetPattern(vlog.Console, "%c%T|%t|%m")
	testLog.As("pmd-c01/id:7").Info("x")
	if got := console(); got != "test_module(pmd-c01/id:7)|pmd-c01/id:7|x\n" {
		t.Errorf("%q", got)
	}
}

func TestSpecifications(t *testing.T) {
	s, _ := newSink(t)
	for _, tc := range []struct{ spec, console, syslog, file, err string }{
		{spec: "test_module:console:dbg", console: "DBG", syslog: "INFO", file: "INFO"},
		{spec: "warn", console: "WARN", syslog: "WARN", file: "WARN"},
		{spec: "file", console: "WARN", syslog: "WARN", file: "DBG"},
		{spec: "TEST_MODULE, off", console: "OFF", syslog: "OFF", file: "OFF"},
		{spec: "ANY:ANY:err", console: "ERR", syslog: "ERR", file: "ERR"},
		{spec: "", console: "DBG", syslog: "DBG", file: "DBG"},
		{spec: "foo", err: `no destination, level, or module "foo"`},
		{spec: "dbg:info", err: "cannot specify multiple levels"},
		{spec: "file:console", err: "cannot specify multiple destinations"},
		{spec: "vlog:test_module", err: "cannot specify multiple modules"},
		{spec: "PATTERN", err: "missing destination"},
		{spec: "PATTERN:foo:%m", err: `unknown destination "foo"`},
		{spec: "FACILITY:foo", err: "invalid facility"},
	} {
		err := s.Set(tc.spec)
		if tc.err != "" {
			if err == nil || err.Error() != tc.err {
				t.Errorf("%s: %v", tc.spec, err)
			}
			continue
		}
		got := []string{testLog.LevelOf(vlog.Console).String(), testLog.LevelOf(vlog.Syslog).String(), testLog.LevelOf(vlog.File).String()}
		if d := cmp.Diff([]string{tc.console, tc.syslog, tc.file}, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", tc.spec, err, d)
		}
	}
	if s.Set("PATTERN:file:%m: %p") != nil || s.Set("FACILITY:LOCAL7") != nil {
		t.Error("pattern or facility refused")
	}
	want := "         prefix                            format\n         ------                            ------\n" +
		"SYSLOG                                     ovs|%05N|%c%T|%p|%m\n" +
		"CONSOLE  none                              %D{%Y-%m-%dT%H:%M:%SZ}|%05N|%c%T|%p|%m\n" +
		"FILE     none                              %m: %p\n"
	if d := cmp.Diff(want, s.Patterns()); d != "" {
		t.Error(d)
	}
}

func TestFile(t *testing.T) {
	s, _ := newSink(t)
	s.SetPattern(vlog.File, "%m")
	testLog.Info("lost")
	if err := s.OpenFile(""); err != nil {
		t.Fatal(err)
	}
	name := s.FileName()
	testLog.Info("one")
	os.Rename(name, name+".1")
	testLog.Info("two")
	if err := s.Reopen(); err != nil {
		t.Fatal(err)
	}
	s.Reopen() // the same file: nothing happens
	testLog.Info("three")
	s.CloseFile()
	testLog.Info("lost")
	s.Reopen()
	testLog.Info("four")
	old, _ := os.ReadFile(name + ".1")
	cur, _ := os.ReadFile(name)
	opened := "opened log file " + name + "\n"
	if d := cmp.Diff(opened+"one\ntwo\nclosing log file\n", string(old)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(opened+"three\n"+opened+"four\n", string(cur)); d != "" {
		t.Error(d)
	}
	if s.OpenFile("/nowhere/x") == nil {
		t.Error("opened a file in no directory")
	}
}

func TestSyslog(t *testing.T) {
	s, _ := newSink(t)
	s.method = nil
	name := filepath.Join(t.TempDir(), "log")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := s.SetSyslogMethod("unix:" + name); err != nil {
		t.Fatal(err)
	}
	next := func() string {
		b := make([]byte, 1<<20)
		n, err := l.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	testLog.Warn("two\nlines")
	if got := next() + "+" + next(); got != "<28>ovs|00001|test_module|WARN|two+<28>lines" {
		t.Errorf("%q", got)
	}
	s.Set("FACILITY:local1")
	testLog.Err("x")
	if got := next(); got != "<139>ovs|00002|test_module|ERR|x" {
		t.Errorf("%q", got)
	}
	// A message larger than the socket takes is cut.
	testLog.Err("%s", strings.Repeat("y", 4<<20))
	if got := next(); !strings.HasPrefix(got, "<139>ovs|00003|test_module|ERR|yyyy") {
		t.Errorf("%.100q", got)
	}
	if err := s.SetSyslogMethod("null"); err != nil {
		t.Error("a second method must be ignored, not refused")
	}
	if _, err := newMethod("foo"); err == nil || err.Error() != "unsupported syslog method 'foo'" {
		t.Errorf("%v", err)
	}
}

func TestZap(t *testing.T) {
	s, console := newSink(t)
	s.SetPattern(vlog.Console, "%c|%p|%m")
	z := zap.New(s.Core()).Named("test_module")
	z.Debug("not wanted")
	z.Info("from zap", zap.Int("left out", 1))
	if got := console(); got != "test_module|INFO|from zap\n" {
		t.Errorf("%q", got)
	}
}

func TestCommands(t *testing.T) {
	s, _ := newSink(t)
	ctl := unixctl.New("v")
	s.Register(ctl)
	for _, tc := range []struct {
		cmd, want string
		ok        bool
	}{
		{"vlog/set test_module:console:dbg", "", true},
		{"vlog/set nonsense", "no destination, level, or module \"nonsense\"\n", false},
		{"vlog/disable-rate-limit test_module", "", true},
		{"vlog/enable-rate-limit nonsense", "unknown module\n", false},
		{"vlog/reopen", "Logging to file not configured\n", false},
		{"vlog/close", "", true},
	} {
		f := strings.Fields(tc.cmd)
		ctl.Call(f[0], f[1:], func(text string, ok bool) {
			if text != tc.want || ok != tc.ok {
				t.Errorf("%s: %q %v", tc.cmd, text, ok)
			}
		})
	}
	if want := "test_module        DBG       INFO       INFO    (rate limiting disabled)\n"; !strings.Contains(s.Levels(), want) {
		t.Errorf("no %q in\n%s", want, s.Levels())
	}
	ctl.Call("vlog/enable-rate-limit", nil, func(string, bool) {})
	if !testLog.RateLimited() {
		t.Error("rate limits must be on again")
	}
}

func FuzzFormat(f *testing.F) {
	for _, p := range defaultPatterns {
		f.Add(p)
	}
	f.Add("%-0123456789999p%D{%")
	s := New("prog", "", func() time.Time { return time.Unix(0, 0) })
	f.Fuzz(func(t *testing.T, p string) {
		s.format(nil, p, &record{testLog, "", vlog.Info, "text", time.Unix(0, 0), 1})
		s.Set("PATTERN:console:" + p)
	})
}
