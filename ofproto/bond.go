package ofproto

import (
	"cmp"
	"encoding/binary"
	"slices"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/internal/coverage"
	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ofproto/bond"
	"sluice/ofproto/maclearn"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/table"
)

// bonds are the bundles of a Switch that have several ports.  Members go by the
// OpenFlow numbers of their ports.
type bonds struct {
	list    []*bondRef // by name
	dumpSeq uint64     // of the datapath, when load was last moved
}

// bondRef is a bond with what stands for it in flow tables and in the datapath.
//
// Packets to a bond whose mode is balance-tcp leave by the datapath's hash of them.
// Either the datapath looks the member up itself (lb_output), or it comes back with
// the hash, and finds a flow of the internal table for each hash value.
type bondRef struct {
	bond      *bond.Bond
	installed [bond.Buckets]bond.Output // the flows that there are
	flows     [bond.Buckets]*table.Rule // the same
	inDP      bool                      // the datapath has the bond
}

// bondDatapath is what bonds need of a Datapath.
type bondDatapath interface {
	// Support says what the datapath can do.
	Support() dpif.Support
	// BondID returns a number for a bond of sw, which the datapath may recirculate
	// with: then translation goes on in the internal table.  BondFree gives it back.
	BondID(sw *Switch) uint32
	BondFree(id uint32)
	// BondSet tells the datapath which OpenFlow ports carry the hash values of a bond;
	// nil: the bond is gone.  BondBytes returns what they carried.
	BondSet(sw *Switch, id uint32, out *[bond.Buckets]bond.Output)
	BondBytes(id uint32) [bond.Buckets]uint64
	// Elsewhere returns the addresses of sw that are known to be behind other bundles
	// than the one of that name.
	Elsewhere(sw *Switch, bundle string) []maclearn.Entry
}

// bondPriority is the priority of the flows for hash values.
const bondPriority = 20

var (
	cRevBond       = coverage.New("rev_bond")
	rlLearning     = vlog.NewLimiter(1, 5)
	logBond        = vlog.New("bond")
	bucketOfDPHash = uint32(bond.Buckets - 1)
)

func (bs *bonds) find(name string) *bondRef {
	i, ok := slices.BinarySearchFunc(bs.list, name, func(r *bondRef, name string) int {
		return cmp.Compare(r.bond.Config().Name, name)
	})
	if !ok {
		return nil
	}
	return bs.list[i]
}

// view returns what translation has to know of the bond of that name, nil: there is
// none.
func (bs *bonds) view(name string) *bond.View {
	if r := bs.find(name); r != nil {
		return r.bond.View()
	}
	return nil
}

// configureBonds makes and ends bonds as sw.cfg and the ports want.
func (sw *Switch) configureBonds(now int64) {
	wanted := map[string]bool{}
	for i := range sw.cfg.Bundles {
		c := &sw.cfg.Bundles[i]
		ports := sw.bondPorts(c)
		if len(ports) < 2 {
			continue
		}
		wanted[c.Name] = true
		r := sw.configureBond(c, now)
		for _, p := range ports {
			r.bond.Register(uint64(p.OFPort), p.Name, p.OFPort, p.bondLink())
		}
		for _, id := range r.bond.Members() {
			if !slices.ContainsFunc(ports, func(p *Port) bool { return uint64(p.OFPort) == id }) {
				r.bond.Unregister(id, now)
			}
		}
	}
	sw.bonds.list = slices.DeleteFunc(sw.bonds.list, func(r *bondRef) bool {
		gone := !wanted[r.bond.Config().Name]
		if gone {
			sw.dropBond(r, now)
		}
		return gone
	})
}

// bondPorts returns the ports of a bundle that is to be a bond.
func (sw *Switch) bondPorts(c *BundleConfig) (out []*Port) {
	if c.Bond == nil {
		return nil
	}
	for _, m := range c.Members {
		if p := sw.ports.byNumber[m.OFPort]; p != nil {
			out = append(out, p)
		}
	}
	return out
}

func (p *Port) bondLink() bond.Link {
	return bond.Link{MAC: p.Dev.EtherAddr(), Carrier: p.Dev.Carrier(), MayEnable: p.enabled}
}

