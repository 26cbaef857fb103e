package bridge

import (
	"fmt"
	"math"

	"sluice/internal/poll"
	"sluice/netdev"
	"sluice/ofproto"
	"sluice/ofproto/ofp"
	"sluice/ovsdb/client"
	"sluice/schema/vswitch"
)

// statusWriter keeps the columns that others read up to date: link and address when
// they change, statistics every few seconds.  One transaction is in flight at a
// time.
type statusWriter struct {
	txn         *client.Txn
	first       bool // its end makes the process ready
	refreshAll  bool
	statsAt     int64
	statsEvery  int64
	controllers map[client.UUID]string // summary of what was written last
	host        hostStats
	// peersDue is set when patch ports may have lost or found their peers.
	peersDue bool
}

func (w *statusWriter) init() {
	w.statsEvery = 5000
	w.controllers = map[client.UUID]string{}
}

// begin takes over the transaction of a reconfiguration.
func (w *statusWriter) begin(txn *client.Txn, first bool) {
	w.txn, w.first = txn, first
}

func (w *statusWriter) run(b *Bridges, now int64) {
	w.host.run(b, now)
	if every := statsInterval(b.env.DB.Root()); every != w.statsEvery {
		w.statsEvery, w.statsAt = every, now
	}
	if w.txn == nil && w.due(b, now) {
		w.txn = b.env.DB.Begin()
		w.write(b, now)
		w.peerErrors(b)
	} else if w.txn != nil && w.refreshAll {
		w.write(b, now) // a reconfiguration reports the state with cur_cfg
		w.peersDue = true
	}
	if w.txn == nil {
		return
	}
	switch w.txn.Commit() {
	case client.Uncommitted, client.Incomplete:
		return
	case client.Success, client.Unchanged:
		b.forgetVLANChanges()
	case client.Error:
		log.ErrRL(rlAdd, "database refuses the status of the switch: %s", w.txn.Err())
		b.forgetVLANChanges() // it would refuse them again
	default:
		w.refreshAll, w.peersDue = true, true
	}
	w.txn = nil
	if w.first {
		w.first = false
		b.ready()
	}
}

// due says whether there is something to write.
func (w *statusWriter) due(b *Bridges, now int64) bool {
	if w.refreshAll || now >= w.statsAt || w.host.due || w.peersDue {
		return true
	}
	for _, br := range b.bridges {
		for _, p := range br.ports {
			if br.bondChanged(p) {
				return true
			}
			for _, i := range p.ifaces {
				if i.row != nil && (!i.refreshed || i.dev.ChangeSeq() != i.changeSeq || br.lacpChanged(i)) {
					return true
				}
			}
		}
		if br.sw.SpanningTreeSeq() != br.treeSeq || w.controllersChanged(b, br) || br.sw.StatusNews() {
			return true
		}
	}
	return false
}

// wait wakes the loop for the next statistics and for a link that changed.
func (w *statusWriter) wait(b *Bridges, s *poll.Set) {
	w.host.wait(s)
	switch {
	case w.txn != nil:
	case w.refreshAll || w.host.due || w.peersDue || b.statusNews():
		s.Immediate()
	case len(b.bridges) > 0:
		s.Timer(w.statsAt)
	}
}

// forgetVLANChanges: the database has them.
func (b *Bridges) forgetVLANChanges() {
	for _, br := range b.bridges {
		br.vlanChanges = nil
	}
}

// statusNews reports that a link protocol has something to tell.
func (b *Bridges) statusNews() bool {
	for _, br := range b.bridges {
		if br.sw.StatusNews() {
			return true
		}
	}
	return false
}

// write puts the state into the transaction: all of it, or what changed.
func (w *statusWriter) write(b *Bridges, now int64) {
	all := w.refreshAll
	stats := now >= w.statsAt
	w.refreshAll = false
	if stats {
		w.statsAt = now + w.statsEvery
	}
	w.hostStatistics(b)
	for _, br := range b.sorted() {
		changed := false // some device
		br.followMTU()
		br.row.SetDatapathVersion(w.txn, "<built-in>")
		for _, p := range br.sortedPorts() {
			w.bondStatus(br, p)
			for _, i := range p.ifaces {
				if i.row == nil {
					continue
				}
				w.lacpStatus(br, i)
				if stats || !i.refreshed {
					w.statistics(i)
				}
				if seq := i.dev.ChangeSeq(); all || !i.refreshed || seq != i.changeSeq {
					if i.refreshed && seq != i.changeSeq {
						changed = true
						b.setMTU(i) // somebody else may have set another one
					}
					i.changeSeq, i.refreshed = seq, true
					if i.shapedLink != i.dev.Ifindex() {
						b.configureQoS(p, i) // another link took the place of the one that was
					}
					w.netdevStatus(i)
				}
			}
		}
		b.addressChanged = b.addressChanged || changed && br.addressChanged()
		if stats {
			w.mirrorStatistics(b, br)
			w.treeStatistics(br, now)
		}
		if stats || all || br.sw.SpanningTreeSeq() != br.treeSeq {
			w.treeStatus(br, now)
		}
		w.controllerStatus(b, br)
		bfdStatus(w.txn, br, all, now)
		cfmStatus(w.txn, br, all)
		attachVLANs(w.txn, br)
	}
}

