// Package userspace is the datapath that stock calls dpif-netdev: it polls the
// queues of devices, classifies packets, asks ofproto about those no flow
// matches, and executes actions.
//
// cmd/ovs-vswitchd makes one for each datapath type and hands it to ofproto, which
// sees the dpif contract only.  Connection tracking is a hook (Conntrack) that the
// owner sets.
//
// # Threads
//
// Queues that want polling (netdev.Device.IsPMD) are spread over polling threads,
// one a core; all others are polled by the control loop inside Run.  What a thread
// works on belongs to it alone: flow table, caches, batches.  The control thread
// reaches it by posting functions that the thread runs between two batches
// (inbox); a reconfiguration is done when every thread has run the function that
// takes it into use.  An upcall on a polling thread must therefore not wait for
// the control thread.
package userspace

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/meter"
	"sluice/dpif/odp"
	"sluice/internal/clock"
	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/netdev"
	"sluice/netdev/packet"
	"sluice/netdev/tnl"
)

var (
	log    = vlog.New("dpif_netdev")
	rlRecv = vlog.NewLimiter(1, 5)
	rlPut  = vlog.NewLimiter(1, 5)
)

var (
	errNoUpcall = errors.New("no upcall function")
	errExists   = unix.EEXIST
)

// Conntrack tracks connections for ct actions.
type Conntrack interface {
	// Execute sends the packets of b, which have their layers set, through the
	// tracker, in place; packets that it takes out it frees or keeps.  Any thread.
	Execute(c *packet.Cache, b *packet.Batch, arg *odp.CTArg, now int64)
	// Run forgets connections and packets that have expired; Next is when it should
	// be called again, if at all.  The control thread only.
	Run(c *packet.Cache, now int64)
	Next() (at int64, ok bool)
	DumpConntrack(zone *uint16, now int64) []dpif.CTEntry
	FlushConntrack(zone *uint16, match *dpif.CTMatch, now int64) error
	dpif.CTConfig
}

// Options make a Dpif.
type Options struct {
	Type  string       // "netdev", "system", "dummy"
	Name  string       // "ovs-netdev"
	Clock clock.Clock  // asked by polling threads; Run is told the time
	Pool  *packet.Pool // memory of all packets, shared by all datapaths
	CPUs  *CPUs
	Dummy bool // a test datapath: ports get numbers from their names
	// TunnelPorts are the UDP source ports of tunnel packets; nil: the usual ones.
	TunnelPorts *tnl.PortRange
	// FormatPacket prints a packet for debug messages; nil: they go without.
	FormatPacket func(packet []byte, packetType uint32) string
	// FormatFlow is dpif.OffloadMatch.Format.
	FormatFlow func(b []byte, f *flow.Flow, m *flow.Mask) []byte
	// Offloader returns what takes flows off a device's hands; nil: a device that is a
	// netdev.FlowOffloader does.
	Offloader func(netdev.Device) netdev.FlowOffloader
}

// Dpif is one datapath.
type Dpif struct {
	typ, name string
	dummy     bool
	clock     clock.Clock
	pool      *packet.Pool
	cpus      *CPUs
	upcall    dpif.UpcallFunc
	conntrack Conntrack
	// tunnelPorts are the source ports of tunnel packets.
	tunnelPorts *tnl.PortRange
	// formatPacket is Options.FormatPacket.
	formatPacket func(packet []byte, packetType uint32) string

	ports  map[uint32]*portState
	byName map[string]*portState
	// noneBelow: all numbers from 1 to below it are taken.
	noneBelow uint32
	held      held
	loop      *thread
	pmds      []*thread // by core
	// list is the loop's thread and pmds, for FlowCount on other threads.
	list    atomic.Pointer[[]*thread]
	cfg     settings
	bonds   map[uint32]*bondMap
	meters  meter.Table
	support dpif.Support
	cur     *config
	alb     alb
	offload offload
	lost    uint64 // see LostPorts
	pending bool   // reconfigure in the next Run
	// threadsChanged: threads came or went since their number was logged last.
	threadsChanged bool
	// For the frequency of the cycle counter.
	startCycles uint64
	startMs     int64
	now         int64
}

var _ dpif.Dpif = (*Dpif)(nil)

