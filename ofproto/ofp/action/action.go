// Package action is the table of OpenFlow actions and instructions (ovs-actions(7)):
// decoding and encoding for OpenFlow 1.0 to 1.5 with the Nicira and ONF extensions,
// text in and out, and the checks that a flow_mod must pass.
//
// Instructions are actions too, as in stock Open vSwitch: a flow entry has one List,
// in which write_actions holds a List of its own and the apply_actions list stands
// open.  Flow tables keep Lists, translation walks them with a type switch, the
// message codec reads and writes them.  The package executes nothing.
package action

import "sluice/ofproto/ofp/field"

// Kind tells the actions apart.  The order is stock's.
type Kind uint8

// Action is one action or instruction; its dynamic type is a pointer to one of the
// structs of this package.  Actions are shared between readers once they are decoded
// or parsed, and not changed from then on.
type Action interface{ Kind() Kind }

// List is a sequence of actions in execution order.
type List []Action

// The kinds.
const (
	KindOutput Kind = iota
	KindGroup
	KindController
	KindEnqueue
	KindOutputReg
	KindBundle
	KindSetField
	KindSetVLANVID
	KindSetVLANPCP
	KindStripVLAN
	KindPushVLAN
	KindSetEthSrc
	KindSetEthDst
	KindSetIPv4Src
	KindSetIPv4Dst
	KindSetIPDSCP
	KindSetIPECN
	KindSetIPTTL
	KindSetL4SrcPort
	KindSetL4DstPort
	KindRegMove
	KindStackPush
	KindStackPop
	KindDecTTL
	KindSetMPLSLabel
	KindSetMPLSTC
	KindSetMPLSTTL
	KindDecMPLSTTL
	KindPushMPLS
	KindPopMPLS
	KindDecNSHTTL
	KindDeleteField
	KindEncap
	KindDecap
	KindSetTunnel
	KindSetQueue
	KindPopQueue
	KindFinTimeout
	KindResubmit
	KindLearn
	KindConjunction
	KindMultipath
	KindNote
	KindExit
	KindSample
	KindUnrollXlate
	KindCT
	KindCTClear
	KindNAT
	KindOutputTrunc
	KindClone
	KindCheckPktLarger
	KindDebugRecirc
	KindDebugSlow
	KindMeter
	KindClearActions
	KindWriteActions
	KindWriteMetadata
	KindGotoTable

	NKinds
)

// Raw is the wire action that an action was decoded from, for those that several
// wire actions can express: encoding gives back what came in.  0: not from the wire.
type Raw uint8

// Output sends the packet to a port.
type Output struct {
	Port   uint32 // OpenFlow port, 32-bit numbering
	MaxLen uint16 // bytes to send, for flow.OFPController
}

// OutputTrunc sends at most MaxLen bytes of the packet to a port.
type OutputTrunc struct {
	Port   uint32
	MaxLen uint32
}

// Group applies a group.
type Group struct{ ID uint32 }

// Controller sends the packet to controllers as a packet-in.
type Controller struct {
	Raw      Raw
	Reason   uint8 // OFPR_*
	Pause    bool  // freeze translation; the controller resumes it
	MaxLen   uint16
	ID       uint16 // controller connection id
	MeterID  uint32 // 0: none
	UserData []byte
	// ProviderMeter is the datapath's meter for MeterID; ^0: none.  The switch fills
	// it in before the list is shared.
	ProviderMeter uint32
}

// Enqueue sends the packet to a queue of a port.
type Enqueue struct{ Port, Queue uint32 }

// OutputReg sends the packet to the port whose number a field holds.
type OutputReg struct {
	Src    field.Sub
	MaxLen uint16
	Raw    Raw
}

// BundleAlg chooses a member of a Bundle.
type BundleAlg uint8

// The algorithms.
const (
	BundleActiveBackup BundleAlg = 0
	BundleHRW          BundleAlg = 1
)

// HashFields is what a hash covers (enum nx_hash_fields).
type HashFields uint16

// The sets of hashed fields.
const (
	HashEthSrc         HashFields = 0
	HashSymmetricL4    HashFields = 1
	HashSymmetricL3L4  HashFields = 2
	HashSymmetricL3L4U HashFields = 3 // with UDP ports
	HashNwSrc          HashFields = 4
	HashNwDst          HashFields = 5
	HashSymmetricL3    HashFields = 6
)

// Bundle chooses a live member port and sends the packet to it, or with Load puts its
// number into Dst (bundle_load).
type Bundle struct {
	Alg     BundleAlg
	Load    bool // bundle_load: Dst is set
	Fields  HashFields
	Basis   uint16
	Dst     field.Sub
	Members []uint32 // OpenFlow ports
}

// SetField sets a field, or the bits of it that Mask has.  It stands for set_field,
// load and the standard set actions of OpenFlow 1.2 and later.
type SetField struct {
	ID          field.ID
	Raw         Raw
	Size        uint8 // mapped length of a tun_metadata field; 0: the row's
	FlowHasVLAN bool  // set by the checks: the packet has a tag at this point
	// Data is the value, and behind it the mask; both FieldSize bytes.
	Data []byte
}

