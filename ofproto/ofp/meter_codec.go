package ofp

import "sluice/ofproto/ofp/oferr"

// meterBandLen is the size of a band on the wire, whatever its type.
const meterBandLen = 16

func (e *encoder) bands(bands []MeterBand) {
	for _, b := range bands {
		e.u16(b.BandType)
		e.u16(meterBandLen)
		e.u32(b.Rate)
		e.u32(b.BurstSize)
		e.u8(b.PrecLevel)
		e.zeros(3)
	}
}

// decodeBands reads the bands that fill the first n bytes of b.
func decodeBands(b []byte, n int) (bands []MeterBand, rest []byte, err error) {
	if n < 0 || n > len(b) {
		return nil, nil, oferr.OFPBRC_BAD_LEN
	}
	rest, b = b[n:], b[:n]
	for len(b) >= meterBandLen {
		if be16(b[2:]) != meterBandLen {
			return nil, nil, oferr.OFPBRC_BAD_LEN
		}
		band := MeterBand{BandType: be16(b), Rate: be32(b[4:]), BurstSize: be32(b[8:])}
		switch band.BandType {
		case BandDrop:
		case BandDSCPRemark:
			band.PrecLevel = b[12]
		default:
			return nil, nil, oferr.OFPMMFC_BAD_BAND
		}
		bands = append(bands, band)
		b = b[meterBandLen:]
	}
	if len(b) > 0 {
		return nil, nil, oferr.OFPBRC_BAD_LEN
	}
	return bands, rest, nil
}

func (m *MeterMod) encode(e *encoder) {
	r := stdRaw(TypeMeterMod, e.v)
	if r == RawInvalid {
		return
	}
	e.begin(r)
	e.u16(m.Command)
	if m.Command == MeterDelete {
		e.u16(0)
	} else {
		e.u16(uint16(m.Flags))
	}
	e.u32(m.MeterID)
	e.bands(m.Bands)
}

