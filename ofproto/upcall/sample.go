package upcall

import (
	"sluice/dpif"
	"sluice/ofproto/export"
	"sluice/ofproto/xlate"
)

// OnSample sets the function that takes, on any thread, the samples that bridges'
// exporters asked for.
func (u *Udpif) OnSample(fn func(br xlate.BridgeID, s *export.Sample)) { u.onSample = fn }

// sample hands a packet that a sampling action sent up to the exporter of the bridge
// that the action is of.
func (u *Udpif) sample(up *dpif.Upcall) error {
	if u.onSample == nil {
		return nil
	}
	id := xlate.BridgeID(up.Userdata.Bridge)
	if id == (xlate.BridgeID{}) {
		// The flow came from somebody else (dpctl/add-flow).
		br, _, err := u.snap.Load().Find(up.Key, u.pool)
		if err != nil {
			return err
		}
		id = br.ID
	}
	head, size := up.Packet, len(up.Packet)
	if up.Whole != nil {
		head = up.Whole()
		size = len(head)
	}
	u.onSample(id, export.NewSample(up.Userdata, up.Key, head, size, up.Actions))
	return nil
}
