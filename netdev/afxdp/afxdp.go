// Package afxdp is the kernel's network devices, taken over by XDP and reached
// through AF_XDP sockets: types "afxdp" (queues for polling threads) and
// "afxdp-nonpmd" (queues for the control loop).
//
// An XDP program hands all frames of a device to the switch; they arrive in the
// frames of the packet pool, which is registered as the UMEM of all devices, so
// that a packet goes from one port to another without a copy.  Checksums that a
// container leaves to its device stay unfinished through the switch where the
// kernel takes transmit metadata.
//
// # Modes
//
// Zero copy is tried when the driver has it, then XDP in the driver, then generic
// XDP.  Every other ability of the kernel is probed in the same way (domain.go,
// package bpf), down to Linux 6.1.
package afxdp

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"sluice/bpf"
	"sluice/internal/errno"
	"sluice/internal/vlog"
	"sluice/netdev"
	"sluice/netdev/packet"
	"sluice/netdev/rtnl"
)

var log = vlog.New("netdev_afxdp")

// Register registers the classes "afxdp" and "afxdp-nonpmd".  pool returns the
// datapath's memory, at the first use.
func Register(pool func() (*packet.Pool, error)) {
	for _, typ := range []string{"afxdp", "afxdp-nonpmd"} {
		netdev.Register(netdev.Class{Type: typ, Open: func(name string) (netdev.Device, error) {
			return open(name, typ, pool)
		}})
	}
}

func open(name, typ string, pool func() (*packet.Pool, error)) (netdev.Device, error) {
	p, err := pool()
	if err != nil {
		return nil, err
	}
	d := &Device{pool: p, want: defaultConfig(), pmd: typ == "afxdp", promisc: -1}
	if err := d.Init(name, typ, false); err != nil {
		return nil, err
	}
	// Pinning the memory takes tens of milliseconds, the first time.
	domainFor(p, false, minTarget).prepare()
	return d, nil
}

// Device is an AF_XDP device.
//
// Thread-safety: as netdev.Device.
type Device struct {
	rtnl.Device
	pool *packet.Pool
	pmd  bool

	want, now config
	mode      xdpMode // in use, modeUnspec while there are no queues
	dom       *domain
	redirect  *bpf.Redirect
	promisc   int // packet socket that keeps the link promiscuous, -1: none
	rxqs      []netdev.RxQueue
	txqs      []netdev.TxQueue

	mu   sync.Mutex // for Stats and CustomStats of other threads
	xsks []*xsk     // written under mu, by the control thread
	rx   []*rxQueue // likewise
	tx   []*txQueue // likewise
	// lost is what earlier queues dropped, so that counters never fall; likewise.
	lost struct{ rx, tx uint64 }
}

var _ netdev.TxCapser = (*Device)(nil)

// SetConfig implements netdev.Device.
func (d *Device) SetConfig(options map[string]string) error {
	c, err := parseConfig(d.Name(), options)
	if err != nil {
		log.Err("%s", err)
		return err
	}
	d.want = c
	return nil
}

// Config implements netdev.Device.
func (d *Device) Config() map[string]string {
	return map[string]string{
		"n_rxq":           strconv.Itoa(len(d.rx)),
		"xdp-mode":        d.now.mode.String(),
		"xdp-mode-in-use": d.mode.String(),
		"use-need-wakeup": strconv.FormatBool(d.now.needWakeup),
	}
}

// Status implements netdev.Device: the driver, and what of AF_XDP is in use.
func (d *Device) Status() map[string]string {
	s := d.Device.Status()
	if s == nil {
		s = map[string]string{}
	}
	s["xdp-mode"] = d.mode.String()
	s["n_rxq"] = strconv.Itoa(len(d.rx))
	s["n_txq"] = strconv.Itoa(len(d.tx))
	if d.dom != nil {
		s["xdp-multi-buffer"] = strconv.FormatBool(d.dom.multiBuf)
		s["tx-checksum-offload"] = strconv.FormatBool(d.txMeta())
		s["vlan-tag-restored"] = strconv.FormatBool(d.redirect.KeepsTag)
	}
	return s
}

