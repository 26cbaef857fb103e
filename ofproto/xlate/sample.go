package xlate

import (
	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/export/netflow"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/tunnel"
)

// This file composes the actions that send samples of packets up, for sFlow and
// IPFIX, and says what flows NetFlow is to count.

// SFlowSampling is what translation needs to know of a bridge's sFlow agent.
type SFlowSampling struct {
	Probability uint32 // of 2^32-1
	// Ifindex is the interface index of a datapath port, where it has one.
	Ifindex map[dpif.PortNo]uint32
}

// IPFIXSampling is what translation needs to know of a bridge's IPFIX exporters.
type IPFIXSampling struct {
	// Probability is the share of packets that the bridge exporter samples, of
	// 2^32-1; 0: there is none.  Input and Output say where it samples, Tunnel
	// that tunnels are reported.
	Probability           uint32
	Input, Output, Tunnel bool
	// FlowTunnel has the collector sets whose exporter reports tunnels.
	FlowTunnel map[uint32]bool
	// Tunnels are the datapath ports of tunnels.
	Tunnels map[dpif.PortNo]bool
}

// NetFlowUse is one flow at an exporter.
type NetFlowUse struct {
	Exporter *netflow.Exporter
	Key      netflow.Key
	Out      uint16 // OpenFlow port, or one of netflow's Out*
}

// credit reports packets to the exporter.
func (u *NetFlowUse) credit(s *Stats) {
	u.Exporter.Update(&u.Key, u.Out, &netflow.Usage{Packets: s.Packets, Bytes: s.Bytes, Used: s.Used, TCPFlags: s.TCPFlags}, s.Now)
}

// ClearNetFlow tells NetFlow that the flow that effects belong to goes away.
func ClearNetFlow(effects []Effect) {
	for i := range effects {
		if u := effects[i].NetFlow; u != nil {
			u.Exporter.Clear(&u.Key)
		}
	}
}

// sampling is the part of a translation's state that exporters care about.
type sampling struct {
	sflow   *odp.UserspaceArg // the action at the start of the list; nil: none
	outputs uint32            // how many ports the packet left by
	outPort dpif.PortNo       // the last of them
	nfOut   uint16            // where NetFlow says that the packet went
}

// sample appends an action that sends the packet up with probability prob.  The
// slow path's meter, if there is one, limits it.
func (ctx *context) sample(prob uint32, arg *odp.UserspaceArg) {
	if prob == 0 {
		return
	}
	arg.HasUserdata, arg.Bridge = true, ctx.bridge.ID
	a := odp.Action{Type: odp.Userspace, Ext: &odp.Ext{User: arg}}
	if meter := ctx.bridge.SlowpathMeter; meter != NoMeter {
		a = odp.Action{Type: odp.Sample, Arg: prob, Nested: []odp.Action{{Type: odp.Meter, Port: meter}, a}}
	} else if prob != ones32 {
		a = odp.Action{Type: odp.Sample, Arg: prob, Nested: []odp.Action{a}}
	}
	ctx.actions = append(ctx.actions, a)
}

// sampleInput samples the packet as it came in.  What sFlow wants to know of its
// way out comes into the action at the end.
func (ctx *context) sampleInput() {
	if ctx.in.Flow.InPort == flow.OFPNone {
		return
	}
	if s := ctx.bridge.SFlow; s != nil && s.Probability != 0 {
		ctx.sampling.sflow = &odp.UserspaceArg{Kind: odp.UserSFlow, Actions: true}
		ctx.sample(s.Probability, ctx.sampling.sflow)
	}
	if x := ctx.bridge.IPFIX; x != nil && x.Input {
		ctx.sample(x.Probability, &odp.UserspaceArg{Kind: odp.UserIPFIX, OutputPort: dpif.PortNone})
	}
}

// sampleOutput samples the packet as it leaves by a datapath port.
func (ctx *context) sampleOutput(port dpif.PortNo) {
	x := ctx.bridge.IPFIX
	if x == nil || !x.Output {
		return
	}
	arg := &odp.UserspaceArg{Kind: odp.UserIPFIX, OutputPort: port}
	if x.Tunnel && x.Tunnels[port] {
		arg.HasTunnelOut, arg.TunnelOutPort = true, port
	}
	ctx.sample(x.Probability, arg)
}

