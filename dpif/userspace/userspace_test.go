package userspace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/internal/clock"
	"sluice/internal/poll"
	"sluice/netdev"
	"sluice/netdev/packet"
)

// fakeDev is a device whose queues are fed and read by the test.
type fakeDev struct {
	netdev.Base
	pmd      bool
	rx       []*fakeRx
	tx       *fakeTx
	caps     netdev.TxCaps
	reconfig bool
}

func newDev(name string, queues int, pmd bool) *fakeDev {
	d := &fakeDev{pmd: pmd, tx: &fakeTx{}}
	d.Init(name, "fake")
	for id := range queues {
		q := &fakeRx{id: id}
		if pmd {
			q.wake = poll.NewEvent()
		}
		d.rx = append(d.rx, q)
	}
	return d
}

func (d *fakeDev) RxQueues() (list []netdev.RxQueue) {
	for _, q := range d.rx {
		list = append(list, q)
	}
	return list
}
func (d *fakeDev) TxQueues() []netdev.TxQueue    { return []netdev.TxQueue{d.tx} }
func (d *fakeDev) TxCaps() netdev.TxCaps         { return d.caps }
func (d *fakeDev) IsPMD() bool                   { return d.pmd }
func (d *fakeDev) NUMA() int                     { return 0 }
func (d *fakeDev) NeedsReconfigure() bool        { return d.reconfig }
func (d *fakeDev) Reconfigure() error            { d.reconfig = false; return nil }
func (d *fakeDev) Close(bool) error              { return nil }
func (d *fakeDev) EtherAddr() netdev.MAC         { return netdev.MAC{} }
func (d *fakeDev) SetEtherAddr(netdev.MAC) error { return nil }
func (d *fakeDev) MTU() int                      { return 1500 }
func (d *fakeDev) SetMTU(int) error              { return nil }
func (d *fakeDev) Ifindex() int                  { return 0 }
func (d *fakeDev) Carrier() bool                 { return true }
func (d *fakeDev) AdminUp() bool                 { return true }
func (d *fakeDev) SetAdminUp(bool) error         { return nil }
func (d *fakeDev) Stats() netdev.Stats           { return netdev.NoStats() }

// fakeRx hands out packets that the test queued, all that fit in a batch.
type fakeRx struct {
	id   int
	in   chan []byte
	pkts [][]byte // of queues without a polling thread
	wake *poll.Event
	edit func(m *packet.Meta)
	// same, when set, is handed out again and again.
	same  []byte
	burst int
}

func (q *fakeRx) Recv(c *packet.Cache, b *packet.Batch) (int, error) {
	n := 0
	if q.in != nil {
		select {
		case data := <-q.in:
			q.wake.Reset()
			b.Add(c.New(data))
			return 1, nil
		default:
			return 0, nil
		}
	}
	for ; n < q.burst; n++ {
		b.Add(c.New(q.same))
	}
	for ; len(q.pkts) > 0 && !b.Full(); n++ {
		i := c.New(q.pkts[0])
		if q.edit != nil {
			q.edit(c.Pool().Meta(i))
		}
		b.Add(i)
		q.pkts = q.pkts[1:]
	}
	return n, nil
}

func (q *fakeRx) Fd() int {
	if q.wake == nil {
		return -1
	}
	return q.wake.Fd()
}
func (q *fakeRx) Ready() bool { return len(q.pkts) > 0 || len(q.in) > 0 }
func (q *fakeRx) ID() int     { return q.id }

// fakeTx keeps what was sent, or only counts when drop is set.
type fakeTx struct {
	drop bool
	sent [][]byte
	out  chan []byte
	n    int
}

func (q *fakeTx) Send(c *packet.Cache, b *packet.Batch) {
	q.n += b.N
	if !q.drop {
		for _, i := range b.Slice() {
			data := c.Pool().AppendBytes(nil, i)
			if q.out != nil {
				q.out <- data
			} else {
				q.sent = append(q.sent, data)
			}
		}
	}
	c.FreeBatch(b)
}
func (q *fakeTx) Flush(*packet.Cache) {}

