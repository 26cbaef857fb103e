package action

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
)

// pullField takes an OXM or NXM header without mask from b and returns the whole
// field.
func (d *Decoder) pullField(b []byte) (s field.Sub, rest []byte, err error) {
	h, n, err := field.PullHeader(b)
	if err != nil {
		return s, nil, err
	}
	id, err := field.Resolve(h, d.tun, false)
	if err != nil {
		return s, nil, err
	}
	if h.HasMask() {
		return s, nil, oferr.OFPBMC_BAD_MASK
	}
	s = field.Whole(id)
	if s.Size = d.mappedSize(id); s.Size != 0 {
		s.Bits = uint16(s.Size) * 8
	}
	return s, b[n:], nil
}

func (d *Decoder) mappedSize(id field.ID) uint8 {
	if d.tun == nil || d.tun.Private {
		return 0
	}
	return d.tun.Size(id)
}

// nxmSub decodes the 32-bit header of a destination or source with its packed offset
// and width.
func (d *Decoder) nxmSub(header uint32, ofsBits uint16) (field.Sub, error) {
	return field.SubFromWire(header, ofsBits>>6, ofsBits&0x3f+1, d.tun)
}

func (d *Decoder) decodeMove(sizes, rest []byte, raw Raw) error {
	src, rest, err := d.pullField(rest)
	if err != nil {
		return err
	}
	dst, rest, err := d.pullField(rest)
	if err != nil {
		return err
	}
	if !allZero(rest) {
		return oferr.NXBRC_MUST_BE_ZERO
	}
	n := be.Uint16(sizes)
	src.Bits, src.Ofs = n, be.Uint16(sizes[2:])
	dst.Bits, dst.Ofs = n, be.Uint16(sizes[4:])
	m := d.move.new()
	*m = RegMove{Src: src, Dst: dst, Raw: raw}
	d.push1(m)
	if err := src.CheckSrc(nil, nil); err != nil {
		return err
	}
	return dst.CheckDst(nil, nil)
}

func (d *Decoder) decodeResubmit(raw Raw, a []byte) error {
	r := d.resub.new()
	*r = Resubmit{Raw: raw, Table: 255, InPort: field.PortFrom16(be.Uint16(a[10:]))}
	if raw != RawNXResubmit {
		if !allZero(a[13:16]) {
			return oferr.OFPBAC_BAD_ARGUMENT
		}
		r.Table, r.CT = a[12], raw == RawNXResubmitTableCT
	}
	d.push1(r)
	return nil
}

func (d *Decoder) decodeConjunction(a []byte) error {
	c := d.conj.new()
	*c = Conjunction{Clause: a[10], NClauses: a[11], ID: be.Uint32(a[12:])}
	if c.NClauses < 2 || c.NClauses > 64 || c.Clause >= c.NClauses {
		return oferr.NXBAC_BAD_CONJUNCTION
	}
	d.push1(c)
	return nil
}

func (d *Decoder) decodeStack(push bool, a []byte) error {
	s, rest, err := d.pullField(a[12:])
	if err != nil {
		return err
	}
	s.Ofs, s.Bits = be.Uint16(a[10:]), be.Uint16(rest)
	if !allZero(rest[2:]) {
		return oferr.NXBRC_MUST_BE_ZERO
	}
	if push {
		d.push1(&StackPush{Sub: s})
		return s.CheckSrc(nil, nil)
	}
	d.push1(&StackPop{Sub: s})
	return s.CheckDst(nil, nil)
}

func (d *Decoder) decodeOutputReg(raw Raw, a []byte) error {
	o := &OutputReg{Raw: raw}
	ofsBits := be.Uint16(a[10:])
	var err error
	if raw == RawNXOutputReg {
		if !allZero(a[18:24]) {
			return oferr.OFPBAC_BAD_ARGUMENT
		}
		o.MaxLen = be.Uint16(a[16:])
		if o.Src, err = d.nxmSub(be.Uint32(a[12:]), ofsBits); err != nil {
			return err
		}
	} else {
		var rest []byte
		o.MaxLen = be.Uint16(a[12:])
		if o.Src, rest, err = d.pullField(a[14:]); err != nil {
			return err
		}
		if !allZero(rest) {
			return oferr.NXBRC_MUST_BE_ZERO
		}
		o.Src.Ofs, o.Src.Bits = ofsBits>>6, ofsBits&0x3f+1
	}
	d.push1(o)
	return o.Src.CheckSrc(nil, nil)
}

func (d *Decoder) decodeDecTTL(a []byte) error {
	n := int(be.Uint16(a[10:]))
	if !allZero(a[12:16]) {
		return oferr.NXBRC_MUST_BE_ZERO
	}
	ids := a[16:]
	if len(ids) < 2*n {
		log.WarnRL(rl, "Nicira action dec_ttl_cnt_ids only has %d bytes allocated for controller ids.  "+
			"%d bytes are required for %d controllers.", len(ids), 2*n, n)
		return oferr.OFPBAC_BAD_LEN
	}
	t := &DecTTL{Raw: RawNXDecTTLCntIDs, IDs: make([]uint16, n)}
	for i := range t.IDs {
		t.IDs[i] = be.Uint16(ids[2*i:])
	}
	d.push1(t)
	return nil
}

func (d *Decoder) decodeSample(raw Raw, a []byte) error {
	s := &Sample{Raw: raw, Probability: be.Uint16(a[10:]), CollectorSet: be.Uint32(a[12:]),
		ObsDomain: be.Uint32(a[16:]), ObsPoint: be.Uint32(a[20:]), Port: flow.OFPNone}
	if raw != RawNXSample {
		s.Port = field.PortFrom16(be.Uint16(a[24:]))
	}
	if raw == RawNXSample3 {
		if !allZero(a[27:32]) {
			return oferr.NXBRC_MUST_BE_ZERO
		}
		if s.Direction = a[26]; s.Direction > SampleEgress {
			log.WarnRL(rl, "invalid sample direction %d", s.Direction)
			return oferr.OFPBAC_BAD_ARGUMENT
		}
	}
	if s.Probability == 0 {
		return oferr.OFPBAC_BAD_ARGUMENT
	}
	d.push1(s)
	return nil
}

func (d *Decoder) decodeCheckPktLarger(a []byte) error {
	dst, rest, err := d.pullField(a[14:])
	if err != nil {
		return err
	}
	if !allZero(rest) {
		return oferr.NXBRC_MUST_BE_ZERO
	}
	dst.Ofs, dst.Bits = be.Uint16(a[12:]), 1
	d.push1(&CheckPktLarger{Dst: dst, Len: be.Uint16(a[10:])})
	return dst.CheckDst(nil, nil)
}
