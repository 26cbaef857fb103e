package db

import (
	"strings"

	"sluice/ovsdb/data"
)

// countStrong adjusts the numbers of strong references by what the
// transaction changed, then refuses missing targets and deleted rows that are
// still referred to.
func (t *Txn) countStrong() *data.Error {
	for _, c := range t.Changes {
		for i := range c.Table.refs {
			if rc := &c.Table.refs[i]; rc.strong() && c.Cols.Has(rc.col.Index) {
				if err := t.countColumn(c, rc); err != nil {
					return err
				}
			}
		}
	}
	for _, c := range t.Changes {
		if c.New == nil && c.e.strong > 0 {
			return data.Errorf("referential integrity violation",
				"cannot delete %s row %s because of %d remaining reference(s)",
				c.Table.Schema.Name, c.Old.UUID, c.e.strong)
		}
	}
	return nil
}

func (c *Change) values(col int) (old, new *data.Datum) {
	old, new = data.Empty, data.Empty
	if c.Old != nil {
		old = c.Old.cols[col]
	}
	if c.New != nil {
		new = c.New.cols[col]
	}
	return old, new
}

func (t *Txn) countColumn(c *Change, rc *refColumn) (err *data.Error) {
	old, new := c.values(rc.col.Index)
	add := func(to *Table, weak bool, a *data.Atom, n int32) {
		if to != nil && !weak && a != nil && err == nil {
			err = t.addStrong(c, rc, to, a.UUID(), n)
		}
	}
	data.Changes(&rc.col.Type, old, new, func(k, v, w *data.Atom, inOld, inNew bool) {
		if inOld && !inNew {
			add(rc.key, rc.keyWeak, k, -1)
		}
		if inNew && !inOld {
			add(rc.key, rc.keyWeak, k, 1)
		}
		add(rc.val, rc.valWeak, v, -1)
		add(rc.val, rc.valWeak, w, 1)
	})
	return err
}

// addStrong changes the count of one target. A row's references to itself do
// not count.
func (t *Txn) addStrong(c *Change, rc *refColumn, to *Table, u data.UUID, n int32) *data.Error {
	if u == c.UUID() {
		return nil
	}
	e := to.byUUID[u]
	if e == nil {
		e = t.deleted(to, u)
	}
	if e == nil && n < 0 {
		return nil
	}
	if e == nil {
		return data.Errorf("referential integrity violation",
			"Table %s column %s row %s references nonexistent row %s in table %s.",
			c.Table.Schema.Name, rc.col.Name, c.UUID(), u, to.Schema.Name)
	}
	e.strong += int(n)
	t.undo = append(t.undo, undo{target: e, n: n})
	return nil
}

// deleted finds the entry of a row that the transaction has deleted.
func (t *Txn) deleted(table *Table, u data.UUID) *entry {
	if t.gone == nil {
		t.gone = map[data.UUID][]*entry{}
		for _, c := range t.Changes {
			if c.New == nil && c.Old != nil {
				t.gone[c.Old.UUID] = append(t.gone[c.Old.UUID], c.e)
			}
		}
	}
	for _, e := range t.gone[u] {
		if e.table == table {
			return e
		}
	}
	return nil
}

// collect deletes rows outside the root set that nothing refers to any more,
// and what only they referred to. Every candidate has either been changed or
// lost a reference in this transaction.
func (t *Txn) collect() {
	var queue []*entry
	for _, c := range t.Changes {
		queue = append(queue, c.e)
	}
	for i := range t.undo {
		if u := &t.undo[i]; u.source == nil && u.n < 0 {
			queue = append(queue, u.target)
		}
	}
	for len(queue) > 0 {
		e := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if e.table.Schema.IsRoot || e.strong > 0 || e.table.byUUID[e.row.UUID] != e {
			continue
		}
		row := e.row
		t.delete(e)
		t.adjusted = true
		if t.gone != nil {
			t.gone[row.UUID] = append(t.gone[row.UUID], e)
		}
		for i := range e.table.refs {
			queue = t.release(queue, &e.table.refs[i], row)
		}
	}
	t.dropUnchanged()
}

// release takes back the strong references that a collected row held.
func (t *Txn) release(queue []*entry, rc *refColumn, row *Row) []*entry {
	drop := func(to *Table, weak bool, a *data.Atom) {
		if to == nil || weak || a == nil || a.UUID() == row.UUID {
			return
		}
		e := to.byUUID[a.UUID()]
		if e == nil {
			return
		}
		e.strong--
		t.undo = append(t.undo, undo{target: e, n: -1})
		queue = append(queue, e)
	}
	for k, v := range row.cols[rc.col.Index].All {
		drop(rc.key, rc.keyWeak, k)
		drop(rc.val, rc.valWeak, v)
	}
	return queue
}

