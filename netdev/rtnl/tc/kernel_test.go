package tc

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/netdev"
	"sluice/tests/testkit/nstest"
)

// veth makes a veth pair and returns the control of its end tc0.
func veth(t *testing.T) *Control {
	t.Helper()
	nstest.Veth(t, "tc0", nil, "tc1")
	l := &namedLink{fakeLink{mtu: 1500}}
	c := &Control{}
	l.index = indexOf(t, "tc0")
	c.Init(l)
	return c
}

type namedLink struct{ fakeLink }

func (*namedLink) Name() string { return "tc0" }

func indexOf(t *testing.T, name string) int {
	t.Helper()
	var n int
	for _, f := range strings.Split(nstest.Run(t, "cat", "/sys/class/net/"+name+"/ifindex"), "\n")[:1] {
		for _, d := range f {
			n = 10*n + int(d-'0')
		}
	}
	return n
}

// squeeze makes the spaces of tc's output single ones.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestKernelHTB(t *testing.T) {
	c := veth(t)
	if typ, _, err := c.QoS(); err != nil || typ != "linux-other" {
		t.Errorf("a veth's own qdisc: %q, %v", typ, err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.SetQoS("linux-htb", map[string]string{"max-rate": "10000000"}))
	must(c.SetQueue(0, map[string]string{"min-rate": "1000000"}, 100))
	must(c.SetQueue(3, map[string]string{"min-rate": "2000000", "max-rate": "5000000", "burst": "800000", "priority": "4"}, 200))
	if got := squeeze(nstest.Run(t, "tc", "qdisc", "show", "dev", "tc0")); !strings.Contains(got, "qdisc htb 1: root") || !strings.Contains(got, "r2q 10 default 0x1") {
		t.Errorf("qdisc: %s", got)
	}
	classes := nstest.Run(t, "tc", "class", "show", "dev", "tc0")
	for _, want := range []string{
		"class htb 1:4 parent 1:fffe prio 4 rate 2Mbit ceil 5Mbit burst 100000b cburst 100000b",
		"class htb 1:1 parent 1:fffe prio 0 rate 1Mbit ceil 10Mbit burst 1564b cburst 1563b",
		"class htb 1:fffe root rate 10Mbit ceil 10Mbit burst 1500b cburst 1500b",
	} {
		if !strings.Contains(classes, want) {
			t.Errorf("no %q in\n%s", want, classes)
		}
	}

	// Another process finds what is there.
	d := &Control{}
	d.Init(c.link)
	typ, details, err := d.QoS()
	if typ != "linux-htb" || err != nil || len(details) != 1 || details[0].Value != "10000000" {
		t.Errorf("read back: %s %v, %v", typ, details, err)
	}
	if got := d.QueueIDs(); len(got) != 2 || got[0] != 0 || got[1] != 3 {
		t.Errorf("queues read back: %v", got)
	}
	must(d.DeleteQueue(3))
	must(d.SetQoS("linux-htb", map[string]string{"max-rate": "400000000000"}))
	if got := nstest.Run(t, "tc", "class", "show", "dev", "tc0"); strings.Contains(got, "1:4") || !strings.Contains(got, "1:fffe root rate 400Gbit") {
		t.Errorf("after changes:\n%s", got)
	}
	must(d.SetQoS("", nil))
	if got := nstest.Run(t, "tc", "qdisc", "show", "dev", "tc0"); strings.Contains(got, "htb") {
		t.Errorf("after the end: %s", got)
	}
	if typ, _, err := d.QoS(); typ != "" || err != nil {
		t.Errorf("after the end: %q, %v", typ, err)
	}
}

func TestKernelQueueStats(t *testing.T) {
	c := veth(t)
	if err := c.SetQoS("linux-htb", map[string]string{"max-rate": "10000000"}); err != nil {
		t.Fatal(err)
	}
	if err := c.EachQueueStats(func(id uint32, _ netdev.QueueStats) { t.Errorf("queue %d", id) }); err != nil {
		t.Error(err)
	}
	if err := c.SetQueue(0, nil, 77); err != nil {
		t.Fatal(err)
	}
	if err := c.SetQueue(9, nil, 78); err != nil {
		t.Fatal(err)
	}
	before, err := c.QueueStats(0)
	if err != nil {
		t.Fatal(err)
	}
	send(t, c.index, 100)
	after, err := c.QueueStats(0)
	if err != nil {
		t.Fatal(err)
	}
	if n := after.TxPackets - before.TxPackets; n != 1 || after.TxBytes-before.TxBytes != 100 || after.TxErrors != 0 || after.Created != 77 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	seen := map[uint32]int64{}
	if err := c.EachQueueStats(func(id uint32, s netdev.QueueStats) { seen[id] = s.Created }); err != nil {
		t.Error(err)
	}
	if len(seen) != 2 || seen[0] != 77 || seen[9] != 78 {
		t.Errorf("queues %v", seen)
	}
	if _, err := c.QueueStats(5); !errors.Is(err, unix.ENOENT) {
		t.Errorf("no such queue: %v", err)
	}
}

