package server

import (
	"sort"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/ovsdb/jsonrpc"
	"sluice/ovsdb/stream"
)

// remoteOptions is how connections of a remote are made.
type remoteOptions struct {
	// MaxBackoff and Probe are in ms.
	MaxBackoff, Probe int64
	ReadOnly          bool
	DSCP              int
	Role              string
}

// remote is one target, from the command line, a command or a database.
type remote struct {
	target   string
	opts     remoteOptions
	listener stream.Listener
	sessions map[*session]bool
	inner    bool // connections inside the process
}

const (
	defaultBackoff = 8000
	defaultProbe   = 5000
	defaultDSCP    = 48
	maxAccept      = 64 // connections taken in one turn
)

func defaultOptions(target string) remoteOptions {
	o := remoteOptions{MaxBackoff: defaultBackoff, DSCP: defaultDSCP}
	if stream.NeedsProbes(target) {
		o.Probe = defaultProbe
	}
	return o
}

func (r *remote) active() bool { return r.listener == nil && !r.inner }

func (s *Server) streamOptions(o remoteOptions) stream.Options {
	so := s.cfg.Stream
	so.DSCP = o.DSCP
	so.TLS = s.tls.current
	return so
}

// setRemotes makes the remotes what is wanted.
func (s *Server) setRemotes(want map[string]remoteOptions) {
	for _, r := range s.sortedRemotes() {
		if _, keep := want[r.target]; !keep && !r.inner {
			s.closeRemote(r)
		}
	}
	targets := make([]string, 0, len(want))
	for t := range want {
		targets = append(targets, t)
	}
	sort.Strings(targets)
	for _, t := range targets {
		o := want[t]
		r := s.remotes[t]
		if r != nil && !s.adjust(r, o) {
			s.closeRemote(r)
			r = nil
		}
		if r == nil {
			s.openRemote(t, o)
		}
	}
}

// adjust changes a remote's options; false if it must be opened anew.
func (s *Server) adjust(r *remote, o remoteOptions) bool {
	if r.opts == o {
		return true
	}
	if r.listener != nil && r.opts.DSCP != o.DSCP {
		return false
	}
	restart := r.opts.ReadOnly != o.ReadOnly || r.opts.Role != o.Role
	r.opts = o
	for _, c := range r.sorted() {
		c.js.SetMaxBackoff(o.MaxBackoff)
		c.js.SetProbeInterval(o.Probe)
		c.js.SetDSCP(o.DSCP, s.now)
		if restart {
			c.disconnect("remote configuration changed")
			continue
		}
		s.stop(c.probe)
		c.probe = nil
		if !r.active() {
			c.armProbe()
		}
	}
	return true
}

func (s *Server) openRemote(target string, o remoteOptions) {
	r := &remote{target: target, opts: o, sessions: map[*session]bool{}}
	l, err := jsonrpc.ListenStream(target, s.streamOptions(o))
	switch {
	case err == nil:
		r.listener = l
		s.listen(r, true)
	case stream.IsActive(target), err == unix.EAFNOSUPPORT:
		// Of a kind that nobody knows: its status says that it does not work.
		js := jsonrpc.OpenSession([]string{target}, true, s.streamOptions(o), s.now)
		s.addSession(js, r)
	default:
		log.ErrRL(rl, "%s: listen failed: %s", target, errno.Text(err))
		s.listenLater()
		return
	}
	s.remotes[target] = r
}

// listenLater looks at the remotes again in a while: an address may come up
// later than the server, and a port may become free.
func (s *Server) listenLater() {
	if s.relisten == nil {
		s.relisten = s.after(s.now+statusInterval, func() {
			s.relisten = nil
			s.dirty = true
		})
	}
}

