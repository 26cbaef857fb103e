// Package match is the OpenFlow match: which packets a flow entry applies to.
//
// Match is the working form, big and quick to change; Mini is the stored form.  Both
// come from and go to the wire (NXM, OXM, the fixed structs of OpenFlow 1.0 and 1.1)
// and text, byte for byte and character for character as stock Open vSwitch 3.1.
// Flow tables, the message codec, learning and tracing use it; classification itself
// is not here.
package match

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
)

// Match is a flow's fields under a mask.  Flow has zero bits wherever Mask has, and
// the zero Match matches everything.  In OpenFlow, Flow.InPort is an OpenFlow port.
//
// The packet type is not matched unless some field implies it: see NewCatchall.
type Match struct {
	Flow flow.Flow
	Mask flow.Mask
	// Tun says where the tun_metadata fields are; nil if none is matched and no
	// table was given.
	Tun *field.TunTable
}
