package client

import (
	"slices"

	"sluice/ovsdb/data"
	"sluice/ovsdb/json"
	"sluice/ovsdb/jsonrpc"
)

// updateRPC handles an update notification and says whether it was one of
// ours.
func (c *Client) updateRPC(method string, p []json.Value, now int64) bool {
	version, want := 1, 2
	switch method {
	case "update2":
		version = 2
	case "update3":
		version, want = 3, 3
	}
	if len(p) != want {
		csLog.WarnRL(syntaxRL, "syntax error: %s must be an array with %d elements.", method, want)
		return false
	}
	mine, server := c.monitorID(), serverMonitorID()
	updates := &p[want-1]
	switch {
	case json.Equal(&p[0], &mine):
		if version == 3 {
			id, ok := data.ParseUUID(p[1].Str())
			if !ok {
				csLog.WarnRL(syntaxRL, "syntax error: Last-id %s is not in UUID format.", p[1].Str())
				return false
			}
			c.lastID = id
		}
		if c.apply(updates, version, false, now) {
			c.seqno++
		}
	case c.server.monitored && json.Equal(&p[0], &server):
		c.server.update(updates)
		c.checkServer(now)
	default:
		return false
	}
	return true
}

// apply brings table updates into the replica and says whether readers must
// hear of it. With clear the updates are all there is, and rows that they do
// not name are gone.
func (c *Client) apply(updates *json.Value, version int, clear bool, now int64) bool {
	alert := false
	a := applier{version: version, clear: clear}
	for _, m := range c.monitor {
		t := c.tables[m.Table]
		rows := updates.Get(m.Table)
		if clear && a.removeOthers(t, rows) {
			alert = true
		}
		if rows == nil {
			continue
		}
		t.expect(rows.Len())
		for i := range rows.Len() {
			name, change := rows.Member(i)
			u, ok := data.ParseUUID(name)
			if !ok {
				csLog.WarnRL(syntaxRL, "syntax error: <table-updates> for table \"%s\" contains bad UUID \"%s\" as member name.", m.Table, name)
				continue
			}
			if a.row(t, u, change) {
				alert = true
			}
		}
	}
	if a.inconsistent {
		c.inconsistent(now)
	}
	return alert
}

// applier is one set of updates on its way into the replica.
type applier struct {
	version      int
	clear        bool
	inconsistent bool
}

func (a *applier) removeOthers(t *Table, rows *json.Value) bool {
	removed := false
	all := t.Rows()
	t.expect(len(all))
	for _, r := range all {
		if rows == nil || rows.Index(r.uuid.String()) < 0 {
			removed = t.remove(r.uuid) || removed
		}
	}
	return removed
}

func (a *applier) row(t *Table, u UUID, change *json.Value) bool {
	if a.version == 1 {
		switch v := change.Get("new"); {
		case v == nil || v.Kind() == json.Null:
			return a.remove(t, u)
		default:
			return t.put(u, a.columns(t, u, v, t.base(u), false))
		}
	}
	if v := change.Get("initial"); v != nil {
		return a.insert(t, u, v)
	}
	if v := change.Get("insert"); v != nil {
		return a.insert(t, u, v)
	}
	if v := change.Get("modify"); v != nil {
		if t.rows[u] == nil {
			idlLog.ErrRL(rowRL, "cannot modify missing row %s in table %s", u, t.Name())
			a.inconsistent = true
			return false
		}
		return t.put(u, a.columns(t, u, v, t.base(u), true))
	}
	if change.Index("delete") >= 0 {
		return a.remove(t, u)
	}
	csLog.WarnRL(syntaxRL, "syntax error: <row-update> for row %s of table \"%s\" has no known member", u, t.Name())
	return false
}

func (a *applier) insert(t *Table, u UUID, v *json.Value) bool {
	if t.rows[u] != nil && !a.clear {
		idlLog.ErrRL(rowRL, "cannot add existing row %s to table %s", u, t.Name())
		a.inconsistent = true
		return false
	}
	// Columns at their default are left out.
	return t.put(u, a.columns(t, u, v, t.defaults(), false))
}

func (a *applier) remove(t *Table, u UUID) bool {
	if !t.remove(u) {
		idlLog.ErrRL(rowRL, "cannot delete missing row %s from table %s", u, t.Name())
		a.inconsistent = true
		return false
	}
	return true
}

// base returns the columns of a row, or defaults, to be overwritten.
func (t *Table) base(u UUID) []*data.Datum {
	if r := t.rows[u]; r != nil {
		return slices.Clone(r.cols)
	}
	return t.defaults()
}

func (t *Table) defaults() []*data.Datum {
	cols := make([]*data.Datum, len(t.schema.Columns))
	for _, c := range t.wanted {
		if t.present(c) {
			cols[c.Index] = c.Default
		}
	}
	return cols
}

// columns puts the values of a row update into cols.
func (a *applier) columns(t *Table, u UUID, row *json.Value, cols []*data.Datum, diff bool) []*data.Datum {
	for i := range row.Len() {
		name, v := row.Member(i)
		c := t.schema.Column(name)
		if c == nil {
			idlLog.WarnRL(syntaxRL, "unknown column %s updating row %s", name, u)
			continue
		}
		d, err := parseValue(c, v, cols[c.Index], diff)
		if err != nil {
			idlLog.WarnRL(syntaxRL, "error parsing column %s in row %s in table %s: %s", name, u, t.Name(), err.Error())
			continue
		}
		cols[c.Index] = d
	}
	return cols
}

