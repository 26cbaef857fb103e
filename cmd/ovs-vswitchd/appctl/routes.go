package appctl

import "sluice/ovsdb/unixctl"

var routeCommands = []command{
	{"ovs/route/add", "ip_addr/prefix_len out_br_name [gw] [pkt_mark=mark]", 2, 4, func(env *Env, r *unixctl.Request) {
		reply(r, "OK", env.Native.Routes.AddCommand(r.Args))
	}},
	{"ovs/route/show", "", 0, 0, func(env *Env, r *unixctl.Request) { r.Reply(env.Native.Routes.Show()) }},
	{"ovs/route/del", "ip_addr/prefix_len [pkt_mark=mark]", 1, 2, func(env *Env, r *unixctl.Request) {
		reply(r, "OK", env.Native.Routes.DelCommand(r.Args))
	}},
	{"ovs/route/lookup", "ip_addr [pkt_mark=mark]", 1, 2, func(env *Env, r *unixctl.Request) {
		text, err := env.Native.Routes.LookupCommand(r.Args)
		reply(r, text, err)
	}},
}
