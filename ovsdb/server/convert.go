package server

import (
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/json"
	"sluice/ovsdb/jsonrpc"
	"sluice/ovsdb/storage"
)

// convert serves the "convert" method: the database gets another schema. The
// work is done on a snapshot in a worker, which also writes the new file; what
// is committed meanwhile is brought over until little of it is left. Only for
// that rest do commits wait.
func (c *session) convert(m *jsonrpc.Msg, params *json.Value) {
	d := c.lookup(m, params)
	if d == nil {
		return
	}
	schema, err := c.checkConvert(d, params)
	if err != nil {
		c.replyError(m, err)
		return
	}
	sl := c.reserve()
	c.busy++
	c.srv.convertDB(d, schema, func(err *data.Error) {
		c.busy--
		reply := jsonrpc.NewReply([]byte("{}"), m.ID)
		if err != nil {
			reply = jsonrpc.NewError(err.AppendJSON(nil), m.ID)
		}
		c.respond(sl, reply.Append(nil))
		c.srv.enqueue(c)
	})
}

func (c *session) checkConvert(d *database, params *json.Value) (*data.Schema, *data.Error) {
	switch {
	case c.remote.opts.Role != "":
		return nil, data.Errorf("permission error", "RBAC rules for client \"%s\" role \"%s\" prohibit \"convert\" of "+
			"database %s (only the root role may convert databases)", c.js.PeerID(), c.remote.opts.Role, d.schema.Name)
	case len(params.List()) != 2:
		return nil, data.SyntaxErrorf(params, "", "array expected")
	case d.name[0] == '_':
		return nil, data.Errorf("not allowed", "convert operation not allowed on reserved database %s", d.name)
	case c.readOnly():
		return nil, data.Errorf("not allowed", "convert operation not allowed when database server is in read only mode")
	case d.model == relay:
		return nil, data.Errorf("not allowed", "convert operation not allowed on relay database %s", d.name)
	}
	schema, err := data.ParseSchema(&params.List()[1])
	if err != nil {
		return nil, err
	}
	if schema.Name != d.schema.Name {
		return nil, data.Errorf("invalid parameters", "new schema name (%s) does not match database name (%s)", schema.Name, d.schema.Name)
	}
	if d.model == clustered {
		err = schema.CheckEphemeral()
	}
	return schema, err
}

// conversion is a change of a database's schema under way.
type conversion struct {
	d      *database
	schema *data.Schema
	done   func(*data.Error)

	changes []*db.Change // committed since the tables were last brought up to date
	undone  bool         // some of them could not be written after all
	follows int          // how often a worker brought some over
	frozen  bool         // commits wait
	held    []*trigger   // the requests that do

	to  *storage.Conversion
	id  data.UUID // of the transaction that the conversion is
	new *storage.Replacement
	err *data.Error
}

const (
	// fewChanges is how many changed rows the loop brings over itself, with
	// commits waiting.
	fewChanges = 200
	// maxFollows is how often a worker does while commits go on: who changes
	// all rows again and again would be followed for ever.
	maxFollows = 5
)

// convertDB converts a database, after the conversions that are under way, and
// calls done when that is over.
func (s *Server) convertDB(d *database, schema *data.Schema, done func(*data.Error)) {
	d.conversions = append(d.conversions, &conversion{d: d, schema: schema, done: done})
	if len(d.conversions) == 1 {
		d.conversions[0].start()
	}
}

// converting returns the conversion under way, or nil.
func (d *database) converting() *conversion {
	if len(d.conversions) == 0 {
		return nil
	}
	return d.conversions[0]
}

