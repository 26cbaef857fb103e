// Package maclearn is the MAC learning table of one bridge: which bundle the
// frames of an Ethernet address in a VLAN were last seen on.
//
// ofproto/xlate looks addresses up and asks for updates while it translates
// NORMAL; the bridge's loop ages entries (Run) and the fdb/* commands list and
// change them.  The table knows bundles only by number, and no ports or packets.
package maclearn

import (
	"container/heap"
	"container/list"
	"fmt"
	"sync"

	"sluice/dpif/flow"
	"sluice/internal/coverage"
)

// Limits of the ageing time in seconds and of the size of the table.
const (
	DefaultIdleTime   = 300
	DefaultMaxEntries = 8192

	minIdleTime   = 15
	maxIdleTime   = 3600
	minMaxEntries = 10
	maxMaxEntries = 1000 * 1000

	gratARPLockSeconds = 5
)

// Port names the bundle that an entry points to.  PortNone is no bundle.
type Port uint32

// PortNone is no bundle; nothing is learned on it.
const PortNone Port = 0

var (
	cLearned      = coverage.New("mac_learning_learned")
	cExpired      = coverage.New("mac_learning_expired")
	cEvicted      = coverage.New("mac_learning_evicted")
	cMoved        = coverage.New("mac_learning_moved")
	cStaticNoMove = coverage.New("mac_learning_static_none_move")
)

// VLANSet is a set of VLAN ids.
type VLANSet [64]uint64

// Has reports whether vlan is in the set; a nil set is empty.
func (s *VLANSet) Has(vlan uint16) bool {
	return s != nil && s[vlan>>6&63]&(1<<(vlan&63)) != 0
}

// Add puts vlan into the set.
func (s *VLANSet) Add(vlan uint16) { s[vlan>>6&63] |= 1 << (vlan & 63) }

// entry is one learned or static address.
type entry struct {
	mac         flow.MAC
	vlan        uint16
	static      bool
	expires     int64 // seconds; meaningless for static entries
	gratARPLock int64 // seconds: until then gratuitous ARP over bonds is ignored
	port        *usage
	lru         *list.Element // in Table.lru
	portLRU     *list.Element // in port.lru
}

// usage counts the entries of one bundle, least recently used first.
type usage struct {
	port Port
	lru  list.List
	pos  int // in Table.byUsage
}

// Entry is what Entries and Lookup tell about an address.
type Entry struct {
	MAC    flow.MAC
	VLAN   uint16
	Port   Port
	Static bool
	Age    int // seconds since the address was last seen; 0 when Static
}

// Stats are the counters that fdb/stats-show prints.
type Stats struct {
	Entries, MaxEntries, Static      int
	Learned, Expired, Evicted, Moved uint64
}

// Table is a MAC learning table.
//
// Thread-safety: all methods may be called from any thread.  Translation reads
// under a shared lock and takes the exclusive one only to change something;
// refreshing the age of an entry is such a change, at most once a second.
type Table struct {
	mu         sync.RWMutex
	entries    map[uint64]*entry
	lru        list.List // *entry, least recently used first
	ports      map[Port]*usage
	byUsage    usageHeap
	floodVLANs *VLANSet
	idleTime   int64
	maxEntries int
	retired    map[Port]struct{}
	dirty      bool // something changed that translations may depend on
	static     int

	learned, expired, evicted, moved uint64
}

// New returns an empty table with the default limits.
func New() *Table {
	return &Table{
		entries:    map[uint64]*entry{},
		ports:      map[Port]*usage{},
		retired:    map[Port]struct{}{},
		idleTime:   DefaultIdleTime,
		maxEntries: DefaultMaxEntries,
	}
}

func key(mac flow.MAC, vlan uint16) uint64 {
	return uint64(mac[0])<<56 | uint64(mac[1])<<48 | uint64(mac[2])<<40 | uint64(mac[3])<<32 |
		uint64(mac[4])<<24 | uint64(mac[5])<<16 | uint64(vlan)
}

// SetFloodVLANs sets the VLANs on which nothing is learned (nil: none) and
// reports whether that is a change.
func (t *Table) SetFloodVLANs(v *VLANSet) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.floodVLANs == v || t.floodVLANs != nil && v != nil && *t.floodVLANs == *v {
		return false
	}
	t.floodVLANs = v
	return true
}

