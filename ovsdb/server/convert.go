package server

import (
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/json"
	"sluice/ovsdb/jsonrpc"
	"sluice/ovsdb/storage"
)

// convert serves the "convert" method: the database gets another schema. The
// work is done on a snapshot in a worker; what is committed meanwhile makes it
// start again, the last time with commits waiting.
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

// convertDB converts a database and calls done when that is over.
func (s *Server) convertDB(d *database, schema *data.Schema, done func(*data.Error)) {
	d.afterPending(func() {
		snap, seq := d.d.Snapshot(), d.seq
		work := func() (*db.DB, *data.Error) { return storage.Convert(snap, schema) }
		finish := func(to *db.DB, err *data.Error) {
			switch {
			case err != nil:
				done(err)
			case s.dbs[d.name] != d:
				done(data.Errorf("canceled", "database conversion canceled because %s", "the database was removed"))
			case d.seq != seq || len(d.pending) > 0:
				s.convertDB(d, schema, done)
			default:
				s.installSchema(d, schema, to, done)
			}
		}
		if d.d.Rows() <= smallDB {
			finish(work())
			return
		}
		go func() {
			to, err := work()
			s.post(func() { finish(to, err) })
		}()
	})
}

// installSchema replaces the tables and rewrites the file.
func (s *Server) installSchema(d *database, schema *data.Schema, to *db.DB, done func(*data.Error)) {
	old, oldSchema := d.d, d.schema
	s.detachForSchema(d)
	d.setSchema(schema)
	d.setTables(to)
	_, d.atoms = to.Counts()
	d.lastID = data.NewUUID()
	d.hist.Reset(d.lastID)
	d.w.Replace(schema, to.Snapshot(), "converted by ovsdb-server", s.clock.Wall(), d.lastID, func(err *data.Error) {
		if err != nil {
			d.failAll(err) // what was committed by the new schema
			s.detachForSchema(d)
			d.setSchema(oldSchema)
			d.setTables(old)
			_, d.atoms = old.Counts()
		}
		s.describe(d)
		s.dirty = true
		done(err)
		if err == nil {
			s.reconnectUnaware("committed " + d.name + " database schema conversion")
		}
	})
}

func (s *Server) detachForSchema(d *database) {
	for _, c := range s.sessions() {
		c.cancelTriggers(d, "database schema is changing")
		c.removeMonitors(d, true)
		c.repoll()
	}
}
