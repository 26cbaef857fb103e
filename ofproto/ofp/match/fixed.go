package match

import (
	"math/bits"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
)

// Sizes of the fixed matches.
const (
	Size10 = 40 // struct ofp_match of OpenFlow 1.0
	Size11 = 88 // struct ofp_match of OpenFlow 1.1
)

// dlTypeNotEth is how OpenFlow 1.0 and 1.1 write the type of a frame without one.
const dlTypeNotEth = 0x05ff

// vlanNone10 matches untagged packets in OpenFlow 1.0.
const vlanNone10 = 0xffff

// Wildcard bits of OpenFlow 1.0.
const (
	w10InPort     = 1 << 0
	w10DLVLAN     = 1 << 1
	w10DLSrc      = 1 << 2
	w10DLDst      = 1 << 3
	w10DLType     = 1 << 4
	w10NwProto    = 1 << 5
	w10TpSrc      = 1 << 6
	w10TpDst      = 1 << 7
	w10NwSrcShift = 8
	w10NwDstShift = 14
	w10VLANPCP    = 1 << 20
	w10NwTOS      = 1 << 21
	w10All        = 1<<22 - 1
	w10Data       = w10DLVLAN | w10DLSrc | w10DLDst | w10DLType | w10NwProto | w10TpSrc | w10TpDst | w10VLANPCP | w10NwTOS
)

func wcbitsToMask(n uint32) uint32 {
	if n &= 0x3f; n < 32 {
		return ^uint32(0) << n
	}
	return 0
}

// Decode10 reads the 40 bytes of an OpenFlow 1.0 match.
func (m *Match) Decode10(b []byte) {
	_ = b[Size10-1]
	*m = Match{}
	f, w := &m.Flow, &m.Mask
	wild := be.Uint32(b) & w10All
	if wild&w10InPort == 0 {
		f.InPort, w.InPort = field.PortFrom16(be.Uint16(b[4:])), 0xffffffff
	}
	if wild&w10DLSrc == 0 {
		copy(f.DLSrc[:], b[6:12])
		w.DLSrc = onesMAC
	}
	if wild&w10DLDst == 0 {
		copy(f.DLDst[:], b[12:18])
		w.DLDst = onesMAC
	}
	m.decodeVLAN10(wild, be.Uint16(b[18:]), b[20])
	if wild&w10DLType == 0 {
		f.DLType, w.DLType = dlTypeFromOF(be.Uint16(b[22:])), 0xffff
	}
	if wild&w10NwTOS == 0 {
		f.NwTOS, w.NwTOS = b[24]&0xfc, 0xfc
	}
	if wild&w10NwProto == 0 {
		f.NwProto, w.NwProto = b[25], 0xff
	}
	w.NwSrc = wcbitsToMask(wild >> w10NwSrcShift)
	w.NwDst = wcbitsToMask(wild >> w10NwDstShift)
	f.NwSrc, f.NwDst = be.Uint32(b[28:])&w.NwSrc, be.Uint32(b[32:])&w.NwDst
	if wild&w10TpSrc == 0 {
		f.TpSrc, w.TpSrc = be.Uint16(b[36:]), 0xffff
	}
	if wild&w10TpDst == 0 {
		f.TpDst, w.TpDst = be.Uint16(b[38:]), 0xffff
	}
	if wild&w10Data != w10Data || w.NwSrc != 0 || w.NwDst != 0 {
		m.SetDefaultPacketType()
	}
}

func (m *Match) decodeVLAN10(wild uint32, vlan uint16, pcp uint8) {
	tci, mask := &m.Flow.VLANs[0].TCI, &m.Mask.VLANs[0].TCI
	if wild&w10DLVLAN == 0 && vlan == vlanNone10 {
		// A priority in addition is a contradiction; it is ignored.
		*mask = 0xffff
		return
	}
	if wild&w10VLANPCP == 0 {
		*mask |= pcpCFI
	}
	if wild&w10DLVLAN == 0 {
		*mask |= vidCFI
	}
	*tci = (vlan&flow.VLANVIDMask | uint16(pcp)<<flow.VLANPCPShift | flow.VLANCFI) & *mask
}

var onesMAC = flow.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func dlTypeFromOF(t uint16) uint16 {
	if t == dlTypeNotEth {
		return flow.DLTypeNone
	}
	return t
}

func dlTypeToOF(t uint16) uint16 {
	if t == flow.DLTypeNone {
		return dlTypeNotEth
	}
	return t
}