func (q *fakeTx) take() [][]byte {
	s := q.sent
	q.sent = nil
	return s
}

func newDpif(t testing.TB, cpus *CPUs) *Dpif {
	pool, err := packet.NewPool(8192)
	if err != nil {
		t.Fatal(err)
	}
	d := New(Options{Type: "dummy", Dummy: true, Name: "ovs-" + t.Name(), Clock: &clock.Fake{}, Pool: pool, CPUs: cpus})
	t.Cleanup(func() {
		_ = d.Close(true)
		if got := pool.Available(); got != 8191 {
			t.Errorf("%d frames leaked", 8191-got)
		}
		_ = pool.Close()
	})
	return d
}

func add(t testing.TB, d *Dpif, devs ...*fakeDev) {
	for n, dev := range devs {
		if no, err := d.PortAdd(dev, dpif.PortNone); err != nil || no != uint32(n+1) {
			t.Fatalf("port %s: number %d, %v", dev.Name(), no, err)
		}
	}
}

// udp is a UDP packet to port dst with n bytes of payload and a right IP checksum.
func udp(dst uint16, n int) []byte {
	b := make([]byte, 42+n)
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 99})
	binary.BigEndian.PutUint16(b[16:], uint16(28+n))
	binary.BigEndian.PutUint16(b[36:], dst)
	binary.BigEndian.PutUint16(b[38:], uint16(8+n))
	binary.BigEndian.PutUint16(b[24:], packet.Checksum(b[14:34]))
	for i := range n {
		b[42+i] = byte(i)
	}
	return b
}

func out(ports ...uint32) (list []odp.Action) {
	for _, p := range ports {
		list = append(list, odp.Action{Type: odp.Output, Port: p})
	}
	return list
}

// forward answers every miss with actions and a flow for the whole port.
func forward(actions []odp.Action, calls *int) dpif.UpcallFunc {
	return func(u *dpif.Upcall, v *dpif.Verdict) error {
		*calls++
		v.Actions = append(v.Actions, actions...)
		v.Install = true
		v.Mask = flow.Mask{InPort: ^uint32(0), DLType: 0xffff, RecircID: ^uint32(0)}
		return nil
	}
}

func TestMissInstallHit(t *testing.T) {
	d := newDpif(t, nil)
	p1, p2 := newDev("p1", 1, false), newDev("p2", 1, false)
	add(t, d, p1, p2)
	calls := 0
	d.SetUpcall(forward(out(2), &calls))
	for n := range 3 {
		p1.rx[0].pkts = [][]byte{udp(uint16(n), 10), udp(100, 20)}
		d.Run(int64(1000 + n))
	}
	if got := p2.tx.take(); len(got) != 6 || !bytes.Equal(got[0], udp(0, 10)) || !bytes.Equal(got[5], udp(100, 20)) {
		t.Errorf("%d packets arrived, or not those that were sent", len(got))
	}
	if calls != 1 {
		t.Errorf("%d upcalls", calls)
	}
	flows := dump(d)
	if len(flows) != 1 || flows[0].Stats.Packets != 5 || flows[0].Stats.Used != 1002 || flows[0].PMD != dpif.PMDNone {
		t.Errorf("flows: %+v", flows)
	}
	if s := d.Stats(); s.Hit != 5 || s.Missed != 1 || s.Flows != 1 {
		t.Errorf("stats %+v", s)
	}
	if _, err := d.FlowDel(flows[0].UFID, dpif.PMDNone); err != nil {
		t.Error(err)
	}
	p1.rx[0].pkts = [][]byte{udp(100, 20)}
	d.Run(2000)
	if calls != 2 {
		t.Error("a deleted flow still forwards")
	}
}

func dump(d *Dpif) (list []dpif.Flow) {
	d.FlowDump(func(f *dpif.Flow) bool {
		list = append(list, *f)
		return true
	})
	return list
}

