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
	r := &Row{table: t, uuid: u, cols: cols}
	t.rows[u] = r
	if i, found := t.position(u); t.sorted != nil {
		// Who got the old slice keeps it as it was.
		next := make([]*Row, 0, len(t.sorted)+1)
		next = append(append(next, t.sorted[:i]...), r)
		if found {
			i++
		}
		t.sorted = append(next, t.sorted[i:]...)
	}
	return alert
}

// position returns where a row is or belongs in the sorted slice.
func (t *Table) position(u UUID) (int, bool) {
	return slices.BinarySearchFunc(t.sorted, u, func(r *Row, u UUID) int { return compareUUID(r.uuid, u) })
}

func (t *Table) remove(u UUID) bool {
	if t.rows[u] == nil {
		return false
	}
	delete(t.rows, u)
	if i, found := t.position(u); found {
		t.sorted = append(append(make([]*Row, 0, len(t.sorted)), t.sorted[:i]...), t.sorted[i+1:]...)
	}
	return true
}

// expect prepares for n changes: when there are many it costs less to sort the
// rows anew.
func (t *Table) expect(n int) {
	const many = 64
	if n > many {
		t.sorted = nil
	}
}
