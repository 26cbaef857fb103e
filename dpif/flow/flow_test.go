package flow

import (
	"encoding/hex"
	"strings"
	"testing"

	"sluice/netdev/packet"
)

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	ethDst = "505400000001"
	ethSrc = "505400000002"
	ipv4   = "45000028000040004006f97c0a0000010a000002"
	tcpHdr = "1234005000000001000000025012200000000000"
	ipv6   = "6120000a00140640fe800000000000000000000000000001fe800000000000000000000000000002"
)

func extractHex(t testing.TB, s string) (Flow, packet.Meta) {
	b := unhex(t, s)
	md := Flow{InPort: 7}
	var f Flow
	m := ExtractFlow(b, &md, &f)
	return f, m
}

func TestExtract(t *testing.T) {
	eth := Flow{InPort: 7, DLDst: MAC{0x50, 0x54, 0, 0, 0, 1}, DLSrc: MAC{0x50, 0x54, 0, 0, 0, 2}}
	with := func(edit func(f *Flow)) Flow {
		f := eth
		edit(&f)
		return f
	}
	tcpv4 := func(f *Flow) {
		f.DLType, f.NwSrc, f.NwDst, f.NwProto, f.NwTTL = EthIPv4, 0x0a000001, 0x0a000002, 6, 64
		f.TpSrc, f.TpDst, f.TCPFlags = 0x1234, 80, 0x12
	}
	v6 := func(last byte) IPv6 { return IPv6{0: 0xfe, 1: 0x80, 15: last} }
	for _, tc := range []struct {
		name        string
		hex         string
		want        Flow
		l25, l3, l4 uint16
	}{
		{"short", "5054", Flow{InPort: 7}, packet.NoLayer, packet.NoLayer, packet.NoLayer},
		{"tcp", ethDst + ethSrc + "0800" + ipv4 + tcpHdr, with(tcpv4), packet.NoLayer, 14, 34},
		{"vlan", ethDst + ethSrc + "8100 2005 0800" + ipv4 + tcpHdr, with(func(f *Flow) {
			tcpv4(f)
			f.VLANs[0] = VLAN{0x8100, 0x3005}
		}), packet.NoLayer, 18, 38},
		{"qinq", ethDst + ethSrc + "88a8 0001 8100 0002 0800" + ipv4 + tcpHdr, with(func(f *Flow) {
			tcpv4(f)
			f.VLANs = [2]VLAN{{0x88a8, 0x1001}, {0x8100, 0x1002}}
		}), packet.NoLayer, 22, 42},
		{"third tag", ethDst + ethSrc + "88a8 0001 8100 0002 8100 0003 0800", with(func(f *Flow) {
			f.VLANs = [2]VLAN{{0x88a8, 0x1001}, {0x8100, 0x1002}}
			f.DLType = EthVLAN
		}), packet.NoLayer, 22, packet.NoLayer},
		{"tag cut off", ethDst + ethSrc + "8100 0001", with(func(f *Flow) { f.DLType = EthVLAN }),
			packet.NoLayer, 14, packet.NoLayer},
		{"llc", ethDst + ethSrc + "0010 424203 00000000000000", with(func(f *Flow) { f.DLType = DLTypeNone }),
			packet.NoLayer, 14, packet.NoLayer},
		{"snap", ethDst + ethSrc + "0010 aaaa03 000000 0800" + ipv4 + tcpHdr, with(tcpv4), packet.NoLayer, 22, 42},
		{"ip too long", ethDst + ethSrc + "0800 45000029" + ipv4[8:] + tcpHdr, with(func(f *Flow) {
			f.DLType = EthIPv4
		}), packet.NoLayer, 14, packet.NoLayer},
		{"later fragment", ethDst + ethSrc + "0800 450000280000000140060000" + ipv4[24:] + tcpHdr, with(func(f *Flow) {
			tcpv4(f)
			f.TpSrc, f.TpDst, f.TCPFlags, f.NwFrag = 0, 0, 0, 3
		}), packet.NoLayer, 14, 34},
		{"arp", ethDst + ethSrc + "0806 0001 0800 06 04 0002 505400000002 0a000001 505400000001 0a000002",
			with(func(f *Flow) {
				f.DLType, f.NwProto, f.NwSrc, f.NwDst = EthARP, 2, 0x0a000001, 0x0a000002
				f.ARPSha, f.ARPTha = f.DLSrc, f.DLDst
			}), packet.NoLayer, 14, packet.NoLayer},
		{"mpls", ethDst + ethSrc + "8847 0000a040 0000b140 45", with(func(f *Flow) {
			f.DLType, f.MPLS = EthMPLS, [4]uint32{0xa040, 0xb140}
		}), 14, 22, packet.NoLayer},
		{"ipv6 tcp", ethDst + ethSrc + "86dd" + ipv6 + tcpHdr, with(func(f *Flow) {
			f.DLType, f.IPv6Src, f.IPv6Dst, f.NwProto, f.NwTTL = EthIPv6, v6(1), v6(2), 6, 64
			f.NwTOS, f.IPv6Label = 0x12, 0x0000a
			f.TpSrc, f.TpDst, f.TCPFlags = 0x1234, 80, 0x12
		}), packet.NoLayer, 14, 54},
		{"ipv6 fragment", ethDst + ethSrc + "86dd 60000000 0008 2c 40" + ipv6[16:] + "06 00 0009 00000001",
			with(func(f *Flow) {
				f.DLType, f.IPv6Src, f.IPv6Dst, f.NwProto, f.NwTTL = EthIPv6, v6(1), v6(2), 44, 64
				f.NwFrag = 3
			}), packet.NoLayer, 14, 62},
		{"nd", ethDst + ethSrc + "86dd 60000000 0020 3a ff" + ipv6[16:] +
			"87 00 0000 00000001 fe800000000000000000000000000002 01 01 505400000002", with(func(f *Flow) {
			f.DLType, f.IPv6Src, f.IPv6Dst, f.NwProto, f.NwTTL = EthIPv6, v6(1), v6(2), 58, 255
			f.TpSrc, f.IGMPGroup, f.NDTarget, f.ARPSha, f.NDOptType = 135, 1, v6(2), f.DLSrc, 1
		}), packet.NoLayer, 14, 54},
		{"igmp", ethDst + ethSrc + "0800 4500001c000000000102 0000" + ipv4[24:] + "16000000 e0000001",
			with(func(f *Flow) {
				f.DLType, f.NwSrc, f.NwDst, f.NwProto, f.NwTTL = EthIPv4, 0x0a000001, 0x0a000002, 2, 1
				f.TpSrc, f.IGMPGroup = 0x16, 0xe0000001
			}), packet.NoLayer, 14, 34},
		{"nsh", ethDst + ethSrc + "894f 0fc6 01 03 00012305 00000001 00000002 00000003 00000004", with(func(f *Flow) {
			f.DLType = EthNSH
			f.NSH = NSH{0, 63, 1, 3, 0x12305, [4]uint32{1, 2, 3, 4}}
		}), packet.NoLayer, 14, packet.NoLayer},
	} {
		got, m := extractHex(t, tc.hex)
		if got != tc.want {
			t.Errorf("%s: words differ:", tc.name)
			for w, v := range got.Words() {
				if x := tc.want.Words()[w]; v != x {
					t.Errorf("  word %d: %#x, want %#x", w, v, x)
				}
			}
		}
		if m.L25 != tc.l25 || m.L3 != tc.l3 || m.L4 != tc.l4 {
			t.Errorf("%s: layers at %d, %d, %d, want %d, %d, %d", tc.name, m.L25, m.L3, m.L4, tc.l25, tc.l3, tc.l4)
		}
	}
}

