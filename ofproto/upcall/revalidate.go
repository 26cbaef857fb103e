package upcall

import (
	"math"
	"slices"
	"sync/atomic"

	"sluice/dpif"
	"sluice/internal/poll"
	"sluice/ofproto/xlate"
)

// slice is how many ukeys one turn of the loop revalidates; fewer are done at one
// go, so that small set-ups behave the same every time.
const slice = 512

// revalidator is the state of revalidation.
//
// A round goes over the datapath's flows some each turn of the loop, since translating
// 100,000 of them takes a while, as does only to ask for them: it notes their counters
// in the ukeys and revalidates these.  Then it looks for the ukeys whose flows it has
// not seen.
type revalidator struct {
	seq      atomic.Uint64 // rounds begun
	done     uint64        // rounds completed
	running  bool
	stage    stage
	sweep    dpif.Sweep // sweeping: how far
	shard    int        // searching: the next one
	work     []*ukey    // collected and not revalidated yet; part of buf
	buf      []*ukey
	limits   limits // of this round
	started  int64  // ms
	duration int64  // of the last round, ms
	seenSeq  uint64 // revalidation sequence that the last round began with
	next     int64  // when the next round is due, ms
	paused   bool
	waiters  []func() // of the next round
	current  []func() // of this round

	flowLimit, maxIdle, maxRevalidator int64
	minPPS                             int64
	avgFlows, maxFlows                 int
}

// stage is what a round does.
type stage uint8

const (
	sweeping  stage = iota // over the datapath's flows
	searching              // for ukeys whose flows were not seen
	ending                 // nothing but what has been collected
)

// limits are what one round decides by.
type limits struct {
	idle    int64 // flows unused before this are deleted
	killAll bool
	reval   uint64
}

func (r *revalidator) init() {
	r.flowLimit, r.maxIdle, r.maxRevalidator, r.minPPS = defaultFlowLimit, defaultMaxIdleMs, defaultMaxRevalidator, DefaultMinPPS
}

// SetLimits sets what the database says: the most flows, in ms how long an unused flow
// stays and how often flows are dumped, and the packets a second that make a flow worth
// revalidating when that takes long.
func (u *Udpif) SetLimits(flowLimit uint32, maxIdleMs, maxRevalidatorMs, minPPS int64) {
	u.rv.minPPS = max(minPPS, 1)
	u.rv.flowLimit, u.rv.maxIdle, u.rv.maxRevalidator = int64(flowLimit), max(maxIdleMs, 1), max(maxRevalidatorMs, 1)
	if u.flowLimit.Load() > flowLimit {
		u.flowLimit.Store(flowLimit)
	}
}

// DumpSeq returns the number of complete rounds.  After each one the statistics of
// rules are fresh: the time to expire them.
func (u *Udpif) DumpSeq() uint64 { return u.rv.done }

// Run works on the current round, or begins one if it is due; more reports that
// there is more to do at once.
func (u *Udpif) Run(now int64) (more bool) {
	r := &u.rv
	if !r.running {
		if r.paused || now < r.next && r.seenSeq == u.reval.Load() && len(r.waiters) == 0 {
			return false
		}
		u.begin(now)
	}
	u.step(now, slice)
	return r.running
}

// Wait says when Run has something to do.
func (u *Udpif) Wait(s *poll.Set) {
	r := &u.rv
	switch {
	case r.running || !r.paused && (r.seenSeq != u.reval.Load() || len(r.waiters) > 0):
		s.Immediate()
	case !r.paused:
		s.Timer(r.next)
	}
}

// WaitDump calls fn at the end of the next round that begins after this call.
func (u *Udpif) WaitDump(fn func()) { u.rv.waiters = append(u.rv.waiters, fn) }

// Finish completes the current round, if there is one, and one more.
func (u *Udpif) Finish(now int64) {
	if u.rv.running {
		u.step(now, math.MaxInt)
	}
	if !u.rv.paused {
		u.begin(now)
		u.step(now, math.MaxInt)
	}
}

// Pause stops rounds from beginning; Resume lets them.
func (u *Udpif) Pause()  { u.rv.paused = true }
func (u *Udpif) Resume() { u.rv.paused = false }

// begin begins a round.
func (u *Udpif) begin(now int64) {
	r := &u.rv
	r.seq.Add(1)
	r.running, r.started = true, now
	r.current, r.waiters = r.waiters, nil
	r.seenSeq = u.reval.Load()
	n := u.dp.FlowCount()
	r.maxFlows = max(r.maxFlows, n)
	r.avgFlows = (r.avgFlows + n) / 2
	limit := int(u.flowLimit.Load())
	r.limits = limits{idle: now - r.maxIdle, killAll: n > 2*limit, reval: r.seenSeq}
	if n > limit {
		r.limits.idle = now - 100
	}
	r.stage, r.sweep, r.shard, r.work = sweeping, dpif.Sweep{}, 0, nil
}

