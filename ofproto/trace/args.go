package trace

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/match"
)

// Parse understands the arguments of ofproto/trace:
//
//	[options] [dpname] odp_flow [packet]
//	[options] bridge br_flow [packet]
//
// dps are the datapaths by type.  consistent, when not nil, allows and gets
// -consistent (ofproto/trace-packet-out).
func Parse(dps map[string]*Datapath, args []string, consistent *bool, now int64) (*Datapath, *Packet, error) {
	p := &Packet{Now: now}
	o := options{p: p, consistent: consistent, l7Len: 64}
	rest, err := o.parse(args)
	if err != nil {
		return nil, nil, err
	}
	var data []byte
	if !o.generate && len(rest) > 1 {
		d, problem := packetFromHex(rest[len(rest)-1])
		switch {
		case problem == "":
			data, rest = d, rest[:len(rest)-1]
		case len(rest) > 2:
			return nil, nil, errors.New(problem)
		}
	}
	var dp *Datapath
	switch len(rest) {
	case 2:
		dp = dps[strings.TrimPrefix(rest[0], "ovs-")]
	case 1:
		if len(dps) == 1 {
			for _, dp = range dps {
			}
		}
	default:
		return nil, nil, errors.New("Syntax error")
	}
	if dp, err = p.parseFlow(dps, dp, rest); err != nil {
		return nil, nil, err
	}
	switch {
	case o.generate:
		p.Data = o.compose(&p.Flow)
	case data != nil:
		p.Data = data
		md := p.Flow
		flow.ExtractFlow(data, &md, &p.Flow)
	}
	return dp, p, nil
}

// parseFlow reads the flow, a datapath's or an OpenFlow one, and finds the bridge.
func (p *Packet) parseFlow(dps map[string]*Datapath, dp *Datapath, rest []string) (*Datapath, error) {
	text := rest[len(rest)-1]
	var names odp.PortNames
	if dp != nil {
		names = dp.Names
	}
	key, _, err := odp.ParseKey(text, names)
	if err == nil {
		if dp == nil {
			return nil, errors.New("Cannot find the datapath")
		}
		br, ofport, err := dp.Snap.Find(&key, dp.Recircs)
		if err != nil {
			return nil, err
		}
		limitVLANs(&key)
		p.Bridge, p.Flow = br, key
		p.Flow.InPort = ofport
		return dp, nil
	}
	if len(rest) != 2 {
		return nil, fmt.Errorf("syntax error at %s (or the bridge name was omitted)", text)
	}
	for _, d := range dps {
		if br := d.Snap.BridgeByName(rest[0]); br != nil {
			dp, p.Bridge = d, br
		}
	}
	if p.Bridge == nil {
		return nil, fmt.Errorf("%s: unknown bridge", rest[0])
	}
	p.Flow, err = match.ParseExactFlow(text, p.Bridge.TunTable, p.Bridge, nil)
	if err != nil {
		return nil, fmt.Errorf("Bad openflow flow syntax: %w", err)
	}
	return dp, nil
}

// limitVLANs makes f what the datapath would see: a tag beyond the limit of
// vlan-limit is the type of the packet, and what is behind it is not looked at.
func limitVLANs(f *flow.Flow) {
	n := flow.VLANLimit()
	if n >= flow.MaxVLANs || f.VLANs[n].TCI&flow.VLANCFI == 0 {
		return
	}
	f.DLType = f.VLANs[n].TPID
	clear(f.VLANs[n:])
	f.MPLS = [4]uint32{}
	clear(f.Words()[flow.EndL2:])
}

// options are the options of a trace.
type options struct {
	p          *Packet
	consistent *bool
	generate   bool
	l7         []byte
	l7Len      int
}

// parse takes the options out of args and returns the rest.
func (o *options) parse(args []string) ([]string, error) {
	var rest []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		value := func() (string, error) {
			if i+1 >= len(args) {
				return "", fmt.Errorf("Missing argument for option %s", arg)
			}
			i++
			return args[i], nil
		}
		switch {
		case arg == "-generate" || arg == "--generate":
			o.generate = true
		case arg == "--l7":
			v, err := value()
			if err != nil {
				return nil, err
			}
			if o.l7, err = hex.DecodeString(v); err != nil {
				return nil, errors.New("Trailing garbage in packet data")
			}
			o.l7Len = len(o.l7)
		case arg == "--l7-len":
			v, err := value()
			if err != nil {
				return nil, err
			}
			if o.l7Len, _ = strconv.Atoi(v); o.l7Len > 64000 || o.l7Len < 0 {
				return nil, fmt.Errorf("%s: too much L7 data", v)
			}
			o.l7 = nil
		case o.consistent != nil && (arg == "-consistent" || arg == "--consistent"):
			*o.consistent = true
		case arg == "-names" || arg == "--names":
			o.p.Names = true
		case arg == "--ct-next":
			v, err := value()
			if err != nil {
				return nil, err
			}
			state, err := parseCTState(v)
			if err != nil {
				return nil, err
			}
			o.p.CTNext = append(o.p.CTNext, state)
		case strings.HasPrefix(arg, "-"):
			return nil, fmt.Errorf("%s: unknown option", arg)
		case len(rest) >= 3:
			return nil, errors.New("too many arguments")
		default:
			rest = append(rest, arg)
		}
	}
	return rest, nil
}

// compose makes a packet of the flow.
func (o *options) compose(f *flow.Flow) []byte {
	b := flow.Compose(f, o.l7Len)
	if o.l7 != nil && len(b) >= len(o.l7) {
		copy(b[len(b)-len(o.l7):], o.l7)
	}
	return b
}

// parseCTState reads a list of conntrack state bits and checks that they can occur
// together.
func parseCTState(s string) (uint8, error) {
	var state uint32
	for _, name := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		bit := -1
		for i, n := range field.CTStateNames() {
			if n == name {
				bit = i
			}
		}
		if bit < 0 {
			return 0, fmt.Errorf("%s: unknown connection tracking state flag", name)
		}
		state |= 1 << bit
	}
	text := string(field.AppendFlags(nil, field.CTStateNames(), state, '|'))
	problems := ""
	for _, c := range []struct {
		wrong bool
		why   string
	}{
		{state != 0 && state&flow.CTTracked == 0, "If \"trk\" is unset, no other flags are set"},
		{state&flow.CTInvalid != 0 && state&^(flow.CTTracked|flow.CTInvalid) != 0,
			"when \"inv\" is set, only \"trk\" may also be set"},
		{state&flow.CTNew != 0 && state&flow.CTEstablished != 0, "\"new\" and \"est\" are mutually exclusive"},
		{state&flow.CTNew != 0 && state&flow.CTReplyDir != 0, "\"new\" and \"rpy\" are mutually exclusive"},
	} {
		if c.wrong {
			problems += text + ": invalid connection state: " + c.why + "\n"
		}
	}
	if problems != "" {
		return 0, errors.New(problems)
	}
	return uint8(state), nil
}

// packetFromHex reads a packet; problem says what is wrong.
func packetFromHex(s string) (data []byte, problem string) {
	s = strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\n' || r == '.' || r == ':' {
			return -1
		}
		return r
	}, s)
	data, err := hex.DecodeString(s)
	if err != nil {
		return nil, "Trailing garbage in packet data"
	}
	if len(data) < 14 {
		return nil, "Packet data too short for Ethernet"
	}
	return data, ""
}
