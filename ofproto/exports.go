package ofproto

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"

	"sluice/dpif"
	"sluice/internal/coverage"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ofproto/export"
	"sluice/ofproto/export/ipfix"
	"sluice/ofproto/export/netflow"
	"sluice/ofproto/export/sflow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
)

// This file connects a Switch to its exporters of traffic (ofproto/export): samples
// come from translation's actions by a queue, counters from devices, statistics of
// flows by effects.

var (
	logSFlow = vlog.New("sflow")
	logIPFIX = vlog.New("ipfix")
	rlExport = vlog.NewLimiter(1, 5)

	cSampleOverflow = coverage.New("export_sample_overflow")
)

// ExportEnv is what exporters need of the process.
type ExportEnv struct {
	// Wall returns ms since the epoch.
	Wall func() int64
	// DeviceAddr returns the address of a network device of the host, and SourceOf
	// the host's own address on the way to another host.
	DeviceAddr func(name string) (netip.Addr, bool)
	SourceOf   func(to netip.Addr) (netip.Addr, bool)
	// Totals returns the counters of the process and all of its datapaths.
	Totals func() sflow.Totals
	// NextExporter numbers the exporting processes of IPFIX.
	NextExporter func() uint32
}

// exports are the exporters of a Switch.
type exports struct {
	env     *ExportEnv
	netflow *netflowExport
	sflow   *sflowExport
	ipfix   *ipfixExport            // of the bridge
	flows   map[uint32]*ipfixExport // of sample actions, by collector set
	ports   map[dpif.PortNo]*exportPort
	samples inbox[*export.Sample]
}

type netflowExport struct {
	cfg NetFlowConfig
	to  *export.Collectors
	*netflow.Exporter
}

type sflowExport struct {
	cfg SFlowConfig
	to  *export.Collectors
	*sflow.Agent
}

type ipfixExport struct {
	cfg IPFIXConfig
	to  *export.Collectors
	*ipfix.Exporter
}

// exportPort is what exporters know of a datapath port.
type exportPort struct {
	port   *Port
	ifc    ipfix.Interface
	tunnel ipfix.TunnelKind
	seq    uint64 // of the device's changes that ifc knows
}

// maxSamples is how many samples wait for the loop at most; when it cannot keep up,
// sFlow's datagrams say how many were lost.
const maxSamples = 4096

// queueSample keeps a sample for the loop.  Any thread may call it.
func (sw *Switch) queueSample(s *export.Sample) { sw.exports.samples.put(s) }

// configureExports makes the exporters what cfg says, and reports whether others are at
// work than before: one that had no address or no collectors may have them now.
func (sw *Switch) configureExports(now int64) (changed bool) {
	x := &sw.exports
	oldSFlow, oldIPFIX, oldFlows := x.sflow, x.ipfix, maps.Clone(x.flows)
	x.env = &sw.env.Export
	x.configureNetFlow(sw.cfg.NetFlow, now)
	x.configureSFlow(sw, sw.cfg.SFlow, now)
	x.ipfix = x.configureIPFIX(x.ipfix, sw.cfg.IPFIX)
	for id, e := range x.flows {
		if !slices.ContainsFunc(sw.cfg.FlowIPFIX, func(c IPFIXConfig) bool { return c.CollectorSetID == id }) {
			x.configureIPFIX(e, nil)
			delete(x.flows, id)
		}
	}
	for i := range sw.cfg.FlowIPFIX {
		c := &sw.cfg.FlowIPFIX[i]
		if e := x.configureIPFIX(x.flows[c.CollectorSetID], c); e != nil {
			if x.flows == nil {
				x.flows = map[uint32]*ipfixExport{}
			}
			x.flows[c.CollectorSetID] = e
		} else {
			delete(x.flows, c.CollectorSetID)
		}
	}
	return x.sflow != oldSFlow || x.ipfix != oldIPFIX || !maps.Equal(x.flows, oldFlows)
}

func (x *exports) configureNetFlow(c *NetFlowConfig, now int64) {
	e := x.netflow
	if c == nil {
		if e != nil {
			e.to.Close()
		}
		x.netflow = nil
		return
	}
	if e == nil {
		e = &netflowExport{Exporter: netflow.New(now)}
		x.netflow = e
	}
	if !e.to.Complete() || !slices.Equal(c.Targets, e.cfg.Targets) {
		e.to.Close()
		e.to = export.OpenCollectors(c.Targets, -1)
	}
	e.cfg = *c
	e.SetOptions(netflow.Options{EngineType: c.EngineType, EngineID: c.EngineID, AddIDToInterface: c.AddIDToInterface,
		ActiveTimeoutMs: int64(c.ActiveTimeoutSec) * 1000}, now)
}

func (x *exports) configureSFlow(sw *Switch, c *SFlowConfig, now int64) {
	e := x.sflow
	if e != nil && c != nil && reflect.DeepEqual(*c, e.cfg) {
		if !e.to.Complete() {
			e.to.Close()
			e.to = export.OpenCollectors(c.Targets, sflow.DefaultPort)
		}
		return
	}
	if e != nil {
		e.to.Close()
	}
	x.sflow = nil
	if c == nil || len(c.Targets) == 0 || c.Sampling == 0 {
		return
	}
	to := export.OpenCollectors(c.Targets, sflow.DefaultPort)
	if to == nil {
		logSFlow.WarnRL(rlExport, "no collectors could be initialized, sFlow disabled")
		return
	}
	addr, ok := x.agentAddr(c)
	if !ok {
		logSFlow.Err("could not determine IP address for sFlow agent")
		to.Close()
		return
	}
	logSFlow.Info("creating sFlow agent %d", c.SubID)
	e = &sflowExport{cfg: *c, to: to}
	e.Agent = sflow.New(sflow.Config{Agent: addr, SubID: c.SubID, Sampling: c.Sampling, Polling: c.Polling, Header: c.HeaderLn,
		Rand: rand.Uint32N}, sflowSource{sw}, func(b []byte) { e.to.Send(b) }, now)
	x.sflow = e
}

