package ofp

import (
	"strconv"
	"strings"

	"sluice/ofproto/ofp/field"
)

// dittos is a run of tables that are like the one before.
type dittos struct {
	any         bool
	first, last uint8
}

func (p *printer) dittos(d *dittos) {
	switch {
	case !d.any:
	case d.first == d.last:
		p.f("\n  table %d: ditto\n", d.first)
	default:
		p.f("\n  tables %d...%d: ditto\n", d.first, d.last)
	}
	d.any = false
}

func (m *TableFeaturesMsg) format(p *printer) {
	var d dittos
	for i := range m.Tables {
		var prev *TableFeatures
		if i > 0 {
			prev = &m.Tables[i-1]
		}
		p.tableFeatures(&m.Tables[i], prev, nil, nil, &d)
	}
	p.dittos(&d)
}

func (a *TableFeatures) equal(b *TableFeatures) bool {
	return a.MetadataMatch == b.MetadataMatch && a.MetadataWrite == b.MetadataWrite && a.Miss == b.Miss &&
		a.Eviction == b.Eviction && a.VacancyEvents == b.VacancyEvents && a.MaxEntries == b.MaxEntries &&
		a.sameInstructions(b) && a.Match == b.Match
}

func (a *TableFeatures) sameInstructions(b *TableFeatures) bool {
	return a.NonMissFeatures.equal(a.TableID, &b.NonMissFeatures, b.TableID) &&
		a.MissFeatures.equal(a.TableID, &b.MissFeatures, b.TableID)
}

func (m *TableFeatures) empty() bool {
	return m.MetadataMatch == 0 && m.MetadataWrite == 0 && m.Miss == MissDefault && m.Eviction < 0 &&
		m.VacancyEvents < 0 && m.MaxEntries == 0 && m.NonMissFeatures == (TableInstructions{}) &&
		m.MissFeatures == (TableInstructions{}) && m.Match.Empty()
}

func (t *TableInstructions) equal(tID uint8, u *TableInstructions, uID uint8) bool {
	return sameNext(t.Next, tID, u.Next, uID) && t.Instructions == u.Instructions &&
		t.Write == u.Write && t.Apply == u.Apply
}

// sameNext compares next tables.  A table can jump to those after it, so that sets
// of neighbours that differ only in the second of them count as equal.
func sameNext(a TableSet, aID uint8, b TableSet, bID uint8) bool {
	if int(aID) == int(bID)+1 {
		a, aID, b, bID = b, bID, a, aID
	}
	if int(bID) == int(aID)+1 && a.Has(bID) && !b.Has(bID) {
		b.Add(bID)
	}
	return a == b
}

var tableCommandNames = []string{"replace", "modify", "enable", "disable"}

// tableFeatures prints the features, and statistics if there are any, of a table
// after those of the table before.
func (p *printer) tableFeatures(m, prev *TableFeatures, stats, prevStats *TableStats, d *dittos) {
	if prev == nil && m.Command != TableFeaturesReplace {
		p.str("\n  command: ")
		p.str(tableCommandNames[m.Command])
	}
	sameStats := stats == nil || prevStats != nil && stats.ActiveCount == prevStats.ActiveCount &&
		stats.LookupCount == prevStats.LookupCount && stats.MatchedCount == prevStats.MatchedCount
	same := prev != nil && m.equal(prev)
	if sameStats && same && m.Name == "" {
		if !d.any {
			d.any, d.first = true, m.TableID
		}
		d.last = m.TableID
		return
	}
	p.dittos(d)
	p.f("\n  table %d", m.TableID)
	if m.Name != "" {
		p.f(" (\"%s\")", m.Name)
	}
	p.byte(':')
	if sameStats && same {
		p.str(" ditto")
		return
	}
	p.byte('\n')
	if stats != nil {
		p.f("    active=%d, lookup=%d, matched=%d\n", stats.ActiveCount, stats.LookupCount, stats.MatchedCount)
	}
	if same {
		if !m.empty() {
			p.str("    (same features)\n")
		}
		return
	}
	p.tableLimits(m)
	p.tableInstructions(m, prev)
	p.tableMatching(m, prev)
}

func (p *printer) tableLimits(m *TableFeatures) {
	if m.MetadataMatch != 0 || m.MetadataWrite != 0 {
		p.str("    metadata: match=")
		p.hexAlt(m.MetadataMatch)
		p.str(" write=")
		p.hexAlt(m.MetadataWrite)
		p.byte('\n')
	}
	if m.Miss != MissDefault {
		p.f("    config=%v\n", m.Miss)
	}
	supported := func(what string, x int8) {
		switch {
		case x > 0:
			p.f("    %s: supported\n", what)
		case x == 0:
			p.f("    %s: not supported\n", what)
		}
	}
	supported("eviction", m.Eviction)
	supported("vacancy events", m.VacancyEvents)
	if m.MaxEntries != 0 {
		p.f("    max_entries=%d\n", m.MaxEntries)
	}
}

func (p *printer) tableInstructions(m, prev *TableFeatures) {
	var prevOther, prevMiss *TableInstructions
	if prev != nil {
		prevOther, prevMiss = &prev.NonMissFeatures, &prev.MissFeatures
	}
	empty := m.NonMissFeatures == (TableInstructions{})
	switch {
	case prev != nil && m.sameInstructions(prev):
		if !empty {
			p.str("    (same instructions)\n")
		}
	case !m.NonMissFeatures.equal(m.TableID, &m.MissFeatures, m.TableID):
		p.str("    instructions (other than table miss):\n")
		p.instructionFeatures(&m.NonMissFeatures, prevOther)
		p.str("    instructions (table miss):\n")
		p.instructionFeatures(&m.MissFeatures, prevMiss)
	case !empty:
		p.str("    instructions (table miss and others):\n")
		p.instructionFeatures(&m.NonMissFeatures, prevOther)
	}
}

