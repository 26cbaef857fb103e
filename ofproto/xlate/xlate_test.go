package xlate

import (
	"strings"
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/maclearn"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/recirc"
	"sluice/ofproto/table"
)

// bed is a small configuration to translate in.
type bed struct {
	t     testing.TB
	snap  *Snapshot
	pool  *recirc.Pool
	br    *Bridge
	flags In // template
}

// everything is a datapath that can do all that the userspace one can.
var everything = dpif.Support{MaskedSetAction: true, UFID: true, Truncate: true, Clone: true, SampleNesting: 10,
	MaxVLANHeaders: 2, MaxMPLSDepth: 3, Recirc: true, CTState: true, CTZone: true, CTMark: true, CTLabel: true,
	CTStateNAT: true, CTOrigTuple: true, CTOrigTuple6: true, CTClear: true, MaxHashAlg: 1, CheckPktLen: true}

func newBridge(name string, ports ...*Port) *Bridge {
	br := &Bridge{Name: name, Tables: table.New(0), ML: maclearn.New(), Support: everything,
		ControllerMeter: NoMeter, SlowpathMeter: NoMeter, Ports: ports}
	copy(br.ID[:], name)
	return br
}

// plain makes ports 1..n of bridge br, datapath ports the same, each a trunk
// bundle of its own.
func plain(br *Bridge, n int) {
	for i := 1; i <= n; i++ {
		name := "p" + string(rune('0'+i))
		p := &Port{ID: PortID(i), Name: name, OFPort: uint32(i), ODP: uint32(i), MayEnable: true}
		br.Ports = append(br.Ports, p)
		br.Bundles = append(br.Bundles, &Bundle{ID: BundleID(i), Name: name, Mode: VLANTrunk, Ports: []*Port{p}})
	}
}

func newBed(t testing.TB, brs ...*Bridge) *bed {
	return &bed{t: t, snap: Build(brs, nil), pool: recirc.NewPool(), br: brs[0]}
}

// rule is one flow of a test.
type rule struct {
	table    uint8
	priority uint16
	match    string
	acts     action.List
}

func (b *bed) add(br *Bridge, rules ...rule) {
	b.t.Helper()
	for _, r := range rules {
		m, _, err := match.Parse(r.match, br)
		if err != nil {
			b.t.Fatalf("%s: %v", r.match, err)
		}
		b.addMatch(br, m, r)
	}
}

