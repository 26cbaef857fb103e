package packet

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Pool is the memory of all packets: frames in one contiguous page-aligned
// mapping, which may be registered as UMEM, and their metadata in arrays beside
// it.  Memory is reserved at once and committed when first used; low frames are
// handed out before frames that nobody has used yet, so that a registration of a
// prefix of the mapping covers what is in use (see HighWater).
//
// Thread-safety: every method may be called from any thread; what a frame holds
// belongs to whoever holds its index.
type Pool struct {
	mem     []byte
	metas   []Meta
	colds   []Cold
	regions [][]byte // what to unmap

	mu   sync.Mutex
	free []Index       // stack of frames that were used before; guarded by mu
	next Index         // first frame never handed out; guarded by mu
	high atomic.Uint32 // next, for readers without mu
	end  Index         // frames from here on do not exist; guarded by mu
}

// NewPool reserves memory for maxFrames frames, frame 0 included.
func NewPool(maxFrames int) (*Pool, error) {
	p := &Pool{next: 1, end: Index(maxFrames)}
	p.high.Store(1)
	sizes := [...]int{maxFrames * FrameSize, maxFrames * metaSize, maxFrames * coldSize}
	for _, size := range sizes {
		m, err := reserve(size)
		if err != nil {
			_ = p.Close()
			return nil, err
		}
		p.regions = append(p.regions, m)
	}
	p.mem = p.regions[0]
	p.metas = asMetas(p.regions[1])
	p.colds = asColds(p.regions[2])
	return p, nil
}

// Close unmaps the pool's memory; nobody may hold a frame or a slice of it.
func (p *Pool) Close() error {
	var first error
	for _, m := range p.regions {
		if err := unix.Munmap(m); err != nil && first == nil {
			first = err
		}
	}
	p.regions, p.mem, p.metas, p.colds = nil, nil, nil, nil
	return first
}

// Mem is the memory of all frames; frame i is at i × FrameSize.
func (p *Pool) Mem() []byte { return p.mem }

// Meta is the metadata of frame i.
func (p *Pool) Meta(i Index) *Meta { return &p.metas[i] }

// Cold is the rarely used metadata of packet i; Meta.Cold says what is valid.
func (p *Pool) Cold(i Index) *Cold { return &p.colds[i] }

// Frame is the whole of frame i.
func (p *Pool) Frame(i Index) []byte {
	o := int(i) * FrameSize
	return p.mem[o : o+FrameSize : o+FrameSize]
}

// Data is what packet i has in its first frame (of the frame alone when i is a
// further one).
func (p *Pool) Data(i Index) []byte {
	m := &p.metas[i]
	o := int(i)*FrameSize + int(m.Data)
	return p.mem[o : o+int(m.SegLen) : (int(i)+1)*FrameSize]
}

// HighWater is the number of frames that were ever in use: a prefix of so many
// frames covers all packets.
func (p *Pool) HighWater() int { return int(p.high.Load()) }

// Available is the number of frames that can still be taken from the pool.
func (p *Pool) Available() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.free) + int(p.end-p.next)
}

// take moves up to len(dst) free frames to dst.
func (p *Pool) take(dst []Index) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(dst), len(p.free))
	copy(dst, p.free[len(p.free)-n:])
	p.free = p.free[:len(p.free)-n]
	for n < len(dst) && p.next < p.end {
		dst[n] = p.next
		p.next++
		n++
	}
	p.high.Store(uint32(p.next))
	return n
}

// give returns frames to the pool.
func (p *Pool) give(src []Index) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, src...)
}

// Cache is a thread's own magazine of free frames: it takes from the pool and
// gives back in bulk, so that the pool's lock is touched once for many packets.
//
// Thread-safety: none; one thread owns it.
type Cache struct {
	pool  *Pool
	stack []Index // free frames; cap is twice the bulk
	bulk  int
}

// NewCache makes a magazine that moves size frames at a time.
func (p *Pool) NewCache(size int) *Cache {
	if size < 1 {
		size = 1
	}
	return &Cache{pool: p, stack: make([]Index, 0, 2*size), bulk: size}
}

// Pool is the pool that c takes from.
func (c *Cache) Pool() *Pool { return c.pool }

// Close gives all free frames of c back to the pool.
func (c *Cache) Close() {
	c.pool.give(c.stack)
	c.stack = c.stack[:0]
}

// Alloc takes a frame and resets its metadata: empty, at Headroom, no layers.
// It returns 0 when the memory is exhausted.
func (c *Cache) Alloc() Index {
	if len(c.stack) == 0 && !c.refill() {
		return 0
	}
	i := c.stack[len(c.stack)-1]
	c.stack = c.stack[:len(c.stack)-1]
	c.pool.metas[i] = Meta{Data: Headroom, L25: NoLayer, L3: NoLayer, L4: NoLayer}
	return i
}

func (c *Cache) refill() bool {
	n := c.pool.take(c.stack[:c.bulk])
	c.stack = c.stack[:n]
	return n > 0
}

// Free gives up packet i with all its frames; 0 is ignored.
func (c *Cache) Free(i Index) {
	for i != 0 {
		next := c.pool.metas[i].Next
		if len(c.stack) == cap(c.stack) {
			c.pool.give(c.stack[c.bulk:])
			c.stack = c.stack[:c.bulk]
		}
		c.stack = append(c.stack, i)
		i = next
	}
}

// FreeBatch frees the packets of b and empties it.
func (c *Cache) FreeBatch(b *Batch) {
	for _, i := range b.Slice() {
		c.Free(i)
	}
	b.N = 0
}
