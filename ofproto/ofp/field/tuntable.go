package field

import (
	"math/bits"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/oferr"
)

// TunTable maps tun_metadataN fields to Geneve options and to places in
// flow.Tunnel.Opts.  A switch has one, changed by NXT_TLV_TABLE_MOD; readers hold an
// immutable version of it.
//
// A match that was made without a switch's table (by a tool, or for a packet-in)
// carries a Private one, whose places are handed out in the order of use.
type TunTable struct {
	Entries [NTunMetadata]TunEntry
	Private bool   // made for one match
	Masked  uint64 // Private: bit N set if field N was given with a mask
	used    uint64 // 1 bit for each 4 bytes of option space
	next    int    // Private: bytes handed out
}

// TunEntry is the mapping of one tun_metadata field.
type TunEntry struct {
	Valid bool
	Class uint16 // Geneve option class
	Type  uint8  // Geneve option type
	Len   uint8  // bytes; a multiple of 4 in a switch's table
	first span   // where the first bytes are
	rest  []span // where the others are, if the space was in pieces
}

type span struct{ ofs, n uint16 }

// TunMapping is one entry of a TunTable as NXT_TLV_TABLE_MOD gives it.
type TunMapping struct {
	Class uint16
	Type  uint8
	Len   uint8
	Index uint16
}

// The option space must fit the used bitmap.
var _ = [1]int{}[flow.MaxTunOpts/4-64]

