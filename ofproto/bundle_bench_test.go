package ofproto

import (
	"runtime"
	"testing"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/table"
)

// mixedFlow is the i-th of many flows of several shapes in 40 tables.
func mixedFlow(i int) *ofp.FlowMod {
	fm := &ofp.FlowMod{
		Priority: uint16(100 + i%7), TableID: uint8(i % 40), NewCookie: uint64(i), BufferID: ofp.NoBuffer,
		OutPort: flow.OFPNone, OutGroup: ofp.GroupAny,
	}
	f, m := &fm.Match.Flow, &fm.Match.Mask
	f.DLType, m.DLType = flow.EthIPv4, 0xffff
	f.NwDst, m.NwDst = 10<<24|uint32(i), ^uint32(0)
	switch i % 5 {
	case 0:
		fm.Actions = action.List{&action.Output{Port: 1}}
	case 1:
		f.NwSrc, m.NwSrc = (10<<24|uint32(i))&^0xff, ^uint32(0xff)
		fm.Actions = action.List{&action.SetEthDst{MAC: [6]byte{2}}, &action.Resubmit{InPort: flow.OFPInPort, Table: 5}}
	case 2:
		f.NwProto, m.NwProto, f.TpDst, m.TpDst = 6, 0xff, uint16(i), 0xffff
		fm.Actions = action.List{&action.CT{Flags: action.CTCommit, Zone: 1, RecircTable: action.CTNoRecirc}, &action.Output{Port: 2}}
	case 3:
		f.Metadata, m.Metadata = uint64(i), ^uint64(0)
	case 4:
		f.DLDst, m.DLDst = flow.MAC{0, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}, flow.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	return fm
}

// BenchmarkBundle decodes and commits bundles of 10,000 flows.
func BenchmarkBundle(b *testing.B) {
	const n = 10000
	raw := make([][]byte, n)
	for i := range raw {
		raw[i] = ofp.Encode(ofp.OF14, uint32(i), mixedFlow(i))
	}
	ctx := &ofp.Context{Protocol: ofp.DefaultProtocol(ofp.OF14), MaxPort: maxPorts, NTables: table.NTables, ReuseFlowMod: true}
	b.ReportAllocs()
	for b.Loop() {
		s := table.New(0)
		mods := make([]*table.FlowMod, n)
		for i := range raw {
			_, m, err := ctx.Decode(raw[i])
			if err != nil {
				b.Fatal(err)
			}
			if mods[i], err = s.NewFlowMod(m.(*ofp.FlowMod), 0); err != nil {
				b.Fatal(err)
			}
		}
		s.Mu.Lock()
		x := s.Begin()
		for _, m := range mods {
			if err := x.Flow(m, table.Requester{}); err != nil {
				b.Fatal(err)
			}
		}
		x.Commit()
		s.TakeEvents()
		s.Mu.Unlock()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/flow")
}

// BenchmarkDump encodes flow statistics.
func BenchmarkDump(b *testing.B) {
	const n = 10000
	sw := &Switch{Tables: table.New(0)}
	for i := range n {
		if err := sw.Tables.Apply(mixedFlow(i), table.Requester{}, 0); err != nil {
			b.Fatal(err)
		}
	}
	rules, err := sw.collect(&ofp.FlowStatsRequest{TableID: ofp.TableAll, OutPort: flow.OFPNone, OutGroup: ofp.GroupAny})
	if err != nil {
		b.Fatal(err)
	}
	req := ofp.Encode(ofp.OF10, 1, &ofp.FlowStatsRequest{NX: true, TableID: ofp.TableAll, OutPort: flow.OFPNone, OutGroup: ofp.GroupAny})
	h, err := ofp.DecodeHeader(req)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		rb := ofp.NewReplyBuilder(h, ofp.WithNXM(ofp.DefaultProtocol(ofp.OF10), true))
		var fs ofp.FlowStats
		for _, r := range rules {
			sw.flowStats(&fs, r, 1000)
			rb.Add(&fs)
		}
		rb.Parts()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/flow")
}

// TestRuleMemory holds what a rule of a large table takes: 1 KB of live memory.
func TestRuleMemory(t *testing.T) {
	const n, limit = 40000, 1024
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what finalizers and pools kept
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	s := table.New(0)
	ctx := &ofp.Context{Protocol: ofp.DefaultProtocol(ofp.OF14), MaxPort: maxPorts, NTables: table.NTables, ReuseFlowMod: true}
	before := live()
	for i := range n {
		_, m, err := ctx.Decode(ofp.Encode(ofp.OF14, uint32(i), mixedFlow(i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(m.(*ofp.FlowMod), table.Requester{}, 0); err != nil {
			t.Fatal(err)
		}
		s.TakeEvents()
	}
	perRule := (live() - before) / n
	t.Logf("%d bytes a rule", perRule)
	if perRule > limit {
		t.Errorf("%d bytes a rule", perRule)
	}
	runtime.KeepAlive(s)
}
