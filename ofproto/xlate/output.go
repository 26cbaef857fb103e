package xlate

import (
	"math"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/export/netflow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
)

// output sends the packet to an OpenFlow port, real or reserved.  maxLen is for
// controllers; mayPacketIn for OFPP_TABLE; trunc says that a truncation precedes.
func (ctx *context) output(port uint32, maxLen uint16, mayPacketIn, last, trunc, bucket bool) {
	before := ctx.sampling.nfOut
	ctx.sampling.nfOut = netflow.OutDrop
	defer ctx.mergeOut(before)
	switch port {
	case flow.OFPInPort:
		ctx.toPort(ctx.flow.InPort, true, last, trunc)
	case flow.OFPTable:
		ctx.resubmit(ctx.flow.InPort, 0, mayPacketIn, true, false, false, doActions)
	case flow.OFPNormal:
		ctx.normal()
	case flow.OFPFlood:
		ctx.flood(false, last)
	case flow.OFPAll:
		ctx.flood(true, last)
	case flow.OFPController:
		reason := ofp.ReasonAction
		switch {
		case ctx.in.PacketOut:
			reason = ofp.ReasonPacketOut
		case bucket:
			reason = ofp.ReasonGroup
		case ctx.inActionSet:
			reason = ofp.ReasonActionSet
		}
		ctx.controller(maxLen, uint8(reason), 0, NoMeter, nil)
	case flow.OFPNone:
	default:
		if port != ctx.flow.InPort {
			ctx.toPort(port, true, last, trunc)
		} else {
			ctx.infof("skipping output to input port")
		}
	}
}

// flood sends the packet to all ports but the one it came in by, and unless all
// is set, but those that are excluded from flooding.
func (ctx *context) flood(all, last bool) {
	var prev *Port
	for _, p := range ctx.bridge.Ports {
		if p.OFPort == ctx.flow.InPort || !all && p.Config&PortNoFlood != 0 {
			continue
		}
		if prev != nil {
			ctx.toPort(prev.OFPort, !all, false, false)
		}
		prev = p
	}
	if prev != nil {
		ctx.toPort(prev.OFPort, !all, last, false)
	}
	ctx.flooded()
}

// mayOutput checks what can forbid output to p.
func (ctx *context) mayOutput(p *Port, checkSTP bool) bool {
	switch {
	case p == nil:
		ctx.report(NodeWarn, "Nonexistent output port")
		return false
	case p.Config&PortNoFwd != 0:
		ctx.report(NodeDetail, "OFPPC_NO_FWD set, skipping output")
		return false
	}
	if ctx.snapLen != 0 && p.ODP == dpif.PortNone {
		ctx.report(NodeWarn, "Mirror truncate to ODPP_NONE, skipping output")
		return false
	}
	if in := ctx.bridge.Port(ctx.flow.InPort); in != nil && in.Bundle != nil && p.Bundle != nil &&
		in.Bundle.Protected && p.Bundle.Protected {
		ctx.report(NodeWarn, "Flow is between protected ports, skipping output.")
		return false
	}
	if checkSTP && !ctx.mayOutputSTP(p) {
		return false
	}
	if p.PTMode == LegacyL2 && ctx.flow.PacketType != flow.PacketTypeEth {
		ctx.report(NodeWarn, "Trying to send non-Ethernet packet through legacy L2 port. Dropping packet.")
		return false
	}
	return true
}

func (ctx *context) mayOutputSTP(p *Port) bool {
	if isSTP(&ctx.base) {
		if p.STP == STPBlocking {
			ctx.report(NodeWarn, "STP not in listening state, skipping bpdu output")
			return false
		}
		return true
	}
	switch {
	case p.hearsCFM(&ctx.flow, ctx.wc), p.hearsBFD(&ctx.flow, ctx.wc):
		// Spanning trees do not keep the health of links from being known.
	case !p.STP.forwards():
		ctx.report(NodeWarn, "STP not in forwarding state, skipping output")
		return false
	case !p.RSTP.forwards():
		ctx.report(NodeWarn, "RSTP not in forwarding state, skipping output")
		return false
	}
	return true
}

