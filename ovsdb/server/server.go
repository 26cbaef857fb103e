// Package server is the OVSDB server: sessions and their requests, commits,
// locks, remotes, the _Server database, conversion, replication and relays,
// and the control commands that go with them. cmd/ovsdb-server and "sluice
// run" embed it.
//
// # One loop
//
// A Server belongs to one goroutine, which calls Run and Wait in turn. All
// transactions run there, one after the other, as in stock. What may take long
// does not: initial contents of monitors, conversions and compactions work on
// snapshots in goroutines of their own, and the file is written by a
// storage.Writer; they post what is to be done next to the loop.
//
// # Idle sessions cost nothing
//
// Sessions stand in an epoll set, not in a list that is walked, and a waiting
// transaction is looked at when a row it looks at changes.
package server

import (
	"container/heap"
	"sort"
	"sync"

	"golang.org/x/sys/unix"

	"sluice/internal/clock"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/storage"
	"sluice/ovsdb/stream"
	"sluice/ovsdb/unixctl"
)

var (
	log        = vlog.New("ovsdb_jsonrpc_server")
	mainLog    = vlog.New("ovsdb_server")
	rl         = vlog.NewLimiter(1, 5)
	internalRL = vlog.NewLimiter(1, 1)
	failRL     = vlog.NewLimiter(1, 1)
)

// Config is what a Server needs from its process.
type Config struct {
	// Clock tells the wall-clock time of transactions.
	Clock clock.Clock
	// Stream is used for all remotes; its TLS and DSCP members are replaced.
	Stream stream.Options
	// ReadOnly makes every remote read-only, as on a backup server.
	ReadOnly bool
}

// Server is one OVSDB server.
//
// Thread-safety: it belongs to one goroutine, but for Connect.
type Server struct {
	cfg   Config
	clock clock.Clock
	now   int64     // of this turn
	id    data.UUID // what get_server_id answers

	dbs      map[string]*database // by name, _Server among them
	serverDB *database            // _Server
	remotes  map[string]*remote   // by target, those that work
	targets  map[string]bool      // as configured: --remote and add-remote
	locks    map[string]*lock     // by name
	tls      tlsConfig
	n        int // sessions

	epoll    int
	polled   map[int32]*session // sessions by descriptor
	passive  map[int32]*remote  // listening remotes by descriptor
	events   []unix.EpollEvent  // scratch
	ready    []*session         // have something to do without an event
	timers   timerHeap
	triggers []*trigger // to be tried again

	event *poll.Event
	mu    sync.Mutex
	inbox []func() // +checklocks:mu

	nodiff      bool   // files get whole values instead of differences
	noCond      bool   // monitor_cond is switched off
	readOnly    bool   // nobody may change anything
	dirty       bool   // remotes must be looked at again
	remoteError string // what is wrong with them, as logged
	statusAt    int64  // when the status of remotes is written again
	relisten    *timer // set while a remote could not listen
	nextTrigger uint64 // numbers waiting requests in the order of their arrival

	replc        replConfig
	repl         *replication // while this is a backup server
	onRoleChange func()       // called when replication ends by itself

	ctl             *unixctl.Server // nil until Commands
	clusterCommands bool            // registered
}

// New makes a server without databases and remotes.
func New(cfg Config, now int64) (*Server, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, clock: cfg.Clock, now: now, id: data.NewUUID(),
		dbs: map[string]*database{}, remotes: map[string]*remote{}, targets: map[string]bool{},
		locks: map[string]*lock{}, epoll: fd, polled: map[int32]*session{}, passive: map[int32]*remote{},
		events: make([]unix.EpollEvent, 256), event: poll.NewEvent(), readOnly: cfg.ReadOnly}
	s.addServerDB()
	return s, nil
}

// Close closes all databases and connections.
func (s *Server) Close() {
	for _, r := range s.sortedRemotes() {
		s.closeRemote(r)
	}
	for _, d := range s.sortedDBs() {
		d.close()
	}
	unix.Close(s.epoll)
	s.event.Close()
}

// wake makes the loop turn; any goroutine may call it.
func (s *Server) wake() { s.event.Set() }

// post makes the loop call fn; any goroutine may call it.
func (s *Server) post(fn func()) {
	s.mu.Lock()
	s.inbox = append(s.inbox, fn)
	s.mu.Unlock()
	s.event.Set()
}

