package mcast

import (
	"encoding/binary"

	"sluice/dpif/flow"
	"sluice/netdev/packet"
)

// Kind is what a message of IGMP or MLD does.
type Kind uint8

// The kinds.
const (
	Other   Kind = iota // nothing that snooping looks at
	Query               // a router asks who listens
	Join                // IGMPv1/v2 report
	Leave               // IGMPv2 leave
	Reports             // IGMPv3, MLD: any number of joins and leaves
)

// Types of IGMP messages (RFC 3376 section 4, RFC 2236) and of MLD (RFC 3810).
const (
	IGMPQuery    = 0x11
	IGMPReportV1 = 0x12
	IGMPReportV2 = 0x16
	IGMPLeave    = 0x17
	IGMPReportV3 = 0x22

	MLDQuery    = 130
	MLDReport   = 131
	MLDDone     = 132
	MLDReportV2 = 143
)

// Types of group records (RFC 3376 section 4.2.12, RFC 3810 section 5.2.12).
const (
	modeIsInclude   = 1
	changeToInclude = 3
	blockOldSources = 6
)

// IsIGMPMembership reports that an IGMP type is a report or a leave.
func IsIGMPMembership(typ uint16) bool {
	switch typ {
	case IGMPReportV1, IGMPReportV2, IGMPReportV3, IGMPLeave:
		return true
	}
	return false
}

// IsMLD reports that an ICMPv6 type is one of MLD's.
func IsMLD(typ uint16) bool {
	switch typ {
	case MLDQuery, MLDReport, MLDDone, MLDReportV2:
		return true
	}
	return false
}

// Message is an IGMP or MLD message.
type Message struct {
	Kind Kind
	// HasSource says that a query comes from a router: its source address is not
	// zero, as it is for switches that ask in place of one.
	HasSource bool
	Changes   []Change // of Join, Leave and Reports
}

// Change is a listener that joins a group or leaves it.
type Change struct {
	Group flow.IPv6 // IPv4 addresses are mapped
	Join  bool
}

// Parse reads the IGMP or MLD message of an IP packet without padding whose transport
// header is at l4; ok is false if its checksum is wrong or it is cut short.
func Parse(ip []byte, l4 int) (m Message, ok bool) {
	if len(ip) < 20 || l4 < 20 || len(ip) < l4+8 {
		return m, false
	}
	if ip[0]>>4 == 6 {
		return parseMLD(ip, l4)
	}
	return parseIGMP(ip, ip[l4:])
}

func parseIGMP(ip, b []byte) (m Message, ok bool) {
	if packet.Checksum(b) != 0 {
		return m, false
	}
	group := mapped(b[4:8])
	switch b[0] {
	case IGMPQuery:
		m.Kind, m.HasSource = Query, [4]byte(ip[12:16]) != [4]byte{}
	case IGMPReportV1, IGMPReportV2:
		m.Kind, m.Changes = Join, []Change{{group, true}}
	case IGMPLeave:
		m.Kind, m.Changes = Leave, []Change{{group, false}}
	case IGMPReportV3:
		m.Kind, m.Changes = Reports, records(b, 4)
	}
	return m, true
}

func parseMLD(ip []byte, l4 int) (m Message, ok bool) {
	if len(ip) < 40 || l4 < 40 {
		return m, false
	}
	b := ip[l4:]
	if packet.Sum(b, packet.PseudoSum(ip, packet.ProtoICMPv6, len(b))) != 0xffff {
		return m, false
	}
	switch b[0] {
	case MLDQuery:
		m.Kind, m.HasSource = Query, flow.IPv6(ip[8:24]) != flow.IPv6{}
	case MLDReport, MLDDone:
		if len(b) < 24 {
			return m, false
		}
		m.Kind, m.Changes = Reports, []Change{{flow.IPv6(b[8:24]), b[0] == MLDReport}}
	case MLDReportV2:
		m.Kind, m.Changes = Reports, records(b, 16)
	}
	return m, true
}

// records reads the group records of an IGMPv3 or MLDv2 report, whose addresses have
// size bytes, as far as they are whole.
func records(b []byte, size int) []Change {
	var out []Change
	n := int(binary.BigEndian.Uint16(b[6:]))
	for b = b[8:]; n > 0 && len(b) >= 4+size; n-- {
		typ, nSources := b[0], int(binary.BigEndian.Uint16(b[2:]))
		if typ >= modeIsInclude && typ <= blockOldSources {
			group := flow.IPv6{}
			if size == 4 {
				group = mapped(b[4:8])
			} else {
				copy(group[:], b[4:20])
			}
			// To include no sources is to leave.
			leave := nSources == 0 && (typ == modeIsInclude || typ == changeToInclude)
			out = append(out, Change{group, !leave})
		}
		length := 4 + size + nSources*size + int(b[1])*4
		if length > len(b) {
			break
		}
		b = b[length:]
	}
	return out
}

// Mapped returns an IPv4 address as an IPv6 address.
func Mapped(ip uint32) (a flow.IPv6) {
	a[10], a[11] = 0xff, 0xff
	binary.BigEndian.PutUint32(a[12:], ip)
	return a
}

func mapped(b []byte) flow.IPv6 { return Mapped(binary.BigEndian.Uint32(b)) }