func TestOrderWithinBatch(t *testing.T) {
	d := newDpif(t, nil)
	p1, p2 := newDev("p1", 1, false), newDev("p2", 1, false)
	add(t, d, p1, p2)
	d.SetUpcall(func(u *dpif.Upcall, v *dpif.Verdict) error {
		v.Actions = append(v.Actions, out(2)...)
		v.Install, v.Mask = true, flow.Mask{InPort: ^uint32(0), TpDst: 0xffff}
		return nil
	})
	batch := func() (list [][]byte) {
		for n := range 12 {
			list = append(list, udp(uint16(n%3), n))
		}
		return list
	}
	p1.rx[0].pkts = batch()
	d.Run(1)
	p2.tx.take()
	p1.rx[0].pkts = batch()
	d.Run(2)
	next := map[uint16]int{}
	for _, b := range p2.tx.take() {
		dst := binary.BigEndian.Uint16(b[36:])
		if n := len(b) - 42; n/3 != next[dst] {
			t.Errorf("flow %d: packet %d came when %d was due", dst, n/3, next[dst])
		}
		next[dst]++
	}
}

func TestActions(t *testing.T) {
	pushVLAN := odp.Action{Type: odp.PushVLAN, VLAN: flow.VLAN{TPID: 0x8100, TCI: 0x1005}}
	setDst := odp.Action{Type: odp.Set, Ext: &odp.Ext{Set: &odp.SetArg{Attr: odp.AttrIPv4,
		Key: flow.Flow{NwDst: 0x0a0000ff, NwTTL: 63}, Mask: flow.Mask{NwDst: ^uint32(0), NwTTL: 0xff}}}}
	drop := odp.Action{Type: odp.Drop}
	orig := udp(7, 10)
	tagged := append(append(append([]byte(nil), orig[:12]...), 0x81, 0, 0, 5), orig[12:]...)
	changed := append([]byte(nil), orig...)
	changed[33], changed[22] = 0xff, 63
	binary.BigEndian.PutUint16(changed[24:], 0)
	binary.BigEndian.PutUint16(changed[24:], packet.Checksum(changed[14:34]))
	for _, tc := range []struct {
		name    string
		actions []odp.Action
		p1, p2  [][]byte
	}{
		{"drop", nil, nil, nil},
		{"two ports", out(1, 2), [][]byte{orig}, [][]byte{orig}},
		{"tag after first output", append(out(2), pushVLAN, out(1)[0]), [][]byte{tagged}, [][]byte{orig}},
		{"push and pop", []odp.Action{pushVLAN, {Type: odp.PopVLAN}, out(2)[0]}, nil, [][]byte{orig}},
		{"set", append([]odp.Action{setDst}, out(2)...), nil, [][]byte{changed}},
		{"clone keeps the packet", []odp.Action{{Type: odp.Clone, Nested: append([]odp.Action{pushVLAN}, out(1)...)}, out(2)[0]},
			[][]byte{tagged}, [][]byte{orig}},
		{"trunc", append([]odp.Action{{Type: odp.Trunc, Arg: 20}}, out(1, 2)...), [][]byte{orig[:20]}, [][]byte{orig}},
		{"explicit drop", append(out(1), drop), [][]byte{orig}, nil},
		{"no such port", out(9, 2), nil, [][]byte{orig}},
		{"longer", []odp.Action{{Type: odp.CheckPktLen, Arg: 51, Nested: out(1), Else: out(2)}}, [][]byte{orig}, nil},
		{"not longer", []odp.Action{{Type: odp.CheckPktLen, Arg: 52, Nested: out(1), Else: out(2)}}, nil, [][]byte{orig}},
		{"never sampled", []odp.Action{{Type: odp.Sample, Arg: 0, Nested: out(1)}, out(2)[0]}, nil, [][]byte{orig}},
		{"meter that does not exist", []odp.Action{{Type: odp.Meter, Port: 5}, out(2)[0]}, nil, [][]byte{orig}},
	} {
		d := newDpif(t, nil)
		p1, p2 := newDev("p1", 1, false), newDev("p2", 1, false)
		add(t, d, p1, p2)
		calls := 0
		d.SetUpcall(forward(tc.actions, &calls))
		for _, way := range []string{"miss", "hit"} {
			p1.rx[0].pkts = [][]byte{orig}
			d.Run(1)
			same(t, tc.name+", "+way+", p1", p1.tx.take(), tc.p1)
			same(t, tc.name+", "+way+", p2", p2.tx.take(), tc.p2)
		}
		if err := d.Execute(&dpif.Execute{Packet: orig, Actions: tc.actions}); err != nil {
			t.Error(err)
		}
		same(t, tc.name+", execute, p1", p1.tx.take(), tc.p1)
		same(t, tc.name+", execute, p2", p2.tx.take(), tc.p2)
	}
}

