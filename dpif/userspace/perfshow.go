package userspace

import (
	"fmt"
	"strings"

	"sluice/dpif"
)

// perfArgs are the options of pmd-perf-show.
type perfArgs struct {
	noHists       bool
	iters, millis int
}

// parsePerf takes the options that come first; the rest is for parseInfo.
func parsePerf(args []string) (p perfArgs, rest []string) {
	for len(args) > 0 {
		switch {
		case args[0] == "-nh":
			p.noHists = true
			args = args[1:]
		case args[0] == "-it" && len(args) > 1:
			p.iters = historyArg(args[1])
			args = args[2:]
		case args[0] == "-ms" && len(args) > 1:
			p.millis = historyArg(args[1])
			args = args[2:]
		default:
			return p, args
		}
	}
	return p, nil
}

// historyArg reads a length; what is no number is none.
func historyArg(s string) int {
	n, ok := number(s)
	if !ok {
		return 0
	}
	return int(min(n, historyLen))
}

// PMDPerfShow is dpif-netdev/pmd-perf-show.
func PMDPerfShow(args []string) (string, error) {
	p, args := parsePerf(args)
	a, err := parseInfo(args, false)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, t := range a.threads() {
		if t.core != dpif.PMDNone {
			t.showPerf(&b, &p)
		}
	}
	return b.String(), nil
}

func (t *thread) showPerf(b *strings.Builder, p *perfArgs) {
	clk := t.dp.clock
	wall := clk.Wall()
	duration := float64(clk.Now()-t.clearedMs) / 1000
	day := wall % 86400000
	fmt.Fprintf(b, "\nTime: %02d:%02d:%02d.%03d\n", day/3600000, day/60000%60, day/1000%60, day%1000)
	fmt.Fprintf(b, "Measurement duration: %.3f s\n\n%s\n", duration, t.heading())
	if duration > 0 {
		t.showOverall(b, duration)
	}
	v := t.perfView(p.iters, p.millis)
	if v == nil {
		return
	}
	if !p.noHists {
		b.WriteByte('\n')
		v.showHistograms(b)
	}
	if p.iters > 0 {
		b.WriteByte('\n')
		showIterations(b, v.iters)
	}
	if p.millis > 0 {
		b.WriteByte('\n')
		showMillis(b, v.millis)
	}
}

func (t *thread) showOverall(b *strings.Builder, duration float64) {
	s := t.snapshot()
	total := s[statIdleCycles] + s[statBusyCycles]
	hz := t.dp.hz()
	idle := s[statIters] - min(s[statIters], s[statBusyIters])
	fmt.Fprintf(b, "  Iterations:         %12d  (%.2f us/it)\n", s[statIters], ratio(total, s[statIters])*1e6/hz)
	fmt.Fprintf(b, "  - Used TSC cycles:  %12d  (%5.1f %% of total cycles)\n", total, 100*float64(total)/duration/hz)
	fmt.Fprintf(b, "  - idle iterations:  %12d  (%5.1f %% of used cycles)\n", idle, 100*ratio(s[statIdleCycles], total))
	fmt.Fprintf(b, "  - busy iterations:  %12d  (%5.1f %% of used cycles)\n", s[statBusyIters], 100*ratio(s[statBusyCycles], total))
	fmt.Fprintf(b, "  - sleep iterations: %12d  (%5.1f %% of iterations)\n", s[statSleeps], 100*ratio(s[statSleeps], s[statIters]))
	slept := float64(s[statSleepCycles]) * 1e6 / hz
	perSleep := 0.0
	if s[statSleeps] > 0 {
		perSleep = slept / float64(s[statSleeps])
	}
	fmt.Fprintf(b, "  Sleep time (us):    %12.0f  (%3.0f us/iteration avg.)\n", slept, perSleep)
	perfRx(b, &s, duration, hz)
	if tx := s[statSentPkts]; tx > 0 {
		fmt.Fprintf(b, "  Tx packets:         %12d  (%.0f Kpps)\n", tx, float64(tx)/duration/1000)
		fmt.Fprintf(b, "  Tx batches:         %12d  (%.2f pkts/batch)\n", s[statSentBatches], ratio(tx, s[statSentBatches]))
	} else {
		fmt.Fprintf(b, "  Tx packets:         %12d\n\n", 0)
	}
}

