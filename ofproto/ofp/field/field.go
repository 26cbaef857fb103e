// Package field is the table of match fields of OpenFlow 1.0 to 1.5 and of the
// Nicira and ONF extensions (ovs-fields(7)): names, sizes, prerequisites, wire ids,
// text forms, and where each lives in a flow.Flow.
//
// Matches (ofproto/ofp/match), actions (ofproto/ofp/action), translation and the
// classifier's options all go through it.  It knows single fields only: it does not
// combine them into matches.
//
// A field's value is held in network byte order in the first Size bytes of a Value,
// as OXM carries it; tun_metadataN is right-aligned in its Size bytes.
package field

import "sluice/ofproto/ofp/ofver"

// ID identifies a field.
type ID uint8

// NTunMetadata is the number of tun_metadataN fields.
const NTunMetadata = 64

// MaxSize is the size of the longest value in bytes.
const MaxSize = 128

// Value is a field's value, or a mask over one.
type Value [MaxSize]byte

// Ones is the mask of an exact match on any field.  It must not be changed.
var Ones = func() (v Value) {
	for i := range v {
		v[i] = 0xff
	}
	return
}()

// Format is the textual form of a value.
type Format uint8

// The textual forms.
const (
	Decimal Format = iota
	Hexadecimal
	CTStateBits
	Ethernet
	IPv4Addr
	IPv6Addr
	Port16 // OpenFlow 1.0 port number or name
	Port32 // OpenFlow 1.1+ port number or name
	Frag
	TunFlagBits
	TCPFlagBits
	PacketTypePair // (namespace,type)
)

// Prereq says what else must be matched for a field to have a meaning.
type Prereq uint8

// The prerequisites, ordered by layer: those after PreNSH need L2.5 or more.
const (
	PreNone Prereq = iota
	PreEthernet
	PreARP
	PreVLAN
	PreIPv4
	PreIPv6
	PreIPAny
	PreNSH
	PreMPLS
	PreTCP
	PreUDP
	PreSCTP
	PreICMPv4
	PreICMPv6
	PreCTValid
	PreND
	PreNDSolicit
	PreNDAdvert
)

// Field is one row of the table.
type Field struct {
	ID       ID
	Name     string // as ovs-fields(7) calls it
	Alt      string // other name, or ""
	Size     uint8  // bytes of a value; of the longest if Variable
	Bits     uint16 // significant bits, the low ones
	Variable bool   // length is set by the TLV table (tun_metadataN)
	Maskable bool   // single bits can be matched
	Format   Format
	Prereq   Prereq
	Writable bool // actions may set it
	Prefix   bool // usable in Flow_Table "prefixes"

	// Protocols that can match the whole field, a CIDR mask, and any mask.
	Exact, CIDR, Bitwise ofver.Protocols

	IDs []WireID // how OXM and NXM name it; empty: they cannot
}

// WireID is one name of a field on the wire.
type WireID struct {
	Header Header        // without mask
	Since  ofver.Version // 0: any version that speaks NXM or OXM
	Name   string        // such as NXM_OF_IN_PORT
}

// Header is an OXM or NXM header: the 32 bits of the standard header in the upper
// half, and for an experimenter field (class 0xffff) its vendor in the lower half.
type Header uint64

func header(vendor uint32, class uint16, num, size uint8) Header {
	return Header(class)<<48 | Header(num)<<41 | Header(size)<<32 | Header(vendor)
}

// Vendor returns the experimenter id of a field of class 0xffff.
func (h Header) Vendor() uint32 { return uint32(h) }

// Class returns oxm_class.
func (h Header) Class() uint16 { return uint16(h >> 48) }

// Num returns oxm_field.
func (h Header) Num() uint8 { return uint8(h>>41) & 0x7f }

// HasMask says whether a mask follows the value.
func (h Header) HasMask() bool { return h>>40&1 != 0 }

// Len returns oxm_length, which counts the experimenter id.
func (h Header) Len() int { return int(h >> 32 & 0xff) }

// Experimenter says whether the header has 8 bytes rather than 4.
func (h Header) Experimenter() bool { return h.Class() == 0xffff }

// Size returns the bytes of the header itself, 4 or 8.
func (h Header) Size() int {
	if h.Experimenter() {
		return 8
	}
	return 4
}

// PayloadLen returns the bytes that follow the header; negative for a malformed
// experimenter header.
func (h Header) PayloadLen() int { return h.Len() - h.Size() + 4 }

// WithPayload returns the header for a value of n bytes, masked or not.
func (h Header) WithPayload(n int, masked bool) Header {
	h &^= 0x1ff << 32
	if masked {
		h |= 1 << 40
		n *= 2
	}
	return h | Header(n+h.Size()-4)<<32
}

// Get returns the row of id, which must be below N.
func Get(id ID) *Field { return &table[id] }

// IsTunMetadata says whether id is one of tun_metadata0 to tun_metadata63.
func (id ID) IsTunMetadata() bool { return id >= TunMetadata0 && id < TunMetadata0+NTunMetadata }

// IsRegister says whether id is a Nicira register of any width.
func (id ID) IsRegister() bool { return id >= Reg0 && id <= XXReg3 }

// String returns the field's name.
func (id ID) String() string {
	if id >= N {
		return "<invalid field>"
	}
	return table[id].Name
}

func init() {
	for i := range ID(NTunMetadata) {
		name := "tun_metadata" + itoa(int(i))
		table[TunMetadata0+i] = Field{ID: TunMetadata0 + i, Name: name, Size: 124, Bits: 992,
			Variable: true, Maskable: true, Format: Hexadecimal, Writable: true,
			Exact: ofver.NXMOXMAny, CIDR: ofver.NXMOXMAny, Bitwise: ofver.NXMOXMAny,
			IDs: []WireID{{header(0, 1, 40+uint8(i), 124), 0, "NXM_NX_TUN_METADATA" + itoa(int(i))}}}
	}
	buildIndexes()
}

// Sub is some bits of a field: Bits bits from bit Ofs up, bit 0 being the least
// significant.
type Sub struct {
	ID   ID
	Size uint8 // bytes of a tun_metadata field as the TLV table maps it; 0: the row's Size
	Ofs  uint16
	Bits uint16
}

// Whole returns the Sub that covers all of id.
func Whole(id ID) Sub { return Sub{ID: id, Bits: table[id].Bits} }

// IsWhole says whether s covers all bits of its field.
func (s Sub) IsWhole() bool { return s.Ofs == 0 && s.Bits == s.fieldBits() }

// FieldSize returns the bytes of the whole field.
func (s Sub) FieldSize() int {
	if s.Size != 0 {
		return int(s.Size)
	}
	return int(table[s.ID].Size)
}

func (s Sub) fieldBits() uint16 {
	if s.Size != 0 {
		return uint16(s.Size) * 8
	}
	return table[s.ID].Bits
}
