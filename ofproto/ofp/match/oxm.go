package match

import (
	"encoding/binary"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

var be = binary.BigEndian

// Types of ofp11_match_header.
const (
	typeStandard = 0
	typeOXM      = 1
)

// Options changes how a match is decoded.
type Options struct {
	// Tun is the switch's table of tunnel options; nil: the match gets its own.
	Tun *field.TunTable
	// Loose skips fields that are unknown and does not ask for prerequisites.
	Loose bool
	// PipelineOnly allows only the fields that a packet_out may set.
	PipelineOnly bool
}

// Cookie is the cookie pseudo-field of an NXM match; a zero Mask: there was none.
type Cookie struct{ Value, Mask uint64 }

// Decode reads OXM or NXM entries from the whole of p into m.  A nil cookie refuses
// the cookie pseudo-field.
func (m *Match) Decode(p []byte, o Options, cookie *Cookie) error {
	*m = Match{} // without a copy through the stack, which costs as much again
	m.Tun = o.Tun
	if cookie != nil {
		*cookie = Cookie{}
	}
	var v, mask field.Value // here, so that they are cleared once
	for b := p; len(b) > 0; {
		n, err := m.decodeEntry(b, &o, cookie, &v, &mask)
		if err == oferr.OFPBMC_BAD_FIELD && o.Loose && n > 0 {
			err = nil
		}
		if err != nil {
			if nxLog.DbgEnabled() {
				nxLog.DbgRL(nxRL, "error parsing OXM at offset %d within match (%v)", len(p)-len(b), err)
			}
			return err
		}
		b = b[n:]
	}
	if m.Mask.Tunnel.Present == 0 {
		m.Tun = nil
	}
	return nil
}

func (m *Match) decodeEntry(b []byte, o *Options, cookie *Cookie, v, mask *field.Value) (int, error) {
	e, n, err := field.PullEntry(b, o.Tun, false, cookie != nil, v, mask)
	if err != nil {
		return n, err
	}
	if e.ID == field.N {
		if cookie.Mask != 0 {
			return 0, oferr.OFPBMC_DUP_FIELD
		}
		*cookie = Cookie{be.Uint64(v[:]), be.Uint64(mask[:])}
		return n, nil
	}
	f := field.Get(e.ID)
	switch {
	case !f.MaskValid(mask):
		nxLog.DbgRL(nxRL, "bad mask for field %s", f.Name)
		return 0, oferr.OFPBMC_BAD_MASK
	case !f.ValueValid(v):
		nxLog.DbgRL(nxRL, "bad value for field %s", f.Name)
		return 0, oferr.OFPBMC_BAD_VALUE
	case !o.Loose && !m.PrereqsOK(e.ID):
		return 0, oferr.OFPBMC_BAD_PREREQ
	case !field.IsWild(&m.Mask, e.ID):
		return 0, oferr.OFPBMC_DUP_FIELD
	case o.PipelineOnly && !e.ID.IsPipeline():
		return 0, oferr.OFPBRC_PIPELINE_FIELDS_ONLY
	}
	if _, err := m.Set(e.ID, v, mask); err != nil {
		nxLog.DbgRL(nxRL, "error parsing OXM within match (%v)", err)
		return 0, oferr.OFPBMC_BAD_VALUE
	}
	m.AddEthernetPrereq(e.ID)
	return n, nil
}

func pad8(n int) int { return (n + 7) &^ 7 }

// PullNXM reads an NXM match of matchLen bytes and its padding from the beginning of
// b and returns the bytes taken.
func (m *Match) PullNXM(b []byte, matchLen int, o Options, cookie *Cookie) (int, error) {
	n := pad8(matchLen)
	if n > len(b) {
		nxLog.DbgRL(nxRL, "nx_match length %d, rounded up to a multiple of 8, is longer than space in message (max length %d)",
			matchLen, len(b))
		return 0, oferr.OFPBMC_BAD_LEN
	}
	return n, m.Decode(b[:matchLen], o, cookie)
}

// Pull reads a match with its ofp11_match_header from the beginning of b: the fixed
// one of OpenFlow 1.1, or OXM with its padding.  It returns the bytes taken.
func (m *Match) Pull(b []byte, o Options) (int, error) {
	if len(b) < 4 {
		return 0, oferr.OFPBMC_BAD_LEN
	}
	size := int(be.Uint16(b[2:]))
	switch be.Uint16(b) {
	case typeStandard:
		if size != Size11 || len(b) < Size11 {
			return 0, oferr.OFPBMC_BAD_LEN
		}
		return Size11, m.Decode11(b[:Size11])
	case typeOXM:
		return m.PullOXM(b, o)
	}
	return 0, oferr.OFPBMC_BAD_TYPE
}

// PullOXM is Pull for OXM only.
func (m *Match) PullOXM(b []byte, o Options) (int, error) {
	if len(b) < 4 {
		return 0, oferr.OFPBMC_BAD_LEN
	}
	size := int(be.Uint16(b[2:]))
	switch {
	case size < 4:
		return 0, oferr.OFPBMC_BAD_LEN
	case be.Uint16(b) != typeOXM:
		return 0, oferr.OFPBMC_BAD_TYPE
	case pad8(size) > len(b):
		nxLog.DbgRL(nxRL, "oxm length %d, rounded up to a multiple of 8, is longer than space in message (max length %d)",
			size, len(b))
		return 0, oferr.OFPBMC_BAD_LEN
	}
	return pad8(size), m.Decode(b[4:size], o, nil)
}

// AppendNXM appends m as NXM with padding to a multiple of 8.  n is the length
// without padding.
func (m *Match) AppendNXM(b []byte, cookie Cookie) (out []byte, n int) {
	start := len(b)
	b = m.AppendEntries(b, 0, cookie)
	n = len(b) - start
	return append(b, zeros[:pad8(n)-n]...), n
}

var zeros [8]byte

// AppendOXM appends m as OXM with its header and padding.
func (m *Match) AppendOXM(b []byte, ver ofver.Version) []byte {
	start := len(b)
	b = append(b, 0, typeOXM, 0, 0)
	b = m.AppendEntries(b, ver, Cookie{})
	n := len(b) - start
	be.PutUint16(b[start+2:], uint16(n))
	return append(b, zeros[:pad8(n)-n]...)
}

// Append appends m as messages of OpenFlow 1.1 and later carry it.
func (m *Match) Append(b []byte, ver ofver.Version) []byte {
	if ver == ofver.OF11 {
		return m.Append11(b)
	}
	return m.AppendOXM(b, ver)
}

// encoder appends entries, in the order in which stock writes them.
type encoder struct {
	m   *Match
	b   []byte
	ver ofver.Version
	// ethernet is set once a field says that packets are Ethernet.
	ethernet bool
	v, mask  field.Value // of the field at hand
}

// field appends field id if any of its bits is matched; with the mask if not all
// bytes of the mask are ones.
func (e *encoder) field(ids ...field.ID) {
	for _, id := range ids {
		if field.IsWild(&e.m.Mask, id) {
			continue
		}
		e.m.Get(id, &e.v, &e.mask)
		e.put(id, &e.v, &e.mask)
	}
}

// exact appends field id without a mask if any of its bits is matched.
func (e *encoder) exact(ids ...field.ID) {
	for _, id := range ids {
		if !field.IsWild(&e.m.Mask, id) {
			field.Read(&e.m.Flow, id, nil, &e.v)
			e.put(id, &e.v, nil)
		}
	}
}

func (e *encoder) put(id field.ID, v, mask *field.Value) {
	f := field.Get(id)
	if mask != nil && isExact(f, mask) {
		mask = nil
	}
	e.b = field.AppendEntry(e.b, id, e.ver, v, mask)
	e.ethernet = e.ethernet || f.Prereq != field.PreNone
}

// AppendEntries appends m as OXM entries of version ver, or as NXM for version 0.
func (m *Match) AppendEntries(b []byte, ver ofver.Version, cookie Cookie) []byte {
	start := len(b)
	e := encoder{m: m, b: b, ver: ver}
	if m.Mask.PacketType != 0 && !m.HasDefaultPacketType() {
		e.field(field.PacketType)
	}
	w := &m.Mask
	e.field(field.DPHash)
	e.exact(field.RecircID, field.ConjID)
	if ver != 0 {
		e.exact(field.InPortOXM)
	} else {
		e.exact(field.InPort)
	}
	e.exact(field.ActsetOutput)
	e.l2()
	e.l3()
	// Most matches have none of the following.
	if w.Tunnel != (flow.Tunnel{}) {
		e.tunnel()
	}
	if w.NSH != (flow.NSH{}) {
		e.field(field.NSHFlags, field.NSHTTL, field.NSHMDType, field.NSHNP, field.NSHSPI, field.NSHSI,
			field.NSHC1, field.NSHC2, field.NSHC3, field.NSHC4)
	}
	if w.Regs != [flow.NRegs]uint32{} {
		e.regs()
	}
	e.field(field.PktMark, field.CTState, field.CTZone, field.CTMark, field.CTLabel,
		field.CTNwSrc, field.CTIPv6Src, field.CTNwDst, field.CTIPv6Dst)
	if m.Flow.CTNwProto != 0 {
		e.field(field.CTNwProto, field.CTTpSrc, field.CTTpDst)
	}
	e.field(field.Metadata)
	if cookie.Mask != 0 {
		e.b = field.AppendCookie(e.b, cookie.Value, cookie.Mask)
	}
	if m.HasDefaultPacketType() && !e.ethernet {
		e.insertPacketType(start)
	}
	return e.b
}

// insertPacketType puts packet_type before everything else: nothing else says that
// the match is on Ethernet packets.
func (e *encoder) insertPacketType(start int) {
	var buf [8]byte
	pt := field.AppendRaw(buf[:0], field.PacketType, e.ver, zeros[:4], nil)
	e.b = append(e.b, pt...)
	copy(e.b[start+len(pt):], e.b[start:])
	copy(e.b[start:], pt)
}

func (e *encoder) l2() {
	m := e.m
	e.field(field.EthSrc, field.EthDst)
	if m.Mask.DLType != 0 {
		var v, mask field.Value
		t := m.Flow.DLType
		if t == flow.DLTypeNone {
			t = dlTypeNotEth
		}
		be.PutUint16(v[:], t)
		be.PutUint16(mask[:], m.Mask.DLType)
		e.put(field.EthType, &v, &mask)
	}
	if e.ver == 0 {
		e.field(field.VLANTCI)
	} else {
		e.field(field.VLANVID)
		if m.Flow.VLANs[0].TCI&vidCFI != 0 && m.Mask.VLANs[0].TCI&flow.VLANPCPMask != 0 {
			e.exact(field.VLANPCP)
		}
	}
	if t := field.DLType(&m.Flow); t == flow.EthMPLS || t == flow.EthMPLSMc {
		e.exact(field.MPLSTC, field.MPLSBOS, field.MPLSTTL, field.MPLSLabel)
	}
}

func (e *encoder) l3() {
	switch field.DLType(&e.m.Flow) {
	case flow.EthIPv4:
		e.field(field.IPv4Src, field.IPv4Dst)
		e.ip()
	case flow.EthIPv6:
		e.field(field.IPv6Src, field.IPv6Dst)
		e.ip()
	case flow.EthARP, flow.EthRARP:
		e.exact(field.ARPOp)
		e.field(field.ARPSPA, field.ARPTPA, field.ARPSHA, field.ARPTHA)
	}
}

// IP protocols.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132

	ndSolicit = 135
	ndAdvert  = 136
)

