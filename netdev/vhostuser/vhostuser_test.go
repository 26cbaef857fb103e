package vhostuser

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/netdev/packet"
)

// frame is an Ethernet frame of n bytes with a pattern in it.
func frame(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + seed)
	}
	copy(b[12:], "\x88\xb5")
	return b
}

// tcp4 is a TCP segment with a partial checksum and n bytes of payload.
func tcp4(n int) []byte {
	b := make([]byte, 14+20+20+n)
	copy(b[12:], "\x08\x00\x45\x00")
	binary.BigEndian.PutUint16(b[16:], uint16(len(b)-14))
	b[22], b[23] = 64, 6
	copy(b[26:], "\x0a\x00\x00\x01\x0a\x00\x00\x02")
	binary.BigEndian.PutUint16(b[24:], packet.Checksum(b[14:34]))
	b[46] = 5 << 4
	binary.BigEndian.PutUint16(b[50:], packet.PseudoSum(b[14:], 6, 20+n))
	for i := range n {
		b[54+i] = byte(i)
	}
	return b
}

func layouts() map[string]uint64 {
	return map[string]uint64{
		"split":           allFeatures,
		"split, events":   allFeatures | featEventIdx,
		"packed":          allFeatures | featPacked,
		"packed, events":  allFeatures | featPacked | featEventIdx,
		"split, legacy":   featProtocol,
		"split, in order": allFeatures | featInOrder,
		"not mergeable":   allFeatures &^ featMrgRxbuf,
	}
}

func TestRoundTrip(t *testing.T) {
	for name, features := range layouts() {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			f.setup(features, 1, 16)
			free := f.available()
			// Several times around the ring.
			for round := range 50 {
				indirect := features&featIndirect != 0 && round%2 == 1
				var want [][]byte
				for k := range 4 {
					p := frame(60+round*20+k, round)
					want = append(want, p)
					f.transmit(0, append(make([]byte, f.hdrLen()), p...), 500, indirect)
				}
				b := f.take(0)
				if b.N != len(want) {
					t.Fatalf("round %d: %d packets, want %d", round, b.N, len(want))
				}
				for k, i := range b.Slice() {
					if got := f.pool.AppendBytes(nil, i); !bytes.Equal(got, want[k]) {
						t.Fatalf("round %d: packet %d is\n%x, want\n%x", round, k, got, want[k])
					}
					if _, ok := f.q[1].done(); !ok {
						t.Fatalf("round %d: chain %d is not given back", round, k)
					}
				}
				// And back.
				first := f.rxPos
				f.post(0, len(want), indirect)
				f.d.txqs[0].Send(f.cache, b)
				for k := range want {
					if _, got := f.receive(0, (first+k)%64); !bytes.Equal(got, want[k]) {
						t.Fatalf("round %d: guest received\n%x, want\n%x", round, got, want[k])
					}
				}
			}
			if got := f.available(); got != free {
				t.Errorf("%d frames are left of %d", got, free)
			}
			s := f.d.Stats()
			if s.RxPackets != 200 || s.TxPackets != 200 || s.RxBytes != s.TxBytes || s.TxDropped != 0 || s.RxErrors != 0 {
				t.Errorf("statistics: %+v", s)
			}
		})
	}
}

// available is how many frames are free, in the pool and the cache.
func (f *front) available() int {
	f.cache.Close()
	return f.pool.Available()
}

