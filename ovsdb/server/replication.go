package server

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ovsdb/data"
	"sluice/ovsdb/json"
	"sluice/ovsdb/jsonrpc"
	"sluice/ovsdb/unixctl"
)

var replLog = vlog.New("replication")

const defaultReplProbe = 60000

// replConfig is what options and commands say of active-backup replication.
type replConfig struct {
	from    string
	exclude string
	backup  bool
	probe   int64
}

// replication copies databases from an active server while this one is its
// backup.
type replication struct {
	s        *Server
	from     string
	excluded map[string]bool // "DB:TABLE"
	js       *jsonrpc.Session
	seqno    uint
	state    replState
	failed   bool
	want     map[string]string // requests without a reply: database, or ""
	dbs      map[string]*replDB
}

type replDB struct {
	d      *database
	schema *data.Schema // the active server's, if it is older than ours
}

type replState uint8

const (
	replInit replState = iota
	replServerID
	replList
	replSchemas
	replMonitors
	replFollowing
)

// parseExclude reads DB:TABLE,...
func parseExclude(list string) (map[string]bool, error) {
	out := map[string]bool{}
	for _, f := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		if d, t, ok := strings.Cut(f, ":"); !ok || d == "" || t == "" {
			return nil, fmt.Errorf("Can't parse excluded table: %s", f)
		}
		out[f] = true
	}
	return out, nil
}

// CheckExclude checks the argument of --sync-exclude-tables.
func CheckExclude(list string) error {
	_, err := parseExclude(list)
	return err
}

// InitReplication tells from where, and without which tables, the databases
// are copied while the server is a backup.
func (s *Server) InitReplication(from, exclude string, backup bool) {
	s.replc = replConfig{from: from, exclude: exclude, backup: backup, probe: defaultReplProbe}
	s.readOnly = s.cfg.ReadOnly || backup
	s.restartReplication()
}

// Replication tells what InitReplication and commands have set.
func (s *Server) Replication() (from, exclude string, backup bool) {
	return s.replc.from, s.replc.exclude, s.replc.backup
}

// restartReplication begins anew, if the server is a backup.
func (s *Server) restartReplication() {
	s.stopReplication()
	if !s.replc.backup {
		return
	}
	ex, _ := parseExclude(s.replc.exclude)
	r := &replication{s: s, from: s.replc.from, excluded: ex, seqno: ^uint(0), want: map[string]string{}, dbs: map[string]*replDB{}}
	r.js = jsonrpc.OpenSession([]string{r.from}, true, s.streamOptions(remoteOptions{DSCP: defaultDSCP}), s.now)
	r.js.SetProbeInterval(s.replc.probe)
	s.repl = r
}

func (s *Server) stopReplication() {
	if s.repl != nil {
		s.repl.js.Close()
		s.repl = nil
	}
}

// setBackup makes the server a backup or active.
func (s *Server) setBackup(on bool) {
	s.replc.backup = on
	s.readOnly = s.cfg.ReadOnly || on
	s.restartReplication()
}

func (r *replication) wait(p *poll.Set, now int64) {
	r.js.Wait(p, now)
	r.js.RecvWait(p)
}

func (s *Server) runReplication() {
	r := s.repl
	r.js.Run(s.now)
	for i := 0; i < 50 && r.js.Connected() && !r.failed; i++ {
		if r.seqno != r.js.Seqno() || r.state == replInit {
			r.seqno = r.js.Seqno()
			r.want = map[string]string{}
			r.request("get_server_id", "[]", "")
			r.state = replServerID
		}
		m := r.js.Recv(s.now)
		if m == nil {
			break
		}
		r.message(m)
	}
	if r.failed || !r.js.Alive() {
		s.setBackup(false)
		if s.onRoleChange != nil {
			s.onRoleChange()
		}
	}
}

func (r *replication) request(method, params, db string) {
	m := jsonrpc.NewRequest(method, []byte(params))
	r.want[string(m.ID)] = db
	r.js.Send(m)
}

func (r *replication) fail(err *data.Error) {
	replLog.Err("unexpected ovsdb error: %s", err.Error())
	r.failed = true
}

