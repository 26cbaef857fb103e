// Package e2e drives the daemons with stock tools in network namespaces, as users
// do.  SLUICE_E2E=1 asks for it; SLUICE_BIN names another directory of daemons (the
// stock ones, for comparison).
package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// hosts connects n hosts, 10.9.0.1/24 and up, to the switch as veth ports p0, p1…
func hosts(t *testing.T, s *testkit.Switch, n int) []*testkit.Host {
	t.Helper()
	var out []*testkit.Host
	for i := range n {
		h := testkit.NewHost(t, "h")
		s.Veth(h, fmt.Sprintf("p%d", i), "eth0", fmt.Sprintf("10.9.0.%d/24", i+1))
		out = append(out, h)
	}
	return out
}

// tcp runs iperf3 from one host to another for a second and returns Mbit/s.
func tcp(t *testing.T, from, to *testkit.Host, addr string) float64 {
	t.Helper()
	to.Start("iperf3", "-s", "-1", "-B", addr)
	testkit.Eventually(t, 5*time.Second, "iperf3 listens", func() bool {
		out, err := to.Try("ss", "-Hltn", "sport", "=", ":5201")
		return err == nil && strings.Contains(out, "5201")
	})
	out := from.Run("iperf3", "-c", addr, "-t", "1", "-f", "m")
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, "receiver") {
			f := strings.Fields(line)
			for i := range f {
				if f[i] == "Mbits/sec" {
					var v float64
					fmt.Sscan(f[i-1], &v)
					return v
				}
			}
		}
	}
	t.Fatalf("no result from iperf3:\n%s", out)
	return 0
}

func requireTCP(t *testing.T, from, to *testkit.Host, addr string) {
	t.Helper()
	if got := tcp(t, from, to, addr); got < 10 {
		t.Errorf("TCP moves %.1f Mbit/s only", got)
	}
}

func TestMainJob(t *testing.T) {
	testkit.Need(t, "iperf3", "ping")
	for _, allInOne := range []bool{false, true} {
		t.Run(fmt.Sprintf("allinone=%v", allInOne), func(t *testing.T) {
			s := testkit.NewSwitch(t, testkit.Options{AllInOne: allInOne})
			h := hosts(t, s, 2)
			s.Vsctl("--", "add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev")
			s.Vsctl("add-port", "br0", "p0", "--", "set", "interface", "p0", "type=afxdp")
			s.Vsctl("add-port", "br0", "p1", "--", "set", "interface", "p1", "type=afxdp")
			s.Ofctl("del-flows", "br0")
			s.Ofctl("add-flow", "br0", "actions=normal")
			h[0].Ping("10.9.0.2", 10)
			requireTCP(t, h[0], h[1], "10.9.0.2")
			testkit.Eventually(t, 5*time.Second, "the flow counts packets", func() bool {
				return !strings.Contains(s.Ofctl("dump-flows", "br0"), "n_packets=0")
			})
			if show := s.Appctl("fdb/show", "br0"); len(strings.Split(strings.TrimSpace(show), "\n")) < 3 {
				t.Errorf("fdb/show:\n%s", show)
			}
			if mode := s.Vsctl("get", "interface", "p0", "status:xdp-mode"); !strings.Contains(mode, "native") {
				t.Errorf("xdp-mode is %s", mode)
			}
			s.Vsctl("del-br", "br0")
			if out := s.Run("ip", "-d", "link", "show", "p0"); strings.Contains(out, "xdp") {
				t.Errorf("an XDP program is left behind:\n%s", out)
			}
		})
	}
}

func TestSystemPortsKeepOffloads(t *testing.T) {
	testkit.Need(t, "iperf3", "ping")
	s := testkit.NewSwitch(t, testkit.Options{})
	h := hosts(t, s, 2)
	s.Vsctl("add-br", "br0") // without a datapath type
	s.Vsctl("add-port", "br0", "p0", "--", "add-port", "br0", "p1")
	h[0].Ping("10.9.0.2", 10)
	requireTCP(t, h[0], h[1], "10.9.0.2")
}