// Add returns a copy of t (which may be nil) with more mappings.
func (t *TunTable) Add(ms []TunMapping) (*TunTable, error) {
	n := t.clone()
	for _, m := range ms {
		if err := n.add(m); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Delete returns a copy of t without the mappings with these indexes.
func (t *TunTable) Delete(ms []TunMapping) *TunTable {
	n := t.clone()
	for _, m := range ms {
		n.del(int(m.Index))
	}
	return n
}

// Mappings lists t's mappings by index.
func (t *TunTable) Mappings() (ms []TunMapping) {
	if t == nil {
		return nil
	}
	for i := range t.Entries {
		if e := &t.Entries[i]; e.Valid {
			ms = append(ms, TunMapping{e.Class, e.Type, e.Len, uint16(i)})
		}
	}
	return ms
}

func (t *TunTable) clone() *TunTable {
	n := new(TunTable)
	if t != nil {
		*n = *t // rest slices are never changed in place
	}
	return n
}

func (t *TunTable) add(m TunMapping) error {
	if m.Index >= NTunMetadata {
		return oferr.NXTTMFC_BAD_FIELD_IDX
	}
	e := &t.Entries[m.Index]
	if e.Valid {
		return oferr.NXTTMFC_ALREADY_MAPPED
	}
	if t.Lookup(m.Class, m.Type) >= 0 {
		return oferr.NXTTMFC_DUP_ENTRY
	}
	*e = TunEntry{Valid: true, Class: m.Class, Type: m.Type, Len: m.Len}
	for left := int(m.Len); left > 0; {
		s, ok := t.alloc(left)
		if !ok {
			t.del(int(m.Index))
			return oferr.NXTTMFC_TABLE_FULL
		}
		if e.first.n == 0 {
			e.first = s
		} else {
			e.rest = append(e.rest, s)
		}
		left -= int(s.n)
	}
	return nil
}

func (t *TunTable) del(i int) {
	if i >= NTunMetadata || !t.Entries[i].Valid {
		return
	}
	e := &t.Entries[i]
	t.release(e.first)
	for _, s := range e.rest {
		t.release(s)
	}
	*e = TunEntry{}
}

func spanBits(s span) uint64 { return (1<<(s.n/4) - 1) << (s.ofs / 4) }

func (t *TunTable) release(s span) { t.used &^= spanBits(s) }

// alloc takes the first gap of n bytes, or failing that the longest gap.
func (t *TunTable) alloc(n int) (best span, ok bool) {
	want := uint16(n / 4)
	for ofs := uint16(0); ofs < 64; {
		ofs += uint16(bits.TrailingZeros64(^(t.used >> ofs)))
		if ofs >= 64 {
			break
		}
		gap := min(uint16(bits.TrailingZeros64(t.used>>ofs)), 64-ofs, want)
		if gap*4 > best.n {
			best = span{ofs * 4, gap * 4}
		}
		if gap == want {
			break
		}
		ofs += gap
	}
	t.used |= spanBits(best)
	return best, best.n > 0
}

// Lookup returns the index of the field for a Geneve option, or -1.
func (t *TunTable) Lookup(class uint16, typ uint8) int {
	if t == nil {
		return -1
	}
	for i := range t.Entries {
		if e := &t.Entries[i]; e.Valid && e.Class == class && e.Type == typ {
			return i
		}
	}
	return -1
}

// Size returns the mapped length of tun_metadata field id; 0 if it is not mapped or
// id is another field.
func (t *TunTable) Size(id ID) uint8 {
	if t == nil || !id.IsTunMetadata() {
		return 0
	}
	return t.Entries[id-TunMetadata0].Len
}

// Maps says whether t maps tun_metadata field id.  A field may be mapped to an option
// without a body, whose Size is 0.
func (t *TunTable) Maps(id ID) bool {
	return t != nil && id.IsTunMetadata() && t.Entries[id-TunMetadata0].Valid
}

// AddPrivate gives n bytes of a Private table to field id.
func (t *TunTable) AddPrivate(id ID, n int, masked bool) bool {
	if t.next+n > flow.MaxTunOpts {
		return false
	}
	i := id - TunMetadata0
	t.Entries[i] = TunEntry{Valid: true, Len: uint8(n), first: span{uint16(t.next), uint16(n)}}
	t.Masked &^= 1 << i
	if masked {
		t.Masked |= 1 << i
	}
	t.next += n
	return true
}

// Used returns the bytes that a Private table has handed out.
func (t *TunTable) Used() int { return t.next }

// read copies option i to the end of v's Size bytes and zeros the others.
func (t *TunTable) read(tun *flow.Tunnel, i int, v *Value) {
	size := int(table[TunMetadata0].Size)
	clear(v[:size])
	if t == nil || tun.Flags&flow.TunFlagUDPIF != 0 {
		return
	}
	e := &t.Entries[i]
	e.gather(tun, v[size-int(e.Len):size])
}

func (e *TunEntry) gather(tun *flow.Tunnel, dst []byte) {
	n := copy(dst, tun.Opts[e.first.ofs:e.first.ofs+e.first.n])
	for _, s := range e.rest {
		n += copy(dst[n:], tun.Opts[s.ofs:s.ofs+s.n])
	}
}

func (e *TunEntry) scatter(tun *flow.Tunnel, src []byte) {
	n := copy(tun.Opts[e.first.ofs:e.first.ofs+e.first.n], src)
	for _, s := range e.rest {
		n += copy(tun.Opts[s.ofs:s.ofs+s.n], src[n:])
	}
}

// write stores v's last bytes as option i and marks it present.
func (t *TunTable) write(tun *flow.Tunnel, i int, v *Value) {
	if t == nil || !t.Entries[i].Valid {
		return
	}
	size := int(table[TunMetadata0].Size)
	e := &t.Entries[i]
	e.scatter(tun, v[size-int(e.Len):size])
	tun.Present |= 1 << i
}

// Delete removes tun_metadata field id from the packet's tunnel options.
func Delete(f *flow.Flow, id ID) {
	if f.Tunnel.Flags&flow.TunFlagUDPIF == 0 && id.IsTunMetadata() {
		f.Tunnel.Present &^= 1 << (id - TunMetadata0)
	}
}

// FromGeneve sorts raw Geneve options into dst (Present, Opts) by t.  Options that t
// does not know are left out.  It fails for malformed options.
func (t *TunTable) FromGeneve(raw []byte, dst *flow.Tunnel) bool {
	dst.Present, dst.OptsLen = 0, 0
	clear(dst.Opts[:])
	dst.Flags &^= flow.TunFlagUDPIF
	for len(raw) > 0 {
		if len(raw) < 4 {
			return false
		}
		n := int(raw[3]&0x1f) * 4
		if len(raw) < 4+n {
			return false
		}
		if i := t.Lookup(be.Uint16(raw), raw[2]); i >= 0 && int(t.Entries[i].Len) == n {
			t.Entries[i].scatter(dst, raw[4:4+n])
			dst.Present |= 1 << i
		}
		raw = raw[4+n:]
	}
	return true
}

// GeneveMask makes the mask over raw Geneve options of a mask over fields: masked has
// the bits of the fields that were looked at, opts the mask over each at its place.
// The headers of all options are in dst, so that it holds for no other list of options.
func (t *TunTable) GeneveMask(raw []byte, masked uint64, opts, dst *[flow.MaxTunOpts]byte) {
	tun := flow.Tunnel{Opts: *opts}
	for ofs := 0; ofs+4 <= len(raw); {
		n := int(raw[ofs+3]&0x1f) * 4
		if ofs+4+n > len(raw) {
			return
		}
		dst[ofs], dst[ofs+1], dst[ofs+2], dst[ofs+3] = 0xff, 0xff, 0xff, 0x1f
		i := t.Lookup(be.Uint16(raw[ofs:]), raw[ofs+2])
		if i >= 0 && int(t.Entries[i].Len) == n && masked>>i&1 != 0 {
			t.Entries[i].gather(&tun, dst[ofs+4:ofs+4+n])
		}
		ofs += 4 + n
	}
}

// AppendGeneve appends the present options of src as Geneve options, by index, and
// says whether one of them is critical.
func (t *TunTable) AppendGeneve(b []byte, src *flow.Tunnel) (out []byte, critical bool) {
	for left := src.Present; left != 0 && t != nil; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		e := &t.Entries[i]
		if !e.Valid {
			continue
		}
		b = append(b, byte(e.Class>>8), byte(e.Class), e.Type, e.Len/4)
		n := len(b)
		b = append(b, make([]byte, e.Len)...)
		e.gather(src, b[n:])
		critical = critical || e.Type&0x80 != 0
	}
	return b, critical
}
