package appctl

import (
	"sluice/ofproto/proto/lldp"
	"sluice/ovsdb/unixctl"
)

var autoattachCommands = []command{
	{"autoattach/status", "[bridge]", 0, 1, showAgents((*lldp.Agent).Status)},
	{"autoattach/show-isid", "[bridge]", 0, 1, showAgents((*lldp.Agent).Mappings)},
	{"autoattach/statistics", "[bridge]", 0, 1, showAgents((*lldp.Agent).Statistics)},
}

// showAgents prints something of each LLDP agent: those of the bridge that is named,
// or all.  (Stock takes the name, but prints all.)
func showAgents(text func(*lldp.Agent) string) func(*Env, *unixctl.Request) {
	return func(env *Env, r *unixctl.Request) {
		out, name := "", optional(r)
		for _, sw := range env.Bridges.Switches() {
			if name == "" || sw.Name() == name {
				sw.EachLLDP(func(a *lldp.Agent) { out += text(a) })
			}
		}
		r.Reply(out)
	}
}
