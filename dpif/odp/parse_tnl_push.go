package odp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"sluice/dpif/flow"
)

// parseTnlPush parses tnl_push(tnl_port(N),header(size=…,type=…,eth(…),ipv4(…)|
// ipv6(…),udp(…),vxlan(…)|geneve(…)|gtpu(…)|gre(…)),out_port(N)) and builds the
// header's bytes.
func parseTnlPush(n *node, names PortNames) (Action, error) {
	t := &TunnelPushArg{}
	tp, hdr, op := n.kid("tnl_port"), n.kid("header"), n.kid("out_port")
	if tp == nil || hdr == nil || op == nil {
		return Action{}, fmt.Errorf("tnl_push needs tnl_port(), header() and out_port()")
	}
	var err error
	if t.Port, err = portKid(tp, names); err != nil {
		return Action{}, err
	}
	if t.OutPort, err = portKid(op, names); err != nil {
		return Action{}, err
	}
	a := args{n: hdr}
	size := a.num("size", 9, 0)
	t.Type = uint32(a.num("type", 32, 0))
	if a.err != nil {
		return Action{}, a.err
	}
	if t.Header, err = buildHeader(hdr); err != nil {
		return Action{}, err
	}
	if int(size) != len(t.Header) {
		return Action{}, fmt.Errorf("tnl_push: header has %d bytes, not size=%d", len(t.Header), size)
	}
	return Action{Type: TunnelPush, Ext: &Ext{TnlPush: t}}, nil
}

func portKid(n *node, names PortNames) (uint32, error) {
	text, err := only(n)
	if err != nil {
		return 0, err
	}
	return parsePort(text, names)
}

// buildHeader appends the headers in the order that they stand in the text.
func buildHeader(n *node) ([]byte, error) {
	var b []byte
	for i := range n.kids {
		k := &n.kids[i]
		build := headerBuilders[k.name]
		if build == nil {
			if k.name == "size" || k.name == "type" {
				continue
			}
			return nil, fmt.Errorf("tnl_push: unknown header %s", k.name)
		}
		a := &args{n: k}
		b = build(b, a)
		if a.err != nil {
			return nil, a.err
		}
	}
	return b, nil
}

var be = binary.BigEndian

// headerBuilders append one header each; IP lengths and checksums are left zero,
// they are filled in when the header is pushed.
var headerBuilders = map[string]func([]byte, *args) []byte{
	"eth": func(b []byte, a *args) []byte {
		b = append(b, a.mac("dst")...)
		b = append(b, a.mac("src")...)
		return be.AppendUint16(b, uint16(a.num("dl_type", 16, 0)))
	},
	"ipv4": func(b []byte, a *args) []byte {
		b = append(b, 0x45, byte(a.num("tos", 8, 0)), 0, 0, 0, 0)
		b = be.AppendUint16(b, uint16(a.num("frag", 16, 0)))
		b = append(b, byte(a.num("ttl", 8, 0)), byte(a.num("proto", 8, 0)), 0, 0)
		b = append(b, a.addr("src", 4)...)
		return append(b, a.addr("dst", 4)...)
	},
	"ipv6": func(b []byte, a *args) []byte {
		b = be.AppendUint32(b, uint32(6<<28|a.num("tclass", 8, 0)<<20|a.num("label", 20, 0)))
		b = append(b, 0, 0, byte(a.num("proto", 8, 0)), byte(a.num("hlimit", 8, 0)))
		b = append(b, a.addr("src", 16)...)
		return append(b, a.addr("dst", 16)...)
	},
	"udp": func(b []byte, a *args) []byte {
		b = be.AppendUint16(b, uint16(a.num("src", 16, 0)))
		b = be.AppendUint16(b, uint16(a.num("dst", 16, 0)))
		b = be.AppendUint16(b, 0)
		return be.AppendUint16(b, uint16(a.num("csum", 16, 0)))
	},
	"vxlan": func(b []byte, a *args) []byte {
		b = be.AppendUint32(b, uint32(a.num("flags", 32, 0)))
		return be.AppendUint32(b, uint32(a.num("vni", 24, 0)<<8))
	},
	"gtpu": func(b []byte, a *args) []byte {
		b = append(b, byte(a.num("flags", 8, 0)), byte(a.num("msgtype", 8, 0)), 0, 0)
		return be.AppendUint32(b, uint32(a.num("teid", 32, 0)))
	},
	"geneve": buildGeneve,
	"gre":    buildGRE,
	"erspan": buildERSPAN,
}

