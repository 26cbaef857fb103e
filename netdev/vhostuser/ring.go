package vhostuser

import (
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/netdev/packet"
)

// Suppression flags.
const (
	noInterrupt = 1 // split: avail flags
	noNotify    = 1 // split: used flags
	eventEnable = 0 // packed: flags of an event structure
	eventNone   = 1
	eventDesc   = 2
)

// ring is one virtqueue, split or packed.
//
// Thread-safety: mu guards all of it.  The polling thread holds it for a batch, the
// session while it changes the configuration.  Order: no other lock is taken while it
// is held.
type ring struct {
	mu sync.Mutex

	// What the front end configures.
	size       uint16
	addr       vringAddr
	hasAddr    bool
	kick, call int  // eventfds, -1: none
	ownKick    bool // kick is not the front end's: it wants to be polled
	enabled    bool
	ep         int // epoll descriptor of the queue that polls the ring, -1: none

	// live is running for those who do not hold mu.
	live atomic.Bool

	// What follows from it while the ring runs.
	running             bool
	mem                 *memory
	features            uint64
	packed              bool
	eventIdx            bool
	hdrLen              int    // bytes of the virtio-net header
	desc, avail, used   []byte // packed: descriptors, driver event, device event
	lastAvail, lastUsed uint16
	seen                uint16 // split: the guest's avail index when last looked at
	availWrap, usedWrap bool   // packed: wrap counters
	signalled           uint16 // used index at the last interrupt
	signalledOK         bool
	armed               bool // the guest shall kick
	pendingUsed         int  // entries put and not yet published
	pendingHead         int  // packed: offset of the first unpublished entry, -1: none
	pendingFlags        uint16

	taking packet.Index // packet being copied out of guest memory
	stats  ringStats
}

func newRing() *ring {
	r := &ring{kick: -1, call: -1, ep: -1}
	r.reset()
	return r
}

// reset forgets the ring's position.
func (r *ring) reset() {
	r.size, r.hasAddr, r.enabled = 0, false, false
	r.lastAvail, r.lastUsed, r.availWrap, r.usedWrap = 0, 0, true, true
}

// start begins to run the ring if it has all it needs; an error says what is wrong
// with what the front end configured.  The ring that the switch polls (ep) has the
// guest kick until the polling thread saw its first packet; the other one is never
// kicked: whether there is room is looked at with every packet.
func (r *ring) start(mem *memory, features uint64, enabled bool) error {
	if r.running || mem == nil || r.size == 0 || !r.hasAddr || r.kick < 0 || !enabled {
		return nil
	}
	r.features = features
	r.packed = features&featPacked != 0
	r.eventIdx = features&featEventIdx != 0
	r.hdrLen = 10
	if features&(featMrgRxbuf|featVersion1) != 0 {
		r.hdrLen = 12
	}
	if err := r.locate(mem); err != nil {
		return err
	}
	r.mem = mem
	r.signalledOK = false
	r.pendingUsed, r.pendingHead = 0, -1
	err := r.guarded(func() {
		r.resume()
		polled := r.ep >= 0
		r.armed = !polled
		r.arm(polled)
	})
	r.seen = r.lastAvail
	if err != nil {
		r.mem = nil
		return err
	}
	r.running = true
	r.live.Store(true)
	return nil
}

// locate finds the parts of the ring in memory.
func (r *ring) locate(mem *memory) error {
	n := uint64(r.size)
	descLen, availLen, usedLen := 16*n, 2*n+6, 8*n+6
	switch {
	case r.packed:
		availLen, usedLen = 4, 4
		if r.lastAvail >= r.size || r.lastUsed >= r.size {
			return violation("ring of %d begins at %d and %d", r.size, r.lastAvail, r.lastUsed)
		}
	case r.size&(r.size-1) != 0:
		return violation("split ring of %d entries", r.size)
	}
	a := &r.addr
	if a.desc%16 != 0 || a.avail%2 != 0 || a.used%4 != 0 || r.packed && a.avail%4 != 0 {
		return violation("ring at %#x, %#x, %#x is misaligned", a.desc, a.avail, a.used)
	}
	r.desc, r.avail, r.used = mem.user(a.desc, descLen), mem.user(a.avail, availLen), mem.user(a.used, usedLen)
	if r.desc == nil || r.avail == nil || r.used == nil {
		return violation("ring at %#x, %#x, %#x is outside of memory", a.desc, a.avail, a.used)
	}
	return nil
}

// resume goes on where an earlier switch stopped that could not say so: it had used
// whatever it took.  (A packed ring has no index to see that by; front ends begin
// anew.)
func (r *ring) resume() {
	if used := load16(r.used, 2); !r.packed && used != r.lastUsed {
		log.Info("ring goes on at %d, not at %d", used, r.lastUsed)
		r.lastUsed, r.lastAvail = used, used
	}
}

// guarded runs fn, which touches guest memory.  That may vanish at any moment (its
// file is truncated): the fault becomes an error, which stops the port.
func (r *ring) guarded(fn func()) (err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if f := recover(); f != nil {
			err = fault(f)
		}
	}()
	fn()
	return nil
}

// fault makes an error of a panic over guest memory; others go on.
func fault(f any) error {
	if e, ok := f.(interface {
		error
		Addr() uintptr
	}); ok {
		return violation("guest memory at %#x is gone", e.Addr())
	}
	panic(f)
}

