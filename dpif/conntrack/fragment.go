package conntrack

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/internal/coverage"
	"sluice/internal/vlog"
	"sluice/netdev/packet"
)

var (
	cFragCsum   = coverage.New("ipf_l3csum_err")
	cFragPurged = coverage.New("ipf_stuck_frag_list_purged")
	logFrag     = vlog.New("ipf")
	rlFrag      = vlog.NewLimiter(10, 10)
)

// Limits of fragment handling, as in stock.
const (
	fragLowest     = 400  // lowest minimum size of fragments
	fragMin4       = 1200 // default minimum size
	fragMin6       = 1280
	fragMax        = 1000 // fragments held by default
	fragMaxHighest = 5000
	fragTimeoutMs  = 15_000
	fragPurgeMs    = 10_000 // after the timeout
	fragListMax    = 256    // of one packet
	ipMaxSize      = 65535
)

// fragKey is what the fragments of one packet have in common.
type fragKey struct {
	src, dst flow.IPv6
	id       uint32
	recirc   uint32
	l3, zone uint16
	proto    uint8 // IPv4 only
}

// fragment is one fragment that waits for the others.
type fragment struct {
	i          packet.Index
	start, end int // part of the payload
	l4         int // where it begins in the frame
}

// States of a fragList, numbered as they are named.
const (
	fragFailed = iota
	fragOther
	fragFirst
	fragLast
	fragBoth
	fragComplete
)

var fragStates = [...]string{"reassemble fail", "other frag", "first frag", "last frag", "first/last frag", "complete"}

// fragList is the fragments of one packet.
type fragList struct {
	key     fragKey
	frags   []fragment // sorted by start
	expires int64
	state   uint8
	sent    int // of frags, that left
}

// Counters of fragments.
const (
	fragAccepted = iota
	fragCompleted
	fragExpired
	fragTooSmall
	fragOverlap
	fragPurged
	numFragCounters
)

// fragments holds fragments back until a packet is complete: conntrack looks at the
// whole, and then lets the fragments go on with what it found.
//
// Thread-safety: mu guards the lists and is taken before a shard's lock; the rest is
// atomic.
type fragments struct {
	off   [2]atomic.Bool // IPv4, IPv6
	min   [2]atomic.Uint32
	max   atomic.Uint32
	held  atomic.Int32
	count [2][numFragCounters]atomic.Uint64

	mu    sync.Mutex
	lists map[fragKey]*fragList
	order []*fragList // incomplete ones, oldest first
	ready []*fragList // complete ones that have fragments left to send
}

func (f *fragments) init() {
	f.min[0].Store(fragMin4)
	f.min[1].Store(fragMin6)
	f.max.Store(fragMax)
	f.lists = map[fragKey]*fragList{}
}

// family indexes what is kept by IP version.
func family(l3 uint16) int {
	if l3 == flow.EthIPv6 {
		return 1
	}
	return 0
}

// piece is a fragment as its headers describe it.
type piece struct {
	fragment
	key         fragKey
	first, last bool
	size        int // of the IP packet
}

// readFragment reads the headers of a packet that may be a fragment.
func readFragment(v *view, zone uint16) (p piece, ok bool) {
	m := v.m
	if m.L3 == packet.NoLayer || m.L4 == packet.NoLayer || int(m.L3) >= len(v.b) {
		return p, false
	}
	ip := v.b[m.L3:]
	p.key = fragKey{recirc: m.RecircID, zone: zone}
	p.i = v.i
	p.size = int(m.Len) - int(m.L3) - int(m.L2Pad)
	switch {
	case ip[0]>>4 == 4 && len(ip) >= 20:
		ok = p.readV4(ip, int(m.L3))
	case ip[0]>>4 == 6 && len(ip) >= 40:
		ok = p.readV6(ip, int(m.L3))
	}
	return p, ok && p.end > p.start && p.end <= ipMaxSize && p.l4 <= len(v.b) && p.l4+p.end-p.start <= int(m.Len)
}

