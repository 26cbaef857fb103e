package xlate

import (
	"encoding/binary"
	"net/netip"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/netdev/tnl"
	"sluice/ofproto/ofp/field"
)

// The way of a packet into a native tunnel:
//
//  1. the routes say by which device it leaves the host: a port of some bridge
//  2. its next hop's Ethernet address is looked up, or asked for    (nextHop)
//  3. the headers are built and become a tnl_push action
//  4. the packet is now the outer one, and goes through the bridge of that port as
//     if the host had sent it there                                 (sendOuter)
//
// A packet out of a tunnel is one that is to leave by a port where the host has
// addresses, to one of these and a tunnel's protocol and port (terminateTunnel).

// hop is where a tunnel's packets go first.
type hop struct {
	port     *Port
	ip       netip.Addr // the other end of the tunnel, or a gateway
	src      netip.Addr // ours
	mac      flow.MAC
	resolved bool
}

// nativeTunnel encapsulates the packet and sends it on its way to the tunnel's other
// end.  What it sets is committed.
func (ctx *context) nativeTunnel(p *Port, last, trunc bool) {
	h, ok := ctx.tunnelRoute()
	if !ok {
		ctx.report(NodeWarn, "native tunnel routing failed")
		return
	}
	if ctx.trace != nil {
		ctx.reportf(NodeDetail, "tunneling to %s via %s", h.ip, h.port.Name)
	}
	if ctx.nextHop(&h); !h.resolved {
		return
	}
	if ctx.trace != nil {
		ctx.reportf(NodeDetail, "tunneling from %s %s to %s %s",
			field.AppendMAC(nil, h.port.MAC[:]), h.src, field.AppendMAC(nil, h.mac[:]), h.ip)
	}
	push, ok := ctx.tunnelHeader(p, &h)
	if !ok {
		ctx.reportf(NodeWarn, "%s tunnels cannot carry this packet", p.Tunnel.Type)
		return
	}
	ctx.sendOuter(&h, push, tnl.KindOf(p.Tunnel.Type).Proto(), last, trunc)
}

// tunnelDst is the other end of a tunnel.
func tunnelDst(t *flow.Tunnel) netip.Addr { return tunnelAddr(t.IPDst, &t.IPv6Dst) }

// tunnelAddr is an address of tunnel fields; the zero Addr: none.
func tunnelAddr(v4 uint32, v6 *flow.IPv6) netip.Addr {
	switch {
	case v4 != 0:
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, v4)))
	case *v6 != flow.IPv6{}:
		return netip.AddrFrom16(*v6)
	}
	return netip.Addr{}
}

// tunnelRoute finds the way to the other end of the tunnel.
func (ctx *context) tunnelRoute() (h hop, ok bool) {
	t := &ctx.flow.Tunnel
	dst := tunnelDst(t)
	if ctx.snap.Native == nil || !dst.IsValid() {
		return h, false
	}
	r, ok := ctx.snap.Native.Routes.LookupFrom(dst, tunnelAddr(t.IPSrc, &t.IPv6Src), ctx.flow.PktMark)
	if !ok {
		return h, false
	}
	h.ip, h.src, h.port = dst, r.Source, ctx.snap.portOfDevice(r.Device)
	if r.Gateway.IsValid() {
		h.ip = r.Gateway
	}
	return h, h.port != nil
}

// portOfDevice returns the port of a device, a bridge's own before any other.
func (s *Snapshot) portOfDevice(name string) *Port {
	if br := s.byName[name]; br != nil && br.localPort != nil && br.localPort.Name == name {
		return br.localPort
	}
	for _, br := range s.Bridges {
		for _, p := range br.Ports {
			if p.Name == name {
				return p
			}
		}
	}
	return nil
}

// nextHop finds the Ethernet address of h.  One that is not known is asked for when
// packets want it: that is an effect, as is that one is in use.
func (ctx *context) nextHop(h *hop) {
	native, bridge := ctx.snap.Native, h.port.Bridge
	h.mac, h.resolved = native.Neighbors.Lookup(bridge.Name, h.ip, ctx.in.Now)
	use := &NeighborUse{cache: &native.Neighbors, bridge: bridge.Name, ip: h.ip}
	if !h.resolved {
		proto := "ND"
		if h.ip.Is4() {
			proto = "ARP"
		}
		if ctx.trace != nil {
			ctx.reportf(NodeDetail, "neighbor cache miss for %s on bridge %s, sending %s request", h.ip, bridge.Name, proto)
		}
		src, ok := native.Routes.SourceFor(h.port.Name, h.ip)
		if !ok {
			src = h.src
		}
		use.asks = ctx.snap.Asks
		use.ask = NeighborAsk{Bridge: bridge.ID, OFPort: h.port.OFPort, Frame: askFrame(h.port.MAC, src, h.ip)}
	}
	ctx.effect(Effect{Kind: EffectNeighbor, Neighbor: use})
}

