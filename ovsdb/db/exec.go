package db

import (
	"strconv"

	"sluice/ovsdb/data"
	"sluice/ovsdb/json"
)

// Request is one "transact" to execute.
type Request struct {
	// Params is the request's params: the database's name, then operations.
	Params *json.Value
	// ReadOnly refuses operations that could change something.
	ReadOnly bool
	// Role and ID are the client's role and name for access rules.
	Role, ID string
	// HasID tells whether the client has a name.
	HasID bool
	// Elapsed is for how long the request has been waiting, in ms.
	Elapsed int64
	// HasLock tells whether the client owns a lock.
	HasLock func(name string) bool
	// NoWait makes an unsatisfied "wait" an error.
	NoWait bool
}

// Outcome is what executing a Request led to.
type Outcome struct {
	// Results is the reply; nil if the request waits. If there is a Txn, it is
	// a JSON array without its closing bracket, so that an error of the commit
	// can be added.
	Results []byte
	// Txn is the transaction to commit, nil after an error.
	Txn *Txn
	// Durable tells that the client wants it on disk before the reply.
	Durable bool
	// Writes tells that an operation other than the read-only ones ran.
	Writes bool
	// Waits lists, if Results is nil, what the request waits for.
	Waits []Wait
	// Timeout is, if Results is nil, for how long it waits at most, in ms
	// from its arrival; negative: for ever.
	Timeout int64
}

// Wait is one "wait" operation of a request that waits: only a change that
// Concerns it can let the request go on.
type Wait struct {
	table *Table
	where []data.Clause
	list  []*data.Column // that the operation compares
	cols  ColumnMask     // that matter
}

// Table is the table whose rows the operation looks at.
func (w *Wait) Table() *Table { return w.table }

// Concerns tells whether c may change what the operation sees.
func (w *Wait) Concerns(c *Change) bool {
	if c.Table != w.table || !w.cols.Meets(c.Cols) {
		return false
	}
	return c.Old != nil && data.MatchAll(w.where, c.Old) || c.New != nil && data.MatchAll(w.where, c.New)
}

// exec is the state of one request under execution.
type exec struct {
	db      *DB
	req     *Request
	txn     *Txn
	syms    data.Symbols
	out     []byte
	durable bool
	waits   []Wait
	timeout int64 // the shortest timeout of the waits so far, or -1
	pending bool  // a wait is not satisfied
}

type operation struct {
	run      func(*exec, *data.Parser) *data.Error
	readOnly bool
}

var operations map[string]operation

func init() {
	operations = map[string]operation{
		"insert":  {(*exec).insert, false},
		"select":  {(*exec).selectRows, true},
		"update":  {(*exec).update, false},
		"mutate":  {(*exec).mutate, false},
		"delete":  {(*exec).delete, false},
		"wait":    {(*exec).wait, true},
		"commit":  {(*exec).commit, false},
		"abort":   {(*exec).abort, true},
		"comment": {(*exec).comment, true},
		"assert":  {(*exec).assert, true},
	}
}

// Execute runs the operations of a request. The transaction it returns has
// neither been committed nor rolled back.
func (d *DB) Execute(req *Request) Outcome {
	ops := req.Params.List()
	if len(ops) == 0 || ops[0].Kind() != json.String || ops[0].Str() != d.Schema.Name {
		err := data.SyntaxErrorf(req.Params, "", "database name expected as first parameter")
		if req.Params.Kind() != json.Array {
			err = data.SyntaxErrorf(req.Params, "", "array expected")
		}
		return Outcome{Results: err.AppendJSON(nil)}
	}
	ops = ops[1:]
	x := exec{db: d, req: req, txn: d.Begin(), syms: data.Symbols{}, timeout: -1}
	o := Outcome{}
	x.out = append(make([]byte, 0, 128), '[')
	for i := range ops {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		start := len(x.out)
		writes, err := x.operation(&ops[i], i+1, len(ops))
		o.Writes = o.Writes || writes
		if err == nil {
			continue
		}
		x.txn.Rollback()
		if x.pending && !req.NoWait {
			for i := range x.waits {
				x.waits[i].prepare()
			}
			return Outcome{Waits: x.waits, Timeout: x.timeout}
		}
		x.out = err.AppendJSON(x.out[:start])
		for range ops[i+1:] {
			x.out = append(x.out, ",null"...)
		}
		return Outcome{Results: append(x.out, ']')}
	}
	o.Results, o.Txn, o.Durable = x.out, x.txn, x.durable
	return o
}

