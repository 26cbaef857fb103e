package bridge

import (
	"fmt"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
	"sluice/ofproto"
	"sluice/ofproto/bond"
	"sluice/schema/vswitch"
)

var rlBondMode = vlog.NewLimiter(1, 1)

// bondConfig reads how a port with several interfaces is a bond; nil: it has one
// only.
func (br *bridge) bondConfig(p *port) *ofproto.BondConfig {
	if len(p.ifaces) < 2 || p.row == nil {
		return nil
	}
	r, oc := p.row, p.row.OtherConfig
	c := &ofproto.BondConfig{Config: bond.Config{
		Name:        p.name,
		Mode:        bondMode(r),
		UpDelayMs:   int(max(0, r.BondUpdelay)),
		DownDelayMs: int(max(0, r.BondDowndelay)),
		RebalanceMs: mapInt(oc, "bond-rebalance-interval", 10000),
		Basis:       uint32(mapInt(oc, "bond-hash-basis", 0)),
		FallbackAB:  mapBool(oc, "lacp-fallback-ab", false),
		AllActive:   mapBool(oc, "all-members-active", false),
	}}
	if c.RebalanceMs != 0 && c.RebalanceMs < 1000 {
		c.RebalanceMs = 1000
	}
	if c.Mode == bond.BalanceSLB && len(br.row.FloodVlans) > 0 {
		log.Warn("port %s: SLB bonds are incompatible with flood_vlans, please use another bond type or disable flood_vlans", p.name)
	}
	if c.Mode == bond.ActiveBackup || c.FallbackAB {
		c.Primary = oc["bond-primary"]
	}
	c.LBOutput = c.Mode == bond.BalanceTCP && mapBool(oc, "lb-output-action", false)
	if mac, err := parseMAC(val(r.BondActiveSlave)); err == nil {
		c.ActiveMAC = flow.MAC(mac)
	}
	return c
}

func bondMode(r *vswitch.Port) bond.Mode {
	name := val(r.BondMode)
	mode, ok := bond.ParseMode(name)
	switch {
	case name == "":
		log.WarnRL(rlBondMode, "port %s: Using the default bond_mode %s. Note that in previous versions, the default bond_mode was balance-slb",
			r.Name, bond.ActiveBackup)
	case !ok:
		log.Warn("port %s: unknown bond_mode %s, defaulting to %s", r.Name, name, bond.ActiveBackup)
	}
	return mode
}

// miiMonitored is a device whose link can be asked for time and again, for drivers
// that tell nobody of changes.
type miiMonitored interface{ SetMIIMonitor(ms int) }

// defaultMIIMonitor is bond-miimon-interval where the database has none.
const defaultMIIMonitor = 200

// configureMII sets how the links of a port's interfaces are watched.
func (p *port) configureMII() {
	ms := 0
	if p.row != nil && len(p.ifaces) > 1 {
		ms = miiMonitor(p.row)
	}
	for _, i := range p.ifaces {
		if d, ok := i.dev.(miiMonitored); ok {
			d.SetMIIMonitor(ms)
		}
	}
}

// miiMonitor returns the interval at which links are asked for, in ms; 0: the kernel
// tells of changes.
func miiMonitor(r *vswitch.Port) int {
	switch mode := r.OtherConfig["bond-detect-mode"]; mode {
	case "miimon":
	case "", "carrier":
		return 0
	default:
		log.Warn("port %s: unsupported bond-detect-mode %s, defaulting to carrier", r.Name, mode)
		return 0
	}
	if ms := mapInt(r.OtherConfig, "bond-miimon-interval", 0); ms > 0 {
		return ms
	}
	return defaultMIIMonitor
}

// wantsFake says whether a device with the name of the bond is to exist, for programs
// that look for one.
func (p *port) wantsFake() bool { return p.row != nil && p.row.BondFakeIface && len(p.ifaces) > 1 }

// addFake makes that device.
func (b *Bridges) addFake(br *bridge, p *port, now int64) {
	if p.fake != nil || !p.wantsFake() || br.sw.PortByName(p.name) != nil {
		return
	}
	i := &iface{name: p.name, typ: "internal"}
	if b.open(br, i, now) == "" {
		p.fake = i
	}
}

// dropFake removes it.
func (b *Bridges) dropFake(br *bridge, p *port, keep bool, now int64) {
	if p.fake != nil {
		b.closeIface(br, p.fake, keep, now, true)
		p.fake = nil
	}
}

// activeMAC is the text of bond_active_slave; ok is false: the database need not be
// told.
func (br *bridge) activeMAC(p *port) (text string, ok bool) {
	bd := br.sw.Bond(p.name)
	if bd == nil {
		return "", false
	}
	m, ok := bd.ActiveMAC()
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]), ok
}

// bondChanged says whether the active member is another one than the database was
// told.
func (br *bridge) bondChanged(p *port) bool {
	text, ok := br.activeMAC(p)
	return ok && p.row != nil && text != p.shownActive
}

func (w *statusWriter) bondStatus(br *bridge, p *port) {
	if text, ok := br.activeMAC(p); ok && p.row != nil {
		p.shownActive = text
		p.row.SetBondActiveSlave(w.txn, &text)
	}
}
