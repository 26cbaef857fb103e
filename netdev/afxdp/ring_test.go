package afxdp

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"sluice/netdev/packet"
)

// The tests of this file need no kernel: a fakeKernel works on the other side of
// rings in ordinary memory.

var fakeOffsets = unix.XDPRingOffset{Producer: 0, Consumer: 64, Flags: 128, Desc: 192}

func addrRings(size uint32) (ours, theirs addrRing) {
	mem := make([]byte, 192+8*size)
	ours.init(mem, &fakeOffsets, size)
	theirs.init(mem, &fakeOffsets, size)
	return ours, theirs
}

func descRings(size uint32) (ours, theirs descRing) {
	mem := make([]byte, 192+16*size)
	ours.init(mem, &fakeOffsets, size)
	theirs.init(mem, &fakeOffsets, size)
	return ours, theirs
}

// TestRing compares a ring with a slice.
func TestRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 8
		ours, theirs := addrRings(size)
		var model []uint64
		next := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"produce": func(t *rapid.T) {
				want := rapid.Uint32Range(0, 2*size).Draw(t, "want")
				n := ours.room(want)
				if n != min(want, uint32(size-len(model))) {
					t.Fatalf("room %d of %d with %d entries", n, want, len(model))
				}
				for range n {
					ours.push(next)
					model = append(model, next)
					next++
				}
				ours.publish()
			},
			"consume": func(t *rapid.T) {
				want := rapid.Uint32Range(0, 2*size).Draw(t, "want")
				n := theirs.ready(want)
				if n != min(want, uint32(len(model))) {
					t.Fatalf("ready %d of %d with %d entries", n, want, len(model))
				}
				for range n {
					if got := theirs.pop(); got != model[0] {
						t.Fatalf("entry %d, want %d", got, model[0])
					}
					model = model[1:]
				}
				theirs.release()
			},
			"": func(t *rapid.T) {
				if got := ours.unsent(); got != uint32(len(model)) {
					t.Fatalf("%d unsent, want %d", got, len(model))
				}
			},
		})
	})
}

// fakeKernel is the kernel's side of a queue.
type fakeKernel struct {
	pool       *packet.Pool
	fill, comp addrRing
	rx, tx     descRing
}

// newQueue makes a queue whose UMEM is the first limit frames of a pool.
func newQueue(t testing.TB, frames, limit int) (*rxQueue, *txQueue, *fakeKernel, *packet.Cache) {
	t.Helper()
	p, err := packet.NewPool(frames)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	k := &fakeKernel{pool: p}
	rx := &rxQueue{pool: p, limit: packet.Index(limit), posted: newFrameSet(limit), target: 16}
	tx := &txQueue{pool: p, limit: packet.Index(limit), posted: newFrameSet(limit), multiBuf: true, txMeta: true}
	rx.fill, k.fill = addrRings(64)
	rx.rx, k.rx = descRings(64)
	tx.comp, k.comp = addrRings(64)
	tx.tx, k.tx = descRings(64)
	return rx, tx, k, p.NewCache(4)
}

// receive has a packet arrive in as many buffers as parts.
func (k *fakeKernel) receive(t testing.TB, parts ...string) {
	t.Helper()
	for n, part := range parts {
		if k.fill.ready(1) == 0 {
			t.Fatal("fill ring is empty")
		}
		addr := k.fill.pop() + packet.Headroom
		k.fill.release()
		copy(k.pool.Mem()[addr:], part)
		d := unix.XDPDesc{Addr: addr, Len: uint32(len(part))}
		if n < len(parts)-1 {
			d.Options = unix.XDP_PKT_CONTD
		}
		k.rx.push(d)
	}
	k.rx.publish()
}

// send takes what is on the transmit ring and completes it.
func (k *fakeKernel) send() []unix.XDPDesc {
	var ds []unix.XDPDesc
	for range k.tx.ready(64) {
		d := k.tx.pop()
		ds = append(ds, d)
		k.comp.push(d.Addr)
	}
	k.tx.release()
	k.comp.publish()
	return ds
}

