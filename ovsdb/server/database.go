package server

import (
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/monitor"
	"sluice/ovsdb/storage"
)

// model is how a database is kept.
type model uint8

const (
	standalone model = iota
	clustered
	relay
)

var modelNames = [...]string{"standalone", "clustered", "relay"}

// database is one database that the server serves.
type database struct {
	srv      *Server
	name     string
	filename string // as given: a file's name or relay:...
	model    model
	schema   *data.Schema // nil while a relay has none yet
	schemaJS []byte
	d        *db.DB
	w        *storage.Writer // nil: kept in memory only
	reg      *monitor.Registry
	hist     monitor.History
	atoms    int
	row      data.UUID // in _Server

	seq      uint64    // of the latest transaction that has been applied
	lastID   data.UUID // its id
	pending  []*commit // applied, but not known to be in the file
	triggers map[*trigger]bool
	byTable  map[*db.Table]map[*trigger]bool // waiting triggers by what they look at

	compactor compactor
	// conversions under way: the first one is being worked on.
	conversions []*conversion
	relay       *relayClient
	stats       dbStats
	opened      int64
	shownIndex  int64
	problem     string          // why the latest write failed
	tlog        map[string]bool // tables whose changes are logged
	idle        []func()        // to be called when nothing is pending
}

type dbStats struct {
	txns    uint64
	failed  uint64
	latency int64 // ms between applying and being in the file, summed
	waited  uint64
}

// commit is a transaction on its way into the file.
type commit struct {
	monitor.Commit
	txn   *db.Txn
	start int64
	done  func(*data.Error)
	prev  data.UUID // lastID before it
	delta int       // atoms
}

// openFile reads a database file.
func (s *Server) openFile(filename string) (*database, *data.Error) {
	for _, d := range s.dbs {
		if d.filename == filename {
			return nil, data.Errorf("", "%s: already open", filename)
		}
	}
	l, err := storage.Open(filename, true)
	if err != nil {
		return nil, err
	}
	d, err := s.readFile(l, filename)
	if err != nil {
		l.Close()
		return nil, err
	}
	return d, nil
}

func (s *Server) readFile(l *storage.Log, filename string) (*database, *data.Error) {
	d := &database{srv: s, filename: filename, model: standalone, opened: s.now}
	c, err := storage.Load(l, storage.Loader{
		Schema: func(schema *data.Schema, id data.UUID) {
			d.setSchema(schema)
			d.lastID = id
			d.hist.Reset(id)
		},
		Txn: func(t *db.Txn, id data.UUID) {
			d.lastID = id
			d.seq++
			d.atoms += t.AtomsDelta()
			d.hist.Add(&monitor.Commit{Seq: d.seq, ID: id, Changes: t.Changes}, t.Atoms(), d.atoms)
		},
		Tables: func() *db.DB { return d.d },
	})
	if err != nil {
		return nil, err
	}
	if c.Cluster != nil {
		d.model = clustered
	}
	if d.schema == nil {
		return nil, data.Errorf("", "%s: no schema", filename)
	}
	d.name = d.schema.Name
	d.w = storage.NewWriter(l, c, s.storageOptions(), s.wake)
	d.compactor.init(s.now, d.w)
	return d, nil
}

// setSchema gives the database a schema and empty tables.
func (d *database) setSchema(schema *data.Schema) {
	d.schema = schema
	js := schema.JSON()
	d.schemaJS = js.Append(nil)
	d.setTables(db.New(schema))
}

func (d *database) setTables(t *db.DB) {
	d.d = t
	d.atoms = 0
	d.reg = monitor.NewRegistry(d.schema)
	d.triggers = map[*trigger]bool{}
	d.byTable = map[*db.Table]map[*trigger]bool{}
}

