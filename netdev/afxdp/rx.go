package afxdp

import (
	"golang.org/x/sys/unix"

	"sluice/internal/coverage"
	"sluice/netdev"
	"sluice/netdev/packet"
)

var (
	cFillFull  = coverage.New("afxdp_fq_full")
	cTxFull    = coverage.New("afxdp_tx_full")
	cCompEmpty = coverage.New("afxdp_cq_empty")
)

// minTarget is the number of frames that wait for packets on a quiet queue; it
// doubles up to rxRingSize as bursts come near it, so that a thousand idle ports do
// not hold all memory.
const minTarget = 512

// rxQueue is the receive side of a queue.
//
// Thread-safety: it belongs to the thread that polls it.
type rxQueue struct {
	fill   addrRing
	rx     descRing
	pool   *packet.Pool
	limit  packet.Index // frames from here on are not in the UMEM
	posted frameSet     // frames that the kernel has
	n      uint32       // how many they are
	target uint32       // how many it shall have
	fd     int
	id     int

	// A packet of several buffers, of which the last has not come yet.
	head, last packet.Index
	skip       bool // the rest of a packet that was dropped is coming in

	zerocopy bool // a driver may sleep until it is woken
	// mtu is the link's MTU in generic mode, which hands over what TSO left to the
	// device as one long packet; nil in other modes.
	mtu     func() int
	dropped counter
	touched byte // keeps the compiler from dropping the reads of touch
}

var _ netdev.RxQueue = (*rxQueue)(nil)

// Recv implements netdev.RxQueue.
func (q *rxQueue) Recv(c *packet.Cache, b *packet.Batch) (int, error) {
	before := b.N
	n := q.rx.ready(uint32(packet.BatchSize - before))
	if n == 0 {
		if q.n < q.target {
			q.refill(c)
		}
		if q.zerocopy && q.fill.wantsWakeup() {
			wakeRx(q.fd)
		}
		return 0, nil
	}
	if q.rx.prod-q.rx.cons > q.target/2 && q.target < rxRingSize {
		q.grow()
	}
	q.touched += q.rx.touch(n, q.pool.Mem())
	for range n {
		d := q.rx.pop()
		more := d.Options&unix.XDP_PKT_CONTD != 0
		if d.Len <= copyBreak && q.head == 0 && !more && !q.skip && q.copySmall(c, b, d) {
			continue
		}
		i := packet.Index(d.Addr / packet.FrameSize)
		*q.pool.Meta(i) = packet.Meta{Len: d.Len, SegLen: uint16(d.Len), Data: uint16(d.Addr % packet.FrameSize),
			L25: packet.NoLayer, L3: packet.NoLayer, L4: packet.NoLayer}
		i = q.replace(c, i)
		switch {
		case i == 0:
			q.abort(c, more)
		case q.head == 0 && !more && !q.skip:
			q.finish(b, i)
		default:
			q.chain(c, b, i, more)
		}
	}
	q.rx.release()
	q.fill.publish()
	if q.n < q.target {
		q.refill(c)
	}
	return b.N - before, nil
}

// copyBreak is the length up to which a packet is copied to another frame.  The
// frames that wait for packets come round in turn, so that the kernel, which sees
// each in a page of its own, finds none of them in its caches when it sends.  The
// frames of a thread's cache are used again at once.
const copyBreak = 128

// copySmall copies a packet to a frame that was in use lately, and gives its own back.
func (q *rxQueue) copySmall(c *packet.Cache, b *packet.Batch, d unix.XDPDesc) bool {
	j := c.Alloc()
	if j == 0 {
		return false
	}
	m := q.pool.Meta(j)
	m.Len, m.SegLen = d.Len, uint16(d.Len)
	copy(q.pool.Data(j), q.pool.Mem()[d.Addr:d.Addr+uint64(d.Len)])
	q.fill.push(d.Addr &^ (packet.FrameSize - 1))
	q.finish(b, j)
	return true
}

// grow doubles the number of frames that wait for packets, unless that would take so
// much of the UMEM that other queues have to copy.
func (q *rxQueue) grow() {
	if q.pool.HighWater()+int(q.target) <= int(q.limit)/4*3 {
		q.target = min(2*q.target, rxRingSize)
	}
}

