package vhostuser

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// hostile is what a front end or its guest does wrong, and what the switch says.
type hostile struct {
	name string
	do   func(f *front)
	want string // "": the connection stays
}

// beforeSetup are wrong messages.
var beforeSetup = []hostile{
	{"unknown request", func(f *front) { f.send(99, 0, nil) }, "unknown request 99"},
	{"request 0", func(f *front) { f.send(0, flagNeedReply, nil) }, "unknown request 0"},
	{"version 0", func(f *front) { f.raw(append(state(1, 0), 0, 0, 0, 0)) }, "version 0"},
	{"version 3", func(f *front) { f.raw(append(state(1, 3), 0, 0, 0, 0)) }, "version 3"},
	{"a reply", func(f *front) { f.send(reqGetFeatures, flagReply, nil) }, "unexpected reply"},
	{"oversized", func(f *front) { f.raw(le.AppendUint32(state(1, 1), maxPayload+1)) }, "payload of"},
	{"4 GiB payload", func(f *front) { f.raw(le.AppendUint32(state(1, 1), 0xffffffff)) }, "payload of"},
	{"short SET_FEATURES", func(f *front) { f.send(reqSetFeatures, 0, make([]byte, 7)) }, "with 7 bytes"},
	{"short SET_VRING_ADDR", func(f *front) { f.send(reqSetVringAddr, 0, make([]byte, 39)) }, "with 39 bytes"},
	{"features not offered", func(f *front) { f.send(reqSetFeatures, 0, words(1<<62)) }, "not offered"},
	{"protocol features not offered", func(f *front) { f.send(reqSetProtocolFeatures, 0, words(1<<62)) }, "not offered"},
	{"descriptor beside GET_FEATURES", func(f *front) { f.send(reqGetFeatures, 0, nil, f.memfd) }, "with 1 descriptors"},
	{"kick without descriptor", func(f *front) { f.send(reqSetVringKick, 0, words(0)) }, "with 0 descriptors"},
	{"two kicks", func(f *front) { f.send(reqSetVringKick, 0, words(0), f.memfd, f.memfd) }, "with 2 descriptors"},
	{"call that says none and has one", func(f *front) { f.send(reqSetVringCall, 0, words(1<<8), f.memfd) }, "with 1 descriptors"},
	{"kick is a file", func(f *front) { f.send(reqSetVringKick, 0, words(0), f.memfd) }, "no eventfd"},
	{"call is a socket", func(f *front) { f.send(reqSetVringCall, 0, words(1), f.sock) }, "no eventfd"},
	{"error is a file", func(f *front) { f.send(reqSetVringErr, 0, words(1), f.memfd) }, "no eventfd"},
	{"33 descriptors", func(f *front) {
		fds := make([]int, 33)
		for i := range fds {
			fds[i] = f.memfd
		}
		f.send(reqSetMemTable, 0, state(33, 0), fds...)
	}, "too many descriptors"},
	{"ring 256", func(f *front) { f.send(reqSetVringNum, 0, state(256, 16)) }, "ring 256"},
	{"ring 2^32-1", func(f *front) { f.send(reqGetVringBase, 0, state(0xffffffff, 16)) }, "ring 4294967295"},
	{"no entries", func(f *front) { f.send(reqSetVringNum, 0, state(0, 0)) }, "ring of 0"},
	{"65536 entries", func(f *front) { f.send(reqSetVringNum, 0, state(0, 65536)) }, "ring of 65536"},
	{"three entries", func(f *front) { f.hello(allFeatures); f.q = nil; f.badRing(3) }, "split ring of 3"},
	{"table without descriptors", func(f *front) { f.send(reqSetMemTable, 0, f.table()) }, "1 regions in 40 bytes and 0"},
	{"table with too many", func(f *front) { f.send(reqSetMemTable, 0, f.table(), f.memfd, f.memfd) }, "and 2 descriptors"},
	{"table of 2^32-1", func(f *front) {
		f.send(reqSetMemTable, 0, append(state(0xffffffff, 0), words(0, 4096, 0, 0)...), f.memfd)
	}, "4294967295 regions"},
	{"short table", func(f *front) { f.send(reqSetMemTable, 0, f.table()[:39], f.memfd) }, "in 39 bytes"},
	{"empty region", func(f *front) { f.regions(0, 0, 0, 0) }, "memory region of 0x0"},
	{"region wraps in the guest", func(f *front) { f.regions(1<<64-4096, 8192, 0, 0) }, "memory region of"},
	{"region wraps in the front end", func(f *front) { f.regions(0, 8192, 1<<64-4096, 0) }, "memory region of"},
	{"region wraps in the file", func(f *front) { f.regions(0, 8192, 0, 1<<64-4096) }, "memory region of"},
	{"region of 2^63", func(f *front) { f.regions(0, 1<<63, 0, 0) }, "memory region of"},
	{"misaligned region", func(f *front) { f.regions(0, 4096, 0, 64) }, "misaligned"},
	{"misaligned guest address", func(f *front) { f.regions(8, 4096, 0, 0) }, "misaligned"},
	{"region longer than its file", func(f *front) { f.regions(0, guestSize+4096, 0, 0) }, "its file at"},
	{"region behind its file", func(f *front) { f.regions(0, 4096, 0, guestSize) }, "its file at"},
	{"region in a socket", func(f *front) {
		f.send(reqSetMemTable, 0, append(state(1, 0), words(0, 4096, 0, 0)...), f.sock)
	}, "its file at"},
	{"overlapping regions", func(f *front) { f.regions(0, 8192, 1<<32, 0, 4096, 8192, 2<<32, 0) }, "overlap"},
	{"overlapping front end addresses", func(f *front) { f.regions(0, 8192, 1<<32, 0, 1<<20, 8192, 1<<32+4096, 0) }, "overlap"},
	{"slot that overlaps", func(f *front) {
		f.hello(allFeatures)
		f.send(reqAddMemReg, 0, words(0, guestBase, 4096, 0, 0), f.memfd)
	}, "overlap"},
	{"slot that is not there", func(f *front) { f.send(reqRemMemReg, 0, words(0, guestBase, 4096, 0, 0)) }, "not there"},
	{"33 slots", func(f *front) {
		for i := range uint64(33) {
			f.send(reqAddMemReg, 0, words(0, i<<20, 4096, i<<20, 0), f.memfd)
		}
	}, "more than 32"},
	{"ring outside of memory", func(f *front) { f.badAddr(userBase+guestSize, 0, 0) }, "outside of memory"},
	{"used ring across the end", func(f *front) { f.badAddr(userBase, userBase+guestSize-8, userBase) }, "outside of memory"},
	{"ring at the end of addresses", func(f *front) { f.badAddr(1<<64-16, userBase, userBase) }, "outside of memory"},
	{"misaligned ring", func(f *front) { f.badAddr(userBase+8, userBase, userBase) }, "misaligned"},
	{"packed position behind the ring", func(f *front) {
		f.hello(allFeatures | featPacked)
		f.positions = []uint32{0x7fff7fff}
		f.badRing(16)
	}, "begins at"},
	{"everything before the beginning", func(f *front) {
		// Out of order, but harmless.
		for _, req := range []request{reqSetVringEnable, reqSetVringBase, reqSetVringNum} {
			f.send(req, 0, state(1, 1))
		}
		f.send(reqSendRARP, 0, words(0))
		f.send(reqSetVringAddr, 0, append(state(0, 0), words(1, 2, 3, 4)...))
		f.send(reqGetVringBase, 0, state(7, 0))
		f.recv()
		f.send(reqResetOwner, 0, nil)
		f.send(reqNetSetMTU, flagNeedReply, words(1500)) // no acknowledgement is agreed on
		f.ask(reqGetStatus, 0, nil)
	}, ""},
	{"half a message", func(f *front) { f.raw([]byte{1, 0, 0}); unix.Shutdown(f.sock, unix.SHUT_WR) }, ""},
}

