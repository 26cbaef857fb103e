package lacp

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// sorted returns the links by name.
func (l *LACP) sorted() []*member {
	return slices.SortedFunc(slices.Values(l.members), func(a, b *member) int { return cmp.Compare(a.cfg.Name, b.cfg.Name) })
}

// AppendShow appends what lacp/show prints.
func (l *LACP) AppendShow(b []byte) []byte {
	b = fmt.Appendf(b, "---- %s ----\n  status: %s", l.cfg.Name, choose(l.cfg.Active, "active", "passive"))
	if l.negotiated {
		b = append(b, " negotiated"...)
	}
	key := "none"
	if len(l.members) > 0 {
		key = strconv.Itoa(int(l.key()))
	}
	b = fmt.Appendf(b, "\n  sys_id: %s\n  sys_priority: %d\n  aggregation key: %s\n  lacp_time: %s\n",
		macText(l.cfg.SysID), l.cfg.SysPriority, key, choose(l.cfg.Fast, "fast", "slow"))
	for _, m := range l.sorted() {
		b = fmt.Appendf(b, "\nmember: %s: %s %s\n", m.cfg.Name, memberStatusNames[m.status],
			choose(m.attached, "attached", "detached"))
		b = fmt.Appendf(b, "  port_id: %d\n  port_priority: %d\n  may_enable: %t\n", m.cfg.PortID, m.cfg.Priority, l.mayEnable(m))
		actor := l.actor(m)
		b = actor.appendShow(b, "actor")
		b = m.partner.appendShow(b, "partner")
	}
	return b
}

func (i *Info) appendShow(b []byte, end string) []byte {
	b = fmt.Appendf(b, "\n  %s sys_id: %s\n", end, macText(i.SysID))
	b = fmt.Appendf(b, "  %s sys_priority: %d\n", end, i.SysPriority)
	b = fmt.Appendf(b, "  %s port_id: %d\n", end, i.PortID)
	b = fmt.Appendf(b, "  %s port_priority: %d\n", end, i.PortPriority)
	b = fmt.Appendf(b, "  %s key: %d\n", end, i.Key)
	b = fmt.Appendf(b, "  %s state:", end)
	for bit, name := range stateNames {
		if i.State&(1<<bit) != 0 {
			b = append(append(b, ' '), name...)
		}
	}
	return append(b, '\n')
}

// AppendStats appends what lacp/show-stats prints.
func (l *LACP) AppendStats(b []byte) []byte {
	b = fmt.Appendf(b, "---- %s statistics ----\n", l.cfg.Name)
	for _, m := range l.sorted() {
		c := &m.counts
		b = fmt.Appendf(b, "\nmember: %s:\n", m.cfg.Name)
		b = fmt.Appendf(b, "  TX PDUs: %d\n  RX PDUs: %d\n  RX Bad PDUs: %d\n", c.TxPDUs, c.RxPDUs, c.RxBadPDUs)
		b = fmt.Appendf(b, "  RX Marker Request PDUs: %d\n", c.RxMarkers)
		b = fmt.Appendf(b, "  Link Expired: %d\n  Link Defaulted: %d\n", c.LinkExpired, c.LinkDefaulted)
		b = fmt.Appendf(b, "  Carrier Status Changed: %d\n", c.CarrierFlips)
	}
	return b
}

// MemberStats is what the MIB of IEEE 802.1AX (dot3adAggPort) tells of a link.
type MemberStats struct {
	ActorSysID, PartnerSysID            [6]byte
	AttachedAggID                       uint32
	ActorAdminState, ActorOperState     State
	PartnerAdminState, PartnerOperState State
	Counts                              Counts
}

// Stats returns the statistics of link id; ok is false: there is none.
func (l *LACP) Stats(id uint64) (s MemberStats, ok bool) {
	m := l.find(id)
	if m == nil {
		return s, false
	}
	admin := Aggregation
	if l.cfg.Active {
		admin |= Activity
	}
	if l.cfg.Fast {
		admin |= Timeout
	}
	return MemberStats{ActorSysID: l.cfg.SysID, PartnerSysID: m.partner.SysID, AttachedAggID: uint32(l.key()),
		ActorAdminState: admin, ActorOperState: l.actor(m).State, PartnerOperState: m.partner.State, Counts: m.counts}, true
}

func macText(a [6]byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5])
}

func choose(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}