// txMeta reports that checksums are completed through transmit metadata.  Zero
// copy drivers differ in that, so there they are finished in software.
func (d *Device) txMeta() bool { return d.dom.txMeta && !d.dom.zerocopy }

// NeedsReconfigure implements netdev.Device.
func (d *Device) NeedsReconfigure() bool {
	return d.xsks == nil || d.want != d.now || d.Renewed()
}

// Reconfigure implements netdev.Device.
func (d *Device) Reconfigure() error {
	if !d.NeedsReconfigure() {
		return nil
	}
	d.stop()
	d.ClearRenewed()
	d.now = d.want
	log.Info("%s: Setting XDP mode to %s.", d.Name(), d.now.mode)
	err := d.start()
	if err != nil {
		d.stop()
		err = d.explain(err)
		log.Err("%s: AF_XDP device reconfiguration failed: %s", d.Name(), errno.Text(err))
	}
	d.Changed()
	return err
}

// explain words a failure for the error column.
func (d *Device) explain(err error) error {
	var worded *netdev.ConfigError
	if errors.As(err, &worded) {
		return err
	}
	return &netdev.ConfigError{Err: err, Text: fmt.Sprintf("%s: xdp-mode %s: %s", d.Name(), d.now.mode, errno.Text(err))}
}

// modes are the ones to try, in order.
func (d *Device) modes() []xdpMode {
	if d.now.mode != modeBestEffort {
		return []xdpMode{d.now.mode}
	}
	modes := []xdpMode{modeNative, modeGeneric}
	f, err := rtnl.GetXDPFeatures(d.Ifindex())
	if err == nil && f.Act&rtnl.XDPActZeroCopy != 0 {
		modes = append([]xdpMode{modeZeroCopy}, modes...)
	}
	return modes
}

// start opens the queues in the first mode that works.
func (d *Device) start() error {
	var first error
	for _, m := range d.modes() {
		err := d.startMode(m)
		if err == nil {
			d.mode = m
			log.Info("%s: %s XDP mode will be in use.", d.Name(), m)
			if d.MTU() > maxMTU && !d.dom.multiBuf {
				log.Warn("%s: this kernel has no AF_XDP multi-buffer: packets longer than %d bytes are lost",
					d.Name(), maxMTU)
			}
			return d.beginPromisc()
		}
		if first == nil || errors.Is(first, unix.EOPNOTSUPP) {
			first = err
		}
		log.Dbg("%s: %s mode: %s", d.Name(), m, err)
		if errors.Is(err, unix.EBUSY) {
			break
		}
	}
	return first
}

// startMode opens the queues and attaches the program in one mode.  Native and
// generic mode use the same sockets.
func (d *Device) startMode(m xdpMode) error {
	if m == modeZeroCopy && bpf.Missing(bpf.ZeroCopy) || m != modeGeneric && bpf.Missing(bpf.NativeXDP) {
		return fmt.Errorf("%s mode: %w", m, unix.EOPNOTSUPP)
	}
	if zerocopy := m == modeZeroCopy; d.dom == nil || d.dom.zerocopy != zerocopy {
		d.stop()
		if err := d.openQueues(zerocopy); err != nil {
			d.stop()
			return err
		}
	}
	if err := d.attach(m); err != nil {
		return err
	}
	for i, x := range d.xsks {
		if d.rx[i].mtu = nil; m == modeGeneric {
			d.rx[i].mtu = d.MTU
		}
		if err := d.redirect.SetSocket(i, x.fd); err != nil {
			return err
		}
	}
	return nil
}

