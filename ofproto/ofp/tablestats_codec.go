package ofp

import (
	"sluice/ofproto/ofp/field"
)

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
