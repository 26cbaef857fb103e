package conntrack

import (
	"sync"

	"sluice/dpif/flow"
	"sluice/netdev/packet"
)

// Expiry lists: one for each timeoutClass, in which connections with the default
// timeouts are in the order of their expiration; and one, without order, of those
// whose zones have timeouts of their own.
const (
	listMixed = int(numClasses)
	numLists  = listMixed + 1
)

// Sizes of the table.
const (
	shardBits  = 8
	numShards  = 1 << shardBits
	chunkBits  = 5
	chunkSlots = 1 << chunkBits
	minBuckets = 16
)

// queueSlackMs is how much older than its expiration a connection's place in the
// expiry list may be, so that a busy connection moves once a second, not with each
// packet.
const queueSlackMs = 1000

// Kinds of slots.
const (
	slotFree     = iota
	slotReserved // an alias whose connection is being made
	slotAlias    // the reply key of a connection with NAT; ref is the connection
	slotConn     // a connection; ref is its alias
)

// ref names a slot from another shard.  A slot that was freed or reused since has
// another generation.
type ref struct {
	shard uint16
	gen   uint32
	slot  uint32 // 0: none
}

// slot is a connection or an alias.  It holds no pointers, so that the garbage
// collector skips millions of them.
type slot struct {
	key, rev key    // original and reply direction; an alias has the reply key in both
	hash     uint64 // of key
	chain    uint32 // next slot in the bucket; next free slot
	gen      uint32
	kind     uint8
	list     uint8 // expiry list
	nat      uint8 // nat* bits
	state    uint8 // of protocols other than TCP
	helper   helper
	related  bool // opened on behalf of connection parent
	skewDir  bool // direction of skew: true in the reply direction
	ref      ref

	prev, next uint32 // expiry list
	queued     int64  // expiration when the slot went to the end of its list
	expires    int64  // ms
	born       uint64 // number of the connection, in order of creation

	tcp     [2]peer // original, reply
	mark    uint32
	skew    int32 // what a helper added to the sequence numbers
	label   flow.U128
	limit   int32  // zone whose limit counts the connection; noLimit
	limitID uint64 // to tell a limit from one deleted before
	parent  key
}

// shard is a hash table of its own: connections whose original key hashes to it,
// and aliases.  Slots live in chunks that never move; indices begin with 1.
//
// Thread-safety: mu guards everything.  A thread holds the lock of one shard at a
// time.
type shard struct {
	mu      sync.Mutex
	buckets []uint32
	chunks  []*[chunkSlots]slot
	free    uint32
	used    int
	lists   [numLists]struct{ head, tail uint32 }
	_       [32]byte
}

func (sh *shard) at(i uint32) *slot {
	i--
	return &sh.chunks[i>>chunkBits][i&(chunkSlots-1)]
}

func (sh *shard) bucket(h uint64) *uint32 { return &sh.buckets[h&uint64(len(sh.buckets)-1)] }

// alloc takes a free slot, empty but for its generation.
func (sh *shard) alloc() (uint32, *slot) {
	if sh.free == 0 {
		base := uint32(len(sh.chunks))<<chunkBits + 1
		sh.chunks = append(sh.chunks, new([chunkSlots]slot))
		for i := uint32(chunkSlots); i > 0; i-- {
			sh.at(base + i - 1).chain = sh.free
			sh.free = base + i - 1
		}
	}
	i := sh.free
	s := sh.at(i)
	sh.free = s.chain
	*s = slot{gen: s.gen + 1}
	return i, s
}

// link puts slot i, whose key and hash are set, into its bucket.
func (sh *shard) link(i uint32, s *slot) {
	sh.used++
	if sh.used > len(sh.buckets) {
		sh.grow()
	}
	b := sh.bucket(s.hash)
	s.chain = *b
	*b = i
}

func (sh *shard) grow() {
	old := sh.buckets
	sh.buckets = make([]uint32, max(2*len(old), minBuckets))
	for _, i := range old {
		for i != 0 {
			s := sh.at(i)
			next := s.chain
			b := sh.bucket(s.hash)
			s.chain = *b
			*b = i
			i = next
		}
	}
}

// unlink takes slot i out of its bucket and frees it.
func (sh *shard) unlink(i uint32, s *slot) {
	for b := sh.bucket(s.hash); *b != 0; b = &sh.at(*b).chain {
		if *b == i {
			*b = s.chain
			break
		}
	}
	sh.used--
	s.kind = slotFree
	s.gen++
	s.chain = sh.free
	sh.free = i
}

// search returns the slot that k is a key of, connections that have expired
// aside.
func (sh *shard) search(k *key, h uint64, now int64) (i uint32, s *slot) {
	if len(sh.buckets) == 0 {
		return 0, nil
	}
	for i = *sh.bucket(h); i != 0; i = s.chain {
		s = sh.at(i)
		if s.hash == h && (s.key == *k || s.rev == *k) && (s.kind != slotConn || now < s.expires) {
			return i, s
		}
	}
	return 0, nil
}

// expireAt sets when connection i expires and in which list it waits for that.
func (sh *shard) expireAt(i uint32, s *slot, list uint8, at int64) {
	s.expires = at
	if list == s.list && at-s.queued < queueSlackMs && at >= s.queued {
		return
	}
	sh.dequeue(i, s)
	s.list = list
	sh.enqueue(i, s)
}

