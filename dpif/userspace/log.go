package userspace

import (
	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/internal/errno"
	"sluice/internal/vlog"
)

// The messages in this file are what stock logs at debug level about upcalls and
// changes of flows: the first thing that people (and Open vSwitch's tests) look at
// when a packet does not go where it should.

var (
	logDpif  = vlog.New("dpif")
	rlUpcall = vlog.NewLimiter(600, 600)
	rlMsg    = vlog.NewLimiter(600, 600)
	rlError  = vlog.NewLimiter(60, 5)
)

// logUpcall logs a packet that goes to ofproto.
func (t *thread) logUpcall(u *dpif.Upcall) {
	if !log.DbgEnabled() || log.ShouldDrop(vlog.Dbg, rlUpcall) {
		return
	}
	kind := "miss"
	if u.Kind == dpif.UpcallAction {
		kind = "action"
	}
	text := ""
	if f := t.dp.formatPacket; f != nil {
		text = f(u.Whole(), u.Key.PacketType)
	}
	key := *u.Key
	hideNDExt(&key, &flow.Flow{})
	log.Dbg("%s: %s upcall:\n%s\n%s", t.dp.name, kind, odp.FormatKeyVerbose(nil, &key, nil, nil), text)
}

// logFlowChange logs a flow that was added, or whose actions were old.
func (t *thread) logFlowChange(ufid flow.UFID, key *flow.Flow, mask *flow.Mask, old, actions []odp.Action, added bool) {
	if !log.DbgEnabled() || log.ShouldDrop(vlog.Dbg, rlUpcall) {
		return
	}
	masked := *key
	w := masked.Words()
	for i, m := range mask.Words() {
		w[i] &= m
	}
	b := []byte("flow_mod: ")
	if added {
		b = []byte("flow_add: ")
	}
	b = odp.AppendUFID(b, ufid)
	b = append(b, " mega_"...)
	b = odp.AppendUFID(b, masked.HashUFID())
	b = append(b, ' ')
	b = odp.FormatKey(b, key, mask, nil)
	if !added {
		b = append(b, ", old_actions:"...)
		b = odp.FormatActions(b, old, nil)
	}
	b = append(b, ", actions:"...)
	b = odp.FormatActions(b, actions, nil)
	log.Dbg("%s", b)
}

// logFlow logs an operation on a flow.
func (d *Dpif) logFlow(op string, err error, ufid flow.UFID, key *flow.Flow, mask *flow.Mask, stats *dpif.FlowStats, actions []odp.Action) {
	level, rl := vlog.Dbg, rlMsg
	if err != nil {
		level, rl = vlog.Warn, rlError
	}
	if !logDpif.Enabled(level) || logDpif.ShouldDrop(level, rl) {
		return
	}
	b := append([]byte(d.String()), ": "...)
	if err != nil {
		b = append(b, "failed to "...)
	}
	b = append(b, op...)
	b = append(b, ' ')
	if err != nil {
		b = append(b, '(')
		b = append(b, errno.Text(err)...)
		b = append(b, ") "...)
	}
	b = odp.AppendUFID(b, ufid)
	b = append(b, ' ')
	b = odp.FormatKeyVerbose(b, key, mask, nil)
	if stats != nil {
		b = append(b, ", "...)
		b = dpif.AppendStats(b, stats, d.clock.Now())
	}
	if actions != nil {
		b = append(b, ", actions:"...)
		b = odp.FormatActions(b, actions, nil)
	}
	logDpif.Log(level, "%s", b)
}

func (d *Dpif) logPut(p *dpif.FlowPut, err error) {
	op := "put"
	if p.Create {
		op += "[create]"
	}
	if p.Modify {
		op += "[modify]"
	}
	if p.ZeroStats {
		op += "[zero]"
	}
	actions := p.Actions
	if actions == nil {
		actions = []odp.Action{}
	}
	d.logFlow(op, err, p.UFID, &p.Key, &p.Mask, nil, actions)
}

// logOperation logs what happened to the datapath as a whole.
func (d *Dpif) logOperation(op string, err error) {
	if err != nil {
		logDpif.WarnRL(rlError, "%s: %s failed (%s)", d, op, errno.Text(err))
	} else if logDpif.DbgEnabled() {
		logDpif.DbgRL(rlMsg, "%s: %s success", d, op)
	}
}

// logExecute logs a packet that ofproto has the datapath execute actions on.
func (d *Dpif) logExecute(e *dpif.Execute, err error) {
	if err == nil && !logDpif.DbgEnabled() || e.Probe {
		return
	}
	level, rl := vlog.Dbg, rlMsg
	if err != nil {
		level, rl = vlog.Warn, rlError
	}
	if logDpif.ShouldDrop(level, rl) {
		return
	}
	b := append([]byte(d.String()), ": execute "...)
	b = odp.FormatActions(b, e.Actions, nil)
	if err != nil {
		b = append(b, " failed ("...)
		b = append(b, errno.Text(err)...)
		b = append(b, ')')
	}
	b = append(b, " on packet "...)
	if d.formatPacket != nil {
		b = append(b, d.formatPacket(e.Packet, e.Key.PacketType)...)
	}
	b = append(b, " with metadata "...)
	b = odp.FormatKeyVerbose(b, &e.Key, nil, nil)
	logDpif.Log(level, "%s mtu %d", b, e.MTU)
}
