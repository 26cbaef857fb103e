package tc

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"sluice/netdev"
	"sluice/tests/testkit/nstest"
)

func TestMain(m *testing.M) { nstest.Main(m) }

// fakeLink is a link of which only numbers are there.
type fakeLink struct{ index, mtu int }

func (l *fakeLink) Name() string              { return "p0" }
func (l *fakeLink) Ifindex() int              { return l.index }
func (l *fakeLink) MTU() int                  { return l.mtu }
func (l *fakeLink) Features() netdev.Features { return netdev.Features{Current: 1 << 6} }

// stock returns the recorded requests by name.
func stock(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("testdata/stock.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		if f := strings.Split(line, "|"); len(f) == 3 {
			out[f[0]] = f[1] + "|" + f[2]
		}
	}
	return out
}

// show prints a request as the recordings have it.  That the kernel acknowledges and
// whether it echoes is ours to choose.
func show(req *nl.NetlinkRequest) string {
	b := req.Serialize()
	ne := binary.NativeEndian
	return fmt.Sprintf("%d %x %x %x %x|%s", ne.Uint16(b[4:]), ne.Uint16(b[6:]), ne.Uint32(b[24:]), ne.Uint32(b[28:]), ne.Uint32(b[32:]),
		hex.EncodeToString(b[36:]))
}

// record has transact note the requests and answer with what answer says.
func record(t *testing.T, answer func(req *nl.NetlinkRequest) error) *[]string {
	t.Helper()
	var list []string
	old := transact
	t.Cleanup(func() { transact = old })
	transact = func(req *nl.NetlinkRequest) error {
		req.Flags &^= unix.NLM_F_ACK
		list = append(list, show(req))
		if answer != nil {
			return answer(req)
		}
		return nil
	}
	return &list
}

// fresh is the control of a link with the default qdisc.
func fresh() *Control {
	c := &Control{}
	c.Init(&fakeLink{1, 1500})
	c.cur = &state{kind: none}
	return c
}

func expect(t *testing.T, what string, got *[]string, names ...string) {
	t.Helper()
	recorded := stock(t)
	var want []string
	for _, n := range names {
		if recorded[n] == "" {
			t.Fatalf("nothing is recorded as %s", n)
		}
		want = append(want, recorded[n])
	}
	if d := cmp.Diff(want, *got); d != "" {
		t.Errorf("%s: requests differ from stock's (-stock +ours):\n%s", what, d)
	}
	*got = nil
}

// recordedClock has the units of time of the recordings.
func recordedClock(t *testing.T) {
	old := psched
	t.Cleanup(func() { psched = old })
	psched = func() clock { return clock{15625000, 1000000000} }
}

func TestRequestsAreStocks(t *testing.T) {
	recordedClock(t)
	sent := record(t, nil)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c := fresh()
	htb := map[string]string{"max-rate": "10000000"}
	q0 := map[string]string{"min-rate": "1000000"}
	q3 := map[string]string{"min-rate": "2000000", "max-rate": "5000000", "burst": "800000", "priority": "4"}
	must(c.SetQoS("linux-htb", htb))
	must(c.SetQueue(0, q0, 1))
	must(c.SetQueue(3, q3, 2))
	expect(t, "htb", sent, "delete", "htb qdisc", "htb root", "htb queue 0", "htb queue 3")
	must(c.SetQoS("linux-htb", htb))
	must(c.SetQueue(0, q0, 3))
	must(c.SetQueue(3, q3, 3))
	expect(t, "what is in force", sent)
	must(c.DeleteQueue(3))
	expect(t, "queue removed", sent, "htb delete 3")
	if got := c.QueueIDs(); !slices.Equal(got, []uint32{0}) {
		t.Errorf("queues %v", got)
	}
	for _, s := range []struct {
		typ     string
		details map[string]string
		want    string
	}{
		{"linux-codel", map[string]string{"target": "6000", "limit": "100", "interval": "70000"}, "codel"},
		{"linux-fq_codel", map[string]string{"target": "6000"}, "fq_codel"},
		{"linux-sfq", map[string]string{"perturb": "20"}, "sfq"},
		{"linux-netem", map[string]string{"latency": "20000", "limit": "99", "loss": "30"}, "netem"},
	} {
		must(c.SetQoS(s.typ, s.details))
		must(c.SetQoS(s.typ, maps.Clone(s.details)))
		expect(t, s.typ, sent, "delete", s.want)
	}
	must(c.SetQoS("", nil))
	must(c.SetQoS("", nil))
	expect(t, "none", sent, "delete")
	must(c.SetQoS("linux-hfsc", map[string]string{"max-rate": "10000000"}))
	if (*sent)[1] != stock(t)["hfsc qdisc"] {
		t.Errorf("hfsc: %s", (*sent)[1])
	}
	// tc class add … classid 1:fffe hfsc sc rate 1250000bps ul rate 1250000bps
	if want := "40 401 1fffe 10000 0|0900010068667363000000003400020010000100000000000000000" +
		"0d012130010000200000000000000000" + "0d012130010000300000000000000000" + "0d0121300"; (*sent)[2] != want {
		t.Errorf("hfsc: %s, want %s", (*sent)[2], want)
	}
}

