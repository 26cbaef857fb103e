package bridge

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/internal/errno"
	"sluice/netdev"
	"sluice/netdev/vport"
	"sluice/ofproto"
	"sluice/schema/vswitch"
)

// reconfigure makes the switch what the database says: deletions first, then
// additions, then the settings of each bridge.  root is nil for an empty database.
func (b *Bridges) reconfigure(root *vswitch.OpenVSwitch, now int64) {
	// Before datapaths are opened: what they can do is looked at once, then.
	flow.SetVLANLimit(mapInt(rootConfig(root), "vlan-limit", 1))
	cReconfigure.Inc()
	b.configureSSL(root)
	if root != nil && !b.restored {
		b.restoring = mapBool(root.OtherConfig, "flow-restore-wait", false)
		b.restored = !b.restoring
	}
	wanted := b.wantedBridges(root)
	b.beginBatch()
	for _, br := range b.sorted() {
		row := wanted[br.name]
		if row == nil || row.DatapathType != br.typ {
			b.destroy(br, true, now)
			continue
		}
		br.row = row
		b.deletePorts(br, now)
	}
	b.commitBatch()
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if b.bridges[name] == nil {
			b.create(name, wanted[name], now)
		}
	}
	b.configureDatapaths(root)
	b.configureConntrack(root)
	b.writeCapabilities(root)
	b.beginBatch()
	for _, br := range b.sorted() {
		b.addPorts(br, now)
	}
	b.commitBatch()
	b.beginBatch()
	for _, br := range b.sorted() {
		b.configure(br, root, now)
	}
	b.commitBatch()
	// What was configured must be in force before cur_cfg says so.
	b.runSwitches(now)
	for _, ref := range b.sortedBackers() {
		ref.dp.Quiesce()
	}
}

// beginBatch has all datapaths hold changes of ports back until commitBatch: each one
// costs as much as all of them.
func (b *Bridges) beginBatch() {
	b.batch = true
	for _, ref := range b.backers {
		ref.backer.BeginBatch()
	}
}

func (b *Bridges) commitBatch() {
	b.batch = false
	for _, ref := range b.sortedBackers() {
		ref.backer.CommitBatch()
	}
	netdev.CloseTogether(func() {
		for _, c := range b.closing {
			c.close()
		}
	})
	b.closing = nil
}

// closing is a device that is to be closed.
type closing struct {
	dev  netdev.Device
	keep bool
}

func (c closing) close() {
	if err := c.dev.Close(c.keep); err != nil {
		log.Warn("%s: closing fails: %s", c.dev.Name(), errno.Text(err))
	}
}

