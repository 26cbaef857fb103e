package ofproto

import (
	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp"
)

var logCT = vlog.New("ct_dpif")

// CTFlush implements Datapath.  A datapath that tracks no connections has none to
// forget.
func (b *Backer) CTFlush(f *ofp.CTFlush) error {
	var zone *uint16
	if f.HasZone {
		zone = &f.Zone
	}
	var match *dpif.CTMatch
	name := b.dp.Type() + "@" + b.dp.Name()
	switch {
	case !emptyTuple(&f.Original, f.IPProto) || !emptyTuple(&f.Reply, f.IPProto) || f.IPProto != 0:
		match = &dpif.CTMatch{IPProto: f.IPProto, L3Type: f.L3Type, Orig: dpif.CTTuple(f.Original), Reply: dpif.CTTuple(f.Reply)}
		logCT.Dbg("%s: ct_flush: zone=%d %s", name, f.Zone, f.Text())
	case zone != nil:
		logCT.Dbg("%s: ct_flush: zone %d", name, f.Zone)
	default:
		logCT.Dbg("%s: ct_flush: <all>", name)
	}
	if c, ok := b.dp.(dpif.ConntrackFlusher); ok {
		return c.FlushConntrack(zone, match)
	}
	return nil
}

// emptyTuple reports whether a tuple selects nothing.
func emptyTuple(t *ofp.CTTuple, proto uint8) bool {
	icmp := proto == 1 || proto == 58
	return t.Src == flow.IPv6{} && t.Dst == flow.IPv6{} && (icmp || t.SrcPort == 0 && t.DstPort == 0)
}
