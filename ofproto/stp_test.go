package ofproto

import (
	"slices"
	"strings"
	"testing"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/proto/bpdu"
	"sluice/ofproto/proto/rstp"
	"sluice/ofproto/proto/stp"
	"sluice/ofproto/xlate"
)

func stpConfig(ports map[uint32]STPPortConfig) SwitchConfig {
	return SwitchConfig{Name: "br0", STP: &STPConfig{SystemID: 0x222, Priority: 0x8000, HelloMs: 2000, MaxAgeMs: 20000, ForwardDelayMs: 15000, Ports: ports}}
}

// run lets ms pass in steps of a second.
func (b *bench) run(ms int64) {
	for end := b.now + ms; b.now < end; {
		b.now += 1000
		b.sw.Run(b.now)
	}
}

// hear has a BPDU come in by a port.
func (b *bench) hear(ofport uint32, m bpdu.BPDU) {
	b.sw.queueFrame(&xlate.Frame{OFPort: ofport, Reason: xlate.SlowSTP, Packet: m.Frame(flow.MAC{2, 0, 0, 0, 0, 9})})
	b.sw.Run(b.now)
}

func (b *bench) described(ofport uint32) xlate.Port {
	var x xlate.Port
	for _, pr := range b.sw.protocols.active {
		pr.describe(b.sw.Port(ofport), &x)
	}
	return x
}

func TestSTPOnSwitch(t *testing.T) {
	b := newBench(t, SwitchConfig{})
	d1 := b.port("p1", 1)
	b.port("p2", 2)
	b.port("p3", 3)
	ports := map[uint32]STPPortConfig{1: {Number: 0, Priority: 128, PathCost: 4}, 2: {Number: 1, Priority: 128, PathCost: 4}}
	if err := b.sw.Apply(stpConfig(ports), b.now); err != nil {
		t.Fatal(err)
	}
	if x := b.described(1); x.STP != xlate.STPListening || x.Hears&xlate.SlowSTP == 0 {
		t.Errorf("at first: %v", x.STP)
	}
	if x := b.described(3); x.STP != xlate.STPNone || x.Hears&xlate.SlowSTP == 0 {
		t.Error("a port without STP forwards, and swallows BPDUs")
	}
	b.run(16000)
	if x := b.described(1); x.STP != xlate.STPLearning || b.sw.Port(1).Desc.State&ofp.PortSTPMask != ofp.PortSTPLearn {
		t.Errorf("after the first delay: %v, %x", x.STP, b.sw.Port(1).Desc.State)
	}
	b.run(16000)
	if x := b.described(1); x.STP != xlate.STPForwarding || b.sw.Port(1).Desc.State&ofp.PortSTPMask != ofp.PortSTPForward {
		t.Errorf("after the second delay: %v, %x", x.STP, b.sw.Port(1).Desc.State)
	}
	if len(b.dp.outs) < 20 || b.dp.outs[0].Flow.DLDst != bpdu.GroupAddr || b.dp.outs[0].Flow.DLSrc != (flow.MAC{0xaa, 0x55, 0, 0, 0, 1}) {
		t.Errorf("%d BPDUs", len(b.dp.outs))
	}
	if !slices.Contains(b.dp.forgot, "all") {
		t.Error("nothing is forgotten when ports begin to forward")
	}
	// A better root on both ports: one is blocked.
	m := bpdu.BPDU{Type: bpdu.Config, RootID: 1, BridgeID: 1, PortID: 1, MaxAge: 5120, HelloTime: 512, ForwardDelay: 3840}
	b.hear(1, m)
	m.PortID = 2
	b.hear(2, m)
	b.hear(3, m) // takes no part
	if x, y := b.described(1), b.described(2); x.STP != xlate.STPForwarding || y.STP != xlate.STPBlocking {
		t.Errorf("%v %v", x.STP, y.STP)
	}
	st, ok := b.sw.STPStatus()
	p, _ := b.sw.STPPortStatus(2, b.now+5000)
	if !ok || st.Root != 1 || st.RootPathCost != 4 || p.Role != stp.RoleAlternate || p.SecInState != 5 || p.Rx != 1 || p.ID != 0x8002 {
		t.Errorf("%+v %+v", st, p)
	}
	// Without a link a port takes no part, and nothing is sent there.
	d1.carrier = false
	b.sw.Run(b.now)
	n := len(b.dp.outs)
	b.run(5000)
	for _, o := range b.dp.outs[n:] {
		if o.Flow.DLSrc[5] == 1 {
			t.Error("a BPDU leaves by a port that is down")
		}
	}
	if x := b.described(1); x.STP != xlate.STPDisabled {
		t.Errorf("down: %v", x.STP)
	}
	// Numbers change hands.
	ports = map[uint32]STPPortConfig{1: {Number: 1, Priority: 128, PathCost: 4}, 2: {Number: 0, Priority: 128, PathCost: 4}}
	seq := b.sw.SpanningTreeSeq()
	if err := b.sw.Apply(stpConfig(ports), b.now); err != nil {
		t.Fatal(err)
	}
	if p, _ := b.sw.STPPortStatus(2, b.now); p.ID != 0x8001 || b.sw.SpanningTreeSeq() == seq {
		t.Errorf("%+v", p)
	}
	if show, _ := b.sw.STPShow(); !strings.Contains(show, "p2") || strings.Contains(show, "p1") {
		t.Error(show)
	}
	if err := b.sw.PortDel(2, b.now); err != nil {
		t.Fatal(err)
	}
	b.run(2000)
	if err := b.sw.Apply(SwitchConfig{Name: "br0"}, b.now); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.sw.STPStatus(); ok || len(b.sw.protocols.active) != 0 || b.sw.Port(1).Desc.State&ofp.PortSTPMask != 0 {
		t.Error("STP is not off")
	}
	if b.sw.STPTopologyChange(b.now) {
		t.Error("stp/tcn without STP")
	}
}

