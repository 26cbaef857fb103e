package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sluice/cmd/internal/daemon"
	"sluice/cmd/internal/vswitchd"
	"sluice/internal/fatal"
	"sluice/internal/poll"
	"sluice/ovsdb/server"
	"sluice/ovsdb/storage"
	"sluice/ovsdb/stream"
	"sluice/ovsdb/unixctl"
	"sluice/schema/vswitch"
)

// run is `sluice run`: it goes by the names of both daemons, so that ovs-vsctl,
// ovs-ofctl and ovs-appctl find them where they look.
func run(args []string) {
	d := daemon.NewAs("ovs-vswitchd", args)
	d.AccessDevices = true
	var o vswitchd.Options
	var remotes []string
	d.Usage = func() string { return runUsage(d) }
	rest := d.Parse(append(o.Option(), d.MlockallOption(), daemon.Option{
		Long: "remote", Arg: daemon.RequiredArg, Set: func(s string, _ bool) error { remotes = append(remotes, s); return nil },
	})...)
	file := d.Dirs.DB + "/conf.db"
	switch len(rest) {
	case 1:
	case 2:
		file = rest[1]
	default:
		d.Fatal("at most one database file is accepted; use --help for usage")
	}
	file, err := filepath.Abs(file)
	if err != nil {
		d.Fatal("%s: %v", file, err)
	}
	d.RequirePidfile("ovsdb-server")
	d.Start()
	d.Listen()
	if err := createIfMissing(file); err != nil {
		d.Fatal("%v", err)
	}
	socket := d.Dirs.Run + "/db.sock"
	db := startDatabase(d, file, append([]string{"punix:" + socket, "db:Open_vSwitch,Open_vSwitch,manager_options"}, remotes...))

	cleanup := false
	d.RegisterExit("[--cleanup]", 1, func(args []string) {
		cleanup = len(args) > 0 && args[0] == "--cleanup"
	})
	o.Remote, o.Ready = "unix:"+socket, d.Complete
	sw := vswitchd.New(d, o)
	var set poll.Set
	for !d.Exiting() {
		now := d.Clock.Now()
		sw.Run(now)
		d.Run(now)
		sw.Wait(&set)
		d.Wait(&set)
		db.over.Wait(&set)
		d.Block(&set)
		if db.over.Reset() {
			d.Exit() // ovs-appctl -t ovsdb-server exit ends both
		}
	}
	sw.Exit(cleanup)
	db.stop()
	d.Close()
}

// createIfMissing makes an empty database of the Open_vSwitch schema.
func createIfMissing(file string) error {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	log, err := storage.Create(file, storage.MagicStandalone, schemaRecord())
	if err != nil {
		return fmt.Errorf("%s: %s", file, err.Error())
	}
	log.Close()
	return nil
}

func schemaRecord() []byte {
	v := vswitch.Schema().JSON()
	return v.Append(nil)
}

// database is the server in its own goroutine, with its own control socket.
type database struct {
	quit, over *poll.Event
	ended      chan struct{}
}

func startDatabase(d *daemon.Daemon, file string, remotes []string) *database {
	s, err := server.New(server.Config{Clock: d.Clock, Stream: stream.Options{RunDir: d.Dirs.Run}}, d.Clock.Now())
	if err != nil {
		d.Fatal("could not start the database: %v", err)
	}
	if err := s.AddDB(file); err != nil {
		d.Fatal("%s", err.Error())
	}
	if problem := s.SetRemotes(remotes); problem != "" {
		d.Fatal("%s", problem)
	}
	db := &database{quit: poll.NewEvent(), over: poll.NewEvent(), ended: make(chan struct{})}
	ctl := unixctl.New(fmt.Sprintf("ovsdb-server (Open vSwitch) %s\n", daemon.Version))
	d.Log.Register(ctl)
	s.Commands(ctl, func() {})
	ctl.Register("exit", "", 0, 0, func(r *unixctl.Request) {
		r.Reply("")
		db.over.Set()
	})
	path := unixctl.DefaultPath(d.Dirs.Run, "ovsdb-server")
	if err := ctl.Listen(path, d.Dirs.Run); err != nil {
		d.Fatal("%v", err)
	}
	go db.run(d, s, ctl)
	return db
}

// run is the database's loop.
func (db *database) run(d *daemon.Daemon, s *server.Server, ctl *unixctl.Server) {
	defer close(db.ended)
	var set poll.Set
	for !db.quit.Reset() {
		now := d.Clock.Now()
		ctl.Run(now)
		s.Run(now)
		ctl.Wait(&set)
		s.Wait(&set)
		db.quit.Wait(&set)
		if err := set.Block(d.Clock.Now()); err != nil {
			d.Fatal("poll: %v", err)
		}
	}
	ctl.Close()
	s.Close()
}

// stop ends the loop and waits for it.
func (db *database) stop() {
	db.quit.Set()
	<-db.ended
	fatal.UnlinkAll()
}

func runUsage(d *daemon.Daemon) string {
	return fmt.Sprintf("sluice run: database and switch in one process\n"+
		"usage: sluice run [OPTIONS] [DATABASE-FILE]\n"+
		"The database file, made if it is missing, is by default\n%s/conf.db.\n"+
		"\nMore connections to the database (may be specified any number of times):\n"+
		"  --remote=REMOTE         connect or listen to REMOTE\n", d.Dirs.DB) +
		daemon.StreamUsage("JSON-RPC", true, true, true) + d.DaemonUsage() + d.LogUsage() +
		"\nOther options:\n" +
		"  --unixctl=SOCKET          override the switch's control socket name\n" +
		"  -h, --help                display this help message\n" +
		"  -V, --version             display version information\n"
}
