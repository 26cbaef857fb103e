package ofproto

import (
	"cmp"
	"math"
	"slices"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/ofproto/ofp"
)

// Port is an OpenFlow port of a Switch.  The control thread owns it; translation
// gets copies of what it needs through Datapath.Configured.
type Port struct {
	OFPort uint32
	Name   string
	Type   string // of the device
	Dev    dpif.Device
	DPPort uint32   // set by Datapath.PortAdd
	Desc   ofp.Port // as OpenFlow describes it, with Config and State

	// MayEnable says that no link protocol (BFD, CFM, LACP) keeps the port from
	// carrying packets.
	MayEnable bool

	enabled   bool // MayEnable as controllers know it
	created   int64
	changeSeq uint64
}

// LocalPort is the OpenFlow number of the bridge's own port.
const LocalPort = flow.OFPLocal

const (
	maxPorts   = 0xff00  // the least port number that cannot exist
	maxAuto    = 1 << 15 // automatic numbers stay below
	portHoldMs = 60 * 60 * 1000
	inUse      = math.MaxInt64
)

// portSet is the ports of a switch.
type portSet struct {
	byNumber map[uint32]*Port
	byName   map[string]*Port
	sorted   []*Port          // by number; replaced, never edited
	used     map[uint32]int64 // when a number was last in use, inUse: now
	last     uint32           // the last number given out automatically
}

func (ps *portSet) init() {
	ps.byNumber, ps.byName, ps.used = map[uint32]*Port{}, map[string]*Port{}, map[uint32]int64{}
}

// number returns the number for a new port: want if it can be had, else one that was
// not in use lately, so that old flows do not apply to a new device.
func (ps *portSet) number(want uint32, now int64) (uint32, bool) {
	if want == LocalPort && ps.byNumber[want] == nil {
		return want, true
	}
	if want != 0 && want < maxPorts && ps.used[want] != inUse {
		return want, true
	}
	oldest, at := uint32(0), int64(inUse)
	for range maxAuto - 1 {
		if ps.last++; ps.last >= maxAuto {
			ps.last = 1
		}
		used, ok := ps.used[ps.last]
		if !ok || used != inUse && used < now-portHoldMs {
			return ps.last, true
		}
		if used < at {
			oldest, at = ps.last, used
		}
	}
	return oldest, oldest != 0
}

// add and remove keep the indexes.  A list in order is not sorted anew for each of
// thousands of ports.
func (ps *portSet) add(p *Port) {
	ps.byNumber[p.OFPort], ps.byName[p.Name] = p, p
	at, _ := ps.find(p.OFPort)
	ps.sorted = slices.Concat(ps.sorted[:at], []*Port{p}, ps.sorted[at:])
}

func (ps *portSet) remove(p *Port) {
	delete(ps.byNumber, p.OFPort)
	delete(ps.byName, p.Name)
	at, _ := ps.find(p.OFPort)
	ps.sorted = slices.Concat(ps.sorted[:at], ps.sorted[at+1:])
}

// find returns where in the list a number is or would be.
func (ps *portSet) find(no uint32) (int, bool) {
	return slices.BinarySearchFunc(ps.sorted, no, func(p *Port, no uint32) int { return cmp.Compare(p.OFPort, no) })
}

func (sw *Switch) addPort(dev dpif.Device, want uint32, now int64) (uint32, error) {
	ps := &sw.ports
	if ps.byName[dev.Name()] != nil {
		return flow.OFPNone, unix.EEXIST
	}
	no, ok := ps.number(want, now)
	if !ok {
		return flow.OFPNone, unix.ENOSPC
	}
	p := &Port{OFPort: no, Name: dev.Name(), Type: dev.Type(), Dev: dev, created: now, MayEnable: true, changeSeq: dev.ChangeSeq()}
	if err := sw.dp.PortAdd(sw, p); err != nil {
		return flow.OFPNone, err
	}
	p.Desc = p.describe()
	if no != LocalPort {
		ps.used[no] = inUse
	}
	ps.add(p)
	sw.conns.SendPortStatus(nil, nil, &p.Desc, ofp.PortAdded)
	if sw.dp.InBatch() {
		sw.configured = false // Apply follows, and does the rest once for all ports
	} else {
		sw.configureProtocols(now)
		sw.configureBonds(now)
	}
	sw.dp.Configured(sw)
	return no, nil
}

func (sw *Switch) delPort(ofport uint32, now int64) error {
	ps := &sw.ports
	p := ps.byNumber[ofport]
	if p == nil {
		return unix.ENODEV
	}
	sw.protocols.portGone(p)
	sw.bondPortGone(p, now)
	sw.conns.SendPortStatus(nil, nil, &p.Desc, ofp.PortDeleted)
	ps.remove(p)
	if ofport != LocalPort {
		ps.used[ofport] = now
	}
	err := sw.dp.PortDel(sw, p)
	sw.dp.Configured(sw)
	return err
}

// describe reads the device's side of an OpenFlow port.
func (p *Port) describe() ofp.Port {
	f := p.Dev.Features()
	d := ofp.Port{
		PortNo: p.OFPort, HWAddr: p.Dev.EtherAddr(), Name: p.Name,
		Curr: ofp.PortFeatures(f.Current), Advertised: ofp.PortFeatures(f.Advertised),
		Supported: ofp.PortFeatures(f.Supported), Peer: ofp.PortFeatures(f.Peer),
	}
	if !p.Dev.AdminUp() {
		d.Config |= ofp.PortDown
	}
	if !p.Dev.Carrier() {
		d.State |= ofp.PortLinkDown
	}
	d.CurrSpeed, d.MaxSpeed = d.Curr.Speed(), d.Supported.Speed()
	return d
}

// live adds or takes PortLive as the rest of the state has it.
func (p *Port) live(d *ofp.Port) {
	if d.Config&ofp.PortDown != 0 || d.State&ofp.PortLinkDown != 0 || !p.enabled {
		d.State &^= ofp.PortLive
	} else {
		d.State |= ofp.PortLive
	}
}

// pollPorts follows the devices.
func (sw *Switch) pollPorts(now int64) {
	changed, toggled := false, false
	for _, p := range sw.ports.sorted {
		if seq := p.Dev.ChangeSeq(); seq != p.changeSeq {
			p.changeSeq = seq
			changed = true
			cUpdate.Inc()
			d := p.describe()
			d.Config |= p.Desc.Config &^ ofp.PortDown
			d.State |= p.Desc.State &^ ofp.PortLinkDown
			sw.setDesc(p, d)
		}
		if may := sw.protocols.mayEnable(p); may != p.MayEnable {
			p.MayEnable = may
			toggled = true
		}
		if may := p.MayEnable && p.Dev.Carrier(); may != p.enabled {
			p.enabled = may
			toggled = true
			sw.setDesc(p, p.Desc)
		}
	}
	if changed || toggled {
		sw.dp.PortsChanged(sw, toggled)
	}
}

// setDesc makes d the description of p, its liveness adapted, and tells controllers of
// a difference.
func (sw *Switch) setDesc(p *Port, d ofp.Port) {
	p.live(&d)
	old := p.Desc
	if d == old {
		return
	}
	p.Desc = d
	sw.conns.SendPortStatus(nil, &old, &d, ofp.PortModified)
}

// SetPortState sets bits of a port's state that protocols decide (STP): those of mask.
func (sw *Switch) SetPortState(ofport uint32, state, mask ofp.PortState) {
	if p := sw.ports.byNumber[ofport]; p != nil {
		d := p.Desc
		d.State = d.State&^mask | state&mask
		sw.setDesc(p, d)
	}
}
