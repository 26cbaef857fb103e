package ofp

import (
	"slices"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/oferr"
)

// Bits that each version has.
const (
	portConfigAll10 = PortDown | PortNoSTP | PortNoRecv | PortNoRecvSTP | PortNoFlood | PortNoFwd | PortNoPacketIn
	portConfigAll11 = PortDown | PortNoRecv | PortNoFwd | PortNoPacketIn
	portStateAll10  = PortLinkDown | PortSTPMask
	portStateAll11  = PortLinkDown | PortBlocked | PortLive
)

// Property types of ports.
const (
	propPortEthernet = 0 // in descriptions, statistics and mods
	vendorIntel      = 0x0000aa01
	intelRFC2819     = 1
	intelCustom      = 2
)

// portNameLen is the size of a port's name on the wire.
const portNameLen = 16

func featuresFrom10(x uint32) PortFeatures { return PortFeatures(x&0x7f | x&0xf80<<4) }
func (f PortFeatures) to10() uint32        { return uint32(f&0x7f | f&0xf800>>4) }
func featuresFrom11(x uint32) PortFeatures { return PortFeatures(x & 0xffff) }
func (f PortFeatures) to11() uint32        { return uint32(f & 0xffff) }

// Speed is the highest rate among the features, in kbit/s; 0 if none says.
func (f PortFeatures) Speed() uint32 {
	switch {
	case f&Port1TbFD != 0:
		return 1000000000
	case f&Port100GbFD != 0:
		return 100000000
	case f&Port40GbFD != 0:
		return 40000000
	case f&Port10GbFD != 0:
		return 10000000
	case f&(Port1GbHD|Port1GbFD) != 0:
		return 1000000
	case f&(Port100MbHD|Port100MbFD) != 0:
		return 100000
	case f&(Port10MbHD|Port10MbFD) != 0:
		return 10000
	}
	return 0
}

// FullDuplex says whether one of the features is a full-duplex mode.
func (f PortFeatures) FullDuplex() bool {
	return f&(Port10MbFD|Port100MbFD|Port1GbFD|Port10GbFD|Port40GbFD|Port100GbFD|Port1TbFD) != 0
}

// portSize is the size of a port description in version v.
func portSize(v Version) int {
	switch {
	case v == OF10:
		return 48
	case v < OF14:
		return 64
	}
	return 72
}

// phyPort writes a port description.
func (e *encoder) phyPort(m *Port) {
	if e.v == OF10 {
		e.port16(m.PortNo)
		e.bytes(m.HWAddr[:])
		e.str(m.Name, portNameLen)
		e.u32(uint32(m.Config & portConfigAll10))
		e.u32(uint32(m.State & portStateAll10))
		for _, f := range [...]PortFeatures{m.Curr, m.Advertised, m.Supported, m.Peer} {
			e.u32(f.to10())
		}
		return
	}
	e.u32(m.PortNo)
	if e.v < OF14 {
		e.zeros(4)
	} else {
		e.u16(uint16(portSize(e.v)))
		e.zeros(2)
	}
	e.bytes(m.HWAddr[:])
	e.zeros(2)
	e.str(m.Name, portNameLen)
	e.u32(uint32(m.Config & portConfigAll11))
	e.u32(uint32(m.State & portStateAll11))
	if e.v >= OF14 {
		e.u16(propPortEthernet)
		e.u16(32)
		e.zeros(4)
	}
	for _, f := range [...]PortFeatures{m.Curr, m.Advertised, m.Supported, m.Peer} {
		e.u32(f.to11())
	}
	e.u32(m.CurrSpeed)
	e.u32(m.MaxSpeed)
}

// features11 reads features and speeds in the layout of OpenFlow 1.1+.
func (m *Port) features11(b []byte) {
	m.Curr, m.Advertised = featuresFrom11(be32(b)), featuresFrom11(be32(b[4:]))
	m.Supported, m.Peer = featuresFrom11(be32(b[8:])), featuresFrom11(be32(b[12:]))
	m.CurrSpeed, m.MaxSpeed = be32(b[16:]), be32(b[20:])
}

// decodePort reads the first port of b.  Before OpenFlow 1.4 ok is false if there
// is not a whole one.
func decodePort(b []byte, v Version) (m Port, rest []byte, ok bool, err error) {
	size := portSize(v)
	switch {
	case v >= OF14:
		if len(b) == 0 {
			return m, nil, false, nil
		}
		rest, err = m.decode14(b)
		return m, rest, true, err
	case len(b) < size:
		return m, nil, false, nil
	case v == OF10:
		m.decode10(b)
	default:
		err = m.decode11(b)
	}
	return m, b[size:], true, err
}

