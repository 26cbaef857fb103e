package conntrack

import (
	"encoding/binary"
	"math/bits"

	"sluice/dpif"
	"sluice/dpif/flow"
)

// IP protocols that the tracker looks into.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// endpoint is one end of a connection as the packets name it.
type endpoint struct {
	addr flow.IPv6 // IPv4 mapped (::ffff:a.b.c.d)
	port uint16    // TCP, UDP: port; ICMP: identifier
	// Of ICMP requests: type and code; the other end has the type of the answer.
	icmpType, icmpCode uint8
}

// key is what all packets of one direction of a connection have in common.
type key struct {
	src, dst endpoint
	l3       uint16 // Ethernet type
	zone     uint16
	proto    uint8
}

// reversed is the key of the other direction, without NAT.
func (k key) reversed() key {
	k.src, k.dst = k.dst, k.src
	return k
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func (e *endpoint) hash(seed uint64) uint64 {
	h := mix(binary.LittleEndian.Uint64(e.addr[:8])^seed, binary.LittleEndian.Uint64(e.addr[8:])^0x9e3779b97f4a7c15)
	return mix(h^uint64(e.port)^uint64(e.icmpType)<<16^uint64(e.icmpCode)<<24, 0xd6e8feb86659fd93)
}

// hash is the same for both directions of a connection without NAT.
func (k *key) hash(seed uint64) uint64 {
	tail := uint64(k.l3) | uint64(k.zone)<<16 | uint64(k.proto)<<32
	return mix((k.src.hash(seed)+k.dst.hash(seed))^tail, seed|0xa0761d6478bd642f)
}

// isICMP reports that ports of k are ICMP identifiers.
func (k *key) isICMP() bool { return k.proto == protoICMP || k.proto == protoICMPv6 }

// hasPorts reports that k is of a protocol whose ports NAT may change.
func (k *key) hasPorts() bool { return k.proto == protoTCP || k.proto == protoUDP }

// setAddrs sets the addresses of k from those of an IP header.
func (k *key) setAddrs(src, dst []byte) {
	if len(src) == 4 {
		k.src.addr, k.dst.addr = mapped(src), mapped(dst)
		return
	}
	k.src.addr, k.dst.addr = flow.IPv6(src), flow.IPv6(dst)
}

func mapped(b []byte) flow.IPv6 {
	return flow.IPv6{10: 0xff, 11: 0xff, 12: b[0], 13: b[1], 14: b[2], 15: b[3]}
}

// v4 is an address of k as a number.
func v4(a *flow.IPv6) uint32 { return binary.BigEndian.Uint32(a[12:]) }

// tuple is k in the words of the contract.
func (k *key) tuple() dpif.CTTuple {
	t := dpif.CTTuple{Src: k.src.addr, Dst: k.dst.addr, SrcPort: k.src.port, DstPort: k.dst.port}
	if k.isICMP() {
		t.DstPort = uint16(k.src.icmpType)<<8 | uint16(k.src.icmpCode)
	}
	return t
}

// ICMP message types (RFC 792, RFC 4443).
const (
	icmpEchoReply       = 0
	icmpUnreachable     = 3
	icmpSourceQuench    = 4
	icmpRedirect        = 5
	icmpEcho            = 8
	icmpTimeExceeded    = 11
	icmpParamProblem    = 12
	icmpTimestamp       = 13
	icmpTimestampReply  = 14
	icmpInfo            = 15
	icmpInfoReply       = 16
	icmp6Unreachable    = 1
	icmp6PacketTooBig   = 2
	icmp6TimeExceeded   = 3
	icmp6ParamProblem   = 4
	icmp6Echo           = 128
	icmp6EchoReply      = 129
	icmpHeaderLen       = 8
	icmpErrorQuoteL4Len = 8 // what an ICMPv4 error quotes of the transport header, at least
)

// answerType is the type of the message that answers (or is answered by) an ICMP
// query of type t; ok is false for other messages.
func answerType(proto, t uint8) (answer uint8, ok bool) {
	if proto == protoICMPv6 {
		switch t {
		case icmp6Echo, icmp6EchoReply:
			return t ^ 1, true
		}
		return 0, false
	}
	switch t {
	case icmpEcho:
		return icmpEchoReply, true
	case icmpEchoReply:
		return icmpEcho, true
	case icmpTimestamp, icmpInfo:
		return t + 1, true
	case icmpTimestampReply, icmpInfoReply:
		return t - 1, true
	}
	return 0, false
}

// isICMPError reports that a message of type t quotes the packet it is about.
func isICMPError(proto, t uint8) bool {
	if proto == protoICMPv6 {
		return t >= icmp6Unreachable && t <= icmp6ParamProblem
	}
	switch t {
	case icmpUnreachable, icmpSourceQuench, icmpRedirect, icmpTimeExceeded, icmpParamProblem:
		return true
	}
	return false
}
