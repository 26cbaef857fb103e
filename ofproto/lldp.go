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
	wanted := map[*Port]bool{}
	aa := &l.sw.cfg.AutoAttach
	l.sw.eachMember(func(p *Port, c *MemberConfig) {
		if !c.LLDP {
			return
		}
		wanted[p] = true
		cfg := lldp.Config{Chassis: p.Desc.HWAddr, SystemName: aa.SystemName, SystemDesc: aa.SystemDesc, Mappings: aa.Mappings}
		if a, ok := l.on(p); ok {
			a.Configure(cfg)
		} else {
			l.add(p, lldp.New(p.Name, cfg, now))
		}
	})
	for _, e := range slices.Clone(l.list) {
		if !wanted[e.port] {
			l.portGone(e.port)
		}
	}
	return len(l.list) > 0
}

func (l *lldpPorts) portGone(p *Port) { l.remove(p) }

func (l *lldpPorts) receive(p *Port, frame []byte, now int64) {
	if a, ok := l.on(p); ok {
		a.Receive(frame, now)
	}
}

func (l *lldpPorts) run(now int64) bool {
	l.linkMachines.run(now, nil)
	return false
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
