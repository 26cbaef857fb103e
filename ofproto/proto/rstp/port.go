package rstp

import (
	"slices"

	"sluice/ofproto/proto/bpdu"
)

// infoIs says where a port's priority vector comes from (17.19.10).
type infoIs uint8

const (
	infoDisabled infoIs = iota
	infoReceived
	infoAged
	infoMine
)

// Port is a port that takes part in the protocol: the variables of 17.19, the timers
// of 17.17 in seconds, and the states of its machines.
type Port struct {
	Name string // for people

	br     *Bridge
	asked  PortConfig // of the last Configure
	cfg    PortConfig // in force
	number int
	id     uint16 // priority and number (9.2.7)
	state  State

	portEnabled bool // the link is up, and management allows it
	up          bool

	edgeDelayWhile, fdWhile, helloWhen, mdelayWhile uint16
	rbWhile, rcvdInfoWhile, rrWhile, tcWhile        uint16

	agree, agreed, disputed, forward, forwarding, learn, learning bool
	mcheck, newInfo, operEdge, proposed, proposing                bool
	rcvdBPDU, rcvdMsg, rcvdRSTP, rcvdSTP                          bool
	rcvdTc, rcvdTcAck, rcvdTcn, tcAck, tcProp                     bool
	reRoot, reselect, selected, sendRSTP, sync, synced, updtInfo  bool
	fdbFlush                                                      bool

	infoIs             infoIs
	role, selectedRole Role
	txCount            uint16
	rcvdInfo           rcvdInfo
	msg                bpdu.BPDU // the BPDU that came in last

	portPriority, designatedPriority, msgPriority vector
	portTimes, designatedTimes, msgTimes          times

	receive        receiveState
	migration      migrationState
	edge           bool // the Bridge Detection machine is in EDGE
	information    infoState
	roles          roleState
	transition     transitionState
	topologyChange tcState

	tx, rx, errors, uptime uint64
}

// PointToPoint says whether a LAN has at most two bridges (6.4.3).
type PointToPoint uint8

// The ways to know.  Auto never finds that it has.
const (
	P2PForceFalse PointToPoint = iota
	P2PForceTrue
	P2PAuto
)

// PortConfig is the management of a port.
type PortConfig struct {
	Number       int // 0, or one that is taken: the least that is free
	Priority     int // multiples of 16, up to 240
	PathCost     uint32
	PointToPoint PointToPoint
	AdminDown    bool // management takes the port out
	AdminEdge    bool // there is no bridge at the other end
	AutoEdge     bool // find out
	// MCheck, when it is set, asks whether there are still bridges at the other end
	// that only speak STP.
	MCheck bool
}

// AddPort adds a port with its link down; nil: there are too many.
func (b *Bridge) AddPort(name string) *Port {
	n := b.freeNumber()
	if n == 0 {
		return nil
	}
	p := &Port{Name: name, br: b, number: n, cfg: PortConfig{Priority: DefaultPortPriority, PathCost: DefaultPathCost,
		PointToPoint: P2PForceTrue, AutoEdge: true}}
	p.asked = p.cfg
	p.setID()
	b.ports = append(b.ports, p)
	b.sortPorts()
	p.begin()
	b.step()
	return p
}

// Remove takes p out of its bridge.
func (p *Port) Remove() {
	p.SetUp(false)
	b := p.br
	b.ports = slices.DeleteFunc(b.ports, func(x *Port) bool { return x == p })
	p.state = Disabled
	if b.moved.from == p || b.moved.to == p {
		b.moved = rootMove{}
	}
	if b.rootPort == p {
		b.rootPort = nil
	}
	b.selectRoles()
	b.step()
}

// Configure changes the configuration.  Values that are not allowed leave what was
// before.
func (p *Port) Configure(c PortConfig) {
	if c == p.asked {
		return
	}
	mcheck := c.MCheck && !p.asked.MCheck
	p.asked = c
	prio := p.cfg.Priority
	if c.Priority >= 0 && c.Priority <= maxPortPriority {
		prio = c.Priority - c.Priority%portStep
	}
	cost := c.PathCost
	if cost < 1 || cost > maxPathCost {
		cost = p.cfg.PathCost
	}
	number := p.number
	if n := c.Number; n >= 1 && n <= MaxPorts && p.br.port(n) == nil {
		number = n
	}
	if prio != p.cfg.Priority || cost != p.cfg.PathCost || number != p.number {
		p.reselectRole()
	}
	p.cfg = c
	p.cfg.Priority, p.cfg.PathCost = prio, cost
	p.number = number
	p.setID()
	p.br.sortPorts()
	if mcheck && p.br.rstpVersion() {
		p.mcheck = true
	}
	p.portEnabled = p.up && !c.AdminDown
	p.br.step()
}

// SetUp says whether the port's link is up (MAC_Operational, 6.4.2).
func (p *Port) SetUp(up bool) {
	if up == p.up {
		return
	}
	p.up = up
	p.portEnabled = up && !p.cfg.AdminDown
	p.br.step()
}

// Up reports that the port's link is up.
func (p *Port) Up() bool { return p.up }

func (p *Port) setID() { p.id = uint16(p.cfg.Priority)<<8 | uint16(p.number) }

func (p *Port) reselectRole() { p.selected, p.reselect = false, true }

