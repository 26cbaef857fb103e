package bridge

import "sluice/internal/poll"

// hostStatsMs is how often the host's statistics are read.
const hostStatsMs = 5000

// hostStats keeps the statistics column of the Open_vSwitch row up to date, while
// other_config:enable-statistics asks for that.
type hostStats struct {
	enabled bool
	at      int64 // ms, when they are read next
	due     bool  // latest is to be written
	latest  map[string]string
	reading chan map[string]string // nil: nobody reads
	done    *poll.Event            // set when reading has something
}

func (h *hostStats) run(b *Bridges, now int64) {
	root := b.env.DB.Root()
	enabled := mapBool(rootConfig(root), "enable-statistics", false) && b.env.HostStats != nil
	if enabled != h.enabled {
		h.enabled, h.at = enabled, now
		if !enabled {
			h.latest, h.due = nil, true
		}
	}
	select {
	case m := <-h.reading:
		h.reading = nil
		h.done.Reset()
		if enabled {
			h.latest, h.due = m, true
		}
	default:
	}
	if enabled && h.reading == nil && now >= h.at {
		h.at = now + hostStatsMs
		h.read(b.env.HostStats)
	}
}

// read has the statistics read: a file system may keep whoever asks waiting.
func (h *hostStats) read(collect func() map[string]string) {
	if h.done == nil {
		h.done = poll.NewEvent()
	}
	// One result fits, so that the reader never waits for us.
	c, done := make(chan map[string]string, 1), h.done
	h.reading = c
	go func() {
		c <- collect()
		done.Set()
	}()
}

func (h *hostStats) wait(s *poll.Set) {
	switch {
	case h.reading != nil:
		h.done.Wait(s)
	case h.enabled:
		s.Timer(h.at)
	}
}

// hostStatistics writes what was read.
func (w *statusWriter) hostStatistics(b *Bridges) {
	if root := b.env.DB.Root(); w.host.due && root != nil {
		root.SetStatistics(w.txn, w.host.latest)
		w.host.due = false
	}
}
