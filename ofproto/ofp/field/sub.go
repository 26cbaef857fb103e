package field

import (
	"sluice/dpif/flow"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp/oferr"
)

// CopyBits copies n bits from bit sofs of src to bit dofs of dst; bit 0 is the least
// significant one of the last byte.
func CopyBits(src []byte, sofs int, dst []byte, dofs, n int) {
	for n > 0 {
		s, d := src[len(src)-1-sofs/8], &dst[len(dst)-1-dofs/8]
		so, do := sofs%8, dofs%8
		k := min(n, 8-so, 8-do)
		mask := byte(1<<k-1) << do
		*d = *d&^mask | s>>so<<do&mask
		sofs, dofs, n = sofs+k, dofs+k, n-k
	}
}

// SetBits sets n bits of dst from bit ofs to one.
func SetBits(dst []byte, ofs, n int) {
	for n > 0 {
		o := ofs % 8
		k := min(n, 8-o)
		dst[len(dst)-1-ofs/8] |= byte(1<<k-1) << o
		ofs, n = ofs+k, n-k
	}
}

// Mask sets v to the mask of s within its field.
func (s Sub) Mask(v *Value) {
	size := table[s.ID].Size
	clear(v[:size])
	SetBits(v[:size], int(s.Ofs), int(s.Bits))
}

// Read puts the bits of s in f into dst, right-justified, zeros before them.
func (s Sub) Read(f *flow.Flow, tab *TunTable, dst []byte) {
	var v Value
	Read(f, s.ID, tab, &v)
	clear(dst)
	CopyBits(v[:table[s.ID].Size], int(s.Ofs), dst, 0, min(int(s.Bits), 8*len(dst)))
}

// Get returns the low 64 bits of s in f.
func (s Sub) Get(f *flow.Flow, tab *TunTable) uint64 {
	var b [8]byte
	s.Read(f, tab, b[:])
	return be.Uint64(b[:])
}

// Write sets the bits of s in f to the low bits of src, whose missing high bits are
// zero.
func (s Sub) Write(f *flow.Flow, tab *TunTable, src []byte) {
	var v Value
	Read(f, s.ID, tab, &v)
	size := table[s.ID].Size
	n := min(int(s.Bits), 8*len(src))
	CopyBits(src, 0, v[:size], int(s.Ofs), n)
	if n < int(s.Bits) {
		var zero Value
		CopyBits(zero[:], 0, v[:size], int(s.Ofs)+n, int(s.Bits)-n)
	}
	Write(f, s.ID, tab, &v)
}

// Set is Write for an integer.
func (s Sub) Set(f *flow.Flow, tab *TunTable, x uint64) {
	var b [8]byte
	be.PutUint64(b[:], x)
	s.Write(f, tab, b[:])
}

// AddTo adds the bits of s to the mask.
func (s Sub) AddTo(m *flow.Mask, tab *TunTable) {
	var v Value
	s.Mask(&v)
	AddMask(m, s.ID, tab, &v)
}

// Copy copies the bits of src to dst within f, if their prerequisites are met, and
// adds what it looked at to wc (nil: not wanted).
func Copy(f *flow.Flow, wc *flow.Mask, tab *TunTable, src, dst Sub) {
	if !PrereqsOK(f, dst.ID, wc) || !PrereqsOK(f, src.ID, wc) {
		return
	}
	if wc != nil {
		src.AddTo(wc, tab)
		dst.AddTo(wc, tab)
	}
	var b Value
	src.Read(f, tab, b[:])
	dst.Write(f, tab, b[:])
}

var (
	metaLog = vlog.New("meta_flow")
	metaRL  = vlog.NewLimiter(1, 5)
)

// CheckSrc says whether an action may read s from packets that a match on f under
// mask lets through; a nil f skips the prerequisites.
func (s Sub) CheckSrc(f *flow.Flow, mask *flow.Mask) error {
	return s.check(f, mask, "source")
}

// CheckDst is CheckSrc for writing.
func (s Sub) CheckDst(f *flow.Flow, mask *flow.Mask) error {
	if err := s.check(f, mask, "destination"); err != nil {
		return err
	}
	if !table[s.ID].Writable {
		metaLog.WarnRL(metaRL, "destination field %s is not writable", table[s.ID].Name)
		return oferr.OFPBAC_BAD_SET_ARGUMENT
	}
	return nil
}

func (s Sub) check(f *flow.Flow, mask *flow.Mask, what string) error {
	if s.ID >= N {
		metaLog.WarnRL(metaRL, "unknown %s field", what)
		return oferr.OFPBAC_BAD_SET_TYPE
	}
	name, width := table[s.ID].Name, s.fieldBits()
	switch {
	case s.Bits == 0:
		metaLog.WarnRL(metaRL, "zero bit %s field %s", what, name)
		return oferr.OFPBAC_BAD_SET_LEN
	case s.Ofs >= width:
		metaLog.WarnRL(metaRL, "bit offset %d exceeds %d-bit width of %s field %s", s.Ofs, width, what, name)
		return oferr.OFPBAC_BAD_SET_LEN
	case uint32(s.Ofs)+uint32(s.Bits) > uint32(width):
		metaLog.WarnRL(metaRL, "bit offset %d and width %d exceeds %d-bit width of %s field %s",
			s.Ofs, s.Bits, width, what, name)
		return oferr.OFPBAC_BAD_SET_LEN
	case f != nil && !MatchPrereqsOK(f, mask, s.ID):
		metaLog.WarnRL(metaRL, "%s field %s lacks correct prerequisites", what, name)
		return oferr.OFPBAC_MATCH_INCONSISTENT
	}
	return nil
}

// SubFromWire finds the field of a 32-bit NXM header inside an action.
func SubFromWire(h uint32, ofs, n uint16, tab *TunTable) (Sub, error) {
	id, err := Resolve(Header(h)<<32, tab, false)
	if err == oferr.OFPBMC_BAD_FIELD {
		err = oferr.OFPBAC_BAD_SET_TYPE
	}
	if err != nil {
		return Sub{ID: N}, err
	}
	s := Sub{ID: id, Ofs: ofs, Bits: n}
	if tab != nil && !tab.Private {
		s.Size = tab.Size(id)
	}
	return s, nil
}
