// Package exec runs datapath actions on batches of packets.
//
// dpif/userspace uses it for the actions of a megaflow and of a packet-out.  What
// only a datapath can do (send, recirculate, meter, ask ofproto, track
// connections) it leaves to its Env.  It looks up nothing and knows no ports.
//
// # Batches
//
// An action runs on all packets of the batch before the next one begins, so the
// packets that two actions send to one port leave action by action, not packet by
// packet (as in stock).
package exec

import (
	"math/rand/v2"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/internal/coverage"
	"sluice/netdev/packet"
)

// Env is the datapath around the actions.  The first group of methods takes over
// the packets of b and leaves it empty; the second works on them in place and may
// take out packets that it frees.
type Env interface {
	Output(b *packet.Batch, port uint32)
	LBOutput(b *packet.Batch, bond uint32)
	TunnelPop(b *packet.Batch, port uint32)
	Recirculate(b *packet.Batch, recircID uint32)
	Userspace(b *packet.Batch, u *odp.UserspaceArg)

	TunnelPush(b *packet.Batch, arg *odp.TunnelPushArg)
	Conntrack(b *packet.Batch, arg *odp.CTArg)
	Meter(b *packet.Batch, id uint32)
}

var (
	cSampleError = coverage.New("datapath_drop_sample_error")
	cNSHError    = coverage.New("datapath_drop_nsh_decap_error")
	cNoMemory    = coverage.New("datapath_drop_no_frames")
)

// Executor runs actions for one thread.
//
// Thread-safety: none; every polling thread has its own.
type Executor struct {
	c   *packet.Cache
	p   *packet.Pool
	env Env
	// Random draws for sample actions; a test replaces it.
	Random func() uint32

	spare  []*packet.Batch // batches for copies, reused
	hashed flow.Flow       // of extract
}

// New makes an executor on c, which allocates copies.
func New(c *packet.Cache, env Env) *Executor {
	return &Executor{c: c, p: c.Pool(), env: env, Random: rand.Uint32}
}

// noCut is the truncation length of packets that are not truncated.
const noCut = ^uint32(0)

// Run runs actions on the packets of b and takes them over.
func (x *Executor) Run(b *packet.Batch, actions []odp.Action) {
	x.run(b, actions, noCut)
}

// RunKeep runs actions on the packets of b and leaves what survives of them, as
// the actions have changed them, in b.
func (x *Executor) RunKeep(b *packet.Batch, actions []odp.Action) {
	cut := uint32(noCut)
	for i := range actions {
		if b.N == 0 || x.one(b, &actions[i], &cut, false) {
			return
		}
	}
}

func (x *Executor) run(b *packet.Batch, actions []odp.Action, cut uint32) {
	last := len(actions) - 1
	for i := range actions {
		if actions[i].Type == odp.TunnelPush && i < last && x.hasGSO(b) {
			x.runSegments(b, actions[i:], cut)
			return
		}
		if b.N == 0 || x.one(b, &actions[i], &cut, i == last) {
			return
		}
	}
	x.c.FreeBatch(b)
}

// hasGSO reports that a packet of b stands for several.
func (x *Executor) hasGSO(b *packet.Batch) bool {
	for _, i := range b.Slice() {
		if x.p.Meta(i).GSOType != packet.GSONone {
			return true
		}
	}
	return false
}

// runSegments cuts the large packets of b, since no device would cut them once they
// are inside a tunnel, and runs actions, which begin with a tnl_push, on what comes
// out: that may be more than one batch.
func (x *Executor) runSegments(b *packet.Batch, actions []odp.Action, cut uint32) {
	out := x.GetBatch()
	flush := func() {
		c := cut
		x.one(out, &actions[0], &c, false)
		x.run(out, actions[1:], c)
		out.N = 0
	}
	add := func(i packet.Index) {
		if out.Full() {
			flush()
		}
		out.Add(i)
	}
	for _, i := range b.Slice() {
		var s packet.Segmenter
		if x.p.Meta(i).GSOType == packet.GSONone || !s.Start(x.c, i) {
			add(i)
			continue
		}
		for j := s.Next(); j != 0; j = s.Next() {
			add(j)
		}
		x.c.Free(i)
	}
	b.N = 0
	if out.N > 0 {
		flush()
	}
	x.PutBatch(out)
}