// regions sends a memory table.
func (f *front) regions(v ...uint64) {
	fds := make([]int, len(v)/4)
	for i := range fds {
		fds[i] = f.memfd
	}
	f.send(reqSetMemTable, 0, append(state(uint32(len(fds)), 0), words(v...)...), fds...)
}

// badRing sets ring 0 up with a size and waits for nothing.
func (f *front) badRing(size uint32) {
	f.badSetup(size, append(state(0, 0), words(userBase, userBase+0x2000, userBase+0x1000, 0)...))
}

func (f *front) badAddr(desc, used, avail uint64) {
	f.hello(allFeatures)
	f.badSetup(16, append(state(0, 0), words(desc, used, avail, 0)...))
}

func (f *front) badSetup(size uint32, addr []byte) {
	kick, _ := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	defer unix.Close(kick)
	f.send(reqSetVringNum, 0, state(0, size))
	if len(f.positions) > 0 {
		f.send(reqSetVringBase, 0, state(0, f.positions[0]))
	}
	f.send(reqSetVringAddr, 0, addr)
	f.send(reqSetVringKick, 0, words(0), kick)
	f.send(reqSetVringEnable, 0, state(0, 1))
}

// desc writes a descriptor of the guest's transmit ring.
func (f *front) desc(i int, addr uint64, n uint32, flags, next uint16) {
	f.q[1].entry(f.q[1].off+16*i, piece{addr, n}, flags, next)
}

