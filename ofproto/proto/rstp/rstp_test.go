package rstp

import (
	"fmt"
	"strings"
	"testing"

	"sluice/dpif/flow"
	"sluice/ofproto/proto/bpdu"
	"sluice/ofproto/proto/stp"
)

// network is bridges with ports on shared LANs, which names tell apart.
type network struct {
	t       *testing.T
	bridges []*Bridge
	lans    map[*Port]string
	now     int64
	tx      int // BPDUs
	old     *stp.Bridge
	oldPort *stp.Port // on LAN "old"
}

func config(addr uint64) Config {
	return Config{Address: addr, Priority: DefaultPriority, MaxAgeSec: 20, ForwardDelaySec: 15, TransmitHoldCount: 6}
}

func portConfig() PortConfig {
	return PortConfig{Priority: DefaultPortPriority, PathCost: 200, PointToPoint: P2PForceTrue, AutoEdge: true}
}

// add adds a bridge of an address with a port for each LAN; "a:5" gives a path cost
// (200 else), "-" a port whose link is down.
func (n *network) add(addr uint64, lans string) *Bridge {
	b := New(fmt.Sprintf("rstp%x", addr), config(addr), n.now)
	n.bridges = append(n.bridges, b)
	for i, lan := range strings.Fields(lans) {
		p := b.AddPort(fmt.Sprintf("p%d", i+1))
		c := portConfig()
		if name, cost, ok := strings.Cut(lan, ":"); ok {
			fmt.Sscan(cost, &c.PathCost)
			lan = name
		}
		p.Configure(c)
		n.connect(p, lan)
	}
	return b
}

func (n *network) connect(p *Port, lan string) {
	if n.lans == nil {
		n.lans = map[*Port]string{}
	}
	n.lans[p] = lan
	p.SetUp(lan != "-")
}

// run lets seconds pass.
func (n *network) run(seconds int) {
	n.deliver()
	for range seconds {
		n.now += 1000
		for _, b := range n.bridges {
			b.Run(n.now)
		}
		if n.old != nil {
			n.old.Run(n.now)
		}
		n.deliver()
	}
}

func (n *network) deliver() {
	for round := 0; ; round++ {
		if round > 100 {
			n.t.Fatal("BPDUs for ever")
		}
		sent := false
		for _, b := range n.bridges {
			for _, f := range b.TakeFrames() {
				sent = true
				n.tx++
				n.send(f.Port, n.lans[f.Port], f.BPDU)
			}
		}
		if n.old != nil {
			for _, f := range n.old.TakeFrames() {
				sent = true
				n.send(nil, "old", f.BPDU)
			}
		}
		if !sent {
			return
		}
	}
}

func (n *network) send(from *Port, lan string, m bpdu.BPDU) {
	b, _ := bpdu.Payload(m.Frame(flow.MAC{2}))
	for _, other := range n.bridges {
		for _, p := range other.ports {
			if p != from && n.lans[p] == lan {
				p.Receive(b)
			}
		}
	}
	if n.old != nil && lan == "old" && from != nil {
		n.oldPort.Receive(b, n.now)
	}
}

// check compares each bridge's ports with lists such as "F:200 D": first letters of
// the states, the root path cost at the root port; "root" stands before the root's.
func (n *network) check(want ...string) {
	n.t.Helper()
	for i, b := range n.bridges {
		var got []string
		if b.IsRoot() {
			got = append(got, "root")
		}
		for _, p := range b.ports {
			s := p.state.String()[:1]
			if p.role == RoleRoot {
				s += fmt.Sprint(":", b.Status().RootPathCost)
			}
			if !p.up {
				s = "-"
			}
			got = append(got, s)
		}
		if g := strings.Join(got, " "); g != want[i] {
			n.t.Errorf("after %d ms, %s: %s, want %s", n.now, b.name, g, want[i])
		}
	}
}

func (n *network) flushes() (out []string) {
	for _, b := range n.bridges {
		s := ""
		for _, p := range b.ports {
			if p.TakeFlush() {
				s += fmt.Sprint(p.number)
			}
		}
		out = append(out, s)
	}
	return out
}

