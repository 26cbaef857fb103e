package afxdp

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ring is one of the four rings of an AF_XDP socket: a power-of-two array and two
// free-running counters, shared with the kernel.  One side writes producer, the
// other consumer.
//
// Ours are kept in cached copies; the kernel's are read again only when the copy
// says that nothing is left.  The atomic store that publishes our counter also
// publishes the entries before it; the kernel's side does the same
// (smp_store_release and smp_load_acquire in net/xdp/xsk_queue.h).
type ring struct {
	producer *uint32 // shared: entries ever produced
	consumer *uint32 // shared: entries ever consumed
	flags    *uint32 // shared: XDP_RING_NEED_WAKEUP, of fill and tx rings
	size     uint32
	mask     uint32
	prod     uint32 // our copy of *producer, or the value to publish
	cons     uint32 // our copy of *consumer, or the value to publish
}

// room is how many entries of up to want we may produce.
func (r *ring) room(want uint32) uint32 {
	free := r.size - (r.prod - r.cons)
	if free < want {
		r.cons = atomic.LoadUint32(r.consumer)
		free = r.size - (r.prod - r.cons)
	}
	return min(free, want)
}

// publish hands what we produced to the kernel.
func (r *ring) publish() { atomic.StoreUint32(r.producer, r.prod) }

// ready is how many entries of up to want the kernel has produced for us.
func (r *ring) ready(want uint32) uint32 {
	n := r.prod - r.cons
	if n < want {
		r.prod = atomic.LoadUint32(r.producer)
		n = r.prod - r.cons
	}
	return min(n, want)
}

// release hands the entries that we consumed back to the kernel.
func (r *ring) release() { atomic.StoreUint32(r.consumer, r.cons) }

// unsent is how many of our entries the kernel has not taken yet.
func (r *ring) unsent() uint32 { return r.prod - atomic.LoadUint32(r.consumer) }

// wantsWakeup reports that the kernel sleeps until it is kicked.
func (r *ring) wantsWakeup() bool {
	return atomic.LoadUint32(r.flags)&unix.XDP_RING_NEED_WAKEUP != 0
}

// addrRing is a fill or completion ring: addresses of frames.
type addrRing struct {
	ring
	addrs []uint64
}

func (r *addrRing) push(addr uint64) {
	r.addrs[r.prod&r.mask] = addr
	r.prod++
}

func (r *addrRing) pop() uint64 {
	a := r.addrs[r.cons&r.mask]
	r.cons++
	return a
}

// descRing is a receive or transmit ring: frames with offset and length.
type descRing struct {
	ring
	descs []unix.XDPDesc
}

func (r *descRing) push(d unix.XDPDesc) {
	r.descs[r.prod&r.mask] = d
	r.prod++
}

// touch reads a byte of each of the next n packets.  Their headers are in the cache
// of the core that received them: reads that do not depend on each other wait for
// them together, where parsing one packet after the other would wait for each.
func (r *descRing) touch(n uint32, mem []byte) (sum byte) {
	for i := range n {
		if a := r.descs[(r.cons+i)&r.mask].Addr; a < uint64(len(mem)) {
			sum += mem[a]
		}
	}
	return sum
}

func (r *descRing) pop() unix.XDPDesc {
	d := r.descs[r.cons&r.mask]
	r.cons++
	return d
}
