package hoststats

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// fakeHost is a host of which /proc has the given files.
func fakeHost(t *testing.T, files map[string]string) *Host {
	t.Helper()
	h := &Host{Proc: t.TempDir(), RunDir: t.TempDir(), Pid: func(string) int { return 0 }, Statfs: func(dir string, st *unix.Statfs_t) error {
		if dir == "/gone" {
			return unix.EIO
		}
		*st = unix.Statfs_t{Frsize: 4096, Bsize: 1 << 20, Blocks: 1000, Bfree: 250}
		return nil
	}}
	for name, text := range files {
		path := filepath.Join(h.Proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func statLine(pid, name, parent, utime, stime, start string) string {
	return pid + " (" + name + ") S " + parent + " 1 1 0 -1 4194368 220 0 0 0 " + utime + " " + stime +
		" 0 0 20 0 3 0 " + start + " 167153664 1346 18446744073709551615 1 1 1 1 1 0 0 4096 25603 0 0 0 17 1 0 0 0\n"
}

func TestCollect(t *testing.T) {
	h := fakeHost(t, map[string]string{
		"stat":    "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\nintr 5\n",
		"loadavg": "10.06 9.26 6.21 3/148 27614\n",
		"meminfo": "MemTotal: 1000 kB\nMemFree: 300 kB\nBuffers: 20 kB\nCached: 50 kB\nSwapTotal: 90 kB\nSwapFree: 80 kB\n",
		"mounts": "/dev/vda / ext4 rw,relatime 0 0\n/dev/vdb /ro ext4 ro,relatime 0 0\ntmpfs /tmp tmpfs rw 0 0\n" +
			"/dev/vdc /my\\040disk,2 ext4 relatime,rw 0 0\n/dev/vdd /gone ext4 rw 0 0\nnone\n",
		"uptime":        "1000.50 2000.00\n",
		"11/stat":       statLine("11", "ovs-vswitchd", "10", "3", "4", "90050"),
		"10/stat":       statLine("10", "ovs-vswitchd", "1", "0", "0", "50"),
		"10/cmdline":    "ovs-vswitchd: monitoring pid 11 (2 crashes: pid 9 died, killed (Aborted))",
		"12/stat":       statLine("12", "ovsdb server) x", "1", "0", "0", "100000"),
		"13/stat":       "13 (cut off) S 1",
		"14/stat":       statLine("14", "x", "15", "0", "0", "100000"),
		"15/stat":       statLine("15", "x", "1", "0", "0", "0"),
		"15/cmdline":    "x\x00--foo",
		"16/irrelevant": "",
	})
	pids := map[string]int{"ovs-vswitchd.pid": 11, "ovsdb-server.pid": 12, "cut.pid": 13, "child.pid": 14, "gone.pid": 99, "stale.pid": 0}
	for name := range pids {
		if err := os.WriteFile(filepath.Join(h.RunDir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h.Pid = func(name string) int { return pids[filepath.Base(name)] }
	want := map[string]string{
		"cpu": "2", "load_average": "10.06,9.26,6.21", "memory": "1000,700,70,90,10",
		"file_systems":         "/,4000,3000 /my_disk_2,4000,3000",
		"process_ovs-vswitchd": "163236,5384,70,2,1000000,100000,1",
		"process_ovsdb-server": "163236,5384,0,0,500,500,1",
		"process_child":        "163236,5384,0,0,500,500,1",
	}
	if d := cmp.Diff(want, h.Collect()); d != "" {
		t.Error(d)
	}
}

// A host of which nothing can be read has no statistics.
func TestCollectNothing(t *testing.T) {
	if got := fakeHost(t, nil).Collect(); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
