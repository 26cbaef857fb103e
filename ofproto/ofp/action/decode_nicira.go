package action

import (
	"math/bits"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
)

var (
	bundleLog = vlog.New("bundle")
	bundleRL  = vlog.NewLimiter(1, 5)
	propRL    = vlog.NewLimiter(5, 5)
)

// newSetField makes a SetField with a zero value and mask.
func (d *Decoder) newSetField(id field.ID, raw Raw) *SetField {
	s := d.reg.new()
	*s = SetField{ID: id, Raw: raw, Size: d.mappedSize(id)}
	s.Data = d.bytes.take(2*s.FieldSize(), 512)
	return s
}

// put sets the value and mask from values of the field's row.
func (s *SetField) put(v, mask *field.Value) {
	n, row := s.FieldSize(), int(field.Get(s.ID).Size)
	copy(s.Data[:n], v[row-n:row])
	if mask == nil {
		mask = &field.Ones
	}
	copy(s.Data[n:], mask[row-n:row])
}

// FieldSize returns the bytes of the value, and of the mask.
func (s *SetField) FieldSize() int {
	return field.Sub{ID: s.ID, Size: s.Size}.FieldSize()
}

// Get puts the value and mask into v and mask, as field.Write takes them.
func (s *SetField) Get(v, mask *field.Value) {
	n, row := s.FieldSize(), int(field.Get(s.ID).Size)
	clear(v[:row-n])
	clear(mask[:row-n])
	copy(v[row-n:row], s.Data[:n])
	copy(mask[row-n:row], s.Data[n:])
}

// Value returns the bytes of the value.
func (s *SetField) Value() []byte { return s.Data[:s.FieldSize()] }

// Mask returns the bytes of the mask.
func (s *SetField) Mask() []byte { return s.Data[s.FieldSize():] }

// NewSetField makes a SetField; a nil mask is exact.
func NewSetField(id field.ID, v, mask *field.Value) *SetField {
	s := &SetField{ID: id}
	s.Data = make([]byte, 2*s.FieldSize())
	s.put(v, mask)
	return s
}

// NewLoad makes the action that loads the low bits of src into dst, as learning does.
func NewLoad(dst field.Sub, src []byte) *SetField {
	s := &SetField{ID: dst.ID, Size: dst.Size, Raw: RawNXRegLoad}
	n := s.FieldSize()
	s.Data = make([]byte, 2*n)
	field.CopyBits(src, 0, s.Data[:n], int(dst.Ofs), min(int(dst.Bits), 8*len(src)))
	field.SetBits(s.Data[n:], int(dst.Ofs), int(dst.Bits))
	return s
}

const vlanPresent = 0x1000 // OFPVID_PRESENT

func (d *Decoder) decodeSetField(a []byte, mayMask bool) error {
	var v, mask field.Value
	var maskp *field.Value
	if mayMask {
		maskp = &mask
	}
	e, n, err := field.PullEntry(a[4:], d.tun, true, false, &v, maskp)
	if err == oferr.OFPBMC_BAD_MASK {
		err = oferr.OFPBAC_BAD_SET_MASK
	}
	if err != nil {
		return err
	}
	if !allZero(a[4+n:]) || e.ID == field.InPortOXM {
		return oferr.OFPBAC_BAD_SET_ARGUMENT
	}
	f := field.Get(e.ID)
	if !f.Writable {
		log.WarnRL(rl, "destination field %s is not writable", f.Name)
		return oferr.OFPBAC_BAD_SET_ARGUMENT
	}
	if !mayMask {
		mask = field.Ones
	}
	// The presence bit must be part of what is set.
	if !f.ValueValid(&v) || e.ID == field.VLANVID && be.Uint16(v[:])&be.Uint16(mask[:])&vlanPresent == 0 {
		log.WarnRL(rl, "Invalid value for set field %s: %s", f.Name, f.AppendValue(nil, &v, nil, nil))
		return oferr.OFPBAC_BAD_SET_ARGUMENT
	}
	s := d.newSetField(e.ID, RawNone)
	s.put(&v, &mask)
	d.push1(s)
	return nil
}

