package appctl

import (
	"fmt"
	"strings"

	"sluice/internal/vlog"
	"sluice/ovsdb/unixctl"
)

var (
	logExecute = vlog.New("odp_execute")
	logImpl    = vlog.New("odp_execute_impl")
)

// actionImpls are the ways to execute datapath actions that a user may choose.  Stock
// has some that use a CPU's vector instructions; the autovalidator compares all that
// there are with the first.  Here, as on a CPU without those instructions, the first is
// the only one, so that the choice changes nothing but what is shown.
var actionImpls = []string{"scalar", "autovalidator"}

var odpExecuteCommands = []command{
	{"odp-execute/action-impl-set", "name", 1, 1, func(env *Env, r *unixctl.Request) {
		name := r.Args[0]
		for i, n := range actionImpls {
			if n == name {
				if env.actionImpl != i {
					env.actionImpl = i
					logImpl.Info("Action implementation set to %s", name)
				}
				r.Replyf("Action implementation set to %s.\n", name)
				return
			}
		}
		logExecute.Err("Failed setting action implementation to %s", name)
		r.ReplyError(fmt.Sprintf("Error: unknown action implementation, %s, specified!", name))
	}},
	{"odp-execute/action-impl-show", "", 0, 0, func(env *Env, r *unixctl.Request) {
		var b strings.Builder
		b.WriteString("Available Actions implementations:\n")
		for i, n := range actionImpls {
			active := "No"
			if i == env.actionImpl {
				active = "Yes"
			}
			fmt.Fprintf(&b, "  %s (available: Yes, active: %s)\n", n, active)
		}
		r.Reply(b.String())
	}},
}
