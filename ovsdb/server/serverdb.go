package server

import (
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
)

// serverSchema is the schema of the _Server database, as ovsdb-server(5)
// describes it.
const serverSchema = `{"name":"_Server","version":"1.2.0","cksum":"3009684573 744","tables":{"Database":{"columns":{
"name":{"type":"string"},
"model":{"type":{"key":{"type":"string","enum":["set",["standalone","clustered","relay"]]}}},
"connected":{"type":"boolean"},
"leader":{"type":"boolean"},
"schema":{"type":{"key":{"type":"string"},"min":0,"max":1}},
"cid":{"type":{"key":{"type":"uuid"},"min":0,"max":1}},
"sid":{"type":{"key":{"type":"uuid"},"min":0,"max":1}},
"index":{"type":{"key":{"type":"integer"},"min":0,"max":1}}},"isRoot":true}}}`

// addServerDB makes the database that describes the others.
func (s *Server) addServerDB() {
	schema, err := data.ParseSchemaText(serverSchema)
	if err != nil {
		panic(err) // the text above is wrong
	}
	d := &database{srv: s, name: schema.Name, filename: schema.Name, model: standalone}
	d.setSchema(schema)
	d.lastID = data.NewUUID()
	d.hist.Reset(d.lastID)
	s.serverDB = d
	s.dbs[d.name] = d
	s.describe(d)
}

// describe makes the row of a database in _Server say what it is.
func (s *Server) describe(d *database) {
	table := s.serverDB.d.Table("Database")
	s.serverDB.internal(func(t *db.Txn) {
		row := table.Row(d.row)
		if row == nil {
			d.row = data.NewUUID()
			row = db.NewRow(table.Schema)
			row.UUID = d.row
			t.Insert(table, row)
		}
		set := func(col string, v *data.Datum) { t.Set(table, d.row, table.Schema.Column(col), v) }
		set("name", data.NewScalar(data.StringAtom(d.name)))
		set("model", data.NewScalar(data.StringAtom(modelNames[d.model])))
		set("connected", data.NewScalar(data.BoolAtom(d.connected())))
		set("leader", data.NewScalar(data.BoolAtom(d.model != relay || d.leader())))
		schema := data.Empty
		if d.schema != nil {
			schema = data.NewScalar(data.StringAtom(string(d.schemaJS)))
		}
		set("schema", schema)
		d.describeCluster(set)
	})
}

// undescribe removes a database's row.
func (s *Server) undescribe(d *database) {
	table := s.serverDB.d.Table("Database")
	if table.Row(d.row) == nil {
		return
	}
	s.serverDB.internal(func(t *db.Txn) { t.Delete(table, d.row) })
	d.row = data.UUID{}
}

func (d *database) connected() bool {
	return d.relay == nil || d.relay.connected()
}

func (d *database) leader() bool { return d.relay == nil }

// showIndex keeps the log index of a clustered database in _Server up to date.
func (d *database) showIndex() {
	if d.model != clustered || d.w == nil {
		return
	}
	if c := d.w.Cluster(); c != nil && c.Index != d.shownIndex {
		d.srv.describe(d)
	}
}

func (d *database) describeCluster(set func(string, *data.Datum)) {
	if d.w == nil || d.w.Cluster() == nil {
		return
	}
	c := d.w.Cluster()
	set("cid", data.NewScalar(data.UUIDAtom(c.ClusterID)))
	set("sid", data.NewScalar(data.UUIDAtom(c.ServerID)))
	d.shownIndex = c.Index
	set("index", data.NewScalar(data.IntAtom(c.Index)))
}

// AddDB opens a database file, or a relay given as relay:DB:REMOTES, and
// serves it.
func (s *Server) AddDB(name string) *data.Error {
	d, err := s.open(name)
	if err != nil {
		return err
	}
	switch {
	case d.name[0] == '_':
		err = data.Errorf("", "%s: names beginning with \"_\" are reserved", d.name)
	case s.dbs[d.name] != nil:
		err = data.Errorf("", "%s: duplicate database name", d.name)
	}
	if err != nil {
		d.close()
		return err
	}
	s.reconnectUnaware("adding " + d.name + " database")
	s.dbs[d.name] = d
	s.dirty = true
	s.describe(d)
	s.registerCluster()
	return nil
}

// removeDB stops serving a database.
func (s *Server) removeDB(d *database, reason string) {
	s.detach(d)
	s.reconnectUnaware(reason)
	delete(s.dbs, d.name)
	s.undescribe(d)
	s.dirty = true
	d.close()
	d.collect() // the last results, for who waits for them
}

// detach ends what clients have going on a database that goes or changes.
func (s *Server) detach(d *database) {
	for _, c := range s.sessions() {
		c.cancelTriggers(d, "database is removed")
		c.removeMonitors(d, true)
		c.repoll()
	}
}

// reconnectUnaware disconnects the clients that do not know that databases
// may come, go and change.
func (s *Server) reconnectUnaware(reason string) {
	for _, c := range s.sessions() {
		if !c.aware {
			c.disconnect(reason)
		}
	}
}
