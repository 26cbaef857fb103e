package connmgr

import (
	"math"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
)

// A bridge in fail mode "standalone" that loses its controllers for long enough
// becomes a learning switch: a hidden flow of high priority sends all packets to
// NORMAL.  That ends when a controller is back and shows that it accepts the switch;
// to make it do so it gets a made-up packet-in now and then.

// failOpenPriority is beyond what controllers can use, which hides the flow.
const failOpenPriority = 0xf0f0f0

type failOpen struct {
	lastSeconds int64 // of disconnection, when last logged; 0: not failed open
	nextBogus   int64 // ms, math.MaxInt64: none
	active      bool  // the flow is in place
}

var logFail = vlog.New("fail_open")

var normal = action.List{&action.Output{Port: flow.OFPNormal}}

func (m *Manager) updateFailOpen() {
	if m.HasControllers() && m.standalone {
		if m.failOpen == nil {
			m.failOpen = &failOpen{nextBogus: math.MaxInt64}
		}
		return
	}
	if m.failOpen != nil && m.failOpen.lastSeconds != 0 {
		m.failOpenRecover()
	}
	m.failOpen = nil
}

// failureSeconds returns how long no controller has been connected.
func (m *Manager) failureSeconds() int64 {
	least := int64(math.MaxInt64)
	for _, s := range m.services {
		if !s.cfg.Service && s.r != nil {
			least = min(least, s.r.failureSeconds(m.now))
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}

// failOpenAfter returns after how many seconds the switch fails open: each controller
// has time for a probe, its answer and to connect again.
func (m *Manager) failOpenAfter() int64 {
	if !m.HasControllers() {
		return math.MaxInt64
	}
	probe := 0
	for _, s := range m.services {
		if !s.cfg.Service {
			probe = max(probe, s.cfg.Probe)
		}
	}
	return int64(probe) * 3
}

func (m *Manager) runFailOpen() {
	fo := m.failOpen
	if fo == nil {
		return
	}
	if secs := m.failureSeconds(); secs > 0 && secs >= m.failOpenAfter() {
		if fo.lastSeconds == 0 {
			logFail.Warn("Could not connect to controller (or switch failed controller's post-connection admission control policy) for %d seconds, failing open", secs)
			fo.lastSeconds = secs
			m.Flush()
		} else if secs > fo.lastSeconds+60 {
			logFail.Info("Still in fail-open mode after %d seconds disconnected from controller", secs)
			fo.lastSeconds = secs
		}
	}
	if fo.lastSeconds == 0 {
		return
	}
	if !m.anyConnected() {
		fo.nextBogus = math.MaxInt64
		return
	}
	due := m.now >= fo.nextBogus
	if due {
		m.sendBogusPacketIn()
	}
	if due || fo.nextBogus == math.MaxInt64 {
		fo.nextBogus = m.now + 2000
	}
}

// anyConnected reports whether some controller is connected.
func (m *Manager) anyConnected() bool {
	for _, s := range m.services {
		if !s.cfg.Service && len(s.conns) > 0 {
			return true
		}
	}
	return false
}

func (m *Manager) sendBogusPacketIn() {
	packet := make([]byte, 60)
	for i := range 6 {
		packet[i] = 0xff
	}
	src := []byte{0x00, 0x23, 0x20, byte(m.now >> 16), byte(m.now >> 8), byte(m.now) | 0x80}
	copy(packet[6:], src)
	copy(packet[12:], []byte{0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3}) // RARP request
	copy(packet[22:], src)
	copy(packet[32:], src)
	pin := &ofp.PacketIn{Packet: packet, TotalLen: len(packet), BufferID: ofp.NoBuffer, Reason: ofp.ReasonNoMatch, Cookie: ofp.NoCookie}
	pin.Metadata.Flow.InPort, pin.Metadata.Mask.InPort = flow.OFPLocal, ^uint32(0)
	m.SendPacketIn(pin, 0)
}

// failOpenMaybeRecover ends fail-open when a controller shows that it accepts the
// switch.
func (m *Manager) failOpenMaybeRecover() {
	if m.failOpen == nil || m.failOpen.lastSeconds == 0 {
		return
	}
	for _, c := range m.conns {
		if c.primary && c.r.admitted(m.now) {
			m.failOpenRecover()
			return
		}
	}
}

func (m *Manager) failOpenRecover() {
	logFail.Warn("No longer in fail-open mode")
	m.failOpen.lastSeconds, m.failOpen.nextBogus = 0, math.MaxInt64
	m.failOpen.active = false
	m.Tables.DelFlow(&match.Match{}, failOpenPriority)
}

// Flushed puts the flows back that the switch itself needs, after the tables were
// emptied.
func (m *Manager) Flushed() {
	m.inBand.next = m.now
	if fo := m.failOpen; fo != nil {
		fo.active = m.failureSeconds() >= m.failOpenAfter()
		if fo.active {
			m.Tables.AddFlow(&match.Match{}, failOpenPriority, normal, m.now)
		}
	}
	if !m.HasControllers() && m.standalone {
		m.Tables.AddFlow(&match.Match{}, 0, normal, m.now)
	}
}
