package conntrack

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
)

// Bits of slot.nat.
const (
	natSrc = 1 << 0
	natDst = 1 << 1
)

// natOf is the kind of translation that an action asks for.
func natOf(n *odp.NATArg) uint8 {
	switch {
	case n == nil:
		return 0
	case n.Src:
		return natSrc
	case n.Dst:
		return natDst
	}
	return 0
}

// natAttempts bounds the ports that are tried for one connection in a row.
const natAttempts = 128

// portRange is the ports that translation may choose from, and the first to try.
type portRange struct{ min, max, first uint16 }

// size is the number of ports in r.
func (r portRange) size() uint32 { return uint32(r.max) - uint32(r.min) + 1 }

// next is the port to try after p.
func (r portRange) next(p uint16) uint16 {
	if p < r.min || p >= r.max {
		return r.min
	}
	return p + 1
}

// sourcePorts is which source ports may be used: those of the action, or the class
// of privilege that the port is from.
func sourcePorts(n *odp.NATArg, port uint16, hash uint32) portRange {
	if n.Src && n.PortMin != 0 {
		return chosen(n, hash)
	}
	switch {
	case port < 512:
		return portRange{1, 511, port}
	case port < 1024:
		return portRange{600, 1023, port}
	}
	return portRange{1024, 65535, port}
}

// chosen is the range of ports of an action, begun at a place that depends on the
// connection.
func chosen(n *odp.NATArg, hash uint32) portRange {
	r := portRange{min: n.PortMin, max: max(n.PortMin, n.PortMax)}
	r.first = r.min + uint16(hash%r.size())
	return r
}

// translatedAddr is the address that an action gives to a connection.  Without one
// (or with all zeros) it keeps its own, so that only ports change.
func translatedAddr(k *key, n *odp.NATArg, hash uint32) flow.IPv6 {
	if n.IPMin == (flow.IPv6{}) {
		if n.Src {
			return k.src.addr
		}
		return k.dst.addr
	}
	top := n.IPMax
	if top == (flow.IPv6{}) {
		top = n.IPMin
	}
	if k.l3 == flow.EthIPv4 {
		lo, hi := binary.BigEndian.Uint32(n.IPMin[:]), binary.BigEndian.Uint32(top[:])
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], lo+pick(hash, uint64(hi-lo)))
		return mapped(b[:])
	}
	return addrInRange(&n.IPMin, &top, hash)
}

// pick maps a hash to 0…delta.
func pick(hash uint32, delta uint64) uint32 { return uint32(uint64(hash) % (delta + 1)) }

// addrInRange picks an IPv6 address; of ranges beyond 2^32 only the first 2^32 are
// used, as in stock.
func addrInRange(lo, hi *flow.IPv6, hash uint32) flow.IPv6 {
	loHi, loLo := binary.BigEndian.Uint64(lo[:]), binary.BigEndian.Uint64(lo[8:])
	hiHi, hiLo := binary.BigEndian.Uint64(hi[:]), binary.BigEndian.Uint64(hi[8:])
	delta, borrow := bits.Sub64(hiLo, loLo, 0)
	if top, _ := bits.Sub64(hiHi, loHi, borrow); top != 0 {
		delta = 0xfffffffe
	}
	sum, carry := bits.Add64(loLo, uint64(pick(hash, min(delta, 0xfffffffe))), 0)
	var a flow.IPv6
	binary.BigEndian.PutUint64(a[:], loHi+carry)
	binary.BigEndian.PutUint64(a[8:], sum)
	return a
}

// natHash spreads connections over the addresses and ports of an action; the same
// connection gets the same again.
func (t *Tracker) natHash(k *key, n *odp.NATArg) uint32 {
	h := k.src.hash(t.seed) ^ bits.RotateLeft64(k.dst.hash(t.seed), 17)
	h = mix(h^uint64(k.proto)^uint64(k.zone)<<8, uint64(n.PortMin)<<16^uint64(n.PortMax)^0x9e3779b97f4a7c15)
	return uint32(h ^ h>>32)
}

// choose finds the reply key of a new connection with NAT that no other connection
// has, and reserves it.  The alias is empty when replies need none, since NAT
// changed nothing.
func (t *Tracker) choose(k *key, n *odp.NATArg, now int64) (rev key, alias ref, ok bool) {
	hash := t.natHash(k, n)
	rev = k.reversed()
	addr := translatedAddr(k, n, hash)
	if n.Src {
		rev.dst.addr = addr
	} else {
		rev.src.addr = addr
	}
	if !k.hasPorts() {
		alias, ok = t.claim(k, &rev, now)
		return rev, alias, ok
	}
	sports := sourcePorts(n, k.src.port, hash)
	rev.dst.port = sports.first
	if n.Dst && n.PortMin != 0 {
		dports := chosen(n, hash)
		rev.src.port = dports.first
		if alias, ok = t.tryPorts(k, &rev, &rev.src.port, dports, now); ok {
			return rev, alias, true
		}
	}
	alias, ok = t.tryPorts(k, &rev, &rev.dst.port, sports, now)
	return rev, alias, ok
}

// follower finds the reply key of an expected connection, whose control connection
// decides its translation.
func (t *Tracker) follower(k *key, e *expectation, now int64) (rev key, alias ref, ok bool) {
	rev = k.reversed()
	if e.dst {
		rev.dst.addr = e.addr
	} else {
		rev.src.addr = e.addr
	}
	alias, ok = t.claim(k, &rev, now)
	return rev, alias, ok
}

// tryPorts tries the ports of r in *port, a part of rev.  In large ranges it jumps
// to another place when it met only taken ones for a while.
func (t *Tracker) tryPorts(k, rev *key, port *uint16, r portRange, now int64) (ref, bool) {
	n := r.size()
	tries := min(n, natAttempts)
	if p := r.first; p < r.min || p > r.max {
		tries = min(n+1, natAttempts)
	}
	p := r.first
	for {
		for range tries {
			*port = p
			if alias, ok := t.claim(k, rev, now); ok {
				return alias, true
			}
			p = r.next(p)
		}
		if tries >= n || tries < 16 {
			*port = r.first
			return ref{}, false
		}
		tries /= 2
		p = r.min + uint16(rand.Uint32N(n))
	}
}

// claim reserves rev.  When it is just the reverse of k the connection is found by
// it anyway.
func (t *Tracker) claim(k, rev *key, now int64) (ref, bool) {
	if *rev != k.reversed() {
		return t.reserve(rev, now)
	}
	h := rev.hash(t.seed)
	sh, _ := t.shardOf(h)
	sh.mu.Lock()
	_, s := sh.search(rev, h, now)
	sh.mu.Unlock()
	return ref{}, s == nil
}
