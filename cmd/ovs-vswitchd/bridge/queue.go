package bridge

import (
	"math"

	"sluice/schema/vswitch"
)

// queueDSCP reads from the QoS and Queue rows, by OpenFlow port and queue, what DSCP
// the packets of a queue get.
func (b *Bridges) queueDSCP(br *bridge) map[uint32]map[uint32]uint8 {
	var out map[uint32]map[uint32]uint8
	for _, p := range br.sortedPorts() {
		if p.row == nil || p.row.Qos == nil {
			continue
		}
		queues := b.dscpOf(b.env.DB.QoS(*p.row.Qos))
		if len(queues) == 0 {
			continue
		}
		if out == nil {
			out = map[uint32]map[uint32]uint8{}
		}
		for _, i := range p.ifaces {
			out[i.ofport] = queues
		}
	}
	return out
}

// dscpOf reads a QoS row, which may be nil.
func (b *Bridges) dscpOf(qos *vswitch.QoS) map[uint32]uint8 {
	if qos == nil || qos.Type == "" {
		return nil
	}
	out := map[uint32]uint8{}
	for id, u := range qos.Queues {
		q := b.env.DB.Queue(u)
		if q != nil && q.Dscp != nil && id >= 0 && id <= math.MaxUint32 && *q.Dscp >= 0 && *q.Dscp <= 63 {
			out[uint32(id)] = uint8(*q.Dscp)
		}
	}
	return out
}
