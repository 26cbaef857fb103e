package ofproto

import (
	"cmp"
	"crypto/rand"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/internal/coverage"

	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ofproto/export"
	"sluice/ofproto/maclearn"
	"sluice/ofproto/mcast"
	"sluice/ofproto/recirc"
	"sluice/ofproto/tunnel"
	"sluice/ofproto/upcall"
	"sluice/ofproto/xlate"
)

var dpifLog = vlog.New("ofproto_dpif")

var (
	cRevReconfigure = coverage.New("rev_reconfigure")
	cRevPortToggled = coverage.New("rev_port_toggled")
	cRevFlowTable   = coverage.New("rev_flow_table")
	cRevMACLearning = coverage.New("rev_mac_learning")
	cRevMcast       = coverage.New("rev_mcast_snooping")
)

// megaflowsEnabled is upcall/enable-megaflows, for all datapaths.
var megaflowsEnabled = func() *atomic.Bool {
	var b atomic.Bool
	b.Store(true)
	return &b
}()

// Backer is what the switches on one datapath share: the snapshot that translation
// reads, the answers to upcalls, and the revalidation of the datapath's flows.  It
// implements Datapath for them.
//
// Thread-safety: the control thread owns it.  The upcall function and deliver run
// on any thread.
type Backer struct {
	dp      dpif.Dpif
	udpif   *upcall.Udpif
	recircs *recirc.Pool
	now     int64

	switches   []*switchRef // by name
	bySwitch   map[*Switch]*switchRef
	nextBundle xlate.BundleID
	nextPort   xlate.PortID
	// reconfigured is set between a reconfiguration and the turn that counts it.
	reconfigured bool
	// probed is what the datapath could do when it was opened, support that less what
	// dpif/set-dp-features took away.
	probed, support dpif.Support
	meters          map[uint32]bool // ids in use
	// held counts the batches that are open; publishLater is set when the end of
	// the last one has to publish.
	held         int
	publishLater bool
	tunnels      tunnel.Table // by xlate.PortID
	// tunnelPorts are the datapath ports of tunnels by name; tunnelsChanged says that
	// some may no longer be used.
	tunnelPorts    map[string]tunnelPort
	tunnelsChanged bool
	native         native

	mu   sync.Mutex // guards byID
	byID map[xlate.BridgeID]*Switch
}

// switchRef is what the Backer keeps of a Switch.
type switchRef struct {
	sw               *Switch
	id               xlate.BridgeID
	ml               *maclearn.Table
	mcast            *mcast.Table // nil: no multicast snooping
	bundles          map[string]*bundleRef
	ports            map[*Port]xlate.PortID
	mirrors          [xlate.MaxMirrors]mirrorRef
	wantsMiss, alive bool
	// configureLater: the end of a batch has to configure.
	configureLater bool
}

var _ Datapath = (*Backer)(nil)

// NewBacker makes the Backer of a datapath and becomes its upcall function.
func NewBacker(dp dpif.Dpif) *Backer {
	b := &Backer{dp: dp, recircs: recirc.NewPool(), bySwitch: map[*Switch]*switchRef{},
		byID: map[xlate.BridgeID]*Switch{}, probed: dp.Support(), meters: map[uint32]bool{}, tunnelPorts: map[string]tunnelPort{}, nextBundle: 1, nextPort: 1}
	// As stock's probe, which goes through the extraction of flows.
	b.probed.MaxVLANHeaders = min(b.probed.MaxVLANHeaders, flow.VLANLimit())
	b.support = b.probed
	b.udpif = upcall.New(dp, b.recircs, megaflowsEnabled, sink{b: b}, b.deliver)
	b.udpif.OnLimit(b.logTrace)
	b.udpif.OnSample(b.deliverSample)
	b.logFeatures()
	return b
}

// Close gives up everything; the datapath stays open.
func (b *Backer) Close() {
	b.udpif.Flush(b.now)
	b.udpif.Close()
	b.closeNative()
	for _, name := range slices.Sorted(maps.Keys(b.tunnelPorts)) {
		b.dropTunnelPort(name)
	}
}

// Dpif returns the datapath.
func (b *Backer) Dpif() dpif.Dpif { return b.dp }

// Name returns the datapath's name as commands print it, such as
// netdev@ovs-netdev.
func (b *Backer) Name() string { return b.dp.Type() + "@" + b.dp.Name() }

// SetConfig takes the Open_vSwitch table's other_config: the limits of flows.
func (b *Backer) SetConfig(oc map[string]string) {
	num := func(key string, def int64) int64 {
		if v, err := strconv.ParseInt(oc[key], 10, 64); err == nil && v >= 0 {
			return v
		}
		return def
	}
	b.udpif.SetLimits(uint32(min(num("flow-limit", 200000), math.MaxUint32)), num("max-idle", 10000), max(100, num("max-revalidator", 500)),
		num("min-revalidate-pps", upcall.DefaultMinPPS))
}

