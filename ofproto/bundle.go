package ofproto

import (
	"reflect"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/ofproto/maclearn"
	"sluice/ofproto/ofp"
	"sluice/ofproto/xlate"
)

// bundleRef is the identity of a bundle over all snapshots, and its configuration.
type bundleRef struct {
	id  xlate.BundleID
	cfg BundleConfig
}

// vlans returns the part of c that the addresses learned on the bundle depend on.
func (c *BundleConfig) vlans() BundleConfig {
	out := *c
	out.Members, out.Bond, out.LACP = nil, nil, nil
	return out
}

// isPatch reports that p has no datapath port: packets to it go on in the bridge of
// its peer.
func isPatch(p *Port) bool { return p.Type == "patch" }

// WithoutPeer reports that a port of a switch is a patch port without a port at the
// other end that names it in turn, and the name that it would have.
func (b *Backer) WithoutPeer(sw *Switch, ofport uint32) (peer string, lacks bool) {
	r, p := b.bySwitch[sw], sw.Port(ofport)
	if r == nil || p == nil || !isPatch(p) {
		return "", false
	}
	x := b.udpif.Snapshot().PortByID(r.ports[p])
	if x == nil || x.PeerName == "" || x.Peer != nil {
		return "", false
	}
	return x.PeerName, true
}

// configure takes over the configuration of a switch as far as addresses are
// learned by it: bundles that went or changed forget theirs.
func (b *Backer) configure(r *switchRef) {
	cfg := r.sw.Config()
	if cfg.MACAgingSec > 0 {
		r.ml.SetIdleTime(cfg.MACAgingSec)
	} else {
		r.ml.SetIdleTime(maclearn.DefaultIdleTime)
	}
	if cfg.MACTableSize > 0 {
		r.ml.SetMaxEntries(cfg.MACTableSize)
	} else {
		r.ml.SetMaxEntries(maclearn.DefaultMaxEntries)
	}
	if r.ml.SetFloodVLANs(vlanSet(cfg.FloodVLANs)) {
		r.ml.Flush()
	}
	r.configureMirrors(cfg.Mirrors)
	seen := make(map[string]bool, len(cfg.Bundles))
	for i := range cfg.Bundles {
		c := &cfg.Bundles[i]
		seen[c.Name] = true
		ref := r.bundles[c.Name]
		if ref == nil {
			ref = &bundleRef{id: b.nextBundle}
			b.nextBundle++
			r.bundles[c.Name] = ref
		} else if !reflect.DeepEqual(ref.cfg.vlans(), c.vlans()) {
			r.ml.FlushPort(ref.id)
			if r.mcast != nil {
				r.mcast.FlushPort(ref.id)
			}
		}
		ref.cfg = *c
	}
	for name, ref := range r.bundles {
		if !seen[name] {
			b.forget(r, r.ml.Retire(ref.id))
			delete(r.bundles, name)
		}
	}
	r.configureMcast(cfg)
}

// forget drops addresses that were on a bundle of r, now gone, from the other
// bridges: what was behind it may have moved, and they learned it through r.
func (b *Backer) forget(r *switchRef, gone []maclearn.Entry) {
	for _, other := range b.switches {
		if other == r {
			continue
		}
		for _, e := range gone {
			other.ml.Forget(e.MAC, e.VLAN)
		}
	}
}

// publish makes a snapshot of all switches and lets translation use it.
func (b *Backer) publish() { b.udpif.SetSnapshot(b.snapshot()) }

// snapshot describes all switches to translation.
func (b *Backer) snapshot() *xlate.Snapshot {
	bridges := make([]*xlate.Bridge, 0, len(b.switches))
	for _, r := range b.switches {
		bridges = append(bridges, b.bridge(r))
	}
	s := xlate.Build(bridges, b.tunnels.Map())
	s.Native, s.Asks = b.native.host, &b.native.asks
	return s
}

