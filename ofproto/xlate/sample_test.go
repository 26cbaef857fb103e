package xlate

import (
	"strings"
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/ofproto/export/netflow"
	"sluice/ofproto/ofp/action"
)

const sampled = "in_port=1,dl_src=50:54:00:00:00:09,dl_dst=50:54:00:00:00:0a,icmp,nw_src=192.168.0.1,nw_dst=192.168.0.2,nw_tos=4,nw_ttl=128,icmp_type=8,icmp_code=0"

// TestSamplingActions: the expected texts are what stock prints.
func TestSamplingActions(t *testing.T) {
	sflow := func(br *Bridge, prob uint32) {
		br.SFlow = &SFlowSampling{Probability: prob, Ifindex: map[dpif.PortNo]uint32{2: 1003}}
	}
	ipfix := func(br *Bridge, prob uint32, in, out bool) {
		br.IPFIX = &IPFIXSampling{Probability: prob, Input: in, Output: out, Tunnel: true, FlowTunnel: map[uint32]bool{1: true}, Tunnels: map[dpif.PortNo]bool{3: true}}
	}
	flowSample := func(port uint32, dir uint8) action.Action {
		return &action.Sample{Probability: 65535, CollectorSet: 1, ObsDomain: 2, ObsPoint: 3, Port: port, Direction: dir}
	}
	const bridgeIn, bridgeOut = "userspace(pid=0,ipfix(output_port=4294967295))", "userspace(pid=0,ipfix(output_port=2))"
	const setFlow = "probability=65535,collector_set_id=1,obs_domain_id=2,obs_point_id=3"
	for _, c := range []struct {
		name string
		set  func(br *Bridge)
		acts action.List
		want string
	}{
		{"nothing", func(*Bridge) {}, action.List{flowSample(flow.OFPNone, 0), output(2)}, "2"},
		{"sFlow", func(br *Bridge) { sflow(br, ^uint32(0)) }, action.List{output(2)},
			"userspace(pid=0,sFlow(vid=0,pcp=0,output=1003),actions),2"},
		{"sFlow, half", func(br *Bridge) { sflow(br, 1<<31) }, action.List{output(2)},
			"sample(sample=50.0%,actions(userspace(pid=0,sFlow(vid=0,pcp=0,output=1003),actions))),2"},
		{"sFlow, metered", func(br *Bridge) { sflow(br, ^uint32(0)); br.SlowpathMeter = 5 }, action.List{output(2)},
			"sample(sample=100.0%,actions(meter(5),userspace(pid=0,sFlow(vid=0,pcp=0,output=1003),actions))),2"},
		{"sFlow, no ifindex", func(br *Bridge) { sflow(br, ^uint32(0)) }, action.List{output(3)},
			"userspace(pid=0,sFlow(vid=0,pcp=0,output=2147483649),actions),3"},
		{"sFlow, two outputs and a VLAN", func(br *Bridge) { sflow(br, ^uint32(0)) },
			action.List{output(2), &action.SetVLANVID{VID: 11, PushIfNeeded: true}, &action.SetVLANPCP{PCP: 5}, output(3)},
			"userspace(pid=0,sFlow(vid=11,pcp=5,output=2147483650),actions),2,push_vlan(vid=11,pcp=5),3"},
		{"sFlow, drop", func(br *Bridge) { sflow(br, ^uint32(0)) }, nil, "userspace(pid=0,sFlow(vid=0,pcp=0,output=1073742080),actions)"},
		{"IPFIX", func(br *Bridge) { ipfix(br, ^uint32(0), true, true) }, action.List{output(2), output(3)},
			bridgeIn + "," + bridgeOut + ",2,userspace(pid=0,ipfix(output_port=3),tunnel_out_port=3),3"},
		{"IPFIX input", func(br *Bridge) { ipfix(br, ^uint32(0), true, false) }, action.List{output(2)}, bridgeIn + ",2"},
		{"IPFIX output", func(br *Bridge) { ipfix(br, ^uint32(0), false, true) }, action.List{output(2)}, bridgeOut + ",2"},
		{"sFlow before IPFIX", func(br *Bridge) { ipfix(br, ^uint32(0), true, false); sflow(br, ^uint32(0)) }, action.List{output(2)},
			"userspace(pid=0,sFlow(vid=0,pcp=0,output=1003),actions)," + bridgeIn + ",2"},
		{"sample action", func(br *Bridge) { ipfix(br, 0, true, true) }, action.List{flowSample(flow.OFPNone, 0), output(2)},
			"userspace(pid=0,flow_sample(" + setFlow + ",output_port=4294967295)),2"},
		{"sample action on the input port", func(br *Bridge) { ipfix(br, 0, true, true) }, action.List{flowSample(1, 1), output(2)},
			"userspace(pid=0,flow_sample(" + setFlow + ",output_port=4294967295,ingress)),2"},
		{"sample action on an output port", func(br *Bridge) { ipfix(br, 0, true, true) },
			action.List{&action.SetEthSrc{}, flowSample(2, 2), output(2)},
			"set(eth(src=00:00:00:00:00:00)),userspace(pid=0,flow_sample(" + setFlow + ",output_port=2,egress)),2"},
		{"sample action on no port", func(br *Bridge) { ipfix(br, 0, true, true) }, action.List{flowSample(99, 0), output(2)}, "2"},
	} {
		br := newBridge("br0")
		plain(br, 3)
		c.set(br)
		b := newBed(t, br)
		b.add(br, rule{0, 1, "in_port=1", c.acts})
		if acts, _, _ := b.translate(sampled); acts != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, acts, c.want)
		}
		if got, _, _ := b.translate(strings.Replace(sampled, "in_port=1", "in_port=NONE", 1)); strings.Contains(got, "userspace") {
			t.Errorf("%s: a packet of no port is sampled: %s", c.name, got)
		}
	}
}

