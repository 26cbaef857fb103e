package netdev

import "net/netip"

// PTMode says what packets a device carries (Interface options:packet_type).
type PTMode uint8

// The modes: Ethernet frames, packets without an Ethernet header, or both.
const (
	LegacyL2 PTMode = iota
	LegacyL3
	PacketTypeAware
)

// String is the mode as options:packet_type has it.
func (m PTMode) String() string {
	switch m {
	case LegacyL3:
		return "legacy_l3"
	case PacketTypeAware:
		return "ptap"
	}
	return "legacy_l2"
}

// TunnelKey is a key of a tunnel in one direction: none (0 on the wire), a number, or
// whatever the flow says.
type TunnelKey struct {
	Present, Flow bool
	Value         uint64
}

// TunnelConfig is the configuration of a tunnel (ovs-vswitchd.conf.db(5), Tunnel
// Options).  It is immutable; two are equal if == says so.
type TunnelConfig struct {
	Type string
	// InKey is of packets that come in, OutKey of those that leave.
	InKey, OutKey TunnelKey
	// Remote and Local are the ends of the tunnel; the zero Addr: none is configured.
	// With RemoteFlow or LocalFlow the flow says what they are.
	Remote, Local         netip.Addr
	RemoteFlow, LocalFlow bool
	DstPort               uint16 // 0: the type has none
	// TTL, TOS (without ECN) of the outer header; inherited from the packet with
	// TTLInherit and TOSInherit, if it is IP.
	TTL, TOS               uint8
	TTLInherit, TOSInherit bool
	DontFragment           bool
	Csum                   bool // of the outer header (UDP, GRE)
	Seq                    bool // GRE with sequence numbers
	// Extensions of VXLAN and of bareudp.
	GBP, GPE, Multiproto bool
	PTMode               PTMode
	PayloadType          uint16 // EtherType that bareudp carries
	// EgressPktMark is the mark of the packets that the tunnel makes.
	EgressPktMark    uint32
	SetEgressPktMark bool

	ERSPANVer, ERSPANDir, ERSPANHwID uint8
	ERSPANIdx                        uint32
	ERSPANVerFlow, ERSPANIdxFlow     bool
	ERSPANDirFlow, ERSPANHwIDFlow    bool
}

// TunnelDevice is a Device of a tunnel type.  It moves no packets: the tunnels of one
// type (and UDP port) share a port of the datapath.
type TunnelDevice interface {
	Device
	// Tunnel is the configuration in force; nil: SetConfig has not been called.
	Tunnel() *TunnelConfig
	// DatapathPort is the name of the datapath port that the tunnel shares, such as
	// vxlan_sys_4789, and OpenDatapathPort opens a device for it.
	DatapathPort() string
	OpenDatapathPort() (Device, error)
}
