package daemon

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/vlog"
)

const (
	// notifyFd and stateFd are the descriptors that an executed process finds.
	notifyFd = 3
	stateFd  = 4
	// restartPause is the least time between two restarts by the monitor.
	restartPause = 10 * time.Second
	// panicStatus is how a Go program ends that could not die of a signal.
	panicStatus = 2
)

// Start makes this process the daemon that the options ask for: in the
// background with --detach, watched by another process with --monitor. It only
// returns in the daemon.
func (d *Daemon) Start() {
	switch {
	case d.part == partFirst && d.detach:
		d.startDetached()
	case d.part == partFirst && d.monitor:
		d.beMonitor()
	case d.part == partMonitor:
		d.notify = os.NewFile(notifyFd, "notify")
		d.beMonitor()
	case d.part == partDaemon:
		d.notify = os.NewFile(notifyFd, "notify")
		unix.CloseOnExec(notifyFd)
		if d.monitor {
			d.state = os.NewFile(stateFd, "state")
			unix.CloseOnExec(stateFd)
		}
	}
	d.beDaemon()
}

// beDaemon sets up the process that does the work.
func (d *Daemon) beDaemon() {
	d.openLog()
	if d.user != nil {
		if err := d.Log.Chown(d.user.uid, d.user.gid); err != nil {
			d.Fatal("%s", err)
		}
		caps := baseCaps
		if d.AccessDevices {
			caps |= deviceCaps
		}
		if err := d.user.become(caps); err != nil {
			d.Fatal("%s", err)
		}
	}
	for _, p := range append([]*pidfile{d.pidfile}, d.morePidfiles...) {
		if p == nil {
			continue
		}
		p.overwrite = d.overwritePidfile
		if err := p.create(); err != nil {
			d.Fatal("%s", err)
		}
	}
	if d.mlockall {
		// Locking what is mapped now costs twenty times what is used.
		if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
			log.Err("mlockall failed: %s", errno.Text(err))
		}
	}
	d.catchSignals()
}

func (d *Daemon) openLog() {
	if d.logFile != nil {
		// A failure is logged; the daemon goes on without a file.
		if d.Log.OpenFile(*d.logFile) == nil {
			debug.SetCrashOutput(d.Log.LogFile(), debug.CrashOptions{})
		}
	}
}

// StateFile returns a file that outlives a restart by the monitor, for what
// the daemon was told by control commands. It has no name.
func (d *Daemon) StateFile() *os.File {
	if d.state == nil {
		f, err := newStateFile()
		if err != nil {
			d.Fatal("failed to create a state file: %s", errno.Text(err))
		}
		d.state = f
	}
	return d.state
}

func newStateFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("state", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "state"), nil
}

// spawn executes the program for another part and waits until it is ready. A
// process that ends before that with an error status ends us the same way.
func (d *Daemon) spawn(p part, session bool) (*exec.Cmd, error) {
	r, w, err := os.Pipe()
	if err != nil {
		d.Fatal("failed to create pipe (%s)", errno.Text(err))
	}
	defer r.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: d.args, Env: append(os.Environ(), partEnv+"="+string(p)),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, ExtraFiles: []*os.File{w},
		SysProcAttr: &syscall.SysProcAttr{Setsid: session},
	}
	if d.state != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, d.state)
	}
	err = cmd.Start()
	w.Close()
	if err != nil {
		d.Fatal("fork failed (%s)", errno.Text(err))
	}
	var one [1]byte
	if _, err := io.ReadFull(r, one[:]); err == nil {
		return cmd, nil
	}
	cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status > 0 {
		os.Exit(status)
	}
	log.Err("fork child died before signaling startup (%s)", statusText(cmd.ProcessState))
	return nil, fmt.Errorf("child died")
}

// startDetached starts the process in the background and ends this one.
func (d *Daemon) startDetached() {
	p := partDaemon
	if d.monitor {
		p = partMonitor
	}
	if _, err := d.spawn(p, true); err != nil {
		d.Fatal("could not detach from foreground session")
	}
	os.Exit(0)
}

