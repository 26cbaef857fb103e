package lacp

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

var macA, macB = [6]byte{0xaa, 0x55, 0xaa, 0x55, 0, 0}, [6]byte{0xaa, 0x66, 0xaa, 0x66, 0, 0}

// end is an aggregation with two links.
func end(name string, mac [6]byte, key uint16, ports ...uint16) *LACP {
	l := New()
	l.Configure(Config{Name: name, SysID: mac, SysPriority: 65534, Active: true, Fast: true})
	for i, p := range ports {
		l.Register(uint64(i), MemberConfig{Name: "p" + string(rune('0'+p)), PortID: p, Priority: 65535, Key: key}, 0)
		l.CarrierUp(uint64(i))
	}
	return l
}

// wire connects the links of a and b that have the same number, but those in cut.
type wire struct {
	a, b *LACP
	cut  map[uint64]bool
	now  int64
}

func (w *wire) run(ms int64) {
	for end := w.now + ms; w.now < end; w.now += 100 {
		fromA, _ := w.a.Run(w.now)
		for _, f := range fromA {
			if !w.cut[f.Member] {
				w.b.Process(f.Member, f.Payload, w.now)
			}
		}
		fromB, _ := w.b.Run(w.now)
		for _, f := range fromB {
			if !w.cut[f.Member] {
				w.a.Process(f.Member, f.Payload, w.now)
			}
		}
	}
}

// word returns what lacp/show says of a link and its ends' states.
func word(l *LACP, name string) string {
	_, rest, _ := strings.Cut(string(l.AppendShow(nil)), "member: "+name+": ")
	status, rest, _ := strings.Cut(rest, "\n")
	for _, end := range []string{"actor", "partner"} {
		_, rest, _ = strings.Cut(rest, end+" state:")
		state, _, _ := strings.Cut(rest, "\n")
		status += " |" + state
	}
	return status
}

func check(t *testing.T, l *LACP, name, want string) {
	t.Helper()
	if got := word(l, name); got != want {
		t.Errorf("%s:\n got %s\nwant %s", name, got, want)
	}
}

const agreed = "activity timeout aggregation synchronized collecting distributing"

func TestNegotiation(t *testing.T) {
	w := &wire{a: end("bond0", macA, 2, 1, 2), b: end("bond1", macB, 4, 3, 4), cut: map[uint64]bool{}}
	if w.a.Status() != Configured {
		t.Error("nothing can be negotiated yet")
	}
	w.run(2000)
	for _, p := range []string{"p1", "p2"} {
		check(t, w.a, p, "current attached | "+agreed+" | "+agreed)
	}
	if w.a.Status() != Negotiated || !w.a.MayEnable(0) || !w.b.MayEnable(1) || !w.a.Current(0) {
		t.Error("links that agree must carry frames")
	}
	w.cut[0] = true
	w.run(4100)
	check(t, w.a, "p1", "expired attached | "+agreed+" expired | activity timeout aggregation collecting distributing")
	check(t, w.a, "p2", "current attached | "+agreed+" | "+agreed)
	if w.a.MayEnable(0) || !w.a.MayEnable(1) {
		t.Error("a silent link must not carry frames, the other one must")
	}
	w.run(4100)
	check(t, w.a, "p1", "defaulted detached | activity timeout aggregation defaulted |")
	if w.a.Current(0) {
		t.Error("nothing is known of the partner any more")
	}
	w.cut[0] = false
	w.run(30100)
	check(t, w.b, "p3", "current attached | "+agreed+" | "+agreed)
	want := Counts{LinkExpired: 1, LinkDefaulted: 1}
	s, ok := w.a.Stats(0)
	got := Counts{LinkExpired: s.Counts.LinkExpired, LinkDefaulted: s.Counts.LinkDefaulted}
	if !ok || got != want || s.Counts.RxPDUs < 5 || s.Counts.TxPDUs <= s.Counts.RxPDUs {
		t.Errorf("counts %+v", s.Counts)
	}
}

// TestPeriods counts PDUs in a minute: what the receiver wants decides.
func TestPeriods(t *testing.T) {
	for _, c := range []struct {
		fast bool
		want uint32
	}{{true, 60}, {false, 2}} {
		w := &wire{a: end("a", macA, 0, 1), b: end("b", macB, 0, 2)}
		cfg := *w.b.Config()
		cfg.Fast = c.fast
		w.b.Configure(cfg)
		w.run(5000)
		before, _ := w.a.Stats(0)
		w.run(60000)
		after, _ := w.a.Stats(0)
		if n := after.Counts.TxPDUs - before.Counts.TxPDUs; n < c.want-1 || n > c.want+1 {
			t.Errorf("fast %t: %d PDUs a minute, want %d", c.fast, n, c.want)
		}
	}
}

