package dummy

import "sluice/netdev"

// QueueIDs returns the QoS queues: there is one, so that tools have something to show.
func (d *Device) QueueIDs() []uint32 { return []uint32{0} }

// QueueStats returns the counters of a queue, none of which are known.
func (d *Device) QueueStats(id uint32) (bytes, packets, errors uint64, ok bool) {
	return netdev.Unsupported, netdev.Unsupported, netdev.Unsupported, id == 0
}
