package ofproto

import (
	"slices"

	"sluice/ofproto/proto/lldp"
	"sluice/ofproto/xlate"
)

// lldpPorts runs LLDP on the ports of a Switch.
type lldpPorts struct {
	linkMachines[*lldp.Agent]
}

func newLLDP(sw *Switch) *lldpPorts {
	return &lldpPorts{newLinkMachines[*lldp.Agent](sw, "LLDP")}
}

func (l *lldpPorts) configure(now int64) bool {
	aa := &l.sw.cfg.AutoAttach
	return l.follow(func(p *Port, c *MemberConfig) bool {
		if !c.LLDP {
			return false
		}
		cfg := lldp.Config{Chassis: p.Desc.HWAddr, SystemName: aa.SystemName, SystemDesc: aa.SystemDesc, Mappings: aa.Mappings}
		if a, ok := l.on(p); ok {
			a.Configure(cfg)
		} else {
			l.add(p, lldp.New(p.Name, cfg, now))
		}
		return true
	})
}

// mayEnable: LLDP only talks about links.
func (l *lldpPorts) mayEnable(*Port) bool { return true }

func (l *lldpPorts) describe(p *Port, x *xlate.Port) {
	if _, ok := l.on(p); ok {
		x.Hears |= xlate.SlowLLDP
	}
}

func (l *lldpPorts) hasChanges() bool {
	return slices.ContainsFunc(l.list, func(e portMachine[*lldp.Agent]) bool { return e.machine.HasChanges() })
}

// TakeVLANChanges calls fn for each VLAN that Auto Attach wants a port to carry, or no
// longer, since the last call.
func (sw *Switch) TakeVLANChanges(fn func(port string, c lldp.Change)) {
	for _, e := range sw.lldp.list {
		for _, c := range e.machine.TakeChanges() {
			fn(e.port.Name, c)
		}
	}
}

// EachLLDP calls fn for the LLDP agent of each port that has one.
func (sw *Switch) EachLLDP(fn func(*lldp.Agent)) {
	for _, e := range sw.lldp.list {
		fn(e.machine)
	}
}
