package userspace

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/dpif"
)

// The functions in this file are the texts of ovs-appctl's dpif-netdev commands.
// They take the arguments after the command's name.  Control thread only.

// all is the datapaths of the process by name.
var all = map[string]*Dpif{}

func register(d *Dpif) { all[d.name] = d }

func unregister(d *Dpif) {
	if all[d.name] == d {
		delete(all, d.name)
	}
}

var errNoDatapath = errors.New("please specify an existing datapath")

// pick returns the named datapath, or the only one.
func pick(name string) (*Dpif, error) {
	if d := all[name]; d != nil {
		return d, nil
	}
	if len(all) == 1 {
		for _, d := range all {
			return d, nil
		}
	}
	return nil, errNoDatapath
}

// named is pick for commands whose only argument is a datapath: a wrong name is an
// error there, while the others take the only datapath instead.
func named(args []string) (*Dpif, error) {
	if len(args) == 0 {
		return pick("")
	}
	if d := all[args[0]]; d != nil {
		return d, nil
	}
	return nil, errNoDatapath
}

// infoArgs are the arguments that the commands about threads share.
type infoArgs struct {
	d        *Dpif
	core     int
	filtered bool
	secs     int
}

func parseInfo(args []string, withSecs bool) (a infoArgs, err error) {
	name := ""
	for len(args) > 0 {
		switch {
		case args[0] == "-pmd" && len(args) > 1:
			if core, err := strconv.ParseUint(args[1], 10, 32); err == nil {
				a.core, a.filtered = int(core), true
			}
			args = args[2:]
		case withSecs && args[0] == "-secs" && len(args) > 1:
			secs, err := strconv.ParseUint(args[1], 10, 32)
			if err != nil {
				secs = maxSecs
			}
			a.secs = int(min(secs, maxSecs+1))
			args = args[2:]
		default:
			name = args[0]
			args = args[1:]
		}
	}
	a.d, err = pick(name)
	return a, err
}

// threads are the threads that the arguments select, by core, the loop's last.
func (a *infoArgs) threads() []*thread {
	list := append(slices.Clone(a.d.pmds), a.d.loop)
	return slices.DeleteFunc(list, func(t *thread) bool { return a.filtered && t.core != a.core })
}

func (t *thread) heading() string {
	if t.core == dpif.PMDNone {
		return "main thread:\n"
	}
	return fmt.Sprintf("pmd thread numa_id %d core_id %d:\n", t.numa, t.core)
}

// snapshot reads the counters since the last clear.
func (t *thread) snapshot() (s [nStats]uint64) {
	for i := range s {
		s[i] = t.stats[i].Load() - t.zero[i]
	}
	return s
}