// New makes a datapath without ports.
func New(o Options) *Dpif {
	d := &Dpif{typ: o.Type, name: o.Name, dummy: o.Dummy, clock: o.Clock, pool: o.Pool, cpus: o.CPUs,
		formatPacket: o.FormatPacket, tunnelPorts: o.TunnelPorts, ports: map[uint32]*portState{}, byName: map[string]*portState{}, noneBelow: 1, bonds: map[uint32]*bondMap{}, cfg: defaultSettings(), cur: &config{}, support: allSupport()}
	if d.cpus == nil {
		d.cpus = &CPUs{list: []CPU{{0, 0}}, dummy: true}
	}
	d.offload.init(o)
	d.startCycles, d.startMs = cycleCounter(), d.clock.Now()
	d.loop = newThread(d, dpif.PMDNone, -1)
	d.reconfigure()
	register(d)
	return d
}

// allSupport is what stock finds out about its userspace datapath.
func allSupport() dpif.Support {
	return dpif.Support{MaskedSetAction: true, TunnelPushPop: true, UFID: true, Truncate: true, Clone: true,
		SampleNesting: 10, MaxVLANHeaders: 2, MaxMPLSDepth: flow.MaxMPLSLabels,
		Recirc: true, CTState: true, CTZone: true, CTMark: true, CTLabel: true, CTStateNAT: true,
		CTOrigTuple: true, CTOrigTuple6: true, CTEventMask: true, CTClear: true, MaxHashAlg: 1,
		CheckPktLen: true, CTTimeout: true, ExplicitDropAction: true, LBOutput: true,
		CTZeroSNAT: true, AddMPLS: true, NDExt: true}
}

// localPort is the number of the port that has the datapath's name.
const localPort = 0

// Name implements dpif.Dpif.
func (d *Dpif) Name() string { return d.name }

// Type implements dpif.Dpif.
func (d *Dpif) Type() string { return d.typ }

// Close stops the polling threads and forgets ports and flows; the devices stay
// their owner's.
func (d *Dpif) Close(bool) error {
	unregister(d)
	for _, s := range d.sorted() {
		d.remove(s)
	}
	d.reconfigure()
	d.loop.flows.flush()
	if d.conntrack != nil {
		d.conntrack.Run(d.loop.c, 1<<62) // gives back the fragments that it holds
	}
	d.loop.close()
	d.offload.close()
	return nil
}

// SetUpcall implements dpif.Dpif.
func (d *Dpif) SetUpcall(fn dpif.UpcallFunc) { d.upcall = fn }

// SetConntrack sets the connection tracker, once, before packets come.
func (d *Dpif) SetConntrack(c Conntrack) { d.conntrack = c }

// Support implements dpif.Dpif.
func (d *Dpif) Support() dpif.Support { return d.support }

// threads lists all threads, the loop's first.
func (d *Dpif) threads() []*thread { return append([]*thread{d.loop}, d.pmds...) }

// thread returns the thread of a PMD id.
func (d *Dpif) thread(pmd int) *thread {
	for _, t := range d.threads() {
		if t.core == pmd {
			return t
		}
	}
	return nil
}

// PortAdd implements dpif.Dpif.
func (d *Dpif) PortAdd(dev dpif.Device, want dpif.PortNo) (dpif.PortNo, error) {
	no, err := d.portAdd(dev, want)
	if err != nil {
		logDpif.WarnRL(rlError, "%s: failed to add %s as port: %s", d, dev.Name(), errno.Text(err))
	} else if logDpif.DbgEnabled() {
		logDpif.DbgRL(rlMsg, "%s: added %s as port %d", d, dev.Name(), no)
	}
	return no, err
}

func (d *Dpif) portAdd(dev dpif.Device, want dpif.PortNo) (dpif.PortNo, error) {
	if d.byName[dev.Name()] != nil {
		return dpif.PortNone, unix.EEXIST
	}
	if l, ok := dev.(interface{ Loopback() bool }); ok && l.Loopback() {
		// What is flooded to it would come back for good.
		log.Err("%s: cannot add a loopback device", dev.Name())
		return dpif.PortNone, unix.EINVAL
	}
	no := want
	if no == dpif.PortNone {
		no = d.chooseNumber(dev.Name())
	}
	if no == dpif.PortNone {
		return dpif.PortNone, unix.EFBIG
	}
	if d.ports[no] != nil {
		return dpif.PortNone, unix.EBUSY
	}
	s := &portState{port: &port{no: no, name: dev.Name(), dev: dev, seq: new(atomic.Uint32)}, emc: true, reconfigure: true}
	d.insert(s)
	// Nobody polls a new device, so its queues are opened at once; whoever adds it
	// learns whether that works.
	if err := d.reopen(s); err != nil {
		return dpif.PortNone, err
	}
	d.portsChanged()
	return no, nil
}

