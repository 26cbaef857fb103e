package action

import (
	"errors"
	"fmt"
	"strings"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/kv"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

// maxDepth bounds actions inside actions in text.
const maxDepth = 100

// maxText bounds what one text may ask for, in actions and bytes of data.
const maxText = 65535

// parser reads the text of actions.
type parser struct {
	ports  field.PortMap
	tables field.TableMap
	usable ofver.Protocols
	depth  int
	size   int
}

// ParseInstructions reads actions and instructions as ovs-actions(7) has them, such as
// "set_queue:1,output:2,goto_table:3".  usable are the protocols that can say them.
func ParseInstructions(s string, ports field.PortMap, tables field.TableMap) (List, ofver.Protocols, error) {
	p := parser{ports: ports, tables: tables, usable: ofver.Any}
	l, err := p.list(s, true, noOuter)
	return l, p.usable, err
}

// ParseActions is ParseInstructions without instructions.
func ParseActions(s string, ports field.PortMap, tables field.TableMap) (List, ofver.Protocols, error) {
	p := parser{ports: ports, tables: tables, usable: ofver.Any}
	l, err := p.list(s, false, noOuter)
	return l, p.usable, err
}

func (p *parser) list(s string, instructions bool, outer Kind) (List, error) {
	if p.depth >= maxDepth {
		return nil, errors.New("Action nested too deeply")
	}
	p.depth++
	defer func() { p.depth-- }()
	var l List
	drop := false
	for {
		key, value, rest, ok := kv.Next(s)
		if !ok {
			break
		}
		s = rest
		if strings.EqualFold(key, "drop") {
			drop = true
			continue
		}
		a, err := p.action(key, value, instructions)
		if err != nil {
			return nil, err
		}
		l = append(l, a)
		if p.size++; p.size > maxText {
			return nil, errTooBig
		}
	}
	if drop && len(l) > 0 {
		return nil, errors.New("\"drop\" must not be accompanied by any other action or instruction")
	}
	allowed := instApply.bit() | instMeter.bit()
	if instructions {
		allowed = allInstructions
	}
	var text string
	if verify(l, ofver.OF11, allowed, outer, &text) != nil {
		return nil, errors.New(text)
	}
	return l, nil
}

var errTooBig = errors.New("input too big")

// data counts n bytes of what the text asks for.
func (p *parser) data(n int) error {
	if p.size += n; p.size > maxText {
		return errTooBig
	}
	return nil
}

// action reads one action.
func (p *parser) action(key, value string, instructions bool) (Action, error) {
	if k, ok := kindByName(key); ok {
		a, err := p.kind(k, value)
		if k == KindMeter && !instructions {
			p.usable &= ofver.OF15Up // an action only there
		}
		return a, err
	}
	switch strings.ToLower(key) {
	case "mod_vlan_vid":
		return p.vlanVID(value, true)
	case "mod_vlan_pcp":
		return p.vlanPCP(value, true)
	case "set_nw_ttl":
		return p.kind(KindSetIPTTL, value)
	case "pop_vlan":
		return popVLAN, nil
	case "set_tunnel64":
		id, err := kv.U64(value)
		return &SetTunnel{Raw: RawNXSetTunnel64, ID: id}, err
	case "load":
		return p.load(value)
	case "bundle_load":
		return p.bundle(value, true)
	case "apply_actions":
		return nil, errors.New("apply_actions is the default instruction")
	}
	if port, ok := field.ParsePort(key, p.ports); ok {
		return &Output{Port: port}, nil
	}
	return nil, fmt.Errorf("unknown action %s", key)
}

// kind reads the argument of an action of kind k.
func (p *parser) kind(k Kind, s string) (Action, error) {
	switch k {
	case KindOutput, KindOutputReg:
		return p.output(s)
	case KindOutputTrunc:
		return nil, fmt.Errorf("unknown action %s", s)
	case KindGroup:
		id, err := kv.U32(s)
		return &Group{ID: id}, err
	case KindController:
		return p.controller(s)
	case KindEnqueue:
		return p.enqueue(s)
	case KindBundle:
		return p.bundle(s, false)
	case KindSetField:
		return p.setField(s)
	case KindSetVLANVID:
		return p.vlanVID(s, false)
	case KindSetVLANPCP:
		return p.vlanPCP(s, false)
	case KindStripVLAN:
		return stripVLAN, nil
	case KindPushVLAN:
		return p.pushVLAN(s)
	case KindSetEthSrc:
		mac, err := parseMAC(s)
		return &SetEthSrc{MAC: mac}, err
	case KindSetEthDst:
		mac, err := parseMAC(s)
		return &SetEthDst{MAC: mac}, err
	case KindSetIPv4Src:
		ip, err := parseIP(s)
		return &SetIPv4Src{Addr: ip}, err
	case KindSetIPv4Dst:
		ip, err := parseIP(s)
		return &SetIPv4Dst{Addr: ip}, err
	case KindSetIPDSCP:
		x, err := small(s, "TOS", 0xfc)
		return &SetIPDSCP{DSCP: x}, err
	case KindSetIPECN:
		x, err := small(s, "ECN", 3)
		return &SetIPECN{ECN: x}, err
	case KindSetIPTTL:
		x, err := kv.U8(s, "TTL")
		return &SetIPTTL{TTL: x}, err
	case KindSetL4SrcPort:
		x, err := kv.U16(s, "source port")
		return &SetL4SrcPort{Port: x}, err
	case KindSetL4DstPort:
		x, err := kv.U16(s, "destination port")
		return &SetL4DstPort{Port: x}, err
	case KindRegMove:
		return parseMove(s)
	case KindStackPush:
		sub, err := parseStack(s)
		return &StackPush{Sub: sub}, err
	case KindStackPop:
		sub, err := parseStack(s)
		return &StackPop{Sub: sub}, err
	case KindDecTTL:
		return parseDecTTL(s)
	case KindPushMPLS:
		x, err := kv.U16(s, "push_mpls")
		return &PushMPLS{EthType: x}, err
	case KindPopMPLS:
		x, err := kv.U16(s, "pop_mpls")
		return &PopMPLS{EthType: x}, err
	case KindDeleteField:
		id, err := field.ParseName(s)
		return &DeleteField{ID: id}, err
	case KindEncap:
		return p.encap(s)
	case KindDecap:
		return parseDecap(s)
	case KindSetTunnel:
		id, err := kv.U64(s)
		return &SetTunnel{Raw: RawNXSetTunnel, ID: id}, err
	case KindSetQueue:
		q, err := kv.U32(s)
		return &SetQueue{Queue: q}, err
	case KindFinTimeout:
		return parseFinTimeout(s)
	case KindResubmit:
		return p.resubmit(s)
	case KindLearn:
		return p.learn(s)
	case KindConjunction:
		return parseConjunction(s)
	case KindMultipath:
		return parseMultipath(s)
	case KindNote:
		return p.note(s)
	case KindSample:
		return p.sample(s)
	case KindUnrollXlate:
		return nil, errors.New("UNROLL is an internal action that shouldn't be used via OpenFlow")
	case KindCT:
		return p.ct(s)
	case KindNAT:
		return parseNAT(s)
	case KindClone:
		l, err := p.nested(s, KindClone)
		return &Clone{Actions: l}, err
	case KindWriteActions:
		l, err := p.list(s, false, KindWriteActions)
		return &WriteActions{Actions: l}, err
	case KindCheckPktLarger:
		return parseCheckPktLarger(s)
	case KindMeter:
		p.usable &= ofver.OF13Up
		id, err := kv.U32(s)
		return &Meter{ID: id, Provider: ^uint32(0)}, err
	case KindWriteMetadata:
		return p.writeMetadata(s)
	case KindGotoTable:
		t, ok := field.ParseTable(s, p.tables)
		if !ok {
			return nil, fmt.Errorf("unknown table \"%s\"", s)
		}
		return &GotoTable{Table: t}, nil
	}
	return mplsOrPlain(k, s)
}

// mplsOrPlain reads MPLS fields, and the actions without an argument.
func mplsOrPlain(k Kind, s string) (Action, error) {
	switch k {
	case KindSetMPLSLabel:
		if s == "" {
			return nil, errors.New("set_mpls_label: expected label.")
		}
		x, err := kv.U32(s)
		if err == nil && x > 0xfffff {
			err = fmt.Errorf("%s: not a valid MPLS label", s)
		}
		return &SetMPLSLabel{Label: x}, err
	case KindSetMPLSTC:
		if s == "" {
			return nil, errors.New("set_mpls_tc: expected tc.")
		}
		x, err := small(s, "MPLS TC", 7)
		return &SetMPLSTC{TC: x}, err
	case KindSetMPLSTTL:
		if s == "" {
			return nil, errors.New("set_mpls_ttl: expected ttl.")
		}
		x, err := kv.U8(s, "MPLS TTL")
		return &SetMPLSTTL{TTL: x}, err
	case KindDecMPLSTTL:
		return decMPLSTTL, nil
	case KindDecNSHTTL:
		return decNSHTTL, nil
	case KindPopQueue:
		return popQueue, nil
	case KindExit:
		return exit, nil
	case KindCTClear:
		return ctClear, nil
	case KindDebugRecirc:
		return debugRecirc, nil
	case KindDebugSlow:
		return debugSlow, nil
	case KindClearActions:
		return clearActions, nil
	}
	return nil, fmt.Errorf("unknown action %s", k)
}

// nested reads actions inside of an action.
func (p *parser) nested(s string, outer Kind) (List, error) {
	// Stock forgets here what earlier actions ruled out; that is not followed.
	return p.list(s, false, outer)
}

// small reads a number of 8 bits that has bits only where mask has.
func small(s, what string, mask uint8) (uint8, error) {
	x, err := kv.U8(s, what)
	if err == nil && x&^mask != 0 {
		err = fmt.Errorf("%s: not a valid %s", s, what)
	}
	return x, err
}

func parseMAC(s string) (mac [6]byte, err error) {
	m, ok := field.ParseMAC(s)
	if !ok {
		return mac, fmt.Errorf("invalid mac address %s", s)
	}
	return m, nil
}

func parseIP(s string) (uint32, error) {
	ip, ok := field.ParseIPv4(s)
	if !ok {
		return 0, fmt.Errorf("%s: could not convert to IP address", s)
	}
	return ip, nil
}

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

// CheckError is the error that Check's callers give for text.
func CheckError(err error) error {
	var code oferr.Code
	if errors.As(err, &code) {
		return fmt.Errorf("actions are invalid with specified match (%w)", code)
	}
	return err
}
