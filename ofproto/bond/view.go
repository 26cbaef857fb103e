package bond

import (
	"fmt"

	"sluice/dpif/flow"
	"sluice/ofproto/proto/lacp"
)

// View is a bond as translation sees it.  It does not change.
type View struct {
	Name      string
	Mode      Mode
	LACP      lacp.Status
	Fallback  bool // FallbackAB of the configuration
	AllActive bool
	Basis     uint32
	// RecircID is set when the datapath computes the hash of packets to this bond; it
	// is the number to recirculate with or, with LBOutput, that of the bond.
	RecircID uint32
	LBOutput bool
	Members  []Member

	active  int // index in Members, -1: none
	buckets [Buckets]int16
	load    *Load // nil: nobody wants to know
}

// Member is a member in a View.
type Member struct {
	ID                 uint64 // as it was registered
	Name               string
	OFPort             uint32
	Enabled, MayEnable bool
}

// View returns what translation needs, as of the last Run.
func (b *Bond) View() *View {
	if b.view == nil {
		b.view = b.makeView()
	}
	return b.view
}

func (b *Bond) makeView() *View {
	c := &b.cfg
	v := &View{Name: c.Name, Mode: c.Mode, LACP: b.lacp, Fallback: c.FallbackAB, Basis: c.Basis,
		AllActive: c.AllActive && c.Mode == BalanceSLB, active: -1, load: b.load}
	if b.mayRecirc() {
		v.RecircID, v.LBOutput = b.recircID, c.LBOutput
	}
	index := map[*member]int16{nil: -1}
	for i, m := range b.members {
		v.Members = append(v.Members, Member{m.id, m.name, m.ofport, m.enabled, m.mayEnable})
		index[m] = int16(i)
	}
	v.active = int(index[b.active])
	for i := range v.buckets {
		v.buckets[i] = -1
		if b.hash != nil {
			v.buckets[i] = index[b.hash[i].member]
		}
	}
	return v
}

// Balancing returns the mode that is in effect; ok is false: the bond carries nothing.
func (v *View) Balancing() (m Mode, ok bool) {
	switch {
	case v.LACP == lacp.Configured:
		return ActiveBackup, v.Fallback
	case v.Mode == BalanceTCP:
		return BalanceTCP, v.LACP == lacp.Negotiated
	}
	return v.Mode, true
}

// Output returns the member that carries a frame of VLAN vlan, nil: none does.  If
// the hash of the frame decided it, bucket is its value, otherwise -1.
func (v *View) Output(f *flow.Flow, vlan uint16) (m *Member, bucket int) {
	mode, ok := v.Balancing()
	if !ok {
		return nil, -1
	}
	i := v.active
	bucket = -1
	switch mode {
	case BalanceTCP:
		bucket = int(f.Hash5Tuple(v.Basis) & mask)
	case BalanceSLB:
		bucket = int(HashMAC(f.DLSrc, vlan, v.Basis) & mask)
	}
	if bucket >= 0 {
		i = int(v.buckets[bucket])
	}
	if i < 0 {
		return nil, bucket
	}
	return &v.Members[i], bucket
}

// Load returns the counters of what the buckets carry, for frames whose member Output
// chose.
func (v *View) Load() *Load { return v.load }

// HashMAC hashes an address and a VLAN as balance-slb does.
func HashMAC(mac flow.MAC, vlan uint16, basis uint32) uint32 {
	x := uint64(vlan) << 48
	for i, b := range mac {
		x |= uint64(b) << (40 - 8*i)
	}
	return flow.HashUint64(x, basis)
}

// Verdict is what to do with a frame that came in by a bond.
type Verdict uint8

// The verdicts.
const (
	Drop Verdict = iota
	Accept
	// DropIfMoved: drop the frame, and do not learn from it, if its source address is
	// known to be behind another bundle.
	DropIfMoved
)

// Admit decides on a frame to dst that came in by member id.
func (v *View) Admit(id uint64, dst flow.MAC) Verdict {
	for i := range v.Members {
		m := &v.Members[i]
		if m.ID != id {
			continue
		}
		verdict := v.admit(i, dst)
		if verdict != Accept && log.DbgEnabled() {
			log.DbgRL(rlAdmit, "bond %s: member %s: admissibility verdict is to drop pkt%s, active member: %t, may_enable: %t, enabled: %t, LACP status: %s",
				v.Name, m.Name, choose(verdict == DropIfMoved, " as different port is learned", ""), v.active == i, m.MayEnable, m.Enabled, v.LACP)
		}
		return verdict
	}
	return Drop
}

func (v *View) admit(i int, dst flow.MAC) Verdict {
	m := &v.Members[i]
	switch {
	case v.LACP == lacp.Negotiated:
		// The partner knows of the bond and does the right thing.  But no correct one
		// sends by a member that is disabled.
		if m.Enabled || m.MayEnable {
			return Accept
		}
		return Drop
	case v.LACP == lacp.Configured && !v.Fallback, v.LACP == lacp.Off && v.Mode == BalanceTCP:
		return Drop
	case dst[0]&1 != 0 && v.active != i && !v.AllActive:
		// Switches flood to all members: one copy is enough.
		return Drop
	case v.Mode == BalanceSLB:
		// A frame that we sent may come back by another member.
		return DropIfMoved
	case v.active != i:
		if log.DbgEnabled() {
			log.DbgRL(rlAdmit, "bond %s: member %s: active-backup bond received packet on backup member destined for %s",
				v.Name, m.Name, macText(dst))
		}
		return Drop
	}
	return Accept
}

func macText(m flow.MAC) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}
