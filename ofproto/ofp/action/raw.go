package action

import "sluice/ofproto/ofp/ofver"

// The wire actions.
const (
	RawNone Raw = iota // not from the wire
	Raw10Output
	Raw11Output
	Raw10SetVLANVID
	Raw10SetVLANPCP
	Raw11SetVLANVID
	Raw11SetVLANPCP
	Raw11PushVLAN
	Raw10StripVLAN
	Raw11PopVLAN
	RawSetDLSrc
	RawSetDLDst
	RawSetNwSrc
	RawSetNwDst
	RawSetNwTOS
	Raw11SetNwECN
	RawSetTpSrc
	RawSetTpDst
	Raw10Enqueue
	RawSetMPLSLabel
	RawSetMPLSTC
	RawSetMPLSTTL
	RawDecMPLSTTL
	RawPushMPLS
	RawPopMPLS
	RawSetQueue
	RawGroup
	Raw11SetNwTTL
	RawDecNwTTL
	RawNXDecTTLCntIDs
	Raw12SetField
	Raw15SetField
	RawNXRegLoad
	RawNXRegLoad2
	Raw15CopyField
	RawONF13CopyField
	RawNXRegMove
	Raw15Meter
	RawNXResubmit
	RawNXResubmitTable
	RawNXResubmitTableCT
	RawNXSetTunnel
	RawNXSetTunnel64
	RawNXPopQueue
	RawNXNote
	RawNXMultipath
	RawNXBundle
	RawNXBundleLoad
	RawNXOutputReg
	RawNXOutputReg2
	RawNXLearn
	RawNXLearn2
	RawNXExit
	RawNXFinTimeout
	RawNXController
	RawNXController2
	RawNXWriteMetadata
	RawNXStackPush
	RawNXStackPop
	RawNXSample
	RawNXSample2
	RawNXSample3
	RawNXConjunction
	RawNXCT
	RawNXNAT
	RawNXOutputTrunc
	RawNXClone
	RawNXCTClear
	RawNXEncap
	RawNXDecap
	RawNXDecNSHTTL
	RawNXCheckPktLarger
	RawNXDeleteField
	RawNXDebugSlow
	RawNXDebugRecirc

	nRaw
)

// Vendors of extension actions.
const (
	vendorNX  = 0x00002320
	vendorONF = 0x4f4e4600
)

// form is one way to write a Raw: in the versions from from to to, as action typ of
// vendor (0: a standard action).
type form struct {
	raw      Raw
	vendor   uint32
	typ      uint16
	from, to ofver.Version
	size     uint8 // bytes; the least if it can be longer
	extends  bool  // can be longer, by multiples of 8
	argOfs   uint8 // where a plain integer argument is, and its bytes
	argLen   uint8
	name     string
	replaced bool // deprecated: Set-Field does it
}

