package flow

import "unsafe"

// NWords is the size of a Flow in uint64 words.
const NWords = int(unsafe.Sizeof(Flow{}) / 8)

// The stages of a staged lookup end before these words.
const (
	EndMetadata = int(unsafe.Offsetof(Flow{}.DLDst) / 8)
	EndL2       = int(unsafe.Offsetof(Flow{}.NwSrc) / 8)
	EndL3       = int(unsafe.Offsetof(Flow{}.TpSrc) / 8)
)

// Words is a Flow or Mask seen as uint64 words.
type Words [NWords]uint64

// Words views f as words; the view shares f's memory.
func (f *Flow) Words() *Words { return (*Words)(unsafe.Pointer(f)) }

// Words views m as words; the view shares m's memory.
func (m *Mask) Words() *Words { return (*Words)(unsafe.Pointer(m)) }

// AsFlow views a mask as a flow, for code that treats both alike (printing).
func (m *Mask) AsFlow() *Flow { return (*Flow)(m) }

// AsMask views a flow as a mask.
func (f *Flow) AsMask() *Mask { return (*Mask)(f) }

// A Flow must be whole words, its stages must begin on a word, and the members
// must add up to its size (no implicit padding, whose bytes would be undefined).
const sumOfMembers = unsafe.Sizeof(Tunnel{}) + 8 + 4*NRegs + 8*4 + 1 + 1 + 2 + 4 + 16 + 8 + 32 + 4 + 4 +
	6 + 6 + 2 + 2 + 4*MaxVLANs + 16 +
	8 + 32 + 4 + 4 + 16 + 12 + 2 + 2 + 24 +
	2 + 2 + 4 + 1 + 7

var _ = [1]int{}[unsafe.Sizeof(Flow{})%8]
var _ = [1]int{}[unsafe.Sizeof(Flow{})-sumOfMembers]
var _ = [1]int{}[unsafe.Offsetof(Flow{}.DLDst)%8+unsafe.Offsetof(Flow{}.NwSrc)%8+unsafe.Offsetof(Flow{}.TpSrc)%8]

// Word numbers of the members that extraction writes; members that share a word
// are written together.
const (
	wTunnel     = int(unsafe.Offsetof(Flow{}.Tunnel) / 8)
	wTunPresent = wTunnel + int(unsafe.Offsetof(Tunnel{}.Present)/8)
	wTunOpts    = wTunnel + int(unsafe.Offsetof(Tunnel{}.Opts)/8)
	wPriority   = int(unsafe.Offsetof(Flow{}.SkbPriority) / 8)  // SkbPriority, PktMark
	wInPort     = int(unsafe.Offsetof(Flow{}.DPHash) / 8)       // DPHash, InPort
	wRecirc     = int(unsafe.Offsetof(Flow{}.RecircID) / 8)     // RecircID, ConjID
	wPktType    = int(unsafe.Offsetof(Flow{}.ActsetOutput) / 8) // ActsetOutput, PacketType
	wCTState    = int(unsafe.Offsetof(Flow{}.CTState) / 8)      // CTState, CTNwProto, CTZone, CTMark
	wCTLabel    = int(unsafe.Offsetof(Flow{}.CTLabel) / 8)
	wCTNw       = int(unsafe.Offsetof(Flow{}.CTNwSrc) / 8)
	wCTIPv6     = int(unsafe.Offsetof(Flow{}.CTIPv6Src) / 8)
	wCTTp       = int(unsafe.Offsetof(Flow{}.CTTpSrc) / 8)
	wEth        = int(unsafe.Offsetof(Flow{}.DLDst) / 8) // DLDst, DLSrc[0:2]; then DLSrc[2:6], DLType
	wVLAN       = int(unsafe.Offsetof(Flow{}.VLANs) / 8)
	wMPLS       = int(unsafe.Offsetof(Flow{}.MPLS) / 8)
	wNw         = int(unsafe.Offsetof(Flow{}.NwSrc) / 8) // NwSrc, NwDst
	wIPv6       = int(unsafe.Offsetof(Flow{}.IPv6Src) / 8)
	wIPv6Dst    = int(unsafe.Offsetof(Flow{}.IPv6Dst) / 8)
	wProto      = int(unsafe.Offsetof(Flow{}.IPv6Label) / 8) // IPv6Label, NwFrag, NwTOS, NwTTL, NwProto
	wND         = int(unsafe.Offsetof(Flow{}.NDTarget) / 8)
	wARP        = int(unsafe.Offsetof(Flow{}.ARPSha) / 8) // ARPSha, ARPTha[0:2]; then ARPTha[2:6], TCPFlags
	wNSH        = int(unsafe.Offsetof(Flow{}.NSH) / 8)
	wL4         = int(unsafe.Offsetof(Flow{}.TpSrc) / 8)     // TpSrc, TpDst, IGMPGroup
	wNDOpt      = int(unsafe.Offsetof(Flow{}.NDOptType) / 8) // NDOptType
)

// The words above hold what their comments say, and a packet's cold lines have
// room for the words that the datapath keeps there.
var _ = [1]int{}[unsafe.Offsetof(Flow{}.CTTpSrc)-unsafe.Offsetof(Flow{}.CTLabel)-7*8]
var _ = [1]int{}[unsafe.Offsetof(Flow{}.TCPFlags)-unsafe.Offsetof(Flow{}.ARPSha)-12]
var _ [48 - unsafe.Sizeof(Tunnel{})/8]byte

// TunnelWords views a packet's cold tunnel words as a Tunnel; the view shares
// their memory.
func TunnelWords(w *[48]uint64) *Tunnel { return (*Tunnel)(unsafe.Pointer(w)) }
