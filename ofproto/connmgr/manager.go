package connmgr

import (
	"maps"
	"math"
	"slices"
	"strconv"

	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/table"
	"sluice/ovsdb/stream"
)

const logInfo = vlog.Info

// Config is a controller, or a place where controllers connect.
type Config struct {
	Target      string
	Service     bool // not a controller of the bridge
	InBand      bool
	MaxBackoff  int // seconds; 0: 8
	Probe       int // seconds, 0: none
	EnableAsync bool
	Allowed     ofp.VersionBitmap // 0: all
	QueueSize   int               // packet-ins; 0: 100
	RateLimit   int               // packet-ins a second; 0: no limit
	BurstLimit  int
	DSCP        uint8
}

func (c *Config) maxBackoff() int {
	if c.MaxBackoff == 0 {
		return 8
	}
	return c.MaxBackoff
}

func (c *Config) probe() int {
	if c.Probe == 0 {
		return 0
	}
	return max(c.Probe, 5)
}

func (c *Config) queueSize() int {
	if c.QueueSize <= 0 {
		return 100
	}
	return c.QueueSize
}

// Manager has the OpenFlow connections of a bridge.
type Manager struct {
	// Handle gets each request that arrives; several messages are the parts of one.
	Handle func(c *Conn, msgs [][]byte)
	// Flush empties the flow tables; Flushed is to be called when that is done.
	Flush func()
	// Tables is where flow monitors look, and where fail-open puts its flow.
	Tables *table.Set
	// Tun returns the mapping of tun_metadata fields, for matches that are sent.
	Tun func() *field.TunTable
	// InBand is for in-band control; its Local must be set.
	InBand InBand
	// BundleIdleSec is how long a bundle may lie idle; 0: 10 s.
	BundleIdleSec int

	name      string
	options   func() stream.Options
	now       int64
	services  map[string]*service
	conns     []*Conn
	snoops    []stream.Listener
	snoopsSet []string

	generation    uint64
	hasGeneration bool

	standalone bool // fail mode
	failOpen   *failOpen
	inBand     inBand
	changes    uint64 // numbers the changes of rules, for flow monitors
	monitored  bool   // the tables were told of monitors
	wantMiss   bool
}

// service is a configured controller: it connects, or listens.
type service struct {
	mgr      *Manager
	target   string
	cfg      Config
	r        *rconn          // of one that connects
	listener stream.Listener // of one that listens
	conns    []*Conn
}

// New makes a Manager; name is the bridge's, for logs.  options gives the options of
// streams that are opened.
func New(name string, tables *table.Set, options func() stream.Options, now int64) *Manager {
	return &Manager{name: name, Tables: tables, options: options, now: now, services: map[string]*service{}, changes: 1, Tun: func() *field.TunTable { return nil }}
}

// SetNow tells the time before calls outside of Run.
func (m *Manager) SetNow(now int64) { m.now = now }

// Destroy closes all connections.
func (m *Manager) Destroy() {
	for _, s := range m.sorted() {
		m.destroyService(s)
	}
	for _, l := range m.snoops {
		l.Close()
	}
	m.snoops = nil
}

func (m *Manager) sorted() []*service {
	list := make([]*service, 0, len(m.services))
	for _, t := range slices.Sorted(maps.Keys(m.services)) {
		list = append(list, m.services[t])
	}
	return list
}

// Run does a turn.
func (m *Manager) Run(now int64) {
	m.now = now
	m.runInBand()
	for _, c := range slices.Clone(m.conns) {
		c.run(now)
	}
	m.runMonitors()
	m.runFailOpen()
	for _, s := range m.sorted() {
		s.run(now)
	}
	for _, l := range m.snoops {
		c, err := l.Accept()
		if err == nil {
			m.addSnooper(newVconn(c, 0))
		} else if !isAgain(err) {
			log.WarnRL(rlAccept, "accept failed (%s)", errno.Text(err))
		}
	}
	m.updateWantMiss()
}

// Wait wakes s when Run has something to do.
func (m *Manager) Wait(s *poll.Set) {
	for _, c := range m.conns {
		c.wait(s)
		if c.mayResume() {
			s.Immediate()
		}
	}
	for _, sv := range m.services {
		if sv.listener != nil {
			sv.listener.Wait(s)
		} else {
			sv.r.wait(s, false)
		}
	}
	for _, l := range m.snoops {
		l.Wait(s)
	}
	if len(m.inBand.rules) > 0 || m.HasInBand() {
		s.Timer(m.inBand.next)
	}
	if m.failOpen != nil && m.failOpen.nextBogus != math.MaxInt64 {
		s.Timer(m.failOpen.nextBogus)
	}
}

