// Package flow holds the fields of one packet: Flow, and Mask over it.
//
// It is the key of every table in the switch: the OpenFlow classifier, the
// megaflow table and the exact-match caches all look up by a Flow (or its
// compressed form) under a Mask.  ofproto fills the OpenFlow-only members
// (Metadata, Regs, ConjID, ActsetOutput), the datapath the others.
//
// The package extracts a Flow from packet bytes, hashes it, and compresses it.
// It does not print fields (ofproto/ofp/match and dpif/odp do, each in its own
// text) and knows no ports, tables or devices.
package flow

// Limits of a Flow, as stock Open vSwitch 3.1 has them.
const (
	MaxVLANs      = 2   // VLAN headers kept
	MaxMPLSLabels = 3   // MPLS label stack entries kept
	NRegs         = 16  // Nicira registers reg0..reg15
	MaxTunOpts    = 256 // bytes of tunnel TLV options
)

// IPv6 is an IPv6 address in network byte order.
type IPv6 [16]byte

// MAC is an Ethernet address.
type MAC [6]byte

// U128 is a 128-bit value, Hi holding the more significant half (ct_label, xxreg).
type U128 struct{ Hi, Lo uint64 }

// Flow holds the fields of one packet and its metadata.  Integers are in host
// byte order; addresses that are arrays are in network order.  A field that the
// packet does not have is zero.  The struct has no implicit padding and its size
// is a multiple of 8, so that it can be viewed as uint64 words (Words); a new
// member must keep that (asserted in flow_unsafe.go).
//
// The order is that of the stages of a staged lookup: metadata, L2, L3, L4.
type Flow struct {
	// Metadata stage.

	Tunnel       Tunnel
	Metadata     uint64        // OpenFlow metadata
	Regs         [NRegs]uint32 // Nicira registers; xreg N is reg 2N (high half) and 2N+1
	SkbPriority  uint32        // QoS priority, set_queue
	PktMark      uint32        // packet mark
	DPHash       uint32        // hash computed by the datapath
	InPort       uint32        // datapath port in datapath keys, OpenFlow port in ofproto
	RecircID     uint32        // 0: not recirculated
	ConjID       uint32        // conjunction id
	ActsetOutput uint32        // output port in the OpenFlow action set
	PacketType   uint32        // namespace << 16 | type; 0 is Ethernet
	CTState      uint8         // CTState* bits
	CTNwProto    uint8         // original tuple: IP protocol
	CTZone       uint16        // connection tracking zone
	CTMark       uint32        // connection mark
	CTLabel      U128          // connection label
	CTNwSrc      uint32        // original tuple
	CTNwDst      uint32        // original tuple
	CTIPv6Src    IPv6          // original tuple
	CTIPv6Dst    IPv6          // original tuple
	CTTpSrc      uint16        // original tuple
	CTTpDst      uint16        // original tuple
	pad0         uint32

	// L2 stage.

	DLDst  MAC            // Ethernet destination
	DLSrc  MAC            // Ethernet source
	DLType uint16         // Ethernet type; DLTypeNone for 802.2 without SNAP
	pad1   uint16         //
	VLANs  [MaxVLANs]VLAN // outermost first; zero TPID: none
	MPLS   [4]uint32      // label stack entries, outermost first; [3] always 0

	// L3 stage.

	NwSrc     uint32 // IPv4 source or ARP SPA
	NwDst     uint32 // IPv4 destination or ARP TPA
	IPv6Src   IPv6
	IPv6Dst   IPv6
	IPv6Label uint32 // 20 bits
	NwFrag    uint8  // NwFrag* bits
	NwTOS     uint8  // DSCP << 2 | ECN
	NwTTL     uint8
	NwProto   uint8 // IP protocol, or the low 8 bits of the ARP opcode
	NDTarget  IPv6  // neighbour discovery target
	ARPSha    MAC   // ARP or ND source hardware address
	ARPTha    MAC   // ARP or ND target hardware address
	TCPFlags  uint16
	pad2      uint16
	NSH       NSH

	// L4 stage.

	TpSrc     uint16 // TCP/UDP/SCTP source port, ICMP type
	TpDst     uint16 // TCP/UDP/SCTP destination port, ICMP code
	IGMPGroup uint32 // IGMP group address; ND reserved field for ICMPv6 ND
	NDOptType uint8  // type of the ND option seen (see ovs-fields(7) nd_options_type)
	pad3      [7]uint8
}

// Mask says which bits of a Flow matter: 1 exact, 0 wildcarded.
type Mask Flow