func TestTopologies(t *testing.T) {
	for _, c := range []struct {
		name          string
		bridges, want []string
	}{
		{"alone", []string{"111 a b"}, []string{"root F F"}},
		{"two links", []string{"111 a b", "222 a b"}, []string{"root F F", "F:200 D"}},
		{"triangle", []string{"111 a b", "222 a c", "333 b c"}, []string{"root F F", "F:200 F", "F:200 D"}},
		// 802.1D-2004 figure 17-6.
		{"ring", []string{"111 a b l", "222 b c d", "333 d e f", "444 f g h", "555 j h i", "666 l j k"},
			[]string{"root F F F", "F:200 F F", "F:400 F F", "F:600 F D", "F:400 F F", "F:200 F F"}},
		// 802.1D-2004 figure 17-4.
		{"2004", []string{"111 a b e c", "222 a b d f", "333 c d l j h g", "444 e f n m k i", "555 g i x y", "666 h k z u"},
			[]string{"root F F F F", "F:200 D F F", "F:200 D F F F F", "F:200 D F F F F", "F:400 D F F", "F:400 D F F"}},
		{"two ports on one LAN", []string{"111 a a", "222 a a"}, []string{"root F D", "F:200 D"}},
		{"costs", []string{"111 a b", "222 a:1000 c", "333 b:5 c:5"}, []string{"root F F", "D F:205", "F:5 F"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &network{t: t}
			for _, b := range c.bridges {
				addr, lans, _ := strings.Cut(b, " ")
				var a uint64
				fmt.Sscanf(addr, "%x", &a)
				n.add(a, lans)
			}
			n.run(60)
			n.check(c.want...)
			n.flushes()
			tx := n.tx
			n.run(20)
			if d := n.tx - tx; d > 10*len(n.lans) {
				t.Errorf("%d BPDUs in 20 s on %d ports", d, len(n.lans))
			}
			for i, f := range n.flushes() {
				if f != "" {
					t.Errorf("at rest, %s flushes ports %s", n.bridges[i].name, f)
				}
			}
		})
	}
}

// TestHandshake has a link up go to forwarding by proposal and agreement, without
// waiting for timers.
func TestHandshake(t *testing.T) {
	n := &network{t: t}
	n.add(0x111, "a")
	n.add(0x222, "a")
	n.deliver()
	n.check("root F", "F:200")
}

// TestFailover loses the root port: the alternate port is the new root port at once.
func TestFailover(t *testing.T) {
	n := &network{t: t}
	n.add(0x111, "a b")
	x := n.add(0x222, "a b")
	n.run(60)
	n.check("root F F", "F:200 D")
	n.flushes()
	n.connect(x.ports[0], "-")
	n.check("root F F", "- F:200")
	from, to, ok := x.TakeRootMove()
	if !ok || from != x.ports[0] || to != x.ports[1] {
		t.Error("the change of root port is not told")
	}
	if _, _, ok := x.TakeRootMove(); ok {
		t.Error("told twice")
	}
	n.deliver()
	if f := n.flushes(); f[0] == "" {
		t.Error("the root does not flush")
	}
	// In a ring the way to the root changes with three times Hello Time at most.
	n = &network{t: t}
	n.add(0x111, "a b")
	n.add(0x222, "a c")
	n.add(0x333, "b c")
	n.run(60)
	n.check("root F F", "F:200 F", "F:200 D")
	n.connect(n.bridges[2].ports[0], "-")
	n.run(1)
	n.check("root F F", "F:200 F", "- F:400")
	n.lans[n.bridges[1].ports[0]] = "elsewhere" // the neighbour falls silent
	n.run(7)
	n.check("root F F", "root F F", "- F:200")
}

func TestRootChange(t *testing.T) {
	n := &network{t: t}
	n.add(0x111, "a b")
	b := n.add(0x222, "a c")
	n.add(0x333, "b c")
	n.run(60)
	c := config(0x222)
	c.Priority = 4096
	b.Configure(c)
	n.run(3)
	n.check("F:200 F", "root F F", "D F:200")
	if s := b.Status(); s.BridgeID != s.RootID || s.RootID != bpdu.NewID(4096, 0x222) {
		t.Errorf("%+v", s)
	}
	// 333's path by 111 gets better than its own link.
	p := n.bridges[2].ports[1]
	pc := portConfig()
	pc.PathCost = 1000
	p.Configure(pc)
	n.run(3)
	n.check("F:200 F", "root F F", "F:400 D")
}

func TestEdge(t *testing.T) {
	n := &network{t: t}
	b := n.add(0x111, "a -")
	p := b.ports[1]
	c := portConfig()
	c.AdminEdge = true
	p.Configure(c)
	n.flushes()
	n.connect(p, "b")
	if p.State() != Forwarding {
		t.Errorf("an edge port is %v", p.State())
	}
	if !p.Status().OperEdge || p.tcWhile != 0 {
		t.Error("an edge port makes no topology change")
	}
	// A bridge at its end makes it an ordinary port.
	n.add(0x222, "b")
	n.run(5)
	if p.Status().OperEdge {
		t.Error("still an edge")
	}
	// Without admin-edge it is found out after Migrate Time.
	if b.ports[0].Status().OperEdge == false {
		t.Error("no auto edge")
	}
	// Without auto-edge, forwarding takes twice Hello Time by RSTP's forwardDelay,
	// after Max Age at first.
	n = &network{t: t}
	b = n.add(0x111, "-")
	c = portConfig()
	c.AutoEdge = false
	b.ports[0].Configure(c)
	n.connect(b.ports[0], "a")
	n.run(19)
	n.check("root D")
	n.run(10)
	n.check("root F")
}

