package appctl

import (
	"sluice/ofproto/proto/cfm"
	"sluice/ovsdb/unixctl"
)

var cfmCommands = []command{
	{"cfm/show", "[interface]", 0, 1, func(env *Env, r *unixctl.Request) {
		now, text := env.Now(), ""
		if !eachCFM(env, optional(r), func(m *cfm.Monitor) { text += m.Details(now) }) {
			r.ReplyError("no such CFM object")
			return
		}
		r.Reply(text)
	}},
	{"cfm/set-fault", "[interface] normal|false|true", 1, 2, func(env *Env, r *unixctl.Request) {
		name, value := override(r)
		o, ok := map[string]cfm.Override{"true": cfm.ForceFault, "false": cfm.ForceNoFault, "normal": cfm.Normal}[value]
		switch {
		case !ok:
			r.ReplyError("unknown fault string")
		case !eachCFM(env, name, func(m *cfm.Monitor) { m.SetOverride(o) }):
			r.ReplyError("no such CFM object")
		default:
			r.Reply("OK")
		}
	}},
}

// eachCFM calls fn for the monitor of an interface, or for all if name is empty, and
// reports whether there was the one.
func eachCFM(env *Env, name string, fn func(*cfm.Monitor)) bool {
	found := name == ""
	for _, sw := range env.Bridges.Switches() {
		found = sw.EachCFM(name, fn) || found
	}
	return found
}
