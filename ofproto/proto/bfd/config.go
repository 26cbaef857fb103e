package bfd

import (
	"math/bits"

	"sluice/dpif/flow"
)

// Defaults of a Config.
const (
	DefaultMult  = 3
	DefaultMinTx = 100        // ms
	DefaultMinRx = 1000       // ms
	DefaultSrcIP = 0xa9fe0101 // 169.254.1.1
	DefaultDstIP = 0xa9fe0100 // 169.254.1.0
)

// DefaultDstMAC is where frames go when the Config does not say.
var DefaultDstMAC = flow.MAC{0x00, 0x23, 0x20, 0x00, 0x00, 0x01}

// Config is what the bfd column of an Interface asks for.
type Config struct {
	Mult       uint8 // packets that may be lost; 1…255
	MinTx      int64 // ms, at least 1
	MinRx      int64 // ms, at least 1
	DecayMinRx int64 // ms that MinRx becomes on an idle link, 0: it does not
	// ForwardingIfRx takes any packets that come in for a sign of life, as long as
	// there is one control packet every 100 * MinRx.
	ForwardingIfRx bool
	CpathDown      bool // tell the other end that the path beyond is down
	CheckTnlKey    bool // only packets with tunnel key 0 are this session's
	OAM            bool // packets have the OAM bit of their tunnel header set

	LocalSrcMAC, LocalDstMAC flow.MAC // of frames sent; zero: the port's, DefaultDstMAC
	RemoteDstMAC             flow.MAC // of frames received; zero: any
	SrcIP, DstIP             uint32   // of frames sent; frames received must have been sent to SrcIP, unless it is DefaultSrcIP
}

// Match is the part of a Config that decides which packets are a session's.
type Match struct {
	RemoteDstMAC flow.MAC
	SrcIP        uint32
	CheckTnlKey  bool
}

// Match returns how to tell the session's packets.
func (c *Config) Match() Match {
	return Match{RemoteDstMAC: c.RemoteDstMAC, SrcIP: c.SrcIP, CheckTnlKey: c.CheckTnlKey}
}

// Takes reports whether a packet of flow f is for the session, and adds to wc the
// bits of f that decided it.
func (m *Match) Takes(f *flow.Flow, wc *flow.Mask) bool {
	if m.RemoteDstMAC != (flow.MAC{}) {
		wc.DLDst = onesMAC
		if f.DLDst != m.RemoteDstMAC {
			return false
		}
	}
	if f.DLType != 0x0800 {
		return false
	}
	wc.NwProto = 0xff
	if f.NwProto != protoUDP || f.NwFrag&flow.NwFragLater != 0 {
		return false
	}
	if diff := f.TpDst ^ Port; diff != 0 {
		// One bit that differs is enough to know.
		wc.TpDst |= 0x8000 >> bits.LeadingZeros16(diff)
		return false
	}
	wc.TpDst = 0xffff
	toUs := m.SrcIP == f.NwDst
	if m.SrcIP != DefaultSrcIP && !toUs {
		return false
	}
	if toUs {
		wc.NwDst = 0xffffffff
	}
	if m.CheckTnlKey {
		wc.Tunnel.ID = ^uint64(0)
		return f.Tunnel.ID == 0
	}
	return true
}

var onesMAC = flow.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Identities gives sessions what must tell them apart on one system.  The zero value
// is ready for use.
type Identities struct {
	used  map[uint32]struct{}
	ports uint32
}

// Identity is what tells a session from others.
type Identity struct {
	Disc   uint32 // bfd.LocalDiscr, not 0
	UDPSrc uint16
}

// Take returns an identity that no other session has; rand gives 32 random bits.
func (ids *Identities) Take(rand func() uint32) Identity {
	disc := rand()
	for _, taken := ids.used[disc]; disc == 0 || taken; _, taken = ids.used[disc] {
		disc++
	}
	if ids.used == nil {
		ids.used = map[uint32]struct{}{}
	}
	ids.used[disc] = struct{}{}
	// RFC 5881 section 4: 49152…65535, and each session one of its own if possible.
	port := uint16(49152 + ids.ports%16384)
	ids.ports++
	return Identity{Disc: disc, UDPSrc: port}
}

// Give returns an identity that Take gave.
func (ids *Identities) Give(id Identity) { delete(ids.used, id.Disc) }
