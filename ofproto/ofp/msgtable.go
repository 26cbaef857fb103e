package ofp

// Type is the meaning of a message, whatever version or vendor frames it: an
// NXT_FLOW_MOD and an OpenFlow 1.3 OFPT_FLOW_MOD are both TypeFlowMod.
type Type uint8

// The message types.
const (
	TypeInvalid                   Type = iota // not a message that the switch knows
	TypeHello                                 // OFPT_HELLO
	TypeError                                 // OFPT_ERROR
	TypeEchoRequest                           // OFPT_ECHO_REQUEST
	TypeEchoReply                             // OFPT_ECHO_REPLY
	TypeFeaturesRequest                       // OFPT_FEATURES_REQUEST
	TypeFeaturesReply                         // OFPT_FEATURES_REPLY
	TypeGetConfigRequest                      // OFPT_GET_CONFIG_REQUEST
	TypeGetConfigReply                        // OFPT_GET_CONFIG_REPLY
	TypeSetConfig                             // OFPT_SET_CONFIG
	TypePacketIn                              // OFPT_PACKET_IN
	TypeFlowRemoved                           // OFPT_FLOW_REMOVED
	TypePortStatus                            // OFPT_PORT_STATUS
	TypePacketOut                             // OFPT_PACKET_OUT
	TypeFlowMod                               // OFPT_FLOW_MOD
	TypeGroupMod                              // NXT_GROUP_MOD
	TypePortMod                               // OFPT_PORT_MOD
	TypeTableMod                              // OFPT_TABLE_MOD
	TypeBarrierRequest                        // OFPT_BARRIER_REQUEST
	TypeBarrierReply                          // OFPT_BARRIER_REPLY
	TypeQueueGetConfigRequest                 // OFPT_QUEUE_GET_CONFIG_REQUEST
	TypeQueueGetConfigReply                   // OFPT_QUEUE_GET_CONFIG_REPLY
	TypeRoleRequest                           // OFPT_ROLE_REQUEST
	TypeRoleReply                             // OFPT_ROLE_REPLY
	TypeGetAsyncRequest                       // OFPT_GET_ASYNC_REQUEST
	TypeGetAsyncReply                         // OFPT_GET_ASYNC_REPLY
	TypeSetAsyncConfig                        // NXT_SET_ASYNC_CONFIG
	TypeMeterMod                              // OFPT_METER_MOD
	TypeRoleStatus                            // ONFT_ROLE_STATUS
	TypeRequestforward                        // NXT_REQUESTFORWARD
	TypeTableStatus                           // OFPT_TABLE_STATUS
	TypeBundleControl                         // OFPT_BUNDLE_CONTROL
	TypeBundleAddMessage                      // OFPT_BUNDLE_ADD_MESSAGE
	TypeDescStatsRequest                      // OFPST_DESC request
	TypeDescStatsReply                        // OFPST_DESC reply
	TypeFlowStatsRequest                      // OFPST_FLOW request
	TypeFlowStatsReply                        // OFPST_FLOW reply
	TypeAggregateStatsRequest                 // OFPST_AGGREGATE request
	TypeAggregateStatsReply                   // OFPST_AGGREGATE reply
	TypeTableStatsRequest                     // OFPST_TABLE request
	TypeTableStatsReply                       // OFPST_TABLE reply
	TypePortStatsRequest                      // OFPST_PORT request
	TypePortStatsReply                        // OFPST_PORT reply
	TypeQueueStatsRequest                     // OFPST_QUEUE request
	TypeQueueStatsReply                       // OFPST_QUEUE reply
	TypeGroupStatsRequest                     // NXST_GROUP request
	TypeGroupStatsReply                       // NXST_GROUP reply
	TypeGroupDescStatsRequest                 // NXST_GROUP_DESC request
	TypeGroupDescStatsReply                   // NXST_GROUP_DESC reply
	TypeGroupFeaturesStatsRequest             // NXST_GROUP_FEATURES request
	TypeGroupFeaturesStatsReply               // NXST_GROUP_FEATURES reply
	TypeMeterStatsRequest                     // OFPST_METER request
	TypeMeterStatsReply                       // OFPST_METER reply
	TypeMeterConfigStatsRequest               // OFPST_METER_CONFIG request
	TypeMeterConfigStatsReply                 // OFPST_METER_CONFIG reply
	TypeMeterFeaturesStatsRequest             // OFPST_METER_FEATURES request
	TypeMeterFeaturesStatsReply               // OFPST_METER_FEATURES reply
	TypeTableFeaturesStatsRequest             // OFPST_TABLE_FEATURES request
	TypeTableFeaturesStatsReply               // OFPST_TABLE_FEATURES reply
	TypeTableDescRequest                      // OFPST_TABLE_DESC request
	TypeTableDescReply                        // OFPST_TABLE_DESC reply
	TypePortDescStatsRequest                  // OFPST_PORT_DESC request
	TypePortDescStatsReply                    // OFPST_PORT_DESC reply
	TypeFlowMonitorStatsRequest               // OFPST_FLOW_MONITOR request
	TypeFlowMonitorStatsReply                 // OFPST_FLOW_MONITOR reply
	TypeSetFlowFormat                         // NXT_SET_FLOW_FORMAT
	TypeFlowModTableId                        // NXT_FLOW_MOD_TABLE_ID
	TypeSetPacketInFormat                     // NXT_SET_PACKET_IN_FORMAT
	TypeFlowAge                               // NXT_FLOW_AGE
	TypeSetControllerId                       // NXT_SET_CONTROLLER_ID
	TypeNxtTlvTableMod                        // NXT_TLV_TABLE_MOD
	TypeNxtTlvTableRequest                    // NXT_TLV_TABLE_REQUEST
	TypeNxtTlvTableReply                      // NXT_TLV_TABLE_REPLY
	TypeNxtResume                             // NXT_RESUME
	TypeIpfixBridgeStatsRequest               // NXST_IPFIX_BRIDGE request
	TypeIpfixBridgeStatsReply                 // NXST_IPFIX_BRIDGE reply
	TypeIpfixFlowStatsRequest                 // NXST_IPFIX_FLOW request
	TypeIpfixFlowStatsReply                   // NXST_IPFIX_FLOW reply
	TypeCtFlushZone                           // NXT_CT_FLUSH_ZONE
	TypeCtFlush                               // NXT_CT_FLUSH
	TypeFlowMonitorCancel                     // NXT_FLOW_MONITOR_CANCEL
	TypeFlowMonitorPaused                     // NXT_FLOW_MONITOR_PAUSED
	TypeFlowMonitorResumed                    // NXT_FLOW_MONITOR_RESUMED
	nTypes
)

// Raw is one wire layout of a message.  Layouts of a Type differ by version or
// vendor; two layouts have different bytes, numbers, or arguments.
type Raw uint8

