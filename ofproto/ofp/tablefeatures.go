package ofp

import (
	"strconv"
	"strings"

	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
)

// Property types of table features.  Those of the first group exist once more for
// the table-miss flow, with the next number.
const (
	propTFInstructions  = 0
	propTFNextTables    = 2
	propTFWriteActions  = 4
	propTFApplyActions  = 6
	propTFMatch         = 8
	propTFWildcards     = 10
	propTFWriteSetField = 12
	propTFApplySetField = 14

	requiredTF = 1<<propTFInstructions | 1<<propTFNextTables | 1<<propTFWriteActions | 1<<propTFApplyActions |
		1<<propTFMatch | 1<<propTFWildcards | 1<<propTFWriteSetField | 1<<propTFApplySetField
)

func (m *TableFeaturesMsg) encode(e *encoder) {
	r := stdRaw(m.Kind, e.v)
	if r == RawInvalid {
		return
	}
	e.beginPart(r, m.More)
	for i := range m.Tables {
		m.Tables[i].entry(e, r)
	}
}

func (m *TableFeatures) entry(e *encoder, _ Raw) {
	start := len(e.b)
	e.zeros(2)
	e.u8(m.TableID)
	if e.v >= OF15 {
		e.u8(m.Command)
	} else {
		e.u8(0)
	}
	e.zeros(4)
	e.str(m.Name, tableNameLen)
	e.u64(m.MetadataMatch)
	e.u64(m.MetadataWrite)
	caps := uint32(0)
	if e.v >= OF14 {
		if m.Eviction != 0 {
			caps |= tableEviction
		}
		if m.VacancyEvents != 0 {
			caps |= tableVacancy
		}
	}
	e.u32(caps)
	e.u32(m.MaxEntries)
	if m.HasProperties {
		m.NonMissFeatures.encode(e, 0)
		m.MissFeatures.encode(e, 1)
		e.fieldsProp(propTFMatch, &m.Match, &m.Mask)
		e.fieldsProp(propTFWildcards, &m.Wildcard, nil)
	}
	e.put16(start, uint16(len(e.b)-start))
}

func (t *TableInstructions) encode(e *encoder, miss uint64) {
	e.bitmapProp(propTFInstructions+miss, t.Instructions.wire(e.v))
	at := e.startProp(propTFNextTables + miss)
	for id := range 255 {
		if t.Next.Has(uint8(id)) {
			e.u8(uint8(id))
		}
	}
	e.endProp(at)
	e.bitmapProp(propTFWriteActions+miss, t.Write.Actions.wire(e.v))
	e.fieldsProp(propTFWriteSetField+miss, &t.Write.SetFields, nil)
	e.bitmapProp(propTFApplyActions+miss, t.Apply.Actions.wire(e.v))
	e.fieldsProp(propTFApplySetField+miss, &t.Apply.SetFields, nil)
}

// bitmapProp writes the numbers of the bits of w, each as a header without a body.
func (e *encoder) bitmapProp(typ uint64, w uint32) {
	at := e.startProp(typ)
	for i := range uint16(32) {
		if w&(1<<i) != 0 {
			e.u16(i)
			e.u16(4)
		}
	}
	e.endProp(at)
}

// fieldsProp writes the headers of fields, with a mask for those in masked.
func (e *encoder) fieldsProp(typ uint64, fields, masked *FieldSet) {
	at := e.startProp(typ)
	for id := range field.N {
		if fields.Has(id) && field.PreferredHeader(id, e.v) != 0 {
			e.b = field.AppendHeader(e.b, id, e.v, 0, masked != nil && masked.Has(id))
		}
	}
	e.endProp(at)
}

func decodeTableFeaturesMsg(d decoder) (Msg, error) {
	m := &TableFeaturesMsg{Kind: d.Type, More: d.more()}
	for b := d.body; len(b) > 0; {
		var t TableFeatures
		rest, err := t.decode(b, d.Version, d.c.loose)
		if err != nil {
			return m, err
		}
		m.Tables = append(m.Tables, t)
		b = rest
	}
	return m, nil
}

func (m *TableFeatures) decode(b []byte, v Version, loose bool) (rest []byte, err error) {
	const size = 64
	if len(b) < size {
		return nil, oferr.OFPBPC_BAD_LEN
	}
	n := int(be16(b))
	if n < size || n%8 != 0 || n > len(b) {
		return nil, oferr.OFPBPC_BAD_LEN
	}
	if v >= OF15 {
		if m.Command = b[3]; m.Command > TableFeaturesDisable {
			return nil, oferr.OFPTFFC_BAD_COMMAND
		}
	}
	if m.TableID = b[2]; m.TableID == TableAll {
		return nil, oferr.OFPTFFC_BAD_TABLE
	}
	m.Name = cutString(b[8:40])
	m.MetadataMatch, m.MetadataWrite = be64(b[40:]), be64(b[48:])
	m.Eviction, m.VacancyEvents = -1, -1
	if v >= OF14 {
		caps := be32(b[56:])
		m.Eviction, m.VacancyEvents = int8(caps&tableEviction/tableEviction), int8(caps&tableVacancy/tableVacancy)
	}
	m.MaxEntries = be32(b[60:])
	m.HasProperties = n > size
	seen, err := m.decodeProps(b[size:n], v, loose)
	if err != nil {
		return nil, err
	}
	if seen&requiredTF != requiredTF && (m.HasProperties || v < OF15) {
		return nil, oferr.OFPTFFC_BAD_FEATURES
	}
	if m.HasProperties {
		m.defaultMiss(seen)
	}
	for i := range m.Match {
		m.Match[i] |= m.Mask[i]
		m.Wildcard[i] = (m.Wildcard[i] | m.Mask[i]) & m.Match[i]
	}
	return b[n:], nil
}