// configureBond makes the bond of a bundle, or gives it its configuration.
func (sw *Switch) configureBond(c *BundleConfig, now int64) *bondRef {
	cfg := c.Bond.Config
	if cfg.LBOutput && !sw.dp.Support().LBOutput {
		logBond.Warn("%s: Datapath does not support 'lb_output' action, disabled.", c.Name)
		cfg.LBOutput = false
	}
	r := sw.bonds.find(c.Name)
	if r == nil {
		r = &bondRef{}
		r.bond = bond.New(cfg, c.Bond.ActiveMAC, func() [bond.Buckets]uint64 { return sw.bondBytes(r) }, now)
		sw.bonds.list = append(sw.bonds.list, r)
		slices.SortFunc(sw.bonds.list, func(x, y *bondRef) int { return cmp.Compare(x.bond.Config().Name, y.bond.Config().Name) })
	} else {
		r.bond.Configure(cfg, now)
	}
	switch id := r.bond.RecircID(); {
	case cfg.Mode != bond.ActiveBackup && id == 0:
		r.bond.SetRecircID(sw.dp.BondID(sw))
	case cfg.Mode == bond.ActiveBackup && id != 0:
		sw.uninstallBond(r, now)
		r.bond.SetRecircID(0)
		sw.dp.BondFree(id)
	}
	return r
}

// dropBond gives up what stands for a bond that is gone.
func (sw *Switch) dropBond(r *bondRef, now int64) {
	sw.uninstallBond(r, now)
	if id := r.bond.RecircID(); id != 0 {
		sw.dp.BondFree(id)
	}
}

// dropBonds gives up all bonds.
func (sw *Switch) dropBonds(now int64) {
	for _, r := range sw.bonds.list {
		sw.dropBond(r, now)
	}
	sw.bonds.list = nil
}

// bondPortGone takes a port that is deleted out of its bond, which may end by that.
func (sw *Switch) bondPortGone(p *Port, now int64) {
	id := uint64(p.OFPort)
	sw.bonds.list = slices.DeleteFunc(sw.bonds.list, func(r *bondRef) bool {
		r.bond.Unregister(id, now)
		gone := len(r.bond.Members()) < 2
		if gone {
			sw.dropBond(r, now)
		}
		return gone
	})
}

// runBonds follows the links and moves load when the flows are counted.
func (sw *Switch) runBonds(now int64) {
	bs := &sw.bonds
	if len(bs.list) == 0 {
		return
	}
	seq := sw.dp.DumpSeq()
	counted := seq != bs.dumpSeq
	bs.dumpSeq = seq
	changed := false
	for _, r := range bs.list {
		if counted {
			r.bond.Rebalance(now)
		}
		for _, id := range r.bond.Members() {
			if p := sw.ports.byNumber[uint32(id)]; p != nil {
				r.bond.SetLink(id, p.bondLink())
			}
		}
		if r.bond.Run(now, sw.lacp.status(r.bond.Config().Name)) {
			changed = true
			sw.installBond(r, now)
		}
	}
	if changed {
		cRevBond.Inc()
		sw.dp.PortsChanged(sw, false)
	}
	for _, r := range bs.list {
		if r.bond.TakeLearning() {
			sw.sendLearning(r, now)
		}
	}
}

func (bs *bonds) wait(s *poll.Set) {
	for _, r := range bs.list {
		if at, ok := r.bond.Next(); ok {
			s.Timer(at)
		}
	}
}

// installBond brings the flows and the datapath in line with the bond.
func (sw *Switch) installBond(r *bondRef, now int64) {
	id := r.bond.RecircID()
	out, ok := r.bond.Outputs()
	byDP := ok && r.bond.LBOutput()
	switch {
	case byDP:
		sw.dp.BondSet(sw, id, &out)
		r.inDP = true
	case r.inDP:
		sw.dp.BondSet(sw, id, nil)
		r.inDP = false
	}
	if byDP || !ok || !sw.dp.Support().Recirc {
		out = [bond.Buckets]bond.Output{}
	}
	for i := range out {
		if out[i] != r.installed[i] {
			sw.setBondFlow(r, uint32(i), out[i], now)
		}
	}
}

