package vhostuser

import (
	"runtime/debug"

	"sluice/netdev/packet"
	"sluice/netdev/vnet"
)

// maxPacket is the longest packet that a guest may send: 64 KiB of IP packet behind
// an Ethernet header with tags.
const maxPacket = 65535 + 14 + 8

// recv takes up to n packets from a ring that the guest sends by.
//
// Guest memory may vanish at any moment (its file is truncated): the fault is turned
// into an error that stops the port.
func (r *ring) recv(c *packet.Cache, b *packet.Batch, ch *chain, hdrLen int) (n int, bytes uint64, err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if f := recover(); f != nil {
			err = fault(f)
		}
	}()
	for !b.Full() {
		ok, err := r.next(ch)
		if err != nil {
			return n, bytes, err
		}
		if !ok {
			break
		}
		i, err := r.take(c, ch, hdrLen)
		if err != nil {
			return n, bytes, err
		}
		r.put(ch, 0)
		if i == 0 {
			continue // no memory, or too long: dropped
		}
		bytes += uint64(c.Pool().Meta(i).Len)
		b.Add(i)
		n++
	}
	r.publish()
	return n, bytes, nil
}

// fault makes an error of a panic over guest memory; others go on.
func fault(f any) error {
	if e, ok := f.(interface {
		error
		Addr() uintptr
	}); ok {
		return violation("guest memory at %#x is gone", e.Addr())
	}
	panic(f)
}

// take copies one packet out of a chain: the virtio-net header, then the frame.
func (r *ring) take(c *packet.Cache, ch *chain, hdrLen int) (packet.Index, error) {
	if ch.write {
		return 0, violation("writable buffers in a transmit queue")
	}
	if ch.total < uint64(hdrLen)+14 {
		return 0, violation("packet of %d bytes with its header", ch.total)
	}
	size := ch.total - uint64(hdrLen)
	if size > maxPacket {
		return 0, nil
	}
	rd := reader{mem: r.mem, segs: ch.segs}
	var hdr [12]byte
	if err := rd.copy(hdr[:hdrLen]); err != nil {
		return 0, err
	}
	first := c.Alloc()
	if first == 0 {
		return 0, nil
	}
	p := c.Pool()
	m := p.Meta(first)
	m.Len = uint32(size)
	cur, room := first, packet.FrameSize-int(m.Data)
	for left := int(size); ; {
		n := min(left, room)
		cm := p.Meta(cur)
		cm.SegLen = uint16(n)
		if err := rd.copy(p.Frame(cur)[cm.Data : int(cm.Data)+n]); err != nil {
			c.Free(first)
			return 0, err
		}
		if left -= n; left == 0 {
			break
		}
		next := c.Alloc()
		if next == 0 {
			c.Free(first)
			return 0, nil
		}
		p.Meta(next).Data = 0
		p.Meta(cur).Next = next
		cur, room = next, packet.FrameSize
	}
	var h [vnet.HdrSize]byte
	copy(h[:], hdr[:vnet.HdrSize])
	vnet.DecodeHeader(p, first, &h)
	return first, nil
}

// reader reads through the buffers of a chain.
type reader struct {
	mem  *memory
	segs []seg
	off  uint32 // into the first of segs
}

func (r *reader) copy(dst []byte) error {
	for len(dst) > 0 {
		b, err := r.piece(len(dst))
		if err != nil {
			return err
		}
		dst = dst[copy(dst, b):]
	}
	return nil
}

// piece returns the next bytes, at most n, that lie together.
func (r *reader) piece(n int) ([]byte, error) {
	for len(r.segs) > 0 && r.off == r.segs[0].len {
		r.segs, r.off = r.segs[1:], 0
	}
	if len(r.segs) == 0 {
		return nil, violation("chain too short")
	}
	s := r.segs[0]
	b := r.mem.at(s.addr + uint64(r.off))
	if b == nil {
		return nil, violation("buffer at %#x is outside of memory", s.addr)
	}
	n = min(n, int(s.len-r.off), len(b))
	r.off += uint32(n)
	return b[:n], nil
}

// write copies src into the buffers.
func (r *reader) write(src []byte) error {
	for len(src) > 0 {
		b, err := r.piece(len(src))
		if err != nil {
			return err
		}
		src = src[copy(b, src):]
	}
	return nil
}

// send copies packets of b, from number from on, to a ring that the guest receives
// by, until it has no more room; it returns how many it sent.
func (r *ring) send(p *packet.Pool, b *packet.Batch, from int, chains []chain, hdrLen int, mergeable bool) (n int, bytes uint64, err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if f := recover(); f != nil {
			err = fault(f)
		}
	}()
	for _, i := range b.Pkts[from:b.N] {
		sent, err := r.give(p, i, chains, hdrLen, mergeable)
		if err != nil {
			return n, bytes, err
		}
		if !sent {
			break
		}
		n++
		bytes += uint64(p.Meta(i).Len)
	}
	r.publish()
	return n, bytes, nil
}

// give copies one packet into as many chains as it needs (one unless the guest merges
// buffers); false means that there are too few.
func (r *ring) give(p *packet.Pool, i packet.Index, chains []chain, hdrLen int, mergeable bool) (bool, error) {
	need := uint64(hdrLen) + uint64(p.Meta(i).Len)
	at := r.mark()
	used, room := 0, uint64(0)
	for room < need {
		if used == len(chains) || used > 0 && !mergeable {
			if used > 0 && !mergeable {
				// The guest's buffers are too small for this packet: it is lost.
				r.put(&chains[0], 0)
				return true, nil
			}
			r.rewind(at)
			return false, nil
		}
		ch := &chains[used]
		ok, err := r.next(ch)
		if err != nil {
			return false, err
		}
		if !ok {
			r.rewind(at)
			return false, nil
		}
		if !ch.write || ch.total < uint64(hdrLen) {
			return false, violation("receive buffer of %d bytes", ch.total)
		}
		room += ch.total
		used++
	}
	return true, r.fill(p, i, chains[:used], need, hdrLen)
}

// fill writes the header and the frames of a packet through chains.
func (r *ring) fill(p *packet.Pool, i packet.Index, chains []chain, need uint64, hdrLen int) error {
	var hdr [12]byte
	var h [vnet.HdrSize]byte
	vnet.EncodeHeader(p, i, &h)
	copy(hdr[:], h[:])
	hdr[10], hdr[11] = byte(len(chains)), byte(len(chains)>>8)
	w := reader{mem: r.mem, segs: chains[0].segs}
	cur, left := 0, min(need, chains[0].total) // bytes for the current chain
	out := func(src []byte) error {
		for len(src) > 0 {
			if left == 0 {
				cur++
				w = reader{mem: r.mem, segs: chains[cur].segs}
				left = chains[cur].total
			}
			n := int(min(uint64(len(src)), left))
			if err := w.write(src[:n]); err != nil {
				return err
			}
			src, left = src[n:], left-uint64(n)
		}
		return nil
	}
	if err := out(hdr[:hdrLen]); err != nil {
		return err
	}
	for f := i; f != 0; f = p.Meta(f).Next {
		if err := out(p.Data(f)); err != nil {
			return err
		}
	}
	rest := need
	for k := range chains {
		n := min(rest, chains[k].total)
		r.put(&chains[k], uint32(n))
		rest -= n
	}
	return nil
}
