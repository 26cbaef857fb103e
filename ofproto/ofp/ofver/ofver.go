// Package ofver names the versions of OpenFlow and the protocols: a protocol is a
// version together with the flow format spoken in it.
//
// The whole OpenFlow codec shares it; it does nothing else.
package ofver

import "strconv"

// Version is the version number in an OpenFlow header.
type Version uint8

// The versions that the switch speaks.
const (
	OF10 Version = 1
	OF11 Version = 2
	OF12 Version = 3
	OF13 Version = 4
	OF14 Version = 5
	OF15 Version = 6
)

// Valid says whether v is one of OF10 to OF15.
func (v Version) Valid() bool { return v >= OF10 && v <= OF15 }

// String returns "OpenFlow10" and the like, as the database and the tools write it.
func (v Version) String() string {
	if !v.Valid() {
		return "0x" + strconv.FormatUint(uint64(v), 16)
	}
	return "OpenFlow1" + string('0'+byte(v-OF10))
}

// Protocols is a set of protocols.
type Protocols uint16

// The single protocols.  "STD" is the flow format of the version's own
// specification, "NXM" the Nicira one, "OXM" its standardised form; "TID" means
// that flow_mods carry a table id (NXT_FLOW_MOD_TABLE_ID).
const (
	OF10Std Protocols = 1 << iota
	OF10StdTID
	OF10NXM
	OF10NXMTID
	OF11Std
	OF12OXM
	OF13OXM
	OF14OXM
	OF15OXM
)

// Common sets.
const (
	None       Protocols = 0
	OF10StdAny           = OF10Std | OF10StdTID
	OF10NXMAny           = OF10NXM | OF10NXMTID
	OF10Any              = OF10StdAny | OF10NXMAny
	AnyOXM               = OF12OXM | OF13OXM | OF14OXM | OF15OXM
	NXMOXMAny            = OF10NXMAny | AnyOXM
	NXMOF11Up            = OF10NXMAny | OF11Std | AnyOXM
	OF11Up               = OF11Std | AnyOXM
	OF12Up               = AnyOXM
	OF13Up               = OF13OXM | OF14OXM | OF15OXM
	OF14Up               = OF14OXM | OF15OXM
	OF15Up               = OF15OXM
	Any        Protocols = 1<<9 - 1
	TID                  = OF10StdTID | OF10NXMTID | OF11Std | AnyOXM
)
