package server

import (
	"math/rand/v2"

	"sluice/ovsdb/data"
	"sluice/ovsdb/storage"
)

// When the server compacts files by itself.
const (
	compactMin     = 10 * 60 * 1000      // ms after the last time, at least,
	compactSpread  = 10 * 60 * 1000      // and up to that much later,
	compactMax     = 24 * 60 * 60 * 1000 // at the latest
	compactRecords = 100
	compactSize    = 10 << 20
)

// compactor decides when to compact a database's file.
type compactor struct {
	min, max int64
	running  bool
	// waiting want another compaction after the one that runs.
	waiting []func(*data.Error)
}

func (c *compactor) init(now int64, w *storage.Writer) {
	c.min = now + compactMin + rand.Int64N(compactSpread)
	c.max = now + compactMax
}

// runCompactor starts a compaction if one is due.
func (d *database) runCompactor() {
	now := d.srv.now
	if d.w == nil || d.compactor.running || now < d.compactor.min {
		return
	}
	size, based, records := d.w.Stats()
	if now < d.compactor.max {
		if records < compactRecords || size <= compactSize || size <= 2*based {
			return
		}
	} else if records == 0 {
		return
	}
	d.compact(func(err *data.Error) {
		if err != nil {
			mainLog.Info("%s", err.Error())
		}
	})
}

// compact writes a new file with the present contents beside the old one, and
// calls done when it has taken its place.
func (d *database) compact(done func(*data.Error)) {
	if d.compactor.running {
		d.compactor.waiting = append(d.compactor.waiting, done)
		return
	}
	d.compactor.running = true
	start := d.srv.now
	d.w.Compact(d.schema, d.d.Snapshot(), "compacting database online", d.srv.clock.Wall(), func(err *data.Error) {
		d.compactor.running = false
		d.compactor.init(d.srv.now, d.w)
		mainLog.Dbg("%s: Database compaction took %dms", d.name, d.srv.now-start)
		done(err)
		d.compactAgain()
	})
}

// compactAgain serves who asked for a compaction while one was running.
func (d *database) compactAgain() {
	next := d.compactor.waiting
	if len(next) == 0 {
		return
	}
	d.compactor.waiting = nil
	d.compact(func(err *data.Error) {
		for _, fn := range next {
			fn(err)
		}
	})
}
