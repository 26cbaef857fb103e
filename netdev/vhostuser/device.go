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
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/internal/coverage"
	"sluice/internal/errno"
	"sluice/internal/fatal"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/netdev"
)

var (
	log        = vlog.New("netdev_vhost")
	rl         = vlog.NewLimiter(5, 20)
	cViolation = coverage.New("vhost_protocol_violation")
)

var errStopped = errors.New("device is closed")

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

// pair is two rings: rx the one that the guest sends by, tx the one that it receives
// by.
type pair struct{ rx, tx ring }

// Device is a vhost-user port.
//
// Thread-safety: as netdev.Device; the session's goroutine shares rings by their
// locks, and mu guards what both it and the control thread use.
type Device struct {
	netdev.Base
	client bool
	rxqs   []netdev.RxQueue
	txqs   []netdev.TxQueue

	mu       sync.Mutex
	path     string        // guarded by mu, as are all below
	pairs    []*pair       //
	spares   map[int]*ring // rings beyond those that are used
	features uint64        //
	started  bool          //
	mac      netdev.MAC    //
	up       bool          //

	mtu       atomic.Int64
	wantPairs int
	retries   atomic.Int64
	quit      *poll.Event
	ended     chan struct{}
	connected atomic.Bool
	carrier   atomic.Bool
	resets    atomic.Uint64
	hdrLen    atomic.Int64
	mergeable atomic.Bool
	faulty    *poll.Event // a polling thread met a violation: end the session
	lastError atomic.Pointer[string]
	stats     stats
}

// stats count; rx is what the guest sent.
type stats struct {
	rxPackets, rxBytes, txPackets, txBytes atomic.Uint64
	txDropped, txRetries, violations       atomic.Uint64
}

func open(name, typ string, client bool) (netdev.Device, error) {
	d := &Device{client: client, spares: map[int]*ring{}, wantPairs: 1, up: true,
		quit: poll.NewEvent(), faulty: poll.NewEvent(), ended: make(chan struct{})}
	d.mtu.Store(1500)
	d.retries.Store(8)
	d.hdrLen.Store(12)
	d.Init(name, typ)
	d.mac = macFor(name)
	d.setPairs(1)
	if !client {
		if name == "" || filepath.Base(name) != name {
			return nil, fmt.Errorf("%s: not a name for a socket: %w", name, unix.EINVAL)
		}
		dir := "/var/run/openvswitch"
		if p := sockDir.Load(); p != nil {
			dir = *p
		}
		d.path = filepath.Join(dir, name)
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

// setPairs makes n pairs of queues.
func (d *Device) setPairs(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.pairs) < n {
		p := &pair{}
		p.rx.init()
		p.tx.init()
		d.pairs = append(d.pairs, p)
	}
	d.pairs = d.pairs[:n]
	d.rxqs, d.txqs = nil, nil
	for i, p := range d.pairs {
		d.rxqs = append(d.rxqs, newRxQueue(d, i, &p.rx))
		d.txqs = append(d.txqs, &txQueue{d: d, r: &p.tx, chains: make([]chain, maxMerge)})
	}
}

// rings are the rings in use, as the protocol numbers them: 2N the guest's receive
// ring of pair N, 2N+1 its transmit ring.
func (d *Device) rings() []*ring {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []*ring
	for _, p := range d.pairs {
		out = append(out, &p.tx, &p.rx)
	}
	return out
}

// spareRing is a ring that the front end sets up beyond the pairs in use.
func (d *Device) spareRing(index int) *ring {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.spares[index]
	if r == nil {
		r = &ring{}
		r.init()
		d.spares[index] = r
	}
	return r
}

func (d *Device) allRings() []*ring {
	out := d.rings()
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range 2 * maxVringPair {
		if r := d.spares[i]; r != nil {
			out = append(out, r)
		}
	}
	return out
}

// setFeatures takes what was negotiated into use.
func (d *Device) setFeatures(v uint64) {
	d.mu.Lock()
	d.features = v
	d.mu.Unlock()
	d.mergeable.Store(v&featMrgRxbuf != 0)
	if v&(featMrgRxbuf|featVersion1) != 0 {
		d.hdrLen.Store(12)
	} else {
		d.hdrLen.Store(10)
	}
	d.Changed()
}

// linkChanged works out the carrier: both rings of the first pair run.
func (d *Device) linkChanged() {
	rings := d.rings()
	up := true
	for _, r := range rings[:2] {
		up = up && r.isRunning()
	}
	if d.carrier.Swap(up) != up {
		d.resets.Add(1)
	}
	d.Changed()
}

// isRunning may be called with the ring locked or not.
func (r *ring) isRunning() bool { return r.live.Load() }

// start begins the goroutine of the device, once.
func (d *Device) start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.started {
		d.started = true
		go d.loop(d.path)
	}
}

