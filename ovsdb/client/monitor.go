package client

import (
	"sluice/ovsdb/data"
	"sluice/ovsdb/json"
	"sluice/ovsdb/jsonrpc"
)

func (c *Client) requestDataSchema() {
	c.send("get_schema", jsonrpc.AppendStrings(nil, c.schema.Name))
	c.transition(dataSchemaRequested)
}

// requestMonitor asks for the tables in one of the three ways that servers
// know, or knew.
func (c *Client) requestMonitor(version int) {
	method, next := "monitor", dataMonitorRequested
	switch version {
	case 3:
		method, next = "monitor_cond_since", dataCondSinceRequested
	case 2:
		method, next = "monitor_cond", dataCondRequested
	}
	params := []json.Value{json.NewString(c.schema.Name), c.monitorID(), c.monitorRequests()}
	if version == 3 {
		params = append(params, json.NewString(c.lastID.String()))
	}
	all := json.NewArray(params...)
	c.send(method, all.Append(nil))
	c.transition(next)
}

func (c *Client) monitorID() json.Value {
	return json.NewArray(json.NewString("monid"), json.NewString(c.schema.Name))
}

func (c *Client) monitorRequests() json.Value {
	var members []json.Pair
	for _, m := range c.monitor {
		t := c.tables[m.Table]
		var columns []json.Value
		for _, col := range t.wanted {
			if t.present(col) {
				columns = append(columns, json.NewString(col.Name))
			}
		}
		if len(columns) > 0 {
			mr := json.NewObject(json.Pair{Name: "columns", Value: json.NewArray(columns...)})
			members = append(members, json.Pair{Name: m.Table, Value: json.NewArray(mr)})
		}
	}
	return json.NewObject(members...)
}

// present says whether the server's schema has the column.
func (t *Table) present(col *data.Column) bool {
	return t.client.present == nil || t.client.present[col]
}

// notePresent compares the server's schema with ours.
func (c *Client) notePresent(schema *json.Value) {
	c.present = nil
	tables := schema.Get("tables")
	if tables == nil {
		return
	}
	present := map[*data.Column]bool{}
	for _, m := range c.monitor {
		t := c.tables[m.Table]
		ts := tables.Get(m.Table)
		if ts == nil || ts.Get("columns") == nil {
			idlLog.Warn("%s database lacks %s table (database needs upgrade?)", c.schema.Name, m.Table)
			continue
		}
		columns := ts.Get("columns")
		for _, col := range t.schema.Columns {
			if columns.Index(col.Name) >= 0 {
				present[col] = true
			}
		}
		for _, col := range t.wanted {
			if !present[col] {
				idlLog.Warn("%s table in %s database lacks %s column (database needs upgrade?)",
					m.Table, c.schema.Name, col.Name)
			}
		}
	}
	c.present = present
}

func (c *Client) monitorReply(ok bool, result *json.Value, now int64) {
	version := map[state]int{dataCondSinceRequested: 3, dataCondRequested: 2, dataMonitorRequested: 1}[c.state]
	if !ok {
		c.requestMonitor(version - 1)
		return
	}
	c.version = version
	c.transition(monitoring)
	updates, clear := result, true
	if version == 3 {
		list := result.List()
		if len(list) != 3 {
			c.badReply("malformed monitor_cond_since reply", now)
			return
		}
		id, ok := data.ParseUUID(list[1].Str())
		if !ok {
			c.badReply("Last-id "+list[1].Str()+" is not in UUID format.", now)
			return
		}
		c.lastID, clear, updates = id, list[0].Kind() != json.True, &list[2]
	}
	c.apply(updates, version, clear, now)
	c.seqno++
}

func (c *Client) badReply(why string, now int64) {
	csLog.WarnRL(syntaxRL, "syntax error: %s", why)
	c.inconsistent(now)
}

func (c *Client) monitorCanceled(id *json.Value) bool {
	mine := c.monitorID()
	if !json.Equal(id, &mine) {
		server := serverMonitorID()
		if !c.server.monitored || !json.Equal(id, &server) {
			return false
		}
		c.server.monitored = false
		if c.version != 0 {
			c.cancelMonitor(mine)
		}
	} else if c.server.monitored {
		c.cancelMonitor(serverMonitorID())
	}
	c.restart()
	return true
}

func (c *Client) cancelMonitor(id json.Value) {
	params := json.NewArray(id)
	c.session.Send(jsonrpc.NewRequest("monitor_cancel", params.Append(nil)))
}
