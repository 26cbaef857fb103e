package rtnl

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/internal/poll"
	"sluice/netdev"
	"sluice/tests/testkit/nstest"
)

func TestMain(m *testing.M) { nstest.Main(m) }

func TestGet(t *testing.T) {
	nstest.Veth(t, "rt0", nil, "rt1")
	l, err := Get("rt0")
	if err != nil {
		t.Fatal(err)
	}
	if l.Kind != "veth" || !l.Up() || l.MTU != 1500 || l.MAC == (netdev.MAC{}) {
		t.Errorf("%+v", l)
	}
	for _, name := range []string{"none0", "", "a-name-too-long-for-it"} {
		if _, err := Get(name); !errors.Is(err, unix.ENODEV) {
			t.Errorf("Get(%q): %v", name, err)
		}
	}
}

type device struct{ Device }

func newDevice(t *testing.T, name string) *device {
	t.Helper()
	d := &device{}
	if err := d.Init(name, "system", false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.CloseLink)
	return d
}

// turn runs the loop until cond holds.
func turn(t *testing.T, cond func() bool) {
	t.Helper()
	var s poll.Set
	for i := 0; !cond(); i++ {
		if i > 100 {
			t.Fatal("no event")
		}
		netdev.Wait(&s)
		s.Timer(100)
		if err := s.Block(0); err != nil {
			t.Fatal(err)
		}
		netdev.Run(0)
	}
}

func TestDeviceFollowsTheLink(t *testing.T) {
	nstest.Veth(t, "rt0", nil, "rt1")
	d := newDevice(t, "rt0")
	turn(t, d.Carrier)
	seq, resets := d.ChangeSeq(), d.CarrierResets()

	nstest.Run(t, "ip", "link", "set", "rt1", "down")
	turn(t, func() bool { return !d.Carrier() })
	if d.ChangeSeq() == seq || d.CarrierResets() != resets+1 || !d.AdminUp() {
		t.Errorf("after the loss of carrier: %d resets, up %v", d.CarrierResets()-resets, d.AdminUp())
	}

	nstest.Run(t, "ip", "link", "set", "rt0", "mtu", "1400")
	turn(t, func() bool { return d.MTU() == 1400 })

	seq = d.mon.LinkSeq()
	nstest.Run(t, "ip", "link", "del", "rt0")
	turn(t, func() bool { return !d.AdminUp() })
	if d.mon.LinkSeq() == seq {
		t.Error("link counter stands still")
	}
	if s := d.Stats(); s.RxPackets != netdev.Unsupported {
		t.Errorf("statistics of nothing: %+v", s)
	}

	old := d.Ifindex()
	nstest.Veth(t, "rt0", nil, "rt1")
	turn(t, d.Renewed)
	if d.Ifindex() == old || d.Stats().RxPackets != 0 {
		t.Errorf("the new link is not followed: index %d", d.Ifindex())
	}
}

func TestMIIMonitor(t *testing.T) {
	nstest.Veth(t, "rt0", nil, "rt1")
	d := newDevice(t, "rt0")
	d.SetMIIMonitor(200)
	var s poll.Set
	d.Run(1000)
	d.Wait(&s)
	if at, ok := s.Deadline(); !d.Carrier() || !ok || at != 1200 {
		t.Fatalf("carrier %t, next at %d %t", d.Carrier(), at, ok)
	}
	peer, err := Get("rt1")
	if err != nil {
		t.Fatal(err)
	}
	if err := SetUp(peer.Index, false); err != nil {
		t.Fatal(err)
	}
	seq := d.ChangeSeq()
	if d.Run(1199); !d.Carrier() {
		t.Error("it is not time to ask")
	}
	if d.Run(1200); d.Carrier() || d.ChangeSeq() == seq {
		t.Error("the link is down, and nobody was told")
	}
	d.SetMIIMonitor(0)
	turn(t, func() bool { return !d.Link().Running() })
	if d.Carrier() {
		t.Error("without monitoring the kernel's word counts")
	}
}

func TestSetters(t *testing.T) {
	nstest.Veth(t, "rt0", nil, "rt1")
	d := newDevice(t, "rt0")
	mac := netdev.MAC{2, 0, 0, 0, 0, 7}
	for _, err := range []error{d.SetMTU(1300), d.SetEtherAddr(mac), d.SetAdminUp(false)} {
		if err != nil {
			t.Error(err)
		}
	}
	l, err := Get("rt0")
	if err != nil {
		t.Fatal(err)
	}
	if l.MTU != 1300 || l.MAC != mac || l.Up() {
		t.Errorf("link is %+v", l)
	}
	if d.MTU() != 1300 || d.EtherAddr() != mac || d.AdminUp() {
		t.Error("the device does not know what it set")
	}
	if err := d.SetMTU(1 << 20); !errors.Is(err, unix.EINVAL) {
		t.Errorf("huge MTU: %v", err)
	}
}

