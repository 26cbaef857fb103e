// Package xlate translates: what a packet's journey through the OpenFlow tables
// of its bridge (and of bridges behind patch ports) comes to, as datapath actions
// and a mask of the packet's bits that decided it.
//
// ofproto/upcall translates packets that the datapath does not know and checks the
// datapath's flows again when tables change; ofproto executes packet-outs with it;
// ofproto/trace prints how it comes to its result.  Translation reads a Snapshot
// and the versioned flow tables and changes nothing itself: counting and learning
// come out as Effects, what must be done at once goes to the Sink, and frozen
// state gets a recirculation id.
//
// # The way of a translation
//
//  1. Translate: take the frozen state up again, or look up table 0
//  2. doActions: OpenFlow actions change the flow, and call for output (actions.go)
//  3. NORMAL chooses ports by MAC address and VLAN (normal.go)
//  4. output commits the flow's changes as datapath actions (output.go, commit.go)
//  5. what cannot be decided yet is frozen (freeze.go)
//  6. the action set is executed, the mask cleaned up
//
// # Masks
//
// Every bit of the packet that influenced the result must be in the mask, or the
// datapath will handle other packets wrongly; every other bit in it costs cache
// hits.  The bits set here are those that stock sets, no more and no less.
package xlate

import (
	"sync"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/internal/coverage"
	"sluice/internal/vlog"
	"sluice/ofproto/bond"
	"sluice/ofproto/export/netflow"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/recirc"
	"sluice/ofproto/table"
	"sluice/ofproto/tunnel"
)

var (
	log = vlog.New("ofproto_dpif_xlate")

	cActions       = coverage.New("xlate_actions")
	cOversize      = coverage.New("xlate_actions_oversize")
	cTooManyOutput = coverage.New("xlate_actions_too_many_output")
)

// Limits of the work that one packet can cause.
const (
	maxDepth     = 64                  // nested resubmits to the same or an earlier table
	maxResubmits = maxDepth * maxDepth // resubmits of any kind
	maxStack     = 65536               // bytes
	maxActions   = 65535               // bytes of datapath actions in Netlink format
	maxOutputs   = 1000                // the kernel's default backlog
)

// Error is why a translation failed.  The result is then to drop the packet.
type Error uint8

// The errors.  Their numbers are those of the datapath's drop action.
const (
	OK Error = iota
	ErrBridgeNotFound
	ErrRecursionTooDeep
	ErrTooManyResubmits
	ErrStackTooDeep
	ErrNoRecirculationContext
	ErrRecirculationConflict
	ErrTooManyMPLSLabels
	ErrInvalidTunnelMetadata
	ErrUnsupportedPacketType
	ErrCongestionDrop
	ErrForwardingDisabled
)

var errorText = [...]string{"OK", "Bridge not found", "Recursion too deep", "Too many resubmits",
	"Stack too deep", "No recirculation context", "Recirculation conflict", "Too many MPLS labels",
	"Invalid tunnel metadata", "Unsupported packet type", "Congestion Drop", "Forwarding is disabled"}

// String returns stock's text for e.
func (e Error) String() string {
	if int(e) < len(errorText) {
		return errorText[e]
	}
	return "Unknown error"
}

// SlowReason says why packets of a flow must go through userspace.
type SlowReason uint32

// The reasons, as bits.
const (
	SlowCFM SlowReason = 1 << iota
	SlowBFD
	SlowLACP
	SlowSTP
	SlowLLDP
	SlowAction // the datapath cannot execute the actions
	SlowMatch  // the datapath cannot match the flow
)

// In is what to translate.
type In struct {
	Snap   *Snapshot
	Bridge *Bridge
	// Flow is the packet's flow with an OpenFlow port as InPort.
	Flow flow.Flow
	// Packet is the packet itself; nil: there is none, and errors are not logged.
	Packet   []byte
	TCPFlags uint16
	// Version is the version of the flow tables to use; 0: the current one.
	Version uint64
	// Actions are translated in place of table 0's, if HasActions is set.
	Actions    action.List
	HasActions bool
	// Frozen is the state to go on from.  If it is nil and the flow has a
	// recirculation id, the state is looked up in Recirc.
	Frozen *recirc.State
	Recirc *recirc.Pool
	// Sink does what must be done at once; nil: nothing may change.
	Sink Sink
	// Record asks for Out.Effects.
	Record bool
	// Trace, when not nil, gets the story of the translation.
	Trace *Trace
	// PacketOut says that Actions are those of a packet-out.
	PacketOut bool
	// Depth and Resubmits are what the caller's translation has used up.
	Depth, Resubmits int
	Now              int64 // ms
}

