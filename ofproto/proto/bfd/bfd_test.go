package bfd

import (
	"bytes"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"

	"sluice/dpif/flow"
)

var macA, macB = flow.MAC{0x02, 0, 0, 0, 0, 1}, flow.MAC{0x02, 0, 0, 0, 0, 2}

// defaults is the configuration of bfd:enable=true.
func defaults() Config {
	return Config{Mult: DefaultMult, MinTx: DefaultMinTx, MinRx: DefaultMinRx, SrcIP: DefaultSrcIP, DstIP: DefaultDstIP}
}

// end is one end of a link, with all that its session does.
type end struct {
	s   *Session
	rx  uint64
	mac flow.MAC
	out int  // frames sent
	cut bool // its frames are lost
}

func newEnd(name string, disc uint32, mac flow.MAC, cfg Config, now int64) *end {
	e := &end{mac: mac}
	e.s = New(name, Identity{Disc: disc, UDPSrc: 49152}, cfg, e.env(), now)
	return e
}

// pair makes the two ends of a link.
func pair(now int64) (a, b *end) {
	return newEnd("p0", 1, macA, defaults(), now), newEnd("p1", 2, macB, defaults(), now)
}

// upPair is pair, and lets time pass until the sessions are up.
func upPair() (now int64, a, b *end) {
	const start = 10000
	a, b = pair(start)
	return warp(start, 4100, 100, a, b), a, b
}

func (e *end) env() Env {
	return Env{Rand: func(int) int { return 0 }, RxPackets: func() uint64 { return e.rx }}
}

// turn does what is due at both ends at now, as often as there is something.
func turn(now int64, a, b *end) {
	for more := true; more; {
		more = false
		for _, p := range [][2]*end{{a, b}, {b, a}} {
			from, to := p[0], p[1]
			if from.s == nil || now < from.s.Next() {
				continue
			}
			more = true
			if from.s.ShouldSend(now) {
				frame := from.s.AppendFrame(nil, from.mac, now)
				from.out++
				if to.s != nil && !from.cut {
					to.rx++
					to.s.Receive(frame, now)
				}
			}
			from.s.Run(now)
		}
	}
}

// warp lets time pass in steps and returns when it is over.
func warp(now, ms, step int64, a, b *end) int64 {
	for t := now + step; t <= now+ms; t += step {
		turn(t, a, b)
	}
	return now + ms
}

func (e *end) want(t *testing.T, now int64, state State, diag Diag, forwarding bool) {
	t.Helper()
	if e.s.state != state || e.s.diag != diag || e.s.Forwarding(now) != forwarding {
		t.Errorf("at %d %s: %s, %q, forwarding %t; want %s, %q, %t", now, e.s.name,
			e.s.state, e.s.diag, e.s.Forwarding(now), state, diag, forwarding)
	}
}

func TestPacket(t *testing.T) {
	b, _ := hex.DecodeString("26e0031811223344556677880000c3500001d4c000000007")
	p, ok := Decode(b)
	want := Packet{Version: 1, Diag: DiagConcatenatedDown, State: Up, Flags: FlagPoll, Mult: 3, Length: 24,
		MyDisc: 0x11223344, YourDisc: 0x55667788, MinTx: 50000, MinRx: 120000, MinEchoRx: 7}
	if !ok || p != want {
		t.Fatalf("decoded %+v, want %+v", p, want)
	}
	if got := p.Append(nil); !bytes.Equal(got, b) {
		t.Errorf("encoded %x, want %x", got, b)
	}
	if _, ok := Decode(b[:23]); ok {
		t.Error("23 bytes are a packet")
	}
}

func TestCheck(t *testing.T) {
	good := Packet{Version: 1, State: Up, Mult: 3, Length: 24, MyDisc: 1, YourDisc: 5}
	for _, c := range []struct {
		change func(p *Packet)
		want   string
	}{
		{func(p *Packet) {}, ""},
		{func(p *Packet) { p.Length = 25 }, ""},
		{func(p *Packet) { p.YourDisc, p.State = 0, Down }, ""},
		{func(p *Packet) { p.YourDisc, p.State = 0, AdminDown }, ""},
		{func(p *Packet) { p.Version = 0 }, "Incorrect version"},
		{func(p *Packet) { p.Flags = FlagAuth }, "Authenticated control message with authentication disabled"},
		{func(p *Packet) { p.Length = 23 }, "Unexpected length"},
		{func(p *Packet) { p.Mult = 0 }, "Zero multiplier"},
		{func(p *Packet) { p.Flags = FlagMultipoint }, "Unsupported multipoint flag"},
		{func(p *Packet) { p.MyDisc = 0 }, "NULL my_disc"},
		{func(p *Packet) { p.YourDisc = 6 }, "Incorrect your_disc"},
		{func(p *Packet) { p.YourDisc, p.State = 0, Init }, "Null your_disc"},
	} {
		p := good
		c.change(&p)
		if got := p.check(5); got != c.want {
			t.Errorf("%+v: %q, want %q", p, got, c.want)
		}
	}
}

