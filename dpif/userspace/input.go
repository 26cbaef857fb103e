package userspace

import (
	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/internal/coverage"
	"sluice/netdev/packet"
)

// The way of a batch:
//
//  1. receive: rx queue -> batch, policed, metadata set  (poll)
//  2. classify: extract, EMC, SMC, megaflow classifier   (classify)
//  3. miss: upcall, run its actions, install a flow      (miss)
//  4. group the packets by flow, count                   (assign)
//  5. execute the actions of each group                  (execute)
//  6. send what waits for each port                      (flush)
//
// Recirculation enters at 2 again, one depth further.

var (
	cUpcallError = coverage.New("datapath_drop_upcall_error")
	cUserspace   = coverage.New("datapath_drop_userspace_action_error")
	cRecirc      = coverage.New("datapath_drop_recirc_error")
)

// poll receives and processes one batch of a queue.
func (t *thread) poll(q *rxq) int {
	sc := t.scratchAt()
	b := &sc.batch
	b.N = 0
	n, err := q.q.Recv(t.c, b)
	if n == 0 {
		if err != nil {
			log.ErrRL(rlRecv, "error receiving data from %s: %v", q.port.name, err)
		}
		return 0
	}
	if t.core != dpif.PMDNone {
		t.now = t.dp.clock.Now()
	}
	if p := q.port.policer; p != nil && p.On() {
		if p.Police(t.c, b, t.now); b.N == 0 {
			return n
		}
	}
	t.cur = q
	t.emcMin = t.cfg.emcMin
	if q.port.noEMC {
		t.emcMin = 0
	}
	no := q.port.no
	for _, i := range b.Slice() {
		m := t.p.Meta(i)
		m.InPort, m.RecircID = no, 0
	}
	t.stats.add(statRecv, uint64(b.N))
	if t.perf != nil {
		t.perf.batch(n, q.backlog, n == packet.BatchSize)
	}
	t.input(b, no)
	if !t.holdsTx() {
		t.flush()
	}
	t.cur = nil
	return n
}

// input takes a batch through stages 2 to 5 and takes over its packets.
func (t *thread) input(b *packet.Batch, port uint32) {
	sc := t.scratchAt()
	if sc == nil {
		cRecirc.Add(uint64(b.N))
		t.c.FreeBatch(b)
		return
	}
	if missed := t.classify(sc, b); missed != 0 {
		t.slowLookup(sc, b, port, missed)
	}
	groups := t.assign(sc, b)
	b.N = 0
	for g := range groups {
		t.execute(&sc.groups[g])
	}
}

// noSlot marks packets without a flow; gone ones were consumed by an upcall.
const (
	noSlot = ^uint32(0)
	gone   = ^uint32(0) - 1
)

// classify extracts keys and looks them up in the caches; it returns a bitmap of
// the packets that they do not know.
func (t *thread) classify(sc *scratch, b *packet.Batch) (missed uint32) {
	useEMC := t.emcMin != 0
	hits, smcHits, marked := 0, 0, 0
	for n, i := range b.Slice() {
		m := t.p.Meta(i)
		k := &sc.keys[n]
		flow.Extract(t.p.Data(i), m, t.p.Cold(i), k)
		if m.Offload&packet.FlowMarked != 0 {
			if slot, ok := t.takeMark(m); ok {
				sc.slots[n] = slot
				marked++
				continue
			}
		}
		h := k.HashTuple()
		sc.hashes[n] = h
		if useEMC {
			if ref, ok := t.emc.Lookup(k, h, t.flows.gens); ok {
				sc.slots[n] = ref.Slot
				hits++
				continue
			}
		}
		if t.cfg.smc && t.smc != nil {
			if slot, ok := t.smc.Lookup(h); ok && t.flows.matches(slot, k) {
				sc.slots[n] = slot
				smcHits++
				t.emcInsert(k, h, slot)
				continue
			}
		}
		sc.slots[n] = noSlot
		missed |= 1 << n
	}
	if marked != 0 {
		t.stats.add(statMarkedHit, uint64(marked))
	}
	if hits != 0 {
		t.stats.add(statExactHit, uint64(hits))
	}
	if smcHits != 0 {
		t.stats.add(statSMCHit, uint64(smcHits))
	}
	return missed
}

