package stp

import (
	"fmt"
	"strings"
	"testing"

	"sluice/dpif/flow"
	"sluice/ofproto/proto/bpdu"
)

// network is bridges with ports on shared LANs, which names tell apart.
type network struct {
	t       *testing.T
	bridges []*Bridge
	lans    map[*Port]string
	now     int64
	tx      int // BPDUs
}

// add adds a bridge of an address with a port for each LAN; "a:5" gives a path cost
// (10 else), "a^144" a port priority, "-" a port whose link is down.
func (n *network) add(addr uint64, lans string) *Bridge {
	b := New(fmt.Sprintf("stp%x", addr), bpdu.NewID(DefaultPriority, addr), n.now)
	n.bridges = append(n.bridges, b)
	for i, lan := range strings.Fields(lans) {
		p := b.AddPort(i, fmt.Sprintf("p%d", i))
		p.SetPathCost(10, n.now)
		n.connect(p, lan)
	}
	return b
}

func (n *network) connect(p *Port, lan string) {
	if n.lans == nil {
		n.lans = map[*Port]string{}
	}
	if name, cost, ok := strings.Cut(lan, ":"); ok {
		var c uint32
		fmt.Sscan(cost, &c)
		p.SetPathCost(c, n.now)
		lan = name
	}
	if name, prio, ok := strings.Cut(lan, "^"); ok {
		var x uint8
		fmt.Sscan(prio, &x)
		p.SetPriority(x, n.now)
		lan = name
	}
	n.lans[p] = lan
	if lan == "-" {
		p.Disable(n.now)
	} else {
		p.Enable(n.now)
	}
}

// run lets seconds pass.
func (n *network) run(seconds int) {
	for range seconds * 4 {
		n.now += 250
		for _, b := range n.bridges {
			b.Run(n.now)
		}
		n.deliver()
	}
}

func (n *network) deliver() {
	for {
		sent := false
		for _, b := range n.bridges {
			for _, f := range b.TakeFrames() {
				sent = true
				n.tx++
				frame, _ := bpdu.Payload(f.BPDU.Frame(flow.MAC{2}))
				for _, other := range n.bridges {
					for _, p := range other.ports {
						if p != f.Port && n.lans[p] == n.lans[f.Port] {
							p.Receive(frame, n.now)
						}
					}
				}
			}
		}
		if !sent {
			return
		}
	}
}

// check compares each bridge's ports with lists such as "F:10 B F": states by first
// letters, and the root path cost at the root port; "root" stands before those of
// the root.
func (n *network) check(want ...string) {
	n.t.Helper()
	for i, b := range n.bridges {
		var got []string
		if b.IsRoot() {
			got = append(got, "root")
		}
		for _, p := range b.ports {
			s := strings.ToUpper(p.state.String()[:1])
			if p.state == Listening || p.state == Learning || p.state == Disabled {
				s = p.state.String()[:2]
			}
			if p.Role() == RoleRoot {
				s += fmt.Sprint(":", b.rootCost)
			}
			got = append(got, s)
		}
		if g := strings.Join(got, " "); g != want[i] {
			n.t.Errorf("after %d ms, %s: %s, want %s", n.now, b.name, g, want[i])
		}
	}
}