func TestExtractMetadata(t *testing.T) {
	var cold packet.Cold
	f := Flow{InPort: 3, RecircID: 9, PktMark: 5, SkbPriority: 6, DPHash: 8,
		CTState: CTTracked | CTEstablished, CTZone: 4, CTMark: 77, CTLabel: U128{1, 2},
		CTNwProto: 6, CTNwSrc: 1, CTNwDst: 2, CTTpSrc: 3, CTTpDst: 4,
		Tunnel: Tunnel{IPDst: 1, IPSrc: 2, ID: 5, Flags: TunFlagUDPIF, OptsLen: 8}}
	f.Tunnel.Opts[7] = 1
	b := unhex(t, ethDst+ethSrc+"0800"+ipv4+tcpHdr)
	m := packet.Meta{Len: uint32(len(b))}
	f.ToMeta(&m, &cold)
	var k Mini
	Extract(b, &m, &cold, &k)
	var got Flow
	k.Expand(&got)
	for w, v := range got.Words()[:EndMetadata] {
		if x := f.Words()[w]; v != x {
			t.Errorf("word %d: %#x, want %#x", w, v, x)
		}
	}
	// An original tuple of the other IP version is not shown.
	b = unhex(t, ethDst+ethSrc+"86dd"+ipv6+tcpHdr)
	m.Len = uint32(len(b))
	Extract(b, &m, &cold, &k)
	k.Expand(&got)
	if got.CTNwSrc != 0 || got.CTNwProto != 0 || got.CTTpSrc != 0 || got.CTZone != 4 {
		t.Errorf("an IPv6 packet with the tuple of an IPv4 connection: %+v", got)
	}
}

