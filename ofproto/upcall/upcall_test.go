package upcall

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/maclearn"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/recirc"
	"sluice/ofproto/table"
	"sluice/ofproto/xlate"
)

// fakeDP is a datapath that keeps flows and does nothing with them.
type fakeDP struct {
	dpif.Dpif
	up    dpif.UpcallFunc
	mu    sync.Mutex
	flows map[flow.UFID]*dpif.Flow
	order []flow.UFID
}

func (d *fakeDP) SetUpcall(f dpif.UpcallFunc) { d.up = f }
func (d *fakeDP) FlowFlush() error            { clear(d.flows); return nil }

func (d *fakeDP) FlowCount() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.flows)
}

// FlowSweep takes the place in order for the slot.
func (d *fakeDP) FlowSweep(at *dpif.Sweep, n int, fn func(*dpif.Flow)) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for ; int(at.Slot) < len(d.order) && n > 0; at.Slot++ {
		if f := d.flows[d.order[at.Slot]]; f != nil {
			fn(f)
			n--
		}
	}
	return int(at.Slot) < len(d.order)
}

func (d *fakeDP) FlowGet(id flow.UFID, _ int) (dpif.Flow, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.flows[id]; f != nil {
		return *f, nil
	}
	return dpif.Flow{}, unix.ENOENT
}

func (d *fakeDP) FlowDel(id flow.UFID, _ int) (dpif.FlowStats, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.flows[id]; f != nil {
		delete(d.flows, id)
		return f.Stats, nil
	}
	return dpif.FlowStats{}, unix.ENOENT
}

func (d *fakeDP) FlowPut(p *dpif.FlowPut) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.flows[p.UFID]; f != nil {
		f.Actions = p.Actions
		return nil
	}
	return unix.ENOENT
}

// bed is a Udpif with one bridge of four ports.
type bed struct {
	t    testing.TB
	dp   *fakeDP
	pool *recirc.Pool
	u    *Udpif
	br   *xlate.Bridge
	mega atomic.Bool
	now  int64
	pins []*PacketIn
}

func newBed(t testing.TB) *bed {
	b := &bed{t: t, dp: &fakeDP{flows: map[flow.UFID]*dpif.Flow{}}, pool: recirc.NewPool(), now: 100000}
	b.mega.Store(true)
	b.u = New(b.dp, b.pool, &b.mega, xlate.DirectSink{}, func(_ xlate.BridgeID, p *PacketIn) { b.pins = append(b.pins, p) })
	b.br = &xlate.Bridge{Tables: table.New(0), ML: maclearn.New()}
	b.publish()
	return b
}

// publish makes a new snapshot of the bridge.
func (b *bed) publish() {
	b.br = &xlate.Bridge{Name: "br0", Tables: b.br.Tables, ML: b.br.ML, ControllerMeter: xlate.NoMeter, SlowpathMeter: xlate.NoMeter,
		Support: dpif.Support{MaskedSetAction: true, UFID: true, Recirc: true, CTState: true, CTZone: true, CTMark: true,
			CTLabel: true, Clone: true, SampleNesting: 10, MaxMPLSDepth: 3, MaxVLANHeaders: 2}}
	for i := uint32(1); i <= 4; i++ {
		p := &xlate.Port{ID: xlate.PortID(i), Name: fmt.Sprint("p", i), OFPort: i, ODP: i, MayEnable: true}
		b.br.Ports = append(b.br.Ports, p)
		b.br.Bundles = append(b.br.Bundles, &xlate.Bundle{ID: xlate.BundleID(i), Name: p.Name, Mode: xlate.VLANTrunk, Ports: []*xlate.Port{p}})
	}
	b.u.SetSnapshot(xlate.Build([]*xlate.Bridge{b.br}, nil))
}

