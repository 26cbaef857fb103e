package netdev

import (
	"sync"
	"sync/atomic"
	"testing"

	"sluice/netdev/packet"
)

func newCache(t *testing.T) *packet.Cache {
	t.Helper()
	pool, err := packet.NewPool(1024)
	if err != nil {
		t.Fatal(err)
	}
	c := pool.NewCache(64)
	t.Cleanup(func() {
		c.Close()
		if got := pool.Available(); got != 1023 {
			t.Errorf("%d frames leaked", 1023-got)
		}
		_ = pool.Close()
	})
	return c
}

// offer sends n frames of a size past p at ms now and returns how many stay.
func offer(p *Policer, c *packet.Cache, now int64, n, size int) int {
	kept := 0
	for n > 0 {
		var b packet.Batch
		for range min(n, packet.BatchSize) {
			b.Add(c.New(make([]byte, size)))
		}
		n -= b.N
		p.Police(c, &b, now)
		kept += b.N
		c.FreeBatch(&b)
	}
	return kept
}

func TestPolicer(t *testing.T) {
	type step struct {
		now           int64
		n, size, want int
	}
	for name, s := range map[string]struct {
		cfg   Policing
		steps []step
	}{
		// 100 kbit of burst are 12800 bytes: 12 packets of 1000 bytes behind their
		// Ethernet header.  8000 kbit/s are 1000 bytes a millisecond.
		"bytes": {Policing{KbitRate: 8000, KbitBurst: 100}, []step{
			{1000, 20, 1014, 12}, {1000, 5, 1014, 0}, {1001, 5, 1014, 1}, {1004, 5, 1014, 3}, {1014, 20, 1014, 10}, {9000, 20, 1014, 12}}},
		"the first time does not matter": {Policing{KbitRate: 8000, KbitBurst: 100}, []step{{1 << 40, 20, 1014, 12}}},
		"time that goes back":            {Policing{KbitRate: 8000, KbitBurst: 100}, []step{{1000, 20, 1014, 12}, {900, 20, 1014, 0}, {1001, 20, 1014, 1}}},
		"short frames count as 60 bytes": {Policing{KbitRate: 8, KbitBurst: 6}, []step{{0, 20, 14, 12}}},
		"a packet above the burst":       {Policing{KbitRate: 8, KbitBurst: 8}, []step{{0, 1, 1400, 0}, {0, 2, 1014, 1}}},
		"usual burst":                    {Policing{KbitRate: 1}, []step{{0, 500, 4014, 256}}}, // 8000 × 128 bytes
		"packets":                        {Policing{KpktRate: 2, KpktBurst: 1}, []step{{0, 1500, 60, 1000}, {1, 10, 60, 2}, {501, 2000, 60, 1000}}},
		"usual burst of packets":         {Policing{KpktRate: 1}, []step{{0, 17000, 60, 16000}}},
		// A clock of milliseconds lets a rate of 1 Gbit/s have 125000 bytes at a time.
		"a high rate with a small burst": {Policing{KbitRate: 1000000, KbitBurst: 8}, []step{{0, 200, 1014, 125}, {1, 200, 1014, 125}}},
		"both: bytes":                    {Policing{KbitRate: 8000, KbitBurst: 100, KpktRate: 1, KpktBurst: 1}, []step{{0, 20, 1014, 12}}},
		"both: packets":                  {Policing{KbitRate: 8000, KpktRate: 1, KpktBurst: 1}, []step{{0, 1500, 60, 1000}}},
		"a long pause":                   {Policing{KbitRate: 4294967295, KbitBurst: 4294967295, KpktRate: 4294967295, KpktBurst: 4294967295}, []step{{0, 9, 1014, 9}, {1 << 60, 9, 1014, 9}}},
	} {
		t.Run(name, func(t *testing.T) {
			p, c := &Policer{}, newCache(t)
			p.Set(s.cfg)
			if !p.On() {
				t.Error("off")
			}
			dropped := uint64(0)
			for _, x := range s.steps {
				if got := offer(p, c, x.now, x.n, x.size); got != x.want {
					t.Errorf("at %d ms: %d of %d packets stay, want %d", x.now, got, x.n, x.want)
				}
				dropped += uint64(x.n - x.want)
			}
			if got := p.Dropped(); got != dropped {
				t.Errorf("%d packets counted as dropped, want %d", got, dropped)
			}
		})
	}
}

// The same configuration again does not fill the buckets, another one does, and none
// ends policing.
func TestPolicerSet(t *testing.T) {
	p, c := &Policer{}, newCache(t)
	cfg := Policing{KbitRate: 8000, KbitBurst: 100}
	for _, s := range []struct {
		cfg  Policing
		on   bool
		want int
	}{{cfg, true, 12}, {cfg, true, 0}, {Policing{KbitRate: 8000, KbitBurst: 200}, true, 20}, {Policing{KbitBurst: 100, KpktBurst: 7}, false, 20}} {
		p.Set(s.cfg)
		got := 20
		if p.On() {
			got = offer(p, c, 5, 20, 1014)
		}
		if p.On() != s.on || got != s.want {
			t.Errorf("%+v: on %v, %d packets stay, want %d", s.cfg, p.On(), got, s.want)
		}
	}
}

func TestPoliceAllocatesNothing(t *testing.T) {
	p, c := &Policer{}, newCache(t)
	p.Set(Policing{KbitRate: 8000, KbitBurst: 100, KpktRate: 1})
	data := make([]byte, 1014)
	now := int64(0)
	var b packet.Batch
	allocs := testing.AllocsPerRun(100, func() {
		for range packet.BatchSize {
			b.Add(c.New(data))
		}
		now += 10
		p.Police(c, &b, now)
		c.FreeBatch(&b)
	})
	if allocs != 0 || p.Dropped() == 0 {
		t.Errorf("%v allocations, %d packets dropped", allocs, p.Dropped())
	}
}

// TestPolicerThreads has threads share the buckets while the limits change: packets
// are neither lost from the count nor passed twice.
func TestPolicerThreads(t *testing.T) {
	pool, err := packet.NewPool(1024)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	p := &Policer{}
	const rounds, threads = 200, 3
	var passed atomic.Uint64
	var wg sync.WaitGroup
	for range threads {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := pool.NewCache(64)
			defer c.Close()
			for now := range int64(rounds) {
				passed.Add(uint64(offer(p, c, now, packet.BatchSize, 100)))
			}
		}()
	}
	for i := range uint32(rounds) {
		p.Set(Policing{KpktRate: 1 + i%2, KbitRate: i % 3})
	}
	wg.Wait()
	if got := passed.Load() + p.Dropped(); got != rounds*threads*packet.BatchSize {
		t.Errorf("%d packets passed or dropped, want %d", got, rounds*threads*packet.BatchSize)
	}
	if got := pool.Available(); got != 1023 {
		t.Errorf("%d frames leaked", 1023-got)
	}
}
