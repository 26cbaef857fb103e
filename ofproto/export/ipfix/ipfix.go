// Package ipfix makes IPFIX messages (RFC 7011) of sampled packets.
//
// An Exporter is that of a bridge, or of one set of collectors that sample actions
// name.  It keeps a cache of flows, aggregates the samples of a flow in its entry, and
// exports the entry when it is older than the active timeout or when the cache is
// full.
//
//  1. Add makes a flow key of a sample, and an entry or an addition to one
//  2. Run exports the entries that are due; templates go before them every 10 minutes
//
// What a data record has depends on the packet: there is a template for each
// combination of VLAN, network protocol, transport protocol, tunnel and direction
// (template.go).  A template is a list of elements, each of which knows how to write
// itself (element.go), so that records and templates cannot differ.
//
// The package opens no sockets and reads no clock: times are ms since the epoch,
// messages go to a function.
package ipfix

import (
	"sluice/dpif/flow"
	"sluice/ofproto/export"
	"sluice/ofproto/ofp"
)

// DefaultPort is where collectors listen (RFC 7011 section 10.3.4).
const DefaultPort = 4739

// MaxVirtualObsID is the longest virtual observation id, in bytes.
const MaxVirtualObsID = 254

// templateIntervalSec is how often templates are sent (RFC 7011 section 8.1: they get
// lost with UDP).
const templateIntervalSec = 600

// Options are how an exporter works.
type Options struct {
	// ID is the number of the exporting process.
	ID uint32
	// ActiveTimeoutSec is how long a flow is aggregated, MaxFlows how many are.
	ActiveTimeoutSec, MaxFlows uint32
	// VirtualObsID is added to records; "": it is not.
	VirtualObsID string
}

// Direction says what a sample is one of.
type Direction uint8

// The directions, with their values in flowDirection.
const (
	Ingress Direction = iota
	Egress
)

// Interface is what records tell of a port.
type Interface struct {
	Index, Type uint32
	Name, Descr string
}

// Tunnel is the tunnel that a packet came by or leaves by.
type Tunnel struct {
	Kind TunnelKind
	Key  *flow.Tunnel
}

// Sample is a sampled packet.
type Sample struct {
	*export.Sample
	Domain, Point uint32 // of the observation
	Count         uint64 // of the packets that the sample stands for
	Direction     Direction
	In, Out       Interface // Out is used for Egress
	Tunnel        *Tunnel   // nil: none
}

// kind is what is special about the packet: it selects the template.
type kind struct {
	vlan   bool
	l3     l3
	l4     l4
	tunnel bool
	dir    Direction
}

// totals are counters since the exporter exists.
type totals struct {
	droppedPackets, droppedOctets     uint64
	packets, octets, squares, octets2 uint64 // octets2: of layer 2
	inUcast, inMcast, inBcast         uint64
	outUcast, outMcast, outBcast      uint64
	outMcastOctets                    uint64
	tcp                               [6]uint64 // by tcpBits
}

// entry is a flow in the cache.
type entry struct {
	kind     kind
	domain   uint32
	key      string // the encoded part of the record that is the flow's key
	start    int64  // ms since the epoch
	end      int64
	totals   totals // as of the last sample
	packets  uint64
	dropped  uint64
	octets   uint64 // of IP
	octets2  uint64 // of layer 2
	squares  uint64
	droppedO uint64
	mcast    uint64
	mcastO   uint64
	min, max uint16 // length of IP packets
}

// cacheKey is what tells flows apart.
type cacheKey struct {
	domain uint32
	kind   kind
	key    string
}

// Exporter makes messages of samples.
//
// Thread-safety: it belongs to the control loop.
type Exporter struct {
	opts Options
	// send sends a message and returns to how many collectors it went and to how
	// many it could not be sent.
	send func([]byte) (sent, failed int)

	cache     map[cacheKey]*entry
	order     []*entry // of the cache, by age
	seq       uint32
	templated uint32 // when templates were sent, seconds since the epoch; 0: never
	totals    totals
	stats     ofp.IPFIXStats
	buf       []byte
}

// New makes an exporter.
func New(o Options, send func([]byte) (sent, failed int)) *Exporter {
	return &Exporter{opts: o, send: send, cache: map[cacheKey]*entry{}, seq: 1}
}

// SetOptions changes how the exporter works, from ms wall on.
func (e *Exporter) SetOptions(o Options, wall int64) {
	o.ID = e.opts.ID
	e.opts = o
	e.Run(wall)
}

// Stats returns what the exporter has done.
func (e *Exporter) Stats() ofp.IPFIXStats {
	s := e.stats
	s.CurrentFlows = uint64(len(e.order))
	return s
}

// Add takes a sample at ms wall.
func (e *Exporter) Add(s *Sample, wall int64) {
	k := kindOf(s)
	e.buf = appendKey(e.buf[:0], k, s)
	n := &entry{kind: k, domain: s.Domain, key: string(e.buf), start: wall, end: wall}
	e.measure(n, s)
	e.stats.Pkts++
	e.count(k)
	ck := cacheKey{s.Domain, k, n.key}
	if old := e.cache[ck]; old != nil {
		old.merge(n)
		return
	}
	e.cache[ck] = n
	e.order = append(e.order, n)
	e.stats.TotalFlows++
	if len(e.order) > int(e.opts.MaxFlows) {
		e.Run(wall)
	}
}

