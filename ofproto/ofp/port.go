package ofp

import "sluice/dpif/flow"

// PortConfig are the bits of a port's administrative state.
type PortConfig uint32

// The port configuration bits.
const (
	PortDown       PortConfig = 1 << 0 // administratively down
	PortNoSTP      PortConfig = 1 << 1 // OpenFlow 1.0 only
	PortNoRecv     PortConfig = 1 << 2 // drop what the port receives
	PortNoRecvSTP  PortConfig = 1 << 3 // OpenFlow 1.0 only
	PortNoFlood    PortConfig = 1 << 4 // OpenFlow 1.0 only
	PortNoFwd      PortConfig = 1 << 5 // drop what would leave by the port
	PortNoPacketIn PortConfig = 1 << 6 // its packets do not go to the controller on a miss
)

// PortState are the bits of a port's state.
type PortState uint32

// The port state bits.  The STP states are a two-bit number, OpenFlow 1.0 only.
const (
	PortLinkDown   PortState = 1 << 0
	PortBlocked    PortState = 1 << 1 // OpenFlow 1.1+
	PortLive       PortState = 1 << 2 // OpenFlow 1.1+: for fast failover groups
	PortSTPListen  PortState = 0 << 8
	PortSTPLearn   PortState = 1 << 8
	PortSTPForward PortState = 2 << 8
	PortSTPBlock   PortState = 3 << 8
	PortSTPMask    PortState = 3 << 8
)

// PortFeatures are link modes and properties, with the numbers of OpenFlow 1.1+
// (and of stock's netdev features).
type PortFeatures uint32

// The port features.
const (
	Port10MbHD PortFeatures = 1 << iota
	Port10MbFD
	Port100MbHD
	Port100MbFD
	Port1GbHD
	Port1GbFD
	Port10GbFD
	Port40GbFD
	Port100GbFD
	Port1TbFD
	PortOther
	PortCopper
	PortFiber
	PortAutoneg
	PortPause
	PortPauseAsym
)

// Port describes a port.
type Port struct {
	PortNo     uint32
	HWAddr     flow.MAC
	Name       string // at most 15 bytes on the wire
	Config     PortConfig
	State      PortState
	Curr       PortFeatures // in use
	Advertised PortFeatures
	Supported  PortFeatures
	Peer       PortFeatures // advertised by the peer
	CurrSpeed  uint32       // kbit/s
	MaxSpeed   uint32       // kbit/s
}

// Reasons of a PortStatus.
const (
	PortAdded    = 0
	PortDeleted  = 1
	PortModified = 2
)

// PortStatus tells of a port that came, went or changed.
type PortStatus struct {
	Reason uint8
	Desc   Port
}

// PortMod changes a port.
type PortMod struct {
	PortNo    uint32
	HWAddr    flow.MAC // must be the port's; zero in OpenFlow 1.4+ means unchecked
	Config    PortConfig
	Mask      PortConfig   // bits of Config that matter
	Advertise PortFeatures // 0: unchanged
}

// PortStatsRequest asks for statistics of a port, or all (flow.OFPNone).
type PortStatsRequest struct{ PortNo uint32 }

// PortDescRequest asks for the description of a port, or all (flow.OFPNone).
type PortDescRequest struct{ PortNo uint32 }

// PortDescReply describes ports.
type PortDescReply struct {
	More  bool
	Ports []Port
}

// PortCounters are the numbers in port statistics; math.MaxUint64 is "unknown".
// The RFC 2819 counters are OpenFlow 1.4+.
type PortCounters struct {
	RxPackets, TxPackets, RxBytes, TxBytes                  uint64
	RxDropped, TxDropped, RxErrors, TxErrors                uint64
	RxFrameErrors, RxOverErrors, RxCRCErrors, Collisions    uint64
	Rx1To64, Rx65To127, Rx128To255, Rx256To511, Rx512To1023 uint64
	Rx1024To1522, Rx1523ToMax                               uint64
	Tx1To64, Tx65To127, Tx128To255, Tx256To511, Tx512To1023 uint64
	Tx1024To1522, Tx1523ToMax                               uint64
	TxMulticast, RxBroadcast, TxBroadcast, Multicast        uint64
	RxUndersized, RxOversize, RxFragmented, RxJabber        uint64
}

// CustomCounter is a counter of a device's own.
type CustomCounter struct {
	Name  string
	Value uint64
}

// PortStats are a port's statistics.
type PortStats struct {
	PortNo       uint32
	DurationSec  uint32 // math.MaxUint32: unknown
	DurationNsec uint32
	PortCounters
	Custom []CustomCounter
}

// PortStatsReply has the statistics of ports.
type PortStatsReply struct {
	More  bool
	Ports []PortStats
}

// Type implements Msg.
func (*PortStatus) Type() Type { return TypePortStatus }

// Type implements Msg.
func (*PortMod) Type() Type { return TypePortMod }

// Type implements Msg.
func (*PortStatsRequest) Type() Type { return TypePortStatsRequest }

// Type implements Msg.
func (*PortStatsReply) Type() Type { return TypePortStatsReply }

// Type implements Msg.
func (*PortDescRequest) Type() Type { return TypePortDescStatsRequest }

// Type implements Msg.
func (*PortDescReply) Type() Type { return TypePortDescStatsReply }
