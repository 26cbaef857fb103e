package table

import (
	"sync/atomic"

	"sluice/ofproto/classifier"
	"sluice/ofproto/ofp"
)

// Group is an OpenFlow group.  It never changes but for its counters: a group_mod
// puts a new Group in the place of the old one.
type Group struct {
	ID       uint32
	Type     ofp.GroupType
	Buckets  []ofp.Bucket
	Props    ofp.GroupProps
	Created  int64 // ms
	Modified int64 // ms

	// Counters; BucketStats has one element a bucket.
	Packets, Bytes atomic.Uint64
	BucketStats    []BucketCounters

	// Aux is for translation to keep what it computes from the group (the hash
	// table of a select group).
	Aux atomic.Value

	addVersion    uint64
	removeVersion atomic.Uint64
	next          atomic.Pointer[Group] // older version of the group
	rules         map[*Rule]struct{}    // that name the group; the writer's
	beingDeleted  bool
}

// BucketCounters are the counters of one bucket.
type BucketCounters struct{ Packets, Bytes atomic.Uint64 }

// VisibleIn reports whether readers of version v see g.
func (g *Group) VisibleIn(v uint64) bool { return g.addVersion <= v && v < g.removeVersion.Load() }

// Credit counts packets that bucket (-1: none) of the group handled.
func (g *Group) Credit(bucket int, packets, bytes uint64) {
	g.Packets.Add(packets)
	g.Bytes.Add(bytes)
	if bucket >= 0 && bucket < len(g.BucketStats) {
		g.BucketStats[bucket].Packets.Add(packets)
		g.BucketStats[bucket].Bytes.Add(bytes)
	}
}

// Group returns group id as readers of version see it, or nil.
func (s *Set) Group(version uint64, id uint32) *Group {
	v, ok := s.groups.Load(id)
	if !ok {
		return nil
	}
	g := v.(*Group)
	for g != nil && !g.VisibleIn(version) {
		g = g.next.Load()
	}
	return g
}

func newGroup(id uint32, t ofp.GroupType, now int64) *Group {
	g := &Group{ID: id, Type: t, Created: now, Modified: now, rules: map[*Rule]struct{}{}}
	g.removeVersion.Store(classifier.NotRemoved)
	return g
}
