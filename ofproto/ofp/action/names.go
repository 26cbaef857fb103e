package action

import (
	"strconv"
	"strings"
)

var kindNames = [NKinds]string{
	KindOutput: "output", KindGroup: "group", KindController: "controller", KindEnqueue: "enqueue",
	KindOutputReg: "output_reg", KindBundle: "bundle", KindSetField: "set_field", KindSetVLANVID: "set_vlan_vid",
	KindSetVLANPCP: "set_vlan_pcp", KindStripVLAN: "strip_vlan", KindPushVLAN: "push_vlan",
	KindSetEthSrc: "mod_dl_src", KindSetEthDst: "mod_dl_dst", KindSetIPv4Src: "mod_nw_src",
	KindSetIPv4Dst: "mod_nw_dst", KindSetIPDSCP: "mod_nw_tos", KindSetIPECN: "mod_nw_ecn", KindSetIPTTL: "mod_nw_ttl",
	KindSetL4SrcPort: "mod_tp_src", KindSetL4DstPort: "mod_tp_dst", KindRegMove: "move", KindStackPush: "push",
	KindStackPop: "pop", KindDecTTL: "dec_ttl", KindSetMPLSLabel: "set_mpls_label", KindSetMPLSTC: "set_mpls_tc",
	KindSetMPLSTTL: "set_mpls_ttl", KindDecMPLSTTL: "dec_mpls_ttl", KindPushMPLS: "push_mpls",
	KindPopMPLS: "pop_mpls", KindDecNSHTTL: "dec_nsh_ttl", KindDeleteField: "delete_field", KindEncap: "encap",
	KindDecap: "decap", KindSetTunnel: "set_tunnel", KindSetQueue: "set_queue", KindPopQueue: "pop_queue",
	KindFinTimeout: "fin_timeout", KindResubmit: "resubmit", KindLearn: "learn", KindConjunction: "conjunction",
	KindMultipath: "multipath", KindNote: "note", KindExit: "exit", KindSample: "sample",
	KindUnrollXlate: "unroll_xlate", KindCT: "ct", KindCTClear: "ct_clear", KindNAT: "nat",
	KindOutputTrunc: "output_trunc", KindClone: "clone", KindCheckPktLarger: "check_pkt_larger",
	KindDebugRecirc: "debug_recirc", KindDebugSlow: "debug_slow", KindMeter: "meter",
	KindClearActions: "clear_actions", KindWriteActions: "write_actions", KindWriteMetadata: "write_metadata",
	KindGotoTable: "goto_table",
}

// String returns the action's name as ovs-actions(7) has it.
func (k Kind) String() string {
	if k < NKinds {
		return kindNames[k]
	}
	return "<unknown>"
}

// kindByName finds a kind by its name, in any case.
func kindByName(name string) (Kind, bool) {
	k, ok := kindIndex[name]
	if !ok {
		k, ok = kindIndex[strings.ToLower(name)]
	}
	return k, ok
}

var kindIndex = func() map[string]Kind {
	m := make(map[string]Kind, NKinds)
	for k, n := range kindNames {
		m[n] = Kind(k)
	}
	return m
}()

// cHex is C's %#x.
func cHex(x uint64) string {
	if x == 0 {
		return "0"
	}
	return "0x" + strconv.FormatUint(x, 16)
}
