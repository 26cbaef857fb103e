package bridge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/ofproto"
	"sluice/ofproto/mcast"
	"sluice/ofproto/ofp"
	"sluice/ofproto/proto/bpdu"
	"sluice/ofproto/proto/rstp"
	"sluice/ofproto/proto/stp"
)

// spanningTree reads what concerns STP and RSTP from a Bridge row and its ports into
// cfg, whose mirrors are set.
func spanningTree(br *bridge, cfg *ofproto.SwitchConfig) {
	useSTP := br.row.StpEnable
	if br.row.RstpEnable {
		if useSTP {
			log.WarnRL(rlDup, "%s: RSTP and STP are mutually exclusive but both are configured; enabling RSTP", br.name)
			useSTP = false
		}
		cfg.RSTP = rstpConfig(br, cfg.Mirrors)
	}
	if useSTP {
		cfg.STP = stpConfig(br, cfg.Mirrors)
	}
}

// treeAddress is the bridge's address in its identifier.
func treeAddress(br *bridge, key string) uint64 {
	ea := br.ea
	if s, ok := br.row.OtherConfig[key]; ok {
		m, err := parseMAC(s)
		if err == nil {
			ea = m
		} else {
			log.ErrRL(rlDup, "bridge %s: invalid %s, defaulting to %02x:%02x:%02x:%02x:%02x:%02x", br.name, key,
				ea[0], ea[1], ea[2], ea[3], ea[4], ea[5])
		}
	}
	return macToID(ea)
}

// treeIface returns the interface of a port that takes part in a spanning tree, or nil:
// it is switched off for the port, or the port is of a kind that cannot.
func treeIface(p *port, name, enableKey string, mirrors []ofproto.MirrorConfig) *iface {
	if !mapBool(p.otherConfig(), enableKey, true) {
		return nil
	}
	switch {
	case len(p.ifaces) != 1:
		log.ErrRL(rlDup, "port %s: cannot enable %s on bonds, disabling", p.name, name)
	case p.ifaces[0].typ == "internal":
		log.Dbg("port %s: disable %s on internal ports", p.name, name)
	case slices.ContainsFunc(mirrors, func(m ofproto.MirrorConfig) bool { return m.OutPort == p.name }):
		log.Dbg("port %s: disable %s on mirror ports", p.name, name)
	default:
		return p.ifaces[0]
	}
	return nil
}

func (p *port) otherConfig() map[string]string {
	if p.row == nil {
		return nil
	}
	return p.row.OtherConfig
}

// mbps is the speed of an interface's link; 10 Gb/s if it is not known.
func (i *iface) mbps() uint64 {
	kbps := ofp.PortFeatures(i.dev.Features().Current).Speed()
	if kbps == 0 {
		return 10000
	}
	return uint64(kbps / 1000)
}

func stpConfig(br *bridge, mirrors []ofproto.MirrorConfig) *ofproto.STPConfig {
	oc := br.row.OtherConfig
	c := &ofproto.STPConfig{
		SystemID:       treeAddress(br, "stp-system-id"),
		Priority:       uint16(mapInt(oc, "stp-priority", stp.DefaultPriority)),
		HelloMs:        int64(mapInt(oc, "stp-hello-time", stp.DefaultHelloMs/1000)),
		MaxAgeMs:       int64(mapInt(oc, "stp-max-age", stp.DefaultMaxAgeMs/1000)) * 1000,
		ForwardDelayMs: int64(mapInt(oc, "stp-forward-delay", stp.DefaultForwardMs/1000)) * 1000,
		Ports:          map[uint32]ofproto.STPPortConfig{},
	}
	// The manual page has seconds; releases up to 3.1 take milliseconds.
	if c.HelloMs <= 10 {
		c.HelloMs *= 1000
	}
	next, used := 0, map[int]bool{}
	for _, p := range br.sortedPorts() {
		i := treeIface(p, "STP", "stp-enable", mirrors)
		if i == nil {
			continue
		}
		if pc, ok := stpPort(p, i, &next, used); ok {
			c.Ports[i.ofport] = pc
		}
	}
	if next > 0 && len(used) > 0 {
		log.ErrRL(rlDup, "bridge %s: must manually configure all STP port IDs or none, disabling", br.name)
		return nil
	}
	return c
}