// GetBatch and PutBatch keep empty batches, so that nested actions need no
// allocation; the owner of the executor may use them too.
func (x *Executor) GetBatch() *packet.Batch {
	n := len(x.spare)
	if n == 0 {
		return new(packet.Batch)
	}
	b := x.spare[n-1]
	x.spare = x.spare[:n-1]
	return b
}

// PutBatch gives back a batch whose packets are gone.
func (x *Executor) PutBatch(b *packet.Batch) {
	b.N = 0
	x.spare = append(x.spare, b)
}

// mine returns a batch that the caller may consume: b itself when this is its
// last action, else copies of its packets.
func (x *Executor) mine(b *packet.Batch, last bool) *packet.Batch {
	if last {
		return b
	}
	out := x.GetBatch()
	for _, i := range b.Slice() {
		if j := x.c.Clone(i); j != 0 {
			out.Add(j)
		} else {
			cNoMemory.Inc()
		}
	}
	return out
}

// done gives back what mine returned.
func (x *Executor) done(b, mine *packet.Batch) {
	if mine != b {
		x.c.FreeBatch(mine)
		x.PutBatch(mine)
	}
}

// cutAll truncates packets to what a trunc action before allowed.
func (x *Executor) cutAll(b *packet.Batch, cut *uint32) {
	if *cut == noCut {
		return
	}
	for _, i := range b.Slice() {
		x.c.Trim(i, int(*cut))
	}
}

// one runs one action; done means that the packets are gone or must not be seen
// by further actions.
func (x *Executor) one(b *packet.Batch, a *odp.Action, cut *uint32, last bool) (done bool) {
	switch a.Type {
	case odp.Output, odp.LBOutput, odp.TunnelPop, odp.Recirc, odp.Userspace:
		x.consume(b, a, cut, last)
		return last
	case odp.TunnelPush:
		if last {
			return false // nobody sees the result
		}
		x.cutAll(b, cut)
		*cut = noCut
		x.env.TunnelPush(b, a.Ext.TnlPush)
	case odp.CT:
		x.env.Conntrack(b, a.Ext.CT)
	case odp.Meter:
		x.env.Meter(b, a.Port)
	case odp.Sample, odp.Clone, odp.CheckPktLen:
		x.nested(b, a, cut, last)
		return last
	case odp.Trunc:
		*cut = a.Arg
	case odp.Drop:
		countDrop(a.Arg, b.N)
		x.c.FreeBatch(b)
		return true
	case odp.PopNSH:
		x.popNSH(b)
	default:
		for _, i := range b.Slice() {
			x.modify(i, a)
		}
	}
	return false
}

// consume runs an action that takes packets over.
func (x *Executor) consume(b *packet.Batch, a *odp.Action, cut *uint32, last bool) {
	m := x.mine(b, last)
	if a.Type != odp.Recirc {
		x.cutAll(m, cut)
		*cut = noCut
	}
	switch a.Type {
	case odp.Output:
		x.env.Output(m, a.Port)
	case odp.LBOutput:
		x.env.LBOutput(m, a.Port)
	case odp.TunnelPop:
		x.env.TunnelPop(m, a.Port)
	case odp.Recirc:
		x.env.Recirculate(m, a.Port)
	case odp.Userspace:
		x.env.Userspace(m, a.Ext.User)
	}
	x.done(b, m)
}

// nested runs an action that has actions of its own on packets of its own.
func (x *Executor) nested(b *packet.Batch, a *odp.Action, cut *uint32, last bool) {
	if a.Type == odp.Clone {
		m := x.mine(b, last)
		x.run(m, a.Nested, *cut)
		*cut = noCut
		x.done(b, m)
		return
	}
	single := x.GetBatch()
	for _, i := range b.Slice() {
		actions := a.Nested
		if a.Type == odp.Sample {
			if x.Random() >= a.Arg {
				if last {
					cSampleError.Inc()
					x.c.Free(i)
				}
				continue
			}
		} else if x.sendLen(i, *cut) <= a.Arg {
			actions = a.Else
		}
		if !last {
			if i = x.c.Clone(i); i == 0 {
				cNoMemory.Inc()
				continue
			}
		}
		single.N = 0
		single.Add(i)
		x.run(single, actions, *cut)
	}
	x.PutBatch(single)
	if last {
		b.N = 0
	}
}