// beMonitor watches a daemon and restarts it when it crashes. It never
// returns.
func (d *Daemon) beMonitor() {
	d.StateFile()
	cmd, err := d.spawn(partDaemon, false)
	if err != nil {
		d.Fatal("could not initiate process monitoring")
	}
	d.notifyReady()
	if d.detach {
		d.closeStandardFds()
	}
	var lastRestart time.Time
	crashes, health := 0, "healthy"
	for {
		if cmd != nil {
			setTitle(fmt.Sprintf("%s: monitoring pid %d (%s)", d.Name, cmd.Process.Pid, health))
			cmd.Wait()
			d.openLog()
		}
		how := "exit status 1"
		pid := 0
		if cmd != nil {
			how, pid = statusText(cmd.ProcessState), cmd.Process.Pid
		}
		if cmd != nil && !crashed(cmd.ProcessState) {
			log.Info("pid %d died, %s, exiting", pid, how)
			os.Exit(0)
		}
		crashes++
		health = fmt.Sprintf("%d crashes: pid %d died, %s", crashes, pid, how)
		if ws, ok := waitStatus(cmd); ok && ws.CoreDump() {
			// One core is enough to look at.
			unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
		}
		if wait := time.Until(lastRestart.Add(restartPause)); !lastRestart.IsZero() && wait > 0 {
			log.Warn("%s, waiting until 10 seconds since last restart", health)
			time.Sleep(wait)
		}
		lastRestart = time.Now()
		log.Err("%s, restarting", health)
		d.Log.Suspend()
		if cmd, err = d.spawn(partDaemon, false); err != nil {
			cmd = nil
		}
	}
}

func waitStatus(cmd *exec.Cmd) (syscall.WaitStatus, bool) {
	if cmd == nil {
		return 0, false
	}
	ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ws, ok
}

// crashed says whether a process ended in a way that calls for a restart.
func crashed(st *os.ProcessState) bool {
	ws := st.Sys().(syscall.WaitStatus)
	if ws.Exited() {
		return ws.ExitStatus() == panicStatus
	}
	switch ws.Signal() {
	case syscall.SIGABRT, syscall.SIGALRM, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL,
		syscall.SIGPIPE, syscall.SIGSEGV, syscall.SIGXCPU, syscall.SIGXFSZ:
		return true
	}
	return false
}

func statusText(st *os.ProcessState) string {
	ws := st.Sys().(syscall.WaitStatus)
	text := ""
	switch {
	case ws.Exited():
		text = fmt.Sprintf("exit status %d", ws.ExitStatus())
	case ws.Signaled():
		text = fmt.Sprintf("killed (%s)", signalText(ws.Signal()))
	default:
		text = fmt.Sprintf("terminated abnormally (%x)", uint32(ws))
	}
	if ws.CoreDump() {
		text += ", core dumped"
	}
	return text
}

func (d *Daemon) notifyReady() {
	if d.notify == nil {
		return
	}
	if _, err := d.notify.Write([]byte{0}); err != nil {
		d.Fatal("pipe write failed (%s)", errno.Text(err))
	}
	d.notify.Close()
	d.notify = nil
}

// Complete tells who waits that the daemon is ready, and lets go of the
// terminal and the directory it was started in. Only the first call counts.
func (d *Daemon) Complete() {
	if d.complete {
		return
	}
	d.complete = true
	d.notifyReady()
	if !d.detach {
		return
	}
	if !d.noChdir {
		os.Chdir("/")
	}
	d.closeStandardFds()
}

// Completed says whether Complete was called.
func (d *Daemon) Completed() bool { return d.complete }

// closeStandardFds puts /dev/null in place of the terminal, which would keep
// an SSH session open.
func (d *Daemon) closeStandardFds() {
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		log.Err("could not open /dev/null: %s", errno.Text(err))
		return
	}
	for fd := range 3 {
		unix.Dup2(int(null.Fd()), fd)
	}
	null.Close()
	for _, m := range vlog.Modules() {
		m.SetLevel(vlog.Console, vlog.Off)
	}
}