// stpPort reads a port's settings; next is the next number for ports without one of
// their own, used the numbers of the others.
func stpPort(p *port, i *iface, next *int, used map[int]bool) (c ofproto.STPPortConfig, ok bool) {
	oc := p.otherConfig()
	if s, set := oc["stp-port-num"]; set {
		n := number(s)
		switch {
		case n < 1 || n > stp.MaxPorts:
			log.ErrRL(rlDup, "port %s: invalid stp-port-num", p.name)
			return c, false
		case used[int(n)]:
			log.ErrRL(rlDup, "port %s: duplicate stp-port-num %d, disabling", p.name, n)
			return c, false
		}
		used[int(n)] = true
		c.Number = int(n) - 1
	} else {
		if *next >= stp.MaxPorts {
			log.ErrRL(rlDup, "port %s: too many STP ports, disabling", p.name)
			return c, false
		}
		c.Number = *next
		*next++
	}
	c.PathCost = stp.SpeedCost(i.mbps())
	if s, set := oc["stp-path-cost"]; set {
		c.PathCost = uint32(uint16(number(s)))
	}
	c.Priority = stp.DefaultPortPriority
	if s, set := oc["stp-port-priority"]; set {
		c.Priority = uint8(number(s))
	}
	return c, true
}

// number reads a number in any of C's notations; nonsense is 0.
func number(s string) uint64 {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 0, 64)
	if err != nil {
		return 0
	}
	return n
}

func rstpConfig(br *bridge, mirrors []ofproto.MirrorConfig) *ofproto.RSTPConfig {
	oc := br.row.OtherConfig
	c := &ofproto.RSTPConfig{Ports: map[uint32]rstp.PortConfig{}, Config: rstp.Config{
		Address:           treeAddress(br, "rstp-address"),
		Priority:          mapInt(oc, "rstp-priority", rstp.DefaultPriority),
		MaxAgeSec:         mapInt(oc, "rstp-max-age", rstp.DefaultMaxAgeSec),
		ForwardDelaySec:   mapInt(oc, "rstp-forward-delay", rstp.DefaultForwardDelaySec),
		TransmitHoldCount: mapInt(oc, "rstp-transmit-hold-count", rstp.DefaultTransmitHoldCount),
		STPOnly:           mapInt(oc, "rstp-force-protocol-version", 2) == 0,
	}}
	for _, p := range br.sortedPorts() {
		i := treeIface(p, "RSTP", "rstp-enable", mirrors)
		if i == nil {
			continue
		}
		if len(c.Ports) >= rstp.MaxPorts {
			log.ErrRL(rlDup, "port %s: too many RSTP ports, disabling", p.name)
			continue
		}
		if pc, ok := rstpPort(p, i); ok {
			c.Ports[i.ofport] = pc
		}
	}
	return c
}

func rstpPort(p *port, i *iface) (c rstp.PortConfig, ok bool) {
	oc := p.otherConfig()
	c = rstp.PortConfig{
		Priority:  rstp.DefaultPortPriority,
		PathCost:  rstp.SpeedCost(i.mbps()),
		AdminDown: !mapBool(oc, "rstp-admin-port-state", true),
		AdminEdge: mapBool(oc, "rstp-port-admin-edge", false),
		AutoEdge:  mapBool(oc, "rstp-port-auto-edge", true),
		MCheck:    mapBool(oc, "rstp-port-mcheck", false),
	}
	if n := mapInt(oc, "rstp-admin-p2p-mac", int(rstp.P2PForceTrue)); n >= 0 && n <= int(rstp.P2PAuto) {
		c.PointToPoint = rstp.PointToPoint(n)
	}
	if s, set := oc["rstp-port-num"]; set {
		n := number(s)
		if n < 1 || n > rstp.MaxPorts {
			log.ErrRL(rlDup, "port %s: invalid rstp-port-num", p.name)
			return c, false
		}
		c.Number = int(n)
	}
	if s, set := oc["rstp-path-cost"]; set {
		c.PathCost = uint32(number(s))
	}
	if s, set := oc["rstp-port-priority"]; set {
		c.Priority = int(min(number(s), 1<<16))
	}
	return c, true
}

// multicast reads the multicast snooping of a Bridge row and its ports.
func multicast(br *bridge) *ofproto.McastConfig {
	if !br.row.McastSnoopingEnable {
		return nil
	}
	oc := br.row.OtherConfig
	c := &ofproto.McastConfig{
		FloodUnreg: !mapBool(oc, "mcast-snooping-disable-flood-unregistered", false),
		IdleSec:    mapInt(oc, "mcast-snooping-aging-time", 0),
		MaxEntries: mapInt(oc, "mcast-snooping-table-size", 0),
		Ports:      map[string]ofproto.McastPortConfig{},
	}
	if c.IdleSec == 0 {
		c.IdleSec = mcast.DefaultIdleTime
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = mcast.DefaultMaxEntries
	}
	for _, p := range br.ports {
		oc := p.otherConfig()
		c.Ports[p.name] = ofproto.McastPortConfig{
			Flood:        mapBool(oc, "mcast-snooping-flood", false),
			FloodReports: mapBool(oc, "mcast-snooping-flood-reports", false),
		}
	}
	return c
}

