package client

import (
	"sluice/internal/vlog"
	"sluice/ovsdb/json"
)

// serverName is the database in which a server describes its databases.
const serverName = "_Server"

var serverRL = vlog.NewLimiter(5, 5)

// serverColumns are the columns of _Server's table Database that decide
// whether a server is of use.
var serverColumns = []string{"name", "model", "connected", "leader", "schema", "cid", "index"}

// serverDB is what the server tells of its databases.
type serverDB struct {
	monitored bool
	rows      map[string]map[string]json.Value
}

func (s *serverDB) reset() { *s = serverDB{} }

func serverMonitorID() json.Value {
	return json.NewArray(json.NewString("monid"), json.NewString(serverName))
}

// serverMonitorParams asks for those columns that the server's schema has.
func serverMonitorParams(schema *json.Value) []byte {
	var have *json.Value
	if tables := schema.Get("tables"); tables != nil {
		if table := tables.Get("Database"); table != nil {
			have = table.Get("columns")
		}
	}
	var columns []json.Value
	for _, name := range serverColumns {
		if have == nil || have.Index(name) >= 0 {
			columns = append(columns, json.NewString(name))
		}
	}
	mr := json.NewObject(json.Pair{Name: "columns", Value: json.NewArray(columns...)})
	params := json.NewArray(json.NewString(serverName), serverMonitorID(),
		json.NewObject(json.Pair{Name: "Database", Value: json.NewArray(mr)}))
	return params.Append(nil)
}

// update applies <table-updates2>. The columns are scalars and optional
// scalars, whose difference is the new value.
func (s *serverDB) update(updates *json.Value) {
	if s.rows == nil {
		s.rows = map[string]map[string]json.Value{}
	}
	table := updates.Get("Database")
	if table == nil {
		return
	}
	for i := range table.Len() {
		uuid, change := table.Member(i)
		if change.Get("delete") != nil {
			delete(s.rows, uuid)
			continue
		}
		row := s.rows[uuid]
		values := change.Get("modify")
		if values == nil {
			row = nil
			if values = change.Get("initial"); values == nil {
				values = change.Get("insert")
			}
		}
		if values == nil {
			continue
		}
		if row == nil {
			row = map[string]json.Value{}
			s.rows[uuid] = row
		}
		for j := range values.Len() {
			name, v := values.Member(j)
			row[name] = *v
		}
	}
}

// find returns the row of a database.
func (s *serverDB) find(name string) map[string]json.Value {
	for _, row := range s.rows {
		if v := row["name"]; v.Str() == name {
			return row
		}
	}
	return nil
}

// checkServer gives the server up unless it has our database ready, and goes
// on to monitor it if that has not begun.
func (c *Client) checkServer(now int64) {
	if !c.serverReady() {
		c.retry(now)
		return
	}
	if c.state != serverMonitorRequested {
		return
	}
	text := c.server.find(c.schema.Name)["schema"]
	if schema, err := json.Parse(text.Str()); err == nil {
		c.notePresent(&schema)
	} else {
		csLog.Warn("error parsing database schema: %s", err)
	}
	c.requestMonitor(3)
}

func (c *Client) serverReady() bool {
	name := c.session.Name()
	row := c.server.find(c.schema.Name)
	if row == nil {
		csLog.InfoRL(serverRL, "%s: server does not have %s database", name, c.schema.Name)
		return false
	}
	str := func(column string) string { v := row[column]; return v.Str() }
	is := func(column string) bool { v := row[column]; return v.Kind() == json.True }
	schema := str("schema") != ""
	switch str("model") {
	case "clustered":
		if !schema {
			csLog.Info("%s: clustered database server has not yet joined cluster; trying another server", name)
			return false
		}
		if !is("connected") {
			csLog.Info("%s: clustered database server is disconnected from cluster; trying another server", name)
			return false
		}
		if !is("leader") {
			csLog.Info("%s: clustered database server is not cluster leader; trying another server", name)
			return false
		}
	case "relay":
		if !schema {
			csLog.Info("%s: relay database server has not yet connected to the relay source; trying another server", name)
		} else if !is("connected") {
			csLog.Info("%s: relay database server is disconnected from the relay source; trying another server", name)
		} else {
			csLog.Info("%s: relay database server cannot be a leader; trying another server", name)
		}
		return false
	default:
		if !schema {
			csLog.Info("%s: missing database schema", name)
			return false
		}
	}
	return true
}
