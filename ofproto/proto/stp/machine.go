package stp

import (
	"sluice/ofproto/proto/bpdu"
)

// Run does what is due at ms now.
func (b *Bridge) Run(now int64) {
	if at, ok := b.Next(); !ok || now < at {
		return
	}
	if b.hello.expired(now, b.used.hello) {
		b.sendConfigs(now)
		b.hello.start(now)
	}
	if b.tcn.expired(now, b.own.hello) {
		b.sendTCN()
		b.tcn.start(now)
	}
	if b.changeTimer.expired(now, b.used.maxAge+b.used.forward) {
		b.changeDetected, b.change = false, false
	}
	ports := b.enabled()
	for _, p := range ports {
		if p.messageAge.expired(now, b.used.maxAge) {
			b.informationAged(p, now)
		}
	}
	for _, p := range ports {
		if p.forwardDelay.expired(now, b.used.forward) {
			p.advance(now)
		}
		if p.hold.expired(now, holdMs) && p.pending {
			p.sendConfig(now)
		}
	}
}

// Next returns when Run has something to do.
func (b *Bridge) Next() (at int64, ok bool) {
	due := func(t *timer, limit int64) {
		if t.on && (!ok || t.at+limit < at) {
			at, ok = t.at+limit, true
		}
	}
	due(&b.hello, b.used.hello)
	due(&b.tcn, b.own.hello)
	due(&b.changeTimer, b.used.maxAge+b.used.forward)
	for _, p := range b.ports {
		due(&p.messageAge, b.used.maxAge)
		due(&p.forwardDelay, b.used.forward)
		due(&p.hold, holdMs)
	}
	return at, ok
}

// Receive takes a BPDU, without Ethernet and LLC, that came in by p.
func (p *Port) Receive(b []byte, now int64) {
	if p.state == Disabled {
		return
	}
	m, err := bpdu.Parse(b)
	if err == nil && m.Type == bpdu.RST {
		// Not of this protocol; a bridge that speaks RSTP notices ours, and falls
		// back.
		err = bpdu.Error("BPDU of unexpected type 2")
	}
	if err != nil {
		p.errors++
		log.WarnRL(rlFrame, "%s: received %v", p.br.name, err)
		return
	}
	if m.Type == bpdu.TCN {
		p.receiveTCN(now)
	} else {
		p.receiveConfig(&m, now)
	}
	p.rx++
}

// receiveConfig is 8.7.1.
func (p *Port) receiveConfig(m *bpdu.BPDU, now int64) {
	b := p.br
	if m.MessageAge >= m.MaxAge {
		log.WarnRL(rlFrame, "%s: received config BPDU with message age (%d) greater than max age (%d)", b.name, m.MessageAge, m.MaxAge)
		return
	}
	if !p.superseded(m) {
		if p.isDesignated() {
			p.sendConfig(now)
		}
		return
	}
	wasRoot := b.IsRoot()
	p.root, p.cost, p.designated, p.desPort = m.RootID, m.RootPathCost, m.BridgeID, m.PortID
	p.messageAge.start(now - fromWire(m.MessageAge))
	b.update(now)
	if wasRoot && !b.IsRoot() && b.changeDetected {
		b.changeTimer.stop()
		b.sendTCN()
		b.tcn.start(now)
	}
	if p != b.rootPort {
		return
	}
	b.used = times{maxAge: fromWire(m.MaxAge), hello: fromWire(m.HelloTime), forward: fromWire(m.ForwardDelay)}
	b.change = m.Flags&bpdu.TopologyChange != 0
	b.sendConfigs(now)
	if m.Flags&bpdu.TopologyChangeAck != 0 {
		b.changeDetected = false
		b.tcn.stop()
	}
	if b.change {
		b.flush = true
	}
}

// receiveTCN is 8.7.2.
func (p *Port) receiveTCN(now int64) {
	if p.isDesignated() {
		p.br.TopologyChange(now)
		p.ack = true
		p.sendConfig(now)
	}
}

// superseded reports that m is better than what p has, or is from the same source
// (8.6.2.2).
func (p *Port) superseded(m *bpdu.BPDU) bool {
	switch {
	case m.RootID != p.root:
		return m.RootID < p.root
	case m.RootPathCost != p.cost:
		return m.RootPathCost < p.cost
	case m.BridgeID != p.designated:
		return m.BridgeID < p.designated
	}
	return m.BridgeID != p.br.id || m.PortID <= p.desPort
}

func (p *Port) isDesignated() bool { return p.designated == p.br.id && p.desPort == p.id }

// becomeDesignated is 8.6.10.
func (p *Port) becomeDesignated() {
	b := p.br
	p.root, p.cost, p.designated, p.desPort = b.root, b.rootCost, b.id, p.id
}

// update chooses the root and the designated ports anew, and the states that follow
// (8.6.7, 8.6.11).
func (b *Bridge) update(now int64) {
	b.selectRoot()
	for _, p := range b.enabled() {
		if p.isDesignated() || p.root != b.root || p.inferior() {
			p.becomeDesignated()
		}
	}
	if !b.IsRoot() {
		b.hello.stop() // it sends when it hears from the root
	}
	b.selectStates(now)
}

