package tunnel

import (
	"net/netip"
	"strings"
	"testing"

	"sluice/dpif/flow"
)

var (
	macA = flow.MAC{0xaa, 0x55, 0xaa, 0x55, 0, 0}
	macB = flow.MAC{0xf8, 0xbc, 0x12, 0x44, 0x34, 0xb6}
	ipA  = netip.MustParseAddr("1.1.2.92")
	ipB  = netip.MustParseAddr("2001:cafe::92")
)

func TestNeighborsAge(t *testing.T) {
	var n Neighbors
	n.Set("br0", ipA, macA, 1000)
	n.Set("br0", ipB, macB, 2000)
	if got, ok := n.Lookup("br0", ipA, 900999); !ok || got != macA {
		t.Errorf("%v %t", got, ok)
	}
	if _, ok := n.Lookup("br1", ipA, 1000); ok {
		t.Error("known on another bridge")
	}
	if at, ok := n.Next(); !ok || at != 901000 {
		t.Errorf("next at %d", at)
	}
	seq := n.Seq()
	if n.Use("br0", ipB, 3000, true) {
		t.Error("asked for a known neighbour")
	}
	n.Run(902000)
	if _, ok := n.Lookup("br0", ipA, 902000); ok || n.Seq() == seq {
		t.Error("an idle neighbour does not age")
	}
	if _, ok := n.Lookup("br0", ipB, 902000); !ok {
		t.Error("a neighbour in use ages")
	}
	seq = n.Seq()
	n.Set("br0", ipB, macB, 902500)
	if n.Seq() != seq {
		t.Error("the same address again is a change")
	}
	if n.Set("br0", ipB, macA, 904000); n.Seq() == seq {
		t.Error("another address is no change")
	}
	n.Set("br1", ipA, macA, 904000)
	if n.FlushBridge("br0"); n.Len() != 1 {
		t.Errorf("%d neighbours left", n.Len())
	}
	if n.Flush(); n.Show(904000) != neighborTitle {
		t.Errorf("after flush: %s", n.Show(904000))
	}
}

func TestNeighborsAsk(t *testing.T) {
	var n Neighbors
	for _, tc := range []struct {
		now  int64
		can  bool
		want bool
	}{{1000, false, false}, {1000, true, true}, {1500, true, false}, {1999, true, false}, {2000, true, true}, {500, true, true}} {
		if got := n.Use("br0", ipA, tc.now, tc.can); got != tc.want {
			t.Errorf("at %d: %t", tc.now, got)
		}
	}
	n.Set("br0", ipA, macA, 600)
	if n.Use("br0", ipA, 5000, true) {
		t.Error("asked for a known neighbour")
	}
}

const neighborTitle = "IP                                            MAC                 Bridge\n" +
	"==========================================================================\n"

// Texts as stock 3.1 has them.
func TestNeighborCommands(t *testing.T) {
	var n Neighbors
	for _, tc := range []struct{ args, want string }{
		{"br0 1.1.2.92 f8:bc:12:44:34:b6", ""},
		{"br0 ::ffff:1.2.3.4 aa:bb:cc:dd:ee:01", ""},
		{"br0 2001:cafe::92 aa:bb:cc:dd:ee:01", ""},
		{"br0 1.1.1.x aa:bb:cc:dd:ee:ff", "bad IP address"},
		{"br0 1.1.1.1 aa", "bad MAC address"},
		{"br0 1.1.1.1 aa:bb:cc:dd:ee:100", "bad MAC address"},
	} {
		got := ""
		if err := n.SetCommand(strings.Fields(tc.args), 0); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("set %s: %q", tc.args, got)
		}
	}
	want := neighborTitle +
		"1.1.2.92                                      f8:bc:12:44:34:b6   br0\n" +
		"1.2.3.4                                       aa:bb:cc:dd:ee:01   br0\n" +
		"2001:cafe::92                                 aa:bb:cc:dd:ee:01   br0\n"
	if got := n.Show(0); got != want {
		t.Errorf("show:\n%s", got)
	}
	for _, tc := range []struct{ args, want string }{{"", "900"}, {"0", "bad aging value"}, {"3601", "bad aging value"}, {"x", "bad aging value"}, {"5", "OK"}, {"", "5"}} {
		got, err := n.AgingCommand(strings.Fields(tc.args), 0)
		if err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("aging %s: %q", tc.args, got)
		}
	}
	if n.Run(5000); n.Show(5000) != neighborTitle {
		t.Error("the shorter time is not in force")
	}
}

