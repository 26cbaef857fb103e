package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/tests/testkit"
)

// bridgeOf makes bridge br0 with port p0 of a type; "internal" has br0 stand for it.
func bridgeOf(s *testkit.Switch, typ string) (port string) {
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	if typ == "internal" {
		return "br0"
	}
	s.Vsctl("add-port", "br0", "p0", "--", "set", "interface", "p0", "type="+typ)
	return "p0"
}

// qosTranscript configures QoS in many ways and returns what tools say after each.
func qosTranscript(t *testing.T, bin, typ string) string {
	s := testkit.NewSwitch(t, testkit.Options{Bin: bin})
	hosts(t, s, 1)
	port := bridgeOf(s, typ)
	var out strings.Builder
	note := func(title, text string) { fmt.Fprintf(&out, "== %s\n%s\n", title, text) }
	look := func(title string) {
		note(title, "")
		note("qdisc", s.Run("tc", "qdisc", "show", "dev", port))
		note("classes", s.Run("tc", "class", "show", "dev", port))
		note("qos/show", s.Appctl("qos/show", port))
		for _, cmd := range [][]string{
			{"queue-stats", "br0"}, {"queue-stats", "br0", port}, {"queue-stats", "br0", port, "3"}, {"queue-stats", "br0", port, "7"},
			{"queue-get-config", "br0", port}, {"-O", "OpenFlow14", "queue-get-config", "br0", port, "3"}, {"-O", "OpenFlow14", "queue-get-config", "br0", port, "7"},
		} {
			text, _ := s.TryTool("ovs-ofctl", cmd...)
			note(strings.Join(cmd, " "), text)
		}
	}
	set := func(typ string, more ...string) {
		s.Vsctl(append([]string{"set", "port", port, "qos=@q", "--", "--id=@q", "create", "qos", "type=" + typ}, more...)...)
	}
	note("types", s.Appctl("qos/show-types", port))
	look("none")
	set("linux-htb", "other-config:max-rate=10000000", "queues:0=@a", "queues:3=@b",
		"--", "--id=@a", "create", "queue", "other-config:min-rate=1000000",
		"--", "--id=@b", "create", "queue", "dscp=10", "other-config:min-rate=2000000", "other-config:max-rate=5000000", "other-config:burst=800000", "other-config:priority=4")
	look("htb")
	qos := s.Vsctl("get", "port", port, "qos")
	s.Vsctl("set", "qos", qos, "other-config:max-rate=4000000")
	look("a lower rate")
	s.Vsctl("remove", "qos", qos, "queues", "0")
	look("without the first queue")
	s.Vsctl("remove", "qos", qos, "queues", "3")
	look("without queues")
	set("linux-htb")
	look("the link's speed")
	s.Vsctl("clear", "port", port, "qos")
	look("no more")
	for _, kind := range []string{"linux-hfsc", "linux-sfq", "linux-codel", "linux-fq_codel", "linux-netem", "linux-noop", "linux-other", "none"} {
		set(kind)
		look(kind)
	}
	set("linux-netem", "other-config:loss=101")
	look("nonsense")
	set("linux-htb")
	set(`""`)
	look("empty type")
	log, err := os.ReadFile(s.Dir + "/ovs-vswitchd.log")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(log), "\n") {
		if f := strings.SplitN(line, "|", 3); len(f) == 3 && strings.HasPrefix(f[2], "netdev_linux|WARN|") {
			note("log", f[2])
		}
	}
	return out.String()
}

// TestQoSIsStocks has stock and this switch do the same and compares what tools, the
// kernel and the log say.
func TestQoSIsStocks(t *testing.T) {
	testkit.Need(t, "tc")
	for _, typ := range []string{"system", "afxdp", "internal"} {
		t.Run(typ, func(t *testing.T) {
			if d := cmp.Diff(qosTranscript(t, stockBin, typ), qosTranscript(t, "", typ)); d != "" {
				t.Errorf("-stock +ours:\n%s", d)
			}
		})
	}
}

