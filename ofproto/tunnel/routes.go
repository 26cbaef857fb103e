// Package tunnel is what translation knows of tunnels.
//
// Tunnels of one type share a port of the datapath: a Table says by which of them a
// packet came in, and Encapsulate what tunnel fields a packet needs to leave by one.
//
// Routes finds the way of the packets that tunnels make: which device of the host
// leads to an endpoint, by which gateway, from which source address.  It has the host's
// routes and those that a user adds (ovs/route/add).  The package sends nothing and
// reads no kernel state itself: addresses and routes are handed in.
package tunnel

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// Route leads packets to Prefix out of Device.
type Route struct {
	Prefix  netip.Prefix
	Mark    uint32 // of the packet; 0: packets without one
	Device  string
	Gateway netip.Addr // the zero Addr: the destination itself is on the link
	Source  netip.Addr
	// Local is set for the host's own addresses, User for what a user added.
	Local, User bool
}

// Routes is a routing table.
//
// Thread-safety: the control loop changes it; any thread may look up.
type Routes struct {
	// Addrs returns the addresses of a device with their prefixes.
	Addrs func(device string) []netip.Prefix

	routes atomic.Pointer[[]Route] // best first; replaced whole
	seq    uint64
}

// Seq changes when the table does.
func (t *Routes) Seq() uint64 { return t.seq }

func (t *Routes) list() []Route {
	if l := t.routes.Load(); l != nil {
		return *l
	}
	return nil
}

// publish makes list, which the caller gives up, the table.  One that is as it was is no
// change: hosts hear of their links and addresses all the time.
func (t *Routes) publish(list []Route) {
	slices.SortStableFunc(list, func(a, b Route) int {
		return cmp.Or(cmp.Compare(b.priority(), a.priority()), a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Mark, b.Mark))
	})
	if !slices.Equal(list, t.list()) {
		t.routes.Store(&list)
		t.seq++
	}
}

// SetSystem replaces the host's own routes.  One without a Source gets one; one for
// which there is none is left out.
func (t *Routes) SetSystem(system []Route) {
	list := slices.DeleteFunc(slices.Clone(t.list()), func(r Route) bool { return !r.User })
	for _, r := range system {
		if r.Source.IsValid() || t.fill(&r) {
			r.User = false
			list = append(list, r)
		}
	}
	t.publish(list)
}

