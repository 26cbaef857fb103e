package classifier

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"sluice/dpif/flow"
)

// pool draws packets and rules from few values, so that rules overlap a lot.
type pool struct{ *rand.Rand }

func (p pool) flow() flow.Flow {
	f := flow.Flow{InPort: uint32(p.IntN(3)), DLType: flow.EthIPv4, NwProto: []uint8{6, 17}[p.IntN(2)]}
	f.Regs[0] = uint32(p.IntN(3))
	f.DLDst = flow.MAC{0, 0, 0, 0, 0, byte(p.IntN(3))}
	f.NwSrc = 0x0a000000 | uint32(p.IntN(4))<<16 | uint32(p.IntN(4))
	f.NwDst = 0xc0a80000 | uint32(p.IntN(4))<<8 | uint32(p.IntN(8))
	f.TpSrc = uint16(p.IntN(4)) << 12
	f.TpDst = uint16(p.IntN(300))
	return f
}

func (p pool) rule() *Rule {
	f := p.flow()
	var m flow.Mask
	m.DLType = 0xffff
	if p.IntN(4) == 0 {
		m.InPort = ^uint32(0)
	}
	if p.IntN(5) == 0 {
		m.Regs[0] = ^uint32(0)
	}
	if p.IntN(4) == 0 {
		m.DLDst = flow.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	if p.IntN(2) == 0 {
		m.NwSrc = ^uint32(0) << p.IntN(20)
	}
	if p.IntN(2) == 0 {
		m.NwDst = ^uint32(0) << p.IntN(20)
	}
	if p.IntN(3) == 0 {
		m.NwProto = 0xff
		m.TpDst = ^uint16(0) << p.IntN(8)
		if p.IntN(2) == 0 {
			m.TpSrc = 0xffff
		}
	}
	r := &Rule{}
	r.Init(&f, &m, p.IntN(8))
	return r
}

// best finds the answer the slow way.
func best(rules []*Rule, v uint64, f *flow.Flow) int {
	pri := -1
	for _, r := range rules {
		if r.VisibleIn(v) && r.matches(r.mask, f.Words()) {
			pri = max(pri, r.Priority())
		}
	}
	return pri
}

func priority(r *Rule) int {
	if r == nil {
		return -1
	}
	return r.Priority()
}

func TestLookupAgainstLinear(t *testing.T) {
	for seed := uint64(1); seed <= 30; seed++ {
		p := pool{rand.New(rand.NewPCG(seed, 1))}
		c := New([]Prefix{PrefixNwDst, PrefixNwSrc})
		var rules []*Rule
		for v := uint64(1); v < 120; v++ {
			if r := p.rule(); c.Exact(r, v) == nil {
				c.Insert(r, v, nil)
				rules = append(rules, r)
			}
			if p.IntN(3) == 0 {
				i := p.IntN(len(rules))
				if !rules[i].ToBeRemoved() {
					rules[i].RemoveIn(v)
				} else if p.IntN(2) == 0 {
					c.Remove(rules[i])
					rules = append(rules[:i], rules[i+1:]...)
				}
			}
			if v == 60 {
				c.SetPrefixes([]Prefix{PrefixNwSrc})
			}
			for range 10 {
				f := p.flow()
				var wc flow.Mask
				want := best(rules, v, &f)
				if got := priority(c.Lookup(v, &f, &wc)); got != want {
					t.Fatalf("seed %d version %d: priority %d, want %d", seed, v, got, want)
				}
				if got := priority(c.Lookup(v, &f, nil)); got != want {
					t.Fatalf("seed %d version %d: without mask: priority %d, want %d", seed, v, got, want)
				}
				checkMask(t, p, c, rules, v, &f, &wc, want)
			}
		}
		if c.Len() != len(rules) {
			t.Fatalf("Len %d, want %d", c.Len(), len(rules))
		}
		for _, r := range rules {
			c.Remove(r)
		}
		if c.Len() != 0 || len(c.current()) != 0 || len(c.byMask) != 0 {
			t.Fatal("not empty at the end")
		}
	}
}

// checkMask checks that packets that agree with f in wc have the same answer.
func checkMask(t *testing.T, p pool, c *Classifier, rules []*Rule, v uint64, f *flow.Flow, wc *flow.Mask, want int) {
	t.Helper()
	for range 10 {
		g := p.flow()
		gw, fw, mw := g.Words(), f.Words(), wc.Words()
		for i := range gw {
			gw[i] = gw[i]&^mw[i] | fw[i]&mw[i]
		}
		if got := best(rules, v, &g); got != want {
			t.Fatalf("packets that agree in the mask differ: %d and %d", want, got)
		}
	}
}

func TestPrefixTrie(t *testing.T) {
	p := rand.New(rand.NewPCG(7, 7))
	var tr trie
	type pfx struct {
		v bits128
		n int
	}
	var all []pfx
	for range 2000 {
		if len(all) > 0 && p.IntN(3) == 0 {
			i := p.IntN(len(all))
			tr.remove(all[i].v, all[i].n)
			all = append(all[:i], all[i+1:]...)
		} else {
			x := pfx{bits128{p.Uint64() & p.Uint64() & p.Uint64(), p.Uint64()}, 1 + p.IntN(128)}
			tr.insert(x.v, x.n)
			all = append(all, x)
		}
		v := bits128{p.Uint64() & p.Uint64() & p.Uint64(), p.Uint64()}
		var plens, want bits128
		n := tr.lookup(v, 128, &plens)
		for _, x := range all {
			if v.common(x.v) >= x.n {
				b := prefix128(x.n)
				c := prefix128(x.n - 1)
				want = want.or(bits128{b.hi &^ c.hi, b.lo &^ c.lo})
			} else if v.common(x.v) >= n {
				t.Fatalf("%d bits do not tell %x from %x/%d", n, v, x.v, x.n)
			}
		}
		if plens != want {
			t.Fatalf("prefix lengths %x, want %x", plens, want)
		}
	}
	for _, x := range all {
		tr.remove(x.v, x.n)
	}
	if tr.root.Load() != nil {
		t.Fatal("nodes are left")
	}
}

func TestConjunction(t *testing.T) {
	c := New(nil)
	add := func(pri int, conj []Conjunction, set func(f *flow.Flow, m *flow.Mask)) *Rule {
		var f flow.Flow
		var m flow.Mask
		set(&f, &m)
		r := &Rule{}
		r.Init(&f, &m, pri)
		c.Insert(r, 1, conj)
		return r
	}
	src := func(a uint32) func(*flow.Flow, *flow.Mask) {
		return func(f *flow.Flow, m *flow.Mask) { f.NwSrc, m.NwSrc = a, ^uint32(0) }
	}
	dst := func(a uint32) func(*flow.Flow, *flow.Mask) {
		return func(f *flow.Flow, m *flow.Mask) { f.NwDst, m.NwDst = a, ^uint32(0) }
	}
	add(100, []Conjunction{{ID: 1, Clause: 0, NClauses: 2}}, src(1))
	add(100, []Conjunction{{ID: 1, Clause: 0, NClauses: 2}}, src(2))
	add(100, []Conjunction{{ID: 1, Clause: 1, NClauses: 2}}, dst(3))
	hit := add(100, nil, func(f *flow.Flow, m *flow.Mask) { f.ConjID, m.ConjID = 1, ^uint32(0) })
	low := add(50, nil, src(1))
	any := add(0, nil, func(*flow.Flow, *flow.Mask) {})
	for _, tc := range []struct {
		src, dst uint32
		want     *Rule
	}{{1, 3, hit}, {2, 3, hit}, {1, 4, low}, {2, 4, any}, {5, 3, any}} {
		f := flow.Flow{NwSrc: tc.src, NwDst: tc.dst}
		var wc flow.Mask
		if got := c.Lookup(1, &f, &wc); got != tc.want {
			t.Errorf("%d→%d: %v, want %v", tc.src, tc.dst, priority(got), priority(tc.want))
		}
		if f.ConjID != 0 {
			t.Error("conj_id was not restored")
		}
	}
}

func TestDumpOrder(t *testing.T) {
	c := New(nil)
	add := func(pri int, port uint32, exact bool) {
		f, m := flow.Flow{InPort: port}, flow.Mask{InPort: ^uint32(0)}
		if exact {
			m.DLType = 0xffff
		}
		r := &Rule{}
		r.Init(&f, &m, pri)
		c.Insert(r, 1, nil)
	}
	add(5, 1, false)
	add(9, 2, true)
	add(3, 3, false)
	add(1, 4, true)
	var got string
	for _, r := range c.Collect(nil, nil, 1) {
		got += fmt.Sprint(r.Priority(), " ")
	}
	if got != "9 1 5 3 " {
		t.Errorf("order %q", got)
	}
}

func TestLookupAllocates(t *testing.T) {
	p := pool{rand.New(rand.NewPCG(3, 3))}
	c := New(DefaultPrefixes)
	for range 200 {
		if r := p.rule(); c.Exact(r, 1) == nil {
			c.Insert(r, 1, nil)
		}
	}
	f := p.flow()
	var wc flow.Mask
	if n := testing.AllocsPerRun(100, func() { c.Lookup(1, &f, &wc) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestConcurrentReaders checks (with -race above all) that lookups go on while rules
// come and go, and always see their version complete.
func TestConcurrentReaders(t *testing.T) {
	c := New(DefaultPrefixes)
	fixed := &Rule{}
	fixed.Init(&flow.Flow{DLType: flow.EthIPv4}, &flow.Mask{DLType: 0xffff}, 100)
	c.Insert(fixed, 1, nil)
	stop := make(chan struct{})
	done := make(chan string, 2)
	for i := range 2 {
		go func() {
			p := pool{rand.New(rand.NewPCG(uint64(i), 9))}
			for {
				select {
				case <-stop:
					done <- ""
					return
				default:
				}
				f := p.flow()
				var wc flow.Mask
				if c.Lookup(1, &f, &wc) != fixed {
					done <- "a rule was missed"
					return
				}
			}
		}()
	}
	p := pool{rand.New(rand.NewPCG(5, 5))}
	var rules []*Rule
	for range 5000 {
		if len(rules) > 100 {
			c.Remove(rules[0])
			rules = rules[1:]
		}
		if r := p.rule(); c.Exact(r, 2) == nil {
			c.Insert(r, 2, nil)
			rules = append(rules, r)
		}
	}
	close(stop)
	for range 2 {
		if s := <-done; s != "" {
			t.Error(s)
		}
	}
}

func BenchmarkInsert(b *testing.B) {
	c := New(DefaultPrefixes)
	m := flow.Mask{DLType: 0xffff, NwSrc: ^uint32(0), NwDst: ^uint32(0)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f := flow.Flow{DLType: flow.EthIPv4, NwSrc: uint32(i), NwDst: uint32(i * 7)}
		r := &Rule{}
		r.Init(&f, &m, 1)
		c.Insert(r, 1, nil)
	}
}

func BenchmarkLookup(b *testing.B) {
	p := pool{rand.New(rand.NewPCG(3, 3))}
	c := New(DefaultPrefixes)
	for range 1000 {
		if r := p.rule(); c.Exact(r, 1) == nil {
			c.Insert(r, 1, nil)
		}
	}
	f := p.flow()
	b.Run("wc", func(b *testing.B) {
		var wc flow.Mask
		for b.Loop() {
			c.Lookup(1, &f, &wc)
		}
	})
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			c.Lookup(1, &f, nil)
		}
	})
}
