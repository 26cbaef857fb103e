package client

import (
	"slices"
	"sync/atomic"

	"sluice/ovsdb/data"
)

// UUID is the name of a row.
type UUID = data.UUID

// Row is one version of one row. It never changes.
type Row struct {
	table *Table
	uuid  UUID
	// cols holds the value of each column of the schema, nil where it is not
	// replicated.
	cols []*data.Datum
	// typed caches what Typed made of the row.
	typed atomic.Value
}

// UUID returns the row's name.
func (r *Row) UUID() UUID { return r.uuid }

// Table returns the name of the row's table.
func (r *Row) Table() string { return r.table.schema.Name }

// Get returns the value of a column; a column that the server lacks or that
// is not replicated has its default. It panics on a name that the schema does
// not have.
func (r *Row) Get(column string) *data.Datum {
	c := r.table.column(column)
	if d := r.cols[c.Index]; d != nil {
		return d
	}
	return c.Default
}

// Typed returns what decode makes of a row, calling it once per version.
func Typed[T any](r *Row, decode func(*Row) *T) *T {
	if v, ok := r.typed.Load().(*T); ok {
		return v
	}
	v := decode(r)
	r.typed.Store(v)
	return v
}

// Table is the replica of one table.
type Table struct {
	client *Client
	schema *data.TableSchema
	// wanted are the columns to replicate, alert those of them whose change
	// counts.
	wanted []*data.Column
	alert  map[*data.Column]bool

	rows map[UUID]*Row
	// sorted is all rows by UUID, nil when out of date.
	sorted []*Row
}

// Name returns the table's name.
func (t *Table) Name() string { return t.schema.Name }

// Row returns the row of that name, or nil.
func (t *Table) Row(u UUID) *Row { return t.rows[u] }

// Len returns how many rows there are.
func (t *Table) Len() int { return len(t.rows) }

// Rows returns all rows, sorted by UUID. The caller does not change it.
func (t *Table) Rows() []*Row {
	if t.sorted == nil && len(t.rows) > 0 {
		t.sorted = make([]*Row, 0, len(t.rows))
		for _, r := range t.rows {
			t.sorted = append(t.sorted, r)
		}
		slices.SortFunc(t.sorted, func(a, b *Row) int { return compareUUID(a.uuid, b.uuid) })
	}
	return t.sorted
}

func compareUUID(a, b UUID) int {
	switch {
	case a == b:
		return 0
	case a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo:
		return -1
	}
	return 1
}

func (t *Table) column(name string) *data.Column {
	c := t.schema.Column(name)
	if c == nil {
		panic("client: no column " + name + " in table " + t.schema.Name)
	}
	return c
}

// put adds or replaces a row and says whether readers must hear of it.
func (t *Table) put(u UUID, cols []*data.Datum) bool {
	old := t.rows[u]
	alert := old == nil
	if old != nil {
		changed := false
		for i := range cols {
			if cols[i] == old.cols[i] || cols[i] != nil && old.cols[i] != nil && data.Equal(&t.schema.Columns[i].Type, cols[i], old.cols[i]) {
				continue
			}
			changed = true
			alert = alert || t.alert[t.schema.Columns[i]]
		}
		if !changed {
			return false
		}
	}
	t.rows[u] = &Row{table: t, uuid: u, cols: cols}
	t.sorted = nil
	return alert
}

func (t *Table) remove(u UUID) bool {
	if t.rows[u] == nil {
		return false
	}
	delete(t.rows, u)
	t.sorted = nil
	return true
}

// clear removes all rows and says whether there were any.
func (t *Table) clear() bool {
	had := len(t.rows) > 0
	clear(t.rows)
	t.sorted = nil
	return had
}
