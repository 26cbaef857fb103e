package ofp

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

// flowFlagRows are the flags on the wire and the versions that have them.
var flowFlagRows = [...]struct {
	wire     uint16
	flag     FlowFlags
	min, max Version
}{
	{1 << 0, FlowSendRem, OF10, OF15},
	{1 << 1, FlowCheckOverlap, OF10, OF15},
	{1 << 2, FlowEmerg, OF10, OF10},
	{1 << 2, FlowResetCounts, OF12, OF15},
	{1 << 3, FlowNoPktCounts, OF13, OF15},
	{1 << 4, FlowNoByteCounts, OF13, OF15},
}

// decodeFlowFlags reads flags; add says that they are those of a FlowAdd, which
// resets counts in the versions that cannot say so.
func decodeFlowFlags(wire uint16, v Version, add bool) (f FlowFlags, err error) {
	for i := range flowFlagRows {
		row := &flowFlagRows[i]
		if wire&row.wire != 0 && v >= row.min && v <= row.max {
			wire &^= row.wire
			f |= row.flag
		}
	}
	if add && v <= OF11 {
		f |= FlowResetCounts
	}
	if wire != 0 {
		return f, oferr.OFPFMFC_BAD_FLAGS
	}
	return f, nil
}

func (f FlowFlags) wire(v Version) (w uint16) {
	for i := range flowFlagRows {
		row := &flowFlagRows[i]
		if f&row.flag != 0 && v >= row.min && v <= row.max {
			w |= row.wire
		}
	}
	return w
}

var flowFlagNames = []bitName{
	{uint32(FlowSendRem), "send_flow_rem "}, {uint32(FlowCheckOverlap), "check_overlap "},
	{uint32(FlowResetCounts), "reset_counts "}, {uint32(FlowNoPktCounts), "no_packet_counts "},
	{uint32(FlowNoByteCounts), "no_byte_counts "}, {uint32(FlowHiddenFields), "allow_hidden_fields "},
	{uint32(FlowNoReadonly), "no_readonly_table "},
}

func (p *printer) flowFlags(f FlowFlags) {
	for _, row := range flowFlagNames {
		if uint32(f)&row.bit != 0 {
			p.str(row.name)
		}
	}
}

// deletes reports whether the command of a FlowMod deletes.
func deletes(command uint8) bool { return command == FlowDelete || command == FlowDeleteStrict }

func decodeFlowMod(d decoder) (Msg, error) {
	var m *FlowMod
	if d.c.ReuseFlowMod {
		if d.c.flowMod == nil {
			d.c.flowMod = new(FlowMod)
		}
		m = d.c.flowMod
		*m = FlowMod{}
	} else {
		m = new(FlowMod)
	}
	if err := m.decode(&d); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *FlowMod) decode(d *decoder) (err error) {
	var rest []byte
	var flags uint16
	switch d.Raw {
	case RawOFPT11FlowMod:
		rest, flags, err = m.decode11(d)
	case RawNXTFlowMod:
		rest, flags, err = m.decodeNX(d)
	default:
		rest, flags, err = m.decode10(d)
	}
	if err != nil {
		return err
	}
	if ctInconsistent(&m.Match) {
		return oferr.OFPBAC_MATCH_INCONSISTENT
	}
	if m.Command > FlowDeleteStrict {
		return oferr.OFPFMFC_BAD_COMMAND
	}
	if m.Actions, err = d.instructions(rest); err != nil {
		return err
	}
	if m.Flags, err = decodeFlowFlags(flags, d.Version, m.Command == FlowAdd); err != nil {
		return err
	}
	if m.Flags&FlowEmerg != 0 {
		if m.HardTimeout != 0 || m.IdleTimeout != 0 {
			return oferr.OFPFMFC_BAD_EMERG_TIMEOUT
		}
		return oferr.OFPFMFC_TABLE_FULL
	}
	return d.checkActions(m.Actions, &m.Match, m.TableID)
}

