package action

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/ofver"
)

// Walk calls f for the actions of l, those inside of others after the outer one,
// until f returns false.
func (l List) Walk(f func(Action) bool) bool {
	for _, a := range l {
		if !f(a) {
			return false
		}
		var inner List
		switch a := a.(type) {
		case *Clone:
			inner = a.Actions
		case *CT:
			inner = a.Actions
		case *WriteActions:
			inner = a.Actions
		}
		if inner != nil && !inner.Walk(f) {
			return false
		}
	}
	return true
}

// OutputsTo says whether an action of l sends to port by its number.
func (l List) OutputsTo(port uint32) bool {
	return !l.Walk(func(a Action) bool {
		switch a := a.(type) {
		case *Output:
			return a.Port != port
		case *Enqueue:
			return a.Port != port
		case *Controller:
			return port != flow.OFPController
		}
		return true
	})
}

// OutputsToGroup says whether an action of l applies group id.
func (l List) OutputsToGroup(id uint32) bool {
	return !l.Walk(func(a Action) bool {
		g, ok := a.(*Group)
		return !ok || g.ID != id
	})
}

// MeterID returns the meter that l begins with; 0: none.
func (l List) MeterID() uint32 {
	for _, a := range l {
		if m, ok := a.(*Meter); ok {
			return m.ID
		}
		if Of(a.Kind(), ofver.OF10) > instMeter {
			break
		}
	}
	return 0
}

// subs calls f for the fields that an action of l names.
func (l List) subs(f func(field.ID)) {
	l.Walk(func(a Action) bool {
		switch a := a.(type) {
		case *SetField:
			f(a.ID)
		case *RegMove:
			f(a.Src.ID)
			f(a.Dst.ID)
		case *StackPush:
			f(a.Sub.ID)
		case *StackPop:
			f(a.Sub.ID)
		case *OutputReg:
			f(a.Src.ID)
		case *Bundle:
			if a.Load {
				f(a.Dst.ID)
			}
		case *Multipath:
			f(a.Dst.ID)
		case *CT:
			if a.HasZoneSrc {
				f(a.ZoneSrc.ID)
			}
		case *CheckPktLarger:
			f(a.Dst.ID)
		case *DeleteField:
			f(a.ID)
		case *Learn:
			for i := range a.Specs {
				s := &a.Specs[i]
				if s.Imm == nil {
					f(s.Src.ID)
				}
				if s.Kind != LearnOutput {
					f(s.Dst.ID)
				}
			}
		}
		return true
	})
}

// TunMetadata returns a bit for each tun_metadata field that l uses: a TLV table must
// not lose their mappings.
func (l List) TunMetadata() (bits uint64) {
	l.subs(func(id field.ID) {
		if id.IsTunMetadata() {
			bits |= 1 << (id - field.TunMetadata0)
		}
	})
	return bits
}

// Equal says whether a and b do the same and are encoded the same.
func (l List) Equal(b List) bool {
	if len(l) != len(b) {
		return false
	}
	x := l.AppendInstructions(nil, ofver.OF15)
	y := b.AppendInstructions(nil, ofver.OF15)
	return string(x) == string(y) && string(l.AppendText(nil, nil, nil)) == string(b.AppendText(nil, nil, nil))
}
