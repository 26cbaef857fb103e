package tnl

import "sluice/netdev/packet"

// Meta is what the outer headers of a packet tell.
type Meta struct {
	V6       bool
	Src, Dst [16]byte // an IPv4 address is in the first four bytes
	TOS, TTL uint8

	TpSrc, TpDst uint16 // of UDP
	ID           uint64 // VNI, GRE key, TEID, session
	Key          bool   // ID was in the header
	Csum         bool   // the outer UDP or GRE checksum was there, and right
	OAM          bool

	GBPID    uint16
	GBPFlags uint8

	ERSPANVer, ERSPANDir, ERSPANHwID uint8
	ERSPANIdx                        uint32

	GTPUFlags, GTPUType uint8

	// Opts are the options of a Geneve packet, in the packet's frame: they are
	// overwritten when a header is pushed.
	Opts []byte
}

// Pop takes the outer headers off packet i, whose layers are set, and tells what they
// said in md.  A GTP-U message that carries no user's packet stays whole.  On a
// problem the packet's headers are as they were.
//
// Bytes behind the outer IP packet stay, as in stock: the inner packet's length, if it
// has one, tells that they are padding.
func Pop(p *packet.Pool, i packet.Index, k Kind, md *Meta) Problem {
	*md = Meta{}
	l4, pr := popIP(p, i, k.Proto(), md)
	if pr != OK {
		return pr
	}
	h := p.Data(i)[l4:]
	if k.Proto() == protoUDP {
		if pr := popUDP(p, i, h, md); pr != OK {
			return pr
		}
		h = h[udpLen:]
		l4 += udpLen
	}
	size, typ := 0, uint32(typeEth)
	switch k {
	case VXLAN:
		size, typ, pr = popVXLAN(h, md)
	case Geneve:
		size, pr = popGeneve(h, md)
	case GRE:
		if pr = checkGRE(p, i, l4, h, md); pr == OK {
			size, typ, pr = popGRE(h, md)
		}
	case ERSPAN:
		size, pr = popERSPAN(h, md)
	case GTPU:
		if size, typ, pr = popGTPU(h, md); pr == OK && size == 0 {
			return OK // the whole frame goes on
		}
	default:
		return WrongProtocol
	}
	if pr != OK {
		return pr
	}
	p.PullHead(i, l4+size)
	m := p.Meta(i)
	m.PacketType = typ
	m.L25, m.L3, m.L4, m.L2Pad = packet.NoLayer, packet.NoLayer, packet.NoLayer, 0
	m.Csum = packet.CsumUnknown
	m.Offload &^= packet.HashValid
	if m.GSOType != packet.GSONone {
		m.Cold &^= packet.ColdInner
		makePartial(p, i)
	}
	return OK
}

// makePartial makes the checksum of a GSO packet that came out of a tunnel what such
// packets have.  The device that received it could not leave it so.
func makePartial(p *packet.Pool, i packet.Index) {
	m := p.Meta(i)
	if m.PacketType != typeEth {
		m.L3 = 0
	}
	p.MakePartial(i)
	m.L3 = packet.NoLayer
}

// popIP checks the outer IP header and returns where what it carries begins.
func popIP(p *packet.Pool, i packet.Index, proto uint8, md *Meta) (l4 int, pr Problem) {
	m := p.Meta(i)
	l3 := int(m.L3)
	if m.L3 == packet.NoLayer || l3+ipv4Len > len(p.Data(i)) {
		return 0, NoIP
	}
	ip := p.Data(i)[l3:]
	size, next := 0, ip[9]
	switch ip[0] >> 4 {
	case 4:
		size = int(be.Uint16(ip[2:]))
		switch {
		case ip[0]&15 < 5:
			return 0, NoIP
		case ip[0]&15 > 5:
			return 0, IPOptions
		case packet.Checksum(ip[:ipv4Len]) != 0:
			return 0, BadIPChecksum
		case be.Uint16(ip[6:])&ipv4IsFrag != 0:
			return 0, Fragment
		}
		copy(md.Src[:], ip[12:16])
		copy(md.Dst[:], ip[16:20])
		md.TOS, md.TTL = ip[1], ip[8]
		l4 = l3 + ipv4Len
	case 6:
		if len(ip) < ipv6Len {
			return 0, NoIP
		}
		size, next = ipv6Len+int(be.Uint16(ip[4:])), ip[6]
		md.V6 = true
		copy(md.Src[:], ip[8:24])
		copy(md.Dst[:], ip[24:40])
		md.TOS, md.TTL = uint8(be.Uint32(ip)>>20), ip[7]
		l4 = l3 + ipv6Len
	default:
		return 0, BadVersion
	}
	switch {
	case next != proto:
		return 0, WrongProtocol
	case l3+size > int(m.Len) || l3+size < l4:
		return 0, Truncated
	}
	return l4, OK
}

// popUDP checks the outer UDP header, with which h begins.
func popUDP(p *packet.Pool, i packet.Index, h []byte, md *Meta) Problem {
	if len(h) < udpLen {
		return TooShort
	}
	md.TpSrc, md.TpDst = be.Uint16(h), be.Uint16(h[2:])
	if be.Uint16(h[6:]) == 0 {
		return OK
	}
	md.Csum = true
	if p.Meta(i).GSOType != packet.GSONone {
		return OK // from this host's kernel, which leaves it to whoever cuts the packet
	}
	if p.Meta(i).Offload&packet.CsumUnmarked != 0 {
		p.DetectPartial(i)
	}
	if !p.CsumOK(i) {
		return BadChecksum
	}
	return OK
}