func same(t *testing.T, what string, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d packets, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("%s: packet %d\n got %x\nwant %x", what, i, got[i], want[i])
		}
	}
}

func TestRecirculation(t *testing.T) {
	d := newDpif(t, nil)
	p1, p2 := newDev("p1", 1, false), newDev("p2", 1, false)
	add(t, d, p1, p2)
	seen := map[uint32]int{}
	depth := uint32(3)
	d.SetUpcall(func(u *dpif.Upcall, v *dpif.Verdict) error {
		seen[u.Key.RecircID]++
		v.Install, v.Mask = true, flow.Mask{RecircID: ^uint32(0)}
		if u.Key.RecircID == depth {
			v.Actions = append(v.Actions, out(2)...)
		} else {
			v.Actions = append(v.Actions, odp.Action{Type: odp.Recirc, Port: u.Key.RecircID + 1})
		}
		return nil
	})
	for range 2 {
		p1.rx[0].pkts = [][]byte{udp(1, 1)}
		d.Run(1)
		same(t, "recirculated", p2.tx.take(), [][]byte{udp(1, 1)})
	}
	if len(seen) != 4 || seen[3] != 1 {
		t.Errorf("upcalls %v", seen)
	}
	_ = d.FlowFlush()
	depth = 100
	p1.rx[0].pkts = [][]byte{udp(1, 1)}
	d.Run(1)
	if len(p2.tx.take()) != 0 || seen[maxRecirc] != 1 || seen[maxRecirc+1] != 0 {
		t.Errorf("endless recirculation: upcalls %v", seen)
	}
}

func TestUserspaceAction(t *testing.T) {
	d := newDpif(t, nil)
	p1, p2 := newDev("p1", 1, false), newDev("p2", 1, false)
	add(t, d, p1, p2)
	arg := &odp.UserspaceArg{Kind: odp.UserController}
	var got []byte
	d.SetUpcall(func(u *dpif.Upcall, v *dpif.Verdict) error {
		if u.Kind == dpif.UpcallAction {
			if u.Userdata != arg {
				t.Error("the action's argument is lost")
			}
			got = append(got[:0], u.Whole()...)
			v.Actions = append(v.Actions, out(2)...)
			return nil
		}
		v.Actions = append(v.Actions, odp.Action{Type: odp.Userspace, Ext: &odp.Ext{User: arg}}, out(1)[0])
		return nil
	})
	big := udp(1, 9000)
	p1.rx[0].pkts = [][]byte{big}
	p1.caps.MultiSeg, p2.caps.MultiSeg = true, true
	_ = d.PortDel(1)
	_ = d.PortDel(2)
	add(t, d, p1, p2)
	d.Run(1)
	if !bytes.Equal(got, big) {
		t.Error("ofproto got another packet")
	}
	same(t, "answer", p2.tx.take(), [][]byte{big})
	same(t, "next action", p1.tx.take(), [][]byte{big})
}

