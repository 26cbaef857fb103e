package cache

// smcBuckets × smcWays is the number of flows that an SMC remembers.
const (
	smcBuckets = 1 << 18
	smcWays    = 4
)

type smcBucket struct {
	sig  [smcWays]uint16
	slot [smcWays]uint16 // slot + 1; 0: empty
}

// SMC is the signature-match cache: 4 bytes a flow, no keys.  The owner checks
// that the flow which Lookup proposes matches the packet.  Flows in slots beyond
// 16 bits are not cached.
type SMC struct{ b []smcBucket }

// NewSMC makes an empty cache.
func NewSMC() *SMC { return &SMC{b: make([]smcBucket, smcBuckets)} }

// Lookup proposes a slot for a hash.
func (c *SMC) Lookup(hash uint32) (slot uint32, ok bool) {
	b := &c.b[hash%smcBuckets]
	sig := uint16(hash >> 16)
	for i := range b.sig {
		if b.sig[i] == sig && b.slot[i] != 0 {
			return uint32(b.slot[i]) - 1, true
		}
	}
	return 0, false
}

// Insert remembers a slot for a hash, over the same signature, in an empty place,
// or over one that the hash picks.
func (c *SMC) Insert(hash, slot uint32) {
	if slot+1 > 0xffff {
		return
	}
	b := &c.b[hash%smcBuckets]
	sig := uint16(hash >> 16)
	at := int(hash>>24) % smcWays
	for i := range b.sig {
		if b.slot[i] == 0 || b.sig[i] == sig {
			at = i
			break
		}
	}
	b.sig[at], b.slot[at] = sig, uint16(slot+1)
}

// Clear forgets everything.
func (c *SMC) Clear() { clear(c.b) }
