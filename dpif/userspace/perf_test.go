package userspace

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/internal/clock"
	"sluice/internal/vlog"
	"sluice/netdev/packet"
)

// The bounds as stock 3.1 prints them.
func TestScales(t *testing.T) {
	want := [nHists][]uint32{
		histCycles: {499, 716, 1025, 1469, 2104, 3014, 4317, 6183, 8857, 12686, 18171, 26027, 37279, 53395, 76480, 109544, 156903, 224736,
			321895, 461058, 660385, 945886, 1354815, 1940535, 2779476, 3981111, 5702243, 8167461, 11698454, 16755981, 24000000},
		histPackets: {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 17, 22, 28, 35, 45, 57, 72, 92, 117, 148, 188, 239, 303, 385, 489, 621, 788, 1000},
		histPacketCycles: {100, 1096, 2093, 3090, 4086, 5083, 6080, 7076, 8073, 9070, 10066, 11063, 12060, 13056, 14053, 15050, 16046, 17043,
			18040, 19036, 20033, 21030, 22026, 23023, 24020, 25016, 26013, 27010, 28006, 29003, 30000},
		histBatch:   {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 32},
		histBacklog: {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 20, 25, 31, 38, 48, 59, 73, 91, 113, 140, 174, 216, 268, 332, 412, 512},
		histUpcalls: {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30},
		histUpcallCycles: {999, 1258, 1584, 1995, 2511, 3162, 3981, 5011, 6309, 7943, 9999, 12589, 15848, 19952, 25118, 31622, 39810, 50118,
			63095, 79432, 99999, 125892, 158489, 199526, 251188, 316227, 398107, 501187, 630957, 794328, 1000000},
	}
	for h, w := range want {
		if !slices.Equal(scales[h][:], w) {
			t.Errorf("%s: %d, want %d", histNames[h], scales[h], w)
		}
	}
}

func TestBins(t *testing.T) {
	s := &scales[histBatch]
	for _, c := range []struct {
		v    uint64
		want int
	}{{0, 0}, {1, 1}, {14, 14}, {15, 15}, {16, 15}, {31, 30}, {32, 30}, {33, 31}, {1 << 40, 31}} {
		if got := s.bin(c.v); got != c.want {
			t.Errorf("%d is counted in bin %d, want %d", c.v, got, c.want)
		}
	}
}

// measured is a thread, that nobody runs, which collects metrics: each iteration
// forwards a batch of 32.
func measured(t testing.TB) (*thread, *clock.Fake) {
	d, _ := forwarding(t)
	th := newThread(d, 3, 0)
	th.apply(d.cur, d.loop.polls, 0)
	th.setPerf(true)
	t.Cleanup(th.close)
	return th, d.clock.(*clock.Fake)
}

func TestIterations(t *testing.T) {
	th, clk := measured(t)
	th.iteration() // with an upcall: the flow is another thread's
	clk.Ms = 7
	th.perf.checked = 0 // the counter may not be far enough
	th.iteration()
	rx := th.polls[0].q.(*fakeRx)
	rx.burst = 3
	th.iteration()
	rx.burst = 0
	th.iteration()
	m := th.perf
	m.turn(9)

	var got []string
	for _, s := range m.iters.tail(nil, 9) {
		got = append(got, fmt.Sprint(s.at, s.packets, s.batches, s.upcalls, s.iterations, s.busyCycles > 0, s.upcallCycles > 0))
	}
	cycles := cycleCounter() != 0
	want := []string{"4 0 0 0 1 false false", fmt.Sprint("3 3 1 0 1 ", cycles, " false"),
		fmt.Sprint("2 32 1 0 1 ", cycles, " false"), fmt.Sprint("1 32 1 1 1 ", cycles, " ", cycles)}
	if !slices.Equal(got, want) {
		t.Errorf("iterations\n%q, want\n%q", got, want)
	}
	if last := m.millis.tail(nil, 1); len(last) != 1 || last[0].at != 7 || m.ms.at != 9 || m.ms.iterations != 0 {
		t.Errorf("milliseconds: %+v, and %+v runs", last, m.ms)
	}
	if m.total.iterations != 4 || m.total.packets != 67 || m.total.batches != 3 {
		t.Errorf("total %+v", m.total)
	}
	for _, c := range []struct {
		hist, bin int
		want      uint64
	}{{histPackets, 0, 1}, {histPackets, 3, 1}, {histPackets, 16, 2}, {histBatch, 30, 2}, {histBatch, 3, 1}, {histUpcalls, 0, 3}, {histBacklog, 0, 4}} {
		if got := m.hists[c.hist][c.bin]; got != c.want {
			t.Errorf("%s, bin %d: %d, want %d", histNames[c.hist], c.bin, got, c.want)
		}
	}
	if got := th.stats[statUpcallCycles].Load() > 0; got != cycles {
		t.Errorf("cycles of upcalls: %v", got)
	}
	th.clearPerf()
	if th.perf.iters.n != 0 || th.perf.hists != ([nHists]histogram{}) || th.perf.total.iterations != 0 {
		t.Error("clear leaves something")
	}
}

