package ofp

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/ofp/oferr"
)

// Flags of monitors in the Nicira and ONF messages: the same numbers, but for one.
const (
	nxMonitorOwn  = 1 << 5
	nxMonitorAny  = MonitorAdded | MonitorRemoved | MonitorChanged
	nxMonitorSame = MonitorInitial | nxMonitorAny | MonitorActions
)

func (f MonitorFlags) toNX() uint16 {
	nx := uint16(f & nxMonitorSame)
	if f&MonitorOnlyOwn != 0 {
		nx |= nxMonitorOwn
	}
	return nx
}

func monitorFlagsFromNX(nx uint16) (MonitorFlags, error) {
	f := MonitorFlags(nx)
	if f&nxMonitorAny == 0 || f&^(nxMonitorSame|nxMonitorOwn) != 0 {
		return 0, oferr.OFPMOFC_BAD_FLAGS
	}
	if nx&nxMonitorOwn != 0 {
		f = f&^nxMonitorOwn | MonitorOnlyOwn
	}
	return f, nil
}

func (m *FlowMonitorRequest) encode(e *encoder) {
	r := stdRaw(TypeFlowMonitorStatsRequest, e.v)
	e.beginPart(r, m.More)
	for i := range m.Monitors {
		m.Monitors[i].encode(e)
	}
}

func (m *FlowMonitor) encode(e *encoder) {
	start := len(e.b)
	e.u32(m.ID)
	switch {
	case e.v >= OF14:
		e.u32(m.OutPort)
		e.u32(m.OutGroup)
		e.u16(uint16(m.Flags))
		e.u8(m.TableID)
		e.u8(m.Command)
		e.oxm(&m.Match)
	case e.v == OF13:
		e.u16(m.Flags.toNX())
		e.u16(0)
		e.u32(m.OutPort)
		e.u8(m.TableID)
		e.zeros(3)
		e.put16(start+6, uint16(e.oxm(&m.Match)))
	default:
		e.u16(m.Flags.toNX())
		e.port16(m.OutPort)
		e.u16(0)
		e.u8(m.TableID)
		e.zeros(5)
		e.put16(start+8, uint16(e.nxm(&m.Match, match.Cookie{})))
	}
}

func decodeFlowMonitorRequest(d decoder) (Msg, error) {
	m := &FlowMonitorRequest{More: d.more()}
	for b := d.body; len(b) > 0; {
		if len(b) < 16 {
			return m, oferr.OFPBRC_BAD_LEN
		}
		var r FlowMonitor
		var err error
		switch d.Raw {
		case RawNXSTFlowMonitorRequest:
			b, err = r.decodeNX(&d, b)
		case RawONFST13FlowMonitorRequest:
			b, err = r.decodeONF(&d, b)
		default:
			b, err = r.decode14(&d, b)
		}
		if err != nil {
			return m, err
		}
		m.Monitors = append(m.Monitors, r)
	}
	return m, nil
}

func (m *FlowMonitor) decodeNX(d *decoder, b []byte) (rest []byte, err error) {
	m.ID, m.OutPort, m.OutGroup, m.TableID = be32(b), port10(be16(b[6:])), GroupAny, b[10]
	if m.Flags, err = monitorFlagsFromNX(be16(b[4:])); err != nil {
		return nil, err
	}
	if !allZero(b[11:16]) {
		return nil, oferr.NXBRC_MUST_BE_ZERO
	}
	return d.pullNXM(&m.Match, b[16:], int(be16(b[8:])), nil)
}

func (m *FlowMonitor) decodeONF(d *decoder, b []byte) (rest []byte, err error) {
	m.ID, m.OutGroup, m.TableID = be32(b), GroupAny, b[12]
	if m.Flags, err = monitorFlagsFromNX(be16(b[4:])); err != nil {
		return nil, err
	}
	if !allZero(b[13:16]) {
		return nil, oferr.NXBRC_MUST_BE_ZERO
	}
	if m.OutPort, err = port11(be32(b[8:])); err != nil {
		return nil, err
	}
	return d.pullMatch(&m.Match, b[16:])
}

