// Package bridge makes the switch what the Open_vSwitch database says, and the
// database say what the switch is.
//
// It reads rows of the replica (ovsdb/client), opens devices (netdev), makes one
// Backer per type of datapath and one Switch per bridge (ofproto), and writes the
// columns that ovs-vsctl and controllers of the host read: ofport, error, status,
// statistics, cur_cfg.  Rows stop here: what goes down are plain structs.
//
// The order of a turn is stock's: database, datapaths and bridges, reconfiguration,
// status.  Reconfiguration deletes before it adds, because what is added may need a
// name or number that is deleted.
//
// Thread-safety: everything belongs to the control loop.
package bridge

import (
	"cmp"
	"maps"
	"net/netip"
	"os"
	"slices"

	"sluice/dpif"
	"sluice/internal/coverage"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/netdev"
	"sluice/netdev/rtnl"
	"sluice/ofproto"
	"sluice/ofproto/proto/bfd"
	"sluice/ofproto/tunnel"
	"sluice/ovsdb/client"
	"sluice/ovsdb/stream"
	"sluice/schema/vswitch"
)

var (
	log          = vlog.New("bridge")
	logNetdev    = vlog.New("netdev")
	rlDup        = vlog.NewLimiter(1, 5)
	rlLock       = vlog.NewLimiter(1, 1)
	rlAdd        = vlog.NewLimiter(1, 5)
	rlQoS        = vlog.NewLimiter(1, 5)
	cReconfigure = coverage.New("bridge_reconfigure")
)

// Version is the release of Open vSwitch whose behaviour this switch has.
const Version = "3.1.0"

// LockName is the database lock that the one active switch of a host holds.
const LockName = "ovs_vswitchd"

// Env is what the process gives the bridges.
type Env struct {
	DB      *vswitch.DB
	RunDir  string
	Program string // name in the start-up message
	// OpenDatapath makes the datapath of a type ("netdev", "system", "dummy").
	OpenDatapath func(typ string) (dpif.Dpif, error)
	// DatapathTypes lists what OpenDatapath takes.
	DatapathTypes []string
	// DeviceType maps the type of an Interface row to the class that serves it on
	// a datapath of that type ("internal" is a TAP device, or a dummy).
	DeviceType func(datapathType, ifaceType string) string
	// Dummy is set for test runs: there is no kernel to watch then.
	Dummy bool
	// Ready is called once, when the first configuration is in force.
	Ready func()
	// TLS is what connections to controllers use; the SSL row fills it in.
	TLS *stream.TLS
	// Unconfined lets controllers' sockets be anywhere in the file system.
	Unconfined bool
	// NextHop returns the MAC address of the next hop from a datapath's local ports
	// to an IPv4 address; nil: it is never known.
	NextHop func(datapathType string, remote netip.Addr) (netdev.MAC, bool)
	// Export is for the exporters of traffic, without Totals and NextExporter, which
	// are the bridges' own.
	Export ofproto.ExportEnv
	// HostStats reads the statistics of the host.  It may block and is called on a
	// goroutine of its own, one call at a time.
	HostStats func() map[string]string
	// Native is what tunnels need to know of the host.
	Native *tunnel.Native
}

// Bridges is all bridges of the process.
type Bridges struct {
	env      Env
	backers  map[string]*backerRef // by datapath type
	bridges  map[string]*bridge
	cfgSeqno uint
	// missing is set when a device could not be opened; linkSeq is what the kernel's
	// links were like then.
	missing bool
	linkSeq uint64
	retryAt int64 // when they may be looked for again
	// addressChanged: a bridge needs another MAC address and datapath id.
	addressChanged bool
	// lostPorts is how many ports the datapaths have dropped.
	lostPorts uint64
	// exporters counts the IPFIX exporters that there ever were.
	exporters uint32
	// configured is set once a configuration is in force; until then nothing in
	// the kernel is touched.
	configured bool
	announced  bool
	// restoring is flow-restore-wait of the database.  Once it is over, restored, the key
	// means nothing until the process starts again.
	restoring, restored bool
	status              statusWriter
	writes              *client.Txn // of the current reconfiguration
	// While batch is set, the datapaths hold port changes back, and devices wait in
	// closing.
	batch   bool
	closing []closing
	now     int64
	bfdIDs  bfd.Identities
	more    bool // the datapaths have more to do at once
}

// backerRef is the datapath of a type with its Backer and the number of bridges
// that use it.
type backerRef struct {
	typ    string
	dp     dpif.Dpif
	backer *ofproto.Backer
	users  int
}

// bridge is one bridge.
type bridge struct {
	name, typ string // typ as it was asked for
	internal  string // the class of internal ports' devices
	row       *vswitch.Bridge
	ref       *backerRef
	sw        *ofproto.Switch
	ports     map[string]*port
	order     []*port    // by name; nil: to be made again
	ea        netdev.MAC // address of the local port
	defaultEA netdev.MAC // when no port's will do
	dpid      uint64
	minMTU    int    // of the ports with an MTU of their own; 0: never was one
	treeSeq   uint64 // of the spanning trees' state in the database
	// vlanChanges are those that the database may not have yet.
	vlanChanges []vlanChange
	// mirrorOutputs is the rows of the ports that mirrors send to.
	mirrorOutputs []client.UUID
}