func decodeMeterMod(d decoder) (Msg, error) {
	m, err := parseMeterMod(d.body)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func parseMeterMod(b []byte) (*MeterMod, error) {
	m := &MeterMod{Command: be16(b)}
	m.MeterID = be32(b[4:])
	switch m.Command {
	case MeterDelete:
		return m, nil
	case MeterAdd, MeterModify:
	default:
		return nil, oferr.OFPMMFC_BAD_COMMAND
	}
	m.Flags = MeterFlags(be16(b[2:]))
	if m.Flags&MeterKbps != 0 && m.Flags&MeterPktps != 0 {
		return nil, oferr.OFPMMFC_BAD_FLAGS
	}
	var err error
	m.Bands, _, err = decodeBands(b[8:], len(b)-8)
	return m, err
}

// FormatMeterID is a meter as tools print it, with sep between "meter" and its id.
func FormatMeterID(id uint32, sep byte) string {
	var p printer
	p.meterID(id, sep)
	return string(p.b)
}

func (p *printer) meterID(id uint32, sep byte) {
	p.str("meter")
	p.byte(sep)
	switch {
	case id <= MeterMax:
		p.dec(uint64(id))
	case id == MeterSlowpath:
		p.str("slowpath")
	case id == MeterController:
		p.str("controller")
	case id == MeterAll:
		p.str("all")
	default:
		p.str("unknown")
	}
}

func (p *printer) meterFlags(f MeterFlags) {
	for _, row := range meterFlagNames {
		if uint32(f)&row.bit != 0 {
			p.str(row.name)
			p.byte(' ')
		}
	}
	if f &^= MeterKbps | MeterPktps | MeterBurst | MeterStats; f != 0 {
		p.f("flags:0x%x ", uint16(f))
	}
}

var meterFlagNames = []bitName{
	{uint32(MeterKbps), "kbps"}, {uint32(MeterPktps), "pktps"},
	{uint32(MeterBurst), "burst"}, {uint32(MeterStats), "stats"},
}

var bandTypeNames = []bitName{{1 << BandDrop, "drop"}, {1 << BandDSCPRemark, "dscp_remark"}}

func (p *printer) meterConfig(m *MeterConfig) {
	p.meterID(m.MeterID, '=')
	p.byte(' ')
	p.meterFlags(m.Flags)
	p.str("bands=")
	for i := range m.Bands {
		p.meterBand(m.Flags, &m.Bands[i])
	}
	p.byte('\n')
}

func (p *printer) meterBand(f MeterFlags, b *MeterBand) {
	p.str("\ntype=")
	switch b.BandType {
	case BandDrop:
		p.str("drop")
	case BandDSCPRemark:
		p.str("dscp_remark")
	default:
		p.dec(uint64(b.BandType))
	}
	p.f(" rate=%d", b.Rate)
	if f&MeterBurst != 0 {
		p.f(" burst_size=%d", b.BurstSize)
	}
	if b.BandType == BandDSCPRemark {
		p.f(" prec_level=%d", b.PrecLevel)
	}
}

func (m *MeterMod) format(p *printer) {
	switch m.Command {
	case MeterAdd:
		p.str(" ADD ")
	case MeterModify:
		p.str(" MOD ")
	case MeterDelete:
		p.str(" DEL ")
	default:
		p.f(" cmd:%d ", m.Command)
	}
	p.meterConfig(&m.MeterConfig)
}

func (m *MeterRequest) encode(e *encoder) {
	r := stdRaw(m.Kind, e.v)
	if r == RawInvalid {
		return
	}
	e.begin(r)
	e.u32(m.MeterID)
	e.zeros(4)
}

func decodeMeterRequest(d decoder) (Msg, error) {
	return &MeterRequest{Kind: d.Type, MeterID: be32(d.body)}, nil
}

func (m *MeterRequest) format(p *printer) {
	p.byte(' ')
	p.meterID(m.MeterID, '=')
}

func (m *MeterConfig) entry(e *encoder, _ Raw) {
	e.u16(uint16(8 + meterBandLen*len(m.Bands)))
	e.u16(uint16(m.Flags))
	e.u32(m.MeterID)
	e.bands(m.Bands)
}

func (m *MeterConfigReply) encode(e *encoder) {
	r := stdRaw(TypeMeterConfigStatsReply, e.v)
	if r == RawInvalid {
		return
	}
	e.beginPart(r, m.More)
	for i := range m.Meters {
		m.Meters[i].entry(e, r)
	}
}

func decodeMeterConfigReply(d decoder) (Msg, error) {
	m := &MeterConfigReply{More: d.more()}
	for b := d.body; len(b) > 0; {
		if len(b) < 8 {
			return m, oferr.OFPBRC_BAD_LEN
		}
		c := MeterConfig{MeterID: be32(b[4:]), Flags: MeterFlags(be16(b[2:]))}
		var err error
		if c.Bands, b, err = decodeBands(b[8:], int(be16(b))-8); err != nil {
			return m, err
		}
		m.Meters = append(m.Meters, c)
	}
	return m, nil
}

func (m *MeterConfigReply) format(p *printer) {
	for i := range m.Meters {
		p.byte('\n')
		p.meterConfig(&m.Meters[i])
	}
}

func (m *MeterStat) entry(e *encoder, _ Raw) {
	e.u32(m.MeterID)
	e.u16(uint16(40 + 16*len(m.Bands)))
	e.zeros(6)
	e.u32(m.FlowCount)
	e.u64(m.PacketInCount)
	e.u64(m.ByteInCount)
	e.u32(m.DurationSec)
	e.u32(m.DurationNsec)
	for _, b := range m.Bands {
		e.u64(b.PacketCount)
		e.u64(b.ByteCount)
	}
}

func (m *MeterStatsReply) encode(e *encoder) {
	r := stdRaw(TypeMeterStatsReply, e.v)
	if r == RawInvalid {
		return
	}
	e.beginPart(r, m.More)
	for i := range m.Meters {
		m.Meters[i].entry(e, r)
	}
}

func decodeMeterStatsReply(d decoder) (Msg, error) {
	const size = 40
	m := &MeterStatsReply{More: d.more()}
	for b := d.body; len(b) > 0; {
		if len(b) < size {
			return m, oferr.OFPBRC_BAD_LEN
		}
		n := int(be16(b[4:]))
		if n < size || n > len(b) || (n-size)%16 != 0 {
			return m, oferr.OFPBRC_BAD_LEN
		}
		s := MeterStat{
			MeterID: be32(b), FlowCount: be32(b[12:]), PacketInCount: be64(b[16:]), ByteInCount: be64(b[24:]),
			DurationSec: be32(b[32:]), DurationNsec: be32(b[36:]),
		}
		for bands := b[size:n]; len(bands) > 0; bands = bands[16:] {
			s.Bands = append(s.Bands, MeterBandStats{be64(bands), be64(bands[8:])})
		}
		m.Meters = append(m.Meters, s)
		b = b[n:]
	}
	return m, nil
}

func (m *MeterStatsReply) format(p *printer) {
	for _, s := range m.Meters {
		p.byte('\n')
		p.meterID(s.MeterID, ':')
		p.f(" flow_count:%d packet_in_count:%d byte_in_count:%d duration:", s.FlowCount, s.PacketInCount, s.ByteInCount)
		p.duration(s.DurationSec, s.DurationNsec)
		p.str(" bands:\n")
		for i, b := range s.Bands {
			p.f("%d: packet_count:%d byte_count:%d\n", i, b.PacketCount, b.ByteCount)
		}
	}
}

func (m *MeterFeatures) encode(e *encoder) {
	r := stdRaw(TypeMeterFeaturesStatsReply, e.v)
	if r == RawInvalid {
		return
	}
	e.begin(r)
	e.u32(m.MaxMeters)
	e.u32(m.BandTypes)
	e.u32(m.Capabilities)
	e.u8(m.MaxBands)
	e.u8(m.MaxColor)
	e.zeros(2)
}

func decodeMeterFeatures(d decoder) (Msg, error) {
	b := d.body
	return &MeterFeatures{
		MaxMeters: be32(b), BandTypes: be32(b[4:]), Capabilities: be32(b[8:]), MaxBands: b[12], MaxColor: b[13],
	}, nil
}

func (m *MeterFeatures) format(p *printer) {
	p.f("\nmax_meter:%d max_bands:%d max_color:%d\nband_types: ", m.MaxMeters, m.MaxBands, m.MaxColor)
	p.bits(m.BandTypes, bandTypeNames, ' ')
	p.str("\ncapabilities: ")
	p.bits(m.Capabilities, meterFlagNames, ' ')
	p.byte('\n')
}
