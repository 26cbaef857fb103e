package classifier

import (
	"encoding/binary"
	"unsafe"

	"sluice/dpif/flow"
)

// Prefix is a field that a classifier can keep a prefix trie for.
type Prefix uint8

// The fields, under their OpenFlow names in PrefixByName.
const (
	PrefixNone Prefix = iota
	PrefixTunID
	PrefixTunSrc
	PrefixTunDst
	PrefixTunIPv6Src
	PrefixTunIPv6Dst
	PrefixCTNwSrc
	PrefixCTNwDst
	PrefixCTIPv6Src
	PrefixCTIPv6Dst
	PrefixNwSrc
	PrefixNwDst
	PrefixIPv6Src
	PrefixIPv6Dst
)

// MaxTries is the most prefix tries of a classifier.
const MaxTries = 3

// prefixField says where a Prefix lives in a Flow.
type prefixField struct {
	names []string
	word  int // index in flow.Words
	nBits int
	get   func(*flow.Flow) bits128
	or    func(*flow.Flow, bits128)
	ok    func(*flow.Flow) bool // the field's prerequisites; nil: none
}

func fieldOf32(word uintptr, p func(*flow.Flow) *uint32, ok func(*flow.Flow) bool, names ...string) prefixField {
	return prefixField{
		names: names, word: int(word / 8), nBits: 32, ok: ok,
		get: func(f *flow.Flow) bits128 { return bits128{hi: uint64(*p(f)) << 32} },
		or:  func(f *flow.Flow, b bits128) { *p(f) |= uint32(b.hi >> 32) },
	}
}

func fieldOf128(word uintptr, p func(*flow.Flow) *flow.IPv6, ok func(*flow.Flow) bool, names ...string) prefixField {
	get := func(f *flow.Flow) bits128 {
		a := p(f)
		return bits128{binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])}
	}
	return prefixField{
		names: names, word: int(word / 8), nBits: 128, ok: ok, get: get,
		or: func(f *flow.Flow, b bits128) {
			v := get(f).or(b)
			a := p(f)
			binary.BigEndian.PutUint64(a[:8], v.hi)
			binary.BigEndian.PutUint64(a[8:], v.lo)
		},
	}
}

func isIPv4(f *flow.Flow) bool { return f.DLType == flow.EthIPv4 }
func isIPv6(f *flow.Flow) bool { return f.DLType == flow.EthIPv6 }
func isCT(f *flow.Flow) bool   { return f.CTState != 0 }

var at flow.Flow // only its offsets are used

