// Package system is the network devices that the kernel has, NICs and veth
// pairs, reached through packet sockets: type "system", which is also the type of
// an interface without one.
//
// Packets carry a virtio_net_hdr in both directions, so that segmentation and
// checksum offloads of containers and NICs go through the switch unfinished.
// Tags that the kernel keeps out of band are put back.  The device is in
// promiscuous mode while it is open, and what a NIC receives does not reach the
// host's own protocols, where the kernel has TCX (6.6); both end by themselves, also
// when the process dies.
package system

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/bpf"
	"sluice/internal/vlog"
	"sluice/netdev"
	"sluice/netdev/packet"
	"sluice/netdev/rtnl"
	"sluice/netdev/vnet"
)

var (
	log = vlog.New("netdev_linux")
	rl  = vlog.NewLimiter(5, 20)
)

// Register registers the class "system".
func Register() {
	netdev.Register(netdev.Class{Type: "system", Open: open})
}

func open(name string) (netdev.Device, error) {
	d := &Device{}
	if err := d.Init(name, "system", false); err != nil {
		return nil, err
	}
	return d, nil
}

// Device is a kernel link with one receive and one send queue.
//
// Thread-safety: as netdev.Device.
type Device struct {
	rtnl.Device
	rx       *rxQueue
	tx       *txQueue
	rxqs     []netdev.RxQueue
	txqs     []netdev.TxQueue
	consumer *bpf.Consumer // nil where the kernel has no hook for it
}

var _ netdev.TxCapser = (*Device)(nil)

// NeedsReconfigure implements netdev.Device: the sockets are opened by the first
// Reconfigure, so that nothing piles up in one before the port exists.
func (d *Device) NeedsReconfigure() bool { return d.rx == nil || d.Renewed() }

// Reconfigure implements netdev.Device.
func (d *Device) Reconfigure() error {
	if !d.NeedsReconfigure() {
		return nil
	}
	d.closeQueues()
	d.ClearRenewed()
	rxFd, err := rxSocket(d.Ifindex())
	if err != nil {
		return fmt.Errorf("%s: open packet socket: %w", d.Name(), err)
	}
	txFd, err := txSocket(d.Ifindex())
	if err != nil {
		unix.Close(rxFd)
		return fmt.Errorf("%s: open packet socket: %w", d.Name(), err)
	}
	d.rx = &rxQueue{dev: d, fd: rxFd, recv: vnet.NewReceiver()}
	d.tx = &txQueue{fd: txFd, sender: vnet.NewSender()}
	d.rxqs, d.txqs = []netdev.RxQueue{d.rx}, []netdev.TxQueue{d.tx}
	d.consume()
	return nil
}

// consume keeps what comes in from the host's protocols.  A host whose address is at
// the bridge, which has the MAC address of its NIC, would answer twice otherwise: to
// what the switch delivers and to what the NIC does.  A bridge does not take locally
// administered addresses, such as those of veth devices; that is as well, since the
// kernel needs some ten milliseconds to attach and detach each program, which is much
// for a thousand containers.
func (d *Device) consume() {
	if d.EtherAddr()[0]&2 != 0 {
		return
	}
	var err error
	if d.consumer, err = bpf.Consume(d.Ifindex()); err != nil {
		log.InfoRL(rl, "%s: the host itself gets a copy of what this port receives: %v", d.Name(), err)
	}
}

// htons is a 16-bit number in network order.
func htons(v uint16) uint16 { return v<<8 | v>>8 }

// packetSocket opens a raw socket with vnet headers that receives nothing yet.
func packetSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("PACKET_VNET_HDR: %w", err)
	}
	return fd, nil
}

// rxBuffer is the receive buffer of a socket: a burst of GSO packets fits.
const rxBuffer = 4 << 20

func rxSocket(ifindex int) (int, error) {
	fd, err := packetSocket()
	if err != nil {
		return -1, err
	}
	steps := []func() error{
		func() error { return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1) },
		// What the switch itself sends must not come back.
		func() error { return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1) },
		func() error {
			return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: ifindex})
		},
		func() error { return Promiscuous(fd, ifindex) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, rxBuffer); err != nil {
		log.DbgRL(rl, "SO_RCVBUFFORCE: %v", err)
	}
	return fd, nil
}