// wantedBridges returns the Bridge rows by name.
func (b *Bridges) wantedBridges(root *vswitch.OpenVSwitch) map[string]*vswitch.Bridge {
	wanted := map[string]*vswitch.Bridge{}
	if root == nil {
		return wanted
	}
	for _, row := range refs(root.Bridges, b.env.DB.Bridge) {
		name := row.Name
		switch {
		case strings.ContainsAny(name, `/\`):
			log.WarnRL(rlDup, "ignoring bridge with invalid name \"%s\"", name)
		case wanted[name] != nil:
			log.WarnRL(rlDup, "bridge %s specified twice", name)
		default:
			wanted[name] = row
		}
	}
	return wanted
}

func (b *Bridges) configureSSL(root *vswitch.OpenVSwitch) {
	if root == nil || root.Ssl == nil || b.env.TLS == nil {
		return
	}
	if r := b.env.DB.SSL(*root.Ssl); r != nil {
		t := b.env.TLS
		t.PrivateKey, t.Certificate, t.CACert, t.Bootstrap = r.PrivateKey, r.Certificate, r.CaCert, r.BootstrapCaCert
	}
}

// create makes a bridge and, for the first of its type, the datapath.
func (b *Bridges) create(name string, row *vswitch.Bridge, now int64) {
	typ := row.DatapathType
	ref, err := b.datapath(normalType(typ))
	if err != nil {
		log.Err("failed to create bridge %s: %s", name, errno.Text(err))
		return
	}
	br := &bridge{name: name, typ: typ, row: row, ref: ref, internal: b.env.DeviceType(ref.typ, "internal"),
		ports: map[string]*port{}, defaultEA: rowAddress(row.UUID)}
	br.ea = br.defaultEA
	cfg := b.switchConfig(br, nil)
	sw, err := ofproto.New(ref.backer, cfg, b.switchEnv(ref.typ), now)
	if err != nil {
		log.Err("failed to create bridge %s: %s", name, errno.Text(err))
		b.release(ref)
		return
	}
	br.sw = sw
	b.bridges[name] = br
}

// switchEnv is what the bridges of a type of datapath get.
func (b *Bridges) switchEnv(typ string) ofproto.Env {
	env := ofproto.Env{RunDir: b.env.RunDir, TLS: b.env.TLS, Export: b.exportEnv(), BFDIdentities: &b.bfdIDs}
	if b.env.NextHop != nil {
		env.NextHop = func(a netip.Addr) (flow.MAC, bool) {
			mac, ok := b.env.NextHop(typ, a)
			return flow.MAC(mac), ok
		}
	}
	return env
}

// normalType is the type of datapath that serves a datapath_type.
func normalType(t string) string {
	if t == "" {
		return "system"
	}
	return t
}

// datapath returns the datapath of a type, made if need be, with one more user.
func (b *Bridges) datapath(typ string) (*backerRef, error) {
	ref := b.backers[typ]
	if ref == nil {
		dp, err := b.env.OpenDatapath(typ)
		if err != nil {
			return nil, err
		}
		ref = &backerRef{typ: typ, dp: dp, backer: ofproto.NewBacker(dp)}
		ref.backer.SetNative(b.env.Native)
		b.backers[typ] = ref
	}
	ref.users++
	return ref, nil
}

func (b *Bridges) release(ref *backerRef) {
	ref.users--
	if ref.users > 0 {
		return
	}
	delete(b.backers, ref.typ)
	ref.backer.Close()
	if err := ref.dp.Close(true); err != nil {
		log.Warn("datapath %s: %s", ref.typ, errno.Text(err))
	}
}

// destroy ends a bridge; del says that it is gone from the database for good.
func (b *Bridges) destroy(br *bridge, del bool, now int64) {
	b.destroyBridge(br, del, false, now)
}

func (b *Bridges) destroyBridge(br *bridge, del, keepInternal bool, now int64) {
	delete(b.bridges, br.name)
	for _, p := range br.sortedPorts() {
		for _, i := range p.devices() {
			b.closeIface(br, i, keepInternal || !del && i.typ == "internal", now, false)
		}
	}
	br.sw.Destroy(now)
	b.release(br.ref)
}

// wantedPort is a Port row with its Interface rows.
type wantedPort struct {
	row    *vswitch.Port // nil: synthesized
	ifaces []*vswitch.Interface
}

// wantedPorts returns the Port rows of a bridge by name; the local port is made
// up when the database lacks it.
func (b *Bridges) wantedPorts(br *bridge) map[string]wantedPort {
	out := map[string]wantedPort{}
	seen := map[string]bool{}
	for _, row := range refs(br.row.Ports, b.env.DB.Port) {
		name := row.Name
		if _, dup := out[name]; dup {
			log.Warn("bridge %s: %s specified twice as bridge port", br.name, name)
			continue
		}
		w := wantedPort{row: row}
		for _, i := range refs(row.Interfaces, b.env.DB.Interface) {
			if n := i.Name; !seen[n] {
				seen[n] = true
				w.ifaces = append(w.ifaces, i)
			}
		}
		slices.SortFunc(w.ifaces, func(x, y *vswitch.Interface) int { return cmp.Compare(x.Name, y.Name) })
		out[name] = w
	}
	// Controllers are reached by the local port.
	if _, ok := out[br.name]; !ok && !seen[br.name] && len(br.row.Controller) > 0 {
		log.Warn("bridge %s: no port named %s, synthesizing one", br.name, br.name)
		out[br.name] = wantedPort{}
	}
	return out
}

// deletePorts removes ports and interfaces that are gone or changed their kind, and
// gives the others their new rows and options.
func (b *Bridges) deletePorts(br *bridge, now int64) {
	wanted := b.wantedPorts(br)
	claims := br.numberClaims(wanted)
	for _, p := range br.sortedPorts() {
		w, ok := wanted[p.name]
		p.row = w.row
		keep := p.ifaces[:0]
		for _, i := range p.ifaces {
			row := findIface(w, i.name)
			if !ok || (row == nil) != (i.row == nil) || !br.keepsNumber(i, row, claims) || !b.reconfigureIface(br, i, row, now) {
				b.closeIface(br, i, false, now, true)
				continue
			}
			keep = append(keep, i)
		}
		p.ifaces = keep
		if !p.wantsFake() {
			b.dropFake(br, p, false, now)
		}
		if len(p.ifaces) == 0 {
			br.delPort(p)
		}
	}
}

// numberClaims says for each requested OpenFlow number which interfaces request it.
// Only those that are there count: a new one takes no number from another.
func (br *bridge) numberClaims(wanted map[string]wantedPort) map[uint32][]string {
	present := map[string]bool{}
	for _, p := range br.ports {
		for _, i := range p.ifaces {
			present[i.name] = true
		}
	}
	claims := map[uint32][]string{}
	for _, w := range wanted {
		for _, row := range w.ifaces {
			if n := requestedOFPort(row); n != 0 && present[row.Name] {
				claims[n] = append(claims[n], row.Name)
			}
		}
	}
	return claims
}

// keepsNumber says whether an interface may stay under its number: not if it requests
// another one that it can have, nor if somebody else requests its own.
func (br *bridge) keepsNumber(i *iface, row *vswitch.Interface, claims map[uint32][]string) bool {
	if row == nil || i.ofport == ofproto.LocalPort {
		return true
	}
	want := requestedOFPort(row)
	if want == i.ofport {
		return true
	}
	if want == 0 {
		return len(claims[i.ofport]) == 0
	}
	holder := br.sw.Port(want)
	return holder != nil && slices.Contains(claims[want], holder.Name)
}

func findIface(w wantedPort, name string) *vswitch.Interface {
	for _, r := range w.ifaces {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// reconfigureIface gives an open device its new options; false means that it must
// be opened again.
func (b *Bridges) reconfigureIface(br *bridge, i *iface, row *vswitch.Interface, now int64) bool {
	if row == nil {
		return true
	}
	i.row = row
	if b.ifaceType(br, row) != i.typ {
		return false
	}
	if err := netdev.Configure(i.dev, row.Options); err != nil {
		b.ifaceError(row, err.Error())
		return false
	}
	b.setMTU(i)
	return !br.lost(i)
}

// lost says whether the datapath has dropped the port of an interface.
func (br *bridge) lost(i *iface) bool {
	p := br.sw.Port(i.ofport)
	if p == nil || p.DPPort == dpif.PortNone {
		return false
	}
	_, _, ok := br.ref.dp.PortByNumber(p.DPPort)
	return !ok
}

// ifaceType is the type of an Interface row; the local port's is always internal.
func (b *Bridges) ifaceType(br *bridge, row *vswitch.Interface) string {
	if row.Name == br.name {
		return "internal"
	}
	return cmp.Or(row.Type, "system")
}

// requestedOFPort is ofport_request, or 0.
func requestedOFPort(row *vswitch.Interface) uint32 {
	v := val(row.OfportRequest)
	if v < 1 || v >= 0xff00 {
		return 0
	}
	return uint32(v)
}

// addPorts opens what is wanted and missing: interfaces with a requested number
// first, so that they get it.
func (b *Bridges) addPorts(br *bridge, now int64) {
	wanted := b.wantedPorts(br)
	names := slices.Sorted(maps.Keys(wanted))
	// Each row is looked at once with its kind of request, so what the loop
	// itself adds need not be in here.
	have := br.ifaceNames()
	for _, requested := range []bool{true, false} {
		for _, name := range names {
			w := wanted[name]
			if w.row == nil {
				if !requested && br.ports[name] == nil {
					b.addIface(br, name, w, nil, now)
				}
				continue
			}
			for _, row := range w.ifaces {
				if (requestedOFPort(row) != 0) == requested && !have[row.Name] {
					b.addIface(br, name, w, row, now)
				}
			}
		}
	}
	for _, p := range br.sortedPorts() {
		b.addFake(br, p, now)
	}
}

func (br *bridge) ifaceNames() map[string]bool {
	names := map[string]bool{}
	for _, p := range br.ports {
		for _, i := range p.ifaces {
			names[i.name] = true
		}
	}
	return names
}

// addIface opens a device and adds it to the switch; errors go to the row.
func (b *Bridges) addIface(br *bridge, portName string, w wantedPort, row *vswitch.Interface, now int64) {
	i := &iface{name: portName, typ: "internal", row: row}
	if row != nil {
		i.name, i.typ = row.Name, b.ifaceType(br, row)
	}
	if vport.IsReservedName(i.name, b.env.DatapathTypes) {
		// As in stock, the log says so and the row has no error.
		log.Warn("could not create interface %s, name is reserved", i.name)
		if row != nil {
			b.ifaceError(row, "")
		}
		return
	}
	if msg := b.open(br, i, now); msg != "" {
		b.missing = true
		if row != nil {
			b.ifaceError(row, msg)
		}
		return
	}
	p := br.ports[portName]
	if p == nil {
		p = &port{name: portName, row: w.row, synth: w.row == nil}
		br.addPort(p)
	}
	p.ifaces = append(p.ifaces, i)
	slices.SortFunc(p.ifaces, func(x, y *iface) int { return cmp.Compare(x.name, y.name) })
}

// open opens and adds a device; it returns the text for the error column.
func (b *Bridges) open(br *bridge, i *iface, now int64) string {
	dev, err := netdev.Open(i.name, b.env.DeviceType(br.ref.typ, i.typ))
	if err != nil {
		return warn("could not open network device %s (%s)", i.name, err)
	}
	i.dev = dev
	if i.row != nil {
		if err := netdev.Configure(dev, i.row.Options); err != nil {
			dev.Close(false)
			return err.Error()
		}
		b.setMTU(i)
	}
	want := uint32(0)
	switch {
	case i.name == br.name:
		want = ofproto.LocalPort
	case i.row != nil:
		if want = requestedOFPort(i.row); want == 0 {
			if v := val(i.row.Ofport); v >= 1 && v < 0xff00 {
				want = uint32(v)
			}
		}
	}
	i.ofport, err = br.sw.PortAdd(dev, want, now)
	if err != nil {
		dev.Close(false)
		msg := "could not add network device " + i.name + " to ofproto (" + errno.Text(err) + ")"
		log.WarnRL(rlAdd, "%s", msg)
		return msg
	}
	log.Info("bridge %s: added interface %s on port %d", br.name, i.name, shownPort(i.ofport))
	return ""
}

func warn(format, name string, err error) string {
	log.Warn(format, name, errno.Text(err))
	r := strings.NewReplacer("%s (%s)", name+" ("+errno.Text(err)+")")
	return r.Replace(format)
}

// shownPort is a port number as the database shows it: 16 bits.
func shownPort(ofport uint32) uint32 {
	if ofport >= 0xffffff00 {
		return ofport & 0xffff
	}
	return ofport
}

// setMTU sets the MTU that the Interface row asks for.  What cannot be set is logged
// only: the interface works, so that its row has no error.
func (b *Bridges) setMTU(i *iface) {
	want := val(i.row.MtuRequest)
	if want <= 0 || int(want) == i.dev.MTU() {
		return
	}
	if err := i.dev.SetMTU(int(want)); err != nil {
		logNetdev.Warn("failed to set MTU for network device %s: %s", i.name, errno.Text(err))
	}
}

// closeIface takes an interface out of the switch and closes its device.
func (b *Bridges) closeIface(br *bridge, i *iface, keep bool, now int64, say bool) {
	br.sw.PortDel(i.ofport, now)
	if say {
		log.Info("bridge %s: deleted interface %s on port %d", br.name, i.name, shownPort(i.ofport))
	}
	c := closing{i.dev, keep}
	if b.batch {
		b.closing = append(b.closing, c)
		return
	}
	c.close()
}

// ifaceError shows an error of an interface that is not in the switch; "" shows that
// it is not there, without one.
func (b *Bridges) ifaceError(row *vswitch.Interface, msg string) {
	t := b.writes
	row.SetOfport(t, ptr(int64(-1)))
	row.SetError(t, nil)
	if msg != "" {
		row.SetError(t, &msg)
	}
	row.SetAdminState(t, nil)
	row.SetDuplex(t, nil)
	row.SetIfindex(t, nil)
	row.SetLacpCurrent(t, nil)
	row.SetLinkResets(t, nil)
	row.SetLinkSpeed(t, nil)
	row.SetLinkState(t, nil)
	row.SetMacInUse(t, nil)
	row.SetMtu(t, nil)
	row.SetStatus(t, nil)
	row.SetStatistics(t, nil)
	row.SetBfdStatus(t, nil)
	row.SetCfmFault(t, nil)
	row.SetCfmFaultStatus(t, nil)
	row.SetCfmFlapCount(t, nil)
	row.SetCfmHealth(t, nil)
	row.SetCfmRemoteMpids(t, nil)
	row.SetCfmRemoteOpstate(t, nil)
}
