// Package upcall answers the datapath's questions and keeps its flows right.
//
// A packet that the datapath does not know comes up as a miss: it is translated,
// executed, and a megaflow is installed for the packets like it.  For each flow
// that was installed there is a ukey here.  The revalidator dumps the datapath's
// flows again and again: it credits their packets to rules and ports by way of the
// ukeys' effects, deletes flows that are idle, and translates flows anew when
// tables, ports or learned addresses changed.
//
// ofproto.Backer owns one Udpif a datapath.  The package knows no connections:
// packet-ins go to a function that the Backer gives.
//
// # Threads
//
// The upcall function runs on polling threads and on the control loop; everything
// else on the control loop only.
package upcall

import (
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/internal/coverage"
	"sluice/internal/vlog"
	"sluice/ofproto/export"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/recirc"
	"sluice/ofproto/table"
	"sluice/ofproto/xlate"
)

var (
	log = vlog.New("ofproto_dpif_upcall")
	rl  = vlog.NewLimiter(1, 5)

	cFlowLimitHit = coverage.New("upcall_flow_limit_hit")
	cDumpedNew    = coverage.New("dumped_new_flow")
	cHandleDup    = coverage.New("handler_duplicate_upcall")
	cMissedDPFlow = coverage.New("revalidate_missed_dp_flow")
)

// Defaults of the limits, as of other_config in the database.
const (
	defaultFlowLimit = 200000
	// DefaultMinPPS is min-revalidate-pps.
	DefaultMinPPS         = 5
	defaultMaxIdleMs      = 10000
	defaultMaxRevalidator = 500
	initialFlowLimit      = 10000
)

// PacketIn is a packet on its way to controllers.
type PacketIn struct {
	ofp.PacketIn
	ControllerID uint16
	MaxLen       int // bytes of the packet to send
}

// Udpif connects a datapath to translation.
type Udpif struct {
	dp   dpif.Dpif
	pool *recirc.Pool
	snap atomic.Pointer[xlate.Snapshot]
	// packetIn takes packet-ins, on any thread.
	packetIn func(id xlate.BridgeID, p *PacketIn)
	// sink is what translation asks for while a packet waits.
	sink xlate.Sink

	ukeys     ukeyMap
	reval     atomic.Uint64 // changes when flows may have to change
	megaflows *atomic.Bool
	flowLimit atomic.Uint32

	// paused is set while flow tables are being restored (flow-restore-wait):
	// misses are dropped.
	paused atomic.Bool
	// onLimit logs the trace of a packet that ran into a limit of translation.
	onLimit func(br *xlate.Bridge, f *flow.Flow, pkt []byte)

	// onSample takes samples; nil: nobody does.
	onSample func(br xlate.BridgeID, s *export.Sample)

	workersMu sync.Mutex
	workers   []*worker // idle ones

	rv revalidator
}

// worker is what one thread needs to translate.
type worker struct {
	in     xlate.In
	out    xlate.Out
	reader *table.Reader
}

// New returns a Udpif for dp and becomes its upcall function.  megaflows is shared
// by all datapaths (upcall/enable-megaflows).  The methods of sink run on any thread.
func New(dp dpif.Dpif, pool *recirc.Pool, megaflows *atomic.Bool, sink xlate.Sink, packetIn func(xlate.BridgeID, *PacketIn)) *Udpif {
	u := &Udpif{dp: dp, pool: pool, packetIn: packetIn, sink: sink, megaflows: megaflows}
	u.ukeys.init()
	u.snap.Store(xlate.Build(nil, nil))
	u.reval.Store(1)
	u.flowLimit.Store(initialFlowLimit)
	u.rv.init()
	dp.SetUpcall(u.upcall)
	return u
}

// SetSnapshot publishes a configuration; flows are revalidated against it.
func (u *Udpif) SetSnapshot(s *xlate.Snapshot) {
	u.snap.Store(s)
	u.Revalidate()
}

// ReplaceSnapshot publishes a configuration that does not call for revalidation.
func (u *Udpif) ReplaceSnapshot(s *xlate.Snapshot) { u.snap.Store(s) }

// SetPaused makes misses fail, or lets them be answered again.
func (u *Udpif) SetPaused(paused bool) { u.paused.Store(paused) }

// OnLimit sets the function that is told, on any thread and not often, of packets
// whose translation took too many steps.
func (u *Udpif) OnLimit(fn func(br *xlate.Bridge, f *flow.Flow, pkt []byte)) { u.onLimit = fn }

