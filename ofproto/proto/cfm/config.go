package cfm

import (
	"math"

	"sluice/dpif/flow"
)

// RandomVLAN in Config.VLAN gives each CCM a random VLAN.
const RandomVLAN = math.MaxUint16

// Config is what an Interface asks for with cfm_mpid and the cfm_* keys of
// other_config.
type Config struct {
	MPID        uint64 // 1…8191; in extended mode any but 0
	IntervalMs  int    // more than 0
	Extended    bool
	Demand      bool // extended mode: data that comes in counts as well
	OpDown      bool // tell the other end not to use the link (extended mode)
	VLAN        uint16
	PCP         uint8
	CheckTnlKey bool // only packets with tunnel key 0 are this monitor's
}

// Valid reports whether a monitor can work by c.
func (c *Config) Valid() bool {
	return c.MPID >= 1 && (c.Extended || c.MPID <= 8191) && c.IntervalMs > 0
}

// Match is the part of a Config that decides which packets are a monitor's.
type Match struct {
	Dst         flow.MAC
	CheckTnlKey bool
}

// Match returns how to tell the monitor's packets.
func (c *Config) Match() Match { return Match{Dst: c.dst(), CheckTnlKey: c.CheckTnlKey} }

func (c *Config) dst() flow.MAC {
	if c.Extended {
		return DstMACExtended
	}
	return DstMAC
}

// Takes reports whether a packet of flow f is for the monitor, and adds to wc the
// bits of f that decided it, but for the Ethernet type, which is always in it.
func (m *Match) Takes(f *flow.Flow, wc *flow.Mask) bool {
	if f.DLType != EtherType {
		return false
	}
	wc.DLDst = flow.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	if f.DLDst != m.Dst {
		return false
	}
	if m.CheckTnlKey {
		wc.Tunnel.ID = ^uint64(0)
		return f.Tunnel.ID == 0
	}
	return true
}

// Fault is a set of reasons for a fault.
type Fault uint8

// The reasons.
const (
	FaultRecv     Fault = 1 << iota // no CCM came
	FaultRDI                        // the other end has a fault
	FaultMAID                       // CCMs of another association
	FaultLoopback                   // CCMs with our MPID
	FaultOverflow                   // too many maintenance points
	FaultOverride                   // an operator says so
)

// Reasons returns the names of the reasons, as the database has them.
func (f Fault) Reasons() []string {
	var out []string
	for i, name := range [...]string{"recv", "rdi", "maid", "loopback", "overflow", "override"} {
		if f&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}
