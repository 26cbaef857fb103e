package table

import (
	"math"

	"sluice/dpif/flow"
	"sluice/ofproto/classifier"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/ofp/oferr"
)

const (
	// versionMax sees everything that is not going to be removed, changes of a
	// running transaction included.
	versionMax = math.MaxUint64 - 1

	anyPort  = flow.OFPNone
	anyGroup = ofp.GroupAny
)

// Criteria select rules.
type Criteria struct {
	TableID    uint8 // ofp.TableAll: all
	Cookie     uint64
	CookieMask uint64
	OutPort    uint32 // flow.OFPNone: any
	OutGroup   uint32 // ofp.GroupAny: any
	Hidden     bool   // hidden rules too
	WritableOK bool   // only rules that controllers may change (an error if only others match)
}

// admits reports whether r fits c, its match apart.
func (c *Criteria) admits(r *Rule) bool {
	return (r.Cookie^c.Cookie)&c.CookieMask == 0 &&
		(c.OutPort == anyPort || r.OutputsTo(c.OutPort)) &&
		(c.OutGroup == anyGroup || r.UsesGroup(c.OutGroup)) &&
		(c.Hidden || !r.IsHidden())
}

// tableRange returns the tables that a table id stands for.
func (s *Set) tableRange(id uint8) []*Table {
	if id != ofp.TableAll {
		return s.tables[id : id+1]
	}
	for i, t := range s.tables {
		if t.hidden {
			return s.tables[:i]
		}
	}
	return s.tables[:]
}

// ValidTable reports whether id is a table, or stands for all.
func ValidTable(id uint8) bool { return id == ofp.TableAll || id < NTables }

// collect returns the rules that fit c and match target loosely (nil: any match),
// in dump order.
func (s *Set) collect(c *Criteria, target *classifier.Rule, version uint64) ([]*Rule, error) {
	var rules []*Rule
	var buf []*classifier.Rule
	readonly := false
	for _, t := range s.tableRange(c.TableID) {
		if t.cls.Len() == 0 {
			continue
		}
		buf = t.cls.Collect(buf[:0], target, version)
		for _, cr := range buf {
			r := fromClassifier(cr)
			switch {
			case !c.admits(r):
			case c.WritableOK && t.readonly:
				readonly = true
			default:
				rules = append(rules, r)
			}
		}
	}
	if len(rules) == 0 && readonly {
		return nil, oferr.OFPBRC_EPERM
	}
	return rules, nil
}

// collectStrict returns the rules that fit c and have target's match and priority.
func (s *Set) collectStrict(c *Criteria, target *classifier.Rule) ([]*Rule, error) {
	var rules []*Rule
	readonly := false
	for _, t := range s.tableRange(c.TableID) {
		cr := t.cls.Exact(target, versionMax)
		if cr == nil {
			continue
		}
		switch r := fromClassifier(cr); {
		case !c.admits(r):
		case c.WritableOK && t.readonly:
			readonly = true
		default:
			rules = append(rules, r)
		}
	}
	if len(rules) == 0 && readonly {
		return nil, oferr.OFPBRC_EPERM
	}
	return rules, nil
}

// Collect returns the rules that fit c and match m loosely, by table and then in
// the order of dumps.  Mu must be held; the rules stay readable after that.
func (s *Set) Collect(c *Criteria, m *match.Match) ([]*Rule, error) {
	if !ValidTable(c.TableID) {
		return nil, oferr.OFPBRC_BAD_TABLE_ID
	}
	if m == nil {
		return s.collect(c, nil, versionMax)
	}
	var target classifier.Rule
	target.Init(&m.Flow, &m.Mask, 0)
	return s.collect(c, &target, versionMax)
}

// All returns every rule, hidden ones included.  Mu must be held.
func (s *Set) All() []*Rule {
	var rules []*Rule
	var buf []*classifier.Rule
	for _, t := range s.tables {
		buf = t.cls.Collect(buf[:0], nil, versionMax)
		for _, cr := range buf {
			rules = append(rules, fromClassifier(cr))
		}
	}
	return rules
}