func TestMixedPorts(t *testing.T) {
	testkit.Need(t, "iperf3", "ping")
	s := testkit.NewSwitch(t, testkit.Options{})
	h := hosts(t, s, 2)
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	s.Vsctl("add-port", "br0", "p0", "--", "set", "interface", "p0", "type=afxdp", "--", "add-port", "br0", "p1")
	h[0].Ping("10.9.0.2", 10)
	requireTCP(t, h[0], h[1], "10.9.0.2")
	requireTCP(t, h[1], h[0], "10.9.0.1")
}

func TestInternalTapAndPatchPorts(t *testing.T) {
	testkit.Need(t, "iperf3", "ping")
	s := testkit.NewSwitch(t, testkit.Options{})
	h := hosts(t, s, 1)
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	s.Vsctl("add-port", "br0", "p0", "--", "set", "interface", "p0", "type=afxdp")
	s.Run("ip", "addr", "add", "10.9.0.10/24", "dev", "br0")
	s.Run("ip", "link", "set", "br0", "up")
	h[0].Ping("10.9.0.10", 5)
	requireTCP(t, h[0], s.Host, "10.9.0.10")

	s.Vsctl("add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=netdev",
		"--", "add-port", "br1", "int1", "--", "set", "interface", "int1", "type=internal",
		"--", "add-port", "br0", "to1", "--", "set", "interface", "to1", "type=patch", "options:peer=to0",
		"--", "add-port", "br1", "to0", "--", "set", "interface", "to0", "type=patch", "options:peer=to1")
	far := testkit.NewHost(t, "h")
	s.Run("ip", "link", "set", "int1", "netns", far.Name)
	far.Run("ip", "addr", "add", "10.9.0.20/24", "dev", "int1")
	far.Run("ip", "link", "set", "int1", "up")
	h[0].Ping("10.9.0.20", 5)
	requireTCP(t, h[0], far, "10.9.0.20")
}

func TestVLANs(t *testing.T) {
	testkit.Need(t, "ping")
	s := testkit.NewSwitch(t, testkit.Options{})
	h := hosts(t, s, 4)
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	s.Vsctl("add-port", "br0", "p0", "tag=10", "--", "set", "interface", "p0", "type=afxdp")
	s.Vsctl("add-port", "br0", "p1", "tag=10", "--", "set", "interface", "p1", "type=afxdp")
	s.Vsctl("add-port", "br0", "p2", "tag=20", "--", "set", "interface", "p2", "type=afxdp")
	// A trunk to a second bridge, whose access port has the fourth host.
	s.Run("ip", "link", "add", "t0", "type", "veth", "peer", "name", "t1")
	s.Run("ip", "link", "set", "t0", "up")
	s.Run("ip", "link", "set", "t1", "up")
	s.Vsctl("add-port", "br0", "t0", "trunks=10,20", "--", "set", "interface", "t0", "type=afxdp",
		"--", "add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=netdev",
		"--", "add-port", "br1", "t1", "trunks=10", "--", "add-port", "br1", "p3", "tag=10")
	h[0].Ping("10.9.0.2", 5)
	h[0].Ping("10.9.0.4", 5)
	if out, err := h[0].Try("ping", "-q", "-c", "2", "-i", "0.1", "-W", "1", "10.9.0.3"); err == nil {
		t.Errorf("VLAN 10 reaches VLAN 20:\n%s", out)
	}
}