func (e *entry) addWeak(source *entry, n int32) {
	if e.weak == nil {
		e.weak = map[*entry]int32{}
	}
	e.weak[source] += n
	if e.weak[source] == 0 {
		delete(e.weak, source)
		if len(e.weak) == 0 {
			e.weak = nil
		}
	}
}

func (t *Txn) countWeak(target, source *entry, n int32) {
	target.addWeak(source, n)
	t.undo = append(t.undo, undo{target, source, n})
}

// dropWeak takes weak references to missing rows out of the rows that the
// transaction changed, and out of every row that refers to a deleted one.
func (t *Txn) dropWeak() *data.Error {
	// The list grows as rows that refer to deleted ones are touched; those
	// need no second look, as their missing references are dropped here.
	n := len(t.Changes)
	for _, c := range t.Changes[:n] {
		for i := range c.Table.refs {
			if rc := &c.Table.refs[i]; rc.weak() && c.Cols.Has(rc.col.Index) {
				if err := t.weakColumn(c, rc); err != nil {
					return err
				}
			}
		}
	}
	for _, c := range t.Changes[:n] {
		if c.New != nil {
			continue
		}
		for _, src := range c.e.weakSources() {
			if err := t.dropTarget(src, c.e); err != nil {
				return err
			}
		}
	}
	return nil
}

// weakSources lists the rows with weak references to e, in order.
func (e *entry) weakSources() []*entry {
	if len(e.weak) == 0 {
		return nil
	}
	out := make([]*entry, 0, len(e.weak))
	for src := range e.weak {
		if src.table.byUUID[src.row.UUID] == src {
			out = append(out, src)
		}
	}
	sortEntries(out)
	return out
}

// weakColumn counts the weak references that one column of a changed row lost
// and won, and drops those to missing rows.
func (t *Txn) weakColumn(c *Change, rc *refColumn) *data.Error {
	old, new := c.values(rc.col.Index)
	missing := false
	one := func(to *Table, weak bool, a *data.Atom, n int32) {
		if to == nil || !weak || a == nil {
			return
		}
		e := to.byUUID[a.UUID()]
		if e == nil && n < 0 {
			e = t.deleted(to, a.UUID())
		}
		if e != nil {
			t.countWeak(e, c.e, n)
		} else if n > 0 {
			missing = true
		}
	}
	data.Changes(&rc.col.Type, old, new, func(k, v, w *data.Atom, inOld, inNew bool) {
		if inOld && !inNew {
			one(rc.key, rc.keyWeak, k, -1)
		}
		if inNew && !inOld {
			one(rc.key, rc.keyWeak, k, 1)
		}
		one(rc.val, rc.valWeak, v, -1)
		one(rc.val, rc.valWeak, w, 1)
	})
	if !missing || c.New == nil {
		return nil
	}
	return t.dropPairs(c.e, rc, func(k, v *data.Atom) bool {
		return rc.keyMissing(k) || rc.valMissing(v)
	})
}

func (rc *refColumn) keyMissing(k *data.Atom) bool {
	return rc.key != nil && rc.keyWeak && rc.key.byUUID[k.UUID()] == nil
}

func (rc *refColumn) valMissing(v *data.Atom) bool {
	return rc.val != nil && rc.valWeak && v != nil && rc.val.byUUID[v.UUID()] == nil
}

