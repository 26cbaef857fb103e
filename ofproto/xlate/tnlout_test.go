package xlate

import (
	"fmt"
	"net/netip"
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/tunnel"
)

// nativeBed has a bridge int with hosts on ports 1 and 2 and a GRE tunnel on port 3,
// which leaves by bridge br0 with its own port 100 and port p8.
func nativeBed(t *testing.T) (*bed, *tunnel.Native) {
	mac := flow.MAC{0xaa, 0x55, 0xaa, 0x55, 0, 0}
	addr := netip.MustParsePrefix("1.1.2.88/24")
	native := tunnel.NewNative(tunnel.Host{DeviceSeq: func(string) uint64 { return 1 },
		Device: func(string) (flow.MAC, []netip.Prefix, bool) { return mac, []netip.Prefix{addr}, true }})
	if err := native.Routes.AddCommand([]string{"1.1.2.92/24", "br0"}); err != nil {
		t.Fatal(err)
	}
	inner := newBridge("int")
	plain(inner, 2)
	gre := &Port{ID: 3, Name: "gre0", OFPort: 3, ODP: 33, MayEnable: true, Counters: &txCounter{}, Tunnel: &tunnel.Config{
		Type: "gre", Remote: netip.MustParseAddr("1.1.2.92"), TTL: 64, DontFragment: true,
		OutKey: dpif.TunnelKey{Present: true, Value: 456}}}
	inner.Ports = append(inner.Ports, gre)
	outer := newBridge("br0")
	for n, p := range []*Port{
		{ID: 10, Name: "br0", OFPort: flow.OFPLocal, ODP: 100, MayEnable: true, MAC: mac, Addrs: []netip.Addr{addr.Addr()}},
		{ID: 18, Name: "p8", OFPort: 8, ODP: 8, MayEnable: true},
	} {
		outer.Ports = append(outer.Ports, p)
		outer.Bundles = append(outer.Bundles, &Bundle{ID: BundleID(10 + n), Name: p.Name, Mode: VLANTrunk, Ports: []*Port{p}})
	}
	for _, br := range []*Bridge{inner, outer} {
		br.Support.TunnelPushPop = true
	}
	b := newBed(t, inner, outer)
	b.br = inner
	b.snap.Native, b.snap.Asks = native, &NeighborAsks{}
	b.flags.Record, b.flags.Sink, b.flags.Now = true, DirectSink{}, 1000
	native.Listeners.SetPorts(b, []tunnel.Listener{{Name: "gre_sys", Port: 33, Proto: 47, Refs: 1}})
	native.Run(1000)
	b.add(inner, rule{match: "in_port=1", acts: action.List{output(3)}}, rule{match: "in_port=2", acts: action.List{output(3), output(1)}})
	b.add(outer, rule{acts: action.List{output(flow.OFPNormal)}})
	return b, native
}

type txCounter struct{ rx, tx, bytes uint64 }

func (c *txCounter) IncRx(n, _ uint64) { c.rx += n }
func (c *txCounter) IncTx(n, bytes uint64) {
	c.tx += n
	c.bytes += bytes
}

const greHeader = "tnl_push(tnl_port(33),header(size=42,type=3,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800)," +
	"ipv4(src=1.1.2.88,dst=1.1.2.92,proto=47,tos=0,ttl=64,frag=0x4000),gre((flags=0x2000,proto=0x6558),key=0x1c8)),out_port(100))"

func TestNativeTunnel(t *testing.T) {
	b, native := nativeBed(t)
	remote := netip.MustParseAddr("1.1.2.92")
	acts, _, out := b.translate("in_port=1,dl_type=0x1234")
	if acts != "drop" {
		t.Errorf("without a neighbour: %s", acts)
	}
	s := Stats{Packets: 1, Bytes: 60, Now: 1000}
	for _, now := range []int64{1000, 1500, 2000} {
		s.Now = now
		Apply(out.Effects, &s, true)
	}
	asks := b.snap.Asks.Take()
	if len(asks) != 2 || asks[0].OFPort != flow.OFPLocal || fmt.Sprintf("%x", asks[0].Frame) !=
		"ffffffffffffaa55aa55000008060001080006040001aa55aa550000010102580000000000000101025c" {
		t.Errorf("asks: %+v", asks)
	}

	native.Neighbors.Set("br0", remote, flow.MAC{0xf8, 0xbc, 0x12, 0x44, 0x34, 0xb6}, 1000)
	acts, mega, out := b.translate("in_port=1,dl_type=0x1234")
	if want := greHeader + ",8"; acts != want {
		t.Errorf("got  %s\nwant %s", acts, want)
	}
	if want := "recirc_id=0,eth,in_port=1,dl_type=0x1234"; mega != want {
		t.Errorf("the outer packet is in the megaflow: %s", mega)
	}
	s = Stats{Packets: 2, Bytes: 100, Used: 3000, Now: 3000}
	Apply(out.Effects, &s, true)
	gre := b.br.Port(3).Counters.(*txCounter)
	if gre.tx != 5 || gre.bytes != 3*60+100 { // three packets had no neighbour
		t.Errorf("tunnel counters: %+v", *gre)
	}
	var bytes []uint64
	for _, e := range out.Effects {
		if e.Kind == EffectRule {
			_, n := e.Rule.Stats()
			bytes = append(bytes, n)
		}
	}
	if len(bytes) != 2 || bytes[0] != 3*60+100 || bytes[1] != 100+2*42 {
		t.Errorf("bytes of the rules: %v", bytes)
	}
	if _, ok := b.snap.BridgeByName("br0").ML.Lookup(flow.MAC{0xaa, 0x55, 0xaa, 0x55, 0, 0}, 0); !ok {
		t.Error("the outer bridge has not learned the tunnel's address")
	}

	acts, _, _ = b.translate("in_port=2,dl_type=0x1234")
	if want := "clone(" + greHeader + ",8),1"; acts != want {
		t.Errorf("got  %s\nwant %s", acts, want)
	}
}

