package appctl

import (
	"slices"

	"sluice/ofproto"
	"sluice/ovsdb/unixctl"
)

var bridgeCommands = []command{
	{"bridge/reconnect", "[bridge]", 0, 1, func(env *Env, r *unixctl.Request) {
		if len(r.Args) > 0 {
			sw := env.Bridges.Switch(r.Args[0])
			if sw == nil {
				r.ReplyError("Unknown bridge")
				return
			}
			sw.Reconnect(env.Now())
		} else {
			for _, sw := range env.Bridges.Switches() {
				sw.Reconnect(env.Now())
			}
		}
		r.Reply("")
	}},
	{"bridge/dump-flows", "[--offload-stats] bridge", 1, 2, func(env *Env, r *unixctl.Request) {
		offload := r.Args[0] == "--offload-stats"
		sw := env.Bridges.Switch(r.Args[len(r.Args)-1])
		if sw == nil {
			r.ReplyError("Unknown bridge")
			return
		}
		r.Reply(sw.DumpAllFlows(env.Now(), offload))
	}},
}

var ofprotoCommands = []command{
	{"ofproto/list", "", 0, 0, func(env *Env, r *unixctl.Request) {
		text := ""
		for _, sw := range env.Bridges.Switches() {
			text += sw.Name() + "\n"
		}
		r.Reply(text)
	}},
	{"ofproto/list-tunnels", "", 0, 0, func(env *Env, r *unixctl.Request) {
		var out []byte
		for _, b := range backers(env) {
			out = b.AppendTunnels(out)
		}
		r.Reply(string(out))
	}},
	{"ofproto/trace", "{[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet]", 1, unixctl.AnyArgs,
		func(env *Env, r *unixctl.Request) {
			text, err := ofproto.Trace(backers(env), r.Args, env.Now())
			reply(r, text, err)
		}},
	{"ofproto/trace-packet-out", "[-consistent] {[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet] actions",
		2, unixctl.AnyArgs, func(env *Env, r *unixctl.Request) {
			text, err := ofproto.TracePacketOut(backers(env), r.Args, env.Now())
			reply(r, text, err)
		}},
}

var qosCommands = []command{
	{"qos/show", "interface", 1, 1, func(env *Env, r *unixctl.Request) {
		text, err := env.Bridges.QoSShow(r.Args[0])
		reply(r, text, err)
	}},
	{"qos/show-types", "interface", 1, 1, func(env *Env, r *unixctl.Request) {
		text, err := env.Bridges.QoSTypes(r.Args[0])
		reply(r, text, err)
	}},
}

func backers(env *Env) []*ofproto.Backer {
	var out []*ofproto.Backer
	for _, dp := range env.Bridges.Datapaths() {
		out = append(out, dp.Backer)
	}
	return out
}

var fdbCommands = []command{
	{"fdb/show", "bridge", 1, 1, withBackerOf(func(env *Env, r *unixctl.Request, sw *ofproto.Switch, b *ofproto.Backer) {
		r.Reply(b.FDBShow(sw, env.Now()))
	})},
	{"fdb/stats-show", "bridge", 1, 1, withBackerOf(func(_ *Env, r *unixctl.Request, sw *ofproto.Switch, b *ofproto.Backer) {
		r.Reply(b.FDBStatsShow(sw))
	})},
	{"fdb/flush", "[bridge]", 0, 1, onBridges("table successfully flushed", func(b *ofproto.Backer, sw *ofproto.Switch) { b.FDBFlush(sw) })},
	{"fdb/stats-clear", "[bridge]", 0, 1, onBridges("statistics successfully cleared", func(b *ofproto.Backer, sw *ofproto.Switch) { b.FDBStatsClear(sw) })},
	{"fdb/add", "bridge port vlan mac", 4, 4, withBackerOf(func(env *Env, r *unixctl.Request, sw *ofproto.Switch, b *ofproto.Backer) {
		text, err := b.FDBAdd(sw, r.Args[1], r.Args[2], r.Args[3], env.Now())
		reply(r, text, err)
	})},
	{"fdb/del", "bridge vlan mac", 3, 3, withBackerOf(func(_ *Env, r *unixctl.Request, sw *ofproto.Switch, b *ofproto.Backer) {
		reply(r, "", b.FDBDel(sw, r.Args[1], r.Args[2]))
	})},
}

// withBackerOf runs fn on the bridge that the first argument names and the Backer
// that serves it.
func withBackerOf(fn func(*Env, *unixctl.Request, *ofproto.Switch, *ofproto.Backer)) func(*Env, *unixctl.Request) {
	return func(env *Env, r *unixctl.Request) {
		sw := env.Bridges.Switch(r.Args[0])
		if sw == nil {
			r.ReplyError("no such bridge")
			return
		}
		fn(env, r, sw, env.Bridges.Backer(sw.Name()))
	}
}

// onBridges runs fn on the bridge that is named, or on all.
func onBridges(done string, fn func(*ofproto.Backer, *ofproto.Switch)) func(*Env, *unixctl.Request) {
	return func(env *Env, r *unixctl.Request) {
		switches := env.Bridges.Switches()
		if len(r.Args) > 0 {
			i := slices.IndexFunc(switches, func(sw *ofproto.Switch) bool { return sw.Name() == r.Args[0] })
			if i < 0 {
				r.ReplyError("no such bridge")
				return
			}
			switches = switches[i : i+1]
		}
		for _, sw := range switches {
			fn(env.Bridges.Backer(sw.Name()), sw)
		}
		r.Reply(done)
	}
}
