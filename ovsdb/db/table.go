// Package db holds OVSDB tables in memory and runs transactions on them:
// operations, references, garbage collection, unique indexes, access rules.
//
// One goroutine owns a DB and is the only one to call its methods. Rows are
// immutable once their transaction has ended, and a Snapshot keeps the rows
// of one moment for other goroutines. The package neither writes files
// (ovsdb/storage) nor knows sessions (ovsdb/server).
package db

import (
	"sluice/ovsdb/data"
)

// Row is one version of a row. It does not change after the transaction that
// made it has been sealed.
type Row struct {
	// UUID is the row's identity.
	UUID data.UUID
	// Version changes with every change of the row.
	Version data.UUID
	cols    []*data.Datum // by column index; the standard columns are nil
}

// Get returns the value of a column.
func (r *Row) Get(col int) *data.Datum {
	switch col {
	case data.ColUUID:
		return data.NewScalar(data.UUIDAtom(r.UUID))
	case data.ColVersion:
		return data.NewScalar(data.UUIDAtom(r.Version))
	}
	return r.cols[col]
}

// Set replaces a value in a row that is not in a table yet. Setting the
// standard columns has no effect.
func (r *Row) Set(col int, d *data.Datum) {
	if col >= data.NumStd {
		r.cols[col] = d
	}
}

// NewRow makes a row with default values and no UUID.
func NewRow(ts *data.TableSchema) *Row {
	r := &Row{cols: make([]*data.Datum, len(ts.Columns))}
	for i := data.NumStd; i < len(ts.Columns); i++ {
		r.cols[i] = ts.Columns[i].Default
	}
	return r
}

// Clone copies the row, for a table with the same columns.
func (r *Row) Clone() *Row {
	n := *r
	n.cols = append([]*data.Datum(nil), r.cols...)
	return &n
}

// entry is what a table knows of one row besides its values.
type entry struct {
	row    *Row
	table  *Table
	pos    int              // place in table.chunks
	strong int              // strong references from other rows
	weak   map[*entry]int32 // rows with weak references to this one, and how many
	change *Change          // in the transaction that is running, or nil
}

// Table is the rows of one table.
type Table struct {
	// Schema describes the table.
	Schema  *data.TableSchema
	db      *DB
	byUUID  map[data.UUID]*entry
	chunks  []*rowChunk
	n       int
	indexes []*index
	refs    []refColumn
	all     ColumnMask // every column; shared, never written
}

const rowsPerChunk = 256

// rowChunk holds rows side by side. A chunk as old as the latest snapshot is
// copied before it is written.
type rowChunk struct {
	rows  [rowsPerChunk]*Row
	epoch uint64
}

// refColumn is a column with references and where they lead.
type refColumn struct {
	col      *data.Column
	key, val *Table // nil: no reference
	keyWeak  bool
	valWeak  bool
}

func (rc *refColumn) strong() bool {
	return rc.key != nil && !rc.keyWeak || rc.val != nil && !rc.valWeak
}

func (rc *refColumn) weak() bool {
	return rc.key != nil && rc.keyWeak || rc.val != nil && rc.valWeak
}

// Len is the number of rows.
func (t *Table) Len() int { return t.n }

// Expect makes room for n rows in an empty table.
func (t *Table) Expect(n int) {
	t.byUUID = make(map[data.UUID]*entry, n)
	for _, ix := range t.indexes {
		ix.m = make(map[uint64]*indexNode, n)
	}
}

// Row returns the row with the given UUID, or nil.
func (t *Table) Row(u data.UUID) *Row {
	if e := t.byUUID[u]; e != nil {
		return e.row
	}
	return nil
}

// At returns the i'th row, in no order that means something.
func (t *Table) At(i int) *Row { return t.chunks[i/rowsPerChunk].rows[i%rowsPerChunk] }

// All calls yield for every row. The table must not change meanwhile.
func (t *Table) All(yield func(*Row) bool) {
	for i := 0; i < t.n; i++ {
		if !yield(t.At(i)) {
			return
		}
	}
}

// slot returns a chunk that may be written.
func (t *Table) slot(pos int) *rowChunk {
	i := pos / rowsPerChunk
	if i == len(t.chunks) {
		t.chunks = append(t.chunks, &rowChunk{epoch: t.db.epoch})
	}
	c := t.chunks[i]
	if c.epoch < t.db.epoch {
		n := *c
		n.epoch = t.db.epoch
		c = &n
		t.chunks[i] = c
	}
	return c
}

func (t *Table) put(e *entry, r *Row) {
	e.row = r
	t.slot(e.pos).rows[e.pos%rowsPerChunk] = r
}

// link adds e, whose row is set, to the table.
func (t *Table) link(e *entry) {
	e.pos = t.n
	t.n++
	t.put(e, e.row)
	t.byUUID[e.row.UUID] = e
	for _, ix := range t.indexes {
		ix.add(e, e.row)
	}
}

// unlink removes e from the table; the last row takes its place.
func (t *Table) unlink(e *entry) {
	for _, ix := range t.indexes {
		ix.remove(e, e.row)
	}
	delete(t.byUUID, e.row.UUID)
	t.n--
	if e.pos != t.n {
		last := t.byUUID[t.At(t.n).UUID]
		last.pos = e.pos
		t.put(last, last.row)
	}
	t.slot(t.n).rows[t.n%rowsPerChunk] = nil
	if t.n%rowsPerChunk == 0 {
		t.chunks = t.chunks[:t.n/rowsPerChunk]
	}
}

