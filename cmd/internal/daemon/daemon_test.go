package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/poll"
	"sluice/ovsdb/unixctl"
)

// TestMain lets the test binary be a small daemon, so that tests can run one.
func TestMain(m *testing.M) {
	if os.Getenv("DAEMON_TEST_MAIN") != "" {
		testDaemon()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func testDaemon() {
	d := New(os.Args)
	d.Usage = func() string { return "usage: " + d.Name + d.DaemonUsage() + d.LogUsage() }
	fail := false
	rest := d.Parse(Option{Long: "fail", Set: func(string, bool) error { fail = true; return nil }}, d.MlockallOption())
	d.Start()
	d.Listen()
	if fail {
		d.Fatal("told to fail")
	}
	d.Clock.RegisterTimeCommands(d.Ctl)
	d.RegisterExit("", 0, nil)
	d.OnMemory(func() []Count { return []Count{{"words", uint64(len(rest))}, {"apples", 3}} })
	d.Ctl.Register("now", "", 0, 0, func(r *unixctl.Request) { r.Replyf("%d", d.Clock.Now()) })
	d.Ctl.Register("state", "[TEXT]", 0, 1, func(r *unixctl.Request) {
		if len(r.Args) > 0 {
			d.StateFile().WriteAt([]byte(r.Args[0]), 0)
		}
		b := make([]byte, 100)
		n, _ := d.StateFile().ReadAt(b, 0)
		r.Reply(string(b[:n]))
	})
	d.Complete()
	var set poll.Set
	for !d.Exiting() {
		d.Run(d.Clock.Now())
		d.Wait(&set)
		d.Block(&set)
	}
	d.Close()
}

type runner struct {
	t   *testing.T
	dir string
}

func newRunner(t *testing.T) *runner { return &runner{t, t.TempDir()} }

func (r *runner) command(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "/somewhere/testd"
	cmd.Env = append(os.Environ(), "DAEMON_TEST_MAIN=1", "OVS_RUNDIR="+r.dir, "OVS_LOGDIR="+r.dir, "OVS_SYSLOG_METHOD=null")
	cmd.Dir = r.dir
	return cmd
}

// run runs the daemon's first process and returns its output and status.
func (r *runner) run(args ...string) (string, int) {
	r.t.Helper()
	out, err := r.command(args...).CombinedOutput()
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		return string(out), ee.ExitCode()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return string(out), 0
}

func (r *runner) pid() int {
	b, _ := os.ReadFile(r.dir + "/testd.pid")
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

func (r *runner) ctl(pid int, cmd string, args ...string) string {
	r.t.Helper()
	text, _, err := unixctl.Call(fmt.Sprintf("%s/testd.%d.ctl", r.dir, pid), cmd, args...)
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSuffix(text, "\n")
}

// eventually waits for a condition that another process brings about.
func (r *runner) eventually(what string, f func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: not within 30 seconds", what)
		}
		var s poll.Set
		s.Timer(2)
		s.Block(0)
	}
}

func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}

func exists(name string) bool { _, err := os.Stat(name); return err == nil }

func TestDetach(t *testing.T) {
	r := newRunner(t)
	out, status := r.run("--detach", "--pidfile", "--log-file", "a", "b", "--mlockall")
	if status != 0 || strings.Contains(out, "WARN") {
		t.Fatalf("%d %q", status, out)
	}
	pid := r.pid()
	defer syscall.Kill(pid, syscall.SIGKILL)
	if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); string(comm) != "testd\n" {
		t.Errorf("comm %q", comm)
	}
	if cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); cwd != "/" {
		t.Errorf("cwd %q", cwd)
	}
	if fd, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/2", pid)); fd != "/dev/null" {
		t.Errorf("stderr %q", fd)
	}
	if got := r.ctl(pid, "memory/show"); got != "apples:3 words:2" {
		t.Errorf("memory/show: %q", got)
	}
	if got := r.ctl(pid, "version"); got != "testd (Open vSwitch) 3.1.0" {
		t.Errorf("version: %q", got)
	}
	if out, status := r.run("--detach", "--pidfile"); status != 1 || !strings.Contains(out, "already running as pid "+strconv.Itoa(pid)) {
		t.Errorf("second daemon: %d %q", status, out)
	}
	r.ctl(pid, "exit")
	r.eventually("exit", func() bool { return gone(pid) })
	if exists(r.dir+"/testd.pid") || exists(fmt.Sprintf("%s/testd.%d.ctl", r.dir, pid)) {
		t.Error("files left behind")
	}
	logged, _ := os.ReadFile(r.dir + "/testd.log")
	if !strings.Contains(string(logged), "|00001|vlog|INFO|opened log file "+r.dir+"/testd.log\n") {
		t.Errorf("log %q", logged)
	}
}

