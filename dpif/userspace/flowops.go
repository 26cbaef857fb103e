package userspace

import (
	"sync"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/netdev/packet"
)

// dumpChunk is how many flows a thread copies between two batches.
const dumpChunk = 64

// dumpBufs has memory for chunks: each change of the flow tables calls for a dump.
var dumpBufs = sync.Pool{New: func() any { return new([dumpChunk]dpif.Flow) }}

// FlowPut implements dpif.Dpif.
func (d *Dpif) FlowPut(p *dpif.FlowPut) error {
	err := d.flowPut(p)
	d.logPut(p, err)
	return err
}

func (d *Dpif) flowPut(p *dpif.FlowPut) error {
	if p.Mask.InPort != ^uint32(0) {
		op := "[zero]"
		if p.Modify {
			op = "[modify]"
		}
		if p.Create {
			op = "[create]"
		}
		log.ErrRL(rlPut, "failed to put%s flow: in_port is not an exact match", op)
		return unix.EINVAL
	}
	put := *p
	exactVLAN(&put.Mask)
	if put.UFID == (flow.UFID{}) {
		put.UFID = put.Key.HashUFID()
	}
	put.Actions = append([]odp.Action(nil), p.Actions...)
	if p.PMD == dpif.PMDAll {
		var err error
		for _, t := range d.threads() {
			if e := t.flowPut(&put); e != nil {
				err = e
			}
		}
		return err
	}
	t := d.thread(p.PMD)
	if t == nil {
		return unix.EINVAL
	}
	return t.flowPut(&put)
}

// flowPut installs or changes a flow of the thread.
func (t *thread) flowPut(p *dpif.FlowPut) (err error) {
	t.do(func() {
		var k flow.Mini
		k.Set(&p.Key)
		slot, _, found := t.flows.lookup(&k, p.Key.InPort)
		switch {
		case !found && p.Create:
			slot = t.flows.add(p.UFID, &p.Key, &p.Mask, p.Actions)
			t.flowChanged(offloadAdd, slot)
			t.logFlowChange(p.UFID, &p.Key, &p.Mask, nil, p.Actions, true)
		case !found:
			err = unix.ENOENT
		case p.Modify:
			t.logFlowChange(t.flows.cold[slot].ufid, &p.Key, &p.Mask, t.flows.cold[slot].actions, p.Actions, false)
			t.flows.setActions(slot, p.Actions)
			t.flowChanged(offloadModify, slot)
			if p.ZeroStats {
				f := &t.flows.hot[slot]
				f.packets, f.bytes, f.used, f.tcpFlags = 0, 0, 0, 0
			}
		case p.Create:
			err = unix.EEXIST
		default:
			err = unix.EINVAL
		}
		t.nFlow.Store(int64(t.flows.count()))
	})
	return err
}

// on runs fn on the threads that a PMD id names until it returns true.
func (d *Dpif) on(pmd int, fn func(t *thread) bool) bool {
	for _, t := range d.threads() {
		if pmd != dpif.PMDAll && t.core != pmd {
			continue
		}
		done := false
		t.do(func() { done = fn(t) })
		if done && pmd != dpif.PMDAll {
			return true
		}
	}
	return false
}

// FlowDel implements dpif.Dpif; for PMDAll it adds up the statistics.
func (d *Dpif) FlowDel(ufid flow.UFID, pmd int) (sum dpif.FlowStats, err error) {
	err = unix.ENOENT
	if pmd != dpif.PMDAll && d.thread(pmd) == nil {
		return sum, err // its flows went with the thread
	}
	var key flow.Flow
	var mask *flow.Mask
	d.on(pmd, func(t *thread) bool {
		slot, ok := t.flows.byUFID[ufid]
		if !ok {
			return false
		}
		key, mask = t.flows.cold[slot].key, t.flows.cold[slot].mask
		addStats(&sum, t.flowStats(slot))
		t.flowChanged(offloadDelete, slot)
		t.flows.remove(slot)
		t.nFlow.Store(int64(t.flows.count()))
		err = nil
		return true
	})
	if err == nil {
		d.offload.addStats(&key, mask, &sum)
	}
	d.logFlow("flow_del", err, ufid, &key, nil, &sum, nil)
	return sum, err
}

func addStats(sum *dpif.FlowStats, s dpif.FlowStats) {
	sum.Packets += s.Packets
	sum.Bytes += s.Bytes
	sum.Used = max(sum.Used, s.Used)
	sum.TCPFlags |= s.TCPFlags
}

func (t *thread) flowStats(slot uint32) dpif.FlowStats {
	f := &t.flows.hot[slot]
	return dpif.FlowStats{Packets: f.packets, Bytes: f.bytes, Used: f.used, TCPFlags: f.tcpFlags}
}

// hideNDExt takes the neighbour discovery extensions out of a flow that is shown:
// stock's userspace datapath matches on them but does not tell.
func hideNDExt(key, mask *flow.Flow) {
	if key.DLType != flow.EthIPv6 || key.NwProto != packet.ProtoICMPv6 {
		return
	}
	for _, f := range [...]*flow.Flow{key, mask} {
		f.IGMPGroup, f.NDOptType = 0, 0
	}
}

