package ofproto

import (
	"net/netip"
	"reflect"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/internal/coverage"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ofproto/connmgr"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/proto/bfd"
	"sluice/ofproto/table"
	"sluice/ovsdb/stream"
)

var (
	logOF = vlog.New("ofproto")
	rlOF  = vlog.NewLimiter(1, 5)
	// People set the level of this module, whose messages others here log now.
	_ = vlog.New("ofproto_dpif")

	cFlush     = coverage.New("ofproto_flush")
	cPacketOut = coverage.New("ofproto_packet_out")
	cQueueReq  = coverage.New("ofproto_queue_req")
	cRecvOF    = coverage.New("ofproto_recv_openflow")
	cUpdate    = coverage.New("ofproto_update_port")
	cExpired   = coverage.New("ofproto_dpif_expired")
)

// Switch is one bridge: its tables, its ports, its controllers.  The control thread
// owns it; only what says so may be called from other threads.
type Switch struct {
	Tables *table.Set

	name  string
	cfg   SwitchConfig
	env   Env
	dp    Datapath
	ports portSet
	conns *connmgr.Manager

	configured bool // cfg has been applied, to all ports
	protocols  protocols
	lacp       lacpProtocol
	bonds      bonds
	bfd        *bfdPorts
	cfm        *cfmPorts
	lldp       *lldpPorts
	stp        *stpProto
	rstp       *rstpProto
	tun        *field.TunTable // tun_metadata mapping; replaced, not changed
	dec        ofp.Context     // kept, since it makes actions in chunks
	gone       []*goneFlow     // flows whose flow_removed waits, oldest first

	dumpSeq    uint64 // of the datapath, when flows were last expired
	version    uint64 // of the tables, when the datapath was last told of changes
	evictTimer int64  // when eviction priorities are computed anew

	exports exports

	pins  inbox[*PacketIn]
	event *poll.Event // wakes the loop
}

// maxPacketIns is how many packet-ins wait for the loop at most.
const maxPacketIns = 1024

// Env is what a process gives its switches.
type Env struct {
	RunDir string // of management sockets
	// TLS is what ssl: and pssl: controllers use; nil: they are refused.
	TLS *stream.TLS
	// NextHop returns the MAC address of the next hop to a peer of in-band control,
	// if it is known; nil: it never is.
	NextHop func(netip.Addr) (flow.MAC, bool)
	// Export is for exporters of traffic, which must not be configured without.
	Export ExportEnv
	// BFDIdentities keeps BFD sessions apart; nil: only those of one bridge.
	BFDIdentities *bfd.Identities
}

// New makes a bridge on a datapath.
func New(dp Datapath, cfg SwitchConfig, env Env, now int64) (*Switch, error) {
	sw := &Switch{
		Tables: table.New(now), name: cfg.Name, cfg: cfg, dp: dp, env: env,
		tun: &field.TunTable{}, dumpSeq: dp.DumpSeq(),
	}
	sw.event = poll.NewEvent()
	sw.ports.init()
	sw.lacp.sw = sw
	sw.protocols.init(sw)
	sw.pins.init(maxPacketIns, cPinOverflow, sw.wake)
	sw.exports.samples.init(maxSamples, cSampleOverflow, sw.wake)
	sw.conns = connmgr.New(cfg.Name, sw.Tables, sw.streamOptions, now)
	sw.conns.Handle = sw.handle
	sw.conns.Flush = sw.flush
	sw.conns.Tun = sw.TunTable
	sw.conns.InBand.Local, sw.conns.InBand.NextHop = sw.localMAC, env.NextHop
	sw.Tables.OnEvent = sw.wake
	if err := dp.SwitchAdd(sw); err != nil {
		return nil, err
	}
	// A new bridge has the flows that its fail mode wants: Configure flushes only
	// on a change.
	sw.conns.SetNow(now)
	if err := sw.Apply(cfg, now); err != nil {
		return nil, err
	}
	return sw, nil
}

