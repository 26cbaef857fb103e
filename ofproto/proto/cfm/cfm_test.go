package cfm

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sluice/dpif/flow"
)

var macA, macB = flow.MAC{0x02, 0, 0, 0, 0, 1}, flow.MAC{0x02, 0, 0, 0, 0, 2}

// end is one end of a link, with all that its monitor does.
type end struct {
	m   *Monitor
	rx  uint64
	mac flow.MAC
}

func newEnd(name string, mac flow.MAC, cfg Config, now int64) *end {
	e := &end{mac: mac}
	e.m = New(name, cfg, Env{Rand: func(n int) int { return n - 1 }, RxPackets: func() uint64 { return e.rx }}, now)
	return e
}

// warp lets time pass in steps and returns when it is over.
func warp(now, ms, step int64, ends ...*end) int64 {
	for t := now + step; t <= now+ms; t += step {
		for _, from := range ends {
			if from.m == nil || t < from.m.Next() {
				continue
			}
			if from.m.ShouldSend(t) {
				frame := from.m.AppendFrame(nil, from.mac, t)
				for _, to := range ends {
					if to != from && to.m != nil {
						to.rx++
						if to.m.cfg.dst() == flow.MAC(frame) {
							to.m.Receive(frame, t)
						}
					}
				}
			}
			from.m.Run(t)
		}
	}
	return now + ms
}

func extended(mpid uint64, ms int) Config { return Config{MPID: mpid, IntervalMs: ms, Extended: true} }

func (e *end) want(t *testing.T, now int64, fault Fault, flaps uint64, mpids ...uint64) {
	t.Helper()
	s := e.m.Status()
	if s.Fault != fault || s.Flaps != flaps || !slices.Equal(s.RemoteMPIDs, mpids) {
		t.Errorf("at %d %s: fault %v, %d flaps, remotes %v; want %v, %d, %v", now, e.m.name,
			s.Fault.Reasons(), s.Flaps, s.RemoteMPIDs, fault.Reasons(), flaps, mpids)
	}
}

// TestFrame compares with frames that Open vSwitch 3.1 sent.
func TestFrame(t *testing.T) {
	zeros := func(n int) string { return strings.Repeat("00", n) }
	const maid = "04036f767302036f7673"
	for _, c := range []struct {
		cfg  Config
		mac  flow.MAC
		want string
	}{
		{Config{MPID: 7, IntervalMs: 1000}, flow.MAC{0xaa, 0x55, 0xaa, 0x55, 0, 0x10},
			"0180c2000030aa55aa5500108902" + "00010446" + "00000001" + "0007" + maid + zeros(38) + zeros(17)},
		{Config{MPID: 700000, IntervalMs: 300, Extended: true, VLAN: 5, PCP: 3, OpDown: true}, flow.MAC{0xaa, 0x55, 0xaa, 0x55, 0, 0x0e},
			"012320000030aa55aa55000e810060058902" + "00010046" + "00000001" + "a28f" + maid + zeros(38) +
				"012c" + "00000000000aae60" + "01" + zeros(6)},
	} {
		e := newEnd("p", c.mac, c.cfg, 1000)
		if got := hex.EncodeToString(e.m.AppendFrame(nil, e.mac, 1000)); got != c.want {
			t.Errorf("%+v: sent\n%s, want\n%s", c.cfg, got, c.want)
		}
	}
	e := newEnd("p", macA, Config{MPID: 1, IntervalMs: 1000, VLAN: RandomVLAN}, 1000)
	if got := e.m.AppendFrame(nil, macA, 1000)[12:18]; hex.EncodeToString(got) != "81000fff8902" {
		t.Errorf("random VLAN: %x", got)
	}
}

func TestDecode(t *testing.T) {
	want := CCM{Opcode: 1, RDI: true, Rate: 4, Seq: 9, MPID: 77, MAID: maid, IntervalMs: 300, MPID64: 1 << 40, OpDown: true}
	b := want.Append(nil)
	if len(b) != 75 {
		t.Fatalf("%d bytes", len(b))
	}
	if got, ok := Decode(b[:74]); !ok || got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, ok := Decode(b[:73]); ok {
		t.Error("73 bytes are a CCM")
	}
}