// Run does what is due: datapath ports that have no thread of their own, ageing of
// addresses, revalidation.  more reports that there is more to do at once.
func (b *Backer) Run(now int64) (more bool) {
	b.now = now
	b.runNative()
	if b.reconfigured {
		// However many calls it took, it is one reconfiguration.
		b.reconfigured = false
		cRevReconfigure.Inc()
	}
	b.collectTunnelPorts()
	b.followControllers()
	more = b.dp.Run(now)
	for _, r := range b.switches {
		if r.ml.Run(now) {
			cRevMACLearning.Inc()
			b.udpif.Revalidate()
		}
		if r.mcast != nil && r.mcast.Run(now) {
			cRevMcast.Inc()
			b.udpif.Revalidate()
		}
	}
	b.recircs.Run(now)
	return b.udpif.Run(now) || more
}

// Wait says when Run has something to do.
func (b *Backer) Wait(s *poll.Set) {
	b.dp.Wait(s)
	b.udpif.Wait(s)
	b.waitNative(s)
	for _, r := range b.switches {
		if at, ok := r.ml.Next(); ok {
			s.Timer(at)
		}
		if r.mcast != nil {
			if at, ok := r.mcast.Next(); ok {
				s.Timer(at)
			}
		}
	}
	if at, ok := b.recircs.Next(); ok {
		s.Timer(at)
	}
}

// FinishRevalidation completes a whole round of revalidation (time/warp).
func (b *Backer) FinishRevalidation(now int64) {
	for _, r := range b.switches {
		if r.ml.Run(now) || r.mcast != nil && r.mcast.Run(now) {
			b.udpif.Revalidate()
		}
	}
	b.udpif.Finish(now)
}

// WaitDump calls fn when a round of revalidation that begins after this call is
// complete (revalidator/wait).
func (b *Backer) WaitDump(fn func()) { b.udpif.WaitDump(fn) }

// DumpSeq implements Datapath.
func (b *Backer) DumpSeq() uint64 { return b.udpif.DumpSeq() }

// SwitchAdd implements Datapath.
func (b *Backer) SwitchAdd(sw *Switch) error {
	r := &switchRef{sw: sw, ml: maclearn.New(), bundles: map[string]*bundleRef{}, ports: map[*Port]xlate.PortID{}}
	if _, err := rand.Read(r.id[:]); err != nil {
		return err
	}
	r.id[6], r.id[8] = r.id[6]&0x0f|0x40, r.id[8]&0x3f|0x80 // UUID version 4
	b.switches = append(b.switches, r)
	slices.SortFunc(b.switches, func(x, y *switchRef) int { return cmp.Compare(x.sw.Name(), y.sw.Name()) })
	b.bySwitch[sw] = r
	b.mu.Lock()
	b.byID[r.id] = sw
	b.mu.Unlock()
	return nil
}

// SwitchDel implements Datapath.
func (b *Backer) SwitchDel(sw *Switch) {
	r := b.bySwitch[sw]
	if r == nil {
		return
	}
	delete(b.bySwitch, sw)
	b.switches = slices.DeleteFunc(b.switches, func(x *switchRef) bool { return x == r })
	b.mu.Lock()
	delete(b.byID, r.id)
	b.mu.Unlock()
	b.changed()
}

// PortAdd implements Datapath.
func (b *Backer) PortAdd(sw *Switch, p *Port) error {
	r := b.bySwitch[sw]
	if r == nil {
		return unix.ENODEV
	}
	p.DPPort = dpif.PortNone
	switch {
	case isPatch(p):
	case tunnelDevice(p) != nil:
		b.tunnelsChanged = true
		if err := b.addTunnel(sw, p, uint64(b.nextPort)); err != nil {
			return err
		}
	default:
		no, err := b.dp.PortAdd(p.Dev, dpif.PortNone)
		if err != nil {
			return err
		}
		p.DPPort = no
	}
	r.ports[p] = b.nextPort
	b.nextPort++
	return nil
}

// PortDel implements Datapath.
func (b *Backer) PortDel(sw *Switch, p *Port) error {
	if r := b.bySwitch[sw]; r != nil {
		b.tunnels.Remove(uint64(r.ports[p]))
		delete(r.ports, p)
	}
	if b.native.host != nil {
		b.native.host.Neighbors.FlushBridge(p.Name)
	}
	if tunnelDevice(p) != nil {
		b.tunnelsChanged = true
		return nil
	}
	if p.DPPort == dpif.PortNone {
		return nil
	}
	return b.dp.PortDel(p.DPPort)
}

// Configured implements Datapath.
func (b *Backer) Configured(sw *Switch) {
	if r := b.bySwitch[sw]; r != nil {
		r.configureLater = true
		b.changed()
	}
}

// BeginBatch begins a batch of changes of ports and configurations: the datapath's
// threads and translation see them all at once, when CommitBatch ends it.  The device
// of a port that is deleted must stay open until then, and after ports were added the
// switches want Apply.  Batches nest.
func (b *Backer) BeginBatch() {
	b.held++
	b.dp.BeginPorts()
}

