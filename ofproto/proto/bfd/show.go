package bfd

import (
	"fmt"
	"strconv"
	"strings"

	"sluice/internal/vlog"
)

// Name returns the name of the session's interface.
func (s *Session) Name() string { return s.name }

// TakeChanged reports whether what Status returns has changed since the last call.
func (s *Session) TakeChanged() bool {
	changed := s.changed
	s.changed = false
	return changed
}

// Status returns what the bfd_status column of the Interface shows.
func (s *Session) Status(now int64) map[string]string {
	forwarding := strconv.FormatBool(s.Forwarding(now))
	return map[string]string{
		"forwarding": forwarding, "state": s.state.String(), "diagnostic": s.diag.String(),
		"flap_count": strconv.FormatUint(s.flaps, 10), "remote_state": s.remote.state.String(),
		"remote_diagnostic": s.remote.diag.String(),
	}
}

// Details is what bfd/show prints of the session.
func (s *Session) Details(now int64) string {
	s.Forwarding(now)
	return s.details(now)
}

func (s *Session) details(now int64) string {
	var b strings.Builder
	line := func(name, format string, arg any) { fmt.Fprintf(&b, "  %s: "+format+"\n", name, arg) }
	forwarding := s.forwarding
	if s.override != Normal {
		forwarding = s.override == ForceForwarding
	}
	line("Forwarding", "%t", forwarding)
	line("Detect Multiplier", "%d", s.cfg.Mult)
	line("Concatenated Path Down", "%t", s.cfg.CpathDown)
	line("TX Interval", "Approx %dms", s.txInterval())
	line("RX Interval", "Approx %dms", s.rxInterval())
	line("Detect Time", "now %+dms", s.detectAt-now)
	line("Next TX Time", "now %+dms", s.nextTx-now)
	line("Last TX Time", "now %+dms", s.lastTx-now)
	b.WriteByte('\n')
	line("Local Flags", "%s", s.flags)
	line("Local Session State", "%s", s.state)
	line("Local Diagnostic", "%s", s.diag)
	line("Local Discriminator", "0x%x", s.id.Disc)
	line("Local Minimum TX Interval", "%dms", s.desiredMinTx())
	line("Local Minimum RX Interval", "%dms", s.minRx)
	b.WriteByte('\n')
	line("Remote Flags", "%s", s.remote.flags)
	line("Remote Session State", "%s", s.remote.state)
	line("Remote Diagnostic", "%s", s.remote.diag)
	line("Remote Discriminator", "0x%x", s.remote.disc)
	line("Remote Minimum TX Interval", "%dms", s.remote.minTx)
	line("Remote Minimum RX Interval", "%dms", s.remote.minRx)
	line("Remote Detect Multiplier", "%d", s.remote.mult)
	return b.String()
}

func (s *Session) infoPacket(p *Packet, what string, now int64) {
	if !log.ShouldDrop(vlog.Info, rlBFD) {
		log.Info("%s", s.packetText(p, what, now))
	}
}

func (s *Session) warnPacket(p *Packet, what string, now int64) {
	if !log.ShouldDrop(vlog.Warn, rlBFD) {
		log.Warn("%s", s.packetText(p, what, now))
	}
}

func (s *Session) logPacket(p *Packet, what string, now int64) {
	if !log.ShouldDrop(vlog.Dbg, rlBFD) {
		log.Dbg("%s", s.packetText(p, what, now))
	}
}

func (s *Session) packetText(p *Packet, what string, now int64) string {
	return s.name + ": " + what + ".\n" + p.text() + s.details(now)
}
