package ofp

import (
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
)

// Commands of a FlowMod.
const (
	FlowAdd          = 0
	FlowModify       = 1
	FlowModifyStrict = 2
	FlowDelete       = 3
	FlowDeleteStrict = 4
)

// FlowFlags are the flags of a flow or a FlowMod.
type FlowFlags uint16

// The flow flags.
const (
	FlowSendRem      FlowFlags = 1 << 0 // send FlowRemoved when the flow goes
	FlowNoPktCounts  FlowFlags = 1 << 1 // OpenFlow 1.3+
	FlowNoByteCounts FlowFlags = 1 << 2 // OpenFlow 1.3+
	FlowCheckOverlap FlowFlags = 1 << 3
	FlowResetCounts  FlowFlags = 1 << 4 // OpenFlow 1.2+
	FlowEmerg        FlowFlags = 1 << 5 // OpenFlow 1.0; refused by switches

	// Set inside the switch only.

	FlowHiddenFields FlowFlags = 1 << 6 // may match and set hidden fields
	FlowNoReadonly   FlowFlags = 1 << 7 // may change read-only tables

	// FlowStateFlags are those that a flow keeps.
	FlowStateFlags = FlowSendRem | FlowNoPktCounts | FlowNoByteCounts | FlowCheckOverlap | FlowResetCounts
)

// Values that mean "none" or "any".
const (
	GroupAny  = 0xffffffff
	GroupAll  = 0xfffffffc
	GroupMax  = 0xffffff00
	NoBuffer  = 0xffffffff
	NoCookie  = 1<<64 - 1 // as NewCookie: leaves cookies alone
	NoCounter = 1<<64 - 1 // a counter that is not known
)

// FlowMod adds, changes or deletes flows.
//
// Cookies: Cookie and CookieMask select flows to modify or delete (a zero mask
// selects all).  NewCookie is the cookie of flows that are added, or with
// ModifyCookie also of those that are modified; NoCookie there means that a modify
// that finds nothing adds nothing.
type FlowMod struct {
	Match        match.Match
	Priority     uint16
	Cookie       uint64
	CookieMask   uint64
	NewCookie    uint64
	ModifyCookie bool
	TableID      uint8 // TableAll: the switch's choice for an add, all tables for others
	Command      uint8 // FlowAdd, …
	IdleTimeout  uint16
	HardTimeout  uint16
	BufferID     uint32 // NoBuffer: none
	OutPort      uint32 // deletes: only flows that output there; flow.OFPNone: any
	OutGroup     uint32 // deletes: likewise; GroupAny: any
	Flags        FlowFlags
	Importance   uint16 // OpenFlow 1.4+
	Actions      action.List
}

// FlowStatsRequest asks for flows, or for their sum.
type FlowStatsRequest struct {
	Aggregate  bool
	Match      match.Match
	Cookie     uint64
	CookieMask uint64
	OutPort    uint32 // flow.OFPNone: any
	OutGroup   uint32 // GroupAny: any
	TableID    uint8  // TableAll: all
	NX         bool   // the Nicira request of OpenFlow 1.0
}

// FlowStats are a flow and its statistics.
type FlowStats struct {
	Match        match.Match
	Cookie       uint64
	TableID      uint8
	Priority     uint16
	IdleTimeout  uint16
	HardTimeout  uint16
	DurationSec  uint32
	DurationNsec uint32
	IdleAge      int // seconds since the last packet, -1: not known
	HardAge      int // seconds since the last change, -1: not known
	PacketCount  uint64
	ByteCount    uint64
	Actions      action.List
	Flags        FlowFlags // OpenFlow 1.3+
	Importance   uint16    // OpenFlow 1.4+
}

// FlowStatsReply has flows.  A switch with many of them uses a ReplyBuilder.
type FlowStatsReply struct {
	More  bool
	Flows []FlowStats
}

// AggregateReply has the sum over flows.
type AggregateReply struct {
	PacketCount uint64
	ByteCount   uint64
	FlowCount   uint32
}

// FlowReason says why a flow was removed.
type FlowReason uint8

// The reasons of a FlowRemoved.
const (
	RemovedIdleTimeout FlowReason = 0
	RemovedHardTimeout FlowReason = 1
	RemovedDelete      FlowReason = 2
	RemovedGroupDelete FlowReason = 3
	RemovedMeterDelete FlowReason = 4
	RemovedEviction    FlowReason = 5
)

// FlowRemoved tells of a flow that is gone.
type FlowRemoved struct {
	Match        match.Match
	Cookie       uint64
	Priority     uint16
	Reason       FlowReason
	TableID      uint8  // TableAll: the message does not say
	DurationSec  uint32 // math.MaxUint32: not known
	DurationNsec uint32
	IdleTimeout  uint16
	HardTimeout  uint16
	PacketCount  uint64
	ByteCount    uint64
}

// Type implements Msg.
func (*FlowMod) Type() Type { return TypeFlowMod }

// Type implements Msg.
func (m *FlowStatsRequest) Type() Type {
	if m.Aggregate {
		return TypeAggregateStatsRequest
	}
	return TypeFlowStatsRequest
}

// Type implements Msg.
func (*FlowStatsReply) Type() Type { return TypeFlowStatsReply }

// Type implements Msg.
func (*AggregateReply) Type() Type { return TypeAggregateStatsReply }

// Type implements Msg.
func (*FlowRemoved) Type() Type { return TypeFlowRemoved }
