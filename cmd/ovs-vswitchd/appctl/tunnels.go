package appctl

import (
	"fmt"
	"strconv"

	"sluice/netdev/tnl"
	"sluice/ovsdb/unixctl"
)

// tunnelCommands are those of native tunnels; tnl/arp is the old name of tnl/neigh.
var tunnelCommands = append(append(neighborCommands("tnl/arp/"), neighborCommands("tnl/neigh/")...),
	command{"tnl/ports/show", "-v", 0, 1, func(env *Env, r *unixctl.Request) {
		r.Reply(env.Native.Listeners.Show(len(r.Args) > 0))
	}},
	command{"tnl/egress_port_range", "min max", 0, 2, func(env *Env, r *unixctl.Request) {
		text, err := egressPorts(env.TunnelPorts, r.Args)
		reply(r, text, err)
	}},
)

func neighborCommands(prefix string) []command {
	return []command{
		{prefix + "show", "", 0, 0, func(env *Env, r *unixctl.Request) {
			r.Reply(env.Native.Neighbors.Show(env.Now()))
		}},
		{prefix + "set", "BRIDGE IP MAC", 3, 3, func(env *Env, r *unixctl.Request) {
			reply(r, "OK", env.Native.Neighbors.SetCommand(r.Args, env.Now()))
		}},
		{prefix + "flush", "", 0, 0, func(env *Env, r *unixctl.Request) {
			env.Native.Neighbors.Flush()
			r.Reply("OK")
		}},
		{prefix + "aging", "[SECS]", 0, 1, func(env *Env, r *unixctl.Request) {
			text, err := env.Native.Neighbors.AgingCommand(r.Args, env.Now())
			reply(r, text, err)
		}},
	}
}

// egressPorts shows or sets the range of source ports.
func egressPorts(ports *tnl.PortRange, args []string) (string, error) {
	if len(args) < 2 {
		p := ports.Load()
		return fmt.Sprintf("Tunnel UDP source port range: %d-%d\n", p.Min, p.Max), nil
	}
	lo, err := strconv.ParseUint(args[0], 10, 16)
	if err != nil || lo == 0 {
		return "Invalid min.", nil // as stock, no error of the command
	}
	hi, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil || hi == 0 {
		return "Invalid max.", nil
	}
	ports.Store(tnl.Ports{Min: uint16(min(lo, hi)), Max: uint16(max(lo, hi))})
	return "OK", nil
}
