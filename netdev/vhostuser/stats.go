package vhostuser

import (
	"sluice/netdev"
)

// ringStats counts the packets of one ring; its lock guards them.
type ringStats struct {
	packets, bytes uint64
	sizes          [len(sizeNames)]uint64
	tooLong        uint64 // longer than the MTU allows
	noBuffer       uint64 // guest's buffers full
	errors         uint64 // no packet, a header that was not negotiated, too long for the guest's buffers
	retries        uint64
}

// sizeNames are the ranges of packet sizes as the DPDK ports name them, without rx_ or
// tx_.
var sizeNames = [...]string{"1_to_64", "65_to_127", "128_to_255", "256_to_511", "512_to_1023", "1024_to_1522", "1523_to_max"}

var sizeLimits = [len(sizeNames) - 1]uint32{64, 127, 255, 511, 1023, 1522}

// count notes one packet that passed.
func (s *ringStats) count(size uint32) {
	k := 0
	for k < len(sizeLimits) && size > sizeLimits[k] {
		k++
	}
	s.sizes[k]++
	s.packets++
	s.bytes += uint64(size)
}

func (s *ringStats) add(o *ringStats) {
	s.packets += o.packets
	s.bytes += o.bytes
	s.tooLong += o.tooLong
	s.noBuffer += o.noBuffer
	s.errors += o.errors
	s.retries += o.retries
	for i := range s.sizes {
		s.sizes[i] += o.sizes[i]
	}
}

// sums are the counters of all rings: what the guest sent and what it received.
func (d *Device) sums() (rx, tx ringStats) {
	for i, r := range d.madeRings() {
		if r == nil {
			continue
		}
		r.mu.Lock()
		if i%2 == 1 {
			rx.add(&r.stats)
		} else {
			tx.add(&r.stats)
		}
		r.mu.Unlock()
	}
	return rx, tx
}

// Stats implements netdev.Device.
func (d *Device) Stats() netdev.Stats {
	rx, tx := d.sums()
	s := netdev.NoStats()
	s.RxPackets, s.RxBytes, s.TxPackets, s.TxBytes = rx.packets, rx.bytes, tx.packets, tx.bytes
	s.RxDropped, s.RxErrors = d.policer.Dropped(), rx.errors
	s.TxDropped = tx.errors + tx.tooLong + tx.noBuffer + d.unsent.Load()
	return s
}

// CustomStats implements netdev.Device.
func (d *Device) CustomStats() []netdev.Counter {
	rx, tx := d.sums()
	var out []netdev.Counter
	for i, name := range sizeNames {
		out = append(out, netdev.Counter{Name: "rx_" + name + "_packets", Value: rx.sizes[i]},
			netdev.Counter{Name: "tx_" + name + "_packets", Value: tx.sizes[i]})
	}
	return append(out,
		netdev.Counter{Name: "ovs_tx_retries", Value: tx.retries},
		netdev.Counter{Name: "ovs_tx_failure_drops", Value: tx.noBuffer + d.unsent.Load()},
		netdev.Counter{Name: "ovs_tx_mtu_exceeded_drops", Value: tx.tooLong},
		netdev.Counter{Name: "vhost_protocol_violations", Value: d.violations.Load()})
}
