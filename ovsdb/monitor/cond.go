package monitor

import (
	"sort"

	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/json"
)

// item is one change that is of interest to a conditional monitor.
type item struct {
	change int
	kind   Select
}

// condIndex finds, for a row of one table, the conditional monitors of a shape
// whose condition the row may match, without asking each of them: clauses that
// compare a column for equality, or want one element in it, are found by the
// value. What cannot be found that way is asked one by one.
type condIndex struct {
	byValue map[int]map[uint64][]*Monitor // column -> hash of its value
	byElem  map[int]map[uint64][]*Monitor // column -> hash of an element
	cols    []int                         // columns of byValue, sorted
	elems   []int                         // columns of byElem, sorted
	others  []*Monitor
}

const maxElems = 64 // rows with more elements ask every monitor

func (sh *shape) index(m *Monitor) {
	if sh.byTable == nil {
		sh.byTable = make([]*condIndex, len(sh.tables))
	}
	for i, t := range sh.tables {
		if t == nil {
			continue
		}
		if sh.byTable[i] == nil {
			sh.byTable[i] = &condIndex{byValue: map[int]map[uint64][]*Monitor{}, byElem: map[int]map[uint64][]*Monitor{}}
		}
		sh.byTable[i].add(m, m.where[i])
	}
}

func indexable(where []data.Clause) bool {
	for i := range where {
		c := &where[i]
		if c.Function != data.EQ && !(c.Function == data.INCLUDES && c.Arg.Len() == 1) {
			return false
		}
	}
	return where != nil
}

func (ix *condIndex) add(m *Monitor, where []data.Clause) {
	if !indexable(where) {
		ix.others = append(ix.others, m)
		return
	}
	for i := range where {
		c := &where[i]
		to, h := ix.byValue, c.Arg.Hash(0)
		if c.Function == data.INCLUDES {
			to, h = ix.byElem, c.Arg.ElementHash(0)
		}
		col := c.Column.Index
		if to[col] == nil {
			to[col] = map[uint64][]*Monitor{}
			ix.refresh()
		}
		to[col][h] = append(to[col][h], m)
	}
}

func (ix *condIndex) refresh() {
	keys := func(m map[int]map[uint64][]*Monitor) []int {
		var out []int
		for c := range m {
			out = append(out, c)
		}
		sort.Ints(out)
		return out
	}
	ix.cols, ix.elems = keys(ix.byValue), keys(ix.byElem)
}

func (sh *shape) unindex(m *Monitor) {
	for i, ix := range sh.byTable {
		if ix != nil {
			ix.remove(m, m.where[i])
		}
	}
}

func (ix *condIndex) remove(m *Monitor, where []data.Clause) {
	if !indexable(where) {
		ix.others = without(ix.others, m)
		return
	}
	for i := range where {
		c := &where[i]
		from, h := ix.byValue, c.Arg.Hash(0)
		if c.Function == data.INCLUDES {
			from, h = ix.byElem, c.Arg.ElementHash(0)
		}
		col := c.Column.Index
		if rest := without(from[col][h], m); len(rest) > 0 {
			from[col][h] = rest
		} else if delete(from[col], h); len(from[col]) == 0 {
			delete(from, col)
			ix.refresh()
		}
	}
}

func without(ms []*Monitor, m *Monitor) []*Monitor {
	for i := range ms {
		if ms[i] == m {
			return append(ms[:i:i], ms[i+1:]...)
		}
	}
	return ms
}

// candidates calls fn for every monitor that the row may be of interest to,
// some of them more than once.
func (ix *condIndex) candidates(r *db.Row, fn func(*Monitor)) {
	if r == nil {
		return
	}
	for _, col := range ix.cols {
		for _, m := range ix.byValue[col][r.Get(col).Hash(0)] {
			fn(m)
		}
	}
	for _, col := range ix.elems {
		d := r.Get(col)
		if d.Len() > maxElems {
			for _, ms := range ix.byElem[col] {
				for _, m := range ms {
					fn(m)
				}
			}
			continue
		}
		for i := 0; i < d.Len(); i++ {
			for _, m := range ix.byElem[col][d.ElementHash(i)] {
				fn(m)
			}
		}
	}
}

// publishConditional finds the changes that each conditional monitor of a
// shape gets, then sends them. The text for a row and kind is composed once.
func (g *Registry) publishConditional(sh *shape, c *Commit) {
	changes := byTable(sh, c.Changes)
	sh.texts = make([][]byte, 3*len(changes))
	var touched []*Monitor
	for i, ch := range changes {
		table := ch.Table.Schema.Index
		t := sh.tables[table]
		if ch.Old != nil && ch.New != nil && !ch.Cols.Meets(t.mask) && !sh.condTouched(table, ch) {
			continue
		}
		consider := func(m *Monitor) {
			if m.since >= c.Seq || len(m.queue) > 0 && m.queue[len(m.queue)-1].change == i {
				return
			}
			kind := classify(m.where[table], ch.Old, ch.New)
			if kind == 0 {
				return
			}
			if len(m.queue) == 0 {
				touched = append(touched, m)
			}
			m.queue = append(m.queue, item{i, kind})
		}
		ix := sh.byTable[table]
		ix.candidates(ch.Old, consider)
		ix.candidates(ch.New, consider)
		for _, m := range ix.others {
			consider(m)
		}
	}
	for _, m := range touched {
		g.sendQueue(m, changes, c)
	}
	sh.texts = nil
}

