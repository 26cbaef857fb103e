package afxdp

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/bpf"
	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/netdev"
	"sluice/netdev/packet"
	"sluice/netdev/rtnl"
	"sluice/netdev/system"
	"sluice/tests/testkit/fwdtest"
	"sluice/tests/testkit/nstest"
)

var testPool *packet.Pool

func TestMain(m *testing.M) {
	var err error
	if testPool, err = packet.NewPool(1 << 15); err != nil {
		panic(err)
	}
	Register(func() (*packet.Pool, error) { return testPool, nil })
	system.Register()
	nstest.Main(m)
}

// resetDomains has the next port register memory anew.
func resetDomains() {
	if domains.next != nil {
		domains.next.cancel()
	}
	domains.copy, domains.next = nil, nil
}

// topology is two namespaces whose links are ports here.
type topology struct{ a, b *nstest.NS }

func newTopology(t testing.TB) topology {
	t.Helper()
	n := topology{nstest.New(t), nstest.New(t)}
	nstest.Veth(t, "ax0", n.a, "eth0")
	nstest.Veth(t, "ax1", n.b, "eth0")
	fwdtest.Addr(t, n.a, "eth0", 1)
	fwdtest.Addr(t, n.b, "eth0", 2)
	return n
}

// TestForward proves the main job in every combination of what a kernel may
// lack, with the offloads of the containers as they are by default.
func TestForward(t *testing.T) {
	old := []bpf.Feature{bpf.VLANKfunc, bpf.TxBudget, bpf.TxMetadata, bpf.MultiBuffer}
	for _, tc := range []struct {
		name    string
		missing []bpf.Feature
		options map[string]string
		mode    string
	}{
		{"best effort", nil, nil, "native"},
		{"native", nil, map[string]string{"xdp-mode": "native"}, "native"},
		{"generic", nil, map[string]string{"xdp-mode": "generic"}, "generic"},
		{"no native XDP", []bpf.Feature{bpf.NativeXDP}, nil, "generic"},
		{"no transmit metadata", []bpf.Feature{bpf.TxMetadata}, nil, "native"},
		{"no multi-buffer", []bpf.Feature{bpf.MultiBuffer}, nil, "native"},
		{"no shared memory", []bpf.Feature{bpf.SharedUMEM}, nil, "native"},
		{"no need-wakeup", []bpf.Feature{bpf.NeedWakeup}, map[string]string{"use-need-wakeup": "false"}, "native"},
		{"Linux 6.1", old, nil, "native"},
		{"nothing at all", append(old, bpf.NativeXDP, bpf.SharedUMEM, bpf.NeedWakeup),
			map[string]string{"use-need-wakeup": "false"}, "generic"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bpf.SetMissing(tc.missing...)
			defer bpf.SetMissing()
			resetDomains()
			n := newTopology(t)
			d0 := fwdtest.Open(t, "ax0", "afxdp", tc.options)
			d1 := fwdtest.Open(t, "ax1", "afxdp-nonpmd", tc.options)
			if got := d0.Status()["xdp-mode"]; got != tc.mode {
				t.Errorf("mode %s", got)
			}
			if !slices.Contains(tc.missing, bpf.SharedUMEM) && d0.(*Device).dom != d1.(*Device).dom {
				t.Error("two domains")
			}
			f := fwdtest.New(testPool)
			partial := 0
			f.Watch = func(p *packet.Pool, i packet.Index) {
				if p.Meta(i).Csum == packet.CsumPartial {
					partial++
				}
			}
			f.Start(t, d0, d1)
			fwdtest.Ping(t, n.a, 2, 1472)
			// Generic mode without multi-buffer loses the packets that TSO makes.
			if tc.mode == "native" || !slices.Contains(tc.missing, bpf.MultiBuffer) {
				fwdtest.TCP(t, n.a, n.b, 2, 20<<20)
			} else {
				fwdtest.TCP(t, n.a, n.b, 2, 1000)
			}
			f.Stop()
			if partial == 0 {
				t.Error("no checksum was left to the switch")
			}
			if s := d0.Stats(); s.RxPackets == 0 || s.TxPackets == 0 || s.TxDropped != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestMixed forwards between an AF_XDP port and a system port, whose GSO packets
// are cut for the former.
func TestMixed(t *testing.T) {
	for _, tc := range []struct {
		name    string
		missing []bpf.Feature
	}{{"all features", nil}, {"none", []bpf.Feature{bpf.TxMetadata, bpf.MultiBuffer}}} {
		t.Run(tc.name, func(t *testing.T) {
			bpf.SetMissing(tc.missing...)
			defer bpf.SetMissing()
			resetDomains()
			n := newTopology(t)
			d0 := fwdtest.Open(t, "ax0", "afxdp", nil)
			d1 := fwdtest.Open(t, "ax1", "system", nil)
			f := fwdtest.New(testPool)
			gso := 0
			f.Watch = func(p *packet.Pool, i packet.Index) {
				if p.Meta(i).GSOType != 0 {
					gso++
				}
			}
			f.Start(t, d0, d1)
			fwdtest.Ping(t, n.a, 2, 1472)
			fwdtest.TCP(t, n.a, n.b, 2, 10<<20)
			fwdtest.TCP(t, n.b, n.a, 1, 10<<20)
			f.Stop()
			if gso == 0 {
				t.Error("no GSO packet")
			}
		})
	}
}

func TestJumbo(t *testing.T) {
	resetDomains()
	n := newTopology(t)
	d0, d1 := fwdtest.Open(t, "ax0", "afxdp", nil), fwdtest.Open(t, "ax1", "afxdp", nil)
	if d0.Status()["xdp-multi-buffer"] != "true" {
		t.Fatal("Linux 6.6 and later have multi-buffer")
	}
	for _, mtu := range []string{"9000", "65535"} {
		n.a.Run(t, "ip", "link", "set", "eth0", "mtu", mtu)
		n.b.Run(t, "ip", "link", "set", "eth0", "mtu", mtu)
		for _, d := range []netdev.Device{d0, d1} {
			if err := d.SetMTU(65535); err != nil {
				t.Fatal(err)
			}
		}
		f := fwdtest.New(testPool)
		longest := 0
		f.Watch = func(p *packet.Pool, i packet.Index) { longest = max(longest, int(p.Meta(i).Len)) }
		f.Start(t, d0, d1)
		fwdtest.Ping(t, n.a, 2, 8000)
		fwdtest.TCP(t, n.a, n.b, 2, 20<<20)
		f.Stop()
		if longest < 9000 {
			t.Errorf("MTU %s: longest packet %d", mtu, longest)
		}
	}
}

// TestSeveralRegistrations makes the pool hand out frames beyond the UMEM of a
// port: they are copied.
func TestBeyondTheUMEM(t *testing.T) {
	resetDomains()
	n := newTopology(t)
	d0 := fwdtest.Open(t, "ax0", "afxdp", nil)
	// Take all frames of the first registration but some.
	c := testPool.NewCache(256)
	limit := d0.(*Device).dom.frames
	var held []packet.Index
	for testPool.HighWater() <= limit {
		held = append(held, c.Alloc())
	}
	defer func() {
		for _, i := range held {
			c.Free(i)
		}
		c.Close()
	}()
	d1 := fwdtest.Open(t, "ax1", "afxdp", nil)
	if got := d1.(*Device).dom.frames; got <= limit {
		t.Fatalf("second registration has %d frames, the first %d", got, limit)
	}
	f := fwdtest.New(testPool)
	far := 0
	f.Watch = func(_ *packet.Pool, i packet.Index) {
		if int(i) >= limit {
			far++
		}
	}
	f.Start(t, d0, d1)
	fwdtest.Ping(t, n.a, 2, 1472)
	fwdtest.TCP(t, n.a, n.b, 2, 5<<20)
	f.Stop()
	if far == 0 {
		t.Error("no packet beyond the first registration")
	}
}

// TestGrowAhead has the following registration be there before it is needed.
func TestGrowAhead(t *testing.T) {
	resetDomains()
	defer func(n int) { minDomain = n }(minDomain)
	minDomain = 512
	pool := fwdtest.Pool(t, 8192)
	c := pool.NewCache(64)
	d := &domain{pool: pool, frames: 1024}
	domains.copy = d
	d.growAhead()
	if domains.next != nil {
		t.Fatal("an empty domain grows")
	}
	for pool.HighWater() < 768 {
		c.Alloc()
	}
	d.growAhead()
	next := domains.next
	if next == nil || next.frames != 2048 || next.reg == nil {
		t.Fatal("a full domain does not grow")
	}
	if got := domainFor(pool, false, 400); got != next || domains.copy != next || domains.next != nil {
		t.Error("the registration that was begun is not used")
	}
	if got := domainFor(pool, false, 3000); got == next || next.reg != nil {
		t.Error("one that is too small is kept")
	}
	resetDomains()
}

// TestCloseLeavesNothing also adds the port again at once, when its queue is
// still busy.
func TestCloseLeavesNothing(t *testing.T) {
	resetDomains()
	n := newTopology(t)
	before := testPool.Available()
	for range 3 {
		d0, d1 := fwdtest.Open(t, "ax0", "afxdp", nil), fwdtest.Open(t, "ax1", "afxdp", nil)
		f := fwdtest.New(testPool)
		f.Start(t, d0, d1)
		fwdtest.Ping(t, n.a, 2, 56)
		fwdtest.TCP(t, n.a, n.b, 2, 1<<20)
		f.Stop()
		for _, d := range []netdev.Device{d0, d1} {
			if err := d.Close(false); err != nil {
				t.Error(err)
			}
		}
		if got := testPool.Available(); got != before {
			t.Errorf("%d frames lost", before-got)
		}
	}
	if l, err := rtnl.Get("ax0"); err != nil || l.XDPMode != 0 {
		t.Errorf("an XDP program stays: %+v, %v", l, err)
	}
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); strings.Contains(to, "bpf") {
			t.Errorf("%s is left open", to)
		}
	}
	// An AF_XDP socket that was left open would keep its ring mapped.
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(maps), "socket:") {
		t.Error("a ring is still mapped")
	}
}

