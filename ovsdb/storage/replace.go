package storage

import (
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
)

// Replacement is a new file for contents that no committed record leads to,
// such as those of a converted database.
type Replacement struct{ c compaction }

// Convert makes tables of another schema with the rows of a snapshot, and
// prepares to put them in the place of the file; id is the transaction id of
// the new contents. Any goroutine may call it. If write is set and the format
// lets it, it also writes the new file, so that what Replace does then takes no
// longer than a flush. Only one replacement may be under way.
func (w *Writer) Convert(s *db.Snapshot, schema *data.Schema, comment string, wall int64, id data.UUID, write bool) (*Conversion, *Replacement, *data.Error) {
	to := newConversion(s, schema)
	r := &Replacement{compaction{schema: schema, rows: to, comment: comment, wall: wall, id: id, exclusive: true}}
	if _, ok := w.format.(standalone); !ok || !write {
		if _, err := to.build(); err != nil {
			return nil, nil, err
		}
		to.from = nil
		return to, r, nil
	}
	written := make(chan *data.Error, 1)
	go func() { written <- w.prepare(&r.c) }()
	adjusted, err := to.build()
	if e := <-written; err == nil {
		err = e
	}
	if err == nil && adjusted {
		r.c.discard()
		r.c.rows = snapshot{to.To.Snapshot()}
		err = w.prepare(&r.c)
	}
	to.from = nil
	if err != nil {
		r.Discard()
		return nil, nil, err
	}
	return to, r, nil
}

// prepare writes a new file while the old one is in use.
func (w *Writer) prepare(c *compaction) *data.Error {
	c.base = standaloneBase{}
	err := w.writeSnapshot(c)
	if err == nil {
		err = c.out.Sync()
	}
	c.ready = err == nil
	return err
}

// Append adds a transaction to the prepared contents.
func (r *Replacement) Append(body []byte) {
	if len(body) > 0 {
		r.c.records = append(r.c.records, body)
	}
}

// Discard ends a replacement that is not wanted any more.
func (r *Replacement) Discard() { r.c.discard() }

// Replace puts a replacement in the place of the file; snap is its contents
// with all that was appended. A Result with the token follows. Later commits
// wait for it, and after a failure stand still until Reset.
func (w *Writer) Replace(r *Replacement, snap *db.Snapshot, token any) {
	r.c.token, r.c.rows = token, snapshot{snap}
	w.rebase(&r.c)
}

// replace finishes the new file while commits wait: they are meant for the new
// contents and make no sense in the old file. If it fails they fail as well.
func (w *Writer) replace(c *compaction) {
	w.busy = true
	w.mu.Unlock()
	if !c.ready {
		c.err = w.writeSnapshot(c)
	} else if len(c.records) > 0 {
		var recs []byte
		for _, body := range c.records {
			recs = w.format.frame(recs, body, c.id)
		}
		c.err = c.out.append(recs)
	}
	if c.err == nil {
		c.err = c.out.Sync()
	}
	w.mu.Lock()
	w.swap(c)
	w.failed = c.err != nil
}
