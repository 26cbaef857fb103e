package xlate

import (
	"slices"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/table"
)

// actionsFunc translates a list of actions; last says that nothing follows it,
// bucket that it is a group's bucket.
type actionsFunc func(ctx *context, acts action.List, last, bucket bool)

func doActions(ctx *context, acts action.List, last, bucket bool) { ctx.doActions(acts, last, bucket) }

// doActions translates a list of actions.
//
// Freezing: an action that cannot be finished now sets ctx.exit and ctx.freezing.
// It and what follows it in this list and in the lists around it are then added to
// ctx.frozen, each list by its own call of this function, from the inside out.
func (ctx *context) doActions(acts action.List, isLast, bucket bool) {
	if len(acts) == 0 {
		ctx.report(NodeAction, "drop")
		return
	}
	skipRest := false
	for i := 0; i < len(acts); i++ {
		a := acts[i]
		last := isLast && i == len(acts)-1 && len(ctx.actionSet) == 0
		if ctx.err != OK {
			break
		}
		ctx.recircForMPLS(a)
		if ctx.exit || skipRest {
			if ctx.freezing {
				ctx.freezeActions(acts[i:])
			}
			break
		}
		if ctx.trace != nil {
			ctx.report(NodeAction, actionsText(acts[i:i+1], ctx.portNames()))
		}
		rest := acts[i:]
		switch a := a.(type) {
		case *action.Resubmit:
			// What resubmit finds may freeze, but must not run again when thawed:
			// go on with the next action either way.
			ctx.doResubmit(a, last)
			continue
		case *action.GotoTable:
			ctx.resubmit(ctx.flow.InPort, a.Table, true, true, false, last, doActions)
			continue
		case *action.Group:
			if !ctx.group(a.ID, last) {
				return // no such group: the list ends, the pipeline does not
			}
		case *action.Controller:
			if a.Pause {
				ctx.pause = a
				ctx.freeze()
				rest = acts[i+1:]
			} else {
				ctx.controller(a.MaxLen, a.Reason, a.ID, a.ProviderMeter, a.UserData)
			}
		case *action.Decap:
			if ctx.decap(a.PacketType) && ctx.err == OK {
				ctx.freeze() // the datapath must parse what came out
				rest = acts[i+1:]
			}
		case *action.DebugRecirc:
			ctx.freeze()
			rest = acts[i+1:]
		case *action.CheckPktLarger:
			skipRest = ctx.checkPktLarger(a, acts[i+1:])
		default:
			if ctx.doAction(a, last, bucket) {
				return
			}
		}
		if ctx.err == OK && ctx.exit && ctx.freezing && len(ctx.frozen) == 0 {
			ctx.freezeActions(rest)
			break
		}
	}
}

