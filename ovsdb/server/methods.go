package server

import (
	"sort"

	"sluice/ovsdb/data"
	"sluice/ovsdb/json"
	"sluice/ovsdb/jsonrpc"
	"sluice/ovsdb/monitor"
)

// handle serves one message of a client.
func (c *session) handle(m *jsonrpc.Msg) {
	switch m.Type {
	case jsonrpc.Request:
		c.request(m)
	case jsonrpc.Notify:
		if m.Method == "cancel" {
			c.cancel(m)
		}
	default:
		log.Warn("%s: received unexpected %s message", c.js.Name(), m.Type)
		c.drop()
	}
}

// methods lists what clients may call. Each gets the parsed params.
var methods map[string]func(*session, *jsonrpc.Msg, *json.Value)

func init() {
	methods = map[string]func(*session, *jsonrpc.Msg, *json.Value){
		"transact":            (*session).transact,
		"convert":             (*session).convert,
		"monitor":             (*session).monitorV1,
		"monitor_cond":        (*session).monitorV2,
		"monitor_cond_since":  (*session).monitorV3,
		"monitor_cond_change": (*session).condChange,
		"monitor_cancel":      (*session).monitorCancel,
		"get_schema":          (*session).getSchema,
		"list_dbs":            (*session).listDBs,
		"get_server_id":       (*session).serverID,
		"lock":                func(c *session, m *jsonrpc.Msg, v *json.Value) { c.lock(m, v, false) },
		"steal":               func(c *session, m *jsonrpc.Msg, v *json.Value) { c.lock(m, v, true) },
		"unlock":              (*session).unlock,
		"set_db_change_aware": (*session).setAware,
		"echo":                func(c *session, m *jsonrpc.Msg, _ *json.Value) { c.reply(jsonrpc.NewReply(m.Params, m.ID)) },
	}
}

// maxValues is how many JSON values a request may have: the set of the ports of
// a bridge takes three for each.
const maxValues = 8 << 20

func (c *session) request(m *jsonrpc.Msg) {
	fn := methods[m.Method]
	if fn == nil || c.srv.noCond && (m.Method == "monitor_cond" || m.Method == "monitor_cond_since") {
		c.reply(jsonrpc.NewError([]byte(`"unknown method"`), m.ID))
		return
	}
	if len(m.Params) < bigParams {
		v, err := json.ParseLimited(string(m.Params), maxValues)
		c.serve(m, fn, &v, err)
		return
	}
	// Seconds may pass until millions of values are parsed. The session reads
	// nothing meanwhile, and others do not wait.
	c.busy++
	seqno := c.seqno
	go func() {
		v, err := json.ParseLimited(string(m.Params), maxValues)
		c.srv.post(func() {
			c.busy--
			if !c.closed && c.js.Connected() && c.seqno == seqno {
				c.serve(m, fn, &v, err)
			}
			c.srv.enqueue(c)
		})
	}()
}

// bigParams is the size of params that are parsed in a worker.
const bigParams = 1 << 20

func (c *session) serve(m *jsonrpc.Msg, fn func(*session, *jsonrpc.Msg, *json.Value), v *json.Value, err error) {
	if err != nil {
		log.WarnRL(rl, "%s: bad params: %v", c.js.Name(), err)
		c.drop()
		return
	}
	fn(c, m, v)
}

// lookup finds the database that the params begin with; it answers the request
// if there is none.
func (c *session) lookup(m *jsonrpc.Msg, params *json.Value) *database {
	l := params.List()
	if len(l) == 0 || l[0].Kind() != json.String {
		c.replyError(m, data.SyntaxErrorf(params, "", "%s request params must begin with <db-name>", m.Method))
		return nil
	}
	d := c.srv.dbs[l[0].Str()]
	if d == nil {
		c.replyError(m, data.SyntaxErrorf(params, "unknown database", "%s request specifies unknown database %s", m.Method, l[0].Str()))
		return nil
	}
	if d.schema == nil {
		c.replyError(m, data.Errorf("database not available", "%s request specifies database %s which is not yet "+
			"available because it has not completed joining its cluster", m.Method, d.name))
		return nil
	}
	return d
}

func (c *session) getSchema(m *jsonrpc.Msg, params *json.Value) {
	if d := c.lookup(m, params); d != nil {
		c.reply(jsonrpc.NewReply(d.schemaJS, m.ID))
	}
}

func (c *session) listDBs(m *jsonrpc.Msg, _ *json.Value) {
	names := make([]string, 0, len(c.srv.dbs))
	for name := range c.srv.dbs {
		names = append(names, name)
	}
	sort.Strings(names)
	c.reply(jsonrpc.NewReply(jsonrpc.AppendStrings(nil, names...), m.ID))
}

func (c *session) serverID(m *jsonrpc.Msg, _ *json.Value) {
	c.reply(jsonrpc.NewReply([]byte(`"`+c.srv.id.String()+`"`), m.ID))
}

