package afxdp

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"sluice/netdev"
	"sluice/netdev/packet"
)

// maxSegs is the most buffers of a packet that copy mode sends: the linear part
// and MAX_SKB_FRAGS fragments.
const maxSegs = 18

// minFrame is an Ethernet header: copy mode refuses less.
const minFrame = 14

// stashSize is how many frames of the UMEM a queue keeps for packets that lie
// beyond it.
const stashSize = 64

// txQueue is the send side of a queue.
//
// Thread-safety: whoever sends holds the queue's lock (netdev.TxQueue).
type txQueue struct {
	comp     addrRing
	tx       descRing
	pool     *packet.Pool
	limit    packet.Index // frames from here on are not in the UMEM
	posted   frameSet     // frames that the kernel has
	n        uint32       // how many they are
	fd       int
	multiBuf bool // packets of several buffers can be sent
	txMeta   bool // the kernel completes checksums
	always   bool // kick without being asked (use-need-wakeup=false)

	stash []packet.Index // free frames of the UMEM
	seg   packet.Segmenter

	dropped counter
}

var _ netdev.TxQueue = (*txQueue)(nil)

// Send implements netdev.TxQueue.
func (q *txQueue) Send(c *packet.Cache, b *packet.Batch) {
	if q.n > 0 {
		q.complete(c)
	}
	for _, i := range b.Slice() {
		if q.pool.Meta(i).GSOType == packet.GSONone {
			q.put(c, i)
		} else {
			q.segment(c, i)
		}
	}
	q.tx.publish()
	b.Reset()
}

// segment sends a GSO packet in pieces, since AF_XDP has no GSO.
func (q *txQueue) segment(c *packet.Cache, i packet.Index) {
	if q.seg.Start(c, i) {
		for {
			j := q.seg.Next()
			if j == 0 {
				break
			}
			q.put(c, j)
		}
	} else {
		q.dropped.add(1)
	}
	c.Free(i)
}

// put puts packet i on the ring, or drops it.
func (q *txQueue) put(c *packet.Cache, i packet.Index) {
	m := q.pool.Meta(i)
	if m.SegLen < minFrame && !c.Linearize(i) || m.Len < minFrame {
		q.drop(c, i)
		return
	}
	segs := uint32(1)
	if m.Next != 0 {
		if segs = q.chainLen(c, i); segs == 0 {
			q.drop(c, i)
			return
		}
	}
	if q.tx.room(segs) < segs && !q.makeRoom(c, segs) {
		cTxFull.Inc()
		q.drop(c, i)
		return
	}
	if i >= q.limit || m.Next != 0 && !q.inside(m.Next) {
		if i = q.move(c, i); i == 0 {
			return
		}
	}
	q.push(c, i, q.checksum(i))
}

func (q *txQueue) drop(c *packet.Cache, i packet.Index) {
	q.dropped.add(1)
	c.Free(i)
}

// chainLen is how many descriptors a chain takes, 0 when it cannot be sent.
func (q *txQueue) chainLen(c *packet.Cache, i packet.Index) uint32 {
	if !q.multiBuf {
		if c.Linearize(i) {
			return 1
		}
		return 0
	}
	n := uint32(0)
	for ; i != 0; i = q.pool.Meta(i).Next {
		if q.pool.Meta(i).SegLen > 0 {
			n++
		}
	}
	if n > maxSegs {
		return 0
	}
	return n
}

// inside reports that all frames of the chain from i on are in the UMEM.
func (q *txQueue) inside(i packet.Index) bool {
	for ; i != 0; i = q.pool.Meta(i).Next {
		if i >= q.limit {
			return false
		}
	}
	return true
}

// move copies a packet that lies beyond the UMEM into a frame of the stash, 0
// when there is none or the packet is a chain.
func (q *txQueue) move(c *packet.Cache, i packet.Index) packet.Index {
	m := q.pool.Meta(i)
	if m.Next != 0 || len(q.stash) == 0 {
		q.drop(c, i)
		return 0
	}
	j := q.stash[len(q.stash)-1]
	q.stash = q.stash[:len(q.stash)-1]
	*q.pool.Meta(j) = *m
	copy(q.pool.Data(j), q.pool.Data(i))
	c.Free(i)
	return j
}