func (m *FlowMod) decode11(d *decoder) (rest []byte, flags uint16, err error) {
	b := d.body
	if rest, err = d.pullMatch(&m.Match, b[40:]); err != nil {
		return nil, 0, err
	}
	cookie, cookieMask := be64(b), be64(b[8:])
	m.TableID, m.Command = b[16], b[17]
	modify := m.Command == FlowModify || m.Command == FlowModifyStrict
	if m.Command == FlowAdd || d.Version == OF11 && modify && cookieMask == 0 {
		m.NewCookie = cookie
	} else {
		m.Cookie, m.CookieMask, m.NewCookie = cookie, cookieMask, NoCookie
	}
	if m.TableID == TableAll && (d.Version == OF11 || !deletes(m.Command)) {
		return nil, 0, oferr.OFPFMFC_BAD_TABLE_ID
	}
	m.IdleTimeout, m.HardTimeout, m.Priority = be16(b[18:]), be16(b[20:]), be16(b[22:])
	m.BufferID = be32(b[24:])
	if m.OutPort, err = port11(be32(b[28:])); err != nil {
		return nil, 0, err
	}
	m.OutGroup = GroupAny
	if deletes(m.Command) {
		m.OutGroup = be32(b[32:])
	}
	if d.Version >= OF14 && m.Command == FlowAdd {
		m.Importance = be16(b[38:])
	}
	return rest, be16(b[36:]), nil
}

// priorityExact10 is the priority of a flow of OpenFlow 1.0 without wildcards.
const priorityExact10 = 0xffff

func (m *FlowMod) decode10(d *decoder) (rest []byte, flags uint16, err error) {
	b := d.body
	m.Match.Decode10(b[:match.Size10])
	m.Match.Normalize()
	m.NewCookie = be64(b[40:])
	m.common10(d, b[48:])
	if be32(b)&wildcardsAll10 == 0 {
		m.Priority = priorityExact10
	}
	return b[64:], be16(b[62:]), nil
}

// wildcardsAll10 are the wildcard bits of an OpenFlow 1.0 match.
const wildcardsAll10 = 1<<22 - 1

func (m *FlowMod) decodeNX(d *decoder) (rest []byte, flags uint16, err error) {
	b := d.body
	var cookie match.Cookie
	if rest, err = d.pullNXM(&m.Match, b[32:], int(be16(b[24:])), &cookie); err != nil {
		return nil, 0, err
	}
	if b[9] == FlowAdd && cookie.Mask != 0 {
		return nil, 0, oferr.NXBRC_NXM_INVALID
	}
	m.Cookie, m.CookieMask, m.NewCookie = cookie.Value, cookie.Mask, be64(b)
	m.common10(d, b[8:])
	return rest, be16(b[22:]), nil
}

// common10 reads what both layouts of OpenFlow 1.0 have, beginning with the command.
func (m *FlowMod) common10(d *decoder, b []byte) {
	m.IdleTimeout, m.HardTimeout, m.Priority = be16(b[2:]), be16(b[4:]), be16(b[6:])
	m.BufferID = be32(b[8:])
	m.OutPort, m.OutGroup = port10(be16(b[12:])), GroupAny
	m.ModifyCookie = m.NewCookie != NoCookie
	switch command := be16(b); {
	case HasTableID(d.protocol()):
		m.Command, m.TableID = uint8(command), uint8(command>>8)
	case command > 0xff:
		m.Command, m.TableID = 0xff, TableAll // no such command
	default:
		m.Command, m.TableID = uint8(command), TableAll
	}
}

func (m *FlowMod) encode(e *encoder) {
	switch {
	case e.v >= OF11:
		m.encode11(e)
	case e.p&ofver.OF10NXMAny != 0:
		m.encodeNX(e)
	default:
		e.begin(RawOFPT10FlowMod)
		e.b = m.Match.Append10(e.b)
		e.u64(m.NewCookie)
		m.encodeCommon10(e)
		e.actions(m.Actions)
	}
}

func (m *FlowMod) encodeCommon10(e *encoder) {
	if HasTableID(e.p) {
		e.u8(m.TableID)
	} else {
		e.u8(0)
	}
	e.u8(m.Command)
	e.u16(m.IdleTimeout)
	e.u16(m.HardTimeout)
	e.u16(m.Priority)
	e.u32(m.BufferID)
	e.port16(m.OutPort)
	e.u16(m.Flags.wire(e.v))
}