func TestIntervals(t *testing.T) {
	for _, c := range []struct {
		ms       int
		extended bool
		rate     uint8
		want     int
	}{
		{1, false, 1, 3}, {3, false, 1, 3}, {9, false, 1, 3}, {10, false, 2, 10}, {300, false, 3, 100}, {999, false, 3, 100},
		{1000, false, 4, 1000}, {700000, false, 7, 600000},
		{300, true, 0, 300}, {100, true, 3, 100}, {1, true, 0, 1}, {70000, true, 0, 65535}, {60000, true, 6, 60000},
	} {
		m := New("p", Config{MPID: 1, IntervalMs: c.ms, Extended: c.extended}, Env{RxPackets: func() uint64 { return 0 }}, 0)
		if m.rate != c.rate || m.intervalMs != c.want {
			t.Errorf("%d ms, extended %t: rate %d, %d ms; want %d, %d", c.ms, c.extended, m.rate, m.intervalMs, c.rate, c.want)
		}
	}
	for _, c := range []struct {
		cfg  Config
		want bool
	}{
		{Config{MPID: 1, IntervalMs: 1}, true}, {Config{MPID: 0, IntervalMs: 1}, false}, {Config{MPID: 8191, IntervalMs: 1}, true},
		{Config{MPID: 8192, IntervalMs: 1}, false}, {Config{MPID: 8192, IntervalMs: 1, Extended: true}, true}, {Config{MPID: 1}, false},
	} {
		if got := c.cfg.Valid(); got != c.want {
			t.Errorf("%+v: valid %t", c.cfg, got)
		}
	}
}

func TestFaults(t *testing.T) {
	now := int64(10000)
	a := newEnd("p0", macA, extended(1, 300), now)
	none := &end{}
	// Not before three and a half intervals.
	now = warp(now, 1000, 50, a, none)
	a.want(t, now, 0, 0)
	now = warp(now, 50, 50, a, none)
	a.want(t, now, FaultRecv, 1)
	if !a.m.TakeChanged() || a.m.TakeChanged() {
		t.Error("a change is reported other than once")
	}
	b := newEnd("p1", macB, extended(2, 300), now)
	now = warp(now, 1500, 50, a, b)
	a.want(t, now, 0, 2, 2)
	b.want(t, now, 0, 0, 1)
	b.m = nil
	now = warp(now, 2200, 50, a, b)
	a.want(t, now, FaultRecv, 3)
	// Now a sends that it hears nothing, which is a fault at the other end.
	if frame := a.m.AppendFrame(nil, macA, now); frame[16]&flagRDI == 0 {
		t.Error("no RDI in a CCM of who hears nothing")
	} else {
		c := newEnd("p2", macB, extended(3, 300), now)
		c.m.Receive(frame, now)
		c.m.Run(now + 1050)
		c.want(t, now, FaultRDI, 1, 1)
	}
}

func TestHealth(t *testing.T) {
	now := int64(10000)
	a, b := newEnd("p0", macA, extended(1, 100), now), newEnd("p1", macB, extended(2, 100), now)
	now = warp(now, 10000, 50, a, b)
	if got := a.m.Status().Health; got != 100 {
		t.Errorf("health %d, want 100", got)
	}
	c := newEnd("p2", macB, extended(3, 100), now)
	now = warp(now, 10000, 50, a, b, c)
	if got := a.m.Status().Health; got != -1 {
		t.Errorf("health %d with two remote points, want none", got)
	}
	a.want(t, now, 0, a.m.flaps, 2, 3)
	now = warp(now, 10000, 50, a, &end{})
	if got := a.m.Status().Health; got != 0 {
		t.Errorf("health %d without remote points, want 0", got)
	}
	// Half of the CCMs come.
	for i := range 120 {
		now = warp(now, 50, 50, a, &end{})
		if i%4 == 0 {
			a.m.Receive(b.m.AppendFrame(nil, macB, now), now)
		}
	}
	if got := a.m.Status().Health; got < 40 || got > 60 {
		t.Errorf("health %d when half of the CCMs come", got)
	}
}

