package bond

import (
	"fmt"
	"strings"
	"testing"

	"sluice/dpif/flow"
	"sluice/ofproto/proto/lacp"
)

// bed is a bond with members 1 to n, named p1 to pn, whose links a test moves.
type bed struct {
	*Bond
	t      *testing.T
	now    int64
	lacp   lacp.Status
	up     map[uint64]bool
	totals [Buckets]uint64
}

func newBed(t *testing.T, c Config, n uint64) *bed {
	b := &bed{t: t, up: map[uint64]bool{}, now: 1000}
	c.Name = "bond0"
	b.Bond = New(c, flow.MAC{}, func() [Buckets]uint64 { return b.totals }, b.now)
	for id := uint64(1); id <= n; id++ {
		b.up[id] = true
		b.Register(id, fmt.Sprint("p", id), uint32(10+id), b.link(id))
	}
	b.run(0)
	return b
}

func (b *bed) link(id uint64) Link {
	return Link{MAC: flow.MAC{2, 0, 0, 0, 0, byte(id)}, Carrier: b.up[id], MayEnable: true}
}

func (b *bed) run(ms int64) bool {
	b.now += ms
	for id := range b.up {
		b.SetLink(id, b.link(id))
	}
	return b.Bond.Run(b.now, b.lacp)
}

func (b *bed) check(what, got, want any) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// line returns the line of bond/show that follows "member NAME: ".
func (b *bed) member(name string) string {
	_, rest, _ := strings.Cut(string(b.AppendShow(nil, b.now)), "member "+name+": ")
	line, _, _ := strings.Cut(rest, "\n  may")
	return strings.ReplaceAll(line, "\n ", "")
}

func TestActiveBackup(t *testing.T) {
	b := newBed(t, Config{Mode: ActiveBackup}, 3)
	f := &flow.Flow{}
	out := func() uint32 {
		m, bucket := b.View().Output(f, 0)
		b.check("bucket", bucket, -1)
		if m == nil {
			return 0
		}
		return m.OFPort
	}
	b.check("first active", out(), uint32(11))
	b.check("learning after the first choice", b.TakeLearning(), true)
	b.check("no more learning", b.TakeLearning(), false)
	b.check("nothing happened", b.run(100), false)
	b.up[1] = false
	b.check("a member went down", b.run(100), true)
	b.check("active after failure", out(), uint32(12))
	b.check("learning after failure", b.TakeLearning(), true)
	b.up[1] = true
	b.run(100)
	b.check("the old one does not take over", out(), uint32(12))
	mac, ok := b.ActiveMAC()
	b.check("MAC", mac, flow.MAC{2, 0, 0, 0, 0, 2})
	b.check("MAC is known", ok, true)
	c := *b.Config()
	c.Primary = "p3"
	b.Configure(c, b.now)
	b.run(0)
	b.check("the primary takes over", out(), uint32(13))
	b.up[1], b.up[2], b.up[3] = false, false, false
	b.run(0)
	b.check("all down", out(), uint32(0))
	b.check("show", strings.Contains(string(b.AppendShow(nil, b.now)),
		"primary: p3\nactive member mac: 00:00:00:00:00:00(none)"), true)
	b.Unregister(3, b.now)
	b.check("primary gone", strings.Contains(string(b.AppendShow(nil, b.now)), "primary: p3 (no such member)"), true)
}

// TestRemembered: a new bond makes the member active that was so before.
func TestRemembered(t *testing.T) {
	b := New(Config{Name: "b"}, flow.MAC{2, 0, 0, 0, 0, 2}, nil, 0)
	for id := uint64(1); id <= 2; id++ {
		b.Register(id, fmt.Sprint("p", id), uint32(id), Link{MAC: flow.MAC{2, 0, 0, 0, 0, byte(id)}, Carrier: true, MayEnable: true})
	}
	for id := range uint64(2) {
		b.SetLink(id+1, Link{MAC: flow.MAC{2, 0, 0, 0, 0, byte(id + 1)}, Carrier: true, MayEnable: true})
	}
	b.Run(0, lacp.Off)
	if m, _ := b.View().Output(&flow.Flow{}, 0); m == nil || m.Name != "p2" {
		t.Errorf("active %v", m)
	}
}

