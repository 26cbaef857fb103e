package bridge

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"sluice/internal/errno"
	"sluice/netdev"
	"sluice/ofproto"
	"sluice/ovsdb/client"
	"sluice/schema/vswitch"
)

// pickAddress chooses the local port's MAC address, as it decides the datapath id:
// other_config:hwaddr, or that of a port (see lowestAddress), or the bridge's own.
func (b *Bridges) pickAddress(br *bridge) {
	b.findMirrorOutputs(br)
	ea, ok := br.configuredAddress()
	if !ok {
		ea = br.lowestAddress(nil)
	}
	br.ea = ea
	if p := br.sw.Port(ofproto.LocalPort); p != nil && p.Dev.EtherAddr() != ea {
		if err := p.Dev.SetEtherAddr(ea); err != nil {
			log.ErrRL(rlAdd, "bridge %s: failed to set bridge Ethernet address: %s", br.name, errno.Text(err))
		}
	}
}

// configuredAddress is other_config:hwaddr, if that can be used.
func (br *bridge) configuredAddress() (m netdev.MAC, ok bool) {
	s := br.row.OtherConfig["hwaddr"]
	m, err := parseMAC(s)
	switch {
	case err != nil:
	case m[0]&1 != 0:
		log.Err("bridge %s: cannot set MAC address to multicast address %s", br.name, s)
	case m == netdev.MAC{}:
		log.Err("bridge %s: cannot set MAC address to zero", br.name)
	default:
		return m, true
	}
	return m, false
}

// lowestAddress is the numerically least MAC address of the ports, in which a Port
// row's mac stands for its interfaces, and else the first interface by name for a
// bond.  The local port and the output ports of mirrors do not count, nor do
// addresses that nobody has assigned (locally administered ones, such as those of
// veth devices): they change with every restart of a container, and the kernel, which
// sees what comes in by such a device too, would take what is sent to the bridge for
// its own.  Without any, the bridge has the address that its row's UUID gives.  Of a
// fake bridge only the ports in its VLAN count; fake is its Port row.
func (br *bridge) lowestAddress(fake *vswitch.Port) netdev.MAC {
	best, found := br.defaultEA, false
	for _, p := range br.sortedPorts() {
		ea, ok := p.address()
		if !ok || br.isMirrorOutput(p) || fake != nil && !sameVLAN(p.row, fake) {
			continue
		}
		if isUniversal(ea) && (!found || bytes.Compare(ea[:], best[:]) < 0) {
			best, found = ea, true
		}
	}
	return best
}

// address is the MAC address that stands for the port; the local port has none.
func (p *port) address() (m netdev.MAC, ok bool) {
	if p.row != nil {
		if m, err := parseMAC(val(p.row.Mac)); err == nil {
			return m, true
		}
	}
	if len(p.ifaces) == 0 {
		return m, false
	}
	i := slices.MinFunc(p.ifaces, func(x, y *iface) int { return cmp.Compare(x.name, y.name) })
	return i.dev.EtherAddr(), i.ofport != ofproto.LocalPort
}

func (br *bridge) isMirrorOutput(p *port) bool {
	return p.row != nil && slices.Contains(br.mirrorOutputs, p.row.UUID)
}

// findMirrorOutputs notes the ports that mirrors send to.
func (b *Bridges) findMirrorOutputs(br *bridge) {
	br.mirrorOutputs = br.mirrorOutputs[:0]
	for _, m := range refs(br.row.Mirrors, b.env.DB.Mirror) {
		if m.OutputPort != nil {
			br.mirrorOutputs = append(br.mirrorOutputs, *m.OutputPort)
		}
	}
}

// sameVLAN reports that a port belongs to a fake bridge; one without a VLAN has all
// ports.
func sameVLAN(p, fake *vswitch.Port) bool {
	return fake.Tag == nil || p != nil && p.Tag != nil && *p.Tag == *fake.Tag
}

// isUniversal reports that ea is a unicast address that its vendor has assigned: not
// zero, not locally administered, and none of those to which protocols of Extreme
// Networks send.
func isUniversal(ea netdev.MAC) bool {
	switch {
	case ea == netdev.MAC{}, ea[0]&3 != 0:
		return false
	case ea[0] == 0x00 && ea[1] == 0xe0 && ea[2] == 0x2b && ea[3] == 0 && ea[4] == 0:
		return ea[5] != 0 && ea[5] != 4 && ea[5] != 6
	}
	return true
}

// rowAddress is the locally administered address of the bridge with that row: the
// same after each start, and the same that stock has on little-endian machines, whose
// UUIDs begin with a word in the machine's byte order.
func rowAddress(id client.UUID) netdev.MAC {
	a, b := uint32(id.Hi>>32), uint32(id.Hi)
	return netdev.MAC{byte(a)&^1 | 2, byte(a >> 8), byte(a >> 16), byte(a >> 24), byte(b), byte(b >> 8)}
}

// setIfaceMAC sets the address of an internal port: what its Interface row asks for,
// or for the local port of a fake bridge one that suits its VLAN.
func (b *Bridges) setIfaceMAC(br *bridge, p *port, i *iface) {
	if i.typ != "internal" {
		return
	}
	m, err := parseMAC(val(i.row.Mac))
	if err != nil {
		if p.row == nil || !p.row.FakeBridge {
			return
		}
		m = br.lowestAddress(p.row)
	}
	switch {
	case i.ofport == ofproto.LocalPort:
		log.Err("interface %s: ignoring mac in Interface record (use Bridge record to set local port's mac)", i.name)
	case m[0]&1 != 0:
		log.Err("interface %s: cannot set MAC to multicast address", i.name)
	case m == netdev.MAC{}:
		log.Err("interface %s: cannot set MAC to all zero address", i.name)
	case m != i.dev.EtherAddr():
		if err := i.dev.SetEtherAddr(m); err != nil {
			log.Err("interface %s: setting MAC failed (%s)", i.name, errno.Text(err))
		}
	}
}

func parseMAC(s string) (m netdev.MAC, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(b) != 6 {
		return m, fmt.Errorf("bad Ethernet address %q", s)
	}
	return netdev.MAC(b), nil
}
