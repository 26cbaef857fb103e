package vhostuser

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/netdev/packet"
)

var le = binary.LittleEndian

// Where a guest's memory is, for itself and for its front end, and what lies where.
const (
	guestBase = 0x100000
	userBase  = 0x7f0000000000
	guestSize = 4 << 20
	ringArea  = 0x10000  // of each ring
	tables    = 0x100000 // indirect tables
	buffers   = 0x200000
)

// vq is a guest's side of a ring.  Chains lie one after the other, since the device
// uses them in order.
type vq struct {
	mem                []byte
	off                int // of the ring in mem
	size               uint16
	packed, eventIdx   bool
	next               uint16 // next free descriptor
	avail, used        uint16 // split: indices; packed: used is a position
	availWrap, useWrap bool
	lens               [1 << 10]uint16 // packed: descriptors of a chain, by id
}

func (q *vq) availOff() int { return q.off + 16*int(q.size) }
func (q *vq) usedOff() int  { return (q.availOff() + 2*int(q.size) + 6 + 63) &^ 63 }

// piece is a buffer: guest address and length.
type piece struct {
	addr uint64
	len  uint32
}

// add makes a chain available.
func (q *vq) add(write bool, indirect bool, ps ...piece) {
	w := uint16(0)
	if write {
		w = descWrite
	}
	if indirect {
		table := tables + q.off/ringArea*0x8000 + int(q.next)*256
		for i, p := range ps {
			flags := w
			if i < len(ps)-1 {
				flags |= descNext
			}
			q.entry(table+16*i, p, flags, uint16(i+1))
		}
		ps = []piece{{guestBase + uint64(table), uint32(16 * len(ps))}}
		w = descIndirect
	}
	if q.packed {
		q.addPacked(w, ps)
		return
	}
	head := q.next
	for i, p := range ps {
		flags := w
		at := q.next
		q.next = (q.next + 1) % q.size
		if i < len(ps)-1 {
			flags |= descNext
		}
		q.entry(q.off+16*int(at), p, flags, q.next)
	}
	le.PutUint16(q.mem[q.availOff()+4+2*int(q.avail%q.size):], head)
	q.avail++
	q.publish()
}

func (q *vq) publish() {
	store16(q.mem, q.availOff()+2, q.avail)
	barrier()
}

// entry writes a descriptor; packed ones have the flags last, split ones next.
func (q *vq) entry(off int, p piece, flags, next uint16) {
	le.PutUint64(q.mem[off:], p.addr)
	le.PutUint32(q.mem[off+8:], p.len)
	if q.packed {
		flags, next = next, flags
	}
	le.PutUint16(q.mem[off+12:], flags)
	store16(q.mem, off+14, next)
}

func (q *vq) addPacked(w uint16, ps []piece) {
	id := q.next
	q.lens[id] = uint16(len(ps))
	type late struct {
		off   int
		flags uint16
	}
	var first late
	for i, p := range ps {
		flags := w
		if i < len(ps)-1 {
			flags |= descNext
		}
		if q.availWrap {
			flags |= descAvail
		} else {
			flags |= descUsed
		}
		off := q.off + 16*int(q.next)
		le.PutUint64(q.mem[off:], p.addr)
		le.PutUint32(q.mem[off+8:], p.len)
		le.PutUint16(q.mem[off+12:], id)
		if i == 0 {
			first = late{off, flags}
		} else {
			le.PutUint16(q.mem[off+14:], flags)
		}
		if q.next++; q.next == q.size {
			q.next, q.availWrap = 0, !q.availWrap
		}
	}
	store16(q.mem, first.off+14, first.flags)
	barrier()
}

// done takes one used chain: how many bytes were written into it.
func (q *vq) done() (n uint32, ok bool) {
	if q.packed {
		off := q.off + 16*int(q.used)
		flags := load16(q.mem, off+14)
		if (flags&descAvail != 0) != q.useWrap || (flags&descUsed != 0) != q.useWrap {
			return 0, false
		}
		q.used += q.lens[le.Uint16(q.mem[off+12:])]
		if q.used >= q.size {
			q.used, q.useWrap = q.used-q.size, !q.useWrap
		}
		return le.Uint32(q.mem[off+8:]), true
	}
	if load16(q.mem, q.usedOff()+2) == q.used {
		return 0, false
	}
	n = le.Uint32(q.mem[q.usedOff()+4+8*int(q.used%q.size)+4:])
	q.used++
	return n, true
}

// front is a front end with a guest in it, and the port that it is connected to.
type front struct {
	t         testing.TB
	d         *Device
	listener  int
	sock      int
	memfd     int
	mem       []byte
	features  uint64
	q         []*vq // by number of the protocol
	kick      []int
	call      []int
	pool      *packet.Pool
	cache     *packet.Cache
	rxPos     int // next receive buffer
	rxLen     int
	rxSegs    int
	positions []uint32 // for SET_VRING_BASE
}

