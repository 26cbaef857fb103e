package bridge

import (
	"math"
	"strings"

	"sluice/netdev"
	"sluice/ofproto/proto/lacp"
)

// lacpConfig reads LACP of a port; nil: it is off.
func (br *bridge) lacpConfig(p *port) *lacp.Config {
	if p.row == nil {
		return nil
	}
	mode := val(p.row.Lacp)
	switch mode {
	case "active", "passive":
	case "", "off":
		return nil
	default:
		log.Warn("port %s: unknown LACP mode %s", p.name, mode)
		return nil
	}
	oc := p.row.OtherConfig
	c := &lacp.Config{
		Name:       p.name,
		SysID:      br.ea,
		Active:     mode == "active",
		Fast:       strings.EqualFold(oc["lacp-time"], "fast"),
		FallbackAB: mapBool(oc, "lacp-fallback-ab", false),
	}
	if id, ok := oc["lacp-system-id"]; ok {
		mac, err := parseMAC(id)
		if err != nil {
			log.Warn("port %s: LACP system ID (%s) must be an Ethernet address.", p.name, id)
			return nil
		}
		c.SysID = mac
	}
	if c.SysID == (netdev.MAC{}) {
		log.Warn("port %s: Invalid zero LACP system ID.", p.name)
		return nil
	}
	// A bond goes first where nobody says what does.
	c.SysPriority = math.MaxUint16
	if len(p.ifaces) > 1 {
		c.SysPriority--
	}
	if n := mapInt(oc, "lacp-system-priority", 0); n > 0 && n <= math.MaxUint16 {
		c.SysPriority = uint16(n)
	}
	return c
}

// lacpMember reads LACP of an interface.
func lacpMember(i *iface) lacp.MemberConfig {
	c := lacp.MemberConfig{Name: i.name, PortID: uint16(shownPort(i.ofport)), Priority: math.MaxUint16}
	if i.row == nil {
		return c
	}
	oc := i.row.OtherConfig
	if n := mapInt(oc, "lacp-port-id", 0); n > 0 && n <= math.MaxUint16 {
		c.PortID = uint16(n)
	}
	if n := mapInt(oc, "lacp-port-priority", 0); n > 0 && n <= math.MaxUint16 {
		c.Priority = uint16(n)
	}
	if n := mapInt(oc, "lacp-aggregation-key", 0); n > 0 && n <= math.MaxUint16 {
		c.Key = uint16(n)
	}
	return c
}

// lacpCurrent is the column lacp_current.
func (br *bridge) lacpCurrent(i *iface) *bool {
	if current, ok := br.sw.LACPCurrent(i.ofport); ok {
		return &current
	}
	return nil
}

// lacpChanged says whether LACP of an interface is in another state than the database
// was told.
func (br *bridge) lacpChanged(i *iface) bool {
	now := br.lacpCurrent(i)
	return (now == nil) != (i.shownLACP == nil) || now != nil && *now != *i.shownLACP
}

func (w *statusWriter) lacpStatus(br *bridge, i *iface) {
	i.shownLACP = br.lacpCurrent(i)
	i.row.SetLacpCurrent(w.txn, i.shownLACP)
}
