package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// bondedSwitches makes two switches, each with a host, that two cables connect: b0 and
// b1 on both are the members of bond0, a Port row with columns.
func bondedSwitches(t *testing.T, columns ...string) (s [2]*testkit.Switch, h [2]*testkit.Host) {
	t.Helper()
	for i := range s {
		s[i] = testkit.NewSwitch(t, testkit.Options{})
		h[i] = testkit.NewHost(t, "h")
		s[i].Veth(h[i], "p0", "eth0", fmt.Sprintf("10.9.0.%d/24", i+1))
	}
	for _, cable := range []string{"b0", "b1"} {
		s[0].Run("ip", "link", "add", cable, "type", "veth", "peer", "name", cable, "netns", s[1].Name)
		for i := range s {
			s[i].Run("ip", "link", "set", cable, "up")
		}
	}
	for i := range s {
		s[i].Vsctl(append([]string{"add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "--",
			"add-port", "br0", "p0", "--", "add-bond", "br0", "bond0", "b0", "b1"}, columns...)...)
	}
	return s, h
}

// active returns the member that bond/show names as active.
func active(s *testkit.Switch) string {
	_, after, _ := strings.Cut(s.Appctl("bond/show", "bond0"), "active member mac: ")
	_, name, _ := strings.Cut(after, "(")
	name, _, _ = strings.Cut(name, ")")
	return name
}

// cut takes a cable out on the other side of s, and waits until the packets of the
// first host find another way.
func cut(t *testing.T, s [2]*testkit.Switch, h [2]*testkit.Host, cable string) {
	t.Helper()
	s[1].Run("ip", "link", "set", cable, "down")
	testkit.Eventually(t, 5*time.Second, cable+" is disabled", func() bool {
		return strings.Contains(s[0].Appctl("bond/show", "bond0"), "member "+cable+": disabled")
	})
	h[0].Ping("10.9.0.2", 5)
	h[1].Ping("10.9.0.1", 5)
}

func TestBondFailsOver(t *testing.T) {
	testkit.Need(t, "ping")
	s, h := bondedSwitches(t, "bond_mode=active-backup", "other_config:bond-primary=b0")
	h[0].Ping("10.9.0.2", 5)
	if got := active(s[0]); got != "b0" {
		t.Errorf("%s is active, and not the primary", got)
	}
	cut(t, s, h, "b0")
	mac := strings.Trim(s[0].Vsctl("get", "interface", "b1", "mac_in_use"), `"`)
	testkit.Eventually(t, 5*time.Second, "the database names the active member", func() bool {
		return strings.Trim(s[0].Vsctl("get", "port", "bond0", "bond_active_slave"), `"`) == mac
	})
	s[1].Run("ip", "link", "set", "b0", "up")
	testkit.Eventually(t, 5*time.Second, "the primary takes over again", func() bool { return active(s[0]) == "b0" && active(s[1]) == "b0" })
	h[0].Ping("10.9.0.2", 5)
}

func TestBondWithLACP(t *testing.T) {
	testkit.Need(t, "ping", "iperf3")
	s, h := bondedSwitches(t, "bond_mode=balance-tcp", "lacp=active", "other_config:lacp-time=fast")
	for _, sw := range s {
		testkit.Eventually(t, 20*time.Second, "LACP agrees on both members", func() bool {
			return strings.Count(sw.Appctl("bond/show", "bond0"), ": enabled\n") == 2
		})
	}
	h[0].Ping("10.9.0.2", 5)
	requireTCP(t, h[0], h[1], "10.9.0.2")
	flows := s[0].Appctl("dpctl/dump-flows")
	if !strings.Contains(flows, "hash(l4(0)),recirc(") || !strings.Contains(flows, "slow_path(lacp)") {
		t.Errorf("datapath flows:\n%s", flows)
	}
	if got := s[0].Vsctl("get", "interface", "b0", "lacp_current"); got != "true" {
		t.Errorf("lacp_current of b0 is %s", got)
	}
	cut(t, s, h, "b0")
	testkit.Eventually(t, 20*time.Second, "LACP gives b0 up", func() bool {
		return s[0].Vsctl("get", "interface", "b0", "lacp_current") == "false"
	})
	s[1].Run("ip", "link", "set", "b0", "up")
	testkit.Eventually(t, 20*time.Second, "b0 is back", func() bool {
		return strings.Count(s[0].Appctl("bond/show", "bond0"), ": enabled\n") == 2
	})
	s[0].Vsctl("set", "port", "bond0", "other_config:lb-output-action=true")
	h[0].Ping("10.9.0.2", 5)
	requireTCP(t, h[0], h[1], "10.9.0.2")
	if flows := s[0].Appctl("dpctl/dump-flows"); !strings.Contains(flows, "lb_output(") {
		t.Errorf("datapath flows:\n%s", flows)
	}
}
