package classifier

import (
	"math/bits"
	"sync/atomic"
)

// bits128 is up to 128 bits of a field, left-justified, most significant first.
type bits128 struct{ hi, lo uint64 }

// common returns how many leading bits a and b share.
func (a bits128) common(b bits128) int {
	if d := a.hi ^ b.hi; d != 0 {
		return bits.LeadingZeros64(d)
	}
	return 64 + bits.LeadingZeros64(a.lo^b.lo)
}

// bit returns bit i, counted from the most significant.
func (a bits128) bit(i int) int {
	if i < 64 {
		return int(a.hi >> (63 - i) & 1)
	}
	return int(a.lo >> (127 - i) & 1)
}

// prefix128 is a mask of the n leading bits.
func prefix128(n int) bits128 {
	switch {
	case n <= 0:
		return bits128{}
	case n < 64:
		return bits128{hi: ^uint64(0) << (64 - n)}
	case n == 64:
		return bits128{hi: ^uint64(0)}
	case n < 128:
		return bits128{^uint64(0), ^uint64(0) << (128 - n)}
	}
	return bits128{^uint64(0), ^uint64(0)}
}

func (a bits128) and(b bits128) bits128 { return bits128{a.hi & b.hi, a.lo & b.lo} }
func (a bits128) or(b bits128) bits128  { return bits128{a.hi | b.hi, a.lo | b.lo} }

// prefixLen returns the length of a as a prefix mask, 0 when a is none.
func (a bits128) prefixLen() int {
	n := a.common(bits128{^uint64(0), ^uint64(0)})
	if a != prefix128(n) {
		return 0
	}
	return n
}

// trie is a longest-prefix-match tree over the prefixes that rules have in one
// field.  A lookup learns how many leading bits tell a packet apart from all
// longer prefixes, so that a subtable can be skipped at the price of
// un-wildcarding only these.  One writer, any number of readers: a node's prefix
// is absolute, so that splitting and joining edges never changes a node.
type trie struct{ root atomic.Pointer[trieNode] }

type trieNode struct {
	prefix bits128
	plen   int
	nRules atomic.Int32 // rules whose prefix is exactly this one
	edges  [2]atomic.Pointer[trieNode]
}

// lookup sets the bit plen-1 of plens for each prefix of value that rules have, and
// returns the number of leading bits that must be looked at to be sure of it.
func (t *trie) lookup(value bits128, nBits int, plens *bits128) int {
	var prev *trieNode
	matched := 0
	for node := t.root.Load(); node != nil; node = node.edges[value.bit(matched)].Load() {
		if eq := value.common(node.prefix); eq < node.plen {
			return eq + 1
		}
		matched = node.plen
		if node.nRules.Load() > 0 {
			if matched <= 64 {
				plens.hi |= 1 << (64 - matched)
			} else {
				plens.lo |= 1 << (128 - matched)
			}
		}
		if matched >= nBits {
			return nBits
		}
		prev = node
	}
	if prev == nil || prev.edges[0].Load() == nil && prev.edges[1].Load() == nil {
		return matched
	}
	return matched + 1
}

// insert counts one more rule with the first plen bits of value.
func (t *trie) insert(value bits128, plen int) {
	value = value.and(prefix128(plen))
	edge := &t.root
	for {
		node := edge.Load()
		if node == nil {
			edge.Store(newTrieNode(value, plen, 1))
			return
		}
		eq := min(value.common(node.prefix), plen)
		if eq < node.plen {
			parent := newTrieNode(value.and(prefix128(eq)), eq, 0)
			parent.edges[node.prefix.bit(eq)].Store(node)
			if eq == plen {
				parent.nRules.Store(1)
			} else {
				parent.edges[value.bit(eq)].Store(newTrieNode(value, plen, 1))
			}
			edge.Store(parent)
			return
		}
		if node.plen == plen {
			node.nRules.Add(1)
			return
		}
		edge = &node.edges[value.bit(node.plen)]
	}
}

func newTrieNode(prefix bits128, plen int, nRules int32) *trieNode {
	n := &trieNode{prefix: prefix, plen: plen}
	n.nRules.Store(nRules)
	return n
}

// remove counts one rule less; the prefix must have been inserted.
func (t *trie) remove(value bits128, plen int) {
	value = value.and(prefix128(plen))
	var path [129]*atomic.Pointer[trieNode]
	depth := 0
	path[0] = &t.root
	for {
		node := path[depth].Load()
		if node == nil || value.common(node.prefix) < node.plen || node.plen > plen {
			panic("classifier: prefix is not in its trie")
		}
		if node.plen == plen {
			node.nRules.Add(-1)
			break
		}
		depth++
		path[depth] = &node.edges[value.bit(node.plen)]
	}
	for ; depth >= 0; depth-- {
		node := path[depth].Load()
		left, right := node.edges[0].Load(), node.edges[1].Load()
		if node.nRules.Load() != 0 || left != nil && right != nil {
			return
		}
		if left == nil {
			left = right
		}
		path[depth].Store(left)
		if left != nil {
			return
		}
	}
}