func (t *thread) emcInsert(k *flow.Mini, h, slot uint32) {
	if limit := t.emcMin; limit != 0 && uint32(t.rand.Uint64()) <= limit {
		t.emc.Insert(k, h, t.flows.ref(slot), t.flows.gens)
	}
}

// slowLookup finds the flows of the packets in missed, asking ofproto where there
// is none.
func (t *thread) slowLookup(sc *scratch, b *packet.Batch, port uint32, missed uint32) {
	var looked, hit, ok, failed int
	for n, i := range b.Slice() {
		if missed&(1<<n) == 0 {
			continue
		}
		slot, tried, found := t.flows.lookup(&sc.keys[n], port)
		looked += tried
		if lookups.validate.Load() {
			t.flows.validate(&sc.keys[n], slot, found)
		}
		if !found {
			if t.timedMiss(sc, n, i, port) {
				ok++
			} else {
				failed++
			}
			sc.slots[n] = gone
			continue
		}
		hit++
		sc.slots[n] = slot
		t.remember(&sc.keys[n], sc.hashes[n], slot)
	}
	t.stats.add(statMaskedLookup, uint64(looked))
	t.stats.add(statMaskedHit, uint64(hit))
	if ok+failed != 0 {
		t.stats.add(statMiss, uint64(ok))
		t.stats.add(statLost, uint64(failed))
	}
}

// remember puts a flow that the classifier found into the caches.
func (t *thread) remember(k *flow.Mini, h, slot uint32) {
	if t.smc != nil && t.cfg.smc {
		t.smc.Insert(h, slot)
	}
	t.emcInsert(k, h, slot)
}

// timedMiss is miss that counts the cycles if somebody wants to know.
func (t *thread) timedMiss(sc *scratch, n int, i packet.Index, port uint32) bool {
	m := t.perf
	if m == nil {
		return t.miss(sc, n, i, port)
	}
	start, before := cycleCounter(), m.cur.upcallCycles
	ok := t.miss(sc, n, i, port)
	if ok {
		m.upcall(before, cycleCounter()-start)
	}
	return ok
}

// miss asks ofproto about packet i and does what it says.
func (t *thread) miss(sc *scratch, n int, i packet.Index, port uint32) bool {
	sc.keys[n].Expand(&sc.flow)
	u := &sc.upcall
	*u = dpif.Upcall{Kind: dpif.UpcallMiss, Key: &sc.flow, UFID: sc.flow.HashUFID()}
	v, err := t.upcall(sc, u, i)
	if err != nil {
		cUpcallError.Inc()
		t.c.Free(i)
		return false
	}
	// The actions run before the flow is there, so that they see the packet once
	// even when they recirculate or go the slow path.
	t.runOn(i, v.Actions)
	if !v.Install {
		return true
	}
	err = t.install(sc, n, port, v)
	if v.Installed != nil {
		v.Installed(err)
	}
	return true
}

// upcall calls ofproto with packet i.
func (t *thread) upcall(sc *scratch, u *dpif.Upcall, i packet.Index) (*dpif.Verdict, error) {
	fn := t.dp.upcall
	if fn == nil {
		return nil, errNoUpcall
	}
	u.Packet = t.p.Data(i)
	u.Whole = func() []byte {
		if t.p.Meta(i).Next == 0 {
			return t.p.Data(i)
		}
		return t.p.AppendBytes(nil, i)
	}
	u.PMD, u.Now = t.core, t.now
	t.logUpcall(u)
	v := &sc.verdict
	*v = dpif.Verdict{Actions: v.Actions[:0], PutActions: v.PutActions[:0]}
	t.depth++ // what ofproto executes meanwhile must not touch sc
	err := fn(u, v)
	t.depth--
	return v, err
}

