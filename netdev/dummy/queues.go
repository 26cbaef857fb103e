package dummy

import (
	"fmt"

	"golang.org/x/sys/unix"

	"sluice/netdev"
)

var _ netdev.Queues = (*Device)(nil)

// QueueIDs implements netdev.Queues: there is one queue, so that tools have something
// to show.
func (d *Device) QueueIDs() []uint32 { return []uint32{0} }

// Queue implements netdev.Queues.
func (d *Device) Queue(id uint32) ([]netdev.Detail, error) {
	if id != 0 {
		return nil, fmt.Errorf("queue %d: %w", id, unix.EINVAL)
	}
	return nil, nil
}

// QueueStats implements netdev.Queues; nothing is counted.
func (d *Device) QueueStats(id uint32) (netdev.QueueStats, error) {
	_, err := d.Queue(id)
	const u = netdev.Unsupported
	return netdev.QueueStats{TxBytes: u, TxPackets: u, TxErrors: u, Created: netdev.QueueAgeUnknown}, err
}

// EachQueueStats implements netdev.Queues.
func (d *Device) EachQueueStats(fn func(uint32, netdev.QueueStats)) error {
	s, err := d.QueueStats(0)
	fn(0, s)
	return err
}