// collect gathers the ukeys to be revalidated next, up to about n, in r.work, and
// returns what that cost in ukeys.
func (u *Udpif) collect(n int) (cost int) {
	r := &u.rv
	r.buf = r.buf[:0]
	switch r.stage {
	case sweeping:
		if !u.dp.FlowSweep(&r.sweep, n, u.note) {
			r.stage = searching
		}
	case searching:
		visited := 0
		for ; r.shard < nShards && visited < n*visitsPerUkey; r.shard++ {
			visited += u.ukeys.unseen(r.shard, r.seq.Load(), &r.buf)
		}
		if r.shard == nShards {
			r.stage = ending
		}
		cost = visited / visitsPerUkey
	}
	// The order decides, for instance, in which order learned flows come back.
	slices.SortFunc(r.buf, func(a, b *ukey) int {
		switch {
		case a.created != b.created:
			return int(a.created - b.created)
		case a.id.ufid.Hi != b.id.ufid.Hi:
			return cmpUint(a.id.ufid.Hi, b.id.ufid.Hi)
		case a.id.ufid.Lo != b.id.ufid.Lo:
			return cmpUint(a.id.ufid.Lo, b.id.ufid.Lo)
		}
		return a.id.pmd - b.id.pmd
	})
	r.work = r.buf
	return cost
}

// visitsPerUkey is how many ukeys can be looked at in the time that revalidating one
// takes.
const visitsPerUkey = 16

// note keeps the counters of a datapath flow in its ukey.
func (u *Udpif) note(f *dpif.Flow) {
	r := &u.rv
	seq := r.seq.Load()
	id := ukeyID{f.UFID, f.PMD}
	k := u.ukeys.get(id)
	if k == nil {
		// Somebody else's flow, or one from before we started.
		cDumpedNew.Inc()
		k = &ukey{id: id, key: pack(f.Key.Words()), mask: pack(f.Mask.Words()), actions: slices.Clone(f.Actions), created: r.started, since: seq - 1}
		if id := f.Key.RecircID; id != 0 && u.pool.Ref(id) {
			k.recircs = append(k.recircs, id)
		}
		u.ukeys.insert(k)
	}
	if k.seen != seq {
		k.latest, k.seen = f.Stats, seq
		r.buf = append(r.buf, k)
	}
}

func cmpUint(a, b uint64) int {
	if a < b {
		return -1
	}
	return 1
}

// step revalidates up to n ukeys, and ends the round after the last.
func (u *Udpif) step(now int64, n int) {
	r := &u.rv
	w := u.getWorker()
	for n > 0 && (r.stage != ending || len(r.work) > 0) {
		if len(r.work) == 0 {
			n -= u.collect(min(n, slice))
		}
		some := min(max(n, 0), len(r.work))
		for _, k := range r.work[:some] {
			u.revalidateOne(k, w, now)
		}
		clear(r.work[:some])
		r.work = r.work[some:]
		n -= some
	}
	u.putWorker(w)
	if r.stage != ending || len(r.work) > 0 {
		return
	}
	r.running = false
	r.duration = max(now-r.started, 1)
	u.adaptLimit()
	r.next = now + min(r.maxIdle, r.maxRevalidator)
	r.done++
	ready := r.current
	r.current = nil
	for _, fn := range ready {
		fn()
	}
}

// adaptLimit lowers the flow limit when a round takes too long, and raises it
// again when it does not.
func (u *Udpif) adaptLimit() {
	r := &u.rv
	limit, d := int64(u.flowLimit.Load()), r.duration
	switch {
	case d > 2000:
		limit /= d / 1000
	case d > 1300:
		limit = limit * 3 / 4
	case d < 1000 && limit < int64(r.maxFlows)*1000/d:
		limit += 1000
	}
	u.flowLimit.Store(uint32(min(r.flowLimit, max(limit, 1000))))
}

// revalidateOne brings one ukey up to date.
func (u *Udpif) revalidateOne(k *ukey, w *worker, now int64) {
	r := &u.rv
	seq := r.seq.Load()
	if u.ukeys.get(k.id) != k {
		return // a failed installation took it away
	}
	if k.seen != seq {
		if k.since >= seq-1 && k.seen == 0 {
			return // made while the dump ran; the next one will see it
		}
		if _, err := u.dp.FlowGet(k.id.ufid, k.id.pmd); err != nil {
			cMissedDPFlow.Inc()
			xlate.ClearNetFlow(k.effects)
			u.drop(k)
			return
		}
		k.latest = k.stats
	}
	used := k.latest.Used
	if used == 0 {
		used = k.created
	}
	if r.limits.killAll || used < r.limits.idle {
		u.delete(k, w, now)
		return
	}
	push := k.delta(&k.latest, now)
	if k.reval != r.limits.reval && !r.worth(k.stats.Used, push.Packets, now) {
		u.delete(k, w, now)
		return
	}
	if k.reval == r.limits.reval && k.effects != nil {
		xlate.Apply(k.effects, &push, false)
		k.stats = k.latest
		return
	}
	if k.reval == r.limits.reval && push.Packets == 0 {
		return
	}
	if !u.retranslate(k, w, &push, now) {
		u.delete(k, w, now)
	}
}

