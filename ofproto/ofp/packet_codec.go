package ofp

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/ofp/oferr"
)

// Properties of NXT_PACKET_IN2 and NXT_RESUME.
const (
	propPinPacket       = 0
	propPinFullLen      = 1
	propPinBufferID     = 2
	propPinTableID      = 3
	propPinCookie       = 4
	propPinReason       = 5
	propPinMetadata     = 6
	propPinUserData     = 7
	propPinContinuation = 8
)

// Properties of a continuation.  They are private to the switch; these are stock's.
const (
	propContBridge      = 0x8000
	propContStack       = 0x8001
	propContMirrors     = 0x8002
	propContConntracked = 0x8003
	propContTableID     = 0x8004
	propContCookie      = 0x8005
	propContActions     = 0x8006
	propContActionSet   = 0x8007
	propContODPPort     = 0x8008
)

// maxStackValue is the size of the longest value on the stack.
const maxStackValue = 128

// wire is the reason as version v can say it.
func (r PacketInReason) wire(v Version) uint8 {
	switch r {
	case ReasonActionSet, ReasonGroup, ReasonPacketOut:
		if v < OF14 {
			return uint8(ReasonAction)
		}
	case ReasonExplicitMiss:
		if v < OF13 {
			return uint8(ReasonAction)
		}
		return uint8(ReasonNoMatch)
	case ReasonImplicitMiss:
		return uint8(ReasonNoMatch)
	}
	return uint8(r)
}

// String is the name that prints use; the switch's own reasons have none.
func (r PacketInReason) String() string {
	return nameOr("no_match", "action", "invalid_ttl", "action_set", "group", "packet_out", "", "")(int(r))
}

func (m *PacketIn) totalLen() int { return max(m.TotalLen, len(m.Packet)) }

func (m *PacketIn) encode(e *encoder) {
	switch {
	case m.Format == PacketInNXT2:
		e.begin(RawNXTPacketIn2)
		m.encodeNX2(e)
		if len(m.UserData) > 0 {
			e.propBytes(propPinUserData, m.UserData)
		}
		return
	case m.Format == PacketInNXT:
		m.encodeNX(e)
	case e.v == OF10:
		e.begin(RawOFPT10PacketIn)
		e.u32(m.BufferID)
		e.u16(uint16(m.totalLen()))
		e.port16(m.Metadata.Flow.InPort)
		e.u8(m.Reason.wire(e.v))
		e.u8(0)
	case e.v == OF11:
		e.begin(RawOFPT11PacketIn)
		e.u32(m.BufferID)
		e.u32(m.Metadata.Flow.InPort)
		e.u32(m.Metadata.Flow.InPort)
		e.u16(uint16(m.totalLen()))
		e.u8(m.Reason.wire(e.v))
		e.u8(m.TableID)
	default:
		e.begin(stdRaw(TypePacketIn, e.v))
		e.u32(m.BufferID)
		e.u16(uint16(m.totalLen()))
		e.u8(m.Reason.wire(e.v))
		e.u8(m.TableID)
		if e.v >= OF13 {
			e.u64(m.Cookie)
		}
		e.oxm(&m.Metadata)
		e.zeros(2)
	}
	e.bytes(m.Packet)
}

func (m *PacketIn) encodeNX(e *encoder) {
	e.begin(RawNXTPacketIn)
	body := len(e.b)
	e.u32(m.BufferID)
	e.u16(uint16(m.totalLen()))
	e.u8(m.Reason.wire(e.v))
	e.u8(m.TableID)
	e.u64(m.Cookie)
	e.zeros(8)
	n := e.nxm(&m.Metadata, match.Cookie{})
	e.put16(body+16, uint16(n))
	e.zeros(2)
}

func (e *encoder) propBytes(typ uint64, b []byte) {
	at := e.startProp(typ)
	e.bytes(b)
	e.endProp(at)
}

// encodeNX2 writes the properties that a NXT_PACKET_IN2 and a NXT_RESUME share.
func (m *PacketIn) encodeNX2(e *encoder) {
	e.propBytes(propPinPacket, m.Packet)
	if n := m.totalLen(); n != len(m.Packet) {
		e.propU32(propPinFullLen, uint32(n))
	}
	e.propBytes(propPinTableID, []byte{m.TableID})
	if m.Cookie != NoCookie {
		e.propU64(propPinCookie, m.Cookie)
	}
	e.propBytes(propPinReason, []byte{m.Reason.wire(e.v)})
	at := e.startProp(propPinMetadata)
	e.b = m.Metadata.AppendEntries(e.b, e.v, match.Cookie{})
	e.endProp(at)

	at = e.startProp(propPinContinuation)
	e.align(at)
	begin := len(e.b)
	if m.Continuation != nil {
		m.Continuation.encode(e)
	} else {
		e.bytes(m.RawContinuation)
	}
	if len(e.b) == begin {
		e.b = e.b[:at]
	} else {
		e.endProp(at)
	}
}