// send sends a frame out of the link.
func send(t *testing.T, index, size int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, make([]byte, size), 0, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
		t.Fatal(err)
	}
}

// TestKernelKinds has the kernel take each kind of qdisc.  One that was built without
// it says so, and the link keeps its own.
func TestKernelKinds(t *testing.T) {
	for _, s := range []struct {
		typ     string
		details map[string]string
		want    string
	}{
		{"linux-hfsc", map[string]string{"max-rate": "10000000"}, "qdisc hfsc 1: root"},
		{"linux-sfq", map[string]string{"perturb": "20"}, "perturb 20sec"},
		{"linux-codel", map[string]string{"limit": "100"}, "limit 100p"},
		{"linux-fq_codel", map[string]string{"flows": "64"}, "flows 64"},
		{"linux-netem", map[string]string{"limit": "99", "latency": "20000"}, "limit 99 delay 20ms"},
	} {
		t.Run(s.typ, func(t *testing.T) {
			c := veth(t)
			err := c.SetQoS(s.typ, s.details)
			got := nstest.Run(t, "tc", "qdisc", "show", "dev", "tc0")
			switch typ, _, _ := c.QoS(); {
			case errors.Is(err, unix.ENOENT):
				t.Logf("this kernel has no %s", s.typ)
				if !strings.Contains(got, "noqueue") || typ != "linux-other" {
					t.Errorf("refused: %s, shown as %q", got, typ)
				}
			case err != nil:
				t.Fatal(err)
			case !strings.Contains(squeeze(got), s.want) || typ != s.typ:
				t.Errorf("no %q in %s, shown as %q", s.want, got, typ)
			}
		})
	}
}

// TestKernelNoop leaves what somebody else configured.
func TestKernelNoop(t *testing.T) {
	c := veth(t)
	nstest.Run(t, "tc", "qdisc", "add", "dev", "tc0", "root", "handle", "7:", "htb")
	for _, typ := range []string{"linux-noop", ""} {
		if err := c.SetQoS(typ, nil); err != nil {
			t.Fatal(err)
		}
		if got := nstest.Run(t, "tc", "qdisc", "show", "dev", "tc0"); !strings.Contains(got, "qdisc htb 7:") {
			t.Errorf("%q: %s", typ, got)
		}
	}
	// Without it, a qdisc that is not ours goes.
	d := &Control{}
	d.Init(c.link)
	if err := d.SetQoS("linux-htb", nil); err != nil {
		t.Fatal(err)
	}
	if got := nstest.Run(t, "tc", "qdisc", "show", "dev", "tc0"); !strings.Contains(got, "qdisc htb 1:") {
		t.Error(got)
	}
}

// TestKernelPolice proves that an earlier process's policing goes, that a policer that
// the kernel has is set, and that nothing is left behind where it has none.
func TestKernelPolice(t *testing.T) {
	c := veth(t)
	nstest.Run(t, "tc", "qdisc", "add", "dev", "tc0", "ingress")
	show := func() string { return nstest.Run(t, "tc", "qdisc", "show", "dev", "tc0") }
	if err := c.SetPolicing(netdev.Policing{}); err != nil || strings.Contains(show(), "ingress") {
		t.Errorf("%v, %s", err, show())
	}
	err := c.SetPolicing(netdev.Policing{KbitRate: 1000, KbitBurst: 100})
	filters := nstest.Run(t, "tc", "filter", "show", "dev", "tc0", "ingress")
	switch {
	case errors.Is(err, unix.ENOENT):
		t.Log("this kernel has no policer")
		if strings.Contains(show(), "ingress") {
			t.Errorf("left behind: %s", show())
		}
	case err != nil:
		t.Fatal(err)
	case !strings.Contains(filters, "police") || !strings.Contains(filters, "rate 1Mbit"):
		t.Errorf("filters: %s", filters)
	}
	if err := c.SetPolicing(netdev.Policing{}); err != nil || strings.Contains(show(), "ingress") {
		t.Errorf("%v, %s", err, show())
	}
}

// TestKernelNewLink gives the link of the name another index.
func TestKernelNewLink(t *testing.T) {
	c := veth(t)
	if err := c.SetQoS("linux-htb", nil); err != nil {
		t.Fatal(err)
	}
	nstest.Run(t, "ip", "link", "add", "tc2", "type", "veth", "peer", "name", "tc3")
	t.Cleanup(func() { nstest.Run(t, "ip", "link", "del", "tc2") })
	c.link.(*namedLink).index = indexOf(t, "tc2")
	if err := c.SetQoS("linux-htb", nil); err != nil {
		t.Fatal(err)
	}
	if got := nstest.Run(t, "tc", "qdisc", "show", "dev", "tc2"); !strings.Contains(got, "qdisc htb 1:") {
		t.Error(got)
	}
}