// SetIdleTime sets the ageing time in seconds, within its limits; entries keep
// the time at which they were last seen.
func (t *Table) SetIdleTime(seconds int) {
	idle := int64(min(max(seconds, minIdleTime), maxIdleTime))
	t.mu.Lock()
	defer t.mu.Unlock()
	delta := idle - t.idleTime
	if delta == 0 {
		return
	}
	for e := t.lru.Front(); e != nil; e = e.Next() {
		e.Value.(*entry).expires += delta
	}
	t.idleTime = idle
}

// SetMaxEntries sets the size of the table, within its limits; Run removes what
// is over it.
func (t *Table) SetMaxEntries(n int) {
	t.mu.Lock()
	t.maxEntries = min(max(n, minMaxEntries), maxMaxEntries)
	t.mu.Unlock()
}

// Lookup returns the bundle that mac was last seen on in vlan.
func (t *Table) Lookup(mac flow.MAC, vlan uint16) (Port, bool) {
	if mac[0]&1 != 0 {
		return PortNone, false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	e := t.find(mac, vlan)
	if e == nil {
		return PortNone, false
	}
	return e.port.port, true
}

// Get returns the whole entry of mac in vlan.
func (t *Table) Get(mac flow.MAC, vlan uint16, now int64) (Entry, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if e := t.find(mac, vlan); e != nil && mac[0]&1 == 0 {
		return t.export(e, now/1000), true
	}
	return Entry{}, false
}

// IsGratARPLocked reports that mac was announced by gratuitous ARP over an
// interface that is no bond less than five seconds ago.
func (t *Table) IsGratARPLocked(mac flow.MAC, vlan uint16, now int64) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	e := t.find(mac, vlan)
	return e != nil && now/1000 < e.gratARPLock
}

// find returns the entry of mac in vlan unless the VLAN does not learn.
func (t *Table) find(mac flow.MAC, vlan uint16) *entry {
	if t.floodVLANs.Has(vlan) {
		return nil
	}
	return t.entries[key(mac, vlan)]
}

