package server

import (
	"fmt"
	"sort"
	"strings"

	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ovsdb/data"
	"sluice/ovsdb/json"
	"sluice/ovsdb/jsonrpc"
	"sluice/ovsdb/monitor"
)

var (
	relayLog = vlog.New("relay")
	relayRL  = vlog.NewLimiter(1, 5)
)

// relayGrace is for how long, in ms, a relay that lost its source still calls
// itself connected, so that clients do not run away at every hiccup.
const relayGrace = 30000

// open opens what a DATABASE argument names.
func (s *Server) open(name string) (*database, *data.Error) {
	rest, isRelay := strings.CutPrefix(name, "relay:")
	if !isRelay {
		return s.openFile(name)
	}
	dbName, remotes, ok := strings.Cut(rest, ":")
	if !ok {
		return nil, data.Errorf("", "%s: invalid syntax", name)
	}
	d := &database{srv: s, name: dbName, filename: name, model: relay}
	r := &relayClient{d: d, remotes: strings.Split(remotes, ","), sent: map[string]*trigger{}, seqno: ^uint(0)}
	r.js = jsonrpc.OpenSession(r.remotes, true, s.streamOptions(remoteOptions{DSCP: defaultDSCP}), s.now)
	if len(r.remotes) == 1 {
		r.js.SetMaxBackoff(defaultBackoff)
	}
	d.relay = r
	return d, nil
}

// relayClient keeps a copy of a database of another server and passes
// transactions that change something on to it.
type relayClient struct {
	d       *database
	remotes []string
	js      *jsonrpc.Session
	seqno   uint
	state   relayState
	id      []byte // of the request in progress
	schema  *data.Schema
	lastUp  int64
	wasUp   bool
	failed  bool                // there was a failure since the start
	queue   []*trigger          // to be sent
	sent    map[string]*trigger // sent, by request id
}

type relayState uint8

const (
	relayDown      relayState = iota
	relayServer               // asked for the source's _Server
	relaySchema               // asked for the schema
	relayMonitor              // asked for the contents
	relayFollowing            // up to date
)

func (r *relayClient) close() {
	r.cancelAll(true)
	r.js.Close()
}

// connected tells what _Server is to say.
func (r *relayClient) connected() bool {
	return r.state == relayFollowing || r.lastUp > 0 && r.d.srv.now-r.lastUp < relayGrace
}

// Settled tells whether every relay has got its contents, or has failed to: a
// program that starts several servers in a row may take it that each is ready
// when the next one starts.
func (s *Server) Settled() bool {
	for _, d := range s.dbs {
		if r := d.relay; r != nil && r.state != relayFollowing && !r.failed {
			return false
		}
	}
	return true
}

func (r *relayClient) wait(p *poll.Set) {
	r.js.Wait(p, r.d.srv.now)
	r.js.RecvWait(p)
	if r.lastUp > 0 && r.state != relayFollowing && r.wasUp {
		p.Timer(r.lastUp + relayGrace)
	}
}

func (r *relayClient) run() {
	s := r.d.srv
	r.js.Run(s.now)
	if r.seqno != r.js.Seqno() {
		r.seqno = r.js.Seqno()
		r.state = relayDown
		r.cancelAll(false)
		if r.js.Connected() {
			r.hello()
		}
	}
	for i := 0; i < 50 && r.js.Connected(); i++ {
		m := r.js.Recv(s.now)
		if m == nil {
			break
		}
		r.message(m)
	}
	if r.state == relayFollowing {
		r.lastUp = s.now
		r.sendQueue()
	}
	if !r.js.Connected() && r.js.LastErr() != nil {
		r.failed = true
	}
	if up := r.connected(); up != r.wasUp {
		r.wasUp = up
		s.describe(r.d)
	}
}

func (r *relayClient) request(method, format string, args ...any) {
	m := jsonrpc.NewRequest(method, fmt.Appendf(nil, format, args...))
	r.id = m.ID
	r.js.Send(m)
}

