package xlate

import (
	"fmt"
	"net/netip"
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/recirc"
	"sluice/ofproto/tunnel"
)

// tunnelBed has two plain ports and tunnels 3 (GRE, key 5), 4 (Geneve, ends and key by
// flow), 5 (VXLAN, L3) and 6 (a tunnel that has no place in the datapath).
func tunnelBed(t testing.TB) *bed {
	br := newBridge("br0")
	plain(br, 2)
	var table tunnel.Table
	key := dpif.TunnelKey{Present: true, Value: 5}
	byFlow := dpif.TunnelKey{Present: true, Flow: true}
	for i, c := range []*tunnel.Config{
		{Type: "gre", Remote: netip.MustParseAddr("1.1.1.1"), InKey: key, OutKey: key, TTL: 64, DontFragment: true},
		{Type: "geneve", RemoteFlow: true, LocalFlow: true, InKey: byFlow, OutKey: byFlow, TTL: 64, DstPort: 6081},
		{Type: "vxlan", Remote: netip.MustParseAddr("fc00::1"), GPE: true, PTMode: dpif.LegacyL3, TTL: 9, DstPort: 4789, DontFragment: true},
		{Type: "gre", Remote: netip.MustParseAddr("9.9.9.9"), TTL: 64},
	} {
		p := &Port{ID: PortID(i + 3), Name: "t", OFPort: uint32(i + 3), ODP: uint32(i + 13), MayEnable: true, Tunnel: c, PTMode: c.PTMode}
		if i == 3 {
			p.ODP = dpif.PortNone
		} else {
			table.Add(uint64(p.ID), tunnel.Port{Name: p.Name, Config: c, ODP: p.ODP}, true)
		}
		br.Ports = append(br.Ports, p)
	}
	br.TunTable = options(t)
	b := &bed{t: t, snap: Build([]*Bridge{br}, table.Map()), pool: recirc.NewPool(), br: br}
	return b
}