// bed is a host with one device, br0.
type bed struct {
	addrs    []netip.Prefix
	seq, rts uint64
	routes   []Route
}

func (b *bed) host() Host {
	return Host{
		Device:    func(name string) (flow.MAC, []netip.Prefix, bool) { return macA, b.addrs, name == "br0" },
		DeviceSeq: func(string) uint64 { return b.seq },
		Routes:    func() []Route { return b.routes },
		RouteSeq:  func() uint64 { return b.rts },
	}
}

func vxlanTo(dst uint32) *flow.Flow {
	return &flow.Flow{DLDst: macA, DLType: flow.EthIPv4, NwProto: 17, NwDst: dst, TpDst: 4789}
}

func TestListeners(t *testing.T) {
	b := &bed{seq: 1, addrs: []netip.Prefix{netip.MustParsePrefix("1.1.2.88/24"), netip.MustParsePrefix("2001:cafe::88/64")}}
	n := NewNative(b.host())
	owner := new(int)
	n.Listeners.SetPorts(owner, []Listener{{"vxlan_sys_4789", 4789, 17, 4789, 2}, {"erspan_sys", 4, 47, 0, 1}, {"gre_sys", 3, 47, 0, 1}})
	n.Run(0)
	var wc flow.Mask
	if _, ok := n.Listeners.Lookup(vxlanTo(0x01010258), &wc); ok {
		t.Error("found without a route")
	}
	if err := n.Routes.AddCommand([]string{"1.1.2.92/24", "br0"}); err != nil {
		t.Fatal(err)
	}
	seq := n.Seq()
	n.Run(1)
	if n.Seq() == seq {
		t.Error("new addresses are no change")
	}
	if port, ok := n.Listeners.Lookup(vxlanTo(0x01010258), &wc); !ok || port != 4789 {
		t.Errorf("port %d %t", port, ok)
	}
	if wc.NwDst != ^uint32(0) || wc.TpDst != 0xffff || wc.DLDst == (flow.MAC{}) {
		t.Errorf("mask %+v", wc)
	}
	tagged := vxlanTo(0x01010258)
	tagged.VLANs[0].TCI = 0x1001
	for what, f := range map[string]*flow.Flow{"another address": vxlanTo(0x01010259), "tagged": tagged} {
		if _, ok := n.Listeners.Lookup(f, &wc); ok {
			t.Errorf("%s: found", what)
		}
	}
	gre := vxlanTo(0x01010258)
	gre.NwProto = 47
	if port, _ := n.Listeners.Lookup(gre, &wc); port != 3 {
		t.Errorf("GRE: port %d", port)
	}
	if got, want := n.Listeners.Show(false), "Listening ports:\ngre_sys (3) ref_cnt=1\nerspan_sys (4) ref_cnt=1\nvxlan_sys_4789 (4789) ref_cnt=2\n"; got != want {
		t.Errorf("show: %s", got)
	}
	for _, line := range []string{
		"vxlan_sys_4789 (4789) : eth(dst=aa:55:aa:55:00:00),eth_type(0x0800),ipv4(dst=1.1.2.88,proto=17,frag=no),udp(dst=4789)\n",
		"gre_sys (3) : eth(dst=aa:55:aa:55:00:00),eth_type(0x86dd),ipv6(dst=2001:cafe::88,proto=47,frag=no)\n",
	} {
		if got := n.Listeners.Show(true); !strings.Contains(got, line) {
			t.Errorf("show -v lacks %s:\n%s", line, got)
		}
	}
	b.addrs, b.seq = []netip.Prefix{netip.MustParsePrefix("1.1.2.77/24")}, 2
	n.Run(2)
	if _, ok := n.Listeners.Lookup(vxlanTo(0x01010258), &wc); ok {
		t.Error("an address that is gone still listens")
	}
	if n.Listeners.SetPorts(owner, nil); n.Listeners.Show(false) != "Listening ports:\n" {
		t.Error("ports stay")
	}
}