// TestSeveralQueues has packets come in on each queue of a device.
func TestSeveralQueues(t *testing.T) {
	resetDomains()
	nstest.Run(t, "ip", "link", "add", "ax0", "numrxqueues", "4", "numtxqueues", "4", "type", "veth",
		"peer", "name", "ax1", "numrxqueues", "4", "numtxqueues", "4")
	defer nstest.Run(t, "ip", "link", "del", "ax0")
	nstest.Run(t, "ip", "link", "set", "ax0", "up")
	nstest.Run(t, "ip", "link", "set", "ax1", "up")
	options := map[string]string{"n_rxq": "4"}
	d0, d1 := fwdtest.Open(t, "ax0", "afxdp", options), fwdtest.Open(t, "ax1", "afxdp", options)
	if got := d1.Status()["n_rxq"] + " " + d1.Status()["n_txq"] + " " + d1.Config()["n_rxq"]; got != "4 4 4" {
		t.Errorf("queues %s", got)
	}
	c := testPool.NewCache(64)
	defer c.Close()
	seen := 0
	for id, tx := range d0.TxQueues() {
		var b packet.Batch
		b.Add(c.New(make([]byte, 60)))
		tx.Send(c, &b)
		tx.Flush(c)
		for _, rx := range d1.RxQueues() {
			n, err := rx.Recv(c, &b)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 && rx.ID() == id {
				seen++
			}
			c.FreeBatch(&b)
		}
	}
	if seen != 4 {
		t.Errorf("%d of 4 queues received their packet", seen)
	}
	if n := len(d1.CustomStats()); n != 4*6 {
		t.Errorf("%d counters", n)
	}
}

