package storage

import (
	"strconv"
	"strings"

	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/json"
)

// Options says how transactions are written.
type Options struct {
	// NoDiff writes whole values where changes would do.
	NoDiff bool
}

// Encode writes what a transaction changed as the content of a record, without
// the line feed; nil if nothing of it belongs in a file.
func Encode(dst []byte, t *db.Txn, wall int64, o Options) []byte {
	start := len(dst)
	dst = annotate(dst, t.Comment(), wall, o)
	var open *db.Table
	for _, c := range byTable(t.Changes) {
		mark, was := len(dst), open
		if c.Table != open {
			if open != nil {
				dst = append(dst, '}')
			}
			open = c.Table
			dst = append(dst, ',')
			dst = json.AppendString(dst, open.Schema.Name)
			dst = append(dst, ':', '{')
		} else {
			dst = append(dst, ',')
		}
		var wrote bool
		if dst, wrote = appendChange(dst, c, o); !wrote {
			dst, open = dst[:mark], was
		}
	}
	if open == nil {
		return dst[:start]
	}
	return append(dst, '}', '}')
}

// byTable groups changes of one table, in order of first mention. Nearly every
// transaction is grouped already or small.
func byTable(cs []*db.Change) []*db.Change {
	if len(cs) < 2 {
		return cs
	}
	seen := map[*db.Table]int{}
	grouped := true
	for i, c := range cs {
		if last, ok := seen[c.Table]; ok && last != i-1 {
			grouped = false
			break
		}
		seen[c.Table] = i
	}
	if grouped {
		return cs
	}
	groups := map[*db.Table][]*db.Change{}
	var order []*db.Table
	for _, c := range cs {
		if groups[c.Table] == nil {
			order = append(order, c.Table)
		}
		groups[c.Table] = append(groups[c.Table], c)
	}
	out := make([]*db.Change, 0, len(cs))
	for _, t := range order {
		out = append(out, groups[t]...)
	}
	return out
}

// annotate begins a record with what is no table.
func annotate(dst []byte, comment string, wall int64, o Options) []byte {
	dst = append(dst, '{')
	if !o.NoDiff {
		dst = append(dst, isDiffMember...)
		dst = append(dst, ',')
	}
	if comment != "" {
		dst = append(dst, `"_comment":`...)
		dst = json.AppendString(dst, comment)
		dst = append(dst, ',')
	}
	dst = append(dst, `"_date":`...)
	return strconv.AppendInt(dst, wall, 10)
}

const isDiffMember = `"_is_diff":true`

func appendKey(dst []byte, u data.UUID) []byte {
	dst = append(dst, '"')
	dst = u.Append(dst)
	return append(dst, '"', ':')
}

// appendChange writes one row; false if none of its columns is for the file.
func appendChange(dst []byte, c *db.Change, o Options) ([]byte, bool) {
	dst = appendKey(dst, c.UUID())
	if c.New == nil {
		return append(dst, "null"...), true
	}
	if c.Old == nil {
		return appendRow(dst, c.Table.Schema, c.New), true
	}
	n := len(dst)
	dst = append(dst, '{')
	for _, col := range c.Table.Schema.Columns[data.NumStd:] {
		if !col.Persistent || !c.Cols.Has(col.Index) {
			continue
		}
		if len(dst) > n+1 {
			dst = append(dst, ',')
		}
		dst = db.AppendName(dst, col)
		d := c.New.Get(col.Index)
		if !o.NoDiff {
			d = data.Diff(&col.Type, c.Old.Get(col.Index), d)
		}
		dst = d.AppendJSON(dst, &col.Type)
	}
	return append(dst, '}'), len(dst) > n+1
}

// appendRow writes a whole row, less what has its default.
func appendRow(dst []byte, ts *data.TableSchema, r *db.Row) []byte {
	dst = append(dst, '{')
	first := true
	for _, col := range ts.Columns[data.NumStd:] {
		d := r.Get(col.Index)
		if !col.Persistent || d == col.Default || data.IsDefault(&col.Type, d) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = db.AppendName(dst, col)
		dst = d.AppendJSON(dst, &col.Type)
	}
	return append(dst, '}')
}

// contents is the rows that a new file begins with.
type contents interface {
	// each visits the rows of one table until an error.
	each(ts *data.TableSchema, visit func(*db.Row) error) error
}

type snapshot struct{ *db.Snapshot }