func TestDelays(t *testing.T) {
	b := newBed(t, Config{Mode: ActiveBackup, UpDelayMs: 1000, DownDelayMs: 500}, 2)
	b.up[2] = false
	b.run(0)
	b.check("down", b.member("p2"), "enabled downdelay expires in 500 ms")
	at, ok := b.Next()
	b.check("next", at, b.now+500)
	b.check("next", ok, true)
	b.up[2] = true
	b.run(200)
	b.check("up again in time", b.member("p2"), "enabled")
	b.up[2] = false
	b.run(200)
	b.run(499)
	b.check("still", b.member("p2"), "enabled downdelay expires in 1 ms")
	b.run(1)
	b.check("off", b.member("p2"), "disabled")
	b.up[2] = true
	b.run(0)
	b.check("up", b.member("p2"), "disabled updelay expires in 1000 ms")
	// Without any other member nobody waits.
	b.up[1] = false
	b.run(0)
	b.run(500)
	b.check("skips the delay", b.member("p2"), "enabled active member")
}

func TestSLB(t *testing.T) {
	b := newBed(t, Config{Mode: BalanceSLB, RebalanceMs: 10000, Basis: 7}, 3)
	used := map[uint32]int{}
	for i := range 256 {
		f := &flow.Flow{DLSrc: flow.MAC{0x50, 0x54, 0, 0, 0, byte(i)}}
		m, bucket := b.View().Output(f, 9)
		b.check("bucket", bucket, int(HashMAC(f.DLSrc, 9, 7)&255))
		used[m.OFPort]++
	}
	for port, n := range used {
		if n < 60 {
			t.Errorf("port %d carries %d of 256 addresses", port, n)
		}
	}
	// An entry that carries something stays, an idle one does not.
	f := &flow.Flow{DLSrc: flow.MAC{1, 2, 3, 4, 5, 6}}
	m, bucket := b.View().Output(f, 0)
	b.View().Load().Add(bucket, 5000)
	for id := range b.up {
		if id != m.ID {
			b.up[id] = false
			b.run(100)
			b.up[id] = true
			b.run(100)
		}
	}
	again, _ := b.View().Output(f, 0)
	b.check("stays", again.ID, m.ID)
	b.check("load", strings.Contains(string(b.AppendShow(nil, b.now)), fmt.Sprintf("  hash %d: 4 kB load\n", bucket)), true)
	b.up[m.ID] = false
	b.run(100)
	if again, _ = b.View().Output(f, 0); again.ID == m.ID {
		t.Error("a member that is down carries frames")
	}
	if err := b.Migrate("17", m.Name); err == nil || err.Error() != "cannot migrate to disabled member" {
		t.Error(err)
	}
	b.up[m.ID] = true
	b.run(100)
	if err := b.Migrate(fmt.Sprint(bucket+256), m.Name); err != nil {
		t.Error(err)
	}
	b.run(0)
	again, _ = b.View().Output(f, 0)
	b.check("migrated", again.ID, m.ID)
	for value, want := range map[string]string{"x1": "bad hash", "": ""} {
		if err := b.Migrate(value, m.Name); want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("migrate %q: %v", value, err)
		}
	}
}

