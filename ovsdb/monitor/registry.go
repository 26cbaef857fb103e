package monitor

import (
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
)

// Registry is the monitors of one database.
//
// Thread-safety: one goroutine calls its methods, but for Initial.
type Registry struct {
	schema *data.Schema
	shapes map[string]*shape
	order  []*shape  // the shapes in order of keys, or nil
	seq    uint64    // of the latest commit that has been published
	last   data.UUID // its transaction id
	n      int
}

// NewRegistry makes a registry without monitors.
func NewRegistry(s *data.Schema) *Registry {
	return &Registry{schema: s, shapes: map[string]*shape{}}
}

// Len is the number of monitors.
func (g *Registry) Len() int { return g.n }

// Add puts the monitor to work: it gets every commit after the one numbered
// since. Initial contents are composed by Initial.
func (g *Registry) Add(m *Monitor, since uint64) {
	g.Follow(m, since)
	if m.Unconditional() {
		m.share(since)
	}
}

// Follow is Add for a monitor whose client has the contents already: Initial
// must not be called.
func (g *Registry) Follow(m *Monitor, since uint64) {
	sh := m.shape
	if same := g.shapes[sh.key]; same != nil {
		sh, m.shape = same, same
	} else {
		g.shapes[sh.key] = sh
		g.order = nil
	}
	m.since, m.on = since, true
	g.n++
	if m.Unconditional() {
		sh.uncond = append(sh.uncond, m)
		return
	}
	if sh.conds == nil {
		sh.conds = map[*Monitor]bool{}
	}
	sh.conds[m] = true
	sh.index(m)
}

// share lets the monitor use initial contents that another one of its shape
// has composed or is composing for the same moment.
func (m *Monitor) share(since uint64) {
	it := m.shape.initial
	if it == nil || it.seq != since {
		it = &InitialText{seq: since, done: make(chan struct{})}
		m.shape.initial = it
		m.composes = true
	}
	m.first = it
	it.users++
}

// keepText is up to what size initial contents are kept for clients to come.
const keepText = 1 << 20

// Composed forgets the shared initial contents of m, once they are sent.
func (g *Registry) Composed(m *Monitor) {
	it := m.first
	if it == nil {
		return
	}
	m.first = nil
	it.users--
	if it.users == 0 && len(it.Text) > keepText && m.shape.initial == it {
		m.shape.initial = nil
	}
}

// Remove ends the monitor.
func (g *Registry) Remove(m *Monitor) {
	if !m.on {
		return
	}
	m.on = false
	g.n--
	sh := m.shape
	if sh.conds[m] {
		delete(sh.conds, m)
		sh.unindex(m)
	}
	for i, o := range sh.uncond {
		if o == m {
			sh.uncond = append(sh.uncond[:i], sh.uncond[i+1:]...)
			break
		}
	}
	if len(sh.uncond) == 0 && len(sh.conds) == 0 {
		delete(g.shapes, sh.key)
		g.order = nil
	}
}

// Commit is a transaction for publication.
type Commit struct {
	// Seq numbers the commits of the database.
	Seq uint64
	// ID is the transaction id.
	ID data.UUID
	// Changes lists what it changed.
	Changes []*db.Change
}

// Publish sends a commit to all monitors that it is of interest to.
func (g *Registry) Publish(c *Commit) {
	g.seq, g.last = c.Seq, c.ID
	for _, sh := range g.sorted() {
		if sh.initial != nil && sh.initial.seq < c.Seq {
			sh.initial = nil
		}
		if len(sh.uncond) > 0 {
			g.publishAll(sh, c)
		}
		if len(sh.conds) > 0 {
			g.publishConditional(sh, c)
		}
	}
}

// Retract sends the reverse of a commit that could not be written to the
// monitors that know it already, because they began while it was being written.
func (g *Registry) Retract(c *Commit) {
	rev := Commit{Seq: c.Seq, ID: g.last}
	for _, ch := range c.Changes {
		rev.Changes = append(rev.Changes, &db.Change{Table: ch.Table, Old: ch.New, New: ch.Old, Cols: ch.Cols})
	}
	for _, sh := range g.sorted() {
		for _, m := range sh.all() {
			if m.since >= c.Seq {
				m.hold(&rev)
				if !m.Client.Holds(m) {
					g.Flush(m)
				}
			}
		}
	}
}

func (sh *shape) all() []*Monitor {
	out := append([]*Monitor(nil), sh.uncond...)
	for m := range sh.conds {
		out = append(out, m)
	}
	return out
}

// publishAll composes one text for all unconditional monitors of a shape.
func (g *Registry) publishAll(sh *shape, c *Commit) {
	var text []byte
	composed := false
	for _, m := range sh.uncond {
		if m.since >= c.Seq {
			continue
		}
		if m.held != nil || m.Client.Holds(m) {
			m.hold(c)
			continue
		}
		if !composed {
			composed = true
			u := updates{}
			for _, ch := range byTable(sh, c.Changes) {
				t := sh.tables[ch.Table.Schema.Index]
				u.put(sh, t, classify(nil, ch.Old, ch.New), ch.Old, ch.New, ch.Cols)
			}
			if !u.empty() {
				text = u.finish()
			}
		}
		if text != nil {
			m.Client.Notify(m.message(text, c.ID))
		}
	}
}

// byTable picks the changes of the shape's tables, those of one table side by
// side.
func byTable(sh *shape, cs []*db.Change) []*db.Change {
	out := make([]*db.Change, 0, len(cs))
	sorted := true
	for _, c := range cs {
		if sh.tables[c.Table.Schema.Index] == nil {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Table.Schema.Index > c.Table.Schema.Index {
			sorted = false
		}
		out = append(out, c)
	}
	if !sorted {
		sortChanges(out)
	}
	return out
}

// delta is changes merged per row, for a client that does not read.
type delta struct {
	rows  map[rowKey]*heldRow
	order []*heldRow
	last  data.UUID
}

type rowKey struct {
	table int
	row   data.UUID
}

type heldRow struct {
	table    int
	old, new *db.Row
}

// hold merges a commit into what waits for the client.
func (m *Monitor) hold(c *Commit) {
	for _, ch := range c.Changes {
		if m.shape.tables[ch.Table.Schema.Index] != nil {
			m.holdRow(ch)
		}
	}
	if m.held != nil {
		m.held.last = c.ID
	}
}

func (m *Monitor) holdRow(ch *db.Change) {
	if m.held == nil {
		m.held = &delta{rows: map[rowKey]*heldRow{}}
	}
	k := rowKey{ch.Table.Schema.Index, ch.UUID()}
	h := m.held.rows[k]
	if h == nil {
		h = &heldRow{table: k.table, old: ch.Old}
		m.held.rows[k] = h
		m.held.order = append(m.held.order, h)
	}
	h.new = ch.New
}

// Pending tells whether changes wait for Flush.
func (m *Monitor) Pending() bool { return m.held != nil }

// Flush sends what was held back.
func (g *Registry) Flush(m *Monitor) {
	h := m.held
	if h == nil {
		return
	}
	m.held = nil
	if text := m.composeHeld(h.order); text != nil {
		m.Client.Notify(m.message(text, h.last))
	}
}

// composeHeld composes merged changes; nil if they come to nothing.
func (m *Monitor) composeHeld(rows []*heldRow) []byte {
	sortHeld(rows)
	u := updates{}
	for _, h := range rows {
		if kind := classify(m.where[h.table], h.old, h.new); kind != 0 {
			u.put(m.shape, m.shape.tables[h.table], kind, h.old, h.new, nil)
		}
	}
	if u.empty() {
		return nil
	}
	return u.finish()
}
