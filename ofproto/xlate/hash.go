package xlate

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/action"
)

// hash2 is the hash of two numbers that stock uses to choose links and buckets;
// which link a flow takes is visible, so ours has to agree.
func hash2(x, y uint32) uint32 { return flow.Hash2Words(x, y) }

func hashFields(f *flow.Flow, fields action.HashFields, basis uint16) uint32 {
	return f.HashBy(flow.HashFields(fields), basis)
}

// maskHashFields adds to the mask what hashFields looks at.
func maskHashFields(f *flow.Flow, m *flow.Mask, fields action.HashFields) {
	addrs := func(src, dst bool) {
		switch f.DLType {
		case flow.EthIPv4:
			if src {
				m.NwSrc = ones32
			}
			if dst {
				m.NwDst = ones32
			}
		case flow.EthIPv6:
			if src {
				m.IPv6Src = onesIPv6
			}
			if dst {
				m.IPv6Dst = onesIPv6
			}
		}
	}
	switch fields {
	case action.HashEthSrc:
		m.DLSrc = onesMAC
	case action.HashSymmetricL4:
		m.DLSrc, m.DLDst = onesMAC, onesMAC
		addrs(true, true)
		if isIPAny(f) {
			m.NwProto = 0xff
			// The ports of UDP are not hashed: they differ by direction.
			if f.NwProto != protoUDP {
				maskPorts(f, m)
			}
		}
		for i := range m.VLANs {
			m.VLANs[i].TCI |= flow.VLANVIDMask | flow.VLANCFI
		}
	case action.HashSymmetricL3L4, action.HashSymmetricL3L4U:
		frag := f.NwFrag&(flow.NwFragAny|flow.NwFragLater) != 0
		if fields == action.HashSymmetricL3L4U && isIPAny(f) && f.NwProto == protoUDP && !frag {
			m.TpSrc, m.TpDst = ones16, ones16
		}
		addrs(true, true)
		if f.DLType != flow.EthIPv4 && f.DLType != flow.EthIPv6 {
			return
		}
		m.NwProto = 0xff
		if (f.NwProto == protoTCP || f.NwProto == protoSCTP) && !frag {
			m.TpSrc, m.TpDst = ones16, ones16
		}
	case action.HashNwSrc:
		addrs(true, false)
	case action.HashNwDst:
		addrs(false, true)
	case action.HashSymmetricL3:
		addrs(true, true)
	}
}

func maskPorts(f *flow.Flow, m *flow.Mask) {
	if f.NwProto != protoICMP {
		m.TpSrc, m.TpDst = ones16, ones16
	} else {
		m.TpSrc, m.TpDst = 0xff, 0xff
	}
}

// multipathLink chooses one of n ≥ 1 links by hash.
func multipathLink(hash uint32, alg action.MultipathAlg, n, arg uint32) uint32 {
	switch alg {
	case action.MultipathModuloN:
		return hash % n
	case action.MultipathHashThreshold:
		if n == 1 {
			return 0
		}
		return hash / (ones32/n + 1)
	case action.MultipathHRW:
		if n <= 64 {
			return highestRandomWeight(hash, n)
		}
		return iterHash(hash, n, 0)
	}
	return iterHash(hash, n, arg)
}

func highestRandomWeight(hash, n uint32) (best uint32) {
	weight := hash2(hash, 0)
	for link := uint32(1); link < n; link++ {
		if w := hash2(hash, link); w > weight {
			best, weight = link, w
		}
	}
	return best
}

// iterHash hashes until the result modulo a number of at least n is a link.  The
// modulus is below 2n, so that each try has at least an even chance.
func iterHash(hash, n, modulo uint32) uint32 {
	if modulo < n || modulo/2 > n {
		modulo = 1
		for modulo < n {
			modulo *= 2
		}
	}
	for i := uint32(0); ; i++ {
		if link := hash2(hash, i) % modulo; link < n {
			return link
		}
	}
}