// Conns returns the connections, oldest first.
func (m *Manager) Conns() []*Conn { return m.conns }

// HasControllers reports whether controllers are configured, services apart.
func (m *Manager) HasControllers() bool {
	for _, s := range m.services {
		if !s.cfg.Service {
			return true
		}
	}
	return false
}

// Configure sets the controllers and the fail mode.
func (m *Manager) Configure(controllers []Config, standalone bool) {
	had := m.HasControllers()
	want := map[string]*Config{}
	for i := range controllers {
		c := &controllers[i]
		if want[c.Target] == nil {
			want[c.Target] = c
		}
	}
	for _, t := range slices.Sorted(maps.Keys(want)) {
		if m.services[t] == nil {
			m.createService(want[t])
		}
	}
	for _, s := range m.sorted() {
		c := want[s.target]
		switch {
		case c == nil:
			log.Info("%s: removed %s controller \"%s\"", m.name, s.kind(), s.target)
			m.destroyService(s)
		case s.cfg.Allowed != c.Allowed || s.cfg.Service != c.Service:
			log.Info("%s: Changes to controller \"%s\" expects re-initialization: Re-initializing now.", m.name, s.target)
			m.destroyService(s)
			m.createService(c)
		default:
			s.cfg = *c
			for _, conn := range s.conns {
				conn.reconfigure(c)
			}
		}
	}
	modeChanged := m.standalone != standalone
	m.standalone = standalone
	m.updateFailOpen()
	m.inBand.next = m.now
	if had != m.HasControllers() || modeChanged && !m.HasControllers() {
		m.Flush()
	}
	m.updateWantMiss()
}

func (s *service) kind() string {
	if s.cfg.Service {
		return "service"
	}
	return "primary"
}

func (m *Manager) createService(c *Config) {
	s := &service{mgr: m, target: c.Target, cfg: *c}
	switch {
	case stream.IsActive(c.Target):
		r := newRconn(m.name+"<->"+c.Target, c.Target, c.Allowed, m.now)
		r.dscp, r.open = c.DSCP, m.open
		r.setProbe(5)
		if !stream.NeedsProbes(c.Target) {
			r.setProbe(0)
		}
		s.r = r
		r.connect(m.now)
	case stream.IsPassive(c.Target):
		o := m.options()
		o.DSCP = int(c.DSCP)
		l, err := stream.Listen(stream.WithDefaultPort(c.Target, DefaultPort), o)
		if err != nil {
			return
		}
		s.listener = l
	default:
		log.WarnRL(rlAccept, "%s: unsupported controller \"%s\"", m.name, c.Target)
		return
	}
	m.services[c.Target] = s
	log.Info("%s: added %s controller \"%s\"", m.name, s.kind(), s.target)
}

func (m *Manager) open(target string, dscp uint8) (stream.Conn, error) {
	o := m.options()
	o.DSCP = int(dscp)
	return stream.Open(stream.WithDefaultPort(target, DefaultPort), o)
}

func (m *Manager) destroyService(s *service) {
	for _, c := range slices.Clone(s.conns) {
		c.destroy()
	}
	if s.listener != nil {
		s.listener.Close()
	}
	if s.r != nil {
		s.r.close()
	}
	delete(m.services, s.target)
}

func (s *service) run(now int64) {
	if s.listener == nil {
		s.r.run(now)
		if s.r.connected() && len(s.conns) == 0 {
			newConn(s, s.r).reconfigure(&s.cfg)
		}
		return
	}
	c, err := s.listener.Accept()
	if err != nil {
		if !isAgain(err) {
			log.WarnRL(rlAccept, "accept failed (%s)", errno.Text(err))
		}
		return
	}
	s.accept(c, now)
}

// accept makes an OpenFlow connection of a stream.
func (s *service) accept(c stream.Conn, now int64) *Conn {
	r := newRconn(s.mgr.name+"<->"+c.Name(), c.Name(), s.cfg.Allowed, now)
	r.dscp = s.cfg.DSCP
	r.setMaxBackoff(s.cfg.maxBackoff(), now)
	r.setProbe(s.cfg.probe()) // also on unix sockets, as in stock
	r.adopt(newVconn(c, s.cfg.Allowed), now)
	return newConn(s, r)
}

// Reconnect drops all connections, so that controllers are connected to anew.
func (m *Manager) Reconnect() {
	for _, c := range m.conns {
		c.r.reset(m.now)
	}
}

