package action

import (
	"errors"
	"fmt"
	"strings"

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

// CheckError is the error that Check's callers give for text.
func CheckError(err error) error {
	var code oferr.Code
	if errors.As(err, &code) {
		return fmt.Errorf("actions are invalid with specified match (%w)", code)
	}
	return err
}