func (d *Decoder) decodeRegLoad(a []byte) error {
	dst, err := d.nxmSub(be.Uint32(a[12:]), be.Uint16(a[10:]))
	if err != nil {
		return err
	}
	if err := dst.CheckDst(nil, nil); err != nil {
		return err
	}
	value := a[16:24]
	if dst.Bits < 64 && be.Uint64(value)>>dst.Bits != 0 {
		return oferr.OFPBAC_BAD_ARGUMENT
	}
	s := d.newSetField(dst.ID, RawNXRegLoad)
	n := s.FieldSize()
	field.CopyBits(value, 0, s.Data[:n], int(dst.Ofs), int(dst.Bits))
	field.SetBits(s.Data[n:], int(dst.Ofs), int(dst.Bits))
	d.push1(s)
	return nil
}

func (d *Decoder) decodeRegLoad2(a []byte) error {
	var v, mask field.Value
	e, n, err := field.PullEntry(a[10:], d.tun, true, false, &v, &mask)
	if err != nil {
		return err
	}
	if !allZero(a[10+n:]) {
		return oferr.OFPBAC_BAD_SET_ARGUMENT
	}
	if f := field.Get(e.ID); !f.Writable {
		log.WarnRL(rl, "destination field %s is not writable", f.Name)
		return oferr.OFPBAC_BAD_SET_ARGUMENT
	}
	s := d.newSetField(e.ID, RawNXRegLoad2)
	s.put(&v, &mask)
	d.push1(s)
	return nil
}

// Properties of NXAST_CONTROLLER2.
const (
	ctlMaxLen = iota
	ctlID
	ctlReason
	ctlUserData
	ctlPause
	ctlMeter
)

// Reasons of packet-ins that the actions use.
const reasonAction = 1

