// Package rstp is the Rapid Spanning Tree Protocol of one bridge (IEEE 802.1D-2004
// clause 17): BPDUs and time in, BPDUs and port states out.
//
// ofproto's adapter gives it the ports' configuration and link, sends what TakeFrames
// returns, and lets translation follow the states.  The package knows no switches.
//
// Numbers in the comments are clauses of IEEE 802.1D-2004.  The variables of the state
// machines have the standard's names, so that the conditions can be read beside it.
// Where 802.1Q-2005 corrects the machines, they follow it; a comment says so.
//
// # Time
//
// The machines' timers count seconds down (17.22).  Run ticks once a second; when it
// was not called for longer, that is one tick all the same: other bridges' BPDUs that
// waited meanwhile must not count as lost.
package rstp

import (
	"cmp"
	"slices"

	"sluice/internal/vlog"
	"sluice/ofproto/proto/bpdu"
)

var (
	log     = vlog.New("rstp")
	rlFrame = vlog.NewLimiter(1, 5)
	// People set the level of this module, whose messages rstp logs here.
	_ = vlog.New("rstp_sm")
)

// Defaults and limits (17.14).
const (
	DefaultPriority          = 32768
	DefaultPortPriority      = 128
	DefaultPathCost          = 2000 // of a link of 10 Gb/s
	DefaultMaxAgeSec         = 20
	DefaultForwardDelaySec   = 15
	DefaultTransmitHoldCount = 6
	MaxPorts                 = 4095

	maxPriority     = 61440
	priorityStep    = 4096
	maxPortPriority = 240
	portStep        = 16
	maxPathCost     = 200000000

	helloTime   = 2 // s; no other value is allowed
	migrateTime = 3 // s
)

// State is what a port does with frames.
type State uint8

// The states.
const (
	Disabled State = iota // no RSTP on this port
	Discarding
	Learning
	Forwarding
)

var stateNames = [...]string{"Disabled", "Discarding", "Learning", "Forwarding"}

// String returns the state's name.
func (s State) String() string { return stateNames[s] }

// Learns reports that addresses of frames that come in are learned.
func (s State) Learns() bool { return s >= Learning }

// Forwards reports that frames are forwarded.
func (s State) Forwards() bool { return s == Forwarding }

// Role is the part that a port has in the tree (17.7).
type Role uint8

// The roles.
const (
	RoleDisabled Role = iota
	RoleRoot
	RoleDesignated
	RoleAlternate
	RoleBackup
)

var roleNames = [...]string{"Disabled", "Root", "Designated", "Alternate", "Backup"}

// String returns the role's name.
func (r Role) String() string { return roleNames[r] }

// times are the timer parameters that BPDUs carry, in seconds (17.13).
type times struct{ messageAge, maxAge, helloTime, forwardDelay uint16 }

// vector is a priority vector (17.5), less its last part, which is the receiving port.
type vector struct {
	root   bpdu.ID
	cost   uint32
	bridge bpdu.ID
	port   uint16
}

// compare orders vectors; negative: v is better.
func (v *vector) compare(w *vector) int {
	return cmp.Or(cmp.Compare(v.root, w.root), cmp.Compare(v.cost, w.cost), cmp.Compare(v.bridge, w.bridge), cmp.Compare(v.port, w.port))
}

// supersedes reports that v takes the place of w: it is better, or from the same port
// of the same bridge (17.6).
func (v *vector) supersedes(w *vector) bool {
	return v.compare(w) < 0 || v.bridge.Addr() == w.bridge.Addr() && v.port&0xfff == w.port&0xfff
}

// Bridge is the protocol on one bridge.
type Bridge struct {
	name  string
	asked Config // of the last Configure
	cfg   Config // in force
	id    bpdu.ID

	rootPriority vector
	rootTimes    times
	rootPort     *Port // nil: this bridge is the root

	ports  []*Port // by number
	tickAt int64   // ms, of the last tick
	moved  rootMove
	frames []Frame
}

// rootMove says that an alternate port became the root port at once.
type rootMove struct{ from, to *Port }

// Config is the management of a bridge.
type Config struct {
	Address           uint64
	Priority          int // multiples of 4096, up to 61440
	MaxAgeSec         int // 6 to 40
	ForwardDelaySec   int // 4 to 30
	TransmitHoldCount int // 1 to 10
	STPOnly           bool
}

// Frame is a BPDU to be sent.
type Frame struct {
	Port *Port
	BPDU bpdu.BPDU
}

// New returns the protocol of a bridge without ports.
func New(name string, cfg Config, now int64) *Bridge {
	b := &Bridge{name: name, tickAt: now, cfg: Config{Priority: DefaultPriority, MaxAgeSec: DefaultMaxAgeSec,
		ForwardDelaySec: DefaultForwardDelaySec, TransmitHoldCount: DefaultTransmitHoldCount, STPOnly: cfg.STPOnly}}
	b.id = bpdu.NewID(DefaultPriority, 0)
	b.asked = b.cfg
	b.selectRoles()
	b.Configure(cfg)
	return b
}

