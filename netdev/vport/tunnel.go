package vport

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/netdev"
)

// Router tells tunnels by which device their packets leave the host.
type Router interface {
	// Egress is the device that leads to an address for packets with that mark, ""
	// if none does, and whether it has carrier.
	Egress(dst netip.Addr, mark uint32) (device string, carrier bool)
	// RouteSeq changes when Egress may have another answer.
	RouteSeq() uint64
}

// RegisterTunnels registers the types of tunnels.  Without a router tunnels show no
// status.
func RegisterTunnels(router Router) {
	reg := &registry{router: router, vxlan: map[uint16]*vxlanUse{}}
	for i := range kinds {
		k := &kinds[i]
		netdev.Register(netdev.Class{Type: k.typ, Virtual: true, Open: func(name string) (netdev.Device, error) {
			return newTunnel(name, k, reg), nil
		}})
	}
}

// registry is what the tunnels of a process share.
type registry struct {
	router Router
	vxlan  map[uint16]*vxlanUse
}

// vxlanUse counts the VXLAN tunnels of a UDP port with and without the group policy
// extension, which the port has or has not for all of them.
type vxlanUse struct{ gbp, plain int }

// Tunnel is a tunnel, or the port of a datapath that tunnels share.
type Tunnel struct {
	device
	kind *kind
	reg  *registry
	// cfg is never changed, but replaced; configured is set with the first.
	cfg        *netdev.TunnelConfig
	configured bool

	egress  string
	carrier bool
	seq     uint64 // of the routes that they are of
}

var _ netdev.TunnelDevice = (*Tunnel)(nil)

func newTunnel(name string, k *kind, reg *registry) *Tunnel {
	d := &Tunnel{kind: k, reg: reg}
	d.init(name, k.typ)
	c := &netdev.TunnelConfig{Type: k.typ, DstPort: k.port, DontFragment: true, TTL: defaultTTL}
	// The name of a datapath port tells its UDP port.
	if rest, ok := strings.CutPrefix(name, k.dpPort+"_"); ok && k.udp {
		if n := uint16(number(rest, 10)); n != 0 {
			c.DstPort = n
		}
	}
	d.cfg = c
	return d
}

// SetConfig implements netdev.Device.
func (d *Tunnel) SetConfig(options map[string]string) error {
	p := parser{name: d.Name(), kind: d.kind}
	err := p.parse(options)
	if err == nil && d.clashes(&p.cfg) {
		p.notef("VXLAN-GBP, and non-VXLAN-GBP tunnels can't be configured on the same dst_port")
		err = unix.EEXIST
	}
	text := strings.Join(p.notes, "\n")
	if text != "" {
		log.Warn("%s", text)
	}
	switch {
	case errors.Is(err, errNoted):
		return &netdev.ConfigError{Text: text, Err: unix.EINVAL, Logged: true}
	case err != nil && text != "":
		return &netdev.ConfigError{Text: text, Err: err, Logged: true}
	case err != nil:
		return fmt.Errorf("configure %s: %w", d.Name(), err)
	}
	if d.configured && p.cfg == *d.cfg {
		return nil
	}
	d.count(-1)
	d.cfg, d.configured = &p.cfg, true
	d.count(1)
	d.findEgress()
	d.Changed()
	return nil
}

// clashes says whether tunnels other than d use c's port the other way.
func (d *Tunnel) clashes(c *netdev.TunnelConfig) bool {
	u := d.reg.vxlan[c.DstPort]
	if c.Type != "vxlan" || u == nil {
		return false
	}
	other, self := u.gbp, d.cfg.GBP
	if c.GBP {
		other, self = u.plain, !d.cfg.GBP
	}
	if d.configured && self && d.cfg.DstPort == c.DstPort {
		other--
	}
	return other > 0
}

// count adds n tunnels with d's configuration to those that share its port.
func (d *Tunnel) count(n int) {
	if !d.configured || d.kind.typ != "vxlan" {
		return
	}
	u := d.reg.vxlan[d.cfg.DstPort]
	if u == nil {
		u = &vxlanUse{}
		d.reg.vxlan[d.cfg.DstPort] = u
	}
	if d.cfg.GBP {
		u.gbp += n
	} else {
		u.plain += n
	}
}

// Config implements netdev.Device.
func (d *Tunnel) Config() map[string]string { return d.kind.describe(d.cfg) }

// Tunnel implements netdev.TunnelDevice.
func (d *Tunnel) Tunnel() *netdev.TunnelConfig {
	if !d.configured {
		return nil
	}
	return d.cfg
}

// DatapathPort implements netdev.TunnelDevice.
func (d *Tunnel) DatapathPort() string {
	if d.kind.udp {
		return fmt.Sprintf("%s_%d", d.kind.dpPort, d.cfg.DstPort)
	}
	return d.kind.dpPort
}

// OpenDatapathPort implements netdev.TunnelDevice.
func (d *Tunnel) OpenDatapathPort() (netdev.Device, error) {
	dev, err := netdev.Open(d.DatapathPort(), d.kind.typ)
	if t, ok := dev.(*Tunnel); ok {
		t.cfg.PTMode = netdev.PacketTypeAware // some tunnels may take this, some that
	}
	return dev, err
}

// findEgress looks up the device that the tunnel's packets leave by; it reports that
// it is another, or in another state.
func (d *Tunnel) findEgress() (changed bool) {
	if d.reg.router == nil || !d.configured {
		return false
	}
	d.seq = d.reg.router.RouteSeq()
	dev, up := "", false
	if d.cfg.Remote.IsValid() {
		dev, up = d.reg.router.Egress(d.cfg.Remote, d.cfg.EgressPktMark)
	}
	changed = dev != d.egress || up != d.carrier
	d.egress, d.carrier = dev, up
	return changed
}

// Run implements netdev.Device: it follows the routes.
func (d *Tunnel) Run(int64) {
	if d.reg.router != nil && d.reg.router.RouteSeq() != d.seq && d.findEgress() {
		d.Changed()
	}
}

// Status implements netdev.Device.
func (d *Tunnel) Status() map[string]string {
	if d.egress == "" {
		return nil
	}
	state := "down"
	if d.carrier {
		state = "up"
	}
	return map[string]string{"tunnel_egress_iface": d.egress, "tunnel_egress_iface_carrier": state}
}

// Close implements netdev.Device.
func (d *Tunnel) Close(keep bool) error {
	d.count(-1)
	d.configured = false
	return d.device.Close(keep)
}
