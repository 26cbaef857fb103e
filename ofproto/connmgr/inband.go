package connmgr

import (
	"net/netip"
	"strconv"
	"strings"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
)

// In-band control: hidden flows let the traffic between the switch and its
// controllers pass, whatever the controllers' own flows do.  Their priorities are
// beyond those of OpenFlow.  The owner of the Manager finds out the MAC address of the
// next hop; what it said is kept for a while, since it costs system calls.

// inBandPriority is that of the first kind of in-band flow; the others follow.
const inBandPriority = 180000

// The kinds of in-band flows, in order of priority.
const (
	ibFromLocalDHCP = inBandPriority + iota
	ibToLocalARP
	ibFromLocalARP
	ibToNextHopARP
	ibFromNextHopARP
	ibToRemoteARP
	ibFromRemoteARP
	ibToRemoteTCP
	ibFromRemoteTCP
)

// InBand is what in-band control knows of its surroundings.
type InBand struct {
	// Local returns the MAC address of the bridge's own port.
	Local func() (flow.MAC, bool)
	// NextHop returns the MAC address of the next hop on the way to an IPv4 address;
	// nil: not known for any.  It is asked at most once a second for each address.
	NextHop func(netip.Addr) (flow.MAC, bool)
	// Managers are further peers that must be reachable ("tcp:IP:PORT").
	Managers []string
	// Queue is the queue for the traffic, negative: the default one.
	Queue int
}

type inBandRule struct {
	match    match.Match
	priority int
}

type inBand struct {
	rules []inBandRule // in the table
	next  int64        // ms when addresses are looked at again
	hops  map[netip.Addr]nextHop
}

// nextHop is what is known of the way to a remote.
type nextHop struct {
	mac   flow.MAC
	known bool
	until int64 // ms when it is looked up again
}

const (
	inBandRefreshMs = 1000
	// A next hop that is known seldom changes.
	knownHopRefreshMs = 10000
)

// inBandRemotes returns the IPv4 peers, in a fixed order.
func (m *Manager) inBandRemotes() []netip.AddrPort {
	var out []netip.AddrPort
	for _, s := range m.sorted() {
		if s.cfg.InBand {
			if a, ok := remoteAddr(s.target); ok {
				out = append(out, a)
			}
		}
	}
	for _, t := range m.InBand.Managers {
		if a, ok := remoteAddr(t); ok {
			out = append(out, a)
		}
	}
	return out
}

// remoteAddr reads the IPv4 address of an active target.
func remoteAddr(target string) (netip.AddrPort, bool) {
	kind, rest, _ := strings.Cut(target, ":")
	if kind != "tcp" && kind != "ssl" {
		return netip.AddrPort{}, false
	}
	host, port, ok := strings.Cut(rest, ":")
	n := uint64(DefaultPort)
	if ok {
		var err error
		if n, err = strconv.ParseUint(port, 10, 16); err != nil {
			return netip.AddrPort{}, false
		}
	}
	a, err := netip.ParseAddr(host)
	return netip.AddrPortFrom(a, uint16(n)), err == nil && a.Is4()
}

// HasInBand reports whether in-band control is at work.
func (m *Manager) HasInBand() bool { return len(m.inBandRemotes()) > 0 }

// runInBand keeps the flows as they should be.
func (m *Manager) runInBand() {
	ib := &m.inBand
	if m.now < ib.next {
		return
	}
	ib.next = m.now + inBandRefreshMs
	want := m.inBandRules()
	if len(want) == 0 && len(ib.rules) == 0 {
		return
	}
	for _, old := range ib.rules {
		if !hasRule(want, &old) {
			m.Tables.DelFlow(&old.match, old.priority)
		}
	}
	l := action.List{&action.Output{Port: flow.OFPNormal}}
	if m.InBand.Queue >= 0 {
		l = action.List{&action.SetQueue{Queue: uint32(m.InBand.Queue)}, l[0]}
	}
	for i := range want {
		m.Tables.AddFlow(&want[i].match, want[i].priority, l, m.now)
	}
	ib.rules = want
}

