package exec

import (
	"encoding/binary"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/netdev/packet"
)

// The functions in this file overwrite the bits of fields that a mask names and
// adjust checksums to the change (RFC 1624).  A checksum that was wrong stays
// wrong by the same amount; one that is partial covers the pseudo header only, so
// that ports do not change it.

func mix8(old, key, mask uint8) uint8    { return old&^mask | key&mask }
func mix16(old, key, mask uint16) uint16 { return old&^mask | key&mask }
func mix32(old, key, mask uint32) uint32 { return old&^mask | key&mask }

func mixBytes(b, key, mask []byte) {
	for i := range mask {
		b[i] = b[i]&^mask[i] | key[i]&mask[i]
	}
}

// set runs a set action.
func (x *Executor) set(i packet.Index, s *odp.SetArg) {
	m := x.p.Meta(i)
	k, w := &s.Key, s.Mask.AsFlow()
	switch s.Attr {
	case odp.AttrSkbPriority:
		m.Priority = mix32(m.Priority, k.SkbPriority, w.SkbPriority)
	case odp.AttrSkbMark:
		m.Mark = mix32(m.Mark, k.PktMark, w.PktMark)
	case odp.AttrDPHash:
		m.DPHash = mix32(m.DPHash, k.DPHash, w.DPHash)
	case odp.AttrRecircID:
		m.RecircID = mix32(m.RecircID, k.RecircID, w.RecircID)
	case odp.AttrTunnel:
		*flow.TunnelWords(&x.p.Cold(i).Tunnel) = k.Tunnel
		m.Cold |= packet.ColdTunnel
	case odp.AttrEth:
		if x.isEth(i) {
			b := x.p.Data(i)
			mixBytes(b[:6], k.DLDst[:], w.DLDst[:])
			mixBytes(b[6:12], k.DLSrc[:], w.DLSrc[:])
		}
	case odp.AttrMPLS:
		if b := x.layer(i, m.L25, 4); b != nil {
			binary.BigEndian.PutUint32(b, mix32(binary.BigEndian.Uint32(b), k.MPLS[0], w.MPLS[0]))
		}
	case odp.AttrIPv4:
		x.setIPv4(i, k, w)
	case odp.AttrIPv6:
		x.setIPv6(i, k, w)
	case odp.AttrARP:
		x.setARP(i, k, w)
	case odp.AttrNSH:
		x.setNSH(i, &k.NSH, &w.NSH)
	case odp.AttrTCP:
		x.setPorts(i, 20, 16, k, w)
	case odp.AttrUDP:
		x.setPorts(i, 8, 6, k, w)
	case odp.AttrSCTP:
		x.setSCTP(i, k, w)
	case odp.AttrICMP, odp.AttrICMPv6:
		x.setICMP(i, k, w)
	case odp.AttrND:
		x.setND(i, k, w)
	case odp.AttrNDExt:
		x.setNDExt(i, k, w)
	}
}

// layer returns the packet's bytes from offset on, nil when there are less than n.
func (x *Executor) layer(i packet.Index, offset uint16, n int) []byte {
	b := x.p.Data(i)
	if offset == packet.NoLayer || int(offset)+n > len(b) {
		return nil
	}
	return b[offset:]
}

// transport returns the packet's bytes from the transport header on, without
// padding, nil when there are less than n.
func (x *Executor) transport(i packet.Index, n int) []byte {
	m := x.p.Meta(i)
	b := x.layer(i, m.L4, n)
	if b == nil || m.Next != 0 {
		return b
	}
	if end := int(m.Len) - int(m.L2Pad) - int(m.L4); end < len(b) {
		if end < n {
			return nil
		}
		b = b[:end]
	}
	return b
}

// csumState is the state of the checksum, which AF_XDP devices do not tell.
func (x *Executor) csumState(i packet.Index) packet.Csum {
	m := x.p.Meta(i)
	if m.Offload&packet.CsumUnmarked != 0 {
		m.Offload &^= packet.CsumUnmarked
		x.p.DetectPartial(i)
	}
	return m.Csum
}