// Append10 appends m as an OpenFlow 1.0 match.  Fields that it has no room for are
// left out.
func (m *Match) Append10(b []byte) []byte {
	f, w := &m.Flow, &m.Mask
	var wild uint32
	set := func(bit uint32, isWild bool) {
		if isWild {
			wild |= bit
		}
	}
	set(w10InPort, w.InPort == 0)
	set(w10DLType, w.DLType == 0)
	set(w10NwProto, w.NwProto == 0)
	set(w10NwTOS, w.NwTOS&0xfc == 0)
	set(w10TpSrc, w.TpSrc == 0)
	set(w10TpDst, w.TpDst == 0)
	set(w10DLSrc, w.DLSrc == flow.MAC{})
	set(w10DLDst, w.DLDst == flow.MAC{})
	wild |= uint32(bits.TrailingZeros32(w.NwSrc)) << w10NwSrcShift
	wild |= uint32(bits.TrailingZeros32(w.NwDst)) << w10NwDstShift
	var vlan uint16
	var pcp uint8
	switch mask := w.VLANs[0].TCI; {
	case mask == 0:
		wild |= w10DLVLAN | w10VLANPCP
	case mask&flow.VLANCFI != 0 && f.VLANs[0].TCI&flow.VLANCFI == 0:
		vlan = vlanNone10
	default:
		set(w10DLVLAN, mask&flow.VLANVIDMask == 0)
		set(w10VLANPCP, mask&flow.VLANPCPMask == 0)
		if wild&w10DLVLAN == 0 {
			vlan = f.VLANs[0].TCI & flow.VLANVIDMask
		}
		if wild&w10VLANPCP == 0 {
			pcp = uint8(f.VLANs[0].TCI >> flow.VLANPCPShift)
		}
	}
	b = be.AppendUint32(b, wild)
	b = be.AppendUint16(b, field.PortTo16(f.InPort))
	b = append(b, f.DLSrc[:]...)
	b = append(b, f.DLDst[:]...)
	b = be.AppendUint16(b, vlan)
	b = append(b, pcp, 0)
	b = be.AppendUint16(b, dlTypeToOF(f.DLType))
	b = append(b, f.NwTOS&0xfc, f.NwProto, 0, 0)
	b = be.AppendUint32(b, f.NwSrc)
	b = be.AppendUint32(b, f.NwDst)
	b = be.AppendUint16(b, f.TpSrc)
	return be.AppendUint16(b, f.TpDst)
}

// Wildcard bits and VLAN ids of OpenFlow 1.1.
const (
	w11InPort    = 1 << 0
	w11DLVLAN    = 1 << 1
	w11VLANPCP   = 1 << 2
	w11DLType    = 1 << 3
	w11NwTOS     = 1 << 4
	w11NwProto   = 1 << 5
	w11TpSrc     = 1 << 6
	w11TpDst     = 1 << 7
	w11MPLSLabel = 1 << 8
	w11MPLSTC    = 1 << 9

	vlanAny11  = 0xfffe
	vlanNone11 = 0xffff
)

// Decode11 reads the 88 bytes of an OpenFlow 1.1 match.
func (m *Match) Decode11(b []byte) error {
	_ = b[Size11-1]
	*m = Match{}
	f, w := &m.Flow, &m.Mask
	wild := be.Uint32(b[8:])
	if wild&w11InPort == 0 {
		port := be.Uint32(b[4:])
		if !field.CheckPort(port) {
			return oferr.OFPBMC_BAD_VALUE
		}
		f.InPort, w.InPort = port, 0xffffffff
	}
	for i := range 6 {
		w.DLSrc[i], w.DLDst[i] = ^b[18+i], ^b[30+i]
		f.DLSrc[i], f.DLDst[i] = b[12+i]&w.DLSrc[i], b[24+i]&w.DLDst[i]
	}
	if w.DLSrc != (flow.MAC{}) || w.DLDst != (flow.MAC{}) {
		m.SetDefaultPacketType()
	}
	if wild&w11DLVLAN == 0 {
		if err := m.decodeVLAN11(wild, be.Uint16(b[36:]), b[38]); err != nil {
			return err
		}
		m.SetDefaultPacketType()
	}
	if wild&w11DLType == 0 {
		f.DLType, w.DLType = dlTypeFromOF(be.Uint16(b[40:])), 0xffff
		m.SetDefaultPacketType()
	}
	if err := m.decodeIP11(wild, b); err != nil {
		return err
	}
	if f.DLType == flow.EthMPLS || f.DLType == flow.EthMPLSMc {
		if wild&w11MPLSLabel == 0 {
			f.MPLS[0] |= be.Uint32(b[64:]) << 12
			w.MPLS[0] |= 0xfffff000
		}
		if wild&w11MPLSTC == 0 {
			f.MPLS[0] |= uint32(b[68]&7) << 9
			w.MPLS[0] |= 0xe00
		}
	}
	w.Metadata = ^be.Uint64(b[80:])
	f.Metadata = be.Uint64(b[72:]) & w.Metadata
	return nil
}

func (m *Match) decodeVLAN11(wild uint32, vlan uint16, pcp uint8) error {
	tci, mask := &m.Flow.VLANs[0].TCI, &m.Mask.VLANs[0].TCI
	switch {
	case vlan == vlanNone11:
		*tci, *mask = 0, 0xffff
		return nil
	case vlan == vlanAny11:
		*tci, *mask = flow.VLANCFI, flow.VLANCFI
	case vlan < 4096:
		*tci, *mask = flow.VLANCFI|vlan, vidCFI
	default:
		return oferr.OFPBMC_BAD_VALUE
	}
	if wild&w11VLANPCP == 0 {
		if pcp > 7 {
			return oferr.OFPBMC_BAD_VALUE
		}
		*tci |= uint16(pcp) << flow.VLANPCPShift
		*mask |= flow.VLANPCPMask
	}
	return nil
}