// rule adds a flow, or removes it when acts is nil.
func (b *bed) rule(tableID uint8, priority uint16, m string, acts ...action.Action) *table.Rule {
	b.t.Helper()
	mm, _, err := match.Parse(m, b.br)
	if err != nil {
		b.t.Fatal(err)
	}
	fm := &ofp.FlowMod{Match: *mm, Priority: priority, TableID: tableID, BufferID: ofp.NoBuffer,
		OutPort: flow.OFPNone, OutGroup: ofp.GroupAny, Actions: acts}
	if acts == nil {
		fm.Command = ofp.FlowDeleteStrict
	}
	set := b.br.Tables
	if err := set.Apply(fm, table.Requester{}, b.now); err != nil {
		b.t.Fatal(err)
	}
	b.u.Revalidate()
	return set.Table(tableID).Lookup(set.Version(), &mm.Flow, nil)
}

// send lets a packet come up as the datapath would; recirculations are not done.
func (b *bed) send(f *flow.Flow) *dpif.Verdict {
	b.t.Helper()
	up := &dpif.Upcall{Key: f, UFID: f.HashUFID(), PMD: dpif.PMDNone, Now: b.now, Packet: flow.Compose(f, 60)}
	v := &dpif.Verdict{}
	if err := b.dp.up(up, v); err != nil {
		b.t.Error(err)
	}
	if v.Install {
		b.dp.install(up, v)
	}
	return v
}

// install puts the flow of a verdict into the datapath.
func (d *fakeDP) install(up *dpif.Upcall, v *dpif.Verdict) {
	acts := v.PutActions
	if acts == nil {
		acts = append(acts, v.Actions...)
	}
	d.mu.Lock()
	d.flows[up.UFID] = &dpif.Flow{UFID: up.UFID, Key: *up.Key, Mask: v.Mask, Actions: acts, PMD: up.PMD}
	d.order = append(d.order, up.UFID)
	d.mu.Unlock()
	if v.Installed != nil {
		v.Installed(nil)
	}
}

// hit counts n packets of a flow that the datapath has.
func (b *bed) hit(f *flow.Flow, n uint64) {
	s := &b.dp.flows[f.HashUFID()].Stats
	s.Packets += n
	s.Bytes += n * 60
	s.Used = b.now
}

func udp(inPort, src, dst uint32) flow.Flow {
	return flow.Flow{InPort: inPort, DLType: flow.EthIPv4, DLSrc: flow.MAC{0x50, 0x54, 0, 0, 0, byte(inPort)},
		DLDst: flow.MAC{0x50, 0x54, 0, 0, 0, 9}, NwSrc: src, NwDst: dst, NwProto: 17, NwTTL: 64, TpSrc: 1, TpDst: 2}
}

func (b *bed) round() { b.u.Finish(b.now) }

func output(p uint32) action.Action { return &action.Output{Port: p} }

func (b *bed) count(r *table.Rule, want uint64) {
	b.t.Helper()
	if n, _ := r.Stats(); n != want {
		b.t.Errorf("rule has %d packets, want %d", n, want)
	}
}

func TestEachPacketCountsOnce(t *testing.T) {
	b := newBed(t)
	r := b.rule(0, 1, "in_port=1", output(2))
	f := udp(1, 1, 2)
	b.send(&f)
	b.count(r, 1)
	b.hit(&f, 5)
	b.round()
	b.round()
	b.count(r, 6)
	// Translated anew: the packets go to what the flow is now.
	b.hit(&f, 2)
	r2 := b.rule(0, 2, "in_port=1", output(3))
	b.round()
	b.count(r, 6)
	b.count(r2, 2)
	if got := string(odp.FormatActions(nil, b.dp.flows[f.HashUFID()].Actions, nil)); got != "3" {
		t.Error("actions:", got)
	}
	// The last packets of a flow that is deleted count too.
	b.hit(&f, 3)
	b.u.Purge(b.now)
	b.count(r2, 5)
	if b.u.ukeys.len() != 0 || len(b.dp.flows) != 0 {
		t.Error("purging left flows")
	}
}

