package ofproto

import (
	"cmp"
	"slices"

	"sluice/internal/coverage"
	"sluice/internal/poll"
	"sluice/ofproto/ofp"
	"sluice/ofproto/proto/bpdu"
	"sluice/ofproto/proto/rstp"
	"sluice/ofproto/xlate"
)

var cRevRSTP = coverage.New("rev_rstp")

// rstpProto is RSTP on a switch.
type rstpProto struct {
	sw     *Switch
	m      *rstp.Bridge // nil: off
	ports  []*rstpPort  // by OpenFlow number
	status rstp.Status  // that was told with seq
	dirty  bool         // run has something to do
}

// rstpPort is a port that takes part.
type rstpPort struct {
	port  *Port
	m     *rstp.Port
	state rstp.State // that the switch has followed
	role  rstp.Role
}

func newRSTP(sw *Switch) *rstpProto { return &rstpProto{sw: sw} }

func (r *rstpProto) find(p *Port) *rstpPort {
	for _, rp := range r.ports {
		if rp.port == p {
			return rp
		}
	}
	return nil
}

func (r *rstpProto) configure(now int64) bool {
	cfg := r.sw.cfg.RSTP
	if cfg == nil {
		for len(r.ports) > 0 {
			r.drop(r.ports[0])
		}
		if r.m != nil {
			r.m = nil
			r.sw.protocols.seq++
		}
		return false
	}
	if r.m == nil {
		r.m = rstp.New(r.sw.name, cfg.Config, now)
	}
	r.m.Configure(cfg.Config)
	for _, p := range slices.Clone(r.ports) {
		if _, ok := cfg.Ports[p.port.OFPort]; !ok {
			r.drop(p)
		}
	}
	for _, p := range r.sw.ports.sorted {
		if c, ok := cfg.Ports[p.OFPort]; ok {
			r.configurePort(p, c)
		}
	}
	r.follow(nil)
	r.dirty = true
	r.sw.protocols.seq++
	return true
}

func (r *rstpProto) configurePort(p *Port, c rstp.PortConfig) {
	rp := r.find(p)
	if rp == nil {
		m := r.m.AddPort(p.Name)
		if m == nil {
			return // the configuration has no more ports than there can be
		}
		rp = &rstpPort{port: p, m: m}
		r.ports = append(r.ports, rp)
		slices.SortFunc(r.ports, func(x, y *rstpPort) int { return cmp.Compare(x.port.OFPort, y.port.OFPort) })
		r.followPort(rp, nil) // Discarding comes first, also where the link is up
	}
	rp.m.Configure(c)
	rp.m.SetUp(p.linkUp())
}

// linkUp reports that p can carry packets, as far as its link and the protocols
// that watch it are concerned.
func (p *Port) linkUp() bool { return p.MayEnable && p.Dev.Carrier() }

// drop has a port take part no longer.
func (r *rstpProto) drop(rp *rstpPort) {
	rp.m.Remove()
	r.followPort(rp, nil)
	r.remove(rp)
}

func (r *rstpProto) remove(rp *rstpPort) {
	r.ports = slices.DeleteFunc(r.ports, func(x *rstpPort) bool { return x == rp })
}

func (r *rstpProto) portGone(p *Port) {
	if rp := r.find(p); rp != nil {
		rp.m.Remove()
		r.remove(rp)
		r.dirty = true
	}
}

func (r *rstpProto) receive(p *Port, frame []byte, _ int64) {
	if rp := r.find(p); rp != nil {
		if b, ok := bpdu.Payload(frame); ok {
			rp.m.Receive(b)
		}
	}
}

func (r *rstpProto) run(now int64) (changed bool) {
	r.dirty = false
	r.m.Run(now)
	for _, rp := range r.ports {
		rp.m.SetUp(rp.port.linkUp())
	}
	from, to := r.rootMove()
	changed = r.follow(from)
	for _, rp := range r.ports {
		if rp.m.TakeFlush() && rp.port != from {
			r.sw.dp.ForgetPort(r.sw, rp.port)
		}
	}
	if from != nil {
		r.sw.dp.MoveAddresses(r.sw, from, to)
	}
	if st := r.m.Status(); st != r.status {
		r.status = st
		r.sw.protocols.seq++
	}
	for _, f := range r.m.TakeFrames() {
		if rp := r.of(f.Port); rp != nil {
			r.sw.sendBPDU(rp.port, &f.BPDU, "RSTP", now)
		}
	}
	return changed
}