// avail makes descriptor 0 available (split).
func (f *front) avail(head uint16) {
	q := f.q[1]
	le.PutUint16(f.mem[q.availOff()+4:], head)
	q.avail++
	q.publish()
}

const someBuffer = guestBase + buffers

// inRing are wrong contents of the guest's transmit ring, split.
var inRing = []hostile{
	{"loop of one", func(f *front) { f.desc(0, someBuffer, 60, descNext, 0); f.avail(0) }, "loops"},
	{"loop of two", func(f *front) {
		f.desc(0, someBuffer, 60, descNext, 1)
		f.desc(1, someBuffer, 60, descNext, 0)
		f.avail(0)
	}, "loops"},
	{"loop of empty buffers", func(f *front) { f.desc(0, someBuffer, 0, descNext, 0); f.avail(0) }, "loops"},
	{"next beyond the ring", func(f *front) { f.desc(0, someBuffer, 60, descNext, 16); f.avail(0) }, "leaves its table"},
	{"head beyond the ring", func(f *front) { f.avail(0xffff) }, "descriptor 65535"},
	{"address outside", func(f *front) { f.desc(0, 0, 60, 0, 0); f.avail(0) }, "outside of memory"},
	{"address behind", func(f *front) { f.desc(0, guestBase+guestSize-20, 60, 0, 0); f.avail(0) }, "outside of memory"},
	{"address wraps", func(f *front) { f.desc(0, 1<<64-16, 0xffffffff, 0, 0); f.avail(0) }, "outside of memory"},
	{"nothing", func(f *front) { f.desc(0, someBuffer, 0, 0, 0); f.avail(0) }, "packet of 0 bytes"},
	{"short header", func(f *front) { f.desc(0, someBuffer, 11, 0, 0); f.avail(0) }, "packet of 11 bytes"},
	{"4 GiB", func(f *front) { f.desc(0, someBuffer, 0xffffffff, 0, 0); f.avail(0) }, "outside of memory"},
	{"1 MiB", func(f *front) { f.desc(0, someBuffer, 1<<20, 0, 0); f.avail(0) }, "packet of 1048576 bytes"},
	{"16 × 4 GiB", func(f *front) {
		for i := range 16 {
			f.desc(i, someBuffer, 0xffffffff, descNext, uint16(i+1))
		}
		f.avail(0)
	}, "outside of memory"},
	{"writable", func(f *front) { f.desc(0, someBuffer, 100, descWrite, 0); f.avail(0) }, "writable"},
	{"writable after readable", func(f *front) {
		f.desc(0, someBuffer, 100, descNext, 1)
		f.desc(1, someBuffer, 100, descWrite, 0)
		f.avail(0)
	}, "readable and writable"},
	{"avail index jumps", func(f *front) { f.q[1].avail += 17; f.q[1].publish() }, "avail index jumps"},
	{"avail index goes back", func(f *front) { f.q[1].avail--; f.q[1].publish() }, "avail index jumps"},
	{"indirect of 15 bytes", func(f *front) { f.desc(0, someBuffer, 15, descIndirect, 0); f.avail(0) }, "indirect table of 15"},
	{"indirect of nothing", func(f *front) { f.desc(0, someBuffer, 0, descIndirect, 0); f.avail(0) }, "indirect table of 0"},
	{"indirect of 4 GiB", func(f *front) { f.desc(0, someBuffer, 0xfffffff0, descIndirect, 0); f.avail(0) }, "indirect table of"},
	{"indirect outside", func(f *front) { f.desc(0, guestBase+guestSize-16, 32, descIndirect, 0); f.avail(0) }, "outside of memory"},
	{"indirect and more", func(f *front) { f.desc(0, someBuffer, 16, descIndirect|descNext, 1); f.avail(0) }, "inside a chain"},
	{"indirect second", func(f *front) {
		f.desc(0, someBuffer, 100, descNext, 1)
		f.desc(1, someBuffer, 16, descIndirect, 0)
		f.avail(0)
	}, "inside a chain"},
	{"indirect in indirect", func(f *front) {
		f.q[1].entry(buffers, piece{someBuffer, 16}, descIndirect, 0)
		f.desc(0, someBuffer, 16, descIndirect, 0)
		f.avail(0)
	}, "inside a chain"},
	{"indirect loop", func(f *front) {
		f.q[1].entry(buffers, piece{someBuffer, 16}, descNext, 0)
		f.desc(0, someBuffer, 16, descIndirect, 0)
		f.avail(0)
	}, "loops"},
	{"indirect of many", func(f *front) {
		for i := range 300 {
			f.q[1].entry(buffers+16*i, piece{someBuffer, 0}, descNext, uint16(i+1))
		}
		f.desc(0, someBuffer, 16*300, descIndirect, 0)
		f.avail(0)
	}, "more than 256 descriptors"},
	{"memory is gone", func(f *front) {
		f.desc(0, someBuffer, 100, 0, 0)
		f.avail(0)
		unix.Ftruncate(f.memfd, buffers)
	}, "is gone"},
	{"all memory is gone", func(f *front) { unix.Ftruncate(f.memfd, 0) }, "is gone"},
	{"table is empty", func(f *front) { f.send(reqSetMemTable, 0, state(0, 0)) }, "outside of memory"},
	{"ring moves away", func(f *front) {
		f.send(reqSetVringAddr, 0, append(state(1, 0), words(0, 0, 0, 0)...))
	}, "outside of memory"},
	{"flood of kicks", func(f *front) {
		for range 10000 {
			signal(f.kick[1])
			signal(f.kick[0])
		}
		var full [8]byte
		le.PutUint64(full[:], 1<<64-2)
		unix.Write(f.kick[1], full[:])
	}, ""},
	{"full call", func(f *front) {
		var full [8]byte
		le.PutUint64(full[:], 1<<64-2)
		unix.Read(f.call[1], make([]byte, 8))
		unix.Write(f.call[1], full[:])
		f.transmit(0, make([]byte, 72), 100, false)
	}, ""},
}

