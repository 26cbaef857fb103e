package bridge

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"sluice/internal/errno"
	"sluice/ofproto"
	"sluice/schema/vswitch"
)

// addressable is a device that takes IPv4 addresses and routes.
type addressable interface {
	SetIPv4(netip.Prefix) (changed bool, err error)
	AddGateway(netip.Addr) (changed bool, err error)
}

// configureLocalIP gives the local port the address and the default route that a
// Controller row has for it.
func (br *bridge) configureLocalIP(r *vswitch.Controller) {
	if br.sw == nil {
		return // not made yet
	}
	p := br.sw.Port(ofproto.LocalPort)
	prefix, ok := localPrefix(val(r.LocalIp), val(r.LocalNetmask))
	if p == nil || !ok {
		return
	}
	if err := p.Dev.SetAdminUp(true); err != nil {
		log.WarnRL(rlAdd, "bridge %s: cannot bring the local port up (%s)", br.name, errno.Text(err))
	}
	dev, ok := p.Dev.(addressable)
	if !ok {
		return
	}
	mask := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-prefix.Bits()))))
	switch changed, err := dev.SetIPv4(prefix); {
	case err != nil:
		log.WarnRL(rlAdd, "bridge %s: cannot configure IP address %s (%s)", br.name, prefix.Addr(), errno.Text(err))
	case changed:
		log.Info("bridge %s: configured IP address %s, netmask %s", br.name, prefix.Addr(), mask)
	}
	gw, err := netip.ParseAddr(val(r.LocalGateway))
	if err != nil || !gw.Is4() || gw.IsUnspecified() {
		return
	}
	switch changed, err := dev.AddGateway(gw); {
	case err != nil:
		log.WarnRL(rlAdd, "bridge %s: cannot configure gateway %s (%s)", br.name, gw, errno.Text(err))
	case changed:
		log.Info("bridge %s: configured gateway %s", br.name, gw)
	}
}

// localPrefix reads the address and netmask of the local port; without a netmask that
// makes sense it is that of the address's class.
func localPrefix(ip, netmask string) (netip.Prefix, bool) {
	a, err := netip.ParseAddr(ip)
	if err != nil || !a.Is4() {
		return netip.Prefix{}, false
	}
	if m, err := netip.ParseAddr(netmask); err == nil && m.Is4() {
		b := m.As4()
		v := binary.BigEndian.Uint32(b[:])
		if n := bits.LeadingZeros32(^v); n > 0 && v == ^uint32(0)<<(32-n) {
			return netip.PrefixFrom(a, n), true
		}
	}
	switch first := a.As4()[0]; {
	case first < 0x80:
		return netip.PrefixFrom(a, 8), true
	case first < 0xc0:
		return netip.PrefixFrom(a, 16), true
	case first < 0xe0:
		return netip.PrefixFrom(a, 24), true
	}
	return netip.Prefix{}, false
}
