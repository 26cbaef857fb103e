// Package appctl is every command of ovs-vswitchd's control socket but those that
// all daemons have: one file per prefix, each a table of commands.
//
// Arguments that need the parser of another layer (a datapath flow for a dummy
// device, a match for a trace) are parsed here and go down as structs.  The package
// decides nothing: it calls bridges, datapaths and devices and prints what they say.
package appctl

import (
	"slices"

	"sluice/cmd/ovs-vswitchd/bridge"
	"sluice/dpif"
	"sluice/netdev/tnl"
	"sluice/ofproto/tunnel"
	"sluice/ovsdb/unixctl"
)

// Env is what the commands work on.
type Env struct {
	Bridges *bridge.Bridges
	Native  *tunnel.Native
	// TunnelPorts are the UDP source ports of tunnel packets.
	TunnelPorts *tnl.PortRange
	Program     string
	// Now is the control loop's clock.
	Now func() int64
	// NewDatapath makes a datapath without ports for dpctl/add-dp and tells the type
	// of device that its local port is.
	NewDatapath func(typ, name string) (dp dpif.Dpif, localType string, err error)
	// DatapathTypes are the types that there are.
	DatapathTypes []string

	actionImpl int // of actionImpls
}

// command is one row of a prefix's table.
type command struct {
	name, usage      string
	minArgs, maxArgs int
	fn               func(*Env, *unixctl.Request)
}

// Register adds all commands.  dummy adds those of test devices.
func Register(srv *unixctl.Server, env *Env, dummy bool) {
	tables := [][]command{bridgeCommands, dpifCommands, fdbCommands, ofprotoCommands, upcallCommands, pmdCommands, routeCommands, tunnelCommands,
		bondCommands, lacpCommands, treeCommands, mdbCommands, qosCommands, bfdCommands, cfmCommands, autoattachCommands, odpExecuteCommands}
	if dummy {
		tables = append(tables, dummyCommands)
	}
	for _, table := range tables {
		for _, c := range table {
			srv.Register(c.name, c.usage, c.minArgs, c.maxArgs, func(r *unixctl.Request) { c.fn(env, r) })
		}
	}
	for _, c := range slices.Concat(hiddenCommands, oldBondCommands) {
		srv.RegisterHidden(c.name, c.minArgs, c.maxArgs, func(r *unixctl.Request) { c.fn(env, r) })
	}
	registerDpctl(srv, env)
}

// reply answers with text, or with the error.
func reply(r *unixctl.Request, text string, err error) {
	if err != nil {
		r.ReplyError(err.Error())
		return
	}
	r.Reply(text)
}
