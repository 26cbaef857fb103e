package vhostuser

import "sort"

// Flags of descriptors (Virtio 1.2, sections 2.7.5 and 2.8.13).
const (
	descNext     = 1 << 0
	descWrite    = 1 << 1
	descIndirect = 1 << 2
	descAvail    = 1 << 7  // packed
	descUsed     = 1 << 15 // packed
)

// maxSegs bounds the descriptors of one chain, and the pieces that they come in.
const maxSegs = 256

// chain is a chain of descriptors that the guest made available: the readable buffers
// or the writable ones.
type chain struct {
	id    uint16 // what goes into the used ring
	n     uint16 // ring entries it takes (packed)
	write bool   // its buffers are for the device to write
	segs  [][]byte
	descs int    // descriptors in all
	total uint64 // bytes in all
}

func newChain() chain { return chain{segs: make([][]byte, 0, maxSegs)} }

// next takes the next available chain; ok is false when there is none.
func (r *ring) next(c *chain) (ok bool, err error) {
	c.segs, c.descs, c.total = c.segs[:0], 0, 0
	if r.packed {
		return r.nextPacked(c)
	}
	if r.lastAvail == r.seen {
		idx := load16(r.avail, 2)
		if idx == r.lastAvail {
			return false, nil
		}
		if idx-r.lastAvail > r.size {
			return false, violation("avail index jumps to %d from %d in a ring of %d", idx, r.lastAvail, r.size)
		}
		r.seen = idx
	}
	head := get16(r.avail, 4+2*int(r.lastAvail&(r.size-1)))
	if head >= r.size {
		return false, violation("descriptor %d in a ring of %d", head, r.size)
	}
	c.id = head
	if err := r.walk(c, r.desc, head, r.size, false); err != nil {
		return false, err
	}
	r.lastAvail++
	return true, nil
}

// walk follows a chain in a table of n descriptors: addr(64) len(32) flags(16)
// next(16).  The table is the ring's or (inner) an indirect one.
func (r *ring) walk(c *chain, table []byte, i, n uint16, inner bool) error {
	for steps := uint16(0); ; steps++ {
		if steps >= n || i >= n {
			return violation("descriptor chain loops or leaves its table")
		}
		off := 16 * int(i)
		addr, length, flags, next := get64(table, off), get32(table, off+8), get16(table, off+12), get16(table, off+14)
		if flags&descIndirect != 0 {
			if steps != 0 || inner || flags&descNext != 0 {
				return violation("indirect descriptor inside a chain")
			}
			return r.indirect(c, addr, length)
		}
		if err := c.add(r.mem, addr, length, flags, steps == 0); err != nil {
			return err
		}
		if flags&descNext == 0 {
			return nil
		}
		i = next
	}
}

// indirect walks a table of descriptors in guest memory.  In a packed ring all of its
// entries belong to the chain, one after the other.
func (r *ring) indirect(c *chain, addr uint64, length uint32) error {
	n := length / 16
	if length%16 != 0 || n == 0 || n > maxRingSize {
		return violation("indirect table of %d bytes at %#x", length, addr)
	}
	table := r.mem.at(addr)
	if uint64(len(table)) < uint64(length) {
		return violation("indirect table at %#x is outside of memory", addr)
	}
	if !r.packed {
		return r.walk(c, table, 0, uint16(n), true)
	}
	for i := range int(n) {
		flags := get16(table, 16*i+14)
		if flags&descIndirect != 0 {
			return violation("indirect table inside another")
		}
		if err := c.add(r.mem, get64(table, 16*i), get32(table, 16*i+8), flags, i == 0); err != nil {
			return err
		}
	}
	return nil
}

// add appends a buffer, in pieces where it crosses regions.  Network queues have
// readable or writable buffers only.
func (c *chain) add(mem *memory, addr uint64, length uint32, flags uint16, first bool) error {
	write := flags&descWrite != 0
	if first {
		c.write = write
	} else if c.write != write {
		return violation("readable and writable buffers in one chain")
	}
	if c.descs++; c.descs > maxSegs {
		return violation("more than %d descriptors in a chain", maxSegs)
	}
	c.total += uint64(length)
	for length > 0 {
		b := mem.at(addr)
		if b == nil {
			return violation("buffer at %#x is outside of memory", addr)
		}
		if len(c.segs) == maxSegs {
			return violation("more than %d pieces in a chain", maxSegs)
		}
		n := min(uint64(len(b)), uint64(length))
		c.segs = append(c.segs, b[:n])
		addr += n
		length -= uint32(n)
	}
	return nil
}

// nextPacked takes the next chain of a packed ring: addr(64) len(32) id(16) flags(16),
// its descriptors in a row.  The flags of the first one make all of them valid.
func (r *ring) nextPacked(c *chain) (bool, error) {
	i, wrap := r.lastAvail, r.availWrap
	flags := load16(r.desc, 16*int(i)+14)
	if (flags&descAvail != 0) != wrap || (flags&descUsed != 0) == wrap {
		return false, nil
	}
	for c.n = 0; ; {
		if c.n >= r.size {
			return false, violation("packed chain longer than its ring")
		}
		first := c.n == 0
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
		if err := c.add(r.mem, addr, length, flags, first); err != nil {
			return false, err
		}
		if flags&descNext == 0 {
			break
		}
	}
	r.lastAvail, r.availWrap = i, wrap
	return true, nil
}

// empty says whether nothing is available.
func (r *ring) empty() bool {
	if !r.packed {
		return load16(r.avail, 2) == r.lastAvail
	}
	return !r.offered(0)
}

// offered says whether the descriptor i after the next one is the guest's to send.
func (r *ring) offered(i int) bool {
	at, wrap := int(r.lastAvail)+i, r.availWrap
	if at >= int(r.size) {
		at, wrap = at-int(r.size), !wrap
	}
	flags := load16(r.desc, 16*at+14)
	return (flags&descAvail != 0) == wrap && (flags&descUsed != 0) != wrap
}

// backlog is how many chains are available, in a packed ring how many descriptors: the
// guest offers them in order, so that they are found by halving.
func (r *ring) backlog() int {
	if !r.packed {
		return int(min(load16(r.avail, 2)-r.lastAvail, r.size))
	}
	return sort.Search(int(r.size), func(i int) bool { return !r.offered(i) })
}

// mark and rewind give back chains that were taken last.
type mark struct {
	avail uint16
	wrap  bool
}

func (r *ring) mark() mark    { return mark{r.lastAvail, r.availWrap} }
func (r *ring) rewind(m mark) { r.lastAvail, r.availWrap = m.avail, m.wrap }
