package dpcls

import (
	"testing"

	"pgregory.net/rapid"

	"sluice/dpif/flow"
)

func mini(f *flow.Flow) *flow.Mini {
	var k flow.Mini
	k.Set(f)
	return &k
}

// The classifier answers like a list of (key, mask) that is searched one by one.
func TestAgainstList(t *testing.T) {
	type entry struct {
		key  flow.Flow
		mask flow.Mask
	}
	masks := []flow.Mask{
		{InPort: ^uint32(0)},
		{InPort: ^uint32(0), DLType: 0xffff},
		{InPort: ^uint32(0), DLType: 0xffff, NwSrc: 0xffffff00},
		{InPort: ^uint32(0), TpDst: 0xfff0},
	}
	rapid.Check(t, func(t *rapid.T) {
		var c Classifier
		live := map[uint32]entry{}
		draw := func() (f flow.Flow) {
			f.InPort = 1
			f.DLType = rapid.Uint16Range(1, 3).Draw(t, "type")
			f.NwSrc = rapid.Uint32Range(0, 600).Draw(t, "src")
			f.TpDst = rapid.Uint16Range(0, 40).Draw(t, "port")
			return f
		}
		for id := range uint32(rapid.IntRange(1, 150).Draw(t, "steps")) {
			e := entry{draw(), rapid.SampledFrom(masks).Draw(t, "mask")}
			if rapid.Bool().Draw(t, "insert") {
				for old, o := range live {
					if o.mask == e.mask && Match(mini(&e.key), &o.key, &o.mask) {
						delete(live, old)
					}
				}
				live[id] = e
				c.Insert(&e.key, &e.mask, id)
			} else {
				for old, o := range live {
					if o.mask == e.mask && Match(mini(&e.key), &o.key, &o.mask) {
						delete(live, old)
						if !c.Remove(&e.key, &e.mask) {
							t.Fatal("an entry is missing")
						}
					}
				}
			}
			if rapid.Bool().Draw(t, "optimize") {
				c.Optimize()
			}
			f := draw()
			got, _, ok := c.Lookup(mini(&f))
			want := false
			for _, o := range live {
				want = want || Match(mini(&f), &o.key, &o.mask)
			}
			if ok != want {
				t.Fatalf("found %t, want %t", ok, want)
			}
			if o, there := live[got]; ok && (!there || !Match(mini(&f), &o.key, &o.mask)) {
				t.Fatalf("entry %d does not match", got)
			}
			if c.Len() != len(live) {
				t.Fatalf("%d entries, want %d", c.Len(), len(live))
			}
		}
	})
}

func TestOptimizeRanksByHits(t *testing.T) {
	var c Classifier
	a, b := flow.Flow{DLType: 1}, flow.Flow{NwSrc: 1}
	c.Insert(&a, &flow.Mask{DLType: 0xffff}, 1)
	c.Insert(&b, &flow.Mask{NwSrc: 1}, 2)
	if _, tried, _ := c.Lookup(mini(&b)); tried != 2 {
		t.Errorf("looked at %d subtables", tried)
	}
	if !c.Optimize() {
		t.Error("order is the same")
	}
	if _, tried, _ := c.Lookup(mini(&b)); tried != 1 {
		t.Errorf("looked at %d subtables after ranking", tried)
	}
}

func BenchmarkLookup(b *testing.B) {
	var c Classifier
	mask := flow.Mask{InPort: ^uint32(0), DLType: 0xffff, NwDst: 0xffffff00, NwFrag: 3, RecircID: ^uint32(0)}
	var f flow.Flow
	for i := range uint32(1000) {
		f = flow.Flow{InPort: 1, DLType: flow.EthIPv4, NwDst: i << 8, NwSrc: 5, TpSrc: 6, TpDst: 7, NwProto: 6, DLSrc: flow.MAC{1}}
		c.Insert(&f, &mask, i)
	}
	k := mini(&f)
	for b.Loop() {
		c.Lookup(k)
	}
}
