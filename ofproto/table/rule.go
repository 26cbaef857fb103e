package table

import (
	"sync/atomic"

	"sluice/ofproto/classifier"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
)

// Rule is an OpenFlow flow entry.  Match, priority, cookie and actions never change:
// a modify puts a new Rule in the place of the old one.  Counters, times and
// timeouts are read and written with atomics, from any thread.
type Rule struct {
	classifier.Rule // must be first

	Actions    action.List
	Cookie     uint64
	Created    int64 // ms
	TableID    uint8
	Flags      ofp.FlowFlags
	Importance uint16

	timeouts atomic.Uint32 // idle << 16 | hard, seconds; 0: none
	modified atomic.Int64  // ms of the last change; the hard timeout counts from it
	used     atomic.Int64  // ms of the last packet, or of creation
	packets  atomic.Uint64
	bytes    atomic.Uint64

	// successor took the rule's place: packets that are counted late count for it
	// too.
	successor  atomic.Pointer[Rule]
	keepCounts bool // successor gets the counts, not only the time of use

	// The rest belongs to the writer.

	state     ruleState
	evicted   bool // goes because its table was full
	expirable bool
	// older and newer are the neighbours in Set.expirable.
	older, newer *Rule
	evict        *evictItem
	// Monitor is what flow monitors remember of the rule.
	Monitor MonitorState
}

// MonitorState belongs to the flow monitors.
type MonitorState struct {
	Added, Modified uint64           // numbers of the last changes, 0: none
	Flags           ofp.MonitorFlags // collected so far while updates are composed
}

// ruleState is where a Rule is in its life.
type ruleState uint8

const (
	ruleNew ruleState = iota
	ruleInserted
	ruleRemoved
)

// IdleTimeout returns the idle timeout in seconds, 0 for none.
func (r *Rule) IdleTimeout() uint16 { return uint16(r.timeouts.Load() >> 16) }

// HardTimeout returns the hard timeout in seconds, 0 for none.
func (r *Rule) HardTimeout() uint16 { return uint16(r.timeouts.Load()) }

func (r *Rule) setTimeouts(idle, hard uint16) { r.timeouts.Store(uint32(idle)<<16 | uint32(hard)) }

// Modified returns the time of the last change, ms.
func (r *Rule) Modified() int64 { return r.modified.Load() }

// Used returns the time of the last packet, ms; that of creation if there was none.
func (r *Rule) Used() int64 { return r.used.Load() }

// Stats returns the rule's counters.
func (r *Rule) Stats() (packets, bytes uint64) { return r.packets.Load(), r.bytes.Load() }

// Credit counts packets that the rule handled, the last of them at ms used.
func (r *Rule) Credit(packets, bytes uint64, used int64) {
	if packets != 0 {
		r.packets.Add(packets)
		r.bytes.Add(bytes)
	}
	for old := r.used.Load(); used > old && !r.used.CompareAndSwap(old, used); old = r.used.Load() {
	}
	if s := r.successor.Load(); s != nil {
		if !r.keepCounts {
			packets, bytes = 0, 0
		}
		s.Credit(packets, bytes, used)
	}
}

// Touch restarts the hard timeout at ms now, as learning a flow again does.
func (r *Rule) Touch(now int64) {
	if now > r.modified.Load() {
		r.modified.Store(now)
	}
}

// Match returns the rule's match.
func (r *Rule) Match() match.Match {
	f, m := r.Rule.Match()
	return match.Match{Flow: f, Mask: m}
}

// IsTableMiss reports whether r is its table's miss entry: it matches everything at
// priority 0.
func (r *Rule) IsTableMiss() bool { return r.Priority() == 0 && r.IsCatchall() }

// IsHidden reports whether controllers may neither see nor change r: its priority
// is beyond 16 bits, or its table is internal.
func (r *Rule) IsHidden() bool { return r.Priority() > 0xffff || r.TableID == TableInternal }

// Removed reports whether r is no longer part of its table (it may still be seen by
// readers of an older version).
func (r *Rule) Removed() bool { return r.state == ruleRemoved }

// newRule makes a rule that is in no table yet, from what a flow_mod says.
func newRule(fm *ofp.FlowMod, tableID uint8, now int64) *Rule {
	r := &Rule{
		Actions: fm.Actions, Cookie: fm.NewCookie, Created: now, TableID: tableID,
		Flags: fm.Flags & ofp.FlowStateFlags, Importance: fm.Importance,
	}
	r.Rule.Init(&fm.Match.Flow, &fm.Match.Mask, int(fm.Priority))
	r.setTimeouts(fm.IdleTimeout, fm.HardTimeout)
	r.modified.Store(now)
	r.used.Store(now)
	return r
}
