package xlate

import (
	"strings"
	"testing"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/mcast"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
)

// mcastBed is a bridge with snooping: port 1 listens to 239.1.1.1 and ff05::1, port 2
// has a router, port 4 floods, port 5 gets reports.
func mcastBed(t *testing.T, floodUnregistered bool) *bed {
	br := newBridge("br0")
	plain(br, 6)
	br.Mcast = mcast.New()
	br.Mcast.SetFloodUnregistered(floodUnregistered)
	br.Mcast.SetPorts([]mcast.PortConfig{{Port: 1}, {Port: 2}, {Port: 3}, {Port: 4, Flood: true}, {Port: 5, FloodReports: true}, {Port: 6}})
	br.Mcast.Apply(&mcast.Message{Kind: mcast.Query, HasSource: true}, 0, 2, 0)
	br.Mcast.Apply(&mcast.Message{Kind: mcast.Reports, Changes: []mcast.Change{
		{Group: mcast.Mapped(0xef010101), Join: true}, {Group: flow.IPv6{0: 0xff, 1: 5, 15: 1}, Join: true}}}, 0, 1, 0)
	b := newBed(t, br)
	b.add(br, rule{0, 1, "", action.List{&action.Output{Port: flow.OFPNormal}}})
	return b
}

// No match can name an IGMP type; these stand for it in front of one.
const igmp17, igmp22 = "query:", "report:"

// translateTyped is translate with an IGMP type.
func (b *bed) translateTyped(f string, typ uint16) (acts, mega string, out *Out) {
	if typ == 0 {
		return b.translate(f)
	}
	in := b.flags
	in.Snap, in.Bridge, in.Recirc = b.snap, b.br, b.pool
	var err error
	if in.Flow, err = match.ParseExactFlow(f, nil, b.br, nil); err != nil {
		b.t.Fatalf("%s: %v", f, err)
	}
	in.Flow.TpSrc = typ
	out = &Out{}
	Translate(&in, out)
	m := match.Match{Flow: in.Flow, Mask: out.Mask}
	m.ZeroWildcarded()
	return string(odp.FormatActions(nil, out.Actions, nil)), string(m.AppendText(nil, nil, match.DefaultPriority)), out
}

func TestSnoopingNormal(t *testing.T) {
	ip4 := func(dst, rest string) string {
		return "in_port=3,dl_src=00:00:00:00:00:03,dl_dst=01:00:5e:01:01:01," + rest + ",nw_src=10.0.0.1,nw_dst=" + dst
	}
	ip6 := func(dst, rest string) string {
		return "in_port=3,dl_src=00:00:00:00:00:03,dl_dst=33:33:00:00:00:01," + rest + ",ipv6_src=fe80::1,ipv6_dst=" + dst
	}
	const (
		eth4 = ",in_port=3,dl_src=00:00:00:00:00:03,dl_dst=01:00:5e:01:01:01"
		eth6 = ",in_port=3,dl_src=00:00:00:00:00:03,dl_dst=33:33:00:00:00:01"
	)
	for _, c := range []struct {
		name, f     string
		flood       bool
		acts, megas string
		slow        SlowReason
	}{
		{"group", ip4("239.1.1.1", "udp"), true, "1,4,2", "recirc_id=0,eth,udp" + eth4 + ",nw_dst=239.1.1.1,nw_frag=no", 0},
		{"unregistered, flooded", ip4("239.1.1.2", "udp"), true, "1,2,4,5,6", "recirc_id=0,eth,udp" + eth4 + ",nw_dst=239.1.1.2,nw_frag=no", 0},
		{"unregistered", ip4("239.1.1.2", "udp"), false, "2,4", "recirc_id=0,eth,udp" + eth4 + ",nw_dst=239.1.1.2,nw_frag=no", 0},
		{"local", ip4("224.0.0.5", "ip,nw_proto=89"), false, "1,2,4,5,6", "recirc_id=0,eth,ip" + eth4 + ",nw_dst=224.0.0.5,nw_proto=89,nw_frag=no", 0},
		{"report", igmp22 + ip4("239.1.1.1", "ip,nw_proto=2"), true, "2,5", "recirc_id=0,eth,ip" + eth4 + ",nw_proto=2,nw_frag=no", SlowAction},
		{"query", igmp17 + ip4("224.0.0.1", "ip,nw_proto=2"), true, "1,2,4,5,6", "recirc_id=0,eth,ip" + eth4 + ",nw_proto=2,nw_frag=no", SlowAction},
		{"group6", ip6("ff05::1", "udp6"), true, "1,4,2", "recirc_id=0,eth,udp6" + eth6 + ",ipv6_dst=ff05::1,nw_frag=no", 0},
		{"all hosts", ip6("ff02::1", "udp6"), false, "1,2,4,5,6", "recirc_id=0,eth,udp6" + eth6 + ",ipv6_dst=ff02::1,nw_frag=no", 0},
		{"MLD report", ip6("ff02::16", "icmp6,icmpv6_type=143"), true, "2,5", "recirc_id=0,eth,icmp6" + eth6 + ",nw_frag=no,icmp_type=0x8f/0xff", SlowAction},
		{"MLD query", ip6("ff02::1", "icmp6,icmpv6_type=130"), true, "1,2,4,5,6", "recirc_id=0,eth,icmp6" + eth6 + ",nw_frag=no,icmp_type=0x82/0xff", SlowAction},
		{"ping6", ip6("ff05::1", "icmp6,icmpv6_type=128"), true, "1,4,2", "recirc_id=0,eth,icmp6" + eth6 + ",ipv6_dst=ff05::1,nw_frag=no,icmp_type=0x80/0xff", 0},
	} {
		b := mcastBed(t, c.flood)
		f, typ := c.f, uint16(0)
		if rest, ok := strings.CutPrefix(f, igmp22); ok {
			f, typ = rest, mcast.IGMPReportV2
		} else if rest, ok := strings.CutPrefix(f, igmp17); ok {
			f, typ = rest, mcast.IGMPQuery
		}
		acts, mega, out := b.translateTyped(f, typ)
		if acts != c.acts || out.Slow != c.slow || mega != c.megas {
			t.Errorf("%s: %s (slow %d), want %s\n%s\nwant\n%s", c.name, acts, out.Slow, c.acts, mega, c.megas)
		}
	}
}