// inPacked are wrong contents of a packed one.
var inPacked = []hostile{
	{"chain longer than the ring", func(f *front) {
		for i := range 16 {
			f.desc(i, someBuffer, 1, descNext|descAvail, 0)
		}
	}, "longer than its ring"},
	{"address outside", func(f *front) { f.desc(0, 0, 60, descAvail, 0) }, "outside of memory"},
	{"nothing", func(f *front) { f.desc(0, someBuffer, 0, descAvail, 0) }, "packet of 0 bytes"},
	{"writable", func(f *front) { f.desc(0, someBuffer, 100, descAvail|descWrite, 0) }, "writable"},
	{"indirect in indirect", func(f *front) {
		f.q[1].entry(buffers, piece{someBuffer, 16}, descIndirect, 0)
		f.desc(0, someBuffer, 16, descIndirect|descAvail, 0)
	}, "inside another"},
	{"indirect of many", func(f *front) { f.desc(0, someBuffer, 16*300, descIndirect|descAvail, 0) }, "more than 256"},
	{"indirect outside", func(f *front) { f.desc(0, 16, 32, descIndirect|descAvail, 0) }, "outside of memory"},
	{"memory is gone", func(f *front) { unix.Ftruncate(f.memfd, 0) }, "is gone"},
}

// inReceiveRing are wrong contents of the ring that the guest receives by.
var inReceiveRing = []hostile{
	{"readable buffer", func(f *front) { f.q[0].add(false, false, piece{someBuffer, 2000}) }, "receive buffer of"},
	{"buffer shorter than the header", func(f *front) { f.q[0].add(true, false, piece{someBuffer, 11}) }, "receive buffer of 11"},
	{"buffer outside", func(f *front) { f.q[0].add(true, false, piece{0, 2000}) }, "outside of memory"},
	{"avail index jumps", func(f *front) { f.q[0].avail += 100; f.q[0].publish() }, "avail index jumps"},
	{"memory is gone", func(f *front) {
		f.q[0].add(true, false, piece{someBuffer, 2000})
		unix.Ftruncate(f.memfd, buffers)
	}, "is gone"},
}