func TestFlowsThatLeave(t *testing.T) {
	b := newBed(t)
	b.rule(0, 1, "in_port=1", output(2))
	f, g := udp(1, 1, 2), udp(2, 1, 2)
	b.send(&f)
	b.round()
	b.now += 9000
	b.send(&g)
	b.now += 2000 // f is idle for 11 s now, g for 2 s
	b.round()
	if len(b.dp.flows) != 1 || b.dp.flows[g.HashUFID()] == nil {
		t.Error("idle flows must go, others stay")
	}
	// Somebody else deletes a flow of ours.
	delete(b.dp.flows, g.HashUFID())
	b.round()
	if b.u.ukeys.len() != 0 {
		t.Error("a ukey without a flow stayed")
	}
	// A mask that is too wide: the flow must go.
	b.send(&f)
	b.rule(0, 2, "in_port=1,ip,nw_src=0.0.0.1", output(3))
	b.round()
	if len(b.dp.flows) != 0 {
		t.Error("a flow with too wide a mask stayed")
	}
}

func TestForeignFlow(t *testing.T) {
	b := newBed(t)
	r := b.rule(0, 1, "in_port=1", output(2))
	f := udp(1, 1, 2)
	id := f.HashUFID()
	var all flow.Mask
	for i := range all.Words() {
		all.Words()[i] = ^uint64(0)
	}
	b.dp.flows[id] = &dpif.Flow{UFID: id, Key: f, Mask: all, Actions: []odp.Action{{Type: odp.Output, Port: 4}},
		Stats: dpif.FlowStats{Packets: 3, Bytes: 180, Used: b.now}}
	b.dp.order = append(b.dp.order, id)
	b.round()
	b.count(r, 3)
	if got := string(odp.FormatActions(nil, b.dp.flows[id].Actions, nil)); got != "2" {
		t.Error("actions:", got)
	}
}

func TestOneOfTwoUpcallsInstalls(t *testing.T) {
	b := newBed(t)
	b.rule(0, 1, "in_port=1", output(2))
	f := udp(1, 1, 2)
	up := dpif.Upcall{Key: &f, UFID: f.HashUFID(), Packet: flow.Compose(&f, 60), Now: b.now}
	var v, w dpif.Verdict
	if b.dp.up(&up, &v) != nil || b.dp.up(&up, &w) != nil || !v.Install || w.Install {
		t.Fatal("the first must install, and only the first")
	}
	v.Installed(unix.ENOSPC)
	if b.dp.up(&up, &w) != nil || !w.Install {
		t.Fatal("after a failed installation the next packet must try again")
	}
}

func TestPausedAndUnknownPort(t *testing.T) {
	b := newBed(t)
	f := udp(77, 1, 2)
	up := dpif.Upcall{Key: &f, UFID: f.HashUFID(), Packet: flow.Compose(&f, 60), Now: b.now}
	var v dpif.Verdict
	if b.dp.up(&up, &v) == nil {
		t.Error("a port of no bridge must be an error")
	}
	b.u.SetPaused(true)
	f.InPort = 1
	if b.dp.up(&up, &v) == nil {
		t.Error("no answers while paused")
	}
}

func TestFlowLimit(t *testing.T) {
	b := newBed(t)
	b.rule(0, 1, "udp,tp_dst=2", output(2))
	b.rule(0, 2, "ip,nw_src=1.0.0.0", output(2)) // unwildcards nw_src
	b.u.SetFlowLimit(10)
	for i := range uint32(20) {
		f := udp(1, i, 2)
		b.send(&f)
	}
	if n := len(b.dp.flows); n != 10 {
		t.Errorf("%d flows, limit 10", n)
	}
	b.u.SetFlowLimit(4) // more than twice as many: all go
	b.round()
	if n := len(b.dp.flows); n != 0 {
		t.Errorf("%d flows, limit 4", n)
	}
}

