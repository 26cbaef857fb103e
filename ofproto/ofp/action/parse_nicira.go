package action

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/kv"
	"sluice/ofproto/ofp/ofver"
)

func (p *parser) controller(s string) (Action, error) {
	c := &Controller{Reason: reasonAction, MaxLen: 0xffff, ProviderMeter: ^uint32(0)}
	userData := false
	if strings.Trim(s, "0123456789") == "" {
		if s != "" {
			var err error
			if c.MaxLen, err = kv.U16(s, "max_len"); err != nil {
				return nil, err
			}
		}
		s = ""
	}
	for {
		key, value, rest, ok := kv.Next(s)
		if !ok {
			break
		}
		s = rest
		if key == "userdata" {
			userData = true
		}
		if err := p.controllerKey(c, key, value); err != nil {
			return nil, err
		}
	}
	if c.Reason == reasonAction && c.ID == 0 && !userData && !c.Pause && c.MeterID == 0 {
		return &Output{Port: flow.OFPController, MaxLen: c.MaxLen}, nil
	}
	return c, p.data(len(c.UserData))
}

func (p *parser) controllerKey(c *Controller, key, value string) (err error) {
	switch key {
	case "reason":
		for i, n := range reasonNames {
			if n != "" && strings.EqualFold(n, value) {
				c.Reason = uint8(i)
				return nil
			}
		}
		return fmt.Errorf("unknown reason \"%s\"", value)
	case "max_len":
		c.MaxLen, err = kv.U16(value, "max_len")
	case "id":
		c.ID, err = kv.U16(value, "id")
	case "userdata":
		var rest string
		if c.UserData, rest = hexBytes(value); rest != "" {
			return errors.New("bad hex digit in `controller' action `userdata'")
		}
	case "pause":
		c.Pause = true
	case "meter_id":
		c.MeterID, err = kv.U32(value)
	default:
		return fmt.Errorf("unknown key \"%s\" parsing controller action", key)
	}
	return err
}

// arrow splits "value->name".
func arrow(s string) (value, name string, err error) {
	value, name, ok := strings.Cut(s, "->")
	switch {
	case !ok:
		return "", "", fmt.Errorf("%s: missing `->'", s)
	case name == "":
		return "", "", fmt.Errorf("%s: missing field name following `->'", s)
	}
	return value, name, nil
}

func (p *parser) setField(s string) (Action, error) {
	value, name, err := arrow(s)
	if err != nil {
		return nil, err
	}
	id, ok := field.ByName(name)
	if !ok {
		return nil, fmt.Errorf("%s is not a valid OXM field name", name)
	}
	f := field.Get(id)
	if !f.Writable {
		return nil, fmt.Errorf("%s is read-only", name)
	}
	var v, mask field.Value
	if err := f.Parse(value, p.ports, &v, &mask); err != nil {
		return nil, err
	}
	if !f.ValueValid(&v) {
		return nil, fmt.Errorf("%s is not a valid value for field %s", value, name)
	}
	p.usable &= f.Exact
	return NewSetField(id, &v, &mask), nil
}

// immediate reads a number for the bits of dst; full is the text for errors.
func immediate(dst field.Sub, s, full string) (v field.Value, err error) {
	f := field.Get(dst.ID)
	v, ok := f.ParseNumber(s)
	if !ok {
		return v, fmt.Errorf("%s: cannot parse integer value", full)
	}
	size := int(f.Size)
	var high field.Value
	field.CopyBits(v[:size], int(dst.Bits), high[:size], 0, 8*size-int(dst.Bits))
	if high != (field.Value{}) {
		return v, fmt.Errorf("%s: value %s does not fit into %d bits", full, f.AppendValue(nil, &v, nil, nil), dst.Bits)
	}
	return v, nil
}

func (p *parser) load(s string) (Action, error) {
	value, name, err := arrow(s)
	if err != nil {
		return nil, err
	}
	dst, err := field.ParseSub(name)
	if err != nil {
		return nil, err
	}
	v, err := immediate(dst, value, s)
	if err != nil {
		return nil, err
	}
	return NewLoad(dst, v[:field.Get(dst.ID).Size]), nil
}

func hashFields(s string) (HashFields, bool) {
	for i, n := range hashNames {
		if strings.EqualFold(n, s) {
			return HashFields(i), true
		}
	}
	return 0, false
}