// Out is the result.  Slices are reused when an Out is used again.
type Out struct {
	Actions []odp.Action
	Mask    flow.Mask
	Slow    SlowReason
	// Recircs are the recirculation ids that Actions mention, each with a
	// reference that the caller now holds.
	Recircs []uint32
	Effects []Effect
	// Uncacheable says that another packet of the flow may be treated otherwise
	// although nothing changed (a limited learn failed).
	Uncacheable bool
	Err         Error
	// Bridge is where translation began: In.Bridge, or that of the frozen state.
	Bridge *Bridge
	// Final is the flow after all actions; only set when tracing.
	Final flow.Flow
}

// context is the state of one translation.
type context struct {
	in      *In
	out     *Out
	snap    *Snapshot
	bridge  *Bridge
	version uint64

	flow flow.Flow // the packet as the OpenFlow actions made it
	base flow.Flow // the packet as the datapath actions made it
	wc   *flow.Mask

	origTunnel flow.Tunnel // as received; base has none
	stack      []byte
	actions    []odp.Action

	rule    *table.Rule
	tableID uint8
	cookie  uint64

	depth, resubmits int
	exit             bool
	err              Error
	inActionSet      bool
	origPriority     uint32
	mirrors          uint32        // those that have a copy
	snapLen          uint16        // of the mirror that a copy is on its way to
	inTunnel         bool          // the packet is one that a tunnel made
	frozenIn         *recirc.State // what this translation resumed from
	firstPort        PortID        // the port that the packet came in by first
	via              *bond.View    // the bond by which the datapath is to send, of the output to come

	sampling                   sampling
	pendingEncap, pendingDecap bool
	encapData                  []byte // metadata TLVs of an NSH header to come
	wasMPLS                    bool   // an MPLS label was popped: what is below is not known
	conntracked                bool
	nat                        *action.NAT

	freezing    bool
	hashRecirc  bool
	hash        odp.HashArg
	frozen      action.List
	unroll      *action.UnrollXlate // the last one in frozen
	pause       *action.Controller
	actionSet   action.List
	setHasGroup bool
	trace       *[]*Node
}

var contexts = sync.Pool{New: func() any { return new(context) }}

// Translate translates in into out.  It never fails: on an error the actions are
// empty, which drops the packet, and out.Err says why.
func Translate(in *In, out *Out) {
	ctx := contexts.Get().(*context)
	ctx.init(in, out)
	ctx.run()
	ctx.finish()
	clear(ctx.frozen)
	clear(ctx.actionSet)
	*ctx = context{stack: ctx.stack[:0], frozen: ctx.frozen[:0], actionSet: ctx.actionSet[:0]}
	contexts.Put(ctx)
}

func (ctx *context) init(in *In, out *Out) {
	out.Mask = flow.Mask{}
	out.Slow, out.Uncacheable, out.Err = 0, false, OK
	out.Recircs, out.Effects = out.Recircs[:0], out.Effects[:0]
	ctx.in, ctx.out, ctx.snap = in, out, in.Snap
	ctx.actions = out.Actions[:0]
	ctx.wc = &out.Mask
	ctx.bridge = in.Bridge
	ctx.version = in.Version
	if ctx.version == 0 {
		ctx.version = in.Bridge.Tables.Version()
	}
	ctx.flow = in.Flow
	ctx.flow.ActsetOutput = flow.OFPUnset
	ctx.base = ctx.flow
	// The datapath forgets the tunnel that a packet came by unless it is told
	// again.
	ctx.origTunnel, ctx.base.Tunnel = in.Flow.Tunnel, flow.Tunnel{}
	ctx.cookie = ^uint64(0)
	ctx.sampling.nfOut = netflow.OutDrop
	ctx.origPriority = in.Flow.SkbPriority
	ctx.depth, ctx.resubmits = in.Depth, in.Resubmits
	if in.Trace != nil {
		ctx.trace = &in.Trace.Nodes
	}
	ctx.frozenIn = in.Frozen
	if ctx.frozenIn == nil && in.Flow.RecircID != 0 && in.Recirc != nil {
		ctx.frozenIn = in.Recirc.Find(in.Flow.RecircID)
	}
	cActions.Inc()
}

// initMask sets the bits that every translation depends on.
func (ctx *context) initMask() {
	wc := ctx.wc
	wc.PacketType, wc.InPort, wc.DLType = ones32, ones32, ones16
	if isIPAny(&ctx.flow) {
		wc.NwFrag |= flow.NwFragAny | flow.NwFragLater
	}
	if ctx.bridge.Support.Recirc {
		wc.RecircID = ones32
	}
	tunnel.Mask(&ctx.in.Flow, wc)
	ctx.maskNetFlow()
}

