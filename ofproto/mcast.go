package ofproto

import (
	"errors"

	"sluice/ofproto/mcast"
)

// configureMcast makes multicast snooping what cfg says.
func (r *switchRef) configureMcast(cfg *SwitchConfig) {
	c := cfg.Mcast
	if c == nil {
		r.mcast = nil
		return
	}
	if r.mcast == nil {
		r.mcast = mcast.New()
	}
	r.mcast.SetIdleTime(c.IdleSec)
	r.mcast.SetMaxEntries(c.MaxEntries)
	r.mcast.SetFloodUnregistered(c.FloodUnreg)
	ports := make([]mcast.PortConfig, 0, len(cfg.Bundles))
	for i := range cfg.Bundles {
		name := cfg.Bundles[i].Name
		if ref := r.bundles[name]; ref != nil {
			p := c.Ports[name]
			ports = append(ports, mcast.PortConfig{Port: ref.id, Flood: p.Flood, FloodReports: p.FloodReports})
		}
	}
	r.mcast.SetPorts(ports)
}

// forgetGroups forgets what listeners and routers said.
func (r *switchRef) forgetGroups() {
	if r.mcast != nil {
		r.mcast.Flush()
	}
}

var errNoSnooping = errors.New("multicast snooping is disabled")

// MDBShow is mdb/show.
func (b *Backer) MDBShow(sw *Switch, now int64) (string, error) {
	r := b.bySwitch[sw]
	if r.mcast == nil {
		return "", errNoSnooping
	}
	return string(r.mcast.AppendShow(nil, r.portText, now)), nil
}

// MDBFlush is mdb/flush for one bridge.
func (b *Backer) MDBFlush(sw *Switch) error {
	r := b.bySwitch[sw]
	if r.mcast == nil {
		return errNoSnooping
	}
	r.forgetGroups()
	return nil
}

// ForgetAddresses implements Datapath.
func (b *Backer) ForgetAddresses(sw *Switch) {
	if r := b.bySwitch[sw]; r != nil {
		r.ml.Flush()
		r.forgetGroups()
	}
}

// ForgetPort implements Datapath.
func (b *Backer) ForgetPort(sw *Switch, p *Port) {
	if r := b.bySwitch[sw]; r != nil {
		if ref := r.bundleOf(p); ref != nil {
			r.ml.FlushPort(ref.id)
		}
	}
}

// MoveAddresses implements Datapath.
func (b *Backer) MoveAddresses(sw *Switch, from, to *Port) {
	if r := b.bySwitch[sw]; r != nil {
		if x, y := r.bundleOf(from), r.bundleOf(to); x != nil && y != nil {
			r.ml.MovePort(x.id, y.id)
		}
	}
}

// bundleOf returns the bundle that p is in, or nil.
func (r *switchRef) bundleOf(p *Port) *bundleRef {
	for _, ref := range r.bundles {
		for _, m := range ref.cfg.Members {
			if m.OFPort == p.OFPort {
				return ref
			}
		}
	}
	return nil
}
