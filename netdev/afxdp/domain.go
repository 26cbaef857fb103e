package afxdp

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/sys/unix"

	"sluice/bpf"
	"sluice/netdev/packet"
)

// txMetaSize is the space in front of a frame's data for struct
// xsk_tx_metadata: flags, csum_start, csum_offset, padding, launch time.
const txMetaSize = 24

// minDomain is the smallest number of frames to register, 64 MiB of them; tests
// make it smaller.
var minDomain = 16384

// domain is a registration of a prefix of the pool's memory as UMEM, with the
// sockets that share it.  All sockets of a domain exchange frames without a copy.
//
// A registration pins its memory and cannot grow.  When the pool hands out frames
// beyond the prefix, a new domain with a longer prefix of the same memory serves
// the ports that come; the old one lives on with its sockets.  Copy and zero-copy
// sockets cannot share a registration, so that there is a domain of each kind.
//
// Thread-safety: the control thread owns it.
type domain struct {
	pool     *packet.Pool
	frames   int // length of the prefix
	zerocopy bool
	// How the socket that registered is bound; those that share inherit it.
	multiBuf bool
	txMeta   bool
	fds      []int // sockets bound now: any of them can be shared with
	reg      *registration
}

// registration is the pinning of a domain's memory by a first socket, under way
// in a worker because it takes a millisecond a megabyte.
type registration struct {
	fd     int
	txMeta bool
	err    error
	done   chan struct{}
}

// domains are the newest ones: they take new ports.  next is the copy domain that
// will follow, when its registration has begun ahead of time.
var domains struct{ copy, zerocopy, next *domain }

// domainFor returns a domain whose prefix covers the frames in use and room for
// need more.
func domainFor(pool *packet.Pool, zerocopy bool, need int) *domain {
	slot := &domains.copy
	if zerocopy {
		slot = &domains.zerocopy
	}
	total := len(pool.Mem()) / packet.FrameSize
	want := min(max(minDomain, 1<<bits.Len(uint(pool.HighWater()+need+packet.BatchSize))), total)
	d := *slot
	if d != nil && d.pool == pool && d.frames >= want {
		return d
	}
	if d != nil {
		d.cancel()
	}
	d = &domain{pool: pool, frames: want, zerocopy: zerocopy}
	if n := domains.next; n != nil && !zerocopy {
		if n.pool == pool && n.frames >= want {
			d = n
		} else {
			n.cancel()
		}
		domains.next = nil
	}
	*slot = d
	return d
}

// growAhead begins to register the following domain when little of this one is
// left, so that no port has to wait for the pinning of hundreds of megabytes.
func (d *domain) growAhead() {
	total := len(d.pool.Mem()) / packet.FrameSize
	if d != domains.copy || domains.next != nil || d.frames == total || d.pool.HighWater() < d.frames/4*3 {
		return
	}
	domains.next = &domain{pool: d.pool, frames: min(2*d.frames, total)}
	domains.next.prepare()
}

// shareable reports that a new socket needs no registration of its own.
func (d *domain) shareable() bool { return len(d.fds) > 0 && !bpf.Missing(bpf.SharedUMEM) }

// prepare starts the registration that the next socket will need.
func (d *domain) prepare() {
	if d.reg != nil || d.shareable() {
		return
	}
	// The socket is made here, since it belongs to the namespace of its thread.
	fd, err := newFd()
	r := &registration{fd: fd, err: err, done: make(chan struct{})}
	d.reg = r
	if err != nil {
		close(r.done)
		return
	}
	mem := d.pool.Mem()[:d.frames*packet.FrameSize]
	go func() {
		defer close(r.done)
		r.register(mem)
	}()
}

// register tries the kernel's abilities from the newest to the oldest.
func (r *registration) register(mem []byte) {
	if !bpf.Missing(bpf.TxMetadata) {
		err := registerUMEM(r.fd, mem, packet.FrameSize, unix.XDP_UMEM_TX_METADATA_LEN, txMetaSize)
		if err == nil {
			r.txMeta = true
			return
		}
		if err != unix.EINVAL {
			r.err = err
			return
		}
	}
	r.err = registerUMEM(r.fd, mem, packet.FrameSize, 0, 0)
}