func TestHashes(t *testing.T) {
	if got := JHashWords([]uint32{0, 0, 0}, 0); got != JHashBytes(make([]byte, 12), 0) && got == 0 {
		t.Error("no hash")
	}
	f, _ := extractHex(t, ethDst+ethSrc+"0800"+ipv4+tcpHdr)
	r := f
	r.NwSrc, r.NwDst, r.TpSrc, r.TpDst, r.DLSrc, r.DLDst = f.NwDst, f.NwSrc, f.TpDst, f.TpSrc, f.DLDst, f.DLSrc
	for h := HashSymL4; h <= HashSymL3; h++ {
		if h != HashNwSrc && h != HashNwDst && f.HashBy(h, 5) != r.HashBy(h, 5) {
			t.Errorf("%s is not symmetric", h)
		}
	}
	if f.Hash5Tuple(0) == r.Hash5Tuple(0) || f.HashUFID() == r.HashUFID() {
		t.Error("different flows, same hash")
	}
}

func TestExtractAllocatesNothing(t *testing.T) {
	b := unhex(t, ethDst+ethSrc+"0800"+ipv4+tcpHdr)
	m := packet.Meta{Len: uint32(len(b))}
	var k Mini
	if n := testing.AllocsPerRun(100, func() { Extract(b, &m, nil, &k) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzExtract(f *testing.F) {
	for _, s := range []string{
		ethDst + ethSrc + "0800" + ipv4 + tcpHdr, ethDst + ethSrc + "86dd" + ipv6 + tcpHdr,
		ethDst + ethSrc + "8847 0000a040 0000b140 45",
		ethDst + ethSrc + "894f 0fc6 01 03 00012305 00000001 00000002 00000003 00000004",
		ethDst + ethSrc + "86dd 60000000 0020 3a ff" + ipv6[16:] +
			"87 00 0000 00000001 fe800000000000000000000000000002 01 01 505400000002",
	} {
		f.Add(unhex(f, s), uint16(0), uint32(0))
	}
	f.Add([]byte{0x45}, uint16(100), uint32(PacketTypeIPv4))
	f.Fuzz(func(t *testing.T, b []byte, more uint16, packetType uint32) {
		m := packet.Meta{Len: uint32(len(b)) + uint32(more), PacketType: packetType}
		var k, back Mini
		Extract(b, &m, nil, &k)
		var fl, again Flow
		k.Expand(&fl)
		back.Set(&fl)
		back.Expand(&again)
		if fl != again {
			t.Error("a compressed flow differs from what it was made of")
		}
		for _, o := range []uint16{m.L25, m.L3, m.L4} {
			if o != packet.NoLayer && int(o) > len(b) {
				t.Errorf("a layer at %d of %d bytes", o, len(b))
			}
		}
	})
}

func BenchmarkExtractTCP(b *testing.B) {
	pkt := unhex(b, ethDst+ethSrc+"0800"+ipv4+tcpHdr)
	m := packet.Meta{Len: uint32(len(pkt)), InPort: 3}
	var k Mini
	for b.Loop() {
		Extract(pkt, &m, nil, &k)
	}
}

func BenchmarkHashTuple(b *testing.B) {
	pkt := unhex(b, ethDst+ethSrc+"0800"+ipv4+tcpHdr)
	m := packet.Meta{Len: uint32(len(pkt)), InPort: 3}
	var k Mini
	Extract(pkt, &m, nil, &k)
	for b.Loop() {
		k.HashTuple()
	}
}
