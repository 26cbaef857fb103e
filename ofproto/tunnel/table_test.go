package tunnel

import (
	"net/netip"
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
)

func addr(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

// conf makes a configuration: an end or a key may be "flow", or "" for none.
func conf(local, remote, key string) *Config {
	c := &Config{Type: "vxlan", TTL: 64, DontFragment: true}
	if c.LocalFlow = local == "flow"; !c.LocalFlow {
		c.Local = addr(local)
	}
	if c.RemoteFlow = remote == "flow"; !c.RemoteFlow {
		c.Remote = addr(remote)
	}
	switch key {
	case "":
	case "flow":
		c.InKey = dpif.TunnelKey{Present: true, Flow: true}
	default:
		c.InKey = dpif.TunnelKey{Present: true, Value: uint64(key[0] - '0')}
	}
	c.OutKey = c.InKey
	return c
}

// from is a packet from a tunnel.
func from(src, dst string, key uint64, odp uint32) *flow.Flow {
	f := &flow.Flow{InPort: odp, DLType: flow.EthIPv4}
	f.Tunnel.ID = key
	f.Tunnel.IPSrc, f.Tunnel.IPv6Src = split(addr(src))
	f.Tunnel.IPDst, f.Tunnel.IPv6Dst = split(addr(dst))
	return f
}

// Ports are in the order in which packets that several would take choose among them.
func TestPrecedence(t *testing.T) {
	var table Table
	for i, c := range []*Config{
		conf("9.9.9.9", "1.1.1.1", "5"), conf("", "1.1.1.1", "5"),
		conf("9.9.9.9", "flow", "5"), conf("", "flow", "5"), conf("flow", "flow", "5"),
		conf("9.9.9.9", "1.1.1.1", "flow"), conf("", "1.1.1.1", "flow"),
		conf("9.9.9.9", "flow", "flow"), conf("", "flow", "flow"), conf("flow", "flow", "flow"),
	} {
		if !table.Add(uint64(i+1), Port{Name: "p", Config: c, ODP: 7}, true) {
			t.Fatalf("port %d is taken for another", i+1)
		}
	}
	f := from("1.1.1.1", "9.9.9.9", 5, 7)
	for want := uint64(1); want <= 10; want++ {
		if got, ok := table.Map().Find(f); !ok || got != want {
			t.Fatalf("port %d takes the packet, not %d", got, want)
		}
		table.Remove(want)
	}
	if got, ok := table.Map().Find(f); ok || table.Len() != 0 {
		t.Errorf("port %d takes the packet though all are gone", got)
	}
}

func TestFind(t *testing.T) {
	var table Table
	l3 := conf("", "1.1.1.2", "")
	l3.PTMode = dpif.LegacyL3
	both := conf("", "1.1.1.3", "")
	both.PTMode = dpif.PacketTypeAware
	for i, c := range []*Config{conf("", "1.1.1.1", ""), conf("", "1.1.1.1", "2"), conf("fc00::1", "fc00::2", ""), l3, both} {
		table.Add(uint64(i+1), Port{Name: "p", Config: c, ODP: 7}, true)
	}
	packet := func(f *flow.Flow) *flow.Flow { f.PacketType = flow.PacketTypeIPv4; return f }
	for _, c := range []struct {
		name string
		f    *flow.Flow
		want uint64
	}{
		{"no key", from("1.1.1.1", "3.3.3.3", 0, 7), 1},
		{"key", from("1.1.1.1", "3.3.3.3", 2, 7), 2},
		{"unknown key", from("1.1.1.1", "3.3.3.3", 3, 7), 0},
		{"other datapath port", from("1.1.1.1", "3.3.3.3", 0, 8), 0},
		{"IPv6", from("fc00::2", "fc00::1", 0, 7), 3},
		{"IPv6, other local end", from("fc00::2", "fc00::3", 0, 7), 0},
		{"a frame from an L3 tunnel", from("1.1.1.2", "3.3.3.3", 0, 7), 0},
		{"a packet from an L3 tunnel", packet(from("1.1.1.2", "3.3.3.3", 0, 7)), 4},
		{"a packet from an L2 tunnel", packet(from("1.1.1.1", "3.3.3.3", 0, 7)), 0},
		{"a frame from a tunnel for both", from("1.1.1.3", "3.3.3.3", 0, 7), 5},
		{"a packet from a tunnel for both", packet(from("1.1.1.3", "3.3.3.3", 0, 7)), 5},
	} {
		if got, _ := table.Map().Find(c.f); got != c.want {
			t.Errorf("%s: port %d, want %d", c.name, got, c.want)
		}
	}
	var none *Map
	if _, ok := none.Find(from("1.1.1.1", "3.3.3.3", 0, 7)); ok {
		t.Error("no map finds a port")
	}
}

func TestDuplicate(t *testing.T) {
	var table Table
	c := conf("", "1.1.1.1", "1")
	table.Add(1, Port{Name: "a", Config: c, ODP: 7}, true)
	before := table.Map()
	d := *c
	d.OutKey.Value, d.TTL = 9, 1 // how packets leave makes no difference
	if table.Add(2, Port{Name: "b", Config: &d, ODP: 7}, true) {
		t.Error("two ports for the same packets")
	}
	if _, ok := table.Get(2); ok || table.Map() != before {
		t.Error("a port that was refused left a trace")
	}
	if !table.Add(2, Port{Name: "b", Config: &d, ODP: 8}, true) {
		t.Error("another datapath port is the same")
	}
	table.Remove(3) // never was
	if id, _ := before.Find(from("1.1.1.1", "2.2.2.2", 1, 8)); id != 0 {
		t.Error("a map changed")
	}
}

func TestList(t *testing.T) {
	var table Table
	a, b := conf("", "1.1.1.1", "7"), conf("flow", "flow", "flow")
	a.DstPort, a.TOS, a.TTL, a.Csum, a.DontFragment = 123, 0x10, 9, true, false
	b.PTMode, b.OutKey, b.TTLInherit, b.TOSInherit = dpif.PacketTypeAware, dpif.TunnelKey{}, true, true
	c := conf("fc00::1", "fc00::2", "")
	c.OutKey = dpif.TunnelKey{Present: true, Value: 16}
	table.Add(1, Port{Name: "b", Config: b, ODP: 1}, true)
	table.Add(2, Port{Name: "a", Config: a, ODP: 123}, true)
	table.Add(3, Port{Name: "c", Config: c, ODP: 123}, true)
	const want = "port 123: c (vxlan: fc00::1->fc00::2, key=0, legacy_l2, dp port=123, out_key=0x10, ttl=64)\n" +
		"port 123: a (vxlan: ::->1.1.1.1, key=0x7, legacy_l2, dp port=123, ttl=9, tos=0x10, df=false, csum=true)\n" +
		"port 1: b (vxlan: flow->flow, key=flow, ptap, dp port=1, out_key=none, ttl=inherit, tos=inherit)\n"
	if got := string(table.AppendList(nil)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
