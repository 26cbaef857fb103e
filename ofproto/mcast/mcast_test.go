package mcast

import (
	"encoding/hex"
	"fmt"
	"testing"

	"sluice/dpif/flow"
	"sluice/netdev/packet"
)

func ipv4(n uint32) flow.IPv6 { return Mapped(0xef000000 | n) } // 239.0.0.n

// table has bundles 1 to 3, a flood port 4 and a port 5 that floods reports.
func table() *Table {
	t := New()
	t.SetPorts([]PortConfig{{Port: 1}, {Port: 2}, {Port: 3}, {Port: 4, Flood: true}, {Port: 5, FloodReports: true}})
	t.Run(0)
	return t
}

func show(t *Table, now int64) string {
	return string(t.AppendShow(nil, func(p Port) string { return fmt.Sprint(p) }, now))[len(" port  VLAN  GROUP                Age\n"):]
}

func join(g uint32) *Message  { return &Message{Kind: Join, Changes: []Change{{ipv4(g), true}}} }
func leave(g uint32) *Message { return &Message{Kind: Leave, Changes: []Change{{ipv4(g), false}}} }

func TestTable(t *testing.T) {
	tab := table()
	expect := func(now int64, want string, changed bool) {
		t.Helper()
		if c := tab.Run(now); c != changed {
			t.Errorf("at %d: changed %v, want %v", now, c, changed)
		}
		if got := show(tab, now); got != want {
			t.Errorf("at %d:\n%swant\n%s", now, got, want)
		}
	}
	expect(0, "", false)
	if tab.Apply(join(1), 7, 1, 1000) != 1 || tab.Apply(join(1), 7, 2, 2000) != 0 || tab.Apply(join(2), 7, 2, 3000) != 1 {
		t.Error("which groups are new?")
	}
	expect(4000, "    1     7  239.0.0.1           3\n    2     7  239.0.0.1           2\n    2     7  239.0.0.2           1\n", true)
	expect(4000, "    1     7  239.0.0.1           3\n    2     7  239.0.0.1           2\n    2     7  239.0.0.2           1\n", false)
	tab.Apply(join(1), 7, 1, 5000) // refreshed: last in its group, the group last
	expect(5000, "    2     7  239.0.0.2           2\n    2     7  239.0.0.1           3\n    1     7  239.0.0.1           0\n", false)
	if tab.Apply(leave(1), 7, 2, 6000) != 1 || tab.Apply(leave(1), 7, 3, 6000) != 0 || tab.Apply(leave(9), 7, 2, 6000) != 0 {
		t.Error("which leaves count?")
	}
	tab.Apply(leave(2), 7, 2, 6000)
	expect(6000, "    1     7  239.0.0.1           1\n", true)
	if at, ok := tab.Next(); !ok || at != 305000 {
		t.Errorf("next at %d", at)
	}
	expect(304999, "    1     7  239.0.0.1         299\n", false)
	expect(305000, "", true)
	if _, ok := tab.Next(); ok {
		t.Error("an empty table has something to do")
	}
}

// TestSilentListener has one listener fall silent while others keep its group, and one
// that Run looks at before it, from ageing.
func TestSilentListener(t *testing.T) {
	tab := table()
	tab.Apply(join(1), 0, 1, 0)
	for now := int64(0); now <= 300000; now += 60000 {
		tab.Apply(join(2), 0, 2, now+1000)
		tab.Apply(join(1), 0, 2, now+2000)
		tab.Run(now + 2000)
	}
	if l, _ := tab.AppendListeners(nil, ipv4(1), 0); len(l) != 1 || l[0] != 2 {
		t.Errorf("%v listen", l)
	}
}

