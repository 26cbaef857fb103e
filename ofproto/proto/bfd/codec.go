package bfd

import (
	"encoding/binary"
	"fmt"

	"sluice/dpif/flow"
	"sluice/netdev/packet"
)

// State is the state of a session, numbered as in a packet, which has two bits for it.
type State uint8

// The states (RFC 5880 section 4.1).
const (
	AdminDown State = iota
	Down
	Init
	Up
)

// String returns stock's name of s.
func (s State) String() string { return stateNames[s] }

var stateNames = [...]string{"admin_down", "down", "init", "up"}

// Diag is why a session last changed its state (RFC 5880 section 4.1).
type Diag uint8

// The diagnostics.
const (
	DiagNone Diag = iota
	DiagExpired
	DiagEchoFailed
	DiagRemoteDown
	DiagForwardingReset
	DiagPathDown
	DiagConcatenatedDown
	DiagAdminDown
	DiagReverseConcatenatedDown
)

// String returns the RFC's words for d.
func (d Diag) String() string {
	if int(d) < len(diagNames) {
		return diagNames[d]
	}
	return "Invalid Diagnostic"
}

var diagNames = [...]string{"No Diagnostic", "Control Detection Time Expired", "Echo Function Failed",
	"Neighbor Signaled Session Down", "Forwarding Plane Reset", "Path Down", "Concatenated Path Down",
	"Administratively Down", "Reverse Concatenated Path Down"}

// Flags are the six bits behind the state in a packet.
type Flags uint8

// The flags.
const (
	FlagMultipoint Flags = 1 << iota
	FlagDemand
	FlagAuth
	FlagCtl
	FlagFinal
	FlagPoll
)

// String lists the flags that are set, or returns "none".
func (f Flags) String() string {
	s := ""
	for i, name := range [...]string{"multipoint", "demand", "auth", "ctl", "final", "poll"} {
		if f&(1<<i) != 0 {
			if s != "" {
				s += " "
			}
			s += name
		}
	}
	if s == "" {
		return "none"
	}
	return s
}

// Version is the only version of the protocol.
const Version = 1

// PacketSize is the size of a control packet without authentication, in bytes.
const PacketSize = 24

// Packet is a control packet.  Intervals are in microseconds.
//
//	 0                   1                   2                   3
//	+-----+---------+---+-----------+---------------+---------------+
//	|Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//	+-----+---------+---+-----------+---------------+---------------+
//	|  My Discriminator, Your Discriminator, Desired Min TX,        |
//	|  Required Min RX, Required Min Echo RX: 32 bits each          |
//	+---------------------------------------------------------------+
type Packet struct {
	Version          uint8
	Diag             Diag
	State            State
	Flags            Flags
	Mult             uint8
	Length           uint8 // as the packet says
	MyDisc, YourDisc uint32
	MinTx, MinRx     uint32
	MinEchoRx        uint32
}

// Decode reads a packet from the first PacketSize bytes of b; ok is false when b is
// shorter.  It checks no values.
func Decode(b []byte) (p Packet, ok bool) {
	if len(b) < PacketSize {
		return p, false
	}
	return Packet{
		Version: b[0] >> 5, Diag: Diag(b[0] & 0x1f), State: State(b[1] >> 6), Flags: Flags(b[1] & 0x3f),
		Mult: b[2], Length: b[3],
		MyDisc: binary.BigEndian.Uint32(b[4:]), YourDisc: binary.BigEndian.Uint32(b[8:]),
		MinTx: binary.BigEndian.Uint32(b[12:]), MinRx: binary.BigEndian.Uint32(b[16:]),
		MinEchoRx: binary.BigEndian.Uint32(b[20:]),
	}, true
}