// agentAddr chooses the address by which collectors know this host: that of the
// device that is named, or the name itself, or that from which datagrams to a
// collector leave, or that by which controllers are talked to.
func (x *exports) agentAddr(c *SFlowConfig) (netip.Addr, bool) {
	if c.Agent != "" {
		if a, ok := x.env.DeviceAddr(c.Agent); ok {
			return a.Unmap(), true
		}
		if a, err := netip.ParseAddr(c.Agent); err == nil {
			return a.Unmap(), true
		}
	}
	for _, t := range c.Targets {
		if ap, ok := export.ParseTarget(t, sflow.DefaultPort); ok {
			if a, ok := x.env.SourceOf(ap.Addr()); ok {
				return a.Unmap(), true
			}
		}
	}
	a, err := netip.ParseAddr(c.ControlIP)
	return a.Unmap(), err == nil
}

// configureIPFIX makes an exporter what c says, nil: end it.
func (x *exports) configureIPFIX(e *ipfixExport, c *IPFIXConfig) *ipfixExport {
	if c == nil || len(c.Targets) == 0 {
		if e != nil {
			e.Flush(x.env.Wall())
			e.to.Close()
		}
		return nil
	}
	if n := len(c.VirtualObsID); n > ipfix.MaxVirtualObsID {
		logIPFIX.WarnRL(rlExport, "Virtual obsevation ID too long (%d bytes), should not be longer than %d bytes.", n, ipfix.MaxVirtualObsID)
		return x.configureIPFIX(e, nil)
	}
	if e == nil || !e.to.Complete() || !slices.Equal(c.Targets, e.cfg.Targets) {
		to := export.OpenCollectors(c.Targets, ipfix.DefaultPort)
		switch {
		case to == nil:
			logIPFIX.WarnRL(rlExport, "no collectors could be initialized, IPFIX exporter disabled")
			return x.configureIPFIX(e, nil)
		case e == nil:
			e = &ipfixExport{}
			e.Exporter = ipfix.New(ipfix.Options{ID: x.env.NextExporter()}, e.send)
		default:
			e.to.Close()
		}
		e.to = to
	}
	e.cfg = *c
	e.SetOptions(ipfix.Options{ActiveTimeoutSec: c.CacheActiveTimeout, MaxFlows: c.CacheMaxFlows, VirtualObsID: c.VirtualObsID}, x.env.Wall())
	return e
}

// send sends a message to all collectors.
func (e *ipfixExport) send(b []byte) (sent, failed int) {
	failed = e.to.Send(b)
	return e.to.N() - failed, failed
}

// runExports hands out the samples that came and sends what is due.
func (sw *Switch) runExports(now int64) {
	x := &sw.exports
	samples, dropped := x.samples.take()
	for _, s := range samples {
		x.sample(s, dropped)
	}
	if x.netflow != nil {
		x.netflow.Run(now, x.env.Wall(), func(b []byte) { x.netflow.to.Send(b) })
	}
	if x.sflow != nil {
		x.sflow.Run(now)
	}
	for _, e := range x.allIPFIX() {
		e.Run(x.env.Wall())
	}
}

// allIPFIX returns the IPFIX exporters: the bridge's, then by collector set.
func (x *exports) allIPFIX() []*ipfixExport {
	var out []*ipfixExport
	if x.ipfix != nil {
		out = append(out, x.ipfix)
	}
	return append(out, x.flowIPFIX()...)
}

func (x *exports) flowIPFIX() []*ipfixExport {
	var out []*ipfixExport
	for _, e := range x.flows {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *ipfixExport) int { return cmp.Compare(a.cfg.CollectorSetID, b.cfg.CollectorSetID) })
	return out
}

// waitExports says when runExports has something to do.
func (sw *Switch) waitExports(s *poll.Set) {
	x := &sw.exports
	if x.netflow != nil {
		if at, ok := x.netflow.Next(); ok {
			s.Timer(at)
		}
	}
	if x.sflow != nil {
		s.Timer(x.sflow.Next())
	}
	for _, e := range x.allIPFIX() {
		if at, ok := e.Next(); ok {
			// The difference of the clocks is constant but for steps of the wall's.
			s.Timer(sw.conns.Now() + at - x.env.Wall())
		}
	}
}

// closeExports ends all exporters.
func (sw *Switch) closeExports() {
	x := &sw.exports
	if x.env == nil {
		return
	}
	if x.netflow != nil {
		x.netflow.to.Close()
	}
	if x.sflow != nil {
		x.sflow.to.Close()
	}
	for _, e := range x.allIPFIX() {
		x.configureIPFIX(e, nil)
	}
	x.netflow, x.sflow, x.ipfix, x.flows = nil, nil, nil, nil
}

// handleIPFIX answers with the statistics of the exporters.
func (sw *Switch) handleIPFIX(r *request) error {
	x := &sw.exports
	list := x.flowIPFIX()
	if r.h.Type == ofp.TypeIpfixBridgeStatsRequest {
		list = nil
		if x.ipfix != nil {
			list = append(list, x.ipfix)
		}
	}
	if len(list) == 0 {
		return oferr.NXST_NOT_CONFIGURED
	}
	b := ofp.NewReplyBuilder(r.h, r.Protocol())
	for _, e := range list {
		st := e.Stats()
		st.CollectorSetID = e.cfg.CollectorSetID
		b.Add(&st)
	}
	sendAll(r.Conn, b.Parts())
	return nil
}
