package conntrack

import (
	"encoding/binary"

	"sluice/dpif/flow"
	"sluice/netdev/packet"
)

// l4Checksum is where the transport header of a packet has its checksum, and how a
// change in what it covers changes it.
type l4Checksum struct {
	field   []byte // nil: none
	udp     bool
	partial bool // the field holds the sum of the pseudo header alone
}

// checksumOf finds the checksum of the transport header h.
func checksumOf(proto uint8, h []byte, partial bool) l4Checksum {
	at := -1
	switch proto {
	case protoTCP:
		at = 16
	case protoUDP:
		at = 6
	case protoICMPv6:
		at = 2
	}
	if at < 0 || at+2 > len(h) {
		return l4Checksum{}
	}
	c := l4Checksum{field: h[at : at+2], udp: proto == protoUDP, partial: partial}
	if c.udp && !partial && c.field[0]|c.field[1] == 0 {
		return l4Checksum{} // the sender left it out
	}
	return c
}

// replace copies after over before, which the checksum covers as part of the
// pseudo header or of the data.
func (c *l4Checksum) replace(before, after []byte, pseudo bool) {
	if c.field != nil && (pseudo || !c.partial) {
		sum := binary.BigEndian.Uint16(c.field)
		if c.partial {
			sum = ^sum
		}
		for n := 0; n < len(before); n += 2 {
			sum = packet.Recalc16(sum, binary.BigEndian.Uint16(before[n:]), binary.BigEndian.Uint16(after[n:]))
		}
		if c.partial {
			sum = ^sum
		} else if c.udp && sum == 0 {
			sum = 0xffff
		}
		binary.BigEndian.PutUint16(c.field, sum)
	}
	copy(before, after)
}

// setAddr sets the source or destination address of the IP header ip.
func setAddr(ip []byte, a *flow.IPv6, src bool, c *l4Checksum) {
	if ip[0]>>4 == 6 {
		at := 24
		if src {
			at = 8
		}
		c.replace(ip[at:at+16], a[:], true)
		return
	}
	at := 16
	if src {
		at = 12
	}
	before := binary.BigEndian.Uint32(ip[at:])
	sum := packet.Recalc32(binary.BigEndian.Uint16(ip[10:]), before, v4(a))
	binary.BigEndian.PutUint16(ip[10:], sum)
	c.replace(ip[at:at+4], a[12:], true)
}

// setPorts sets both ports of the transport header h.
func setPorts(h []byte, src, dst uint16, c *l4Checksum) {
	var after [4]byte
	binary.BigEndian.PutUint16(after[:], src)
	binary.BigEndian.PutUint16(after[2:], dst)
	if [4]byte(h[:4]) != after {
		c.replace(h[:4], after[:], false)
	}
}

// translate gives a packet of s the addresses and ports that its receiver knows
// the connection by, and notes it in the packet's state.
func (v *view) translate(s *slot, reply bool) {
	src, to := s.nat&natSrc != 0, &s.rev
	if reply {
		src, to = !src, &s.key
	}
	addr := &to.src.addr // of the destination
	if src {
		v.m.CTState |= flow.CTSrcNAT
		addr = &to.dst.addr
	} else {
		v.m.CTState |= flow.CTDstNAT
	}
	h := v.b[v.l4:]
	partial := v.m.Csum == packet.CsumPartial
	proto := s.key.proto
	if v.related {
		proto = v.outerProto()
	}
	c := checksumOf(proto, h, partial)
	setAddr(v.b[v.l3:], addr, src, &c)
	if v.related {
		v.translateQuote(to, addr, src, &c)
	} else if to.hasPorts() {
		setPorts(h, to.dst.port, to.src.port, &c)
	}
}

// outerProto is the protocol of an ICMP error.
func (v *view) outerProto() uint8 {
	if v.b[v.l3]>>4 == 6 {
		return protoICMPv6
	}
	return protoICMP
}

// translateQuote translates the packet that an ICMP error quotes: what is the
// error's source is the quoted packet's destination.  outer is the checksum of
// ICMPv6 messages; that of ICMPv4 is found here.
func (v *view) translateQuote(to *key, addr *flow.IPv6, src bool, outer *l4Checksum) {
	if v.outerProto() == protoICMP {
		*outer = l4Checksum{field: v.b[v.l4+2 : v.l4+4]}
	}
	end := min(v.l4+v.size, len(v.b))
	quote := v.b[v.innerL3:end]
	// The headers that change are here; the rest need not be summed.
	changing := quote[:min(len(quote), v.innerL4-v.innerL3+20)]
	before := packet.Sum(changing, 0)

	h := quote[v.innerL4-v.innerL3:]
	c := checksumOf(to.proto, h, false)
	setAddr(quote, addr, !src, &c)
	if to.hasPorts() {
		setPorts(h, to.src.port, to.dst.port, &c)
	}
	if outer.field != nil && !outer.partial {
		sum := packet.Recalc16(binary.BigEndian.Uint16(outer.field), before, packet.Sum(changing, 0))
		binary.BigEndian.PutUint16(outer.field, sum)
	}
}