// Append appends p as it is sent.
func (p *Packet) Append(b []byte) []byte {
	b = append(b, p.Version<<5|uint8(p.Diag)&0x1f, uint8(p.State)<<6|uint8(p.Flags)&0x3f, p.Mult, p.Length)
	for _, v := range [...]uint32{p.MyDisc, p.YourDisc, p.MinTx, p.MinRx, p.MinEchoRx} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

const badLength = "Unexpected length"

// check applies the rules of RFC 5880 section 6.8.6 for discarding a packet, at the
// session with discriminator disc.  It returns what is wrong, or "".
func (p *Packet) check(disc uint32) string {
	switch {
	case p.Version != Version:
		return "Incorrect version"
	case p.Flags&FlagAuth != 0:
		return "Authenticated control message with authentication disabled"
	case p.Length < PacketSize:
		return badLength
	case p.Mult == 0:
		return "Zero multiplier"
	case p.Flags&FlagMultipoint != 0:
		return "Unsupported multipoint flag"
	case p.MyDisc == 0:
		return "NULL my_disc"
	case p.YourDisc == 0 && p.State > Down:
		return "Null your_disc"
	case p.YourDisc != 0 && p.YourDisc != disc:
		// The RFC would have it find the session; ours are bound to ports.
		return "Incorrect your_disc"
	}
	return ""
}

func (p *Packet) text() string {
	interval := func(us uint32) string { return fmt.Sprintf("%dus (%dms)", us, us/1000) }
	return fmt.Sprintf("  vers:%d diag:\"%s\" state:%s mult:%d length:%d\n  flags: %s\n  my_disc:0x%x your_disc:0x%x\n"+
		"  min_tx:%s\n  min_rx:%s\n  min_rx_echo:%s\n",
		p.Version, p.Diag, p.State, p.Mult, p.Length, p.Flags, p.MyDisc, p.YourDisc,
		interval(p.MinTx), interval(p.MinRx), interval(p.MinEchoRx))
}

// Port is the UDP port that sessions listen at (RFC 5881 section 4).
const Port = 3784

// Sizes of the headers in front of a control packet, in bytes.
const (
	ethSize = 14
	ipSize  = 20
	udpSize = 8
)

// header is what a frame has around its control packet.
type header struct {
	ethSrc, ethDst flow.MAC
	ipSrc, ipDst   uint32
	udpSrc         uint16
}

// append appends the Ethernet, IPv4 and UDP headers of a frame.  The TTL is 255
// (RFC 5881 section 5), the UDP checksum is left out.
func (h *header) append(b []byte) []byte {
	b = append(b, h.ethDst[:]...)
	b = append(b, h.ethSrc[:]...)
	b = append(b, 0x08, 0x00)
	ip := len(b)
	b = append(b, 0x45, tosInternetControl)
	b = binary.BigEndian.AppendUint16(b, ipSize+udpSize+PacketSize)
	b = append(b, 0, 0, 0, 0, 255, protoUDP, 0, 0)
	b = binary.BigEndian.AppendUint32(b, h.ipSrc)
	b = binary.BigEndian.AppendUint32(b, h.ipDst)
	binary.BigEndian.PutUint16(b[ip+10:], packet.Checksum(b[ip:]))
	b = binary.BigEndian.AppendUint16(b, h.udpSrc)
	b = binary.BigEndian.AppendUint16(b, Port)
	b = binary.BigEndian.AppendUint16(b, udpSize+PacketSize)
	return append(b, 0, 0)
}

const (
	protoUDP           = 17
	tosInternetControl = 0xc0
)

// payload finds what UDP carries in a frame, with the TTL it came with; ok is false
// if the frame has no UDP header.
func payload(frame []byte) (b []byte, ttl uint8, ok bool) {
	var f flow.Flow
	m := flow.ExtractFlow(frame, &flow.Flow{}, &f)
	start, end := int(m.L4)+udpSize, len(frame)-int(m.L2Pad)
	if m.L4 == packet.NoLayer || f.NwProto != protoUDP || f.NwFrag&flow.NwFragLater != 0 || start > end {
		return nil, 0, false
	}
	return frame[start:end], f.NwTTL, true
}
