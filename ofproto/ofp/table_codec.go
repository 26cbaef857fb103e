package ofp

import (
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
)

// Bits of the configuration of a table.
const (
	tableMissMask     = 3      // OpenFlow 1.1 and 1.2
	tableEviction     = 1 << 2 // OpenFlow 1.4+
	tableVacancy      = 1 << 3 // OpenFlow 1.4+
	wireMissContinue  = 1
	wireMissDrop      = 2
	propTableEviction = 2
	propTableVacancy  = 3
)

// tableNameLen is the size of a table's name on the wire.
const tableNameLen = 32

func tableConfig(v Version, miss TableMiss, eviction, vacancy Tristate) (c uint32) {
	switch {
	case v == OF11 || v == OF12:
		switch miss {
		case MissContinue:
			return wireMissContinue
		case MissDrop:
			return wireMissDrop
		}
	case v >= OF14:
		if eviction == On {
			c |= tableEviction
		}
		if vacancy == On {
			c |= tableVacancy
		}
	}
	return c
}

func decodeMiss(c uint32, v Version) TableMiss {
	if v != OF11 && v != OF12 {
		return MissDefault
	}
	switch c & tableMissMask {
	case wireMissContinue:
		return MissContinue
	case wireMissDrop:
		return MissDrop
	}
	return MissController
}

// onOff is the setting that a bit of a configuration means.
func onOff(c, bit uint32, v Version) Tristate {
	switch {
	case v < OF14:
		return Unspecified
	case c&bit != 0:
		return On
	}
	return Off
}

// String is the name that prints use.
func (m TableMiss) String() string {
	return nameOr("default", "controller", "continue", "drop")(int(m))
}

// String is the name that prints use.
func (t Tristate) String() string { return nameOr("default", "on", "off")(int(t)) }

func (e *encoder) vacancy(t *Vacancy, current bool) {
	at := e.startProp(propTableVacancy)
	e.u8(t.Down)
	e.u8(t.Up)
	if current {
		e.u8(t.Current)
	} else {
		e.u8(0)
	}
	e.u8(0)
	e.endProp(at)
}

func (m *TableMod) encode(e *encoder) {
	r := stdRaw(TypeTableMod, e.v)
	if r == RawInvalid {
		return
	}
	e.begin(r)
	e.u8(m.TableID)
	e.zeros(3)
	e.u32(tableConfig(e.v, m.Miss, m.Eviction, m.Vacancy))
	if e.v < OF14 {
		return
	}
	if m.EvictionFlags != EvictUnset {
		e.propU32(propTableEviction, m.EvictionFlags)
	}
	if m.Vacancy == On {
		e.vacancy(&m.Thresholds, false)
	}
}