func TestTopologies(t *testing.T) {
	for _, c := range []struct {
		name    string
		bridges []string // address and LANs
		want    []string
	}{
		{"alone", []string{"123 a b"}, []string{"root F F"}},
		{"two links", []string{"111 a b", "222 a b"}, []string{"root F F", "F:10 B"}},
		{"triangle", []string{"111 a b", "222 a c", "333 b c"}, []string{"root F F", "F:10 F", "F:10 B"}},
		// 802.1D-1998 figure 8-1.
		{"1998", []string{"42 a b", "97 c:5 a d:5", "45 b e", "57 b:5 e:5", "83 a:5 e:5"},
			[]string{"root F F", "F F:10 F", "F:10 B", "F:5 F", "F:5 B"}},
		// 802.1D-2004 figure 17-6.
		{"ring", []string{"111 a b l", "222 b c d", "333 d e f", "444 f g h", "555 j h i", "666 l j k"},
			[]string{"root F F F", "F:10 F F", "F:20 F F", "F:30 F B", "F:20 F F", "F:10 F F"}},
		{"two ports on one LAN", []string{"111 a a", "222 a a"}, []string{"root F B", "F:10 B"}},
		{"costs", []string{"111 a b", "222 a:50 c", "333 b:5 c:5"}, []string{"root F F", "B F:15", "F:5 F"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &network{t: t}
			for _, b := range c.bridges {
				addr, lans, _ := strings.Cut(b, " ")
				var a uint64
				fmt.Sscanf(addr, "%x", &a)
				n.add(a, lans)
			}
			n.run(100)
			n.check(c.want...)
			tx := n.tx
			n.run(20)
			if n.tx-tx > 12*len(n.lans) {
				t.Errorf("%d BPDUs in 20 s on %d ports", n.tx-tx, len(n.lans))
			}
		})
	}
}

// TestStates follows one link from up to forwarding: Listening and Learning last the
// forward delay each.
func TestStates(t *testing.T) {
	n := &network{t: t}
	b := n.add(0x111, "a")
	p := b.ports[0]
	want := func(s State) {
		t.Helper()
		if p.State() != s {
			t.Errorf("at %d: %v, want %v", n.now, p.State(), s)
		}
	}
	want(Listening)
	n.run(14)
	want(Listening)
	n.run(1)
	want(Learning)
	n.run(14)
	want(Learning)
	if b.TakeFlush() {
		t.Error("flushed before forwarding")
	}
	n.run(1)
	want(Forwarding)
	if !b.TakeFlush() || b.TakeFlush() {
		t.Error("a new forwarding port is one topology change")
	}
	p.Disable(n.now)
	want(Disabled)
	if !b.TakeFlush() {
		t.Error("a forwarding port is lost, and nothing is flushed")
	}
	p.Enable(n.now)
	p.Disable(n.now)
	if b.TakeFlush() {
		t.Error("a port that never forwarded is lost, and all is flushed")
	}
}

// TestLinkFailure loses the root port; the alternate takes over after the two delays.
func TestLinkFailure(t *testing.T) {
	n := &network{t: t}
	n.add(0x111, "a b c")
	x := n.add(0x222, "a b c")
	n.run(60)
	n.check("root F F F", "F:10 B B")
	n.connect(x.ports[0], "-")
	n.check("root F F F", "di li:10 B")
	n.run(31)
	n.check("root F F F", "di F:10 B")
	n.connect(x.ports[0], "a")
	n.run(60)
	n.check("root F F F", "F:10 B B")
	// The root falls silent: information ages out after Max Age.
	for i := range 3 {
		n.connect(n.bridges[0].ports[i], "-")
	}
	n.run(17)
	if x.IsRoot() {
		t.Error("root's information aged too soon")
	}
	n.run(4)
	if !x.IsRoot() {
		t.Error("root's information did not age")
	}
}

func TestPriorityAndID(t *testing.T) {
	n := &network{t: t}
	a, b := n.add(0x111, "a b"), n.add(0x222, "a b")
	n.run(60)
	n.check("root F F", "F:10 B")
	b.SetID(bpdu.NewID(0x7000, 0x222), n.now)
	n.run(60)
	n.check("F:10 B", "root F F")
	b.SetID(bpdu.NewID(0x9000, 0x222), n.now)
	n.run(60)
	n.check("root F F", "F:10 B")
	// The sender's port priority decides between equal paths.
	a.ports[1].SetPriority(16, n.now)
	n.run(60)
	n.check("root F F", "B F:10")
}

// TestTopologyChange has a leaf tell the root, which tells all.
func TestTopologyChange(t *testing.T) {
	n := &network{t: t}
	n.add(0x111, "a")
	n.add(0x222, "a b")
	n.add(0x333, "b c")
	n.run(120)
	for _, b := range n.bridges {
		b.TakeFlush()
	}
	n.bridges[2].TopologyChange(n.now)
	n.deliver()
	n.run(2)
	for _, b := range n.bridges {
		if !b.TakeFlush() {
			t.Errorf("%s does not flush", b.name)
		}
	}
	n.run(36) // Max Age + Forward Delay
	for _, b := range n.bridges {
		b.TakeFlush()
	}
	n.run(10)
	for _, b := range n.bridges {
		if b.TakeFlush() || b.changeDetected {
			t.Errorf("%s still flushes", b.name)
		}
	}
}