// fixL4 adjusts the checksum of the transport header for a change of the pseudo
// header from before to after.
func (x *Executor) fixL4(i packet.Index, proto uint8, before, after []byte) {
	at := 0
	switch proto {
	case packet.ProtoTCP:
		at = 16
	case packet.ProtoUDP:
		at = 6
	case packet.ProtoICMPv6:
		at = 2
	default:
		return
	}
	need := at + 2
	if proto == packet.ProtoTCP {
		need = 20
	}
	l4 := x.transport(i, need)
	if l4 == nil {
		return
	}
	field := l4[at:]
	csum := binary.BigEndian.Uint16(field)
	if x.csumState(i) == packet.CsumPartial {
		binary.BigEndian.PutUint16(field, ^adjust(^csum, before, after))
		return
	}
	if proto == packet.ProtoUDP && csum == 0 {
		return
	}
	csum = adjust(csum, before, after)
	if proto == packet.ProtoUDP && csum == 0 {
		csum = 0xffff
	}
	binary.BigEndian.PutUint16(field, csum)
}

// adjust is csum after bytes that it covers, of even number, changed.
func adjust(csum uint16, before, after []byte) uint16 {
	for n := 0; n+2 <= len(before); n += 2 {
		csum = packet.Recalc16(csum, binary.BigEndian.Uint16(before[n:]), binary.BigEndian.Uint16(after[n:]))
	}
	return csum
}

func (x *Executor) setIPv4(i packet.Index, k, w *flow.Flow) {
	m := x.p.Meta(i)
	ip := x.layer(i, m.L3, 20)
	if ip == nil {
		return
	}
	csum := binary.BigEndian.Uint16(ip[10:])
	for at, v := range map4(k, w) {
		if v.mask == 0 {
			continue
		}
		field := ip[12+4*at : 16+4*at]
		old := binary.BigEndian.Uint32(field)
		now := mix32(old, v.key, v.mask)
		if now == old {
			continue
		}
		var before, after [4]byte
		binary.BigEndian.PutUint32(before[:], old)
		binary.BigEndian.PutUint32(after[:], now)
		x.clearCT(i)
		if ip[9] != packet.ProtoICMPv6 {
			x.fixL4(i, ip[9], before[:], after[:])
		}
		csum = packet.Recalc32(csum, old, now)
		binary.BigEndian.PutUint32(field, now)
	}
	if now := mix8(ip[1], k.NwTOS, w.NwTOS); now != ip[1] {
		csum = packet.Recalc16(csum, uint16(ip[1]), uint16(now))
		ip[1] = now
	}
	if now := mix8(ip[8], k.NwTTL, w.NwTTL); now != ip[8] {
		csum = packet.Recalc16(csum, uint16(ip[8])<<8, uint16(now)<<8)
		ip[8] = now
	}
	binary.BigEndian.PutUint16(ip[10:], csum)
}

type masked32 struct{ key, mask uint32 }

// map4 lists source and destination in the order of the header.
func map4(k, w *flow.Flow) [2]masked32 {
	return [2]masked32{{k.NwSrc, w.NwSrc}, {k.NwDst, w.NwDst}}
}

func (x *Executor) setIPv6(i packet.Index, k, w *flow.Flow) {
	m := x.p.Meta(i)
	ip := x.layer(i, m.L3, 40)
	if ip == nil {
		return
	}
	proto, routed, covered := x.ipv6Transport(i, ip)
	src, dst := flow.IPv6(ip[8:24]), flow.IPv6(ip[24:40])
	mixBytes(src[:], k.IPv6Src[:], w.IPv6Src[:])
	mixBytes(dst[:], k.IPv6Dst[:], w.IPv6Dst[:])
	x.setIPv6Addr(i, ip[8:24], src[:], proto, covered)
	// A routing header with segments left: the checksum is over the last one.
	x.setIPv6Addr(i, ip[24:40], dst[:], proto, covered && !routed)
	word := binary.BigEndian.Uint32(ip)
	tc := mix8(uint8(word>>20), k.NwTOS, w.NwTOS)
	label := mix32(word&0xfffff, k.IPv6Label, w.IPv6Label&0xfffff)
	binary.BigEndian.PutUint32(ip, word&0xf0000000|uint32(tc)<<20|label&0xfffff)
	ip[7] = mix8(ip[7], k.NwTTL, w.NwTTL)
}

