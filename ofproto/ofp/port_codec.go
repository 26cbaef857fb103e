package ofp

import (
	"math"
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

func (m *PortStatsRequest) encode(e *encoder) {
	e.begin(stdRaw(TypePortStatsRequest, e.v))
	if e.v == OF10 {
		e.port16(m.PortNo)
		e.zeros(6)
	} else {
		e.u32(m.PortNo)
		e.zeros(4)
	}
}

func decodePortStatsRequest(d decoder) (Msg, error) {
	if d.Version == OF10 {
		return &PortStatsRequest{PortNo: port10(be16(d.body))}, nil
	}
	port, err := port11(be32(d.body))
	if err != nil {
		return nil, err
	}
	return &PortStatsRequest{PortNo: port}, nil
}

func (m *PortStatsRequest) format(p *printer) {
	p.str(" port_no=")
	p.port(m.PortNo)
}

func (m *PortDescRequest) encode(e *encoder) {
	r := stdRaw(TypePortDescStatsRequest, e.v)
	e.begin(r)
	if r == RawOFPST15PortDescRequest {
		e.u32(m.PortNo)
		e.zeros(4)
	}
}

func decodePortDescRequest(d decoder) (Msg, error) {
	m := &PortDescRequest{PortNo: flow.OFPNone}
	if d.Raw == RawOFPST15PortDescRequest {
		var err error
		if m.PortNo, err = port11(be32(d.body)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *PortDescRequest) format(p *printer) {
	p.str(" port=")
	p.port(m.PortNo)
}

func (m *PortDescReply) encode(e *encoder) {
	e.beginPart(stdRaw(TypePortDescStatsReply, e.v), m.More)
	for i := range m.Ports {
		e.phyPort(&m.Ports[i])
	}
}

func (m *Port) entry(e *encoder, _ Raw) { e.phyPort(m) }

func decodePortDescReply(d decoder) (Msg, error) {
	ports, err := decodePorts(d.body, d.Version)
	return &PortDescReply{More: d.more(), Ports: ports}, err
}

func (m *PortDescReply) format(p *printer) {
	p.byte('\n')
	p.portList(m.Ports)
}

// basic12 are the counters of all versions, in the order before OpenFlow 1.4.
func (c *PortCounters) basic12() [12]*uint64 {
	return [12]*uint64{&c.RxPackets, &c.TxPackets, &c.RxBytes, &c.TxBytes, &c.RxDropped, &c.TxDropped,
		&c.RxErrors, &c.TxErrors, &c.RxFrameErrors, &c.RxOverErrors, &c.RxCRCErrors, &c.Collisions}
}

// rfc2819 are the counters of the Intel property.
func (c *PortCounters) rfc2819() [21]*uint64 {
	return [21]*uint64{
		&c.Rx1To64, &c.Rx65To127, &c.Rx128To255, &c.Rx256To511, &c.Rx512To1023, &c.Rx1024To1522, &c.Rx1523ToMax,
		&c.Tx1To64, &c.Tx65To127, &c.Tx128To255, &c.Tx256To511, &c.Tx512To1023, &c.Tx1024To1522, &c.Tx1523ToMax,
		&c.TxMulticast, &c.RxBroadcast, &c.TxBroadcast, &c.RxUndersized, &c.RxOversize, &c.RxFragmented, &c.RxJabber,
	}
}

// unknown sets all counters to "unknown".
func (c *PortCounters) unknown() {
	for _, x := range c.basic12() {
		*x = math.MaxUint64
	}
	for _, x := range c.rfc2819() {
		*x = math.MaxUint64
	}
	c.Multicast = math.MaxUint64
}

func (m *PortStats) entry(e *encoder, _ Raw) {
	basic := m.basic12()
	if e.v >= OF14 {
		m.entry14(e)
		return
	}
	if e.v == OF10 {
		e.port16(m.PortNo)
		e.zeros(6)
	} else {
		e.u32(m.PortNo)
		e.zeros(4)
	}
	for _, x := range basic {
		e.u64(*x)
	}
	if e.v == OF13 {
		e.u32(m.DurationSec)
		e.u32(m.DurationNsec)
	}
}

func (m *PortStats) entry14(e *encoder) {
	start := len(e.b)
	e.zeros(4)
	e.u32(m.PortNo)
	e.u32(m.DurationSec)
	e.u32(m.DurationNsec)
	basic := m.basic12()
	for _, x := range basic[:8] {
		e.u64(*x)
	}
	at := e.startProp(propPortEthernet)
	e.zeros(4)
	for _, x := range basic[8:] {
		e.u64(*x)
	}
	e.endProp(at)
	at = e.startProp(propExp(vendorIntel, intelRFC2819))
	e.zeros(4)
	for _, x := range m.rfc2819() {
		e.u64(*x)
	}
	e.endProp(at)
	if len(m.Custom) > 0 {
		at = e.startProp(propExp(vendorIntel, intelCustom))
		e.zeros(2)
		e.u16(uint16(len(m.Custom)))
		for _, c := range m.Custom {
			name := c.Name[:min(len(c.Name), maxCustomName)]
			e.u8(uint8(len(name)))
			e.b = append(e.b, name...)
			e.u64(c.Value)
		}
		e.endProp(at)
	}
	e.put16(start, uint16(len(e.b)-start))
}

// maxCustomName is the length of the longest name of a custom counter.
const maxCustomName = 63

func (m *PortStatsReply) encode(e *encoder) {
	e.beginPart(stdRaw(TypePortStatsReply, e.v), m.More)
	for i := range m.Ports {
		m.Ports[i].entry(e, RawInvalid)
	}
}

func decodePortStatsReply(d decoder) (Msg, error) {
	m := &PortStatsReply{More: d.more()}
	for b := d.body; len(b) > 0; {
		var s PortStats
		var err error
		s.unknown()
		if d.Version >= OF14 {
			b, err = s.decode14(b)
		} else {
			b, err = s.decode(b, d.Version)
		}
		if err != nil {
			return m, err
		}
		m.Ports = append(m.Ports, s)
	}
	return m, nil
}

func (m *PortStats) decode(b []byte, v Version) (rest []byte, err error) {
	if v == OF10 {
		m.PortNo = port10(be16(b))
	} else if m.PortNo, err = port11(be32(b)); err != nil {
		return nil, err
	}
	for i, x := range m.basic12() {
		*x = be64(b[8+8*i:])
	}
	m.DurationSec, m.DurationNsec = math.MaxUint32, math.MaxUint32
	b = b[104:]
	if v == OF13 {
		m.DurationSec, m.DurationNsec = be32(b), be32(b[4:])
		b = b[8:]
	}
	return b, nil
}

func (m *PortStats) decode14(b []byte) (rest []byte, err error) {
	const size = 80
	if len(b) < size {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	n := int(be16(b))
	if n < size || n > len(b) {
		return nil, oferr.OFPBRC_BAD_LEN
	}
	if m.PortNo, err = port11(be32(b[4:])); err != nil {
		return nil, err
	}
	m.DurationSec, m.DurationNsec = be32(b[8:]), be32(b[12:])
	basic := m.basic12()
	for i, x := range basic[:8] {
		*x = be64(b[16+8*i:])
	}
	err = eachProp(b[size:n], func(p property) error {
		switch p.typ {
		case propPortEthernet:
			if len(p.all) != 40 {
				return oferr.OFPBPC_BAD_LEN
			}
			for i, x := range basic[8:] {
				*x = be64(p.all[8+8*i:])
			}
		case propExp(vendorIntel, intelRFC2819):
			if len(p.all) != 184 {
				return oferr.OFPBPC_BAD_LEN
			}
			for i, x := range m.rfc2819() {
				*x = be64(p.all[16+8*i:])
			}
		case propExp(vendorIntel, intelCustom):
			return m.decodeCustom(p.all)
		}
		return nil
	})
	return b[n:], err
}

func (m *PortStats) decodeCustom(b []byte) error {
	if len(b) < 16 {
		return oferr.OFPBPC_BAD_LEN
	}
	n := int(be16(b[14:]))
	b = b[16:]
	if n > len(b)/9 {
		return oferr.OFPBPC_BAD_LEN
	}
	m.Custom = make([]CustomCounter, 0, n)
	for range n {
		if len(b) < 1 || len(b) < 1+int(b[0])+8 {
			m.Custom = nil
			return oferr.OFPBPC_BAD_LEN
		}
		name := b[1 : 1+int(b[0])]
		b = b[1+len(name):]
		m.Custom = append(m.Custom, CustomCounter{fixedString(name[:min(len(name), maxCustomName)]), be64(b)})
		b = b[8:]
	}
	return nil
}

func (m *PortStatsReply) format(p *printer) {
	p.f(" %d ports\n", len(m.Ports))
	if p.verbosity < 1 {
		return
	}
	for i := range m.Ports {
		p.portStats(&m.Ports[i])
	}
}

// counter prints a counter, "?" if it is not known.
func (p *printer) counter(label string, x uint64, after string) {
	p.str(label)
	if x == math.MaxUint64 {
		p.byte('?')
	} else {
		p.dec(x)
	}
	p.str(after)
}

type namedCounter struct {
	name string
	x    uint64
}

// knownCounters prints those counters that are known, on a line of their own.
func (p *printer) knownCounters(label string, counters []namedCounter) {
	any := false
	for _, c := range counters {
		if c.x == math.MaxUint64 {
			continue
		}
		if !any {
			p.str(label)
			any = true
		}
		p.f("%s=%d, ", c.name, c.x)
	}
	if any {
		p.byte('\n')
	}
}

func (p *printer) portStats(m *PortStats) {
	p.str("  port ")
	if uint16(m.PortNo) < 10 {
		p.byte(' ')
	}
	p.port(m.PortNo)
	p.counter(": rx pkts=", m.RxPackets, ", ")
	p.counter("bytes=", m.RxBytes, ", ")
	p.counter("drop=", m.RxDropped, ", ")
	p.counter("errs=", m.RxErrors, ", ")
	p.counter("frame=", m.RxFrameErrors, ", ")
	p.counter("over=", m.RxOverErrors, ", ")
	p.counter("crc=", m.RxCRCErrors, "\n")
	p.counter("           tx pkts=", m.TxPackets, ", ")
	p.counter("bytes=", m.TxBytes, ", ")
	p.counter("drop=", m.TxDropped, ", ")
	p.counter("errs=", m.TxErrors, ", ")
	p.counter("coll=", m.Collisions, "\n")
	if m.DurationSec != math.MaxUint32 {
		p.str("           duration=")
		p.duration(m.DurationSec, m.DurationNsec)
		p.byte('\n')
	}
	p.knownCounters("           rx rfc2819 ", []namedCounter{
		{"1_to_64_packets", m.Rx1To64}, {"65_to_127_packets", m.Rx65To127}, {"128_to_255_packets", m.Rx128To255},
		{"256_to_511_packets", m.Rx256To511}, {"512_to_1023_packets", m.Rx512To1023},
		{"1024_to_1522_packets", m.Rx1024To1522}, {"1523_to_max_packets", m.Rx1523ToMax},
		{"broadcast_packets", m.RxBroadcast}, {"undersized_errors", m.RxUndersized},
		{"oversize_errors", m.RxOversize}, {"rx_fragmented_errors", m.RxFragmented},
		{"rx_jabber_errors", m.RxJabber},
	})
	p.knownCounters("           tx rfc2819 ", []namedCounter{
		{"1_to_64_packets", m.Tx1To64}, {"65_to_127_packets", m.Tx65To127}, {"128_to_255_packets", m.Tx128To255},
		{"256_to_511_packets", m.Tx256To511}, {"512_to_1023_packets", m.Tx512To1023},
		{"1024_to_1522_packets", m.Tx1024To1522}, {"1523_to_max_packets", m.Tx1523ToMax},
		{"multicast_packets", m.TxMulticast}, {"broadcast_packets", m.TxBroadcast},
	})
	p.customCounters(m.Custom)
}

func (p *printer) customCounters(counters []CustomCounter) {
	if len(counters) == 0 {
		return
	}
	p.str("           CUSTOM Statistics")
	for i, c := range counters {
		if c.Name == "" {
			continue
		}
		if i%3 == 0 {
			p.str("\n                      ")
		} else {
			p.byte(' ')
		}
		p.f("%s=%d,", c.Name, c.Value)
	}
	p.byte('\n')
}
