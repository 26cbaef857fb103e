// Package vhostuser is the network devices behind which virtual machines live: the
// back end of vhost-user, in which guest and switch share memory and pass packets by
// virtqueues (Virtio 1.2), split or packed.
//
// The types are "dpdkvhostuserclient" and "vhostuserclient" (the switch connects to
// options:vhost-server-path and goes on trying) and "dpdkvhostuser" and "vhostuser"
// (the switch listens in other_config:vhost-sock-dir under the port's name).  A
// goroutine of each device answers the front end's messages; polling threads copy
// packets between guest memory and the datapath's frames, one copy each way.
//
// Nothing that a guest or front end says is trusted: indices, addresses and lengths
// are read once, checked, and then used.  One that breaks the rules loses its
// connection, with a log line and a counter; the rest of the switch goes on.
//
// Live migration, in-flight recovery and IOMMU are not offered.
package vhostuser

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/internal/coverage"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/netdev"
)

var (
	log        = vlog.New("netdev_vhost")
	rl         = vlog.NewLimiter(5, 20)
	rlSession  = vlog.NewLimiter(120, 120)
	cViolation = coverage.New("vhost_protocol_violation")
)

var (
	errStopped = errors.New("device is closed")
	errMoved   = errors.New("vhost-server-path changed")
)

// sockDir is where listening sockets are made.
var sockDir atomic.Pointer[string]

// SetSocketDir sets other_config:vhost-sock-dir, an absolute directory, for devices
// opened from now on.
func SetSocketDir(dir string) { sockDir.Store(&dir) }

// Register registers the four types.
func Register() {
	for _, typ := range []string{"dpdkvhostuser", "vhostuser", "dpdkvhostuserclient", "vhostuserclient"} {
		client := typ == "dpdkvhostuserclient" || typ == "vhostuserclient"
		netdev.Register(netdev.Class{Type: typ, Open: func(name string) (netdev.Device, error) { return open(name, typ, client) }})
	}
}

// Device is a vhost-user port.
//
// Thread-safety: as netdev.Device; the session's goroutine shares rings by their
// locks.  mu guards what both it and the control thread use; no ring's lock is taken
// while it is held.
type Device struct {
	netdev.Base
	client bool
	rxqs   []netdev.RxQueue
	txqs   []netdev.TxQueue

	mu      sync.Mutex
	path    string  // guarded by mu, as are all below
	rings   []*ring // by their number in the protocol; nil: not in use
	started bool
	mac     netdev.MAC
	up      bool

	mtu       atomic.Int64
	maxPairs  atomic.Int64 // queue pairs that the front end may have
	wantPairs atomic.Int64 // queue pairs that it has
	retries   atomic.Int64

	features  atomic.Uint64 // negotiated
	guestMTU  atomic.Int64  // what the front end told, 0: nothing
	node      atomic.Int64  // NUMA node of guest memory
	connected atomic.Bool
	carrier   atomic.Bool
	resets    atomic.Uint64
	lastError atomic.Pointer[string]
	fault     atomic.Pointer[error] // what a polling thread met

	policer netdev.Policer

	unsent     atomic.Uint64 // packets for a guest that was not there
	violations atomic.Uint64

	quit    *poll.Event // the device is closed
	faulty  *poll.Event // a polling thread met a violation: end the session
	changed *poll.Event // for the control thread
	ended   chan struct{}

	listener int // of the types that listen
	retryMs  int
}

var _ netdev.Policed = (*Device)(nil)

// SetPolicing implements netdev.Policed.
func (d *Device) SetPolicing(p netdev.Policing) error {
	d.policer.Set(p)
	return nil
}

// Policer implements netdev.Policed.
func (d *Device) Policer() *netdev.Policer { return &d.policer }

func open(name, typ string, client bool) (netdev.Device, error) {
	d := &Device{client: client, up: true, mac: macFor(name),
		quit: poll.NewEvent(), faulty: poll.NewEvent(), changed: poll.NewEvent(), ended: make(chan struct{}), retryMs: retryMs}
	d.mtu.Store(1500)
	d.retries.Store(defaultRetries)
	d.maxPairs.Store(maxPairs)
	d.wantPairs.Store(1)
	d.Init(name, typ)
	d.setQueues(1)
	if !client {
		if name == "" || filepath.Base(name) != name {
			return nil, fmt.Errorf("%s: not a name for a socket: %w", name, unix.EINVAL)
		}
		dir := "/var/run/openvswitch"
		if p := sockDir.Load(); p != nil {
			dir = *p
		}
		d.path = filepath.Join(dir, name)
		var err error
		if d.listener, err = listen(d.path); err != nil {
			d.Close(false)
			return nil, fmt.Errorf("%s: cannot listen on %s: %w", name, d.path, err)
		}
		log.Info("%s: socket %s created, waiting for a front end", name, d.path)
		d.start()
	}
	return d, nil
}

