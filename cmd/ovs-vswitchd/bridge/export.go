package bridge

import (
	"golang.org/x/sys/unix"

	"sluice/dpif/flow"
	"sluice/ofproto"
	"sluice/ofproto/export/netflow"
	"sluice/ofproto/export/sflow"
	"sluice/ovsdb/client"
	"sluice/schema/vswitch"
)

// exportEnv is what the switches get.
func (b *Bridges) exportEnv() ofproto.ExportEnv {
	e := b.env.Export
	e.Totals = b.totals
	e.NextExporter = func() uint32 {
		b.exporters++
		return b.exporters
	}
	return e
}

// totals is what sFlow tells of the whole switch.
func (b *Bridges) totals() (t sflow.Totals) {
	for _, ref := range b.sortedBackers() {
		s := ref.dp.Stats()
		t.Datapath.Hit += s.Hit
		t.Datapath.Missed += s.Missed
		t.Datapath.Lost += s.Lost
		t.Datapath.MaskHit += s.MaskHit
		t.Datapath.Flows += s.Flows
		t.Datapath.Masks += s.Masks
	}
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
		t.UserMs, t.SysMs = uint32(u.Utime.Nano()/1000000), uint32(u.Stime.Nano()/1000000)
		t.MemoryUsed = uint64(u.Maxrss) * 1024
	}
	return t
}

// exports reads the rows of the exporters of a bridge.
func (b *Bridges) exports(br *bridge, cfg *ofproto.SwitchConfig) {
	cfg.NetFlow = b.netflow(br)
	cfg.SFlow = b.sflow(br)
	if row := row(br.row.Ipfix, b.env.DB.IPFIX); row != nil {
		cfg.IPFIX = ipfixConfig(row)
	}
	for _, set := range b.env.DB.FlowSampleCollectorSetRows() {
		row := row(set.Ipfix, b.env.DB.IPFIX)
		if set.Bridge != br.row.UUID || row == nil || len(row.Targets) == 0 {
			continue
		}
		c := ipfixConfig(row)
		c.CollectorSetID = uint32(set.ID)
		cfg.FlowIPFIX = append(cfg.FlowIPFIX, *c)
	}
}

// row is the row that an optional reference names, nil: there is none.
func row[T any](ref *client.UUID, get func(client.UUID) *T) *T {
	if ref == nil {
		return nil
	}
	return get(*ref)
}

func (b *Bridges) netflow(br *bridge) *ofproto.NetFlowConfig {
	r := row(br.row.Netflow, b.env.DB.NetFlow)
	if r == nil {
		return nil
	}
	// The name of the datapath makes engine ids that differ, where none are given.
	id := uint16(flow.HashBytes([]byte("ovs-"+br.ref.typ), 0))
	c := &ofproto.NetFlowConfig{Targets: r.Targets, EngineType: uint8(id >> 8), EngineID: uint8(id),
		ActiveTimeoutSec: int(r.ActiveTimeout), AddIDToInterface: r.AddIDToInterface}
	if r.EngineType != nil {
		c.EngineType = uint8(*r.EngineType)
	}
	if r.EngineID != nil {
		c.EngineID = uint8(*r.EngineID)
	}
	if c.ActiveTimeoutSec < 0 {
		log.Warn("bridge %s: active timeout interval set to negative value, using default instead (%d seconds)",
			br.name, netflow.DefaultActiveTimeout)
	}
	if c.ActiveTimeoutSec <= 0 {
		c.ActiveTimeoutSec = netflow.DefaultActiveTimeout
	}
	if c.AddIDToInterface {
		if c.EngineID > 0x7f {
			log.Warn("bridge %s: NetFlow port mangling may conflict with another vswitch, choose an engine id less than 128", br.name)
		}
		if len(br.ports) > 508 {
			log.Warn("bridge %s: NetFlow port mangling will conflict with another port when more than 508 ports are used", br.name)
		}
	}
	return c
}

func (b *Bridges) sflow(br *bridge) *ofproto.SFlowConfig {
	r := row(br.row.Sflow, b.env.DB.SFlow)
	if r == nil {
		return nil
	}
	c := &ofproto.SFlowConfig{Targets: r.Targets, Sampling: optNumber(r.Sampling, sflow.DefaultSampling), Polling: optNumber(r.Polling, sflow.DefaultPolling),
		HeaderLn: optNumber(r.Header, sflow.DefaultHeader), SubID: b.sflowID(br), Agent: val(r.Agent)}
	for _, ctl := range refs(br.row.Controller, b.env.DB.Controller) {
		if ip := val(ctl.LocalIp); ip != "" {
			c.ControlIP = ip
			break
		}
	}
	return c
}

// sflowID numbers the bridges that have an sFlow agent, by name.
func (b *Bridges) sflowID(br *bridge) (id uint32) {
	for _, o := range b.sorted() {
		if o.name < br.name && row(o.row.Sflow, b.env.DB.SFlow) != nil {
			id++
		}
	}
	return id
}

func ipfixConfig(r *vswitch.IPFIX) *ofproto.IPFIXConfig {
	oc := r.OtherConfig
	return &ofproto.IPFIXConfig{
		Targets: r.Targets, CacheActiveTimeout: optNumber(r.CacheActiveTimeout, 0), CacheMaxFlows: optNumber(r.CacheMaxFlows, 0),
		VirtualObsID: oc["virtual_obs_id"], TunnelSampling: mapBool(oc, "enable-tunnel-sampling", true),
		Sampling: optNumber(r.Sampling, sflow.DefaultSampling), ObsDomainID: optNumber(r.ObsDomainID, 0), ObsPointID: optNumber(r.ObsPointID, 0),
		// "true" turns sampling off.  The manual says that "false" does, but stock's
		// switch goes on sampling with that.
		InputSampling: !mapBool(oc, "enable-input-sampling", false), OutputSampling: !mapBool(oc, "enable-output-sampling", false),
	}
}

// optNumber is an optional column that holds a number of 32 bits.
func optNumber(p *int64, def uint32) uint32 {
	if p == nil {
		return def
	}
	return uint32(*p)
}
