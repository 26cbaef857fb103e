package xlate

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/table"
)

var rlUnknownPort = vlogLimiter()

// lookup finds the rule for the flow in ctx.tableID as if it had come in by
// inPort.  Without one it returns a rule of the switch's own: the one that sends
// the packet to the controllers, if mayPacketIn, or one that drops it.
//
// honorMiss applies what OpenFlow 1.1 and 1.2 table_mods configured for misses,
// which may go on to later tables; ctx.tableID is then the last one searched.
func (ctx *context) lookup(inPort uint32, mayPacketIn, honorMiss bool) *table.Rule {
	f, set := &ctx.flow, ctx.bridge.Tables
	oldSrc, oldDst, oldIn := f.TpSrc, f.TpDst, f.InPort
	if f.NwFrag&flow.NwFragAny != 0 {
		// The mask always has NwFrag for IP.
		switch ofp.FragHandling(set.Frag.Load()) {
		case ofp.FragNXMatch:
		case ofp.FragNormal:
			f.TpSrc, f.TpDst = 0, 0
		default:
			ctx.effect(Effect{Kind: EffectTable, Tables: set, TableID: ctx.tableID, Matched: true})
			return set.DropFragsRule
		}
	}
	f.InPort = inPort
	miss := ofp.MissContinue
	var rule *table.Rule
	for id := int(ctx.tableID); id < table.NTables; id++ {
		if id == table.TableInternal && ctx.tableID != table.TableInternal {
			break
		}
		ctx.tableID = uint8(id)
		rule = set.Table(ctx.tableID).Lookup(ctx.version, f, ctx.wc)
		ctx.effect(Effect{Kind: EffectTable, Tables: set, TableID: ctx.tableID, Matched: rule != nil})
		if rule != nil || !honorMiss {
			break
		}
		if miss = set.MissConfig(ctx.tableID); miss != ofp.MissContinue {
			break
		}
	}
	f.TpSrc, f.TpDst, f.InPort = oldSrc, oldDst, oldIn
	if rule != nil {
		return rule
	}
	if mayPacketIn && ctx.missWanted(miss) {
		return set.MissRule
	}
	return set.NoPacketInRule
}

// missWanted reports that controllers get packets that match nothing.
func (ctx *context) missWanted(miss ofp.TableMiss) bool {
	switch miss {
	case ofp.MissContinue, ofp.MissController:
		p := ctx.bridge.Port(ctx.flow.InPort)
		if p == nil {
			log.WarnRL(rlUnknownPort, "packet-in on unknown OpenFlow port %d", ctx.flow.InPort)
			return false
		}
		return p.Config&PortNoPacketIn == 0
	case ofp.MissDefault:
		return ctx.bridge.MissToController
	}
	return false
}

// resubmit looks the flow up in a table and translates the rule's actions with
// run.  ct looks up the original tuple of the connection in place of the packet's
// addresses and ports.
func (ctx *context) resubmit(inPort uint32, tableID uint8, mayPacketIn, honorMiss, ct, last bool, run actionsFunc) {
	if ctx.wasMPLS {
		// What to look up is not known before the datapath parses it.
		ctx.freeze()
		return
	}
	if !ctx.mayResubmit() {
		return
	}
	old := ctx.tableID
	ctx.tableID = tableID
	if ct {
		if ctx.flow.CTNwProto == 0 || !isIPAny(&ctx.flow) {
			ctx.errorf("resubmit(ct) with non-tracked or non-IP packet!")
			ctx.tableID = old
			return
		}
		ctx.swapCT()
	}
	rule := ctx.lookup(inPort, mayPacketIn, honorMiss)
	if ct {
		ctx.swapCT()
	}
	if rule != nil {
		trace := ctx.trace
		ctx.effect(Effect{Kind: EffectRule, Rule: rule})
		ctx.reportTable(rule, ctx.tableIDForReport(tableID))
		ctx.recurse(rule, tableID <= old, last, run)
		ctx.trace = trace
	}
	ctx.tableID = old
}

// tableIDForReport: a trace names the table that was asked for.
func (ctx *context) tableIDForReport(id uint8) uint8 { return id }

func (ctx *context) swapCT() {
	v4 := ctx.flow.DLType == flow.EthIPv4
	swapCTTuple(&ctx.flow, v4)
	swapCTTuple(ctx.wc.AsFlow(), v4)
}

// recurse translates the actions of rule.
func (ctx *context) recurse(rule *table.Rule, deepens, last bool, run actionsFunc) {
	oldRule, oldCookie := ctx.rule, ctx.cookie
	ctx.resubmits++
	if deepens {
		ctx.depth++
	}
	ctx.rule, ctx.cookie = rule, rule.Cookie
	run(ctx, rule.Actions, last, false)
	ctx.rule, ctx.cookie = oldRule, oldCookie
	if deepens {
		ctx.depth--
	}
}

// mayResubmit checks the limits of the work for one packet.
func (ctx *context) mayResubmit() bool {
	switch {
	case ctx.depth >= maxDepth:
		ctx.errorf("over max translation depth %d", maxDepth)
		ctx.err = ErrRecursionTooDeep
	case ctx.resubmits >= maxResubmits:
		ctx.errorf("over %d resubmit actions", maxResubmits)
		ctx.err = ErrTooManyResubmits
	case ctx.actionsOver(maxActions):
		ctx.errorf("resubmits yielded over 64 kB of actions")
		// No error: the flow will go through userspace.
		ctx.exit = true
	case len(ctx.stack) >= maxStack:
		ctx.errorf("resubmits yielded over 64 kB of stack")
		ctx.err = ErrStackTooDeep
	default:
		return true
	}
	return false
}
