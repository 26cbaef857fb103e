package ofproto

import (
	"slices"

	"sluice/dpif/flow"
	"sluice/internal/coverage"
	"sluice/internal/poll"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/xlate"
)

// protocol is a link protocol on the ports of a Switch: the adapter of a machine in
// ofproto/proto, which knows no switches.  The control thread calls it.
type protocol interface {
	// configure follows sw.cfg and the ports, and reports whether the protocol is in
	// use on any port.  It is called after each change of either.
	configure(now int64) (active bool)
	// receive takes a frame that came in by p; frame may be kept.
	receive(p *Port, frame []byte, now int64)
	// run does what is due at ms now, and reports whether something changed that
	// describe tells translation.
	run(now int64) (changed bool)
	// wait says when run has something to do.
	wait(s *poll.Set)
	// mayEnable reports that the protocol lets p carry packets.
	mayEnable(p *Port) bool
	// describe adds to x what translation has to know: at least the bit in Hears.
	describe(p *Port, x *xlate.Port)
	// portGone forgets p, which is deleted.
	portGone(p *Port)
}

// protocols are the link protocols of a Switch, and the frames on their way to them.
type protocols struct {
	all    []entry
	active []protocol // those in use, in the order of all
	seq    uint64     // changes with what the spanning tree's status columns show
	frames inbox[protocolFrame]
}

// entry is a protocol with the frames that are its.
type entry struct {
	reason xlate.SlowReason
	protocol
}

// protocolFrame is a frame that waits for the control loop.
type protocolFrame struct {
	ofport uint32
	reason xlate.SlowReason
	packet []byte
}

// maxFrames is how many frames wait for the loop at most: some rounds of hellos on
// some hundred ports.  A flood costs protocol frames only.
const maxFrames = 4096

var cFrameOverflow = coverage.New("protocol_frame_overflow")

// newProtocols makes the protocols of a switch in the order in which they run.
func newProtocols(sw *Switch) []entry {
	sw.bfd, sw.cfm, sw.lldp, sw.stp, sw.rstp = newBFD(sw), newCFM(sw), newLLDP(sw), newSTP(sw), newRSTP(sw)
	return []entry{
		{xlate.SlowCFM, sw.cfm}, {xlate.SlowBFD, sw.bfd}, {xlate.SlowLACP, &sw.lacp}, {xlate.SlowSTP, sw.stp}, {xlate.SlowSTP, sw.rstp},
		{xlate.SlowLLDP, sw.lldp},
	}
}

func (ps *protocols) init(sw *Switch) {
	ps.all = newProtocols(sw)
	ps.frames.init(maxFrames, cFrameOverflow, sw.wake)
}

// queueFrame keeps a frame for the loop.  Any thread may call it.
func (sw *Switch) queueFrame(f *xlate.Frame) {
	sw.protocols.frames.put(protocolFrame{f.OFPort, f.Reason, slices.Clone(f.Packet)})
}

// configureProtocols has the protocols follow the configuration and the ports.
func (sw *Switch) configureProtocols(now int64) {
	ps := &sw.protocols
	ps.active = ps.active[:0]
	for _, e := range ps.all {
		if e.configure(now) {
			ps.active = append(ps.active, e.protocol)
		}
	}
}

// runProtocols hands out the frames that came and runs the protocols.
func (sw *Switch) runProtocols(now int64) {
	ps := &sw.protocols
	frames, _ := ps.frames.take()
	for _, f := range frames {
		p := sw.ports.byNumber[f.ofport]
		if p == nil {
			continue
		}
		for _, e := range ps.all {
			if e.reason == f.reason {
				e.receive(p, f.packet, now)
			}
		}
	}
	changed := false
	for _, pr := range ps.active {
		changed = pr.run(now) || changed
	}
	if changed {
		sw.dp.PortsChanged(sw, false)
	}
}

func (ps *protocols) wait(s *poll.Set) {
	for _, pr := range ps.active {
		pr.wait(s)
	}
}

func (ps *protocols) mayEnable(p *Port) bool {
	for _, pr := range ps.active {
		if !pr.mayEnable(p) {
			return false
		}
	}
	return true
}

func (ps *protocols) portGone(p *Port) {
	for _, e := range ps.all {
		e.portGone(p)
	}
}

// sendFrame sends a frame of the switch's own out of p, past the flow tables.
func (sw *Switch) sendFrame(p *Port, frame []byte, now int64) error {
	return sw.sendFrameAfter(p, frame, nil, now)
}

// sendFrameAfter is sendFrame with actions that precede the output.
func (sw *Switch) sendFrameAfter(p *Port, frame []byte, before action.List, now int64) error {
	po := &PacketOut{Packet: frame, Actions: append(slices.Clip(before), &action.Output{Port: p.OFPort})}
	metadata := flow.Flow{InPort: flow.OFPNone}
	flow.ExtractFlow(frame, &metadata, &po.Flow)
	return sw.dp.PacketOut(sw, po, now)
}
