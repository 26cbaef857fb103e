package dpif

import "sluice/dpif/flow"

// CTTuple is one direction of a connection; zero members match anything.  IPv4
// addresses are mapped into IPv6 (::ffff:a.b.c.d).
type CTTuple struct {
	Src, Dst         flow.IPv6
	SrcPort, DstPort uint16 // ICMP: id, and type << 8 | code
}

// CTMatch selects connections.
type CTMatch struct {
	IPProto     uint8
	L3Type      uint16 // flow.EthIPv4, flow.EthIPv6, or 0: any
	Orig, Reply CTTuple
}

// ConntrackFlusher is a Dpif that tracks connections and can forget them.
type ConntrackFlusher interface {
	// FlushConntrack deletes the connections of a zone (nil: all) that match (nil: all).
	FlushConntrack(zone *uint16, match *CTMatch) error
}
