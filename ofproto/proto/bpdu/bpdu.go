// Package bpdu reads and writes the frames of the spanning tree protocols: BPDUs
// (IEEE 802.1D-2004 clause 9.3) in LLC.  ofproto/proto/stp and ofproto/proto/rstp
// speak them; what they mean is decided there.
package bpdu

import (
	"encoding/binary"
	"fmt"

	"sluice/dpif/flow"
)

// GroupAddr is where BPDUs are sent: the Bridge Group Address.
var GroupAddr = flow.MAC{0x01, 0x80, 0xc2, 0, 0, 0}

// Type is the kind of a BPDU.
type Type uint8

// The kinds.
const (
	Config Type = 0x00 // Configuration BPDU
	RST    Type = 0x02 // Rapid Spanning Tree BPDU
	TCN    Type = 0x80 // Topology Change Notification BPDU
)

// Flags are the bits of a Configuration or RST BPDU.
type Flags uint8

// The flags.  Only TopologyChange and TopologyChangeAck exist in a Configuration
// BPDU.
const (
	TopologyChange    Flags = 0x01
	Proposal          Flags = 0x02
	Learning          Flags = 0x10
	Forwarding        Flags = 0x20
	Agreement         Flags = 0x40
	TopologyChangeAck Flags = 0x80
)

// Role is the role of the port that sent an RST BPDU (9.2.9).
type Role uint8

// The roles.
const (
	RoleUnknown         Role = 0
	RoleAlternateBackup Role = 1
	RoleRoot            Role = 2
	RoleDesignated      Role = 3
)

const (
	roleShift = 2
	roleMask  = 3 << roleShift
)

// Role returns the role in f.
func (f Flags) Role() Role { return Role(f&roleMask) >> roleShift }

// RoleFlags returns r as flags.
func RoleFlags(r Role) Flags { return Flags(r) << roleShift }

// ID identifies a bridge: 16 bits of priority, then its address.
type ID uint64

// String returns the text that STP's status shows, such as
// 8000.aa55aa550000.
func (id ID) String() string {
	return fmt.Sprintf("%04x.%012x", uint16(id.Priority()), uint64(id.Addr()))
}

// Priority returns the priority of id.
func (id ID) Priority() uint16 { return uint16(id >> 48) }

const addrMask = 1<<48 - 1

// Addr returns the address of id, as a number.
func (id ID) Addr() uint64 { return uint64(id) & addrMask }

// MAC returns the address of id.
func (id ID) MAC() (m flow.MAC) {
	for i := range m {
		m[i] = byte(id >> (40 - 8*i))
	}
	return m
}

// NewID returns the identifier of a bridge.
func NewID(priority uint16, addr uint64) ID { return ID(priority)<<48 | ID(addr&addrMask) }

// BPDU is one BPDU.  Times are in 1/256 s.
type BPDU struct {
	Type    Type
	Version uint8 // protocol version: 0 STP, 2 RSTP
	Flags   Flags

	RootID       ID
	RootPathCost uint32
	BridgeID     ID
	PortID       uint16

	MessageAge, MaxAge, HelloTime, ForwardDelay uint16
}

// Sizes in bytes.
const (
	tcnSize    = 4
	configSize = 35
	rstSize    = 36
	ethSize    = 14
	llcSize    = 3
)

// Error is what is wrong with a BPDU; its text goes on from "received".
type Error string

func (e Error) Error() string { return string(e) }

// Parse reads a BPDU, which may be longer than its type says: later versions of the
// protocol add to it (9.3.4).
func Parse(b []byte) (p BPDU, err error) {
	if len(b) < tcnSize {
		return p, Error(fmt.Sprintf("runt %d-byte BPDU", len(b)))
	}
	if id := binary.BigEndian.Uint16(b); id != 0 {
		return p, Error(fmt.Sprintf("BPDU with unexpected protocol ID %d", id))
	}
	p.Version, p.Type = b[2], Type(b[3])
	switch p.Type {
	case TCN:
		return p, nil
	case Config:
		if len(b) < configSize {
			return p, Error(fmt.Sprintf("config BPDU with invalid size %d", len(b)))
		}
	case RST:
		if len(b) < rstSize {
			return p, Error(fmt.Sprintf("RST BPDU with invalid size %d", len(b)))
		}
	default:
		return p, Error(fmt.Sprintf("BPDU of unexpected type %d", uint8(p.Type)))
	}
	be := binary.BigEndian
	p.Flags = Flags(b[4])
	p.RootID, p.RootPathCost = ID(be.Uint64(b[5:])), be.Uint32(b[13:])
	p.BridgeID, p.PortID = ID(be.Uint64(b[17:])), be.Uint16(b[25:])
	p.MessageAge, p.MaxAge = be.Uint16(b[27:]), be.Uint16(b[29:])
	p.HelloTime, p.ForwardDelay = be.Uint16(b[31:]), be.Uint16(b[33:])
	return p, nil
}

// Append appends p in wire format.
func (p *BPDU) Append(b []byte) []byte {
	be := binary.BigEndian
	b = append(b, 0, 0, p.Version, byte(p.Type))
	if p.Type == TCN {
		return b
	}
	b = append(b, byte(p.Flags))
	b = be.AppendUint64(b, uint64(p.RootID))
	b = be.AppendUint32(b, p.RootPathCost)
	b = be.AppendUint64(b, uint64(p.BridgeID))
	for _, v := range [...]uint16{p.PortID, p.MessageAge, p.MaxAge, p.HelloTime, p.ForwardDelay} {
		b = be.AppendUint16(b, v)
	}
	if p.Type == RST {
		b = append(b, 0) // Version 1 Length: no version 1 information
	}
	return b
}

// Frame returns the Ethernet frame that carries p from src.
func (p *BPDU) Frame(src flow.MAC) []byte {
	b := make([]byte, 0, ethSize+llcSize+rstSize)
	b = append(b, GroupAddr[:]...)
	b = append(b, src[:]...)
	b = append(b, 0, 0, 0x42, 0x42, 0x03) // length to come; LLC: the spanning tree's SAPs, unnumbered information
	b = p.Append(b)
	binary.BigEndian.PutUint16(b[12:], uint16(len(b)-ethSize))
	return b
}

// Payload returns the BPDU in an Ethernet frame, without padding; ok is false if there
// is none.
func Payload(frame []byte) (b []byte, ok bool) {
	off := 12
	if len(frame) >= 18 && binary.BigEndian.Uint16(frame[off:]) == flow.EthVLAN {
		off += 4
	}
	if len(frame) < off+2+llcSize {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(frame[off:]))
	b = frame[off+2:]
	if n < len(b) {
		b = b[:n]
	}
	if len(b) < llcSize {
		return nil, false
	}
	return b[llcSize:], true
}
