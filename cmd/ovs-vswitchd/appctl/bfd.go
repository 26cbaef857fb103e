package appctl

import (
	"strings"

	"sluice/ofproto/proto/bfd"
	"sluice/ovsdb/unixctl"
)

var bfdCommands = []command{
	{"bfd/show", "[interface]", 0, 1, func(env *Env, r *unixctl.Request) {
		now, text := env.Now(), ""
		name := optional(r)
		found := eachBFD(env, name, func(s *bfd.Session) {
			if name == "" {
				text += "---- " + s.Name() + " ----\n"
			}
			text += s.Details(now)
		})
		if !found {
			r.ReplyError("no such bfd object")
			return
		}
		r.Reply(text)
	}},
	{"bfd/set-forwarding", "[interface] normal|false|true", 1, 2, func(env *Env, r *unixctl.Request) {
		name, value := override(r)
		o, ok := map[string]bfd.Override{"true": bfd.ForceForwarding, "false": bfd.ForceBlocked, "normal": bfd.Normal}[value]
		switch {
		case !ok:
			r.ReplyError("unknown fault string")
		case !eachBFD(env, name, func(s *bfd.Session) { s.SetOverride(o) }):
			r.ReplyError("no such BFD object")
		default:
			r.Reply("OK")
		}
	}},
}

// eachBFD calls fn for the session of an interface, or for all if name is empty, and
// reports whether there was the one.
func eachBFD(env *Env, name string, fn func(*bfd.Session)) bool {
	found := name == ""
	for _, sw := range env.Bridges.Switches() {
		found = sw.EachBFD(name, fn) || found
	}
	return found
}

// optional returns the only argument, or "".
func optional(r *unixctl.Request) string {
	if len(r.Args) > 0 {
		return r.Args[0]
	}
	return ""
}

// override splits the arguments "[interface] value"; case does not matter in the
// value.
func override(r *unixctl.Request) (name, value string) {
	if len(r.Args) > 1 {
		name = r.Args[0]
	}
	return name, strings.ToLower(r.Args[len(r.Args)-1])
}
