package afxdp

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/bpf"
)

// Entries of the rings.  How many frames are posted is another number (see
// rxQueue.target).  A sender that is faster than the switch fills the receive ring,
// which so decides how long a burst is taken in without loss: 8,192 small frames are
// some 8 ms of a polling thread's work.
const (
	rxRingSize = 8192 // fill and receive
	txRingSize = 2048 // transmit and completion
)

// txBudget is how many packets one kick may send in copy mode (32 without it).
const txBudget = 512

// sendBuffer bounds the packets that are on their way through the kernel's stack;
// the default would be less than three hundred.
const sendBuffer = 16 << 20

// xsk is an AF_XDP socket with its rings.
type xsk struct {
	fd   int
	fill addrRing
	comp addrRing
	rx   descRing
	tx   descRing
	maps [][]byte
}

// newXsk gives fd rings; it closes fd when it fails.
func newXsk(fd int) (*xsk, error) {
	x := &xsk{fd: fd}
	if err := x.setUp(); err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}

func (x *xsk) setUp() error {
	for _, r := range [...]struct{ opt, size int }{{unix.XDP_UMEM_FILL_RING, rxRingSize}, {unix.XDP_RX_RING, rxRingSize},
		{unix.XDP_UMEM_COMPLETION_RING, txRingSize}, {unix.XDP_TX_RING, txRingSize}} {
		if err := unix.SetsockoptInt(x.fd, unix.SOL_XDP, r.opt, r.size); err != nil {
			return fmt.Errorf("set up ring %d: %w", r.opt, err)
		}
	}
	if !bpf.Missing(bpf.TxBudget) {
		// Kernels before 6.17 do not know it and send 32 packets a kick.
		_ = unix.SetsockoptInt(x.fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, txBudget)
	}
	if err := unix.SetsockoptInt(x.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer); err != nil {
		_ = unix.SetsockoptInt(x.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
	// The rings can be mapped before the socket is bound only.
	off, err := mmapOffsets(x.fd)
	if err != nil {
		return err
	}
	m, err := x.mmap(unix.XDP_UMEM_PGOFF_FILL_RING, off.Fr.Desc+rxRingSize*8)
	if err != nil {
		return err
	}
	x.fill.init(m, &off.Fr, rxRingSize)
	if m, err = x.mmap(unix.XDP_UMEM_PGOFF_COMPLETION_RING, off.Cr.Desc+txRingSize*8); err != nil {
		return err
	}
	x.comp.init(m, &off.Cr, txRingSize)
	if m, err = x.mmap(unix.XDP_PGOFF_RX_RING, off.Rx.Desc+rxRingSize*descSize); err != nil {
		return err
	}
	x.rx.init(m, &off.Rx, rxRingSize)
	if m, err = x.mmap(unix.XDP_PGOFF_TX_RING, off.Tx.Desc+txRingSize*descSize); err != nil {
		return err
	}
	x.tx.init(m, &off.Tx, txRingSize)
	return nil
}

const descSize = 16

func (x *xsk) mmap(pgoff int64, size uint64) ([]byte, error) {
	m, err := unix.Mmap(x.fd, pgoff, int(size), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map ring: %w", err)
	}
	x.maps = append(x.maps, m)
	return m, nil
}

// close closes the socket and unmaps its rings.
func (x *xsk) close() {
	unix.Close(x.fd)
	for _, m := range x.maps {
		_ = unix.Munmap(m)
	}
	x.maps = nil
}

// counter is a statistic that one thread counts and others read.
type counter struct{ v atomic.Uint64 }

// add is for the counting thread alone: no locked instruction.
func (c *counter) add(n uint64) { c.v.Store(c.v.Load() + n) }

func (c *counter) load() uint64 { return c.v.Load() }