func (d *Decoder) decodeController(raw Raw, a []byte) error {
	c := &Controller{Raw: raw, ProviderMeter: ^uint32(0)}
	d.push1(c)
	if raw == RawNXController {
		c.MaxLen, c.ID, c.Reason = be.Uint16(a[10:]), be.Uint16(a[12:]), a[14]
		return nil
	}
	if !allZero(a[10:16]) {
		return oferr.NXBRC_MUST_BE_ZERO
	}
	c.MaxLen, c.Reason = 0xffff, reasonAction
	for b := a[16:]; len(b) > 0; {
		typ, payload, n, err := pullProp(b)
		if err == nil {
			err = d.controllerProp(c, typ, payload)
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// pullProp takes a property from b; n is its padded length.
func pullProp(b []byte) (typ uint16, payload []byte, n int, err error) {
	if len(b) < 4 {
		return 0, nil, 0, oferr.OFPBPC_BAD_LEN
	}
	size := int(be.Uint16(b[2:]))
	n = (size + 7) &^ 7
	if size < 4 || n > len(b) {
		return 0, nil, 0, oferr.OFPBPC_BAD_LEN
	}
	typ = be.Uint16(b)
	if typ != 0xffff {
		return typ, b[4:size], n, nil
	}
	if size < 12 {
		return 0, nil, 0, oferr.OFPBPC_BAD_LEN
	}
	if be.Uint32(b[4:]) == 0 {
		return 0, nil, 0, oferr.OFPBPC_BAD_EXPERIMENTER
	}
	log.WarnRL(propRL, "unknown NXAST_RAW_CONTROLLER2 property type for exp_id 0x%x, exp_type %d",
		be.Uint32(b[4:]), be.Uint32(b[8:]))
	return 0, nil, 0, oferr.OFPBPC_BAD_EXP_TYPE
}

func (d *Decoder) controllerProp(c *Controller, typ uint16, p []byte) error {
	need := func(n int) bool { return len(p) >= n }
	ok := true
	switch typ {
	case ctlMaxLen:
		if ok = need(2); ok {
			c.MaxLen = be.Uint16(p)
		}
	case ctlID:
		if ok = need(2); ok {
			c.ID = be.Uint16(p)
		}
	case ctlReason:
		if ok = need(1); ok {
			c.Reason = p[0]
		}
	case ctlUserData:
		c.UserData = d.copy(p)
	case ctlPause:
		c.Pause = true
	case ctlMeter:
		if ok = len(p) == 4; ok {
			c.MeterID = be.Uint32(p)
		}
	default:
		log.WarnRL(propRL, "unknown NXAST_RAW_CONTROLLER2 property type %d", typ)
		return oferr.OFPBPC_BAD_TYPE
	}
	if !ok {
		return oferr.OFPBPC_BAD_LEN
	}
	return nil
}

func (h HashFields) valid() bool { return h <= HashSymmetricL3 }

const maxMembers = 2048 // BUNDLE_MAX_MEMBERS

func (d *Decoder) decodeBundle(load bool, a []byte) error {
	b := &Bundle{Load: load, Alg: BundleAlg(be.Uint16(a[10:])), Fields: HashFields(be.Uint16(a[12:])),
		Basis: be.Uint16(a[14:])}
	n := int(be.Uint16(a[20:]))
	var err error
	bad := func(format string, args ...any) {
		bundleLog.WarnRL(bundleRL, format, args...)
		err = oferr.OFPBAC_BAD_ARGUMENT
	}
	switch alg := be.Uint16(a[10:]); {
	case !b.Fields.valid():
		bad("unsupported fields %d", b.Fields)
	case n > maxMembers:
		bad("too many members")
	case alg > uint16(BundleHRW):
		bad("unsupported algorithm %d", alg)
	case be.Uint32(a[16:]) != field.Whole(field.InPort).NXMHeader():
		bad("unsupported member type %d", be.Uint32(a[16:]))
	}
	if !allZero(a[28:32]) {
		bad("reserved field is nonzero")
	}
	if load {
		var subErr error
		if b.Dst, subErr = d.nxmSub(be.Uint32(a[24:]), be.Uint16(a[22:])); subErr != nil {
			return subErr
		}
		if b.Dst.Bits < 16 {
			bad("bundle_load action requires at least 16 bit destination.")
		}
	} else if !allZero(a[22:28]) {
		bad("bundle action has nonzero reserved fields")
	}
	members := a[32:]
	if len(members) < 2*n {
		name := "bundle"
		if load {
			name = "bundle_load"
		}
		bundleLog.WarnRL(bundleRL, "Nicira action %s only has %d bytes allocated for members.  %d bytes are required for %d members.",
			name, len(members), 2*n, n)
		return oferr.OFPBAC_BAD_LEN
	}
	if err != nil {
		return err
	}
	b.Members = make([]uint32, n)
	for i := range b.Members {
		b.Members[i] = field.PortFrom16(be.Uint16(members[2*i:]))
	}
	d.push1(b)
	return b.check(flow.OFPMax, nil)
}

func (d *Decoder) decodeMultipath(a []byte) error {
	m := &Multipath{Fields: HashFields(be.Uint16(a[10:])), Basis: be.Uint16(a[12:]),
		Alg: MultipathAlg(be.Uint16(a[16:])), MaxLink: be.Uint16(a[18:]), Arg: be.Uint32(a[20:])}
	var err error
	if m.Dst, err = d.nxmSub(be.Uint32(a[28:]), be.Uint16(a[26:])); err != nil {
		return err
	}
	links := uint32(m.MaxLink) + 1
	need := bits.Len32(links - 1)
	switch {
	case !m.Fields.valid():
		log.WarnRL(rl, "unsupported fields %d", m.Fields)
		return oferr.OFPBAC_BAD_ARGUMENT
	case m.Alg > MultipathIterHash:
		log.WarnRL(rl, "unsupported algorithm %d", m.Alg)
		return oferr.OFPBAC_BAD_ARGUMENT
	case int(m.Dst.Bits) < need:
		log.WarnRL(rl, "multipath action requires at least %d bits for %d links", need, links)
		return oferr.OFPBAC_BAD_ARGUMENT
	}
	d.push1(m)
	return m.Dst.CheckDst(nil, nil)
}

func (d *Decoder) decodeLearn(raw Raw, a []byte) error {
	l := &Learn{Raw: raw, Idle: be.Uint16(a[10:]), Hard: be.Uint16(a[12:]), Priority: be.Uint16(a[14:]),
		Cookie: be.Uint64(a[16:]), Table: a[26], FinIdle: be.Uint16(a[28:]), FinHard: be.Uint16(a[30:])}
	flags := be.Uint16(a[24:])
	if raw == RawNXLearn2 && be.Uint16(a[38:]) != 0 {
		return oferr.NXBAC_MUST_BE_ZERO
	}
	if a[27] != 0 || l.Table == 255 {
		return oferr.OFPBAC_BAD_ARGUMENT
	}
	known := uint16(LearnSendFlowRem | LearnDeleteLearned)
	if raw == RawNXLearn2 {
		known |= LearnWriteResult
	}
	if flags&^known != 0 {
		return oferr.OFPBAC_BAD_ARGUMENT
	}
	l.Flags = uint8(flags)
	rest := a[32:]
	if raw == RawNXLearn2 {
		l.Limit = be.Uint32(a[32:])
		ofs := be.Uint16(a[36:])
		rest = a[40:]
		if flags&LearnWriteResult != 0 {
			var err error
			if l.ResultDst, rest, err = d.pullField(rest); err != nil {
				return err
			}
			if !field.Get(l.ResultDst.ID).Writable {
				return oferr.OFPBAC_BAD_SET_ARGUMENT
			}
			l.ResultDst.Ofs, l.ResultDst.Bits = ofs, 1
		} else if ofs != 0 {
			return oferr.OFPBAC_BAD_ARGUMENT
		}
	}
	d.push1(l)
	return d.learnSpecs(l, rest)
}

func (d *Decoder) learnSpecs(l *Learn, b []byte) error {
	for len(b) > 0 {
		header := be.Uint16(b)
		b = b[2:]
		if header == 0 {
			break
		}
		spec := LearnSpec{Bits: header & 0x3ff, Kind: LearnDst(header >> 11 & 3)}
		immediate := header>>13&1 != 0
		if spec.Kind > LearnOutput || spec.Kind == LearnOutput && immediate {
			return oferr.OFPBAC_BAD_ARGUMENT
		}
		immLen := (int(spec.Bits) + 15) / 16 * 2
		need := 6
		if immediate {
			need = immLen
		}
		if spec.Kind != LearnOutput {
			need += 6
		}
		if len(b) < need {
			return oferr.OFPBAC_BAD_LEN
		}
		var err error
		if immediate {
			n := (int(spec.Bits) + 7) / 8
			if spec.Imm = d.copy(b[immLen-n : immLen]); spec.Imm == nil {
				spec.Imm = []byte{}
			}
			b = b[immLen:]
		} else if spec.Src, b, err = d.learnField(b, spec.Bits); err != nil {
			return err
		}
		if spec.Kind != LearnOutput {
			if spec.Dst, b, err = d.learnField(b, spec.Bits); err != nil {
				return err
			}
		}
		l.Specs = append(l.Specs, spec)
	}
	if !allZero(b) {
		return oferr.OFPBAC_BAD_ARGUMENT
	}
	return nil
}

func (d *Decoder) learnField(b []byte, n uint16) (field.Sub, []byte, error) {
	s, err := field.SubFromWire(be.Uint32(b), be.Uint16(b[4:]), n, d.tun)
	return s, b[6:], err
}

// Bits of nx_action_nat.range_present.
const (
	natIPv4Min = 1 << iota
	natIPv4Max
	natIPv6Min
	natIPv6Max
	natProtoMin
	natProtoMax
)

// Classes and types of encapsulation properties.
const (
	propBasic     = 0
	propMPLS      = 1
	propGRE       = 2
	propGTP       = 3
	propNSH       = 4
	propNSHMDType = 1
	propNSHTLV    = 2
)

func (d *Decoder) decodeEncap(a []byte) error {
	e := &Encap{HdrSize: be.Uint16(a[10:]), PacketType: be.Uint32(a[12:])}
	switch e.PacketType {
	case flow.PacketTypeEth, flow.PacketTypeNSH, flow.PacketTypeMPLS, flow.PacketTypeMPLSMc:
	default:
		return oferr.NXBAC_BAD_HEADER_TYPE
	}
	for b := a[16:]; len(b) > 0; {
		p, n, err := d.pullEncapProp(b)
		if err != nil {
			return err
		}
		e.Props = append(e.Props, p)
		b = b[n:]
	}
	d.push1(e)
	return nil
}

func (d *Decoder) pullEncapProp(b []byte) (p Property, n int, err error) {
	if len(b) < 4 {
		return p, 0, oferr.OFPBAC_BAD_LEN
	}
	size := int(b[3])
	n = (size + 7) &^ 7
	if size < 4 || n > len(b) {
		return p, 0, oferr.OFPBAC_BAD_LEN
	}
	p = Property{Class: be.Uint16(b), Type: b[2]}
	switch {
	case p.Class == propNSH && p.Type == propNSHMDType:
		if size > 8 {
			return p, 0, oferr.NXBAC_BAD_ED_PROP
		}
		p.MDType = b[4]
	case p.Class == propNSH && p.Type == propNSHTLV:
		if size < 8 || size != 8+(int(b[7])+7)&^7 {
			return p, 0, oferr.NXBAC_BAD_ED_PROP
		}
		p.TLVClass, p.TLVType = be.Uint16(b[4:]), b[6]
		p.Data = d.copy(b[8 : 8+int(b[7])])
	default:
		return p, 0, oferr.NXBAC_UNKNOWN_ED_PROP
	}
	return p, n, nil
}