var prefixFields = [...]prefixField{
	PrefixTunID: {
		names: []string{"tun_id", "tunnel_id"}, word: int(unsafe.Offsetof(at.Tunnel)+unsafe.Offsetof(at.Tunnel.ID)) / 8, nBits: 64,
		get: func(f *flow.Flow) bits128 { return bits128{hi: f.Tunnel.ID} },
		or:  func(f *flow.Flow, b bits128) { f.Tunnel.ID |= b.hi },
	},
	PrefixTunSrc:     fieldOf32(unsafe.Offsetof(at.Tunnel)+unsafe.Offsetof(at.Tunnel.IPSrc), func(f *flow.Flow) *uint32 { return &f.Tunnel.IPSrc }, nil, "tun_src"),
	PrefixTunDst:     fieldOf32(unsafe.Offsetof(at.Tunnel)+unsafe.Offsetof(at.Tunnel.IPDst), func(f *flow.Flow) *uint32 { return &f.Tunnel.IPDst }, nil, "tun_dst"),
	PrefixTunIPv6Src: fieldOf128(unsafe.Offsetof(at.Tunnel)+unsafe.Offsetof(at.Tunnel.IPv6Src), func(f *flow.Flow) *flow.IPv6 { return &f.Tunnel.IPv6Src }, nil, "tun_ipv6_src"),
	PrefixTunIPv6Dst: fieldOf128(unsafe.Offsetof(at.Tunnel)+unsafe.Offsetof(at.Tunnel.IPv6Dst), func(f *flow.Flow) *flow.IPv6 { return &f.Tunnel.IPv6Dst }, nil, "tun_ipv6_dst"),
	PrefixCTNwSrc:    fieldOf32(unsafe.Offsetof(at.CTNwSrc), func(f *flow.Flow) *uint32 { return &f.CTNwSrc }, isCT, "ct_nw_src"),
	PrefixCTNwDst:    fieldOf32(unsafe.Offsetof(at.CTNwDst), func(f *flow.Flow) *uint32 { return &f.CTNwDst }, isCT, "ct_nw_dst"),
	PrefixCTIPv6Src:  fieldOf128(unsafe.Offsetof(at.CTIPv6Src), func(f *flow.Flow) *flow.IPv6 { return &f.CTIPv6Src }, isCT, "ct_ipv6_src"),
	PrefixCTIPv6Dst:  fieldOf128(unsafe.Offsetof(at.CTIPv6Dst), func(f *flow.Flow) *flow.IPv6 { return &f.CTIPv6Dst }, isCT, "ct_ipv6_dst"),
	PrefixNwSrc:      fieldOf32(unsafe.Offsetof(at.NwSrc), func(f *flow.Flow) *uint32 { return &f.NwSrc }, isIPv4, "ip_src", "nw_src"),
	PrefixNwDst:      fieldOf32(unsafe.Offsetof(at.NwDst), func(f *flow.Flow) *uint32 { return &f.NwDst }, isIPv4, "ip_dst", "nw_dst"),
	PrefixIPv6Src:    fieldOf128(unsafe.Offsetof(at.IPv6Src), func(f *flow.Flow) *flow.IPv6 { return &f.IPv6Src }, isIPv6, "ipv6_src"),
	PrefixIPv6Dst:    fieldOf128(unsafe.Offsetof(at.IPv6Dst), func(f *flow.Flow) *flow.IPv6 { return &f.IPv6Dst }, isIPv6, "ipv6_dst"),
}

// PrefixByName returns the trie field with an OpenFlow field name, PrefixNone when
// the field cannot have a trie.
func PrefixByName(name string) Prefix {
	for i := range prefixFields {
		for _, n := range prefixFields[i].names {
			if n == name {
				return Prefix(i)
			}
		}
	}
	return PrefixNone
}

// DefaultPrefixes are the fields that every flow table has tries for unless the
// database says otherwise.
var DefaultPrefixes = []Prefix{PrefixNwDst, PrefixNwSrc}

// trieIndex is one trie of a classifier.
type trieIndex struct {
	trie
	field *prefixField
}

// trieCtx remembers a trie's answer over one lookup.
type trieCtx struct {
	done  bool
	nBits int     // bits to un-wildcard when a subtable is skipped
	plens bits128 // prefix lengths that rules have for the packet
}

// skip reports whether the tries show that a subtable cannot match in its stages
// [from, to), and un-wildcards what that knowledge depends on.
func (s *subtable) skip(ctx *[MaxTries]trieCtx, tries []*trieIndex, from, to int, f *flow.Flow, wc *flow.Mask) bool {
	for j, t := range tries {
		plen := int(s.triePlen[j])
		if stage := int(stageOf[t.field.word]); plen == 0 || stage < from || stage >= to {
			continue
		}
		c := &ctx[j]
		if !c.done {
			c.done = true
			if t.field.ok == nil || t.field.ok(f) {
				c.nBits = t.trie.lookup(t.field.get(f), t.field.nBits, &c.plens)
			} else {
				c.plens = prefix128(128)
			}
		}
		if c.plens.bit(plen-1) != 0 {
			continue
		}
		need := prefix128(c.nBits)
		if c.nBits <= plen {
			t.field.or(wc.AsFlow(), need)
			return true
		}
		if t.field.get(wc.AsFlow()).and(need) == need {
			return true
		}
	}
	return false
}
