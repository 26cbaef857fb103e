package userspace

import (
	"sluice/dpif/cache"
	"sluice/dpif/dpcls"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
)

// hotFlow is what the forwarding path touches of a megaflow.
type hotFlow struct {
	packets, bytes uint64
	used           int64  // ms; 0: never
	out            uint32 // the port when the actions are one output, else noOut
	tcpFlags       uint16
	group          uint8 // 1 + index of the packet group in the current batch
	live           bool
}

// noOut in hotFlow.out: the actions must be run.
const noOut = ^uint32(0)

// coldFlow is the rest of a megaflow.
type coldFlow struct {
	ufid    flow.UFID
	key     flow.Flow // as it was put, not masked
	mask    *flow.Mask
	actions []odp.Action
	// The flows of a thread form a list in the order that they were added in; dumps
	// follow it.
	seq        uint64 // grows with every flow
	prev, next uint32 // slot + 1; 0: none
}

// flowTable is the megaflows of one thread: slots with generations, a classifier
// for each input port, an index by UFID.  Only the thread touches it.
type flowTable struct {
	hot    []hotFlow
	gens   []uint32 // of the slots; changes when a flow goes
	cold   []coldFlow
	free   []uint32 // slots to reuse
	byUFID map[flow.UFID]uint32
	cls    map[uint32]*dpcls.Classifier // by input port
	masks  map[flow.Mask]*maskRef       // one copy of every mask in use
	seq    uint64                       // of the last flow added
	// Ends of the list of flows; slot + 1, 0: no flows.
	first, lastAdded uint32

	// The classifier looked up last: the packets of a batch have one port.
	lastPort uint32
	last     *dpcls.Classifier
}

type maskRef struct {
	mask flow.Mask
	refs int
}

func newFlowTable() flowTable {
	return flowTable{byUFID: map[flow.UFID]uint32{}, cls: map[uint32]*dpcls.Classifier{}, masks: map[flow.Mask]*maskRef{}}
}

// classifier returns the classifier of an input port, nil when it has no flows.
func (t *flowTable) classifier(port uint32) *dpcls.Classifier {
	if t.last == nil || t.lastPort != port {
		t.lastPort, t.last = port, t.cls[port]
	}
	return t.last
}

// lookup finds the flow of a packet that came by port.
func (t *flowTable) lookup(k *flow.Mini, port uint32) (slot uint32, tried int, ok bool) {
	c := t.classifier(port)
	if c == nil {
		return 0, 0, false
	}
	return c.Lookup(k)
}

// matches checks a slot that a signature cache proposes.
func (t *flowTable) matches(slot uint32, k *flow.Mini) bool {
	return int(slot) < len(t.hot) && t.hot[slot].live && dpcls.Match(k, &t.cold[slot].key, t.cold[slot].mask)
}

func (t *flowTable) ref(slot uint32) cache.Ref { return cache.Ref{Slot: slot, Gen: t.gens[slot]} }

// singleOutput is the port of actions that are one output.
func singleOutput(actions []odp.Action) uint32 {
	if len(actions) == 1 && actions[0].Type == odp.Output {
		return actions[0].Port
	}
	return noOut
}

// add stores a flow.
func (t *flowTable) add(ufid flow.UFID, key *flow.Flow, mask *flow.Mask, actions []odp.Action) uint32 {
	var slot uint32
	if n := len(t.free); n > 0 {
		slot = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		slot = uint32(len(t.hot))
		t.hot = append(t.hot, hotFlow{})
		t.gens = append(t.gens, 1)
		t.cold = append(t.cold, coldFlow{})
	}
	t.hot[slot] = hotFlow{out: singleOutput(actions), live: true}
	t.cold[slot] = coldFlow{ufid: ufid, key: *key, mask: t.holdMask(mask), actions: actions}
	t.link(slot)
	c := t.classifier(key.InPort)
	if c == nil {
		c = &dpcls.Classifier{}
		t.cls[key.InPort] = c
		t.last = nil
	}
	c.Insert(key, mask, slot)
	t.byUFID[ufid] = slot
	return slot
}

// link appends a flow to the list.
func (t *flowTable) link(slot uint32) {
	f := &t.cold[slot]
	t.seq++
	f.seq, f.prev = t.seq, t.lastAdded
	if f.prev != 0 {
		t.cold[f.prev-1].next = slot + 1
	} else {
		t.first = slot + 1
	}
	t.lastAdded = slot + 1
}

// unlink takes a flow out of the list.
func (t *flowTable) unlink(slot uint32) {
	f := &t.cold[slot]
	if f.prev != 0 {
		t.cold[f.prev-1].next = f.next
	} else {
		t.first = f.next
	}
	if f.next != 0 {
		t.cold[f.next-1].prev = f.prev
	} else {
		t.lastAdded = f.prev
	}
}

// cursor is where a dump stopped: the flow that comes next, and the number that the
// flows from there on have at least.
type cursor struct {
	slot uint32 // slot + 1; 0: begin
	seq  uint64
}

// resume returns the slot + 1 of the flow at a cursor, or behind it when that one is
// gone.
func (t *flowTable) resume(c cursor) uint32 {
	if c.seq == 0 {
		return t.first
	}
	if c.slot != 0 && t.hot[c.slot-1].live && t.cold[c.slot-1].seq == c.seq {
		return c.slot
	}
	for at := t.first; at != 0; at = t.cold[at-1].next {
		if t.cold[at-1].seq >= c.seq {
			return at
		}
	}
	return 0
}

func (t *flowTable) setActions(slot uint32, actions []odp.Action) {
	t.cold[slot].actions = actions
	t.hot[slot].out = singleOutput(actions)
}

// remove takes out a flow and frees its slot.
func (t *flowTable) remove(slot uint32) {
	f := &t.cold[slot]
	port := f.key.InPort
	if c := t.classifier(port); c != nil {
		c.Remove(&f.key, f.mask)
		if c.Len() == 0 {
			delete(t.cls, port)
			t.last = nil
		}
	}
	if t.byUFID[f.ufid] == slot {
		delete(t.byUFID, f.ufid)
	}
	t.dropMask(f.mask)
	t.unlink(slot)
	*f = coldFlow{}
	t.hot[slot] = hotFlow{}
	t.gens[slot]++
	t.free = append(t.free, slot)
}

func (t *flowTable) holdMask(m *flow.Mask) *flow.Mask {
	r := t.masks[*m]
	if r == nil {
		r = &maskRef{mask: *m}
		t.masks[*m] = r
	}
	r.refs++
	return &r.mask
}

func (t *flowTable) dropMask(m *flow.Mask) {
	r := t.masks[*m]
	r.refs--
	if r.refs == 0 {
		delete(t.masks, *m)
	}
}

// flush removes all flows.
func (t *flowTable) flush() {
	for slot := range t.hot {
		if t.hot[slot].live {
			t.remove(uint32(slot))
		}
	}
}

// optimize ranks the subtables of all classifiers.
func (t *flowTable) optimize() {
	for _, c := range t.cls {
		c.Optimize()
	}
}

func (t *flowTable) count() int { return len(t.byUFID) }
