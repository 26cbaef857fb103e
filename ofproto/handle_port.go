package ofproto

import (
	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/ofproto/connmgr"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
)

// This file has the requests about ports.

func (sw *Switch) handlePortMod(r *request) error {
	pm := r.msg.(*ofp.PortMod)
	p, err := sw.checkPortMod(pm)
	if err != nil {
		return err
	}
	sw.portMod(r.Conn, p, pm)
	return nil
}

// checkPortMod finds the port that pm changes.
func (sw *Switch) checkPortMod(pm *ofp.PortMod) (*Port, error) {
	p := sw.ports.byNumber[pm.PortNo]
	if p == nil {
		return nil, oferr.OFPPMFC_BAD_PORT
	}
	if p.Desc.HWAddr != pm.HWAddr {
		return nil, oferr.OFPPMFC_BAD_HW_ADDR
	}
	return p, nil
}

// portMod changes a port on behalf of source.
func (sw *Switch) portMod(source *connmgr.Conn, p *Port, pm *ofp.PortMod) {
	toggle := (pm.Config ^ p.Desc.Config) & pm.Mask
	if toggle&ofp.PortDown != 0 {
		if err := p.Dev.SetAdminUp(pm.Config&ofp.PortDown == 0); err != nil {
			toggle &^= ofp.PortDown
		}
	}
	if toggle == 0 {
		return
	}
	old := p.Desc
	p.Desc.Config ^= toggle
	p.live(&p.Desc)
	sw.dp.Configured(sw)
	sw.conns.SendPortStatus(source, &old, &p.Desc, ofp.PortModified)
}

// selectPorts returns the ports that a request asks for: one, none, or all.
func (sw *Switch) selectPorts(no uint32) []*Port {
	if no == flow.OFPNone {
		return sw.ports.sorted
	}
	if p := sw.ports.byNumber[no]; p != nil {
		return []*Port{p}
	}
	return nil
}

func (sw *Switch) handlePortStats(r *request) error {
	b := ofp.NewReplyBuilder(r.h, r.Protocol())
	for _, p := range sw.selectPorts(r.msg.(*ofp.PortStatsRequest).PortNo) {
		st := ofp.PortStats{PortNo: p.OFPort, PortCounters: portCounters(p.Dev.Stats())}
		st.DurationSec, st.DurationNsec = duration(p.created, r.now)
		for _, c := range p.Dev.CustomStats() {
			st.Custom = append(st.Custom, ofp.CustomCounter{Name: c.Name, Value: c.Value})
		}
		b.Add(&st)
	}
	sendAll(r.Conn, b.Parts())
	return nil
}

// portCounters converts a device's counters.  What devices do not tell is unknown.
func portCounters(s dpif.DeviceStats) ofp.PortCounters {
	const none = dpif.Unsupported
	return ofp.PortCounters{
		RxPackets: s.RxPackets, TxPackets: s.TxPackets, RxBytes: s.RxBytes, TxBytes: s.TxBytes,
		RxDropped: s.RxDropped, TxDropped: s.TxDropped, RxErrors: s.RxErrors, TxErrors: s.TxErrors,
		RxFrameErrors: s.RxFrameErrors, RxOverErrors: s.RxOverErrors, RxCRCErrors: s.RxCRCErrors, Collisions: s.Collisions,
		Rx1To64: none, Rx65To127: none, Rx128To255: none, Rx256To511: none, Rx512To1023: none, Rx1024To1522: none, Rx1523ToMax: none,
		Tx1To64: none, Tx65To127: none, Tx128To255: none, Tx256To511: none, Tx512To1023: none, Tx1024To1522: none, Tx1523ToMax: none,
		TxMulticast: none, RxBroadcast: none, TxBroadcast: none, Multicast: s.Multicast,
		RxUndersized: none, RxOversize: none, RxFragmented: none, RxJabber: none,
	}
}

func (sw *Switch) handlePortDesc(r *request) error {
	b := ofp.NewReplyBuilder(r.h, r.Protocol())
	for _, p := range sw.selectPorts(r.msg.(*ofp.PortDescRequest).PortNo) {
		b.Add(&p.Desc)
	}
	sendAll(r.Conn, b.Parts())
	return nil
}
