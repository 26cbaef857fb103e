package lacp

import (
	"bytes"
	"cmp"
)

// This file is the selection logic (IEEE 802.1AX, 6.4.14.1): which links are attached
// to the one aggregator.

// updateAttached chooses a lead link and attaches the links that have the same
// partner, with the same key, as it.
func (l *LACP) updateAttached() {
	l.stale, l.changed = false, true
	// A link that works decides which partner is the one.
	working := l.workingLead()
	lead := working
	for _, m := range l.members {
		m.attached = false
		if m.partner.SysID == l.cfg.SysID {
			log.WarnRL(rlLoopback, "member %s: Loopback detected. Interface is connected to its own bond", m.cfg.Name)
			continue
		}
		if m.status == StatusDefaulted {
			m.attached = l.cfg.FallbackAB
			continue
		}
		if working == nil {
			m.attached = true
			if lead == nil || l.before(m, lead) {
				lead = m
			}
		} else {
			m.attached = m.partner.SysID == working.partner.SysID
		}
	}
	l.negotiated = lead != nil
	if lead == nil {
		return
	}
	for _, m := range l.members {
		if l.cfg.FallbackAB && m.status == StatusDefaulted || m.partner.Key != lead.partner.Key ||
			m.partner.SysID != lead.partner.SysID {
			m.attached = false
		}
	}
}

// workingLead returns the link of the highest priority among those that work, nil:
// none does.
func (l *LACP) workingLead() (lead *member) {
	for _, m := range l.members {
		if m.status == StatusCurrent && m.attached && (lead == nil || l.before(m, lead)) {
			lead = m
		}
	}
	return lead
}

// before reports whether link a has a higher priority than link b.
func (l *LACP) before(a, b *member) bool {
	x, y := l.priority(a), l.priority(b)
	return cmp.Or(
		cmp.Compare(x.SysPriority, y.SysPriority),
		bytes.Compare(x.SysID[:], y.SysID[:]),
		cmp.Compare(x.PortPriority, y.PortPriority),
		cmp.Compare(x.PortID, y.PortID),
	) < 0
}

// priority returns the end of m that says how important the link is: that of the
// system with the higher priority, so that both ends come to the same result.
func (l *LACP) priority(m *member) Info {
	switch c := cmp.Compare(l.cfg.SysPriority, m.partner.SysPriority); {
	case c < 0, c == 0 && bytes.Compare(l.cfg.SysID[:], m.partner.SysID[:]) < 0:
		return l.actor(m)
	}
	return m.partner
}
