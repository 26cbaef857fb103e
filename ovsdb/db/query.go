package db

import (
	"sort"

	"sluice/ovsdb/data"
)

// query lists the rows that match all clauses: by _uuid or by an index if the
// clauses fix its columns, else by looking at every row.
func (t *Table) query(where []data.Clause) []*entry {
	var out []*entry
	add := func(e *entry) {
		if e != nil && data.MatchAll(where, e.row) {
			out = append(out, e)
		}
	}
	for i := range where {
		c := &where[i]
		if c.Function == data.NEVER {
			return nil
		}
		if c.Function == data.EQ && c.Column.Index == data.ColUUID {
			e := t.byUUID[c.Arg.Key(0).UUID()]
			if e != nil && len(where) == 1 {
				return []*entry{e}
			}
			add(e)
			return out
		}
	}
	for _, ix := range t.indexes {
		if args := ix.args(where); args != nil {
			for n := ix.m[ix.hash(func(c *data.Column) *data.Datum { return args[c] })]; n != nil; n = n.next {
				add(n.e)
			}
			return out
		}
	}
	for r := range t.All {
		if data.MatchAll(where, r) {
			out = append(out, t.byUUID[r.UUID])
		}
	}
	return out
}

// args returns the value that the clauses fix for each of the index's
// columns, nil if one is missing.
func (ix *index) args(where []data.Clause) map[*data.Column]*data.Datum {
	var args map[*data.Column]*data.Datum
	for _, c := range ix.cols {
		found := false
		for i := range where {
			if where[i].Function == data.EQ && where[i].Column == c {
				if args == nil {
					args = map[*data.Column]*data.Datum{}
				}
				args[c] = where[i].Arg
				found = true
			}
		}
		if !found {
			return nil
		}
	}
	return args
}

// rowSet is rows that differ in some columns.
type rowSet struct {
	cols []*data.Column
	few  [4]*Row           // the first ones, which are mostly all
	m    map[uint64][]*Row // the others, by hash
	n    int
}

func (s *rowSet) hash(r *Row) uint64 {
	h := uint64(1)
	for _, c := range s.cols {
		h = r.Get(c.Index).Hash(h)
	}
	return h
}

func (s *rowSet) has(r *Row) bool {
	for _, o := range s.few[:min(s.n, len(s.few))] {
		if compareEqual(r, o, s.cols) {
			return true
		}
	}
	if s.m != nil {
		for _, o := range s.m[s.hash(r)] {
			if compareEqual(r, o, s.cols) {
				return true
			}
		}
	}
	return false
}

func (s *rowSet) add(r *Row) bool {
	if s.has(r) {
		return false
	}
	if s.n < len(s.few) {
		s.few[s.n] = r
	} else {
		if s.m == nil {
			s.m = map[uint64][]*Row{}
		}
		h := s.hash(r)
		s.m[h] = append(s.m[h], r)
	}
	s.n++
	return true
}

func compareEqual(a, b *Row, cols []*data.Column) bool {
	for _, c := range cols {
		if !data.Equal(&c.Type, a.Get(c.Index), b.Get(c.Index)) {
			return false
		}
	}
	return true
}

func (x *exec) selectRows(p *data.Parser) *data.Error {
	t := x.table(p)
	where := p.Member("where", data.AcceptArray)
	columns := p.Member("columns", data.AcceptArray|data.Optional)
	order := p.Member("sort", data.AcceptArray|data.Optional)
	if p.Err() != nil {
		return p.Err()
	}
	clauses, err := data.ParseClauses(where, t.Schema, x.syms)
	if err != nil {
		return err
	}
	cols, err := data.ParseColumnSet(columns, t.Schema)
	if err != nil {
		return err
	}
	sortCols, err := data.ParseColumnSet(order, t.Schema)
	if err != nil {
		return err
	}
	if order == nil {
		sortCols = nil
	}
	rows := distinct(t.query(clauses), cols)
	if sortCols != nil {
		sort.SliceStable(rows, func(i, j int) bool { return compareRows(rows[i], rows[j], sortCols) < 0 })
	}
	x.out = append(x.out, `{"rows":[`...)
	for i, r := range rows {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		x.out = r.AppendJSON(x.out, cols)
	}
	x.out = append(x.out, `]}`...)
	return nil
}