// start makes the new tables and their file, in a worker unless the database is
// small.
func (c *conversion) start() {
	d, s := c.d, c.d.srv
	if d.removed() {
		c.advance()
		return
	}
	c.changes, c.undone, c.follows, c.id = nil, false, 0, data.NewUUID()
	snap, wall, large := d.d.Snapshot(), s.clock.Wall(), d.d.Rows() > smallDB
	work := func() {
		c.to, c.new, c.err = d.w.Convert(snap, c.schema, "converted by ovsdb-server", wall, c.id, large)
	}
	if !large {
		work()
		c.advance()
		return
	}
	go func() {
		work()
		s.post(c.advance)
	}()
}

// advance goes on when a worker is done or nothing is pending any more.
func (c *conversion) advance() {
	d, s := c.d, c.d.srv
	switch {
	case d.removed():
		c.end(data.Errorf("canceled", "database conversion canceled because %s", "the database was removed"))
	case c.undone:
		c.discard()
		c.thaw()
		c.start()
	case c.err != nil:
		c.end(c.err)
	case len(c.changes) > fewChanges:
		changes, wall, opts := c.changes, s.clock.Wall(), s.storageOptions()
		c.changes = nil
		if c.follows++; c.follows > maxFollows {
			c.frozen = true
		}
		go func() {
			c.follow(changes, wall, opts)
			s.post(c.advance)
		}()
	case len(d.pending) > 0:
		c.frozen = true
		d.afterPending(c.advance)
	default:
		c.follow(c.changes, s.clock.Wall(), s.storageOptions())
		if c.err != nil {
			c.end(c.err)
			return
		}
		c.install()
	}
}

func (c *conversion) follow(changes []*db.Change, wall int64, opts storage.Options) {
	var body []byte
	if body, c.err = c.to.Follow(changes, wall, opts); c.err == nil {
		c.new.Append(body)
	}
}

// install replaces the tables and the file.
func (c *conversion) install() {
	d, s := c.d, c.d.srv
	old, oldSchema, oldAtoms, oldID := d.d, d.schema, d.atoms, d.lastID
	s.detachForSchema(d)
	d.setSchema(c.schema)
	d.setTables(c.to.To)
	d.atoms = c.to.Atoms
	d.lastID = c.id
	d.hist.Reset(d.lastID)
	d.w.Replace(c.new, c.to.To.Snapshot(), func(err *data.Error) {
		if err != nil {
			d.failAll(err) // what was committed by the new schema
			s.detachForSchema(d)
			d.setSchema(oldSchema)
			d.setTables(old)
			d.atoms = oldAtoms
			// What clients have seen under the conversion's id is not there.
			d.lastID = oldID
			d.hist.Reset(oldID)
		}
		if !d.removed() {
			s.describe(d)
			s.dirty = true
		}
		c.done(err)
		if err == nil {
			s.reconnectUnaware("committed " + d.name + " database schema conversion")
		}
		c.next()
	})
	c.new = nil
	c.thaw()
}

// end gives the conversion up.
func (c *conversion) end(err *data.Error) {
	c.discard()
	c.done(err)
	c.thaw()
	c.next()
}

func (c *conversion) discard() {
	if c.new != nil {
		c.new.Discard()
	}
	c.new, c.to, c.err = nil, nil, nil
}

// next lets the next conversion begin.
func (c *conversion) next() {
	d := c.d
	d.conversions = d.conversions[1:]
	if len(d.conversions) > 0 {
		d.conversions[0].start()
	}
}

// thaw lets the requests run that waited.
func (c *conversion) thaw() {
	c.frozen = false
	for _, t := range c.held {
		if c.d.removed() {
			c.d.srv.cancelTrigger(t)
		} else {
			c.d.srv.retry(t)
		}
	}
	c.held = nil
}

// hold makes a request wait while commits do.
func (c *conversion) hold(t *trigger) {
	if t.order == 0 {
		c.d.srv.nextTrigger++
		t.order = c.d.srv.nextTrigger
	}
	c.held = append(c.held, t)
}

func (s *Server) detachForSchema(d *database) {
	for _, c := range s.sessions() {
		c.cancelTriggers(d, "database schema is changing")
		c.removeMonitors(d, true)
		c.repoll()
	}
}
