package vhostuser

import (
	"testing"

	"sluice/netdev"
	"sluice/netdev/packet"
)

// What a receive leaves behind is counted, wherever in the ring it lies.
func TestBacklog(t *testing.T) {
	for name, features := range layouts() {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			f.setup(features, 1, 64)
			queue := f.d.RxQueues()[0]
			backlog := queue.(netdev.Backlogger).Backlog
			for round := range 5 { // 40 at a time: packed rings wrap
				for range 40 {
					f.transmit(0, append(make([]byte, f.hdrLen()), frame(60, round)...), 500, false)
				}
				if got := backlog(); got != 40 {
					t.Fatalf("round %d: %d wait before a receive, want 40", round, got)
				}
				for _, want := range []int{40 - packet.BatchSize, 0} {
					batch := f.take(0)
					if got := backlog(); got != want {
						t.Fatalf("round %d: %d wait after %d packets, want %d", round, got, batch.N, want)
					}
					for _, i := range batch.Slice() {
						f.cache.Free(i)
					}
				}
				for range 40 {
					if _, ok := f.q[1].done(); !ok {
						t.Fatalf("round %d: a chain is not given back", round)
					}
				}
			}
		})
	}
}