func (sw *Switch) streamOptions() stream.Options {
	return stream.Options{RunDir: sw.env.RunDir, TLS: sw.env.TLS}
}

// Name returns the bridge's name.
func (sw *Switch) Name() string { return sw.name }

// Config returns the configuration that is in force.
func (sw *Switch) Config() *SwitchConfig { return &sw.cfg }

// TunTable returns the mapping of tun_metadata fields, which is never changed but
// replaced; then Datapath.Configured is called.
func (sw *Switch) TunTable() *field.TunTable { return sw.tun }

// WantsPacketInOnMiss reports whether packets that match no flow go to a controller,
// as far as the tables leave that open.
func (sw *Switch) WantsPacketInOnMiss() bool { return sw.conns.WantsPacketInOnMiss() }

// Apply makes the bridge what cfg says.
func (sw *Switch) Apply(cfg SwitchConfig, now int64) error {
	sw.conns.SetNow(now)
	if cfg.DatapathID != sw.cfg.DatapathID {
		// OpenFlow has no message to tell controllers; they ask when they connect.
		sw.conns.Reconnect()
	}
	same := sw.configured && reflect.DeepEqual(sw.cfg.forTranslation(), cfg.forTranslation())
	sw.cfg, sw.configured = cfg, true
	sw.conns.BundleIdleSec = cfg.BundleIdleSec
	for id := range uint8(table.NVisibleTables) {
		sw.applyTable(id)
	}
	sw.conns.SetSnoops(cfg.Snoops)
	sw.conns.InBand.Queue, sw.conns.InBand.Managers = cfg.InBandQueue, nil
	if !cfg.DisableInBand {
		sw.conns.InBand.Managers = cfg.InBandManagers
	}
	sw.conns.Configure(sw.controllers(), cfg.FailMode == FailStandalone)
	sw.configureProtocols(now)
	sw.configureBonds(now)
	same = !sw.configureExports(now) && same
	sw.processEvents()
	if !same {
		sw.dp.Configured(sw)
	}
	return nil
}

// forTranslation returns what of a configuration matters to translation.
func (c SwitchConfig) forTranslation() SwitchConfig {
	c.Controllers, c.Snoops, c.InBandManagers, c.AutoAttach = nil, nil, nil, AutoAttachConfig{}
	return c
}

func (sw *Switch) applyTable(id uint8) {
	c := table.Config{MaxFlows: ^uint32(0), Prefixes: defaultPrefixes}
	if t, ok := sw.cfg.FlowTables[id]; ok {
		c = table.Config{Name: t.Name, MaxFlows: t.FlowLimit, Evict: t.Evict, Groups: t.Groups, Prefixes: t.Prefixes}
		if t.Prefixes == nil {
			c.Prefixes = defaultPrefixes
		}
	}
	sw.Tables.Configure(id, c)
}

// controllers returns the connections to configure: those of the database, and the
// management socket.
func (sw *Switch) controllers() []connmgr.Config {
	out := make([]connmgr.Config, 0, len(sw.cfg.Controllers)+1)
	out = append(out, connmgr.Config{
		Target: "punix:" + sw.env.RunDir + "/" + sw.name + ".mgmt", Service: true,
		MaxBackoff: 0, Probe: 60, EnableAsync: true, Allowed: sw.cfg.Protocols, QueueSize: 100,
	})
	for _, c := range sw.cfg.Controllers {
		out = append(out, connmgr.Config{
			Target: c.Target, Service: c.Service, InBand: c.InBand && !sw.cfg.DisableInBand,
			MaxBackoff: c.MaxBackoffMs / 1000, Probe: probeSeconds(c.ProbeMs), EnableAsync: c.EnableAsync,
			Allowed: sw.cfg.Protocols, QueueSize: c.QueueSize, RateLimit: c.RateLimit, BurstLimit: c.BurstLimit, DSCP: c.DSCP,
		})
	}
	return out
}

