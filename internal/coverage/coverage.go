// Package coverage counts how often interesting places in the code are
// reached. A package declares a counter with Open vSwitch's name and bumps it:
//
//	var cXlate = coverage.New("xlate_actions")
//	...
//	cXlate.Inc()
//
// cmd/internal/daemon registers coverage/show and coverage/read-counter and
// calls Run from the main loop so that the averages move.
//
// Thread-safety: everything may be called by any goroutine; a count is one
// atomic addition on a cache line of its own.
package coverage

import (
	"fmt"
	"hash/fnv"
	"math"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// RunInterval is the width, in ms, of one slot of the averages.
	RunInterval = 5000
	minSlots    = 60 * 1000 / RunInterval
	hourSlots   = 60
)

// Counter counts one kind of event.
type Counter struct {
	n    atomic.Uint64
	_    [56]byte
	name string
	// The averages, guarded by registry.mu: totals at the last Run, counts of
	// the last minute by slot, counts of the last hour by minute.
	last   uint64
	minute [minSlots]uint64
	hour   [hourSlots]uint64
}

var registry struct {
	mu       sync.Mutex
	counters map[string]*Counter
	nextRun  int64
	idx      int
	running  bool
}

// New returns the counter of that name, which packages may share.
func New(name string) *Counter {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if registry.counters == nil {
		registry.counters = map[string]*Counter{}
	}
	c := registry.counters[name]
	if c == nil {
		c = &Counter{name: name}
		registry.counters[name] = c
	}
	return c
}

// Lookup returns the counter of that name, or nil.
func Lookup(name string) *Counter {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	return registry.counters[name]
}

// Inc counts one event.
func (c *Counter) Inc() { c.n.Add(1) }

// Add counts n events.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// Total returns the count since the program began.
func (c *Counter) Total() uint64 { return c.n.Load() }

// Name returns the name that coverage/show prints.
func (c *Counter) Name() string { return c.name }

// Run moves the averages. The main loop calls it every turn.
func Run(now int64) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if !registry.running {
		registry.running = true
		registry.nextRun = now + RunInterval
	}
	if now < registry.nextRun {
		return
	}
	// A late call spreads what it finds over the slots that it missed.
	slots := int(min((now-registry.nextRun)/RunInterval+1, minSlots*hourSlots))
	for _, c := range registry.counters {
		c.spread(registry.idx, slots)
	}
	registry.idx = (registry.idx + slots) % (minSlots * hourSlots)
	registry.nextRun = now + RunInterval
}

func (c *Counter) spread(idx, slots int) {
	total := c.n.Load()
	count := total - c.last
	c.last = total
	share := count / uint64(slots)
	for j := range slots {
		m, h := idx%minSlots, idx/minSlots
		c.minute[m] = share
		if j == slots-1 {
			c.minute[m] += count % uint64(slots)
		}
		if m == 0 {
			c.hour[h] = 0
		}
		c.hour[h] += c.minute[m]
		idx = (idx + 1) % (minSlots * hourSlots)
	}
}

// Show returns what coverage/show prints, one line an element.
func Show() []string {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	all := make([]*Counter, 0, len(registry.counters))
	for _, c := range registry.counters {
		all = append(all, c)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	lines := []string{fmt.Sprintf("Event coverage, avg rate over last: %d seconds, last minute, last hour,  hash=%08x:",
		RunInterval/1000, rankHash(all))}
	last := (registry.idx - 1 + minSlots*hourSlots) % minSlots
	never := 0
	for _, c := range all {
		total := c.Total()
		if total == 0 {
			never++
			continue
		}
		lines = append(lines, fmt.Sprintf("%-24s %5.1f/sec %9.3f/sec %13.4f/sec   total: %d", c.name,
			float64(c.minute[last])*1000/RunInterval, sum(c.minute[:])/60, sum(c.hour[:])/3600, total))
	}
	return append(lines, fmt.Sprintf("%d events never hit", never))
}

func sum(a []uint64) float64 {
	var s uint64
	for _, v := range a {
		s += v
	}
	return float64(s)
}

// rankHash is equal for two moments with the same counters in the same order
// of frequency, which is how readers of logs recognise a repeated pattern.
func rankHash(byName []*Counter) uint32 {
	type ranked struct {
		name  string
		total uint64
	}
	hit := make([]ranked, 0, len(byName))
	for _, c := range byName {
		if n := c.Total(); n > 0 {
			hit = append(hit, ranked{c.name, n})
		}
	}
	sort.SliceStable(hit, func(i, j int) bool { return hit[i].total > hit[j].total })
	var b strings.Builder
	prev := uint64(math.MaxUint64)
	for _, r := range hit {
		if r.total != prev {
			b.WriteByte('\n')
			prev = r.total
		}
		b.WriteString(r.name)
		b.WriteByte(' ')
	}
	h := fnv.New32a()
	h.Write([]byte(b.String()))
	return h.Sum32()
}
