package server

import (
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/json"
)

// updateForm is how the rows of <table-updates> are written.
type updateForm struct {
	v1    bool                               // of "update", as opposed to "update2" and "update3"
	clear bool                               // the update is all there is: other rows go
	skip  func(table *data.TableSchema) bool // tables that stay as they are, or nil
}

// applyUpdates makes a transaction of what another server says has changed.
// With form.clear, rows that stay are changed in place, so that our own
// clients only hear of differences.
func (d *database) applyUpdates(v *json.Value, form updateForm) (*db.Txn, *data.Error) {
	t := d.d.Begin()
	seen := map[data.UUID]bool{}
	for i := 0; i < v.Len(); i++ {
		name, rows := v.Member(i)
		table := d.d.Table(name)
		if table == nil {
			t.Rollback()
			return nil, data.Errorf("unknown table", "unknown table %s", name)
		}
		for j := 0; j < rows.Len(); j++ {
			uuid, update := rows.Member(j)
			u, ok := data.ParseUUID(uuid)
			if !ok {
				t.Rollback()
				return nil, data.SyntaxErrorf(update, "", "\"%s\" is not a valid UUID", uuid)
			}
			seen[u] = true
			if err := applyUpdate(t, table, u, update, form); err != nil {
				t.Rollback()
				return nil, err
			}
		}
	}
	if form.clear {
		d.deleteOthers(t, seen, form)
	}
	return t, nil
}

func (d *database) deleteOthers(t *db.Txn, seen map[data.UUID]bool, form updateForm) {
	for _, table := range d.d.Tables {
		if form.skip != nil && form.skip(table.Schema) {
			continue
		}
		var gone []data.UUID
		for r := range table.All {
			if !seen[r.UUID] {
				gone = append(gone, r.UUID)
			}
		}
		for _, u := range gone {
			t.Delete(table, u)
		}
	}
}

func applyUpdate(t *db.Txn, table *db.Table, u data.UUID, v *json.Value, form updateForm) *data.Error {
	kind, row, full := rowUpdate(v, form.v1)
	old := table.Row(u)
	if form.clear {
		full = true
	}
	switch {
	case kind == 0:
		return data.SyntaxErrorf(v, "", "bad row update")
	case kind == 'd':
		if old == nil {
			return data.Errorf("consistency violation", "cannot delete missing row %s from table %s", u, table.Schema.Name)
		}
		t.Delete(table, u)
		return nil
	case kind == 'm' && old == nil:
		return data.Errorf("consistency violation", "cannot modify missing row %s from table %s", u, table.Schema.Name)
	}
	if old == nil {
		n := db.NewRow(table.Schema)
		n.UUID = u
		t.Insert(table, n)
		old, full = n, false
	}
	return setColumns(t, table, old, row, full, kind == 'm' && !form.v1)
}

// rowUpdate takes a <row-update> apart: 'i'nsert, 'm'odify or 'd'elete, and
// whether the row is complete.
func rowUpdate(v *json.Value, v1 bool) (kind byte, row *json.Value, full bool) {
	if v.Kind() != json.Object {
		return 0, nil, false
	}
	if v1 {
		old, new := v.Get("old"), v.Get("new")
		switch {
		case new == nil && old != nil:
			return 'd', nil, false
		case new == nil || new.Kind() != json.Object:
			return 0, nil, false
		case old == nil:
			return 'i', new, true
		}
		return 'm', new, true
	}
	if v.Len() != 1 {
		return 0, nil, false
	}
	name, row := v.Member(0)
	switch {
	case name == "delete":
		return 'd', nil, false
	case row.Kind() != json.Object:
		return 0, nil, false
	case name == "initial" || name == "insert":
		return 'i', row, true
	case name == "modify":
		return 'm', row, false
	}
	return 0, nil, false
}

// setColumns changes a row; full resets what the update does not mention.
func setColumns(t *db.Txn, table *db.Table, old *db.Row, row *json.Value, full, diff bool) *data.Error {
	if full {
		for _, c := range table.Schema.Columns[data.NumStd:] {
			if row.Get(c.Name) == nil {
				t.Set(table, old.UUID, c, c.Default)
			}
		}
	}
	for i := 0; i < row.Len(); i++ {
		name, v := row.Member(i)
		c := table.Schema.Column(name)
		if c == nil {
			return data.SyntaxErrorf(row, "unknown column", "No column %s in table %s.", name, table.Schema.Name)
		}
		if c.Index == data.ColUUID {
			continue
		}
		var d *data.Datum
		var err *data.Error
		if diff && c.Type.IsComposite() {
			if d, err = data.ParseDiff(v, &c.Type); err == nil {
				d, err = data.ApplyDiff(&c.Type, table.Row(old.UUID).Get(c.Index), d)
			}
		} else {
			d, err = data.ParseDatum(v, &c.Type, nil)
		}
		if err != nil {
			return err
		}
		if c.Index == data.ColVersion {
			t.SetVersion(table, old.UUID, d.Key(0).UUID())
			continue
		}
		t.Set(table, old.UUID, c, d)
	}
	return nil
}