// Update notes that a frame from mac in vlan came in on port, and reports whether
// the table changed in a way that matters to forwarding: a new address, or one
// that moved.  bond says that port is a bond, gratARP that the frame is a
// gratuitous ARP: over bonds the latter may be our own, reflected (stock's
// update_learning_table__ has the reasons), so an address that announced itself
// on another interface is not moved by it for some seconds.
func (t *Table) Update(mac flow.MAC, vlan uint16, port Port, gratARP, bond bool, now int64) bool {
	if port == PortNone || mac[0]&1 != 0 {
		return false
	}
	sec := now / 1000
	t.mu.RLock()
	needed := t.updateNeeded(mac, vlan, port, gratARP, bond, sec)
	t.mu.RUnlock()
	if !needed {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, gone := t.retired[port]; gone || t.floodVLANs.Has(vlan) {
		return false
	}
	if e := t.entries[key(mac, vlan)]; e != nil && e.static {
		return false
	}
	e := t.insert(mac, vlan, sec)
	if gratARP {
		if !bond {
			e.gratARPLock = sec + gratARPLockSeconds
		} else if sec < e.gratARPLock {
			return t.dropIfUnplaced(e)
		}
	}
	if e.port != nil && e.port.port == port {
		return false
	}
	if e.port != nil {
		cMoved.Inc()
		t.moved++
	}
	t.setPort(e, port)
	return true
}

// dropIfUnplaced removes an entry that never got a bundle, so that every entry
// of the table has one.
func (t *Table) dropIfUnplaced(e *entry) bool {
	if e.port == nil {
		t.remove(e)
	}
	return false
}

func (t *Table) updateNeeded(mac flow.MAC, vlan uint16, port Port, gratARP, bond bool, sec int64) bool {
	if _, gone := t.retired[port]; gone || t.floodVLANs.Has(vlan) {
		return false
	}
	e := t.entries[key(mac, vlan)]
	switch {
	case e == nil:
		return true
	case e.static:
		if e.port.port != port {
			cStaticNoMove.Inc()
		}
		return false
	case t.age(e, sec) > 0:
		return true
	case gratARP && !bond:
		return true
	case gratARP && sec < e.gratARPLock:
		return false
	}
	return e.port.port != port
}

func (t *Table) age(e *entry, sec int64) int64 { return t.idleTime - (e.expires - sec) }

// insert finds or makes the entry of mac and marks it as just used.
func (t *Table) insert(mac flow.MAC, vlan uint16, sec int64) *entry {
	e := t.entries[key(mac, vlan)]
	if e == nil {
		if len(t.entries) >= t.maxEntries {
			t.evictFairly()
		}
		e = &entry{mac: mac, vlan: vlan, gratARPLock: -1 << 62}
		e.lru = t.lru.PushBack(e)
		t.entries[key(mac, vlan)] = e
		cLearned.Inc()
		t.learned++
	} else {
		t.touch(e)
	}
	e.expires = sec + t.idleTime
	return e
}

func (t *Table) touch(e *entry) {
	t.lru.MoveToBack(e.lru)
	if e.port != nil {
		e.port.lru.MoveToBack(e.portLRU)
	}
}

// evictFairly removes the least recently used entry of the bundle that has the
// most, so that one noisy port cannot push out everybody else's addresses.
func (t *Table) evictFairly() {
	if len(t.byUsage) == 0 {
		return
	}
	cEvicted.Inc()
	t.evicted++
	t.remove(t.byUsage[0].lru.Front().Value.(*entry))
}

// setPort moves e to port; PortNone takes it off its bundle.
func (t *Table) setPort(e *entry, port Port) {
	t.dirty = true
	if u := e.port; u != nil {
		u.lru.Remove(e.portLRU)
		e.port, e.portLRU = nil, nil
		if u.lru.Len() == 0 {
			heap.Remove(&t.byUsage, u.pos)
			delete(t.ports, u.port)
		} else {
			heap.Fix(&t.byUsage, u.pos)
		}
	}
	if port == PortNone {
		return
	}
	u := t.ports[port]
	if u == nil {
		u = &usage{port: port}
		t.ports[port] = u
		e.portLRU = u.lru.PushBack(e)
		heap.Push(&t.byUsage, u)
	} else {
		e.portLRU = u.lru.PushBack(e)
		heap.Fix(&t.byUsage, u.pos)
	}
	e.port = u
}

func (t *Table) remove(e *entry) {
	t.setPort(e, PortNone)
	if e.static {
		t.static--
	}
	t.lru.Remove(e.lru)
	delete(t.entries, key(e.mac, e.vlan))
}

// AddStatic binds mac in vlan to port for ever, over what was learned.
func (t *Table) AddStatic(mac flow.MAC, vlan uint16, port Port) bool {
	if port == PortNone {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[key(mac, vlan)]
	if e == nil {
		if len(t.entries) >= t.maxEntries {
			t.evictFairly()
		}
		e = &entry{mac: mac, vlan: vlan, gratARPLock: -1 << 62}
		e.lru = t.lru.PushBack(e)
		t.entries[key(mac, vlan)] = e
	} else {
		t.touch(e)
	}
	if !e.static {
		e.static = true
		t.static++
	}
	if e.port == nil || e.port.port != port {
		t.setPort(e, port)
	}
	return true
}

// DelStatic removes a static entry; false: there is none.
func (t *Table) DelStatic(mac flow.MAC, vlan uint16) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.find(mac, vlan)
	if e == nil || !e.static {
		return false
	}
	t.remove(e)
	return true
}

// Flush forgets all learned entries; static ones stay.
func (t *Table) Flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeIf(func(e *entry) bool { return !e.static })
}

// FlushPort forgets everything on port and returns what that was.
func (t *Table) FlushPort(port Port) []Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	var gone []Entry
	t.removeIf(func(e *entry) bool {
		if e.port == nil || e.port.port != port {
			return false
		}
		gone = append(gone, t.export(e, 0))
		return true
	})
	return gone
}

// MovePort says that what was learned on one bundle is behind another from now on.
func (t *Table) MovePort(from, to Port) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for el := t.lru.Front(); el != nil; el = el.Next() {
		if e := el.Value.(*entry); e.port != nil && e.port.port == from && !e.static {
			t.setPort(e, to)
		}
	}
}

// Retire is FlushPort for a port that is gone for ever.  Nothing is learned on it any
// more: flows that came in by it may still be translated or counted.
func (t *Table) Retire(port Port) []Entry {
	t.mu.Lock()
	t.retired[port] = struct{}{}
	t.mu.Unlock()
	return t.FlushPort(port)
}

// Forget drops mac from vlan.
func (t *Table) Forget(mac flow.MAC, vlan uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.find(mac, vlan); e != nil {
		t.remove(e)
	}
}

