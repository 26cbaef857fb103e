package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// gcHeadroom is how much, in bytes, is allocated between two garbage
// collections at least.
const gcHeadroom = 32 << 20

// tuneGC makes garbage collections of small heaps rare. Go's default collects
// whenever the heap has doubled: right for a large database, but a server with
// a few megabytes would collect dozens of times a second under load, the more
// noticeably the more connections it has. A user's GOGC is respected.
func tuneGC() {
	if os.Getenv("GOGC") != "" {
		return
	}
	percent := 100
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	// The finalizer of an object that nobody refers to runs after every
	// collection.
	type sentinel struct{ _ [16]byte }
	var again func(*sentinel)
	again = func(*sentinel) {
		metrics.Read(sample)
		if p := gcPercent(sample[0].Value.Uint64()); p > percent*5/4 || p < percent*4/5 {
			percent = p
			debug.SetGCPercent(p) // which stops the world for a moment
		}
		runtime.SetFinalizer(&sentinel{}, again)
	}
	again(nil)
}

// gcPercent is by how many percent a heap with so many live bytes may grow. The
// runtime takes heaps of less than 4 MiB for as large.
func gcPercent(live uint64) int {
	return int(max(100, gcHeadroom*100/max(live, 4<<20)))
}