func (c *session) setAware(m *jsonrpc.Msg, params *json.Value) {
	if l := params.List(); len(l) == 1 && l[0].IsBool() {
		c.aware = l[0].Kind() == json.True
		c.reply(jsonrpc.NewReply([]byte("{}"), m.ID))
		return
	}
	c.replyError(m, data.SyntaxErrorf(params, "", "%s: true or false parameter expected", m.Method))
}

func (c *session) monitorV1(m *jsonrpc.Msg, v *json.Value) { c.monitor(m, v, monitor.V1) }
func (c *session) monitorV2(m *jsonrpc.Msg, v *json.Value) { c.monitor(m, v, monitor.V2) }
func (c *session) monitorV3(m *jsonrpc.Msg, v *json.Value) { c.monitor(m, v, monitor.V3) }

// monitor starts a monitor. Its initial contents come from a snapshot, in a
// worker unless the database is small; changes pile up until they are sent.
func (c *session) monitor(m *jsonrpc.Msg, params *json.Value, ver monitor.Version) {
	d := c.lookup(m, params)
	if d == nil {
		return
	}
	l := params.List()
	if ver == monitor.V2 && len(l) != 3 || ver == monitor.V3 && len(l) != 4 || len(l) < 3 {
		c.replyError(m, data.SyntaxErrorf(params, "", "invalid parameters"))
		return
	}
	id := l[1].Append(nil)
	if c.monitors[string(id)] != nil && l[2].Kind() == json.Object {
		c.replyError(m, data.SyntaxErrorf(&l[1], "", "duplicate monitor ID"))
		return
	}
	mon, err := d.reg.Parse(ver, id, &l[2])
	if err != nil {
		c.replyError(m, err)
		return
	}
	var since data.UUID
	if ver == monitor.V3 {
		if since, err = parseTxnID(&l[3]); err != nil {
			c.replyError(m, err)
			return
		}
	}
	mon.Client = c
	mon.NoIDs = string(id) == "null" && d.model == standalone
	sm := &sessionMonitor{Monitor: mon, c: c, db: d, initial: true}
	if c.monitors == nil {
		c.monitors = map[string]*sessionMonitor{}
	}
	c.monitors[string(id)] = sm
	c.startMonitor(m, sm, since)
}

func parseTxnID(v *json.Value) (data.UUID, *data.Error) {
	if v.Kind() != json.String {
		return data.UUID{}, data.SyntaxErrorf(v, "", "last-txn-id must be string")
	}
	u, ok := data.ParseUUID(v.Str())
	if !ok {
		return u, data.SyntaxErrorf(v, "", "last-txn-id must be UUID format.")
	}
	return u, nil
}

// smallDB is the number of rows up to which a worker is not worth its while.
const smallDB = 500

func (c *session) startMonitor(m *jsonrpc.Msg, sm *sessionMonitor, since data.UUID) {
	d := sm.db
	// Commits that are on their way into the file are in the snapshot and in
	// the history from which they will be published: count from here on.
	seq, last := d.seq, d.lastID
	if sm.Version() == monitor.V3 && d.remembers(sm) && len(d.pending) == 0 {
		if text, found := d.hist.Since(sm.Monitor, since, seq); found {
			d.reg.Follow(sm.Monitor, seq)
			c.finishMonitor(m, sm, c.reserve(), text, true, last)
			return
		}
	}
	d.reg.Add(sm.Monitor, seq)
	sl := c.reserve()
	snap := d.d.Snapshot()
	reg := d.reg
	if d.d.Rows() <= smallDB {
		c.finishMonitor(m, sm, sl, reg.Initial(sm.Monitor, snap), false, last)
		return
	}
	c.busy++
	go func() {
		text := reg.Initial(sm.Monitor, snap)
		c.srv.post(func() {
			c.busy--
			c.finishMonitor(m, sm, sl, text, false, last)
			c.srv.enqueue(c)
		})
	}()
}

// hasIDs tells whether the monitor gets transaction ids. Stock has none for
// standalone databases, and a client that does not name its monitor
// (ovsdb-client) relies on zeros there; it could not use an id anyhow.
func (d *database) hasIDs(sm *sessionMonitor) bool {
	return !sm.NoIDs
}

// gone tells whether a monitor has ended, because its connection or database
// has, while a request about it was being worked on; it answers the request.
func (c *session) gone(m *jsonrpc.Msg, sm *sessionMonitor, sl *slot) bool {
	if c.closed || !c.js.Connected() {
		return true
	}
	if c.monitors[string(sm.ID)] == sm {
		return false
	}
	if sl == nil {
		sl = c.reserve()
	}
	err := data.Errorf("canceled", "the monitor was canceled because its database has changed")
	c.respond(sl, jsonrpc.NewError(err.AppendJSON(nil), m.ID).Append(nil))
	return true
}

// remembers tells whether a client that was away gets only what it missed. A
// small standalone database is sent whole, as stock does with all of them: it
// is hardly more, and clients that track changes are used to it.
func (d *database) remembers(sm *sessionMonitor) bool {
	return d.hasIDs(sm) && (d.model != standalone || d.d.Rows() > smallDB)
}

