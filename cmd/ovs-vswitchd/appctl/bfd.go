package appctl

import (
	"sluice/ofproto"
	"sluice/ofproto/proto/bfd"
	"sluice/ovsdb/unixctl"
)

var bfdCommands = []command{
	{"bfd/show", "[interface]", 0, 1, func(env *Env, r *unixctl.Request) {
		now, text := env.Now(), ""
		name := optional(r)
		found := onLinks(env, name, (*ofproto.Switch).EachBFD, func(s *bfd.Session) {
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
	{"bfd/set-forwarding", "[interface] normal|false|true", 1, 2, setOverride("no such BFD object", (*ofproto.Switch).EachBFD, (*bfd.Session).SetOverride,
		map[string]bfd.Override{"true": bfd.ForceForwarding, "false": bfd.ForceBlocked, "normal": bfd.Normal})},
}
