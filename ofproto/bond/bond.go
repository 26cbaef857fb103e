// Package bond is the state of a bond: several ports (members) that carry the frames
// of one bundle.  It decides which members are in use, which one is the active
// member, and which carries what, and moves load between them.
//
// The switch (ofproto) makes a Bond for each bundle with several ports, tells it of
// links and of LACP, and runs it.  Translation gets a View, which does not change.
// Packets are not seen here.
//
// # Entries
//
// Modes other than active-backup spread frames by a hash with 256 values; each value
// has an entry with the member that carries it and the bytes that it carried.  Stock
// gives an entry its member when its first frame comes; here all entries have one
// from the start, dealt out evenly, and those without load are dealt out again when a
// member comes or goes, so that a View is complete.
//
// Thread-safety: a Bond belongs to the control loop.  Views and Loads may be used by
// any thread.
package bond

import (
	"cmp"
	"math"
	"slices"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
	"sluice/ofproto/proto/lacp"
)

var (
	log      = vlog.New("bond")
	rlLink   = vlog.NewLimiter(5, 20)
	rlActive = vlog.NewLimiter(5, 20)
	rlAdmit  = vlog.NewLimiter(1, 5)
)

// Mode is how a bond spreads frames.
type Mode uint8

// The modes.
const (
	ActiveBackup Mode = iota // all by the active member
	BalanceSLB               // by source address and VLAN
	BalanceTCP               // by addresses and ports; the other end must speak LACP
)

var modeNames = [...]string{"active-backup", "balance-slb", "balance-tcp"}

// String returns the name that the database uses.
func (m Mode) String() string { return modeNames[m] }

// ParseMode returns the mode of a name; ok is false for one that does not exist.
func ParseMode(name string) (m Mode, ok bool) {
	i := slices.Index(modeNames[:], name)
	return Mode(max(i, 0)), i >= 0
}

// Config is the configuration of a bond.
type Config struct {
	Name        string
	Mode        Mode
	UpDelayMs   int
	DownDelayMs int
	RebalanceMs int // 0: never
	Basis       uint32
	FallbackAB  bool   // be active-backup while LACP is not negotiated
	Primary     string // the preferred member; "": none
	AllActive   bool   // admit multicast on all members (balance-slb)
	LBOutput    bool   // let the datapath choose the member (balance-tcp)
}

// never is the time of what is not going to happen.
const never = math.MaxInt64

// member is a port of a bond.
type member struct {
	id      uint64
	name    string
	ofport  uint32
	mac     flow.MAC
	carrier bool
	// mayEnable says that nothing but the carrier speaks against the member: LACP,
	// BFD and CFM do not.
	mayEnable bool
	enabled   bool  // frames may be sent by it
	delay     int64 // when enabled is going to change, ms

	// Used while load is moved: the sum of its entries' bytes, and those that have
	// some, the busiest first.
	bytes   uint64
	entries []*entry
}

// Bond is one bond.
type Bond struct {
	cfg     Config
	members []*member // by name
	active  *member
	// activeMAC survives its member: when that comes back it is the active one again.
	activeMAC     flow.MAC
	activeChanged bool // since the bond was made
	lacp          lacp.Status
	recircID      uint32 // of packets whose hash the datapath computed, 0: none
	hash          *[Buckets]entry
	load          *Load
	nextRebalance int64
	dealt         int  // the member that gets the next entry
	deal          bool // entries have to be dealt out
	learning      bool // learning packets are to be sent
	changed       bool // view is not what it was
	view          *View
	counted       func() [Buckets]uint64 // see New
}

// New returns a bond without members.  activeMAC is the address of the member that was
// active in an earlier life of the bond, if there was one.  counted returns the bytes
// that each hash value carried since the beginning, for bonds whose hashes the
// datapath computes; others are counted by way of Load.
func New(c Config, activeMAC flow.MAC, counted func() [Buckets]uint64, now int64) *Bond {
	b := &Bond{activeMAC: activeMAC, counted: counted, load: &Load{}, changed: true}
	b.cfg = c
	b.reset(now)
	return b
}

// Configure changes the configuration.
func (b *Bond) Configure(c Config, now int64) {
	old := b.cfg
	b.cfg = c
	// These decide nothing but when things happen.
	old.UpDelayMs, old.DownDelayMs, old.Name = c.UpDelayMs, c.DownDelayMs, c.Name
	if old == c {
		return
	}
	b.changed = true
	if old.AllActive = c.AllActive; old != c {
		b.reset(now)
	}
}

