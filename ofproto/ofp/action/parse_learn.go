package action

import (
	"errors"
	"fmt"
	"strings"

	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/kv"
	"sluice/ofproto/ofp/match"
)

func (p *parser) learn(s string) (Action, error) {
	l := &Learn{Priority: match.DefaultPriority, Table: 1}
	orig := s
	for {
		key, value, rest, ok := kv.Next(s)
		if !ok {
			return l, nil
		}
		s = rest
		known, err := p.learnKey(l, orig, key, value)
		if err == nil && !known {
			var spec LearnSpec
			spec, err = p.learnSpec(orig, key, value)
			l.Specs = append(l.Specs, spec)
			if err == nil {
				err = p.data(32 + len(spec.Imm))
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) learnKey(l *Learn, orig, key, value string) (known bool, err error) {
	switch key {
	case "table":
		var ok bool
		if l.Table, ok = field.ParseTable(value, p.tables); !ok {
			return true, fmt.Errorf("unknown table \"%s\"", value)
		}
		if l.Table == 255 {
			return true, fmt.Errorf("%s: table id 255 not valid for `learn' action", orig)
		}
	case "priority":
		l.Priority = uint16(atoi(value))
	case "idle_timeout":
		l.Idle = uint16(atoi(value))
	case "hard_timeout":
		l.Hard = uint16(atoi(value))
	case "fin_idle_timeout":
		l.FinIdle = uint16(atoi(value))
	case "fin_hard_timeout":
		l.FinHard = uint16(atoi(value))
	case "cookie":
		l.Cookie, _ = kv.U64(value)
	case "send_flow_rem":
		l.Flags |= LearnSendFlowRem
	case "delete_learned":
		l.Flags |= LearnDeleteLearned
	case "limit":
		l.Limit = uint32(atoi(value))
	case "result_dst":
		l.Flags |= LearnWriteResult
		if l.ResultDst, err = field.ParseSub(value); err != nil {
			return true, err
		}
		if !field.Get(l.ResultDst.ID).Writable {
			return true, fmt.Errorf("%s is read-only", value)
		}
		if l.ResultDst.Bits != 1 {
			return true, errors.New("result_dst in 'learn' action must be a single bit")
		}
	default:
		return false, nil
	}
	return true, nil
}

func (p *parser) learnSpec(orig, name, value string) (s LearnSpec, err error) {
	if _, err := field.ParseSub(name); err == nil {
		return p.learnMatch(orig, name, value)
	}
	switch name {
	case "load":
		return learnLoad(name, value)
	case "output":
		s.Kind = LearnOutput
		s.Src, err = field.ParseSub(value)
		s.Bits = s.Src.Bits
		return s, err
	}
	return s, fmt.Errorf("%s: unknown keyword %s", orig, name)
}

func (p *parser) learnMatch(orig, name, value string) (s LearnSpec, err error) {
	if s.Dst, err = nxmSubText(orig, name); err != nil {
		return s, err
	}
	s.Bits, s.Src = s.Dst.Bits, s.Dst
	if value == "" {
		return s, nil
	}
	src, err := field.ParseSub(value)
	if err == nil {
		if s.Src = src; src.Bits != s.Dst.Bits {
			return s, fmt.Errorf("%s: bit widths of %s (%d) and %s (%d) differ", orig, name, src.Bits, value, s.Dst.Bits)
		}
		return s, nil
	}
	f := field.Get(s.Dst.ID)
	var v field.Value
	var immErr error
	if s.Dst.IsWhole() {
		immErr = f.ParseExact(value, p.ports, &v)
	} else {
		v, immErr = immediate(s.Dst, value, orig)
	}
	if immErr != nil {
		return s, fmt.Errorf("%s: %s value %s cannot be parsed as a subfield (%w) or an immediate value (%w)",
			orig, name, value, err, immErr)
	}
	n := (int(s.Bits) + 7) / 8
	s.Imm = append([]byte{}, v[int(f.Size)-n:f.Size]...)
	return s, nil
}

func learnLoad(name, value string) (s LearnSpec, err error) {
	s.Kind = LearnLoad
	src, dst, ok := strings.Cut(value, "->")
	switch {
	case !ok:
		return s, fmt.Errorf("%s: missing `->' in `%s'", name, value)
	case src == "":
		return s, fmt.Errorf("%s: missing source before `->' in `%s'", name, value)
	}
	var imm [field.MaxSize]byte
	rest, isInt := field.ScanNumber(src, imm[:])
	if !isInt {
		move, err := parseMove(value)
		if err != nil {
			return s, err
		}
		s.Src, s.Dst, s.Bits = move.Src, move.Dst, move.Src.Bits
		return s, nil
	}
	if rest != "" {
		return s, fmt.Errorf("%s: garbage before `->' in `%s'", name, value)
	}
	if s.Dst, err = nxmSubText(value, dst); err != nil {
		return s, err
	}
	s.Bits = s.Dst.Bits
	var high [field.MaxSize]byte
	field.CopyBits(imm[:], int(s.Bits), high[:], 0, 8*len(imm)-int(s.Bits))
	if high != ([field.MaxSize]byte{}) {
		return s, fmt.Errorf("%s: value does not fit into %d bits", value, s.Bits)
	}
	n := (int(s.Bits) + 7) / 8
	s.Imm = append([]byte{}, imm[len(imm)-n:]...)
	return s, nil
}
