package ofproto

import (
	"sluice/ofproto/classifier"
	"sluice/ofproto/connmgr"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/table"
)

var defaultPrefixes = classifier.DefaultPrefixes

// request is a message that is being handled.
type request struct {
	*connmgr.Conn
	h   ofp.Header
	raw []byte
	msg ofp.Msg
	now int64
}

func (r *request) requester() table.Requester { return table.Requester{Conn: r.Conn, XID: r.h.XID} }

// reply answers the request.
func (r *request) reply(m ofp.Msg) { r.Reply(r.h.XID, m) }

// handlers has the handler of each type of request.  Those in writes are refused from
// secondary controllers.
var (
	handlers [256]func(*Switch, *request) error
	writes   [256]bool
)

func init() {
	for t, h := range map[ofp.Type]func(*Switch, *request) error{
		ofp.TypeEchoRequest:               (*Switch).handleEcho,
		ofp.TypeEchoReply:                 ignore,
		ofp.TypeFeaturesRequest:           (*Switch).handleFeatures,
		ofp.TypeGetConfigRequest:          (*Switch).handleGetConfig,
		ofp.TypeSetConfig:                 (*Switch).handleSetConfig,
		ofp.TypeBarrierRequest:            (*Switch).handleBarrier,
		ofp.TypeRoleRequest:               (*Switch).handleRole,
		ofp.TypeFlowModTableId:            (*Switch).handleFlowModTableID,
		ofp.TypeSetFlowFormat:             (*Switch).handleSetFlowFormat,
		ofp.TypeSetPacketInFormat:         (*Switch).handleSetPacketInFormat,
		ofp.TypeSetControllerId:           (*Switch).handleSetControllerID,
		ofp.TypeFlowAge:                   ignore,
		ofp.TypeSetAsyncConfig:            (*Switch).handleSetAsync,
		ofp.TypeGetAsyncRequest:           (*Switch).handleGetAsync,
		ofp.TypeFlowMonitorCancel:         (*Switch).handleMonitorCancel,
		ofp.TypeNxtResume:                 (*Switch).handleResume,
		ofp.TypeDescStatsRequest:          (*Switch).handleDesc,
		ofp.TypeFlowStatsRequest:          (*Switch).handleFlowStats,
		ofp.TypeAggregateStatsRequest:     (*Switch).handleAggregate,
		ofp.TypeTableStatsRequest:         (*Switch).handleTableStats,
		ofp.TypeTableDescRequest:          (*Switch).handleTableDesc,
		ofp.TypePortStatsRequest:          (*Switch).handlePortStats,
		ofp.TypePortDescStatsRequest:      (*Switch).handlePortDesc,
		ofp.TypeQueueStatsRequest:         (*Switch).handleQueueStats,
		ofp.TypeQueueGetConfigRequest:     (*Switch).handleQueueConfig,
		ofp.TypeMeterStatsRequest:         (*Switch).handleMeterStats,
		ofp.TypeMeterConfigStatsRequest:   (*Switch).handleMeterConfig,
		ofp.TypeMeterFeaturesStatsRequest: (*Switch).handleMeterFeatures,
		ofp.TypeGroupStatsRequest:         (*Switch).handleGroupStats,
		ofp.TypeGroupDescStatsRequest:     (*Switch).handleGroupDesc,
		ofp.TypeGroupFeaturesStatsRequest: (*Switch).handleGroupFeatures,
		ofp.TypeNxtTlvTableRequest:        (*Switch).handleTLVTable,
		ofp.TypeIpfixBridgeStatsRequest:   (*Switch).handleIPFIX,
		ofp.TypeIpfixFlowStatsRequest:     (*Switch).handleIPFIX,
		ofp.TypeCtFlushZone:               (*Switch).handleCTFlushZone,
		ofp.TypeCtFlush:                   (*Switch).handleCTFlush,
	} {
		handlers[t] = h
	}
	for t, h := range map[ofp.Type]func(*Switch, *request) error{
		ofp.TypePacketOut:        (*Switch).handlePacketOut,
		ofp.TypePortMod:          (*Switch).handlePortMod,
		ofp.TypeFlowMod:          (*Switch).handleFlowMod,
		ofp.TypeGroupMod:         (*Switch).handleGroupMod,
		ofp.TypeTableMod:         (*Switch).handleTableMod,
		ofp.TypeMeterMod:         (*Switch).handleMeterMod,
		ofp.TypeBundleControl:    (*Switch).handleBundleControl,
		ofp.TypeBundleAddMessage: (*Switch).handleBundleAdd,
		ofp.TypeNxtTlvTableMod:   (*Switch).handleTLVTableMod,
	} {
		handlers[t], writes[t] = h, true
	}
}

func ignore(*Switch, *request) error { return nil }

// handle does a request; several messages are the parts of one.
func (sw *Switch) handle(c *connmgr.Conn, msgs [][]byte) {
	cRecvOF.Inc()
	if err := sw.dispatch(c, msgs); err != nil {
		c.SendError(msgs[0], err)
	}
}

func (sw *Switch) dispatch(c *connmgr.Conn, msgs [][]byte) error {
	h, err := ofp.DecodePartialHeader(msgs[0])
	if err != nil {
		return err
	}
	switch h.Type {
	case ofp.TypeTableFeaturesStatsRequest:
		sw.handleTableFeatures(c, msgs)
		return nil
	case ofp.TypeFlowMonitorStatsRequest:
		sw.handleFlowMonitor(c, msgs)
		return nil
	}
	if len(msgs) > 1 {
		return oferr.OFPBRC_BAD_STAT
	}
	fn := handlers[h.Type]
	if fn == nil {
		return unsupported(msgs[0])
	}
	if writes[h.Type] && c.Role() == ofp.RoleSecondary {
		return oferr.OFPBRC_IS_SECONDARY
	}
	r := &request{Conn: c, raw: msgs[0], now: c.Now()}
	ctx := sw.context(c)
	if r.h, r.msg, err = ctx.Decode(msgs[0]); err != nil {
		return err
	}
	return fn(sw, r)
}

// context is what decoding a request of c depends on.
func (sw *Switch) context(c *connmgr.Conn) *ofp.Context {
	sw.dec.Protocol, sw.dec.Tun, sw.dec.MaxPort, sw.dec.NTables = c.Protocol(), sw.tun, maxPorts, table.NTables
	sw.dec.ReuseFlowMod = true // the tables copy what they keep
	return &sw.dec
}

// unsupported is the error for messages that are known but are not for switches.
func unsupported(b []byte) error {
	if connmgr.IsMultipartRequest(b) {
		return oferr.OFPBRC_BAD_STAT
	}
	return oferr.OFPBRC_BAD_TYPE
}
