package ofp

import (
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
)

// Commands of a flow monitor request (OpenFlow 1.4+; Nicira: always add).
const (
	MonitorAdd    = 0
	MonitorModify = 1
	MonitorDelete = 2
)

// MonitorFlags say what a flow monitor reports (OpenFlow 1.4+'s numbers).
type MonitorFlags uint16

// The monitor flags.
const (
	MonitorInitial  MonitorFlags = 1 << 0 // matching flows at the start
	MonitorAdded    MonitorFlags = 1 << 1
	MonitorRemoved  MonitorFlags = 1 << 2
	MonitorChanged  MonitorFlags = 1 << 3
	MonitorActions  MonitorFlags = 1 << 4 // with instructions
	MonitorNoAbbrev MonitorFlags = 1 << 5 // own changes in full too
	MonitorOnlyOwn  MonitorFlags = 1 << 6 // own changes only
)

// FlowMonitor is one flow monitor.
type FlowMonitor struct {
	ID       uint32
	Command  uint8
	Flags    MonitorFlags
	OutPort  uint32 // flow.OFPNone: any
	OutGroup uint32 // GroupAny: any
	TableID  uint8  // TableAll: all
	Match    match.Match
}

// FlowMonitorRequest starts (or in OpenFlow 1.4+ changes or deletes) monitors.
type FlowMonitorRequest struct {
	More     bool
	Monitors []FlowMonitor
}

// FlowEvent is the kind of a FlowUpdate (OpenFlow 1.4+'s numbers).
type FlowEvent uint16

// The events.
const (
	EventInitial  FlowEvent = 0
	EventAdded    FlowEvent = 1
	EventRemoved  FlowEvent = 2
	EventModified FlowEvent = 3
	EventAbbrev   FlowEvent = 4 // a change by this controller: XID of its flow_mod only
	EventPaused   FlowEvent = 5 // OpenFlow 1.4+
	EventResumed  FlowEvent = 6 // OpenFlow 1.4+
)

// FlowUpdate tells of a change to a flow.
type FlowUpdate struct {
	Event       FlowEvent
	Reason      FlowReason // EventRemoved
	IdleTimeout uint16
	HardTimeout uint16
	TableID     uint8
	Priority    uint16
	Cookie      uint64
	Match       match.Match
	Actions     action.List
	XID         uint32 // EventAbbrev
}

// FlowMonitorReply has flow updates.
type FlowMonitorReply struct {
	More    bool
	Updates []FlowUpdate
}

// FlowMonitorCancel ends a monitor (before OpenFlow 1.4).
type FlowMonitorCancel struct{ ID uint32 }

// Reasons of a RequestForward.
const (
	ForwardGroupMod = 0
	ForwardMeterMod = 1
)

// RequestForward tells a controller what another one changed.
type RequestForward struct {
	XID    uint32 // of the request
	Reason uint8
	Meter  *MeterMod // Reason is ForwardMeterMod
	Group  *GroupMod // Reason is ForwardGroupMod
	// NewBuckets is, after an insert or remove of buckets, all buckets that the
	// group has now: OpenFlow before 1.5 tells it as a modify.
	NewBuckets []Bucket
	// GroupExisted says what GroupCmdAddOrMod did: 1 modified, 0 added, -1 not known.
	GroupExisted int
}

// Type implements Msg.
func (*FlowMonitorRequest) Type() Type { return TypeFlowMonitorStatsRequest }

// Type implements Msg.
func (*FlowMonitorReply) Type() Type { return TypeFlowMonitorStatsReply }

// Type implements Msg.
func (*FlowMonitorCancel) Type() Type { return TypeFlowMonitorCancel }

// Type implements Msg.
func (*RequestForward) Type() Type { return TypeRequestforward }
