package xlate

import (
	"slices"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/recirc"
)

// This file freezes translations: it collects what is left to do, keeps it under a
// recirculation id, and emits the action that makes the datapath come back.

// freeze begins freezing.  The lists of actions that are being translated notice
// by ctx.exit and add their rests, from the inside out.
func (ctx *context) freeze() { ctx.exit, ctx.freezing = true, true }

// freezeForHash begins freezing until the datapath has computed a hash.
func (ctx *context) freezeForHash(h odp.HashArg) {
	ctx.freeze()
	ctx.hashRecirc, ctx.hash = true, h
}

func (ctx *context) cancelFreeze() {
	if ctx.freezing {
		ctx.freezing, ctx.hashRecirc = false, false
		ctx.frozen, ctx.unroll, ctx.pause = ctx.frozen[:0], nil, nil
	}
}

// freezeUnroll makes sure that table and cookie are restored before what follows.
func (ctx *context) freezeUnroll() {
	if u := ctx.unroll; u == nil || u.Table != ctx.tableID || u.Cookie != ctx.cookie {
		ctx.unroll = &action.UnrollXlate{Table: ctx.tableID, Cookie: ctx.cookie}
		ctx.frozen = append(ctx.frozen, ctx.unroll)
	}
}

// freezeActions adds acts to what is left to do.  Instructions become the actions
// that do the same, since they may now stand anywhere in a list.
func (ctx *context) freezeActions(acts action.List) {
	for _, a := range acts {
		switch x := a.(type) {
		case *action.OutputReg, *action.OutputTrunc, *action.Group, *action.Output, *action.Controller,
			*action.DecMPLSTTL, *action.DecNSHTTL, *action.DecTTL:
			// These can make packet-ins, which name table and cookie.
			ctx.freezeUnroll()
		case *action.Resubmit:
			if x.Table == 0xff {
				ctx.freezeUnroll()
			}
		case *action.GotoTable:
			a = &action.Resubmit{Table: x.Table, InPort: flow.OFPInPort}
		case *action.WriteMetadata:
			data := make([]byte, 16)
			for i := range 8 {
				data[i], data[8+i] = byte(x.Value>>(56-8*i)), byte(x.Mask>>(56-8*i))
			}
			a = &action.SetField{ID: field.Metadata, Data: data}
		case *action.Note, *action.Conjunction:
			continue
		}
		ctx.frozen = append(ctx.frozen, a)
	}
}

// frozenState is the state of the translation without what is left to do.
func (ctx *context) frozenState(table uint8) *recirc.State {
	return &recirc.State{
		Table:       table,
		Bridge:      ctx.bridge.ID,
		Metadata:    recirc.MetadataOf(&ctx.flow),
		Stack:       slices.Clone(ctx.stack),
		Mirrors:     ctx.mirrors,
		Conntracked: ctx.conntracked,
		WasMPLS:     ctx.wasMPLS,
	}
}

// allocRecirc keeps s under an id, 0: it could not.
func (ctx *context) allocRecirc(s *recirc.State) uint32 {
	id := uint32(0)
	if ctx.in.Recirc != nil {
		id = ctx.in.Recirc.Alloc(s)
	}
	if id == 0 {
		ctx.errorf("Failed to allocate recirculation id")
		ctx.err = ErrNoRecirculationContext
		return 0
	}
	ctx.out.Recircs = append(ctx.out.Recircs, id)
	return id
}

// finishFreezing keeps the state and emits what makes the packet come back.
func (ctx *context) finishFreezing() {
	ctx.commit()
	ctx.finishFreezingAt(0)
}

// finishFreezingAt is finishFreezing for packets that go on in a table, if no
// actions are left; the changes so far are committed.  It returns the id.
func (ctx *context) finishFreezingAt(table uint8) uint32 {
	s := ctx.frozenState(table)
	s.Port = uint64(ctx.firstPort)
	s.Actions = slices.Clone(ctx.frozen)
	s.ActionSet = slices.Clone(ctx.actionSet)
	if ctx.pause != nil {
		s.UserData = ctx.pause.UserData
	}
	id := ctx.allocRecirc(s)
	if id == 0 {
		return 0
	}
	if p := ctx.pause; p != nil {
		if ctx.in.Sink == nil && !ctx.in.Record {
			return 0
		}
		ctx.actions = append(ctx.actions, ctx.controllerAction(true, id, p.MaxLen, p.Reason, p.ID))
	} else {
		if ctx.hashRecirc {
			h := ctx.hash
			ctx.actions = append(ctx.actions, odp.Action{Type: odp.Hash, Ext: &odp.Ext{Hash: &h}})
		}
		ctx.actions = append(ctx.actions, odp.Action{Type: odp.Recirc, Port: id})
	}
	ctx.cancelFreeze()
	return id
}