// worth says whether a flow is to be translated again.  When rounds take long, those that
// are hardly used are not: they go, and their next packet brings them back.  used is
// when the flow had been used by the last round, 0: never.
func (r *revalidator) worth(used int64, packets uint64, now int64) bool {
	if used == 0 || r.duration < r.maxRevalidator/2 {
		return true
	}
	return packets > 0 && (now-used)/int64(packets) < 1000/r.minPPS
}

// delta is what the counters grew by since the last push.
func (k *ukey) delta(s *dpif.FlowStats, now int64) xlate.Stats {
	d := xlate.Stats{Now: now, Used: s.Used, TCPFlags: s.TCPFlags}
	if s.Packets > k.stats.Packets {
		d.Packets = s.Packets - k.stats.Packets
	}
	if s.Bytes > k.stats.Bytes {
		d.Bytes = s.Bytes - k.stats.Bytes
	}
	return d
}

// retranslate translates k's flow again with push as its packets, and changes the
// datapath's flow if its actions changed; false: the flow must go.
func (u *Udpif) retranslate(k *ukey, w *worker, push *xlate.Stats, now int64) bool {
	br := u.translateAgain(k, w, push, now)
	if br == nil {
		return false
	}
	k.stats = k.latest
	out := &w.out
	if out.Uncacheable || !k.mask.covers(&out.Mask) {
		xlate.ClearNetFlow(out.Effects)
		u.unref(out.Recircs)
		return false
	}
	acts := out.Actions
	if out.Slow != 0 {
		acts = slowPath(out.Slow, br)
	}
	if !equalActions(acts, k.actions) {
		acts = slices.Clone(acts)
		put := &dpif.FlowPut{UFID: k.id.ufid, Actions: acts, Modify: true, PMD: k.id.pmd}
		k.key.unpack(put.Key.Words())
		k.mask.unpack(put.Mask.Words())
		if u.dp.FlowPut(put) != nil {
			u.unref(out.Recircs)
			return false
		}
		k.actions = acts
	}
	old := k.recircs
	k.recircs = slices.Clone(out.Recircs)
	if id := w.in.Flow.RecircID; id != 0 && u.pool.Ref(id) {
		k.recircs = append(k.recircs, id)
	}
	u.unref(old)
	k.effects = append(k.effects[:0], out.Effects...)
	if k.effects == nil {
		k.effects = []xlate.Effect{}
	}
	k.reval = u.rv.limits.reval
	return true
}

// translateAgain translates k's flow into w.out, applies the effects to push, and
// returns the flow's bridge; nil: it has none any more.
func (u *Udpif) translateAgain(k *ukey, w *worker, push *xlate.Stats, now int64) *xlate.Bridge {
	snap := u.snap.Load()
	w.in = xlate.In{Snap: snap, TCPFlags: push.TCPFlags, Recirc: u.pool, Record: true, Now: now}
	k.key.unpack(w.in.Flow.Words())
	br, ofport, err := snap.Find(&w.in.Flow, u.pool)
	if err != nil {
		return nil
	}
	w.in.Bridge, w.in.Flow.InPort = br, ofport
	if push.Packets > 0 {
		w.in.Sink = xlate.DirectSink{}
	}
	w.reader.Enter()
	xlate.Translate(&w.in, &w.out)
	w.reader.Exit()
	xlate.Apply(w.out.Effects, push, true)
	br.DatapathMask(&w.in.Flow, &w.out.Mask)
	return br
}

// delete removes k's flow from the datapath and credits its last packets.
func (u *Udpif) delete(k *ukey, w *worker, now int64) {
	stats, err := u.dp.FlowDel(k.id.ufid, k.id.pmd)
	if err == nil {
		k.latest = stats
		if push := k.delta(&k.latest, now); push.Packets > 0 {
			if k.effects != nil {
				xlate.Apply(k.effects, &push, false)
			} else if u.translateAgain(k, w, &push, now) != nil {
				k.effects = append(k.effects, w.out.Effects...)
				u.unref(w.out.Recircs)
			}
			k.stats = k.latest
		}
	}
	xlate.ClearNetFlow(k.effects)
	u.drop(k)
}

// Purge deletes all flows that we know of.
func (u *Udpif) Purge(now int64) {
	w := u.getWorker()
	defer u.putWorker(w)
	for _, k := range u.ukeys.all(nil) {
		u.delete(k, w, now)
	}
	u.rv.work = nil
}

// Flush deletes all flows of the datapath.
func (u *Udpif) Flush(now int64) {
	u.Purge(now)
	u.dp.FlowFlush()
}

// SetFlowLimit sets the dynamic limit (upcall/set-flow-limit).
func (u *Udpif) SetFlowLimit(n uint32) { u.flowLimit.Store(n) }

// NFlows returns the number of flows in the datapath.
func (u *Udpif) NFlows() int { return u.dp.FlowCount() }
