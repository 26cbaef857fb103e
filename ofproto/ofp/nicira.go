package ofp

import "sluice/dpif/flow"

// TLVMap maps one tunnel option to a tun_metadata field.
type TLVMap struct {
	OptionClass uint16
	OptionType  uint8
	OptionLen   uint8
	Index       uint16 // N of tun_metadataN
}

// Commands of a TLVTableMod.
const (
	TLVAdd    = 0
	TLVDelete = 1
	TLVClear  = 2
)

// TLVTableMod changes the map of tunnel options.
type TLVTableMod struct {
	Command uint16
	Maps    []TLVMap
}

// TLVTableReply has the map of tunnel options.
type TLVTableReply struct {
	MaxOptionSpace uint32 // bytes
	MaxFields      uint16
	Maps           []TLVMap
}

// CTFlushZone deletes the connections of a conntrack zone.
type CTFlushZone struct{ Zone uint16 }

// CTTuple is one direction of a connection to flush; zero members match anything.
type CTTuple struct {
	Src, Dst         flow.IPv6 // IPv4 addresses are mapped (::ffff:a.b.c.d)
	SrcPort, DstPort uint16    // ICMP: id, and type << 8 | code
}

// CTFlush deletes connections that match.
type CTFlush struct {
	IPProto  uint8
	L3Type   uint16 // flow.EthIPv4, flow.EthIPv6, or 0
	HasZone  bool
	Zone     uint16
	Original CTTuple
	Reply    CTTuple
}

// IPFIXStats are the statistics of an IPFIX exporter.
type IPFIXStats struct {
	CollectorSetID                          uint32 // flow-based exporters only
	TotalFlows, CurrentFlows                uint64
	Pkts, IPv4Pkts, IPv6Pkts                uint64
	ErrorPkts, IPv4ErrorPkts, IPv6ErrorPkts uint64
	TxPkts, TxErrors                        uint64
}

// IPFIXReply has statistics of the bridge's or the flow-based exporters.
type IPFIXReply struct {
	Kind  Type // TypeIpfixBridgeStatsReply or TypeIpfixFlowStatsReply
	More  bool
	Stats []IPFIXStats
}

// Type implements Msg.
func (*TLVTableMod) Type() Type { return TypeNxtTlvTableMod }

// Type implements Msg.
func (*TLVTableReply) Type() Type { return TypeNxtTlvTableReply }

// Type implements Msg.
func (*CTFlushZone) Type() Type { return TypeCtFlushZone }

// Type implements Msg.
func (*CTFlush) Type() Type { return TypeCtFlush }

// Type implements Msg.
func (m *IPFIXReply) Type() Type { return m.Kind }
