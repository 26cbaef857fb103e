package ofproto

import (
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/internal/poll"
	"sluice/netdev"
	"sluice/ofproto/proto/bfd"
	"sluice/ofproto/proto/cfm"
	"sluice/ofproto/xlate"
)

func bfdConfig() *bfd.Config {
	return &bfd.Config{Mult: 3, MinTx: 100, MinRx: 1000, SrcIP: bfd.DefaultSrcIP, DstIP: bfd.DefaultDstIP}
}

// TestLinkMachines drives BFD and CFM on one port through its life: frames leave by
// packet-outs, one of the two is enough to enable the port, and losing both is news.
func TestLinkMachines(t *testing.T) {
	dp := &fakeDP{meters: map[uint32]dpif.MeterConfig{}}
	sw, err := New(dp, SwitchConfig{Name: "br0"}, Env{RunDir: t.TempDir()}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	no, err := sw.PortAdd(&fakeDev{name: "p1", mac: netdev.MAC{2, 0, 0, 0, 0, 9}, up: true, carrier: true}, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	p := sw.Port(no)
	apply := func(m MemberConfig, now int64) {
		t.Helper()
		m.OFPort = no
		if err := sw.Apply(SwitchConfig{Name: "br0", Bundles: []BundleConfig{{Name: "p1", Members: []MemberConfig{m}}}}, now); err != nil {
			t.Fatal(err)
		}
	}
	run := func(now int64) int {
		dp.outs = nil
		sw.Run(now)
		return len(dp.outs)
	}
	if n := run(1000); n != 0 || !p.MayEnable {
		t.Errorf("without protocols %d frames, may enable %t", n, p.MayEnable)
	}

	apply(MemberConfig{BFD: bfdConfig()}, 2000)
	if n := run(2000); n != 1 || p.MayEnable {
		t.Errorf("BFD: %d frames, may enable %t", n, p.MayEnable)
	}
	var s poll.Set
	sw.protocols.wait(&s)
	if at, ok := s.Deadline(); !ok || at <= 2000 || at > 3000 {
		t.Errorf("the next packet is due at %d", at)
	}
	x := &xlate.Port{}
	sw.bfd.describe(p, x)
	if x.Hears != xlate.SlowBFD || x.BFD.SrcIP != bfd.DefaultSrcIP {
		t.Errorf("translation is told %+v", x)
	}

	// CFM has no fault before its first judgement, and that is enough.
	apply(MemberConfig{BFD: bfdConfig(), CFM: &cfm.Config{MPID: 1, IntervalMs: 1000}}, 2100)
	if n := run(2100); n != 1 || !p.MayEnable {
		t.Errorf("BFD and CFM: %d frames, may enable %t", n, p.MayEnable)
	}
	run(2100 + 3500)
	if st, ok := sw.CFMStatus(no); !ok || st.Fault != cfm.FaultRecv || p.MayEnable {
		t.Errorf("nobody hears us: %+v, may enable %t", st, p.MayEnable)
	}

	// The other end, as far as one frame of it goes.
	peer := bfd.New("peer", bfd.Identity{Disc: 7}, *bfdConfig(), bfd.Env{Rand: func(int) int { return 0 }, RxPackets: func() uint64 { return 0 }}, 6000)
	sw.queueFrame(&xlate.Frame{OFPort: no, Reason: xlate.SlowBFD, Packet: peer.AppendFrame(nil, flow.MAC{2}, 6000)})
	run(6000)
	if st := sw.BFDStatus(no, 6000); st["state"] != "init" {
		t.Errorf("after a frame of the other end: %v", st)
	}

	if !sw.StatusNews() || !sw.TakeBFDNews()[no] || !sw.TakeCFMNews()[no] || sw.StatusNews() {
		t.Error("news are told other than once")
	}
	apply(MemberConfig{}, 7000)
	run(7000)
	if !p.MayEnable || sw.BFDStatus(no, 7000) != nil || !sw.TakeBFDNews()[no] {
		t.Errorf("after the end of all: may enable %t", p.MayEnable)
	}
	apply(MemberConfig{CFM: &cfm.Config{MPID: 9000, IntervalMs: 1000}}, 8000)
	if _, ok := sw.CFMStatus(no); ok {
		t.Error("a monitor with an MPID that needs extended mode")
	}
	sw.Destroy(9000)
}
