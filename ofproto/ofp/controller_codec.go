package ofp

import (
	"math"
	"strconv"

	"sluice/ofproto/ofp/oferr"
)

func (m *RoleMsg) encode(e *encoder) {
	nx := m.NX || e.v < OF12
	switch {
	case nx && m.Kind == TypeRoleRequest:
		e.begin(RawNXTRoleRequest)
	case nx:
		e.begin(RawNXTRoleReply)
	default:
		e.begin(stdRaw(m.Kind, e.v))
	}
	if nx {
		e.u32(uint32(m.Role) - 1) // Nicira numbers start at "equal"
		return
	}
	e.u32(uint32(m.Role))
	e.zeros(4)
	switch {
	case m.HasGenerationID:
		e.u64(m.GenerationID)
	case m.Kind == TypeRoleReply:
		e.u64(math.MaxUint64)
	default:
		e.u64(0)
	}
}

func decodeRoleMsg(d decoder) (Msg, error) {
	m := &RoleMsg{Kind: d.Type, Role: Role(be32(d.body))}
	if d.Raw == RawNXTRoleRequest || d.Raw == RawNXTRoleReply {
		m.NX = true
		m.Role++
		if m.Role < RoleEqual || m.Role > RoleSecondary {
			return nil, oferr.OFPRRFC_BAD_ROLE
		}
		return m, nil
	}
	if m.Role > RoleSecondary {
		return nil, oferr.OFPRRFC_BAD_ROLE
	}
	id := be64(d.body[8:])
	if d.Type == TypeRoleRequest {
		m.HasGenerationID = m.Role != RoleNoChange
	} else {
		m.HasGenerationID = id != math.MaxUint64
	}
	if m.HasGenerationID {
		m.GenerationID = id
	}
	return m, nil
}

var roleNames = [...]string{"nochange", "equal", "primary", "secondary"}

// String is the name that prints use.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return strconv.Itoa(int(r))
}

func (p *printer) role(r Role, generation uint64) {
	p.f(" role=%v", r)
	if generation != math.MaxUint64 {
		p.f(" generation_id=%d", generation)
	}
}

func (m *RoleMsg) format(p *printer) {
	if m.HasGenerationID {
		p.role(m.Role, m.GenerationID)
	} else {
		p.role(m.Role, math.MaxUint64)
	}
}

func (m *RoleStatus) encode(e *encoder) {
	r := stdRaw(TypeRoleStatus, e.v)
	if r == RawInvalid {
		return
	}
	e.begin(r)
	e.u32(uint32(m.Role))
	e.u8(m.Reason)
	e.zeros(3)
	e.u64(m.GenerationID)
}

func decodeRoleStatus(d decoder) (Msg, error) {
	m := &RoleStatus{Role: Role(be32(d.body)), Reason: d.body[4], GenerationID: be64(d.body[8:])}
	if m.Role > RoleSecondary {
		return nil, oferr.OFPRRFC_BAD_ROLE
	}
	return m, nil
}

var roleReasonNames = []string{"primary_request", "configuration_changed", "experimenter_data_changed"}

func (m *RoleStatus) format(p *printer) {
	p.role(m.Role, m.GenerationID)
	p.str(" reason=")
	if int(m.Reason) < len(roleReasonNames) {
		p.str(roleReasonNames[m.Reason])
	} else {
		p.str("(unknown)")
	}
}

// asyncKind is one row of the table of asynchronous messages.
type asyncKind struct {
	name string
	// secondaryProp is the property for the secondary role; the next number is
	// that for the others (OpenFlow 1.4+).
	secondaryProp        uint64
	allowed10, allowed14 uint32 // reasons before and since OpenFlow 1.4
	reason               func(int) string
}

