package userspace

import (
	"cmp"
	"fmt"
	"slices"

	"sluice/dpif"
	"sluice/internal/vlog"
)

// Ways to assign queues to threads.
const (
	assignCycles     = "cycles"
	assignRoundRobin = "roundrobin"
	assignGroup      = "group"
)

// slot of placing: a thread and the load that it has so far.
type placeThread struct {
	*thread
	isolated bool
	queues   int
	load     uint64
}

// placeNode is the threads of a NUMA node and the state of going around them.
type placeNode struct {
	id      int
	threads []*placeThread
	at      int
	down    bool
}

func (n *placeNode) open() bool {
	return slices.ContainsFunc(n.threads, func(t *placeThread) bool { return !t.isolated })
}

// next goes around the threads that are not isolated; updown turns around at the
// ends instead of starting over.
func (n *placeNode) next(updown bool) *placeThread {
	for {
		t := n.threads[n.at]
		switch {
		case n.down && n.at == 0:
			n.down = false
		case n.down:
			n.at--
		case n.at < len(n.threads)-1:
			n.at++
		case updown:
			n.down = true
		default:
			n.at = 0
		}
		if !t.isolated {
			return t
		}
	}
}

// lowest is the thread with the least load, or with the fewest queues while there
// is no load to compare.
func (n *placeNode) lowest(byLoad bool) (best *placeThread) {
	for _, t := range n.threads {
		if t.isolated {
			continue
		}
		if best == nil || byLoad && t.load < best.load || !byLoad && t.queues < best.queues {
			best = t
		}
	}
	return best
}

// placement is one run of placing all queues.
type placement struct {
	d         *Dpif
	level     vlog.Level
	nodes     []*placeNode
	lastCross int // node that a queue of another node went to last; -1: none
	polls     map[int][]*rxq
}

// place assigns every queue to a thread.
func (d *Dpif) place() map[int][]*rxq {
	p := d.plan(vlog.Info)
	for _, n := range p.nodes {
		for _, t := range n.threads {
			t.thread.isolated = t.isolated
		}
	}
	return p.polls
}

// plan works out where every queue would go; level is that of its messages.
func (d *Dpif) plan(level vlog.Level) *placement {
	p := &placement{d: d, level: level, lastCross: -1, polls: map[int][]*rxq{}}
	for _, id := range d.cpus.nodes() {
		n := &placeNode{id: id}
		for _, t := range d.pmds {
			if t.numa == id {
				n.threads = append(n.threads, &placeThread{thread: t})
			}
		}
		if len(n.threads) > 0 {
			p.nodes = append(p.nodes, n)
		}
	}
	var queues []*rxq
	for _, s := range d.sorted() {
		for _, q := range s.rxqs {
			switch {
			case !s.pmd:
				p.polls[dpif.PMDNone] = append(p.polls[dpif.PMDNone], q)
			case q.core == noCore || !p.pinned(q):
				queues = append(queues, q)
			}
		}
	}
	p.spread(queues)
	return p
}

// info and warn log at the level of the placement, or as a warning unless that is
// debug.
func (p *placement) info(format string, args ...any) { log.Log(p.level, format, args...) }

func (p *placement) warn(format string, args ...any) {
	level := vlog.Warn
	if p.level == vlog.Dbg {
		level = vlog.Dbg
	}
	log.Log(level, format, args...)
}

// loadText is how logs show the load of a queue.
func (p *placement) loadText(q *rxq) string {
	if p.d.cfg.assign == assignRoundRobin {
		return ""
	}
	return fmt.Sprintf(" (measured processing cycles %d)", q.cycles.sum(nIntervals))
}

// pinned gives a queue to the core that the user chose.
func (p *placement) pinned(q *rxq) bool {
	for _, n := range p.nodes {
		for _, t := range n.threads {
			if t.core != q.core {
				continue
			}
			t.isolated = t.isolated || p.d.cfg.isolate
			p.info("Core %2d on numa node %d is pinned with port '%s' rx queue %d%s",
				t.core, n.id, q.port.name, q.id, p.loadText(q))
			p.give(t, q)
			return true
		}
	}
	p.warn("Core %2d cannot be pinned with port '%s' rx queue %d. Use pmd-cpu-mask to enable a pmd on core %d. "+
		"An alternative core will be assigned.", q.core, q.port.name, q.id, q.core)
	return false
}

func (p *placement) give(t *placeThread, q *rxq) {
	t.queues++
	t.load += q.cycles.sum(nIntervals)
	p.polls[t.core] = append(p.polls[t.core], q)
}

// spread assigns the queues that nobody pinned.
func (p *placement) spread(queues []*rxq) {
	algo := p.d.cfg.assign
	if algo != assignRoundRobin {
		// The busiest first; equal ones in the order of ports and queues.
		slices.SortStableFunc(queues, func(a, b *rxq) int {
			return cmp.Compare(b.cycles.sum(nIntervals), a.cycles.sum(nIntervals))
		})
	}
	if len(queues) > 0 {
		if p.level != vlog.Dbg {
			p.info("Performing pmd to rx queue assignment using %s algorithm.", algo)
		}
	}
	for _, q := range queues {
		numa := q.port.dev.NUMA()
		n := p.nodeFor(numa)
		if n == nil {
			p.warn("No non-isolated pmd on any numa available for port '%s' rx queue %d%s. "+
				"This rx queue will not be polled.", q.port.name, q.id, p.loadText(q))
			continue
		}
		var t *placeThread
		if algo == assignGroup {
			t = n.lowest(q.cycles.sum(nIntervals) != 0)
		} else {
			t = n.next(algo == assignCycles)
		}
		if n.id != numa {
			p.info("There's no available (non-isolated) pmd thread on numa node %d. Port '%s' rx queue %d will "+
				"be assigned to a pmd on numa node %d. This may lead to reduced performance.",
				numa, q.port.name, q.id, n.id)
		}
		p.info("Core %2d on numa node %d assigned port '%s' rx queue %d%s.", t.core, n.id, q.port.name, q.id, p.loadText(q))
		p.give(t, q)
	}
}

// nodeFor picks the node of a device, or in turns another one with a free thread.
func (p *placement) nodeFor(numa int) *placeNode {
	for _, n := range p.nodes {
		if n.id == numa && n.open() {
			return n
		}
	}
	for range p.nodes {
		p.lastCross = (p.lastCross + 1) % len(p.nodes)
		if n := p.nodes[p.lastCross]; n.open() {
			return n
		}
	}
	return nil
}