// SetConfig implements netdev.Device.
func (d *Device) SetConfig(o map[string]string) error {
	if v := o["tx-retries-max"]; v != "" {
		if n, err := strconv.Atoi(v); err == nil && n >= 0 && n <= 32 {
			d.retries.Store(int64(n))
		} else {
			log.Warn("%s: tx-retries-max %q is not between 0 and 32", d.Name(), v)
		}
	} else {
		d.retries.Store(8)
	}
	pairs := 1
	if v := o["vhost-max-queue-pairs"]; v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxPairs {
			return fmt.Errorf("%s: vhost-max-queue-pairs %q is not between 1 and %d", d.Name(), v, maxPairs)
		}
		pairs = n
	}
	d.wantPairs = pairs
	if !d.client {
		return nil
	}
	path := o["vhost-server-path"]
	d.mu.Lock()
	started, old := d.started, d.path
	d.mu.Unlock()
	switch {
	case started && path != old:
		return fmt.Errorf("%s: vhost-server-path cannot change: %w", d.Name(), unix.EBUSY)
	case path == "":
		return nil // nothing to connect to yet
	}
	d.mu.Lock()
	d.path = path
	d.mu.Unlock()
	if d.wantPairs != len(d.rxqs) {
		d.setPairs(d.wantPairs)
	}
	d.start()
	return nil
}

// maxPairs is the most queue pairs of a port.
const maxPairs = 16

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
	for _, q := range d.rxqs {
		q.(*rxQueue).close()
	}
	d.Release()
	return nil
}

// waitFor waits for a descriptor; false means that the device is closed, a polling
// thread met a violation, or ms passed (-1: no limit).
func (d *Device) waitFor(fd int, events int16, ms int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}, {Fd: int32(d.quit.Fd()), Events: unix.POLLIN}, {Fd: int32(d.faulty.Fd()), Events: unix.POLLIN}}
	if fd < 0 {
		fds = fds[1:2]
	}
	for {
		n, err := unix.Poll(fds, ms)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return false
		}
		for _, f := range fds[len(fds)-min(len(fds), 2):] {
			if (fd < 0 || f.Fd != int32(fd)) && f.Revents != 0 {
				return false
			}
		}
		return true
	}
}

// retryMs is how long a client waits before it tries to connect again.
const retryMs = 500

// loop makes connections, one at a time, until the device is closed.
func (d *Device) loop(path string) {
	defer close(d.ended)
	listener := -1
	if !d.client {
		var err error
		if listener, err = listen(path); err != nil {
			log.Err("%s: cannot listen on %s: %s", d.Name(), path, errno.Text(err))
			d.note("cannot listen: " + errno.Text(err))
			return
		}
		defer func() {
			unix.Close(listener)
			fatal.Forget(path)
			os.Remove(path)
		}()
		log.Info("%s: socket %s created, waiting for a front end", d.Name(), path)
	}
	for !d.stopped() {
		fd, err := d.connect(listener, path)
		if err != nil {
			d.note(errno.Text(err))
			d.waitFor(-1, 0, retryMs)
			continue
		}
		d.faulty.Reset()
		d.session(fd)
	}
}

func (d *Device) stopped() bool {
	fds := []unix.PollFd{{Fd: int32(d.quit.Fd()), Events: unix.POLLIN}}
	n, _ := unix.Poll(fds, 0)
	return n > 0
}

func (d *Device) note(s string) { d.lastError.Store(&s) }

