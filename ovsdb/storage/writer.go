package storage

import (
	"bufio"
	"crypto/sha1"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
)

// Result is the end of one Commit or Compact that did not finish at once.
type Result struct {
	// Token is what the caller gave.
	Token any
	// Err is nil if all is well.
	Err *data.Error
}

// Writer appends records to a Log in the order of the calls.
//
// The obvious ways are bad ones: writing and flushing in the caller makes
// everybody wait for one client's flush, and a flush per durable transaction
// makes sixteen writers as slow as one. Here a goroutine takes all records that
// wait, writes them at once and flushes once. A record that need not be flushed
// is written by the caller itself if nothing is under way, as handing it over
// would cost more than the write.
//
// After a failure the Writer stands still: everything behind the failed record
// builds on what it changed. The caller undoes all its transactions that have
// no result yet and calls Reset.
//
// Thread-safety: one goroutine calls the exported methods; notify is called
// from others when Take has something to give.
type Writer struct {
	opts   Options
	format format
	notify func()

	mu      sync.Mutex
	wake    sync.Cond
	log     *Log          // +checklocks:mu, but the goroutine uses it while busy
	queue   []job         // +checklocks:mu
	results []Result      // +checklocks:mu
	busy    bool          // +checklocks:mu the goroutine is writing or flushing
	failed  bool          // +checklocks:mu
	closed  bool          // +checklocks:mu
	end     int64         // +checklocks:mu the end of the last record known to be good
	records int           // +checklocks:mu since the last compaction
	based   int64         // +checklocks:mu size after it
	gen     int           // +checklocks:mu counts replacements, which make compactions obsolete
	shown   *Cluster      // +checklocks:mu the state of the log while it was not busy
	expect  int           // +checklocks:mu commits that the next flush may get if it waits a moment
	flush   time.Duration // +checklocks:mu how long the last flush took
	late    bool          // +checklocks:mu the moment is over
	workers sync.WaitGroup
}

type job struct {
	token   any
	body    []byte
	id      data.UUID
	durable bool
	kind    jobKind
	compact *compaction
}

type jobKind uint8

const (
	jobCommit jobKind = iota
	jobMark           // a compaction begins here
	jobSwap           // a compaction's new file is ready
)

// compaction is a new file being made of a snapshot.
type compaction struct {
	token   any
	schema  *data.Schema
	rows    contents
	comment string
	wall    int64
	id      data.UUID // of contents that are not those of the log
	// exclusive makes commits wait for the new file.
	exclusive bool
	// ready tells that the new file has been written, but for tail.
	ready   bool
	records [][]byte // contents of transactions after the snapshot
	gen     int      // of the Writer when it began
	base    base     // what the format says of the snapshot
	tail    int64    // where in the old file the records after the snapshot begin
	copied  int64    // how far they have been copied
	out     *Log
	err     *data.Error
}

// NewWriter takes over a log that Load has read, with what it found. notify may
// be called from any goroutine.
func NewWriter(l *Log, c Content, o Options, notify func()) *Writer {
	w := &Writer{opts: o, notify: notify, log: l, records: c.Records, based: l.off, end: l.off}
	w.format = standalone{}
	if c.Cluster != nil {
		w.format = newClusterFormat(c.Cluster)
		w.begin()
	}
	w.wake.L = &w.mu
	w.workers.Add(1)
	go w.run()
	return w
}

// begin writes what the format wants to say at the start.
func (w *Writer) begin() {
	if err := w.log.append(w.format.begin(nil)); err != nil {
		log.Warn("%s", err.Error())
	}
	w.end = w.log.off
}

// Commit appends a record with the given content and transaction id. If done is set it is over,
// with err; otherwise a Result with the token follows. An empty content is not
// written, but waits for what was committed before it.
func (w *Writer) Commit(body []byte, id data.UUID, durable bool, token any) (done bool, err *data.Error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	durable = len(body) > 0 && (durable || w.format.alwaysDurable())
	if len(body) == 0 && !w.busy && !w.failed && len(w.queue) == 0 && len(w.results) == 0 {
		return true, nil
	}
	if !durable && !w.busy && !w.failed && len(w.queue) == 0 && len(w.results) == 0 {
		state := w.format.save()
		err = w.log.append(w.format.frame(nil, body, id))
		if err != nil {
			w.format.restore(state)
		} else {
			w.records++
			w.end = w.log.off
		}
		return true, err
	}
	w.queue = append(w.queue, job{token: token, body: body, id: id, durable: durable})
	w.wake.Signal()
	return false, nil
}

// Busy tells whether a Commit has not ended yet.
func (w *Writer) Busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.busy || len(w.queue) > 0 || len(w.results) > 0
}