// TestSamplesKeepTheirBridge: a sample goes to the exporter of the bridge that its
// action is of.
func TestSamplesKeepTheirBridge(t *testing.T) {
	br := newBridge("br0")
	plain(br, 2)
	br.SFlow = &SFlowSampling{Probability: ^uint32(0)}
	b := newBed(t, br)
	b.add(br, rule{0, 1, "", action.List{output(2)}})
	_, _, out := b.translate(sampled)
	if got := BridgeID(out.Actions[0].Ext.User.Bridge); got != br.ID {
		t.Errorf("sample of bridge %x", got)
	}
}

func TestNetFlow(t *testing.T) {
	const mega = "recirc_id=0,eth,icmp,in_port=1,nw_src=192.168.0.1,nw_dst=192.168.0.2,nw_tos=4,nw_frag=no,icmp_type=0x8/0xff,icmp_code=0x0/0xff"
	for _, c := range []struct {
		name string
		acts action.List
		out  uint16
	}{
		{"drop", nil, netflow.OutDrop},
		{"one port", action.List{output(2)}, 2},
		{"two ports", action.List{output(2), output(3)}, netflow.OutMulti},
		{"all ports", action.List{output(flow.OFPFlood), output(3)}, netflow.OutFlood},
		{"a port that is none", action.List{output(2), output(99)}, 2},
		{"a queue", action.List{&action.Enqueue{Port: 3, Queue: 1}}, 3},
		{"a port and a queue", action.List{output(2), &action.Enqueue{Port: 3, Queue: 1}}, netflow.OutMulti},
	} {
		br := newBridge("br0")
		plain(br, 3)
		br.NetFlow = netflow.New(0)
		b := newBed(t, br)
		b.add(br, rule{0, 1, "in_port=1", c.acts})
		b.flags.Record = true
		_, got, out := b.translate(sampled)
		if c.name == "one port" && got != mega {
			t.Errorf("%s: %s", c.name, got)
		}
		var use *NetFlowUse
		for i := range out.Effects {
			if out.Effects[i].Kind == EffectNetFlow {
				use = out.Effects[i].NetFlow
			}
		}
		want := netflow.Key{Src: 0xc0a80001, Dst: 0xc0a80002, InPort: 1, TpSrc: 8, Proto: 1, TOS: 4}
		if use == nil || use.Key != want || use.Out != c.out {
			t.Errorf("%s: %+v, want port %d", c.name, use, c.out)
			continue
		}
		Apply(out.Effects, &Stats{Packets: 1, Bytes: 98, Used: 5, Now: 5}, true)
		ClearNetFlow(out.Effects)
		n := 0
		br.NetFlow.Run(10, 0, func(d []byte) { n += len(d) })
		if n != 24+48 {
			t.Errorf("%s: %d bytes are reported", c.name, n)
		}
	}
}
