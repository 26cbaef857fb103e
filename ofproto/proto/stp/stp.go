// Package stp is the Spanning Tree Protocol of one bridge (IEEE 802.1D-1998 clause 8):
// BPDUs and time in, BPDUs and port states out.
//
// ofproto's adapter gives it the ports' configuration and carrier, sends what Frames
// returns, and lets translation follow the states.  The package knows no switches.
//
// Numbers in the comments are clauses of IEEE 802.1D-1998.
//
// # Time
//
// Every method that may start a timer takes the time, in milliseconds.  A timer of the
// standard counts up from zero; here it is the moment at which it was zero, so that
// ages are exact whenever Run is called.
package stp

import (
	"cmp"
	"slices"

	"sluice/internal/vlog"
	"sluice/ofproto/proto/bpdu"
)

var (
	log     = vlog.New("stp")
	rlTopo  = vlog.NewLimiter(1, 5)
	rlFrame = vlog.NewLimiter(60, 60)
)

// Defaults.
const (
	DefaultPriority     = 32768
	DefaultPortPriority = 128
	DefaultPathCost     = 2 // of a link of 10 Gb/s
	DefaultMaxAgeMs     = 20000
	DefaultHelloMs      = 2000
	DefaultForwardMs    = 15000
	MaxPorts            = 255
)

const (
	holdMs = 1000 // Hold Time: the shortest time between two BPDUs on a port
	// ageIncrement is the Message Age Increment Overestimate, in 1/256 s.
	ageIncrement = 1
)

// State is what a port does with frames (8.4).
type State uint8

// The states.
const (
	Disabled State = iota
	Blocking
	Listening
	Learning
	Forwarding
)

var stateNames = [...]string{"disabled", "blocking", "listening", "learning", "forwarding"}

// String returns the state's name in lower case.
func (s State) String() string { return stateNames[s] }

// Learns reports that addresses of frames that come in are learned.
func (s State) Learns() bool { return s >= Learning }

// Forwards reports that frames are forwarded.
func (s State) Forwards() bool { return s == Forwarding }

// Role is the part that a port has in the tree.
type Role uint8

// The roles.
const (
	RoleDisabled Role = iota
	RoleRoot
	RoleDesignated
	RoleAlternate
)

var roleNames = [...]string{"disabled", "root", "designated", "alternate"}

// String returns the role's name in lower case.
func (r Role) String() string { return roleNames[r] }

// timer is a timer of the standard: on, it was zero at ms at.
type timer struct {
	at int64
	on bool
}

func (t *timer) start(now int64) { *t = timer{now, true} }
func (t *timer) stop()           { t.on = false }

// expired reports that t has reached ms limit, and stops it then.
func (t *timer) expired(now, limit int64) bool {
	if !t.on || now-t.at < limit {
		return false
	}
	t.on = false
	return true
}

// times are the parameters that the root gives all bridges, in ms.
type times struct{ maxAge, hello, forward int64 }

// Bridge is the protocol on one bridge (8.5.3).
type Bridge struct {
	name  string
	id    bpdu.ID
	ports []*Port // by number

	asked     times // what the configuration wants
	own, used times // Bridge Max Age etc. (8.5.3.8-10); those in force (8.5.3.4-6)

	root     bpdu.ID // Designated Root
	rootCost uint32  // Root Path Cost
	rootPort *Port   // nil: this bridge is the root

	changeDetected, change bool // Topology Change Detected, Topology Change

	hello, tcn, changeTimer timer

	flush  bool // addresses are to be forgotten
	frames []Frame
}

// Frame is a BPDU to be sent.
type Frame struct {
	Port *Port
	BPDU bpdu.BPDU
}

// Port is a port that takes part in the protocol (8.5.5).
type Port struct {
	Name string // for people

	br       *Bridge
	no       int
	id       uint16
	state    State
	pathCost uint32

	// What the best BPDU on the port's LAN says: received, or our own.
	root       bpdu.ID
	cost       uint32
	designated bpdu.ID
	desPort    uint16

	ack, pending bool // Topology Change Acknowledge, Configuration Pending

	messageAge, forwardDelay, hold timer

	tx, rx, errors uint64
}

// New returns the protocol of a bridge without ports.  A priority of 0 is the
// highest.
func New(name string, id bpdu.ID, now int64) *Bridge {
	b := &Bridge{name: name, id: id, root: id, asked: times{DefaultMaxAgeMs, DefaultHelloMs, DefaultForwardMs}}
	b.updateTimes()
	b.hello.start(now)
	return b
}

// SetID changes the bridge's identifier.
func (b *Bridge) SetID(id bpdu.ID, now int64) {
	if id == b.id {
		return
	}
	wasRoot := b.IsRoot()
	for _, p := range b.enabled() {
		if p.isDesignated() {
			p.designated = id
		}
	}
	b.id = id
	b.update(now)
	if !wasRoot && b.IsRoot() {
		b.becomeRoot(now)
	}
}

// SetTimes sets hello time, maximum age and forward delay, in ms, which hold while
// this bridge is the root.  They are brought into the ranges and relations that
// 8.10.2 asks for.
func (b *Bridge) SetTimes(helloMs, maxAgeMs, forwardMs int64) {
	b.asked = times{maxAgeMs, helloMs, forwardMs}
	b.updateTimes()
}

