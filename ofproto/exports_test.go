package ofproto

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"sluice/dpif/flow"
	"sluice/ofproto/export"
	"sluice/ofproto/export/sflow"
	"sluice/ofproto/ofp/action"
)

// target is a UDP socket that datagrams are sent to.
type target struct {
	t    *testing.T
	conn net.PacketConn
}

func newTarget(t *testing.T) *target {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &target{t, conn}
}

func (x *target) addr() []string { return []string{x.conn.LocalAddr().String()} }

// next returns the next datagram; loopback has it when it was sent.
func (x *target) next() []byte {
	x.t.Helper()
	buf := make([]byte, 2000)
	x.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, _, err := x.conn.ReadFrom(buf)
	if err != nil {
		x.t.Fatal(err)
	}
	return buf[:n]
}

// exporting gives w what exporters need of the process.
func (w *world) exporting() {
	w.sw.env.Export = ExportEnv{
		Wall:         func() int64 { return 1500000000000 + w.now },
		DeviceAddr:   func(name string) (netip.Addr, bool) { return netip.MustParseAddr("10.0.0.9"), name == "eth7" },
		SourceOf:     func(netip.Addr) (netip.Addr, bool) { return netip.MustParseAddr("10.0.0.8"), true },
		Totals:       func() sflow.Totals { return sflow.Totals{} },
		NextExporter: func() uint32 { return 1 },
	}
}

// apply changes the configuration.
func (w *world) apply(change func(*SwitchConfig)) {
	w.t.Helper()
	cfg := *w.sw.Config()
	change(&cfg)
	if err := w.sw.Apply(cfg, w.now); err != nil {
		w.t.Fatal(err)
	}
}

// TestExporters: a packet comes to the collectors of all three protocols.
func TestExporters(t *testing.T) {
	w := newWorld(t, 2)
	w.exporting()
	s, n, x, y := newTarget(t), newTarget(t), newTarget(t), newTarget(t)
	w.apply(func(c *SwitchConfig) {
		c.SFlow = &SFlowConfig{Targets: s.addr(), Sampling: 1, HeaderLn: 128, Agent: "eth7"}
		c.NetFlow = &NetFlowConfig{Targets: n.addr(), EngineID: 5}
		c.IPFIX = &IPFIXConfig{Targets: x.addr(), Sampling: 1, InputSampling: true, CacheActiveTimeout: 60, CacheMaxFlows: 10}
		c.FlowIPFIX = []IPFIXConfig{{Targets: y.addr(), CollectorSetID: 3}}
	})
	w.flow("", 1, 0, action.List{&action.Sample{Probability: 0xffff, CollectorSet: 3, Port: flow.OFPNone}, &action.Output{Port: 2}})
	w.receive(1, ping)
	w.sw.Run(w.now)
	if got := y.next(); binary.BigEndian.Uint16(got) != 10 {
		t.Errorf("not IPFIX: %x", got)
	}
	w.now += 1000
	w.sw.Run(w.now)
	if got := s.next(); binary.BigEndian.Uint32(got) != 5 || net.IP(got[8:12]).String() != "10.0.0.9" || got[27] != 1 {
		t.Errorf("not an sFlow datagram of one sample: %x", got)
	}
	// The bridge's flow is still in the cache: it comes when the exporter goes.
	w.apply(func(c *SwitchConfig) { c.IPFIX = nil })
	if got := x.next(); binary.BigEndian.Uint16(got) != 10 {
		t.Errorf("not IPFIX: %x", got)
	}
	w.b.udpif.Purge(w.now)
	w.sw.Run(w.now)
	if got := n.next(); len(got) != 24+48 || got[21] != 5 || got[24+38] != 1 {
		t.Errorf("not a NetFlow record: %x", got)
	}
}

func TestAgentAddress(t *testing.T) {
	w := newWorld(t, 0)
	w.exporting()
	env := w.sw.env.Export
	for _, c := range []struct {
		name string
		cfg  SFlowConfig
		way  bool // there is a route to the collector
		want string
	}{
		{"device", SFlowConfig{Agent: "eth7", Targets: []string{"10.1.1.1"}}, true, "10.0.0.9"},
		{"address", SFlowConfig{Agent: "::ffff:1.2.3.4", Targets: []string{"10.1.1.1"}}, true, "1.2.3.4"},
		{"route", SFlowConfig{Agent: "gone", Targets: []string{"10.1.1.1"}}, true, "10.0.0.8"},
		{"controller", SFlowConfig{Targets: []string{"10.1.1.1"}, ControlIP: "10.0.0.7"}, false, "10.0.0.7"},
		{"none", SFlowConfig{Targets: []string{"10.1.1.1"}}, false, ""},
	} {
		e := env
		if !c.way {
			e.SourceOf = func(netip.Addr) (netip.Addr, bool) { return netip.Addr{}, false }
		}
		x := exports{env: &e}
		a, ok := x.agentAddr(&c.cfg)
		if ok != (c.want != "") || ok && a.String() != c.want {
			t.Errorf("%s: %s, %v, want %q", c.name, a, ok, c.want)
		}
	}
}

// TestLateExporter: an exporter that could not begin at first is made known to
// translation when it can.
func TestLateExporter(t *testing.T) {
	w := newWorld(t, 1)
	w.exporting()
	known := false
	w.sw.env.Export.SourceOf = func(netip.Addr) (netip.Addr, bool) { return netip.MustParseAddr("10.0.0.8"), known }
	cfg := func(c *SwitchConfig) {
		c.SFlow = &SFlowConfig{Targets: newTarget(t).addr(), Sampling: 1}
	}
	w.apply(cfg)
	samples := func() bool { return w.b.udpif.Snapshot().Bridges[0].SFlow != nil }
	if samples() {
		t.Error("there is no agent address yet")
	}
	known = true
	w.apply(func(*SwitchConfig) {})
	if !samples() {
		t.Error("translation does not know of the exporter")
	}
}

// TestSampleQueue: samples that the loop is too slow for are counted.
func TestSampleQueue(t *testing.T) {
	w := newWorld(t, 0)
	before := cSampleOverflow.Total()
	for range maxSamples + 3 {
		w.sw.queueSample(&export.Sample{})
	}
	if x := &w.sw.exports.samples; len(x.queue) != maxSamples || x.lost != 3 || cSampleOverflow.Total() != before+3 {
		t.Errorf("%d samples wait, %d dropped", len(x.queue), x.lost)
	}
	w.sw.exports.samples.queue = nil
}