func TestTimesAreClamped(t *testing.T) {
	for _, c := range []struct{ hello, age, fwd, wantHello, wantAge, wantFwd int64 }{
		{2000, 20000, 15000, 2000, 20000, 15000},
		{0, 0, 0, 1000, 6000, 4000},
		{99000, 99000, 99000, 10000, 40000, 30000},
		{10000, 6000, 4000, 10000, 22000, 12000},
	} {
		b := New("b", 1, 0)
		b.SetTimes(c.hello, c.age, c.fwd)
		if want := (times{c.wantAge, c.wantHello, c.wantFwd}); b.own != want || b.used != want {
			t.Errorf("%+v: %+v, %+v", c, b.own, b.used)
		}
	}
}

func TestBadBPDUs(t *testing.T) {
	b := New("b", 100, 0)
	p := b.AddPort(0, "p")
	tcn := (&bpdu.BPDU{Type: bpdu.TCN}).Append(nil)
	p.Receive(tcn, 0)
	if _, rx, errs := p.Counts(); rx != 0 || errs != 0 {
		t.Error("a disabled port hears")
	}
	p.Enable(0)
	p.Receive(tcn, 0)
	p.Receive(tcn[:3], 0)
	p.Receive((&bpdu.BPDU{Type: bpdu.RST, Version: 2}).Append(nil), 0)
	p.Receive((&bpdu.BPDU{Type: bpdu.Config, RootID: 1, MessageAge: 5, MaxAge: 5}).Append(nil), 0)
	if _, rx, errs := p.Counts(); rx != 2 || errs != 2 {
		t.Errorf("%d received, %d bad", rx, errs)
	}
	if !b.IsRoot() {
		t.Error("information that is too old counts")
	}
}

func TestShow(t *testing.T) {
	n := &network{t: t}
	n.add(0x111, "a")
	b := n.add(0x222, "a b -")
	n.run(60)
	want := `---- stp222 ----
Root ID:
  stp-priority  32768
  stp-system-id   00:00:00:00:01:11
  stp-hello-time  2s
  stp-max-age     20s
  stp-fwd-delay   15s
  root-port       p0
  root-path-cost  10

Bridge ID:
  stp-priority  32768
  stp-system-id   00:00:00:00:02:22
  stp-hello-time  2s
  stp-max-age     20s
  stp-fwd-delay   15s

  Interface  Role       State      Cost  Pri.Nbr
  ---------- ---------- ---------- ----- -------
  p0         root       forwarding 10    128.1
  p1         designated forwarding 10    128.2

`
	got := strings.ReplaceAll(string(b.AppendShow(nil)), "Pri.Nbr \n", "Pri.Nbr\n")
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

func FuzzReceive(f *testing.F) {
	f.Add((&bpdu.BPDU{Type: bpdu.TCN}).Append(nil), uint16(0))
	f.Add((&bpdu.BPDU{Type: bpdu.Config, RootID: 1, MaxAge: 5120, HelloTime: 0, ForwardDelay: 0}).Append(nil), uint16(5))
	f.Fuzz(func(t *testing.T, b []byte, wait uint16) {
		n := &network{t: t}
		br := n.add(0x222, "a b")
		n.run(1)
		br.ports[0].Receive(b, n.now)
		n.now += int64(wait)
		br.Run(n.now)
		if at, ok := br.Next(); !ok || at < n.now-int64(wait) {
			t.Fatalf("next run at %d, now %d", at, n.now)
		}
		frames := 0
		for range 20 {
			br.Run(n.now)
			frames += len(br.TakeFrames())
			n.now += 100
		}
		if frames > 30 {
			t.Fatalf("%d frames in two seconds on two ports", frames)
		}
	})
}