// The wire layouts.
const (
	RawInvalid                     Raw = iota // not a layout that the switch knows
	RawOFPTHello                              // OFPT_HELLO, OpenFlow all
	RawOFPTError                              // OFPT_ERROR, OpenFlow all
	RawOFPTEchoRequest                        // OFPT_ECHO_REQUEST, OpenFlow all
	RawOFPTEchoReply                          // OFPT_ECHO_REPLY, OpenFlow all
	RawOFPTFeaturesRequest                    // OFPT_FEATURES_REQUEST, OpenFlow 1.0+
	RawOFPT10FeaturesReply                    // OFPT_FEATURES_REPLY, OpenFlow 1.0
	RawOFPT11FeaturesReply                    // OFPT_FEATURES_REPLY, OpenFlow 1.1-1.2
	RawOFPT13FeaturesReply                    // OFPT_FEATURES_REPLY, OpenFlow 1.3+
	RawOFPTGetConfigRequest                   // OFPT_GET_CONFIG_REQUEST, OpenFlow 1.0+
	RawOFPTGetConfigReply                     // OFPT_GET_CONFIG_REPLY, OpenFlow 1.0+
	RawOFPTSetConfig                          // OFPT_SET_CONFIG, OpenFlow 1.0+
	RawOFPT10PacketIn                         // OFPT_PACKET_IN, OpenFlow 1.0
	RawOFPT11PacketIn                         // OFPT_PACKET_IN, OpenFlow 1.1
	RawOFPT12PacketIn                         // OFPT_PACKET_IN, OpenFlow 1.2
	RawOFPT13PacketIn                         // OFPT_PACKET_IN, OpenFlow 1.3+
	RawNXTPacketIn                            // NXT_PACKET_IN, OpenFlow 1.0+
	RawNXTPacketIn2                           // NXT_PACKET_IN2, OpenFlow 1.0+
	RawOFPT10FlowRemoved                      // OFPT_FLOW_REMOVED, OpenFlow 1.0
	RawOFPT11FlowRemoved                      // OFPT_FLOW_REMOVED, OpenFlow 1.1-1.4
	RawOFPT15FlowRemoved                      // OFPT_FLOW_REMOVED, OpenFlow 1.5+
	RawNXTFlowRemoved                         // NXT_FLOW_REMOVED, OpenFlow 1.0+
	RawOFPT10PortStatus                       // OFPT_PORT_STATUS, OpenFlow 1.0
	RawOFPT11PortStatus                       // OFPT_PORT_STATUS, OpenFlow 1.1-1.3
	RawOFPT14PortStatus                       // OFPT_PORT_STATUS, OpenFlow 1.4+
	RawOFPT10PacketOut                        // OFPT_PACKET_OUT, OpenFlow 1.0
	RawOFPT11PacketOut                        // OFPT_PACKET_OUT, OpenFlow 1.1-1.4
	RawOFPT15PacketOut                        // OFPT_PACKET_OUT, OpenFlow 1.5+
	RawOFPT10FlowMod                          // OFPT_FLOW_MOD, OpenFlow 1.0
	RawOFPT11FlowMod                          // OFPT_FLOW_MOD, OpenFlow 1.1+
	RawNXTFlowMod                             // NXT_FLOW_MOD, OpenFlow 1.0+
	RawNXTGroupMod                            // NXT_GROUP_MOD, OpenFlow 1.0
	RawOFPT11GroupMod                         // OFPT_GROUP_MOD, OpenFlow 1.1-1.4
	RawOFPT15GroupMod                         // OFPT_GROUP_MOD, OpenFlow 1.5+
	RawOFPT10PortMod                          // OFPT_PORT_MOD, OpenFlow 1.0
	RawOFPT11PortMod                          // OFPT_PORT_MOD, OpenFlow 1.1-1.3
	RawOFPT14PortMod                          // OFPT_PORT_MOD, OpenFlow 1.4+
	RawOFPT11TableMod                         // OFPT_TABLE_MOD, OpenFlow 1.1-1.3
	RawOFPT14TableMod                         // OFPT_TABLE_MOD, OpenFlow 1.4+
	RawOFPT10BarrierRequest                   // OFPT_BARRIER_REQUEST, OpenFlow 1.0
	RawOFPT11BarrierRequest                   // OFPT_BARRIER_REQUEST, OpenFlow 1.1+
	RawOFPT10BarrierReply                     // OFPT_BARRIER_REPLY, OpenFlow 1.0
	RawOFPT11BarrierReply                     // OFPT_BARRIER_REPLY, OpenFlow 1.1+
	RawOFPT10QueueGetConfigRequest            // OFPT_QUEUE_GET_CONFIG_REQUEST, OpenFlow 1.0
	RawOFPT11QueueGetConfigRequest            // OFPT_QUEUE_GET_CONFIG_REQUEST, OpenFlow 1.1-1.3
	RawOFPT10QueueGetConfigReply              // OFPT_QUEUE_GET_CONFIG_REPLY, OpenFlow 1.0
	RawOFPT11QueueGetConfigReply              // OFPT_QUEUE_GET_CONFIG_REPLY, OpenFlow 1.1-1.3
	RawOFPT12RoleRequest                      // OFPT_ROLE_REQUEST, OpenFlow 1.2+
	RawNXTRoleRequest                         // NXT_ROLE_REQUEST, OpenFlow 1.0+
	RawOFPT12RoleReply                        // OFPT_ROLE_REPLY, OpenFlow 1.2+
	RawNXTRoleReply                           // NXT_ROLE_REPLY, OpenFlow 1.0+
	RawOFPT13GetAsyncRequest                  // OFPT_GET_ASYNC_REQUEST, OpenFlow 1.3
	RawOFPT14GetAsyncRequest                  // OFPT_GET_ASYNC_REQUEST, OpenFlow 1.4+
	RawOFPT13GetAsyncReply                    // OFPT_GET_ASYNC_REPLY, OpenFlow 1.3
	RawOFPT14GetAsyncReply                    // OFPT_GET_ASYNC_REPLY, OpenFlow 1.4+
	RawOFPT13SetAsync                         // OFPT_SET_ASYNC, OpenFlow 1.3
	RawNXTSetAsyncConfig                      // NXT_SET_ASYNC_CONFIG, OpenFlow 1.0+
	RawNXTSetAsyncConfig2                     // NXT_SET_ASYNC_CONFIG2, OpenFlow 1.0-1.3
	RawOFPT14SetAsync                         // OFPT_SET_ASYNC, OpenFlow 1.4+
	RawOFPT13MeterMod                         // OFPT_METER_MOD, OpenFlow 1.3+
	RawONFT13RoleStatus                       // ONFT_ROLE_STATUS, OpenFlow 1.3
	RawOFPT14RoleStatus                       // OFPT_ROLE_STATUS, OpenFlow 1.4+
	RawOFPT14TableStatus                      // OFPT_TABLE_STATUS, OpenFlow 1.4+
	RawNXTRequestforward                      // NXT_REQUESTFORWARD, OpenFlow 1.0-1.2
	RawONFT13Requestforward                   // ONFT_REQUESTFORWARD, OpenFlow 1.3
	RawOFPT14Requestforward                   // OFPT_REQUESTFORWARD, OpenFlow 1.4+
	RawOFPT14BundleControl                    // OFPT_BUNDLE_CONTROL, OpenFlow 1.4+
	RawONFT13BundleControl                    // ONFT_BUNDLE_CONTROL, OpenFlow 1.3
	RawOFPT14BundleAddMessage                 // OFPT_BUNDLE_ADD_MESSAGE, OpenFlow 1.4+
	RawONFT13BundleAddMessage                 // ONFT_BUNDLE_ADD_MESSAGE, OpenFlow 1.3
	RawOFPSTDescRequest                       // OFPST_DESC request, OpenFlow 1.0+
	RawOFPSTDescReply                         // OFPST_DESC reply, OpenFlow 1.0+
	RawOFPST10FlowRequest                     // OFPST_FLOW request, OpenFlow 1.0
	RawOFPST11FlowRequest                     // OFPST_FLOW request, OpenFlow 1.1+
	RawNXSTFlowRequest                        // NXST_FLOW request, OpenFlow 1.0
	RawOFPST10FlowReply                       // OFPST_FLOW reply, OpenFlow 1.0
	RawOFPST11FlowReply                       // OFPST_FLOW reply, OpenFlow 1.1-1.2
	RawOFPST13FlowReply                       // OFPST_FLOW reply, OpenFlow 1.3-1.4
	RawOFPST15FlowReply                       // OFPST_FLOW reply, OpenFlow 1.5+
	RawNXSTFlowReply                          // NXST_FLOW reply, OpenFlow 1.0
	RawOFPST10AggregateRequest                // OFPST_AGGREGATE request, OpenFlow 1.0
	RawOFPST11AggregateRequest                // OFPST_AGGREGATE request, OpenFlow 1.1-1.4
	RawOFPST15AggregateRequest                // OFPST_AGGREGATE request, OpenFlow 1.5+
	RawNXSTAggregateRequest                   // NXST_AGGREGATE request, OpenFlow 1.0
	RawOFPSTAggregateReply                    // OFPST_AGGREGATE reply, OpenFlow 1.0-1.4
	RawOFPST15AggregateReply                  // OFPST_AGGREGATE reply, OpenFlow 1.5+
	RawNXSTAggregateReply                     // NXST_AGGREGATE reply, OpenFlow 1.0
	RawOFPSTTableRequest                      // OFPST_TABLE request, OpenFlow 1.0+
	RawOFPST10TableReply                      // OFPST_TABLE reply, OpenFlow 1.0
	RawOFPST11TableReply                      // OFPST_TABLE reply, OpenFlow 1.1
	RawOFPST12TableReply                      // OFPST_TABLE reply, OpenFlow 1.2
	RawOFPST13TableReply                      // OFPST_TABLE reply, OpenFlow 1.3+
	RawOFPST10PortRequest                     // OFPST_PORT request, OpenFlow 1.0
	RawOFPST11PortRequest                     // OFPST_PORT request, OpenFlow 1.1+
	RawOFPST10PortReply                       // OFPST_PORT reply, OpenFlow 1.0
	RawOFPST11PortReply                       // OFPST_PORT reply, OpenFlow 1.1-1.2
	RawOFPST13PortReply                       // OFPST_PORT reply, OpenFlow 1.3
	RawOFPST14PortReply                       // OFPST_PORT reply, OpenFlow 1.4+
	RawOFPST10QueueRequest                    // OFPST_QUEUE request, OpenFlow 1.0
	RawOFPST11QueueRequest                    // OFPST_QUEUE request, OpenFlow 1.1+
	RawOFPST10QueueReply                      // OFPST_QUEUE reply, OpenFlow 1.0
	RawOFPST11QueueReply                      // OFPST_QUEUE reply, OpenFlow 1.1-1.2
	RawOFPST13QueueReply                      // OFPST_QUEUE reply, OpenFlow 1.3
	RawOFPST14QueueReply                      // OFPST_QUEUE reply, OpenFlow 1.4+
	RawNXSTGroupRequest                       // NXST_GROUP request, OpenFlow 1.0
	RawOFPST11GroupRequest                    // OFPST_GROUP request, OpenFlow 1.1+
	RawNXSTGroupReply                         // NXST_GROUP reply, OpenFlow 1.0
	RawOFPST11GroupReply                      // OFPST_GROUP reply, OpenFlow 1.1-1.2
	RawOFPST13GroupReply                      // OFPST_GROUP reply, OpenFlow 1.3+
	RawNXSTGroupDescRequest                   // NXST_GROUP_DESC request, OpenFlow 1.0
	RawOFPST11GroupDescRequest                // OFPST_GROUP_DESC request, OpenFlow 1.1-1.4
	RawOFPST15GroupDescRequest                // OFPST_GROUP_DESC request, OpenFlow 1.5+
	RawNXSTGroupDescReply                     // NXST_GROUP_DESC reply, OpenFlow 1.0
	RawOFPST11GroupDescReply                  // OFPST_GROUP_DESC reply, OpenFlow 1.1+
	RawNXSTGroupFeaturesRequest               // NXST_GROUP_FEATURES request, OpenFlow 1.0-1.1
	RawOFPST12GroupFeaturesRequest            // OFPST_GROUP_FEATURES request, OpenFlow 1.2+
	RawNXSTGroupFeaturesReply                 // NXST_GROUP_FEATURES reply, OpenFlow 1.0-1.1
	RawOFPST12GroupFeaturesReply              // OFPST_GROUP_FEATURES reply, OpenFlow 1.2+
	RawOFPST13MeterRequest                    // OFPST_METER request, OpenFlow 1.3+
	RawOFPST13MeterReply                      // OFPST_METER reply, OpenFlow 1.3+
	RawOFPST13MeterConfigRequest              // OFPST_METER_CONFIG request, OpenFlow 1.3+
	RawOFPST13MeterConfigReply                // OFPST_METER_CONFIG reply, OpenFlow 1.3+
	RawOFPST13MeterFeaturesRequest            // OFPST_METER_FEATURES request, OpenFlow 1.3+
	RawOFPST13MeterFeaturesReply              // OFPST_METER_FEATURES reply, OpenFlow 1.3+
	RawOFPST13TableFeaturesRequest            // OFPST_TABLE_FEATURES request, OpenFlow 1.3+
	RawOFPST13TableFeaturesReply              // OFPST_TABLE_FEATURES reply, OpenFlow 1.3+
	RawOFPST14TableDescRequest                // OFPST_TABLE_DESC request, OpenFlow 1.4+
	RawOFPST14TableDescReply                  // OFPST_TABLE_DESC reply, OpenFlow 1.4+
	RawOFPST10PortDescRequest                 // OFPST_PORT_DESC request, OpenFlow 1.0-1.4
	RawOFPST15PortDescRequest                 // OFPST_PORT_DESC request, OpenFlow 1.5+
	RawOFPST10PortDescReply                   // OFPST_PORT_DESC reply, OpenFlow 1.0
	RawOFPST11PortDescReply                   // OFPST_PORT_DESC reply, OpenFlow 1.1-1.3
	RawOFPST14PortDescReply                   // OFPST_PORT_DESC reply, OpenFlow 1.4+
	RawOFPST14QueueDescRequest                // OFPST_QUEUE_DESC request, OpenFlow 1.4+
	RawOFPST14QueueDescReply                  // OFPST_QUEUE_DESC reply, OpenFlow 1.4+
	RawOFPST14FlowMonitorRequest              // OFPST_FLOW_MONITOR request, OpenFlow 1.4+
	RawONFST13FlowMonitorRequest              // ONFST_FLOW_MONITOR request, OpenFlow 1.3
	RawNXSTFlowMonitorRequest                 // NXST_FLOW_MONITOR request, OpenFlow 1.0-1.2
	RawOFPST14FlowMonitorReply                // OFPST_FLOW_MONITOR reply, OpenFlow 1.4+
	RawONFST13FlowMonitorReply                // ONFST_FLOW_MONITOR reply, OpenFlow 1.3
	RawNXSTFlowMonitorReply                   // NXST_FLOW_MONITOR reply, OpenFlow 1.0-1.2
	RawONFT13FlowMonitorCancel                // ONFT_FLOW_MONITOR_CANCEL, OpenFlow 1.3
	RawNXTFlowMonitorCancel                   // NXT_FLOW_MONITOR_CANCEL, OpenFlow 1.0-1.2
	RawONFT13FlowMonitorPaused                // ONFT_FLOW_MONITOR_PAUSED, OpenFlow 1.3
	RawNXTFlowMonitorPaused                   // NXT_FLOW_MONITOR_PAUSED, OpenFlow 1.0-1.2
	RawONFT13FlowMonitorResumed               // ONFT_FLOW_MONITOR_RESUMED, OpenFlow 1.3
	RawNXTFlowMonitorResumed                  // NXT_FLOW_MONITOR_RESUMED, OpenFlow 1.0-1.2
	RawNXTSetFlowFormat                       // NXT_SET_FLOW_FORMAT, OpenFlow 1.0
	RawNXTFlowModTableId                      // NXT_FLOW_MOD_TABLE_ID, OpenFlow 1.0+
	RawNXTSetPacketInFormat                   // NXT_SET_PACKET_IN_FORMAT, OpenFlow 1.0+
	RawNXTFlowAge                             // NXT_FLOW_AGE, OpenFlow 1.0+
	RawNXTSetControllerId                     // NXT_SET_CONTROLLER_ID, OpenFlow 1.0+
	RawNXTTlvTableMod                         // NXT_TLV_TABLE_MOD, OpenFlow 1.0+
	RawNXTTlvTableRequest                     // NXT_TLV_TABLE_REQUEST, OpenFlow 1.0+
	RawNXTTlvTableReply                       // NXT_TLV_TABLE_REPLY, OpenFlow 1.0+
	RawNXTResume                              // NXT_RESUME, OpenFlow 1.0+
	RawNXTCtFlushZone                         // NXT_CT_FLUSH_ZONE, OpenFlow 1.0+
	RawNXTCtFlush                             // NXT_CT_FLUSH, OpenFlow 1.0+
	RawNXSTIpfixBridgeRequest                 // NXST_IPFIX_BRIDGE request, OpenFlow 1.0+
	RawNXSTIpfixBridgeReply                   // NXST_IPFIX_BRIDGE reply, OpenFlow 1.0+
	RawNXSTIpfixFlowRequest                   // NXST_IPFIX_FLOW request, OpenFlow 1.0+
	RawNXSTIpfixFlowReply                     // NXST_IPFIX_FLOW reply, OpenFlow 1.0+
	nRaws
)

