package conntrack

import (
	"encoding/binary"

	"sluice/dpif/flow"
	"sluice/netdev/packet"
)

// view is where a packet has what the tracker reads and changes.
type view struct {
	b  []byte // first frame
	i  packet.Index
	m  *packet.Meta
	l3 int
	l4 int
	// size is the length of the transport header and what follows, without
	// padding, over all frames.
	size int
	// related: the packet is an ICMP error; its key is that of the packet it
	// quotes, reversed.  innerL3 and innerL4 are where the quoted headers are.
	related          bool
	innerL3, innerL4 int
}

// parse fills in v and k for packet i; it reports whether the packet can belong to
// a connection.
func parse(p *packet.Pool, i packet.Index, v *view, k *key) bool {
	m := p.Meta(i)
	*v = view{b: p.Data(i), i: i, m: m}
	if m.L3 == packet.NoLayer || m.L4 == packet.NoLayer || m.L4 <= m.L3 || int(m.L4) > len(v.b) {
		return false
	}
	v.l3 = int(m.L3)
	v.size = int(m.Len) - int(m.L4) - int(m.L2Pad)
	if v.size < 0 {
		return false
	}
	l4, ok := network(v.b, v.l3, k)
	if !ok || l4 != int(m.L4) {
		return false
	}
	v.l4 = l4
	if k.l3 == flow.EthIPv4 && packet.Checksum(v.b[v.l3:l4]) != 0 {
		cL3Csum.Inc()
		return false
	}
	return v.transport(p, k)
}

// network reads the IP header at offset at: its addresses and protocol, and where
// the transport header begins.  Fragments have none.
func network(b []byte, at int, k *key) (l4 int, ok bool) {
	if at >= len(b) {
		return 0, false
	}
	ip := b[at:]
	if ip[0]>>4 == 4 {
		if len(ip) < 20 {
			return 0, false
		}
		n := int(ip[0]&15) * 4
		if n < 20 || n > len(ip) || binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 {
			return 0, false
		}
		k.l3, k.proto = flow.EthIPv4, ip[9]
		k.setAddrs(ip[12:16], ip[16:20])
		return at + n, true
	}
	if ip[0]>>4 != 6 || len(ip) < 40 {
		return 0, false
	}
	k.l3 = flow.EthIPv6
	k.setAddrs(ip[8:24], ip[24:40])
	n, proto, ok := extensions(ip, ip[6])
	k.proto = proto
	return at + n, ok
}

// extensions walks the extension headers of an IPv6 packet.
func extensions(ip []byte, next uint8) (at int, proto uint8, ok bool) {
	at = 40
	for {
		n := 0
		switch next {
		case 0, 43, 60: // hop-by-hop, routing, destination options
			n = 8
		case 51: // authentication
			n = 4
		case 44: // fragment: only an atomic one is whole
			if at+8 > len(ip) || binary.BigEndian.Uint16(ip[at+2:])&0xfff9 != 0 {
				return 0, 0, false
			}
			next, at = ip[at], at+8
			continue
		default:
			return at, next, true
		}
		if at+8 > len(ip) {
			return 0, 0, false
		}
		next, at = ip[at], at+8+int(ip[at+1])*n
		if at > len(ip) {
			return 0, 0, false
		}
	}
}

// transport reads the transport header and verifies its checksum.
func (v *view) transport(p *packet.Pool, k *key) bool {
	h := v.b[v.l4:]
	switch k.proto {
	case protoTCP:
		if len(h) < 20 || v.size < 20 {
			return false
		}
		if n := int(h[12]>>4) * 4; n < 20 || n > v.size || n > len(h) {
			return false
		}
	case protoUDP:
		if len(h) < 8 || v.size < 8 {
			return false
		}
		// A packet that will be cut into datagrams still has the length of one.
		if n := int(binary.BigEndian.Uint16(h[4:])); v.m.GSOType == 0 && (n < 8 || n > v.size) {
			return false
		}
	case protoICMP, protoICMPv6:
		if (k.proto == protoICMP) != (k.l3 == flow.EthIPv4) {
			return true // not ICMP of this IP version: a protocol without ports
		}
		if len(h) < icmpHeaderLen || v.size < icmpHeaderLen {
			return false
		}
	default:
		return true
	}
	if v.m.Offload&packet.CsumUnmarked != 0 {
		v.m.Offload &^= packet.CsumUnmarked
		p.DetectPartial(v.i)
	}
	if k.proto == protoICMP && !v.icmpCsumOK(p) || k.proto != protoICMP && !p.CsumOK(v.i) {
		cL4Csum.Inc()
		return false
	}
	if k.hasPorts() {
		return ports(h, k)
	}
	return v.icmp(h, k)
}

// ports reads the ports of a TCP or UDP header; 0 is none.
func ports(h []byte, k *key) bool {
	k.src.port, k.dst.port = binary.BigEndian.Uint16(h), binary.BigEndian.Uint16(h[2:])
	return k.src.port != 0 && k.dst.port != 0
}

// icmpCsumOK verifies the checksum of an ICMPv4 message, which may lie in several
// frames.
func (v *view) icmpCsumOK(p *packet.Pool) bool {
	if v.m.Csum == packet.CsumGood {
		return true
	}
	var sum uint16
	odd := false
	rest := v.size
	b := v.b[v.l4:]
	for i := v.i; ; {
		b = b[:min(len(b), rest)]
		s := packet.Sum(b, 0)
		if odd {
			s = s<<8 | s>>8
		}
		sum = ^packet.Recalc16(^sum, 0, s)
		odd = odd != (len(b)&1 == 1)
		rest -= len(b)
		if i = p.Meta(i).Next; i == 0 || rest == 0 {
			break
		}
		b = p.Data(i)
	}
	return sum == 0xffff
}

// icmp reads an ICMP message: a query has a connection of its own, an error
// belongs to that of the packet it quotes.
func (v *view) icmp(h []byte, k *key) bool {
	if !isICMPError(k.proto, h[0]) {
		return query(h, k)
	}
	at := v.l4 + icmpHeaderLen
	inner := key{zone: k.zone}
	b := v.b[:min(len(v.b), v.l4+v.size)]
	l4, ok := network(b, at, &inner)
	// The error goes to who sent the packet it quotes.
	if !ok || inner.l3 != k.l3 || inner.src.addr != k.dst.addr || l4 > len(b) {
		return false
	}
	if !quoted(b[l4:], &inner) {
		return false
	}
	*k = inner.reversed()
	v.related, v.innerL3, v.innerL4 = true, at, l4
	return true
}

// query reads an ICMP query or its answer.
func query(h []byte, k *key) bool {
	answer, ok := answerType(k.proto, h[0])
	if !ok || h[1] != 0 {
		return false
	}
	k.src.port = binary.BigEndian.Uint16(h[4:])
	k.dst.port = k.src.port
	k.src.icmpType, k.dst.icmpType = h[0], answer
	return true
}

// quoted reads what an ICMP error quotes of a transport header.
func quoted(h []byte, k *key) bool {
	need := 0
	switch {
	case k.proto == protoTCP && k.l3 == flow.EthIPv6:
		need = 20
	case k.hasPorts(), k.proto == protoICMP && k.l3 == flow.EthIPv4, k.proto == protoICMPv6 && k.l3 == flow.EthIPv6:
		need = icmpErrorQuoteL4Len
	default:
		return true
	}
	if len(h) < need {
		return false
	}
	if k.hasPorts() {
		return ports(h, k)
	}
	return query(h, k)
}
