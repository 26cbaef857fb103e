package flow

import (
	"encoding/binary"

	"sluice/netdev/packet"
)

// CTOrig is the original tuple of a packet's connection, as a Flow has it.
type CTOrig struct {
	NwSrc, NwDst     uint32
	IPv6Src, IPv6Dst IPv6
	TpSrc, TpDst     uint16
	Proto            uint8
}

// StoreCT is SetColdCT for those who have no Flow: it writes the words that Extract
// reads.
func StoreCT(cold *packet.Cold, label U128, o *CTOrig) {
	w := &cold.CT
	w[0], w[1] = label.Hi, label.Lo
	w[wCTNw-wCTLabel] = uint64(o.NwSrc) | uint64(o.NwDst)<<32
	v6 := w[wCTIPv6-wCTLabel:]
	v6[0], v6[1] = binary.LittleEndian.Uint64(o.IPv6Src[:]), binary.LittleEndian.Uint64(o.IPv6Src[8:])
	v6[2], v6[3] = binary.LittleEndian.Uint64(o.IPv6Dst[:]), binary.LittleEndian.Uint64(o.IPv6Dst[8:])
	w[wCTTp-wCTLabel] = uint64(o.TpSrc) | uint64(o.TpDst)<<16
	w[ctProto] = uint64(o.Proto)
}

// LoadCT reads back the tuple that StoreCT or SetColdCT stored.
func LoadCT(cold *packet.Cold, o *CTOrig) {
	w := &cold.CT
	nw, tp := w[wCTNw-wCTLabel], w[wCTTp-wCTLabel]
	o.NwSrc, o.NwDst = uint32(nw), uint32(nw>>32)
	for i, v := range w[wCTIPv6-wCTLabel : wCTIPv6-wCTLabel+2] {
		binary.LittleEndian.PutUint64(o.IPv6Src[8*i:], v)
	}
	for i, v := range w[wCTIPv6-wCTLabel+2 : wCTIPv6-wCTLabel+4] {
		binary.LittleEndian.PutUint64(o.IPv6Dst[8*i:], v)
	}
	o.TpSrc, o.TpDst = uint16(tp), uint16(tp>>16)
	o.Proto = uint8(w[ctProto])
}
