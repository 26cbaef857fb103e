package dpctl

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"sluice/dpif"
	"sluice/dpif/flow"
)

// parseTuple parses one direction of a connection into t; what is the same for
// both goes to m.
func parseTuple(s string, t *dpif.CTTuple, m *dpif.CTMatch) error {
	for field := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		name, value, _ := strings.Cut(field, "=")
		if value == "" {
			return fmt.Errorf("field %s missing value", name)
		}
		if err := parseTupleField(name, value, t, m); err != nil {
			return err
		}
	}
	if m.IPProto == 0 && (t.SrcPort != 0 || t.DstPort != 0) {
		return fmt.Errorf("port is set without protocol")
	}
	return nil
}

func parseTupleField(name, value string, t *dpif.CTTuple, m *dpif.CTMatch) error {
	number := func(bits int) (uint16, error) {
		v, err := strconv.ParseUint(value, 0, bits)
		if err != nil {
			return 0, fmt.Errorf("failed to parse field %s", name)
		}
		return uint16(v), nil
	}
	switch name {
	case "ct_nw_src":
		return parseTupleAddr(name, value, &t.Src, flow.EthIPv4, m)
	case "ct_nw_dst":
		return parseTupleAddr(name, value, &t.Dst, flow.EthIPv4, m)
	case "ct_ipv6_src":
		return parseTupleAddr(name, value, &t.Src, flow.EthIPv6, m)
	case "ct_ipv6_dst":
		return parseTupleAddr(name, value, &t.Dst, flow.EthIPv6, m)
	case "ct_nw_proto":
		v, err := number(8)
		m.IPProto = uint8(v)
		return err
	case "ct_tp_src", "ct_tp_dst":
		v, err := number(16)
		if name == "ct_tp_src" {
			t.SrcPort = v
		} else {
			t.DstPort = v
		}
		return err
	case "icmp_type", "icmp_code", "icmp_id":
		if !isICMP(m.IPProto) {
			return fmt.Errorf("invalid L4 fields")
		}
		switch name {
		case "icmp_id":
			v, err := number(16)
			t.SrcPort = v
			return err
		case "icmp_type":
			v, err := number(8)
			t.DstPort = t.DstPort&0xff | v<<8
			return err
		}
		v, err := number(8)
		t.DstPort = t.DstPort&0xff00 | v
		return err
	}
	return fmt.Errorf("invalid conntrack tuple field: %s", name)
}

func parseTupleAddr(name, value string, a *flow.IPv6, l3 uint16, m *dpif.CTMatch) error {
	if m.L3Type != 0 && m.L3Type != l3 {
		return fmt.Errorf("the L3 protocol does not match %s", value)
	}
	if *a != (flow.IPv6{}) {
		return fmt.Errorf("%s is set multiple times", name)
	}
	ip, err := netip.ParseAddr(value)
	if err != nil || ip.Is4() != (l3 == flow.EthIPv4) || ip.Zone() != "" {
		return fmt.Errorf("failed to parse field %s", name)
	}
	m.L3Type, *a = l3, ip.As16()
	return nil
}
