package ofproto

import (
	"sluice/dpif/flow"
	"sluice/ofproto/bond"
	"sluice/ofproto/classifier"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/proto/bfd"
	"sluice/ofproto/proto/cfm"
	"sluice/ofproto/proto/lacp"
	"sluice/ofproto/proto/lldp"
	"sluice/ofproto/proto/rstp"
)

// SwitchConfig is what the database wants of one bridge.  cmd/ovs-vswitchd/bridge
// fills it from the Bridge row and those that it refers to; Switch.Apply makes it so.
type SwitchConfig struct {
	Name         string
	DatapathType string // "netdev" or "system"
	DatapathID   uint64
	HWAddr       flow.MAC // of the local port
	DPDesc       string   // other_config:dp-desc; "" means "None"
	SerialDesc   string   // other_config:dp-sn; "" means "None"

	FailMode    FailMode
	Protocols   ofp.VersionBitmap // 0: all
	Controllers []ControllerConfig
	Snoops      []string // punix: targets that show the primary controllers' traffic

	DisableInBand  bool     // other_config:disable-in-band
	InBandQueue    int      // -1: none
	InBandManagers []string // targets with ports ("tcp:IP:PORT")

	FlowTables map[uint8]TableConfig
	// FlowRestoreWait keeps the datapath from forwarding by flows until an outside
	// tool has put the flow tables back.
	FlowRestoreWait bool

	MACAgingSec   int // 0: 300
	MACTableSize  int // 0: 8192
	ForwardBPDU   bool
	FloodVLANs    []uint16 // VLANs without learning
	Mcast         *McastConfig
	STP           *STPConfig
	RSTP          *RSTPConfig
	Mirrors       []MirrorConfig
	QueueDSCP     map[uint32]map[uint32]uint8 // by port and queue: the DSCP of packets
	NetFlow       *NetFlowConfig
	SFlow         *SFlowConfig
	IPFIX         *IPFIXConfig
	FlowIPFIX     []IPFIXConfig // for sample actions, by collector set
	AutoAttach    AutoAttachConfig
	BundleIdleSec int // OpenFlow bundles: 0 means 10
	Bundles       []BundleConfig
}

// FailMode says what a bridge does without a controller.
type FailMode uint8

// The fail modes.
const (
	FailStandalone FailMode = iota
	FailSecure
)

// ControllerConfig is one controller of a bridge.
type ControllerConfig struct {
	Target       string
	Service      bool // listens (ptcp:, punix:, pssl:) or is marked "service"; no primary controller
	InBand       bool // connection_mode
	MaxBackoffMs int  // 0: 8000 for primary, 60000 else
	ProbeMs      int  // inactivity probe, 0: none; -1: not set (5000 for primary)
	EnableAsync  bool
	RateLimit    int // packet-ins a second, 0: not limited
	BurstLimit   int
	QueueSize    int // controller_queue_size, 0: 100
	DSCP         uint8
}

// ControllerStatus is what the database shows of a controller.
type ControllerStatus struct {
	IsConnected bool
	Role        string            // "master", "slave", "other", "" unknown
	Pairs       map[string]string // the status column
}

// TableConfig is a row of Flow_Table.
type TableConfig struct {
	Name      string
	FlowLimit uint32 // ^0: none
	Evict     bool   // overflow_policy=evict
	Groups    []field.Sub
	Prefixes  []classifier.Prefix // nil: classifier.DefaultPrefixes
}

// VLANMode is a bundle's way with VLANs.
type VLANMode uint8

// The VLAN modes (Port vlan_mode).
const (
	VLANAccess VLANMode = iota
	VLANTrunk
	VLANNativeTagged
	VLANNativeUntagged
	VLANDot1QTunnel
)

// PriorityTags says when a bundle tags frames of VLAN 0 with their priority.
type PriorityTags uint8

// The ways of priority tagging (Port other_config:priority-tags).
const (
	PriorityTagsNever PriorityTags = iota
	PriorityTagsIfNonzero
	PriorityTagsAlways
)

// BundleConfig is a Port row: one interface, or several that are bonded.
type BundleConfig struct {
	Name         string
	Members      []MemberConfig
	VLANMode     VLANMode
	Tag          int      // -1: none (trunk)
	Trunks       []uint16 // empty: all
	CVLANs       []uint16 // VLANDot1QTunnel; empty: all
	QinQEthType  uint16   // 0x88a8 or 0x8100
	PriorityTags PriorityTags
	Protected    bool
	Bond         *BondConfig  // with several members
	LACP         *lacp.Config // nil: off
}

// MemberConfig is an interface in a bundle.
type MemberConfig struct {
	OFPort uint32
	LACP   lacp.MemberConfig // with LACP on the bundle
	BFD    *bfd.Config       // nil: none
	CFM    *cfm.Config       // nil: none
	LLDP   bool
}

// BondConfig is how a bundle with several members is a bond.
type BondConfig struct {
	bond.Config
	// ActiveMAC is the address of the member that was active when the database was
	// last told; a new bond makes it active again.
	ActiveMAC flow.MAC
}

// AutoAttachConfig is what a bridge tells by LLDP of itself and of what it wants.
type AutoAttachConfig struct {
	SystemName string
	SystemDesc string
	Mappings   []lldp.Mapping // sorted by I-SID
}

// MirrorConfig is a Mirror row; ports are named by their bundles.
type MirrorConfig struct {
	Name             string
	SelectAll        bool
	SrcPorts         []string
	DstPorts         []string
	SelectVLANs      []uint16 // empty: all
	OutPort          string
	OutVLAN          int // -1: OutPort is set
	SnapLen          uint16
	UUID             string
	HasSelectedVLANs bool
}

// McastConfig is multicast snooping.
type McastConfig struct {
	FloodUnreg bool
	IdleSec    int
	MaxEntries int
	Ports      map[string]McastPortConfig // by bundle
}

// McastPortConfig is multicast snooping on one bundle.
type McastPortConfig struct{ Flood, FloodReports bool }

// STPConfig is spanning tree on a bridge.
type STPConfig struct {
	SystemID                          uint64
	Priority                          uint16
	HelloMs, MaxAgeMs, ForwardDelayMs int64
	Ports                             map[uint32]STPPortConfig // that take part, by number
}

// STPPortConfig is spanning tree on one port.
type STPPortConfig struct {
	Number   int // from 0, below stp.MaxPorts, each once
	Priority uint8
	PathCost uint32
}

// RSTPConfig is rapid spanning tree on a bridge.
type RSTPConfig struct {
	rstp.Config
	Ports map[uint32]rstp.PortConfig // that take part, by number
}

// NetFlowConfig is a NetFlow row.
type NetFlowConfig struct {
	Targets              []string
	EngineType, EngineID uint8
	ActiveTimeoutSec     int
	AddIDToInterface     bool
}

// SFlowConfig is an sFlow row.
type SFlowConfig struct {
	Targets                     []string
	Sampling, Polling, HeaderLn uint32
	SubID                       uint32
	Agent                       string
	ControlIP                   string
}

// IPFIXConfig is an IPFIX row, as that of the bridge or that of a collector set of
// sample actions.
type IPFIXConfig struct {
	Targets            []string
	CollectorSetID     uint32 // of sample actions
	CacheActiveTimeout uint32 // seconds
	CacheMaxFlows      uint32
	VirtualObsID       string
	TunnelSampling     bool
	// The rest is of the bridge's exporter only.

	Sampling                      uint32
	ObsDomainID, ObsPointID       uint32
	InputSampling, OutputSampling bool
}
