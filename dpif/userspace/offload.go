package userspace

import (
	"encoding/binary"
	"math"
	"strconv"
	"sync"

	"sluice/dpif"
	"sluice/dpif/cache"
	"sluice/dpif/flow"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/netdev"
	"sluice/netdev/packet"
)

// The way of an offloaded flow:
//
//  1. a thread adds, changes or removes a flow: an item in the queue (flowChanged)
//  2. the control loop takes it, asks the device (runOffload), and tells the thread
//     which mark the flow has
//  3. a packet of the flow comes with the mark: no lookup is needed (takeMark)
//
// Flows of several threads that match the same packets are one flow for the device;
// it goes with the last of them.

var logOffload = vlog.New("netdev_offload")

// Threads that offload flows, as other_config:n-offload-threads has them.  The control
// loop does their work; commands show its figures by thread.
const maxOffloadThreads = 10

// flowAPI is whether flows are offloaded, and by how many threads, for the process: the
// first datapath that is told decides.
var flowAPI flowAPIState

type flowAPIState struct {
	mu      sync.Mutex
	threads int // +checklocks:mu
}

// enable enables offloading and returns the number of threads.
func (a *flowAPIState) enable(m map[string]string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.threads != 0 {
		return a.threads
	}
	a.threads = 1
	text, given := m["n-offload-threads"]
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		if a.threads = int(n); n > maxOffloadThreads {
			logOffload.Warn("netdev: Invalid number of threads requested: %d", n)
			a.threads = 1
		}
	}
	a.threads = max(a.threads, 1)
	switch {
	case !given:
		logOffload.Info("netdev: Flow API Enabled")
	case a.threads == 1:
		logOffload.Info("netdev: Flow API Enabled, using 1 thread")
	default:
		logOffload.Info("netdev: Flow API Enabled, using %d threads", a.threads)
	}
	return a.threads
}

type offloadOp uint8

const (
	offloadAdd offloadOp = iota
	offloadModify
	offloadDelete
)

func (op offloadOp) String() string { return [...]string{"add", "modify", "delete"}[op] }

// offloadUser is a flow of a thread.
type offloadUser struct {
	t   *thread
	ref cache.Ref
}

// offloadItem is a change of a flow.
type offloadItem struct {
	op    offloadOp
	user  offloadUser
	id    netdev.FlowID
	match *dpif.OffloadMatch // nil: offloadDelete
	at    int64              // ms
}

// offloaded is a flow that a device knows.
type offloaded struct {
	mark  uint32
	port  uint32
	dev   netdev.FlowOffloader
	users map[offloadUser]bool
}

// offload is the queue of changes and what devices know.
//
// Thread-safety: threads append to items; all else belongs to the control thread.
type offload struct {
	format    func(b []byte, f *flow.Flow, m *flow.Mask) []byte
	offloader func(netdev.Device) netdev.FlowOffloader
	wake      *poll.Event // nil until flows are offloaded

	mu    sync.Mutex
	items []offloadItem // +checklocks:mu

	flows   map[netdev.FlowID]*offloaded
	ports   map[uint32]map[netdev.FlowID]bool
	last    uint32   // greatest mark that was ever given out
	free    []uint32 // marks to give out again, oldest first
	threads []offloadThread
}

func (o *offload) init(opt Options) {
	o.format, o.offloader = opt.FormatFlow, opt.Offloader
	if o.offloader == nil {
		o.offloader = func(dev netdev.Device) netdev.FlowOffloader {
			f, _ := dev.(netdev.FlowOffloader)
			return f
		}
	}
	o.flows, o.ports = map[netdev.FlowID]*offloaded{}, map[uint32]map[netdev.FlowID]bool{}
}

func (o *offload) close() {
	if o.wake != nil {
		o.wake.Close()
	}
}

// start makes the queue ready; threads use it from the next configuration on.
func (o *offload) start(threads int) {
	if o.wake == nil {
		o.wake, o.threads = poll.NewEvent(), make([]offloadThread, threads)
	}
}

// offloadID names what a flow matches.
func offloadID(key *flow.Flow, mask *flow.Mask) (id netdev.FlowID) {
	masked := *key
	w := masked.Words()
	for i, m := range mask.Words() {
		w[i] &= m
	}
	u := masked.HashUFID()
	// The bits of the mask tell flows apart that agree in all others.
	binary.BigEndian.PutUint64(id[:], u.Hi^mask.AsFlow().HashUFID().Hi)
	binary.BigEndian.PutUint64(id[8:], u.Lo)
	return id
}

