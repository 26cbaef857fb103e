package ofp

import (
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
	eviction := m.Eviction.String()
	if m.EvictionFlags != EvictUnset {
		// Stock prints the flags as if they were the setting.
		if eviction = "***error***"; m.EvictionFlags <= uint32(Off) {
			eviction = Tristate(m.EvictionFlags).String()
		}
	}
	if eviction != Unspecified.String() {
		p.str(", eviction=")
		p.str(eviction)
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