// index finds rows by the values of some columns. Within a transaction
// several rows may have the same values.
type index struct {
	cols []*data.Column
	m    map[uint64]*indexNode
}

type indexNode struct {
	e    *entry
	next *indexNode
}

func (ix *index) hash(get func(c *data.Column) *data.Datum) uint64 {
	h := uint64(len(ix.cols))
	for _, c := range ix.cols {
		h = get(c).Hash(h)
	}
	return h
}

func (ix *index) hashRow(r *Row) uint64 {
	h := uint64(len(ix.cols))
	for _, c := range ix.cols {
		h = r.Get(c.Index).Hash(h)
	}
	return h
}

func (ix *index) add(e *entry, r *Row) {
	h := ix.hashRow(r)
	ix.m[h] = &indexNode{e, ix.m[h]}
}

func (ix *index) remove(e *entry, r *Row) {
	h := ix.hashRow(r)
	var prev *indexNode
	for n := ix.m[h]; n != nil; prev, n = n, n.next {
		if n.e != e {
			continue
		}
		switch {
		case prev != nil:
			prev.next = n.next
		case n.next != nil:
			ix.m[h] = n.next
		default:
			delete(ix.m, h)
		}
		return
	}
}

func (ix *index) same(a, b *Row) bool {
	for _, c := range ix.cols {
		if !data.Equal(&c.Type, a.Get(c.Index), b.Get(c.Index)) {
			return false
		}
	}
	return true
}

// DB is one database.
type DB struct {
	// Schema describes the database.
	Schema *data.Schema
	// Tables holds the tables, in the order of Schema.Tables.
	Tables []*Table
	epoch  uint64
	rbac   *Table // RBAC_Role, or nil
}

// New makes an empty database.
func New(s *data.Schema) *DB {
	d := &DB{Schema: s, epoch: 1}
	for _, ts := range s.Tables {
		t := &Table{Schema: ts, db: d, byUUID: map[data.UUID]*entry{}, all: NewMask(len(ts.Columns))}
		for i := range ts.Columns {
			t.all.Set(i)
		}
		for _, cols := range ts.Indexes {
			t.indexes = append(t.indexes, &index{cols, map[uint64]*indexNode{}})
		}
		d.Tables = append(d.Tables, t)
	}
	for _, t := range d.Tables {
		for _, c := range t.Schema.Columns {
			if c.HasRefs() {
				k, v := &c.Type.Key, &c.Type.Value
				t.refs = append(t.refs, refColumn{c, d.Table(k.RefTable), d.Table(v.RefTable), k.Weak, v.Weak})
			}
		}
	}
	if r := d.Table("RBAC_Role"); r != nil && r.Schema.Column("name") != nil && r.Schema.Column("permissions") != nil {
		d.rbac = r
	}
	return d
}

// Table returns the table called name, or nil.
func (d *DB) Table(name string) *Table {
	if ts := d.Schema.Table(name); ts != nil {
		return d.Tables[ts.Index]
	}
	return nil
}

// Snapshot is the rows of all tables at one moment, for any goroutine.
type Snapshot struct {
	// Schema describes the database.
	Schema *data.Schema
	// Tables holds the rows, in the order of Schema.Tables.
	Tables []TableSnapshot
}

// TableSnapshot is the rows of one table at one moment.
type TableSnapshot struct {
	chunks []*rowChunk
	n      int
}

// Snapshot keeps the present rows. Its cost is a pointer per 256 rows.
func (d *DB) Snapshot() *Snapshot {
	d.epoch++
	s := &Snapshot{Schema: d.Schema, Tables: make([]TableSnapshot, len(d.Tables))}
	for i, t := range d.Tables {
		s.Tables[i] = TableSnapshot{append([]*rowChunk(nil), t.chunks...), t.n}
	}
	return s
}

// Len is the number of rows.
func (t *TableSnapshot) Len() int { return t.n }

// All calls yield for every row.
func (t *TableSnapshot) All(yield func(*Row) bool) {
	for i := 0; i < t.n; i++ {
		if !yield(t.chunks[i/rowsPerChunk].rows[i%rowsPerChunk]) {
			return
		}
	}
}

// Rows counts the rows of all tables.
func (d *DB) Rows() (n int) {
	for _, t := range d.Tables {
		n += t.n
	}
	return n
}

// Counts returns the numbers of cells and atoms, as memory/show reports them.
func (d *DB) Counts() (cells, atoms int) {
	for _, t := range d.Tables {
		cells += t.n * len(t.Schema.Columns)
		for r := range t.All {
			atoms += rowAtoms(t.Schema, r)
		}
	}
	return cells, atoms
}

// rowAtoms counts keys and values, those of the standard columns too.
func rowAtoms(ts *data.TableSchema, r *Row) int {
	n := data.NumStd
	for i := data.NumStd; i < len(r.cols); i++ {
		k := r.cols[i].Len()
		if ts.Columns[i].Type.IsMap() {
			k *= 2
		}
		n += k
	}
	return n
}

// WeakRefs counts the weak references between rows.
func (d *DB) WeakRefs() (n int) {
	for _, t := range d.Tables {
		for i := 0; i < t.n; i++ {
			for _, k := range t.byUUID[t.At(i).UUID].weak {
				n += int(k)
			}
		}
	}
	return n
}
