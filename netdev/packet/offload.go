package packet

import (
	"encoding/binary"
	"hash/crc32"
	"iter"
)

// Ethernet types that layers knows.
const (
	etherIPv4 = 0x0800
	etherVLAN = 0x8100
	etherQinQ = 0x88a8
	etherIPv6 = 0x86dd
)

// layers finds the network and the transport header of an Ethernet frame, for
// packets that nobody extracted yet; ok is false when it has none that holds a
// checksum.
func layers(b []byte) (l3, l4 int, proto uint8, ok bool) {
	at := 12
	for at+2 <= len(b) {
		switch binary.BigEndian.Uint16(b[at:]) {
		case etherVLAN, etherQinQ:
			at += 4
			continue
		case etherIPv4, etherIPv6:
			l3 = at + 2
			l4, proto, ok = transport(b, l3)
			return l3, l4, proto, ok
		}
		break
	}
	return 0, 0, 0, false
}

// transport finds the transport header behind the network header at l3; ok is
// false in all but the first fragment.
func transport(b []byte, l3 int) (l4 int, proto uint8, ok bool) {
	if l3 >= len(b) {
		return 0, 0, false
	}
	ip := b[l3:]
	switch ip[0] >> 4 {
	case 4:
		if len(ip) < 20 || binary.BigEndian.Uint16(ip[6:])&0x1fff != 0 {
			return 0, 0, false
		}
		l4, proto = l3+int(ip[0]&15)*4, ip[9]
	case 6:
		if len(ip) < 40 {
			return 0, 0, false
		}
		l4, proto, ok = skipExtensions(b, l3+40, ip[6])
		if !ok {
			return 0, 0, false
		}
	default:
		return 0, 0, false
	}
	return l4, proto, l4 < len(b)
}

// skipExtensions walks the IPv6 extension headers that begin at offset at.
func skipExtensions(b []byte, at int, next uint8) (l4 int, proto uint8, ok bool) {
	for at+8 <= len(b) {
		switch next {
		case 0, 43, 60: // hop-by-hop, routing, destination options
			next, at = b[at], at+int(b[at+1])*8+8
		case 51: // authentication
			next, at = b[at], at+int(b[at+1])*4+8
		case 44: // fragment
			if binary.BigEndian.Uint16(b[at+2:])&0xfff8 != 0 {
				return 0, 0, false
			}
			next, at = b[at], at+8
		default:
			return at, next, true
		}
	}
	return at, next, at < len(b)
}

// locate finds the layers of packet i, by its metadata when it was extracted.
func (p *Pool) locate(i Index) (l3, l4 int, proto uint8, ok bool) {
	m := p.Meta(i)
	b := p.Data(i)
	if m.L3 == NoLayer {
		return layers(b)
	}
	l3 = int(m.L3)
	l4, proto, ok = transport(b, l3)
	return l3, l4, proto, ok
}

// l4Len is how many bytes from l4 on belong to the IP packet.
func (p *Pool) l4Len(i Index, l3, l4 int) int {
	b := p.Data(i)
	n := int(p.Meta(i).Len) - l4
	total := 0
	if b[l3]>>4 == 4 {
		total = int(binary.BigEndian.Uint16(b[l3+2:]))
	} else if v := int(binary.BigEndian.Uint16(b[l3+4:])); v != 0 {
		total = v + 40
	}
	if total != 0 {
		n = min(n, l3+total-l4)
	}
	return n
}

// SetPartial notes that the checksum at start+offset of a received packet, whose
// GSOType is set, covers only the pseudo header.  When that is not the transport
// header that the switch sees (a tunnel's inner packet) the checksum is completed at
// once, or when the packet is segmented.
func (p *Pool) SetPartial(i Index, start, offset int) {
	m := p.Meta(i)
	l3, l4, proto, ok := p.locate(i)
	switch b := p.Data(i); {
	case ok && l4 == start && csumOffset(proto) == offset:
		m.Csum = CsumPartial
	case ok && l4 == start && proto == ProtoSCTP:
		p.completeSCTP(i, l4, p.l4Len(i, l3, l4))
	case offset == sctpCsum:
		p.completeSCTP(i, start, int(m.Len)-start)
	case m.GSOType != GSONone:
		m.Cold |= ColdInner
		p.Cold(i).Inner = uint64(max(start-l4, 0))
	case start+offset+2 <= len(b):
		p.complete(i, start, int(m.Len)-start, offset, false)
	}
}

// MakePartial makes the checksum of a packet whose bytes are beyond doubt partial, as
// that of a GSO packet has to be.
func (p *Pool) MakePartial(i Index) {
	l3, l4, proto, ok := p.locate(i)
	at := csumOffset(proto)
	b := p.Data(i)
	if !ok || at < 0 || l4+at+2 > len(b) {
		return
	}
	binary.BigEndian.PutUint16(b[l4+at:], PseudoSum(b[l3:], proto, p.l4Len(i, l3, l4)))
	p.Meta(i).Csum = CsumPartial
}

// DetectPartial sets the checksum state of a packet that came without one: a
// field that equals the pseudo header's sum is partial.  That of a tunnel's inner
// packet and of SCTP, where the host leaves zero, are completed at once.
func (p *Pool) DetectPartial(i Index) {
	l3, l4, proto, ok := p.locate(i)
	if !ok {
		return
	}
	p.completeInner(i, l4, proto)
	p.detectSCTP(i, l3, l4, proto)
	if p.isPartial(i, l3, l4, proto) {
		p.Meta(i).Csum = CsumPartial
	}
}

