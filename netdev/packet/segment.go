package packet

import "encoding/binary"

// TCP flags that differ between the segments of a packet.
const (
	tcpFIN = 0x01
	tcpPSH = 0x08
	tcpCWR = 0x80
)

// Segmenter cuts a GSO packet into packets of at most GSOSize bytes of payload,
// for ports that cannot: Start, then Next until it returns 0.  The packets that
// it makes have partial checksums; of those in a tunnel (ColdInner) the inner checksum
// is complete and the tunnel's own, if it has one, is partial.
type Segmenter struct {
	c      *Cache
	src    Index
	l3, l4 int
	hdrLen int // bytes of all headers
	outer  outer
	left   int // payload bytes not yet sent
	done   int // payload bytes sent
	mss    int
	n      int // segments made
	udp    bool
	at     Index // frame that the cursor is in
	off    int   // cursor in that frame's data
}

// outer is the headers of a tunnel around the packet that is cut; the zero value:
// there is none.
type outer struct {
	l3, l4 int
	proto  uint8
}

// Start begins to segment packet i, which stays the caller's.  It fails when the
// packet is not what its GSOType says.
func (s *Segmenter) Start(c *Cache, i Index) bool {
	p := c.pool
	m := p.Meta(i)
	l3, l4, proto, ok := p.locate(i)
	b := p.Data(i)
	var around outer
	if ok && m.Cold&ColdInner != 0 {
		around = outer{l3, l4, proto}
		l3, l4, proto, ok = p.inner(i, l4)
	}
	*s = Segmenter{c: c, src: i, l3: l3, l4: l4, outer: around, mss: int(m.GSOSize), at: i}
	if !ok || s.mss == 0 {
		return false
	}
	switch {
	case proto == ProtoTCP && l4+20 <= len(b):
		s.hdrLen = l4 + int(b[l4+12]>>4)*4
		ok = s.hdrLen >= l4+20
	case proto == ProtoUDP && l4+8 <= len(b) && m.GSOType&^GSOECN == GSOUDPL4:
		s.hdrLen, s.udp = l4+8, true
	default:
		return false
	}
	if !ok || s.hdrLen > len(b) || s.hdrLen+Headroom > FrameSize {
		return false
	}
	s.left = l4 + p.l4Len(i, l3, l4) - s.hdrLen
	s.off = s.hdrLen
	return s.left > 0
}

// Next returns the next segment, 0 at the end or when the memory is exhausted.
func (s *Segmenter) Next() Index {
	if s.left == 0 {
		return 0
	}
	p := s.c.pool
	j := s.c.Alloc()
	if j == 0 {
		s.left = 0
		return 0
	}
	n := min(s.left, s.mss)
	m := p.Meta(j)
	*m = *p.Meta(s.src)
	m.Next, m.Data, m.L2Pad = 0, Headroom, 0
	m.GSOType, m.GSOSize = GSONone, 0
	m.Len = uint32(s.hdrLen + n)
	m.Cold = 0
	f := p.Frame(j)[Headroom:]
	copy(f, p.Data(s.src)[:s.hdrLen])
	room := min(n, len(f)-s.hdrLen)
	s.read(f[s.hdrLen : s.hdrLen+room])
	m.SegLen = uint16(s.hdrLen + room)
	if !s.readRest(j, n-room) {
		s.c.Free(j)
		s.left = 0
		return 0
	}
	s.left -= n
	s.fixHeaders(j, f, n)
	s.done += n
	s.n++
	return j
}

// readRest chains frames with n more payload bytes behind frame last.
func (s *Segmenter) readRest(last Index, n int) bool {
	p := s.c.pool
	for n > 0 {
		j := s.c.Alloc()
		if j == 0 {
			return false
		}
		k := min(n, FrameSize)
		m := p.Meta(j)
		m.Data, m.SegLen = 0, uint16(k)
		s.read(p.Frame(j)[:k])
		p.Meta(last).Next = j
		last = j
		n -= k
	}
	return true
}

// read copies the next len(dst) payload bytes.
func (s *Segmenter) read(dst []byte) {
	p := s.c.pool
	for len(dst) > 0 && s.at != 0 {
		n := copy(dst, p.Data(s.at)[s.off:])
		dst = dst[n:]
		s.off += n
		if s.off == int(p.Meta(s.at).SegLen) {
			s.at, s.off = p.Meta(s.at).Next, 0
		}
	}
}

// fixHeaders writes lengths, ids, sequence numbers, flags and checksums of
// segment j, whose headers are at the beginning of b and payload has n bytes.
func (s *Segmenter) fixHeaders(j Index, b []byte, n int) {
	size := s.hdrLen + n
	ip := s.fixIP(b, s.l3, s.l4, size)
	l4 := b[s.l4:]
	proto, at := uint8(ProtoTCP), 16
	if s.udp {
		proto, at = ProtoUDP, 6
		binary.BigEndian.PutUint16(l4[4:], uint16(size-s.l4))
	} else {
		binary.BigEndian.PutUint32(l4[4:], binary.BigEndian.Uint32(l4[4:])+uint32(s.done))
		if s.left > 0 {
			l4[13] &^= tcpFIN | tcpPSH
		}
		if s.n > 0 {
			l4[13] &^= tcpCWR
		}
	}
	binary.BigEndian.PutUint16(l4[at:], PseudoSum(ip, proto, size-s.l4))
	if s.outer == (outer{}) {
		s.c.pool.Meta(j).Csum = CsumPartial
		return
	}
	s.c.pool.complete(j, s.l4, size-s.l4, at, s.udp)
	s.fixOuter(j, b, size)
}

// fixIP writes what depends on the segment in the IP header at l3, whose packet ends
// at size, and returns the bytes from there on.
func (s *Segmenter) fixIP(b []byte, l3, l4, size int) []byte {
	ip := b[l3:]
	if ip[0]>>4 == 4 {
		binary.BigEndian.PutUint16(ip[2:], uint16(size-l3))
		binary.BigEndian.PutUint16(ip[4:], binary.BigEndian.Uint16(ip[4:])+uint16(s.n))
		binary.BigEndian.PutUint16(ip[10:], 0)
		binary.BigEndian.PutUint16(ip[10:], Checksum(ip[:min(max(int(ip[0]&15)*4, 20), l4-l3)]))
	} else {
		binary.BigEndian.PutUint16(ip[4:], uint16(size-l3-40))
	}
	return ip
}

// fixOuter does the same for a tunnel's headers.  A checksum of the tunnel's own
// covers the inner packet with its checksum, which is complete.
func (s *Segmenter) fixOuter(j Index, b []byte, size int) {
	o := &s.outer
	p := s.c.pool
	p.Meta(j).Csum = CsumUnknown
	ip := s.fixIP(b, o.l3, o.l4, size)
	h := b[o.l4:]
	switch o.proto {
	case ProtoUDP:
		binary.BigEndian.PutUint16(h[4:], uint16(size-o.l4))
		if binary.BigEndian.Uint16(h[6:]) != 0 {
			binary.BigEndian.PutUint16(h[6:], PseudoSum(ip, ProtoUDP, size-o.l4))
			p.Meta(j).Csum = CsumPartial
		}
	case protoGRE:
		if binary.BigEndian.Uint16(h)&GRECsum != 0 {
			binary.BigEndian.PutUint16(h[4:], 0)
			binary.BigEndian.PutUint16(h[4:], p.ChecksumFrom(j, o.l4))
		}
	}
}
