// Package compare measures the switch against stock Open vSwitch on the same
// topology, interleaved (A B A B …), and prints medians with their spread and the
// ratio of the medians.
//
// It is run by `make bench`; SLUICE_BENCH_ROUNDS sets the number of rounds (5) and
// SLUICE_BENCH_SECONDS the length of each measurement (4).
package compare

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// contender is a switch under test.
type contender struct {
	name, bin string
}

// row is one figure: its name, unit, and how to measure it.  measure gets a started
// switch with two hosts.
type row struct {
	name, unit  string
	lowerBetter bool
	measure     func(t *testing.T, c contender) float64
}

func setting(env string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(env)); err == nil && n > 0 {
		return n
	}
	return def
}

func contenders(t *testing.T) (ours, stock contender) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	ours = contender{"sluice", filepath.Join(wd, "../../../bin")}
	dir := t.TempDir()
	for _, p := range []string{"ovsdb-server", "ovs-vswitchd"} {
		path, err := exec.LookPath(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, p)); err != nil {
			t.Fatal(err)
		}
	}
	return ours, contender{"stock", dir}
}

// needBench skips a benchmark unless `make bench` runs it.
func needBench(t *testing.T) {
	if os.Getenv("SLUICE_BENCH") == "" {
		// It takes minutes, and figures mean nothing beside other tests.
		t.Skip("SLUICE_BENCH is not set: `make bench` runs benchmarks")
	}
	os.Setenv("SLUICE_E2E", "1")
}