// Snapshot returns the configuration in force.
func (u *Udpif) Snapshot() *xlate.Snapshot { return u.snap.Load() }

// Revalidate asks for all flows to be translated again.  Any thread may call it.
func (u *Udpif) Revalidate() { u.reval.Add(1) }

func (u *Udpif) getWorker() *worker {
	u.workersMu.Lock()
	defer u.workersMu.Unlock()
	if n := len(u.workers); n > 0 {
		w := u.workers[n-1]
		u.workers = u.workers[:n-1]
		return w
	}
	return &worker{reader: table.NewReader()}
}

func (u *Udpif) putWorker(w *worker) {
	w.in = xlate.In{}
	clear(w.out.Effects)
	u.workersMu.Lock()
	u.workers = append(u.workers, w)
	u.workersMu.Unlock()
}

// Close gives up what the Udpif holds; the datapath must not call it any more.
func (u *Udpif) Close() {
	for _, k := range u.ukeys.all(nil) {
		u.drop(k)
	}
	u.workersMu.Lock()
	defer u.workersMu.Unlock()
	for _, w := range u.workers {
		w.reader.Close()
	}
	u.workers = nil
}

var (
	errUnknownAction = errors.New("unknown userspace action")
	errPaused        = errors.New("flow tables are being restored")
)

// upcall is the datapath's upcall function.
func (u *Udpif) upcall(up *dpif.Upcall, v *dpif.Verdict) error {
	v.Actions, v.PutActions, v.Install, v.Installed = v.Actions[:0], nil, false, nil
	if u.paused.Load() {
		return errPaused
	}
	if up.Kind == dpif.UpcallMiss {
		return u.translate(up, v, true)
	}
	if up.Userdata == nil {
		return errUnknownAction
	}
	switch up.Userdata.Kind {
	case odp.UserSlowPath:
		return u.translate(up, v, false)
	case odp.UserController:
		u.controller(up)
		return nil
	case odp.UserSFlow, odp.UserFlowSample, odp.UserIPFIX:
		return u.sample(up)
	}
	return errUnknownAction
}

// translate handles a miss, or a packet of a flow that userspace has to execute.
func (u *Udpif) translate(up *dpif.Upcall, v *dpif.Verdict, miss bool) error {
	reval := u.reval.Load()
	snap := u.snap.Load()
	br, ofport, err := snap.Find(up.Key, u.pool)
	if err != nil {
		log.InfoRL(rl, "received packet on unassociated datapath port %d (%s)", up.Key.InPort, err)
		return err
	}
	w := u.getWorker()
	defer u.putWorker(w)
	pkt := up.Packet
	if up.Whole != nil {
		pkt = up.Whole()
	}
	in := &w.in
	in.Snap, in.Bridge, in.Flow, in.Packet = snap, br, *up.Key, pkt
	in.Flow.InPort = ofport
	in.TCPFlags, in.Recirc, in.Sink, in.Record, in.Now = up.Key.TCPFlags, u.pool, u.sink, true, up.Now
	w.reader.Enter()
	xlate.Translate(in, &w.out)
	w.reader.Exit()
	out := &w.out
	if (out.Err == xlate.ErrRecursionTooDeep || out.Err == xlate.ErrTooManyResubmits) && u.onLimit != nil {
		u.onLimit(br, &in.Flow, pkt)
	}
	if !miss {
		// The datapath has counted the packet.
		v.Actions = append(v.Actions, out.Actions...)
		u.unref(out.Recircs)
		return nil
	}
	stats := xlate.Stats{Packets: 1, Bytes: uint64(len(pkt)), Used: up.Now, Now: up.Now, TCPFlags: up.Key.TCPFlags}
	xlate.Apply(out.Effects, &stats, true)
	br.DatapathMask(up.Key, &out.Mask)
	v.Mask = out.Mask
	if !u.megaflows.Load() {
		v.Mask = xlate.MaskForPacket(up.Key)
	}
	k := u.newUkey(up, w, br, &v.Mask)
	k.reval = reval
	v.Actions = append(v.Actions, out.Actions...)
	if out.Slow != 0 {
		v.PutActions = k.actions
	}
	if out.Uncacheable || !u.mayInstall(up) {
		u.unref(k.recircs)
		return nil
	}
	if id := up.Key.RecircID; id != 0 {
		if !u.pool.Ref(id) {
			log.DbgRL(rl, "upcall: no reference for recirc flow")
			u.unref(k.recircs)
			return nil
		}
		k.recircs = append(k.recircs, id)
	}
	if !u.ukeys.insert(k) {
		cHandleDup.Inc()
		u.unref(k.recircs)
		return nil
	}
	v.Install = true
	v.Installed = func(err error) {
		if err != nil {
			u.drop(k)
		}
	}
	return nil
}

