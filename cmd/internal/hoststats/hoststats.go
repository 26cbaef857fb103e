// Package hoststats reads what the statistics column of table Open_vSwitch tells of
// the host (ovs-vswitchd.conf.db(5), "Statistics"): processors, load, memory, file
// systems and the daemons of Open vSwitch.
//
// It reads Linux's /proc when it is asked to and keeps nothing.  File systems may
// take their time to answer, so the switch asks on a goroutine of its own.
package hoststats

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Host is where to look.
type Host struct {
	Proc   string // "/proc"
	RunDir string // with the daemons' pidfiles
	// Pid returns the process that holds a pidfile; 0: none does.
	Pid func(pidfile string) int
	// Statfs is unix.Statfs.
	Statfs func(dir string, st *unix.Statfs_t) error
}

// Collect returns the column.  What cannot be found out is left out.
func (h *Host) Collect() map[string]string {
	m := map[string]string{}
	set := func(key, value string) {
		if value != "" {
			m[key] = value
		}
	}
	set("cpu", h.cpus())
	set("load_average", h.load())
	set("memory", h.memory())
	set("file_systems", h.fileSystems())
	h.processes(set)
	return m
}

// lines calls fn with the fields of each line of a file of /proc.
func (h *Host) lines(name string, fn func(fields []string)) {
	f, err := os.Open(filepath.Join(h.Proc, name))
	if err != nil {
		return
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 0 {
			fn(fields)
		}
	}
}

// cpus counts the processors that are online.
func (h *Host) cpus() string {
	n := 0
	h.lines("stat", func(f []string) {
		if _, err := strconv.Atoi(strings.TrimPrefix(f[0], "cpu")); err == nil && strings.HasPrefix(f[0], "cpu") {
			n++
		}
	})
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// load is the load average over 1, 5 and 15 minutes.
func (h *Host) load() (text string) {
	h.lines("loadavg", func(f []string) {
		if len(f) >= 3 {
			text = strings.Join(f[:3], ",")
		}
	})
	return text
}

// memory is, in kB: all memory, what of it is in use, what of that could be given
// back, swap space and what of it is in use.
func (h *Host) memory() string {
	kb := map[string]uint64{}
	h.lines("meminfo", func(f []string) {
		if len(f) >= 2 {
			if n, err := strconv.ParseUint(f[1], 10, 64); err == nil {
				kb[strings.TrimSuffix(f[0], ":")] = n
			}
		}
	})
	if kb["MemTotal"] == 0 {
		return ""
	}
	return fmt.Sprintf("%d,%d,%d,%d,%d", kb["MemTotal"], kb["MemTotal"]-kb["MemFree"], kb["Buffers"]+kb["Cached"],
		kb["SwapTotal"], kb["SwapTotal"]-kb["SwapFree"])
}

// unescape undoes what the kernel does to blanks in mount points.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// separators are what the column puts between its entries and their parts.
var separators = strings.NewReplacer(" ", "_", ",", "_")

// fileSystems lists the local file systems that are not read-only, with their size
// and what of it is in use in kB.
func (h *Host) fileSystems() string {
	var list []string
	h.lines("mounts", func(f []string) {
		if len(f) < 4 || !strings.HasPrefix(f[0], "/dev") || !writable(f[3]) {
			return
		}
		dir := unescape.Replace(f[1])
		var st unix.Statfs_t
		if h.Statfs(dir, &st) != nil {
			return
		}
		total, free := uint64(st.Frsize)*st.Blocks/1024, uint64(st.Frsize)*st.Bfree/1024
		list = append(list, fmt.Sprintf("%s,%d,%d", separators.Replace(dir), total, total-free))
	})
	return strings.Join(list, " ")
}

func writable(options string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if o == "rw" {
			return true
		}
	}
	return false
}

// processes tells of the daemons that have a pidfile in the run directory.
func (h *Host) processes(set func(key, value string)) {
	files, err := filepath.Glob(filepath.Join(h.RunDir, "*.pid"))
	if err != nil {
		return
	}
	for _, name := range files {
		if pid := h.Pid(name); pid > 0 {
			set("process_"+strings.TrimSuffix(filepath.Base(name), ".pid"), h.process(pid))
		}
	}
}

// ticks is how many units of time in /proc/PID/stat make a second: USER_HZ, which is
// the same on all architectures that matter.
const ticks = 100

// process is a process's virtual and resident size in kB, the time that it took on
// processors in ms, how often it crashed, the time since the start of what watches it
// and since its own in ms, and the processor that it ran on last.
func (h *Host) process(pid int) string {
	p, ok := h.stat(pid)
	if !ok {
		return ""
	}
	crashes, since := 0, p.started
	if w, ok := h.stat(p.parent); ok && p.parent > 1 && w.name == p.name {
		if n, ok := h.crashes(p.parent); ok {
			crashes, since = n, w.started
		}
	}
	now := h.uptimeMs()
	return fmt.Sprintf("%d,%d,%d,%d,%d,%d,%d", p.sizeKB, p.residentKB, p.cpuMs, crashes, max(now-since, 0), max(now-p.started, 0), p.core)
}

// stat is /proc/PID/stat.
type stat struct {
	name               string
	parent, core       int
	sizeKB, residentKB int64
	cpuMs, started     int64 // ms; started since the host's
}

func (h *Host) stat(pid int) (s stat, ok bool) {
	b, err := os.ReadFile(filepath.Join(h.Proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return s, false
	}
	// The name is in parentheses and may have some.
	head, tail := strings.IndexByte(string(b), '('), strings.LastIndexByte(string(b), ')')
	if head < 0 || tail < head {
		return s, false
	}
	s.name = string(b[head+1 : tail])
	f := strings.Fields(string(b[tail+1:]))
	if len(f) < 37 {
		return s, false
	}
	num := func(field int) int64 { // as proc(5) counts them
		n, _ := strconv.ParseInt(f[field-3], 10, 64)
		return n
	}
	s.parent, s.core = int(num(4)), int(num(39))
	s.cpuMs, s.started = (num(14)+num(15))*1000/ticks, num(22)*1000/ticks
	s.sizeKB, s.residentKB = num(23)/1024, num(24)*int64(os.Getpagesize())/1024
	return s, true
}

// crashes reads from the title of a monitor, "NAME: monitoring pid N (2 crashes: …)",
// how often its daemon crashed; ok is false for a process that is none.
func (h *Host) crashes(pid int) (n int, ok bool) {
	b, err := os.ReadFile(filepath.Join(h.Proc, strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return 0, false
	}
	_, rest, ok := strings.Cut(string(b), "monitoring pid ")
	if !ok {
		return 0, false
	}
	if _, health, ok := strings.Cut(rest, "("); ok {
		if count, _, ok := strings.Cut(health, " crashes"); ok {
			n, _ = strconv.Atoi(count)
		}
	}
	return n, true
}

func (h *Host) uptimeMs() (ms int64) {
	h.lines("uptime", func(f []string) {
		if s, err := strconv.ParseFloat(f[0], 64); err == nil {
			ms = int64(s * 1000)
		}
	})
	return ms
}