func (t *Table) removeIf(drop func(*entry) bool) {
	for el := t.lru.Front(); el != nil; {
		e := el.Value.(*entry)
		el = el.Next()
		if drop(e) {
			t.remove(e)
		}
	}
}

// Run forgets entries that are too old or too many, and reports whether since the
// last call something changed that translations may depend on.
func (t *Table) Run(now int64) bool {
	sec := now / 1000
	t.mu.Lock()
	defer t.mu.Unlock()
	for e := t.oldest(); e != nil && (len(t.entries) > t.maxEntries || sec >= e.expires); e = t.oldest() {
		cExpired.Inc()
		t.expired++
		t.remove(e)
	}
	dirty := t.dirty
	t.dirty = false
	return dirty
}

// oldest is the least recently used entry that is not static.
func (t *Table) oldest() *entry {
	for el := t.lru.Front(); el != nil; el = el.Next() {
		if e := el.Value.(*entry); !e.static {
			return e
		}
	}
	return nil
}

// Next returns when Run has something to do, in ms; ok is false: never.
func (t *Table) Next() (at int64, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.dirty || len(t.entries) > t.maxEntries {
		return 0, true
	}
	if e := t.oldest(); e != nil {
		return e.expires * 1000, true
	}
	return 0, false
}

// Entries returns all entries, least recently used first.
func (t *Table) Entries(now int64) []Entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]Entry, 0, len(t.entries))
	for el := t.lru.Front(); el != nil; el = el.Next() {
		out = append(out, t.export(el.Value.(*entry), now/1000))
	}
	return out
}

func (t *Table) export(e *entry, sec int64) Entry {
	x := Entry{MAC: e.mac, VLAN: e.vlan, Port: e.port.port, Static: e.static}
	if !e.static {
		x.Age = int(t.age(e, sec))
	}
	return x
}

// Stats returns the counters.
func (t *Table) Stats() Stats {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return Stats{Entries: len(t.entries), MaxEntries: t.maxEntries, Static: t.static,
		Learned: t.learned, Expired: t.expired, Evicted: t.evicted, Moved: t.moved}
}

// ClearStats sets the counters to zero.
func (t *Table) ClearStats() {
	t.mu.Lock()
	t.learned, t.expired, t.evicted, t.moved = 0, 0, 0, 0
	t.mu.Unlock()
}

// usageHeap has the bundle with the most entries on top.
type usageHeap []*usage

func (h usageHeap) Len() int           { return len(h) }
func (h usageHeap) Less(i, j int) bool { return h[i].lru.Len() > h[j].lru.Len() }
func (h usageHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}
func (h *usageHeap) Push(x any) {
	u := x.(*usage)
	u.pos = len(*h)
	*h = append(*h, u)
}
func (h *usageHeap) Pop() any {
	old := *h
	u := old[len(old)-1]
	*h = old[:len(old)-1]
	return u
}

// AppendShow appends what fdb/show prints; portText names a bundle's port.
func (t *Table) AppendShow(b []byte, portText func(Port) string, now int64) []byte {
	b = append(b, " port  VLAN  MAC                Age\n"...)
	for _, e := range t.Entries(now) {
		m := e.MAC
		b = fmt.Appendf(b, "%5s  %4d  %02x:%02x:%02x:%02x:%02x:%02x  ", portText(e.Port), e.VLAN,
			m[0], m[1], m[2], m[3], m[4], m[5])
		if e.Static {
			b = append(b, "static\n"...)
		} else {
			b = fmt.Appendf(b, "%3d\n", e.Age)
		}
	}
	return b
}

// AppendStats appends what fdb/stats-show prints for a bridge.
func (t *Table) AppendStats(b []byte, bridge string) []byte {
	s := t.Stats()
	b = fmt.Appendf(b, "Statistics for bridge \"%s\":\n", bridge)
	b = fmt.Appendf(b, "  Current/maximum MAC entries in the table: %d/%d\n", s.Entries, s.MaxEntries)
	b = fmt.Appendf(b, "  Current static MAC entries in the table : %d\n", s.Static)
	b = fmt.Appendf(b, "  Total number of learned MAC entries     : %d\n", s.Learned)
	b = fmt.Appendf(b, "  Total number of expired MAC entries     : %d\n", s.Expired)
	b = fmt.Appendf(b, "  Total number of evicted MAC entries     : %d\n", s.Evicted)
	return fmt.Appendf(b, "  Total number of port moved MAC entries  : %d\n", s.Moved)
}
