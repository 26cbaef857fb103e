package exec

import (
	"encoding/binary"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/netdev/packet"
)

// The functions in this file push and pop headers and keep the offsets of the
// layers right.  A packet that has no room for a header, or lacks the one that an
// action names, stays as it is.

func isVLAN(t uint16) bool { return t == flow.EthVLAN || t == flow.EthQinQ }

func isMPLS(t uint16) bool { return t == flow.EthMPLS || t == flow.EthMPLSMc }

// insert makes room for n bytes at offset at, moving what is before it forward;
// offsets of layers that begin at or behind at grow.
func (x *Executor) insert(i packet.Index, at, n int) bool {
	if !x.p.PushHead(i, n) {
		return false
	}
	b := x.p.Data(i)
	copy(b[:at], b[n:n+at])
	return true
}

// cutOut removes n bytes at offset at.
func (x *Executor) cutOut(i packet.Index, at, n int) bool {
	b := x.p.Data(i)
	if at+n > len(b) {
		return false
	}
	copy(b[n:n+at], b[:at])
	return x.p.PullHead(i, n)
}

func (x *Executor) isEth(i packet.Index) bool {
	return x.p.Meta(i).PacketType == flow.PacketTypeEth && len(x.p.Data(i)) >= 14
}

func (x *Executor) pushVLAN(i packet.Index, v flow.VLAN) {
	if !x.isEth(i) || !x.insert(i, 12, 4) {
		return
	}
	b := x.p.Data(i)
	binary.BigEndian.PutUint16(b[12:], v.TPID)
	binary.BigEndian.PutUint16(b[14:], v.TCI&^flow.VLANCFI)
}

func (x *Executor) popVLAN(i packet.Index) {
	b := x.p.Data(i)
	if !x.isEth(i) || len(b) < 18 || !isVLAN(binary.BigEndian.Uint16(b[12:])) {
		return
	}
	x.cutOut(i, 12, 4)
}

// setEthertype changes the type of what follows the Ethernet header and tags.
func (x *Executor) setEthertype(i packet.Index, t uint16) {
	m := x.p.Meta(i)
	b := x.p.Data(i)
	if m.PacketType != flow.PacketTypeEth || len(b) < 14 {
		return
	}
	at := 12
	if isVLAN(binary.BigEndian.Uint16(b[12:])) {
		at = int(m.L3) - 2
		if m.L25 != packet.NoLayer {
			at = int(m.L25) - 2
		}
	}
	if at >= 0 && at+2 <= len(b) {
		binary.BigEndian.PutUint16(b[at:], t)
	}
}

func (x *Executor) pushMPLS(i packet.Index, t uint16, lse uint32) {
	m := x.p.Meta(i)
	if !isMPLS(t) || x.layer(i, m.L3, 0) == nil {
		return
	}
	x.Hash(i)
	if !x.p.PushHead(i, 4) {
		return
	}
	// PushHead moved the layers; the label stack begins where it did before.
	if m.L25 == packet.NoLayer {
		m.L25 = m.L3
	}
	m.L25 -= 4
	at := int(m.L25)
	b := x.p.Data(i)
	copy(b[:at], b[4:4+at])
	binary.BigEndian.PutUint32(b[at:], lse)
	x.setEthertype(i, t)
	x.clearCT(i)
}

// addMPLS pushes a label behind the Ethernet header, or in front of it: then the
// packet is an MPLS packet that carries an Ethernet frame.
func (x *Executor) addMPLS(i packet.Index, t uint16, lse uint32, l3 bool) {
	if !isMPLS(t) {
		return
	}
	if l3 {
		x.pushMPLS(i, t, lse)
	} else if x.p.PushHead(i, 4) {
		m := x.p.Meta(i)
		binary.BigEndian.PutUint32(x.p.Data(i), lse)
		m.L25 = 0
		m.PacketType = 1<<16 | uint32(t)
	}
	x.clearCT(i)
}

func (x *Executor) popMPLS(i packet.Index, t uint16) {
	m := x.p.Meta(i)
	if m.L25 == packet.NoLayer || int(m.L25)+4 > len(x.p.Data(i)) {
		return
	}
	at := m.L25
	lse := binary.BigEndian.Uint32(x.p.Data(i)[at:])
	x.setEthertype(i, t)
	l3, l4 := m.L3, m.L4
	if !x.cutOut(i, int(at), 4) {
		return
	}
	m.L3, m.L4 = less4(l3), less4(l4)
	m.L25 = at
	if lse&0x100 != 0 {
		m.L25 = packet.NoLayer
	}
	m.Offload &^= packet.HashValid // the hash of what the labels hid differs
	if at != 0 {
		return
	}
	// Without an Ethernet header the packet's type is all that names the payload.
	m.PacketType = 1<<16 | uint32(t)
	if t == flow.EthTEB {
		m.PacketType = flow.PacketTypeEth
	}
}