// dropTarget takes all weak references to the deleted row out of src.
func (t *Txn) dropTarget(src, target *entry) *data.Error {
	u := target.row.UUID
	for i := range src.table.refs {
		rc := &src.table.refs[i]
		if !rc.weak() {
			continue
		}
		err := t.dropPairs(src, rc, func(k, v *data.Atom) bool {
			return rc.key == target.table && rc.keyWeak && k.UUID() == u ||
				rc.val == target.table && rc.valWeak && v != nil && v.UUID() == u
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dropPairs removes elements from a column of e, taking the weak references
// that go with them out of the count.
func (t *Txn) dropPairs(e *entry, rc *refColumn, drop func(k, v *data.Atom) bool) *data.Error {
	old := e.row.cols[rc.col.Index]
	zero := false
	new := data.Without(&rc.col.Type, old, func(k, v *data.Atom) bool {
		if !drop(k, v) {
			return false
		}
		zero = zero || k.UUID().IsZero()
		if rc.key != nil && rc.keyWeak && !rc.keyMissing(k) {
			t.countWeak(rc.key.byUUID[k.UUID()], e, -1)
		}
		if rc.val != nil && rc.valWeak && !rc.valMissing(v) {
			t.countWeak(rc.val.byUUID[v.UUID()], e, -1)
		}
		return true
	})
	if new == old {
		return nil
	}
	t.set(e, rc.col, new)
	t.adjusted = true
	if new.Len() >= int(rc.col.Type.Min) {
		return nil
	}
	return t.weakEmpty(e, rc.col, old.Len()-new.Len(), zero)
}

func (t *Txn) weakEmpty(e *entry, col *data.Column, n int, zero bool) *data.Error {
	inserted := e.change.Old == nil
	if inserted && zero && n == 1 {
		return data.Errorf("constraint violation", "Weak reference column \"%s\" in \"%s\" row %s "+
			"(inserted within this transaction) contained all-zeros UUID (probably as the default value for "+
			"this column) but deleting this value caused a constraint volation because this column is not "+
			"allowed to be empty.", col.Name, e.table.Schema.Name, e.row.UUID)
	}
	where := ""
	if inserted {
		where = "(inserted within this transaction) "
	}
	return data.Errorf("constraint violation", "Deletion of %d weak reference(s) to deleted (or "+
		"never-existing) rows from column \"%s\" in \"%s\" row %s %scaused this column to become empty, "+
		"but constraints on this column disallow an empty column.",
		n, col.Name, e.table.Schema.Name, e.row.UUID, where)
}

// checkIndexes refuses rows that have the values of another one in an index.
func (t *Txn) checkIndexes() *data.Error {
	for _, c := range t.Changes {
		if c.New == nil {
			continue
		}
		for _, ix := range c.Table.indexes {
			if c.Old != nil && !c.touches(ix) {
				continue
			}
			for n := ix.m[ix.hashRow(c.New)]; n != nil; n = n.next {
				if n.e != c.e && ix.same(n.e.row, c.New) {
					return duplicate(ix, c.e, n.e)
				}
			}
		}
	}
	return nil
}

func (c *Change) touches(ix *index) bool {
	for _, col := range ix.cols {
		if c.Cols.Has(col.Index) {
			return true
		}
	}
	return false
}

// duplicate describes two rows that an index wants to differ, in an order that
// does not depend on which was found first.
func duplicate(ix *index, a, b *entry) *data.Error {
	cols := a.table.Schema.Columns
	order := compareRows(a.row, b.row, cols[data.NumStd:])
	if order < 0 || order == 0 && compareRows(a.row, b.row, cols[:data.NumStd]) < 0 {
		a, b = b, a
	}
	var s strings.Builder
	s.WriteString("Transaction causes multiple rows in \"" + a.table.Schema.Name + "\" table to have identical values (")
	ix.describe(&s, a.row)
	s.WriteString(") for index on column")
	if len(ix.cols) > 1 {
		s.WriteString("s")
	}
	s.WriteString(" ")
	for i, c := range ix.cols {
		s.WriteString(delimiter(i, len(ix.cols)) + "\"" + c.Name + "\"")
	}
	s.WriteString(".  First row, ")
	ix.history(&s, a)
	s.WriteString("  Second row, ")
	ix.history(&s, b)
	return data.Errorf("constraint violation", "%s", s.String())
}

func (ix *index) describe(s *strings.Builder, r *Row) {
	for i, c := range ix.cols {
		s.WriteString(delimiter(i, len(ix.cols)))
		s.Write(r.Get(c.Index).AppendText(nil, &c.Type))
	}
}

// history tells how a row came to have its values.
func (ix *index) history(s *strings.Builder, e *entry) {
	s.WriteString("with UUID " + e.row.UUID.String() + ", ")
	switch {
	case e.change == nil:
		s.WriteString("existed in the database before this transaction and was not modified by the transaction.")
	case e.change.Old == nil:
		s.WriteString("was inserted by this transaction.")
	case ix.same(e.change.Old, e.row):
		s.WriteString("existed in the database before this transaction, which modified some of the row's columns " +
			"but not any columns in this index.")
	default:
		s.WriteString("had the following index values before the transaction: ")
		ix.describe(s, e.change.Old)
		s.WriteString(".")
	}
}

// delimiter is what stands before item i of n in an English list.
func delimiter(i, n int) string {
	switch {
	case i == 0:
		return ""
	case i < n-1:
		return ", "
	case n > 2:
		return ", and "
	}
	return " and "
}

func compareRows(a, b *Row, cols []*data.Column) int {
	for _, c := range cols {
		if r := data.Compare(&c.Type, a.Get(c.Index), b.Get(c.Index)); r != 0 {
			return r
		}
	}
	return 0
}