func buildGeneve(b []byte, a *args) []byte {
	var flags byte
	if a.n.kid("oam") != nil {
		flags |= 0x80
	}
	if a.n.kid("crit") != nil {
		flags |= 0x40
	}
	var t, mask flow.Tunnel
	if o := a.n.kid("options"); o != nil {
		if err := parseGeneve(o, &t, &mask); err != nil {
			a.err = err
		}
	}
	b = append(b, byte(t.OptsLen/4), flags)
	b = be.AppendUint16(b, flow.EthTEB)
	b = be.AppendUint32(b, uint32(a.num("vni", 24, 0)<<8))
	return append(b, t.Opts[:t.OptsLen]...)
}

// buildGRE builds flags(16) protocol(16) and the optional checksum, key and
// sequence number (RFC 2890).
func buildGRE(b []byte, a *args) []byte {
	if len(a.n.kids) == 0 || !a.n.kids[0].group {
		a.err = fmt.Errorf("gre needs (flags=…,proto=…)")
		return b
	}
	base := args{n: &a.n.kids[0]}
	flags := uint16(base.num("flags", 16, 0))
	b = be.AppendUint16(b, flags)
	b = be.AppendUint16(b, uint16(base.num("proto", 16, 0)))
	if flags&0x8000 != 0 {
		b = be.AppendUint32(b, uint32(a.num("csum", 16, 0)<<16))
	}
	if flags&0x2000 != 0 {
		b = be.AppendUint32(b, uint32(a.num("key", 32, 0)))
	}
	if flags&0x1000 != 0 {
		b = be.AppendUint32(b, uint32(a.num("seq", 32, 0)))
	}
	if a.err == nil {
		a.err = base.err
	}
	return b
}

// buildERSPAN builds the GRE header with a sequence number, the ERSPAN header and
// its version's metadata.
func buildERSPAN(b []byte, a *args) []byte {
	ver := a.num("ver", 4, 1)
	proto := uint16(0x88be)
	if ver == 2 {
		proto = 0x22eb
	}
	b = be.AppendUint16(b, 0x1000)
	b = be.AppendUint16(b, proto)
	b = be.AppendUint32(b, 0)
	b = append(b, byte(ver<<4), 0)
	b = be.AppendUint16(b, uint16(a.num("sid", 10, 0)))
	if ver == 1 {
		return be.AppendUint32(b, uint32(a.num("idx", 20, 0)))
	}
	b = be.AppendUint32(b, 0)
	b = be.AppendUint16(b, 0)
	return be.AppendUint16(b, uint16(a.num("hwid", 6, 0)<<4|a.num("dir", 1, 0)<<3))
}

// mac and addr read addresses out of the kids of a node.
func (a *args) mac(name string) []byte {
	k := a.n.kid(name)
	if k == nil {
		return make([]byte, 6)
	}
	m, err := parseMAC(k.value)
	if err != nil {
		a.err = err
	}
	return m[:]
}

func (a *args) addr(name string, size int) []byte {
	k := a.n.kid(name)
	if k == nil {
		return make([]byte, size)
	}
	ip, err := netip.ParseAddr(k.value)
	if err != nil || len(ip.AsSlice()) != size {
		a.err = fmt.Errorf("%s: bad address %s", a.n.name, strconv.Quote(k.value))
		return make([]byte, size)
	}
	return ip.AsSlice()
}
