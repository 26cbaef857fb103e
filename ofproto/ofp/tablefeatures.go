package ofp

import (
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