func (m *Match) decodeIP11(wild uint32, b []byte) error {
	f, w := &m.Flow, &m.Mask
	ipv4 := f.DLType == flow.EthIPv4
	if ipv4 && wild&w11NwTOS == 0 {
		if b[42]&3 != 0 {
			return oferr.OFPBMC_BAD_VALUE
		}
		f.NwTOS, w.NwTOS = b[42], 0xfc
	}
	if !ipv4 && f.DLType != flow.EthARP && f.DLType != flow.EthRARP {
		return nil
	}
	if wild&w11NwProto == 0 {
		f.NwProto, w.NwProto = b[43], 0xff
	}
	w.NwSrc, w.NwDst = ^be.Uint32(b[48:]), ^be.Uint32(b[56:])
	f.NwSrc, f.NwDst = be.Uint32(b[44:])&w.NwSrc, be.Uint32(b[52:])&w.NwDst
	if !ipv4 || wild&(w11TpSrc|w11TpDst) == w11TpSrc|w11TpDst {
		return nil
	}
	src, dst := be.Uint16(b[60:]), be.Uint16(b[62:])
	switch f.NwProto {
	case protoICMP:
		if wild&w11TpSrc == 0 && src > 0xff || wild&w11TpDst == 0 && dst > 0xff {
			return oferr.OFPBMC_BAD_FIELD
		}
	case protoTCP, protoUDP, protoSCTP:
	default:
		return nil // OpenFlow 1.1 says to ignore the ports then
	}
	if wild&w11TpSrc == 0 {
		f.TpSrc, w.TpSrc = src, 0xffff
	}
	if wild&w11TpDst == 0 {
		f.TpDst, w.TpDst = dst, 0xffff
	}
	return nil
}

// Append11 appends m as an OpenFlow 1.1 match with its header.  Fields that it has no
// room for are left out.
func (m *Match) Append11(b []byte) []byte {
	f, w := &m.Flow, &m.Mask
	var o [Size11]byte
	var wild uint32
	has := func(bit uint32, matched bool) bool {
		if !matched {
			wild |= bit
		}
		return matched
	}
	be.PutUint16(o[0:], typeStandard)
	be.PutUint16(o[2:], Size11)
	if has(w11InPort, w.InPort != 0) {
		be.PutUint32(o[4:], f.InPort)
	}
	for i := range 6 {
		o[12+i], o[18+i] = f.DLSrc[i], ^w.DLSrc[i]
		o[24+i], o[30+i] = f.DLDst[i], ^w.DLDst[i]
	}
	switch mask := w.VLANs[0].TCI; {
	case mask == 0:
		wild |= w11DLVLAN | w11VLANPCP
	case mask&flow.VLANCFI != 0 && f.VLANs[0].TCI&flow.VLANCFI == 0:
		be.PutUint16(o[36:], vlanNone11)
		wild |= w11VLANPCP
	default:
		vlan := f.VLANs[0].TCI & flow.VLANVIDMask
		if mask&flow.VLANVIDMask == 0 {
			vlan = vlanAny11
		}
		be.PutUint16(o[36:], vlan)
		if has(w11VLANPCP, mask&flow.VLANPCPMask != 0) {
			o[38] = uint8(f.VLANs[0].TCI >> flow.VLANPCPShift)
		}
	}
	if has(w11DLType, w.DLType != 0) {
		be.PutUint16(o[40:], dlTypeToOF(f.DLType))
	}
	if has(w11NwTOS, w.NwTOS&0xfc != 0) {
		o[42] = f.NwTOS & 0xfc
	}
	if has(w11NwProto, w.NwProto != 0) {
		o[43] = f.NwProto
	}
	be.PutUint32(o[44:], f.NwSrc)
	be.PutUint32(o[48:], ^w.NwSrc)
	be.PutUint32(o[52:], f.NwDst)
	be.PutUint32(o[56:], ^w.NwDst)
	if has(w11TpSrc, w.TpSrc != 0) {
		be.PutUint16(o[60:], f.TpSrc)
	}
	if has(w11TpDst, w.TpDst != 0) {
		be.PutUint16(o[62:], f.TpDst)
	}
	if has(w11MPLSLabel, w.MPLS[0]&0xfffff000 != 0) {
		be.PutUint32(o[64:], f.MPLS[0]>>12)
	}
	if has(w11MPLSTC, w.MPLS[0]&0xe00 != 0) {
		o[68] = uint8(f.MPLS[0] >> 9 & 7)
	}
	be.PutUint64(o[72:], f.Metadata)
	be.PutUint64(o[80:], ^w.Metadata)
	be.PutUint32(o[8:], wild)
	return append(b, o[:]...)
}