func ratio(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// PMDStatsShow is dpif-netdev/pmd-stats-show.
func PMDStatsShow(args []string) (string, error) {
	a, err := parseInfo(args, false)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, t := range a.threads() {
		t.showStats(&b)
	}
	return b.String(), nil
}

func (t *thread) showStats(b *strings.Builder) {
	s := t.snapshot()
	b.WriteString(t.heading())
	passes := 0.0
	if s[statRecv] > 0 {
		passes = ratio(s[statRecv]+s[statRecirc], s[statRecv])
	}
	fmt.Fprintf(b, "  packets received: %d\n", s[statRecv])
	fmt.Fprintf(b, "  packet recirculations: %d\n", s[statRecirc])
	fmt.Fprintf(b, "  avg. datapath passes per packet: %.02f\n", passes)
	fmt.Fprintf(b, "  phwol hits: %d\n", s[statMarkedHit])
	b.WriteString("  mfex opt hits: 0\n  simple match hits: 0\n")
	fmt.Fprintf(b, "  emc hits: %d\n", s[statExactHit])
	fmt.Fprintf(b, "  smc hits: %d\n", s[statSMCHit])
	fmt.Fprintf(b, "  megaflow hits: %d\n", s[statMaskedHit])
	fmt.Fprintf(b, "  avg. subtable lookups per megaflow hit: %.02f\n", ratio(s[statMaskedLookup], s[statMaskedHit]))
	fmt.Fprintf(b, "  miss with success upcall: %d\n", s[statMiss])
	fmt.Fprintf(b, "  miss with failed upcall: %d\n", s[statLost])
	fmt.Fprintf(b, "  avg. packets per output batch: %.02f\n", ratio(s[statSentPkts], s[statSentBatches]))
	total := s[statIdleCycles] + s[statBusyCycles]
	if total == 0 {
		return
	}
	fmt.Fprintf(b, "  idle cycles: %d (%.02f%%)\n", s[statIdleCycles], 100*ratio(s[statIdleCycles], total))
	fmt.Fprintf(b, "  processing cycles: %d (%.02f%%)\n", s[statBusyCycles], 100*ratio(s[statBusyCycles], total))
	if s[statRecv] == 0 {
		return
	}
	fmt.Fprintf(b, "  avg cycles per packet: %.02f (%d/%d)\n", ratio(total, s[statRecv]), total, s[statRecv])
	fmt.Fprintf(b, "  avg processing cycles per packet: %.02f (%d/%d)\n",
		ratio(s[statBusyCycles], s[statRecv]), s[statBusyCycles], s[statRecv])
}

// PMDStatsClear is dpif-netdev/pmd-stats-clear.
func PMDStatsClear(args []string) (string, error) {
	a, err := parseInfo(args, false)
	if err != nil {
		return "", err
	}
	for _, t := range a.threads() {
		t.do(t.clearPerf)
		for i := range t.zero {
			t.zero[i] = t.stats[i].Load()
		}
		t.clearedMs = a.d.clock.Now()
	}
	return "", nil
}

// The longest time that pmd-rxq-show looks back, and its unit.
const (
	secsStep = intervalMs / 1000
	maxSecs  = secsStep * nIntervals
)

// PMDRxqShow is dpif-netdev/pmd-rxq-show.
func PMDRxqShow(args []string) (string, error) {
	a, err := parseInfo(args, true)
	if err != nil {
		return "", err
	}
	secs := a.secs
	if secs == 0 || secs > maxSecs {
		secs = maxSecs
	}
	secs = (secs + secsStep - 1) / secsStep * secsStep
	var b strings.Builder
	threads := a.threads()
	if len(threads) > 0 {
		fmt.Fprintf(&b, "Displaying last %d seconds pmd usage %%\n", secs)
	}
	for _, t := range threads {
		if t.core != dpif.PMDNone {
			t.showQueues(&b, secs/secsStep)
		}
	}
	return b.String(), nil
}

func (t *thread) showQueues(b *strings.Builder, intervals int) {
	fmt.Fprintf(b, "pmd thread numa_id %d core_id %d:\n  isolated : %t\n", t.numa, t.core, t.isolated)
	total := t.cycles.interval.Load() * uint64(intervals)
	busy := min(t.cycles.busy.sum(intervals), total)
	queues := slices.Clone(t.placed)
	slices.SortFunc(queues, func(a, b *rxq) int {
		if c := strings.Compare(a.port.name, b.port.name); c != 0 {
			return c
		}
		return a.id - b.id
	})
	sum := uint64(0)
	for _, q := range queues {
		used := q.cycles.sum(intervals)
		sum += used
		fmt.Fprintf(b, "  port: %-16s  queue-id: %2d (enabled)   pmd usage: %s\n", q.port.name, q.id, usage(used, total))
	}
	if len(queues) == 0 {
		return
	}
	fmt.Fprintf(b, "  overhead: %s\n", usage(busy-min(busy, sum), total))
}

func usage(used, total uint64) string {
	if total == 0 {
		return "NOT AVAIL"
	}
	return fmt.Sprintf("%2d %%", used*100/total)
}

// PMDRxqRebalance is dpif-netdev/pmd-rxq-rebalance.
func PMDRxqRebalance(args []string) (string, error) {
	d, err := named(args)
	if err != nil {
		return "", err
	}
	d.pending = true
	return "pmd rxq rebalance requested.\n", nil
}

// allThreads lists the threads of all datapaths, by name and core.
func allThreads() (list []*thread) {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		list = append(list, all[name].threads()...)
	}
	return list
}
