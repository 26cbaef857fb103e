package daemon

import (
	"fmt"
	"os"
	osuser "os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
)

// user is whom --user makes the daemon.
type user struct {
	name     string
	uid, gid int
}

// lookupUser parses "USER[:GROUP]"; without a user it is the current one.
func lookupUser(spec string) (*user, error) {
	if os.Getuid() != 0 || os.Geteuid() != 0 {
		return nil, fmt.Errorf("only root can use --user option")
	}
	spec = strings.TrimLeft(spec, " \t\r\n")
	name, group, _ := strings.Cut(spec, ":")
	group = strings.TrimLeft(group, " \t\r\n")
	var u *osuser.User
	var err error
	if name == "" {
		u, err = osuser.Current()
	} else {
		u, err = osuser.Lookup(name)
	}
	if err != nil {
		return nil, fmt.Errorf("user %s not found, aborting.", name)
	}
	out := &user{name: u.Username}
	out.uid, _ = strconv.Atoi(u.Uid)
	out.gid, _ = strconv.Atoi(u.Gid)
	if group == "" {
		return out, nil
	}
	g, err := osuser.LookupGroup(group)
	if err != nil {
		return nil, fmt.Errorf("group %s not found, aborting.", group)
	}
	if g.Gid != u.Gid {
		if ids, err := u.GroupIds(); err != nil || !slices.Contains(ids, g.Gid) {
			return nil, fmt.Errorf("Invalid --user option %s (user %s is not in group %s), aborting.", spec, out.name, group)
		}
	}
	out.gid, _ = strconv.Atoi(g.Gid)
	return out, nil
}

// The capabilities that the daemon keeps: to lock memory and to use low ports,
// and for the switch to work on network devices and to load BPF programs.
const (
	baseCaps   = uint64(1<<unix.CAP_IPC_LOCK | 1<<unix.CAP_NET_BIND_SERVICE)
	deviceCaps = uint64(1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_NET_BROADCAST | 1<<unix.CAP_BPF)
)

// become changes all threads of the process to the user, with these
// capabilities. It needs a program without cgo.
func (u *user) become(caps uint64) error {
	failed := func(err error) error {
		return fmt.Errorf("fail to switch to user and group %d:%d (%s), aborting", u.uid, u.gid, errno.Text(err))
	}
	if _, _, no := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0); no != 0 {
		return failed(no)
	}
	for c := uintptr(0); ; c++ {
		// What is not in the bounding set cannot come back by executing a file.
		if _, _, no := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0); no != 0 {
			break
		}
	}
	if err := syscall.Setgroups(nil); err != nil {
		return failed(err)
	}
	if err := syscall.Setgid(u.gid); err != nil {
		return failed(err)
	}
	if err := syscall.Setuid(u.uid); err != nil {
		return failed(err)
	}
	if err := setCapabilities(caps); err != nil {
		return failed(err)
	}
	return nil
}
