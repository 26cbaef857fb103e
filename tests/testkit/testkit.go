// Package testkit starts a switch with private directories in a network namespace
// of its own, and hosts in others beside it, for end-to-end tests with stock tools.
//
// Everything that it makes (namespaces, processes, directories) is removed when the
// test ends, also when it fails; processes are ended by pid.
package testkit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Need skips the test unless end-to-end tests are asked for (SLUICE_E2E=1), and
// fails it when they are but cannot run.
func Need(t testing.TB, tools ...string) {
	t.Helper()
	if os.Getenv("SLUICE_E2E") == "" {
		t.Skip("SLUICE_E2E is not set")
	}
	if os.Geteuid() != 0 {
		t.Fatal("end-to-end tests need root")
	}
	for _, tool := range append(tools, "ip", "ovs-vsctl", "ovs-ofctl", "ovs-appctl", "ovsdb-tool") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v (make deps)", err)
		}
	}
}

var serial atomic.Int32

// unique makes a name that no other test on the machine uses.
func unique(prefix string) string {
	return fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), serial.Add(1))
}

// Host is a network namespace.
type Host struct {
	t    testing.TB
	Name string
}

// NewHost makes a namespace without IPv6 autoconfiguration.
func NewHost(t testing.TB, prefix string) *Host {
	t.Helper()
	h := &Host{t, unique(prefix)}
	h.must("ip", "netns", "add", h.Name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", h.Name).Run() })
	h.Run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
	h.Run("ip", "link", "set", "lo", "up")
	return h
}

func (h *Host) must(name string, args ...string) string {
	h.t.Helper()
	out, err := output(h.t, exec.Command(name, args...))
	if err != nil {
		h.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// Command is a command inside the namespace.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", h.Name, name}, args...)...)
}

// Run runs a command inside the namespace and fails the test if it fails.
func (h *Host) Run(name string, args ...string) string {
	h.t.Helper()
	out, err := output(h.t, h.Command(name, args...))
	if err != nil {
		h.t.Fatalf("in %s: %s %s: %v\n%s", h.Name, name, strings.Join(args, " "), err, out)
	}
	return out
}

// Try is Run that returns the error.
func (h *Host) Try(name string, args ...string) (string, error) {
	return output(h.t, h.Command(name, args...))
}

// commandLimit bounds each command of a test.
const commandLimit = 60 * time.Second

func output(t testing.TB, cmd *exec.Cmd) (string, error) {
	var buf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buf, &buf
	// A child that keeps the pipe open must not hang the test.
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Start(); err != nil {
		return "", err
	}
	timer := time.AfterFunc(commandLimit, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	return buf.String(), err
}

// Start runs a command inside the namespace until the test ends.
func (h *Host) Start(name string, args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := h.Command(name, args...)
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	h.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-done
		}
	})
	return cmd
}

// Switch is a running database and switch.
type Switch struct {
	*Host
	Dir string // run, log and database directory
	Bin string // where the daemons are
	env []string
}

// Options of a switch.
type Options struct {
	// AllInOne starts `sluice run` instead of two daemons.
	AllInOne bool
	// Vswitchd and Server are more arguments of the daemons.
	Vswitchd, Server []string
	// Env is more environment.
	Env []string
	// NoStart leaves the daemons to the test.
	NoStart bool
	// Bin is where the daemons are; "": SLUICE_BIN, or bin/ of the module.
	Bin string
}

// NewSwitch starts a switch in a namespace of its own.
func NewSwitch(t testing.TB, o Options) *Switch {
	t.Helper()
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			showLogs(t, dir)
		}
		os.RemoveAll(dir)
	})
	s := &Switch{Host: NewHost(t, "sw"), Dir: dir, Bin: o.Bin}
	if s.Bin == "" {
		s.Bin = binDir(t)
	}
	s.env = append(os.Environ(), "OVS_RUNDIR="+dir, "OVS_LOGDIR="+dir, "OVS_DBDIR="+dir, "OVS_SYSCONFDIR="+dir,
		"OVN_RUNDIR="+dir, "OVN_LOGDIR="+dir, "OVN_DBDIR="+dir, "OVN_SYSCONFDIR="+dir,
		"PATH="+s.Bin+":"+os.Getenv("PATH"))
	s.env = append(s.env, o.Env...)
	t.Cleanup(s.stop)
	if o.NoStart {
		return s
	}
	if o.AllInOne {
		s.Tool(filepath.Join(s.Bin, "sluice"), append([]string{"run", "--detach", "--pidfile", "--log-file"}, o.Vswitchd...)...)
		return s
	}
	s.StartServer(o.Server...)
	s.StartVswitchd(o.Vswitchd...)
	return s
}

// StartServer starts the database server on conf.db, which is made if missing.
func (s *Switch) StartServer(args ...string) {
	s.t.Helper()
	db := filepath.Join(s.Dir, "conf.db")
	if _, err := os.Stat(db); err != nil {
		s.Tool("ovsdb-tool", "create", db, "/usr/share/openvswitch/vswitch.ovsschema")
	}
	s.Tool(filepath.Join(s.Bin, "ovsdb-server"), append([]string{db, "--detach", "--no-chdir", "--pidfile", "--log-file",
		"--remote=punix:" + s.Dir + "/db.sock", "--remote=db:Open_vSwitch,Open_vSwitch,manager_options"}, args...)...)
	s.Vsctl("--no-wait", "init")
}