func popVXLAN(h []byte, md *Meta) (size int, typ uint32, pr Problem) {
	if len(h) < vxlanLen {
		return 0, 0, TooShort
	}
	flags, vni := be.Uint32(h), be.Uint32(h[4:])
	switch {
	case flags&vxlanGPE != 0:
		if flags&vxlanOAM != 0 {
			return 0, 0, VXLANFlags
		}
		switch flags & 0xff {
		case npIPv4:
			typ = typeIPv4
		case npIPv6:
			typ = typeIPv6
		case npEth:
			typ = typeEth
		case npNSH:
			typ = typeNSH
		default:
			return 0, 0, VXLANNext
		}
		flags &^= vxlanGPE | vxlanVersion | 0xff
	case flags&vxlanGBP != 0:
		md.GBPID, md.GBPFlags = uint16(flags), uint8(flags>>16)
		flags &^= vxlanGBPMask
	}
	if flags != vxlanVNI || vni&0xff != 0 {
		return 0, 0, VXLANFlags
	}
	md.ID, md.Key = uint64(vni>>8), true
	return vxlanLen, typ, OK
}

func popGeneve(h []byte, md *Meta) (size int, pr Problem) {
	if len(h) < geneveLen {
		return 0, TooShort
	}
	size = geneveLen + int(h[0]&0x3f)*4
	switch {
	case size > len(h):
		return 0, TooShort
	case h[0]>>6 != 0:
		return 0, GeneveVersion
	case be.Uint16(h[2:]) != etherTEB:
		return 0, GeneveProtocol
	}
	md.OAM = h[1]&geneveOAM != 0
	md.ID, md.Key = uint64(be.Uint32(h[4:])>>8), true
	md.Opts = h[geneveLen:size:size]
	return size, OK
}

// checkGRE verifies the checksum of a GRE packet that has one.
func checkGRE(p *packet.Pool, i packet.Index, l4 int, h []byte, md *Meta) Problem {
	if len(h) < greLen {
		return TooShort
	}
	if be.Uint16(h)&greCsum == 0 {
		return OK
	}
	md.Csum = true
	if p.Meta(i).GSOType == packet.GSONone && p.ChecksumFrom(i, l4) != 0 {
		return BadChecksum
	}
	return OK
}

func popGRE(h []byte, md *Meta) (size int, typ uint32, pr Problem) {
	flags, proto := be.Uint16(h), be.Uint16(h[2:])
	if flags&^(greCsum|greKey|greSeq) != 0 {
		return 0, 0, GREFlags
	}
	size = packet.GRESize(flags)
	switch {
	case size > len(h):
		return 0, 0, TooShort
	case proto == etherTEB:
		typ = typeEth
	case proto >= etherMin:
		typ = typeNS1 | uint32(proto)
	default:
		return 0, 0, GREProtocol
	}
	if flags&greKey != 0 {
		at := packet.GRESize(flags & greCsum)
		md.ID, md.Key = uint64(be.Uint32(h[at:])), true
	}
	return size, typ, OK
}

func popERSPAN(h []byte, md *Meta) (size int, pr Problem) {
	if len(h) < erspanGRELen+erspanLen {
		return 0, TooShort
	}
	if be.Uint16(h) != greSeq {
		return 0, GREFlags
	}
	e := h[erspanGRELen:]
	md.ERSPANVer = e[0] >> 4
	md.ID, md.Key = uint64(be.Uint16(e[2:])&0x3ff), true
	e = e[erspanLen:]
	switch proto := be.Uint16(h[2:]); {
	case md.ERSPANVer == 1 && proto == protoERSPAN1 && len(e) >= erspanV1Len:
		md.ERSPANIdx = be.Uint32(e) & 0xfffff
		return erspanGRELen + erspanLen + erspanV1Len, OK
	case md.ERSPANVer == 2 && proto == protoERSPAN2 && len(e) >= erspanV2Len:
		md.ERSPANHwID, md.ERSPANDir = uint8(be.Uint16(e[6:])>>4&0x3f), e[7]>>3&1
		return erspanGRELen + erspanLen + erspanV2Len, OK
	case proto != protoERSPAN1 && proto != protoERSPAN2:
		return 0, GREProtocol
	case md.ERSPANVer == 1 || md.ERSPANVer == 2:
		return 0, TooShort
	}
	return 0, ERSPANVersion
}

// popGTPU returns size 0 for a message that carries no user's packet.
func popGTPU(h []byte, md *Meta) (size int, typ uint32, pr Problem) {
	if len(h) < gtpuLen {
		return 0, 0, TooShort
	}
	md.GTPUFlags, md.GTPUType = h[0], h[1]
	md.ID, md.Key = uint64(be.Uint32(h[4:])), true
	if md.GTPUType != gtpuGPDU {
		return 0, typeEth, OK
	}
	if size = gtpuSize(h); size >= len(h) {
		return 0, 0, TooShort
	}
	switch h[size] >> 4 {
	case 4:
		return size, typeIPv4, OK
	case 6:
		return size, typeIPv6, OK
	}
	return 0, 0, GTPUPayload
}

// gtpuSize is the length of the GTP-U header that h begins with, extension headers
// (TS 29.281, 5.2) included; len(h) if it does not end.
func gtpuSize(h []byte) int {
	if h[0]&gtpuOptMask == 0 {
		return gtpuLen
	}
	size := gtpuLen + gtpuOptLen
	for h[0]&gtpuExt != 0 && size < len(h) && h[size-1] != 0 {
		n := int(h[size]) * 4
		if n == 0 {
			return len(h)
		}
		size += n
	}
	return min(size, len(h))
}

// Warn logs a problem; a storm of them is not logged in full.
func (p Problem) Warn() { log.WarnRL(rl, "%s", p) }
