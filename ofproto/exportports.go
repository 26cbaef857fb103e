package ofproto

import (
	"strconv"

	"sluice/dpif"
	"sluice/ofproto/export/ipfix"
	"sluice/ofproto/export/sflow"
	"sluice/ofproto/xlate"
)

// followPorts tells the exporters which ports there are.
func (x *exports) followPorts(ports []*Port) {
	if x.sflow == nil && x.ipfix == nil && len(x.flows) == 0 {
		x.ports = nil
		return
	}
	old := x.ports
	x.ports = make(map[dpif.PortNo]*exportPort, len(ports))
	var list []sflow.Port
	for _, p := range ports {
		if p.DPPort == dpif.PortNone {
			continue
		}
		e := old[p.DPPort]
		if e == nil || e.port != p || e.seq != p.Dev.ChangeSeq() {
			// The status may need the kernel, and there may be many ports.
			e = &exportPort{port: p, tunnel: ipfix.TunnelKindOf(p.Type), seq: p.Dev.ChangeSeq()}
			status := p.Dev.Status()
			ifType, _ := strconv.ParseUint(status["if_type"], 10, 32) // 0: the device does not tell
			e.ifc = ipfix.Interface{Type: uint32(ifType), Name: p.Name, Descr: status["if_descr"]}
		}
		e.ifc.Index = uint32(max(p.Dev.Ifindex(), 0))
		x.ports[p.DPPort] = e
		if proto := sflow.TunnelProto(p.Type); e.ifc.Index != 0 || proto != 0 {
			list = append(list, sflow.Port{ODP: p.DPPort, Ifindex: e.ifc.Index, TunnelProto: proto})
		}
	}
	if x.sflow != nil {
		x.sflow.SetPorts(list)
	}
}

// describe tells translation what to sample and count.
func (x *exports) describe(br *xlate.Bridge) {
	if x.netflow != nil {
		br.NetFlow = x.netflow.Exporter
	}
	if x.sflow != nil {
		br.SFlow = &xlate.SFlowSampling{Probability: sflow.Probability(x.sflow.cfg.Sampling), Ifindex: map[dpif.PortNo]uint32{}}
		for no, p := range x.ports {
			br.SFlow.Ifindex[no] = p.ifc.Index
		}
	}
	if x.ipfix == nil && len(x.flows) == 0 {
		return
	}
	d := &xlate.IPFIXSampling{FlowTunnel: map[uint32]bool{}, Tunnels: map[dpif.PortNo]bool{}}
	if x.ipfix != nil {
		c := &x.ipfix.cfg
		d.Probability, d.Input, d.Output, d.Tunnel = sflow.Probability(c.Sampling), c.InputSampling, c.OutputSampling, c.TunnelSampling
	}
	for id, e := range x.flows {
		d.FlowTunnel[id] = e.cfg.TunnelSampling
	}
	for no, p := range x.ports {
		d.Tunnels[no] = p.tunnel != ipfix.TunnelNone
	}
	br.IPFIX = d
}
