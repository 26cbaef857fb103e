package dpctl

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
)

// AppendFlow appends a flow as dump-flows prints it; verbose is its -m.
func AppendFlow(b []byte, f *dpif.Flow, names odp.PortNames, verbose bool, now int64) []byte {
	if verbose {
		b = odp.AppendUFID(b, f.UFID)
		b = append(b, ", "...)
		b = odp.FormatKeyVerbose(b, &f.Key, &f.Mask, names)
	} else {
		b = odp.FormatKey(b, &f.Key, &f.Mask, names)
	}
	b = append(b, ", "...)
	b = dpif.AppendStats(b, &f.Stats, now)
	if verbose && f.Offloaded {
		if f.DPLayer == "ovs" {
			b = append(b, ", offloaded:partial"...)
		} else {
			b = append(b, ", offloaded:yes"...)
		}
	}
	if verbose && f.DPLayer != "" {
		b = append(b, ", dp:"...)
		b = append(b, f.DPLayer...)
	}
	b = append(b, ", actions:"...)
	return odp.FormatActions(b, f.Actions, names)
}

// dumpArgs are the arguments of dump-flows besides the datapath.
type dumpArgs struct {
	filter func(*flow.Flow, *flow.Mask) bool
	pmd    int
	hasPMD bool
	types  map[string]bool // kinds of flows to show; nil: all
}

// takeDumpArgs takes the key=value arguments off the end.
func (c *call) takeDumpArgs() (a dumpArgs, filter string, err error) {
	types := ""
	for len(c.args) > 0 {
		last := c.args[len(c.args)-1]
		switch {
		case strings.HasPrefix(last, "filter=") && filter == "":
			filter = last[len("filter="):]
		case strings.HasPrefix(last, "type=") && types == "":
			types = last[len("type="):]
		case strings.HasPrefix(last, "pmd="):
			if a.pmd, err = strconv.Atoi(last[len("pmd="):]); err != nil {
				return a, "", unix.EINVAL
			}
			a.hasPMD = true
		default:
			return a, filter, c.types(&a, types)
		}
		c.args = c.args[:len(c.args)-1]
	}
	return a, filter, c.types(&a, types)
}

func (c *call) types(a *dumpArgs, list string) error {
	if list == "" {
		return nil
	}
	a.types = map[string]bool{}
	for _, t := range strings.Split(list, ",") {
		switch t {
		case "ovs", "tc", "dpdk", "offloaded", "partially-offloaded", "non-offloaded", "all":
			a.types[t] = true
		case "":
		default:
			return c.errorf(unix.EINVAL, "Failed to parse type (%s)", t)
		}
	}
	return nil
}

// wants reports whether a flow is of one of the types.
func (a *dumpArgs) wants(f *dpif.Flow) bool {
	kind := "non-offloaded"
	switch {
	case f.Offloaded && f.DPLayer == "ovs":
		kind = "partially-offloaded"
	case f.Offloaded:
		kind = "offloaded"
	}
	return a.types == nil || a.types["all"] || a.types[f.DPLayer] || a.types[kind]
}

func dumpFlows(c *call) error {
	a, filter, err := c.takeDumpArgs()
	if err != nil {
		return err
	}
	d, err := c.optional(1)
	if err != nil {
		return err
	}
	names := portNames{d.Dpif}
	if filter != "" {
		if c.env.ParseFilter == nil {
			return c.errorf(unix.EOPNOTSUPP, "Failed to parse filter")
		}
		if a.filter, err = c.env.ParseFilter(filter, names); err != nil {
			_ = c.errorf(nil, "Failed to parse filter (%v)", err)
			return err
		}
	}
	c.dump(d, &a, names)
	return nil
}

