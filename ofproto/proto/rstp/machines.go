package rstp

import "sluice/ofproto/proto/bpdu"

// maxSteps bounds the work that one event causes.
const maxSteps = 1000

// step lets the machines make transitions until none can.
func (b *Bridge) step() {
	for range maxSteps {
		moved := b.roleSelection()
		for _, p := range b.ports {
			// One machine's transition may make another's possible.
			for _, machine := range [...]func() bool{p.stepReceive, p.stepDetection, p.stepInformation, p.stepRoles,
				p.stepTransition, p.stepTopologyChange, p.stepTransmit, p.stepMigration} {
				moved = machine() || moved
			}
		}
		if !moved {
			return
		}
	}
	log.ErrRL(rlFrame, "%s: the state machines do not come to rest", b.name)
}

// The Port Receive machine (17.23).
type receiveState uint8

const (
	receiveDiscard receiveState = iota
	receiveReceive
)

func (p *Port) enterDiscard() {
	p.receive = receiveDiscard
	p.rcvdBPDU, p.rcvdRSTP, p.rcvdSTP, p.rcvdMsg = false, false, false, false
	p.edgeDelayWhile = migrateTime
}

func (p *Port) stepReceive() bool {
	switch {
	case !p.portEnabled && (p.rcvdBPDU || p.edgeDelayWhile != migrateTime):
		p.enterDiscard()
	case p.portEnabled && p.rcvdBPDU && (p.receive == receiveDiscard || !p.rcvdMsg):
		p.receive = receiveReceive
		p.rcvdRSTP = p.msg.Type == bpdu.RST
		p.rcvdSTP = !p.rcvdRSTP
		p.operEdge, p.rcvdBPDU = false, false
		p.rcvdMsg = true
		p.edgeDelayWhile = migrateTime
	default:
		return false
	}
	return true
}

// The Port Protocol Migration machine (17.24).
type migrationState uint8

const (
	migrationChecking  migrationState = iota // CHECKING_RSTP
	migrationSelecting                       // SELECTING_STP
	migrationSensing
)

func (p *Port) enterChecking() {
	p.migration = migrationChecking
	p.mcheck = false
	p.sendRSTP = p.br.rstpVersion()
	p.mdelayWhile = migrateTime
}

func (p *Port) stepMigration() bool {
	switch p.migration {
	case migrationChecking:
		switch {
		case p.mdelayWhile == 0:
			p.enterSensing()
		case p.mdelayWhile != migrateTime && !p.portEnabled:
			p.enterChecking()
		default:
			return false
		}
	case migrationSelecting:
		if p.mdelayWhile != 0 && p.portEnabled && !p.mcheck {
			return false
		}
		p.enterSensing()
	case migrationSensing:
		switch {
		case !p.portEnabled || p.mcheck || p.br.rstpVersion() && !p.sendRSTP && p.rcvdRSTP:
			p.enterChecking()
		case p.sendRSTP && p.rcvdSTP:
			p.migration = migrationSelecting
			p.sendRSTP = false
			p.mdelayWhile = migrateTime
		default:
			return false
		}
	}
	return true
}

func (p *Port) enterSensing() {
	p.migration = migrationSensing
	p.rcvdRSTP, p.rcvdSTP = false, false
}

// stepDetection is the Bridge Detection machine (17.25).
func (p *Port) stepDetection() bool {
	switch {
	case p.edge && (!p.portEnabled && !p.cfg.AdminEdge || !p.operEdge):
		p.edge = false
	case !p.edge && (!p.portEnabled && p.cfg.AdminEdge ||
		p.edgeDelayWhile == 0 && p.cfg.AutoEdge && p.sendRSTP && p.proposing):
		p.edge = true
	default:
		return false
	}
	p.operEdge = p.edge
	return true
}

// stepTransmit is the Port Transmit machine (17.26), which rests in IDLE.
func (p *Port) stepTransmit() bool {
	if p.role == RoleDisabled || !p.selected || p.updtInfo {
		return false
	}
	if p.helloWhen == 0 { // TRANSMIT_PERIODIC
		p.newInfo = p.newInfo || p.role == RoleDesignated || p.role == RoleRoot && p.tcWhile != 0
		p.helloWhen = helloTime
		return true
	}
	if !p.newInfo || int(p.txCount) >= p.br.cfg.TransmitHoldCount {
		return false
	}
	switch {
	case p.sendRSTP:
		p.sendRST()
	case p.role == RoleRoot:
		p.send(bpdu.BPDU{Type: bpdu.TCN})
	case p.role == RoleDesignated:
		m := bpdu.BPDU{Type: bpdu.Config}
		m.Flags |= flag(p.tcWhile != 0, bpdu.TopologyChange) | flag(p.tcAck, bpdu.TopologyChangeAck)
		p.send(m)
		p.tcAck = false
	default:
		return false
	}
	p.newInfo = false
	p.helloWhen = helloTime
	return true
}