// decodeProps reads the properties and tells which ones there were.
func (m *TableFeatures) decodeProps(b []byte, v Version, loose bool) (seen uint32, err error) {
	err = eachProp(b, func(p property) error {
		if p.typ < 32 {
			if seen&(1<<p.typ) != 0 {
				return oferr.OFPTFFC_BAD_FEATURES
			}
			seen |= 1 << p.typ
		}
		switch p.typ {
		case propTFMatch:
			return decodeFields(p.body, loose, &m.Match, &m.Mask)
		case propTFWildcards:
			return decodeFields(p.body, loose, &m.Wildcard, nil)
		}
		t := &m.NonMissFeatures
		if p.typ&1 != 0 {
			t = &m.MissFeatures
		}
		return t.decode(p, v, loose)
	})
	return seen, err
}

func (t *TableInstructions) decode(p property, v Version, loose bool) error {
	if p.typ > 15 {
		return unknownProp(loose, p.typ)
	}
	switch p.typ &^ 1 {
	case propTFInstructions:
		return t.decodeInstructions(p.body, loose)
	case propTFNextTables:
		for _, id := range p.body {
			if id == TableAll {
				return oferr.OFPBPC_BAD_VALUE
			}
			t.Next.Add(id)
		}
		return nil
	case propTFWriteActions:
		return decodeActionIDs(p.body, v, &t.Write.Actions)
	case propTFApplyActions:
		return decodeActionIDs(p.body, v, &t.Apply.Actions)
	case propTFWriteSetField:
		return decodeFields(p.body, loose, &t.Write.SetFields, nil)
	case propTFApplySetField:
		return decodeFields(p.body, loose, &t.Apply.SetFields, nil)
	}
	return unknownProp(loose, p.typ)
}

func (t *TableInstructions) decodeInstructions(b []byte, loose bool) error {
	for len(b) > 0 {
		id, rest, err := pullID(b)
		if err != nil {
			return err
		}
		b = rest
		if id >= 1 && id <= 6 {
			t.Instructions |= instructionsFromWire(1<<id, OF13)
		} else if !loose {
			return oferr.OFPBIC_UNKNOWN_INST
		}
	}
	return nil
}

func decodeActionIDs(b []byte, v Version, s *ActionSet) error {
	var types uint32
	for len(b) > 0 {
		id, rest, err := pullID(b)
		if err != nil {
			return err
		}
		b = rest
		if id < 32 {
			types |= 1 << id
		}
	}
	*s = actionSetFromWire(types, v)
	return nil
}

// pullID takes the header of an instruction or action; its body, if any, is skipped.
func pullID(b []byte) (id uint64, rest []byte, err error) {
	if len(b) < 4 {
		return 0, nil, oferr.OFPBPC_BAD_LEN
	}
	n := int(be16(b[2:]))
	if n < 4 || n > len(b) {
		return 0, nil, oferr.OFPBPC_BAD_LEN
	}
	return uint64(be16(b)), b[n:], nil
}

// decodeFields reads OXM headers.  A nil masked forbids those with a mask.
func decodeFields(b []byte, loose bool, exact, masked *FieldSet) error {
	for len(b) > 0 {
		h, n, err := field.PullHeader(b)
		if err != nil {
			return err
		}
		b = b[n:]
		id, err := field.Resolve(h, nil, false)
		switch {
		case err == oferr.OFPBMC_BAD_FIELD && loose:
		case err != nil:
			return err
		case !h.HasMask():
			exact.Add(id)
		case masked == nil:
			return oferr.OFPBMC_BAD_MASK
		default:
			masked.Add(id)
		}
	}
	return nil
}

// defaultMiss fills in what a message leaves out for the table-miss flow: it is as
// for other flows.
func (m *TableFeatures) defaultMiss(seen uint32) {
	miss, other := &m.MissFeatures, &m.NonMissFeatures
	has := func(prop int) bool { return seen&(1<<(prop+1)) != 0 }
	if !has(propTFInstructions) {
		miss.Instructions = other.Instructions
	}
	if !has(propTFNextTables) {
		miss.Next = other.Next
	}
	if !has(propTFWriteActions) {
		miss.Write.Actions = other.Write.Actions
	}
	if !has(propTFApplyActions) {
		miss.Apply.Actions = other.Apply.Actions
	}
	if !has(propTFWriteSetField) {
		miss.Write.SetFields = other.Write.SetFields
	}
	if !has(propTFApplySetField) {
		miss.Apply.SetFields = other.Apply.SetFields
	}
}

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