// A queue's numbers depend on the whole: a change of that changes them, one by one.
func TestChangesOnly(t *testing.T) {
	sent := record(t, nil)
	c := fresh()
	kinds := func() (list []string) {
		for _, s := range *sent {
			list = append(list, strings.Join(strings.Fields(strings.Split(s, "|")[0])[:3], " "))
		}
		*sent = nil
		return list
	}
	apply := func(root string, queues ...string) {
		t.Helper()
		if err := c.SetQoS("linux-htb", map[string]string{"max-rate": root}); err != nil {
			t.Fatal(err)
		}
		for id, rate := range queues {
			if err := c.SetQueue(uint32(id), map[string]string{"min-rate": rate}, 5); err != nil {
				t.Fatal(err)
			}
		}
	}
	apply("80000000", "8000000", "16000000")
	kinds()
	apply("80000000", "8000000", "24000000")
	if got := kinds(); !slices.Equal(got, []string{"40 401 10002"}) {
		t.Errorf("one queue changes: %q", got)
	}
	apply("40000000", "8000000", "24000000")
	if got := kinds(); !slices.Equal(got, []string{"40 401 1fffe", "40 401 10001", "40 401 10002"}) {
		t.Errorf("the whole changes: %q", got)
	}
	if err := c.SetQoS("linux-netem", map[string]string{"latency": "5"}); err != nil {
		t.Fatal(err)
	}
	kinds()
	if err := c.SetQoS("linux-netem", map[string]string{"latency": "6"}); err != nil {
		t.Fatal(err)
	}
	if got := kinds(); !slices.Equal(got, []string{"36 1 10000"}) {
		t.Errorf("a setting changes: %q", got)
	}
}

// What fails is not in force, and tried again.
func TestFailure(t *testing.T) {
	sent := record(t, func(req *nl.NetlinkRequest) error {
		if req.Type == unix.RTM_NEWTCLASS && binary.NativeEndian.Uint32(req.Serialize()[24:]) == 0x10001 {
			return unix.ENOENT
		}
		return nil
	})
	c := fresh()
	if err := c.SetQoS("linux-htb", nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		*sent = nil
		if err := c.SetQueue(0, nil, 1); !errors.Is(err, unix.ENOENT) || len(*sent) != 1 {
			t.Errorf("error %v, %d requests", err, len(*sent))
		}
	}
	if got := c.QueueIDs(); len(got) != 0 {
		t.Errorf("queues %v", got)
	}
	for _, e := range []struct {
		what      string
		got, want error
	}{
		{"unknown type", c.SetQoS("linux-other", nil), unix.EOPNOTSUPP},
		{"queue above the number", c.SetQueue(0xf000, nil, 1), unix.EINVAL},
		{"no such queue", c.DeleteQueue(7), unix.ENOENT},
		{"loss", fresh().SetQoS("linux-netem", map[string]string{"loss": "101"}), unix.EINVAL},
		{"queue of a kind without", fresh().SetQueue(0, nil, 1), unix.EINVAL},
	} {
		if !errors.Is(e.got, e.want) {
			t.Errorf("%s: %v, want %v", e.what, e.got, e.want)
		}
	}
}