// StartVswitchd starts the switch.
func (s *Switch) StartVswitchd(args ...string) {
	s.t.Helper()
	s.Tool(filepath.Join(s.Bin, "ovs-vswitchd"), append([]string{"unix:" + s.Dir + "/db.sock",
		"--detach", "--no-chdir", "--pidfile", "--log-file"}, args...)...)
}

// binDir is SLUICE_BIN or bin/ of the module.
func binDir(t testing.TB) string {
	if dir := os.Getenv("SLUICE_BIN"); dir != "" {
		return dir
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir := wd; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "bin")
		}
	}
	t.Fatal("no go.mod above the test")
	return ""
}

// Tool runs a program with the switch's environment inside its namespace.
func (s *Switch) Tool(name string, args ...string) string {
	s.t.Helper()
	out, err := s.TryTool(name, args...)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return out
}

// TryTool is Tool that returns the error.
func (s *Switch) TryTool(name string, args ...string) (string, error) {
	cmd := s.Command(name, args...)
	cmd.Env = s.env
	return output(s.t, cmd)
}

// Vsctl, Ofctl and Appctl run the stock tools against the switch.
func (s *Switch) Vsctl(args ...string) string {
	s.t.Helper()
	return strings.TrimSpace(s.Tool("ovs-vsctl", append([]string{"--timeout=20"}, args...)...))
}

// Ofctl runs ovs-ofctl.
func (s *Switch) Ofctl(args ...string) string { s.t.Helper(); return s.Tool("ovs-ofctl", args...) }

// Appctl runs ovs-appctl.
func (s *Switch) Appctl(args ...string) string {
	s.t.Helper()
	return s.Tool("ovs-appctl", append([]string{"--timeout=20"}, args...)...)
}

// Pid reads a daemon's pidfile; 0 when there is none.
func (s *Switch) Pid(program string) int {
	b, err := os.ReadFile(filepath.Join(s.Dir, program+".pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// stop ends the daemons by pid.
func (s *Switch) stop() {
	for _, program := range []string{"ovs-vswitchd", "ovsdb-server"} {
		s.Stop(program, syscall.SIGTERM)
	}
}

// Stop ends the daemon of a pidfile, which it removes if the daemon could not, and
// waits until it is gone.
func (s *Switch) Stop(program string, sig syscall.Signal) {
	pid := s.Pid(program)
	if pid == 0 {
		return
	}
	syscall.Kill(pid, sig)
	if !Gone(pid, 5*time.Second) {
		syscall.Kill(pid, syscall.SIGKILL)
		Gone(pid, 5*time.Second)
	}
	os.Remove(filepath.Join(s.Dir, program+".pid"))
}

// Daemon starts another daemon with the switch's environment, which writes its
// pidfile and log under the given name; it is stopped when the test ends.
func (s *Switch) Daemon(name, program string, args ...string) {
	s.t.Helper()
	s.t.Cleanup(func() { s.Stop(name, syscall.SIGTERM) })
	s.Tool(program, append([]string{"--detach", "--no-chdir", "-vconsole:off",
		"--pidfile=" + filepath.Join(s.Dir, name+".pid"), "--log-file=" + filepath.Join(s.Dir, name+".log")}, args...)...)
}

// Gone waits until a process has ended.
func Gone(pid int, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if syscall.Kill(pid, 0) != nil || zombie(pid) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// zombie says whether a process has ended, with all its threads, but its parent has
// not heard of it yet: an init that looks only now and then leaves daemons like that
// for a second.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	if !bytes.HasPrefix(rest, []byte("Z")) {
		return false
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return err == nil && len(threads) == 1
}

// Eventually polls until ok holds; it fails the test after the limit.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within %v: %s", limit, what)
		case <-tick.C:
		}
	}
}

// Veth connects a host to the switch's namespace: ifname inside the host with
// address cidr ("" for none), port in the switch's namespace.
func (s *Switch) Veth(h *Host, port, ifname, cidr string) {
	s.t.Helper()
	s.must("ip", "link", "add", port, "netns", s.Name, "type", "veth", "peer", "name", ifname, "netns", h.Name)
	s.Run("ip", "link", "set", port, "up")
	if cidr != "" {
		h.Run("ip", "addr", "add", cidr, "dev", ifname)
	}
	h.Run("ip", "link", "set", ifname, "up")
}

// Ping sends n echo requests and fails unless all are answered.  They begin when the
// first answer has come: a link that was attached just now may lose what is in its
// queues at that moment.
func (h *Host) Ping(addr string, n int) {
	h.t.Helper()
	Eventually(h.t, 10*time.Second, h.Name+" reaches "+addr, func() bool {
		_, err := h.Try("ping", "-q", "-n", "-W", "1", "-c", "1", addr)
		return err == nil
	})
	out := h.Run("ping", "-q", "-n", "-i", "0.05", "-W", "2", "-c", strconv.Itoa(n), addr)
	if !strings.Contains(out, " 0% packet loss") {
		h.t.Fatalf("ping %s from %s:\n%s", addr, h.Name, out)
	}
}

// showLogs prints the ends of the daemons' logs of a failed test.
func showLogs(t testing.TB, dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if len(b) > 6000 {
			b = b[len(b)-6000:]
		}
		t.Logf("%s:\n%s", filepath.Base(f), b)
	}
}
