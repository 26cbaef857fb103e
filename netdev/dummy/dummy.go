// Package dummy is the network devices that exist only inside the process:
// types "dummy", "dummy-internal" and "dummy-pmd".
//
// Open vSwitch's own test suite drives the switch with them: packets come in by
// `ovs-appctl netdev-dummy/receive` or over a stream connection to another dummy
// device, and go out to pcap files and streams.  cmd/ovs-vswitchd registers them
// (Enable) when started with --enable-dummy and offers the commands of
// commands.go; nothing here parses flows or touches the system's interfaces.
package dummy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/internal/clock"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/netdev"
)

var log = vlog.New("netdev_dummy")

const (
	minMTU    = 68
	maxMTU    = 65535
	maxQueues = 1024 // queues of a dummy-pmd
)

// noIfindex is what Ifindex answers without options:ifindex.
const noIfindex = -int(unix.EOPNOTSUPP)

// wall gives pcap records their time.
var wall atomic.Pointer[clock.Clock]

// SetClock installs the clock whose wall time pcap records carry; records say
// zero without one.
func SetClock(c clock.Clock) { wall.Store(&c) }

// lastMAC numbers the devices in the order of their creation, from 1: stock's number
// 0 is the device of the datapath itself, which there is none of here, and tests know
// the addresses of the others.
var lastMAC atomic.Uint32

// Level says which types of devices become dummies.
type Level int

// Levels of Enable, by the argument of --enable-dummy.
const (
	LevelPlain          Level = iota // only the types "dummy…" are added
	LevelOverrideSystem              // "system" as well
	LevelOverride                    // all registered types but "patch"
)

// ParseLevel reads the argument of --enable-dummy ("" without one).
func ParseLevel(arg string) (Level, bool) {
	switch arg {
	case "":
		return LevelPlain, true
	case "system":
		return LevelOverrideSystem, true
	case "override":
		return LevelOverride, true
	}
	return 0, false
}

// Enable registers the dummy types.  Classes that the level overrides must be
// registered before; tunnels that shall stay real, after.
func Enable(level Level) {
	switch level {
	case LevelOverride:
		for _, typ := range netdev.Types() {
			if typ != "patch" {
				netdev.Override(class(typ, false))
			}
		}
	case LevelOverrideSystem:
		netdev.Override(class("system", false))
	}
	netdev.Register(class("dummy", false))
	netdev.Register(class("dummy-internal", false))
	netdev.Register(class("dummy-pmd", true))
}

func class(typ string, pmd bool) netdev.Class {
	return netdev.Class{Type: typ, Open: func(name string) (netdev.Device, error) {
		return newDevice(name, typ, pmd), nil
	}}
}

// Device is a dummy device.
//
// Thread-safety: as netdev.Device.  mu guards what polling threads share with
// the control thread; a polling thread holds it for one packet.
type Device struct {
	netdev.Base
	pmd bool

	mu      sync.Mutex
	mac     netdev.MAC   // guarded by mu, as are all below
	mtu     int          //
	up      bool         //
	ifindex int          // options:ifindex, noIfindex without
	numa    int          // in force
	ip4     netip.Prefix // answers ARP requests for its address
	ip6     netip.Prefix //
	stats   queueStats   // receive side of the device
	txStats queueStats   // send side of the device
	rxqs    []*rxQueue   //
	txqs    []*txQueue   //
	conn    conn         // stream or pstream
	flows   []netdev.OffloadFlow
	txPcap  *pcapFile // nil: none
	rxPcap  *pcapFile // nil: none; may be txPcap
	want    struct {  // dummy-pmd: takes effect in Reconfigure
		nRxq, nTxq, numa int
	}
	pending bool // want differs from what is in force
	rx      []netdev.RxQueue
	tx      []netdev.TxQueue
}

// queueStats count what passed a queue.
type queueStats struct{ bytes, packets uint64 }

func (s *queueStats) add(size int) {
	s.packets++
	s.bytes += uint64(size)
}

