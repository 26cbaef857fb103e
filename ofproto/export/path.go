package export

import (
	"encoding/binary"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
)

// Path is what a list of datapath actions does to a packet, as far as exporters
// tell of it.
type Path struct {
	// Known is set if there was a list of actions.
	Known bool
	// Output says that the packet leaves by a port.
	Output bool
	// OutPort is the datapath port of the last output; HasOutPort: there was one.
	OutPort    uint32
	HasOutPort bool
	// Tunnel is the tunnel that the packet leaves by, if HasTunnel is set, and
	// TunnelProto the IP protocol of its outer header, 0: not known.
	Tunnel      flow.Tunnel
	TunnelProto uint8
	HasTunnel   bool
	// MPLS is the label stack that the packet leaves with, the outermost entry
	// last.
	MPLS []uint32

	encaps    int
	badTunnel bool // more than one tunnel, or one that was taken off
	badMPLS   bool
}

// read follows the actions of a packet with flow key.
func (p *Path) read(key *flow.Flow, actions []odp.Action) {
	if len(actions) == 0 {
		return
	}
	p.Known = true
	p.MPLS = labels(key)
	p.walk(actions)
	p.HasTunnel = p.encaps == 1 && !p.badTunnel
	if p.badMPLS {
		p.MPLS = nil
	}
	p.Output = outputs(actions)
}

// outputs reports that a list of actions sends the packet out of a port, for sure.
func outputs(actions []odp.Action) bool {
	for i := range actions {
		a := &actions[i]
		switch a.Type {
		case odp.Output, odp.LBOutput:
			return true
		case odp.Clone:
			if outputs(a.Nested) {
				return true
			}
		case odp.Sample:
			if a.Arg == ^uint32(0) && outputs(a.Nested) {
				return true
			}
		}
	}
	return false
}

// labels is the label stack of a packet, the outermost entry last.
func labels(key *flow.Flow) []uint32 {
	if key.DLType != flow.EthMPLS && key.DLType != flow.EthMPLSMc {
		return nil
	}
	n := 1
	for n < flow.MaxMPLSLabels && key.MPLS[n-1]&bottomOfStack == 0 {
		n++
	}
	out := make([]uint32, n, flow.MaxMPLSLabels)
	for i := range out {
		out[n-1-i] = key.MPLS[i]
	}
	return out
}

const bottomOfStack = 1 << 8

// walk notes what each action does.  Masked changes of IP headers and VLANs are of
// no interest: what exporters tell of those is in the action's own arguments.
func (p *Path) walk(actions []odp.Action) {
	for i := range actions {
		a := &actions[i]
		switch a.Type {
		case odp.Output:
			p.OutPort, p.HasOutPort = a.Port, true
		case odp.TunnelPop:
			p.badTunnel = true
		case odp.SetTunnel:
			if a.Ext != nil && a.Ext.Tunnel != nil && p.encap() {
				p.Tunnel = *a.Ext.Tunnel
			}
		case odp.TunnelPush:
			if a.Ext != nil && a.Ext.TnlPush != nil && p.encap() {
				p.OutPort, p.HasOutPort = a.Ext.TnlPush.OutPort, true
				p.header(a.Ext.TnlPush.Header)
			}
		case odp.PushMPLS:
			if len(p.MPLS) >= flow.MaxMPLSLabels {
				p.badMPLS = true
				break
			}
			p.MPLS = append(p.MPLS, a.Port)
		case odp.PopMPLS:
			if len(p.MPLS) == 0 {
				p.badMPLS = true
				break
			}
			p.MPLS = p.MPLS[:len(p.MPLS)-1]
		case odp.Set:
			if a.Ext != nil && a.Ext.Set != nil && a.Ext.Set.Attr == odp.AttrMPLS && len(p.MPLS) > 0 {
				// The outermost entry changes.
				s := a.Ext.Set
				top := &p.MPLS[len(p.MPLS)-1]
				*top = *top&^s.Mask.MPLS[0] | s.Key.MPLS[0]&s.Mask.MPLS[0]
			}
		case odp.Clone:
			p.walk(a.Nested)
		}
	}
}

// encap counts a tunnel; false: it is not the first.
func (p *Path) encap() bool {
	p.encaps++
	return p.encaps == 1
}

// IP protocols of outer headers.
const (
	protoGRE = 47
	protoUDP = 17
)

// header reads the outer headers of a tunnel: Ethernet, IPv4, then GRE, or UDP with
// VXLAN or Geneve.  Others leave Tunnel as far as it could be read.
func (p *Path) header(h []byte) {
	const eth, ip = 14, 20
	if len(h) < eth+ip || binary.BigEndian.Uint16(h[12:]) != flow.EthIPv4 {
		return
	}
	l3 := h[eth:]
	t := &p.Tunnel
	t.TOS, t.TTL, p.TunnelProto = l3[1], l3[8], l3[9]
	t.IPSrc, t.IPDst = binary.BigEndian.Uint32(l3[12:]), binary.BigEndian.Uint32(l3[16:])
	l4 := l3[ip:]
	switch {
	case p.TunnelProto == protoUDP && len(l4) >= 16:
		t.TpSrc, t.TpDst = binary.BigEndian.Uint16(l4), binary.BigEndian.Uint16(l4[2:])
		// VXLAN (RFC 7348) and Geneve (RFC 8926) have their key at the same place.
		t.ID = uint64(binary.BigEndian.Uint32(l4[12:]) >> 8)
	case p.TunnelProto == protoGRE && len(l4) >= 4:
		t.ID = uint64(greKey(l4))
	}
}

// greKey returns the key of a GRE header (RFC 2890), 0: it has none.
func greKey(h []byte) uint32 {
	const csum, key = 0x8000, 0x2000
	flags := binary.BigEndian.Uint16(h)
	at := 4
	if flags&csum != 0 {
		at += 4
	}
	if flags&key == 0 || len(h) < at+4 {
		return 0
	}
	return binary.BigEndian.Uint32(h[at:])
}