func (c *Continuation) encode(e *encoder) {
	if c.Bridge != [16]byte{} {
		id := swapWords(c.Bridge)
		e.propBytes(propContBridge, id[:])
	}
	for _, v := range c.Stack {
		e.propBytes(propContStack, v)
	}
	if c.Mirrors != 0 {
		e.propU32(propContMirrors, c.Mirrors)
	}
	if c.Conntracked {
		e.propBytes(propContConntracked, nil)
	}
	c.encodeActions(e)
	e.actionsProp(propContActionSet, c.ActionSet)
	if c.ODPPort != 0 {
		e.propU32(propContODPPort, c.ODPPort)
	}
}

// swapWords turns the four words of a uuid around: a continuation holds it as stock
// has it in the memory of the usual processors.
func swapWords(id [16]byte) (out [16]byte) {
	for i := range id {
		out[i] = id[i^3]
	}
	return out
}

// actionsProp writes a property that holds actions, unless there are none.
func (e *encoder) actionsProp(typ uint64, l action.List) {
	if len(l) == 0 {
		return
	}
	at := e.startProp(typ)
	e.align(at)
	e.actions(l)
	e.endProp(at)
}

// encodeActions splits the actions at each change of the table and cookie that
// packet-ins show; these have no wire form among the actions.
func (c *Continuation) encodeActions(e *encoder) {
	var table uint8
	var cookie uint64
	for l := c.Actions; len(l) > 0; {
		if u, ok := l[0].(*action.UnrollXlate); ok {
			if table != u.Table {
				e.propBytes(propContTableID, []byte{u.Table})
				table = u.Table
			}
			if cookie != u.Cookie {
				e.propU64(propContCookie, u.Cookie)
				cookie = u.Cookie
			}
			l = l[1:]
		}
		n := 0
		for n < len(l) && l[n].Kind() != action.KindUnrollXlate {
			n++
		}
		e.actionsProp(propContActions, l[:n])
		l = l[n:]
	}
}

func decodePacketIn(d decoder) (Msg, error) {
	m := &PacketIn{}
	if err := m.decode(&d); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *PacketIn) decode(d *decoder) error {
	m.Cookie = NoCookie
	opt := d.matchOptions()
	opt.Loose = true
	b := d.body
	switch d.Raw {
	case RawNXTPacketIn2, RawNXTResume:
		m.Format = PacketInNXT2
		return m.decodeNX2(d)
	case RawOFPT10PacketIn:
		m.BufferID, m.TotalLen, m.Reason = be32(b), int(be16(b[4:])), PacketInReason(b[8])
		setInPort(&m.Metadata, port10(be16(b[6:])))
		b = b[10:]
	case RawOFPT11PacketIn:
		m.BufferID, m.TotalLen = be32(b), int(be16(b[12:]))
		m.Reason, m.TableID = PacketInReason(b[14]), b[15]
		port, err := port11(be32(b[4:]))
		if err != nil {
			return err
		}
		setInPort(&m.Metadata, port)
		b = b[16:]
	case RawNXTPacketIn:
		m.Format = PacketInNXT
		m.Cookie = be64(b[8:])
		n, err := m.Metadata.PullNXM(b[24:], int(be16(b[16:])), opt, &match.Cookie{})
		if err != nil {
			return err
		}
		return m.tail(b, b[24+n:])
	default:
		rest := b[8:]
		if d.Raw == RawOFPT13PacketIn {
			m.Cookie, rest = be64(rest), rest[8:]
		}
		n, err := m.Metadata.PullOXM(rest, opt)
		if err != nil {
			return err
		}
		return m.tail(b, rest[n:])
	}
	m.Packet = b
	return nil
}

// tail reads the first bytes that most layouts share, and the packet behind two
// bytes of padding.
func (m *PacketIn) tail(b, rest []byte) error {
	if len(rest) < 2 {
		return oferr.OFPBRC_BAD_LEN
	}
	m.BufferID, m.TotalLen = be32(b), int(be16(b[4:]))
	m.Reason, m.TableID = PacketInReason(b[6]), b[7]
	m.Packet = rest[2:]
	return nil
}