func newDevice(name, typ string, pmd bool) *Device {
	n := lastMAC.Add(1)
	d := &Device{
		pmd: pmd, mtu: 1500, up: true, ifindex: noIfindex,
		mac: netdev.MAC{0xaa, 0x55, 0xaa, 0x55 + byte(n>>16), byte(n >> 8), byte(n)},
	}
	d.Init(name, typ)
	d.want.nRxq, d.want.nTxq = 1, 1
	d.setQueuesLocked(1, 1)
	return d
}

// setQueuesLocked makes new queues and forgets packets and counters of the old.
func (d *Device) setQueuesLocked(nRxq, nTxq int) {
	for _, q := range d.rxqs {
		q.close()
	}
	d.rxqs, d.rx = make([]*rxQueue, nRxq), make([]netdev.RxQueue, nRxq)
	for i := range d.rxqs {
		d.rxqs[i] = newRxQueue(d, i)
		d.rx[i] = d.rxqs[i]
	}
	d.txqs, d.tx = make([]*txQueue, nTxq), make([]netdev.TxQueue, nTxq)
	for i := range d.txqs {
		d.txqs[i] = &txQueue{dev: d}
		d.tx[i] = d.txqs[i]
	}
	d.stats, d.txStats = queueStats{}, queueStats{}
}

// SetConfig implements netdev.Device.  Unknown options are ignored, as are
// values that are no numbers.
func (d *Device) SetConfig(options map[string]string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ifindex = intOption(options, "ifindex", noIfindex)
	d.conn.configure(options)
	d.openPcapLocked(options)
	d.Changed()
	if !d.pmd {
		return nil
	}
	nRxq := max(intOption(options, "n_rxq", 1), 1)
	nTxq := max(intOption(options, "n_txq", 1), 1)
	if nRxq > maxQueues || nTxq > maxQueues {
		log.Warn("%s: rxq %d or txq %d exceeds %d queues, using %d",
			d.Name(), nRxq, nTxq, maxQueues, maxQueues)
		nRxq, nTxq = min(nRxq, maxQueues), min(nTxq, maxQueues)
	}
	numa := intOption(options, "numa_id", 0)
	if nRxq != d.want.nRxq || nTxq != d.want.nTxq || numa != d.want.numa {
		d.want.nRxq, d.want.nTxq, d.want.numa = nRxq, nTxq, numa
		d.pending = true
	}
	return nil
}

func intOption(options map[string]string, key string, def int) int {
	if n, err := strconv.ParseInt(strings.TrimSpace(options[key]), 0, 32); err == nil {
		return int(n)
	}
	return def
}

// openPcapLocked opens the capture files anew, so that a file that a test
// removed comes back.
func (d *Device) openPcapLocked(options map[string]string) {
	d.closePcapLocked()
	if path := options["pcap"]; path != "" {
		d.rxPcap = openPcap(path)
		d.txPcap = d.rxPcap
		return
	}
	if path := options["rxq_pcap"]; path != "" {
		d.rxPcap = openPcap(path)
	}
	if path := options["tx_pcap"]; path != "" {
		d.txPcap = openPcap(path)
	}
}

func (d *Device) closePcapLocked() {
	d.rxPcap.close()
	if d.txPcap != d.rxPcap {
		d.txPcap.close()
	}
	d.rxPcap, d.txPcap = nil, nil
}

// Config implements netdev.Device.
func (d *Device) Config() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := map[string]string{}
	if d.ifindex >= 0 {
		c["ifindex"] = strconv.Itoa(d.ifindex)
	}
	d.conn.config(c)
	if d.pmd {
		c["requested_rx_queues"] = strconv.Itoa(d.want.nRxq)
		c["configured_rx_queues"] = strconv.Itoa(len(d.rxqs))
		c["requested_tx_queues"] = strconv.Itoa(d.want.nTxq)
		c["configured_tx_queues"] = strconv.Itoa(len(d.txqs))
	}
	return c
}

// NeedsReconfigure implements netdev.Device.
func (d *Device) NeedsReconfigure() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pending
}

