package match

import (
	"math/bits"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
)

// Mini is the stored form of a Match: the words that its mask has.  It is immutable;
// copies share memory.  The zero Mini matches everything.
type Mini struct {
	// set has a bit for each word of the mask that is not zero.
	set [2]uint64
	// words are the masks of those words, then the values.
	words []uint64
	tun   *field.TunTable
}

// Two words of bits must do for a Flow.
var _ [128 - flow.NWords]struct{}

// Mini compresses m.
func (m *Match) Mini() Mini {
	var z Mini
	f, w := m.Flow.Words(), m.Mask.Words()
	n := 0
	for i, x := range w {
		if x != 0 {
			z.set[i/64] |= 1 << (i % 64)
			n++
		}
	}
	if n == 0 {
		return z
	}
	z.tun = m.Tun
	z.words = make([]uint64, 2*n)
	k := 0
	for half, set := range z.set {
		for ; set != 0; set &= set - 1 {
			i := half*64 + bits.TrailingZeros64(set)
			z.words[k], z.words[n+k] = w[i], f[i]
			k++
		}
	}
	return z
}

// Expand makes m the Match that was compressed.
func (z *Mini) Expand(m *Match) {
	*m = Match{Tun: z.tun}
	f, w := m.Flow.Words(), m.Mask.Words()
	n, k := len(z.words)/2, 0
	for half, set := range z.set {
		for ; set != 0; set &= set - 1 {
			i := half*64 + bits.TrailingZeros64(set)
			w[i], f[i] = z.words[k], z.words[n+k]
			k++
		}
	}
}

// Match returns the Match that was compressed.
func (z *Mini) Match() *Match {
	m := new(Match)
	z.Expand(m)
	return m
}

// IsCatchall says whether z matches every packet.
func (z *Mini) IsCatchall() bool { return len(z.words) == 0 }

// Equal says whether a and b match the same packets by the same fields.
func (z *Mini) Equal(b *Mini) bool {
	if z.set != b.set || len(z.words) != len(b.words) {
		return false
	}
	for i, x := range z.words {
		if x != b.words[i] {
			return false
		}
	}
	return true
}

// Hash returns a hash of the mask and values.
func (z *Mini) Hash(basis uint64) uint64 {
	h := mix(basis^z.set[0], z.set[1]+1)
	for _, x := range z.words {
		h = mix(h^x, 0x9e3779b97f4a7c15)
	}
	return h
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0xe7037ed1a0b428db, b^0x8ebc6af09c88c6e3)
	return hi ^ lo
}

// Matches says whether packets with the fields of f are matched.
func (z *Mini) Matches(f *flow.Flow) bool {
	w := f.Words()
	n, k := len(z.words)/2, 0
	for half, set := range z.set {
		for ; set != 0; set &= set - 1 {
			i := half*64 + bits.TrailingZeros64(set)
			if (w[i]^z.words[n+k])&z.words[k] != 0 {
				return false
			}
			k++
		}
	}
	return true
}

// Word returns the mask and value of word i of the Flow.
func (z *Mini) Word(i int) (mask, value uint64) {
	half, bit := i/64, uint64(1)<<(i%64)
	if z.set[half]&bit == 0 {
		return 0, 0
	}
	k := bits.OnesCount64(z.set[half] & (bit - 1))
	if half == 1 {
		k += bits.OnesCount64(z.set[0])
	}
	return z.words[k], z.words[len(z.words)/2+k]
}

// Mask returns the full mask.
func (z *Mini) Mask() (m flow.Mask) {
	w := m.Words()
	k := 0
	for half, set := range z.set {
		for ; set != 0; set &= set - 1 {
			w[half*64+bits.TrailingZeros64(set)] = z.words[k]
			k++
		}
	}
	return m
}

// SubsetOf says whether every packet that z matches is matched by b, as far as the
// fields tell: b's mask is part of z's, with the same values there.
func (z *Mini) SubsetOf(b *Mini) bool {
	n, k := len(b.words)/2, 0
	for half, set := range b.set {
		if set&^z.set[half] != 0 {
			return false
		}
		for ; set != 0; set &= set - 1 {
			mask, value := z.Word(half*64 + bits.TrailingZeros64(set))
			if b.words[k]&^mask != 0 || (value^b.words[n+k])&b.words[k] != 0 {
				return false
			}
			k++
		}
	}
	return true
}

// AppendText appends the text of the match; tab is the switch's table of tunnel
// options, for a match that has none of its own.
func (z *Mini) AppendText(b []byte, tab *field.TunTable, ports field.PortMap, priority int) []byte {
	var m Match
	z.Expand(&m)
	if m.Tun == nil {
		m.Tun = tab
	}
	return m.AppendText(b, ports, priority)
}

// TunMetadata returns a bit for each tun_metadata field that is matched: a TLV table
// must not lose their mappings.
func (z *Mini) TunMetadata() uint64 {
	if z.tun == nil {
		return 0
	}
	mask := z.Mask()
	return mask.Tunnel.Present
}