// SetVLANVID sets the VLAN id, adding a tag if PushIfNeeded (OpenFlow 1.0).
type SetVLANVID struct {
	VID          uint16
	PushIfNeeded bool
	FlowHasVLAN  bool // set by the checks
}

// SetVLANPCP sets the VLAN priority, adding a tag if PushIfNeeded (OpenFlow 1.0).
type SetVLANPCP struct {
	PCP          uint8
	PushIfNeeded bool
	FlowHasVLAN  bool // set by the checks
}

// StripVLAN removes the outer VLAN tag, if any.  Pop tells how text calls it: pop_vlan
// or strip_vlan.
type StripVLAN struct{ Pop bool }

// PushVLAN adds a VLAN tag.
type PushVLAN struct{ EthType uint16 }

// SetEthSrc sets the Ethernet source address.
type SetEthSrc struct{ MAC [6]byte }

// SetEthDst sets the Ethernet destination address.
type SetEthDst struct{ MAC [6]byte }

// SetIPv4Src sets the IPv4 source address.
type SetIPv4Src struct{ Addr uint32 }

// SetIPv4Dst sets the IPv4 destination address.
type SetIPv4Dst struct{ Addr uint32 }

// SetIPDSCP sets the DSCP; it has the upper 6 bits of DSCP.
type SetIPDSCP struct{ DSCP uint8 }

// SetIPECN sets the ECN bits.
type SetIPECN struct{ ECN uint8 }

// SetIPTTL sets the IP TTL or hop limit.
type SetIPTTL struct{ TTL uint8 }

// SetL4SrcPort sets the TCP, UDP or SCTP source port.
type SetL4SrcPort struct {
	Port        uint16
	FlowIPProto uint8 // set by the checks: the protocol that is matched
}

// SetL4DstPort sets the TCP, UDP or SCTP destination port.
type SetL4DstPort struct {
	Port        uint16
	FlowIPProto uint8 // set by the checks: the protocol that is matched
}

// RegMove copies bits of a field to another.
type RegMove struct {
	Src, Dst field.Sub
	Raw      Raw
}

// StackPush pushes bits of a field onto the stack.
type StackPush struct{ Sub field.Sub }

// StackPop pops bits of a field from the stack.
type StackPop struct{ Sub field.Sub }

// DecTTL decrements the IP TTL; a packet whose TTL runs out goes to the controllers.
type DecTTL struct {
	Raw Raw
	IDs []uint16 // controller ids; at least one
}

// SetMPLSLabel sets the label of the outermost MPLS entry.
type SetMPLSLabel struct{ Label uint32 }

// SetMPLSTC sets the traffic class of the outermost MPLS entry.
type SetMPLSTC struct{ TC uint8 }

// SetMPLSTTL sets the TTL of the outermost MPLS entry.
type SetMPLSTTL struct{ TTL uint8 }

// DecMPLSTTL decrements the TTL of the outermost MPLS entry.
type DecMPLSTTL struct{}

// PushMPLS adds an MPLS label stack entry.
type PushMPLS struct{ EthType uint16 }

// PopMPLS removes the outermost MPLS entry; EthType is that of what is below.
type PopMPLS struct{ EthType uint16 }

// DecNSHTTL decrements the NSH TTL.
type DecNSHTTL struct{}

// DeleteField removes a tun_metadata field.
type DeleteField struct {
	ID   field.ID
	Size uint8 // mapped length; 0: the row's
}

// Property is a property of Encap (struct ofp_ed_prop_header).
type Property struct {
	Class uint16 // 4: NSH
	Type  uint8  // NSH: 1 MD type, 2 TLV
	// MDType is that of an NSH MD type property.
	MDType uint8
	// TLVClass and TLVType name a metadata TLV, whose value is Data.
	TLVClass uint16
	TLVType  uint8
	Data     []byte
}

// Encap adds a header.
type Encap struct {
	PacketType uint32 // of the new header, as in flow.Flow
	HdrSize    uint16
	Props      []Property
}

// Decap removes the outermost header.
type Decap struct{ PacketType uint32 }

// DecapNext is the packet type of Decap that means: whatever the removed header says.
const DecapNext = 0xfffe

// SetTunnel sets the tunnel id.
type SetTunnel struct {
	Raw Raw
	ID  uint64
}

// SetQueue sets the queue for later outputs.
type SetQueue struct{ Queue uint32 }

// PopQueue restores the queue from before SetQueue.
type PopQueue struct{}

// FinTimeout lowers the flow's timeouts when a TCP connection ends.
type FinTimeout struct{ Idle, Hard uint16 }

// Resubmit looks the packet up again.
type Resubmit struct {
	Raw    Raw
	Table  uint8  // 255: the current one
	CT     bool   // with the conntrack original tuple in place of the addresses
	InPort uint32 // flow.OFPInPort: unchanged
}