// Config returns the configuration.
func (b *Bond) Config() *Config { return &b.cfg }

// SetRecircID sets the id under which the datapath brings back packets whose hash it
// was to compute, 0: it cannot.  It is also the number of the bond in the datapath.
func (b *Bond) SetRecircID(id uint32) {
	b.changed = b.changed || id != b.recircID
	b.recircID = id
}

// RecircID returns what SetRecircID set.
func (b *Bond) RecircID() uint32 { return b.recircID }

// Link is what the bond has to know of a member's port.
type Link struct {
	MAC       flow.MAC
	Carrier   bool
	MayEnable bool // no link protocol keeps it from carrying frames
}

// Register adds a member, or gives it another name or number.
func (b *Bond) Register(id uint64, name string, ofport uint32, l Link) {
	m := b.find(id)
	if m == nil {
		m = &member{id: id, delay: never, mac: l.MAC, carrier: l.Carrier}
		b.members = append(b.members, m)
		b.changed = true
		m.name = name
		b.enable(m, l.Carrier)
	}
	b.changed = b.changed || m.name != name || m.ofport != ofport
	m.name, m.ofport = name, ofport
	slices.SortFunc(b.members, func(x, y *member) int { return cmp.Compare(x.name, y.name) })
}

// Unregister takes a member out.
func (b *Bond) Unregister(id uint64, now int64) {
	m := b.find(id)
	if m == nil {
		return
	}
	b.changed = true
	b.enable(m, false)
	b.members = slices.DeleteFunc(b.members, func(x *member) bool { return x == m })
	if b.hash != nil {
		for i := range b.hash {
			if e := &b.hash[i]; e.member == m {
				e.member = nil
			}
		}
	}
	b.deal = true
	if b.active == m {
		b.chooseActive(now)
		b.learning = true
	}
}

// Members returns the numbers of the members.
func (b *Bond) Members() []uint64 {
	var out []uint64
	for _, m := range b.members {
		out = append(out, m.id)
	}
	return out
}

// SetLink tells the state of a member's port; Run acts on it.
func (b *Bond) SetLink(id uint64, l Link) {
	m := b.find(id)
	if m == nil {
		return
	}
	b.changed = b.changed || m.mayEnable != l.MayEnable
	m.mac, m.carrier, m.mayEnable = l.MAC, l.Carrier, l.MayEnable
}

