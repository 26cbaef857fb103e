package match

import (
	"fmt"
	"strings"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/kv"
	"sluice/ofproto/ofp/ofver"
)

// protocols are the short names that stand for an Ethernet type and IP protocol.
var protocols = map[string]struct {
	dlType uint16
	proto  uint8
}{
	"ip": {flow.EthIPv4, 0}, "ipv4": {flow.EthIPv4, 0}, "ip4": {flow.EthIPv4, 0},
	"arp": {flow.EthARP, 0}, "rarp": {flow.EthRARP, 0},
	"icmp": {flow.EthIPv4, protoICMP}, "tcp": {flow.EthIPv4, protoTCP},
	"udp": {flow.EthIPv4, protoUDP}, "sctp": {flow.EthIPv4, protoSCTP},
	"ipv6": {flow.EthIPv6, 0}, "ip6": {flow.EthIPv6, 0},
	"icmp6": {flow.EthIPv6, protoICMPv6}, "tcp6": {flow.EthIPv6, protoTCP},
	"udp6": {flow.EthIPv6, protoUDP}, "sctp6": {flow.EthIPv6, protoSCTP},
	"mpls": {flow.EthMPLS, 0}, "mplsm": {flow.EthMPLSMc, 0},
}

// ParseKey adds one key and value of a flow's text to m: a protocol's short name, a
// field, or bits of a field.  known is false if key is none of those.  The protocols
// that cannot say it are removed from *usable.
func (m *Match) ParseKey(key, value string, ports field.PortMap, usable *ofver.Protocols) (known bool, err error) {
	if p, ok := protocols[key]; ok {
		m.Flow.DLType, m.Mask.DLType = p.dlType, 0xffff
		if p.proto != 0 {
			m.Flow.NwProto, m.Mask.NwProto = p.proto, 0xff
		}
		m.SetDefaultPacketType()
		return true, nil
	}
	if key == "eth" {
		m.Flow.PacketType, m.Mask.PacketType = flow.PacketTypeEth, 0xffffffff
		return true, nil
	}
	if id, ok := field.ByName(key); ok {
		return true, m.parseField(id, value, ports, usable)
	}
	if strings.Contains(key, "[") {
		return true, m.parseSub(key, value, usable)
	}
	return false, nil
}

func (m *Match) parseField(id field.ID, s string, ports field.PortMap, usable *ofver.Protocols) error {
	if s == "" {
		s = "0/0" // only the presence of the field is matched
	}
	var v, mask field.Value
	if err := field.Get(id).Parse(s, ports, &v, &mask); err != nil {
		return err
	}
	p, err := m.Set(id, &v, &mask)
	*usable &= p
	m.AddEthernetPrereq(id)
	return err
}

func (m *Match) parseSub(name, s string, usable *ofver.Protocols) error {
	sub, err := field.ParseSub(name)
	if err != nil {
		return err
	}
	f := field.Get(sub.ID)
	v, ok := f.ParseNumber(s)
	if !ok {
		return fmt.Errorf("%s: cannot parse integer value: %s", name, s)
	}
	size := int(f.Size)
	var rest field.Value
	field.CopyBits(v[:size], int(sub.Bits), rest[:size], 0, size*8-int(sub.Bits))
	if rest != (field.Value{}) {
		return fmt.Errorf("%s: value %s does not fit into %d bits", name, f.AppendValue(nil, &v, nil, nil), sub.Bits)
	}
	var value, mask field.Value
	m.Get(sub.ID, &value, &mask)
	field.CopyBits(v[:size], 0, value[:size], int(sub.Ofs), int(sub.Bits))
	field.SetBits(mask[:size], int(sub.Ofs), int(sub.Bits))
	p, err := m.Set(sub.ID, &value, &mask)
	*usable &= p
	m.AddEthernetPrereq(sub.ID)
	return err
}

// Finish completes a match after the last ParseKey and returns the protocols, of
// those in usable, that can say the whole.
func (m *Match) Finish(usable ofver.Protocols) ofver.Protocols {
	if m.Mask.PacketType == 0xffffffff && m.Flow.PacketType>>16 == 1 {
		m.Flow.DLType = uint16(m.Flow.PacketType)
	}
	if w := &m.Mask; m.Flow.DLType == flow.EthIPv6 && (w.NwProto|w.NwTOS != 0 || w.TpSrc|w.TpDst != 0) {
		usable &= ofver.NXMOXMAny
	}
	return usable
}

// Parse reads a match as stock's tools write it, such as "tcp,tp_dst=80".
func Parse(s string, ports field.PortMap) (*Match, ofver.Protocols, error) {
	m := new(Match)
	usable := ofver.Any
	for {
		key, value, rest, ok := kv.Next(s)
		if !ok {
			return m, m.Finish(usable), nil
		}
		known, err := m.ParseKey(key, value, ports, &usable)
		if err == nil && !known {
			err = fmt.Errorf("unknown keyword %s", key)
		}
		if err != nil {
			return nil, 0, err
		}
		s = rest
	}
}

// ParseExactFlow reads the fields of one packet, as ofproto/trace takes them: exact
// values, each field once and after what it presupposes.  The fields that were given
// are added to mask unless that is nil.
func ParseExactFlow(s string, tab *field.TunTable, ports field.PortMap, mask *flow.Mask) (f flow.Flow, err error) {
	for in := s; ; {
		key, value, rest, ok := kv.Next(in)
		if !ok {
			break
		}
		in = rest
		if err := parseExactKey(&f, s, key, value, tab, ports, mask); err != nil {
			return flow.Flow{}, err
		}
	}
	if f.InPort == 0 {
		f.InPort = flow.OFPNone
	}
	return f, nil
}

func parseExactKey(f *flow.Flow, s, key, value string, tab *field.TunTable, ports field.PortMap, mask *flow.Mask) error {
	if p, ok := protocols[key]; ok {
		switch {
		case f.DLType != 0:
			return fmt.Errorf("%s: Ethernet type set multiple times", s)
		case p.proto != 0 && f.NwProto != 0:
			return fmt.Errorf("%s: network protocol set multiple times", s)
		}
		f.DLType = p.dlType
		if mask != nil {
			mask.DLType = 0xffff
		}
		if p.proto != 0 {
			f.NwProto = p.proto
			if mask != nil {
				mask.NwProto = 0xff
			}
		}
		return nil
	}
	id, ok := field.ByName(key)
	switch {
	case !ok:
		return fmt.Errorf("%s: unknown field %s", s, key)
	case !field.PrereqsOK(f, id, nil):
		return fmt.Errorf("%s: prerequisites not met for setting %s", s, key)
	case field.IsSet(f, id):
		return fmt.Errorf("%s: field %s set multiple times", s, key)
	}
	var v field.Value
	if err := field.Get(id).ParseExact(value, ports, &v); err != nil {
		return fmt.Errorf("%s: bad value for %s (%w)", s, key, err)
	}
	field.Write(f, id, tab, &v)
	if mask != nil {
		field.AddExact(mask, id, tab)
	}
	return nil
}
