package vhostuser

import (
	"runtime/debug"

	"golang.org/x/sys/unix"

	"sluice/netdev/packet"
	"sluice/netdev/vnet"
)

// maxPacket is the longest packet that a guest may send: 64 KiB of IP packet behind
// an Ethernet header with tags.
const maxPacket = 65535 + 14 + 8

// minPacket is an Ethernet header.
const minPacket = 14

// recv takes packets from a ring that the guest sends by until b is full.
func (r *ring) recv(c *packet.Cache, b *packet.Batch, ch *chain) (n int, err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if f := recover(); f != nil {
			err = fault(f)
			c.Free(r.taking)
		}
		r.taking = 0
	}()
	for !b.Full() {
		at := r.mark()
		ok, err := r.next(ch)
		if err != nil {
			return n, err
		}
		if !ok {
			break
		}
		i, err := r.take(c, ch)
		if err != nil {
			return n, err
		}
		if i == 0 {
			// No frames: the packet stays where it is.
			r.rewind(at)
			break
		}
		r.put(ch, 0)
		if !r.readHeader(c.Pool(), i) {
			r.stats.errors++
			c.Free(i)
			continue
		}
		r.stats.count(c.Pool().Meta(i).Len)
		b.Add(i)
		n++
	}
	r.publish()
	return n, nil
}

// take copies one packet out of a chain, 0 when frames are exhausted.  The virtio-net
// header comes first; it waits in the headroom of the first frame.
func (r *ring) take(c *packet.Cache, ch *chain) (packet.Index, error) {
	switch {
	case ch.write:
		return 0, violation("writable buffers in a transmit queue")
	case ch.total < uint64(r.hdrLen):
		return 0, violation("packet of %d bytes with its header of %d", ch.total, r.hdrLen)
	case ch.total > maxPacket+uint64(r.hdrLen):
		return 0, violation("packet of %d bytes", ch.total)
	}
	first := c.Alloc()
	if first == 0 {
		return 0, nil
	}
	r.taking = first
	p := c.Pool()
	m := p.Meta(first)
	m.Len = uint32(ch.total) - uint32(r.hdrLen)
	// The header goes in front of the data.
	cur, at := first, int(m.Data)-r.hdrLen
	end := min(int(m.Data)+int(m.Len), packet.FrameSize)
	m.SegLen = uint16(end - int(m.Data))
	left := int(m.Len) - int(m.SegLen)
	frame := p.Frame(first)[at:end]
	for _, seg := range ch.segs {
		for len(seg) > 0 {
			if len(frame) == 0 {
				next := c.Alloc()
				if next == 0 {
					c.Free(first)
					r.taking = 0
					return 0, nil
				}
				p.Meta(cur).Next = next
				cm := p.Meta(next)
				cm.Data, cm.SegLen = 0, uint16(min(left, packet.FrameSize))
				frame = p.Data(next)
				left -= len(frame)
				cur = next
			}
			n := copy(frame, seg)
			frame, seg = frame[n:], seg[n:]
		}
	}
	r.taking = 0
	return first, nil
}

// readHeader sets the metadata that the virtio-net header tells; false means that the
// packet is none or asks for what was not negotiated.
func (r *ring) readHeader(p *packet.Pool, i packet.Index) bool {
	m := p.Meta(i)
	if m.Len < minPacket {
		return false
	}
	if r.features&featCSUM == 0 {
		return true
	}
	at := int(m.Data) - r.hdrLen
	h := [vnet.HdrSize]byte(p.Frame(i)[at:])
	h[0] &= unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
	if h[1] != packet.GSONone {
		if h[0] == 0 || h[4]|h[5] == 0 || !r.allowsGSO(h[1], featHostTSO4, featHostTSO6, featHostECN) {
			return false
		}
	}
	if h[0]|h[1] != 0 {
		vnet.DecodeHeader(p, i, &h)
	}
	return true
}