func (c *call) dump(d Datapath, a *dumpArgs, names odp.PortNames) {
	var shown odp.PortNames
	if c.names {
		shown = names
	}
	const noPMD = -2
	pmd := noPMD
	if a.hasPMD {
		pmd = a.pmd
	}
	var b []byte
	d.Dpif.FlowDump(func(f *dpif.Flow) bool {
		if a.filter != nil && !a.filter(&f.Key, &f.Mask) {
			return true
		}
		if !a.wants(f) {
			return true
		}
		if !a.hasPMD && f.PMD != pmd {
			// Threads may have the same flows: a heading tells them apart.
			if pmd = f.PMD; pmd == dpif.PMDNone {
				c.printf("flow-dump from the main thread:\n")
			} else {
				c.printf("flow-dump from pmd on cpu core: %d\n", pmd)
			}
		}
		if f.PMD == pmd {
			b = AppendFlow(b[:0], f, shown, c.more > 0, c.env.Now())
			c.out.Write(b)
			c.out.WriteByte('\n')
		}
		return true
	})
}

// splitUFID takes an identifier off the front of a flow's text.
func splitUFID(s string) (ufid flow.UFID, rest string, err error) {
	if !strings.HasPrefix(s, "ufid:") {
		return ufid, s, nil
	}
	end := strings.IndexAny(s, ", ")
	if end < 0 {
		end = len(s)
	}
	ufid, err = odp.ParseUFID(s[:end])
	return ufid, strings.TrimLeft(s[end:], ", "), err
}

// lacks reports, and prints, that there are less than n arguments after the
// datapath.
func (c *call) lacks(n int) bool {
	if len(c.args) >= n {
		return false
	}
	_ = c.errorf(nil, "%d more arguments are required", n-len(c.args))
	return true
}

func addFlow(c *call) error { return c.putArgs(dpif.FlowPut{Create: true}) }

func modFlow(c *call) error {
	return c.putArgs(dpif.FlowPut{Modify: true, Create: c.mayCreate, ZeroStats: c.clear})
}

func (c *call) putArgs(p dpif.FlowPut) error {
	d, err := c.optional(3)
	if err != nil || c.lacks(2) {
		return unix.EINVAL
	}
	return c.put(d, c.args[len(c.args)-2], c.args[len(c.args)-1], p)
}

// put parses a flow and puts it on all threads.
func (c *call) put(d Datapath, key, actions string, p dpif.FlowPut) error {
	var err error
	if p.UFID, key, err = splitUFID(key); err != nil {
		return c.errorf(unix.EINVAL, "parsing flow ufid")
	}
	names := portNames{d.Dpif}
	if p.Key, p.Mask, err = odp.ParseKey(key, names); err != nil {
		no := unix.EINVAL
		errors.As(err, &no)
		_ = c.errorf(no, "parsing flow key (%v)", err)
		return err
	}
	p.Mask.RecircID = ^uint32(0) // a flow that does not say so is not for recirculated packets
	if p.Actions, err = odp.ParseActions(actions, nil); err != nil {
		return c.errorf(unix.EINVAL, "parsing actions")
	}
	p.PMD = dpif.PMDAll
	if err := d.Dpif.FlowPut(&p); err != nil {
		return c.errorf(err, "updating flow table")
	}
	if c.statistics {
		f, _ := d.Dpif.FlowGet(putUFID(&p), dpif.PMDAll)
		c.printStats(&f.Stats)
	}
	return nil
}

// putUFID is the identifier that a flow which was put has.
func putUFID(p *dpif.FlowPut) flow.UFID {
	if p.UFID == (flow.UFID{}) {
		return p.Key.HashUFID()
	}
	return p.UFID
}

func (c *call) printStats(s *dpif.FlowStats) {
	c.out.Write(append(dpif.AppendStats(nil, s, c.env.Now()), '\n'))
}

func getFlow(c *call) error {
	d, err := c.optional(2)
	if err != nil || c.lacks(1) {
		return unix.EINVAL
	}
	ufid, err := odp.ParseUFID(c.args[len(c.args)-1])
	if err != nil {
		return c.errorf(unix.EINVAL, "parsing flow ufid")
	}
	f, err := d.Dpif.FlowGet(ufid, dpif.PMDAll)
	if err != nil {
		return c.errorf(err, "getting flow")
	}
	var shown odp.PortNames
	if c.names {
		shown = portNames{d.Dpif}
	}
	c.out.Write(append(AppendFlow(nil, &f, shown, c.more > 0, c.env.Now()), '\n'))
	return nil
}

