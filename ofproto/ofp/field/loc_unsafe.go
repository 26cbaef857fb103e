package field

import (
	"unsafe"

	"sluice/dpif/flow"
)

// kind is the type of the member of flow.Flow in which a field lives.
type kind uint8

const (
	kindNone    kind = iota // not in a flow, or in none of the other ways
	kindU8                  // unsigned integers in host order
	kindU16                 //
	kindU32                 //
	kindU64                 //
	kindU128                // flow.U128
	kindBytes6              // arrays in network order
	kindBytes16             //
	kindPort                // 32-bit port number, seen as 16 bits
	kindXReg                // two registers, the first one the high half
	kindXXReg               // four registers, the first one the highest
	kindTun                 // tun_metadata
)

// loc is the place of a field in a flow.
type loc struct {
	ofs   uint16
	kind  kind
	shift uint8  // of the field's low bit, for integers
	mask  uint64 // bits of the member, for integers, before shifting
}

var locs = func() (l [N]loc) {
	var f flow.Flow
	u8 := func(id ID, ofs uintptr) { l[id] = loc{uint16(ofs), kindU8, 0, 0xff} }
	u16 := func(id ID, ofs uintptr) { l[id] = loc{uint16(ofs), kindU16, 0, 0xffff} }
	u32 := func(id ID, ofs uintptr) { l[id] = loc{uint16(ofs), kindU32, 0, 0xffffffff} }
	u64 := func(id ID, ofs uintptr) { l[id] = loc{uint16(ofs), kindU64, 0, ^uint64(0)} }
	part := func(id ID, k kind, ofs uintptr, shift uint8, mask uint64) {
		l[id] = loc{uint16(ofs), k, shift, mask}
	}
	plain := func(id ID, k kind, ofs uintptr) { l[id] = loc{ofs: uint16(ofs), kind: k} }

	u32(DPHash, unsafe.Offsetof(f.DPHash))
	u32(RecircID, unsafe.Offsetof(f.RecircID))
	u32(PacketType, unsafe.Offsetof(f.PacketType))
	u32(ConjID, unsafe.Offsetof(f.ConjID))

	tun := unsafe.Offsetof(f.Tunnel)
	var t flow.Tunnel // for the offsets of its members
	u64(TunID, tun+unsafe.Offsetof(t.ID))
	u32(TunSrc, tun+unsafe.Offsetof(t.IPSrc))
	u32(TunDst, tun+unsafe.Offsetof(t.IPDst))
	plain(TunIPv6Src, kindBytes16, tun+unsafe.Offsetof(t.IPv6Src))
	plain(TunIPv6Dst, kindBytes16, tun+unsafe.Offsetof(t.IPv6Dst))
	part(TunFlags, kindU16, tun+unsafe.Offsetof(t.Flags), tunFlagShift, flow.TunFlagOAM)
	u8(TunTTL, tun+unsafe.Offsetof(t.TTL))
	u8(TunTOS, tun+unsafe.Offsetof(t.TOS))
	u16(TunGBPID, tun+unsafe.Offsetof(t.GBPID))
	u8(TunGBPFlags, tun+unsafe.Offsetof(t.GBPFlags))
	u32(TunERSPANIdx, tun+unsafe.Offsetof(t.ERSPANIdx))
	u8(TunERSPANVer, tun+unsafe.Offsetof(t.ERSPANVer))
	u8(TunERSPANDir, tun+unsafe.Offsetof(t.ERSPANDir))
	u8(TunERSPANHwID, tun+unsafe.Offsetof(t.ERSPANHwID))
	u8(TunGTPUFlags, tun+unsafe.Offsetof(t.GTPUFlags))
	u8(TunGTPUMsgType, tun+unsafe.Offsetof(t.GTPUMsgType))
	for i := range ID(NTunMetadata) {
		plain(TunMetadata0+i, kindTun, 0)
	}

	u64(Metadata, unsafe.Offsetof(f.Metadata))
	plain(InPort, kindPort, unsafe.Offsetof(f.InPort))
	u32(InPortOXM, unsafe.Offsetof(f.InPort))
	u32(ActsetOutput, unsafe.Offsetof(f.ActsetOutput))
	u32(SkbPriority, unsafe.Offsetof(f.SkbPriority))
	u32(PktMark, unsafe.Offsetof(f.PktMark))
	u8(CTState, unsafe.Offsetof(f.CTState))
	u16(CTZone, unsafe.Offsetof(f.CTZone))
	u32(CTMark, unsafe.Offsetof(f.CTMark))
	plain(CTLabel, kindU128, unsafe.Offsetof(f.CTLabel))
	u8(CTNwProto, unsafe.Offsetof(f.CTNwProto))
	u32(CTNwSrc, unsafe.Offsetof(f.CTNwSrc))
	u32(CTNwDst, unsafe.Offsetof(f.CTNwDst))
	plain(CTIPv6Src, kindBytes16, unsafe.Offsetof(f.CTIPv6Src))
	plain(CTIPv6Dst, kindBytes16, unsafe.Offsetof(f.CTIPv6Dst))
	u16(CTTpSrc, unsafe.Offsetof(f.CTTpSrc))
	u16(CTTpDst, unsafe.Offsetof(f.CTTpDst))
	regs := unsafe.Offsetof(f.Regs)
	for i := range uintptr(flow.NRegs) {
		u32(Reg0+ID(i), regs+4*i)
	}
	for i := range uintptr(flow.NRegs / 2) {
		plain(XReg0+ID(i), kindXReg, regs+8*i)
	}
	for i := range uintptr(flow.NRegs / 4) {
		plain(XXReg0+ID(i), kindXXReg, regs+16*i)
	}

	plain(EthSrc, kindBytes6, unsafe.Offsetof(f.DLSrc))
	plain(EthDst, kindBytes6, unsafe.Offsetof(f.DLDst))
	u16(EthType, unsafe.Offsetof(f.DLType))
	tci := unsafe.Offsetof(f.VLANs) + unsafe.Offsetof(f.VLANs[0].TCI)
	u16(VLANTCI, tci)
	part(DLVLAN, kindU16, tci, 0, flow.VLANVIDMask)
	part(VLANVID, kindU16, tci, 0, flow.VLANVIDMask|flow.VLANCFI)
	part(DLVLANPCP, kindU16, tci, flow.VLANPCPShift, flow.VLANPCPMask)
	part(VLANPCP, kindU16, tci, flow.VLANPCPShift, flow.VLANPCPMask)
	mpls := unsafe.Offsetof(f.MPLS)
	part(MPLSLabel, kindU32, mpls, 12, 0xfffff000)
	part(MPLSTC, kindU32, mpls, 9, 0xe00)
	part(MPLSBOS, kindU32, mpls, 8, 0x100)
	part(MPLSTTL, kindU32, mpls, 0, 0xff)

	u32(IPv4Src, unsafe.Offsetof(f.NwSrc))
	u32(IPv4Dst, unsafe.Offsetof(f.NwDst))
	u32(ARPSPA, unsafe.Offsetof(f.NwSrc))
	u32(ARPTPA, unsafe.Offsetof(f.NwDst))
	plain(IPv6Src, kindBytes16, unsafe.Offsetof(f.IPv6Src))
	plain(IPv6Dst, kindBytes16, unsafe.Offsetof(f.IPv6Dst))
	u32(IPv6Label, unsafe.Offsetof(f.IPv6Label))
	u8(IPProto, unsafe.Offsetof(f.NwProto))
	u8(ARPOp, unsafe.Offsetof(f.NwProto))
	part(IPDSCP, kindU8, unsafe.Offsetof(f.NwTOS), 0, 0xfc)
	part(IPDSCPShifted, kindU8, unsafe.Offsetof(f.NwTOS), 2, 0xfc)
	part(IPECN, kindU8, unsafe.Offsetof(f.NwTOS), 0, 0x03)
	u8(IPTTL, unsafe.Offsetof(f.NwTTL))
	part(IPFrag, kindU8, unsafe.Offsetof(f.NwFrag), 0, flow.NwFragAny|flow.NwFragLater)
	plain(ARPSHA, kindBytes6, unsafe.Offsetof(f.ARPSha))
	plain(ARPTHA, kindBytes6, unsafe.Offsetof(f.ARPTha))
	plain(NDSLL, kindBytes6, unsafe.Offsetof(f.ARPSha))
	plain(NDTLL, kindBytes6, unsafe.Offsetof(f.ARPTha))
	for _, id := range []ID{TCPSrc, UDPSrc, SCTPSrc, ICMPv4Type, ICMPv6Type} {
		u16(id, unsafe.Offsetof(f.TpSrc))
	}
	for _, id := range []ID{TCPDst, UDPDst, SCTPDst, ICMPv4Code, ICMPv6Code} {
		u16(id, unsafe.Offsetof(f.TpDst))
	}
	u16(TCPFlags, unsafe.Offsetof(f.TCPFlags))
	plain(NDTarget, kindBytes16, unsafe.Offsetof(f.NDTarget))
	u32(NDReserved, unsafe.Offsetof(f.IGMPGroup))
	u8(NDOptionsType, unsafe.Offsetof(f.NDOptType))

	nsh := unsafe.Offsetof(f.NSH)
	u8(NSHFlags, nsh+unsafe.Offsetof(f.NSH.Flags))
	u8(NSHTTL, nsh+unsafe.Offsetof(f.NSH.TTL))
	u8(NSHMDType, nsh+unsafe.Offsetof(f.NSH.MDType))
	u8(NSHNP, nsh+unsafe.Offsetof(f.NSH.NP))
	path := nsh + unsafe.Offsetof(f.NSH.PathHdr)
	part(NSHSPI, kindU32, path, 8, 0xffffff00)
	part(NSHSI, kindU32, path, 0, 0xff)
	for i := range uintptr(4) {
		u32(NSHC1+ID(i), nsh+unsafe.Offsetof(f.NSH.Context)+4*i)
	}
	return l
}()

