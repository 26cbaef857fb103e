package dummy

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/netdev"
	"sluice/netdev/packet"
)

func TestMain(m *testing.M) {
	for _, typ := range []string{"system", "patch", "tap"} {
		netdev.Register(netdev.Class{Type: typ})
	}
	Enable(LevelOverride)
	os.Exit(m.Run())
}

func open(t *testing.T, name, typ string) *Device {
	t.Helper()
	d, err := netdev.Open(name, typ)
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	t.Cleanup(func() { d.Close(false) })
	return d.(*Device)
}

func newCache(t *testing.T) *packet.Cache {
	t.Helper()
	p, err := packet.NewPool(256)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p.NewCache(8)
}

// frame makes an Ethernet frame of size bytes.
func frame(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i)
	}
	b[12], b[13] = 0x08, 0x00
	return b
}

func recvAll(t *testing.T, c *packet.Cache, q netdev.RxQueue) [][]byte {
	t.Helper()
	var pkts [][]byte
	for {
		var b packet.Batch
		n, err := q.Recv(c, &b)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return pkts
		}
		pkts = append(pkts, c.Pool().AppendBytes(nil, b.Pkts[0]))
		c.FreeBatch(&b)
	}
}

func send(c *packet.Cache, d *Device, data []byte) {
	var b packet.Batch
	b.Add(c.New(data))
	d.TxQueues()[0].Send(c, &b)
}

func TestTypes(t *testing.T) {
	want := []string{"dummy", "dummy-internal", "dummy-pmd", "patch", "system", "tap"}
	if got := netdev.Types(); !slices.Equal(got, want) {
		t.Errorf("types %v, want %v", got, want)
	}
	if d := open(t, "over0", "system"); d.Type() != "system" {
		t.Errorf("type %s", d.Type())
	}
}

func TestMACsCount(t *testing.T) {
	a, b := open(t, "a0", "dummy"), open(t, "b0", "dummy-internal")
	ma, mb := a.EtherAddr(), b.EtherAddr()
	if ma[0] != 0xaa || ma[1] != 0x55 || ma[2] != 0xaa || ma[3] != 0x55 {
		t.Errorf("MAC %x", ma)
	}
	if mb[5] != ma[5]+1 {
		t.Errorf("MACs %x and %x do not count", ma, mb)
	}
}

func TestReceiveKeepsOrderAndLimit(t *testing.T) {
	d, c := open(t, "p0", "dummy"), newCache(t)
	for i := range 120 {
		d.Receive(frame(60+i), 0)
	}
	if !d.RxQueues()[0].Ready() {
		t.Error("queue not ready")
	}
	pkts := recvAll(t, c, d.RxQueues()[0])
	if len(pkts) != maxQueued {
		t.Fatalf("%d packets, want %d", len(pkts), maxQueued)
	}
	for i, p := range pkts {
		if !bytes.Equal(p, frame(60+i)) {
			t.Fatalf("packet %d differs", i)
		}
	}
	if s := d.Stats(); s.RxPackets != maxQueued || s.RxErrors != netdev.Unsupported {
		t.Errorf("stats %+v", s)
	}
}

func TestSendChecksSize(t *testing.T) {
	d, c := open(t, "p0", "dummy"), newCache(t)
	send(c, d, frame(1514))
	send(c, d, frame(1515))
	send(c, d, frame(14)[:13])
	tagged := frame(1518)
	tagged[12], tagged[13] = 0x81, 0x00
	send(c, d, tagged)
	if s := d.Stats(); s.TxPackets != 2 || s.TxBytes != 1514+1518 {
		t.Errorf("sent %d packets, %d bytes", s.TxPackets, s.TxBytes)
	}
}

func TestPcap(t *testing.T) {
	dir := t.TempDir()
	rx, tx := filepath.Join(dir, "rx.pcap"), filepath.Join(dir, "tx.pcap")
	d, c := open(t, "p0", "dummy"), newCache(t)
	if err := d.SetConfig(map[string]string{"rxq_pcap": rx, "tx_pcap": tx}); err != nil {
		t.Fatal(err)
	}
	d.Receive(frame(60), 0)
	send(c, d, frame(100))
	for path, size := range map[string]int{rx: 60, tx: 100} {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 24+16+size || !bytes.Equal(got[40:], frame(size)) {
			t.Errorf("%s: %d bytes", path, len(got))
		}
	}
}

func TestPMDQueues(t *testing.T) {
	d, c := open(t, "p0", "dummy-pmd"), newCache(t)
	options := map[string]string{"n_rxq": "3", "n_txq": "2", "numa_id": "1", "ifindex": "7"}
	if err := d.SetConfig(options); err != nil {
		t.Fatal(err)
	}
	if !d.NeedsReconfigure() {
		t.Fatal("no reconfiguration wanted")
	}
	if err := d.Reconfigure(); err != nil {
		t.Fatal(err)
	}
	if d.NeedsReconfigure() || len(d.RxQueues()) != 3 || len(d.TxQueues()) != 2 || d.NUMA() != 1 || d.Ifindex() != 7 {
		t.Errorf("%d rx, %d tx queues, numa %d", len(d.RxQueues()), len(d.TxQueues()), d.NUMA())
	}
	want := map[string]string{"ifindex": "7",
		"configured_rx_queues": "3", "configured_tx_queues": "2",
		"requested_rx_queues": "3", "requested_tx_queues": "2"}
	if diff := cmp.Diff(want, d.Config()); diff != "" {
		t.Error(diff)
	}
	if _, err := CheckQueue("p0", 3); err == nil || err.Error() != "bad rx queue id." {
		t.Errorf("queue 3: %v", err)
	}
	d.Receive(frame(64), 2)
	if got := recvAll(t, c, d.RxQueues()[1]); len(got) != 0 {
		t.Error("packet in queue 1")
	}
	if got := recvAll(t, c, d.RxQueues()[2]); len(got) != 1 {
		t.Error("no packet in queue 2")
	}
	var names []string
	for _, s := range d.CustomStats() {
		if s.Value != 0 {
			names = append(names, s.Name)
		}
	}
	if got := strings.Join(names, " "); got != "rx_custom_packets_1 rx_custom_packets_2 rx_q2_bytes rx_q2_packets" {
		t.Error(got)
	}
}