// stop ends the ring; what the guest made available stays so.
func (r *ring) stop() {
	r.running, r.mem = false, nil
	r.live.Store(false)
	r.desc, r.avail, r.used = nil, nil, nil
}

// base is the ring's position for GET_VRING_BASE; setBase takes one.  Packed rings
// have the wrap counter in bit 15 and the used position in the upper half, which may
// be missing.
func (r *ring) base(packed bool) uint32 {
	if !packed {
		return uint32(r.lastAvail)
	}
	pos := func(i uint16, wrap bool) uint32 {
		v := uint32(i)
		if wrap {
			v |= 1 << 15
		}
		return v
	}
	return pos(r.lastAvail, r.availWrap) | pos(r.lastUsed, r.usedWrap)<<16
}

func (r *ring) setBase(v uint32, packed bool) {
	if !packed {
		r.lastAvail, r.lastUsed = uint16(v), uint16(v)
		return
	}
	r.lastAvail, r.availWrap = uint16(v)&0x7fff, v&(1<<15) != 0
	r.lastUsed, r.usedWrap = r.lastAvail, r.availWrap
	if v>>16 != 0 {
		r.lastUsed, r.usedWrap = uint16(v>>16)&0x7fff, v>>31 != 0
	}
}

// put returns a chain to the guest with the number of bytes written into it; the guest
// sees it after publish.
func (r *ring) put(c *chain, written uint32) {
	if r.packed {
		r.putPacked(c, written)
		return
	}
	off := 4 + 8*int((r.lastUsed+uint16(r.pendingUsed))&(r.size-1))
	put32(r.used, off, uint32(c.id))
	put32(r.used, off+4, written)
	r.pendingUsed++
}

// putPacked writes a used descriptor.  The flags of the first one of a batch are
// written last, by publish, so that the guest sees all or nothing.
func (r *ring) putPacked(c *chain, written uint32) {
	off := 16 * int(r.lastUsed)
	put32(r.desc, off+8, written)
	put16(r.desc, off+12, c.id)
	var flags uint16
	if c.write {
		flags = descWrite
	}
	if r.usedWrap {
		flags |= descAvail | descUsed
	}
	if r.pendingHead < 0 {
		r.pendingHead, r.pendingFlags = off, flags
	} else {
		put16(r.desc, off+14, flags)
	}
	r.pendingUsed++
	r.lastUsed += c.n
	if r.lastUsed >= r.size {
		r.lastUsed -= r.size
		r.usedWrap = !r.usedWrap
	}
}

// publish makes what was put visible and interrupts the guest if it wants that.
func (r *ring) publish() {
	if r.pendingUsed == 0 {
		return
	}
	if r.packed {
		store16(r.desc, r.pendingHead+14, r.pendingFlags)
		r.pendingHead = -1
	} else {
		r.lastUsed += uint16(r.pendingUsed)
		store16(r.used, 2, r.lastUsed)
	}
	r.pendingUsed = 0
	barrier() // the used index is visible before the guest's wish is read
	if r.wantsInterrupt() {
		signal(r.call)
	}
}

// wantsInterrupt reads the guest's suppression (sections 2.7.7 and 2.8.14).
func (r *ring) wantsInterrupt() bool {
	if r.call < 0 {
		r.signalledOK = false
		return false
	}
	old, valid := r.signalled, r.signalledOK
	r.signalled, r.signalledOK = r.lastUsed, true
	if r.packed {
		switch flags := get16(r.avail, 2) & 3; {
		case flags == eventNone:
			return false
		case flags == eventDesc && r.eventIdx && valid:
			return packedWants(get16(r.avail, 0), r.lastUsed, old, r.size, r.usedWrap)
		}
		return true
	}
	if !r.eventIdx {
		return get16(r.avail, 0)&noInterrupt == 0
	}
	event := get16(r.avail, 4+2*int(r.size))
	return !valid || r.lastUsed-event-1 < r.lastUsed-old
}

// packedWants says whether a used position moved over the one that the guest waits
// for: offset(15) wrap(1).
func packedWants(event, now, old, size uint16, wrap bool) bool {
	off := event & 0x7fff
	if (event>>15 != 0) != wrap {
		off -= size
	}
	if now <= old {
		old -= size
	}
	return now-off-1 < now-old
}

// arm asks the guest to kick, or not to.
func (r *ring) arm(on bool) {
	if r.armed == on {
		return
	}
	r.armed = on
	switch {
	case r.packed && on:
		store16(r.used, 2, eventEnable)
	case r.packed:
		store16(r.used, 2, eventNone)
	case r.eventIdx:
		// There is no way to say never: the index that was passed comes again after
		// 65536 packets.
		if on {
			store16(r.used, 4+8*int(r.size), r.lastAvail)
		}
	case on:
		store16(r.used, 0, 0)
	default:
		store16(r.used, 0, noNotify)
	}
	barrier() // what is available is looked at after this
}

// signal writes an eventfd; a full one has been signalled enough.
func signal(fd int) {
	for {
		if _, err := unix.Write(fd, eventOne[:]); err != unix.EINTR {
			return
		}
	}
}

var eventOne = [8]byte{1}

// drain empties the kick.
func (r *ring) drain() {
	if r.ownKick || r.kick < 0 {
		return
	}
	var b [8]byte
	for {
		if _, err := unix.Read(r.kick, b[:]); err != unix.EINTR {
			return
		}
	}
}