func TestMergeable(t *testing.T) {
	for _, features := range []uint64{allFeatures, allFeatures | featPacked} {
		f := newFront(t)
		f.rxLen, f.rxSegs = 1024, 2
		f.setup(features, 1, 64)
		f.d.SetMTU(9000)
		p := frame(5000, 3)
		f.post(0, 8, false)
		f.give(0, p, frame(60, 4))
		hdr, got := f.receive(0, 0)
		if !bytes.Equal(got, p) || le.Uint16(hdr[10:]) != 5 {
			t.Errorf("%d bytes over %d buffers", len(got), le.Uint16(hdr[10:]))
		}
		if _, got := f.receive(0, 5); !bytes.Equal(got, frame(60, 4)) {
			t.Errorf("packet behind it: %x", got)
		}
		// Two buffers are too few for the next one, and stay for a small one.
		f.give(0, p)
		f.give(0, frame(70, 5))
		if _, got := f.receive(0, 6); !bytes.Equal(got, frame(70, 5)) {
			t.Errorf("packet after a drop: %x", got)
		}
		if s := f.d.Stats(); s.TxDropped != 1 || s.TxPackets != 3 {
			t.Errorf("statistics: %+v", s)
		}
	}
}

func TestBufferTooSmall(t *testing.T) {
	f := newFront(t)
	f.rxLen = 256
	f.setup(allFeatures&^featMrgRxbuf, 1, 16)
	f.post(0, 4, false)
	f.give(0, frame(60, 1), frame(1000, 2), frame(60, 3))
	for k, seed := range []int{1, 3} {
		if _, got := f.receive(0, k); !bytes.Equal(got, frame(60, seed)) {
			t.Errorf("packet %d: %x", k, got)
		}
	}
	if s := f.d.Stats(); s.TxDropped != 1 {
		t.Errorf("statistics: %+v", s)
	}
}

// A large packet of one guest stays one for a guest that takes it, and is segmented
// and gets checksums for one that does not.
func TestOffloadsAreCarried(t *testing.T) {
	big := tcp4(4000)
	hdr := []byte{unix.VIRTIO_NET_HDR_F_NEEDS_CSUM, packet.GSOTCPv4, 54, 0, 0xe8, 3, 34, 0, 16, 0, 0, 0}
	f := newFront(t)
	f.rxLen = 8192
	f.setup(allFeatures, 1, 16)
	f.post(0, 2, false)
	f.transmit(0, append(hdr, big...), 4096, true)
	b := f.take(0)
	if b.N != 1 {
		t.Fatalf("%d packets", b.N)
	}
	if m := f.pool.Meta(b.Pkts[0]); m.Csum != packet.CsumPartial || m.GSOType != packet.GSOTCPv4 || m.GSOSize != 1000 {
		t.Errorf("metadata: %+v", m)
	}
	copyOf := f.cache.Clone(b.Pkts[0])
	f.d.txqs[0].Send(f.cache, b)
	got, data := f.receive(0, 0)
	if !bytes.Equal(got[:10], hdr[:10]) || !bytes.Equal(data, big) {
		t.Errorf("header %x, want %x", got, hdr)
	}

	plain := newFront(t)
	plain.setup(allFeatures&^(featGuestCSUM|featGuestTSO4|featGuestTSO6), 1, 16)
	plain.post(0, 6, false)
	var out packet.Batch
	out.Add(plain.cache.New(f.pool.AppendBytes(nil, copyOf)))
	m := plain.pool.Meta(out.Pkts[0])
	m.Csum, m.GSOType, m.GSOSize = packet.CsumPartial, packet.GSOTCPv4, 1000
	plain.d.txqs[0].Send(plain.cache, &out)
	for k := range 4 {
		h, data := plain.receive(0, k)
		if h[0] != 0 || h[1] != 0 || len(data) != 1054 {
			t.Fatalf("segment %d: header %x, %d bytes", k, h, len(data))
		}
		i := plain.cache.New(data)
		if !plain.pool.CsumOK(i) {
			t.Errorf("segment %d has a wrong checksum", k)
		}
	}
}

