package vhostuser

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"sluice/netdev/packet"
)

// maxMerge is the most receive buffers that one packet is spread over.
const maxMerge = 64

// Empty receives in a row before the guest is asked to kick, so that the thread may
// sleep (while packets flow there are no system calls), and between looks at kicks
// that brought no packet.
const (
	idleBeforeArm = 32
	idleDrain     = 64
)

// rxQueue is a ring that the guest sends by.
type rxQueue struct {
	d     *Device
	id    int
	r     *ring
	chain chain
	idle  int
}

func newRxQueue(d *Device, id int) *rxQueue {
	q := &rxQueue{d: d, id: id, r: d.ring(2*id + 1), chain: newChain()}
	if err := q.r.poll(); err != nil {
		log.Err("%s: cannot wait for kicks: %v", d.Name(), err)
	}
	return q
}

// poll makes the ring one that is polled: the guest kicks, which its epoll descriptor
// tells.
func (r *ring) poll() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ep >= 0 {
		return nil
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	r.ep = fd
	r.watchKick()
	if !r.running {
		return nil
	}
	// What a fault means, the next receive finds out.
	_ = r.guarded(func() { r.arm(true) })
	return nil
}

// watchKick makes the epoll descriptor readable when the guest kicks.
func (r *ring) watchKick() {
	if r.ep < 0 || r.kick < 0 {
		return
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(r.kick)}
	if err := unix.EpollCtl(r.ep, unix.EPOLL_CTL_ADD, r.kick, &ev); err != nil {
		log.Warn("cannot wait for kicks: %v", err)
	}
}

func (r *ring) closeKick() {
	if r.kick < 0 {
		return
	}
	if r.ep >= 0 {
		// The front end has the eventfd too: closing it here would not take it out.
		_ = unix.EpollCtl(r.ep, unix.EPOLL_CTL_DEL, r.kick, nil)
	}
	unix.Close(r.kick)
	r.kick, r.ownKick = -1, false
}

// setKick takes a kick over, -1 for a front end that has none and wants to be polled:
// an eventfd of ours that is always readable stands for it.
func (r *ring) setKick(fd int) error {
	r.closeKick()
	if fd < 0 {
		own, err := unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			return err
		}
		fd, r.ownKick = own, true
	}
	r.kick = fd
	r.watchKick()
	return nil
}

func (r *ring) setCall(fd int) {
	if r.call >= 0 {
		unix.Close(r.call)
	}
	r.call = fd
	if fd >= 0 && r.running {
		signal(fd) // what was published meanwhile is seen
	}
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
	n, err := r.recv(c, b, &q.chain)
	switch {
	case err != nil:
		q.d.violated(r, err)
	case n == 0:
		q.empty()
	default:
		q.idle = 0
		if r.armed {
			q.arm(false)
		}
	}
	return n, nil
}

