package bridge

import "sluice/internal/errno"

// defaultMTU is the MTU of internal ports when there are no others.
const defaultMTU = 1500

// followsMTU says that an interface has no MTU of its own: its bridge sets it.  That
// goes by the class of the device, so that a tap device counts where internal ports are
// such.
func (br *bridge) followsMTU(i *iface) bool {
	return (i.dev.Type() == br.internal || i.typ == "patch") && (i.row == nil || val(i.row.MtuRequest) <= 0)
}

// followMTU gives internal ports the smallest MTU of the ports that have one of their
// own, when that changes, and never lets them have a larger one.
func (br *bridge) followMTU() {
	least, own := 0, false
	for _, p := range br.ports {
		for _, i := range p.ifaces {
			if mtu := i.dev.MTU(); mtu > 0 && !br.followsMTU(i) {
				own = true
				if least == 0 || mtu < least {
					least = mtu
				}
			}
		}
	}
	if !own {
		if br.minMTU == 0 {
			return // never was another port
		}
		least = defaultMTU
	}
	changed := least != br.minMTU
	br.minMTU = least
	for _, p := range br.sortedPorts() {
		for _, i := range p.ifaces {
			mtu := i.dev.MTU()
			if mtu <= 0 || !br.followsMTU(i) || mtu == least || mtu < least && !changed {
				continue
			}
			if err := i.dev.SetMTU(least); err != nil {
				log.WarnRL(rlAdd, "interface %s: cannot set MTU %d (%s)", i.name, least, errno.Text(err))
			}
		}
	}
}