func (sh *shard) enqueue(i uint32, s *slot) {
	l := &sh.lists[s.list]
	s.queued, s.prev, s.next = s.expires, l.tail, 0
	if l.tail != 0 {
		sh.at(l.tail).next = i
	} else {
		l.head = i
	}
	l.tail = i
}

func (sh *shard) dequeue(i uint32, s *slot) {
	l := &sh.lists[s.list]
	if s.prev != 0 {
		sh.at(s.prev).next = s.next
	} else if l.head == i {
		l.head = s.next
	}
	if s.next != 0 {
		sh.at(s.next).prev = s.prev
	} else if l.tail == i {
		l.tail = s.prev
	}
}

// hit is a connection that was found; its shard is locked.
type hit struct {
	sh    *shard
	i     uint32
	s     *slot
	reply bool
}

func (t *Tracker) shardOf(h uint64) (*shard, uint16) {
	n := uint16(h >> (64 - shardBits))
	return &t.shards[n], n
}

// find looks up a connection by the key of either direction.  When it returns one,
// the shard of the connection is locked.  orphan: the key is that of replies to a
// connection with NAT that is gone.
func (t *Tracker) find(k *key, h uint64, now int64) (f hit, orphan bool) {
	sh, _ := t.shardOf(h)
	sh.mu.Lock()
	i, s := sh.search(k, h, now)
	if s == nil || s.kind == slotReserved {
		sh.mu.Unlock()
		return hit{}, false
	}
	if s.kind == slotConn {
		return hit{sh, i, s, s.key != *k}, false
	}
	r := s.ref
	sh.mu.Unlock()
	sh = &t.shards[r.shard]
	sh.mu.Lock()
	s = sh.at(r.slot)
	if s.gen != r.gen || s.kind != slotConn || now >= s.expires || s.rev != *k {
		sh.mu.Unlock()
		return hit{}, true
	}
	return hit{sh, r.slot, s, true}, false
}

// remove forgets a connection; its shard is locked.  The caller passes the alias
// that it returns to dropAlias once it holds no lock.
func (t *Tracker) remove(sh *shard, i uint32, s *slot) (alias ref) {
	alias = s.ref
	if s.helper != helperNone {
		t.expected.forget(&s.key)
	}
	sh.dequeue(i, s)
	sh.unlink(i, s)
	t.conns.Add(-1)
	t.limits.release(s.limit, s.limitID)
	return alias
}

// dropAlias frees an alias.
func (t *Tracker) dropAlias(r ref) {
	if r.slot == 0 {
		return
	}
	sh := &t.shards[r.shard]
	sh.mu.Lock()
	if s := sh.at(r.slot); s.gen == r.gen {
		sh.unlink(r.slot, s)
	}
	sh.mu.Unlock()
}

// reserve makes an alias for k unless some connection has that key already.
func (t *Tracker) reserve(k *key, now int64) (ref, bool) {
	h := k.hash(t.seed)
	sh, n := t.shardOf(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, s := sh.search(k, h, now); s != nil {
		return ref{}, false
	}
	i, s := sh.alloc()
	s.key, s.rev, s.hash, s.kind = *k, *k, h, slotReserved
	sh.link(i, s)
	return ref{n, s.gen, i}, true
}

// bind points a reserved alias at its connection.
func (t *Tracker) bind(alias, conn ref) {
	sh := &t.shards[alias.shard]
	sh.mu.Lock()
	s := sh.at(alias.slot)
	s.ref, s.kind = conn, slotAlias
	sh.mu.Unlock()
}

// Run looks at all shards once a second, and forgets at most sweepBudget
// connections at a time.
const (
	sweepBudget     = 2000
	sweepIntervalMs = 1000
)

// Run forgets connections that have expired, some at a time, and fragments, which
// it gives back to c.
func (t *Tracker) Run(c *packet.Cache, now int64) {
	if now < t.nextSweep || t.idle() {
		return
	}
	t.nextSweep = now + sweepIntervalMs
	t.frags.purge(c, now)
	budget := sweepBudget
	for range numShards {
		budget = t.sweep(&t.shards[t.sweepAt], now, budget)
		if budget == 0 {
			t.nextSweep = now
			return
		}
		t.sweepAt = (t.sweepAt + 1) % numShards
	}
}

// Next is when Run wants to be called again.
func (t *Tracker) Next() (at int64, ok bool) { return t.nextSweep, !t.idle() }

func (t *Tracker) idle() bool { return t.conns.Load() == 0 && t.frags.held.Load() == 0 }

func (t *Tracker) sweep(sh *shard, now int64, budget int) int {
	for budget > 0 {
		var aliases [32]ref
		n := 0
		sh.mu.Lock()
		for list := range sh.lists {
			for i := sh.lists[list].head; i != 0 && n < len(aliases); {
				s := sh.at(i)
				next := s.next
				if now >= s.expires {
					aliases[n] = t.remove(sh, i, s)
					n++
				} else if list != listMixed && now < s.queued+queueSlackMs {
					break // those behind are younger
				}
				i = next
			}
		}
		sh.mu.Unlock()
		for _, r := range aliases[:n] {
			t.dropAlias(r)
		}
		budget = max(budget-n, 0)
		if n < len(aliases) {
			break
		}
	}
	return budget
}
