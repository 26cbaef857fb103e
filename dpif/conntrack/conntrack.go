// Package conntrack follows connections through the datapath: which packets open
// one, belong to one, answer, or fit none; marks and labels; network address
// translation.
//
// dpif/userspace runs ct() actions through a Tracker; dpif/dpctl and ofproto dump
// and flush it through the dpif contract.  The package works on packets whose
// layers are known and knows no flows, ports or actions besides ct().
//
// # The way of a packet
//
//  1. parse: the addresses and ports become a key; checksums are verified.
//  2. find: the key of either direction leads to the connection, in a table that is
//     split into shards with a lock each.
//  3. follow: the protocol's state machine accepts the packet, and says whether the
//     connection is new or established, or the packet invalid.
//  4. translate: NAT of the connection, when the action asks for it.
//  5. open: without a connection, a commit makes one.
//  6. write: state, mark, label and original tuple go to the packet's metadata.
package conntrack

import (
	"math/rand/v2"
	"sync/atomic"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/internal/coverage"
	"sluice/internal/vlog"
	"sluice/netdev/packet"
)

var (
	log       = vlog.New("conntrack")
	rlCommit  = vlog.NewLimiter(5, 5)
	rlExhaust = vlog.NewLimiter(5, 5)
)

var (
	cFull       = coverage.New("conntrack_full")
	cL3Csum     = coverage.New("conntrack_l3csum_err")
	cL4Csum     = coverage.New("conntrack_l4csum_err")
	cNattedMiss = coverage.New("conntrack_lookup_natted_miss")
)

// defaultMaxConns is how many connections are tracked unless somebody says
// otherwise.
const defaultMaxConns = 3000000

// Tracker is the connections of one datapath.
//
// Thread-safety: every method but Run and Next may be called from any thread; those
// two belong to one.  A thread locks one shard at a time, and the connection of an
// alias only after it let go of the alias's shard.
type Tracker struct {
	shards [numShards]shard
	seed   uint64

	conns    atomic.Int64
	maxConns atomic.Uint32
	seqCheck atomic.Bool
	born     atomic.Uint64
	limits   limits
	frags    fragments
	expected expectations

	// policies is the timeouts of zones that have their own, an immutable map.
	policies atomic.Pointer[map[uint16]*timeouts]

	nextSweep int64
	sweepAt   int
}

// New makes an empty tracker.
func New() *Tracker {
	t := &Tracker{seed: rand.Uint64() | 1}
	t.maxConns.Store(defaultMaxConns)
	t.seqCheck.Store(true)
	t.frags.init()
	return t
}

// verdict is what a protocol says of a packet of a connection.
type verdict uint8

const (
	verdictInvalid     verdict = iota
	verdictEstablished         // both ends have spoken
	verdictNew                 // belongs to it, but nothing came back yet
	verdictReopen              // opens the connection anew
)

// lookup is a packet on its way through the tracker.
type lookup struct {
	view
	k    key
	h    uint64
	arg  *odp.CTArg
	now  int64
	cold *packet.Cold
	pool *packet.Pool
}

// Execute sends the packets of b through the tracker as a ct() action says.
func (t *Tracker) Execute(c *packet.Cache, b *packet.Batch, arg *odp.CTArg, now int64) {
	if arg.NAT != nil && natOf(arg.NAT) != 0 && !arg.Commit {
		log.WarnRL(rlCommit, "NAT specified without commit.")
	}
	if b.N == 0 {
		return
	}
	recirc := c.Pool().Meta(b.Pkts[0]).RecircID
	var l lookup
	kept := 0
	for _, i := range b.Slice() {
		if t.one(c, i, arg, now, &l) {
			b.Pkts[kept] = i
			kept++
		}
	}
	b.N = kept
	if t.frags.held.Load() != 0 {
		t.frags.release(c, b, arg.Zone, recirc, now)
	}
}

// one sends one packet through the tracker, with l as memory; it returns false when
// it keeps the packet, a fragment.
func (t *Tracker) one(c *packet.Cache, i packet.Index, arg *odp.CTArg, now int64, l *lookup) bool {
	p := c.Pool()
	*l = lookup{k: key{zone: arg.Zone}, arg: arg, now: now, cold: p.Cold(i), pool: p}
	if parse(p, i, &l.view, &l.k) {
		l.h = l.k.hash(t.seed)
		t.track(l)
		return true
	}
	if t.hold(c, l) {
		return false
	}
	l.m.CTState = flow.CTInvalid
	l.write(nil, nil)
	return true
}

// natted reports that the packet was translated already.
func (l *lookup) natted() bool { return l.m.CTState&(flow.CTSrcNAT|flow.CTDstNAT) != 0 }