func (m *FlowMonitor) decode14(d *decoder, b []byte) (rest []byte, err error) {
	m.ID, m.Command = be32(b), b[15]
	if m.Command == MonitorDelete {
		// Nothing else matters; stock's own cancel has no match at all.
		m.OutPort, m.OutGroup, m.TableID = be32(b[4:]), be32(b[8:]), b[14]
		m.Flags = MonitorFlags(be16(b[12:]))
		return d.pullMatch(&m.Match, b[16:])
	}
	if m.Command > MonitorDelete {
		return nil, oferr.OFPMOFC_BAD_COMMAND
	}
	m.Flags = MonitorFlags(be16(b[12:]))
	if m.Flags&nxMonitorAny == 0 || m.Flags&^(nxMonitorSame|MonitorOnlyOwn) != 0 {
		return nil, oferr.OFPMOFC_BAD_FLAGS
	}
	if m.OutPort, err = port11(be32(b[4:])); err != nil {
		return nil, err
	}
	m.OutGroup, m.TableID = be32(b[8:]), b[14]
	return d.pullMatch(&m.Match, b[16:])
}

var monitorFlagNames = []bitName{
	{uint32(MonitorInitial), "initial"}, {uint32(MonitorAdded), "add"}, {uint32(MonitorRemoved), "delete"},
	{uint32(MonitorChanged), "modify"}, {uint32(MonitorActions), "actions"},
	{uint32(MonitorNoAbbrev), "no-abbrev"}, {uint32(MonitorOnlyOwn), "own"},
}

func (m *FlowMonitorRequest) format(p *printer) {
	for i := range m.Monitors {
		r := &m.Monitors[i]
		p.f("\n id=%d", r.ID)
		if r.Command == MonitorDelete {
			p.str(" command=delete")
			continue
		}
		p.str(" flags=")
		p.bits(uint32(r.Flags), monitorFlagNames, ',')
		if r.OutPort != flow.OFPNone {
			p.str(" out_port=")
			p.port(r.OutPort)
		}
		if r.OutGroup != 0 && r.OutGroup != GroupAny {
			p.f(" out_group=%d", int32(r.OutGroup))
		}
		if r.TableID != TableAll {
			p.str(" table=")
			p.table(r.TableID)
		}
		p.byte(' ')
		p.match(&r.Match, match.DefaultPriority)
		p.chomp()
	}
}

// Events in the Nicira and ONF messages.
const (
	nxEventAdded    = 0
	nxEventDeleted  = 1
	nxEventModified = 2
	nxEventAbbrev   = 3
)

func (ev FlowEvent) toNX() uint16 {
	switch ev {
	case EventRemoved:
		return nxEventDeleted
	case EventModified:
		return nxEventModified
	case EventAbbrev:
		return nxEventAbbrev
	}
	return nxEventAdded
}

func (m *FlowUpdate) entry(e *encoder, _ Raw) {
	start := len(e.b)
	e.zeros(2)
	if e.v >= OF14 {
		e.u16(uint16(m.Event))
	} else {
		e.u16(m.Event.toNX())
	}
	switch {
	case m.Event == EventAbbrev:
		e.u32(m.XID)
	case m.Event >= EventPaused:
		e.zeros(4)
	case e.v >= OF14:
		e.u8(m.TableID)
		e.u8(uint8(m.Reason))
		e.u16(m.IdleTimeout)
		e.u16(m.HardTimeout)
		e.u16(m.Priority)
		e.zeros(4)
		e.u64(m.Cookie)
		e.oxm(&m.Match)
		e.instructions(m.Actions)
	default:
		m.entryNX(e, start)
	}
	e.put16(start, uint16(len(e.b)-start))
}

