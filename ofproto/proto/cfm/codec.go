// Package cfm is Connectivity Fault Management (IEEE 802.1ag): a Monitor sends
// continuity check messages (CCMs) out of a port and notices when those of the
// maintenance points at the other end do not come, or come wrong.
//
// ofproto runs one Monitor per port whose Interface has a cfm_mpid.  The package
// sends nothing and reads no clock: AppendFrame gives the frame to send when Next
// says so, Receive takes the frames that came in.  Of the standard there are the
// CCMs only, no linktrace, no loopback messages, and a single maintenance domain.
//
// In extended mode, Open vSwitch's own, frames go to another address, MPIDs have 64
// bits, intervals are free, the operational state travels along, and received data
// can stand in for CCMs (demand mode).
package cfm

import (
	"encoding/binary"
	"slices"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
)

var (
	log   = vlog.New("cfm")
	rlCFM = vlog.NewLimiter(20, 30)
)

// EtherType is that of CFM frames.
const EtherType = 0x8902

// Destinations of CCMs.
var (
	DstMAC         = flow.MAC{0x01, 0x80, 0xc2, 0x00, 0x00, 0x30}
	DstMACExtended = flow.MAC{0x01, 0x23, 0x20, 0x00, 0x00, 0x30}
)

// Sizes in bytes.  A CCM has 75; Open vSwitch of old sent 74, which are accepted.
const (
	ccmSize    = 75
	ccmMinSize = 74
	maidSize   = 48
)

const (
	opcodeCCM = 1
	firstTLV  = 70 // offset of the TLVs from behind the field that says so
	flagRDI   = 0x80
	rateMask  = 0x07
	vlanVID   = 0x0fff
)

// CCM is a continuity check message (IEEE 802.1ag clause 21.6).  The members from
// IntervalMs on lie in what ITU-T Y.1731 defines to be zero.
//
//	MD level and version 1 | opcode 1 | flags 1 | first TLV 1 | sequence 4 | MPID 2 |
//	MAID 48 | interval in ms 2 | MPID 8 | operationally down 1 | zero 5 | end TLV 1
type CCM struct {
	Opcode     uint8
	RDI        bool  // the sender does not hear us
	Rate       uint8 // code of the interval, 0: IntervalMs
	Seq        uint32
	MPID       uint16
	MAID       [maidSize]byte
	IntervalMs uint16 // extended mode
	MPID64     uint64 // extended mode
	OpDown     bool   // extended mode
}

// Decode reads a CCM, without checking its values; ok is false if b is too short.
func Decode(b []byte) (c CCM, ok bool) {
	if len(b) < ccmMinSize {
		return c, false
	}
	c = CCM{Opcode: b[1], RDI: b[2]&flagRDI != 0, Rate: b[2] & rateMask, Seq: binary.BigEndian.Uint32(b[4:]),
		MPID: binary.BigEndian.Uint16(b[8:]), IntervalMs: binary.BigEndian.Uint16(b[58:]),
		MPID64: binary.BigEndian.Uint64(b[60:]), OpDown: b[68] != 0}
	copy(c.MAID[:], b[10:])
	return c, true
}

// Append appends c as it is sent.
func (c *CCM) Append(b []byte) []byte {
	flags := c.Rate & rateMask
	if c.RDI {
		flags |= flagRDI
	}
	b = append(b, 0, c.Opcode, flags, firstTLV)
	b = binary.BigEndian.AppendUint32(b, c.Seq)
	b = binary.BigEndian.AppendUint16(b, c.MPID)
	b = append(b, c.MAID[:]...)
	b = binary.BigEndian.AppendUint16(b, c.IntervalMs)
	b = binary.BigEndian.AppendUint64(b, c.MPID64)
	down := byte(0)
	if c.OpDown {
		down = 1
	}
	return append(b, down, 0, 0, 0, 0, 0, 0)
}

// maid is the maintenance association that all of Open vSwitch is in: domain and
// association are both named "ovs", as character strings (clause 21.6.5).
var maid = func() (m [maidSize]byte) {
	copy(m[:], "\x04\x03ovs\x02\x03ovs")
	return m
}()

// rateMs are the intervals of the standard by their code, in ms.
var rateMs = [8]int{1: 3, 2: 10, 3: 100, 4: 1000, 5: 10000, 6: 60000, 7: 600000}

// rateOf returns the code of the longest interval of the standard that is not longer
// than ms; that of the shortest if all are.
func rateOf(ms int) uint8 {
	for code, interval := range slices.Backward(rateMs[:]) {
		if code > 1 && interval <= ms {
			return uint8(code)
		}
	}
	return 1
}

// appendHeader appends an Ethernet header, with a VLAN tag if tci is not 0.
func appendHeader(b []byte, dst, src flow.MAC, tci uint16) []byte {
	b = append(b, dst[:]...)
	b = append(b, src[:]...)
	if tci != 0 {
		b = binary.BigEndian.AppendUint16(b, flow.EthVLAN)
		b = binary.BigEndian.AppendUint16(b, tci)
	}
	return binary.BigEndian.AppendUint16(b, EtherType)
}

// payload returns what follows the Ethernet header and the VLAN tags of a CFM frame,
// and the source address; ok is false if there is no such.
func payload(frame []byte) (b []byte, src flow.MAC, ok bool) {
	typ, b := flow.EtherPayload(frame)
	if typ != EtherType {
		return nil, src, false
	}
	return b, flow.MAC(frame[6:12]), true
}