// condTouched tells whether the change may alter what some condition says.
func (sh *shape) condTouched(table int, ch *db.Change) bool {
	ix := sh.byTable[table]
	if len(ix.others) > 0 {
		return true
	}
	for _, c := range ix.cols {
		if ch.Cols.Has(c) {
			return true
		}
	}
	for _, c := range ix.elems {
		if ch.Cols.Has(c) {
			return true
		}
	}
	return false
}

func (g *Registry) sendQueue(m *Monitor, changes []*db.Change, c *Commit) {
	queue := m.queue
	m.queue = m.queue[:0]
	if m.held != nil || m.Client.Holds(m) {
		for _, it := range queue {
			m.holdRow(changes[it.change])
		}
		m.held.last = c.ID
		return
	}
	u := updates{}
	for _, it := range queue {
		ch := changes[it.change]
		t := m.shape.tables[ch.Table.Schema.Index]
		if text := m.shape.text(it, t, ch); len(text) > 0 {
			u.text(t, ch.UUID(), text)
		}
	}
	if !u.empty() {
		m.Client.Notify(m.message(u.finish(), c.ID))
	}
}

// text composes a row's update once per kind; empty if it is of no interest.
func (sh *shape) text(it item, t *tableShape, ch *db.Change) []byte {
	slot := it.change * 3
	switch it.kind {
	case Delete:
		slot++
	case Modify:
		slot += 2
	}
	if sh.texts[slot] == nil {
		text, ok := sh.appendRow([]byte{}, t, it.kind, ch.Old, ch.New, ch.Cols)
		if !ok {
			text = text[:0]
		}
		sh.texts[slot] = text
	}
	return sh.texts[slot]
}

// Recondition is a change of a monitor's conditions under way.
type Recondition struct {
	m     *Monitor
	where map[int][]data.Clause // new conditions by table
	old   map[int][]data.Clause // the ones they replace
}

// Begin makes the monitor hold every change of the tables in question, as
// neither the old nor the new conditions tell which ones matter until the text
// of Compose is sent.
func (g *Registry) Begin(rc *Recondition) {
	m := rc.m
	g.Remove(m)
	rc.old = map[int][]data.Clause{}
	for i := range rc.where {
		rc.old[i], m.where[i] = m.where[i], nil
	}
	g.Follow(m, m.since)
}

// ParseConditions reads the <monitor-cond-update-requests> of a
// "monitor_cond_change".
func (m *Monitor) ParseConditions(schema *data.Schema, v *json.Value) (*Recondition, *data.Error) {
	rc := &Recondition{m: m, where: map[int][]data.Clause{}}
	if v.Kind() != json.Object {
		return nil, data.SyntaxErrorf(nil, "", "monitor-cond-change-requests must be object")
	}
	for i := 0; i < v.Len(); i++ {
		name, reqs := v.Member(i)
		ts := schema.Table(name)
		if ts == nil {
			return nil, data.SyntaxErrorf(nil, "", "no table named %s", name)
		}
		if m.shape.tables[ts.Index] == nil {
			return nil, data.SyntaxErrorf(nil, "", "no table named %s in monitor session", name)
		}
		if reqs.Kind() != json.Array {
			return nil, data.SyntaxErrorf(nil, "", "table %s no monitor-cond-change JSON array", name)
		}
		for j := range reqs.List() {
			where, err := parseCondition(ts, &reqs.List()[j])
			if err != nil {
				return nil, err
			}
			rc.where[ts.Index] = where
		}
	}
	return rc, nil
}

func parseCondition(ts *data.TableSchema, v *json.Value) ([]data.Clause, *data.Error) {
	p := data.NewParser(v, "table %s", ts.Name)
	columns := p.Member("columns", data.AcceptArray|data.Optional)
	where := p.Member("where", data.AcceptArray)
	if err := p.Finish(); err != nil {
		return nil, err
	}
	if columns != nil {
		return nil, data.SyntaxErrorf(v, "", "changing columns is unsupported")
	}
	clauses, err := data.ParseClauses(where, ts, nil)
	if err != nil || len(clauses) == 0 {
		return nil, err
	}
	return simplify(clauses), nil
}

// Compose finds the rows that the new conditions bring and take away, in a
// snapshot that has everything the monitor's client knows; nil if there is
// none. It may run in any goroutine while the monitor's client is held.
func (rc *Recondition) Compose(s *db.Snapshot) []byte {
	m := rc.m
	u := updates{}
	for i, t := range m.shape.tables {
		where, ok := rc.where[i]
		if t == nil || !ok {
			continue
		}
		old := rc.old[i]
		for r := range s.Tables[i].All {
			was := old == nil || data.MatchAny(old, r)
			is := where == nil || data.MatchAny(where, r)
			switch {
			case is && !was:
				u.put(m.shape, t, Insert, nil, r, nil)
			case was && !is:
				u.put(m.shape, t, Delete, r, nil, nil)
			}
		}
	}
	if u.empty() {
		return nil
	}
	return u.finish()
}

// Recondition makes the new conditions valid and sends the text of Compose.
func (g *Registry) Recondition(rc *Recondition, text []byte, last data.UUID) {
	m := rc.m
	if m.on {
		g.Remove(m)
		for i, w := range rc.where {
			m.where[i] = w
		}
		g.Follow(m, m.since)
	}
	if text != nil {
		m.Client.Notify(m.message(text, last))
	}
}