func (x *Executor) setIPv6Addr(i packet.Index, field, now []byte, proto uint8, covered bool) {
	if string(field) == string(now) {
		return
	}
	if covered {
		x.fixL4(i, proto, field, now)
	}
	copy(field, now)
	x.clearCT(i)
}

// ipv6Transport finds the transport protocol; routed: a routing header has
// segments left; covered: the packet has a transport header.
func (x *Executor) ipv6Transport(i packet.Index, ip []byte) (proto uint8, routed, covered bool) {
	m := x.p.Meta(i)
	if m.L4 == packet.NoLayer || m.L4 < m.L3 {
		return 0, false, false
	}
	end := min(int(m.L4-m.L3), len(ip))
	proto, covered = ip[6], true
	for at := 40; at+8 <= end; {
		h := ip[at:]
		n := (int(h[1]) + 1) * 8
		switch proto {
		case 43:
			if h[3] > 0 {
				return proto, true, covered
			}
		case 0, 60:
		case 51:
			n = (int(h[1]) + 2) * 4
		case 44:
			n = 8
			offset := binary.BigEndian.Uint16(h[2:])
			covered = offset&0xfff8 == 0 && offset&1 != 0
		default:
			return proto, false, covered
		}
		proto = h[0]
		at += n
	}
	return proto, false, covered
}

func (x *Executor) setARP(i packet.Index, k, w *flow.Flow) {
	a := x.layer(i, x.p.Meta(i).L3, 28)
	if a == nil {
		return
	}
	op := binary.BigEndian.Uint16(a[6:])
	binary.BigEndian.PutUint16(a[6:], mix16(op, uint16(k.NwProto), arpOpMask(w.NwProto)))
	mixBytes(a[8:14], k.ARPSha[:], w.ARPSha[:])
	binary.BigEndian.PutUint32(a[14:], mix32(binary.BigEndian.Uint32(a[14:]), k.NwSrc, w.NwSrc))
	mixBytes(a[18:24], k.ARPTha[:], w.ARPTha[:])
	binary.BigEndian.PutUint32(a[24:], mix32(binary.BigEndian.Uint32(a[24:]), k.NwDst, w.NwDst))
}

// arpOpMask widens the mask of the 8-bit opcode of a Flow to the 16 bits of the
// packet.
func arpOpMask(mask uint8) uint16 {
	if mask == 0xff {
		return 0xffff
	}
	return uint16(mask)
}

func (x *Executor) setNSH(i packet.Index, k, w *flow.NSH) {
	b := x.layer(i, x.p.Meta(i).L3, 8)
	if b == nil {
		return
	}
	size := int(binary.BigEndian.Uint16(b)&0x3f) * 4
	n, ok := flow.ParseNSH(b, len(b))
	if !ok {
		return
	}
	n.Flags = mix8(n.Flags, k.Flags, w.Flags)
	n.TTL = mix8(n.TTL, k.TTL, w.TTL)
	n.PathHdr = mix32(n.PathHdr, k.PathHdr, w.PathHdr)
	for c := range n.Context {
		n.Context[c] = mix32(n.Context[c], k.Context[c], w.Context[c])
	}
	writeNSH(b, &n, size)
}

// setPorts sets TCP or UDP ports; the header has n bytes and its checksum at
// offset at.
func (x *Executor) setPorts(i packet.Index, n, at int, k, w *flow.Flow) {
	h := x.transport(i, n)
	if h == nil || n == 20 && (h[12]>>4 < 5 || len(h) < int(h[12]>>4)*4) {
		return
	}
	before := [4]byte(h[:4])
	binary.BigEndian.PutUint16(h, mix16(binary.BigEndian.Uint16(h), k.TpSrc, w.TpSrc))
	binary.BigEndian.PutUint16(h[2:], mix16(binary.BigEndian.Uint16(h[2:]), k.TpDst, w.TpDst))
	x.clearCT(i)
	csum := binary.BigEndian.Uint16(h[at:])
	udp := n == 8
	if before == [4]byte(h[:4]) || udp && csum == 0 || x.csumState(i) == packet.CsumPartial {
		return
	}
	csum = adjust(csum, before[:], h[:4])
	if udp && csum == 0 {
		csum = 0xffff
	}
	binary.BigEndian.PutUint16(h[at:], csum)
}

