package vhostuser

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"sluice/netdev/packet"
)

// maxMerge is the most receive buffers that one packet is spread over.
const maxMerge = 64

// idleBeforeArm is how many empty receives in a row pass before the guest is asked to
// kick, so that the thread may sleep; while packets flow there are no system calls.
const idleBeforeArm = 32

// rxQueue is a ring that the guest sends by.
type rxQueue struct {
	d     *Device
	id    int
	r     *ring
	ep    int // epoll descriptor with the kick of the day in it
	chain chain
	idle  int
}

func newRxQueue(d *Device, id int, r *ring) *rxQueue {
	q := &rxQueue{d: d, id: id, r: r, ep: -1}
	q.chain.segs = make([]seg, 0, maxSegs)
	if fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC); err == nil {
		q.ep = fd
	} else {
		log.Err("%s: epoll: %v", d.Name(), err)
	}
	r.ep = q.ep
	return q
}

func (q *rxQueue) close() {
	if q.ep >= 0 {
		unix.Close(q.ep)
		q.ep, q.r.ep = -1, -1
	}
}

// watchKick makes the queue's epoll descriptor readable when the guest kicks; the ring
// is locked.
func (d *Device) watchKick(r *ring) {
	if r.ep < 0 || r.kick < 0 {
		return
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(r.kick)}
	if err := unix.EpollCtl(r.ep, unix.EPOLL_CTL_ADD, r.kick, &ev); err != nil {
		log.Warn("%s: cannot wait for kicks: %v", d.Name(), err)
	}
}

func (d *Device) closeKick(r *ring) {
	if r.kick < 0 {
		return
	}
	if r.ep >= 0 {
		// The descriptor may be shared with the front end: closing it here would
		// not take it out.
		_ = unix.EpollCtl(r.ep, unix.EPOLL_CTL_DEL, r.kick, nil)
	}
	unix.Close(r.kick)
	r.kick = -1
}

// Recv implements netdev.RxQueue.
func (q *rxQueue) Recv(c *packet.Cache, b *packet.Batch) (int, error) {
	r := q.r
	if !r.live.Load() || !r.mu.TryLock() {
		return 0, nil
	}
	defer r.mu.Unlock()
	if !r.running {
		return 0, nil
	}
	n, size, err := r.recv(c, b, &q.chain, int(q.d.hdrLen.Load()))
	if err != nil {
		q.d.violated(r, err)
		return n, nil
	}
	if n > 0 {
		q.idle = 0
		if r.armed {
			q.arm(false)
		}
		q.d.stats.rxPackets.Add(uint64(n))
		q.d.stats.rxBytes.Add(size)
		return n, nil
	}
	q.idle++
	if q.idle >= idleBeforeArm {
		if r.armed {
			drain(r.kick)
		} else {
			q.arm(true)
		}
		if !r.guardedEmpty() {
			q.idle = 0
		}
	}
	return 0, nil
}

// arm asks the guest to kick, or not to.
func (q *rxQueue) arm(on bool) {
	if err := q.r.guarded(func() { q.r.arm(on) }); err != nil {
		q.d.violated(q.r, err)
	}
}

// Fd implements netdev.RxQueue.
func (q *rxQueue) Fd() int { return q.ep }

// Ready implements netdev.RxQueue.
func (q *rxQueue) Ready() bool {
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	return q.r.running && !q.r.guardedEmpty()
}

// ID implements netdev.RxQueue.
func (q *rxQueue) ID() int { return q.id }

// txQueue is a ring that the guest receives by.
type txQueue struct {
	d      *Device
	r      *ring
	chains []chain
}

// Send implements netdev.TxQueue.
func (q *txQueue) Send(c *packet.Cache, b *packet.Batch) {
	sent, size := q.send(c.Pool(), b)
	q.d.stats.txPackets.Add(uint64(sent))
	q.d.stats.txBytes.Add(size)
	q.d.stats.txDropped.Add(uint64(b.N - sent))
	c.FreeBatch(b)
}

// send copies what it can, trying again a few times while the guest is busy.
func (q *txQueue) send(p *packet.Pool, b *packet.Batch) (sent int, size uint64) {
	r := q.r
	r.mu.Lock()
	defer r.mu.Unlock()
	for try := int64(0); r.running && sent < b.N; try++ {
		n, bytes, err := r.send(p, b, sent, q.chains, int(q.d.hdrLen.Load()), q.d.mergeable.Load())
		sent, size = sent+n, size+bytes
		if err != nil {
			q.d.violated(r, err)
			break
		}
		if n == 0 && try >= q.d.retries.Load() {
			break
		}
		if try > 0 {
			q.d.stats.txRetries.Add(1)
		}
	}
	return sent, size
}

// Flush implements netdev.TxQueue: Send leaves nothing behind.
func (q *txQueue) Flush(*packet.Cache) {}

// isEventfd says whether a descriptor is an eventfd: anything else could block.
func isEventfd(fd int) bool {
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	return err == nil && bytes.Contains([]byte(link), []byte("[eventfd]"))
}