func TestTCP(t *testing.T) {
	b := newBed(t, Config{Mode: BalanceTCP, RebalanceMs: 1000}, 2)
	b.SetRecircID(5)
	f := &flow.Flow{DLType: flow.EthIPv4, NwProto: 6, NwSrc: 1, NwDst: 2, TpSrc: 3, TpDst: 4}
	b.run(0)
	if m, _ := b.View().Output(f, 0); m != nil {
		t.Error("without LACP nothing is carried")
	}
	b.lacp = lacp.Negotiated
	b.run(0)
	m, bucket := b.View().Output(f, 0)
	b.check("bucket", bucket, int(f.Hash5Tuple(0)&255))
	outs, ok := b.Outputs()
	b.check("outputs", ok, true)
	b.check("output", outs[bucket], Output{m.OFPort, true})
	b.check("recirculation", b.View().RecircID, uint32(5))
	b.up[1] = false
	b.run(0)
	outs, _ = b.Outputs()
	for i := range outs {
		b.check("only p2", outs[i], Output{12, true})
	}
	// A partner that does not answer.
	c := *b.Config()
	c.FallbackAB = true
	b.Configure(c, b.now)
	b.lacp = lacp.Configured
	b.run(0)
	_, ok = b.Outputs()
	b.check("no recirculation in fallback", ok, false)
	m, bucket = b.View().Output(f, 0)
	b.check("active carries all", fmt.Sprint(m.OFPort, " ", bucket), "12 -1")
}

func TestRebalance(t *testing.T) {
	b := newBed(t, Config{Mode: BalanceTCP, RebalanceMs: 1000}, 2)
	b.SetRecircID(5)
	b.lacp = lacp.Negotiated
	b.up[2] = false
	b.run(0)
	load := func() (p1, p2 uint64) {
		b.takeLoad()
		for i := range b.hash {
			switch b.hash[i].member.name {
			case "p1":
				p1 += b.hash[i].bytes
			case "p2":
				p2 += b.hash[i].bytes
			}
		}
		return p1, p2
	}
	for i := range b.totals {
		b.totals[i] = 65500
	}
	p1, p2 := load()
	b.check("before", fmt.Sprint(p1, p2), fmt.Sprint(256*65500, 0))
	b.up[2] = true
	b.run(10)
	if _, p2 = load(); p2 != 0 {
		t.Error("entries with load must not be dealt out")
	}
	b.Rebalance(b.now)
	if _, p2 = load(); p2 != 0 {
		t.Error("it is not time yet")
	}
	b.run(1000)
	b.Rebalance(b.now)
	b.check("changed", b.run(0), true)
	p1, p2 = load()
	b.check("after", p1+p2, uint64(128*65500)) // halved
	if p1 < p2*9/10 || p2 < p1*9/10 {
		t.Errorf("loads %d and %d", p1, p2)
	}
	b.run(1000)
	b.Rebalance(b.now)
	b.check("balanced already", b.run(0), false)
	// Counters that begin anew are no negative load.
	b.totals = [Buckets]uint64{3: 2000}
	before, _ := load()
	b.totals[3] = 1000
	if after, _ := load(); after > before+1000 {
		t.Errorf("load went from %d to %d", before, after)
	}
}

func TestSurplus(t *testing.T) {
	for _, c := range []struct {
		loads []uint64
		other uint64
		want  string
	}{
		{[]uint64{1000000}, 0, "[]"},
		{[]uint64{600, 400}, 0, "[400]"},
		{[]uint64{900, 100}, 0, "[100]"},
		{[]uint64{990, 10}, 0, "[]"}, // not worth it
		{[]uint64{500, 300, 200}, 0, "[500]"},
		{[]uint64{500, 500}, 900, "[]"}, // too close already
		{[]uint64{400, 300, 200, 100}, 200, "[400]"},
	} {
		m := &member{}
		for _, l := range c.loads {
			m.bytes += l
			m.entries = append(m.entries, &entry{bytes: l})
		}
		got := []uint64{}
		for _, e := range m.surplus(c.other) {
			got = append(got, e.bytes)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v to %d: moves %v, want %s", c.loads, c.other, got, c.want)
		}
	}
}

