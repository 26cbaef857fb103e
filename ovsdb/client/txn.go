package client

import (
	"fmt"
	"strings"

	"sluice/internal/coverage"
	"sluice/internal/poll"
	"sluice/ovsdb/data"
	"sluice/ovsdb/json"
)

// Status is how far a transaction is.
type Status int

// The statuses, named as stock's logs name them.
const (
	// Uncommitted: Commit was not called.
	Uncommitted Status = iota
	// Unchanged: there was nothing to write.
	Unchanged
	// Incomplete: the server has not answered yet.
	Incomplete
	// Aborted: Abort was called.
	Aborted
	// Success: it is in the database.
	Success
	// TryAgain: somebody else was faster, or the connection was lost. The
	// replica will change; then the same may be tried anew.
	TryAgain
	// NotLocked: the lock is not ours.
	NotLocked
	// Error: the server refused it; see Err.
	Error
)

var statusNames = [...]string{"uncommitted", "unchanged", "incomplete", "aborted", "success", "try again", "not locked", "error"}

// String returns the name that logs show.
func (s Status) String() string { return statusNames[s] }

var statusCounters = func() (c [len(statusNames)]*coverage.Counter) {
	for i, n := range statusNames {
		c[i] = coverage.New("txn_" + strings.ReplaceAll(n, " ", "_"))
	}
	return c
}()

// Txn collects changes and sends them as one transaction.
type Txn struct {
	c        *Client
	status   Status
	err      string
	comments []string
	id       []byte

	rows    []*rowChange
	byUUID  map[UUID]*rowChange
	inc     *increment
	inserts []*rowChange
}

// rowChange is all that one transaction does to one row.
type rowChange struct {
	table    *Table
	uuid     UUID
	inserted bool
	deleted  bool
	verify   []*data.Column
	set      []columnValue
	mutate   []mutation
	// op is the place of an insertion in the request, real the row's name
	// once the server told it.
	op   int
	real UUID
}

type columnValue struct {
	column *data.Column
	value  *data.Datum
}

type mutation struct {
	column *data.Column
	op     string
	arg    *data.Datum
	t      *data.Type
}

type increment struct {
	table, column string
	row           UUID
	force         bool
	op            int
	value         int64
}

// Begin starts a transaction. Any number may be under way.
func (c *Client) Begin() *Txn { return &Txn{c: c, byUUID: map[UUID]*rowChange{}} }

func (t *Txn) change(table string, u UUID) *rowChange {
	if t.status != Uncommitted {
		panic("client: transaction is committed already")
	}
	if rc := t.byUUID[u]; rc != nil {
		return rc
	}
	tb := t.c.tables[table]
	if tb == nil {
		panic("client: table " + table + " is not configured")
	}
	rc := &rowChange{table: tb, uuid: u}
	t.byUUID[u] = rc
	t.rows = append(t.rows, rc)
	return rc
}

// Comment adds a line to what the database's log says of the transaction.
func (t *Txn) Comment(format string, args ...any) {
	t.comments = append(t.comments, fmt.Sprintf(format, args...))
}

// Insert adds a row and returns a name for it that this transaction
// understands; RealUUID tells the final one.
func (t *Txn) Insert(table string) UUID {
	u := data.NewUUID()
	rc := t.change(table, u)
	rc.inserted = true
	t.inserts = append(t.inserts, rc)
	return u
}

// RealUUID returns the name that the server gave to an inserted row, after
// Success.
func (t *Txn) RealUUID(u UUID) (UUID, bool) {
	rc := t.byUUID[u]
	if rc == nil || !rc.inserted || t.status != Success {
		return UUID{}, false
	}
	return rc.real, true
}

// Set writes a column. Writing the value that a NoAlert column has anyway is
// left out; that of others is written, because to leave it out would let
// another client's change stand that we have not seen.
func (t *Txn) Set(table string, row UUID, column string, value *data.Datum) {
	rc := t.change(table, row)
	if rc.deleted {
		return
	}
	c := rc.table.column(column)
	for i := range rc.set {
		if rc.set[i].column == c {
			rc.set[i].value = value
			return
		}
	}
	if cur := rc.table.rows[row]; cur != nil && !rc.table.alert[c] && cur.cols[c.Index] != nil &&
		data.Equal(&c.Type, cur.cols[c.Index], value) {
		return
	}
	if !rc.table.present(c) {
		// The server's schema is older than ours.
		return
	}
	rc.set = append(rc.set, columnValue{c, value})
}

// AddElems adds elements to a set, or pairs to a map, without touching the
// others; an existing key of a map gets the new value.
func (t *Txn) AddElems(table string, row UUID, column string, elems *data.Datum) {
	rc := t.change(table, row)
	c := rc.table.column(column)
	if c.Type.Value.Type != data.Void {
		t.RemoveElems(table, row, column, elems)
	}
	rc.mutate = append(rc.mutate, mutation{c, "insert", elems, &c.Type})
}