// doAction translates one action; stop ends its list.
func (ctx *context) doAction(a action.Action, last, bucket bool) (stop bool) {
	f, wc := &ctx.flow, ctx.wc
	switch a := a.(type) {
	case *action.Output:
		ctx.output(a.Port, a.MaxLen, true, last, false, bucket)
	case *action.Enqueue:
		wc.SkbPriority = ones32
		ctx.enqueue(a, last, bucket)
	case *action.OutputReg:
		ctx.outputReg(a, last, bucket)
	case *action.OutputTrunc:
		ctx.outputTrunc(a, last, bucket)
	case *action.Bundle:
		ctx.bundle(a, last, bucket)
	case *action.SetField:
		ctx.setField(a)
	case *action.RegMove:
		ctx.move(a)
	case *action.StackPush:
		ctx.push(a.Sub)
	case *action.StackPop:
		ctx.pop(a.Sub)
	case *action.SetVLANVID:
		wc.VLANs[0].TCI |= flow.VLANVIDMask | flow.VLANCFI
		if ctx.hasVLAN(a.PushIfNeeded) {
			f.VLANs[0].TCI = f.VLANs[0].TCI&^flow.VLANVIDMask | a.VID | flow.VLANCFI
		}
	case *action.SetVLANPCP:
		wc.VLANs[0].TCI |= flow.VLANPCPMask | flow.VLANCFI
		if ctx.hasVLAN(a.PushIfNeeded) {
			f.VLANs[0].TCI = f.VLANs[0].TCI&^flow.VLANPCPMask | uint16(a.PCP)<<flow.VLANPCPShift | flow.VLANCFI
		}
	case *action.StripVLAN:
		popVLAN(f, wc)
	case *action.PushVLAN:
		pushVLANRoom(f, wc)
		f.VLANs[0] = flow.VLAN{TPID: a.EthType, TCI: flow.VLANCFI}
	case *action.SetEthSrc:
		wc.DLSrc, f.DLSrc = onesMAC, a.MAC
	case *action.SetEthDst:
		wc.DLDst, f.DLDst = onesMAC, a.MAC
	case *action.SetIPv4Src:
		if f.DLType == flow.EthIPv4 {
			wc.NwSrc, wc.NwProto, f.NwSrc = ones32, 0xff, a.Addr
		}
	case *action.SetIPv4Dst:
		if f.DLType == flow.EthIPv4 {
			wc.NwDst, wc.NwProto, f.NwDst = ones32, 0xff, a.Addr
		}
	case *action.SetIPDSCP:
		if isIPAny(f) {
			wc.NwProto, wc.NwTOS, f.NwTOS = 0xff, wc.NwTOS|dscpMask, f.NwTOS&^dscpMask|a.DSCP&dscpMask
		}
	case *action.SetIPECN:
		if isIPAny(f) {
			wc.NwProto, wc.NwTOS, f.NwTOS = 0xff, wc.NwTOS|ecnMask, f.NwTOS&^ecnMask|a.ECN&ecnMask
		}
	case *action.SetIPTTL:
		if isIPAny(f) {
			wc.NwProto, wc.NwTTL, f.NwTTL = 0xff, 0xff, a.TTL
		}
	case *action.SetL4SrcPort:
		if isIPAny(f) && f.NwFrag&flow.NwFragLater == 0 {
			wc.NwProto, wc.TpSrc, f.TpSrc = 0xff, ones16, a.Port
		}
	case *action.SetL4DstPort:
		if isIPAny(f) && f.NwFrag&flow.NwFragLater == 0 {
			wc.NwProto, wc.TpDst, f.TpDst = 0xff, ones16, a.Port
		}
	case *action.DecTTL:
		wc.NwTTL, wc.NwProto = 0xff, 0xff
		return ctx.decTTL(a)
	case *action.PushMPLS:
		ctx.pushMPLS(a.EthType)
	case *action.PopMPLS:
		ctx.popMPLS(a.EthType)
	case *action.SetMPLSLabel:
		ctx.setMPLS(mplsLabelMask, a.Label<<12)
	case *action.SetMPLSTC:
		ctx.setMPLS(mplsTCMask, uint32(a.TC)<<9)
	case *action.SetMPLSTTL:
		ctx.setMPLS(mplsTTLMask, uint32(a.TTL))
	case *action.DecMPLSTTL:
		return ctx.decMPLSTTL()
	case *action.DecNSHTTL:
		return ctx.decNSHTTL()
	case *action.SetTunnel:
		f.Tunnel.ID = a.ID
	case *action.SetQueue:
		wc.SkbPriority = ones32
		f.SkbPriority = QueuePriority(a.Queue)
	case *action.PopQueue:
		wc.SkbPriority = ones32
		if f.SkbPriority != ctx.origPriority {
			f.SkbPriority = ctx.origPriority
			ctx.reportf(NodeDetail, "queue = %s", hex(uint64(f.SkbPriority)))
		}
	case *action.Multipath:
		ctx.multipath(a)
	case *action.Learn:
		ctx.learn(a)
	case *action.Conjunction:
		// Only a packet-out can get here: lookups never return such a rule.
		ctx.errorf("executing no-op conjunction action")
	case *action.Exit:
		ctx.exit = true
	case *action.UnrollXlate:
		ctx.tableID, ctx.cookie = a.Table, a.Cookie
		ctx.reportf(NodeThaw, "restored state: table=%d, cookie=%s", a.Table, hex(a.Cookie))
	case *action.FinTimeout:
		wc.NwProto = 0xff
		if ctx.rule != nil {
			ctx.effect(Effect{Kind: EffectFinTimeout, Rule: ctx.rule, Idle: a.Idle, Hard: a.Hard,
				Tables: ctx.bridge.Tables})
		}
	case *action.DeleteField:
		ctx.deleteField(a)
	case *action.ClearActions:
		ctx.reportActionSet("was")
		ctx.actionSet = ctx.actionSet[:0]
		f.ActsetOutput = flow.OFPUnset
		ctx.setHasGroup = false
	case *action.WriteActions:
		ctx.writeActions(a.Actions)
		ctx.reportActionSet("is")
	case *action.WriteMetadata:
		f.Metadata = f.Metadata&^a.Mask | a.Value&a.Mask
	case *action.Meter:
		ctx.meter(a.Provider)
	case *action.Sample:
		ctx.sampleAction(a)
	case *action.Clone:
		ctx.clone(a.Actions, last)
	case *action.Encap:
		ctx.encap(a)
	case *action.CT:
		ctx.ct(a, last)
	case *action.CTClear:
		if ctx.conntracked {
			ctx.ctClear()
		}
	case *action.NAT:
		ctx.nat = a // for the ct action around it
	case *action.DebugSlow:
		ctx.out.Slow |= SlowAction
	case *action.Note:
	}
	return false
}

