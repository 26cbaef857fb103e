package xlate

import (
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/ofp/action"
)

// The conntrack events (bits of enum ip_conntrack_events) that a commit asks for.
const ctEventMask = 1<<0 | 1<<1 | 1<<2 | 1<<7 | 1<<10 // new, related, destroy, mark, label

// Ports of the application layer gateways.
const (
	algFTP  = 21
	algTFTP = 69
)

// ct sends the packet through connection tracking, and if the action names a
// table, a copy of it from there on to the table.
func (ctx *context) ct(a *action.CT, last bool) {
	wc := ctx.wc
	zone := a.Zone
	if a.HasZoneSrc {
		zone = uint16(a.ZoneSrc.Get(&ctx.flow, ctx.bridge.TunTable))
		// After recirculation the id stands for the value of frozen metadata.
		if ctx.frozenIn == nil || !isFrozenMetadata(a.ZoneSrc.ID) {
			a.ZoneSrc.AddTo(wc, ctx.bridge.TunTable)
		}
	}
	oldMark, oldLabel := wc.CTMark, wc.CTLabel
	ctx.commit()

	// The nested actions set mark, label and NAT; their mask says what they set.
	ctx.nat = nil
	wc.CTMark, wc.CTLabel = 0, flow.U128{}
	ctx.doActions(a.Actions, last, false)

	arg := &odp.CTArg{Zone: zone}
	if a.Flags&action.CTCommit != 0 {
		arg.Commit, arg.Force = true, a.Flags&action.CTForce != 0
		if ctx.bridge.Support.CTEventMask {
			arg.HasEventMask, arg.EventMask = true, ctEventMask
		}
	}
	if wc.CTMark != 0 {
		arg.HasMark, arg.Mark, arg.MarkMask = true, ctx.flow.CTMark&wc.CTMark, wc.CTMark
	}
	if wc.CTLabel != (flow.U128{}) {
		arg.HasLabel, arg.LabelMask = true, wc.CTLabel
		arg.Label = flow.U128{Hi: ctx.flow.CTLabel.Hi & wc.CTLabel.Hi, Lo: ctx.flow.CTLabel.Lo & wc.CTLabel.Lo}
	}
	switch a.Alg {
	case 0:
	case algFTP:
		arg.Helper = "ftp"
	case algTFTP:
		arg.Helper = "tftp"
	default:
		ctx.errorf("cannot serialize ct_helper %d", a.Alg)
	}
	arg.NAT = natArg(ctx.nat)
	ctx.actions = append(ctx.actions, odp.Action{Type: odp.CT, Ext: &odp.Ext{CT: arg}})
	wc.CTMark, wc.CTLabel = oldMark, oldLabel

	if a.RecircTable != action.CTNoRecirc {
		ctx.conntracked = true
		ctx.fork(a.RecircTable, zone)
	}
	ctx.nat = nil
	// The verdict is only seen from RecircTable on.
	clearConntrack(&ctx.flow)
	ctx.report(NodeDetail, "Sets the packet to an untracked state, and clears all the conntrack fields.")
	ctx.conntracked = false
}

// fork lets a copy of the packet come back from the datapath to go on in table,
// while this list of actions goes on.
func (ctx *context) fork(table uint8, zone uint16) {
	ctx.freezing = true
	id := ctx.finishFreezingAt(table)
	if ctx.trace == nil || id == 0 {
		return
	}
	t := ctx.in.Trace
	t.Recircs = append(t.Recircs, Recirculation{ID: id, Kind: RecircConntrack, Zone: zone, NAT: ctx.nat, Flow: ctx.flow})
	ctx.reportf(NodeDetail, "A clone of the packet is forked to recirculate. "+
		"The forked pipeline will be resumed at table %d.", table)
}

func (ctx *context) ctClear() {
	ctx.conntracked = false
	clearConntrack(&ctx.flow)
	if ctx.bridge.Support.CTClear {
		ctx.actions = append(ctx.actions, odp.Action{Type: odp.CTClear})
	}
}

// natArg is the datapath's form of a nat action.
func natArg(n *action.NAT) *odp.NATArg {
	if n == nil {
		return nil
	}
	a := &odp.NATArg{}
	if n.Flags&(action.NATSrc|action.NATDst) == 0 {
		return a
	}
	a.Src = n.Flags&action.NATSrc != 0
	a.Dst = !a.Src
	a.Persistent = n.Flags&action.NATPersistent != 0
	a.HashPorts = n.Flags&action.NATProtoHash != 0
	a.Random = !a.HashPorts && n.Flags&action.NATProtoRandom != 0
	if n.HasAddr {
		a.HasIP, a.V6, a.IPMin = true, n.IPv6, n.AddrMin
		if greater(n.AddrMax, n.AddrMin) {
			a.IPMax = n.AddrMax
		}
		if n.ProtoMin != 0 {
			a.PortMin = n.ProtoMin
			if n.ProtoMax > n.ProtoMin {
				a.PortMax = n.ProtoMax
			}
		}
	}
	return a
}

func greater(a, b [16]byte) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return false
}
