package ofproto

import (
	"sluice/dpif/flow"
	"sluice/internal/vlog"
	"sluice/ofproto/trace"
	"sluice/ofproto/xlate"
)

var (
	upcallLog = vlog.New("ofproto_dpif_upcall")
	rlTrace   = vlog.NewLimiter(1, 1)
)

// traceText is the trace of a packet, made only if it is really logged.
type traceText struct {
	dp *trace.Datapath
	p  *trace.Packet
}

// String implements fmt.Stringer.
func (t traceText) String() string { return trace.Trace(t.dp, t.p) }

// logTrace logs the trace of a packet whose translation took too many steps; any
// thread.
func (b *Backer) logTrace(br *xlate.Bridge, f *flow.Flow, pkt []byte) {
	dp := &trace.Datapath{Dpif: b.dp, Snap: b.udpif.Snapshot(), Recircs: b.recircs}
	upcallLog.WarnRL(rlTrace, "%s", traceText{dp, &trace.Packet{Bridge: br, Flow: *f}})
}

// Trace is ofproto/trace over all datapaths.
func Trace(backers []*Backer, args []string, now int64) (string, error) {
	dp, p, err := trace.Parse(traceable(backers), args, nil, now)
	if err != nil {
		return "", err
	}
	return trace.Trace(dp, p), nil
}

// traceable describes the datapaths to the trace package, by type.
func traceable(backers []*Backer) map[string]*trace.Datapath {
	dps := make(map[string]*trace.Datapath, len(backers))
	for _, b := range backers {
		dps[b.dp.Type()] = &trace.Datapath{Dpif: b.dp, Snap: b.udpif.Snapshot(), Recircs: b.recircs, Names: b.PortNames()}
	}
	return dps
}
