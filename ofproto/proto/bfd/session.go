package bfd

import (
	"math"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
)

// Override is what an operator has set in place of the session's own judgement.
type Override uint8

// The overrides.
const (
	Normal Override = iota
	ForceForwarding
	ForceBlocked
)

// Env is what a session needs from outside.
type Env struct {
	// Rand returns a number of [0, n).
	Rand func(n int) int
	// RxPackets returns how many packets the port has received so far.
	RxPackets func() uint64
}

// Session is a BFD session.  Its times are in ms.
type Session struct {
	name string // of the interface, for messages
	id   Identity
	env  Env
	cfg  Config

	state State // bfd.SessionState
	diag  Diag  // bfd.LocalDiag
	flags Flags // of the next packet

	remote struct {
		state        State // bfd.RemoteSessionState
		diag         Diag
		flags        Flags
		disc         uint32 // bfd.RemoteDiscr
		mult         uint8
		minRx, minTx int64 // bfd.RemoteMinRxInterval
	}

	minTx, minRx         int64 // bfd.DesiredMinTxInterval, bfd.RequiredMinRxInterval
	pollMinTx, pollMinRx int64 // what they become when the poll sequence ends

	lastTx, nextTx int64 // nextTx 0: at once
	detectAt       int64 // RFC 5880 section 6.8.4

	forwarding bool
	flaps      uint64
	override   Override
	changed    bool

	decay decay
	rx    rxLife
}

// decay is the state of asking for fewer packets on an idle link.
type decay struct {
	on        bool
	nControl  int    // control packets since checkAt was set
	rxPackets uint64 // packets of any kind when checkAt was set
	checkAt   int64
}

// rxLife is the state of taking any packet for a sign of life.
type rxLife struct {
	packets   uint64 // as of the last look at the counter
	lookAt    int64
	liveUntil int64 // by packets of any kind
	demandBy  int64 // when a control packet has to have come
}

const (
	// lookMs is how often the counter of received packets is read; stock sees it as
	// often as its revalidators dump the flows.
	lookMs = 500
	// minLifeMs is the least time that a received packet proves life for, and that an
	// idle link is observed for.
	minLifeMs = 2000
	// demandFactor times MinRx is how long a session forwards without control packets.
	demandFactor = 100
	// slowTxMs is the least interval while a session is not up (RFC 5880 section 6.8.3).
	slowTxMs = 1000
)

// New makes a session that is down and sends its first packet at once.
func New(name string, id Identity, cfg Config, env Env, now int64) *Session {
	s := &Session{name: name, id: id, env: env, minTx: slowTxMs}
	s.setState(Down, DiagNone, now)
	s.rx.packets = env.RxPackets()
	s.changed = true
	s.Configure(cfg, now)
	return s
}

// ID returns what New was given.
func (s *Session) ID() Identity { return s.id }

// Config returns what the session was last configured with.
func (s *Session) Config() *Config { return &s.cfg }

// Configure changes the configuration.  New intervals are negotiated by a poll
// sequence if the session is up (RFC 5880 section 6.8.3).
func (s *Session) Configure(cfg Config, now int64) {
	old := s.cfg
	s.cfg = cfg
	poll := false
	if cfg.MinTx != old.MinTx {
		poll = true
		if s.state != Up || !s.polling() && cfg.MinTx < s.minTx {
			s.minTx = cfg.MinTx
		}
	}
	if cfg.MinRx != old.MinRx {
		poll = true
		if s.state != Up || !s.polling() && cfg.MinRx > s.minRx {
			s.minRx = cfg.MinRx
		}
	}
	if cfg.DecayMinRx > 0 && cfg.DecayMinRx < cfg.MinRx {
		log.Warn("%s: decay_min_rx cannot be less than %d ms", s.name, cfg.MinRx)
		s.cfg.DecayMinRx = 0
	}
	if s.cfg.DecayMinRx != old.DecayMinRx || cfg.MinRx != old.MinRx {
		poll = true
		s.decay.on = false
		s.observe(now)
	}
	if cfg.CpathDown != old.CpathDown {
		poll = true
		s.setState(s.state, DiagNone, now)
	}
	switch {
	case cfg.ForwardingIfRx != old.ForwardingIfRx:
		s.rx.liveUntil, s.rx.lookAt, s.rx.packets = 0, now+lookMs, s.env.RxPackets()
		if s.state == Up && cfg.ForwardingIfRx {
			s.extendLife(now)
		}
	case s.state == Up && cfg.ForwardingIfRx && cfg.Mult != old.Mult:
		s.extendLife(now)
	}
	if poll {
		s.poll()
	}
}

// SetOverride replaces the session's judgement, or gives it back.
func (s *Session) SetOverride(o Override) {
	s.override = o
	s.changed = true
}

// Run does what is due at now: it notices that the other end is silent or that the
// link is idle.
func (s *Session) Run(now int64) {
	wasDecayed := s.decay.on
	s.lookRx(now)
	if s.state > Down && now >= s.detectAt {
		s.setState(Down, DiagExpired, now)
	}
	s.Forwarding(now)
	if s.state == Up && s.cfg.DecayMinRx > 0 && now >= s.decay.checkAt {
		s.tryDecay(now)
	}
	if s.minTx != s.cfg.MinTx || s.minRx != s.cfg.MinRx && s.minRx != s.cfg.DecayMinRx || s.decay.on != wasDecayed {
		s.poll()
	}
}