// selectRoot is 8.6.8.
func (b *Bridge) selectRoot() {
	b.rootPort, b.root, b.rootCost = nil, b.id, 0
	for _, p := range b.enabled() {
		if !p.isDesignated() && p.root < b.id && (b.rootPort == nil || p.betterRoot(b.rootPort)) {
			b.rootPort = p
		}
	}
	if p := b.rootPort; p != nil {
		b.root, b.rootCost = p.root, p.cost+p.pathCost
	}
}

// betterRoot reports that p is a better root port than q.
func (p *Port) betterRoot(q *Port) bool {
	pc, qc := p.cost+p.pathCost, q.cost+q.pathCost
	switch {
	case p.root != q.root:
		return p.root < q.root
	case pc != qc:
		return pc < qc
	case p.designated != q.designated:
		return p.designated < q.designated
	case p.desPort != q.desPort:
		return p.desPort < q.desPort
	}
	return p.id < q.id
}

// inferior reports that the bridge is better for p's LAN than what p has heard
// (8.6.9).
func (p *Port) inferior() bool {
	b := p.br
	switch {
	case b.rootCost != p.cost:
		return b.rootCost < p.cost
	case b.id != p.designated:
		return b.id < p.designated
	}
	return p.id <= p.desPort
}

// selectStates is 8.6.11.
func (b *Bridge) selectStates(now int64) {
	for _, p := range b.enabled() {
		switch {
		case p == b.rootPort:
			p.pending, p.ack = false, false
			p.makeForwarding(now)
		case p.isDesignated():
			p.messageAge.stop()
			p.makeForwarding(now)
		default:
			p.pending, p.ack = false, false
			p.makeBlocking(now)
		}
	}
}

func (p *Port) makeForwarding(now int64) {
	if p.state == Blocking {
		p.state = Listening
		p.forwardDelay.start(now)
	}
}

func (p *Port) makeBlocking(now int64) {
	if p.state == Blocking {
		return
	}
	if p.state.Learns() {
		p.br.TopologyChange(now)
	}
	p.state = Blocking
	p.forwardDelay.stop()
}

// advance is 8.7.5: the forward delay of p is over.
func (p *Port) advance(now int64) {
	switch p.state {
	case Listening:
		p.state = Learning
		p.forwardDelay.start(now)
	case Learning:
		p.state = Forwarding
		for _, q := range p.br.enabled() {
			if q.designated == p.br.id {
				p.br.TopologyChange(now)
				return
			}
		}
	}
}

// informationAged is 8.7.4: what p had heard is too old.
func (b *Bridge) informationAged(p *Port, now int64) {
	wasRoot := b.IsRoot()
	log.DbgRL(rlFrame, "bridge: %s, port: %s, message age timer expired", b.name, p.Name)
	p.becomeDesignated()
	b.update(now)
	if !wasRoot && b.IsRoot() {
		b.becomeRoot(now)
	}
}

// becomeRoot is what 8.7.4 and 8.8 have a bridge do that was not the root.
func (b *Bridge) becomeRoot(now int64) {
	b.used = b.own
	b.TopologyChange(now)
	b.tcn.stop()
	b.sendConfigs(now)
	b.hello.start(now)
}

// TopologyChange notes that the topology changed, and tells the other bridges
// (8.6.14).
func (b *Bridge) TopologyChange(now int64) {
	if b.IsRoot() {
		b.change = true
		b.changeTimer.start(now)
	} else if !b.changeDetected {
		b.sendTCN()
		b.tcn.start(now)
	}
	b.flush = true
	b.changeDetected = true
	log.InfoRL(rlTopo, "%s: detected topology change.", b.name)
}

// sendConfigs is 8.6.4: a BPDU on each designated port.
func (b *Bridge) sendConfigs(now int64) {
	for _, p := range b.enabled() {
		if p.isDesignated() {
			p.sendConfig(now)
		}
	}
}

// sendConfig is 8.6.1.
func (p *Port) sendConfig(now int64) {
	b := p.br
	if p.hold.on {
		p.pending = true
		return
	}
	m := bpdu.BPDU{Type: bpdu.Config, RootID: b.root, RootPathCost: b.rootCost, BridgeID: b.id, PortID: p.id,
		MaxAge: toWire(b.used.maxAge), HelloTime: toWire(b.used.hello), ForwardDelay: toWire(b.used.forward)}
	if r := b.rootPort; r != nil {
		m.MessageAge = toWire(now-r.messageAge.at) + ageIncrement
	}
	if m.MessageAge >= m.MaxAge {
		return
	}
	if p.ack {
		m.Flags |= bpdu.TopologyChangeAck
	}
	if b.change {
		m.Flags |= bpdu.TopologyChange
	}
	p.ack, p.pending = false, false
	p.send(&m)
	p.hold.start(now)
}

func (b *Bridge) sendTCN() {
	if b.rootPort != nil {
		b.rootPort.send(&bpdu.BPDU{Type: bpdu.TCN})
	}
}

func (p *Port) send(m *bpdu.BPDU) {
	p.tx++
	p.br.frames = append(p.br.frames, Frame{p, *m})
}

// toWire returns ms in 1/256 s.
func toWire(ms int64) uint16 { return uint16(min(max(ms, 0)*256/1000, 0xfffe)) }

// fromWire returns 1/256 s in ms.
func fromWire(t uint16) int64 { return int64(t) * 1000 / 256 }
