// Package lldp is the Link Layer Discovery Protocol (IEEE 802.1AB) with the Auto
// Attach extension (IEEE 802.1Q Annex on automatic attachment, Avaya's TLVs): an Agent
// tells the system at the other end of a port who we are and which I-SIDs (services of
// a provider backbone bridge) we want on which VLANs, and remembers what others tell.
//
// ofproto runs one Agent per port whose Interface has lldp:enable=true.  The package
// sends nothing and reads no clock: AppendFrame gives the frame to send when Next says
// so, Receive takes the frames that came in.
package lldp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
)

var (
	log    = vlog.New("lldp")
	rlLLDP = vlog.NewLimiter(1, 5)
)

// EtherType is that of LLDP frames.
const EtherType = 0x88cc

// DstMAC is where frames go: to the nearest bridge, which does not forward them.
var DstMAC = flow.MAC{0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e}

// Types of TLVs (IEEE 802.1AB clause 8.4).
const (
	tlvEnd = iota
	tlvChassisID
	tlvPortID
	tlvTTL
	tlvPortDesc
	tlvSystemName
	tlvSystemDesc
	tlvCapabilities
	tlvManagement
	tlvOrg = 127
)

// Subtypes of identifiers (clauses 8.5.2.2 and 8.5.3.2), and a capability (8.5.8.1).
const (
	chassisIDMAC   = 4
	portIDName     = 5
	maxIDSubtype   = 7
	capBridge      = 0x04
	maxText        = 255
	maxTLV         = 511
	maxManagement  = 32
	managementTail = 5 // interface subtype and number
)

// Auto Attach.
const (
	avaya          = "\x00\x04\x0d"
	aaElement      = 11
	aaAssignments  = 12
	digestSize     = 32 // HMAC-SHA256, zero: not authenticated
	elementSize    = 4 + digestSize + 14
	assignmentSize = 5
	// ElementVirtualSwitch is the Element.Type of a client that is a virtual switch.
	ElementVirtualSwitch = 14
)

// PDU is what a frame says.
type PDU struct {
	ChassisSubtype uint8
	ChassisID      []byte
	PortSubtype    uint8
	PortID         []byte
	TTL            uint16 // s
	PortDesc       string
	SystemName     string
	SystemDesc     string
	Capabilities   uint16
	Enabled        uint16   // capabilities that are in use
	Element        *Element // Auto Attach
	Mappings       []Mapping
	// Unrecognized counts TLVs that were passed over; only Decode sets it.
	Unrecognized int
}

// Element is the sender's part in Auto Attach.
type Element struct {
	Type       uint8 // 6 bits
	VLANTagged bool  // link VLAN tagging is required
	Provision  uint8 // automatic provisioning mode, 2 bits
	MgmtVLAN   uint16
	System     SystemID
}

// SystemID names a system in Auto Attach.
type SystemID struct {
	MAC      flow.MAC
	ConnType uint8  // 3 bits
	Rsvd     uint16 // 10 bits
	Rsvd2    [2]byte
}

// Mapping asks for an I-SID on a VLAN, or answers that.
type Mapping struct {
	ISID   uint32 // 24 bits
	VLAN   uint16
	Status Status // 4 bits
}

// Status is what an Auto Attach server says of a mapping.
type Status uint8

// StatusPending is the status of a mapping that no server has answered; it is never
// sent.
const StatusPending Status = 255

// String returns stock's text.
func (s Status) String() string {
	switch s {
	case 2:
		return "Active"
	case 3:
		return "Reject (Generic)"
	case 4:
		return "Reject (AA resources unavailable)"
	case 6:
		return "Reject (Invalid)"
	case 8:
		return "Reject (VLAN resources unavailable)"
	case 9:
		return "Reject (Application interaction issue)"
	case StatusPending:
		return "Pending"
	}
	return "Undefined"
}

// tlv appends a TLV whose value fill appends.
func tlv(b []byte, typ uint8, fill func(b []byte) []byte) []byte {
	at := len(b)
	b = fill(append(b, 0, 0))
	binary.BigEndian.PutUint16(b[at:], uint16(typ)<<9|uint16(min(len(b)-at-2, maxTLV)))
	return b
}

