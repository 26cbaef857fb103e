package system

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/bpf"
	"sluice/netdev"
	"sluice/netdev/packet"
	"sluice/tests/testkit/fwdtest"
	"sluice/tests/testkit/nstest"
)

func TestMain(m *testing.M) {
	Register()
	nstest.Main(m)
}

func TestMissingDevice(t *testing.T) {
	if _, err := netdev.Open("nosuch0", "system"); !errors.Is(err, unix.ENODEV) {
		t.Errorf("error %v", err)
	}
	if _, err := netdev.Open("all", ""); !errors.Is(err, unix.EINVAL) {
		t.Errorf("error %v", err)
	}
}

// TestForward proves that the containers' offloads pass: their defaults are TSO
// and transmit checksums on.
func TestForward(t *testing.T) {
	a, b := nstest.New(t), nstest.New(t)
	nstest.Veth(t, "sy0", a, "eth0")
	nstest.Veth(t, "sy1", b, "eth0")
	fwdtest.Addr(t, a, "eth0", 1)
	fwdtest.Addr(t, b, "eth0", 2)
	d0, d1 := fwdtest.Open(t, "sy0", "", nil), fwdtest.Open(t, "sy1", "system", nil)
	pool := fwdtest.Pool(t, 4096)

	f := fwdtest.New(pool)
	gso, partial, longest := 0, 0, 0
	f.Watch = func(p *packet.Pool, i packet.Index) {
		m := p.Meta(i)
		if m.GSOType != 0 {
			gso++
		}
		if m.Csum == packet.CsumPartial {
			partial++
		}
		longest = max(longest, int(m.Len))
	}
	f.Start(t, d0, d1)
	fwdtest.Ping(t, a, 2, 1472)
	fwdtest.TCP(t, a, b, 2, 20<<20)
	f.Stop()
	if gso == 0 || partial == 0 || longest < 9000 {
		t.Errorf("%d GSO packets, %d partial checksums, longest %d", gso, partial, longest)
	}
	if s := d0.Stats(); s.RxPackets == 0 || s.TxPackets == 0 || s.RxDropped != 0 {
		t.Errorf("%+v", s)
	}
}

// TestVLANTagComesBack sends a tagged frame over a veth pair, whose receiving end
// takes the tag out of band.
func TestVLANTagComesBack(t *testing.T) {
	nstest.Veth(t, "sy0", nil, "sy1")
	d0, d1 := fwdtest.Open(t, "sy0", "system", nil), fwdtest.Open(t, "sy1", "system", nil)
	c := fwdtest.Pool(t, 1024).NewCache(64)
	for _, tpid := range []string{"\x81\x00", "\x88\xa8"} {
		want := "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01" + tpid + "\x60\x05\x88\xb5" + strings.Repeat("x", 46)
		var b packet.Batch
		b.Add(c.New([]byte(want)))
		d0.TxQueues()[0].Send(c, &b)
		if _, err := d1.RxQueues()[0].Recv(c, &b); err != nil || b.N != 1 {
			t.Fatalf("%d packets, %v", b.N, err)
		}
		if got := c.Pool().AppendBytes(nil, b.Pkts[0]); string(got) != want {
			t.Errorf("received %x, want %x", got, want)
		}
		c.FreeBatch(&b)
	}
}

// TestCloseFreesFrames also proves that promiscuous mode ends.
func TestCloseFreesFrames(t *testing.T) {
	nstest.Veth(t, "sy0", nil, "sy1")
	pool := fwdtest.Pool(t, 1024)
	before := pool.Available()
	d := fwdtest.Open(t, "sy0", "system", nil)
	if !strings.Contains(nstest.Run(t, "ip", "-d", "link", "show", "sy0"), "promiscuity 1") {
		t.Error("not promiscuous")
	}
	c := pool.NewCache(8)
	var b packet.Batch
	if _, err := d.RxQueues()[0].Recv(c, &b); err != nil {
		t.Error(err)
	}
	c.Close()
	if err := d.Close(false); err != nil {
		t.Error(err)
	}
	if got := pool.Available(); got != before {
		t.Errorf("%d frames lost", before-got)
	}
	if strings.Contains(nstest.Run(t, "ip", "-d", "link", "show", "sy0"), "promiscuity 1") {
		t.Error("still promiscuous")
	}
	if _, ok := netdev.ByName("sy0"); ok {
		t.Error("still registered")
	}
}

