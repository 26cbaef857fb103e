package tunnel

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/internal/vlog"
)

var (
	log   = vlog.New("tunnel")
	rlPkt = vlog.NewLimiter(1, 5)
)

// Config is the configuration of a tunnel.
type Config = dpif.TunnelConfig

// Port is a tunnel port.
type Port struct {
	Name   string
	Config *Config
	ODP    dpif.PortNo // the datapath port, which other tunnels share
}

// match is what packets a tunnel takes, in the terms of the packets that it sends: they
// go from local to remote.  An end that is zero and not the flow's is any.
type match struct {
	key                            uint64
	local, remote                  flow.IPv6 // IPv4 as ::ffff:A.B.C.D
	odp                            dpif.PortNo
	keyFlow, localFlow, remoteFlow bool
	mode                           dpif.PTMode
}

func matchOf(p *Port) match {
	c := p.Config
	return match{key: c.InKey.Value, local: mapped(c.Local), remote: mapped(c.Remote), odp: p.ODP,
		keyFlow: c.InKey.Flow, localFlow: c.LocalFlow, remoteFlow: c.RemoteFlow, mode: c.PTMode}
}

func mapped(a netip.Addr) flow.IPv6 {
	if !a.IsValid() {
		return flow.IPv6{}
	}
	return a.As16()
}

// The ways in which a tunnel can match its local address.
const (
	localConfigured = iota
	localAny
	localFlow
	nLocal
)

// precedence numbers the combinations of what a tunnel leaves to the flow; where
// several tunnels match, the one with the smallest number takes the packet.
func (m *match) precedence() int {
	local := localConfigured
	if m.localFlow {
		local = localFlow
	} else if m.local == (flow.IPv6{}) {
		local = localAny
	}
	return (b2i(m.keyFlow)*2+b2i(m.remoteFlow))*nLocal + local
}

const nPrecedences = 2 * 2 * nLocal

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (m *match) String() string {
	s := ""
	switch {
	case !m.remoteFlow:
		s = unmapped(m.local) + "->" + unmapped(m.remote)
	case !m.localFlow:
		s = unmapped(m.local) + "->flow"
	default:
		s = "flow->flow"
	}
	if m.keyFlow {
		s += ", key=flow"
	} else {
		s += ", key=" + hex(m.key)
	}
	return fmt.Sprintf("%s, %s, dp port=%d", s, m.mode, m.odp)
}

func unmapped(a flow.IPv6) string { return netip.AddrFrom16(a).Unmap().String() }

// hex prints a number with 0x in front, but for 0.
func hex(v uint64) string {
	if v == 0 {
		return "0"
	}
	return fmt.Sprintf("0x%x", v)
}

// Map says by which tunnel a packet came.  It is never changed.
//
// Thread-safety: any thread may use it.
type Map struct {
	byMatch map[match]uint64
	used    [nPrecedences]bool
}

// Find returns the id of the tunnel that takes a packet with datapath key f, which
// came in by a tunnel.
func (m *Map) Find(f *flow.Flow) (id uint64, ok bool) {
	if m == nil {
		return 0, false
	}
	mode := dpif.LegacyL2
	if f.PacketType>>16 == 1 { // an EtherType: there is no Ethernet header
		mode = dpif.LegacyL3
	}
	for i, used := range m.used {
		if !used {
			continue
		}
		local := i % nLocal
		k := match{odp: f.InPort, localFlow: local == localFlow, remoteFlow: i/nLocal%2 == 1, keyFlow: i/nLocal/2 == 1}
		// The packet's destination is our end.
		if local == localConfigured {
			k.local = end(f.Tunnel.IPDst, &f.Tunnel.IPv6Dst)
		}
		if !k.remoteFlow {
			k.remote = end(f.Tunnel.IPSrc, &f.Tunnel.IPv6Src)
		}
		if !k.keyFlow {
			k.key = f.Tunnel.ID
		}
		for _, k.mode = range [...]dpif.PTMode{mode, dpif.PacketTypeAware} {
			if id, ok = m.byMatch[k]; ok {
				return id, true
			}
		}
	}
	return 0, false
}