// TestQoSUnsupported asks ports that the kernel does not know for QoS.
func TestQoSUnsupported(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
		"--", "add-port", "br0", "v0", "--", "set", "interface", "v0", "type=dpdkvhostuserclient", "options:vhost-server-path="+s.Dir+"/v0.sock",
		"--", "add-port", "br0", "a0", "--", "set", "interface", "a0", "type=patch", "options:peer=a1",
		"--", "add-port", "br0", "a1", "--", "set", "interface", "a1", "type=patch", "options:peer=a0")
	for _, port := range []string{"v0", "a0"} {
		s.Vsctl("set", "port", port, "qos=@q", "--", "--id=@q", "create", "qos", "type=linux-htb",
			"--", "set", "interface", port, "ingress_policing_rate=1000")
		for cmd, want := range map[string]string{
			"qos/show":       "QoS not configured on " + port + "\n",
			"qos/show-types": "No QoS types supported for interface: " + port + "\n",
		} {
			if got := s.Appctl(cmd, port); got != want {
				t.Errorf("%s %s: %q", cmd, port, got)
			}
		}
		if got, _ := s.TryTool("ovs-ofctl", "queue-stats", "br0", port, "0"); !strings.Contains(got, "OFPQOFC_BAD_QUEUE") {
			t.Errorf("queue-stats of %s: %s", port, got)
		}
	}
	for _, cmd := range []string{"qos/show", "qos/show-types"} {
		if got, err := s.TryTool("ovs-appctl", cmd, "nosuch"); err == nil || !strings.HasPrefix(got, "no such interface\n") {
			t.Errorf("%s: %s, %v", cmd, got, err)
		}
	}
}

// TestQoSTouchesOnlyWhatChanged listens to what the kernel tells of its qdiscs.
func TestQoSTouchesOnlyWhatChanged(t *testing.T) {
	testkit.Need(t, "tc")
	s := testkit.NewSwitch(t, testkit.Options{})
	hosts(t, s, 2)
	bridgeOf(s, "system")
	s.Vsctl("add-port", "br0", "p1", "--", "set", "port", "p0", "qos=@q", "--", "--id=@q", "create", "qos", "type=linux-htb",
		"queues:1=@a", "queues:2=@b", "--", "--id=@a", "create", "queue", "other-config:min-rate=1000000",
		"--", "--id=@b", "create", "queue", "other-config:min-rate=1000000")
	path := s.Dir + "/events"
	s.Start("sh", "-c", "exec tc monitor >"+path)
	marks := 0
	// events returns what happened since the last call, up to a mark that this makes.
	seen := 0
	events := func() string {
		t.Helper()
		marks++
		dev := fmt.Sprintf("mark%d", marks)
		s.Run("ip", "link", "add", dev, "type", "veth", "peer", "name", dev+"p")
		var text string
		testkit.Eventually(t, 10*time.Second, "the mark is seen", func() bool {
			s.Run("tc", "qdisc", "replace", "dev", dev, "root", "tbf", "rate", "1mbit", "burst", "2000", "latency", "9ms")
			b, _ := os.ReadFile(path)
			text = string(b)
			return strings.Contains(text, dev+" ")
		})
		text, seen = text[seen:], len(text)
		var out []string
		for _, line := range strings.Split(text, "\n") {
			if strings.Contains(line, "p0 ") || strings.Contains(line, "p1 ") {
				out = append(out, line)
			}
		}
		return strings.Join(out, "\n")
	}
	events()
	s.Vsctl("add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=netdev", "--", "set", "interface", "p1", "external_ids:a=b",
		"--", "set", "open", ".", "other_config:max-idle=5000")
	if got := events(); got != "" {
		t.Errorf("an unrelated change touches the kernel:\n%s", got)
	}
	qos := s.Vsctl("get", "port", "p0", "qos")
	queue := s.Vsctl("get", "qos", qos, "queues:2")
	s.Vsctl("set", "queue", queue, "other-config:min-rate=3000000")
	if got := events(); strings.Count(got, "\n") != 0 || !strings.Contains(got, "class htb 1:3 dev p0") {
		t.Errorf("a queue changes:\n%s", got)
	}
	s.Vsctl("remove", "qos", qos, "queues", "2")
	if got := events(); strings.Count(got, "\n") != 0 || !strings.Contains(got, "deleted class htb 1:3 dev p0") {
		t.Errorf("a queue goes:\n%s", got)
	}
}

