package ofproto

import (
	"cmp"
	"slices"

	"sluice/dpif/flow"
	"sluice/internal/coverage"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp"
	"sluice/ofproto/proto/bpdu"
	"sluice/ofproto/proto/stp"
	"sluice/ofproto/xlate"
)

var (
	cRevSTP = coverage.New("rev_stp")
	rlBPDU  = vlog.NewLimiter(1, 5)
)

// stpProto is STP on a switch.
type stpProto struct {
	sw    *Switch
	m     *stp.Bridge // nil: off
	ports []*stpPort  // by OpenFlow number
	now   int64
	dirty bool // run has something to do
}

// stpPort is a port that takes part.
type stpPort struct {
	port    *Port
	m       *stp.Port
	state   stp.State // that the switch has followed
	role    stp.Role
	entered int64 // ms, when
}

func newSTP(sw *Switch) *stpProto { return &stpProto{sw: sw} }

func (s *stpProto) find(p *Port) *stpPort {
	for _, sp := range s.ports {
		if sp.port == p {
			return sp
		}
	}
	return nil
}

func (s *stpProto) configure(now int64) bool {
	s.now = now
	cfg := s.sw.cfg.STP
	if cfg == nil {
		for len(s.ports) > 0 {
			s.drop(s.ports[0], now)
		}
		if s.m != nil {
			s.m = nil
			s.sw.protocols.seq++
		}
		return false
	}
	id := bpdu.NewID(cfg.Priority, cfg.SystemID)
	if s.m == nil {
		s.m = stp.New(s.sw.name, id, now)
	}
	s.m.SetID(id, now)
	s.m.SetTimes(cfg.HelloMs, cfg.MaxAgeMs, cfg.ForwardDelayMs)
	// Numbers may move from port to port: give them back before taking them.
	for _, p := range slices.Clone(s.ports) {
		if c, ok := cfg.Ports[p.port.OFPort]; !ok || c.Number != p.m.Number() {
			s.drop(p, now)
		}
	}
	for _, p := range s.sw.ports.sorted {
		if c, ok := cfg.Ports[p.OFPort]; ok {
			s.configurePort(p, &c, now)
		}
	}
	s.follow(now)
	s.dirty = true
	s.sw.protocols.seq++
	return true
}

func (s *stpProto) configurePort(p *Port, c *STPPortConfig, now int64) {
	sp := s.find(p)
	if sp == nil {
		sp = &stpPort{port: p, m: s.m.AddPort(c.Number, p.Name), entered: now}
		s.ports = append(s.ports, sp)
		slices.SortFunc(s.ports, func(x, y *stpPort) int { return cmp.Compare(x.port.OFPort, y.port.OFPort) })
	}
	sp.followLink(now)
	sp.m.SetPriority(c.Priority, now)
	sp.m.SetPathCost(c.PathCost, now)
}

// followLink has the port take part while its link is up.
func (sp *stpPort) followLink(now int64) {
	up := sp.port.Dev.Carrier()
	if up == (sp.m.State() != stp.Disabled) {
		return
	}
	if up {
		dpifLog.Dbg("bridge %s, port %s is up, enabling it.", sp.m.Bridge().Name(), sp.port.Name)
		sp.m.Enable(now)
	} else {
		dpifLog.Dbg("bridge %s, port %s is down, disabling it.", sp.m.Bridge().Name(), sp.port.Name)
		sp.m.Disable(now)
	}
}

// drop has a port take part no longer.
func (s *stpProto) drop(sp *stpPort, now int64) {
	sp.m.Remove(now)
	s.followPort(sp, now)
	s.remove(sp)
}

func (s *stpProto) remove(sp *stpPort) {
	s.ports = slices.DeleteFunc(s.ports, func(x *stpPort) bool { return x == sp })
}

func (s *stpProto) portGone(p *Port) {
	if sp := s.find(p); sp != nil {
		sp.m.Remove(s.now)
		s.remove(sp)
		s.dirty = true
	}
}

func (s *stpProto) receive(p *Port, frame []byte, now int64) {
	if sp := s.find(p); sp != nil {
		if b, ok := bpdu.Payload(frame); ok {
			sp.m.Receive(b, now)
		}
	}
}

func (s *stpProto) run(now int64) (changed bool) {
	s.now, s.dirty = now, false
	s.m.Run(now)
	for _, sp := range s.ports {
		sp.followLink(now)
	}
	changed = s.follow(now)
	if s.m.TakeFlush() {
		s.sw.dp.ForgetAddresses(s.sw)
	}
	for _, f := range s.m.TakeFrames() {
		for _, sp := range s.ports {
			if sp.m == f.Port {
				s.sw.sendBPDU(sp.port, &f.BPDU, "STP", now)
			}
		}
	}
	return changed
}

