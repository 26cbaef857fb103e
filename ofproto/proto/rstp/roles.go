package rstp

// The Port Role Transitions machine (17.29): the states that it rests in.  Those that
// end in a transition back at once are cases of the functions below.
type roleState uint8

const (
	roleDisablePort   roleState = iota // DISABLE_PORT: stopping to learn and forward
	roleDisabledPort                   // DISABLED_PORT
	roleRootPort                       // ROOT_PORT
	roleDesignated                     // DESIGNATED_PORT
	roleBlockPort                      // BLOCK_PORT: stopping to learn and forward
	roleAlternatePort                  // ALTERNATE_PORT, also of backup ports
)

func (p *Port) stepRoles() bool {
	if !p.selected || p.updtInfo {
		return false
	}
	if p.role != p.selectedRole {
		p.changeRole()
		return true
	}
	switch p.roles {
	case roleDisablePort:
		if p.learning || p.forwarding {
			return false
		}
		p.enterBlocked(roleDisabledPort, p.maxAge())
	case roleDisabledPort:
		if p.fdWhile == p.maxAge() && !p.sync && !p.reRoot && p.synced {
			return false
		}
		p.enterBlocked(roleDisabledPort, p.maxAge())
	case roleBlockPort:
		if p.learning || p.forwarding {
			return false
		}
		p.enterBlocked(roleAlternatePort, p.fwdDelay())
	case roleRootPort:
		return p.stepRootPort()
	case roleDesignated:
		return p.stepDesignated()
	case roleAlternatePort:
		return p.stepAlternate()
	}
	return true
}

// changeRole goes to the state of the role that was selected.
func (p *Port) changeRole() {
	switch p.selectedRole {
	case RoleRoot:
		p.role, p.roles = RoleRoot, roleRootPort
		p.rrWhile = p.fwdDelay()
	case RoleDesignated:
		p.role, p.roles = RoleDesignated, roleDesignated
	case RoleDisabled:
		p.enterBlocking(roleDisablePort)
	default:
		p.enterBlocking(roleBlockPort)
	}
}

// enterBlocking enters DISABLE_PORT or BLOCK_PORT.
func (p *Port) enterBlocking(s roleState) {
	p.role, p.roles = p.selectedRole, s
	p.learn, p.forward = false, false
}

// enterBlocked enters DISABLED_PORT or ALTERNATE_PORT.
func (p *Port) enterBlocked(s roleState, fdWhile uint16) {
	p.roles = s
	p.fdWhile = fdWhile
	p.synced = true
	p.rrWhile = 0
	p.sync, p.reRoot = false, false
}

// stepRootPort has figure 17-21.
func (p *Port) stepRootPort() bool {
	ready := p.fdWhile == 0 || p.br.rstpVersion() && p.reRooted() && p.rbWhile == 0
	allSynced := p.br.allSynced()
	switch {
	case p.proposed && !p.agree: // ROOT_PROPOSED
		p.br.setSyncTree()
		p.proposed = false
	case allSynced && !p.agree || p.proposed && p.agree: // ROOT_AGREED
		p.proposed, p.sync = false, false
		p.agree, p.newInfo = true, true
	case !p.forward && !p.reRoot: // REROOT
		for _, q := range p.br.ports {
			q.reRoot = true
		}
	case ready && !p.learn: // ROOT_LEARN
		p.fdWhile = p.forwardDelay()
		p.learn = true
	case ready && !p.forward: // ROOT_FORWARD
		p.fdWhile = 0
		p.forward = true
	case p.reRoot && p.forward: // REROOTED
		p.reRoot = false
	case p.rrWhile != p.fwdDelay():
		p.rrWhile = p.fwdDelay()
	default:
		return false
	}
	p.rrWhile = p.fwdDelay()
	return true
}

// stepDesignated has figure 17-22.
func (p *Port) stepDesignated() bool {
	ready := (p.fdWhile == 0 || p.agreed || p.operEdge) && (p.rrWhile == 0 || !p.reRoot) && !p.sync
	switch {
	case (p.sync && !p.synced || p.reRoot && p.rrWhile != 0 || p.disputed) && !p.operEdge && (p.learn || p.forward): // DESIGNATED_DISCARD
		p.learn, p.forward, p.disputed = false, false, false
		p.fdWhile = p.forwardDelay()
	case ready && !p.learn: // DESIGNATED_LEARN
		p.learn = true
		p.fdWhile = p.forwardDelay()
	case ready && !p.forward: // DESIGNATED_FORWARD
		p.forward = true
		p.fdWhile = 0
		p.agreed = p.sendRSTP
	case !p.forward && !p.agreed && !p.proposing && !p.operEdge: // DESIGNATED_PROPOSE
		p.proposing, p.newInfo = true, true
		p.edgeDelayWhile = p.edgeDelay()
	case !p.learning && !p.forwarding && !p.synced || p.agreed && !p.synced || p.operEdge && !p.synced || p.sync && p.synced: // DESIGNATED_SYNCED
		p.rrWhile = 0
		p.synced, p.sync = true, false
	case p.rrWhile == 0 && p.reRoot: // DESIGNATED_RETIRED
		p.reRoot = false
	default:
		return false
	}
	return true
}

// stepAlternate has figure 17-23.
func (p *Port) stepAlternate() bool {
	switch {
	case p.proposed && !p.agree: // ALTERNATE_PROPOSED
		p.br.setSyncTree()
		p.proposed = false
	case p.br.allSynced() && !p.agree || p.proposed && p.agree: // ALTERNATE_AGREED
		p.proposed = false
		p.agree, p.newInfo = true, true
	case p.role == RoleBackup && p.rbWhile != 2*p.hello(): // BACKUP_PORT
		p.rbWhile = 2 * p.hello()
	case p.fdWhile != p.fwdDelay() || p.sync || p.reRoot || !p.synced:
	default:
		return false
	}
	p.enterBlocked(roleAlternatePort, p.fwdDelay())
	return true
}

// edgeDelay is 17.20.4.
func (p *Port) edgeDelay() uint16 {
	if p.operPointToPoint() {
		return migrateTime
	}
	return p.maxAge()
}

// reRooted is 17.20.10: no other port was the root port a moment ago.
func (p *Port) reRooted() bool {
	for _, q := range p.br.ports {
		if q != p && q.rrWhile != 0 {
			return false
		}
	}
	return true
}

// allSynced is 17.20.3.
func (b *Bridge) allSynced() bool {
	for _, p := range b.ports {
		if !p.selected || p.role != p.selectedRole || p.updtInfo || p.role != RoleRoot && !p.synced {
			return false
		}
	}
	return true
}

// setSyncTree is 17.21.14.
func (b *Bridge) setSyncTree() {
	for _, p := range b.ports {
		p.sync = true
	}
}
