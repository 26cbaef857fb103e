package monitor

import (
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
)

// classify decides what a change of a row is for a monitor with the given
// condition (nil: every row matches): its kind, or 0 if it is nothing.
func classify(where []data.Clause, old, new *db.Row) Select {
	was := old != nil && (where == nil || data.MatchAny(where, old))
	is := new != nil && (where == nil || data.MatchAny(where, new))
	switch {
	case was && is:
		return Modify
	case is:
		return Insert
	case was:
		return Delete
	}
	return 0
}

// changed tells whether a monitored column differs. cols may be nil.
func (t *tableShape) changed(old, new *db.Row, cols db.ColumnMask) bool {
	if cols != nil {
		return t.mask.Meets(cols)
	}
	for _, c := range t.cols {
		if t.differs(c, old, new, nil) {
			return true
		}
	}
	return false
}

func (t *tableShape) differs(c column, old, new *db.Row, cols db.ColumnMask) bool {
	if cols != nil {
		return cols.Has(c.Index)
	}
	return !data.Equal(&c.Type, old.Get(c.Index), new.Get(c.Index))
}

// appendRow writes a <row-update> for a change of the given kind; false if it
// is of no interest.
func (sh *shape) appendRow(dst []byte, t *tableShape, kind Select, old, new *db.Row, cols db.ColumnMask) ([]byte, bool) {
	if t.kind&kind == 0 || kind == Modify && !t.changed(old, new, cols) {
		return dst, false
	}
	if sh.version == V1 {
		return t.appendV1(dst, kind, old, new, cols), true
	}
	switch kind {
	case Delete:
		return append(dst, `{"delete":null}`...), true
	case Modify:
		return t.appendModify(dst, old, new, cols), true
	case Initial:
		dst = append(dst, `{"initial":`...)
	default:
		dst = append(dst, `{"insert":`...)
	}
	return append(t.appendFull(dst, kind, new), '}'), true
}

// appendV1 writes {"new":..,"old":..}.
func (t *tableShape) appendV1(dst []byte, kind Select, old, new *db.Row, cols db.ColumnMask) []byte {
	dst = append(dst, '{')
	if kind != Delete {
		dst = append(dst, `"new":`...)
		dst = t.appendColumns(dst, new, func(c column) bool { return c.kind&kind != 0 })
	}
	if kind == Modify {
		dst = append(dst, ',')
	}
	if kind == Modify || kind == Delete {
		dst = append(dst, `"old":`...)
		dst = t.appendColumns(dst, old, func(c column) bool {
			return c.kind&kind != 0 && (kind == Delete || t.differs(c, old, new, cols))
		})
	}
	return append(dst, '}')
}

func (t *tableShape) appendColumns(dst []byte, r *db.Row, want func(column) bool) []byte {
	dst = append(dst, '{')
	first := true
	for _, c := range t.cols {
		if !want(c) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = db.AppendName(dst, c.Column)
		dst = r.AppendColumn(dst, c.Column)
	}
	return append(dst, '}')
}

// appendFull writes a row less what has its default.
func (t *tableShape) appendFull(dst []byte, kind Select, r *db.Row) []byte {
	return t.appendColumns(dst, r, func(c column) bool {
		if c.kind&kind == 0 {
			return false
		}
		if c.Index < data.NumStd {
			return true
		}
		d := r.Get(c.Index)
		return d != c.Default && !data.IsDefault(&c.Type, d)
	})
}

// appendModify writes {"modify":row} with the differences.
func (t *tableShape) appendModify(dst []byte, old, new *db.Row, cols db.ColumnMask) []byte {
	dst = append(dst, `{"modify":{`...)
	first := true
	for _, c := range t.cols {
		if c.kind&Modify == 0 || !t.differs(c, old, new, cols) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = db.AppendName(dst, c.Column)
		if c.Type.IsComposite() {
			d := data.Diff(&c.Type, old.Get(c.Index), new.Get(c.Index))
			dst = d.AppendJSON(dst, &c.Type)
		} else {
			dst = new.AppendColumn(dst, c.Column)
		}
	}
	return append(dst, '}', '}')
}

