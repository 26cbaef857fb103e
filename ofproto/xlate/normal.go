package xlate

import (
	"sluice/dpif/flow"
)

// vidAndCFI are the bits of a tag that say what VLAN a packet is in.
const vidAndCFI = flow.VLANVIDMask | flow.VLANCFI

// tag is one VLAN tag in parts; a zero vid may still have a tpid (priority tag).
type tag struct {
	tpid, vid, pcp uint16
}

// tags are the VLAN tags of a packet inside a bridge.
type tags [flow.MaxVLANs]tag

func tagsOf(f *flow.Flow) (t tags) {
	for i, v := range f.VLANs {
		if !isVLANType(v.TPID) || v.TCI&flow.VLANCFI == 0 {
			break
		}
		t[i] = tag{v.TPID, v.TCI & flow.VLANVIDMask, v.TCI & flow.VLANPCPMask}
	}
	return t
}

func (t *tags) pop() {
	copy(t[:], t[1:])
	t[len(t)-1] = tag{}
}

func (t *tags) pushRoom() {
	copy(t[1:], t[:])
	t[0] = tag{}
}

// put makes t the tags of f.
func (t *tags) put(f *flow.Flow, prio PriorityTags) {
	for i, x := range t {
		tci := x.vid | x.pcp&flow.VLANPCPMask
		if tci != 0 || prio == PriorityTagsAlways && x.tpid != 0 {
			tci |= flow.VLANCFI
			f.VLANs[i].TPID = x.tpid
			if x.tpid == 0 {
				f.VLANs[i].TPID = flow.EthVLAN
			}
		}
		f.VLANs[i].TCI = tci
	}
}

// fromWire returns the tags inside the bridge of a packet that came in with w.
func (b *Bundle) fromWire(w *tags) tags {
	native := tag{w[0].tpid, b.VLAN, w[0].pcp}
	if native.tpid == 0 {
		native.tpid = flow.EthVLAN
	}
	t := *w
	switch b.Mode {
	case VLANAccess:
		return tags{native}
	case VLANNativeTagged, VLANNativeUntagged:
		if w[0].vid == 0 {
			t[0] = native
		}
	case VLANDot1qTunnel:
		t.pushRoom()
		t[0] = tag{tpid: b.QinQType, vid: b.VLAN}
	}
	return t
}

// toWire returns the tags that a packet leaves with.
func (b *Bundle) toWire(t tags) tags {
	switch b.Mode {
	case VLANAccess:
		return tags{}
	case VLANNativeUntagged:
		if t[0].vid == b.VLAN {
			t.pop()
		}
	case VLANDot1qTunnel:
		t.pop()
	}
	return t
}

func (b *Bundle) trunks(vid uint16) bool {
	return b.Mode != VLANAccess && (b.Trunks == nil || b.Trunks.Has(vid))
}

func (b *Bundle) allowsCVLAN(vid uint16) bool { return b.CVLANs == nil || b.CVLANs.Has(vid) }

// includes reports that packets with tags t may leave by b.
func (b *Bundle) includes(t *tags) bool {
	switch b.Mode {
	case VLANAccess:
		return t[0].vid == b.VLAN && t[1].vid == 0
	case VLANDot1qTunnel:
		return t[0].vid == b.VLAN && b.allowsCVLAN(t[1].vid)
	}
	return b.trunks(t[0].vid)
}

// vidValid reports that a packet with an outer VLAN id may come in by b.
func (ctx *context) vidValid(vid uint16, b *Bundle) bool {
	if b == noneBundle {
		return true
	}
	switch b.Mode {
	case VLANAccess:
		if vid != 0 {
			ctx.errorf("dropping VLAN %d tagged packet received on port %s configured as VLAN %d access port",
				vid, b.Name, b.VLAN)
			return false
		}
	case VLANNativeTagged, VLANNativeUntagged, VLANTrunk:
		if vid == 0 && b.Mode != VLANTrunk {
			return true // a port always carries its native VLAN
		}
		if !b.trunks(vid) {
			ctx.errorf("dropping VLAN %d packet received on port %s not configured for trunking VLAN %d",
				vid, b.Name, vid)
			return false
		}
	case VLANDot1qTunnel:
		if !b.allowsCVLAN(vid) {
			ctx.errorf("dropping VLAN %d packet received on dot1q-tunnel port %s that excludes this VLAN",
				vid, b.Name)
			return false
		}
	}
	return true
}

// inputBundle returns the bundle that the packet came in by, and its port.
func (ctx *context) inputBundle() (*Bundle, *Port) {
	in := ctx.flow.InPort
	p := ctx.bridge.Port(in)
	if p != nil && p.Bundle != nil {
		return p.Bundle, p
	}
	if in == flow.OFPController || in == flow.OFPNone {
		return noneBundle, p
	}
	// Packets from a port that was just added or deleted may get here.
	ctx.errorf("received packet on unknown port %d", in)
	return nil, p
}

