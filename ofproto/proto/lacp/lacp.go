// Package lacp is the Link Aggregation Control Protocol (IEEE 802.1AX, clause 6):
// the ends of links tell each other in LACPDUs which system, port and key they are,
// and from that decide which links may carry the frames of one aggregation.
//
// The switch makes an LACP for each Port row that asks for the protocol.  Frames and
// time go in, frames and the state of links come out; the package sends nothing and
// knows no ports but by the number that its user gives them.
//
// # Differences from the standard
//
// They are Open vSwitch's.  One object does the work of the standard's receive,
// periodic, selection, mux and transmit machines, since links have one aggregator
// only: a link is attached to it or not.  Collecting and distributing go together.
// The aggregator's key is that of the first link.
//
// Thread-safety: none; the control loop owns it.
package lacp

import (
	"slices"

	"sluice/internal/vlog"
)

var (
	log        = vlog.New("lacp")
	rl         = vlog.NewLimiter(1, 5)
	rlLoopback = vlog.NewLimiter(1, 10)
)

// EthType is the type of frames of the slow protocols, to which LACP belongs.
const EthType = 0x8809

// Group is the address that LACPDUs go to.
var Group = [6]byte{0x01, 0x80, 0xc2, 0x00, 0x00, 0x02}

// Times in ms.
const (
	fastTx = 1000
	slowTx = 30000
	// rxFactor is how many PDUs of a partner get lost before that matters.
	rxFactor = 3
)

// Status is how far an aggregation got.
type Status uint8

// The statuses; the zero value is that of ports without LACP.
const (
	Off        Status = iota
	Configured        // no link has a partner
	Negotiated
)

// String returns stock's word.
func (s Status) String() string { return [...]string{"off", "configured", "negotiated"}[s] }

// Config is the configuration of an aggregation.
type Config struct {
	Name        string
	SysID       [6]byte
	SysPriority uint16
	Active      bool // sends without being asked
	Fast        bool // wants a PDU every second, not every 30
	// FallbackAB lets links without a partner carry frames.
	FallbackAB bool
}

// MemberConfig is the configuration of a link.
type MemberConfig struct {
	Name     string
	PortID   uint16
	Priority uint16
	Key      uint16 // 0: PortID
}

// MemberStatus is what the receive machine knows of the partner.
type MemberStatus uint8

// The statuses of members.
const (
	StatusDefaulted MemberStatus = iota // nothing
	StatusExpired                       // it is silent
	StatusCurrent
)

var memberStatusNames = [...]string{"defaulted", "expired", "current"}

// member is a link of an aggregation.
type member struct {
	id       uint64
	cfg      MemberConfig
	status   MemberStatus
	attached bool // may carry frames, as far as this end decides
	carrier  bool
	partner  Info
	told     Info  // what the partner knows of this end
	txAt     int64 // when the next PDU is due, ms
	rxAt     int64 // when the partner is late, ms
	counts   Counts
}

// Counts are the counters of a link.
type Counts struct {
	TxPDUs, RxPDUs, RxBadPDUs, RxMarkers     uint32
	LinkExpired, LinkDefaulted, CarrierFlips uint32
}

// LACP is one aggregation.
type LACP struct {
	cfg        Config
	members    []*member // in the order of Register; the first one's key counts
	negotiated bool
	stale      bool // attached has to be computed anew
	changed    bool
	out        []Frame
}

// Frame is a LACPDU to be sent on a link: the payload of an Ethernet frame.
type Frame struct {
	Member  uint64
	Payload []byte
}

// New returns an aggregation without links.
func New() *LACP { return &LACP{} }

// Configure sets the configuration.
func (l *LACP) Configure(c Config) {
	if c.SysID != l.cfg.SysID || c.SysPriority != l.cfg.SysPriority || c.FallbackAB != l.cfg.FallbackAB {
		l.stale = true
	}
	l.cfg = c
}

// Config returns the configuration.
func (l *LACP) Config() *Config { return &l.cfg }

// Register adds link id or gives it another configuration.
func (l *LACP) Register(id uint64, c MemberConfig, now int64) {
	m := l.find(id)
	if m == nil {
		m = &member{id: id}
		l.members = append(l.members, m)
		l.setDefaulted(m)
	}
	old := m.cfg
	m.cfg = c
	if old.PortID != c.PortID || old.Priority != c.Priority || old.Key != c.Key {
		l.stale = true
		if l.cfg.Active || l.negotiated {
			m.setExpired(now)
		}
	}
}

// Unregister takes link id out.
func (l *LACP) Unregister(id uint64) {
	n := len(l.members)
	l.members = slices.DeleteFunc(l.members, func(m *member) bool { return m.id == id })
	l.stale = l.stale || len(l.members) != n
}

// Members returns the numbers of the links.
func (l *LACP) Members() []uint64 {
	out := make([]uint64, len(l.members))
	for i, m := range l.members {
		out[i] = m.id
	}
	return out
}

