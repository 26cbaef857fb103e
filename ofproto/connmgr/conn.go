package connmgr

import (
	"fmt"
	"math"
	"strings"

	"sluice/internal/poll"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

// Conn is one OpenFlow connection with what OpenFlow ties to it.
type Conn struct {
	mgr     *Manager
	service *service
	r       *rconn
	primary bool

	role         ofp.Role
	protocol     ofp.Protocol // 0: not negotiated yet
	pinFormat    ofp.PacketInFormat
	controllerID uint16
	missSendLen  uint16
	async        *ofp.AsyncConfig // nil: the version's default

	replies    counter
	pins       counter
	maxPins    int
	schedulers [2]*pinsched // 0: actions, 1: misses

	asm             assembler
	bundles         map[uint32]*Bundle
	nextBundleCheck int64

	monitors     []*monitor
	monitorCount counter
	paused       uint64 // number of the change at which updates were paused, 0: not
	updates      []ofp.FlowUpdate
	abbreviated  bool // updates has an abbreviated one

	mods flowModLog

	// work is a request that is answered in slices: it does one and reports whether
	// it is done.  No further request is read before that.
	work func() (done bool)
}

const (
	maxReplies  = 100 // replies queued before no more requests are read
	recvBatch   = 50  // messages a turn, or more of those that only fill a bundle
	defaultMiss = 128 // default miss_send_len

	maxReplyBytes = 1 << 20 // queued before a sliced reply pauses
)

// bits of packet-in reasons that OpenFlow before 1.4 knows as OFPR_ACTION
const actionReasons = 1<<ofp.ReasonAction | 1<<ofp.ReasonActionSet | 1<<ofp.ReasonGroup | 1<<ofp.ReasonPacketOut

func newConn(s *service, r *rconn) *Conn {
	c := &Conn{
		mgr: s.mgr, service: s, r: r, primary: !s.cfg.Service, role: ofp.RoleEqual,
		maxPins: s.cfg.queueSize(), nextBundleCheck: s.mgr.now + bundleCheckMs,
		mods: flowModLog{next: math.MaxInt64, backoff: math.MinInt64},
	}
	if c.primary {
		c.missSendLen = defaultMiss
	}
	c.setRateLimit(s.cfg.RateLimit, s.cfg.BurstLimit)
	s.conns = append(s.conns, c)
	s.mgr.conns = append(s.mgr.conns, c)
	return c
}

// destroy ends the connection; the rconn stays if its service owns it.
func (c *Conn) destroy() {
	c.mods.report(c.r.name, c.mgr.now)
	c.mgr.conns = remove(c.mgr.conns, c)
	c.service.conns = remove(c.service.conns, c)
	if c.r != c.service.r {
		c.r.close()
	}
	c.monitors, c.bundles, c.updates, c.work = nil, nil, nil, nil
}

func remove[T comparable](l []T, x T) []T {
	for i := range l {
		if l[i] == x {
			return append(l[:i:i], l[i+1:]...)
		}
	}
	return l
}

func (c *Conn) reconfigure(cfg *Config) {
	now := c.mgr.now
	c.r.setMaxBackoff(cfg.maxBackoff(), now)
	c.r.setProbe(cfg.probe())
	c.maxPins = cfg.queueSize()
	c.setRateLimit(cfg.RateLimit, cfg.BurstLimit)
	if cfg.DSCP != c.r.dscp {
		c.r.dscp = cfg.DSCP
		c.r.reset(now)
	}
}

func (c *Conn) setRateLimit(rate, burst int) {
	for i := range c.schedulers {
		switch {
		case rate <= 0:
			c.schedulers[i] = nil
		case c.schedulers[i] == nil:
			c.schedulers[i] = newPinsched(rate, burst, c.mgr.now)
		default:
			c.schedulers[i].setLimits(rate, burst)
		}
	}
}

// run does a turn of the connection: at most recvBatch messages.
func (c *Conn) run(now int64) {
	for _, s := range c.schedulers {
		s.run(now, c.sendPacketIn)
	}
	c.r.run(now)
	c.r.cork()
	c.runWork()
	for n := 0; n < recvBatch*fullCost && c.mayRecv(); {
		b := c.r.recv(now)
		if b == nil {
			break
		}
		n += recvCost(b)
		c.mgr.failOpenMaybeRecover()
		msgs, err := c.asm.add(b, now)
		if err != nil {
			c.SendError(b, err)
		} else if msgs != nil {
			c.mgr.Handle(c, msgs)
		}
	}
	c.r.uncork(now)
	c.expireBundles(now)
	if now >= c.mods.next {
		c.mods.report(c.r.name, now)
	}
	for _, e := range c.asm.run(now) {
		c.r.send(e, nil, now)
	}
	if c.r.reliable && !c.r.connected() || !c.r.alive() {
		c.destroy()
	}
}

const fullCost = 10

// recvCost returns what of a turn's batch a message uses.  Those that fill a bundle
// change nothing that others see and are not answered, so more of them make a batch.
func recvCost(b []byte) int {
	if h, err := ofp.DecodePartialHeader(b); err == nil && h.Type == ofp.TypeBundleAddMessage && len(b) < 1024 {
		return 1
	}
	return fullCost
}

func (c *Conn) mayRecv() bool { return c.replies.packets < maxReplies && c.work == nil }

// Work answers a request in slices: fn does one and reports whether it is done.  It is
// called once at once, and then once a turn while the peer takes the replies.
func (c *Conn) Work(fn func() (done bool)) {
	if !fn() {
		c.work = fn
	}
}

func (c *Conn) runWork() {
	if c.mayWork() && c.work() {
		c.work = nil
	}
}

func (c *Conn) mayWork() bool {
	return c.work != nil && c.r.connected() && c.replies.packets < maxReplies/2 && c.replies.bytes < maxReplyBytes
}

func (c *Conn) wait(s *poll.Set) {
	for _, sched := range c.schedulers {
		sched.wait(s)
	}
	c.r.wait(s, c.mayRecv())
	if c.mayWork() {
		s.Immediate()
	}
	if c.mods.next != math.MaxInt64 {
		s.Timer(c.mods.next)
	}
	if at := c.asm.next(); at != math.MaxInt64 {
		s.Timer(at)
	}
	if len(c.bundles) > 0 {
		s.Timer(c.nextBundleCheck)
	}
}

// Name names the connection in logs: "br0<->tcp:127.0.0.1:6653".
func (c *Conn) Name() string { return c.r.name }

// Primary reports whether the peer is a controller of the bridge, and not a service
// connection such as a tool's.
func (c *Conn) Primary() bool { return c.primary }

// Version returns the negotiated version, 0 before that.
func (c *Conn) Version() ofp.Version { return c.r.version }

// Protocol returns the version and flow format, 0 before negotiation.
func (c *Conn) Protocol() ofp.Protocol {
	if c.protocol == 0 && c.r.connected() && c.r.version != 0 {
		c.SetProtocol(ofp.DefaultProtocol(c.r.version))
	}
	return c.protocol
}

// SetProtocol changes the flow format.
func (c *Conn) SetProtocol(p ofp.Protocol) { c.protocol = p }

// Role returns the controller's role.
func (c *Conn) Role() ofp.Role { return c.role }

// SetRole gives the controller a role.  There is one primary: another one becomes
// secondary and is told so.
func (c *Conn) SetRole(role ofp.Role) {
	if role != c.role && role == ofp.RolePrimary {
		for _, o := range c.mgr.conns {
			if o.role == ofp.RolePrimary {
				o.role = ofp.RoleSecondary
				gen, _ := c.mgr.GenerationID()
				o.sendAsync(&ofp.RoleStatus{Role: ofp.RoleSecondary, Reason: ofp.RoleReasonPrimaryRequest, GenerationID: gen}, nil)
			}
		}
	}
	c.role = role
}

// PacketInFormat returns the layout of packet-ins.
func (c *Conn) PacketInFormat() ofp.PacketInFormat { return c.pinFormat }

// SetPacketInFormat chooses the layout of packet-ins.
func (c *Conn) SetPacketInFormat(f ofp.PacketInFormat) { c.pinFormat = f }

// SetControllerID sets the id that controller actions name the connection by.
func (c *Conn) SetControllerID(id uint16) { c.controllerID = id }

// MissSendLen returns how much of a packet goes to the controller by default.
func (c *Conn) MissSendLen() uint16 { return c.missSendLen }

// SetMissSendLen sets it; a service connection with one gets asynchronous messages.
func (c *Conn) SetMissSendLen(n uint16) { c.missSendLen = n }

// Async returns which asynchronous messages the controller wants.
func (c *Conn) Async() ofp.AsyncConfig {
	switch {
	case c.async != nil:
		return *c.async
	case c.r.version == 0, !c.service.cfg.EnableAsync:
		return ofp.AsyncConfig{}
	}
	return ofp.DefaultAsync(c.r.version)
}

// SetAsync sets them.
func (c *Conn) SetAsync(a ofp.AsyncConfig) {
	if c.Version() < ofp.OF14 {
		for _, m := range []*uint32{&a.Primary[ofp.AsyncPacketIn], &a.Secondary[ofp.AsyncPacketIn]} {
			if *m&(1<<ofp.ReasonAction) != 0 {
				*m |= actionReasons
			}
		}
	}
	c.async = &a
}

// InvalidTTL reports whether packets whose TTL runs out go to the controller.
func (c *Conn) InvalidTTL() bool {
	a := c.Async()
	return a.Primary[ofp.AsyncPacketIn]&(1<<ofp.ReasonInvalidTTL) != 0
}

// SetInvalidTTL sets that.
func (c *Conn) SetInvalidTTL(on bool) {
	a := c.Async()
	if on {
		a.Primary[ofp.AsyncPacketIn] |= 1 << ofp.ReasonInvalidTTL
	} else {
		a.Primary[ofp.AsyncPacketIn] &^= 1 << ofp.ReasonInvalidTTL
	}
	c.SetAsync(a)
}

// Now returns the time of the turn, ms.
func (c *Conn) Now() int64 { return c.mgr.now }

// Reply sends m as the answer to the request with transaction id xid.
func (c *Conn) Reply(xid uint32, m ofp.Msg) {
	if b := ofp.Append(nil, c.Protocol(), xid, m); len(b) > 0 {
		c.SendReply(b)
	}
}

// SendReply sends an encoded reply.  Too many that the controller does not take stop
// the reading of its requests.
func (c *Conn) SendReply(b []byte) { c.r.send(b, &c.replies, c.mgr.now) }

// SendError answers a request that failed.
func (c *Conn) SendError(request []byte, err error) {
	code := errorCode(err)
	if !log.ShouldDrop(logInfo, rlErr) {
		name := "invalid"
		if h, err := ofp.DecodePartialHeader(request); err == nil {
			name = h.Raw.String()
		}
		log.Info("%s: sending %s error reply to %s message", c.r.name, code, name)
	}
	c.SendReply(ofp.ErrorReply(code, errorVersion(request), request))
}

// receives reports whether the controller wants an asynchronous message.
func (c *Conn) receives(t ofp.AsyncType, reason uint8) bool {
	if !c.r.connected() || c.Protocol() == 0 {
		return false
	}
	if !c.primary && c.missSendLen == 0 {
		// A service connection has to ask for them.
		return false
	}
	a := c.Async()
	mask := a.Primary[t]
	if c.role == ofp.RoleSecondary {
		mask = a.Secondary[t]
	}
	return mask&(1<<reason) != 0
}

// sendAsync sends a message that is no reply.
func (c *Conn) sendAsync(m ofp.Msg, count *counter) {
	if b := ofp.Append(nil, c.Protocol(), 0, m); len(b) > 0 {
		c.sendUnasked(b, count)
	}
}

// sendUnasked sends a message that no request bounds.  A peer that stopped reading
// loses them, rather than the switch its memory.
func (c *Conn) sendUnasked(b []byte, count *counter) {
	if c.r.stalled(c.mgr.now) {
		cRconnOverflow.Inc()
		log.InfoRL(rlPin, "%s: dropping message due to queue overflow", c.r.name)
		return
	}
	c.r.send(b, count, c.mgr.now)
}

func (c *Conn) sendPacketIn(b []byte) {
	if !c.r.sendLimited(b, &c.pins, c.maxPins, c.mgr.now) {
		log.InfoRL(rlPin, "%s: dropping packet-in due to queue overflow", c.r.name)
	}
}

// wantsMisses reports whether packets that match no flow go to the controller: up to
// OpenFlow 1.2, and before the version is known.
func (c *Conn) wantsMisses() bool {
	return c.controllerID == 0 && (c.protocol == 0 || c.protocol&(ofver.OF10Any|ofver.OF11Std|ofver.OF12OXM) != 0)
}

// ReportFlowMod counts a flow_mod that was done, for the log.
func (c *Conn) ReportFlowMod(command uint8) { c.mods.add(command, c.mgr.now) }

// flowModLog sums up the flow_mods of a connection for the log.
type flowModLog struct {
	adds, deletes, mods int
	first, last         int64
	next                int64 // when to report, math.MaxInt64: nothing to report
	backoff             int64 // earliest time of the next report
}

func (l *flowModLog) add(command uint8, now int64) {
	switch command {
	case ofp.FlowAdd:
		l.adds++
	case ofp.FlowModify, ofp.FlowModifyStrict:
		l.mods++
	default:
		l.deletes++
	}
	if l.next == math.MaxInt64 {
		l.first = now
		l.next = max(now+10*1000, l.backoff)
		l.backoff = l.next + 60*1000
	}
	l.last = now
}

func (l *flowModLog) report(name string, now int64) {
	l.next = math.MaxInt64
	n := l.adds + l.deletes + l.mods
	if n == 0 {
		return
	}
	ago, interval := (now-l.first)/1000, (l.last-l.first)/1000
	var when string
	switch {
	case interval == ago:
		when = fmt.Sprintf("in the last %d s", ago)
	case interval != 0:
		when = fmt.Sprintf("in the %d s starting %d s ago", interval, ago)
	default:
		when = fmt.Sprintf("%d s ago", ago)
	}
	var parts []string
	if l.adds != 0 {
		parts = append(parts, fmt.Sprintf("%d adds", l.adds))
	}
	if l.deletes != 0 {
		parts = append(parts, fmt.Sprintf("%d deletes", l.deletes))
	}
	if l.mods != 0 {
		parts = append(parts, fmt.Sprintf("%d modifications", l.mods))
	}
	log.Info("%s: %d flow_mods %s (%s)", name, n, when, strings.Join(parts, ", "))
	l.adds, l.deletes, l.mods = 0, 0, 0
}

// errorCode returns the protocol error in err's chain.
func errorCode(err error) oferr.Code {
	for e := err; e != nil; {
		if c, ok := e.(oferr.Code); ok {
			return c
		}
		u, ok := e.(interface{ Unwrap() error })
		if !ok {
			break
		}
		e = u.Unwrap()
	}
	return oferr.OFPBRC_BAD_TYPE
}