// track finds or makes the connection of one packet.
func (t *Tracker) track(l *lookup) {
	if l.m.CTState != 0 && l.m.CTZone != l.arg.Zone {
		l.m.CTState = 0
	}
	f, orphan := t.lookup(l)
	if f.s != nil && l.arg.Force && f.reply {
		t.forget(f)
		f = hit{}
	}
	switch {
	case orphan:
		l.m.CTState |= flow.CTInvalid
		l.write(nil, nil)
		return
	case f.s == nil && l.arg.NAT == nil:
		f = t.byOriginal(l)
	}
	if f.s != nil {
		if t.known(l, f) {
			return
		}
	} else if l.related {
		// An error belongs to a connection, or to none.
		l.m.CTState = flow.CTInvalid
		l.write(nil, &l.k)
		return
	}
	t.open(l)
}

// lookup finds the connection of a packet.  One that has been translated has the
// key that the other end would answer to.
func (t *Tracker) lookup(l *lookup) (f hit, orphan bool) {
	if !l.natted() {
		return t.find(&l.k, l.h, l.now)
	}
	rev := l.k.reversed()
	f, _ = t.find(&rev, l.h, l.now) // same hash
	if f.s == nil {
		cNattedMiss.Inc()
		return f, false
	}
	f.reply = !f.reply
	l.k = f.s.key
	if f.reply {
		l.k = f.s.rev
	}
	l.h = l.k.hash(t.seed)
	return f, false
}

// byOriginal finds the connection of a translated packet by the original tuple in
// its metadata.
func (t *Tracker) byOriginal(l *lookup) hit {
	if !l.natted() || l.m.Cold&packet.ColdCT == 0 {
		return hit{}
	}
	var o flow.CTOrig
	flow.LoadCT(l.cold, &o)
	k := key{l3: l.k.l3, zone: l.m.CTZone, proto: o.Proto}
	switch {
	case o.Proto == 0:
		return hit{}
	case l.k.l3 == flow.EthIPv4:
		k.src.addr, k.dst.addr = fromV4(o.NwSrc), fromV4(o.NwDst)
	default:
		k.src.addr, k.dst.addr = o.IPv6Src, o.IPv6Dst
	}
	if k.isICMP() {
		k.src.port, k.dst.port = l.k.src.port, l.k.dst.port
		k.src.icmpType = uint8(o.TpSrc)
		answer, ok := answerType(k.proto, k.src.icmpType)
		if !ok {
			return hit{}
		}
		k.dst.icmpType = answer
	} else {
		k.src.port, k.dst.port = o.TpSrc, o.TpDst
	}
	f, _ := t.find(&k, k.hash(t.seed), l.now)
	f.reply = false
	return f
}

