package bond

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
)

// Buckets is how many values the hash of a frame has.
const Buckets = 256

const mask = Buckets - 1

// entry is what a bond keeps for one hash value.
type entry struct {
	value  int
	member *member // nil: nobody carries it
	bytes  uint64  // carried lately; halved whenever load is moved
	// credited is how much of what others counted is in bytes already.
	credited uint64
}

// Load counts the bytes that the hash values carry.
//
// Thread-safety: any thread adds, the control loop takes.
type Load struct {
	bytes [Buckets]atomic.Uint64
}

// Add counts bytes of a hash value.
func (l *Load) Add(bucket int, bytes uint64) { l.bytes[bucket&mask].Add(bytes) }

// reset forgets who carries what.
func (b *Bond) reset(now int64) {
	b.hash = nil
	for i := range b.load.bytes {
		b.load.bytes[i].Store(0)
	}
	if b.cfg.Mode == ActiveBackup || b.fallsBack() {
		return
	}
	b.hash = new([Buckets]entry)
	for i := range b.hash {
		b.hash[i].value = i
	}
	b.deal = true
	b.nextRebalance = now + int64(b.cfg.RebalanceMs)
}

// dealOut gives the entries that carry nothing, and those of members that cannot
// carry them any more, to the members that can.
func (b *Bond) dealOut() {
	b.deal = false
	if b.hash == nil {
		return
	}
	b.takeLoad()
	var enabled []*member
	for _, m := range b.members {
		if m.enabled {
			enabled = append(enabled, m)
		}
	}
	for i := range b.hash {
		e := &b.hash[i]
		if e.bytes != 0 && e.member != nil && e.member.enabled {
			continue
		}
		e.member = b.active
		if len(enabled) > 0 {
			e.member = enabled[b.dealt%len(enabled)]
			b.dealt++
		}
	}
	b.changed = true
}

// takeLoad adds to the entries what was counted since the last call.
func (b *Bond) takeLoad() {
	for i := range b.hash {
		b.hash[i].bytes += b.load.bytes[i].Swap(0)
	}
	if !b.mayRecirc() || b.counted == nil {
		return
	}
	totals := b.counted()
	for i := range b.hash {
		e := &b.hash[i]
		if totals[i] < e.credited {
			e.credited = 0 // counting began anew
		}
		e.bytes += totals[i] - e.credited
		e.credited = totals[i]
	}
}

// Output says which port carries a hash value after the datapath computed it.
type Output struct {
	OFPort uint32
	OK     bool // false: none
}

// Outputs returns who carries each hash value, as of the last Run; ok is false unless
// the datapath computes the hash.
func (b *Bond) Outputs() (out [Buckets]Output, ok bool) {
	if !b.mayRecirc() || b.hash == nil {
		return out, false
	}
	for i := range b.hash {
		if m := b.hash[i].member; m != nil {
			out[i] = Output{m.ofport, true}
		}
	}
	return out, true
}

// LBOutput reports that the datapath also chooses the member.
func (b *Bond) LBOutput() bool { return b.mayRecirc() && b.cfg.LBOutput }

// dueToRebalance reports that it is time to move load.
func (b *Bond) dueToRebalance(now int64) bool {
	return b.balanced() && b.hash != nil && now >= b.nextRebalance
}

// minOverload is the difference in bytes below which nothing is moved.
const minOverload = 100000

// Rebalance moves load from busy members to idle ones, if it is time.  Call it when
// what the datapath forwarded is counted.
func (b *Bond) Rebalance(now int64) {
	if !b.dueToRebalance(now) {
		return
	}
	b.nextRebalance = now + int64(b.cfg.RebalanceMs)
	b.takeLoad()
	busy := b.weigh()
	b.logLoad(busy)
	for len(busy) > 1 {
		from, to := busy[0], busy[len(busy)-1]
		over := from.bytes - to.bytes
		if over < to.bytes>>5 || over < minOverload {
			break
		}
		moved := from.surplus(to.bytes)
		if len(moved) == 0 {
			busy = busy[1:] // nothing of it can be moved to any good
			continue
		}
		for _, e := range moved {
			b.shift(e, to)
		}
		from.entries = slices.DeleteFunc(from.entries, func(e *entry) bool { return slices.Contains(moved, e) })
		byLoad(busy)
	}
	// An average with exponential decay: what was carried long ago counts little.
	for i := range b.hash {
		b.hash[i].bytes /= 2
	}
}

// weigh sums up what the members carry, and returns those that are enabled, the
// busiest first.
func (b *Bond) weigh() (busy []*member) {
	for _, m := range b.members {
		m.bytes, m.entries = 0, nil
		if m.enabled {
			busy = append(busy, m)
		}
	}
	for i := range b.hash {
		if e := &b.hash[i]; e.member != nil && e.bytes > 0 {
			e.member.bytes += e.bytes
			e.member.entries = append(e.member.entries, e)
		}
	}
	for _, m := range b.members {
		slices.SortStableFunc(m.entries, func(x, y *entry) int { return cmp.Compare(y.bytes, x.bytes) })
	}
	byLoad(busy)
	return busy
}

func byLoad(list []*member) {
	slices.SortStableFunc(list, func(x, y *member) int { return cmp.Compare(y.bytes, x.bytes) })
}

// surplus returns entries of m to be moved to a member that carries other bytes: about
// half of the difference, and none if that would not bring the two closer together by
// a tenth of it.
func (m *member) surplus(other uint64) (out []*entry) {
	if len(m.entries) < 2 {
		return nil
	}
	ideal := (m.bytes+other)/2 - other
	step := ideal / 10
	moved := uint64(0)
	for _, e := range m.entries {
		if moved+e.bytes <= ideal {
			out = append(out, e)
			moved += e.bytes
		}
		if ideal-moved < step {
			break // moving the small ones around would not pay
		}
	}
	if len(out) == 0 {
		// All are too large; the smallest is the closest.
		last := m.entries[len(m.entries)-1]
		out, moved = append(out, last), last.bytes
	}
	low := min(m.bytes-moved, other+moved)
	if low <= other || low-other < step {
		return nil
	}
	return out
}

// shift moves an entry.
func (b *Bond) shift(e *entry, to *member) {
	from := e.member
	log.Info("bond %s: shift %dkB of load (with hash %d) from %s to %s (now carrying %dkB and %dkB load, respectively)",
		b.cfg.Name, e.bytes/1024, e.value, from.name, to.name, (from.bytes-e.bytes)/1024, (to.bytes+e.bytes)/1024)
	from.bytes -= e.bytes
	to.bytes += e.bytes
	e.member = to
	b.changed = true
}

func (b *Bond) logLoad(busy []*member) {
	if !log.DbgEnabled() {
		return
	}
	var s []byte
	for i, m := range busy {
		if i > 0 {
			s = append(s, ',')
		}
		s = fmt.Appendf(s, " %s %dkB", m.name, m.bytes/1024)
		for n, e := range m.entries {
			s = fmt.Appendf(s, "%sh%d: %dkB", choose(n == 0, " (", " + "), e.value, e.bytes/1024)
		}
		if len(m.entries) > 0 {
			s = append(s, ')')
		}
	}
	log.Dbg("bond %s:%s", b.cfg.Name, s)
}
