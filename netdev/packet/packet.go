// Package packet is the packet buffer of the datapath: frames in one mapped
// memory, their metadata in one array beside it, batches of frame indices, and
// per-thread magazines of free frames.
//
// Every device receives into these frames and sends from them, so that a packet
// crosses from one port to another without a copy (the memory is also the UMEM
// of all AF_XDP sockets).  The package knows no devices, flows or actions.
//
// A packet is a chain of frames of FrameSize bytes: the index of its first frame
// names it, Meta.Next links further ones.  All headers lie in the first frame.
package packet

// FrameSize is the size of one frame in bytes, and so of one UMEM chunk.
const FrameSize = 4096

// Headroom is left free in front of a received frame, for pushed headers and for
// AF_XDP metadata.
const Headroom = 256

// BatchSize is the most packets that a Batch holds.
const BatchSize = 32

// Index names a frame: its offset in the memory is Index × FrameSize.  0 is never
// handed out, so that it can mean "none".
type Index uint32

// Meta is the hot metadata of one frame, one cache line.
type Meta struct {
	Len        uint32 // bytes of the whole packet, over all frames
	SegLen     uint16 // bytes in this frame
	Data       uint16 // offset of the first byte in this frame
	Next       Index  // next frame of the packet, 0: last
	InPort     uint32 // datapath port
	RecircID   uint32 // recirculation id, 0: from the wire
	Hash       uint32 // RSS or flow hash, valid with HashValid
	DPHash     uint32 // hash of the hash() action
	Mark       uint32 // packet mark
	Priority   uint32 // skb priority
	CTState    uint8  // conntrack state bits (flow.CT*)
	Offload    uint8  // Offload* bits
	Csum       Csum   // state of the L4 checksum
	GSOType    uint8  // GSO* of virtio_net_hdr; 0: none
	GSOSize    uint16 // MSS in bytes when GSOType != 0
	L25        uint16 // offset of the MPLS header from Data, NoLayer: none
	L3         uint16 // offset of the network header from Data, NoLayer: none
	L4         uint16 // offset of the transport header from Data, NoLayer: none
	L2Pad      uint16 // bytes of padding after the IP packet
	CTZone     uint16
	CTMark     uint32
	Cold       uint32 // Cold* bits: what the frame's Cold line holds
	PacketType uint32 // flow.PacketType*
}

// NoLayer is the offset of a layer that the packet does not have.
const NoLayer = 0xffff

// Csum is the state of a packet's L4 checksum.
type Csum uint8

// States of a checksum (DECISIONS "Packets and offloads").
const (
	CsumUnknown Csum = iota // nobody looked
	CsumPartial             // the field holds the pseudo-header sum only
	CsumGood                // verified
	CsumBad                 // verified wrong; never repaired
)

// Bits of Meta.Offload.
const (
	HashValid = 1 << 0 // Meta.Hash holds a hash of the 5-tuple
	// CsumUnmarked says that the device hands over packets with partial checksums
	// without telling which (AF_XDP behind a veth): the datapath looks at the field
	// once it knows the layers (Pool.DetectPartial).
	CsumUnmarked = 1 << 1
	// FlowMarked says that the device found the packet's flow (netdev.FlowOffloader):
	// Meta.Hash holds the flow's mark instead of a hash.
	FlowMarked = 1 << 2
)

// Bits of Meta.Cold.
const (
	ColdTunnel = 1 << 0 // the packet came through a tunnel; Cold.Tunnel tells which
	ColdCT     = 1 << 1 // Cold.CT holds the label and the original tuple
	// ColdInner says that what is to be segmented is the packet inside a tunnel packet:
	// GSOType and GSOSize are its own, its checksum is partial, and its transport header
	// begins Cold.Inner bytes behind the tunnel's.
	ColdInner = 1 << 2
)

// Cold is the rarely used metadata of a packet, as raw words: the datapath knows
// their layout (dpif/flow), this package does not.
type Cold struct {
	Tunnel [48]uint64
	CT     [15]uint64
	Inner  uint64
}

// GSO types of Meta.GSOType, numbered as in struct virtio_net_hdr.
const (
	GSONone  = 0
	GSOTCPv4 = 1
	GSOUDP   = 3 // fragmentation of one datagram (obsolete)
	GSOTCPv6 = 4
	GSOUDPL4 = 5 // one datagram per segment
	GSOECN   = 0x80
)

// Batch is up to BatchSize packets.
type Batch struct {
	N    int
	Pkts [BatchSize]Index
}

// Full reports that Add has no room left.
func (b *Batch) Full() bool { return b.N == BatchSize }

// Add appends a packet; the caller has checked Full.
func (b *Batch) Add(i Index) {
	b.Pkts[b.N] = i
	b.N++
}

// Slice returns the packets of b.
func (b *Batch) Slice() []Index { return b.Pkts[:b.N] }

// Reset empties b without freeing its packets.
func (b *Batch) Reset() { b.N = 0 }
