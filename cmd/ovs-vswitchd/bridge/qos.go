package bridge

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"sluice/internal/errno"
	"sluice/netdev"
	"sluice/schema/vswitch"
)

// configureQoS makes what an interface shapes and what it polices what the QoS row of
// its port, the Queue rows and its own row say.  Devices touch nothing that is like
// that already, so all is said each time; what went wrong is in the device's log.
func (b *Bridges) configureQoS(p *port, i *iface) {
	i.shapedLink = i.dev.Ifindex()
	if d, ok := i.dev.(netdev.QoS); ok {
		var row *vswitch.QoS
		if p.row != nil && p.row.Qos != nil {
			row = b.env.DB.QoS(*p.row.Qos)
		}
		b.shape(d, i.name, row)
	}
	if d, ok := i.dev.(netdev.Policed); ok {
		report(i.name, "policing", d.SetPolicing(policing(i.row)))
	}
}

// shape configures a device as a QoS row says, which may be nil.
func (b *Bridges) shape(d netdev.QoS, name string, row *vswitch.QoS) {
	if row == nil || row.Type == "" {
		report(name, "QoS", d.SetQoS("", nil))
		return
	}
	report(name, "QoS", d.SetQoS(row.Type, row.OtherConfig))
	// Packets that nobody puts into a queue go to queue 0, so there must be one.
	for _, id := range d.QueueIDs() {
		if _, ok := row.Queues[int64(id)]; !ok && id != 0 {
			report(name, "queue", d.DeleteQueue(id))
		}
	}
	if _, ok := row.Queues[0]; !ok {
		report(name, "queue", d.SetQueue(0, nil, b.now))
	}
	for _, id := range slices.Sorted(maps.Keys(row.Queues)) {
		q := b.env.DB.Queue(row.Queues[id])
		if q == nil || id < 0 || id > math.MaxUint32 {
			continue
		}
		report(name, "queue", d.SetQueue(uint32(id), q.OtherConfig, b.now))
	}
}

// report notes a setting that a device could not take, of which stock says nothing at
// this place.
func report(name, what string, err error) {
	if err != nil {
		log.DbgRL(rlQoS, "interface %s: %s: %s", name, what, errno.Text(err))
	}
}

// policing reads an Interface row.
func policing(row *vswitch.Interface) netdev.Policing {
	u32 := func(v int64) uint32 { return uint32(min(max(v, 0), math.MaxUint32)) }
	return netdev.Policing{KbitRate: u32(row.IngressPolicingRate), KbitBurst: u32(row.IngressPolicingBurst),
		KpktRate: u32(row.IngressPolicingKpktsRate), KpktBurst: u32(row.IngressPolicingKpktsBurst)}
}

// QoSShow is the text of qos/show; the error's text is for the user.
func (b *Bridges) QoSShow(name string) (string, error) {
	i := b.iface(name)
	if i == nil {
		return "", errNoInterface
	}
	d, ok := i.dev.(netdev.QoS)
	if !ok {
		return fmt.Sprintf("QoS not configured on %s\n", name), nil
	}
	typ, details, err := d.QoS()
	if err != nil {
		return "", fmt.Errorf("%s: failed to retrieve QOS configuration (%s)\n", name, errno.Text(err))
	}
	if typ == "" {
		return fmt.Sprintf("QoS not configured on %s\n", name), nil
	}
	out := fmt.Appendf(nil, "QoS: %s %s\n", name, typ)
	for _, x := range details {
		out = fmt.Appendf(out, "%s: %s\n", x.Key, x.Value)
	}
	for _, id := range d.QueueIDs() {
		out = appendQueue(out, d, id)
	}
	return string(out), nil
}

func appendQueue(out []byte, d netdev.QoS, id uint32) []byte {
	if id == 0 {
		out = append(out, "\nDefault:\n"...)
	} else {
		out = fmt.Appendf(out, "\nQueue %d:\n", id)
	}
	details, err := d.Queue(id)
	for _, x := range details {
		out = fmt.Appendf(out, "  %s: %s\n", x.Key, x.Value)
	}
	var s netdev.QueueStats
	if err == nil {
		s, err = d.QueueStats(id)
	}
	if err != nil {
		return fmt.Appendf(out, "  Failed to get statistics for queue %d: %s", id, errno.Text(err))
	}
	for _, x := range [...]netdev.Counter{{Name: "tx_packets", Value: s.TxPackets}, {Name: "tx_bytes", Value: s.TxBytes}, {Name: "tx_errors", Value: s.TxErrors}} {
		if x.Value != netdev.Unsupported {
			out = fmt.Appendf(out, "  %s: %d\n", x.Name, x.Value)
		}
	}
	return out
}

// QoSTypes is the text of qos/show-types; the error's text is for the user.
func (b *Bridges) QoSTypes(name string) (string, error) {
	i := b.iface(name)
	if i == nil {
		return "", errNoInterface
	}
	d, ok := i.dev.(netdev.QoS)
	if !ok {
		return fmt.Sprintf("No QoS types supported for interface: %s\n", name), nil
	}
	var out []byte
	for _, t := range d.QoSTypes() {
		out = fmt.Appendf(out, "QoS type: %s\n", t)
	}
	return string(out), nil
}

var errNoInterface = errors.New("no such interface")

// iface finds an interface of any bridge.
func (b *Bridges) iface(name string) *iface {
	for _, br := range b.bridges {
		for _, p := range br.ports {
			for _, i := range p.ifaces {
				if i.name == name {
					return i
				}
			}
		}
	}
	return nil
}

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
