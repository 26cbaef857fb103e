package ofproto

import (
	"sluice/ofproto/connmgr"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/table"
)

// This file has the requests about groups.

func (sw *Switch) handleGroupMod(r *request) error {
	m := sw.Tables.NewGroupMod(r.msg.(*ofp.GroupMod), r.now)
	sw.Tables.Mu.Lock()
	x := sw.Tables.Begin()
	err := x.Group(m, r.requester())
	if err != nil {
		x.Rollback()
	} else {
		x.Commit()
	}
	sw.Tables.Mu.Unlock()
	if err != nil {
		return err
	}
	sw.prepareGroup(m.GroupID)
	sw.flowsChanged()
	sw.forwardGroupMod(r.Conn, r.h.XID, m)
	return nil
}

// forwardGroupMod tells other controllers.
func (sw *Switch) forwardGroupMod(source *connmgr.Conn, xid uint32, m *table.GroupMod) {
	rf := &ofp.RequestForward{XID: xid, Reason: ofp.ForwardGroupMod, Group: &m.GroupMod}
	var existed bool
	if rf.NewBuckets, existed = m.Result(); existed {
		rf.GroupExisted = 1
	}
	sw.conns.SendRequestForward(source, rf)
}

// selectGroups returns the groups that a request asks for.
func (sw *Switch) selectGroups(id uint32) []*table.Group {
	if id == ofp.GroupAll {
		return sw.Tables.Groups()
	}
	if g := sw.Tables.Group(sw.Tables.Version(), id); g != nil {
		return []*table.Group{g}
	}
	return nil
}

func (sw *Switch) handleGroupStats(r *request) error {
	b := ofp.NewReplyBuilder(r.h, r.Protocol())
	sw.Tables.Mu.Lock()
	for _, g := range sw.selectGroups(r.msg.(*ofp.GroupRequest).GroupID) {
		st := ofp.GroupStats{GroupID: g.ID, RefCount: uint32(g.NRules()), PacketCount: g.Packets.Load(), ByteCount: g.Bytes.Load()}
		st.DurationSec, st.DurationNsec = duration(g.Created, r.now)
		for i := range g.BucketStats {
			bs := &g.BucketStats[i]
			st.Buckets = append(st.Buckets, ofp.BucketStats{PacketCount: bs.Packets.Load(), ByteCount: bs.Bytes.Load()})
		}
		b.Add(&st)
	}
	sw.Tables.Mu.Unlock()
	sendAll(r.Conn, b.Parts())
	return nil
}

func (sw *Switch) handleGroupDesc(r *request) error {
	b := ofp.NewReplyBuilder(r.h, r.Protocol())
	sw.Tables.Mu.Lock()
	for _, g := range sw.selectGroups(r.msg.(*ofp.GroupRequest).GroupID) {
		b.Add(&ofp.GroupDesc{GroupType: g.Type, GroupID: g.ID, Buckets: g.Buckets, Props: g.Props})
	}
	sw.Tables.Mu.Unlock()
	sendAll(r.Conn, b.Parts())
	return nil
}

func (sw *Switch) handleGroupFeatures(r *request) error {
	m := &ofp.GroupFeatures{
		Types:        1<<ofp.GroupTypeAll | 1<<ofp.GroupTypeSelect | 1<<ofp.GroupTypeIndirect | 1<<ofp.GroupTypeFF,
		Capabilities: ofp.GroupCapChaining | ofp.GroupCapSelectLiveness | ofp.GroupCapSelectWeight,
	}
	for i := range m.MaxGroups {
		m.MaxGroups[i] = ofp.GroupMax
		m.Actions[i] = 1<<action.NKinds - 1
	}
	r.reply(m)
	return nil
}