// peerErrors writes which patch ports lack their peer.  That comes after cur_cfg: whoever
// adds the two ends one after the other hears nothing of the moment in between.
func (w *statusWriter) peerErrors(b *Bridges) {
	if !w.peersDue {
		return
	}
	w.peersDue = false
	for _, br := range b.sorted() {
		br.eachIface(func(i *iface) {
			if peer, lacks := br.ref.backer.WithoutPeer(br.sw, i.ofport); lacks {
				i.row.SetError(w.txn, ptr(fmt.Sprintf("No usable peer '%s' exists in '%s' datapath.", peer, br.ref.typ)))
			}
		})
	}
}

// addressChanged says whether the ports have other addresses now, so that the bridge
// needs another one.
func (br *bridge) addressChanged() bool {
	ea, own := br.configuredAddress()
	if !own {
		ea = br.lowestAddress(nil)
	}
	return ea != br.ea
}

// netdevStatus writes what the device is like.
func (w *statusWriter) netdevStatus(i *iface) {
	t, r, d := w.txn, i.row, i.dev
	// The link before the status: a device that comes up meanwhile is not shown as up
	// with the status of one that is not set up yet.
	r.SetLinkState(t, choose(d.Carrier(), "up", "down"))
	r.SetStatus(t, d.Status())
	r.SetAdminState(t, choose(d.AdminUp(), "up", "down"))
	r.SetLinkResets(t, ptr(int64(d.CarrierResets())))
	features := ofp.PortFeatures(d.Features().Current)
	if kbps := features.Speed(); kbps > 0 {
		r.SetLinkSpeed(t, ptr(int64(kbps)*1000))
		r.SetDuplex(t, choose(features.FullDuplex(), "full", "half"))
	} else {
		r.SetLinkSpeed(t, nil)
		r.SetDuplex(t, nil)
	}
	if mtu := d.MTU(); mtu > 0 {
		r.SetMtu(t, ptr(int64(mtu)))
	} else {
		r.SetMtu(t, nil)
	}
	if ea := d.EtherAddr(); ea != (netdev.MAC{}) {
		r.SetMacInUse(t, ptr(fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", ea[0], ea[1], ea[2], ea[3], ea[4], ea[5])))
	} else {
		r.SetMacInUse(t, nil)
	}
	index := max(d.Ifindex(), 0)
	if a, ok := d.(interface{ Absent() bool }); ok && a.Absent() {
		index = 0
	}
	r.SetIfindex(t, ptr(int64(index)))
}

// statistics writes the counters that the device has.
func (w *statusWriter) statistics(i *iface) {
	s := i.dev.Stats()
	out := map[string]int64{}
	for _, c := range []struct {
		name string
		v    uint64
	}{
		{"rx_packets", s.RxPackets}, {"tx_packets", s.TxPackets}, {"rx_bytes", s.RxBytes}, {"tx_bytes", s.TxBytes},
		{"rx_dropped", s.RxDropped}, {"tx_dropped", s.TxDropped}, {"rx_errors", s.RxErrors}, {"tx_errors", s.TxErrors},
		{"rx_frame_err", s.RxFrameErrors}, {"rx_over_err", s.RxOverErrors}, {"rx_crc_err", s.RxCRCErrors},
		{"rx_missed_errors", s.RxMissedErrors}, {"collisions", s.Collisions}, {"rx_multicast_packets", s.Multicast},
	} {
		if c.v != netdev.Unsupported {
			out[c.name] = clamp(c.v)
		}
	}
	for _, c := range i.dev.CustomStats() {
		out[c.Name] = clamp(c.Value)
	}
	i.row.SetStatistics(w.txn, out)
}

func clamp(v uint64) int64 { return int64(min(v, math.MaxInt64)) }

// controllersChanged says whether the state of a controller differs from what the
// database was told.
func (w *statusWriter) controllersChanged(b *Bridges, br *bridge) bool {
	if len(br.row.Controller) == 0 {
		return false
	}
	states := br.sw.ControllerStatus()
	for _, r := range refs(br.row.Controller, b.env.DB.Controller) {
		if w.controllers[r.UUID] != summary(states, r) {
			return true
		}
	}
	return false
}

func (w *statusWriter) controllerStatus(b *Bridges, br *bridge) {
	if len(br.row.Controller) == 0 {
		return
	}
	states := br.sw.ControllerStatus()
	for _, r := range refs(br.row.Controller, b.env.DB.Controller) {
		st := states[r.Target]
		w.controllers[r.UUID] = summary(states, r)
		r.SetIsConnected(w.txn, st.IsConnected)
		if st.Role == "" {
			r.SetRole(w.txn, nil)
		} else {
			r.SetRole(w.txn, &st.Role)
		}
		r.SetStatus(w.txn, st.Pairs)
	}
}

// summary is what of a controller's state is news; times pass without being that.
func summary(states map[string]ofproto.ControllerStatus, r *vswitch.Controller) string {
	st, ok := states[r.Target]
	return fmt.Sprint(ok, st.IsConnected, st.Role, st.Pairs["state"], st.Pairs["last_error"])
}
