package table

import (
	"sync/atomic"

	"sluice/dpif/flow"
	"sluice/ofproto/classifier"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/field"
)

// Numbers of tables.
const (
	NTables        = 255 // 0..253, and the internal one
	NVisibleTables = 254
	TableInternal  = 254 // holds the switch's own rules
)

// Table is one flow table.
type Table struct {
	ID uint8

	cls  *classifier.Classifier
	miss atomic.Uint32 // ofp.TableMiss

	// Matched and Missed count lookups; translation counts into them.
	Matched, Missed atomic.Uint64

	// The rest belongs to the writer.

	name      string
	nameLevel int // who named it: 0 nobody, 1 OpenFlow, 2 the database
	hidden    bool
	readonly  bool
	nFlows    int // all that are not going to be removed
	nHidden   int // of these, those that controllers do not see
	maxFlows  uint32

	eviction uint8         // who wants it: evictOpenFlow, evictClient
	evictBy  []field.Sub   // the fields that make eviction groups
	groups   []*evictGroup // a heap, largest first
	byKey    map[string]*evictGroup

	vacancy        uint8 // 0: off, else the event that comes next (ofp.TableVacancy*)
	vacDown, vacUp uint8 // percent
}

// Lookup returns the rule that handles f at version, or nil; see
// classifier.Classifier.Lookup.  It does not count into Matched and Missed.
func (t *Table) Lookup(version uint64, f *flow.Flow, wc *flow.Mask) *Rule {
	if r := t.cls.Lookup(version, f, wc); r != nil {
		return fromClassifier(r)
	}
	return nil
}

// Miss returns what OpenFlow 1.1 and 1.2 table_mods want for packets that match
// nothing.
func (t *Table) Miss() ofp.TableMiss { return ofp.TableMiss(t.miss.Load()) }

// Name returns the table's name, "" if it has none.
func (t *Table) Name() string { return t.name }

// Len returns the number of rules, hidden ones included.
func (t *Table) Len() int { return t.cls.Len() }