var asyncKinds = [NAsyncTypes]asyncKind{
	AsyncPacketIn:       {"PACKET_IN", 0, 0x7, 0x3f, func(r int) string { return PacketInReason(r).String() }},
	AsyncPortStatus:     {"PORT_STATUS", 2, 0x7, 0x7, nameOr("add", "delete", "modify")},
	AsyncFlowRemoved:    {"FLOW_REMOVED", 4, 0x3f, 0x3f, func(r int) string { return FlowReason(r).String() }},
	AsyncRoleStatus:     {"ROLE_STATUS", 6, 0x7, 0x7, nameOr(roleReasonNames...)},
	AsyncTableStatus:    {"TABLE_STATUS", 8, 0x18, 0x18, func(r int) string { return tableReasonName(r) }},
	AsyncRequestForward: {"REQUESTFORWARD", 10, 0x3, 0x3, nameOr("group_mod_request", "meter_mod_request")},
}

// nameOr names small numbers; others are printed as numbers.
func nameOr(names ...string) func(int) string {
	return func(i int) string {
		if i < len(names) {
			return names[i]
		}
		return strconv.Itoa(i)
	}
}

func (k *asyncKind) allowed(v Version) uint32 {
	if v >= OF14 {
		return k.allowed14
	}
	return k.allowed10
}

// DefaultAsync is what a new controller of version v gets.
func DefaultAsync(v Version) (c AsyncConfig) {
	const explicitMiss, implicitMiss = 1 << ReasonExplicitMiss, 1 << ReasonImplicitMiss
	c.Primary[AsyncPacketIn] = 0x3f&^(1<<ReasonInvalidTTL) | explicitMiss
	if v <= OF12 {
		c.Primary[AsyncPacketIn] |= implicitMiss
	}
	c.Primary[AsyncPortStatus], c.Secondary[AsyncPortStatus] = 0x7, 0x7
	switch {
	case v >= OF14:
		c.Primary[AsyncFlowRemoved] = 0x3f
	case v == OF13:
		c.Primary[AsyncFlowRemoved] = 0xf
	default:
		c.Primary[AsyncFlowRemoved] = 0x7
	}
	return c
}

// Apply is the configuration after m sets what it mentions.
func (m *AsyncMsg) Apply(basis AsyncConfig) AsyncConfig {
	for t := range NAsyncTypes {
		if m.SetPrimary&(1<<t) != 0 {
			basis.Primary[t] = m.Config.Primary[t]
		}
		if m.SetSecondary&(1<<t) != 0 {
			basis.Secondary[t] = m.Config.Secondary[t]
		}
	}
	return basis
}

const allAsync = 1<<NAsyncTypes - 1

func (m *AsyncMsg) encode(e *encoder) {
	r := m.Raw
	if r == RawInvalid {
		r = stdRaw(m.Kind, e.v)
	}
	if r == RawInvalid {
		return
	}
	e.begin(r)
	if !asyncIsTLV(r) {
		for t := AsyncPacketIn; t <= AsyncFlowRemoved; t++ {
			allowed := asyncKinds[t].allowed(e.v)
			e.u32(m.Config.Primary[t] & allowed)
			e.u32(m.Config.Secondary[t] & allowed)
		}
		return
	}
	for t := range asyncKinds {
		k := &asyncKinds[t]
		if m.SetSecondary&(1<<t) != 0 {
			e.propU32(k.secondaryProp, m.Config.Secondary[t]&k.allowed(e.v))
		}
		if m.SetPrimary&(1<<t) != 0 {
			e.propU32(k.secondaryProp+1, m.Config.Primary[t]&k.allowed(e.v))
		}
	}
}

// asyncIsTLV reports whether a layout has properties rather than three pairs.
func asyncIsTLV(r Raw) bool {
	return r == RawOFPT14SetAsync || r == RawOFPT14GetAsyncReply || r == RawNXTSetAsyncConfig2
}

func decodeAsync(d decoder) (Msg, error) {
	m := &AsyncMsg{Kind: d.Type}
	if stdRaw(d.Type, d.Version) != d.Raw {
		m.Raw = d.Raw
	}
	if !asyncIsTLV(d.Raw) {
		// These say nothing of the other kinds, and turn them off.
		m.SetPrimary, m.SetSecondary = allAsync, allAsync
		for t := AsyncPacketIn; t <= AsyncFlowRemoved; t++ {
			b := d.body[8*t:]
			m.Config.Primary[t], _ = asyncMask(be32(b), t, d.Version, true)
			m.Config.Secondary[t], _ = asyncMask(be32(b[4:]), t, d.Version, true)
		}
		return m, nil
	}
	loose := d.c.loose && d.Type == TypeGetAsyncReply
	for b := d.body; len(b) > 0; {
		p, rest, err := pullProp(b, 8, 0xfffe)
		if err == nil {
			err = m.prop(p, d.Version, loose)
		}
		if err == oferr.OFPBPC_BAD_TYPE {
			err = oferr.OFPACFC_UNSUPPORTED
		}
		if err != nil {
			return nil, err
		}
		b = rest
	}
	return m, nil
}

