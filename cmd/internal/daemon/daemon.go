// Package daemon is the frame of the two daemons: their command line, how they
// go into the background and are watched there, pidfile, control socket,
// signals, clock, and the commands that every daemon has.
//
// A main function looks like this:
//
//	d := daemon.New(os.Args)
//	d.Usage = func() string { … }
//	rest := d.Parse(myOptions...)   // obeys --help, --version; exits on mistakes
//	d.Start()                       // forks; from here on we are the daemon
//	d.Listen()                      // the control socket
//	…                               // open databases, sockets, …
//	d.Complete()                    // tells the waiting shell that all is well
//	var set poll.Set
//	for !d.Exiting() {
//		now := d.Clock.Now()
//		…                           // run what the program is there for
//		d.Run(now)                  // commands last: what was readable before is read before
//		…                           // its Wait functions
//		d.Wait(&set)
//		d.Block(&set)
//	}
//	d.Close()
//
// Go cannot fork, so each process of the chain shell, monitor, daemon executes
// the program anew with the same arguments and learns its part from the
// environment.
package daemon

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sluice/cmd/internal/logsink"
	"sluice/internal/fatal"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ovsdb/stream"
	"sluice/ovsdb/unixctl"
)

var (
	log      = vlog.New("daemon_unix")
	fatalLog = vlog.New("fatal_signal")
)

// Version is the version of Open vSwitch that we stand in for.
const Version = "3.1.0"

// Daemon is the process.
type Daemon struct {
	// Name is what the program calls itself: the last part of argv[0].
	Name string
	// Dirs is where files are.
	Dirs Dirs
	// Log is where messages go.
	Log *logsink.Sink
	// Clock is the clock.
	Clock *Clock
	// Ctl is the control socket. Commands may be registered at any time.
	Ctl *unixctl.Server
	// TLS is what the options say of TLS; main hands it to stream.Options.
	TLS *stream.TLS
	// AccessDevices keeps, under --user, what work on network devices needs.
	AccessDevices bool
	// Usage returns the text of --help.
	Usage func() string
	// VersionExtra is appended to the output of --version.
	VersionExtra string

	args []string
	part part
	// notify is the pipe to who waits for Complete, nil if nobody does.
	notify *os.File
	state  *os.File

	detach, monitor, noChdir bool
	selfConfine              bool
	mlockall                 bool
	pidfile                  *pidfile
	morePidfiles             []*pidfile
	overwritePidfile         bool
	user                     *user
	ctlPath                  string
	logFile                  *string

	signals  chan os.Signal
	pending  chan os.Signal
	wake     *poll.Event
	hooks    []func()
	exiting  bool
	complete bool
	memory   memory
	loop     loopTimer
}

// part is what a process of the chain is there for.
type part string

const (
	partFirst   part = ""
	partMonitor part = "monitor"
	partDaemon  part = "daemon"
)

// partEnv tells an executed process its part.
const partEnv = "SLUICE_DAEMON_PART"

// New begins a process with its argument vector.
func New(args []string) *Daemon {
	return NewAs(strings.TrimPrefix(filepath.Base(args[0]), "lt-"), args)
}

// NewAs is New for a program that calls itself something else than argv[0]: logs,
// pidfile and control socket go by that name.
func NewAs(name string, args []string) *Daemon {
	// setTitle writes over the memory of the arguments: keep nothing of it.
	own := make([]string, len(args))
	for i := range args {
		own[i] = strings.Clone(args[i])
	}
	d := &Daemon{
		args: own, part: part(os.Getenv(partEnv)), Dirs: dirsFromEnv(), Clock: newClock(),
		TLS: &stream.TLS{}, Name: strings.Clone(name), selfConfine: true,
		pending: make(chan os.Signal, 1), wake: poll.NewEvent(),
	}
	os.Unsetenv(partEnv)
	setComm(d.Name)
	d.Log = logsink.New(d.Name, d.Dirs.Log, func() time.Time { return time.UnixMilli(d.Clock.Wall()) })
	logsink.DeclareModules(d.Name)
	d.Log.Install()
	vlog.SetClock(d.Clock.Now)
	d.Ctl = unixctl.New(d.VersionText())
	d.Log.Register(d.Ctl)
	d.registerCommon()
	signal.Ignore(syscall.SIGPIPE)
	// A crash is to look like one to the monitor: it ends by SIGABRT.
	debug.SetTraceback("crash")
	return d
}