// end is an end of a packet's tunnel.
func end(v4 uint32, v6 *flow.IPv6) flow.IPv6 {
	if v4 == 0 {
		return *v6
	}
	return flow.IPv6{10: 0xff, 11: 0xff, 12: byte(v4 >> 24), 13: byte(v4 >> 16), 14: byte(v4 >> 8), 15: byte(v4)}
}

// LogUnknown logs that no tunnel takes a packet; text describes it and is asked for
// only if the message is printed.
func LogUnknown(text func() []byte) {
	log.WarnRL(rlPkt, "receive tunnel port not found (%s)", lazy(text))
}

// lazy makes its text when it is printed.
type lazy func() []byte

func (l lazy) String() string { return string(l()) }

// Table is the tunnels of a datapath.
//
// Thread-safety: the control thread owns it; readers have Maps.
type Table struct {
	ports   map[uint64]Port
	byMatch map[match]uint64
	current *Map // nil: to be made
}

// Add adds a tunnel under an id.  It fails, with a warning if warn is set, when there
// is one already that takes the same packets.
func (t *Table) Add(id uint64, p Port, warn bool) bool {
	m := matchOf(&p)
	if other, taken := t.byMatch[m]; taken {
		if warn {
			log.Warn("%s: attempting to add tunnel port with same config as port '%s' (%s)", p.Name, t.ports[other].Name, &m)
		}
		return false
	}
	if t.ports == nil {
		t.ports, t.byMatch = map[uint64]Port{}, map[match]uint64{}
	}
	t.ports[id], t.byMatch[m] = p, id
	t.current = nil
	if log.DbgEnabled() {
		log.Info("adding tunnel port %s (%s)", p.Name, &m)
	}
	return true
}

// Remove takes out a tunnel, if it is there.
func (t *Table) Remove(id uint64) {
	p, ok := t.ports[id]
	if !ok {
		return
	}
	m := matchOf(&p)
	if log.DbgEnabled() {
		log.Info("removing tunnel port %s (%s)", p.Name, &m)
	}
	delete(t.ports, id)
	delete(t.byMatch, m)
	t.current = nil
}

// Get returns a tunnel.
func (t *Table) Get(id uint64) (Port, bool) {
	p, ok := t.ports[id]
	return p, ok
}

// Len is the number of tunnels.
func (t *Table) Len() int { return len(t.ports) }

// Map returns a Map of what the table has now.
func (t *Table) Map() *Map {
	if t.current == nil {
		t.current = &Map{byMatch: maps.Clone(t.byMatch)}
		for m := range t.byMatch {
			t.current.used[m.precedence()] = true
		}
	}
	return t.current
}

// AppendList appends the table's part of ofproto/list-tunnels: tunnels in the order of
// precedence.
func (t *Table) AppendList(b []byte) []byte {
	ids := slices.SortedFunc(maps.Keys(t.ports), func(x, y uint64) int {
		px, py := t.ports[x], t.ports[y]
		mx, my := matchOf(&px), matchOf(&py)
		return cmp.Or(cmp.Compare(mx.precedence(), my.precedence()), cmp.Compare(px.Name, py.Name))
	})
	for _, id := range ids {
		p := t.ports[id]
		b = appendPort(b, &p)
	}
	return b
}

func appendPort(b []byte, p *Port) []byte {
	c, m := p.Config, matchOf(p)
	b = fmt.Appendf(b, "port %d: %s (%s: %s", p.ODP, p.Name, c.Type, &m)
	if c.OutKey != c.InKey {
		out := "none"
		if c.OutKey.Flow {
			out = "flow"
		} else if c.OutKey.Present {
			out = hex(c.OutKey.Value)
		}
		b = append(append(b, ", out_key="...), out...)
	}
	if c.TTLInherit {
		b = append(b, ", ttl=inherit"...)
	} else {
		b = fmt.Appendf(b, ", ttl=%d", c.TTL)
	}
	if c.TOSInherit {
		b = append(b, ", tos=inherit"...)
	} else if c.TOS != 0 {
		b = fmt.Appendf(b, ", tos=0x%x", c.TOS)
	}
	if !c.DontFragment {
		b = append(b, ", df=false"...)
	}
	if c.Csum {
		b = append(b, ", csum=true"...)
	}
	return append(b, ")\n"...)
}