// run does the translation up to, but not including, the cleaning up.
func (ctx *context) run() {
	ctx.initMask()
	ctx.nest(NodeBridge, func() string { return "bridge(\"" + ctx.bridge.Name + "\")" })
	first := ctx.bridge
	acts, haveActs := ctx.in.Actions, ctx.in.HasActions
	if ctx.frozenIn != nil {
		if haveActs {
			ctx.errorf("Recirculation conflict (%s)!", "actions")
			ctx.err = ErrRecirculationConflict
			return
		}
		if acts = ctx.thaw(); ctx.err != OK {
			return
		}
		haveActs = len(acts) > 0
	} else if ctx.flow.RecircID != 0 {
		ctx.errorf("Recirculation context not found for ID %x", ctx.flow.RecircID)
		ctx.err = ErrNoRecirculationContext
		return
	}
	ctx.out.Bridge = ctx.bridge
	if ctx.frozenIn == nil && ctx.flow.CTState&flow.CTTracked != 0 {
		ctx.conntracked = true
	}
	if !ctx.tunnelMetadata() {
		return
	}
	inPort := first.Port(ctx.base.InPort)
	if inPort != nil && inPort.Peer == nil {
		ctx.firstPort = inPort.ID
	}
	if ctx.flow.PacketType != flow.PacketTypeEth && inPort != nil && inPort.PTMode == LegacyL3 && ctx.tableID == 0 {
		// From a port without Ethernet: bridges look up frames, so give it an
		// empty header (its type is there already).
		ctx.flow.PacketType = flow.PacketTypeEth
		ctx.flow.DLSrc, ctx.flow.DLDst = flow.MAC{}, flow.MAC{}
		ctx.pendingEncap = true
	}
	if !haveActs {
		ctx.rule = ctx.lookup(ctx.flow.InPort, true, true)
		ctx.effect(Effect{Kind: EffectRule, Rule: ctx.rule})
		ctx.reportTable(ctx.rule, ctx.tableID)
		acts = ctx.rule.Actions
	}
	if ctx.frozenIn == nil && inPort != nil && inPort.Tunnel != nil {
		ctx.effect(Effect{Kind: EffectPort, Rx: inPort.Counters})
	}
	if ctx.frozenIn == nil && ctx.special(inPort) {
		ctx.mirrorInput()
		return
	}
	if inPort != nil && inPort.Bundle != nil && inPort.Bundle.MirrorOut {
		ctx.errorf("dropping packet received on port %s, which is reserved exclusively for mirroring", inPort.Bundle.Name)
		return
	}
	if ctx.frozenIn == nil {
		ctx.sampleInput()
	}
	if !tunnel.Decapsulated(&ctx.flow) {
		ctx.err = ErrCongestionDrop
		return
	}
	if inPort != nil && !ctx.mayReceive(inPort) {
		return
	}
	if ctx.rule != nil {
		ctx.cookie = ctx.rule.Cookie
	}
	ctx.mirrorInput()
	ctx.doActions(acts, true, false)
	if ctx.err != OK {
		return
	}
	if inPort != nil && !(inPort.STP.forwards() && inPort.RSTP.forwards()) {
		// NORMAL and learn had a look at the packet; it goes no further.
		ctx.actions = ctx.actions[:0]
		ctx.cancelFreeze()
		ctx.actionSet = ctx.actionSet[:0]
		ctx.err = ErrForwardingDisabled
	}
	ctx.finishList()
}

// finishList ends a list of actions that stands for itself: the action set is
// executed, or all that is left is frozen.
func (ctx *context) finishList() {
	if !ctx.freezing {
		ctx.runActionSet()
	}
	if ctx.freezing {
		ctx.finishFreezing()
	}
}

// thaw restores what the frozen state kept and returns the actions to go on with.
func (ctx *context) thaw() action.List {
	s := ctx.frozenIn
	old := ctx.trace
	defer func() { ctx.trace = old }()
	ctx.nest(NodeThaw, func() string { return "thaw" })
	if ctx.bridge.ID != BridgeID(s.Bridge) {
		br := ctx.snap.Bridge(BridgeID(s.Bridge))
		if br == nil {
			ctx.errorf("Frozen bridge no longer exists.")
			ctx.err = ErrBridgeNotFound
			return nil
		}
		ctx.bridge = br
		ctx.version = br.Tables.Version()
	}
	ctx.tableID = s.Table
	if ctx.trace != nil {
		ctx.reportf(NodeThaw, "Resuming from table %d", ctx.tableID)
	}
	ctx.conntracked = s.Conntracked
	if !s.Conntracked {
		clearConntrack(&ctx.flow)
	}
	s.Metadata.Restore(&ctx.flow)
	ctx.stack = append(ctx.stack, s.Stack...)
	ctx.mirrors = s.Mirrors
	if len(s.ActionSet) > 0 {
		ctx.reportActions(NodeThaw, "Restoring action set: ", s.ActionSet)
		ctx.flow.ActsetOutput = flow.OFPUnset
		ctx.writeActions(s.ActionSet)
	}
	if len(s.Actions) > 0 {
		ctx.reportActions(NodeThaw, "Restoring actions: ", s.Actions)
	}
	return s.Actions
}

