package action

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/ofver"
)

// IP protocols.
const (
	protoTCP  = 6
	protoUDP  = 17
	protoSCTP = 132
)

// header writes the OXM or NXM header of s's field over the bytes at ofs.
func (e *encoder) header(ofs int, s field.Sub, ver ofver.Version) {
	var buf [8]byte
	copy(e.b[ofs:], field.AppendHeader(buf[:0], s.ID, ver, int(s.Size), false))
}

// appendHeader appends the OXM or NXM header of s's field.
func (e *encoder) appendHeader(s field.Sub, ver ofver.Version) {
	e.b = field.AppendHeader(e.b, s.ID, ver, int(s.Size), false)
}

// packed is the offset and width of s as nxmSub reads them.
func packed(s field.Sub) uint16 { return s.Ofs<<6 | (s.Bits-1)&0x3f }

func (e *encoder) controller(a *Controller) {
	if len(a.UserData) == 0 && !a.Pause && a.MeterID == 0 && a.Raw != RawNXController2 {
		start := e.put(RawNXController, 0)
		be.PutUint16(e.b[start+10:], a.MaxLen)
		be.PutUint16(e.b[start+12:], a.ID)
		e.b[start+14] = a.Reason
		return
	}
	start := e.put(RawNXController2, 0)
	if a.MaxLen != 0xffff {
		e.prop(ctlMaxLen, []byte{byte(a.MaxLen >> 8), byte(a.MaxLen), 0, 0})
	}
	if a.ID != 0 {
		e.prop(ctlID, []byte{byte(a.ID >> 8), byte(a.ID), 0, 0})
	}
	if a.Reason != reasonAction {
		e.prop(ctlReason, []byte{a.Reason})
	}
	if len(a.UserData) != 0 {
		e.prop(ctlUserData, a.UserData)
	}
	if a.Pause {
		e.prop(ctlPause, nil)
	}
	if a.MeterID != 0 {
		e.prop(ctlMeter, be.AppendUint32(nil, a.MeterID))
	}
	e.pad(start)
}

