// Package dpif is the contract between ofproto and a datapath: ports, flows,
// packets to execute, meters, connection tracking, and the upcall that asks
// ofproto what to do with a packet no flow matches.
//
// dpif/userspace implements it; ofproto uses it and nothing below it.  The
// package forwards nothing itself.
//
// # Flows
//
// A datapath flow is (Key, Mask, Actions), named by its UFID.  Masks of different
// flows may overlap only if the actions agree; lookups may return any match.
//
// # Threads
//
// All methods are called by the control thread, but for the ones whose comment
// says "any thread".  The upcall function is called by polling threads and, for
// ports without one, by the control thread inside Run.
package dpif

import (
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/internal/poll"
	"sluice/netdev"
)

// PortNo is a datapath port number; PortNone means none or "choose one".
type PortNo = uint32

// PortNone is no port.
const PortNone PortNo = 0xffffffff

// Device is a network device as ofproto sees it.
type Device = netdev.Device

// DeviceStats are a device's counters; Unsupported stands for one that it lacks.
type DeviceStats = netdev.Stats

// Unsupported marks a counter that a device does not keep.
const Unsupported = netdev.Unsupported

// Queues is a device with queues, and QueueStats the counters of one.
type (
	Queues     = netdev.Queues
	QueueStats = netdev.QueueStats
)

// QueueAgeUnknown says that it is not known when a queue was made.
const QueueAgeUnknown = netdev.QueueAgeUnknown

// TunnelDevice is a device of a tunnel type, and TunnelConfig its configuration.
type (
	TunnelDevice = netdev.TunnelDevice
	TunnelConfig = netdev.TunnelConfig
	TunnelKey    = netdev.TunnelKey
	PTMode       = netdev.PTMode
)

// What packets a tunnel carries.
const (
	LegacyL2        = netdev.LegacyL2
	LegacyL3        = netdev.LegacyL3
	PacketTypeAware = netdev.PacketTypeAware
)

// Port is a port of a datapath.
type Port struct {
	No   PortNo
	Name string
	Type string
}

// FlowStats are the counters of a datapath flow.
type FlowStats struct {
	Packets  uint64
	Bytes    uint64
	Used     int64 // ms, the loop's clock; 0: never
	TCPFlags uint16
}

// Flow is a datapath flow as FlowDump and FlowGet return it.
type Flow struct {
	UFID    flow.UFID
	Key     flow.Flow
	Mask    flow.Mask
	Actions []odp.Action
	Stats   FlowStats
	PMD     int    // core of the polling thread that holds it, PMDNone: control loop
	DPLayer string // what carries it out: "ovs", or what a device calls itself
	// Offloaded: a device knows the flow, and if DPLayer is not "ovs", does all of it.
	Offloaded bool
}

// Sweep is how far a sweep over a datapath's flows has come; the fields belong to the
// datapath.
type Sweep struct{ Thread, Slot uint32 }

// PMDNone is the PMD id of the control loop (stock's NON_PMD_CORE_ID).
const PMDNone = -1

// Upcall is a packet that needs ofproto.
type Upcall struct {
	Kind     UpcallKind
	Packet   []byte        // the first frame's bytes; a longer packet's rest is in Whole
	Whole    func() []byte // the packet in one piece (copies when it is a chain)
	Key      *flow.Flow
	UFID     flow.UFID
	PMD      int
	Userdata *odp.UserspaceArg // Kind == UpcallAction: the action that asked
	Actions  []odp.Action      // Kind == UpcallAction: the list that it is part of
	Now      int64
}

// UpcallKind says why ofproto is asked.
type UpcallKind uint8

// Kinds of upcalls.
const (
	UpcallMiss   UpcallKind = iota // no flow matches
	UpcallAction                   // a userspace() action
)

// Verdict is ofproto's answer to an upcall.
type Verdict struct {
	// Actions are what to execute on this packet.
	Actions []odp.Action
	// Install asks for a flow with Mask and PutActions (nil: Actions).
	Install    bool
	Mask       flow.Mask
	PutActions []odp.Action
	// Installed, when set, is called with the result of installing.
	Installed func(err error)
}

// UpcallFunc answers an upcall into v, whose slices it may reuse.
type UpcallFunc func(u *Upcall, v *Verdict) error

// Execute asks the datapath to run actions on a packet.
type Execute struct {
	Packet  []byte
	Key     flow.Flow // metadata members are used; the rest is extracted again
	Actions []odp.Action
	// NeedsHelp is set when actions contain what only ofproto can do.
	Probe bool
	MTU   int
}