// Configure changes the configuration.  Values that are not allowed leave what was
// before.
func (b *Bridge) Configure(cfg Config) {
	if cfg == b.asked {
		return
	}
	b.asked = cfg
	c := &b.cfg
	if cfg.STPOnly != c.STPOnly {
		c.STPOnly = cfg.STPOnly
		for _, p := range b.ports {
			p.begin() // 17.13: the protocol starts anew
		}
	}
	if p := cfg.Priority - cfg.Priority%priorityStep; p >= 0 && p <= maxPriority {
		c.Priority = p
	}
	// The relations of 17.14 hold after each step; the order lets both grow or shrink.
	setAge := func() {
		if a := cfg.MaxAgeSec; a >= 6 && a <= 40 && a <= 2*(c.ForwardDelaySec-1) {
			c.MaxAgeSec = a
		}
	}
	setAge()
	if f := cfg.ForwardDelaySec; f >= 4 && f <= 30 && 2*(f-1) >= c.MaxAgeSec {
		c.ForwardDelaySec = f
	}
	setAge()
	if n := cfg.TransmitHoldCount; n >= 1 && n <= 10 && n != c.TransmitHoldCount {
		c.TransmitHoldCount = n
		for _, p := range b.ports {
			p.txCount = 0
		}
	}
	c.Address = cfg.Address
	b.id = bpdu.NewID(uint16(c.Priority), c.Address)
	for _, p := range b.ports {
		p.reselectRole()
	}
	if len(b.ports) == 0 {
		b.selectRoles()
	}
	b.step()
}

// ownTimes are the parameters that hold while this bridge is the root.
func (b *Bridge) ownTimes() times {
	return times{maxAge: uint16(b.cfg.MaxAgeSec), helloTime: helloTime, forwardDelay: uint16(b.cfg.ForwardDelaySec)}
}

// rstpVersion is 17.20.11.
func (b *Bridge) rstpVersion() bool { return !b.cfg.STPOnly }

// Run does what is due at ms now.
func (b *Bridge) Run(now int64) {
	late := now - b.tickAt
	if late < 1000 {
		return
	}
	b.tickAt += 1000
	if late >= 2000 {
		b.tickAt = now
	}
	for _, p := range b.ports {
		p.tick()
	}
	b.step()
}

// Next returns when Run has something to do.
func (b *Bridge) Next() int64 { return b.tickAt + 1000 }

// TopologyChange has the other bridges told of a change of the topology, on all ports
// that are in use (17.21.7, 17.21.18).
func (b *Bridge) TopologyChange() {
	for _, p := range b.ports {
		if p.topologyChange == tcActive {
			p.newTCWhile()
			p.fdbFlush = true
		}
	}
	b.step()
}

// Name returns the bridge's name.
func (b *Bridge) Name() string { return b.name }

// ID returns the bridge's identifier.
func (b *Bridge) ID() bpdu.ID { return b.id }

// IsRoot reports that the bridge takes itself for the root.
func (b *Bridge) IsRoot() bool { return b.rootPort == nil }

// RootPort returns the port to the root; nil: this bridge is the root.
func (b *Bridge) RootPort() *Port { return b.rootPort }

// Status is what the database shows of a bridge.
type Status struct {
	BridgeID, RootID, DesignatedID bpdu.ID
	RootPathCost                   uint32
	DesignatedPort, BridgePort     uint16
}

// Status returns the state of the bridge.
func (b *Bridge) Status() Status {
	v := &b.rootPriority
	s := Status{BridgeID: b.id, RootID: v.root, DesignatedID: v.bridge, RootPathCost: v.cost, DesignatedPort: v.port}
	if b.rootPort != nil {
		s.BridgePort = b.rootPort.id
	}
	return s
}

// TakeFrames returns the BPDUs to be sent since the last call.
func (b *Bridge) TakeFrames() []Frame {
	f := b.frames
	b.frames = nil
	return f
}

// TakeRootMove reports that an alternate port became the root port since the last
// call: what was learned on the old root port is now behind the new one.
func (b *Bridge) TakeRootMove() (from, to *Port, ok bool) {
	m := b.moved
	b.moved = rootMove{}
	return m.from, m.to, m.to != nil
}

// port returns the port with a number, or nil.
func (b *Bridge) port(number int) *Port {
	i, ok := slices.BinarySearchFunc(b.ports, number, func(p *Port, n int) int { return cmp.Compare(p.number, n) })
	if !ok {
		return nil
	}
	return b.ports[i]
}

// freeNumber returns the least port number that is not in use; 0: there is none.
func (b *Bridge) freeNumber() int {
	n := 1
	for _, p := range b.ports {
		if p.number > n {
			break
		}
		n = p.number + 1
	}
	if n > MaxPorts {
		return 0
	}
	return n
}

func (b *Bridge) sortPorts() {
	slices.SortFunc(b.ports, func(x, y *Port) int { return cmp.Compare(x.number, y.number) })
}
