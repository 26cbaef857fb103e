package xlate

import (
	"fmt"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/table"
)

// NodeKind says how a Node of a trace is printed.
type NodeKind uint8

// The kinds of nodes.
const (
	NodeDetail NodeKind = iota // an aside
	NodeWarn                   // worth a second look
	NodeError                  // something that would be logged
	NodeBridge                 // a bridge is entered
	NodeTable                  // a table lookup, with what its rule did below it
	NodeBucket                 // a group's bucket, with what it did below it
	NodeThaw                   // frozen state is restored
	NodeAction                 // an OpenFlow action
)

// Node is one line of a trace with those below it.
type Node struct {
	Kind NodeKind
	Text string
	Subs []*Node
}

// Recirculation is a place where the datapath will come back with the packet.
type Recirculation struct {
	ID   uint32
	Kind RecircKind
	Zone uint16
	NAT  *action.NAT
	Flow flow.Flow // as the packet left
}

// RecircKind says why the packet comes back.
type RecircKind uint8

// The reasons for which a packet comes back.
const (
	RecircConntrack RecircKind = iota
	RecircMPLS
	RecircBond
)

// Trace collects the story of a translation.
type Trace struct {
	Nodes   []*Node
	Recircs []Recirculation
	// Names prints port names in place of numbers.
	Names bool
}

func vlogLimiter() *vlog.Limiter { return vlog.NewLimiter(60, 5) }

var (
	rlError = vlog.NewLimiter(1, 5)
	rlInfo  = vlog.NewLimiter(1, 5)
	rlDebug = vlog.NewLimiter(30, 300)
)

// report adds a line to the trace, if there is one.
func (ctx *context) report(kind NodeKind, text string) {
	if ctx.trace != nil {
		*ctx.trace = append(*ctx.trace, &Node{Kind: kind, Text: text})
	}
}

// reportf is report with a format.  Frequent callers test ctx.trace first, since
// the arguments cost an allocation.
func (ctx *context) reportf(kind NodeKind, format string, args ...any) {
	if ctx.trace != nil {
		ctx.report(kind, fmt.Sprintf(format, args...))
	}
}

// nest adds a line and makes it the parent of what follows; the caller restores
// ctx.trace.
func (ctx *context) nest(kind NodeKind, text func() string) {
	if ctx.trace != nil {
		n := &Node{Kind: kind, Text: text()}
		*ctx.trace = append(*ctx.trace, n)
		ctx.trace = &n.Subs
	}
}

// errorf reports what is worth a log message when a packet ran into it.
func (ctx *context) errorf(format string, args ...any) {
	if ctx.trace != nil {
		ctx.reportf(NodeError, format, args...)
	} else if ctx.in.Packet != nil {
		log.WarnRL(rlError, "%s on bridge %s while processing %s", lazy(format, args),
			ctx.bridge.Name, lazyFlow{ctx})
	}
}

// infof is like errorf, for what is no error.
func (ctx *context) infof(format string, args ...any) {
	if ctx.trace != nil {
		ctx.reportf(NodeWarn, format, args...)
	} else if ctx.in.Packet != nil {
		log.InfoRL(rlInfo, "%s on bridge %s while processing %s", lazy(format, args),
			ctx.bridge.Name, lazyFlow{ctx})
	}
}

// debugf reports to the trace, or for debugging to the log.
func (ctx *context) debugf(kind NodeKind, format string, args ...any) {
	if ctx.trace != nil {
		ctx.reportf(kind, format, args...)
	} else if ctx.in.Packet != nil && log.DbgEnabled() {
		log.DbgRL(rlDebug, "bridge %s: %s", ctx.bridge.Name, lazy(format, args))
	}
}

// lazyText formats only when the message is really logged.
type lazyText struct {
	format string
	args   []any
}

func lazy(format string, args []any) lazyText { return lazyText{format, args} }

func (l lazyText) String() string { return fmt.Sprintf(l.format, l.args...) }

type lazyFlow struct{ ctx *context }

func (l lazyFlow) String() string { return flowText(&l.ctx.base) }

// reportActions adds a line of title and the text of a list of actions.
func (ctx *context) reportActions(kind NodeKind, title string, l action.List) {
	if ctx.trace != nil {
		ctx.report(kind, title+actionsText(l, nil))
	}
}

// reportActionSet adds a line with the action set; verb is "is" or "was".
func (ctx *context) reportActionSet(verb string) {
	if ctx.trace == nil {
		return
	}
	if l := action.AppendSet(nil, ctx.actionSet); len(l) > 0 {
		ctx.report(NodeDetail, "action set "+verb+": "+actionsText(l, nil))
	} else {
		ctx.report(NodeDetail, "action set "+verb+" empty")
	}
}

// reportTable adds a line for a table lookup that found rule, and nests what
// follows below it.
func (ctx *context) reportTable(rule *table.Rule, id uint8) {
	if ctx.trace == nil {
		return
	}
	set := ctx.in.Bridge.Tables
	ctx.nest(NodeTable, func() string {
		text := fmt.Sprintf("%2d. ", id)
		switch rule {
		case set.MissRule:
			return text + "No match, and a \"packet-in\" is called for."
		case set.NoPacketInRule:
			return text + "No match."
		case set.DropFragsRule:
			return text + "Packets are IP fragments and the fragment handling mode is \"drop\"."
		}
		m := rule.Match()
		m.Tun = ctx.in.Bridge.TunTable
		if s := matchText(&m, ctx.portNames()); s != "" {
			text += s + ", "
		}
		text += fmt.Sprintf("priority %d", rule.Priority())
		if rule.Cookie != 0 {
			text += fmt.Sprintf(", cookie %#x", rule.Cookie)
		}
		return text
	})
}

// reportSub adds a line with the new value of a part of a field.
func (ctx *context) reportSub(s field.Sub) {
	if ctx.trace == nil {
		return
	}
	text := subText(s) + " is now "
	if s.IsWhole() {
		var v field.Value
		field.Read(&ctx.flow, s.ID, ctx.bridge.TunTable, &v)
		text += fieldText(s.ID, &v)
	} else {
		b := make([]byte, subBytes(s))
		s.Read(&ctx.flow, ctx.bridge.TunTable, b)
		text += hexText(b)
	}
	ctx.report(NodeDetail, text)
}

// hexText prints a big-endian number without leading zeros.
func hexText(b []byte) string {
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	if len(b) == 0 {
		return "0"
	}
	return fmt.Sprintf("0x%x", b[0]) + fmt.Sprintf("%x", b[1:])
}

// hex formats a number as C's "%#"PRIx64 does: zero has no 0x.
func hex(v uint64) string {
	if v == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", v)
}
