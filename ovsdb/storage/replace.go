package storage

import (
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
)

// Replacement is a new file for contents that no committed record leads to,
// such as those of a converted database.
type Replacement struct{ c compaction }

// Prepare begins a replacement; id is the transaction id of its contents. Most
// of the work is done here, by any goroutine, if write is set and the format
// lets it: what Replace does then takes no longer than a flush. Only one
// replacement may be under way.
func (w *Writer) Prepare(schema *data.Schema, snap *db.Snapshot, comment string, wall int64, id data.UUID, write bool) (*Replacement, *data.Error) {
	r := &Replacement{compaction{schema: schema, snap: snap, comment: comment, wall: wall, id: id, exclusive: true}}
	if _, ok := w.format.(standalone); !ok || !write {
		return r, nil
	}
	r.c.base = standaloneBase{}
	err := w.writeSnapshot(&r.c)
	if err == nil {
		err = r.c.out.Sync()
	}
	if err != nil {
		r.Discard()
		return nil, err
	}
	r.c.ready = true
	return r, nil
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
	r.c.token, r.c.snap = token, snap
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
