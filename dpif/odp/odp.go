// Package odp is the language of datapath flows: the actions that ofproto's
// translation produces and the datapath executes, and the text of keys, masks and
// actions as `ovs-appctl dpctl/dump-flows` and `ofproto/trace` print and parse
// them.
//
// It is used by ofproto (to produce), dpif/exec (to run) and dpif/dpctl (to
// print).  It executes nothing.
package odp

import "sluice/dpif/flow"

// Type is the kind of an Action.
type Type uint8

// Kinds of actions, with the members of Action that each uses.
const (
	Output      Type = iota + 1 // Port
	Userspace                   // User
	Set                         // Set: fields under a mask (masked set)
	PushVLAN                    // VLAN
	PopVLAN                     //
	PushMPLS                    // Port = lse, EtherType
	PopMPLS                     // EtherType
	AddMPLS                     // Port = lse, EtherType, Arg = flags
	Recirc                      // Port = recirculation id
	Hash                        // Hash
	Trunc                       // Arg = maximum length
	Sample                      // Arg = probability of 2^32-1, Nested
	Clone                       // Nested
	CT                          // CT
	CTClear                     //
	Meter                       // Port = meter id
	PushEth                     // Eth
	PopEth                      //
	PushNSH                     // NSH
	PopNSH                      //
	CheckPktLen                 // Arg = length, Nested = if greater, Else = if less or equal
	Drop                        // Arg = reason
	LBOutput                    // Port = bond id
	TunnelPush                  // TnlPush
	TunnelPop                   // Port
	SetTunnel                   // Tunnel: set the tunnel metadata for an output
)

// Action is one datapath action.  Only the members that its Type names are used,
// so that a list of actions is one slice; the pointers are nil in the frequent
// kinds.  Actions are immutable once handed to a datapath.
type Action struct {
	Type      Type
	EtherType uint16
	Port      uint32
	Arg       uint32
	VLAN      flow.VLAN
	Nested    []Action
	Else      []Action
	Ext       *Ext
}

// Ext holds the members of the rarer kinds of actions.
type Ext struct {
	User    *UserspaceArg
	Set     *SetArg
	CT      *CTArg
	Hash    *HashArg
	Tunnel  *flow.Tunnel
	TnlPush *TunnelPushArg
	Eth     *EthArg
	NSH     *flow.NSH
	NSHMD2  []byte // PushNSH of MD type 2: the context headers, padded to 4 bytes
}

// SetArg overwrites the bits of a packet's fields that Mask names.  One SetArg
// sets fields of one header (Attr), as one set() in the text.
type SetArg struct {
	Attr Attr
	Key  flow.Flow
	Mask flow.Mask
}

// Attr is a header or metadata item that a set action and a key's text name.
type Attr uint8

// Attributes in the order that stock prints keys in.
const (
	AttrRecircID Attr = iota + 1
	AttrDPHash
	AttrSkbPriority
	AttrTunnel
	AttrSkbMark
	AttrCTState
	AttrCTZone
	AttrCTMark
	AttrCTLabel
	AttrCTTuple4
	AttrCTTuple6
	AttrInPort
	AttrPacketType
	AttrEth
	AttrVLAN
	AttrEthType
	AttrMPLS
	AttrIPv4
	AttrIPv6
	AttrARP
	AttrNSH
	AttrTCP
	AttrTCPFlags
	AttrUDP
	AttrSCTP
	AttrICMP
	AttrICMPv6
	AttrND
	AttrNDExt
)

// UserspaceArg is what a userspace() action carries to ofproto.
type UserspaceArg struct {
	PID        uint32
	Kind       UserKind
	SlowReason uint32 // UserSlowPath: bits of the reason
	// UserController
	Reason       uint8
	DontSend     bool
	Continuation bool
	RecircID     uint32
	RuleCookie   uint64
	ControllerID uint16
	MaxLen       uint16
	// UserSFlow, UserFlowSample, UserIPFIX
	VLANTCI        uint16
	Output         uint32
	Probability    uint16
	CollectorSetID uint32
	ObsDomainID    uint32
	ObsPointID     uint32
	OutputPort     uint32
	Direction      uint8
	Unspec         []byte // UserUnspec: opaque bytes
	HasUserdata    bool
	Actions        bool // send the actions along
	TunnelOutPort  uint32
	HasTunnelOut   bool
	// Bridge is for ofproto: whose exporter gets the sample.
	Bridge [16]byte
}

// UserKind says what a userspace action is for.
type UserKind uint8

// Kinds of userspace actions.
const (
	UserUnspec UserKind = iota
	UserSFlow
	UserSlowPath
	UserFlowSample
	UserIPFIX
	UserController
)

// CTArg is a ct() action.
type CTArg struct {
	Commit, Force    bool
	Zone             uint16
	Mark, MarkMask   uint32
	HasMark          bool
	Label, LabelMask flow.U128
	HasLabel         bool
	Helper           string
	Timeout          string
	NAT              *NATArg
	EventMask        uint32
	HasEventMask     bool
}

// NATArg is the nat() of a ct() action.
type NATArg struct {
	Src, Dst                      bool // neither: nat without arguments
	V6                            bool
	HasIP                         bool
	IPMin, IPMax                  flow.IPv6 // IPv4 in the first four bytes
	PortMin, PortMax              uint16
	Persistent, HashPorts, Random bool
}

// HashArg is a hash() action.
type HashArg struct {
	Alg   uint32 // 0: l4, 1: symmetric l4
	Basis uint32
}

// TunnelPushArg is a tnl_push() action: the header to put in front.
type TunnelPushArg struct {
	Port    uint32 // tunnel datapath port
	OutPort uint32
	Type    uint32
	Header  []byte
}

// EthArg is a push_eth() action.
type EthArg struct {
	Dst, Src flow.MAC
}
