package userspace

import (
	"math"

	"sluice/netdev"
)

// What other_config:pmd-perf-metrics collects: per iteration of a polling thread how
// many cycles, packets, batches and upcalls there were, as histograms and as a history
// of the last iterations and milliseconds.
//
// An iteration is one round over the thread's queues with what follows from it:
// packets are processed and sent, commands of the inbox run.  Sleep is no part of it.
// A thread that sleeps makes no iterations, so that histograms and histories show what
// it did while it was awake; the time that it slept is counted apart (statSleepCycles).
//
// The thread owns its metrics; they are nil while nobody wants them, which is all that
// the packets' way asks then.  Others get a copy (perfView).

// historyLen is how many iterations and milliseconds are remembered.
const historyLen = 1000

// sample is what one iteration did, or several together.
type sample struct {
	at           uint64 // number of the iteration since the thread's start; clock in ms
	iterations   uint64
	cycles       uint64
	busyCycles   uint64 // of the iterations that had packets
	packets      uint64
	batches      uint64
	upcalls      uint64
	upcallCycles uint64
	// backlog is how many packets the fullest vhost-user queue had; several
	// iterations' are added up.
	backlog uint64
}

func (s *sample) add(o *sample) {
	s.iterations += o.iterations
	s.cycles += o.cycles
	s.busyCycles += o.busyCycles
	s.packets += o.packets
	s.batches += o.batches
	s.upcalls += o.upcalls
	s.upcallCycles += o.upcallCycles
	s.backlog += o.backlog
}

// ring remembers the last samples.
type ring struct {
	n       uint64 // how many there have been
	samples [historyLen]sample
}

func (r *ring) add(s *sample) {
	r.samples[r.n%historyLen] = *s
	r.n++
}

// tail copies the last n samples, the newest first.
func (r *ring) tail(list []sample, n int) []sample {
	for i := range min(uint64(n), r.n, historyLen) {
		list = append(list, r.samples[(r.n-1-i)%historyLen])
	}
	return list
}

// The metrics that have a histogram, in the order of pmd-perf-show.
const (
	histCycles = iota
	histPackets
	histPacketCycles
	histBatch
	histBacklog
	histUpcalls
	histUpcallCycles
	nHists
)

// nWalls is the number of upper bounds of a histogram; above the last one is a bin
// more.
const nWalls = 31

type (
	scale     [nWalls]uint32
	histogram [nWalls + 1]uint64
)

// scales are the bounds of all histograms, stock's: cycles are those of 200 ns to
// 9.6 ms at 2.5 GHz, batches end at packet.BatchSize, queues at half of 1024.
var scales = [nHists]scale{
	histCycles:       logScale(500, 24_000_000),
	histPackets:      logScale(0, 1000),
	histPacketCycles: linearScale(100, 30_000),
	histBatch:        linearScale(0, 32),
	histBacklog:      logScale(0, 512),
	histUpcalls:      linearScale(0, 30),
	histUpcallCycles: logScale(1000, 1_000_000),
}

func linearScale(first, last uint32) (s scale) {
	for i := range s {
		s[i] = first + uint32(i)*(last-first)/(nWalls-1)
	}
	return s
}

// logScale spaces bounds by equal factors, but at least by one; where the first is 0
// the factors begin with the second, which is 1.
func logScale(first, last uint32) (s scale) {
	rest := s[:]
	if first == 0 {
		rest, first = s[1:], 1
	}
	low, high := math.Log(float64(first)), math.Log(float64(last))
	least := uint32(len(s) - len(rest)) // of the next bound
	for i := range rest {
		exact := math.Exp(low + float64(i)*(high-low)/float64(len(rest)-1))
		rest[i] = max(uint32(exact), least)
		least = rest[i] + 1
	}
	rest[len(rest)-1] = max(rest[len(rest)-1], last) // logarithms round
	return s
}

