package cfm

import (
	"maps"
	"math"
	"slices"
	"strings"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
)

// Override is what an operator has set in place of the monitor's own judgement.
type Override uint8

// The overrides.
const (
	Normal Override = iota
	ForceFault
	ForceNoFault
)

// Env is what a monitor needs from outside.
type Env struct {
	// Rand returns a number of [0, n).
	Rand func(n int) int
	// RxPackets returns how many packets the port has received so far.
	RxPackets func() uint64
}

// Monitor is a maintenance point on a port.  Its times are in ms.
type Monitor struct {
	name string // of the interface
	env  Env
	cfg  Config

	rate       uint8 // code of the interval in CCMs, 0: intervalMs says it all
	intervalMs int

	seq      uint32
	txAt     int64 // when a CCM is due
	lastTx   int64
	faultAt  int64 // when the remote points are judged
	isBooted bool  // they were, once

	fault     Fault
	recvFault Fault // of CCMs since the last judgement
	override  Override
	flaps     uint64
	changed   bool

	remotes  map[uint64]*remote
	mpids    []uint64 // of those heard as of the last judgement, sorted
	remoteUp bool

	health     int // percent, -1: not known
	nIntervals int // judgements since health was computed

	rxPackets uint64 // as of the last judgement (demand mode)
	demandBy  int64  // when a CCM has to have come (demand mode)
}

// remote is a maintenance point at the other end.
type remote struct {
	recv    bool // a CCM came since the last judgement
	opDown  bool
	seq     uint32
	nHealth int // good CCMs since health was computed
	lastRx  int64
}

const (
	maxRemotes = 256
	// healthIntervals is how many fault intervals the health is computed over.
	healthIntervals = 6
	// minDemandMs is the least interval that faults are judged by in demand mode: so
	// that counters of received packets have time to come in.
	minDemandMs = 500
	// demandFactor times the interval is how long data can stand in for CCMs.
	demandFactor = 100
)

// New makes a monitor.  cfg must be valid.
func New(name string, cfg Config, env Env, now int64) *Monitor {
	m := &Monitor{name: name, env: env, remotes: map[uint64]*remote{}, remoteUp: true, health: -1, changed: true}
	m.Configure(cfg, now)
	return m
}

// Config returns what the monitor was last configured with.
func (m *Monitor) Config() *Config { return &m.cfg }

// Configure changes the configuration, which must be valid.  A new interval begins at
// once.
func (m *Monitor) Configure(cfg Config, now int64) {
	cfg.Demand = cfg.Demand && cfg.Extended
	cfg.PCP &= 7
	if cfg.Demand && !m.cfg.Demand {
		m.rxPackets = m.env.RxPackets()
	}
	m.cfg = cfg
	rate := rateOf(cfg.IntervalMs)
	ms := rateMs[rate]
	if cfg.Extended && ms != cfg.IntervalMs {
		rate, ms = 0, min(cfg.IntervalMs, math.MaxUint16)
	}
	if rate != m.rate || ms != m.intervalMs {
		m.rate, m.intervalMs = rate, ms
		m.txAt, m.faultAt = now, now+m.faultInterval()
	}
}

// SetOverride replaces the monitor's judgement, or gives it back.
func (m *Monitor) SetOverride(o Override) {
	m.override = o
	m.changed = true
}

// faultInterval is three and a half intervals (IEEE 802.1ag clause 20.16.1).  All
// points of an association are taken to have the same interval.
func (m *Monitor) faultInterval() int64 {
	ms := m.intervalMs
	if m.cfg.Demand {
		ms = max(ms, minDemandMs)
	}
	return int64(ms) * 7 / 2
}

// Next returns when Run or AppendFrame has something to do.
func (m *Monitor) Next() int64 { return min(m.txAt, m.faultAt) }

// ShouldSend reports that a CCM is due.
func (m *Monitor) ShouldSend(now int64) bool { return now >= m.txAt }

// AppendFrame appends the frame to send now, from a port with address src, and has
// the next one be due an interval later.
func (m *Monitor) AppendFrame(b []byte, src flow.MAC, now int64) []byte {
	m.txAt = now + int64(m.intervalMs)
	vlan := m.cfg.VLAN
	if vlan == RandomVLAN {
		vlan = uint16(m.env.Rand(vlanVID + 1))
	}
	tci := vlan&vlanVID | uint16(m.cfg.PCP)<<13
	m.seq++
	c := CCM{Opcode: opcodeCCM, Seq: m.seq, Rate: m.rate, MPID: uint16(m.cfg.MPID), MAID: maid,
		RDI: m.isBooted && len(m.remotes) == 0}
	if m.cfg.Extended {
		c.MPID, c.MPID64, c.OpDown = uint16(flow.HashUint64(m.cfg.MPID, 0)), m.cfg.MPID, m.cfg.OpDown
	}
	if m.rate == 0 {
		c.IntervalMs = uint16(m.intervalMs)
	}
	if late := now - m.lastTx; m.lastTx != 0 && late > int64(m.intervalMs*3/2) {
		log.Info("%s: long delay of %dms (expected %dms) sending CCM seq %d", m.name, late, m.intervalMs, m.seq)
	}
	m.lastTx = now
	return c.Append(appendHeader(b, m.cfg.dst(), src, tci))
}

