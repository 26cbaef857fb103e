package xlate

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/match"
)

// PortName implements field.PortMap for traces that name ports.
func (b *Bridge) PortName(port uint32) string {
	if p := b.byOFPort[port]; p != nil {
		return p.Name
	}
	return ""
}

// PortByName implements field.PortMap.
func (b *Bridge) PortByName(name string) (uint32, bool) {
	for _, p := range b.Ports {
		if p.Name == name {
			return p.OFPort, true
		}
	}
	return 0, false
}

// portNames returns the names to print for ports, nil: print numbers.
func (ctx *context) portNames() field.PortMap {
	if ctx.in.Trace == nil || !ctx.in.Trace.Names {
		return nil
	}
	return ctx.bridge
}

func subText(s field.Sub) string { return string(s.AppendText(nil)) }

func fieldText(id field.ID, v *field.Value) string {
	return string(field.Get(id).AppendValue(nil, v, nil, nil))
}

// matchText, actionsText and flowText are the texts of ovs-fields(7) and
// ovs-actions(7).
func matchText(m *match.Match, ports field.PortMap) string {
	return string(m.AppendText(nil, ports, match.DefaultPriority))
}

func actionsText(l action.List, ports field.PortMap) string {
	return string(l.AppendText(nil, ports, nil))
}

func flowText(f *flow.Flow) string { return string(FlowText(nil, f, nil, nil)) }
