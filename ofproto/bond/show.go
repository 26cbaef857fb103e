package bond

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sluice/ofproto/proto/lacp"
)

// AppendList appends the bond's line of bond/list.
func (b *Bond) AppendList(s []byte) []byte {
	s = fmt.Appendf(s, "%s\t%s\t%d\t", b.cfg.Name, b.cfg.Mode, b.recircID)
	for i, m := range b.members {
		if i > 0 {
			s = append(s, ", "...)
		}
		s = append(s, m.name...)
	}
	return append(s, '\n')
}

// AppendShow appends what bond/show prints.
func (b *Bond) AppendShow(s []byte, now int64) []byte {
	c := &b.cfg
	recirc, id := b.mayRecirc(), -1
	if recirc {
		id = int(b.recircID)
	}
	s = fmt.Appendf(s, "---- %s ----\nbond_mode: %s\n", c.Name, c.Mode)
	s = fmt.Appendf(s, "bond may use recirculation: %s, Recirc-ID : %d\n", choose(recirc, "yes", "no"), id)
	s = fmt.Appendf(s, "bond-hash-basis: %d\n", c.Basis)
	if !b.LBOutput() {
		id = -1
	}
	s = fmt.Appendf(s, "lb_output action: %s, bond-id: %d\n", choose(b.LBOutput(), "enabled", "disabled"), id)
	if c.Mode == BalanceSLB {
		s = fmt.Appendf(s, "all members active: %t\n", c.AllActive)
	}
	s = fmt.Appendf(s, "updelay: %d ms\ndowndelay: %d ms\n", c.UpDelayMs, c.DownDelayMs)
	if b.balanced() {
		s = fmt.Appendf(s, "next rebalance: %d ms\n", b.nextRebalance-now)
	}
	s = fmt.Appendf(s, "lacp_status: %s\nlacp_fallback_ab: %t\n", b.lacp, c.FallbackAB)
	primary := "<none>"
	if c.Primary != "" {
		primary = c.Primary + choose(b.byName(c.Primary) == nil, " (no such member)", "")
	}
	active := "none"
	if m := b.byMAC(); m != nil {
		active = m.name
	}
	s = fmt.Appendf(s, "active-backup primary: %s\nactive member mac: %s(%s)\n", primary, macText(b.activeMAC), active)
	if b.hash != nil {
		b.takeLoad()
	}
	for _, m := range b.members {
		s = b.appendMember(s, m, now)
	}
	return append(s, '\n')
}

func (b *Bond) appendMember(s []byte, m *member, now int64) []byte {
	s = fmt.Appendf(s, "\nmember %s: %s\n", m.name, choose(m.enabled, "enabled", "disabled"))
	if m == b.active {
		s = append(s, "  active member\n"...)
	}
	if m.delay != never {
		s = fmt.Appendf(s, "  %s expires in %d ms\n", choose(m.enabled, "downdelay", "updelay"), m.delay-now)
	}
	s = fmt.Appendf(s, "  may_enable: %t\n", m.mayEnable)
	if !b.balanced() || b.hash == nil {
		return s
	}
	for i := range b.hash {
		if e := &b.hash[i]; e.member == m && e.bytes >= 1024 {
			s = fmt.Appendf(s, "  hash %d: %d kB load\n", i, e.bytes/1024)
		}
	}
	return s
}

var errNoMember = errors.New("no such member")

// Migrate gives a hash value of a balance-slb bond to a member (bond/migrate).
func (b *Bond) Migrate(value, name string) error {
	if b.cfg.Mode != BalanceSLB {
		return errors.New("not an SLB bond")
	}
	if strings.Trim(value, "0123456789") != "" {
		return errors.New("bad hash")
	}
	m := b.byName(name)
	switch {
	case m == nil:
		return errNoMember
	case !m.enabled || b.hash == nil:
		return errors.New("cannot migrate to disabled member")
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		n = 0 // too large, or nothing: as atoi has it
	}
	b.hash[n&mask].member = m
	b.changed = true
	return nil
}

// SetActive makes a member the active one (bond/set-active-member) and reports
// whether it was not.
func (b *Bond) SetActive(name string) (changed bool, err error) {
	m := b.byName(name)
	switch {
	case m == nil:
		return false, errNoMember
	case !m.enabled:
		return false, errors.New("cannot make disabled member active")
	case m == b.active:
		return false, nil
	}
	b.active = m
	log.Info("bond %s: active member is now %s", b.cfg.Name, name)
	b.learning = true
	b.noteActive()
	return true, nil
}

// Enable enables or disables a member until its link says otherwise
// (bond/enable-member, bond/disable-member).
func (b *Bond) Enable(name string, on bool) error {
	m := b.byName(name)
	if m == nil {
		return errNoMember
	}
	b.enable(m, on)
	return nil
}

// LACPStatus returns the status that the last Run was told.
func (b *Bond) LACPStatus() lacp.Status { return b.lacp }