func (b *Bridge) updateTimes() {
	hello := min(max(b.asked.hello, 1000), 10000)
	age := min(max(b.asked.maxAge, 2*(hello+1000), 6000), 40000)
	b.own = times{maxAge: age, hello: hello, forward: min(max(b.asked.forward, age/2+1000), 30000)}
	if b.IsRoot() {
		b.used = b.own
	}
}

// AddPort adds a port by its number, from 0 below MaxPorts, that must be free.  It is
// disabled.
func (b *Bridge) AddPort(no int, name string) *Port {
	p := &Port{Name: name, br: b, no: no, id: DefaultPortPriority<<8 | uint16(no+1), pathCost: DefaultPathCost}
	p.becomeDesignated()
	b.ports = append(b.ports, p)
	slices.SortFunc(b.ports, func(x, y *Port) int { return cmp.Compare(x.no, y.no) })
	return p
}

// Remove disables p and takes it out of its bridge.
func (p *Port) Remove(now int64) {
	p.Disable(now)
	p.br.ports = slices.DeleteFunc(p.br.ports, func(x *Port) bool { return x == p })
}

// Enable has a disabled port take part: its link is up (8.8.2).
func (p *Port) Enable(now int64) {
	if p.state != Disabled {
		return
	}
	*p = Port{Name: p.Name, br: p.br, no: p.no, id: p.id, pathCost: p.pathCost, state: Blocking}
	p.becomeDesignated()
	p.br.selectStates(now)
}

// Disable has p not take part: its link is down (8.8.3).
//
// The standard has no topology change here, but hosts that were behind p may turn up
// elsewhere at once, and other bridges know them in our direction.
func (p *Port) Disable(now int64) {
	if p.state == Disabled {
		return
	}
	b, learned := p.br, p.state.Learns()
	wasRoot := b.IsRoot()
	p.becomeDesignated()
	p.state = Disabled
	p.ack, p.pending = false, false
	p.messageAge.stop()
	p.forwardDelay.stop()
	p.hold.stop()
	b.update(now)
	switch {
	case !wasRoot && b.IsRoot():
		b.becomeRoot(now)
	case learned:
		b.TopologyChange(now)
	}
}

// SetPriority sets the port's priority; lower is better (8.8.5).
func (p *Port) SetPriority(priority uint8, now int64) {
	id := uint16(priority)<<8 | p.id&0xff
	if id == p.id {
		return
	}
	if p.isDesignated() {
		p.desPort = id
	}
	p.id = id
	if p.br.id == p.designated && p.id < p.desPort {
		p.becomeDesignated()
		p.br.selectStates(now)
	}
}

// SetPathCost sets what the port adds to the cost of paths to the root (8.8.6).
func (p *Port) SetPathCost(cost uint32, now int64) {
	if cost != p.pathCost {
		p.pathCost = cost
		p.br.update(now)
	}
}

// SpeedCost returns the path cost of a link of so many Mb/s.
func SpeedCost(mbps uint64) uint32 {
	for _, s := range [...]struct {
		mbps uint64
		cost uint32
	}{{10000, 2}, {1000, 4}, {100, 19}, {16, 62}, {10, 100}, {4, 250}} {
		if mbps >= s.mbps {
			return s.cost
		}
	}
	return DefaultPathCost
}

// Name returns the bridge's name.
func (b *Bridge) Name() string { return b.name }

// ID returns the bridge's identifier.
func (b *Bridge) ID() bpdu.ID { return b.id }

// Root returns the identifier of the root, and the cost of the path to it.
func (b *Bridge) Root() (bpdu.ID, uint32) { return b.root, b.rootCost }

// IsRoot reports that the bridge takes itself for the root.
func (b *Bridge) IsRoot() bool { return b.id == b.root }

// Bridge returns the bridge that p is a port of.
func (p *Port) Bridge() *Bridge { return p.br }

// Number returns the port's number in its bridge.
func (p *Port) Number() int { return p.no }

// ID returns the port's identifier: priority and number + 1.
func (p *Port) ID() uint16 { return p.id }

// State returns the port's state.
func (p *Port) State() State { return p.state }

// Counts returns how many BPDUs went out, came in, and were bad.
func (p *Port) Counts() (tx, rx, errors uint64) { return p.tx, p.rx, p.errors }

// Role returns the port's part in the tree.
func (p *Port) Role() Role {
	switch {
	case p.state == Disabled:
		return RoleDisabled
	case p == p.br.rootPort:
		return RoleRoot
	case p.isDesignated():
		return RoleDesignated
	}
	return RoleAlternate
}

// TakeFrames returns the BPDUs to be sent since the last call.
func (b *Bridge) TakeFrames() []Frame {
	f := b.frames
	b.frames = nil
	return f
}

// TakeFlush reports that since the last call the topology changed, so that all
// learned addresses are to be forgotten.
func (b *Bridge) TakeFlush() bool {
	f := b.flush
	b.flush = false
	return f
}

func (b *Bridge) enabled() []*Port {
	out := make([]*Port, 0, len(b.ports))
	for _, p := range b.ports {
		if p.state != Disabled {
			out = append(out, p)
		}
	}
	return out
}
