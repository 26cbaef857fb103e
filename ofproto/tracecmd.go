package ofproto

import (
	"errors"
	"fmt"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/table"
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

// TracePacketOut is ofproto/trace-packet-out over all datapaths: the last argument
// is the list of actions.
func TracePacketOut(backers []*Backer, args []string, now int64) (string, error) {
	if len(args) < 2 {
		return "", errors.New("Syntax error")
	}
	acts, usable, err := action.ParseActions(args[len(args)-1], nil, nil)
	if err != nil {
		return "", err
	}
	consistent := false
	dp, p, err := trace.Parse(traceable(backers), args[:len(args)-1], &consistent, now)
	if err != nil {
		return "", err
	}
	if in := p.Flow.InPort; in >= maxPorts && in < flow.OFPMax {
		return "", errors.New("invalid in_port")
	}
	if !consistent {
		usable = 0
	}
	set := p.Bridge.Tables
	m := match.Match{Flow: p.Flow, Mask: xlate.MaskForPacket(&p.Flow)}
	err = acts.CheckConsistent(usable, action.CheckParams{Match: &m, MaxPort: maxPorts, NTables: table.NTables})
	if err == nil {
		set.Mu.Lock()
		err = set.CheckActions(acts)
		set.Mu.Unlock()
	}
	if err != nil {
		return "", fmt.Errorf("Bad actions: %w", err)
	}
	p.Actions, p.HasActions = acts, true
	return trace.Trace(dp, p), nil
}