// insert and remove keep the indexes of the ports.
func (d *Dpif) insert(s *portState) { d.ports[s.no], d.byName[s.name] = s, s }

func (d *Dpif) remove(s *portState) {
	delete(d.ports, s.no)
	delete(d.byName, s.name)
	d.offload.dropPort(s.no)
	d.noneBelow = min(d.noneBelow, max(s.no, 1))
}

// held is the state of a batch of port changes.
type held struct {
	depth   int
	changed bool
}

// BeginPorts implements dpif.Dpif.
func (d *Dpif) BeginPorts() { d.held.depth++ }

// CommitPorts implements dpif.Dpif.
func (d *Dpif) CommitPorts() {
	d.held.depth--
	if d.held.depth > 0 {
		return
	}
	changed := d.held.changed
	d.held = held{}
	if changed {
		d.reconfigure()
	}
}

// portsChanged brings the threads in line with the ports, at once or at the end of
// the batch.
func (d *Dpif) portsChanged() {
	if d.held.depth > 0 {
		d.held.changed = true
		return
	}
	d.reconfigure()
}

// PortDel implements dpif.Dpif.  When it returns no thread touches the device.
func (d *Dpif) PortDel(no dpif.PortNo) error {
	err := error(nil)
	switch {
	case no == localPort:
		err = unix.EINVAL // it lives as long as the datapath
	case d.ports[no] == nil:
		err = unix.ENODEV
	}
	if err != nil {
		d.logOperation("port_del", err)
		return err
	}
	if logDpif.DbgEnabled() {
		logDpif.DbgRL(rlMsg, "%s: port_del(%d)", d, no)
	}
	d.remove(d.ports[no])
	d.portsChanged()
	return nil
}

// ChangePortNumber gives a port another number (dpif-dummy/change-port-number).
func (d *Dpif) ChangePortNumber(name string, no uint32) error {
	p, _, ok := d.PortByName(name)
	if !ok {
		return errors.New("unknown port")
	}
	if d.ports[no] != nil {
		return errors.New("port number already in use")
	}
	s := d.ports[p.No]
	d.remove(s)
	d.reconfigure()
	s.port = &port{no: no, name: name, dev: s.dev, seq: s.port.seq}
	s.reconfigure = true
	d.insert(s)
	d.reconfigure()
	return nil
}

func (s *portState) describe() dpif.Port {
	return dpif.Port{No: s.no, Name: s.name, Type: s.dev.Type()}
}

// PortByName implements dpif.Dpif.
func (d *Dpif) PortByName(name string) (dpif.Port, dpif.Device, bool) {
	s := d.byName[name]
	if s == nil {
		return dpif.Port{}, nil, false
	}
	return s.describe(), s.dev, true
}

// PortByNumber implements dpif.Dpif.
func (d *Dpif) PortByNumber(no dpif.PortNo) (dpif.Port, dpif.Device, bool) {
	s := d.ports[no]
	if s == nil {
		return dpif.Port{}, nil, false
	}
	return s.describe(), s.dev, true
}

// sorted lists the ports by number.
func (d *Dpif) sorted() []*portState {
	list := make([]*portState, 0, len(d.ports))
	for _, s := range d.ports {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *portState) int { return cmp.Compare(a.no, b.no) })
	return list
}

// Ports implements dpif.Dpif.
func (d *Dpif) Ports() []dpif.Port {
	var list []dpif.Port
	for _, s := range d.sorted() {
		list = append(list, s.describe())
	}
	return list
}

// leapMs is a step of time that tells a warp from a turn of the loop.
const leapMs = 1000

// loopBatches is the most batches that Run takes from one queue.
const loopBatches = 8

