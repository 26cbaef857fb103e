package ofp

import (
	"encoding/binary"

	"sluice/ofproto/ofp/oferr"
)

// HeaderLen is the size of the header that every message has.
const HeaderLen = 8

// MaxLen is the size of the largest message: its length has 16 bits.
const MaxLen = 0xffff

// Vendor ids (experimenters) whose messages the switch knows.
const (
	VendorNicira = 0x00002320
	VendorONF    = 0x4f4e4600
)

// Header is what precedes the body of a message, the headers of multipart and
// experimenter messages included.
type Header struct {
	Version Version
	Type    Type   // TypeInvalid if the message is not known
	Raw     Raw    // RawInvalid if the message is not known
	Flags   uint16 // of multipart messages: MultipartMore
	Length  int    // of the whole message
	XID     uint32
	BodyOff int // where the body begins
}

// MultipartMore in Header.Flags says that more parts of the message follow.
const MultipartMore = 1

// Numbers of the message types that frame others.
const (
	wireVendor        = 4
	wireStatsRequest1 = 16 // OpenFlow 1.0
	wireStatsReply1   = 17
	wireStatsRequest  = 18 // OpenFlow 1.1+
	wireStatsReply    = 19
	wireStatVendor    = 0xffff
)

// class is how a message is framed.
type class uint8

const (
	classOFPT class = iota
	classOFPST
	classNXT
	classNXST
	classONFT
	classONFST
)

// rawInfo is one row of rawTable.
type rawInfo struct {
	class   class
	number  uint16
	min     Version
	max     Version
	minBody uint16
	unit    uint16
	typ     Type
	name    string
}

// String is the name that logs and tools print for the type.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return typeNames[TypeInvalid]
}

// String is the name that logs and tools print for the layout.
func (r Raw) String() string {
	if r == RawInvalid || int(r) >= len(rawTable) {
		return "invalid"
	}
	return rawTable[r].name
}

// Type is what the layout means.
func (r Raw) Type() Type {
	if int(r) >= len(rawTable) {
		return TypeInvalid
	}
	return rawTable[r].typ
}

// wireKey identifies a layout: what the headers on the wire say.
type wireKey struct {
	version Version
	typ     uint8
	stat    uint16
	vendor  uint32
	subtype uint32
}

// isStats reports whether a message type frames multipart requests or replies.
func isStats(v Version, typ uint8) bool {
	if v == OF10 {
		return typ == wireStatsRequest1 || typ == wireStatsReply1
	}
	return v.Valid() && (typ == wireStatsRequest || typ == wireStatsReply)
}

// isReply reports whether the layout is a multipart reply.
func (r *rawInfo) isReply() bool {
	return len(r.name) > 6 && r.name[len(r.name)-6:] == " reply"
}

// multipart reports whether the layout is framed as a multipart message.
func (r *rawInfo) multipart() bool {
	return r.class == classOFPST || r.class == classNXST || r.class == classONFST
}

// key is what the headers of the layout say in version v.
func (r *rawInfo) key(v Version) wireKey {
	k := wireKey{version: v}
	switch r.class {
	case classOFPT:
		k.typ = uint8(r.number)
		return k
	case classNXT, classONFT:
		k.typ = wireVendor
	default:
		switch {
		case v == OF10 && r.isReply():
			k.typ = wireStatsReply1
		case v == OF10:
			k.typ = wireStatsRequest1
		case r.isReply():
			k.typ = wireStatsReply
		default:
			k.typ = wireStatsRequest
		}
		k.stat = r.number
	}
	switch r.class {
	case classNXT:
		k.vendor, k.subtype = VendorNicira, uint32(r.number)
	case classONFT:
		k.vendor, k.subtype = VendorONF, uint32(r.number)
	case classNXST:
		k.stat, k.vendor, k.subtype = wireStatVendor, VendorNicira, uint32(r.number)
	case classONFST:
		k.stat, k.vendor, k.subtype = wireStatVendor, VendorONF, uint32(r.number)
	}
	return k
}

// headerLen is the size of all headers of the layout in version v.
func (r *rawInfo) headerLen(v Version) int {
	switch r.class {
	case classNXT, classONFT:
		return 16
	case classOFPST:
		if v == OF10 {
			return 12
		}
		return 16
	case classNXST, classONFST:
		return 24
	}
	return HeaderLen
}

// rawByKey finds the layout; it is built once and then only read.  Standard
// messages, the hot ones, have a table of their own.
var (
	rawByKey  = make(map[wireKey]Raw, 400)
	rawByType [OF15 + 1][64]Raw
)

func init() {
	for r := RawInvalid + 1; r < nRaws; r++ {
		info := &rawTable[r]
		for v := info.min; ; v++ {
			rawByKey[info.key(v)] = r
			if info.class == classOFPT && v <= OF15 {
				rawByType[v][info.number] = r
			}
			if v == info.max {
				break
			}
		}
	}
}