// operation runs one operation and appends its result.
func (x *exec) operation(v *json.Value, i, n int) (writes bool, err *data.Error) {
	p := data.NewParser(v, "ovsdb operation %d of %d", i, n)
	name := p.Member("op", data.AcceptID)
	var op operation
	if name != nil {
		op = operations[name.Str()]
		if op.run != nil {
			err = op.run(x, &p)
		} else {
			p.Fail("No operation \"%s\"", name.Str())
		}
	}
	if perr := p.Finish(); perr != nil {
		x.pending = false
		return false, perr
	}
	if err == nil && !op.readOnly {
		if x.req.ReadOnly {
			err = data.Errorf("not allowed", "%s operation not allowed when database server is in read only mode", name.Str())
		} else if x.db.Schema.Name[0] == '_' {
			err = data.Errorf("not allowed", "%s operation not allowed on table in reserved database %s", name.Str(), x.db.Schema.Name)
		}
	}
	return !op.readOnly, err
}

func (x *exec) table(p *data.Parser) *Table {
	m := p.Member("table", data.AcceptID)
	if m == nil {
		return nil
	}
	t := x.db.Table(m.Str())
	if t == nil {
		p.Fail("No table named %s.", m.Str())
	}
	return t
}

// parseRow reads a <row>; cols lists the columns it names.
func (x *exec) parseRow(v *json.Value, t *Table) (r *Row, cols []*data.Column, err *data.Error) {
	r = NewRow(t.Schema)
	cols = make([]*data.Column, 0, v.Len())
	if v.Kind() != json.Object {
		return nil, nil, data.SyntaxErrorf(v, "", "row must be JSON object")
	}
	for i := 0; i < v.Len(); i++ {
		name, m := v.Member(i)
		c := t.Schema.Column(name)
		if c == nil {
			return nil, nil, data.SyntaxErrorf(v, "unknown column", "No column %s in table %s.", name, t.Schema.Name)
		}
		d, err := data.ParseDatum(m, &c.Type, x.syms)
		if err != nil {
			return nil, nil, err
		}
		switch c.Index {
		case data.ColUUID:
			r.UUID = d.Key(0).UUID()
		case data.ColVersion:
			r.Version = d.Key(0).UUID()
		default:
			r.cols[c.Index] = d
		}
		cols = append(cols, c)
	}
	return r, cols, nil
}

func (x *exec) count(n int) {
	x.out = append(x.out, `{"count":`...)
	x.out = strconv.AppendInt(x.out, int64(n), 10)
	x.out = append(x.out, '}')
}

func (x *exec) insert(p *data.Parser) *data.Error {
	t := x.table(p)
	uuid := p.Member("uuid", data.AcceptString|data.Optional)
	name := p.Member("uuid-name", data.AcceptID|data.Optional)
	row := p.Member("row", data.AcceptObject)
	if p.Err() != nil {
		return p.Err()
	}
	u, err := x.newUUID(t, uuid, name)
	if err != nil {
		return err
	}
	r, _, err := x.parseRow(row, t)
	if err != nil {
		return err
	}
	for i, c := range t.Schema.Columns[data.NumStd:] {
		// Only a default can be wrong here, and a default has one element.
		if d := r.cols[i+data.NumStd]; d == c.Default && d.Len() == 1 {
			if err := data.CheckConstraints(&c.Type, d); err != nil {
				return err
			}
		}
	}
	r.UUID = u
	if !x.mayInsert(t, r) {
		return x.denied("row insertion into table", t)
	}
	x.txn.Insert(t, r)
	x.out = append(x.out, `{"uuid":["uuid","`...)
	x.out = u.Append(x.out)
	x.out = append(x.out, `"]}`...)
	return nil
}

