package ofproto

import (
	"fmt"
	"slices"
	"testing"

	"sluice/netdev"
	"sluice/ofproto/bond"
	"sluice/ofproto/xlate"
)

func TestPortBatch(t *testing.T) {
	w := newWorld(t, 2)
	open := func(i int) netdev.Device {
		dev, err := netdev.Open(fmt.Sprintf("batch%d", i), "dummy")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = dev.Close(false) })
		return dev
	}
	w.b.Run(w.now) // reconfigurations are counted once a turn
	before := cRevReconfigure.Total()
	w.b.BeginBatch()
	old := w.b.udpif.Snapshot()
	for i := 50; i > 10; i-- {
		if no, err := w.sw.PortAdd(open(i), uint32(i), w.now); err != nil || no != uint32(i) {
			t.Fatalf("port %d: number %d, %v", i, no, err)
		}
	}
	if w.b.udpif.Snapshot() != old {
		t.Error("translation sees ports before the batch is committed")
	}
	w.b.CommitBatch()
	w.b.Run(w.now)
	if n := cRevReconfigure.Total() - before; n != 1 {
		t.Errorf("40 ports: configured %d times", n)
	}
	var numbers []uint32
	for _, p := range w.sw.Ports() {
		numbers = append(numbers, p.OFPort)
	}
	if !slices.IsSorted(numbers) || len(numbers) != 42 {
		t.Errorf("ports %d", numbers)
	}
	if br := w.b.bridge(w.b.bySwitch[w.sw]); len(br.Ports) != 42 {
		t.Errorf("translation has %d ports", len(br.Ports))
	}
	before = cRevReconfigure.Total()
	w.b.BeginBatch()
	for i := uint32(11); i <= 50; i++ {
		if err := w.sw.PortDel(i, w.now); err != nil {
			t.Fatal(err)
		}
	}
	w.b.CommitBatch()
	w.b.Run(w.now)
	if n := cRevReconfigure.Total() - before; n != 1 || len(w.sw.Ports()) != 2 {
		t.Errorf("40 ports less: configured %d times, %d ports are left", n, len(w.sw.Ports()))
	}
	// Without a batch a change is seen at once.
	before = cRevReconfigure.Total()
	if _, err := w.sw.PortAdd(open(60), 60, w.now); err != nil {
		t.Fatal(err)
	}
	w.b.Run(w.now)
	if n := cRevReconfigure.Total() - before; n != 1 {
		t.Errorf("a single port: configured %d times", n)
	}
	if err := w.sw.PortDel(60, w.now); err != nil {
		t.Fatal(err)
	}
}

// TestReplacedPort: translation knows what protocols a port takes part in that came in
// another's place, although the configuration is the same.
func TestReplacedPort(t *testing.T) {
	w := newWorld(t, 1)
	w.apply(func(c *SwitchConfig) { c.Bundles = []BundleConfig{bonded(bond.Config{}, true, 1)} })
	hears := func() bool { return w.b.udpif.Snapshot().Bridges[0].Port(1).Hears&xlate.SlowLACP != 0 }
	if !hears() {
		t.Fatal("LACP is not heard at all")
	}
	w.b.BeginBatch()
	if err := w.sw.PortDel(1, w.now); err != nil {
		t.Fatal(err)
	}
	if _, err := w.sw.PortAdd(w.devs[0], 1, w.now); err != nil {
		t.Fatal(err)
	}
	w.b.CommitBatch()
	w.apply(func(*SwitchConfig) {})
	if !hears() {
		t.Error("LACP is not heard by the new port")
	}
}