// RemoveElems removes elements from a set, or the pairs with these keys from
// a map.
func (t *Txn) RemoveElems(table string, row UUID, column string, elems *data.Datum) {
	rc := t.change(table, row)
	c := rc.table.column(column)
	keys := data.Type{Key: c.Type.Key, Max: data.Unlimited}
	var list []data.Atom
	for k := range elems.All {
		list = append(list, *k)
	}
	rc.mutate = append(rc.mutate, mutation{c, "delete", data.NewSet(keys.Key.Type, list...), &keys})
}

// Delete removes a row. Rows of tables that are no roots are left to the
// server, which removes them once nothing refers to them.
func (t *Txn) Delete(table string, row UUID) {
	rc := t.change(table, row)
	rc.deleted = true
	rc.set, rc.mutate = nil, nil
}

// Verify makes the transaction fail with TryAgain if the column is not any
// more what the replica shows.
func (t *Txn) Verify(table string, row UUID, column string) {
	rc := t.change(table, row)
	c := rc.table.column(column)
	if cur := rc.table.rows[row]; !rc.inserted && cur != nil && cur.cols[c.Index] != nil {
		rc.verify = append(rc.verify, c)
	}
}

// Increment adds one to an integer column if the transaction changes anything
// else, or with force in any case.
func (t *Txn) Increment(table string, row UUID, column string, force bool) {
	t.inc = &increment{table: table, column: column, row: row, force: force}
}

// IncrementValue returns what Increment made of the column, after Success.
func (t *Txn) IncrementValue() int64 {
	if t.inc == nil || t.status != Success {
		return 0
	}
	return t.inc.value
}

// Commit sends the transaction and returns its status, which is Incomplete if
// it was sent.
func (t *Txn) Commit() Status {
	if t.status != Uncommitted {
		return t.status
	}
	switch {
	case !t.c.maySend():
		t.status = TryAgain
	case t.c.lock != "" && !t.c.hasLock:
		t.status = NotLocked
	default:
		ops, any := t.operations()
		if !any {
			t.status = Unchanged
			break
		}
		t.status = Incomplete
		t.c.sendTxn(t, ops)
	}
	statusCounters[t.status].Inc()
	return t.status
}

// Status returns how far the transaction is.
func (t *Txn) Status() Status { return t.status }

// Err returns the server's error object after Error.
func (t *Txn) Err() string { return t.err }

// Abort gives the transaction up. If it was sent already it may still happen.
func (t *Txn) Abort() {
	if t.status == Uncommitted || t.status == Incomplete {
		t.c.forget(t)
		t.status = Aborted
	}
}

// Wait wakes p if the status is final.
func (t *Txn) Wait(p *poll.Set) {
	if t.status != Uncommitted && t.status != Incomplete {
		p.Immediate()
	}
}

func (t *Txn) complete(s Status) {
	t.status = s
	statusCounters[s].Inc()
}

// operations builds the "transact" parameters and says whether they would
// change anything.
func (t *Txn) operations() ([]byte, bool) {
	b := json.AppendString([]byte{'['}, t.c.schema.Name)
	n, any := 0, false
	add := func(op json.Value) int {
		b = append(b, ',')
		b = op.Append(b)
		n++
		return n - 1
	}
	if t.c.lock != "" {
		add(json.NewObject(pair("op", "assert"), pair("lock", t.c.lock)))
	}
	for _, rc := range t.rows {
		if len(rc.verify) > 0 {
			add(rc.verifyOp())
		}
	}
	for _, rc := range t.rows {
		any = t.rowOps(rc, add) || any
	}
	if t.inc != nil && (any || t.inc.force) {
		any = true
		where := t.where(t.inc.row)
		table := pair("table", t.inc.table)
		column := json.NewString(t.inc.column)
		t.inc.op = add(json.NewObject(pair("op", "mutate"), table, where,
			json.Pair{Name: "mutations", Value: json.NewArray(json.NewArray(column, json.NewString("+="), json.NewInt(1)))}))
		add(json.NewObject(pair("op", "select"), table, where, json.Pair{Name: "columns", Value: json.NewArray(column)}))
	}
	if len(t.comments) > 0 {
		add(json.NewObject(pair("op", "comment"), pair("comment", strings.Join(t.comments, "\n"))))
	}
	return append(b, ']'), any
}

func pair(name, value string) json.Pair { return json.Pair{Name: name, Value: json.NewString(value)} }

func (t *Txn) where(u UUID) json.Pair {
	return json.Pair{Name: "where", Value: json.NewArray(json.NewArray(
		json.NewString("_uuid"), json.NewString("=="), t.uuidJSON(u)))}
}

