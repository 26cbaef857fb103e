// Package tap is the network devices that the switch makes: type "tap", and
// "internal", the ports through which a host takes part in a bridge (br0).
//
// A device is a persistent tap, with vnet headers, so that the host's own stack
// keeps its segmentation and checksum offloads.  A tap that an earlier process
// left behind is adopted with its addresses; Close removes the device unless it
// shall be kept.
package tap

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/vlog"
	"sluice/netdev"
	"sluice/netdev/packet"
	"sluice/netdev/rtnl"
	"sluice/netdev/vnet"
)

var log = vlog.New("netdev_linux")

const path = "/dev/net/tun"

// Register registers the classes "tap" and "internal".
func Register() {
	for _, typ := range []string{"tap", "internal"} {
		netdev.Register(netdev.Class{Type: typ, Open: func(name string) (netdev.Device, error) {
			return open(name, typ)
		}})
	}
}

func open(name, typ string) (netdev.Device, error) {
	if name == "default" || name == "all" || len(name) >= unix.IFNAMSIZ {
		return nil, fmt.Errorf("%s: not a name for a network device: %w", name, unix.EINVAL)
	}
	fd, err := create(name)
	if err != nil {
		log.Warn("%s: creating tap device failed: %s", name, errno.Text(err))
		return nil, fmt.Errorf("%s: create tap device: %w", name, err)
	}
	d := &Device{fd: fd}
	if err := d.Init(name, typ, true); err != nil {
		_ = unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 0)
		unix.Close(fd)
		return nil, err
	}
	d.rx.dev, d.tx.dev = d, d
	d.rxqs, d.txqs = []netdev.RxQueue{&d.rx}, []netdev.TxQueue{&d.tx}
	d.rx.slots, d.tx.sender = vnet.NewSlots(1), vnet.NewSender()
	return d, nil
}

// create makes the tap or attaches to the one that is there.
func create(name string) (fd int, err error) {
	fd, err = unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return -1, err
	}
	ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return -1, err
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnet.HdrSize); err != nil {
		return -1, fmt.Errorf("TUNSETVNETHDRSZ: %w", err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
		return -1, fmt.Errorf("persist: %w", err)
	}
	setOffloads(fd, name)
	return fd, nil
}

// setOffloads allows the host's stack to hand over unfinished packets, as far as
// this kernel knows how.
func setOffloads(fd int, name string) {
	const tso = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	for _, flags := range [...]int{tso | unix.TUN_F_USO4 | unix.TUN_F_USO6, tso, unix.TUN_F_CSUM} {
		err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, flags)
		if err == nil {
			return
		}
		log.Dbg("%s: TUNSETOFFLOAD %#x: %s", name, flags, errno.Text(err))
	}
}

// Device is a tap device with one queue.
//
// Thread-safety: as netdev.Device.
type Device struct {
	rtnl.Device
	fd   int
	rx   rxQueue
	tx   txQueue
	rxqs []netdev.RxQueue
	txqs []netdev.TxQueue
}

var _ netdev.TxCapser = (*Device)(nil)

// Close implements netdev.Device.
func (d *Device) Close(keep bool) error {
	var err error
	if !keep {
		// EBADFD: the link is gone already.
		if err = unix.IoctlSetInt(d.fd, unix.TUNSETPERSIST, 0); err == unix.EBADFD {
			err = nil
		} else if err != nil {
			err = fmt.Errorf("%s: remove tap device: %w", d.Name(), err)
		}
	}
	d.CloseLink()
	netdev.CloseFD(d.fd)
	d.rx.close()
	return err
}

// RxQueues implements netdev.Device.
func (d *Device) RxQueues() []netdev.RxQueue { return d.rxqs }

// TxQueues implements netdev.Device.
func (d *Device) TxQueues() []netdev.TxQueue { return d.txqs }

// TxCaps implements netdev.TxCapser.
func (d *Device) TxCaps() netdev.TxCaps {
	return netdev.TxCaps{Csum: true, TSO: true, MultiSeg: true}
}

// Stats implements netdev.Device.
func (d *Device) Stats() netdev.Stats {
	s := d.Device.Stats()
	if s.RxDropped != netdev.Unsupported {
		s.RxDropped += d.rx.dropped.Load()
		s.TxDropped += d.tx.dropped.Load()
	}
	return s
}

// rxQueue receives what the host's stack sends.
type rxQueue struct {
	dev     *Device
	slots   []vnet.Slot  // one
	pool    *packet.Pool // of the last Recv; nil: none yet
	dead    bool         // the link is gone; the descriptor would always be ready
	dropped atomic.Uint64
}

var _ netdev.RxQueue = (*rxQueue)(nil)

// Recv implements netdev.RxQueue.
func (q *rxQueue) Recv(c *packet.Cache, b *packet.Batch) (int, error) {
	q.pool = c.Pool()
	n := 0
	for !b.Full() {
		if !q.slots[0].Fill(c) {
			return n, unix.ENOBUFS
		}
		size, err := q.slots[0].Readv(q.dev.fd)
		switch err {
		case nil:
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return n, nil
		case unix.EINVAL:
			// A packet whose offloads no header can tell; the kernel dropped it.
			q.dropped.Add(1)
			return n, nil
		case unix.EBADFD:
			// Somebody removed the link under us.
			q.dead = true
			return n, nil
		default:
			return n, err
		}
		if i := q.slots[0].Take(q.pool, size); i != 0 {
			b.Add(i)
			n++
		} else {
			q.dropped.Add(1)
		}
	}
	return n, nil
}

// Fd implements netdev.RxQueue.
func (q *rxQueue) Fd() int {
	if q.dead {
		return -1
	}
	return q.dev.fd
}

// Ready implements netdev.RxQueue; queues with a descriptor are polled by it.
func (q *rxQueue) Ready() bool { return false }

// ID implements netdev.RxQueue.
func (q *rxQueue) ID() int { return 0 }

func (q *rxQueue) close() {
	if q.pool != nil {
		c := q.pool.NewCache(packet.BatchSize)
		q.slots[0].Free(c)
		c.Close()
	}
}

// txQueue sends to the host's stack.
type txQueue struct {
	dev     *Device
	sender  *vnet.Sender
	dropped atomic.Uint64
}

var _ netdev.TxQueue = (*txQueue)(nil)

// Send implements netdev.TxQueue.
func (q *txQueue) Send(c *packet.Cache, b *packet.Batch) {
	n := b.N
	if sent := q.sender.Writev(q.dev.fd, c, b); sent < n {
		q.dropped.Add(uint64(n - sent))
	}
}

// Flush implements netdev.TxQueue; nothing is held back.
func (q *txQueue) Flush(*packet.Cache) {}
