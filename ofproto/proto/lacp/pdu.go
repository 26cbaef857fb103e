package lacp

import "encoding/binary"

// State is the state octet that each end sends (IEEE 802.1AX, 6.4.2.3).
type State uint8

// The bits of State.
const (
	Activity        State = 1 << iota // sends without being asked
	Timeout                           // wants to hear from the partner every second
	Aggregation                       // the link may be bonded
	Synchronization                   // the link is attached to the right aggregator
	Collecting                        // frames that come in are accepted
	Distributing                      // frames are sent
	Defaulted                         // the partner is not known
	Expired                           // the partner was not heard for some time
)

var stateNames = [...]string{"activity", "timeout", "aggregation", "synchronized", "collecting", "distributing",
	"defaulted", "expired"}

// Info is one end of a link as a LACPDU describes it.
type Info struct {
	SysPriority  uint16
	SysID        [6]byte
	Key          uint16
	PortPriority uint16
	PortID       uint16
	State        State
}

// PDU is the part of a LACPDU that is not constant.
type PDU struct{ Actor, Partner Info }

// Kind is what the slow protocol's payload is.
type Kind uint8

// The kinds.
const (
	Bad    Kind = iota // nothing that we can read
	Data               // a LACPDU
	Marker             // a PDU of the marker protocol
)

// pduSize is the size of a LACPDU behind the Ethernet header.
//
//	 0  subtype=1  version=1
//	 2  TLV 1, length 20: the actor's Info, 3 octets reserved
//	22  TLV 2, length 20: the partner's Info, 3 octets reserved
//	42  TLV 3, length 16: the collector's maximum delay, 12 octets reserved
//	58  terminator and padding
const pduSize = 110

const (
	subtypeLACP   = 1
	subtypeMarker = 2
	actorAt       = 2
	partnerAt     = 22
	collectorAt   = 42
	infoTLVSize   = 20
)

// Parse reads the payload of a frame of the slow protocols; what follows the PDU is
// ignored.
func Parse(b []byte) (p PDU, kind Kind) {
	if len(b) < pduSize {
		return p, Bad
	}
	switch {
	case b[0] == subtypeMarker:
		return p, Marker
	case b[0] != subtypeLACP, b[actorAt] != 1, b[actorAt+1] != infoTLVSize, b[partnerAt] != 2, b[partnerAt+1] != infoTLVSize:
		return p, Bad
	}
	p.Actor.parse(b[actorAt+2:])
	p.Partner.parse(b[partnerAt+2:])
	return p, Data
}

// Append appends the payload of a frame that carries p.
func (p *PDU) Append(b []byte) []byte {
	n := len(b)
	b = append(b, make([]byte, pduSize)...)
	d := b[n:]
	d[0], d[1] = subtypeLACP, 1
	d[actorAt], d[actorAt+1] = 1, infoTLVSize
	p.Actor.put(d[actorAt+2:])
	d[partnerAt], d[partnerAt+1] = 2, infoTLVSize
	p.Partner.put(d[partnerAt+2:])
	d[collectorAt], d[collectorAt+1] = 3, 16
	return b
}

func (i *Info) parse(b []byte) {
	be := binary.BigEndian
	i.SysPriority, i.Key = be.Uint16(b), be.Uint16(b[8:])
	copy(i.SysID[:], b[2:])
	i.PortPriority, i.PortID, i.State = be.Uint16(b[10:]), be.Uint16(b[12:]), State(b[14])
}

func (i *Info) put(b []byte) {
	be := binary.BigEndian
	be.PutUint16(b, i.SysPriority)
	copy(b[2:8], i.SysID[:])
	be.PutUint16(b[8:], i.Key)
	be.PutUint16(b[10:], i.PortPriority)
	be.PutUint16(b[12:], i.PortID)
	b[14] = byte(i.State)
}