// Length tells how many bytes the message at the start of b needs: 0 means that
// more bytes are needed to tell (fewer than a header), a negative number that the
// length field is impossible and the stream cannot be framed any further.
func Length(b []byte) int {
	if len(b) < HeaderLen {
		return 0
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < HeaderLen {
		return -1
	}
	return n
}

// decodeKey reads the headers of a message.
func decodeKey(b []byte) (wireKey, error) {
	var k wireKey
	if len(b) < HeaderLen {
		return k, oferr.OFPBRC_BAD_LEN
	}
	k.version, k.typ = Version(b[0]), b[1]
	switch {
	case k.typ == wireVendor:
		if len(b) < 16 {
			return k, oferr.OFPBRC_BAD_LEN
		}
		k.vendor = binary.BigEndian.Uint32(b[8:])
		if k.vendor != VendorNicira && k.vendor != VendorONF {
			return k, oferr.OFPBRC_BAD_VENDOR
		}
		k.subtype = binary.BigEndian.Uint32(b[12:])
	case k.version == OF10 && (k.typ == wireStatsRequest1 || k.typ == wireStatsReply1),
		k.version != OF10 && (k.typ == wireStatsRequest || k.typ == wireStatsReply):
		return decodeStatsKey(b, k)
	}
	return k, nil
}

// decodeStatsKey reads the headers of a multipart message beyond the first.
func decodeStatsKey(b []byte, k wireKey) (wireKey, error) {
	vendorOff := 16
	if k.version == OF10 {
		vendorOff = 12
	}
	if len(b) < vendorOff {
		return k, oferr.OFPBRC_BAD_LEN
	}
	k.stat = binary.BigEndian.Uint16(b[8:])
	if k.stat != wireStatVendor {
		return k, nil
	}
	if len(b) < 16 || k.version != OF10 && len(b) < 24 {
		return k, oferr.OFPBRC_BAD_LEN
	}
	k.vendor = binary.BigEndian.Uint32(b[vendorOff:])
	if k.vendor != VendorNicira && (k.vendor != VendorONF || k.version == OF10) {
		return k, oferr.OFPBRC_BAD_VENDOR
	}
	if len(b) < 24 {
		return k, oferr.OFPBRC_BAD_LEN
	}
	k.subtype = binary.BigEndian.Uint32(b[vendorOff+4:])
	return k, nil
}

// lookup finds the layout that k names.
func (k *wireKey) lookup() (Raw, error) {
	if k.version <= OF15 && k.typ != wireVendor && int(k.typ) < len(rawByType[0]) {
		if r := rawByType[k.version][k.typ]; r != RawInvalid {
			return r, nil
		}
	}
	if r, ok := rawByKey[*k]; ok {
		return r, nil
	}
	switch {
	case k.vendor != 0:
		return RawInvalid, oferr.OFPBRC_BAD_SUBTYPE
	case isStats(k.version, k.typ):
		return RawInvalid, oferr.OFPBRC_BAD_STAT
	}
	return RawInvalid, oferr.OFPBRC_BAD_TYPE
}

// DecodeHeader reads the headers of a whole message and checks that its length
// is one that its type can have.
func DecodeHeader(b []byte) (Header, error) {
	h, err := DecodePartialHeader(b)
	if err != nil {
		return h, err
	}
	info := &rawTable[h.Raw]
	least := h.BodyOff + int(info.minBody)
	extra := len(b) - least
	if extra < 0 || info.unit == 0 && extra != 0 || info.unit > 1 && extra%int(info.unit) != 0 {
		return h, oferr.OFPBRC_BAD_LEN
	}
	return h, nil
}

// DecodePartialHeader is DecodeHeader for a message that may be cut off, such as
// the one that an error quotes: lengths are not checked.  BodyOff may lie beyond b.
func DecodePartialHeader(b []byte) (Header, error) {
	var h Header
	if len(b) >= HeaderLen {
		h.Version = Version(b[0])
		h.Length = int(binary.BigEndian.Uint16(b[2:]))
		h.XID = binary.BigEndian.Uint32(b[4:])
	}
	k, err := decodeKey(b)
	if err != nil {
		return h, err
	}
	if h.Raw, err = k.lookup(); err != nil {
		return h, err
	}
	info := &rawTable[h.Raw]
	h.Type = info.typ
	h.BodyOff = info.headerLen(h.Version)
	if info.multipart() && len(b) >= 12 {
		h.Flags = binary.BigEndian.Uint16(b[10:])
	}
	return h, nil
}

// appendHeader begins a message: everything before its body.  The length is
// filled in by finish.
func appendHeader(b []byte, r Raw, v Version, xid uint32) []byte {
	info := &rawTable[r]
	k := info.key(v)
	b = append(b, byte(v), k.typ, 0, 0)
	b = binary.BigEndian.AppendUint32(b, xid)
	if info.multipart() {
		b = binary.BigEndian.AppendUint16(b, k.stat)
		b = append(b, 0, 0)
		if v != OF10 {
			b = append(b, 0, 0, 0, 0)
		}
	}
	if k.vendor != 0 {
		b = binary.BigEndian.AppendUint32(b, k.vendor)
		b = binary.BigEndian.AppendUint32(b, k.subtype)
		if info.multipart() && v == OF10 {
			b = append(b, 0, 0, 0, 0)
		}
	}
	return b
}

// finish fills in the length of the message that begins at b[start].
func finish(b []byte, start int) []byte {
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

// request/reply pairs of multipart layouts are neighbours by number.
func replyOf(r Raw, v Version) Raw {
	k := rawTable[r].key(v)
	k.typ++
	return rawByKey[k]
}
