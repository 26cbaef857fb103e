package bridge

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sluice/dpif"
	"sluice/internal/errno"
	"sluice/netdev"
	"sluice/netdev/vhostuser"
	"sluice/ofproto"
	"sluice/ofproto/ofp"
	"sluice/ovsdb/stream"
	"sluice/schema/vswitch"
)

// configureDatapaths gives each datapath the settings of the Open_vSwitch row.
func (b *Bridges) configureDatapaths(root *vswitch.OpenVSwitch) {
	oc := rootConfig(root)
	dir := b.env.RunDir
	if sub := oc["vhost-sock-dir"]; sub != "" && !strings.Contains(sub, "..") {
		dir += "/" + sub
	}
	vhostuser.SetSocketDir(dir)
	for _, ref := range b.sortedBackers() {
		ref.dp.SetConfig(oc)
		ref.backer.SetConfig(oc)
	}
}

// configure makes one bridge what its rows say.
func (b *Bridges) configure(br *bridge, root *vswitch.OpenVSwitch, now int64) {
	b.pickAddress(br)
	br.followMTU()
	cfg := b.switchConfig(br, root)
	if cfg.DatapathID != br.dpid {
		br.dpid = cfg.DatapathID
		log.Info("bridge %s: using datapath ID %016x", br.name, br.dpid)
	}
	br.row.SetDatapathID(b.writes, ptr(fmt.Sprintf("%016x", br.dpid)))
	if err := br.sw.Apply(cfg, now); err != nil {
		log.Err("bridge %s: %s", br.name, errno.Text(err))
	}
	for _, p := range br.sortedPorts() {
		p.configureMII()
		for _, i := range p.ifaces {
			b.configureIface(br, p, i)
		}
	}
}

func (b *Bridges) configureIface(br *bridge, p *port, i *iface) {
	if i.row == nil {
		return
	}
	i.row.SetOfport(b.writes, ptr(int64(shownPort(i.ofport))))
	i.row.SetError(b.writes, nil)
	b.configureQoS(p, i)
	b.setIfaceMAC(br, p, i)
	if dp := br.sw.Port(i.ofport); dp != nil && dp.DPPort != dpif.PortNone {
		if err := br.ref.dp.PortSetConfig(dp.DPPort, i.row.OtherConfig); err != nil {
			log.Warn("interface %s: %s", i.name, errno.Text(err))
		}
	}
}

// switchConfig reads the Bridge row and those that it refers to.
func (b *Bridges) switchConfig(br *bridge, root *vswitch.OpenVSwitch) ofproto.SwitchConfig {
	oc := br.row.OtherConfig
	cfg := ofproto.SwitchConfig{
		Name:            br.name,
		DatapathType:    br.ref.typ,
		DatapathID:      macToID(br.ea),
		HWAddr:          br.ea,
		DPDesc:          oc["dp-desc"],
		SerialDesc:      oc["dp-sn"],
		DisableInBand:   mapBool(oc, "disable-in-band", false),
		InBandQueue:     mapInt(oc, "in-band-queue", -1),
		InBandManagers:  b.inBandManagers(root),
		FlowRestoreWait: b.restoring,
		MACAgingSec:     mapInt(oc, "mac-aging-time", 0),
		MACTableSize:    mapInt(oc, "mac-table-size", 0),
		ForwardBPDU:     mapBool(oc, "forward-bpdu", false),
		FloodVLANs:      vlans(br.row.FloodVlans),
		BundleIdleSec:   mapInt(rootConfig(root), "bundle-idle-timeout", 0),
		Protocols:       protocols(br.row),
		FlowTables:      b.flowTables(br),
	}
	if id, ok := parseDatapathID(oc["datapath-id"]); ok {
		cfg.DatapathID = id
	}
	if val(br.row.FailMode) == "secure" {
		cfg.FailMode = ofproto.FailSecure
	}
	if !b.restoring {
		cfg.Controllers = b.controllers(br, oc)
	}
	cfg.Snoops = []string{"punix:" + b.env.RunDir + "/" + br.name + ".snoop"}
	for _, p := range br.sortedPorts() {
		cfg.Bundles = append(cfg.Bundles, br.bundle(p))
	}
	cfg.Mirrors = b.mirrors(br)
	cfg.AutoAttach = b.autoAttach(br)
	cfg.QueueDSCP = b.queueDSCP(br)
	b.exports(br, &cfg)
	cfg.Mcast = multicast(br)
	spanningTree(br, &cfg)
	return cfg
}

