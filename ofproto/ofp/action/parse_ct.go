package action

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/kv"
)

func (p *parser) ct(s string) (Action, error) {
	c := &CT{RecircTable: CTNoRecirc}
	for {
		key, value, rest, ok := kv.Next(s)
		if !ok {
			break
		}
		s = rest
		if err := p.ctKey(c, key, value); err != nil {
			return nil, err
		}
	}
	if c.Flags&CTForce != 0 && c.Flags&CTCommit == 0 {
		return nil, errors.New("\"force\" flag requires \"commit\" flag.")
	}
	return c, nil
}

func (p *parser) ctKey(c *CT, key, value string) error {
	switch key {
	case "commit":
		c.Flags |= CTCommit
	case "force":
		c.Flags |= CTForce
	case "table":
		var ok bool
		if c.RecircTable, ok = field.ParseTable(value, p.tables); !ok {
			return fmt.Errorf("unknown table %s", value)
		}
		if c.RecircTable == CTNoRecirc {
			return fmt.Errorf("invalid table 0x%x", c.RecircTable)
		}
	case "zone":
		zone, err := kv.U16(value, "zone")
		if err == nil {
			c.Zone = zone
			return nil
		}
		if c.ZoneSrc, err = field.ParseSub(value); err != nil {
			return err
		}
		c.HasZoneSrc = true
	case "alg":
		switch value {
		case "ftp":
			c.Alg = algFTP
		case "tftp":
			c.Alg = algTFTP
		default:
			return fmt.Errorf("invalid conntrack helper \"%s\"", value)
		}
	case "nat":
		n, err := parseNAT(value)
		if err != nil {
			return err
		}
		c.Actions = append(c.Actions, n)
	case "exec":
		l, err := p.list(value, false, KindCT)
		if err != nil {
			return err
		}
		c.Actions = append(c.Actions, l...)
	default:
		return fmt.Errorf("invalid argument to \"ct\" action: `%s'", key)
	}
	return nil
}

func parseNAT(s string) (Action, error) {
	n := &NAT{}
	for {
		key, value, rest, ok := kv.Next(s)
		if !ok {
			break
		}
		s = rest
		var err error
		switch key {
		case "src":
			n.Flags |= NATSrc
			err = n.parseRange(value)
		case "dst":
			n.Flags |= NATDst
			err = n.parseRange(value)
		case "persistent":
			n.Flags |= NATPersistent
		case "hash":
			n.Flags |= NATProtoHash
		case "random":
			n.Flags |= NATProtoRandom
		default:
			err = fmt.Errorf("invalid key \"%s\" in \"nat\" argument", key)
		}
		if err != nil {
			return nil, err
		}
	}
	switch dir := n.Flags & (NATSrc | NATDst); {
	case dir == NATSrc|NATDst:
		return nil, errors.New("May only specify one of \"src\" or \"dst\".")
	case dir == 0 && n.Flags != 0:
		return nil, errors.New("Flags allowed only with \"src\" or \"dst\".")
	case n.Flags&(NATProtoHash|NATProtoRandom) == NATProtoHash|NATProtoRandom:
		return nil, errors.New("Both \"hash\" and \"random\" are not allowed.")
	}
	return n, nil
}

// parseRange reads ADDR[-ADDR][:PORT[-PORT]]; IPv6 addresses may be in brackets.
func (n *NAT) parseRange(s string) error {
	n.HasAddr, n.IPv6 = false, false
	n.AddrMin, n.AddrMax, n.ProtoMin, n.ProtoMax = [16]byte{}, [16]byte{}, 0, 0
	bad := fmt.Errorf("invalid nat range \"%s\"", s)
	rest := s
	if n.AddrMin, rest = n.scanAddr(rest, true); n.HasAddr && strings.HasPrefix(rest, "-") {
		had := rest
		if n.AddrMax, rest = n.scanAddr(rest[1:], false); len(rest) == len(had)-1 ||
			string(n.AddrMax[:]) < string(n.AddrMin[:]) {
			return bad
		}
	}
	if n.HasAddr && strings.HasPrefix(rest, ":") {
		var ok bool
		if n.ProtoMin, rest, ok = scanU16(rest[1:]); !ok {
			return bad
		}
		if strings.HasPrefix(rest, "-") {
			if n.ProtoMax, rest, ok = scanU16(rest[1:]); !ok || n.ProtoMax < n.ProtoMin {
				return bad
			}
		}
	}
	if rest != "" {
		return fmt.Errorf("garbage (%s) after nat range \"%s\" (pos: %d)", rest, s, len(s)-len(rest))
	}
	return nil
}

// scanAddr takes an address from s; the first one decides the family.  Without one it
// returns all of s.
func (n *NAT) scanAddr(s string, first bool) (addr [16]byte, rest string) {
	span := func(set string) string { return s[:len(s)-len(strings.TrimLeft(s, set))] }
	if first || !n.IPv6 {
		text := span("0123456789.")
		if ip, ok := field.ParseIPv4(text); ok {
			n.HasAddr = true
			be.PutUint32(addr[:], ip)
			return addr, s[len(text):]
		}
		if !first {
			return addr, s
		}
	}
	text, size := span("0123456789abcdefABCDEF:."), 0
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return addr, s
		}
		text, size = s[1:end], end+1
	} else {
		size = len(text)
	}
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return addr, s
	}
	n.HasAddr, n.IPv6 = true, true
	return a.As16(), s[size:]
}

func scanU16(s string) (x uint16, rest string, ok bool) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, err := strconv.ParseUint(s[:i], 10, 16)
	return uint16(n), s[i:], err == nil
}
