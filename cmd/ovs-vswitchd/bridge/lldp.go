package bridge

import (
	"maps"
	"slices"

	"sluice/ofproto"
	"sluice/ofproto/proto/lldp"
	"sluice/ovsdb/client"
)

// autoAttach reads the AutoAttach row of a bridge.
func (b *Bridges) autoAttach(br *bridge) ofproto.AutoAttachConfig {
	c := ofproto.AutoAttachConfig{SystemDesc: "openvswitch " + Version}
	if br.row.AutoAttach == nil {
		return c
	}
	row := b.env.DB.AutoAttach(*br.row.AutoAttach)
	if row == nil {
		return c
	}
	c.SystemName = row.SystemName
	if row.SystemDescription != "" {
		c.SystemDesc = row.SystemDescription
	}
	for _, isid := range slices.Sorted(maps.Keys(row.Mappings)) {
		vlan := row.Mappings[isid]
		if isid >= 0 && isid <= lldp.MaxISID && vlan >= 0 && vlan <= 4095 {
			c.Mappings = append(c.Mappings, lldp.Mapping{ISID: uint32(isid), VLAN: uint16(vlan), Status: lldp.StatusPending})
		}
	}
	return c
}

// vlanChange is a VLAN that Auto Attach wants a port to carry, or no longer.
type vlanChange struct {
	port string
	lldp.Change
}

// attachVLANs writes the VLANs that Auto Attach wants into the trunks of Port rows.
// A port without trunks would carry all VLANs, so it becomes an access port.
//
// Nothing else remembers the changes, so those of a transaction that fails are written
// again with the next one: br keeps them until statusWriter says that they are there.
func attachVLANs(t *client.Txn, br *bridge) {
	br.sw.TakeVLANChanges(func(name string, c lldp.Change) {
		if p := br.ports[name]; p != nil && p.row != nil {
			log.Info("ifname=%s, vlan=%d, remove=%t", name, c.VLAN, c.Remove)
			br.vlanChanges = append(br.vlanChanges, vlanChange{name, c})
		}
	})
	trunks := map[*port][]int64{}
	for _, c := range br.vlanChanges {
		p := br.ports[c.port]
		if p == nil || p.row == nil {
			continue
		}
		old, ok := trunks[p]
		if !ok {
			old = p.row.Trunks
		}
		v := int64(c.VLAN)
		if found := slices.Contains(old, v); found != c.Remove {
			continue
		}
		next := slices.DeleteFunc(slices.Clone(old), func(o int64) bool { return o == v })
		if !c.Remove {
			next = append(next, v)
		}
		trunks[p] = next
	}
	for _, p := range br.sortedPorts() {
		next, ok := trunks[p]
		if !ok {
			continue
		}
		p.row.SetTrunks(t, next)
		switch {
		case len(next) == 0:
			p.row.SetVlanMode(t, ptr("access"))
		case len(p.row.Trunks) == 0 || len(next) == 1:
			p.row.SetVlanMode(t, ptr("trunk"))
		}
	}
}