// bridge describes a switch to translation.
func (b *Backer) bridge(r *switchRef) *xlate.Bridge {
	cfg := r.sw.Config()
	br := &xlate.Bridge{
		ID: r.id, Name: r.sw.Name(), Tables: r.sw.Tables, ML: r.ml, Mcast: r.mcast, ForwardBPDU: cfg.ForwardBPDU,
		Support: b.support, ControllerMeter: xlate.NoMeter, SlowpathMeter: xlate.NoMeter,
		HasController: r.alive, MissToController: r.wantsMiss, TunTable: r.sw.TunTable(),
	}
	if m := r.sw.Tables.Meter(ofp.MeterController); m != nil {
		br.ControllerMeter = m.Provider
	}
	if m := r.sw.Tables.Meter(ofp.MeterSlowpath); m != nil {
		br.SlowpathMeter = m.Provider
	}
	ports := map[uint32]*xlate.Port{}
	for _, p := range r.sw.Ports() {
		x := &xlate.Port{
			ID: r.ports[p], Name: p.Name, OFPort: p.OFPort, ODP: p.DPPort, MAC: flow.MAC(p.Desc.HWAddr),
			Config: uint32(p.Desc.Config), MayEnable: p.MayEnable && p.Desc.State&ofp.PortLinkDown == 0,
		}
		for _, pr := range r.sw.protocols.active {
			pr.describe(p, x)
		}
		if isPatch(p) {
			if dev, ok := p.Dev.(interface{ Peer() string }); ok {
				x.PeerName = dev.Peer()
			}
			x.MayEnable = p.MayEnable // it has no link of its own
			x.PTMode = xlate.PacketTypeAware
		}
		if dev := tunnelDevice(p); dev != nil {
			x.Tunnel = dev.Tunnel()
			x.PTMode = x.Tunnel.PTMode
			if _, ok := b.tunnels.Get(uint64(x.ID)); !ok {
				x.ODP = dpif.PortNone
			}
		} else if n := b.native.host; n != nil && !isPatch(p) {
			x.Addrs = n.Addrs(p.Name)
		}
		for queue, dscp := range cfg.QueueDSCP[p.OFPort] {
			if x.SkbPriorities == nil {
				x.SkbPriorities = map[uint32]uint8{}
			}
			x.SkbPriorities[xlate.QueuePriority(queue)] = dscp << 2
		}
		x.Counters, _ = p.Dev.(xlate.Counter)
		ports[p.OFPort] = x
		br.Ports = append(br.Ports, x)
	}
	for i := range cfg.Bundles {
		c := &cfg.Bundles[i]
		if ref := r.bundles[c.Name]; ref != nil {
			bu := bundle(ref.id, c, ports)
			bu.Bond = r.sw.bonds.view(c.Name)
			br.Bundles = append(br.Bundles, bu)
		}
	}
	r.describeMirrors(br, cfg.Mirrors)
	r.sw.exports.describe(br)
	return br
}

// bundle describes a bundle to translation.
func bundle(id xlate.BundleID, c *BundleConfig, ports map[uint32]*xlate.Port) *xlate.Bundle {
	bu := &xlate.Bundle{
		ID: id, Name: c.Name, Trunks: vlanSet(c.Trunks), CVLANs: vlanSet(c.CVLANs), QinQType: c.QinQEthType,
		PrioTags: xlate.PriorityTags(c.PriorityTags), Protected: c.Protected,
	}
	if c.Tag >= 0 {
		bu.VLAN = uint16(c.Tag) & flow.VLANVIDMask
	}
	switch c.VLANMode {
	case VLANAccess:
		bu.Mode, bu.Trunks = xlate.VLANAccess, nil
	case VLANTrunk:
		bu.Mode = xlate.VLANTrunk
	case VLANNativeTagged:
		bu.Mode = xlate.VLANNativeTagged
	case VLANNativeUntagged:
		bu.Mode = xlate.VLANNativeUntagged
	case VLANDot1QTunnel:
		bu.Mode = xlate.VLANDot1qTunnel
	}
	if native := bu.Mode == xlate.VLANNativeTagged || bu.Mode == xlate.VLANNativeUntagged; native && bu.VLAN != 0 {
		// Such a port always carries its native VLAN, and frames without a tag
		// are of that VLAN, never of VLAN 0.
		if bu.Trunks == nil {
			bu.Trunks = &maclearn.VLANSet{}
			for i := range bu.Trunks {
				bu.Trunks[i] = ^uint64(0)
			}
		}
		bu.Trunks.Add(bu.VLAN)
		bu.Trunks[0] &^= 1
	}
	for _, m := range c.Members {
		if p := ports[m.OFPort]; p != nil {
			bu.Ports = append(bu.Ports, p)
		}
	}
	return bu
}

// vlanSet makes a set of a list; an empty list is nil, which means all or none by
// where it is used.
func vlanSet(vlans []uint16) *maclearn.VLANSet {
	if len(vlans) == 0 {
		return nil
	}
	s := &maclearn.VLANSet{}
	for _, v := range vlans {
		s.Add(v & flow.VLANVIDMask)
	}
	return s
}

// prepareGroup computes how a group chooses buckets when it is set up, rather than
// with its first packet.
func (sw *Switch) prepareGroup(id uint32) {
	if g := sw.Tables.Group(sw.Tables.Version(), id); g != nil && g.Type == ofp.GroupTypeSelect {
		xlate.PrepareGroup(g)
	}
}