func TestStreams(t *testing.T) {
	// The long directory name makes the path longer than a sockaddr_un.
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(dir, "p.sock")
	a, b, c := open(t, "pa", "dummy"), open(t, "pb", "dummy"), newCache(t)

	// The peer is not there yet: retried with a backoff.
	must(t, b.SetConfig(map[string]string{"stream": "unix:" + sock}))
	b.Run(1000)
	if got := ConnState("pb"); got != "pb: disconnected\n" {
		t.Error(got)
	}
	must(t, a.SetConfig(map[string]string{"pstream": "punix:" + sock}))
	b.Run(1050)
	if got := ConnState("pb"); got != "pb: disconnected\n" {
		t.Errorf("no backoff: %s", got)
	}
	b.Run(1101)
	if got := ConnState(""); got != "pb: connected\n" {
		t.Error(got)
	}
	a.Run(1101)

	for i := range 60 {
		send(c, a, frame(60+i))
		send(c, b, frame(160+i))
	}
	for range 2 {
		a.Run(1200)
		b.Run(1200)
		if got := recvAll(t, c, b.RxQueues()[0]); len(got) == 0 || len(got) > maxQueued/2 {
			t.Errorf("b received %d packets at once", len(got))
		}
		if got := recvAll(t, c, a.RxQueues()[0]); len(got) == 0 {
			t.Error("a received nothing")
		}
	}
	if s, r := a.Stats(), b.Stats(); s.RxPackets != 60 || r.RxPackets != 60 {
		t.Errorf("received %d and %d packets of 60", s.RxPackets, r.RxPackets)
	}

	must(t, a.SetConfig(nil))
	b.Run(1300)
	if got := ConnState("pb"); got != "pb: disconnected\n" {
		t.Error(got)
	}
	if _, err := os.Stat(sock); !os.IsNotExist(err) {
		t.Errorf("socket left behind: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestARPReply(t *testing.T) {
	d, c := open(t, "p0", "dummy"), newCache(t)
	if err := SetIP4("p0", "10.0.0.1/24"); err != nil {
		t.Fatal(err)
	}
	if got := d.Addrs(); len(got) != 1 || got[0] != netip.MustParsePrefix("10.0.0.1/24") {
		t.Errorf("addresses %v", got)
	}
	request := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 8, 6,
		0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1},
		make([]byte, 18)...)
	send(c, d, request)
	pkts := recvAll(t, c, d.RxQueues()[0])
	mac := d.EtherAddr()
	want := []byte{2, 0, 0, 0, 0, 9}
	want = append(want, mac[:]...)
	want = append(want, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2)
	want = append(want, mac[:]...)
	want = append(want, 10, 0, 0, 1, 2, 0, 0, 0, 0, 9, 10, 0, 0, 2)
	if len(pkts) != 1 || !bytes.Equal(pkts[0], want) {
		t.Errorf("reply %x, want %x", pkts, want)
	}
}

func TestCommands(t *testing.T) {
	d := open(t, "p0", "dummy")
	seq := d.ChangeSeq()
	for _, tc := range []struct{ name, state, err string }{
		{"p0", "down", ""},
		{"", "UP", ""},
		{"none", "up", "Unknown Dummy Interface"},
		{"p0", "sideways", "Invalid Admin State"},
	} {
		got := ""
		if err := SetAdminState(tc.name, tc.state); err != nil {
			got = err.Error()
		}
		if got != tc.err {
			t.Errorf("set-admin-state %s %s: %q, want %q", tc.name, tc.state, got, tc.err)
		}
	}
	if d.ChangeSeq() != seq+2 || !d.AdminUp() {
		t.Errorf("%d changes", d.ChangeSeq()-seq)
	}
	if err := d.SetMTU(67); err == nil {
		t.Error("MTU 67 accepted")
	}
	if got := ConnState("zz"); got != "zz: unknown\n" {
		t.Error(got)
	}
	if err := SetIP6("p0", "fc00::1/64"); err != nil {
		t.Error(err)
	}
	if _, err := netdev.Open("p0", "dummy"); err == nil {
		t.Error("opened twice")
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte{0, 14, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14})
	f.Add([]byte{0, 1})
	f.Add([]byte{0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, wire []byte) {
		if len(wire) > 1<<16 {
			return
		}
		s, peer := pair(t)
		defer s.close()
		d := newDevice("fuzz", "dummy", false)
		if _, err := peer.Write(wire); err != nil {
			t.Fatal(err)
		}
		peer.Close()
		for s.run(d) == nil {
			d.rxqs[0].pkts = nil
		}
	})
}
