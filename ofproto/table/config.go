package table

import (
	"sluice/ofproto/classifier"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
)

// maxNameLen is the longest name that OpenFlow can carry.
const maxNameLen = 31

// Config is what the database wants of a table.
type Config struct {
	Name     string
	MaxFlows uint32 // ^0: no limit
	Evict    bool
	Groups   []field.Sub
	Prefixes []classifier.Prefix
}

// Configure sets a table up as the database wants.
func (s *Set) Configure(id uint8, c Config) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	t := s.tables[id]
	t.setName(c.Name, 2, c.Name != "")
	if t.readonly {
		return
	}
	eviction := t.eviction &^ evictClient
	if c.Evict {
		eviction |= evictClient
	}
	t.configureEviction(s, eviction, c.Groups)
	t.maxFlows = c.MaxFlows
	s.evictSurplus(t)
	t.cls.SetPrefixes(c.Prefixes)
}

// evictSurplus deletes the flows above a lowered limit.
func (s *Set) evictSurplus(t *Table) {
	var rules []*Rule
	for n := t.nFlows; uint64(n) > uint64(t.maxFlows); n-- {
		r := t.victim()
		if r == nil {
			break
		}
		t.evictRemove(r)
		rules = append(rules, r)
	}
	s.deleteRules(rules, ofp.RemovedEviction, Requester{})
}

// setName names the table on behalf of level; a higher level wins.
func (t *Table) setName(name string, level int, set bool) {
	if level < t.nameLevel {
		return
	}
	switch {
	case set:
		t.name = name[:min(len(name), maxNameLen)]
		t.nameLevel = level
	case t.nameLevel == level:
		t.name, t.nameLevel = "", 0
	}
}

// MaySetName reports whether OpenFlow may give the table a name.
func (t *Table) MaySetName(name string) bool {
	return t.nameLevel <= 1 || t.name == "" || name[:min(len(name), maxNameLen)] == t.name
}

// SetName names a table on behalf of OpenFlow.
func (s *Set) SetName(id uint8, name string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.tables[id].setName(name, 1, true)
}

// EvictionFlags are what eviction goes by.
const EvictionFlags = ofp.EvictOther | ofp.EvictImportance | ofp.EvictLifetime

// Mod does a table_mod.
func (s *Set) Mod(tm *ofp.TableMod) error {
	if !ValidTable(tm.TableID) {
		return oferr.OFPTMFC_BAD_TABLE
	}
	if tm.EvictionFlags != ofp.EvictUnset && tm.EvictionFlags != EvictionFlags {
		return oferr.OFPTMFC_BAD_CONFIG
	}
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if tm.TableID != ofp.TableAll {
		t := s.tables[tm.TableID]
		if t.readonly {
			return oferr.OFPTMFC_EPERM
		}
		t.mod(s, tm)
		return nil
	}
	for _, t := range s.tables {
		if !t.hidden && !t.readonly {
			t.mod(s, tm)
		}
	}
	return nil
}

func (t *Table) mod(s *Set, tm *ofp.TableMod) {
	if tm.Miss != ofp.MissDefault {
		t.miss.Store(uint32(tm.Miss))
	}
	eviction := t.eviction
	switch tm.Eviction {
	case ofp.On:
		eviction |= evictOpenFlow
	case ofp.Off:
		eviction &^= evictOpenFlow
	}
	if eviction != t.eviction {
		t.configureEviction(s, eviction, t.evictBy)
	}
	if tm.Vacancy == ofp.Unspecified {
		return
	}
	t.vacDown, t.vacUp = tm.Thresholds.Down, tm.Thresholds.Up
	switch {
	case tm.Vacancy == ofp.Off:
		t.vacancy = 0
	case t.vacancy != 0:
	case t.vacancyPercent() < t.vacUp:
		t.vacancy = ofp.TableVacancyUp
	default:
		t.vacancy = ofp.TableVacancyDown
	}
}

// vacancyPercent returns how much room the table has.  A table that can hold no
// flows at all counts as empty.
func (t *Table) vacancyPercent() uint8 {
	switch {
	case t.maxFlows == 0:
		return 100
	case uint64(t.nFlows) >= uint64(t.maxFlows):
		return 0
	}
	return uint8((uint64(t.maxFlows) - uint64(t.nFlows)) * 100 / uint64(t.maxFlows))
}

// Desc describes the table's configuration.
func (t *Table) Desc() ofp.TableDesc {
	d := ofp.TableDesc{TableID: t.ID, Eviction: ofp.Off, EvictionFlags: EvictionFlags, Vacancy: ofp.Off}
	if t.eviction&evictOpenFlow != 0 {
		d.Eviction = ofp.On
	}
	if t.vacancy != 0 {
		d.Vacancy = ofp.On
	}
	d.Thresholds = ofp.Vacancy{Down: t.vacDown, Up: t.vacUp, Current: t.vacancyPercent()}
	return d
}

// checkVacancy tells when a change of the number of flows crossed a threshold.
func (s *Set) checkVacancy(id uint8) {
	t := s.tables[id]
	if t.vacancy == 0 {
		return
	}
	v, next := t.vacancyPercent(), uint8(0)
	switch {
	case t.vacancy == ofp.TableVacancyDown && v < t.vacDown:
		next = ofp.TableVacancyUp
	case t.vacancy == ofp.TableVacancyUp && v >= t.vacDown && v > t.vacUp:
		next = ofp.TableVacancyDown
	default:
		return
	}
	d := t.Desc()
	s.event(Event{Kind: VacancyCrossed, Table: &d, Vacancy: t.vacancy})
	t.vacancy = next
}

// Limits returns the table's flows that count against its limit, and the limit.
func (t *Table) Limits() (nFlows int, maxFlows uint32) { return t.nFlows, t.maxFlows }

// Hidden reports whether controllers do not see the table.
func (t *Table) Hidden() bool { return t.hidden }

// NVisible returns how many rules of the table controllers can see.
func (t *Table) NVisible() int { return t.nFlows - t.nHidden }

// addInternal makes the switch's own rules.
func (s *Set) addInternal(now int64) {
	add := func(reg uint32, l action.List) *Rule {
		fm := &ofp.FlowMod{
			TableID: TableInternal, BufferID: ofp.NoBuffer, Actions: l,
			Flags: ofp.FlowHiddenFields | ofp.FlowNoReadonly,
		}
		if reg != 0 {
			fm.Match.Flow.Regs[0], fm.Match.Mask.Regs[0] = reg, ^uint32(0)
		} else {
			fm.Priority = 2
			fm.Match.Mask.RecircID = ^uint32(0)
		}
		m, err := s.NewFlowMod(fm, now)
		if err != nil {
			panic("table: internal rule refused: " + err.Error())
		}
		s.Mu.Lock()
		defer s.Mu.Unlock()
		if err := s.applyLocked(m, Requester{}); err != nil {
			panic("table: internal rule refused: " + err.Error())
		}
		return m.new[0]
	}
	const implicitMiss = uint8(ofp.ReasonImplicitMiss)
	s.MissRule = add(1, action.List{&action.Controller{MaxLen: 0xffff, Reason: implicitMiss, ProviderMeter: NoMeter}})
	s.NoPacketInRule = add(2, nil)
	s.DropFragsRule = add(3, nil)
	add(0, nil)
	s.TakeEvents()
}
