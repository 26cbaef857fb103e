package rtnl

import (
	"github.com/safchain/ethtool"

	"sluice/internal/errno"
	"sluice/internal/poll"
)

// mii is how a device asks for its link in place of listening to the kernel, for
// drivers that do not tell of changes (Port other_config:bond-detect-mode=miimon).
// Stock asks the PHY's registers first; drivers of today answer ethtool from them.
type mii struct {
	everyMs int   // 0: it listens
	at      int64 // when to ask next, ms
	up      bool
}

// SetMIIMonitor has the device ask for its link every ms; 0: it listens.
func (d *Device) SetMIIMonitor(ms int) {
	if ms == d.mii.everyMs {
		return
	}
	d.mii = mii{everyMs: ms, up: d.Link().Running()}
	d.Changed()
}

// Run implements netdev.Device.
func (d *Device) Run(now int64) {
	m := &d.mii
	if m.everyMs == 0 || now < m.at {
		return
	}
	m.at = now + int64(m.everyMs)
	up, err := linkUp(d.Name())
	if err != nil {
		log.DbgRL(deviceRL, "%s: failed to query MII: %s", d.Name(), errno.Text(err))
	}
	if up != m.up {
		m.up = up
		d.Changed()
	}
}

// Wait implements netdev.Device.
func (d *Device) Wait(s *poll.Set) {
	if d.mii.everyMs != 0 {
		s.Timer(d.mii.at)
	}
}

// linkUp asks a link's driver whether there is a link.
func linkUp(name string) (bool, error) {
	up, err := ask("link", name, (*ethtool.Ethtool).LinkState)
	return up != 0, err
}
