// Package mcast is the multicast snooping table of one bridge (RFC 4541): which
// bundles listen to which groups, and where multicast routers are.
//
// ofproto/xlate looks groups up while it translates NORMAL, and applies the IGMP and
// MLD messages that come by; the bridge's loop ages entries (Run), the mdb/* commands
// list and flush them.  The table knows bundles only by number.
package mcast

import (
	"container/list"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"sluice/dpif/flow"
	"sluice/internal/coverage"
	"sluice/ofproto/maclearn"
)

// Defaults and limits.  Times are in seconds.
const (
	DefaultIdleTime   = 300
	DefaultMaxEntries = 2048

	routerIdleTime = 180
	minIdleTime    = 15
	maxIdleTime    = 3600
	minMaxEntries  = 10
	maxMaxEntries  = 1000 * 1000
)

var (
	cLearned = coverage.New("mcast_snooping_learned")
	cExpired = coverage.New("mcast_snooping_expired")
)

// Port names a bundle.
type Port = maclearn.Port

// PortConfig is the snooping on one bundle.
type PortConfig struct {
	Port Port
	// Flood sends all multicast traffic but reports here, and learns nothing.
	Flood bool
	// FloodReports sends reports here, and lets leaves of several hosts behind the
	// bundle take the time of an entry's age.
	FloodReports bool
}

// Router is a bundle behind which a multicast router is.
type Router struct {
	Port Port
	VLAN uint16
}

type groupKey struct {
	addr flow.IPv6
	vlan uint16
}

// group is a group in a VLAN with its listeners, those heard longest ago first.  It
// has at least one.
type group struct {
	groupKey
	members []member
	lru     *list.Element
}

type member struct {
	port    Port
	expires int64 // seconds
}

type router struct {
	Router
	expires int64
}

// Table is a multicast snooping table.
//
// Thread-safety: all methods may be called from any thread.
type Table struct {
	mu         sync.RWMutex
	groups     map[groupKey]*group
	lru        list.List // *group, heard longest ago first
	routers    []router  // heard longest ago first
	ports      map[Port]PortConfig
	flood      []Port // in the order of SetPorts
	reports    []Port
	floodUnreg bool
	idleTime   int64
	maxEntries int
	dirty      bool // something changed that translations may depend on
}

// New returns an empty table with the default limits.
func New() *Table {
	return &Table{groups: map[groupKey]*group{}, ports: map[Port]PortConfig{}, floodUnreg: true,
		idleTime: DefaultIdleTime, maxEntries: DefaultMaxEntries}
}

// SetIdleTime sets after how many seconds a group is forgotten that no listener
// asks for; entries keep the time at which they were last heard.
func (t *Table) SetIdleTime(seconds int) {
	idle := int64(min(max(seconds, minIdleTime), maxIdleTime))
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.groups {
		for i := range g.members {
			g.members[i].expires += idle - t.idleTime
		}
	}
	t.idleTime = idle
}

// SetMaxEntries sets how many groups the table holds; Run removes what is over it.
func (t *Table) SetMaxEntries(n int) {
	t.mu.Lock()
	t.maxEntries = min(max(n, minMaxEntries), maxMaxEntries)
	t.mu.Unlock()
}

// SetFloodUnregistered says whether traffic to groups without listeners goes to all
// bundles, or to routers only.
func (t *Table) SetFloodUnregistered(on bool) {
	t.mu.Lock()
	t.dirty = t.dirty || on != t.floodUnreg
	t.floodUnreg = on
	t.mu.Unlock()
}

// SetPorts tells the table the bundles that there are.  Those that are gone are
// forgotten.
func (t *Table) SetPorts(ports []PortConfig) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.ports
	t.ports = make(map[Port]PortConfig, len(ports))
	var flood, reports []Port
	for _, p := range ports {
		t.ports[p.Port] = p
		if p.Flood {
			flood = append(flood, p.Port)
		}
		if p.FloodReports {
			reports = append(reports, p.Port)
		}
	}
	// The lists are never changed but replaced: readers keep them.
	if !slices.Equal(flood, t.flood) || !slices.Equal(reports, t.reports) {
		t.flood, t.reports = flood, reports
		t.dirty = true
	}
	for p := range old {
		if _, ok := t.ports[p]; !ok {
			t.flushPort(p)
		}
	}
}