func options(t testing.TB) *field.TunTable {
	tab, err := new(field.TunTable).Add([]field.TunMapping{{Class: 0xffff, Type: 0, Len: 4, Index: 0}, {Class: 0xffff, Type: 0x81, Len: 8, Index: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// addOption adds a rule, whose match may be on the low byte of one of the tunnel options
// "option0=VALUE/MASK".
func (b *bed) addOption(r rule) {
	b.t.Helper()
	var id, val, mask byte
	if n, _ := fmt.Sscanf(r.match, "option%d=%d/%d", &id, &val, &mask); n != 3 {
		b.add(b.br, r)
		return
	}
	var v, m field.Value
	last := field.Get(field.TunMetadata0).Size - 1
	v[last], m[last] = val, mask
	mm := match.Match{Tun: b.br.TunTable}
	if _, err := mm.Set(field.TunMetadata0+field.ID(id), &v, &m); err != nil {
		b.t.Fatal(err)
	}
	b.addMatch(b.br, &mm, r)
}

// come translates a packet from the datapath, and returns the mask as the datapath gets
// it.
func (b *bed) come(key string) (acts, mask string, err error) {
	b.t.Helper()
	k, _, err := odp.ParseKey(key, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	in := b.flags
	in.Snap, in.Recirc, in.Flow = b.snap, b.pool, k
	if in.Bridge, in.Flow.InPort, err = b.snap.Find(&k, b.pool); err != nil {
		return "", "", err
	}
	var out Out
	Translate(&in, &out)
	in.Bridge.DatapathMask(&k, &out.Mask)
	return string(odp.FormatActions(nil, out.Actions, nil)), string(odp.FormatKey(nil, &k, &out.Mask, nil)), nil
}

const (
	ipFlow = "in_port=1,dl_src=50:54:00:00:00:05,dl_dst=50:54:00:00:00:07,tcp,nw_src=192.168.0.1,nw_dst=192.168.0.2,nw_tos=4,nw_ecn=1,nw_ttl=128,tp_src=8,tp_dst=9"
	ipKey  = "eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:07),eth_type(0x0800),ipv4(src=192.168.0.1,dst=192.168.0.2,proto=6,tos=5,ttl=128,frag=no),tcp(src=8,dst=9)"
)

func set(t testing.TB, id field.ID, text string) action.Action {
	t.Helper()
	var v field.Value
	if err := field.Get(id).ParseExact(text, nil, &v); err != nil {
		t.Fatal(err)
	}
	return &action.SetField{ID: id, Data: append([]byte(nil), v[:field.Get(id).Size]...)}
}

// The expected texts are what stock prints for the same ports and flows, but for the
// last case, in which it aborts.
func TestTunnelOutput(t *testing.T) {
	for _, c := range []struct {
		name       string
		acts       action.List
		want, mega string
	}{
		{"gre", action.List{output(3), output(2)}, "set(tunnel(tun_id=0x5,dst=1.1.1.1,tos=0x1,ttl=64,flags(df|key))),13,2",
			"recirc_id=0,eth,ip,in_port=1,nw_ecn=1,nw_frag=no"},
		{"no place", action.List{output(6), output(2)}, "2", "recirc_id=0,eth,ip,in_port=1,nw_frag=no"},
		{"by flow", action.List{set(t, field.TunDst, "3.3.3.3"), set(t, field.TunID, "7"), output(4), output(3), output(4)},
			"set(tunnel(tun_id=0x7,dst=3.3.3.3,tos=0x1,ttl=64,tp_dst=6081,flags(key))),14," +
				"set(tunnel(tun_id=0x5,dst=1.1.1.1,tos=0x1,ttl=64,flags(df|key))),13," +
				"set(tunnel(tun_id=0x7,dst=3.3.3.3,tos=0x1,ttl=64,tp_dst=6081,flags(key))),14",
			"recirc_id=0,eth,ip,in_port=1,nw_ecn=1,nw_frag=no"},
		{"options are Geneve's", action.List{set(t, field.TunDst, "3.3.3.3"), &action.SetField{ID: field.TunMetadata0, Size: 4, Data: []byte{0, 0, 0, 0xb}}, output(4), output(3)},
			"set(tunnel(tun_id=0x0,dst=3.3.3.3,tos=0x1,ttl=64,tp_dst=6081,geneve({class=0xffff,type=0,len=4,0xb}),flags(key))),14," +
				"set(tunnel(tun_id=0x5,dst=1.1.1.1,tos=0x1,ttl=64,flags(df|key))),13",
			"recirc_id=0,eth,ip,in_port=1,nw_ecn=1,nw_frag=no"},
		{"without Ethernet", action.List{output(5), output(2)},
			"set(tunnel(ipv6_dst=fc00::1,tos=0x1,ttl=9,tp_dst=4789,flags(df))),pop_eth,15,push_eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:07),2",
			"recirc_id=0,eth,ip,in_port=1,dl_src=50:54:00:00:00:05,dl_dst=50:54:00:00:00:07,nw_ecn=1,nw_frag=no"},
	} {
		b := tunnelBed(t)
		b.add(b.br, rule{0, 1, "", c.acts})
		acts, mega, out := b.translate(ipFlow)
		if acts != c.want || mega != c.mega || out.Err != OK {
			t.Errorf("%s: %s\n%s\nwant %s\n%s", c.name, acts, mega, c.want, c.mega)
		}
	}
}

func TestTunnelInput(t *testing.T) {
	const geneve = "tunnel(tun_id=0x7,src=3.3.3.3,dst=9.9.9.9,ttl=64,geneve({class=0xffff,type=0,len=4,0xb}{class=0x1,type=3,len=4,0xc}),flags(key)),in_port(14),"
	const noOption = "tunnel(tun_id=0x7,src=3.3.3.3,dst=9.9.9.9,ttl=64,flags(key)),in_port(14),"
	const gre = "tunnel(tun_id=0x5,src=1.1.1.1,dst=9.9.9.9,ttl=64,tos=0x3,flags(key)),in_port(13),"
	const keyed = "tunnel(tun_id=0x7,src=3.3.3.3,dst=9.9.9.9"
	const rest = ",recirc_id(0),in_port(14),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)"
	for _, c := range []struct {
		name       string
		rule       rule
		key        string
		acts, mask string
	}{
		{"no rule looks at the options", rule{0, 1, "in_port=4", action.List{output(1)}}, geneve, "1",
			keyed + ",flags(-df-csum+key))" + rest},
		{"a rule does", rule{0, 1, "option0=11/15", action.List{output(1)}}, geneve, "1",
			keyed + ",geneve({class=0xffff,type=0,len=4,0xb/0xf}{class=0x1,type=0x3,len=4}),flags(-df-csum+key))" + rest},
		{"a rule looks for an option that is not there", rule{0, 1, "option1=1/255", action.List{output(1)}}, geneve, "drop",
			keyed + ",geneve({class=0xffff,type=0,len=4}{class=0x1,type=0x3,len=4}),flags(-df-csum+key))" + rest},
		{"there are no options", rule{0, 1, "option0=11/15", action.List{output(1)}}, noOption, "drop",
			keyed + ",flags(-df-csum+key))" + rest},
		{"congestion", rule{0, 1, "in_port=3", action.List{output(1)}}, gre, "set(ipv4(tos=0x3/0x3)),1",
			"tunnel(tun_id=0x5,src=1.1.1.1,dst=9.9.9.9,tos=0x3,flags(-df-csum+key)),recirc_id(0),in_port(13),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(tos=0x5/0x3,frag=no)"},
	} {
		b := tunnelBed(t)
		b.addOption(c.rule)
		acts, mask, err := b.come(c.key + ipKey)
		if err != nil || acts != c.acts || mask != c.mask {
			t.Errorf("%s: %v, %s\n%s\nwant %s\n%s", c.name, err, acts, mask, c.acts, c.mask)
		}
	}
	b := tunnelBed(t)
	if _, _, err := b.come("tunnel(tun_id=0x6,src=1.1.1.1,dst=9.9.9.9,ttl=64,flags(key)),in_port(13)," + ipKey); err != errNoTunnel {
		t.Errorf("a packet of no tunnel: %v", err)
	}
}

func TestNotToOurselves(t *testing.T) {
	b := tunnelBed(t)
	b.add(b.br, rule{0, 1, "", action.List{set(t, field.TunDst, "9.9.9.9"), output(flow.OFPInPort), output(1)}})
	acts, _, err := b.come("tunnel(tun_id=0x7,src=3.3.3.3,dst=9.9.9.9,ttl=64,flags(key)),in_port(14)," + ipKey)
	if err != nil || acts != "1" {
		t.Errorf("%s, %v", acts, err)
	}
}

// Counters of a tunnel are credited by effects, of what comes in and what goes out.
func TestTunnelCounters(t *testing.T) {
	b := tunnelBed(t)
	var in, out counter
	b.br.Port(4).Counters, b.br.Port(3).Counters = &in, &out
	b.flags.Record = true
	b.add(b.br, rule{0, 1, "in_port=4", action.List{output(3), output(6), output(3)}})
	k, _, err := odp.ParseKey("tunnel(tun_id=0x7,src=3.3.3.3,dst=9.9.9.9,ttl=64,flags(key)),in_port(14),"+ipKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	k.InPort = 4
	var o Out
	Translate(&In{Snap: b.snap, Bridge: b.br, Flow: k, Recirc: b.pool, Record: true}, &o)
	Apply(o.Effects, &Stats{Packets: 2, Bytes: 100}, true)
	if in != (counter{rx: 2}) || out != (counter{tx: 4}) {
		t.Errorf("in %+v, out %+v", in, out)
	}
}

// counter counts packets.
type counter struct{ rx, tx uint64 }

func (c *counter) IncRx(packets, _ uint64) { c.rx += packets }
func (c *counter) IncTx(packets, _ uint64) { c.tx += packets }

// Whatever a packet's options are: a packet that has the same bits under the mask is
// translated the same way.
func FuzzGeneveOptions(f *testing.F) {
	f.Add([]byte{0xff, 0xff, 0, 1, 0, 0, 0, 0xb, 0, 1, 3, 1, 0, 0, 0, 0xc}, []byte{1, 2, 3}, uint64(1))
	f.Add([]byte{0xff, 0xff, 0x81, 2, 1, 2, 3, 4, 5, 6, 7, 8}, []byte{0xff}, uint64(3))
	f.Add([]byte{0xff, 0xff, 0, 31}, []byte{}, uint64(2))
	f.Fuzz(func(t *testing.T, raw, noise []byte, looked uint64) {
		br := &Bridge{TunTable: options(t)}
		var a flow.Flow
		a.Tunnel.Flags = flow.TunFlagUDPIF
		a.Tunnel.OptsLen = uint32(copy(a.Tunnel.Opts[:], raw))
		norm := a
		if !br.Normalize(&norm) {
			return
		}
		var fields flow.Mask
		for id := field.TunMetadata0; id <= field.TunMetadata0+1; id++ {
			if looked>>(id-field.TunMetadata0)&1 != 0 {
				field.AddExact(&fields, id, br.TunTable)
			}
		}
		m := fields
		br.DatapathMask(&a, &m)
		// Change all that the mask lets go.
		b := a
		for i := range noise {
			if i < len(b.Tunnel.Opts) {
				b.Tunnel.Opts[i] ^= noise[i] &^ m.Tunnel.Opts[i]
			}
		}
		if m.Tunnel.OptsLen == 0 {
			return // nobody looked
		}
		if !br.Normalize(&b) {
			t.Fatalf("% x under % x became malformed", raw, m.Tunnel.Opts[:a.Tunnel.OptsLen])
		}
		for i := range b.Words() {
			if w := fields.Words()[i]; b.Words()[i]&w != norm.Words()[i]&w {
				t.Fatalf("% x under % x: word %d differs", raw, m.Tunnel.Opts[:a.Tunnel.OptsLen], i)
			}
		}
	})
}