// port is a Port row: a bundle of interfaces.
type port struct {
	name   string
	row    *vswitch.Port
	synth  bool // made up, because the database lacks the local port
	ifaces []*iface
	fake   *iface // see wantsFake
	// shownActive is bond_active_slave as the database was told.
	shownActive string
}

// devices returns the interfaces, and the made-up one.
func (p *port) devices() []*iface {
	if p.fake == nil {
		return p.ifaces
	}
	return append(slices.Clip(p.ifaces), p.fake)
}

// iface is an Interface row with its open device.
type iface struct {
	name, typ string             // typ of the row
	row       *vswitch.Interface // nil: synthesized
	dev       netdev.Device
	ofport    uint32
	changeSeq uint64
	refreshed bool
	// shapedLink is the kernel's number of the link that got the QoS of the rows.
	shapedLink int
	shownLACP  *bool // lacp_current as the database was told
}

// New makes the bridges of a database; nothing happens before Run.
func New(env Env) *Bridges {
	b := &Bridges{env: env, backers: map[string]*backerRef{}, bridges: map[string]*bridge{}}
	b.status.init()
	return b
}

// sorted returns the bridges by name.
func (b *Bridges) sorted() []*bridge {
	return slices.SortedFunc(maps.Values(b.bridges), func(x, y *bridge) int { return cmp.Compare(x.name, y.name) })
}

// sortedPorts returns the ports by name.  The list stays as it is when ports come and
// go.
func (br *bridge) sortedPorts() []*port {
	if br.order == nil {
		br.order = slices.SortedFunc(maps.Values(br.ports), func(x, y *port) int { return cmp.Compare(x.name, y.name) })
	}
	return br.order
}

func (br *bridge) addPort(p *port) {
	br.ports[p.name] = p
	br.order = nil
}

func (br *bridge) delPort(p *port) {
	delete(br.ports, p.name)
	br.order = nil
}

// eachIface calls fn for each interface that has a row.
func (br *bridge) eachIface(fn func(*iface)) {
	for _, p := range br.sortedPorts() {
		for _, i := range p.ifaces {
			if i.row != nil {
				fn(i)
			}
		}
	}
}

// sortedBackers returns the datapaths in use by type.
func (b *Bridges) sortedBackers() []*backerRef {
	return slices.SortedFunc(maps.Values(b.backers), func(x, y *backerRef) int { return cmp.Compare(x.typ, y.typ) })
}

// Run does one turn at ms now.
func (b *Bridges) Run(now int64) {
	b.now = now
	b.env.DB.Run(now)
	if b.env.DB.LockContended() {
		b.disable(now)
		return
	}
	if !b.env.DB.HasLock() || !b.env.DB.HasEverConnected() {
		return
	}
	b.runSwitches(now)
	if seq := b.env.DB.Seqno(); seq != b.cfgSeqno || !b.configured || b.addressChanged || b.linksChanged() || b.portsLost() {
		b.cfgSeqno, b.addressChanged = seq, false
		b.applyDatabase(now)
	}
	b.status.run(b, now)
}

// linksChanged reports that a device which could not be opened may be there now.
func (b *Bridges) linksChanged() bool {
	if !b.missing || b.env.Dummy || b.now < b.retryAt {
		return false
	}
	seq := rtnl.LinkSeq()
	if seq == b.linkSeq {
		return false
	}
	// An attempt that fails may make events of its own.
	b.linkSeq, b.retryAt = seq, b.now+retryMs
	return true
}

// portsLost reports that a datapath dropped a port since the last call, because its
// device could not take its new options: it is opened again, to show why.
func (b *Bridges) portsLost() bool {
	var n uint64
	for _, ref := range b.backers {
		if l, ok := ref.dp.(interface{ LostPorts() uint64 }); ok {
			n += l.LostPorts()
		}
	}
	lost := n > b.lostPorts
	b.lostPorts = n
	return lost
}

// retryMs is the shortest time between two attempts to open missing devices.
const retryMs = 1000

// disable gives up all bridges while another process holds the lock.  What the
// other one may use in the kernel is left alone.
func (b *Bridges) disable(now int64) {
	log.ErrRL(rlLock, "another ovs-vswitchd process is running, disabling this process (pid %d) until it goes away", os.Getpid())
	b.beginBatch()
	for _, br := range b.sorted() {
		b.destroy(br, false, now)
	}
	b.commitBatch()
	b.configured = false
}

// runSwitches runs datapaths before bridges, so that what came in is seen by the
// OpenFlow connections of the same turn.
func (b *Bridges) runSwitches(now int64) {
	b.more = false
	netdev.RunClasses(now)
	for _, ref := range b.sortedBackers() {
		b.more = ref.backer.Run(now) || b.more
	}
	for _, br := range b.sorted() {
		for _, p := range br.sortedPorts() {
			for _, i := range p.devices() {
				i.dev.Run(now)
			}
		}
		br.sw.Run(now)
	}
}

