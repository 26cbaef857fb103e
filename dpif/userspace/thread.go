package userspace

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"sluice/dpif"
	"sluice/dpif/cache"
	"sluice/dpif/exec"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/netdev"
	"sluice/netdev/packet"
	"sluice/netdev/tnl"
)

// Counters of a thread, stock's PMD_STAT_*.
const (
	statMarkedHit = iota // the device found the flow
	statExactHit
	statSMCHit
	statMaskedHit
	statMiss
	statLost
	statMaskedLookup
	statRecv
	statRecirc
	statSentPkts
	statSentBatches
	statIters
	statIdleCycles
	statBusyCycles
	statBusyIters
	statSleeps
	statSleepCycles
	statUpcallCycles // with pmd-perf-metrics only
	nStats
)

// counters are written by their thread and read by any.
type counters [nStats]atomic.Uint64

func (c *counters) add(stat int, n uint64) {
	// One writer: a plain read and an atomic store, no locked instruction.
	c[stat].Store(c[stat].Load() + n)
}

// txq is a transmit queue of a device.
type txq struct {
	q netdev.TxQueue
	// shared: another thread may use the queue, hold mu while sending.  The control
	// thread sets it (reconfigure).
	shared atomic.Bool
	mu     sync.Mutex // order: no other lock is taken while it is held
}

// txPort is a thread's own view of a port: packets wait here for one Send.
type txPort struct {
	port  *port
	q     *txq
	caps  netdev.TxCaps
	batch packet.Batch
	// idle counts loops since the last packet; beyond maxIdleFlush the queue's
	// Flush is not called any more.
	idle   int
	active bool
	waits  bool // the port is among the thread's dirty ones
}

const maxIdleFlush = 1024

// thread is the state that one polling thread, or the control loop, works on
// packets with.
//
// Thread-safety: everything but the counters and the inbox belongs to the thread.
type thread struct {
	dp   *Dpif
	name string // in logs
	core int    // dpif.PMDNone: control loop
	numa int

	c     *packet.Cache
	p     *packet.Pool
	x     *exec.Executor
	emc   *cache.EMC
	smc   *cache.SMC // nil until it is enabled
	flows flowTable
	stats counters
	nFlow atomic.Int64 // flows.count(), for other threads

	// emcMin is the insertion limit for the packets in work; 0: EMC is off.
	emcMin uint32
	txID   int // which of a device's transmit queues is the thread's

	// marked is the flows by the mark that devices know them by (offload.go).
	marked []cache.Ref

	// Of the control thread: only pinned queues; the queues given to the thread;
	// the counters at the last clear, and when that was.
	isolated  bool
	placed    []*rxq
	zero      [nStats]uint64
	clearedMs int64

	cfg   *config
	polls []*rxq
	tx    []*txPort // by port number
	bonds []bond    // by id
	dirty []*txPort // ports with waiting packets
	// dirtyUs is when a packet first waited, 0: not seen yet.
	dirtyUs int64
	active  []*txPort // ports whose queue wants Flush
	cur     *rxq      // queue that is being processed

	now   int64
	depth int // scratch memory in use below the current call
	// running is the list of actions that is being run.
	running []odp.Action
	// recircs is how many recirculations the current packets are in.
	recircs int
	rand    rand.PCG
	sc      [maxScratch]*scratch

	// Scratch memory of one packet: headers to push, headers that were taken off.
	pusher tnl.Pusher
	popped tnl.Meta

	// State of the polling loop; see pmd.go.
	inbox   inbox
	stopped bool
	done    chan struct{}
	held    int // loops since the queues were kicked
	sleep   sleeper
	cycles  cycles
	perf    *metrics // nil: not collected
}

// Depths of recirculation.  Execute inside an upcall nests too, so there is
// scratch memory for more.
const (
	maxRecirc  = 6
	maxScratch = 32
)

// scratch is the working memory of one depth.
type scratch struct {
	keys    [packet.BatchSize]flow.Mini
	hashes  [packet.BatchSize]uint32
	slots   [packet.BatchSize]uint32
	groups  [packet.BatchSize]group
	batch   packet.Batch
	flow    flow.Flow
	upcall  dpif.Upcall
	verdict dpif.Verdict
}

// group is the packets of a batch that one flow matched.
type group struct {
	slot, gen uint32
	bytes     uint64
	tcpFlags  uint16
	b         packet.Batch
}

func newThread(dp *Dpif, core, numa int) *thread {
	t := &thread{dp: dp, name: threadName(core), core: core, numa: numa, p: dp.pool, c: dp.pool.NewCache(cacheFrames),
		emc: cache.NewEMC(), flows: newFlowTable(), cfg: &config{}}
	t.x = exec.New(t.c, t)
	t.rand.Seed(uint64(core), 0x5eed)
	t.clearedMs = dp.clock.Now()
	return t
}

// cacheFrames is how many frames a thread takes from the pool at once.
const cacheFrames = 256

// scratchAt returns the working memory of the current depth, nil when it is too
// deep.
func (t *thread) scratchAt() *scratch {
	if t.depth >= maxScratch {
		return nil
	}
	if t.sc[t.depth] == nil {
		t.sc[t.depth] = new(scratch)
	}
	return t.sc[t.depth]
}

// apply takes a new configuration into use.  The batches of all ports are empty.
func (t *thread) apply(cfg *config, polls []*rxq, txID int) {
	t.cfg, t.polls = cfg, polls
	old := t.tx
	t.tx = make([]*txPort, len(cfg.ports))
	t.active = t.active[:0]
	for no, p := range cfg.ports {
		if p == nil || len(p.txqs) == 0 {
			continue
		}
		q := p.txqs[txID%len(p.txqs)]
		if no < len(old) && old[no] != nil && old[no].q == q {
			t.tx[no] = old[no]
		} else {
			t.tx[no] = &txPort{port: p, q: q, caps: p.caps}
		}
		t.tx[no].active = false
	}
	t.setBonds()
	if cfg.smc && t.smc == nil {
		t.smc = cache.NewSMC()
	}
	if t.core != dpif.PMDNone {
		t.setPerf(cfg.perf)
	}
}

// txPort returns the port of that number, nil when there is none.
func (t *thread) txPort(no uint32) *txPort {
	if int(no) >= len(t.tx) {
		return nil
	}
	return t.tx[no]
}

// close gives back what the thread holds.
func (t *thread) close() {
	t.c.Close()
}
