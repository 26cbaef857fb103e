package ofproto

import (
	"sluice/dpif/flow"
	"sluice/internal/poll"
	"sluice/netdev/tnl"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/tunnel"
	"sluice/ofproto/xlate"
)

// This file lets tunnels leave by ports of the datapath and end at the host's
// addresses, where the datapath encapsulates itself.

// native is a Backer's part in native tunnels.
type native struct {
	host  *tunnel.Native // nil: there are none
	seq   uint64         // of host, as translation knows it
	asks  xlate.NeighborAsks
	event *poll.Event // there are asks
}

// SetNative has tunnels of the datapath use what n knows of the host.
func (b *Backer) SetNative(n *tunnel.Native) {
	b.native.host = n
	b.native.event = poll.NewEvent()
	b.native.asks.Wake = b.native.event.Set
}

func (b *Backer) closeNative() {
	if b.native.host != nil {
		b.native.host.Listeners.SetPorts(b, nil)
		b.native.event.Close()
		b.native.host = nil
	}
}

// runNative sends requests for neighbours, and follows the host.
func (b *Backer) runNative() {
	n := &b.native
	if n.host == nil {
		return
	}
	if n.event.Reset() {
		for _, a := range n.asks.Take() {
			b.ask(&a)
		}
	}
	if seq := n.host.Seq(); seq != n.seq {
		n.seq = seq
		b.reconfigured = true
		b.publish()
	}
}

func (b *Backer) waitNative(s *poll.Set) {
	if n := &b.native; n.host != nil {
		n.event.Wait(s)
		if n.host.Seq() != n.seq {
			s.Immediate()
		}
	}
}

// ask sends a request for a neighbour out of a bridge, whose flow tables decide where.
func (b *Backer) ask(a *xlate.NeighborAsk) {
	snap := b.udpif.Snapshot()
	br := snap.Bridge(a.Bridge)
	if br == nil {
		return
	}
	in := &xlate.In{Snap: snap, Bridge: br, Packet: a.Frame, Recirc: b.recircs, Sink: sink{b: b}, Record: true,
		Actions: action.List{&action.Output{Port: flow.OFPTable}}, HasActions: true, Now: b.now}
	md := flow.Flow{InPort: a.OFPort}
	flow.ExtractFlow(a.Frame, &md, &in.Flow)
	if err := b.run(in, br.Port(a.OFPort)); err != nil {
		dpifLog.DbgRL(rlTunnel, "%s: request for a neighbor: %v", br.Name, err)
	}
}

// listen has the datapath ports of tunnels take packets to the host out of them.
func (b *Backer) listen() {
	if b.native.host == nil {
		return
	}
	ports := map[string]*tunnel.Listener{}
	for _, r := range b.switches {
		for _, p := range r.sw.Ports() {
			dev := tunnelDevice(p)
			if dev == nil || dev.Tunnel() == nil {
				continue
			}
			name, c := dev.DatapathPort(), dev.Tunnel()
			kind := tnl.KindOf(c.Type)
			t, ok := b.tunnelPorts[name]
			if !ok || kind == tnl.None {
				continue
			}
			l := ports[name]
			if l == nil {
				l = &tunnel.Listener{Name: name, Port: t.no, Proto: kind.Proto(), TPort: c.DstPort}
				ports[name] = l
			}
			l.Refs++
		}
	}
	list := make([]tunnel.Listener, 0, len(ports))
	for _, l := range ports {
		list = append(list, *l)
	}
	b.native.host.Listeners.SetPorts(b, list)
}