// hasVLAN reports whether the packet has a VLAN tag to change, or may get one.
func (ctx *context) hasVLAN(push bool) bool {
	v := &ctx.flow.VLANs[0]
	if v.TCI&flow.VLANCFI == 0 && !push {
		return false
	}
	if v.TPID == 0 {
		v.TPID = flow.EthVLAN
	}
	return true
}

func (ctx *context) doResubmit(a *action.Resubmit, last bool) {
	// From the switch's own rules a miss is a miss like any other.
	internal := ctx.rule != nil && ctx.rule.TableID == table.TableInternal
	in := a.InPort
	if in == flow.OFPInPort {
		in = ctx.flow.InPort
	}
	t := a.Table
	if t == 255 {
		t = ctx.tableID
	}
	ctx.resubmit(in, t, internal, internal, a.CT, last, doActions)
}

// decTTL decrements the TTL; a packet whose TTL has run out goes to controllers
// and the list ends.
func (ctx *context) decTTL(a *action.DecTTL) (stop bool) {
	f := &ctx.flow
	if !isIPAny(f) {
		return false
	}
	if f.NwTTL > 1 {
		f.NwTTL--
		return false
	}
	for _, id := range a.IDs {
		ctx.controller(0xffff, uint8(ofp.ReasonInvalidTTL), id, NoMeter, nil)
	}
	v := 6
	if f.DLType == flow.EthIPv4 {
		v = 4
	}
	ctx.reportf(NodeWarn, "IPv%d decrement TTL exception", v)
	return true
}

func (ctx *context) decNSHTTL() (stop bool) {
	f := &ctx.flow
	if f.PacketType == flow.PacketTypeNSH || f.DLType == flow.EthNSH {
		ctx.wc.NSH.TTL = 0xff
		if f.NSH.TTL > 1 {
			f.NSH.TTL--
			return false
		}
		ctx.controller(0xffff, uint8(ofp.ReasonInvalidTTL), 0, NoMeter, nil)
	}
	ctx.report(NodeWarn, "NSH decrement TTL exception")
	return true
}

func (ctx *context) decMPLSTTL() (stop bool) {
	f := &ctx.flow
	if isMPLSType(f.DLType) {
		ctx.wc.MPLS[0] |= mplsTTLMask
		if f.MPLS[0]&mplsTTLMask > 1 {
			f.MPLS[0]--
			return false
		}
		ctx.controller(0xffff, uint8(ofp.ReasonInvalidTTL), 0, NoMeter, nil)
	}
	ctx.report(NodeWarn, "MPLS decrement TTL exception")
	return true
}

func (ctx *context) setMPLS(mask, bits uint32) {
	if isMPLSType(ctx.flow.DLType) {
		ctx.wc.MPLS[0] |= mask
		ctx.flow.MPLS[0] = ctx.flow.MPLS[0]&^mask | bits&mask
	}
}

func (ctx *context) pushMPLS(etherType uint16) {
	n := countMPLS(&ctx.flow, ctx.wc)
	switch {
	case n == 0:
		ctx.commit()
	case n >= flow.MaxMPLSLabels:
		if ctx.in.Packet != nil {
			ctx.errorf("dropping packet on which an MPLS push action can't be performed as it would have more MPLS LSEs than the %d supported.", flow.MaxMPLSLabels)
		}
		ctx.err = ErrTooManyMPLSLabels
		return
	}
	pushMPLS(&ctx.flow, n, etherType, ctx.wc, true)
}

func (ctx *context) popMPLS(etherType uint16) {
	n := countMPLS(&ctx.flow, ctx.wc)
	if popMPLS(&ctx.flow, n, etherType, ctx.wc) {
		if !isMPLSType(etherType) && ctx.bridge.Support.Recirc {
			ctx.wasMPLS = true
		}
		return
	}
	if n >= flow.MaxMPLSLabels {
		if ctx.in.Packet != nil {
			ctx.errorf("dropping packet on which an MPLS pop action can't be performed as it has more MPLS LSEs than the %d supported.", flow.MaxMPLSLabels)
		}
		ctx.err = ErrTooManyMPLSLabels
		ctx.actions = ctx.actions[:0]
	}
}

