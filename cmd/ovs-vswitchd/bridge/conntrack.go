package bridge

import (
	"math"

	"sluice/dpif"
	"sluice/internal/errno"
	"sluice/schema/vswitch"
)

// configureConntrack gives the datapaths the timeouts of their conntrack zones.
func (b *Bridges) configureConntrack(root *vswitch.OpenVSwitch) {
	for _, ref := range b.sortedBackers() {
		ct, ok := ref.dp.(dpif.CTConfig)
		if !ok {
			continue
		}
		if err := ct.SetZoneTimeouts(b.zoneTimeouts(root, ref.typ)); err != nil {
			log.Warn("%s: setting conntrack timeouts failed (%s)", ref.typ, errno.Text(err))
		}
	}
}

// zoneTimeouts reads the timeout policies of a datapath type's zones.
func (b *Bridges) zoneTimeouts(root *vswitch.OpenVSwitch, typ string) map[uint16]map[string]uint32 {
	zones := map[uint16]map[string]uint32{}
	if root == nil {
		return zones
	}
	id, ok := root.Datapaths[typ]
	if !ok {
		return zones
	}
	dp := b.env.DB.Datapath(id)
	if dp == nil {
		return zones
	}
	for zone, id := range dp.CtZones {
		row := b.env.DB.CTZone(id)
		if row == nil || row.TimeoutPolicy == nil || zone < 0 || zone > math.MaxUint16 {
			continue
		}
		if p := b.env.DB.CTTimeoutPolicy(*row.TimeoutPolicy); p != nil {
			seconds := make(map[string]uint32, len(p.Timeouts))
			for name, v := range p.Timeouts {
				seconds[name] = uint32(min(max(v, 0), math.MaxUint32))
			}
			zones[uint16(zone)] = seconds
		}
	}
	return zones
}