func (m *FlowUpdate) entryNX(e *encoder, start int) {
	e.u16(uint16(m.Reason))
	e.u16(m.Priority)
	e.u16(m.IdleTimeout)
	e.u16(m.HardTimeout)
	e.u16(0)
	e.u8(m.TableID)
	e.u8(0)
	e.u64(m.Cookie)
	if e.v == OF13 {
		e.put16(start+12, uint16(e.oxm(&m.Match)))
		e.instructions(m.Actions)
	} else {
		e.put16(start+12, uint16(e.nxm(&m.Match, match.Cookie{})))
		e.actions(m.Actions)
	}
}

func (m *FlowMonitorReply) encode(e *encoder) {
	r := stdRaw(TypeFlowMonitorStatsReply, e.v)
	e.beginPart(r, m.More)
	for i := range m.Updates {
		m.Updates[i].entry(e, r)
	}
}

func decodeFlowMonitorReply(d decoder) (Msg, error) {
	m := &FlowMonitorReply{More: d.more()}
	for b := d.body; len(b) > 0; {
		if len(b) < 4 {
			return m, oferr.OFPBRC_BAD_LEN
		}
		n := int(be16(b))
		if n < 8 || n > len(b) || n%8 != 0 {
			return m, oferr.OFPBRC_BAD_LEN
		}
		var u FlowUpdate
		var err error
		if d.Version >= OF14 {
			err = u.decode14(&d, b[:n])
		} else {
			err = u.decodeNX(&d, b[:n])
		}
		if err != nil {
			return m, err
		}
		m.Updates = append(m.Updates, u)
		b = b[n:]
	}
	return m, nil
}

func (m *FlowUpdate) decode14(d *decoder, b []byte) (err error) {
	m.Event = FlowEvent(be16(b[2:]))
	switch m.Event {
	case EventAbbrev, EventPaused, EventResumed:
		if len(b) != 8 {
			return oferr.OFPBRC_BAD_LEN
		}
		if m.Event == EventAbbrev {
			m.XID = be32(b[4:])
		}
		return nil
	case EventInitial, EventAdded, EventRemoved, EventModified:
	default:
		return oferr.NXBRC_FM_BAD_EVENT
	}
	if len(b) < 24 {
		return oferr.OFPBRC_BAD_LEN
	}
	m.TableID, m.Reason = b[4], FlowReason(b[5])
	m.IdleTimeout, m.HardTimeout, m.Priority, m.Cookie = be16(b[6:]), be16(b[8:]), be16(b[10:]), be64(b[16:])
	rest, err := d.pullMatch(&m.Match, b[24:])
	if err != nil {
		return err
	}
	m.Actions, err = d.instructions(rest)
	return err
}

func (m *FlowUpdate) decodeNX(d *decoder, b []byte) (err error) {
	switch be16(b[2:]) {
	case nxEventAdded:
		m.Event = EventAdded
	case nxEventDeleted:
		m.Event = EventRemoved
	case nxEventModified:
		m.Event = EventModified
	case nxEventAbbrev:
		if len(b) != 8 {
			return oferr.OFPBRC_BAD_LEN
		}
		m.Event, m.XID = EventAbbrev, be32(b[4:])
		return nil
	default:
		return oferr.NXBRC_FM_BAD_EVENT
	}
	n := 0
	if len(b) >= 24 {
		n = int(be16(b[12:]))
	}
	if len(b) < 24+n {
		return oferr.OFPBRC_BAD_LEN
	}
	m.Reason, m.Priority = FlowReason(be16(b[4:])), be16(b[6:])
	m.IdleTimeout, m.HardTimeout, m.TableID, m.Cookie = be16(b[8:]), be16(b[10:]), b[14], be64(b[16:])
	var rest []byte
	if d.Raw == RawONFST13FlowMonitorReply {
		if rest, err = d.pullMatch(&m.Match, b[24:]); err != nil {
			return err
		}
		m.Actions, err = d.instructions(rest)
		return err
	}
	if rest, err = d.pullNXM(&m.Match, b[24:], n, nil); err != nil {
		return err
	}
	m.Actions, err = d.actions(rest)
	return err
}

