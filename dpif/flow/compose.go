package flow

import "encoding/binary"

// A composed packet is one whose extraction gives the flow that it was made from:
// for tests that describe packets as flows (netdev-dummy/receive) and for traces
// with -generate.

// DefaultPayload is how many bytes of payload such packets have.
const DefaultPayload = 64

// Compose builds a packet for f with payload bytes of counting numbers after its
// transport header, where the protocol and type have any.  Lengths and checksums
// are right.
func Compose(f *Flow, payload int) []byte {
	c := composer{f: f}
	c.ethernet()
	switch f.DLType {
	case EthIPv4, EthIPv6:
		c.ip(payload)
	case EthARP, EthRARP:
		c.arp()
	case EthMPLS, EthMPLSMc:
		c.mpls()
	}
	return c.b
}

// Grow makes a composed packet size bytes long, padding it with zeros that belong
// to its payload.  It reports false when the packet is longer already.
func Grow(b []byte, f *Flow, size int) ([]byte, bool) {
	if len(b) > size {
		return nil, false
	}
	extra := size - len(b)
	c := composer{f: f, b: append(b, make([]byte, extra)...)}
	switch {
	case f.DLType == DLTypeNone:
		binary.BigEndian.PutUint16(c.b[12:], uint16(len(c.b)))
	case extra > 0 && (f.DLType == EthIPv4 || f.DLType == EthIPv6):
		c.l3 = 14
		for _, v := range f.VLANs {
			if v.TCI&VLANCFI != 0 {
				c.l3 += 4
			}
		}
		c.l4 = c.l3 + 20
		if f.DLType == EthIPv6 {
			c.l4 = c.l3 + 40
		}
		if f.NwProto == protoUDP && f.NwFrag&NwFragLater == 0 {
			binary.BigEndian.PutUint16(c.b[c.l4+4:], uint16(len(c.b)-c.l4+extra))
		}
		c.finishIP()
	}
	return c.b, true
}

// composer appends headers to b; l3 and l4 are where they begin.
type composer struct {
	f      *Flow
	b      []byte
	l3, l4 int
}

func (c *composer) u16(v uint16) { c.b = binary.BigEndian.AppendUint16(c.b, v) }
func (c *composer) u32(v uint32) { c.b = binary.BigEndian.AppendUint32(c.b, v) }

func (c *composer) ethernet() {
	f := c.f
	c.b = append(append(c.b, f.DLDst[:]...), f.DLSrc[:]...)
	if f.DLType == DLTypeNone {
		c.u16(14) // an 802.3 frame: its length
		return
	}
	for _, v := range f.VLANs {
		if v.TCI&VLANCFI != 0 {
			c.u16(v.TPID)
			c.u16(v.TCI &^ VLANCFI)
		}
	}
	c.u16(f.DLType)
	c.l3 = len(c.b)
}

func (c *composer) ip(payload int) {
	f := c.f
	if f.DLType == EthIPv4 {
		c.b = append(c.b, 0x45, f.NwTOS, 0, 0, 0, 0)
		var frag uint16
		if f.NwFrag&NwFragAny != 0 {
			frag = 0x2000
			if f.NwFrag&NwFragLater != 0 {
				frag |= 100
			}
		}
		c.u16(frag)
		c.b = append(c.b, f.NwTTL, f.NwProto, 0, 0)
		c.u32(f.NwSrc)
		c.u32(f.NwDst)
	} else {
		c.u32(6<<28 | uint32(f.NwTOS)<<20 | f.IPv6Label)
		c.b = append(c.b, 0, 0, f.NwProto, f.NwTTL)
		c.b = append(append(c.b, f.IPv6Src[:]...), f.IPv6Dst[:]...)
	}
	c.l4 = len(c.b)
	if f.NwFrag&NwFragLater == 0 {
		c.transport(payload)
	}
	c.finishIP()
}

