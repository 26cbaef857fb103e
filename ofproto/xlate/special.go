package xlate

import (
	"sluice/dpif/flow"
	"sluice/ofproto/proto/lldp"
)

// Frame is a link protocol's frame that came in by a port.
type Frame struct {
	Bridge BridgeID
	OFPort uint32
	Reason SlowReason // the protocol, a single bit
	Packet []byte     // valid only during the call of Sink.Frame
}

// special gives frames of the link protocols that p takes part in to their
// machines, by way of the Sink, and reports whether one of them took the frame:
// then it goes no further.
func (ctx *context) special(p *Port) bool {
	if p == nil || p.Hears == 0 {
		return false
	}
	reason := ctx.protocolOf(p)
	if reason == 0 {
		return false
	}
	ctx.out.Slow |= reason
	if ctx.in.Sink != nil && ctx.in.Packet != nil {
		ctx.in.Sink.Frame(&Frame{Bridge: p.Bridge.ID, OFPort: p.OFPort, Reason: reason, Packet: ctx.in.Packet})
	}
	return true
}

// protocolOf returns which of the protocols that p hears the frame belongs to, or 0,
// and adds to the mask what that depends on.
func (ctx *context) protocolOf(p *Port) SlowReason {
	f := &ctx.flow
	switch {
	case p.hearsCFM(f, ctx.wc):
		return SlowCFM
	case p.hearsBFD(f, ctx.wc):
		return SlowBFD
	case p.Hears&SlowLACP != 0 && f.DLType == flow.EthLACP: // always in the mask
		return SlowLACP
	case p.Hears&SlowLLDP != 0 && f.DLType == lldp.EtherType:
		return SlowLLDP
	}
	if p.Hears&SlowSTP != 0 {
		ctx.wc.DLDst = onesMAC
		if isSTP(&ctx.flow) {
			return SlowSTP
		}
	}
	return 0
}

func (p *Port) hearsCFM(f *flow.Flow, wc *flow.Mask) bool {
	return p.Hears&SlowCFM != 0 && p.CFM.Takes(f, wc)
}

func (p *Port) hearsBFD(f *flow.Flow, wc *flow.Mask) bool {
	return p.Hears&SlowBFD != 0 && p.BFD.Takes(f, wc)
}
