package server

import (
	"golang.org/x/sys/unix"

	"sluice/internal/poll"
	"sluice/ovsdb/data"
	"sluice/ovsdb/jsonrpc"
	"sluice/ovsdb/monitor"
	"sluice/ovsdb/stream"
)

// Limits of one session.
const (
	maxPerTurn  = 10 // messages read in one turn
	maxInFlight = 64 // commits without a reply

	pausedProbeMs = 1000 // between looks at a session that is not read from
)

// session is one connection with a client.
type session struct {
	srv    *Server
	js     *jsonrpc.Session
	remote *remote
	seqno  uint
	closed bool
	ended  bool // the client sends no more
	queued bool // in srv.ready

	fd   int    // in the epoll set, or -1
	mask uint32 // what it waits for there

	aware    bool // set_db_change_aware
	monitors map[string]*sessionMonitor
	triggers map[string]*trigger
	locks    map[string]*waiter
	replies  []*slot // requests being worked on, in the order of their replies
	busy     int     // workers: nothing is read meanwhile
	probe    *timer
}

// slot is the place of a reply among the replies of a session. A reply that
// is ready waits for those before it.
type slot struct {
	parts [][]byte
	ready bool
	sent  func() // called after it has been sent, or nil
}

// sessionMonitor is a monitor and its database.
type sessionMonitor struct {
	*monitor.Monitor
	c       *session
	db      *database
	initial bool // its initial contents are not sent yet
}

// Holds says whether changes must pile up.
func (c *session) Holds(m *monitor.Monitor) bool {
	if c.js.Backlog() > 0 {
		return true
	}
	sm := c.monitors[string(m.ID)]
	return sm != nil && sm.initial
}

// Notify sends a monitor's notification.
func (c *session) Notify(msg []byte) {
	c.js.SendRaw(msg)
	c.written()
}

// written follows whatever is sent outside of the session's own turn. A
// connection that has failed is closed, and no event will ever tell of it: the
// session, with its locks, must end in the next turn.
func (c *session) written() {
	switch {
	case c.js.Err() != nil:
		c.srv.enqueue(c)
	case c.js.Backlog() > 0:
		c.repoll()
	}
}

// drop ends the connection in the next turn.
func (c *session) drop() {
	c.js.ForceReconnect(c.srv.now)
	c.srv.enqueue(c)
}

func (s *Server) newSession(js *jsonrpc.Session, r *remote) *session {
	c := &session{srv: s, js: js, remote: r, seqno: js.Seqno(), fd: -1}
	s.n++
	return c
}

// readOnly tells whether the client may not change anything.
func (c *session) readOnly() bool { return c.srv.readOnly || c.remote.opts.ReadOnly }

// mayRead tells whether requests are to be read now.
func (c *session) mayRead() bool {
	return c.busy == 0 && len(c.replies) < maxInFlight && c.js.Backlog() == 0 && !c.owesReplies()
}

// owesReplies says whether the client has said all and waits for the answers:
// the session ends with the last one.
func (c *session) owesReplies() bool { return c.ended && len(c.replies) > 0 }

// end notes that the client sends no more.
func (c *session) end() bool {
	c.ended = true
	return c.owesReplies()
}

// runSession serves one session.
func (s *Server) runSession(c *session) {
	if c.closed {
		return
	}
	c.js.Run(s.now)
	if c.seqno != c.js.Seqno() {
		c.seqno = c.js.Seqno()
		c.reset()
	}
	if c.js.Backlog() == 0 {
		c.flushMonitors()
	}
	more := false
	for i := 0; c.mayRead(); i++ {
		if i == maxPerTurn {
			more = true
			break
		}
		m, again := c.js.Next(s.now)
		if m != nil {
			c.handle(m)
		} else if !again {
			more = c.js.Unread()
			break
		}
	}
	if c.js.Err() != nil || !c.js.Connected() {
		// The next Run notices what is wrong.
		c.js.Run(s.now)
	}
	if !c.js.Alive() {
		s.endSession(c)
		return
	}
	c.repoll()
	if more {
		s.enqueue(c)
	}
}

// enqueue makes sure the session is served in the next turn.
func (s *Server) enqueue(c *session) {
	if !c.queued && !c.closed {
		c.queued = true
		s.ready = append(s.ready, c)
	}
}