func TestCompare(t *testing.T) {
	needBench(t)
	testkit.Need(t, "iperf3")
	ours, stock := contenders(t)
	perf := buildPerf(t)
	rounds, seconds := setting("SLUICE_BENCH_ROUNDS", 5), setting("SLUICE_BENCH_SECONDS", 4)
	rows := []row{
		{"afxdp 64 B, one flow", "Mpps", false, func(t *testing.T, c contender) float64 { return packets(t, c, perf, seconds, 1) }},
		{"afxdp 64 B, 1000 flows", "Mpps", false, func(t *testing.T, c contender) float64 { return packets(t, c, perf, seconds, 1000) }},
		{"afxdp TCP", "Gbit/s", false, func(t *testing.T, c contender) float64 { return tcp(t, c, seconds, "afxdp") }},
		{"system TCP", "Gbit/s", false, func(t *testing.T, c contender) float64 { return tcp(t, c, seconds, "system") }},
		{"add-port system, p50", "ms", true, func(t *testing.T, c contender) float64 { return addPort(t, c, "system") }},
		{"add-port afxdp, p50", "ms", true, func(t *testing.T, c contender) float64 { return addPort(t, c, "afxdp") }},
		{"idle, two afxdp ports", "% of a core", true, func(t *testing.T, c contender) float64 { return idle(t, c) }},
	}
	only := os.Getenv("SLUICE_BENCH_ONLY")
	fmt.Printf("%-26s %-28s %-28s %s\n", "", "sluice", "stock", "ratio of medians")
	for _, r := range rows {
		if only != "" && !strings.Contains(r.name, only) {
			continue
		}
		var a, b []float64
		for range rounds {
			a = append(a, r.measure(t, ours))
			b = append(b, r.measure(t, stock))
		}
		fmt.Printf("%-26s %-28s %-28s %.2f  (%s%s)\n", r.name, spread(a), spread(b), median(a)/median(b), r.unit, map[bool]string{true: ", lower is better"}[r.lowerBetter])
	}
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

func spread(v []float64) string {
	return fmt.Sprintf("%.3g (%.3g–%.3g)", median(v), slices.Min(v), slices.Max(v))
}

func buildPerf(t *testing.T) string {
	out := filepath.Join(t.TempDir(), "perf")
	if b, err := exec.Command("go", "build", "-o", out, "sluice/tests/perf").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return out
}

// start starts a switch with two hosts on ports of a type.
func start(t *testing.T, c contender, typ string) (s *testkit.Switch, a, b *testkit.Host) {
	s = testkit.NewSwitch(t, testkit.Options{Bin: c.bin})
	a, b = testkit.NewHost(t, "a"), testkit.NewHost(t, "b")
	s.Veth(a, "p0", "eth0", "10.9.0.1/24")
	s.Veth(b, "p1", "eth0", "10.9.0.2/24")
	if c.name == "stock" {
		if typ == "system" {
			s.Vsctl("set", "open", ".", "other_config:userspace-tso-enable=true")
			s.Appctl("exit")
			s.StartVswitchd()
		} else {
			a.Run("ethtool", "-K", "eth0", "tx", "off")
			b.Run("ethtool", "-K", "eth0", "tx", "off")
		}
	}
	// The generator runs on core 0.
	s.Vsctl("set", "open", ".", "other_config:pmd-cpu-mask=2")
	s.Vsctl("--", "add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev")
	for _, p := range []string{"p0", "p1"} {
		s.Vsctl("add-port", "br0", p, "--", "set", "interface", p, "type="+typ)
	}
	s.Ofctl("add-flow", "br0", "actions=normal")
	return s, a, b
}

// sub gives each measurement a test of its own, so that what it made is gone before
// the next one.
func sub(t *testing.T, c contender, fn func(t *testing.T)) {
	if !t.Run(c.name, fn) {
		t.FailNow()
	}
}

// packets counts small frames from one host to the other.
func packets(t *testing.T, c contender, perf string, seconds, flows int) (mpps float64) {
	sub(t, c, func(t *testing.T) {
		s, a, b := start(t, c, "afxdp")
		a.Ping("10.9.0.2", 3)
		out, err := exec.Command(perf, "run", "-gen", a.Name+"/eth0", "-sink", b.Name+"/eth0", "-burst", "65536",
			"-flows", strconv.Itoa(flows), "-seconds", strconv.Itoa(seconds), "-pid", strconv.Itoa(s.Pid("ovs-vswitchd"))).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var res struct {
			RxMpps float64 `json:"rx_mpps"`
		}
		if err := json.Unmarshal(out, &res); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		mpps = res.RxMpps
	})
	return mpps
}

// tcp measures bulk TCP at MTU 1500 with the hosts' default offloads (stock: those
// with which it works at all).
func tcp(t *testing.T, c contender, seconds int, typ string) (gbps float64) {
	sub(t, c, func(t *testing.T) {
		_, a, b := start(t, c, typ)
		a.Ping("10.9.0.2", 3)
		b.Start("iperf3", "-s", "-1", "-B", "10.9.0.2")
		testkit.Eventually(t, 5*time.Second, "iperf3 listens", func() bool {
			out, err := b.Try("ss", "-Hltn", "sport", "=", ":5201")
			return err == nil && strings.Contains(out, "5201")
		})
		out := a.Run("iperf3", "-c", "10.9.0.2", "-t", strconv.Itoa(seconds), "-J")
		var res struct {
			End struct {
				Received struct {
					Bps float64 `json:"bits_per_second"`
				} `json:"sum_received"`
			} `json:"end"`
		}
		if err := json.Unmarshal([]byte(out), &res); err != nil {
			t.Fatal(err)
		}
		gbps = res.End.Received.Bps / 1e9
	})
	return gbps
}

// addPort is the median time of `ovs-vsctl add-port` over 50 fresh devices.
func addPort(t *testing.T, c contender, typ string) (ms float64) {
	sub(t, c, func(t *testing.T) {
		s, _, _ := start(t, c, typ)
		h := testkit.NewHost(t, "n")
		var all []float64
		for i := range 50 {
			port := fmt.Sprintf("x%d", i)
			s.Veth(h, port, fmt.Sprintf("eth%d", i), "")
			t0 := time.Now()
			s.Vsctl("add-port", "br0", port, "--", "set", "interface", port, "type="+typ)
			all = append(all, float64(time.Since(t0).Microseconds())/1000)
		}
		ms = median(all)
	})
	return ms
}

// idle is the CPU that the switch takes over 30 s with nothing to do.
func idle(t *testing.T, c contender) (percent float64) {
	sub(t, c, func(t *testing.T) {
		s, _, _ := start(t, c, "afxdp")
		pid := s.Pid("ovs-vswitchd")
		before := cpuTicks(t, pid)
		const wait = 30
		<-time.After(wait * time.Second)
		percent = float64(cpuTicks(t, pid)-before) / wait // ticks of 10 ms: percent
	})
	return percent
}

func cpuTicks(t *testing.T, pid int) uint64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+2:]))
	u, _ := strconv.ParseUint(f[11], 10, 64)
	v, _ := strconv.ParseUint(f[12], 10, 64)
	return u + v
}
