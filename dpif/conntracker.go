package dpif

import "sluice/dpif/flow"

// CTTCPPeer is one end of a TCP connection.
type CTTCPPeer struct {
	State    uint8 // see CTTCPStates
	Scale    uint8 // window scale
	HasScale bool
	Liberal  bool // picked up while it was open: windows are not known exactly
}

// CTTCP is the state of a TCP connection.
type CTTCP struct{ Orig, Reply CTTCPPeer }

// CTTCPStates names the states of CTTCPPeer.
var CTTCPStates = [...]string{"CLOSED", "LISTEN", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "CLOSE_WAIT",
	"FIN_WAIT_1", "CLOSING", "LAST_ACK", "FIN_WAIT_2", "TIME_WAIT", "MAX_NUM"}

// CTEntry is a connection in a dump.
type CTEntry struct {
	L3Type      uint16 // flow.EthIPv4 or flow.EthIPv6
	IPProto     uint8
	ParentProto uint8
	Zone        uint16
	Orig, Reply CTTuple
	Parent      *CTTuple // original direction of the connection that this one belongs to
	Mark        uint32
	Label       flow.U128
	TimeoutSec  uint32
	TCP         *CTTCP
	Helper      string // "ftp", "tftp"
}

// CTLimit is how many connections a zone may have, and has.
type CTLimit struct {
	Zone         uint16
	Limit, Count uint32
}

// Conntracker is a Dpif that tracks connections.
type Conntracker interface {
	// DumpConntrack lists the connections of a zone (nil: all), oldest first.
	DumpConntrack(zone *uint16) []CTEntry
	ConntrackFlusher
	CTConfig
}

// CTConfig is the settings of a connection tracker.
type CTConfig interface {
	// SetMaxConns bounds the connections of all zones.
	SetMaxConns(n uint32) error
	MaxConns() (uint32, error)
	Conns() (uint32, error)
	SetTCPSeqCheck(on bool) error
	TCPSeqCheck() (bool, error)
	// SetLimits sets limits of zones, and of all other zones (nil: leave it).
	SetLimits(def *uint32, zones []CTLimit) error
	// Limits lists the limits of the zones (none: of all that have one).
	Limits(zones []uint16) (def uint32, list []CTLimit, err error)
	DelLimits(zones []uint16) error
	// SetZoneTimeouts sets the timeouts of all zones that do not have the defaults:
	// seconds by the names of CT_Timeout_Policy, unknown names ignored.
	SetZoneTimeouts(zones map[uint16]map[string]uint32) error
	// SetFragEnabled says whether fragments are reassembled for tracking.
	SetFragEnabled(v6, on bool) error
	// SetFragMin sets how small a fragment that is not the last may be.
	SetFragMin(v6 bool, size uint32) error
	// SetFragMax bounds the fragments that wait for others.
	SetFragMax(n uint32) error
	FragStatus() (CTFragStatus, error)
}

// CTFragFamily is the state of reassembly for one IP version.
type CTFragFamily struct {
	Enabled                                                    bool
	Min                                                        uint32
	Accepted, Completed, Expired, TooSmall, Overlapped, Purged uint64
}

// CTFragStatus is the state of reassembly.
type CTFragStatus struct {
	Max, Held uint32
	Family    [2]CTFragFamily // IPv4, IPv6
	Lists     []string        // packets that are incomplete, in words
}