func TestSystemRoutes(t *testing.T) {
	b := &bed{seq: 1, rts: 1, addrs: []netip.Prefix{netip.MustParsePrefix("1.1.2.88/24")}}
	b.routes = []Route{
		{Prefix: netip.MustParsePrefix("1.1.2.0/24"), Device: "br0"},
		{Prefix: netip.MustParsePrefix("1.1.2.88/32"), Device: "br0", Source: netip.MustParseAddr("1.1.2.88"), Local: true},
		{Prefix: netip.MustParsePrefix("9.0.0.0/8"), Device: "eth7"},
	}
	n := NewNative(b.host())
	n.Run(0)
	if err := n.Routes.AddCommand([]string{"5.0.0.0/8", "br0", "1.1.2.1"}); err != nil {
		t.Fatal(err)
	}
	own, other := netip.MustParseAddr("1.1.2.88"), netip.MustParseAddr("1.1.2.5")
	if r, ok := n.Routes.LookupFrom(ipA, netip.Addr{}, 0); !ok || r.Source != own {
		t.Errorf("%+v %t", r, ok)
	}
	if r, ok := n.Routes.LookupFrom(ipA, own, 0); !ok || r.Source != own || r.Device != "br0" {
		t.Errorf("from our own address: %+v %t", r, ok)
	}
	if _, ok := n.Routes.LookupFrom(ipA, other, 0); ok {
		t.Error("from an address that is not ours")
	}
	if _, ok := n.Routes.Lookup(netip.MustParseAddr("9.1.1.1"), 0); ok {
		t.Error("a route without a source address is used")
	}
	if src, ok := n.Routes.SourceFor("br0", other); !ok || src != own {
		t.Errorf("source for a neighbour: %v", src)
	}
	b.routes, b.rts = nil, 2
	n.Run(1)
	if _, ok := n.Routes.Lookup(ipA, 0); ok {
		t.Error("a route that the host lost stays")
	}
	if _, ok := n.Routes.Lookup(netip.MustParseAddr("5.5.5.5"), 0); !ok {
		t.Error("a user's route went with the host's")
	}
}

// TestNativeSettles has a port whose device has an address but no place in the kernel, as
// tunnels have none: asking for it again and again is no change.
func TestNativeSettles(t *testing.T) {
	n := NewNative(Host{
		Device:    func(string) (flow.MAC, []netip.Prefix, bool) { return macA, nil, false },
		DeviceSeq: func(string) uint64 { return 1 },
	})
	n.Addrs("vxlan0")
	n.Run(1000)
	seq := n.Seq()
	for now := int64(1000); now < 1010; now++ {
		n.Run(now)
		n.Addrs("vxlan0")
	}
	if n.Seq() != seq {
		t.Errorf("%d changes", n.Seq()-seq)
	}
}

// A host tells of links and addresses that change no route, and what is told again is no
// change.
func TestSameRoutes(t *testing.T) {
	b := &bed{seq: 1, rts: 1, addrs: []netip.Prefix{netip.MustParsePrefix("1.1.2.88/24")}}
	b.routes = []Route{
		{Prefix: netip.MustParsePrefix("1.1.0.0/16"), Device: "br0", Gateway: netip.MustParseAddr("1.1.2.1")},
		{Prefix: netip.MustParsePrefix("1.1.2.0/24"), Device: "br0"},
	}
	n := NewNative(b.host())
	n.Run(0)
	seq := n.Seq()
	b.rts = 2
	if n.Run(1); n.Seq() != seq {
		t.Errorf("%d changes", n.Seq()-seq)
	}
	b.rts, b.routes = 3, b.routes[:1]
	if n.Run(2); n.Seq() == seq {
		t.Error("a route less is no change")
	}
}
