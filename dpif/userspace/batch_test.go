package userspace

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/netdev"
)

// reconfigured returns how many reconfigurations fn takes.
func reconfigured(d *Dpif, fn func()) uint64 {
	before := d.cur.seq
	fn()
	return d.cur.seq - before
}

// failingDev cannot be configured.
type failingDev struct{ *fakeDev }

func (failingDev) Reconfigure() error { return unix.ENODEV }

func TestPortBatch(t *testing.T) {
	d := newDpif(t, &CPUs{list: []CPU{{0, 0}}, dummy: true})
	devs := make([]*fakeDev, 100)
	for i := range devs {
		devs[i] = newDev(fmt.Sprintf("p%d", i+1), 1, i%2 == 0)
	}
	if n := reconfigured(d, func() { add(t, d, devs[:2]...) }); n != 2 {
		t.Errorf("two single ports: %d reconfigurations", n)
	}
	n := reconfigured(d, func() {
		d.BeginPorts()
		d.BeginPorts()
		for i, dev := range devs[2:] {
			if no, err := d.PortAdd(dev, dpif.PortNone); err != nil || no != uint32(i+3) {
				t.Fatalf("port %d: number %d, %v", i+3, no, err)
			}
		}
		// Each port has its own result, as without a batch.
		if _, err := d.PortAdd(devs[5], dpif.PortNone); err != unix.EEXIST {
			t.Errorf("a name that is taken: %v", err)
		}
		if _, err := d.PortAdd(newDev("q", 1, false), 7); err != unix.EBUSY {
			t.Errorf("a number that is taken: %v", err)
		}
		if _, err := d.PortAdd(failingDev{newDev("f", 1, true)}, dpif.PortNone); err != unix.ENODEV {
			t.Errorf("a device that fails: %v", err)
		}
		if _, _, ok := d.PortByName("f"); ok || d.LostPorts() != 0 {
			t.Error("the port of a device that failed stays, or counts as lost")
		}
		d.CommitPorts()
		if len(d.loop.polls) != 1 {
			t.Error("the inner commit ended the batch")
		}
		d.CommitPorts()
	})
	if n != 1 {
		t.Errorf("98 ports in a batch: %d reconfigurations", n)
	}
	if len(d.Ports()) != 100 || len(d.loop.polls) != 50 || len(d.thread(0).polls) != 50 {
		t.Errorf("%d ports, %d and %d queues are polled", len(d.Ports()), len(d.loop.polls), len(d.thread(0).polls))
	}
	n = reconfigured(d, func() {
		d.BeginPorts()
		for no := uint32(1); no <= 90; no++ {
			if err := d.PortDel(no); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.PortDel(3); err != unix.ENODEV {
			t.Errorf("a port that is gone: %v", err)
		}
		d.CommitPorts()
	})
	if n != 1 || len(d.loop.polls) != 5 || len(d.thread(0).polls) != 5 {
		t.Errorf("90 ports less: %d reconfigurations, %d and %d queues are polled", n, len(d.loop.polls), len(d.thread(0).polls))
	}
	n = reconfigured(d, func() {
		d.BeginPorts()
		d.CommitPorts()
	})
	if n != 0 {
		t.Errorf("an empty batch: %d reconfigurations", n)
	}
	if no, err := d.PortAdd(newDev("x", 1, false), dpif.PortNone); no != 1 || err != nil {
		t.Errorf("the next port has number %d (%v), not the lowest free one", no, err)
	}
}

// twoTx is a device with two transmit queues.
type twoTx struct{ *fakeDev }

func (d twoTx) TxQueues() []netdev.TxQueue { return []netdev.TxQueue{d.tx, d.tx} }

// A transmit queue is locked as soon as there are more threads than queues.
func TestSharedQueues(t *testing.T) {
	d := newDpif(t, &CPUs{list: []CPU{{0, 0}, {1, 0}}, dummy: true})
	if _, err := d.PortAdd(twoTx{newDev("p1", 2, true)}, dpif.PortNone); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mask   string
		shared bool
	}{{"1", false}, {"3", true}, {"2", false}} {
		d.SetConfig(map[string]string{"pmd-cpu-mask": c.mask})
		d.Run(1)
		if got := d.ports[1].txqs[0].shared.Load(); got != c.shared {
			t.Errorf("mask %s: %d threads and the loop on 2 queues: shared %v", c.mask, len(d.pmds), got)
		}
	}
}