func perfRx(b *strings.Builder, s *[nStats]uint64, duration, hz float64) {
	rx := s[statRecv]
	if rx == 0 {
		fmt.Fprintf(b, "  Rx packets:         %12d\n", 0)
		return
	}
	passes := rx + s[statRecirc]
	percent := func(n uint64) float64 { return 100 * ratio(n, passes) }
	fmt.Fprintf(b, "  Rx packets:         %12d  (%.0f Kpps, %.0f cycles/pkt)\n", rx, float64(rx)/duration/1000,
		ratio(s[statBusyCycles], rx))
	fmt.Fprintf(b, "  Datapath passes:    %12d  (%.2f passes/pkt)\n", passes, ratio(passes, rx))
	fmt.Fprintf(b, "  - PHWOL hits:       %12d  (%5.1f %%)\n", s[statMarkedHit], percent(s[statMarkedHit]))
	for _, name := range []string{"- MFEX Opt hits:    ", "- Simple Match hits:"} {
		fmt.Fprintf(b, "  %s%12d  (%5.1f %%)\n", name, 0, 0.0)
	}
	fmt.Fprintf(b, "  - EMC hits:         %12d  (%5.1f %%)\n", s[statExactHit], percent(s[statExactHit]))
	fmt.Fprintf(b, "  - SMC hits:         %12d  (%5.1f %%)\n", s[statSMCHit], percent(s[statSMCHit]))
	fmt.Fprintf(b, "  - Megaflow hits:    %12d  (%5.1f %%, %.2f subtbl lookups/hit)\n", s[statMaskedHit],
		percent(s[statMaskedHit]), ratio(s[statMaskedLookup], s[statMaskedHit]))
	fmt.Fprintf(b, "  - Upcalls:          %12d  (%5.1f %%, %.1f us/upcall)\n", s[statMiss], percent(s[statMiss]),
		ratio(s[statUpcallCycles], s[statMiss])*1e6/hz)
	fmt.Fprintf(b, "  - Lost upcalls:     %12d  (%5.1f %%)\n", s[statLost], percent(s[statLost]))
}

// histNames are the columns of the histograms; the averages below them have other
// names in part.
var histNames = [nHists]string{"cycles/it", "packets/it", "cycles/pkt", "pkts/batch", "max vhost qlen", "upcalls/it", "cycles/upcall"}

func (v *perfView) showHistograms(b *strings.Builder) {
	names := histNames
	b.WriteString("Histograms\n")
	columns(b, names[:], "%-21s")
	for row := range nWalls {
		cells := make([]string, nHists)
		for h := range cells {
			cells[h] = fmt.Sprintf("%-9d %-11d", scales[h][row], v.hists[h][row])
		}
		columns(b, cells, "%s")
	}
	cells := make([]string, nHists)
	for h := range cells {
		cells[h] = fmt.Sprintf("%-9s %-11d", ">", v.hists[h][nWalls])
	}
	columns(b, cells, "%s")
	sum := &v.sum
	if sum.iterations == 0 {
		return
	}
	b.WriteString(strings.Repeat("-", 154) + "\n")
	names[histBacklog] = "vhost qlen"
	columns(b, names[:], "%-21s")
	average := func(n, of uint64) string { return fmt.Sprintf("%.5f", ratio(n, of)) }
	columns(b, []string{
		fmt.Sprint(quotient(sum.cycles, sum.iterations)),
		average(sum.packets, sum.iterations),
		fmt.Sprint(quotient(sum.busyCycles, sum.packets)),
		average(sum.packets, sum.batches),
		average(sum.backlog, sum.iterations),
		average(sum.upcalls, sum.iterations),
		fmt.Sprint(quotient(sum.upcallCycles, sum.upcalls)),
	}, "%-21s")
}

// columns writes a line of cells, each in its format.
func columns(b *strings.Builder, cells []string, format string) {
	for i, c := range cells {
		b.WriteString("  ")
		if i == 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(b, format, c)
	}
	b.WriteByte('\n')
}

func quotient(a, b uint64) uint64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// showIterations lists iterations.
func showIterations(b *strings.Builder, list []sample) {
	fmt.Fprintf(b, "   %-17s   %-10s   %-10s   %-10s   %-10s   %-10s   %-10s   %-10s\n",
		"iter", "cycles", "packets", "cycles/pkt", "pkts/batch", "vhost qlen", "upcalls", "cycles/upcall")
	for i := range list {
		s := &list[i]
		fmt.Fprintf(b, "   %-17d   %-11d  %-11d  %-11d  %-11d  %-11d  %-11d  %-11d\n",
			s.at, s.cycles, s.packets, quotient(s.cycles, s.packets), quotient(s.packets, s.batches),
			s.backlog, s.upcalls, quotient(s.upcallCycles, s.upcalls))
	}
}

// showMillis lists milliseconds in which iterations ended.
func showMillis(b *strings.Builder, list []sample) {
	fmt.Fprintf(b, "   %-12s   %-10s   %-10s   %-10s   %-10s   %-10s   %-10s   %-10s   %-10s\n",
		"ms", "iterations", "cycles/it", "Kpps", "cycles/pkt", "pkts/batch", "vhost qlen", "upcalls", "cycles/upcall")
	for i := range list {
		s := &list[i]
		fmt.Fprintf(b, "   %-12d   %-11d  %-11d  %-11d  %-11d  %-11d  %-11d  %-11d  %-11d\n",
			s.at, s.iterations, quotient(s.cycles, s.iterations), s.packets, quotient(s.busyCycles, s.packets),
			quotient(s.packets, s.batches), quotient(s.backlog, s.iterations), s.upcalls, quotient(s.upcallCycles, s.upcalls))
	}
}
