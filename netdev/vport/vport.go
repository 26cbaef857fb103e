// Package vport is the virtual ports: patch ports, which join two bridges, and
// the types of tunnels.
//
// ofproto translates a packet that leaves by a patch port as if it came in by
// the peer, so that a patch device moves no packets.  Tunnel types are known by
// name (iface_types shows them); configuring one answers that this version does
// not carry tunnels.
package vport

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/netdev"
)

// tunnels are the types of tunnels of Open vSwitch 3.1.
var tunnels = []string{"bareudp", "erspan", "geneve", "gre", "gtpu", "ip6erspan",
	"ip6gre", "lisp", "stt", "vxlan"}

// RegisterPatch registers the class "patch".
func RegisterPatch() {
	netdev.Register(netdev.Class{Type: "patch", Open: open("patch"), Virtual: true})
}

// RegisterTunnels registers the types of tunnels; --enable-dummy=override does
// not replace them, so it comes after dummy.Enable.
func RegisterTunnels() {
	for _, typ := range tunnels {
		netdev.Register(netdev.Class{Type: typ, Open: open(typ), Virtual: true})
	}
}

// reserved are the names of the ports that stock's datapaths make for tunnels.
var reserved = []string{"genev_sys", "gre_sys", "vxlan_sys", "lisp_sys", "stt_sys",
	"erspan_sys", "ip6erspan_sys", "ip6gre_sys", "gtpu_sys", "udp_sys"}

// IsReservedName reports that users may not give a port that name, because a
// datapath could; dpTypes are the datapath types, whose "ovs-TYPE" is reserved.
func IsReservedName(name string, dpTypes []string) bool {
	for _, r := range reserved {
		if strings.HasPrefix(name, r) {
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

func open(typ string) func(string) (netdev.Device, error) {
	return func(name string) (netdev.Device, error) {
		d := &Device{mac: randomMAC()}
		d.Init(name, typ)
		return d, nil
	}
}

// randomMAC is a locally administered unicast address.
func randomMAC() netdev.MAC {
	r := rand.Uint64()
	m := netdev.MAC{byte(r), byte(r >> 8), byte(r >> 16), byte(r >> 24), byte(r >> 32), byte(r >> 40)}
	m[0] = m[0]&^1 | 2
	return m
}

// Device is a virtual port.
//
// Thread-safety: the control thread owns it, but for the counters.
type Device struct {
	netdev.Base
	mac  netdev.MAC
	peer string

	rxPackets, rxBytes, txPackets, txBytes atomic.Uint64
}

// SetConfig implements netdev.Device: a patch port takes its peer's name.
func (d *Device) SetConfig(options map[string]string) error {
	if d.Type() != "patch" {
		return d.configError("%s tunnels are not supported by this version", d.Type())
	}
	peer, ok := options["peer"]
	switch {
	case !ok:
		return d.configError("patch type requires valid 'peer' argument")
	case len(options) > 1:
		return d.configError("patch type takes only a 'peer' argument")
	case peer == d.Name():
		return d.configError("patch peer must not be self")
	}
	if d.peer != peer {
		d.peer = peer
		d.Changed()
	}
	return nil
}

func (d *Device) configError(format string, args ...any) error {
	return netdev.NewConfigError("%s: %s", d.Name(), fmt.Sprintf(format, args...))
}

// Config implements netdev.Device.
func (d *Device) Config() map[string]string {
	if d.peer == "" {
		return nil
	}
	return map[string]string{"peer": d.peer}
}

// Peer is the name of a patch port's peer, "" when it is not configured.
func (d *Device) Peer() string { return d.peer }

// Close implements netdev.Device.
func (d *Device) Close(bool) error {
	d.Release()
	return nil
}

// RxQueues implements netdev.Device: none.
func (d *Device) RxQueues() []netdev.RxQueue { return nil }

// TxQueues implements netdev.Device: none.
func (d *Device) TxQueues() []netdev.TxQueue { return nil }

// EtherAddr implements netdev.Device.
func (d *Device) EtherAddr() netdev.MAC { return d.mac }

// SetEtherAddr implements netdev.Device.
func (d *Device) SetEtherAddr(mac netdev.MAC) error {
	if d.mac != mac {
		d.mac = mac
		d.Changed()
	}
	return nil
}

// MTU implements netdev.Device: none.
func (d *Device) MTU() int { return 0 }

// SetMTU implements netdev.Device: a virtual port has no MTU.
func (d *Device) SetMTU(int) error {
	return fmt.Errorf("%s: set MTU: %w", d.Name(), unix.EOPNOTSUPP)
}

// Ifindex implements netdev.Device: none.
func (d *Device) Ifindex() int { return -int(unix.EOPNOTSUPP) }

// Carrier implements netdev.Device.
func (d *Device) Carrier() bool { return true }

// AdminUp implements netdev.Device: virtual ports are always up.
func (d *Device) AdminUp() bool { return true }

// SetAdminUp implements netdev.Device; a virtual port cannot be brought down.
func (d *Device) SetAdminUp(up bool) error {
	if !up {
		return fmt.Errorf("%s: set down: %w", d.Name(), unix.EOPNOTSUPP)
	}
	return nil
}

// IncRx counts packets that came in by the port, as translation saw it.  Any
// thread.
func (d *Device) IncRx(packets, bytes uint64) {
	d.rxPackets.Add(packets)
	d.rxBytes.Add(bytes)
}

// IncTx counts packets that left by the port, as translation saw it.  Any
// thread.
func (d *Device) IncTx(packets, bytes uint64) {
	d.txPackets.Add(packets)
	d.txBytes.Add(bytes)
}

// Stats implements netdev.Device: what IncRx and IncTx counted.
func (d *Device) Stats() netdev.Stats {
	s := netdev.NoStats()
	s.RxPackets, s.RxBytes = d.rxPackets.Load(), d.rxBytes.Load()
	s.TxPackets, s.TxBytes = d.txPackets.Load(), d.txBytes.Load()
	return s
}