// followNumbers tells the datapath again which ports carry the hash values of its bonds.
func (sw *Switch) followNumbers() {
	for _, r := range sw.bonds.list {
		if r.inDP {
			out, _ := r.bond.Outputs()
			sw.dp.BondSet(sw, r.bond.RecircID(), &out)
		}
	}
}

// uninstallBond takes away all that stands for a bond.
func (sw *Switch) uninstallBond(r *bondRef, now int64) {
	for i := range r.installed {
		if r.installed[i].OK {
			sw.setBondFlow(r, uint32(i), bond.Output{}, now)
		}
	}
	if r.inDP {
		sw.dp.BondSet(sw, r.bond.RecircID(), nil)
		r.inDP = false
	}
}

// setBondFlow has packets that come back with a hash value go out of a port.
func (sw *Switch) setBondFlow(r *bondRef, value uint32, out bond.Output, now int64) {
	var m match.Match
	m.Flow.RecircID, m.Mask.RecircID = r.bond.RecircID(), ^uint32(0)
	m.Flow.DPHash, m.Mask.DPHash = value, bucketOfDPHash
	r.installed[value] = out
	if !out.OK {
		r.flows[value] = nil
		sw.Tables.DelInternal(&m, bondPriority, now)
		return
	}
	r.flows[value] = sw.Tables.SetInternal(&m, bondPriority, action.List{&action.Output{Port: out.OFPort}}, now)
}

// bondBytes returns what the hash values of a bond carried, as far as the datapath
// computed them.
func (sw *Switch) bondBytes(r *bondRef) (out [bond.Buckets]uint64) {
	if r.inDP {
		return sw.dp.BondBytes(r.bond.RecircID())
	}
	for i, rule := range r.flows {
		if rule != nil {
			_, out[i] = rule.Stats()
		}
	}
	return out
}

// sendLearning tells the switches around by which member the addresses of this one
// are to be reached now.
func (sw *Switch) sendLearning(r *bondRef, now int64) {
	name := r.bond.Config().Name
	v := r.bond.View()
	var sent, failed int
	var last error
	for _, e := range sw.dp.Elsewhere(sw, name) {
		m, _ := v.Output(&flow.Flow{DLSrc: e.MAC}, e.VLAN)
		if m == nil {
			continue
		}
		sent++
		if p := sw.ports.byNumber[m.OFPort]; p != nil {
			if err := sw.sendFrame(p, reverseARP(e.MAC, e.VLAN), now); err != nil {
				failed++
				last = err
			}
		}
	}
	if failed > 0 {
		dpifLog.WarnRL(rlLearning, "bond %s: %d errors sending %d gratuitous learning packets, last error was: %s",
			name, failed, sent, errno.Text(last))
	} else {
		dpifLog.Dbg("bond %s: sent %d gratuitous learning packets", name, sent)
	}
}

// reverseARP returns a broadcast from src, in a VLAN unless that is 0, that no host
// answers: a RARP request (RFC 903) for its own address.
func reverseARP(src flow.MAC, vlan uint16) []byte {
	const (
		ethRARP        = 0x8035
		hwEthernet     = 1
		requestReverse = 3
	)
	be := binary.BigEndian
	b := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, src[:]...)
	if vlan != 0 {
		b = be.AppendUint16(be.AppendUint16(b, flow.EthVLAN), vlan)
	}
	for _, v := range [...]uint16{ethRARP, hwEthernet, flow.EthIPv4, 6<<8 | 4, requestReverse} {
		b = be.AppendUint16(b, v)
	}
	var noAddr [4]byte
	b = append(append(b, src[:]...), noAddr[:]...)
	return append(append(b, src[:]...), noAddr[:]...)
}

// Bond returns the bond of that name, or nil.  The control thread may ask and change
// it; the next turn follows.
func (sw *Switch) Bond(name string) *bond.Bond {
	if r := sw.bonds.find(name); r != nil {
		return r.bond
	}
	return nil
}

// Bonds returns all bonds by name.
func (sw *Switch) Bonds() []*bond.Bond {
	var out []*bond.Bond
	for _, r := range sw.bonds.list {
		out = append(out, r.bond)
	}
	return out
}
