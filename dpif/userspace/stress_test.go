package userspace

import (
	"bytes"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/internal/clock"
	"sluice/internal/vlog"
	"sluice/netdev"
	"sluice/netdev/packet"
)

// byPort answers every miss: the destination port picks the actions, and the mask
// looks at some of its bits only, so that many packets share a flow.
func byPort(u *dpif.Upcall, v *dpif.Verdict) error {
	f := u.Key
	v.Install = true
	v.Mask = flow.Mask{DLType: 0xffff, TpDst: 0xfff0, RecircID: ^uint32(0)}
	switch dst := f.TpDst >> 4; {
	case f.RecircID == 0 && dst%3 == 0:
		v.Actions = append(v.Actions, odp.Action{Type: odp.Recirc, Port: 5})
	case dst%3 == 1:
		v.Actions = append(v.Actions, odp.Action{Type: odp.PushVLAN, VLAN: flow.VLAN{TPID: 0x8100, TCI: 7}}, out(2)[0])
	default:
		v.Actions = append(v.Actions, out(2, 1)...)
	}
	return nil
}

// Whatever the caches hold, packets go where a fresh translation sends them; and
// the classifier finds what a search of all flows finds.
func TestCachesChangeNothing(t *testing.T) {
	errs := 0
	vlog.SetSink(func(_ *vlog.Module, l vlog.Level, text string) {
		if l <= vlog.Err {
			errs++
			t.Log(text)
		}
	})
	defer vlog.SetSink(nil)
	defer func() {
		if errs != 0 {
			t.Errorf("%d errors logged", errs)
		}
	}()
	for _, prio := range []string{"3", "0"} {
		if _, err := SubtableLookupSet([]string{"autovalidator", prio}); err != nil {
			t.Fatal(err)
		}
		cachesChangeNothing(t)
	}
}

func cachesChangeNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pool, err := packet.NewPool(4096)
		if err != nil {
			rt.Fatal(err)
		}
		defer pool.Close()
		type side struct {
			d      *Dpif
			p1, p2 *fakeDev
		}
		var sides []side
		for _, cfg := range []map[string]string{
			{"emc-insert-inv-prob": "1"},
			{"emc-insert-inv-prob": "0"},
			{"emc-insert-inv-prob": "0", "smc-enable": "true"},
			{"emc-insert-inv-prob": "2", "smc-enable": "true"},
		} {
			s := side{d: New(Options{Type: "dummy", Dummy: true, Name: "x", Clock: &clock.Fake{}, Pool: pool}),
				p1: newDev("p1", 1, false), p2: newDev("p2", 1, false)}
			defer s.d.Close(true)
			s.d.SetConfig(cfg)
			s.d.SetUpcall(byPort)
			for _, dev := range []*fakeDev{s.p1, s.p2} {
				if _, err := s.d.PortAdd(dev, dpif.PortNone); err != nil {
					rt.Fatal(err)
				}
			}
			sides = append(sides, s)
		}
		for step := range rapid.IntRange(1, 20).Draw(rt, "steps") {
			var pkts [][]byte
			for range rapid.IntRange(0, 40).Draw(rt, "packets") {
				pkts = append(pkts, udp(rapid.Uint16Range(0, 200).Draw(rt, "port"), rapid.IntRange(0, 3).Draw(rt, "size")))
			}
			del := rapid.IntRange(0, 5).Draw(rt, "delete")
			var want [2][][]byte
			for n, s := range sides {
				s.p1.rx[0].pkts = pkts
				s.d.Run(int64(step))
				got := [2][][]byte{s.p1.tx.take(), s.p2.tx.take()}
				if n == 0 {
					want = got
				}
				for port := range got {
					// Flows run one after the other, so only the packets of one flow keep
					// their order; which flows a batch has depends on the caches no more
					// than on luck.
					if !sameSet(got[port], want[port]) {
						rt.Fatalf("side %d, port %d: other packets came out", n, port+1)
					}
				}
				if del == 0 {
					_ = s.d.FlowFlush()
				} else if flows := dump(s.d); del < len(flows) {
					_, _ = s.d.FlowDel(flows[del].UFID, dpif.PMDNone)
				}
			}
		}
	})
}

