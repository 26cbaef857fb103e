package server

import (
	"sort"
	"strconv"
	"strings"

	"sluice/internal/errno"
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
)

// dbColumn is what db:DB,TABLE,COLUMN names.
type dbColumn struct {
	d     *database
	table *db.Table
	col   *data.Column
}

// parseDBColumn finds the column that a name of the form db:DB,TABLE,COLUMN
// means; the error is text for people.
func (s *Server) parseDBColumn(name string) (dc dbColumn, problem string) {
	f := strings.FieldsFunc(strings.TrimPrefix(name, "db:"), func(r rune) bool { return r == ',' })
	if len(f) < 3 {
		return dc, `"` + name + `": invalid syntax`
	}
	dc.d = s.dbs[f[0]]
	if dc.d == nil {
		return dc, `"` + name + `": no database named ` + f[0]
	}
	if dc.d.schema == nil {
		return dc, ""
	}
	dc.table = dc.d.d.Table(f[1])
	if dc.table == nil {
		return dc, `"` + name + `": no table named ` + f[1]
	}
	dc.col = dc.table.Schema.Column(f[2])
	if dc.col == nil {
		return dc, `"` + name + `": table "` + f[1] + `" has no column "` + f[2] + `"`
	}
	return dc, ""
}

func isDB(name string) bool { return strings.HasPrefix(name, "db:") }

// SetRemotes makes the configured remotes those given; a result other than ""
// says what is wrong with them. It opens them at once.
func (s *Server) SetRemotes(targets []string) string {
	s.targets = map[string]bool{}
	for _, t := range targets {
		s.targets[t] = true
	}
	s.dirty = false
	s.remoteError = s.resolveRemotes()
	if s.remoteError == "" {
		return s.resolveTLS()
	}
	return s.remoteError
}

// reconfigure looks at the remotes and keys again, and logs what is wrong with
// them when that changes.
func (s *Server) reconfigure() {
	problem := s.resolveTLS()
	if problem != "" && problem != s.tls.problem {
		mainLog.Err("%s", problem)
	}
	s.tls.problem = problem
	problem = s.resolveRemotes()
	if problem != "" && problem != s.remoteError {
		mainLog.Err("%s", problem)
	}
	s.remoteError = problem
}

func (s *Server) sortedTargets() []string {
	out := make([]string, 0, len(s.targets))
	for t := range s.targets {
		out = append(out, t)
	}
	sort.Strings(out)
	return out
}

func (s *Server) resolveRemotes() string {
	want := map[string]remoteOptions{}
	var problems strings.Builder
	for _, t := range s.sortedTargets() {
		if !isDB(t) {
			want[t] = defaultOptions(t)
			continue
		}
		dc, problem := s.parseDBColumn(t)
		if problem != "" {
			problems.WriteString(problem + "\n")
			continue
		}
		if dc.table != nil {
			dc.remotes(want)
		}
	}
	s.setRemotes(want)
	return problems.String()
}

// remotes adds what the column says: targets, or rows that describe them.
func (dc dbColumn) remotes(want map[string]remoteOptions) {
	t := &dc.col.Type
	ref := dc.d.d.Table(t.Key.RefTable)
	for r := range dc.table.All {
		for k := range r.Get(dc.col.Index).All {
			switch {
			case t.IsMap():
			case t.Key.Type == data.String:
				want[k.Str()] = defaultOptions(k.Str())
			case ref != nil:
				if row := ref.Row(k.UUID()); row != nil {
					managerRemote(ref.Schema, row, want)
				}
			}
		}
	}
}

// get returns the value of a column, Empty if it is missing or of another type.
func get(ts *data.TableSchema, r *db.Row, name string, key, value data.AtomType) *data.Datum {
	c := ts.Column(name)
	if c == nil || c.Type.Key.Type != key || c.Type.Value.Type != value {
		return data.Empty
	}
	return r.Get(c.Index)
}

func managerRemote(ts *data.TableSchema, r *db.Row, want map[string]remoteOptions) {
	target := get(ts, r, "target", data.String, data.Void)
	if target.Len() != 1 {
		mainLog.InfoRL(rl, "Table `%s' has missing or invalid `target' column", ts.Name)
		return
	}
	name := target.Key(0).Str()
	o := defaultOptions(name)
	if d := get(ts, r, "max_backoff", data.Integer, data.Void); d.Len() == 1 {
		o.MaxBackoff = d.Key(0).Int()
	}
	if d := get(ts, r, "inactivity_probe", data.Integer, data.Void); d.Len() == 1 {
		o.Probe = d.Key(0).Int()
	}
	if d := get(ts, r, "read_only", data.Boolean, data.Void); d.Len() == 1 {
		o.ReadOnly = d.Key(0).Bool()
	}
	if d := get(ts, r, "role", data.String, data.Void); d.Len() == 1 {
		o.Role = d.Key(0).Str()
	}
	if v, ok := get(ts, r, "other_config", data.String, data.String).GetString("dscp"); ok {
		if n, err := strconv.Atoi(v); err == nil && n >= 0 && n <= 63 {
			o.DSCP = n
		}
	}
	want[name] = o
}

