package ipfix

import (
	"encoding/binary"
)

// element is an information element of a template, with what writes its value.  The
// numbers are IANA's (iana.org/assignments/ipfix).
type element struct {
	id   uint16
	size uint16 // bytes, variable: its length stands in the record
	vm   bool   // of VMware's registry, which Open vSwitch uses
	// key writes the value of an element that is part of the flow's key, val that
	// of one that is not.
	key func(b []byte, s *Sample) []byte
	val func(b []byte, r *record) []byte
}

// variable is the length of an element whose values differ in length.
const variable = 0xffff

// vmware is the enterprise number of elements with vm set.
const vmware = 6876

// record is an entry on its way out.
type record struct {
	*entry
	sec    uint32 // export time
	reason uint8
	vobs   string
}

// Functions that make elements.

func key(id, size uint16, f func(s *Sample) uint64) element {
	return element{id: id, size: size, key: func(b []byte, s *Sample) []byte { return appendN(b, f(s), int(size)) }}
}

func val(id, size uint16, f func(r *record) uint64) element {
	return element{id: id, size: size, val: func(b []byte, r *record) []byte { return appendN(b, f(r), int(size)) }}
}

func raw(id, size uint16, f func(s *Sample) []byte) element {
	return element{id: id, size: size, key: func(b []byte, s *Sample) []byte { return append(b, f(s)...) }}
}

func text(id uint16, limit int, f func(s *Sample) string) element {
	return element{id: id, size: variable, key: func(b []byte, s *Sample) []byte {
		t := f(s)
		t = t[:min(len(t), limit)]
		return append(append(b, byte(len(t))), t...)
	}}
}

func (e element) ofVMware() element {
	e.vm = true
	return e
}

// appendN appends the low n bytes of v.
func appendN(b []byte, v uint64, n int) []byte {
	var w [8]byte
	binary.BigEndian.PutUint64(w[:], v)
	return append(b, w[8-n:]...)
}

// The longest names that records tell.
const (
	maxIfName  = 64
	maxIfDescr = 128
)

