// Package monitor composes the notifications that keep clients' replicas of a
// database up to date: "update", "update2" and "update3" with their initial
// contents, conditions, and the history that lets a client that was away get
// only what it missed.
//
// ovsdb/server owns the sessions and calls it from its loop; only Initial and
// Recondition, which work on snapshots, may run elsewhere. It knows no
// connections.
package monitor

import (
	"strconv"
	"strings"

	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/json"
)

// Version tells which notifications a monitor gets.
type Version uint8

// The versions.
const (
	V1 Version = iota // monitor: update
	V2                // monitor_cond: update2
	V3                // monitor_cond_since: update3
)

// Select tells which kinds of changes are of interest.
type Select uint8

// The kinds of changes.
const (
	Initial Select = 1 << iota
	Insert
	Delete
	Modify
	allKinds = Initial | Insert | Delete | Modify
)

// shape is what many monitors may have in common: everything but the
// conditions and the id. Monitors of one shape share composed text.
type shape struct {
	key     string
	version Version
	tables  []*tableShape // by table index, nil: not monitored
	uncond  []*Monitor
	conds   map[*Monitor]bool
	byTable []*condIndex // by table index
	initial *InitialText // of an unconditional monitor, at some moment
	texts   [][]byte     // of the commit being published, by change and kind
}

// tableShape is the monitored columns of one table.
type tableShape struct {
	ts   *data.TableSchema
	kind Select // of any column
	cols []column
	mask db.ColumnMask
}

type column struct {
	*data.Column
	kind Select
}

// Monitor is one client's monitor.
type Monitor struct {
	// ID is the client's name for it, raw JSON.
	ID []byte
	// Client gets the notifications.
	Client Client
	// NoIDs puts zeros in the place of transaction ids.
	NoIDs bool
	shape *shape
	where [][]data.Clause // by table index; nil: every row
	since uint64          // commits up to this one are known to the client
	held  *delta          // changes that wait until the client reads again
	queue []item          // scratch of publishConditional
	on    bool            // added to its registry
	first *InitialText    // shared initial contents, until they are sent
	// composes tells that this monitor makes the shared contents.
	composes bool
}

// Client is the owner of monitors.
type Client interface {
	// Holds tells whether notifications must wait: the client does not read,
	// or has not got the monitor's initial contents yet.
	Holds(m *Monitor) bool
	// Notify sends a whole message.
	Notify(msg []byte)
}

// Version tells which notifications the monitor gets.
func (m *Monitor) Version() Version { return m.shape.version }

// Unconditional tells whether the monitor has no condition at all.
func (m *Monitor) Unconditional() bool {
	for _, w := range m.where {
		if w != nil {
			return false
		}
	}
	return true
}

// Parse reads the <monitor-requests> of a request for a monitor.
func (g *Registry) Parse(v Version, id []byte, requests *json.Value) (*Monitor, *data.Error) {
	if requests.Kind() != json.Object {
		return nil, data.SyntaxErrorf(requests, "", "monitor-requests must be object")
	}
	n := len(g.schema.Tables)
	sh := &shape{version: v, tables: make([]*tableShape, n)}
	m := &Monitor{ID: id, shape: sh, where: make([][]data.Clause, n)}
	for i := 0; i < requests.Len(); i++ {
		name, req := requests.Member(i)
		ts := g.schema.Table(name)
		if ts == nil {
			return nil, data.SyntaxErrorf(nil, "", "no table named %s", name)
		}
		t := &tableShape{ts: ts, mask: db.NewMask(len(ts.Columns))}
		sh.tables[ts.Index] = t
		if err := m.parseTable(t, req); err != nil {
			return nil, err
		}
	}
	sh.key = sh.makeKey()
	if same := g.shapes[sh.key]; same != nil {
		m.shape = same
	}
	return m, nil
}

func (m *Monitor) parseTable(t *tableShape, req *json.Value) *data.Error {
	reqs := []json.Value{*req}
	if req.Kind() == json.Array {
		reqs = req.List()
	}
	var clauses []data.Clause
	all := len(reqs) == 0
	for i := range reqs {
		where, err := m.parseRequest(t, &reqs[i])
		if err != nil {
			return err
		}
		if len(where) == 0 {
			all = true
		}
		clauses = append(clauses, where...)
	}
	if !all {
		m.where[t.ts.Index] = simplify(clauses)
	}
	return nil
}

// simplify turns or-ed clauses that always match into none.
func simplify(where []data.Clause) []data.Clause {
	if len(where) == 0 {
		return nil
	}
	out := make([]data.Clause, 0, len(where))
	for _, c := range where {
		if c.Function == data.ALWAYS {
			return nil
		}
		if c.Function != data.NEVER {
			out = append(out, c)
		}
	}
	return out // empty but not nil: nothing matches
}

// parseRequest reads one <monitor-request>.
func (m *Monitor) parseRequest(t *tableShape, v *json.Value) ([]data.Clause, *data.Error) {
	p := data.NewParser(v, "table %s", t.ts.Name)
	var where *json.Value
	if m.shape.version != V1 {
		where = p.Member("where", data.AcceptArray|data.Optional)
	}
	columns := p.Member("columns", data.AcceptArray|data.Optional)
	sel := p.Member("select", data.AcceptObject|data.Optional)
	if err := p.Finish(); err != nil {
		return nil, err
	}
	kind, err := parseSelect(sel, t.ts)
	if err != nil {
		return nil, err
	}
	t.kind |= kind
	if err := t.addColumns(columns, kind); err != nil {
		return nil, err
	}
	if where == nil {
		return nil, nil
	}
	return data.ParseClauses(where, t.ts, nil)
}

func parseSelect(v *json.Value, ts *data.TableSchema) (Select, *data.Error) {
	if v == nil {
		return allKinds, nil
	}
	kind := Select(0)
	p := data.NewParser(v, "table %s select", ts.Name)
	for i, name := range []string{"initial", "insert", "delete", "modify"} {
		if b := p.Member(name, data.AcceptBool|data.Optional); b == nil || b.Kind() == json.True {
			kind |= 1 << i
		}
	}
	return kind, p.Finish()
}

func (t *tableShape) addColumns(v *json.Value, kind Select) *data.Error {
	if v == nil {
		for _, c := range t.ts.Columns[data.ColVersion:] {
			if err := t.addColumn(v, c, kind); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range v.List() {
		e := &v.List()[i]
		if e.Kind() != json.String {
			return data.SyntaxErrorf(v, "", "array of column names expected")
		}
		c := t.ts.Column(e.Str())
		if c == nil {
			return data.SyntaxErrorf(v, "", "%s is not a valid column name", e.Str())
		}
		if err := t.addColumn(v, c, kind); err != nil {
			return err
		}
	}
	return nil
}

func (t *tableShape) addColumn(v *json.Value, c *data.Column, kind Select) *data.Error {
	if t.mask.Has(c.Index) {
		return data.SyntaxErrorf(v, "", "column %s mentioned more than once", c.Name)
	}
	t.cols = append(t.cols, column{c, kind})
	t.mask.Set(c.Index)
	return nil
}

func (sh *shape) makeKey() string {
	var s strings.Builder
	s.WriteByte('0' + byte(sh.version))
	for _, t := range sh.tables {
		if t == nil {
			s.WriteByte('-')
			continue
		}
		s.WriteByte('t')
		for _, c := range t.cols {
			s.WriteString(strconv.Itoa(c.Index))
			s.WriteByte('a' + byte(c.kind))
		}
	}
	return s.String()
}
