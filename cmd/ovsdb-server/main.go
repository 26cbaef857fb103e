// The program ovsdb-server serves OVSDB databases: a drop-in for Open
// vSwitch's. Everything it does is in ovsdb/server; here are its command line
// and its main loop.
package main

import (
	"fmt"
	"os"

	"sluice/cmd/internal/daemon"
	"sluice/internal/poll"
	"sluice/ovsdb/server"
	"sluice/ovsdb/stream"
)

// settleMs is for how long, in ms, relays may keep the program from calling
// itself ready.
const settleMs = 1000

// settle lets relays get their contents, as long as that does not take too
// long.
func settle(d *daemon.Daemon, s *server.Server) {
	var set poll.Set
	end := d.Clock.Now() + settleMs
	for now := d.Clock.Now(); now < end && !s.Settled(); now = d.Clock.Now() {
		s.Run(now)
		s.Wait(&set)
		set.Timer(end)
		set.Block(now)
	}
}

func main() {
	tuneGC()
	d := daemon.New(os.Args)
	o := options{d: d}
	d.Usage = o.usage
	o.parse()
	d.Start()
	o.load()

	s, err := server.New(server.Config{Clock: d.Clock, Stream: stream.Options{RunDir: d.Dirs.Run}}, d.Clock.Now())
	if err != nil {
		d.Fatal("could not start the server: %v", err)
	}
	o.open(s)
	d.Listen()
	child := o.startChild()
	settle(d, s)
	d.Complete()
	o.register(s)

	var set poll.Set
	for !d.Exiting() {
		now := d.Clock.Now()
		d.Run(now)
		s.Run(now)
		if child != nil && child.over() {
			d.Exit()
		}
		s.Wait(&set)
		d.Wait(&set)
		if child != nil {
			child.done.Wait(&set)
		}
		d.Block(&set)
	}
	s.Close()
	d.Close()
	if child != nil && child.status != "" {
		fmt.Fprintf(os.Stderr, "%s: %s: child exited, %s\n", d.Name, o.run, child.status)
		os.Exit(1)
	}
}