func (l *LACP) find(id uint64) *member {
	for _, m := range l.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

// Process takes the payload of a frame that came in on link id.
func (l *LACP) Process(id uint64, payload []byte, now int64) {
	m := l.find(id)
	if m == nil {
		return
	}
	m.counts.RxPDUs++
	pdu, kind := Parse(payload)
	switch kind {
	case Marker:
		m.counts.RxMarkers++
		log.Dbg("%s: received a LACP marker PDU.", l.cfg.Name)
		return
	case Bad:
		m.counts.RxBadPDUs++
		log.WarnRL(rl, "%s: received an unparsable LACP PDU.", l.cfg.Name)
		return
	}
	if !m.carrier {
		// Some devices report a link late.  The partner would be told of a link
		// that is not used yet.
		log.InfoRL(rl, "%s: carrier state is DOWN, dropping received LACP PDU.", m.cfg.Name)
		return
	}
	if m.status != StatusCurrent {
		l.changed = true
	}
	m.status = StatusCurrent
	m.rxAt = now + rxFactor*txPeriod(l.cfg.Fast)
	m.told = pdu.Partner
	if m.partner != pdu.Actor {
		l.stale = true
		m.partner = pdu.Actor
	}
}

func txPeriod(fast bool) int64 {
	if fast {
		return fastTx
	}
	return slowTx
}

// CarrierChanged tells that the carrier of link id changed, if only for a moment.
func (l *LACP) CarrierChanged(id uint64, up bool, now int64) {
	m := l.find(id)
	if m == nil {
		return
	}
	if m.status == StatusCurrent || l.cfg.Active {
		m.setExpired(now)
		l.changed = true
	}
	if m.carrier != up {
		m.carrier = up
		m.counts.CarrierFlips++
	}
}

// CarrierUp tells that link id has a carrier.  Unlike CarrierChanged it says
// nothing of the past.
func (l *LACP) CarrierUp(id uint64) {
	if m := l.find(id); m != nil {
		m.carrier = true
	}
}

// MayEnable reports whether link id may carry frames.
func (l *LACP) MayEnable(id uint64) bool {
	m := l.find(id)
	return m != nil && l.mayEnable(m)
}

func (l *LACP) mayEnable(m *member) bool {
	return m.attached && (m.partner.State&Synchronization != 0 || l.cfg.FallbackAB && m.status == StatusDefaulted)
}

// Current reports whether anything is known of the partner on link id.
func (l *LACP) Current(id uint64) bool {
	m := l.find(id)
	return m != nil && m.status != StatusDefaulted
}

// Status returns how far the aggregation got; l may be nil.
func (l *LACP) Status() Status {
	switch {
	case l == nil:
		return Off
	case l.negotiated:
		return Negotiated
	}
	return Configured
}

// Run does what is due at now and returns the frames to be sent, which are valid
// until the next call; changed reports that the state of a link may have changed
// since the last call.
func (l *LACP) Run(now int64) (out []Frame, changed bool) {
	for _, m := range l.members {
		if now < m.rxAt {
			continue
		}
		switch m.status {
		case StatusCurrent:
			m.setExpired(now)
			m.counts.LinkExpired++
			l.changed = true
		case StatusExpired:
			l.setDefaulted(m)
			m.counts.LinkDefaulted++
		}
	}
	if l.stale {
		l.updateAttached()
	}
	l.out = l.out[:0]
	for _, m := range l.members {
		if l.mayTransmit(m) {
			l.transmit(m, now)
		}
	}
	changed, l.changed = l.changed, false
	return l.out, changed
}

// transmit makes a PDU if it is time or the partner has wrong ideas of this end.
func (l *LACP) transmit(m *member, now int64) {
	actor := l.actor(m)
	if now < m.txAt && actor.agreesWith(&m.told) {
		return
	}
	m.told = actor
	pdu := PDU{Actor: actor, Partner: m.partner}
	l.out = append(l.out, Frame{m.id, pdu.Append(nil)})
	m.counts.TxPDUs++
	m.txAt = now + txPeriod(m.partner.State&Timeout != 0)
}

// agreesWith reports that i and o do not differ in what the partner must know at
// once (IEEE 802.1AX, 6.4.14: need to transmit).
func (i *Info) agreesWith(o *Info) bool {
	const flags = Activity | Timeout | Aggregation | Synchronization
	a, b := *i, *o
	a.State &= flags
	b.State &= flags
	return a == b
}

func (l *LACP) mayTransmit(m *member) bool {
	return m.carrier && (l.cfg.Active || m.status != StatusDefaulted)
}

// Next returns when Run has something to do, ms; ok is false: not before something
// comes in.
func (l *LACP) Next() (at int64, ok bool) {
	if l.stale || l.changed {
		return 0, true
	}
	soonest := func(t int64) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	for _, m := range l.members {
		if l.mayTransmit(m) {
			soonest(m.txAt)
		}
		if m.status != StatusDefaulted {
			soonest(m.rxAt)
		}
	}
	return at, ok
}

func (l *LACP) setDefaulted(m *member) {
	m.partner = Info{}
	m.status = StatusDefaulted
	l.stale = true
}

// setExpired gives the partner a last chance, quickly, to answer.
func (m *member) setExpired(now int64) {
	m.status = StatusExpired
	m.partner.State |= Timeout
	m.partner.State &^= Synchronization
	m.rxAt = now + rxFactor*fastTx
}

// key returns the key of the aggregation.
func (l *LACP) key() uint16 {
	if c := &l.members[0].cfg; c.Key != 0 {
		return c.Key
	}
	return l.members[0].cfg.PortID
}

// actor returns this end of m.
func (l *LACP) actor(m *member) Info {
	s := State(0)
	set := func(bits State, on bool) {
		if on {
			s |= bits
		}
	}
	set(Activity, l.cfg.Active)
	set(Timeout, l.cfg.Fast)
	set(Aggregation, len(l.members) > 1)
	set(Synchronization, m.attached)
	set(Collecting|Distributing, m.attached || !l.negotiated)
	set(Defaulted, m.status == StatusDefaulted)
	set(Expired, m.status == StatusExpired)
	return Info{SysPriority: l.cfg.SysPriority, SysID: l.cfg.SysID, Key: l.key(),
		PortPriority: m.cfg.Priority, PortID: m.cfg.PortID, State: s}
}