// TestNewLink has a container's veth pair replaced by another of the same name.
func TestNewLink(t *testing.T) {
	resetDomains()
	n := newTopology(t)
	d0, d1 := fwdtest.Open(t, "ax0", "afxdp", nil), fwdtest.Open(t, "ax1", "system", nil)
	for _, name := range []string{"ax0", "ax1"} {
		nstest.Run(t, "ip", "link", "del", name)
	}
	nstest.Veth(t, "ax0", n.a, "eth0")
	nstest.Veth(t, "ax1", n.b, "eth0")
	fwdtest.Addr(t, n.a, "eth0", 1)
	fwdtest.Addr(t, n.b, "eth0", 2)
	var s poll.Set
	for !d0.NeedsReconfigure() || !d1.NeedsReconfigure() {
		netdev.Wait(&s)
		s.Timer(5000)
		if err := s.Block(0); err != nil {
			t.Fatal(err)
		}
		netdev.Run(0)
	}
	for _, d := range []netdev.Device{d0, d1} {
		if err := d.Reconfigure(); err != nil {
			t.Fatal(err)
		}
	}
	f := fwdtest.New(testPool)
	f.Start(t, d0, d1)
	fwdtest.Ping(t, n.a, 2, 56)
	fwdtest.TCP(t, n.a, n.b, 2, 1<<20)
}