func parseValue(c *data.Column, v *json.Value, old *data.Datum, diff bool) (*data.Datum, *data.Error) {
	if !diff {
		// What another schema allows is taken as it is.
		t := unconstrained(&c.Type)
		return data.ParseDatum(v, &t, nil)
	}
	if old == nil {
		old = c.Default
	}
	d, err := data.ParseDiff(v, &c.Type)
	if err != nil {
		return nil, err
	}
	return data.ApplyDiff(&c.Type, old, d)
}

// unconstrained is t without its constraints: the server checks those.
func unconstrained(t *data.Type) data.Type {
	u := *t
	u.Key = data.NewBaseType(t.Key.Type)
	if t.IsMap() {
		u.Value = data.NewBaseType(t.Value.Type)
	}
	return u
}

// txnReply handles the answer to a transaction and says whether it was one.
func (c *Client) txnReply(m *jsonrpc.Msg, now int64) bool {
	i := slices.IndexFunc(c.txns, func(t *Txn) bool { return jsonrpc.SameID(t.id, m.ID) })
	if i < 0 {
		return false
	}
	t := c.txns[i]
	c.forget(t)
	t.complete(t.judge(m, now))
	return true
}

// judge finds out what became of a transaction.
func (t *Txn) judge(m *jsonrpc.Msg, now int64) Status {
	if m.Type == jsonrpc.Error {
		if text, ok := jsonrpc.Unquote(m.Error); ok && text == "canceled" {
			// The database was removed or converted.
			return TryAgain
		}
		t.err = string(m.Error)
		return Error
	}
	result, err := json.Parse(string(m.Result))
	if err != nil || result.Kind() != json.Array {
		idlLog.WarnRL(syntaxRL, "reply to \"transact\" is not JSON array")
		t.err = string(m.Result)
		return Error
	}
	var hard, soft, lock int
	for _, op := range result.List() {
		switch op.Kind() {
		case json.Null:
			// An earlier operation failed.
			soft++
		case json.Object:
			t.judgeOp(&op, &hard, &soft, &lock, now)
		default:
			hard++
			t.err = op.Text()
			idlLog.WarnRL(syntaxRL, "operation reply is not JSON null or object")
		}
	}
	switch {
	case hard > 0:
		return Error
	case lock > 0:
		return NotLocked
	case soft > 0:
		return TryAgain
	case !t.takeResults(result.List()):
		return Error
	}
	return Success
}

func (t *Txn) judgeOp(op *json.Value, hard, soft, lock *int, now int64) {
	e := op.Get("error")
	if e == nil {
		return
	}
	if e.Kind() != json.String {
		*hard++
		t.err = op.Text()
		idlLog.WarnRL(syntaxRL, "\"error\" in reply is not JSON string")
		return
	}
	switch e.Str() {
	case "timed out":
		*soft++
	case "unknown database":
		t.c.inconsistent(now)
		*soft++
	case "not owner":
		*lock++
	case "not allowed":
		*hard++
		t.err = op.Text()
	case "aborted":
	default:
		*hard++
		t.err = op.Text()
		idlLog.WarnRL(otherRL, "transaction error: %s", t.err)
	}
}

// takeResults reads the incremented value and the names of new rows.
func (t *Txn) takeResults(ops []json.Value) bool {
	if t.inc != nil && !t.incremented(ops) {
		return false
	}
	for _, rc := range t.inserts {
		if rc.deleted {
			continue
		}
		if rc.op >= len(ops) {
			idlLog.WarnRL(syntaxRL, "reply does not contain enough operations for insert (has %d, needs %d)", len(ops), rc.op)
			return false
		}
		u := ops[rc.op].Get("uuid")
		if u == nil || u.Len() != 2 {
			idlLog.WarnRL(syntaxRL, "\"insert\" reply \"uuid\" is not a JSON UUID: %s", ops[rc.op].Text())
			return false
		}
		rc.real, _ = data.ParseUUID(u.List()[1].Str())
	}
	return true
}

func (t *Txn) incremented(ops []json.Value) bool {
	if t.inc.op+1 >= len(ops) {
		idlLog.WarnRL(syntaxRL, "reply does not contain enough operations for increment (has %d, needs %d)", len(ops), t.inc.op+2)
		return false
	}
	if n := ops[t.inc.op].Get("count"); n == nil || n.Int() != 1 {
		idlLog.WarnRL(syntaxRL, "\"mutate\" reply \"count\" is not 1")
		return false
	}
	rows := ops[t.inc.op+1].Get("rows")
	if rows == nil || rows.Len() != 1 {
		idlLog.WarnRL(syntaxRL, "\"select\" reply \"rows\" has not 1 element")
		return false
	}
	v := rows.List()[0].Get(t.inc.column)
	if v == nil || v.Kind() != json.Integer {
		idlLog.WarnRL(syntaxRL, "\"select\" reply has no integer %s", t.inc.column)
		return false
	}
	t.inc.value = v.Int()
	return true
}
