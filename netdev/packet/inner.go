package packet

import "encoding/binary"

// Packets inside tunnels, as far as checksums and segmentation of hosts that leave
// both to their device make them the switch's business.

// IP protocols of tunnels, and the ports at which hosts receive those over UDP.
const (
	protoIPv4 = 4
	protoIPv6 = 41
	protoGRE  = 47

	portVXLAN      = 4789 // RFC 7348
	portVXLANLinux = 8472 // what Linux takes unless told
	portGeneve     = 6081 // RFC 8926

	// EtherTEB is the Ethernet type of a frame in a tunnel (transparent bridging).
	EtherTEB = 0x6558
)

// Bits of the first 16 bits of a GRE header (RFC 2890), and the length of one without
// options.
const (
	GRECsum = 1 << 15
	GREKey  = 1 << 13
	GRESeq  = 1 << 12
	GRELen  = 4
)

// GRESize is the length of a GRE header with these flags.
func GRESize(flags uint16) int {
	n := GRELen
	for _, f := range [...]uint16{GRECsum, GREKey, GRESeq} {
		if flags&f != 0 {
			n += 4
		}
	}
	return n
}

// tunnelled finds the network and the transport header of what the tunnel packet
// with the transport header at l4 holds.
func tunnelled(b []byte, l4 int, proto uint8) (l3, l4i int, inner uint8, ok bool) {
	at, eth := l4, true
	switch proto {
	case ProtoUDP:
		if l4+16 > len(b) {
			return 0, 0, 0, false
		}
		at += 16 // UDP's header and the tunnel's
		switch binary.BigEndian.Uint16(b[l4+2:]) {
		case portVXLAN, portVXLANLinux:
		case portGeneve:
			at += int(b[l4+8]&0x3f) * 4
			eth = binary.BigEndian.Uint16(b[l4+10:]) == EtherTEB
		default:
			return 0, 0, 0, false
		}
	case protoGRE:
		if l4+GRELen > len(b) {
			return 0, 0, 0, false
		}
		at += GRESize(binary.BigEndian.Uint16(b[l4:]))
		eth = binary.BigEndian.Uint16(b[l4+2:]) == EtherTEB
	case protoIPv4, protoIPv6:
		eth = false
	default:
		return 0, 0, 0, false
	}
	if at >= len(b) {
		return 0, 0, 0, false
	}
	if !eth {
		l4i, inner, ok = transport(b, at)
		return at, l4i, inner, ok
	}
	l3, l4i, inner, ok = layers(b[at:])
	return at + l3, at + l4i, inner, ok
}

// completeInner completes the checksum of a tunnel's inner packet if it is partial.
func (p *Pool) completeInner(i Index, l4 int, proto uint8) {
	l3, l4, proto, ok := tunnelled(p.Data(i), l4, proto)
	if !ok {
		return
	}
	p.detectSCTP(i, l3, l4, proto)
	if p.isPartial(i, l3, l4, proto) {
		p.complete(i, l4, p.l4Len(i, l3, l4), csumOffset(proto), proto == ProtoUDP)
	}
}

// inner finds the layers of the packet that Cold.Inner is about: its IP header is the
// one in front of that place that leads there and to the packet's end.
func (p *Pool) inner(i Index, outer int) (l3, l4 int, proto uint8, ok bool) {
	m := p.Meta(i)
	b := p.Data(i)
	l4 = outer + int(p.Cold(i).Inner)
	for l3 = l4 - 20; l3 >= outer && l4 < len(b); l3 -= 4 {
		if at, proto, ok := transport(b, l3); ok && at == l4 && l4+p.l4Len(i, l3, l4) == int(m.Len) {
			return l3, l4, proto, true
		}
	}
	return 0, 0, 0, false
}
