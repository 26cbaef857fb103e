package flow

import (
	"encoding/binary"
	"math"
)

// pad notes how many bytes behind the IP packet do not belong to it.
func (p *parser) pad(n int) {
	p.m.L2Pad = uint16(n)
	p.size -= n
}

func (p *parser) ipv4(k *Mini) {
	if !p.has(20) {
		cIPv4Size.Inc()
		return
	}
	ip := p.b[p.at:]
	hdrLen := int(ip[0]&15) * 4
	total := int(binary.BigEndian.Uint16(ip[2:]))
	if hdrLen < 20 || !p.has(hdrLen) || total > p.size || hdrLen > total || p.size-total > math.MaxUint16 {
		cIPv4Len.Inc()
		return
	}
	p.pad(p.size - total)
	frag := uint64(0)
	if v := binary.BigEndian.Uint16(ip[6:]); v&0x3fff != 0 {
		frag = NwFragAny
		if v&0x1fff != 0 {
			frag |= NwFragLater
		}
	}
	k.push(wNw, uint64(binary.BigEndian.Uint32(ip[12:]))|uint64(binary.BigEndian.Uint32(ip[16:]))<<32)
	k.push(wProto, frag<<32|uint64(ip[1])<<40|uint64(ip[8])<<48|uint64(ip[9])<<56)
	p.pull(hdrLen)
	p.m.L4 = uint16(p.at)
	if frag&NwFragLater == 0 {
		p.l4(ip[9], k)
	}
}

func (p *parser) ipv6(k *Mini) {
	if !p.has(40) {
		cIPv6Size.Inc()
		return
	}
	ip := p.b[p.at:]
	payload := int(binary.BigEndian.Uint16(ip[4:]))
	if payload+40 > p.size || p.size-payload-40 > math.MaxUint16 {
		cIPv6Len.Inc()
		return
	}
	p.pull(40)
	p.pad(p.size - payload)
	for w := range 4 {
		k.push(wIPv6+w, binary.LittleEndian.Uint64(ip[8+8*w:]))
	}
	tc := binary.BigEndian.Uint32(ip)
	proto, frag, ok := p.extensions(ip[6])
	if !ok {
		return
	}
	k.push(wProto, uint64(tc&0xfffff)|uint64(frag)<<32|uint64(uint8(tc>>20))<<40|uint64(ip[7])<<48|uint64(proto)<<56)
	p.m.L4 = uint16(p.at)
	if frag&NwFragLater == 0 {
		p.l4(proto, k)
	}
}

// extensions walks the IPv6 extension headers; ok is false when they are damaged.
func (p *parser) extensions(next uint8) (proto, frag uint8, ok bool) {
	for {
		var n int
		switch next {
		case 0, 43, 60, 51, protoFragment:
		default:
			return next, frag, true
		}
		if !p.has(8) {
			return 0, 0, false
		}
		h := p.b[p.at:]
		switch next {
		case 51: // authentication header
			n = (int(h[1]) + 2) * 4
		case protoFragment:
			n = 8
			if v := binary.BigEndian.Uint16(h[2:]); v != 0 {
				frag = NwFragAny
				if v&0xfff8 != 0 {
					p.pull(8)
					return protoFragment, NwFragAny | NwFragLater, true
				}
			}
		default:
			n = (int(h[1]) + 1) * 8
		}
		next = h[0]
		if !p.has(n) {
			return 0, 0, false
		}
		p.pull(n)
	}
}

// other extracts what is neither IPv4 nor IPv6.
func (p *parser) other(dlType uint16, k *Mini) {
	switch dlType {
	case EthARP, EthRARP:
		p.arp(k)
	case EthMPLS, EthMPLSMc:
		p.m.L25 = uint16(p.at)
		p.mpls(k)
		p.m.L3 = uint16(p.at)
	case EthNSH:
		p.nsh(k)
	}
}

func (p *parser) arp(k *Mini) {
	if !p.has(28) {
		return
	}
	a := p.b[p.at:]
	if binary.BigEndian.Uint64(a)>>16 != 0x000108000604 {
		return
	}
	k.push(wNw, uint64(binary.BigEndian.Uint32(a[14:]))|uint64(binary.BigEndian.Uint32(a[24:]))<<32)
	// Only opcodes of 8 bits are in the key.
	if op := binary.BigEndian.Uint16(a[6:]); op <= 0xff {
		k.push(wProto, uint64(op)<<56)
	}
	sha, tha := a[8:14], a[18:24]
	k.pushMACs(sha, tha, 0)
}

// pushMACs pushes ARPSha, ARPTha and the TCP flags that share their words.
func (k *Mini) pushMACs(sha, tha []byte, flags uint16) {
	var w [16]byte
	copy(w[:6], sha)
	copy(w[6:12], tha)
	binary.LittleEndian.PutUint16(w[12:], flags)
	k.push(wARP, binary.LittleEndian.Uint64(w[:]))
	k.push(wARP+1, binary.LittleEndian.Uint64(w[8:]))
}