// addMatch adds a flow with r's actions.
func (b *bed) addMatch(br *Bridge, m *match.Match, r rule) {
	b.t.Helper()
	fm, err := br.Tables.NewFlowMod(&ofp.FlowMod{Match: *m, Priority: r.priority, TableID: r.table,
		Command: ofp.FlowAdd, BufferID: ofp.NoBuffer, OutPort: flow.OFPNone, OutGroup: ofp.GroupAny, Actions: r.acts}, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	br.Tables.Mu.Lock()
	x := br.Tables.Begin()
	if err := x.Flow(fm, table.Requester{}); err != nil {
		b.t.Fatal(err)
	}
	x.Commit()
	br.Tables.Mu.Unlock()
}

// translate returns the datapath actions and the megaflow for a flow.
func (b *bed) translate(f string) (acts, mega string, out *Out) {
	b.t.Helper()
	in := b.flags
	var err error
	in.Snap, in.Bridge, in.Recirc = b.snap, b.br, b.pool
	if in.Flow, err = match.ParseExactFlow(f, nil, b.br, nil); err != nil {
		b.t.Fatalf("%s: %v", f, err)
	}
	out = &Out{}
	Translate(&in, out)
	m := match.Match{Flow: in.Flow, Mask: out.Mask}
	m.ZeroWildcarded()
	return string(odp.FormatActions(nil, out.Actions, nil)), string(m.AppendText(nil, nil, match.DefaultPriority)), out
}

func output(p uint32) action.Action { return &action.Output{Port: p} }

// golden cases; the expected texts are what stock's ofproto/trace prints.
func TestGolden(t *testing.T) {
	setField := func(id field.ID, text string) action.Action {
		var v field.Value
		if err := field.Get(id).ParseExact(text, nil, &v); err != nil {
			t.Fatal(err)
		}
		return &action.SetField{ID: id, Data: append([]byte(nil), v[:field.Get(id).Size]...)}
	}
	const tcp = "in_port=1,dl_src=50:54:00:00:00:05,dl_dst=50:54:00:00:00:07,tcp,nw_src=192.168.0.1,nw_dst=192.168.0.2,nw_tos=0,nw_ttl=128,tp_src=8,tp_dst=9"
	for _, c := range []struct {
		name       string
		rules      []rule
		flow       string
		acts, mega string
	}{
		{"no match", nil, tcp, "drop", "recirc_id=0,eth,ip,in_port=1,nw_frag=no"},
		{"output", []rule{{0, 1, "in_port=1", action.List{output(2)}}}, tcp, "2", "recirc_id=0,eth,ip,in_port=1,nw_frag=no"},
		{"output to input port", []rule{{0, 1, "", action.List{output(1), output(2)}}}, tcp, "2", "recirc_id=0,eth,ip,in_port=1,nw_frag=no"},
		{"in_port", []rule{{0, 1, "", action.List{output(flow.OFPInPort)}}}, tcp, "1", "recirc_id=0,eth,ip,in_port=1,nw_frag=no"},
		{"flood", []rule{{0, 1, "", action.List{output(flow.OFPFlood)}}}, tcp, "2,3", "recirc_id=0,eth,ip,in_port=1,nw_frag=no"},
		{"normal floods", []rule{{0, 1, "", action.List{output(flow.OFPNormal)}}}, tcp, "2,3",
			"recirc_id=0,eth,ip,in_port=1,dl_src=50:54:00:00:00:05,dl_dst=50:54:00:00:00:07,nw_frag=no"},
		{"set eth", []rule{{0, 1, "", action.List{&action.SetEthSrc{MAC: flow.MAC{1, 2, 3, 4, 5, 6}}, output(2), output(3)}}}, tcp,
			"set(eth(src=01:02:03:04:05:06)),2,3", "recirc_id=0,eth,ip,in_port=1,dl_src=50:54:00:00:00:05,nw_frag=no"},
		{"set and set back", []rule{{0, 1, "", action.List{&action.SetIPv4Dst{Addr: 0x01020304}, output(2), &action.SetIPv4Dst{Addr: 0xc0a80002}, output(3)}}}, tcp,
			"set(ipv4(dst=1.2.3.4)),2,set(ipv4(dst=192.168.0.2)),3", "recirc_id=0,eth,tcp,in_port=1,nw_dst=192.168.0.2,nw_frag=no"},
		{"set ports", []rule{{0, 1, "", action.List{&action.SetL4SrcPort{Port: 85}, &action.SetL4DstPort{Port: 86}, output(2)}}}, tcp,
			"set(tcp(src=85,dst=86)),2", "recirc_id=0,eth,tcp,in_port=1,nw_frag=no,tp_src=8,tp_dst=9"},
		{"push vlan", []rule{{0, 1, "", action.List{&action.PushVLAN{EthType: 0x8100}, setField(field.VLANVID, "4196"), output(2)}}}, tcp,
			"push_vlan(vid=100,pcp=0),2", "recirc_id=0,eth,ip,in_port=1,nw_frag=no"},
		{"dec_ttl", []rule{{0, 1, "", action.List{&action.DecTTL{IDs: []uint16{0}}, output(2)}}}, tcp,
			"set(ipv4(ttl=127)),2", "recirc_id=0,eth,tcp,in_port=1,nw_ttl=128,nw_frag=no"},
		{"resubmit", []rule{{0, 1, "", action.List{&action.Resubmit{InPort: flow.OFPInPort, Table: 1}, output(3)}},
			{1, 1, "tcp,tp_dst=9", action.List{output(2)}}}, tcp,
			"2,3", "recirc_id=0,eth,tcp,in_port=1,nw_frag=no,tp_dst=9"},
		{"goto table and action set", []rule{
			{0, 1, "", action.List{&action.WriteActions{Actions: action.List{output(3)}}, &action.GotoTable{Table: 1}}},
			{1, 1, "", action.List{&action.WriteActions{Actions: action.List{output(2), &action.SetEthSrc{MAC: flow.MAC{1}}}}}}}, tcp,
			"set(eth(src=01:00:00:00:00:00)),2", "recirc_id=0,eth,ip,in_port=1,dl_src=50:54:00:00:00:05,nw_frag=no"},
		{"mpls pop and match inside", []rule{{0, 1, "", action.List{&action.PopMPLS{EthType: 0x800}, &action.DecTTL{IDs: []uint16{0}}, output(2)}}},
			"in_port=1,dl_src=50:54:00:00:00:05,dl_dst=50:54:00:00:00:07,mpls,mpls_label=10,mpls_bos=1",
			"pop_mpls(eth_type=0x800),recirc(0x1)", "recirc_id=0,eth,mpls,in_port=1,mpls_bos=1"},
		{"push mpls", []rule{{0, 1, "", action.List{&action.PushMPLS{EthType: 0x8847}, &action.SetMPLSLabel{Label: 10}, output(2)}}}, tcp,
			"push_mpls(label=10,tc=0,ttl=128,bos=1,eth_type=0x8847),2", "recirc_id=0,eth,ip,in_port=1,nw_tos=0,nw_ttl=128,nw_frag=no"},
		{"ct", []rule{{0, 1, "", action.List{&action.CT{Flags: action.CTCommit, Zone: 3, RecircTable: action.CTNoRecirc,
			Actions: action.List{setField(field.CTMark, "0x7")}}, output(2)}}}, tcp,
			"ct(commit,zone=3,mark=0x7/0xffffffff),2", "recirc_id=0,eth,ip,in_port=1,nw_frag=no"},
		{"ct and recirculate", []rule{{0, 1, "", action.List{&action.CT{RecircTable: 1}}}}, tcp,
			"ct,recirc(0x1)", "recirc_id=0,eth,ip,in_port=1,nw_frag=no"},
		{"check_pkt_larger", []rule{{0, 1, "", action.List{&action.CheckPktLarger{Len: 200, Dst: field.Sub{ID: field.Reg0, Bits: 1}}, &action.Resubmit{InPort: flow.OFPInPort, Table: 1}}},
			{1, 1, "reg0=1", action.List{output(2)}}, {1, 1, "reg0=0", action.List{output(3)}}}, tcp,
			"check_pkt_len(size=200,gt(2),le(3))", "recirc_id=0,eth,ip,in_port=1,nw_frag=no"},
		{"clone of what cannot be undone", []rule{{0, 1, "", action.List{&action.Clone{Actions: action.List{&action.CT{RecircTable: action.CTNoRecirc, Flags: action.CTCommit}, output(2)}}, output(3)}}}, tcp,
			"clone(ct(commit),2),3", "recirc_id=0,eth,ip,in_port=1,nw_frag=no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			br := newBridge("br0")
			plain(br, 3)
			b := newBed(t, br)
			b.add(br, c.rules...)
			acts, mega, _ := b.translate(c.flow)
			if acts != c.acts {
				t.Errorf("actions %s\n   want %s", acts, c.acts)
			}
			if c.mega != "" && mega != c.mega {
				t.Errorf("megaflow %s\n    want %s", mega, c.mega)
			}
		})
	}
}