// Each ends with the connection cut, a text and a counter, or with nothing; the port
// takes the next front end, another port goes on, and no frame is lost.
func TestHostile(t *testing.T) {
	other := newFront(t)
	other.setup(allFeatures, 1, 16)
	for _, group := range []struct {
		name     string
		features uint64 // 0: not set up
		cases    []hostile
	}{
		{"message", 0, beforeSetup},
		{"split", allFeatures, inRing},
		{"packed", allFeatures | featPacked, inPacked},
		{"receive", allFeatures, inReceiveRing},
	} {
		for _, c := range group.cases {
			t.Run(group.name+"/"+c.name, func(t *testing.T) {
				f := newFront(t)
				free := f.available()
				if group.features != 0 {
					f.setup(group.features, 1, 16)
				}
				c.do(f)
				for range 100 {
					f.cache.FreeBatch(f.take(0))
				}
				if group.name == "receive" {
					f.give(0, frame(100, 1))
				}
				if c.want != "" {
					f.cut(t, c.want)
				} else if f.d.violations.Load() != 0 {
					t.Errorf("a violation: %v", f.d.Status())
				}
				if got := f.available(); got != free {
					t.Errorf("%d frames are left of %d", got, free)
				}
				f.comesBack()
				other.roundTrip()
			})
		}
	}
}

// comesBack connects again, with new memory.
func (f *front) comesBack() {
	f.t.Helper()
	unix.Shutdown(f.sock, unix.SHUT_RDWR)
	closeAll(f.kick)
	closeAll(f.call)
	f.q, f.kick, f.call, f.positions = nil, nil, nil, nil
	unix.Ftruncate(f.memfd, 0)
	unix.Ftruncate(f.memfd, guestSize)
	f.accept()
	f.setup(allFeatures, 1, 16)
	f.roundTrip()
}

// roundTrip has the guest send a packet to itself.
func (f *front) roundTrip() {
	f.t.Helper()
	p := frame(100, 1)
	first := f.rxPos
	f.post(0, 1, false)
	f.transmit(0, append(make([]byte, 12), p...), 4096, false)
	b := f.take(0)
	if b.N != 1 {
		f.t.Fatalf("%d packets", b.N)
	}
	f.d.txqs[0].Send(f.cache, b)
	f.q[1].done()
	if _, got := f.receive(0, first); !bytes.Equal(got, p) {
		f.t.Fatalf("packet changed to %x", got)
	}
}
