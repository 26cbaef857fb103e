package flow

import "testing"

// A composed packet gives back the flow that it was made from.
func TestComposeExtract(t *testing.T) {
	mac1, mac2 := MAC{0, 1, 2, 3, 4, 5}, MAC{6, 7, 8, 9, 10, 11}
	base := Flow{DLSrc: mac1, DLDst: mac2}
	with := func(edit func(*Flow)) Flow { f := base; edit(&f); return f }
	for name, f := range map[string]Flow{
		"tcp": with(func(f *Flow) {
			f.DLType, f.NwProto, f.NwSrc, f.NwDst, f.NwTTL, f.TpSrc, f.TpDst, f.TCPFlags = EthIPv4, 6, 1, 2, 64, 80, 8080, 0x10
		}),
		"udp6":  with(func(f *Flow) { f.DLType, f.NwProto, f.NwTTL, f.TpSrc, f.TpDst, f.IPv6Src[15] = EthIPv6, 17, 3, 5, 6, 1 }),
		"icmp":  with(func(f *Flow) { f.DLType, f.NwProto, f.NwTTL, f.TpSrc = EthIPv4, 1, 64, 8 }),
		"nd":    with(func(f *Flow) { f.DLType, f.NwProto, f.TpSrc, f.NDTarget, f.ARPSha = EthIPv6, 58, 135, IPv6{1, 2}, mac1 }),
		"arp":   with(func(f *Flow) { f.DLType, f.NwProto, f.NwSrc, f.NwDst, f.ARPSha = EthARP, 1, 9, 8, mac1 }),
		"later": with(func(f *Flow) { f.DLType, f.NwProto, f.NwFrag = EthIPv4, 17, NwFragAny|NwFragLater }),
		"vlan": with(func(f *Flow) {
			f.DLType, f.NwProto, f.VLANs[0] = EthIPv4, 50, VLAN{EthVLAN, VLANCFI | 7}
		}),
		"mpls": with(func(f *Flow) { f.DLType, f.MPLS[0], f.MPLS[1] = EthMPLS, 5<<12, 6<<12|1<<8 }),
	} {
		f.InPort = 1
		b := Compose(&f, DefaultPayload)
		var got Flow
		ExtractFlow(b, &Flow{InPort: 1}, &got)
		if f.NwProto == 58 {
			got.NDOptType, got.TCPFlags = 0, 0 // the options seen are a field of their own
		}
		if got != f {
			t.Errorf("%s:\nwant %+v\ngot  %+v", name, f, got)
		}
		if g, ok := Grow(b, &f, len(b)+10); !ok || len(g) != len(b)+10 {
			t.Errorf("%s: cannot grow", name)
		}
	}
}
