package db

import (
	"strings"

	"sluice/ovsdb/data"
)

// Change is what a transaction does to one row.
type Change struct {
	// Table is the row's table.
	Table *Table
	// Old is the row before the transaction, nil if it was inserted.
	Old *Row
	// New is the row after it, nil if it was deleted.
	New *Row
	// Cols tells which columns differ (all, for insertions and deletions).
	Cols ColumnMask
	e    *entry
	// borrowed tells that New is a row of another database as well, which must
	// not be written.
	borrowed bool
}

// UUID is the identity of the changed row.
func (c *Change) UUID() data.UUID {
	if c.New != nil {
		return c.New.UUID
	}
	return c.Old.UUID
}

// ColumnMask is a set of columns, by index.
type ColumnMask []uint64

// NewMask makes an empty set for n columns.
func NewMask(n int) ColumnMask { return make(ColumnMask, (n+63)/64) }

// Set adds column i.
func (m ColumnMask) Set(i int) { m[i/64] |= 1 << (i % 64) }

// Has tells whether column i is in the set.
func (m ColumnMask) Has(i int) bool { return m[i/64]&(1<<(i%64)) != 0 }

// Meets tells whether the sets have a column in common.
func (m ColumnMask) Meets(o ColumnMask) bool {
	for i := range m {
		if m[i]&o[i] != 0 {
			return true
		}
	}
	return false
}

// Empty tells whether the set has no column.
func (m ColumnMask) Empty() bool {
	for _, w := range m {
		if w != 0 {
			return false
		}
	}
	return true
}

// Txn is a transaction: it works on the tables themselves and keeps what it
// takes to undo it. Life: operations, Precommit, Seal; Rollback undoes it at
// any time, also after Seal as long as later transactions are undone first.
type Txn struct {
	// Changes lists the rows that differ, after Precommit.
	Changes  []*Change
	db       *DB
	undo     []undo
	comments []string
	atoms    int
	gone     map[data.UUID][]*entry // deleted rows, made when first asked for
	adjusted bool                   // Precommit has deleted or changed rows by itself
}

// undo is one change of a reference count, or the loss of weak references.
type undo struct {
	target *entry
	source *entry // nil: strong
	n      int32
}

// Begin starts a transaction. Only one runs at a time.
func (d *DB) Begin() *Txn { return &Txn{db: d} }

// DB is the database the transaction is on.
func (t *Txn) DB() *DB { return t.db }

// Comment is what "comment" operations said, by line.
func (t *Txn) Comment() string { return strings.Join(t.comments, "\n") }

// AddComment adds a line to the comment.
func (t *Txn) AddComment(s string) { t.comments = append(t.comments, s) }

// MayInsert tells whether the table may get a row with this UUID: it has none
// and the transaction has not deleted it.
func (t *Txn) MayInsert(table *Table, u data.UUID) bool {
	if table.byUUID[u] != nil {
		return false
	}
	for _, c := range t.Changes {
		if c.Table == table && c.Old != nil && c.Old.UUID == u {
			return false
		}
	}
	return true
}

// Insert adds a row, whose UUID is set.
func (t *Txn) Insert(table *Table, r *Row) {
	r.Version = data.NewUUID()
	e := &entry{row: r, table: table}
	e.change = &Change{Table: table, New: r, e: e}
	t.Changes = append(t.Changes, e.change)
	table.link(e)
}

// Borrow adds a row that belongs to another database whose table has the same
// columns. The two share it, with its version, until one of them changes it.
func (t *Txn) Borrow(table *Table, r *Row) {
	e := &entry{row: r, table: table}
	e.change = &Change{Table: table, New: r, e: e, borrowed: true}
	t.Changes = append(t.Changes, e.change)
	table.link(e)
}

// touch makes e's row one that the transaction may write.
func (t *Txn) touch(e *entry) *Row {
	switch {
	case e.change == nil:
		r := e.row.Clone()
		r.Version = data.NewUUID()
		e.change = &Change{Table: e.table, Old: e.row, New: r, e: e}
		t.Changes = append(t.Changes, e.change)
		e.table.put(e, r)
	case e.change.borrowed:
		r := e.row.Clone()
		r.Version = data.NewUUID()
		e.change.New, e.change.borrowed = r, false
		e.table.put(e, r)
	}
	return e.row
}

// Set changes one column of a row in the table.
func (t *Txn) Set(table *Table, u data.UUID, col *data.Column, d *data.Datum) {
	t.set(table.byUUID[u], col, d)
}

func (t *Txn) set(e *entry, col *data.Column, d *data.Datum) {
	if col.Index < data.NumStd {
		return
	}
	r := t.touch(e)
	if !col.Indexed {
		r.cols[col.Index] = d
		return
	}
	for _, ix := range e.table.indexes {
		ix.remove(e, r)
	}
	r.cols[col.Index] = d
	for _, ix := range e.table.indexes {
		ix.add(e, r)
	}
}

// SetVersion gives a changed row the version it has elsewhere.
func (t *Txn) SetVersion(table *Table, u, version data.UUID) {
	t.touch(table.byUUID[u]).Version = version
}