// FlowPut installs or changes a flow.
type FlowPut struct {
	Key                       flow.Flow
	Mask                      flow.Mask
	UFID                      flow.UFID
	Actions                   []odp.Action
	Create, Modify, ZeroStats bool
	PMD                       int // PMDNone or a core id; PMDAll for all
}

// PMDAll stands for every polling thread.
const PMDAll = -2

// Support says what the datapath can do (dpif/show-dp-features).  Fields follow
// stock's names and order.
type Support struct {
	MaskedSetAction, TunnelPushPop, UFID, Truncate, Clone bool
	SampleNesting, MaxVLANHeaders, MaxMPLSDepth           int
	Recirc, CTState, CTZone, CTMark, CTLabel, CTStateNAT  bool
	CTOrigTuple, CTOrigTuple6, CTEventMask, CTClear       bool
	MaxHashAlg                                            int
	CheckPktLen, CTTimeout, ExplicitDropAction, LBOutput  bool
	CTZeroSNAT, AddMPLS, NDExt                            bool
}

// DPStats are the lookup counters that dpctl/show prints.
type DPStats struct {
	Hit, Missed, Lost, Flows uint64
	MaskHit, CacheHit        uint64
	Masks                    uint32
}

// Dpif is one datapath.
type Dpif interface {
	Name() string // "netdev@ovs-netdev" is Type() + "@" + Name()
	Type() string // "netdev" or "system"
	Close(cleanup bool) error

	// PortAdd adds dev under number want (PortNone: lowest free) and returns the
	// number; the text of an error is for the user.
	PortAdd(dev Device, want PortNo) (PortNo, error)
	PortDel(no PortNo) error
	// BeginPorts begins a batch of PortAdd and PortDel: what all threads have to do
	// for them is done once, by CommitPorts.  Until then a port that was added moves
	// no packets, and the device of one that was deleted must stay open.  Batches
	// nest.
	BeginPorts()
	CommitPorts()
	PortByName(name string) (Port, Device, bool)
	PortByNumber(no PortNo) (Port, Device, bool)
	Ports() []Port // sorted by number

	// SetConfig takes the datapath's keys of Open_vSwitch other_config
	// (pmd-cpu-mask, emc-insert-inv-prob, …) and PortSetConfig those of an
	// Interface's other_config (pmd-rxq-affinity, …).
	SetConfig(otherConfig map[string]string)
	PortSetConfig(no PortNo, otherConfig map[string]string) error

	// Flow operations.  FlowDump returns flows in a stable order.
	FlowPut(*FlowPut) error
	FlowDel(ufid flow.UFID, pmd int) (FlowStats, error)
	FlowGet(ufid flow.UFID, pmd int) (Flow, error)
	FlowDump(fn func(*Flow) bool)
	// FlowSweep calls fn for up to n flows from at on, and moves at; more says that
	// there may be others.  A sweep that begins with the zero Sweep sees each flow that is
	// there all the time once, in no particular order.
	FlowSweep(at *Sweep, n int, fn func(*Flow)) (more bool)
	FlowFlush() error
	FlowCount() int // any thread

	Execute(*Execute) error

	// SetUpcall sets the upcall function, once.
	SetUpcall(UpcallFunc)
	// Support says what actions and fields the datapath knows.
	Support() Support
	Stats() DPStats

	// Run polls the ports without a polling thread (one packet per rx queue of a
	// dummy device a turn) and applies pending reconfiguration; it reports
	// whether there is more to do at once.
	Run(now int64) (more bool)
	Wait(*poll.Set)
	// Quiesce returns when every polling thread has finished one loop begun after
	// the call (the barrier of time/warp and of reconfiguration).
	Quiesce()

	// Meters (OpenFlow meter ids are mapped to these by ofproto).
	MeterFeatures() MeterFeatures
	MeterSet(id uint32, cfg MeterConfig) error
	MeterGet(id uint32) (MeterStats, error)
	MeterDel(id uint32) (MeterStats, error)
}

// MeterFeatures are a datapath's limits for meters.
type MeterFeatures struct {
	MaxMeters, BandTypes, Capabilities uint32
	MaxBands, MaxColor                 uint8
}

// MeterBand is one band: rate and burst in kbit/s or packets/s.
type MeterBand struct {
	Type      uint16 // OFPMBT_DROP 1, OFPMBT_DSCP_REMARK 2
	PrecLevel uint8
	Rate      uint32
	Burst     uint32
}

// MeterConfig is the configuration of a meter; Flags are OFPMF_*.
type MeterConfig struct {
	Flags uint16
	Bands []MeterBand
}

// MeterStats are a meter's counters, one BandPackets/BandBytes entry a band.
type MeterStats struct {
	Packets, Bytes         uint64
	BandPackets, BandBytes []uint64
}
