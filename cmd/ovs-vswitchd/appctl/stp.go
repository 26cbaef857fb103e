package appctl

import (
	"sluice/ofproto"
	"sluice/ovsdb/unixctl"
)

var treeCommands = []command{
	{"stp/tcn", "[bridge]", 0, 1, onTrees("no such stp object", "OK", func(env *Env, sw *ofproto.Switch) (string, bool) {
		return "", sw.STPTopologyChange(env.Now())
	})},
	{"stp/show", "[bridge]", 0, 1, onTrees("no such stp object", "", func(_ *Env, sw *ofproto.Switch) (string, bool) { return sw.STPShow() })},
	{"rstp/tcn", "[bridge]", 0, 1, onTrees("No such RSTP object", "OK", func(_ *Env, sw *ofproto.Switch) (string, bool) {
		return "", sw.RSTPTopologyChange()
	})},
	{"rstp/show", "[bridge]", 0, 1, onTrees("No such RSTP object", "", func(_ *Env, sw *ofproto.Switch) (string, bool) { return sw.RSTPShow() })},
}

// onTrees runs fn on the bridge that is named, or on all that have the protocol, for
// which it returns ok; the answer is done and their texts.
func onTrees(unknown, done string, fn func(*Env, *ofproto.Switch) (text string, ok bool)) func(*Env, *unixctl.Request) {
	return func(env *Env, r *unixctl.Request) {
		if len(r.Args) > 0 {
			if sw := env.Bridges.Switch(r.Args[0]); sw != nil {
				if text, ok := fn(env, sw); ok {
					r.Reply(done + text)
					return
				}
			}
			r.ReplyError(unknown)
			return
		}
		out := done
		for _, sw := range env.Bridges.Switches() {
			if text, ok := fn(env, sw); ok {
				out += text
			}
		}
		r.Reply(out)
	}
}

var mdbCommands = []command{
	{"mdb/flush", "[bridge]", 0, 1, func(env *Env, r *unixctl.Request) {
		const done = "table successfully flushed"
		if len(r.Args) > 0 {
			withBackerOf(func(_ *Env, r *unixctl.Request, sw *ofproto.Switch, b *ofproto.Backer) {
				reply(r, done, b.MDBFlush(sw))
			})(env, r)
			return
		}
		for _, sw := range env.Bridges.Switches() {
			// Bridges without snooping have nothing to flush.
			_ = env.Bridges.Backer(sw.Name()).MDBFlush(sw)
		}
		r.Reply(done)
	}},
	{"mdb/show", "bridge", 1, 1, withBackerOf(func(env *Env, r *unixctl.Request, sw *ofproto.Switch, b *ofproto.Backer) {
		text, err := b.MDBShow(sw, env.Now())
		reply(r, text, err)
	})},
}
