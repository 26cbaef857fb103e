package action

// Kind implements Action.
func (*Output) Kind() Kind { return KindOutput }

// Kind implements Action.
func (*Group) Kind() Kind { return KindGroup }

// Kind implements Action.
func (*Controller) Kind() Kind { return KindController }

// Kind implements Action.
func (*Enqueue) Kind() Kind { return KindEnqueue }

// Kind implements Action.
func (*OutputReg) Kind() Kind { return KindOutputReg }

// Kind implements Action.
func (*Bundle) Kind() Kind { return KindBundle }

// Kind implements Action.
func (*SetField) Kind() Kind { return KindSetField }

// Kind implements Action.
func (*SetVLANVID) Kind() Kind { return KindSetVLANVID }

// Kind implements Action.
func (*SetVLANPCP) Kind() Kind { return KindSetVLANPCP }

// Kind implements Action.
func (*StripVLAN) Kind() Kind { return KindStripVLAN }

// Kind implements Action.
func (*PushVLAN) Kind() Kind { return KindPushVLAN }

// Kind implements Action.
func (*SetEthSrc) Kind() Kind { return KindSetEthSrc }

// Kind implements Action.
func (*SetEthDst) Kind() Kind { return KindSetEthDst }

// Kind implements Action.
func (*SetIPv4Src) Kind() Kind { return KindSetIPv4Src }

// Kind implements Action.
func (*SetIPv4Dst) Kind() Kind { return KindSetIPv4Dst }

// Kind implements Action.
func (*SetIPDSCP) Kind() Kind { return KindSetIPDSCP }

// Kind implements Action.
func (*SetIPECN) Kind() Kind { return KindSetIPECN }

// Kind implements Action.
func (*SetIPTTL) Kind() Kind { return KindSetIPTTL }

// Kind implements Action.
func (*SetL4SrcPort) Kind() Kind { return KindSetL4SrcPort }

// Kind implements Action.
func (*SetL4DstPort) Kind() Kind { return KindSetL4DstPort }

// Kind implements Action.
func (*RegMove) Kind() Kind { return KindRegMove }

// Kind implements Action.
func (*StackPush) Kind() Kind { return KindStackPush }

// Kind implements Action.
func (*StackPop) Kind() Kind { return KindStackPop }

// Kind implements Action.
func (*DecTTL) Kind() Kind { return KindDecTTL }

// Kind implements Action.
func (*SetMPLSLabel) Kind() Kind { return KindSetMPLSLabel }

// Kind implements Action.
func (*SetMPLSTC) Kind() Kind { return KindSetMPLSTC }

// Kind implements Action.
func (*SetMPLSTTL) Kind() Kind { return KindSetMPLSTTL }

// Kind implements Action.
func (*DecMPLSTTL) Kind() Kind { return KindDecMPLSTTL }

// Kind implements Action.
func (*PushMPLS) Kind() Kind { return KindPushMPLS }

// Kind implements Action.
func (*PopMPLS) Kind() Kind { return KindPopMPLS }

// Kind implements Action.
func (*DecNSHTTL) Kind() Kind { return KindDecNSHTTL }

// Kind implements Action.
func (*DeleteField) Kind() Kind { return KindDeleteField }

// Kind implements Action.
func (*Encap) Kind() Kind { return KindEncap }

// Kind implements Action.
func (*Decap) Kind() Kind { return KindDecap }

// Kind implements Action.
func (*SetTunnel) Kind() Kind { return KindSetTunnel }

// Kind implements Action.
func (*SetQueue) Kind() Kind { return KindSetQueue }

// Kind implements Action.
func (*PopQueue) Kind() Kind { return KindPopQueue }

// Kind implements Action.
func (*FinTimeout) Kind() Kind { return KindFinTimeout }

// Kind implements Action.
func (*Resubmit) Kind() Kind { return KindResubmit }

// Kind implements Action.
func (*Learn) Kind() Kind { return KindLearn }

// Kind implements Action.
func (*Conjunction) Kind() Kind { return KindConjunction }

// Kind implements Action.
func (*Multipath) Kind() Kind { return KindMultipath }

// Kind implements Action.
func (*Note) Kind() Kind { return KindNote }

// Kind implements Action.
func (*Exit) Kind() Kind { return KindExit }

// Kind implements Action.
func (*Sample) Kind() Kind { return KindSample }

// Kind implements Action.
func (*UnrollXlate) Kind() Kind { return KindUnrollXlate }

// Kind implements Action.
func (*CT) Kind() Kind { return KindCT }

// Kind implements Action.
func (*CTClear) Kind() Kind { return KindCTClear }

// Kind implements Action.
func (*NAT) Kind() Kind { return KindNAT }

// Kind implements Action.
func (*OutputTrunc) Kind() Kind { return KindOutputTrunc }

// Kind implements Action.
func (*Clone) Kind() Kind { return KindClone }

// Kind implements Action.
func (*CheckPktLarger) Kind() Kind { return KindCheckPktLarger }

// Kind implements Action.
func (*DebugRecirc) Kind() Kind { return KindDebugRecirc }

// Kind implements Action.
func (*DebugSlow) Kind() Kind { return KindDebugSlow }

// Kind implements Action.
func (*Meter) Kind() Kind { return KindMeter }

// Kind implements Action.
func (*ClearActions) Kind() Kind { return KindClearActions }

// Kind implements Action.
func (*WriteActions) Kind() Kind { return KindWriteActions }

// Kind implements Action.
func (*WriteMetadata) Kind() Kind { return KindWriteMetadata }

// Kind implements Action.
func (*GotoTable) Kind() Kind { return KindGotoTable }
