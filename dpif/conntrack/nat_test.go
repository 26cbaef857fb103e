package conntrack

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/netdev/packet"
)

// natTo is a nat() of addresses "a" or "a-b", and ports.
func natTo(src bool, lo, hi string, ports ...uint16) *odp.NATArg {
	n := &odp.NATArg{Src: src, Dst: !src}
	addr := func(s string) (a flow.IPv6) {
		copy(a[:], netip.MustParseAddr(s).AsSlice())
		return a
	}
	if lo != "" {
		n.HasIP, n.IPMin = true, addr(lo)
		n.V6 = netip.MustParseAddr(lo).Is6()
	}
	if hi != "" {
		n.IPMax = addr(hi)
	}
	if len(ports) > 0 {
		n.PortMin = ports[0]
	}
	if len(ports) > 1 {
		n.PortMax = ports[1]
	}
	return n
}

func (b *bench) natSend(p pkt, n *odp.NATArg, want string) *flow.Flow {
	b.t.Helper()
	return b.send(p, odp.CTArg{Commit: n.Src || n.Dst, NAT: n}, want)
}

func addrs(f *flow.Flow) string {
	a := func(v uint32) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
	}
	if f.DLType == flow.EthIPv6 {
		return fmt.Sprintf("%s:%d>%s:%d", netip.AddrFrom16(f.IPv6Src), f.TpSrc, netip.AddrFrom16(f.IPv6Dst), f.TpDst)
	}
	return fmt.Sprintf("%s:%d>%s:%d", a(f.NwSrc), f.TpSrc, a(f.NwDst), f.TpDst)
}

func wantAddrs(t *testing.T, f *flow.Flow, want string) {
	t.Helper()
	if got := addrs(f); got != want {
		t.Errorf("packet %s, want %s", got, want)
	}
}

func TestSNAT(t *testing.T) {
	for _, partial := range []bool{false, true} {
		b := newBench(t)
		any := &odp.NATArg{}
		req := udp(hostA, 5000, hostB, 7)
		req.partial = partial
		f := b.natSend(req, natTo(true, "10.9.9.9", ""), "new|trk|snat")
		wantAddrs(t, f, "10.9.9.9:5000>10.1.1.2:7")
		if f.CTNwSrc != 0x0a010101 {
			t.Errorf("original source %x", f.CTNwSrc)
		}
		rep := udp(hostB, 7, "10.9.9.9", 5000)
		rep.partial = partial
		f = b.natSend(rep, any, "est|rpl|trk|dnat")
		wantAddrs(t, f, "10.1.1.2:7>10.1.1.1:5000")
		f = b.natSend(req, any, "est|trk|snat")
		wantAddrs(t, f, "10.9.9.9:5000>10.1.1.2:7")
		// Without nat the packet is only recognised.
		wantAddrs(t, b.send(rep, track, "est|rpl|trk"), "10.1.1.2:7>10.9.9.9:5000")
		b.wantDump("17 10.1.1.1:5000>10.1.1.2:7 10.1.1.2:7>10.9.9.9:5000 z0 m0 t30\n")
	}
}

// checkPartial verifies that a partial checksum is still the pseudo header's sum.
func TestPartialChecksum(t *testing.T) {
	b := newBench(t)
	p := tcp(true, flagSYN, 100, 0, 10)
	p.partial = true
	i := b.frame(p)
	b.run(i, odp.CTArg{Commit: true, NAT: natTo(true, "10.9.9.9", "", 77)})
	b.pool.CompleteCsum(i)
	b.pool.Meta(i).Csum = packet.CsumUnknown
	if !b.pool.CsumOK(i) {
		t.Error("the completed checksum is wrong")
	}
}

func TestNATTwiceThroughTracker(t *testing.T) {
	b := newBench(t)
	i := b.frame(udp(hostA, 5000, hostB, 7))
	f := b.run(i, odp.CTArg{Commit: true, NAT: natTo(true, "10.9.9.9", "")})
	b.check(i, f, "new|trk|snat")
	// The translated packet is recognised and not translated again.
	f = b.run(i, odp.CTArg{NAT: &odp.NATArg{}})
	b.check(i, f, "new|trk|snat")
	wantAddrs(t, f, "10.9.9.9:5000>10.1.1.2:7")
	// In another zone it is a packet like any other.
	f = b.run(i, odp.CTArg{Zone: 2, Commit: true, NAT: natTo(false, "10.8.8.8", "", 70)})
	b.check(i, f, "new|trk|dnat")
	wantAddrs(t, f, "10.9.9.9:5000>10.8.8.8:70")
	back := udp("10.8.8.8", 70, "10.9.9.9", 5000)
	f = b.send(back, odp.CTArg{Zone: 2, NAT: &odp.NATArg{}}, "est|rpl|trk|snat")
	wantAddrs(t, f, "10.1.1.2:7>10.9.9.9:5000")
}

