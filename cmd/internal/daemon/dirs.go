package daemon

import (
	"os"
	"path/filepath"
)

// Dirs is where the files of Open vSwitch are. The environment overrides each.
type Dirs struct {
	// Sysconf, Pkgdata, Run, Log and DB are OVS_SYSCONFDIR, OVS_PKGDATADIR,
	// OVS_RUNDIR, OVS_LOGDIR and OVS_DBDIR.
	Sysconf, Pkgdata, Run, Log, DB string
}

// dirsFromEnv returns the directories of Debian's packages, as far as the
// environment names no others.
func dirsFromEnv() Dirs {
	get := func(name, def string) string {
		if v := os.Getenv(name); v != "" {
			return v
		}
		return def
	}
	sysconf := get("OVS_SYSCONFDIR", "/etc")
	return Dirs{
		Sysconf: sysconf,
		Pkgdata: get("OVS_PKGDATADIR", "/usr/share/openvswitch"),
		Run:     get("OVS_RUNDIR", "/var/run/openvswitch"),
		Log:     get("OVS_LOGDIR", "/var/log/openvswitch"),
		DB:      get("OVS_DBDIR", sysconf+"/openvswitch"),
	}
}

// Abs makes a name absolute that is relative to dir.
func Abs(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return dir + "/" + name
}
