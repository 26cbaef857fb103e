package packet

import (
	"bytes"
	"encoding/binary"
	"testing"
)

var tunnels = []struct {
	name   string
	v6     bool // outer
	proto  uint8
	header []byte // behind the outer IP header
	raw    bool   // holds IP packets instead of frames
}{
	{"VXLAN", false, ProtoUDP, []byte{1, 2, portVXLAN >> 8, portVXLAN & 0xff, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 7, 0}, false},
	{"VXLAN at Linux's port", true, ProtoUDP, []byte{1, 2, portVXLANLinux >> 8, portVXLANLinux & 0xff, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 7, 0}, false},
	{"Geneve with an option and a checksum", true, ProtoUDP, []byte{1, 2, portGeneve >> 8, portGeneve & 0xff, 0, 0, 0xff, 0xff, 2, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 1, 9, 9, 9, 9}, false},
	{"GRE with a checksum and a key", false, protoGRE, []byte{0xa0, 0, 0x65, 0x58, 0xff, 0xff, 0, 0, 0, 0, 0, 7}, false},
	{"GRE of IP", false, protoGRE, []byte{0, 0, 8, 0}, true},
	{"IP in IP", false, protoIPv4, nil, true},
}

// wrap puts inner into a tunnel; its transport header moves to l4.
func wrap(v6 bool, proto uint8, header, inner []byte) (b []byte, at int) {
	size := len(header) + len(inner)
	if v6 {
		b = append(fill(12), 0x86, 0xdd, 0x60, 0, 0, 0, byte(size>>8), byte(size), proto, 64)
		b = append(b, fill(32)...)
	} else {
		b = append(fill(12), 8, 0, 0x45, 0, byte((size+20)>>8), byte(size+20), 0, 9, 0x40, 0, 64, proto, 0, 0, 192, 168, 0, 1, 192, 168, 0, 2)
		binary.BigEndian.PutUint16(b[24:], Checksum(b[14:34]))
	}
	l4 := len(b)
	b = append(b, header...)
	if proto == ProtoUDP {
		binary.BigEndian.PutUint16(b[l4+4:], uint16(size))
	}
	return append(b, inner...), l4 + len(header)
}

// TestSegmentInTunnel cuts TCP packets inside of tunnels: each segment must be a
// packet with right lengths and checksums, inside and outside.
func TestSegmentInTunnel(t *testing.T) {
	const payload, mss = 40000, 1400
	p := newTestPool(t, 200)
	c := p.NewCache(8)
	for _, tun := range tunnels {
		for _, v6 := range []bool{false, true} {
			inner := tcp(v6, payload)
			l4 := len(inner) - payload - 20
			if tun.raw {
				if v6 {
					continue // the headers above say IPv4
				}
				inner, l4 = inner[14:], l4-14
			}
			whole, at := wrap(tun.v6, tun.proto, tun.header, inner)
			i := c.New(whole)
			m := p.Meta(i)
			m.GSOType, m.GSOSize = GSOTCPv4, mss
			p.SetPartial(i, at+l4, 16)
			if m.Cold&ColdInner == 0 || m.Csum != CsumUnknown || !p.CsumOK(i) {
				t.Fatalf("%s: not known as a tunnel packet", tun.name)
			}
			var s Segmenter
			if !s.Start(c, i) {
				t.Fatalf("%s, v6 %t: not a packet to segment", tun.name, v6)
			}
			var got []byte
			for j := s.Next(); j != 0; j = s.Next() {
				p.CompleteCsum(j)
				b := p.AppendBytes(nil, j)
				checkOuter(t, tun.name, tun.v6, tun.proto, b)
				in := b[at:]
				if tun.raw {
					in = append(append(fill(12), 8, 0), in...)
				}
				k := c.New(in)
				l3, l4, _, _ := layers(in)
				if n := p.l4Len(k, l3, l4); l4+n != len(in) || !v6 && Checksum(in[14:34]) != 0 {
					t.Errorf("%s: inner packet of %d bytes says %d", tun.name, len(in), l4+n)
				}
				if !p.CsumOK(k) {
					t.Errorf("%s, v6 %t: wrong inner checksum", tun.name, v6)
				}
				c.Free(k)
				got = append(got, in[l4+20:]...)
				c.Free(j)
			}
			if !bytes.Equal(got, whole[len(whole)-payload:]) {
				t.Errorf("%s, v6 %t: payload differs", tun.name, v6)
			}
			c.Free(i)
		}
	}
}

func checkOuter(t *testing.T, name string, v6 bool, proto uint8, b []byte) {
	t.Helper()
	l3, l4 := 14, 34
	size := len(b) - 14
	if v6 {
		l4, size = 54, size-40
		if got := int(binary.BigEndian.Uint16(b[18:])); got != size {
			t.Errorf("%s: outer length %d, want %d", name, got, size)
		}
	} else if got := int(binary.BigEndian.Uint16(b[16:])); got != size || Checksum(b[14:34]) != 0 {
		t.Errorf("%s: outer length %d, want %d; checksum %x", name, got, size, Checksum(b[14:34]))
	}
	h := b[l4:]
	switch {
	case proto == ProtoUDP && int(binary.BigEndian.Uint16(h[4:])) != len(h):
		t.Errorf("%s: UDP length %d, want %d", name, binary.BigEndian.Uint16(h[4:]), len(h))
	case proto == ProtoUDP && binary.BigEndian.Uint16(h[6:]) != 0 && !same(Sum(h, PseudoSum(b[l3:], proto, len(h))), 0xffff):
		t.Errorf("%s: wrong UDP checksum", name)
	case proto == protoGRE && h[0]&0x80 != 0 && Checksum(h) != 0:
		t.Errorf("%s: wrong GRE checksum", name)
	}
}

// TestGSOWithoutInner: a header that points nowhere is refused, not followed.
func TestGSOWithoutInner(t *testing.T) {
	p := newTestPool(t, 50)
	c := p.NewCache(8)
	inner := tcp(false, 3000)
	whole, at := wrap(false, ProtoUDP, tunnels[0].header, inner)
	for _, start := range []int{0, at, at + 33, at + 35, len(whole) - 1, len(whole), 60000} {
		i := c.New(whole)
		m := p.Meta(i)
		m.GSOType, m.GSOSize = GSOTCPv4, 1400
		p.SetPartial(i, start, 16)
		var s Segmenter
		if s.Start(c, i) {
			t.Errorf("start %d: accepted", start)
		}
		c.Free(i)
	}
}

// TestDetectInnerPartial: hosts leave the inner checksum to the device as well.
func TestDetectInnerPartial(t *testing.T) {
	p := newTestPool(t, 50)
	c := p.NewCache(8)
	for _, tun := range tunnels {
		inner := tcp(false, 1001)
		if tun.raw {
			inner = inner[14:]
		}
		whole, at := wrap(tun.v6, tun.proto, tun.header, inner)
		i := c.New(whole)
		p.DetectPartial(i)
		b := p.AppendBytes(nil, i)[at:]
		if tun.raw {
			b = append(append(fill(12), 8, 0), b...)
		}
		k := c.New(b)
		if p.Meta(i).Csum == CsumPartial || !p.CsumOK(k) {
			t.Errorf("%s: the inner checksum is not completed", tun.name)
		}
		for n := range whole { // shorter packets must not be read beyond their end
			j := c.New(whole[:n])
			p.DetectPartial(j)
			c.Free(j)
		}
		c.Free(i)
		c.Free(k)
	}
}