// setInPort makes m the exact match on an input port.
func setInPort(m *match.Match, port uint32) {
	m.Flow.InPort, m.Mask.InPort = port, 0xffffffff
}

func (m *PacketIn) decodeNX2(d *decoder) error {
	m.BufferID = NoBuffer
	err := eachProp(d.body, func(p property) error { return m.prop(d, p) })
	switch {
	case err != nil:
		return err
	case len(m.Packet) == 0:
		return oferr.OFPBRC_BAD_LEN
	case m.TotalLen == 0:
		m.TotalLen = len(m.Packet)
	case m.TotalLen < len(m.Packet):
		return oferr.OFPBRC_BAD_LEN
	}
	if len(m.RawContinuation) > 0 {
		m.Continuation = &Continuation{}
		return m.Continuation.decode(d, m.RawContinuation)
	}
	return nil
}

func (m *PacketIn) prop(d *decoder, p property) (err error) {
	var u32 uint32
	var u8 uint8
	switch p.typ {
	case propPinPacket:
		m.Packet = p.body
	case propPinFullLen:
		u32, err = p.u32()
		m.TotalLen = int(u32)
	case propPinBufferID:
		m.BufferID, err = p.u32()
	case propPinTableID:
		m.TableID, err = p.u8()
	case propPinCookie:
		m.Cookie, err = p.u64()
	case propPinReason:
		u8, err = p.u8()
		m.Reason = PacketInReason(u8)
	case propPinMetadata:
		opt := d.matchOptions()
		opt.Loose = d.c.loose
		err = m.Metadata.Decode(p.body, opt, nil)
	case propPinUserData:
		m.UserData = p.body
	case propPinContinuation:
		m.RawContinuation, err = p.nested()
	default:
		err = unknownProp(d.c.loose, p.typ)
	}
	return err
}

func (c *Continuation) decode(d *decoder, b []byte) error {
	var at action.UnrollXlate
	return eachProp(b, func(p property) (err error) {
		switch p.typ {
		case propContBridge:
			if len(p.body) != 16 {
				return oferr.OFPBPC_BAD_LEN
			}
			c.Bridge = swapWords([16]byte(p.body))
		case propContStack:
			if len(p.body) > maxStackValue {
				return oferr.OFPBPC_BAD_LEN
			}
			c.Stack = append(c.Stack, p.body)
		case propContMirrors:
			c.Mirrors, err = p.u32()
		case propContConntracked:
			c.Conntracked = true
		case propContTableID:
			at.Table, err = p.u8()
		case propContCookie:
			at.Cookie, err = p.u64()
		case propContActions:
			unroll := at
			c.Actions = append(c.Actions, &unroll)
			err = d.appendActions(&c.Actions, p)
		case propContActionSet:
			err = d.appendActions(&c.ActionSet, p)
		case propContODPPort:
			c.ODPPort, err = p.u32()
		default:
			err = unknownProp(d.c.loose, p.typ)
		}
		return err
	})
}

// appendActions reads a property that holds actions.
func (d *decoder) appendActions(l *action.List, p property) error {
	b, err := p.nested()
	if err != nil {
		return err
	}
	more, err := d.actions(b)
	*l = append(*l, more...)
	return err
}

func (m *PacketIn) format(p *printer) {
	if m.TableID != 0 || p.tables() != nil && p.tables().TableName(m.TableID) != "" {
		p.str(" table_id=")
		p.table(m.TableID)
	}
	if m.Cookie != NoCookie {
		p.f(" cookie=0x%x", m.Cookie)
	}
	p.f(" total_len=%d ", m.TotalLen)
	p.match(&m.Metadata, match.DefaultPriority)
	p.f(" (via %v) data_len=%d", m.Reason, len(m.Packet))
	if m.BufferID == NoBuffer {
		p.str(" (unbuffered)")
		if m.TotalLen != len(m.Packet) {
			p.str(" (***total_len != data_len***)")
		}
	} else {
		p.f(" buffer=0x%08x", m.BufferID)
		if m.TotalLen < len(m.Packet) {
			p.str(" (***total_len < data_len***)")
		}
	}
	p.byte('\n')
	if len(m.UserData) > 0 {
		p.str(" userdata=")
		for i, c := range m.UserData {
			if i > 0 {
				p.byte('.')
			}
			p.f("%02x", c)
		}
		p.byte('\n')
	}
	if m.Continuation != nil {
		m.Continuation.format(p)
	}
	if p.verbosity > 0 {
		p.packet(m.Packet, m.Metadata.Flow.PacketType)
	}
	if p.verbosity > 2 {
		p.hexDumpPlain(m.Packet)
	}
}