func hasRule(l []inBandRule, r *inBandRule) bool {
	for i := range l {
		if l[i].priority == r.priority && l[i].match.Equal(&r.match) {
			return true
		}
	}
	return false
}

// nextHops returns the MAC addresses of the next hops to the remotes, in their order.
func (m *Manager) nextHops(remotes []netip.AddrPort) []flow.MAC {
	if m.InBand.NextHop == nil {
		return nil
	}
	var macs []flow.MAC
	hops := make(map[netip.Addr]nextHop, len(remotes))
	for _, r := range remotes {
		a := r.Addr()
		if _, done := hops[a]; done {
			continue
		}
		h, have := m.inBand.hops[a]
		if !have || m.now >= h.until {
			h.until = m.now + inBandRefreshMs
			if h.mac, h.known = m.InBand.NextHop(a); h.known {
				h.until = m.now + knownHopRefreshMs
			}
		}
		hops[a] = h
		if h.known {
			macs = append(macs, h.mac)
		}
	}
	m.inBand.hops = hops
	return macs
}

const (
	arpRequest = 1
	arpReply   = 2
)

// inBandRules returns the flows that should be there.
func (m *Manager) inBandRules() []inBandRule {
	remotes := m.inBandRemotes()
	if len(remotes) == 0 {
		return nil
	}
	var rules []inBandRule
	add := func(priority int, set func(f *flow.Flow, w *flow.Mask)) {
		r := inBandRule{priority: priority}
		set(&r.match.Flow, &r.match.Mask)
		r.match.Mask.DLType = 0xffff
		r.match.Mask.NwProto = 0xff
		if !hasRule(rules, &r) {
			rules = append(rules, r)
		}
	}
	toARP := func(priority int, mac flow.MAC) {
		add(priority, func(f *flow.Flow, w *flow.Mask) {
			f.DLType, f.NwProto, f.DLDst, w.DLDst = flow.EthARP, arpReply, mac, onesMAC
		})
	}
	fromARP := func(priority int, mac flow.MAC) {
		add(priority, func(f *flow.Flow, w *flow.Mask) {
			f.DLType, f.NwProto, f.DLSrc, w.DLSrc = flow.EthARP, arpRequest, mac, onesMAC
		})
	}
	if mac, ok := m.InBand.Local(); ok && mac != (flow.MAC{}) {
		add(ibFromLocalDHCP, func(f *flow.Flow, w *flow.Mask) {
			f.InPort, w.InPort = flow.OFPLocal, ^uint32(0)
			f.DLType, f.DLSrc, w.DLSrc = flow.EthIPv4, mac, onesMAC
			f.NwProto, f.TpSrc, f.TpDst, w.TpSrc, w.TpDst = 17, 68, 67, 0xffff, 0xffff
		})
		toARP(ibToLocalARP, mac)
		fromARP(ibFromLocalARP, mac)
	}
	for _, mac := range m.nextHops(remotes) {
		toARP(ibToNextHopARP, mac)
		fromARP(ibFromNextHopARP, mac)
	}
	for _, r := range remotes {
		b := r.Addr().As4()
		ip := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		add(ibToRemoteARP, func(f *flow.Flow, w *flow.Mask) {
			f.DLType, f.NwProto, f.NwDst, w.NwDst = flow.EthARP, arpReply, ip, ^uint32(0)
		})
		add(ibFromRemoteARP, func(f *flow.Flow, w *flow.Mask) {
			f.DLType, f.NwProto, f.NwSrc, w.NwSrc = flow.EthARP, arpRequest, ip, ^uint32(0)
		})
		add(ibToRemoteTCP, func(f *flow.Flow, w *flow.Mask) {
			f.DLType, f.NwProto, f.NwDst, w.NwDst = flow.EthIPv4, 6, ip, ^uint32(0)
			f.TpDst, w.TpDst = r.Port(), 0xffff
		})
		add(ibFromRemoteTCP, func(f *flow.Flow, w *flow.Mask) {
			f.DLType, f.NwProto, f.NwSrc, w.NwSrc = flow.EthIPv4, 6, ip, ^uint32(0)
			f.TpSrc, w.TpSrc = r.Port(), 0xffff
		})
	}
	return rules
}

var onesMAC = flow.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