// sampleAction executes a sample action: the packet goes to the exporter of a set of
// collectors, as input unless it names a port that it is about to leave by.
func (ctx *context) sampleAction(a *action.Sample) {
	x := ctx.bridge.IPFIX
	if x == nil {
		return
	}
	arg := &odp.UserspaceArg{
		Kind: odp.UserFlowSample, OutputPort: dpif.PortNone, Probability: a.Probability, CollectorSetID: a.CollectorSet,
		ObsDomainID: a.ObsDomain, ObsPointID: a.ObsPoint, Direction: a.Direction,
	}
	var egress *Port // the tunnel that the packet is about to leave by
	if a.Port != flow.OFPNone && a.Port != ctx.flow.InPort {
		p := ctx.bridge.Port(a.Port)
		if p == nil || p.ODP == dpif.PortNone {
			ctx.errorf("can't use unknown port %d in flow sample action", a.Port)
			return
		}
		arg.OutputPort = p.ODP
		if x.FlowTunnel[a.CollectorSet] && x.Tunnels[p.ODP] {
			arg.HasTunnelOut, arg.TunnelOutPort = true, p.ODP
			egress = p
		}
	}
	ctx.commit()
	if egress != nil {
		ctx.sampledTunnel(egress)
	}
	ctx.sample(uint32(a.Probability)<<16|uint32(a.Probability), arg)
}

// sampledTunnel has the datapath know the tunnel that a sample tells of, if it is not
// told anyway with the packet's headers.
func (ctx *context) sampledTunnel(p *Port) {
	if p.Tunnel == nil {
		ctx.errorf("sampling_port:%d should be a tunnel port.", p.OFPort)
		return
	}
	own := ctx.flow.Tunnel
	tunnel.Encapsulate(p.Tunnel, &ctx.flow, ctx.wc)
	if !ctx.bridge.Support.TunnelPushPop {
		ctx.commitTunnel(p.Tunnel.Type)
	}
	ctx.flow.Tunnel = own
}

// left notes that the packet left by p.
func (ctx *context) left(p *Port) {
	ctx.sampling.outputs++
	ctx.sampling.outPort = p.ODP
	ctx.sampling.nfOut = uint16(p.OFPort)
}

// flooded notes that the packet went to all ports.
func (ctx *context) flooded() { ctx.sampling.nfOut = netflow.OutFlood }

// mergeOut combines where the packet went before an output action with where it went
// by that.
func (ctx *context) mergeOut(before uint16) {
	now := &ctx.sampling.nfOut
	switch {
	case before == netflow.OutFlood:
		*now = netflow.OutFlood
	case *now == netflow.OutDrop:
		*now = before
	case before != netflow.OutDrop && *now != netflow.OutFlood:
		*now = netflow.OutMulti
	}
}

// maskNetFlow adds the fields that tell NetFlow's flows apart.
func (ctx *context) maskNetFlow() {
	if ctx.bridge.NetFlow == nil || ctx.flow.DLType != flow.EthIPv4 {
		return
	}
	wc := ctx.wc
	wc.NwProto, wc.NwSrc, wc.NwDst, wc.TpSrc, wc.TpDst = 0xff, ones32, ones32, ones16, ones16
	wc.NwTOS |= dscpMask
}

// finishSampling completes what depends on where the packet went.
func (ctx *context) finishSampling() {
	s := &ctx.sampling
	br := ctx.in.Bridge
	if arg := s.sflow; arg != nil {
		arg.VLANTCI = ctx.base.VLANs[0].TCI
		arg.Output = sflowOutput(br.SFlow, s)
	}
	if br.NetFlow == nil || ctx.frozenIn != nil {
		return
	}
	if key, ok := netflow.KeyOf(&ctx.in.Flow); ok {
		ctx.effect(Effect{Kind: EffectNetFlow, NetFlow: &NetFlowUse{Exporter: br.NetFlow, Key: key, Out: s.nfOut}})
	}
}

// sflowOutput is where the packet went in the form of sFlow ("Input/Output port
// information" of sflow_version_5.txt): one interface, a number of them, or dropped
// for a reason that is not known.
func sflowOutput(c *SFlowSampling, s *sampling) uint32 {
	const dropped, multiple = 1 << 30, 1 << 31
	switch s.outputs {
	case 0:
		return dropped | 256
	case 1:
		if i := c.Ifindex[s.outPort]; i != 0 {
			return i
		}
	}
	return multiple | s.outputs
}
