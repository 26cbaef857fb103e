package tnl

import "net/netip"

// Params is what to build the headers of a tunnel from.
type Params struct {
	Kind           Kind
	DstMAC, SrcMAC [6]byte
	// Dst decides between IPv4 and IPv6; Src is of the same family.
	Dst, Src netip.Addr
	TOS, TTL uint8
	DF       bool // IPv4: don't fragment
	// Csum asks for a UDP or GRE checksum; UDP over IPv6 always has one.
	Csum    bool
	DstPort uint16 // of UDP
	ID      uint64 // VNI, GRE key, TEID, session
	// Next is the packet type of what goes inside.
	Next uint32

	HasKey, Seq bool // GRE: the header has a key, a sequence number
	GPE, GBP    bool // extensions of VXLAN
	GBPID       uint16
	GBPFlags    uint8
	OAM         bool   // Geneve
	Opts        []byte // Geneve: options

	ERSPANVer, ERSPANDir, ERSPANHwID uint8
	ERSPANIdx                        uint32
}

// wantCsum in the checksum field of a UDP header in an action asks for a checksum.
const wantCsum = 0xffff

// Append appends the headers, from Ethernet on, as a tnl_push() action carries them:
// what depends on the packet (lengths, checksums, the source port, sequence numbers)
// is zero.  It is false for what the tunnel cannot carry.
func (p *Params) Append(b []byte) ([]byte, bool) {
	b = append(append(b, p.DstMAC[:]...), p.SrcMAC[:]...)
	if p.Dst.Is4() {
		b = p.appendIPv4(b)
	} else {
		b = p.appendIPv6(b)
	}
	switch p.Kind {
	case VXLAN:
		return p.appendVXLAN(p.appendUDP(b))
	case Geneve:
		return p.appendGeneve(p.appendUDP(b)), p.Next == typeEth
	case GRE:
		return p.appendGRE(b)
	case ERSPAN:
		return p.appendERSPAN(b)
	case GTPU:
		b = append(p.appendUDP(b), gtpuFlags, gtpuGPDU, 0, 0)
		return be.AppendUint32(b, uint32(p.ID)), p.Next == typeIPv4 || p.Next == typeIPv6
	}
	return b, false
}

func (p *Params) appendIPv4(b []byte) []byte {
	b = be.AppendUint16(b, etherIPv4)
	b = append(b, 0x45, p.TOS, 0, 0, 0, 0)
	frag := uint16(0)
	if p.DF {
		frag = ipv4DF
	}
	b = be.AppendUint16(b, frag)
	b = append(b, p.TTL, p.Kind.Proto(), 0, 0)
	src, dst := netip.IPv4Unspecified().As4(), p.Dst.As4()
	if p.Src.Is4() {
		src = p.Src.As4()
	}
	return append(append(b, src[:]...), dst[:]...)
}

func (p *Params) appendIPv6(b []byte) []byte {
	b = be.AppendUint16(b, etherIPv6)
	b = be.AppendUint32(b, 6<<28|uint32(p.TOS)<<20)
	b = append(b, 0, 0, p.Kind.Proto(), p.TTL)
	src, dst := netip.IPv6Unspecified().As16(), p.Dst.As16()
	if p.Src.Is6() {
		src = p.Src.As16()
	}
	return append(append(b, src[:]...), dst[:]...)
}

func (p *Params) appendUDP(b []byte) []byte {
	b = append(b, 0, 0)
	b = be.AppendUint16(b, p.DstPort)
	b = append(b, 0, 0)
	if p.Csum || !p.Dst.Is4() {
		return be.AppendUint16(b, wantCsum)
	}
	return append(b, 0, 0)
}

func (p *Params) appendVXLAN(b []byte) ([]byte, bool) {
	flags, ok := uint32(vxlanVNI), p.Next == typeEth
	switch {
	case p.GPE:
		flags |= vxlanGPE
		ok = true
		switch p.Next {
		case typeEth:
			flags |= npEth
		case typeIPv4:
			flags |= npIPv4
		case typeIPv6:
			flags |= npIPv6
		case typeNSH:
			flags |= npNSH
		default:
			ok = false
		}
	case p.GBP && (p.GBPID != 0 || p.GBPFlags != 0):
		flags |= vxlanGBP | uint32(p.GBPFlags)<<16 | uint32(p.GBPID)
	}
	b = be.AppendUint32(b, flags)
	return be.AppendUint32(b, uint32(p.ID)<<8), ok
}

func (p *Params) appendGeneve(b []byte) []byte {
	flags := byte(0)
	if p.OAM {
		flags |= geneveOAM
	}
	if hasCritical(p.Opts) {
		flags |= geneveCritical
	}
	b = append(b, byte(len(p.Opts)/4), flags)
	b = be.AppendUint16(b, etherTEB)
	b = be.AppendUint32(b, uint32(p.ID)<<8)
	return append(b, p.Opts...)
}

// hasCritical reports that one of the options is critical (RFC 8926, 3.5).
func hasCritical(opts []byte) bool {
	for len(opts) >= 4 {
		if opts[2]&optCritical != 0 {
			return true
		}
		opts = opts[min(len(opts), 4+int(opts[3]&0x1f)*4):]
	}
	return false
}

func (p *Params) appendGRE(b []byte) ([]byte, bool) {
	flags, proto := uint16(0), uint16(p.Next)
	if p.Next == typeEth {
		proto = etherTEB
	}
	if p.Csum {
		flags |= greCsum
	}
	if p.HasKey {
		flags |= greKey
	}
	if p.Seq {
		flags |= greSeq
	}
	b = be.AppendUint16(b, flags)
	b = be.AppendUint16(b, proto)
	if p.Csum {
		b = append(b, 0, 0, 0, 0)
	}
	if p.HasKey {
		b = be.AppendUint32(b, uint32(p.ID))
	}
	if p.Seq {
		b = append(b, 0, 0, 0, 0)
	}
	return b, p.Next == typeEth || p.Next>>16 == 1 && proto >= etherMin
}

func (p *Params) appendERSPAN(b []byte) ([]byte, bool) {
	proto := uint16(protoERSPAN1)
	if p.ERSPANVer == 2 {
		proto = protoERSPAN2
	}
	b = be.AppendUint16(b, greSeq)
	b = be.AppendUint16(b, proto)
	b = append(b, 0, 0, 0, 0, p.ERSPANVer<<4, 0)
	b = be.AppendUint16(b, uint16(p.ID)&0x3ff)
	ok := p.Next == typeEth
	switch p.ERSPANVer {
	case 1:
		return be.AppendUint32(b, p.ERSPANIdx&0xfffff), ok
	case 2:
		b = append(b, 0, 0, 0, 0, 0, 0)
		return be.AppendUint16(b, uint16(p.ERSPANHwID&0x3f)<<4|uint16(p.ERSPANDir&1)<<3), ok
	}
	return b, false
}
