package xlate

import (
	"math"
	"net/netip"
	"slices"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/ofproto/bond"
	"sluice/ofproto/export/netflow"
	"sluice/ofproto/maclearn"
	"sluice/ofproto/mcast"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/proto/bfd"
	"sluice/ofproto/proto/cfm"
	"sluice/ofproto/table"
	"sluice/ofproto/tunnel"
)

// BridgeID identifies a bridge for as long as it exists; it is the UUID that
// continuations carry.
type BridgeID [16]byte

// BundleID identifies a bundle (a Port row) for as long as it exists, over all
// snapshots.
type BundleID = maclearn.Port

// PortID identifies a port for as long as it exists, over all snapshots.
type PortID uint64

// VLANMode says how a bundle treats VLAN tags.
type VLANMode uint8

// The VLAN modes.
const (
	VLANTrunk VLANMode = iota
	VLANAccess
	VLANNativeTagged
	VLANNativeUntagged
	VLANDot1qTunnel
)

// PriorityTags says whether frames of VLAN 0 leave with an 802.1Q header.
type PriorityTags uint8

// When to send priority tags.
const (
	PriorityTagsNever PriorityTags = iota
	PriorityTagsIfNonzero
	PriorityTagsAlways
)

// PacketTypeMode says what kinds of packets a port carries.
type PacketTypeMode = dpif.PTMode

// The modes: frames only (the usual), packets without an Ethernet header only,
// or both.
const (
	LegacyL2        = dpif.LegacyL2
	LegacyL3        = dpif.LegacyL3
	PacketTypeAware = dpif.PacketTypeAware
)

// PortConfig bits that translation looks at (ofp_port_config).
const (
	PortDown       = 1 << 0
	PortNoRecv     = 1 << 2
	PortNoRecvSTP  = 1 << 3
	PortNoFlood    = 1 << 4
	PortNoFwd      = 1 << 5
	PortNoPacketIn = 1 << 6
)

// STPState is the state that a spanning tree gives a port; the zero value is a
// port without one.
type STPState uint8

// The states, as far as translation tells them apart.
const (
	STPNone       STPState = iota // no spanning tree on this port
	STPForwarding                 // learns and forwards
	STPLearning                   // learns only
	STPListening                  // hears and sends BPDUs only
	STPBlocking                   // hears BPDUs only
	STPDisabled                   // not even that
)

func (s STPState) learns() bool   { return s <= STPLearning }
func (s STPState) forwards() bool { return s <= STPForwarding }

// Counter counts the packets of a port that has no queues of its own, a patch port
// or a tunnel.  netdev/vport's devices are Counters; any thread may call them.
type Counter interface {
	IncRx(packets, bytes uint64)
	IncTx(packets, bytes uint64)
}

// Port is a port of a bridge.
type Port struct {
	ID     PortID
	Name   string
	OFPort uint32      // OpenFlow port
	ODP    dpif.PortNo // datapath port; dpif.PortNone: it has none (patch)
	Config uint32      // Port* bits
	// MayEnable says that the port can carry traffic: groups and bundle actions
	// pass over ports that cannot.
	MayEnable bool
	PTMode    PacketTypeMode
	// PeerName names the patch port at the other end; Build finds Peer.
	PeerName string
	Peer     *Port
	Bridge   *Bridge
	Bundle   *Bundle // nil: not part of one
	Counters Counter // nil: the device counts for itself
	MAC      flow.MAC
	// Addrs are the host's addresses on the device: tunnels may end there.
	Addrs []netip.Addr
	// Hears has the Slow bits of the link protocols that the port takes part in.
	Hears SlowReason
	BFD   bfd.Match // with SlowBFD
	CFM   cfm.Match // with SlowCFM
	// Tunnel is set for a tunnel.  Its datapath port may be that of other tunnels
	// too; dpif.PortNone: it has no place among them.
	Tunnel *tunnel.Config
	// SkbPriorities maps a queue's priority to the DSCP bits that its packets get
	// at this port.
	SkbPriorities map[uint32]uint8

	// The rest keeps its zero value until the feature it belongs to exists.

	STP, RSTP STPState
}

// Bundle is a Port row: one port, or the members of a bond.
type Bundle struct {
	ID         BundleID // never 0
	Name       string
	Mode       VLANMode
	VLAN       uint16            // access, native and dot1q-tunnel
	Trunks     *maclearn.VLANSet // nil: all
	CVLANs     *maclearn.VLANSet // nil: all
	QinQType   uint16            // outer TPID of a dot1q-tunnel
	PrioTags   PriorityTags
	Floodable  bool // no port has PortNoFlood or may not forward; Build computes it
	Protected  bool
	Bond       *bond.View // nil: one port only
	MirrorOut  bool       // reserved for the output of mirrors; Build sets it
	Ports      []*Port
	Bridge     *Bridge
	SourceMask uint32 // mirrors that select what comes in
	DestMask   uint32 // mirrors that select what goes out
}

// noneBundle stands for the input of packets that a controller makes up.
var noneBundle = &Bundle{Name: "OFPP_NONE", Mode: VLANTrunk}