// uuidJSON names a row, one inserted by this transaction by its symbol.
func (t *Txn) uuidJSON(u UUID) json.Value {
	if rc := t.byUUID[u]; rc != nil && rc.inserted {
		return json.NewArray(json.NewString("named-uuid"), json.NewString(symbol(u)))
	}
	return json.NewArray(json.NewString("uuid"), json.NewString(u.String()))
}

func symbol(u UUID) string { return "row" + strings.ReplaceAll(u.String(), "-", "_") }

// valueJSON writes a value in which rows inserted by this transaction may
// appear.
func (t *Txn) valueJSON(d *data.Datum, ty *data.Type) json.Value {
	v, err := json.Parse(string(d.AppendJSON(nil, ty)))
	if err != nil {
		panic("client: " + err.Error())
	}
	if len(t.inserts) > 0 && (ty.Key.Type == data.UUIDType || ty.Value.Type == data.UUIDType) {
		v = t.substitute(v)
	}
	return v
}

func (t *Txn) substitute(v json.Value) json.Value {
	list := v.List()
	if v.Kind() != json.Array {
		return v
	}
	if len(list) == 2 && list[0].Str() == "uuid" {
		if u, ok := data.ParseUUID(list[1].Str()); ok {
			return t.uuidJSON(u)
		}
		return v
	}
	out := make([]json.Value, len(list))
	for i := range list {
		out[i] = t.substitute(list[i])
	}
	return json.NewArray(out...)
}

func (rc *rowChange) verifyOp() json.Value {
	cur := rc.table.rows[rc.uuid]
	var columns []json.Value
	var values []json.Pair
	for _, c := range rc.verify {
		columns = append(columns, json.NewString(c.Name))
		v, _ := json.Parse(string(cur.cols[c.Index].AppendJSON(nil, &c.Type)))
		values = append(values, json.Pair{Name: c.Name, Value: v})
	}
	where := json.NewArray(json.NewArray(json.NewString("_uuid"), json.NewString("=="),
		json.NewArray(json.NewString("uuid"), json.NewString(rc.uuid.String()))))
	return json.NewObject(pair("op", "wait"), pair("table", rc.table.Name()), pair("until", "=="),
		json.Pair{Name: "timeout", Value: json.NewInt(0)},
		json.Pair{Name: "where", Value: where},
		json.Pair{Name: "columns", Value: json.NewArray(columns...)},
		json.Pair{Name: "rows", Value: json.NewArray(json.NewObject(values...))})
}

// rowOps adds the operations on one row and says whether they may change
// something.
func (t *Txn) rowOps(rc *rowChange, add func(json.Value) int) bool {
	table := pair("table", rc.table.Name())
	switch {
	case rc.deleted && rc.inserted:
		return false
	case rc.deleted:
		if !rc.table.schema.IsRoot {
			return false
		}
		add(json.NewObject(pair("op", "delete"), table, t.where(rc.uuid)))
		return true
	}
	row, changes := t.rowJSON(rc)
	any := changes || rc.inserted
	if rc.inserted {
		if rc.table.schema.MaxRows == 1 && rc.table.Len() == 0 {
			// Another client may be about to insert the only row, too.
			add(json.NewObject(pair("op", "wait"), table, pair("until", "=="),
				json.Pair{Name: "timeout", Value: json.NewInt(0)},
				json.Pair{Name: "where", Value: json.NewArray()},
				json.Pair{Name: "rows", Value: json.NewArray()}))
		}
		rc.op = add(json.NewObject(pair("op", "insert"), table, pair("uuid-name", symbol(rc.uuid)),
			json.Pair{Name: "row", Value: row}))
	} else if row.Len() > 0 {
		add(json.NewObject(pair("op", "update"), table, t.where(rc.uuid), json.Pair{Name: "row", Value: row}))
	}
	if len(rc.mutate) > 0 {
		var list []json.Value
		for _, m := range rc.mutate {
			list = append(list, json.NewArray(json.NewString(m.column.Name), json.NewString(m.op), t.valueJSON(m.arg, m.t)))
		}
		add(json.NewObject(pair("op", "mutate"), table, t.where(rc.uuid), json.Pair{Name: "mutations", Value: json.NewArray(list...)}))
		any = true
	}
	return any
}

func (t *Txn) rowJSON(rc *rowChange) (row json.Value, changes bool) {
	cur := rc.table.rows[rc.uuid]
	var members []json.Pair
	for _, s := range rc.set {
		if rc.inserted && data.IsDefault(&s.column.Type, s.value) {
			continue
		}
		members = append(members, json.Pair{Name: s.column.Name, Value: t.valueJSON(s.value, &s.column.Type)})
		var old *data.Datum
		if cur != nil {
			old = cur.cols[s.column.Index]
		}
		changes = changes || old == nil || !data.Equal(&s.column.Type, old, s.value)
	}
	return json.NewObject(members...), changes
}