func macToID(m netdev.MAC) (id uint64) {
	for _, b := range m {
		id = id<<8 | uint64(b)
	}
	return id
}

// parseDatapathID reads 16 hexadecimal digits, or fewer after "0x"; zero is not an
// id.
func parseDatapathID(s string) (uint64, bool) {
	h, prefixed := strings.CutPrefix(s, "0x")
	if !prefixed && len(h) != 16 {
		return 0, false
	}
	id, err := strconv.ParseUint(h, 16, 64)
	return id, err == nil && id != 0
}

// protocols is the versions that the bridge speaks; unknown names do not count.
func protocols(row *vswitch.Bridge) ofp.VersionBitmap {
	var out ofp.VersionBitmap
	for _, name := range row.Protocols {
		if v, ok := ofp.ParseVersion(name); ok {
			out |= 1 << v
		}
	}
	return out
}

// controllers reads the Controller rows.  Sockets in the file system are limited to
// the bridge's own names, since who may write the database need not be one who may
// write files.
func (b *Bridges) controllers(br *bridge, oc map[string]string) []ofproto.ControllerConfig {
	var out []ofproto.ControllerConfig
	for _, r := range refs(br.row.Controller, b.env.DB.Controller) {
		target := r.Target
		if !b.permitted(br, target) {
			continue
		}
		br.configureLocalIP(r)
		mode := val(r.ConnectionMode)
		c := ofproto.ControllerConfig{
			Target:       target,
			Service:      isService(target, val(r.Type)),
			InBand:       (mode == "" || mode == "in-band") && !mapBool(oc, "disable-in-band", false),
			MaxBackoffMs: 8000,
			ProbeMs:      probe(r),
			EnableAsync:  r.EnableAsyncMessages == nil || *r.EnableAsyncMessages,
			RateLimit:    int(val(r.ControllerRateLimit)),
			BurstLimit:   int(val(r.ControllerBurstLimit)),
			QueueSize:    queueSize(r, oc),
			DSCP:         48,
		}
		if v := val(r.MaxBackoff); v > 0 {
			c.MaxBackoffMs = int(v)
		}
		if d := mapInt(r.OtherConfig, "dscp", 48); d >= 0 && d <= 63 {
			c.DSCP = uint8(d)
		}
		out = append(out, c)
	}
	return out
}

// inBandManagers is the targets of the database managers that must stay reachable
// through the bridges.
func (b *Bridges) inBandManagers(root *vswitch.OpenVSwitch) []string {
	if root == nil {
		return nil
	}
	var out []string
	for _, r := range refs(root.ManagerOptions, b.env.DB.Manager) {
		if val(r.ConnectionMode) != "out-of-band" {
			if t, ok := managerTarget(r.Target); ok {
				out = append(out, t)
			}
		}
	}
	return out
}

// managerTarget returns an active target with its port, if it leads to another host.
func managerTarget(target string) (string, bool) {
	kind, rest, _ := strings.Cut(target, ":")
	if kind != "tcp" && kind != "ssl" {
		return "", false
	}
	host, _, _ := strings.Cut(rest, ":")
	a, err := netip.ParseAddr(host)
	if err != nil || a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return "", false
	}
	return stream.WithDefaultPort(target, managerPort), true
}

// managerPort is the OVSDB port of TCP and TLS.
const managerPort = 6640

func (b *Bridges) permitted(br *bridge, target string) bool {
	switch {
	case b.env.Unconfined:
	case strings.HasPrefix(target, "unix:"):
		allowed := b.env.RunDir + "/"
		path := strings.TrimPrefix(target, "unix:")
		if strings.Contains(path, "/") && !strings.HasPrefix(path, allowed) {
			log.ErrRL(rlDup, "bridge %s: Not connecting to socket controller \"%s\" due to possibility for remote exploit.  "+
				"Instead, specify socket in permitted directory \"unix:%s\" or connect to \"unix:%s/%s.mgmt\" (which is always available without special configuration).",
				br.name, target, allowed, b.env.RunDir, br.name)
			return false
		}
	case strings.HasPrefix(target, "punix:"):
		allowed := "punix:" + b.env.RunDir + "/" + br.name + "."
		rest, ok := strings.CutPrefix(target, allowed)
		if !ok || strings.Contains(rest, "/") {
			log.ErrRL(rlDup, "bridge %s: Not adding Unix domain socket controller \"%s\" due to possibility of overwriting local files. "+
				"Instead, specify path in permitted format \"%s*\" or connect to \"unix:%s/%s.mgmt\" (which is always available without special configuration).",
				br.name, target, allowed, b.env.RunDir, br.name)
			return false
		}
	}
	return true
}

