package odp

import (
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"sluice/dpif/flow"
)

// ParseActions parses the text of datapath actions; "drop" is the empty list.
func ParseActions(s string, names PortNames) ([]Action, error) {
	nodes, _, err := parseNodes(s)
	if err != nil {
		return nil, err
	}
	return actionsOf(nodes, names)
}

func actionsOf(nodes []node, names PortNames) ([]Action, error) {
	if len(nodes) == 1 && nodes[0].name == "drop" && !nodes[0].group {
		return nil, nil
	}
	var out []Action
	for i := range nodes {
		a, err := actionOf(&nodes[i], names)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// actionParsers are the actions with arguments, by name.
var actionParsers map[string]func(*node, PortNames) (Action, error)

func init() {
	number := func(t Type, arg bool) func(*node, PortNames) (Action, error) {
		return func(n *node, _ PortNames) (Action, error) { return numberAction(n, t, arg) }
	}
	actionParsers = map[string]func(*node, PortNames) (Action, error){
		"lb_output":     number(LBOutput, false),
		"recirc":        number(Recirc, false),
		"meter":         number(Meter, false),
		"trunc":         number(Trunc, true),
		"userspace":     parseUserspace,
		"set":           parseSet,
		"push_vlan":     parsePushVLAN,
		"sample":        parseSample,
		"clone":         parseClone,
		"check_pkt_len": parseCheckPktLen,
		"ct":            parseCT,
		"hash":          parseHash,
		"push_eth":      parsePushEth,
		"push_nsh":      parsePushNSH,
		"push_mpls":     func(n *node, _ PortNames) (Action, error) { return parsePushMPLS(n, PushMPLS) },
		"add_mpls":      func(n *node, _ PortNames) (Action, error) { return parsePushMPLS(n, AddMPLS) },
		"pop_mpls":      parsePopMPLS,
		"tnl_pop":       parseTnlPop,
		"tnl_push":      parseTnlPush,
		"pop_nsh":       func(*node, PortNames) (Action, error) { return Action{Type: PopNSH}, nil },
	}
}

// plainActions are the actions without arguments.
var plainActions = map[string]Type{
	"pop_vlan": PopVLAN, "pop_eth": PopEth, "ct_clear": CTClear, "drop": Drop,
}

func actionOf(n *node, names PortNames) (Action, error) {
	if n.name == "ct" && !n.group {
		return Action{Type: CT, Ext: &Ext{CT: &CTArg{}}}, nil
	}
	if n.group {
		if parse := actionParsers[n.name]; parse != nil {
			return parse(n, names)
		}
		return Action{}, fmt.Errorf("unknown action %s()", n.name)
	}
	if t, ok := plainActions[n.name]; ok && n.value == "" {
		return Action{Type: t}, nil
	}
	port, err := parsePort(n.name, names)
	if err != nil || n.value != "" {
		return Action{}, fmt.Errorf("unknown action %s", n.name)
	}
	return Action{Type: Output, Port: port}, nil
}

func numberAction(n *node, t Type, arg bool) (Action, error) {
	text, err := only(n)
	if err != nil {
		return Action{}, err
	}
	v, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return Action{}, fmt.Errorf("%s: bad number %q", n.name, text)
	}
	if arg {
		return Action{Type: t, Arg: uint32(v)}, nil
	}
	return Action{Type: t, Port: uint32(v)}, nil
}

// args reads numbers by name out of the kids of a node.
type args struct {
	n   *node
	err error
}

// num returns the number of member name, or def where it is missing.
func (a *args) num(name string, bits int, def uint64) uint64 {
	k := a.n.kid(name)
	if k == nil {
		return def
	}
	v, err := strconv.ParseUint(k.value, 0, bits)
	if err != nil && a.err == nil {
		a.err = fmt.Errorf("%s: bad %s %q", a.n.name, name, k.value)
	}
	return v
}

func parseUserspace(n *node, names PortNames) (Action, error) {
	u := &UserspaceArg{}
	a := args{n: n}
	u.PID = uint32(a.num("pid", 32, 0))
	for i := range n.kids {
		k := &n.kids[i]
		sub := args{n: k}
		switch k.name {
		case "pid":
		case "sFlow":
			u.Kind = UserSFlow
			u.VLANTCI = uint16(sub.num("vid", 12, 0) | sub.num("pcp", 3, 0)<<flow.VLANPCPShift)
			if u.VLANTCI != 0 {
				u.VLANTCI |= flow.VLANCFI
			}
			u.Output = uint32(sub.num("output", 32, 0))
		case "slow_path":
			u.Kind = UserSlowPath
			sub.err = parseSlowPath(k, u)
		case "flow_sample":
			u.Kind = UserFlowSample
			sub.err = parseFlowSample(k, u, names)
		case "ipfix":
			u.Kind = UserIPFIX
			sub.err = parseOutputPort(k, u, names)
		case "controller":
			u.Kind = UserController
			u.Reason = uint8(sub.num("reason", 8, 0))
			u.DontSend = sub.num("dont_send", 1, 0) != 0
			u.Continuation = sub.num("continuation", 1, 0) != 0
			u.RecircID = uint32(sub.num("recirc_id", 32, 0))
			u.RuleCookie = sub.num("rule_cookie", 64, 0)
			u.ControllerID = uint16(sub.num("controller_id", 16, 0))
			u.MaxLen = uint16(sub.num("max_len", 16, 0))
		case "userdata":
			u.HasUserdata = true
			var text string
			if text, sub.err = only(k); sub.err == nil {
				u.Unspec, sub.err = hex.DecodeString(text)
			}
		case "actions":
			u.Actions = true
		case "tunnel_out_port":
			u.HasTunnelOut = true
			u.TunnelOutPort, sub.err = parsePort(k.value, names)
		default:
			sub.err = fmt.Errorf("userspace has no member %s", k.name)
		}
		if sub.err != nil {
			return Action{}, sub.err
		}
	}
	return Action{Type: Userspace, Ext: &Ext{User: u}}, a.err
}

func parseSlowPath(k *node, u *UserspaceArg) error {
	for i := range k.kids {
		name := k.kids[i].name
		if v, err := strconv.ParseUint(name, 0, 32); err == nil {
			u.SlowReason |= uint32(v)
			continue
		}
		bit, err := slowPathNames.bit(name)
		if err != nil {
			return err
		}
		u.SlowReason |= bit
	}
	return nil
}

func parseFlowSample(k *node, u *UserspaceArg, names PortNames) error {
	a := args{n: k}
	u.Probability = uint16(a.num("probability", 16, 0))
	u.CollectorSetID = uint32(a.num("collector_set_id", 32, 0))
	u.ObsDomainID = uint32(a.num("obs_domain_id", 32, 0))
	u.ObsPointID = uint32(a.num("obs_point_id", 32, 0))
	if k.kid("ingress") != nil {
		u.Direction = 1
	} else if k.kid("egress") != nil {
		u.Direction = 2
	}
	if a.err != nil {
		return a.err
	}
	return parseOutputPort(k, u, names)
}

func parseOutputPort(k *node, u *UserspaceArg, names PortNames) error {
	o := k.kid("output_port")
	if o == nil {
		return fmt.Errorf("%s without output_port", k.name)
	}
	var err error
	u.OutputPort, err = parsePort(o.value, names)
	return err
}

func parseSet(n *node, names PortNames) (Action, error) {
	if len(n.kids) != 1 {
		return Action{}, fmt.Errorf("set takes one attribute")
	}
	k := &n.kids[0]
	if k.name == "tunnel" {
		t := &flow.Tunnel{}
		var mask flow.Tunnel
		return Action{Type: SetTunnel, Ext: &Ext{Tunnel: t}}, parseTunnel(k, t, &mask)
	}
	s := &SetArg{Attr: attrByName(k.name)}
	if s.Attr == 0 {
		return Action{}, fmt.Errorf("%s cannot be set", k.name)
	}
	p := keyParser{key: &s.Key, mask: s.Mask.AsFlow(), names: names}
	return Action{Type: Set, Ext: &Ext{Set: s}}, p.attr(k)
}

func attrByName(name string) Attr {
	for _, it := range memberItems {
		if it.name == name {
			return it.attr
		}
	}
	for i := range scalars {
		if scalars[i].name == name {
			return scalars[i].attr
		}
	}
	switch name {
	case "ct_label":
		return AttrCTLabel
	case "in_port":
		return AttrInPort
	case "eth_type":
		return AttrEthType
	case "mpls":
		return AttrMPLS
	case "vlan":
		return AttrVLAN
	}
	return 0
}

func parsePushVLAN(n *node, _ PortNames) (Action, error) {
	tci, _, err := parseTCI(n)
	if err != nil {
		return Action{}, err
	}
	a := args{n: n}
	tpid := a.num("tpid", 16, flow.EthVLAN)
	return Action{Type: PushVLAN, VLAN: flow.VLAN{TPID: uint16(tpid), TCI: tci}}, a.err
}

func parsePushMPLS(n *node, t Type) (Action, error) {
	a := Action{Type: t}
	var mask uint32
	for i := range n.kids {
		k := &n.kids[i]
		if k.name == "eth_type" {
			continue
		}
		if err := parseLSE(k, &a.Port, &mask); err != nil {
			return a, err
		}
	}
	ar := args{n: n}
	a.EtherType = uint16(ar.num("eth_type", 16, flow.EthMPLS))
	if t == AddMPLS {
		a.Arg = uint32(ar.num("flags", 32, 0))
	}
	return a, ar.err
}

func parsePopMPLS(n *node, _ PortNames) (Action, error) {
	a := args{n: n}
	et := a.num("eth_type", 16, 0)
	return Action{Type: PopMPLS, EtherType: uint16(et)}, a.err
}

func parseSample(n *node, names PortNames) (Action, error) {
	s, acts := n.kid("sample"), n.kid("actions")
	if s == nil || acts == nil {
		return Action{}, fmt.Errorf("sample needs sample= and actions()")
	}
	pct, err := strconv.ParseFloat(strings.TrimSuffix(s.value, "%"), 64)
	if err != nil || !(pct >= 0 && pct <= 100) {
		return Action{}, fmt.Errorf("bad sampling rate %q", s.value)
	}
	nested, err := actionsOf(acts.kids, names)
	p := math.Floor(float64(math.MaxUint32)*(pct/100) + .5)
	return Action{Type: Sample, Arg: uint32(min(p, math.MaxUint32)), Nested: nested}, err
}

func parseClone(n *node, names PortNames) (Action, error) {
	nested, err := actionsOf(n.kids, names)
	return Action{Type: Clone, Nested: nested}, err
}

func parseCheckPktLen(n *node, names PortNames) (Action, error) {
	a := args{n: n}
	out := Action{Type: CheckPktLen, Arg: uint32(a.num("size", 16, 0))}
	gt, le := n.kid("gt"), n.kid("le")
	if gt == nil || le == nil || a.err != nil {
		return out, fmt.Errorf("check_pkt_len needs size=, gt() and le()")
	}
	var err error
	if out.Nested, err = actionsOf(gt.kids, names); err != nil {
		return out, err
	}
	out.Else, err = actionsOf(le.kids, names)
	return out, err
}

func parseHash(n *node, _ PortNames) (Action, error) {
	h := &HashArg{}
	if len(n.kids) != 1 || !n.kids[0].group {
		return Action{}, fmt.Errorf("hash needs l4() or sym_l4()")
	}
	k := &n.kids[0]
	switch k.name {
	case "l4":
	case "sym_l4":
		h.Alg = 1
	default:
		return Action{}, fmt.Errorf("unknown hash algorithm %s", k.name)
	}
	sub, err := numberAction(k, Hash, true)
	h.Basis = sub.Arg
	return Action{Type: Hash, Ext: &Ext{Hash: h}}, err
}

func parsePushEth(n *node, _ PortNames) (Action, error) {
	e := &EthArg{}
	src, dst := n.kid("src"), n.kid("dst")
	if src == nil || dst == nil {
		return Action{}, fmt.Errorf("push_eth needs src= and dst=")
	}
	var err error
	if e.Src, err = parseMAC(src.value); err == nil {
		e.Dst, err = parseMAC(dst.value)
	}
	return Action{Type: PushEth, Ext: &Ext{Eth: e}}, err
}

func parsePushNSH(n *node, _ PortNames) (Action, error) {
	a := args{n: n}
	h := &flow.NSH{
		Flags: uint8(a.num("flags", 8, 0)), TTL: uint8(a.num("ttl", 8, 63)),
		MDType: uint8(a.num("mdtype", 8, 1)), NP: uint8(a.num("np", 8, 3)),
	}
	h.PathHdr = uint32(a.num("spi", 24, 0)<<8 | a.num("si", 8, 255))
	for i := range h.Context {
		h.Context[i] = uint32(a.num(fmt.Sprintf("c%d", i+1), 32, 0))
	}
	return Action{Type: PushNSH, Ext: &Ext{NSH: h}}, a.err
}

func parseCT(n *node, _ PortNames) (Action, error) {
	c := &CTArg{}
	for i := range n.kids {
		k := &n.kids[i]
		var err error
		switch k.name {
		case "commit":
			c.Commit = true
		case "force_commit":
			c.Force, c.Commit = true, true
		case "zone":
			var v uint64
			v, err = strconv.ParseUint(k.value, 10, 16)
			c.Zone = uint16(v)
		case "mark":
			var v, m value
			v, m, err = parseMasked(&member{kind: kindHex, bits: 32}, k.value)
			c.HasMark, c.Mark, c.MarkMask = true, uint32(v.lo), uint32(m.lo)
		case "label":
			c.HasLabel = true
			c.Label, c.LabelMask, err = parseU128Masked(k.value)
		case "helper":
			c.Helper = k.value
			if len(k.value) == 0 || len(k.value) > 15 {
				err = fmt.Errorf("bad helper %q", k.value)
			}
		case "timeout":
			c.Timeout = k.value
			if len(k.value) == 0 || len(k.value) > 31 {
				err = fmt.Errorf("bad timeout policy %q", k.value)
			}
		case "nat":
			c.NAT, err = parseNAT(k)
		default:
			err = fmt.Errorf("unknown argument %s", k.name)
		}
		if err != nil {
			return Action{}, fmt.Errorf("ct: %w", err)
		}
	}
	return Action{Type: CT, Ext: &Ext{CT: c}}, nil
}

func parseNAT(n *node) (*NATArg, error) {
	nat := &NATArg{}
	for i := range n.kids {
		k := &n.kids[i]
		switch k.name {
		case "src", "dst":
			nat.Src, nat.Dst = k.name == "src", k.name == "dst"
			if k.value != "" {
				if err := parseNATRange(k.value, nat); err != nil {
					return nil, err
				}
			}
		case "persistent":
			nat.Persistent = true
		case "hash":
			nat.HashPorts = true
		case "random":
			nat.Random = true
		default:
			return nil, fmt.Errorf("nat has no argument %s", k.name)
		}
	}
	if n.group && nat.Src == nat.Dst && len(n.kids) > 0 {
		return nil, fmt.Errorf("nat options need src or dst")
	}
	return nat, nil
}

// parseNATRange parses ADDR[-ADDR][:PORT[-PORT]]; IPv6 addresses stand in
// brackets when ports follow.
func parseNATRange(s string, nat *NATArg) error {
	addrs, ports := s, ""
	if i := strings.LastIndexByte(s, ']'); i >= 0 {
		addrs, ports = s[:i+1], strings.TrimPrefix(s[i+1:], ":")
	} else if strings.Count(s, ":") == 1 {
		addrs, ports, _ = strings.Cut(s, ":")
	}
	lo, hi, isRange := strings.Cut(addrs, "-")
	a, err := netip.ParseAddr(strings.Trim(lo, "[]"))
	if err != nil {
		return fmt.Errorf("bad nat address %q", lo)
	}
	nat.HasIP, nat.V6 = true, a.Is6()
	nat.IPMin = natAddr(a)
	nat.IPMax = nat.IPMin
	if isRange {
		b, err := netip.ParseAddr(strings.Trim(hi, "[]"))
		if err != nil || b.Is6() != a.Is6() || b.Less(a) {
			return fmt.Errorf("bad nat address range %q", addrs)
		}
		nat.IPMax = natAddr(b)
	}
	if ports == "" {
		return nil
	}
	pl, ph, isRange := strings.Cut(ports, "-")
	if !isRange {
		ph = pl
	}
	v, err1 := strconv.ParseUint(pl, 10, 16)
	w, err2 := strconv.ParseUint(ph, 10, 16)
	if err1 != nil || err2 != nil || w < v {
		return fmt.Errorf("bad nat ports %q", ports)
	}
	nat.PortMin, nat.PortMax = uint16(v), uint16(w)
	return nil
}

func natAddr(a netip.Addr) (out flow.IPv6) {
	copy(out[:], a.AsSlice())
	return out
}

func parseTnlPop(n *node, names PortNames) (Action, error) {
	text, err := only(n)
	if err != nil {
		return Action{}, err
	}
	port, err := parsePort(text, names)
	return Action{Type: TunnelPop, Port: port}, err
}
