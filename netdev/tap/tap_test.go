package tap

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/netdev"
	"sluice/netdev/packet"
	"sluice/netdev/rtnl"
	"sluice/netdev/system"
	"sluice/tests/testkit/fwdtest"
	"sluice/tests/testkit/nstest"
)

func TestMain(m *testing.M) {
	Register()
	system.Register()
	nstest.Main(m)
}

// TestForward has the host's own stack, behind a tap, talk to a namespace behind
// a veth pair.
func TestForward(t *testing.T) {
	ns, host := nstest.New(t), nstest.New(t)
	nstest.Veth(t, "ta1", ns, "eth0")
	fwdtest.Addr(t, ns, "eth0", 1)
	d0 := fwdtest.Open(t, "ta0", "internal", nil)
	// The tap moves to a namespace of its own, so that both ends are not one
	// stack; its descriptor goes on working.
	d1 := fwdtest.Open(t, "ta1", "system", nil)
	nstest.Run(t, "ip", "link", "set", "ta0", "netns", host.Path())
	fwdtest.Addr(t, host, "ta0", 2)
	host.Run(t, "ip", "link", "set", "ta0", "up")

	f := fwdtest.New(fwdtest.Pool(t, 4096))
	gso := 0
	f.Watch = func(p *packet.Pool, i packet.Index) {
		if p.Meta(i).GSOType != 0 {
			gso++
		}
	}
	f.Start(t, d0, d1)
	fwdtest.Ping(t, host, 1, 1472)
	fwdtest.TCP(t, host, ns, 1, 20<<20)
	f.Stop()
	if gso == 0 {
		t.Error("no GSO packet passed")
	}
}

func TestDevice(t *testing.T) {
	nstest.Need(t)
	d := fwdtest.Open(t, "ta0", "tap", nil)
	if d.AdminUp() || d.MTU() != 1500 || d.Ifindex() <= 0 || d.Type() != "tap" {
		t.Errorf("up %v, MTU %d", d.AdminUp(), d.MTU())
	}
	mac := netdev.MAC{2, 0, 0, 0, 0, 9}
	for _, err := range []error{d.SetEtherAddr(mac), d.SetMTU(9000), d.SetAdminUp(true)} {
		if err != nil {
			t.Error(err)
		}
	}
	if d.EtherAddr() != mac || d.MTU() != 9000 || !d.Carrier() {
		t.Error("setters without effect")
	}
	if got := d.Status()["driver_name"]; got != "tun" {
		t.Errorf("driver %q", got)
	}
}

func TestPersistence(t *testing.T) {
	nstest.Need(t)
	d := fwdtest.Open(t, "ta0", "internal", nil)
	if err := d.Close(true); err != nil {
		t.Fatal(err)
	}
	l, err := rtnl.Get("ta0")
	if err != nil {
		t.Fatal("the kept device is gone")
	}
	d = fwdtest.Open(t, "ta0", "internal", nil)
	if d.Ifindex() != l.Index {
		t.Error("not adopted")
	}
	if err := d.Close(false); err != nil {
		t.Fatal(err)
	}
	if _, err := rtnl.Get("ta0"); !errors.Is(err, unix.ENODEV) {
		t.Errorf("after Close: %v", err)
	}
}

func TestStatsAreTheSwitchs(t *testing.T) {
	nstest.Need(t)
	d := fwdtest.Open(t, "ta0", "tap", nil)
	if err := d.SetAdminUp(true); err != nil {
		t.Fatal(err)
	}
	c := fwdtest.Pool(t, 256).NewCache(32)
	var b packet.Batch
	b.Add(c.New([]byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xb5" + strings.Repeat("x", 46))))
	d.TxQueues()[0].Send(c, &b)
	if s := d.Stats(); s.TxPackets != 1 || s.TxBytes != 60 {
		t.Errorf("%d packets, %d bytes sent", s.TxPackets, s.TxBytes)
	}
}

func TestLinkRemovedByOthers(t *testing.T) {
	nstest.Need(t)
	d := fwdtest.Open(t, "ta0", "tap", nil)
	nstest.Run(t, "ip", "link", "del", "ta0")
	c := fwdtest.Pool(t, 256).NewCache(32)
	var b packet.Batch
	if n, err := d.RxQueues()[0].Recv(c, &b); n != 0 || err != nil {
		t.Errorf("%d packets, %v", n, err)
	}
	if fd := d.RxQueues()[0].Fd(); fd != -1 {
		t.Errorf("descriptor %d would always be ready", fd)
	}
}

// TestQoS proves that a tap is shaped, and that its policing leaves the kernel's
// ingress side alone, which has what the switch sends.
func TestQoS(t *testing.T) {
	nstest.Need(t)
	d := fwdtest.Open(t, "tq0", "tap", nil)
	if err := d.(netdev.QoS).SetQoS("linux-htb", map[string]string{"max-rate": "10000000"}); err != nil {
		t.Fatal(err)
	}
	p := d.(netdev.Policed)
	if err := p.SetPolicing(netdev.Policing{KbitRate: 1000}); err != nil || !p.Policer().On() {
		t.Errorf("policing: %v, on %v", err, p.Policer().On())
	}
	if got := nstest.Run(t, "tc", "qdisc", "show", "dev", "tq0"); !strings.Contains(got, "qdisc htb 1: root") || strings.Contains(got, "ingress") {
		t.Error(got)
	}
}
