package ofproto

import (
	"sluice/dpif"
	"sluice/ofproto/bond"
	"sluice/ofproto/maclearn"
	"sluice/ofproto/xlate"
)

// BondID implements Datapath.
func (b *Backer) BondID(sw *Switch) uint32 {
	return b.recircs.AllocUnique(xlate.BondState(b.bySwitch[sw].id))
}

// BondFree implements Datapath.
func (b *Backer) BondFree(id uint32) { b.recircs.Unref(id) }

// BondSet implements Datapath.
func (b *Backer) BondSet(sw *Switch, id uint32, out *[bond.Buckets]bond.Output) {
	dp, ok := b.dp.(dpif.Bonds)
	if !ok {
		return
	}
	if out == nil {
		dp.BondSet(id, nil)
		return
	}
	var members [dpif.BondBuckets]dpif.PortNo
	for i, o := range out {
		members[i] = dpif.PortNone
		if p := sw.Port(o.OFPort); o.OK && p != nil {
			members[i] = p.DPPort
		}
	}
	dp.BondSet(id, &members)
}

// BondBytes implements Datapath.
func (b *Backer) BondBytes(id uint32) (out [bond.Buckets]uint64) {
	if dp, ok := b.dp.(dpif.Bonds); ok {
		out = dp.BondBytes(id)
	}
	return out
}

// Elsewhere implements Datapath.
func (b *Backer) Elsewhere(sw *Switch, bundle string) (out []maclearn.Entry) {
	r := b.bySwitch[sw]
	own := maclearn.PortNone
	if ref := r.bundles[bundle]; ref != nil {
		own = ref.id
	}
	for _, e := range r.ml.Entries(b.now) {
		if e.Port != own {
			out = append(out, e)
		}
	}
	return out
}
