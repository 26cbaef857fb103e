package ofproto

import (
	"sluice/ofproto/connmgr"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/table"
)

// This file has the requests about tables.

// maxEntries is how many flows a table says that it can hold.
const maxEntries = 1000000

func (sw *Switch) handleTableMod(r *request) error {
	if err := sw.Tables.Mod(r.msg.(*ofp.TableMod)); err != nil {
		return err
	}
	sw.processEvents()
	sw.dp.Configured(sw)
	return nil
}

// tableFeatures describes table id.  The features are those of all tables: there is
// one implementation behind them.
func (sw *Switch) tableFeatures(id uint8) ofp.TableFeatures {
	t := sw.Tables.Table(id)
	f := ofp.TableFeatures{
		TableID: id, Name: t.Name(), MetadataMatch: ^uint64(0), MetadataWrite: ^uint64(0),
		MaxEntries: maxEntries, HasProperties: true, Miss: t.Miss(), // eviction and vacancy events stay unsaid, as in stock
		Match: ofp.FieldSet(field.WireMatchable()), Mask: ofp.FieldSet(field.WireMaskable()),
	}
	if _, limit := t.Limits(); limit < maxEntries {
		f.MaxEntries = limit
	}
	f.Wildcard = f.Match
	in := &f.NonMissFeatures
	in.Instructions = ofp.InstApplyActions | ofp.InstClearActions | ofp.InstWriteActions | ofp.InstWriteMetadata | ofp.InstMeter
	for next := int(id) + 1; next < table.NVisibleTables; next++ {
		in.Next.Add(uint8(next))
		in.Instructions |= ofp.InstGotoTable
	}
	in.Write = ofp.TableActions{Actions: 1<<action.NKinds - 1, SetFields: ofp.FieldSet(field.WireWritable())}
	in.Apply = in.Write
	f.MissFeatures = f.NonMissFeatures
	return f
}

func (sw *Switch) handleTableStats(r *request) error {
	b := ofp.NewReplyBuilder(r.h, r.Protocol())
	sw.Tables.Mu.Lock()
	for id := range uint8(table.NVisibleTables) {
		t := sw.Tables.Table(id)
		f := sw.tableFeatures(id)
		s := ofp.TableStats{TableID: id, ActiveCount: uint32(t.NVisible()), MatchedCount: t.Matched.Load(), Features: &f}
		s.LookupCount = s.MatchedCount + t.Missed.Load()
		b.Add(&s)
	}
	sw.Tables.Mu.Unlock()
	sendAll(r.Conn, b.Parts())
	return nil
}

func (sw *Switch) handleTableDesc(r *request) error {
	b := ofp.NewReplyBuilder(r.h, r.Protocol())
	sw.Tables.Mu.Lock()
	for id := range uint8(table.NVisibleTables) {
		d := sw.Tables.Table(id).Desc()
		b.Add(&d)
	}
	sw.Tables.Mu.Unlock()
	sendAll(r.Conn, b.Parts())
	return nil
}

// handleTableFeatures changes features, if the request has any, and reports them.
func (sw *Switch) handleTableFeatures(c *connmgr.Conn, msgs [][]byte) {
	last := msgs[len(msgs)-1]
	var want []ofp.TableFeatures
	var h ofp.Header
	for _, b := range msgs {
		var m ofp.Msg
		var err error
		if h, m, err = sw.context(c).Decode(b); err != nil {
			c.SendError(b, err)
			return
		}
		want = append(want, m.(*ofp.TableFeaturesMsg).Tables...)
	}
	if len(want) > 0 {
		if c.Role() == ofp.RoleSecondary {
			c.SendError(last, oferr.OFPBRC_IS_SECONDARY)
			return
		}
		if err := sw.changeFeatures(want); err != nil {
			c.SendError(last, err)
			return
		}
	}
	b := ofp.NewReplyBuilder(h, c.Protocol())
	for id := range uint8(table.NVisibleTables) {
		f := sw.tableFeatures(id)
		b.Add(&f)
	}
	sendAll(c, b.Parts())
}

// changeFeatures does what a request may do: name tables.  Asking for less than there
// is is granted too, without taking anything away.
func (sw *Switch) changeFeatures(want []ofp.TableFeatures) error {
	var seen [table.NTables]*ofp.TableFeatures
	for i := range want {
		f := &want[i]
		if f.TableID >= table.NTables {
			return oferr.OFPTFFC_BAD_TABLE
		}
		if seen[f.TableID] != nil {
			logOF.InfoRL(rlOF, "duplicate table %d", f.TableID)
			return oferr.NXTFFC_DUP_TABLE
		}
		seen[f.TableID] = f
	}
	if seen[table.TableInternal] != nil {
		logOF.InfoRL(rlOF, "can't modify hidden table %d", table.TableInternal)
		return oferr.OFPTFFC_EPERM
	}
	switch want[0].Command {
	case ofp.TableFeaturesEnable, ofp.TableFeaturesDisable:
		return oferr.OFPTFFC_EPERM
	case ofp.TableFeaturesReplace:
		for id := range table.NVisibleTables {
			if seen[id] == nil {
				logOF.InfoRL(rlOF, "can't disable table %d", id)
				return oferr.OFPTFFC_EPERM
			}
		}
	}
	for id, f := range seen {
		if f == nil {
			continue
		}
		if err := sw.checkFeatures(uint8(id), f); err != nil {
			return err
		}
	}
	for id, f := range seen {
		if f != nil {
			sw.Tables.SetName(uint8(id), f.Name)
		}
	}
	return nil
}

func (sw *Switch) checkFeatures(id uint8, f *ofp.TableFeatures) error {
	have := sw.tableFeatures(id)
	if have.MaxEntries != f.MaxEntries {
		logOF.InfoRL(rlOF, "can't change max_entries")
		return oferr.OFPTFFC_EPERM
	}
	if t := sw.Tables.Table(id); !t.MaySetName(f.Name) {
		logOF.InfoRL(rlOF, "can't change name of table %d to %s because it is already set to %s via OVSDB", id, f.Name, t.Name())
		return oferr.OFPTFFC_EPERM
	}
	if f.HasProperties && !isSuperset(&have, f) {
		logOF.InfoRL(rlOF, "can't increase table features for table %d", id)
		return oferr.OFPTFFC_EPERM
	}
	return nil
}

// isSuperset reports whether a has all that b has.
func isSuperset(a, b *ofp.TableFeatures) bool {
	return b.MetadataMatch&^a.MetadataMatch == 0 && b.MetadataWrite&^a.MetadataWrite == 0 &&
		instructionsSuperset(&a.NonMissFeatures, &b.NonMissFeatures) && instructionsSuperset(&a.MissFeatures, &b.MissFeatures) &&
		bitsSuperset(a.Match[:], b.Match[:]) && bitsSuperset(a.Mask[:], b.Mask[:]) && bitsSuperset(a.Wildcard[:], b.Wildcard[:])
}

func instructionsSuperset(a, b *ofp.TableInstructions) bool {
	return bitsSuperset(a.Next[:], b.Next[:]) && b.Instructions&^a.Instructions == 0 &&
		b.Write.Actions&^a.Write.Actions == 0 && bitsSuperset(a.Write.SetFields[:], b.Write.SetFields[:]) &&
		b.Apply.Actions&^a.Apply.Actions == 0 && bitsSuperset(a.Apply.SetFields[:], b.Apply.SetFields[:])
}

func bitsSuperset(a, b []uint64) bool {
	for i := range b {
		if b[i]&^a[i] != 0 {
			return false
		}
	}
	return true
}
