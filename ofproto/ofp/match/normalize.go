package match

import (
	"sluice/dpif/flow"
	"sluice/internal/vlog"
)

// Normalize wildcards the fields that make no sense with the types that m matches:
// a TCP port without TCP, an address without IP.  It logs a change, which hints at a
// mistake of a controller.
func (m *Match) Normalize() { m.normalize(true) }

// NormalizeQuietly is Normalize without the log.
func (m *Match) NormalizeQuietly() { m.normalize(false) }

// allowed says which groups of fields a match may have.
type allowed struct {
	ethernet, addr, ports, proto, ip, sha, tha, ipv6, ndTarget, mpls bool
}

func (m *Match) allowed() (a allowed) {
	var dlType uint16
	switch {
	case m.Mask.PacketType == 0 || m.HasDefaultPacketType():
		a.ethernet = true
		dlType = m.Flow.DLType
	case m.Mask.PacketType == 0xffffffff && m.Flow.PacketType>>16 == 1:
		dlType = uint16(m.Flow.PacketType)
	}
	proto := m.Flow.NwProto
	l4 := proto == protoTCP || proto == protoUDP || proto == protoSCTP
	switch dlType {
	case flow.EthIPv4:
		a.proto, a.ip, a.addr = true, true, true
		a.ports = l4 || proto == protoICMP
	case flow.EthIPv6:
		a.proto, a.ip, a.ipv6 = true, true, true
		a.ports = l4 || proto == protoICMPv6
		if proto == protoICMPv6 {
			a.sha, a.tha = m.Flow.TpSrc == ndSolicit, m.Flow.TpSrc == ndAdvert
			a.ndTarget = a.sha || a.tha
		}
	case flow.EthARP, flow.EthRARP:
		a.proto, a.addr, a.sha, a.tha = true, true, true, true
	case flow.EthMPLS, flow.EthMPLSMc:
		a.mpls = true
	}
	return a
}

// clear takes from w what a does not allow.
func (a *allowed) clear(w *flow.Mask) {
	if !a.ethernet {
		w.DLSrc, w.DLDst = flow.MAC{}, flow.MAC{}
	}
	if !a.addr {
		w.NwSrc, w.NwDst = 0, 0
	}
	if !a.ports {
		w.TpSrc, w.TpDst = 0, 0
	}
	if !a.proto {
		w.NwProto = 0
	}
	if !a.ip {
		w.NwTOS, w.NwTTL = 0, 0
	}
	if !a.sha {
		w.ARPSha = flow.MAC{}
	}
	if !a.tha {
		w.ARPTha = flow.MAC{}
	}
	if !a.ipv6 {
		w.IPv6Src, w.IPv6Dst, w.IPv6Label = flow.IPv6{}, flow.IPv6{}, 0
	}
	if !a.ndTarget {
		w.NDTarget = flow.IPv6{}
	}
	if !a.mpls {
		w.MPLS = [4]uint32{}
	}
}

// excess says whether w has something that a does not allow.
func (a *allowed) excess(w *flow.Mask) bool {
	return !a.ethernet && (w.DLSrc != flow.MAC{} || w.DLDst != flow.MAC{}) ||
		!a.addr && w.NwSrc|w.NwDst != 0 ||
		!a.ports && w.TpSrc|w.TpDst != 0 ||
		!a.proto && w.NwProto != 0 ||
		!a.ip && w.NwTOS|w.NwTTL != 0 ||
		!a.sha && w.ARPSha != flow.MAC{} ||
		!a.tha && w.ARPTha != flow.MAC{} ||
		!a.ipv6 && (w.IPv6Src != flow.IPv6{} || w.IPv6Dst != flow.IPv6{} || w.IPv6Label != 0) ||
		!a.ndTarget && w.NDTarget != flow.IPv6{} ||
		!a.mpls && w.MPLS != [4]uint32{}
}

func (m *Match) normalize(mayLog bool) {
	a := m.allowed()
	if !a.excess(&m.Mask) {
		return
	}
	mayLog = mayLog && !log.ShouldDrop(vlog.Info, rl)
	var before string
	if mayLog {
		before = m.String()
	}
	a.clear(&m.Mask)
	m.ZeroWildcarded()
	if mayLog {
		log.Info("normalization changed ofp_match, details:")
		log.Info(" pre: %s", before)
		log.Info("post: %s", m.String())
	}
}