func TestRouters(t *testing.T) {
	tab := table()
	q := &Message{Kind: Query, HasSource: true}
	if tab.Apply(q, 5, 3, 0) != 1 || tab.Apply(q, 5, 3, 10000) != 0 || tab.Apply(&Message{Kind: Query}, 5, 2, 0) != 0 {
		t.Error("which routers are new?")
	}
	if tab.Apply(join(1), 5, 3, 0) != 0 || tab.Apply(join(1), 6, 3, 0) != 1 {
		t.Error("a router's bundle needs no groups, in its VLAN")
	}
	if got := show(tab, 10000); got != "    3     6  239.0.0.1          10\n    3     5  querier               0\n" {
		t.Error(got)
	}
	if r := tab.AppendRouters(nil); len(r) != 1 || r[0] != (Router{3, 5}) {
		t.Error(r)
	}
	tab.Run(10000)
	if at, _ := tab.Next(); at != 190000 {
		t.Errorf("next at %d", at)
	}
	if tab.Run(189999) || !tab.Run(190000) {
		t.Error("routers age after 180 s")
	}
}

func TestPorts(t *testing.T) {
	tab := table()
	if tab.Apply(join(1), 0, 4, 0) != 0 || tab.Apply(&Message{Kind: Query, HasSource: true}, 0, 4, 0) != 0 {
		t.Error("learned from a flood port")
	}
	if tab.Apply(join(1), 0, 9, 0) != 0 {
		t.Error("learned from a bundle that there is not")
	}
	tab.Apply(join(1), 0, 5, 0)
	if tab.Apply(leave(1), 0, 5, 0) != 0 {
		t.Error("a port with several hosts left at once")
	}
	if f, r := tab.FloodPorts(), tab.ReportPorts(); len(f) != 1 || f[0] != 4 || len(r) != 1 || r[0] != 5 {
		t.Error(f, r)
	}
	tab.Apply(join(1), 0, 1, 0)
	tab.Apply(join(2), 0, 1, 0)
	tab.Apply(&Message{Kind: Query, HasSource: true}, 0, 1, 0)
	tab.Run(0)
	tab.SetPorts([]PortConfig{{Port: 2}, {Port: 5}})
	if !tab.Run(0) || show(tab, 0) != "    5     0  239.0.0.1           0\n" {
		t.Errorf("left\n%s", show(tab, 0))
	}
	if l, ok := tab.AppendListeners(nil, ipv4(1), 0); !ok || len(l) != 1 || l[0] != 5 {
		t.Error(l)
	}
	if _, ok := tab.AppendListeners(nil, ipv4(1), 1); ok {
		t.Error("VLANs are apart")
	}
	tab.Flush()
	if !tab.Run(0) || show(tab, 0) != "" {
		t.Error("not flushed")
	}
	tab.Flush()
	tab.SetPorts([]PortConfig{{Port: 2}, {Port: 5}})
	if tab.Run(0) {
		t.Error("changed by nothing")
	}
}

func TestLimits(t *testing.T) {
	tab := table()
	tab.SetMaxEntries(3) // at least 10
	for i := range uint32(12) {
		tab.Apply(join(i+1), 0, 1, 0)
	}
	if _, ok := tab.AppendListeners(nil, ipv4(2), 0); ok || len(tab.groups) != 10 {
		t.Errorf("%d groups", len(tab.groups))
	}
	tab.SetIdleTime(20)
	tab.Run(19000)
	if len(tab.groups) != 10 {
		t.Error("aged too soon")
	}
	tab.Run(20000)
	if len(tab.groups) != 0 {
		t.Error("not aged")
	}
	tab.SetFloodUnregistered(false)
	if tab.FloodUnregistered() || !tab.Run(20000) {
		t.Error("flooding of unregistered groups")
	}
	if tab.Apply(&Message{Kind: Join, Changes: []Change{{Mapped(0x0a000001), true}}}, 0, 1, 0) != 0 {
		t.Error("10.0.0.1 is a group")
	}
}

// v4 and v6 make IP packets around a message whose checksum they compute.
func v4(src uint32, b []byte) []byte {
	ip := append([]byte{0x46, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, byte(src >> 24), byte(src >> 16), byte(src >> 8), byte(src), 224, 0, 0, 1, 0x94, 4, 0, 0}, b...)
	c := packet.Checksum(b)
	ip[26], ip[27] = byte(c>>8), byte(c)
	return ip
}

