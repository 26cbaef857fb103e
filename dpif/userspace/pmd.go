package userspace

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/internal/poll"
	"sluice/netdev/packet"
)

// inbox is how other threads reach what a polling thread owns: functions that it
// runs between two batches, when nothing waits to be sent.
type inbox struct {
	pending  atomic.Bool // read every loop; set by post
	sleeping atomic.Bool // set by the thread before it blocks; read by post
	wake     *poll.Event

	mu   sync.Mutex
	cmds []func() // +checklocks:mu
}

// post queues a function and wakes the thread if it sleeps.
func (b *inbox) post(fn func()) {
	b.mu.Lock()
	b.cmds = append(b.cmds, fn)
	b.pending.Store(true)
	b.mu.Unlock()
	if b.sleeping.Load() {
		b.wake.Set()
	}
}

// run runs what was posted.
func (b *inbox) run() {
	b.mu.Lock()
	cmds := b.cmds
	b.cmds = nil
	b.pending.Store(false)
	b.mu.Unlock()
	for _, fn := range cmds {
		fn()
	}
}

// do runs fn on the thread that owns t and returns when it is done.  The control
// loop's own thread runs it here.
func (t *thread) do(fn func()) {
	if t.core == dpif.PMDNone {
		fn()
		return
	}
	done := make(chan struct{})
	t.inbox.post(func() {
		fn()
		close(done)
	})
	<-done
}

// doAll runs a function for each thread, the polling threads at the same time,
// and returns when all are done.
func doAll(threads []*thread, fn func(t *thread)) {
	var wg sync.WaitGroup
	for _, t := range threads {
		if t.core == dpif.PMDNone {
			continue
		}
		wg.Add(1)
		t.inbox.post(func() {
			fn(t)
			wg.Done()
		})
	}
	for _, t := range threads {
		if t.core == dpif.PMDNone {
			fn(t)
		}
	}
	wg.Wait()
}

// Loops without a packet before a thread sleeps, and before it sleeps again after
// it woke up.
const (
	idleLoops  = 400
	idleAgain  = 50
	sleepMaxMs = 1000
)

// maxCredit bounds the time that a thread goes on polling without a packet, some
// 20 ms.  It may for as long as full batches kept it busy: then a pause in a heavy
// load finds the thread awake, and never costs more than the work did.
const maxCredit = 50_000_000

// sleeper is the adaptive sleep of a polling thread.
type sleeper struct {
	fds  []unix.PollFd
	bare bool // a queue has no descriptor: sleep only briefly
	idle int
	// credit is the time, in cycles, that the thread may go on polling in vain.
	credit uint64
	// backoff is how long the thread sleeps when pmd-maxsleep says so, in µs.
	backoff int64
}

// procs is the number of polling threads of all datapaths.  The scheduler gets a
// processor more for each, so that threads that never stop do not keep the control
// loop from running: the kernel shares the cores among them.
var procs struct {
	mu   sync.Mutex
	base int // GOMAXPROCS without polling threads; 0: not known yet
	n    int
}

func addProcs(n int) {
	procs.mu.Lock()
	defer procs.mu.Unlock()
	if procs.base == 0 {
		procs.base = runtime.GOMAXPROCS(0)
	}
	procs.n += n
	runtime.GOMAXPROCS(procs.base + procs.n)
}

// start runs a polling thread.
func (t *thread) start() {
	addProcs(1)
	t.inbox.wake = poll.NewEvent()
	t.done = make(chan struct{})
	go t.main()
}

// stop ends a polling thread and waits for it.
func (t *thread) stop() {
	t.inbox.post(func() { t.stopped = true })
	<-t.done
	t.inbox.wake.Close()
	t.close()
	addProcs(-1)
}

func (t *thread) main() {
	runtime.LockOSThread()
	// Not unlocked: the affinity must not reach other goroutines.
	defer close(t.done)
	t.dp.cpus.pin(t.core)
	t.setSleepers()
	for !t.stopped {
		t.iteration()
	}
}

// heldLoops is how many busy loops may pass before the kernel is told to send: one
// call for a hundred packets costs less than several for 32, and more packets than
// that would no longer be in the cache when the kernel copies them.  A loop without
// packets tells at once, so that nothing waits behind an idle thread.
const heldLoops = 4

// iteration is one loop of a polling thread.
func (t *thread) iteration() {
	start := cycleCounter()
	n := 0
	for _, q := range t.polls {
		before := cycleCounter()
		if got := t.poll(q); got > 0 {
			n += got
			q.cycles.add(cycleCounter() - before)
		}
	}
	if len(t.dirty) > 0 {
		t.flushDue(time.Now().UnixMicro()) // clock: the loop's is too coarse
	}
	if t.held++; n == 0 || t.held >= heldLoops || t.inbox.pending.Load() {
		t.held = 0
		t.kick()
	}
	if t.inbox.pending.Load() {
		t.flush()
		t.inbox.run()
		t.setSleepers()
		if t.stopped {
			return
		}
	}
	end := cycleCounter()
	spent := end - start
	t.stats.add(statIters, 1)
	if t.perf != nil {
		t.perf.end(t, n, spent, end)
	}
	if n > 0 {
		t.stats.add(statBusyCycles, spent)
		t.stats.add(statBusyIters, 1)
		t.sleep.idle, t.sleep.backoff = 0, 0
		if n >= packet.BatchSize {
			t.sleep.credit = min(t.sleep.credit+spent, maxCredit)
		}
	} else {
		t.stats.add(statIdleCycles, spent)
		t.sleep.credit -= min(t.sleep.credit, spent)
		t.idle()
	}
	t.cycles.tick(t)
}