func less4(o uint16) uint16 {
	if o == packet.NoLayer || o < 4 {
		return o
	}
	return o - 4
}

func (x *Executor) pushEth(i packet.Index, e *odp.EthArg) {
	m := x.p.Meta(i)
	if m.PacketType == flow.PacketTypeEth || !x.p.PushHead(i, 14) {
		return
	}
	b := x.p.Data(i)
	copy(b, e.Dst[:])
	copy(b[6:], e.Src[:])
	binary.BigEndian.PutUint16(b[12:], uint16(m.PacketType))
	m.PacketType = flow.PacketTypeEth
}

func (x *Executor) popEth(i packet.Index) {
	m := x.p.Meta(i)
	at := m.L3
	if m.L25 != packet.NoLayer {
		at = m.L25
	}
	if !x.isEth(i) || at == packet.NoLayer || at < 14 || int(at) > len(x.p.Data(i)) {
		return
	}
	t := binary.BigEndian.Uint16(x.p.Data(i)[at-2:])
	x.p.PullHead(i, int(at))
	m.PacketType = 1<<16 | uint32(t)
}

// Next protocols of a network service header.
const (
	nshIPv4 = 1
	nshIPv6 = 2
	nshEth  = 3
	nshNSH  = 4
)

func (x *Executor) pushNSH(i packet.Index, n *flow.NSH, md2 []byte) {
	m := x.p.Meta(i)
	var np uint8
	switch m.PacketType {
	case flow.PacketTypeEth:
		np = nshEth
	case flow.PacketTypeIPv4:
		np = nshIPv4
	case flow.PacketTypeIPv6:
		np = nshIPv6
	case flow.PacketTypeNSH:
		np = nshNSH
	default:
		return
	}
	size := 8
	if n.MDType == 1 {
		size = 24
	} else {
		size += min(len(md2)&^3, maxMD2)
	}
	x.Hash(i)
	if !x.p.PushHead(i, size) {
		return
	}
	b := x.p.Data(i)
	clear(b[:size])
	b[2], b[3] = n.MDType, np
	writeNSH(b, n, size)
	if n.MDType != 1 {
		copy(b[8:size], md2)
	}
	m.PacketType = flow.PacketTypeNSH
	m.L25, m.L3, m.L4 = packet.NoLayer, 0, packet.NoLayer
}

// maxMD2 is the most bytes of context headers of an NSH header of MD type 2.
const maxMD2 = 248

// writeNSH writes what is settable of a header of size bytes.
func writeNSH(b []byte, n *flow.NSH, size int) {
	binary.BigEndian.PutUint16(b, uint16(n.Flags&3)<<12|uint16(n.TTL&0x3f)<<6|uint16(size/4)&0x3f)
	binary.BigEndian.PutUint32(b[4:], n.PathHdr)
	if b[2] == 1 && size >= 24 {
		for w, v := range n.Context {
			binary.BigEndian.PutUint32(b[8+4*w:], v)
		}
	}
}

// popNSH removes the header of every packet; a packet whose payload is unknown is
// dropped.  The packets must be recirculated for further processing.
func (x *Executor) popNSH(b *packet.Batch) {
	n := 0
	for _, i := range b.Slice() {
		if x.popOneNSH(i) {
			b.Pkts[n] = i
			n++
		} else {
			cNSHError.Inc()
			x.c.Free(i)
		}
	}
	b.N = n
}

func (x *Executor) popOneNSH(i packet.Index) bool {
	m := x.p.Meta(i)
	b := x.p.Data(i)
	if m.PacketType != flow.PacketTypeNSH || len(b) < 8 {
		return true
	}
	var next uint32
	switch b[3] {
	case nshEth:
		next = flow.PacketTypeEth
	case nshIPv4:
		next = flow.PacketTypeIPv4
	case nshIPv6:
		next = flow.PacketTypeIPv6
	case nshNSH:
		next = flow.PacketTypeNSH
	default:
		return false
	}
	if !x.p.PullHead(i, int(binary.BigEndian.Uint16(b)&0x3f)*4) {
		return false
	}
	m.PacketType = next
	m.L25, m.L3, m.L4 = packet.NoLayer, packet.NoLayer, packet.NoLayer
	return true
}
