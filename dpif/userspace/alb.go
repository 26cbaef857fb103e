package userspace

import (
	"strconv"

	"sluice/internal/vlog"
)

// Limits and defaults of automatic load balancing (pmd-auto-lb…).
const (
	albInterval    = 1 // minutes
	albMaxInterval = 20000
	albImprovement = 25 // percent
	albLoad        = 95 // percent
	minuteMs       = 60000
)

// albSettings are the keys of other_config about automatic load balancing.
type albSettings struct {
	on          bool
	intervalMin uint64
	improvement uint64
	load        uint64
}

// alb is the state of automatic load balancing: when threads are overloaded, and
// placing the queues anew would spread the load better, the datapath reconfigures.
type alb struct {
	last     int64 // when it was looked at last, ms; 0: not yet
	recheck  bool  // the configuration changed since
	possible bool
}

// atMost reads a number up to limit, def if there is none or a larger one.
func atMost(m map[string]string, key string, limit, def uint64) uint64 {
	v, err := strconv.ParseUint(m[key], 10, 64)
	if err != nil || v > limit {
		return def
	}
	return v
}

func (s *albSettings) set(m map[string]string) {
	s.on = boolKey(m, "pmd-auto-lb", false)
	s.intervalMin = max(atMost(m, "pmd-auto-lb-rebal-interval", albMaxInterval, albInterval), 1)
	s.improvement = atMost(m, "pmd-auto-lb-improvement-threshold", 100, albImprovement)
	s.load = atMost(m, "pmd-auto-lb-load-threshold", 100, albLoad)
}

// log tells what changed; the zero value of old logs everything.
func (s *albSettings) log(old *albSettings) {
	changed := false
	report := func(now, before uint64, format string) {
		if now != before {
			log.Info(format, now)
			changed = true
		}
	}
	report(s.intervalMin, old.intervalMin, "PMD auto load balance interval set to %d mins")
	first := old.intervalMin == 0
	if first || s.improvement != old.improvement {
		log.Info("PMD auto load balance improvement threshold set to %d%%", s.improvement)
		changed = true
	}
	if first || s.load != old.load {
		log.Info("PMD auto load balance load threshold set to %d%%", s.load)
		changed = true
	}
	switch {
	case !changed && s.on == old.on:
	case s.on:
		log.Info("PMD auto load balance is enabled, interval %d mins, pmd load threshold %d%%, improvement threshold %d%%.",
			s.intervalMin, s.load, s.improvement)
	default:
		log.Info("PMD auto load balance is disabled.")
	}
}

// balance asks for a reconfiguration when one would help.
func (d *Dpif) balance(now int64) {
	if !d.cfg.alb.on {
		d.alb.last = 0
		return
	}
	if d.alb.last == 0 {
		d.alb.last = now
		return
	}
	if d.alb.last+int64(d.cfg.alb.intervalMin)*minuteMs >= now {
		return
	}
	d.alb.last = now
	overloaded := false
	for _, t := range d.pmds {
		overloaded = overloaded || t.cycles.overloaded.Load() >= nIntervals
	}
	if overloaded && !d.pending && d.dryRunNeeded() && d.dryRun() {
		log.Info("PMD auto load balance dry run. Requesting datapath reconfigure.")
		d.pending = true
	}
}

// dryRunNeeded reports whether a better placement is possible at all.
func (d *Dpif) dryRunNeeded() bool {
	if !d.alb.recheck {
		if !d.alb.possible {
			log.Dbg("PMD auto load balance nothing to do, no configuration changes since last check.")
		}
		return d.alb.possible
	}
	d.alb.recheck, d.alb.possible = false, false
	if d.cfg.assign == assignRoundRobin {
		log.Dbg("PMD auto load balance nothing to do, pmd-rxq-assign=roundrobin assignment type configured.")
		return false
	}
	threads, several := 0, false
	for _, t := range d.pmds {
		if !t.isolated {
			threads++
			several = several || len(t.placed) > 1
		}
	}
	d.alb.possible = threads >= 2 && several
	if !d.alb.possible {
		log.Dbg("PMD auto load balance nothing to do, not enough non-isolated PMDs or RxQs.")
	}
	return d.alb.possible
}

// dryRun compares the spread of load as it is with what a new placement would
// give.
func (d *Dpif) dryRun() bool {
	log.Dbg("PMD auto load balance performing dry run.")
	plan := d.plan(vlog.Dbg)
	if len(plan.nodes) > 1 && plan.crosses() {
		log.Dbg("PMD auto load balance detected cross-numa polling with multiple numa nodes. Unable to accurately estimate.")
		return false
	}
	met := false
	var improvement uint64 // as stock: a node without improvement shows the last one's
	for _, n := range plan.nodes {
		now, then := d.variance(n, false), d.variance(n, true)
		if then < now {
			improvement = (now - then) * 100 / now
		}
		log.Dbg("Numa node %d. Current variance %d Estimated variance %d. Variance improvement %d%%.",
			n.id, now, then, improvement)
		met = met || improvement >= d.cfg.alb.improvement
	}
	verdict := "not met"
	if met {
		verdict = "met"
	}
	log.Dbg("PMD load variance improvement threshold %d%% is %s.", d.cfg.alb.improvement, verdict)
	return met
}

// crosses reports that a queue which the user has not pinned would be polled on
// another node than its device's.
func (p *placement) crosses() bool {
	for _, n := range p.nodes {
		for _, t := range n.threads {
			if t.isolated {
				continue
			}
			for _, q := range p.polls[t.core] {
				if q.core == noCore && q.port.dev.NUMA() != n.id {
					return true
				}
			}
		}
	}
	return false
}

// variance is that of the load, in percent, of the node's threads: as planned, or
// as they are.
func (d *Dpif) variance(n *placeNode, planned bool) uint64 {
	var loads []uint64
	sum := uint64(0)
	for _, t := range n.threads {
		isolated, load := t.isolated, t.load
		if !planned {
			isolated, load = t.thread.isolated, 0
			for _, q := range t.placed {
				load += q.cycles.sum(nIntervals)
			}
		}
		if isolated {
			continue
		}
		percent := uint64(0)
		if total := t.cycles.interval.Load() * nIntervals; total > 0 {
			percent = load * 100 / total
		}
		loads = append(loads, percent)
		sum += percent
	}
	if sum == 0 {
		return 0
	}
	mean, squares := sum/uint64(len(loads)), uint64(0)
	for _, v := range loads {
		squares += (v - mean) * (v - mean)
	}
	return squares / uint64(len(loads))
}
