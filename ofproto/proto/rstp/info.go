package rstp

import "sluice/ofproto/proto/bpdu"

// rcvdInfo is what a BPDU says compared with what a port knows (17.21.8).
type rcvdInfo uint8

const (
	otherInfo rcvdInfo = iota
	superiorDesignated
	repeatedDesignated
	inferiorDesignated
	inferiorRootAlternate
)

// The Port Information machine (17.27): the states that it rests in.
type infoState uint8

const (
	infoStDisabled infoState = iota
	infoStAged
	infoStCurrent
)

func (p *Port) enterDisabledInfo() {
	p.information = infoStDisabled
	p.rcvdMsg = false
	p.proposing, p.proposed, p.agree, p.agreed = false, false, false, false
	p.rcvdInfoWhile = 0
	p.infoIs = infoDisabled
	p.reselectRole()
}

func (p *Port) enterAged() {
	p.information = infoStAged
	p.infoIs = infoAged
	p.reselectRole()
}

func (p *Port) stepInformation() bool {
	if !p.portEnabled && p.infoIs != infoDisabled {
		p.enterDisabledInfo()
		return true
	}
	update := p.selected && p.updtInfo
	switch p.information {
	case infoStDisabled:
		switch {
		case p.portEnabled:
			p.enterAged()
		case p.rcvdMsg:
			p.enterDisabledInfo()
		default:
			return false
		}
	case infoStAged:
		if !update {
			return false
		}
		p.updateInfo()
	case infoStCurrent:
		switch {
		case p.rcvdMsg && !p.updtInfo:
			p.receiveInfo()
		case update:
			p.updateInfo()
		case p.infoIs == infoReceived && p.rcvdInfoWhile == 0 && !p.updtInfo && !p.rcvdMsg:
			p.enterAged()
		default:
			return false
		}
	}
	return true
}

// updateInfo is the state UPDATE.
func (p *Port) updateInfo() {
	p.information = infoStCurrent
	p.proposing, p.proposed = false, false
	p.agreed = p.agreed && p.infoIs == infoMine && p.designatedPriority.compare(&p.portPriority) <= 0
	p.synced = p.synced && p.agreed
	p.portPriority, p.portTimes = p.designatedPriority, p.designatedTimes
	p.updtInfo = false
	p.infoIs = infoMine
	p.newInfo = true
}

// receiveInfo is the state RECEIVE and the one that follows.
func (p *Port) receiveInfo() {
	p.rcvdInfo = p.judge()
	p.rcvdMsg = false
	switch p.rcvdInfo {
	case superiorDesignated:
		p.agreed, p.proposing = false, false
		p.recordProposal()
		p.setTcFlags()
		p.agree = p.agree && p.infoIs == infoReceived && p.msgPriority.compare(&p.portPriority) <= 0
		p.recordAgreement() // here and below as in 802.1Q-2005
		p.synced = p.synced && p.agreed
		p.portPriority, p.portTimes = p.msgPriority, p.msgTimes
		p.portTimes.helloTime = max(p.portTimes.helloTime, 1)
		p.updtRcvdInfoWhile()
		p.infoIs = infoReceived
		p.reselectRole()
	case repeatedDesignated:
		p.recordProposal()
		p.setTcFlags()
		p.recordAgreement()
		p.updtRcvdInfoWhile()
	case inferiorDesignated:
		// recordDispute of 802.1Q-2005: a neighbour that learns does not hear us.
		if p.msg.Flags&bpdu.Learning != 0 {
			p.disputed = true
			p.agreed = false
		}
	case inferiorRootAlternate:
		p.recordAgreement()
		p.setTcFlags()
	}
}

// judge is rcvInfo (17.21.8).
func (p *Port) judge() rcvdInfo {
	m := &p.msg
	if m.Type == bpdu.TCN {
		p.rcvdTcn = true
		return otherInfo
	}
	p.msgPriority = vector{m.RootID, m.RootPathCost, m.BridgeID, m.PortID}
	p.msgTimes = times{messageAge: fromWire(m.MessageAge), maxAge: fromWire(m.MaxAge),
		helloTime: fromWire(m.HelloTime), forwardDelay: fromWire(m.ForwardDelay)}
	role := bpdu.RoleDesignated // what Configuration BPDUs stand for
	if m.Type == bpdu.RST {
		role = m.Flags.Role()
	}
	same := p.msgPriority == p.portPriority
	times := p.msgTimes
	times.helloTime = max(times.helloTime, 1)
	switch {
	case role == bpdu.RoleDesignated && same && times == p.portTimes && p.infoIs == infoReceived:
		return repeatedDesignated
	case role == bpdu.RoleDesignated && p.msgPriority.supersedes(&p.portPriority):
		return superiorDesignated
	case role == bpdu.RoleDesignated:
		return inferiorDesignated
	case p.msgPriority.compare(&p.portPriority) >= 0:
		return inferiorRootAlternate
	}
	return otherInfo
}