// What was not negotiated, or makes no sense, is not believed.
func TestHeadersAreChecked(t *testing.T) {
	for _, c := range []struct {
		name     string
		features uint64
		hdr      []byte
		ok       bool
		csum     packet.Csum
	}{
		{"nothing", allFeatures, []byte{0, 0}, true, packet.CsumUnknown},
		{"checksum", allFeatures, []byte{1, 0, 0, 0, 0, 0, 34, 0, 16, 0}, true, packet.CsumPartial},
		{"checksum behind the end", allFeatures, []byte{1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, true, packet.CsumUnknown},
		{"valid", allFeatures, []byte{2, 0}, true, packet.CsumUnknown},
		{"not negotiated", allFeatures &^ featCSUM, []byte{1, 1, 0, 0, 0, 1, 34, 0, 16, 0}, true, packet.CsumUnknown},
		{"no segment size", allFeatures, []byte{1, 1, 0, 0, 0, 0, 34, 0, 16, 0}, false, 0},
		{"no checksum", allFeatures, []byte{0, 1, 0, 0, 0, 1, 34, 0, 16, 0}, false, 0},
		{"UDP fragments", allFeatures, []byte{1, 3, 0, 0, 0, 1, 34, 0, 16, 0}, false, 0},
		{"ECN", allFeatures, []byte{1, 0x81, 0, 0, 0, 1, 34, 0, 16, 0}, false, 0},
		{"unknown", allFeatures, []byte{1, 77, 0, 0, 0, 1, 34, 0, 16, 0}, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFront(t)
			f.setup(c.features, 1, 16)
			f.transmit(0, append(append(c.hdr, make([]byte, 12-len(c.hdr))...), tcp4(10)...), 4096, false)
			b := f.take(0)
			if (b.N == 1) != c.ok {
				t.Fatalf("%d packets", b.N)
			}
			if c.ok && f.pool.Meta(b.Pkts[0]).Csum != c.csum {
				t.Errorf("checksum is %d, want %d", f.pool.Meta(b.Pkts[0]).Csum, c.csum)
			}
			if s := f.d.Stats(); c.ok == (s.RxErrors != 0) {
				t.Errorf("statistics: %+v", s)
			}
		})
	}
}

func pending(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, _ := unix.Poll(fds, 0)
	return n == 1
}

// While packets flow nobody kicks or interrupts; an idle queue asks for kicks, and its
// descriptor tells of them.
func TestSuppression(t *testing.T) {
	for name, features := range layouts() {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			f.setup(features, 1, 16)
			wants := func() bool {
				q := f.q[1]
				switch {
				case q.packed:
					return le.Uint16(f.mem[q.usedOff()+2:]) != eventNone
				case q.eventIdx:
					return le.Uint16(f.mem[q.usedOff()+4+8*int(q.size):]) == q.avail
				}
				return le.Uint16(f.mem[q.usedOff():]) != noNotify
			}
			send := func() { f.transmit(0, make([]byte, f.hdrLen()+60), 4096, false) }
			if !wants() {
				t.Error("a new ring does not want kicks")
			}
			send()
			b := f.take(0)
			f.cache.FreeBatch(b)
			if wants() {
				t.Error("a busy ring wants kicks")
			}
			for range idleBeforeArm {
				f.take(0)
			}
			if !wants() {
				t.Error("an idle ring wants no kicks")
			}
			ep := f.d.rxqs[0].Fd()
			if pending(ep) {
				t.Error("the queue is ready")
			}
			send()
			signal(f.kick[1])
			if !pending(ep) || !f.d.rxqs[0].Ready() {
				t.Error("the queue is not ready after a kick")
			}
			f.cache.FreeBatch(f.take(0))
			// A kick without packets is forgotten.
			signal(f.kick[1])
			for range idleBeforeArm + idleDrain {
				f.take(0)
			}
			if pending(ep) {
				t.Error("a kick without packets is still there")
			}
			f.interrupts()
		})
	}
}

