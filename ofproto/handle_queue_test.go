package ofproto

import (
	"fmt"
	"math"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/netdev"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
)

// queueDev is a device with queues 2 and 5.
type queueDev struct {
	dpif.Device
	fail error // of EachQueueStats
}

func (queueDev) Name() string       { return "p1" }
func (queueDev) QueueIDs() []uint32 { return []uint32{2, 5} }
func (queueDev) Queue(id uint32) ([]netdev.Detail, error) {
	switch {
	case id > 9:
		return nil, fmt.Errorf("queue %d: %w", id, unix.EINVAL)
	case id != 2 && id != 5:
		return nil, fmt.Errorf("queue %d: %w", id, unix.ENOENT)
	}
	return nil, nil
}
func (d queueDev) QueueStats(id uint32) (dpif.QueueStats, error) {
	_, err := d.Queue(id)
	return dpif.QueueStats{TxPackets: uint64(id), Created: 1000}, err
}
func (d queueDev) EachQueueStats(fn func(uint32, dpif.QueueStats)) error {
	if d.fail != nil {
		return d.fail
	}
	for _, id := range []uint32{5, 2} {
		fn(id, dpif.QueueStats{Created: dpif.QueueAgeUnknown})
	}
	return nil
}

func TestQueuesOfPorts(t *testing.T) {
	var none struct{ dpif.Device }
	for _, s := range []struct {
		dev               dpif.Device
		id                uint32
		stats, config     string
		statsErr, confErr error
	}{
		{queueDev{}, ofp.QueueAll, "[5 2]", "[2 5]", nil, nil},
		{queueDev{}, 5, "[5]", "[5]", nil, nil},
		{queueDev{}, 3, "[]", "[]", oferr.OFPQOFC_BAD_QUEUE, oferr.NXQOFC_QUEUE_ERROR},
		{queueDev{}, 10, "[]", "[]", oferr.OFPQOFC_BAD_QUEUE, oferr.OFPQOFC_BAD_QUEUE},
		{queueDev{fail: unix.ENODEV}, ofp.QueueAll, "[]", "[2 5]", nil, nil},
		{none, ofp.QueueAll, "[]", "[]", nil, nil},
		{none, 0, "[]", "[]", oferr.OFPQOFC_BAD_QUEUE, oferr.OFPQOFC_BAD_QUEUE},
	} {
		p := &Port{Dev: s.dev}
		stats, config := []uint32{}, []uint32{}
		err := p.eachQueueStats(s.id, func(id uint32, _ dpif.QueueStats) { stats = append(stats, id) })
		if got := fmt.Sprint(stats); got != s.stats || err != s.statsErr {
			t.Errorf("statistics of queue %d: %s, %v", s.id, got, err)
		}
		err = p.eachQueue(s.id, func(id uint32) { config = append(config, id) })
		if got := fmt.Sprint(config); got != s.config || err != s.confErr {
			t.Errorf("configuration of queue %d: %s, %v", s.id, got, err)
		}
	}
}

func TestQueueDuration(t *testing.T) {
	p := &Port{OFPort: 7}
	if got := queueStats(p, 3, dpif.QueueStats{TxBytes: 1, TxPackets: 2, TxErrors: 3, Created: 1000}, 3250); *got !=
		(ofp.QueueStats{PortNo: 7, QueueID: 3, TxBytes: 1, TxPackets: 2, TxErrors: 3, DurationSec: 2, DurationNsec: 250000000}) {
		t.Errorf("%+v", got)
	}
	if got := queueStats(p, 3, dpif.QueueStats{Created: dpif.QueueAgeUnknown}, 3250); got.DurationSec != math.MaxUint32 || got.DurationNsec != math.MaxUint32 {
		t.Errorf("%+v", got)
	}
}
