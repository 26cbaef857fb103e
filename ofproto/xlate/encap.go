package xlate

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/action"
)

// NSH next protocols and metadata types.
const (
	nshIPv4     = 1
	nshIPv6     = 2
	nshEthernet = 3
	nshNSH      = 4

	nshPropClass  = 4
	nshPropMDType = 1
	nshPropTLV    = 2
	nshMaxContext = 248 // bytes of context headers
	nshMDType1    = 1
	nshMDType2    = 2
)

// encap puts a header in front of the packet; the datapath action comes with the
// next commit, when the header's fields are known.
func (ctx *context) encap(a *action.Encap) {
	ctx.commit()
	switch a.PacketType {
	case flow.PacketTypeEth:
		ctx.encapEthernet()
	case flow.PacketTypeNSH:
		ctx.encapNSH(a)
	case flow.PacketTypeMPLS, flow.PacketTypeMPLSMc:
		ctx.encapMPLS(a)
		if !ctx.bridge.Support.AddMPLS {
			ctx.out.Slow |= SlowAction
		}
	default:
		ctx.err = ErrUnsupportedPacketType
	}
	if ctx.err == OK {
		ctx.pendingEncap = true
	}
}

func (ctx *context) encapEthernet() {
	f := &ctx.flow
	ctx.wc.PacketType = ones32
	if f.PacketType>>16 != 1 {
		ctx.debugf(NodeAction, "Dropping packet as encap(ethernet) is not supported for packet type ethernet.")
		ctx.err = ErrUnsupportedPacketType
		return
	}
	f.DLType = uint16(f.PacketType)
	f.PacketType = flow.PacketTypeEth
	f.DLSrc, f.DLDst = flow.MAC{}, flow.MAC{}
}

func (ctx *context) encapMPLS(a *action.Encap) {
	f := &ctx.flow
	n := countMPLS(f, ctx.wc)
	if n >= flow.MaxMPLSLabels {
		if ctx.in.Packet != nil {
			ctx.errorf("dropping packet on which an encap MPLS action can't be performed as it would have more MPLS LSEs than the %d supported.", flow.MaxMPLSLabels)
		}
		ctx.err = ErrTooManyMPLSLabels
		return
	}
	ctx.wc.PacketType = ones32
	if f.PacketType == flow.PacketTypeEth && f.DLType == flow.EthMPLS {
		// The labels behind the Ethernet header are payload now.
		ctx.wc.MPLS, f.MPLS, ctx.base.MPLS = [4]uint32{}, [4]uint32{}, [4]uint32{}
	}
	f.PacketType = a.PacketType
	pushMPLS(f, n, uint16(a.PacketType), ctx.wc, true)
	f.DLSrc, f.DLDst = flow.MAC{}, flow.MAC{}
}

func (ctx *context) encapNSH(a *action.Encap) {
	f := &ctx.flow
	mdType := uint8(nshMDType1)
	var tlvs []byte
	for i := range a.Props {
		p := &a.Props[i]
		if p.Class != nshPropClass {
			continue
		}
		switch p.Type {
		case nshPropMDType:
			mdType = p.MDType
		case nshPropTLV:
			tlvs = append(tlvs, byte(p.TLVClass>>8), byte(p.TLVClass), p.TLVType, byte(len(p.Data)))
			tlvs = append(tlvs, p.Data...)
			for len(tlvs)%4 != 0 {
				tlvs = append(tlvs, 0)
			}
		}
	}
	var np uint8
	switch f.PacketType {
	case flow.PacketTypeEth:
		np = nshEthernet
	case flow.PacketTypeIPv4:
		np = nshIPv4
	case flow.PacketTypeIPv6:
		np = nshIPv6
	case flow.PacketTypeNSH:
		np = nshNSH
	default:
		ctx.debugf(NodeAction, "Dropping packet as encap(nsh) is not supported for packet type (%d,0x%x)",
			f.PacketType>>16, f.PacketType&0xffff)
		ctx.err = ErrUnsupportedPacketType
		return
	}
	ctx.wc.PacketType = ones32
	clear(f.Words()[flow.EndMetadata:])
	f.PacketType, f.DLType = flow.PacketTypeNSH, flow.EthNSH
	if mdType == nshMDType2 && len(tlvs) <= nshMaxContext {
		ctx.encapData = tlvs
	}
	f.NSH = flow.NSH{TTL: 63, MDType: mdType, NP: np, PathHdr: 255}
}

// decap takes the outermost header off and reports whether the datapath has to
// parse what is below before the next action.
func (ctx *context) decap(newType uint32) (recirc bool) {
	f, wc := &ctx.flow, ctx.wc
	ctx.commit()
	switch f.PacketType {
	case flow.PacketTypeEth:
		if f.VLANs[0].TCI&flow.VLANCFI != 0 {
			ctx.debugf(NodeAction, "Dropping packet, cannot decap Ethernet if VLAN is present.")
			ctx.err = ErrUnsupportedPacketType
			return false
		}
		f.PacketType = 1<<16 | uint32(f.DLType)
		f.DLSrc, f.DLDst = flow.MAC{}, flow.MAC{}
		wc.DLType = ones16
		return false
	case flow.PacketTypeNSH:
		switch f.NSH.NP {
		case nshEthernet:
			f.PacketType = flow.PacketTypeEth
		case nshIPv4:
			f.PacketType = flow.PacketTypeIPv4
		case nshIPv6:
			f.PacketType = flow.PacketTypeIPv6
		case nshNSH:
			f.PacketType = flow.PacketTypeNSH
		default:
			ctx.debugf(NodeAction, "Dropping packet as NSH next protocol %d is not supported", f.NSH.NP)
			ctx.err = ErrUnsupportedPacketType
			return false
		}
		wc.NSH.NP = 0xff
		ctx.pendingDecap = true
		return true
	case flow.PacketTypeMPLS, flow.PacketTypeMPLSMc:
		return ctx.decapMPLS(newType)
	}
	ctx.debugf(NodeAction, "Dropping packet as the decap() does not support packet type (%d,0x%x)",
		f.PacketType>>16, f.PacketType&0xffff)
	ctx.err = ErrUnsupportedPacketType
	return false
}

func (ctx *context) decapMPLS(newType uint32) (recirc bool) {
	f := &ctx.flow
	f.PacketType = newType
	t := uint16(f.PacketType)
	if t == 0 {
		t = flow.EthTEB
	}
	n := countMPLS(f, ctx.wc)
	if popMPLS(f, n, t, ctx.wc) {
		if !ctx.bridge.Support.AddMPLS {
			ctx.out.Slow |= SlowAction
		}
		ctx.pendingDecap = true
		return n == 1
	}
	if n >= flow.MaxMPLSLabels {
		if ctx.in.Packet != nil {
			ctx.errorf("dropping packet on which an MPLS decap can't be performed as it has more MPLS LSEs than the %d supported.", flow.MaxMPLSLabels)
		}
		ctx.err = ErrTooManyMPLSLabels
		ctx.actions = ctx.actions[:0]
	}
	return false
}
