package xlate

import (
	"net/netip"

	"sluice/dpif/flow"
	"sluice/ofproto/mcast"
	"sluice/ofproto/ofp/field"
)

// Snooped is an IGMP or MLD message that came in by NORMAL.
type Snooped struct {
	Table  *mcast.Table
	Msg    mcast.Message
	VLAN   uint16
	Bundle BundleID
}

// snoops reports that NORMAL treats the packet by multicast snooping.
func (ctx *context) snoops() bool {
	d := ctx.flow.DLDst
	return ctx.bridge.Mcast != nil && d[0]&1 != 0 && !isBroadcast(d) && isIPAny(&ctx.flow)
}

// normalMcast is NORMAL with multicast snooping (RFC 4541) for a packet to a group.
func (ctx *context) normalMcast(in *Bundle, t *tags) {
	f, wc := &ctx.flow, ctx.wc
	ipv4 := field.DLType(f) == flow.EthIPv4
	wc.NwProto = 0xff
	switch {
	case ipv4 && f.NwProto == protoIGMP:
		// These always take the slow path, so that each one is seen: entries would
		// expire although hosts answer.
		ctx.out.Slow |= SlowAction
		if !mcast.IsIGMPMembership(f.TpSrc) {
			if f.TpSrc == mcast.IGMPQuery {
				ctx.snoop(in, t, "IGMP")
			}
			ctx.report(NodeDetail, "multicast traffic, flooding")
			ctx.normalFlood(in, t)
			return
		}
		ctx.snoop(in, t, "IGMP")
		ctx.sendReport(in, t)
		return
	case !ipv4 && isICMPv6(f):
		wc.TpSrc = ones16
		if !mcast.IsMLD(f.TpSrc) {
			break
		}
		ctx.out.Slow |= SlowAction
		ctx.snoop(in, t, "MLD")
		if f.TpSrc == mcast.MLDQuery {
			ctx.report(NodeDetail, "MLD query, flooding")
			ctx.normalFlood(in, t)
			return
		}
		ctx.sendReport(in, t)
		return
	}
	if ctx.isLocalMulticast(ipv4) {
		// RFC 4541 section 2.1.2, item 2: 224.0.0.X goes everywhere.
		ctx.report(NodeDetail, "RFC4541: section 2.1.2, item 2, flooding")
		ctx.normalFlood(in, t)
		return
	}
	ctx.sendGroup(in, t, ipv4)
}

// isLocalMulticast reports that the destination is 224.0.0.X or ff02::1.
func (ctx *context) isLocalMulticast(ipv4 bool) bool {
	f := &ctx.flow
	if ipv4 {
		ctx.wc.NwDst = ones32
		return f.NwDst&0xffffff00 == 0xe0000000
	}
	ctx.wc.IPv6Dst = onesIPv6
	return f.IPv6Dst == flow.IPv6{0: 0xff, 1: 0x02, 15: 1}
}

// sendGroup sends the packet to those who listen to its group, and to routers.
func (ctx *context) sendGroup(in *Bundle, t *tags, ipv4 bool) {
	ms := ctx.bridge.Mcast
	group := ctx.flow.IPv6Dst
	if ipv4 {
		group = mcast.Mapped(ctx.flow.NwDst)
	}
	var room [16]BundleID
	listeners, ok := ms.AppendListeners(room[:0], group, t[0].vid)
	var out []*Bundle
	switch {
	case ok:
		for _, id := range listeners {
			out = ctx.addMcast(out, in, id, &groupTexts)
		}
		out = ctx.addPorts(out, in, t, ms.FloodPorts(), &floodTexts)
		out = ctx.addRouters(out, in, t)
	case ms.FloodUnregistered():
		ctx.report(NodeDetail, "unregistered multicast, flooding")
		ctx.normalFlood(in, t)
		return
	default:
		out = ctx.addRouters(out, in, t)
		out = ctx.addPorts(out, in, t, ms.FloodPorts(), &floodTexts)
	}
	ctx.toBundles(out, t)
}

// sendReport sends a report to the routers only (RFC 4541 section 2.1.1, item 1), and
// to the bundles that are to get them as well.
func (ctx *context) sendReport(in *Bundle, t *tags) {
	out := ctx.addRouters(nil, in, t)
	ctx.toBundles(ctx.addPorts(out, in, t, ctx.bridge.Mcast.ReportPorts(), &reportTexts), t)
}

// mcastTexts are what a trace says of a bundle that is to get a packet.
type mcastTexts struct{ forward, unknown, input, otherVLAN string }

