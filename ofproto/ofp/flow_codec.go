package ofp

import (
	"math"

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
	m := &FlowMod{}
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

func (m *FlowStatsRequest) encode(e *encoder) {
	switch {
	case e.v >= OF11:
		e.begin(stdRaw(m.Type(), e.v))
		e.u8(m.TableID)
		e.zeros(3)
		e.u32(m.OutPort)
		e.u32(m.OutGroup)
		e.zeros(4)
		e.u64(m.Cookie)
		e.u64(m.CookieMask)
		e.match(&m.Match)
	case e.p&ofver.OF10NXMAny != 0 || m.NX:
		if m.Aggregate {
			e.begin(RawNXSTAggregateRequest)
		} else {
			e.begin(RawNXSTFlowRequest)
		}
		body := len(e.b)
		e.port16(m.OutPort)
		e.u16(0)
		e.u8(m.TableID)
		e.zeros(3)
		n := e.nxm(&m.Match, match.Cookie{Value: m.Cookie, Mask: m.CookieMask})
		e.put16(body+2, uint16(n))
	default:
		e.begin(stdRaw(m.Type(), e.v))
		e.b = m.Match.Append10(e.b)
		e.u8(m.TableID)
		e.u8(0)
		e.port16(m.OutPort)
	}
}

func decodeFlowStatsRequest(d decoder) (Msg, error) {
	b := d.body
	m := &FlowStatsRequest{Aggregate: d.Type == TypeAggregateStatsRequest, OutGroup: GroupAny}
	var err error
	switch d.Raw {
	case RawOFPST10FlowRequest, RawOFPST10AggregateRequest:
		m.Match.Decode10(b[:match.Size10])
		m.TableID, m.OutPort = b[40], port10(be16(b[42:]))
	case RawNXSTFlowRequest, RawNXSTAggregateRequest:
		m.NX = true
		m.OutPort, m.TableID = port10(be16(b)), b[4]
		var cookie match.Cookie
		rest, err := d.pullNXM(&m.Match, b[8:], int(be16(b[2:])), &cookie)
		if err != nil {
			return nil, err
		}
		if len(rest) > 0 {
			return nil, oferr.OFPBRC_BAD_LEN
		}
		m.Cookie, m.CookieMask = cookie.Value, cookie.Mask
	default:
		m.TableID = b[0]
		if m.OutPort, err = port11(be32(b[4:])); err != nil {
			return nil, err
		}
		m.OutGroup = be32(b[8:])
		m.Cookie, m.CookieMask = be64(b[16:]), be64(b[24:])
		if _, err = d.pullMatch(&m.Match, b[32:]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *FlowStatsRequest) format(p *printer) {
	if m.TableID != TableAll {
		p.str(" table=")
		p.table(m.TableID)
	}
	if m.OutPort != flow.OFPNone {
		p.str(" out_port=")
		p.port(m.OutPort)
	}
	p.byte(' ')
	p.match(&m.Match, match.DefaultPriority)
}

// oxs are statistics of OpenFlow 1.5; a value of all ones is not there.
type oxs struct {
	durationSec, durationNsec uint32
	idleAge                   uint32
	flowCount                 uint32
	packetCount, byteCount    uint64
}

// Headers of statistics, with the lengths of their values.
const (
	oxsDuration    = 0x8002<<16 | 0<<9 | 8
	oxsIdleTime    = 0x8002<<16 | 1<<9 | 8
	oxsFlowCount   = 0x8002<<16 | 3<<9 | 4
	oxsPacketCount = 0x8002<<16 | 4<<9 | 8
	oxsByteCount   = 0x8002<<16 | 5<<9 | 8
)

func (e *encoder) oxs(s oxs) {
	start := len(e.b)
	e.zeros(4)
	if s.durationSec != math.MaxUint32 {
		e.u32(oxsDuration)
		e.u32(s.durationSec)
		e.u32(s.durationNsec)
	}
	if s.idleAge != math.MaxUint32 {
		e.u32(oxsIdleTime)
		e.u32(s.idleAge)
		e.u32(0)
	}
	if s.packetCount != math.MaxUint64 {
		e.u32(oxsPacketCount)
		e.u64(s.packetCount)
	}
	if s.byteCount != math.MaxUint64 {
		e.u32(oxsByteCount)
		e.u64(s.byteCount)
	}
	if s.flowCount != math.MaxUint32 {
		e.u32(oxsFlowCount)
		e.u32(s.flowCount)
	}
	e.put16(start+2, uint16(len(e.b)-start))
	e.align(start)
}

// pullOXS takes statistics and their padding off b.
func pullOXS(b []byte) (s oxs, rest []byte, err error) {
	s = oxs{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint64, math.MaxUint64}
	if len(b) < 4 {
		return s, nil, oferr.OFPBMC_BAD_LEN
	}
	n := int(be16(b[2:]))
	padded := (n + 7) &^ 7
	if n < 4 || padded > len(b) {
		return s, nil, oferr.OFPBMC_BAD_LEN
	}
	for stats := b[4:n]; len(stats) > 0; {
		if len(stats) < 4 {
			return s, nil, oferr.OFPBMC_BAD_LEN
		}
		header := be32(stats)
		size := 4 + int(header&0xff)
		if size > len(stats) || header>>16 == 0xffff && size < 8 {
			return s, nil, oferr.OFPBMC_BAD_LEN
		}
		s.set(header, stats[4:size])
		stats = stats[size:]
	}
	return s, b[padded:], nil
}

// set takes one statistic; others than those known are skipped.
func (s *oxs) set(header uint32, b []byte) {
	switch header {
	case oxsDuration:
		s.durationSec, s.durationNsec = be32(b), be32(b[4:])
	case oxsIdleTime:
		s.idleAge = be32(b)
	case oxsFlowCount:
		s.flowCount = be32(b)
	case oxsPacketCount:
		s.packetCount = be64(b)
	case oxsByteCount:
		s.byteCount = be64(b)
	}
}

// known is a counter for versions that cannot say "not known".
func known(x uint64) uint64 {
	if x == NoCounter {
		return 0
	}
	return x
}

// age is a number of seconds as Nicira statistics carry it: 0 is "not known".
func age(sec int) uint16 { return uint16(min(max(sec, -1)+1, math.MaxUint16)) }

func (m *FlowStats) entry(e *encoder, r Raw) {
	start := len(e.b)
	e.zeros(2)
	switch r {
	case RawOFPST15FlowReply:
		e.zeros(2)
		e.u8(m.TableID)
		e.u8(0)
		e.u16(m.Priority)
		e.u16(m.IdleTimeout)
		e.u16(m.HardTimeout)
		e.u16(m.Flags.wire(e.v))
		e.u16(m.Importance)
		e.u64(m.Cookie)
		e.oxm(&m.Match)
		s := oxs{m.DurationSec, m.DurationNsec, math.MaxUint32, math.MaxUint32, m.PacketCount, m.ByteCount}
		if m.IdleAge >= 0 {
			s.idleAge = uint32(m.IdleAge)
		}
		e.oxs(s)
		e.instructions(m.Actions)
	case RawOFPST10FlowReply:
		m.entry10(e)
	case RawNXSTFlowReply:
		m.entryNX(e)
	default:
		m.entry11(e, r)
	}
	// A flow that does not fit any message is left out, as in stock.
	if len(e.b)-start > MaxLen-rawTable[r].headerLen(e.v) {
		e.b = e.b[:start]
		return
	}
	e.put16(start, uint16(len(e.b)-start))
}

func (m *FlowStats) entry10(e *encoder) {
	e.u8(m.TableID)
	e.u8(0)
	e.b = m.Match.Append10(e.b)
	e.u32(m.DurationSec)
	e.u32(m.DurationNsec)
	e.u16(m.Priority)
	e.u16(m.IdleTimeout)
	e.u16(m.HardTimeout)
	e.zeros(6)
	e.u64(m.Cookie)
	e.u64(known(m.PacketCount))
	e.u64(known(m.ByteCount))
	e.actions(m.Actions)
}

func (m *FlowStats) entryNX(e *encoder) {
	start := len(e.b)
	e.u8(m.TableID)
	e.u8(0)
	e.u32(m.DurationSec)
	e.u32(m.DurationNsec)
	e.u16(m.Priority)
	e.u16(m.IdleTimeout)
	e.u16(m.HardTimeout)
	e.u16(0)
	e.u16(age(m.IdleAge))
	e.u16(age(m.HardAge))
	e.u64(m.Cookie)
	e.u64(m.PacketCount)
	e.u64(m.ByteCount)
	n := e.nxm(&m.Match, match.Cookie{})
	e.put16(start+16, uint16(n))
	e.actions(m.Actions)
}

func (m *FlowStats) entry11(e *encoder, r Raw) {
	e.u8(m.TableID)
	e.u8(0)
	e.u32(m.DurationSec)
	e.u32(m.DurationNsec)
	e.u16(m.Priority)
	e.u16(m.IdleTimeout)
	e.u16(m.HardTimeout)
	if r == RawOFPST13FlowReply {
		e.u16(m.Flags.wire(e.v))
	} else {
		e.u16(0)
	}
	if e.v >= OF14 {
		e.u16(m.Importance)
	} else {
		e.u16(0)
	}
	e.zeros(2)
	e.u64(m.Cookie)
	e.u64(known(m.PacketCount))
	e.u64(known(m.ByteCount))
	e.oxm(&m.Match) // also in OpenFlow 1.1, as stock sends it
	e.instructions(m.Actions)
}

func (m *FlowStatsReply) encode(e *encoder) {
	r := stdRaw(TypeFlowStatsReply, e.v)
	if e.p&ofver.OF10NXMAny != 0 {
		r = RawNXSTFlowReply
	}
	e.beginPart(r, m.More)
	for i := range m.Flows {
		m.Flows[i].entry(e, r)
	}
}

func decodeFlowStatsReply(d decoder) (Msg, error) {
	m := &FlowStatsReply{More: d.more()}
	for b := d.body; len(b) > 0; {
		m.Flows = append(m.Flows, FlowStats{IdleAge: -1, HardAge: -1})
		rest, err := m.Flows[len(m.Flows)-1].decode(&d, b)
		if err != nil {
			m.Flows = m.Flows[:len(m.Flows)-1]
			return m, err
		}
		b = rest
	}
	return m, nil
}

// flowStatsSize is the size of what precedes the match, or includes it.
func flowStatsSize(r Raw) int {
	switch r {
	case RawOFPST10FlowReply:
		return 88
	case RawOFPST15FlowReply:
		return 24
	}
	return 48
}

func (m *FlowStats) decode(d *decoder, b []byte) (rest []byte, err error) {
	size := flowStatsSize(d.Raw)
	if len(b) < size {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	n := int(be16(b))
	if n < size || n > len(b) {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	rest, b = b[n:], b[:n]
	switch d.Raw {
	case RawOFPST10FlowReply:
		b = m.decode10(b)
	case RawNXSTFlowReply:
		b, err = m.decodeNX(d, b)
	case RawOFPST15FlowReply:
		b, err = m.decode15(d, b)
	default:
		b, err = m.decode11(d, b)
	}
	if err != nil {
		return nil, err
	}
	m.Actions, err = d.instructions(b)
	return rest, err
}

func (m *FlowStats) decode10(b []byte) (rest []byte) {
	m.TableID = b[2]
	m.Match.Decode10(b[4:44])
	m.DurationSec, m.DurationNsec = be32(b[44:]), be32(b[48:])
	m.Priority, m.IdleTimeout, m.HardTimeout = be16(b[52:]), be16(b[54:]), be16(b[56:])
	m.Cookie, m.PacketCount, m.ByteCount = be64(b[64:]), be64(b[72:]), be64(b[80:])
	return b[88:]
}

func (m *FlowStats) decodeNX(d *decoder, b []byte) (rest []byte, err error) {
	m.TableID = b[2]
	m.DurationSec, m.DurationNsec = be32(b[4:]), be32(b[8:])
	m.Priority, m.IdleTimeout, m.HardTimeout = be16(b[12:]), be16(b[14:]), be16(b[16:])
	m.IdleAge, m.HardAge = int(be16(b[20:]))-1, int(be16(b[22:]))-1
	m.Cookie, m.PacketCount, m.ByteCount = be64(b[24:]), be64(b[32:]), be64(b[40:])
	n := int(be16(b[18:]))
	if 48+(n+7)&^7 > len(b) {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	return d.pullNXM(&m.Match, b[48:], n, nil)
}

func (m *FlowStats) decode11(d *decoder, b []byte) (rest []byte, err error) {
	m.TableID = b[2]
	m.DurationSec, m.DurationNsec = be32(b[4:]), be32(b[8:])
	m.Priority, m.IdleTimeout, m.HardTimeout = be16(b[12:]), be16(b[14:]), be16(b[16:])
	if d.Raw == RawOFPST13FlowReply {
		if m.Flags, err = decodeFlowFlags(be16(b[18:]), d.Version, false); err != nil {
			return nil, err
		}
	}
	if d.Version >= OF14 {
		m.Importance = be16(b[20:])
	}
	m.Cookie, m.PacketCount, m.ByteCount = be64(b[24:]), be64(b[32:]), be64(b[40:])
	return d.pullMatch(&m.Match, b[48:])
}

func (m *FlowStats) decode15(d *decoder, b []byte) (rest []byte, err error) {
	m.TableID = b[4]
	m.Priority, m.IdleTimeout, m.HardTimeout = be16(b[6:]), be16(b[8:]), be16(b[10:])
	m.Importance, m.Cookie = be16(b[14:]), be64(b[16:])
	if m.Flags, err = decodeFlowFlags(be16(b[12:]), d.Version, false); err != nil {
		return nil, err
	}
	if rest, err = d.pullMatch(&m.Match, b[24:]); err != nil {
		return nil, err
	}
	s, rest, err := pullOXS(rest)
	m.DurationSec, m.DurationNsec = s.durationSec, s.durationNsec
	m.PacketCount, m.ByteCount = s.packetCount, s.byteCount
	if s.idleAge != math.MaxUint32 {
		m.IdleAge = int(s.idleAge)
	}
	return rest, err
}

func (m *FlowStatsReply) format(p *printer) {
	for i := range m.Flows {
		p.str("\n ")
		p.flowStats(&m.Flows[i], true)
	}
}

// AppendText appends a flow as flow dumps show it, without statistics if stats is
// false.
func (m *FlowStats) AppendText(dst []byte, names *Names, stats bool) []byte {
	p := printer{b: dst, start: len(dst), names: names}
	p.flowStats(m, stats)
	return p.b
}

func (p *printer) flowStats(m *FlowStats, stats bool) {
	if stats || m.Cookie != 0 {
		p.f("cookie=0x%x, ", m.Cookie)
	}
	if stats {
		p.str("duration=")
		p.duration(m.DurationSec, m.DurationNsec)
		p.str(", ")
	}
	if stats || m.TableID != 0 || p.tables() != nil && p.tables().TableName(m.TableID) != "" {
		p.str("table=")
		p.table(m.TableID)
		p.str(", ")
	}
	if stats {
		p.counter("n_packets=", m.PacketCount, ", ")
		p.counter("n_bytes=", m.ByteCount, ", ")
	}
	number := func(label string, x int) {
		p.str(label)
		p.dec(uint64(x))
		p.str(", ")
	}
	if m.IdleTimeout != 0 {
		number("idle_timeout=", int(m.IdleTimeout))
	}
	if m.HardTimeout != 0 {
		number("hard_timeout=", int(m.HardTimeout))
	}
	p.flowFlags(m.Flags)
	if m.Importance != 0 {
		number("importance=", int(m.Importance))
	}
	if stats && m.IdleAge >= 0 {
		number("idle_age=", m.IdleAge)
	}
	if stats && m.HardAge >= 0 && m.HardAge != int(m.DurationSec) {
		number("hard_age=", m.HardAge)
	}
	before := len(p.b)
	p.match(&m.Match, m.Priority)
	if len(p.b) != before {
		p.byte(' ')
	}
	p.str("actions=")
	p.actions(m.Actions)
}

func (m *AggregateReply) encode(e *encoder) {
	r := stdRaw(TypeAggregateStatsReply, e.v)
	if e.p&ofver.OF10NXMAny != 0 {
		r = RawNXSTAggregateReply
	}
	m.encodeAs(e, r)
}

// encodeAs writes the reply in a layout, for a ReplyBuilder.
func (m *AggregateReply) encodeAs(e *encoder, r Raw) {
	e.begin(r)
	m.entry(e, r)
}

func (m *AggregateReply) entry(e *encoder, r Raw) {
	if r == RawOFPST15AggregateReply {
		e.oxs(oxs{math.MaxUint32, math.MaxUint32, math.MaxUint32, m.FlowCount, m.PacketCount, m.ByteCount})
		return
	}
	packets, bytes := m.PacketCount, m.ByteCount
	if e.v == OF10 && r == RawOFPSTAggregateReply {
		packets, bytes = known(packets), known(bytes)
	}
	e.u64(packets)
	e.u64(bytes)
	e.u32(m.FlowCount)
	e.zeros(4)
}

func decodeAggregateReply(d decoder) (Msg, error) {
	if d.Raw == RawOFPST15AggregateReply {
		s, _, err := pullOXS(d.body)
		if err != nil {
			return nil, err
		}
		return &AggregateReply{s.packetCount, s.byteCount, s.flowCount}, nil
	}
	return &AggregateReply{be64(d.body), be64(d.body[8:]), be32(d.body[16:])}, nil
}

func (m *AggregateReply) format(p *printer) {
	p.f(" packet_count=%d byte_count=%d flow_count=%d", m.PacketCount, m.ByteCount, m.FlowCount)
}

var flowReasonNames = [...]string{"idle", "hard", "delete", "group_delete", "meter_delete", "eviction"}

// String is the name that prints use.
func (r FlowReason) String() string { return nameOr(flowReasonNames[:]...)(int(r)) }

func (m *FlowRemoved) encode(e *encoder) {
	reason := m.Reason
	if reason == RemovedMeterDelete && e.v < OF14 {
		reason = RemovedDelete
	}
	switch {
	case e.v >= OF15:
		e.begin(RawOFPT15FlowRemoved)
		e.u8(m.TableID)
		e.u8(uint8(reason))
		e.u16(m.Priority)
		e.u16(m.IdleTimeout)
		e.u16(m.HardTimeout)
		e.u64(m.Cookie)
		e.match(&m.Match)
		e.oxs(oxs{m.DurationSec, m.DurationNsec, math.MaxUint32, math.MaxUint32, m.PacketCount, m.ByteCount})
	case e.v >= OF11:
		e.begin(RawOFPT11FlowRemoved)
		m.encodeCommon(e, reason, m.TableID, m.HardTimeout)
		e.u64(m.PacketCount)
		e.u64(m.ByteCount)
		e.match(&m.Match)
	case e.p&ofver.OF10NXMAny != 0:
		e.begin(RawNXTFlowRemoved)
		body := len(e.b)
		m.encodeCommon(e, reason, m.TableID+1, 0)
		e.u64(m.PacketCount)
		e.u64(m.ByteCount)
		n := e.nxm(&m.Match, match.Cookie{})
		e.put16(body+22, uint16(n))
	default:
		e.begin(RawOFPT10FlowRemoved)
		e.b = m.Match.Append10(e.b)
		m.encodeCommon(e, reason, 0, 0)
		e.u64(known(m.PacketCount))
		e.u64(known(m.ByteCount))
	}
}

// encodeCommon writes what the layouts before OpenFlow 1.5 share.
func (m *FlowRemoved) encodeCommon(e *encoder, reason FlowReason, table uint8, hard uint16) {
	e.u64(m.Cookie)
	e.u16(m.Priority)
	e.u8(uint8(reason))
	e.u8(table)
	e.u32(m.DurationSec)
	e.u32(m.DurationNsec)
	e.u16(m.IdleTimeout)
	e.u16(hard)
}

// decodeCommon reads what encodeCommon writes, and the counters behind it.
func (m *FlowRemoved) decodeCommon(b []byte) {
	m.Cookie, m.Priority, m.Reason, m.TableID = be64(b), be16(b[8:]), FlowReason(b[10]), b[11]
	m.DurationSec, m.DurationNsec = be32(b[12:]), be32(b[16:])
	m.IdleTimeout, m.HardTimeout = be16(b[20:]), be16(b[22:])
	m.PacketCount, m.ByteCount = be64(b[24:]), be64(b[32:])
}

func decodeFlowRemoved(d decoder) (Msg, error) {
	m, b := &FlowRemoved{}, d.body
	var rest []byte
	var err error
	switch d.Raw {
	case RawOFPT10FlowRemoved:
		m.Match.Decode10(b[:match.Size10])
		m.decodeCommon(b[match.Size10:])
		m.TableID, m.HardTimeout = TableAll, 0
	case RawNXTFlowRemoved:
		m.decodeCommon(b)
		n := int(m.HardTimeout) // the length of the match is at its place
		m.HardTimeout = 0
		m.TableID-- // 0 is "not given", which makes TableAll
		if rest, err = d.pullNXM(&m.Match, b[40:], n, nil); err == nil && len(rest) > 0 {
			err = oferr.OFPBRC_BAD_LEN
		}
	case RawOFPT11FlowRemoved:
		m.decodeCommon(b)
		_, err = d.pullMatch(&m.Match, b[40:])
	default:
		m.TableID, m.Reason, m.Priority = b[0], FlowReason(b[1]), be16(b[2:])
		m.IdleTimeout, m.HardTimeout, m.Cookie = be16(b[4:]), be16(b[6:]), be64(b[8:])
		if rest, err = d.pullMatch(&m.Match, b[16:]); err != nil {
			return nil, err
		}
		var s oxs
		s, _, err = pullOXS(rest)
		m.DurationSec, m.DurationNsec = s.durationSec, s.durationNsec
		m.PacketCount, m.ByteCount = s.packetCount, s.byteCount
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (m *FlowRemoved) format(p *printer) {
	p.byte(' ')
	p.match(&m.Match, m.Priority)
	p.f(" reason=%v", m.Reason)
	if m.TableID != TableAll {
		p.str(" table_id=")
		p.table(m.TableID)
	}
	if m.Cookie != 0 {
		p.f(" cookie:0x%x", m.Cookie)
	}
	p.str(" duration")
	p.duration(m.DurationSec, m.DurationNsec)
	p.f(" idle%d", m.IdleTimeout)
	if m.HardTimeout != 0 {
		p.f(" hard%d", m.HardTimeout)
	}
	p.f(" pkts%d bytes%d\n", m.PacketCount, m.ByteCount)
}
