package field

import "sluice/dpif/flow"

// IP protocols and types that prerequisites look at.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132

	ndSolicit = 135
	ndAdvert  = 136
)

// DLType returns the Ethernet type of f, which for a packet that is not Ethernet is
// that of its packet type.
func DLType(f *flow.Flow) uint16 {
	switch f.PacketType >> 16 {
	case 0:
		if f.PacketType == flow.PacketTypeEth {
			return f.DLType
		}
	case 1:
		return uint16(f.PacketType)
	}
	return flow.DLTypeNone
}

// IsIPAny says whether f is IPv4 or IPv6.
func IsIPAny(f *flow.Flow) bool {
	t := DLType(f)
	return t == flow.EthIPv4 || t == flow.EthIPv6
}

// PrereqsOK says whether f meets the prerequisites of field id.  What it looked at
// is added to wc unless wc is nil.
func PrereqsOK(f *flow.Flow, id ID, wc *flow.Mask) bool {
	if id == N {
		return false
	}
	if table[id].Prereq == PreCTValid {
		const valid = flow.CTNew | flow.CTEstablished | flow.CTReplyDir
		if wc != nil {
			wc.CTState |= valid
		}
		return f.CTState&valid != 0
	}
	return prereqsOK(f, table[id].Prereq, wc)
}

// MatchPrereqsOK says whether a match on f under mask implies the prerequisites of
// field id.
func MatchPrereqsOK(f *flow.Flow, mask *flow.Mask, id ID) bool {
	if table[id].Prereq == PreCTValid {
		const any = flow.CTNew | flow.CTEstablished | flow.CTRelated | flow.CTReplyDir |
			flow.CTSrcNAT | flow.CTDstNAT
		return f.CTState&any != 0 || f.CTState&flow.CTTracked != 0 &&
			mask.CTState&flow.CTInvalid != 0 && f.CTState&flow.CTInvalid == 0
	}
	return prereqsOK(f, table[id].Prereq, nil)
}

func prereqsOK(f *flow.Flow, p Prereq, wc *flow.Mask) bool {
	switch p {
	case PreNone:
		return true
	case PreEthernet:
		return isEthernet(f, wc)
	case PreARP:
		t := DLType(f)
		return t == flow.EthARP || t == flow.EthRARP
	case PreVLAN:
		if !isEthernet(f, wc) {
			return false
		}
		if wc != nil {
			wc.VLANs[0].TCI |= flow.VLANCFI
		}
		return f.VLANs[0].TCI&flow.VLANCFI != 0
	case PreIPv4:
		return DLType(f) == flow.EthIPv4
	case PreIPv6:
		return DLType(f) == flow.EthIPv6
	case PreIPAny:
		return IsIPAny(f)
	case PreNSH:
		return DLType(f) == flow.EthNSH
	case PreMPLS:
		t := DLType(f)
		return t == flow.EthMPLS || t == flow.EthMPLSMc
	case PreTCP:
		return isProto(f, IsIPAny(f), protoTCP, wc) && f.NwFrag&flow.NwFragLater == 0
	case PreUDP:
		return isProto(f, IsIPAny(f), protoUDP, wc) && f.NwFrag&flow.NwFragLater == 0
	case PreSCTP:
		return isProto(f, IsIPAny(f), protoSCTP, wc) && f.NwFrag&flow.NwFragLater == 0
	case PreICMPv4:
		return isProto(f, DLType(f) == flow.EthIPv4, protoICMP, wc)
	case PreICMPv6:
		return isProto(f, DLType(f) == flow.EthIPv6, protoICMPv6, wc)
	case PreND:
		return isND(f, wc)
	case PreNDSolicit:
		return isND(f, wc) && f.TpSrc == ndSolicit
	case PreNDAdvert:
		return isND(f, wc) && f.TpSrc == ndAdvert
	}
	return false
}

func isEthernet(f *flow.Flow, wc *flow.Mask) bool {
	if wc != nil {
		wc.PacketType = 0xffffffff
	}
	return f.PacketType == flow.PacketTypeEth
}

func isProto(f *flow.Flow, ip bool, proto uint8, wc *flow.Mask) bool {
	if !ip {
		return false
	}
	if wc != nil {
		wc.NwProto = 0xff
	}
	return f.NwProto == proto
}

func isND(f *flow.Flow, wc *flow.Mask) bool {
	if !isProto(f, DLType(f) == flow.EthIPv6, protoICMPv6, wc) {
		return false
	}
	if wc != nil {
		wc.TpDst = 0xffff
	}
	if f.TpDst != 0 {
		return false
	}
	if wc != nil {
		wc.TpSrc = 0xffff
	}
	return f.TpSrc == ndSolicit || f.TpSrc == ndAdvert
}

// MaskL3Prereqs adds to wc what a datapath needs to see when an action sets field id
// of f: the IP protocol decides how headers are rewritten.
func MaskL3Prereqs(f *flow.Flow, id ID, wc *flow.Mask) {
	switch id {
	case IPv4Src, IPv4Dst, IPv6Src, IPv6Dst, IPv6Label, IPDSCP, IPECN, IPTTL:
		if IsIPAny(f) {
			wc.NwProto = 0xff
		}
	case ARPOp, ARPSHA, ARPTHA, ARPSPA, ARPTPA:
		if f.DLType == flow.EthARP {
			wc.NwProto = 0xff
		}
	}
}

// ValueValid says whether v can be part of a match on the field at all, masked or
// not.  A value is refused only if testing its bits makes no sense.
func (f *Field) ValueValid(v *Value) bool {
	switch f.ID {
	case InPortOXM, ActsetOutput:
		return CheckPort(be.Uint32(v[:]))
	case IPDSCP:
		return v[0]&^0xfc == 0
	case IPDSCPShifted:
		return v[0]&0xc0 == 0
	case IPECN, IPFrag:
		return v[0]&^3 == 0
	case TCPFlags:
		return be.Uint16(v[:])&^0x0fff == 0
	case ARPOp:
		return v[0] == 0
	case DLVLAN:
		return be.Uint16(v[:])&(flow.VLANCFI|flow.VLANPCPMask) == 0
	case VLANVID:
		return be.Uint16(v[:])&flow.VLANPCPMask == 0
	case DLVLANPCP, VLANPCP, MPLSTC:
		return v[0]&^7 == 0
	case IPv6Label, MPLSLabel:
		return be.Uint32(v[:])&^0xfffff == 0
	case MPLSBOS:
		return v[0]&^1 == 0
	case TunFlags:
		return be.Uint16(v[:])&^1 == 0
	case CTState:
		return be.Uint32(v[:])&^0xff == 0
	case NSHTTL:
		return v[0] <= 63
	case NSHMDType:
		return v[0] == 1 || v[0] == 2
	case NSHSPI:
		return v[0] == 0
	}
	return true
}

// MaskValid says whether the field can be matched under mask.
func (f *Field) MaskValid(mask *Value) bool {
	return f.Maskable || f.AllOnes(mask) || f.AllZero(mask)
}

// IsPipeline says whether the field is one that a packet_out of OpenFlow 1.5 may set
// by its match.
func (id ID) IsPipeline() bool {
	switch id {
	case TunTTL, TunTOS:
		return false
	case Metadata, InPort, InPortOXM, PacketType:
		return true
	}
	return id >= TunID && id < TunMetadata0+NTunMetadata || id.IsRegister()
}

// IsFrozen says whether the field is restored after recirculation and shown in
// packet-ins as metadata.
func (id ID) IsFrozen() bool {
	return id >= TunID && id <= InPortOXM || id >= Reg0 && id < EthSrc
}