// repoll tells the kernel what the session waits for.
func (c *session) repoll() {
	rpc := c.js.Conn()
	if rpc == nil || rpc.Stream() == nil {
		c.unpoll()
		return
	}
	if c.remote != nil && c.remote.active() {
		return // waits with the remote
	}
	var mask uint32
	if c.mayRead() {
		mask |= unix.EPOLLIN
	}
	if c.js.Backlog() > 0 {
		mask |= unix.EPOLLOUT
		if rpc.Stream().Connect() == stream.ErrAgain {
			// Its descriptor is writable during a TLS handshake, to no avail.
			mask = unix.EPOLLIN
		}
	}
	fd := rpc.Stream().Fd()
	if fd == c.fd && mask == c.mask {
		return
	}
	e := unix.EpollEvent{Events: mask, Fd: int32(fd)}
	op := unix.EPOLL_CTL_MOD
	if fd != c.fd {
		c.unpoll()
		op = unix.EPOLL_CTL_ADD
	}
	if err := unix.EpollCtl(c.srv.epoll, op, fd, &e); err != nil {
		log.WarnRL(rl, "%s: epoll_ctl failed: %v", c.js.Name(), err)
		return
	}
	c.fd, c.mask = fd, mask
	c.srv.polled[int32(fd)] = c
	c.armProbe()
}

func (c *session) unpoll() {
	if c.fd < 0 {
		return
	}
	// The kernel forgets a descriptor that is closed by itself; its number may
	// be another session's by now.
	if c.srv.polled[int32(c.fd)] == c {
		unix.EpollCtl(c.srv.epoll, unix.EPOLL_CTL_DEL, c.fd, nil)
		delete(c.srv.polled, int32(c.fd))
	}
	c.fd, c.mask = -1, 0
}

// armProbe sets the timer for the inactivity probe. It stays where it is while
// the client talks, and looks again when it fires.
func (c *session) armProbe() {
	if c.probe != nil && c.probe.pos >= 0 {
		return
	}
	var p poll.Set
	c.js.Wait(&p, c.srv.now)
	if at, ok := p.Deadline(); ok {
		// A client is not blamed for silence while it is not read from: time
		// that has passed then asks for nothing but to look again.
		floor := c.srv.now + 1
		if !c.mayRead() {
			floor = c.srv.now + pausedProbeMs
		}
		c.probe = c.srv.after(max(at, floor), func() {
			c.probe = nil
			c.srv.runSession(c)
			if !c.closed {
				c.armProbe()
			}
		})
	}
}

// reset forgets everything that ends with the connection.
func (c *session) reset() {
	c.cancelTriggers(nil, "closing JSON-RPC session")
	c.removeMonitors(nil, false)
	c.unlockAll()
	c.aware = false
	c.replies = nil
}

func (s *Server) endSession(c *session) {
	if c.closed {
		return
	}
	c.reset()
	c.closed = true
	c.unpoll()
	s.stop(c.probe)
	c.js.Close()
	s.n--
	if c.remote != nil {
		delete(c.remote.sessions, c)
	}
}

// send sends a reply that belongs to no slot: of a request that waited.
func (c *session) send(parts ...[]byte) {
	if c.closed || !c.js.Connected() {
		return
	}
	c.flushAll()
	for _, p := range parts {
		c.js.SendRaw(p)
	}
	c.repoll()
	c.written()
}

// reserve takes the next place among the replies.
func (c *session) reserve() *slot {
	sl := &slot{}
	c.replies = append(c.replies, sl)
	return sl
}

// respond sends the reply of a slot as soon as those before it are sent.
func (c *session) respond(sl *slot, parts ...[]byte) {
	sl.parts, sl.ready = parts, true
	full := len(c.replies) >= maxInFlight
	for len(c.replies) > 0 && c.replies[0].ready {
		head := c.replies[0]
		c.replies[0] = nil
		c.replies = c.replies[1:]
		c.send(head.parts...)
		if head.sent != nil {
			head.sent()
		}
	}
	if full || c.ended {
		c.srv.enqueue(c)
	}
}

// reply answers a request at once, or after the ones being worked on.
func (c *session) reply(m *jsonrpc.Msg) {
	b := m.Append(nil)
	if len(c.replies) == 0 {
		c.send(b)
		return
	}
	c.respond(c.reserve(), b)
}

// replyError answers a request with an error object.
func (c *session) replyError(m *jsonrpc.Msg, err *data.Error) {
	c.reply(jsonrpc.NewError(err.AppendJSON(nil), m.ID))
}

// flushMonitors sends what monitors held back, as long as the client reads.
func (c *session) flushMonitors() {
	if !c.anyPending() {
		return
	}
	for _, m := range c.sortedMonitors() {
		if m.Pending() && !m.initial && c.js.Backlog() == 0 {
			m.db.reg.Flush(m.Monitor)
		}
	}
}

func (c *session) anyPending() bool {
	for _, m := range c.monitors {
		if m.Pending() && !m.initial {
			return true
		}
	}
	return false
}

// flushAll sends everything that monitors held back: a reply must not come
// before the changes it reports.
func (c *session) flushAll() {
	if !c.anyPending() {
		return
	}
	for _, m := range c.sortedMonitors() {
		if m.Pending() && !m.initial {
			m.db.reg.Flush(m.Monitor)
		}
	}
}
