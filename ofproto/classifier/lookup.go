package classifier

import (
	"math"
	"slices"

	"sluice/dpif/flow"
)

// Lookup returns the rule of the highest priority that matches f and is visible in
// version, or nil.  Among equal priorities any may be returned.  The bits of f that
// decided the result are added to wc (nil: nobody asks, and the lookup is faster).
//
// f.ConjID changes during the call and is restored.
func (c *Classifier) Lookup(version uint64, f *flow.Flow, wc *flow.Mask) *Rule {
	return c.lookup(version, f, wc, true)
}

func (c *Classifier) lookup(version uint64, f *flow.Flow, wc *flow.Mask, conjunctive bool) *Rule {
	var hard *Rule
	hardPri := math.MinInt
	var stub [16]*conjSet
	soft := stub[:0]
	softPri := math.MinInt
	var ctx [MaxTries]trieCtx

	tries := *c.tries.Load()
	for _, e := range *c.subtables.Load() {
		if e.maxPriority <= hardPri {
			break
		}
		r := e.s.match(version, f, &ctx, tries, wc)
		if r == nil || int(r.priority) <= hardPri {
			continue
		}
		if r.conj == nil {
			hard, hardPri = r, int(r.priority)
		} else if conjunctive {
			soft = append(soft, r.conj)
			softPri = max(softPri, int(r.priority))
		}
	}
	if hardPri >= softPri {
		return hard
	}
	return c.conjunctive(version, f, wc, hard, slices.Clone(soft))
}

// match returns the rule of s that matches, un-wildcarding what was looked at.
func (s *subtable) match(version uint64, f *flow.Flow, ctx *[MaxTries]trieCtx, tries []*trieIndex, wc *flow.Mask) *Rule {
	w := f.Words()
	if wc == nil {
		return s.visible(version, fold32(s.mask.hashRange(w, 0, len(s.mask.idx), 0)), w)
	}
	h, start, from := uint64(0), 0, 0
	for i := 0; i < s.nStages; i++ {
		end := int(s.stage[i])
		if s.skip(ctx, tries, from, int(s.ends[i]), f, wc) {
			s.mask.foldInto(wc.Words(), 0, start)
			return nil
		}
		h = s.mask.hashRange(w, start, end, h)
		start, from = end, int(s.ends[i])
		if !s.indices[i].has(fold32(h)) {
			s.mask.foldInto(wc.Words(), 0, start)
			return nil
		}
	}
	if s.skip(ctx, tries, from, nStageMax, f, wc) {
		s.mask.foldInto(wc.Words(), 0, start)
		return nil
	}
	h = s.mask.hashRange(w, start, len(s.mask.idx), h)
	r := s.visible(version, fold32(h), w)
	if r == nil && s.portsLen != 0 {
		s.foldPorts(f, wc)
		return nil
	}
	s.mask.foldInto(wc.Words(), 0, len(s.mask.idx))
	return r
}

// visible returns the first visible rule with the given hash and values.
func (s *subtable) visible(version uint64, hash uint32, w *flow.Words) *Rule {
	r := s.rules.first(hash, s.mask, w)
	for r != nil && !r.VisibleIn(version) {
		r = r.next.Load()
	}
	return r
}

// foldPorts un-wildcards all that s matches on, but of the transport ports only as
// many leading bits as tell the packet apart from all rules.
func (s *subtable) foldPorts(f *flow.Flow, wc *flow.Mask) {
	oldSrc, oldDst := wc.TpSrc, wc.TpDst
	s.mask.foldInto(wc.Words(), 0, len(s.mask.idx))
	mask := s.portsMask()
	var plens bits128
	n := s.ports.lookup(portsOf(f).and(mask), 32, &plens)
	mask = mask.and(prefix128(n))
	wc.TpSrc = uint16(mask.hi>>48) | oldSrc
	wc.TpDst = uint16(mask.hi>>32) | oldDst
}

// portsMask returns the mask of the transport ports.
func (s *subtable) portsMask() bits128 {
	var m flow.Mask
	m.Words()[portsWord] = s.mask.word(s.mask.words, portsWord)
	return portsOf(m.AsFlow())
}

// portsWord is the word that holds the transport ports.
const portsWord = flow.EndL3

// conjMatch counts the clauses of one conjunction that match: bit i is set when
// clause i does or does not exist.
type conjMatch struct {
	id      uint32
	clauses uint64
}

func newConjSet(r *Rule, conj []Conjunction) *conjSet {
	s := &conjSet{rule: r, conj: slices.Clone(conj), minNClauses: math.MaxInt}
	for _, c := range conj {
		s.minNClauses = min(s.minNClauses, int(c.NClauses))
	}
	return s
}

// complete adds s's clauses to ms and returns the id of a conjunction that has all
// its clauses now, given that at most maxN rules take part.
func (s *conjSet) complete(maxN int, ms *[]conjMatch) (id uint32, ok bool) {
	if maxN < s.minNClauses {
		return 0, false
	}
	for _, c := range s.conj {
		if int(c.NClauses) > maxN {
			continue
		}
		i := slices.IndexFunc(*ms, func(m conjMatch) bool { return m.id == c.ID })
		if i < 0 {
			i = len(*ms)
			*ms = append(*ms, conjMatch{c.ID, ^uint64(0) << (c.NClauses & 63)})
		}
		(*ms)[i].clauses |= 1 << (c.Clause & 63)
		if (*ms)[i].clauses == ^uint64(0) {
			return c.ID, true
		}
	}
	return 0, false
}

// conjunctive decides between a hard match (or nil) and the conjunctions that the
// rules in soft are parts of.
func (c *Classifier) conjunctive(version uint64, f *flow.Flow, wc *flow.Mask, hard *Rule, soft []*conjSet) *Rule {
	hardPri := math.MinInt
	if hard != nil {
		hardPri = int(hard.priority)
	}
	var matches []conjMatch
	for {
		soft = slices.DeleteFunc(soft, func(s *conjSet) bool { return s == nil || int(s.rule.priority) <= hardPri })
		if len(soft) == 0 {
			return hard
		}
		softPri, n := math.MinInt, 0
		for _, s := range soft {
			switch p := int(s.rule.priority); {
			case p > softPri:
				softPri, n = p, 1
			case p == softPri:
				n++
			}
		}
		matches = matches[:0]
		for _, s := range soft {
			if int(s.rule.priority) != softPri {
				continue
			}
			id, ok := s.complete(n, &matches)
			if !ok {
				continue
			}
			saved := f.ConjID
			f.ConjID = id
			r := c.lookup(version, f, wc, false)
			f.ConjID = saved
			if r != nil {
				return r
			}
		}
		// None of that priority.  Lower rules with the same match take their place.
		for i, s := range soft {
			if int(s.rule.priority) != softPri {
				continue
			}
			soft[i] = nil
			if r := s.rule.nextVisible(version); r != nil {
				if r.conj != nil {
					soft[i] = r.conj
				} else if int(r.priority) > hardPri {
					hard, hardPri = r, int(r.priority)
				}
			}
		}
	}
}