// begin starts the port's machines (17.18.1).
func (p *Port) begin() {
	*p = Port{Name: p.Name, br: p.br, asked: p.asked, cfg: p.cfg, number: p.number, id: p.id, state: p.state, up: p.up, portEnabled: p.portEnabled,
		tx: p.tx, rx: p.rx, errors: p.errors, uptime: p.uptime}
	p.designatedTimes = p.br.ownTimes()
	p.enterDiscard()
	p.enterChecking()
	p.edge = p.cfg.AdminEdge
	p.operEdge = p.edge
	p.newInfo, p.helloWhen = true, helloTime // TRANSMIT_INIT, IDLE
	p.enterDisabledInfo()
	// INIT_PORT
	p.sync, p.reRoot = true, true
	p.rrWhile, p.fdWhile = p.fwdDelay(), p.maxAge()
	p.enterBlocking(roleDisablePort)
	p.enterDiscarding()
	p.enterInactive()
}

// tick is the Port Timers machine (17.22).
func (p *Port) tick() {
	for _, t := range [...]*uint16{&p.helloWhen, &p.tcWhile, &p.fdWhile, &p.rcvdInfoWhile, &p.rrWhile, &p.rbWhile,
		&p.mdelayWhile, &p.edgeDelayWhile, &p.txCount} {
		if *t > 0 {
			*t--
		}
	}
	p.uptime++
}

// Receive takes a BPDU, without Ethernet and LLC, that came in by p.
func (p *Port) Receive(b []byte) {
	if !p.portEnabled || p.rcvdBPDU {
		return
	}
	m, err := bpdu.Parse(b)
	if err == nil && m.Type == bpdu.Config {
		switch {
		case m.MessageAge >= m.MaxAge:
			err = bpdu.Error("config BPDU that is too old")
		case m.BridgeID == p.br.id && m.PortID == p.id:
			err = bpdu.Error("our own config BPDU")
		}
	}
	if err != nil {
		p.errors++
		log.DbgRL(rlFrame, "%s, port %d: Bad STP or RSTP BPDU received: %v", p.br.name, p.number, err)
		return
	}
	if m.Type == bpdu.RST && m.Flags.Role() == bpdu.RoleUnknown {
		m.Type = bpdu.Config // 9.2.9: so the machines treat it
	}
	p.rx++
	p.msg, p.rcvdBPDU = m, true
	p.br.step()
}

// send queues m, whose kind and flags are set, with the port's information.
func (p *Port) send(m bpdu.BPDU) {
	if m.Type != bpdu.TCN {
		v, t := &p.designatedPriority, &p.designatedTimes
		m.RootID, m.RootPathCost, m.BridgeID, m.PortID = v.root, v.cost, v.bridge, v.port
		m.MessageAge, m.MaxAge = toWire(t.messageAge), toWire(t.maxAge)
		m.HelloTime, m.ForwardDelay = toWire(t.helloTime), toWire(t.forwardDelay)
	}
	p.tx++
	p.txCount++
	p.br.frames = append(p.br.frames, Frame{p, m})
}

func toWire(sec uint16) uint16   { return min(sec, 255) * 256 }
func fromWire(v uint16) uint16   { return v / 256 }
func (p *Port) hello() uint16    { return p.designatedTimes.helloTime }
func (p *Port) fwdDelay() uint16 { return p.designatedTimes.forwardDelay }
func (p *Port) maxAge() uint16   { return p.designatedTimes.maxAge }

// forwardDelay is 17.20.5.
func (p *Port) forwardDelay() uint16 {
	if p.sendRSTP {
		return p.hello()
	}
	return p.fwdDelay()
}

func (p *Port) operPointToPoint() bool { return p.cfg.PointToPoint == P2PForceTrue }

// Number returns the port's number.
func (p *Port) Number() int { return p.number }

// State returns the port's state.
func (p *Port) State() State { return p.state }

// Role returns the port's part in the tree.
func (p *Port) Role() Role { return p.role }

// TakeFlush reports that since the last call the topology changed, so that what was
// learned on p is to be forgotten.
func (p *Port) TakeFlush() bool {
	f := p.fdbFlush
	p.fdbFlush = false
	return f
}

// PortStatus is what the database shows of a port.
type PortStatus struct {
	ID                 uint16
	Role               Role
	State              State
	DesignatedBridge   bpdu.ID
	DesignatedPort     uint16
	DesignatedCost     uint32
	Tx, Rx, Errors     uint64
	UptimeSec          uint64
	OperEdge, SendRSTP bool
}

// Status returns the state of the port.
func (p *Port) Status() PortStatus {
	v := &p.portPriority
	return PortStatus{ID: p.id, Role: p.role, State: p.state, DesignatedBridge: v.bridge, DesignatedPort: v.port, DesignatedCost: v.cost,
		Tx: p.tx, Rx: p.rx, Errors: p.errors, UptimeSec: p.uptime, OperEdge: p.operEdge, SendRSTP: p.sendRSTP}
}

// SpeedCost returns the path cost of a link of so many Mb/s (table 17-3).
func SpeedCost(mbps uint64) uint32 {
	for _, s := range [...]struct {
		mbps uint64
		cost uint32
	}{{10000000, 2}, {1000000, 20}, {100000, 200}, {10000, 2000}, {1000, 20000}, {100, 200000}, {10, 2000000}, {1, 20000000}} {
		if mbps >= s.mbps {
			return s.cost
		}
	}
	return DefaultPathCost
}
