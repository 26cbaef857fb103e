package compare

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// dpdkSwitch is where Debian's openvswitch-switch-dpdk has its daemon;
// SLUICE_OVS_DPDK names another one.
const dpdkSwitch = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"

// way is one way of packets between two ports of a testpmd, through a switch.
type way struct {
	name  string
	start func(t *testing.T) *testkit.Switch
	// device makes p0 or p1 and returns the device that testpmd has for it; attach is
	// called once testpmd runs.
	device func(s *testkit.Switch, port string) string
	attach func(s *testkit.Switch, port string)
}

// TestVhostUser measures 64-byte packets from either port of a testpmd to the other,
// with vhost-user ports of this switch, of OVS-DPDK where that is installed, and with
// taps.  testpmd makes and takes all packets on core 0 (two of them would take turns
// there, and each turn empty or fill a ring), the switch has core 1.
func TestVhostUser(t *testing.T) {
	needBench(t)
	testkit.Need(t, "dpdk-testpmd", "stdbuf")
	ways := []way{
		{"sluice, vhost-user", startSluice, vhostDevice, func(s *testkit.Switch, port string) {}},
		{"sluice, tap", startSluice, tapDevice, func(s *testkit.Switch, port string) {
			s.Vsctl("add-port", "br0", port, "--", "set", "interface", port, "type=system")
		}},
	}
	daemon := os.Getenv("SLUICE_OVS_DPDK")
	if daemon == "" {
		daemon = dpdkSwitch
	}
	if _, err := os.Stat(daemon); err == nil {
		ways = append(ways, way{"OVS-DPDK, vhost-user", func(t *testing.T) *testkit.Switch { return startDPDK(t, daemon) },
			vhostDevice, func(s *testkit.Switch, port string) {}})
	} else {
		t.Logf("OVS-DPDK is not installed: %v", err)
	}
	results := map[string][]float64{}
	for range setting("SLUICE_BENCH_ROUNDS", 5) {
		for _, w := range ways {
			t.Run(w.name, func(t *testing.T) {
				results[w.name] = append(results[w.name], throughput(t, w, setting("SLUICE_BENCH_SECONDS", 4)))
			})
		}
	}
	base := median(results[ways[0].name])
	fmt.Printf("%-24s %10s %22s %8s\n", "64 B, one flow", "Mpps", "spread", "ratio")
	for _, w := range ways {
		r := results[w.name]
		if len(r) > 0 {
			fmt.Printf("%-24s %10.3f %10.3f…%10.3f %8.2f\n", w.name, median(r), slices.Min(r), slices.Max(r), base/median(r))
		}
	}
}

func bridge(s *testkit.Switch) {
	s.Vsctl("set", "open", ".", "other_config:pmd-cpu-mask=2")
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
}

func startSluice(t *testing.T) *testkit.Switch {
	s := testkit.NewSwitch(t, testkit.Options{})
	bridge(s)
	return s
}

// startDPDK starts OVS-DPDK with stock's database server.
func startDPDK(t *testing.T, daemon string) *testkit.Switch {
	t.Helper()
	server, err := exec.LookPath("ovsdb-server")
	if err != nil {
		t.Fatal(err)
	}
	s := testkit.NewSwitch(t, testkit.Options{NoStart: true})
	s.Bin = t.TempDir()
	for name, target := range map[string]string{"ovsdb-server": server, "ovs-vswitchd": daemon} {
		if err := os.Symlink(target, filepath.Join(s.Bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.RemoveAll(filepath.Join("/var/run/dpdk", filepath.Base(s.Dir))) })
	s.StartServer()
	s.Vsctl("--no-wait", "set", "open", ".", "other_config:dpdk-init=true", "other_config:dpdk-lcore-mask=1",
		`other_config:dpdk-extra="--no-huge --legacy-mem -m 3000 --no-pci --file-prefix=`+filepath.Base(s.Dir)+`"`)
	s.StartVswitchd()
	bridge(s)
	return s
}

func vhostDevice(s *testkit.Switch, port string) string {
	path := filepath.Join(s.Dir, port+".sock")
	s.Vsctl("add-port", "br0", port, "--", "set", "interface", port, "type=dpdkvhostuserclient", "options:vhost-server-path="+path)
	return "net_virtio_user" + port[1:] + ",server=1,queue_size=1024,path=" + path
}

func tapDevice(_ *testkit.Switch, port string) string { return "net_tap" + port[1:] + ",iface=" + port }

// throughput is the rate in Mpps, of both directions.
func throughput(t *testing.T, w way, seconds int) float64 {
	s := w.start(t)
	c := testkit.StartTestpmd(t, s, []string{w.device(s, "p0"), w.device(s, "p1")}, []string{"--lcores=0@0,1@0", "-m", "400"},
		"--total-num-mbufs=16384", "--forward-mode=flowgen", "--flowgen-flows=1")
	testkit.Eventually(t, 30*time.Second, "testpmd is ready", func() bool { return strings.Contains(c.Text(), "testpmd> ") })
	for _, port := range []string{"p0", "p1"} {
		w.attach(s, port)
		testkit.Eventually(t, 30*time.Second, port+" is up", func() bool { return s.Vsctl("get", "interface", port, "link_state") == "up" })
	}
	s.Ofctl("add-flow", "br0", "in_port=p0,actions=output:p1")
	s.Ofctl("add-flow", "br0", "in_port=p1,actions=output:p0")
	c.Say("start")
	testkit.Eventually(t, 20*time.Second, "packets flow", func() bool { return c.Received() > 10000 })
	begin, start := c.Received(), time.Now()
	<-time.After(time.Duration(seconds) * time.Second)
	return float64(c.Received()-begin) / time.Since(start).Seconds() / 1e6
}