// Devices lists the devices that routes lead out of, sorted.
func (t *Routes) Devices() []string {
	var names []string
	for _, r := range t.list() {
		names = append(names, r.Device)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Errors of the table, in the words of ovs/route/*.
var (
	ErrInsert   = errors.New("Error while inserting route.") //nolint:staticcheck // printed so
	ErrNotFound = errors.New("Not found")                    //nolint:staticcheck // printed so
	ErrParams   = errors.New("Invalid parameters")           //nolint:staticcheck // printed so
)

// priority orders routes: the longer prefix first, and of two equal ones the user's.
func (r *Route) priority() int {
	p := r.Prefix.Bits()
	if r.Prefix.Addr().Is4() {
		p += 96
	}
	if r.User {
		p += 32
	}
	if r.Local {
		p += 64
	}
	return p
}

// Add adds a route and picks its source address, one that shares the link with the
// destination or with the gateway.
func (t *Routes) Add(r Route) error {
	if !t.fill(&r) {
		return ErrInsert
	}
	r.Prefix = r.Prefix.Masked()
	list, _ := t.without(&r)
	t.publish(append(list, r))
	return nil
}

// fill sets the source address of a route.
func (t *Routes) fill(r *Route) (ok bool) {
	r.Source, ok = t.source(r.Device, r.Prefix.Addr())
	if !ok && r.Gateway.IsValid() {
		r.Source, ok = t.source(r.Device, r.Gateway)
	}
	return ok
}

func (t *Routes) source(device string, dst netip.Addr) (netip.Addr, bool) {
	if t.Addrs == nil {
		return netip.Addr{}, false
	}
	for _, p := range t.Addrs(device) {
		if p.Contains(dst) {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}

// without returns the table without the route that has the same match, and whether
// there was one.
func (t *Routes) without(r *Route) ([]Route, bool) {
	old := t.list()
	list := slices.DeleteFunc(slices.Clone(old), func(o Route) bool {
		return o.Prefix == r.Prefix && o.Mark == r.Mark && o.User == r.User && o.Local == r.Local
	})
	return list, len(list) < len(old)
}

// Del removes a route that a user added.
func (t *Routes) Del(prefix netip.Prefix, mark uint32) error {
	list, found := t.without(&Route{Prefix: prefix.Masked(), Mark: mark, User: true})
	if !found {
		return ErrNotFound
	}
	t.publish(list)
	return nil
}

// Lookup returns the best route to dst for packets with that mark.
func (t *Routes) Lookup(dst netip.Addr, mark uint32) (Route, bool) {
	for _, r := range t.list() {
		if r.Mark == mark && r.Prefix.Contains(dst) {
			return r, true
		}
	}
	return Route{}, false
}

// LookupFrom is Lookup for a tunnel whose local address is configured: it has to be
// one of the host's own.  Without one (src is the zero Addr) it is Lookup.
func (t *Routes) LookupFrom(dst, src netip.Addr, mark uint32) (Route, bool) {
	if src.IsValid() {
		if own, ok := t.Lookup(src, mark); !ok || !own.Local {
			return Route{}, false
		}
	}
	r, ok := t.Lookup(dst, mark)
	if src.IsValid() {
		r.Source = src
	}
	return r, ok
}

// SourceFor returns an address of a device that shares the link with dst.
func (t *Routes) SourceFor(device string, dst netip.Addr) (netip.Addr, bool) {
	for _, r := range t.list() {
		if r.Device == device && r.Source.Is4() == dst.Is4() && r.Prefix.Contains(dst) && !r.Gateway.IsValid() {
			return r.Source, true
		}
	}
	return netip.Addr{}, false
}

// Show is the text of ovs/route/show.
func (t *Routes) Show() string {
	var b strings.Builder
	b.WriteString("Route Table:\n")
	for _, r := range t.list() {
		if r.User {
			b.WriteString("User: ")
		} else {
			b.WriteString("Cached: ")
		}
		b.WriteString(r.Prefix.String())
		if r.Mark != 0 {
			fmt.Fprintf(&b, " MARK %d", r.Mark)
		}
		fmt.Fprintf(&b, " dev %s", r.Device)
		if r.Gateway.IsValid() {
			fmt.Fprintf(&b, " GW %s", r.Gateway)
		}
		fmt.Fprintf(&b, " SRC %s", r.Source)
		if r.Local {
			b.WriteString(" local")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// AddCommand is ovs/route/add IP/LEN DEVICE [GATEWAY] [pkt_mark=MARK].
func (t *Routes) AddCommand(args []string) error {
	prefix, ok := parsePrefix(args[0])
	if !ok {
		return ErrParams
	}
	r := Route{Prefix: prefix, Device: args[1], User: true}
	if len(args) > 2 {
		if mark, ok := parseMark(args[2]); ok {
			r.Mark = mark
		} else if gw, err := netip.ParseAddr(args[2]); err == nil && gw.Is4() == prefix.Addr().Is4() {
			r.Gateway = gw
		} else if prefix.Addr().Is4() {
			return errors.New("Invalid pkt_mark or gateway") //nolint:staticcheck // printed so
		} else {
			return errors.New("Invalid pkt_mark or IPv6 gateway") //nolint:staticcheck // printed so
		}
	}
	if len(args) > 3 {
		mark, ok := parseMark(args[3])
		if !ok {
			return errMark
		}
		r.Mark = mark
	}
	return t.Add(r)
}

var errMark = errors.New("Invalid pkt_mark") //nolint:staticcheck // printed so

// DelCommand is ovs/route/del IP/LEN [pkt_mark=MARK].
func (t *Routes) DelCommand(args []string) error {
	prefix, ok := parsePrefix(args[0])
	if !ok {
		return ErrParams
	}
	mark := uint32(0)
	if len(args) > 1 {
		if mark, ok = parseMark(args[1]); !ok {
			return errMark
		}
	}
	return t.Del(prefix, mark)
}

// LookupCommand is ovs/route/lookup IP [pkt_mark=MARK].
func (t *Routes) LookupCommand(args []string) (string, error) {
	prefix, ok := parsePrefix(args[0])
	if !ok || !prefix.IsSingleIP() {
		return "", ErrParams
	}
	mark := uint32(0)
	if len(args) > 1 {
		if mark, ok = parseMark(args[1]); !ok {
			return "", errMark
		}
	}
	r, ok := t.Lookup(prefix.Addr(), mark)
	if !ok {
		return "", ErrNotFound
	}
	gw := r.Gateway
	if !gw.IsValid() {
		gw = netip.IPv6Unspecified()
	}
	return fmt.Sprintf("src %s\ngateway %s\ndev %s\n", r.Source, gw, r.Device), nil
}

// parsePrefix reads an address with or without a prefix length.
func parsePrefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

func parseMark(s string) (uint32, bool) {
	v, ok := strings.CutPrefix(s, "pkt_mark=")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(v, 0, 32)
	return uint32(n), err == nil
}
