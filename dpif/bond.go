package dpif

// BondBuckets is how many values the hash of a packet has when an lb_output action
// chooses a member of a bond.
const BondBuckets = 256

// Bonds is implemented by datapaths that execute lb_output actions.
type Bonds interface {
	// BondSet sets the port that packets of each hash value leave by, PortNone: they
	// are dropped; nil removes the bond.
	BondSet(id uint32, members *[BondBuckets]PortNo)
	// BondBytes returns how many bytes each hash value had since the bond was set
	// first.
	BondBytes(id uint32) [BondBuckets]uint64
}