const allFeatures = featVersion1 | featProtocol | featMrgRxbuf | featIndirect | featCSUM | featGuestCSUM |
	featHostTSO4 | featHostTSO6 | featGuestTSO4 | featGuestTSO6 | featMQ

var fronts atomic.Int64

// newFront makes a port that connects to a new front end, which says nothing yet.
func newFront(t testing.TB) *front {
	t.Helper()
	dir, err := os.MkdirTemp("", "vhu")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	f := &front{t: t, rxLen: 2048, rxSegs: 1, sock: -1}
	if f.listener, err = listen(path); err != nil {
		t.Fatal(err)
	}
	dev, err := open(fmt.Sprintf("v%d", fronts.Add(1)), "vhostuserclient", true)
	if err != nil {
		t.Fatal(err)
	}
	f.d = dev.(*Device)
	f.d.retryMs = 5
	if f.memfd, err = unix.MemfdCreate("guest", unix.MFD_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := unix.Ftruncate(f.memfd, guestSize); err != nil {
		t.Fatal(err)
	}
	if f.mem, err = unix.Mmap(f.memfd, 0, guestSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		t.Fatal(err)
	}
	if f.pool, err = packet.NewPool(512); err != nil {
		t.Fatal(err)
	}
	f.cache = f.pool.NewCache(32)
	t.Cleanup(f.close)
	if err := f.d.SetConfig(map[string]string{"vhost-server-path": path}); err != nil {
		t.Fatal(err)
	}
	f.accept()
	return f
}

func (f *front) close() {
	f.d.Close(false)
	unix.Close(f.listener)
	unix.Close(f.sock)
	unix.Close(f.memfd)
	closeAll(f.kick)
	closeAll(f.call)
	unix.Munmap(f.mem)
	f.pool.Close()
}

// limitMs bounds every wait of the tests.
const limitMs = 20000

func (f *front) accept() {
	f.t.Helper()
	if f.sock >= 0 {
		unix.Close(f.sock)
	}
	fds := []unix.PollFd{{Fd: int32(f.listener), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, limitMs)
		if n == 1 {
			break
		}
		if err != unix.EINTR {
			f.t.Fatalf("the switch does not connect (%v)", err)
		}
	}
	fd, _, err := unix.Accept4(f.listener, unix.SOCK_CLOEXEC)
	if err != nil {
		f.t.Fatal(err)
	}
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: limitMs / 1000})
	f.sock = fd
}

// await waits until ok holds, looking again whenever the device says that something
// changed.
func (f *front) await(what string, ok func() bool) {
	f.t.Helper()
	for !ok() {
		fds := []unix.PollFd{{Fd: int32(f.d.changed.Fd()), Events: unix.POLLIN}}
		if n, _ := unix.Poll(fds, limitMs); n == 0 {
			f.t.Fatalf("%s: waited in vain; status %v", what, f.d.Status())
		}
		f.d.Run(0)
	}
}

func words(v ...uint64) (b []byte) {
	for _, x := range v {
		b = le.AppendUint64(b, x)
	}
	return b
}

func state(index, num uint32) []byte { return le.AppendUint32(le.AppendUint32(nil, index), num) }

// send sends a message; errors do not matter to those who expect to be cut off.
func (f *front) send(req request, flags uint32, payload []byte, fds ...int) {
	b := le.AppendUint32(nil, uint32(req))
	b = le.AppendUint32(b, flagVersion|flags)
	b = le.AppendUint32(b, uint32(len(payload)))
	f.raw(append(b, payload...), fds...)
}

func (f *front) raw(b []byte, fds ...int) {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	_, _ = unix.SendmsgN(f.sock, b, oob, nil, unix.MSG_NOSIGNAL)
}

// recv reads a reply, nil at the end of the connection.
func (f *front) recv() (request, []byte) {
	f.t.Helper()
	var hdr [headerSize]byte
	if !f.read(hdr[:]) {
		return 0, nil
	}
	b := make([]byte, le.Uint32(hdr[8:]))
	f.read(b)
	if le.Uint32(hdr[4:]) != flagVersion|flagReply {
		f.t.Fatalf("flags of a reply: %#x", hdr[4])
	}
	return request(le.Uint32(hdr[:])), b
}

func (f *front) read(b []byte) bool {
	f.t.Helper()
	for len(b) > 0 {
		n, err := unix.Read(f.sock, b)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			f.t.Fatal("the switch says nothing")
		case err != nil || n == 0:
			return false
		}
		b = b[n:]
	}
	return true
}

// ask sends a request that has a reply of 64 bits.
func (f *front) ask(req request, flags uint32, payload []byte, fds ...int) uint64 {
	f.t.Helper()
	f.send(req, flags, payload, fds...)
	got, b := f.recv()
	if got != req || len(b) != 8 {
		f.t.Fatalf("reply %d to request %d: %x", got, req, b)
	}
	return le.Uint64(b)
}

func (f *front) table() []byte {
	return append(state(1, 0), words(guestBase, guestSize, userBase, 0)...)
}