func (p *parser) nsh(k *Mini) {
	n, ok := ParseNSH(p.b[p.at:], p.size)
	if !ok {
		return
	}
	k.push(wNSH, uint64(n.Flags)|uint64(n.TTL)<<8|uint64(n.MDType)<<16|uint64(n.NP)<<24|uint64(n.PathHdr)<<32)
	k.push(wNSH+1, uint64(n.Context[0])|uint64(n.Context[1])<<32)
	k.push(wNSH+2, uint64(n.Context[2])|uint64(n.Context[3])<<32)
}

// ParseNSH reads the network service header that b begins with, of a packet that
// goes on for size bytes.  Context headers are read for MD type 1 only.
func ParseNSH(b []byte, size int) (n NSH, ok bool) {
	if len(b) < 8 || size < 8 {
		return n, false
	}
	w := binary.BigEndian.Uint16(b)
	length := int(w&0x3f) * 4
	if w>>14 != 0 || length > size || length > len(b) {
		return n, false
	}
	n = NSH{Flags: uint8(w >> 12 & 3), TTL: uint8(w >> 6 & 0x3f), MDType: b[2], NP: b[3],
		PathHdr: binary.BigEndian.Uint32(b[4:])}
	switch n.MDType {
	case 1:
		if length != 24 {
			return n, false
		}
		for i := range n.Context {
			n.Context[i] = binary.BigEndian.Uint32(b[8+4*i:])
		}
	case 2:
		if length < 8 {
			return n, false
		}
	}
	return n, true
}

// l4 extracts the transport header.
func (p *parser) l4(proto uint8, k *Mini) {
	b := p.b[p.at:]
	switch proto {
	case protoTCP:
		if !p.has(20) {
			return
		}
		hdrLen := int(b[12]>>4) * 4
		if hdrLen < 20 || p.size < hdrLen {
			return
		}
		k.push(wARP+1, uint64(binary.BigEndian.Uint16(b[12:])&0x0fff)<<32)
		k.push(wL4, ports(b))
	case protoUDP:
		if p.has(8) {
			k.push(wL4, ports(b))
		}
	case protoSCTP:
		if p.has(12) {
			k.push(wL4, ports(b))
		}
	case protoICMP:
		if p.has(8) {
			k.push(wL4, uint64(b[0])|uint64(b[1])<<16)
		}
	case protoIGMP:
		if p.has(8) {
			k.push(wL4, uint64(b[0])|uint64(b[1])<<16|uint64(binary.BigEndian.Uint32(b[4:]))<<32)
		}
	case protoICMPv6:
		p.icmpv6(b, k)
	}
}

// ports returns the word of a transport header's ports.
func ports(b []byte) uint64 {
	return uint64(binary.BigEndian.Uint16(b)) | uint64(binary.BigEndian.Uint16(b[2:]))<<16
}

// ICMPv6 types and options of neighbour discovery.
const (
	ndSolicit   = 135
	ndAdvert    = 136
	ndOptSource = 1
	ndOptTarget = 2
)

func (p *parser) icmpv6(b []byte, k *Mini) {
	if !p.has(8) {
		return
	}
	word := uint64(b[0]) | uint64(b[1])<<16
	if b[1] != 0 || b[0] != ndSolicit && b[0] != ndAdvert {
		k.push(wL4, word)
		return
	}
	reserved := binary.BigEndian.Uint32(b[4:])
	p.pull(8)
	optType := p.neighbour(k)
	k.push(wL4, word|uint64(reserved)<<32)
	if optType != 0 {
		k.push(wNDOpt, uint64(optType))
	}
}

// neighbour pushes target and link-layer addresses of a neighbour discovery
// message and returns the type of its first option.  An option that occurs twice
// makes all of it invalid.
func (p *parser) neighbour(k *Mini) (optType uint8) {
	var sha, tha MAC
	if !p.has(16) {
		k.pushMACs(sha[:], tha[:], 0)
		return 0
	}
	target := p.b[p.at:]
	p.pull(16)
	for p.has(8) {
		opt := p.b[p.at:]
		n := int(opt[1]) * 8
		if n == 0 || n > p.size {
			break
		}
		mac := &sha
		if opt[0] == ndOptTarget {
			mac = &tha
		}
		if (opt[0] == ndOptSource || opt[0] == ndOptTarget) && n == 8 {
			if *mac != (MAC{}) {
				k.pushMACs(nil, nil, 0)
				return optType
			}
			copy(mac[:], opt[2:8])
			if optType == 0 {
				optType = opt[0]
			}
		}
		if !p.has(n) {
			break
		}
		p.pull(n)
	}
	k.push(wND, binary.LittleEndian.Uint64(target))
	k.push(wND+1, binary.LittleEndian.Uint64(target[8:]))
	k.pushMACs(sha[:], tha[:], 0)
	return optType
}
