package afxdp

import (
	"math/bits"

	"sluice/netdev/packet"
)

// frameSet remembers which frames one side of a queue has given to the kernel, so
// that they come back when the socket is closed, whatever the kernel was doing
// with them.
//
// Thread-safety: none; it belongs to the side that posts the frames.
type frameSet []uint64

func newFrameSet(frames int) frameSet { return make(frameSet, (frames+63)/64) }

func (s frameSet) add(i packet.Index)    { s[i/64] |= 1 << (i % 64) }
func (s frameSet) remove(i packet.Index) { s[i/64] &^= 1 << (i % 64) }

// freeAll gives every frame of the set to c, and empties it.
func (s frameSet) freeAll(c *packet.Cache) {
	p := c.Pool()
	for w, word := range s {
		for word != 0 {
			b := bits.TrailingZeros64(word)
			word &^= 1 << b
			i := packet.Index(w*64 + b)
			p.Meta(i).Next = 0
			c.Free(i)
		}
		s[w] = 0
	}
}
