package db

import (
	"strings"

	"sluice/ovsdb/data"
)

// Access rules (ovsdb(7), "RBAC"): the database's RBAC_Role table gives, for
// a role and a table, a row with "authorization" (columns, or column:key,
// whose value must be the client's name), "insert_delete" and "update" (the
// columns that may change).

// perms returns the rules for the table, and whether rules apply at all.
func (x *exec) perms(t *Table) (r *Row, ts *data.TableSchema, apply bool) {
	if x.db.rbac == nil || x.req.Role == "" {
		return nil, nil, false
	}
	if !x.req.HasID {
		return nil, nil, true
	}
	rs := x.db.rbac.Schema
	perm := rs.Column("permissions")
	name := data.StringAtom(x.req.Role)
	for role := range x.db.rbac.All {
		if !role.Get(rs.Column("name").Index).Has(data.String, &name) {
			continue
		}
		table := data.StringAtom(t.Schema.Name)
		u := role.Get(perm.Index).Get(data.String, &table)
		rules := x.db.Table(perm.Type.Value.RefTable)
		if u == nil || rules == nil || perm.Type.Key.Type != data.String {
			return nil, nil, true
		}
		return rules.Row(u.UUID()), rules.Schema, true
	}
	return nil, nil, true
}

func column(r *Row, ts *data.TableSchema, name string) *data.Datum {
	if c := ts.Column(name); c != nil {
		return r.Get(c.Index)
	}
	return data.Empty
}

// authorized tells whether the rules let the client touch row r of table t.
func (x *exec) authorized(rules *Row, rs *data.TableSchema, t *Table, r *Row) bool {
	for k := range column(rules, rs, "authorization").All {
		if k.Str() == "" {
			return true
		}
		name, key, isMap := strings.Cut(k.Str(), ":")
		c := t.Schema.Column(name)
		if c == nil {
			continue
		}
		d := r.Get(c.Index)
		if isMap {
			if c.Type.Key.Type != data.String || c.Type.Value.Type != data.String {
				continue
			}
			if v, ok := d.GetString(key); ok && v == x.req.ID {
				return true
			}
		} else if !c.Type.IsMap() && c.Type.Key.Type == data.String && d.Len() == 1 && d.Key(0).Str() == x.req.ID {
			return true
		}
	}
	return false
}

func insertDelete(rules *Row, rs *data.TableSchema) bool {
	d := column(rules, rs, "insert_delete")
	return d.Len() == 1 && d.Key(0).Bool()
}

func (x *exec) mayInsert(t *Table, r *Row) bool {
	rules, rs, apply := x.perms(t)
	if !apply {
		return true
	}
	return rules != nil && x.authorized(rules, rs, t, r) && insertDelete(rules, rs)
}

func (x *exec) mayDelete(t *Table, found []*entry) bool {
	rules, rs, apply := x.perms(t)
	if !apply {
		return true
	}
	if rules == nil {
		return false
	}
	for _, e := range found {
		if !x.authorized(rules, rs, t, e.row) || !insertDelete(rules, rs) {
			return false
		}
	}
	return true
}

func (x *exec) mayUpdate(t *Table, cols []*data.Column, found []*entry) bool {
	rules, rs, apply := x.perms(t)
	if !apply {
		return true
	}
	if rules == nil {
		return false
	}
	allowed := column(rules, rs, "update")
	for _, e := range found {
		if !x.authorized(rules, rs, t, e.row) {
			return false
		}
		for _, c := range cols {
			if !modifiable(allowed, c) {
				return false
			}
		}
	}
	return true
}

func modifiable(allowed *data.Datum, c *data.Column) bool {
	for k := range allowed.All {
		if k.Str() == c.Name {
			return true
		}
	}
	return false
}

func (x *exec) denied(what string, t *Table) *data.Error {
	return data.Errorf("permission error", "RBAC rules for client \"%s\" role \"%s\" prohibit %s \"%s\".",
		x.req.ID, x.req.Role, what, t.Schema.Name)
}
