package appctl

import "sluice/ovsdb/unixctl"

var lacpCommands = []command{
	{"lacp/show", "[port]", 0, 1, lacpShow(false)},
	{"lacp/show-stats", "[port]", 0, 1, lacpShow(true)},
}

func lacpShow(stats bool) func(*Env, *unixctl.Request) {
	return func(env *Env, r *unixctl.Request) {
		name := optional(r)
		var out []byte
		found := name == ""
		for _, sw := range env.Bridges.Switches() {
			var ok bool
			out, ok = sw.AppendLACP(out, name, stats)
			found = found || ok
		}
		if !found {
			r.ReplyError("no such lacp object")
			return
		}
		r.Reply(string(out))
	}
}