// Apply does what message m, which came in by port in vlan, says, and returns how many
// entries it changed.
func (t *Table) Apply(m *Message, vlan uint16, port Port, now int64) int {
	sec := now / 1000
	t.mu.Lock()
	defer t.mu.Unlock()
	cfg, ok := t.ports[port]
	if !ok || cfg.Flood {
		return 0
	}
	if m.Kind == Query {
		if m.HasSource && t.addRouter(Router{port, vlan}, sec) {
			return 1
		}
		return 0
	}
	n := 0
	for _, c := range m.Changes {
		k := groupKey{c.Group, vlan}
		if !isMulticast(&c.Group) {
			continue
		}
		if c.Join && t.join(k, port, sec) || !c.Join && !cfg.FloodReports && t.leave(k, port) {
			n++
		}
	}
	return n
}

func isMulticast(a *flow.IPv6) bool { return netip.AddrFrom16(*a).Unmap().IsMulticast() }

// join adds port to a group and reports whether the group is new.  Where a router is,
// all groups are heard anyway.
func (t *Table) join(k groupKey, port Port, sec int64) bool {
	if t.findRouter(Router{port, k.vlan}) >= 0 {
		return false
	}
	g := t.groups[k]
	learned := g == nil
	if learned {
		if len(t.groups) >= t.maxEntries {
			t.remove(t.lru.Front().Value.(*group))
		}
		g = &group{groupKey: k}
		g.lru = t.lru.PushBack(g)
		t.groups[k] = g
		t.dirty = true
		cLearned.Inc()
	} else {
		t.lru.MoveToBack(g.lru)
	}
	if i := g.find(port); i >= 0 {
		g.members = slices.Delete(g.members, i, i+1)
	} else {
		t.dirty = true
	}
	g.members = append(g.members, member{port, sec + t.idleTime})
	// Run looks at groups that nobody refreshes; here a listener keeps the group while
	// others may have left without a word.
	t.expire(g, sec)
	return learned
}

// leave takes port out of a group and reports whether it was in it.
func (t *Table) leave(k groupKey, port Port) bool {
	g := t.groups[k]
	if g == nil {
		return false
	}
	i := g.find(port)
	if i < 0 {
		return false
	}
	t.dirty = true
	g.members = slices.Delete(g.members, i, i+1)
	if len(g.members) == 0 {
		t.remove(g)
	}
	return true
}

func (g *group) find(port Port) int {
	return slices.IndexFunc(g.members, func(m member) bool { return m.port == port })
}

func (t *Table) remove(g *group) {
	t.dirty = true
	t.lru.Remove(g.lru)
	delete(t.groups, g.groupKey)
}

func (t *Table) findRouter(r Router) int {
	return slices.IndexFunc(t.routers, func(x router) bool { return x.Router == r })
}

// addRouter notes a router and reports whether it is new.
func (t *Table) addRouter(r Router, sec int64) bool {
	i := t.findRouter(r)
	if i >= 0 {
		t.routers = slices.Delete(t.routers, i, i+1)
	} else {
		cLearned.Inc()
		t.dirty = true
	}
	t.routers = append(t.routers, router{r, sec + routerIdleTime})
	return i < 0
}

// AppendListeners appends the bundles that listen to a group; ok is false if there are
// none.
func (t *Table) AppendListeners(out []Port, addr flow.IPv6, vlan uint16) (_ []Port, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	g := t.groups[groupKey{addr, vlan}]
	if g == nil {
		return out, false
	}
	for _, m := range g.members {
		out = append(out, m.port)
	}
	return out, true
}

// AppendRouters appends the bundles with routers, in all VLANs.
func (t *Table) AppendRouters(out []Router) []Router {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for i := range t.routers {
		out = append(out, t.routers[i].Router)
	}
	return out
}