// updates builds a <table-updates> object row by row. Rows of one table come
// one after the other.
type updates struct {
	buf  []byte
	open *tableShape
}

// row starts the entry of a row; what appendRow answers goes to end.
func (u *updates) row(t *tableShape, id data.UUID) (mark int) {
	mark = len(u.buf)
	if t != u.open {
		if u.open != nil {
			u.buf = append(u.buf, '}')
		}
		if len(u.buf) > 0 && u.buf[len(u.buf)-1] == '}' {
			u.buf = append(u.buf, ',')
		} else if len(u.buf) == 0 {
			u.buf = append(u.buf, '{')
		}
		u.buf = append(u.buf, '"')
		u.buf = append(u.buf, t.ts.Name...)
		u.buf = append(u.buf, `":{"`...)
	} else {
		u.buf = append(u.buf, ',', '"')
	}
	u.buf = id.Append(u.buf)
	u.buf = append(u.buf, '"', ':')
	return mark
}

func (u *updates) put(sh *shape, t *tableShape, kind Select, old, new *db.Row, cols db.ColumnMask) {
	if t.kind&kind == 0 {
		return
	}
	id := new
	if id == nil {
		id = old
	}
	mark := u.row(t, id.UUID)
	var ok bool
	if u.buf, ok = sh.appendRow(u.buf, t, kind, old, new, cols); ok {
		u.open = t
	} else {
		u.buf = u.buf[:mark]
	}
}

// text adds a <row-update> that has been composed before.
func (u *updates) text(t *tableShape, id data.UUID, text []byte) {
	u.row(t, id)
	u.buf = append(u.buf, text...)
	u.open = t
}

// empty tells whether nothing has been added.
func (u *updates) empty() bool { return u.open == nil }

func (u *updates) finish() []byte {
	if u.open == nil {
		return append(u.buf, '{', '}')
	}
	return append(u.buf, '}', '}')
}

// message wraps table-updates into the monitor's notification.
func (m *Monitor) message(updates []byte, last data.UUID) []byte {
	dst := make([]byte, 0, len(updates)+len(m.ID)+96)
	dst = append(dst, `{"id":null,"method":"`...)
	switch m.shape.version {
	case V1:
		dst = append(dst, "update"...)
	case V2:
		dst = append(dst, "update2"...)
	case V3:
		dst = append(dst, "update3"...)
	}
	dst = append(dst, `","params":[`...)
	dst = append(dst, m.ID...)
	dst = append(dst, ',')
	if m.shape.version == V3 {
		if m.NoIDs {
			last = data.UUID{}
		}
		dst = append(dst, '"')
		dst = last.Append(dst)
		dst = append(dst, '"', ',')
	}
	dst = append(dst, updates...)
	return append(dst, ']', '}')
}

// InitialText is a composed <table-updates> that several clients may send.
type InitialText struct {
	// Text is the JSON.
	Text  []byte
	seq   uint64
	users int // monitors that want it
	done  chan struct{}
}

// Initial composes what the monitor starts with. It may run in any goroutine;
// unconditional monitors of one shape that ask at the same moment of the
// database share the work.
func (g *Registry) Initial(m *Monitor, s *db.Snapshot) []byte {
	it := m.first
	if it == nil {
		return m.initial(s)
	}
	if m.composes {
		it.Text = m.initial(s)
		close(it.done)
	}
	<-it.done
	return it.Text
}

func (m *Monitor) initial(s *db.Snapshot) []byte {
	u := updates{}
	for i, t := range m.shape.tables {
		if t == nil || t.kind&Initial == 0 {
			continue
		}
		where := m.where[i]
		if where != nil && len(where) == 0 {
			continue
		}
		for r := range s.Tables[i].All {
			if where == nil || data.MatchAny(where, r) {
				u.put(m.shape, t, Initial, nil, r, nil)
			}
		}
	}
	return u.finish()
}