// VLANs through NORMAL: the table of ofproto-dpif.at.
func TestNormalVLAN(t *testing.T) {
	br := newBridge("br0")
	trunk := func(vids ...uint16) *maclearn.VLANSet {
		s := &maclearn.VLANSet{}
		for _, v := range vids {
			s.Add(v)
		}
		return s
	}
	cfg := []Bundle{{Mode: VLANTrunk}, {Mode: VLANAccess, VLAN: 10}, {Mode: VLANTrunk, Trunks: trunk(10, 12)},
		{Mode: VLANNativeTagged, VLAN: 12, Trunks: trunk(12, 14)}, {Mode: VLANNativeUntagged, VLAN: 12}, {Mode: VLANDot1qTunnel, VLAN: 10, QinQType: 0x88a8}}
	for i := range cfg {
		n := uint32(i + 1)
		p := &Port{ID: PortID(n), Name: "p" + string(rune('0'+n)), OFPort: n, ODP: n, MayEnable: true}
		br.Ports = append(br.Ports, p)
		bu := cfg[i]
		bu.ID, bu.Name, bu.Ports = BundleID(n), p.Name, []*Port{p}
		br.Bundles = append(br.Bundles, &bu)
	}
	b := newBed(t, br)
	b.add(br, rule{0, 1, "", action.List{output(flow.OFPNormal)}})
	const mac = ",dl_src=50:54:00:00:00:01,dl_dst=ff:ff:ff:ff:ff:ff,dl_type=0xabcd"
	for _, c := range []struct{ in, want string }{
		{"in_port=1" + mac, "5"},
		{"in_port=2" + mac, "push_vlan(vid=10,pcp=0),1,3,5,pop_vlan,6"},
		{"in_port=2,dl_vlan=10" + mac, "drop"},
		{"in_port=1,dl_vlan=10" + mac, "pop_vlan,2,push_vlan(vid=10,pcp=0),3,5,pop_vlan,6"},
		{"in_port=5" + mac, "push_vlan(vid=12,pcp=0),1,3,4"},
		{"in_port=4,dl_vlan=14" + mac, "1,5"},
		{"in_port=3,dl_vlan=11" + mac, "drop"},
	} {
		acts, _, _ := b.translate(c.in)
		if acts != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, acts, c.want)
		}
	}
}