func fromV4(a uint32) flow.IPv6 {
	return mapped([]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}

// forget removes a connection that was found.
func (t *Tracker) forget(f hit) {
	alias := t.remove(f.sh, f.i, f.s)
	f.sh.mu.Unlock()
	t.dropAlias(alias)
}

// known handles a packet of a connection, whose shard is locked, and unlocks it.
// It returns false when the packet opens a connection of its own.
func (t *Tracker) known(l *lookup, f hit) bool {
	m := l.m
	if l.related {
		m.CTState |= flow.CTRelated
		if f.reply {
			m.CTState |= flow.CTReplyDir
		}
	} else {
		if f.s.related {
			m.CTState |= flow.CTRelated
		}
		// The tracker sees both directions as the end sees them whose messages a
		// helper has rewritten.
		control := f.s.skew != 0 && l.isFTP() && !l.announces()
		if control && f.reply != f.s.skewDir {
			l.adjust(f.s, f.reply)
		}
		v := t.follow(l, f)
		if control && f.reply == f.s.skewDir && v != verdictReopen {
			l.adjust(f.s, f.reply)
		}
		switch v {
		case verdictEstablished:
			m.CTState = m.CTState&^flow.CTNew | flow.CTEstablished
			if f.reply {
				m.CTState |= flow.CTReplyDir
			}
		case verdictNew:
			m.CTState |= flow.CTNew
		case verdictReopen:
			t.forget(f)
			return false
		case verdictInvalid:
			m.CTState = flow.CTInvalid
		}
	}
	if l.arg.NAT != nil && f.s.nat != 0 && (!l.natted() || m.CTZone != l.arg.Zone) {
		m.CTState &^= flow.CTSrcNAT | flow.CTDstNAT
		l.translate(f.s, f.reply)
	}
	l.write(f.s, nil)
	if f.s.helper != helperNone && !l.related {
		t.announced(l, f.s, f.reply)
	}
	f.sh.mu.Unlock()
	return true
}

// open handles a packet that has no connection: with commit it makes one.
func (t *Tracker) open(l *lookup) {
	if !l.opens() {
		l.m.CTState = flow.CTInvalid
		l.write(nil, &l.k)
		return
	}
	l.m.CTState = flow.CTNew
	e := t.expected.find(l.k)
	if e != nil {
		l.m.CTState |= flow.CTRelated
	}
	if l.arg.Commit && t.admit(l, e) {
		return
	}
	l.write(nil, &l.k)
	if e != nil {
		l.writeExpected(e)
	}
}

// admit makes a connection unless there are too many.
func (t *Tracker) admit(l *lookup, e *expectation) bool {
	limit, limitID, ok := t.limits.admit(l.k.zone)
	if !ok {
		return false
	}
	if t.conns.Add(1) > int64(t.maxConns.Load()) {
		cFull.Inc()
	} else if t.create(l, e, limit, limitID) {
		return true
	}
	t.conns.Add(-1)
	t.limits.release(limit, limitID)
	return false
}

// writeExpected puts what the control connection of an expected one has into the
// packet's metadata.
func (l *lookup) writeExpected(e *expectation) {
	s := slot{related: true, parent: e.parent, mark: e.mark, label: e.label}
	l.write(&s, nil)
}

// create makes the connection that the packet opens.
func (t *Tracker) create(l *lookup, e *expectation, limit int32, limitID uint64) bool {
	sh, n := t.shardOf(l.h)
	nat := natOf(l.arg.NAT)
	rev, alias := l.k.reversed(), ref{}
	if e != nil && l.arg.NAT != nil {
		nat = natDst
		if e.dst {
			nat = natSrc
		}
	}
	if nat != 0 {
		t.evict(sh, l)
		var ok bool
		if e != nil {
			rev, alias, ok = t.follower(&l.k, e, l.now)
		} else {
			rev, alias, ok = t.choose(&l.k, l.arg.NAT, l.now)
		}
		if !ok {
			log.WarnRL(rlExhaust, "Unable to NAT due to tuple space exhaustion - "+
				"if DoS attack, use firewalling and/or zone partitioning.")
			return false
		}
	}
	sh.mu.Lock()
	if _, s := sh.search(&l.k, l.h, l.now); s != nil {
		sh.mu.Unlock() // another thread was faster
		t.dropAlias(alias)
		return false
	}
	i, s := sh.alloc()
	s.key, s.rev, s.hash, s.kind = l.k, rev, l.h, slotConn
	s.nat, s.ref, s.limit, s.limitID = nat, alias, limit, limitID
	s.born = t.born.Add(1)
	s.helper = helperOf(l)
	if e != nil {
		s.related, s.parent, s.mark, s.label = true, e.parent, e.mark, e.label
	}
	sh.link(i, s)
	ms, list := t.expiry(l.k.zone, t.begin(l, s))
	s.expires, s.list = l.now+ms, list
	sh.enqueue(i, s)
	self := ref{n, s.gen, i}
	if nat != 0 {
		l.translate(s, false)
	}
	l.write(s, nil)
	t.announced(l, s, false)
	sh.mu.Unlock()
	if alias.slot != 0 {
		t.bind(alias, self)
	}
	return true
}

// evict removes a connection with the packet's key that has expired, so that its
// translation can be had again.
func (t *Tracker) evict(sh *shard, l *lookup) {
	sh.mu.Lock()
	i, s := sh.search(&l.k, l.h, -1<<63)
	if s == nil || s.kind != slotConn || s.key != l.k || l.now < s.expires {
		sh.mu.Unlock()
		return
	}
	t.forget(hit{sh: sh, i: i, s: s})
}

// write puts what is known into the packet's metadata: of the connection s (whose
// shard is locked; mark and label of the action are set first), or of the key
// alone.
func (l *lookup) write(s *slot, k *key) {
	m := l.m
	m.CTState |= flow.CTTracked
	m.CTZone, m.CTMark = l.arg.Zone, 0
	var label flow.U128
	if s != nil {
		l.set(s)
		m.CTMark, label = s.mark, s.label
		k = &s.key
		if s.related {
			k = &s.parent
		}
	}
	var o flow.CTOrig
	if k != nil {
		o.Proto = k.proto
		if k.l3 == flow.EthIPv4 {
			o.NwSrc, o.NwDst = v4(&k.src.addr), v4(&k.dst.addr)
		} else {
			o.IPv6Src, o.IPv6Dst = k.src.addr, k.dst.addr
		}
		o.TpSrc, o.TpDst = k.src.port, k.dst.port
		if k.isICMP() {
			o.TpSrc, o.TpDst = uint16(k.src.icmpType), uint16(k.src.icmpCode)
		}
	}
	flow.StoreCT(l.cold, label, &o)
	m.Cold |= packet.ColdCT
}

// set gives the connection the mark and label of the action.  A connection opened
// on behalf of another keeps that one's.
func (l *lookup) set(s *slot) {
	if s.related {
		return
	}
	if l.arg.HasMark {
		s.mark = l.arg.Mark | s.mark&^l.arg.MarkMask
	}
	if l.arg.HasLabel {
		s.label.Hi = l.arg.Label.Hi | s.label.Hi&^l.arg.LabelMask.Hi
		s.label.Lo = l.arg.Label.Lo | s.label.Lo&^l.arg.LabelMask.Lo
	}
}