func TestPassive(t *testing.T) {
	passive := func(mac [6]byte) *LACP {
		l := New()
		l.Configure(Config{Name: "p", SysID: mac, SysPriority: 1, Fast: true})
		l.Register(0, MemberConfig{Name: "p1", PortID: 1}, 0)
		l.CarrierUp(0)
		return l
	}
	alone := &wire{a: passive(macA), b: passive(macB)}
	alone.run(20000)
	if s, _ := alone.a.Stats(0); s.Counts.TxPDUs != 0 || alone.a.MayEnable(0) {
		t.Errorf("two passive ends must be silent: %+v", s.Counts)
	}
	w := &wire{a: passive(macA), b: end("b", macB, 0, 2)}
	w.run(3000)
	if !w.a.MayEnable(0) || !w.b.MayEnable(0) {
		t.Error("a passive end must answer an active one")
	}
}

func TestSelection(t *testing.T) {
	// info is a partner that hears us.
	info := func(mac [6]byte, key, port uint16) Info {
		return Info{SysPriority: 1, SysID: mac, Key: key, PortPriority: 1, PortID: port, State: Activity | Synchronization}
	}
	for _, c := range []struct {
		name     string
		partners []Info
		want     string // '1': the link may carry frames
	}{
		{"one partner", []Info{info(macB, 7, 1), info(macB, 7, 2)}, "11"},
		{"two keys: the lower port number leads", []Info{info(macB, 7, 9), info(macB, 8, 2)}, "01"},
		{"two partners: the lower address leads", []Info{info([6]byte{9}, 7, 1), info([6]byte{8}, 7, 2)}, "01"},
		{"loopback", []Info{info(macA, 7, 1), info(macB, 7, 2)}, "01"},
		{"only loopback", []Info{info(macA, 7, 1), info(macA, 7, 2)}, "00"},
	} {
		l := end("a", macA, 0, 1, 2)
		for i, p := range c.partners {
			pdu := PDU{Actor: p}
			l.Process(uint64(i), pdu.Append(nil), 10)
		}
		l.Run(20)
		got := ""
		for i := range c.partners {
			got += choose(l.MayEnable(uint64(i)), "1", "0")
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	// A link that works is not given up for one with a higher priority.
	l := end("a", macA, 0, 1, 2)
	l.Run(3000) // nobody is there
	l.Process(0, (&PDU{Actor: info([6]byte{9}, 7, 5)}).Append(nil), 3010)
	l.Run(3020)
	l.Process(1, (&PDU{Actor: info([6]byte{8}, 7, 1)}).Append(nil), 3030)
	l.Run(3040)
	if !l.MayEnable(0) || l.MayEnable(1) {
		t.Error("the second partner must not take over")
	}
}

func TestFallback(t *testing.T) {
	l := end("a", macA, 0, 1)
	c := *l.Config()
	c.FallbackAB = true
	l.Configure(c)
	l.Run(0)
	if l.MayEnable(0) {
		t.Error("a link waits for its partner first")
	}
	l.Run(3000)
	if !l.MayEnable(0) || l.Status() != Configured {
		t.Errorf("without a partner the link falls back (status %s)", l.Status())
	}
	l.Process(0, (&PDU{Actor: Info{SysID: macB, State: Synchronization}}).Append(nil), 3100)
	l.Run(3200)
	if !l.MayEnable(0) || l.Status() != Negotiated {
		t.Error("a partner ends the fallback")
	}
}

func TestCarrier(t *testing.T) {
	l := New()
	l.Configure(Config{Name: "a", SysID: macA, Active: true})
	l.Register(5, MemberConfig{Name: "p", PortID: 1}, 0)
	if out, _ := l.Run(0); len(out) != 0 {
		t.Error("nothing is sent on a link that is down")
	}
	l.Process(5, (&PDU{Actor: Info{SysID: macB, State: Synchronization}}).Append(nil), 10)
	if l.Run(20); l.MayEnable(5) {
		t.Error("a PDU on a link that is down must not count")
	}
	l.CarrierChanged(5, true, 30)
	if out, changed := l.Run(40); len(out) != 1 || !changed {
		t.Error("a link that came up sends")
	}
	l.Process(5, (&PDU{Actor: Info{SysID: macB, State: Synchronization}}).Append(nil), 50)
	if l.Run(60); !l.MayEnable(5) {
		t.Error("may enable")
	}
	l.CarrierChanged(5, true, 70) // down and up between two looks
	if l.Run(80); l.MayEnable(5) {
		t.Error("after a loss of carrier the partner has to answer again")
	}
	l.Unregister(5)
	if _, changed := l.Run(90); !changed || l.Status() != Configured || len(l.Members()) != 0 {
		t.Error("the last link went")
	}
	if !strings.Contains(string(l.AppendShow(nil)), "aggregation key: none") {
		t.Error("without a link there is no key")
	}
}

func TestBadPDUs(t *testing.T) {
	l := end("a", macA, 0, 1)
	good := (&PDU{}).Append(nil)
	marker := bytes.Clone(good)
	marker[0] = 2
	for _, b := range [][]byte{nil, good[:109], marker} {
		l.Process(0, b, 0)
	}
	bad := bytes.Clone(good)
	bad[23] = 19
	l.Process(0, bad, 0)
	l.Process(7, good, 0) // not a link of ours
	s, _ := l.Stats(0)
	if want := (Counts{RxPDUs: 4, RxBadPDUs: 3, RxMarkers: 1}); s.Counts != want {
		t.Errorf("got %+v, want %+v", s.Counts, want)
	}
	want := "---- a statistics ----\n\nmember: p1:\n  TX PDUs: 0\n  RX PDUs: 4\n  RX Bad PDUs: 3\n" +
		"  RX Marker Request PDUs: 1\n  Link Expired: 0\n  Link Defaulted: 0\n  Carrier Status Changed: 0\n"
	if got := string(l.AppendStats(nil)); got != want {
		t.Errorf("got %s", got)
	}
}

// TestShow has the text that stock prints for a link whose partner is not there.
func TestShow(t *testing.T) {
	l := New()
	l.Configure(Config{Name: "p1", SysID: macA, SysPriority: 65535, Active: true})
	l.Register(0, MemberConfig{Name: "p1", PortID: 1, Priority: 65535}, 0)
	l.Run(0)
	const want = `---- p1 ----
  status: active negotiated
  sys_id: aa:55:aa:55:00:00
  sys_priority: 65535
  aggregation key: 1
  lacp_time: slow

member: p1: expired attached
  port_id: 1
  port_priority: 65535
  may_enable: false

  actor sys_id: aa:55:aa:55:00:00
  actor sys_priority: 65535
  actor port_id: 1
  actor port_priority: 65535
  actor key: 1
  actor state: activity synchronized collecting distributing expired

  partner sys_id: 00:00:00:00:00:00
  partner sys_priority: 0
  partner port_id: 0
  partner port_priority: 0
  partner key: 0
  partner state: timeout
`
	if got := string(l.AppendShow(nil)); got != want {
		t.Errorf("got %s", got)
	}
}

func TestPDU(t *testing.T) {
	p := PDU{
		Actor:   Info{0xd431, [6]byte{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}, 3333, 111, 11, 0xbf},
		Partner: Info{0x0102, [6]byte{1, 2, 3, 4, 5, 6}, 0x0304, 0x0506, 0x0708, 0x09},
	}
	const want = "0101" + "0114" + "d431112233445566" + "0d05" + "006f" + "000b" + "bf" + "000000" +
		"0214" + "0102010203040506" + "0304" + "0506" + "0708" + "09" + "000000" + "0310"
	b := p.Append([]byte{0xff})
	if len(b) != 111 || hex.EncodeToString(b[1:45]) != want {
		t.Errorf("got %x", b)
	}
	if got, kind := Parse(b[1:]); kind != Data || got != p {
		t.Errorf("parsed %v %+v", kind, got)
	}
}

// FuzzProcess feeds frames to a link; whatever they say, the machine stays within its
// states and what it sends can be read again.
func FuzzProcess(f *testing.F) {
	good := (&PDU{Actor: Info{SysID: macB, State: 0x3f}, Partner: Info{SysID: macA}}).Append(nil)
	f.Add(good, int64(100))
	f.Add(good[:60], int64(40000))
	f.Add(append(bytes.Clone(good), good...), int64(1))
	f.Fuzz(func(t *testing.T, b []byte, step int64) {
		l := end("a", macA, 0, 1, 2)
		now := int64(0)
		for i := uint64(0); len(b) > 0; i++ {
			n := min(len(b), 124)
			l.Process(i%3, b[:n], now)
			b = b[n:]
			now += step & 0xffff
			out, _ := l.Run(now)
			for _, o := range out {
				p, kind := Parse(o.Payload)
				if kind != Data || p.Actor.SysID != macA {
					t.Fatalf("sent %x", o.Payload)
				}
			}
			l.AppendShow(nil)
		}
	})
}
