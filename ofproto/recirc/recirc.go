// Package recirc keeps the state of frozen translations under recirculation ids.
//
// When translation needs something that only executing its actions so far can
// tell (what lies below a popped MPLS label, the verdict of connection tracking),
// it freezes: what is left to do is kept here under an id, and the datapath
// comes back with that id when it has the answer.  Packet-ins keep their context
// the same way.  ofproto/xlate allocates and finds ids; ofproto/upcall holds
// references to them for as long as the datapath flows that mention them live.
//
// # Life of an id
//
// Equal states share an id.  When the last reference goes, the id takes no new
// ones, but is still found for at least 500 ms (packets may be on their way with
// it), and after that it is free.  Ids are given out in ascending order, so that
// one is not soon given to something else.
package recirc

import (
	"bytes"
	"hash/maphash"
	"reflect"
	"sync"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/action"
)

// Metadata is the part of a Flow that the datapath does not carry along.
type Metadata struct {
	Tunnel   flow.Tunnel
	Metadata uint64
	Regs     [flow.NRegs]uint32
	InPort   uint32 // OpenFlow port
}

// MetadataOf takes the metadata out of f.
func MetadataOf(f *flow.Flow) Metadata {
	return Metadata{Tunnel: f.Tunnel, Metadata: f.Metadata, Regs: f.Regs, InPort: f.InPort}
}

// Restore puts the metadata back into f.
func (m *Metadata) Restore(f *flow.Flow) {
	f.Tunnel, f.Metadata, f.Regs, f.InPort = m.Tunnel, m.Metadata, m.Regs, m.InPort
}

// State is what a frozen translation needs to go on.  It is immutable once it has
// an id.
type State struct {
	Table       uint8 // where lookup goes on, if there are no Actions
	Bridge      [16]byte
	Metadata    Metadata
	Stack       []byte // values, each followed by its length in bytes
	Mirrors     uint32 // mirrors that already have the packet
	Conntracked bool
	WasMPLS     bool
	Port        uint64 // the port that the packet came in by first, 0: none
	Actions     action.List
	ActionSet   action.List
	UserData    []byte
}

// node is one id.
type node struct {
	id    uint32
	hash  uint64
	refs  int
	state *State
}

// staticIDs are not given out again after the numbers wrap around: they are likely
// to belong to something that lives long.
const staticIDs = 1024

// lingerMs is how long an unreferenced id is still found, at least.
const lingerMs = 500

// Pool is a set of ids.
//
// Thread-safety: all methods may be called from any thread.  One mutex guards
// everything; it is taken once a translation that freezes or thaws, never for
// packets that hit the datapath's flow table.
type Pool struct {
	mu       sync.RWMutex
	byID     map[uint32]*node
	byState  map[uint64][]*node
	seed     maphash.Seed
	next     uint32
	expiring []*node // without references
	expired  []*node // to be deleted at the next turn
	turn     int64   // when that is, ms
}

// NewPool returns an empty pool.
func NewPool() *Pool {
	return &Pool{byID: map[uint32]*node{}, byState: map[uint64][]*node{}, seed: maphash.MakeSeed(), next: 1}
}

// Alloc returns the id of a state equal to s with a reference for the caller.  s
// and what it points to must not be changed afterwards.
func (p *Pool) Alloc(s *State) uint32 {
	h := p.hash(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.byState[h] {
		if equal(n.state, s) {
			n.refs++
			return n.id
		}
	}
	return p.insert(s, h).id
}

// AllocUnique returns a new id for a state that no translation finds by its
// contents, with a reference for the caller.
func (p *Pool) AllocUnique(s *State) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.insert(s, p.hash(s))
	p.dropFromIndex(n)
	return n.id
}

func (p *Pool) insert(s *State, h uint64) *node {
	for p.next == 0 || p.byID[p.next] != nil {
		if p.next == 0 {
			p.next = staticIDs
		}
		p.next++
	}
	n := &node{id: p.next, hash: h, refs: 1, state: s}
	p.next++
	p.byID[n.id] = n
	p.byState[h] = append(p.byState[h], n)
	return n
}

// Find returns the state of id, nil: there is none.
func (p *Pool) Find(id uint32) *State {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if n := p.byID[id]; n != nil {
		return n.state
	}
	return nil
}

// Ref takes a reference to id, unless it has none any more.
func (p *Pool) Ref(id uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.byID[id]
	if n == nil || n.refs == 0 {
		return false
	}
	n.refs++
	return true
}

// Unref gives up a reference to id.
func (p *Pool) Unref(id uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.byID[id]
	if n == nil || n.refs == 0 {
		return
	}
	if n.refs--; n.refs == 0 {
		p.dropFromIndex(n)
		p.expiring = append(p.expiring, n)
	}
}

func (p *Pool) dropFromIndex(n *node) {
	list := p.byState[n.hash]
	for i, m := range list {
		if m == n {
			list[i] = list[len(list)-1]
			list = list[:len(list)-1]
			break
		}
	}
	if len(list) == 0 {
		delete(p.byState, n.hash)
	} else {
		p.byState[n.hash] = list
	}
}

// Run frees the ids that have been without a reference for long enough.
func (p *Pool) Run(now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now < p.turn {
		return
	}
	p.turn = now + lingerMs
	for _, n := range p.expired {
		delete(p.byID, n.id)
	}
	p.expired = append(p.expired[:0], p.expiring...)
	p.expiring = p.expiring[:0]
}

// Next returns when Run has something to do, in ms; ok is false: nothing.
func (p *Pool) Next() (at int64, ok bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.turn, len(p.expiring)+len(p.expired) > 0
}

// Len returns the number of ids that are found.
func (p *Pool) Len() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.byID)
}

func (p *Pool) hash(s *State) uint64 {
	var h maphash.Hash
	h.SetSeed(p.seed)
	maphash.WriteComparable(&h, s.Metadata)
	h.Write(s.Bridge[:])
	h.WriteByte(s.Table)
	h.WriteByte(byte(len(s.Actions)))
	h.WriteByte(byte(len(s.ActionSet)))
	h.Write(s.Stack)
	h.Write(s.UserData)
	return h.Sum64()
}

func equal(a, b *State) bool {
	return a.Table == b.Table && a.Bridge == b.Bridge && a.Mirrors == b.Mirrors &&
		a.Conntracked == b.Conntracked && a.WasMPLS == b.WasMPLS && a.Port == b.Port &&
		a.Metadata == b.Metadata && bytes.Equal(a.Stack, b.Stack) && bytes.Equal(a.UserData, b.UserData) &&
		equalActions(a.Actions, b.Actions) && equalActions(a.ActionSet, b.ActionSet)
}

// equalActions compares lists.  Most actions are the very ones of the same rule,
// so comparing pointers settles it.
func equalActions(a, b action.List) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !reflect.DeepEqual(a[i], b[i]) {
			return false
		}
	}
	return true
}
