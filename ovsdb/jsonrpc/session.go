package jsonrpc

import (
	"io"
	"math"
	"slices"

	"golang.org/x/sys/unix"

	"sluice/internal/poll"
	"sluice/internal/reconnect"
	"sluice/ovsdb/stream"
)

// DefaultPort is the TCP port of OVSDB, for targets that name none.
const DefaultPort = 6640

// OpenStream is stream.Open with OVSDB's port as the default.
func OpenStream(target string, o stream.Options) (stream.Conn, error) {
	return stream.Open(stream.WithDefaultPort(target, DefaultPort), o)
}

// ListenStream is stream.Listen with OVSDB's port as the default.
func ListenStream(target string, o stream.Options) (stream.Listener, error) {
	return stream.Listen(stream.WithDefaultPort(target, DefaultPort), o)
}

// Session is a connection that comes back: to one of several remotes, or, on
// a passive remote, the latest client that connected. It probes a silent peer
// and answers the peer's probes itself.
//
// Thread-safety: a Session belongs to one goroutine.
type Session struct {
	remotes []string
	next    int
	fsm     *reconnect.FSM
	opts    stream.Options

	rpc       *Conn
	dialing   stream.Conn
	listener  stream.Listener
	lastErr   error
	seqno     uint
	maxQueued int
	maxBytes  int
}

// OpenSession connects to the first remote that works, and again whenever the
// connection is lost; without retry it tries each remote once.
func OpenSession(remotes []string, retry bool, o stream.Options, now int64) *Session {
	n := len(remotes)
	if n == 0 {
		remotes = []string{"invalid:"}
	}
	s := &Session{remotes: slices.Clone(remotes), fsm: reconnect.New(now), opts: o}
	s.pickRemote()
	s.fsm.Enable(now)
	s.fsm.SetBackoffFreeTries(uint32(n))
	name := s.fsm.Name()
	if stream.IsPassive(name) {
		s.fsm.SetPassive(true, now)
	} else if !retry {
		s.fsm.SetMaxTries(uint32(n))
		s.fsm.SetBackoff(math.MaxInt32, math.MaxInt32)
	}
	if !stream.NeedsProbes(name) {
		s.fsm.SetProbeInterval(0)
	}
	return s
}

// NewSession makes a session of a connection that was accepted. When it ends
// the session is not alive any more. It logs little, because such connections
// are often short.
func NewSession(c *Conn, now int64) *Session {
	s := &Session{remotes: []string{c.Name()}, fsm: reconnect.New(now), rpc: c, seqno: 1}
	s.fsm.SetQuiet(true)
	s.fsm.SetName(c.Name())
	s.fsm.SetMaxTries(0)
	s.fsm.Connected(now)
	return s
}

func (s *Session) pickRemote() {
	s.fsm.SetName(s.remotes[s.next%len(s.remotes)])
	s.next++
}

// Close ends the session.
func (s *Session) Close() {
	if s.rpc != nil {
		s.rpc.Close()
		s.rpc = nil
	}
	s.stopDialing()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
	s.fsm.SetMaxTries(0)
}

func (s *Session) stopDialing() {
	if s.dialing != nil {
		s.dialing.Close()
		s.dialing = nil
	}
}

func (s *Session) disconnect() {
	switch {
	case s.rpc != nil:
		s.rpc.Close()
		s.rpc = nil
	case s.dialing != nil:
		s.stopDialing()
	default:
		return
	}
	s.seqno++
	s.pickRemote()
}

func (s *Session) connect(now int64) {
	name := s.fsm.Name()
	s.disconnect()
	var err error
	if !s.fsm.Passive() {
		if s.dialing, err = OpenStream(name, s.opts); err == nil {
			s.fsm.Connecting(now)
			return
		}
		s.dialing, s.lastErr = nil, err
	} else {
		if s.listener == nil {
			s.listener, err = ListenStream(name, s.opts)
		}
		if err == nil {
			s.fsm.Listening(now)
			return
		}
		s.listener = nil
	}
	s.fsm.ConnectFailed(now, err)
	s.pickRemote()
}