// TestFrame compares with a frame that Open vSwitch 3.1 sent.
func TestFrame(t *testing.T) {
	a := newEnd("p1", 0xff4c3955, flow.MAC{0xaa, 0x55, 0xaa, 0x55, 0, 0x10}, defaults(), 1000)
	got := hex.EncodeToString(a.s.AppendFrame(nil, a.mac, 1000))
	want := "002320000001aa55aa5500100800" +
		"45c0003400000000ff1164fba9fe0101a9fe0100" +
		"c0000ec800200000" + "20400318ff4c395500000000000f4240000f424000000000"
	if got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	b, ttl, ok := payload(a.s.AppendFrame(nil, a.mac, 1000))
	if !ok || ttl != 255 || len(b) != PacketSize {
		t.Errorf("payload %x, TTL %d, %t", b, ttl, ok)
	}
	cfg := defaults()
	cfg.LocalSrcMAC, cfg.LocalDstMAC, cfg.SrcIP, cfg.DstIP = macA, macB, 0x01020304, 0x05060708
	a.s.Configure(cfg, 1000)
	frame := a.s.AppendFrame(nil, flow.MAC{9}, 1000)
	if src := flow.MAC(frame[6:]); src != macA {
		t.Errorf("source %x", src)
	}
	if dst := flow.MAC(frame); dst != macB {
		t.Errorf("destination %x", dst)
	}
	if ips := hex.EncodeToString(frame[26:34]); ips != "0102030405060708" {
		t.Errorf("addresses %s", ips)
	}
}

func TestUpAndDown(t *testing.T) {
	now, a, b := upPair()
	a.want(t, now, Up, DiagNone, true)
	b.want(t, now, Up, DiagNone, true)
	if a.s.flags != 0 || b.s.flags != 0 {
		t.Errorf("flags %s, %s after negotiation", a.s.flags, b.s.flags)
	}
	// Both ask for a packet a second at most, though they would send ten.
	if a.s.minTx != 100 || a.s.txInterval() != 1000 || a.s.rxInterval() != 1000 {
		t.Errorf("tx %d of %d, rx %d", a.s.minTx, a.s.txInterval(), a.s.rxInterval())
	}

	b.s = nil
	sent := now - now%1000
	now = warp(now, 2000, 100, a, b)
	a.want(t, now, Up, DiagNone, true)
	now = warp(now, 1500, 100, a, b)
	if now < sent+3000 {
		t.Fatal("the test is wrong")
	}
	a.want(t, now, Down, DiagExpired, false)
	if a.s.remote.state != Down || a.s.remote.disc != 0 {
		t.Errorf("the other end is still %+v", a.s.remote)
	}

	b = newEnd("p1", 3, macB, defaults(), now)
	now = warp(now, 4100, 100, a, b)
	a.want(t, now, Up, DiagExpired, true)
	b.want(t, now, Up, DiagNone, true)
	if got := a.s.flaps; got != 3 {
		t.Errorf("%d flaps, want 3", got)
	}
}

// TestOneWay cuts one direction: who hears nothing says so, and the other end of the
// link goes down too.
func TestOneWay(t *testing.T) {
	now, a, b := upPair()
	a.cut = true
	now = warp(now, 8200, 100, a, b)
	b.want(t, now, Down, DiagExpired, false)
	a.want(t, now, Init, DiagRemoteDown, false)
	a.cut = false
	now = warp(now, 2100, 100, a, b)
	a.want(t, now, Up, DiagRemoteDown, true)
	b.want(t, now, Up, DiagExpired, true)
}