// tunnelHeader builds the headers of the packet, which is as it goes into the tunnel.
func (ctx *context) tunnelHeader(p *Port, h *hop) (*odp.TunnelPushArg, bool) {
	c, t := p.Tunnel, ctx.datapathTunnel(p.Tunnel.Type)
	kind := tnl.KindOf(c.Type)
	params := tnl.Params{
		Kind: kind, DstMAC: h.mac, SrcMAC: h.port.MAC, Dst: tunnelDst(&t), Src: h.src,
		TOS: t.TOS, TTL: t.TTL, DF: t.Flags&flow.TunFlagDF != 0, Csum: t.Flags&flow.TunFlagCsum != 0,
		DstPort: c.DstPort, ID: t.ID, Next: ctx.flow.PacketType,
		HasKey: c.OutKey.Present, Seq: c.Seq, GPE: c.GPE, GBP: c.GBP, GBPID: t.GBPID, GBPFlags: t.GBPFlags,
		OAM: t.Flags&flow.TunFlagOAM != 0, Opts: t.Opts[:t.OptsLen],
		ERSPANVer: t.ERSPANVer, ERSPANDir: t.ERSPANDir, ERSPANHwID: t.ERSPANHwID, ERSPANIdx: t.ERSPANIdx,
	}
	header, ok := params.Append(nil)
	return &odp.TunnelPushArg{Port: p.ODP, OutPort: h.port.ODP, Type: pushType(kind, params.Dst.Is4()), Header: header}, ok
}

// pushType is the number of a kind of tunnel in a tnl_push action.
func pushType(k tnl.Kind, v4 bool) uint32 {
	switch k {
	case tnl.VXLAN:
		return odp.TnlVXLAN
	case tnl.Geneve:
		return odp.TnlGeneve
	case tnl.GTPU:
		return odp.TnlGTPU
	case tnl.GRE:
		if v4 {
			return odp.TnlGRE
		}
		return odp.TnlIP6GRE
	case tnl.ERSPAN:
		if v4 {
			return odp.TnlERSPAN
		}
		return odp.TnlIP6ERSPAN
	}
	return 0
}

// sendOuter pushes the headers and sends what that makes through the bridge of h's
// port.  What the packet was is what it is again afterwards.
//
// The outer packet is the tunnel's doing: what the bridge looks at in it is no part of
// the inner packet's mask.
func (ctx *context) sendOuter(h *hop, push *odp.TunnelPushArg, proto uint8, last, trunc bool) {
	oldFlow, oldBase, oldMask := ctx.flow, ctx.base, ctx.wc
	before, packet, inside := ctx.actions, ctx.in.Packet, ctx.inTunnel
	ctx.actions = []odp.Action{{Type: odp.TunnelPush, Ext: &odp.Ext{TnlPush: push}}}
	if trunc {
		// The length of what is sent is known to the datapath only.
		ctx.actions = append(ctx.actions, odp.Action{Type: odp.Recirc})
	} else {
		outer := ctx.outerFlow(h)
		outer.NwProto = proto
		setOuter(&ctx.base, &outer)
		setOuter(&ctx.flow, &outer)
		ctx.wc, ctx.in.Packet, ctx.inTunnel = new(flow.Mask), nil, true
		size := int32(len(push.Header))
		ctx.effect(Effect{Kind: EffectHeader, HeaderLen: size})
		ctx.enter(h.port, last)
		ctx.effect(Effect{Kind: EffectHeader, HeaderLen: -size})
		ctx.wc, ctx.in.Packet, ctx.inTunnel = oldMask, packet, inside
	}
	ctx.flow, ctx.base = oldFlow, oldBase
	sent := ctx.actions
	if len(sent) > 1 && !last {
		// The headers must not be there for what comes after.
		sent = []odp.Action{{Type: odp.Clone, Nested: sent}}
	}
	ctx.actions = append(before, sent...)
}

// outerFlow has those fields of the outer packet that setOuter copies.
func (ctx *context) outerFlow(h *hop) (f flow.Flow) {
	t := &ctx.flow.Tunnel
	f.DLDst, f.DLSrc = h.mac, h.port.MAC
	f.NwDst, f.NwSrc, f.IPv6Dst, f.IPv6Src = t.IPDst, t.IPSrc, t.IPv6Dst, t.IPv6Src
	f.NwTOS, f.NwTTL, f.TpSrc, f.TpDst = t.TOS, t.TTL, t.TpSrc, t.TpDst
	if t.IPDst != 0 {
		f.DLType = flow.EthIPv4
		if src := h.src; f.NwSrc == 0 && src.Is4() {
			b := src.As4()
			f.NwSrc = binary.BigEndian.Uint32(b[:])
		}
	} else {
		f.DLType = flow.EthIPv6
		if f.IPv6Src == (flow.IPv6{}) && h.src.Is6() {
			f.IPv6Src = h.src.As16()
		}
	}
	return f
}