func (m *FlowMod) encodeNX(e *encoder) {
	e.begin(RawNXTFlowMod)
	body := len(e.b)
	e.u64(m.NewCookie)
	m.encodeCommon10(e)
	e.zeros(8)
	n := e.nxm(&m.Match, match.Cookie{Value: m.Cookie, Mask: m.CookieMask})
	e.put16(body+24, uint16(n))
	e.actions(m.Actions)
}

func (m *FlowMod) encode11(e *encoder) {
	e.begin(RawOFPT11FlowMod)
	modify := m.Command == FlowModify || m.Command == FlowModifyStrict
	if e.v == OF11 && modify && m.CookieMask == 0 || m.Command == FlowAdd {
		e.u64(m.NewCookie)
	} else {
		e.u64(m.Cookie & m.CookieMask)
	}
	e.u64(m.CookieMask)
	if m.TableID != TableAll || e.v != OF11 && deletes(m.Command) {
		e.u8(m.TableID)
	} else {
		e.u8(0)
	}
	e.u8(m.Command)
	e.u16(m.IdleTimeout)
	e.u16(m.HardTimeout)
	e.u16(m.Priority)
	e.u32(m.BufferID)
	e.u32(m.OutPort)
	e.u32(m.OutGroup)
	e.u16(m.Flags.wire(e.v))
	if e.v >= OF14 && m.Command == FlowAdd {
		e.u16(m.Importance)
	} else {
		e.u16(0)
	}
	e.match(&m.Match)
	e.instructions(m.Actions)
}

var flowCommandNames = [...]string{"ADD", "MOD", "MOD_STRICT", "DEL", "DEL_STRICT"}

func (m *FlowMod) format(p *printer) {
	p.byte(' ')
	p.str(flowCommandNames[m.Command])
	if m.TableID != 0 || p.tables() != nil && p.tables().TableName(0) != "" {
		p.str(" table:")
		p.table(m.TableID)
	}
	p.byte(' ')
	withPriority := true
	switch {
	case p.verbosity >= rawMatchVerbosity && p.Raw == RawOFPT10FlowMod:
		p.rawMatch10(p.msg[p.BodyOff:])
	case p.verbosity >= rawMatchVerbosity && p.Raw == RawNXTFlowMod:
		nxm := p.msg[p.BodyOff:]
		p.rawNXM(nxm[32:][:be16(nxm[24:])])
	default:
		p.match(&m.Match, m.Priority)
		withPriority = false
	}
	p.space()
	if m.NewCookie != 0 && m.NewCookie != NoCookie {
		p.f("cookie:0x%x ", m.NewCookie)
	}
	if m.CookieMask != 0 {
		p.f("cookie:0x%x/0x%x ", m.Cookie, m.CookieMask)
	}
	p.nonzero("idle:", m.IdleTimeout)
	p.nonzero("hard:", m.HardTimeout)
	p.nonzero("importance:", m.Importance)
	if withPriority && m.Priority != match.DefaultPriority {
		p.f("pri:%d ", m.Priority)
	}
	if m.BufferID != NoBuffer {
		p.f("buf:0x%x ", m.BufferID)
	}
	if m.OutPort != flow.OFPNone {
		p.str("out_port:")
		p.port(m.OutPort)
		p.byte(' ')
	}
	flags := m.Flags
	if p.Version <= OF11 {
		flags &^= FlowResetCounts // always implied there
	}
	p.flowFlags(flags)
	p.str("actions=")
	p.actions(m.Actions)
}

// nonzero prints a number that is not zero, and a space.
func (p *printer) nonzero(label string, x uint16) {
	if x != 0 {
		p.str(label)
		p.dec(uint64(x))
		p.byte(' ')
	}
}

// space ends the text with a space.
func (p *printer) space() {
	if p.b[len(p.b)-1] != ' ' {
		p.byte(' ')
	}
}