// backlogged is a queue that leaves packets behind.
type backlogged struct {
	*fakeRx
	left int
}

func (q *backlogged) Backlog() int { return q.left }

func TestBacklogOfQueues(t *testing.T) {
	th, _ := measured(t)
	q := th.polls[0]
	th.polls = []*rxq{
		newRxq(q.port, &backlogged{fakeRx: q.q.(*fakeRx), left: 200}, nil),
		newRxq(q.port, &backlogged{fakeRx: &fakeRx{same: udp(1, 18), burst: 5}, left: 300}, nil),
	}
	th.iteration()
	// 232: of a queue that gave less than a batch nothing is left.
	if got := th.perf.iters.tail(nil, 1)[0]; got.backlog != 232 || got.packets != 37 || got.batches != 2 {
		t.Errorf("%+v", got)
	}
}

func TestHistory(t *testing.T) {
	r := new(ring)
	for n := range uint64(historyLen + 7) {
		r.add(&sample{at: n})
	}
	list := r.tail(nil, 2*historyLen)
	if len(list) != historyLen || list[0].at != historyLen+6 || list[historyLen-1].at != 7 {
		t.Errorf("%d samples, %d to %d", len(list), list[len(list)-1].at, list[0].at)
	}
	if list = r.tail(list[:0], 2); len(list) != 2 || list[1].at != historyLen+5 {
		t.Errorf("the last two are %+v", list)
	}
}

func TestMetricsAllocateNothing(t *testing.T) {
	th, clk := measured(t)
	limitsWere(t)
	perfLimits.Store(&limits{on: true, us: 1 << 31, backlog: 1 << 31})
	th.iteration()
	if n := testing.AllocsPerRun(200, func() { clk.Ms++; th.iteration() }); n != 0 {
		t.Errorf("%v allocations an iteration", n)
	}
}

// limitsWere puts the process's limits back when the test ends.
func limitsWere(t *testing.T) {
	old := perfLimits.Load()
	t.Cleanup(func() { perfLimits.Store(old) })
}

func perfLog(t *testing.T) *[]string {
	var lines []string
	vlog.SetActive(vlog.File, true)
	vlog.SetSink(func(m *vlog.Module, _ vlog.Level, text string) {
		if m.Name() == "pmd_perf" {
			lines = append(lines, text)
		}
	})
	t.Cleanup(func() { vlog.SetSink(nil); vlog.SetActive(vlog.File, false) })
	return &lines
}

// feed gives a thread iterations with these backlogs; its numbers begin at 1.
func feed(th *thread, backlogs ...uint64) {
	for _, n := range backlogs {
		th.stats.add(statIters, 1)
		th.perf.cur.backlog = n
		th.perf.end(th, 0, 0, 1)
	}
}

// numbers are those of the iterations that a line of the log lists.
func numbers(line string) (list []string) {
	for _, row := range strings.Split(line, "\n")[2:] {
		list = append(list, strings.Fields(row)[0])
	}
	return list
}