// Compact replaces the file by one that holds only the snapshot, and what was
// committed since; a Result with the token follows.
func (w *Writer) Compact(schema *data.Schema, snap *db.Snapshot, comment string, wall int64, token any) {
	w.rebase(&compaction{token: token, schema: schema, rows: snapshot{snap}, comment: comment, wall: wall})
}

func (w *Writer) rebase(c *compaction) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, job{token: c.token, kind: jobMark, compact: c})
	w.wake.Signal()
}

// Take returns the results since the last call, in order of the calls.
func (w *Writer) Take() []Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.results
	w.results = nil
	return r
}

// Reset lets the Writer go on after a failure; it forgets what is queued and
// returns the tokens of compactions among that.
func (w *Writer) Reset() (compactions []any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, j := range w.queue {
		if j.kind != jobCommit {
			compactions = append(compactions, j.token)
			j.compact.discard()
		}
	}
	w.queue, w.failed = nil, false
	return compactions
}

// Stats tells the file's size, its size after the last compaction and the
// number of records since.
func (w *Writer) Stats() (size, based int64, records int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.end, w.based, w.records
}

// SetNoDiff changes how later compactions are written; commits are encoded by
// the caller.
func (w *Writer) SetNoDiff(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opts.NoDiff = on
}

// Name is the file's name as the user wrote it.
func (w *Writer) Name() string { return w.log.name }

// Close waits for what is queued and closes the file; Take has the last
// results.
func (w *Writer) Close() {
	w.mu.Lock()
	w.closed = true
	w.wake.Signal()
	w.mu.Unlock()
	w.workers.Wait()
	late := w.Reset() // compactions that came too late
	w.mu.Lock()
	for _, token := range late {
		w.results = append(w.results, Result{token, data.Errorf("canceled", "%s: the file was closed", w.log.name)})
	}
	w.mu.Unlock()
	w.log.Close()
}

// run is the goroutine: take all that is queued, write, flush, report.
func (w *Writer) run() {
	defer w.workers.Done()
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for (len(w.queue) == 0 || w.failed) && !w.closed {
			w.wake.Wait()
		}
		if len(w.queue) == 0 || w.failed {
			return
		}
		w.gather()
		n := 0
		for n < len(w.queue) && w.queue[n].kind == jobCommit {
			n++
		}
		if n > 0 {
			w.commit(w.queue[:n:n])
			continue
		}
		j := w.queue[0]
		w.queue = w.queue[1:]
		if j.kind == jobMark {
			w.mark(j.compact)
		} else {
			w.swap(j.compact)
		}
	}
}

// commit writes and flushes a batch. It runs with mu held but for the I/O.
func (w *Writer) commit(batch []job) {
	w.queue = w.queue[len(batch):]
	w.busy = true
	w.mu.Unlock()

	var recs []byte
	durable := false
	state := w.format.save()
	for i := range batch {
		if len(batch[i].body) > 0 {
			recs = w.format.frame(recs, batch[i].body, batch[i].id)
		}
		durable = durable || batch[i].durable
	}
	start := w.log.off
	err := w.log.append(recs)
	var took time.Duration
	if err == nil && durable {
		begin := time.Now() // clock: how long the disk takes, not when
		if err = w.log.Sync(); err != nil {
			w.log.cut(start)
		}
		took = time.Since(begin)
	}

	w.mu.Lock()
	w.busy = false
	if durable {
		w.flush, w.expect = took, len(batch)+len(w.queue)
	}
	if err != nil {
		w.failed = true
		w.format.restore(state)
	} else {
		w.records += len(batch)
		w.end = w.log.off
	}
	for i := range batch {
		w.results = append(w.results, Result{batch[i].token, err})
	}
	w.notify()
}

// mark notes where a compaction's snapshot ends in the file and starts it.
func (w *Writer) mark(c *compaction) {
	c.tail = w.log.off
	c.base = w.format.mark(c.id)
	c.copied = c.tail
	if c.exclusive {
		w.gen++
		c.gen = w.gen
		w.replace(c)
		return
	}
	c.gen = w.gen
	from := w.log.f
	w.workers.Add(1)
	go w.compact(c, from)
}

// compact makes the new file beside the running commits.
func (w *Writer) compact(c *compaction, from io.ReaderAt) {
	defer w.workers.Done()
	c.err = w.writeSnapshot(c)
	for c.err == nil {
		// Copy most of what was committed meanwhile, so that little is left
		// for the moment in which commits wait.
		w.mu.Lock()
		end := w.end
		w.mu.Unlock()
		if end-c.copied < 1<<18 {
			break
		}
		c.err = c.copyTail(from, end)
	}
	if c.err == nil {
		c.err = c.out.Sync()
	}
	w.mu.Lock()
	w.queue = append(w.queue, job{token: c.token, kind: jobSwap, compact: c})
	w.wake.Signal()
	w.mu.Unlock()
}