// macFor is a locally administered address that stays the same for a name.
func macFor(name string) netdev.MAC {
	h := uint64(14695981039346656037)
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return netdev.MAC{0x02, byte(h >> 32), byte(h >> 24), byte(h >> 16), byte(h >> 8), byte(h)}
}

// setQueues makes n pairs of queues, whose rings may run already.
func (d *Device) setQueues(n int) {
	d.rxqs, d.txqs = nil, nil
	var tx []*ring
	for i := range n {
		tx = append(tx, d.ring(2*i))
	}
	for i := range n {
		d.rxqs = append(d.rxqs, newRxQueue(d, i))
		d.txqs = append(d.txqs, newTxQueue(d, i, tx))
	}
}

// ring is the ring with a number of the protocol: 2N the guest's receive ring of pair
// N, 2N+1 its transmit ring.  It is made when it is first asked for, and stays.
func (d *Device) ring(index int) *ring {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.rings) <= index {
		d.rings = append(d.rings, nil)
	}
	if d.rings[index] == nil {
		d.rings[index] = newRing()
	}
	return d.rings[index]
}

// madeRings are all rings, with nil between them.
func (d *Device) madeRings() []*ring {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.rings)
}

// linkChanged works out the carrier: both rings of the first pair run.  A guest that
// has come up with another number of queue pairs gets queues for them.
func (d *Device) linkChanged(pairs int) {
	up := d.ring(0).live.Load() && d.ring(1).live.Load()
	was := d.carrier.Swap(up)
	if up {
		d.note("")
		d.wantPairs.Store(max(1, min(int64(pairs), d.maxPairs.Load())))
	}
	if up != was {
		d.resets.Add(1)
		log.InfoRL(rlSession, "%s: link is %s", d.Name(), map[bool]string{true: "up", false: "down"}[up])
	}
	d.notify()
}

// notify tells the control thread that something changed.
func (d *Device) notify() {
	d.Changed()
	d.changed.Set()
}

// Run implements netdev.Device.
func (d *Device) Run(int64) { d.changed.Reset() }

// Wait implements netdev.Device.
func (d *Device) Wait(s *poll.Set) { d.changed.Wait(s) }

// start begins the goroutine of the device, once.
func (d *Device) start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.started {
		d.started = true
		go d.loop()
	}
}

// Defaults and limits of options.
const (
	defaultRetries = 8
	maxRetries     = 32
)

// SetConfig implements netdev.Device.
func (d *Device) SetConfig(o map[string]string) error {
	retries, ok := number(o["tx-retries-max"], defaultRetries, 0, maxRetries)
	if !ok {
		log.Warn("%s: tx-retries-max %q is not between 0 and %d", d.Name(), o["tx-retries-max"], maxRetries)
	}
	pairs, ok := number(o["vhost-max-queue-pairs"], maxPairs, 1, maxPairs)
	if !ok {
		return netdev.NewConfigError("%s: vhost-max-queue-pairs is not between 1 and %d", d.Name(), maxPairs)
	}
	d.retries.Store(retries)
	d.maxPairs.Store(pairs)
	if d.wantPairs.Load() > pairs {
		d.wantPairs.Store(pairs)
	}
	if d.client {
		return d.setPath(o["vhost-server-path"])
	}
	return nil
}

// number reads an option; what is wrong gives the default and false.
func number(text string, def, least, most int64) (int64, bool) {
	if text == "" {
		return def, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		return def, false
	}
	return n, true
}

// setPath begins to connect to a path; a front end at another one is left.
func (d *Device) setPath(path string) error {
	d.mu.Lock()
	moved := d.started && path != d.path
	d.path = path
	d.mu.Unlock()
	switch {
	case moved:
		d.fault.Store(&errMoved)
		d.faulty.Set()
	case path != "":
		d.start()
	}
	return nil
}

// Config implements netdev.Device.
func (d *Device) Config() map[string]string {
	return map[string]string{"requested_rx_queues": strconv.Itoa(len(d.rxqs)), "requested_tx_queues": strconv.Itoa(len(d.txqs))}
}