func (p *piece) readV4(ip []byte, l3 int) bool {
	off := binary.BigEndian.Uint16(ip[6:])
	n := int(ip[0]&15) * 4
	if off&0x3fff == 0 || n < 20 || n > len(ip) || int(binary.BigEndian.Uint16(ip[2:])) != p.size {
		return false
	}
	if packet.Checksum(ip[:n]) != 0 {
		cFragCsum.Inc()
		return false
	}
	var k key
	k.setAddrs(ip[12:16], ip[16:20])
	p.key.src, p.key.dst, p.key.l3 = k.src.addr, k.dst.addr, flow.EthIPv4
	p.key.id, p.key.proto = uint32(binary.BigEndian.Uint16(ip[4:])), ip[9]
	p.l4, p.start = l3+n, int(off&0x1fff)*8
	p.end = p.start + p.size - n
	p.first, p.last = off&0x1fff == 0, off&0x2000 == 0
	return true
}

func (p *piece) readV6(ip []byte, l3 int) bool {
	at, ok := fragmentHeader(ip)
	if !ok || int(binary.BigEndian.Uint16(ip[4:]))+40 != p.size {
		return false
	}
	off := binary.BigEndian.Uint16(ip[at+2:])
	if off&0xfff9 == 0 {
		return false // atomic
	}
	p.key.src, p.key.dst, p.key.l3 = flow.IPv6(ip[8:24]), flow.IPv6(ip[24:40]), flow.EthIPv6
	p.key.id = binary.BigEndian.Uint32(ip[at+4:])
	p.l4, p.start = l3+at+8, int(off&0xfff8)
	p.end = p.start + p.size - at - 8
	p.first, p.last = off&0xfff8 == 0, off&1 == 0
	return true
}

// fragmentHeader finds the fragment header of an IPv6 packet.
func fragmentHeader(ip []byte) (at int, ok bool) {
	at = 40
	for next := ip[6]; at+8 <= len(ip); {
		switch next {
		case 44:
			return at, true
		case 0, 43, 60:
			next, at = ip[at], at+8+int(ip[at+1])*8
		case 51:
			next, at = ip[at], at+8+int(ip[at+1])*4
		default:
			return 0, false
		}
	}
	return 0, false
}

