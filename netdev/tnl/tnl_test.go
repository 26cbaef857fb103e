package tnl

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/internal/vlog"
	"sluice/netdev/packet"
)

// inner is the packet that the tests send, ipInner what of it tunnels without
// Ethernet carry.
const (
	inner   = "50540000000a505400000009" + "0800" + ipInner
	ipInner = "4500001c0001000040117cce7f0000017f0000010035003500080172"
)

var (
	macA = [6]byte{0xf8, 0xbc, 0x12, 0x44, 0x34, 0xb6}
	macB = [6]byte{0xaa, 0x55, 0xaa, 0x55, 0, 0}
	v4   = [2]netip.Addr{netip.MustParseAddr("1.1.2.88"), netip.MustParseAddr("1.1.2.92")}
	v6   = [2]netip.Addr{netip.MustParseAddr("2001:cafe::88"), netip.MustParseAddr("2001:cafe::92")}
)

// hash is one whose source port is 0xd152, stock's for inner.
const hash = (0xd152-32768)<<32/(61000-32768) + 1

const (
	ether4 = "f8bc124434b6aa55aa5500000800"
	ether6 = "f8bc124434b6aa55aa55000086dd"
	addr6  = "2001cafe0000000000000000000000882001cafe000000000000000000000092"
)

// golden holds tunnels and what Open vSwitch 3.1 sends for inner by them (GRE with
// a checksum and a sequence number, and the checksum of GTP-U excepted, which it gets
// wrong).
var golden = []struct {
	name string
	p    Params
	seq  uint32
	want string
}{
	{"vxlan", Params{Kind: VXLAN, DstPort: 4789, ID: 123}, 0,
		ether4 + "4500004e00004000401133ea010102580101025c" + "d15212b5003a0000" + "0800000000007b00" + inner},
	{"vxlan csum", Params{Kind: VXLAN, DstPort: 4789, ID: 124, Csum: true}, 0,
		ether4 + "4500004e00004000401133ea010102580101025c" + "d15212b5003ae61c" + "0800000000007c00" + inner},
	{"vxlan gpe", Params{Kind: VXLAN, DstPort: 4791, ID: 126, GPE: true}, 0,
		ether4 + "4500004e00004000401133ea010102580101025c" + "d15212b7003a0000" + "0c00000300007e00" + inner},
	{"geneve", Params{Kind: Geneve, DstPort: 6081, ID: 127}, 0,
		ether4 + "4500004e00004000401133ea010102580101025c" + "d15217c1003a0000" + "0000655800007f00" + inner},
	{"gre csum", Params{Kind: GRE, Csum: true}, 0,
		ether4 + "4500004600004000402f33d4010102580101025c" + "8000655870070000" + inner},
	{"gre key seq", Params{Kind: GRE, HasKey: true, ID: 130, Seq: true}, 2,
		ether4 + "4500004a00004000402f33d0010102580101025c" + "300065580000008200000002" + inner},
	{"erspan 1", Params{Kind: ERSPAN, ID: 1, ERSPANVer: 1, ERSPANIdx: 3}, 1,
		ether4 + "4500004e00004000402f33cc010102580101025c" + "100088be00000001" + "1000000100000003" + inner},
	{"erspan 2", Params{Kind: ERSPAN, ID: 2, ERSPANVer: 2, ERSPANDir: 1, ERSPANHwID: 7}, 2,
		ether4 + "4500005200004000402f33c8010102580101025c" + "100022eb00000002" + "2000000260ddc75400000078" + inner},
	{"gtpu", Params{Kind: GTPU, DstPort: 2152, ID: 3, Next: typeIPv4}, 0,
		ether4 + "4500004000004000401133f8010102580101025c" + "d1520868002c0000" + "30ff001c00000003" + ipInner},
	{"vxlan 6", Params{Kind: VXLAN, DstPort: 4789, ID: 123, Dst: v6[1]}, 0,
		ether6 + "60000000003a1140" + addr6 + "d15212b5003a16b9" + "0800000000007b00" + inner},
	{"geneve 6", Params{Kind: Geneve, DstPort: 6081, ID: 124, Dst: v6[1]}, 0,
		ether6 + "60000000003a1140" + addr6 + "d15217c1003ab354" + "0000655800007c00" + inner},
	{"gre 6", Params{Kind: GRE, HasKey: true, ID: 125, Dst: v6[1]}, 0,
		ether6 + "6000000000322f40" + addr6 + "200065580000007d" + inner},
	{"gre 6 csum", Params{Kind: GRE, HasKey: true, ID: 126, Csum: true, Dst: v6[1]}, 0,
		ether6 + "6000000000362f40" + addr6 + "a00065584f8900000000007e" + inner},
	{"erspan 6 1", Params{Kind: ERSPAN, ID: 127, ERSPANVer: 1, ERSPANIdx: 3, Dst: v6[1]}, 1,
		ether6 + "60000000003a2f40" + addr6 + "100088be000000011000007f00000003" + inner},
	{"gtpu 6", Params{Kind: GTPU, DstPort: 2152, ID: 5, Next: typeIPv4, Dst: v6[1]}, 0,
		ether6 + "60000000002c1140" + addr6 + "d1520868002c1bbe" + "30ff001c00000005" + ipInner},
	// Those that stock does not send, by hand.
	{"vxlan gbp", Params{Kind: VXLAN, DstPort: 4790, ID: 125, GBP: true, GBPID: 0x0102, GBPFlags: 0x48}, 0,
		ether4 + "4500004e00004000401133ea010102580101025c" + "d15212b6003a0000" + "8848010200007d00" + inner},
	{"geneve options", Params{Kind: Geneve, DstPort: 6081, ID: 127, OAM: true, Opts: []byte{0xff, 0xff, 0x80, 1, 0, 0, 0, 0xa}}, 0,
		ether4 + "4500005600004000401133e2010102580101025c" + "d15217c100420000" + "02c0655800007f00" + "ffff80010000000a" + inner},
	{"gre l3", Params{Kind: GRE, Next: typeIPv4}, 0,
		ether4 + "4500003400004000402f33e6010102580101025c" + "00000800" + ipInner},
}

