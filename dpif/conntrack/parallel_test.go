package conntrack

import (
	"sync"
	"testing"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/netdev/packet"
)

// TestParallel lets threads open, answer, expire and flush the same connections with
// NAT; the table is consistent afterwards.
func TestParallel(t *testing.T) {
	b := newBench(t)
	var wg sync.WaitGroup
	nat := odp.CTArg{Commit: true, NAT: natTo(true, "10.9.9.1", "10.9.9.4", 1000, 1063)}
	back := odp.CTArg{NAT: &odp.NATArg{}}
	for worker := range 4 {
		wg.Go(func() {
			c := b.pool.NewCache(32)
			defer c.Close()
			var batch packet.Batch
			send := func(p pkt, arg *odp.CTArg, now int64) *packet.Meta {
				i := c.New(append([]byte{12: 8, 13: 0}, p.ip()...))
				var k flow.Mini
				flow.Extract(b.pool.Data(i), b.pool.Meta(i), b.pool.Cold(i), &k)
				batch.Reset()
				batch.Add(i)
				b.ct.Execute(c, &batch, arg, now)
				m := *b.pool.Meta(i)
				c.Free(i)
				return &m
			}
			for n := range 3000 {
				now := b.now + int64(n)*20
				p := udp(hostA, 2000+uint16((n*7+worker)%200), hostB, 7)
				if m := send(p, &nat, now); m.CTState&flow.CTTracked == 0 {
					t.Error("untracked")
				}
				send(udp(hostB, 7, "10.9.9.2", 1000+uint16(n%64)), &back, now)
				if n%500 == 499 {
					_ = b.ct.FlushConntrack(nil, nil, now)
				}
			}
		})
	}
	wg.Go(func() {
		c := b.pool.NewCache(32)
		defer c.Close()
		for n := range 60 {
			b.ct.Run(c, b.now+int64(n)*1000)
			b.ct.DumpConntrack(nil, b.now)
		}
	})
	wg.Wait()
	_ = b.ct.FlushConntrack(nil, nil, 0)
	if n, _ := b.ct.Conns(); n != 0 {
		t.Errorf("%d connections left", n)
	}
	for i := range b.ct.shards {
		if n := b.ct.shards[i].used; n != 0 {
			t.Errorf("shard %d: %d slots used", i, n)
		}
	}
}