// flowChanged queues a change of the thread's flow in slot, which is there.
func (t *thread) flowChanged(op offloadOp, slot uint32) {
	if !t.cfg.offload {
		return
	}
	f := &t.flows.cold[slot]
	if hidesNDExt(&f.key, f.mask) {
		return // dumps do not show all that it matches, nor could a device
	}
	it := offloadItem{op: op, user: offloadUser{t, t.flows.ref(slot)}, id: offloadID(&f.key, f.mask), at: t.dp.clock.Now()}
	if op != offloadDelete {
		it.match = &dpif.OffloadMatch{Key: f.key, Mask: *f.mask, Actions: f.actions, Format: t.dp.offload.format}
	}
	o := &t.dp.offload
	o.mu.Lock()
	o.items = append(o.items, it)
	first := len(o.items) == 1
	o.mu.Unlock()
	if first {
		o.wake.Set()
	}
}

// flowsRemoved queues the removal of all flows of the thread.
func (t *thread) flowsRemoved() {
	if !t.cfg.offload {
		return
	}
	for slot := range t.flows.hot {
		if t.flows.hot[slot].live {
			t.flowChanged(offloadDelete, uint32(slot))
		}
	}
}

// takeMark takes the mark off a packet and returns the flow that it means, if the
// thread has it.
func (t *thread) takeMark(m *packet.Meta) (slot uint32, ok bool) {
	mark := m.Hash
	m.Hash, m.Offload = 0, m.Offload&^packet.FlowMarked
	if int(mark) >= len(t.marked) {
		return 0, false
	}
	ref := t.marked[mark]
	return ref.Slot, int(ref.Slot) < len(t.flows.gens) && ref.Gen == t.flows.gens[ref.Slot] && t.flows.hot[ref.Slot].live
}

// setMark has the thread know a flow by its mark.
func (t *thread) setMark(mark uint32, ref cache.Ref) {
	for len(t.marked) <= int(mark) {
		t.marked = append(t.marked, cache.Ref{})
	}
	t.marked[mark] = ref
}

func (o *offload) wait(s *poll.Set) {
	if o.wake != nil {
		o.wake.Wait(s)
	}
}

// offloadsPerTurn is how many changes one turn of the loop makes: a device may take
// some 10 µs for each.
const offloadsPerTurn = 128

// runOffload works on the queue; more says that there is more to do at once.
func (d *Dpif) runOffload(now int64) (more bool) {
	o := &d.offload
	if o.wake == nil || !o.wake.Reset() {
		return false
	}
	o.mu.Lock()
	items := o.items[:min(len(o.items), offloadsPerTurn)]
	o.items = o.items[len(items):]
	more = len(o.items) > 0
	o.mu.Unlock()
	if more {
		o.wake.Set()
	}
	for i := range items {
		it := &items[i]
		o.thread(it.id).waited(float64(now-it.at) * 1000)
		result := "succeed"
		if !d.offloadOne(it) {
			result = "failed"
		}
		log.Dbg("%s to %s netdev flow %s", result, it.op, it.id)
	}
	clear(items)
	return more
}

func (d *Dpif) offloadOne(it *offloadItem) bool {
	o := &d.offload
	f := o.flows[it.id]
	switch {
	case it.op == offloadDelete:
		return f != nil && f.users[it.user] && o.leave(it.id, it.user)
	case it.op == offloadModify && f != nil && f.users[it.user]:
		return f.dev.FlowPut(&netdev.OffloadFlow{ID: it.id, Mark: f.mark, Match: it.match}) == nil
	case f == nil:
		s := d.ports[it.match.Key.InPort]
		if s == nil {
			return false
		}
		dev := o.offloader(s.dev)
		if dev == nil {
			return false
		}
		f = &offloaded{mark: o.newMark(), port: s.no, dev: dev, users: map[offloadUser]bool{}}
		if err := dev.FlowPut(&netdev.OffloadFlow{ID: it.id, Mark: f.mark, Match: it.match}); err != nil {
			o.free = append(o.free, f.mark)
			return false
		}
		o.flows[it.id] = f
		if o.ports[f.port] == nil {
			o.ports[f.port] = map[netdev.FlowID]bool{}
		}
		o.ports[f.port][it.id] = true
	}
	f.users[it.user] = true
	t, mark, ref := it.user.t, f.mark, it.user.ref
	if t.core == dpif.PMDNone {
		t.setMark(mark, ref)
	} else {
		t.inbox.post(func() { t.setMark(mark, ref) }) // unless the thread has ended
	}
	return true
}

