// Package vswitchd wires the switch of a process: devices, datapaths, bridges and
// their control commands.  cmd/ovs-vswitchd and cmd/sluice run it; it reads no
// command line and owns no loop.
package vswitchd

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"sluice/cmd/internal/daemon"
	"sluice/cmd/internal/hoststats"
	"sluice/cmd/ovs-vswitchd/appctl"
	"sluice/cmd/ovs-vswitchd/bridge"
	"sluice/dpif"
	"sluice/dpif/conntrack"
	"sluice/dpif/userspace"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/netdev"
	"sluice/netdev/afxdp"
	"sluice/netdev/dummy"
	"sluice/netdev/packet"
	"sluice/netdev/rtnl"
	"sluice/netdev/system"
	"sluice/netdev/tap"
	"sluice/netdev/tnl"
	"sluice/netdev/vhostuser"
	"sluice/netdev/vport"
	"sluice/ofproto"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/tunnel"
	"sluice/ovsdb/stream"
	"sluice/schema/vswitch"
)

var log = vlog.New("vswitchd")

// maxFrames is how many 4 KiB frames the packet memory is reserved for: 4 GiB of
// address space, used as needed.
const maxFrames = 1 << 20

// Options is what the command line says of the switch.
type Options struct {
	Remote string // of the database
	// Dummy enables test devices and datapaths.
	Dummy         bool
	DummyLevel    dummy.Level
	DummyNUMA     string
	DisableSystem bool
	// DisableSystemRoute keeps the host's routes out of the routing table.
	DisableSystemRoute bool
	// Ready is called once the first configuration is in force.
	Ready func()
	// OnDatabase, if set, gets the replica before the bridges use it.
	OnDatabase func(*vswitch.DB)
}

// Option returns the command line options, which fill in o.
func (o *Options) Option() []daemon.Option {
	flag := func(p *bool) func(string, bool) error {
		return func(string, bool) error { *p = true; return nil }
	}
	return []daemon.Option{
		{Long: "enable-dummy", Arg: daemon.OptionalArg, Set: func(s string, _ bool) error {
			level, ok := dummy.ParseLevel(s)
			if !ok {
				return fmt.Errorf("%s: unknown dummy level", s)
			}
			o.Dummy, o.DummyLevel = true, level
			return nil
		}},
		{Long: "disable-system", Set: flag(&o.DisableSystem)},
		{Long: "disable-system-route", Set: flag(&o.DisableSystemRoute)},
		{Long: "dummy-numa", Arg: daemon.RequiredArg, Set: func(s string, _ bool) error { o.DummyNUMA = s; return nil }},
	}
}

// Switch is the switch of the process.
type Switch struct {
	opts    Options
	d       *daemon.Daemon
	cpus    *userspace.CPUs
	pool    func() (*packet.Pool, error)
	bridges *bridge.Bridges
	native  *tunnel.Native
	// tunnelPorts are the UDP source ports of tunnel packets.
	tunnelPorts tnl.PortRange
	types       []string // of datapaths
	dummies     []string // those that are served by test datapaths
}

// New registers the classes of devices and the commands, and starts to connect to
// the database.
func New(d *daemon.Daemon, o Options) *Switch {
	s := &Switch{opts: o, d: d}
	s.native = tunnel.NewNative(s.host())
	s.pool = sync.OnceValues(func() (*packet.Pool, error) { return packet.NewPool(maxFrames) })
	s.registerDevices()
	s.datapathTypes()
	if o.DummyNUMA != "" {
		s.cpus = userspace.DummyCPUs(o.DummyNUMA)
	} else {
		s.cpus = userspace.DiscoverCPUs()
	}
	now := d.Clock.Now()
	db := vswitch.Open([]string{o.Remote}, bridge.LockName, stream.Options{RunDir: d.Dirs.Run, TLS: d.TLS}, now)
	s.bridges = bridge.New(bridge.Env{
		DB: db, RunDir: d.Dirs.Run, Program: d.Name, TLS: d.TLS,
		OpenDatapath: s.openDatapath, DatapathTypes: s.types, DeviceType: s.deviceType,
		Dummy: o.Dummy, Ready: o.Ready, Unconfined: !d.SelfConfined(),
		NextHop: s.nextHop, Native: s.native, HostStats: s.hostStats,
		Export: ofproto.ExportEnv{Wall: d.Clock.Wall, DeviceAddr: s.deviceAddr, SourceOf: s.sourceOf},
	})
	appctl.Register(d.Ctl, &appctl.Env{Bridges: s.bridges, Native: s.native, TunnelPorts: &s.tunnelPorts, Program: d.Name, Now: d.Clock.Now,
		NewDatapath: s.userDatapath, DatapathTypes: s.types}, o.Dummy)
	d.OnMemory(s.memory)
	if o.Dummy {
		d.Clock.RegisterTimeCommands(d.Ctl)
		d.Clock.OnSettle(s.settled)
		dummy.SetClock(d.Clock)
	}
	return s
}

