// Package nstest gives tests network namespaces and veth pairs of their own.
//
// Main runs all tests of a package in a fresh network and mount namespace, so
// that nothing that a test leaves behind outlives its process and nothing of the
// machine is in its way.  New makes further namespaces for peers.
package nstest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const marker = "SLUICE_NSTEST"

// Main runs the tests of m in a namespace of their own when the process may make
// one; otherwise the tests that call Need are skipped.
func Main(m *testing.M) {
	if os.Getenv(marker) != "" || os.Geteuid() != 0 || fuzzing() {
		if os.Getenv(marker) != "" {
			setUp()
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), marker+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode())
	}
	fmt.Fprintln(os.Stderr, "nstest:", err)
	os.Exit(1)
}

// fuzzing reports that this is a fuzzing process: those talk to each other over
// descriptors that a further process would not have.
func fuzzing() bool {
	for _, arg := range os.Args[1:] {
		if strings.HasPrefix(arg, "-test.fuzz=") || strings.HasPrefix(arg, "-test.fuzzworker") {
			return true
		}
	}
	return false
}

func setUp() {
	must := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "nstest:", err)
			os.Exit(1)
		}
	}
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	// sysfs shows the namespace of its mounter.
	must(unix.Mount("sysfs", "/sys", "sysfs", 0, ""))
	must(unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, ""))
	quiet()
	lo, err := netlink.LinkByName("lo")
	must(err)
	must(netlink.LinkSetUp(lo))
}

// quiet keeps IPv6 from sending packets of its own in this namespace.
func quiet() {
	for _, f := range []string{"all", "default"} {
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+f+"/disable_ipv6", []byte("1"), 0o644)
	}
}

// Need skips the test unless it runs in a namespace of its own.
func Need(t testing.TB) {
	t.Helper()
	if os.Getenv(marker) == "" {
		t.Skip("needs root, for network namespaces")
	}
}

// NS is a network namespace.
type NS struct{ file *os.File }

// New makes a network namespace that lives until the test ends.
func New(t testing.TB) *NS {
	t.Helper()
	Need(t)
	type result struct {
		f   *os.File
		err error
	}
	ch := make(chan result)
	go func() {
		// The thread is not given back: it dies with the goroutine.
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		var f *os.File
		if err == nil {
			quiet()
			f, err = os.Open("/proc/thread-self/ns/net")
		}
		ch <- result{f, err}
	}()
	r := <-ch
	if r.err != nil {
		t.Fatalf("make namespace: %v", r.err)
	}
	t.Cleanup(func() { r.f.Close() })
	ns := &NS{r.f}
	ns.Run(t, "ip", "link", "set", "lo", "up")
	return ns
}

// Path names the namespace for nsenter --net.
func (ns *NS) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.file.Fd()) }

// Command prepares a command in the namespace.
func (ns *NS) Command(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net=" + ns.Path()}, args...)...)
}

// Run runs a command in the namespace; a failure ends the test.
func (ns *NS) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := ns.Command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Do calls fn on a thread in the namespace.
func (ns *NS) Do(t testing.TB, fn func()) {
	t.Helper()
	ch := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Setns(int(ns.file.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			fn()
		}
		ch <- err
	}()
	if err := <-ch; err != nil {
		t.Fatalf("enter namespace: %v", err)
	}
}

// Run runs a command in the test's own namespace.
func Run(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

// Veth makes a veth pair: name here, peer in ns (here too when ns is nil), both
// up.  It is removed when the test ends.
func Veth(t testing.TB, name string, ns *NS, peer string) {
	t.Helper()
	Need(t)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	v := &netlink.Veth{LinkAttrs: attrs, PeerName: peer}
	if ns != nil {
		v.PeerNamespace = netlink.NsFd(ns.file.Fd())
	}
	if err := netlink.LinkAdd(v); err != nil {
		t.Fatalf("add veth %s: %v", name, err)
	}
	t.Cleanup(func() {
		var gone netlink.LinkNotFoundError
		if err := netlink.LinkDel(v); err != nil && !errors.As(err, &gone) {
			t.Logf("delete veth %s: %v", name, err)
		}
	})
	if err := netlink.LinkSetUp(v); err != nil {
		t.Fatalf("set %s up: %v", name, err)
	}
	if ns != nil {
		ns.Run(t, "ip", "link", "set", peer, "up")
	} else {
		Run(t, "ip", "link", "set", peer, "up")
	}
}

// FreePort is a TCP port that nobody uses in this namespace.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