// TestHostGetsNoCopy: what an open NIC receives is the switch's alone, as long as it is
// open.  A NIC is known by its address.
func TestHostGetsNoCopy(t *testing.T) {
	ns := nstest.New(t)
	nstest.Veth(t, "sy0", ns, "eth0")
	fwdtest.Addr(t, ns, "eth0", 1)
	nstest.Run(t, "ip", "link", "set", "sy0", "address", "00:16:3e:00:00:01")
	nstest.Run(t, "ip", "addr", "add", "10.77.0.2/24", "dev", "sy0")
	// The neighbours are known, so that the ping alone decides.
	mac := func(out string) string { return strings.Fields(out[strings.Index(out, "link/ether"):])[1] }
	own := mac(nstest.Run(t, "ip", "link", "show", "sy0"))
	ns.Run(t, "ip", "neigh", "add", "10.77.0.2", "lladdr", own, "dev", "eth0")
	answers := func() bool {
		return ns.Command("ping", "-c", "1", "-W", "1", "10.77.0.2").Run() == nil
	}
	if !answers() {
		t.Fatal("the host does not answer")
	}
	d := fwdtest.Open(t, "sy0", "system", nil)
	if answers() {
		t.Error("the host answers what belongs to the switch")
	}
	c := fwdtest.Pool(t, 1024).NewCache(8)
	var b packet.Batch
	if n, err := d.RxQueues()[0].Recv(c, &b); n == 0 {
		t.Errorf("the switch got nothing: %v", err)
	}
	c.FreeBatch(&b)
	c.Close()
	if err := d.Close(false); err != nil {
		t.Error(err)
	}
	if !answers() {
		t.Error("the host does not answer after the device is closed")
	}

	bpf.SetMissing(bpf.TCX)
	defer bpf.SetMissing()
	fwdtest.Open(t, "sy0", "system", nil)
	if !answers() {
		t.Error("without TCX the host gets nothing")
	}
}

func TestRecvSendAllocateNothing(t *testing.T) {
	nstest.Veth(t, "sy0", nil, "sy1")
	d0, d1 := fwdtest.Open(t, "sy0", "system", nil), fwdtest.Open(t, "sy1", "system", nil)
	c := fwdtest.Pool(t, 4096).NewCache(64)
	data := make([]byte, 1514)
	for i := range 6 {
		data[i] = 0xff
	}
	received := 0
	var b packet.Batch
	allocs := testing.AllocsPerRun(100, func() {
		for range 8 {
			b.Add(c.New(data))
		}
		d0.TxQueues()[0].Send(c, &b)
		for range 8 {
			n, _ := d1.RxQueues()[0].Recv(c, &b)
			received += n
			c.FreeBatch(&b)
		}
	})
	if allocs != 0 || received == 0 {
		t.Errorf("%v allocations, %d packets received", allocs, received)
	}
}

// TestPolicedDrops shows in the device's statistics.
func TestPolicedDrops(t *testing.T) {
	nstest.Veth(t, "sy0", nil, "sy1")
	d := fwdtest.Open(t, "sy0", "system", nil)
	p := d.(netdev.Policed)
	// The kernel may be without a policer of its own, which changes nothing here.
	if err := p.SetPolicing(netdev.Policing{KpktRate: 1, KpktBurst: 1}); err != nil && !errors.Is(err, unix.ENOENT) {
		t.Fatal(err)
	}
	before := d.Stats().RxDropped
	c := fwdtest.Pool(t, 2048).NewCache(64)
	for range 1003 {
		var b packet.Batch
		b.Add(c.New(make([]byte, 60)))
		p.Policer().Police(c, &b, 5)
		c.FreeBatch(&b)
	}
	if got := d.Stats().RxDropped - before; got != 3 {
		t.Errorf("%d dropped, want 3", got)
	}
	c.Close()
}
