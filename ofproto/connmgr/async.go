package connmgr

import (
	"bytes"

	"sluice/ofproto/ofp"
)

// SendPortStatus tells controllers of a port.  source is the connection whose
// port_mod changed it, or nil; old, for a change, is the port before it: a controller
// whose version does not show the difference hears nothing.
func (m *Manager) SendPortStatus(source *Conn, old *ofp.Port, port *ofp.Port, reason uint8) {
	for _, c := range m.conns {
		if !c.receives(ofp.AsyncPortStatus, reason) {
			continue
		}
		// Before OpenFlow 1.5 the controller that changed a port is not told; other
		// controllers are.
		if c == source && c.Version() < ofp.OF15 {
			continue
		}
		b := ofp.Append(nil, c.Protocol(), 0, &ofp.PortStatus{Reason: reason, Desc: *port})
		if reason == ofp.PortModified && old != nil {
			if bytes.Equal(b, ofp.Append(nil, c.Protocol(), 0, &ofp.PortStatus{Reason: reason, Desc: *old})) {
				continue
			}
		}
		c.sendUnasked(b, nil)
	}
}

// SendRequestForward tells controllers of another one's group_mod or meter_mod.
func (m *Manager) SendRequestForward(source *Conn, rf *ofp.RequestForward) {
	for _, c := range m.conns {
		if rf.Reason == ofp.ForwardMeterMod && c.Version() < ofp.OF13 {
			continue
		}
		if c != source && c.receives(ofp.AsyncRequestForward, rf.Reason) {
			c.sendAsync(rf, nil)
		}
	}
}

// SendFlowRemoved tells controllers of a flow that went.  It counts as a reply:
// a controller that does not take them gets no new flows in.
func (m *Manager) SendFlowRemoved(fr *ofp.FlowRemoved) {
	for _, c := range m.conns {
		if c.receives(ofp.AsyncFlowRemoved, uint8(fr.Reason)) {
			c.sendAsync(fr, &c.replies)
		}
	}
}

// SendTableStatus tells controllers of a table whose vacancy crossed a threshold.
func (m *Manager) SendTableStatus(td *ofp.TableDesc, reason uint8) {
	for _, c := range m.conns {
		if c.receives(ofp.AsyncTableStatus, reason) {
			c.sendAsync(&ofp.TableStatus{Reason: reason, Desc: *td}, nil)
		}
	}
}

// SendPacketIn sends a packet, whole, to the controllers that want it.
func (m *Manager) SendPacketIn(pin *ofp.PacketIn, controllerID uint16) {
	for _, c := range m.conns {
		if c.controllerID != controllerID || !c.receives(ofp.AsyncPacketIn, uint8(pin.Reason)) {
			continue
		}
		p := *pin
		p.Format = c.pinFormat
		b := ofp.Append(nil, c.Protocol(), 0, &p)
		if len(b) == 0 {
			continue
		}
		miss := 0
		switch pin.Reason {
		case ofp.ReasonNoMatch, ofp.ReasonExplicitMiss, ofp.ReasonImplicitMiss:
			miss = 1
		}
		if b = c.schedulers[miss].send(pin.Metadata.Flow.InPort, b, m.now); b != nil {
			c.sendPacketIn(b)
		}
	}
}
