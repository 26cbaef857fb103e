package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// ring makes three bridges, br0 to br2, each with a host, that are joined in a ring by
// links of a kind: "patch" or "veth".
func ring(t *testing.T, kind string) (*testkit.Switch, []*testkit.Host) {
	t.Helper()
	s := testkit.NewSwitch(t, testkit.Options{})
	h := hosts(t, s, 3)
	for i := range 3 {
		br := fmt.Sprintf("br%d", i)
		s.Vsctl("--", "add-br", br, "--", "set", "bridge", br, "datapath_type=netdev", "rstp_enable=true", fmt.Sprintf("other_config:rstp-priority=%d", 4096*(i+1)),
			"--", "add-port", br, fmt.Sprintf("p%d", i))
	}
	for i := range 3 {
		j := (i + 1) % 3
		a, b := fmt.Sprintf("l%d%d", i, j), fmt.Sprintf("l%d%d", j, i)
		if kind == "veth" {
			s.Run("ip", "link", "add", a, "type", "veth", "peer", "name", b)
			s.Run("ip", "link", "set", a, "up")
			s.Run("ip", "link", "set", b, "up")
			s.Vsctl("--", "add-port", fmt.Sprintf("br%d", i), a, "--", "add-port", fmt.Sprintf("br%d", j), b)
			continue
		}
		s.Vsctl("--", "add-port", fmt.Sprintf("br%d", i), a, "--", "set", "interface", a, "type=patch", "options:peer="+b,
			"--", "add-port", fmt.Sprintf("br%d", j), b, "--", "set", "interface", b, "type=patch", "options:peer="+a)
	}
	return s, h
}

// settled waits until n ports of all bridges are Discarding and the rest Forwarding.
func settled(t *testing.T, s *testkit.Switch, n int) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, fmt.Sprintf("all ports forward but %d", n), func() bool {
		show := s.Appctl("rstp/show")
		return strings.Count(show, "Discarding") == n && !strings.Contains(show, "Learning ")
	})
}

func TestRSTPRing(t *testing.T) {
	testkit.Need(t, "ping")
	for _, kind := range []string{"patch", "veth"} {
		t.Run(kind, func(t *testing.T) {
			s, h := ring(t, kind)
			settled(t, s, 1)
			if show := s.Appctl("rstp/show", "br2"); !regexp.MustCompile(`l21 +Alternate +Discarding`).MatchString(show) {
				t.Errorf("br2:\n%s", show)
			}
			h[0].Ping("10.9.0.2", 5)
			h[0].Ping("10.9.0.3", 5)
			h[1].Ping("10.9.0.3", 5)
			// Each broadcast reaches each host once.
			before := received(h[2])
			h[0].Try("arping", "-c", "3", "-w", "3", "-I", "eth0", "10.9.0.99")
			h[0].Try("ping", "-c", "3", "-i", "0.2", "-W", "1", "10.9.0.99")
			if n := received(h[2]) - before; n < 1 || n > 40 {
				t.Errorf("a few broadcasts became %d packets", n)
			}
			if kind == "veth" {
				// The path by the other side takes over.
				s.Run("ip", "link", "set", "l20", "down")
				testkit.Eventually(t, 10*time.Second, "br2's other link is the root port", func() bool {
					return regexp.MustCompile(`l21 +Root +Forwarding`).MatchString(s.Appctl("rstp/show", "br2"))
				})
				h[0].Ping("10.9.0.3", 5)
			}
			if got := s.Vsctl("get", "port", "l01", "rstp_status:rstp_port_role"); got != "Designated" {
				t.Errorf("rstp_status has role %s", got)
			}
		})
	}
}

// received is how many packets a host has received.
func received(h *testkit.Host) (n int) {
	for _, line := range strings.Split(h.Run("cat", "/proc/net/dev"), "\n") {
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name == "eth0" {
			var bytes int
			fmt.Sscan(rest, &bytes, &n)
		}
	}
	return n
}

// TestLinuxBridge has two links between a bridge of the switch and one of the kernel,
// which speaks STP: they agree on the root, and one link is blocked.
func TestLinuxBridge(t *testing.T) {
	testkit.Need(t, "ping")
	for _, proto := range []string{"stp", "rstp"} {
		t.Run(proto, func(t *testing.T) {
			s := testkit.NewSwitch(t, testkit.Options{})
			h := hosts(t, s, 2)
			s.Run("ip", "link", "add", "lb0", "type", "bridge", "stp_state", "1", "forward_delay", "400", "priority", "16384")
			s.Run("ip", "link", "set", "lb0", "up")
			s.Vsctl("--", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", proto+"_enable=true",
				"other_config:stp-forward-delay=4", "other_config:stp-max-age=6", "--", "add-port", "br0", "p0")
			for i := range 2 {
				a, b := fmt.Sprintf("v%d", i), fmt.Sprintf("w%d", i)
				s.Run("ip", "link", "add", a, "type", "veth", "peer", "name", b)
				s.Run("ip", "link", "set", b, "master", "lb0")
				s.Run("ip", "link", "set", a, "up")
				s.Run("ip", "link", "set", b, "up")
				s.Vsctl("add-port", "br0", a)
			}
			s.Run("ip", "link", "set", "p1", "master", "lb0")
			s.Run("ip", "link", "set", "p1", "up")
			agree := func(who string) {
				t.Helper()
				defer func() {
					if t.Failed() {
						t.Logf("roots %s and %s\n%s\n%s", ourRoot(s, proto), kernelRoot(s), s.Appctl(proto+"/show"), s.Run("ip", "-d", "link", "show"))
					}
				}()
				testkit.Eventually(t, 40*time.Second, who+" is the root for both", func() bool {
					ours, theirs := ourRoot(s, proto), kernelRoot(s)
					return ours != "" && ours == theirs && (ours[0] == '4') == (who == "the kernel's bridge")
				})
				testkit.Eventually(t, 40*time.Second, "one link is blocked", func() bool {
					show := strings.ToLower(s.Appctl(proto + "/show"))
					blocked := strings.Count(show, "blocking") + strings.Count(show, "discarding") + strings.Count(s.Run("ip", "-d", "link", "show", "type", "bridge_slave"), "state blocking")
					return blocked == 1 && strings.Contains(show, "forwarding")
				})
				testkit.Eventually(t, 40*time.Second, "hosts reach each other", func() bool {
					_, err := h[0].Try("ping", "-c", "1", "-W", "1", "10.9.0.2")
					return err == nil
				})
				h[0].Ping("10.9.0.2", 5)
			}
			agree("the kernel's bridge")
			s.Vsctl("set", "bridge", "br0", "other_config:"+proto+"-priority=4096")
			agree("the switch's bridge")
		})
	}
}

// ourRoot is the root that br0 knows: priority and address without separators.
func ourRoot(s *testkit.Switch, proto string) string {
	col := "status:stp_designated_root"
	if proto == "rstp" {
		col = "rstp_status:rstp_root_id"
	}
	out, err := s.TryTool("ovs-vsctl", "--timeout=10", "get", "bridge", "br0", col)
	if err != nil {
		return ""
	}
	return strings.NewReplacer(".", "", `"`, "", "\n", "").Replace(out)
}

// kernelRoot is the root that lb0 knows, in the same form.  (ip link shows the bridge's
// own identifier as designated_root.)
func kernelRoot(s *testkit.Switch) string {
	return strings.ReplaceAll(strings.TrimSpace(s.Run("cat", "/sys/class/net/lb0/bridge/root_id")), ".", "")
}