// localMAC returns the address of the bridge's own port.
func (sw *Switch) localMAC() (flow.MAC, bool) {
	p := sw.ports.byNumber[LocalPort]
	if p == nil {
		return flow.MAC{}, false
	}
	return p.Desc.HWAddr, true
}

// HasInBand reports whether in-band control is at work; DHCP answers must reach the
// local port then.
func (sw *Switch) HasInBand() bool { return sw.conns.HasInBand() }

func probeSeconds(ms int) int {
	if ms < 0 {
		return 5
	}
	return ms / 1000
}

// flush empties the flow tables, groups and meters, and puts back what the switch
// itself needs.
func (sw *Switch) flush() {
	cFlush.Inc()
	sw.Tables.Flush(sw.conns.Now())
	sw.Tables.Mu.Lock()
	sw.meterDelete(ofp.MeterAll, nil)
	sw.Tables.Mu.Unlock()
	sw.conns.Flushed()
	sw.processEvents()
	sw.dp.FlowsChanged(sw)
}

// Destroy ends the bridge: connections are closed, ports leave the datapath.
func (sw *Switch) Destroy(now int64) {
	sw.conns.SetNow(now)
	sw.dropBonds(now)
	for _, p := range sw.Ports() {
		sw.dp.PortDel(sw, p)
	}
	sw.conns.Destroy()
	sw.closeExports()
	sw.dp.SwitchDel(sw)
	sw.event.Close()
}

// PortAdd adds a device as a port, under number want (0 or flow.OFPNone: a free one
// is chosen), and returns the number.
func (sw *Switch) PortAdd(dev dpif.Device, want uint32, now int64) (uint32, error) {
	sw.conns.SetNow(now)
	return sw.addPort(dev, want, now)
}

// PortDel removes a port.
func (sw *Switch) PortDel(ofport uint32, now int64) error {
	sw.conns.SetNow(now)
	return sw.delPort(ofport, now)
}

// Port returns a port by its OpenFlow number, or nil.
func (sw *Switch) Port(ofport uint32) *Port { return sw.ports.byNumber[ofport] }

// PortByName returns a port by its device's name, or nil.
func (sw *Switch) PortByName(name string) *Port { return sw.ports.byName[name] }

// Ports returns the ports by rising OpenFlow number.
func (sw *Switch) Ports() []*Port { return sw.ports.sorted }

// Run does what is due at ms now.  Asynchronous messages leave before the requests
// that arrived are answered.
func (sw *Switch) Run(now int64) {
	sw.conns.SetNow(now)
	sw.event.Reset()
	sw.flushPacketIns()
	sw.sendGone(now)
	sw.expire(now)
	// Counters are told as they are before this turn's frames.
	sw.runExports(now)
	sw.runProtocols(now)
	sw.pollPorts(now)
	sw.runBonds(now)
	// Translation learns flows, which changes what other packets do.
	if v := sw.Tables.Version(); v != sw.version {
		sw.version = v
		sw.dp.FlowsChanged(sw)
	}
	sw.processEvents()
	sw.conns.Run(now)
	sw.processEvents()
	sw.Tables.Reclaim()
}

// expire deletes flows whose time is over, when their statistics are fresh.  While flows
// are being restored none goes.
func (sw *Switch) expire(now int64) {
	if seq := sw.dp.DumpSeq(); seq != sw.dumpSeq && !sw.cfg.FlowRestoreWait {
		sw.dumpSeq = seq
		if n := sw.Tables.Expire(now); n > 0 {
			cExpired.Add(uint64(n))
			sw.dp.FlowsChanged(sw)
		}
	}
	if now > sw.evictTimer {
		sw.evictTimer = now + 1000
		sw.Tables.RefreshEviction()
	}
}

