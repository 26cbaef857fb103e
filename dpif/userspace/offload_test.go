package userspace

import (
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/netdev"
	"sluice/netdev/packet"
)

// fakeOffloader is a table of flows that a device has.
type fakeOffloader struct {
	flows   map[netdev.FlowID]netdev.OffloadFlow
	ops     []string
	stats   netdev.OffloadStats
	full    bool // refuses more
	flushes int
}

func (o *fakeOffloader) FlowPut(f *netdev.OffloadFlow) error {
	_, there := o.flows[f.ID]
	if o.full && !there {
		return unix.ENOSPC
	}
	o.flows[f.ID] = *f
	o.ops = append(o.ops, fmt.Sprint("put ", f.Mark, " ", f.Match.(*dpif.OffloadMatch).Actions[0].Port))
	return nil
}

func (o *fakeOffloader) FlowDel(id netdev.FlowID) error {
	o.ops = append(o.ops, fmt.Sprint("del ", o.flows[id].Mark))
	delete(o.flows, id)
	return nil
}

func (o *fakeOffloader) FlowFlush() { clear(o.flows); o.flushes++ }

func (o *fakeOffloader) FlowGet(id netdev.FlowID) (netdev.OffloadStats, bool) {
	_, ok := o.flows[id]
	return o.stats, ok
}

// hardware makes dev mark the packets of the flows that it has.
func (o *fakeOffloader) hardware(dev *fakeDev, frame []byte) {
	dev.rx[0].edit = func(m *packet.Meta) {
		for _, f := range o.flows {
			if f.Match.Matches(frame) {
				m.Hash, m.Offload = f.Mark, packet.FlowMarked
			}
		}
	}
}

func (o *fakeOffloader) did(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(o.ops, want) {
		t.Errorf("the device did %q, want %q", o.ops, want)
	}
	o.ops = nil
}

func offloading(t *testing.T, o *fakeOffloader, cpus *CPUs) *Dpif {
	d := newDpif(t, cpus)
	o.flows = map[netdev.FlowID]netdev.OffloadFlow{}
	d.offload.offloader = func(dev netdev.Device) netdev.FlowOffloader {
		if dev.Name() != "p1" {
			return nil
		}
		return o
	}
	d.SetConfig(map[string]string{"hw-offload": "true"})
	return d
}

func TestOffload(t *testing.T) {
	var o fakeOffloader
	d := offloading(t, &o, nil)
	p1, p2 := newDev("p1", 1, false), newDev("p2", 1, false)
	add(t, d, p1, p2)
	calls := 0
	d.SetUpcall(forward(out(2), &calls))
	frame := udp(7, 10)
	o.hardware(p1, frame)
	turn := func(n int) {
		for range n {
			p1.rx[0].pkts = append(p1.rx[0].pkts, frame)
		}
		d.Run(1000)
	}
	turn(1)
	o.did(t, "put 1 2")
	turn(3)
	if got := d.loop.stats[statMarkedHit].Load(); got != 3 || len(p2.tx.take()) != 4 || calls != 1 {
		t.Errorf("%d packets by their mark, %d upcalls", got, calls)
	}
	// What the device did alone counts, too.
	o.stats = netdev.OffloadStats{Packets: 10, Bytes: 600, Used: 2000, Layer: "hw"}
	f := dump(d)[0]
	if f.Stats.Packets != 13 || f.Stats.Used != 2000 || !f.Offloaded || f.DPLayer != "hw" {
		t.Errorf("dumped as %+v %v %q", f.Stats, f.Offloaded, f.DPLayer)
	}
	if s, ok := d.OffloadStats(); !ok || len(s) == 0 || s[0].Inserted+s[len(s)-1].Inserted == 0 {
		t.Errorf("statistics %+v", s)
	}
	put := dpif.FlowPut{Key: f.Key, Mask: f.Mask, UFID: f.UFID, Actions: out(1), Modify: true, PMD: dpif.PMDNone}
	if err := d.FlowPut(&put); err != nil {
		t.Fatal(err)
	}
	turn(0)
	o.did(t, "put 1 1")
	stats, err := d.FlowDel(f.UFID, dpif.PMDNone)
	if err != nil || stats.Packets != 13 {
		t.Errorf("deleted with %+v (%v)", stats, err)
	}
	turn(1) // marked still: the flow is not there any more, so ofproto is asked again
	if calls != 2 {
		t.Errorf("%d upcalls", calls)
	}
	o.did(t, "del 1", "put 2 2")
	// Flows of a port without a device that can, and flows beyond what it can.
	o.full = true
	p2.rx[0].pkts = [][]byte{frame}
	turn(0)
	put = dpif.FlowPut{Key: flow.Flow{InPort: 1, DLType: 0x88cc}, Actions: out(1), Create: true, PMD: dpif.PMDNone}
	put.Mask = flow.Mask{InPort: ^uint32(0), DLType: 0xffff}
	if err := d.FlowPut(&put); err != nil {
		t.Fatal(err)
	}
	turn(0)
	o.did(t)
	if len(dump(d)) != 3 {
		t.Errorf("%d flows", len(dump(d)))
	}
	if err := d.PortDel(1); err != nil || o.flushes != 1 || len(d.offload.flows) != 0 {
		t.Errorf("port removed: %v, %d flushes, %d flows are left", err, o.flushes, len(d.offload.flows))
	}
	if err := d.FlowFlush(); err != nil {
		t.Fatal(err)
	}
	turn(0)
	o.did(t)
}

// A flow of two threads is one for the device, and stays until the last has gone.
func TestOffloadThreads(t *testing.T) {
	var o fakeOffloader
	d := offloading(t, &o, &CPUs{list: []CPU{{0, 0}, {1, 0}}, dummy: true})
	add(t, d, newDev("p1", 2, true))
	d.SetConfig(map[string]string{"hw-offload": "true", "pmd-cpu-mask": "3"})
	d.Run(1)
	put := dpif.FlowPut{Key: flow.Flow{InPort: 1, DLType: flow.EthIPv4}, Actions: out(1), Create: true}
	put.Mask = flow.Mask{InPort: ^uint32(0), DLType: 0xffff}
	for put.PMD = range 2 {
		put.Key.NwSrc++ // which the flow does not match
		put.UFID = put.Key.HashUFID()
		if err := d.FlowPut(&put); err != nil {
			t.Fatal(err)
		}
	}
	d.Run(2)
	o.did(t, "put 1 1")
	for _, th := range d.pmds {
		marked := 0
		th.do(func() { marked = len(th.marked) })
		if marked != 2 {
			t.Errorf("thread %d does not know the mark", th.core)
		}
	}
	d.SetConfig(map[string]string{"hw-offload": "true", "pmd-cpu-mask": "1"}) // one thread goes with its flow
	d.Run(3)
	d.Run(4)
	o.did(t)
	if err := d.FlowFlush(); err != nil {
		t.Fatal(err)
	}
	d.Run(5)
	o.did(t, "del 1")
}
