package vhostuser

import (
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Flags of descriptors (Virtio 1.2, sections 2.7.5 and 2.8.13).
const (
	descNext     = 1 << 0
	descWrite    = 1 << 1
	descIndirect = 1 << 2
	descAvail    = 1 << 7  // packed
	descUsed     = 1 << 15 // packed
)

// Suppression flags.
const (
	noInterrupt = 1 // split: avail flags
	noNotify    = 1 // split: used flags
	eventEnable = 0 // packed: flags of an event structure
	eventNone   = 1
	eventDesc   = 2
)

// maxSegs bounds the buffers of one chain.
const maxSegs = 256

// seg is one buffer of a chain, by guest physical address.
type seg struct {
	addr uint64
	len  uint32
}

// chain is a chain of descriptors that the guest made available: the readable buffers
// or the writable ones.
type chain struct {
	id    uint16 // what goes into the used ring
	n     uint16 // ring entries it takes (packed)
	write bool   // its buffers are for the device to write
	segs  []seg
	total uint64 // bytes in all
}

// ring is one virtqueue, split or packed.
//
// Thread-safety: mu guards all of it.  The polling thread holds it for a batch, the
// session while it changes the configuration.
type ring struct {
	mu sync.Mutex

	// What the front end configures.
	size       uint16
	addr       vringAddr
	hasAddr    bool
	kick, call int // eventfds, -1: none
	enabled    bool
	ep         int // epoll descriptor of the queue that polls the ring, -1: none

	// live is running for those who do not hold mu.
	live atomic.Bool

	// What follows from it while the ring runs.
	running             bool
	mem                 *memory
	packed              bool
	eventIdx            bool
	desc, avail, used   []byte // packed: descriptors, driver event, device event
	lastAvail, lastUsed uint16
	availWrap, usedWrap bool   // packed: wrap counters
	signalled           uint16 // used index at the last interrupt
	signalledOK         bool
	armed               bool // the guest shall kick
	pendingUsed         int  // entries put and not yet published (split)
	pendingHead         int  // packed: index of the first unpublished entry, -1: none
	pendingFlags        uint16
}

func (r *ring) init() {
	r.kick, r.call, r.ep, r.pendingHead = -1, -1, -1, -1
	r.availWrap, r.usedWrap = true, true
}

// start begins to run the ring if it has all it needs; an error says what is wrong
// with what the front end configured.
func (r *ring) start(mem *memory, features uint64) error {
	if r.running || mem == nil || r.size == 0 || !r.hasAddr || r.kick < 0 || !r.enabled {
		return nil
	}
	r.packed = features&featPacked != 0
	r.eventIdx = features&featEventIdx != 0
	n := uint64(r.size)
	descLen, availLen, usedLen := 16*n, 2*n+6, 8*n+6
	if r.packed {
		availLen, usedLen = 4, 4
	}
	r.desc = mem.user(r.addr.desc, descLen)
	r.avail = mem.user(r.addr.avail, availLen)
	r.used = mem.user(r.addr.used, usedLen)
	if r.desc == nil || r.avail == nil || r.used == nil {
		return violation("ring at %#x, %#x, %#x is outside of memory", r.addr.desc, r.addr.avail, r.addr.used)
	}
	if r.addr.desc%16 != 0 || r.addr.avail%2 != 0 || r.addr.used%4 != 0 {
		return violation("ring at %#x, %#x, %#x is misaligned", r.addr.desc, r.addr.avail, r.addr.used)
	}
	r.mem = mem
	r.signalledOK = false
	r.pendingUsed, r.pendingHead = 0, -1
	// The guest kicks until the polling thread has seen its first packet.
	r.armed = false
	if err := r.guarded(func() { r.arm(true) }); err != nil {
		r.mem = nil
		return err
	}
	r.running = true
	r.live.Store(true)
	return nil
}

// guarded runs fn, which touches guest memory.
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

// guardedEmpty is empty for callers that are not prepared for faults; a ring whose
// memory is gone counts as not empty, so that the next receive finds out.
func (r *ring) guardedEmpty() bool {
	empty := false
	if err := r.guarded(func() { empty = r.empty() }); err != nil {
		return false
	}
	return empty
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

// next takes the next available chain; ok is false when there is none.
func (r *ring) next(c *chain) (ok bool, err error) {
	c.segs, c.total = c.segs[:0], 0
	if r.packed {
		return r.nextPacked(c)
	}
	idx := load16(r.avail, 2)
	waiting := idx - r.lastAvail
	if waiting == 0 {
		return false, nil
	}
	if waiting > r.size {
		return false, violation("avail index jumps to %d from %d in a ring of %d", idx, r.lastAvail, r.size)
	}
	head := get16(r.avail, 4+2*int(r.lastAvail%r.size))
	if head >= r.size {
		return false, violation("descriptor %d in a ring of %d", head, r.size)
	}
	c.id = head
	if err := r.walk(c, r.desc, head, r.size); err != nil {
		return false, err
	}
	r.lastAvail++
	return true, nil
}

// walk follows a chain in a table of n descriptors: addr(64) len(32) flags(16)
// next(16).
func (r *ring) walk(c *chain, table []byte, i, n uint16) error {
	first := true
	for steps := uint16(0); ; steps++ {
		if steps >= n || i >= n {
			return violation("descriptor chain loops or leaves its table")
		}
		off := 16 * int(i)
		addr, length, flags, next := get64(table, off), get32(table, off+8), get16(table, off+12), get16(table, off+14)
		if flags&descIndirect != 0 {
			if !first || flags&descNext != 0 {
				return violation("indirect descriptor inside a chain")
			}
			return r.indirect(c, addr, length)
		}
		if err := c.add(addr, length, flags, first); err != nil {
			return err
		}
		first = false
		if flags&descNext == 0 {
			return nil
		}
		i = next
	}
}

// indirect walks a table of descriptors in guest memory.
func (r *ring) indirect(c *chain, addr uint64, length uint32) error {
	n := length / 16
	if length%16 != 0 || n == 0 || n > maxSegs {
		return violation("indirect table of %d bytes", length)
	}
	table := r.mem.at(addr)
	if uint64(len(table)) < uint64(length) {
		return violation("indirect table at %#x is outside of memory", addr)
	}
	if !r.packed {
		return r.walk2(c, table, uint16(n))
	}
	for i := range int(n) {
		if err := c.add(get64(table, 16*i), get32(table, 16*i+8), get16(table, 16*i+14), i == 0); err != nil {
			return err
		}
	}
	return nil
}

// walk2 is walk in an indirect table, which must not have another one inside.
func (r *ring) walk2(c *chain, table []byte, n uint16) error {
	i := uint16(0)
	for steps := uint16(0); ; steps++ {
		if steps >= n || i >= n {
			return violation("indirect chain loops or leaves its table")
		}
		off := 16 * int(i)
		addr, length, flags, next := get64(table, off), get32(table, off+8), get16(table, off+12), get16(table, off+14)
		if flags&descIndirect != 0 {
			return violation("indirect table inside another")
		}
		if err := c.add(addr, length, flags, steps == 0); err != nil {
			return err
		}
		if flags&descNext == 0 {
			return nil
		}
		i = next
	}
}

// add appends a buffer.  Readable buffers that follow writable ones are against the
// specification; a device that reads takes a chain up to the first writable one, and
// network queues have one kind only.
func (c *chain) add(addr uint64, length uint32, flags uint16, first bool) error {
	write := flags&descWrite != 0
	if first {
		c.write = write
	} else if c.write != write {
		return violation("readable and writable buffers in one chain")
	}
	if len(c.segs) == maxSegs {
		return violation("more than %d buffers in a chain", maxSegs)
	}
	c.segs = append(c.segs, seg{addr, length})
	c.total += uint64(length)
	return nil
}

// nextPacked takes the next chain of a packed ring: addr(64) len(32) id(16) flags(16),
// its descriptors in a row.
func (r *ring) nextPacked(c *chain) (bool, error) {
	i, wrap := r.lastAvail, r.availWrap
	flags := load16(r.desc, 16*int(i)+14)
	if (flags&descAvail != 0) != wrap || (flags&descUsed != 0) == wrap {
		return false, nil
	}
	c.n = 0
	for first := true; ; first = false {
		if c.n >= r.size {
			return false, violation("packed chain longer than its ring")
		}
		off := 16 * int(i)
		addr, length, id := get64(r.desc, off), get32(r.desc, off+8), get16(r.desc, off+12)
		if !first {
			flags = get16(r.desc, off+14)
		}
		c.id = id
		c.n++
		if i++; i == r.size {
			i, wrap = 0, !wrap
		}
		if flags&descIndirect != 0 {
			if !first || flags&descNext != 0 {
				return false, violation("indirect descriptor inside a chain")
			}
			if err := r.indirect(c, addr, length); err != nil {
				return false, err
			}
			break
		}
		if err := c.add(addr, length, flags, first); err != nil {
			return false, err
		}
		if flags&descNext == 0 {
			break
		}
	}
	r.lastAvail, r.availWrap = i, wrap
	return true, nil
}

// mark and rewind give back chains that were taken last.
type mark struct {
	avail uint16
	wrap  bool
}

func (r *ring) mark() mark    { return mark{r.lastAvail, r.availWrap} }
func (r *ring) rewind(m mark) { r.lastAvail, r.availWrap = m.avail, m.wrap }

// put returns a chain to the guest with the number of bytes written into it; the guest
// sees it after publish.
func (r *ring) put(c *chain, written uint32) {
	if r.packed {
		r.putPacked(c, written)
		return
	}
	off := 4 + 8*int((r.lastUsed+uint16(r.pendingUsed))%r.size)
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
		r.pendingUsed, r.pendingHead = 0, -1
	} else {
		r.lastUsed += uint16(r.pendingUsed)
		store16(r.used, 2, r.lastUsed)
		r.pendingUsed = 0
	}
	barrier() // the used index is visible before the guest's wish is read
	if r.wantsInterrupt() {
		signal(r.call)
	}
}

// wantsInterrupt reads the guest's suppression (sections 2.7.7 and 2.8.14).
func (r *ring) wantsInterrupt() bool {
	if r.call < 0 {
		return false
	}
	old, valid := r.signalled, r.signalledOK
	r.signalled, r.signalledOK = r.lastUsed, true
	if r.packed {
		switch flags := get16(r.avail, 2); {
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

// empty says whether nothing is available.
func (r *ring) empty() bool {
	if !r.packed {
		return load16(r.avail, 2) == r.lastAvail
	}
	flags := load16(r.desc, 16*int(r.lastAvail)+14)
	return (flags&descAvail != 0) != r.availWrap || (flags&descUsed != 0) == r.availWrap
}

// signal writes an eventfd; a full one has been signalled enough.
func signal(fd int) {
	one := [8]byte{1}
	for {
		if _, err := unix.Write(fd, one[:]); err != unix.EINTR {
			return
		}
	}
}

// drain empties an eventfd.
func drain(fd int) {
	var b [8]byte
	for {
		if _, err := unix.Read(fd, b[:]); err != unix.EINTR {
			return
		}
	}
}