// hold keeps a packet if it is a fragment; when it completes a packet the whole
// goes through the tracker.  It reports whether the packet was kept.
func (t *Tracker) hold(c *packet.Cache, l *lookup) bool {
	p, ok := readFragment(&l.view, l.arg.Zone)
	if !ok {
		return false
	}
	f, v := &t.frags, family(p.key.l3)
	if f.off[v].Load() {
		return false
	}
	if !p.last && p.size < int(f.min[v].Load()) {
		f.count[v][fragTooSmall].Add(1)
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held.Load() >= int32(f.max.Load()) {
		return false
	}
	list := f.lists[p.key]
	if list == nil {
		list = &fragList{key: p.key, expires: l.now + fragTimeoutMs, state: fragOther}
		f.lists[p.key] = list
		f.order = append(f.order, list)
	}
	if list.state == fragFailed || list.state == fragComplete || len(list.frags) >= fragListMax {
		return false
	}
	if !list.insert(&p) {
		f.count[v][fragOverlap].Add(1)
		return false
	}
	f.held.Add(1)
	f.count[v][fragAccepted].Add(1)
	if list.whole() {
		t.complete(c, list, l)
	}
	return true
}

// insert puts a fragment in its place; it fails when the place is taken.
func (list *fragList) insert(p *piece) bool {
	at, _ := slices.BinarySearchFunc(list.frags, p.start, func(f fragment, start int) int { return cmp.Compare(f.start, start) })
	if at > 0 && list.frags[at-1].end > p.start || at < len(list.frags) && list.frags[at].start < p.end {
		return false
	}
	list.frags = slices.Insert(list.frags, at, p.fragment)
	switch {
	case p.first && list.state == fragLast, p.last && list.state == fragFirst:
		list.state = fragBoth
	case p.first && list.state != fragBoth:
		list.state = fragFirst
	case p.last && list.state != fragBoth:
		list.state = fragLast
	}
	return true
}

// whole reports that no fragment is missing.
func (list *fragList) whole() bool {
	if list.state != fragBoth || list.frags[0].start != 0 {
		return false
	}
	for i := 1; i < len(list.frags); i++ {
		if list.frags[i-1].end != list.frags[i].start {
			return false
		}
	}
	return true
}

// complete sends the packet that a list makes up through the tracker and gives the
// fragments what came out.
func (t *Tracker) complete(c *packet.Cache, list *fragList, l *lookup) {
	f := &t.frags
	i := list.assemble(c)
	if i == 0 {
		list.state = fragFailed
		return
	}
	list.state = fragComplete
	f.order = slices.DeleteFunc(f.order, func(o *fragList) bool { return o == list })
	f.ready = append(f.ready, list)
	t.one(c, i, l.arg, l.now, &lookup{})
	list.spread(c.Pool(), i)
	c.Free(i)
}

// assemble makes one packet of the fragments, a chain of frames behind a copy of
// the first.
func (list *fragList) assemble(c *packet.Cache) packet.Index {
	p := c.Pool()
	first := &list.frags[0]
	total := list.frags[len(list.frags)-1].end
	m0 := p.Meta(first.i)
	headers := first.l4 - int(m0.L3)
	if headers+total > ipMaxSize+40*family(list.key.l3) {
		logFrag.WarnRL(rlFrag, "Unsupported big reassembled packet of %d bytes", headers+total)
		return 0
	}
	i := c.Clone(first.i)
	if i == 0 {
		return 0
	}
	c.Trim(i, first.l4+first.end)
	m := p.Meta(i)
	m.L2Pad, m.Csum = 0, packet.CsumUnknown
	for n := range list.frags[1:] {
		if !list.frags[n+1].appendTo(c, i) {
			c.Free(i)
			return 0
		}
	}
	ip := p.Data(i)[m.L3:]
	if list.key.l3 == flow.EthIPv4 {
		n := int(ip[0]&15) * 4
		binary.BigEndian.PutUint16(ip[2:], uint16(headers+total))
		binary.BigEndian.PutUint16(ip[6:], binary.BigEndian.Uint16(ip[6:])&^0x2000)
		ip[10], ip[11] = 0, 0
		binary.BigEndian.PutUint16(ip[10:], packet.Checksum(ip[:n]))
		return i
	}
	at, _ := fragmentHeader(ip)
	binary.BigEndian.PutUint16(ip[2+at:], 0)
	binary.BigEndian.PutUint16(ip[4:], uint16(headers-40+total))
	return i
}

// appendTo adds the payload of f to packet i.
func (f *fragment) appendTo(c *packet.Cache, i packet.Index) bool {
	p := c.Pool()
	j := c.Clone(f.i)
	if j == 0 {
		return false
	}
	c.Trim(j, f.l4+f.end-f.start)
	if !p.PullHead(j, f.l4) {
		c.Free(j)
		return false
	}
	last := i
	for p.Meta(last).Next != 0 {
		last = p.Meta(last).Next
	}
	p.Meta(last).Next = j
	p.Meta(i).Len += p.Meta(j).Len
	return true
}

// spread gives all fragments the addresses, the transport header and the metadata
// of packet i.
func (list *fragList) spread(p *packet.Pool, i packet.Index) {
	m, b := p.Meta(i), p.Data(i)
	ip := b[m.L3:]
	for n := range list.frags {
		f := &list.frags[n]
		fm, fb := p.Meta(f.i), p.Data(f.i)
		if n == 0 {
			copy(fb[f.l4:min(len(fb), f.l4+f.end)], b[f.l4:])
		}
		fip := fb[fm.L3:]
		if list.key.l3 == flow.EthIPv4 {
			sum := binary.BigEndian.Uint16(fip[10:])
			for at := 12; at < 20; at += 4 {
				sum = packet.Recalc32(sum, binary.BigEndian.Uint32(fip[at:]), binary.BigEndian.Uint32(ip[at:]))
			}
			binary.BigEndian.PutUint16(fip[10:], sum)
			copy(fip[12:20], ip[12:20])
		} else {
			copy(fip[8:40], ip[8:40])
		}
		fm.CTState, fm.CTZone, fm.CTMark = m.CTState, m.CTZone, m.CTMark
		fm.Cold |= packet.ColdCT
		p.Cold(f.i).CT = p.Cold(i).CT
	}
}

// release adds fragments that may go on to the batch, as far as there is room:
// those of complete packets, and, as invalid, those whose packet took too long.
func (f *fragments) release(c *packet.Cache, b *packet.Batch, zone uint16, recirc uint32, now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	mine := func(list *fragList) bool { return list.key.zone == zone && list.key.recirc == recirc }
	f.ready = slices.DeleteFunc(f.ready, func(list *fragList) bool {
		return mine(list) && f.send(c.Pool(), b, list, fragCompleted)
	})
	for n, list := range f.order {
		if now <= list.expires {
			return
		}
		if mine(list) {
			if f.send(c.Pool(), b, list, fragExpired) {
				f.order = slices.Delete(f.order, n, n+1)
			}
			return // one a time
		}
	}
}

// send moves fragments of a list to the batch; done means all have left.
func (f *fragments) send(p *packet.Pool, b *packet.Batch, list *fragList, counter int) (done bool) {
	for ; list.sent < len(list.frags); list.sent++ {
		if b.Full() {
			return false
		}
		i := list.frags[list.sent].i
		if counter == fragExpired {
			p.Meta(i).CTState = flow.CTInvalid
		}
		b.Add(i)
		f.held.Add(-1)
		f.count[family(list.key.l3)][counter].Add(1)
	}
	delete(f.lists, list.key)
	return true
}

// purge frees fragments that nothing released for long.
func (f *fragments) purge(c *packet.Cache, now int64) {
	if f.held.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old := func(list *fragList) bool {
		if now < list.expires+fragPurgeMs {
			return false
		}
		for ; list.sent < len(list.frags); list.sent++ {
			c.Free(list.frags[list.sent].i)
			f.held.Add(-1)
			cFragPurged.Inc()
			f.count[family(list.key.l3)][fragPurged].Add(1)
		}
		delete(f.lists, list.key)
		return true
	}
	f.ready = slices.DeleteFunc(f.ready, old)
	f.order = slices.DeleteFunc(f.order, old)
}

// SetFragEnabled implements dpif.CTConfig.
func (t *Tracker) SetFragEnabled(v6, on bool) error {
	t.frags.off[index(v6)].Store(!on)
	return nil
}

func index(v6 bool) int {
	if v6 {
		return 1
	}
	return 0
}

// SetFragMin implements dpif.CTConfig.
func (t *Tracker) SetFragMin(v6 bool, size uint32) error {
	if size < fragLowest {
		return unix.EPERM
	}
	t.frags.min[index(v6)].Store(size)
	return nil
}

// SetFragMax implements dpif.CTConfig.
func (t *Tracker) SetFragMax(n uint32) error {
	if n > fragMaxHighest {
		return unix.EPERM
	}
	t.frags.max.Store(n)
	return nil
}

// FragStatus implements dpif.CTConfig.
func (t *Tracker) FragStatus() (s dpif.CTFragStatus, err error) {
	f := &t.frags
	s.Held, s.Max = uint32(f.held.Load()), f.max.Load()
	for i := range s.Family {
		n := &f.count[i]
		s.Family[i] = dpif.CTFragFamily{Enabled: !f.off[i].Load(), Min: f.min[i].Load(),
			Accepted: n[fragAccepted].Load(), Completed: n[fragCompleted].Load(), Expired: n[fragExpired].Load(),
			TooSmall: n[fragTooSmall].Load(), Overlapped: n[fragOverlap].Load(), Purged: n[fragPurged].Load()}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, list := range append(slices.Clone(f.ready), f.order...) {
		k := &list.key
		s.Lists = append(s.Lists, fmt.Sprintf("(src=%s,dst=%s,recirc_id=%d,ip_id=%d,dl_type=0x%x,zone=%d,nw_proto=%d,num_fragments=%d,state=%s)",
			netip.AddrFrom16(k.src).Unmap(), netip.AddrFrom16(k.dst).Unmap(), k.recirc, k.id, k.l3, k.zone, k.proto,
			len(list.frags), fragStates[list.state]))
	}
	return s, nil
}