// isPartial compares the checksum field of a transport header to the pseudo
// header's sum.
func (p *Pool) isPartial(i Index, l3, l4 int, proto uint8) bool {
	at := csumOffset(proto)
	b := p.Data(i)
	if at < 0 || l4+at+2 > len(b) {
		return false
	}
	v := binary.BigEndian.Uint16(b[l4+at:])
	return v != 0 && v == PseudoSum(b[l3:], proto, p.l4Len(i, l3, l4))
}

// Partial returns where the transport header of a packet with a partial checksum
// begins and where in it the checksum is, for devices that complete it.
func (p *Pool) Partial(i Index) (start, offset int, ok bool) {
	_, l4, proto, ok := p.locate(i)
	offset = csumOffset(proto)
	if !ok || offset < 0 {
		return 0, 0, false
	}
	return l4, offset, true
}

// CompleteCsum finishes a partial checksum in software.
func (p *Pool) CompleteCsum(i Index) {
	m := p.Meta(i)
	if m.Csum != CsumPartial {
		return
	}
	m.Csum = CsumUnknown
	l3, l4, proto, ok := p.locate(i)
	at := csumOffset(proto)
	if !ok || at < 0 || l4+at+2 > len(p.Data(i)) {
		return
	}
	p.complete(i, l4, p.l4Len(i, l3, l4), at, proto == ProtoUDP)
	m.Csum = CsumGood
}

// complete stores the checksum of n bytes from start at start+offset, whose value
// before is part of the sum.
func (p *Pool) complete(i Index, start, n, offset int, udp bool) {
	csum := ^p.sumFrom(i, start, n)
	if csum == 0 && udp {
		csum = 0xffff
	}
	binary.BigEndian.PutUint16(p.Data(i)[start+offset:], csum)
}

// Bytes of an SCTP common header, and where in it the CRC32c is (RFC 9260 section 3.1).
const (
	sctpLen  = 12
	sctpCsum = 8
)

// completeSCTP stores the CRC32c of the n bytes of an SCTP packet.
func (p *Pool) completeSCTP(i Index, start, n int) {
	b := p.Data(i)
	if start+sctpLen > len(b) {
		return
	}
	field := b[start+sctpCsum:]
	binary.LittleEndian.PutUint32(field, 0)
	binary.LittleEndian.PutUint32(field, p.CRC32C(i, start, n))
}

// detectSCTP completes a CRC that a host left to others; it leaves zero then.
func (p *Pool) detectSCTP(i Index, l3, l4 int, proto uint8) {
	if b := p.Data(i)[l4:]; proto == ProtoSCTP && len(b) >= sctpLen && binary.LittleEndian.Uint32(b[sctpCsum:]) == 0 {
		p.completeSCTP(i, l4, p.l4Len(i, l3, l4))
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC32C is the checksum of SCTP (RFC 9260 appendix A) of n bytes of packet i from
// offset start, over all frames.
func (p *Pool) CRC32C(i Index, start, n int) (crc uint32) {
	for b := range p.part(i, start, n) {
		crc = crc32.Update(crc, castagnoli, b)
	}
	return crc
}

// sumFrom is the ones-complement sum of n bytes from start, over all frames.
func (p *Pool) sumFrom(i Index, start, n int) uint16 {
	var acc uint16
	odd := false
	for b := range p.part(i, start, n) {
		s := Sum(b, 0)
		if odd {
			s = s<<8 | s>>8
		}
		acc = fold(uint64(acc) + uint64(s))
		odd = odd != (len(b)&1 == 1)
	}
	return acc
}

// part yields n bytes of a packet from offset start, frame by frame.
func (p *Pool) part(i Index, start, n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for ; i != 0 && n > 0; i = p.Meta(i).Next {
			b := p.Data(i)
			if start >= len(b) {
				start -= len(b)
				continue
			}
			b = b[start:min(len(b), start+n)]
			start = 0
			n -= len(b)
			if !yield(b) {
				return
			}
		}
	}
}

// CsumOK verifies the transport checksum of packet i; partial ones, those of tunnel
// packets that are to be segmented and packets without any are fine.
func (p *Pool) CsumOK(i Index) bool {
	m := p.Meta(i)
	if m.Csum == CsumPartial || m.Csum == CsumGood || m.Cold&ColdInner != 0 {
		return true
	}
	if m.Csum == CsumBad {
		return false
	}
	l3, l4, proto, ok := p.locate(i)
	at := csumOffset(proto)
	b := p.Data(i)
	if !ok || at < 0 || l4+at+2 > len(b) {
		return true
	}
	if proto == ProtoUDP && binary.BigEndian.Uint16(b[l4+at:]) == 0 {
		return true
	}
	n := p.l4Len(i, l3, l4)
	sum := fold(uint64(PseudoSum(b[l3:], proto, n)) + uint64(p.sumFrom(i, l4, n)))
	if sum != 0xffff {
		m.Csum = CsumBad
		return false
	}
	m.Csum = CsumGood
	return true
}

// ChecksumFrom is the internet checksum of packet i from offset start to its end,
// over all frames; 0 if that includes a right one.
func (p *Pool) ChecksumFrom(i Index, start int) uint16 {
	return ^p.sumFrom(i, start, int(p.Meta(i).Len)-start)
}
