package flow

import (
	"encoding/binary"
	"math/bits"
)

// The hash functions in this file give Open vSwitch's values: they decide which
// bucket, bond member or dp_hash a packet gets, which users and tests see.

// HashAdd adds a 32-bit word to a hash (murmur3's step).
func HashAdd(hash, data uint32) uint32 {
	data *= 0xcc9e2d51
	data = bits.RotateLeft32(data, 15)
	data *= 0x1b873593
	hash = bits.RotateLeft32(hash^data, 13)
	return hash*5 + 0xe6546b64
}

// HashAdd64 adds a 64-bit word, low half first.
func HashAdd64(hash uint32, data uint64) uint32 {
	return HashAdd(HashAdd(hash, uint32(data)), uint32(data>>32))
}

// HashFinish mixes a hash to its final value.
func HashFinish(hash, final uint32) uint32 {
	hash ^= final
	hash ^= hash >> 16
	hash *= 0x85ebca6b
	hash ^= hash >> 13
	hash *= 0xc2b2ae35
	return hash ^ hash>>16
}

// HashInt hashes one word.
func HashInt(x, basis uint32) uint32 { return Hash2Words(x, basis) }

// Hash2Words hashes two words.
func Hash2Words(x, y uint32) uint32 { return HashFinish(HashAdd(HashAdd(x, 0), y), 8) }

// HashUint64 hashes 64 bits.
func HashUint64(x uint64, basis uint32) uint32 { return HashFinish(HashAdd64(basis, x), 8) }

// HashBytes hashes a string of bytes.
func HashBytes(b []byte, basis uint32) uint32 {
	hash, n := basis, uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		hash = HashAdd(hash, binary.LittleEndian.Uint32(b))
	}
	if len(b) > 0 {
		var tail [4]byte
		copy(tail[:], b)
		hash = HashAdd(hash, binary.LittleEndian.Uint32(tail[:]))
	}
	return HashFinish(hash, n)
}

// JHashBytes is Jenkins' hash of b.
func JHashBytes(p []byte, basis uint32) uint32 {
	a := 0xdeadbeef + uint32(len(p)) + basis
	b, c := a, a
	for ; len(p) >= 12; p = p[12:] {
		a += binary.LittleEndian.Uint32(p)
		b += binary.LittleEndian.Uint32(p[4:])
		c += binary.LittleEndian.Uint32(p[8:])
		a, b, c = jhashMix(a, b, c)
	}
	if len(p) > 0 {
		var tail [12]byte
		copy(tail[:], p)
		a += binary.LittleEndian.Uint32(tail[:])
		b += binary.LittleEndian.Uint32(tail[4:])
		c += binary.LittleEndian.Uint32(tail[8:])
		c = jhashFinal(a, b, c)
	}
	return c
}

// JHashWords is Jenkins' hash of 32-bit words, as the kernel's jhash2.
func JHashWords(p []uint32, basis uint32) uint32 {
	a := 0xdeadbeef + uint32(len(p))<<2 + basis
	b, c := a, a
	for ; len(p) > 3; p = p[3:] {
		a += p[0]
		b += p[1]
		c += p[2]
		a, b, c = jhashMix(a, b, c)
	}
	if len(p) > 0 {
		var tail [3]uint32
		copy(tail[:], p)
		c = jhashFinal(a+tail[0], b+tail[1], c+tail[2])
	}
	return c
}

func jhashMix(a, b, c uint32) (uint32, uint32, uint32) {
	rot := bits.RotateLeft32
	a -= c
	a ^= rot(c, 4)
	c += b
	b -= a
	b ^= rot(a, 6)
	a += c
	c -= b
	c ^= rot(b, 8)
	b += a
	a -= c
	a ^= rot(c, 16)
	c += b
	b -= a
	b ^= rot(a, 19)
	a += c
	c -= b
	c ^= rot(b, 4)
	b += a
	return a, b, c
}

func jhashFinal(a, b, c uint32) uint32 {
	rot := bits.RotateLeft32
	c ^= b
	c -= rot(b, 14)
	a ^= c
	a -= rot(c, 11)
	b ^= a
	b -= rot(a, 25)
	c ^= b
	c -= rot(b, 16)
	a ^= c
	a -= rot(c, 4)
	b ^= a
	b -= rot(a, 14)
	c ^= b
	return c - rot(b, 24)
}

// net32 is a host-order integer as the word that its network order bytes are in
// memory: what OVS's hashes read.
func net32(v uint32) uint32 { return bits.ReverseBytes32(v) }

func net16(v uint16) uint16 { return bits.ReverseBytes16(v) }

func (a *IPv6) words() (lo, hi uint64) {
	return binary.LittleEndian.Uint64(a[:]), binary.LittleEndian.Uint64(a[8:])
}

// Hash5Tuple hashes addresses, protocol and ports (flow_hash_5tuple).
func (f *Flow) Hash5Tuple(basis uint32) uint32 {
	hash := basis
	switch f.DLType {
	case EthIPv6:
		for _, a := range [...]*IPv6{&f.IPv6Src, &f.IPv6Dst} {
			lo, hi := a.words()
			hash = HashAdd64(HashAdd64(hash, lo), hi)
		}
	case EthIPv4, EthARP:
		hash = HashAdd(HashAdd(hash, net32(f.NwSrc)), net32(f.NwDst))
	default:
		return HashFinish(hash, 42)
	}
	hash = HashAdd(hash, uint32(f.NwProto))
	switch f.NwProto {
	case protoTCP, protoUDP, protoSCTP, protoICMP, protoICMPv6:
		hash = HashAdd(hash, uint32(net16(f.TpSrc))|uint32(net16(f.TpDst))<<16)
	}
	return HashFinish(hash, 42)
}

