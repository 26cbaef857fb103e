package ofp

import (
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
)

// ActionSet is a set of kinds of action, as features of switches, tables and
// groups list them: bit N stands for action.Kind N.
type ActionSet uint64

// Has reports whether kind k is in the set.
func (s ActionSet) Has(k action.Kind) bool { return s&(1<<k) != 0 }

// InstructionSet is a set of kinds of instruction.
type InstructionSet uint32

// The kinds of instruction.
const (
	InstApplyActions InstructionSet = 1 << iota
	InstClearActions
	InstWriteActions
	InstWriteMetadata
	InstMeter
	InstGotoTable
)

// FieldSet is a set of match fields.
type FieldSet = field.Set

// TableSet is a set of flow tables.
type TableSet [4]uint64

// Has reports whether table id is in the set.
func (s *TableSet) Has(id uint8) bool { return s[id/64]&(1<<(id%64)) != 0 }

// Add puts table id into the set.
func (s *TableSet) Add(id uint8) { s[id/64] |= 1 << (id % 64) }

// actionBit is a kind of action and the bit that features give it.
type actionBit struct {
	kind action.Kind
	bit  uint8
}

// The bits of actions in features replies (OpenFlow 1.0) and in features of groups
// and, before OpenFlow 1.3, tables.
var (
	actionBits10 = []actionBit{
		{action.KindOutput, 0}, {action.KindSetVLANVID, 1}, {action.KindSetVLANPCP, 2},
		{action.KindStripVLAN, 3}, {action.KindSetEthSrc, 4}, {action.KindSetEthDst, 5},
		{action.KindSetIPv4Src, 6}, {action.KindSetIPv4Dst, 7}, {action.KindSetIPDSCP, 8},
		{action.KindSetL4SrcPort, 9}, {action.KindSetL4DstPort, 10}, {action.KindEnqueue, 11},
	}
	actionBits11 = []actionBit{
		{action.KindOutput, 0}, {action.KindSetVLANVID, 1}, {action.KindSetVLANPCP, 2},
		{action.KindSetEthSrc, 3}, {action.KindSetEthDst, 4}, {action.KindSetIPv4Src, 5},
		{action.KindSetIPv4Dst, 6}, {action.KindSetIPDSCP, 7}, {action.KindSetIPECN, 8},
		{action.KindSetL4SrcPort, 9}, {action.KindSetL4DstPort, 10}, {action.KindSetMPLSLabel, 13},
		{action.KindSetMPLSTC, 14}, {action.KindSetMPLSTTL, 15}, {action.KindDecMPLSTTL, 16},
		{action.KindPushVLAN, 17}, {action.KindStripVLAN, 18}, {action.KindPushMPLS, 19},
		{action.KindPopMPLS, 20}, {action.KindSetQueue, 21}, {action.KindGroup, 22},
		{action.KindSetIPTTL, 23}, {action.KindDecTTL, 24},
	}
	actionBits12 = []actionBit{
		{action.KindOutput, 0}, {action.KindSetMPLSTTL, 15}, {action.KindDecMPLSTTL, 16},
		{action.KindPushVLAN, 17}, {action.KindStripVLAN, 18}, {action.KindPushMPLS, 19},
		{action.KindPopMPLS, 20}, {action.KindSetQueue, 21}, {action.KindGroup, 22},
		{action.KindSetIPTTL, 23}, {action.KindDecTTL, 24}, {action.KindSetField, 25},
	}
)

func actionBits(v Version) []actionBit {
	switch v {
	case OF10:
		return actionBits10
	case OF11:
		return actionBits11
	}
	return actionBits12
}

// wire is the bitmap of the set in version v.
func (s ActionSet) wire(v Version) (w uint32) {
	for _, row := range actionBits(v) {
		if s.Has(row.kind) {
			w |= 1 << row.bit
		}
	}
	return w
}

// actionSetFromWire is the set that a bitmap of version v means.
func actionSetFromWire(w uint32, v Version) (s ActionSet) {
	for _, row := range actionBits(v) {
		if w&(1<<row.bit) != 0 {
			s |= 1 << row.kind
		}
	}
	return s
}

// actionSetNames are the names in prints of sets.
var actionSetNames = [...]struct {
	kind action.Kind
	name string
}{
	{action.KindOutput, "output"}, {action.KindGroup, "group"}, {action.KindEnqueue, "enqueue"},
	{action.KindSetField, "set_field"}, {action.KindSetVLANVID, "set_vlan_vid"},
	{action.KindSetVLANPCP, "set_vlan_pcp"}, {action.KindStripVLAN, "strip_vlan"},
	{action.KindPushVLAN, "push_vlan"}, {action.KindSetEthSrc, "mod_dl_src"},
	{action.KindSetEthDst, "mod_dl_dst"}, {action.KindSetIPv4Src, "mod_nw_src"},
	{action.KindSetIPv4Dst, "mod_nw_dst"}, {action.KindSetIPDSCP, "mod_nw_tos"},
	{action.KindSetIPECN, "mod_nw_ecn"}, {action.KindSetIPTTL, "mod_nw_ttl"},
	{action.KindSetL4SrcPort, "mod_tp_src"}, {action.KindSetL4DstPort, "mod_tp_dst"},
	{action.KindDecTTL, "dec_ttl"}, {action.KindSetMPLSLabel, "set_mpls_label"},
	{action.KindSetMPLSTC, "set_mpls_tc"}, {action.KindSetMPLSTTL, "set_mpls_ttl"},
	{action.KindDecMPLSTTL, "dec_mpls_ttl"}, {action.KindPushMPLS, "push_mpls"},
	{action.KindPopMPLS, "pop_mpls"}, {action.KindSetQueue, "set_queue"},
}

// actionSet prints a set of kinds of action.
func (p *printer) actionSet(s ActionSet) {
	if s == 0 {
		p.str("<none>")
		return
	}
	for _, row := range actionSetNames {
		if s.Has(row.kind) {
			p.str(row.name)
			p.byte(' ')
		}
	}
	p.chomp()
}
