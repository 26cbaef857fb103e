package ofproto

import (
	"cmp"
	"slices"

	"sluice/dpif/flow"
	"sluice/internal/coverage"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp"
	"sluice/ofproto/proto/bpdu"
	"sluice/ofproto/xlate"
)

var rlBPDU = vlog.NewLimiter(1, 5)

// treeMachine is a port of a spanning tree protocol, whose states are S and roles R.
type treeMachine[S treeState, R comparable] interface {
	comparable
	State() S
	Role() R
}

// treeState is a state of a port.
type treeState interface {
	comparable
	String() string
	Learns() bool
}

// treePort is a port that takes part.
type treePort[M treeMachine[S, R], S treeState, R comparable] struct {
	port    *Port
	m       M
	state   S // that the switch has followed
	role    R
	entered int64 // ms, when
}

// treePorts are the ports of a Switch that take part in a spanning tree protocol.
type treePorts[M treeMachine[S, R], S treeState, R comparable] struct {
	sw    *Switch
	name  string // of the protocol
	shown map[S]treeShown
	cRev  *coverage.Counter
	ports []*treePort[M, S, R] // by OpenFlow number
}

// treeShown is a state for those who look at ports.
type treeShown struct {
	of    ofp.PortState
	xlate xlate.STPState
}

// find returns p, or nil if it takes no part.
func (ts *treePorts[M, S, R]) find(p *Port) *treePort[M, S, R] {
	for _, tp := range ts.ports {
		if tp.port == p {
			return tp
		}
	}
	return nil
}

// of returns the port with a machine, or nil.
func (ts *treePorts[M, S, R]) of(m M) *treePort[M, S, R] {
	for _, tp := range ts.ports {
		if tp.m == m {
			return tp
		}
	}
	return nil
}

func (ts *treePorts[M, S, R]) add(p *Port, m M, now int64) *treePort[M, S, R] {
	tp := &treePort[M, S, R]{port: p, m: m, entered: now}
	ts.ports = append(ts.ports, tp)
	slices.SortFunc(ts.ports, func(x, y *treePort[M, S, R]) int { return cmp.Compare(x.port.OFPort, y.port.OFPort) })
	return tp
}

func (ts *treePorts[M, S, R]) remove(tp *treePort[M, S, R]) {
	ts.ports = slices.DeleteFunc(ts.ports, func(x *treePort[M, S, R]) bool { return x == tp })
}

// follow takes over the states of all ports and reports whether one changed.  forget
// is called for each port that begins or ends to learn.
func (ts *treePorts[M, S, R]) follow(now int64, forget func(*Port)) (changed bool) {
	for _, tp := range ts.ports {
		changed = ts.followPort(tp, now, forget) || changed
	}
	if changed {
		ts.cRev.Inc()
	}
	return changed
}

func (ts *treePorts[M, S, R]) followPort(tp *treePort[M, S, R], now int64, forget func(*Port)) bool {
	state := tp.m.State()
	if role := tp.m.Role(); role != tp.role {
		tp.role = role
		ts.sw.protocols.seq++
	}
	if state == tp.state {
		return false
	}
	dpifLog.Dbg("port %s: %s state changed from %s to %s", tp.port.Name, ts.name, tp.state, state)
	if state.Learns() != tp.state.Learns() {
		forget(tp.port)
	}
	tp.state, tp.entered = state, now
	ts.sw.protocols.seq++
	ts.sw.SetPortState(tp.port.OFPort, ts.shown[state].of, ofp.PortSTPMask)
	return true
}

func (ts *treePorts[M, S, R]) mayEnable(*Port) bool { return true }

// hears tells translation that p hears BPDUs, and returns its state.
func (ts *treePorts[M, S, R]) hears(p *Port, x *xlate.Port) xlate.STPState {
	// Ports that take no part swallow BPDUs.
	x.Hears |= xlate.SlowSTP
	if tp := ts.find(p); tp != nil {
		return ts.shown[tp.state].xlate
	}
	return xlate.STPNone
}

// send sends a BPDU out of p.
func (ts *treePorts[M, S, R]) send(p *Port, m *bpdu.BPDU, now int64) {
	src := p.Dev.EtherAddr()
	if src == (flow.MAC{}) {
		dpifLog.WarnRL(rlBPDU, "%s port %d: cannot send %s BPDU on a port which does not have a configured source MAC address.",
			ts.sw.name, p.OFPort, ts.name)
		return
	}
	if err := ts.sw.sendFrame(p, m.Frame(src), now); err != nil {
		dpifLog.WarnRL(rlBPDU, "%s: sending a BPDU on port %s fails: %v", ts.sw.name, p.Name, err)
	}
}

// SpanningTreeSeq changes when what the database shows of STP and RSTP may have.
func (sw *Switch) SpanningTreeSeq() uint64 { return sw.protocols.seq }