// saved is the part of the state that a copy of the packet must not change.
type saved struct {
	flow, base           flow.Flow
	wasMPLS, conntracked bool
}

func (ctx *context) save() saved {
	return saved{ctx.flow, ctx.base, ctx.wasMPLS, ctx.conntracked}
}

func (ctx *context) restore(s *saved) {
	ctx.flow, ctx.base, ctx.wasMPLS, ctx.conntracked = s.flow, s.base, s.wasMPLS, s.conntracked
}

// nested translates acts, followed by the action set, into a list of datapath
// actions of its own.
func (ctx *context) nested(acts action.List) []odp.Action {
	outer := ctx.actions
	ctx.actions = nil
	ctx.doActions(acts, true, false)
	ctx.finishList()
	inner := ctx.actions
	ctx.actions = outer
	return inner
}

// withOwnStack runs f with copies of the stack and the action set.
func (ctx *context) withOwnStack(f func()) {
	stack, set := ctx.stack, ctx.actionSet
	ctx.stack, ctx.actionSet = slices.Clone(stack), slices.Clone(set)
	f()
	ctx.stack, ctx.actionSet = stack, set
}

func cloneActions(ctx *context, acts action.List, last, bucket bool) { ctx.clone(acts, last) }

// clone translates acts, and after them the action set, so that what they do to
// the packet is not seen after them.  Most need no copy of the packet for that:
// what they change can be changed back.
func (ctx *context) clone(acts action.List, last bool) {
	ctx.withOwnStack(func() {
		if last || reversible(acts) {
			old := ctx.flow
			ctx.doActions(acts, last, false)
			ctx.finishList()
			ctx.flow = old
			return
		}
		// Changes so far come before the clone, or they would be made twice.
		oldFlow := ctx.flow
		ctx.commit()
		s := ctx.save()
		switch {
		case ctx.bridge.Support.Clone:
			if n := ctx.nested(acts); len(n) > 0 {
				ctx.actions = append(ctx.actions, odp.Action{Type: odp.Clone, Nested: n})
			}
		case ctx.bridge.Support.SampleNesting > 3:
			if n := ctx.nested(acts); len(n) > 0 {
				ctx.actions = append(ctx.actions, odp.Action{Type: odp.Sample, Arg: ones32, Nested: n})
			}
		default:
			ctx.errorf("Failed to compose clone action")
		}
		ctx.restore(&s)
		ctx.flow = oldFlow
	})
}

// reversible reports that the datapath actions for acts can be undone by others.
func reversible(acts action.List) bool {
	for _, a := range acts {
		switch a.(type) {
		case *action.CT, *action.Meter, *action.NAT, *action.OutputTrunc, *action.Encap, *action.Decap,
			*action.DecNSHTTL:
			return false
		}
	}
	return true
}

// checkPktLarger translates rest twice, for packets that are larger than a length
// and for those that are not, and reports that it did.
func (ctx *context) checkPktLarger(a *action.CheckPktLarger, rest action.List) (done bool) {
	if !ctx.bridge.Support.CheckPktLen {
		larger := uint64(0)
		if len(ctx.in.Packet) > int(a.Len) {
			larger = 1
		}
		a.Dst.Set(&ctx.flow, ctx.bridge.TunTable, larger)
		// A flow would treat all packets like the first.
		ctx.out.Slow |= SlowAction
		return false
	}
	ctx.withOwnStack(func() {
		oldFlow := ctx.flow
		ctx.commit()
		s := ctx.save()
		s.flow = oldFlow
		set := slices.Clone(ctx.actionSet)
		stack := slices.Clone(ctx.stack)
		act := odp.Action{Type: odp.CheckPktLen, Arg: uint32(a.Len)}
		a.Dst.Set(&ctx.flow, ctx.bridge.TunTable, 1)
		act.Nested = ctx.nested(rest)
		ctx.restore(&s)
		exit := ctx.exit
		ctx.exit = false
		ctx.actionSet, ctx.stack = set, stack
		a.Dst.Set(&ctx.flow, ctx.bridge.TunTable, 0)
		act.Else = ctx.nested(rest)
		ctx.actions = append(ctx.actions, act)
		ctx.restore(&s)
		ctx.exit = exit
	})
	return true
}
