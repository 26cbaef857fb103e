package bridge

import (
	"maps"

	"sluice/schema/vswitch"
)

// writeCapabilities tells in the Datapath rows what the datapaths can do.  The rows are
// somebody else's, so keys that are none of ours stay.
func (b *Bridges) writeCapabilities(root *vswitch.OpenVSwitch) {
	if root == nil {
		return
	}
	for _, ref := range b.sortedBackers() {
		id, ok := root.Datapaths[ref.typ]
		if !ok {
			continue
		}
		row := b.env.DB.Datapath(id)
		if row == nil {
			continue
		}
		caps := maps.Clone(row.Capabilities)
		if caps == nil {
			caps = map[string]string{}
		}
		maps.Copy(caps, ref.backer.Capabilities())
		row.SetCapabilities(b.writes, caps)
	}
}