func (c *composer) transport(payload int) {
	f := c.f
	switch f.NwProto {
	case protoTCP:
		c.u16(f.TpSrc)
		c.u16(f.TpDst)
		c.u32(0)
		c.u32(0)
		c.u16(5<<12 | f.TCPFlags&0xfff)
		c.b = append(c.b, 0, 0, 0, 0, 0, 0)
		const synFinRst = 7
		if f.TCPFlags&synFinRst == 0 {
			c.payload(payload)
		}
	case protoUDP:
		c.u16(f.TpSrc)
		c.u16(f.TpDst)
		c.u16(uint16(8 + payload))
		c.u16(0)
		c.payload(payload)
	case protoSCTP:
		c.u16(f.TpSrc)
		c.u16(f.TpDst)
		c.b = append(c.b, make([]byte, 8)...)
	case protoICMP:
		c.b = append(c.b, byte(f.TpSrc), byte(f.TpDst), 0, 0, 0, 0, 0, 0)
		if (f.TpSrc == 8 || f.TpSrc == 0) && f.TpDst == 0 {
			c.payload(payload)
		}
	case protoIGMP:
		c.b = append(c.b, byte(f.TpSrc), byte(f.TpDst), 0, 0)
		c.u32(f.IGMPGroup)
	case protoICMPv6:
		c.icmpv6(payload)
	}
}

func (c *composer) icmpv6(payload int) {
	f := c.f
	c.b = append(c.b, byte(f.TpSrc), byte(f.TpDst), 0, 0)
	c.u32(f.IGMPGroup)
	switch {
	case f.TpDst != 0:
	case f.TpSrc == 135 || f.TpSrc == 136: // neighbour solicitation, advertisement
		c.b = append(c.b, f.NDTarget[:]...)
		if f.ARPSha != (MAC{}) {
			c.b = append(append(c.b, 1, 1), f.ARPSha[:]...)
		}
		if f.ARPTha != (MAC{}) {
			c.b = append(append(c.b, 2, 1), f.ARPTha[:]...)
		}
	case f.TpSrc == 128 || f.TpSrc == 129: // echo
		c.payload(payload)
	}
}

func (c *composer) payload(n int) {
	for i := range n {
		c.b = append(c.b, byte(i))
	}
}

// finishIP fills in lengths and checksums from l3 to the end.
func (c *composer) finishIP() {
	be := binary.BigEndian
	f, ip, l4 := c.f, c.b[c.l3:], c.b[c.l4:]
	var pseudo uint32
	if f.DLType == EthIPv4 {
		be.PutUint16(ip[2:], uint16(len(ip)))
		be.PutUint16(ip[10:], 0)
		be.PutUint16(ip[10:], finish(sum(ip[:20], 0)))
		pseudo = sum(ip[12:20], 0)
	} else {
		be.PutUint16(ip[4:], uint16(len(l4)))
		pseudo = sum(ip[8:40], 0)
	}
	if f.NwFrag&NwFragLater != 0 {
		return
	}
	pseudo += uint32(f.NwProto) + uint32(len(l4))
	at := 2
	switch f.NwProto {
	case protoTCP:
		at = 16
	case protoUDP:
		at = 6
	case protoICMP, protoIGMP:
		pseudo = 0
	case protoICMPv6:
	default:
		return
	}
	be.PutUint16(l4[at:], 0)
	v := finish(sum(l4, pseudo))
	if f.NwProto == protoUDP && v == 0 {
		v = 0xffff
	}
	be.PutUint16(l4[at:], v)
}

// sum adds 16-bit words to a ones-complement sum; finish folds and inverts it.
func sum(b []byte, s uint32) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func finish(s uint32) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

func (c *composer) arp() {
	f := c.f
	c.u16(1)
	c.u16(EthIPv4)
	c.b = append(c.b, 6, 4)
	c.u16(uint16(f.NwProto))
	if f.NwProto != 1 && f.NwProto != 2 {
		c.b = append(c.b, make([]byte, 20)...)
		return
	}
	c.b = append(c.b, f.ARPSha[:]...)
	c.u32(f.NwSrc)
	c.b = append(c.b, f.ARPTha[:]...)
	c.u32(f.NwDst)
}

func (c *composer) mpls() {
	for _, lse := range c.f.MPLS[:MaxMPLSLabels] {
		c.u32(lse)
		if lse&(1<<8) != 0 {
			break
		}
	}
}