// TestSnoopingLearns translates a report with its packet, as the slow path does.
func TestSnoopingLearns(t *testing.T) {
	b := mcastBed(t, true)
	pkt := []byte{1, 0, 0x5e, 1, 1, 2, 0, 0, 0, 0, 0, 6, 8, 0,
		0x45, 0, 0, 28, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 1, 239, 1, 1, 2,
		0x16, 0, 0xf9, 0xfb, 239, 1, 1, 2, 0, 0, 0, 0} // padded
	in := b.flags
	in.Snap, in.Bridge, in.Recirc, in.Packet, in.Sink, in.Now = b.snap, b.br, b.pool, pkt, DirectSink{}, 5000
	md := flow.Flow{InPort: 6}
	flow.ExtractFlow(pkt, &md, &in.Flow)
	var out Out
	Translate(&in, &out)
	if l, ok := b.br.Mcast.AppendListeners(nil, mcast.Mapped(0xef010102), 0); !ok || len(l) != 1 || l[0] != 6 {
		t.Errorf("listeners %v", l)
	}
	pkt[36]++ // the checksum
	in.Flow.InPort = 3
	Translate(&in, &out)
	if l, _ := b.br.Mcast.AppendListeners(nil, mcast.Mapped(0xef010102), 0); len(l) != 1 {
		t.Errorf("a report with a bad checksum made listeners %v", l)
	}
}

// TestSpanningTree has ports in all states.
func TestSpanningTree(t *testing.T) {
	br := newBridge("br0")
	plain(br, 4)
	br.Ports[0].STP, br.Ports[1].STP, br.Ports[2].STP = STPForwarding, STPLearning, STPBlocking
	for _, p := range br.Ports {
		p.Hears = SlowSTP
	}
	b := newBed(t, br)
	b.add(br, rule{0, 1, "", action.List{&action.Output{Port: flow.OFPNormal}}})
	const eth = ",dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02,dl_type=0x1234"
	if acts, _, _ := b.translate("in_port=1" + eth); acts != "4" {
		t.Errorf("flooded to %s", acts)
	}
	for _, port := range []string{"2", "3"} {
		if acts, _, _ := b.translate("in_port=" + port + eth); acts != "drop" {
			t.Errorf("from port %s: %s", port, acts)
		}
	}
	// Only the port that learns does.
	b.flags.Sink = DirectSink{}
	for port, learns := range map[string]bool{"2": true, "3": false} {
		mac := flow.MAC{5: port[0]}
		b.translate("in_port=" + port + ",dl_src=00:00:00:00:00:3" + port + ",dl_dst=00:00:00:00:00:02,dl_type=0x1234")
		if _, ok := br.ML.Lookup(mac, 0); ok != learns {
			t.Errorf("port %s learned: %v", port, ok)
		}
	}
	if _, _, out := b.translate("in_port=3,dl_src=00:00:00:00:00:01,dl_dst=01:80:c2:00:00:00,dl_type=0x05ff"); out.Slow != SlowSTP {
		t.Errorf("a BPDU is not heard: %d", out.Slow)
	}
	b.add(br, rule{0, 2, "in_port=4", action.List{output(1), output(3)}})
	if acts, _, _ := b.translate("in_port=4" + eth); acts != "1" {
		t.Errorf("output past a blocked port: %s", acts)
	}
}
