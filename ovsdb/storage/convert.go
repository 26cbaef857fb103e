package storage

import (
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/json"
)

// Conversion is tables of another schema that are being made of a database
// while it goes on changing.
//
// Thread-safety: it belongs to one goroutine at a time.
type Conversion struct {
	// To is the new tables.
	To *db.DB
	// Atoms counts what they hold.
	Atoms  int
	from   *db.Snapshot
	tables []*convertedTable // by the index of the old table, nil if it goes
}

// convertedTable is what becomes of one table.
type convertedTable struct {
	to   *db.Table
	cols []columnPair
	same bool // has the same columns as before
}

type columnPair struct {
	from, to *data.Column
	same     bool // of one type, so that values can be shared
}

// newConversion begins to make tables of another schema with the rows of a
// snapshot; tables and columns that the schema does not have are dropped.
func newConversion(s *db.Snapshot, schema *data.Schema) *Conversion {
	c := &Conversion{To: db.New(schema), from: s}
	for _, from := range s.Schema.Tables {
		var ct *convertedTable
		if to := c.To.Table(from.Name); to != nil {
			ct = newConvertedTable(from, to)
		}
		c.tables = append(c.tables, ct)
	}
	return c
}

// build makes the tables. It tells whether they hold other rows than each
// visits, because some were collected or lost weak references.
func (c *Conversion) build() (adjusted bool, err *data.Error) {
	t := c.To.Begin()
	for i, ct := range c.tables {
		if ct == nil {
			continue
		}
		ct.to.Expect(c.from.Tables[i].Len())
		for r := range c.from.Tables[i].All {
			if err := ct.insert(t, r); err != nil {
				return false, err
			}
		}
	}
	if err := t.Precommit(); err != nil {
		return false, err
	}
	t.Seal()
	_, c.Atoms = c.To.Counts()
	return t.Adjusted(), nil
}

// each implements contents, without the tables being made.
func (c *Conversion) each(to *data.TableSchema, visit func(*db.Row) error) error {
	for i, ct := range c.tables {
		if ct == nil || ct.to.Schema != to {
			continue
		}
		for r := range c.from.Tables[i].All {
			n, err := ct.row(r)
			if err != nil {
				return err
			}
			if err := visit(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// Follow brings the tables up to date with changes that were committed to the
// old ones since, and returns them as a record's content.
func (c *Conversion) Follow(changes []*db.Change, wall int64, o Options) ([]byte, *data.Error) {
	type key struct {
		table int
		row   data.UUID
	}
	latest := map[key]*db.Change{}
	var order []key
	for _, ch := range changes {
		k := key{ch.Table.Schema.Index, ch.UUID()}
		if c.tables[k.table] == nil {
			continue
		}
		if latest[k] == nil {
			order = append(order, k)
		}
		latest[k] = ch
	}
	t := c.To.Begin()
	for _, k := range order {
		if err := c.tables[k.table].follow(t, latest[k]); err != nil {
			t.Rollback()
			return nil, err
		}
	}
	if err := t.Precommit(); err != nil {
		return nil, err
	}
	t.Seal()
	c.Atoms += t.AtomsDelta()
	if len(t.Changes) == 0 {
		return nil, nil
	}
	return Encode(nil, t, wall, o), nil
}

// follow makes one row what it has become.
func (ct *convertedTable) follow(t *db.Txn, ch *db.Change) *data.Error {
	id := ch.UUID()
	have := ct.to.Row(id)
	switch {
	case ch.New == nil && have == nil:
		return nil
	case ch.New == nil:
		t.Delete(ct.to, id)
		return nil
	case have == nil:
		// New, or collected because only a column that is gone referred to it.
		return ct.insert(t, ch.New)
	}
	for _, c := range ct.cols {
		d, err := c.value(ch.New)
		if err != nil {
			return err
		}
		if !data.Equal(&c.to.Type, have.Get(c.to.Index), d) {
			t.Set(ct.to, id, c.to, d)
		}
	}
	return nil
}

func (ct *convertedTable) insert(t *db.Txn, r *db.Row) *data.Error {
	if ct.same {
		t.Borrow(ct.to, r)
		return nil
	}
	n, err := ct.row(r)
	if err == nil {
		t.Insert(ct.to, n)
	}
	return err
}

// row makes the new version of a row, which is the old one if nothing changes.
func (ct *convertedTable) row(r *db.Row) (*db.Row, *data.Error) {
	if ct.same {
		return r, nil
	}
	n := db.NewRow(ct.to.Schema)
	n.UUID = r.UUID
	for _, c := range ct.cols {
		d, err := c.value(r)
		if err != nil {
			return nil, err
		}
		n.Set(c.to.Index, d)
	}
	return n, nil
}

func (c *columnPair) value(r *db.Row) (*data.Datum, *data.Error) {
	d := r.Get(c.from.Index)
	if c.same {
		return d, nil
	}
	return data.Convert(&c.to.Type, d, &c.from.Type)
}

func newConvertedTable(from *data.TableSchema, to *db.Table) *convertedTable {
	ct := &convertedTable{to: to, same: len(from.Columns) == len(to.Schema.Columns)}
	for _, c := range from.Columns[data.NumStd:] {
		n := to.Schema.Column(c.Name)
		if n == nil {
			ct.same = false
			continue
		}
		a, b := c.Type.JSON(), n.Type.JSON()
		p := columnPair{c, n, json.Equal(&a, &b)}
		ct.same = ct.same && p.same && c.Index == n.Index
		ct.cols = append(ct.cols, p)
	}
	return ct
}