// forms is every action on the wire.
var forms = [...]form{
	{Raw10Output, 0, 0, ofver.OF10, ofver.OF10, 8, false, 0, 0, "OFPAT_OUTPUT", false},
	{Raw11Output, 0, 0, ofver.OF11, ofver.OF15, 16, false, 0, 0, "OFPAT_OUTPUT", false},
	{Raw10SetVLANVID, 0, 1, ofver.OF10, ofver.OF10, 8, false, 4, 2, "OFPAT_SET_VLAN_VID", false},
	{Raw10SetVLANPCP, 0, 2, ofver.OF10, ofver.OF10, 8, false, 4, 1, "OFPAT_SET_VLAN_PCP", false},
	{Raw11SetVLANVID, 0, 1, ofver.OF11, ofver.OF11, 8, false, 4, 2, "OFPAT_SET_VLAN_VID", false},
	{Raw11SetVLANVID, 0, 1, ofver.OF12, ofver.OF15, 8, false, 4, 2, "OFPAT_SET_VLAN_VID", true},
	{Raw11SetVLANPCP, 0, 2, ofver.OF11, ofver.OF11, 8, false, 4, 1, "OFPAT_SET_VLAN_PCP", false},
	{Raw11SetVLANPCP, 0, 2, ofver.OF12, ofver.OF15, 8, false, 4, 1, "OFPAT_SET_VLAN_PCP", true},
	{Raw11PushVLAN, 0, 17, ofver.OF11, ofver.OF15, 8, false, 4, 2, "OFPAT_PUSH_VLAN", false},
	{Raw10StripVLAN, 0, 3, ofver.OF10, ofver.OF10, 8, false, 0, 0, "OFPAT_STRIP_VLAN", false},
	{Raw11PopVLAN, 0, 18, ofver.OF11, ofver.OF15, 8, false, 0, 0, "OFPAT_POP_VLAN", false},
	{RawSetDLSrc, 0, 4, ofver.OF10, ofver.OF10, 16, false, 0, 0, "OFPAT_SET_DL_SRC", false},
	{RawSetDLSrc, 0, 3, ofver.OF11, ofver.OF11, 16, false, 0, 0, "OFPAT_SET_DL_SRC", false},
	{RawSetDLSrc, 0, 3, ofver.OF12, ofver.OF15, 16, false, 0, 0, "OFPAT_SET_DL_SRC", true},
	{RawSetDLDst, 0, 5, ofver.OF10, ofver.OF10, 16, false, 0, 0, "OFPAT_SET_DL_DST", false},
	{RawSetDLDst, 0, 4, ofver.OF11, ofver.OF11, 16, false, 0, 0, "OFPAT_SET_DL_DST", false},
	{RawSetDLDst, 0, 4, ofver.OF12, ofver.OF15, 16, false, 0, 0, "OFPAT_SET_DL_DST", true},
	{RawSetNwSrc, 0, 6, ofver.OF10, ofver.OF10, 8, false, 4, 4, "OFPAT_SET_NW_SRC", false},
	{RawSetNwSrc, 0, 5, ofver.OF11, ofver.OF11, 8, false, 4, 4, "OFPAT_SET_NW_SRC", false},
	{RawSetNwSrc, 0, 5, ofver.OF12, ofver.OF15, 8, false, 4, 4, "OFPAT_SET_NW_SRC", true},
	{RawSetNwDst, 0, 7, ofver.OF10, ofver.OF10, 8, false, 4, 4, "OFPAT_SET_NW_DST", false},
	{RawSetNwDst, 0, 6, ofver.OF11, ofver.OF11, 8, false, 4, 4, "OFPAT_SET_NW_DST", false},
	{RawSetNwDst, 0, 6, ofver.OF12, ofver.OF15, 8, false, 4, 4, "OFPAT_SET_NW_DST", true},
	{RawSetNwTOS, 0, 8, ofver.OF10, ofver.OF10, 8, false, 4, 1, "OFPAT_SET_NW_TOS", false},
	{RawSetNwTOS, 0, 7, ofver.OF11, ofver.OF11, 8, false, 4, 1, "OFPAT_SET_NW_TOS", false},
	{RawSetNwTOS, 0, 7, ofver.OF12, ofver.OF15, 8, false, 4, 1, "OFPAT_SET_NW_TOS", true},
	{Raw11SetNwECN, 0, 8, ofver.OF11, ofver.OF11, 8, false, 4, 1, "OFPAT_SET_NW_ECN", false},
	{Raw11SetNwECN, 0, 8, ofver.OF12, ofver.OF15, 8, false, 4, 1, "OFPAT_SET_NW_ECN", true},
	{RawSetTpSrc, 0, 9, ofver.OF10, ofver.OF11, 8, false, 4, 2, "OFPAT_SET_TP_SRC", false},
	{RawSetTpSrc, 0, 9, ofver.OF12, ofver.OF15, 8, false, 4, 2, "OFPAT_SET_TP_SRC", true},
	{RawSetTpDst, 0, 10, ofver.OF10, ofver.OF11, 8, false, 4, 2, "OFPAT_SET_TP_DST", false},
	{RawSetTpDst, 0, 10, ofver.OF12, ofver.OF15, 8, false, 4, 2, "OFPAT_SET_TP_DST", true},
	{Raw10Enqueue, 0, 11, ofver.OF10, ofver.OF10, 16, false, 0, 0, "OFPAT_ENQUEUE", false},
	{RawSetMPLSLabel, 0, 13, ofver.OF11, ofver.OF11, 8, false, 4, 4, "OFPAT_SET_MPLS_LABEL", false},
	{RawSetMPLSLabel, 0, 13, ofver.OF12, ofver.OF15, 8, false, 4, 4, "OFPAT_SET_MPLS_LABEL", true},
	{RawSetMPLSLabel, vendorNX, 30, ofver.OF10, ofver.OF10, 16, false, 12, 4, "OFPAT_SET_MPLS_LABEL", false},
	{RawSetMPLSTC, 0, 14, ofver.OF11, ofver.OF11, 8, false, 4, 1, "OFPAT_SET_MPLS_TC", false},
	{RawSetMPLSTC, 0, 14, ofver.OF12, ofver.OF15, 8, false, 4, 1, "OFPAT_SET_MPLS_TC", true},
	{RawSetMPLSTC, vendorNX, 31, ofver.OF10, ofver.OF10, 16, false, 10, 1, "OFPAT_SET_MPLS_TC", false},
	{RawSetMPLSTTL, 0, 15, ofver.OF11, ofver.OF11, 8, false, 4, 1, "OFPAT_SET_MPLS_TTL", false},
	{RawSetMPLSTTL, 0, 15, ofver.OF12, ofver.OF15, 8, false, 4, 1, "OFPAT_SET_MPLS_TTL", true},
	{RawSetMPLSTTL, vendorNX, 25, ofver.OF10, ofver.OF10, 16, false, 10, 1, "OFPAT_SET_MPLS_TTL", false},
	{RawDecMPLSTTL, 0, 16, ofver.OF11, ofver.OF15, 8, false, 0, 0, "OFPAT_DEC_MPLS_TTL", false},
	{RawDecMPLSTTL, vendorNX, 26, ofver.OF10, ofver.OF10, 16, false, 0, 0, "OFPAT_DEC_MPLS_TTL", false},
	{RawPushMPLS, 0, 19, ofver.OF11, ofver.OF15, 8, false, 4, 2, "OFPAT_PUSH_MPLS", false},
	{RawPushMPLS, vendorNX, 23, ofver.OF10, ofver.OF10, 16, false, 10, 2, "OFPAT_PUSH_MPLS", false},
	{RawPopMPLS, 0, 20, ofver.OF11, ofver.OF15, 8, false, 4, 2, "OFPAT_POP_MPLS", false},
	{RawPopMPLS, vendorNX, 24, ofver.OF10, ofver.OF10, 16, false, 10, 2, "OFPAT_POP_MPLS", false},
	{RawSetQueue, 0, 21, ofver.OF11, ofver.OF15, 8, false, 4, 4, "OFPAT_SET_QUEUE", false},
	{RawSetQueue, vendorNX, 4, ofver.OF10, ofver.OF10, 16, false, 12, 4, "OFPAT_SET_QUEUE", false},
	{RawGroup, 0, 22, ofver.OF11, ofver.OF15, 8, false, 4, 4, "OFPAT_GROUP", false},
	{RawGroup, vendorNX, 40, ofver.OF10, ofver.OF10, 16, false, 12, 4, "OFPAT_GROUP", false},
	{Raw11SetNwTTL, 0, 23, ofver.OF11, ofver.OF15, 8, false, 4, 1, "OFPAT_SET_NW_TTL", false},
	{RawDecNwTTL, 0, 24, ofver.OF11, ofver.OF15, 8, false, 0, 0, "OFPAT_DEC_NW_TTL", false},
	{RawDecNwTTL, vendorNX, 18, ofver.OF10, ofver.OF10, 16, false, 0, 0, "OFPAT_DEC_NW_TTL", false},
	{RawNXDecTTLCntIDs, vendorNX, 21, ofver.OF10, ofver.OF15, 16, true, 0, 0, "NXAST_DEC_TTL_CNT_IDS", false},
	{Raw12SetField, 0, 25, ofver.OF12, ofver.OF14, 8, true, 0, 0, "OFPAT_SET_FIELD", false},
	{Raw15SetField, 0, 25, ofver.OF15, ofver.OF15, 8, true, 0, 0, "OFPAT_SET_FIELD", false},
	{RawNXRegLoad, vendorNX, 7, ofver.OF10, ofver.OF14, 24, false, 0, 0, "NXAST_REG_LOAD", false},
	{RawNXRegLoad2, vendorNX, 33, ofver.OF10, ofver.OF14, 16, true, 0, 0, "NXAST_REG_LOAD2", false},
	{Raw15CopyField, 0, 28, ofver.OF15, ofver.OF15, 16, true, 0, 0, "OFPAT_COPY_FIELD", false},
	{RawONF13CopyField, vendorONF, 3200, ofver.OF13, ofver.OF14, 24, true, 0, 0, "ONFACT_COPY_FIELD", false},
	{RawNXRegMove, vendorNX, 6, ofver.OF10, ofver.OF14, 16, true, 0, 0, "NXAST_REG_MOVE", false},
	{Raw15Meter, 0, 29, ofver.OF15, ofver.OF15, 8, false, 4, 4, "OFPAT_METER", false},
	{RawNXResubmit, vendorNX, 1, ofver.OF10, ofver.OF15, 16, false, 10, 2, "NXAST_RESUBMIT", false},
	{RawNXResubmitTable, vendorNX, 14, ofver.OF10, ofver.OF15, 16, false, 0, 0, "NXAST_RESUBMIT_TABLE", false},
	{RawNXResubmitTableCT, vendorNX, 44, ofver.OF10, ofver.OF15, 16, false, 0, 0, "NXAST_RESUBMIT_TABLE_CT", false},
	{RawNXSetTunnel, vendorNX, 2, ofver.OF10, ofver.OF15, 16, false, 12, 4, "NXAST_SET_TUNNEL", false},
	{RawNXSetTunnel64, vendorNX, 9, ofver.OF10, ofver.OF15, 24, false, 16, 8, "NXAST_SET_TUNNEL64", false},
	{RawNXPopQueue, vendorNX, 5, ofver.OF10, ofver.OF15, 16, false, 0, 0, "NXAST_POP_QUEUE", false},
	{RawNXNote, vendorNX, 8, ofver.OF10, ofver.OF15, 16, true, 0, 0, "NXAST_NOTE", false},
	{RawNXMultipath, vendorNX, 10, ofver.OF10, ofver.OF15, 32, false, 0, 0, "NXAST_MULTIPATH", false},
	{RawNXBundle, vendorNX, 12, ofver.OF10, ofver.OF15, 32, true, 0, 0, "NXAST_BUNDLE", false},
	{RawNXBundleLoad, vendorNX, 13, ofver.OF10, ofver.OF15, 32, true, 0, 0, "NXAST_BUNDLE_LOAD", false},
	{RawNXOutputReg, vendorNX, 15, ofver.OF10, ofver.OF15, 24, false, 0, 0, "NXAST_OUTPUT_REG", false},
	{RawNXOutputReg2, vendorNX, 32, ofver.OF10, ofver.OF15, 24, false, 0, 0, "NXAST_OUTPUT_REG2", false},
	{RawNXLearn, vendorNX, 16, ofver.OF10, ofver.OF15, 32, true, 0, 0, "NXAST_LEARN", false},
	{RawNXLearn2, vendorNX, 45, ofver.OF10, ofver.OF15, 40, true, 0, 0, "NXAST_LEARN2", false},
	{RawNXExit, vendorNX, 17, ofver.OF10, ofver.OF15, 16, false, 0, 0, "NXAST_EXIT", false},
	{RawNXFinTimeout, vendorNX, 19, ofver.OF10, ofver.OF15, 16, false, 0, 0, "NXAST_FIN_TIMEOUT", false},
	{RawNXController, vendorNX, 20, ofver.OF10, ofver.OF15, 16, false, 0, 0, "NXAST_CONTROLLER", false},
	{RawNXController2, vendorNX, 37, ofver.OF10, ofver.OF15, 16, true, 0, 0, "NXAST_CONTROLLER2", false},
	{RawNXWriteMetadata, vendorNX, 22, ofver.OF10, ofver.OF15, 32, false, 0, 0, "NXAST_WRITE_METADATA", false},
	{RawNXStackPush, vendorNX, 27, ofver.OF10, ofver.OF15, 24, false, 0, 0, "NXAST_STACK_PUSH", false},
	{RawNXStackPop, vendorNX, 28, ofver.OF10, ofver.OF15, 24, false, 0, 0, "NXAST_STACK_POP", false},
	{RawNXSample, vendorNX, 29, ofver.OF10, ofver.OF15, 24, false, 0, 0, "NXAST_SAMPLE", false},
	{RawNXSample2, vendorNX, 38, ofver.OF10, ofver.OF15, 32, false, 0, 0, "NXAST_SAMPLE2", false},
	{RawNXSample3, vendorNX, 41, ofver.OF10, ofver.OF15, 32, false, 0, 0, "NXAST_SAMPLE3", false},
	{RawNXConjunction, vendorNX, 34, ofver.OF10, ofver.OF15, 16, false, 0, 0, "NXAST_CONJUNCTION", false},
	{RawNXCT, vendorNX, 35, ofver.OF10, ofver.OF15, 24, true, 0, 0, "NXAST_CT", false},
	{RawNXNAT, vendorNX, 36, ofver.OF10, ofver.OF15, 16, true, 0, 0, "NXAST_NAT", false},
	{RawNXOutputTrunc, vendorNX, 39, ofver.OF10, ofver.OF15, 16, false, 0, 0, "NXAST_OUTPUT_TRUNC", false},
	{RawNXClone, vendorNX, 42, ofver.OF10, ofver.OF15, 16, true, 0, 0, "NXAST_CLONE", false},
	{RawNXCTClear, vendorNX, 43, ofver.OF10, ofver.OF15, 16, false, 0, 0, "NXAST_CT_CLEAR", false},
	{RawNXEncap, vendorNX, 46, ofver.OF13, ofver.OF15, 16, true, 0, 0, "NXAST_ENCAP", false},
	{RawNXDecap, vendorNX, 47, ofver.OF13, ofver.OF15, 16, true, 0, 0, "NXAST_DECAP", false},
	{RawNXDecNSHTTL, vendorNX, 48, ofver.OF13, ofver.OF15, 16, false, 0, 0, "NXAST_DEC_NSH_TTL", false},
	{RawNXCheckPktLarger, vendorNX, 49, ofver.OF10, ofver.OF15, 24, true, 0, 0, "NXAST_CHECK_PKT_LARGER", false},
	{RawNXDeleteField, vendorNX, 50, ofver.OF10, ofver.OF15, 24, false, 0, 0, "NXAST_DELETE_FIELD", false},
	{RawNXDebugSlow, vendorNX, 254, ofver.OF10, ofver.OF15, 16, false, 0, 0, "NXAST_DEBUG_SLOW", false},
	{RawNXDebugRecirc, vendorNX, 255, ofver.OF10, ofver.OF15, 16, false, 0, 0, "NXAST_DEBUG_RECIRC", false},
}
