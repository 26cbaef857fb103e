package vswitchd

import (
	"net/netip"

	"sluice/netdev"
	"sluice/netdev/rtnl"
	"sluice/ofproto/tunnel"
)

// egress tells tunnels by which device they leave the host.
type egress struct{ routes *tunnel.Routes }

// RouteSeq implements vport.Router: the carrier is the link's.
func (e egress) RouteSeq() uint64 { return e.routes.Seq() + rtnl.LinkSeq() }

// Egress implements vport.Router.
func (e egress) Egress(dst netip.Addr, mark uint32) (device string, carrier bool) {
	r, ok := e.routes.Lookup(dst, mark)
	if !ok {
		return "", false
	}
	if dev, ok := netdev.ByName(r.Device); ok {
		return r.Device, dev.Carrier()
	}
	l, err := rtnl.Get(r.Device)
	return r.Device, err == nil && l.Running()
}
