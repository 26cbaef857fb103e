package field

import "sluice/dpif/flow"

// TunTable maps tun_metadataN fields to Geneve options and to places in
// flow.Tunnel.Opts.  A switch has one, changed by NXT_TLV_TABLE_MOD; readers hold an
// immutable version of it.
//
// A match that was made without a switch's table (by a tool, or for a packet-in)
// carries a Private one, whose places are handed out in the order of use.
type TunTable struct {
	Entries [NTunMetadata]TunEntry
	Private bool   // made for one match
	Masked  uint64 // Private: bit N set if field N was given with a mask
	used    [flow.MaxTunOpts / 4 / 64]uint64
	next    int // Private: bytes handed out
}

// TunEntry is the mapping of one tun_metadata field.
type TunEntry struct {
	Valid bool
	Class uint16 // Geneve option class
	Type  uint8  // Geneve option type
	Len   uint8  // bytes, a multiple of 4
	first span   // where the first bytes are
	rest  []span // where the others are, if the space was in pieces
}

type span struct{ ofs, n uint16 }