// toPort sends the packet out of a port, or into the bridge behind a patch port.
func (ctx *context) toPort(ofport uint32, checkSTP, last, trunc bool) {
	f := &ctx.flow
	p := ctx.bridge.Port(ofport)
	via := ctx.via
	ctx.via = nil
	if !ctx.mayOutput(p, checkSTP) {
		return
	}
	dst, src, pt, dlType, vlans, tos := f.DLDst, f.DLSrc, f.PacketType, f.DLType, f.VLANs, f.NwTOS
	if f.PacketType == flow.PacketTypeEth && p.PTMode == LegacyL3 {
		f.PacketType = 1<<16 | uint32(f.DLType)
		// An Ethernet header that was to be added never was.
		ctx.pendingEncap = false
	}
	if p.Peer != nil {
		if trunc {
			ctx.errorf("Cannot truncate output to patch port")
		}
		ctx.patch(p, p.Peer, last)
		return
	}
	if len(p.SkbPriorities) > 0 {
		ctx.wc.SkbPriority = ones32
		if dscp, ok := p.SkbPriorities[f.SkbPriority]; ok {
			ctx.wc.NwTOS |= dscpMask
			f.NwTOS = f.NwTOS&^dscpMask | dscp
		}
	}
	switch {
	case p.Tunnel != nil && via == nil:
		outputs := ctx.sampling.outputs
		if !ctx.tunnelOutput(p, last, trunc) {
			f.VLANs, f.NwTOS, f.DLDst, f.DLSrc, f.PacketType, f.DLType = vlans, tos, dst, src, pt, dlType
			return
		}
		// Wherever the outer packet went, this one left once.
		ctx.sampling.outputs = outputs
		ctx.left(p)
	case p.ODP != dpif.PortNone:
		ctx.commit()
		if via != nil {
			ctx.bondRecirc(via)
		} else if !ctx.terminateTunnel(p) {
			ctx.emitOutput(p)
		}
		ctx.left(p)
	}
	ctx.mirrorOutput(p)
	f.VLANs, f.NwTOS, f.DLDst, f.DLSrc, f.PacketType, f.DLType = vlans, tos, dst, src, pt, dlType
}

// emitOutput has the datapath send the packet out of p.
func (ctx *context) emitOutput(p *Port) {
	ctx.sampleOutput(p.ODP)
	if ctx.snapLen > 0 && ctx.snapLen < math.MaxUint16 {
		ctx.actions = append(ctx.actions, odp.Action{Type: odp.Trunc, Arg: uint32(ctx.snapLen)})
		if !ctx.bridge.Support.Truncate {
			ctx.out.Slow |= SlowAction
		}
	}
	ctx.actions = append(ctx.actions, odp.Action{Type: odp.Output, Port: p.ODP})
}

// patch continues the translation in the bridge behind a patch port.
func (ctx *context) patch(out, in *Port, last bool) {
	ctx.enter(in, last)
	ctx.effect(Effect{Kind: EffectPort, Tx: out.Counters, Rx: in.Counters})
}

// enter continues the translation in the bridge of in, as if the packet came in there.
// What that bridge does to the packet and its metadata is not seen by this one.
func (ctx *context) enter(in *Port, last bool) {
	f := &ctx.flow
	oldFlow, oldTunnelMask := *f, ctx.wc.Tunnel
	oldConntracked, oldMPLS, oldVersion, oldMirrors := ctx.conntracked, ctx.wasMPLS, ctx.version, ctx.mirrors
	oldStack, oldSet, oldHasGroup, oldTrace, oldBridge := ctx.stack, ctx.actionSet, ctx.setHasGroup, ctx.trace, ctx.bridge

	ctx.stack, ctx.actionSet = nil, nil
	f.InPort, f.Metadata, f.Regs, f.ActsetOutput = in.OFPort, 0, [flow.NRegs]uint32{}, flow.OFPUnset
	f.Tunnel, ctx.wc.Tunnel = flow.Tunnel{}, flow.Tunnel{}
	ctx.conntracked = false
	clearConntrack(f)
	ctx.nest(NodeBridge, func() string { return "bridge(\"" + in.Bridge.Name + "\")" })
	other := in.Bridge != ctx.bridge
	if other {
		ctx.mirrors = 0
	}
	ctx.bridge = in.Bridge
	ctx.version = ctx.bridge.Tables.Version()

	if !ctx.special(in) && ctx.mayReceive(in) {
		base, n, mirrors := ctx.base, len(ctx.actions), ctx.mirrors
		ctx.resubmit(f.InPort, 0, true, true, false, last, cloneActions)
		if in.STP.forwards() && in.RSTP.forwards() {
			ctx.finishList()
		} else {
			// Only learning was allowed.
			ctx.base, ctx.actions, ctx.mirrors = base, ctx.actions[:n], mirrors
			ctx.cancelFreeze()
		}
	}

	*f, ctx.wc.Tunnel = oldFlow, oldTunnelMask
	ctx.conntracked, ctx.wasMPLS, ctx.version = oldConntracked, oldMPLS, oldVersion
	if other {
		ctx.mirrors = oldMirrors
	}
	ctx.stack, ctx.actionSet, ctx.setHasGroup, ctx.trace, ctx.bridge = oldStack, oldSet, oldHasGroup, oldTrace, oldBridge
	// However the other bridge ended, this one goes on.
	ctx.exit, ctx.err = false, OK
}