// Connect makes a connection inside the process and returns the client's end.
// Any goroutine may call it.
func (s *Server) Connect() stream.Conn {
	client, server := stream.Pair()
	s.post(func() { s.adopt(server) })
	return client
}

// Run does all that can be done without waiting.
func (s *Server) Run(now int64) {
	s.now = now
	s.event.Reset()
	s.runInbox()
	s.runTriggers() // what a conversion held back, before later requests
	s.runTimers()
	for _, r := range s.active() {
		s.runActive(r)
	}
	s.runEvents()
	ready := s.ready
	s.ready = nil
	for _, c := range ready {
		c.queued = false
		s.runSession(c)
	}
	for _, d := range s.sortedDBs() {
		d.collect()
		d.runCompactor()
		d.showIndex()
		if d.relay != nil {
			d.relay.run()
		}
	}
	if s.repl != nil {
		s.runReplication()
	}
	s.runTriggers()
	if s.dirty {
		s.dirty = false
		s.reconfigure()
	}
	s.runStatus()
}

// Wait wakes p when Run has something to do.
func (s *Server) Wait(p *poll.Set) {
	s.event.Wait(p)
	p.FD(s.epoll, poll.In)
	if len(s.ready) > 0 || len(s.triggers) > 0 || s.dirty {
		p.Immediate()
	}
	if len(s.timers) > 0 {
		p.Timer(s.timers[0].at)
	}
	for _, r := range s.remotes {
		s.waitRemote(r, p)
	}
	for _, d := range s.dbs {
		if d.relay != nil {
			d.relay.wait(p)
		}
	}
	if s.repl != nil {
		s.repl.wait(p, s.now)
	}
	if s.hasStatus() {
		p.Timer(s.statusAt)
	}
}

func (s *Server) runInbox() {
	s.mu.Lock()
	inbox := s.inbox
	s.inbox = nil
	s.mu.Unlock()
	for _, fn := range inbox {
		fn()
	}
}

// runEvents serves the sessions that have something to read or room to write.
func (s *Server) runEvents() {
	n, err := unix.EpollWait(s.epoll, s.events, 0)
	if err != nil {
		return
	}
	for i := range n {
		e := &s.events[i]
		if r := s.passive[e.Fd]; r != nil {
			s.accept(r)
			continue
		}
		c := s.polled[e.Fd]
		if c == nil || c.closed {
			continue
		}
		if e.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 && !c.mayRead() && c.js.Backlog() == 0 {
			// The peer is gone but its requests are not all read yet.
			// The kernel would report this for ever.
			c.unpoll()
			continue
		}
		s.runSession(c)
		s.runTriggers()
	}
}

func (s *Server) sortedDBs() []*database {
	out := make([]*database, 0, len(s.dbs))
	for _, d := range s.dbs {
		out = append(out, d)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out
}

func (s *Server) storageOptions() storage.Options { return storage.Options{NoDiff: s.nodiff} }

func (s *Server) reportFailure(d *database, err *data.Error) {
	d.problem = err.Error()
	mainLog.ErrRL(failRL, "%s: %s", d.name, err.Error())
}

// committed is called after every commit.
func (s *Server) committed(d *database, changes []*db.Change) {
	if s.watches(d, changes) {
		s.dirty = true
	}
}

// timer is something to do at a time.
type timer struct {
	at   int64
	fire func()
	pos  int
}

type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].pos, h[j].pos = i, j }
func (h *timerHeap) Push(x any)        { t := x.(*timer); t.pos = len(*h); *h = append(*h, t) }
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	*h = old[:len(old)-1]
	t.pos = -1
	return t
}

// after arranges for fn to be called at a time.
func (s *Server) after(at int64, fn func()) *timer {
	t := &timer{at: at, fire: fn}
	heap.Push(&s.timers, t)
	return t
}

func (s *Server) stop(t *timer) {
	if t != nil && t.pos >= 0 {
		heap.Remove(&s.timers, t.pos)
		t.pos = -1
	}
}

func (s *Server) runTimers() {
	for len(s.timers) > 0 && s.timers[0].at <= s.now {
		t := heap.Pop(&s.timers).(*timer)
		t.fire()
	}
}