// Receive takes a frame that came in by the monitor's port and that Match says is the
// monitor's.
//
// By the standard a CCM with another interval or from another association is a fault.
// Faults can have costly consequences and such CCMs are easily made, so another
// interval is only logged.
func (m *Monitor) Receive(frame []byte, now int64) {
	b, src, ok := payload(frame)
	c, whole := Decode(b)
	switch {
	case !ok || !whole:
		log.InfoRL(rlCFM, "%s: Received an unparseable 802.1ag CCM heartbeat.", m.name)
	case c.Opcode != opcodeCCM:
		log.InfoRL(rlCFM, "%s: Received an unsupported 802.1ag message. (opcode %d)", m.name, c.Opcode)
	case c.MAID != maid:
		m.recvFault |= FaultMAID
		log.WarnRL(rlCFM, "%s: Received unexpected remote MAID from MAC %s", m.name, macText(src))
	default:
		m.accept(&c, src, now)
	}
}

func (m *Monitor) accept(c *CCM, src flow.MAC, now int64) {
	mpid, opDown := uint64(c.MPID), false
	if m.cfg.Extended {
		mpid, opDown = c.MPID64, c.OpDown
	}
	if c.Rate != m.rate {
		log.WarnRL(rlCFM, "%s: received a CCM with an unexpected interval (%d) from RMP %d", m.name, c.Rate, mpid)
	}
	if m.cfg.Extended && c.Rate == 0 && int(c.IntervalMs) != m.intervalMs {
		log.WarnRL(rlCFM, "%s: received a CCM with an unexpected extended interval (%dms) from RMP %d",
			m.name, c.IntervalMs, mpid)
	}
	fault := Fault(0)
	if c.RDI {
		fault |= FaultRDI
		log.Dbg("%s: RDI bit flagged from RMP %d", m.name, mpid)
	}
	log.Dbg("%s: received CCM (seq %d) (mpid %d) (interval %d) (RDI %t)", m.name, c.Seq, mpid, c.Rate, c.RDI)
	r := m.remotes[mpid]
	if r == nil && len(m.remotes) >= maxRemotes {
		m.recvFault |= fault | FaultOverflow
		log.WarnRL(rlCFM, "%s: dropped CCM with MPID %d from MAC %s", m.name, mpid, macText(src))
		return
	}
	if r == nil {
		r = &remote{}
		m.remotes[mpid] = r
	}
	if mpid == m.cfg.MPID {
		fault |= FaultLoopback
		log.WarnRL(rlCFM, "%s: received CCM with local MPID %d", m.name, mpid)
	}
	if r.seq != 0 && c.Seq != r.seq+1 {
		log.WarnRL(rlCFM, "%s: (mpid %d) detected sequence numbers which indicate possible connectivity problems"+
			" (previous %d) (current %d)", m.name, mpid, r.seq, c.Seq)
	}
	if fault == 0 {
		r.nHealth++
		m.demandBy = now + demandFactor*int64(m.intervalMs)
	}
	m.recvFault |= fault
	r.recv, r.seq, r.opDown, r.lastRx = true, c.Seq, opDown, now
}

// Run judges the remote points when a fault interval is over.
func (m *Monitor) Run(now int64) {
	if now < m.faultAt {
		return
	}
	fault, health, remoteUp := m.fault, m.health, m.remoteUp
	nMPIDs := len(m.mpids)
	m.fault, m.recvFault = m.recvFault, 0
	m.judgeHealth()
	gone := m.judgeRemotes(m.demandMet(now), now)
	if len(m.remotes) == 0 {
		m.fault |= FaultRecv
	}
	if m.fault != fault {
		if !log.ShouldDrop(vlog.Info, rlCFM) {
			log.Info("%s: CFM faults changed from [%s] to [%s].", m.name, fault.text(), m.fault.text())
		}
		if fault == 0 || m.fault == 0 {
			m.flaps++
		}
	}
	if m.fault != fault || m.health != health || m.remoteUp != remoteUp || len(m.mpids) != nMPIDs || gone {
		m.changed = true
	}
	m.isBooted = true
	m.faultAt = now + m.faultInterval()
	log.Dbg("%s: new fault interval", m.name)
}

// judgeHealth computes the share of CCMs that came of those that a single remote point
// should have sent in healthIntervals fault intervals.
func (m *Monitor) judgeHealth() {
	if m.nIntervals == healthIntervals {
		m.nIntervals = 0
		m.health = 0
		if len(m.remotes) > 1 {
			m.health = -1
		} else {
			for _, r := range m.remotes {
				m.health = min(r.nHealth*100/(healthIntervals*7/2), 100)
				r.nHealth = 0
			}
		}
	}
	m.nIntervals++
}

// demandMet reports that data that came in stands in for CCMs that did not.
func (m *Monitor) demandMet(now int64) bool {
	if !m.cfg.Demand {
		return false
	}
	before := m.rxPackets
	m.rxPackets = m.env.RxPackets()
	return len(m.remotes) == 1 && m.rxPackets > before && now < m.demandBy
}

// judgeRemotes forgets the points that were not heard of, unless keep is set, and
// reports whether there were any.
func (m *Monitor) judgeRemotes(keep bool, now int64) (gone bool) {
	up, down := false, false
	m.mpids = m.mpids[:0]
	for _, mpid := range m.sorted() {
		r := m.remotes[mpid]
		if !r.recv {
			log.Info("%s: Received no CCM from RMP %d in the last %dms", m.name, mpid, now-r.lastRx)
			if !keep {
				gone = true
				delete(m.remotes, mpid)
			}
			continue
		}
		r.recv = false
		up, down = up || !r.opDown, down || r.opDown
		m.mpids = append(m.mpids, mpid)
	}
	if up || down {
		m.remoteUp = !down
	}
	return gone
}

func (m *Monitor) sorted() []uint64 { return slices.Sorted(maps.Keys(m.remotes)) }

func (f Fault) text() string { return strings.Join(f.Reasons(), " ") }