// hello begins the conversation: whether the source has the database at hand
// is in its _Server database, which we follow to learn when that changes.
func (r *relayClient) hello() {
	r.js.Send(jsonrpc.NewRequest("set_db_change_aware", []byte("[true]")))
	r.state = relayServer
	r.request("monitor_cond", `["_Server",["monid","_Server"],{"Database":[{"columns":["name","model","connected","schema"]}]}]`)
}

func (r *relayClient) askSchema() {
	r.state = relaySchema
	r.request("get_schema", `[%s]`, json.AppendString(nil, r.d.name))
}

// retry drops the connection, to try the next source after a pause.
func (r *relayClient) retry(format string, args ...any) {
	relayLog.WarnRL(relayRL, "%s: %s", r.js.Name(), fmt.Sprintf(format, args...))
	r.failed = true
	r.state = relayDown
	r.js.ForceReconnect(r.d.srv.now)
}

func (r *relayClient) message(m *jsonrpc.Msg) {
	switch m.Type {
	case jsonrpc.Reply, jsonrpc.Error:
		r.reply(m)
	case jsonrpc.Notify:
		r.notify(m)
	}
}

func (r *relayClient) reply(m *jsonrpc.Msg) {
	if t := r.sent[string(m.ID)]; t != nil {
		delete(r.sent, string(m.ID))
		t.forward = false
		t.complete(m.Result, m.Error)
		return
	}
	if string(m.ID) != string(r.id) {
		return // set_db_change_aware, which old servers refuse
	}
	if m.Type == jsonrpc.Error && r.state != relayServer {
		r.retry("source refused a request: %s", m.Error)
		return
	}
	switch r.state {
	case relayServer:
		if m.Type == jsonrpc.Reply && !r.serverRows(m.Result) {
			return
		}
		r.askSchema()
	case relaySchema:
		r.gotSchema(m.Result)
	case relayMonitor:
		r.gotContents(m.Result)
	}
}

// serverRows looks at the source's _Server; false if another source is to be
// tried.
func (r *relayClient) serverRows(updates []byte) bool {
	v, err := json.Parse(string(updates))
	if err != nil {
		return true
	}
	rows := v.Get("Database")
	for i := 0; rows != nil && i < rows.Len(); i++ {
		_, u := rows.Member(i)
		_, row, _ := rowUpdate(u, false)
		if row == nil {
			continue
		}
		name, connected := row.Get("name"), row.Get("connected")
		if name == nil || name.Str() != r.d.name {
			continue
		}
		if connected == nil || connected.Kind() != json.True {
			r.retry("the source's database %s is not connected", r.d.name)
			return false
		}
	}
	return true
}

func (r *relayClient) gotSchema(text []byte) {
	schema, err := data.ParseSchemaText(string(text))
	if err != nil {
		r.retry("Failed to parse db schema: %s", err.Error())
		return
	}
	r.schema = schema
	last := data.UUID{}
	if r.sameSchema() {
		last = r.d.lastID
	}
	var tables strings.Builder
	for i, t := range schema.Tables {
		if i > 0 {
			tables.WriteByte(',')
		}
		tables.WriteString(`"` + t.Name + `":[{}]`)
	}
	r.state = relayMonitor
	r.request("monitor_cond_since", `[%s,["monid",%[1]s],{%[2]s},"%[3]s"]`, json.AppendString(nil, r.d.name), tables.String(), last)
}

func (r *relayClient) sameSchema() bool {
	if r.d.schema == nil {
		return false
	}
	a, b := r.d.schema.JSON(), r.schema.JSON()
	return json.Equal(&a, &b)
}

func (r *relayClient) gotContents(text []byte) {
	v, err := json.Parse(string(text))
	if err != nil || len(v.List()) != 3 {
		r.retry("bad reply to monitor_cond_since")
		return
	}
	l := v.List()
	if !r.sameSchema() {
		r.install()
	}
	r.apply(&l[2], l[0].Kind() != json.True, l[1].Str())
	if r.state == relayMonitor {
		r.state = relayFollowing
	}
}

