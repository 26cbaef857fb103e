package userspace

import (
	"slices"

	"sluice/dpif"
)

// reconfigure brings threads and queues in line with the ports and settings:
//
//  1. take away what goes: queues of removed and changed ports, unwanted threads
//  2. devices reopen their queues, while nobody polls them
//  3. start missing threads and place the queues
//  4. take the result into use
//
// A queue that moves from one thread to another is thus never polled by two, and
// while threads change their transmit queues all of these are locked.  The
// error is the last one of a device; a device that fails loses its port.
func (d *Dpif) reconfigure() (err error) {
	d.pending = false
	d.shareQueues(manyThreads)
	wanted := d.wantedCores()
	stale := d.stalePorts()
	d.detach(stale, wanted)
	for _, s := range stale {
		if e := d.reopen(s); e != nil {
			err = e
		}
	}
	// A port that failed, or one that only now turned out to want polling.
	if again := d.wantedCores(); !slices.Equal(again, wanted) {
		wanted = again
		d.detach(nil, wanted)
	}
	d.startThreads(wanted)
	list := d.threads()
	d.list.Store(&list)
	polls := d.place()
	d.attach(polls)
	d.shareQueues(len(d.pmds) + 1)
	return err
}

// shareQueues says to all ports how many threads send.
func (d *Dpif) shareQueues(threads int) {
	for _, s := range d.ports {
		s.share(threads)
	}
}

// stalePorts lists the ports whose queues must be opened again.
func (d *Dpif) stalePorts() (list []*portState) {
	for _, s := range d.sorted() {
		if s.reconfigure || s.dev.NeedsReconfigure() {
			list = append(list, s)
		}
	}
	return list
}

// LostPorts counts the ports that were removed because their device could not
// reconfigure; whoever added one finds it gone.
func (d *Dpif) LostPorts() uint64 { return d.lost }

// reopen lets a device reconfigure and takes its queues into use.
func (d *Dpif) reopen(s *portState) error {
	if err := s.dev.Reconfigure(); err != nil {
		log.Err("Failed to set interface %s new configuration", s.name)
		d.remove(s)
		if s.opened {
			d.lost++
		}
		return err
	}
	s.reconfigure, s.opened = false, true
	s.openQueues()
	return nil
}

// wantedCores says where polling threads are to run: nowhere when no port wants
// them.
func (d *Dpif) wantedCores() []CPU {
	for _, s := range d.ports {
		if s.dev.IsPMD() {
			if d.cfg.cpuMask != "" {
				return d.cpus.inMask(d.cfg.cpuMask)
			}
			return d.cpus.firstOfEach()
		}
	}
	return nil
}

// detach makes the threads let go of stale and removed ports and stops threads
// that are not wanted.
func (d *Dpif) detach(stale []*portState, wanted []CPU) {
	cfg := d.newConfig()
	for _, s := range stale {
		if int(s.no) < len(cfg.ports) {
			cfg.ports[s.no] = nil
		}
	}
	kept := d.pmds[:0:0]
	for _, t := range d.pmds {
		if slices.ContainsFunc(wanted, func(c CPU) bool { return c.Core == t.core && c.NUMA == t.numa }) {
			kept = append(kept, t)
			continue
		}
		log.Info("PMD thread on numa_id: %d, core id: %2d destroyed.", t.numa, t.core)
		t.do(t.flowsRemoved)
		t.stop()
		d.threadsChanged = true
	}
	d.pmds = kept
	list := d.threads()
	d.list.Store(&list)
	doAll(d.threads(), func(t *thread) {
		polls := slices.DeleteFunc(slices.Clone(t.polls), func(q *rxq) bool {
			no := int(q.port.no)
			return no >= len(cfg.ports) || cfg.ports[no] != q.port
		})
		t.apply(cfg, polls, t.txID)
	})
}

// startThreads makes the threads that are missing.
func (d *Dpif) startThreads(wanted []CPU) {
	for _, c := range wanted {
		if d.thread(c.Core) != nil {
			continue
		}
		t := newThread(d, c.Core, c.NUMA)
		d.pmds = append(d.pmds, t)
		t.start()
		log.Info("PMD thread on numa_id: %d, core id: %2d created.", c.NUMA, c.Core)
		d.threadsChanged = true
	}
	slices.SortFunc(d.pmds, func(a, b *thread) int { return a.core - b.core })
	if !d.threadsChanged {
		return
	}
	d.threadsChanged = false
	perNode := map[int]int{}
	for _, c := range wanted {
		perNode[c.NUMA]++
	}
	for _, node := range d.cpus.nodes() {
		if n := perNode[node]; n > 0 {
			log.Info("There are %d pmd threads on numa node %d", n, node)
		}
	}
}

// attach puts a placement into use, in two steps: queues leave their old thread
// before they come to a new one.
func (d *Dpif) attach(polls map[int][]*rxq) {
	cfg := d.newConfig()
	cfg.seq++
	owner := map[*rxq]int{}
	for core, list := range polls {
		for _, q := range list {
			owner[q] = core
		}
	}
	doAll(d.threads(), func(t *thread) {
		keep := slices.DeleteFunc(slices.Clone(t.polls), func(q *rxq) bool {
			core, ok := owner[q]
			return !ok || core != t.core
		})
		t.apply(cfg, keep, t.txID)
	})
	ids := map[int]int{dpif.PMDNone: len(d.pmds)}
	for n, t := range d.pmds {
		ids[t.core] = n
	}
	for _, t := range d.threads() {
		t.placed = polls[t.core]
	}
	doAll(d.threads(), func(t *thread) {
		t.txID = ids[t.core]
		if !slices.Equal(t.polls, polls[t.core]) {
			t.cycles.restartLoad(polls[t.core])
		}
		t.apply(cfg, polls[t.core], t.txID)
	})
	d.cur = cfg
	d.alb.recheck = true
}

// newConfig is the configuration as the ports and settings are now.
func (d *Dpif) newConfig() *config {
	cfg := &config{seq: d.cur.seq, emcMin: d.cfg.emcMin, smc: d.cfg.smc, perf: d.cfg.perf, maxSleepUs: d.cfg.maxSleepUs, txFlushUs: int64(d.cfg.txFlush), albLoad: d.cfg.alb.load, offload: d.cfg.offload != 0}
	for _, s := range d.sorted() {
		for len(cfg.ports) <= int(s.no) {
			cfg.ports = append(cfg.ports, nil)
		}
		cfg.ports[s.no] = s.port
	}
	return cfg
}
