package ofproto

import (
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/oferr"
)

// This file has the requests about the switch as a whole and about the connection.

// Version is what the switch calls itself in descriptions.
const Version = "3.1.0"

func (sw *Switch) handleEcho(r *request) error {
	r.reply(&ofp.EchoReply{Data: r.msg.(*ofp.EchoRequest).Data})
	return nil
}

func (sw *Switch) handleBarrier(r *request) error {
	r.reply(&ofp.Empty{Kind: ofp.TypeBarrierReply})
	return nil
}

func (sw *Switch) handleFeatures(r *request) error {
	m := &ofp.FeaturesReply{
		DatapathID: sw.cfg.DatapathID,
		NTables:    254,
		Capabilities: ofp.CapFlowStats | ofp.CapTableStats | ofp.CapPortStats | ofp.CapQueueStats |
			ofp.CapGroupStats | ofp.CapBundles | ofp.CapARPMatchIP,
		Actions: 1<<action.NKinds - 1,
	}
	for _, p := range sw.ports.sorted {
		m.Ports = append(m.Ports, p.Desc)
	}
	r.reply(m)
	return nil
}

func (sw *Switch) handleGetConfig(r *request) error {
	m := &ofp.SwitchConfig{Kind: ofp.TypeGetConfigReply, Frag: ofp.FragHandling(sw.Tables.Frag.Load()), MissSendLen: r.MissSendLen()}
	if r.InvalidTTL() {
		m.InvalidTTL = 1
	}
	r.reply(m)
	return nil
}

func (sw *Switch) handleSetConfig(r *request) error {
	m := r.msg.(*ofp.SwitchConfig)
	if cur := ofp.FragHandling(sw.Tables.Frag.Load()); m.Frag != cur && (!r.Primary() || r.Role() != ofp.RoleSecondary) {
		if m.Frag == ofp.FragReasm {
			logOF.WarnRL(rlOF, "%s: unsupported fragment handling mode reassemble", sw.name)
		} else {
			sw.Tables.Frag.Store(uint32(m.Frag))
			sw.dp.Configured(sw)
		}
	}
	if m.InvalidTTL >= 0 {
		r.SetInvalidTTL(m.InvalidTTL != 0)
	}
	r.SetMissSendLen(m.MissSendLen)
	return nil
}

func (sw *Switch) handleDesc(r *request) error {
	orNone := func(s string) string {
		if s == "" {
			return "None"
		}
		return s
	}
	r.reply(&ofp.Desc{
		MfrDesc: "Nicira, Inc.", HwDesc: "Open vSwitch", SwDesc: Version,
		SerialNum: orNone(sw.cfg.SerialDesc), DpDesc: orNone(sw.cfg.DPDesc),
	})
	return nil
}

func (sw *Switch) handleRole(r *request) error {
	m := r.msg.(*ofp.RoleMsg)
	if m.Role != ofp.RoleNoChange {
		if m.Role != ofp.RoleEqual && m.HasGenerationID && !sw.conns.SetGenerationID(m.GenerationID) {
			return oferr.OFPRRFC_STALE
		}
		r.SetRole(m.Role)
	}
	out := &ofp.RoleMsg{Kind: ofp.TypeRoleReply, Role: r.Role(), NX: m.NX}
	out.GenerationID, out.HasGenerationID = sw.conns.GenerationID()
	r.reply(out)
	return nil
}

func (sw *Switch) handleFlowModTableID(r *request) error {
	r.SetProtocol(ofp.WithTableID(r.Protocol(), r.msg.(*ofp.FlowModTableID).On))
	return nil
}

func (sw *Switch) handleSetFlowFormat(r *request) error {
	switch r.msg.(*ofp.SetFlowFormat).Format {
	case ofp.FlowFormatOF10:
		r.SetProtocol(ofp.WithNXM(r.Protocol(), false))
	case ofp.FlowFormatNXM:
		r.SetProtocol(ofp.WithNXM(r.Protocol(), true))
	default:
		return oferr.OFPBRC_EPERM
	}
	return nil
}

func (sw *Switch) handleSetPacketInFormat(r *request) error {
	r.SetPacketInFormat(r.msg.(*ofp.SetPacketInFormat).Format)
	return nil
}

func (sw *Switch) handleSetControllerID(r *request) error {
	r.SetControllerID(r.msg.(*ofp.SetControllerID).ID)
	return nil
}

func (sw *Switch) handleSetAsync(r *request) error {
	r.SetAsync(r.msg.(*ofp.AsyncMsg).Apply(r.Async()))
	if !r.Primary() && r.MissSendLen() == 0 {
		r.SetMissSendLen(128)
	}
	return nil
}

func (sw *Switch) handleGetAsync(r *request) error {
	r.reply(&ofp.AsyncMsg{Kind: ofp.TypeGetAsyncReply, Config: r.Async(), SetPrimary: 0xff, SetSecondary: 0xff})
	return nil
}