func TestOffloadsAreFinished(t *testing.T) {
	d := newDpif(t, nil)
	p1, p2 := newDev("p1", 1, false), newDev("p2", 1, false)
	add(t, d, p1, p2)
	calls := 0
	d.SetUpcall(forward(out(2), &calls))
	p1.rx[0].edit = func(m *packet.Meta) {
		m.Csum, m.GSOType, m.GSOSize = packet.CsumPartial, packet.GSOUDPL4, 1000
	}
	p1.rx[0].pkts = [][]byte{udp(1, 60000)}
	d.Run(1)
	var payload []byte
	for _, b := range p2.tx.take() {
		if len(b) > 42+1000 || packet.Checksum(b[14:34]) != 0 {
			t.Errorf("a segment of %d bytes, IP checksum %#x", len(b), packet.Checksum(b[14:34]))
		}
		sum := packet.Sum(b[34:], packet.PseudoSum(b[14:], 17, len(b)-34))
		if sum != 0xffff {
			t.Errorf("wrong UDP checksum")
		}
		payload = append(payload, b[42:]...)
	}
	if !bytes.Equal(payload, udp(1, 60000)[42:]) {
		t.Error("payload differs")
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	d, _ := forwarding(t)
	if n := testing.AllocsPerRun(200, func() { d.Run(5) }); n != 0 {
		t.Errorf("%v allocations for a batch", n)
	}
}

// forwarding is a datapath that forwards full batches of one flow out of the EMC.
func forwarding(t testing.TB) (*Dpif, *fakeTx) {
	d := newDpif(t, nil)
	d.SetConfig(map[string]string{"emc-insert-inv-prob": "1"})
	p1, p2 := newDev("p1", 1, false), newDev("p2", 1, false)
	add(t, d, p1, p2)
	calls := 0
	d.SetUpcall(forward(out(2), &calls))
	p1.rx[0].same, p1.rx[0].burst = udp(1, 18), packet.BatchSize
	p2.tx.drop = true
	for range 3 {
		d.Run(1)
	}
	return d, p2.tx
}

func BenchmarkForwardEMC(b *testing.B) {
	d, tx := forwarding(b)
	tx.n = 0
	for b.Loop() {
		d.Run(5)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(tx.n), "ns/packet")
}

func TestPMDForwards(t *testing.T) {
	d := newDpif(t, DummyCPUs("0,0"))
	d.SetConfig(map[string]string{"pmd-cpu-mask": "3"})
	p1, p2 := newDev("p1", 2, true), newDev("p2", 1, true)
	for _, q := range append(p1.rx, p2.rx...) {
		q.in = make(chan []byte, 100)
	}
	p2.tx.out = make(chan []byte, 100)
	add(t, d, p1, p2)
	calls := make(chan int, 100)
	d.SetUpcall(func(u *dpif.Upcall, v *dpif.Verdict) error {
		calls <- u.PMD
		v.Actions = append(v.Actions, out(2)...)
		v.Install, v.Mask = true, flow.Mask{DLType: 0xffff}
		return nil
	})
	for n := range 20 {
		q := p1.rx[n%2]
		q.in <- udp(5, n)
		q.wake.Set()
		<-p2.tx.out
	}
	d.Quiesce()
	if len(calls) != 2 {
		t.Fatalf("%d upcalls", len(calls))
	}
	if first, second := <-calls, <-calls; first == second {
		t.Error("not one upcall on each thread")
	}
	flows := dump(d)
	if len(flows) != 2 || flows[0].Stats.Packets+flows[1].Stats.Packets != 18 {
		t.Errorf("flows %+v", flows)
	}
	f, err := d.FlowGet(flows[0].UFID, dpif.PMDAll)
	if err != nil || f.Stats.Packets == 0 {
		t.Errorf("get: %+v, %v", f.Stats, err)
	}
	text, err := PMDRxqShow([]string{d.Name()})
	want := "Displaying last 60 seconds pmd usage %\n" +
		"pmd thread numa_id 0 core_id 0:\n  isolated : false\n" +
		"  port: p1                queue-id:  0 (enabled)   pmd usage: NOT AVAIL\n" +
		"  overhead: NOT AVAIL\n" +
		"pmd thread numa_id 0 core_id 1:\n  isolated : false\n" +
		"  port: p1                queue-id:  1 (enabled)   pmd usage: NOT AVAIL\n" +
		"  port: p2                queue-id:  0 (enabled)   pmd usage: NOT AVAIL\n" +
		"  overhead: NOT AVAIL\n"
	if err != nil || text != want {
		t.Errorf("pmd-rxq-show: %v\n%s", err, text)
	}
	if err := d.PortDel(1); err != nil {
		t.Error(err)
	}
	if err := d.PortDel(2); err != nil {
		t.Error(err)
	}
	if len(d.pmds) != 0 {
		t.Error("threads stay without ports")
	}
}

func TestPlacement(t *testing.T) {
	for _, tc := range []struct {
		assign   string
		affinity string
		want     map[int]string
	}{
		{"cycles", "", map[int]string{0: "0 3 4 7", 1: "1 2 5 6"}},
		{"roundrobin", "", map[int]string{0: "0 2 4 6", 1: "1 3 5 7"}},
		{"group", "", map[int]string{0: "0 2 4 6", 1: "1 3 5 7"}},
		{"roundrobin", "3:1", map[int]string{0: "0 1 2 4 5 6 7", 1: "3"}},
		{"roundrobin", "3:9", map[int]string{0: "0 2 4 6", 1: "1 3 5 7"}},
	} {
		d := newDpif(t, DummyCPUs("0,0"))
		p := newDev("p1", 8, true)
		for _, q := range p.rx {
			q.in = make(chan []byte)
		}
		d.SetConfig(map[string]string{"pmd-cpu-mask": "3", "pmd-rxq-assign": tc.assign})
		add(t, d, p)
		if err := d.PortSetConfig(1, map[string]string{"pmd-rxq-affinity": tc.affinity}); err != nil {
			t.Fatal(err)
		}
		d.Run(1)
		for _, th := range d.pmds {
			got := ""
			for _, q := range th.placed {
				if got != "" {
					got += " "
				}
				got += fmt.Sprint(q.id)
			}
			if got != tc.want[th.core] {
				t.Errorf("%s %q: core %d polls %s, want %s", tc.assign, tc.affinity, th.core, got, tc.want[th.core])
			}
		}
		_ = d.PortDel(1)
	}
}

// A dump lists flows in the order that they were added in, whatever slots they
// have, and goes on when flows go away under it.
func TestDumpOrder(t *testing.T) {
	d := newDpif(t, nil)
	ufids := map[uint16]flow.UFID{}
	put := func(n uint16) {
		p := &dpif.FlowPut{Key: flow.Flow{InPort: 1, TpDst: n}, Mask: flow.Mask{InPort: ^uint32(0), TpDst: 0xffff},
			Create: true, PMD: dpif.PMDNone}
		if err := d.FlowPut(p); err != nil {
			t.Fatal(err)
		}
		ufids[n] = p.Key.HashUFID()
	}
	for n := range uint16(200) {
		put(n)
	}
	for n := range uint16(100) {
		_, _ = d.FlowDel(ufids[n], dpif.PMDNone)
	}
	for n := range uint16(100) {
		put(1000 + n)
	}
	last, n := uint16(0), 0
	d.FlowDump(func(f *dpif.Flow) bool {
		if f.Key.TpDst <= last {
			t.Errorf("flow %d after %d", f.Key.TpDst, last)
		}
		last = f.Key.TpDst
		n++
		if last == 110 {
			_, _ = d.FlowDel(ufids[164], dpif.PMDNone) // the next chunk begins there
		}
		return true
	})
	if n != 199 || d.FlowCount() != 199 {
		t.Errorf("%d flows dumped of %d", n, d.FlowCount())
	}
}
