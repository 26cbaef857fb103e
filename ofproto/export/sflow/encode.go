package sflow

import (
	"encoding/binary"

	"sluice/dpif/flow"
	"sluice/ofproto/export"
)

// This file writes datagrams: XDR (RFC 4506), structures as length-prefixed records.

// maxDatagram is the size that a datagram is kept below.
const maxDatagram = 1400

// Tags of samples and of the records in them; those below 2000 are standard
// structures of enterprise 0.
const (
	tagFlowSample     = 1
	tagCountersSample = 2

	tagHeader        = 1
	tagSwitch        = 1001
	tagMPLS          = 1006
	tagTunnelEgress  = 1023
	tagTunnelIngress = 1024
	tagVNIEgress     = 1029
	tagVNIIngress    = 1030

	tagGeneric      = 1
	tagEthernet     = 2
	tagLACP         = 7
	tagOpenFlowPort = 1004
	tagPortName     = 1005
	tagResources    = 2203
	tagDatapath     = 2207
)

// unknown stands for a counter that is not kept.
const unknown = ^uint32(0)

// xdr is an encoder.
type xdr struct{ b []byte }

func (x *xdr) u32(vs ...uint32) {
	for _, v := range vs {
		x.b = binary.BigEndian.AppendUint32(x.b, v)
	}
}

func (x *xdr) u64(v uint64) { x.b = binary.BigEndian.AppendUint64(x.b, v) }

// opaque writes bytes of a length that the reader knows, padded to four.
func (x *xdr) opaque(b []byte) {
	x.b = append(x.b, b...)
	for n := len(b); n%4 != 0; n++ {
		x.b = append(x.b, 0)
	}
}

// record writes a tag, the length of what body writes, and that.
func (x *xdr) record(tag uint32, body func()) {
	x.u32(tag, 0)
	start := len(x.b)
	body()
	binary.BigEndian.PutUint32(x.b[start-4:], uint32(len(x.b)-start))
}

// sample is one sample; count is how many records it has.
type sample struct {
	xdr
	count, countAt int
}

func (s *sample) countHere() {
	s.countAt = len(s.b)
	s.u32(0)
}

func (s *sample) record(tag uint32, body func()) {
	s.xdr.record(tag, body)
	s.count++
	binary.BigEndian.PutUint32(s.b[s.countAt:], uint32(s.count))
}

// add puts a sample into the datagram, which is sent before if there is no room.
func (a *Agent) add(tag uint32, build func(s *sample)) {
	var s sample
	s.xdr.record(tag, func() { build(&s) })
	if a.nSamples > 0 && a.headerSize()+len(a.buf)+len(s.b) >= maxDatagram {
		a.flush()
	}
	a.buf = append(a.buf, s.b...)
	a.nSamples++
}

func (a *Agent) headerSize() int {
	if a.cfg.Agent.Is6() {
		return 40
	}
	return 28
}

// flush sends the samples that wait.
func (a *Agent) flush() {
	if a.nSamples == 0 {
		return
	}
	a.seq++
	x := xdr{b: make([]byte, 0, maxDatagram)}
	x.u32(5) // version
	if ip := a.cfg.Agent; ip.Is6() {
		x.u32(2)
		x.opaque(ip.AsSlice())
	} else {
		x.u32(1)
		x.opaque(ip.AsSlice())
	}
	x.u32(a.cfg.SubID, a.seq, uint32(a.now-a.boot), a.nSamples)
	x.b = append(x.b, a.buf...)
	a.buf, a.nSamples = a.buf[:0], 0
	a.send(x.b)
}

// flowSample adds a sampled packet.  Records stand in the order in which stock has
// them.
func (a *Agent) flowSample(smp *export.Sample, drops uint32) {
	key, arg, path := &smp.Key, smp.Arg, &smp.Path
	in := a.ports[key.InPort]
	one := outputs(arg.Output) == 1
	a.add(tagFlowSample, func(s *sample) {
		s.u32(a.flowSeq, a.entity(), a.cfg.Sampling, a.pool, drops, in.Ifindex, arg.Output)
		s.countHere()
		s.record(tagSwitch, func() {
			src, dst := key.VLANs[0].TCI, arg.VLANTCI
			s.u32(uint32(src&flow.VLANVIDMask), uint32(src>>flow.VLANPCPShift), uint32(dst&flow.VLANVIDMask), uint32(dst>>flow.VLANPCPShift))
		})
		s.record(tagHeader, func() {
			const ethernet, fcs = 1, 4
			head := smp.Head[:min(len(smp.Head), int(a.cfg.Header))]
			s.u32(ethernet, uint32(smp.Size)+fcs, fcs, uint32(len(head)))
			s.opaque(head)
		})
		if one && len(path.MPLS) > 0 {
			s.record(tagMPLS, func() { s.labels(path.MPLS) })
		}
		if one && path.HasTunnel {
			if path.Tunnel.ID != 0 {
				s.record(tagVNIEgress, func() { s.u32(uint32(path.Tunnel.ID)) })
			}
			s.record(tagTunnelEgress, func() { s.tunnel(a.egressProto(path), &path.Tunnel) })
		}
		if key.Tunnel.IPDst != 0 {
			if key.Tunnel.ID != 0 {
				s.record(tagVNIIngress, func() { s.u32(uint32(key.Tunnel.ID)) })
			}
			s.record(tagTunnelIngress, func() { s.tunnel(in.TunnelProto, &key.Tunnel) })
		}
	})
}

