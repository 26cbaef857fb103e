// Package vnet moves packets with a struct virtio_net_hdr in front between the
// datapath's frames and a socket or tap descriptor: packets of up to 64 KiB whose
// segmentation and checksum are left to the next device.
//
// netdev/system (AF_PACKET with PACKET_VNET_HDR) and netdev/tap (IFF_VNET_HDR)
// use it.  It opens nothing and knows no links.
package vnet

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"sluice/netdev/packet"
)

// HdrSize is the size of struct virtio_net_hdr without num_buffers, which both
// kinds of descriptors use by default.
const HdrSize = 10

// Frames is how many frames hold the largest packet: 64 KiB of IP packet, the
// Ethernet header and tags.
const Frames = 17

// Slot is a place to receive one packet into: its frames wait for the kernel's
// data, and those that a packet did not need stay for the next one.
//
// Thread-safety: none.
type Slot struct {
	hdr    [HdrSize]byte
	frames [Frames]packet.Index
	iovs   [Frames + 1]unix.Iovec
	have   int // frames from have on are present
}

// NewSlots makes n empty slots.
func NewSlots(n int) []Slot {
	slots := make([]Slot, n)
	for i := range slots {
		slots[i].have = Frames
		setIov(&slots[i].iovs[0], slots[i].hdr[:])
	}
	return slots
}

// Fill completes the slot's frames; it reports whether there was memory.
func (s *Slot) Fill(c *packet.Cache) bool {
	for s.have > 0 {
		i := c.Alloc()
		if i == 0 {
			return false
		}
		s.have--
		s.frames[s.have] = i
		f := c.Pool().Frame(i)
		if s.have == 0 {
			f = f[packet.Headroom:]
		}
		setIov(&s.iovs[s.have+1], f)
	}
	return true
}

// Free gives up the slot's frames.
func (s *Slot) Free(c *packet.Cache) {
	for ; s.have < Frames; s.have++ {
		c.Free(s.frames[s.have])
	}
}

// Take makes a packet of the n bytes, header included, that the kernel wrote
// into the slot, 0 when they are no packet.
func (s *Slot) Take(p *packet.Pool, n int) packet.Index {
	n -= HdrSize
	if n < 14 {
		return 0
	}
	first := s.frames[0]
	p.Meta(first).Len = uint32(n)
	last := packet.Index(0)
	for n > 0 && s.have < Frames {
		i := s.frames[s.have]
		m := p.Meta(i)
		room := packet.FrameSize
		if s.have == 0 {
			room -= packet.Headroom
		} else {
			m.Data = 0
			p.Meta(last).Next = i
		}
		m.SegLen = uint16(min(n, room))
		n -= int(m.SegLen)
		last = i
		s.have++
	}
	decode(p, first, &s.hdr)
	return first
}

// Offsets in struct virtio_net_hdr, whose fields are in host order on
// descriptors that nobody switched to another one.
const (
	offFlags      = 0
	offGSOType    = 1
	offHdrLen     = 2
	offGSOSize    = 4
	offCsumStart  = 6
	offCsumOffset = 8
)

// decode sets the metadata that a received header tells.
func decode(p *packet.Pool, i packet.Index, h *[HdrSize]byte) {
	m := p.Meta(i)
	if h[offGSOType] != unix.VIRTIO_NET_HDR_GSO_NONE {
		m.GSOType = h[offGSOType]
		m.GSOSize = binary.NativeEndian.Uint16(h[offGSOSize:])
	}
	switch {
	case h[offFlags]&unix.VIRTIO_NET_HDR_F_NEEDS_CSUM != 0:
		p.SetPartial(i, int(binary.NativeEndian.Uint16(h[offCsumStart:])),
			int(binary.NativeEndian.Uint16(h[offCsumOffset:])))
	case h[offFlags]&unix.VIRTIO_NET_HDR_F_DATA_VALID != 0:
		m.Csum = packet.CsumGood
	}
}

// encode writes the header for packet i.
func encode(p *packet.Pool, i packet.Index, h *[HdrSize]byte) {
	*h = [HdrSize]byte{}
	m := p.Meta(i)
	if m.Csum != packet.CsumPartial && m.GSOType == packet.GSONone {
		return
	}
	start, offset, ok := p.Partial(i)
	if !ok || start+offset+2 > len(p.Data(i)) {
		p.CompleteCsum(i)
		return
	}
	h[offFlags] = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
	binary.NativeEndian.PutUint16(h[offCsumStart:], uint16(start))
	binary.NativeEndian.PutUint16(h[offCsumOffset:], uint16(offset))
	if m.GSOType == packet.GSONone {
		return
	}
	size := 8 // UDP
	if b := p.Data(i); m.GSOType&^packet.GSOECN != packet.GSOUDPL4 && start+13 <= len(b) {
		size = int(b[start+12]>>4) * 4
	}
	h[offGSOType] = m.GSOType
	binary.NativeEndian.PutUint16(h[offGSOSize:], m.GSOSize)
	binary.NativeEndian.PutUint16(h[offHdrLen:], uint16(start+size))
}

// DecodeHeader sets the metadata of packet i that a struct virtio_net_hdr from
// elsewhere (a virtual machine) tells.
func DecodeHeader(p *packet.Pool, i packet.Index, h *[HdrSize]byte) { decode(p, i, h) }

// EncodeHeader writes the struct virtio_net_hdr for packet i.
func EncodeHeader(p *packet.Pool, i packet.Index, h *[HdrSize]byte) { encode(p, i, h) }
