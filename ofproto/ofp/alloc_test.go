package ofp

import (
	"testing"
)

// flowMods are the flow_mods of the corpus that decode.
func flowMods(t testing.TB) (msgs []corpusMsg) {
	for _, m := range readCorpus(t) {
		c := Context{Protocol: m.p}
		if _, msg, err := c.Decode(m.b); err == nil && msg.Type() == TypeFlowMod {
			msgs = append(msgs, m)
		}
	}
	if len(msgs) < 100 {
		t.Fatalf("only %d flow_mods", len(msgs))
	}
	return msgs
}

// TestDecodeAllocs holds decoding of flow_mods to the struct, a piece of a list of
// actions and a rare new chunk of actions.
func TestDecodeAllocs(t *testing.T) {
	var c Context
	total, n := 0.0, 0
	for _, m := range flowMods(t) {
		c.Protocol = m.p
		total += testing.AllocsPerRun(20, func() {
			if _, _, err := c.Decode(m.b); err != nil {
				t.Fatal(err)
			}
		})
		n++
	}
	if avg := total / float64(n); avg > 3 {
		t.Errorf("%.2f allocations a flow_mod on average", avg)
	}
}

func BenchmarkDecodeFlowMod(b *testing.B) {
	msgs := flowMods(b)
	var c Context
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		m := &msgs[i%len(msgs)]
		c.Protocol = m.p
		if _, _, err := c.Decode(m.b); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeSimple decodes the most usual flow_mod of large tables.
func BenchmarkDecodeSimple(b *testing.B) {
	m := &FlowMod{Priority: 100, BufferID: NoBuffer, OutPort: 0xffffffff, OutGroup: GroupAny}
	m.Match.Flow.InPort, m.Match.Mask.InPort = 1, 0xffffffff
	m.Match.Flow.DLType, m.Match.Mask.DLType = 0x0800, 0xffff
	m.Match.Flow.NwDst, m.Match.Mask.NwDst = 0x0a000001, 0xffffffff
	msg := Encode(OF13, 1, m)
	var c Context
	b.ReportAllocs()
	for range b.N {
		if _, _, err := c.Decode(msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeReuse(b *testing.B) {
	msgs := flowMods(b)
	c := Context{ReuseFlowMod: true}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		m := &msgs[i%len(msgs)]
		c.Protocol = m.p
		if _, _, err := c.Decode(m.b); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFlowStatsReply(b *testing.B) {
	var s FlowStats
	s.Match.Flow.DLType, s.Match.Mask.DLType = 0x0800, 0xffff
	s.Match.Flow.NwDst, s.Match.Mask.NwDst = 0x0a000001, 0xffffffff
	h := Header{Version: OF13, Raw: RawOFPST11FlowRequest, Type: TypeFlowStatsRequest}
	b.ReportAllocs()
	for range b.N {
		r := NewReplyBuilder(h, DefaultProtocol(OF13))
		for range 1000 {
			r.Add(&s)
		}
		if len(r.Parts()) < 2 {
			b.Fatal("no parts")
		}
	}
}