// watches tells whether a change may alter remotes or keys that come from the
// database.
func (s *Server) watches(d *database, changes []*db.Change) bool {
	for _, name := range s.dbNames() {
		dc, _ := s.parseDBColumn(name)
		if dc.d != d || dc.table == nil {
			continue
		}
		ref := d.d.Table(dc.col.Type.Key.RefTable)
		for _, c := range changes {
			if c.Table == dc.table && c.Cols.Has(dc.col.Index) {
				return true
			}
			if ref != nil && c.Table == ref && !onlyStatus(c) {
				return true
			}
		}
	}
	return false
}

// onlyStatus tells whether a change touches nothing but what the server itself
// writes.
func onlyStatus(c *db.Change) bool {
	if c.Old == nil || c.New == nil {
		return false
	}
	for _, col := range c.Table.Schema.Columns {
		if c.Cols.Has(col.Index) && col.Index != data.ColVersion && col.Name != "status" && col.Name != "is_connected" {
			return false
		}
	}
	return true
}

// dbNames lists the db: names among remotes and keys.
func (s *Server) dbNames() []string {
	var out []string
	for t := range s.targets {
		if isDB(t) {
			out = append(out, t)
		}
	}
	for _, f := range s.tls.files() {
		if isDB(*f) {
			out = append(out, *f)
		}
	}
	return out
}

const statusInterval = 2500

// hasStatus tells whether remotes have rows whose status is to be written.
func (s *Server) hasStatus() bool {
	for t := range s.targets {
		if isDB(t) {
			return true
		}
	}
	return false
}

// runStatus writes the status of remotes into the rows they come from.
func (s *Server) runStatus() {
	if s.now < s.statusAt || !s.hasStatus() {
		return
	}
	s.statusAt = s.now + statusInterval
	for _, t := range s.sortedTargets() {
		if !isDB(t) {
			continue
		}
		dc, _ := s.parseDBColumn(t)
		if dc.table == nil || dc.d.model != standalone || dc.col.Type.IsMap() {
			continue
		}
		ref := dc.d.d.Table(dc.col.Type.Key.RefTable)
		if ref == nil || s.repl != nil {
			continue
		}
		dc.d.internal(func(t *db.Txn) {
			for r := range dc.table.All {
				for k := range r.Get(dc.col.Index).All {
					if row := ref.Row(k.UUID()); row != nil {
						s.writeStatus(t, ref, row)
					}
				}
			}
		})
	}
}

func (s *Server) writeStatus(t *db.Txn, table *db.Table, row *db.Row) {
	ts := table.Schema
	target := get(ts, row, "target", data.String, data.Void)
	if target.Len() != 1 {
		return
	}
	connected, status := s.remoteStatus(s.remotes[target.Key(0).Str()])
	if c := ts.Column("is_connected"); c != nil && c.Type.Key.Type == data.Boolean && !c.Type.IsMap() {
		t.Set(table, row.UUID, c, data.NewScalar(data.BoolAtom(connected)))
	}
	if c := ts.Column("status"); c != nil && c.Type.IsMap() && c.Type.Key.Type == data.String && c.Type.Value.Type == data.String {
		t.Set(table, row.UUID, c, data.NewStringMap(status...))
	}
}

// remoteStatus describes a remote: key, value, key, value...
func (s *Server) remoteStatus(r *remote) (connected bool, status []string) {
	add := func(k, v string) { status = append(status, k, v) }
	if r == nil || r.listener != nil {
		// These say nothing here, but stock writes them for all remotes.
		add("sec_since_connect", "0")
		add("sec_since_disconnect", "0")
	}
	if r == nil {
		return false, status
	}
	if r.listener != nil {
		if n := len(r.sessions); n > 1 {
			add("n_connections", strconv.Itoa(n))
		}
		if p := r.listener.BoundPort(); p != 0 {
			add("bound_port", strconv.Itoa(p))
		}
		return len(r.sessions) > 0, status
	}
	for c := range r.sessions {
		st := c.js.Stats(s.now)
		connected = c.js.Connected()
		add("state", st.State.String())
		if st.SinceConnect >= 0 {
			add("sec_since_connect", strconv.FormatInt(st.SinceConnect/1000, 10))
		}
		if st.SinceDisconnect >= 0 {
			add("sec_since_disconnect", strconv.FormatInt(st.SinceDisconnect/1000, 10))
		}
		if err := c.js.LastErr(); err != nil {
			add("last_error", errno.Text(err))
		}
		c.addLocks(add)
	}
	return connected, status
}

func (c *session) addLocks(add func(k, v string)) {
	kinds := []struct {
		key  string
		want func(*waiter) bool
	}{
		{"locks_held", func(w *waiter) bool { return c.srv.owner(w.name) == w }},
		{"locks_waiting", func(w *waiter) bool { return c.srv.owner(w.name) != w && !w.steal }},
		{"locks_lost", func(w *waiter) bool { return c.srv.owner(w.name) != w && w.steal }},
	}
	for _, k := range kinds {
		if names := c.lockNames(k.want); len(names) > 0 {
			add(k.key, strings.Join(names, " "))
		}
	}
}
