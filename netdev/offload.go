package netdev

import "fmt"

// FlowOffloader is implemented by devices that tell flows apart by themselves, as
// hardware with flow tables does: the packets that they hand over of a flow they know
// carry its mark (packet.FlowMarked), and some they may not hand over at all.  The
// datapath stays the authority: it puts flows and takes them back, and does all that
// the device has not done.
//
// The control thread calls the methods.
type FlowOffloader interface {
	// FlowPut has the device know a flow, or changes the one of that ID.
	FlowPut(f *OffloadFlow) error
	FlowDel(id FlowID) error
	// FlowFlush forgets all flows.
	FlowFlush()
	// FlowGet returns what the device did for a flow; false: it keeps no account, and
	// all of the flow's packets come to the datapath.
	FlowGet(id FlowID) (OffloadStats, bool)
}

// FlowID names a flow of the datapath, whichever threads have it.
type FlowID [16]byte

// String is the identifier as logs show it.
func (id FlowID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// OffloadFlow is a flow for a device.
type OffloadFlow struct {
	ID FlowID
	// Mark is what the flow's packets are marked with, 1 and up.
	Mark uint32
	// Match says which packets are the flow's.
	Match OffloadMatch
}

// OffloadMatch is a set of packets that came in by the device.  This package does not
// know the fields of flows: what programs tables of its own takes them from the
// concrete type, *dpif.OffloadMatch.
type OffloadMatch interface {
	// Matches reports whether a frame that came from the wire is in the set.
	Matches(frame []byte) bool
	// AppendText appends the set as OpenFlow writes it, AppendFrame the fields of a
	// frame; port says whether to name the port.
	AppendText(b []byte, port bool) []byte
	AppendFrame(b, frame []byte) []byte
}

// OffloadStats is what a device did for a flow.
type OffloadStats struct {
	// Packets and Bytes are those that the datapath did not get to see.
	Packets, Bytes uint64
	Used           int64 // ms on the loop's clock; 0: never
	// Layer names what carries out all of the flow's actions; "": nothing does, the
	// device only finds the flow.
	Layer string
}