func decodeTableMod(d decoder) (Msg, error) {
	c := be32(d.body[4:])
	m := &TableMod{TableID: d.body[0], Miss: decodeMiss(c, d.Version), EvictionFlags: EvictUnset}
	if d.Raw != RawOFPT14TableMod {
		return m, nil
	}
	m.Eviction, m.Vacancy = onOff(c, tableEviction, d.Version), onOff(c, tableVacancy, d.Version)
	err := eachProp(d.body[8:], func(p property) (err error) {
		switch p.typ {
		case propTableEviction:
			m.EvictionFlags, err = p.u32()
			return err
		case propTableVacancy:
			return m.decodeVacancy(p)
		}
		return oferr.OFPBRC_BAD_TYPE
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (m *TableMod) decodeVacancy(p property) error {
	if len(p.all) != 8 {
		return oferr.OFPBPC_BAD_LEN
	}
	t := Vacancy{Down: p.body[0], Up: p.body[1], Current: p.body[2]}
	if t.Down > t.Up || t.Up > 100 || t.Current != 0 {
		return oferr.OFPBPC_BAD_VALUE
	}
	m.Thresholds = t
	return nil
}

var evictionFlagNames = []bitName{{EvictOther, "OTHER"}, {EvictImportance, "IMPORTANCE"}, {EvictLifetime, "LIFETIME"}}

func (p *printer) evictionFlags(f uint32) {
	if f == EvictUnset {
		p.str("(default)")
	} else {
		p.bits(f, evictionFlagNames, '|')
	}
}

func (m *TableMod) format(p *printer) {
	if m.TableID == TableAll {
		p.str(" table_id: ALL_TABLES")
	} else {
		p.str(" table_id=")
		p.table(m.TableID)
	}
	if m.Miss != MissDefault {
		p.f(", flow_miss_config=%v", m.Miss)
	}
	if m.Eviction != Unspecified {
		p.f(", eviction=%v", m.Eviction)
	}
	if m.EvictionFlags != EvictUnset {
		p.str("eviction_flags=")
		p.evictionFlags(m.EvictionFlags)
	}
	if m.Vacancy != Unspecified {
		p.f(", vacancy=%v", m.Vacancy)
		if m.Vacancy == On {
			p.f(" vacancy:%d,%d", m.Thresholds.Down, m.Thresholds.Up)
		}
	}
}

func (m *TableDesc) entry(e *encoder, _ Raw) {
	start := m.begin(e)
	if m.EvictionFlags != EvictUnset {
		e.propU32(propTableEviction, m.EvictionFlags)
	}
	if m.Vacancy == On {
		e.vacancy(&m.Thresholds, true)
	}
	e.put16(start, uint16(len(e.b)-start))
}

// begin writes the fixed part of a description; its length is still to be filled in.
func (m *TableDesc) begin(e *encoder) (start int) {
	start = len(e.b)
	e.zeros(2)
	e.u8(m.TableID)
	e.u8(0)
	e.u32(tableConfig(e.v, MissDefault, m.Eviction, m.Vacancy))
	return start
}

func (m *TableDescReply) encode(e *encoder) {
	r := stdRaw(TypeTableDescReply, e.v)
	if r == RawInvalid {
		return
	}
	e.beginPart(r, m.More)
	for i := range m.Tables {
		m.Tables[i].entry(e, r)
	}
}

func (m *TableDesc) decode(b []byte, v Version) (rest []byte, err error) {
	const size = 8
	if len(b) < size {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	n := int(be16(b))
	if n < size || n > len(b) {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	c := be32(b[4:])
	*m = TableDesc{
		TableID: b[2], EvictionFlags: EvictUnset,
		Eviction: onOff(c, tableEviction, v), Vacancy: onOff(c, tableVacancy, v),
	}
	err = eachProp(b[size:n], func(p property) (err error) {
		switch p.typ {
		case propTableEviction:
			m.EvictionFlags, err = p.u32()
		case propTableVacancy:
			if len(p.all) != 8 {
				return oferr.OFPBPC_BAD_LEN
			}
			m.Thresholds = Vacancy{Down: p.body[0], Up: p.body[1], Current: p.body[2]}
		}
		return err
	})
	return b[n:], err
}

func decodeTableDescReply(d decoder) (Msg, error) {
	m := &TableDescReply{More: d.more()}
	for b := d.body; len(b) > 0; {
		var t TableDesc
		var err error
		if b, err = t.decode(b, d.Version); err != nil {
			return m, err
		}
		m.Tables = append(m.Tables, t)
	}
	return m, nil
}

func (m *TableDescReply) format(p *printer) {
	for i := range m.Tables {
		p.tableDesc(&m.Tables[i])
	}
}

func (p *printer) tableDesc(m *TableDesc) {
	p.str("\n  table ")
	p.table(m.TableID)
	p.f(":\n   eviction=%v eviction_flags=", m.Eviction)
	p.evictionFlags(m.EvictionFlags)
	p.f("\n   vacancy=%v", m.Vacancy)
	if m.Vacancy == On {
		p.f(" vacancy_down=%d%% vacancy_up=%d%% vacancy=%d%%", m.Thresholds.Down, m.Thresholds.Up, m.Thresholds.Current)
	}
	p.byte('\n')
}

func (m *TableStatus) encode(e *encoder) {
	r := stdRaw(TypeTableStatus, e.v)
	if r == RawInvalid {
		return
	}
	e.begin(r)
	e.u8(m.Reason)
	e.zeros(7)
	// Unlike in a description, both properties are always there.
	start := m.Desc.begin(e)
	e.propU32(propTableEviction, m.Desc.EvictionFlags)
	e.vacancy(&m.Desc.Thresholds, true)
	e.put16(start, uint16(len(e.b)-start))
}

func decodeTableStatus(d decoder) (Msg, error) {
	m := &TableStatus{Reason: d.body[0]}
	if m.Reason != TableVacancyDown && m.Reason != TableVacancyUp {
		return nil, oferr.OFPBPC_BAD_VALUE
	}
	if _, err := m.Desc.decode(d.body[8:], d.Version); err != nil {
		return nil, err
	}
	return m, nil
}

// tableReasonName names a reason of a TableStatus in prints of async configurations.
func tableReasonName(r int) string {
	switch r {
	case TableVacancyDown:
		return "vacancy_down"
	case TableVacancyUp:
		return "vacancy_up"
	}
	return nameOr()(r)
}

func (m *TableStatus) format(p *printer) {
	if m.Reason == TableVacancyDown {
		p.str(" reason=VACANCY_DOWN")
	} else {
		p.str(" reason=VACANCY_UP")
	}
	p.str("\ntable_desc:-")
	p.tableDesc(&m.Desc)
}

// fieldBit is a field and the bits that an old version gives it.
type fieldBit struct {
	id   field.ID
	bits uint32
}

var fieldBits10 = []fieldBit{
	{field.InPort, 1 << 0}, {field.VLANVID, 1 << 1}, {field.EthSrc, 1 << 2}, {field.EthDst, 1 << 3},
	{field.EthType, 1 << 4}, {field.IPProto, 1 << 5}, {field.TCPSrc, 1 << 6}, {field.TCPDst, 1 << 7},
	{field.IPv4Src, 0x3f << 8}, {field.IPv4Dst, 0x3f << 14}, {field.VLANPCP, 1 << 20}, {field.IPDSCP, 1 << 21},
}

var fieldBits11 = []fieldBit{
	{field.InPort, 1 << 0}, {field.VLANVID, 1 << 1}, {field.VLANPCP, 1 << 2}, {field.EthType, 1 << 3},
	{field.IPDSCP, 1 << 4}, {field.IPProto, 1 << 5}, {field.TCPSrc, 1 << 6}, {field.TCPDst, 1 << 7},
	{field.MPLSLabel, 1 << 8}, {field.MPLSTC, 1 << 9}, {field.EthSrc, 1 << 11}, {field.EthDst, 1 << 12},
	{field.IPv4Src, 1 << 13}, {field.IPv4Dst, 1 << 14}, {field.Metadata, 1 << 15},
}

func fieldsToWire(s *FieldSet, rows []fieldBit) (w uint32) {
	for _, row := range rows {
		if s.Has(row.id) {
			w |= row.bits
		}
	}
	return w
}

func fieldsFromWire(w uint32, rows []fieldBit) (s FieldSet) {
	for _, row := range rows {
		if w&row.bits != 0 {
			s.Add(row.id)
		}
	}
	return s
}

// wildOrUnmatchable are the fields that a flow of the table need not match.
func (m *TableFeatures) wildOrUnmatchable() (s FieldSet) {
	for i := range s {
		s[i] = ^m.Match[i] | m.Wildcard[i]
	}
	return s
}

// wireInstructions has the bits of instructions; they are also their types.
var wireInstructions = [...]struct {
	inst InstructionSet
	bit  uint8
}{
	{InstGotoTable, 1}, {InstWriteMetadata, 2}, {InstWriteActions, 3}, {InstApplyActions, 4}, {InstClearActions, 5},
	{InstMeter, 6},
}

// wire is the bitmap of the set in version v.  Meter is an instruction in
// OpenFlow 1.3 and 1.4 only, an action later.
func (s InstructionSet) wire(v Version) (w uint32) {
	for _, row := range wireInstructions {
		if s&row.inst != 0 && (row.inst != InstMeter || v == OF13 || v == OF14) {
			w |= 1 << row.bit
		}
	}
	return w
}

func instructionsFromWire(w uint32, v Version) (s InstructionSet) {
	for _, row := range wireInstructions {
		if w&(1<<row.bit) != 0 && (row.inst != InstMeter || v == OF13 || v == OF14) {
			s |= row.inst
		}
	}
	return s
}

var noFeatures TableFeatures

func (m *TableStats) entry(e *encoder, _ Raw) {
	f := m.Features
	if f == nil {
		f = &noFeatures
	}
	e.u8(m.TableID)
	e.zeros(3)
	if e.v < OF13 {
		if e.v > OF10 {
			e.zeros(4)
		}
		e.str(f.Name, tableNameLen)
		f.encodeOld(e)
		e.u32(f.MaxEntries)
	}
	e.u32(m.ActiveCount)
	e.u64(m.LookupCount)
	e.u64(m.MatchedCount)
}

// encodeOld writes the features in statistics before OpenFlow 1.3.
func (m *TableFeatures) encodeOld(e *encoder) {
	wild := m.wildOrUnmatchable()
	n := &m.NonMissFeatures
	switch e.v {
	case OF10:
		e.u32(fieldsToWire(&wild, fieldBits10))
	case OF11:
		e.u32(fieldsToWire(&wild, fieldBits11))
		e.u32(fieldsToWire(&m.Match, fieldBits11))
		e.u32(n.Instructions.wire(e.v))
		e.u32(n.Write.Actions.wire(e.v))
		e.u32(n.Apply.Actions.wire(e.v))
		e.u32(uint32(m.Miss)) // stock's own number, not the standard's
	default:
		e.u64(m.Match.Basic(e.v))
		e.u64(m.Wildcard.Basic(e.v))
		e.u32(n.Write.Actions.wire(e.v))
		e.u32(n.Apply.Actions.wire(e.v))
		e.u64(n.Write.SetFields.Basic(e.v))
		e.u64(n.Apply.SetFields.Basic(e.v))
		e.u64(m.MetadataMatch)
		e.u64(m.MetadataWrite)
		e.u32(n.Instructions.wire(e.v))
		e.u32(tableConfig(e.v, m.Miss, Unspecified, Unspecified))
	}
}

func (m *TableStatsReply) encode(e *encoder) {
	r := stdRaw(TypeTableStatsReply, e.v)
	e.beginPart(r, m.More)
	for i := range m.Tables {
		m.Tables[i].entry(e, r)
	}
}

// tableStatsSize is the size of an entry in each version.
var tableStatsSize = [...]int{OF10: 64, OF11: 88, OF12: 128, OF13: 24, OF14: 24, OF15: 24}

func decodeTableStatsReply(d decoder) (Msg, error) {
	m := &TableStatsReply{More: d.more()}
	size := tableStatsSize[d.Version]
	for b := d.body; len(b) > 0; b = b[size:] {
		s := TableStats{TableID: b[0]}
		tail := b[size-20 : size]
		s.ActiveCount, s.LookupCount, s.MatchedCount = be32(tail), be64(tail[4:]), be64(tail[12:])
		if d.Version < OF13 {
			s.Features = decodeOldFeatures(b[:size], d.Version)
			s.Features.MaxEntries = be32(b[size-24:])
		}
		m.Tables = append(m.Tables, s)
	}
	return m, nil
}

func decodeOldFeatures(b []byte, v Version) *TableFeatures {
	m := &TableFeatures{TableID: b[0], Eviction: -1, VacancyEvents: -1}
	n := &m.NonMissFeatures
	switch v {
	case OF10:
		m.Name = cutString(b[4:36])
		m.Match = fieldsFromWire(be32(b[36:]), fieldBits10)
		m.Wildcard = m.Match
		return m
	case OF11:
		m.Name, b = cutString(b[8:40]), b[40:]
		m.Wildcard = fieldsFromWire(be32(b), fieldBits11)
		m.Match = fieldsFromWire(be32(b[4:]), fieldBits11)
		n.Instructions = instructionsFromWire(be32(b[8:]), v)
		n.Write.Actions = actionSetFromWire(be32(b[12:]), v)
		n.Apply.Actions = n.Write.Actions // as stock reads it
		m.Miss = decodeMiss(be32(b[20:]), v)
	default:
		m.Name, b = cutString(b[8:40]), b[40:]
		m.Match = field.SetFromBasic(be64(b), v)
		m.Wildcard = field.SetFromBasic(be64(b[8:]), v)
		n.Write.Actions = actionSetFromWire(be32(b[16:]), v)
		n.Apply.Actions = actionSetFromWire(be32(b[20:]), v)
		n.Write.SetFields = field.SetFromBasic(be64(b[24:]), v)
		n.Apply.SetFields = field.SetFromBasic(be64(b[32:]), v)
		m.MetadataMatch, m.MetadataWrite = be64(b[40:]), be64(b[48:])
		n.Instructions = instructionsFromWire(be32(b[56:]), v)
		m.Miss = decodeMiss(be32(b[60:]), v)
	}
	m.MissFeatures = m.NonMissFeatures
	for i := range m.Match {
		m.Match[i] |= m.Wildcard[i]
	}
	return m
}

func (m *TableStatsReply) format(p *printer) {
	var d dittos
	none := TableFeatures{Eviction: -1, VacancyEvents: -1}
	features := func(s *TableStats) *TableFeatures {
		if s.Features != nil {
			return s.Features
		}
		f := none
		f.TableID = s.TableID
		return &f
	}
	for i := range m.Tables {
		s := &m.Tables[i]
		if i == 0 {
			p.tableFeatures(features(s), nil, s, nil, &d)
		} else {
			p.tableFeatures(features(s), features(&m.Tables[i-1]), s, &m.Tables[i-1], &d)
		}
	}
	p.dittos(&d)
}