// Promiscuous puts a link into promiscuous mode until packet socket fd is closed.
func Promiscuous(fd, ifindex int) error {
	return unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
		&unix.PacketMreq{Ifindex: int32(ifindex), Type: unix.PACKET_MR_PROMISC})
}

// txSocket opens a socket that only sends: protocol 0 receives nothing.
func txSocket(ifindex int) (int, error) {
	fd, err := packetSocket()
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifindex}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Close implements netdev.Device.
func (d *Device) Close(bool) error {
	d.CloseLink()
	d.closeQueues()
	return nil
}

func (d *Device) closeQueues() {
	if d.rx == nil {
		return
	}
	if d.consumer != nil {
		if err := d.consumer.Close(); err != nil {
			log.WarnRL(rl, "%s: %v", d.Name(), err)
		}
		d.consumer = nil
	}
	d.rx.close()
	netdev.CloseFD(d.tx.fd)
	d.rx, d.tx, d.rxqs, d.txqs = nil, nil, nil, nil
}

// RxQueues implements netdev.Device.
func (d *Device) RxQueues() []netdev.RxQueue { return d.rxqs }

// TxQueues implements netdev.Device.
func (d *Device) TxQueues() []netdev.TxQueue { return d.txqs }

// TxCaps implements netdev.TxCapser.
func (d *Device) TxCaps() netdev.TxCaps {
	return netdev.TxCaps{Csum: true, TSO: true, MultiSeg: true}
}

// Stats implements netdev.Device: the kernel's counters and the packets that it
// refused.
func (d *Device) Stats() netdev.Stats {
	s := d.Device.Stats()
	if d.rx == nil || s.RxDropped == netdev.Unsupported {
		return s
	}
	s.RxDropped += d.rx.dropped.Load()
	s.TxDropped += d.tx.dropped.Load()
	return s
}

// rxQueue receives from a packet socket.
type rxQueue struct {
	dev     *Device
	fd      int
	recv    *vnet.Receiver
	pool    *packet.Pool // of the last Recv; nil: none yet
	dropped atomic.Uint64
}

var _ netdev.RxQueue = (*rxQueue)(nil)

// Recv implements netdev.RxQueue.
func (q *rxQueue) Recv(c *packet.Cache, b *packet.Batch) (int, error) {
	q.pool = c.Pool()
	n, dropped, err := q.recv.Recv(q.fd, c, b)
	if dropped > 0 {
		q.dropped.Add(uint64(dropped))
	}
	if err == unix.ENETDOWN || err == unix.ENODEV || err == unix.ENXIO {
		// The link went down or away: the change event tells the rest.
		return 0, nil
	}
	return n, err
}

// Fd implements netdev.RxQueue.
func (q *rxQueue) Fd() int { return q.fd }

// Ready implements netdev.RxQueue; queues with a descriptor are polled by it.
func (q *rxQueue) Ready() bool { return false }

// ID implements netdev.RxQueue.
func (q *rxQueue) ID() int { return 0 }

func (q *rxQueue) close() {
	netdev.CloseFD(q.fd)
	if q.pool != nil {
		c := q.pool.NewCache(packet.BatchSize)
		q.recv.Close(c)
		c.Close()
	}
}

// txQueue sends through a packet socket.
type txQueue struct {
	fd      int
	sender  *vnet.Sender
	dropped atomic.Uint64
}

var _ netdev.TxQueue = (*txQueue)(nil)

// Send implements netdev.TxQueue.
func (q *txQueue) Send(c *packet.Cache, b *packet.Batch) {
	n := b.N
	if sent := q.sender.SendMmsg(q.fd, c, b); sent < n {
		q.dropped.Add(uint64(n - sent))
	}
}

// Flush implements netdev.TxQueue; nothing is held back.
func (q *txQueue) Flush(*packet.Cache) {}