// openQueues opens a socket a queue and posts its first frames.
func (d *Device) openQueues(zerocopy bool) error {
	d.dom = domainFor(d.pool, zerocopy, d.now.nRxq*(minTarget+stashSize))
	c := d.pool.NewCache(64)
	defer c.Close()
	for i := range d.now.nRxq {
		x, err := d.dom.open(d.Ifindex(), i)
		if err != nil {
			switch {
			case errors.Is(err, unix.EBUSY):
				err = &netdev.ConfigError{Err: err, Text: fmt.Sprintf(
					"%s: queue %d is in use by another AF_XDP socket", d.Name(), i)}
			case i > 0 && errors.Is(err, unix.EINVAL):
				err = &netdev.ConfigError{Err: err, Text: fmt.Sprintf(
					"%s: n_rxq is %d, but the device has only %d queues", d.Name(), d.now.nRxq, i)}
			}
			return err
		}
		d.addQueues(x, i, c)
	}
	d.dom.growAhead()
	return nil
}

func (d *Device) addQueues(x *xsk, id int, c *packet.Cache) {
	limit := packet.Index(d.dom.frames)
	rx := &rxQueue{fill: x.fill, rx: x.rx, pool: d.pool, limit: limit, posted: newFrameSet(d.dom.frames),
		target: minTarget, fd: x.fd, id: id, zerocopy: d.dom.zerocopy}
	tx := &txQueue{comp: x.comp, tx: x.tx, pool: d.pool, limit: limit, posted: newFrameSet(d.dom.frames),
		fd: x.fd, multiBuf: d.dom.multiBuf, txMeta: d.txMeta(), always: !d.now.needWakeup}
	if d.dom.frames < len(d.pool.Mem())/packet.FrameSize {
		tx.fillStash(c)
	}
	rx.refill(c)
	d.mu.Lock()
	d.xsks, d.rx, d.tx = append(d.xsks, x), append(d.rx, rx), append(d.tx, tx)
	d.mu.Unlock()
	d.rxqs, d.txqs = append(d.rxqs, rx), append(d.txqs, tx)
}

// attach attaches the program in mode m.  One that a dead AF_XDP user left behind
// is removed first.
func (d *Device) attach(m xdpMode) error {
	o := bpf.RedirectOptions{Ifindex: d.Ifindex(), Queues: max(d.now.nRxq, d.Link().NumRxQ),
		MultiBuf: d.dom.multiBuf}
	if m == modeGeneric {
		o.Mode = bpf.Generic
	}
	r, err := bpf.NewRedirect(o)
	if errors.Is(err, unix.EBUSY) {
		if err = d.dislodge(); err == nil {
			r, err = bpf.NewRedirect(o)
		}
	}
	if err != nil {
		return err
	}
	d.redirect = r
	return nil
}

// dislodge removes the XDP program that is attached to the device when it belongs
// to an AF_XDP user that is gone.
//
// A live one would have a socket bound to the queues that this device could just
// bind; and a program held by a link of its owner cannot be removed anyway.
func (d *Device) dislodge() error {
	l, err := rtnl.GetByIndex(d.Ifindex())
	if err != nil {
		return err
	}
	info, err := bpf.Inspect(l.XDPProg)
	if err == nil && info.ToSockets {
		flags := unix.XDP_FLAGS_DRV_MODE
		if l.XDPMode == xdpAttachedSkb {
			flags = unix.XDP_FLAGS_SKB_MODE
		}
		if err = rtnl.DetachXDP(d.Ifindex(), flags); err == nil {
			log.Warn("%s: removed XDP program \"%s\", which an AF_XDP user left behind", d.Name(), info.Name)
			return nil
		}
	}
	return &netdev.ConfigError{Err: unix.EBUSY, Text: fmt.Sprintf(
		"%s: another user's XDP program \"%s\" (id %d) is attached", d.Name(), info.Name, l.XDPProg)}
}

// xdpAttachedSkb is XDP_ATTACHED_SKB of linux/if_link.h.
const xdpAttachedSkb = 2

// beginPromisc makes the link promiscuous for as long as the socket is open.
func (d *Device) beginPromisc() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("promiscuous mode: %w", err)
	}
	err = unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
		&unix.PacketMreq{Ifindex: int32(d.Ifindex()), Type: unix.PACKET_MR_PROMISC})
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("promiscuous mode: %w", err)
	}
	d.promisc = fd
	return nil
}