func TestDatabaseShowsTheResult(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	hosts(t, s, 1)
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	s.Vsctl("add-port", "br0", "p0", "--", "set", "interface", "p0", "ofport_request=7")
	for _, c := range []struct{ col, want string }{
		{"ofport", "7"}, {"admin_state", "up"}, {"link_state", "up"}, {"mtu", "1500"}, {"error", "[]"},
	} {
		if got := s.Vsctl("get", "interface", "p0", c.col); got != c.want {
			t.Errorf("interface p0 %s: %s, want %s", c.col, got, c.want)
		}
	}
	if got := s.Vsctl("get", "interface", "p0", "mac_in_use"); len(got) != 19 {
		t.Errorf("mac_in_use: %s", got)
	}
	if got := s.Vsctl("get", "open", ".", "iface_types"); !strings.Contains(got, "afxdp") {
		t.Errorf("iface_types: %s", got)
	}
	if got := s.Vsctl("get", "bridge", "br0", "datapath_id"); len(got) != 18 {
		t.Errorf("datapath_id: %s", got)
	}
	s.TryTool("ovs-vsctl", "--timeout=20", "add-port", "br0", "missing0", "--", "set", "interface", "missing0", "type=afxdp")
	if got := s.Vsctl("get", "interface", "missing0", "error"); !strings.Contains(got, "No such device") {
		t.Errorf("error of a missing device: %s", got)
	}
	if got := s.Vsctl("get", "interface", "missing0", "ofport"); got != "-1" {
		t.Errorf("ofport of a missing device: %s", got)
	}
	s.Vsctl("set", "interface", "p0", "mtu_request=1400")
	testkit.Eventually(t, 5*time.Second, "mtu follows mtu_request", func() bool { return s.Vsctl("get", "interface", "p0", "mtu") == "1400" })
}

func TestOpenFlow(t *testing.T) {
	testkit.Need(t, "ping")
	s := testkit.NewSwitch(t, testkit.Options{})
	h := hosts(t, s, 2)
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
	s.Vsctl("add-port", "br0", "p0", "--", "add-port", "br0", "p1")
	for _, v := range []string{"OpenFlow10", "OpenFlow13", "OpenFlow15"} {
		s.Ofctl("-O", v, "del-flows", "br0")
		s.Ofctl("-O", v, "add-flow", "br0", "table=0,priority=10,in_port=p0,actions=output:p1")
		s.Ofctl("-O", v, "add-flow", "br0", "table=0,priority=10,in_port=p1,actions=resubmit(,1)")
		s.Ofctl("-O", v, "add-flow", "br0", "table=1,actions=load:0x5->NXM_NX_REG0[],output:p0")
		h[0].Ping("10.9.0.2", 3)
		testkit.Eventually(t, 5*time.Second, v+": each flow counts packets", func() bool {
			dump := s.Ofctl("-O", v, "dump-flows", "br0")
			return strings.Count(dump, "n_packets=") == 3 && !strings.Contains(dump, "n_packets=0")
		})
		for _, cmd := range []string{"show", "dump-aggregate", "dump-ports", "dump-ports-desc", "dump-tables", "dump-desc", "probe"} {
			if out, err := s.TryTool("ovs-ofctl", "-O", v, cmd, "br0"); err != nil {
				t.Errorf("%s %s: %v\n%s", v, cmd, err, out)
			}
		}
	}
	trace := s.Appctl("ofproto/trace", "br0", "in_port=p1")
	if !strings.Contains(trace, "Datapath actions:") {
		t.Errorf("trace:\n%s", trace)
	}
}

func TestCrashAndRestart(t *testing.T) {
	testkit.Need(t, "ping")
	s := testkit.NewSwitch(t, testkit.Options{})
	h := hosts(t, s, 2)
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	s.Vsctl("add-port", "br0", "p0", "--", "set", "interface", "p0", "type=afxdp")
	s.Vsctl("add-port", "br0", "p1", "--", "set", "interface", "p1", "type=afxdp")
	h[0].Ping("10.9.0.2", 3)
	pid := s.Pid("ovs-vswitchd")
	s.Run("kill", "-9", fmt.Sprint(pid))
	if !testkit.Gone(pid, 5*time.Second) {
		t.Fatal("ovs-vswitchd survives SIGKILL")
	}
	s.StartVswitchd()
	h[0].Ping("10.9.0.2", 3)
	s.Appctl("exit")
	if !testkit.Gone(s.Pid("ovs-vswitchd"), 5*time.Second) {
		t.Fatal("exit does not end ovs-vswitchd")
	}
	if out := s.Run("ip", "-d", "link", "show", "p0"); strings.Contains(out, "xdp") {
		t.Errorf("exit leaves an XDP program:\n%s", out)
	}
}

