package xlate

import (
	"fmt"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
)

// learn executes a learn action: it makes a flow from the packet's fields and has
// it added.  When the result of the action is stored in a field, or a limit makes
// it uncertain, the Sink is asked at once; otherwise too, so that the next packet
// finds the flow.
func (ctx *context) learn(a *action.Learn) {
	for i := range a.Specs {
		if s := &a.Specs[i]; s.Imm == nil {
			s.Src.AddTo(ctx.wc, ctx.bridge.TunTable)
		}
	}
	if ctx.in.Sink == nil && !ctx.in.Record {
		ctx.report(NodeWarn, "suppressing side effects, so learn action ignored")
		return
	}
	l := &LearnedFlow{Tables: ctx.bridge.Tables, Limit: a.Limit}
	ctx.learnedFlow(a, &l.Mod)
	if ctx.trace != nil {
		ctx.report(NodeDetail, learnText(&l.Mod))
	}
	ok := true
	var err error
	if ctx.in.Sink != nil {
		ok, err = ctx.in.Sink.LearnFlow(l, ctx.in.Now)
	} else if a.Limit != 0 {
		// No packet, so nothing may be learned; whether there is room for the flow
		// decides about the rest of the actions, and cannot be known.
		ctx.out.Uncacheable = true
	}
	if err != nil {
		ctx.errorf("LEARN action execution failed (%s).", err)
		return
	}
	if a.Flags&action.LearnWriteResult != 0 {
		result := uint64(0)
		if ok {
			result = 1
		}
		ctx.load(a.ResultDst, result)
		ctx.reportSub(a.ResultDst)
	}
	if ok {
		ctx.effect(Effect{Kind: EffectLearn, Learn: l})
	} else {
		ctx.report(NodeDetail, "Limit exceeded, learn failed")
	}
}

// learnedFlow makes the flow_mod of a learn action.
func (ctx *context) learnedFlow(a *action.Learn, m *ofp.FlowMod) {
	*m = ofp.FlowMod{
		Command: ofp.FlowModifyStrict, TableID: a.Table, Priority: a.Priority,
		NewCookie: a.Cookie, ModifyCookie: a.Cookie != ofp.NoCookie,
		IdleTimeout: a.Idle, HardTimeout: a.Hard,
		BufferID: ofp.NoBuffer, OutPort: flow.OFPNone, OutGroup: ofp.GroupAny,
	}
	m.Match.Tun = ctx.bridge.TunTable
	if a.Flags&action.LearnSendFlowRem != 0 {
		m.Flags |= ofp.FlowSendRem
	}
	if a.FinIdle != 0 || a.FinHard != 0 {
		m.Actions = append(m.Actions, &action.FinTimeout{Idle: a.FinIdle, Hard: a.FinHard})
	}
	for i := range a.Specs {
		ctx.learnSpec(&a.Specs[i], m)
	}
}

func (ctx *context) learnSpec(s *action.LearnSpec, m *ofp.FlowMod) {
	// The value, right-aligned.
	var b field.Value
	n := (int(s.Bits) + 7) / 8
	if n > len(b) {
		return
	}
	val := b[:n]
	if s.Imm == nil {
		s.Src.Read(&ctx.flow, ctx.bridge.TunTable, val)
	} else {
		copy(val[max(0, n-len(s.Imm)):], s.Imm)
	}
	switch s.Kind {
	case action.LearnMatch:
		m.Match.SetSub(s.Dst, val)
		m.Match.AddEthernetPrereq(s.Dst.ID)
	case action.LearnLoad:
		size := s.Dst.FieldSize()
		if size*8 < int(s.Dst.Ofs)+int(s.Bits) {
			return
		}
		data := make([]byte, 2*size)
		field.CopyBits(val, 0, data[:size], int(s.Dst.Ofs), int(s.Bits))
		field.SetBits(data[size:], int(s.Dst.Ofs), int(s.Bits))
		m.Actions = append(m.Actions, &action.SetField{ID: s.Dst.ID, Size: s.Dst.Size, Data: data})
	case action.LearnOutput:
		var x uint64
		for _, c := range val {
			x = x<<8 | uint64(c)
		}
		if x > 0xffff {
			return
		}
		switch port := field.PortFrom16(uint16(x)); {
		case port < flow.OFPMax, port == flow.OFPInPort, port == flow.OFPFlood,
			port == flow.OFPLocal, port == flow.OFPAll:
			m.Actions = append(m.Actions, &action.Output{Port: port})
		}
	}
}

// learnText is how a trace shows a learned flow.
func learnText(m *ofp.FlowMod) string {
	b := fmt.Appendf(nil, "table=%d ", m.TableID)
	b = append(b, matchText(&m.Match, nil)...)
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	b = fmt.Appendf(b, " priority=%d", m.Priority)
	if m.NewCookie != 0 {
		b = fmt.Appendf(b, " cookie=%#x", m.NewCookie)
	}
	if m.IdleTimeout != 0 {
		b = fmt.Appendf(b, " idle=%d", m.IdleTimeout)
	}
	if m.HardTimeout != 0 {
		b = fmt.Appendf(b, " hard=%d", m.HardTimeout)
	}
	b = append(b, " actions="...)
	return string(b) + actionsText(m.Actions, nil)
}