func TestSignal(t *testing.T) {
	r := newRunner(t)
	cmd := r.command("--pidfile", "-vconsole:off")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.eventually("pidfile", func() bool { return r.pid() != 0 && answers(fmt.Sprintf("%s/testd.%d.ctl", r.dir, r.pid())) })
	if r.pid() != cmd.Process.Pid {
		t.Errorf("pidfile %d, process %d", r.pid(), cmd.Process.Pid)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v", cmd.ProcessState)
	}
	if left, _ := os.ReadDir(r.dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestMonitor(t *testing.T) {
	r := newRunner(t)
	if out, status := r.run("--detach", "--monitor", "--pidfile", "--no-chdir", "--log-file"); status != 0 {
		t.Fatalf("%d %q", status, out)
	}
	pid := r.pid()
	r.ctl(pid, "state", "kept")
	ppid := parent(t, pid)
	if title, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", ppid)); !strings.Contains(string(title), fmt.Sprintf("testd: monitoring pid %d (healthy)", pid)) {
		t.Logf("title %q", title) // cut to the room that the arguments had
	}
	syscall.Kill(pid, syscall.SIGSEGV)
	r.eventually("restart", func() bool { return r.pid() != pid && r.pid() != 0 })
	second := r.pid()
	r.eventually("control socket", func() bool { return answers(fmt.Sprintf("%s/testd.%d.ctl", r.dir, second)) })
	if parent(t, second) != ppid {
		t.Error("the monitor changed")
	}
	if got := r.ctl(second, "state"); got != "kept" {
		t.Errorf("state after restart: %q", got)
	}
	syscall.Kill(second, syscall.SIGTERM)
	r.eventually("end", func() bool { return gone(second) && gone(ppid) })
	logged, _ := os.ReadFile(r.dir + "/testd.log")
	for _, want := range []string{"1 crashes: pid " + strconv.Itoa(pid) + " died, killed (Aborted)", "died, killed (Terminated), exiting"} {
		if !strings.Contains(string(logged), want) {
			t.Errorf("no %q in %s", want, logged)
		}
	}
}

// answers says whether somebody listens on a socket: its file is there a moment before.
func answers(path string) bool {
	c, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	n, _ := strconv.Atoi(f[1])
	return n
}

func TestStartupErrors(t *testing.T) {
	for _, args := range [][]string{
		{"--detach", "--pidfile", "--fail"}, {"--detach", "--monitor", "--pidfile", "--fail"}, {"--fail", "--pidfile"},
	} {
		r := newRunner(t)
		out, status := r.run(args...)
		if status != 1 || !strings.Contains(out, "testd: told to fail") || exists(r.dir+"/testd.pid") {
			t.Errorf("%v: %d %q", args, status, out)
		}
	}
	r := newRunner(t)
	out, status := r.run("--detach", "--unixctl=nowhere/x")
	if status != 1 || !strings.Contains(out, "could not initialize control socket") {
		t.Errorf("%d %q", status, out)
	}
}

func TestCommandLine(t *testing.T) {
	for _, tc := range []struct {
		args   string
		want   string
		status int
	}{
		{"--version", "testd (Open vSwitch) 3.1.0\n", 0},
		{"-V", "testd (Open vSwitch) 3.1.0\n", 0},
		{"--vers", "testd (Open vSwitch) 3.1.0\n", 0},
		{"--nonsense", "testd: unrecognized option '--nonsense'\n", 1},
		{"--p", "testd: option '--p' is ambiguous; possibilities: '--pidfile' '--private-key' '--peer-ca-cert'\n", 1},
		{"--unixctl", "testd: option '--unixctl' requires an argument\n", 1},
		{"--detach=3", "testd: option '--detach' doesn't allow an argument\n", 1},
		{"-x", "testd: invalid option -- 'x'\n", 1},
		{"-vnothing", "testd: processing \"nothing\": no destination, level, or module \"nothing\"\n", 1},
	} {
		out, status := newRunner(t).run(strings.Fields(tc.args)...)
		if out != tc.want || status != tc.status {
			t.Errorf("%s: %d %q", tc.args, status, out)
		}
	}
}

func TestWarp(t *testing.T) {
	r := newRunner(t)
	if out, status := r.run("--detach", "--pidfile"); status != 0 {
		t.Fatal(out)
	}
	pid := r.pid()
	defer syscall.Kill(pid, syscall.SIGTERM)
	r.ctl(pid, "time/stop")
	before, _ := strconv.Atoi(r.ctl(pid, "now"))
	if got := r.ctl(pid, "time/warp", "2500", "1000"); got != "warped" {
		t.Errorf("%q", got)
	}
	r.ctl(pid, "time/warp", "7")
	if after, _ := strconv.Atoi(r.ctl(pid, "now")); after-before != 2507 {
		t.Errorf("warped by %d ms", after-before)
	}
	if got := r.ctl(pid, "time/warp", "0"); got != "invalid MSECS" {
		t.Errorf("%q", got)
	}
}

func TestGetopt(t *testing.T) {
	var got []string
	note := func(name string) func(string, bool) error {
		return func(s string, given bool) error {
			got = append(got, fmt.Sprintf("%s=%q,%v", name, s, given))
			return nil
		}
	}
	options := []Option{
		{Long: "alpha", Short: 'a', Set: note("a")}, {Long: "beta", Short: 'b', Arg: RequiredArg, Set: note("b")},
		{Long: "verbose", Short: 'v', Arg: OptionalArg, Set: note("v")}, {Long: "alphabet", Set: note("bet")},
	}
	rest, err := parseOptions(options, strings.Fields("x -ab1 -v -vfoo y --alpha --verb=z --beta 2 -b 3 --alphab -av -- -a"))
	want := []string{`a="",false`, `b="1",true`, `v="",false`, `v="foo",true`, `a="",false`, `v="z",true`, `b="2",true`,
		`b="3",true`, `bet="",false`, `a="",false`, `v="",false`}
	if err != nil || !cmp.Equal(got, want) || !cmp.Equal(rest, []string{"x", "y", "-a"}) {
		t.Errorf("%v %v\n%s", err, rest, cmp.Diff(want, got))
	}
}