// finish appends a whole packet to the batch.
func (q *rxQueue) finish(b *packet.Batch, i packet.Index) {
	if !q.zerocopy {
		// A frame of a veth pair comes from a stack that leaves checksums to its
		// device; hardware has finished them.
		q.pool.DetectPartial(i)
	}
	if q.mtu != nil {
		if m := q.pool.Meta(i); m.Csum == packet.CsumPartial && int(m.Len) > q.mtu()+ethSize+tagSize {
			q.markGSO(i)
		}
	}
	b.Add(i)
}

// Sizes of an Ethernet header and of a VLAN tag.
const (
	ethSize = 14
	tagSize = 4
)

// markGSO gives a packet that is longer than the link allows its metadata back:
// generic XDP loses the segment size, and the longest possible one is that of the
// link's MTU.
func (q *rxQueue) markGSO(i packet.Index) {
	const tcpChecksum = 16
	start, offset, ok := q.pool.Partial(i)
	b := q.pool.Data(i)
	if !ok || offset != tcpChecksum || start+13 > len(b) {
		return
	}
	l3 := ethSize
	for b[l3-2] == 0x81 && b[l3-1] == 0 || b[l3-2] == 0x88 && b[l3-1] == 0xa8 {
		l3 += tagSize
	}
	size := q.mtu() - (start - l3) - int(b[start+12]>>4)*4
	if size <= 0 {
		return
	}
	m := q.pool.Meta(i)
	m.GSOSize, m.GSOType = uint16(size), packet.GSOTCPv4
	if b[l3]>>4 == 6 {
		m.GSOType = packet.GSOTCPv6
	}
}

// replace gives the kernel another frame for frame i, which it filled, and
// returns where the packet is, 0 when it was dropped because the memory is
// exhausted.  When the pool has only frames beyond the UMEM left, the packet moves
// to one of those and its own frame goes back.
func (q *rxQueue) replace(c *packet.Cache, i packet.Index) packet.Index {
	j := c.Alloc()
	if j != 0 && j < q.limit {
		q.posted.remove(i)
		q.posted.add(j)
		q.fill.push(uint64(j) * packet.FrameSize)
		return i
	}
	if j != 0 {
		*q.pool.Meta(j) = *q.pool.Meta(i)
		copy(q.pool.Data(j), q.pool.Data(i))
	} else {
		q.dropped.add(1)
	}
	q.fill.push(uint64(i) * packet.FrameSize)
	return j
}

// chain appends frame i to the packet that is coming in.
func (q *rxQueue) chain(c *packet.Cache, b *packet.Batch, i packet.Index, more bool) {
	switch {
	case q.skip:
		c.Free(i)
		q.skip = more
		return
	case q.head == 0:
		q.head, q.last = i, i
		return
	}
	q.pool.Meta(q.last).Next = i
	q.pool.Meta(q.head).Len += q.pool.Meta(i).Len
	q.last = i
	if !more {
		q.finish(b, q.head)
		q.head, q.last = 0, 0
	}
}

// abort drops the packet that is coming in, one of whose frames was lost.
func (q *rxQueue) abort(c *packet.Cache, more bool) {
	c.Free(q.head)
	q.head, q.last = 0, 0
	q.skip = more
}

// refill brings the number of frames that wait for packets to the target.
func (q *rxQueue) refill(c *packet.Cache) {
	room := q.fill.room(q.target - q.n)
	if room == 0 {
		cFillFull.Inc()
	}
	for range room {
		i := c.Alloc()
		if i == 0 {
			break
		}
		if i >= q.limit {
			c.Free(i)
			break
		}
		q.posted.add(i)
		q.fill.push(uint64(i) * packet.FrameSize)
		q.n++
	}
	q.fill.publish()
}

// Fd implements netdev.RxQueue.
func (q *rxQueue) Fd() int { return q.fd }

// Ready implements netdev.RxQueue.
func (q *rxQueue) Ready() bool { return q.rx.ready(1) > 0 }

// ID implements netdev.RxQueue.
func (q *rxQueue) ID() int { return q.id }

// freeAll gives up all frames after the socket was closed.
func (q *rxQueue) freeAll(c *packet.Cache) {
	q.posted.freeAll(c)
	c.Free(q.head)
	q.head, q.last, q.n = 0, 0, 0
}