// TestQoSComesBack restarts the switch, and replaces the link.
func TestQoSComesBack(t *testing.T) {
	testkit.Need(t, "tc")
	s := testkit.NewSwitch(t, testkit.Options{})
	hosts(t, s, 1)
	bridgeOf(s, "system")
	s.Vsctl("set", "port", "p0", "qos=@q", "--", "--id=@q", "create", "qos", "type=linux-htb", "queues:4=@a", "queues:5=@a",
		"--", "--id=@a", "create", "queue", "other-config:min-rate=3000000")
	classes := func() string { return s.Run("tc", "class", "show", "dev", "p0") }
	if got := classes(); !strings.Contains(got, "1:5") || !strings.Contains(got, "1:6") {
		t.Fatalf("classes:\n%s", got)
	}
	pid := s.Pid("ovs-vswitchd")
	s.Run("kill", "-9", fmt.Sprint(pid))
	if !testkit.Gone(pid, 5*time.Second) {
		t.Fatal("ovs-vswitchd survives SIGKILL")
	}
	s.Vsctl("--no-wait", "remove", "qos", s.Vsctl("get", "port", "p0", "qos"), "queues", "4")
	s.StartVswitchd()
	if got := classes(); strings.Contains(got, "1:5") || !strings.Contains(got, "1:6") {
		t.Errorf("classes after a restart:\n%s", got)
	}
	s.Run("ip", "link", "del", "p0")
	s.Run("ip", "link", "add", "p0", "type", "veth", "peer", "name", "p0p")
	s.Run("ip", "link", "set", "p0", "up")
	testkit.Eventually(t, 10*time.Second, "the new link has the queues", func() bool { return strings.Contains(classes(), "1:6") })
}

// gotBytes reads how many bytes a host's device got.
func gotBytes(h *testkit.Host, dev string) float64 {
	n, _ := strconv.ParseFloat(strings.TrimSpace(h.Run("cat", "/sys/class/net/"+dev+"/statistics/rx_bytes")), 64)
	return n
}

// floodSec is how long flood sends.
const floodSec = 2

// flood sends datagrams, as many as one shell can, and returns how many bytes arrive.
func flood(from, to *testkit.Host) float64 {
	before := gotBytes(to, "eth0")
	from.Run("bash", "-c", fmt.Sprintf(`LC_ALL=C; printf -v data %%1400s x; exec 3>/dev/udp/10.9.0.2/9; end=$((${EPOCHREALTIME/./} + %d000000))
		until [ ${EPOCHREALTIME/./} -gt $end ]; do for i in 1 2 3 4 5 6 7 8; do printf %%s "$data" >&3; done; done 2>/dev/null; true`, floodSec))
	return gotBytes(to, "eth0") - before
}

// TestPolicing sends far more than a port may receive and counts what comes through.
func TestPolicing(t *testing.T) {
	testkit.Need(t, "ping", "bash")
	const kbit, burst = 2000, 200 // 250000 bytes/s, 25600 bytes
	for _, typ := range []string{"system", "afxdp", "internal"} {
		t.Run(typ, func(t *testing.T) {
			s := testkit.NewSwitch(t, testkit.Options{})
			h := hosts(t, s, 2)
			port := bridgeOf(s, typ)
			s.Vsctl("add-port", "br0", "p1")
			from, to := h[0], h[1]
			if typ == "internal" {
				from = s.Host
				s.Run("ip", "addr", "add", "10.9.0.1/24", "dev", "br0")
				s.Run("ip", "link", "set", "br0", "up")
			}
			from.Ping("10.9.0.2", 3)
			s.Vsctl("set", "interface", port, fmt.Sprintf("ingress_policing_rate=%d", kbit), fmt.Sprintf("ingress_policing_burst=%d", burst))
			most, least := float64(kbit*125*floodSec+burst*128), float64(kbit*125*floodSec)
			bytes := flood(from, to)
			if bytes < 0.5*least || bytes > 1.5*most {
				t.Errorf("%.0f bytes come through, want %.0f to %.0f", bytes, least, most)
			}
			stats := s.Ofctl("dump-ports", "br0", port)
			if strings.Contains(stats, "drop=0, errs=0, frame") {
				t.Errorf("no drop is counted:\n%s", stats)
			}
			s.Vsctl("set", "interface", port, "ingress_policing_rate=0", "ingress_policing_kpkts_rate=1", "ingress_policing_kpkts_burst=1")
			if bytes := flood(from, to); bytes < 0.5*1442*1000*floodSec || bytes > 1.5*1442*1000*(floodSec+1) {
				t.Errorf("%.0f bytes of 1000 packets a second come through", bytes)
			}
			s.Vsctl("set", "interface", port, "ingress_policing_kpkts_rate=0")
			if bytes := flood(from, to); bytes < 3*most {
				t.Errorf("without a limit %.0f bytes come through", bytes)
			}
		})
	}
}
