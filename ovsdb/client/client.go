package client

import (
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ovsdb/data"
	"sluice/ovsdb/json"
	"sluice/ovsdb/jsonrpc"
	"sluice/ovsdb/stream"
)

var (
	csLog    = vlog.New("ovsdb_cs")
	idlLog   = vlog.New("ovsdb_idl")
	stateRL  = vlog.NewLimiter(5, 5)
	syntaxRL = vlog.NewLimiter(1, 5)
	rowRL    = vlog.NewLimiter(1, 5)
	otherRL  = vlog.NewLimiter(1, 5)
)

// maxMessages bounds how many messages one turn handles.
const maxMessages = 50

// Monitor names a table to replicate.
type Monitor struct {
	// Table is its name.
	Table string
	// Columns are the columns to replicate, all of them if nil.
	Columns []string
	// NoAlert are columns whose changes alone do not move Seqno: those that
	// only this client writes.
	NoAlert []string
}

// Config is what a Client is made of.
type Config struct {
	// Schema is the database's schema as this program knows it.
	Schema *data.Schema
	// Tables are the tables to replicate. Others cannot be written either.
	Tables []Monitor
	// Remotes are the servers to try, as for jsonrpc.OpenSession.
	Remotes []string
	// Lock, if not empty, is the lock without which nothing is written.
	Lock string
	// Stream is for the connections.
	Stream stream.Options
}

// Client is the replica of a database.
type Client struct {
	schema  *data.Schema
	monitor []Monitor
	opts    stream.Options

	session *jsonrpc.Session
	state   state
	// sessionSeqno is the session's when the state machine began.
	sessionSeqno uint
	// request is the id of the state machine's request, nil if none is under
	// way.
	request []byte

	tables map[string]*Table
	seqno  uint
	// present holds the columns that the server's schema has, nil while it is
	// not known.
	present map[*data.Column]bool
	// version is that of the monitor in force, 0 for none; lastID is where a
	// new one may go on.
	version int
	lastID  UUID

	server serverDB

	lock        string
	lockRequest []byte
	hasLock     bool
	contended   bool

	txns []*Txn
}

// state is how far a connection is set up.
type state int

const (
	initial state = iota
	serverSchemaRequested
	serverMonitorRequested
	dataSchemaRequested
	dataCondSinceRequested
	dataCondRequested
	dataMonitorRequested
	monitoring
	failed
	retrying
)

var stateNames = [...]string{"INITIAL", "SERVER_SCHEMA_REQUESTED", "SERVER_MONITOR_REQUESTED",
	"DATA_SCHEMA_REQUESTED", "DATA_MONITOR_COND_SINCE_REQUESTED", "DATA_MONITOR_COND_REQUESTED",
	"DATA_MONITOR_REQUESTED", "MONITORING", "ERROR", "RETRY"}

func (s state) String() string { return "CS_S_" + stateNames[s] }

// New makes a client and starts to connect.
func New(cfg Config, now int64) *Client {
	c := &Client{schema: cfg.Schema, monitor: cfg.Tables, opts: cfg.Stream, lock: cfg.Lock, tables: map[string]*Table{}}
	for _, m := range cfg.Tables {
		c.tables[m.Table] = newTable(c, m)
	}
	c.SetRemotes(cfg.Remotes, now)
	return c
}

func newTable(c *Client, m Monitor) *Table {
	ts := c.schema.Table(m.Table)
	if ts == nil {
		panic("client: no table " + m.Table + " in the schema")
	}
	t := &Table{client: c, schema: ts, rows: map[UUID]*Row{}, alert: map[*data.Column]bool{}}
	if m.Columns == nil {
		t.wanted = ts.Columns[data.NumStd:]
	}
	for _, name := range m.Columns {
		t.wanted = append(t.wanted, t.column(name))
	}
	for _, col := range t.wanted {
		t.alert[col] = true
	}
	for _, name := range m.NoAlert {
		t.alert[t.column(name)] = false
	}
	return t
}

// SetRemotes changes the servers to try, dropping the connection.
func (c *Client) SetRemotes(remotes []string, now int64) {
	if c.session != nil {
		c.session.Close()
		c.session = nil
		c.abortAll()
	}
	if len(remotes) > 0 {
		c.session = jsonrpc.OpenSession(remotes, true, c.opts, now)
		c.state = initial
		c.sessionSeqno = ^uint(0)
	}
}

// Close drops the connection. The replica stays as it is.
func (c *Client) Close() { c.SetRemotes(nil, 0) }

// Session returns the connection, nil if there are no remotes: for probe
// intervals, names and statistics.
func (c *Client) Session() *jsonrpc.Session { return c.session }

// Table returns the replica of a configured table, or nil.
func (c *Client) Table(name string) *Table { return c.tables[name] }

// Seqno grows with every change that readers must hear of.
func (c *Client) Seqno() uint { return c.seqno }

// HasEverConnected says whether the replica was filled at least once.
func (c *Client) HasEverConnected() bool { return c.seqno != 0 }

// Synced says whether the replica follows the server right now.
func (c *Client) Synced() bool {
	return c.state == monitoring && c.session != nil && c.session.Connected()
}

// Alive says whether the client is connected or may be again.
func (c *Client) Alive() bool { return c.session != nil && c.session.Alive() && c.state != failed }

// HasLock says whether the configured lock is ours.
func (c *Client) HasLock() bool { return c.hasLock }