// recircForMPLS freezes before an action that needs what lies below a popped MPLS
// label.  Those that do not are let through, since coming back is expensive.
func (ctx *context) recircForMPLS(a action.Action) {
	if ctx.exit || !ctx.wasMPLS {
		return
	}
	switch a := a.(type) {
	case *action.Output, *action.OutputTrunc, *action.Enqueue, *action.OutputReg,
		*action.SetVLANVID, *action.SetVLANPCP, *action.SetEthSrc, *action.SetEthDst,
		*action.SetTunnel, *action.SetQueue, *action.Group:
		return
	case *action.SetField:
		if !isL3OrHigher(a.ID) {
			return
		}
	}
	ctx.freeze()
}

// writeActions merges acts into the action set and keeps actset_output right: the
// port of the output action, if there is one and no group.
func (ctx *context) writeActions(acts action.List) {
	if !ctx.setHasGroup {
	scan:
		for _, a := range acts {
			switch a := a.(type) {
			case *action.Output:
				ctx.flow.ActsetOutput = a.Port
			case *action.Group:
				ctx.flow.ActsetOutput = flow.OFPUnset
				ctx.setHasGroup = true
				break scan
			}
		}
	}
	ctx.actionSet = append(ctx.actionSet, acts...)
}

// runActionSet translates the action set and empties it.
func (ctx *context) runActionSet() {
	if len(ctx.actionSet) == 0 {
		return
	}
	l := action.AppendSet(nil, ctx.actionSet)
	ctx.actionSet = ctx.actionSet[:0]
	if len(l) == 0 {
		return
	}
	ctx.inActionSet = true
	old := ctx.trace
	ctx.nest(NodeTable, func() string { return "--. Executing action set:" })
	ctx.doActions(l, true, false)
	ctx.trace = old
	ctx.inActionSet = false
}

// deleteField removes a tunnel option.
func (ctx *context) deleteField(a *action.DeleteField) {
	if a.ID.IsTunMetadata() {
		ctx.flow.Tunnel.Present &^= 1 << (a.ID - field.TunMetadata0)
	}
	ctx.reportf(NodeDetail, "delete %s", a.ID)
}

// multipath executes a multipath action.
func (ctx *context) multipath(a *action.Multipath) {
	h := hashFields(&ctx.flow, a.Fields, a.Basis)
	link := multipathLink(h, a.Alg, uint32(a.MaxLink)+1, uint32(a.Arg))
	maskHashFields(&ctx.flow, ctx.wc, a.Fields)
	ctx.load(a.Dst, uint64(link))
	ctx.reportSub(a.Dst)
}

// bundle executes a bundle or bundle_load action.
func (ctx *context) bundle(a *action.Bundle, last, bucket bool) {
	port := uint32(flow.OFPNone)
	switch a.Alg {
	case action.BundleActiveBackup:
		if i := slices.IndexFunc(a.Members, ctx.memberEnabled); i >= 0 {
			port = a.Members[i]
		}
	case action.BundleHRW:
		port = ctx.bundleHRW(a)
	}
	if a.Load {
		ctx.load(a.Dst, uint64(port&0xffff))
		ctx.reportSub(a.Dst)
		return
	}
	ctx.output(port, 0, false, last, false, bucket)
}

func (ctx *context) bundleHRW(a *action.Bundle) uint32 {
	if len(a.Members) > 1 {
		maskHashFields(&ctx.flow, ctx.wc, a.Fields)
	}
	h := hashFields(&ctx.flow, a.Fields, a.Basis)
	best, bestHash := -1, uint32(0)
	for i, m := range a.Members {
		if !ctx.memberEnabled(m) {
			continue
		}
		if w := hash2(uint32(i), h); best < 0 || w > bestHash {
			best, bestHash = i, w
		}
	}
	if best < 0 {
		return flow.OFPNone
	}
	return a.Members[best]
}

// memberEnabled reports that a bundle action may choose a port.
func (ctx *context) memberEnabled(port uint32) bool {
	switch port {
	case flow.OFPInPort, flow.OFPTable, flow.OFPNormal, flow.OFPFlood, flow.OFPAll, flow.OFPNone:
		return true
	case flow.OFPController:
		return false
	}
	p := ctx.bridge.Port(port)
	return p != nil && p.MayEnable
}
