package conntrack

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/flow"
)

var _ dpif.CTConfig = (*Tracker)(nil)

// each calls fn for all connections that have not expired, each under its shard's
// lock; fn returns true to have the connection removed.
func (t *Tracker) each(now int64, fn func(s *slot) (remove bool)) {
	for n := range t.shards {
		sh := &t.shards[n]
		var aliases []ref
		sh.mu.Lock()
		for c := range sh.lists {
			for i := sh.lists[c].head; i != 0; {
				s := sh.at(i)
				next := s.next
				if now < s.expires && fn(s) {
					aliases = append(aliases, t.remove(sh, i, s))
				}
				i = next
			}
		}
		sh.mu.Unlock()
		for _, r := range aliases {
			t.dropAlias(r)
		}
	}
}

// DumpConntrack lists the connections of a zone (nil: all),
// in the order in which they were made.
func (t *Tracker) DumpConntrack(zone *uint16, now int64) []dpif.CTEntry {
	type numbered struct {
		dpif.CTEntry
		born uint64
	}
	var all []numbered
	t.each(now, func(s *slot) bool {
		if zone == nil || *zone == s.key.zone {
			all = append(all, numbered{s.entry(now), s.born})
		}
		return false
	})
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(a.born, b.born) })
	list := make([]dpif.CTEntry, len(all))
	for i := range all {
		list[i] = all[i].CTEntry
	}
	return list
}

func (s *slot) entry(now int64) dpif.CTEntry {
	e := dpif.CTEntry{L3Type: s.key.l3, IPProto: s.key.proto, Zone: s.key.zone,
		Orig: s.key.tuple(), Reply: s.rev.tuple(),
		Mark: s.mark, Label: s.label, TimeoutSec: uint32(max(s.expires-now, 0) / 1000),
		TCP: s.tcpInfo(), Helper: s.helper.String()}
	if s.related {
		p := s.parent.tuple()
		e.Parent, e.ParentProto = &p, s.parent.proto
	}
	return e
}

// FlushConntrack deletes the connections of a zone (nil: all) that match (nil: all).
func (t *Tracker) FlushConntrack(zone *uint16, match *dpif.CTMatch, now int64) error {
	if match == nil || *match == (dpif.CTMatch{}) {
		t.each(-1<<63, func(s *slot) bool { return zone == nil || *zone == s.key.zone })
		return nil
	}
	if exact(match) {
		z := uint16(0)
		if zone != nil {
			z = *zone
		}
		return t.flushTuple(z, match, now)
	}
	t.each(now, func(s *slot) bool {
		return (zone == nil || *zone == s.key.zone) && matches(match, s)
	})
	return nil
}

// exact reports that a match names one connection by its original direction.
func exact(m *dpif.CTMatch) bool {
	o := &m.Orig
	if m.L3Type == 0 || o.Src == (flow.IPv6{}) || o.Dst == (flow.IPv6{}) || m.IPProto == 0 || !empty(&m.Reply, m.IPProto) {
		return false
	}
	return icmp(m.IPProto) || o.SrcPort != 0 && o.DstPort != 0
}

func icmp(proto uint8) bool { return proto == protoICMP || proto == protoICMPv6 }

func empty(t *dpif.CTTuple, proto uint8) bool {
	return t.Src == flow.IPv6{} && t.Dst == flow.IPv6{} && (icmp(proto) || t.SrcPort == 0 && t.DstPort == 0)
}

func (t *Tracker) flushTuple(zone uint16, m *dpif.CTMatch, now int64) error {
	k := key{l3: m.L3Type, zone: zone, proto: m.IPProto}
	k.src.addr, k.dst.addr = m.Orig.Src, m.Orig.Dst
	k.src.port, k.dst.port = m.Orig.SrcPort, m.Orig.DstPort
	if icmp(m.IPProto) {
		k.dst.port = k.src.port
		k.src.icmpType, k.src.icmpCode = uint8(m.Orig.DstPort>>8), uint8(m.Orig.DstPort)
		k.dst.icmpCode = k.src.icmpCode
		k.dst.icmpType, _ = answerType(k.proto, k.src.icmpType)
	}
	h := k.hash(t.seed)
	sh, _ := t.shardOf(h)
	sh.mu.Lock()
	i, s := sh.search(&k, h, now)
	if s == nil || s.kind != slotConn {
		sh.mu.Unlock()
		log.Warn("Must flush tuple using the original pre-NATed tuple")
		return unix.ENOENT
	}
	t.forget(hit{sh: sh, i: i, s: s})
	return nil
}

// matches reports that all that m has set is so in s.
func matches(m *dpif.CTMatch, s *slot) bool {
	if m.L3Type != 0 && m.L3Type != s.key.l3 || m.IPProto != 0 && m.IPProto != s.key.proto {
		return false
	}
	return half(&m.Orig, &s.key, m.IPProto) && half(&m.Reply, &s.rev, m.IPProto)
}

func half(m *dpif.CTTuple, k *key, proto uint8) bool {
	t := k.tuple()
	if m.Src != (flow.IPv6{}) && m.Src != t.Src || m.Dst != (flow.IPv6{}) && m.Dst != t.Dst {
		return false
	}
	if icmp(proto) { // all of it counts, also zeros, as in stock
		return m.SrcPort == t.SrcPort && m.DstPort == t.DstPort
	}
	return (m.SrcPort == 0 || m.SrcPort == t.SrcPort) && (m.DstPort == 0 || m.DstPort == t.DstPort)
}

// SetMaxConns implements dpif.CTConfig.
func (t *Tracker) SetMaxConns(n uint32) error {
	t.maxConns.Store(n)
	return nil
}

// MaxConns implements dpif.CTConfig.
func (t *Tracker) MaxConns() (uint32, error) { return t.maxConns.Load(), nil }

// Conns implements dpif.CTConfig.
func (t *Tracker) Conns() (uint32, error) { return uint32(t.conns.Load()), nil }

// SetTCPSeqCheck implements dpif.CTConfig.
func (t *Tracker) SetTCPSeqCheck(on bool) error {
	t.seqCheck.Store(on)
	return nil
}

// TCPSeqCheck implements dpif.CTConfig.
func (t *Tracker) TCPSeqCheck() (bool, error) { return t.seqCheck.Load(), nil }
