package vport

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/internal/vlog"
	"sluice/netdev"
)

const (
	defaultTTL = 64
	dscpMask   = 0xfc

	etherTypeIPv4 = 0x0800
	etherTypeMPLS = 0x8847
)

var (
	logAddr = vlog.New("socket_util")
	rlAddr  = vlog.NewLimiter(5, 20)
)

// parser reads the options of one tunnel.  What is wrong with an option is said in
// notes, whose lines begin with the device's name; whether the tunnel can work all
// the same is another matter.
type parser struct {
	name  string
	kind  *kind
	cfg   netdev.TunnelConfig
	notes []string
}

func (p *parser) notef(format string, args ...any) {
	p.notes = append(p.notes, p.name+": "+fmt.Sprintf(format, args...))
}

// errNoted says that the last note is why the options cannot be used.
var errNoted = errors.New("invalid options")

// parse reads options; the errors and warnings are those of Open vSwitch 3.1.
func (p *parser) parse(options map[string]string) error {
	c := &p.cfg
	c.Type, c.DstPort, c.DontFragment = p.kind.typ, p.kind.port, true
	for _, key := range slices.Sorted(maps.Keys(options)) {
		if err := p.option(key, options[key]); err != nil {
			return err
		}
	}
	if err := p.packetType(options["packet_type"]); err != nil {
		return err
	}
	if err := p.ends(); err != nil {
		return err
	}
	if c.TTL == 0 {
		c.TTL = defaultTTL
	}
	if c.ERSPANVerFlow { // then everything is the flow's
		c.ERSPANIdxFlow, c.ERSPANDirFlow, c.ERSPANHwIDFlow = true, true, true
	}
	c.InKey, c.OutKey = parseKey(options, "in_key"), parseKey(options, "out_key")
	return nil
}

// option reads one option; an error is one that no other option can make good.
func (p *parser) option(key, v string) error {
	c, k := &p.cfg, p.kind
	switch {
	case key == "remote_ip":
		return p.remote(v)
	case key == "local_ip":
		var ok bool
		if c.Local, c.LocalFlow, ok = parseEnd(v); !ok {
			p.notef("bad %s 'local_ip'", k.typ)
		}
	case key == "tos":
		p.tos(v)
	case key == "ttl":
		if c.TTLInherit = v == "inherit"; !c.TTLInherit {
			c.TTL = uint8(number(v, 10))
		}
	case key == "dst_port" && k.udp:
		c.DstPort = uint16(number(v, 10))
	case key == "csum" && k.csum:
		c.Csum = v == "true"
	case key == "seq" && k.seq:
		c.Seq = v == "true"
	case key == "df_default":
		c.DontFragment = v != "false"
	case key == "exts" && k.typ == "vxlan":
		p.extensions(v)
	case key == "egress_pkt_mark":
		c.EgressPktMark, c.SetEgressPktMark = uint32(number(v, 10)), true
	case strings.HasPrefix(key, "erspan_"):
		return p.erspan(key, v)
	case key == "payload_type":
		return p.payload(v)
	case slices.Contains(readElsewhere, key):
	default:
		p.notef("unknown %s argument '%s'", k.typ, key)
	}
	return nil
}

// readElsewhere are the options that parse reads, and those that ovs-monitor-ipsec
// does.
var readElsewhere = []string{"key", "in_key", "out_key", "packet_type", "remote_cert", "remote_name", "psk"}

func (p *parser) remote(v string) error {
	c := &p.cfg
	a, flow, ok := parseEnd(v)
	switch {
	case !ok:
		p.notef("bad %s 'remote_ip'", p.kind.typ)
	case a.IsMulticast():
		p.notef("multicast remote_ip=%s not allowed", v)
		return errNoted
	default:
		c.Remote, c.RemoteFlow = a, flow
	}
	return nil
}

// parseEnd reads an address, which is no name, or "flow".  The unspecified IPv6 address
// is none.
func parseEnd(v string) (a netip.Addr, flow, ok bool) {
	if v == "flow" {
		return a, true, true
	}
	a, err := netip.ParseAddr(v)
	if err != nil || a.Zone() != "" {
		family := "IP"
		if strings.Contains(v, ":") {
			family = "IPv6"
		}
		logAddr.ErrRL(rlAddr, "\"%s\" is not a valid %s address", v, family)
		return netip.Addr{}, false, false
	}
	if a == netip.IPv6Unspecified() {
		return netip.Addr{}, false, true
	}
	return a.Unmap(), false, true
}

func (p *parser) tos(v string) {
	if v == "inherit" {
		p.cfg.TOSInherit = true
		return
	}
	n, err := strconv.ParseInt(strings.TrimSpace(v), 0, 32)
	if err != nil || n != n&dscpMask {
		p.notef("invalid TOS %s", v)
		return
	}
	p.cfg.TOS = uint8(n)
}

func (p *parser) extensions(v string) {
	for ext := range strings.FieldsFuncSeq(v, func(r rune) bool { return r == ',' }) {
		switch ext {
		case "gbp":
			p.cfg.GBP = true
		case "gpe":
			p.cfg.GPE = true
		default:
			p.notef("unknown extension '%s'", ext)
		}
	}
}