// newUUID decides the UUID of a row to insert.
func (x *exec) newUUID(t *Table, uuid, name *json.Value) (u data.UUID, err *data.Error) {
	if uuid != nil {
		var ok bool
		if u, ok = data.ParseUUID(uuid.Str()); !ok {
			return u, data.SyntaxErrorf(uuid, "", "bad uuid")
		}
		if !x.txn.MayInsert(t, u) {
			return u, data.SyntaxErrorf(uuid, "duplicate uuid", "This UUID would duplicate a UUID already present "+
				"within the table or deleted within the same transaction.")
		}
	}
	if name != nil {
		sym := x.syms.Lookup(name.Str())
		if sym.Created {
			return u, data.SyntaxErrorf(name, "duplicate uuid-name",
				"This \"uuid-name\" appeared on an earlier \"insert\" operation.")
		}
		if uuid != nil {
			sym.UUID = u
		}
		sym.Created = true
		return sym.UUID, nil
	}
	if uuid == nil {
		u = data.NewUUID()
	}
	return u, nil
}

func (x *exec) update(p *data.Parser) *data.Error {
	t := x.table(p)
	where := p.Member("where", data.AcceptArray)
	row := p.Member("row", data.AcceptObject)
	if p.Err() != nil {
		return p.Err()
	}
	r, cols, err := x.parseRow(row, t)
	if err != nil {
		return err
	}
	for _, c := range cols {
		if !c.Mutable || c.Index < data.NumStd {
			return data.SyntaxErrorf(p.JSON(), "constraint violation",
				"Cannot update immutable column %s in table %s.", c.Name, t.Schema.Name)
		}
	}
	clauses, err := data.ParseClauses(where, t.Schema, x.syms)
	if err != nil {
		return err
	}
	found := t.query(clauses)
	if !x.mayUpdate(t, cols, found) {
		return x.denied("modification of table", t)
	}
	for _, e := range found {
		for _, c := range cols {
			if d := r.cols[c.Index]; !data.Equal(&c.Type, e.row.cols[c.Index], d) {
				x.txn.set(e, c, d)
			}
		}
	}
	x.count(len(found))
	return nil
}

func (x *exec) mutate(p *data.Parser) *data.Error {
	t := x.table(p)
	where := p.Member("where", data.AcceptArray)
	muts := p.Member("mutations", data.AcceptArray)
	if p.Err() != nil {
		return p.Err()
	}
	mutations, err := data.ParseMutations(muts, t.Schema, x.syms)
	if err != nil {
		return err
	}
	clauses, err := data.ParseClauses(where, t.Schema, x.syms)
	if err != nil {
		return err
	}
	cols := make([]*data.Column, len(mutations))
	for i := range mutations {
		cols[i] = mutations[i].Column
	}
	found := t.query(clauses)
	if !x.mayUpdate(t, cols, found) {
		return x.denied("mutate operation on table", t)
	}
	for _, e := range found {
		for i := range mutations {
			c := mutations[i].Column
			old := e.row.cols[c.Index]
			d, err := mutations[i].Apply(old)
			if err != nil {
				return err
			}
			if d != old {
				x.txn.set(e, c, d)
			}
		}
	}
	x.count(len(found))
	return nil
}

func (x *exec) delete(p *data.Parser) *data.Error {
	where := p.Member("where", data.AcceptArray)
	t := x.table(p)
	if p.Err() != nil {
		return p.Err()
	}
	clauses, err := data.ParseClauses(where, t.Schema, x.syms)
	if err != nil {
		return err
	}
	found := t.query(clauses)
	if !x.mayDelete(t, found) {
		return x.denied("row deletion from table", t)
	}
	for _, e := range found {
		x.txn.delete(e)
	}
	x.count(len(found))
	return nil
}

func (x *exec) commit(p *data.Parser) *data.Error {
	if d := p.Member("durable", data.AcceptBool); d != nil && d.Kind() == json.True {
		x.durable = true
	}
	x.out = append(x.out, "{}"...)
	return nil
}

func (x *exec) abort(*data.Parser) *data.Error {
	return data.Errorf("aborted", "aborted by request")
}

func (x *exec) comment(p *data.Parser) *data.Error {
	if c := p.Member("comment", data.AcceptString); c != nil {
		x.txn.AddComment(c.Str())
	}
	x.out = append(x.out, "{}"...)
	return nil
}

func (x *exec) assert(p *data.Parser) *data.Error {
	name := p.Member("lock", data.AcceptID)
	if name == nil {
		return nil
	}
	if x.req.HasLock != nil && x.req.HasLock(name.Str()) {
		x.out = append(x.out, "{}"...)
		return nil
	}
	return data.Errorf("not owner", "Asserted lock %s not held.", name.Str())
}