func (s snapshot) each(ts *data.TableSchema, visit func(*db.Row) error) error {
	for r := range s.Tables[ts.Index].All {
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

// encodeContents writes all rows as one record's content, piece by piece.
func encodeContents(schema *data.Schema, rows contents, comment string, wall int64, o Options, write func([]byte) error) error {
	buf := annotate(make([]byte, 0, 1<<20), comment, wall, o)
	for _, ts := range schema.Tables {
		first := true
		err := rows.each(ts, func(r *db.Row) error {
			buf = append(buf, ',')
			if first {
				buf = json.AppendString(buf, ts.Name)
				buf = append(buf, ':', '{')
			}
			first = false
			buf = appendKey(buf, r.UUID)
			buf = appendRow(buf, ts, r)
			if len(buf) < 1<<19 {
				return nil
			}
			err := write(buf)
			buf = buf[:0]
			return err
		})
		if err != nil {
			return err
		}
		if !first {
			buf = append(buf, '}')
		}
	}
	return write(append(buf, '}'))
}

// Apply reads one record's content into a transaction and commits it to the
// tables. With converting set, unknown tables and columns are passed over.
func Apply(d *db.DB, text string, converting bool) (*db.Txn, *data.Error) {
	return applyNext(d, json.NewParser(text), converting)
}

// applyNext is Apply for the value that comes next in p.
func applyNext(d *db.DB, p *json.Parser, converting bool) (*db.Txn, *data.Error) {
	if p.Peek() != '{' {
		return nil, data.SyntaxErrorf(nil, "", "object expected")
	}
	t := d.Begin()
	text := p.Rest()
	diff, err := isDiff(text)
	if err == nil {
		err = p.Members(func(name string) error {
			return applyMember(t, p, text, name, diff, converting)
		})
	}
	if err != nil {
		t.Rollback()
		if e, ok := err.(*data.Error); ok {
			return nil, e
		}
		return nil, data.SyntaxErrorf(nil, "", "invalid JSON: %v", err)
	}
	if e := t.Precommit(); e != nil {
		return nil, e
	}
	t.Seal()
	return t, nil
}

// isDiff looks for "_is_diff":true. Large records are not walked for it if it
// is where we write it ourselves.
func isDiff(text string) (bool, error) {
	if strings.HasPrefix(text, "{"+isDiffMember) {
		return true, nil
	}
	if !strings.Contains(text, "_is_diff") {
		return false, nil
	}
	p := json.NewParser(text)
	diff := false
	err := p.Members(func(name string) error {
		if name != "_is_diff" {
			return p.Skip()
		}
		v, err := p.Value()
		diff = v.Kind() == json.True
		return err
	})
	return diff, err
}

func applyMember(t *db.Txn, p *json.Parser, text, name string, diff, converting bool) error {
	table := t.DB().Table(name)
	if table != nil {
		return applyTable(t, p, table, diff, converting)
	}
	v, err := p.Value()
	if err != nil {
		return err
	}
	switch {
	case name == "_date" && v.Kind() == json.Integer, name == "_is_diff" && v.IsBool(), name == "_comment", converting:
		if name == "_comment" {
			t.AddComment(v.Str())
		}
		return nil
	}
	whole, _ := json.NewParser(text).Value()
	return data.SyntaxErrorf(&whole, "unknown table", "No table named %s.", name)
}

func applyTable(t *db.Txn, p *json.Parser, table *db.Table, diff, converting bool) error {
	if p.Peek() != '{' {
		v, err := p.Value()
		if err != nil {
			return err
		}
		return data.SyntaxErrorf(&v, "", "object expected")
	}
	return p.Members(func(name string) error {
		u, ok := data.ParseUUID(name)
		if !ok {
			return data.SyntaxErrorf(nil, "", "\"%s\" is not a valid UUID", name)
		}
		v, err := p.Value()
		if err != nil {
			return err
		}
		if e := applyRow(t, table, u, &v, diff, converting); e != nil {
			return e
		}
		return nil
	})
}

func applyRow(t *db.Txn, table *db.Table, u data.UUID, v *json.Value, diff, converting bool) *data.Error {
	old := table.Row(u)
	if v.Kind() == json.Null {
		if old == nil {
			return data.SyntaxErrorf(nil, "", "transaction deletes row %s that does not exist", u)
		}
		t.Delete(table, u)
		return nil
	}
	if v.Kind() != json.Object {
		return data.SyntaxErrorf(v, "", "row must be JSON object")
	}
	row := old
	if row == nil {
		row = db.NewRow(table.Schema)
		row.UUID = u
	}
	for i := 0; i < v.Len(); i++ {
		name, m := v.Member(i)
		col := table.Schema.Column(name)
		if col == nil {
			if converting {
				continue
			}
			return data.SyntaxErrorf(v, "unknown column", "No column %s in table %s.", name, table.Schema.Name)
		}
		d, err := newValue(col, row.Get(col.Index), m, diff)
		if err != nil {
			return err
		}
		if old == nil {
			row.Set(col.Index, d)
		} else {
			t.Set(table, u, col, d)
		}
	}
	if old == nil {
		t.Insert(table, row)
	}
	return nil
}

func newValue(col *data.Column, old *data.Datum, v *json.Value, diff bool) (*data.Datum, *data.Error) {
	if !diff || data.IsDefault(&col.Type, old) {
		return data.ParseDatum(v, &col.Type, nil)
	}
	d, err := data.ParseDiff(v, &col.Type)
	if err != nil {
		return nil, err
	}
	return data.ApplyDiff(&col.Type, old, d)
}