func TestBadInput(t *testing.T) {
	if _, err := netdev.Open("nosuch0", "afxdp"); !errors.Is(err, unix.ENODEV) {
		t.Errorf("missing device: %v", err)
	}
	resetDomains()
	nstest.Veth(t, "ax0", nil, "ax1")
	d, err := netdev.Open("ax0", "afxdp")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(false)
	for _, tc := range []struct {
		options map[string]string
		text    string
	}{
		{map[string]string{"n_rxq": "17"}, "ax0: Too big 'n_rxq' (17 > 16)."},
		{map[string]string{"xdp-mode": "fast"}, "ax0: Incorrect xdp-mode (fast)."},
	} {
		if err := d.SetConfig(tc.options); err == nil || err.Error() != tc.text || !errors.Is(err, unix.EINVAL) {
			t.Errorf("%v: %v", tc.options, err)
		}
	}
	for _, tc := range []struct{ key, value, text string }{
		{"n_rxq", "4", "ax0: n_rxq is 4, but the device has only 1 queues"},
		{"xdp-mode", "native-with-zerocopy", "ax0: xdp-mode native-with-zerocopy: Operation not supported"},
	} {
		if err := d.SetConfig(map[string]string{tc.key: tc.value}); err != nil {
			t.Fatal(err)
		}
		if err := d.Reconfigure(); err == nil || errno.Text(err) != tc.text {
			t.Errorf("%s=%s on a veth with one queue: %v", tc.key, tc.value, err)
		}
	}
	if err := d.SetConfig(nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Reconfigure(); err != nil {
		t.Errorf("after the options were mended: %v", err)
	}
}

func TestHeldByOthers(t *testing.T) {
	resetDomains()
	nstest.Veth(t, "ax0", nil, "ax1")
	l, err := rtnl.Get("ax0")
	if err != nil {
		t.Fatal(err)
	}
	other, err := bpf.NewRedirect(bpf.RedirectOptions{Ifindex: l.Index, Queues: 1})
	if err != nil {
		t.Fatal(err)
	}
	d, err := netdev.Open("ax0", "afxdp")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(false)
	err = d.Reconfigure()
	if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), `another user's XDP program "sluice_xsk`) {
		t.Errorf("error %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Reconfigure(); err != nil {
		t.Errorf("after the other went: %v", err)
	}
}

func TestQueueInUse(t *testing.T) {
	resetDomains()
	nstest.Veth(t, "ax0", nil, "ax1")
	d0 := fwdtest.Open(t, "ax0", "afxdp", nil)
	other := &domain{pool: testPool, frames: 256}
	if _, err := other.open(d0.Ifindex(), 0); !errors.Is(err, unix.EBUSY) {
		t.Errorf("queue bound twice: %v", err)
	}
}

func TestRecvSendAllocateNothing(t *testing.T) {
	resetDomains()
	nstest.Veth(t, "ax0", nil, "ax1")
	d0, d1 := fwdtest.Open(t, "ax0", "afxdp", nil), fwdtest.Open(t, "ax1", "afxdp", nil)
	c := testPool.NewCache(64)
	defer c.Close()
	data := make([]byte, 60)
	received := 0
	var b packet.Batch
	allocs := testing.AllocsPerRun(200, func() {
		for range packet.BatchSize {
			b.Add(c.New(data))
		}
		d0.TxQueues()[0].Send(c, &b)
		d0.TxQueues()[0].Flush(c)
		for range 4 {
			n, _ := d1.RxQueues()[0].Recv(c, &b)
			received += n
			c.FreeBatch(&b)
		}
	})
	if allocs != 0 || received < 100*packet.BatchSize {
		t.Errorf("%v allocations, %d packets received", allocs, received)
	}
}