func TestDNAT(t *testing.T) {
	b := newBench(t)
	f := b.natSend(tcp(true, flagSYN, 100, 0, 0), natTo(false, "10.2.2.2", "", 8080), "new|trk|dnat")
	wantAddrs(t, f, "10.1.1.1:1>10.2.2.2:8080")
	rep := tcp(false, flagSYN|flagACK, 500, 101, 0)
	rep.src, rep.sport = "10.2.2.2", 8080
	f = b.natSend(rep, &odp.NATArg{}, "est|rpl|trk|snat")
	wantAddrs(t, f, "10.1.1.2:2>10.1.1.1:1")
}

func TestNATv6(t *testing.T) {
	b := newBench(t)
	f := b.natSend(udp("fd00::1", 5000, "fd00::2", 7), natTo(true, "fd00::9", ""), "new|trk|snat")
	wantAddrs(t, f, "fd00::9:5000>fd00::2:7")
	f = b.natSend(udp("fd00::2", 7, "fd00::9", 5000), &odp.NATArg{}, "est|rpl|trk|dnat")
	wantAddrs(t, f, "fd00::2:7>fd00::1:5000")
	ping := pkt{src: "fd00::1", dst: "fd00::2", proto: protoICMPv6, sport: icmp6Echo, dport: 9}
	if f = b.natSend(ping, natTo(true, "fd00::9", ""), "new|trk|snat"); f.IPv6Src[15] != 9 {
		t.Error("ICMPv6 kept its address")
	}
}

func TestNATRanges(t *testing.T) {
	b := newBench(t)
	n := natTo(true, "10.9.9.1", "10.9.9.2", 100, 103)
	seen := map[string]bool{}
	for i := range uint16(12) {
		j := b.frame(udp(hostA, 5000+i, hostB, 7))
		f := b.run(j, odp.CTArg{Commit: true, NAT: n})
		b.c.Free(j)
		// An address's ports may be used up before those of the other.
		if f.CTState&flow.CTSrcNAT == 0 {
			continue
		}
		if f.TpSrc < 100 || f.TpSrc > 103 || f.NwSrc < 0x0a090901 || f.NwSrc > 0x0a090902 || seen[addrs(f)] {
			t.Errorf("translated to %s", addrs(f))
		}
		seen[addrs(f)] = true
	}
	if len(seen) < 4 || len(seen) > 8 {
		t.Errorf("%d translations", len(seen))
	}
}

func TestNATExhaustion(t *testing.T) {
	b := newBench(t)
	n := natTo(true, "10.9.9.1", "", 100, 103)
	for i := range uint16(4) {
		b.natSend(udp(hostA, 5000+i, hostB, 7), n, "new|trk|snat")
	}
	f := b.natSend(udp(hostA, 6000, hostB, 7), n, "new|trk")
	wantAddrs(t, f, "10.1.1.1:6000>10.1.1.2:7")
	if c, _ := b.ct.Conns(); c != 4 {
		t.Errorf("%d connections", c)
	}
	b.natSend(udp(hostA, 6000, "10.1.1.3", 7), n, "new|trk|snat") // another destination
}

func TestAllZeroSNAT(t *testing.T) {
	b := newBench(t)
	zero := natTo(true, "0.0.0.0", "")
	f := b.natSend(udp(hostA, 5000, hostB, 7), zero, "new|trk|snat")
	wantAddrs(t, f, "10.1.1.1:5000>10.1.1.2:7")
	// The port would be taken: 10.9.9.9:5000 to hostB, of another connection.
	b.natSend(udp("10.3.3.3", 6000, "10.3.3.4", 7), natTo(true, "10.9.9.9", "", 5000), "new|trk|snat")
	f = b.natSend(udp("10.9.9.9", 5000, "10.3.3.4", 7), zero, "new|trk|snat")
	if f.NwSrc != 0x0a090909 || f.TpSrc == 5000 {
		t.Errorf("translated to %s", addrs(f))
	}
	wantAddrs(t, b.natSend(udp(hostB, 7, hostA, 5000), zero, "est|rpl|trk|dnat"), "10.1.1.2:7>10.1.1.1:5000")
}

func TestICMPErrorInsideNAT(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		b := newBench(t)
		a, z, public, router := hostA, hostB, "10.9.9.9", "10.1.1.254"
		gone := pkt{proto: protoICMP, sport: icmpUnreachable}
		if v6 {
			a, z, public, router = "fd00::1", "fd00::2", "fd00::9", "fd00::fe"
			gone = pkt{proto: protoICMPv6, sport: icmp6Unreachable}
		}
		b.natSend(udp(a, 5000, z, 7), natTo(true, public, "", 999), "new|trk|snat")
		gone.src, gone.dst, gone.quote = router, public, udp(public, 999, z, 7).ip()
		i := b.frame(gone)
		f := b.run(i, odp.CTArg{NAT: &odp.NATArg{}})
		b.check(i, f, "rel|rpl|trk|dnat")
		d := b.pool.Data(i)
		quoted := d[int(b.pool.Meta(i).L4)+8:]
		want := udp(a, 5000, z, 7).ip()
		if string(quoted[:len(want)]) != string(want) {
			t.Errorf("quoted\n%x, want\n%x", quoted, want)
		}
		if v6 {
			if netip.AddrFrom16(f.IPv6Dst).String() != a {
				t.Error("wrong destination")
			}
		} else if binary.BigEndian.Uint32(d[30:]) != 0x0a010101 {
			t.Error("wrong destination")
		}
	}
}

