package vnet

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/netdev/packet"
)

func newCache(t testing.TB) *packet.Cache {
	t.Helper()
	p, err := packet.NewPool(128)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p.NewCache(8)
}

// fill writes header and data where the kernel would.
func fill(s *Slot, p *packet.Pool, hdr, data []byte) int {
	copy(s.hdr[:], hdr)
	n := copy(p.Frame(s.frames[0])[packet.Headroom:], data)
	for k := 1; n < len(data); k++ {
		n += copy(p.Frame(s.frames[k]), data[n:])
	}
	return HdrSize + len(data)
}

func TestSlot(t *testing.T) {
	c := newCache(t)
	before := c.Pool().Available()
	s := &NewSlots(1)[0]
	for _, size := range []int{14, 3840, 3841, 65550} {
		if !s.Fill(c) {
			t.Fatal("no memory")
		}
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i * 7)
		}
		i := s.Take(c.Pool(), fill(s, c.Pool(), make([]byte, HdrSize), data))
		if i == 0 || !bytes.Equal(c.Pool().AppendBytes(nil, i), data) {
			t.Errorf("a packet of %d bytes differs", size)
		}
		c.Free(i)
	}
	if i := s.Take(c.Pool(), HdrSize+13); i != 0 {
		t.Error("13 bytes are a packet")
	}
	s.Free(c)
	c.Close()
	if got := c.Pool().Available(); got != before {
		t.Errorf("%d frames lost", before-got)
	}
}

// tcp is a frame whose TCP checksum holds the pseudo header's sum.
func tcp(payload int) []byte {
	b := make([]byte, 54+payload)
	copy(b[12:], []byte{8, 0, 0x45, 0})
	binary.BigEndian.PutUint16(b[16:], uint16(40+payload))
	copy(b[22:], []byte{64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2})
	b[46] = 5 << 4
	binary.BigEndian.PutUint16(b[50:], packet.PseudoSum(b[14:], packet.ProtoTCP, 20+payload))
	return b
}

func hdr(flags, gso uint8, hdrLen, size, start, offset uint16) []byte {
	b := []byte{flags, gso, 0, 0, 0, 0, 0, 0, 0, 0}
	for i, v := range []uint16{hdrLen, size, start, offset} {
		binary.NativeEndian.PutUint16(b[2+2*i:], v)
	}
	return b
}

func TestHeaderRoundTrip(t *testing.T) {
	const needsCsum = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
	for _, want := range [][]byte{
		hdr(0, 0, 0, 0, 0, 0),
		hdr(needsCsum, 0, 0, 0, 34, 16),
		hdr(needsCsum, packet.GSOTCPv4, 54, 1448, 34, 16),
	} {
		c := newCache(t)
		i := c.New(tcp(3000))
		h := [HdrSize]byte(want)
		decode(c.Pool(), i, &h)
		encode(c.Pool(), i, &h)
		if !bytes.Equal(h[:], want) {
			t.Errorf("header %x, want %x", h, want)
		}
	}
}

// TestInnerChecksum completes a checksum that the switch does not see.
func TestInnerChecksum(t *testing.T) {
	c := newCache(t)
	i := c.New(tcp(100))
	h := [HdrSize]byte(hdr(unix.VIRTIO_NET_HDR_F_NEEDS_CSUM, 0, 0, 0, 60, 6))
	decode(c.Pool(), i, &h)
	if m := c.Pool().Meta(i); m.Csum == packet.CsumPartial {
		t.Error("the outer checksum is marked partial")
	}
}

func TestInsertVLAN(t *testing.T) {
	c := newCache(t)
	i := c.New([]byte("ddddddssssss\x08\x00rest"))
	if !InsertVLAN(c.Pool(), i, 0x8100, 0x6005) {
		t.Fatal("no room")
	}
	if got := string(c.Pool().Data(i)); got != "ddddddssssss\x81\x00\x60\x05\x08\x00rest" {
		t.Errorf("%q", got)
	}
}

// FuzzPacket hands any header and packet through, as a guest or container could
// make them.
func FuzzPacket(f *testing.F) {
	f.Add(hdr(1, 1, 54, 1448, 34, 16), tcp(3000))
	f.Add(hdr(1, 0, 0, 0, 0xffff, 0xffff), tcp(0))
	f.Add(hdr(0, 5, 1, 1, 1, 1), []byte("short"))
	p, err := packet.NewPool(256)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header, data []byte) {
		if len(data) > 65550 {
			return
		}
		c := p.NewCache(8)
		defer c.Close()
		s := &NewSlots(1)[0]
		if !s.Fill(c) {
			t.Fatal("no memory")
		}
		defer s.Free(c)
		i := s.Take(p, fill(s, p, header, data))
		if i == 0 {
			return
		}
		defer c.Free(i)
		var h [HdrSize]byte
		encode(p, i, &h)
		if h[offFlags]&unix.VIRTIO_NET_HDR_F_NEEDS_CSUM == 0 {
			return
		}
		start, offset := binary.NativeEndian.Uint16(h[offCsumStart:]), binary.NativeEndian.Uint16(h[offCsumOffset:])
		if int(start)+int(offset)+2 > len(data) {
			t.Errorf("checksum at %d+%d of a packet of %d bytes", start, offset, len(data))
		}
	})
}

// FuzzVLAN parses any control message.
func FuzzVLAN(f *testing.F) {
	f.Add(make([]byte, controlSize))
	f.Fuzz(func(_ *testing.T, control []byte) { vlanOf(control) })
}