// install makes the source's schema ours.
func (r *relayClient) install() {
	d, s := r.d, r.d.srv
	reason := "database " + d.name + " connected to storage"
	if d.schema != nil {
		reason = "database " + d.name + " schema changed"
		s.detachForSchema(d)
	}
	s.reconnectUnaware(reason)
	d.setSchema(r.schema)
	d.lastID = data.NewUUID()
	d.hist.Reset(d.lastID)
	s.undescribe(d)
	s.describe(d)
	s.dirty = true
}

// apply commits what the source says has changed, under its transaction id.
func (r *relayClient) apply(v *json.Value, clear bool, id string) {
	d := r.d
	t, err := d.applyUpdates(v, updateForm{clear: clear})
	if err == nil {
		err = t.Precommit()
	}
	if err != nil {
		r.retry("%s", err.Error())
		return
	}
	t.Seal()
	u, _ := data.ParseUUID(id)
	if u.IsZero() {
		u = data.NewUUID() // the source has none
	}
	d.lastID = u
	if len(t.Changes) == 0 {
		if clear {
			d.hist.Reset(u)
		}
		return
	}
	d.seq++
	delta := t.AtomsDelta()
	d.atoms += delta
	d.finish(&commit{Commit: monitor.Commit{Seq: d.seq, ID: u, Changes: t.Changes}, txn: t, start: d.srv.now,
		done: func(*data.Error) {}, delta: delta})
}

func (r *relayClient) notify(m *jsonrpc.Msg) {
	v, err := json.Parse(string(m.Params))
	if err != nil {
		return
	}
	l := v.List()
	switch m.Method {
	case "update3":
		if len(l) == 3 && r.state == relayFollowing {
			r.apply(&l[2], false, l[1].Str())
		}
	case "update2":
		if len(l) == 2 && r.state > relayServer {
			r.serverChanged(&l[1])
		}
	case "monitor_canceled":
		// The source's database has another schema or is gone.
		if len(l) == 1 && string(l[0].Append(nil)) != `["monid","_Server"]` && r.state > relayServer {
			r.askSchema()
		}
	}
}

// serverChanged looks for our database among changes of the source's _Server.
func (r *relayClient) serverChanged(v *json.Value) {
	rows := v.Get("Database")
	for i := 0; rows != nil && i < rows.Len(); i++ {
		_, u := rows.Member(i)
		_, row, _ := rowUpdate(u, false)
		if row == nil {
			continue
		}
		// Which database a modification is about it does not say; a source
		// that lost one of several is rare enough to look at all again.
		if c := row.Get("connected"); c != nil && c.Kind() != json.True {
			r.retry("the source's database %s is not connected", r.d.name)
			return
		}
	}
}

// forward sends a client's request on, as soon as the source is at hand.
func (r *relayClient) forward(t *trigger) {
	r.queue = append(r.queue, t)
	if r.state == relayFollowing {
		r.sendQueue()
	}
}

func (r *relayClient) sendQueue() {
	for _, t := range r.queue {
		if t.over {
			continue
		}
		m := jsonrpc.NewRequest("transact", t.msg.Params)
		r.sent[string(m.ID)] = t
		r.js.Send(m)
	}
	r.queue = nil
}

// forget is called for a request whose client does not wait any more.
func (r *relayClient) forget(t *trigger) {
	for id, o := range r.sent {
		if o == t {
			r.js.Send(jsonrpc.NewNotify("cancel", []byte("["+id+"]")))
			delete(r.sent, id)
		}
	}
}

// cancelAll ends requests that were sent and may be lost; with all set also
// those that were not.
func (r *relayClient) cancelAll(all bool) {
	var list []*trigger
	for _, t := range r.sent {
		list = append(list, t)
	}
	r.sent = map[string]*trigger{}
	if all {
		list = append(list, r.queue...)
		r.queue = nil
	}
	sort.Slice(list, func(i, j int) bool { return list[i].order < list[j].order })
	for _, t := range list {
		t.complete(nil, []byte(`"canceled"`))
	}
}
