package ofproto

import (
	"sluice/ofproto/trace"
)

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