// Wait says when Run has something to do.
func (sw *Switch) Wait(s *poll.Set) {
	sw.conns.Wait(s)
	sw.event.Wait(s)
	sw.protocols.wait(s)
	sw.bonds.wait(s)
	sw.waitExports(s)
	for _, p := range sw.ports.sorted {
		if p.Dev.ChangeSeq() != p.changeSeq || (p.MayEnable && p.Dev.Carrier()) != p.enabled {
			s.Immediate()
			break
		}
	}
	if sw.Tables.NeedsReclaim() {
		s.Immediate()
	}
	if len(sw.gone) > 0 {
		if sw.gone[0].counted {
			s.Immediate()
		}
		s.Timer(sw.gone[0].deadline)
	}
}

// wake has the loop run soon.  Any thread may call it.
func (sw *Switch) wake() { sw.event.Set() }

// SendPacketIn queues a packet for the controllers that want it.  Any thread may
// call it; the packet is dropped when the queue is full.
func (sw *Switch) SendPacketIn(pin *PacketIn) {
	sw.pins.put(pin)
}

var cPinOverflow = coverage.New("packet_in_overflow")

func (sw *Switch) flushPacketIns() {
	if sw.cfg.FlowRestoreWait {
		return
	}
	pins, _ := sw.pins.take()
	for _, p := range pins {
		sw.conns.SendPacketIn(&p.PacketIn, p.ControllerID)
	}
}

// processEvents tells controllers what happened to the tables.
func (sw *Switch) processEvents() {
	s := sw.Tables
	s.Mu.Lock()
	events := s.TakeEvents()
	s.Mu.Unlock()
	waiting := len(sw.gone)
	for i := range events {
		switch e := &events[i]; e.Kind {
		case table.FlowChanged:
			sw.conns.ReportChange(e)
		case table.FlowRemoved:
			sw.flowGone(e)
		case table.VacancyCrossed:
			sw.conns.SendTableStatus(e.Table, e.Vacancy)
		case table.ChangesDone:
			sw.conns.FlushChanges()
		}
	}
	sw.awaitCounts(sw.gone[waiting:])
}

func (sw *Switch) flowRemoved(e *table.Event) *ofp.FlowRemoved {
	r := e.Rule
	fr := &ofp.FlowRemoved{
		Match: r.Match(), Cookie: r.Cookie, Priority: uint16(r.Priority()), Reason: e.Reason, TableID: r.TableID,
		IdleTimeout: r.IdleTimeout(), HardTimeout: r.HardTimeout(),
	}
	fr.Match.Tun = sw.tun
	fr.PacketCount, fr.ByteCount = r.Stats()
	fr.DurationSec, fr.DurationNsec = duration(r.Created, sw.conns.Now())
	return fr
}

// duration splits the time from ms start to ms now into seconds and the rest.
func duration(start, now int64) (sec, nsec uint32) {
	ms := now - start
	return uint32(ms / 1000), uint32(ms%1000) * 1000000
}

// Reconnect drops all OpenFlow connections, so that controllers are connected to anew.
func (sw *Switch) Reconnect(now int64) {
	sw.conns.SetNow(now)
	sw.conns.Reconnect()
}

// MemoryUsage adds what memory/show counts.
func (sw *Switch) MemoryUsage(usage map[string]uint64) {
	usage["ports"] += uint64(len(sw.ports.sorted))
	sw.Tables.Mu.Lock()
	for id := range uint8(table.NTables) {
		usage["rules"] += uint64(sw.Tables.Table(id).NVisible())
	}
	sw.Tables.Mu.Unlock()
	conns, packets := sw.conns.MemoryUsage()
	usage["ofconns"] += uint64(conns)
	usage["packets"] += uint64(packets)
}

// ControllerStatus returns the state of each controller, by target.
func (sw *Switch) ControllerStatus() map[string]ControllerStatus {
	out := map[string]ControllerStatus{}
	for t, i := range sw.conns.Info() {
		out[t] = ControllerStatus{IsConnected: i.Connected, Role: roleName(i.Role), Pairs: i.Pairs}
	}
	return out
}

func roleName(r ofp.Role) string {
	switch r {
	case ofp.RoleEqual:
		return "other"
	case ofp.RolePrimary:
		return "master"
	case ofp.RoleSecondary:
		return "slave"
	}
	return ""
}