// When rounds take long, flows that are hardly used are not worth translating again.
func TestMinRevalidatePPS(t *testing.T) {
	for _, c := range []struct {
		name       string
		packets    uint64 // in one second
		durationMs int64  // of the last round
		minPPS     int64
		change     bool // of the tables
		stays      bool
	}{
		{"short rounds", 1, 249, 5, true, true},
		{"nothing changed", 1, 250, 5, false, true},
		{"hardly used", 5, 250, 5, true, false},
		{"used", 6, 250, 5, true, true},
		{"not used", 0, 250, 1, true, false},
		{"more is wanted", 6, 250, 7, true, false},
		{"nonsense", 2, 250, 0, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			b.u.SetLimits(1000, 10000, 500, c.minPPS)
			old := b.rule(0, 1, "in_port=1", output(2))
			f := udp(1, 1, 2)
			b.send(&f)
			b.hit(&f, 1)
			b.round()
			b.now += 1000
			r := old
			if c.change {
				r = b.rule(0, 2, "in_port=1", output(3))
			}
			if c.packets > 0 {
				b.hit(&f, c.packets)
			}
			b.u.rv.duration = c.durationMs
			b.round()
			if stays := len(b.dp.flows) == 1; stays != c.stays {
				t.Errorf("stays: %v", stays)
			}
			if !c.stays {
				r = old // that they met
			}
			want := c.packets
			if r == old {
				want += 2
			}
			b.count(r, want)
		})
	}
}

// TestRecircIDsComeBack checks that, whatever happens to flows, ids of frozen states
// do not leak and states of installed flows do not go away.
func TestRecircIDsComeBack(t *testing.T) {
	b := newBed(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	ct := func(zone uint16, next uint8) action.Action { return &action.CT{Zone: zone, RecircTable: next} }
	rules := func() {
		for i := range 4 {
			m, p := fmt.Sprintf("ip,in_port=%d", i+1), uint16(1)
			switch rnd.IntN(4) {
			case 0:
				b.rule(0, p, m, output(2))
			case 1:
				b.rule(0, p, m, ct(uint16(rnd.IntN(3)), 1))
			case 2:
				b.rule(0, p, m, &action.Controller{MaxLen: 128, Pause: true}, output(3))
			case 3:
				b.rule(0, p, m)
			}
			b.rule(1, p, m, ct(uint16(rnd.IntN(3)), 2))
			b.rule(2, p, m, output(4))
		}
	}
	var pause func(id uint32)
	var walk func(acts []odp.Action, fn func(id uint32))
	walk = func(acts []odp.Action, fn func(id uint32)) {
		for i := range acts {
			a := &acts[i]
			if a.Type == odp.Recirc {
				fn(a.Port)
			} else if a.Type == odp.Userspace && a.Ext.User.Kind == odp.UserController {
				pause(a.Ext.User.RecircID)
			}
			walk(a.Nested, fn)
			walk(a.Else, fn)
		}
	}
	paused := 0
	pause = func(id uint32) {
		if paused++; b.pool.Find(id) == nil {
			t.Fatalf("a flow sends to the controller with state %#x, which is gone", id)
		}
	}
	for range 200 {
		if rnd.IntN(3) == 0 {
			rules()
		}
		for range 10 {
			f := udp(1+rnd.Uint32N(4), rnd.Uint32N(50), 7)
			for hop := 0; hop < 4; hop++ {
				if fl := b.dp.flows[f.HashUFID()]; fl != nil {
					b.hit(&f, 1)
				}
				next := uint32(0)
				walk(b.send(&f).Actions, func(id uint32) { next = id })
				if next == 0 {
					break
				}
				f.RecircID, f.CTState = next, flow.CTTracked|flow.CTNew
			}
		}
		b.now += rnd.Int64N(4000)
		switch rnd.IntN(6) {
		case 0:
			b.u.Purge(b.now)
		case 1:
			for id := range b.dp.flows {
				delete(b.dp.flows, id)
				break
			}
		default:
			b.round()
		}
		b.pool.Run(b.now)
		for _, f := range b.dp.flows {
			walk(f.Actions, func(id uint32) {
				if b.pool.Find(id) == nil {
					t.Fatalf("a flow recirculates to %#x, which is gone", id)
				}
			})
		}
	}
	if paused == 0 {
		t.Error("nothing was sent to the controller")
	}
	b.u.Purge(b.now)
	for range 3 {
		b.now += 10000
		b.pool.Run(b.now)
	}
	if n := b.pool.Len(); n != 0 {
		t.Errorf("%d states leaked", n)
	}
}

// TestThreads lets polling threads send packets up while the control thread works;
// it is for the race detector.
func TestThreads(t *testing.T) {
	b := newBed(t)
	b.rule(0, 1, "", output(flow.OFPNormal))
	b.rule(0, 2, "ip,nw_src=1.0.0.0", &action.CT{RecircTable: 1})
	b.rule(0, 2, "ip,nw_src=0.0.0.1", &action.Controller{MaxLen: 128, Pause: true}, &action.Learn{Table: 2, Idle: 1, Priority: 1})
	var wg sync.WaitGroup
	for id := range uint64(3) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rnd := rand.New(rand.NewPCG(id, 1))
			for range 2000 {
				f := udp(1+rnd.Uint32N(4), rnd.Uint32N(4)<<24|rnd.Uint32N(64), rnd.Uint32N(4))
				b.send(&f)
			}
		}()
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for i := uint16(0); ; i++ {
		select {
		case <-done:
			b.u.Purge(b.now)
			if b.u.ukeys.len() != 0 {
				t.Error("purging left flows")
			}
			return
		default:
		}
		switch i % 4 {
		case 0:
			b.publish()
		case 1:
			b.rule(0, 3, fmt.Sprintf("ip,nw_dst=%d.0.0.0", i%8), output(3))
		case 2:
			b.rule(0, 3, fmt.Sprintf("ip,nw_dst=%d.0.0.0", (i+3)%8))
		}
		b.round()
		b.pool.Run(b.now)
	}
}

