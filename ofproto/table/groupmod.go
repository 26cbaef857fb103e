package table

import (
	"cmp"
	"slices"

	"sluice/ofproto/classifier"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
)

// GroupMod is a group_mod on its way through a transaction.
type GroupMod struct {
	ofp.GroupMod
	now int64

	version uint64
	new     *Group
	old     []*Group
	deleted [][]*Rule // the rules of each old group, when groups are deleted
}

// NewGroupMod prepares gm.
func (s *Set) NewGroupMod(gm *ofp.GroupMod, now int64) *GroupMod {
	return &GroupMod{GroupMod: *gm, now: now}
}

// Result tells what a committed group_mod did: the buckets that the group has now
// (nil when it was deleted), and whether it existed before.
func (m *GroupMod) Result() (buckets []ofp.Bucket, existed bool) {
	if m.new != nil {
		buckets = m.new.Buckets
	}
	return buckets, len(m.old) > 0
}

func (m *GroupMod) start(s *Set) error {
	m.new, m.old, m.deleted = nil, nil, nil
	switch m.Command {
	case ofp.GroupCmdAdd:
		return m.startAdd(s)
	case ofp.GroupCmdModify, ofp.GroupCmdInsertBucket, ofp.GroupCmdRemoveBucket:
		return m.startModify(s)
	case ofp.GroupCmdAddOrMod:
		if s.Group(versionMax, m.GroupID) == nil {
			return m.startAdd(s)
		}
		return m.startModify(s)
	case ofp.GroupCmdDelete:
		m.startDelete(s)
		return nil
	}
	return oferr.OFPGMFC_BAD_COMMAND
}

// create makes the new group, visible from m.version on.
func (m *GroupMod) create() (*Group, error) {
	if m.GroupID > ofp.GroupMax {
		return nil, oferr.OFPGMFC_INVALID_GROUP
	}
	if m.GroupType > ofp.GroupTypeFF {
		return nil, oferr.OFPGMFC_BAD_TYPE
	}
	g := newGroup(m.GroupID, m.GroupType, m.now)
	g.Buckets, g.Props, g.addVersion = m.Buckets, m.Props, m.version
	return g, nil
}

func (m *GroupMod) startAdd(s *Set) error {
	if s.Group(versionMax, m.GroupID) != nil {
		return oferr.OFPGMFC_GROUP_EXISTS
	}
	g, err := m.create()
	if err != nil {
		return err
	}
	if s.nGroups[m.GroupType] >= ofp.GroupMax {
		return oferr.OFPGMFC_OUT_OF_GROUPS
	}
	m.insert(s, g)
	return nil
}

// insert puts g in front of the older versions of its group.
func (m *GroupMod) insert(s *Set, g *Group) {
	g.BucketStats = make([]BucketCounters, len(g.Buckets))
	if v, ok := s.groups.Load(g.ID); ok {
		g.next.Store(v.(*Group))
	}
	s.groups.Store(g.ID, g)
	s.nGroups[g.Type]++
	m.new = g
}

func (m *GroupMod) startModify(s *Set) error {
	old := s.Group(versionMax, m.GroupID)
	if old == nil {
		return oferr.OFPGMFC_UNKNOWN_GROUP
	}
	if m.Command == ofp.GroupCmdInsertBucket || m.Command == ofp.GroupCmdRemoveBucket {
		m.GroupType, m.Props = old.Type, old.Props
	}
	g, err := m.create()
	if err != nil {
		return err
	}
	switch m.Command {
	case ofp.GroupCmdInsertBucket:
		g.Buckets, err = insertBuckets(old.Buckets, m.Buckets, m.CommandBucketID)
	case ofp.GroupCmdRemoveBucket:
		g.Buckets, err = removeBucket(old.Buckets, m.CommandBucketID)
	}
	if err != nil {
		return err
	}
	g.Created = old.Created
	g.rules, old.rules = old.rules, g.rules
	old.removeVersion.Store(m.version)
	s.nGroups[old.Type]--
	m.old = append(m.old, old)
	m.insert(s, g)
	return nil
}