func (p *parser) bundle(s string, load bool) (Action, error) {
	rest := s
	word := func(delims string) (w string) {
		w, rest, _ = kv.Token(rest, delims)
		return w
	}
	fields, basis, alg, kind := word(", "), word(", "), word(", "), word(", ")
	dst := ""
	if load {
		dst = word(", ")
	}
	delim := word(": ")
	if delim == "" {
		return nil, fmt.Errorf("%s: not enough arguments to bundle action", s)
	}
	if !strings.EqualFold(delim, "members") && !strings.EqualFold(delim, "slaves") {
		return nil, fmt.Errorf("%s: missing member delimiter, expected `members', got `%s'", s, delim)
	}
	b := &Bundle{Load: load, Basis: uint16(atoi(basis))}
	for len(b.Members) < maxMembers {
		m, r, ok := kv.Token(rest, ", []")
		if !ok {
			break
		}
		rest = r
		port, ok := field.ParsePort(m, p.ports)
		if !ok {
			return nil, fmt.Errorf("%s: bad port number", m)
		}
		b.Members = append(b.Members, port)
	}
	var ok bool
	if b.Fields, ok = hashFields(fields); !ok {
		return nil, fmt.Errorf("%s: unknown fields `%s'", s, fields)
	}
	switch strings.ToLower(alg) {
	case "active_backup":
		b.Alg = BundleActiveBackup
	case "hrw":
		b.Alg = BundleHRW
	default:
		return nil, fmt.Errorf("%s: unknown algorithm `%s'", s, alg)
	}
	if !strings.EqualFold(kind, "ofport") {
		return nil, fmt.Errorf("%s: unknown member_type `%s'", s, kind)
	}
	if load {
		var err error
		if b.Dst, err = nxmSubText(s, dst); err != nil {
			return nil, err
		}
	}
	return b, p.data(2 * len(b.Members))
}

// nxmSubText reads bits of a field that has a 32-bit header.
func nxmSubText(full, s string) (field.Sub, error) {
	sub, err := field.ParseSub(s)
	if err == nil && field.Whole(sub.ID).NXMHeader() == 0 {
		err = fmt.Errorf("%s: experimenter OXM field '%s' not supported", full, s)
	}
	return sub, err
}

func parseMultipath(s string) (Action, error) {
	var w [6]string
	rest, ok := s, false
	for i := range w {
		if w[i], rest, ok = kv.Token(rest, ", "); !ok {
			return nil, fmt.Errorf("%s: not enough arguments to multipath action", s)
		}
	}
	m := &Multipath{Basis: uint16(atoi(w[1])), Arg: uint32(atoi(w[4]))}
	if m.Fields, ok = hashFields(w[0]); !ok {
		return nil, fmt.Errorf("%s: unknown fields `%s'", s, w[0])
	}
	ok = false
	for i, n := range multipathNames {
		if strings.EqualFold(n, w[2]) {
			m.Alg, ok = MultipathAlg(i), true
		}
	}
	if !ok {
		return nil, fmt.Errorf("%s: unknown algorithm `%s'", s, w[2])
	}
	links := atoi(w[3])
	if links < 1 || links > 65536 {
		return nil, fmt.Errorf("%s: n_links %d is not in valid range 1 to 65536", s, links)
	}
	m.MaxLink = uint16(links - 1)
	var err error
	if m.Dst, err = nxmSubText(s, w[5]); err != nil {
		return nil, err
	}
	if m.Dst.Bits < 16 && links > 1<<m.Dst.Bits {
		return nil, fmt.Errorf("%s: %d-bit destination field has %d possible values, less than specified n_links %d",
			s, m.Dst.Bits, 1<<m.Dst.Bits, links)
	}
	return m, nil
}

func parseConjunction(s string) (Action, error) {
	bad := errors.New("\"conjunction\" syntax is \"conjunction(id,i/n)\"")
	idText, rest, ok := strings.Cut(s, ",")
	clauseText, nText, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 {
		return nil, bad
	}
	id, err := kv.U64(strings.TrimSpace(idText))
	clause, err2 := strconv.Atoi(strings.TrimSpace(clauseText))
	n, err3 := strconv.Atoi(strings.TrimSpace(nText))
	if err != nil || err2 != nil || err3 != nil || clause > 255 || n > 255 || clause < 0 || n < 0 {
		return nil, bad
	}
	switch {
	case n < 2:
		return nil, errors.New("conjunction must have at least 2 clauses")
	case n > 64:
		return nil, errors.New("conjunction must have at most 64 clauses")
	case clause < 1:
		return nil, errors.New("clause index must be positive")
	case clause > n:
		return nil, errors.New("clause index must be less than or equal to number of clauses")
	}
	return &Conjunction{ID: uint32(id), Clause: uint8(clause - 1), NClauses: uint8(n)}, nil
}

func (p *parser) sample(s string) (Action, error) {
	a := &Sample{Port: flow.OFPNone}
	for {
		key, value, rest, ok := kv.Next(s)
		if !ok {
			break
		}
		s = rest
		if err := p.sampleKey(a, key, value); err != nil {
			return nil, err
		}
	}
	if a.Probability == 0 {
		return nil, errors.New("non-zero \"probability\" must be specified on sample")
	}
	return a, nil
}

