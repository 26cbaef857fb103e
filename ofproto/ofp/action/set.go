package action

// Classes of actions in an action set: each of the first ones has a place of its own
// in the order of execution, where the last one written counts; of the final ones only
// the one that stands last here is executed; the others are executed as written.
const (
	classFinal     = 20
	classSetOrMove = 40
	classInvalid   = 50
)

// setOrder is the order of execution of the actions that have a place of their own.
var setOrder = [...]Kind{KindStripVLAN, KindPopMPLS, KindDecap, KindEncap, KindPushMPLS, KindPushVLAN,
	KindDecTTL, KindDecMPLSTTL, KindDecNSHTTL}

// setFinal are the actions without which an action set does nothing.
var setFinal = [...]Kind{KindCT, KindCTClear, KindResubmit, KindOutput, KindGroup}

var classes = func() (c [NKinds]uint8) {
	for k := range c {
		c[k] = classInvalid
	}
	for i, k := range setOrder {
		c[k] = uint8(i)
	}
	for i, k := range setFinal {
		c[k] = classFinal + uint8(i)
	}
	for _, k := range []Kind{KindSetField, KindRegMove, KindSetEthDst, KindSetEthSrc, KindSetIPDSCP, KindSetIPECN,
		KindSetIPTTL, KindSetIPv4Dst, KindSetIPv4Src, KindSetL4DstPort, KindSetL4SrcPort, KindSetMPLSLabel,
		KindSetMPLSTC, KindSetMPLSTTL, KindSetQueue, KindSetTunnel, KindSetVLANPCP, KindSetVLANVID} {
		c[k] = classSetOrMove
	}
	return c
}()

func setClass(k Kind) uint8 { return classes[k] }

// AllowedInSet says whether actions of kind k can be in an action set.
func AllowedInSet(k Kind) bool { return classes[k] != classInvalid }

// AppendSet appends to list the actions that carry out an action set, which is what
// write_actions collected.
func AppendSet(list List, set List) List {
	var slots [len(setOrder)]Action
	var final Action
	finalClass := uint8(0)
	for _, a := range set {
		switch c := setClass(a.Kind()); {
		case c < classFinal:
			slots[c] = a
		case c < classSetOrMove && c >= finalClass:
			final, finalClass = a, c
		}
	}
	if final == nil {
		return list
	}
	for _, a := range slots {
		if a != nil {
			list = append(list, a)
		}
	}
	for _, a := range set {
		if setClass(a.Kind()) == classSetOrMove {
			list = append(list, a)
		}
	}
	return append(list, final)
}