func TestPolicingRequests(t *testing.T) {
	recordedClock(t)
	noMatchall := func(req *nl.NetlinkRequest) error {
		if req.Type == unix.RTM_NEWTFILTER && strings.Contains(string(req.Serialize()), "matchall") {
			return unix.ENOENT
		}
		return nil
	}
	for _, s := range []struct {
		p      netdev.Policing
		answer func(*nl.NetlinkRequest) error
		want   []string
	}{
		{netdev.Policing{}, nil, []string{"ingress off"}},
		{netdev.Policing{KbitRate: 1000, KbitBurst: 100}, nil, []string{"ingress off", "ingress on", "matchall bytes"}},
		{netdev.Policing{KbitRate: 1000, KbitBurst: 100}, noMatchall, []string{"ingress off", "ingress on", "matchall bytes", "basic bytes"}},
		{netdev.Policing{KpktRate: 3}, nil, []string{"ingress off", "ingress on", "matchall packets"}},
	} {
		sent := record(t, s.answer)
		c := fresh()
		for range 2 {
			if err := c.SetPolicing(s.p); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, fmt.Sprintf("%+v", s.p), sent, s.want...)
	}
	sent := record(t, nil)
	if err := transact(fresh().basic(netdev.Policing{KbitRate: 1000, KbitBurst: 100, KpktRate: 3}.Normalize())); err != nil {
		t.Fatal(err)
	}
	expect(t, "both", sent, "basic both")
}

// A kernel without a policer is asked once, and no empty qdisc stays.
func TestPolicingRefused(t *testing.T) {
	sent := record(t, func(req *nl.NetlinkRequest) error {
		if req.Type == unix.RTM_NEWTFILTER {
			return unix.ENOENT
		}
		return nil
	})
	c := fresh()
	p := netdev.Policing{KbitRate: 1000}
	if err := c.SetPolicing(p); !errors.Is(err, unix.ENOENT) {
		t.Errorf("error %v", err)
	}
	if last := (*sent)[len(*sent)-1]; last != stock(t)["ingress off"] {
		t.Errorf("the last request is %s", last)
	}
	n := len(*sent)
	if err := c.SetPolicing(p); err != nil || len(*sent) != n {
		t.Errorf("again: %v, %d requests", err, len(*sent)-n)
	}
}