func (p *parser) sampleKey(a *Sample, key, value string) (err error) {
	switch key {
	case "probability":
		if a.Probability, err = kv.U16(value, "probability"); err == nil && a.Probability == 0 {
			err = fmt.Errorf("invalid probability value \"%s\"", value)
		}
	case "collector_set_id":
		a.CollectorSet, err = kv.U32(value)
	case "obs_domain_id":
		a.ObsDomain, err = kv.U32(value)
	case "obs_point_id":
		a.ObsPoint, err = kv.U32(value)
	case "sampling_port":
		var ok bool
		if a.Port, ok = field.ParsePort(value, p.ports); !ok {
			err = fmt.Errorf("%s: unknown port", value)
		}
	case "ingress":
		a.Direction = SampleIngress
	case "egress":
		a.Direction = SampleEgress
	default:
		err = fmt.Errorf("invalid key \"%s\" in \"sample\" argument", key)
	}
	return err
}

func parseCheckPktLarger(s string) (Action, error) {
	value, name, err := arrow(s)
	if err != nil {
		return nil, err
	}
	dst, err := field.ParseSub(name)
	if err != nil {
		return nil, err
	}
	if dst.Bits != 1 {
		return nil, errors.New("Only 1-bit destination field is allowed")
	}
	n, err := kv.U16(strings.TrimSuffix(value, ")"), "(null)")
	return &CheckPktLarger{Dst: dst, Len: n}, err
}

func (p *parser) encap(s string) (Action, error) {
	p.usable &= ofver.OF13Up
	key, props, _, ok := kv.Next(s)
	if !ok {
		return nil, fmt.Errorf("Missing encap hdr: %s", s)
	}
	e := &Encap{}
	found := false
	for t, name := range encapNames {
		if name == key {
			e.PacketType, found = t, true
		}
	}
	if !found {
		return nil, fmt.Errorf("Encap hdr not supported: %s", props)
	}
	for {
		name, value, rest, ok := kv.Next(props)
		if !ok {
			return e, nil
		}
		props = rest
		x, err := encapProp(key, name, value)
		if err != nil {
			return nil, err
		}
		e.Props = append(e.Props, x)
		if err := p.data(8 + len(x.Data)); err != nil {
			return nil, err
		}
	}
}

func encapProp(header, name, value string) (x Property, err error) {
	x.Class = propNSH
	switch {
	case header != "nsh" || name != "md_type" && name != "tlv":
		return x, fmt.Errorf("Invalid property: %s", name)
	case value == "":
		return x, errors.New("Value missing for encap property")
	case name == "md_type":
		x.Type = propNSHMDType
		if x.MDType, err = kv.U8(value, "md_type"); err == nil && (x.MDType < 1 || x.MDType > 2) {
			err = errors.New("invalid md_type")
		}
		return x, err
	}
	x.Type = propNSHTLV
	bad := fmt.Errorf("Invalid NSH TLV header: %s", value)
	class, rest, ok := strings.Cut(value, ",")
	typ, data, ok2 := strings.Cut(rest, ",")
	c, err1 := strconv.ParseUint(strings.TrimPrefix(class, "0x"), 16, 16)
	t, err2 := strconv.ParseUint(typ, 10, 8)
	digits, hasPrefix := strings.CutPrefix(data, "0x")
	if !ok || !ok2 || err1 != nil || err2 != nil || !hasPrefix || !strings.HasPrefix(class, "0x") || digits == "" {
		return x, bad
	}
	x.TLVClass, x.TLVType = uint16(c), uint8(t)
	digits = digits[:min(len(digits), 251)]
	x.Data, rest = hexBytes(digits)
	if len(rest) == len(digits) {
		return x, bad
	}
	return x, nil
}

func parseDecap(s string) (Action, error) {
	d := &Decap{PacketType: DecapNext}
	key, value, _, ok := kv.Next(s)
	if !ok {
		return d, nil
	}
	if key != "packet_type" {
		return nil, fmt.Errorf("Invalid decap argument: %s", key)
	}
	key, ns, rest, _ := kv.Next(value)
	if key != "ns" {
		return nil, errors.New("Missing packet_type attribute ns")
	}
	n, err := kv.U16(ns, "ns")
	if err != nil {
		return nil, err
	}
	if n >= nPacketTypes {
		return nil, fmt.Errorf("Unsupported ns value: %d", n)
	}
	key, typ, _, _ := kv.Next(rest)
	if key != "type" {
		return nil, errors.New("Missing packet_type attribute type")
	}
	t, err := kv.U16(typ, "type")
	d.PacketType = uint32(n)<<16 | uint32(t)
	return d, err
}

const nPacketTypes = 5 // OFPHTN_N_TYPES