// applyDatabase reconfigures, and reports cur_cfg and the types that there are.
func (b *Bridges) applyDatabase(now int64) {
	b.missing = false
	root := b.env.DB.Root()
	b.writes = b.env.DB.Begin()
	b.reconfigure(root, now)
	if root != nil {
		root.SetCurCfg(b.writes, root.NextCfg)
		root.SetDatapathTypes(b.writes, b.env.DatapathTypes)
		root.SetIfaceTypes(b.writes, netdev.Types())
		root.SetDpdkInitialized(b.writes, false)
		root.SetDpdkVersion(b.writes, ptr("none"))
	}
	b.configured = true
	b.status.refreshAll = true
	b.status.begin(b.writes, !b.announced)
	b.writes = nil
}

// ready tells the world that the first configuration is in force.
func (b *Bridges) ready() {
	if b.announced {
		return
	}
	b.announced = true
	if b.env.Ready != nil {
		b.env.Ready()
	}
	log.Info("%s (Open vSwitch) %s", b.env.Program, Version)
}

// Wait says when Run has something to do.
func (b *Bridges) Wait(s *poll.Set) {
	b.env.DB.Wait(s, b.now)
	if b.more || b.addressChanged {
		s.Immediate()
	}
	netdev.WaitClasses(s)
	if b.missing && !b.env.Dummy && rtnl.LinkSeq() != b.linkSeq {
		s.Timer(b.retryAt)
	}
	for _, ref := range b.backers {
		ref.backer.Wait(s)
	}
	for _, br := range b.bridges {
		br.sw.Wait(s)
		for _, p := range br.ports {
			for _, i := range p.devices() {
				i.dev.Wait(s)
			}
		}
	}
	if b.configured {
		b.status.wait(b, s)
	}
}

// Switch returns the bridge of that name, or nil.
func (b *Bridges) Switch(name string) *ofproto.Switch {
	if br := b.bridges[name]; br != nil {
		return br.sw
	}
	return nil
}

// Switches returns all bridges by name.
func (b *Bridges) Switches() []*ofproto.Switch {
	var out []*ofproto.Switch
	for _, br := range b.sorted() {
		out = append(out, br.sw)
	}
	return out
}

// Backer returns the Backer that serves a bridge, or nil.
func (b *Bridges) Backer(bridgeName string) *ofproto.Backer {
	if br := b.bridges[bridgeName]; br != nil {
		return br.ref.backer
	}
	return nil
}

// Datapath is a datapath in use.
type Datapath struct {
	Type   string
	Dpif   dpif.Dpif
	Backer *ofproto.Backer
}

// Datapaths returns the datapaths in use by type.
func (b *Bridges) Datapaths() []Datapath {
	var out []Datapath
	for _, ref := range b.sortedBackers() {
		out = append(out, Datapath{ref.typ, ref.dp, ref.backer})
	}
	return out
}

// Exit ends all bridges.  Without cleanup the internal ports stay in the kernel
// with their addresses; with it, they go.
func (b *Bridges) Exit(cleanup bool, now int64) {
	b.beginBatch()
	for _, br := range b.sorted() {
		b.destroyBridge(br, cleanup, !cleanup, now)
	}
	b.commitBatch()
}

// MemoryUsage adds what the bridges have to the counts of memory/show.
func (b *Bridges) MemoryUsage(usage map[string]uint64) {
	for _, br := range b.bridges {
		br.sw.MemoryUsage(usage)
		usage["ports"] += uint64(len(br.sw.Ports()))
	}
}

// Detached takes a device out of its bridge that somebody removed from the datapath
// (dpctl/del-if), and closes it.  The next reconfiguration opens it again if the
// database still wants it.
func (b *Bridges) Detached(dev netdev.Device, now int64) {
	for _, br := range b.sorted() {
		for _, p := range br.sortedPorts() {
			for n, i := range p.ifaces {
				if i.dev != dev {
					continue
				}
				p.ifaces = slices.Delete(p.ifaces, n, n+1)
				if len(p.ifaces) == 0 {
					br.delPort(p)
				}
				b.closeIface(br, i, false, now, true)
				return
			}
		}
	}
	for _, ref := range b.backers {
		if ref.backer.FollowTunnelPort(dev.Name()) {
			return
		}
	}
	if err := dev.Close(false); err != nil {
		log.Warn("%s: closing fails: %v", dev.Name(), err)
	}
}

// Renumbered tells the bridges that a port of a datapath has another number.
func (b *Bridges) Renumbered(dp dpif.Dpif, name string) {
	p, _, ok := dp.PortByName(name)
	if !ok {
		return
	}
	for _, ref := range b.backers {
		if ref.dp == dp {
			ref.backer.Renumbered(name, p.No)
		}
	}
}
