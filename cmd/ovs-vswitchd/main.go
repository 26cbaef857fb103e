// The program ovs-vswitchd is the switch: a drop-in for Open vSwitch's.  Here are its
// command line and its main loop; what it does is in cmd/internal/vswitchd and the
// packages below.
package main

import (
	"fmt"
	"os"

	"sluice/cmd/internal/daemon"
	"sluice/cmd/internal/vswitchd"
	"sluice/internal/poll"
)

func main() {
	d := daemon.New(os.Args)
	d.AccessDevices = true
	var o vswitchd.Options
	d.Usage = func() string { return usage(d) }
	rest := d.Parse(append(o.Option(), d.MlockallOption())...)
	switch len(rest) {
	case 0:
		o.Remote = "unix:" + d.Dirs.Run + "/db.sock"
	case 1:
		o.Remote = rest[0]
	default:
		d.Fatal("at most one non-option argument accepted; use --help for usage")
	}
	d.Start()
	d.Listen()
	cleanup := false
	d.RegisterExit("[--cleanup]", 1, func(args []string) {
		cleanup = len(args) > 0 && args[0] == "--cleanup"
	})
	o.Ready = d.Complete
	sw := vswitchd.New(d, o)

	var set poll.Set
	for !d.Exiting() {
		now := d.Clock.Now()
		sw.Run(now)
		d.Run(now)
		sw.Wait(&set)
		d.Wait(&set)
		d.Block(&set)
	}
	sw.Exit(cleanup)
	d.Close()
}

func usage(d *daemon.Daemon) string {
	return fmt.Sprintf("%s: Open vSwitch daemon\n"+
		"usage: %s [OPTIONS] [DATABASE]\n"+
		"where DATABASE is a socket on which ovsdb-server is listening\n"+
		"      (default: \"unix:%s/db.sock\").\n", d.Name, d.Name, d.Dirs.Run) +
		daemon.StreamUsage("DATABASE", true, false, true) + d.DaemonUsage() + d.LogUsage() +
		"\nOther options:\n" +
		"  --unixctl=SOCKET          override default control socket name\n" +
		"  -h, --help                display this help message\n" +
		"  -V, --version             display version information\n"
}