// LockContended says whether another client has the configured lock.
func (c *Client) LockContended() bool { return c.contended }

// ForceReconnect drops the connection and connects anew.
func (c *Client) ForceReconnect(now int64) {
	if c.session != nil {
		c.session.ForceReconnect(now)
	}
}

// Run takes what the server sent and keeps the connection going.
func (c *Client) Run(now int64) {
	if c.session == nil {
		return
	}
	c.session.Run(now)
	if n := c.session.Seqno(); n != c.sessionSeqno {
		c.sessionSeqno = n
		c.abortAll()
		c.restart()
		if c.lock != "" {
			c.sendLock("lock")
		}
	}
	for range maxMessages {
		m := c.session.Recv(now)
		if m == nil {
			break
		}
		c.message(m, now)
	}
}

// Wait wakes p when Run has something to do.
func (c *Client) Wait(p *poll.Set, now int64) {
	if c.session == nil {
		return
	}
	c.session.Wait(p, now)
	c.session.RecvWait(p)
}

func (c *Client) transition(s state) {
	csLog.Dbg("%s: %s -> %s", c.session.Name(), c.state, s)
	c.state = s
}

// restart begins to set up a connection from the top.
func (c *Client) restart() {
	c.request, c.version = nil, 0
	c.server.reset()
	if !c.session.Connected() {
		return
	}
	c.send("get_schema", jsonrpc.AppendStrings(nil, serverName))
	c.transition(serverSchemaRequested)
}

// retry gives this server up.
func (c *Client) retry(now int64) {
	c.session.ForceReconnect(now)
	c.transition(retrying)
}

// inconsistent is called when the replica cannot be right any more.
func (c *Client) inconsistent(now int64) {
	c.lastID = UUID{}
	c.retry(now)
}

func (c *Client) send(method string, params []byte) {
	m := jsonrpc.NewRequest(method, params)
	c.request = m.ID
	c.session.Send(m)
}

func (c *Client) message(m *jsonrpc.Msg, now int64) {
	response := m.Type == jsonrpc.Reply || m.Type == jsonrpc.Error
	switch {
	case response && c.request != nil && jsonrpc.SameID(c.request, m.ID):
		c.request = nil
		c.response(m, now)
	case m.Type == jsonrpc.Notify && c.notification(m, now):
	case response && c.lockRequest != nil && jsonrpc.SameID(c.lockRequest, m.ID):
		c.lockReply(m)
	case response && c.txnReply(m, now):
	default:
		if csLog.DbgEnabled() {
			csLog.Dbg("%s: received unexpected %s message: %s", c.session.Name(), m.Type, m.Append(nil))
		}
	}
}

// notification handles what the server sends unasked, and says whether it was
// of any use.
func (c *Client) notification(m *jsonrpc.Msg, now int64) bool {
	params, err := json.Parse(string(m.Params))
	if err != nil {
		return false
	}
	p := params.List()
	switch m.Method {
	case "update", "update2", "update3":
		return c.updateRPC(m.Method, p, now)
	case "monitor_canceled":
		return len(p) == 1 && c.monitorCanceled(&p[0])
	case "locked", "stolen":
		if c.lock == "" || len(p) == 0 || p[0].Str() != c.lock {
			return false
		}
		c.setLocked(m.Method == "locked")
		return true
	}
	return false
}

// response goes on with setting up the connection.
func (c *Client) response(m *jsonrpc.Msg, now int64) {
	ok := m.Type == jsonrpc.Reply
	mayFail := c.state == serverSchemaRequested || c.state == serverMonitorRequested ||
		c.state == dataCondRequested || c.state == dataCondSinceRequested
	if !ok && !mayFail {
		csLog.InfoRL(stateRL, "%s: received unexpected %s response in %s state: %s",
			c.session.Name(), m.Type, c.state, m.Append(nil))
		c.retry(now)
		return
	}
	var result json.Value
	if ok {
		var err error
		if result, err = json.Parse(string(m.Result)); err != nil {
			c.retry(now)
			return
		}
	}
	switch c.state {
	case serverSchemaRequested:
		if !ok {
			c.requestDataSchema()
			return
		}
		c.send("monitor_cond", serverMonitorParams(&result))
		c.transition(serverMonitorRequested)
	case serverMonitorRequested:
		if !ok {
			c.requestDataSchema()
			return
		}
		c.server.update(&result)
		c.server.monitored = true
		c.checkServer(now)
	case dataSchemaRequested:
		c.notePresent(&result)
		c.requestMonitor(2)
	case dataCondSinceRequested, dataCondRequested, dataMonitorRequested:
		c.monitorReply(ok, &result, now)
	}
}

// maySend says whether a transaction could be sent if locks were no matter.
func (c *Client) maySend() bool { return c.Synced() }

func (c *Client) sendTxn(t *Txn, params []byte) {
	m := jsonrpc.NewRequest("transact", params)
	t.id = m.ID
	c.txns = append(c.txns, t)
	c.session.Send(m)
}

func (c *Client) forget(t *Txn) {
	for i, other := range c.txns {
		if other == t {
			c.txns = append(c.txns[:i:i], c.txns[i+1:]...)
			return
		}
	}
}

// abortAll ends the transactions whose connection is gone.
func (c *Client) abortAll() {
	for _, t := range c.txns {
		t.complete(TryAgain)
	}
	c.txns = nil
}