// TestNATReuse: an expired connection gives its translation back at once.
func TestNATReuse(t *testing.T) {
	b := newBench(t)
	n := natTo(true, "10.9.9.1", "", 100)
	b.natSend(udp(hostA, 5000, hostB, 7), n, "new|trk|snat")
	b.now += 60_000
	b.natSend(udp(hostB, 7, "10.9.9.1", 100), &odp.NATArg{}, "inv|trk") // its connection is gone
	b.natSend(udp(hostA, 5000, hostB, 7), n, "new|trk|snat")
	_ = b.ct.FlushConntrack(nil, nil, b.now)
	b.natSend(udp(hostA, 5001, hostB, 7), n, "new|trk|snat")
}

func TestAddrInRange(t *testing.T) {
	a := func(s string) *flow.IPv6 { v := flow.IPv6(netip.MustParseAddr(s).As16()); return &v }
	for _, c := range []struct {
		lo, hi string
		hash   uint32
		want   string
	}{
		{"fd00::1", "fd00::1", 12345, "fd00::1"},
		{"fd00::1", "fd00::4", 7, "fd00::4"},
		{"fd00::ffff:ffff:ffff:ffff", "fd00::1:0:0:0:1", 1, "fd00:0:0:1::"},
		{"::1", "ffff::", 0xfffffffd, "::ffff:fffe"},
	} {
		got := netip.AddrFrom16(addrInRange(a(c.lo), a(c.hi), c.hash))
		if got != netip.MustParseAddr(c.want) {
			t.Errorf("%s-%s %d: %s, want %s", c.lo, c.hi, c.hash, got, c.want)
		}
	}
}

func TestNATEstablishedAllocatesNothing(t *testing.T) {
	b := newBench(t)
	b.natSend(udp(hostA, 5000, hostB, 7), natTo(true, "10.9.9.9", ""), "new|trk|snat")
	i := b.frame(udp(hostB, 7, "10.9.9.9", 5000))
	j := b.frame(udp(hostB, 7, "10.9.9.9", 5000))
	var batch packet.Batch
	batch.Add(i)
	arg := odp.CTArg{NAT: &odp.NATArg{}}
	if n := testing.AllocsPerRun(1000, func() {
		copy(b.pool.Data(i), b.pool.Data(j))
		b.pool.Meta(i).CTState, b.pool.Meta(i).Csum = 0, packet.CsumUnknown
		b.ct.Execute(b.c, &batch, &arg, b.now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzExecute sends any bytes through a tracker that has connections with NAT.
func FuzzExecute(f *testing.F) {
	eth := []byte{13: 0, 12: 8}
	for _, p := range []pkt{udp(hostA, 5000, hostB, 7), tcp(true, flagSYN, 1, 0, 3),
		{src: hostB, dst: "10.9.9.9", proto: protoICMP, sport: icmpUnreachable, quote: udp("10.9.9.9", 999, hostB, 7).ip()},
		{src: hostA, dst: hostB, proto: protoICMP, sport: icmpEcho, dport: 3}} {
		f.Add(append(eth, p.ip()...), uint8(0))
	}
	for _, p := range []pkt{udp("fd00::1", 5000, "fd00::2", 7),
		{src: "fd00::2", dst: "fd00::9", proto: protoICMPv6, sport: icmp6Unreachable, quote: udp("fd00::9", 999, "fd00::2", 7).ip()}} {
		f.Add(append([]byte{12: 0x86, 13: 0xdd}, p.ip()...), uint8(3))
	}
	b := newBench(f)
	f.Fuzz(func(t *testing.T, data []byte, how uint8) {
		b.t = t
		b.ct = New()
		var batch packet.Batch
		for _, p := range []pkt{udp(hostA, 5000, hostB, 7), udp("fd00::1", 5000, "fd00::2", 7)} {
			public := "10.9.9.9"
			if p.src[0] == 'f' {
				public = "fd00::9"
			}
			i := b.frame(p)
			b.run(i, odp.CTArg{Commit: true, NAT: natTo(true, public, "", 999)})
			b.c.Free(i)
		}
		if len(data) > 3000 {
			data = data[:3000]
		}
		arg := odp.CTArg{Commit: how&1 != 0, Force: how&4 != 0}
		if how&2 != 0 {
			arg.NAT = natTo(how&8 != 0, "10.7.7.7", "10.7.7.9")
		}
		i := b.c.New(data)
		if i == 0 {
			return
		}
		for range 2 {
			if how&16 != 0 {
				b.pool.Meta(i).Csum = packet.CsumGood
			}
			b.extract(i)
			batch.Reset()
			batch.Add(i)
			b.ct.Execute(b.c, &batch, &arg, b.now)
		}
		if b.pool.Meta(i).CTState&flow.CTTracked == 0 {
			t.Error("not tracked")
		}
		b.c.Free(i)
	})
}