// prop takes one property of a message.
func (m *AsyncMsg) prop(p property, v Version, loose bool) error {
	if p.typ >= 2*uint64(NAsyncTypes) {
		return unknownProp(loose, p.typ)
	}
	x, err := p.u32()
	if err != nil {
		return err
	}
	t := AsyncType(p.typ / 2)
	if x, err = asyncMask(x, t, v, loose); err != nil {
		return err
	}
	if p.typ%2 == 0 {
		m.Config.Secondary[t], m.SetSecondary = x, m.SetSecondary|1<<t
	} else {
		m.Config.Primary[t], m.SetPrimary = x, m.SetPrimary|1<<t
	}
	return nil
}

// asyncMask checks the reasons of a kind.  "No match" in packet-ins stands for the
// switch's own kinds of miss as well.
func asyncMask(x uint32, t AsyncType, v Version, loose bool) (uint32, error) {
	allowed := asyncKinds[t].allowed(v)
	if x&^allowed != 0 && !loose {
		return 0, oferr.OFPACFC_INVALID
	}
	x &= allowed
	if t == AsyncPacketIn && x&(1<<ReasonNoMatch) != 0 {
		x |= 1 << ReasonExplicitMiss
		if v < OF13 {
			x |= 1 << ReasonImplicitMiss
		}
	}
	return x, nil
}

func (m *AsyncMsg) format(p *printer) {
	p.asyncRole("primary", &m.Config.Primary)
	p.asyncRole("secondary", &m.Config.Secondary)
}

func (p *printer) asyncRole(label string, masks *[NAsyncTypes]uint32) {
	p.f("\n %s:\n", label)
	for t, x := range masks {
		p.f("%16s:", asyncKinds[t].name)
		for r := range 32 {
			if x&(1<<r) == 0 {
				continue
			}
			if s := asyncKinds[t].reason(r); s != "" {
				p.byte(' ')
				p.str(s)
			}
		}
		if x == 0 {
			p.str(" (off)")
		}
		p.byte('\n')
	}
}

func (m *SetControllerID) encode(e *encoder) {
	e.begin(RawNXTSetControllerId)
	e.zeros(6)
	e.u16(m.ID)
}

func decodeSetControllerID(d decoder) (Msg, error) {
	if !d.c.loose && !allZero(d.body[:6]) {
		return nil, oferr.NXBRC_MUST_BE_ZERO
	}
	return &SetControllerID{ID: be16(d.body[6:])}, nil
}

func (m *SetControllerID) format(p *printer) { p.f(" id=%d", m.ID) }

func (m *SetPacketInFormat) encode(e *encoder) {
	e.begin(RawNXTSetPacketInFormat)
	e.u32(uint32(m.Format))
}

func decodeSetPacketInFormat(d decoder) (Msg, error) {
	f := PacketInFormat(be32(d.body))
	if f > PacketInNXT2 {
		return nil, oferr.OFPBRC_EPERM
	}
	return &SetPacketInFormat{f}, nil
}

// String is the name that tools use.
func (f PacketInFormat) String() string {
	return nameOr("standard", "nxt_packet_in", "nxt_packet_in2")(int(f))
}

func (m *SetPacketInFormat) format(p *printer) { p.f(" format=%v", m.Format) }

func (m *SetFlowFormat) encode(e *encoder) {
	if e.v != OF10 {
		return
	}
	e.begin(RawNXTSetFlowFormat)
	e.u32(m.Format)
}

func decodeSetFlowFormat(d decoder) (Msg, error) { return &SetFlowFormat{be32(d.body)}, nil }