// InBatch implements Datapath.
func (b *Backer) InBatch() bool { return b.held > 0 }

// CommitBatch ends a batch.
func (b *Backer) CommitBatch() {
	b.dp.CommitPorts()
	b.held--
	if b.publishLater {
		b.changed()
	}
}

// changed takes over what switches said has changed, unless a batch is open.
func (b *Backer) changed() {
	if b.publishLater = b.held > 0; b.publishLater {
		return
	}
	for _, r := range b.switches {
		if r.configureLater {
			r.configureLater = false
			b.udpif.SetPaused(slices.ContainsFunc(b.switches, func(r *switchRef) bool { return r.sw.Config().FlowRestoreWait }))
			b.configure(r)
			b.reconfigured = true
		}
	}
	b.followTunnels()
	// What follows goes by the numbers of datapath ports, which tunnels may have
	// changed, and exporters by what devices say, which is no configuration.
	for _, r := range b.switches {
		r.sw.exports.followPorts(r.sw.Ports())
	}
	b.listen()
	b.publish()
}

// Renumbered takes over that somebody gave a datapath port another number.
func (b *Backer) Renumbered(name string, no dpif.PortNo) {
	if b.FollowTunnelPort(name) {
		return
	}
	for _, r := range b.switches {
		if p := r.sw.PortByName(name); p != nil {
			p.DPPort = no
			r.sw.followNumbers()
			b.Configured(r.sw)
		}
	}
}

// PortsChanged implements Datapath.
func (b *Backer) PortsChanged(_ *Switch, toggled bool) {
	if toggled {
		cRevPortToggled.Inc()
	}
	b.changed()
}

// FlowsChanged implements Datapath.
func (b *Backer) FlowsChanged(*Switch) {
	cRevFlowTable.Inc()
	b.udpif.Revalidate()
}

// followControllers asks the switches what translation needs to know of their
// controllers, which come and go without a configuration.
func (b *Backer) followControllers() {
	changed, reval := false, false
	for _, r := range b.switches {
		wants, alive := r.sw.WantsPacketInOnMiss(), r.sw.controllerAlive()
		if wants != r.wantsMiss || alive != r.alive {
			changed, reval = true, reval || alive != r.alive
			r.wantsMiss, r.alive = wants, alive
		}
	}
	switch {
	case reval:
		b.publish()
	case changed: // Every run of ovs-ofctl gets here, and flows need not change at once.
		b.udpif.ReplaceSnapshot(b.snapshot())
	}
}

// controllerAlive reports that a controller is connected, for groups' buckets that
// watch it.
func (sw *Switch) controllerAlive() bool {
	for _, c := range sw.conns.Conns() {
		if c.Primary() {
			return true
		}
	}
	return false
}

// deliver hands a packet-in to its switch; any thread.
func (b *Backer) deliver(id xlate.BridgeID, p *upcall.PacketIn) {
	b.mu.Lock()
	sw := b.byID[id]
	b.mu.Unlock()
	if sw != nil {
		sw.SendPacketIn(&PacketIn{PacketIn: p.PacketIn, ControllerID: p.ControllerID, MaxLen: p.MaxLen})
	}
}

// sink is what translation of packets asks of a Backer; any thread.
type sink struct {
	xlate.DirectSink
	b *Backer
}

// Frame implements xlate.Sink.
func (s sink) Frame(f *xlate.Frame) {
	s.b.mu.Lock()
	sw := s.b.byID[f.Bridge]
	s.b.mu.Unlock()
	if sw != nil {
		sw.queueFrame(f)
	}
}

// deliverSample hands a sample to its switch; any thread.
func (b *Backer) deliverSample(id xlate.BridgeID, s *export.Sample) {
	b.mu.Lock()
	sw := b.byID[id]
	b.mu.Unlock()
	if sw != nil {
		sw.queueSample(s)
	}
}

// MeterFeatures implements Datapath.
func (b *Backer) MeterFeatures() dpif.MeterFeatures { return b.dp.MeterFeatures() }

// MeterSet implements Datapath.
func (b *Backer) MeterSet(id uint32, cfg dpif.MeterConfig) (uint32, error) {
	if id == NoMeter {
		limit := b.dp.MeterFeatures().MaxMeters
		for id = 0; b.meters[id]; id++ {
			if id+1 >= limit {
				return NoMeter, unix.EFBIG
			}
		}
	}
	if err := b.dp.MeterSet(id, cfg); err != nil {
		return NoMeter, err
	}
	b.meters[id] = true
	return id, nil
}

// MeterGet implements Datapath.
func (b *Backer) MeterGet(id uint32) (dpif.MeterStats, error) { return b.dp.MeterGet(id) }

// MeterDel implements Datapath.
func (b *Backer) MeterDel(id uint32) error {
	delete(b.meters, id)
	_, err := b.dp.MeterDel(id)
	return err
}