// treeStatus writes the state of the spanning trees of a bridge.
func (w *statusWriter) treeStatus(br *bridge, now int64) {
	br.treeSeq = br.sw.SpanningTreeSeq()
	var status, rapid map[string]string
	if s, ok := br.sw.STPStatus(); ok {
		status = map[string]string{"stp_bridge_id": s.BridgeID.String(), "stp_designated_root": s.Root.String(),
			"stp_root_path_cost": fmt.Sprint(s.RootPathCost)}
	}
	if s, ok := br.sw.RSTPStatus(); ok {
		rapid = map[string]string{"rstp_bridge_id": rapidID(s.BridgeID), "rstp_root_id": rapidID(s.RootID),
			"rstp_root_path_cost": fmt.Sprint(s.RootPathCost), "rstp_designated_id": rapidID(s.DesignatedID),
			"rstp_designated_port_id": fmt.Sprintf("%04x", s.DesignatedPort), "rstp_bridge_port_id": fmt.Sprintf("%04x", s.BridgePort)}
	}
	br.row.SetStatus(w.txn, status)
	br.row.SetRstpStatus(w.txn, rapid)
	for _, p := range br.sortedPorts() {
		if p.row == nil {
			continue
		}
		var status, rapid map[string]string
		if i := p.only(); i != nil {
			status, rapid = portTreeStatus(br.sw, i.ofport, now)
		}
		p.row.SetStatus(w.txn, status)
		p.row.SetRstpStatus(w.txn, rapid)
	}
}

// only returns the interface of a port that is no bond, or nil.
func (p *port) only() *iface {
	if len(p.ifaces) != 1 {
		return nil
	}
	return p.ifaces[0]
}

func portTreeStatus(sw *ofproto.Switch, ofport uint32, now int64) (status, rapid map[string]string) {
	if s, ok := sw.STPPortStatus(ofport, now); ok {
		status = map[string]string{"stp_port_id": fmt.Sprint(s.ID), "stp_state": s.State.String(),
			"stp_sec_in_state": fmt.Sprint(s.SecInState), "stp_role": s.Role.String()}
	}
	if s, ok := sw.RSTPPortStatus(ofport); ok {
		rapid = map[string]string{"rstp_port_id": fmt.Sprintf("%04x", s.ID), "rstp_port_role": s.Role.String(),
			"rstp_port_state": s.State.String(), "rstp_designated_bridge_id": rapidID(s.DesignatedBridge),
			"rstp_designated_port_id": fmt.Sprintf("%04x", s.DesignatedPort), "rstp_designated_path_cost": fmt.Sprint(s.DesignatedCost)}
	}
	return status, rapid
}

// rapidID is a bridge identifier as RSTP's status shows it: priority, system id
// extension, address.
func rapidID(id bpdu.ID) string {
	return fmt.Sprintf("%x.%03x.%012x", id.Priority()>>12, id.Priority()&0xfff, id.Addr())
}

// treeStatistics writes what the ports of a bridge have sent and heard.
func (w *statusWriter) treeStatistics(br *bridge, now int64) {
	for _, p := range br.sortedPorts() {
		if p.row == nil {
			continue
		}
		var stats, rapid map[string]int64
		if i := p.only(); i != nil {
			if s, ok := br.sw.STPPortStatus(i.ofport, now); ok {
				stats = map[string]int64{"stp_tx_count": clamp(s.Tx), "stp_rx_count": clamp(s.Rx), "stp_error_count": clamp(s.Errors)}
			}
			if s, ok := br.sw.RSTPPortStatus(i.ofport); ok {
				rapid = map[string]int64{"rstp_tx_count": clamp(s.Tx), "rstp_rx_count": clamp(s.Rx),
					"rstp_uptime": clamp(s.UptimeSec), "rstp_error_count": clamp(s.Errors)}
			}
		}
		p.row.SetStatistics(w.txn, stats)
		p.row.SetRstpStatistics(w.txn, rapid)
	}
}