// sendRST is txRstp (17.21.20).
func (p *Port) sendRST() {
	role := bpdu.RoleAlternateBackup
	switch p.role {
	case RoleRoot:
		role = bpdu.RoleRoot
	case RoleDesignated:
		role = bpdu.RoleDesignated
	}
	p.send(bpdu.BPDU{Type: bpdu.RST, Version: 2, Flags: bpdu.RoleFlags(role) |
		flag(p.agree, bpdu.Agreement) | flag(p.proposing, bpdu.Proposal) | flag(p.tcWhile != 0, bpdu.TopologyChange) |
		flag(p.learning, bpdu.Learning) | flag(p.forwarding, bpdu.Forwarding)})
	p.tcAck = false
}

func flag(on bool, f bpdu.Flags) bpdu.Flags {
	if on {
		return f
	}
	return 0
}

// The Port State Transition machine (17.30).
type transitionState uint8

const (
	transitionDiscarding transitionState = iota
	transitionLearning
	transitionForwarding
)

func (p *Port) enterDiscarding() {
	p.transition = transitionDiscarding
	p.learning, p.forwarding = false, false
	p.state = Discarding
}

func (p *Port) stepTransition() bool {
	switch {
	case p.transition == transitionDiscarding && p.learn:
		p.transition = transitionLearning
		p.learning = true
		p.state = Learning
	case p.transition == transitionLearning && !p.learn, p.transition == transitionForwarding && !p.forward:
		p.enterDiscarding()
	case p.transition == transitionLearning && p.forward:
		p.transition = transitionForwarding
		p.forwarding = true
		p.state = Forwarding
	default:
		return false
	}
	return true
}

// The Topology Change machine (17.31).
type tcState uint8

const (
	tcInactive tcState = iota
	tcLearning
	tcActive
)

func (p *Port) enterInactive() {
	p.topologyChange = tcInactive
	p.fdbFlush = true
	p.tcWhile, p.tcAck = 0, false
}

func (p *Port) inTree() bool { return p.role == RoleRoot || p.role == RoleDesignated }

func (p *Port) stepTopologyChange() bool {
	told := p.rcvdTc || p.rcvdTcn || p.rcvdTcAck || p.tcProp
	switch p.topologyChange {
	case tcInactive:
		// The standard waits for the flush; the adapter's is done before a frame
		// can be learned.
		if !p.learn {
			return false
		}
		p.enterTCLearning()
	case tcLearning:
		switch {
		case told:
			p.enterTCLearning()
		case !p.inTree() && !p.learn && !p.learning:
			p.enterInactive()
		case p.inTree() && p.forward && !p.operEdge: // DETECTED, ACTIVE
			p.topologyChange = tcActive
			p.newTCWhile()
			p.propagate()
			p.newInfo = true
		default:
			return false
		}
	case tcActive:
		return p.stepTCActive()
	}
	return true
}

func (p *Port) enterTCLearning() {
	p.topologyChange = tcLearning
	p.rcvdTc, p.rcvdTcn, p.rcvdTcAck, p.tcProp = false, false, false, false
}

// stepTCActive passes through the states that return to ACTIVE.
func (p *Port) stepTCActive() bool {
	switch {
	case !p.inTree() || p.operEdge:
		p.enterTCLearning()
	case p.rcvdTcn || p.rcvdTc: // NOTIFIED_TCN, NOTIFIED_TC
		if p.rcvdTcn {
			p.newTCWhile()
		}
		p.rcvdTcn, p.rcvdTc = false, false
		if p.role == RoleDesignated {
			p.tcAck = true
		}
		p.propagate()
	case p.tcProp: // PROPAGATING
		p.newTCWhile()
		p.fdbFlush = true
		p.tcProp = false
	case p.rcvdTcAck: // ACKNOWLEDGED
		p.tcWhile = 0
		p.rcvdTcAck = false
	default:
		return false
	}
	return true
}

// newTCWhile is 17.21.7.
func (p *Port) newTCWhile() {
	if p.tcWhile != 0 {
		return
	}
	if p.sendRSTP {
		p.tcWhile = p.hello() + 1
		p.newInfo = true
	} else {
		p.tcWhile = p.br.rootTimes.maxAge + p.br.rootTimes.forwardDelay
	}
}

// propagate is setTcPropTree (17.21.18).
func (p *Port) propagate() {
	for _, q := range p.br.ports {
		if q != p {
			q.tcProp = true
		}
	}
}