func TestOpState(t *testing.T) {
	now := int64(10000)
	a, b := newEnd("p0", macA, extended(1, 100), now), newEnd("p1", macB, extended(2, 100), now)
	now = warp(now, 2000, 50, a, b)
	if !a.m.Up() {
		t.Error("a good link is not up")
	}
	cfg := extended(2, 100)
	cfg.OpDown = true
	b.m.Configure(cfg, now)
	now = warp(now, 800, 50, a, b)
	if s := a.m.Status(); s.RemoteUp || !s.HasOpState || a.m.Up() || s.Fault != 0 {
		t.Errorf("the other end is operationally down, but %+v", s)
	}
	b.m.Configure(extended(2, 100), now)
	now = warp(now, 800, 50, a, b)
	if !a.m.Up() {
		t.Errorf("at %d the other end is up again, but not the link", now)
	}
}

func TestDemand(t *testing.T) {
	now := int64(10000)
	cfg := extended(1, 300)
	cfg.Demand = true
	a, b := newEnd("p0", macA, cfg, now), newEnd("p1", macB, extended(2, 300), now)
	now = warp(now, 20000, 100, a, b)
	a.want(t, now, 0, 0, 2)
	silent := now
	for now < silent+30000 {
		now = warp(now, 100, 100, a, &end{})
		a.rx++
		if a.m.Fault() != 0 {
			t.Fatalf("fault %v after %d ms, though data comes in", a.m.Fault().Reasons(), now-silent)
		}
	}
	for now < silent+34000 {
		now = warp(now, 100, 100, a, &end{})
		a.rx++
	}
	a.want(t, now, FaultRecv, 1)
	// In demand mode only.
	cfg.Extended = false
	a.m.Configure(cfg, now)
	if a.m.Config().Demand {
		t.Error("demand mode without extended mode")
	}
}

func TestReceiveFaults(t *testing.T) {
	now := int64(10000)
	peer := New("p1", extended(2, 300), Env{}, now)
	good := peer.AppendFrame(nil, macB, now)
	for _, c := range []struct {
		name   string
		change func(f []byte) []byte
		fault  Fault
		mpids  []uint64
	}{
		{"good", func(f []byte) []byte { return f }, 0, []uint64{2}},
		{"74 bytes", func(f []byte) []byte { return f[:14+74] }, 0, []uint64{2}},
		{"VLAN", func(f []byte) []byte { return slices.Insert(f, 12, 0x81, 0, 0, 5) }, 0, []uint64{2}},
		{"two VLANs", func(f []byte) []byte { return slices.Insert(f, 12, 0x88, 0xa8, 0, 5, 0x81, 0, 0, 5) }, 0, []uint64{2}},
		{"short", func(f []byte) []byte { return f[:14+73] }, FaultRecv, nil},
		{"opcode", func(f []byte) []byte { f[15] = 2; return f }, FaultRecv, nil},
		{"association", func(f []byte) []byte { f[28] ^= 1; return f }, FaultRecv | FaultMAID, nil},
		{"our MPID", func(f []byte) []byte { f[14+67] = 1; return f }, FaultLoopback, []uint64{1}},
		{"RDI", func(f []byte) []byte { f[16] |= 0x80; return f }, FaultRDI, []uint64{2}},
		{"other interval", func(f []byte) []byte { f[16] = 4; return f }, 0, []uint64{2}},
		{"other type", func(f []byte) []byte { f[12] = 8; return f }, FaultRecv, nil},
	} {
		m := New("p0", extended(1, 300), Env{}, now)
		m.Receive(c.change(slices.Clone(good)), now)
		m.Run(now + 1050)
		if s := m.Status(); s.Fault != c.fault || !slices.Equal(s.RemoteMPIDs, c.mpids) {
			t.Errorf("%s: fault %v, remotes %v; want %v, %v", c.name, s.Fault.Reasons(), s.RemoteMPIDs, c.fault.Reasons(), c.mpids)
		}
	}
}