// Next returns when Run or AppendFrame has something to do.
func (s *Session) Next() int64 {
	if s.flags&FlagFinal != 0 {
		return 0
	}
	next := s.nextTx
	if s.state > Down {
		next = min(next, s.detectAt)
	}
	if s.cfg.ForwardingIfRx {
		next = min(next, s.rx.lookAt)
	}
	return next
}

// ShouldSend reports that a packet is due.
func (s *Session) ShouldSend(now int64) bool { return s.flags&FlagFinal != 0 || now >= s.nextTx }

// AppendFrame appends the frame to send now, from a port with address src, and has
// the next one be due an interval later.
func (s *Session) AppendFrame(b []byte, src flow.MAC, now int64) []byte {
	if late := now - s.nextTx; s.nextTx != 0 && late > s.txInterval()*3/2 {
		log.Info("%s: long delay of %dms (expected %dms) sending BFD control message", s.name, late, s.txInterval())
	}
	h := header{ethSrc: src, ethDst: DefaultDstMAC, ipSrc: s.cfg.SrcIP, ipDst: s.cfg.DstIP, udpSrc: s.id.UDPSrc}
	if s.cfg.LocalSrcMAC != (flow.MAC{}) {
		h.ethSrc = s.cfg.LocalSrcMAC
	}
	if s.cfg.LocalDstMAC != (flow.MAC{}) {
		h.ethDst = s.cfg.LocalDstMAC
	}
	minTx, minRx := s.desiredMinTx(), s.minRx
	if s.polling() {
		minTx, minRx = s.pollMinTx, s.pollMinRx
	}
	p := Packet{Version: Version, Diag: s.diag, State: s.state, Flags: s.flags, Mult: s.cfg.Mult, Length: PacketSize,
		MyDisc: s.id.Disc, YourDisc: s.remote.disc, MinTx: micros(minTx), MinRx: micros(minRx)}
	b = p.Append(h.append(b))
	s.flags &^= FlagFinal
	if log.DbgEnabled() {
		s.logPacket(&p, "Sending BFD Message", now)
	}
	s.lastTx = now
	s.setNextTx()
	return b
}

// micros converts ms to what a packet can carry.
func micros(ms int64) uint32 { return uint32(min(ms*1000, math.MaxUint32)) }

// Receive takes a frame that came in by the session's port and that Match says is
// the session's.  A control packet that must not be heeded is only logged.
func (s *Session) Receive(frame []byte, now int64) {
	b, ttl, ok := payload(frame)
	if !ok {
		return
	}
	s.decay.nControl++
	s.Forwarding(now)
	// RFC 5881 section 5: a packet that was forwarded comes from elsewhere.
	if ttl == 255 {
		s.receive(b, now)
	}
	s.Forwarding(now)
}

func (s *Session) receive(b []byte, now int64) {
	p, ok := Decode(b)
	if !ok {
		log.InfoRL(rlBFD, "%s: Received too-short BFD control message (only %d bytes long, at least %d required).",
			s.name, len(b), PacketSize)
		return
	}
	if log.DbgEnabled() {
		s.logPacket(&p, "Received BFD control message", now)
	}
	if fault := p.check(s.id.Disc); fault != "" {
		s.warnPacket(&p, fault, now)
		return
	}
	if p.Length > PacketSize {
		s.warnPacket(&p, badLength, now)
	}
	s.accept(&p, now)
}

// accept takes over what a valid packet says (RFC 5880 section 6.8.6).
func (s *Session) accept(p *Packet, now int64) {
	r := &s.remote
	if r.state != p.State {
		s.changed = true
	}
	r.disc, r.state, r.flags, r.diag = p.MyDisc, p.State, p.Flags, p.Diag
	if p.Flags&FlagFinal != 0 && s.polling() {
		s.minTx, s.minRx = s.pollMinTx, s.pollMinRx
		s.flags &^= FlagPoll
		s.infoPacket(p, "Poll sequence terminated", now)
	}
	if p.Flags&FlagPoll != 0 {
		// Answered at once; a packet has only one of the two flags (section 6.5).
		s.flags = s.flags&^FlagPoll | FlagFinal
	}
	if r.mult != p.Mult {
		log.Info("Interface %s remote mult value %d changed to %d", s.name, r.mult, p.Mult)
		r.mult = p.Mult
	}
	if minRx := int64(max(p.MinRx/1000, 1)); r.minRx != minRx {
		r.minRx = minRx
		if s.nextTx != 0 {
			s.setNextTx()
		}
		s.infoPacket(p, "New remote min_rx", now)
	}
	r.minTx = int64(max(p.MinTx/1000, 1))
	s.detectAt = now + s.rxInterval()*int64(r.mult)
	s.transition(p, now)
	if s.cfg.ForwardingIfRx {
		s.rx.demandBy = now + demandFactor*s.cfg.MinRx
	}
}