// hidesNDExt reports that hideNDExt changes a flow.
func hidesNDExt(key *flow.Flow, mask *flow.Mask) bool {
	return key.DLType == flow.EthIPv6 && key.NwProto == packet.ProtoICMPv6 && (mask.IGMPGroup != 0 || mask.NDOptType != 0)
}

// describe copies a flow for the contract.
func (t *thread) describe(slot uint32) dpif.Flow {
	f := &t.flows.cold[slot]
	out := dpif.Flow{UFID: f.ufid, Key: f.key, Mask: *f.mask, Actions: f.actions,
		Stats: t.flowStats(slot), PMD: t.core, DPLayer: "ovs"}
	hideNDExt(&out.Key, out.Mask.AsFlow())
	return out
}

// FlowGet implements dpif.Dpif; for PMDAll it adds up the statistics of all
// threads that have the flow.
func (d *Dpif) FlowGet(ufid flow.UFID, pmd int) (out dpif.Flow, err error) {
	err = unix.ENOENT
	var sum dpif.FlowStats
	d.on(pmd, func(t *thread) bool {
		slot, ok := t.flows.byUFID[ufid]
		if !ok {
			return false
		}
		out = t.describe(slot)
		addStats(&sum, out.Stats)
		err = nil
		return true
	})
	out.Stats = sum
	if err == nil {
		d.offload.describe(&out)
	}
	return out, err
}

// FlowDump implements dpif.Dpif: thread by thread, the loop's first, in the order
// that the flows were added in.
func (d *Dpif) FlowDump(fn func(*dpif.Flow) bool) {
	mem := dumpBufs.Get().(*[dumpChunk]dpif.Flow)
	used := 0
	defer func() {
		clear(mem[:used]) // of actions
		dumpBufs.Put(mem)
	}()
	for _, t := range d.threads() {
		if t.nFlow.Load() == 0 {
			continue
		}
		buf := mem[:0]
		var next cursor
		for more := true; more; {
			buf = buf[:0]
			t.do(func() { next, more = t.dump(next, &buf) })
			used = max(used, len(buf))
			for i := range buf {
				d.dumped(&buf[i])
				if !fn(&buf[i]) {
					return
				}
			}
		}
	}
}

// dumped logs a flow that a thread described, and adds what a device did for it.
func (d *Dpif) dumped(f *dpif.Flow) {
	if logDpif.DbgEnabled() {
		d.logFlow("flow_dump", nil, f.UFID, &f.Key, &f.Mask, &f.Stats, f.Actions)
	}
	d.offload.describe(f)
}

// dump appends flows from a cursor on and returns where to go on.
func (t *thread) dump(from cursor, buf *[]dpif.Flow) (next cursor, more bool) {
	for at := t.flows.resume(from); at != 0; at = t.flows.cold[at-1].next {
		if len(*buf) == cap(*buf) {
			return cursor{slot: at, seq: t.flows.cold[at-1].seq}, true
		}
		*buf = append(*buf, t.describe(at-1))
	}
	return cursor{}, false
}

// FlowSweep implements dpif.Dpif: thread by thread in the order of the slots, in which
// flows keep their place.
func (d *Dpif) FlowSweep(at *dpif.Sweep, n int, fn func(*dpif.Flow)) (more bool) {
	mem := dumpBufs.Get().(*[dumpChunk]dpif.Flow)
	used := 0
	defer func() {
		clear(mem[:used]) // of actions
		dumpBufs.Put(mem)
	}()
	for _, t := range d.threads() {
		// Threads come and go between two calls: they are known by their core.
		id := uint32(t.core + 1)
		if id > at.Thread {
			*at = dpif.Sweep{Thread: id}
		}
		if id < at.Thread || t.nFlow.Load() == 0 {
			continue
		}
		for more := true; more; {
			if n == 0 {
				return true
			}
			buf := mem[:0:min(n, dumpChunk)]
			t.do(func() { more = t.sweep(&at.Slot, &buf) })
			n -= len(buf)
			used = max(used, len(buf))
			for i := range buf {
				d.dumped(&buf[i])
				fn(&buf[i])
			}
		}
		at.Thread, at.Slot = id+1, 0
	}
	return false
}

// sweepSlots is how many slots a thread looks at between two batches, most of which
// may be free.
const sweepSlots = 4096

// sweep appends flows from a slot on and moves it.
func (t *thread) sweep(at *uint32, buf *[]dpif.Flow) (more bool) {
	for range sweepSlots {
		if len(*buf) == cap(*buf) {
			return true
		}
		if int(*at) >= len(t.flows.hot) {
			return false
		}
		if t.flows.hot[*at].live {
			*buf = append(*buf, t.describe(*at))
		}
		*at++
	}
	return true
}

// FlowFlush implements dpif.Dpif.
func (d *Dpif) FlowFlush() error {
	doAll(d.threads(), func(t *thread) {
		t.flowsRemoved()
		t.flows.flush()
		t.nFlow.Store(0)
	})
	d.logOperation("flow_flush", nil)
	return nil
}

// FlowCount implements dpif.Dpif.
func (d *Dpif) FlowCount() int {
	n := int64(0)
	for _, t := range *d.list.Load() {
		n += t.nFlow.Load()
	}
	return int(n)
}
