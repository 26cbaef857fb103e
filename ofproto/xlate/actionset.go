package xlate

import (
	"strconv"

	"sluice/dpif/odp"
	"sluice/ofproto/ofp/action"
)

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// slotOrder is the order in which an action set executes the actions of which it
// keeps only the last of a kind.
var slotOrder = [...]action.Kind{action.KindStripVLAN, action.KindPopMPLS, action.KindDecap,
	action.KindEncap, action.KindPushMPLS, action.KindPushVLAN, action.KindDecTTL,
	action.KindDecMPLSTTL, action.KindDecNSHTTL}

// finalRank orders the actions that can end an action set; the highest counts, and
// without any the set does nothing.
func finalRank(k action.Kind) int {
	switch k {
	case action.KindCT:
		return 1
	case action.KindCTClear:
		return 2
	case action.KindResubmit:
		return 3
	case action.KindOutput:
		return 4
	case action.KindGroup:
		return 5
	}
	return 0
}

func isSetOrMove(k action.Kind) bool {
	switch k {
	case action.KindSetField, action.KindRegMove, action.KindSetEthDst, action.KindSetEthSrc,
		action.KindSetIPDSCP, action.KindSetIPECN, action.KindSetIPTTL, action.KindSetIPv4Dst,
		action.KindSetIPv4Src, action.KindSetL4DstPort, action.KindSetL4SrcPort, action.KindSetMPLSLabel,
		action.KindSetMPLSTC, action.KindSetMPLSTTL, action.KindSetQueue, action.KindSetTunnel,
		action.KindSetVLANPCP, action.KindSetVLANVID:
		return true
	}
	return false
}

// executeActionSet appends to out the actions that an action set, in the order in
// which they were written, comes to.
func executeActionSet(set, out action.List) action.List {
	var slots [len(slotOrder)]action.Action
	var final action.Action
	rank := 0
	for _, a := range set {
		k := a.Kind()
		if r := finalRank(k); r > 0 {
			if r >= rank {
				final, rank = a, r
			}
			continue
		}
		for i, s := range slotOrder {
			if s == k {
				slots[i] = a
			}
		}
	}
	if final == nil {
		return out
	}
	for _, a := range slots {
		if a != nil {
			out = append(out, a)
		}
	}
	for _, a := range set {
		if isSetOrMove(a.Kind()) {
			out = append(out, a)
		}
	}
	return append(out, final)
}

// actionsOver reports that the datapath actions would take more than n bytes in
// Netlink's format.
func (ctx *context) actionsOver(n int) bool {
	if len(ctx.actions) < n/2048 {
		return false // no action is longer than that
	}
	return netlinkSize(ctx.actions) > n
}

// netlinkSize is the size of actions in Netlink's format.
func netlinkSize(acts []odp.Action) int {
	n := 0
	for i := range acts {
		a := &acts[i]
		switch a.Type {
		case odp.PopVLAN, odp.PopEth, odp.PopNSH, odp.CTClear:
			n += 4
		case odp.Userspace:
			n += 4 + 8 + 4 + 56
		case odp.Set:
			n += 4 + 4 + 2*setSize(a.Ext)
		case odp.Hash, odp.AddMPLS:
			n += 12
		case odp.CT:
			n += 64
		case odp.PushEth:
			n += 16
		case odp.PushNSH:
			n += 40
		case odp.TunnelPush, odp.SetTunnel:
			n += 256
		case odp.Sample, odp.Clone, odp.CheckPktLen:
			n += 4 + 8 + 8 + netlinkSize(a.Nested) + netlinkSize(a.Else)
		default:
			n += 8
		}
	}
	return n
}

// setSize is the size of the header that a set action writes.
func setSize(e *odp.Ext) int {
	if e == nil || e.Set == nil {
		return 0
	}
	switch e.Set.Attr {
	case odp.AttrEth, odp.AttrIPv4:
		return 12
	case odp.AttrIPv6:
		return 40
	case odp.AttrARP, odp.AttrNSH:
		return 24
	case odp.AttrND:
		return 28
	}
	return 4
}