func TestRSTPOnSwitch(t *testing.T) {
	b := newBench(t, SwitchConfig{})
	d1 := b.port("p1", 1)
	b.port("p2", 2)
	pc := rstp.PortConfig{Priority: 128, PathCost: 20, PointToPoint: rstp.P2PForceTrue, AutoEdge: true}
	cfg := SwitchConfig{Name: "br0", RSTP: &RSTPConfig{Ports: map[uint32]rstp.PortConfig{1: pc, 2: pc},
		Config: rstp.Config{Address: 0x222, Priority: 32768, MaxAgeSec: 20, ForwardDelaySec: 15, TransmitHoldCount: 6}}}
	if err := b.sw.Apply(cfg, b.now); err != nil {
		t.Fatal(err)
	}
	if x := b.described(1); x.RSTP != xlate.STPListening || x.Hears&xlate.SlowSTP == 0 {
		t.Errorf("at first: %v", x.RSTP)
	}
	m := bpdu.BPDU{Type: bpdu.RST, Version: 2, Flags: bpdu.RoleFlags(bpdu.RoleDesignated) | bpdu.Proposal,
		RootID: 1, BridgeID: 1, PortID: 1, MaxAge: 5120, HelloTime: 512, ForwardDelay: 3840}
	hear := func() {
		m.PortID = 1
		b.hear(1, m)
		m.PortID = 2
		b.hear(2, m)
	}
	for range 5 {
		b.run(1000)
		hear()
	}
	if x, y := b.described(1), b.described(2); x.RSTP != xlate.STPForwarding || y.RSTP != xlate.STPListening {
		t.Errorf("%v %v", x.RSTP, y.RSTP)
	}
	st, ok := b.sw.RSTPStatus()
	p, _ := b.sw.RSTPPortStatus(2)
	if !ok || st.RootID != 1 || st.RootPathCost != 20 || p.Role != rstp.RoleAlternate || p.ID != 0x8002 {
		t.Errorf("%+v %+v", st, p)
	}
	// The alternate port takes over at once, and what was learned moves to it.
	b.dp.forgot = nil
	d1.carrier = false
	b.sw.Run(b.now)
	if x := b.described(2); x.RSTP != xlate.STPForwarding {
		t.Errorf("the alternate is %v", x.RSTP)
	}
	if !slices.Contains(b.dp.forgot, "p1 to p2") || slices.Contains(b.dp.forgot, "p1") {
		t.Errorf("forgot %v", b.dp.forgot)
	}
	if b.sw.Port(2).Desc.State&ofp.PortSTPMask != ofp.PortSTPForward {
		t.Errorf("OpenFlow has state %x", b.sw.Port(2).Desc.State)
	}
	if show, _ := b.sw.RSTPShow(); !strings.Contains(show, "root-port       p2") {
		t.Error(show)
	}
	if !b.sw.RSTPTopologyChange() {
		t.Error("no topology change")
	}
	if err := b.sw.Apply(SwitchConfig{Name: "br0"}, b.now); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.sw.RSTPStatus(); ok || len(b.sw.protocols.active) != 0 {
		t.Error("RSTP is not off")
	}
}
