package monitor

import (
	"sort"

	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
)

// maxHistory is how many commits are remembered at most.
const maxHistory = 100

// History is the latest commits of a database.
type History struct {
	commits []*Commit
	sizes   []int // atoms, by commit
	atoms   int
	// base is the transaction id before the first remembered commit.
	base data.UUID
}

// Reset forgets everything; id is the present state's transaction id.
func (h *History) Reset(id data.UUID) { *h = History{base: id} }

// Last is the id of the latest transaction.
func (h *History) Last() data.UUID {
	if n := len(h.commits); n > 0 {
		return h.commits[n-1].ID
	}
	return h.base
}

// Add remembers a commit of the given size, and forgets old ones so that the
// history stays smaller than the database, which has the given size.
func (h *History) Add(c *Commit, atoms, dbAtoms int) {
	h.commits = append(h.commits, c)
	h.sizes = append(h.sizes, atoms)
	h.atoms += atoms
	for len(h.commits) > maxHistory || len(h.commits) > 1 && h.atoms > dbAtoms {
		h.base = h.commits[0].ID
		h.atoms -= h.sizes[0]
		h.commits[0] = nil
		h.commits, h.sizes = h.commits[1:], h.sizes[1:]
	}
}

// Len is the number of commits remembered, Atoms their size.
func (h *History) Len() int { return len(h.commits) }

// Atoms is the number of atoms in the commits remembered.
func (h *History) Atoms() int { return h.atoms }

// Since composes, for a client that knows the transaction with the given id,
// what it missed; false if the id is not remembered. Commits up to that
// numbered seq count.
func (h *History) Since(m *Monitor, id data.UUID, seq uint64) ([]byte, bool) {
	from := -1
	if id == h.base {
		from = 0
	}
	for i, c := range h.commits {
		if c.ID == id {
			from = i + 1
		}
	}
	if from < 0 || id.IsZero() {
		return nil, false
	}
	d := Monitor{shape: m.shape, where: m.where}
	for _, c := range h.commits[from:] {
		if c.Seq <= seq {
			d.hold(c)
		}
	}
	if d.held == nil {
		return []byte("{}"), true
	}
	if text := d.composeHeld(d.held.order); text != nil {
		return text, true
	}
	return []byte("{}"), true
}

func sortChanges(cs []*db.Change) {
	sort.SliceStable(cs, func(i, j int) bool { return cs[i].Table.Schema.Index < cs[j].Table.Schema.Index })
}

func sortHeld(hs []*heldRow) {
	sort.SliceStable(hs, func(i, j int) bool { return hs[i].table < hs[j].table })
}

// sorted lists the shapes in an order that does not depend on chance.
func (g *Registry) sorted() []*shape {
	if g.order != nil || len(g.shapes) == 0 {
		return g.order
	}
	out := make([]*shape, 0, len(g.shapes))
	for _, sh := range g.shapes {
		out = append(out, sh)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].key < out[j].key })
	g.order = out
	return out
}
