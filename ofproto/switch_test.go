package ofproto

import (
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/internal/poll"
	"sluice/netdev"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/oferr"
	"sluice/ovsdb/stream"
)

// fakeDP is a datapath that notes what it is asked for.
type fakeDP struct {
	forgot  []string // by ForgetAddresses and its kin
	dumps   uint64
	outs    []*PacketOut
	meters  map[uint32]dpif.MeterConfig
	next    uint32
	flushed []*ofp.CTFlush
	waiters []func()
}

func (d *fakeDP) SwitchAdd(*Switch) error { return nil }
func (d *fakeDP) SwitchDel(*Switch)       {}
func (d *fakeDP) PortAdd(_ *Switch, p *Port) error {
	d.next++
	p.DPPort = d.next
	return nil
}
func (d *fakeDP) PortDel(*Switch, *Port) error { return nil }
func (d *fakeDP) Configured(*Switch)           {}
func (d *fakeDP) InBatch() bool                { return false }
func (d *fakeDP) PortsChanged(*Switch, bool)   {}
func (d *fakeDP) FlowsChanged(*Switch)         {}
func (d *fakeDP) ForgetAddresses(*Switch)      { d.forgot = append(d.forgot, "all") }
func (d *fakeDP) ForgetPort(_ *Switch, p *Port) {
	d.forgot = append(d.forgot, p.Name)
}
func (d *fakeDP) MoveAddresses(_ *Switch, from, to *Port) {
	d.forgot = append(d.forgot, from.Name+" to "+to.Name)
}
func (d *fakeDP) PacketOut(_ *Switch, po *PacketOut, _ int64) error {
	d.outs = append(d.outs, po)
	return nil
}
func (d *fakeDP) PreparePacketOut(sw *Switch, po *PacketOut, _ uint64, now int64) (func() error, error) {
	return func() error { return d.PacketOut(sw, po, now) }, nil
}
func (d *fakeDP) Resume(*Switch, *ofp.PacketIn, int64) error { return nil }
func (d *fakeDP) WaitDump(fn func())                         { d.waiters = append(d.waiters, fn) }
func (d *fakeDP) DumpSeq() uint64                            { return d.dumps }
func (d *fakeDP) MeterFeatures() dpif.MeterFeatures {
	return dpif.MeterFeatures{MaxMeters: 10, BandTypes: 2, Capabilities: 0xf, MaxBands: 2}
}
func (d *fakeDP) MeterSet(id uint32, cfg dpif.MeterConfig) (uint32, error) {
	if id == NoMeter {
		id = uint32(len(d.meters))
	}
	d.meters[id] = cfg
	return id, nil
}
func (d *fakeDP) MeterGet(uint32) (dpif.MeterStats, error) { return dpif.MeterStats{}, nil }
func (d *fakeDP) MeterDel(id uint32) error {
	delete(d.meters, id)
	return nil
}
func (d *fakeDP) CTFlush(f *ofp.CTFlush) error {
	d.flushed = append(d.flushed, f)
	return nil
}

// fakeDev is a device without packets.
type fakeDev struct {
	netdev.Device
	name    string
	mac     netdev.MAC
	up      bool
	carrier bool
	seq     uint64
}

func (d *fakeDev) Name() string                  { return d.name }
func (d *fakeDev) Type() string                  { return "dummy" }
func (d *fakeDev) EtherAddr() netdev.MAC         { return d.mac }
func (d *fakeDev) AdminUp() bool                 { return d.up }
func (d *fakeDev) Carrier() bool                 { return d.carrier }
func (d *fakeDev) Features() netdev.Features     { return netdev.Features{} }
func (d *fakeDev) ChangeSeq() uint64             { return d.seq }
func (d *fakeDev) Stats() netdev.Stats           { return netdev.Stats{RxPackets: 7} }
func (d *fakeDev) CustomStats() []netdev.Counter { return nil }
func (d *fakeDev) SetAdminUp(up bool) error {
	d.up = up
	d.seq++
	return nil
}