// setOuter makes f the flow of the outer packet; its metadata stays.
func setOuter(f, outer *flow.Flow) {
	f.PacketType = flow.PacketTypeEth
	f.VLANs = outer.VLANs
	f.DLDst, f.DLSrc, f.DLType = outer.DLDst, outer.DLSrc, outer.DLType
	f.NwDst, f.NwSrc, f.IPv6Dst, f.IPv6Src = outer.NwDst, outer.NwSrc, outer.IPv6Dst, outer.IPv6Src
	f.NwProto, f.NwTOS, f.NwTTL, f.NwFrag, f.IPv6Label = outer.NwProto, outer.NwTOS, outer.NwTTL, 0, 0
	f.TpSrc, f.TpDst = outer.TpSrc, outer.TpDst
}

// terminateTunnel takes a packet that is to leave by p out of a tunnel, if it is in one
// that ends here, and learns neighbours from the packets that pass.  Ports without an
// address are not looked at, since that would cost mask bits.
func (ctx *context) terminateTunnel(p *Port) bool {
	if len(p.Addrs) == 0 || ctx.snap.Native == nil || !ctx.bridge.Support.TunnelPushPop {
		return false
	}
	f := &ctx.flow
	port, ok := ctx.snap.Native.Listeners.Lookup(f, ctx.wc)
	if !ok {
		ctx.snoopNeighbor()
		return false
	}
	ctx.actions = append(ctx.actions, odp.Action{Type: odp.TunnelPop, Port: port})
	switch f.DLType {
	case flow.EthIPv4:
		ctx.learnNeighbor(tunnelAddr(f.NwSrc, &flow.IPv6{}), f.DLSrc)
	case flow.EthIPv6:
		ctx.learnNeighbor(tunnelAddr(0, &f.IPv6Src), f.DLSrc)
	}
	return true
}

func (ctx *context) learnNeighbor(ip netip.Addr, mac flow.MAC) {
	if ctx.in.Sink != nil && !ctx.inTunnel && ip.IsValid() {
		ctx.snap.Native.Neighbors.Set(ctx.bridge.Name, ip, mac, ctx.in.Now)
	}
}

// neighborAdvert is the ICMPv6 type of a neighbour advertisement.
const neighborAdvert = 136

// snoopNeighbor learns from ARP replies and gratuitous ARP, and from neighbour
// advertisements, to this bridge.
func (ctx *context) snoopNeighbor() {
	f, wc := &ctx.flow, ctx.wc
	switch {
	case f.DLType == flow.EthARP:
		ours := ctx.isLocalAddr(tunnelAddr(f.NwDst, &flow.IPv6{}))
		wc.NwSrc, wc.NwDst = ones32, ones32
		gratuitous := f.NwSrc == f.NwDst
		if !ours && !gratuitous {
			return
		}
		if !gratuitous {
			if wc.NwProto = 0xff; f.NwProto != arpReply {
				return
			}
		}
		if wc.ARPSha = onesMAC; f.ARPSha != (flow.MAC{}) {
			ctx.learnNeighbor(tunnelAddr(f.NwSrc, &flow.IPv6{}), f.ARPSha)
		}
	case f.DLType == flow.EthIPv6:
		if wc.NwProto = 0xff; f.NwProto != protoICMPv6 {
			return
		}
		wc.TpSrc, wc.TpDst = ones16, ones16
		if f.TpSrc != neighborAdvert || f.TpDst != 0 {
			return
		}
		if wc.IPv6Dst = onesIPv6; !ctx.isLocalND(&f.IPv6Dst) {
			return
		}
		// An advertisement without the address may come from a host that was asked
		// by unicast; there is nothing to learn from it.
		if wc.ARPTha = onesMAC; f.ARPTha == (flow.MAC{}) {
			return
		}
		wc.IPv6Src, wc.NDTarget = onesIPv6, onesIPv6
		ctx.learnNeighbor(tunnelAddr(0, &f.NDTarget), f.ARPTha)
	}
}

func (ctx *context) isLocalAddr(ip netip.Addr) bool {
	for _, a := range ctx.bridge.addrs {
		if a == ip {
			return true
		}
	}
	return false
}

// isLocalND reports that an advertisement is to an address of the bridge, or to the
// solicited-node address that belongs to one (RFC 4291, 2.7.1).
func (ctx *context) isLocalND(dst *flow.IPv6) bool {
	for _, a := range ctx.bridge.addrs {
		if a.Is6() && (a.As16() == *dst || solicitedNode(a) == *dst) {
			return true
		}
	}
	return false
}
