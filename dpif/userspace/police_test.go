package userspace

import (
	"testing"

	"sluice/netdev"
	"sluice/netdev/packet"
)

// policedDev is a device that can be policed.
type policedDev struct {
	*fakeDev
	policer netdev.Policer
}

func (d *policedDev) SetPolicing(p netdev.Policing) error { d.policer.Set(p); return nil }
func (d *policedDev) Policer() *netdev.Policer            { return &d.policer }

// TestPolicing limits what a port receives, from the moment that it is configured, and
// allocates nothing for it.
func TestPolicing(t *testing.T) {
	d := newDpif(t, nil)
	p1, p2 := &policedDev{fakeDev: newDev("p1", 1, false)}, newDev("p2", 1, false)
	for _, dev := range []netdev.Device{p1, p2} {
		if _, err := d.PortAdd(dev, 0xffffffff); err != nil {
			t.Fatal(err)
		}
	}
	calls := 0
	d.SetUpcall(forward(out(2), &calls))
	p1.rx[0].same, p1.rx[0].burst = udp(1, 18), packet.BatchSize
	p2.tx.drop = true
	run := func(now int64) int {
		p2.tx.n = 0
		d.Run(now)
		return p2.tx.n
	}
	full := 8 * packet.BatchSize // what a turn takes from a queue
	if got := run(1); got != full {
		t.Errorf("%d packets pass without a limit", got)
	}
	if err := p1.SetPolicing(netdev.Policing{KpktRate: 10, KpktBurst: 1}); err != nil {
		t.Fatal(err)
	}
	passed := 0
	for range 40 {
		passed += run(2)
	}
	if passed != 1000 {
		t.Errorf("%d packets pass at once, want 1000", passed)
	}
	before, now := d.loop.stats[statRecv].Load(), int64(2)
	if got := run(3); got != 10 {
		t.Errorf("%d packets pass after a millisecond, want 10", got)
	}
	if got := d.loop.stats[statRecv].Load() - before; got != 10 {
		t.Errorf("%d packets count as received, want 10", got)
	}
	if n := testing.AllocsPerRun(100, func() { now += 4; d.Run(now) }); n != 0 {
		t.Errorf("%v allocations for a batch", n)
	}
	if p1.policer.Dropped() == 0 {
		t.Error("no drop is counted")
	}
	if err := p1.SetPolicing(netdev.Policing{}); err != nil {
		t.Fatal(err)
	}
	if got := run(now); got != full {
		t.Errorf("%d packets pass after the end", got)
	}
}
