package odp

import (
	"encoding/binary"
	"fmt"

	"sluice/dpif/flow"
)

// tunnel prints tunnel(…): the metadata of the tunnel a packet came by.
func (p *keyPrinter) tunnel() {
	var mask *flow.Tunnel
	if p.mask != nil {
		mask = &p.mask.Tunnel
		if !p.verbose && *mask == (flow.Tunnel{}) {
			return
		}
	}
	p.sep()
	p.b = append(p.b, "tunnel("...)
	p.b = appendTunnel(p.b, &p.key.Tunnel, mask, p.verbose || mask == nil)
	p.b = append(p.b, ')')
}

// tunnelMembers are the members in the order of their text; those with always
// are printed even where they are zero.
var tunnelMembers = []struct {
	m      member
	always bool
}{
	{u32("src", kindIPv4, func(f *flow.Flow) *uint32 { return &f.Tunnel.IPSrc }), false},
	{u32("dst", kindIPv4, func(f *flow.Flow) *uint32 { return &f.Tunnel.IPDst }), false},
	{ip6("ipv6_src", func(f *flow.Flow) *flow.IPv6 { return &f.Tunnel.IPv6Src }), false},
	{ip6("ipv6_dst", func(f *flow.Flow) *flow.IPv6 { return &f.Tunnel.IPv6Dst }), false},
	{u8("tos", kindHex, func(f *flow.Flow) *uint8 { return &f.Tunnel.TOS }), false},
	{u8("ttl", kindDec, func(f *flow.Flow) *uint8 { return &f.Tunnel.TTL }), true},
	{u16("tp_src", kindDec, func(f *flow.Flow) *uint16 { return &f.Tunnel.TpSrc }), false},
	{u16("tp_dst", kindDec, func(f *flow.Flow) *uint16 { return &f.Tunnel.TpDst }), false},
}

func appendTunnel(b []byte, t, mask *flow.Tunnel, verbose bool) []byte {
	start := len(b)
	comma := func() {
		if len(b) > start {
			b = append(b, ',')
		}
	}
	key := flow.Flow{Tunnel: *t}
	var km flow.Flow
	if mask != nil {
		km.Tunnel = *mask
	}
	if t.ID != 0 || t.Flags&flow.TunFlagKey != 0 {
		if m := km.Tunnel.ID; verbose || mask == nil || m != 0 {
			comma()
			b = fmt.Appendf(b, "tun_id=0x%x", t.ID)
			if mask != nil && m != ^uint64(0) {
				b = appendCHex(append(b, '/'), m)
			}
		}
	}
	for i := range tunnelMembers {
		tm := &tunnelMembers[i]
		v, m := tm.m.get(&key), onesOf(tm.m.bits)
		if v.isZero() && !tm.always {
			continue
		}
		if mask != nil {
			m = tm.m.get(&km)
		}
		if m.isZero() && !verbose {
			continue
		}
		comma()
		b = append(append(b, tm.m.name...), '=')
		b = appendMasked(b, &tm.m, v, m, m == onesOf(tm.m.bits))
	}
	if t.GBPID != 0 || t.GBPFlags != 0 {
		comma()
		b = appendGBP(b, t, mask, verbose)
	}
	if t.OptsLen > 0 && int(t.OptsLen) <= len(t.Opts) && (verbose || km.Tunnel.OptsLen != 0) {
		comma()
		b = append(b, "geneve("...)
		var mo []byte
		if mask != nil {
			mo = mask.Opts[:t.OptsLen]
		}
		b = append(appendGeneveOpts(b, t.Opts[:t.OptsLen], mo, verbose), ')')
	}
	if t.ERSPANVer == 1 || t.ERSPANVer == 2 {
		comma()
		b = appendERSPAN(b, t, mask)
	}
	if t.GTPUFlags != 0 && t.GTPUMsgType != 0 {
		comma()
		b = append(append(b, "gtpu(flags="...), fmt.Sprintf("0x%x,msgtype=%d)", t.GTPUFlags, t.GTPUMsgType)...)
	}
	return appendTunFlags(b, t, mask, verbose, len(b) > start)
}