func TestSuspiciousIterations(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   string
		feed   []uint64
		events []string // number of an announced iteration, or the listed ones
	}{
		{"off", "off", []uint64{200, 0, 0, 0, 0, 0, 0, 0}, nil},
		{"below", "on", []uint64{127, 0, 0, 0, 0, 0, 0, 0}, nil},
		{"defaults", "on", []uint64{0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 0, 0, 0}, []string{"iter=7", "12 11 10 9 8 7 6 5 4 3 2"}},
		{"not yet", "on", []uint64{0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 0}, nil},
		{"at the start", "on -a 1", []uint64{128, 0, 0}, []string{"iter=1", "2 1"}},
		{"nothing around", "on -b 0 -a 0", []uint64{0, 500, 0}, []string{"iter=2", "2"}},
		{"limit", "on -b 0 -a 0 -q 501", []uint64{0, 500, 501}, []string{"iter=3", "3"}},
		{"second one", "on -b 1 -a 2", []uint64{0, 500, 500, 0, 0, 0}, []string{"iter=2", "4 3 2 1"}},
		{"extended", "on -b 1 -a 2 -e", []uint64{0, 500, 500, 0, 0, 0}, []string{"iter=2", "iter=3", "5 4 3 2 1"}},
		{"again", "on -b 0 -a 1", []uint64{500, 0, 0, 500, 0}, []string{"iter=1", "2 1", "iter=4", "5 4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			limitsWere(t)
			perfLimits.Store(nil)
			th, _ := measured(t)
			if _, err := PMDPerfLogSet(strings.Fields(c.args)); err != nil {
				t.Fatal(err)
			}
			lines := perfLog(t)
			feed(th, c.feed...)
			var got []string
			for _, l := range *lines {
				if rows, ok := strings.CutPrefix(l, "Neighborhood of suspicious iteration:\n"); ok {
					got = append(got, strings.Join(numbers("\n"+rows), " "))
					continue
				}
				event := strings.Fields(strings.TrimPrefix(l, "Suspicious iteration (Vhost RX queue full): "))
				got = append(got, event[0])
			}
			if !slices.Equal(got, c.events) {
				t.Errorf("%q, want %q", got, c.events)
			}
		})
	}
}

// An interval is never longer than the history, and a long one is not logged twice.
func TestLongIntervals(t *testing.T) {
	limitsWere(t)
	perfLimits.Store(nil)
	th, _ := measured(t)
	if _, err := PMDPerfLogSet(strings.Fields("on -b 600 -a 300 -e")); err != nil {
		t.Fatal(err)
	}
	lines := perfLog(t)
	feed(th, make([]uint64, 700)...)
	feed(th, 200)
	feed(th, make([]uint64, 299)...)
	feed(th, 200) // until 1301 would be 1201 rows
	feed(th, make([]uint64, 200)...)
	if len(*lines) != 3 {
		t.Fatalf("%d lines", len(*lines))
	}
	list := numbers((*lines)[2])
	if len(list) != historyLen || list[0] != "1100" || list[len(list)-1] != "101" {
		t.Errorf("%d rows from %s to %s", len(list), list[len(list)-1], list[0])
	}
	if l := *perfLimits.Load(); l != (limits{on: true, before: 5, after: 5, us: 250, backlog: 128}) {
		t.Errorf("limits are %+v", l)
	}
}

func TestPerfLogSet(t *testing.T) {
	limitsWere(t)
	perfLimits.Store(nil)
	lines := perfLog(t)
	const usage = "Usage: ovs-appctl dpif-netdev/pmd-perf-log-set [on|off] [-b before] [-a after] [-e|-ne] [-us usec] [-q qlen]"
	for _, c := range []struct{ args, want string }{
		{"", "pmd-perf-log-set: off, before=5, after=5, extend=false, us_thr=250, q_thr=128"},
		{"on -b 2 -a 3 -us 1000", "pmd-perf-log-set: on, before=2, after=3, extend=false, us_thr=1000, q_thr=128"},
		{"-e -q 7", "pmd-perf-log-set: on, before=2, after=3, extend=true, us_thr=1000, q_thr=7"},
		{"off -ne -b 5000 -a 6000", "pmd-perf-log-set: off, before=998, after=0, extend=false, us_thr=1000, q_thr=7"},
		{"-b 50 -a 6000", "pmd-perf-log-set: off, before=50, after=948, extend=false, us_thr=1000, q_thr=7"},
		{"foo", usage}, {"on foo", usage}, {"on -b", usage}, {"-b x", usage}, {"-b -3", usage}, {"-q 0x10", usage}, {"-b 5000000000", usage},
	} {
		*lines = nil
		_, err := PMDPerfLogSet(strings.Fields(c.args))
		got := strings.Join(*lines, "\n")
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.args, got, c.want)
		}
	}
}