func sameSet(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	count := map[string]int{}
	for i := range a {
		count[string(a[i])]++
		count[string(b[i])]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// busyRx is a queue that never runs dry.
type busyRx struct {
	fakeRx
	n uint16
}

func (q *busyRx) Recv(c *packet.Cache, b *packet.Batch) (int, error) {
	for n := range packet.BatchSize {
		q.n++
		i := c.New(udp(q.n%500, 4))
		if i == 0 {
			return n, nil
		}
		b.Add(i)
	}
	return packet.BatchSize, nil
}

type busyDev struct {
	fakeDev
	busy []*busyRx
	tx2  *countTx
}

func (d *busyDev) RxQueues() (list []netdev.RxQueue) {
	for _, q := range d.busy {
		list = append(list, q)
	}
	return list
}

// countTx checks what it is given; threads share it under the datapath's lock.
type countTx struct {
	fakeTx
	mu  sync.Mutex
	bad int
}

func (q *countTx) Send(c *packet.Cache, b *packet.Batch) {
	q.mu.Lock()
	for _, i := range b.Slice() {
		data := c.Pool().Data(i)
		if len(data) < 46 || !bytes.Equal(data[:6], []byte{2, 0, 0, 0, 0, 1}) {
			q.bad++
		}
	}
	q.n += b.N
	q.mu.Unlock()
	c.FreeBatch(b)
}

func (d *busyDev) TxQueues() []netdev.TxQueue { return []netdev.TxQueue{d.tx2} }

// Ports, threads, flows and settings change while packets flow; nothing is lost or
// polled twice.
func TestReconfigureUnderLoad(t *testing.T) {
	d := newDpif(t, DummyCPUs("0,0,1"))
	d.SetUpcall(byPort)
	tx := &countTx{}
	add := func(name string, queues int) {
		dev := &busyDev{tx2: tx}
		dev.Init(name, "fake")
		dev.pmd = true
		for id := range queues {
			q := &busyRx{}
			q.id = id
			dev.busy = append(dev.busy, q)
		}
		if _, err := d.PortAdd(dev, dpif.PortNone); err != nil {
			t.Fatal(err)
		}
	}
	masks := []string{"1", "7", "2", "3", "6"}
	add("p1", 3)
	add("p2", 1)
	for round := range 40 {
		d.SetConfig(map[string]string{"pmd-cpu-mask": masks[round%len(masks)],
			"pmd-rxq-assign": []string{"cycles", "group", "roundrobin"}[round%3], "emc-insert-inv-prob": "1"})
		d.Run(int64(round))
		add("p3", 2)
		d.Quiesce()
		for i, f := range dump(d) {
			if i%7 == 0 {
				_, _ = d.FlowDel(f.UFID, f.PMD)
			}
		}
		if err := d.PortDel(3); err != nil {
			t.Fatal(err)
		}
		if round%10 == 0 {
			_ = d.FlowFlush()
		}
	}
	_ = d.PortDel(1)
	_ = d.PortDel(2)
	if tx.bad != 0 || tx.n == 0 {
		t.Errorf("%d packets came out, %d of them broken", tx.n, tx.bad)
	}
	if s := d.Stats(); s.Lost != 0 {
		t.Errorf("%d packets lost", s.Lost)
	}
}

// What the wire sends too short goes through like anything else.
func TestShortPackets(t *testing.T) {
	d := newDpif(t, nil)
	p1, p2 := newDev("p1", 1, false), newDev("p2", 1, false)
	add(t, d, p1, p2)
	calls := 0
	d.SetUpcall(forward([]odp.Action{{Type: odp.PushVLAN, VLAN: flow.VLAN{TPID: 0x8100}}, {Type: odp.PopVLAN}, out(2)[0]}, &calls))
	for n := range 46 {
		b := udp(1, 4)[:n]
		p1.rx[0].pkts = [][]byte{b}
		d.Run(int64(n))
		same(t, "short packet", p2.tx.take(), [][]byte{b})
	}
}
