package classifier

import (
	"math/bits"
	"slices"
	"sync/atomic"

	"sluice/dpif/flow"
)

// Mask is the compressed form of a flow.Mask: the words that are not zero and
// where they belong.  It is immutable; the rules of one subtable share one Mask.
type Mask struct {
	words []uint64 // the non-zero words, in order of idx
	idx   []uint8  // their places in flow.Words, in the order of stages
	hash  uint64   // of idx and words
}

// Every word index of a Flow must fit the uint8 of Mask.idx.
var _ [255 - flow.NWords]struct{}

// NewMask compresses m.
func NewMask(m *flow.Mask) *Mask {
	var buf struct {
		words [flow.NWords]uint64
		idx   [flow.NWords]uint8
	}
	n, hash := 0, uint64(0)
	w := m.Words()
	for _, x := range stageOrder {
		if v := w[x]; v != 0 {
			buf.idx[n], buf.words[n] = x, v
			hash = mix(hash, v+uint64(x)<<56)
			n++
		}
	}
	// Rules of one kind come in rows, so the mask is likely to be known.
	slot := &recentMasks[hash%uint64(len(recentMasks))]
	if r := slot.Load(); r != nil && r.hash == hash && slices.Equal(r.idx, buf.idx[:n]) && equalWords(r.words, buf.words[:n]) {
		return r
	}
	mini := &Mask{words: slices.Clone(buf.words[:n]), idx: slices.Clone(buf.idx[:n]), hash: hash}
	slot.Store(mini)
	return mini
}

// recentMasks are masks that NewMask made lately, by hash.
var recentMasks [256]atomic.Pointer[Mask]

// Expand returns the mask in its full form.
func (m *Mask) Expand() flow.Mask {
	var full flow.Mask
	w := full.Words()
	for i, x := range m.idx {
		w[x] = m.words[i]
	}
	return full
}

// IsCatchall reports whether m matches every packet.
func (m *Mask) IsCatchall() bool { return len(m.idx) == 0 }

// equal reports whether a and b have the same bits.
func (m *Mask) equal(b *Mask) bool {
	if m == b {
		return true
	}
	if m.hash != b.hash || len(m.idx) != len(b.idx) {
		return false
	}
	for i := range m.idx {
		if m.idx[i] != b.idx[i] || m.words[i] != b.words[i] {
			return false
		}
	}
	return true
}

// covers reports whether m has every bit that b has.
func (m *Mask) covers(b *Mask) bool {
	i := 0
	for j, x := range b.idx {
		for i < len(m.idx) && stageRank[m.idx[i]] < stageRank[x] {
			i++
		}
		if i == len(m.idx) || m.idx[i] != x || b.words[j]&^m.words[i] != 0 {
			return false
		}
	}
	return true
}

// values compresses the words of f that m names, under m.
func (m *Mask) values(f *flow.Flow) []uint64 {
	if len(m.idx) == 0 {
		return nil
	}
	w := f.Words()
	v := make([]uint64, len(m.idx))
	for i, x := range m.idx {
		v[i] = w[x] & m.words[i]
	}
	return v
}

// word returns the value at word x of a rule's values, 0 when m has no bit there.
func (m *Mask) word(values []uint64, x int) uint64 {
	for i, y := range m.idx {
		if int(y) == x {
			return values[i]
		}
	}
	return 0
}

// foldInto adds the bits of words [from, to) of m to wc.
func (m *Mask) foldInto(wc *flow.Words, from, to int) {
	for i := from; i < to; i++ {
		wc[m.idx[i]] |= m.words[i]
	}
}

// hashRange continues hash h over the words [from, to) of m, taken from w.
func (m *Mask) hashRange(w *flow.Words, from, to int, h uint64) uint64 {
	for i := from; i < to; i++ {
		h = mix(h, w[m.idx[i]]&m.words[i])
	}
	return h
}

// hashValues continues hash h over already masked words.
func hashValues(v []uint64, h uint64) uint64 {
	for _, x := range v {
		h = mix(h, x)
	}
	return h
}

// mix folds a word into a hash: a multiply whose halves are combined.  It is
// private to lookups; nothing that users see depends on it.
func mix(h, v uint64) uint64 {
	hi, lo := bits.Mul64(h^v^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	return hi ^ lo
}

// fold32 reduces a hash to the 32 bits that tables store.  0 is not used, so
// that it can mean "none".
func fold32(h uint64) uint32 {
	x := uint32(h>>32) ^ uint32(h)
	if x == 0 {
		return 1
	}
	return x
}
