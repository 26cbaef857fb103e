package dummy

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"sluice/internal/poll"
	"sluice/netdev"
	"sluice/netdev/packet"
)

// maxQueued is the most packets that wait in a queue of a device or of a stream
// connection; more are dropped.
const maxQueued = 100

const (
	ethHeaderSize  = 14
	vlanHeaderSize = 4
	arpSize        = 28
)

// rxQueue holds packets for a polling thread or the control loop.
type rxQueue struct {
	dev   *Device
	id    int
	wake  *poll.Event // set while packets wait; only of a dummy-pmd
	pkts  []received  // guarded by dev.mu
	stats queueStats  // guarded by dev.mu
	// closed keeps a queue that was replaced from taking packets; guarded by
	// dev.mu.
	closed bool
}

// received is a packet that waits, with the mark of its flow (0: none).
type received struct {
	data []byte
	mark uint32
}

var _ netdev.RxQueue = (*rxQueue)(nil)

func newRxQueue(d *Device, id int) *rxQueue {
	q := &rxQueue{dev: d, id: id}
	if d.pmd {
		q.wake = poll.NewEvent()
	}
	return q
}

func (q *rxQueue) close() {
	if q.wake != nil && !q.closed {
		q.wake.Close()
	}
	q.closed, q.pkts = true, nil
}

// putLocked queues a packet, or drops it when the queue is full.
func (q *rxQueue) putLocked(p received) {
	if q.closed || len(q.pkts) >= maxQueued {
		return
	}
	q.pkts = append(q.pkts, p)
	if q.wake != nil {
		q.wake.Set()
	}
}

// Recv implements netdev.RxQueue.  It hands over one packet a call, so that the
// control loop treats one packet a turn.
func (q *rxQueue) Recv(c *packet.Cache, b *packet.Batch) (int, error) {
	d := q.dev
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(q.pkts) == 0 || b.Full() {
		return 0, nil
	}
	data := q.pkts[0].data
	i := c.New(data)
	if i == 0 {
		return 0, fmt.Errorf("%s: receive: %w", d.Name(), unix.ENOBUFS)
	}
	if mark := q.pkts[0].mark; mark != 0 {
		m := c.Pool().Meta(i)
		m.Hash, m.Offload = mark, m.Offload&^packet.HashValid|packet.FlowMarked
	}
	q.pkts[0] = received{}
	q.pkts = q.pkts[1:]
	if len(q.pkts) == 0 {
		q.pkts = nil
		if q.wake != nil {
			q.wake.Reset()
		}
	}
	d.stats.add(len(data))
	q.stats.add(len(data))
	b.Add(i)
	return 1, nil
}

// Fd implements netdev.RxQueue: queues of a dummy-pmd have a descriptor, since a
// polling thread may sleep on it.
func (q *rxQueue) Fd() int {
	if q.wake == nil {
		return -1
	}
	return q.wake.Fd()
}

// Ready implements netdev.RxQueue.
func (q *rxQueue) Ready() bool {
	q.dev.mu.Lock()
	defer q.dev.mu.Unlock()
	return len(q.pkts) > 0
}

// ID implements netdev.RxQueue.
func (q *rxQueue) ID() int { return q.id }

// Receive queues the packet as if it had come from the wire into rx queue qid.
// The device keeps data.
func (d *Device) Receive(data []byte, qid int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.receiveLocked(data, qid)
}

func (d *Device) receiveLocked(data []byte, qid int) {
	d.rxPcap.write(data)
	mark := d.markLocked(data)
	if qid >= 0 && qid < len(d.rxqs) {
		d.rxqs[qid].putLocked(received{data, mark})
	}
}

// txQueue sends to the pcap file and the stream connections.
type txQueue struct {
	dev   *Device
	stats queueStats // guarded by dev.mu
}

var _ netdev.TxQueue = (*txQueue)(nil)

// Send implements netdev.TxQueue.
func (q *txQueue) Send(c *packet.Cache, b *packet.Batch) {
	for _, i := range b.Slice() {
		q.send(c.Pool().AppendBytes(nil, i), c.Pool().Meta(i))
	}
	c.FreeBatch(b)
}

// Flush implements netdev.TxQueue; nothing is held back.
func (q *txQueue) Flush(*packet.Cache) {}

// send sends one packet, or drops one that no Ethernet device could take.
func (q *txQueue) send(data []byte, m *packet.Meta) {
	d := q.dev
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.PacketType != 0 || len(data) < ethHeaderSize || len(data) > d.maxSizeLocked(data) {
		return
	}
	d.txStats.add(len(data))
	q.stats.add(len(data))
	d.conn.send(data)
	if reply := d.arpReplyLocked(data); reply != nil {
		d.receiveLocked(reply, 0)
	}
	d.txPcap.write(data)
}

func (d *Device) maxSizeLocked(data []byte) int {
	size := d.mtu + ethHeaderSize
	if binary.BigEndian.Uint16(data[12:]) == 0x8100 {
		size += vlanHeaderSize
	}
	return size
}

// arpReplyLocked answers an ARP request for the device's IPv4 address, nil for
// any other packet.
func (d *Device) arpReplyLocked(data []byte) []byte {
	if !d.ip4.IsValid() {
		return nil
	}
	at := 12
	for at+vlanHeaderSize+2 <= len(data) && isVLAN(data[at:]) {
		at += vlanHeaderSize
	}
	if len(data) < at+2+arpSize || binary.BigEndian.Uint16(data[at:]) != 0x0806 {
		return nil
	}
	arp := data[at+2:]
	target := d.ip4.Addr().As4()
	if binary.BigEndian.Uint16(arp[6:]) != 1 || [4]byte(arp[24:28]) != target {
		return nil
	}
	r := make([]byte, ethHeaderSize+arpSize)
	copy(r, data[6:12])
	copy(r[6:], d.mac[:])
	copy(r[12:], []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 2})
	copy(r[22:], d.mac[:])
	copy(r[28:], target[:])
	copy(r[32:], data[6:12])
	copy(r[38:], arp[14:18])
	return r
}

func isVLAN(b []byte) bool {
	t := binary.BigEndian.Uint16(b)
	return t == 0x8100 || t == 0x88a8
}
