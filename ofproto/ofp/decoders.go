package ofp

// typeDecoders has what decodes the messages of each type; those that are not here
// have no body.
var typeDecoders map[Type]func(decoder) (Msg, error)

// decoders is typeDecoders by layout.
var decoders [nRaws]func(decoder) (Msg, error)

// The tables are filled in at start, not declared: decoders of messages that hold
// messages come back to them.
func init() {
	typeDecoders = map[Type]func(decoder) (Msg, error){
		TypeHello:                     decodeHello,
		TypeError:                     decodeError,
		TypeEchoRequest:               decodeEchoRequest,
		TypeEchoReply:                 decodeEchoReply,
		TypeFeaturesReply:             decodeFeaturesReply,
		TypeGetConfigReply:            decodeSwitchConfig,
		TypeSetConfig:                 decodeSwitchConfig,
		TypePacketIn:                  decodePacketIn,
		TypeFlowRemoved:               decodeFlowRemoved,
		TypePortStatus:                decodePortStatus,
		TypePacketOut:                 decodePacketOut,
		TypeFlowMod:                   decodeFlowMod,
		TypeGroupMod:                  decodeGroupMod,
		TypePortMod:                   decodePortMod,
		TypeTableMod:                  decodeTableMod,
		TypeQueueGetConfigRequest:     decodeQueueGetConfigRequest,
		TypeQueueGetConfigReply:       decodeQueueGetConfigReply,
		TypeRoleRequest:               decodeRoleMsg,
		TypeRoleReply:                 decodeRoleMsg,
		TypeGetAsyncReply:             decodeAsync,
		TypeSetAsyncConfig:            decodeAsync,
		TypeMeterMod:                  decodeMeterMod,
		TypeRoleStatus:                decodeRoleStatus,
		TypeRequestforward:            decodeRequestForward,
		TypeTableStatus:               decodeTableStatus,
		TypeBundleControl:             decodeBundleCtrl,
		TypeBundleAddMessage:          decodeBundleAdd,
		TypeDescStatsReply:            decodeDesc,
		TypeFlowStatsRequest:          decodeFlowStatsRequest,
		TypeAggregateStatsRequest:     decodeFlowStatsRequest,
		TypeFlowStatsReply:            decodeFlowStatsReply,
		TypeAggregateStatsReply:       decodeAggregateReply,
		TypeTableStatsReply:           decodeTableStatsReply,
		TypePortStatsRequest:          decodePortStatsRequest,
		TypePortStatsReply:            decodePortStatsReply,
		TypeQueueStatsRequest:         decodeQueueStatsRequest,
		TypeQueueStatsReply:           decodeQueueStatsReply,
		TypeGroupStatsRequest:         decodeGroupRequest,
		TypeGroupDescStatsRequest:     decodeGroupRequest,
		TypeGroupStatsReply:           decodeGroupStatsReply,
		TypeGroupDescStatsReply:       decodeGroupDescReply,
		TypeGroupFeaturesStatsReply:   decodeGroupFeatures,
		TypeMeterStatsRequest:         decodeMeterRequest,
		TypeMeterConfigStatsRequest:   decodeMeterRequest,
		TypeMeterStatsReply:           decodeMeterStatsReply,
		TypeMeterConfigStatsReply:     decodeMeterConfigReply,
		TypeMeterFeaturesStatsReply:   decodeMeterFeatures,
		TypeTableFeaturesStatsRequest: decodeTableFeaturesMsg,
		TypeTableFeaturesStatsReply:   decodeTableFeaturesMsg,
		TypeTableDescReply:            decodeTableDescReply,
		TypePortDescStatsRequest:      decodePortDescRequest,
		TypePortDescStatsReply:        decodePortDescReply,
		TypeFlowMonitorStatsRequest:   decodeFlowMonitorRequest,
		TypeFlowMonitorStatsReply:     decodeFlowMonitorReply,
		TypeSetFlowFormat:             decodeSetFlowFormat,
		TypeFlowModTableId:            decodeFlowModTableID,
		TypeSetPacketInFormat:         decodeSetPacketInFormat,
		TypeSetControllerId:           decodeSetControllerID,
		TypeNxtTlvTableMod:            decodeTLVTableMod,
		TypeNxtTlvTableReply:          decodeTLVTableReply,
		TypeNxtResume:                 decodeResume,
		TypeIpfixBridgeStatsReply:     decodeIPFIXReply,
		TypeIpfixFlowStatsReply:       decodeIPFIXReply,
		TypeCtFlushZone:               decodeCTFlushZone,
		TypeCtFlush:                   decodeCTFlush,
		TypeFlowMonitorCancel:         decodeFlowMonitorCancel,
	}
	for r := range decoders {
		decoders[r] = decodeEmpty
		if f := typeDecoders[Raw(r).Type()]; f != nil {
			decoders[r] = f
		}
	}
}
