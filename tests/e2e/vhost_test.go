package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// startPMD starts a testpmd whose only port is a virtio-user front end on a socket,
// with more arguments of its device and of itself.
func startPMD(t *testing.T, s *testkit.Switch, mode, path, dev string, args ...string) *testkit.Testpmd {
	t.Helper()
	if strings.Contains(dev, "server=1") {
		os.Remove(path) // left by one that was killed
	}
	return testkit.StartTestpmd(t, s, []string{"net_virtio_user0,path=" + path + dev},
		[]string{"-l", "0-1", "-m", "200", "--force-max-simd-bitwidth=512"},
		append([]string{"--total-num-mbufs=4096", "--no-flush-rx", "--forward-mode=" + mode}, args...)...)
}

// vhostSwitch is a switch with ports v0 and v1 that are wired to each other.
func vhostSwitch(t *testing.T, typ string) *testkit.Switch {
	t.Helper()
	s := testkit.NewSwitch(t, testkit.Options{})
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
	for _, p := range []string{"v0", "v1"} {
		vhostPort(s, p, typ)
	}
	s.Ofctl("add-flow", "br0", "in_port=v0,actions=output:v1")
	s.Ofctl("add-flow", "br0", "in_port=v1,actions=output:v0")
	return s
}

func vhostPort(s *testkit.Switch, name, typ string) {
	args := []string{"add-port", "br0", name, "--", "set", "interface", name, "type=" + typ}
	if strings.HasSuffix(typ, "client") {
		args = append(args, "options:vhost-server-path="+socketOf(s, name, typ))
	}
	s.Vsctl(args...)
}

func socketOf(s *testkit.Switch, port, typ string) string {
	if strings.HasSuffix(typ, "client") {
		return filepath.Join(s.Dir, port+".sock")
	}
	return filepath.Join(s.Dir, port)
}

func linkIs(t *testing.T, s *testkit.Switch, port, state string) {
	t.Helper()
	testkit.Eventually(t, 25*time.Second, port+" is "+state, func() bool {
		return s.Vsctl("get", "interface", port, "link_state") == state
	})
}

// sent is what the switch says that the guest behind a port received.
func sent(s *testkit.Switch, port string) int {
	out := s.Appctl("dpctl/show", "-s", "netdev@ovs-netdev")
	_, after, _ := strings.Cut(out, ": "+port+" (")
	_, after, _ = strings.Cut(after, "TX packets:")
	n, _ := strconv.Atoi(strings.FieldsFunc(after, func(r rune) bool { return r == ' ' || r == '\n' })[0])
	return n
}

// flows waits until n more packets have come out at a front end.
func flows(t *testing.T, p *testkit.Testpmd, n int, what string) {
	t.Helper()
	begin := p.Received()
	testkit.Eventually(t, 15*time.Second, what, func() bool { return p.Received() >= begin+n })
}

func TestVhostUserFrontEnds(t *testing.T) {
	testkit.Need(t, "dpdk-testpmd", "stdbuf")
	two := []string{"--rxq=2", "--txq=2"}
	for _, typ := range []string{"dpdkvhostuserclient", "vhostuser"} {
		s := vhostSwitch(t, typ)
		for _, c := range []struct {
			dev   string
			args  []string
			rings string
			both  bool
		}{
			{"mrg_rxbuf=1,in_order=0", nil, "2", true},
			{"mrg_rxbuf=0,in_order=1", nil, "2", false},
			{"mrg_rxbuf=0,in_order=0,vectorized=1", nil, "2", false},
			{"mrg_rxbuf=1,in_order=0,packed_vq=1", nil, "2", true},
			{"mrg_rxbuf=0,in_order=1,packed_vq=1,vectorized=1", nil, "2", false},
			{"mrg_rxbuf=1,queues=2", two, "4", false},
			{"mrg_rxbuf=0,queues=2,packed_vq=1", two, "4", false},
		} {
			if typ == "vhostuser" && !c.both {
				continue
			}
			t.Run(typ+"/"+c.dev, func(t *testing.T) {
				dev := "," + c.dev
				if typ == "dpdkvhostuserclient" {
					dev += ",server=1"
				}
				to := startPMD(t, s, "rxonly", socketOf(s, "v1", typ), dev, c.args...)
				from := startPMD(t, s, "txonly", socketOf(s, "v0", typ), dev, c.args...)
				linkIs(t, s, "v0", "up")
				linkIs(t, s, "v1", "up")
				if got := s.Vsctl("get", "interface", "v1", "status:num_of_vrings"); got != `"`+c.rings+`"` {
					t.Errorf("%s rings, want %s", got, c.rings)
				}
				before := sent(s, "v1")
				to.Forward()
				from.Forward()
				flows(t, to, 2000, "packets arrive")
				from.StopForwarding()
				want := 0
				testkit.Eventually(t, 5*time.Second, "the switch is idle", func() bool {
					was := want
					want = sent(s, "v1") - before
					return want == was
				})
				// The last ones wait in the ring until the front end's thread has run.
				testkit.Eventually(t, 5*time.Second, fmt.Sprintf("%d packets were sent and arrive", want), func() bool {
					return to.Received() >= want
				})
				if got := to.Received(); got != want {
					t.Errorf("%d packets arrive, %d were sent", got, want)
				}
				from.Quit()
				to.Quit()
				linkIs(t, s, "v0", "down")
				linkIs(t, s, "v1", "down")
			})
		}
	}
}

// A front end is killed and comes again, the switch is killed and comes again, the
// port goes, all under traffic.
func TestVhostUserRestarts(t *testing.T) {
	testkit.Need(t, "dpdk-testpmd", "stdbuf")
	const typ = "dpdkvhostuserclient"
	s := vhostSwitch(t, typ)
	for _, dev := range []string{",server=1,mrg_rxbuf=1", ",server=1,packed_vq=1"} {
		to := startPMD(t, s, "rxonly", socketOf(s, "v1", typ), dev)
		from := startPMD(t, s, "txonly", socketOf(s, "v0", typ), dev)
		linkIs(t, s, "v1", "up")
		to.Say("start")
		from.Say("start")
		flows(t, to, 1000, "packets arrive")

		to.Kill()
		linkIs(t, s, "v1", "down")
		to = startPMD(t, s, "rxonly", socketOf(s, "v1", typ), dev)
		linkIs(t, s, "v1", "up")
		to.Say("start")
		flows(t, to, 1000, "packets arrive at the new front end")

		pid := s.Pid("ovs-vswitchd")
		s.Run("kill", "-9", strconv.Itoa(pid))
		testkit.Gone(pid, 5*time.Second)
		s.StartVswitchd()
		s.Ofctl("add-flow", "br0", "in_port=v0,actions=output:v1")
		linkIs(t, s, "v0", "up")
		linkIs(t, s, "v1", "up")
		flows(t, to, 1000, "packets arrive through the new switch")

		pid = s.Pid("ovs-vswitchd")
		s.Vsctl("del-port", "br0", "v1")
		vhostPort(s, "v1", typ)
		linkIs(t, s, "v1", "up")
		s.Ofctl("add-flow", "br0", "in_port=v0,actions=output:v1")
		flows(t, to, 1000, "packets arrive at the new port")
		if s.Pid("ovs-vswitchd") != pid {
			t.Error("the switch was restarted")
		}
		from.Quit()
		to.Quit()
		linkIs(t, s, "v1", "down")
	}
}