func TestConcatenatedPathDown(t *testing.T) {
	now, a, b := upPair()
	cfg := defaults()
	cfg.CpathDown = true
	a.s.Configure(cfg, now)
	now = warp(now, 1100, 100, a, b)
	a.want(t, now, Up, DiagConcatenatedDown, true)
	b.want(t, now, Up, DiagNone, false)
}

// TestIntervals changes intervals of a session that is up: they hold when the poll
// sequence has ended.
func TestIntervals(t *testing.T) {
	now, a, b := upPair()
	cfg := defaults()
	cfg.MinTx = 200
	a.s.Configure(cfg, now)
	if !a.s.polling() || a.s.minTx != 100 {
		t.Errorf("min_tx %d before the other end agreed, flags %s", a.s.minTx, a.s.flags)
	}
	turn(now, a, b)
	if a.s.polling() || a.s.minTx != 200 || b.s.remote.minTx != 200 {
		t.Errorf("min_tx %d, at the other end %d, flags %s", a.s.minTx, b.s.remote.minTx, a.s.flags)
	}
	cfg = defaults()
	cfg.MinRx = 300
	b.s.Configure(cfg, now)
	now = warp(now, 2100, 100, a, b)
	if a.s.txInterval() != 300 || b.s.rxInterval() != 300 {
		t.Errorf("intervals %d and %d, want 300", a.s.txInterval(), b.s.rxInterval())
	}
	out := a.out
	warp(now, 3000, 10, a, b)
	if n := a.out - out; n != 10 {
		t.Errorf("%d packets in 3 s, want 10", n)
	}
}

func TestJitter(t *testing.T) {
	for _, c := range []struct {
		mult      uint8
		low, high int64
	}{{3, 750, 1000}, {1, 750, 900}} {
		lo, hi := int64(1<<40), int64(0)
		for r := range 26 {
			cfg := defaults()
			cfg.Mult = c.mult
			s := New("p", Identity{Disc: 1}, cfg, Env{Rand: func(n int) int { return r % n }, RxPackets: func() uint64 { return 0 }}, 5000)
			s.AppendFrame(nil, macA, 5000)
			lo, hi = min(lo, s.Next()-5000), max(hi, s.Next()-5000)
		}
		if lo != c.low || hi != c.high {
			t.Errorf("mult %d: next packet in %d…%d ms, want %d…%d", c.mult, lo, hi, c.low, c.high)
		}
	}
}

func TestDecay(t *testing.T) {
	now := int64(10000)
	cfgA, cfgB := defaults(), defaults()
	cfgA.MinTx, cfgA.MinRx, cfgB.MinTx, cfgB.MinRx = 300, 300, 500, 500
	a, b := newEnd("p0", 1, macA, cfgA, now), newEnd("p1", 2, macB, cfgB, now)
	now = warp(now, 10000, 100, a, b)
	cfgA.DecayMinRx = 3000
	a.s.Configure(cfgA, now)
	now = warp(now, 2000, 100, a, b)
	if a.s.minRx != 300 {
		t.Errorf("min_rx %d after 2 s, want 300", a.s.minRx)
	}
	now = warp(now, 5000, 100, a, b)
	if a.s.minRx != 3000 || b.s.txInterval() != 3000 {
		t.Errorf("min_rx %d on an idle link, want 3000; the other end sends every %d", a.s.minRx, b.s.txInterval())
	}
	for range 50 {
		now = warp(now, 100, 100, a, b)
		a.rx++
	}
	if a.s.minRx != 300 {
		t.Errorf("min_rx %d with traffic, want 300", a.s.minRx)
	}
	b.s = nil
	now = warp(now, 15000, 100, a, b)
	a.want(t, now, Down, DiagExpired, false)
	if a.s.minRx != 300 || a.s.decay.on {
		t.Errorf("min_rx %d when down, want 300", a.s.minRx)
	}
	// Less than min_rx is refused.
	cfgA.DecayMinRx = 299
	a.s.Configure(cfgA, now)
	if got := a.s.Config().DecayMinRx; got != 0 {
		t.Errorf("decay_min_rx %d", got)
	}
}