// finish cleans up the mask and hands over the result.
func (ctx *context) finish() {
	out := ctx.out
	if ctx.err == OK || ctx.err == ErrCongestionDrop || ctx.err == ErrForwardingDisabled {
		ctx.limitActions()
		ctx.finishSampling()
	}
	if ctx.in.Trace == nil || ctx.err == OK || ctx.err == ErrCongestionDrop || ctx.err == ErrForwardingDisabled {
		ctx.finishMask() // a trace of a failure shows the mask as it was then
	}
	if ctx.in.Trace != nil {
		out.Final = ctx.flow
	}
	if ctx.err != OK {
		out.Slow = 0
		ctx.actions = ctx.actions[:0]
	} else if n := len(ctx.actions); n > 0 && ctx.actions[n-1].Type == odp.Clone {
		// Nothing comes after the last clone that it had to be kept from.
		nested := ctx.actions[n-1].Nested
		ctx.actions = append(ctx.actions[:n-1], nested...)
	}
	if len(ctx.actions) == 0 && ctx.bridge.Support.ExplicitDropAction {
		ctx.actions = append(ctx.actions, odp.Action{Type: odp.Drop, Arg: uint32(ctx.err)})
	}
	if ctx.err == ErrCongestionDrop || ctx.err == ErrForwardingDisabled {
		ctx.err = OK
	}
	out.Actions, out.Err = ctx.actions, ctx.err
}

// limitActions sends flows whose actions are too many through userspace.
func (ctx *context) limitActions() {
	if len(ctx.actions) <= maxOutputs && !ctx.actionsOver(maxActions) {
		return
	}
	if ctx.actionsOver(maxActions) {
		cOversize.Inc()
		ctx.out.Slow |= SlowAction
		return
	}
	n := 0
	for i := range ctx.actions {
		if t := ctx.actions[i].Type; t == odp.Output || t == odp.LBOutput {
			n++
		}
	}
	if n > maxOutputs {
		cTooManyOutput.Inc()
		ctx.out.Slow |= SlowAction
	}
}

// finishMask takes out of the mask what a datapath flow cannot or need not match.
func (ctx *context) finishMask() {
	wc, in := ctx.wc, &ctx.in.Flow
	wc.Metadata, wc.Regs, wc.ActsetOutput, wc.ConjID = 0, [flow.NRegs]uint32{}, 0, 0
	if in.PacketType != flow.PacketTypeEth {
		wc.DLDst, wc.DLSrc = flow.MAC{}, flow.MAC{}
	}
	// Type and code of ICMP are 8 bits in the datapath, 16 here.
	if isICMPv4(&ctx.flow) || isICMPv6(&ctx.flow) {
		wc.TpSrc &= 0xff
		wc.TpDst &= 0xff
	}
	for i := range wc.VLANs {
		if wc.VLANs[i].TCI != 0 {
			wc.VLANs[i].TCI |= flow.VLANCFI
		}
	}
	// Rules may match ports without matching fragments, the datapath may not.
	if ctx.flow.NwFrag&flow.NwFragLater != 0 {
		wc.TpSrc, wc.TpDst = 0, 0
	}
	// Headers that the packet did not have: actions that added them looked at
	// their own work.
	if !isMPLSType(in.DLType) {
		wc.MPLS = [4]uint32{}
	}
	for i := range wc.VLANs {
		if !isVLANType(in.VLANs[i].TPID) {
			wc.VLANs[i] = flow.VLAN{}
		}
	}
	if !tunnel.Received(in) {
		wc.Tunnel = flow.Tunnel{}
	}
}

// mayReceive reports whether packets may come in by p.
func (ctx *context) mayReceive(p *Port) bool {
	bit := uint32(PortNoRecv)
	if isSTP(&ctx.flow) {
		bit = PortNoRecvSTP
	}
	if p.Config&bit != 0 {
		return false
	}
	// A port that only learns lets NORMAL see the packet first.
	return p.STP.learns() && p.RSTP.learns()
}

// effect records e.
func (ctx *context) effect(e Effect) {
	if ctx.in.Record {
		ctx.out.Effects = append(ctx.out.Effects, e)
	}
}