// count counts a sampled packet by what it is.  A transport protocol without
// templates makes it an error.
func (e *Exporter) count(k kind) {
	switch {
	case k.l3 == l3IPv4 && k.l4 != l4None:
		e.stats.IPv4Pkts++
	case k.l3 == l3IPv6 && k.l4 != l4None:
		e.stats.IPv6Pkts++
	case k.l3 == l3IPv4:
		e.stats.IPv4ErrorPkts++
		e.stats.ErrorPkts++
	case k.l3 == l3IPv6:
		e.stats.IPv6ErrorPkts++
		e.stats.ErrorPkts++
	}
}

// Bits of TCP flags in the order of their counters.
var tcpBits = [6]uint16{0x10, 0x01, 0x08, 0x04, 0x02, 0x20} // ack fin psh rst syn urg

const ethHeader, vlanHeader = 14, 4

// measure fills in the counters of an entry that s is the only sample of.  All
// packets that the sample stands for are taken to be as long as it.
func (e *Exporter) measure(n *entry, s *Sample) {
	t := &e.totals
	n.packets = s.Count
	n.octets2 = s.Count * uint64(s.Size)
	if !s.Path.Output {
		n.dropped = s.Count
	}
	t.packets += s.Count
	t.octets2 += n.octets2
	t.droppedPackets += n.dropped
	e.cast(n, s)
	if n.kind.l3 != l3None {
		size := s.Size - ethHeader
		if n.kind.vlan {
			size -= vlanHeader
		}
		size = max(size, 0)
		n.min, n.max = uint16(min(size, 0xffff)), uint16(min(size, 0xffff))
		n.octets = s.Count * uint64(size)
		n.squares = n.octets * uint64(size)
		if !s.Path.Output {
			n.droppedO = n.octets
		}
		if n.mcast > 0 {
			n.mcastO = n.octets
		}
		t.octets += n.octets
		t.squares += n.squares
		t.droppedOctets += n.droppedO
		t.outMcastOctets += n.mcastO
	}
	if n.kind.l4 == l4TCP {
		for i, bit := range tcpBits {
			if s.Key.TCPFlags&bit != 0 {
				t.tcp[i] += s.Count
			}
		}
	}
	n.totals = *t
}

// cast counts unicast, multicast and broadcast packets.
func (e *Exporter) cast(n *entry, s *Sample) {
	t := &e.totals
	counters := [2][3]*uint64{{&t.inUcast, &t.inMcast, &t.inBcast}, {&t.outUcast, &t.outMcast, &t.outBcast}}
	which := 0
	switch {
	case s.Key.DLDst == flow.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}:
		which = 2
	case s.Key.DLDst[0]&1 != 0:
		which = 1
		if s.Direction == Egress {
			n.mcast = s.Count
		}
	}
	*counters[s.Direction][which] += s.Count
}

// merge adds a newer entry of the same flow.
func (n *entry) merge(o *entry) {
	n.start, n.end = min(n.start, o.start), max(n.end, o.end)
	n.totals = o.totals
	n.packets += o.packets
	n.dropped += o.dropped
	n.octets += o.octets
	n.octets2 += o.octets2
	n.squares += o.squares
	n.droppedO += o.droppedO
	n.mcast += o.mcast
	n.mcastO += o.mcastO
	n.min, n.max = min(n.min, o.min), max(n.max, o.max)
}

// Run exports what is due at ms wall.
func (e *Exporter) Run(wall int64) { e.export(wall, false) }

// Flush exports all flows, because the exporter ends.
func (e *Exporter) Flush(wall int64) { e.export(wall, true) }

// Next returns when Run has something to do, in ms since the epoch; ok: it has.
func (e *Exporter) Next() (wall int64, ok bool) {
	if len(e.order) == 0 {
		return 0, false
	}
	return e.order[0].start + e.activeMs(), true
}

func (e *Exporter) activeMs() int64 { return int64(e.opts.ActiveTimeoutSec) * 1000 }

// Reasons for the end of a flow (RFC 5102 section 5.11.3).
const (
	endActive = 2
	endForced = 4
	endLack   = 5
)

// export exports the oldest flows as far as there is a reason to.
func (e *Exporter) export(wall int64, all bool) {
	// Records have times before the export time, which is in seconds.
	sec := uint32((wall + 999) / 1000)
	n := 0
	for _, f := range e.order {
		var reason uint8
		switch {
		case all:
			reason = endForced
		case f.start+e.activeMs() <= wall:
			reason = endActive
		case len(e.order)-n > int(e.opts.MaxFlows):
			reason = endLack
		}
		if reason == 0 {
			break
		}
		if n == 0 && (e.templated == 0 || e.templated+templateIntervalSec <= sec) {
			e.templated = sec
			e.sendTemplates(sec, f.domain)
			e.sendReliability(sec)
		}
		n++
		delete(e.cache, cacheKey{f.domain, f.kind, f.key})
		e.sendRecord(f, sec, reason)
	}
	clear(e.order[:n])
	e.order = e.order[n:]
}