// hello negotiates.
func (f *front) hello(features uint64) {
	f.t.Helper()
	f.features = features
	if got := f.ask(reqGetFeatures, 0, nil); features&^got != 0 {
		f.t.Fatalf("features %#x are not offered", features&^got)
	}
	f.send(reqSetOwner, 0, nil)
	f.ask(reqGetProtocolFeatures, 0, nil)
	f.send(reqSetProtocolFeatures, 0, words(offeredProto))
	f.send(reqSetFeatures, 0, words(features))
	if r := f.ask(reqSetMemTable, flagNeedReply, f.table(), f.memfd); r != 0 {
		f.t.Fatal("SET_MEM_TABLE fails")
	}
}

// setup makes all pairs of rings ready and waits for the link.
func (f *front) setup(features uint64, pairs int, size uint16) {
	f.t.Helper()
	f.hello(features)
	for i := range 2 * pairs {
		f.ring(i, size)
	}
	f.await("link up", f.d.Carrier)
}

// ring makes one ring ready.
func (f *front) ring(i int, size uint16) {
	f.t.Helper()
	for len(f.q) <= i {
		f.q, f.kick, f.call = append(f.q, nil), append(f.kick, -1), append(f.call, -1)
	}
	if f.q[i] == nil {
		f.q[i] = &vq{mem: f.mem, off: i * ringArea, size: size, packed: f.features&featPacked != 0,
			eventIdx: f.features&featEventIdx != 0, availWrap: true, useWrap: true}
		f.kick[i], _ = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		f.call[i], _ = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	base := uint32(0)
	if f.features&featPacked != 0 {
		base = 0x80008000
	}
	if len(f.positions) > i {
		base = f.positions[i]
	}
	n := uint32(i)
	f.send(reqSetVringNum, 0, state(n, uint32(size)))
	f.send(reqSetVringBase, 0, state(n, base))
	f.send(reqSetVringAddr, 0, f.addr(i))
	f.send(reqSetVringKick, 0, words(uint64(i)), f.kick[i])
	f.send(reqSetVringCall, 0, words(uint64(i)), f.call[i])
	if r := f.ask(reqSetVringEnable, flagNeedReply, state(n, 1)); r != 0 {
		f.t.Fatal("SET_VRING_ENABLE fails")
	}
}

func (f *front) addr(i int) []byte {
	q := f.q[i]
	return append(state(uint32(i), 0), words(userBase+uint64(q.off), userBase+uint64(q.usedOff()), userBase+uint64(q.availOff()), 0)...)
}

func (f *front) hdrLen() int {
	if f.features&(featMrgRxbuf|featVersion1) != 0 {
		return 12
	}
	return 10
}

// transmit has the guest send a packet, with its header, in pieces of at most size
// bytes.
func (f *front) transmit(pair int, data []byte, size int, indirect bool) {
	q := f.q[2*pair+1]
	base := buffers + int(q.next)*0x1000
	copy(f.mem[base:], data)
	var ps []piece
	for at := 0; at < len(data); at += size {
		ps = append(ps, piece{uint64(guestBase + base + at), uint32(min(size, len(data)-at))})
	}
	q.add(false, indirect, ps...)
}

// post gives the guest's receive ring n buffers.
func (f *front) post(pair, n int, indirect bool) {
	q := f.q[2*pair]
	for range n {
		base := uint64(guestBase + 0x300000 + f.rxPos*f.rxLen)
		f.rxPos = (f.rxPos + 1) % 64
		var ps []piece
		for k := range f.rxSegs {
			part := f.rxLen / f.rxSegs
			ps = append(ps, piece{base + uint64(k*part), uint32(part)})
		}
		q.add(true, indirect, ps...)
	}
}

// receive takes what the guest received: the header of the first buffer, and the
// packet.
func (f *front) receive(pair int, first int) (hdr, data []byte) {
	f.t.Helper()
	left := 1
	for at := first; left > 0; left-- {
		n, ok := f.q[2*pair].done()
		if !ok {
			f.t.Fatal("the guest received nothing")
		}
		b := f.mem[0x300000+at*f.rxLen:][:n]
		if hdr == nil {
			hdr, b = b[:f.hdrLen()], b[f.hdrLen():]
			if f.hdrLen() == 12 {
				left = int(le.Uint16(hdr[10:]))
			}
		}
		data = append(data, b...)
		at = (at + 1) % 64
	}
	return hdr, data
}

// take lets the switch receive from queue n of the port.
func (f *front) take(n int) *packet.Batch {
	f.t.Helper()
	var b packet.Batch
	if _, err := f.d.rxqs[n].Recv(f.cache, &b); err != nil {
		f.t.Fatal(err)
	}
	return &b
}

// give lets the switch send packets to the guest.
func (f *front) give(n int, packets ...[]byte) {
	f.t.Helper()
	var b packet.Batch
	for _, p := range packets {
		b.Add(f.cache.New(p))
	}
	f.d.txqs[n].Send(f.cache, &b)
}