func isService(target, typ string) bool {
	switch typ {
	case "service":
		return true
	case "primary":
		return false
	}
	return strings.HasPrefix(target, "p")
}

// probe is the inactivity probe interval in ms, whole seconds as in stock.
func probe(r *vswitch.Controller) int {
	if r.InactivityProbe == nil {
		return 5000
	}
	switch ms := int(*r.InactivityProbe); {
	case ms <= 0:
		return 0
	case ms < 1000:
		return 1000
	default:
		return ms / 1000 * 1000
	}
}

func queueSize(r *vswitch.Controller, oc map[string]string) int {
	n := int(val(r.ControllerQueueSize))
	if n == 0 {
		n = mapInt(oc, "controller-queue-size", 100)
	}
	if n < 1 || n > 512 {
		return 100
	}
	return n
}

// bundle reads a Port row.
func (br *bridge) bundle(p *port) ofproto.BundleConfig {
	c := ofproto.BundleConfig{Name: p.name, Tag: -1, VLANMode: ofproto.VLANTrunk, QinQEthType: 0x88a8}
	for _, i := range p.ifaces {
		c.Members = append(c.Members, member(i))
	}
	if p.row == nil {
		return c
	}
	if t := p.row.Tag; t != nil && *t >= 0 && *t <= 4095 {
		c.Tag = int(*t)
	}
	c.Trunks, c.CVLANs = vlans(p.row.Trunks), vlans(p.row.Cvlans)
	c.Protected = p.row.Protected
	c.VLANMode = vlanMode(p, c)
	c.Bond, c.LACP = br.bondConfig(p), br.lacpConfig(p)
	oc := p.row.OtherConfig
	if oc["qinq-ethtype"] == "802.1q" {
		c.QinQEthType = 0x8100
	}
	switch oc["priority-tags"] {
	case "if-nonzero", "true":
		c.PriorityTags = ofproto.PriorityTagsIfNonzero
	case "always":
		c.PriorityTags = ofproto.PriorityTagsAlways
	}
	return c
}

// member reads an Interface row.
func member(i *iface) ofproto.MemberConfig {
	m := ofproto.MemberConfig{OFPort: i.ofport, LACP: lacpMember(i)}
	if i.row != nil {
		m.BFD, m.CFM = bfdConfig(i.row.Bfd), cfmConfig(i)
		m.LLDP = mapBool(i.row.Lldp, "enable", false)
	}
	return m
}

func vlanMode(p *port, c ofproto.BundleConfig) ofproto.VLANMode {
	switch mode := val(p.row.VlanMode); mode {
	case "access":
		return ofproto.VLANAccess
	case "trunk":
		return ofproto.VLANTrunk
	case "native-tagged":
		return ofproto.VLANNativeTagged
	case "native-untagged":
		return ofproto.VLANNativeUntagged
	case "dot1q-tunnel":
		return ofproto.VLANDot1QTunnel
	case "":
	default:
		log.Warn("port %s: unknown VLAN mode %s, falling back to trunk mode", p.name, mode)
		return ofproto.VLANTrunk
	}
	if c.Tag < 0 {
		return ofproto.VLANTrunk
	}
	if len(c.Trunks)+len(c.CVLANs) > 0 {
		log.Warn("port %s: ignoring trunks in favor of implicit vlan", p.name)
	}
	return ofproto.VLANAccess
}

// maxFlowTable is the last table that an OpenFlow controller sees.
const maxFlowTable = 254

// flowTables reads the Flow_Table rows.
func (b *Bridges) flowTables(br *bridge) map[uint8]ofproto.TableConfig {
	if len(br.row.FlowTables) == 0 {
		return nil
	}
	out := map[uint8]ofproto.TableConfig{}
	for _, id := range slices.Sorted(maps.Keys(br.row.FlowTables)) {
		row := b.env.DB.FlowTable(br.row.FlowTables[id])
		if row == nil {
			continue
		}
		if id < 0 || id > maxFlowTable {
			log.WarnRL(rlDup, "bridge %s: ignoring configuration for flow table %d not supported by this datapath", br.name, id)
			continue
		}
		out[uint8(id)] = flowTable(br.name, int(id), row)
	}
	return out
}

// statsInterval is the period of statistics in ms.
func statsInterval(root *vswitch.OpenVSwitch) int64 {
	ms := mapInt(rootConfig(root), "stats-update-interval", 5000)
	return int64(max(ms, 5000))
}
