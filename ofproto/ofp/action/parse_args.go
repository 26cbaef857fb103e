package action

import (
	"errors"
	"fmt"
	"strings"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/kv"
	"sluice/ofproto/ofp/ofver"
)

func (p *parser) output(s string) (Action, error) {
	if strings.Contains(s, "port") && strings.Contains(s, "max_len") {
		return p.outputTrunc(s)
	}
	if port, ok := field.ParsePort(s, p.ports); ok {
		o := &Output{Port: port}
		if port == flow.OFPController {
			o.MaxLen = 0xffff
		}
		return o, nil
	}
	if sub, err := field.ParseSub(s); err == nil {
		return &OutputReg{Src: sub, MaxLen: 0xffff}, nil
	}
	return nil, fmt.Errorf("%s: output to unknown port", s)
}

func (p *parser) outputTrunc(s string) (Action, error) {
	o := &OutputTrunc{}
	for {
		key, value, rest, ok := kv.Next(s)
		if !ok {
			return o, nil
		}
		s = rest
		switch key {
		case "port":
			port, ok := field.ParsePort(value, p.ports)
			if !ok {
				return nil, fmt.Errorf("output to unknown truncate port: %s", value)
			}
			if port > flow.OFPMax&0xffff && port != flow.OFPLocal && port != flow.OFPInPort {
				return nil, fmt.Errorf("output to unsupported truncate port: %s", value)
			}
			o.Port = port
		case "max_len":
			n, err := kv.U32(value)
			if err != nil {
				return nil, err
			}
			if n < ethHeaderLen {
				return nil, fmt.Errorf("max_len %d is less than the minimum value %d", n, ethHeaderLen)
			}
			o.MaxLen = n
		default:
			return nil, fmt.Errorf("invalid key '%s' in output_trunc argument", key)
		}
	}
}

func (p *parser) enqueue(s string) (Action, error) {
	port, rest, ok := kv.Token(s, ":q,")
	if !ok || rest == "" {
		return nil, errors.New("\"enqueue\" syntax is \"enqueue:PORT:QUEUE\" or \"enqueue(PORT,QUEUE)\"")
	}
	e := &Enqueue{}
	if e.Port, ok = field.ParsePort(port, p.ports); !ok {
		return nil, fmt.Errorf("%s: enqueue to unknown port", port)
	}
	var err error
	e.Queue, err = kv.U32(rest)
	return e, err
}

func (p *parser) vlanVID(s string, push bool) (Action, error) {
	x, err := kv.U16(s, "VLAN VID")
	if err == nil && x > 0xfff {
		err = fmt.Errorf("%s: not a valid VLAN VID", s)
	}
	return &SetVLANVID{VID: x, PushIfNeeded: push}, err
}

func (p *parser) vlanPCP(s string, push bool) (Action, error) {
	x, err := small(s, "VLAN PCP", 7)
	return &SetVLANPCP{PCP: x, PushIfNeeded: push}, err
}

func (p *parser) pushVLAN(s string) (Action, error) {
	p.usable &= ofver.OF11Up
	x, err := kv.U16(s, "ethertype")
	if err == nil && x != flow.EthVLAN && x != flow.EthQinQ {
		err = fmt.Errorf("%s: not a valid VLAN ethertype", s)
	}
	return &PushVLAN{EthType: x}, err
}

func parseMove(s string) (*RegMove, error) {
	src, rest, err := field.ScanSub(s)
	if err != nil {
		return nil, err
	}
	to, ok := strings.CutPrefix(rest, "->")
	if !ok {
		return nil, fmt.Errorf("%s: missing `->' following source", s)
	}
	dst, err := field.ParseSub(to)
	if err != nil {
		return nil, err
	}
	if src.Bits != dst.Bits {
		return nil, fmt.Errorf("%s: source field is %d bits wide but destination is %d bits wide", s, src.Bits, dst.Bits)
	}
	return &RegMove{Src: src, Dst: dst}, nil
}

