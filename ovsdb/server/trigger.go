package server

import (
	"sort"

	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/json"
	"sluice/ovsdb/jsonrpc"
)

// trigger is a "transact" request: it may wait, and it is tried again when a
// row changes that it looks at, or when its time is over.
type trigger struct {
	c       *session
	db      *database
	msg     *jsonrpc.Msg
	params  *json.Value
	id      string
	order   uint64
	created int64
	waits   []db.Wait
	timer   *timer
	slot    *slot
	queued  bool
	over    bool
	forward bool // sent on to a relay's source
}

func (c *session) transact(m *jsonrpc.Msg, params *json.Value) {
	d := c.lookup(m, params)
	if d == nil {
		return
	}
	t := &trigger{c: c, db: d, msg: m, params: params, created: c.srv.now}
	if len(c.triggers) > 0 {
		t.id = c.triggerID(m.ID)
		if c.triggers[t.id] != nil {
			c.replyError(m, data.SyntaxErrorf(params, "", "%s: duplicate request ID", m.Method))
			return
		}
	}
	t.slot = c.reserve()
	c.srv.try(t)
}

// triggerID gives the same text for all ways to write one id.
func (c *session) triggerID(raw []byte) string {
	v, err := json.Parse(string(raw))
	if err != nil {
		return string(raw)
	}
	return string(v.Append(nil))
}

// try executes the request; it is over, or waits for rows, the file or a
// relay's source.
func (s *Server) try(t *trigger) {
	c, d := t.c, t.db
	if conv := d.converting(); conv != nil && conv.frozen {
		conv.hold(t)
		return
	}
	out := d.d.Execute(&db.Request{
		Params: t.params, ReadOnly: c.readOnly(), Role: c.remote.opts.Role, ID: c.js.PeerID(), HasID: c.js.PeerID() != "",
		Elapsed: s.now - t.created, HasLock: c.ownsLock,
	})
	switch {
	case out.Results == nil:
		t.await(&out)
	case out.Txn == nil:
		t.complete(out.Results, nil)
	case out.Writes && d.relay != nil:
		out.Txn.Rollback()
		t.keep()
		t.forward = true
		d.relay.forward(t)
	default:
		t.leave()
		if t.slot == nil {
			t.slot = c.reserve()
		}
		d.commit(out.Txn, out.Durable, func(err *data.Error) {
			results := out.Results
			if err != nil {
				if len(results) > 1 {
					results = append(results, ',')
				}
				results = err.AppendJSON(results)
			}
			t.complete(append(results, ']'), nil)
		})
	}
}

// keep notes that the request is not over, so that it can be cancelled. Its
// reply has no place among the others any more.
func (t *trigger) keep() {
	c := t.c
	if t.slot != nil {
		for i, sl := range c.replies {
			if sl == t.slot {
				c.replies = append(c.replies[:i:i], c.replies[i+1:]...)
				break
			}
		}
		t.slot = nil
	}
	if t.order == 0 {
		c.srv.nextTrigger++
		t.order = c.srv.nextTrigger
	}
	if t.id == "" {
		t.id = c.triggerID(t.msg.ID)
	}
	if c.triggers == nil {
		c.triggers = map[string]*trigger{}
	}
	c.triggers[t.id] = t
	t.db.triggers[t] = true
}

// await makes the request wait for the rows it looks at.
func (t *trigger) await(out *db.Outcome) {
	t.leave()
	t.keep()
	t.waits = out.Waits
	for i := range t.waits {
		table := t.waits[i].Table()
		if t.db.byTable[table] == nil {
			t.db.byTable[table] = map[*trigger]bool{}
		}
		t.db.byTable[table][t] = true
	}
	if out.Timeout >= 0 {
		t.timer = t.c.srv.after(t.created+out.Timeout, func() { t.c.srv.retry(t) })
	}
}

// leave takes the request off everything that could wake it.
func (t *trigger) leave() {
	for i := range t.waits {
		table := t.waits[i].Table()
		delete(t.db.byTable[table], t)
	}
	t.waits = nil
	t.c.srv.stop(t.timer)
	t.timer = nil
}

// complete answers the request with a result or an error.
func (t *trigger) complete(result, errText []byte) {
	if t.over {
		return
	}
	t.over = true
	t.leave()
	delete(t.db.triggers, t)
	if t.c.triggers[t.id] == t {
		delete(t.c.triggers, t.id)
	}
	m := jsonrpc.NewReply(result, t.msg.ID)
	if errText != nil {
		m = jsonrpc.NewError(errText, t.msg.ID)
	}
	if t.slot != nil {
		t.c.respond(t.slot, m.Append(nil))
	} else {
		t.c.send(m.Append(nil))
	}
}

// wakeTriggers makes the requests that look at a changed row be tried again.
func (d *database) wakeTriggers(changes []*db.Change) {
	if len(d.triggers) == 0 {
		return
	}
	for _, c := range changes {
		for t := range d.byTable[c.Table] {
			if t.queued {
				continue
			}
			for i := range t.waits {
				if t.waits[i].Concerns(c) {
					d.srv.retry(t)
					break
				}
			}
		}
	}
}

// retry tries a request again before the turn is over.
func (s *Server) retry(t *trigger) {
	if !t.queued && !t.over {
		t.queued = true
		s.triggers = append(s.triggers, t)
	}
}

// runTriggers tries requests again, in the order in which they came.
func (s *Server) runTriggers() {
	for len(s.triggers) > 0 {
		list := s.triggers
		s.triggers = nil
		sort.Slice(list, func(i, j int) bool { return list[i].order < list[j].order })
		for _, t := range list {
			t.queued = false
			if !t.over && !t.forward {
				s.try(t)
			}
		}
	}
}

// cancel serves the "cancel" notification.
func (c *session) cancel(m *jsonrpc.Msg) {
	v, err := json.Parse(string(m.Params))
	if err != nil || len(v.List()) != 1 {
		return
	}
	if t := c.triggers[string(v.List()[0].Append(nil))]; t != nil {
		c.srv.cancelTrigger(t)
	}
}

func (s *Server) cancelTrigger(t *trigger) {
	if t.forward && t.db.relay != nil {
		t.db.relay.forget(t)
	}
	t.complete(nil, []byte(`"canceled"`))
}

// cancelTriggers ends the session's requests on a database (nil: all).
// Clients that do not know of changing databases get no answer.
func (c *session) cancelTriggers(d *database, reason string) {
	var list []*trigger
	for _, t := range c.triggers {
		if d == nil || t.db == d {
			list = append(list, t)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].order < list[j].order })
	for _, t := range list {
		if c.aware && c.js.Connected() {
			c.srv.cancelTrigger(t)
			continue
		}
		if t.forward && t.db.relay != nil {
			t.db.relay.forget(t)
		}
		t.over = true
		t.leave()
		delete(t.db.triggers, t)
		delete(c.triggers, t.id)
	}
}