func TestForwardingIfRx(t *testing.T) {
	now := int64(10000)
	cfg := defaults()
	cfg.MinTx, cfg.MinRx = 300, 300
	a, b := newEnd("p0", 1, macA, cfg, now), newEnd("p1", 2, macB, cfg, now)
	now = warp(now, 5000, 100, a, b)
	cfg.ForwardingIfRx = true
	a.s.Configure(cfg, now)
	last := warp(now, 1000, 100, a, b)
	flaps := a.s.flaps
	b.s = nil
	for now = last; now < last+20000; {
		now = warp(now, 100, 100, a, b)
		a.rx++
		if now >= last+1000 {
			a.want(t, now, Down, DiagExpired, true)
		}
	}
	if a.s.flaps != flaps {
		t.Errorf("%d flaps with traffic all the time", a.s.flaps-flaps)
	}
	// Life ends 2 s after the traffic, as seen at the latest 500 ms after it came.
	now = warp(now, 1900, 100, a, b)
	a.want(t, now, Down, DiagExpired, true)
	now = warp(now, 700, 100, a, b)
	a.want(t, now, Down, DiagExpired, false)
	// Without control packets for 100 * min_rx traffic does not help.
	for now < last+31000 {
		now = warp(now, 100, 100, a, b)
		a.rx++
	}
	a.want(t, now, Down, DiagExpired, false)
}

func TestOverride(t *testing.T) {
	now := int64(10000)
	a := newEnd("p0", 1, macA, defaults(), now)
	a.s.TakeChanged()
	a.s.SetOverride(ForceForwarding)
	if !a.s.TakeChanged() || a.s.TakeChanged() {
		t.Error("a change is reported other than once")
	}
	a.want(t, now, Down, DiagNone, true)
	a.s.SetOverride(ForceBlocked)
	a.want(t, now, Down, DiagNone, false)
	if a.s.flaps != 0 {
		t.Errorf("%d flaps, which are the session's own", a.s.flaps)
	}
}

func TestReceiveRejects(t *testing.T) {
	now := int64(10000)
	a, b := pair(now)
	good := b.s.AppendFrame(nil, macB, now)
	for name, change := range map[string]func(f []byte) []byte{
		"TTL 254":          func(f []byte) []byte { f[22] = 254; return f },
		"short":            func(f []byte) []byte { f[17] -= 4; return f[:len(f)-4] },
		"padding for data": func(f []byte) []byte { f[17] -= 4; return f },
		"version":          func(f []byte) []byte { f[42] = 0x40; return f },
		"TCP":              func(f []byte) []byte { f[23] = 6; return f },
	} {
		a.s.Receive(change(slices.Clone(good)), now)
		if a.s.remote.disc != 0 {
			t.Errorf("%s: accepted", name)
			a.s.remote.disc = 0
		}
	}
	a.s.Receive(append(slices.Clone(good), 0, 0, 0, 0), now) // padding
	if a.s.remote.disc != 2 || a.s.state != Init {
		t.Errorf("a good packet left %s, %+v", a.s.state, a.s.remote)
	}
}

func TestDetails(t *testing.T) {
	now := int64(10000)
	a, b := pair(now)
	now = warp(now, 3100, 100, a, b)
	const want = `  Forwarding: true
  Detect Multiplier: 3
  Concatenated Path Down: false
  TX Interval: Approx 1000ms
  RX Interval: Approx 1000ms
  Detect Time: now +3000ms
  Next TX Time: now +1000ms
  Last TX Time: now +0ms

  Local Flags: none
  Local Session State: up
  Local Diagnostic: No Diagnostic
  Local Discriminator: 0x1
  Local Minimum TX Interval: 100ms
  Local Minimum RX Interval: 1000ms

  Remote Flags: none
  Remote Session State: up
  Remote Diagnostic: No Diagnostic
  Remote Discriminator: 0x2
  Remote Minimum TX Interval: 100ms
  Remote Minimum RX Interval: 1000ms
  Remote Detect Multiplier: 3
`
	if got := a.s.Details(now); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	status := map[string]string{"forwarding": "true", "state": "up", "diagnostic": "No Diagnostic", "flap_count": "1",
		"remote_state": "up", "remote_diagnostic": "No Diagnostic"}
	if got := a.s.Status(now); !maps.Equal(got, status) {
		t.Errorf("status %v, want %v", got, status)
	}
	if got := (FlagPoll | FlagFinal | FlagMultipoint).String(); got != "multipoint final poll" {
		t.Errorf("flags %q", got)
	}
	if got := a.s.packetText(&Packet{Version: 1, MinTx: 1500}, "Sent", now); !strings.HasPrefix(got,
		"p0: Sent.\n  vers:1 diag:\"No Diagnostic\" state:admin_down mult:0 length:0\n  flags: none\n"+
			"  my_disc:0x0 your_disc:0x0\n  min_tx:1500us (1ms)\n  min_rx:0us (0ms)\n  min_rx_echo:0us (0ms)\n  Forwarding: true\n") {
		t.Errorf("log text:\n%s", got)
	}
}

