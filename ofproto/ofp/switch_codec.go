package ofp

import "sluice/ofproto/ofp/oferr"

func (m *Empty) encode(e *encoder) {
	r := m.AltRaw
	if r == RawInvalid {
		r = stdRaw(m.Kind, e.v)
	}
	if r != RawInvalid {
		e.begin(r)
	}
}

func (m *Empty) format(*printer) {}

func decodeEmpty(d decoder) (Msg, error) {
	m := &Empty{Kind: d.Type}
	if d.Version.Valid() && stdRaw(d.Type, d.Version) != d.Raw {
		m.AltRaw = d.Raw
	}
	return m, nil
}

const helloVersionBitmap = 1

func (m *Hello) encode(e *encoder) {
	e.begin(RawOFPTHello)
	// Versions without a gap are said by the header alone.
	if n := uint32(m.Versions>>1) + 1; n&(n-1) != 0 {
		e.u16(helloVersionBitmap)
		e.u16(8)
		e.u32(uint32(m.Versions))
	}
}

// EncodeHello is the hello that offers versions, in a header of the highest one.
func EncodeHello(versions VersionBitmap, xid uint32) []byte {
	e := encoder{v: versions.Highest(), xid: xid}
	(&Hello{Versions: versions}).encode(&e)
	return finish(e.b, 0)
}

func decodeHello(d decoder) (Msg, error) {
	m := &Hello{}
	if d.Version < 32 {
		m.Versions = VersionBitmap((uint32(1)<<d.Version - 1) << 1)
	} else {
		m.Versions = ^VersionBitmap(1)
	}
	for b := d.body; len(b) > 0; {
		if len(b) < 4 {
			m.Malformed = true
			return m, nil
		}
		n := int(be16(b[2:]))
		padded := (n + 7) &^ 7
		if n < 4 || padded > len(b) {
			m.Malformed = true
			return m, nil
		}
		if be16(b) != helloVersionBitmap || !m.setBitmap(b[4:n]) {
			m.Malformed = true
		}
		b = b[padded:]
	}
	return m, nil
}

// setBitmap takes the versions from a bitmap element; only its first word matters.
func (m *Hello) setBitmap(b []byte) bool {
	if len(b) == 0 || len(b)%4 != 0 {
		return false
	}
	v := VersionBitmap(be32(b)) &^ 1
	if v == 0 {
		return false
	}
	m.Versions = v
	return true
}

func (m *Hello) format(p *printer) {
	p.str("\n version bitmap: ")
	p.str(m.Versions.String())
	if m.Malformed {
		p.str("\n unknown data in hello:\n")
		p.hexDump(p.msg)
	}
}

func (m *Error) encode(e *encoder) {
	e.begin(RawOFPTError)
	e.u16(m.ErrType)
	switch m.ErrType {
	case oferr.TypeNiciraVendor:
		e.u16(oferr.CodeNiciraVendor)
		e.u32(m.Vendor)
		e.u16(m.NXType)
		e.u16(m.ErrCode)
	case oferr.TypeExperimenter:
		e.u16(m.ErrCode)
		e.u32(m.Vendor)
	default:
		e.u16(m.ErrCode)
	}
	room := MaxLen - (len(e.b) - e.start)
	e.bytes(m.Data[:min(len(m.Data), room)])
}