func (e *encoder) ip() {
	m := e.m
	e.field(field.IPFrag)
	if e.ver != 0 {
		e.exact(field.IPDSCPShifted)
	} else {
		e.exact(field.IPDSCP)
	}
	e.exact(field.IPECN, field.IPTTL)
	e.field(field.IPv6Label) // for IPv4 too, if something set it
	if m.Mask.NwProto == 0 {
		return
	}
	e.exact(field.IPProto)
	v4 := field.DLType(&m.Flow) == flow.EthIPv4
	switch proto := m.Flow.NwProto; {
	case proto == protoTCP:
		e.field(field.TCPSrc, field.TCPDst, field.TCPFlags)
	case proto == protoUDP:
		e.field(field.UDPSrc, field.UDPDst)
	case proto == protoSCTP:
		e.field(field.SCTPSrc, field.SCTPDst)
	case proto == protoICMP && v4:
		e.exact(field.ICMPv4Type, field.ICMPv4Code)
	case proto == protoICMPv6 && !v4:
		e.exact(field.ICMPv6Type, field.ICMPv6Code)
		if m.PrereqsOK(field.NDTarget) {
			e.nd()
		}
	}
}

func (e *encoder) nd() {
	e.exact(field.NDReserved)
	e.field(field.NDTarget)
	e.exact(field.NDOptionsType)
	switch e.m.Flow.TpSrc {
	case ndSolicit:
		e.field(field.NDSLL)
	case ndAdvert:
		e.field(field.NDTLL)
	}
}

