package packet

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// tcp makes an Ethernet frame with a TCP segment of n payload bytes and a partial
// checksum.
func tcp(v6 bool, n int) []byte {
	var b []byte
	if v6 {
		b = append(b, fill(12)...)
		b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 6, 64)
		b = append(b, fill(32)...)
		binary.BigEndian.PutUint16(b[18:], uint16(20+n))
	} else {
		b = append(b, fill(12)...)
		b = append(b, 8, 0, 0x45, 0, 0, 0, 1, 2, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2)
		binary.BigEndian.PutUint16(b[16:], uint16(40+n))
		binary.BigEndian.PutUint16(b[24:], Checksum(b[14:34]))
	}
	l4 := len(b)
	b = append(b, 0, 80, 1, 0, 0, 0, 0, 1, 0, 0, 0, 5, 0x50, 0x19, 1, 1, 0, 0, 0, 0)
	binary.BigEndian.PutUint16(b[l4+16:], PseudoSum(b[14:], ProtoTCP, 20+n))
	return append(b, fill(n)...)
}

func TestCompleteCsum(t *testing.T) {
	p := newTestPool(t, 100)
	c := p.NewCache(8)
	for _, v6 := range []bool{false, true} {
		for _, n := range []int{0, 1, 100, 3801, 4000, 9001, 60000} {
			i := c.New(tcp(v6, n))
			p.DetectPartial(i)
			if p.Meta(i).Csum != CsumPartial {
				t.Fatalf("v6 %t, %d bytes: partial checksum not seen", v6, n)
			}
			p.CompleteCsum(i)
			p.Meta(i).Csum = CsumUnknown
			if !p.CsumOK(i) {
				t.Errorf("v6 %t, %d bytes: completed checksum is wrong", v6, n)
			}
			p.Meta(i).Csum = CsumUnknown
			p.Data(i)[50] ^= 1
			if p.CsumOK(i) {
				t.Errorf("v6 %t, %d bytes: damage not noticed", v6, n)
			}
			c.Free(i)
		}
	}
}

func TestSetPartialOfInnerPacket(t *testing.T) {
	p := newTestPool(t, 10)
	c := p.NewCache(8)
	b := tcp(false, 100)
	i := c.New(b)
	p.SetPartial(i, 34, 16)
	if p.Meta(i).Csum != CsumPartial {
		t.Error("the outer checksum is not kept partial")
	}
	j := c.New(b)
	p.SetPartial(j, 60, 10)
	if p.Meta(j).Csum == CsumPartial || binary.BigEndian.Uint16(p.Data(j)[70:]) != ^Sum(b[60:], 0) {
		t.Error("a checksum elsewhere is not completed")
	}
}

// TestSCTP: hosts leave the CRC to a device, by a virtio-net header or unmarked.
func TestSCTP(t *testing.T) {
	p := newTestPool(t, 50)
	c := p.NewCache(8)
	for _, n := range []int{0, 1, 1000, 5001} {
		b := append(fill(12), 8, 0, 0x45, 0, byte((32+n)>>8), byte(32+n), 0, 1, 0x40, 0, 64, ProtoSCTP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2)
		b = append(b, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0)
		b = append(b, fill(n)...)
		want := crc32.Checksum(b[34:], crc32.MakeTable(crc32.Castagnoli))
		for name, complete := range map[string]func(Index){
			"marked":   func(i Index) { p.SetPartial(i, 34, 8) },
			"unmarked": p.DetectPartial,
		} {
			i := c.New(append(b, 0, 0, 0)) // padding
			complete(i)
			if got := binary.LittleEndian.Uint32(p.Data(i)[42:]); got != want || p.Meta(i).Csum == CsumPartial {
				t.Errorf("%s, %d bytes: CRC %x, want %x", name, n, got, want)
			}
			c.Free(i)
		}
	}
}

func TestSegment(t *testing.T) {
	p := newTestPool(t, 200)
	c := p.NewCache(8)
	for _, mss := range []int{536, 1448, 1460, 8948} {
		for _, v6 := range []bool{false, true} {
			whole := tcp(v6, 50000)
			i := c.New(whole)
			m := p.Meta(i)
			m.GSOType, m.GSOSize, m.Csum = GSOTCPv4, uint16(mss), CsumPartial
			hdr := len(whole) - 50000
			var s Segmenter
			if !s.Start(c, i) {
				t.Fatal("not a packet to segment")
			}
			var payload []byte
			for j := s.Next(); j != 0; j = s.Next() {
				b := p.AppendBytes(nil, j)
				seq := binary.BigEndian.Uint32(b[hdr-16:])
				if int(seq) != 1+len(payload) {
					t.Errorf("sequence number %d at %d", seq, len(payload))
				}
				payload = append(payload, b[hdr:]...)
				if last, fin := len(payload) == 50000, b[hdr-7]&tcpFIN != 0; fin != last {
					t.Errorf("FIN is %t where last is %t", fin, last)
				}
				if !v6 && Checksum(b[14:34]) != 0 {
					t.Error("wrong IP checksum")
				}
				p.CompleteCsum(j)
				p.Meta(j).Csum = CsumUnknown
				if !p.CsumOK(j) {
					t.Error("wrong TCP checksum")
				}
				c.Free(j)
			}
			if !bytes.Equal(payload, whole[hdr:]) {
				t.Errorf("mss %d, v6 %t: payload differs", mss, v6)
			}
			c.Free(i)
		}
	}
	c.Close()
	if p.Available() != 199 {
		t.Errorf("%d frames leaked", 199-p.Available())
	}
}

// FuzzOffload feeds arbitrary frames to what devices call on received packets.
func FuzzOffload(f *testing.F) {
	f.Add(tcp(false, 3000), uint16(1000), uint16(34), uint16(16))
	f.Add(tcp(true, 30), uint16(7), uint16(54), uint16(16))
	for _, tun := range tunnels {
		b, at := wrap(tun.v6, tun.proto, tun.header, tcp(false, 3000))
		f.Add(b, uint16(1001), uint16(at+34), uint16(16))
	}
	p := newTestPool(f, 4096)
	c := p.NewCache(64)
	f.Fuzz(func(t *testing.T, b []byte, mss, start, offset uint16) {
		if len(b) > 65535 {
			return
		}
		before := p.Available() + len(c.stack)
		i := c.New(b)
		if mss%2 == 1 {
			p.Meta(i).GSOType = GSOTCPv4
		}
		p.SetPartial(i, int(start), int(offset))
		p.DetectPartial(i)
		p.CsumOK(i)
		p.Meta(i).GSOSize, p.Meta(i).GSOType = mss, GSOUDPL4
		var s Segmenter
		if s.Start(c, i) {
			for j := s.Next(); j != 0; j = s.Next() {
				p.CompleteCsum(j)
				c.Free(j)
			}
		}
		p.CompleteCsum(i)
		c.Free(i)
		if after := p.Available() + len(c.stack); after != before {
			t.Errorf("%d frames free before, %d after", before, after)
		}
	})
}
