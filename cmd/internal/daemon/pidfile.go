package daemon

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/fatal"
)

// pidfile is the file that names the daemon. A POSIX record lock on it lasts
// as long as the process: ovs-appctl asks who holds it. The descriptor is
// never closed, and the file never opened again by us, because closing any
// descriptor of it would give up the lock.
type pidfile struct {
	name      string
	overwrite bool
	file      *os.File
}

// create makes the file and takes the lock.
func (p *pidfile) create() error {
	tmp := p.name + ".tmp"
	if p.overwrite {
		tmp += strconv.Itoa(os.Getpid())
		fatal.Add(tmp)
	}
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return fmt.Errorf("%s: create failed (%s)", tmp, errno.Text(err))
	}
	if err := lockFile(f); err != nil {
		// The temporary file is the other starter's then, and stays.
		f.Close()
		return fmt.Errorf("%s: fcntl(F_SETLK) failed (%s)", tmp, errno.Text(err))
	}
	if !p.overwrite {
		fatal.Add(tmp)
		if err := p.checkRunning(); err != nil {
			return err
		}
	}
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("%s: truncate failed (%s)", tmp, errno.Text(err))
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return fmt.Errorf("%s: write failed (%s)", tmp, errno.Text(err))
	}
	err = os.Rename(tmp, p.name)
	fatal.Forget(tmp)
	if err != nil {
		return fmt.Errorf("failed to rename \"%s\" to \"%s\" (%s)", tmp, p.name, errno.Text(err))
	}
	fatal.Add(p.name)
	p.file = f
	return nil
}

func lockFile(f *os.File) error {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	for {
		err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lk)
		if err != unix.EINTR {
			return err
		}
	}
}

func (p *pidfile) checkRunning() error {
	pid, err := p.owner()
	if err != nil {
		return fmt.Errorf("%s: pidfile check failed (%s), aborting", p.name, errno.Text(err))
	}
	if pid > 0 {
		return fmt.Errorf("%s: already running as pid %d, aborting", p.name, pid)
	}
	return nil
}

// owner returns the process that the pidfile stands for, 0 if there is none;
// a stale file is removed.
func (p *pidfile) owner() (int, error) {
	f, err := os.OpenFile(p.name, os.O_RDWR, 0)
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		log.Warn("%s: open: %s", p.name, errno.Text(err))
		return 0, err
	}
	defer f.Close()
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lk); err != nil {
		log.Warn("%s: fcntl: %s", p.name, errno.Text(err))
		return 0, err
	}
	if lk.Type == unix.F_UNLCK {
		return 0, p.removeStale(f)
	}
	line, err := bufio.NewReader(f).ReadString('\n')
	if err != nil {
		log.Warn("%s: read: unexpected end of file", p.name)
		return 0, unix.ESRCH
	}
	if line = strings.TrimSpace(line); line != strconv.Itoa(int(lk.Pid)) {
		// Who holds the lock is about to remove a stale file.
		log.Warn("%s: stale pidfile for pid %s being deleted by pid %d", p.name, line, lk.Pid)
		return 0, unix.ESRCH
	}
	return int(lk.Pid), nil
}

// removeStale removes a file that nobody holds. Only who holds the lock may
// do that, and only if the file still has its name.
func (p *pidfile) removeStale(f *os.File) error {
	if err := lockFile(f); err != nil {
		log.Warn("%s: lost race to lock pidfile", p.name)
		return err
	}
	named, err1 := os.Stat(p.name)
	held, err2 := f.Stat()
	if err1 != nil || err2 != nil || !os.SameFile(named, held) {
		log.Warn("%s: lost race to delete pidfile", p.name)
		return unix.EALREADY
	}
	if err := os.Remove(p.name); err != nil {
		log.Warn("%s: failed to delete stale pidfile (%s)", p.name, errno.Text(err))
		return err
	}
	log.Dbg("%s: deleted stale pidfile", p.name)
	return nil
}

// PidfileOwner returns the process that holds a pidfile, which may be one of our own;
// 0: none does.
func (d *Daemon) PidfileOwner(name string) int {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	// See pidfile: ours are never opened again.
	for _, p := range append([]*pidfile{d.pidfile}, d.morePidfiles...) {
		if p == nil {
			continue
		}
		if own, err := os.Stat(p.name); err == nil && os.SameFile(info, own) {
			return os.Getpid()
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return 0
	}
	defer f.Close()
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	if unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lk) != nil || lk.Type == unix.F_UNLCK {
		return 0
	}
	line, _ := bufio.NewReader(f).ReadString('\n')
	if strings.TrimSpace(line) != strconv.Itoa(int(lk.Pid)) {
		return 0
	}
	return int(lk.Pid)
}