func (m *Port) decode10(b []byte) {
	*m = Port{
		PortNo: port10(be16(b)), HWAddr: flow.MAC(b[2:8]), Name: cutString(b[8:24]),
		Config: PortConfig(be32(b[24:])) & portConfigAll10, State: PortState(be32(b[28:])) & portStateAll10,
		Curr: featuresFrom10(be32(b[32:])), Advertised: featuresFrom10(be32(b[36:])),
		Supported: featuresFrom10(be32(b[40:])), Peer: featuresFrom10(be32(b[44:])),
	}
	m.CurrSpeed, m.MaxSpeed = m.Curr.Speed(), m.Supported.Speed()
}

func (m *Port) decode11(b []byte) (err error) {
	if m.PortNo, err = port11(be32(b)); err != nil {
		return err
	}
	m.HWAddr, m.Name = flow.MAC(b[8:14]), cutString(b[16:32])
	m.Config, m.State = PortConfig(be32(b[32:]))&portConfigAll11, PortState(be32(b[36:]))&portStateAll11
	m.features11(b[40:])
	return nil
}

func (m *Port) decode14(b []byte) (rest []byte, err error) {
	const size = 40
	if len(b) < size {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	n := int(be16(b[4:]))
	if n < size || n > len(b) {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	if m.PortNo, err = port11(be32(b)); err != nil {
		return nil, err
	}
	m.HWAddr, m.Name = flow.MAC(b[8:14]), cutString(b[16:32])
	m.Config, m.State = PortConfig(be32(b[32:]))&portConfigAll11, PortState(be32(b[36:]))&portStateAll11
	err = eachProp(b[size:n], func(p property) error {
		if p.typ != propPortEthernet {
			return nil
		}
		if len(p.all) != 32 {
			return oferr.OFPBPC_BAD_LEN
		}
		m.features11(p.all[8:])
		return nil
	})
	return b[n:], err
}

func decodePorts(b []byte, v Version) (ports []Port, err error) {
	if v >= OF13 && len(b) == 0 {
		return nil, nil
	}
	for {
		m, rest, ok, err := decodePort(b, v)
		if !ok || err != nil {
			return ports, err
		}
		ports = append(ports, m)
		b = rest
	}
}

var portConfigNames = []bitName{
	{uint32(PortDown), "PORT_DOWN"}, {uint32(PortNoSTP), "NO_STP"}, {uint32(PortNoRecv), "NO_RECV"},
	{uint32(PortNoRecvSTP), "NO_RECV_STP"}, {uint32(PortNoFlood), "NO_FLOOD"},
	{uint32(PortNoFwd), "NO_FWD"}, {uint32(PortNoPacketIn), "NO_PACKET_IN"},
}

var portStateNames = []bitName{
	{uint32(PortLinkDown), "LINK_DOWN"}, {uint32(PortBlocked), "BLOCKED"}, {uint32(PortLive), "LIVE"},
}

var portFeatureNames = []bitName{
	{uint32(Port10MbHD), "10MB-HD"}, {uint32(Port10MbFD), "10MB-FD"}, {uint32(Port100MbHD), "100MB-HD"},
	{uint32(Port100MbFD), "100MB-FD"}, {uint32(Port1GbHD), "1GB-HD"}, {uint32(Port1GbFD), "1GB-FD"},
	{uint32(Port10GbFD), "10GB-FD"}, {uint32(Port40GbFD), "40GB-FD"}, {uint32(Port100GbFD), "100GB-FD"},
	{uint32(Port1TbFD), "1TB-FD"}, {uint32(PortOther), "OTHER"}, {uint32(PortCopper), "COPPER"},
	{uint32(PortFiber), "FIBER"}, {uint32(PortAutoneg), "AUTO_NEG"}, {uint32(PortPause), "AUTO_PAUSE"},
	{uint32(PortPauseAsym), "AUTO_PAUSE_ASYM"},
}

func (p *printer) portConfig(c PortConfig) {
	p.bits(uint32(c), portConfigNames, ' ')
	p.byte('\n')
}

func (p *printer) portState(s PortState) {
	switch stp := s & PortSTPMask; stp {
	case PortSTPLearn:
		p.str("STP_LEARN")
	case PortSTPForward:
		p.str("STP_FORWARD")
	case PortSTPBlock:
		p.str("STP_BLOCK")
	}
	rest := s &^ PortSTPMask
	if rest != 0 || s == 0 {
		p.bits(uint32(rest), portStateNames, ' ')
	}
	p.byte('\n')
}

func (p *printer) features(label string, f PortFeatures) {
	if f != 0 {
		p.str(label)
		p.bits(uint32(f), portFeatureNames, ' ')
		p.byte('\n')
	}
}

// phyPort prints a port description.
func (p *printer) phyPort(m *Port) {
	name := m.Name
	for i := range len(name) {
		if name[i] < 32 || name[i] > 126 {
			name = name[:i]
			break
		}
	}
	p.byte(' ')
	names := p.names
	p.names = nil // a description brings its own name
	p.port(m.PortNo)
	p.names = names
	p.f("(%s): addr:", name)
	p.mac(m.HWAddr)
	p.str("\n     config:     ")
	p.portConfig(m.Config)
	p.str("     state:      ")
	p.portState(m.State)
	p.features("     current:    ", m.Curr)
	p.features("     advertised: ", m.Advertised)
	p.features("     supported:  ", m.Supported)
	p.features("     peer:       ", m.Peer)
	p.f("     speed: %d Mbps now, %d Mbps max\n", m.CurrSpeed/1000, m.MaxSpeed/1000)
}

// portList prints port descriptions by rising number.
func (p *printer) portList(ports []Port) {
	sorted := slices.Clone(ports)
	slices.SortStableFunc(sorted, func(a, b Port) int { return int(uint16(a.PortNo)) - int(uint16(b.PortNo)) })
	for i := range sorted {
		p.phyPort(&sorted[i])
	}
}

func (m *PortStatus) encode(e *encoder) {
	e.begin(stdRaw(TypePortStatus, e.v))
	e.u8(m.Reason)
	e.zeros(7)
	e.phyPort(&m.Desc)
}

func decodePortStatus(d decoder) (Msg, error) {
	m := &PortStatus{Reason: d.body[0]}
	if m.Reason > PortModified {
		return nil, oferr.NXBRC_BAD_REASON
	}
	var err error
	m.Desc, _, _, err = decodePort(d.body[8:], d.Version)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (m *PortStatus) format(p *printer) {
	p.str([...]string{" ADD:", " DEL:", " MOD:"}[m.Reason])
	p.phyPort(&m.Desc)
}

func (m *PortMod) encode(e *encoder) {
	e.begin(stdRaw(TypePortMod, e.v))
	if e.v == OF10 {
		e.port16(m.PortNo)
		e.bytes(m.HWAddr[:])
		e.u32(uint32(m.Config & portConfigAll10))
		e.u32(uint32(m.Mask & portConfigAll10))
		e.u32(m.Advertise.to10())
		e.zeros(4)
		return
	}
	e.u32(m.PortNo)
	e.zeros(4)
	e.bytes(m.HWAddr[:])
	e.zeros(2)
	e.u32(uint32(m.Config & portConfigAll11))
	e.u32(uint32(m.Mask & portConfigAll11))
	switch {
	case e.v < OF14:
		e.u32(m.Advertise.to11())
		e.zeros(4)
	case m.Advertise != 0:
		e.propU32(propPortEthernet, m.Advertise.to11())
	}
}

func decodePortMod(d decoder) (Msg, error) {
	b, m := d.body, &PortMod{}
	if d.Raw == RawOFPT10PortMod {
		m.PortNo, m.HWAddr = port10(be16(b)), flow.MAC(b[2:8])
		m.Mask = PortConfig(be32(b[12:])) & portConfigAll10
		m.Config = PortConfig(be32(b[8:])) & m.Mask
		m.Advertise = featuresFrom10(be32(b[16:]))
		return m, nil
	}
	var err error
	if m.PortNo, err = port11(be32(b)); err != nil {
		return nil, err
	}
	m.HWAddr = flow.MAC(b[8:14])
	m.Mask = PortConfig(be32(b[20:])) & portConfigAll11
	m.Config = PortConfig(be32(b[16:])) & m.Mask
	if d.Raw == RawOFPT11PortMod {
		m.Advertise = featuresFrom11(be32(b[24:]))
		return m, nil
	}
	err = eachProp(b[24:], func(p property) error {
		if p.typ != propPortEthernet {
			return unknownProp(d.c.loose, p.typ)
		}
		x, err := p.u32()
		m.Advertise = featuresFrom11(x)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (m *PortMod) format(p *printer) {
	p.str(" port: ")
	p.port(m.PortNo)
	p.str(": addr:")
	p.mac(m.HWAddr)
	p.str("\n     config: ")
	p.portConfig(m.Config)
	p.str("     mask:   ")
	p.portConfig(m.Mask)
	if m.Advertise == 0 {
		p.str("     advertise: UNCHANGED\n")
	}
	p.features("     advertise: ", m.Advertise)
}