// tunFlagShift brings the public tunnel flag (OAM) to bit 0.
const tunFlagShift = 0

// load returns the integer member at l.
func (l *loc) load(f *flow.Flow) uint64 {
	p := unsafe.Add(unsafe.Pointer(f), l.ofs)
	switch l.kind {
	case kindU8:
		return uint64(*(*uint8)(p))
	case kindU16:
		return uint64(*(*uint16)(p))
	case kindU32, kindPort:
		return uint64(*(*uint32)(p))
	case kindU64:
		return *(*uint64)(p)
	}
	return 0
}

// store sets the integer member at l.
func (l *loc) store(f *flow.Flow, x uint64) {
	p := unsafe.Add(unsafe.Pointer(f), l.ofs)
	switch l.kind {
	case kindU8:
		*(*uint8)(p) = uint8(x)
	case kindU16:
		*(*uint16)(p) = uint16(x)
	case kindU32, kindPort:
		*(*uint32)(p) = uint32(x)
	case kindU64:
		*(*uint64)(p) = x
	}
}

// bytes returns the array member at l.
func (l *loc) bytes(f *flow.Flow) []byte {
	p := unsafe.Add(unsafe.Pointer(f), l.ofs)
	if l.kind == kindBytes6 {
		return (*[6]byte)(p)[:]
	}
	return (*[16]byte)(p)[:]
}

func (l *loc) u128(f *flow.Flow) *flow.U128 {
	return (*flow.U128)(unsafe.Add(unsafe.Pointer(f), l.ofs))
}

// regs returns the registers at l; the caller uses two or four of them.
func (l *loc) regs(f *flow.Flow) *[4]uint32 {
	return (*[4]uint32)(unsafe.Add(unsafe.Pointer(f), l.ofs))
}
