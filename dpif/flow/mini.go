package flow

import "math/bits"

// Mini is a Flow in compressed form: a bitmap of the words that it has and those
// words in order.  Words that it does not have are zero; words that it has may be
// zero too, but packets of the same shape always have the same words, so that
// caches may compare bitmap and words.
//
// A Mini is in host memory order, as Words is; the code that builds one from a
// packet assumes a little-endian machine (checked by the package's tests).
type Mini struct {
	Map  [2]uint64
	N    int            // words in Vals
	Vals [NWords]uint64 // the first N are valid
}

// Reset makes k the compressed form of the zero Flow.
func (k *Mini) Reset() { k.Map, k.N = [2]uint64{}, 0 }

// push appends word w, which lies behind all that k has.
func (k *Mini) push(w int, v uint64) {
	k.Map[w>>6] |= 1 << (w & 63)
	k.Vals[k.N] = v
	k.N++
}

// pushNonzero appends word w unless it is zero.
func (k *Mini) pushNonzero(w int, v uint64) {
	if v != 0 {
		k.push(w, v)
	}
}

// Get is word w of the Flow.
func (k *Mini) Get(w int) uint64 {
	i, bit := w>>6, uint64(1)<<(w&63)
	if k.Map[i]&bit == 0 {
		return 0
	}
	n := bits.OnesCount64(k.Map[i] & (bit - 1))
	if i == 1 {
		n += bits.OnesCount64(k.Map[0])
	}
	return k.Vals[n]
}

// index is where in Vals word w is, -1: k does not have it.
func (k *Mini) index(w int) int {
	i, bit := w>>6, uint64(1)<<(w&63)
	if k.Map[i]&bit == 0 {
		return -1
	}
	n := bits.OnesCount64(k.Map[i] & (bit - 1))
	if i == 1 {
		n += bits.OnesCount64(k.Map[0])
	}
	return n
}

// replace changes word w if k has it.
func (k *Mini) replace(w int, v uint64) {
	if n := k.index(w); n >= 0 {
		k.Vals[n] = v
	}
}

// remove takes out word w.
func (k *Mini) remove(w int) {
	n := k.index(w)
	if n < 0 {
		return
	}
	copy(k.Vals[n:k.N-1], k.Vals[n+1:k.N])
	k.Map[w>>6] &^= 1 << (w & 63)
	k.N--
}

// Set makes k the compressed form of f, with the nonzero words only.
func (k *Mini) Set(f *Flow) {
	k.Reset()
	for w, v := range f.Words() {
		k.pushNonzero(w, v)
	}
}

// Expand writes the whole flow.
func (k *Mini) Expand(f *Flow) {
	*f = Flow{}
	words := f.Words()
	n := 0
	for i, m := range k.Map {
		for ; m != 0; m &= m - 1 {
			words[i<<6+bits.TrailingZeros64(m)] = k.Vals[n]
			n++
		}
	}
}

// TCPFlags are the flags of a TCP segment, 0 of other packets.
func (k *Mini) TCPFlags() uint16 {
	if uint8(k.Get(wProto)>>56) != protoTCP {
		return 0
	}
	return uint16(k.Get(wARP+1) >> 32)
}

// InPort is the datapath port of the packet.
func (k *Mini) InPort() uint32 { return uint32(k.Get(wInPort) >> 32) }

// Hash is a hash of the whole key, for tables inside the datapath.
func (k *Mini) Hash(seed uint64) uint32 {
	h := seed
	for _, v := range k.Vals[:k.N] {
		h = fold(h^v, mixA)
	}
	h = fold(h^k.Map[0], mixB^k.Map[1])
	return uint32(h ^ h>>32)
}

// HashTuple hashes the addresses, protocol, ports and input port: what differs
// between the flows of one port, without the words that hardly ever do.
func (k *Mini) HashTuple() uint32 {
	h := fold(k.Get(wL4)^mixA, k.Get(wProto)>>56^mixB)
	if v := k.Get(wNw); v != 0 {
		h = fold(h^v, mixA)
	} else if k.Map[wIPv6>>6]&(1<<(wIPv6&63)) != 0 {
		h = fold(h^k.Get(wIPv6)^k.Get(wIPv6+1), mixA^k.Get(wIPv6Dst)^bits.RotateLeft64(k.Get(wIPv6Dst+1), 7))
	} else {
		h = fold(h^k.Get(wEth), mixA^k.Get(wEth+1))
	}
	h = fold(h^k.Get(wInPort), mixB^k.Get(wRecirc))
	return uint32(h ^ h>>32)
}

// Multipliers of fold, odd numbers without structure.
const (
	mixA = 0x9e3779b97f4a7c15
	mixB = 0xd6e8feb86659fd93
)

// fold multiplies to 128 bits and xors the halves: one step of a fast hash whose
// values nobody outside the datapath sees.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// HashWords hashes words the same way, for tables keyed by masked words.
func HashWords(w []uint64, seed uint64) uint64 {
	h := seed ^ mixB
	for _, v := range w {
		h = fold(h^v, mixA)
	}
	return h
}

// FoldHash adds one word to a hash.
func FoldHash(h, v uint64) uint64 { return fold(h^v, mixA) }

// HashUFID names a flow by its key.
func (f *Flow) HashUFID() UFID {
	w := f.Words()
	a, b := uint64(mixA), uint64(mixB)
	for _, v := range w {
		a = fold(a^v, mixB)
		b = fold(b+v, mixA) + v
	}
	return UFID{Hi: fold(a, b^mixA), Lo: fold(b, a^mixB)}
}
