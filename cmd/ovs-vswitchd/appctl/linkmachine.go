package appctl

import (
	"strings"

	"sluice/ofproto"
	"sluice/ovsdb/unixctl"
)

// eachOn is a method of a Switch that calls fn for the machine of an interface, or for
// all of a protocol if name is empty, and reports whether there was the one.
type eachOn[M any] func(sw *ofproto.Switch, name string, fn func(M)) bool

// onLinks calls fn for the machine of an interface, or for all if name is empty, and
// reports whether there was the one.
func onLinks[M any](env *Env, name string, each eachOn[M], fn func(M)) bool {
	found := name == ""
	for _, sw := range env.Bridges.Switches() {
		found = each(sw, name, fn) || found
	}
	return found
}

// setOverride is a command "[interface] value" that puts an operator's judgement in
// place of a machine's; case does not matter in the value.
func setOverride[M, O any](unknown string, each eachOn[M], set func(M, O), values map[string]O) func(*Env, *unixctl.Request) {
	return func(env *Env, r *unixctl.Request) {
		name := ""
		if len(r.Args) > 1 {
			name = r.Args[0]
		}
		o, ok := values[strings.ToLower(r.Args[len(r.Args)-1])]
		switch {
		case !ok:
			r.ReplyError("unknown fault string")
		case !onLinks(env, name, each, func(m M) { set(m, o) }):
			r.ReplyError(unknown)
		default:
			r.Reply("OK")
		}
	}
}

// optional returns the only argument, or "".
func optional(r *unixctl.Request) string {
	if len(r.Args) > 0 {
		return r.Args[0]
	}
	return ""
}
