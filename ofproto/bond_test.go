package ofproto

import (
	"sluice/dpif"
	"sluice/ofproto/bond"
	"sluice/ofproto/maclearn"
)

func (d *fakeDP) Support() dpif.Support                               { return dpif.Support{Recirc: true} }
func (d *fakeDP) BondID(*Switch) uint32                               { return 1 }
func (d *fakeDP) BondFree(uint32)                                     {}
func (d *fakeDP) BondSet(*Switch, uint32, *[bond.Buckets]bond.Output) {}
func (d *fakeDP) BondBytes(uint32) (out [bond.Buckets]uint64)         { return out }
func (d *fakeDP) Elsewhere(*Switch, string) []maclearn.Entry          { return nil }