// distinct drops rows that equal an earlier one in cols.
func distinct(es []*entry, cols []*data.Column) []*Row {
	rows := make([]*Row, 0, len(es))
	unique := len(es) < 2
	for _, c := range cols {
		unique = unique || c.Index == data.ColUUID
	}
	set := rowSet{cols: cols}
	for _, e := range es {
		if unique || set.add(e.row) {
			rows = append(rows, e.row)
		}
	}
	return rows
}

// AppendJSON writes the given columns of the row as a <row>.
func (r *Row) AppendJSON(dst []byte, cols []*data.Column) []byte {
	dst = append(dst, '{')
	for i, c := range cols {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendName(dst, c)
		dst = r.AppendColumn(dst, c)
	}
	return append(dst, '}')
}

// AppendName writes a column's name and the colon.
func AppendName(dst []byte, c *data.Column) []byte {
	dst = append(dst, '"')
	dst = append(dst, c.Name...)
	return append(dst, '"', ':')
}

// AppendColumn writes one value of the row.
func (r *Row) AppendColumn(dst []byte, c *data.Column) []byte {
	switch c.Index {
	case data.ColUUID:
		return appendUUID(dst, r.UUID)
	case data.ColVersion:
		return appendUUID(dst, r.Version)
	}
	return r.cols[c.Index].AppendJSON(dst, &c.Type)
}

func appendUUID(dst []byte, u data.UUID) []byte {
	dst = append(dst, `["uuid","`...)
	dst = u.Append(dst)
	return append(dst, '"', ']')
}

func (x *exec) wait(p *data.Parser) *data.Error {
	timeout := p.Member("timeout", data.AcceptInteger|data.Optional)
	where := p.Member("where", data.AcceptArray)
	columns := p.Member("columns", data.AcceptArray|data.Optional)
	until := p.Member("until", data.AcceptString)
	rows := p.Member("rows", data.AcceptArray)
	t := x.table(p)
	if p.Err() != nil {
		return p.Err()
	}
	clauses, err := data.ParseClauses(where, t.Schema, x.syms)
	if err != nil {
		return err
	}
	cols, err := data.ParseColumnSet(columns, t.Schema)
	if err != nil {
		return err
	}
	ms := int64(-1)
	if timeout != nil {
		ms = timeout.Int()
		if ms < 0 {
			return data.SyntaxErrorf(timeout, "", "timeout must be nonnegative")
		}
		if x.timeout < 0 || ms < x.timeout {
			x.timeout = ms
		}
	}
	if until.Str() != "==" && until.Str() != "!=" {
		return data.SyntaxErrorf(until, "", "\"until\" must be \"==\" or \"!=\"")
	}
	expected := rowSet{cols: cols}
	for i := range rows.List() {
		r, _, err := x.parseRow(&rows.List()[i], t)
		if err != nil {
			return err
		}
		expected.add(r)
	}
	x.waits = append(x.waits, Wait{table: t, where: clauses, list: cols})
	if t.equals(clauses, &expected) == (until.Str() == "==") {
		x.out = append(x.out, "{}"...)
		return nil
	}
	return x.unsatisfied(ms)
}

func (x *exec) unsatisfied(ms int64) *data.Error {
	if ms >= 0 && x.req.Elapsed >= ms {
		if x.req.Elapsed > 0 {
			return data.Errorf("timed out", "\"wait\" timed out after %d ms", x.req.Elapsed)
		}
		return data.Errorf("timed out", "\"where\" clause test failed")
	}
	x.pending = true
	return data.Errorf("not supported", "triggers not supported")
}

// prepare makes the wait ready for Concerns, which most never need.
func (w *Wait) prepare() {
	w.cols = NewMask(len(w.table.Schema.Columns))
	w.cols.Set(data.ColUUID) // which only insertions and deletions touch
	for _, c := range w.list {
		w.cols.Set(c.Index)
	}
	for i := range w.where {
		if w.where[i].Column != nil {
			w.cols.Set(w.where[i].Column.Index)
		}
	}
}

// equals tells whether the matching rows are the expected ones.
func (t *Table) equals(where []data.Clause, expected *rowSet) bool {
	actual := rowSet{cols: expected.cols}
	for _, e := range t.query(where) {
		if !expected.has(e.row) {
			return false
		}
		actual.add(e.row)
	}
	return actual.n == expected.n
}