func TestPerfTexts(t *testing.T) {
	v := perfView{sum: sample{iterations: 3, cycles: 900, busyCycles: 500, packets: 5, batches: 2, backlog: 3, upcalls: 1, upcallCycles: 77}}
	var b strings.Builder
	showIterations(&b, []sample{{at: 42, cycles: 6400, packets: 64, batches: 3, backlog: 40, upcalls: 2, upcallCycles: 900}, {at: 41, cycles: 1000}})
	showMillis(&b, []sample{{at: 1234, iterations: 10, cycles: 5000, busyCycles: 3200, packets: 32, batches: 4, backlog: 25}})
	v.showHistograms(&b)
	lines := strings.Split(b.String(), "\n")
	want := map[int]string{
		0:  "   iter                cycles       packets      cycles/pkt   pkts/batch   vhost qlen   upcalls      cycles/upcall",
		1:  "   42                  6400         64           100          21           40           2            450        ",
		2:  "   41                  1000         0            0            0            0            0            0          ",
		3:  "   ms             iterations   cycles/it    Kpps         cycles/pkt   pkts/batch   vhost qlen   upcalls      cycles/upcall",
		4:  "   1234           10           500          32           100          8            2            0            0          ",
		5:  "Histograms",
		6:  "   cycles/it              packets/it             cycles/pkt             pkts/batch             max vhost qlen         upcalls/it             cycles/upcall        ",
		7:  "   499       0            0         0            100       0            0         0            0         0            0         0            999       0          ",
		38: "   >         0            >         0            >         0            >         0            >         0            >         0            >         0          ",
		39: strings.Repeat("-", 154),
		40: "   cycles/it              packets/it             cycles/pkt             pkts/batch             vhost qlen             upcalls/it             cycles/upcall        ",
		41: "   300                    1.66667                100                    2.50000                1.00000                0.33333                77                   ",
	}
	for n, w := range want {
		if lines[n] != w {
			t.Errorf("line %d is\n%q, want\n%q", n, lines[n], w)
		}
	}
	if len(lines) != 43 {
		t.Errorf("%d lines", len(lines))
	}
}

func TestPerfShow(t *testing.T) {
	d := newDpif(t, nil)
	add(t, d, newDev("p1", 1, true))
	show := func(args string) string {
		t.Helper()
		text, err := PMDPerfShow(strings.Fields(args + " " + d.name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	has := func(args string, want ...bool) {
		t.Helper()
		text := show(args)
		for n, title := range []string{"\nHistograms\n", "\n   iter  ", "\n   ms  "} {
			if got := strings.Contains(text, title); got != want[n] {
				t.Errorf("%q: %q is there: %t\n%s", args, title, got, text)
			}
		}
	}
	has("-it 3 -ms 3", false, false, false)
	d.SetConfig(map[string]string{"pmd-perf-metrics": "true"})
	d.Quiesce()
	has("", true, false, false)
	has("-nh -it 3 -ms 3", false, true, true)
	has("-it x -ms -3", true, false, false)
	has("-nh -it 2000 -pmd 0", false, true, false)
	if text := show("-pmd 7"); text != "" {
		t.Errorf("a core without a thread:\n%s", text)
	}
	d.SetConfig(nil)
	has("-it 3", false, false, false)
}

func BenchmarkIteration(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprintf("metrics=%t", on), func(b *testing.B) {
			th, _ := measured(b)
			th.setPerf(on)
			for b.Loop() {
				th.iteration()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/packet.BatchSize, "ns/packet")
		})
	}
}