func listen(path string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSocket != 0 {
		os.Remove(path) // left by an earlier process
	}
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err == nil {
		fatal.Add(path)
		err = unix.Listen(fd, 1)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// connect waits for a front end, or tries to reach it.
func (d *Device) connect(listener int, path string) (int, error) {
	if !d.client {
		if !d.waitFor(listener, unix.POLLIN, -1) {
			d.faulty.Reset()
			return -1, errStopped
		}
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		return fd, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// session serves one connection to its end.
func (d *Device) session(fd int) {
	s := &session{d: d, fd: fd}
	d.connected.Store(true)
	d.Changed()
	log.Info("%s: front end connected", d.Name())
	err := s.serve()
	if d.faulty.Reset() {
		err = violation("%s", *d.lastError.Load())
	}
	s.end()
	d.connected.Store(false)
	d.Changed()
	if errors.Is(err, errProtocol) {
		cViolation.Inc()
		d.stats.violations.Add(1)
		d.note(err.Error())
		log.WarnRL(rl, "%s: connection to the front end is cut: %v", d.Name(), err)
		return
	}
	log.Info("%s: front end disconnected (%v)", d.Name(), err)
}

// violated is called by a polling thread that met a violation: its ring stands still
// and the session ends.
func (d *Device) violated(r *ring, err error) {
	r.stop()
	d.note(err.Error())
	d.faulty.Set()
}

// Status implements netdev.Device, with the keys of the DPDK ports.
func (d *Device) Status() map[string]string {
	d.mu.Lock()
	features, path := d.features, d.path
	d.mu.Unlock()
	out := map[string]string{"mode": "server", "status": "disconnected", "socket": path}
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
	out["features"] = fmt.Sprintf("0x%016x", features)
	n := 0
	for i, r := range d.rings() {
		r.mu.Lock()
		if r.running {
			out[fmt.Sprintf("vring_%d_size", i)] = strconv.Itoa(int(r.size))
			n++
		}
		r.mu.Unlock()
	}
	out["num_of_vrings"] = strconv.Itoa(n)
	return out
}

// IsPMD implements netdev.Device.
func (d *Device) IsPMD() bool { return true }

// RxQueues implements netdev.Device.
func (d *Device) RxQueues() []netdev.RxQueue { return d.rxqs }

// TxQueues implements netdev.Device.
func (d *Device) TxQueues() []netdev.TxQueue { return d.txqs }

// NeedsReconfigure implements netdev.Device.
func (d *Device) NeedsReconfigure() bool { return d.wantPairs != len(d.rxqs) }

// Reconfigure implements netdev.Device.  The front end is made to connect again, so
// that it sees the new number of queues.
func (d *Device) Reconfigure() error {
	if d.NeedsReconfigure() {
		d.setPairs(d.wantPairs)
		d.note("the number of queues changed")
		d.faulty.Set()
	}
	return nil
}

// TxCaps implements netdev.TxCapser.  What a guest can take is known only once it is
// there; segmentation that it does not want is undone by the queue.
func (d *Device) TxCaps() netdev.TxCaps {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.features
	return netdev.TxCaps{Csum: f&featGuestCSUM != 0, TSO: f&(featGuestTSO4|featGuestTSO6) == featGuestTSO4|featGuestTSO6, MultiSeg: true}
}

// EtherAddr implements netdev.Device.
func (d *Device) EtherAddr() netdev.MAC { d.mu.Lock(); defer d.mu.Unlock(); return d.mac }

// SetEtherAddr implements netdev.Device.
func (d *Device) SetEtherAddr(m netdev.MAC) error {
	d.mu.Lock()
	d.mac = m
	d.mu.Unlock()
	d.Changed()
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
	d.Changed()
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
	d.Changed()
	return nil
}

// Stats implements netdev.Device.
func (d *Device) Stats() netdev.Stats {
	s := netdev.NoStats()
	s.RxPackets, s.RxBytes = d.stats.rxPackets.Load(), d.stats.rxBytes.Load()
	s.TxPackets, s.TxBytes = d.stats.txPackets.Load(), d.stats.txBytes.Load()
	s.TxDropped, s.RxDropped, s.RxErrors = d.stats.txDropped.Load(), 0, d.stats.violations.Load()
	return s
}

// CustomStats implements netdev.Device.
func (d *Device) CustomStats() []netdev.Counter {
	return []netdev.Counter{{Name: "ovs_tx_retries", Value: d.stats.txRetries.Load()}}
}

var _ netdev.TxCapser = (*Device)(nil)