func TestMatch(t *testing.T) {
	bfd := flow.Flow{DLType: 0x0800, NwProto: 17, TpDst: 3784, NwDst: DefaultDstIP, DLDst: DefaultDstMAC}
	any := Match{SrcIP: DefaultSrcIP}
	for _, c := range []struct {
		name   string
		m      Match
		change func(f *flow.Flow)
		want   bool
		mask   func(w *flow.Mask)
	}{
		{"default", any, func(f *flow.Flow) {}, true, func(w *flow.Mask) { w.NwProto, w.TpDst = 0xff, 0xffff }},
		{"to us", any, func(f *flow.Flow) { f.NwDst = DefaultSrcIP }, true,
			func(w *flow.Mask) { w.NwProto, w.TpDst, w.NwDst = 0xff, 0xffff, 0xffffffff }},
		{"ARP", any, func(f *flow.Flow) { f.DLType = 0x0806 }, false, func(w *flow.Mask) {}},
		{"TCP", any, func(f *flow.Flow) { f.NwProto = 6 }, false, func(w *flow.Mask) { w.NwProto = 0xff }},
		{"later fragment", any, func(f *flow.Flow) { f.NwFrag = flow.NwFragLater }, false, func(w *flow.Mask) { w.NwProto = 0xff }},
		{"other port", any, func(f *flow.Flow) { f.TpDst = 3785 }, false, func(w *flow.Mask) { w.NwProto, w.TpDst = 0xff, 1 }},
		{"other address", Match{SrcIP: 7}, func(f *flow.Flow) { f.NwDst = 8 }, false,
			func(w *flow.Mask) { w.NwProto, w.TpDst = 0xff, 0xffff }},
		{"other MAC", Match{SrcIP: DefaultSrcIP, RemoteDstMAC: macA}, func(f *flow.Flow) {}, false, func(w *flow.Mask) { w.DLDst = onesMAC }},
		{"our MAC", Match{SrcIP: DefaultSrcIP, RemoteDstMAC: DefaultDstMAC}, func(f *flow.Flow) {}, true,
			func(w *flow.Mask) { w.DLDst, w.NwProto, w.TpDst = onesMAC, 0xff, 0xffff }},
		{"key", Match{SrcIP: DefaultSrcIP, CheckTnlKey: true}, func(f *flow.Flow) { f.Tunnel.ID = 1 }, false,
			func(w *flow.Mask) { w.NwProto, w.TpDst, w.Tunnel.ID = 0xff, 0xffff, ^uint64(0) }},
	} {
		f, got, want := bfd, flow.Mask{}, flow.Mask{}
		c.change(&f)
		c.mask(&want)
		if ok := c.m.Takes(&f, &got); ok != c.want || got != want {
			t.Errorf("%s: %t with mask %v, want %t with %v", c.name, ok, got, c.want, want)
		}
	}
}

func TestIdentities(t *testing.T) {
	var ids Identities
	random := func() uint32 { return 0xffffffff }
	a, b := ids.Take(random), ids.Take(random)
	if a.Disc != 0xffffffff || b.Disc != 1 || a.UDPSrc != 49152 || b.UDPSrc != 49153 {
		t.Errorf("identities %+v, %+v", a, b)
	}
	ids.Give(a)
	if c := ids.Take(random); c.Disc != 0xffffffff {
		t.Errorf("a discriminator given back is not used again: %+v", c)
	}
}

func FuzzReceive(f *testing.F) {
	peer := newEnd("p1", 2, macB, defaults(), 1000)
	f.Add(peer.s.AppendFrame(nil, macB, 1000))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		a := newEnd("p0", 1, macA, defaults(), 1000)
		a.s.Receive(frame, 1000)
		a.s.Run(2000)
		a.s.AppendFrame(nil, macA, 2000)
		if a.s.flags&FlagPoll != 0 && a.s.flags&FlagFinal != 0 {
			t.Error("both poll and final")
		}
		if p, ok := Decode(frame); ok && !bytes.Equal(p.Append(nil), frame[:PacketSize]) {
			t.Errorf("%x changes to %x", frame[:PacketSize], p.Append(nil))
		}
	})
}