// newUkey makes the ukey of the flow that w translated.
func (u *Udpif) newUkey(up *dpif.Upcall, w *worker, br *xlate.Bridge, mask *flow.Mask) *ukey {
	out := &w.out
	k := &ukey{
		id: ukeyID{up.UFID, up.PMD}, key: pack(up.Key.Words()), mask: pack(mask.Words()), created: up.Now,
		effects: slices.Clone(out.Effects), recircs: slices.Clone(out.Recircs), since: u.rv.seq.Load(),
	}
	if k.effects == nil {
		k.effects = []xlate.Effect{}
	}
	if out.Slow != 0 {
		k.actions = slowPath(out.Slow, br)
	} else {
		k.actions = slices.Clone(out.Actions)
	}
	return k
}

// slowPath is the actions of a flow whose packets userspace has to execute.
func slowPath(reason xlate.SlowReason, br *xlate.Bridge) []odp.Action {
	a := odp.Action{Type: odp.Userspace, Ext: &odp.Ext{User: &odp.UserspaceArg{
		Kind: odp.UserSlowPath, HasUserdata: true, SlowReason: uint32(reason)}}}
	if br.SlowpathMeter != xlate.NoMeter {
		a = odp.Action{Type: odp.Sample, Arg: ^uint32(0),
			Nested: []odp.Action{{Type: odp.Meter, Port: br.SlowpathMeter}, a}}
	}
	return []odp.Action{a}
}

func (u *Udpif) mayInstall(up *dpif.Upcall) bool {
	if limit := u.flowLimit.Load(); u.dp.FlowCount() >= int(limit) {
		cFlowLimitHit.Inc()
		log.WarnRL(rl, "upcall: datapath reached the dynamic limit of %d flows.", limit)
		return false
	}
	return true
}

func (u *Udpif) unref(ids []uint32) {
	for _, id := range ids {
		u.pool.Unref(id)
	}
}

// drop forgets k.
func (u *Udpif) drop(k *ukey) {
	if u.ukeys.remove(k) {
		u.unref(k.recircs)
	}
}

// controller makes a packet-in of a packet that a controller action sent up.
func (u *Udpif) controller(up *dpif.Upcall) {
	a := up.Userdata
	if a.DontSend || a.RecircID == 0 {
		return
	}
	st := u.pool.Find(a.RecircID)
	if st == nil {
		log.DbgRL(rl, "controller action with unknown recirc_id %#x", a.RecircID)
		return
	}
	pkt := up.Packet
	if up.Whole != nil {
		pkt = up.Whole()
	}
	p := &PacketIn{ControllerID: a.ControllerID}
	p.Packet, p.TotalLen, p.BufferID = slices.Clone(pkt), len(pkt), ofp.NoBuffer
	p.Reason, p.TableID, p.Cookie = ofp.PacketInReason(a.Reason), st.Table, a.RuleCookie
	p.UserData, p.MaxLen = st.UserData, int(a.MaxLen)
	if a.Continuation {
		p.Continuation = &ofp.Continuation{Bridge: st.Bridge, Stack: xlate.StackValues(st.Stack), Mirrors: st.Mirrors,
			Conntracked: st.Conntracked, Actions: st.Actions, ActionSet: st.ActionSet,
			ODPPort: up.Key.InPort}
	}
	// The flow as it was where the action stands, not as it is in this upcall.
	f := *up.Key
	if !st.Conntracked {
		f.CTState, f.CTZone, f.CTMark, f.CTLabel, f.CTNwProto = 0, 0, 0, flow.U128{}, 0
		f.CTNwSrc, f.CTNwDst, f.CTTpSrc, f.CTTpDst = 0, 0, 0, 0
		f.CTIPv6Src, f.CTIPv6Dst = flow.IPv6{}, flow.IPv6{}
	}
	st.Metadata.Restore(&f)
	id := xlate.BridgeID(st.Bridge)
	p.Metadata = match.Match{}
	if br := u.snap.Load().Bridge(id); br != nil {
		p.Metadata.FromMetadata(&f, br.TunTable)
	}
	u.packetIn(id, p)
}

func equalExt(a, b *odp.Ext) bool {
	return a == b || a != nil && b != nil && reflect.DeepEqual(a, b)
}