var instructionNames = [...]struct {
	inst InstructionSet
	name string
}{
	{InstMeter, "meter"}, {InstApplyActions, "apply_actions"}, {InstClearActions, "clear_actions"},
	{InstWriteActions, "write_actions"}, {InstWriteMetadata, "write_metadata"}, {InstGotoTable, "goto_table"},
}

func (p *printer) instructionFeatures(t, prev *TableInstructions) {
	p.nextTables(&t.Next)
	if t.Instructions != 0 {
		if prev != nil && t.Instructions == prev.Instructions {
			p.str("      (same instructions)\n")
		} else {
			p.str("      instructions: ")
			for _, row := range instructionNames {
				if t.Instructions&row.inst != 0 {
					p.str(row.name)
					p.byte(' ')
				}
			}
			p.chomp()
			p.byte('\n')
		}
	}
	switch {
	case prev != nil && t.Write == prev.Write && t.Apply == prev.Apply && !t.Write.SetFields.Empty():
		p.str("      (same actions)\n")
	case t.Write != t.Apply:
		p.str("      Write-Actions features:\n")
		p.actionFeatures(&t.Write)
		p.str("      Apply-Actions features:\n")
		p.actionFeatures(&t.Apply)
	case t.Write != (TableActions{}):
		p.str("      Write-Actions and Apply-Actions features:\n")
		p.actionFeatures(&t.Write)
	}
}

func (p *printer) nextTables(s *TableSet) {
	if *s == (TableSet{}) {
		return
	}
	p.str("      next tables: ")
	for id := 0; id < 255; id++ {
		if !s.Has(uint8(id)) {
			continue
		}
		end := id
		for end < 254 && s.Has(uint8(end+1)) {
			end++
		}
		if end == id {
			p.f("%d,", id)
		} else {
			p.f("%d-%d,", id, end)
		}
		id = end
	}
	p.chompByte(',')
	p.byte('\n')
}

func (p *printer) actionFeatures(a *TableActions) {
	if a.Actions != 0 {
		p.str("        actions: ")
		p.actionSet(a.Actions)
		p.byte('\n')
	}
	if !a.SetFields.Empty() {
		p.str("        supported on Set-Field:")
		p.fieldNames(&a.SetFields)
		p.byte('\n')
	}
}

func (p *printer) tableMatching(m, prev *TableFeatures) {
	if m.Match.Empty() {
		return
	}
	if prev != nil && m.Match == prev.Match {
		p.str("    (same matching)\n")
		return
	}
	p.str("    matching:\n")
	kind := func(title string, mask, wild bool) {
		var s FieldSet
		for i := range s {
			s[i] = m.Match[i]
			if mask {
				s[i] &= m.Mask[i]
			} else {
				s[i] &^= m.Mask[i]
			}
			if wild {
				s[i] &= m.Wildcard[i]
			} else {
				s[i] &^= m.Wildcard[i]
			}
		}
		if !s.Empty() {
			p.f("      %s:", title)
			p.fieldNames(&s)
			p.byte('\n')
		}
	}
	kind("arbitrary mask", true, true)
	kind("exact match or wildcard", false, true)
	kind("must exact match", false, false)
}

// fieldNames prints the names of fields, shortened: a common prefix up to a "_" is
// printed once, before the rests in braces, and a run of numbers as its ends.
func (p *printer) fieldNames(s *FieldSet) {
	var names []string
	for id := range field.N {
		if s.Has(id) {
			names = append(names, id.String())
		}
	}
	if len(names) > 0 {
		p.byte(' ')
		p.shortNames(names, 0)
	}
}

// shortNames prints names, of which all share their first skip bytes.
func (p *printer) shortNames(names []string, skip int) {
	for i := 0; len(names) > 0; i++ {
		if i > 0 {
			if skip > 0 {
				p.byte(',')
			} else {
				p.byte(' ')
			}
		}
		prefix, prefixRun := prefixRun(names, skip)
		run := suffixRun(names)
		if run >= prefixRun {
			p.str(names[0][skip:])
			if run > 1 {
				p.str("...")
				p.str(names[run-1][skip:])
			}
		} else {
			run = prefixRun
			p.str(names[0][skip : skip+prefix])
			p.byte('{')
			p.shortNames(names[:run], skip+prefix)
			p.byte('}')
		}
		names = names[run:]
	}
}

// prefixRun finds how many names share a prefix that ends in "_" with the first,
// and the length of the prefix, both beyond skip.
func prefixRun(names []string, skip int) (prefix, run int) {
	if len(names) < 2 {
		return 0, len(names)
	}
	if prefix = commonPrefix(names[0][skip:], names[1][skip:]); prefix == 0 {
		return 0, 1
	}
	run = 2
	for run < len(names) && commonPrefix(names[0][skip:], names[run][skip:]) > 0 {
		run++
	}
	return prefix, run
}

func commonPrefix(a, b string) (n int) {
	for i := 0; i < len(a) && i < len(b) && a[i] == b[i]; i++ {
		if a[i] == '_' {
			n = i + 1
		}
	}
	return n
}

// suffixRun counts the names that differ only in a number that rises by one.
func suffixRun(names []string) int {
	run := 1
	for run < len(names) && sequential(names[run-1], names[run]) {
		run++
	}
	if run == 2 {
		return 1
	}
	return run
}

func sequential(a, b string) bool {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	if strings.Trim(a, "0123456789") != "" || strings.Trim(b, "0123456789") != "" || len(a) > 9 || len(b) > 9 {
		return false
	}
	x, errA := strconv.Atoi(a)
	y, errB := strconv.Atoi(b)
	return errA == nil && errB == nil && x+1 == y
}