// vlanXor is the exclusive or of the VLAN ids, in network order.
func (f *Flow) vlanXor() (x uint16) {
	for i := range f.VLANs {
		x ^= f.VLANs[i].TCI & VLANVIDMask
	}
	return net16(x)
}

func (f *Flow) macXor() (x MAC) {
	for i := range x {
		x[i] = f.DLSrc[i] ^ f.DLDst[i]
	}
	return x
}

// nwXor writes the exclusive or of the network addresses.
func (f *Flow) nwXor(b []byte) {
	switch f.DLType {
	case EthIPv4:
		binary.BigEndian.PutUint32(b, f.NwSrc^f.NwDst)
	case EthIPv6:
		for i := range f.IPv6Src {
			b[i] = f.IPv6Src[i] ^ f.IPv6Dst[i]
		}
	}
}

// HashSymmetricL4 hashes L2 to L4 so that both directions agree; UDP ports do not
// count.
func (f *Flow) HashSymmetricL4(basis uint32) uint32 {
	var b [32]byte
	f.nwXor(b[:])
	binary.BigEndian.PutUint16(b[16:], f.DLType)
	binary.LittleEndian.PutUint16(b[18:], f.vlanXor())
	mac := f.macXor()
	copy(b[22:], mac[:])
	if f.DLType == EthIPv4 || f.DLType == EthIPv6 {
		b[28] = f.NwProto
		if f.NwProto == protoTCP || f.NwProto == protoSCTP {
			binary.BigEndian.PutUint16(b[20:], f.TpSrc^f.TpDst)
		}
	}
	return JHashBytes(b[:], basis)
}

// HashSymmetricL2 hashes the Ethernet header so that both directions agree.
func (f *Flow) HashSymmetricL2(basis uint32) uint32 {
	if f.PacketType != PacketTypeEth {
		return 0
	}
	var b [12]byte
	binary.BigEndian.PutUint16(b[:], f.DLType)
	binary.LittleEndian.PutUint16(b[2:], f.vlanXor())
	mac := f.macXor()
	copy(b[4:], mac[:])
	hash := basis
	for i := 0; i < 12; i += 4 {
		hash = HashAdd(hash, binary.LittleEndian.Uint32(b[i:]))
	}
	return HashFinish(hash, basis)
}

// HashSymmetricL3L4 hashes L3 and L4 so that both directions agree; packets
// without L3 by their L2.
func (f *Flow) HashSymmetricL3L4(basis uint32, udpPorts bool) uint32 {
	hash := basis
	switch f.DLType {
	case EthIPv4:
		hash = HashAdd(hash, net32(f.NwSrc^f.NwDst))
	case EthIPv6:
		slo, shi := f.IPv6Src.words()
		dlo, dhi := f.IPv6Dst.words()
		hash = HashAdd64(HashAdd64(hash, slo^dlo), shi^dhi)
	default:
		return f.HashSymmetricL2(basis)
	}
	hash = HashAdd(hash, uint32(f.NwProto))
	if f.NwFrag&(NwFragAny|NwFragLater) == 0 &&
		(f.NwProto == protoTCP || f.NwProto == protoSCTP || udpPorts && f.NwProto == protoUDP) {
		hash = HashAdd(hash, uint32(net16(f.TpSrc^f.TpDst)))
	}
	return HashFinish(hash, basis)
}

// HashSymmetricL3 hashes the network addresses so that both directions agree.
func (f *Flow) HashSymmetricL3(basis uint32) uint32 {
	var b [20]byte
	f.nwXor(b[:])
	binary.BigEndian.PutUint16(b[16:], f.DLType)
	return JHashBytes(b[:], basis)
}

// HashFields selects what HashBy hashes, numbered as enum nx_hash_fields.
type HashFields uint16

// Hash fields of the multipath and bundle actions and of select groups.
const (
	HashEthSrc HashFields = iota
	HashSymL4
	HashSymL3L4
	HashSymL3L4UDP
	HashNwSrc
	HashNwDst
	HashSymL3
)

var hashFieldNames = [...]string{"eth_src", "symmetric_l4", "symmetric_l3l4",
	"symmetric_l3l4+udp", "nw_src", "nw_dst", "symmetric_l3"}

// String is the name that ovs-ofctl prints.
func (h HashFields) String() string {
	if int(h) < len(hashFieldNames) {
		return hashFieldNames[h]
	}
	return "<unknown>"
}

// Valid reports that h is one of the constants.
func (h HashFields) Valid() bool { return int(h) < len(hashFieldNames) }

// HashBy hashes the fields that h selects.
func (f *Flow) HashBy(h HashFields, basis uint16) uint32 {
	switch h {
	case HashEthSrc:
		return JHashBytes(f.DLSrc[:], uint32(basis))
	case HashSymL4:
		return f.HashSymmetricL4(uint32(basis))
	case HashSymL3L4, HashSymL3L4UDP:
		return f.HashSymmetricL3L4(uint32(basis), h == HashSymL3L4UDP)
	case HashNwSrc:
		return f.hashNw(f.NwSrc, &f.IPv6Src, uint32(basis))
	case HashNwDst:
		return f.hashNw(f.NwDst, &f.IPv6Dst, uint32(basis))
	case HashSymL3:
		return f.HashSymmetricL3(uint32(basis))
	}
	return 0
}

func (f *Flow) hashNw(v4 uint32, v6 *IPv6, basis uint32) uint32 {
	switch f.DLType {
	case EthIPv4:
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], v4)
		return JHashBytes(b[:], basis)
	case EthIPv6:
		return JHashBytes(v6[:], basis)
	}
	return basis
}