// normal does what OFPP_NORMAL does: switch by MAC address and VLAN.
func (ctx *context) normal() {
	f, wc := &ctx.flow, ctx.wc
	wc.DLSrc, wc.DLDst = onesMAC, onesMAC
	wc.VLANs[0].TCI |= vidAndCFI

	in, port := ctx.inputBundle()
	if in == nil {
		ctx.report(NodeWarn, "no input bundle, dropping")
		return
	}
	if isVLANType(f.DLType) && f.VLANs[0].TCI&flow.VLANCFI == 0 {
		if ctx.in.Packet != nil {
			ctx.errorf("dropping packet with partial VLAN tag received on port %s", in.Name)
		}
		ctx.report(NodeWarn, "partial VLAN tag, dropping")
		return
	}
	if in.MirrorOut {
		if ctx.in.Packet != nil {
			ctx.errorf("dropping packet received on port %s, which is reserved exclusively for mirroring", in.Name)
		}
		ctx.report(NodeWarn, "input port is mirror output port, dropping")
		return
	}
	wire := tagsOf(f)
	if !ctx.vidValid(wire[0].vid, in) {
		ctx.report(NodeWarn, "disallowed VLAN VID for this input port, dropping")
		return
	}
	t := in.fromWire(&wire)
	if port != nil && !ctx.bridge.ForwardBPDU && isReservedMAC(f.DLDst) {
		ctx.report(NodeDetail, "packet has reserved destination MAC, dropping")
		return
	}
	if in.Bond != nil && port != nil && !ctx.bondAdmits(in, port, t[0].vid) {
		return
	}
	ctx.learnMAC(in, port, t[0].vid)

	if ctx.snoops() {
		ctx.normalMcast(in, &t)
		return
	}
	id, ok := ctx.bridge.ML.Lookup(f.DLDst, t[0].vid)
	if !ok {
		ctx.report(NodeDetail, "no learned MAC for destination, flooding")
		ctx.normalFlood(in, &t)
		return
	}
	switch out := ctx.snap.Bundle(id); {
	case out == nil:
		ctx.report(NodeWarn, "learned port is unknown, dropping")
	case out.MirrorOut:
		ctx.report(NodeWarn, "learned port is a mirror port, dropping")
	case out == in:
		ctx.report(NodeDetail, "learned port is input port, dropping")
	default:
		ctx.report(NodeDetail, "forwarding to learned port")
		ctx.toBundle(out, &t)
	}
}

// learnMAC notes where the packet's source address is.
func (ctx *context) learnMAC(in *Bundle, port *Port, vlan uint16) {
	f := &ctx.flow
	e := Effect{Kind: EffectNormal, ML: ctx.bridge.ML, MAC: f.DLSrc, VLAN: vlan, Bundle: in.ID,
		GratARP: isGratuitousARP(f, ctx.wc), Bond: in.Bond != nil}
	if in == noneBundle {
		return
	}
	if ctx.in.Sink != nil && f.PacketType == flow.PacketTypeEth && port != nil && port.PTMode != LegacyL3 &&
		ctx.in.Sink.LearnMAC(&e, ctx.in.Now) && (ctx.trace != nil || log.DbgEnabled()) {
		m := f.DLSrc
		ctx.debugf(NodeDetail, "learned that %02x:%02x:%02x:%02x:%02x:%02x is on port %s in VLAN %d",
			m[0], m[1], m[2], m[3], m[4], m[5], in.Name, vlan)
	}
	ctx.effect(e)
}

// normalFlood sends the packet to all bundles of its VLAN but the one that it came
// in by.
func (ctx *context) normalFlood(in *Bundle, t *tags) {
	for _, b := range ctx.bridge.Bundles {
		if b != in && b.includes(t) && b.Floodable && !b.MirrorOut {
			ctx.toBundle(b, t)
		}
	}
	ctx.flooded()
}

// toBundle sends the packet, which has tags t inside the bridge, out of b.
func (ctx *context) toBundle(b *Bundle, t *tags) {
	if b.Mode == VLANDot1qTunnel && b.CVLANs != nil {
		ctx.wc.VLANs[1].TCI = ones16
	}
	out := b.toWire(*t)
	if b.PrioTags != PriorityTagsNever {
		out[0].pcp = ctx.flow.VLANs[0].TCI & flow.VLANPCPMask
	}
	if len(b.Ports) == 0 {
		return // not configured in full yet
	}
	to := b.Ports[0].OFPort
	if b.Bond != nil {
		var ok bool
		if to, ok = ctx.bondOutput(b.Bond, out[0].vid); !ok {
			return
		}
	}
	old := ctx.flow.VLANs
	out.put(&ctx.flow, b.PrioTags)
	ctx.toPort(to, true, false, false)
	ctx.flow.VLANs = old
}