// findBucket returns the index of the bucket with an id, or -1.
func findBucket(b []ofp.Bucket, id uint32) int {
	return slices.IndexFunc(b, func(x ofp.Bucket) bool { return x.BucketID == id })
}

// insertBuckets puts add into old: at the front, the end, or after the bucket with id
// after.
func insertBuckets(old, add []ofp.Bucket, after uint32) ([]ofp.Bucket, error) {
	at := 0
	switch {
	case after <= ofp.BucketMax:
		i := findBucket(old, after)
		if i < 0 {
			return nil, oferr.OFPGMFC_UNKNOWN_BUCKET
		}
		at = i + 1
	case after == ofp.BucketLast:
		at = len(old)
	}
	all := slices.Insert(slices.Clone(old), at, add...)
	seen := make(map[uint32]bool, len(all))
	for i := range all {
		if seen[all[i].BucketID] {
			return nil, oferr.OFPGMFC_BUCKET_EXISTS
		}
		seen[all[i].BucketID] = true
	}
	return all, nil
}

// removeBucket takes a bucket, or all, out of old.
func removeBucket(old []ofp.Bucket, id uint32) ([]ofp.Bucket, error) {
	i := findBucket(old, id)
	switch {
	case id == ofp.BucketAll:
		return nil, nil
	case id == ofp.BucketFirst:
		i = 0
	case id == ofp.BucketLast:
		i = len(old) - 1
	case i < 0:
		return nil, oferr.OFPGMFC_UNKNOWN_BUCKET
	}
	if len(old) == 0 {
		return nil, nil
	}
	return slices.Delete(slices.Clone(old), i, i+1), nil
}

func (m *GroupMod) startDelete(s *Set) {
	var groups []*Group
	if m.GroupID == ofp.GroupAll {
		groups = s.Groups()
	} else if g := s.Group(versionMax, m.GroupID); g != nil {
		groups = append(groups, g)
	}
	for _, g := range groups {
		// Rules leave all other groups here, so that none is deleted twice.
		g.beingDeleted = true
		rules := sortedRules(g.rules)
		s.deleteStart(rules, m.version)
		g.removeVersion.Store(m.version)
		s.nGroups[g.Type]--
		m.old = append(m.old, g)
		m.deleted = append(m.deleted, rules)
	}
}

func (m *GroupMod) revert(s *Set) {
	for i := len(m.old) - 1; i >= 0; i-- {
		g := m.old[i]
		s.nGroups[g.Type]++
		g.removeVersion.Store(classifier.NotRemoved)
		if m.new != nil {
			g.rules, m.new.rules = m.new.rules, g.rules
			continue
		}
		g.beingDeleted = false
		s.deleteRevert(m.deleted[i])
	}
	if m.new != nil {
		s.nGroups[m.new.Type]--
		s.dropGroup(m.new)
	}
	m.new, m.old, m.deleted = nil, nil, nil
}

func (m *GroupMod) finish(s *Set, req Requester) {
	for i, g := range m.old {
		if m.new == nil {
			s.deleteFinish(m.deleted[i], ofp.RemovedGroupDelete, Requester{})
		}
		s.deadGroups = append(s.deadGroups, g)
	}
}

// dropGroup takes one version of a group out of the table.
func (s *Set) dropGroup(g *Group) {
	v, ok := s.groups.Load(g.ID)
	if !ok {
		return
	}
	head := v.(*Group)
	if head == g {
		if next := g.next.Load(); next != nil {
			s.groups.Store(g.ID, next)
		} else {
			s.groups.Delete(g.ID)
		}
		return
	}
	for p := head; p != nil; p = p.next.Load() {
		if p.next.Load() == g {
			p.next.Store(g.next.Load())
			return
		}
	}
}

// Groups returns all groups by id.  Mu must be held.
func (s *Set) Groups() []*Group {
	var groups []*Group
	s.groups.Range(func(k, _ any) bool {
		if g := s.Group(versionMax, k.(uint32)); g != nil {
			groups = append(groups, g)
		}
		return true
	})
	slices.SortFunc(groups, func(a, b *Group) int { return cmp.Compare(a.ID, b.ID) })
	return groups
}

// NRules returns how many rules name the group.
func (g *Group) NRules() int { return len(g.rules) }