// recordProposal is 17.21.11.
func (p *Port) recordProposal() {
	if p.msg.Type == bpdu.RST && p.msg.Flags.Role() == bpdu.RoleDesignated && p.msg.Flags&bpdu.Proposal != 0 {
		p.proposed = true
	}
}

// recordAgreement is 17.21.9.
func (p *Port) recordAgreement() {
	p.agreed = p.br.rstpVersion() && p.operPointToPoint() && p.msg.Type == bpdu.RST && p.msg.Flags&bpdu.Agreement != 0
	if p.agreed {
		p.proposing = false
	}
}

// setTcFlags is 17.21.17.
func (p *Port) setTcFlags() {
	if p.msg.Flags&bpdu.TopologyChange != 0 {
		p.rcvdTc = true
	}
	if p.msg.Flags&bpdu.TopologyChangeAck != 0 {
		p.rcvdTcAck = true
	}
}

// updtRcvdInfoWhile is 17.21.23.
func (p *Port) updtRcvdInfoWhile() {
	p.rcvdInfoWhile = 0
	if p.portTimes.messageAge < p.portTimes.maxAge {
		p.rcvdInfoWhile = 3 * p.portTimes.helloTime
	}
}

// roleSelection is the Port Role Selection machine (17.28).
func (b *Bridge) roleSelection() bool {
	any := false
	for _, p := range b.ports {
		any = any || p.reselect
		p.reselect = false
	}
	if !any {
		return false
	}
	b.selectRoles()
	for _, p := range b.ports {
		p.selected = true
	}
	return true
}

// selectRoles is updtRolesTree (17.21.25).
func (b *Bridge) selectRoles() {
	old := b.rootPort
	b.rootPort = nil
	b.rootPriority, b.rootTimes = vector{root: b.id, bridge: b.id}, b.ownTimes()
	for _, p := range b.ports {
		if p.infoIs != infoReceived || p.portPriority.bridge.Addr() == b.id.Addr() {
			continue
		}
		v := p.portPriority
		v.cost += p.cfg.PathCost
		better := v.compare(&b.rootPriority)
		if better < 0 || better == 0 && b.rootPort != nil && p.id < b.rootPort.id {
			b.rootPort, b.rootPriority, b.rootTimes = p, v, p.portTimes
			b.rootTimes.messageAge++
		}
	}
	if n := b.rootPort; n != nil && old != nil && old != n && n.role == RoleAlternate && b.moved.to == nil {
		b.moved = rootMove{old, n}
	}
	for _, p := range b.ports {
		p.designatedPriority = vector{b.rootPriority.root, b.rootPriority.cost, b.id, p.id}
		p.designatedTimes = b.rootTimes
		p.designatedTimes.helloTime = helloTime
		p.selectRole()
	}
}

// selectRole is steps f to l of 17.21.25.
func (p *Port) selectRole() {
	switch p.infoIs {
	case infoDisabled:
		p.selectedRole = RoleDisabled
	case infoAged:
		p.selectedRole, p.updtInfo = RoleDesignated, true
	case infoMine:
		p.selectedRole = RoleDesignated
		if p.portPriority != p.designatedPriority || p.portTimes != p.designatedTimes {
			p.updtInfo = true
		}
	case infoReceived:
		switch {
		case p == p.br.rootPort:
			p.selectedRole, p.updtInfo = RoleRoot, false
		case p.designatedPriority.compare(&p.portPriority) < 0:
			p.selectedRole, p.updtInfo = RoleDesignated, true
		case p.portPriority.bridge != p.br.id:
			p.selectedRole, p.updtInfo = RoleAlternate, false
		default:
			p.selectedRole, p.updtInfo = RoleBackup, false
		}
	}
}
