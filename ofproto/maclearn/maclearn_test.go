package maclearn

import (
	"testing"

	"sluice/dpif/flow"
)

func mac(n byte) flow.MAC { return flow.MAC{0x50, 0x54, 0, 0, 0, n} }

func TestLearnMoveExpire(t *testing.T) {
	tb := New()
	if !tb.Update(mac(1), 0, 1, false, false, 0) {
		t.Fatal("a new address is no change")
	}
	if tb.Update(mac(1), 0, 1, false, false, 500) {
		t.Fatal("the same address again is a change")
	}
	if !tb.Update(mac(1), 0, 2, false, false, 1000) {
		t.Fatal("a moved address is no change")
	}
	if p, ok := tb.Lookup(mac(1), 0); !ok || p != 2 {
		t.Fatalf("Lookup = %d, %v", p, ok)
	}
	if _, ok := tb.Lookup(mac(1), 7); ok {
		t.Fatal("found in another VLAN")
	}
	if !tb.Run(2000) || tb.Run(2000) {
		t.Fatal("Run must report a change once")
	}
	if at, ok := tb.Next(); !ok || at != 301000 {
		t.Fatalf("Next = %d, %v", at, ok)
	}
	if !tb.Run(301000) {
		t.Fatal("expiry is no change")
	}
	if s := tb.Stats(); s.Entries != 0 || s.Expired != 1 || s.Moved != 1 || s.Learned != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestRetire(t *testing.T) {
	tb := New()
	tb.Update(mac(1), 0, 1, false, false, 0)
	tb.Update(mac(2), 0, 2, false, false, 0)
	if gone := tb.Retire(1); len(gone) != 1 || gone[0].MAC != mac(1) {
		t.Errorf("forgotten: %v", gone)
	}
	for _, m := range []flow.MAC{mac(1), mac(2)} {
		if tb.Update(m, 0, 1, false, false, 5000) {
			t.Error("learned on a retired port")
		}
	}
	if _, ok := tb.Lookup(mac(1), 0); ok {
		t.Error("still found")
	}
	if p, ok := tb.Lookup(mac(2), 0); !ok || p != 2 {
		t.Error("another port's address went")
	}
}

func TestGratuitousARPLock(t *testing.T) {
	tb := New()
	tb.Update(mac(1), 0, 1, true, false, 0)
	if tb.Update(mac(1), 0, 2, true, true, 1000) {
		t.Fatal("reflected gratuitous ARP moved the address")
	}
	if !tb.Update(mac(1), 0, 2, true, true, 6000) {
		t.Fatal("the lock did not end")
	}
}

func TestStatic(t *testing.T) {
	tb := New()
	tb.Update(mac(1), 3, 1, false, false, 0)
	tb.AddStatic(mac(1), 3, 2)
	if tb.Update(mac(1), 3, 1, false, false, 1000) {
		t.Fatal("a static address moved")
	}
	tb.Flush()
	tb.Run(1 << 40)
	want := " port  VLAN  MAC                Age\n    9     3  50:54:00:00:00:01  static\n"
	if got := string(tb.AppendShow(nil, func(Port) string { return "9" }, 1000)); got != want {
		t.Fatalf("%q", got)
	}
	if !tb.DelStatic(mac(1), 3) || tb.DelStatic(mac(1), 3) {
		t.Fatal("DelStatic")
	}
	if s := tb.Stats(); s.Static != 0 || s.Entries != 0 {
		t.Fatalf("%+v", s)
	}
}

// One port with many addresses must lose its own first.
func TestEvictFairly(t *testing.T) {
	tb := New()
	tb.SetMaxEntries(10)
	tb.Update(mac(1), 0, 1, false, false, 0)
	for i := byte(2); i < 30; i++ {
		tb.Update(mac(i), 0, 2, false, false, int64(i)*1000)
	}
	if _, ok := tb.Lookup(mac(1), 0); !ok {
		t.Fatal("the quiet port lost its address")
	}
	if s := tb.Stats(); s.Entries != 10 || s.Evicted != 19 {
		t.Fatalf("%+v", s)
	}
}

func TestFloodVLANsAndMulticast(t *testing.T) {
	tb := New()
	var v VLANSet
	v.Add(5)
	if !tb.SetFloodVLANs(&v) || tb.SetFloodVLANs(&v) {
		t.Fatal("SetFloodVLANs")
	}
	if tb.Update(mac(1), 5, 1, false, false, 0) || tb.Update(flow.MAC{1}, 0, 1, false, false, 0) {
		t.Fatal("learned what must not be learned")
	}
}

func TestUpdateAllocatesNothing(t *testing.T) {
	tb := New()
	tb.Update(mac(1), 0, 1, false, false, 0)
	now := int64(0)
	if n := testing.AllocsPerRun(100, func() {
		now += 500
		tb.Update(mac(1), 0, 1, false, false, now)
		tb.Lookup(mac(1), 0)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