// GenerationID returns the id of the last election of a primary; all ones before the
// first.
func (m *Manager) GenerationID() (id uint64, ok bool) {
	if !m.hasGeneration {
		return math.MaxUint64, false
	}
	return m.generation, true
}

// SetGenerationID takes the id of an election; false if it is stale.
func (m *Manager) SetGenerationID(id uint64) bool {
	if m.hasGeneration && int64(id-m.generation) < 0 {
		return false
	}
	m.generation, m.hasGeneration = id, true
	return true
}

// SetSnoops sets the places where tools can listen to the most important controller
// connection.
func (m *Manager) SetSnoops(targets []string) {
	targets = slices.Clone(targets)
	slices.Sort(targets)
	if slices.Equal(targets, m.snoopsSet) {
		return
	}
	for _, l := range m.snoops {
		l.Close()
	}
	m.snoops, m.snoopsSet = nil, targets
	for _, t := range targets {
		l, err := stream.Listen(t, m.options())
		if err != nil {
			log.Err("failed to listen on %s: %s", t, errno.Text(err))
			continue
		}
		m.snoops = append(m.snoops, l)
	}
}

func (m *Manager) addSnooper(v *vconn) {
	var best *service
	for _, s := range m.sorted() {
		if s.r != nil && (best == nil || s.snoopPreference() > best.snoopPreference()) {
			best = s
		}
	}
	if best == nil {
		log.InfoRL(rlAccept, "no controller connection to snoop")
		v.close()
		return
	}
	best.r.addSnooper(v)
}

// snoopPreference says how interesting a controller is to listen to.
func (s *service) snoopPreference() int {
	if len(s.conns) == 0 {
		return 0
	}
	switch s.conns[0].role {
	case ofp.RolePrimary:
		return 3
	case ofp.RoleEqual:
		return 2
	case ofp.RoleSecondary:
		return 1
	}
	return 0
}

// Info is the state of a controller that the switch connects to.
type Info struct {
	Connected bool
	Role      ofp.Role          // RoleNoChange: not known
	Pairs     map[string]string // as the database shows them
}

// Info returns the state of each such controller, by target.
func (m *Manager) Info() map[string]Info {
	out := map[string]Info{}
	for t, s := range m.services {
		if s.r == nil {
			continue
		}
		r := s.r
		info := Info{Connected: r.connected(), Pairs: map[string]string{"state": r.stateName()}}
		if r.lastError != nil {
			info.Pairs["last_error"] = errno.Text(r.lastError)
		}
		if r.lastConnected != math.MinInt64 {
			info.Pairs["sec_since_connect"] = strconv.FormatInt((m.now-r.lastConnected)/1000, 10)
		}
		if r.lastDisconnected != math.MinInt64 {
			info.Pairs["sec_since_disconnect"] = strconv.FormatInt((m.now-r.lastDisconnected)/1000, 10)
		}
		if len(s.conns) > 0 {
			info.Role = s.conns[0].role
			s.conns[0].schedulerPairs(info.Pairs)
		}
		out[t] = info
	}
	return out
}

func (c *Conn) schedulerPairs(pairs map[string]string) {
	for i, name := range [...]string{"action", "miss"} {
		s := c.schedulers[i]
		if s == nil {
			continue
		}
		put := func(what string, n uint64) { pairs["packet-in-"+name+"-"+what] = strconv.FormatUint(n, 10) }
		put("backlog", uint64(s.nQueued))
		put("bypassed", s.nNormal)
		put("queued", s.nLimited)
		put("dropped", s.nDropped)
	}
}

// MemoryUsage returns what memory/show counts.
func (m *Manager) MemoryUsage() (conns, packets int) {
	for _, c := range m.conns {
		packets += len(c.r.txq)
		for _, s := range c.schedulers {
			if s != nil {
				packets += s.nQueued
			}
		}
	}
	return len(m.conns), packets
}

// WantsPacketInOnMiss reports whether a packet that matches no flow goes to some
// controller.
func (m *Manager) WantsPacketInOnMiss() bool { return m.wantMiss }

func (m *Manager) updateWantMiss() {
	m.wantMiss = slices.ContainsFunc(m.conns, (*Conn).wantsMisses)
}

// Now returns the time of the turn, ms.
func (m *Manager) Now() int64 { return m.now }

// Attach speaks OpenFlow on a connection that the caller made, as a service.
func (m *Manager) Attach(c stream.Conn, cfg Config) *Conn {
	s := &service{mgr: m, target: c.Name(), cfg: cfg}
	return s.accept(c, m.now)
}