// interrupts checks the other direction.
func (f *front) interrupts() {
	f.t.Helper()
	var b [8]byte
	unix.Read(f.call[0], b[:])
	q := f.q[0]
	quiet := func(on bool) {
		switch {
		case q.packed && on:
			store16(f.mem, q.availOff()+2, eventNone)
		case q.packed:
			store16(f.mem, q.availOff()+2, eventEnable)
		case q.eventIdx && on:
			store16(f.mem, q.availOff()+4+2*int(q.size), q.used-1)
		case q.eventIdx:
			store16(f.mem, q.availOff()+4+2*int(q.size), q.used)
		case on:
			store16(f.mem, q.availOff(), noInterrupt)
		default:
			store16(f.mem, q.availOff(), 0)
		}
	}
	for round := range 20 {
		on := round%2 == 0
		if round == 0 && q.eventIdx {
			continue // the first use always interrupts
		}
		quiet(on)
		f.post(0, 1, false)
		f.give(0, frame(60, round))
		if pending(f.call[0]) == on {
			f.t.Fatalf("round %d: interrupt %v, want %v", round, !on, on)
		}
		unix.Read(f.call[0], b[:])
		q.done()
	}
}

// GET_VRING_BASE stops a ring at a position at which SET_VRING_BASE goes on, with
// chains waiting.
func TestStopAndGoOn(t *testing.T) {
	for name, features := range layouts() {
		t.Run(name, func(t *testing.T) {
			f := newFront(t)
			f.setup(features, 1, 8)
			for round := range 30 {
				f.transmit(0, append(make([]byte, f.hdrLen()), frame(60, round)...), 40, false)
				if round%10 == 9 {
					f.positions = nil
					for i := range 2 {
						f.send(reqGetVringBase, 0, state(uint32(i), 0))
						_, b := f.recv()
						f.positions = append(f.positions, le.Uint32(b[4:]))
					}
					f.await("link down", func() bool { return !f.d.Carrier() })
					f.ring(0, 8)
					f.ring(1, 8)
					f.await("link up", f.d.Carrier)
				}
				b := f.take(0)
				if b.N != 1 || !bytes.Equal(f.pool.AppendBytes(nil, b.Pkts[0]), frame(60, round)) {
					t.Fatalf("round %d: %d packets", round, b.N)
				}
				f.q[1].done()
				f.cache.FreeBatch(b)
			}
		})
	}
}

// Packets cost no allocations.
func TestAllocations(t *testing.T) {
	for name, features := range layouts() {
		f := newFront(t)
		f.setup(features, 1, 64)
		data := append(make([]byte, f.hdrLen()), frame(100, 0)...)
		copy(f.mem[buffers:], data)
		var b packet.Batch
		n := testing.AllocsPerRun(100, func() {
			for range 8 {
				f.q[1].add(false, false, piece{guestBase + buffers, uint32(len(data))})
				f.q[0].add(true, false, piece{guestBase + 0x300000, 2048})
			}
			b.Reset()
			if n, err := f.d.rxqs[0].Recv(f.cache, &b); n != 8 || err != nil {
				t.Fatalf("%d packets, %v", n, err)
			}
			f.d.txqs[0].Send(f.cache, &b)
			for range 8 {
				f.q[0].done()
				f.q[1].done()
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if s := f.d.Stats(); s.TxDropped != 0 {
			t.Errorf("%s: %d dropped", name, s.TxDropped)
		}
	}
}

// Both directions of a batch of small packets, with the guest's part in it.
func BenchmarkBatch(b *testing.B) {
	for _, layout := range []string{"split", "packed"} {
		b.Run(layout, func(b *testing.B) {
			f := newFront(b)
			f.setup(layouts()[layout], 1, 256)
			data := append(make([]byte, f.hdrLen()), frame(60, 0)...)
			copy(f.mem[buffers:], data)
			var batch packet.Batch
			for b.Loop() {
				for range packet.BatchSize {
					f.q[1].add(false, false, piece{guestBase + buffers, uint32(len(data))})
					f.q[0].add(true, false, piece{guestBase + 0x300000, 2048})
				}
				f.d.rxqs[0].Recv(f.cache, &batch)
				f.d.txqs[0].Send(f.cache, &batch)
				for range packet.BatchSize {
					f.q[0].done()
					f.q[1].done()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/packet.BatchSize, "ns/packet")
		})
	}
}