// VLAN is one 802.1Q or 802.1ad tag.
type VLAN struct {
	TPID uint16 // 0: no tag
	TCI  uint16 // PCP << 13 | CFI (always set when there is a tag) | VID
}

// Fields of VLAN.TCI.
const (
	VLANVIDMask  = 0x0fff
	VLANCFI      = 0x1000
	VLANPCPMask  = 0xe000
	VLANPCPShift = 13
)

// NSH is a Network Service Header (RFC 8300).
type NSH struct {
	Flags   uint8
	TTL     uint8
	MDType  uint8
	NP      uint8
	PathHdr uint32    // SPI << 8 | SI
	Context [4]uint32 // MD type 1 context headers
}

// Tunnel is the metadata of the tunnel that a packet came by or will leave by.
type Tunnel struct {
	IPv6Dst     IPv6
	IPv6Src     IPv6
	IPDst       uint32
	IPSrc       uint32
	ID          uint64 // VNI, GRE key, …
	Flags       uint16 // TunFlag* bits
	TOS         uint8
	TTL         uint8
	TpSrc       uint16
	TpDst       uint16
	GBPID       uint16 // VXLAN group policy
	GBPFlags    uint8
	ERSPANVer   uint8
	ERSPANDir   uint8
	ERSPANHwID  uint8
	GTPUFlags   uint8
	GTPUMsgType uint8
	ERSPANIdx   uint32
	pad0        uint32
	// Metadata holds tunnel TLV options: in ofproto, one present bit a
	// tun_metadataN field and its bytes at the place that the TLV table gives it.
	// In the datapath OptsLen bytes of raw Geneve options (Present unused).
	Present uint64
	OptsLen uint32
	pad1    uint32
	Opts    [MaxTunOpts]byte
}

// Bits of Tunnel.Flags, in the order in which text lists them.
const (
	TunFlagOAM   = 1 << 0
	TunFlagDF    = 1 << 1
	TunFlagCsum  = 1 << 2
	TunFlagKey   = 1 << 3
	TunFlagUDPIF = 1 << 4 // options are raw, as the datapath carries them
)

// Bits of Flow.NwFrag.
const (
	NwFragAny   = 1 << 0 // a fragment
	NwFragLater = 1 << 1 // not the first fragment
)

// Bits of Flow.CTState.
const (
	CTNew         = 1 << 0
	CTEstablished = 1 << 1
	CTRelated     = 1 << 2
	CTReplyDir    = 1 << 3
	CTInvalid     = 1 << 4
	CTTracked     = 1 << 5
	CTSrcNAT      = 1 << 6
	CTDstNAT      = 1 << 7
)

// Ethernet types that the switch knows by name.
const (
	DLTypeNone = 0x05ff // 802.2 frame without an Ethernet type
	EthIPv4    = 0x0800
	EthARP     = 0x0806
	EthTEB     = 0x6558
	EthVLAN    = 0x8100
	EthRARP    = 0x8035
	EthIPv6    = 0x86dd
	EthLACP    = 0x8809
	EthMPLS    = 0x8847
	EthMPLSMc  = 0x8848
	EthQinQ    = 0x88a8
	EthLLDP    = 0x88cc
	EthNSH     = 0x894f
)

// Packet types (OpenFlow 1.5, section 7.2.3.11): namespace << 16 | type.
const (
	PacketTypeEth    = 0
	PacketTypeIPv4   = 1<<16 | EthIPv4
	PacketTypeIPv6   = 1<<16 | EthIPv6
	PacketTypeMPLS   = 1<<16 | EthMPLS
	PacketTypeMPLSMc = 1<<16 | EthMPLSMc
	PacketTypeNSH    = 1<<16 | EthNSH
)

// OpenFlow port numbers that have a meaning of their own, as 32-bit numbers
// (OpenFlow 1.1+); 16-bit ports of OpenFlow 1.0 map 0xffXX to 0xffffffXX.
const (
	OFPMax        = 0xffffff00
	OFPUnset      = 0xfffffff7
	OFPInPort     = 0xfffffff8
	OFPTable      = 0xfffffff9
	OFPNormal     = 0xfffffffa
	OFPFlood      = 0xfffffffb
	OFPAll        = 0xfffffffc
	OFPController = 0xfffffffd
	OFPLocal      = 0xfffffffe
	OFPNone       = 0xffffffff // also OFPP_ANY
)

// UFID identifies a datapath flow: a 128-bit hash of its masked key.
type UFID U128