func parseStack(s string) (field.Sub, error) {
	sub, rest, err := field.ScanSub(s)
	if err == nil && rest != "" {
		err = fmt.Errorf("%s: trailing garbage following push or pop", rest)
	}
	return sub, err
}

func parseDecTTL(s string) (Action, error) {
	if s == "" {
		return decTTL, nil
	}
	t := &DecTTL{Raw: RawNXDecTTLCntIDs}
	for {
		tok, rest, ok := kv.Token(s, ", ")
		if !ok {
			break
		}
		t.IDs = append(t.IDs, uint16(atoi(tok)))
		s = rest
	}
	if len(t.IDs) == 0 {
		return nil, errors.New("dec_ttl_cnt_ids: expected at least one controller id.")
	}
	if len(t.IDs) > maxText/2 {
		return nil, errTooBig
	}
	return t, nil
}

// atoi is C's: the number that s begins with, or 0.
func atoi(s string) (n int) {
	s = strings.TrimLeft(s, " \t\r\n\v\f")
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimLeft(s, "+-")
	for i := 0; i < len(s) && s[i] >= '0' && s[i] <= '9' && n < 1<<40; i++ {
		n = n*10 + int(s[i]-'0')
	}
	if neg {
		return -n
	}
	return n
}

func parseFinTimeout(s string) (Action, error) {
	f := &FinTimeout{}
	for {
		key, value, rest, ok := kv.Next(s)
		if !ok {
			return f, nil
		}
		s = rest
		var err error
		switch key {
		case "idle_timeout":
			f.Idle, err = kv.U16(value, key)
		case "hard_timeout":
			f.Hard, err = kv.U16(value, key)
		default:
			err = fmt.Errorf("invalid key '%s' in 'fin_timeout' argument", key)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) resubmit(s string) (Action, error) {
	r := &Resubmit{Table: 255, InPort: flow.OFPInPort}
	port, s, _ := strings.Cut(s, ",")
	table, s, _ := strings.Cut(s, ",")
	ct, _, _ := strings.Cut(s, ",")
	var ok bool
	if port != "" {
		if r.InPort, ok = field.ParsePort(port, p.ports); !ok {
			return nil, fmt.Errorf("%s: resubmit to unknown port", port)
		}
	}
	if table != "" {
		if r.Table, ok = field.ParseTable(table, p.tables); !ok {
			return nil, fmt.Errorf("%s: resubmit to unknown table", table)
		}
	}
	if ct != "" && ct != "ct" {
		return nil, fmt.Errorf("%s: unknown parameter", ct)
	}
	r.CT = ct != ""
	if r.InPort == flow.OFPInPort && r.Table == 255 {
		return nil, errors.New("at least one \"in_port\" or \"table\" must be specified on resubmit")
	}
	return r, nil
}

func (p *parser) writeMetadata(s string) (Action, error) {
	p.usable &= ofver.NXMOF11Up
	value, mask, masked := strings.Cut(s, "/")
	m := &WriteMetadata{Mask: ^uint64(0)}
	var err error
	if masked {
		if m.Mask, err = kv.U64(mask); err != nil {
			return nil, err
		}
	}
	m.Value, err = kv.U64(value)
	return m, err
}

// hexBytes reads pairs of hexadecimal digits with white space or dots between them.
func hexBytes(s string) (b []byte, rest string) {
	for {
		s = strings.TrimLeft(s, " .\t\r\n")
		if len(s) < 2 {
			return b, s
		}
		hi, lo := hexDigit(s[0]), hexDigit(s[1])
		if hi < 0 || lo < 0 {
			return b, s
		}
		b = append(b, byte(hi<<4|lo))
		s = s[2:]
	}
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

func (p *parser) note(s string) (Action, error) {
	b, rest := hexBytes(s)
	if rest != "" {
		return nil, errors.New("bad hex digit in `note' argument")
	}
	return &Note{Data: b}, p.data(len(b))
}