func (m *SetFlowFormat) format(p *printer) {
	switch m.Format {
	case FlowFormatOF10:
		p.str(" format=openflow10")
	case FlowFormatNXM:
		p.str(" format=nxm")
	default:
		p.str(" format=(unknown)")
	}
}

func (m *FlowModTableID) encode(e *encoder) {
	e.begin(RawNXTFlowModTableId)
	if m.On {
		e.u8(1)
	} else {
		e.u8(0)
	}
	e.zeros(7)
}

func decodeFlowModTableID(d decoder) (Msg, error) { return &FlowModTableID{On: d.body[0] != 0}, nil }

func (m *FlowModTableID) format(p *printer) {
	if m.On {
		p.str(" enable")
	} else {
		p.str(" disable")
	}
}

func (m *BundleCtrl) encode(e *encoder) {
	r := stdRaw(TypeBundleControl, e.v)
	if r == RawInvalid {
		return
	}
	e.begin(r)
	e.u32(m.BundleID)
	e.u16(m.Ctrl)
	e.u16(m.Flags)
}

func decodeBundleCtrl(d decoder) (Msg, error) {
	return &BundleCtrl{BundleID: be32(d.body), Ctrl: be16(d.body[4:]), Flags: be16(d.body[6:])}, nil
}

var bundleFlagNames = []bitName{{BundleAtomic, "atomic"}, {BundleOrdered, "ordered"}}

var bundleCtrlNames = [...]string{"OPEN_REQUEST", "OPEN_REPLY", "CLOSE_REQUEST", "CLOSE_REPLY",
	"COMMIT_REQUEST", "COMMIT_REPLY", "DISCARD_REQUEST", "DISCARD_REPLY"}

// hexAlt prints a number as C's %#x does.
func (p *printer) hexAlt(x uint64) {
	if x == 0 {
		p.byte('0')
	} else {
		p.f("0x%x", x)
	}
}

func (m *BundleCtrl) format(p *printer) {
	p.str("\n bundle_id=")
	p.hexAlt(uint64(m.BundleID))
	p.str(" type=")
	if int(m.Ctrl) < len(bundleCtrlNames) {
		p.str(bundleCtrlNames[m.Ctrl])
	}
	p.str(" flags=")
	p.bits(uint32(m.Flags), bundleFlagNames, ' ')
}

func (m *BundleAdd) encode(e *encoder) {
	r := stdRaw(TypeBundleAddMessage, e.v)
	if r == RawInvalid {
		return
	}
	e.begin(r)
	e.u32(m.BundleID)
	e.u16(0)
	e.u16(m.Flags)
	e.bytes(m.Inner)
}

// bundlable are the messages that a bundle may hold.
var bundlable = map[Type]bool{TypePortMod: true, TypeFlowMod: true, TypeGroupMod: true, TypePacketOut: true}

func decodeBundleAdd(d decoder) (Msg, error) {
	m := &BundleAdd{BundleID: be32(d.body), Flags: be16(d.body[6:]), Inner: d.body[8:]}
	if len(m.Inner) < HeaderLen {
		return nil, oferr.OFPBFC_MSG_BAD_LEN
	}
	if Version(m.Inner[0]) != d.Version {
		return nil, oferr.OFPBFC_BAD_VERSION
	}
	n := Length(m.Inner)
	if n < 0 || n > len(m.Inner) {
		return nil, oferr.OFPBFC_MSG_BAD_LEN
	}
	if be32(m.Inner[4:]) != d.XID {
		return nil, oferr.OFPBFC_MSG_BAD_XID
	}
	m.Inner = m.Inner[:n:n]
	var err error
	if m.InnerH, err = DecodeHeader(m.Inner); err != nil || !bundlable[m.InnerH.Type] {
		return nil, oferr.OFPBFC_MSG_UNSUP
	}
	return m, nil
}

func (m *BundleAdd) format(p *printer) {
	p.str("\n bundle_id=")
	p.hexAlt(uint64(m.BundleID))
	p.str(" flags=")
	p.bits(uint32(m.Flags), bundleFlagNames, ' ')
	p.byte('\n')
	p.b = AppendFormat(p.b, m.Inner, p.names, p.verbosity)
}
