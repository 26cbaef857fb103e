package xlate

import (
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
)

// This file has the actions that copy between fields, registers and the stack.
// What they look at and what they write is added to the mask.

// subBytes is the size of a part's value.
func subBytes(s field.Sub) int { return (int(s.Bits) + 7) / 8 }

// load sets s to a number.
func (ctx *context) load(s field.Sub, x uint64) {
	s.AddTo(ctx.wc, ctx.bridge.TunTable)
	s.Set(&ctx.flow, ctx.bridge.TunTable, x)
}

// setField executes a set_field or load.
func (ctx *context) setField(a *action.SetField) {
	if !field.PrereqsOK(&ctx.flow, a.ID, ctx.wc) {
		if ctx.trace != nil {
			ctx.reportf(NodeWarn, "unmet prerequisites for %s, set_field ignored", a.ID)
		}
		return
	}
	row := int(field.Get(a.ID).Size)
	n := row
	if a.Size != 0 {
		n = int(a.Size)
	}
	if n > row || len(a.Data) < n {
		return
	}
	var v, m field.Value
	copy(v[row-n:row], a.Data[:n])
	if len(a.Data) >= 2*n {
		copy(m[row-n:row], a.Data[n:2*n])
	} else {
		copy(m[row-n:row], field.Ones[:n])
	}
	field.MaskL3Prereqs(&ctx.flow, a.ID, ctx.wc)
	field.AddMask(ctx.wc, a.ID, ctx.bridge.TunTable, &m)
	field.WriteMasked(&ctx.flow, a.ID, ctx.bridge.TunTable, &v, &m)
}

// move executes a move.
func (ctx *context) move(a *action.RegMove) {
	field.Copy(&ctx.flow, ctx.wc, ctx.bridge.TunTable, a.Src, a.Dst)
	ctx.reportSub(a.Dst)
}

// push pushes a value onto the stack: its bytes, then their number.
func (ctx *context) push(s field.Sub) {
	s.AddTo(ctx.wc, ctx.bridge.TunTable)
	var b [field.MaxSize + 1]byte
	n := subBytes(s)
	s.Read(&ctx.flow, ctx.bridge.TunTable, b[:n])
	b[n] = byte(n)
	ctx.stack = append(ctx.stack, b[:n+1]...)
}

// pop takes a value off the stack.
func (ctx *context) pop(s field.Sub) {
	end := len(ctx.stack) - 1
	if end < 0 {
		ctx.errorf("stack underflow")
		return
	}
	start := max(0, end-int(ctx.stack[end]))
	s.AddTo(ctx.wc, ctx.bridge.TunTable)
	s.Write(&ctx.flow, ctx.bridge.TunTable, ctx.stack[start:end])
	ctx.stack = ctx.stack[:start]
	ctx.reportSub(s)
}

// isFrozenMetadata reports that a field survives freezing in the frozen state, so
// that the recirculation id stands for its value.
func isFrozenMetadata(id field.ID) bool {
	return id >= field.TunID && id <= field.InPortOXM || id >= field.Reg0 && id < field.EthSrc
}

// isL3OrHigher reports that a field belongs to a header behind MPLS labels.
func isL3OrHigher(id field.ID) bool {
	p := field.Get(id).Prereq
	return id >= field.IPv4Src && id < field.NSHFlags || p >= field.PreTCP && p != field.PreCTValid
}

// StackValues takes a stack apart, the top first, as continuations carry it.
func StackValues(stack []byte) [][]byte {
	var out [][]byte
	for len(stack) > 0 {
		end := len(stack) - 1
		start := max(0, end-int(stack[end]))
		out = append(out, stack[start:end])
		stack = stack[:start]
	}
	return out
}

// StackBytes is the inverse of StackValues; values of more than 128 bytes are cut.
func StackBytes(values [][]byte) []byte {
	var out []byte
	for i := len(values) - 1; i >= 0; i-- {
		v := values[i]
		v = v[max(0, len(v)-field.MaxSize):]
		out = append(append(out, v...), byte(len(v)))
	}
	return out
}