func delFlow(c *call) error {
	d, err := c.optional(2)
	if err != nil || c.lacks(1) {
		return unix.EINVAL
	}
	return c.del(d, c.args[len(c.args)-1])
}

func (c *call) del(d Datapath, key string) error {
	ufid, rest, err := splitUFID(key)
	if err != nil {
		return c.errorf(unix.EINVAL, "parsing flow ufid")
	}
	given := ufid != flow.UFID{}
	if rest != "" || !given {
		k, _, err := odp.ParseKey(rest, portNames{d.Dpif})
		if err != nil {
			_ = c.errorf(unix.EINVAL, "%v", err)
			return err
		}
		if !given {
			ufid = k.HashUFID()
		}
	}
	stats, err := d.Dpif.FlowDel(ufid, dpif.PMDAll)
	if err != nil {
		_ = c.errorf(err, "deleting flow")
		if err == unix.ENOENT && !given {
			c.printf("Perhaps you need to specify a UFID?\n")
		}
		return err
	}
	if c.statistics {
		c.printStats(&stats)
	}
	return nil
}

func addFlows(c *call) error { return c.file("add") }
func modFlows(c *call) error { return c.file("modify") }

func delFlows(c *call) error {
	isDP := false
	if len(c.args) > 0 {
		_, isDP = c.find(c.args[0])
	}
	if len(c.args) > 1 || len(c.args) == 1 && !isDP {
		return c.file("delete")
	}
	d, err := c.optional(1)
	if err != nil {
		return err
	}
	if err := d.Dpif.FlowFlush(); err != nil {
		return c.errorf(err, "deleting all flows")
	}
	return nil
}

// file runs the commands of a file, one a line; a line without a command is a flow
// for the default one.  Lines that fail are reported and skipped.
func (c *call) file(command string) error {
	d, err := c.optional(3)
	if err != nil || c.lacks(1) {
		return unix.EINVAL
	}
	name := c.args[len(c.args)-1]
	if c.env.ReadFile == nil {
		return c.errorf(unix.EOPNOTSUPP, "Opening file \"%s\" failed", name)
	}
	data, err := c.env.ReadFile(name)
	if err != nil {
		return c.errorf(err, "Opening file \"%s\" failed", name)
	}
	for n, line := range strings.Split(string(data), "\n") {
		if i := strings.IndexByte(line, '#'); i >= 0 {
			line = line[:i]
		}
		if line = strings.TrimSpace(line); line != "" {
			c.line(d, command, line, n+1)
		}
	}
	// As stock: what went wrong was printed, the command itself has succeeded.
	c.failed = false
	return nil
}

func (c *call) line(d Datapath, command, line string, number int) {
	end := strings.IndexAny(line, ", \t\r")
	if end < 0 {
		end = len(line)
	}
	// Any beginning of a command's name will do, also the empty one.
	for _, cmd := range []string{"add", "delete", "modify"} {
		if strings.HasPrefix(cmd, line[:end]) {
			command, line = cmd, strings.TrimLeft(line[end:], " \t\r")
			break
		}
	}
	key, actions := line, ""
	if i := strings.IndexAny(line, " \t\r"); i >= 0 {
		key, actions = line[:i], strings.TrimSpace(line[i:])
	}
	if key == "" || (command == "delete") != (actions == "") {
		_ = c.errorf(nil, "Failed parsing line number %d, skipped!", number)
		return
	}
	switch command {
	case "add":
		_ = c.put(d, key, actions, dpif.FlowPut{Create: true})
	case "modify":
		_ = c.put(d, key, actions, dpif.FlowPut{Modify: true})
	case "delete":
		_ = c.del(d, key)
	}
}