// transition is the state machine of RFC 5880 section 6.2.
func (s *Session) transition(p *Packet, now int64) {
	switch {
	case p.State == AdminDown:
		if s.state != Down {
			s.setState(Down, DiagRemoteDown, now)
		}
	case s.state == Down && p.State == Down:
		s.setState(Init, s.diag, now)
	case s.state == Down && p.State == Init, s.state == Init && p.State > Down:
		s.setState(Up, s.diag, now)
	case s.state == Up && p.State == Down:
		s.setState(Down, DiagRemoteDown, now)
		s.infoPacket(p, "Remote signaled STATE_DOWN", now)
	}
}

// setState changes the state.  A session that is down forgets the other end.
func (s *Session) setState(st State, d Diag, now int64) {
	if s.cfg.CpathDown {
		d = DiagConcatenatedDown
	}
	if s.state == st && s.diag == d {
		return
	}
	if !log.ShouldDrop(vlog.Info, rlBFD) {
		log.Info("%s: BFD state change: %s->%s \"%s\"->\"%s\".\n%s", s.name, s.state, st, s.diag, d, s.details(now))
	}
	s.state, s.diag = st, d
	if st <= Down {
		r := &s.remote
		r.state, r.diag, r.flags, r.disc, r.minRx, r.minTx = Down, DiagNone, 0, 0, 1, 0
		if s.decay.on {
			s.minRx, s.decay.on = s.cfg.MinRx, false
		}
	}
	if st == Up && s.cfg.DecayMinRx != 0 {
		s.observe(now)
	}
	s.changed = true
}

// polling reports that a poll sequence is under way (RFC 5880 section 6.5).
func (s *Session) polling() bool { return s.flags&FlagPoll != 0 }

// poll begins a poll sequence, unless the session is down or already has one or owes
// an answer; Run tries again.
func (s *Session) poll() {
	if s.state <= Down || s.flags&(FlagPoll|FlagFinal) != 0 {
		return
	}
	s.pollMinTx, s.pollMinRx = s.cfg.MinTx, s.cfg.MinRx
	if s.decay.on {
		s.pollMinRx = s.cfg.DecayMinRx
	}
	s.flags |= FlagPoll
	s.nextTx = 0
	log.InfoRL(rlBFD, "%s: Initiating poll sequence", s.name)
}

// desiredMinTx is bfd.DesiredMinTxInterval, which is long until the session is up.
func (s *Session) desiredMinTx() int64 {
	if s.state == Up {
		return s.minTx
	}
	return max(s.minTx, slowTxMs)
}

func (s *Session) txInterval() int64 { return max(s.desiredMinTx(), s.remote.minRx) }

func (s *Session) rxInterval() int64 { return max(s.minRx, s.remote.minTx) }

// setNextTx takes up to 25 % from the interval, and at least 10 % if the other end
// does without detection by several packets (RFC 5880 section 6.8.7).
func (s *Session) setNextTx() {
	interval := s.txInterval()
	percent := int64(s.env.Rand(26))
	if s.cfg.Mult == 1 {
		percent = 10 + int64(s.env.Rand(16))
	}
	s.nextTx = s.lastTx + interval - interval*percent/100
}

// Forwarding reports whether the port may be used, and counts a change of that.
func (s *Session) Forwarding(now int64) bool {
	if s.override != Normal {
		return s.override == ForceForwarding
	}
	alive := s.state == Up || s.cfg.ForwardingIfRx && s.rx.liveUntil > now && s.rx.demandBy > now
	switch s.remote.diag {
	case DiagPathDown, DiagConcatenatedDown, DiagReverseConcatenatedDown:
		alive = false
	}
	if alive != s.forwarding {
		s.forwarding = alive
		s.flaps++
		s.changed = true
	}
	return alive
}

// lookRx prolongs the session's life if packets came in.
func (s *Session) lookRx(now int64) {
	if !s.cfg.ForwardingIfRx || now < s.rx.lookAt {
		return
	}
	if n := s.env.RxPackets(); n != s.rx.packets {
		s.rx.packets = n
		s.extendLife(now)
	}
	s.rx.lookAt = now + lookMs
	if s.rx.liveUntil > now {
		// Not later than the judgement that hangs on it.
		s.rx.lookAt = min(s.rx.lookAt, s.rx.liveUntil)
	}
}

func (s *Session) extendLife(now int64) {
	s.rx.liveUntil = now + max(s.rxInterval()*int64(s.cfg.Mult), minLifeMs)
}

// tryDecay compares the packets of a time of observation with those that were of
// BFD: if there were few others, the link is idle.
func (s *Session) tryDecay(now int64) {
	n := s.env.RxPackets() - s.decay.rxPackets
	// The two counts are not of the same moment, so leave some room.
	s.decay.on = int64(n) <= 2*int64(max(s.decay.nControl, 1))
	s.observe(now)
}

// observe begins a time of observation.
func (s *Session) observe(now int64) {
	s.decay.rxPackets, s.decay.nControl = s.env.RxPackets(), 0
	s.decay.checkAt = now + max(s.cfg.DecayMinRx, minLifeMs)
}