// idle decides whether to sleep after a loop without packets.
func (t *thread) idle() {
	s := &t.sleep
	s.idle++
	if len(t.dirty) > 0 {
		return
	}
	if t.cfg.maxSleepUs >= 0 {
		t.idleBackoff()
		return
	}
	if (s.idle < idleLoops || s.credit > 0) && len(t.polls) > 0 {
		return
	}
	s.idle = idleLoops - idleAgain
	t.slept(t.block)
}

// slept counts a sleep.
func (t *thread) slept(sleep func()) {
	start := cycleCounter()
	sleep()
	t.stats.add(statSleeps, 1)
	t.stats.add(statSleepCycles, cycleCounter()-start)
}

// idleBackoff is stock's pmd-maxsleep: 10 µs more after every idle loop, up to the
// limit; 0 never sleeps.
func (t *thread) idleBackoff() {
	if t.cfg.maxSleepUs == 0 && len(t.polls) > 0 {
		return
	}
	if len(t.polls) == 0 {
		t.block()
		return
	}
	t.sleep.backoff = min(t.sleep.backoff+10, t.cfg.maxSleepUs)
	t.slept(func() {
		ts := unix.NsecToTimespec(t.sleep.backoff * 1000)
		_, _ = unix.Ppoll(nil, &ts, nil)
	})
}

// block sleeps until a packet or a function waits.
func (t *thread) block() {
	timeout := sleepMaxMs
	if t.sleep.bare {
		timeout = 1
	}
	t.inbox.sleeping.Store(true)
	if !t.inbox.pending.Load() {
		for i := range t.sleep.fds {
			t.sleep.fds[i].Revents = 0
		}
		// An error other than EINTR leaves the thread awake, which is harmless.
		_, _ = unix.Poll(t.sleep.fds, timeout)
	}
	t.inbox.sleeping.Store(false)
	t.inbox.wake.Reset()
}

// setSleepers collects what the thread waits for.
func (t *thread) setSleepers() {
	s := &t.sleep
	s.fds = append(s.fds[:0], unix.PollFd{Fd: int32(t.inbox.wake.Fd()), Events: unix.POLLIN})
	s.bare = false
	for _, q := range t.polls {
		if fd := q.q.Fd(); fd >= 0 {
			s.fds = append(s.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		} else {
			s.bare = true
		}
	}
}

// Load is measured in intervals, the last of which are kept.
const (
	intervalMs = 5000
	nIntervals = 12
)

// history is the cycles of the last intervals; the owner writes, others read.
type history struct {
	cur  atomic.Uint64
	next atomic.Uint32
	past [nIntervals]atomic.Uint64
}

func (h *history) add(n uint64) { h.cur.Store(h.cur.Load() + n) }

// reset forgets all intervals.
func (h *history) reset() {
	h.cur.Store(0)
	for i := range h.past {
		h.past[i].Store(0)
	}
}

// close ends an interval.
func (h *history) close() {
	i := h.next.Load()
	h.past[i%nIntervals].Store(h.cur.Load())
	h.cur.Store(0)
	h.next.Store(i + 1)
}

// sum adds up the last n closed intervals.
func (h *history) sum(n int) (total uint64) {
	next := int(h.next.Load())
	for i := 1; i <= min(n, nIntervals); i++ {
		total += h.past[(next-i+2*nIntervals)%nIntervals].Load()
	}
	return total
}

// cycles keeps the load of a thread.
type cycles struct {
	at       int64 // when the current interval began, ms; 0: not begun
	idle0    uint64
	busy0    uint64
	busy     history
	interval atomic.Uint64 // all cycles of the last interval; 0: none has ended
	// overloaded counts the intervals in a row with a load above the threshold.
	overloaded atomic.Uint32
	rank       int64 // when the classifiers were ranked last, ms
}

// rankMs is how often the subtables are ranked.
const rankMs = 1000

// tick does the work that is due every second and every interval.
func (c *cycles) tick(t *thread) {
	if t.stats[statIters].Load()%1024 != 0 && t.sleep.idle < idleLoops-idleAgain {
		return
	}
	now := t.dp.clock.Now()
	if now-c.rank >= rankMs {
		c.rank = now
		t.flows.optimize()
	}
	if c.at == 0 {
		c.restart(t, now)
		return
	}
	if now-c.at < intervalMs {
		return
	}
	idle, busy := t.stats[statIdleCycles].Load()-c.idle0, t.stats[statBusyCycles].Load()-c.busy0
	c.busy.add(busy)
	c.busy.close()
	for _, q := range t.polls {
		q.cycles.close()
	}
	c.interval.Store(idle + busy)
	load := uint64(0)
	if idle+busy > 0 {
		load = busy * 100 / (idle + busy)
	}
	if load >= t.cfg.albLoad {
		c.overloaded.Add(1)
	} else {
		c.overloaded.Store(0)
	}
	c.restart(t, now)
}

// restartLoad begins the measurement anew for a changed set of queues.
func (c *cycles) restartLoad(polls []*rxq) {
	c.at = 0
	c.interval.Store(0)
	c.overloaded.Store(0)
	c.busy.reset()
	for _, q := range polls {
		q.cycles.reset()
	}
}

func (c *cycles) restart(t *thread, now int64) {
	c.at = now
	c.idle0, c.busy0 = t.stats[statIdleCycles].Load(), t.stats[statBusyCycles].Load()
}
