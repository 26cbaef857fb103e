package field

import (
	"strconv"
	"strings"

	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

func itoa(n int) string { return strconv.Itoa(n) }

func hex(n uint64) string { return strconv.FormatUint(n, 16) }

type wireName struct {
	id   ID
	wire *WireID
}

var (
	byName   map[string]ID       // Name and Alt
	byNXM    map[string]wireName // NXM_..., OXM_...
	byHeader map[Header]wireName // header without length and mask
	// preferred[id][v] is the header that version v uses; column 0 is NXM's.
	preferred [N][ofver.OF15 + 1]Header
)

const lenBits = Header(0x1ff) << 32

func buildIndexes() {
	byName = make(map[string]ID, 2*int(N))
	byNXM = make(map[string]wireName, 2*int(N))
	byHeader = make(map[Header]wireName, 2*int(N))
	for id := range N {
		f := &table[id]
		byName[f.Name] = id
		if f.Alt != "" {
			byName[f.Alt] = id
		}
		for i := range f.IDs {
			w := &f.IDs[i]
			byNXM[w.Name] = wireName{id, w}
			byHeader[w.Header&^lenBits] = wireName{id, w}
			if c := classIndex(w.Header.Class()); c >= 0 {
				direct[c][w.Header.Num()] = uint8(id) + 1
			}
			for v := ofver.Version(0); v <= ofver.OF15; v++ {
				if i == 0 || v >= w.Since {
					preferred[id][v] = w.Header
				}
			}
		}
	}
}

// ByName finds a field by its name or its other name.
func ByName(name string) (ID, bool) {
	id, ok := byName[name]
	return id, ok
}

// ByWireName finds a field by a name of its wire form, such as NXM_OF_ETH_SRC.
// With a suffix _W it is the masked form (wild).
func ByWireName(name string) (id ID, wild, ok bool) {
	if w, ok := byNXM[name]; ok {
		return w.id, false, true
	}
	if base, found := strings.CutSuffix(name, "_W"); found {
		if w, ok := byNXM[base]; ok {
			return w.id, true, true
		}
	}
	return 0, false, false
}

// ByHeader finds the field that an OXM or NXM header names.  The length must be
// the field's (any for tun_metadata fields).
func ByHeader(h Header) (ID, bool) {
	n := h.PayloadLen()
	if h.HasMask() {
		n /= 2
	}
	if c := classIndex(h.Class()); c >= 0 {
		id := ID(direct[c][h.Num()])
		if id == 0 {
			return 0, false
		}
		f := &table[id-1]
		return id - 1, n == int(f.Size) || f.Variable
	}
	w, ok := byHeader[h&^lenBits]
	if !ok || n != w.wire.Header.PayloadLen() && !table[w.id].Variable {
		return 0, false
	}
	return w.id, true
}

// byActionHeader is ByHeader with the error that actions report.
func byActionHeader(h Header) (ID, error) {
	if id, ok := ByHeader(h); ok {
		return id, nil
	}
	if _, ok := byHeader[h&^lenBits]; ok && h.Len() > 0 {
		return 0, oferr.OFPBAC_BAD_SET_LEN
	}
	return 0, oferr.OFPBAC_BAD_SET_TYPE
}

// PreferredHeader returns the header by which version v writes field id, without
// a mask; version 0 prefers NXM.  It is 0 for a field that has no wire form.
func PreferredHeader(id ID, v ofver.Version) Header {
	if v > ofver.OF15 {
		v = ofver.OF15
	}
	return preferred[id][v]
}

// NXMHeader returns the 32-bit header of id for the places that have no room for
// an experimenter header; 0 if it needs one.  s.Size gives the length of a mapped
// tun_metadata field.
func (s Sub) NXMHeader() uint32 {
	h := preferred[s.ID][0]
	if h.Experimenter() {
		return 0
	}
	if s.Size != 0 {
		h = h.WithPayload(int(s.Size), false)
	}
	return uint32(h >> 32)
}

// WireName returns the name that text forms of version-neutral output use for id
// (its NXM name if it has one), or "".
func WireName(id ID) string {
	if len(table[id].IDs) == 0 {
		return ""
	}
	h := preferred[id][0]
	for i := range table[id].IDs {
		if table[id].IDs[i].Header == h {
			return table[id].IDs[i].Name
		}
	}
	return ""
}

// Set is a set of fields.
type Set [(int(N) + 63) / 64]uint64

// Add puts id into the set.
func (s *Set) Add(id ID) { s[id/64] |= 1 << (id % 64) }

// Remove takes id out of the set.
func (s *Set) Remove(id ID) { s[id/64] &^= 1 << (id % 64) }

// Has says whether id is in the set.
func (s *Set) Has(id ID) bool { return s[id/64]>>(id%64)&1 != 0 }

// Empty says whether the set has no member.
func (s *Set) Empty() bool { return *s == Set{} }

// WireWritable is the set of fields that OXM can name and actions can set.
func WireWritable() (s Set) {
	return collect(func(f *Field) bool { return f.Writable })
}

// WireMatchable is the set of fields that OXM can name.
func WireMatchable() (s Set) {
	return collect(func(*Field) bool { return true })
}

// WireMaskable is the set of fields that OXM can name and mask bit by bit.
func WireMaskable() (s Set) {
	return collect(func(f *Field) bool { return f.Maskable })
}

func collect(want func(*Field) bool) (s Set) {
	for id := range N {
		if len(table[id].IDs) != 0 && want(&table[id]) {
			s.Add(id)
		}
	}
	return s
}

const classBasic = 0x8000

// Basic returns s as OpenFlow 1.2 table statistics write it: bit N stands for
// field N of the class OFPXMC_OPENFLOW_BASIC.
func (s *Set) Basic(v ofver.Version) (bits uint64) {
	for id := range N {
		if h := PreferredHeader(id, v); s.Has(id) && h.Class() == classBasic && h.Num() < 64 {
			bits |= 1 << h.Num()
		}
	}
	return bits
}

// SetFromBasic is the inverse of Basic.
func SetFromBasic(bits uint64, v ofver.Version) (s Set) {
	for id := range N {
		h := PreferredHeader(id, v)
		if h.Class() != classBasic || h.Num() >= 64 || bits>>h.Num()&1 == 0 {
			continue
		}
		if w := byHeader[h&^lenBits]; v >= w.wire.Since {
			s.Add(id)
		}
	}
	return s
}
