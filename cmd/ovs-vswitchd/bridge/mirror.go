package bridge

import (
	"math"

	"sluice/ofproto"
	"sluice/ovsdb/client"
	"sluice/schema/vswitch"
)

// mirrors reads the Mirror rows of a bridge.
func (b *Bridges) mirrors(br *bridge) []ofproto.MirrorConfig {
	var out []ofproto.MirrorConfig
	for _, row := range refs(br.row.Mirrors, b.env.DB.Mirror) {
		if c, ok := b.mirror(br, row); ok {
			out = append(out, c)
		}
	}
	return out
}

// mirror reads a Mirror row; ok: it makes sense.
func (b *Bridges) mirror(br *bridge, row *vswitch.Mirror) (c ofproto.MirrorConfig, ok bool) {
	c = ofproto.MirrorConfig{
		Name: row.Name, UUID: row.UUID.String(), SelectAll: row.SelectAll, OutVLAN: -1,
		SelectVLANs: vlans(row.SelectVlan),
	}
	c.HasSelectedVLANs = len(c.SelectVLANs) > 0
	switch {
	case row.OutputPort != nil:
		p := b.env.DB.Port(*row.OutputPort)
		if p == nil || br.ports[p.Name] == nil {
			log.Err("bridge %s: mirror %s outputs to port not on bridge", br.name, row.Name)
			return c, false
		}
		if row.OutputVlan != nil {
			log.Err("bridge %s: mirror %s specifies both output port and output vlan; ignoring output vlan", br.name, row.Name)
		}
		c.OutPort = p.Name
	case row.OutputVlan != nil:
		c.OutVLAN = int(*row.OutputVlan)
	default:
		log.Err("bridge %s: mirror %s does not specify output; ignoring", br.name, row.Name)
		return c, false
	}
	if n := row.Snaplen; n != nil && *n > 0 && *n <= math.MaxUint16 {
		c.SnapLen = uint16(*n)
	}
	if !c.SelectAll {
		c.SrcPorts = b.mirrored(br, row, row.SelectSrcPort)
		c.DstPorts = b.mirrored(br, row, row.SelectDstPort)
	}
	return c, true
}

// mirrored returns the names of ports that a mirror selects by.
func (b *Bridges) mirrored(br *bridge, row *vswitch.Mirror, ids []client.UUID) (out []string) {
	for _, p := range refs(ids, b.env.DB.Port) {
		if br.ports[p.Name] == nil {
			log.Warn("bridge %s: mirror %s cannot match on nonexistent port %s", br.name, row.Name, p.Name)
			continue
		}
		out = append(out, p.Name)
	}
	return out
}

// mirrorStatistics writes what mirrors have copied.
func (w *statusWriter) mirrorStatistics(b *Bridges, br *bridge) {
	for _, row := range refs(br.row.Mirrors, b.env.DB.Mirror) {
		packets, bytes, ok := br.ref.backer.MirrorStats(br.sw, row.UUID.String())
		if !ok {
			row.SetStatistics(w.txn, nil)
			continue
		}
		row.SetStatistics(w.txn, map[string]int64{"tx_packets": int64(packets), "tx_bytes": int64(bytes)})
	}
}