// FloodPorts returns the bundles that get all traffic, and ReportPorts those that get
// all reports; the caller must not change the lists.
func (t *Table) FloodPorts() []Port {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.flood
}

// ReportPorts: see FloodPorts.
func (t *Table) ReportPorts() []Port {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.reports
}

// FloodUnregistered: see SetFloodUnregistered.
func (t *Table) FloodUnregistered() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.floodUnreg
}

// Flush forgets all groups and routers.
func (t *Table) Flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.groups) == 0 && len(t.routers) == 0 {
		return
	}
	clear(t.groups)
	t.lru.Init()
	t.routers = nil
	t.dirty = true
}

// FlushPort forgets that a bundle listens to anything or has routers.
func (t *Table) FlushPort(port Port) {
	t.mu.Lock()
	t.flushPort(port)
	t.mu.Unlock()
}

func (t *Table) flushPort(port Port) {
	for el := t.lru.Front(); el != nil; {
		g := el.Value.(*group)
		el = el.Next()
		t.leave(g.groupKey, port)
	}
	n := len(t.routers)
	t.routers = slices.DeleteFunc(t.routers, func(r router) bool { return r.Port == port })
	t.dirty = t.dirty || len(t.routers) < n
}

// Run forgets entries that are too old or too many, and reports whether since the last
// call something changed that translations may depend on.
func (t *Table) Run(now int64) bool {
	sec := now / 1000
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.groups) > t.maxEntries {
		t.remove(t.lru.Front().Value.(*group))
	}
	// The group heard longest ago may have a member that was heard later than one of
	// another group, but no group expires as a whole before it.
	for el := t.lru.Front(); el != nil; {
		g := el.Value.(*group)
		el = el.Next()
		if !t.expire(g, sec) {
			break
		}
	}
	n := len(t.routers)
	t.routers = slices.DeleteFunc(t.routers, func(r router) bool { return sec >= r.expires })
	if n -= len(t.routers); n > 0 {
		t.dirty = true
		cExpired.Add(uint64(n))
	}
	dirty := t.dirty
	t.dirty = false
	return dirty
}

// expire removes the members of g that are too old, and reports whether there were
// some.
func (t *Table) expire(g *group, sec int64) bool {
	n := 0
	for n < len(g.members) && sec >= g.members[n].expires {
		n++
	}
	if n == 0 {
		return false
	}
	cExpired.Add(uint64(n))
	t.dirty = true
	if g.members = slices.Delete(g.members, 0, n); len(g.members) == 0 {
		cExpired.Inc() // stock counts the group as well
		t.remove(g)
	}
	return true
}

// Next returns when Run has something to do, in ms; ok is false: never.
func (t *Table) Next() (at int64, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.dirty || len(t.groups) > t.maxEntries {
		return 0, true
	}
	if el := t.lru.Front(); el != nil {
		at, ok = el.Value.(*group).members[0].expires*1000, true
	}
	if len(t.routers) > 0 {
		if r := t.routers[0].expires * 1000; !ok || r < at {
			at, ok = r, true
		}
	}
	return at, ok
}

// AppendShow appends what mdb/show prints; portText names a bundle's port.
func (t *Table) AppendShow(b []byte, portText func(Port) string, now int64) []byte {
	sec := now / 1000
	t.mu.RLock()
	defer t.mu.RUnlock()
	b = append(b, " port  VLAN  GROUP                Age\n"...)
	for el := t.lru.Front(); el != nil; el = el.Next() {
		g := el.Value.(*group)
		for _, m := range g.members {
			b = fmt.Appendf(b, "%5s  %4d  %s         %3d\n", portText(m.port), g.vlan, netip.AddrFrom16(g.addr).Unmap(),
				t.idleTime-(m.expires-sec))
		}
	}
	for _, r := range t.routers {
		b = fmt.Appendf(b, "%5s  %4d  querier             %3d\n", portText(r.Port), r.VLAN, routerIdleTime-(r.expires-sec))
	}
	return b
}