// stop detaches the program, closes the sockets and takes all frames back.
func (d *Device) stop() {
	if d.redirect != nil {
		log.Info("%s: Removing xdp program.", d.Name())
		if err := d.redirect.Close(); err != nil {
			log.Warn("%s: %s", d.Name(), err)
		}
		d.redirect = nil
	}
	if d.promisc >= 0 {
		unix.Close(d.promisc)
		d.promisc = -1
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.pool.NewCache(64)
	for i, x := range d.xsks {
		d.dom.forget(x)
		x.close()
		d.lost.rx += d.rx[i].dropped.load()
		d.lost.tx += d.tx[i].dropped.load()
		d.rx[i].freeAll(c)
		d.tx[i].freeAll(c)
	}
	c.Close()
	d.xsks, d.rx, d.tx, d.rxqs, d.txqs = nil, nil, nil, nil, nil
	d.dom, d.mode = nil, modeUnspec
}

// Close implements netdev.Device.
func (d *Device) Close(bool) error {
	d.stop()
	d.CloseLink()
	return nil
}

// RxQueues implements netdev.Device.
func (d *Device) RxQueues() []netdev.RxQueue { return d.rxqs }

// TxQueues implements netdev.Device.
func (d *Device) TxQueues() []netdev.TxQueue { return d.txqs }

// IsPMD implements netdev.Device.
func (d *Device) IsPMD() bool { return d.pmd }

// TxCaps implements netdev.TxCapser.
func (d *Device) TxCaps() netdev.TxCaps {
	if d.dom == nil {
		return netdev.TxCaps{}
	}
	return netdev.TxCaps{Csum: d.txMeta(), MultiSeg: d.dom.multiBuf}
}

// maxMTU is the largest packet that fits in one frame behind its Ethernet header
// and a tag.
const maxMTU = packet.FrameSize - packet.Headroom - 18

// SetMTU implements netdev.Device.  Before the queues are open it is not known
// whether the kernel has multi-buffer; then start warns.
func (d *Device) SetMTU(mtu int) error {
	if mtu > maxMTU && (d.dom != nil && !d.dom.multiBuf || bpf.Missing(bpf.MultiBuffer)) {
		return fmt.Errorf("%s: set MTU %d: %w", d.Name(), mtu, unix.EINVAL)
	}
	return d.Device.SetMTU(mtu)
}

// Stats implements netdev.Device: the kernel's counters and what the queues
// dropped.
func (d *Device) Stats() netdev.Stats {
	s := d.Device.Stats()
	if s.RxDropped == netdev.Unsupported {
		return s
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.RxDropped += d.lost.rx
	s.TxDropped += d.lost.tx
	for i := range d.rx {
		s.RxDropped += d.rx[i].dropped.load()
		s.TxDropped += d.tx[i].dropped.load()
	}
	return s
}

// CustomStats implements netdev.Device: the kernel's counters of each socket.
func (d *Device) CustomStats() []netdev.Counter {
	d.mu.Lock()
	defer d.mu.Unlock()
	var cs []netdev.Counter
	for i, x := range d.xsks {
		s, err := statistics(x.fd)
		if err != nil {
			continue
		}
		prefix := "xsk_queue_" + strconv.Itoa(i) + "_"
		cs = append(cs,
			netdev.Counter{Name: prefix + "rx_dropped", Value: s.Rx_dropped},
			netdev.Counter{Name: prefix + "rx_invalid_descs", Value: s.Rx_invalid_descs},
			netdev.Counter{Name: prefix + "tx_invalid_descs", Value: s.Tx_invalid_descs},
			netdev.Counter{Name: prefix + "rx_ring_full", Value: s.Rx_ring_full},
			netdev.Counter{Name: prefix + "rx_fill_ring_empty_descs", Value: s.Rx_fill_ring_empty_descs},
			netdev.Counter{Name: prefix + "tx_ring_empty_descs", Value: s.Tx_ring_empty_descs})
	}
	return cs
}