// Reconfigure implements netdev.Device.  A change of the number of queues resets
// all counters, so that those of the queues and of the device agree.
func (d *Device) Reconfigure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.pending {
		return nil
	}
	d.pending = false
	d.numa = d.want.numa
	if d.want.nRxq != len(d.rxqs) || d.want.nTxq != len(d.txqs) {
		d.setQueuesLocked(d.want.nRxq, d.want.nTxq)
	}
	return nil
}

// Close implements netdev.Device.
func (d *Device) Close(bool) error {
	d.Release()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn.close()
	d.closePcapLocked()
	for _, q := range d.rxqs {
		q.close()
	}
	return nil
}

// RxQueues implements netdev.Device.
func (d *Device) RxQueues() []netdev.RxQueue { return d.rx }

// TxQueues implements netdev.Device.
func (d *Device) TxQueues() []netdev.TxQueue { return d.tx }

// IsPMD implements netdev.Device.
func (d *Device) IsPMD() bool { return d.pmd }

// NUMA implements netdev.Device.
func (d *Device) NUMA() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.numa
}

// EtherAddr implements netdev.Device.
func (d *Device) EtherAddr() netdev.MAC {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mac
}

// SetEtherAddr implements netdev.Device.
func (d *Device) SetEtherAddr(mac netdev.MAC) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mac != mac {
		d.mac = mac
		d.Changed()
	}
	return nil
}

// MTU implements netdev.Device.
func (d *Device) MTU() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mtu
}

// SetMTU implements netdev.Device.
func (d *Device) SetMTU(mtu int) error {
	if mtu < minMTU || mtu > maxMTU {
		return fmt.Errorf("%s: set MTU %d: %w", d.Name(), mtu, unix.EINVAL)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mtu != mtu {
		d.mtu = mtu
		d.Changed()
	}
	return nil
}

// Ifindex implements netdev.Device.
func (d *Device) Ifindex() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ifindex
}

// Carrier implements netdev.Device: there is one while the device is up.
func (d *Device) Carrier() bool { return d.AdminUp() }

// AdminUp implements netdev.Device.
func (d *Device) AdminUp() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.up
}

// SetAdminUp implements netdev.Device.
func (d *Device) SetAdminUp(up bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.up != up {
		d.up = up
		d.Changed()
	}
	return nil
}

// Addrs returns the addresses that ip4addr and ip6addr commands gave the device.
func (d *Device) Addrs() []netip.Prefix {
	d.mu.Lock()
	defer d.mu.Unlock()
	var addrs []netip.Prefix
	for _, p := range [...]netip.Prefix{d.ip4, d.ip6} {
		if p.IsValid() {
			addrs = append(addrs, p)
		}
	}
	return addrs
}

// Stats implements netdev.Device.
func (d *Device) Stats() netdev.Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := netdev.NoStats()
	s.RxPackets, s.RxBytes = d.stats.packets, d.stats.bytes
	s.TxPackets, s.TxBytes = d.txStats.packets, d.txStats.bytes
	return s
}

// CustomStats implements netdev.Device: two made-up counters that follow the
// received packets, and one pair a queue.
func (d *Device) CustomStats() []netdev.Counter {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := []netdev.Counter{
		{Name: "rx_custom_packets_1", Value: d.stats.packets},
		{Name: "rx_custom_packets_2", Value: d.stats.packets},
	}
	add := func(dir string, i int, s queueStats) {
		prefix := dir + "_q" + strconv.Itoa(i)
		c = append(c, netdev.Counter{Name: prefix + "_bytes", Value: s.bytes},
			netdev.Counter{Name: prefix + "_packets", Value: s.packets})
	}
	for i, q := range d.rxqs {
		add("rx", i, q.stats)
	}
	for i, q := range d.txqs {
		add("tx", i, q.stats)
	}
	return c
}

// Run implements netdev.Device: it moves packets between the stream connections
// and the queues.
func (d *Device) Run(now int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn.run(d, now)
}

// Wait implements netdev.Device.
func (d *Device) Wait(s *poll.Set) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn.wait(d, s)
}