// commit ends a transaction whose operations are done: checks, file, monitors.
// done is called when it is over, possibly before commit returns; it must not
// start another transaction.
func (d *database) commit(t *db.Txn, durable bool, done func(*data.Error)) {
	if err := t.Precommit(); err != nil {
		done(err)
		return
	}
	if len(t.Changes) == 0 {
		t.Seal()
		done(nil)
		return
	}
	t.Seal()
	if c := d.converting(); c != nil {
		c.changes = append(c.changes, t.Changes...)
	}
	s := d.srv
	d.seq++
	c := &commit{Commit: monitor.Commit{Seq: d.seq, Changes: t.Changes}, txn: t, start: s.now, done: done, prev: d.lastID, delta: t.AtomsDelta()}
	d.atoms += c.delta
	var body []byte
	if d.w != nil {
		body = storage.Encode(nil, t, s.clock.Wall(), s.storageOptions())
	}
	if d.model == standalone && len(body) > 0 {
		d.lastID = storage.Chain(d.lastID, string(body))
	} else {
		d.lastID = data.NewUUID()
	}
	c.ID = d.lastID
	if d.w == nil {
		d.finish(c)
		return
	}
	over, err := d.w.Commit(body, c.ID, durable, c)
	switch {
	case !over:
		d.pending = append(d.pending, c)
	case err != nil:
		d.undo(c)
		s.reportFailure(d, err)
		done(err)
	default:
		d.finish(c)
	}
}

func (d *database) undo(c *commit) {
	if conv := d.converting(); conv != nil {
		conv.undone = true
	}
	c.txn.Rollback()
	d.lastID = c.prev
	d.atoms -= c.delta
	d.stats.failed++
}

// finish makes a commit known, once it is in the file.
func (d *database) finish(c *commit) {
	c.txn.Forget()
	d.stats.txns++
	if w := d.srv.now - c.start; w > 0 {
		d.stats.latency += w
		d.stats.waited++
	}
	d.hist.Add(&c.Commit, c.txn.Atoms(), d.atoms)
	d.reg.Publish(&c.Commit)
	if d.tlog != nil {
		d.logChanges(c.Changes)
	}
	d.problem = ""
	c.done(nil)
	d.wakeTriggers(c.Changes)
	d.srv.committed(d, c.Changes)
}

// collect takes the results of the writer.
func (d *database) collect() {
	if d.w == nil {
		return
	}
	for _, r := range d.w.Take() {
		c, isCommit := r.Token.(*commit)
		switch {
		case !isCommit:
			r.Token.(func(*data.Error))(r.Err)
		case len(d.pending) == 0:
			// Undone already, by an earlier failure.
		case r.Err != nil:
			d.failAll(r.Err)
		default:
			d.pending = d.pending[1:]
			d.finish(c)
		}
	}
	d.runIdle()
}

// failAll undoes all transactions that are not in the file: those after the
// failed one saw what it changed.
func (d *database) failAll(err *data.Error) {
	failed := d.pending
	d.pending = nil
	d.srv.reportFailure(d, err)
	for i := len(failed) - 1; i >= 0; i-- {
		c := failed[i]
		changes := c.Changes
		d.undo(c)
		d.reg.Retract(&monitor.Commit{Seq: c.Seq, Changes: changes})
	}
	for _, token := range d.w.Reset() {
		token.(func(*data.Error))(err)
	}
	for _, c := range failed {
		c.done(err)
	}
}

// afterPending calls fn as soon as no commit is on its way into the file.
func (d *database) afterPending(fn func()) {
	if len(d.pending) == 0 {
		fn()
		return
	}
	d.idle = append(d.idle, fn)
}

func (d *database) runIdle() {
	for len(d.pending) == 0 && len(d.idle) > 0 {
		fn := d.idle[0]
		d.idle = d.idle[1:]
		fn()
	}
}

// internal runs a transaction of the server's own.
func (d *database) internal(fn func(t *db.Txn)) {
	t := d.d.Begin()
	fn(t)
	d.commit(t, false, func(err *data.Error) {
		if err != nil {
			log.ErrRL(internalRL, "Failed to update database %s: %s", d.name, err.Error())
		}
	})
}

// removed tells whether the database is not served any more.
func (d *database) removed() bool { return d.srv.dbs[d.name] != d }

// close ends everything the database has open.
func (d *database) close() {
	if d.relay != nil {
		d.relay.close()
	}
	if d.w != nil {
		d.w.Close()
	}
}
