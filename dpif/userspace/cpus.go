package userspace

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/internal/vlog"
)

var logNuma = vlog.New("ovs_numa")

// CPU is one core and its NUMA node.
type CPU struct{ Core, NUMA int }

// CPUs are the cores of the machine, or of a made-up one.
type CPUs struct {
	list  []CPU
	dummy bool // made up: threads are not pinned
}

// DiscoverCPUs finds the machine's cores and logs how many there are.
func DiscoverCPUs() *CPUs {
	c := &CPUs{}
	nodes, _ := filepath.Glob("/sys/devices/system/node/node[0-9]*")
	for _, dir := range nodes {
		id, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), "node"))
		if err != nil {
			continue
		}
		cores, _ := filepath.Glob(filepath.Join(dir, "cpu[0-9]*"))
		for _, path := range cores {
			core, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), "cpu"))
			if err == nil && online(path) {
				c.list = append(c.list, CPU{core, id})
			}
		}
	}
	if len(c.list) == 0 {
		c.list = allowedCPUs()
	}
	c.finish()
	return c
}

func online(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "online"))
	return err != nil || strings.TrimSpace(string(b)) != "0" // core 0 has no such file
}

// allowedCPUs are the cores that the process may run on, for machines without
// NUMA nodes.
func allowedCPUs() (list []CPU) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return []CPU{{0, 0}}
	}
	for core := range 1024 {
		if set.IsSet(core) {
			list = append(list, CPU{core, 0})
		}
	}
	return list
}

// DummyCPUs makes up cores: spec lists the NUMA node of each, as --dummy-numa has
// it.
func DummyCPUs(spec string) *CPUs {
	c := &CPUs{dummy: true}
	for _, s := range strings.Split(spec, ",") {
		if s == "" {
			continue
		}
		id, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || id < 0 || id >= 128 {
			logNuma.Warn("Invalid numa node %s", s)
			continue
		}
		c.list = append(c.list, CPU{len(c.list), id})
	}
	c.finish()
	return c
}

func (c *CPUs) finish() {
	slices.SortFunc(c.list, func(a, b CPU) int { return a.Core - b.Core })
	nodes := c.nodes()
	for _, n := range nodes {
		logNuma.Info("Discovered %d CPU cores on NUMA node %d", len(c.of(n)), n)
	}
	if len(nodes) > 0 {
		logNuma.Info("Discovered %d NUMA nodes and %d CPU cores", len(nodes), len(c.list))
	}
}

// nodes lists the NUMA nodes.
func (c *CPUs) nodes() (nodes []int) {
	for _, cpu := range c.list {
		if !slices.Contains(nodes, cpu.NUMA) {
			nodes = append(nodes, cpu.NUMA)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// of lists the cores of a node.
func (c *CPUs) of(node int) (list []CPU) {
	for _, cpu := range c.list {
		if cpu.NUMA == node {
			list = append(list, cpu)
		}
	}
	return list
}

// firstOfEach is one core of every node: where threads run when no mask is set.
func (c *CPUs) firstOfEach() (list []CPU) {
	for _, n := range c.nodes() {
		list = append(list, c.of(n)[0])
	}
	return list
}

// inMask lists the cores that a hexadecimal mask names.
func (c *CPUs) inMask(mask string) (list []CPU) {
	digits := mask
	if len(mask) >= 2 && (mask[:2] == "0x" || mask[:2] == "0X") {
		digits = mask[2:]
	}
	for i := range len(digits) {
		d := digits[len(digits)-1-i]
		v, err := strconv.ParseUint(string(rune(d)), 16, 8)
		if err != nil {
			logNuma.Warn("Invalid cpu mask: %c", d)
			continue
		}
		for bit := range 4 {
			if v>>bit&1 == 0 {
				continue
			}
			for _, cpu := range c.list {
				if cpu.Core == 4*i+bit {
					list = append(list, cpu)
				}
			}
		}
	}
	return list
}

// threadName is what the kernel and logs call the thread of a core.
func threadName(core int) string { return fmt.Sprintf("pmd-c%02d", core) }

// pin binds the calling thread to a core.
func (c *CPUs) pin(core int) {
	_ = os.WriteFile("/proc/thread-self/comm", []byte(threadName(core)), 0)
	if c.dummy {
		return
	}
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		logNuma.Err("Thread setaffinity error: %v", err)
	}
}
