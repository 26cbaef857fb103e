// Package oferr names the errors of OpenFlow 1.0 to 1.5 and of the Nicira and
// ONF extensions, and knows how each is numbered in each version.
//
// Every decoder of the switch returns a Code for input that it refuses; the
// message codec turns it into an OFPT_ERROR of the connection's version.  The
// package does not build messages.
//
// The constants carry the names that the specifications and the stock tools use,
// because tests, logs and `ovs-ofctl` show them.
package oferr

import "sluice/ofproto/ofp/ofver"

// Code is one protocol error.  It is an error whose text is its name; use
// errors.As to get it out of a chain.  The zero Code is no error and is never
// returned as one.
type Code uint8

// Wire is a Code as one version numbers it.  With a Vendor, OpenFlow 1.0 and 1.1
// put Type and Code into a Nicira vendor error; later versions have Type only, in
// the place of the code of an experimenter error.
type Wire struct {
	Vendor     uint32 // 0: a standard error
	Type, Code uint16
}

// Values of ofp_error_msg.type that announce a vendor error.
const (
	TypeNiciraVendor = 0xb0c2 // OpenFlow 1.0 and 1.1, with CodeNiciraVendor
	CodeNiciraVendor = 0
	TypeExperimenter = 0xffff // OpenFlow 1.2 and later
)

type wire struct {
	from, to   ofver.Version
	vendor     uint32
	typ, value uint16
}

type row struct {
	name string
	wire []wire
}

// Valid says whether c is an error of the table.
func (c Code) Valid() bool { return c != none && c < nCodes }

// Error returns the error's name, such as OFPBRC_BAD_TYPE.
func (c Code) Error() string { return c.String() }

// String returns the error's name, or "<invalid>" as stock prints it.
func (c Code) String() string {
	if !c.Valid() {
		return "<invalid>"
	}
	return rows[c].name
}

// Wire returns how version v writes c; false if v has no way to say it (the codec
// then sends NXBRC_UNENCODABLE_ERROR).
func (c Code) Wire(v ofver.Version) (Wire, bool) {
	if !c.Valid() {
		return Wire{}, false
	}
	for _, w := range rows[c].wire {
		if v >= w.from && v <= w.to {
			return Wire{Vendor: w.vendor, Type: w.typ, Code: w.value}, true
		}
	}
	return Wire{}, false
}

// FromWire finds the error that version v writes as w.
func FromWire(v ofver.Version, w Wire) (Code, bool) {
	for c := none + 1; c < nCodes; c++ {
		if got, ok := c.Wire(v); ok && got == w {
			return c, true
		}
	}
	return none, false
}

// FromName finds an error by its name.
func FromName(name string) (Code, bool) {
	for c := none + 1; c < nCodes; c++ {
		if rows[c].name == name {
			return c, true
		}
	}
	return none, false
}