func textTLV(b []byte, typ uint8, s string) []byte {
	if s == "" {
		return b
	}
	return tlv(b, typ, func(b []byte) []byte { return append(b, s[:min(len(s), maxText)]...) })
}

// Append appends p as it is sent, behind the Ethernet header.
func (p *PDU) Append(b []byte) []byte {
	id := func(typ, subtype uint8, id []byte) {
		b = tlv(b, typ, func(b []byte) []byte { return append(append(b, subtype), id[:min(len(id), maxText)]...) })
	}
	id(tlvChassisID, p.ChassisSubtype, p.ChassisID)
	id(tlvPortID, p.PortSubtype, p.PortID)
	b = tlv(b, tlvTTL, func(b []byte) []byte { return binary.BigEndian.AppendUint16(b, p.TTL) })
	b = textTLV(b, tlvSystemName, p.SystemName)
	b = textTLV(b, tlvSystemDesc, p.SystemDesc)
	b = tlv(b, tlvCapabilities, func(b []byte) []byte {
		return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, p.Capabilities), p.Enabled)
	})
	b = textTLV(b, tlvPortDesc, p.PortDesc)
	if p.Element != nil {
		b = org(b, aaElement, p.Element.append)
	}
	b = p.appendMappings(b)
	return append(b, 0, 0)
}

// org appends a TLV of Avaya's with an empty digest.
func org(b []byte, subtype uint8, fill func(b []byte) []byte) []byte {
	return tlv(b, tlvOrg, func(b []byte) []byte {
		b = append(append(b, avaya...), subtype)
		return fill(append(b, make([]byte, digestSize)...))
	})
}