func appendTunFlags(b []byte, t, mask *flow.Tunnel, verbose, comma bool) []byte {
	const full = flow.TunFlagDF | flow.TunFlagCsum | flow.TunFlagKey | flow.TunFlagOAM
	var m uint16
	if mask != nil {
		m = mask.Flags & full
		if mask.ID != 0 {
			m |= flow.TunFlagKey // the key's mask comes with the id's
		}
		if t.ID == 0 && t.Flags&flow.TunFlagKey == 0 {
			m &^= flow.TunFlagKey // and neither is told where there is none
		}
		if m == 0 && !verbose {
			return b
		}
	}
	if comma {
		b = append(b, ',')
	}
	b = append(b, "flags("...)
	if mask == nil {
		b = tunFlagNames.append(b, uint32(t.Flags&full), '|')
	} else {
		b = tunFlagNames.appendMasked(b, uint32(t.Flags&full), uint32(m), full)
	}
	return append(b, ')')
}

func appendGBP(b []byte, t, mask *flow.Tunnel, verbose bool) []byte {
	b = append(b, "vxlan(gbp("...)
	start := len(b)
	if mask == nil || mask.GBPID != 0 || verbose {
		b = fmt.Appendf(b, "id=%d", t.GBPID)
		if mask != nil && mask.GBPID != 0xffff {
			b = appendCHex(append(b, '/'), uint64(mask.GBPID))
		}
	}
	if mask == nil || mask.GBPFlags != 0 || verbose {
		if len(b) > start {
			b = append(b, ',')
		}
		b = appendCHex(append(b, "flags="...), uint64(t.GBPFlags))
		if mask != nil && mask.GBPFlags != 0xff {
			b = appendCHex(append(b, '/'), uint64(mask.GBPFlags))
		}
	}
	return append(b, "))"...)
}

func appendERSPAN(b []byte, t, mask *flow.Tunnel) []byte {
	b = fmt.Appendf(b, "erspan(ver=%d", t.ERSPANVer)
	if t.ERSPANVer == 1 {
		b = appendCHex(append(b, ",idx="...), uint64(t.ERSPANIdx))
		if mask != nil {
			b = appendCHex(append(b, '/'), uint64(mask.ERSPANIdx))
		}
		return append(b, ')')
	}
	b = fmt.Appendf(b, ",dir=%d", t.ERSPANDir)
	return append(appendCHex(append(b, ",hwid="...), uint64(t.ERSPANHwID)), ')')
}

// appendGeneveOpts prints Geneve options (RFC 8926 section 3.5): class(16)
// type(8) reserved(3) length(5, in words) body.
func appendGeneveOpts(b, opts, mask []byte, verbose bool) []byte {
	for len(opts) > 0 {
		if len(opts) < 4 {
			return fmt.Appendf(b, "opt len %d less than minimum 4", len(opts))
		}
		n := 4 + 4*int(opts[3]&0x1f)
		if n > len(opts) {
			return fmt.Appendf(b, "opt len %d greater than remaining %d", n, len(opts))
		}
		var m []byte
		if mask != nil {
			m, mask = mask[:n], mask[n:]
		}
		b = appendGeneveOpt(b, opts[:n], m, verbose)
		opts = opts[n:]
	}
	return b
}

func appendGeneveOpt(b, o, m []byte, verbose bool) []byte {
	b = append(b, '{')
	start := len(b)
	part := func(name string, k kind, bits int, v, mask uint64) {
		if mask == 0 && !verbose {
			return
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(append(b, name...), '=')
		pm := member{kind: k, bits: bits}
		b = appendMasked(b, &pm, value{0, v}, value{0, mask}, value{0, mask} == onesOf(bits))
	}
	class, typ, length := uint64(0xffff), uint64(0xff), uint64(0xff)
	if m != nil {
		class, typ, length = uint64(binary.BigEndian.Uint16(m)), uint64(m[2]), uint64(m[3]&0x1f)
		if length == 0x1f {
			length = 0xff
		}
	}
	part("class", kindHex, 16, uint64(binary.BigEndian.Uint16(o)), class)
	part("type", kindHex, 8, uint64(o[2]), typ)
	part("len", kindDec, 8, uint64(len(o)-4), length)
	body := o[4:]
	if len(body) > 0 && (verbose || m == nil || !allBytes(m[4:], 0)) {
		if len(b) > start {
			b = append(b, ',')
		}
		b = appendHexBytes(b, body)
		if m != nil && !allBytes(m[4:], 0xff) {
			b = appendHexBytes(append(b, '/'), m[4:])
		}
	}
	return append(b, '}')
}

func allBytes(p []byte, x byte) bool {
	for _, c := range p {
		if c != x {
			return false
		}
	}
	return true
}