var (
	groupTexts = mcastTexts{"forwarding to mcast group port", "mcast group port is unknown, dropping",
		"mcast group port is input port, dropping", ""}
	routerTexts = mcastTexts{"forwarding to mcast router port", "mcast router port is unknown, dropping",
		"mcast router port is input port, dropping", "mcast router is on another vlan, dropping"}
	floodTexts = mcastTexts{"forwarding to mcast flood port", "mcast flood port is unknown, dropping",
		"mcast flood port is input port, dropping", "mcast flood port is on another vlan, dropping"}
	reportTexts = mcastTexts{"forwarding report to mcast flagged port", "mcast port is unknown, dropping the report",
		"mcast port is input port, dropping the Report", "mcast port is on another vlan, dropping the Report"}
)

func (ctx *context) addRouters(out []*Bundle, in *Bundle, t *tags) []*Bundle {
	var room [8]mcast.Router
	for _, r := range ctx.bridge.Mcast.AppendRouters(room[:0]) {
		if r.VLAN != t[0].vid && ctx.snap.Bundle(r.Port) != nil {
			ctx.report(NodeDetail, routerTexts.otherVLAN)
			continue
		}
		out = ctx.addMcast(out, in, r.Port, &routerTexts)
	}
	return out
}

// addPorts adds those of the bundles that carry the packet's VLAN.
func (ctx *context) addPorts(out []*Bundle, in *Bundle, t *tags, ids []BundleID, texts *mcastTexts) []*Bundle {
	for _, id := range ids {
		if b := ctx.snap.Bundle(id); b != nil && !b.includes(t) {
			ctx.report(NodeDetail, texts.otherVLAN)
			continue
		}
		out = ctx.addMcast(out, in, id, texts)
	}
	return out
}

// addMcast adds a bundle to those that get the packet, and reports what becomes of it.
func (ctx *context) addMcast(out []*Bundle, in *Bundle, id BundleID, texts *mcastTexts) []*Bundle {
	switch b := ctx.snap.Bundle(id); b {
	case nil:
		ctx.report(NodeWarn, texts.unknown)
	case in:
		ctx.report(NodeDetail, texts.input)
	default:
		ctx.report(NodeDetail, texts.forward)
		return append(out, b)
	}
	return out
}

func (ctx *context) toBundles(bundles []*Bundle, t *tags) {
	for _, b := range bundles {
		ctx.toBundle(b, t)
	}
}

// snoop applies the message in the packet, if there is a packet, to the table.
func (ctx *context) snoop(in *Bundle, t *tags, name string) {
	if ctx.in.Sink == nil || ctx.in.Packet == nil || in == noneBundle {
		return
	}
	var f flow.Flow
	pkt := ctx.in.Packet
	m := flow.ExtractFlow(pkt, &ctx.in.Flow, &f)
	s := Snooped{Table: ctx.bridge.Mcast, VLAN: t[0].vid, Bundle: in.ID}
	ok := int(m.L4) < len(pkt) && m.L3 < m.L4
	if ok {
		s.Msg, ok = mcast.Parse(pkt[m.L3:len(pkt)-int(m.L2Pad)], int(m.L4-m.L3))
	}
	if !ok {
		ctx.debugf(NodeDetail, "multicast snooping received bad %s checksum on port %s in VLAN %d", name, in.Name, s.VLAN)
		return
	}
	if n := ctx.in.Sink.Snoop(&s, ctx.in.Now); n > 0 && (ctx.trace != nil || log.DbgEnabled()) {
		ctx.reportSnooped(&s, in, n)
	}
}

func (ctx *context) reportSnooped(s *Snooped, in *Bundle, n int) {
	switch s.Msg.Kind {
	case mcast.Query:
		from := "on"
		if field.DLType(&ctx.flow) == flow.EthIPv4 {
			from = "from " + netip.AddrFrom16(mcast.Mapped(ctx.flow.NwSrc)).Unmap().String() + " is on"
		}
		ctx.debugf(NodeDetail, "multicast snooping query %s port %s in VLAN %d", from, in.Name, s.VLAN)
	case mcast.Join, mcast.Leave:
		what := "learned that"
		if s.Msg.Kind == mcast.Leave {
			what = "leaving"
		}
		ctx.debugf(NodeDetail, "multicast snooping %s %s is on port %s in VLAN %d", what,
			netip.AddrFrom16(s.Msg.Changes[0].Group).Unmap(), in.Name, s.VLAN)
	default:
		ctx.debugf(NodeDetail, "multicast snooping processed %d addresses on port %s in VLAN %d", n, in.Name, s.VLAN)
	}
}