func (r *replication) message(m *jsonrpc.Msg) {
	switch {
	case m.Type == jsonrpc.Notify && m.Method == "update":
		v, err := json.Parse(string(m.Params))
		if err == nil && len(v.List()) == 2 {
			if rd := r.dbs[v.List()[0].Str()]; rd != nil {
				r.apply(rd, &v.List()[1], false)
			}
		}
	case m.Type == jsonrpc.Reply:
		db, ok := r.want[string(m.ID)]
		if !ok {
			replLog.Warn("received unexpected reply")
			return
		}
		delete(r.want, string(m.ID))
		v, err := json.Parse(string(m.Result))
		if err == nil {
			r.reply(&v, db)
		}
	}
}

func (r *replication) reply(v *json.Value, db string) {
	switch r.state {
	case replServerID:
		u, ok := data.ParseUUID(v.Str())
		switch {
		case !ok:
			r.fail(data.Errorf("get_server_id failed", "Server ID is not valid UUID"))
		case u == r.s.id:
			r.fail(data.Errorf("Server ID check failed", "Self replicating is not allowed"))
		default:
			r.request("list_dbs", "[]", "")
			r.state = replList
		}
	case replList:
		r.gotList(v)
	case replSchemas:
		r.gotSchema(v)
	case replMonitors:
		replLog.Info("Monitor request received. Resetting the database")
		if rd := r.dbs[db]; rd != nil {
			r.apply(rd, v, true)
		}
		if len(r.want) == 0 && !r.failed {
			r.state = replFollowing
		}
	}
}

// gotList asks for the schemas of the databases that both servers have.
func (r *replication) gotList(v *json.Value) {
	if v.Kind() != json.Array {
		r.fail(data.Errorf("list_dbs failed", "list_dbs response is not array"))
		return
	}
	r.dbs = map[string]*replDB{}
	r.state = replSchemas
	for i := range v.List() {
		name := v.List()[i].Str()
		if d := r.s.dbs[name]; d != nil && d != r.s.serverDB {
			r.dbs[name] = &replDB{d: d}
			r.request("get_schema", "["+string(json.AppendString(nil, name))+"]", "")
		}
	}
	if len(r.want) == 0 {
		replLog.Warn("Nothing to replicate.")
		r.failed = true
	}
}

func (r *replication) gotSchema(v *json.Value) {
	schema, err := data.ParseSchema(v)
	if err != nil {
		r.fail(err)
		return
	}
	rd := r.dbs[schema.Name]
	if rd == nil {
		replLog.Warn("unexpected schema %s", schema.Name)
		r.failed = true
		return
	}
	ours, theirs := rd.d.schema.JSON(), schema.JSON()
	if !json.Equal(&ours, &theirs) {
		replLog.Info("Schema version mismatch, checking if %s can still be replicated or not.", schema.Name)
		if covers(rd.d.schema, schema) {
			replLog.Info("%s can be replicated.", schema.Name)
			rd.schema = schema
		} else {
			replLog.Info("%s cannot be replicated.", schema.Name)
			delete(r.dbs, schema.Name)
		}
	}
	if len(r.want) > 0 {
		return
	}
	if len(r.dbs) == 0 {
		replLog.Warn("Nothing to replicate.")
		r.failed = true
		return
	}
	r.state = replMonitors
	for _, name := range r.names() {
		r.request("monitor", r.monitorParams(r.dbs[name]), name)
	}
}

// covers tells whether local has every table and column of active, of the same
// types.
func covers(local, active *data.Schema) bool {
	for _, a := range active.Tables {
		l := local.Table(a.Name)
		if l == nil {
			replLog.Info("Table %s not present in the local db schema", a.Name)
			return false
		}
		for _, ac := range a.Columns[data.NumStd:] {
			lc := l.Column(ac.Name)
			if lc == nil {
				replLog.Info("Column %s not present in the local db schema table %s.", ac.Name, a.Name)
				return false
			}
			at, lt := ac.Type.JSON(), lc.Type.JSON()
			if !json.Equal(&at, &lt) || ac.Mutable != lc.Mutable || ac.Persistent != lc.Persistent {
				replLog.Info("Column %s mismatch in local db schema table %s.", ac.Name, a.Name)
				return false
			}
		}
	}
	return true
}

