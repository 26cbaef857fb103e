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

// Convert makes tables of another schema with the rows of a snapshot; tables
// and columns that the schema does not have are dropped.
func Convert(s *db.Snapshot, schema *data.Schema) (*Conversion, *data.Error) {
	c := &Conversion{To: db.New(schema)}
	for _, from := range s.Schema.Tables {
		var ct *convertedTable
		if to := c.To.Table(from.Name); to != nil {
			ct = newConvertedTable(from, to)
		}
		c.tables = append(c.tables, ct)
	}
	t := c.To.Begin()
	for i, ct := range c.tables {
		if ct == nil {
			continue
		}
		ct.to.Expect(s.Tables[i].Len())
		for r := range s.Tables[i].All {
			n, err := ct.row(r)
			if err != nil {
				return nil, err
			}
			t.Insert(ct.to, n)
		}
	}
	if err := t.Precommit(); err != nil {
		return nil, err
	}
	t.Seal()
	_, c.Atoms = c.To.Counts()
	return c, nil
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
		n, err := ct.row(ch.New)
		if err == nil {
			t.Insert(ct.to, n)
		}
		return err
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

func (ct *convertedTable) row(r *db.Row) (*db.Row, *data.Error) {
	if ct.same {
		return r.Clone(), nil
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
