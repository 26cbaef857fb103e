package field

import (
	"sluice/internal/vlog"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

var (
	log = vlog.New("nx_match")
	rl  = vlog.NewLimiter(1, 5)
)

// CookieHeader is the header of the pseudo-field by which NXM flow_mods and
// requests restrict themselves to flows with some cookie.
const CookieHeader = Header(0x0001)<<48 | 30<<41 | 8<<32

// direct resolves headers of the classes 0, 1, 0x8000 and 0x8001 without hashing:
// the field's ID + 1.
var direct [4][128]uint8

func classIndex(class uint16) int {
	switch class {
	case 0, 1:
		return int(class)
	case 0x8000, 0x8001:
		return int(class&1) + 2
	}
	return -1
}

// PullHeader takes an OXM or NXM header from the beginning of b and returns it with
// its length in bytes.
func PullHeader(b []byte) (h Header, n int, err error) {
	if len(b) < 4 {
		log.DbgRL(rl, "encountered partial (%d-byte) OXM entry", len(b))
		return 0, 0, oferr.OFPBMC_BAD_LEN
	}
	h = Header(be.Uint32(b)) << 32
	if !h.Experimenter() {
		return h, 4, nil
	}
	if len(b) < 8 {
		log.DbgRL(rl, "encountered partial (%d-byte) OXM entry", len(b))
		return 0, 0, oferr.OFPBMC_BAD_LEN
	}
	h = Header(be.Uint64(b))
	if h.Len() < 4 {
		log.WarnRL(rl, "OXM header %s has invalid length %d (minimum is %d)", h, h.Len(), h.Size())
		return 0, 0, oferr.OFPBMC_BAD_LEN
	}
	return h, 8, nil
}

// String returns vendor:class:field:hasmask:length, as stock logs a header.
func (h Header) String() string {
	vendor := "0"
	if h.Vendor() != 0 {
		vendor = "0x" + hex(uint64(h.Vendor()))
	}
	mask := ":0:"
	if h.HasMask() {
		mask = ":1:"
	}
	return vendor + ":" + itoa(int(h.Class())) + ":" + itoa(int(h.Num())) + mask + itoa(h.Len())
}

// Resolve finds the field that h names.  With a switch's table, a tun_metadata field
// that it does not map is an error.  In an action the errors are those of actions.
func Resolve(h Header, tab *TunTable, inAction bool) (ID, error) {
	var id ID
	var err error
	if inAction {
		id, err = byActionHeader(h)
	} else {
		var ok bool
		if id, ok = ByHeader(h); !ok {
			err = oferr.OFPBMC_BAD_FIELD
		}
	}
	if err != nil {
		if log.DbgEnabled() {
			log.DbgRL(rl, "OXM header %s is unknown", h)
		}
		return N, err
	}
	if id.IsTunMetadata() && tab != nil && !tab.Private && !tab.Maps(id) {
		return N, oferr.NXFMFC_INVALID_TLV_FIELD
	}
	return id, nil
}

// Entry is one OXM or NXM entry taken from a message.
type Entry struct {
	Header Header
	ID     ID    // N: the cookie pseudo-field
	Size   uint8 // mapped length of a tun_metadata field; 0: the row's
}

// PullEntry takes a header, value and mask from the beginning of b.  n is the number
// of bytes taken; it is set also with the error OFPBMC_BAD_FIELD, so that the caller
// may skip an unknown field.  An entry without a mask sets *mask to ones; a nil mask
// forbids masked entries.
func PullEntry(b []byte, tab *TunTable, inAction, allowCookie bool, v, mask *Value) (e Entry, n int, err error) {
	h, hlen, err := PullHeader(b)
	if err != nil {
		return Entry{}, 0, err
	}
	e = Entry{Header: h, ID: N}
	var unknown error
	if !allowCookie || h&^lenBits != CookieHeader&^lenBits || h != cookieAs(h.HasMask()) {
		if e.ID, unknown = Resolve(h, tab, inAction); unknown != nil && unknown != oferr.OFPBMC_BAD_FIELD {
			return e, 0, unknown
		}
	}
	payload := h.PayloadLen()
	if len(b)-hlen < payload {
		log.DbgRL(rl, "OXM header %s calls for %d-byte payload but only %d bytes follow OXM header",
			h, payload, len(b)-hlen)
		return e, 0, oferr.OFPBMC_BAD_LEN
	}
	data := b[hlen : hlen+payload]
	width := payload
	if h.HasMask() {
		width /= 2
		for i := range width {
			if data[i]&^data[width+i] != 0 {
				log.WarnRL(rl, "Rejecting NXM/OXM entry %s with 1-bits in value for bits wildcarded by the mask.", h)
				return e, 0, oferr.OFPBMC_BAD_WILDCARDS
			}
		}
	}
	if e.ID.IsTunMetadata() && tab != nil && !tab.Private {
		e.Size = tab.Size(e.ID)
	}
	e.copyValue(v, data[:width])
	switch {
	case mask == nil && h.HasMask():
		log.DbgRL(rl, "OXM header %s includes mask but masked OXMs are not allowed here", h)
		return e, 0, oferr.OFPBMC_BAD_MASK
	case mask == nil:
	case h.HasMask():
		e.copyValue(mask, data[width:2*width])
	case e.ID < N:
		setOnes(mask, table[e.ID].Size)
	default:
		*mask = Ones
	}
	return e, hlen + payload, unknown
}

func cookieAs(masked bool) Header { return CookieHeader.WithPayload(8, masked) }

func setOnes(v *Value, n uint8) {
	for i := range v[:n] {
		v[i] = 0xff
	}
}

func (e *Entry) copyValue(dst *Value, src []byte) {
	if e.ID >= N {
		copy(dst[:], src)
		return
	}
	f := &table[e.ID]
	if !f.Variable {
		copy(dst[:f.Size], src)
		return
	}
	n := int(f.Size)
	if e.Size != 0 {
		n = int(e.Size)
	}
	n = min(n, len(src))
	clear(dst[:f.Size])
	copy(dst[int(f.Size)-n:f.Size], src)
}

// AppendHeader appends the header of field id in version v (0: NXM) for a value of n
// bytes; n 0 means the field's size.  The field must have a wire form.
func AppendHeader(b []byte, id ID, v ofver.Version, n int, masked bool) []byte {
	h := PreferredHeader(id, v)
	if n == 0 {
		n = h.PayloadLen()
	}
	return h.WithPayload(n, masked).append(b)
}

func (h Header) append(b []byte) []byte {
	if h.Experimenter() {
		return be.AppendUint64(b, uint64(h))
	}
	return be.AppendUint32(b, uint32(h>>32))
}

// AppendCookie appends the cookie pseudo-field of NXM.
func AppendCookie(b []byte, cookie, mask uint64) []byte {
	masked := mask != ^uint64(0)
	b = cookieAs(masked).append(b)
	b = be.AppendUint64(b, cookie&mask)
	if masked {
		b = be.AppendUint64(b, mask)
	}
	return b
}

// AppendRaw appends an entry with exactly these bytes; mask nil: unmasked.
func AppendRaw(b []byte, id ID, ver ofver.Version, value, mask []byte) []byte {
	b = PreferredHeader(id, ver).WithPayload(len(value), mask != nil).append(b)
	b = append(b, value...)
	return append(b, mask...)
}

// AppendEntry appends field id's value (and mask unless it is all ones or nil); a
// tun_metadata field gets the shortest form.  size is its mapped length, or 0.
func AppendEntry(b []byte, id ID, ver ofver.Version, v, mask *Value) []byte {
	f := &table[id]
	if mask != nil && f.AllOnes(mask) {
		mask = nil
	}
	n := f.EffectiveLen(v, mask)
	from := int(f.Size) - n
	if mask == nil {
		return AppendRaw(b, id, ver, v[from:f.Size], nil)
	}
	return AppendRaw(b, id, ver, v[from:f.Size], mask[from:f.Size])
}

// EffectiveLen returns how many bytes a value (and mask unless nil) needs: all, but
// for a tun_metadata field without its leading zeros.
func (f *Field) EffectiveLen(v, mask *Value) int {
	if !f.Variable {
		return int(f.Size)
	}
	for i := range int(f.Size) {
		if v[i] != 0 || mask != nil && mask[i] != 0 {
			return int(f.Size) - i
		}
	}
	return 0
}
