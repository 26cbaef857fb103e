package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// addFailing adds a port that cannot be opened and returns its error column.
func addFailing(t *testing.T, s *testkit.Switch, port string, more ...string) string {
	t.Helper()
	args := append([]string{"--timeout=20", "add-port", "br0", port}, more...)
	// ovs-vsctl reports the error of a port that it added.
	if out, err := s.TryTool("ovs-vsctl", args...); err == nil && !strings.Contains(out, "Error detected") {
		t.Errorf("adding %s succeeds: %s", port, out)
	}
	return strings.Trim(s.Vsctl("get", "interface", port, "error"), `"`)
}

// Bad input goes to the error column, and the rest goes on.
func TestBadDevices(t *testing.T) {
	testkit.Need(t, "ping")
	s := testkit.NewSwitch(t, testkit.Options{})
	h := hosts(t, s, 2)
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	for _, p := range []string{"p0", "p1"} {
		s.Vsctl("add-port", "br0", p, "--", "set", "interface", p, "type=afxdp")
	}
	for _, typ := range []string{"system", "afxdp"} {
		name := "gone-" + typ
		got := addFailing(t, s, name, "--", "set", "interface", name, "type="+typ)
		if want := "could not open network device " + name + " (No such device)"; got != want {
			t.Errorf("missing %s device: %s, want %s", typ, got, want)
		}
	}
	other := testkit.NewHost(t, "h")
	s.Veth(other, "odd", "eth0", "10.9.0.9/24")
	if got := addFailing(t, s, "odd", "--", "set", "interface", "odd", "type=afxdp", "options:xdp-mode=fast"); got != "odd: Incorrect xdp-mode (fast)." {
		t.Errorf("wrong option: %s", got)
	}
	s.Vsctl("set", "interface", "odd", "options:xdp-mode=native")
	testkit.Eventually(t, 5*time.Second, "the mended port works", func() bool {
		return s.Vsctl("get", "interface", "odd", "error") == "[]"
	})
	h[0].Ping("10.9.0.9", 3)

	// A working port whose options become wrong, and right again.
	s.Vsctl("set", "interface", "odd", "options:xdp-mode=native-with-zerocopy")
	testkit.Eventually(t, 5*time.Second, "the mode is refused", func() bool {
		return strings.Contains(s.Vsctl("get", "interface", "odd", "error"), "xdp-mode native-with-zerocopy: Operation not supported")
	})
	h[0].Ping("10.9.0.2", 3)
	s.Vsctl("set", "interface", "odd", "options:xdp-mode=generic")
	testkit.Eventually(t, 5*time.Second, "the mended port works", func() bool {
		return s.Vsctl("get", "interface", "odd", "error") == "[]"
	})
	h[0].Ping("10.9.0.9", 3)

	s.Vsctl("set", "interface", "p0", "mtu_request=70000")
	testkit.Eventually(t, 5*time.Second, "the log says that the MTU is refused", func() bool {
		text, err := os.ReadFile(s.Dir + "/ovs-vswitchd.log")
		return err == nil && strings.Contains(string(text), "failed to set MTU for network device p0: Invalid argument")
	})
	s.Vsctl("set", "interface", "p0", "mtu_request=1400")
	testkit.Eventually(t, 5*time.Second, "the MTU is set", func() bool {
		return s.Vsctl("get", "interface", "p0", "mtu") == "1400" && s.Vsctl("get", "interface", "p0", "error") == "[]"
	})
	h[0].Ping("10.9.0.2", 3)
}

// A device that appears after its port was added is opened, and one that is
// replaced by another of its name goes on.
func TestDevicesComeAndGo(t *testing.T) {
	testkit.Need(t, "ping")
	for _, typ := range []string{"system", "afxdp"} {
		t.Run(typ, func(t *testing.T) {
			s := testkit.NewSwitch(t, testkit.Options{})
			h := hosts(t, s, 1)
			s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
			s.Vsctl("add-port", "br0", "p0", "--", "set", "interface", "p0", "type="+typ)
			addFailing(t, s, "late", "--", "set", "interface", "late", "type="+typ)
			for round := range 2 {
				c := testkit.NewHost(t, "h")
				s.Veth(c, "late", "eth0", fmt.Sprintf("10.9.0.%d/24", 5+round))
				testkit.Eventually(t, 10*time.Second, "the port works", func() bool {
					_, err := h[0].Try("ping", "-c", "1", "-W", "1", fmt.Sprintf("10.9.0.%d", 5+round))
					return err == nil
				})
				s.Run("ip", "link", "del", "late")
			}
		})
	}
}

// Packets of several frames go through, up to the longest MTU.
func TestJumboFrames(t *testing.T) {
	testkit.Need(t, "iperf3", "ping")
	s := testkit.NewSwitch(t, testkit.Options{})
	h := hosts(t, s, 2)
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	for _, p := range []string{"p0", "p1"} {
		s.Vsctl("add-port", "br0", p, "--", "set", "interface", p, "type=afxdp", "mtu_request=65535")
	}
	for _, mtu := range []string{"9000", "65535"} {
		for _, x := range h {
			x.Run("ip", "link", "set", "eth0", "mtu", mtu)
		}
		h[0].Run("ping", "-q", "-c", "3", "-i", "0.1", "-W", "2", "-M", "do", "-s", "8900", "10.9.0.2")
		requireTCP(t, h[0], h[1], "10.9.0.2")
	}
}

// Removing ports and bridges leaves no program, device or thread behind.
func TestNothingIsLeft(t *testing.T) {
	testkit.Need(t, "ping")
	s := testkit.NewSwitch(t, testkit.Options{})
	h := hosts(t, s, 2)
	for range 3 {
		s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
		for _, p := range []string{"p0", "p1"} {
			s.Vsctl("add-port", "br0", p, "--", "set", "interface", p, "type=afxdp")
		}
		h[0].Ping("10.9.0.2", 3)
		s.Vsctl("del-port", "p0")
		s.Vsctl("del-br", "br0")
	}
	if out := s.Run("ip", "-d", "link"); strings.Contains(out, "xdp") || strings.Contains(out, "br0") || strings.Contains(out, "promiscuity 1") {
		t.Errorf("links:\n%s", out)
	}
	proc := fmt.Sprintf("/proc/%d", s.Pid("ovs-vswitchd"))
	fds, err := os.ReadDir(proc + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, _ := os.Readlink(proc + "/fd/" + fd.Name()); strings.Contains(to, "bpf") || to == "/dev/net/tun" {
			t.Errorf("open: %s", to)
		}
	}
	tasks, err := os.ReadDir(proc + "/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if comm, _ := os.ReadFile(proc + "/task/" + task.Name() + "/comm"); strings.HasPrefix(string(comm), "pmd") {
			t.Errorf("thread %s", comm)
		}
	}
}