func decodeError(d decoder) (Msg, error) {
	m := &Error{ErrType: be16(d.body), ErrCode: be16(d.body[2:])}
	b := d.body[4:]
	switch {
	case m.ErrType == oferr.TypeNiciraVendor && m.ErrCode == oferr.CodeNiciraVendor:
		if len(b) < 8 {
			return nil, oferr.OFPBRC_BAD_LEN
		}
		m.Vendor, m.NXType, m.ErrCode = be32(b), be16(b[4:]), be16(b[6:])
		b = b[8:]
	case m.ErrType == oferr.TypeNiciraVendor:
		// Not the one code that has a vendor error inside: nobody knows it.
		return nil, oferr.OFPBRC_BAD_LEN
	case m.ErrType == oferr.TypeExperimenter:
		if len(b) < 4 {
			return nil, oferr.OFPBRC_BAD_LEN
		}
		m.Vendor = be32(b)
		m.NXType = m.ErrCode
		b = b[4:]
	}
	m.Data = b
	if _, ok := m.Code(d.Version); !ok {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	return m, nil
}

// Code is the error that m reports in version v.
func (m *Error) Code(v Version) (oferr.Code, bool) {
	w := oferr.Wire{Vendor: m.Vendor, Type: m.ErrType, Code: m.ErrCode}
	switch m.ErrType {
	case oferr.TypeNiciraVendor:
		w.Type = m.NXType
	case oferr.TypeExperimenter:
		w.Type, w.Code = m.ErrCode, 0
	}
	return oferr.FromWire(v, w)
}

func (m *Error) format(p *printer) {
	code, _ := m.Code(p.Version)
	p.f(" %v\n", code)
	if code == oferr.OFPHFC_INCOMPATIBLE || code == oferr.OFPHFC_EPERM {
		p.printable(m.Data)
		return
	}
	p.b = AppendFormat(p.b, m.Data, p.names, 1)
}

func (m *EchoRequest) encode(e *encoder) {
	e.begin(RawOFPTEchoRequest)
	e.bytes(m.Data)
}

func (m *EchoReply) encode(e *encoder) {
	e.begin(RawOFPTEchoReply)
	e.bytes(m.Data)
}

func decodeEchoRequest(d decoder) (Msg, error) { return &EchoRequest{Data: d.body}, nil }
func decodeEchoReply(d decoder) (Msg, error)   { return &EchoReply{Data: d.body}, nil }

func (m *EchoRequest) format(p *printer) { p.echo(m.Data) }
func (m *EchoReply) format(p *printer)   { p.echo(m.Data) }

func (p *printer) echo(data []byte) {
	p.f(" %d bytes of payload\n", len(data))
	if p.verbosity > 1 {
		p.hexDump(data)
	}
}

// Capability bits on the wire that stand for something else in other versions.
const (
	wireSTP10        = 1 << 3 // OpenFlow 1.0
	wireGroupStats11 = 1 << 3 // OpenFlow 1.1+
)

// capabilityMask is the set of capabilities that have the same bit on the wire.
func capabilityMask(v Version) Capabilities {
	common := CapFlowStats | CapTableStats | CapPortStats | CapIPReasm | CapQueueStats
	switch {
	case v <= OF11:
		return common | CapARPMatchIP
	case v <= OF13:
		return common | CapPortBlocked
	}
	return common | CapPortBlocked | CapBundles | CapFlowMonitoring
}

func (m *FeaturesReply) encode(e *encoder) {
	e.begin(stdRaw(TypeFeaturesReply, e.v))
	e.u64(m.DatapathID)
	e.u32(m.NBuffers)
	e.u8(m.NTables)
	if e.v >= OF13 {
		e.u8(m.AuxiliaryID)
	} else {
		e.u8(0)
	}
	e.zeros(2)
	caps := uint32(m.Capabilities & capabilityMask(e.v))
	actions := uint32(0)
	if e.v == OF10 {
		if m.Capabilities&CapSTP != 0 {
			caps |= wireSTP10
		}
		actions = m.Actions.wire(e.v)
	} else if m.Capabilities&CapGroupStats != 0 {
		caps |= wireGroupStats11
	}
	e.u32(caps)
	e.u32(actions)
	if e.v < OF13 {
		for i := range m.Ports {
			if before := len(e.b); !e.fits(portSize(e.v)) {
				e.b = e.b[:before]
				break
			}
			e.phyPort(&m.Ports[i])
		}
	}
}

// Fits reports whether a reply with n ports has room for all of them in version v;
// if not, a switch leaves them all out and the controller asks for descriptions.
func (m *FeaturesReply) Fits(v Version, n int) bool {
	return v < OF13 && HeaderLen+24+n*portSize(v) <= MaxLen
}

// fits reports whether the message may grow by n bytes.
func (e *encoder) fits(n int) bool { return len(e.b)-e.start+n <= MaxLen }

func decodeFeaturesReply(d decoder) (Msg, error) {
	b := d.body
	m := &FeaturesReply{
		DatapathID: be64(b), NBuffers: be32(b[8:]), NTables: b[12],
		Capabilities: Capabilities(be32(b[16:])) & capabilityMask(d.Version),
	}
	wire := be32(b[16:])
	switch {
	case d.Version == OF10:
		if wire&wireSTP10 != 0 {
			m.Capabilities |= CapSTP
		}
		m.Actions = actionSetFromWire(be32(b[20:]), OF10)
	default:
		if wire&wireGroupStats11 != 0 {
			m.Capabilities |= CapGroupStats
		}
		if d.Version >= OF13 {
			m.AuxiliaryID = b[13]
		}
	}
	var err error
	m.Ports, err = decodePorts(b[24:], d.Version)
	return m, err
}

var capabilityNames = []bitName{
	{uint32(CapFlowStats), "FLOW_STATS"}, {uint32(CapTableStats), "TABLE_STATS"},
	{uint32(CapPortStats), "PORT_STATS"}, {uint32(CapSTP), "STP"}, {uint32(CapGroupStats), "GROUP_STATS"},
	{uint32(CapIPReasm), "IP_REASM"}, {uint32(CapQueueStats), "QUEUE_STATS"},
	{uint32(CapARPMatchIP), "ARP_MATCH_IP"}, {uint32(CapPortBlocked), "PORT_BLOCKED"},
	{uint32(CapBundles), "BUNDLES"}, {uint32(CapFlowMonitoring), "FLOW_MONITORING"},
}

func (m *FeaturesReply) format(p *printer) {
	p.f(" dpid:%016x\nn_tables:%d, n_buffers:%d", m.DatapathID, m.NTables, m.NBuffers)
	if m.AuxiliaryID != 0 {
		p.f(", auxiliary_id:%d", m.AuxiliaryID)
	}
	p.str("\ncapabilities: ")
	p.bits(uint32(m.Capabilities), capabilityNames, ' ')
	p.byte('\n')
	if m.Actions != 0 {
		p.str("actions: ")
		p.actionSet(m.Actions)
		p.byte('\n')
	}
	p.portList(m.Ports)
}

// Bits of the flags of a switch config.
const (
	fragMask         = 3
	invalidTTLToCtrl = 1 << 2
)

func (m *SwitchConfig) encode(e *encoder) {
	e.begin(stdRaw(m.Kind, e.v))
	flags := uint16(m.Frag)
	if m.InvalidTTL > 0 && e.v < OF13 {
		flags |= invalidTTLToCtrl
	}
	e.u16(flags)
	e.u16(m.MissSendLen)
}

func decodeSwitchConfig(d decoder) (Msg, error) {
	flags := be16(d.body)
	m := &SwitchConfig{Kind: d.Type, Frag: FragHandling(flags & fragMask), InvalidTTL: -1, MissSendLen: be16(d.body[2:])}
	valid := uint16(fragMask)
	if d.Version < OF13 {
		valid |= invalidTTLToCtrl
		m.InvalidTTL = int(flags & invalidTTLToCtrl / invalidTTLToCtrl)
	}
	if d.Type == TypeSetConfig && flags&^valid != 0 {
		return nil, oferr.OFPSCFC_BAD_FLAGS
	}
	return m, nil
}

var fragNames = [...]string{"normal", "drop", "reassemble", "nx-match"}

// String is the name that ovs-ofctl uses.
func (f FragHandling) String() string { return fragNames[f&fragMask] }

func (m *SwitchConfig) format(p *printer) {
	p.f(" frags=%v", m.Frag)
	if m.InvalidTTL > 0 {
		p.str(" invalid_ttl_to_controller")
	}
	p.f(" miss_send_len=%d\n", m.MissSendLen)
}

// Sizes of the texts of a Desc.
const (
	descStrLen   = 256
	serialNumLen = 32
)

func (m *Desc) encode(e *encoder) {
	e.begin(stdRaw(TypeDescStatsReply, e.v))
	e.str(m.MfrDesc, descStrLen)
	e.str(m.HwDesc, descStrLen)
	e.str(m.SwDesc, descStrLen)
	e.str(m.SerialNum, serialNumLen)
	e.str(m.DpDesc, descStrLen)
}

func decodeDesc(d decoder) (Msg, error) {
	b := d.body
	return &Desc{
		MfrDesc: fixedString(b[:256]), HwDesc: fixedString(b[256:512]), SwDesc: fixedString(b[512:768]),
		SerialNum: fixedString(b[768:800]), DpDesc: fixedString(b[800:1056]),
	}, nil
}

func (m *Desc) format(p *printer) {
	p.f("\nManufacturer: %s\nHardware: %s\nSoftware: %s\nSerial Num: %s\nDP Description: %s\n",
		m.MfrDesc, m.HwDesc, m.SwDesc, m.SerialNum, m.DpDesc)
}
