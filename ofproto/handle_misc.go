package ofproto

import (
	"errors"

	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
)

// This file has the Nicira extensions that fit nowhere else.

func (sw *Switch) handleTLVTable(r *request) error {
	m := &ofp.TLVTableReply{MaxOptionSpace: 256, MaxFields: field.NTunMetadata}
	for _, e := range sw.tun.Mappings() {
		m.Maps = append(m.Maps, ofp.TLVMap{OptionClass: e.Class, OptionType: e.Type, OptionLen: e.Len, Index: e.Index})
	}
	r.reply(m)
	return nil
}

func (sw *Switch) handleTLVTableMod(r *request) error {
	m := r.msg.(*ofp.TLVTableMod)
	maps := make([]field.TunMapping, len(m.Maps))
	for i, t := range m.Maps {
		maps[i] = field.TunMapping{Class: t.OptionClass, Type: t.OptionType, Len: t.OptionLen, Index: t.Index}
	}
	next := sw.tun
	switch m.Command {
	case ofp.TLVAdd:
		var err error
		if next, err = sw.tun.Add(maps); err != nil {
			return err
		}
	case ofp.TLVDelete:
		next = sw.tun.Delete(maps)
	case ofp.TLVClear:
		next = &field.TunTable{}
	}
	if gone := mapped(sw.tun) &^ mapped(next); gone != 0 && sw.Tables.UsesTunMetadata(gone) {
		return oferr.NXTTMFC_INVALID_TLV_DEL
	}
	sw.tun = next
	sw.dp.Configured(sw)
	return nil
}

// mapped returns which tun_metadata fields a table maps.
func mapped(t *field.TunTable) (bits uint64) {
	for i := range t.Entries {
		if t.Entries[i].Valid {
			bits |= 1 << i
		}
	}
	return bits
}

func (sw *Switch) handleCTFlushZone(r *request) error {
	return ctError(sw.dp.CTFlush(&ofp.CTFlush{HasZone: true, Zone: r.msg.(*ofp.CTFlushZone).Zone}))
}

func (sw *Switch) handleCTFlush(r *request) error {
	return ctError(sw.dp.CTFlush(r.msg.(*ofp.CTFlush)))
}

// ctError is the protocol error for a datapath that cannot flush connections.
func ctError(err error) error {
	var code oferr.Code
	if err == nil || errors.As(err, &code) {
		return err
	}
	return oferr.OFPBRC_BAD_TYPE
}
