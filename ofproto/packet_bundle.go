package ofproto

import (
	"sluice/dpif"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/xlate"
)

// PreparePacketOut implements Datapath.
func (b *Backer) PreparePacketOut(sw *Switch, po *PacketOut, version uint64, now int64) (func() error, error) {
	snap := b.udpif.Snapshot()
	br := snap.Bridge(b.bySwitch[sw].id)
	if br == nil {
		return nil, oferr.OFPBRC_EPERM
	}
	in := &xlate.In{Snap: snap, Bridge: br, Flow: po.Flow, Packet: po.Packet, TCPFlags: po.Flow.TCPFlags,
		Actions: po.Actions, HasActions: true, Recirc: b.recircs, Record: true, Version: version,
		PacketOut: true, Now: now}
	out := &xlate.Out{}
	xlate.Translate(in, out)
	from := br.Port(po.Flow.InPort)
	return func() error { return b.sendTranslated(in, out, from, false) }, nil
}

// sendTranslated does the effects of a translation, but for those that its Sink has
// done already (sunk), and has the datapath execute it.
func (b *Backer) sendTranslated(in *xlate.In, out *xlate.Out, from *xlate.Port, sunk bool) error {
	stats := xlate.Stats{Packets: 1, Bytes: uint64(len(in.Packet)), Used: in.Now, Now: in.Now, TCPFlags: in.TCPFlags}
	xlate.Apply(out.Effects, &stats, sunk)
	// The ids are found for a while after the last reference, which is long enough
	// for this packet.
	defer func() {
		for _, id := range out.Recircs {
			b.recircs.Unref(id)
		}
	}()
	if len(out.Actions) == 0 {
		return nil
	}
	ex := &dpif.Execute{Packet: in.Packet, Key: in.Flow, Actions: out.Actions}
	ex.Key.InPort = dpif.PortNone
	if from != nil {
		ex.Key.InPort = from.ODP
	}
	return b.dp.Execute(ex)
}
