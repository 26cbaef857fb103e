package ofp

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
)

// actions decodes a list of actions.
func (d *decoder) actions(b []byte) (action.List, error) {
	return d.c.actions.Actions(b, d.Version, d.c.Tun)
}

// instructions decodes instructions, in OpenFlow 1.0 actions.
func (d *decoder) instructions(b []byte) (action.List, error) {
	return d.c.actions.Instructions(b, d.Version, d.c.Tun)
}

// checkActions checks that the actions fit a flow of a table.
func (d *decoder) checkActions(l action.List, m *match.Match, table uint8) error {
	p := action.CheckParams{Match: m, MaxPort: flow.OFPMax, Table: table, NTables: 255}
	if d.c.MaxPort != 0 {
		p.MaxPort = d.c.MaxPort
	}
	if d.c.NTables != 0 {
		p.NTables = uint8(min(d.c.NTables, 255))
	}
	return l.CheckConsistent(d.protocol(), p)
}

func (e *encoder) actions(l action.List)      { e.b = l.AppendActions(e.b, e.v) }
func (e *encoder) instructions(l action.List) { e.b = l.AppendInstructions(e.b, e.v) }

func (p *printer) actions(l action.List) { p.b = l.AppendText(p.b, p.ports(), p.tables()) }
