package ofproto

import (
	"slices"

	"sluice/internal/coverage"
	"sluice/internal/poll"
	"sluice/ofproto/ofp"
	"sluice/ofproto/proto/bpdu"
	"sluice/ofproto/proto/stp"
	"sluice/ofproto/xlate"
)

var cRevSTP = coverage.New("rev_stp")

// stpShown is what others see of the states.
var stpShown = map[stp.State]treeShown{
	stp.Disabled:   {0, xlate.STPDisabled},
	stp.Blocking:   {ofp.PortSTPBlock, xlate.STPBlocking},
	stp.Listening:  {ofp.PortSTPListen, xlate.STPListening},
	stp.Learning:   {ofp.PortSTPLearn, xlate.STPLearning},
	stp.Forwarding: {ofp.PortSTPForward, xlate.STPForwarding},
}

// stpProto is STP on a switch.
type stpProto struct {
	treePorts[*stp.Port, stp.State, stp.Role]
	m     *stp.Bridge // nil: off
	now   int64
	dirty bool // run has something to do
}

type stpPort = treePort[*stp.Port, stp.State, stp.Role]

func newSTP(sw *Switch) *stpProto {
	return &stpProto{treePorts: treePorts[*stp.Port, stp.State, stp.Role]{sw: sw, name: "STP", shown: stpShown, cRev: cRevSTP}}
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
	s.follow(now, s.forget)
	s.dirty = true
	s.sw.protocols.seq++
	return true
}

func (s *stpProto) configurePort(p *Port, c *STPPortConfig, now int64) {
	sp := s.find(p)
	if sp == nil {
		sp = s.add(p, s.m.AddPort(c.Number, p.Name), now)
	}
	followLink(sp, now)
	sp.m.SetPriority(c.Priority, now)
	sp.m.SetPathCost(c.PathCost, now)
}

// followLink has a port take part while its link is up.
func followLink(sp *stpPort, now int64) {
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
	s.followPort(sp, now, s.forget)
	s.remove(sp)
}

// forget forgets all addresses: the topology is another one.
func (s *stpProto) forget(*Port) { s.sw.dp.ForgetAddresses(s.sw) }

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
		followLink(sp, now)
	}
	changed = s.follow(now, s.forget)
	if s.m.TakeFlush() {
		s.sw.dp.ForgetAddresses(s.sw)
	}
	for _, f := range s.m.TakeFrames() {
		if sp := s.of(f.Port); sp != nil {
			s.send(sp.port, &f.BPDU, now)
		}
	}
	return changed
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

func (s *stpProto) describe(p *Port, x *xlate.Port) { x.STP = s.hears(p, x) }

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