// TestMigration puts a bridge that only speaks STP at the other end of a link.
func TestMigration(t *testing.T) {
	n := &network{t: t}
	b := n.add(0x111, "old")
	n.old = stp.New("stp", bpdu.NewID(DefaultPriority, 0x222), 0)
	n.oldPort = n.old.AddPort(0, "q")
	n.oldPort.Enable(0)
	n.run(60)
	n.check("root F")
	if root, _ := n.old.Root(); root != b.ID() {
		t.Errorf("the old bridge's root is %v", root)
	}
	if b.ports[0].Status().SendRSTP {
		t.Error("still sends RSTP")
	}
	if n.oldPort.State() != stp.Forwarding {
		t.Error("the old bridge does not forward")
	}
	// The old bridge is replaced; mcheck finds out.
	n.old = nil
	n.lans[n.add(0x333, "old").ports[0]] = "old"
	c := portConfig()
	c.MCheck = true
	b.ports[0].Configure(c)
	n.run(10)
	if !b.ports[0].Status().SendRSTP {
		t.Error("does not go back to RSTP")
	}
	n.check("root F", "F:200")
}

// TestBecomeRootOfSTP takes the root away from a bridge that only speaks STP.
func TestBecomeRootOfSTP(t *testing.T) {
	n := &network{t: t}
	b := n.add(0x111, "old")
	n.old = stp.New("stp", bpdu.NewID(16384, 0x222), 0)
	n.oldPort = n.old.AddPort(0, "q")
	n.oldPort.Enable(0)
	n.run(60)
	n.check("F:200")
	if b.ports[0].Status().SendRSTP {
		t.Error("still sends RSTP")
	}
	c := config(0x111)
	c.Priority = 4096
	b.Configure(c)
	n.run(3)
	n.check("root F")
	if root, _ := n.old.Root(); root != b.ID() {
		t.Errorf("the old bridge's root is %v", root)
	}
	n.run(60)
	if root, _ := n.old.Root(); root != b.ID() {
		t.Errorf("later the old bridge's root is %v", root)
	}
}

// TestSTPOnly waits for the delays of STP, and sends Configuration BPDUs.
func TestSTPOnly(t *testing.T) {
	n := &network{t: t}
	b := n.add(0x111, "a")
	c := config(0x111)
	c.STPOnly = true
	b.Configure(c)
	b.TakeFrames()
	for range 6 {
		n.now += 1000
		b.Run(n.now)
		for _, f := range b.TakeFrames() {
			if f.BPDU.Type != bpdu.Config || f.BPDU.Version != 0 {
				t.Errorf("sends %+v", f.BPDU)
			}
		}
	}
	n.run(13)
	n.check("root D")
	n.run(20)
	n.check("root F")
	c.STPOnly = false
	b.Configure(c)
	n.check("root D")
	n.run(6)
	n.check("root F")
}

func TestTransmitHoldCount(t *testing.T) {
	n := &network{t: t}
	b := n.add(0x222, "a")
	n.run(10)
	b.TakeFrames()
	count := 0
	for i := range 50 { // an ever better root, and a topology change each time
		m := bpdu.BPDU{Type: bpdu.RST, Version: 2, Flags: bpdu.RoleFlags(bpdu.RoleDesignated) | bpdu.Proposal | bpdu.TopologyChange,
			RootID: bpdu.NewID(4096, uint64(1000-i)), BridgeID: bpdu.NewID(4096, uint64(1000-i)), PortID: 1, MaxAge: 5120, HelloTime: 512, ForwardDelay: 3840}
		b.ports[0].Receive(m.Append(nil))
		count += len(b.TakeFrames())
	}
	if count < 3 || count > DefaultTransmitHoldCount {
		t.Errorf("%d BPDUs within a second", count)
	}
}

func TestTopologyChangeCommand(t *testing.T) {
	n := &network{t: t}
	n.add(0x111, "a")
	n.add(0x222, "a b")
	n.add(0x333, "b")
	n.run(60)
	n.flushes()
	n.bridges[2].TopologyChange()
	n.deliver()
	if f := n.flushes(); f[0] == "" && f[1] == "" || f[2] == "" {
		t.Errorf("flushed %q", f)
	}
}

func TestPointToPoint(t *testing.T) {
	n := &network{t: t}
	a, b := n.add(0x111, "-"), n.add(0x222, "-")
	for _, br := range []*Bridge{a, b} {
		c := portConfig()
		c.PointToPoint = P2PForceFalse
		br.ports[0].Configure(c)
		n.connect(br.ports[0], "a")
	}
	n.run(5)
	n.check("root D", "F:200") // no agreement: the designated port waits
	n.run(30)
	n.check("root F", "F:200")
}