func recv(t testing.TB, q *rxQueue, c *packet.Cache) []string {
	t.Helper()
	var b packet.Batch
	if _, err := q.Recv(c, &b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range b.Slice() {
		if m := q.pool.Meta(i); int(m.Len) != len(q.pool.AppendBytes(nil, i)) {
			t.Errorf("length %d of a packet of %d bytes", m.Len, len(q.pool.AppendBytes(nil, i)))
		}
		got = append(got, string(q.pool.AppendBytes(nil, i)))
	}
	c.FreeBatch(&b)
	return got
}

func TestReceive(t *testing.T) {
	q, _, k, c := newQueue(t, 128, 128)
	before := q.pool.Available()
	recv(t, q, c)
	if q.n != 16 {
		t.Fatalf("%d frames posted", q.n)
	}
	long := strings.Repeat("one single frame ", copyBreak/16)
	k.receive(t, long)
	k.receive(t, "small")
	k.receive(t, "a packet ", "in three ", "buffers")
	got := recv(t, q, c)
	if len(got) != 3 || got[0] != long || got[1] != "small" || got[2] != "a packet in three buffers" {
		t.Errorf("received %q", got)
	}
	if q.n != 16 {
		t.Errorf("%d frames posted", q.n)
	}
	q.freeAll(c)
	c.Close()
	if got := q.pool.Available(); got != before {
		t.Errorf("%d frames lost", before-got)
	}
}

// TestReceiveSmall has the kernel get its frame back with the packet.
func TestReceiveSmall(t *testing.T) {
	q, _, k, c := newQueue(t, 128, 128)
	recv(t, q, c)
	first := packet.Index(k.fill.addrs[k.fill.cons&k.fill.mask] / packet.FrameSize)
	k.receive(t, strings.Repeat("x", copyBreak))
	var b packet.Batch
	if _, err := q.Recv(c, &b); err != nil || b.N != 1 || b.Pkts[0] == first {
		t.Fatalf("%d packets in %v, received in %d, %v", b.N, b.Pkts[:b.N], first, err)
	}
	last := packet.Index(k.fill.addrs[(*k.fill.producer-1)&k.fill.mask] / packet.FrameSize)
	if last != first {
		t.Errorf("frame %d posted, want %d", last, first)
	}
}

// TestGrow posts more frames as bursts come near what is posted, but leaves a quarter
// of the UMEM to others.
func TestGrow(t *testing.T) {
	q, _, k, c := newQueue(t, 256, 64)
	recv(t, q, c)
	burst := func() {
		for range q.n {
			k.receive(t, "x")
		}
		recv(t, q, c)
		for q.rx.ready(1) > 0 {
			recv(t, q, c)
		}
	}
	burst()
	if q.target != 32 || q.n != 32 {
		t.Fatalf("%d of %d frames posted", q.n, q.target)
	}
	burst()
	if q.target != 32 {
		t.Errorf("target %d, and %d frames of %d in use", q.target, q.pool.HighWater(), q.limit)
	}
}

// TestReceiveAcrossBatches has a packet end in a later batch.
func TestReceiveAcrossBatches(t *testing.T) {
	q, _, k, c := newQueue(t, 128, 128)
	recv(t, q, c)
	k.receive(t, "begin ", "end")
	// The kernel publishes both at once; take one back.
	*k.rx.producer--
	if got := recv(t, q, c); len(got) != 0 {
		t.Errorf("received %q", got)
	}
	*k.rx.producer++
	if got := recv(t, q, c); len(got) != 1 || got[0] != "begin end" {
		t.Errorf("received %q", got)
	}
}

// TestReceiveWithoutMemory drops packets rather than starve the fill ring.
func TestReceiveWithoutMemory(t *testing.T) {
	q, _, k, c := newQueue(t, 24, 24)
	recv(t, q, c)
	var held []packet.Index
	for {
		i := c.Alloc()
		if i == 0 {
			break
		}
		held = append(held, i)
	}
	k.receive(t, "lost")
	k.receive(t, "also ", "lost")
	if got := recv(t, q, c); len(got) != 0 || q.dropped.load() == 0 || q.n != 16 {
		t.Errorf("received %q, %d frames posted", got, q.n)
	}
	for _, i := range held {
		c.Free(i)
	}
	k.receive(t, "here")
	if got := recv(t, q, c); len(got) != 1 || got[0] != "here" {
		t.Errorf("received %q", got)
	}
}

// TestReceiveBeyond has the pool own only frames beyond the UMEM.
func TestReceiveBeyond(t *testing.T) {
	q, _, k, c := newQueue(t, 128, 20)
	recv(t, q, c)
	for range 20 {
		c.Alloc()
	}
	moved := strings.Repeat("moved", copyBreak/4)
	k.receive(t, moved)
	var b packet.Batch
	if _, err := q.Recv(c, &b); err != nil || b.N != 1 {
		t.Fatalf("%d packets, %v", b.N, err)
	}
	if i := b.Pkts[0]; i < 20 || string(q.pool.Data(i)) != moved {
		t.Errorf("frame %d: %q", i, q.pool.Data(i))
	}
	if q.n != 16 || k.fill.ready(64) != 16 {
		t.Errorf("%d frames posted", q.n)
	}
}

func TestBurstsRaiseTheTarget(t *testing.T) {
	q, _, k, c := newQueue(t, 256, 256)
	recv(t, q, c)
	for range 12 {
		k.receive(t, "packet")
	}
	recv(t, q, c)
	recv(t, q, c)
	if q.target != 32 || q.n != 32 {
		t.Errorf("target %d, %d frames posted", q.target, q.n)
	}
}

// tcp is an Ethernet frame with a TCP segment whose checksum is partial.
func tcp(payload int) []byte {
	b := make([]byte, 54+payload)
	copy(b[12:], []byte{8, 0, 0x45, 0})
	binary.BigEndian.PutUint16(b[16:], uint16(40+payload))
	copy(b[22:], []byte{64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2})
	b[46] = 5 << 4
	binary.BigEndian.PutUint16(b[50:], packet.PseudoSum(b[14:], packet.ProtoTCP, 20+payload))
	return b
}

func TestPartialChecksumThroughMetadata(t *testing.T) {
	for _, meta := range []bool{true, false} {
		rx, tx, k, c := newQueue(t, 128, 128)
		tx.txMeta = meta
		recv(t, rx, c)
		k.receive(t, string(tcp(100)))
		var b packet.Batch
		if _, err := rx.Recv(c, &b); err != nil || b.N != 1 {
			t.Fatalf("%d packets, %v", b.N, err)
		}
		i := b.Pkts[0]
		if tx.pool.Meta(i).Csum != packet.CsumPartial {
			t.Fatal("a pseudo header's sum is not seen")
		}
		tx.Send(c, &b)
		ds := k.send()
		if len(ds) != 1 || ds[0].Len != 154 {
			t.Fatalf("descriptors %+v", ds)
		}
		md := tx.pool.Mem()[ds[0].Addr-txMetaSize:]
		told := ds[0].Options == unix.XDP_TX_METADATA &&
			binary.NativeEndian.Uint64(md) == unix.XDP_TXMD_FLAGS_CHECKSUM &&
			binary.NativeEndian.Uint16(md[8:]) == 34 && binary.NativeEndian.Uint16(md[10:]) == 16
		if told != meta {
			t.Errorf("metadata %v, options %#x", told, ds[0].Options)
		}
		tx.pool.Meta(i).Csum = packet.CsumUnknown
		if ok := tx.pool.CsumOK(i); ok == meta {
			t.Errorf("checksum finished in software: %v", ok)
		}
	}
}

func TestSendChains(t *testing.T) {
	_, q, k, c := newQueue(t, 256, 256)
	before := q.pool.Available()
	data := make([]byte, 10000)
	for i := range data {
		data[i] = byte(i)
	}
	send := func() []unix.XDPDesc {
		var b packet.Batch
		b.Add(c.New(data))
		q.Send(c, &b)
		ds := k.send()
		q.complete(c)
		return ds
	}
	ds := send()
	var got []byte
	for n, d := range ds {
		if more := d.Options&unix.XDP_PKT_CONTD != 0; more != (n < len(ds)-1) {
			t.Errorf("descriptor %d: options %#x", n, d.Options)
		}
		got = append(got, q.pool.Mem()[d.Addr:d.Addr+uint64(d.Len)]...)
	}
	if string(got) != string(data) {
		t.Errorf("%d bytes sent differ", len(got))
	}
	q.multiBuf = false
	if ds := send(); len(ds) != 0 || q.dropped.load() != 1 {
		t.Errorf("without multi-buffer %d descriptors, %d dropped", len(ds), q.dropped.load())
	}
	c.Close()
	if got := q.pool.Available(); got != before || q.n != 0 {
		t.Errorf("%d frames lost, %d in the kernel", before-got, q.n)
	}
}

func TestSendSegments(t *testing.T) {
	_, q, k, c := newQueue(t, 256, 256)
	i := c.New(tcp(4000))
	m := q.pool.Meta(i)
	m.Csum, m.GSOType, m.GSOSize = packet.CsumPartial, packet.GSOTCPv4, 1448
	var b packet.Batch
	b.Add(i)
	q.Send(c, &b)
	var lens []uint32
	for _, d := range k.send() {
		lens = append(lens, d.Len)
		if d.Options != unix.XDP_TX_METADATA {
			t.Errorf("options %#x", d.Options)
		}
	}
	if len(lens) != 3 || lens[0] != 54+1448 || lens[1] != 54+1448 || lens[2] != 54+1104 {
		t.Errorf("lengths %v", lens)
	}
}

func TestFullRingDrops(t *testing.T) {
	_, q, k, c := newQueue(t, 256, 256)
	// The fake kernel sends nothing of its own; Flush's kick fails.
	q.fd = -1
	before := q.pool.Available()
	for range 3 {
		var b packet.Batch
		for range packet.BatchSize {
			b.Add(c.New(make([]byte, 60)))
		}
		q.Send(c, &b)
	}
	if q.n != 64 || q.dropped.load() != 32 {
		t.Errorf("%d in the kernel, %d dropped", q.n, q.dropped.load())
	}
	k.send()
	q.Flush(c)
	q.freeAll(c)
	c.Close()
	if got := q.pool.Available(); got != before {
		t.Errorf("%d frames lost", before-got)
	}
}

func TestSendBeyond(t *testing.T) {
	_, q, k, c := newQueue(t, 256, 128)
	q.fillStash(c)
	stash := len(q.stash)
	for c.Alloc() < 128 {
	}
	var b packet.Batch
	b.Add(c.New([]byte("a packet beyond the UMEM")))
	q.Send(c, &b)
	ds := k.send()
	if len(ds) != 1 || ds[0].Addr >= 128*packet.FrameSize {
		t.Fatalf("descriptors %+v", ds)
	}
	if got := q.pool.Mem()[ds[0].Addr:][:24]; string(got) != "a packet beyond the UMEM" {
		t.Errorf("sent %q", got)
	}
	q.complete(c)
	if len(q.stash) != stash {
		t.Errorf("%d frames in the stash, before %d", len(q.stash), stash)
	}
}

func BenchmarkForward(b *testing.B) {
	rx, tx, k, c := newQueue(b, 1024, 1024)
	rx.zerocopy = false
	var batch packet.Batch
	if _, err := rx.Recv(c, &batch); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for n := 0; n < b.N; n += 16 {
		for range 16 {
			k.fill.ready(1)
			k.rx.push(unix.XDPDesc{Addr: k.fill.pop() + packet.Headroom, Len: 60})
		}
		k.fill.release()
		k.rx.publish()
		if _, err := rx.Recv(c, &batch); err != nil {
			b.Fatal(err)
		}
		tx.Send(c, &batch)
		for range k.tx.ready(64) {
			k.comp.push(k.tx.pop().Addr)
		}
		k.tx.release()
		k.comp.publish()
	}
}