func (s *Server) addSession(js *jsonrpc.Session, r *remote) *session {
	js.SetMaxBackoff(r.opts.MaxBackoff)
	js.SetProbeInterval(r.opts.Probe)
	c := s.newSession(js, r)
	if rpc := js.Conn(); rpc != nil {
		rpc.Linger(c.end)
	}
	r.sessions[c] = true
	return c
}

func (s *Server) closeRemote(r *remote) {
	for _, c := range r.sorted() {
		s.endSession(c)
	}
	if r.listener != nil {
		s.listen(r, false)
		r.listener.Close()
	}
	delete(s.remotes, r.target)
}

// active lists the remotes that connect, which are few.
func (s *Server) active() []*remote {
	var out []*remote
	for _, r := range s.remotes {
		if r.active() {
			out = append(out, r)
		}
	}
	if len(out) > 1 {
		sort.Slice(out, func(i, j int) bool { return out[i].target < out[j].target })
	}
	return out
}

// runActive runs the session of a remote that connects.
func (s *Server) runActive(r *remote) {
	for c := range r.sessions {
		s.runSession(c)
	}
}

// accept takes connections.
func (s *Server) accept(r *remote) {
	for range maxAccept {
		sc, err := r.listener.Accept()
		if err == stream.ErrAgain {
			return
		}
		if err != nil {
			log.WarnRL(rl, "%s: accept failed: %s", r.listener.Name(), errno.Text(err))
			// Most likely descriptors are used up: not to spin, listen
			// again in a while.
			s.listen(r, false)
			s.after(s.now+pauseMs, func() {
				if s.remotes[r.target] == r {
					s.listen(r, true)
				}
			})
			return
		}
		c := s.addSession(jsonrpc.NewSession(jsonrpc.NewConn(sc), s.now), r)
		s.runSession(c)
	}
}

const pauseMs = 100

// listen puts a listening remote into the epoll set or takes it out.
func (s *Server) listen(r *remote, on bool) {
	fd := r.listener.Fd()
	if !on {
		unix.EpollCtl(s.epoll, unix.EPOLL_CTL_DEL, fd, nil)
		delete(s.passive, int32(fd))
		return
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil && err != unix.EEXIST {
		log.WarnRL(rl, "%s: epoll_ctl failed: %v", r.target, err)
		return
	}
	s.passive[int32(fd)] = r
}

func (s *Server) waitRemote(r *remote, p *poll.Set) {
	if !r.active() {
		return
	}
	for c := range r.sessions {
		c.js.Wait(p, s.now)
		if c.js.Connected() && c.mayRead() {
			c.js.RecvWait(p)
		}
	}
}

// adopt serves a connection from inside the process.
func (s *Server) adopt(sc stream.Conn) {
	const name = "internal"
	r := s.remotes[name]
	if r == nil {
		r = &remote{target: name, inner: true, sessions: map[*session]bool{}, opts: remoteOptions{MaxBackoff: defaultBackoff}}
		s.remotes[name] = r
	}
	s.runSession(s.addSession(jsonrpc.NewSession(jsonrpc.NewConn(sc), s.now), r))
}

// disconnect ends a connection; an active remote connects again.
func (c *session) disconnect(reason string) {
	log.Info("%s: disconnecting (%s)", c.js.Name(), reason)
	c.js.ForceReconnect(c.srv.now)
	c.js.Run(c.srv.now) // from here on nothing is sent any more
	c.srv.enqueue(c)
}

func (s *Server) sortedRemotes() []*remote {
	out := make([]*remote, 0, len(s.remotes))
	for _, r := range s.remotes {
		out = append(out, r)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].target < out[j].target })
	return out
}

func (r *remote) sorted() []*session {
	out := make([]*session, 0, len(r.sessions))
	for c := range r.sessions {
		out = append(out, c)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].js.Name() < out[j].js.Name() })
	return out
}

// sessions lists all sessions.
func (s *Server) sessions() (out []*session) {
	for _, r := range s.sortedRemotes() {
		out = append(out, r.sorted()...)
	}
	return out
}