func (b *Bond) find(id uint64) *member {
	for _, m := range b.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

func (b *Bond) byName(name string) *member {
	for _, m := range b.members {
		if m.name == name {
			return m
		}
	}
	return nil
}

// Run follows links and LACP at ms now, and reports whether View or Buckets may give
// something else than before.
func (b *Bond) Run(now int64, status lacp.Status) (changed bool) {
	if b.lacp != status {
		b.lacp = status
		b.changed = true
		if b.fallsBack() || b.hash == nil {
			b.reset(now)
		}
	}
	for _, m := range b.members {
		b.followLink(m, now)
	}
	if b.active == nil || !b.active.enabled || b.prefersOther() {
		b.chooseActive(now)
	}
	if b.deal {
		b.dealOut()
	}
	if changed = b.changed; changed {
		b.changed = false
		b.view = b.makeView()
	}
	return changed
}

// prefersOther reports that an active-backup bond's primary waits to be active.
func (b *Bond) prefersOther() bool {
	p := b.byName(b.cfg.Primary)
	return b.cfg.Mode == ActiveBackup && p != nil && p.enabled && p != b.active
}

// Next returns when Run has something to do, ms; ok is false: not before something
// changes.
func (b *Bond) Next() (at int64, ok bool) {
	if b.changed || b.deal {
		return 0, true
	}
	at = never
	for _, m := range b.members {
		at = min(at, m.delay)
	}
	return at, at != never
}

// fallsBack reports that LACP, without a partner, left an active-backup bond.
func (b *Bond) fallsBack() bool {
	return b.cfg.FallbackAB && b.cfg.Mode != ActiveBackup && b.lacp == lacp.Configured
}

// mayRecirc reports that the datapath computes the hash of packets.
func (b *Bond) mayRecirc() bool {
	return b.cfg.Mode == BalanceTCP && b.recircID != 0 && !b.fallsBack()
}

// balanced reports that load is moved between members.
func (b *Bond) balanced() bool {
	return b.cfg.RebalanceMs != 0 && b.cfg.Mode != ActiveBackup && !(b.cfg.FallbackAB && b.lacp == lacp.Configured)
}

// enable lets frames use m, or not.
func (b *Bond) enable(m *member, on bool) {
	m.delay = never
	if on == m.enabled {
		return
	}
	m.enabled = on
	b.changed, b.deal = true, true
	if !on {
		b.learning = true
	}
	log.Info("member %s: %s", m.name, choose(on, "enabled", "disabled"))
}

// followLink enables or disables m when its link has been up or down for as long as
// the configuration wants.
func (b *Bond) followLink(m *member, now int64) {
	up := m.carrier && m.mayEnable
	switch pending := m.delay != never; {
	case up == m.enabled && pending:
		log.InfoRL(rlLink, "member %s: link state %s", m.name, choose(up, "up", "down"))
		m.delay = never
		log.InfoRL(rlLink, "member %s: will not be %s", m.name, choose(up, "disabled", "enabled"))
	case up != m.enabled && !pending:
		log.InfoRL(rlLink, "member %s: link state %s", m.name, choose(up, "up", "down"))
		delay := b.cfg.DownDelayMs
		if up {
			delay = b.cfg.UpDelayMs
		}
		m.delay = now + int64(delay)
		if delay != 0 {
			log.InfoRL(rlLink, "member %s: will be %s if it stays %s for %d ms", m.name,
				choose(up, "enabled", "disabled"), choose(up, "up", "down"), delay)
		}
	}
	if now >= m.delay {
		b.enable(m, up)
	}
}

// chooseActive makes a member the active one.
func (b *Bond) chooseActive(now int64) {
	old := b.active
	b.active = b.candidate()
	switch m := b.active; {
	case m == nil && old != nil:
		b.noteActive()
		log.InfoRL(rlActive, "bond %s: all members disabled", b.cfg.Name)
	case m == nil:
	case m.enabled:
		log.InfoRL(rlActive, "bond %s: active member is now %s", b.cfg.Name, m.name)
	default:
		log.InfoRL(rlActive, "bond %s: active member is now %s, skipping remaining %d ms updelay (since no member was enabled)",
			b.cfg.Name, m.name, m.delay-now)
		b.enable(m, true)
	}
	if b.active != nil {
		b.learning = true
		if b.active != old {
			b.noteActive()
		}
	}
}

// candidate returns the member to be active: the primary, the one that was active
// last, any that is enabled, or the one that is going to be enabled next.
func (b *Bond) candidate() *member {
	if p := b.byName(b.cfg.Primary); p != nil && p.enabled {
		return p
	}
	if m := b.byMAC(); m != nil && m.enabled {
		return m
	}
	var next *member
	for _, m := range b.members {
		if m.enabled {
			return m
		}
		if m.delay != never && m.mayEnable && (next == nil || m.delay < next.delay) {
			next = m
		}
	}
	return next
}

// byMAC returns the member that has the address of the one that was active last.
func (b *Bond) byMAC() *member {
	for _, m := range b.members {
		if m.mac == b.activeMAC && m.mac != (flow.MAC{}) {
			return m
		}
	}
	return nil
}

func (b *Bond) noteActive() {
	b.activeMAC = flow.MAC{}
	if b.active != nil {
		b.activeMAC = b.active.mac
	}
	b.activeChanged, b.changed = true, true
}

// ActiveMAC returns the address of the active member, zero when there is none; ok is
// false while there never was one.
func (b *Bond) ActiveMAC() (mac flow.MAC, ok bool) { return b.activeMAC, b.activeChanged }

// TakeLearning reports, once, that the switches around have to learn anew behind
// which of their ports the addresses of this one are: for each address that is not
// behind the bond, the user sends a frame by what View.Output chooses for it.
func (b *Bond) TakeLearning() bool {
	want := b.learning
	b.learning = false
	return want && b.active != nil &&
		(b.lacp == lacp.Off && b.cfg.Mode != BalanceTCP || b.cfg.FallbackAB && b.lacp == lacp.Configured)
}

func choose(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}