// Flags of Learn.
const (
	LearnSendFlowRem   = 1 << 0
	LearnDeleteLearned = 1 << 1
	LearnWriteResult   = 1 << 2
)

// LearnDst is what a LearnSpec produces.
type LearnDst uint8

// The kinds of a LearnSpec.
const (
	LearnMatch  LearnDst = 0 // a match on Dst
	LearnLoad   LearnDst = 1 // a load into Dst
	LearnOutput LearnDst = 2 // an output to the port in Src
)

// LearnSpec is one part of the flow that Learn makes.
type LearnSpec struct {
	Dst  field.Sub // match and load
	Src  field.Sub // unless Imm is set
	Bits uint16
	Kind LearnDst
	// Imm is an immediate value of (Bits+7)/8 bytes in place of Src.
	Imm []byte
}

// Learn adds or changes a flow.
type Learn struct {
	Raw              Raw
	Table            uint8
	Flags            uint8 // Learn*
	Idle, Hard       uint16
	Priority         uint16
	FinIdle, FinHard uint16
	Cookie           uint64
	Limit            uint32 // 0: none
	ResultDst        field.Sub
	Specs            []LearnSpec
}

// Conjunction says that the flow is a part of a conjunctive match.
type Conjunction struct {
	Clause, NClauses uint8 // Clause counts from 0
	ID               uint32
}

// MultipathAlg chooses a link.
type MultipathAlg uint16

// The algorithms.
const (
	MultipathModuloN       MultipathAlg = 0
	MultipathHashThreshold MultipathAlg = 1
	MultipathHRW           MultipathAlg = 2
	MultipathIterHash      MultipathAlg = 3
)

// Multipath hashes fields to a link number and puts it into Dst.
type Multipath struct {
	Fields  HashFields
	Basis   uint16
	Alg     MultipathAlg
	MaxLink uint16 // number of links - 1
	Arg     uint32
	Dst     field.Sub
}

// Note does nothing; it carries bytes for whoever reads the flow.
type Note struct{ Data []byte }

// Exit ends translation.
type Exit struct{}

// Directions of Sample.
const (
	SampleDefault = 0
	SampleIngress = 1
	SampleEgress  = 2
)

// Sample sends some packets to an IPFIX collector set.
type Sample struct {
	Raw          Raw
	Direction    uint8
	Probability  uint16 // of 65535
	CollectorSet uint32
	ObsDomain    uint32
	ObsPoint     uint32
	Port         uint32 // sampling port; flow.OFPNone: none
}

// UnrollXlate is internal: it restores the table and cookie that a frozen
// translation shows in its packet-ins.
type UnrollXlate struct {
	Table  uint8
	Cookie uint64
}

// Flags of CT.
const (
	CTCommit = 1 << 0
	CTForce  = 1 << 1
)

// CTNoRecirc as CT.RecircTable means that the packet is not looked up again.
const CTNoRecirc = 0xff

// CT sends the packet through the connection tracker.
type CT struct {
	Flags       uint16
	Zone        uint16    // unless HasZoneSrc
	HasZoneSrc  bool      // the zone is in ZoneSrc
	RecircTable uint8     // CTNoRecirc: none
	Alg         uint16    // 21: FTP, 69: TFTP
	ZoneSrc     field.Sub //
	Actions     List      // NAT, and set_field of ct_mark and ct_label
}

// CTClear forgets the connection tracking state.
type CTClear struct{}

// Flags of NAT.
const (
	NATSrc         = 1 << 0
	NATDst         = 1 << 1
	NATPersistent  = 1 << 2
	NATProtoHash   = 1 << 3
	NATProtoRandom = 1 << 4
)

// NAT is address translation inside CT.
type NAT struct {
	Flags              uint16
	IPv6               bool     // addresses are IPv6
	HasAddr            bool     // MinAddr is set
	AddrMin, AddrMax   [16]byte // IPv4 in the first 4 bytes; AddrMax zero: none
	ProtoMin, ProtoMax uint16   // 0: none
}

// Clone runs actions on a copy of the packet and state.
type Clone struct{ Actions List }

// CheckPktLarger sets Dst to whether the packet is longer than Len.
type CheckPktLarger struct {
	Dst field.Sub
	Len uint16
}

// DebugRecirc forces a recirculation (debugging only).
type DebugRecirc struct{}

// DebugSlow forces the slow path (debugging only).
type DebugSlow struct{}

// Meter applies a meter.
type Meter struct {
	ID uint32
	// Provider is the datapath's meter; ^0: none.  The switch fills it in before the
	// list is shared.
	Provider uint32
}

// ClearActions empties the action set.
type ClearActions struct{}

// WriteActions merges actions into the action set.
type WriteActions struct{ Actions List }

// WriteMetadata sets the bits of the metadata field that Mask has.
type WriteMetadata struct{ Value, Mask uint64 }

// GotoTable continues in another table.
type GotoTable struct{ Table uint8 }