// copyTail copies records from the old file up to end.
func (c *compaction) copyTail(from io.ReaderAt, end int64) *data.Error {
	buf := make([]byte, 1<<18)
	for c.copied < end {
		n := min(int64(len(buf)), end-c.copied)
		if _, err := from.ReadAt(buf[:n], c.copied); err != nil {
			return data.IOErrorf(err, "%s: read failed", c.out.name)
		}
		if err := c.out.append(buf[:n]); err != nil {
			return err
		}
		c.copied += n
	}
	return nil
}

func (w *Writer) writeSnapshot(c *compaction) *data.Error {
	w.mu.Lock()
	tmp, opts := w.log.path+".tmp", w.opts
	w.mu.Unlock()
	if c.exclusive {
		tmp = w.log.path + ".new" // a compaction may be writing the other one
	}
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return data.IOErrorf(err, "failed to remove %s", tmp)
	}
	out, err := openLog(tmp, false, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	c.out = out
	return c.base.write(out, c, opts)
}

// base is the beginning of a new file.
type base interface {
	write(out *Log, c *compaction, opts Options) *data.Error
}

type standaloneBase struct{}

// write writes the schema and the snapshot.
func (standaloneBase) write(out *Log, c *compaction, opts Options) *data.Error {
	schema := c.schema.JSON()
	out.magic = MagicStandalone
	if err := out.append(Frame(nil, out.magic, schema.Append(nil))); err != nil {
		return err
	}
	return out.appendStream(func(write func([]byte) error) error {
		return encodeContents(c.schema, c.rows, c.comment, c.wall, opts, write)
	})
}

// streamDigits is the width of the length in the header of a record that is
// written before its length is known; readers accept leading zeros.
const streamDigits = 12

// appendStream writes one record whose content comes in pieces.
func (l *Log) appendStream(produce func(write func([]byte) error) error) *data.Error {
	hsize := int64(len(header(nil, l.magic, 0, streamDigits, make([]byte, sha1.Size))))
	h := sha1.New()
	w := bufio.NewWriterSize(io.NewOffsetWriter(l.f, l.off+hsize), 1<<20)
	size := 0
	write := func(b []byte) error {
		h.Write(b)
		size += len(b)
		_, err := w.Write(b)
		return err
	}
	err := produce(write)
	if err == nil {
		err = write([]byte{'\n'})
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		_, err = l.f.WriteAt(header(nil, l.magic, size, streamDigits, h.Sum(nil)), l.off)
	}
	if err != nil {
		return data.IOErrorf(err, "%s: write failed", l.name)
	}
	l.off += hsize + int64(size)
	return nil
}

func (c *compaction) discard() {
	if c.out != nil {
		c.out.f.Close()
		os.Remove(c.out.path)
		c.out = nil
	}
	c.rows = nil
}

// swap puts the new file in the place of the old one.
func (w *Writer) swap(c *compaction) {
	if c.err == nil && c.gen != w.gen {
		c.err = data.Errorf("canceled", "%s: the database was converted during its compaction", w.log.name)
	}
	w.busy = true
	w.mu.Unlock()
	if c.err == nil && c.copied < w.log.off {
		if c.err = c.copyTail(w.log.f, w.log.off); c.err == nil {
			c.err = c.out.Sync()
		}
	}
	if c.err == nil {
		if err := os.Rename(c.out.path, w.log.path); err != nil {
			c.err = data.IOErrorf(err, "failed to rename \"%s\" to \"%s\"", c.out.path, w.log.path)
		}
	}
	w.mu.Lock()
	w.busy = false
	if c.err != nil {
		c.discard()
	} else {
		old := w.log.f
		w.log.f, w.log.off, w.log.synced = c.out.f, c.out.off, c.out.off
		w.log.dirty, w.log.broken = false, false
		w.based, w.end, w.records = c.out.off, c.out.off, 0
		c.rows = nil
		w.mu.Unlock()
		old.Close()
		syncDir(w.log.path)
		w.mu.Lock()
	}
	w.results = append(w.results, Result{c.token, c.err})
	w.notify()
}

// format is how records stand in the file.
type format interface {
	// frame appends a transaction's record.
	frame(dst, body []byte, id data.UUID) []byte
	// begin appends what is to be written when the file has been opened.
	begin(dst []byte) []byte
	// mark describes the state so far, for the beginning of a new file. An id
	// is that of other contents, which make one more step.
	mark(id data.UUID) base
	alwaysDurable() bool
	// save and restore undo frame.
	save() any
	restore(any)
}

type standalone struct{}

func (standalone) frame(dst, body []byte, _ data.UUID) []byte {
	return Frame(dst, MagicStandalone, body)
}
func (standalone) begin(dst []byte) []byte { return dst }
func (standalone) mark(data.UUID) base     { return standaloneBase{} }
func (standalone) alwaysDurable() bool     { return false }
func (standalone) save() any               { return nil }
func (standalone) restore(any)             {}