// allowsGSO says whether segmentation of a type was negotiated.
func (r *ring) allowsGSO(typ byte, tso4, tso6, ecn uint64) bool {
	if typ&packet.GSOECN != 0 && r.features&ecn == 0 {
		return false
	}
	switch typ &^ packet.GSOECN {
	case packet.GSOTCPv4:
		return r.features&tso4 != 0
	case packet.GSOTCPv6:
		return r.features&tso6 != 0
	}
	return false
}

// needsHelp says whether a packet asks for what the guest does not do: a checksum or
// segmentation.
func (r *ring) needsHelp(m *packet.Meta) bool {
	return m.Csum == packet.CsumPartial && r.features&featGuestCSUM == 0 ||
		m.GSOType != 0 && !r.allowsGSO(m.GSOType, featGuestTSO4, featGuestTSO6, featGuestECN)
}

// writer writes through the buffers of chains.
type writer struct {
	segs [][]byte
	off  int // into the first of segs
}

// send copies packets of b, from number from on, to a ring that the guest receives
// by, until it has no more room; it returns how many are done with.
func (r *ring) send(p *packet.Pool, b *packet.Batch, from int, chains []chain, maxLen uint32) (n int, err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if f := recover(); f != nil {
			err = fault(f)
		}
	}()
	for _, i := range b.Pkts[from:b.N] {
		m := p.Meta(i)
		if m.GSOType == 0 && m.Len > maxLen {
			r.stats.tooLong++
			n++
			continue
		}
		got, err := r.give(p, i, chains)
		if err != nil {
			return n, err
		}
		if got == giveFull {
			break
		}
		if got == giveDone {
			r.stats.count(m.Len)
		} else {
			r.stats.errors++
		}
		n++
	}
	r.publish()
	return n, nil
}

// Results of give.
const (
	giveDone  = iota
	giveFull  // too few buffers now
	giveNever // the guest's buffers cannot take such a packet
)

// give copies one packet into as many chains as it needs (one unless the guest merges
// buffers).
func (r *ring) give(p *packet.Pool, i packet.Index, chains []chain) (int, error) {
	need := uint64(r.hdrLen) + uint64(p.Meta(i).Len)
	most := len(chains)
	if r.features&featMrgRxbuf == 0 {
		most = 1
	}
	at := r.mark()
	used := 0
	for room := uint64(0); room < need; used++ {
		if used == most {
			r.rewind(at)
			return giveNever, nil
		}
		ch := &chains[used]
		ok, err := r.next(ch)
		if err != nil {
			return giveFull, err
		}
		if !ok {
			r.rewind(at)
			return giveFull, nil
		}
		if !ch.write || ch.total < uint64(r.hdrLen) {
			return giveFull, violation("receive buffer of %d bytes", ch.total)
		}
		room += ch.total
	}
	r.fill(p, i, chains[:used])
	for k := range chains[:used] {
		n := min(need, chains[k].total)
		r.put(&chains[k], uint32(n))
		need -= n
	}
	return giveDone, nil
}

// fill writes the header and the frames of a packet through chains, which have room
// for it.
func (r *ring) fill(p *packet.Pool, i packet.Index, chains []chain) {
	var hdr [12]byte
	m := p.Meta(i)
	if m.Csum == packet.CsumPartial || m.GSOType != 0 {
		vnet.EncodeHeader(p, i, (*[vnet.HdrSize]byte)(hdr[:]))
	}
	hdr[10], hdr[11] = byte(len(chains)), byte(len(chains)>>8)
	w := writer{segs: chains[0].segs}
	chains = w.write(hdr[:r.hdrLen], chains)
	for f := i; f != 0; f = p.Meta(f).Next {
		chains = w.write(p.Data(f), chains)
	}
}

// write copies src; chains[0] is the one that is being filled.
func (w *writer) write(src []byte, chains []chain) []chain {
	for len(src) > 0 {
		for len(w.segs) == 0 {
			chains = chains[1:]
			w.segs = chains[0].segs
		}
		n := copy(w.segs[0][w.off:], src)
		src = src[n:]
		if w.off += n; w.off == len(w.segs[0]) {
			w.segs, w.off = w.segs[1:], 0
		}
	}
	return chains
}