// setComm names all threads, and so those that they will make: executing
// /proc/self/exe has called them "exe".
func setComm(name string) {
	files, _ := filepath.Glob("/proc/self/task/*/comm")
	for _, f := range files {
		os.WriteFile(f, []byte(name), 0)
	}
}

// VersionText is the first line of --version and the answer to "version".
func (d *Daemon) VersionText() string {
	return fmt.Sprintf("%s (Open vSwitch) %s\n", d.Name, Version)
}

// Fatal logs an emergency, prints it and ends the process with status 1.
func (d *Daemon) Fatal(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	log.SetLevel(vlog.Console, vlog.Off)
	log.Emer("%s", text)
	d.die(text)
}

// die prints a message and ends the process with status 1.
func (d *Daemon) die(text string) {
	fmt.Fprintf(os.Stderr, "%s: %s\n", d.Name, text)
	fatal.UnlinkAll()
	os.Exit(1)
}

// Parse obeys the command line: the program's own options and those that all
// daemons have. It returns the words that are no options.
func (d *Daemon) Parse(own ...Option) []string {
	rest, err := parseOptions(append(d.standardOptions(), own...), d.args[1:])
	if err != nil {
		d.die(err.Error())
	}
	return rest
}

func (d *Daemon) standardOptions() []Option {
	flag := func(p *bool) func(string, bool) error { return func(string, bool) error { *p = true; return nil } }
	text := func(p *string) func(string, bool) error { return func(s string, _ bool) error { *p = s; return nil } }
	return []Option{
		{Long: "help", Short: 'h', Set: func(string, bool) error { d.print(d.Usage()); return nil }},
		{Long: "version", Short: 'V', Set: func(string, bool) error { d.print(d.VersionText() + d.VersionExtra); return nil }},
		{Long: "unixctl", Arg: RequiredArg, Set: text(&d.ctlPath)},
		{Long: "detach", Set: flag(&d.detach)},
		{Long: "no-self-confinement", Set: func(string, bool) error { d.selfConfine = false; return nil }},
		{Long: "no-chdir", Set: flag(&d.noChdir)},
		{Long: "pidfile", Arg: OptionalArg, Set: func(s string, given bool) error {
			if !given {
				s = d.Name + ".pid"
			}
			d.pidfile = &pidfile{name: Abs(d.Dirs.Run, s)}
			return nil
		}},
		{Long: "overwrite-pidfile", Set: flag(&d.overwritePidfile)},
		{Long: "monitor", Set: flag(&d.monitor)},
		{Long: "user", Arg: RequiredArg, Set: func(s string, _ bool) (err error) { d.user, err = lookupUser(s); return err }},
		{Long: "verbose", Short: 'v', Arg: OptionalArg, Set: func(s string, given bool) error {
			if !given {
				d.Log.Loudest()
			} else if err := d.Log.Set(s); err != nil {
				return fmt.Errorf("processing \"%s\": %w", s, err)
			}
			return nil
		}},
		{Long: "log-file", Arg: OptionalArg, Set: func(s string, _ bool) error { d.logFile = &s; return nil }},
		{Long: "syslog-method", Arg: RequiredArg, Set: func(s string, _ bool) error { return d.Log.SetSyslogMethod(s) }},
		{Long: "syslog-target", Arg: RequiredArg, Set: func(s string, _ bool) error { d.Log.SetSyslogTarget(s); return nil }},
		{Long: "private-key", Short: 'p', Arg: RequiredArg, Set: text(&d.TLS.PrivateKey)},
		{Long: "certificate", Short: 'c', Arg: RequiredArg, Set: text(&d.TLS.Certificate)},
		{Long: "ca-cert", Short: 'C', Arg: RequiredArg, Set: text(&d.TLS.CACert)},
		{Long: "bootstrap-ca-cert", Arg: RequiredArg, Set: func(s string, _ bool) error {
			d.TLS.CACert, d.TLS.Bootstrap = s, true
			return nil
		}},
		{Long: "peer-ca-cert", Arg: RequiredArg, Set: text(&d.TLS.PeerCACert)},
		{Long: "ssl-protocols", Arg: RequiredArg, Set: text(&d.TLS.Protocols)},
		{Long: "ssl-ciphers", Arg: RequiredArg, Set: text(&d.TLS.Ciphers)},
	}
}