// bench is a switch and the time it lives in.
type bench struct {
	*testing.T
	sw  *Switch
	dp  *fakeDP
	dir string
	now int64
}

func newBench(t *testing.T, cfg SwitchConfig) *bench {
	t.Helper()
	b := &bench{T: t, dp: &fakeDP{meters: map[uint32]dpif.MeterConfig{}}, dir: t.TempDir(), now: 1000}
	cfg.Name = "br0"
	sw, err := New(b.dp, cfg, Env{RunDir: b.dir}, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.sw = sw
	t.Cleanup(func() { sw.Destroy(b.now) })
	return b
}

func (b *bench) port(name string, want uint32) *fakeDev {
	b.Helper()
	d := &fakeDev{name: name, mac: netdev.MAC{0xaa, 0x55, 0, 0, 0, byte(want)}, up: true, carrier: true}
	if _, err := b.sw.PortAdd(d, want, b.now); err != nil {
		b.Fatal(err)
	}
	return d
}

// peer is the other end of an OpenFlow connection.
type peer struct {
	*bench
	c   stream.Conn
	v   ofp.Version
	buf []byte
	xid uint32
}

func (b *bench) connect(v ofp.Version) *peer {
	b.Helper()
	c, err := stream.Open("unix:"+b.dir+"/br0.mgmt", stream.Options{})
	if err != nil {
		b.Fatal(err)
	}
	p := &peer{bench: b, c: c, v: v}
	b.Cleanup(func() { c.Close() })
	p.write(ofp.Encode(v, 1, &ofp.Hello{Versions: 1 << v}))
	if m := p.recv(); m.Type() != ofp.TypeHello {
		b.Fatalf("got %v in place of a hello", m.Type())
	}
	return p
}

func (p *peer) write(b []byte) {
	p.Helper()
	for len(b) > 0 {
		n, err := p.c.Write(b)
		if err != nil && err != stream.ErrAgain {
			p.Fatal(err)
		}
		b = b[n:]
	}
}

// raw returns the next message, nil when none comes although the switch has nothing
// left to do.
func (p *peer) raw() []byte {
	p.Helper()
	for range 50 {
		p.sw.Run(p.now)
		tmp := make([]byte, 65536)
		n, err := p.c.Read(tmp)
		p.buf = append(p.buf, tmp[:max(n, 0)]...)
		if l := ofp.Length(p.buf); l > 0 && len(p.buf) >= l {
			b := p.buf[:l:l]
			p.buf = p.buf[l:]
			return b
		}
		if err == io.EOF {
			return nil
		}
	}
	return nil
}

func (p *peer) recv() ofp.Msg {
	p.Helper()
	b := p.raw()
	if b == nil {
		p.Fatal("no message")
	}
	m, err := ofp.Decode(b)
	if err != nil {
		p.Fatalf("%v: %s", err, hex.EncodeToString(b))
	}
	return m
}

func (p *peer) send(m ofp.Msg) {
	p.xid++
	p.write(ofp.Append(nil, ofp.WithTableID(ofp.DefaultProtocol(p.v), false), p.xid, m))
}

// ask sends a request and returns the text of all that comes before the barrier.
func (p *peer) ask(ms ...ofp.Msg) string {
	p.Helper()
	for _, m := range ms {
		p.send(m)
	}
	p.send(&ofp.Empty{Kind: ofp.TypeBarrierRequest})
	out := ""
	for {
		b := p.raw()
		if b == nil {
			p.Fatalf("no answer to the barrier, after %q", out)
		}
		if h, _ := ofp.DecodeHeader(b); h.Type == ofp.TypeBarrierReply {
			return out
		}
		out += ofp.Format(b, nil, 1)
	}
}

func (p *peer) errorOf(m ofp.Msg) string {
	p.Helper()
	text := p.ask(m)
	first, _, _ := strings.Cut(text, "\n")
	if i := strings.LastIndex(first, ": "); i >= 0 {
		first = first[i+2:]
	}
	return first
}

func addFlow(port uint32, out uint32) *ofp.FlowMod {
	fm := &ofp.FlowMod{
		Priority: 10, BufferID: ofp.NoBuffer, OutPort: flow.OFPNone, OutGroup: ofp.GroupAny,
		Actions: action.List{&action.Output{Port: out}},
	}
	fm.Match.Flow.InPort, fm.Match.Mask.InPort = port, ^uint32(0)
	return fm
}

var allFlows = &ofp.FlowStatsRequest{TableID: ofp.TableAll, OutPort: flow.OFPNone, OutGroup: ofp.GroupAny}

func TestSession(t *testing.T) {
	b := newBench(t, SwitchConfig{DatapathID: 0x1234, FailMode: FailSecure})
	b.port("p1", 1)
	for v := ofp.OF10; v <= ofp.OF15; v++ {
		p := b.connect(v)
		p.send(&ofp.EchoRequest{Data: []byte("hi")})
		if m, ok := p.recv().(*ofp.EchoReply); !ok || string(m.Data) != "hi" {
			t.Fatalf("%v: echo %v", v, m)
		}
		p.send(&ofp.Empty{Kind: ofp.TypeFeaturesRequest})
		m, ok := p.recv().(*ofp.FeaturesReply)
		if !ok || m.DatapathID != 0x1234 || m.NTables != 254 || v <= ofp.OF12 && len(m.Ports) != 1 {
			t.Fatalf("%v: features %+v", v, m)
		}
		p.send(&ofp.Empty{Kind: ofp.TypeDescStatsRequest})
		if m, ok := p.recv().(*ofp.Desc); !ok || m.DpDesc != "None" || m.SwDesc != Version {
			t.Fatalf("%v: description %+v", v, m)
		}
		p.send(&ofp.Empty{Kind: ofp.TypeGetConfigRequest})
		if m, ok := p.recv().(*ofp.SwitchConfig); !ok || m.MissSendLen != 0 {
			t.Fatalf("%v: config %+v", v, m)
		}
	}
}

func TestFlowsOverOpenFlow(t *testing.T) {
	b := newBench(t, SwitchConfig{FailMode: FailSecure})
	p := b.connect(ofp.OF13)
	if text := p.ask(addFlow(1, 2), addFlow(2, 3)); text != "" {
		t.Fatal(text)
	}
	b.now += 2000
	text := p.ask(allFlows)
	for _, want := range []string{"duration=2s", "in_port=1", "actions=output:2", "priority=10", "in_port=2"} {
		if !strings.Contains(text, want) {
			t.Errorf("dump lacks %q: %s", want, text)
		}
	}
	agg := *allFlows
	agg.Aggregate = true
	if text := p.ask(&agg); !strings.Contains(text, "flow_count=2") {
		t.Error(text)
	}
	bad := addFlow(1, 2)
	bad.BufferID = 5
	if got := p.errorOf(bad); got != oferr.OFPBRC_BUFFER_UNKNOWN.String() {
		t.Errorf("buffer: %q", got)
	}
	if text := b.sw.DumpAllFlows(b.now, false); !strings.Contains(text, "table_id=254") || !strings.Contains(text, "in_port=1") {
		t.Error(text)
	}
}

func TestFlowRemovedAndMonitor(t *testing.T) {
	b := newBench(t, SwitchConfig{FailMode: FailSecure})
	p := b.connect(ofp.OF10)
	other := b.connect(ofp.OF10)
	p.ask(&ofp.SwitchConfig{Kind: ofp.TypeSetConfig, MissSendLen: 128})
	mon := &ofp.FlowMonitorRequest{Monitors: []ofp.FlowMonitor{{
		ID: 1, Flags: ofp.MonitorInitial | ofp.MonitorAdded | ofp.MonitorRemoved | ofp.MonitorChanged | ofp.MonitorActions,
		OutPort: flow.OFPNone, OutGroup: ofp.GroupAny, TableID: ofp.TableAll,
	}}}
	if text := p.ask(mon); !strings.Contains(text, "NXST_FLOW_MONITOR reply") {
		t.Fatal(text)
	}
	fm := addFlow(1, 2)
	fm.Flags, fm.IdleTimeout = ofp.FlowSendRem, 5
	other.ask(fm)
	if text := p.ask(); !strings.Contains(text, "event=ADDED") || !strings.Contains(text, "in_port=1") {
		t.Errorf("monitor after an add: %q", text)
	}
	if text := p.ask(addFlow(3, 2)); !strings.Contains(text, "event=ABBREV") {
		t.Errorf("monitor after the own add: %q", text)
	}
	b.now += 6000
	b.dp.dumps++
	text := p.ask()
	if !strings.Contains(text, "OFPT_FLOW_REMOVED") || !strings.Contains(text, "reason=idle") || !strings.Contains(text, "event=DELETED") {
		t.Errorf("after expiry: %q", text)
	}
}

func TestBundleOverOpenFlow(t *testing.T) {
	b := newBench(t, SwitchConfig{FailMode: FailSecure})
	p := b.connect(ofp.OF14)
	ctl := func(kind uint16) *ofp.BundleCtrl {
		return &ofp.BundleCtrl{BundleID: 7, Ctrl: kind, Flags: ofp.BundleAtomic}
	}
	add := func(m ofp.Msg) *ofp.BundleAdd {
		inner := ofp.Encode(p.v, p.xid+1, m)
		h, err := ofp.DecodeHeader(inner)
		if err != nil {
			t.Fatal(err)
		}
		return &ofp.BundleAdd{BundleID: 7, Flags: ofp.BundleAtomic, Inner: inner, InnerH: h}
	}
	send := func(ms ...ofp.Msg) string {
		for _, m := range ms {
			if a, ok := m.(*ofp.BundleAdd); ok {
				copy(a.Inner[4:], []byte{0, 0, byte((p.xid + 1) >> 8), byte(p.xid + 1)})
			}
			p.send(m)
		}
		return p.ask()
	}
	send(ctl(ofp.BundleOpenRequest), add(addFlow(1, 2)), add(addFlow(2, 3)))
	if text := p.ask(allFlows); strings.Contains(text, "in_port") {
		t.Fatalf("flows before the commit: %s", text)
	}
	if text := send(ctl(ofp.BundleCommitRequest)); !strings.Contains(text, "COMMIT_REPLY") {
		t.Fatal(text)
	}
	if text := p.ask(allFlows); strings.Count(text, "in_port") != 2 {
		t.Fatal(text)
	}
	bad := addFlow(4, 4)
	bad.Actions = action.List{&action.Group{ID: 1}}
	text := send(ctl(ofp.BundleOpenRequest), add(addFlow(3, 2)), add(bad), ctl(ofp.BundleCommitRequest))
	if !strings.Contains(text, "OFPBAC_BAD_OUT_GROUP") || !strings.Contains(text, "OFPBFC_MSG_FAILED") {
		t.Fatal(text)
	}
	if text := p.ask(allFlows); strings.Count(text, "in_port") != 2 {
		t.Fatal(text)
	}
	send(ctl(ofp.BundleOpenRequest))
	b.now += 12000
	b.sw.Run(b.now)
	if text := p.ask(); !strings.Contains(text, "OFPBFC_TIMEOUT") {
		t.Errorf("idle bundle: %q", text)
	}
}

func TestRolesAndPorts(t *testing.T) {
	b := newBench(t, SwitchConfig{FailMode: FailSecure})
	dev := b.port("p1", 1)
	one, two := b.connect(ofp.OF13), b.connect(ofp.OF13)
	for _, p := range []*peer{one, two} {
		p.ask(&ofp.SwitchConfig{Kind: ofp.TypeSetConfig, MissSendLen: 128})
	}
	role := func(r ofp.Role, gen uint64) *ofp.RoleMsg {
		return &ofp.RoleMsg{Kind: ofp.TypeRoleRequest, Role: r, HasGenerationID: true, GenerationID: gen}
	}
	one.ask(role(ofp.RolePrimary, 5))
	two.ask(role(ofp.RolePrimary, 6))
	if text := one.ask(); !strings.Contains(text, "role=secondary") {
		t.Errorf("role status: %q", text)
	}
	if got := one.errorOf(addFlow(1, 2)); got != oferr.OFPBRC_IS_SECONDARY.String() {
		t.Errorf("secondary: %q", got)
	}
	if got := one.errorOf(role(ofp.RolePrimary, 5)); got != oferr.OFPRRFC_STALE.String() {
		t.Errorf("stale: %q", got)
	}
	// The one who changes a port is not told, but of the consequences.
	two.ask()
	text := two.ask(&ofp.PortMod{PortNo: 1, HWAddr: flow.MAC(dev.mac), Config: ofp.PortNoRecv, Mask: ofp.PortNoRecv})
	if text != "" || b.sw.Port(1).Desc.Config&ofp.PortNoRecv == 0 {
		t.Errorf("port_mod: %q", text)
	}
	if text := one.ask(); !strings.Contains(text, "OFPT_PORT_STATUS") || !strings.Contains(text, "NO_RECV") {
		t.Errorf("port_status: %q", text)
	}
	if got := two.errorOf(&ofp.PortMod{PortNo: 9}); got != oferr.OFPPMFC_BAD_PORT.String() {
		t.Errorf("port: %q", got)
	}
	dev.carrier = false
	dev.seq++
	if text := two.ask(); !strings.Contains(text, "LINK_DOWN") {
		t.Errorf("link: %q", text)
	}
}

func TestPortNumbers(t *testing.T) {
	b := newBench(t, SwitchConfig{})
	for _, tc := range []struct {
		name string
		want uint32
		got  uint32
	}{{"a", 0, 1}, {"b", 5, 5}, {"c", 5, 2}, {"br0", LocalPort, LocalPort}, {"d", 0, 3}} {
		no, err := b.sw.PortAdd(&fakeDev{name: tc.name, carrier: true}, tc.want, b.now)
		if err != nil || no != tc.got {
			t.Errorf("%s: %d, %v, want %d", tc.name, no, err, tc.got)
		}
	}
	// A number that was in use is not given to the next device.
	b.sw.PortDel(3, b.now)
	if no, _ := b.sw.PortAdd(&fakeDev{name: "e"}, 0, b.now); no != 4 {
		t.Errorf("reused: %d", no)
	}
}

func TestMeters(t *testing.T) {
	b := newBench(t, SwitchConfig{FailMode: FailSecure})
	p := b.connect(ofp.OF13)
	mm := &ofp.MeterMod{Command: ofp.MeterAdd, MeterConfig: ofp.MeterConfig{MeterID: 3, Flags: ofp.MeterKbps, Bands: []ofp.MeterBand{{BandType: ofp.BandDrop, Rate: 10}}}}
	if text := p.ask(mm); text != "" {
		t.Fatal(text)
	}
	if got := p.errorOf(mm); got != oferr.OFPMMFC_METER_EXISTS.String() {
		t.Errorf("twice: %q", got)
	}
	fm := addFlow(1, 2)
	fm.Actions = action.List{&action.Meter{ID: 3}, &action.Output{Port: 2}}
	if text := p.ask(fm); text != "" {
		t.Fatal(text)
	}
	fm.Actions = action.List{&action.Meter{ID: 4}, &action.Output{Port: 2}}
	if got := p.errorOf(fm); got != oferr.OFPMMFC_INVALID_METER.String() {
		t.Errorf("unknown meter: %q", got)
	}
	p.ask(&ofp.MeterMod{Command: ofp.MeterDelete, MeterConfig: ofp.MeterConfig{MeterID: 3}})
	if text := p.ask(allFlows); strings.Contains(text, "in_port") || len(b.dp.meters) != 0 {
		t.Errorf("after the meter went: %q", text)
	}
}

func TestStandaloneFlow(t *testing.T) {
	b := newBench(t, SwitchConfig{FailMode: FailStandalone})
	if text := b.sw.DumpAllFlows(b.now, false); !strings.Contains(text, "actions=NORMAL") {
		t.Fatal(text)
	}
	cfg := *b.sw.Config()
	cfg.FailMode = FailSecure
	b.sw.Apply(cfg, b.now)
	if text := b.sw.DumpAllFlows(b.now, false); strings.Contains(text, "actions=NORMAL") {
		t.Fatal(text)
	}
}

// TestGarbage feeds nonsense; only the connection that sends it suffers.
func TestGarbage(t *testing.T) {
	b := newBench(t, SwitchConfig{FailMode: FailSecure})
	good := b.connect(ofp.OF13)
	for _, s := range []string{"", "GET / HTTP/1.0\r\n\r\n", "\x04\x00\x00\x04\x00\x00\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		c, err := stream.Open("unix:"+b.dir+"/br0.mgmt", stream.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte(s))
		for range 5 {
			b.sw.Run(b.now)
		}
		c.Close()
		for range 5 {
			b.sw.Run(b.now)
		}
	}
	if text := good.ask(); text != "" {
		t.Error(text)
	}
	if n, _ := b.sw.conns.MemoryUsage(); n != 1 {
		t.Errorf("%d connections are left", n)
	}
}

func TestWaitIsIdle(t *testing.T) {
	b := newBench(t, SwitchConfig{FailMode: FailSecure})
	p := b.connect(ofp.OF13)
	p.ask()
	for range 3 {
		b.sw.Run(b.now)
	}
	var s poll.Set
	b.sw.Wait(&s)
	if at, ok := s.Deadline(); ok && at <= b.now {
		t.Errorf("an idle switch wants to run at once (%d)", at)
	}
}

// TestFlowRemovedCountsAll deletes a flow whose last packets are counted later.
func TestFlowRemovedCountsAll(t *testing.T) {
	b := newBench(t, SwitchConfig{FailMode: FailSecure})
	p := b.connect(ofp.OF13)
	p.ask(&ofp.SwitchConfig{Kind: ofp.TypeSetConfig, MissSendLen: 128})
	fm := addFlow(1, 2)
	fm.Flags = ofp.FlowSendRem
	p.ask(fm)
	r := b.sw.Tables.Table(0).Lookup(b.sw.Tables.Version(), &flow.Flow{InPort: 1}, nil)
	r.Credit(1, 100, b.now)
	del := addFlow(1, 2)
	del.Command, del.Actions = ofp.FlowDeleteStrict, nil
	if text := p.ask(del); strings.Contains(text, "FLOW_REMOVED") {
		t.Fatal("not all packets are counted")
	}
	r.Credit(4, 400, b.now)
	for _, fn := range b.dp.waiters {
		fn()
	}
	if text := p.ask(); !strings.Contains(text, "FLOW_REMOVED") || !strings.Contains(text, "pkts5") {
		t.Errorf("flow_removed: %q", text)
	}
}

func TestNewDatapathIDReconnects(t *testing.T) {
	b := newBench(t, SwitchConfig{DatapathID: 1, FailMode: FailSecure})
	p := b.connect(ofp.OF13)
	cfg := *b.sw.Config()
	if b.sw.Apply(cfg, b.now); p.ask() != "" {
		t.Fatal("something was said")
	}
	cfg.DatapathID = 2
	b.sw.Apply(cfg, b.now)
	b.sw.Run(b.now)
	if _, err := p.c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection stays: %v", err)
	}
}