// rawTable has a row per layout: the class of its header, its number there, the
// versions that have it, the least size of the body and the unit by which the
// body may be longer (0: not at all).
var rawTable = [nRaws]rawInfo{
	RawOFPTHello:                   {classOFPT, 0, 1, 255, 0, 1, TypeHello, "OFPT_HELLO"},
	RawOFPTError:                   {classOFPT, 1, 1, 255, 4, 1, TypeError, "OFPT_ERROR"},
	RawOFPTEchoRequest:             {classOFPT, 2, 1, 255, 0, 1, TypeEchoRequest, "OFPT_ECHO_REQUEST"},
	RawOFPTEchoReply:               {classOFPT, 3, 1, 255, 0, 1, TypeEchoReply, "OFPT_ECHO_REPLY"},
	RawOFPTFeaturesRequest:         {classOFPT, 5, 1, 6, 0, 0, TypeFeaturesRequest, "OFPT_FEATURES_REQUEST"},
	RawOFPT10FeaturesReply:         {classOFPT, 6, 1, 1, 24, 48, TypeFeaturesReply, "OFPT_FEATURES_REPLY"},
	RawOFPT11FeaturesReply:         {classOFPT, 6, 2, 3, 24, 64, TypeFeaturesReply, "OFPT_FEATURES_REPLY"},
	RawOFPT13FeaturesReply:         {classOFPT, 6, 4, 6, 24, 0, TypeFeaturesReply, "OFPT_FEATURES_REPLY"},
	RawOFPTGetConfigRequest:        {classOFPT, 7, 1, 6, 0, 0, TypeGetConfigRequest, "OFPT_GET_CONFIG_REQUEST"},
	RawOFPTGetConfigReply:          {classOFPT, 8, 1, 6, 4, 0, TypeGetConfigReply, "OFPT_GET_CONFIG_REPLY"},
	RawOFPTSetConfig:               {classOFPT, 9, 1, 6, 4, 0, TypeSetConfig, "OFPT_SET_CONFIG"},
	RawOFPT10PacketIn:              {classOFPT, 10, 1, 1, 10, 1, TypePacketIn, "OFPT_PACKET_IN"},
	RawOFPT11PacketIn:              {classOFPT, 10, 2, 2, 16, 1, TypePacketIn, "OFPT_PACKET_IN"},
	RawOFPT12PacketIn:              {classOFPT, 10, 3, 3, 8, 1, TypePacketIn, "OFPT_PACKET_IN"},
	RawOFPT13PacketIn:              {classOFPT, 10, 4, 6, 16, 1, TypePacketIn, "OFPT_PACKET_IN"},
	RawNXTPacketIn:                 {classNXT, 17, 1, 6, 24, 1, TypePacketIn, "NXT_PACKET_IN"},
	RawNXTPacketIn2:                {classNXT, 30, 1, 6, 0, 8, TypePacketIn, "NXT_PACKET_IN2"},
	RawOFPT10FlowRemoved:           {classOFPT, 11, 1, 1, 80, 0, TypeFlowRemoved, "OFPT_FLOW_REMOVED"},
	RawOFPT11FlowRemoved:           {classOFPT, 11, 2, 5, 40, 8, TypeFlowRemoved, "OFPT_FLOW_REMOVED"},
	RawOFPT15FlowRemoved:           {classOFPT, 11, 6, 6, 16, 8, TypeFlowRemoved, "OFPT_FLOW_REMOVED"},
	RawNXTFlowRemoved:              {classNXT, 14, 1, 6, 40, 8, TypeFlowRemoved, "NXT_FLOW_REMOVED"},
	RawOFPT10PortStatus:            {classOFPT, 12, 1, 1, 56, 0, TypePortStatus, "OFPT_PORT_STATUS"},
	RawOFPT11PortStatus:            {classOFPT, 12, 2, 4, 72, 0, TypePortStatus, "OFPT_PORT_STATUS"},
	RawOFPT14PortStatus:            {classOFPT, 12, 5, 6, 48, 8, TypePortStatus, "OFPT_PORT_STATUS"},
	RawOFPT10PacketOut:             {classOFPT, 13, 1, 1, 8, 1, TypePacketOut, "OFPT_PACKET_OUT"},
	RawOFPT11PacketOut:             {classOFPT, 13, 2, 5, 16, 1, TypePacketOut, "OFPT_PACKET_OUT"},
	RawOFPT15PacketOut:             {classOFPT, 13, 6, 6, 8, 1, TypePacketOut, "OFPT_PACKET_OUT"},
	RawOFPT10FlowMod:               {classOFPT, 14, 1, 1, 64, 8, TypeFlowMod, "OFPT_FLOW_MOD"},
	RawOFPT11FlowMod:               {classOFPT, 14, 2, 6, 40, 8, TypeFlowMod, "OFPT_FLOW_MOD"},
	RawNXTFlowMod:                  {classNXT, 13, 1, 6, 32, 8, TypeFlowMod, "NXT_FLOW_MOD"},
	RawNXTGroupMod:                 {classNXT, 31, 1, 1, 16, 8, TypeGroupMod, "NXT_GROUP_MOD"},
	RawOFPT11GroupMod:              {classOFPT, 15, 2, 5, 8, 8, TypeGroupMod, "OFPT_GROUP_MOD"},
	RawOFPT15GroupMod:              {classOFPT, 15, 6, 6, 16, 8, TypeGroupMod, "OFPT_GROUP_MOD"},
	RawOFPT10PortMod:               {classOFPT, 15, 1, 1, 24, 0, TypePortMod, "OFPT_PORT_MOD"},
	RawOFPT11PortMod:               {classOFPT, 16, 2, 4, 32, 0, TypePortMod, "OFPT_PORT_MOD"},
	RawOFPT14PortMod:               {classOFPT, 16, 5, 6, 24, 8, TypePortMod, "OFPT_PORT_MOD"},
	RawOFPT11TableMod:              {classOFPT, 17, 2, 4, 8, 0, TypeTableMod, "OFPT_TABLE_MOD"},
	RawOFPT14TableMod:              {classOFPT, 17, 5, 6, 8, 8, TypeTableMod, "OFPT_TABLE_MOD"},
	RawOFPT10BarrierRequest:        {classOFPT, 18, 1, 1, 0, 0, TypeBarrierRequest, "OFPT_BARRIER_REQUEST"},
	RawOFPT11BarrierRequest:        {classOFPT, 20, 2, 6, 0, 0, TypeBarrierRequest, "OFPT_BARRIER_REQUEST"},
	RawOFPT10BarrierReply:          {classOFPT, 19, 1, 1, 0, 0, TypeBarrierReply, "OFPT_BARRIER_REPLY"},
	RawOFPT11BarrierReply:          {classOFPT, 21, 2, 6, 0, 0, TypeBarrierReply, "OFPT_BARRIER_REPLY"},
	RawOFPT10QueueGetConfigRequest: {classOFPT, 20, 1, 1, 4, 0, TypeQueueGetConfigRequest, "OFPT_QUEUE_GET_CONFIG_REQUEST"},
	RawOFPT11QueueGetConfigRequest: {classOFPT, 22, 2, 4, 8, 0, TypeQueueGetConfigRequest, "OFPT_QUEUE_GET_CONFIG_REQUEST"},
	RawOFPT10QueueGetConfigReply:   {classOFPT, 21, 1, 1, 8, 8, TypeQueueGetConfigReply, "OFPT_QUEUE_GET_CONFIG_REPLY"},
	RawOFPT11QueueGetConfigReply:   {classOFPT, 23, 2, 4, 8, 8, TypeQueueGetConfigReply, "OFPT_QUEUE_GET_CONFIG_REPLY"},
	RawOFPT12RoleRequest:           {classOFPT, 24, 3, 6, 16, 0, TypeRoleRequest, "OFPT_ROLE_REQUEST"},
	RawNXTRoleRequest:              {classNXT, 10, 1, 6, 4, 0, TypeRoleRequest, "NXT_ROLE_REQUEST"},
	RawOFPT12RoleReply:             {classOFPT, 25, 3, 6, 16, 0, TypeRoleReply, "OFPT_ROLE_REPLY"},
	RawNXTRoleReply:                {classNXT, 11, 1, 6, 4, 0, TypeRoleReply, "NXT_ROLE_REPLY"},
	RawOFPT13GetAsyncRequest:       {classOFPT, 26, 4, 4, 0, 0, TypeGetAsyncRequest, "OFPT_GET_ASYNC_REQUEST"},
	RawOFPT14GetAsyncRequest:       {classOFPT, 26, 5, 6, 0, 0, TypeGetAsyncRequest, "OFPT_GET_ASYNC_REQUEST"},
	RawOFPT13GetAsyncReply:         {classOFPT, 27, 4, 4, 24, 0, TypeGetAsyncReply, "OFPT_GET_ASYNC_REPLY"},
	RawOFPT14GetAsyncReply:         {classOFPT, 27, 5, 6, 0, 8, TypeGetAsyncReply, "OFPT_GET_ASYNC_REPLY"},
	RawOFPT13SetAsync:              {classOFPT, 28, 4, 4, 24, 0, TypeSetAsyncConfig, "OFPT_SET_ASYNC"},
	RawNXTSetAsyncConfig:           {classNXT, 19, 1, 6, 24, 0, TypeSetAsyncConfig, "NXT_SET_ASYNC_CONFIG"},
	RawNXTSetAsyncConfig2:          {classNXT, 27, 1, 4, 0, 8, TypeSetAsyncConfig, "NXT_SET_ASYNC_CONFIG2"},
	RawOFPT14SetAsync:              {classOFPT, 28, 5, 6, 0, 8, TypeSetAsyncConfig, "OFPT_SET_ASYNC"},
	RawOFPT13MeterMod:              {classOFPT, 29, 4, 6, 8, 8, TypeMeterMod, "OFPT_METER_MOD"},
	RawONFT13RoleStatus:            {classONFT, 1911, 4, 4, 16, 8, TypeRoleStatus, "ONFT_ROLE_STATUS"},
	RawOFPT14RoleStatus:            {classOFPT, 30, 5, 6, 16, 8, TypeRoleStatus, "OFPT_ROLE_STATUS"},
	RawOFPT14TableStatus:           {classOFPT, 31, 5, 6, 8, 8, TypeTableStatus, "OFPT_TABLE_STATUS"},
	RawNXTRequestforward:           {classNXT, 132, 1, 3, 8, 8, TypeRequestforward, "NXT_REQUESTFORWARD"},
	RawONFT13Requestforward:        {classONFT, 2350, 4, 4, 8, 8, TypeRequestforward, "ONFT_REQUESTFORWARD"},
	RawOFPT14Requestforward:        {classOFPT, 32, 5, 6, 8, 8, TypeRequestforward, "OFPT_REQUESTFORWARD"},
	RawOFPT14BundleControl:         {classOFPT, 33, 5, 6, 8, 8, TypeBundleControl, "OFPT_BUNDLE_CONTROL"},
	RawONFT13BundleControl:         {classONFT, 2300, 4, 4, 8, 8, TypeBundleControl, "ONFT_BUNDLE_CONTROL"},
	RawOFPT14BundleAddMessage:      {classOFPT, 34, 5, 6, 8, 1, TypeBundleAddMessage, "OFPT_BUNDLE_ADD_MESSAGE"},
	RawONFT13BundleAddMessage:      {classONFT, 2301, 4, 4, 8, 1, TypeBundleAddMessage, "ONFT_BUNDLE_ADD_MESSAGE"},
	RawOFPSTDescRequest:            {classOFPST, 0, 1, 6, 0, 0, TypeDescStatsRequest, "OFPST_DESC request"},
	RawOFPSTDescReply:              {classOFPST, 0, 1, 6, 1056, 0, TypeDescStatsReply, "OFPST_DESC reply"},
	RawOFPST10FlowRequest:          {classOFPST, 1, 1, 1, 44, 0, TypeFlowStatsRequest, "OFPST_FLOW request"},
	RawOFPST11FlowRequest:          {classOFPST, 1, 2, 6, 32, 8, TypeFlowStatsRequest, "OFPST_FLOW request"},
	RawNXSTFlowRequest:             {classNXST, 0, 1, 1, 8, 8, TypeFlowStatsRequest, "NXST_FLOW request"},
	RawOFPST10FlowReply:            {classOFPST, 1, 1, 1, 0, 1, TypeFlowStatsReply, "OFPST_FLOW reply"},
	RawOFPST11FlowReply:            {classOFPST, 1, 2, 3, 0, 1, TypeFlowStatsReply, "OFPST_FLOW reply"},
	RawOFPST13FlowReply:            {classOFPST, 1, 4, 5, 0, 1, TypeFlowStatsReply, "OFPST_FLOW reply"},
	RawOFPST15FlowReply:            {classOFPST, 1, 6, 6, 0, 1, TypeFlowStatsReply, "OFPST_FLOW reply"},
	RawNXSTFlowReply:               {classNXST, 0, 1, 1, 0, 1, TypeFlowStatsReply, "NXST_FLOW reply"},
	RawOFPST10AggregateRequest:     {classOFPST, 2, 1, 1, 44, 0, TypeAggregateStatsRequest, "OFPST_AGGREGATE request"},
	RawOFPST11AggregateRequest:     {classOFPST, 2, 2, 5, 32, 8, TypeAggregateStatsRequest, "OFPST_AGGREGATE request"},
	RawOFPST15AggregateRequest:     {classOFPST, 2, 6, 6, 32, 8, TypeAggregateStatsRequest, "OFPST_AGGREGATE request"},
	RawNXSTAggregateRequest:        {classNXST, 1, 1, 1, 8, 8, TypeAggregateStatsRequest, "NXST_AGGREGATE request"},
	RawOFPSTAggregateReply:         {classOFPST, 2, 1, 5, 24, 0, TypeAggregateStatsReply, "OFPST_AGGREGATE reply"},
	RawOFPST15AggregateReply:       {classOFPST, 2, 6, 6, 0, 1, TypeAggregateStatsReply, "OFPST_AGGREGATE reply"},
	RawNXSTAggregateReply:          {classNXST, 1, 1, 1, 24, 0, TypeAggregateStatsReply, "NXST_AGGREGATE reply"},
	RawOFPSTTableRequest:           {classOFPST, 3, 1, 6, 0, 0, TypeTableStatsRequest, "OFPST_TABLE request"},
	RawOFPST10TableReply:           {classOFPST, 3, 1, 1, 0, 64, TypeTableStatsReply, "OFPST_TABLE reply"},
	RawOFPST11TableReply:           {classOFPST, 3, 2, 2, 0, 88, TypeTableStatsReply, "OFPST_TABLE reply"},
	RawOFPST12TableReply:           {classOFPST, 3, 3, 3, 0, 128, TypeTableStatsReply, "OFPST_TABLE reply"},
	RawOFPST13TableReply:           {classOFPST, 3, 4, 6, 0, 24, TypeTableStatsReply, "OFPST_TABLE reply"},
	RawOFPST10PortRequest:          {classOFPST, 4, 1, 1, 8, 0, TypePortStatsRequest, "OFPST_PORT request"},
	RawOFPST11PortRequest:          {classOFPST, 4, 2, 6, 8, 0, TypePortStatsRequest, "OFPST_PORT request"},
	RawOFPST10PortReply:            {classOFPST, 4, 1, 1, 0, 104, TypePortStatsReply, "OFPST_PORT reply"},
	RawOFPST11PortReply:            {classOFPST, 4, 2, 3, 0, 104, TypePortStatsReply, "OFPST_PORT reply"},
	RawOFPST13PortReply:            {classOFPST, 4, 4, 4, 0, 112, TypePortStatsReply, "OFPST_PORT reply"},
	RawOFPST14PortReply:            {classOFPST, 4, 5, 6, 0, 8, TypePortStatsReply, "OFPST_PORT reply"},
	RawOFPST10QueueRequest:         {classOFPST, 5, 1, 1, 8, 0, TypeQueueStatsRequest, "OFPST_QUEUE request"},
	RawOFPST11QueueRequest:         {classOFPST, 5, 2, 6, 8, 0, TypeQueueStatsRequest, "OFPST_QUEUE request"},
	RawOFPST10QueueReply:           {classOFPST, 5, 1, 1, 0, 32, TypeQueueStatsReply, "OFPST_QUEUE reply"},
	RawOFPST11QueueReply:           {classOFPST, 5, 2, 3, 0, 32, TypeQueueStatsReply, "OFPST_QUEUE reply"},
	RawOFPST13QueueReply:           {classOFPST, 5, 4, 4, 0, 40, TypeQueueStatsReply, "OFPST_QUEUE reply"},
	RawOFPST14QueueReply:           {classOFPST, 5, 5, 6, 0, 8, TypeQueueStatsReply, "OFPST_QUEUE reply"},
	RawNXSTGroupRequest:            {classNXST, 7, 1, 1, 8, 0, TypeGroupStatsRequest, "NXST_GROUP request"},
	RawOFPST11GroupRequest:         {classOFPST, 6, 2, 6, 8, 0, TypeGroupStatsRequest, "OFPST_GROUP request"},
	RawNXSTGroupReply:              {classNXST, 7, 1, 1, 0, 8, TypeGroupStatsReply, "NXST_GROUP reply"},
	RawOFPST11GroupReply:           {classOFPST, 6, 2, 3, 0, 8, TypeGroupStatsReply, "OFPST_GROUP reply"},
	RawOFPST13GroupReply:           {classOFPST, 6, 4, 6, 0, 8, TypeGroupStatsReply, "OFPST_GROUP reply"},
	RawNXSTGroupDescRequest:        {classNXST, 8, 1, 1, 8, 0, TypeGroupDescStatsRequest, "NXST_GROUP_DESC request"},
	RawOFPST11GroupDescRequest:     {classOFPST, 7, 2, 5, 0, 0, TypeGroupDescStatsRequest, "OFPST_GROUP_DESC request"},
	RawOFPST15GroupDescRequest:     {classOFPST, 7, 6, 6, 8, 0, TypeGroupDescStatsRequest, "OFPST_GROUP_DESC request"},
	RawNXSTGroupDescReply:          {classNXST, 8, 1, 1, 0, 8, TypeGroupDescStatsReply, "NXST_GROUP_DESC reply"},
	RawOFPST11GroupDescReply:       {classOFPST, 7, 2, 6, 0, 8, TypeGroupDescStatsReply, "OFPST_GROUP_DESC reply"},
	RawNXSTGroupFeaturesRequest:    {classNXST, 9, 1, 2, 0, 0, TypeGroupFeaturesStatsRequest, "NXST_GROUP_FEATURES request"},
	RawOFPST12GroupFeaturesRequest: {classOFPST, 8, 3, 6, 0, 0, TypeGroupFeaturesStatsRequest, "OFPST_GROUP_FEATURES request"},
	RawNXSTGroupFeaturesReply:      {classNXST, 9, 1, 2, 40, 0, TypeGroupFeaturesStatsReply, "NXST_GROUP_FEATURES reply"},
	RawOFPST12GroupFeaturesReply:   {classOFPST, 8, 3, 6, 40, 0, TypeGroupFeaturesStatsReply, "OFPST_GROUP_FEATURES reply"},
	RawOFPST13MeterRequest:         {classOFPST, 9, 4, 6, 8, 0, TypeMeterStatsRequest, "OFPST_METER request"},
	RawOFPST13MeterReply:           {classOFPST, 9, 4, 6, 0, 8, TypeMeterStatsReply, "OFPST_METER reply"},
	RawOFPST13MeterConfigRequest:   {classOFPST, 10, 4, 6, 8, 0, TypeMeterConfigStatsRequest, "OFPST_METER_CONFIG request"},
	RawOFPST13MeterConfigReply:     {classOFPST, 10, 4, 6, 0, 8, TypeMeterConfigStatsReply, "OFPST_METER_CONFIG reply"},
	RawOFPST13MeterFeaturesRequest: {classOFPST, 11, 4, 6, 0, 0, TypeMeterFeaturesStatsRequest, "OFPST_METER_FEATURES request"},
	RawOFPST13MeterFeaturesReply:   {classOFPST, 11, 4, 6, 16, 0, TypeMeterFeaturesStatsReply, "OFPST_METER_FEATURES reply"},
	RawOFPST13TableFeaturesRequest: {classOFPST, 12, 4, 6, 0, 8, TypeTableFeaturesStatsRequest, "OFPST_TABLE_FEATURES request"},
	RawOFPST13TableFeaturesReply:   {classOFPST, 12, 4, 6, 64, 8, TypeTableFeaturesStatsReply, "OFPST_TABLE_FEATURES reply"},
	RawOFPST14TableDescRequest:     {classOFPST, 14, 5, 6, 0, 0, TypeTableDescRequest, "OFPST_TABLE_DESC request"},
	RawOFPST14TableDescReply:       {classOFPST, 14, 5, 6, 8, 8, TypeTableDescReply, "OFPST_TABLE_DESC reply"},
	RawOFPST10PortDescRequest:      {classOFPST, 13, 1, 5, 0, 0, TypePortDescStatsRequest, "OFPST_PORT_DESC request"},
	RawOFPST15PortDescRequest:      {classOFPST, 13, 6, 6, 8, 0, TypePortDescStatsRequest, "OFPST_PORT_DESC request"},
	RawOFPST10PortDescReply:        {classOFPST, 13, 1, 1, 0, 48, TypePortDescStatsReply, "OFPST_PORT_DESC reply"},
	RawOFPST11PortDescReply:        {classOFPST, 13, 2, 4, 0, 64, TypePortDescStatsReply, "OFPST_PORT_DESC reply"},
	RawOFPST14PortDescReply:        {classOFPST, 13, 5, 6, 0, 8, TypePortDescStatsReply, "OFPST_PORT_DESC reply"},
	RawOFPST14QueueDescRequest:     {classOFPST, 15, 5, 6, 8, 0, TypeQueueGetConfigRequest, "OFPST_QUEUE_DESC request"},
	RawOFPST14QueueDescReply:       {classOFPST, 15, 5, 6, 0, 8, TypeQueueGetConfigReply, "OFPST_QUEUE_DESC reply"},
	RawOFPST14FlowMonitorRequest:   {classOFPST, 16, 5, 6, 0, 8, TypeFlowMonitorStatsRequest, "OFPST_FLOW_MONITOR request"},
	RawONFST13FlowMonitorRequest:   {classONFST, 1870, 4, 4, 0, 8, TypeFlowMonitorStatsRequest, "ONFST_FLOW_MONITOR request"},
	RawNXSTFlowMonitorRequest:      {classNXST, 2, 1, 3, 0, 8, TypeFlowMonitorStatsRequest, "NXST_FLOW_MONITOR request"},
	RawOFPST14FlowMonitorReply:     {classOFPST, 16, 5, 6, 0, 8, TypeFlowMonitorStatsReply, "OFPST_FLOW_MONITOR reply"},
	RawONFST13FlowMonitorReply:     {classONFST, 1870, 4, 4, 0, 8, TypeFlowMonitorStatsReply, "ONFST_FLOW_MONITOR reply"},
	RawNXSTFlowMonitorReply:        {classNXST, 2, 1, 3, 0, 8, TypeFlowMonitorStatsReply, "NXST_FLOW_MONITOR reply"},
	RawONFT13FlowMonitorCancel:     {classONFT, 1870, 4, 4, 4, 0, TypeFlowMonitorCancel, "ONFT_FLOW_MONITOR_CANCEL"},
	RawNXTFlowMonitorCancel:        {classNXT, 21, 1, 3, 4, 0, TypeFlowMonitorCancel, "NXT_FLOW_MONITOR_CANCEL"},
	RawONFT13FlowMonitorPaused:     {classONFT, 1871, 4, 4, 0, 0, TypeFlowMonitorPaused, "ONFT_FLOW_MONITOR_PAUSED"},
	RawNXTFlowMonitorPaused:        {classNXT, 22, 1, 3, 0, 0, TypeFlowMonitorPaused, "NXT_FLOW_MONITOR_PAUSED"},
	RawONFT13FlowMonitorResumed:    {classONFT, 1872, 4, 4, 0, 0, TypeFlowMonitorResumed, "ONFT_FLOW_MONITOR_RESUMED"},
	RawNXTFlowMonitorResumed:       {classNXT, 23, 1, 3, 0, 0, TypeFlowMonitorResumed, "NXT_FLOW_MONITOR_RESUMED"},
	RawNXTSetFlowFormat:            {classNXT, 12, 1, 1, 4, 0, TypeSetFlowFormat, "NXT_SET_FLOW_FORMAT"},
	RawNXTFlowModTableId:           {classNXT, 15, 1, 6, 8, 0, TypeFlowModTableId, "NXT_FLOW_MOD_TABLE_ID"},
	RawNXTSetPacketInFormat:        {classNXT, 16, 1, 6, 4, 0, TypeSetPacketInFormat, "NXT_SET_PACKET_IN_FORMAT"},
	RawNXTFlowAge:                  {classNXT, 18, 1, 6, 0, 0, TypeFlowAge, "NXT_FLOW_AGE"},
	RawNXTSetControllerId:          {classNXT, 20, 1, 6, 8, 0, TypeSetControllerId, "NXT_SET_CONTROLLER_ID"},
	RawNXTTlvTableMod:              {classNXT, 24, 1, 6, 8, 8, TypeNxtTlvTableMod, "NXT_TLV_TABLE_MOD"},
	RawNXTTlvTableRequest:          {classNXT, 25, 1, 6, 0, 0, TypeNxtTlvTableRequest, "NXT_TLV_TABLE_REQUEST"},
	RawNXTTlvTableReply:            {classNXT, 26, 1, 6, 16, 8, TypeNxtTlvTableReply, "NXT_TLV_TABLE_REPLY"},
	RawNXTResume:                   {classNXT, 28, 1, 6, 0, 8, TypeNxtResume, "NXT_RESUME"},
	RawNXTCtFlushZone:              {classNXT, 29, 1, 6, 8, 0, TypeCtFlushZone, "NXT_CT_FLUSH_ZONE"},
	RawNXTCtFlush:                  {classNXT, 32, 1, 6, 8, 8, TypeCtFlush, "NXT_CT_FLUSH"},
	RawNXSTIpfixBridgeRequest:      {classNXST, 3, 1, 6, 0, 0, TypeIpfixBridgeStatsRequest, "NXST_IPFIX_BRIDGE request"},
	RawNXSTIpfixBridgeReply:        {classNXST, 3, 1, 6, 88, 0, TypeIpfixBridgeStatsReply, "NXST_IPFIX_BRIDGE reply"},
	RawNXSTIpfixFlowRequest:        {classNXST, 4, 1, 6, 0, 0, TypeIpfixFlowStatsRequest, "NXST_IPFIX_FLOW request"},
	RawNXSTIpfixFlowReply:          {classNXST, 4, 1, 6, 0, 88, TypeIpfixFlowStatsReply, "NXST_IPFIX_FLOW reply"},
}

