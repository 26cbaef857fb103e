package ofp

import (
	"math"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/oferr"
)

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