func (c *Continuation) format(p *printer) {
	if b := &c.Bridge; *b != [16]byte{} {
		p.f(" continuation.bridge=%x-%x-%x-%x-%x\n", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	}
	if len(c.Stack) > 0 {
		p.str(" continuation.stack=(top)")
		for _, v := range c.Stack {
			p.byte(' ')
			p.stackValue(v)
		}
		p.str(" (bottom)\n")
	}
	if c.Mirrors != 0 {
		p.f(" continuation.mirrors=0x%x\n", c.Mirrors)
	}
	if c.Conntracked {
		p.str(" continuation.conntracked=true\n")
	}
	if len(c.Actions) > 0 {
		p.str(" continuation.actions=")
		p.actions(c.Actions)
		p.byte('\n')
	}
	if len(c.ActionSet) > 0 {
		p.str(" continuation.action_set=")
		p.actions(c.ActionSet)
		p.byte('\n')
	}
	if c.ODPPort != 0 {
		p.f(" continuation.odp_port=%d\n", c.ODPPort)
	}
}

// stackValue prints a number of any size in hexadecimal.
func (p *printer) stackValue(v []byte) {
	for len(v) > 0 && v[0] == 0 {
		v = v[1:]
	}
	if len(v) == 0 {
		p.byte('0')
		return
	}
	p.f("0x%x", v[0])
	p.f("%x", v[1:])
}

func (m *Resume) encode(e *encoder) {
	e.begin(RawNXTResume)
	m.encodeNX2(e)
}

func decodeResume(d decoder) (Msg, error) {
	m := &Resume{}
	if err := m.decode(&d); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *PacketOut) encode(e *encoder) {
	e.begin(stdRaw(TypePacketOut, e.v))
	body := len(e.b)
	e.u32(m.BufferID)
	lenAt := body + 8
	switch {
	case e.v == OF10:
		lenAt = body + 6
		e.port16(m.Metadata.Flow.InPort)
		e.u16(0)
	case e.v < OF15:
		e.u32(m.Metadata.Flow.InPort)
		e.zeros(8)
	default:
		lenAt = body + 4
		e.zeros(4)
		e.oxm(&m.Metadata)
	}
	start := len(e.b)
	e.actions(m.Actions)
	e.put16(lenAt, uint16(len(e.b)-start))
	if m.BufferID == NoBuffer {
		e.bytes(m.Packet)
	}
}

func decodePacketOut(d decoder) (Msg, error) {
	b, m := d.body, &PacketOut{}
	m.BufferID = be32(b)
	var n int
	switch d.Raw {
	case RawOFPT15PacketOut:
		n = int(be16(b[4:]))
		opt := d.matchOptions()
		opt.Loose, opt.PipelineOnly = true, true
		size, err := m.Metadata.PullOXM(b[8:], opt)
		if err != nil {
			return nil, err
		}
		if m.Metadata.Mask.InPort == 0 {
			return nil, oferr.OFPBRC_BAD_PORT
		}
		b = b[8+size:]
	case RawOFPT11PacketOut:
		port, err := port11(be32(b[4:]))
		if err != nil {
			return nil, err
		}
		m.Metadata.SetDefaultPacketType()
		setInPort(&m.Metadata, port)
		n, b = int(be16(b[8:])), b[16:]
	default:
		m.Metadata.SetDefaultPacketType()
		setInPort(&m.Metadata, port10(be16(b[4:])))
		n, b = int(be16(b[6:])), b[8:]
	}
	if n > len(b) {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	var err error
	if m.Actions, err = d.actions(b[:n]); err != nil {
		return nil, err
	}
	switch port := m.Metadata.Flow.InPort; {
	case port < 0xff00, port == flow.OFPLocal, port == flow.OFPNone, port == flow.OFPController:
	default:
		return nil, oferr.OFPBRC_BAD_PORT
	}
	if m.BufferID == NoBuffer {
		m.Packet = b[n:]
	}
	return m, nil
}

func (m *PacketOut) format(p *printer) {
	p.byte(' ')
	p.match(&m.Metadata, match.DefaultPriority)
	p.str(" actions=")
	p.actions(m.Actions)
	if m.BufferID != NoBuffer {
		p.f(" buffer=0x%08x", m.BufferID)
		return
	}
	p.f(" data_len=%d", len(m.Packet))
	if p.verbosity > 0 && len(m.Packet) > 0 {
		p.byte('\n')
		p.packet(m.Packet, m.Metadata.Flow.PacketType)
	}
	if p.verbosity > 2 {
		p.hexDumpPlain(m.Packet)
	}
}