// follow takes over the states of all ports and reports whether one changed.
func (s *stpProto) follow(now int64) (changed bool) {
	for _, sp := range s.ports {
		changed = s.followPort(sp, now) || changed
	}
	if changed {
		cRevSTP.Inc()
	}
	return changed
}

func (s *stpProto) followPort(sp *stpPort, now int64) bool {
	state := sp.m.State()
	if role := sp.m.Role(); role != sp.role {
		sp.role = role
		s.sw.protocols.seq++
	}
	if state == sp.state {
		return false
	}
	dpifLog.Dbg("port %s: STP state changed from %s to %s", sp.port.Name, sp.state, state)
	if state.Learns() != sp.state.Learns() {
		s.sw.dp.ForgetAddresses(s.sw)
	}
	sp.state, sp.entered = state, now
	s.sw.protocols.seq++
	bits := map[stp.State]ofp.PortState{stp.Listening: ofp.PortSTPListen, stp.Learning: ofp.PortSTPLearn,
		stp.Forwarding: ofp.PortSTPForward, stp.Blocking: ofp.PortSTPBlock}
	s.sw.SetPortState(sp.port.OFPort, bits[state], ofp.PortSTPMask)
	return true
}

func (s *stpProto) wait(set *poll.Set) {
	if s.dirty {
		set.Immediate()
	}
	if at, ok := s.m.Next(); ok {
		set.Timer(at)
	}
	for _, sp := range s.ports {
		if sp.port.Dev.Carrier() != (sp.state != stp.Disabled) {
			set.Immediate()
		}
	}
}

func (s *stpProto) mayEnable(*Port) bool { return true }

func (s *stpProto) describe(p *Port, x *xlate.Port) {
	// Ports that take no part swallow BPDUs.
	x.Hears |= xlate.SlowSTP
	sp := s.find(p)
	if sp == nil {
		return
	}
	switch sp.state {
	case stp.Disabled:
		x.STP = xlate.STPDisabled
	case stp.Blocking:
		x.STP = xlate.STPBlocking
	case stp.Listening:
		x.STP = xlate.STPListening
	case stp.Learning:
		x.STP = xlate.STPLearning
	case stp.Forwarding:
		x.STP = xlate.STPForwarding
	}
}

// sendBPDU sends a BPDU out of p.
func (sw *Switch) sendBPDU(p *Port, m *bpdu.BPDU, name string, now int64) {
	src := p.Dev.EtherAddr()
	if src == (flow.MAC{}) {
		dpifLog.WarnRL(rlBPDU, "%s port %d: cannot send %s BPDU on a port which does not have a configured source MAC address.",
			sw.name, p.OFPort, name)
		return
	}
	if err := sw.sendFrame(p, m.Frame(src), now); err != nil {
		dpifLog.WarnRL(rlBPDU, "%s: sending a BPDU on port %s fails: %v", sw.name, p.Name, err)
	}
}

// STPStatus is STP on a bridge.
type STPStatus struct {
	BridgeID, Root bpdu.ID
	RootPathCost   uint32
}

// STPStatus returns the state of STP; ok is false if it is off.
func (sw *Switch) STPStatus() (st STPStatus, ok bool) {
	s := sw.stp
	if s.m == nil {
		return st, false
	}
	st.BridgeID = s.m.ID()
	st.Root, st.RootPathCost = s.m.Root()
	return st, true
}

// STPPortStatus is STP on a port.
type STPPortStatus struct {
	ID             uint16
	State          stp.State
	Role           stp.Role
	SecInState     int64
	Tx, Rx, Errors uint64
}

// STPPortStatus returns the state of STP on a port; ok is false if it takes no part.
func (sw *Switch) STPPortStatus(ofport uint32, now int64) (st STPPortStatus, ok bool) {
	sp := sw.stp.find(sw.Port(ofport))
	if sp == nil {
		return st, false
	}
	st = STPPortStatus{ID: sp.m.ID(), State: sp.state, Role: sp.m.Role(), SecInState: (now - sp.entered) / 1000}
	st.Tx, st.Rx, st.Errors = sp.m.Counts()
	return st, true
}

// STPShow returns what stp/show prints; ok is false if STP is off.
func (sw *Switch) STPShow() (text string, ok bool) {
	m := sw.stp.m
	if m == nil {
		return "", false
	}
	return string(m.AppendShow(nil)), true
}

// STPTopologyChange is stp/tcn; ok is false if STP is off.
func (sw *Switch) STPTopologyChange(now int64) (ok bool) {
	s := sw.stp
	if s.m == nil {
		return false
	}
	s.m.TopologyChange(now)
	s.dirty = true
	return true
}

// SpanningTreeSeq changes when what the database shows of STP and RSTP may have.
func (sw *Switch) SpanningTreeSeq() uint64 { return sw.protocols.seq }
