package vnet

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"sluice/netdev/packet"
)

// minSlots is the batch that a quiet Receiver keeps frames for; it doubles while
// batches come full, and shrinks again when they do not, so that a thousand idle
// ports do not hold the pool's frames.
const minSlots = 2

// Receiver receives batches from a packet socket.
//
// Thread-safety: none; it belongs to the thread that polls the queue.
type Receiver struct {
	slots    []Slot
	msgs     []mmsghdr
	controls [][controlSize]byte
	n        int // slots in use
	short    int // batches in a row that left more than half of the slots
}

// NewReceiver makes a Receiver without frames.
func NewReceiver() *Receiver {
	return &Receiver{
		slots:    NewSlots(packet.BatchSize),
		msgs:     make([]mmsghdr, packet.BatchSize),
		controls: make([][controlSize]byte, packet.BatchSize),
		n:        minSlots,
	}
}

// Recv receives what waits on fd into b.  dropped counts packets that were too long
// for a slot, or had offloads that cannot be told.
func (r *Receiver) Recv(fd int, c *packet.Cache, b *packet.Batch) (n, dropped int, err error) {
	want := min(r.n, packet.BatchSize-b.N)
	for k := range want {
		if !r.slots[k].Fill(c) {
			if want = k; k == 0 {
				return 0, 0, unix.ENOBUFS
			}
			break
		}
		armMsg(&r.msgs[k], &r.slots[k], &r.controls[k])
	}
	if want == 0 {
		return 0, 0, nil
	}
	got, err := recvmmsg(fd, r.msgs[:want])
	if err != nil {
		r.adapt(0, c)
		switch err {
		case unix.EAGAIN, unix.EINTR:
			return 0, 0, nil
		case unix.EINVAL:
			// A packet whose offloads no header can tell; the kernel dropped it.
			return 0, 1, nil
		}
		return 0, 0, err
	}
	p := c.Pool()
	for k := range got {
		m := &r.msgs[k]
		i := packet.Index(0)
		if m.hdr.Flags&unix.MSG_TRUNC == 0 {
			i = r.slots[k].Take(p, int(m.len))
		}
		if i == 0 {
			dropped++
			continue
		}
		if tpid, tci, ok := vlanOf(r.controls[k][:m.hdr.Controllen]); ok && !insertVLAN(p, i, tpid, tci) {
			c.Free(i)
			dropped++
			continue
		}
		b.Add(i)
		n++
	}
	r.adapt(got, c)
	return n, dropped, nil
}

// adapt changes the number of slots by the size of the last batch.
func (r *Receiver) adapt(got int, c *packet.Cache) {
	switch {
	case got == r.n:
		r.short = 0
		r.n = min(2*r.n, packet.BatchSize)
	case got >= r.n/2 || r.n == minSlots:
		r.short = 0
	default:
		// One empty poll says nothing: bulk traffic comes in bursts.
		if r.short++; r.short < 64 {
			return
		}
		r.short = 0
		for k := r.n / 2; k < r.n; k++ {
			r.slots[k].Free(c)
		}
		r.n /= 2
	}
}

// Close gives up all frames.
func (r *Receiver) Close(c *packet.Cache) {
	for k := range r.slots {
		r.slots[k].Free(c)
	}
}

// Offsets in struct cmsghdr and struct tpacket_auxdata behind it.
const (
	cmsgData   = 16
	auxStatus  = cmsgData
	auxVLANTCI = cmsgData + 16
	auxTPID    = cmsgData + 18
	auxEnd     = cmsgData + 20
)

// vlanOf reads the VLAN tag that the kernel took out of a packet.
func vlanOf(control []byte) (tpid, tci uint16, ok bool) {
	if len(control) < auxEnd || binary.NativeEndian.Uint32(control[8:]) != unix.SOL_PACKET ||
		binary.NativeEndian.Uint32(control[12:]) != unix.PACKET_AUXDATA {
		return 0, 0, false
	}
	status := binary.NativeEndian.Uint32(control[auxStatus:])
	if status&unix.TP_STATUS_VLAN_VALID == 0 {
		return 0, 0, false
	}
	tpid = 0x8100
	if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		tpid = binary.NativeEndian.Uint16(control[auxTPID:])
	}
	return tpid, binary.NativeEndian.Uint16(control[auxVLANTCI:]), true
}

// insertVLAN puts a tag behind the addresses of packet i.
func insertVLAN(p *packet.Pool, i packet.Index, tpid, tci uint16) bool {
	if !p.PushHead(i, 4) {
		return false
	}
	b := p.Data(i)
	copy(b, b[4:16])
	binary.BigEndian.PutUint16(b[12:], tpid)
	binary.BigEndian.PutUint16(b[14:], tci)
	return true
}

// InsertVLAN is insertVLAN for other devices whose tag comes out of band.
func InsertVLAN(p *packet.Pool, i packet.Index, tpid, tci uint16) bool {
	return insertVLAN(p, i, tpid, tci)
}