func (c *session) finishMonitor(m *jsonrpc.Msg, sm *sessionMonitor, sl *slot, text []byte, found bool, last data.UUID) {
	sm.db.reg.Composed(sm.Monitor)
	head := append(append([]byte(`{"id":`), m.ID...), `,"result":`...)
	tail := []byte(`,"error":null}`)
	if sm.Version() == monitor.V3 {
		if found {
			head = append(head, `[true,"`...)
		} else {
			head = append(head, `[false,"`...)
		}
		if !sm.db.hasIDs(sm) {
			last = data.UUID{}
		}
		head = append(last.Append(head), `",`...)
		tail = []byte(`],"error":null}`)
	}
	if c.gone(m, sm, sl) {
		return
	}
	// The reply may have to wait for those before it, and updates for it.
	sl.sent = func() {
		sm.initial = false
		if c.js.Backlog() == 0 {
			c.flushMonitors()
		}
	}
	if len(text) < 4096 {
		c.respond(sl, append(append(head, text...), tail...))
	} else {
		c.respond(sl, head, text, tail)
	}
}

func (c *session) condChange(m *jsonrpc.Msg, params *json.Value) {
	l := params.List()
	if len(l) != 3 {
		c.replyError(m, data.SyntaxErrorf(params, "", "invalid parameters"))
		return
	}
	sm := c.monitors[string(l[0].Append(nil))]
	if sm == nil {
		c.replyError(m, data.SyntaxErrorf(&l[0], "", "unknown monitor session"))
		return
	}
	id := l[1].Append(nil)
	changing := string(id) != string(sm.ID)
	if changing && c.monitors[string(id)] != nil {
		c.replyError(m, data.SyntaxErrorf(&l[1], "", "duplicate monitor ID"))
		return
	}
	rc, err := sm.ParseConditions(sm.db.schema, &l[2])
	if err != nil {
		c.replyError(m, err)
		return
	}
	if changing {
		sm.db.reg.Flush(sm.Monitor)
		delete(c.monitors, string(sm.ID))
		sm.ID = id
		c.monitors[string(id)] = sm
	}
	if sm.Version() == monitor.V1 {
		c.reply(jsonrpc.NewReply([]byte("{}"), m.ID))
		return
	}
	c.recondition(m, sm, rc)
}

// recondition computes what new conditions bring and take, in a worker unless
// the database is small.
func (c *session) recondition(m *jsonrpc.Msg, sm *sessionMonitor, rc *monitor.Recondition) {
	d := sm.db
	d.reg.Flush(sm.Monitor)
	// The client must know everything up to the snapshot by the old
	// conditions; commits that are not published yet will be by the new ones.
	if len(d.pending) > 0 {
		c.busy++
		d.afterPending(func() {
			c.busy--
			if !c.gone(m, sm, nil) {
				c.recondition(m, sm, rc)
			}
			c.srv.enqueue(c)
		})
		return
	}
	snap, reg := d.d.Snapshot(), d.reg
	last := d.lastID
	reg.Begin(rc)
	finish := func(text []byte) {
		sm.initial = false
		if c.gone(m, sm, nil) {
			return
		}
		reg.Recondition(rc, text, last)
		c.reply(jsonrpc.NewReply([]byte("{}"), m.ID))
	}
	if d.d.Rows() <= smallDB {
		finish(rc.Compose(snap))
		return
	}
	sm.initial = true // changes pile up until the new conditions are valid
	c.busy++
	go func() {
		text := rc.Compose(snap)
		c.srv.post(func() {
			c.busy--
			finish(text)
			c.srv.enqueue(c)
		})
	}()
}

func (c *session) monitorCancel(m *jsonrpc.Msg, params *json.Value) {
	l := params.List()
	if len(l) != 1 {
		c.reply(jsonrpc.NewError([]byte(`"invalid parameters"`), m.ID))
		return
	}
	sm := c.monitors[string(l[0].Append(nil))]
	if sm == nil {
		c.reply(jsonrpc.NewError([]byte(`"unknown monitor"`), m.ID))
		return
	}
	c.removeMonitor(sm, false)
	c.reply(jsonrpc.NewReply([]byte("{}"), m.ID))
}

func (c *session) removeMonitor(sm *sessionMonitor, notify bool) {
	delete(c.monitors, string(sm.ID))
	sm.db.reg.Remove(sm.Monitor)
	if notify && c.aware {
		c.js.Send(jsonrpc.NewNotify("monitor_canceled", append(append([]byte{'['}, sm.ID...), ']')))
		c.written()
	}
}

// removeMonitors ends the session's monitors of a database (nil: all).
func (c *session) removeMonitors(d *database, notify bool) {
	for _, sm := range c.sortedMonitors() {
		if d == nil || sm.db == d {
			c.removeMonitor(sm, notify)
		}
	}
}

func (c *session) sortedMonitors() []*sessionMonitor {
	if len(c.monitors) == 0 {
		return nil
	}
	out := make([]*sessionMonitor, 0, len(c.monitors))
	for _, sm := range c.monitors {
		out = append(out, sm)
	}
	sort.Slice(out, func(i, j int) bool { return string(out[i].ID) < string(out[j].ID) })
	return out
}

var _ monitor.Client = (*session)(nil)
