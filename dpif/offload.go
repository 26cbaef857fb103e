package dpif

import (
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/netdev"
)

// OffloadMatch is a datapath flow as devices get it to offload (netdev.FlowOffloader).
// A device that knows flows takes them from here; others ask the methods.  It is not
// changed once it is made.
type OffloadMatch struct {
	Key     flow.Flow
	Mask    flow.Mask
	Actions []odp.Action
	// Format writes a flow as OpenFlow does; a nil mask stands for the fields that a
	// packet like it has.  nil: texts are those of the datapath.
	Format func(b []byte, f *flow.Flow, m *flow.Mask) []byte
}

var _ netdev.OffloadMatch = (*OffloadMatch)(nil)

// Matches implements netdev.OffloadMatch.
func (m *OffloadMatch) Matches(frame []byte) bool {
	var f flow.Flow
	flow.ExtractFlow(frame, &flow.Flow{PacketType: m.Key.PacketType}, &f)
	f.InPort = m.Key.InPort
	key, pkt := m.Key.Words(), f.Words()
	for w, bits := range m.Mask.Words() {
		if (key[w]^pkt[w])&bits != 0 {
			return false
		}
	}
	return true
}

// AppendText implements netdev.OffloadMatch.
func (m *OffloadMatch) AppendText(b []byte, port bool) []byte {
	key, mask := m.Key, m.Mask
	if !port {
		key.InPort, mask.InPort = 0, 0
	}
	if m.Format == nil {
		return odp.FormatKey(b, &key, &mask, nil)
	}
	return m.Format(b, &key, &mask)
}

// AppendFrame implements netdev.OffloadMatch.
func (m *OffloadMatch) AppendFrame(b, frame []byte) []byte {
	var f flow.Flow
	flow.ExtractFlow(frame, &flow.Flow{PacketType: m.Key.PacketType}, &f)
	if m.Format == nil {
		return odp.FormatKey(b, &f, nil, nil)
	}
	return m.Format(b, &f, nil)
}

// OffloadStats are the counters of a thread that offloads flows.
type OffloadStats struct {
	Enqueued, Inserted uint64 // flows that wait, and that devices have
	// How long flows waited, in µs: over all time, and with more weight on the last.
	Mean, StdDev, RecentMean, RecentStdDev uint64
}

// Offloader is implemented by datapaths that can offload flows to devices.
type Offloader interface {
	// OffloadStats returns the counters by thread; false: flows are not offloaded.
	OffloadStats() ([]OffloadStats, bool)
}