// Bridge is a switch as translation sees it.
type Bridge struct {
	ID     BridgeID
	Name   string
	Tables *table.Set // flow tables and groups
	ML     *maclearn.Table
	Mcast  *mcast.Table // nil: no multicast snooping
	// TunTable is the map of tunnel options to tun_metadata fields; nil: empty.
	TunTable    *field.TunTable
	ForwardBPDU bool
	Support     dpif.Support
	// ControllerMeter and SlowpathMeter are datapath meters; NoMeter: none.
	ControllerMeter uint32
	SlowpathMeter   uint32
	// SFlow, IPFIX and NetFlow are the exporters of traffic; nil: none.
	SFlow   *SFlowSampling
	IPFIX   *IPFIXSampling
	NetFlow *netflow.Exporter
	// HasController says that the bridge has a live connection to one, for
	// buckets that watch it.
	HasController bool
	// MissToController says that a controller wants packets that match nothing
	// where the table does not say otherwise (OpenFlow before 1.3).
	MissToController bool

	Ports   []*Port   // sorted by OpenFlow port
	Bundles []*Bundle // in the order in which NORMAL floods
	// Mirrors are by their bits in SourceMask and DestMask; nil: no mirror has this
	// bit.
	Mirrors []*Mirror

	byOFPort  map[uint32]*Port
	mirrors   bool
	localPort *Port
	addrs     []netip.Addr // the host's, on any of the ports
}

// NoMeter is no meter.
const NoMeter = math.MaxUint32

// Port returns the port with an OpenFlow number, or nil.
func (b *Bridge) Port(ofport uint32) *Port { return b.byOFPort[ofport] }

// Snapshot is everything that translation reads but the flow tables' contents:
// the bridges of one datapath with their ports and bundles.  It is immutable.
type Snapshot struct {
	Bridges []*Bridge // sorted by name
	// Native is what tunnels need to leave by other ports of the datapath; nil: they
	// cannot.  Asks takes requests for their neighbours.
	Native *tunnel.Native
	Asks   *NeighborAsks

	tunnels *tunnel.Map // to PortIDs
	byID    map[BridgeID]*Bridge
	byName  map[string]*Bridge
	byODP   map[dpif.PortNo]*Port
	portID  map[PortID]*Port
	bundles map[BundleID]*Bundle
}

// Build makes a snapshot of bridges whose Ports and Bundles lists are filled in
// (each bundle with its Ports), and completes the references between them.  tunnels
// finds the PortIDs of tunnels; nil: there are none.  The caller gives up what it
// passes.
func Build(bridges []*Bridge, tunnels *tunnel.Map) *Snapshot {
	s := &Snapshot{
		Bridges: bridges,
		tunnels: tunnels,
		byID:    make(map[BridgeID]*Bridge, len(bridges)),
		byName:  make(map[string]*Bridge, len(bridges)),
		byODP:   map[dpif.PortNo]*Port{},
		portID:  map[PortID]*Port{},
		bundles: map[BundleID]*Bundle{},
	}
	slices.SortFunc(bridges, func(a, b *Bridge) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	byPatch := map[string]*Port{}
	for _, br := range bridges {
		s.byID[br.ID], s.byName[br.Name] = br, br
		br.byOFPort, br.addrs = make(map[uint32]*Port, len(br.Ports)), nil
		slices.SortFunc(br.Ports, func(a, b *Port) int { return int(int64(a.OFPort) - int64(b.OFPort)) })
		for _, p := range br.Ports {
			p.Bridge = br
			br.byOFPort[p.OFPort] = p
			s.portID[p.ID] = p
			br.addrs = append(br.addrs, p.Addrs...)
			if p.PeerName != "" {
				byPatch[p.Name] = p
			}
			// Tunnels share a datapath port; which of them a packet came by is
			// decided by its tunnel fields.
			if p.ODP != dpif.PortNone && p.Tunnel == nil {
				s.byODP[p.ODP] = p
			}
		}
		br.linkMirrors()
		br.localPort = br.byOFPort[flow.OFPLocal]
		for _, bu := range br.Bundles {
			bu.Bridge = br
			bu.Floodable = true
			s.bundles[bu.ID] = bu
			for _, p := range bu.Ports {
				p.Bundle = bu
				if p.Config&PortNoFlood != 0 || !p.STP.forwards() || !p.RSTP.forwards() {
					bu.Floodable = false
				}
			}
		}
	}
	for _, p := range byPatch {
		if q := byPatch[p.PeerName]; q != nil && q.PeerName == p.Name {
			p.Peer = q
		}
	}
	return s
}

// Bridge returns the bridge with an id, or nil.
func (s *Snapshot) Bridge(id BridgeID) *Bridge { return s.byID[id] }

// BridgeByName returns the bridge with a name, or nil.
func (s *Snapshot) BridgeByName(name string) *Bridge { return s.byName[name] }

// PortByODP returns the port behind a datapath port, or nil.
func (s *Snapshot) PortByODP(no dpif.PortNo) *Port { return s.byODP[no] }

// PortByID returns the port with an id, or nil.
func (s *Snapshot) PortByID(id PortID) *Port { return s.portID[id] }

// Bundle returns the bundle with an id, or nil.
func (s *Snapshot) Bundle(id BundleID) *Bundle { return s.bundles[id] }