// cancel gives up a registration that nobody used.
func (d *domain) cancel() {
	if d.reg == nil {
		return
	}
	<-d.reg.done
	if d.reg.fd >= 0 {
		unix.Close(d.reg.fd)
	}
	d.reg = nil
}

func newFd() (int, error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open AF_XDP socket: %w", err)
	}
	return fd, nil
}

// open makes a socket of the domain, bound to a queue of a link.
func (d *domain) open(ifindex, queue int) (*xsk, error) {
	if d.shareable() {
		return d.openShared(ifindex, queue)
	}
	d.prepare()
	reg := d.reg
	d.reg = nil
	<-reg.done
	if reg.err != nil {
		if reg.fd >= 0 {
			unix.Close(reg.fd)
		}
		return nil, fmt.Errorf("register memory: %w", reg.err)
	}
	d.txMeta = reg.txMeta
	x, err := newXsk(reg.fd)
	if err != nil {
		return nil, err
	}
	if err := d.bindFirst(x, ifindex, queue); err != nil {
		x.close()
		return nil, fmt.Errorf("bind to queue %d: %w", queue, err)
	}
	d.fds = append(d.fds, x.fd)
	return x, nil
}

// bindFirst binds a socket that registered the memory, with what this kernel
// has of multi-buffer and need-wakeup.
func (d *domain) bindFirst(x *xsk, ifindex, queue int) error {
	flags := uint16(unix.XDP_COPY)
	if d.zerocopy {
		flags = unix.XDP_ZEROCOPY
	}
	var err error
	for _, extra := range [...]uint16{unix.XDP_USE_NEED_WAKEUP | unix.XDP_USE_SG, unix.XDP_USE_NEED_WAKEUP, 0} {
		if extra&unix.XDP_USE_SG != 0 && bpf.Missing(bpf.MultiBuffer) ||
			extra&unix.XDP_USE_NEED_WAKEUP != 0 && bpf.Missing(bpf.NeedWakeup) {
			continue
		}
		sa := &unix.SockaddrXDP{Flags: flags | extra, Ifindex: uint32(ifindex), QueueID: uint32(queue)}
		if err = bindRetry(x.fd, sa); err == nil {
			d.multiBuf = extra&unix.XDP_USE_SG != 0
			return nil
		}
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
	}
	return err
}

// openShared makes a socket that shares the memory of one that is bound.  No
// flags may be given: the socket inherits those of the first.
func (d *domain) openShared(ifindex, queue int) (*xsk, error) {
	fd, err := newFd()
	if err != nil {
		return nil, err
	}
	x, err := newXsk(fd)
	if err != nil {
		return nil, err
	}
	for _, with := range slices.Clone(d.fds) {
		sa := &unix.SockaddrXDP{Flags: unix.XDP_SHARED_UMEM, Ifindex: uint32(ifindex),
			QueueID: uint32(queue), SharedUmemFD: uint32(with)}
		err = bindRetry(x.fd, sa)
		if err != unix.EBADF {
			// EBADF: the other socket's device is gone.
			break
		}
	}
	if err != nil {
		x.close()
		return nil, fmt.Errorf("bind to queue %d with shared memory: %w", queue, err)
	}
	d.fds = append(d.fds, x.fd)
	return x, nil
}

// forget takes a socket out of the domain before it is closed.
func (d *domain) forget(x *xsk) {
	d.fds = slices.DeleteFunc(d.fds, func(fd int) bool { return fd == x.fd })
}

// A queue whose socket was just closed is busy for some 20 ms, until the kernel
// has released its memory.
const (
	bindRetryMs = 2
	bindRetries = 40
)

func bindRetry(fd int, sa *unix.SockaddrXDP) error {
	for try := 0; ; try++ {
		err := unix.Bind(fd, sa)
		if err != unix.EBUSY || try == bindRetries {
			return err
		}
		_, _ = unix.Poll(nil, bindRetryMs)
	}
}
