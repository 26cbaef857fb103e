package ipfix

import (
	"sluice/dpif/flow"
)

// l3 and l4 are the protocols that have templates of their own.
type (
	l3 uint8
	l4 uint8
)

const (
	l3None l3 = iota
	l3IPv4
	l3IPv6
	nL3
)

const (
	l4None l4 = iota
	l4TCP
	l4UDP
	l4SCTP
	l4ICMP
	nL4
)

// TunnelKind is a type of tunnel, with its value in tunnelType.
type TunnelKind uint8

// The types of tunnels.
const (
	TunnelNone   TunnelKind = 0
	TunnelVXLAN  TunnelKind = 1
	TunnelGRE    TunnelKind = 2
	TunnelLISP   TunnelKind = 3
	TunnelSTT    TunnelKind = 4
	TunnelGeneve TunnelKind = 7
)

// TunnelKindOf returns the type of tunnel of a port of a type.
func TunnelKindOf(portType string) TunnelKind {
	switch portType {
	case "vxlan":
		return TunnelVXLAN
	case "gre":
		return TunnelGRE
	case "lisp":
		return TunnelLISP
	case "stt":
		return TunnelSTT
	case "geneve":
		return TunnelGeneve
	}
	return TunnelNone
}

// proto is the IP protocol that carries the tunnel.
func (k TunnelKind) proto() uint8 {
	switch k {
	case TunnelGRE:
		return 47
	case TunnelSTT:
		return protoTCP
	case TunnelNone:
		return 0
	}
	return protoUDP
}

// keySize is the length of the tunnel's key in bytes.
func (k TunnelKind) keySize() int {
	switch k {
	case TunnelGRE:
		return 4
	case TunnelSTT:
		return 8
	case TunnelNone:
		return 0
	}
	return 3
}

const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132
)

func kindOf(s *Sample) kind {
	k := kind{vlan: s.Key.VLANs[0].TCI != 0, l3: l3Of(s), tunnel: s.Tunnel != nil, dir: s.Direction}
	if k.l3 != l3None {
		k.l4 = l4Of(k.l3, s.Key.NwProto)
	}
	return k
}

func l3Of(s *Sample) l3 {
	switch s.Key.DLType {
	case flow.EthIPv4:
		return l3IPv4
	case flow.EthIPv6:
		return l3IPv6
	}
	return l3None
}

func l4Of(n l3, proto uint8) l4 {
	switch {
	case proto == protoTCP:
		return l4TCP
	case proto == protoUDP:
		return l4UDP
	case proto == protoSCTP:
		return l4SCTP
	case proto == protoICMP && n == l3IPv4, proto == protoICMPv6 && n == l3IPv6:
		return l4ICMP
	}
	return l4None
}

// minTemplate is the first template id (RFC 7011 section 3.4.1).
const minTemplate = 256

// b2i is a bool as a digit.
func b2i(b bool) uint16 {
	if b {
		return 1
	}
	return 0
}

// template is the id of the template for a kind of packet.
func (k kind) template() uint16 {
	id := b2i(k.vlan)
	id = id*uint16(nL3) + uint16(k.l3)
	id = id*uint16(nL4) + uint16(k.l4)
	id = id*2 + b2i(k.tunnel)
	return minTemplate + id*2 + uint16(k.dir)
}

// reliabilityTemplate is the id of the options template, beyond all that could be
// other templates' (the value is stock's).
const reliabilityTemplate = minTemplate + ((((2*3+3)*5+5)*2 + 2) * 2) + 2

// groups calls f with the groups of elements of a kind's records, keys first.
func (k kind) groups(vobs bool, f func([]element)) {
	f(elemsCommon)
	f(elemsIn)
	if k.dir == Egress {
		f(elemsOut)
	}
	if k.vlan {
		f(elemsVLAN)
	}
	if k.l3 != l3None {
		f(elemsIP)
	}
	k.transport(f)
	if k.tunnel {
		f(elemsTunnel)
	}
	if vobs {
		f(elemsVirtualObs)
	}
	f(elemsCounters)
	if k.l3 != l3None {
		f(elemsIPCounters)
	}
	if k.l4 == l4TCP {
		f(elemsTCP)
	}
}

// transport calls f with the elements for addresses and the transport protocol.
func (k kind) transport(f func([]element)) {
	icmp := elemsICMPv4
	switch k.l3 {
	case l3None:
		return
	case l3IPv4:
		f(elemsIPv4)
	case l3IPv6:
		f(elemsIPv6)
		icmp = elemsICMPv6
	}
	switch k.l4 {
	case l4TCP, l4UDP, l4SCTP:
		f(elemsPorts)
	case l4ICMP:
		f(icmp)
	}
}

// appendKey appends the part of a sample's record that is the flow's key.
func appendKey(b []byte, k kind, s *Sample) []byte {
	k.groups(false, func(g []element) {
		for i := range g {
			if g[i].key != nil {
				b = g[i].key(b, s)
			}
		}
	})
	return b
}

// kinds calls f with every kind of packet that has a template, by rising id.
func kinds(f func(kind)) {
	for vlan := range 2 {
		for n3 := range nL3 {
			for n4 := range nL4 {
				if n3 == l3None && n4 != l4None {
					continue
				}
				for rest := range 4 {
					f(kind{vlan: vlan == 1, l3: n3, l4: n4, tunnel: rest&2 != 0, dir: Direction(rest & 1)})
				}
			}
		}
	}
}