func (m *FlowMonitorReply) format(p *printer) {
	for i := range m.Updates {
		p.flowUpdate(&m.Updates[i])
	}
}

func (p *printer) flowUpdate(m *FlowUpdate) {
	p.str("\n event=")
	switch m.Event {
	case EventInitial:
		p.str("INITIAL")
	case EventAdded:
		p.str("ADDED")
	case EventRemoved:
		p.f("DELETED reason=%v", m.Reason)
	case EventModified:
		p.str("MODIFIED")
	case EventAbbrev:
		p.f("ABBREV xid=0x%x", m.XID)
		return
	case EventPaused:
		p.str("PAUSED")
		return
	case EventResumed:
		p.str("RESUMED")
		return
	}
	p.str(" table=")
	p.table(m.TableID)
	if m.IdleTimeout != 0 {
		p.f(" idle_timeout=%d", m.IdleTimeout)
	}
	if m.HardTimeout != 0 {
		p.f(" hard_timeout=%d", m.HardTimeout)
	}
	p.str(" cookie=")
	p.hexAlt(m.Cookie)
	p.byte(' ')
	p.match(&m.Match, match.DefaultPriority)
	if len(m.Actions) > 0 {
		p.space()
		p.str("actions=")
		p.actions(m.Actions)
	}
}

func (m *FlowMonitorCancel) encode(e *encoder) {
	r := stdRaw(TypeFlowMonitorCancel, e.v)
	if r != RawInvalid {
		e.begin(r)
		e.u32(m.ID)
		return
	}
	// OpenFlow 1.4+ cancels by a request; without a match, as stock sends it.
	e.begin(RawOFPST14FlowMonitorRequest)
	e.u32(m.ID)
	e.zeros(11)
	e.u8(MonitorDelete)
}

func decodeFlowMonitorCancel(d decoder) (Msg, error) { return &FlowMonitorCancel{be32(d.body)}, nil }

func (m *FlowMonitorCancel) format(p *printer) { p.f(" id=%d", m.ID) }

func (m *RequestForward) encode(e *encoder) {
	inner := encoder{v: e.v, p: e.p, xid: m.XID}
	switch m.Reason {
	case ForwardGroupMod:
		m.Group.encodeAfter(&inner, m.NewBuckets, m.GroupExisted)
	case ForwardMeterMod:
		m.Meter.encode(&inner)
	}
	if len(inner.b) == 0 {
		return // the version cannot say it
	}
	e.begin(stdRaw(TypeRequestforward, e.v))
	e.bytes(finish(inner.b, 0))
}

func decodeRequestForward(d decoder) (Msg, error) {
	m := &RequestForward{GroupExisted: -1}
	b := d.body
	n := Length(b)
	if len(b) < HeaderLen || n < 0 || n > len(b) {
		return nil, oferr.OFPBFC_MSG_BAD_LEN
	}
	if Version(b[0]) != d.Version {
		return nil, oferr.OFPBRC_BAD_VERSION
	}
	h, err := DecodeHeader(b[:n])
	if err != nil {
		return nil, err
	}
	m.XID = h.XID
	inner := decoder{Header: h, msg: b[:n], body: b[h.BodyOff:n], c: d.c}
	switch h.Type {
	case TypeGroupMod:
		m.Reason = ForwardGroupMod
		m.Group, err = inner.groupMod(inner.body)
	case TypeMeterMod:
		m.Reason = ForwardMeterMod
		m.Meter, err = parseMeterMod(inner.body)
	default:
		err = oferr.OFPBFC_MSG_UNSUP
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (m *RequestForward) format(p *printer) {
	p.str(" reason=")
	if m.Reason == ForwardGroupMod {
		p.str("group_mod")
		m.Group.format(p)
	} else {
		p.str("meter_mod")
		m.Meter.format(p)
	}
}