// runOn runs actions on one packet and takes it over.
func (t *thread) runOn(i packet.Index, actions []odp.Action) {
	b := t.x.GetBatch()
	b.Add(i)
	t.depth++
	t.run(b, actions)
	t.depth--
	t.x.PutBatch(b)
}

// run runs actions, and remembers them for the userspace actions among them.
func (t *thread) run(b *packet.Batch, actions []odp.Action) {
	outer := t.running
	t.running = actions
	t.x.Run(b, actions)
	t.running = outer
}

// install adds the flow that a verdict asks for, unless an upcall in between
// (a recirculation of the same packet) has installed one that covers the packet.
func (t *thread) install(sc *scratch, n int, port uint32, v *dpif.Verdict) error {
	slot, _, found := t.flows.lookup(&sc.keys[n], port)
	var err error
	if found {
		err = errExists
	} else {
		actions := v.Actions
		if len(v.PutActions) > 0 {
			actions = v.PutActions
		}
		exactVLAN(&v.Mask)
		actions = append([]odp.Action(nil), actions...)
		slot = t.flows.add(sc.upcall.UFID, &sc.flow, &v.Mask, actions)
		t.logFlowChange(sc.upcall.UFID, &sc.flow, &v.Mask, nil, actions, true)
		t.nFlow.Store(int64(t.flows.count()))
		t.flowChanged(offloadAdd, slot)
	}
	t.remember(&sc.keys[n], sc.hashes[n], slot)
	return err
}

// exactVLAN makes a mask that does not look at the VLAN match its absence or
// presence exactly, and the input port always: stock's encoding of flows cannot
// say otherwise, and what it prints shows it.
func exactVLAN(m *flow.Mask) {
	m.InPort = ^uint32(0)
	if m.VLANs[0].TCI == 0 {
		m.VLANs[0].TCI = flow.VLANVIDMask | flow.VLANCFI
	}
}

// assign groups the packets by flow in the order that the flows occur in, counts
// them, and returns the number of groups.
func (t *thread) assign(sc *scratch, b *packet.Batch) int {
	groups := 0
	for n, i := range b.Slice() {
		slot := sc.slots[n]
		if slot >= gone {
			continue
		}
		f := &t.flows.hot[slot]
		if !f.live {
			// The flow went away while an upcall of this batch ran.
			cUpcallError.Inc()
			t.c.Free(i)
			continue
		}
		if f.group == 0 {
			g := &sc.groups[groups]
			g.slot, g.gen, g.bytes, g.tcpFlags, g.b.N = slot, t.flows.gens[slot], 0, 0, 0
			groups++
			f.group = uint8(groups)
		}
		g := &sc.groups[f.group-1]
		g.bytes += uint64(t.p.Meta(i).Len)
		g.tcpFlags |= sc.keys[n].TCPFlags()
		g.b.Add(i)
	}
	for g := range groups {
		t.count(&sc.groups[g])
	}
	return groups
}

func (t *thread) count(g *group) {
	f := &t.flows.hot[g.slot]
	f.group = 0
	f.packets += uint64(g.b.N)
	f.bytes += g.bytes
	f.used = t.now
	f.tcpFlags |= g.tcpFlags
}

// execute runs the actions of a group's flow on its packets.
func (t *thread) execute(g *group) {
	f := &t.flows.hot[g.slot]
	if t.flows.gens[g.slot] != g.gen {
		t.c.FreeBatch(&g.b) // the flow went away while an earlier group ran
		return
	}
	if f.out != noOut {
		t.Output(&g.b, f.out)
		return
	}
	actions := t.flows.cold[g.slot].actions
	t.depth++
	t.run(&g.b, actions)
	t.depth--
}