func (p *Params) complete() {
	p.DstMAC, p.SrcMAC, p.DF, p.TTL = macA, macB, true, 64
	if !p.Dst.IsValid() {
		p.Dst = v4[1]
	}
	if p.Src = v4[0]; p.Dst.Is6() {
		p.Src = v6[0]
	}
}

func newPool(t testing.TB) *packet.Cache {
	p, err := packet.NewPool(1000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p.NewCache(8)
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPush(t *testing.T) {
	c := newPool(t)
	for _, tc := range golden {
		t.Run(tc.name, func(t *testing.T) {
			tc.p.complete()
			h, ok := tc.p.Append(nil)
			if !ok {
				t.Fatal("cannot be built")
			}
			var seq atomic.Uint32
			seq.Store(tc.seq)
			u := Pusher{Ports: DefaultPorts, Seq: &seq, Now: 0x60ddc754 / 10}
			if pr := u.SetHeader(tc.p.Kind, h); pr != OK {
				t.Fatal(pr)
			}
			in := inner
			if tc.p.Next != typeEth {
				in = ipInner
			}
			i := c.New(unhex(t, in))
			c.Pool().Meta(i).Hash = hash
			if pr := u.Push(c.Pool(), i); pr != OK {
				t.Fatal(pr)
			}
			c.Pool().CompleteCsum(i)
			got := c.Pool().AppendBytes(nil, i)
			if want := unhex(t, tc.want); !bytes.Equal(got, want) {
				t.Errorf("got  %x\nwant %x", got, want)
			}
			c.Free(i)
		})
	}
}

func TestPop(t *testing.T) {
	c := newPool(t)
	for _, tc := range golden {
		t.Run(tc.name, func(t *testing.T) {
			tc.p.complete()
			i := received(c, unhex(t, tc.want), tc.p.Dst.Is6())
			var md Meta
			if pr := Pop(c.Pool(), i, tc.p.Kind, &md); pr != OK {
				t.Fatal(pr)
			}
			want := inner
			if tc.p.Next != typeEth {
				want = ipInner
			}
			if got := hex.EncodeToString(c.Pool().AppendBytes(nil, i)); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			p, m := &tc.p, c.Pool().Meta(i)
			if m.PacketType != p.Next || m.L3 != packet.NoLayer {
				t.Errorf("packet type %#x, L3 %d", m.PacketType, m.L3)
			}
			src, _ := netip.AddrFromSlice(md.Src[:len(p.Src.AsSlice())])
			if src != p.Src || md.V6 != p.Src.Is6() || md.TTL != 64 || md.TpDst != p.DstPort {
				t.Errorf("outer: %+v", md)
			}
			hasKey := p.Kind != GRE || p.HasKey
			hasCsum := p.Csum || p.Kind.Proto() == protoUDP && p.Dst.Is6()
			if md.ID != p.ID || md.Key != hasKey || md.Csum != hasCsum || md.OAM != p.OAM || !bytes.Equal(md.Opts, p.Opts) {
				t.Errorf("header: %+v", md)
			}
			if md.GBPID != p.GBPID || md.GBPFlags != p.GBPFlags || md.ERSPANVer != p.ERSPANVer ||
				md.ERSPANIdx != p.ERSPANIdx || md.ERSPANDir != p.ERSPANDir || md.ERSPANHwID != p.ERSPANHwID {
				t.Errorf("header: %+v", md)
			}
			c.Free(i)
		})
	}
}

// received makes a packet of b with its layers set.
func received(c *packet.Cache, b []byte, v6 bool) packet.Index {
	i := c.New(b)
	m := c.Pool().Meta(i)
	if m.L3, m.L4 = 14, 34; v6 {
		m.L4 = 54
	}
	return i
}

func TestPopProblems(t *testing.T) {
	const ip = ether4 + "4500004e00004000401133ea010102580101025c"
	const gre = ether4 + "4500004600004000402f33d4010102580101025c"
	rest := strings.Repeat("00", 80)
	c := newPool(t)
	for _, tc := range []struct {
		kind Kind
		data string
		want Problem
	}{
		{VXLAN, ether4, NoIP},
		{VXLAN, ether4 + "5500004e00004000401133ea010102580101025c" + rest, BadVersion},
		{VXLAN, ether4 + "4500004e00004000401133eb010102580101025c" + rest, BadIPChecksum},
		{VXLAN, ether4 + "4600004e00004000401133ea010102580101025c" + rest, IPOptions},
		{VXLAN, ether4 + "4400004e00004000401133ea010102580101025c" + rest, NoIP},
		{VXLAN, ether4 + "4500004e00006000401113ea010102580101025c" + rest, Fragment},
		{VXLAN, ether4 + "4500001300004000401134250101" + "02580101025c" + rest, Truncated},
		{VXLAN, ip + "d15212b5", Truncated},
		{VXLAN, gre + rest, WrongProtocol},
		{GRE, ip + rest, WrongProtocol},
		{VXLAN, ether6 + "6000000000041140" + addr6 + "d15212b5", TooShort},
		{VXLAN, ip + "d15212b5003ae61d" + "0800000000007c00" + inner, BadChecksum},
		{VXLAN, ip + "d15212b5003a0000" + "0000000000007c00" + inner, VXLANFlags},
		{VXLAN, ip + "d15212b5003a0000" + "0800000000007c01" + inner, VXLANFlags},
		{VXLAN, ip + "d15212b5003a0000" + "0d00000300007c00" + inner, VXLANFlags},
		{VXLAN, ip + "d15212b5003a0000" + "0c00000500007c00" + inner, VXLANNext},
		{Geneve, ip + "d15212b5003a0000" + "4000655800007c00" + inner, GeneveVersion},
		{Geneve, ip + "d15212b5003a0000" + "0000080000007c00" + inner, GeneveProtocol},
		{Geneve, ip + "d15212b5003a0000" + "3f00655800007c00" + inner, TooShort},
		{GRE, gre + "40006558" + rest, GREFlags},
		{GRE, gre + "00000001" + rest, GREProtocol},
		{GRE, gre + "8000655870080000" + inner, BadChecksum},
		{ERSPAN, gre + "000088be" + rest, GREFlags},
		{ERSPAN, gre + "100088bf" + rest, GREProtocol},
		{ERSPAN, gre + "100088be" + rest, ERSPANVersion},
		{GTPU, ip + "d15212b5003a0000" + "30ff000000000000" + rest, GTPUPayload},
		{GTPU, ip + "d15212b5003a0000" + "34ff000000000000" + "0000008500000000" + rest, TooShort},
	} {
		b := unhex(t, tc.data)
		i := received(c, b, len(b) > 12 && b[12] == 0x86)
		var md Meta
		if got := Pop(c.Pool(), i, tc.kind, &md); got != tc.want {
			t.Errorf("%d %s: %q, want %q", tc.kind, tc.data, got, tc.want)
		}
		c.Free(i)
	}
}

// GTP-U messages other than a user's packet go on whole, with the tunnel's fields.
func TestPopGTPUMessage(t *testing.T) {
	c := newPool(t)
	b := unhex(t, ether4+"4500002400004000401134140101"+"02580101025c"+"d152086800100000"+"3001000000000009")
	i := received(c, b, false)
	var md Meta
	if pr := Pop(c.Pool(), i, GTPU, &md); pr != OK || md.GTPUType != 1 || md.ID != 9 {
		t.Fatalf("%v, %+v", pr, md)
	}
	if got := c.Pool().AppendBytes(nil, i); !bytes.Equal(got, b) {
		t.Errorf("got %x", got)
	}
}

// Extension headers of a user's packet are skipped.
func TestPopGTPUExtensions(t *testing.T) {
	h := unhex(t, "34ff000000000007"+"00000085"+"01100900"+ipInner)
	var md Meta
	if size, typ, pr := popGTPU(h, &md); pr != OK || size != 16 || typ != typeIPv4 {
		t.Errorf("%d %#x %v", size, typ, pr)
	}
}

// Bytes behind the outer IP packet stay.
func TestPopPadding(t *testing.T) {
	c := newPool(t)
	i := received(c, append(unhex(t, golden[0].want), 1, 2, 3), false)
	var md Meta
	if pr := Pop(c.Pool(), i, VXLAN, &md); pr != OK || int(c.Pool().Meta(i).Len)*2 != len(inner)+6 {
		t.Errorf("%v, %d bytes", pr, c.Pool().Meta(i).Len)
	}
}

// A GSO packet comes from the host's kernel: its outer checksum is not there yet, and
// the inner one has to be partial afterwards.
func TestPopGSO(t *testing.T) {
	c := newPool(t)
	for _, n := range []int{1, 5, 17} { // UDP, GRE, no Ethernet inside
		tc := golden[n]
		tc.p.complete()
		b := unhex(t, tc.want)
		if tc.p.Kind == GRE && tc.p.Csum {
			b[38]++
		} else if tc.p.Csum {
			b[40]++
		}
		i := received(c, b, false)
		m := c.Pool().Meta(i)
		m.GSOType, m.GSOSize = packet.GSOUDPL4, 4
		var md Meta
		if pr := Pop(c.Pool(), i, tc.p.Kind, &md); pr != OK {
			t.Fatal(tc.name, pr)
		}
		if m.Csum != packet.CsumPartial {
			t.Errorf("%s: state %d", tc.name, m.Csum)
		}
		ip := c.Pool().Data(i)[len(c.Pool().Data(i))-28:]
		if got, want := be.Uint16(ip[26:]), packet.PseudoSum(ip, 17, 8); got != want {
			t.Errorf("%s: checksum %#x, want %#x", tc.name, got, want)
		}
	}
}

// vxlanPusher pushes the header of the first of golden.
func vxlanPusher() *Pusher {
	p := golden[0].p
	p.complete()
	h, _ := p.Append(nil)
	u := &Pusher{Ports: DefaultPorts, Seq: new(atomic.Uint32)}
	u.SetHeader(VXLAN, h)
	return u
}

// A checksum that is partial is completed before a header hides it.
func TestPushPartial(t *testing.T) {
	c := newPool(t)
	u := vxlanPusher()
	b := unhex(t, inner)
	be.PutUint16(b[40:], packet.PseudoSum(b[14:], 17, 8))
	i := received(c, b, false)
	c.Pool().Meta(i).Csum = packet.CsumPartial
	if pr := u.Push(c.Pool(), i); pr != OK {
		t.Fatal(pr)
	}
	if got := c.Pool().AppendBytes(nil, i); hex.EncodeToString(got[50:]) != inner {
		t.Errorf("inner %x", got[50:])
	}
}

func TestPushTooLong(t *testing.T) {
	c := newPool(t)
	u := vxlanPusher()
	if pr := u.Push(c.Pool(), c.New(make([]byte, 65535-36+1))); pr != TooLong {
		t.Errorf("%q", pr)
	}
}

func TestPorts(t *testing.T) {
	for h, want := range map[uint32]uint16{0: 32768, 1 << 31: 46884, ^uint32(0): 60999} {
		if got := DefaultPorts.pick(h); got != want {
			t.Errorf("%#x: %d, want %d", h, got, want)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	c := newPool(t)
	p := golden[1].p
	p.complete()
	h, _ := p.Append(nil)
	b := unhex(t, inner)
	u := Pusher{Ports: DefaultPorts, Seq: new(atomic.Uint32)}
	var md Meta
	if n := testing.AllocsPerRun(100, func() {
		i := c.New(b)
		if u.SetHeader(VXLAN, h) != OK || u.Push(c.Pool(), i) != OK || Pop(c.Pool(), i, VXLAN, &md) != OK {
			t.Error("failed")
		}
		c.Free(i)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Nor do problems, one a packet, that are too many to be logged.
func TestWarnAllocatesNothing(t *testing.T) {
	vlog.SetClock(func() int64 { return 1 })
	for range 10 {
		GREFlags.Warn()
	}
	if n := testing.AllocsPerRun(100, GREFlags.Warn); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What comes in is never longer afterwards, and never panics.
func FuzzPop(f *testing.F) {
	for _, tc := range golden {
		tc.p.complete()
		f.Add(byte(tc.p.Kind), unhex(f, tc.want))
	}
	c := newPool(f)
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		i := received(c, b, len(b) > 12 && b[12] == 0x86)
		defer c.Free(i)
		var md Meta
		if Pop(c.Pool(), i, Kind(kind), &md) == OK && int(c.Pool().Meta(i).Len) > len(b) {
			t.Errorf("%d bytes of %d", c.Pool().Meta(i).Len, len(b))
		}
	})
}

// A header that was taken can be pushed, whatever its bytes.
func FuzzPush(f *testing.F) {
	for _, tc := range golden {
		tc.p.complete()
		h, _ := tc.p.Append(nil)
		f.Add(byte(tc.p.Kind), h, unhex(f, inner))
	}
	c := newPool(f)
	f.Fuzz(func(t *testing.T, kind byte, h, b []byte) {
		u := Pusher{Ports: DefaultPorts, Seq: new(atomic.Uint32)}
		if u.SetHeader(Kind(kind), h) != OK {
			return
		}
		i := c.New(b)
		if i == 0 {
			return
		}
		defer c.Free(i)
		if pr := u.Push(c.Pool(), i); pr == OK && int(c.Pool().Meta(i).Len) != len(b)+len(h) {
			t.Errorf("%d bytes of %d and %d", c.Pool().Meta(i).Len, len(h), len(b))
		}
	})
}