func TestConfigLimits(t *testing.T) {
	b := New("b", Config{Address: 1, Priority: 5000, MaxAgeSec: 50, ForwardDelaySec: 3, TransmitHoldCount: 11}, 0)
	if b.cfg != (Config{Address: 1, Priority: 4096, MaxAgeSec: 20, ForwardDelaySec: 15, TransmitHoldCount: 6}) {
		t.Errorf("%+v", b.cfg)
	}
	b.Configure(Config{Address: 1, Priority: 70000, MaxAgeSec: 6, ForwardDelaySec: 4, TransmitHoldCount: 1})
	if b.cfg != (Config{Address: 1, Priority: 4096, MaxAgeSec: 6, ForwardDelaySec: 4, TransmitHoldCount: 1}) {
		t.Errorf("%+v", b.cfg)
	}
	b.Configure(Config{Address: 1, MaxAgeSec: 40, ForwardDelaySec: 30, TransmitHoldCount: 10})
	if b.cfg != (Config{Address: 1, MaxAgeSec: 40, ForwardDelaySec: 30, TransmitHoldCount: 10}) {
		t.Errorf("%+v", b.cfg)
	}
	p, q := b.AddPort("p"), b.AddPort("q")
	p.Configure(PortConfig{Number: 2, Priority: 250, PathCost: 0})
	if p.number != 1 || p.cfg.Priority != 128 || p.cfg.PathCost != DefaultPathCost {
		t.Errorf("%d %+v", p.number, p.cfg)
	}
	p.Configure(PortConfig{Number: 7, Priority: 33, PathCost: 9})
	if p.id != 32<<8|7 || b.ports[0] != q {
		t.Errorf("%#x", p.id)
	}
	if r := b.AddPort("r"); r.number != 1 {
		t.Errorf("a new port has number %d", r.number)
	}
	q.Remove()
	if len(b.ports) != 2 || q.State() != Disabled {
		t.Error("not removed")
	}
}

// TestPause runs a bridge late: that is one tick, so that nothing ages meanwhile.
func TestPause(t *testing.T) {
	n := &network{t: t}
	n.add(0x111, "a")
	b := n.add(0x222, "a")
	n.run(10)
	b.Run(n.now + 60000)
	n.check("root F", "F:200")
	if at := b.Next(); at != n.now+61000 {
		t.Errorf("next at %d", at)
	}
}

func TestShow(t *testing.T) {
	n := &network{t: t}
	n.add(0x111, "a")
	b := n.add(0x222, "a b -")
	n.run(60)
	want := `---- rstp222 ----
Root ID:
  stp-priority    32768
  stp-system-id   00:00:00:00:01:11
  stp-hello-time  2s
  stp-max-age     20s
  stp-fwd-delay   15s
  root-port       p1
  root-path-cost  200

Bridge ID:
  stp-priority    32768
  stp-system-id   00:00:00:00:02:22
  stp-hello-time  2s
  stp-max-age     20s
  stp-fwd-delay   15s

  Interface  Role       State      Cost     Pri.Nbr
  ---------- ---------- ---------- -------- -------
  p1         Root       Forwarding 200      128.1
  p2         Designated Forwarding 200      128.2
  p3         Disabled   Discarding 200      128.3

`
	got := strings.ReplaceAll(string(b.AppendShow(nil)), "Pri.Nbr \n", "Pri.Nbr\n")
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

func FuzzReceive(f *testing.F) {
	m := bpdu.BPDU{Type: bpdu.RST, Version: 2, Flags: 0x7f, RootID: 1, BridgeID: 2, PortID: 3, MaxAge: 5120, HelloTime: 512, ForwardDelay: 3840}
	f.Add(m.Append(nil), []byte{})
	m.Flags = bpdu.RoleFlags(bpdu.RoleRoot) | bpdu.Agreement
	f.Add(m.Append(nil), (&bpdu.BPDU{Type: bpdu.TCN}).Append(nil))
	f.Fuzz(func(t *testing.T, x, y []byte) {
		n := &network{t: t}
		b := n.add(0x222, "a b")
		n.run(2)
		frames := 0
		for i := range 20 {
			b.ports[i&1].Receive(x)
			b.ports[0].Receive(y)
			if b.roleSelection() {
				t.Fatal("the machines did not come to rest")
			}
			n.now += 500
			b.Run(n.now)
			frames += len(b.TakeFrames())
		}
		if frames > 2*(DefaultTransmitHoldCount+11) {
			t.Fatalf("%d frames in 10 s on two ports", frames)
		}
	})
}
