package ofproto

import (
	"slices"

	"sluice/internal/coverage"
	"sluice/internal/poll"
	"sluice/ofproto/ofp"
	"sluice/ofproto/proto/bpdu"
	"sluice/ofproto/proto/rstp"
	"sluice/ofproto/xlate"
)

var cRevRSTP = coverage.New("rev_rstp")

// rstpShown is what others see of the states.
var rstpShown = map[rstp.State]treeShown{
	rstp.Discarding: {ofp.PortSTPListen, xlate.STPListening},
	rstp.Learning:   {ofp.PortSTPLearn, xlate.STPLearning},
	rstp.Forwarding: {ofp.PortSTPForward, xlate.STPForwarding},
}

// rstpProto is RSTP on a switch.
type rstpProto struct {
	treePorts[*rstp.Port, rstp.State, rstp.Role]
	m      *rstp.Bridge // nil: off
	status rstp.Status  // that was told with seq
	dirty  bool         // run has something to do
}

type rstpPort = treePort[*rstp.Port, rstp.State, rstp.Role]

func newRSTP(sw *Switch) *rstpProto {
	return &rstpProto{treePorts: treePorts[*rstp.Port, rstp.State, rstp.Role]{sw: sw, name: "RSTP", shown: rstpShown, cRev: cRevRSTP}}
}

func (r *rstpProto) configure(now int64) bool {
	cfg := r.sw.cfg.RSTP
	if cfg == nil {
		for len(r.ports) > 0 {
			r.drop(r.ports[0], now)
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
			r.drop(p, now)
		}
	}
	for _, p := range r.sw.ports.sorted {
		if c, ok := cfg.Ports[p.OFPort]; ok {
			r.configurePort(p, c, now)
		}
	}
	r.follow(now, r.forget)
	r.dirty = true
	r.sw.protocols.seq++
	return true
}

func (r *rstpProto) configurePort(p *Port, c rstp.PortConfig, now int64) {
	rp := r.find(p)
	if rp == nil {
		m := r.m.AddPort(p.Name)
		if m == nil {
			return // the configuration has no more ports than there can be
		}
		rp = r.add(p, m, now)
		r.followPort(rp, now, r.forget) // Discarding comes first, also where the link is up
	}
	rp.m.Configure(c)
	rp.m.SetUp(p.linkUp())
}

// linkUp reports that p can carry packets, as far as its link and the protocols
// that watch it are concerned.
func (p *Port) linkUp() bool { return p.MayEnable && p.Dev.Carrier() }

// drop has a port take part no longer.
func (r *rstpProto) drop(rp *rstpPort, now int64) {
	rp.m.Remove()
	r.followPort(rp, now, r.forget)
	r.remove(rp)
}

// forget forgets the addresses behind p.
func (r *rstpProto) forget(p *Port) { r.sw.dp.ForgetPort(r.sw, p) }

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
	forget := func(p *Port) {
		if p != from { // what is behind that moves
			r.forget(p)
		}
	}
	changed = r.follow(now, forget)
	for _, rp := range r.ports {
		if rp.m.TakeFlush() {
			forget(rp.port)
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
			r.send(rp.port, &f.BPDU, now)
		}
	}
	return changed
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

func (r *rstpProto) describe(p *Port, x *xlate.Port) { x.RSTP = r.hears(p, x) }

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
