package server

import (
	"fmt"
	"sort"
	"strings"

	"sluice/internal/vlog"
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/unixctl"
)

var (
	txnLog = vlog.New("transaction")
	tlogRL = vlog.NewLimiter(30, 60)
)

// Commands registers the server's control commands. changed is called when a
// command has changed what a restarted server has to be told.
func (s *Server) Commands(u *unixctl.Server, changed func()) {
	reg := func(name, usage string, lo, hi int, fn func(*unixctl.Request)) { u.Register(name, usage, lo, hi, fn) }
	reg("ovsdb-server/compact", "", 0, 1, s.cmdCompact)
	reg("ovsdb-server/memory-trim-on-compaction", "on|off", 1, 1, s.cmdTrim)
	reg("ovsdb-server/reconnect", "", 0, 0, func(r *unixctl.Request) {
		s.reconnectAll("user ran ovsdb-server/reconnect")
		r.Reply("")
	})
	reg("ovsdb-server/add-remote", "REMOTE", 1, 1, func(r *unixctl.Request) { s.cmdAddRemote(r, changed) })
	reg("ovsdb-server/remove-remote", "REMOTE", 1, 1, func(r *unixctl.Request) { s.cmdRemoveRemote(r, changed) })
	reg("ovsdb-server/list-remotes", "", 0, 0, func(r *unixctl.Request) { r.Reply(lines(s.sortedTargets())) })
	reg("ovsdb-server/add-db", "DB", 1, 1, func(r *unixctl.Request) { s.cmdAddDB(r, changed) })
	reg("ovsdb-server/remove-db", "DB", 1, 1, func(r *unixctl.Request) { s.cmdRemoveDB(r, changed) })
	reg("ovsdb-server/list-dbs", "", 0, 0, func(r *unixctl.Request) { r.Reply(lines(s.dbNameList())) })
	reg("ovsdb-server/tlog-set", "DB:TABLE on|off", 2, 2, s.cmdTlogSet)
	reg("ovsdb-server/tlog-list", "", 0, 0, s.cmdTlogList)
	reg("ovsdb-server/get-db-storage-status", "DB", 1, 1, s.cmdStorageStatus)
	reg("ovsdb-server/disable-monitor-cond", "", 0, 0, func(r *unixctl.Request) {
		s.noCond = true
		s.reconnectAll("user ran ovsdb-server/disable-monitor-cond")
		r.Reply("")
	})
	reg("ovsdb-server/perf-counters-show", "", 0, 0, func(r *unixctl.Request) { r.Reply("") })
	reg("ovsdb-server/perf-counters-clear", "", 0, 0, func(r *unixctl.Request) { r.Reply("") })
	reg("ovsdb-server/stats", "", 0, 0, s.cmdStats)
	if s.nodiff {
		reg("ovsdb/file/column-diff-enable", "", 0, 0, func(r *unixctl.Request) {
			s.SetColumnDiff(true)
			r.Reply("")
		})
	}
	s.replicationCommands(reg, changed)
	s.ctl = u
	s.registerCluster()
}

// SetColumnDiff switches whether changes of sets and maps are written to files
// as differences.
func (s *Server) SetColumnDiff(on bool) {
	s.nodiff = !on
	for _, d := range s.dbs {
		if d.w != nil {
			d.w.SetNoDiff(s.nodiff)
		}
	}
}

func lines(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return strings.Join(list, "\n") + "\n"
}

