// Package trace tells the story of a packet: which flows it matches in which
// table, what they do to it, and what comes out as datapath actions and megaflow.
// It is ofproto/trace and ofproto/trace-packet-out.
//
// The translation is the one that handles real packets (ofproto/xlate); this
// package parses the commands' arguments and prints.  The text is stock's, which
// tests and people compare.
package trace

import (
	"fmt"
	"strings"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/internal/errno"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/recirc"
	"sluice/ofproto/xlate"
)

// Datapath is one datapath with its bridges.
type Datapath struct {
	Dpif    dpif.Dpif
	Snap    *xlate.Snapshot
	Recircs *recirc.Pool
	Names   odp.PortNames
}

// Packet is what to trace.
type Packet struct {
	Bridge *xlate.Bridge
	Flow   flow.Flow // with an OpenFlow port as InPort
	Data   []byte    // nil: no packet, and so no side effects
	// Actions are traced in place of table 0, if HasActions is set.
	Actions    action.List
	HasActions bool
	CTNext     []uint8 // what connection tracking will say, ct by ct
	Names      bool    // print ports by name
	Now        int64
}

// maxRecircs ends traces of packets that come back for ever.
const maxRecircs = 4096

// Trace returns the story of p, and of the packets that come back from the
// datapath because of it.
func Trace(dp *Datapath, p *Packet) string {
	t := tracer{dp: dp, p: p, next: p.CTNext}
	t.one(p.Bridge, &p.Flow)
	for i := 0; i < len(t.queue) && i < maxRecircs; i++ {
		r := t.queue[i]
		t.recirc(&r)
		if br, ofport, err := dp.Snap.Find(&r.Flow, dp.Recircs); err == nil {
			r.Flow.InPort = ofport
			t.one(br, &r.Flow)
		} else {
			t.one(p.Bridge, &r.Flow)
		}
		dp.Recircs.Unref(r.ID)
	}
	return t.b.String()
}

// tracer is a trace in the making.
type tracer struct {
	dp    *Datapath
	p     *Packet
	b     strings.Builder
	queue []xlate.Recirculation
	next  []uint8
}

func (t *tracer) printf(format string, args ...any) { fmt.Fprintf(&t.b, format, args...) }

// one traces one passage through the bridge.
func (t *tracer) one(br *xlate.Bridge, f *flow.Flow) {
	var tr xlate.Trace
	tr.Names = t.p.Names
	in := xlate.In{Snap: t.dp.Snap, Bridge: br, Flow: *f, Packet: t.p.Data, TCPFlags: f.TCPFlags,
		Actions: t.p.Actions, HasActions: t.p.HasActions, Recirc: t.dp.Recircs, Trace: &tr, Now: t.p.Now}
	if t.p.Data != nil {
		in.Sink = xlate.DirectSink{}
	}
	var ports field.PortMap
	var dpPorts odp.PortNames
	if t.p.Names {
		ports, dpPorts = br, t.dp.Names
	}
	initial := *f
	br.Normalize(&initial)
	initial.ActsetOutput = flow.OFPUnset
	t.printf("Flow: %s\n", xlate.FlowText(nil, &initial, br.TunTable, ports))
	var out xlate.Out
	xlate.Translate(&in, &out)
	for _, r := range tr.Recircs {
		if t.dp.Recircs.Ref(r.ID) {
			r.Flow.RecircID, r.Flow.CTZone = r.ID, r.Zone
			t.queue = append(t.queue, r)
		}
	}
	t.nodes(tr.Nodes, 0)
	t.b.WriteString("\nFinal flow: ")
	if out.Final == initial {
		t.b.WriteString("unchanged")
	} else {
		t.b.Write(xlate.FlowText(nil, &out.Final, br.TunTable, ports))
	}
	m := match.Match{Flow: initial, Mask: out.Mask, Tun: br.TunTable}
	m.ZeroWildcarded()
	t.printf("\nMegaflow: %s\n", m.AppendText(nil, ports, match.DefaultPriority))
	t.printf("Datapath actions: %s", odp.FormatActions(nil, out.Actions, dpPorts))
	if out.Err != xlate.OK {
		t.printf("\nTranslation failed (%s), packet is dropped.\n", out.Err)
	} else {
		t.explainSlow(out.Slow)
		t.execute(br, &initial, out.Actions)
	}
	for _, id := range out.Recircs {
		t.dp.Recircs.Unref(id)
	}
}

// nodes prints a list of nodes with what is below them.
func (t *tracer) nodes(nodes []*xlate.Node, level int) {
	for i, n := range nodes {
		if n.Kind == xlate.NodeBridge {
			t.b.WriteByte('\n')
		}
		more := 0
		if i < len(nodes)-1 || terminal(n.Kind) {
			more = 1
		}
		indent := strings.Repeat(" ", (level+more)*4)
		switch n.Kind {
		case xlate.NodeDetail:
			t.printf("%s -> %s\n", indent, n.Text)
		case xlate.NodeWarn:
			t.printf("%s >> %s\n", indent, n.Text)
		case xlate.NodeError:
			t.printf("%s >>>> %s <<<<\n", indent, n.Text)
		case xlate.NodeBridge:
			t.printf("%s%s\n%s%s\n", indent, n.Text, indent, strings.Repeat("-", len(n.Text)))
		default:
			t.printf("%s%s\n", indent, n.Text)
		}
		t.nodes(n.Subs, level+2*more)
	}
}

