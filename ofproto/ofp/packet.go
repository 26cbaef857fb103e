package ofp

import (
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
)

// PacketInReason says why a packet goes to a controller.
type PacketInReason uint8

// The reasons of a PacketIn.  The last two are the switch's own: they become
// ReasonNoMatch (or ReasonAction, before OpenFlow 1.3) on the wire.
const (
	ReasonNoMatch      PacketInReason = 0
	ReasonAction       PacketInReason = 1
	ReasonInvalidTTL   PacketInReason = 2
	ReasonActionSet    PacketInReason = 3
	ReasonGroup        PacketInReason = 4
	ReasonPacketOut    PacketInReason = 5
	ReasonExplicitMiss PacketInReason = 6
	ReasonImplicitMiss PacketInReason = 7
)

// PacketIn brings a packet to a controller.
type PacketIn struct {
	Packet   []byte      // the packet, or the start of it
	TotalLen int         // bytes of the whole packet; when encoding, 0 means len(Packet)
	BufferID uint32      // NoBuffer: the switch keeps no copy
	Metadata match.Match // input port and other metadata
	Reason   PacketInReason
	TableID  uint8
	Cookie   uint64 // NoCookie: no flow
	UserData []byte // of the controller action

	// Continuation is not nil if the switch has paused processing of the packet
	// until the controller resumes it (NXT_PACKET_IN2 only).
	Continuation *Continuation
	// RawContinuation is the continuation as it came; a controller that resumes the
	// packet sends it back (encoding uses it if Continuation is nil).
	RawContinuation []byte
	Format          PacketInFormat // the layout to encode, or that was decoded
}

// Continuation is the state of a paused packet.  Only the switch looks into it.
type Continuation struct {
	Bridge      [16]byte // uuid of the bridge that paused
	Stack       [][]byte // values, the top first; at most 128 bytes each
	Mirrors     uint32
	Conntracked bool
	Actions     action.List // what is left to do
	ActionSet   action.List
	ODPPort     uint32 // datapath input port, 0: not given
}

// Resume continues a paused packet: the PacketIn, perhaps changed, comes back.
type Resume struct{ PacketIn }

// PacketOut makes the switch process a packet.
type PacketOut struct {
	Packet   []byte      // if BufferID is NoBuffer
	BufferID uint32      //
	Metadata match.Match // Flow.InPort and, in OpenFlow 1.5, more metadata
	Actions  action.List
}

// Type implements Msg.
func (*PacketIn) Type() Type { return TypePacketIn }

// Type implements Msg.
func (*Resume) Type() Type { return TypeNxtResume }

// Type implements Msg.
func (*PacketOut) Type() Type { return TypePacketOut }
