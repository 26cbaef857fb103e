package ofproto

import (
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/ofproto/proto/cfm"
	"sluice/ofproto/xlate"
)

// cfmPorts runs CFM on the ports of a Switch.
type cfmPorts struct {
	linkMachines[*cfm.Monitor]
}

func newCFM(sw *Switch) *cfmPorts {
	return &cfmPorts{newLinkMachines[*cfm.Monitor](sw, "CFM")}
}

func (c *cfmPorts) configure(now int64) bool {
	return c.follow(func(p *Port, mc *MemberConfig) bool {
		if mc.CFM == nil {
			return false
		}
		if !mc.CFM.Valid() {
			logOF.Warn("%s: CFM configuration on port %d (%s) failed (%s)", c.sw.name, p.OFPort, p.Name, errno.Text(unix.EINVAL))
			return false
		}
		m, ok := c.on(p)
		if !ok {
			env := cfm.Env{Rand: rand.IntN, RxPackets: func() uint64 { return rxPackets(p) }}
			c.add(p, cfm.New(p.Name, *mc.CFM, env, now))
		} else if *m.Config() != *mc.CFM {
			m.Configure(*mc.CFM, now)
		}
		return true
	})
}

// mayEnable lets p carry packets if BFD does: one of the two is enough.
func (c *cfmPorts) mayEnable(p *Port) bool {
	m, ok := c.on(p)
	return !ok || m.Up() || c.sw.bfd.forwards(p)
}

// isUp reports that p has a monitor which finds no fault.
func (c *cfmPorts) isUp(p *Port) bool {
	m, ok := c.on(p)
	return ok && m.Up()
}

func (c *cfmPorts) describe(p *Port, x *xlate.Port) {
	if m, ok := c.on(p); ok {
		x.Hears |= xlate.SlowCFM
		x.CFM = m.Config().Match()
	}
}

// CFMStatus returns what the database shows of CFM on a port; ok is false if there is
// none.
func (sw *Switch) CFMStatus(ofport uint32) (s cfm.Status, ok bool) {
	if p := sw.Port(ofport); p != nil {
		if m, ok := sw.cfm.on(p); ok {
			return m.Status(), true
		}
	}
	return s, false
}

// TakeCFMNews returns the ports whose CFMStatus has changed since the last call.
func (sw *Switch) TakeCFMNews() map[uint32]bool { return sw.cfm.takeNews() }

// EachCFM calls fn for the monitor of the interface with a name, or for all monitors if
// it is empty, and reports whether there was the one.
func (sw *Switch) EachCFM(name string, fn func(*cfm.Monitor)) bool {
	return sw.cfm.named(name, func(_ *Port, m *cfm.Monitor) { fn(m) })
}