func v6(src byte, b []byte) []byte {
	ip := make([]byte, 48, 48+len(b))
	ip[0], ip[5], ip[23], ip[24], ip[25], ip[39] = 0x60, byte(len(b)+8), src, 0xff, 0x02, 1
	ip = append(ip, b...)
	c := ^packet.Sum(b, packet.PseudoSum(ip, packet.ProtoICMPv6, len(b)))
	ip[50], ip[51] = byte(c>>8), byte(c)
	return ip
}

func unhex(s string) []byte { b, _ := hex.DecodeString(s); return b }

const group6 = "ff020000000000000000000000000016"

func TestParse(t *testing.T) {
	g6 := flow.IPv6(unhex(group6))
	for _, c := range []struct {
		name string
		ip   []byte
		l4   int
		want Message
	}{
		{"query", v4(0x0a000001, unhex("1164000000000000")), 24, Message{Kind: Query, HasSource: true}},
		{"query of a switch", v4(0, unhex("1164000000000000")), 24, Message{Kind: Query}},
		{"v1", v4(1, unhex("12000000ef000001")), 24, Message{Kind: Join, Changes: []Change{{ipv4(1), true}}}},
		{"v2", v4(1, unhex("16000000ef000001")), 24, Message{Kind: Join, Changes: []Change{{ipv4(1), true}}}},
		{"leave", v4(1, unhex("17000000ef000001")), 24, Message{Kind: Leave, Changes: []Change{{ipv4(1), false}}}},
		{"v3", v4(1, unhex("2200000000000005"+
			"04000000ef000001"+"03000000ef000002"+"01000001ef00000301020304"+"07000000ef000009"+"06010000ef00000401020304")), 24,
			Message{Kind: Reports, Changes: []Change{{ipv4(1), true}, {ipv4(2), false}, {ipv4(3), true}, {ipv4(4), true}}}},
		{"v3 cut", v4(1, unhex("2200000000000003"+"04000000ef000001"+"0400ffffef000002")), 24,
			Message{Kind: Reports, Changes: []Change{{ipv4(1), true}, {ipv4(2), true}}}},
		{"PIM", v4(1, unhex("2000000000000000")), 24, Message{}},
		{"MLD query", v6(1, unhex("82000000000000000000000000000000"+"0000000000000000")), 48, Message{Kind: Query, HasSource: true}},
		{"MLD report", v6(1, unhex("8300000000000000"+group6)), 48, Message{Kind: Reports, Changes: []Change{{g6, true}}}},
		{"MLD done", v6(1, unhex("8400000000000000"+group6)), 48, Message{Kind: Reports, Changes: []Change{{g6, false}}}},
		{"MLDv2", v6(1, unhex("8f00000000000002"+"04000000"+group6+"03000000"+group6)), 48,
			Message{Kind: Reports, Changes: []Change{{g6, true}, {g6, false}}}},
	} {
		m, ok := Parse(c.ip, c.l4)
		if !ok || fmt.Sprint(m) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v %v, want %v", c.name, m, ok, c.want)
		}
		c.ip[len(c.ip)-1] ^= 1
		if _, ok := Parse(c.ip, c.l4); ok {
			t.Errorf("%s: a wrong checksum does not matter", c.name)
		}
		if _, ok := Parse(c.ip[:c.l4+7], c.l4); ok {
			t.Errorf("%s: cut, but good", c.name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(unhex("2200000000000002" + "04000000ef000001" + "03000000ef000002"))
	f.Add(unhex("8f00000000000002" + "04000000" + group6 + "03000000" + group6))
	f.Add([]byte{0x11, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		tab := table()
		for range 8 - len(b) {
			b = append(b, 0)
		}
		b[2], b[3] = 0, 0
		for i, ip := range [][]byte{v4(1, b), v6(1, b)} {
			m, ok := Parse(ip, 24+24*i)
			if len(m.Changes)*8 > len(b) {
				t.Fatalf("%d changes in %d bytes", len(m.Changes), len(b))
			}
			if ok {
				tab.Apply(&m, 0, 1, 0)
			}
			Parse(b, i)
			Parse(ip, len(b))
		}
		tab.Run(1000000)
		if s := show(tab, 1000000); s != "" {
			t.Fatal(s)
		}
	})
}
