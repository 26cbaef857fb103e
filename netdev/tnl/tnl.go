// Package tnl puts tunnel headers in front of packets and takes them off: VXLAN
// with its GPE and group policy extensions, Geneve, GRE, ERSPAN and GTP-U, over
// IPv4 and IPv6.
//
// ofproto builds with it the header that a tnl_push() action carries; the userspace
// datapath pushes that header and pops what comes in.  The package chooses no route
// and knows no flows: what a header tells goes out as a Meta.
//
// # Checksums
//
// A pushed UDP checksum is left partial, so that the port which sends the packet may
// complete it in hardware.  A packet's own partial checksum is completed before the
// header hides it.
package tnl

import (
	"encoding/binary"

	"sluice/internal/vlog"
	"sluice/netdev/packet"
)

var (
	log = vlog.New("native_tnl")
	rl  = vlog.NewLimiter(60, 5)
)

var be = binary.BigEndian

// Kind is a format of tunnel headers.
type Kind uint8

// The formats.
const (
	None Kind = iota
	VXLAN
	Geneve
	GRE
	ERSPAN
	GTPU
)

// KindOf returns the format of a type of devices, None for one that this package
// does not know.
func KindOf(deviceType string) Kind {
	switch deviceType {
	case "vxlan":
		return VXLAN
	case "geneve":
		return Geneve
	case "gre", "ip6gre":
		return GRE
	case "erspan", "ip6erspan":
		return ERSPAN
	case "gtpu":
		return GTPU
	}
	return None
}

// Proto is the IP protocol that carries the format.
func (k Kind) Proto() uint8 {
	if k == GRE || k == ERSPAN {
		return protoGRE
	}
	return protoUDP
}

// Sizes in bytes, and numbers, of the headers around a tunnel's.
const (
	etherLen = 14
	ipv4Len  = 20
	ipv6Len  = 40
	udpLen   = 8

	etherIPv4  = 0x0800
	etherIPv6  = 0x86dd
	etherTEB   = packet.EtherTEB
	etherMin   = 0x0600 // smaller ones are no types
	protoUDP   = 17
	protoGRE   = 47
	ipv4DF     = 0x4000
	ipv4IsFrag = 0x3fff // more fragments, or an offset
)

// Packet types as packet.Meta has them (OpenFlow 1.5, 7.2.3.11).
const (
	typeEth = 0
	typeNS1 = 1 << 16 // plus an EtherType

	typeIPv4 = typeNS1 | etherIPv4
	typeIPv6 = typeNS1 | etherIPv6
	typeNSH  = typeNS1 | 0x894f
)

// The VXLAN header (RFC 7348; draft-ietf-nvo3-vxlan-gpe, draft-smith-vxlan-group-policy):
//
//	flags(8) reserved or group policy(24) | VNI(24) reserved(8)
const (
	vxlanLen = 8

	vxlanVNI     = 1 << 27 // I: the VNI is valid
	vxlanGPE     = 1 << 26 // P: the last byte of the flags is the next protocol
	vxlanOAM     = 1 << 24
	vxlanVersion = 3 << 28
	vxlanGBP     = 1 << 31 // G: a group policy follows
	vxlanGBPMask = vxlanGBP | 0xffffff

	npIPv4, npIPv6, npEth, npNSH = 1, 2, 3, 4
)

// The Geneve header (RFC 8926): version(2) options length(6) O C reserved(6)
// protocol(16) | VNI(24) reserved(8) | options.
const (
	geneveLen      = 8
	geneveOAM      = 0x80
	geneveCritical = 0x40
	optCritical    = 0x80 // in an option's type
)

// The GRE header (RFC 2784, 2890): flags(16) protocol(16), then, where flags say so,
// checksum(16) reserved(16), key(32), sequence number(32).
const (
	greLen  = packet.GRELen
	greCsum = packet.GRECsum
	greKey  = packet.GREKey
	greSeq  = packet.GRESeq
)

// The ERSPAN header follows GRE with a sequence number (draft-foschiano-erspan):
// version(4) VLAN(12) cos(3) bso(2) t(1) session(10), then for version 1 the
// index(32), for version 2 timestamp(32) sgt(16) p(1) ft(5) hwid(6) dir(1) gra(2) o(1).
const (
	erspanGRELen = greLen + 4
	erspanLen    = 4
	erspanV1Len  = 4
	erspanV2Len  = 8
	protoERSPAN1 = 0x88be
	protoERSPAN2 = 0x22eb
)

// The GTP-U header (3GPP TS 29.281, 5.1): flags(8) type(8) length(16) TEID(32), then
// 4 bytes if a flag says so.
const (
	gtpuLen     = 8
	gtpuOptLen  = 4
	gtpuFlags   = 0x30 // version 1, protocol type GTP
	gtpuOptMask = 0x07 // E, S, PN
	gtpuExt     = 0x04
	gtpuSeq     = 0x02
	gtpuGPDU    = 255 // the type that carries a user's packet
)

// Problem is why a packet cannot be pushed or popped.
type Problem uint8

// The problems.
const (
	OK Problem = iota
	NoIP
	BadVersion
	BadIPChecksum
	Truncated
	IPOptions
	Fragment
	WrongProtocol
	TooShort
	BadChecksum
	VXLANFlags
	VXLANNext
	GeneveVersion
	GeneveProtocol
	GREFlags
	GREProtocol
	ERSPANVersion
	GTPUPayload
	BadHeader
	NoRoom
	TooLong
	GSO
)

var problems = [...]string{
	OK:             "ok",
	NoIP:           "tunnel packet has no ip header",
	BadVersion:     "ip packet has invalid version",
	BadIPChecksum:  "ip packet has invalid checksum",
	Truncated:      "ip packet is truncated",
	IPOptions:      "ip options not supported on tunnel packets",
	Fragment:       "ip fragments not supported on tunnel packets",
	WrongProtocol:  "tunnel packet has another ip protocol",
	TooShort:       "tunnel packet too small",
	BadChecksum:    "tunnel packet has invalid checksum",
	VXLANFlags:     "invalid vxlan flags or vni",
	VXLANNext:      "unknown vxlan next protocol",
	GeneveVersion:  "unknown geneve version",
	GeneveProtocol: "unknown geneve encapsulated protocol",
	GREFlags:       "unsupported gre flags",
	GREProtocol:    "unknown gre protocol",
	ERSPANVersion:  "ERSPAN version invalid",
	GTPUPayload:    "GTP-U: receive non-IP packet",
	BadHeader:      "malformed tunnel header in action",
	NoRoom:         "no room for a tunnel header",
	TooLong:        "packet too long for a tunnel",
	GSO:            "packet for a tunnel cannot be segmented",
}

// String is a sentence for the log.
func (p Problem) String() string { return problems[p] }