// bin is where v is counted: below the first bound that is not less.
func (s *scale) bin(v uint64) int {
	low, high := 0, nWalls
	for low < high {
		if mid := (low + high) / 2; v <= uint64(s[mid]) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// metrics are what a polling thread collects.
type metrics struct {
	cur           sample // the iteration that runs
	ms            sample // the millisecond that runs
	total         sample // what was before it, since the last clear
	checked       uint64 // cycle counter when the clock was read last
	hists         [nHists]histogram
	iters, millis ring
	watch         watch
}

// clockCycles is how long the clock is not read again, 4 µs or so.
const clockCycles = 10_000

func (m *metrics) count(hist int, v uint64) { m.hists[hist][scales[hist].bin(v)]++ }

// batch counts what a queue returned.  A full batch may have left packets behind.
func (m *metrics) batch(n int, queue netdev.Backlogger, full bool) {
	m.cur.batches++
	if queue == nil {
		return
	}
	fill := n
	if full {
		fill += queue.Backlog()
	}
	m.cur.backlog = max(m.cur.backlog, uint64(fill))
}

// upcall counts one that began when there had been before cycles of others.  What
// happened inside of it, when its packet was recirculated, is in cycles already.
func (m *metrics) upcall(before, cycles uint64) {
	m.cur.upcalls++
	m.cur.upcallCycles = before + cycles
}

// end ends an iteration, which took cycles until the cycle counter was at end.
func (m *metrics) end(t *thread, packets int, cycles, end uint64) {
	s := &m.cur
	s.at, s.iterations, s.cycles, s.packets = t.stats[statIters].Load(), 1, cycles, uint64(packets)
	m.count(histCycles, cycles)
	m.count(histPackets, s.packets)
	m.count(histBacklog, s.backlog)
	m.count(histUpcalls, s.upcalls)
	if packets > 0 {
		s.busyCycles = cycles
		m.count(histPacketCycles, cycles/s.packets)
	}
	if s.batches > 0 {
		m.count(histBatch, s.packets/s.batches)
	}
	if s.upcalls > 0 {
		m.count(histUpcallCycles, s.upcallCycles/s.upcalls)
		t.stats.add(statUpcallCycles, s.upcallCycles)
	}
	// A counter that stands still (other machines) says nothing about time.
	if end-m.checked >= clockCycles || end == 0 {
		m.checked = end
		m.turn(t.dp.clock.Now())
	}
	m.ms.add(s)
	m.iters.add(s)
	m.watch.look(t, m)
	m.cur = sample{}
}

// turn begins a new millisecond if it is time.
func (m *metrics) turn(now int64) {
	if uint64(now) == m.ms.at {
		return
	}
	if m.ms.iterations > 0 {
		m.total.add(&m.ms)
		m.millis.add(&m.ms)
	}
	m.ms = sample{at: uint64(now)}
}

// setPerf begins or ends the collection; what was collected goes with it.
func (t *thread) setPerf(on bool) {
	switch {
	case !on:
		t.perf = nil
	case t.perf == nil:
		t.perf = new(metrics)
	}
}

// clearPerf forgets what was collected.
func (t *thread) clearPerf() {
	if t.perf != nil {
		*t.perf = metrics{}
	}
}

// perfView is what pmd-perf-show shows of a thread's metrics.
type perfView struct {
	sum           sample
	hists         [nHists]histogram
	iters, millis []sample // the newest first
}

// perfView copies the thread's metrics and so many samples; nil: it collects none.
// The control thread only, which brings the memory: the thread has other things to do.
func (t *thread) perfView(iters, millis int) *perfView {
	v := &perfView{iters: make([]sample, 0, iters), millis: make([]sample, 0, millis)}
	t.do(func() {
		m := t.perf
		if m == nil {
			v = nil
			return
		}
		m.turn(t.dp.clock.Now())
		v.sum, v.hists = m.total, m.hists
		v.sum.add(&m.ms)
		v.iters, v.millis = m.iters.tail(v.iters, iters), m.millis.tail(v.millis, millis)
	})
	return v
}