// erspan reads an ERSPAN option.
func (p *parser) erspan(key, v string) error {
	c := &p.cfg
	var n uint64
	var err error
	switch key {
	case "erspan_idx":
		n, c.ERSPANIdxFlow, err = p.flowOr("index", v, 16, 0, 0xfffff)
		c.ERSPANIdx = uint32(n)
	case "erspan_ver":
		n, c.ERSPANVerFlow, err = p.flowOr("version", v, 10, 1, 2)
		c.ERSPANVer = uint8(n)
	case "erspan_dir":
		n, c.ERSPANDirFlow, err = p.flowOr("direction", v, 10, 0, 1)
		c.ERSPANDir = uint8(n)
	case "erspan_hwid":
		n, c.ERSPANHwIDFlow, err = p.flowOr("hardware ID", v, 16, 0, 0x3f)
		c.ERSPANHwID = uint8(n)
	default:
		p.notef("unknown %s argument '%s'", p.kind.typ, key)
	}
	return err
}

// flowOr reads "flow" or a number of a base from lo to hi, which an erspan option is.
func (p *parser) flowOr(what, v string, base int, lo, hi uint64) (n uint64, flow bool, err error) {
	if v == "flow" {
		return 0, true, nil
	}
	if n = number(v, base); n < lo || n > hi {
		p.notef("invalid erspan %s: %s", what, v)
		return 0, false, errNoted
	}
	return n, false, nil
}

func (p *parser) payload(v string) error {
	c := &p.cfg
	switch v {
	case "mpls":
		c.PayloadType, c.Multiproto = etherTypeMPLS, true
	case "ip":
		c.PayloadType, c.Multiproto = etherTypeIPv4, true
	default:
		n, err := strconv.ParseUint(v, 0, 16)
		if err != nil {
			return fmt.Errorf("payload_type %s: %w", v, unix.EINVAL)
		}
		c.PayloadType = uint16(n)
	}
	return nil
}

func (p *parser) packetType(v string) error {
	l2, l3 := p.kind.layers(&p.cfg)
	can := true
	switch v {
	case "":
		p.cfg.PTMode = p.kind.defaultMode(&p.cfg)
	case "legacy_l2":
		p.cfg.PTMode, can = netdev.LegacyL2, l2
	case "legacy_l3":
		p.cfg.PTMode, can = netdev.LegacyL3, l3
	case "ptap":
		p.cfg.PTMode = netdev.PacketTypeAware
	default:
		p.notef("unknown packet_type '%s'", v)
		return errNoted
	}
	if !can {
		typ := p.kind.typ
		if typ == "vxlan" {
			if typ = "VXLAN (without GPE)"; p.cfg.GPE {
				typ = "VXLAN-GPE"
			}
		}
		p.notef("%s configured on %s tunnel that cannot carry %s traffic", v, typ, strings.ToUpper(v[len("legacy_"):]))
		return errNoted
	}
	return nil
}

// ends checks that the ends of the tunnel make sense together.
func (p *parser) ends() error {
	c := &p.cfg
	switch {
	case !c.Remote.IsValid() && !c.RemoteFlow:
		p.notef("%s type requires valid 'remote_ip' argument", c.Type)
	case c.LocalFlow && !c.RemoteFlow:
		p.notef("%s type requires 'remote_ip=flow' with 'local_ip=flow'", c.Type)
	case c.Local.IsValid() && c.Remote.IsValid() && c.Local.Is4() != c.Remote.Is4():
		p.notef("'remote_ip' and 'local_ip' has to be of the same address family")
	default:
		return nil
	}
	return errNoted
}

// parseKey reads the key of one direction: the option for that, or "key".
func parseKey(options map[string]string, name string) netdev.TunnelKey {
	v, ok := options[name]
	if !ok {
		if v, ok = options["key"]; !ok {
			return netdev.TunnelKey{}
		}
	}
	if v == "flow" {
		return netdev.TunnelKey{Present: true, Flow: true}
	}
	return netdev.TunnelKey{Present: true, Value: number(v, 0)}
}

// number reads the number that v begins with, of a base or in Go's notation (base 0);
// 0 if it begins with none.  A negative one wraps.
func number(v string, base int) uint64 {
	v = strings.TrimLeft(v, " \t\n")
	neg := strings.HasPrefix(v, "-")
	v = strings.TrimLeft(v, "+-")
	if hex := strings.TrimPrefix(strings.ToLower(v), "0x"); len(hex) < len(v) && (base == 0 || base == 16) {
		v, base = hex, 16
	} else if base == 0 {
		if base = 10; strings.HasPrefix(v, "0") {
			base = 8
		}
	}
	n := uint64(0)
	for _, r := range strings.ToLower(v) {
		d := strings.IndexRune("0123456789abcdef", r)
		if d < 0 || d >= base {
			break
		}
		n = n*uint64(base) + uint64(d)
	}
	if neg {
		return -n
	}
	return n
}