func TestLearnedAddress(t *testing.T) {
	br := newBridge("br0")
	plain(br, 3)
	b := newBed(t, br)
	b.add(br, rule{0, 1, "", action.List{output(flow.OFPNormal)}})
	b.flags.Sink = DirectSink{}
	b.translate("in_port=1,dl_src=50:54:00:00:00:01,dl_dst=50:54:00:00:00:02,dl_type=0xabcd")
	acts, _, _ := b.translate("in_port=2,dl_src=50:54:00:00:00:02,dl_dst=50:54:00:00:00:01,dl_type=0xabcd")
	if acts != "1" {
		t.Fatal(acts)
	}
	acts, _, _ = b.translate("in_port=1,dl_src=50:54:00:00:00:01,dl_dst=01:80:c2:00:00:00,dl_type=0xabcd")
	if acts != "drop" {
		t.Fatal("a reserved address was forwarded:", acts)
	}
}

func TestPatchPorts(t *testing.T) {
	br0, br1 := newBridge("br0"), newBridge("br1")
	plain(br0, 2)
	br0.Ports = append(br0.Ports, &Port{ID: 10, Name: "a", PeerName: "b", OFPort: 3, ODP: dpif.PortNone})
	br1.Ports = append(br1.Ports, &Port{ID: 11, Name: "b", PeerName: "a", OFPort: 1, ODP: dpif.PortNone},
		&Port{ID: 12, Name: "p9", OFPort: 9, ODP: 9})
	b := newBed(t, br0, br1)
	b.add(br0, rule{0, 1, "", action.List{output(3), output(2)}})
	b.add(br1, rule{0, 1, "in_port=1", action.List{&action.SetEthSrc{MAC: flow.MAC{2}}, output(9), output(flow.OFPInPort)}})
	b.br = br0
	acts, _, _ := b.translate("in_port=1,dl_src=50:54:00:00:00:01,dl_dst=50:54:00:00:00:02,dl_type=0xabcd")
	if want := "set(eth(src=02:00:00:00:00:00)),9,2,set(eth(src=50:54:00:00:00:01)),2"; acts != want {
		t.Fatalf("%s, want %s", acts, want)
	}
}