func (s *Server) dbNameList() []string {
	var out []string
	for name := range s.dbs {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

// DBFiles lists the files and relays that are served, as they were given.
func (s *Server) DBFiles() []string {
	var out []string
	for _, d := range s.sortedDBs() {
		if d != s.serverDB {
			out = append(out, d.filename)
		}
	}
	return out
}

// Remotes lists the configured remotes.
func (s *Server) Remotes() []string { return s.sortedTargets() }

func (s *Server) reconnectAll(reason string) {
	for _, c := range s.sessions() {
		c.disconnect(reason)
	}
}

func (s *Server) cmdCompact(r *unixctl.Request) {
	only := ""
	if len(r.Args) > 0 {
		only = r.Args[0]
	}
	if strings.HasPrefix(only, "_") {
		r.ReplyError("cannot compact built-in databases")
		return
	}
	n, found := 1, false // one for this function itself
	var problems strings.Builder
	done := func(err *data.Error) {
		if err != nil {
			problems.WriteString(err.Error() + "\n")
		}
		if n--; n > 0 {
			return
		}
		switch {
		case !found:
			r.ReplyError("no database by that name")
		case problems.Len() > 0:
			r.ReplyError(problems.String())
		default:
			r.Reply("")
		}
	}
	for _, d := range s.sortedDBs() {
		if d.name[0] == '_' || only != "" && d.name != only {
			continue
		}
		found = true
		mainLog.Info("compacting %s database by user request", d.name)
		if d.w != nil {
			n++
			d.compact(done)
		}
	}
	done(nil)
}

func (s *Server) cmdTrim(r *unixctl.Request) {
	switch r.Args[0] {
	case "on":
		mainLog.Info("memory trimming after compaction enabled.")
	case "off":
		mainLog.Info("memory trimming after compaction disabled.")
	default:
		r.ReplyError("invalid argument")
		return
	}
	r.Reply("")
}

func (s *Server) cmdAddRemote(r *unixctl.Request, changed func()) {
	target := r.Args[0]
	if isDB(target) {
		if _, problem := s.parseDBColumn(target); problem != "" {
			r.ReplyError(problem)
			return
		}
	}
	s.targets[target] = true
	s.dirty = true
	changed()
	r.Reply("")
}

func (s *Server) cmdRemoveRemote(r *unixctl.Request, changed func()) {
	if !s.targets[r.Args[0]] {
		r.ReplyError("no such remote")
		return
	}
	delete(s.targets, r.Args[0])
	s.dirty = true
	changed()
	r.Reply("")
}

func (s *Server) cmdAddDB(r *unixctl.Request, changed func()) {
	if err := s.AddDB(r.Args[0]); err != nil {
		r.ReplyError(err.Error())
		return
	}
	s.restartReplication()
	changed()
	r.Reply("")
}

func (s *Server) cmdRemoveDB(r *unixctl.Request, changed func()) {
	d := s.dbs[r.Args[0]]
	switch {
	case d == nil:
		r.ReplyError("Failed to find the database.")
		return
	case d.name[0] == '_':
		r.ReplyError("Cannot remove reserved database.")
		return
	}
	s.removeDB(d, "removing "+d.name+" database by user request")
	s.restartReplication()
	changed()
	r.Reply("")
}

func (s *Server) cmdStorageStatus(r *unixctl.Request) {
	d := s.dbs[r.Args[0]]
	switch {
	case d == nil:
		r.ReplyError("Failed to find the database.")
	case d.problem != "":
		r.Reply("status: " + d.problem)
	default:
		r.Reply("status: ok")
	}
}

func (s *Server) cmdTlogSet(r *unixctl.Request) {
	var on bool
	switch strings.ToLower(r.Args[1]) {
	case "on":
		on = true
	case "off":
	default:
		r.ReplyError("invalid command argument")
		return
	}
	f := strings.FieldsFunc(r.Args[0], func(c rune) bool { return c == ':' })
	if len(f) != 2 {
		r.ReplyError("invalid DB:TABLE argument")
		return
	}
	d := s.dbs[f[0]]
	if d == nil {
		r.ReplyError("no such database")
		return
	}
	if d.schema == nil || d.schema.Table(f[1]) == nil {
		r.ReplyError("no such table")
		return
	}
	if d.tlog == nil {
		d.tlog = map[string]bool{}
	}
	d.tlog[f[1]] = on
	r.Reply("")
}

// logChanges logs rows of the tables that tlog-set has named.
func (d *database) logChanges(changes []*db.Change) {
	for _, c := range changes {
		if !d.tlog[c.Table.Schema.Name] {
			continue
		}
		op, row := "updated", c.New
		switch {
		case c.Old == nil:
			op = "inserted"
		case c.New == nil:
			op, row = "deleted", c.Old
		}
		text := fmt.Appendf(nil, "table:%s,op:%s,", c.Table.Schema.Name, op)
		for i, col := range c.Table.Schema.Columns {
			if i > 0 {
				text = append(text, ',')
			}
			text = append(append(text, col.Name...), ':')
			text = row.Get(i).AppendText(text, &col.Type)
		}
		txnLog.InfoRL(tlogRL, "%s", text)
	}
}

func (s *Server) cmdTlogList(r *unixctl.Request) {
	var b strings.Builder
	b.WriteString("database        table                       logging\n")
	b.WriteString("--------        -----                       -------\n")
	for _, d := range s.sortedDBs() {
		fmt.Fprintf(&b, "%-16s \n", d.name)
		if d.schema == nil {
			continue
		}
		for _, t := range d.schema.Tables {
			on := "OFF"
			if d.tlog[t.Name] {
				on = "ON"
			}
			fmt.Fprintf(&b, "                %-27s %s\n", t.Name, on)
		}
	}
	r.Reply(b.String())
}

// MemoryUsage gives the numbers of memory/show, under stock's names.
func (s *Server) MemoryUsage() map[string]int {
	u := map[string]int{}
	for _, d := range s.dbs {
		if d.schema == nil {
			continue
		}
		cells, atoms := d.d.Counts()
		u["cells"] += cells
		u["atoms"] += atoms
		if d != s.serverDB {
			u["txn-history"] += d.hist.Len()
			u["txn-history-atoms"] += d.hist.Atoms()
		}
		u["monitors"] += d.reg.Len()
		u["n-weak-refs"] += d.d.WeakRefs()
	}
	for _, c := range s.sessions() {
		u["sessions"]++
		u["triggers"] += len(c.triggers)
		u["backlog"] += c.js.Backlog()
	}
	for _, name := range []string{"triggers", "backlog"} {
		if u[name] == 0 {
			delete(u, name)
		}
	}
	return u
}

// cmdStats shows numbers of each database and session.
func (s *Server) cmdStats(r *unixctl.Request) {
	var b strings.Builder
	for _, d := range s.sortedDBs() {
		if d.schema == nil {
			fmt.Fprintf(&b, "database %s: not connected\n", d.name)
			continue
		}
		fmt.Fprintf(&b, "database %s: rows=%d transactions=%d failed=%d monitors=%d waiting=%d", d.name,
			d.d.Rows(), d.stats.txns, d.stats.failed, d.reg.Len(), len(d.triggers))
		if d.w != nil {
			size, based, records := d.w.Stats()
			fmt.Fprintf(&b, " log-size=%d compacted-size=%d records=%d", size, based, records)
		}
		if d.stats.waited > 0 {
			fmt.Fprintf(&b, " commit-latency-ms=%.1f", float64(d.stats.latency)/float64(d.stats.waited))
		}
		b.WriteByte('\n')
	}
	for _, c := range s.sessions() {
		fmt.Fprintf(&b, "session %s: monitors=%d waiting=%d in-flight=%d locks=%d backlog=%d\n", c.js.Name(),
			len(c.monitors), len(c.triggers), len(c.replies), len(c.locks), c.js.Backlog())
	}
	r.Reply(b.String())
}
