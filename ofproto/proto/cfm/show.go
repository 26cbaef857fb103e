package cfm

import (
	"fmt"
	"slices"
	"strings"

	"sluice/dpif/flow"
)

// Status is what the cfm_* columns of the Interface show.
type Status struct {
	Fault       Fault
	HasOpState  bool // RemoteUp means something: extended mode
	RemoteUp    bool
	Flaps       uint64
	Health      int // percent, -1: not known
	RemoteMPIDs []uint64
}

// Status returns the state of the monitor.
func (m *Monitor) Status() Status {
	return Status{Fault: m.Fault(), HasOpState: m.cfg.Extended, RemoteUp: m.remoteUp, Flaps: m.flaps,
		Health: m.health, RemoteMPIDs: slices.Clone(m.mpids)}
}

// Fault returns the faults, which an override replaces.
func (m *Monitor) Fault() Fault {
	switch m.override {
	case ForceFault:
		return FaultOverride
	case ForceNoFault:
		return 0
	}
	return m.fault
}

// Up reports that the port may be used: there is no fault, and the other end wants
// the link to be used.
func (m *Monitor) Up() bool { return m.Fault() == 0 && (!m.cfg.Extended || m.remoteUp) }

// TakeChanged reports whether what Status returns has changed since the last call.
func (m *Monitor) TakeChanged() bool {
	changed := m.changed
	m.changed = false
	return changed
}

// Name returns the name of the monitor's interface.
func (m *Monitor) Name() string { return m.name }

// Details is what cfm/show prints of the monitor.
func (m *Monitor) Details(now int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "---- %s ----\nMPID %d:", m.name, m.cfg.MPID)
	if m.cfg.Extended {
		b.WriteString(" extended")
	}
	if m.override != Normal {
		b.WriteString(" fault_override")
	}
	b.WriteByte('\n')
	if f := m.Fault(); f != 0 {
		fmt.Fprintf(&b, "  fault: %s\n", f.text())
	}
	if m.health < 0 {
		b.WriteString("  average health: undefined\n")
	} else {
		fmt.Fprintf(&b, "  average health: %d\n", m.health)
	}
	fmt.Fprintf(&b, "  opstate: %s\n  remote_opstate: %s\n", upDown(!m.cfg.OpDown), upDown(m.remoteUp))
	fmt.Fprintf(&b, "  interval: %dms\n  next CCM tx: %dms\n  next fault check: %dms\n", m.intervalMs, m.txAt-now, m.faultAt-now)
	for _, mpid := range m.sorted() {
		r := m.remotes[mpid]
		fmt.Fprintf(&b, "Remote MPID %d\n  recv since check: %t\n  opstate: %s\n", mpid, r.recv, upDown(!r.opDown))
	}
	return b.String()
}

func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func macText(m flow.MAC) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}
