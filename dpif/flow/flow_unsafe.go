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