func (r *rstpProto) of(m *rstp.Port) *rstpPort {
	for _, rp := range r.ports {
		if rp.m == m {
			return rp
		}
	}
	return nil
}

// rootMove returns the old and the new root port if an alternate port became the root
// port at once; what was behind the one is behind the other.
func (r *rstpProto) rootMove() (from, to *Port) {
	x, y, ok := r.m.TakeRootMove()
	if !ok {
		return nil, nil
	}
	if x, y := r.of(x), r.of(y); x != nil && y != nil {
		return x.port, y.port
	}
	return nil, nil
}

// follow takes over the states of all ports and reports whether one changed.  The
// addresses behind port keep are kept.
func (r *rstpProto) follow(keep *Port) (changed bool) {
	for _, rp := range r.ports {
		changed = r.followPort(rp, keep) || changed
	}
	if changed {
		cRevRSTP.Inc()
	}
	return changed
}

func (r *rstpProto) followPort(rp *rstpPort, keep *Port) bool {
	state := rp.m.State()
	if role := rp.m.Role(); role != rp.role {
		rp.role = role
		r.sw.protocols.seq++
	}
	if state == rp.state {
		return false
	}
	dpifLog.Dbg("port %s: RSTP state changed from %s to %s", rp.port.Name, rp.state, state)
	if state.Learns() != rp.state.Learns() && rp.port != keep {
		r.sw.dp.ForgetPort(r.sw, rp.port)
	}
	rp.state = state
	r.sw.protocols.seq++
	bits := map[rstp.State]ofp.PortState{rstp.Discarding: ofp.PortSTPListen, rstp.Learning: ofp.PortSTPLearn, rstp.Forwarding: ofp.PortSTPForward}
	r.sw.SetPortState(rp.port.OFPort, bits[state], ofp.PortSTPMask)
	return true
}

func (r *rstpProto) wait(set *poll.Set) {
	if r.dirty {
		set.Immediate()
	}
	set.Timer(r.m.Next())
	for _, rp := range r.ports {
		if rp.port.linkUp() != rp.m.Up() {
			set.Immediate()
		}
	}
}

func (r *rstpProto) mayEnable(*Port) bool { return true }

func (r *rstpProto) describe(p *Port, x *xlate.Port) {
	// Ports that take no part swallow BPDUs.
	x.Hears |= xlate.SlowSTP
	rp := r.find(p)
	if rp == nil {
		return
	}
	switch rp.state {
	case rstp.Discarding:
		x.RSTP = xlate.STPListening
	case rstp.Learning:
		x.RSTP = xlate.STPLearning
	case rstp.Forwarding:
		x.RSTP = xlate.STPForwarding
	}
}

// RSTPStatus returns the state of RSTP; ok is false if it is off.
func (sw *Switch) RSTPStatus() (st rstp.Status, ok bool) {
	m := sw.rstp.m
	if m == nil {
		return st, false
	}
	return m.Status(), true
}

// RSTPPortStatus returns the state of RSTP on a port; ok is false if it takes no part.
func (sw *Switch) RSTPPortStatus(ofport uint32) (st rstp.PortStatus, ok bool) {
	rp := sw.rstp.find(sw.Port(ofport))
	if rp == nil {
		return st, false
	}
	return rp.m.Status(), true
}

// RSTPShow returns what rstp/show prints; ok is false if RSTP is off.
func (sw *Switch) RSTPShow() (text string, ok bool) {
	m := sw.rstp.m
	if m == nil {
		return "", false
	}
	return string(m.AppendShow(nil)), true
}

// RSTPTopologyChange is rstp/tcn; ok is false if RSTP is off.
func (sw *Switch) RSTPTopologyChange() (ok bool) {
	r := sw.rstp
	if r.m == nil {
		return false
	}
	r.m.TopologyChange()
	r.dirty = true
	return true
}