func (s *Switch) registerDevices() {
	system.Register()
	tap.Register()
	afxdp.Register(s.pool)
	vhostuser.Register()
	vport.RegisterPatch()
	vport.RegisterTunnels(egress{&s.native.Routes})
	if s.opts.Dummy {
		dummy.Enable(s.opts.DummyLevel)
		action.AllowDebug()
	}
}

// datapathTypes finds out which datapath types there are and which of them are for
// tests.
func (s *Switch) datapathTypes() {
	s.types = []string{"netdev"}
	if !s.opts.DisableSystem {
		s.types = append(s.types, "system")
	}
	if !s.opts.Dummy {
		return
	}
	s.dummies = []string{"dummy"}
	switch s.opts.DummyLevel {
	case dummy.LevelOverride:
		// Also a type that is disabled, as in stock when that option comes behind.
		s.types = []string{"netdev", "system"}
		s.dummies = append(s.dummies, s.types...)
	case dummy.LevelOverrideSystem:
		s.dummies = append(s.dummies, "system")
		if !slices.Contains(s.types, "system") {
			s.types = append(s.types, "system")
		}
	}
	s.types = append(s.types, "dummy")
	slices.Sort(s.types)
}

// openDatapath makes the datapath of a type.
func (s *Switch) openDatapath(typ string) (dpif.Dpif, error) {
	if !slices.Contains(s.types, typ) {
		return nil, unix.EAFNOSUPPORT
	}
	pool, err := s.pool()
	if err != nil {
		return nil, err
	}
	if typ == "system" && !slices.Contains(s.dummies, typ) {
		log.Info("datapath type \"system\" is served by the userspace datapath")
	}
	return s.newDatapath(typ, "ovs-"+typ, pool), nil
}

func (s *Switch) newDatapath(typ, name string, pool *packet.Pool) dpif.Dpif {
	d := userspace.New(userspace.Options{Type: typ, Name: name, Clock: s.d.Clock, Pool: pool, CPUs: s.cpus,
		Dummy: slices.Contains(s.dummies, typ), FormatFlow: ofp.AppendFlow, TunnelPorts: &s.tunnelPorts})
	d.SetConntrack(conntrack.New())
	return d
}

// userDatapath makes a datapath for dpctl/add-dp.
func (s *Switch) userDatapath(typ, name string) (dp dpif.Dpif, localType string, err error) {
	if !slices.Contains(s.types, typ) {
		return nil, "", unix.EAFNOSUPPORT
	}
	pool, err := s.pool()
	if err != nil {
		return nil, "", err
	}
	return s.newDatapath(typ, name, pool), s.deviceType(typ, "internal"), nil
}

// deviceType is the class of devices that serves an Interface type on a datapath.
func (s *Switch) deviceType(datapath, typ string) string {
	if typ != "internal" {
		return typ
	}
	if slices.Contains(s.dummies, datapath) {
		return "dummy-internal"
	}
	return "tap"
}

// nextHop finds the next hop from a datapath's local ports; test devices have none.
func (s *Switch) nextHop(datapath string, remote netip.Addr) (netdev.MAC, bool) {
	if slices.Contains(s.dummies, datapath) {
		return netdev.MAC{}, false
	}
	return rtnl.NextHop(remote)
}

// sourceOf finds the host's own address on the way to another host.
func (s *Switch) sourceOf(to netip.Addr) (netip.Addr, bool) {
	if r, ok := s.native.Routes.Lookup(to, 0); ok {
		return r.Source, r.Source.IsValid()
	}
	if s.opts.DisableSystemRoute {
		return netip.Addr{}, false
	}
	return rtnl.SourceOf(to)
}

// deviceAddr is the first address of a network device that is good for more than its
// link.
func (s *Switch) deviceAddr(name string) (netip.Addr, bool) {
	for _, a := range s.native.Addrs(name) {
		if !a.IsLinkLocalUnicast() {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// hostStats reads what the database tells of the host.
func (s *Switch) hostStats() map[string]string {
	h := hoststats.Host{Proc: "/proc", RunDir: s.d.Dirs.Run, Pid: s.d.PidfileOwner, Statfs: unix.Statfs}
	return h.Collect()
}

// Run does one turn.  Commands are the daemon's and come after it.
func (s *Switch) Run(now int64) {
	s.native.Run(now)
	s.bridges.Run(now)
}

// Wait says when Run has something to do.
func (s *Switch) Wait(set *poll.Set) {
	s.bridges.Wait(set)
	s.native.Wait(set)
}

// Exit ends the switch; cleanup takes the internal ports too.
func (s *Switch) Exit(cleanup bool) { s.bridges.Exit(cleanup, s.d.Clock.Now()) }

// settled says whether all that the last step of time/warp caused is done.
func (s *Switch) settled() bool {
	var set poll.Set
	s.bridges.Wait(&set)
	at, timed := set.Deadline()
	return !timed || at > s.d.Clock.Now()
}

func (s *Switch) memory() []daemon.Count {
	usage := map[string]uint64{}
	s.bridges.MemoryUsage(usage)
	var out []daemon.Count
	for name, n := range usage {
		out = append(out, daemon.Count{Name: name, N: n})
	}
	slices.SortFunc(out, func(a, b daemon.Count) int { return strings.Compare(a.Name, b.Name) })
	return out
}
