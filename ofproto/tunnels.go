package ofproto

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/internal/errno"
	"sluice/internal/vlog"
	"sluice/ofproto/tunnel"
)

// This file keeps the datapath ports of tunnels: one for all tunnels of a type, or of
// a type and UDP port.  One that no tunnel uses any more goes at the end of the turn,
// so that it keeps its number when a tunnel is replaced by another.

var rlTunnel = vlog.NewLimiter(1, 5)

// tunnelPort is a datapath port for tunnels.
type tunnelPort struct {
	dev dpif.Device
	no  dpif.PortNo
}

// tunnelDevice returns the device of a tunnel, nil of another port.
func tunnelDevice(p *Port) dpif.TunnelDevice {
	dev, _ := p.Dev.(dpif.TunnelDevice)
	return dev
}

// addTunnel adds a tunnel of sw that is to have that id.
func (b *Backer) addTunnel(sw *Switch, p *Port, id uint64) error {
	dev := tunnelDevice(p)
	if dev.Tunnel() == nil {
		return unix.EINVAL
	}
	no, err := b.tunnelPort(dev)
	if err != nil {
		return err
	}
	if !b.tunnels.Add(id, tunnel.Port{Name: p.Name, Config: dev.Tunnel(), ODP: no}, true) {
		logOF.Warn("%s: could not add port %s (%s)", sw.Name(), p.Name, errno.Text(unix.EEXIST))
		return unix.EEXIST
	}
	p.DPPort = no
	return nil
}

// tunnelPort returns the number of the datapath port of a tunnel, made if need be.
func (b *Backer) tunnelPort(dev dpif.TunnelDevice) (dpif.PortNo, error) {
	name := dev.DatapathPort()
	if t, ok := b.tunnelPorts[name]; ok {
		return t.no, nil
	}
	shared, err := dev.OpenDatapathPort()
	if err != nil {
		return dpif.PortNone, err
	}
	no, err := b.dp.PortAdd(shared, dpif.PortNone)
	if err != nil {
		return dpif.PortNone, errors.Join(err, shared.Close(false))
	}
	b.tunnelPorts[name] = tunnelPort{shared, no}
	return no, nil
}

// followTunnels takes over what tunnels are configured like now.  A tunnel that would
// take another's packets stays without a place in the datapath until it no longer does.
func (b *Backer) followTunnels() {
	for _, r := range b.switches {
		for _, p := range r.sw.Ports() {
			dev := tunnelDevice(p)
			if dev == nil || dev.Tunnel() == nil {
				continue
			}
			id := uint64(r.ports[p])
			no, err := b.tunnelPort(dev)
			if err != nil {
				no = dpif.PortNone
				dpifLog.WarnRL(rlTunnel, "%s: cannot add %s to the datapath: %s", p.Name, dev.DatapathPort(), errno.Text(err))
			}
			p.DPPort = no
			old, known := b.tunnels.Get(id)
			now := tunnel.Port{Name: p.Name, Config: dev.Tunnel(), ODP: no}
			if known && old == now {
				continue
			}
			b.tunnels.Remove(id)
			b.tunnels.Add(id, now, known)
			b.tunnelsChanged = true
		}
	}
}

// collectTunnelPorts removes datapath ports that no tunnel uses.
func (b *Backer) collectTunnelPorts() {
	if !b.tunnelsChanged {
		return
	}
	b.tunnelsChanged = false
	used := map[string]bool{}
	for _, r := range b.switches {
		for _, p := range r.sw.Ports() {
			if dev := tunnelDevice(p); dev != nil {
				used[dev.DatapathPort()] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.tunnelPorts)) {
		if !used[name] {
			b.dropTunnelPort(name)
		}
	}
}

// FollowTunnelPort takes over what somebody else did to a datapath port of tunnels: it
// was removed, or has another number.  It reports whether there is such a port.
func (b *Backer) FollowTunnelPort(name string) bool {
	t, ok := b.tunnelPorts[name]
	if !ok {
		return false
	}
	if p, _, ok := b.dp.PortByName(name); ok {
		t.no = p.No
		b.tunnelPorts[name] = t
	} else {
		delete(b.tunnelPorts, name)
		if err := t.dev.Close(false); err != nil {
			dpifLog.Warn("%s: closing fails: %s", name, errno.Text(err))
		}
	}
	b.changed()
	return true
}

func (b *Backer) dropTunnelPort(name string) {
	t := b.tunnelPorts[name]
	delete(b.tunnelPorts, name)
	if err := cmp.Or(b.dp.PortDel(t.no), t.dev.Close(false)); err != nil {
		dpifLog.Warn("%s: cannot remove the port from the datapath: %s", name, errno.Text(err))
	}
}

// AppendTunnels appends the tunnels of the datapath (ofproto/list-tunnels).
func (b *Backer) AppendTunnels(out []byte) []byte { return b.tunnels.AppendList(out) }