// The elements, in groups that stand together in templates.
var (
	elemsCommon = []element{
		key(138, 4, func(s *Sample) uint64 { return uint64(s.Point) }),    // observationPointId
		key(61, 1, func(s *Sample) uint64 { return uint64(s.Direction) }), // flowDirection
		raw(56, 6, func(s *Sample) []byte { return s.Key.DLSrc[:] }),      // sourceMacAddress
		raw(80, 6, func(s *Sample) []byte { return s.Key.DLDst[:] }),      // destinationMacAddress
		key(256, 2, func(s *Sample) uint64 { return uint64(s.Key.DLType) }),
		key(240, 1, func(s *Sample) uint64 { // ethernetHeaderLength
			if s.Key.VLANs[0].TCI != 0 {
				return ethHeader + vlanHeader
			}
			return ethHeader
		}),
	}
	elemsIn = []element{
		key(10, 4, func(s *Sample) uint64 { return uint64(s.In.Index) }), // ingressInterface
		key(368, 4, func(s *Sample) uint64 { return uint64(s.In.Type) }), // ingressInterfaceType
		text(82, maxIfName, func(s *Sample) string { return s.In.Name }),
		text(83, maxIfDescr, func(s *Sample) string { return s.In.Descr }),
	}
	elemsOut = []element{
		key(14, 4, func(s *Sample) uint64 { return uint64(s.Out.Index) }), // egressInterface
		key(369, 4, func(s *Sample) uint64 { return uint64(s.Out.Type) }), // egressInterfaceType
		text(82, maxIfName, func(s *Sample) string { return s.Out.Name }),
		text(83, maxIfDescr, func(s *Sample) string { return s.Out.Descr }),
	}
	elemsVLAN = []element{
		key(58, 2, vlanID),  // vlanId
		key(243, 2, vlanID), // dot1qVlanId
		key(244, 1, func(s *Sample) uint64 { return uint64(s.Key.VLANs[0].TCI >> 13) }), // dot1qPriority
	}
	elemsIP = []element{
		key(60, 1, func(s *Sample) uint64 { // ipVersion
			if l3Of(s) == l3IPv4 {
				return 4
			}
			return 6
		}),
		key(192, 1, func(s *Sample) uint64 { return uint64(s.Key.NwTTL) }),      // ipTTL
		key(4, 1, func(s *Sample) uint64 { return uint64(s.Key.NwProto) }),      // protocolIdentifier
		key(195, 1, func(s *Sample) uint64 { return uint64(s.Key.NwTOS >> 2) }), // ipDiffServCodePoint
		key(196, 1, func(s *Sample) uint64 { return uint64(s.Key.NwTOS >> 5) }), // ipPrecedence
		key(5, 1, func(s *Sample) uint64 { return uint64(s.Key.NwTOS) }),        // ipClassOfService
	}
	elemsIPv4 = []element{
		key(8, 4, func(s *Sample) uint64 { return uint64(s.Key.NwSrc) }),  // sourceIPv4Address
		key(12, 4, func(s *Sample) uint64 { return uint64(s.Key.NwDst) }), // destinationIPv4Address
	}
	elemsIPv6 = []element{
		raw(27, 16, func(s *Sample) []byte { return s.Key.IPv6Src[:] }),       // sourceIPv6Address
		raw(28, 16, func(s *Sample) []byte { return s.Key.IPv6Dst[:] }),       // destinationIPv6Address
		key(31, 4, func(s *Sample) uint64 { return uint64(s.Key.IPv6Label) }), // flowLabelIPv6
	}
	elemsPorts = []element{
		key(7, 2, func(s *Sample) uint64 { return uint64(s.Key.TpSrc) }),  // sourceTransportPort
		key(11, 2, func(s *Sample) uint64 { return uint64(s.Key.TpDst) }), // destinationTransportPort
	}
	elemsICMPv4 = []element{key(176, 1, icmpType), key(177, 1, icmpCode)}
	elemsICMPv6 = []element{key(178, 1, icmpType), key(179, 1, icmpCode)}
	elemsTunnel = []element{
		key(893, 4, func(s *Sample) uint64 { return uint64(s.Tunnel.Key.IPSrc) }).ofVMware(),    // tunnelSourceIPv4Address
		key(894, 4, func(s *Sample) uint64 { return uint64(s.Tunnel.Key.IPDst) }).ofVMware(),    // tunnelDestinationIPv4Address
		key(895, 1, func(s *Sample) uint64 { return uint64(s.Tunnel.Kind.proto()) }).ofVMware(), // tunnelProtocolIdentifier
		key(896, 2, func(s *Sample) uint64 { return uint64(s.Tunnel.Key.TpSrc) }).ofVMware(),    // tunnelSourceTransportPort
		key(897, 2, func(s *Sample) uint64 { return uint64(s.Tunnel.Key.TpDst) }).ofVMware(),    // tunnelDestinationTransportPort
		key(891, 1, func(s *Sample) uint64 { return uint64(s.Tunnel.Kind) }).ofVMware(),         // tunnelType
		{id: 892, size: variable, vm: true, key: func(b []byte, s *Sample) []byte { // tunnelKey
			n := s.Tunnel.Kind.keySize()
			return appendN(append(b, byte(n)), s.Tunnel.Key.ID, n)
		}},
	}
	elemsVirtualObs = []element{
		{id: 898, size: variable, vm: true, val: func(b []byte, r *record) []byte { // virtualObsID
			return append(append(b, byte(len(r.vobs))), r.vobs...)
		}},
	}
	elemsCounters = []element{
		val(158, 4, func(r *record) uint64 { return r.before(r.start) }), // flowStartDeltaMicroseconds
		val(159, 4, func(r *record) uint64 { return r.before(r.end) }),   // flowEndDeltaMicroseconds
		val(133, 8, func(r *record) uint64 { return r.dropped }),         // droppedPacketDeltaCount
		val(135, 8, func(r *record) uint64 { return r.totals.droppedPackets }),
		val(2, 8, func(r *record) uint64 { return r.packets }),          // packetDeltaCount
		val(86, 8, func(r *record) uint64 { return r.totals.packets }),  // packetTotalCount
		val(354, 8, func(r *record) uint64 { return r.totals.inUcast }), // ingress…PacketTotalCount
		val(355, 8, func(r *record) uint64 { return r.totals.inMcast }),
		val(356, 8, func(r *record) uint64 { return r.totals.inBcast }),
		val(357, 8, func(r *record) uint64 { return r.totals.outUcast }), // egress…PacketTotalCount
		val(358, 8, func(r *record) uint64 { return r.totals.outBcast }),
		val(19, 8, func(r *record) uint64 { return r.mcast }), // postMCastPacketDeltaCount
		val(174, 8, func(r *record) uint64 { return r.totals.outMcast }),
		val(352, 8, func(r *record) uint64 { return r.octets2 }), // layer2OctetDeltaCount
		val(353, 8, func(r *record) uint64 { return r.totals.octets2 }),
		val(136, 1, func(r *record) uint64 { return uint64(r.reason) }), // flowEndReason
	}
	elemsIPCounters = []element{
		val(132, 8, func(r *record) uint64 { return r.droppedO }), // droppedOctetDeltaCount
		val(134, 8, func(r *record) uint64 { return r.totals.droppedOctets }),
		val(1, 8, func(r *record) uint64 { return r.octets }), // octetDeltaCount
		val(85, 8, func(r *record) uint64 { return r.totals.octets }),
		val(198, 8, func(r *record) uint64 { return r.squares }), // octetDeltaSumOfSquares
		val(199, 8, func(r *record) uint64 { return r.totals.squares }),
		val(25, 8, func(r *record) uint64 { return uint64(r.min) }), // minimumIpTotalLength
		val(26, 8, func(r *record) uint64 { return uint64(r.max) }), // maximumIpTotalLength
		val(20, 8, func(r *record) uint64 { return r.mcastO }),      // postMCastOctetDeltaCount
		val(175, 8, func(r *record) uint64 { return r.totals.outMcastOctets }),
	}
	// In the order of tcpBits.
	elemsTCP = []element{tcpCounter(222, 0), tcpCounter(219, 1), tcpCounter(221, 2), tcpCounter(220, 3), tcpCounter(218, 4), tcpCounter(223, 5)}
)

func tcpCounter(id uint16, i int) element {
	return val(id, 8, func(r *record) uint64 { return r.totals.tcp[i] })
}

// before is the time from ms at to the export time, in microseconds.
func (r *record) before(at int64) uint64 { return uint64(int64(r.sec)*1000-at) * 1000 }

func vlanID(s *Sample) uint64   { return uint64(s.Key.VLANs[0].TCI & 0xfff) }
func icmpType(s *Sample) uint64 { return uint64(s.Key.TpSrc) }
func icmpCode(s *Sample) uint64 { return uint64(s.Key.TpDst) }