// append appends type (6 bits), state (6), management VLAN (12), 8 reserved bits, and the
// system id: MAC address, connection type (3 bits), device state (3), reserved (10 and 16).
func (e *Element) append(b []byte) []byte {
	w := uint32(e.Type&0x3f)<<26 | uint32(e.Provision&3)<<23 | uint32(e.MgmtVLAN&0xfff)<<8
	if e.VLANTagged {
		w |= 1 << 25
	}
	b = binary.BigEndian.AppendUint32(b, w)
	s := &e.System
	b = append(b, s.MAC[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(s.ConnType&7)<<13|s.Rsvd&0x3ff)
	return append(b, s.Rsvd2[:]...)
}

// appendMappings appends status (4 bits), VLAN (12) and I-SID (24) of each mapping, in
// as many TLVs as it takes.
func (p *PDU) appendMappings(b []byte) []byte {
	const most = (maxTLV - 4 - digestSize) / assignmentSize
	for maps := p.Mappings; len(maps) > 0; {
		part := maps[:min(len(maps), most)]
		maps = maps[len(part):]
		b = org(b, aaAssignments, func(b []byte) []byte {
			for _, m := range part {
				b = binary.BigEndian.AppendUint16(b, uint16(m.Status)<<12|m.VLAN&0xfff)
				b = append(b, byte(m.ISID>>16), byte(m.ISID>>8), byte(m.ISID))
			}
			return b
		})
	}
	return b
}

// Decode reads what a frame says from behind its Ethernet header.  The error's text
// is to be followed by " received on PORT".
func Decode(b []byte) (*PDU, error) {
	p := &PDU{}
	for n := 1; ; n++ {
		if len(b) < 2 {
			if len(b) == 0 {
				return nil, errors.New("some mandatory tlv are missing for frame")
			}
			return nil, errors.New("tlv header too short")
		}
		word := binary.BigEndian.Uint16(b)
		typ, size := uint8(word>>9), int(word&0x1ff)
		b = b[2:]
		if len(b) < size {
			return nil, errors.New("frame too short for tlv")
		}
		if err := checkOrder(typ, n); err != nil {
			return nil, err
		}
		if typ == tlvEnd {
			if size != 0 {
				return nil, errors.New("lldp end with size not null")
			}
			return p, nil
		}
		if err := p.decodeTLV(typ, b[:size]); err != nil {
			return nil, err
		}
		b = b[size:]
	}
}

// checkOrder checks that the three mandatory TLVs come first (clause 8.2).
func checkOrder(typ uint8, n int) error {
	mandatory := [...]string{tlvChassisID: "chassis ID", tlvPortID: "port ID", tlvTTL: "TTL"}
	switch {
	case n <= tlvTTL && int(typ) != n:
		return fmt.Errorf("TLV %d where a %s should be", typ, mandatory[n])
	case n > tlvTTL && typ >= tlvChassisID && typ <= tlvTTL:
		return fmt.Errorf("second %s TLV", mandatory[typ])
	}
	return nil
}

func tooShort(name string) error { return errors.New(name + " TLV too short") }

func (p *PDU) decodeTLV(typ uint8, v []byte) error {
	switch typ {
	case tlvChassisID, tlvPortID:
		switch {
		case len(v) < 2:
			return tooShort("Port/Chassis Id")
		case len(v) > 1+maxText:
			return errors.New("Port/Chassis Id TLV too large")
		case v[0] == 0 || v[0] > maxIDSubtype:
			return errors.New("unknown subtype for tlv id")
		}
		if typ == tlvChassisID {
			p.ChassisSubtype, p.ChassisID = v[0], v[1:]
		} else {
			p.PortSubtype, p.PortID = v[0], v[1:]
		}
	case tlvTTL:
		if len(v) < 2 {
			return tooShort("TTL")
		}
		p.TTL = binary.BigEndian.Uint16(v)
	case tlvPortDesc:
		p.PortDesc = string(v)
	case tlvSystemName:
		p.SystemName = string(v)
	case tlvSystemDesc:
		p.SystemDesc = string(v)
	case tlvCapabilities:
		if len(v) < 4 {
			return tooShort("System capabilities")
		}
		p.Capabilities, p.Enabled = binary.BigEndian.Uint16(v), binary.BigEndian.Uint16(v[2:])
	case tlvManagement:
		return checkManagement(v)
	case tlvOrg:
		return p.decodeOrg(v)
	default:
		// Types to come (clause 9.2.7.7.2); stock gives up the frame.
		p.Unrecognized++
	}
	return nil
}

// checkManagement checks a management address; nobody asks for them.
func checkManagement(v []byte) error {
	switch {
	case len(v) < 1:
		return tooShort("Management address")
	case v[0] > maxManagement:
		return errors.New("too large management address")
	case len(v) < 1+int(v[0])+managementTail:
		return tooShort("Management address")
	}
	return nil
}

func (p *PDU) decodeOrg(v []byte) error {
	if len(v) < 4 {
		return tooShort("Organisational")
	}
	oui, subtype := string(v[:3]), v[3]
	switch {
	case oui == avaya && subtype == aaElement:
		if len(v) < elementSize {
			return tooShort("ELEMENT")
		}
		p.Element = decodeElement(v[4+digestSize:])
	case oui == avaya && subtype == aaAssignments:
		if len(v) < 4+digestSize {
			return tooShort("ISID_VLAN_ASGNS")
		}
		v = v[4+digestSize:]
		if len(v)%assignmentSize != 0 {
			return errors.New("malformed vlan-isid mappings tlv")
		}
		for ; len(v) > 0; v = v[assignmentSize:] {
			w := binary.BigEndian.Uint16(v)
			p.Mappings = append(p.Mappings, Mapping{ISID: uint32(v[2])<<16 | uint32(v[3])<<8 | uint32(v[4]),
				VLAN: w & 0xfff, Status: Status(w >> 12)})
		}
	default:
		p.Unrecognized++
	}
	return nil
}

func decodeElement(v []byte) *Element {
	w, id := binary.BigEndian.Uint32(v), binary.BigEndian.Uint16(v[10:])
	return &Element{Type: uint8(w >> 26), VLANTagged: w>>25&1 != 0, Provision: uint8(w >> 23 & 3), MgmtVLAN: uint16(w >> 8 & 0xfff),
		System: SystemID{MAC: flow.MAC(v[4:10]), ConnType: uint8(id >> 13), Rsvd: id & 0x3ff, Rsvd2: [2]byte(v[12:14])}}
}

// payload returns what follows the Ethernet header and the VLAN tags of a frame; ok is
// false if it is no LLDP frame.
func payload(frame []byte) (b []byte, ok bool) {
	typ, b := flow.EtherPayload(frame)
	if typ != EtherType || flow.MAC(frame) != DstMAC {
		return nil, false
	}
	return b, true
}