// Fields of struct xsk_tx_metadata.
const (
	metaFlags      = 0
	metaCsumStart  = 8
	metaCsumOffset = 10
)

// checksum settles a partial checksum: the kernel completes it when it can be
// told to, else it is done here.  It returns the options for the descriptor.
func (q *txQueue) checksum(i packet.Index) uint32 {
	m := q.pool.Meta(i)
	if m.Csum != packet.CsumPartial {
		return 0
	}
	if q.txMeta && m.Data >= txMetaSize {
		// A packet that was cut no longer holds its checksum; the kernel would refuse
		// the descriptor for ever.
		if start, offset, ok := q.pool.Partial(i); ok && start+offset+2 <= int(m.SegLen) {
			md := q.pool.Frame(i)[m.Data-txMetaSize : m.Data]
			binary.NativeEndian.PutUint64(md[metaFlags:], unix.XDP_TXMD_FLAGS_CHECKSUM)
			binary.NativeEndian.PutUint16(md[metaCsumStart:], uint16(start))
			binary.NativeEndian.PutUint16(md[metaCsumOffset:], uint16(offset))
			return unix.XDP_TX_METADATA
		}
	}
	q.pool.CompleteCsum(i)
	return 0
}

// push writes the descriptors of packet i and takes its frames apart, since they
// come back one by one.
func (q *txQueue) push(c *packet.Cache, i packet.Index, options uint32) {
	for i != 0 {
		m := q.pool.Meta(i)
		next := m.Next
		m.Next = 0
		for next != 0 && q.pool.Meta(next).SegLen == 0 {
			empty := next
			next = q.pool.Meta(empty).Next
			q.pool.Meta(empty).Next = 0
			c.Free(empty)
		}
		if next != 0 {
			options |= unix.XDP_PKT_CONTD
		}
		q.tx.push(unix.XDPDesc{Addr: uint64(i)*packet.FrameSize + uint64(m.Data),
			Len: uint32(m.SegLen), Options: options})
		q.posted.add(i)
		q.n++
		options = 0
		i = next
	}
}

// makeRoom has the kernel send what is on the ring; it reports whether there is
// room then.
func (q *txQueue) makeRoom(c *packet.Cache, want uint32) bool {
	q.tx.publish()
	q.Flush(c)
	return q.tx.room(want) >= want
}

// complete takes back the frames that the kernel has sent.
func (q *txQueue) complete(c *packet.Cache) {
	n := q.comp.ready(txRingSize)
	if n == 0 {
		cCompEmpty.Inc()
		return
	}
	for range n {
		i := packet.Index(q.comp.pop() / packet.FrameSize)
		q.posted.remove(i)
		if len(q.stash) < cap(q.stash) {
			q.stash = append(q.stash, i)
		} else {
			c.Free(i)
		}
	}
	q.n -= n
	q.comp.release()
}

// maxKicks bounds the kicks of one Flush: a kernel without XDP_MAX_TX_SKB_BUDGET
// sends 32 packets a kick.
const maxKicks = txRingSize / 32

// Flush implements netdev.TxQueue.
func (q *txQueue) Flush(c *packet.Cache) {
	if q.n == 0 {
		return
	}
	unsent := q.tx.unsent()
	for try := 0; unsent > 0 && try < maxKicks; try++ {
		if !q.always && !q.tx.wantsWakeup() {
			break
		}
		err := kick(q.fd)
		left := q.tx.unsent()
		if err != unix.EAGAIN && err != unix.EINTR || left == unsent {
			break
		}
		unsent = left
	}
	q.complete(c)
}

// freeAll gives up all frames after the socket was closed.
func (q *txQueue) freeAll(c *packet.Cache) {
	q.posted.freeAll(c)
	q.n = 0
	for _, i := range q.stash {
		c.Free(i)
	}
	q.stash = q.stash[:0]
}

// fillStash sets frames of the UMEM aside, while there are some.
func (q *txQueue) fillStash(c *packet.Cache) {
	q.stash = make([]packet.Index, 0, stashSize)
	for len(q.stash) < stashSize {
		i := c.Alloc()
		if i == 0 || i >= q.limit {
			c.Free(i)
			return
		}
		q.stash = append(q.stash, i)
	}
}