func TestTerminateTunnel(t *testing.T) {
	b, native := nativeBed(t)
	b.br = b.snap.BridgeByName("br0")
	for _, tc := range []struct{ flow, acts, neighbor string }{
		{"in_port=8,ip,dl_dst=aa:55:aa:55:00:00,dl_src=02:00:00:00:00:05,nw_src=1.1.2.92,nw_dst=1.1.2.88,nw_proto=47", "tnl_pop(33)", "1.1.2.92"},
		{"in_port=8,ip,dl_dst=aa:55:aa:55:00:00,nw_src=1.1.2.93,nw_dst=1.1.2.89,nw_proto=47", "100", ""},
		{"in_port=8,ip,dl_dst=aa:55:aa:55:00:00,nw_src=1.1.2.93,nw_dst=1.1.2.88,nw_proto=6", "100", ""},
		{"in_port=8,arp,dl_src=02:00:00:00:00:05,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=2,arp_spa=1.1.2.94,arp_tpa=1.1.2.88,arp_sha=02:00:00:00:00:05", "100", "1.1.2.94"},
		{"in_port=8,arp,dl_src=02:00:00:00:00:05,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=2,arp_spa=1.1.2.95,arp_tpa=1.1.2.90,arp_sha=02:00:00:00:00:05", "100", ""},
		{"in_port=8,arp,dl_src=02:00:00:00:00:05,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_spa=1.1.2.96,arp_tpa=1.1.2.88,arp_sha=02:00:00:00:00:05", "100", ""},
		{"in_port=8,arp,dl_src=02:00:00:00:00:05,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_spa=1.1.2.97,arp_tpa=1.1.2.97,arp_sha=02:00:00:00:00:05", "100", "1.1.2.97"},
	} {
		native.Neighbors.Flush()
		acts, _, _ := b.translate(tc.flow)
		if acts != tc.acts {
			t.Errorf("%s: %s, want %s", tc.flow, acts, tc.acts)
		}
		want := 0
		if tc.neighbor != "" {
			want = 1
			if _, ok := native.Neighbors.Lookup("br0", netip.MustParseAddr(tc.neighbor), 1000); !ok {
				t.Errorf("%s: %s is not learned", tc.flow, tc.neighbor)
			}
		}
		if got := native.Neighbors.Len(); got != want {
			t.Errorf("%s: %d neighbours", tc.flow, got)
		}
	}
}

// The end of a tunnel may be at a port that is not the bridge's own.
func TestNeighborOfPort(t *testing.T) {
	b, native := nativeBed(t)
	br := b.snap.BridgeByName("br0")

	br.Port(8).Addrs = []netip.Addr{netip.MustParseAddr("1.1.3.88"), netip.MustParseAddr("fc00::88")}
	asks := b.snap.Asks
	b.snap = Build(b.snap.Bridges, nil)
	b.snap.Native, b.snap.Asks, b.br = native, asks, br
	for _, c := range []struct{ flow, neighbor string }{
		{"in_port=LOCAL,arp,dl_src=02:00:00:00:00:05,arp_op=2,arp_spa=1.1.3.92,arp_tpa=1.1.3.88,arp_sha=02:00:00:00:00:05", "1.1.3.92"},
		{"in_port=LOCAL,icmp6,dl_src=02:00:00:00:00:05,ipv6_src=fc00::92,ipv6_dst=fc00::88,icmpv6_type=136,icmpv6_code=0,nd_target=fc00::92,nd_tll=02:00:00:00:00:05", "fc00::92"},
	} {
		if acts, _, _ := b.translate(c.flow); acts != "8" {
			t.Errorf("%s: %s", c.flow, acts)
		}
		if _, ok := native.Neighbors.Lookup("br0", netip.MustParseAddr(c.neighbor), 1000); !ok {
			t.Errorf("%s is not learned", c.neighbor)
		}
	}
}

func TestSolicitation(t *testing.T) {
	got := askFrame(flow.MAC{0xaa, 0x55, 0xaa, 0x55, 0, 0}, netip.MustParseAddr("2001:cafe::88"), netip.MustParseAddr("2001:cafe::92"))
	want := "3333ff000092aa55aa55000086dd6000000000203aff2001cafe000000000000000000000088ff0200000000000000000001ff000092" +
		"87004d48000000002001cafe0000000000000000000000920101aa55aa550000"
	if fmt.Sprintf("%x", got) != want {
		t.Errorf("got  %x\nwant %s", got, want)
	}
}