// outputs returns how many ports a packet leaves by, from the form of an output that
// sampling actions carry ("Input/Output port information").
func outputs(output uint32) uint32 {
	n := output & 0x3fffffff
	switch output >> 30 {
	case 0:
		return min(n, 1)
	case 2:
		return n
	}
	return 0
}

// egressProto is the IP protocol of the tunnel that a packet leaves by.
func (a *Agent) egressProto(path *export.Path) uint8 {
	if path.TunnelProto != 0 || !path.HasOutPort {
		return path.TunnelProto
	}
	return a.ports[path.OutPort].TunnelProto
}

// labels writes an MPLS record: the next hop and the stack of received labels are
// not reported.
func (s *sample) labels(stack []uint32) {
	const ipv4, bos = 1, 1 << 8
	s.u32(ipv4, 0, 0, uint32(len(stack)))
	for i := len(stack) - 1; i >= 0; i-- {
		lse := stack[i] &^ bos
		if i == 0 {
			lse |= bos
		}
		s.u32(lse)
	}
}

// tunnel writes the outer header of a tunnel as a sampled IPv4 header
// (sflow.org/sflow_tunnels.txt).  Length and TCP flags are not known.
func (s *sample) tunnel(proto uint8, t *flow.Tunnel) {
	s.u32(0, uint32(proto), t.IPSrc, t.IPDst, uint32(t.TpSrc), uint32(t.TpDst), 0, uint32(t.TOS))
}

// counters adds the counters of a port.
func (a *Agent) counters(p *poller, c *PortCounters) {
	st := &c.Stats
	a.add(tagCountersSample, func(s *sample) {
		s.u32(p.seq, p.source)
		s.countHere()
		s.record(tagEthernet, func() {
			s.u32(uint32(st.RxFrameErrors), uint32(st.RxCRCErrors))
			for range 8 {
				s.u32(unknown) // collisions, deferrals, internal and carrier errors
			}
			s.u32(unknown, unknown, unknown) // too long, internal receive and symbol errors
		})
		s.record(tagOpenFlowPort, func() {
			s.u64(c.DatapathID)
			s.u32(c.OFPort)
		})
		s.record(tagPortName, func() {
			s.u32(uint32(len(c.Name)))
			s.opaque([]byte(c.Name))
		})
		if c.LACP != nil {
			s.record(tagLACP, func() { s.lacp(c.LACP) })
		}
		s.record(tagGeneric, func() { s.generic(p.source&0xffffff, c) })
	})
}

// generic writes the counters of RFC 2233.
func (s *sample) generic(ifindex uint32, c *PortCounters) {
	const ethernetCsmacd = 6
	status := uint32(0)
	if c.AdminUp {
		status = 1
		if c.LinkUp {
			status |= 2
		}
	}
	st := &c.Stats
	s.u32(ifindex, ethernetCsmacd)
	s.u64(c.Speed)
	s.u32(c.Direction, status)
	s.u64(st.RxBytes)
	s.u32(uint32(st.RxPackets), uint32(st.Multicast), unknown, uint32(st.RxDropped), uint32(st.RxErrors), unknown)
	s.u64(st.TxBytes)
	s.u32(uint32(st.TxPackets), unknown, unknown, uint32(st.TxDropped), uint32(st.TxErrors))
	s.u32(0) // promiscuous mode
}

func (s *sample) lacp(l *LACP) {
	s.opaque(l.ActorSystem[:])
	s.opaque(l.PartnerSystem[:])
	s.u32(l.AggregatorID)
	s.opaque([]byte{l.ActorAdmin, l.ActorOper, l.PartnerAdmin, l.PartnerOper})
	// Marker PDUs and unknown ones are not counted.
	s.u32(l.RxPDUs, unknown, unknown, unknown, l.RxBad, l.TxPDUs, unknown, unknown)
}

// totals adds the counters of the switch.
func (a *Agent) totals(p *poller, t *Totals) {
	a.add(tagCountersSample, func(s *sample) {
		s.u32(p.seq, p.source)
		s.countHere()
		s.record(tagResources, func() {
			s.u32(t.UserMs, t.SysMs)
			s.u64(t.MemoryUsed)
			s.u64(0)          // the most memory that may be used,
			s.u32(0, 0, 0, 0) // descriptors and connections: not known
		})
		s.record(tagDatapath, func() {
			d := &t.Datapath
			s.u32(uint32(d.Hit), uint32(d.Missed), uint32(d.Lost), uint32(d.MaskHit), uint32(d.Flows), d.Masks)
		})
	})
}
