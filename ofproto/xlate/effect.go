package xlate

import (
	"sluice/dpif/flow"
	"sluice/ofproto/bond"
	"sluice/ofproto/maclearn"
	"sluice/ofproto/ofp"
	"sluice/ofproto/table"
)

// EffectKind is a kind of Effect.
type EffectKind uint8

// The kinds of effects, with the members of Effect that each uses.
const (
	EffectTable      EffectKind = iota + 1 // Tables, TableID, Matched: a table was searched
	EffectRule                             // Rule: its actions were translated
	EffectNormal                           // ML, MAC, VLAN, Bundle, GratARP, Bond: a MAC address was seen
	EffectLearn                            // Learn: a learn action ran
	EffectFinTimeout                       // Rule, Idle, Hard: shorten timeouts when TCP ends
	EffectGroup                            // Group, Bucket: a group was used; Bucket < 0: all buckets
	EffectPort                             // Tx, Rx: a patch or tunnel port carried the packet
	EffectMirror                           // Mirror: it got a copy
	EffectBond                             // Load, Bucket: a bond carried the packet by its hash
	EffectNetFlow                          // NetFlow: it counts the flow
	EffectHeader                           // HeaderLen: packets are longer by that in the effects that follow
	EffectNeighbor                         // Neighbor: it is the next hop of a tunnel
)

// Effect is one thing, other than datapath actions, that handling a packet does:
// to count it, to learn from it.  The effects of a translation stay with the
// datapath flow that it made, and are applied again for the packets that the
// datapath forwards by itself; so counting never translates twice.
//
// Effects hold pointers, which keeps a removed rule's memory alive until the next
// revalidation, but needs no generations to be safe.
type Effect struct {
	Kind    EffectKind
	TableID uint8
	Matched bool
	GratARP bool
	Bond    bool
	VLAN    uint16
	MAC     flow.MAC
	Idle    uint16
	Hard    uint16
	Bucket  int32
	Bundle  maclearn.Port
	Tables  *table.Set
	Rule    *table.Rule
	Group   *table.Group
	ML      *maclearn.Table
	Learn   *LearnedFlow
	Tx, Rx  Counter
	Mirror  *MirrorStats
	Load    *bond.Load
	NetFlow *NetFlowUse

	HeaderLen int32
	Neighbor  *NeighborUse
}

// Stats is what to credit effects with.
type Stats struct {
	Packets, Bytes uint64
	Used           int64 // ms, of the last packet
	Now            int64 // ms
	TCPFlags       uint16
}

// LearnedFlow is the flow that a learn action makes from one packet.
type LearnedFlow struct {
	Tables *table.Set
	Mod    ofp.FlowMod
	Limit  uint32 // 0: none
	// Rule is the rule that it became; the Sink sets it, so that refreshing needs
	// no lookup.
	Rule *table.Rule
}

// Sink does at once what a translation needs to have done before it goes on.
// Without one, a translation changes nothing.
//
// Thread-safety: its methods are called by the translating thread.
type Sink interface {
	// LearnMAC applies an EffectNormal and reports whether it changed the table.
	LearnMAC(e *Effect, now int64) bool
	// LearnFlow adds or refreshes the flow; ok is false when the limit of the
	// learn action forbids it.
	LearnFlow(l *LearnedFlow, now int64) (ok bool, err error)
	// Snoop applies a message to the multicast snooping table and returns how many
	// entries it changed.
	Snoop(s *Snooped, now int64) int
	// Frame gives a frame to the machine of its protocol.
	Frame(f *Frame)
}