func TestOvsCtl(t *testing.T) {
	testkit.Need(t, "ping")
	s := testkit.NewSwitch(t, testkit.Options{NoStart: true})
	h := hosts(t, s, 2)
	s.Run("mkdir", "-p", s.Dir+"/openvswitch")
	ctl := func(args ...string) { t.Helper(); s.Tool("/usr/share/openvswitch/scripts/ovs-ctl", args...) }
	ctl("start", "--system-id=random", "--no-record-hostname")
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
	s.Vsctl("add-port", "br0", "p0", "--", "set", "interface", "p0", "type=afxdp", "--", "add-port", "br0", "p1")
	s.Ofctl("add-flow", "br0", "cookie=7,priority=3,actions=normal")
	h[0].Ping("10.9.0.2", 3)
	for col, want := range map[string]string{"ovs_version": `"3.1.0"`, "db_version": `"8.3.1"`, "system_type": "debian"} {
		if got := s.Vsctl("get", "open", ".", col); got != want {
			t.Errorf("%s: %s, want %s", col, got, want)
		}
	}
	// A restart saves the flows and puts them back.
	ctl("restart", "--system-id=random", "--no-record-hostname")
	if dump := s.Ofctl("dump-flows", "br0", "cookie=7/-1"); !strings.Contains(dump, "priority=3 actions=NORMAL") {
		t.Errorf("flows after the restart:\n%s", dump)
	}
	if got := s.Vsctl("get", "open", ".", "other_config"); strings.Contains(got, "flow-restore-wait") {
		t.Errorf("flow-restore-wait is still set: %s", got)
	}
	h[0].Ping("10.9.0.2", 3)
	ctl("stop")
	if s.Pid("ovs-vswitchd") != 0 || s.Pid("ovsdb-server") != 0 {
		t.Error("a pidfile is left behind")
	}
}

// Garbage on a socket costs its sender the connection and nobody else anything.
func TestGarbageOnSockets(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	pid := s.Pid("ovs-vswitchd")
	for _, path := range []string{"db.sock", "br0.mgmt", fmt.Sprintf("ovs-vswitchd.%d.ctl", pid), fmt.Sprintf("ovsdb-server.%d.ctl", s.Pid("ovsdb-server"))} {
		for _, junk := range []string{"\x00\x01\x02garbage\xff\xff", "{\"method\":[]}", strings.Repeat("[", 5000), "\x01\x0e\x00\x07aaaa"} {
			c, err := net.Dial("unix", s.Dir+"/"+path)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			c.Write([]byte(junk))
			c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			var buf [4096]byte
			for {
				if _, err := c.Read(buf[:]); err != nil {
					break
				}
			}
			c.Close()
		}
	}
	if s.Pid("ovs-vswitchd") != pid {
		t.Error("ovs-vswitchd was restarted")
	}
	s.Vsctl("add-port", "br0", "i1", "--", "set", "interface", "i1", "type=internal")
	s.Ofctl("dump-flows", "br0")
	s.Appctl("version")
}

// fallbacks are sets of kernel features that are treated as missing, each alone and
// all that a 6.1 kernel lacks together.
var fallbacks = []string{"vlan-kfunc", "native", "shared-umem", "need-wakeup", "tx-budget", "tx-metadata", "multi-buffer",
	"vlan-kfunc,tx-budget,tx-metadata,multi-buffer"}

// The main job works without each of the features that it uses.
func TestKernelFallbacks(t *testing.T) {
	testkit.Need(t, "iperf3", "ping")
	for _, probes := range fallbacks {
		t.Run(probes, func(t *testing.T) {
			s := testkit.NewSwitch(t, testkit.Options{Env: []string{"SLUICE_TEST_MISSING_FEATURES=" + probes}})
			h := hosts(t, s, 2)
			s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
			for _, p := range []string{"p0", "p1"} {
				s.Vsctl("add-port", "br0", p, "--", "set", "interface", p, "type=afxdp")
			}
			h[0].Ping("10.9.0.2", 5)
			requireTCP(t, h[0], h[1], "10.9.0.2")
		})
	}
}