func TestEthtool(t *testing.T) {
	nstest.Veth(t, "rt0", nil, "rt1")
	d := newDevice(t, "rt0")
	if f := d.Features(); f.Current != f10GbFD|fCopper {
		t.Errorf("features %+v", f)
	}
	s := d.Status()
	if s["driver_name"] != "veth" || s["driver_version"] != "1.0" {
		t.Errorf("status %v", s)
	}
	if _, ok := s["firmware_version"]; !ok {
		t.Error("no firmware_version")
	}
	if _, err := Offloads("rt0"); err != nil {
		t.Error(err)
	}
}

func TestXDPFeatures(t *testing.T) {
	nstest.Veth(t, "rt0", nil, "rt1")
	d := newDevice(t, "rt0")
	f, err := GetXDPFeatures(d.Ifindex())
	if err != nil {
		t.Fatalf("Linux 6.3 and later answer: %v", err)
	}
	if f.Act&(XDPActBasic|XDPActRedirect) != XDPActBasic|XDPActRedirect || f.Act&XDPActZeroCopy != 0 {
		t.Errorf("features of a veth: %+v", f)
	}
	if d.NUMA() != 0 {
		t.Errorf("NUMA node %d", d.NUMA())
	}
}

func TestRoutesAndAddrs(t *testing.T) {
	nstest.Veth(t, "rt0", nil, "rt1")
	nstest.Run(t, "ip", "addr", "add", "10.9.0.1/24", "dev", "rt0")
	nstest.Run(t, "ip", "route", "add", "default", "via", "10.9.0.2", "metric", "7")
	nstest.Run(t, "ip", "neigh", "add", "10.9.0.2", "lladdr", "02:00:00:00:00:01", "dev", "rt0")
	l, _ := Get("rt0")

	routes, err := Routes()
	if err != nil {
		t.Fatal(err)
	}
	want := []Route{
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.9.0.2"), Index: l.Index, Table: 254, Metric: 7},
		{Dst: netip.MustParsePrefix("10.9.0.0/24"), PrefSrc: netip.MustParseAddr("10.9.0.1"), Index: l.Index, Table: 254},
		{Dst: netip.MustParsePrefix("10.9.0.1/32"), PrefSrc: netip.MustParseAddr("10.9.0.1"), Index: l.Index, Table: 255, Local: true},
	}
	for _, w := range want {
		found := false
		for _, r := range routes {
			found = found || r == w
		}
		if !found {
			t.Errorf("no route %+v in %+v", w, routes)
		}
	}
	addrs, err := Addrs(l.Index)
	if err != nil || len(addrs) != 1 || addrs[0].Prefix != netip.MustParsePrefix("10.9.0.1/24") {
		t.Errorf("addresses %v, %v", addrs, err)
	}
	neighs, err := Neighs()
	if err != nil || len(neighs) != 1 || neighs[0].MAC != (netdev.MAC{2, 0, 0, 0, 0, 1}) {
		t.Errorf("neighbours %v, %v", neighs, err)
	}
}

func TestNextHop(t *testing.T) {
	nstest.Veth(t, "rt0", nil, "rt1")
	nstest.Run(t, "ip", "addr", "add", "10.9.0.1/24", "dev", "rt0")
	nstest.Run(t, "ip", "route", "add", "default", "via", "10.9.0.2")
	nstest.Run(t, "ip", "neigh", "add", "10.9.0.2", "lladdr", "02:00:00:00:00:01", "dev", "rt0")
	nstest.Run(t, "ip", "neigh", "add", "10.9.0.3", "lladdr", "02:00:00:00:00:02", "dev", "rt0")
	for _, c := range []struct {
		remote string
		mac    netdev.MAC
		ok     bool
	}{
		{"10.9.0.3", netdev.MAC{2, 0, 0, 0, 0, 2}, true},
		{"192.0.2.1", netdev.MAC{2, 0, 0, 0, 0, 1}, true},
		{"10.9.0.4", netdev.MAC{}, false}, // no neighbour
		{"10.9.0.1", netdev.MAC{}, false}, // the host itself
		{"fe80::1", netdev.MAC{}, false},
	} {
		if mac, ok := NextHop(netip.MustParseAddr(c.remote)); mac != c.mac || ok != c.ok {
			t.Errorf("%s: next hop %x, %v", c.remote, mac, ok)
		}
	}
	nstest.Run(t, "ip", "route", "del", "default")
	if mac, ok := NextHop(netip.MustParseAddr("192.0.2.1")); ok {
		t.Errorf("next hop %x without a route", mac)
	}
}

func TestLostEvents(t *testing.T) {
	nstest.Veth(t, "rt0", nil, "rt1")
	d := newDevice(t, "rt0")
	seq, routes := d.ChangeSeq(), d.mon.RouteSeq()
	d.mon.lost()
	if d.ChangeSeq() == seq || d.mon.RouteSeq() == routes {
		t.Error("a loss of events goes unnoticed")
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte{16, 0, 0, 0, unix.RTM_NEWLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{24, 0, 0, 0, unix.RTM_NEWADDR, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255, 0})
	m := &Monitor{devices: map[int]*Device{}, orphans: map[string]*Device{}}
	f.Fuzz(func(_ *testing.T, b []byte) { m.parse(b) })
}