// Delete removes a row.
func (t *Txn) Delete(table *Table, u data.UUID) { t.delete(table.byUUID[u]) }

func (t *Txn) delete(e *entry) {
	if e.change == nil {
		e.change = &Change{Table: e.table, Old: e.row, e: e}
		t.Changes = append(t.Changes, e.change)
	}
	e.change.New = nil
	e.table.unlink(e)
	if e.change.Old != nil {
		e.row = e.change.Old
	}
}

// Precommit does all that stands between the operations and the file, in this
// order: forget rows that did not change; strong references; collect rows that
// nothing refers to; maxRows; weak references; indexes. If it fails the transaction has been rolled back.
func (t *Txn) Precommit() *data.Error {
	t.dropUnchanged()
	err := t.countStrong()
	if err == nil {
		t.collect()
		err = t.checkMaxRows()
	}
	if err == nil {
		err = t.dropWeak()
	}
	if err == nil {
		t.dropUnchanged()
		err = t.checkIndexes()
	}
	if err != nil {
		t.Rollback()
		return err
	}
	return nil
}

// dropUnchanged computes every change's columns and forgets changes without any.
func (t *Txn) dropUnchanged() {
	kept := t.Changes[:0]
	for _, c := range t.Changes {
		if c.New == nil && c.Old == nil {
			c.e.change = nil
			continue
		}
		if c.compare() {
			kept = append(kept, c)
			continue
		}
		c.e.change = nil
		c.Table.put(c.e, c.Old)
	}
	clear(t.Changes[len(kept):])
	t.Changes = kept
}

// compare sets c.Cols and tells whether anything differs.
func (c *Change) compare() bool {
	cols := c.Table.Schema.Columns
	if c.Old == nil {
		c.Cols = c.Table.all
		return true
	}
	if c.Cols == nil {
		c.Cols = NewMask(len(cols))
	}
	clear(c.Cols)
	if c.New == nil {
		copy(c.Cols, c.Table.all)
		return true
	}
	changed := false
	for i := data.NumStd; i < len(cols); i++ {
		if a, b := c.Old.cols[i], c.New.cols[i]; a != b && !data.Equal(&cols[i].Type, a, b) {
			c.Cols.Set(i)
			changed = true
		}
	}
	if changed {
		c.Cols.Set(data.ColVersion)
	}
	return changed
}

func (t *Txn) checkMaxRows() *data.Error {
	for _, c := range t.Changes {
		ts := c.Table.Schema
		if c.Old == nil && uint64(c.Table.n) > uint64(ts.MaxRows) {
			return data.Errorf("constraint violation", "transaction causes \"%s\" table to contain "+
				"%d rows, greater than the schema-defined limit of %d row(s)", ts.Name, c.Table.n, ts.MaxRows)
		}
	}
	return nil
}

// Seal ends the transaction: its rows are immutable now, another may begin.
func (t *Txn) Seal() {
	for _, c := range t.Changes {
		c.e.change = nil
	}
}

// Rollback undoes the transaction.
func (t *Txn) Rollback() {
	for i := len(t.undo) - 1; i >= 0; i-- {
		u := &t.undo[i]
		if u.source == nil {
			u.target.strong -= int(u.n)
		} else {
			u.target.addWeak(u.source, -u.n)
		}
	}
	t.undo = nil
	for i := len(t.Changes) - 1; i >= 0; i-- {
		c := t.Changes[i]
		c.e.change = nil
		switch {
		case c.Old == nil && c.New == nil:
		case c.Old == nil:
			c.Table.unlink(c.e)
		case c.New == nil:
			c.e.row = c.Old
			c.Table.link(c.e)
		default:
			for _, ix := range c.Table.indexes {
				ix.remove(c.e, c.e.row)
				ix.add(c.e, c.Old)
			}
			c.Table.put(c.e, c.Old)
		}
	}
	t.Changes = nil
}

// Atoms counts the atoms of the changed rows, as the transaction history does.
func (t *Txn) Atoms() int {
	if t.atoms == 0 {
		for _, c := range t.Changes {
			if c.Old != nil {
				t.atoms += rowAtoms(c.Table.Schema, c.Old)
			}
			if c.New != nil {
				t.atoms += rowAtoms(c.Table.Schema, c.New)
			}
		}
	}
	return t.atoms
}

// Adjusted tells whether Precommit has deleted or changed rows by itself:
// collected rows that nothing referred to, or dropped weak references.
func (t *Txn) Adjusted() bool { return t.adjusted }

// Forget drops what Rollback needs, once the transaction cannot fail any more.
func (t *Txn) Forget() { t.undo = nil }

// AtomsDelta is by how many atoms the transaction makes the database larger.
func (t *Txn) AtomsDelta() (n int) {
	for _, c := range t.Changes {
		if c.Old != nil {
			n -= rowAtoms(c.Table.Schema, c.Old)
		}
		if c.New != nil {
			n += rowAtoms(c.Table.Schema, c.New)
		}
	}
	return n
}
