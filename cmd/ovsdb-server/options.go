package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"syscall"

	"sluice/cmd/internal/daemon"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ovsdb/server"
	"sluice/ovsdb/stream"
)

var log = vlog.New("ovsdb_server")

// state is what control commands can change and a restart by --monitor keeps.
type state struct {
	Remotes  []string `json:"remotes"`
	DBs      []string `json:"databases"`
	SyncFrom string   `json:"sync-from"`
	Exclude  string   `json:"sync-exclude-tables"`
	Backup   bool     `json:"backup"`
}

// options is the command line.
type options struct {
	d      *daemon.Daemon
	state  state
	run    string
	active bool
	noDBs  bool
	noDiff bool
}

func (o *options) parse() {
	text := func(p *string) func(string, bool) error {
		return func(s string, _ bool) error { *p = s; return nil }
	}
	flag := func(p *bool) func(string, bool) error {
		return func(string, bool) error { *p = true; return nil }
	}
	o.state.DBs = o.d.Parse(
		daemon.Option{Long: "remote", Arg: daemon.RequiredArg, Set: func(s string, _ bool) error {
			o.state.Remotes = append(o.state.Remotes, s)
			return nil
		}},
		daemon.Option{Long: "run", Arg: daemon.RequiredArg, Set: text(&o.run)},
		daemon.Option{Long: "sync-from", Arg: daemon.RequiredArg, Set: text(&o.state.SyncFrom)},
		daemon.Option{Long: "sync-exclude-tables", Arg: daemon.RequiredArg, Set: func(s string, _ bool) error {
			o.state.Exclude = s
			return server.CheckExclude(s)
		}},
		daemon.Option{Long: "active", Set: flag(&o.active)},
		daemon.Option{Long: "no-dbs", Set: flag(&o.noDBs)},
		daemon.Option{Long: "disable-file-column-diff", Set: flag(&o.noDiff)},
	)
	if len(o.state.DBs) == 0 && !o.noDBs {
		o.state.DBs = []string{o.d.Dirs.DB + "/conf.db"}
	}
	o.state.Backup = o.state.SyncFrom != "" && !o.active
	// One named twice is opened once.
	sort.Strings(o.state.DBs)
	o.state.DBs = slices.Compact(o.state.DBs)
}

func isRelay(name string) bool { return len(name) > 6 && name[:6] == "relay:" }

func (o *options) usage() string {
	d := o.d
	return fmt.Sprintf("%s: Open vSwitch database server\n"+
		"usage: %s [OPTIONS] [DATABASE...]\n"+
		"where each DATABASE is a database file in ovsdb format.\n"+
		"The default DATABASE, if none is given, is\n%s/conf.db.\n", d.Name, d.Name, d.Dirs.DB) +
		"\nJSON-RPC options (may be specified any number of times):\n" +
		"  --remote=REMOTE         connect or listen to REMOTE\n" +
		daemon.StreamUsage("JSON-RPC", true, true, true) + d.DaemonUsage() + d.LogUsage() +
		"\nSyncing options:\n" +
		"  --sync-from=SERVER      sync DATABASE from active SERVER and start in\n" +
		"                          backup mode (except with --active)\n" +
		"  --sync-exclude-tables=DB:TABLE,...\n" +
		"                          exclude the TABLE in DB from syncing\n" +
		"  --active                with --sync-from, start in active mode\n" +
		"\nOther options:\n" +
		"  --run COMMAND           run COMMAND as subprocess then exit\n" +
		"  --unixctl=SOCKET        override default control socket name\n" +
		"  --disable-file-column-diff\n" +
		"                          don't use column diff in database file\n" +
		"  -h, --help              display this help message\n" +
		"  -V, --version           display version information\n"
}

// load takes what the monitor kept for us, if it has restarted the daemon.
func (o *options) load() {
	f := o.d.StateFile()
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	var st state
	if err == nil && len(text) > 0 && json.Unmarshal(text, &st) == nil {
		o.state = st
		return
	}
	o.save()
}

// save keeps the state for a restart, which happens in another directory.
func (o *options) save() {
	st := o.state
	st.DBs = nil
	for _, name := range o.state.DBs {
		if abs, err := filepath.Abs(name); err == nil && !isRelay(name) {
			name = abs
		}
		st.DBs = append(st.DBs, name)
	}
	text, _ := json.Marshal(&st)
	f := o.d.StateFile()
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt(text, 0)
		if err != nil {
			log.Warn("failed to write temporary file (%v)", err)
		}
	}
}

// open opens databases and remotes; whatever is wrong ends the program.
func (o *options) open(s *server.Server) {
	s.SetColumnDiff(!o.noDiff)
	for _, name := range o.state.DBs {
		if err := s.AddDB(name); err != nil {
			o.d.Fatal("%s", err.Error())
		}
	}
	t := o.d.TLS
	s.SetTLS(server.TLSFiles{PrivateKey: t.PrivateKey, Certificate: t.Certificate, CACert: t.CACert,
		Protocols: t.Protocols, Ciphers: t.Ciphers}, func(f server.TLSFiles) *stream.TLS {
		if f.PrivateKey == "" && f.Certificate == "" && f.CACert == "" {
			return nil
		}
		n := *t
		n.PrivateKey, n.Certificate, n.CACert = f.PrivateKey, f.Certificate, f.CACert
		n.Protocols, n.Ciphers = f.Protocols, f.Ciphers
		return &n
	})
	s.InitReplication(o.state.SyncFrom, o.state.Exclude, o.state.Backup)
	if problem := s.SetRemotes(o.state.Remotes); problem != "" {
		o.d.Fatal("%s", problem)
	}
}

// register adds the control commands.
func (o *options) register(s *server.Server) {
	if o.run == "" {
		// With --run the program is more of a tool, which says less.
		log.Info("%s (Open vSwitch) %s", o.d.Name, daemon.Version)
	}
	o.d.RegisterExit("", 0, nil)
	s.Commands(o.d.Ctl, func() {
		o.state.Remotes, o.state.DBs = s.Remotes(), s.DBFiles()
		o.state.SyncFrom, o.state.Exclude, o.state.Backup = s.Replication()
		o.save()
	})
	o.d.OnMemory(func() (out []daemon.Count) {
		for name, n := range s.MemoryUsage() {
			out = append(out, daemon.Count{Name: name, N: uint64(n)})
		}
		sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
		return out
	})
}

// child is the program of --run.
type child struct {
	cmd    *exec.Cmd
	done   *poll.Event
	ended  chan error
	status string
}

func (o *options) startChild() *child {
	if o.run == "" {
		return nil
	}
	c := &child{cmd: exec.Command("/bin/sh", "-c", o.run), done: poll.NewEvent(), ended: make(chan error, 1)}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := c.cmd.Start(); err != nil {
		o.d.Fatal("%s: process failed to start (%v)", o.run, err)
	}
	go func() {
		c.ended <- c.cmd.Wait()
		c.done.Set()
	}()
	return c
}

// over tells whether the child has ended.
func (c *child) over() bool {
	select {
	case <-c.ended:
	default:
		return false
	}
	ws := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ws.Signaled():
		c.status = fmt.Sprintf("killed (%s)", signalText(ws.Signal()))
	case ws.ExitStatus() != 0:
		c.status = fmt.Sprintf("exit status %d", ws.ExitStatus())
	}
	return true
}

func signalText(s syscall.Signal) string {
	t := s.String()
	if t == "" {
		return fmt.Sprintf("signal %d", int(s))
	}
	return string(t[0]-'a'+'A') + t[1:]
}
