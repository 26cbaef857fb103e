package appctl

import (
	"sluice/ofproto"
	"sluice/ofproto/proto/cfm"
	"sluice/ovsdb/unixctl"
)

var cfmCommands = []command{
	{"cfm/show", "[interface]", 0, 1, func(env *Env, r *unixctl.Request) {
		now, text := env.Now(), ""
		if !onLinks(env, optional(r), (*ofproto.Switch).EachCFM, func(m *cfm.Monitor) { text += m.Details(now) }) {
			r.ReplyError("no such CFM object")
			return
		}
		r.Reply(text)
	}},
	{"cfm/set-fault", "[interface] normal|false|true", 1, 2, setOverride("no such CFM object", (*ofproto.Switch).EachCFM, (*cfm.Monitor).SetOverride,
		map[string]cfm.Override{"true": cfm.ForceFault, "false": cfm.ForceNoFault, "normal": cfm.Normal})},
}