func TestPacked(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		var f, g flow.Flow
		for range rnd.IntN(20) {
			f.Words()[rnd.IntN(flow.NWords)] = rnd.Uint64()
		}
		p := pack(f.Words())
		p.unpack(g.Words())
		if f != g {
			t.Fatal("not the same after unpacking")
		}
		if !p.covers(f.AsMask()) {
			t.Fatal("a mask must cover itself")
		}
		g.Words()[rnd.IntN(flow.NWords)] |= 1 << rnd.IntN(64)
		if p.covers(g.AsMask()) != (f == g) {
			t.Fatal("a mask must not cover one with a bit more")
		}
	}
}

// BenchmarkMiss is the work of ofproto on a new flow, which is not installed.
func BenchmarkMiss(b *testing.B) {
	bed := newBed(b)
	bed.rule(0, 1, "", output(flow.OFPNormal))
	f := udp(1, 1, 2)
	up := dpif.Upcall{Key: &f, UFID: f.HashUFID(), Packet: flow.Compose(&f, 60), Now: bed.now}
	var v dpif.Verdict
	b.ReportAllocs()
	for b.Loop() {
		if err := bed.dp.up(&up, &v); err != nil || !v.Install {
			b.Fatal(err)
		}
		v.Installed(unix.ENOSPC)
	}
}

// BenchmarkRevalidate is a round over 10,000 flows, a flow table having changed.
func BenchmarkRevalidate(b *testing.B) {
	const n = 10000
	bed := newBed(b)
	bed.u.SetFlowLimit(2 * n)
	bed.rule(0, 2, "ip,nw_src=1.0.0.0", output(2))
	bed.rule(0, 1, "", output(flow.OFPNormal))
	for i := range uint32(n) {
		f := udp(1, i, 2)
		bed.send(&f)
	}
	b.ReportAllocs()
	for b.Loop() {
		bed.u.Revalidate()
		bed.round()
	}
	if len(bed.dp.flows) != n {
		b.Fatal("flows are missing")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/flow")
}