// empty is called after a receive without packets.
func (q *rxQueue) empty() {
	q.idle++
	switch {
	case q.idle < idleBeforeArm:
	case !q.r.armed:
		q.r.drain()
		q.arm(true)
		if !q.r.guardedEmpty() {
			q.idle = 0
		}
	case q.idle%idleDrain == 0:
		q.r.drain()
		if !q.r.guardedEmpty() {
			q.idle = 0
		}
	}
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

// arm asks the guest to kick, or not to.
func (q *rxQueue) arm(on bool) {
	if err := q.r.guarded(func() { q.r.arm(on) }); err != nil {
		q.d.violated(q.r, err)
	}
}

// Fd implements netdev.RxQueue.
func (q *rxQueue) Fd() int { return q.r.ep }

// Ready implements netdev.RxQueue.
func (q *rxQueue) Ready() bool {
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	return q.r.running && !q.r.guardedEmpty()
}

// Backlog implements netdev.Backlogger.
func (q *rxQueue) Backlog() (n int) {
	r := q.r
	if !r.live.Load() || !r.mu.TryLock() {
		return 0
	}
	defer r.mu.Unlock()
	if !r.running {
		return 0
	}
	if err := r.guarded(func() { n = r.backlog() }); err != nil {
		return 0 // the next receive finds out what is wrong
	}
	return n
}

// ID implements netdev.RxQueue.
func (q *rxQueue) ID() int { return q.id }

// txQueue sends by the rings that the guest receives by: its own one, or another one
// while the guest has that disabled.
type txQueue struct {
	d      *Device
	id     int
	rings  []*ring
	chains []chain
	seg    packet.Segmenter
	out    packet.Batch // packets that were helped
}

func newTxQueue(d *Device, id int, rings []*ring) *txQueue {
	q := &txQueue{d: d, id: id, rings: rings, chains: make([]chain, maxMerge)}
	for i := range q.chains {
		q.chains[i].segs = make([][]byte, 0, 4)
	}
	return q
}

// Send implements netdev.TxQueue.
func (q *txQueue) Send(c *packet.Cache, b *packet.Batch) {
	if r := q.lockRing(); r != nil {
		q.sendTo(r, c, b)
		r.mu.Unlock()
	} else {
		q.d.unsent.Add(uint64(b.N))
	}
	c.FreeBatch(b)
}

// lockRing locks the ring to send by, nil when the guest has none.
func (q *txQueue) lockRing() *ring {
	for k := range q.rings {
		r := q.rings[(q.id+k)%len(q.rings)]
		if !r.live.Load() {
			continue
		}
		r.mu.Lock()
		if r.running {
			return r
		}
		r.mu.Unlock()
	}
	return nil
}

// sendTo sends b, whose packets stay the caller's.
func (q *txQueue) sendTo(r *ring, c *packet.Cache, b *packet.Batch) {
	p := c.Pool()
	for _, i := range b.Slice() {
		if r.needsHelp(p.Meta(i)) {
			q.sendHelped(r, c, b)
			return
		}
	}
	q.push(r, p, b)
}

// sendHelped sends packets in order, those that the guest cannot take as they are
// segmented and with complete checksums.
func (q *txQueue) sendHelped(r *ring, c *packet.Cache, b *packet.Batch) {
	p := c.Pool()
	q.out.Reset()
	for k, i := range b.Slice() {
		m := p.Meta(i)
		if m.GSOType == 0 || !r.needsHelp(m) {
			b.Pkts[k] = 0
			q.put(r, c, i)
			continue
		}
		if !q.seg.Start(c, i) {
			r.stats.errors++
			continue
		}
		for j := q.seg.Next(); j != 0; j = q.seg.Next() {
			q.put(r, c, j)
		}
	}
	q.push(r, p, &q.out)
	c.FreeBatch(&q.out)
}

func (q *txQueue) put(r *ring, c *packet.Cache, i packet.Index) {
	if m := c.Pool().Meta(i); m.Csum == packet.CsumPartial && r.features&featGuestCSUM == 0 {
		c.Pool().CompleteCsum(i)
	}
	if q.out.Full() {
		q.push(r, c.Pool(), &q.out)
		c.FreeBatch(&q.out)
	}
	q.out.Add(i)
}

// push copies what it can, trying again a few times while the guest is busy.
func (q *txQueue) push(r *ring, p *packet.Pool, b *packet.Batch) {
	sent := 0
	for try := int64(0); r.running; {
		n, err := r.send(p, b, sent, q.chains, uint32(q.d.mtu.Load())+frameOverhead)
		sent += n
		if err != nil {
			q.d.violated(r, err)
			break
		}
		if sent == b.N {
			return
		}
		if n == 0 {
			if try == q.d.retries.Load() {
				break
			}
			try++
			r.stats.retries++
		}
	}
	r.stats.noBuffer += uint64(b.N - sent)
}

// frameOverhead is what a frame has beyond the MTU: Ethernet header and a VLAN tag.
const frameOverhead = 18

// Flush implements netdev.TxQueue: Send leaves nothing behind.
func (q *txQueue) Flush(*packet.Cache) {}

// isEventfd says whether a descriptor is an eventfd: anything else could block.
func isEventfd(fd int) bool {
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	return err == nil && link == "anon_inode:[eventfd]"
}
