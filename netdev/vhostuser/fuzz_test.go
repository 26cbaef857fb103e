package vhostuser

import (
	"testing"

	"golang.org/x/sys/unix"

	"sluice/netdev/packet"
)

// FuzzMessages feeds a session messages: request, flags, kinds of descriptors and
// size, one byte each, then the payload.
func FuzzMessages(f *testing.F) {
	add := func(msgs ...[]byte) {
		var all []byte
		for _, m := range msgs {
			all = append(all, m...)
		}
		f.Add(all)
	}
	m := func(req request, fds byte, payload []byte) []byte {
		return append([]byte{byte(req), flagNeedReply, fds, byte(len(payload))}, payload...)
	}
	table := append(state(1, 0), words(guestBase, 1<<20, userBase, 0)...)
	addr := append(state(1, 0), words(userBase, userBase+0x2000, userBase+0x1000, 0)...)
	add(m(reqGetFeatures, 0, nil), m(reqSetProtocolFeatures, 0, words(offeredProto)), m(reqSetFeatures, 0, words(allFeatures)),
		m(reqSetMemTable, 1, table), m(reqSetVringNum, 0, state(1, 16)), m(reqSetVringBase, 0, state(1, 0)), m(reqSetVringAddr, 0, addr),
		m(reqSetVringKick, 2, words(1)), m(reqSetVringCall, 2, words(1)), m(reqSetVringEnable, 0, state(1, 1)), m(reqGetVringBase, 0, state(1, 0)))
	add(m(reqSetFeatures, 0, words(allFeatures|featPacked)), m(reqAddMemReg, 1, words(0, 0, 4096, 0, 0)), m(reqRemMemReg, 0, words(0, 0, 4096, 0, 0)),
		m(reqSetStatus, 0, words(0)), m(reqResetOwner, 0, nil), m(reqNetSetMTU, 0, words(9000)), m(reqSendRARP, 0, words(1)))
	memfd, err := unix.MemfdCreate("fuzz", unix.MFD_CLOEXEC)
	if err != nil {
		f.Fatal(err)
	}
	unix.Ftruncate(memfd, 1<<20)
	event, _ := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	pool, err := packet.NewPool(64)
	if err != nil {
		f.Fatal(err)
	}
	cache := pool.NewCache(8)
	f.Fuzz(func(t *testing.T, in []byte) {
		dev, err := open("fuzz", "vhostuserclient", true)
		if err != nil {
			t.Fatal(err)
		}
		d := dev.(*Device)
		defer d.Close(false)
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		front := &front{sock: pair[0]}
		// Nobody reads the replies: no more messages than fit in the socket's buffer.
		for n := 0; n < 64 && len(in) >= 4; n++ {
			req, flags, kinds, size := request(in[0]), uint32(in[1]), in[2], min(int(in[3]), len(in)-4)
			var fds []int
			for ; kinds > 0; kinds >>= 2 {
				switch kinds & 3 {
				case 1:
					fds = append(fds, memfd)
				case 2:
					fds = append(fds, event)
				case 3:
					fds = append(fds, pair[0])
				}
			}
			front.send(req, flags&^3, in[4:4+size], fds...)
			in = in[4+size:]
		}
		unix.Shutdown(pair[0], unix.SHUT_WR)
		s := &session{d: d, fd: pair[1]}
		var b packet.Batch
		s.serve()
		d.rxqs[0].Recv(cache, &b)
		cache.FreeBatch(&b)
		s.end()
		for _, r := range d.madeRings() {
			if r != nil && (r.running || r.kick >= 0 || r.call >= 0) {
				t.Error("a ring outlives its session")
			}
		}
		unix.Close(pair[0])
	})
}

// FuzzRing mutates the memory of both rings while packets go through them: position,
// value and what to do then.
func FuzzRing(f *testing.F) {
	for _, features := range []byte{0, 1, 2, 3, 4, 7} {
		f.Add(features, []byte{0, 0, 0, 0})
		f.Add(features, []byte{0, 14, 1, 1, 16, 2, 7, 2, 32, 8, 255, 3, 1, 2, 3, 0})
		f.Add(features, []byte{64, 0x10, 0xff, 0xff, 3, 0x20, 4, 0})
	}
	const size = 8
	pool, err := packet.NewPool(256)
	if err != nil {
		f.Fatal(err)
	}
	cache := pool.NewCache(16)
	mem := make([]byte, guestSize)
	kick, _ := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	f.Fuzz(func(t *testing.T, layout byte, in []byte) {
		features := uint64(allFeatures)
		for bit, feature := range []uint64{featPacked, featEventIdx, featMrgRxbuf} {
			if layout>>bit&1 != 0 {
				features ^= feature
			}
		}
		guest := &memory{regions: []*mapping{{region: region{guest: guestBase, size: guestSize, user: userBase}, mem: mem}}}
		clear(mem[:2*ringArea])
		fr := &front{t: t, mem: mem, features: features, rxLen: 2048, rxSegs: 1}
		rings := []*ring{newRing(), newRing()}
		for i, r := range rings {
			q := &vq{mem: mem, off: i * ringArea, size: size, packed: features&featPacked != 0,
				eventIdx: features&featEventIdx != 0, availWrap: true, useWrap: true}
			fr.q = append(fr.q, q)
			r.size, r.hasAddr, r.kick = size, true, kick
			r.addr = vringAddr{0, userBase + uint64(q.off), userBase + uint64(q.usedOff()), userBase + uint64(q.availOff())}
			if err := r.start(guest, features, true); err != nil || !r.running {
				t.Fatalf("ring does not start: %v", err)
			}
		}
		cache.Close()
		free := pool.Available()
		ch := newChain()
		chains := []chain{newChain(), newChain(), newChain(), newChain()}
		var b packet.Batch
		for len(in) >= 4 {
			off := int(in[0]) | int(in[1]&1)<<8
			switch in[3] & 3 {
			case 0:
				fr.transmit(0, append(make([]byte, 12), frame(int(in[2])+14, 0)...), int(in[2])+1, in[1]&2 != 0)
			case 1:
				fr.post(0, 1, in[1]&2 != 0)
			}
			mem[off+int(in[1]>>7)*ringArea] = in[2]
			in = in[4:]
			if _, err := rings[1].recv(cache, &b, &ch); err != nil {
				break
			}
			if _, err := rings[0].send(pool, &b, 0, chains, 1<<16); err != nil {
				break
			}
			cache.FreeBatch(&b)
		}
		cache.FreeBatch(&b)
		cache.Close()
		if got := pool.Available(); got != free {
			t.Fatalf("%d frames are left of %d", got, free)
		}
	})
}
