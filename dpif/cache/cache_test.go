package cache

import (
	"testing"

	"pgregory.net/rapid"

	"sluice/dpif/flow"
)

func key(port uint32, n int) *flow.Mini {
	var f flow.Flow
	f.InPort = port
	for i := range n {
		f.Words()[i] = uint64(i + 1)
	}
	var k flow.Mini
	k.Set(&f)
	return &k
}

func TestEMCGenerations(t *testing.T) {
	c := NewEMC()
	gens := []uint32{1, 7}
	k := key(5, 0)
	c.Insert(k, 99, Ref{1, 7}, gens)
	if ref, ok := c.Lookup(k, 99, gens); !ok || ref != (Ref{1, 7}) {
		t.Errorf("got %v, %t", ref, ok)
	}
	if _, ok := c.Lookup(key(6, 0), 99, gens); ok {
		t.Error("another key with the same hash hits")
	}
	gens[1]++
	if _, ok := c.Lookup(k, 99, gens); ok {
		t.Error("a reused slot hits")
	}
}

func TestEMCLongKeysAreNotCached(t *testing.T) {
	c := NewEMC()
	gens := []uint32{1}
	k := key(1, emcWords)
	c.Insert(k, 1, Ref{0, 1}, gens)
	if _, ok := c.Lookup(k, 1, gens); ok {
		t.Error("a long key hits")
	}
}

// Whatever happens, a hit is the flow last inserted for that key.
func TestEMCAnswersAreRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := NewEMC()
		gens := make([]uint32, 16)
		want := map[uint32]Ref{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			port := rapid.Uint32Range(1, 20).Draw(t, "port")
			hash := port % 3 * 0x2001
			slot := rapid.Uint32Range(0, 15).Draw(t, "slot")
			switch rapid.IntRange(0, 2).Draw(t, "op") {
			case 0:
				want[port] = Ref{slot, gens[slot]}
				c.Insert(key(port, 0), hash, want[port], gens)
			case 1:
				gens[slot]++
			case 2:
				ref, ok := c.Lookup(key(port, 0), hash, gens)
				if ok && (ref != want[port] || gens[ref.Slot] != ref.Gen) {
					t.Fatalf("port %d: got %v, last inserted %v", port, ref, want[port])
				}
			}
		}
	})
}

func TestSMC(t *testing.T) {
	c := NewSMC()
	for i := range uint32(6) {
		c.Insert(i<<20|5, i+10)
	}
	hits := 0
	for i := range uint32(6) {
		if slot, ok := c.Lookup(i<<20 | 5); ok {
			hits++
			if slot != i+10 {
				t.Errorf("signature %d: slot %d", i, slot)
			}
		}
	}
	if hits != smcWays {
		t.Errorf("%d of %d ways are in use", hits, smcWays)
	}
	c.Insert(1, 1<<20)
	if _, ok := c.Lookup(1); ok {
		t.Error("a slot beyond 16 bits is cached")
	}
}

func BenchmarkEMCLookup(b *testing.B) {
	c := NewEMC()
	gens := []uint32{1}
	k := key(1, 7)
	c.Insert(k, 77, Ref{0, 1}, gens)
	for b.Loop() {
		c.Lookup(k, 77, gens)
	}
}
