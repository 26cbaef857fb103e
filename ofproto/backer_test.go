package ofproto

import (
	"strings"
	"sync"
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/dpif/userspace"
	"sluice/internal/clock"
	"sluice/netdev"
	"sluice/netdev/dummy"
	"sluice/netdev/packet"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/table"
)

// world is a datapath of dummy devices with one bridge.
type world struct {
	t    *testing.T
	b    *Backer
	sw   *Switch
	devs []*dummy.Device
	now  int64
}

var enableDummies = sync.OnceFunc(func() { dummy.Enable(dummy.LevelPlain) })

func newWorld(t *testing.T, ports int) *world {
	t.Helper()
	enableDummies()
	pool, err := packet.NewPool(4096)
	if err != nil {
		t.Fatal(err)
	}
	dp := userspace.New(userspace.Options{Type: "dummy", Name: "ovs-" + t.Name(), Clock: &clock.Fake{}, Pool: pool, CPUs: &userspace.CPUs{}})
	w := &world{t: t, b: NewBacker(dp), now: 1000}
	w.sw, err = New(w.b, SwitchConfig{Name: "br0", FailMode: FailSecure}, Env{RunDir: t.TempDir()}, w.now)
	if err != nil {
		t.Fatal(err)
	}
	cfg := *w.sw.Config()
	for i := 1; i <= ports; i++ {
		name := t.Name() + "p" + string(rune('0'+i))
		dev, err := netdev.Open(name, "dummy")
		if err != nil {
			t.Fatal(err)
		}
		if err := dev.SetConfig(nil); err != nil {
			t.Fatal(err)
		}
		if err := dev.SetAdminUp(true); err != nil {
			t.Fatal(err)
		}
		no, err := w.sw.PortAdd(dev, uint32(i), w.now)
		if err != nil {
			t.Fatal(err)
		}
		w.devs = append(w.devs, dev.(*dummy.Device))
		cfg.Bundles = append(cfg.Bundles, BundleConfig{Name: name, Members: []MemberConfig{{OFPort: no}}, Tag: -1, VLANMode: VLANTrunk})
	}
	if err := w.sw.Apply(cfg, w.now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.sw.Destroy(w.now)
		w.b.Close()
		_ = dp.Close(true)
		for _, d := range w.devs {
			_ = d.Close(false)
		}
		_ = pool.Close()
	})
	return w
}

