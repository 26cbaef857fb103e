package ofp

import (
	"fmt"
	"math/bits"
	"strings"

	"sluice/ofproto/ofp/ofver"
)

// Version is the version byte of an OpenFlow header.
type Version = ofver.Version

// The versions that the switch speaks.
const (
	OF10 = ofver.OF10
	OF11 = ofver.OF11
	OF12 = ofver.OF12
	OF13 = ofver.OF13
	OF14 = ofver.OF14
	OF15 = ofver.OF15
)

// Protocol is a version together with the flow format that a connection has
// agreed on; several can be in a set.  Only OpenFlow 1.0 has a choice.
type Protocol = ofver.Protocols

// VersionBitmap is a set of versions, bit N standing for wire version N.
type VersionBitmap uint32

// AllVersions is what the switch speaks, and enables by default.
const AllVersions VersionBitmap = 1<<OF10 | 1<<OF11 | 1<<OF12 | 1<<OF13 | 1<<OF14 | 1<<OF15

// Has reports whether v is in the set.
func (b VersionBitmap) Has(v Version) bool { return v < 32 && b&(1<<v) != 0 }

// Highest is the highest version in the set, 0 if the set is empty.
func (b VersionBitmap) Highest() Version {
	if b == 0 {
		return 0
	}
	return Version(bits.Len32(uint32(b)) - 1)
}

// String lists the wire versions, such as "0x01, 0x04".
func (b VersionBitmap) String() string {
	return b.join(func(v Version) string { return fmt.Sprintf("0x%02x", uint8(v)) })
}

// Names lists the version names, such as "OpenFlow10, OpenFlow13".
func (b VersionBitmap) Names() string {
	return b.join(func(v Version) string {
		if !v.Valid() {
			return "Unknown OpenFlow version " + fmt.Sprintf("0x%02x", uint8(v))
		}
		return v.String()
	})
}

func (b VersionBitmap) join(name func(Version) string) string {
	var s strings.Builder
	for v := Version(0); v < 32; v++ {
		if b.Has(v) {
			if s.Len() > 0 {
				s.WriteString(", ")
			}
			s.WriteString(name(v))
		}
	}
	return s.String()
}

// ParseVersion understands names such as "OpenFlow13", in any case.
func ParseVersion(s string) (Version, bool) {
	for v := OF10; v <= OF15; v++ {
		if strings.EqualFold(s, v.String()) {
			return v, true
		}
	}
	return 0, false
}

// DefaultProtocol is the protocol of a new connection of version v.
func DefaultProtocol(v Version) Protocol {
	if v <= OF10 {
		return ofver.OF10Std
	}
	return ofver.OF11Std << (v - OF11)
}

// ProtocolVersion is the version of a single protocol.
func ProtocolVersion(p Protocol) Version {
	if p&ofver.OF10Any != 0 || p == 0 {
		return OF10
	}
	return OF11 + Version(bits.TrailingZeros16(uint16(p/ofver.OF11Std)))
}

// HasTableID reports whether a flow_mod of p names a table.
func HasTableID(p Protocol) bool { return p&ofver.TID != 0 }

// WithTableID is p with the table id extension on or off; versions after 1.0
// always have it.
func WithTableID(p Protocol, on bool) Protocol {
	switch p {
	case ofver.OF10Std, ofver.OF10StdTID:
		if on {
			return ofver.OF10StdTID
		}
		return ofver.OF10Std
	case ofver.OF10NXM, ofver.OF10NXMTID:
		if on {
			return ofver.OF10NXMTID
		}
		return ofver.OF10NXM
	}
	return p
}

// WithNXM is an OpenFlow 1.0 protocol p with the NXM or the standard flow format.
func WithNXM(p Protocol, on bool) Protocol {
	if p&ofver.OF10Any == 0 {
		return p
	}
	if on {
		return WithTableID(ofver.OF10NXM, HasTableID(p))
	}
	return WithTableID(ofver.OF10Std, HasTableID(p))
}

// protocolNames are the names of the single protocols, in bit order.
var protocolNames = [...]string{
	"OpenFlow10-table_id", "OpenFlow10+table_id", "NXM-table_id", "NXM+table_id", "OpenFlow11",
	"OXM-OpenFlow12", "OXM-OpenFlow13", "OXM-OpenFlow14", "OXM-OpenFlow15",
}

// ProtocolNames lists the protocols of a set, with names for the usual groups.
func ProtocolNames(p Protocol) string {
	groups := [...]struct {
		set  Protocol
		name string
	}{
		{ofver.Any, "any"}, {ofver.OF10StdAny, "OpenFlow10"}, {ofver.OF10NXMAny, "NXM"}, {ofver.AnyOXM, "OXM"},
	}
	if p == 0 {
		return "none"
	}
	var names []string
	for _, g := range groups {
		if p&g.set == g.set {
			names = append(names, g.name)
			p &^= g.set
		}
	}
	for i, name := range protocolNames {
		if p&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}