// leave takes a flow of a thread off an offloaded one, which goes with the last.
func (o *offload) leave(id netdev.FlowID, u offloadUser) bool {
	f := o.flows[id]
	delete(f.users, u)
	if len(f.users) > 0 {
		return true
	}
	delete(o.flows, id)
	delete(o.ports[f.port], id)
	o.free = append(o.free, f.mark)
	return f.dev.FlowDel(id) == nil
}

// marksToKeep is how many marks rest before one is given out again: packets that wait
// in queues may still carry them.
const marksToKeep = 1024

func (o *offload) newMark() (mark uint32) {
	if len(o.free) > marksToKeep {
		mark = o.free[0]
		o.free = o.free[1:]
		return mark
	}
	o.last++
	return o.last
}

// dropPort forgets the flows of a port, whose device goes.
func (o *offload) dropPort(no uint32) {
	var dev netdev.FlowOffloader
	for id := range o.ports[no] {
		f := o.flows[id]
		dev = f.dev
		o.free = append(o.free, f.mark)
		delete(o.flows, id)
	}
	if dev != nil {
		dev.FlowFlush()
	}
	delete(o.ports, no)
}

// describe adds what a device did for a flow.
func (o *offload) describe(f *dpif.Flow) {
	if st, ok := o.get(&f.Key, &f.Mask); ok {
		addStats(&f.Stats, dpif.FlowStats{Packets: st.Packets, Bytes: st.Bytes, Used: st.Used})
		f.Offloaded = true
		if st.Layer != "" {
			f.DPLayer = st.Layer
		}
	}
}

// addStats adds what a device did for a flow that was removed.
func (o *offload) addStats(key *flow.Flow, mask *flow.Mask, sum *dpif.FlowStats) {
	if st, ok := o.get(key, mask); ok {
		addStats(sum, dpif.FlowStats{Packets: st.Packets, Bytes: st.Bytes, Used: st.Used})
	}
}

func (o *offload) get(key *flow.Flow, mask *flow.Mask) (st netdev.OffloadStats, ok bool) {
	if len(o.flows) == 0 {
		return st, false
	}
	id := offloadID(key, mask)
	f := o.flows[id]
	if f == nil {
		return st, false
	}
	return f.dev.FlowGet(id)
}

// offloadThread is the figures of a thread that offloads: how long changes waited, in
// µs, with the mean over all and the one in which the last 100 weigh most.
type offloadThread struct {
	n, mean, squares float64 // squares: sum of the squared distances from the mean
	recent, variance float64
}

// thread returns the thread that a flow belongs to.
func (o *offload) thread(id netdev.FlowID) *offloadThread { return &o.threads[o.threadOf(id)] }

func (o *offload) threadOf(id netdev.FlowID) int { return int(id[15]) % len(o.threads) }

// recentWeight is that of a new value in the recent mean.
const recentWeight = 2.0 / (100 + 1)

// waited counts a change that waited so long.
func (t *offloadThread) waited(us float64) {
	t.n++
	d := us - t.mean
	t.mean += d / t.n
	t.squares += d * (us - t.mean)
	if t.n == 1 {
		t.recent = us
		return
	}
	d = us - t.recent
	t.recent += recentWeight * d
	t.variance = (1 - recentWeight) * (t.variance + recentWeight*d*d)
}

// OffloadStats implements dpif.Offloader.
func (d *Dpif) OffloadStats() ([]dpif.OffloadStats, bool) {
	o := &d.offload
	if d.cfg.offload == 0 {
		return nil, false
	}
	out := make([]dpif.OffloadStats, len(o.threads))
	for i := range o.threads {
		t := &o.threads[i]
		out[i] = dpif.OffloadStats{Mean: uint64(t.mean), StdDev: uint64(math.Sqrt(t.squares / max(t.n-1, 1))),
			RecentMean: uint64(t.recent), RecentStdDev: uint64(math.Sqrt(t.variance))}
	}
	for id := range o.flows {
		out[o.threadOf(id)].Inserted++
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.items {
		out[o.threadOf(o.items[i].id)].Enqueued++
	}
	return out, true
}

var _ dpif.Offloader = (*Dpif)(nil)