func TestResubmitLimits(t *testing.T) {
	br := newBridge("br0")
	plain(br, 3)
	b := newBed(t, br)
	b.add(br, rule{0, 1, "", action.List{&action.Resubmit{InPort: flow.OFPInPort, Table: 0}}})
	if _, _, out := b.translate("in_port=1"); out.Err != ErrRecursionTooDeep {
		t.Fatal(out.Err)
	}
	two := action.List{&action.Resubmit{InPort: flow.OFPInPort, Table: 2}, &action.Resubmit{InPort: flow.OFPInPort, Table: 2}}
	b.add(br, rule{1, 1, "", two})
	for i := uint8(2); i < 40; i++ {
		b.add(br, rule{i, 1, "", action.List{&action.Resubmit{InPort: flow.OFPInPort, Table: i + 1}, &action.Resubmit{InPort: flow.OFPInPort, Table: i + 1}}})
	}
	b.add(br, rule{0, 5, "in_port=2", action.List{&action.GotoTable{Table: 1}}})
	if _, _, out := b.translate("in_port=2"); out.Err != ErrTooManyResubmits {
		t.Fatal(out.Err)
	}
}

func TestNormalAllocatesLittle(t *testing.T) {
	br := newBridge("br0")
	plain(br, 4)
	b := newBed(t, br)
	b.add(br, rule{0, 1, "", action.List{output(flow.OFPNormal)}})
	in := In{Snap: b.snap, Bridge: br, Recirc: b.pool, Sink: DirectSink{}, Record: true}
	in.Flow, _ = match.ParseExactFlow("in_port=1,dl_src=50:54:00:00:00:01,dl_dst=50:54:00:00:00:02,udp", nil, br, nil)
	var out Out
	Translate(&in, &out)
	if n := testing.AllocsPerRun(100, func() { Translate(&in, &out) }); n > 1 {
		t.Fatalf("%v allocations", n)
	}
}

// Any bytes as a packet, through a bit of everything, must not panic.
func FuzzTranslate(f *testing.F) {
	br := newBridge("br0")
	plain(br, 3)
	b := newBed(f, br)
	b.add(br,
		rule{0, 1, "", action.List{&action.PopMPLS{EthType: 0x800}, &action.StripVLAN{}, &action.DecTTL{IDs: []uint16{0}},
			&action.Resubmit{InPort: flow.OFPInPort, Table: 1}, &action.SetIPv4Dst{Addr: 5}, &action.SetL4DstPort{Port: 9}, output(flow.OFPNormal)}},
		rule{1, 1, "", action.List{&action.PushMPLS{EthType: 0x8847}, &action.PushVLAN{EthType: 0x8100}, output(2),
			&action.DecMPLSTTL{}, &action.PopMPLS{EthType: 0x8847}, &action.PopMPLS{EthType: 0x86dd}, output(3)}},
		rule{1, 2, "ip", action.List{&action.CT{RecircTable: 2}, &action.Decap{PacketType: action.DecapNext}, output(3)}})
	f.Add([]byte(strings.Repeat("\x88\x47", 40)), uint8(1))
	f.Add([]byte{0x50, 0x54, 0, 0, 0, 1, 0x50, 0x54, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 20}, uint8(1))
	f.Fuzz(func(t *testing.T, pkt []byte, port uint8) {
		in := In{Snap: b.snap, Bridge: br, Recirc: b.pool, Sink: DirectSink{}, Record: true, Packet: pkt}
		md := flow.Flow{InPort: uint32(port % 4)}
		flow.ExtractFlow(pkt, &md, &in.Flow)
		var out Out
		Translate(&in, &out)
		for _, id := range out.Recircs {
			b.pool.Unref(id)
		}
	})
}
