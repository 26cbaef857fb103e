package ofproto

import (
	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/export"
	"sluice/ofproto/export/ipfix"
	"sluice/ofproto/export/sflow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/proto/bfd"
)

// sample gives a sample to the exporter that it is for.
func (x *exports) sample(s *export.Sample, dropped uint32) {
	switch s.Arg.Kind {
	case odp.UserSFlow:
		if x.sflow != nil {
			x.sflow.Sample(s, dropped)
		}
	case odp.UserIPFIX:
		if e := x.ipfix; e != nil && !isBFD(&s.Key) {
			x.addIPFIX(e, s, &ipfix.Sample{Sample: s, Domain: e.cfg.ObsDomainID, Point: e.cfg.ObsPointID,
				Count: uint64(max(1, e.cfg.Sampling))})
		}
	case odp.UserFlowSample:
		if e := x.flows[s.Arg.CollectorSetID]; e != nil && s.Arg.Probability != 0 {
			x.addIPFIX(e, s, &ipfix.Sample{Sample: s, Domain: s.Arg.ObsDomainID, Point: s.Arg.ObsPointID,
				Count: uint64(0xffff / s.Arg.Probability)})
		}
	}
}

// isBFD reports that a packet is one of the switch's own conversations about tunnels
// (RFC 5881 section 8), which bridge exporters leave out.
func isBFD(f *flow.Flow) bool {
	const udp, echo = 17, 3785
	return (f.DLType == flow.EthIPv4 || f.DLType == flow.EthIPv6) && f.NwProto == udp && (f.TpDst == bfd.Port || f.TpDst == echo)
}

// Directions that a sample action may ask for (NX_ACTION_SAMPLE_*).
const (
	sampleIngress = 1
	sampleEgress  = 2
)

// addIPFIX completes a sample and gives it to e.
func (x *exports) addIPFIX(e *ipfixExport, s *export.Sample, i *ipfix.Sample) {
	out := s.Arg.OutputPort
	if out != dpif.PortNone {
		i.Direction = ipfix.Egress
	}
	switch s.Arg.Direction {
	case sampleIngress:
		i.Direction = ipfix.Ingress
	case sampleEgress:
		i.Direction = ipfix.Egress
	}
	if p := x.ports[s.Key.InPort]; p != nil {
		i.In = p.ifc
	}
	if p := x.ports[out]; p != nil {
		i.Out = p.ifc
	}
	if e.cfg.TunnelSampling && s.Key.Tunnel.IPDst != 0 {
		// Before an output to a tunnel the metadata is that of the way out.
		port := s.Key.InPort
		if s.Arg.HasTunnelOut {
			port = s.Arg.TunnelOutPort
		}
		if p := x.ports[port]; p != nil && p.tunnel != ipfix.TunnelNone && (out == dpif.PortNone || s.Arg.HasTunnelOut) {
			i.Tunnel = &ipfix.Tunnel{Kind: p.tunnel, Key: &s.Key.Tunnel}
		}
	}
	e.Add(i, x.env.Wall())
}

// sflowSource gives the counters of a switch to its sFlow agent.
type sflowSource struct{ sw *Switch }

// PortCounters implements sflow.Source.
func (s sflowSource) PortCounters(odpNo uint32) (c sflow.PortCounters, ok bool) {
	e := s.sw.exports.ports[odpNo]
	if e == nil {
		return c, false
	}
	p := e.port
	c = sflow.PortCounters{Name: p.Name, AdminUp: p.Dev.AdminUp(), LinkUp: p.Dev.Carrier(), Stats: p.Dev.Stats(),
		DatapathID: s.sw.cfg.DatapathID, OFPort: p.OFPort & 0xffff, Speed: defaultSpeed}
	if f := ofp.PortFeatures(p.Dev.Features().Current); f != 0 {
		c.Speed, c.Direction = uint64(f.Speed())*1000, 2
		if f.FullDuplex() {
			c.Direction = 1
		}
	}
	if l, ok := s.sw.LACPStats(p.OFPort); ok {
		c.LACP = &sflow.LACP{ActorSystem: l.ActorSysID, PartnerSystem: l.PartnerSysID, AggregatorID: l.AttachedAggID,
			ActorAdmin: uint8(l.ActorAdminState), ActorOper: uint8(l.ActorOperState), PartnerAdmin: uint8(l.PartnerAdminState),
			PartnerOper: uint8(l.PartnerOperState), RxPDUs: l.Counts.RxPDUs, RxBad: l.Counts.RxBadPDUs, TxPDUs: l.Counts.TxPDUs}
	}
	return c, true
}

// defaultSpeed is that of devices that do not tell, in bit/s.
const defaultSpeed = 100000000

// Totals implements sflow.Source: of the bridges of a host the first reports them.
func (s sflowSource) Totals(subID uint32) (t sflow.Totals, ok bool) {
	if subID != 0 {
		return t, false
	}
	return s.sw.env.Export.Totals(), true
}
