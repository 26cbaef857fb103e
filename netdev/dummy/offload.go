package dummy

import (
	"errors"
	"slices"

	"sluice/netdev"
)

// A dummy device plays hardware that finds flows: it marks their packets and leaves
// all else to the datapath.

var _ netdev.FlowOffloader = (*Device)(nil)

// FlowPut implements netdev.FlowOffloader.
func (d *Device) FlowPut(f *netdev.OffloadFlow) error {
	op := "create"
	d.mu.Lock()
	if i := d.findFlowLocked(f.ID); i >= 0 {
		op = "modify"
		d.flows[i] = *f
	} else {
		d.flows = append(d.flows, *f)
	}
	d.mu.Unlock()
	if log.DbgEnabled() {
		log.Dbg("%s: flow put[%s]: ufid:%s flow match: %s, mark: %d", d.Name(), op, f.ID, f.Match.AppendText(nil, true), f.Mark)
	}
	return nil
}

func (d *Device) findFlowLocked(id netdev.FlowID) int {
	return slices.IndexFunc(d.flows, func(f netdev.OffloadFlow) bool { return f.ID == id })
}

var errNoFlow = errors.New("No such flow.")

// FlowDel implements netdev.FlowOffloader.
func (d *Device) FlowDel(id netdev.FlowID) error {
	d.mu.Lock()
	i := d.findFlowLocked(id)
	if i < 0 {
		d.mu.Unlock()
		log.Warn("%s: failed to flow del: ufid:%s error: %v", d.Name(), id, errNoFlow)
		return errNoFlow
	}
	mark := d.flows[i].Mark
	d.flows = slices.Delete(d.flows, i, i+1)
	d.mu.Unlock()
	log.Dbg("%s: flow del: ufid:%s mark: %d", d.Name(), id, mark)
	return nil
}

// FlowFlush implements netdev.FlowOffloader.
func (d *Device) FlowFlush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flows = nil
}

// FlowGet implements netdev.FlowOffloader: all packets come to the datapath.
func (d *Device) FlowGet(netdev.FlowID) (netdev.OffloadStats, bool) {
	return netdev.OffloadStats{}, false
}

// markLocked returns the mark of a frame's flow, 0 when no flow has it.
func (d *Device) markLocked(frame []byte) uint32 {
	for i := range d.flows {
		f := &d.flows[i]
		if !f.Match.Matches(frame) {
			continue
		}
		if log.DbgEnabled() {
			log.Dbg("%s: packet: %s matches with flow: ufid:%s %s with mark: %d",
				d.Name(), f.Match.AppendFrame(nil, frame), f.ID, f.Match.AppendText(nil, false), f.Mark)
		}
		return f.Mark
	}
	return 0
}