// flow adds a flow; idle is its idle timeout.
func (w *world) flow(m string, priority, idle uint16, acts action.List) *table.Rule {
	w.t.Helper()
	mm, _, err := match.Parse(m, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	fm := &ofp.FlowMod{Match: *mm, Priority: priority, Command: ofp.FlowAdd, BufferID: ofp.NoBuffer,
		OutPort: flow.OFPNone, OutGroup: ofp.GroupAny, IdleTimeout: idle, Actions: acts}
	set := w.sw.Tables
	mod, err := set.NewFlowMod(fm, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	set.Mu.Lock()
	x := set.Begin()
	err = x.Flow(mod, table.Requester{})
	if err == nil {
		x.Commit()
	}
	set.Mu.Unlock()
	if err != nil {
		w.t.Fatal(err)
	}
	w.b.FlowsChanged(w.sw)
	r := set.Table(0).Lookup(set.Version(), &mm.Flow, nil)
	return r
}

// receive lets a packet come in by port (from 1), and turns the loop.
func (w *world) receive(port int, key string) {
	w.t.Helper()
	f, _, err := odp.ParseKey(key, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.devs[port-1].Receive(flow.Compose(&f, 64), 0)
	w.turn()
}

func (w *world) turn() {
	for i := 0; i < 4; i++ {
		w.b.Run(w.now)
		w.sw.Run(w.now)
	}
}

func (w *world) dump() string { return w.b.DumpFlows(w.sw, nil, w.now) }

const ping = "in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=1,tos=0,ttl=64,frag=no),icmp(type=8,code=0)"

func TestMissInstallCountExpire(t *testing.T) {
	w := newWorld(t, 2)
	r := w.flow("in_port=1", 1, 0, action.List{&action.Output{Port: 2}})
	w.receive(1, ping)
	want := "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no), packets:0, bytes:0, used:never, actions:2\n"
	if got := w.dump(); got != want {
		t.Fatalf("%s\nwant %s", got, want)
	}
	w.receive(1, ping)
	w.receive(1, ping)
	w.b.FinishRevalidation(w.now)
	if n, _ := r.Stats(); n != 3 {
		t.Fatalf("%d packets counted, want 3", n)
	}
	// Counting again must not count twice.
	w.b.FinishRevalidation(w.now)
	if n, _ := r.Stats(); n != 3 {
		t.Fatalf("%d packets counted, want 3", n)
	}
	w.now += 10001
	w.b.FinishRevalidation(w.now)
	if got := w.dump(); got != "" {
		t.Fatalf("idle flow is still there: %s", got)
	}
	if n, _ := r.Stats(); n != 3 {
		t.Fatalf("%d packets counted, want 3", n)
	}
}

func TestFlowModRevalidates(t *testing.T) {
	w := newWorld(t, 3)
	w.flow("in_port=1", 1, 0, action.List{&action.Output{Port: 2}})
	w.receive(1, ping)
	w.flow("in_port=1", 2, 0, action.List{&action.Output{Port: 3}})
	w.turn()
	if got := w.dump(); !strings.HasSuffix(got, "actions:3\n") {
		t.Fatal(got)
	}
	w.flow("in_port=1,ip,nw_src=10.0.0.1", 3, 0, nil)
	w.turn()
	if got := w.dump(); got != "" {
		t.Fatal("the mask is too wide now, the flow must go:", got)
	}
	w.receive(1, ping)
	if got := w.dump(); !strings.Contains(got, "src=10.0.0.1") || !strings.HasSuffix(got, "actions:drop\n") {
		t.Fatal(got)
	}
}

func TestNormalLearnsAndAges(t *testing.T) {
	w := newWorld(t, 3)
	w.flow("", 1, 0, action.List{&action.Output{Port: flow.OFPNormal}})
	w.receive(1, ping)
	want := " port  VLAN  MAC                Age\n    1     0  50:54:00:00:00:01    0\n"
	if got := w.b.FDBShow(w.sw, w.now); got != want {
		t.Fatalf("%q", got)
	}
	if got := w.dump(); !strings.HasSuffix(got, "actions:2,3\n") {
		t.Fatal(got)
	}
	w.receive(2, strings.NewReplacer("src=50:54:00:00:00:01,dst=50:54:00:00:00:02", "src=50:54:00:00:00:02,dst=50:54:00:00:00:01").Replace(ping))
	w.turn()
	if got := w.dump(); strings.Contains(got, "actions:2,3\n") {
		t.Fatal("a learned address must change the flow:", got)
	}
	w.now += 5000
	w.receive(1, ping)
	w.b.FinishRevalidation(w.now)
	if got := w.b.FDBShow(w.sw, w.now); !strings.Contains(got, "50:54:00:00:00:01    0\n") || !strings.Contains(got, "50:54:00:00:00:02    5\n") {
		t.Fatal("traffic of a flow must keep its address fresh:", got)
	}
}

func TestPacketOut(t *testing.T) {
	w := newWorld(t, 2)
	f, _, err := odp.ParseKey(ping, nil)
	if err != nil {
		t.Fatal(err)
	}
	po := &PacketOut{Packet: flow.Compose(&f, 64), Actions: action.List{&action.Output{Port: 2}}}
	md := flow.Flow{InPort: flow.OFPController}
	flow.ExtractFlow(po.Packet, &md, &po.Flow)
	if err := w.b.PacketOut(w.sw, po, w.now); err != nil {
		t.Fatal(err)
	}
	w.turn()
	if s := w.devs[1].Stats(); s.TxPackets != 1 {
		t.Fatalf("%d packets sent", s.TxPackets)
	}
}

var _ dpif.Dpif = (*userspace.Dpif)(nil)

func TestCapabilities(t *testing.T) {
	defer flow.SetVLANLimit(flow.VLANLimit())
	flow.SetVLANLimit(1)
	w := newWorld(t, 0)
	flow.SetVLANLimit(2) // too late for this datapath
	caps := w.b.Capabilities()
	for key, want := range map[string]string{"ct_flush": "true", "ct_zero_snat": "true", "max_hash_alg": "1", "max_vlan_headers": "1",
		"sample_nesting": "true", "nd_ext": "true"} {
		if caps[key] != want {
			t.Errorf("%s is %q, want %q", key, caps[key], want)
		}
	}
	if len(caps) != 27 {
		t.Errorf("%d capabilities: %v", len(caps), caps)
	}
	if got := w.b.ShowFeatures(); !strings.Contains(got, "Sample nesting: 10\n") || !strings.Contains(got, "Max VLAN headers: 1\n") {
		t.Errorf("features:\n%s", got)
	}
	// What dpif/set-dp-features takes away is still what the datapath can do.
	if problem := w.b.SetFeature("ct_zero_snat", "false"); problem != "" || w.b.Support().CTZeroSNAT || w.b.Capabilities()["ct_zero_snat"] != "true" {
		t.Errorf("taking ct_zero_snat away: %q", problem)
	}
}
