package ofproto

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/recirc"
	"sluice/ofproto/xlate"
)

// PacketOut implements Datapath.
func (b *Backer) PacketOut(sw *Switch, po *PacketOut, now int64) error {
	r := b.bySwitch[sw]
	snap := b.udpif.Snapshot()
	br := snap.Bridge(r.id)
	if br == nil {
		return oferr.OFPBRC_EPERM
	}
	in := &xlate.In{Snap: snap, Bridge: br, Flow: po.Flow, Packet: po.Packet, TCPFlags: po.Flow.TCPFlags,
		Actions: po.Actions, HasActions: true, Recirc: b.recircs, Sink: sink{b: b}, Record: true,
		PacketOut: true, Now: now}
	return b.run(in, br.Port(po.Flow.InPort))
}

// run translates a packet of a controller and has the datapath execute the result.
func (b *Backer) run(in *xlate.In, from *xlate.Port) error {
	var out xlate.Out
	xlate.Translate(in, &out)
	return b.sendTranslated(in, &out, from, true)
}

// Resume implements Datapath.
func (b *Backer) Resume(sw *Switch, pin *ofp.PacketIn, now int64) error {
	c := pin.Continuation
	if c == nil {
		return oferr.NXR_STALE
	}
	snap := b.udpif.Snapshot()
	br := snap.Bridge(xlate.BridgeID(c.Bridge))
	own := snap.Bridge(b.bySwitch[sw].id)
	if br == nil || own == nil {
		return oferr.NXR_STALE
	}
	md := pin.Metadata.Flow
	st := &recirc.State{Bridge: c.Bridge, Metadata: recirc.MetadataOf(&md), Stack: xlate.StackBytes(c.Stack), Mirrors: c.Mirrors,
		Conntracked: c.Conntracked, Actions: c.Actions, ActionSet: c.ActionSet}
	if len(st.Actions) == 0 {
		// Without actions translation would search a table, but there is nothing
		// left to do here than to finish.
		st.Actions = action.List{&action.Note{}}
	}
	in := &xlate.In{Snap: snap, Bridge: own, Packet: pin.Packet, Frozen: st, Recirc: b.recircs,
		Sink: sink{b: b}, Record: true, Now: now}
	flow.ExtractFlow(pin.Packet, &md, &in.Flow)
	in.TCPFlags = in.Flow.TCPFlags
	from := br.Port(md.InPort)
	if p := snap.PortByODP(c.ODPPort); p != nil && c.ODPPort != 0 {
		from = p
	}
	return b.run(in, from)
}
