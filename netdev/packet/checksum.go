package packet

import (
	"encoding/binary"
	"math/bits"
)

// IP protocols whose headers hold a checksum over a pseudo header.
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
	ProtoSCTP   = 132
)

// Sum is the ones-complement sum (RFC 1071) of b as big-endian 16-bit words, an
// odd last byte padded with zero, added to initial.  It is not complemented.
func Sum(b []byte, initial uint16) uint16 {
	var acc, carry uint64
	for len(b) >= 32 {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), carry)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[8:]), carry)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[16:]), carry)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[24:]), carry)
		b = b[32:]
	}
	for len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), carry)
		b = b[8:]
	}
	acc, carry = bits.Add64(acc, carry, 0)
	acc += carry
	s := acc>>32 + acc&0xffffffff
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(b[0])<<8 | uint64(b[1])
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return fold(s + uint64(initial))
}

func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s&0xffff)
}

// Checksum is the internet checksum of b.
func Checksum(b []byte) uint16 { return ^Sum(b, 0) }

// PseudoSum is the sum of the pseudo header of an IPv4 or IPv6 packet (ip begins
// at its network header) for l4Len bytes of protocol proto.
func PseudoSum(ip []byte, proto uint8, l4Len int) uint16 {
	tail := uint64(proto) + uint64(l4Len>>16) + uint64(l4Len&0xffff)
	if ip[0]>>4 == 6 {
		return Sum(ip[8:40], fold(tail))
	}
	return Sum(ip[12:20], fold(tail))
}

// Recalc16 is csum after a 16-bit word that it covers changed (RFC 1624).
func Recalc16(csum, before, after uint16) uint16 {
	return ^fold(uint64(^csum) + uint64(^before) + uint64(after))
}

// Recalc32 is csum after a 32-bit word that it covers changed.
func Recalc32(csum uint16, before, after uint32) uint16 {
	return ^fold(uint64(^csum) + uint64(^before>>16&0xffff) + uint64(^before&0xffff) +
		uint64(after>>16) + uint64(after&0xffff))
}

// csumOffset is where the header of proto has its checksum, -1: nowhere (or, for
// SCTP, not an internet checksum).
func csumOffset(proto uint8) int {
	switch proto {
	case ProtoTCP:
		return 16
	case ProtoUDP:
		return 6
	case ProtoICMPv6:
		return 2
	}
	return -1
}
