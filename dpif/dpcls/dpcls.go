// Package dpcls is the megaflow classifier of the datapath: tuple-space search
// over subtables, one for each mask.
//
// A polling thread (dpif/userspace) has one for each input port and is the only
// one that touches it.  Megaflows have no priorities: when masks overlap any match
// is right.  Entries are ids that the owner gives; keys and masks live in flat
// arrays without pointers.
package dpcls

import (
	"math/bits"
	"slices"

	"sluice/dpif/flow"
)

// Classifier is a set of subtables.
type Classifier struct {
	subs []*subtable // by falling rank
	n    int
	buf  flow.Words // masked words of the packet that is looked up
}

// Len is the number of entries.
func (c *Classifier) Len() int { return c.n }

// Subtables is the number of masks.
func (c *Classifier) Subtables() int { return len(c.subs) }

// Lookup finds an entry that matches k and tells how many subtables it looked at.
func (c *Classifier) Lookup(k *flow.Mini) (id uint32, tried int, ok bool) {
	for n, s := range c.subs {
		if id, ok := s.lookup(k, &c.buf); ok {
			s.hits++
			return id, n + 1, true
		}
	}
	return 0, len(c.subs), false
}

// Insert adds an entry; the same key under the same mask is replaced.
func (c *Classifier) Insert(key *flow.Flow, mask *flow.Mask, id uint32) {
	s := c.find(mask)
	if s == nil {
		s = newSubtable(mask)
		c.subs = append(c.subs, s)
	}
	if s.insert(key, id) {
		c.n++
	}
}

// Remove takes out the entry of key under mask.
func (c *Classifier) Remove(key *flow.Flow, mask *flow.Mask) bool {
	s := c.find(mask)
	if s == nil || !s.remove(key) {
		return false
	}
	c.n--
	if s.n == 0 {
		c.subs = slices.DeleteFunc(c.subs, func(x *subtable) bool { return x == s })
	}
	return true
}

// Optimize sorts the subtables by how often they were hit since the last call, so
// that the busiest is looked at first.  It reports whether the order changed.
func (c *Classifier) Optimize() bool {
	byHits := func(a, b *subtable) int {
		switch {
		case a.hits > b.hits:
			return -1
		case a.hits < b.hits:
			return 1
		}
		return 0
	}
	changed := !slices.IsSortedFunc(c.subs, byHits)
	if changed {
		slices.SortStableFunc(c.subs, byHits)
	}
	for _, s := range c.subs {
		s.hits = 0
	}
	return changed
}

func (c *Classifier) find(mask *flow.Mask) *subtable {
	for _, s := range c.subs {
		if s.isFor(mask) {
			return s
		}
	}
	return nil
}

// subtable holds the entries of one mask in an open-addressing table.  An entry's
// key is its masked words, width of them.
type subtable struct {
	words []uint8  // numbers of the words that the mask has
	masks []uint64 // those words
	hits  uint64

	n, used int      // entries; entries and tombstones
	hashes  []uint32 // 0: free, 1: deleted
	ids     []uint32
	keys    []uint64 // len(hashes) × len(words)
}

const (
	free    = 0
	deleted = 1
	minSize = 8
)

func newSubtable(mask *flow.Mask) *subtable {
	s := &subtable{}
	for w, v := range mask.Words() {
		if v != 0 {
			s.words = append(s.words, uint8(w))
			s.masks = append(s.masks, v)
		}
	}
	s.resize(minSize)
	return s
}

func (s *subtable) isFor(mask *flow.Mask) bool {
	n := 0
	for w, v := range mask.Words() {
		if v == 0 {
			continue
		}
		if n == len(s.words) || int(s.words[n]) != w || s.masks[n] != v {
			return false
		}
		n++
	}
	return n == len(s.words)
}

func (s *subtable) resize(size int) {
	old := *s
	s.hashes = make([]uint32, size)
	s.ids = make([]uint32, size)
	s.keys = make([]uint64, size*len(s.words))
	s.n, s.used = 0, 0
	for i, h := range old.hashes {
		if h > deleted {
			s.put(h, old.key(i), old.ids[i])
		}
	}
}

func (s *subtable) key(i int) []uint64 {
	w := len(s.words)
	return s.keys[i*w : i*w+w]
}

// hash of masked words, never one of the marks.
func hash(key []uint64) uint32 {
	h := flow.HashWords(key, 0)
	return uint32(h^h>>32) | 2
}

// seek finds the place of a key, or -1 and the place to put it.
func (s *subtable) seek(h uint32, key []uint64) (at, room int) {
	mask := len(s.hashes) - 1
	room = -1
	for i := int(h>>2) & mask; ; i = (i + 1) & mask {
		switch s.hashes[i] {
		case free:
			if room < 0 {
				room = i
			}
			return -1, room
		case deleted:
			if room < 0 {
				room = i
			}
		case h:
			if equal(s.key(i), key) {
				return i, i
			}
		}
	}
}

func equal(a, b []uint64) bool {
	b = b[:len(a)]
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// put stores a key that the table does not have.
func (s *subtable) put(h uint32, key []uint64, id uint32) {
	_, at := s.seek(h, key)
	if s.hashes[at] == free {
		s.used++
	}
	s.hashes[at], s.ids[at] = h, id
	copy(s.key(at), key)
	s.n++
}

func (s *subtable) maskFlow(f *flow.Flow, buf *flow.Words) []uint64 {
	words := f.Words()
	for i, w := range s.words {
		buf[i] = words[w] & s.masks[i]
	}
	return buf[:len(s.words)]
}

func (s *subtable) insert(f *flow.Flow, id uint32) (added bool) {
	var buf flow.Words
	key := s.maskFlow(f, &buf)
	h := hash(key)
	if at, _ := s.seek(h, key); at >= 0 {
		s.ids[at] = id
		return false
	}
	if (s.used+1)*4 > len(s.hashes)*3 {
		size := len(s.hashes)
		if (s.n+1)*2 > size {
			size *= 2
		}
		s.resize(size)
	}
	s.put(h, key, id)
	return true
}

func (s *subtable) remove(f *flow.Flow) bool {
	var buf flow.Words
	key := s.maskFlow(f, &buf)
	at, _ := s.seek(hash(key), key)
	if at < 0 {
		return false
	}
	s.hashes[at] = deleted
	s.n--
	return true
}

func (s *subtable) lookup(k *flow.Mini, buf *flow.Words) (uint32, bool) {
	n0 := bits.OnesCount64(k.Map[0])
	words, masks := s.words, s.masks[:len(s.words)]
	for i, w := range words {
		m := k.Map[w>>6&1]
		bit := uint64(1) << (w & 63)
		if m&bit == 0 {
			buf[i] = 0
			continue
		}
		at := bits.OnesCount64(m & (bit - 1))
		if w >= 64 {
			at += n0
		}
		buf[i] = k.Vals[at] & masks[i]
	}
	key := buf[:len(words)]
	at, _ := s.seek(hash(key), key)
	if at < 0 {
		return 0, false
	}
	return s.ids[at], true
}

// Match reports whether k under mask is key under mask (the check of a signature
// cache's proposal).
func Match(k *flow.Mini, key *flow.Flow, mask *flow.Mask) bool {
	words := key.Words()
	for w, v := range mask.Words() {
		if v != 0 && (k.Get(w)^words[w])&v != 0 {
			return false
		}
	}
	return true
}