// Close implements netdev.Device.
func (d *Device) Close(bool) error {
	d.quit.Set()
	d.mu.Lock()
	started := d.started
	d.mu.Unlock()
	if started {
		<-d.ended
	}
	for _, r := range d.madeRings() {
		if r != nil && r.ep >= 0 {
			unix.Close(r.ep)
			r.ep = -1
		}
	}
	for _, e := range []*poll.Event{d.quit, d.faulty, d.changed} {
		e.Close()
	}
	d.Release()
	return nil
}

// violated is called by a polling thread that met a violation: its ring, which is
// locked, stands still and the session ends.
func (d *Device) violated(r *ring, err error) {
	r.stop()
	d.fault.Store(&err)
	d.faulty.Set()
}

// Status implements netdev.Device, with the keys of the DPDK ports.
func (d *Device) Status() map[string]string {
	out := map[string]string{"mode": "server", "status": "disconnected"}
	if d.client {
		out["mode"] = "client"
	}
	if e := d.lastError.Load(); e != nil && *e != "" {
		out["last_error"] = *e
	}
	if !d.connected.Load() {
		return out
	}
	out["status"] = "connected"
	out["socket"] = d.socket()
	f := d.features.Load()
	out["features"] = fmt.Sprintf("0x%016x", f)
	if mtu := d.guestMTU.Load(); mtu != 0 && f&featMTU != 0 {
		out["mtu"] = strconv.FormatInt(mtu, 10)
	}
	out["numa"] = strconv.FormatInt(d.node.Load(), 10)
	n := 0
	for i, r := range d.madeRings() {
		if r == nil {
			continue
		}
		r.mu.Lock()
		if r.size != 0 {
			out[fmt.Sprintf("vring_%d_size", i)] = strconv.Itoa(int(r.size))
			n++
		}
		r.mu.Unlock()
	}
	if n > 0 {
		out["num_of_vrings"] = strconv.Itoa(n)
	}
	return out
}

// IsPMD implements netdev.Device.
func (d *Device) IsPMD() bool { return true }

// RxQueues implements netdev.Device.
func (d *Device) RxQueues() []netdev.RxQueue { return d.rxqs }

// TxQueues implements netdev.Device.
func (d *Device) TxQueues() []netdev.TxQueue { return d.txqs }

// NUMA implements netdev.Device.
func (d *Device) NUMA() int { return int(d.node.Load()) }

// NeedsReconfigure implements netdev.Device.
func (d *Device) NeedsReconfigure() bool { return int(d.wantPairs.Load()) != len(d.rxqs) }

// Reconfigure implements netdev.Device.
func (d *Device) Reconfigure() error {
	if d.NeedsReconfigure() {
		d.setQueues(int(d.wantPairs.Load()))
	}
	return nil
}

// TxCaps implements netdev.TxCapser: what the guest of the moment does not take, the
// queue undoes.
func (d *Device) TxCaps() netdev.TxCaps {
	return netdev.TxCaps{Csum: true, TSO: true, MultiSeg: true}
}

// EtherAddr implements netdev.Device.
func (d *Device) EtherAddr() netdev.MAC { d.mu.Lock(); defer d.mu.Unlock(); return d.mac }

// SetEtherAddr implements netdev.Device.
func (d *Device) SetEtherAddr(m netdev.MAC) error {
	d.mu.Lock()
	d.mac = m
	d.mu.Unlock()
	d.notify()
	return nil
}

// MTU implements netdev.Device.
func (d *Device) MTU() int { return int(d.mtu.Load()) }

// SetMTU implements netdev.Device.
func (d *Device) SetMTU(n int) error {
	if n < 68 || n > 65535 {
		return unix.EINVAL
	}
	d.mtu.Store(int64(n))
	d.notify()
	return nil
}

// Ifindex implements netdev.Device: there is none.
func (d *Device) Ifindex() int { return 0 }

// Carrier implements netdev.Device: the guest's driver runs.
func (d *Device) Carrier() bool { return d.carrier.Load() }

// CarrierResets implements netdev.Device.
func (d *Device) CarrierResets() uint64 { return d.resets.Load() }

// AdminUp implements netdev.Device.
func (d *Device) AdminUp() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.up }

// SetAdminUp implements netdev.Device.
func (d *Device) SetAdminUp(up bool) error {
	d.mu.Lock()
	d.up = up
	d.mu.Unlock()
	d.notify()
	return nil
}

var _ netdev.TxCapser = (*Device)(nil)