// MlockallOption is --mlockall, which only the switch has.
func (d *Daemon) MlockallOption() Option {
	return Option{Long: "mlockall", Set: func(string, bool) error { d.mlockall = true; return nil }}
}

func (d *Daemon) print(text string) {
	fmt.Print(text)
	os.Exit(0)
}

// SelfConfined says whether Unix sockets must stay in the run directory.
func (d *Daemon) SelfConfined() bool { return d.selfConfine }

// Detach says whether the daemon goes into the background.
func (d *Daemon) Detach() bool { return d.detach }

// Exiting says whether the main loop is to end.
func (d *Daemon) Exiting() bool { return d.exiting }

// Exit makes the main loop end after this turn.
func (d *Daemon) Exit() { d.exiting = true; d.wake.Set() }

// OnSignal adds something to do before a signal ends the process.
func (d *Daemon) OnSignal(f func()) { d.hooks = append(d.hooks, f) }

// RequirePidfile makes the daemon have its own pidfile, whatever the options say, and
// one more for a program that it stands in for.  It belongs between Parse and Start.
func (d *Daemon) RequirePidfile(program string) {
	if d.pidfile == nil {
		d.pidfile = &pidfile{name: Abs(d.Dirs.Run, d.Name+".pid")}
	}
	d.morePidfiles = append(d.morePidfiles, &pidfile{name: Abs(d.Dirs.Run, program+".pid")})
}

// Listen opens the control socket, or ends the process if it cannot.
func (d *Daemon) Listen() {
	path := d.ctlPath
	if path == "" {
		path = unixctl.DefaultPath(d.Dirs.Run, d.Name)
	}
	if err := d.Ctl.Listen(path, d.Dirs.Run); err != nil {
		d.die(err.Error())
	}
}

// catchSignals makes the signals that end a process do so at the end of a turn
// of the main loop, after cleaning up. A loop that does not come round for two
// seconds is not waited for.
func (d *Daemon) catchSignals() {
	d.signals = make(chan os.Signal, 4)
	signal.Notify(d.signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGALRM)
	go func() {
		s := <-d.signals
		d.pending <- s
		d.wake.Set()
		select {
		case <-d.signals:
		case <-time.After(2 * time.Second):
		}
		d.endBySignal(s.(syscall.Signal))
	}()
}

// endBySignal cleans up and dies of the signal, so that the parent sees it.
func (d *Daemon) endBySignal(s syscall.Signal) {
	fatalLog.Warn("terminating with signal %d (%s)", int(s), signalText(s))
	for _, f := range d.hooks {
		f()
	}
	fatal.UnlinkAll()
	signal.Reset(s)
	unix.Kill(os.Getpid(), s)
	select {}
}

func signalText(s syscall.Signal) string {
	t := s.String()
	return strings.ToUpper(t[:1]) + t[1:]
}

// Run does a turn of what all daemons have: control commands, counters, memory
// reports, signals.
func (d *Daemon) Run(now int64) {
	d.wake.Reset()
	select {
	case s := <-d.pending:
		d.endBySignal(s.(syscall.Signal))
	default:
	}
	d.Ctl.Run(now)
	d.memory.run(d, now)
}

// Wait wakes s when Run has something to do.
func (d *Daemon) Wait(s *poll.Set) {
	d.wake.Wait(s)
	d.Ctl.Wait(s)
	d.Clock.waitWarp(s)
	d.memory.wait(s)
	if d.exiting {
		s.Immediate()
	}
}

// Close ends the process's life in order.
func (d *Daemon) Close() {
	d.Ctl.Close()
	fatal.UnlinkAll()
}