// adopt makes a stream the session's connection.
func (s *Session) adopt(sc stream.Conn, now int64) {
	s.fsm.Connected(now)
	s.rpc = NewConn(sc)
	s.rpc.SetBacklogThreshold(s.maxQueued, s.maxBytes)
	s.seqno++
}

// Run connects, sends and probes.
func (s *Session) Run(now int64) {
	if s.listener != nil {
		s.accept(now)
	}
	if s.rpc != nil {
		s.runConn(now)
	} else if s.dialing != nil {
		s.runDialing(now)
	}
	switch s.fsm.Run(now) {
	case reconnect.Connect:
		s.connect(now)
	case reconnect.Disconnect:
		s.fsm.Disconnected(now, nil)
		s.disconnect()
	case reconnect.Probe:
		if s.rpc != nil {
			s.rpc.Send(&Msg{Type: Request, Method: "echo", Params: []byte("[]"), ID: []byte(`"echo"`)})
		}
	}
}

func (s *Session) accept(now int64) {
	sc, err := s.listener.Accept()
	switch {
	case err == nil:
		if s.rpc != nil || s.dialing != nil {
			log.InfoRL(rl, "%s: new connection replacing active connection", s.fsm.Name())
			s.disconnect()
		}
		s.adopt(sc, now)
	case err != stream.ErrAgain:
		s.fsm.ListenError(now, err)
		s.listener.Close()
		s.listener = nil
	}
}

func (s *Session) runConn(now int64) {
	backlog := s.rpc.Backlog()
	s.rpc.Run(now)
	if s.rpc.Backlog() < backlog {
		// Only what had to wait and then left shows that the peer reads: what
		// is sent at once may rest in buffers on the way for ever.
		s.fsm.Activity(now)
	}
	if err := s.rpc.Err(); err != nil {
		s.fsm.Disconnected(now, err)
		s.disconnect()
		s.lastErr = err
	}
}

func (s *Session) runDialing(now int64) {
	err := s.dialing.Connect()
	switch {
	case err == nil:
		sc := s.dialing
		s.dialing = nil
		s.adopt(sc, now)
	case err != stream.ErrAgain:
		s.fsm.ConnectFailed(now, err)
		s.pickRemote()
		s.stopDialing()
		s.lastErr = err
	}
}

// Wait wakes p when Run has something to do.
func (s *Session) Wait(p *poll.Set, now int64) {
	if s.rpc != nil {
		s.rpc.Wait(p)
	} else if s.dialing != nil {
		s.dialing.Wait(p, true, false, false)
	}
	if s.listener != nil {
		s.listener.Wait(p)
	}
	s.fsm.Wait(p, now)
}

// Send sends a message, or drops it while there is no connection.
func (s *Session) Send(m *Msg) error {
	if s.rpc == nil {
		return unix.ENOTCONN
	}
	return s.rpc.Send(m)
}

// SendRaw is Send for bytes that are encoded already.
func (s *Session) SendRaw(b []byte) error {
	if s.rpc == nil {
		return unix.ENOTCONN
	}
	return s.rpc.SendRaw(b)
}

// Recv returns the next message, nil if there is none now or if it was one
// that the session answers itself.
func (s *Session) Recv(now int64) *Msg {
	m, _ := s.Next(now)
	if m != nil && m.Type == Request && m.Method == "echo" {
		s.rpc.Send(NewReply(m.Params, m.ID))
		return nil
	}
	return m
}

// Next is Recv for a server that waits for events of the socket and answers in
// order: the caller must answer the peer's echo requests, behind the requests
// before them. If m is nil, again says that there was an answer to our own, so
// that the next message may be in the buffer already, where no event tells of
// it.
func (s *Session) Next(now int64) (m *Msg, again bool) {
	if s.rpc == nil {
		return nil, false
	}
	before := s.rpc.Received()
	m, _ = s.rpc.Recv()
	s.fsm.ReceiveAttempted(now)
	if s.rpc.Received() != before {
		// Bytes count, not messages: a large message on a slow line takes
		// longer than a probe interval.
		s.fsm.Activity(now)
	}
	if m != nil && m.Type == Reply && string(m.ID) == `"echo"` {
		return nil, true
	}
	return m, false
}