// sendLen is the length that packet i would be sent with, without padding.
func (x *Executor) sendLen(i packet.Index, cut uint32) uint32 {
	m := x.p.Meta(i)
	return min(m.Len, cut) - uint32(m.L2Pad)
}

// modify runs an action that changes one packet in place.
func (x *Executor) modify(i packet.Index, a *odp.Action) {
	switch a.Type {
	case odp.Set:
		x.set(i, a.Ext.Set)
	case odp.SetTunnel:
		*flow.TunnelWords(&x.p.Cold(i).Tunnel) = *a.Ext.Tunnel
		x.p.Meta(i).Cold |= packet.ColdTunnel
	case odp.PushVLAN:
		x.pushVLAN(i, a.VLAN)
	case odp.PopVLAN:
		x.popVLAN(i)
	case odp.PushMPLS:
		x.pushMPLS(i, a.EtherType, a.Port)
	case odp.AddMPLS:
		x.addMPLS(i, a.EtherType, a.Port, a.Arg&addMPLSL3 != 0)
	case odp.PopMPLS:
		x.popMPLS(i, a.EtherType)
	case odp.PushEth:
		x.pushEth(i, a.Ext.Eth)
	case odp.PopEth:
		x.popEth(i)
	case odp.PushNSH:
		x.pushNSH(i, a.Ext.NSH, a.Ext.NSHMD2)
	case odp.Hash:
		x.hash(i, a.Ext.Hash)
	case odp.CTClear:
		x.clearCT(i)
	}
}

// addMPLSL3 in the flags of add_mpls: the label goes behind the Ethernet header.
const addMPLSL3 = 1

// clearCT forgets the connection of a packet.
func (x *Executor) clearCT(i packet.Index) {
	m := x.p.Meta(i)
	m.CTState, m.CTZone, m.CTMark = 0, 0, 0
	m.Cold &^= packet.ColdCT
}

// Hash algorithms of the hash action.
const (
	hashL4    = 0
	hashSymL4 = 1
)

// hash sets the packet's dp_hash.  The hash of the L4 algorithm is that of the
// packet as it was when somebody first asked.
func (x *Executor) hash(i packet.Index, h *odp.HashArg) {
	m := x.p.Meta(i)
	if h.Alg == hashSymL4 {
		f := x.extract(i)
		m.DPHash = f.HashSymmetricL3L4(h.Basis, false)
		return
	}
	m.DPHash = flow.HashInt(x.Hash(i), h.Basis)
}

// Hash is the packet's hash, of its 5-tuple unless the device gave one.  It stays with
// the packet: what hides the 5-tuple calls it first, since stock hashes when it
// receives.
func (x *Executor) Hash(i packet.Index) uint32 {
	m := x.p.Meta(i)
	if m.Offload&packet.HashValid == 0 {
		m.Hash = x.extract(i).Hash5Tuple(0)
		m.Offload |= packet.HashValid
	}
	return m.Hash
}

// extract is the flow of a packet as it is now, until the next one is extracted; the
// packet's layers stay as they are.
func (x *Executor) extract(i packet.Index) *flow.Flow {
	var k flow.Mini
	m := *x.p.Meta(i)
	flow.Extract(x.p.Data(i), &m, x.p.Cold(i), &k)
	k.Expand(&x.hashed)
	return &x.hashed
}

// Drop reasons, numbered as ofproto's translation errors.
var dropReasons = [...]*coverage.Counter{
	coverage.New("drop_action_of_pipeline"),
	coverage.New("drop_action_bridge_not_found"),
	coverage.New("drop_action_recursion_too_deep"),
	coverage.New("drop_action_too_many_resubmit"),
	coverage.New("drop_action_stack_too_deep"),
	coverage.New("drop_action_no_recirculation_context"),
	coverage.New("drop_action_recirculation_conflict"),
	coverage.New("drop_action_too_many_mpls_labels"),
	coverage.New("drop_action_invalid_tunnel_metadata"),
	coverage.New("drop_action_unsupported_packet_type"),
	coverage.New("drop_action_congestion"),
	coverage.New("drop_action_forwarding_disabled"),
}

func countDrop(reason uint32, n int) {
	if int(reason) < len(dropReasons) {
		dropReasons[reason].Add(uint64(n))
	}
}