func (r *replication) names() []string {
	var out []string
	for name := range r.dbs {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

func (r *replication) skips(d *database) func(*data.TableSchema) bool {
	return func(t *data.TableSchema) bool { return r.excluded[d.name+":"+t.Name] }
}

func (r *replication) monitorParams(rd *replDB) string {
	schema := rd.schema
	if schema == nil {
		schema = rd.d.schema
	}
	skip := r.skips(rd.d)
	var tables []string
	for _, t := range schema.Tables {
		if skip(t) {
			continue
		}
		var cols []string
		for _, c := range t.Columns[data.NumStd:] {
			cols = append(cols, c.Name)
		}
		tables = append(tables, fmt.Sprintf(`"%s":{"columns":%s}`, t.Name, jsonrpc.AppendStrings(nil, cols...)))
	}
	name := json.AppendString(nil, rd.d.name)
	return fmt.Sprintf(`[%s,%s,{%s}]`, name, name, strings.Join(tables, ","))
}

func (r *replication) apply(rd *replDB, v *json.Value, clear bool) {
	t, err := rd.d.applyUpdates(v, updateForm{v1: true, clear: clear, skip: r.skips(rd.d)})
	if err != nil {
		r.fail(err)
		return
	}
	rd.d.commit(t, false, func(err *data.Error) {
		if err != nil {
			r.fail(err)
		}
	})
}

// status is what sync-status prints of a backup.
func (r *replication) status() string {
	switch {
	case !r.js.Alive():
		return "not connected to " + r.from
	case r.failed:
		return "Replication to (" + r.from + ") failed\n"
	case r.state != replFollowing:
		return "connecting: " + r.from
	}
	s := "replicating: " + r.from + "\ndatabase:"
	for i, name := range r.names() {
		if i > 0 {
			s += ","
		}
		s += " " + name
	}
	if len(r.excluded) > 0 {
		s += "\nexclude: " + sortedExclude(r.excluded)
	}
	return s
}

func sortedExclude(ex map[string]bool) string {
	var out []string
	for e := range ex {
		out = append(out, e)
	}
	sort.Strings(out)
	return strings.Join(out, ",")
}

// OnRoleChange sets what is to be called when replication ends by itself.
func (s *Server) OnRoleChange(fn func()) { s.onRoleChange = fn }

func (s *Server) replicationCommands(reg func(name, usage string, lo, hi int, fn func(*unixctl.Request)), changed func()) {
	s.onRoleChange = changed
	reg("ovsdb-server/set-active-ovsdb-server", "", 1, 1, func(r *unixctl.Request) {
		s.replc.from = r.Args[0]
		changed()
		r.Reply("")
	})
	reg("ovsdb-server/get-active-ovsdb-server", "", 0, 0, func(r *unixctl.Request) { r.Reply(s.replc.from) })
	reg("ovsdb-server/connect-active-ovsdb-server", "", 0, 0, func(r *unixctl.Request) {
		if s.replc.from == "" {
			r.Reply("Unable to connect: active server is not specified.\n")
			return
		}
		s.setBackup(true)
		changed()
		r.Reply("")
	})
	reg("ovsdb-server/disconnect-active-ovsdb-server", "", 0, 0, func(r *unixctl.Request) {
		s.setBackup(false)
		changed()
		r.Reply("")
	})
	reg("ovsdb-server/set-active-ovsdb-server-probe-interval", "", 1, 1, func(r *unixctl.Request) {
		ms, err := strconv.Atoi(r.Args[0])
		if err != nil {
			r.Reply("Invalid probe interval, integer value expected")
			return
		}
		s.replc.probe = int64(ms)
		if s.repl != nil {
			s.repl.js.SetProbeInterval(s.replc.probe)
		}
		changed()
		r.Reply("")
	})
	reg("ovsdb-server/set-sync-exclude-tables", "", 0, 1, func(r *unixctl.Request) {
		list := ""
		if len(r.Args) > 0 {
			list = r.Args[0]
		}
		if err := CheckExclude(list); err != nil {
			r.Reply(err.Error())
			return
		}
		s.replc.exclude = list
		s.restartReplication()
		changed()
		r.Reply("")
	})
	reg("ovsdb-server/get-sync-exclude-tables", "", 0, 0, func(r *unixctl.Request) {
		ex, _ := parseExclude(s.replc.exclude)
		r.Reply(sortedExclude(ex))
	})
	reg("ovsdb-server/sync-status", "", 0, 0, func(r *unixctl.Request) {
		if s.repl == nil {
			r.Reply("state: active\n")
			return
		}
		r.Reply("state: backup\n" + s.repl.status())
	})
}