// prop appends a property with its padding.
func (e *encoder) prop(typ uint16, payload []byte) {
	e.b = be.AppendUint16(e.b, typ)
	e.b = be.AppendUint16(e.b, uint16(4+len(payload)))
	e.b = append(e.b, payload...)
	for n := 4 + len(payload); n%8 != 0; n++ {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) outputReg(a *OutputReg) {
	if nxm := a.Src.NXMHeader(); a.Raw != RawNXOutputReg2 && nxm != 0 {
		start := e.put(RawNXOutputReg, 0)
		be.PutUint16(e.b[start+10:], packed(a.Src))
		be.PutUint32(e.b[start+12:], nxm)
		be.PutUint16(e.b[start+16:], a.MaxLen)
		return
	}
	start := e.put(RawNXOutputReg2, 0)
	be.PutUint16(e.b[start+10:], packed(a.Src))
	be.PutUint16(e.b[start+12:], a.MaxLen)
	e.header(start+14, a.Src, 0)
}

func (e *encoder) bundle(a *Bundle) {
	raw := RawNXBundle
	if a.Load {
		raw = RawNXBundleLoad
	}
	start := e.put(raw, 0)
	o := e.b[start:]
	be.PutUint16(o[10:], uint16(a.Alg))
	be.PutUint16(o[12:], uint16(a.Fields))
	be.PutUint16(o[14:], a.Basis)
	be.PutUint32(o[16:], field.Whole(field.InPort).NXMHeader())
	be.PutUint16(o[20:], uint16(len(a.Members)))
	if a.Load {
		be.PutUint16(o[22:], packed(a.Dst))
		be.PutUint32(o[24:], a.Dst.NXMHeader())
	}
	for _, m := range a.Members {
		e.b = be.AppendUint16(e.b, field.PortTo16(m))
	}
	e.pad(start)
}

func (e *encoder) multipath(a *Multipath) {
	start := e.put(RawNXMultipath, 0)
	o := e.b[start:]
	be.PutUint16(o[10:], uint16(a.Fields))
	be.PutUint16(o[12:], a.Basis)
	be.PutUint16(o[16:], uint16(a.Alg))
	be.PutUint16(o[18:], a.MaxLink)
	be.PutUint32(o[20:], a.Arg)
	be.PutUint16(o[26:], packed(a.Dst))
	be.PutUint32(o[28:], a.Dst.NXMHeader())
}

func (e *encoder) regMove(a *RegMove) {
	sizes := func(at int) {
		be.PutUint16(e.b[at:], a.Dst.Bits)
		be.PutUint16(e.b[at+2:], a.Src.Ofs)
		be.PutUint16(e.b[at+4:], a.Dst.Ofs)
	}
	var start, cut int
	ver := e.ver
	switch {
	case e.ver >= ofver.OF15:
		start = e.put(Raw15CopyField, 0)
		cut = 12
		sizes(start + 4)
	case e.ver == ofver.OF13 && a.Raw == RawONF13CopyField:
		start = e.put(RawONF13CopyField, 0)
		cut = 20
		sizes(start + 12)
	default:
		start = e.put(RawNXRegMove, 0)
		cut, ver = 16, 0
		sizes(start + 10)
	}
	e.b = e.b[:start+cut]
	e.appendHeader(a.Src, ver)
	e.appendHeader(a.Dst, ver)
	e.pad(start)
}

func (e *encoder) stack(raw Raw, s field.Sub) {
	start := e.put(raw, 0)
	be.PutUint16(e.b[start+10:], s.Ofs)
	h := field.AppendHeader(nil, s.ID, 0, int(s.Size), false)
	copy(e.b[start+12:], h)
	be.PutUint16(e.b[start+12+len(h):], s.Bits)
}

func (e *encoder) decTTL(a *DecTTL) {
	if a.Raw != RawNXDecTTLCntIDs && len(a.IDs) == 1 && a.IDs[0] == 0 {
		e.put(RawDecNwTTL, 0)
		return
	}
	start := e.put(RawNXDecTTLCntIDs, 0)
	be.PutUint16(e.b[start+10:], uint16(len(a.IDs)))
	for _, id := range a.IDs {
		e.b = be.AppendUint16(e.b, id)
	}
	e.pad(start)
}

func (e *encoder) encap(a *Encap) {
	start := e.put(RawNXEncap, 0)
	be.PutUint16(e.b[start+10:], a.HdrSize)
	be.PutUint32(e.b[start+12:], a.PacketType)
	for i := range a.Props {
		p := &a.Props[i]
		e.b = be.AppendUint16(e.b, p.Class)
		e.b = append(e.b, p.Type)
		if p.Type == propNSHMDType {
			e.b = append(e.b, 5, p.MDType, 0, 0, 0)
			continue
		}
		n := (len(p.Data) + 7) &^ 7
		e.b = append(e.b, byte(8+n), byte(p.TLVClass>>8), byte(p.TLVClass), p.TLVType, byte(len(p.Data)))
		e.b = append(e.b, p.Data...)
		e.b = append(e.b, make([]byte, n-len(p.Data))...)
	}
	e.pad(start)
}

func (e *encoder) learn(a *Learn) {
	raw := RawNXLearn
	if a.Raw == RawNXLearn2 || a.Limit != 0 || a.Flags&LearnWriteResult != 0 {
		raw = RawNXLearn2
	}
	start := e.put(raw, 0)
	o := e.b[start:]
	be.PutUint16(o[10:], a.Idle)
	be.PutUint16(o[12:], a.Hard)
	be.PutUint16(o[14:], a.Priority)
	be.PutUint64(o[16:], a.Cookie)
	be.PutUint16(o[24:], uint16(a.Flags))
	o[26] = a.Table
	be.PutUint16(o[28:], a.FinIdle)
	be.PutUint16(o[30:], a.FinHard)
	if raw == RawNXLearn2 {
		be.PutUint32(o[32:], a.Limit)
		be.PutUint16(o[36:], a.ResultDst.Ofs)
	}
	if a.Flags&LearnWriteResult != 0 {
		e.appendHeader(field.Sub{ID: a.ResultDst.ID}, 0)
	}
	for i := range a.Specs {
		e.learnSpec(&a.Specs[i])
	}
	e.pad(start)
}

func (e *encoder) learnSpec(s *LearnSpec) {
	header := s.Bits | uint16(s.Kind)<<11
	if s.Imm != nil {
		header |= 1 << 13
	}
	e.b = be.AppendUint16(e.b, header)
	if s.Imm == nil {
		e.b = be.AppendUint32(e.b, s.Src.NXMHeader())
		e.b = be.AppendUint16(e.b, s.Src.Ofs)
	} else {
		n := (int(s.Bits) + 15) / 16 * 2
		e.b = append(e.b, make([]byte, n-len(s.Imm))...)
		e.b = append(e.b, s.Imm...)
	}
	if s.Kind != LearnOutput {
		e.b = be.AppendUint32(e.b, s.Dst.NXMHeader())
		e.b = be.AppendUint16(e.b, s.Dst.Ofs)
	}
}

func (e *encoder) sample(a *Sample) {
	raw := RawNXSample
	switch {
	case a.Raw == RawNXSample3 || a.Direction != SampleDefault:
		raw = RawNXSample3
	case a.Raw == RawNXSample2 || a.Port != flow.OFPNone:
		raw = RawNXSample2
	}
	start := e.put(raw, 0)
	o := e.b[start:]
	be.PutUint16(o[10:], a.Probability)
	be.PutUint32(o[12:], a.CollectorSet)
	be.PutUint32(o[16:], a.ObsDomain)
	be.PutUint32(o[20:], a.ObsPoint)
	if raw != RawNXSample {
		be.PutUint16(o[24:], field.PortTo16(a.Port))
		o[26] = a.Direction
	}
}

func (e *encoder) ct(a *CT) {
	start := e.put(RawNXCT, 0)
	o := e.b[start:]
	be.PutUint16(o[10:], a.Flags)
	if a.HasZoneSrc {
		be.PutUint32(o[12:], a.ZoneSrc.NXMHeader())
		be.PutUint16(o[16:], packed(a.ZoneSrc))
	} else {
		be.PutUint16(o[16:], a.Zone)
	}
	o[18] = a.RecircTable
	be.PutUint16(o[22:], a.Alg)
	e.nest(start, a.Actions)
}

func (e *encoder) nat(a *NAT) {
	start := e.put(RawNXNAT, 0)
	be.PutUint16(e.b[start+12:], a.Flags)
	var present uint16
	address := func(b []byte, bit uint16) {
		if !allZero(b) {
			e.b = append(e.b, b...)
			present |= bit
		}
	}
	if a.HasAddr {
		if a.IPv6 {
			address(a.AddrMin[:], natIPv6Min)
			address(a.AddrMax[:], natIPv6Max)
		} else {
			address(a.AddrMin[:4], natIPv4Min)
			address(a.AddrMax[:4], natIPv4Max)
		}
		if a.ProtoMin != 0 {
			e.b = be.AppendUint16(e.b, a.ProtoMin)
			present |= natProtoMin
		}
		if a.ProtoMax != 0 {
			e.b = be.AppendUint16(e.b, a.ProtoMax)
			present |= natProtoMax
		}
	}
	e.pad(start)
	be.PutUint16(e.b[start+14:], present)
}

func (e *encoder) regLoad(dst field.Sub, value uint64) {
	start := e.put(RawNXRegLoad, 0)
	be.PutUint16(e.b[start+10:], packed(dst))
	be.PutUint32(e.b[start+12:], dst.NXMHeader())
	be.PutUint64(e.b[start+16:], value)
}

// eachLoad calls f for the runs of at most 64 bits that s sets, lowest first.
func (s *SetField) eachLoad(f func(dst field.Sub, value uint64)) {
	n := s.FieldSize()
	value, mask := s.Data[:n], s.Data[n:]
	width := int(field.Get(s.ID).Bits)
	if s.Size != 0 {
		width = n * 8
	}
	bit := func(i int) bool { return mask[n-1-i/8]>>(i%8)&1 != 0 }
	for i := 0; i < width; {
		if !bit(i) {
			i++
			continue
		}
		end := i + 1
		for end < width && end < i+64 && bit(end) {
			end++
		}
		var x [8]byte
		field.CopyBits(value, i, x[:], 0, end-i)
		f(field.Sub{ID: s.ID, Size: s.Size, Ofs: uint16(i), Bits: uint16(end - i)}, be.Uint64(x[:]))
		i = end
	}
}

func (s *SetField) exact() bool {
	for _, x := range s.Mask() {
		if x != 0xff {
			return false
		}
	}
	return true
}

func (e *encoder) setField(s *SetField) {
	var v, mask field.Value
	s.Get(&v, &mask)
	switch {
	case e.ver >= ofver.OF15:
		e.setFieldSized(s, &v, &mask)
	case s.Raw == RawNXRegLoad || s.Raw == RawNXRegLoad2:
		e.setFieldAsLoad(s, &v, &mask)
	case e.ver < ofver.OF12:
		e.setFieldLegacy(s, &v, &mask)
	case s.exact():
		e.setFieldSized(s, &v, &mask)
	default:
		e.setFieldAsLoad(s, &v, &mask)
	}
}

// setFieldSized writes Set-Field; a mapped tun_metadata field is exact if all of its
// mapped bytes are.
func (e *encoder) setFieldSized(s *SetField, v, mask *field.Value) {
	if s.exact() {
		mask = nil
	}
	e.setFieldEntry(s.ID, v, mask)
}

func (e *encoder) setFieldAsLoad(s *SetField, v, mask *field.Value) {
	whole := field.Sub{ID: s.ID, Size: s.Size}
	if s.Raw != RawNXRegLoad2 && whole.NXMHeader() != 0 && !field.Get(s.ID).Variable {
		s.eachLoad(e.regLoad)
		return
	}
	if s.exact() {
		mask = nil
	}
	start := e.put(RawNXRegLoad2, 0)
	e.b = field.AppendEntry(e.b[:start+10], s.ID, 0, v, mask)
	e.pad(start)
}

func (e *encoder) setFieldLegacy(s *SetField, v, mask *field.Value) {
	raw := func(raw10, raw11 Raw, arg uint64) {
		if e.ver == ofver.OF10 {
			e.put(raw10, arg)
		} else {
			e.put(raw11, arg)
		}
	}
	switch s.ID {
	case field.VLANTCI:
		tci := be.Uint16(v[:])
		if tci&flow.VLANCFI == 0 {
			raw(Raw10StripVLAN, Raw11PopVLAN, 0)
			return
		}
		e.implicitPush(!s.FlowHasVLAN)
		raw(Raw10SetVLANVID, Raw11SetVLANVID, uint64(tci&flow.VLANVIDMask))
		raw(Raw10SetVLANPCP, Raw11SetVLANPCP, uint64(tci>>flow.VLANPCPShift))
	case field.VLANVID:
		raw(Raw10SetVLANVID, Raw11SetVLANVID, uint64(be.Uint16(v[:])&flow.VLANVIDMask))
	case field.VLANPCP:
		raw(Raw10SetVLANPCP, Raw11SetVLANPCP, uint64(v[0]))
	case field.EthSrc:
		e.mac(RawSetDLSrc, s.ID, [6]byte(v[:6]))
	case field.EthDst:
		e.mac(RawSetDLDst, s.ID, [6]byte(v[:6]))
	case field.IPv4Src:
		e.put(RawSetNwSrc, uint64(be.Uint32(v[:])))
	case field.IPv4Dst:
		e.put(RawSetNwDst, uint64(be.Uint32(v[:])))
	case field.IPDSCP:
		e.put(RawSetNwTOS, uint64(v[0]))
	case field.IPDSCPShifted:
		e.put(RawSetNwTOS, uint64(v[0]<<2))
	case field.IPECN:
		e.ecn(v[0])
	case field.TCPSrc, field.UDPSrc:
		e.put(RawSetTpSrc, uint64(be.Uint16(v[:])))
	case field.TCPDst, field.UDPDst:
		e.put(RawSetTpDst, uint64(be.Uint16(v[:])))
	default:
		e.setFieldAsLoad(s, v, mask)
	}
}
