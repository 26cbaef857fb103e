package tunnel

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/ofproto/classifier"
)

// Listener is a datapath port for tunnels: packets to one of the host's addresses with
// its protocol and port are for the tunnels that share it.
type Listener struct {
	Name  string // of the datapath port
	Port  dpif.PortNo
	Proto uint8  // of IP
	TPort uint16 // UDP port; 0: any
	Refs  int    // tunnels that share it
}

// Endpoint is a device of the host with addresses that tunnels may end at.
type Endpoint struct {
	MAC   flow.MAC
	Addrs []netip.Addr
}

// Listeners says which packets on their way to the host are to be taken out of a
// tunnel.
//
// Thread-safety: the control loop changes it; any thread may look up.
type Listeners struct {
	ports   map[any][]Listener // by owner
	devices map[string]Endpoint
	table   atomic.Pointer[listenTable]
	seq     uint64
}

// listenTable is what lookups read; it is replaced whole.
type listenTable struct {
	cls   *classifier.Classifier
	ports map[*classifier.Rule]Listener
	rules []*classifier.Rule // in order of insertion
}

// Seq changes when packets may be treated otherwise.
func (l *Listeners) Seq() uint64 { return l.seq }

// SetPorts replaces the ports of a datapath, its owner; none: it is gone.
func (l *Listeners) SetPorts(owner any, ports []Listener) {
	slices.SortFunc(ports, func(a, b Listener) int { return cmp.Compare(a.Port, b.Port) })
	old := l.ports[owner]
	if slices.Equal(old, ports) {
		return
	}
	if l.ports == nil {
		l.ports = map[any][]Listener{}
	}
	if len(ports) == 0 {
		delete(l.ports, owner)
	} else {
		l.ports[owner] = ports
	}
	same := func(a, b Listener) bool { a.Refs, b.Refs = 0, 0; return a == b }
	if !slices.EqualFunc(old, ports, same) {
		l.rebuild()
	}
}

// SetDevices replaces the devices whose addresses tunnels end at.
func (l *Listeners) SetDevices(devices map[string]Endpoint) {
	same := func(a, b Endpoint) bool { return a.MAC == b.MAC && slices.Equal(a.Addrs, b.Addrs) }
	if !maps.EqualFunc(l.devices, devices, same) {
		l.devices = devices
		l.rebuild()
	}
}

// all lists the listeners of all datapaths, by name.
func (l *Listeners) all() []Listener {
	var list []Listener
	for _, ports := range l.ports {
		list = append(list, ports...)
	}
	slices.SortFunc(list, func(a, b Listener) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), strings.Compare(a.Name, b.Name))
	})
	return list
}

// rebuild makes the table of all addresses and ports.  Of two listeners that want the
// same packets, as GRE and ERSPAN do, the one with the lower port number gets them.
func (l *Listeners) rebuild() {
	t := &listenTable{cls: classifier.New(nil), ports: map[*classifier.Rule]Listener{}}
	ports := l.all()
	for _, name := range slices.Sorted(maps.Keys(l.devices)) {
		dev := l.devices[name]
		for _, a := range dev.Addrs {
			for _, p := range ports {
				r := new(classifier.Rule)
				f, m := p.match(dev.MAC, a)
				r.Init(&f, &m, 0)
				if t.cls.Exact(r, 0) != nil {
					continue
				}
				t.cls.Insert(r, 0, nil)
				t.ports[r] = p
				t.rules = append(t.rules, r)
			}
		}
	}
	l.table.Store(t)
	l.seq++
}

// match is the packets that a listener takes at an address.
func (p *Listener) match(mac flow.MAC, a netip.Addr) (f flow.Flow, m flow.Mask) {
	f.DLDst, m.DLDst = mac, flow.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	m.DLType, m.NwProto, m.NwFrag = 0xffff, 0xff, flow.NwFragAny|flow.NwFragLater
	m.VLANs[0].TCI = 0xffff
	f.NwProto = p.Proto
	if a.Is4() {
		b := a.As4()
		f.DLType = flow.EthIPv4
		f.NwDst, m.NwDst = binary.BigEndian.Uint32(b[:]), ^uint32(0)
	} else {
		f.DLType = flow.EthIPv6
		f.IPv6Dst = a.As16()
		for i := range m.IPv6Dst {
			m.IPv6Dst[i] = 0xff
		}
	}
	if p.TPort != 0 {
		f.TpDst, m.TpDst = p.TPort, 0xffff
	}
	return f, m
}

// Lookup returns the datapath port that takes a packet out of its tunnel; what it looks
// at goes to wc.
func (l *Listeners) Lookup(f *flow.Flow, wc *flow.Mask) (dpif.PortNo, bool) {
	t := l.table.Load()
	if t == nil {
		return 0, false
	}
	r := t.cls.Lookup(0, f, wc)
	if r == nil {
		return 0, false
	}
	return t.ports[r].Port, true
}

// Show is the text of tnl/ports/show [-v].
func (l *Listeners) Show(verbose bool) string {
	var b strings.Builder
	b.WriteString("Listening ports:\n")
	if !verbose {
		for _, p := range l.all() {
			fmt.Fprintf(&b, "%s (%d) ref_cnt=%d\n", p.Name, p.Port, p.Refs)
		}
		return b.String()
	}
	if t := l.table.Load(); t != nil {
		for _, r := range t.rules {
			p := t.ports[r]
			f, _ := r.Match()
			fmt.Fprintf(&b, "%s (%d) : eth(dst=%s),eth_type(0x%04x),", p.Name, p.Port, macText(f.DLDst), f.DLType)
			if f.DLType == flow.EthIPv4 {
				fmt.Fprintf(&b, "ipv4(dst=%s", netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, f.NwDst))))
			} else {
				fmt.Fprintf(&b, "ipv6(dst=%s", netip.AddrFrom16(f.IPv6Dst))
			}
			fmt.Fprintf(&b, ",proto=%d,frag=no)", p.Proto)
			if p.TPort != 0 {
				fmt.Fprintf(&b, ",udp(dst=%d)", p.TPort)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