// outputReg executes an output to the port that a field names.
func (ctx *context) outputReg(a *action.OutputReg, last, bucket bool) {
	port := a.Src.Get(&ctx.flow, ctx.bridge.TunTable)
	if port > 0xffff {
		ctx.reportf(NodeWarn, "output port %d is out of range", port)
		return
	}
	ctx.reportf(NodeDetail, "output port is %d", port)
	a.Src.AddTo(ctx.wc, ctx.bridge.TunTable)
	ctx.output(field.PortFrom16(uint16(port)), a.MaxLen, false, last, false, bucket)
}

// outputTrunc sends the first bytes of the packet to a port.
func (ctx *context) outputTrunc(a *action.OutputTrunc, last, bucket bool) {
	switch a.Port {
	case flow.OFPTable, flow.OFPNormal, flow.OFPFlood, flow.OFPAll, flow.OFPController, flow.OFPNone:
		ctx.reportf(NodeWarn, "output_trunc does not support port: %s", portText(a.Port))
		return
	}
	if a.Port == ctx.flow.InPort {
		ctx.infof("skipping output to input port")
		return
	}
	if p := ctx.bridge.Port(a.Port); p == nil || p.ODP == dpif.PortNone {
		ctx.errorf("output_trunc does not support patch port %s", portText(a.Port))
		return
	}
	ctx.actions = append(ctx.actions, odp.Action{Type: odp.Trunc, Arg: a.MaxLen})
	ctx.output(a.Port, 0, false, last, true, bucket)
	if !ctx.bridge.Support.Truncate {
		ctx.out.Slow |= SlowAction
	}
}

func portText(port uint32) string { return string(field.AppendPort(nil, port, nil)) }

// QueuePriority is the skb priority that stands for a queue.
func QueuePriority(queue uint32) uint32 { return queue }

func (ctx *context) enqueue(a *action.Enqueue, last, bucket bool) {
	port := a.Port
	switch port {
	case flow.OFPInPort:
		port = ctx.flow.InPort
	case ctx.flow.InPort:
		return
	}
	old, before := ctx.flow.SkbPriority, ctx.sampling.nfOut
	ctx.flow.SkbPriority = QueuePriority(a.Queue)
	ctx.toPort(port, true, last, false)
	ctx.flow.SkbPriority = old
	ctx.sampling.nfOut = uint16(port)
	ctx.mergeOut(before)
}

// meter appends a meter action.
func (ctx *context) meter(id uint32) {
	if id != NoMeter {
		ctx.actions = append(ctx.actions, odp.Action{Type: odp.Meter, Port: id})
	}
}

// controller sends the packet to controllers, by way of the datapath, which has
// to apply the actions so far.  The rest of what a packet-in tells is kept under a
// recirculation id.
func (ctx *context) controller(maxLen uint16, reason uint8, controllerID uint16, meter uint32, userData []byte) {
	ctx.commit()
	if ofp.PacketInReason(reason) == ofp.ReasonAction && ctx.rule != nil && ctx.rule.IsTableMiss() {
		// OpenFlow 1.3 calls it a miss.
		reason = uint8(ofp.ReasonExplicitMiss)
	}
	s := ctx.frozenState(ctx.tableID)
	s.UserData = userData
	id := ctx.allocRecirc(s)
	if id == 0 {
		return
	}
	if meter == NoMeter {
		meter = ctx.bridge.ControllerMeter
	}
	a := ctx.controllerAction(false, id, maxLen, reason, controllerID)
	// Trace shows the flow that would be made, but nothing is to be sent.
	a.Ext.User.DontSend = ctx.in.Sink == nil && !ctx.in.Record
	if meter != NoMeter {
		a = odp.Action{Type: odp.Sample, Arg: ones32, Nested: []odp.Action{{Type: odp.Meter, Port: meter}, a}}
	}
	ctx.actions = append(ctx.actions, a)
}

func (ctx *context) controllerAction(continuation bool, id uint32, maxLen uint16, reason uint8, controllerID uint16) odp.Action {
	return odp.Action{Type: odp.Userspace, Ext: &odp.Ext{User: &odp.UserspaceArg{
		Kind: odp.UserController, HasUserdata: true, Reason: reason, Continuation: continuation,
		RecircID: id, RuleCookie: ctx.cookie, ControllerID: controllerID, MaxLen: maxLen,
	}}}
}