// terminal reports that a node is a leaf of the story even when it is the last, so
// that it is indented below what it belongs to.
func terminal(k xlate.NodeKind) bool {
	switch k {
	case xlate.NodeBridge, xlate.NodeTable, xlate.NodeThaw:
		return false
	}
	return true
}

// recirc prints the heading of a packet that comes back, and gives it the fields
// that it would come back with.
func (t *tracer) recirc(r *xlate.Recirculation) {
	line := strings.Repeat("=", 79)
	t.printf("\n\n%s\nrecirc(%#x)", line, r.ID)
	if r.Kind == xlate.RecircConntrack {
		state := uint8(flow.CTTracked | flow.CTNew)
		if len(t.next) == 0 {
			t.b.WriteString(" - resume conntrack with default ct_state=trk|new (use --ct-next to customize)")
		} else {
			state, t.next = t.next[0], t.next[1:]
			t.printf(" - resume conntrack with ct_state=%s",
				field.AppendFlags(nil, field.CTStateNames(), uint32(state), '|'))
		}
		r.Flow.CTState = state
	}
	t.b.WriteByte('\n')
	if n := r.NAT; n != nil {
		t.b.WriteString("Replacing src/dst IP/ports to simulate NAT:\n Initial flow: ")
		t.addresses(&r.Flow, n)
		applyNAT(&r.Flow, n)
		t.b.WriteString(" Modified flow: ")
		t.addresses(&r.Flow, n)
	}
	t.printf("%s\n\n", line)
}

// addresses prints the addresses and ports of f.
func (t *tracer) addresses(f *flow.Flow, n *action.NAT) {
	switch {
	case n.HasAddr && !n.IPv6:
		t.printf("nw_src=%s,tp_src=%d,nw_dst=%s,tp_dst=%d", field.AppendIPv4(nil, f.NwSrc), f.TpSrc,
			field.AppendIPv4(nil, f.NwDst), f.TpDst)
	case n.HasAddr:
		t.printf("ipv6_src=[%s],tp_src=%d,ipv6_dst=[%s],tp_dst=%d", field.AppendIPv6(nil, f.IPv6Src[:]), f.TpSrc,
			field.AppendIPv6(nil, f.IPv6Dst[:]), f.TpDst)
	}
	t.b.WriteByte('\n')
}

// applyNAT translates f to the first address and port that n allows.
func applyNAT(f *flow.Flow, n *action.NAT) {
	v4 := uint32(n.AddrMin[0])<<24 | uint32(n.AddrMin[1])<<16 | uint32(n.AddrMin[2])<<8 | uint32(n.AddrMin[3])
	if n.Flags&action.NATSrc != 0 && n.HasAddr {
		if n.IPv6 {
			f.IPv6Src = n.AddrMin
		} else {
			f.NwSrc = v4
		}
		if n.ProtoMin != 0 {
			f.TpSrc = n.ProtoMin
		}
	}
	if n.Flags&action.NATDst != 0 && n.HasAddr {
		if n.IPv6 {
			f.IPv6Dst = n.AddrMin
		} else {
			f.NwDst = v4
		}
		if n.ProtoMin != 0 {
			f.TpDst = n.ProtoMin
		}
	}
}

// slowReasons explain the bits of xlate.SlowReason.
var slowReasons = []string{"Consists of CFM packets", "Consists of BFD packets", "Consists of LACP packets",
	"Consists of STP packets", "Consists of LLDP packets", "Uses action(s) not supported by datapath",
	"Datapath can't match specifically enough"}

func (t *tracer) explainSlow(slow xlate.SlowReason) {
	if slow == 0 {
		return
	}
	t.b.WriteString("\nThis flow is handled by the userspace slow path because it:")
	for i, text := range slowReasons {
		if slow&(1<<i) != 0 {
			t.printf("\n  - %s.", text)
		}
	}
}

// execute has the datapath do everything but output, so that packet-ins and
// samples of a traced packet are really sent.
func (t *tracer) execute(br *xlate.Bridge, f *flow.Flow, acts []odp.Action) {
	if t.p.Data == nil {
		return
	}
	ex := dpif.Execute{Packet: append([]byte(nil), t.p.Data...), Key: *f, Actions: withoutOutputs(acts)}
	ex.Key.InPort = dpif.PortNone
	if p := br.Port(f.InPort); p != nil {
		ex.Key.InPort = p.ODP
	}
	if len(ex.Actions) == 0 {
		return
	}
	if err := t.dp.Dpif.Execute(&ex); err != nil {
		t.printf("\nAction execution failed (%s)\n.", errno.Text(err))
	}
}

func withoutOutputs(acts []odp.Action) []odp.Action {
	var out []odp.Action
	for _, a := range acts {
		switch a.Type {
		case odp.Output, odp.Recirc:
			continue
		case odp.Clone:
			a.Nested = withoutOutputs(a.Nested)
		}
		out = append(out, a)
	}
	return out
}