func TestSettings(t *testing.T) {
	show := func(d []netdev.Detail) string {
		var s []string
		for _, x := range d {
			s = append(s, x.Key+"="+x.Value)
		}
		return strings.Join(s, " ")
	}
	for _, s := range []struct {
		typ     string
		details map[string]string
		want    string
	}{
		{"linux-codel", nil, "limit=10240 interval=100000 target=5000"},
		{"linux-fq_codel", nil, "limit=10240 quantum=1514 flows=1024 interval=1000000 target=5000"},
		{"linux-fq_codel", map[string]string{"quantum": "300", "flows": "64", "interval": "1", "limit": "x"}, "limit=10240 quantum=300 flows=64 interval=1 target=5000"},
		{"linux-sfq", nil, "quantum=1500 perturb=10"},
		{"linux-sfq", map[string]string{"quantum": "9000", "perturb": "0"}, "quantum=9000 perturb=10"},
		{"linux-netem", nil, "limit=1000 loss=0 latency=0"},
		{"linux-netem", map[string]string{"latency": "7", "limit": "8", "loss": "9"}, "limit=8 loss=9 latency=7"},
		{"linux-htb", nil, "max-rate=10000000000"},
		{"linux-htb", map[string]string{"max-rate": "15"}, "max-rate=8"},
		{"linux-htb", map[string]string{"max-rate": "400000000000"}, "max-rate=400000000000"},
		{"linux-hfsc", map[string]string{"max-rate": "-1"}, "max-rate=10000000000"},
	} {
		record(t, nil)
		c := fresh()
		if err := c.SetQoS(s.typ, s.details); err != nil {
			t.Fatal(err)
		}
		typ, got, err := c.QoS()
		if typ != s.typ || show(got) != s.want || err != nil {
			t.Errorf("%s %v: %s %s, %v", s.typ, s.details, typ, show(got), err)
		}
	}
	for _, s := range []struct {
		typ     string
		details map[string]string
		want    string
	}{
		{"linux-htb", nil, "burst=12512 min-rate=12000 max-rate=80000000"},
		{"linux-htb", map[string]string{"min-rate": "90000000"}, "burst=12512 min-rate=80000000"},
		{"linux-htb", map[string]string{"min-rate": "16000", "max-rate": "8000"}, "burst=12512 min-rate=16000"},
		{"linux-htb", map[string]string{"max-rate": "90000000", "burst": "80000", "priority": "3"}, "burst=80000 priority=3 min-rate=12000 max-rate=80000000"},
		{"linux-hfsc", nil, "min-rate=8 max-rate=80000000"},
		{"linux-hfsc", map[string]string{"min-rate": "1600", "max-rate": "800"}, "min-rate=1600"},
		{"linux-hfsc", map[string]string{"min-rate": "1600", "max-rate": "3200"}, "min-rate=1600 max-rate=3200"},
	} {
		record(t, nil)
		c := fresh()
		if err := c.SetQoS(s.typ, map[string]string{"max-rate": "80000000"}); err != nil {
			t.Fatal(err)
		}
		if err := c.SetQueue(5, s.details, 0); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Queue(5); show(got) != s.want || err != nil {
			t.Errorf("%s queue %v: %s, %v", s.typ, s.details, show(got), err)
		}
	}
}

func TestUnits(t *testing.T) {
	for _, s := range []struct {
		text string
		want clock
		bad  bool
	}{
		{"000003e8 00000040 000f4240 3b9aca00\n", clock{15625000, 1000000000}, false},
		{"000c8000 000f4240 000f4240 00000064", clock{819200, 100}, false},
		{"000003e8 00000040 00000001 3b9aca00", clock{15.625, 100}, true},
		{"0 0 0 0", clock{1, 100}, true},
		{"", clock{1, 100}, true},
	} {
		if got, err := parsePsched(s.text); got != s.want || (err != nil) != s.bad {
			t.Errorf("%q: %+v, %v", s.text, got, err)
		}
	}
	for mtu, want := range map[int]uint8{0: 3, 68: 0, 237: 0, 238: 1, 1500: 3, 9000: 6, 65535: 9} {
		if got := cellLog(mtu); got != want {
			t.Errorf("MTU %d: %d, want %d", mtu, got, want)
		}
	}
	k := clock{15625000, 100}
	if got := k.buffer(1250000, 1500, 0); got != 175000 { // 12500 + 1500 bytes
		t.Errorf("buffer %d", got)
	}
	if got := k.bytes(1250000, 175000); got != 14000 {
		t.Errorf("%d bytes", got)
	}
}

// FuzzClass gives the parser of the kernel's messages what no kernel sends.
func FuzzClass(f *testing.F) {
	q := htb{}.parse(nil, 1000000, 1500)
	req := request(unix.RTM_NEWTCLASS, 0, tcmsg(1, queueHandle(1), treeHandle, 0), nameAttr("htb"), htb{}.class(&q),
		nl.NewRtAttr(nl.TCA_STATS2, []byte{16, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}))
	f.Add(req.Serialize()[16:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseClass(b)
		if err != nil {
			return
		}
		htb{}.decode(m.options)
		hfsc{}.decode(m.options)
	})
}
