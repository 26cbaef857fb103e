package compare

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// bulk is a kind of port that comes and goes by the thousand.
type bulk struct {
	name, typ string
	daemon    []string // arguments of the switch
	prepare   func(t *testing.T, s *testkit.Switch, n int)
}

// TestBulkPorts adds SLUICE_BENCH_PORTS ports (2000) in one transaction of the
// database and removes them in another.  The time is from the end of the transaction
// to the end of the next one that waits for the switch: ovs-vsctl, which takes longer
// to make the transaction than either switch to follow it, is not in it.
func TestBulkPorts(t *testing.T) {
	needBench(t)
	testkit.Need(t)
	ours, stock := contenders(t)
	rounds, n := setting("SLUICE_BENCH_ROUNDS", 5), setting("SLUICE_BENCH_PORTS", 2000)
	only := os.Getenv("SLUICE_BENCH_ONLY")
	fmt.Printf("%-26s %-28s %-28s %s\n", "", "sluice", "stock", "ratio of medians")
	for _, k := range []bulk{
		{"dummy", "dummy", []string{"--enable-dummy=override"}, func(*testing.T, *testkit.Switch, int) {}},
		{"veth", "system", nil, vethPairs},
		{"internal", "internal", nil, func(*testing.T, *testkit.Switch, int) {}},
	} {
		if only != "" && !strings.Contains("bulk "+k.name, only) {
			continue
		}
		a, b := map[string][]float64{}, map[string][]float64{}
		for range rounds {
			bulkPorts(t, ours, k, n, a)
			bulkPorts(t, stock, k, n, b)
		}
		for _, f := range []string{"add", "add, CPU", "del", "del, CPU"} {
			name := fmt.Sprintf("%d %s %s", n, k.name, f)
			fmt.Printf("%-26s %-28s %-28s %.2f  (ms, lower is better)\n", name, spread(a[f]), spread(b[f]), median(a[f])/median(b[f]))
		}
	}
}

// bulkPorts appends the figures of one switch, in ms.
func bulkPorts(t *testing.T, c contender, k bulk, n int, figures map[string][]float64) {
	sub(t, c, func(t *testing.T) {
		s := testkit.NewSwitch(t, testkit.Options{Bin: c.bin, Vswitchd: k.daemon})
		k.prepare(t, s, n)
		s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
		var add, del []string
		for i := range n {
			port := fmt.Sprintf("p%d", i)
			add = append(add, "--", "add-port", "br0", port, "--", "set", "interface", port, "type="+k.typ)
			del = append(del, "--", "del-port", "br0", port)
		}
		transact := func(name string, args []string) {
			pid := s.Pid("ovs-vswitchd")
			cpu := cpuTicks(t, pid)
			s.Tool("ovs-vsctl", append([]string{"--timeout=60", "--no-wait"}, args...)...)
			t0 := time.Now()
			s.Tool("ovs-vsctl", "--timeout=120", "set", "open", ".", "external_ids:step="+name)
			figures[name] = append(figures[name], float64(time.Since(t0).Microseconds())/1000)
			figures[name+", CPU"] = append(figures[name+", CPU"], float64(cpuTicks(t, pid)-cpu)*10)
		}
		transact("add", add)
		if errs := s.Vsctl("--columns=name,error", "find", "interface", "error!=[]"); errs != "" {
			t.Fatalf("ports that were not added:\n%s", errs)
		}
		transact("del", del)
	})
}

// vethPairs makes the devices p0, p1, … in the switch's namespace.
func vethPairs(t *testing.T, s *testkit.Switch, n int) {
	h := testkit.NewHost(t, "far")
	var cmds strings.Builder
	for i := range n {
		fmt.Fprintf(&cmds, "link add p%d up type veth peer name e%d netns %s\n", i, i, h.Name)
	}
	batch := filepath.Join(s.Dir, "links")
	if err := os.WriteFile(batch, []byte(cmds.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Run("ip", "-batch", batch)
}
