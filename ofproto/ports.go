package ofproto

import (
	"cmp"
	"maps"
	"slices"

	"sluice/dpif/flow"
	"sluice/netdev"
	"sluice/ofproto/ofp"
)

// Port is an OpenFlow port of a Switch.  The control thread owns it; translation
// gets copies of what it needs through Datapath.Configured.
type Port struct {
	OFPort uint32
	Name   string
	Type   string // of the device
	Dev    netdev.Device
	DPPort uint32   // set by Datapath.PortAdd
	Desc   ofp.Port // as OpenFlow describes it, with Config and State

	// MayEnable says that nothing but the link (BFD, CFM, LACP) keeps the port from
	// carrying packets; Datapath's owner maintains it.
	MayEnable bool

	created   int64
	changeSeq uint64
}

// LocalPort is the OpenFlow number of the bridge's own port.
const LocalPort = flow.OFPLocal

// portSet is the ports of a switch.
type portSet struct {
	byNumber map[uint32]*Port
	byName   map[string]*Port
	sorted   []*Port // by number
	nextFree uint32  // where the search for a free number begins
}

func (ps *portSet) add(sw *Switch, dev netdev.Device, want uint32, now int64) (uint32, error) {
	p := &Port{OFPort: want, Name: dev.Name(), Type: dev.Type(), Dev: dev, created: now, MayEnable: true}
	if ps.byNumber == nil {
		ps.byNumber, ps.byName, ps.nextFree = map[uint32]*Port{}, map[string]*Port{}, 1
	}
	if want == 0 || want == flow.OFPNone || ps.byNumber[want] != nil {
		p.OFPort = ps.free()
	}
	if err := sw.dp.PortAdd(sw, p); err != nil {
		return flow.OFPNone, err
	}
	ps.byNumber[p.OFPort], ps.byName[p.Name] = p, p
	ps.sort()
	sw.dp.Configured(sw)
	return p.OFPort, nil
}

func (ps *portSet) del(sw *Switch, ofport uint32) error {
	p := ps.byNumber[ofport]
	if p == nil {
		return nil
	}
	delete(ps.byNumber, ofport)
	delete(ps.byName, p.Name)
	ps.sort()
	err := sw.dp.PortDel(sw, p)
	sw.dp.Configured(sw)
	return err
}

func (ps *portSet) free() uint32 {
	for n := ps.nextFree; ; n++ {
		if ps.byNumber[n] == nil {
			ps.nextFree = n + 1
			return n
		}
	}
}

func (ps *portSet) sort() {
	ps.sorted = slices.SortedFunc(maps.Values(ps.byNumber), func(a, b *Port) int { return cmp.Compare(a.OFPort, b.OFPort) })
}