func TestOverflow(t *testing.T) {
	now := int64(10000)
	peer := New("p1", extended(2, 300), Env{}, now)
	frame := peer.AppendFrame(nil, macB, now)
	m := New("p0", extended(1, 300), Env{}, now)
	for i := range uint64(257) {
		binary.BigEndian.PutUint64(frame[14+60:], 1000+i)
		m.Receive(frame, now)
	}
	m.Run(now + 1050)
	if s := m.Status(); s.Fault != FaultOverflow || len(s.RemoteMPIDs) != 256 {
		t.Errorf("fault %v, %d remotes", s.Fault.Reasons(), len(s.RemoteMPIDs))
	}
}

func TestDetails(t *testing.T) {
	now := int64(10000)
	a, b := newEnd("p0", macA, extended(1, 300), now), newEnd("p1", macB, extended(2, 300), now)
	warp(now, 600, 100, a, b)
	a.m.SetOverride(ForceFault)
	want := `---- p0 ----
MPID 1: extended fault_override
  fault: override
  average health: undefined
  opstate: up
  remote_opstate: up
  interval: 300ms
  next CCM tx: 100ms
  next fault check: 450ms
Remote MPID 2
  recv since check: true
  opstate: up
`
	if got := a.m.Details(10600); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := Fault(0x3f).Reasons(); !reflect.DeepEqual(got, []string{"recv", "rdi", "maid", "loopback", "overflow", "override"}) {
		t.Errorf("reasons %v", got)
	}
	a.m.SetOverride(ForceNoFault)
	if a.m.Fault() != 0 {
		t.Error("fault in spite of the override")
	}
}

func TestMatch(t *testing.T) {
	all := flow.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	plain, ext := Config{CheckTnlKey: true}, Config{Extended: true}
	for _, c := range []struct {
		cfg  Config
		f    flow.Flow
		want bool
		mask func(w *flow.Mask)
	}{
		{ext, flow.Flow{DLType: EtherType, DLDst: DstMACExtended}, true, func(w *flow.Mask) { w.DLDst = all }},
		{ext, flow.Flow{DLType: EtherType, DLDst: DstMAC}, false, func(w *flow.Mask) { w.DLDst = all }},
		{ext, flow.Flow{DLType: 0x8903, DLDst: DstMACExtended}, false, func(w *flow.Mask) {}},
		{plain, flow.Flow{DLType: EtherType, DLDst: DstMAC}, true, func(w *flow.Mask) { w.DLDst, w.Tunnel.ID = all, ^uint64(0) }},
		{plain, flow.Flow{DLType: EtherType, DLDst: DstMAC, Tunnel: flow.Tunnel{ID: 1}}, false,
			func(w *flow.Mask) { w.DLDst, w.Tunnel.ID = all, ^uint64(0) }},
	} {
		var got, want flow.Mask
		c.mask(&want)
		m := c.cfg.Match()
		if ok := m.Takes(&c.f, &got); ok != c.want || got != want {
			t.Errorf("%v: %t with mask %v, want %t with %v", c.f, ok, got, c.want, want)
		}
	}
}

func FuzzReceive(f *testing.F) {
	f.Add(New("p1", extended(2, 300), Env{}, 0).AppendFrame(nil, macB, 0))
	f.Add(New("p1", Config{MPID: 2, IntervalMs: 100, VLAN: 5}, Env{}, 0).AppendFrame(nil, macB, 0))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		m := New("p0", extended(1, 300), Env{}, 0)
		m.Receive(frame, 1)
		m.Run(2000)
		_ = m.Details(2000)
		if c, ok := Decode(frame); ok {
			again, ok := Decode(c.Append(nil))
			if !ok || again != c {
				t.Errorf("%+v changes to %+v", c, again)
			}
		}
		if b, _, ok := payload(frame); ok && !bytes.HasSuffix(frame, b) {
			t.Error("the payload is not the frame's end")
		}
	})
}
