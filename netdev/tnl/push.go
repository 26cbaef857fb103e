package tnl

import (
	"sync/atomic"

	"sluice/netdev/packet"
)

// Ports is the range of UDP source ports of tunnel packets, Min included and Max
// not.
type Ports struct{ Min, Max uint16 }

// DefaultPorts is the range unless tnl/egress_port_range says otherwise: the
// ephemeral ports of Linux.
var DefaultPorts = Ports{32768, 61000}

// PortRange is a range that may change at any time.
//
// Thread-safety: any thread.  The zero value, and nil, are DefaultPorts.
type PortRange struct {
	v atomic.Uint32 // Min<<16 | Max, 0: not set
}

// Load returns the range.
func (r *PortRange) Load() Ports {
	if r == nil {
		return DefaultPorts
	}
	v := r.v.Load()
	if v == 0 {
		return DefaultPorts
	}
	return Ports{uint16(v >> 16), uint16(v)}
}

// Store sets the range.
func (r *PortRange) Store(p Ports) { r.v.Store(uint32(p.Min)<<16 | uint32(p.Max)) }

// pick spreads packets over the range by their hash, so that all packets of a
// connection take one way through the underlay.
func (r Ports) pick(hash uint32) uint16 {
	return uint16(uint64(hash)*uint64(r.Max-r.Min)>>32) + r.Min
}

// Pusher puts one header in front of packets.
type Pusher struct {
	Ports Ports
	Now   int64 // ms, for the timestamps of ERSPAN
	// Seq counts the packets of tunnels with sequence numbers.
	Seq *atomic.Uint32

	kind Kind
	h    []byte
	l4   int // offset of the header behind IP
}

// SetHeader takes a header as Params.Append builds it; it may as well have been
// typed by a user.
func (u *Pusher) SetHeader(k Kind, h []byte) Problem {
	if len(h) < etherLen+ipv4Len {
		return BadHeader
	}
	u.kind, u.h = k, h
	switch be.Uint16(h[12:]) {
	case etherIPv4:
		u.l4 = etherLen + ipv4Len
	case etherIPv6:
		u.l4 = etherLen + ipv6Len
	default:
		return BadHeader
	}
	// The rest must be long enough for what Push writes there.
	l4 := h[min(u.l4, len(h)):]
	need := 0
	switch k {
	case VXLAN:
		need = udpLen + vxlanLen
	case Geneve:
		need = udpLen + geneveLen
	case GTPU:
		need = udpLen + gtpuLen
		if len(l4) > udpLen && l4[udpLen]&gtpuSeq != 0 {
			need += gtpuOptLen
		}
	case GRE:
		need = greLen
		if len(l4) >= greLen {
			need = packet.GRESize(be.Uint16(l4))
		}
	case ERSPAN:
		need = erspanGRELen + erspanLen + erspanV1Len
		if len(l4) >= greLen && be.Uint16(l4[2:]) == protoERSPAN2 {
			need = erspanGRELen + erspanLen + erspanV2Len
		}
	default:
		return BadHeader
	}
	if len(l4) < need {
		return BadHeader
	}
	return OK
}

// Push puts the header in front of packet i, whose hash is set.  On a problem the packet is to be dropped.
func (u *Pusher) Push(p *packet.Pool, i packet.Index) Problem {
	m := p.Meta(i)
	if m.GSOType != packet.GSONone {
		return GSO
	}
	if m.Offload&packet.CsumUnmarked != 0 {
		m.Offload &^= packet.CsumUnmarked
		p.DetectPartial(i)
	}
	p.CompleteCsum(i)
	payload := int(m.Len)
	if payload+len(u.h)-etherLen > 0xffff {
		return TooLong
	}
	if !p.PushHead(i, len(u.h)) {
		return NoRoom
	}
	b := p.Data(i)
	copy(b, u.h)
	m.PacketType = typeEth
	m.L25, m.L3, m.L4, m.L2Pad = packet.NoLayer, etherLen, uint16(u.l4), 0
	m.Csum = packet.CsumUnknown
	ip, l4 := b[etherLen:], b[u.l4:]
	size := payload + len(u.h) - u.l4
	if u.l4 == etherLen+ipv4Len {
		be.PutUint16(ip[2:], uint16(size+ipv4Len))
		be.PutUint16(ip[10:], 0)
		be.PutUint16(ip[10:], packet.Checksum(ip[:ipv4Len]))
	} else {
		be.PutUint16(ip[4:], uint16(size))
	}
	switch u.kind {
	case GRE:
		u.pushGRE(p, i, l4)
	case ERSPAN:
		u.pushERSPAN(l4)
	case GTPU:
		u.pushGTPU(l4[udpLen:], payload)
		fallthrough
	default:
		be.PutUint16(l4, u.Ports.pick(m.Hash))
		be.PutUint16(l4[4:], uint16(size))
		if be.Uint16(l4[6:]) != 0 {
			be.PutUint16(l4[6:], packet.PseudoSum(ip, protoUDP, size))
			m.Csum = packet.CsumPartial
		}
	}
	return OK
}

func (u *Pusher) pushGRE(p *packet.Pool, i packet.Index, l4 []byte) {
	flags := be.Uint16(l4)
	if flags&greSeq != 0 {
		be.PutUint32(l4[packet.GRESize(flags)-4:], u.Seq.Add(1)-1)
	}
	if flags&greCsum != 0 {
		be.PutUint16(l4[4:], 0)
		be.PutUint16(l4[4:], p.ChecksumFrom(i, u.l4))
	}
}

func (u *Pusher) pushERSPAN(l4 []byte) {
	be.PutUint32(l4[greLen:], u.Seq.Add(1)-1)
	if be.Uint16(l4[2:]) == protoERSPAN2 {
		// Granularity 0: units of 100 µs.
		be.PutUint32(l4[erspanGRELen+erspanLen:], uint32(u.Now*10))
	}
}

func (u *Pusher) pushGTPU(h []byte, payload int) {
	if h[0]&gtpuSeq != 0 {
		be.PutUint16(h[gtpuLen:], uint16(u.Seq.Add(1)-1))
		payload += gtpuOptLen
	}
	be.PutUint16(h[2:], uint16(payload))
}