// setSCTP sets SCTP ports; the CRC keeps its difference from the right one.
func (x *Executor) setSCTP(i packet.Index, k, w *flow.Flow) {
	m := x.p.Meta(i)
	h := x.transport(i, 12)
	if h == nil {
		return
	}
	old := binary.LittleEndian.Uint32(h[8:])
	binary.LittleEndian.PutUint32(h[8:], 0)
	n := int(m.Len) - int(m.L2Pad) - int(m.L4)
	right := x.p.CRC32C(i, int(m.L4), n)
	binary.BigEndian.PutUint16(h, mix16(binary.BigEndian.Uint16(h), k.TpSrc, w.TpSrc))
	binary.BigEndian.PutUint16(h[2:], mix16(binary.BigEndian.Uint16(h[2:]), k.TpDst, w.TpDst))
	binary.LittleEndian.PutUint32(h[8:], old^right^x.p.CRC32C(i, int(m.L4), n))
	x.clearCT(i)
}

func (x *Executor) setICMP(i packet.Index, k, w *flow.Flow) {
	h := x.transport(i, 8)
	if h == nil {
		return
	}
	before := binary.BigEndian.Uint16(h)
	h[0] = mix8(h[0], uint8(k.TpSrc), uint8(w.TpSrc))
	h[1] = mix8(h[1], uint8(k.TpDst), uint8(w.TpDst))
	csum := packet.Recalc16(binary.BigEndian.Uint16(h[2:]), before, binary.BigEndian.Uint16(h))
	binary.BigEndian.PutUint16(h[2:], csum)
	x.clearCT(i)
}

// ndLen is the length of a neighbour discovery message without options.
const ndLen = 24

func (x *Executor) setND(i packet.Index, k, w *flow.Flow) {
	h := x.transport(i, ndLen)
	if h == nil {
		return
	}
	csum := binary.BigEndian.Uint16(h[2:])
	target := flow.IPv6(h[8:24])
	mixBytes(target[:], k.NDTarget[:], w.NDTarget[:])
	csum = adjust(csum, h[8:24], target[:])
	copy(h[8:24], target[:])
	opts := h[ndLen:]
	for len(opts) >= 8 && opts[1] != 0 {
		if (opts[0] == 1 || opts[0] == 2) && opts[1] == 1 {
			mac := flow.MAC(opts[2:8])
			if opts[0] == 1 {
				mixBytes(mac[:], k.ARPSha[:], w.ARPSha[:])
			} else {
				mixBytes(mac[:], k.ARPTha[:], w.ARPTha[:])
			}
			csum = adjust(csum, opts[2:8], mac[:])
			copy(opts[2:8], mac[:])
			break // only the first link-layer address counts
		}
		opts = opts[min(len(opts), int(opts[1])*8):]
	}
	binary.BigEndian.PutUint16(h[2:], csum)
}

func (x *Executor) setNDExt(i packet.Index, k, w *flow.Flow) {
	h := x.transport(i, ndLen+1)
	if h == nil {
		return
	}
	before := [4]byte(h[4:8])
	csum := binary.BigEndian.Uint16(h[2:])
	if w.IGMPGroup != 0 {
		binary.BigEndian.PutUint32(h[4:], k.IGMPGroup)
	}
	csum = adjust(csum, before[:], h[4:8])
	if w.NDOptType != 0 && len(h) >= ndLen+2 {
		old := [2]byte(h[ndLen : ndLen+2])
		h[ndLen] = k.NDOptType
		csum = adjust(csum, old[:], h[ndLen:ndLen+2])
	}
	binary.BigEndian.PutUint16(h[2:], csum)
}
