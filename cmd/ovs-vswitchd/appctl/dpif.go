package appctl

import (
	"strconv"

	"sluice/dpif/userspace"
	"sluice/ofproto"
	"sluice/ovsdb/unixctl"
)

var dpifCommands = []command{
	{"dpif/dump-dps", "", 0, 0, func(env *Env, r *unixctl.Request) {
		text := ""
		for _, sw := range env.Bridges.Switches() {
			text += env.Bridges.Backer(sw.Name()).Dpif().Type() + "@" + sw.Name() + "\n"
		}
		r.Reply(text)
	}},
	{"dpif/show", "", 0, 0, func(env *Env, r *unixctl.Request) {
		var out []byte
		for _, dp := range env.Bridges.Datapaths() {
			out = dp.Backer.AppendShow(out)
		}
		r.Reply(string(out))
	}},
	{"dpif/dump-flows", "[-m] [--names | --no-names] bridge", 1, unixctl.AnyArgs, func(env *Env, r *unixctl.Request) {
		sw := env.Bridges.Switch(r.Args[len(r.Args)-1])
		if sw == nil {
			r.ReplyError("no such bridge")
			return
		}
		r.Reply(env.Bridges.Backer(sw.Name()).DumpFlows(sw, r.Args[:len(r.Args)-1], env.Now()))
	}},
	{"dpif/show-dp-features", "bridge", 1, 1, withBackerOf(func(_ *Env, r *unixctl.Request, _ *ofproto.Switch, b *ofproto.Backer) {
		r.Reply(b.ShowFeatures())
	})},
	{"dpif/set-dp-features", "bridge", 1, 3, withBackerOf(func(_ *Env, r *unixctl.Request, _ *ofproto.Switch, b *ofproto.Backer) {
		var name, value string
		if len(r.Args) > 1 {
			name = r.Args[1]
		}
		if len(r.Args) > 2 {
			value = r.Args[2]
		}
		r.Reply(b.SetFeature(name, value))
	})},
}

// pmdCommands show and steer the polling threads.
var pmdCommands = []command{
	{"dpif-netdev/pmd-stats-show", "[-pmd core] [dp]", 0, 3, text(userspace.PMDStatsShow)},
	{"dpif-netdev/pmd-stats-clear", "[-pmd core] [dp]", 0, 3, text(userspace.PMDStatsClear)},
	{"dpif-netdev/pmd-rxq-show", "[-pmd core] [-secs secs] [dp]", 0, 5, text(userspace.PMDRxqShow)},
	{"dpif-netdev/pmd-rxq-rebalance", "[dp]", 0, 1, text(userspace.PMDRxqRebalance)},
	{"dpif-netdev/pmd-perf-show", "[-nh] [-it iter-history-len] [-ms ms-history-len] [-pmd core] [dp]", 0, 8, text(userspace.PMDPerfShow)},
	{"dpif-netdev/pmd-perf-log-set", "on|off [-b before] [-a after] [-e|-ne] [-us usec] [-q qlen]", 0, 10, text(userspace.PMDPerfLogSet)},
	{"dpif-netdev/bond-show", "[dp]", 0, 1, text(userspace.BondShow)},
	{"dpif-netdev/subtable-lookup-info-get", "", 0, 0, text(userspace.SubtableLookupShow)},
	{"dpif-netdev/subtable-lookup-prio-set", "[lookup_func] [prio]", 2, 2, text(userspace.SubtableLookupSet)},
	{"dpif-netdev/dpif-impl-get", "", 0, 0, text(userspace.DPIFImplGet)},
	{"dpif-netdev/dpif-impl-set", "dpif_implementation_name", 1, 1, text(userspace.DPIFImplSet)},
	{"dpif-netdev/miniflow-parser-get", "", 0, 0, text(userspace.MiniflowParserGet)},
	{"dpif-netdev/miniflow-parser-set", "[-pmd core] miniflow_implementation_name [study_pkt_cnt]", 1, 5, text(userspace.MiniflowParserSet)},
}

// text makes a command of a function from arguments to text.
func text(fn func([]string) (string, error)) func(*Env, *unixctl.Request) {
	return func(_ *Env, r *unixctl.Request) {
		s, err := fn(r.Args)
		reply(r, s, err)
	}
}

var upcallCommands = []command{
	{"upcall/show", "", 0, 0, func(env *Env, r *unixctl.Request) {
		var out []byte
		for _, dp := range env.Bridges.Datapaths() {
			out = dp.Backer.AppendUpcallShow(out)
		}
		r.Reply(string(out))
	}},
	{"upcall/enable-megaflows", "", 0, 0, megaflows(true, "megaflows enabled")},
	{"upcall/disable-megaflows", "", 0, 0, megaflows(false, "megaflows disabled")},
	{"upcall/enable-ufid", "", 0, 0, func(_ *Env, r *unixctl.Request) {
		r.Reply("Datapath dumping tersely using UFID enabled for supported datapaths")
	}},
	{"upcall/disable-ufid", "", 0, 0, func(_ *Env, r *unixctl.Request) {
		// Dumps never cost a parse here; the command only has to be there.
		r.Reply("Datapath dumping tersely using UFID disabled")
	}},
	{"upcall/set-flow-limit", "flow-limit-number", 1, 1, func(env *Env, r *unixctl.Request) {
		n, err := strconv.ParseUint(r.Args[0], 10, 32)
		if err != nil {
			n = 0
		}
		for _, dp := range env.Bridges.Datapaths() {
			dp.Backer.SetFlowLimit(uint32(n))
		}
		r.Replyf("set flow_limit to %d\n", n)
	}},
	{"revalidator/wait", "", 0, 0, revalidatorWait},
	{"revalidator/purge", "", 0, 0, func(env *Env, r *unixctl.Request) {
		for _, dp := range env.Bridges.Datapaths() {
			dp.Backer.PurgeFlows(env.Now())
		}
		r.Reply("")
	}},
}

// hiddenCommands are those that list-commands does not show.
var hiddenCommands = []command{
	{"revalidator/pause", "", 0, 0, pauseRevalidation(true)},
	{"revalidator/resume", "", 0, 0, pauseRevalidation(false)},
	{"dpif-netdev/subtable-lookup-prio-get", "", 0, 0, text(userspace.SubtableLookupShow)},
}

func pauseRevalidation(pause bool) func(*Env, *unixctl.Request) {
	return func(env *Env, r *unixctl.Request) {
		for _, dp := range env.Bridges.Datapaths() {
			dp.Backer.PauseRevalidation(pause)
		}
		r.Reply("")
	}
}

func megaflows(on bool, done string) func(*Env, *unixctl.Request) {
	return func(env *Env, r *unixctl.Request) {
		ofproto.EnableMegaflows(on)
		for _, dp := range env.Bridges.Datapaths() {
			dp.Backer.FlushFlows(env.Now())
		}
		r.Reply(done)
	}
}

// revalidatorWait answers when every datapath has finished a round of revalidation
// that began after the command.
func revalidatorWait(env *Env, r *unixctl.Request) {
	dps := env.Bridges.Datapaths()
	left := len(dps)
	if left == 0 {
		r.Reply("")
		return
	}
	for _, dp := range dps {
		dp.Backer.WaitDump(func() {
			if left--; left == 0 {
				r.Reply("")
			}
		})
	}
}
