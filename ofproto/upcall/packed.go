package upcall

import (
	"math/bits"

	"sluice/dpif/flow"
)

// packed is a flow or a mask without the words that are zero, which are most of
// them: there may be hundreds of thousands.
type packed struct {
	words [2]uint64 // which words vals has
	vals  []uint64
}

// pack makes the packed form of f.
func pack(f *flow.Words) (p packed) {
	n := 0
	for i, v := range f {
		if v != 0 {
			p.words[i>>6] |= 1 << (i & 63)
			n++
		}
	}
	p.vals = make([]uint64, 0, n)
	for _, v := range f {
		if v != 0 {
			p.vals = append(p.vals, v)
		}
	}
	return p
}

// unpack writes the whole of p.
func (p *packed) unpack(f *flow.Words) {
	*f = flow.Words{}
	n := 0
	for i, m := range p.words {
		for ; m != 0; m &= m - 1 {
			f[i<<6+bits.TrailingZeros64(m)] = p.vals[n]
			n++
		}
	}
}

// covers reports that p, a mask, has all bits of m.
func (p *packed) covers(m *flow.Mask) bool {
	n := 0
	for i, want := range m.Words() {
		have := uint64(0)
		if p.words[i>>6]&(1<<(i&63)) != 0 {
			have = p.vals[n]
			n++
		}
		if want&^have != 0 {
			return false
		}
	}
	return true
}
