// Package vport is the virtual ports: patch ports, which join two bridges, and
// tunnels.
//
// ofproto translates a packet that leaves by a patch port as if it came in by
// the peer, and one that leaves by a tunnel as a packet for the datapath port that
// all tunnels of the type share, with the ends of the tunnel beside it.  So these
// devices move no packets: they hold options and counters.
package vport

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/internal/vlog"
	"sluice/netdev"
)

var log = vlog.New("netdev_vport")

// IsReservedName reports that users may not give a port that name, because a
// datapath could; dpTypes are the datapath types, whose "ovs-TYPE" is reserved.
func IsReservedName(name string, dpTypes []string) bool {
	for i := range kinds {
		if strings.HasPrefix(name, kinds[i].dpPort) {
			return true
		}
	}
	if typ, ok := strings.CutPrefix(name, "ovs-"); ok {
		for _, t := range dpTypes {
			if typ == t {
				return true
			}
		}
	}
	return false
}

// randomMAC is a locally administered unicast address.
func randomMAC() netdev.MAC {
	r := rand.Uint64()
	m := netdev.MAC{byte(r), byte(r >> 8), byte(r >> 16), byte(r >> 24), byte(r >> 32), byte(r >> 40)}
	m[0] = m[0]&^1 | 2
	return m
}

// device is what patch ports and tunnels share.
//
// Thread-safety: the control thread owns it, but for the counters.
type device struct {
	netdev.Base
	mac netdev.MAC

	rxPackets, rxBytes, txPackets, txBytes atomic.Uint64
}

func (d *device) init(name, typ string) {
	d.mac = randomMAC()
	d.Init(name, typ)
}

// Close implements netdev.Device.
func (d *device) Close(bool) error {
	d.Release()
	return nil
}

// RxQueues implements netdev.Device: none.
func (d *device) RxQueues() []netdev.RxQueue { return nil }

// TxQueues implements netdev.Device: none.
func (d *device) TxQueues() []netdev.TxQueue { return nil }

// EtherAddr implements netdev.Device.
func (d *device) EtherAddr() netdev.MAC { return d.mac }

// SetEtherAddr implements netdev.Device.
func (d *device) SetEtherAddr(mac netdev.MAC) error {
	if d.mac != mac {
		d.mac = mac
		d.Changed()
	}
	return nil
}

// MTU implements netdev.Device: none.
func (d *device) MTU() int { return 0 }

// SetMTU implements netdev.Device: a virtual port has no MTU.
func (d *device) SetMTU(int) error {
	return fmt.Errorf("%s: set MTU: %w", d.Name(), unix.EOPNOTSUPP)
}

// Ifindex implements netdev.Device: none.
func (d *device) Ifindex() int { return -int(unix.EOPNOTSUPP) }

// Carrier implements netdev.Device.
func (d *device) Carrier() bool { return true }

// AdminUp implements netdev.Device: virtual ports are always up.
func (d *device) AdminUp() bool { return true }

// SetAdminUp implements netdev.Device; a virtual port cannot be brought down.
func (d *device) SetAdminUp(up bool) error {
	if !up {
		return fmt.Errorf("%s: set down: %w", d.Name(), unix.EOPNOTSUPP)
	}
	return nil
}

// IncRx counts packets that came in by the port, as translation saw it.  Any
// thread.
func (d *device) IncRx(packets, bytes uint64) {
	d.rxPackets.Add(packets)
	d.rxBytes.Add(bytes)
}

// IncTx counts packets that left by the port, as translation saw it.  Any
// thread.
func (d *device) IncTx(packets, bytes uint64) {
	d.txPackets.Add(packets)
	d.txBytes.Add(bytes)
}

// Stats implements netdev.Device: what IncRx and IncTx counted.
func (d *device) Stats() netdev.Stats {
	s := netdev.NoStats()
	s.RxPackets, s.RxBytes = d.rxPackets.Load(), d.rxBytes.Load()
	s.TxPackets, s.TxBytes = d.txPackets.Load(), d.txBytes.Load()
	return s
}