func TestAdmit(t *testing.T) {
	uni, multi := flow.MAC{2}, flow.MAC{1}
	for _, c := range []struct {
		name   string
		cfg    Config
		lacp   lacp.Status
		member uint64 // 1 is active, 3 is down, 4 is none
		dst    flow.MAC
		want   Verdict
	}{
		{"active", Config{Mode: ActiveBackup}, lacp.Off, 1, uni, Accept},
		{"active, multicast", Config{Mode: ActiveBackup}, lacp.Off, 1, multi, Accept},
		{"backup", Config{Mode: ActiveBackup}, lacp.Off, 2, uni, Drop},
		{"not a member", Config{Mode: ActiveBackup}, lacp.Off, 4, uni, Drop},
		{"SLB", Config{Mode: BalanceSLB}, lacp.Off, 2, uni, DropIfMoved},
		{"SLB, multicast", Config{Mode: BalanceSLB}, lacp.Off, 2, multi, Drop},
		{"SLB, multicast, all", Config{Mode: BalanceSLB, AllActive: true}, lacp.Off, 2, multi, DropIfMoved},
		{"TCP without LACP", Config{Mode: BalanceTCP}, lacp.Off, 1, uni, Drop},
		{"not negotiated", Config{Mode: BalanceTCP}, lacp.Configured, 1, uni, Drop},
		{"negotiated", Config{Mode: BalanceTCP}, lacp.Negotiated, 2, multi, Accept},
		{"negotiated, down", Config{Mode: BalanceTCP}, lacp.Negotiated, 3, uni, Drop},
		{"fallback", Config{Mode: BalanceTCP, FallbackAB: true}, lacp.Configured, 1, uni, Accept},
		{"fallback, backup", Config{Mode: BalanceTCP, FallbackAB: true}, lacp.Configured, 2, uni, Drop},
		{"fallback of SLB", Config{Mode: BalanceSLB, FallbackAB: true}, lacp.Configured, 2, uni, DropIfMoved},
	} {
		b := newBed(t, c.cfg, 3)
		b.lacp = c.lacp
		b.up[3] = false
		b.SetLink(3, Link{})
		for id := uint64(1); id <= 2; id++ {
			b.SetLink(id, b.link(id))
		}
		b.Bond.Run(b.now, b.lacp)
		if got := b.View().Admit(c.member, c.dst); got != c.want {
			t.Errorf("%s: verdict %d, want %d", c.name, got, c.want)
		}
	}
}

func TestCommands(t *testing.T) {
	b := newBed(t, Config{Mode: ActiveBackup}, 2)
	b.check("list", string(b.AppendList(nil)), "bond0\tactive-backup\t0\tp1, p2\n")
	for _, c := range []struct{ name, want string }{
		{"p9", "false no such member"}, {"p1", "false <nil>"}, {"p2", "true <nil>"}, {"p2", "false <nil>"},
	} {
		changed, err := b.SetActive(c.name)
		b.check("set-active "+c.name, fmt.Sprint(changed, " ", err), c.want)
	}
	b.check("disable", b.Enable("p1", false), nil)
	_, err := b.SetActive("p1")
	b.check("disabled", fmt.Sprint(err), "cannot make disabled member active")
	b.check("migrate", fmt.Sprint(b.Migrate("1", "p1")), "not an SLB bond")
	b.run(0)
	b.run(0)
	b.check("its link is up", b.member("p1"), "enabled")
	const want = `---- bond0 ----
bond_mode: active-backup
bond may use recirculation: no, Recirc-ID : -1
bond-hash-basis: 0
lb_output action: disabled, bond-id: -1
updelay: 0 ms
downdelay: 0 ms
lacp_status: off
lacp_fallback_ab: false
active-backup primary: <none>
active member mac: 02:00:00:00:00:02(p2)

member p1: enabled
  may_enable: true

member p2: enabled
  active member
  may_enable: true

`
	b.check("show", string(b.AppendShow(nil, b.now)), want)
}
