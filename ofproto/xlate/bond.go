package xlate

import (
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/bond"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/recirc"
	"sluice/ofproto/table"
)

// This file is what NORMAL does with bonds: whether a packet may come in by a member,
// and which member it leaves by.

// bondAdmits reports whether the packet, of VLAN vlan, may come in by the bond in at
// port p.
func (ctx *context) bondAdmits(in *Bundle, p *Port, vlan uint16) bool {
	f := &ctx.flow
	switch in.Bond.Admit(uint64(p.OFPort), f.DLDst) {
	case bond.Drop:
		ctx.report(NodeDetail, "bonding refused admissibility, dropping")
		return false
	case bond.DropIfMoved:
		ml := ctx.bridge.ML
		at, known := ml.Lookup(f.DLSrc, vlan)
		if !known || at == in.ID {
			break
		}
		// A gratuitous ARP says that the address has moved to another switch, unless
		// it is our own that comes back.
		if !isGratuitousARP(f, ctx.wc) || ml.IsGratARPLocked(f.DLSrc, vlan, ctx.in.Now) {
			ctx.report(NodeDetail, "SLB bond thinks this packet looped back, dropping")
			return false
		}
	}
	return true
}

// bondOutput chooses the port that the packet, of VLAN vlan on the wire, leaves a bond
// by; ok is false: none.
func (ctx *context) bondOutput(v *bond.View, vlan uint16) (ofport uint32, ok bool) {
	recirculates := v.RecircID != 0 && ctx.bridge.Support.Recirc
	if mode, carries := v.Balancing(); carries && !recirculates {
		switch mode {
		case bond.BalanceTCP:
			maskHashFields(&ctx.flow, ctx.wc, action.HashSymmetricL3L4U)
		case bond.BalanceSLB:
			maskHashFields(&ctx.flow, ctx.wc, action.HashEthSrc)
		}
	}
	m, bucket := v.Output(&ctx.flow, vlan)
	if m == nil {
		return 0, false
	}
	if recirculates {
		// Any member does for what else depends on the port.
		ctx.via = v
	} else if bucket >= 0 {
		ctx.effect(Effect{Kind: EffectBond, Load: v.Load(), Bucket: int32(bucket)})
	}
	return m.OFPort, true
}

// bondRecirc has the datapath hash the packet and choose the member: by itself, or by
// looking for one of the flows that BondState leads to.
func (ctx *context) bondRecirc(v *bond.View) {
	if v.LBOutput {
		ctx.actions = append(ctx.actions, odp.Action{Type: odp.LBOutput, Port: v.RecircID})
		return
	}
	// The algorithm is hash_l4, which all datapaths know.
	h := odp.HashArg{Basis: v.Basis}
	ctx.actions = append(ctx.actions, odp.Action{Type: odp.Hash, Ext: &odp.Ext{Hash: &h}},
		odp.Action{Type: odp.Recirc, Port: v.RecircID})
}

// BondState is the frozen state of packets on their way out of a bond of bridge br:
// translation goes on in the table of the switch's own flows.  Mirrors have their
// copies already.
func BondState(br BridgeID) *recirc.State {
	return &recirc.State{Table: table.TableInternal, Bridge: br, Mirrors: ^uint32(0),
		Metadata: recirc.Metadata{InPort: flow.OFPNone}}
}
