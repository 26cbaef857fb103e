package ofproto

import (
	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
)

// Datapath is what a Switch needs of the Backer that serves it.  The control thread
// calls it.
type Datapath interface {
	// SwitchAdd and SwitchDel say that the bridge exists from now on, or no longer.
	SwitchAdd(sw *Switch) error
	SwitchDel(sw *Switch)

	// PortAdd puts p.Dev into the datapath and sets p.DPPort; PortDel takes it out.
	PortAdd(sw *Switch, p *Port) error
	PortDel(sw *Switch, p *Port) error

	// InBatch reports that ports are being added by the batch; Apply of each switch
	// follows it.
	InBatch() bool

	// Configured says that what translation reads of sw may have changed: the
	// configuration, or the ports and their state.  Tables, groups and meters it
	// reads by version; for those there is FlowsChanged.
	Configured(sw *Switch)
	// PortsChanged says that links or addresses of ports, or the state of bonds or
	// link protocols have changed; toggled, that ports can carry packets now, or no
	// longer.
	PortsChanged(sw *Switch, toggled bool)
	FlowsChanged(sw *Switch)

	// ForgetAddresses forgets all that was learned of stations and of listeners to
	// groups; ForgetPort the stations behind p.  MoveAddresses says that those behind
	// one port are behind another.
	ForgetAddresses(sw *Switch)
	ForgetPort(sw *Switch, p *Port)
	MoveAddresses(sw *Switch, from, to *Port)

	// PacketOut runs actions on a packet, as if it came in by po.Flow.InPort.
	PacketOut(sw *Switch, po *PacketOut, now int64) error
	// PreparePacketOut translates a packet as the tables are in version, which is not
	// published yet, and returns what sends it.  Until that is called nothing changes.
	PreparePacketOut(sw *Switch, po *PacketOut, version uint64, now int64) (send func() error, err error)
	// Resume goes on with a packet that waited for a controller.
	Resume(sw *Switch, pin *ofp.PacketIn, now int64) error

	// DumpSeq changes when the revalidators finish a dump: rule statistics are
	// fresh then.
	DumpSeq() uint64

	// WaitDump calls fn on the control loop when the statistics of all packets that
	// the datapath handled before this call are counted in the rules.
	WaitDump(fn func())

	// Meters of the datapath.  MeterSet with id NoMeter makes a new one.
	MeterFeatures() dpif.MeterFeatures
	MeterSet(id uint32, cfg dpif.MeterConfig) (uint32, error)
	MeterGet(id uint32) (dpif.MeterStats, error)
	MeterDel(id uint32) error

	// Bonds of the datapath, and what they need to know of other layers.
	bondDatapath

	// CTFlush deletes connections; see ofp.CTFlush.
	CTFlush(*ofp.CTFlush) error
}

// NoMeter is no datapath meter.
const NoMeter = ^uint32(0)

// PacketOut is a packet that a controller sends.  The flow has the metadata; its
// other fields are those of the packet.
type PacketOut struct {
	Packet  []byte
	Flow    flow.Flow
	Actions action.List
}

// PacketIn is a packet for controllers, as translation produces it.
type PacketIn struct {
	ofp.PacketIn
	ControllerID uint16
	// MaxLen is what the action asked for.  The packet is sent whole all the same, as
	// in stock, which keeps no buffers to send the rest from.
	MaxLen int
}