// typeNames are the names that logs and tools print for a Type.
var typeNames = [nTypes]string{
	TypeInvalid:                   "invalid",
	TypeHello:                     "OFPT_HELLO",
	TypeError:                     "OFPT_ERROR",
	TypeEchoRequest:               "OFPT_ECHO_REQUEST",
	TypeEchoReply:                 "OFPT_ECHO_REPLY",
	TypeFeaturesRequest:           "OFPT_FEATURES_REQUEST",
	TypeFeaturesReply:             "OFPT_FEATURES_REPLY",
	TypeGetConfigRequest:          "OFPT_GET_CONFIG_REQUEST",
	TypeGetConfigReply:            "OFPT_GET_CONFIG_REPLY",
	TypeSetConfig:                 "OFPT_SET_CONFIG",
	TypePacketIn:                  "OFPT_PACKET_IN",
	TypeFlowRemoved:               "OFPT_FLOW_REMOVED",
	TypePortStatus:                "OFPT_PORT_STATUS",
	TypePacketOut:                 "OFPT_PACKET_OUT",
	TypeFlowMod:                   "OFPT_FLOW_MOD",
	TypeGroupMod:                  "NXT_GROUP_MOD",
	TypePortMod:                   "OFPT_PORT_MOD",
	TypeTableMod:                  "OFPT_TABLE_MOD",
	TypeBarrierRequest:            "OFPT_BARRIER_REQUEST",
	TypeBarrierReply:              "OFPT_BARRIER_REPLY",
	TypeQueueGetConfigRequest:     "OFPT_QUEUE_GET_CONFIG_REQUEST",
	TypeQueueGetConfigReply:       "OFPT_QUEUE_GET_CONFIG_REPLY",
	TypeRoleRequest:               "OFPT_ROLE_REQUEST",
	TypeRoleReply:                 "OFPT_ROLE_REPLY",
	TypeGetAsyncRequest:           "OFPT_GET_ASYNC_REQUEST",
	TypeGetAsyncReply:             "OFPT_GET_ASYNC_REPLY",
	TypeSetAsyncConfig:            "NXT_SET_ASYNC_CONFIG",
	TypeMeterMod:                  "OFPT_METER_MOD",
	TypeRoleStatus:                "ONFT_ROLE_STATUS",
	TypeRequestforward:            "NXT_REQUESTFORWARD",
	TypeTableStatus:               "OFPT_TABLE_STATUS",
	TypeBundleControl:             "OFPT_BUNDLE_CONTROL",
	TypeBundleAddMessage:          "OFPT_BUNDLE_ADD_MESSAGE",
	TypeDescStatsRequest:          "OFPST_DESC request",
	TypeDescStatsReply:            "OFPST_DESC reply",
	TypeFlowStatsRequest:          "OFPST_FLOW request",
	TypeFlowStatsReply:            "OFPST_FLOW reply",
	TypeAggregateStatsRequest:     "OFPST_AGGREGATE request",
	TypeAggregateStatsReply:       "OFPST_AGGREGATE reply",
	TypeTableStatsRequest:         "OFPST_TABLE request",
	TypeTableStatsReply:           "OFPST_TABLE reply",
	TypePortStatsRequest:          "OFPST_PORT request",
	TypePortStatsReply:            "OFPST_PORT reply",
	TypeQueueStatsRequest:         "OFPST_QUEUE request",
	TypeQueueStatsReply:           "OFPST_QUEUE reply",
	TypeGroupStatsRequest:         "NXST_GROUP request",
	TypeGroupStatsReply:           "NXST_GROUP reply",
	TypeGroupDescStatsRequest:     "NXST_GROUP_DESC request",
	TypeGroupDescStatsReply:       "NXST_GROUP_DESC reply",
	TypeGroupFeaturesStatsRequest: "NXST_GROUP_FEATURES request",
	TypeGroupFeaturesStatsReply:   "NXST_GROUP_FEATURES reply",
	TypeMeterStatsRequest:         "OFPST_METER request",
	TypeMeterStatsReply:           "OFPST_METER reply",
	TypeMeterConfigStatsRequest:   "OFPST_METER_CONFIG request",
	TypeMeterConfigStatsReply:     "OFPST_METER_CONFIG reply",
	TypeMeterFeaturesStatsRequest: "OFPST_METER_FEATURES request",
	TypeMeterFeaturesStatsReply:   "OFPST_METER_FEATURES reply",
	TypeTableFeaturesStatsRequest: "OFPST_TABLE_FEATURES request",
	TypeTableFeaturesStatsReply:   "OFPST_TABLE_FEATURES reply",
	TypeTableDescRequest:          "OFPST_TABLE_DESC request",
	TypeTableDescReply:            "OFPST_TABLE_DESC reply",
	TypePortDescStatsRequest:      "OFPST_PORT_DESC request",
	TypePortDescStatsReply:        "OFPST_PORT_DESC reply",
	TypeFlowMonitorStatsRequest:   "OFPST_FLOW_MONITOR request",
	TypeFlowMonitorStatsReply:     "OFPST_FLOW_MONITOR reply",
	TypeSetFlowFormat:             "NXT_SET_FLOW_FORMAT",
	TypeFlowModTableId:            "NXT_FLOW_MOD_TABLE_ID",
	TypeSetPacketInFormat:         "NXT_SET_PACKET_IN_FORMAT",
	TypeFlowAge:                   "NXT_FLOW_AGE",
	TypeSetControllerId:           "NXT_SET_CONTROLLER_ID",
	TypeNxtTlvTableMod:            "NXT_TLV_TABLE_MOD",
	TypeNxtTlvTableRequest:        "NXT_TLV_TABLE_REQUEST",
	TypeNxtTlvTableReply:          "NXT_TLV_TABLE_REPLY",
	TypeNxtResume:                 "NXT_RESUME",
	TypeIpfixBridgeStatsRequest:   "NXST_IPFIX_BRIDGE request",
	TypeIpfixBridgeStatsReply:     "NXST_IPFIX_BRIDGE reply",
	TypeIpfixFlowStatsRequest:     "NXST_IPFIX_FLOW request",
	TypeIpfixFlowStatsReply:       "NXST_IPFIX_FLOW reply",
	TypeCtFlushZone:               "NXT_CT_FLUSH_ZONE",
	TypeCtFlush:                   "NXT_CT_FLUSH",
	TypeFlowMonitorCancel:         "NXT_FLOW_MONITOR_CANCEL",
	TypeFlowMonitorPaused:         "NXT_FLOW_MONITOR_PAUSED",
	TypeFlowMonitorResumed:        "NXT_FLOW_MONITOR_RESUMED",
}
