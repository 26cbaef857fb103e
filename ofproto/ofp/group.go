package ofp

import (
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
)

// GroupType is what a group does with its buckets.
type GroupType uint8

// The group types.
const (
	GroupTypeAll      GroupType = 0
	GroupTypeSelect   GroupType = 1
	GroupTypeIndirect GroupType = 2
	GroupTypeFF       GroupType = 3 // fast failover
)

// Commands of a GroupMod, version-neutral (OpenFlow 1.5's numbers).
const (
	GroupCmdAdd          = 0
	GroupCmdModify       = 1
	GroupCmdDelete       = 2
	GroupCmdInsertBucket = 3      // OpenFlow 1.5, Nicira
	GroupCmdRemoveBucket = 5      // OpenFlow 1.5, Nicira
	GroupCmdAddOrMod     = 0x8000 // extension: add, or modify if it exists
)

// Bucket ids with a meaning of their own.
const (
	BucketMax   = 0xffffff00
	BucketFirst = 0xfffffffd
	BucketLast  = 0xfffffffe
	BucketAll   = 0xffffffff
)

// Bucket is a list of actions in a group.
type Bucket struct {
	Weight     uint16
	WatchPort  uint32 // fast failover: flow.OFPNone if none
	WatchGroup uint32 // fast failover: GroupAny if none
	BucketID   uint32
	Actions    action.List
}

// HasLiveness reports whether the bucket watches a port or group.
func (b *Bucket) HasLiveness() bool {
	return b.WatchPort != 0xffffffff || b.WatchGroup != GroupAny
}

// GroupProps say how a select group chooses.
type GroupProps struct {
	SelectionMethod      string // "", "hash" or "dp_hash"
	SelectionMethodParam uint64
	Fields               field.Array // hash: the fields and their masks
}

// GroupMod adds, changes or deletes a group.
type GroupMod struct {
	Command         uint16
	GroupType       GroupType
	GroupID         uint32
	CommandBucketID uint32 // insert and remove: where, or which
	Buckets         []Bucket
	Props           GroupProps
}

// GroupRequest asks for statistics or description of one group or all (GroupAll).
type GroupRequest struct {
	Kind    Type // TypeGroupStatsRequest or TypeGroupDescStatsRequest
	GroupID uint32
}

// BucketStats are the statistics of a bucket.
type BucketStats struct{ PacketCount, ByteCount uint64 }

// GroupStats are the statistics of a group.
type GroupStats struct {
	GroupID      uint32
	RefCount     uint32
	PacketCount  uint64
	ByteCount    uint64
	DurationSec  uint32 // OpenFlow 1.3+, else math.MaxUint32
	DurationNsec uint32
	Buckets      []BucketStats
}

// GroupStatsReply has the statistics of groups.
type GroupStatsReply struct {
	More   bool
	Groups []GroupStats

	cut bool // the rest does not decode
}

// GroupDesc is a group.
type GroupDesc struct {
	GroupType GroupType
	GroupID   uint32
	Buckets   []Bucket
	Props     GroupProps
}

// GroupDescReply describes groups.
type GroupDescReply struct {
	More   bool
	Groups []GroupDesc
}

// Capabilities in GroupFeatures.
const (
	GroupCapSelectWeight   = 1 << 0
	GroupCapSelectLiveness = 1 << 1
	GroupCapChaining       = 1 << 2
	GroupCapChainingChecks = 1 << 3
)

// GroupFeatures are what groups can do.  Arrays are indexed by GroupType.
type GroupFeatures struct {
	Types        uint32 // bit N: GroupType N
	Capabilities uint32
	MaxGroups    [4]uint32
	Actions      [4]ActionSet
}

// Type implements Msg.
func (*GroupMod) Type() Type { return TypeGroupMod }

// Type implements Msg.
func (m *GroupRequest) Type() Type { return m.Kind }

// Type implements Msg.
func (*GroupStatsReply) Type() Type { return TypeGroupStatsReply }

// Type implements Msg.
func (*GroupDescReply) Type() Type { return TypeGroupDescStatsReply }

// Type implements Msg.
func (*GroupFeatures) Type() Type { return TypeGroupFeaturesStatsReply }
