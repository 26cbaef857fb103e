package action

import (
	"fmt"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

// problem is what verify found wrong: the protocol error, and for those that read
// text a sentence.
func problem(text *string, code oferr.Code, format string, args ...any) error {
	s := fmt.Sprintf(format, args...)
	if text != nil {
		*text = s
	} else {
		log.Warn("%s", s)
	}
	return code
}

// dstField returns the field that a sets, or field.N.
func dstField(a Action) field.ID {
	switch a := a.(type) {
	case *SetField:
		return a.ID
	case *RegMove:
		return a.Dst.ID
	}
	return field.N
}

// verify checks the order of instructions and the nesting of actions.  allowed are the
// instructions that may be there, outer the action around the list.  With text it puts
// the problem there, else into the log.
func verify(l []Action, ver ofver.Version, allowed uint8, outer Kind, text *string) error {
	inst := instMeter
	for i, a := range l {
		k := a.Kind()
		if k == KindConjunction {
			return verifyConjunction(l, text)
		}
		if err := verifyNested(a, outer, text); err != nil {
			return err
		}
		next := Of(k, ver)
		if i > 0 && (next < inst || next == inst && inst != instApply) {
			if next == inst {
				return problem(text, oferr.OFPBAC_UNSUPPORTED_ORDER,
					"duplicate %s instruction not allowed, for OpenFlow 1.1+ compatibility", inst)
			}
			return problem(text, oferr.OFPBAC_UNSUPPORTED_ORDER,
				"invalid instruction ordering: %s must appear before %s, for OpenFlow 1.1+ compatibility", next, inst)
		}
		if next.bit()&allowed == 0 {
			if next == instMeter && ver >= ofver.OF15 {
				return problem(text, oferr.OFPBAC_BAD_TYPE, "%s action not allowed here", next)
			}
			return problem(text, oferr.OFPBIC_UNSUP_INST, "%s instruction not allowed here", next)
		}
		inst = next
	}
	return nil
}

func verifyConjunction(l []Action, text *string) error {
	for _, a := range l {
		if k := a.Kind(); k != KindConjunction && k != KindNote {
			return problem(text, oferr.NXBAC_BAD_CONJUNCTION, "\"conjunction\" actions may be used along with \"note\" "+
				"but not any other kind of action (such as the \"%s\" action used here)", k)
		}
	}
	return nil
}

func verifyNested(a Action, outer Kind, text *string) error {
	dst := dstField(a)
	ctField := dst == field.CTMark || dst == field.CTLabel
	k := a.Kind()
	switch {
	case ctField && outer != KindCT:
		return problem(text, oferr.OFPBAC_BAD_SET_ARGUMENT, "cannot set CT fields outside of ct action")
	case k == KindNAT && outer != KindCT:
		return problem(text, oferr.OFPBAC_BAD_SET_ARGUMENT, "Cannot have NAT action outside of \"ct\" action")
	case k == KindNAT || outer == noOuter:
		return nil
	case outer == KindCT && dst == field.N, k == KindMeter:
		return problem(text, oferr.OFPBAC_BAD_ARGUMENT, "%s action doesn't support nested action %s", outer, k)
	case outer == KindCT && !ctField:
		return problem(text, oferr.OFPBAC_BAD_ARGUMENT, "%s action doesn't support nested modification of %s", outer, dst)
	}
	return nil
}

// checkOutputPort says whether a packet can be sent to port; max is the least number
// of a port that cannot exist.
func checkOutputPort(port, max uint32) error {
	switch port {
	case flow.OFPInPort, flow.OFPTable, flow.OFPNormal, flow.OFPFlood, flow.OFPAll, flow.OFPController, flow.OFPLocal:
		return nil
	}
	if port >= max || port >= flow.OFPMax&0xffff {
		return oferr.OFPBAC_BAD_OUT_PORT
	}
	return nil
}

// CheckOutputPort says whether port can be sent to; see CheckParams.MaxPort.
func CheckOutputPort(port, maxPort uint32) error { return checkOutputPort(port, maxPort) }
