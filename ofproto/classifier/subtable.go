package classifier

import (
	"math"
	"sync"

	"sluice/dpif/flow"
)

// subtable holds the rules that have one mask.
type subtable struct {
	mask *Mask
	// stage[i] is the end, in mask.idx, of stage i; the last one is len(idx).
	stage    [4]uint8
	nStages  int
	ends     [4]uint8 // the stage of a lookup where each of them ends
	indices  [3]countTable
	triePlen [MaxTries]uint8
	ports    trie // values of the transport ports
	portsLen int  // length of the shortest prefix that covers the mask of the ports
	rules    ruleTable

	// Only the writer looks at these.
	maxPriority    int
	maxCount       int
	oldest, newest *Rule
}

// newSubtable makes an empty subtable for mask.
func newSubtable(mask *Mask, tries []*trieIndex) *subtable {
	s := &subtable{mask: mask}
	start := 0
	for end := uint8(1); end < nStageMax; end++ {
		n := start
		for n < len(mask.idx) && stageOf[mask.idx[n]] < end {
			n++
		}
		if n > start && n < len(mask.idx) {
			s.stage[s.nStages], s.ends[s.nStages] = uint8(n), end
			s.nStages++
			start = n
		}
	}
	s.stage[s.nStages], s.ends[s.nStages] = uint8(len(mask.idx)), nStageMax
	full := mask.Expand()
	for i, t := range tries {
		s.triePlen[i] = uint8(t.field.get(full.AsFlow()).prefixLen())
		if int(s.triePlen[i]) > t.field.nBits {
			s.triePlen[i] = uint8(t.field.nBits)
		}
	}
	s.portsLen = portsPrefix(portsOf(full.AsFlow()))
	return s
}

// portsOf returns both transport ports as one left-justified number.
func portsOf(f *flow.Flow) bits128 {
	return bits128{hi: uint64(f.TpSrc)<<48 | uint64(f.TpDst)<<32}
}

// portsPrefix returns the length of the shortest prefix that covers mask.
func portsPrefix(mask bits128) int {
	n := 0
	for v := mask.hi; v != 0; v <<= 1 {
		n++
	}
	return n
}

// index enters r, whose match no other rule of s has, into what lookups use.
func (s *subtable) index(r *Rule, tries []*trieIndex) {
	s.withFlow(r, func(f *flow.Flow) {
		for i, t := range tries {
			if s.triePlen[i] != 0 {
				t.insert(t.field.get(f), int(s.triePlen[i]))
			}
		}
		if s.portsLen != 0 {
			s.ports.insert(portsOf(f), s.portsLen)
		}
	})
	h, start := uint64(0), 0
	for i := 0; i < s.nStages; i++ {
		h = hashValues(r.values[start:s.stage[i]], h)
		start = int(s.stage[i])
		s.indices[i].inc(fold32(h))
	}
	s.rules.insert(r)
}

// flows are zero flows for withFlow.
var flows = sync.Pool{New: func() any { return new(flow.Flow) }}

// withFlow calls fn with r's values in a Flow, if s has tries at all.
func (s *subtable) withFlow(r *Rule, fn func(*flow.Flow)) {
	if s.portsLen == 0 && s.triePlen == [MaxTries]uint8{} {
		return
	}
	f := flows.Get().(*flow.Flow)
	w := f.Words()
	for i, x := range s.mask.idx {
		w[x] = r.values[i]
	}
	fn(f)
	for _, x := range s.mask.idx {
		w[x] = 0
	}
	flows.Put(f)
}

// unindex undoes index.
func (s *subtable) unindex(r *Rule, tries []*trieIndex) {
	s.withFlow(r, func(f *flow.Flow) {
		if s.portsLen != 0 {
			s.ports.remove(portsOf(f), s.portsLen)
		}
		for i, t := range tries {
			if s.triePlen[i] != 0 {
				t.remove(t.field.get(f), int(s.triePlen[i]))
			}
		}
	})
	h, start := uint64(0), 0
	for i := 0; i < s.nStages; i++ {
		h = hashValues(r.values[start:s.stage[i]], h)
		start = int(s.stage[i])
		s.indices[i].dec(fold32(h))
	}
	s.rules.replace(r, nil)
}

// chain puts r among the rules with its match: by falling priority, and after the
// rules of its own priority that are to be removed.
func (s *subtable) chain(head, r *Rule) {
	var prev *Rule
	it := head
	for it != nil && !(r.priority > it.priority || r.priority == it.priority && !it.ToBeRemoved()) {
		prev, it = it, it.next.Load()
	}
	r.next.Store(it)
	if prev == nil {
		s.rules.replace(head, r)
	} else {
		prev.next.Store(r)
	}
}

func (s *subtable) append(r *Rule) {
	r.older, r.newer = s.newest, nil
	if s.newest == nil {
		s.oldest = r
	} else {
		s.newest.newer = r
	}
	s.newest = r
}

func (s *subtable) unlink(r *Rule) {
	if r.older == nil {
		s.oldest = r.newer
	} else {
		r.older.newer = r.newer
	}
	if r.newer == nil {
		s.newest = r.older
	} else {
		r.newer.older = r.older
	}
	r.older, r.newer = nil, nil
}

// recount finds the maximum priority after its last rule went.
func (s *subtable) recount() {
	s.maxPriority, s.maxCount = math.MinInt, 0
	for r := s.oldest; r != nil; r = r.newer {
		switch p := int(r.priority); {
		case p > s.maxPriority:
			s.maxPriority, s.maxCount = p, 1
		case p == s.maxPriority:
			s.maxCount++
		}
	}
}