func (e *encoder) tunnel() {
	m := e.m
	e.field(field.TunID, field.TunFlags, field.TunSrc, field.TunDst, field.TunIPv6Src, field.TunIPv6Dst,
		field.TunGBPID, field.TunGBPFlags)
	m.eachTunMetadata(func(id field.ID, value, mask []byte, masked, present bool) {
		if !masked {
			mask = nil
		}
		e.b = field.AppendRaw(e.b, id, e.ver, value, mask)
	})
	e.field(field.TunERSPANIdx, field.TunERSPANVer, field.TunERSPANDir, field.TunERSPANHwID,
		field.TunGTPUFlags, field.TunGTPUMsgType)
}

// eachTunMetadata calls f for the tun_metadata fields that m matches.  masked says
// whether the wire form has a mask; present that the option must be there.
func (m *Match) eachTunMetadata(f func(id field.ID, value, mask []byte, masked, present bool)) {
	if m.Mask.Tunnel.Present == 0 || m.Tun == nil {
		return
	}
	for i := range field.ID(field.NTunMetadata) {
		if m.Mask.Tunnel.Present>>i&1 == 0 {
			continue
		}
		id := field.TunMetadata0 + i
		var v, mask field.Value
		m.Get(id, &v, &mask)
		size := int(field.Get(id).Size)
		from := size - int(m.Tun.Size(id))
		masked := false
		if m.Tun.Private {
			masked = m.Tun.Masked>>i&1 != 0
		} else {
			masked = from == size
			for _, x := range mask[from:size] {
				masked = masked || x != 0xff
			}
		}
		f(id, v[from:size], mask[from:size], masked, m.Flow.Tunnel.Present>>i&1 != 0)
	}
}

func (e *encoder) regs() {
	if e.ver < ofver.OF15 {
		for id := field.Reg0; id <= field.Reg15; id++ {
			e.field(id)
		}
		return
	}
	for id := field.XReg0; id <= field.XReg7; id++ {
		e.field(id)
	}
}