// Unread says whether bytes were read that Recv has not looked at yet: there may
// be a message without any event of the socket.
func (s *Session) Unread() bool { return s.rpc != nil && s.rpc.unread() }

// RecvWait wakes p when Recv may have a message.
func (s *Session) RecvWait(p *poll.Set) {
	if s.rpc != nil {
		s.rpc.RecvWait(p)
	}
}

// Conn returns the connection, nil while there is none.
func (s *Session) Conn() *Conn { return s.rpc }

// Name returns the remote in use.
func (s *Session) Name() string { return s.fsm.Name() }

// PeerID returns the common name in the peer's certificate, or nothing.
func (s *Session) PeerID() string {
	if s.rpc == nil {
		return ""
	}
	return s.rpc.PeerID()
}

// Remotes returns how many remotes there are.
func (s *Session) Remotes() int { return len(s.remotes) }

// Alive says whether the session is connected or may be again.
func (s *Session) Alive() bool { return s.rpc != nil || s.dialing != nil || s.fsm.MaxTries() > 0 }

// Connected says whether there is a connection.
func (s *Session) Connected() bool { return s.rpc != nil }

// Seqno changes with every connection and disconnection.
func (s *Session) Seqno() uint { return s.seqno }

// Err returns what is wrong with the connection, nil if nothing or if there
// is none.
func (s *Session) Err() error {
	if s.rpc == nil {
		return nil
	}
	return s.rpc.Err()
}

// LastErr returns the latest failure, nil if there never was one; io.EOF if
// the peer ended the connection.
func (s *Session) LastErr() error { return s.lastErr }

// Backlog returns how many bytes wait to be sent.
func (s *Session) Backlog() int {
	if s.rpc == nil {
		return 0
	}
	return s.rpc.Backlog()
}

// Stats returns the history of the connection.
func (s *Session) Stats(now int64) reconnect.Stats { return s.fsm.Stats(now) }

// EnableReconnect makes a session that tries once try for ever.
func (s *Session) EnableReconnect() {
	s.fsm.SetMaxTries(reconnect.Unlimited)
	s.fsm.SetBackoff(reconnect.DefaultMinBackoff, reconnect.DefaultMaxBackoff)
}

// ForceReconnect drops the connection; the next turns connect again.
func (s *Session) ForceReconnect(now int64) { s.fsm.ForceReconnect(now) }

// ResetBackoff lets every remote be tried once without a pause.
func (s *Session) ResetBackoff() {
	free := len(s.remotes)
	if s.Connected() {
		free++
	}
	s.fsm.SetBackoffFreeTries(uint32(free))
}

// SetMaxBackoff changes the longest pause between attempts, in ms.
func (s *Session) SetMaxBackoff(ms int64) { s.fsm.SetBackoff(0, ms) }

// SetProbeInterval changes the silence that makes a probe; 0 never probes.
func (s *Session) SetProbeInterval(ms int64) { s.fsm.SetProbeInterval(ms) }

// SetDSCP changes the DSCP; a change drops the connection.
func (s *Session) SetDSCP(dscp int, now int64) {
	if s.opts.DSCP == dscp {
		return
	}
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
	s.opts.DSCP = dscp
	s.ForceReconnect(now)
}

// SetBacklogThreshold limits what may wait to be sent; see Conn.
func (s *Session) SetBacklogThreshold(msgs, size int) {
	s.maxQueued, s.maxBytes = msgs, size
	if s.rpc != nil {
		s.rpc.SetBacklogThreshold(msgs, size)
	}
}

// IsEOF says whether an error is the peer's regular end.
func IsEOF(err error) bool { return err == io.EOF }
