package ofproto

import (
	"sluice/ofproto/connmgr"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/table"
)

// This file has bundles: messages that are checked and done together.

// bundleEntry is a message in a bundle; one of the pointers is set.  Bundles can have
// many, so the decoded message is kept only where it is small.
type bundleEntry struct {
	raw     []byte // the bundle add message, which errors quote
	xid     uint32 // of the message inside
	command uint8  // of a flow_mod
	flow    *table.FlowMod
	grp     *table.GroupMod
	port    *bundlePort
	out     *bundleOut
}

type bundlePort struct {
	pm   *ofp.PortMod
	port *Port
}

type bundleOut struct {
	po   *PacketOut
	send func() error // once it is translated
}

func (e *bundleEntry) requester(c *connmgr.Conn) table.Requester {
	return table.Requester{Conn: c, XID: e.xid}
}

func (sw *Switch) handleBundleControl(r *request) error {
	m := r.msg.(*ofp.BundleCtrl)
	var err error
	switch m.Ctrl {
	case ofp.BundleOpenRequest:
		err = r.BundleOpen(m.BundleID, m.Flags, r.raw)
	case ofp.BundleCloseRequest:
		err = r.BundleClose(m.BundleID, m.Flags)
	case ofp.BundleCommitRequest:
		err = sw.commitBundle(r, m)
	case ofp.BundleDiscardRequest:
		err = r.BundleDiscard(m.BundleID)
	default:
		return oferr.OFPBFC_BAD_TYPE
	}
	if err != nil {
		return err
	}
	r.reply(&ofp.BundleCtrl{BundleID: m.BundleID, Ctrl: m.Ctrl + 1})
	return nil
}

func (sw *Switch) handleBundleAdd(r *request) error {
	m := r.msg.(*ofp.BundleAdd)
	e := &bundleEntry{raw: r.raw}
	inner := &request{Conn: r.Conn, raw: m.Inner, now: r.now}
	var err error
	if inner.h, inner.msg, err = sw.context(r.Conn).Decode(m.Inner); err != nil {
		return err
	}
	e.xid = inner.h.XID
	switch im := inner.msg.(type) {
	case *ofp.FlowMod:
		e.command = im.Command
		e.flow, err = sw.Tables.NewFlowMod(im, r.now)
	case *ofp.GroupMod:
		e.grp = sw.Tables.NewGroupMod(im, r.now)
	case *ofp.PortMod:
		e.port = &bundlePort{pm: im}
	case *ofp.PacketOut:
		cPacketOut.Inc()
		e.out = &bundleOut{}
		e.out.po, err = sw.preparePacketOut(inner, im)
	default:
		err = oferr.OFPBFC_MSG_UNSUP
	}
	if err != nil {
		return err
	}
	return r.BundleAdd(m.BundleID, m.Flags, e, r.raw)
}

// commitBundle does all messages of a bundle, or none if one fails.
func (sw *Switch) commitBundle(r *request, m *ofp.BundleCtrl) error {
	b := r.Bundle(m.BundleID)
	if b == nil {
		return oferr.OFPBFC_BAD_ID
	}
	defer r.BundleRemove(b)
	if b.Flags != m.Flags {
		return oferr.OFPBFC_BAD_FLAGS
	}
	s := sw.Tables
	s.Mu.Lock()
	x := s.Begin()
	failed, err := sw.bundleBegin(r, x, b)
	if err != nil {
		x.Rollback()
	} else {
		x.Commit()
	}
	s.Mu.Unlock()
	if err != nil {
		r.SendError(failed.raw, err)
		return oferr.OFPBFC_MSG_FAILED
	}
	sw.flowsChanged()
	sw.bundleFinish(r.Conn, b)
	return nil
}

// bundleBegin makes the changes of all messages, not yet visible.
func (sw *Switch) bundleBegin(r *request, x *table.Txn, b *connmgr.Bundle) (failed *bundleEntry, err error) {
	afterPort := false
	for _, entry := range b.Entries {
		e := entry.(*bundleEntry)
		if e.port != nil {
			// Changes of ports cannot be undone, so they do not go with atomic ones.
			if b.Flags&ofp.BundleAtomic != 0 {
				return e, oferr.OFPBFC_MSG_FAILED
			}
			afterPort = true
			if e.port.port, err = sw.checkPortMod(e.port.pm); err != nil {
				return e, err
			}
			continue
		}
		if afterPort {
			afterPort = false
			x.NextVersion()
		}
		switch {
		case e.flow != nil:
			err = x.Flow(e.flow, e.requester(r.Conn))
		case e.grp != nil:
			err = x.Group(e.grp, e.requester(r.Conn))
		case e.out != nil:
			if err = sw.Tables.CheckActions(e.out.po.Actions); err == nil {
				x.Sync()
				e.out.send, err = sw.dp.PreparePacketOut(sw, e.out.po, x.Version(), r.now)
			}
		}
		if err != nil {
			return e, err
		}
	}
	return nil, nil
}

// bundleFinish does what cannot be undone.
func (sw *Switch) bundleFinish(c *connmgr.Conn, b *connmgr.Bundle) {
	for _, entry := range b.Entries {
		switch e := entry.(*bundleEntry); {
		case e.port != nil:
			sw.portMod(c, e.port.port, e.port.pm)
		case e.flow != nil:
			c.ReportFlowMod(e.command)
		case e.grp != nil:
			sw.forwardGroupMod(c, e.xid, e.grp)
		case e.out != nil:
			if err := e.out.send(); err != nil {
				logOF.DbgRL(rlOF, "%s: packet_out: %v", sw.name, err)
			}
		}
	}
	sw.processEvents()
}