// Run implements dpif.Dpif.
func (d *Dpif) Run(now int64) (more bool) {
	if now-d.now >= leapMs && d.now != 0 {
		// Time was warped: threads that sleep must not miss what is due meanwhile.
		d.Quiesce()
	}
	d.now, d.loop.now = now, now
	for _, q := range d.loop.polls {
		// Full batches mean that there is more: some of it is taken at once, since
		// a turn of the loop costs as much as many packets.
		for range loopBatches {
			n := d.loop.poll(q)
			more = more || n > 0
			if n < packet.BatchSize {
				break
			}
		}
	}
	d.loop.kick()
	if now-d.loop.cycles.rank >= rankMs {
		d.loop.cycles.rank = now
		d.loop.flows.optimize()
	}
	d.balance(now)
	more = d.runOffload(now) || more
	if d.conntrack != nil {
		d.conntrack.Run(d.loop.c, now)
	}
	if d.pending || d.devicesChanged() {
		d.reconfigure()
	}
	return more
}

// Wait implements dpif.Dpif.
func (d *Dpif) Wait(s *poll.Set) {
	if d.pending {
		s.Immediate()
	}
	if d.cfg.alb.on && len(d.pmds) > 0 {
		s.Timer(d.alb.last + int64(d.cfg.alb.intervalMin)*minuteMs + 1)
	}
	d.offload.wait(s)
	if d.conntrack != nil {
		if at, ok := d.conntrack.Next(); ok {
			s.Timer(at)
		}
	}
	for _, q := range d.loop.polls {
		if fd := q.q.Fd(); fd >= 0 {
			s.FD(fd, poll.In)
		} else if q.q.Ready() {
			s.Immediate()
		}
	}
}

func (d *Dpif) devicesChanged() bool {
	for _, s := range d.ports {
		if s.dev.NeedsReconfigure() {
			return true
		}
	}
	return false
}

// Quiesce implements dpif.Dpif.
func (d *Dpif) Quiesce() {
	// A function runs at the end of a loop; between two of them lies a whole one.
	doAll(d.pmds, func(*thread) {})
	doAll(d.pmds, func(*thread) {})
}

// Execute implements dpif.Dpif.
func (d *Dpif) Execute(e *dpif.Execute) error {
	err := d.execute(e)
	d.logExecute(e, err)
	return err
}

func (d *Dpif) execute(e *dpif.Execute) error {
	if len(e.Packet) < 14 || len(e.Packet) > 0xffff {
		return unix.EINVAL
	}
	if e.Probe {
		return nil
	}
	t := d.loop
	i := t.c.New(e.Packet)
	if i == 0 {
		return unix.ENOBUFS
	}
	m := t.p.Meta(i)
	e.Key.ToMeta(m, t.p.Cold(i))
	f := t.flowOf(i)
	m.Hash, m.Offload = f.Hash5Tuple(0), packet.HashValid
	t.runOn(i, e.Actions)
	t.flush()
	return nil
}

// Stats implements dpif.Dpif.
func (d *Dpif) Stats() (s dpif.DPStats) {
	for _, t := range d.threads() {
		s.Hit += t.stats[statMarkedHit].Load() + t.stats[statExactHit].Load() + t.stats[statSMCHit].Load() + t.stats[statMaskedHit].Load()
		s.Missed += t.stats[statMiss].Load()
		s.Lost += t.stats[statLost].Load()
		s.Flows += uint64(t.nFlow.Load())
	}
	s.Masks, s.MaskHit, s.CacheHit = ^uint32(0), ^uint64(0), ^uint64(0)
	return s
}

// MeterFeatures implements dpif.Dpif.
func (d *Dpif) MeterFeatures() dpif.MeterFeatures { return meter.Features() }

// MeterSet implements dpif.Dpif.
func (d *Dpif) MeterSet(id uint32, cfg dpif.MeterConfig) error {
	return d.meters.Set(id, cfg, d.clock.Now())
}

// MeterGet implements dpif.Dpif.
func (d *Dpif) MeterGet(id uint32) (dpif.MeterStats, error) { return d.meters.Get(id) }

// MeterDel implements dpif.Dpif.
func (d *Dpif) MeterDel(id uint32) (dpif.MeterStats, error) { return d.meters.Del(id) }

// String is how logs call the datapath.
func (d *Dpif) String() string { return fmt.Sprintf("%s@%s", d.typ, d.name) }

// hz is the frequency of the cycle counter, measured since the datapath began.
func (d *Dpif) hz() float64 {
	ms := d.clock.Now() - d.startMs
	if ms <= 0 {
		return 1e9
	}
	return max(float64(cycleCounter()-d.startCycles)*1000/float64(ms), 1)
}
